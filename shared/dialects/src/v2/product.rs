//! Products: entries of the price list, known by their code. They are for the book's people: invoices cannot name one
//! (FreeAgent API docs, price list items).

use super::reply::{Created, Entity, changed};
use super::search::{List, Search, Seen, search};
use super::{House, body, reply, url};
use crate::{Call, Context, Labelled, Method, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Posted, Product, fitted};
use ledger_domain::fault::Fault;

const CREATE: &str = "create_product";
const UPDATE: &str = "update_product";
const ALL: &str = "price_list";
pub(super) const PRICE_LIST_ITEM: Entity = Entity { root: "price_list_item", collection: "price_list_items" };

/// The code of a product: its SKU, fitted to what the house takes.
pub(super) fn code(house: &House, product: &Product) -> String {
    fitted(product.sku.trim(), house.code_length_max)
}

pub(super) fn post(
    house: &House,
    product: &Product,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    let mut seen = Seen::new(seen);
    match start {
        Start::Fresh => {}
        Start::Linked(posted) => return Ok(Step::Done(posted.clone())),
        Start::Outdated(posted) => return update(house, product, context, posted, &mut seen),
    }
    let Some(answer) = seen.answer(CREATE)? else {
        return Ok(Step::Create(
            CREATE,
            house.create(PRICE_LIST_ITEM.collection, body::product(house, context, product)?),
        ));
    };
    let fault = match reply::created(house, context, PRICE_LIST_ITEM, answer) {
        Created::Done(named) => return Ok(Step::Done(posted(house, product, named.url))),
        Created::Fault(fault, complaints) if complaints.iter().any(|it| it.says_taken("code")) => fault,
        Created::Fault(fault, _) => return Err(fault),
    };
    match look(house, product, context, &mut seen)? {
        Search::Found(posted) => Ok(Step::Done(posted)),
        Search::Ask(label, call) => Ok(Step::Read(label, call)),
        Search::Absent => {
            let message = "The product's code is taken by an entry that the price list does not show.";
            Err(Fault::refused(Code::ReferenceTaken, message).with(fault.evidence))
        }
    }
}

/// Brings a product of ours up to date with the shop's.
fn update(
    house: &House,
    product: &Product,
    context: &Context,
    posted: &Posted,
    seen: &mut Seen<'_>,
) -> Result<Step<Posted>, Fault> {
    let Some(path) = url::path_of(&context.base_url, house.root, PRICE_LIST_ITEM.collection, &posted.provider_id)
    else {
        // What is linked stays linked, also where the binding has moved.
        return Ok(Step::Done(posted.clone()));
    };
    let Some(answer) = seen.answer(UPDATE)? else {
        return Ok(Step::Change(UPDATE, Call::send(Method::Put, path, body::product(house, context, product)?)));
    };
    if changed(answer) {
        return Ok(Step::Done(Posted { reference: Some(code(house, product)), ..posted.clone() }));
    }
    // It may be repeated, so that no answer is no doubt.
    Err(reply::classify(house, answer, false))
}

pub(super) fn created(house: &House, product: &Product, context: &Context, answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::created(house, context, PRICE_LIST_ITEM, &answered.reply) {
        Created::Done(named) => Some(posted(house, product, named.url)),
        Created::Fault(..) => None,
    }
}

pub(super) fn find(
    house: &House,
    product: &Product,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Posted>>, Fault> {
    Ok(look(house, product, context, &mut Seen::new(seen))?.into())
}

/// Looks for the entry with the equal code, the latest first: the list can only be sorted.
fn look(house: &House, product: &Product, context: &Context, seen: &mut Seen<'_>) -> Result<Search<Posted>, Fault> {
    let list = List { entity: PRICE_LIST_ITEM, label: ALL, filter: &[("sort", "-created_at")] };
    let code = code(house, product);
    search(house, &list, seen, |entry, _| {
        if entry.text("code").as_deref().map(str::trim) != Some(code.as_str()) {
            return Ok(Search::Absent);
        }
        let Some((url, _)) = entry.own_url(house, context, PRICE_LIST_ITEM) else {
            return Err(Fault::broken(Code::AnswerUnknown, "The book names a product by a URL that is not its own."));
        };
        Ok(Search::Found(posted(house, product, url)))
    })
}

fn posted(house: &House, product: &Product, url: String) -> Posted {
    Posted { provider_id: url, reference: Some(code(house, product)), total: None }
}
