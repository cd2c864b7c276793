//! Stock: a quantity is never set, it moves (Sage Accounting API reference, stock movements).

use super::body::{self, Item};
use super::product::{parts, question};
use super::reply::{self, Created, Record};
use super::{Search, create, list, out_of_order};
use crate::{Context, Labelled, Start, Step};
use ledger_domain::amount::round_half_away;
use ledger_domain::code::Code;
use ledger_domain::document::{Posted, StockMovement};
use ledger_domain::fault::Fault;
use rust_decimal::Decimal;

const CREATE: &str = "create_stock_movement";
const READ_ITEM: &str = "read_stock_item";
const BY_REFERENCE: &str = "stock_movements_by_reference";
const COLLECTION: &str = "stock_movements";
const ROOT: &str = "stock_movement";
/// What a list has to show of each movement, beside its id.
const ATTRIBUTES: &str = "reference,details,quantity,stock_item";
/// Decimal places in which quantities are compared.
const QUANTITY_PLACES: u32 = 4;

pub(super) fn post(
    movement: &StockMovement,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        return Ok(Step::Done(posted.clone()));
    }
    let id = stock_item(movement)?;
    let mut search = Search::new(seen);
    // A cost has to be named: where the shop has none, the book's own leaves its average as it is.
    let cost = match movement.cost {
        Some(cost) => cost,
        None => match search.answer(READ_ITEM)? {
            None => return Ok(Step::Read(READ_ITEM, question(context, Item::Stock, &id))),
            Some(reply) => cost_of(&reply::one(context, Item::Stock.root(), reply)?),
        },
    };
    let Some(answered) = search.seen.next() else {
        let body = body::movement(movement, &id, cost, context)?;
        return Ok(Step::Create(CREATE, create(context, COLLECTION, body)));
    };
    if answered.label != CREATE {
        return Err(out_of_order(answered));
    }
    match reply::created(context, ROOT, &answered.reply) {
        Created::Done(id, _) => Ok(Step::Done(posted(movement, id))),
        Created::Fault(fault, _) => Err(fault),
    }
}

fn cost_of(record: &Record<'_>) -> Decimal {
    let costs = ["average_cost_price", "last_cost_price", "cost_price"];
    let known = costs.iter().find_map(|field| record.decimal(field).filter(|cost| *cost > Decimal::ZERO));
    known.unwrap_or_default()
}

pub(super) fn created(movement: &StockMovement, context: &Context, answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::created(context, ROOT, &answered.reply) {
        Created::Done(id, _) => Some(posted(movement, id)),
        Created::Fault(..) => None,
    }
}

/// Looks through the stock item's movements for our reference.
pub(super) fn find(
    movement: &StockMovement,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Posted>>, Fault> {
    let item = stock_item(movement)?;
    let mut search = Search::new(seen);
    let details = body::movement_details(movement);
    let mut foreign = false;
    let mut page = 1_usize;
    loop {
        let Some(reply) = search.answer(BY_REFERENCE)? else {
            let filter =
                [("search", movement.reference.as_str()), ("stock_item_id", &item), ("attributes", ATTRIBUTES)];
            return Ok(Step::Read(BY_REFERENCE, list(context, COLLECTION, &filter, page)));
        };
        let listed = reply::listed(context, reply)?;
        for record in &listed.items {
            let named = |field: &str, text: &str| record.text(field).is_some_and(|shown| shown.trim() == text);
            if !named("reference", &movement.reference) && !named("details", &details) {
                continue;
            }
            let quantity = record.decimal("quantity").map(|quantity| round_half_away(quantity, QUANTITY_PLACES));
            let wanted = round_half_away(movement.quantity, QUANTITY_PLACES);
            let same_item = record.reference("stock_item").is_none_or(|id| id.eq_ignore_ascii_case(&item));
            match record.id() {
                Some(id) if same_item && quantity.is_none_or(|quantity| quantity == wanted) => {
                    return Ok(Step::Done(Some(posted(movement, id))));
                }
                _ => foreign = true,
            }
        }
        if !listed.more {
            break;
        }
        page = page.saturating_add(1);
    }
    if foreign {
        return Err(Fault::refused(
            Code::ReferenceTaken,
            "The reference is on a movement of another quantity or stock item.",
        ));
    }
    Ok(Step::Done(None))
}

/// How many of a product there are; `None` for one that is kept without stock.
pub(super) fn quantity(
    provider_id: &str,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Decimal>>, Fault> {
    let Some((Item::Stock, id)) = parts(provider_id) else { return Ok(Step::Done(None)) };
    let Some(reply) = Search::new(seen).answer(READ_ITEM)? else {
        return Ok(Step::Read(READ_ITEM, question(context, Item::Stock, &id)));
    };
    let record = reply::one(context, Item::Stock.root(), reply)?;
    match record.decimal("quantity_in_stock") {
        Some(quantity) => Ok(Step::Done(Some(quantity))),
        // Null before the first movement.
        None if record.has("quantity_in_stock") && !record.is_set("quantity_in_stock") => {
            Ok(Step::Done(Some(Decimal::ZERO)))
        }
        None => Err(Fault::later(Code::BookUnavailable, None, "The book does not say how many there are in stock.")),
    }
}

fn stock_item(movement: &StockMovement) -> Result<String, Fault> {
    match parts(&movement.product) {
        Some((Item::Stock, id)) => Ok(id),
        _ => Err(Fault::refused(Code::BookRefused, "The book keeps this product without stock.")),
    }
}

fn posted(movement: &StockMovement, id: String) -> Posted {
    Posted { provider_id: id, reference: Some(movement.reference.clone()), total: None }
}
