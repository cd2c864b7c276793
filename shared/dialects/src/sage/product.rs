//! Products: goods, services and stock items are three collections, so a product's id says which it is in.

use super::body::{self, Item, Pricing};
use super::reply::{self, Created};
use super::{CREATES_MAX, Search, create, get, id_of, list, out_of_order, writing_search};
use crate::{Call, Context, Labelled, Method, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Posted, Product};
use ledger_domain::fault::{Action, Fault};

const CREATE: &str = "create_product";
const UPDATE: &str = "update_product";
const BY_CODE: &str = "products_by_code";
const PRICE_TYPES: &str = "price_types";
/// What a list has to show of each product, beside its id.
const ATTRIBUTES: &str = "item_code,deleted_at";

pub(super) fn post(
    product: &Product,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    match start {
        Start::Linked(posted) => return Ok(Step::Done(posted.clone())),
        Start::Outdated(posted) => return update(product, context, posted, seen),
        Start::Fresh => {}
    }
    let item = Item::of(product);
    let mut search = Search::new(seen);
    let mut pricing = Pricing::default();
    // What the book says of equal codes is not documented: what the bookkeeper has made is found first.
    match looked_for(product, context, &mut search, &[item])? {
        Step::Done(None) => {}
        Step::Done(Some(posted)) => return Ok(Step::Done(posted)),
        Step::Read(label, call) => return Ok(Step::Read(label, call)),
        Step::Create(..) | Step::Change(..) => return Err(writing_search()),
    }
    for _ in 0..CREATES_MAX {
        let Some(answered) = search.seen.next() else {
            let body = body::product(product, item, context, &pricing)?;
            return Ok(Step::Create(CREATE, create(context, item.collection(), body)));
        };
        if answered.label != CREATE {
            return Err(out_of_order(answered));
        }
        let (fault, complaints) = match reply::created(context, item.root(), &answered.reply) {
            Created::Done(id, _) => return Ok(Step::Done(posted(product, item, &id))),
            Created::Fault(fault, complaints) => (fault, complaints),
        };
        if fault.action != Action::Refused {
            return Err(fault);
        }
        if complaints.iter().any(|complaint| complaint.says_taken("item_code")) {
            return match looked_for(product, context, &mut search, &others(item))? {
                Step::Done(Some(posted)) => Ok(Step::Done(posted)),
                Step::Done(None) => Err(Fault::refused(
                    Code::ReferenceTaken,
                    "The book has the product's code on something that it does not list.",
                )
                .with(fault.evidence)),
                Step::Read(label, call) => Ok(Step::Read(label, call)),
                Step::Create(..) | Step::Change(..) => Err(writing_search()),
            };
        }
        match repriced(item, context, &complaints, pricing, &mut search)? {
            Repriced::Ask(label, call) => return Ok(Step::Read(label, call)),
            Repriced::Done(next) => pricing = next,
            Repriced::Unrelated => return Err(fault),
        }
    }
    Err(Fault::refused(Code::BookRefused, "The book refuses the product in each form that we know."))
}

/// What to do about a complaint on the selling price.
enum Repriced {
    Ask(&'static str, Call),
    Done(Pricing),
    Unrelated,
}

/// A price that is refused gets the type that the business has; one that is refused with it, or where there is none, is
/// left out: it is a convenience in the book, no booking depends on it.
fn repriced(
    item: Item,
    context: &Context,
    complaints: &[reply::Complaint],
    pricing: Pricing,
    search: &mut Search<'_>,
) -> Result<Repriced, Fault> {
    let about = ["sales_price", "sales_rate", "price_type", "rate_type", "price_name", "rate_name"];
    if !about.iter().any(|field| complaints.iter().any(|complaint| complaint.is_about(field))) {
        return Ok(Repriced::Unrelated);
    }
    match pricing {
        Pricing::Named => {
            let Some(reply) = search.answer(PRICE_TYPES)? else {
                return Ok(Repriced::Ask(PRICE_TYPES, list(context, item.price_types(), &[("active", "true")], 1)));
            };
            let listed = reply::listed(context, reply)?;
            let id = listed.items.iter().find_map(reply::Record::id);
            Ok(Repriced::Done(id.map_or(Pricing::Absent, Pricing::Typed)))
        }
        Pricing::Typed(_) => Ok(Repriced::Done(Pricing::Absent)),
        Pricing::Absent => Ok(Repriced::Unrelated),
    }
}

/// The shop's version is newer: one change, which may be repeated.
fn update(product: &Product, context: &Context, posted: &Posted, seen: &[Labelled]) -> Result<Step<Posted>, Fault> {
    let (item, id) = parts(&posted.provider_id)
        .ok_or_else(|| Fault::broken(Code::Unexpected, "A product's id has not the shape that the book gives ids."))?;
    let mut search = Search::new(seen);
    let mut pricing = Pricing::default();
    for _ in 0..CREATES_MAX {
        let Some(answered) = search.seen.next() else {
            let body = body::product_update(product, item, &pricing)?;
            let path = format!("{}/{id}", item.collection());
            return Ok(Step::Change(UPDATE, super::call(context, Method::Put, &path, &[], Some(body))));
        };
        if answered.label != UPDATE {
            return Err(out_of_order(answered));
        }
        let (fault, complaints) = match reply::changed(context, &answered.reply) {
            Ok(()) => return Ok(Step::Done(posted.clone())),
            Err(it) => it,
        };
        match repriced(item, context, &complaints, pricing, &mut search)? {
            Repriced::Ask(label, call) => return Ok(Step::Read(label, call)),
            Repriced::Done(next) => pricing = next,
            Repriced::Unrelated => return Err(fault),
        }
    }
    Err(Fault::refused(Code::BookRefused, "The book refuses the product in each form that we know."))
}

pub(super) fn created(product: &Product, context: &Context, answered: &Labelled) -> Option<Posted> {
    let item = Item::of(product);
    if answered.label != CREATE {
        return None;
    }
    match reply::created(context, item.root(), &answered.reply) {
        Created::Done(id, _) => Some(posted(product, item, &id)),
        Created::Fault(..) => None,
    }
}

pub(super) fn find(product: &Product, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
    let item = Item::of(product);
    let mut search = Search::new(seen);
    match looked_for(product, context, &mut search, &[item])? {
        // Somebody may have made it among the other two.
        Step::Done(None) => looked_for(product, context, &mut search, &others(item)),
        step @ (Step::Done(Some(_)) | Step::Read(..) | Step::Create(..) | Step::Change(..)) => Ok(step),
    }
}

const fn others(item: Item) -> [Item; 2] {
    match item {
        Item::Product => [Item::Service, Item::Stock],
        Item::Service => [Item::Product, Item::Stock],
        Item::Stock => [Item::Product, Item::Service],
    }
}

/// Looks for the code among some collections.
fn looked_for(
    product: &Product,
    context: &Context,
    search: &mut Search<'_>,
    among: &[Item],
) -> Result<Step<Option<Posted>>, Fault> {
    for item in among.iter().copied() {
        let code = item.code(&product.sku);
        let mut page = 1_usize;
        loop {
            let Some(reply) = search.answer(BY_CODE)? else {
                let filter = [("search", code.as_str()), ("attributes", ATTRIBUTES)];
                return Ok(Step::Read(BY_CODE, list(context, item.collection(), &filter, page)));
            };
            let listed = reply::listed(context, reply)?;
            let ours = listed.items.iter().find_map(|record| {
                let same = record.text("item_code").is_some_and(|text| text.trim() == code);
                record.id().filter(|_| same && !record.is_set("deleted_at"))
            });
            if let Some(id) = ours {
                return Ok(Step::Done(Some(posted(product, item, &id))));
            }
            if !listed.more {
                break;
            }
            page = page.saturating_add(1);
        }
    }
    Ok(Step::Done(None))
}

/// Collection and id of a product's id.
pub(super) fn parts(provider_id: &str) -> Option<(Item, String)> {
    let (collection, id) = provider_id.split_once('/')?;
    let item = [Item::Product, Item::Service, Item::Stock].into_iter().find(|item| item.collection() == collection)?;
    Some((item, id_of(id)?))
}

/// The question for a product, with what it has in stock where it has any.
pub(super) fn question(context: &Context, item: Item, id: &str) -> Call {
    get(context, &format!("{}/{id}", item.collection()), &[])
}

fn posted(product: &Product, item: Item, id: &str) -> Posted {
    Posted { provider_id: format!("{}/{id}", item.collection()), reference: Some(item.code(&product.sku)), total: None }
}
