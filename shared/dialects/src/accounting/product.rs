//! Products are items, known by their code.

use super::reply::{ITEMS, Meaning, Wrote};
use super::{Replies, SUMMARIZE, Sought, UNIT_PLACES, body, change, create, id, read, reply, text};
use crate::{Context, Labelled, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Posted, Product};
use ledger_domain::fault::Fault;

const CREATE: &str = "create_item";
const UPDATE: &str = "update_item";
const BY_CODE: &str = "items_by_code";

pub(super) fn post(
    product: &Product,
    context: &Context,
    start: &Start,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    match start {
        Start::Linked(posted) => return Ok(Step::Done(posted.clone())),
        Start::Outdated(posted) => return update(product, posted, context, replies),
        Start::Fresh => {}
    }
    let Some(reply) = replies.next(CREATE)? else {
        let call = create(context, ITEMS.path(), &[SUMMARIZE, UNIT_PLACES], body::item(product)?, 0);
        return Ok(Step::Create(CREATE, call));
    };
    let fault = match reply::wrote(ITEMS, reply) {
        Wrote::Done(_, id) => return Ok(Step::Done(posted(product, id))),
        Wrote::Fault(fault, meanings) if meanings.contains(&Meaning::ItemCodeTaken) => fault,
        Wrote::Fault(fault, _) => return Err(fault),
    };
    match find(product, context, replies)? {
        Sought::Ask(label, call) => Ok(Step::Read(label, call)),
        Sought::Known(Some(posted)) => Ok(Step::Done(posted)),
        Sought::Known(None) => Err(fault),
    }
}

pub(super) fn created(product: &Product, answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::wrote(ITEMS, &answered.reply) {
        Wrote::Done(_, id) => Some(posted(product, id)),
        Wrote::Fault(..) => None,
    }
}

fn update(
    product: &Product,
    posted: &Posted,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    let Some(reply) = replies.next(UPDATE)? else {
        let path = ITEMS.path_of(&id(&posted.provider_id)?);
        let (name, value) = UNIT_PLACES;
        let call = change(context, path, &[(name, value.to_owned())], body::item(product)?);
        return Ok(Step::Change(UPDATE, call));
    };
    match reply::wrote(ITEMS, reply) {
        Wrote::Done(..) => Ok(Step::Done(posted.clone())),
        Wrote::Fault(fault, _) => Err(reply::repeatable(fault)),
    }
}

/// Looks for the item with the equal code. Whether a path takes a code is nowhere said, so a filter asks.
pub(super) fn find(
    product: &Product,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Sought<Option<Posted>>, Fault> {
    let code = body::item_code(product);
    let Some(reply) = replies.next(BY_CODE)? else {
        let filter = format!("Code=={}", text::quoted(&code));
        return Ok(Sought::Ask(BY_CODE, read(context, ITEMS.path(), &[("where", filter)])));
    };
    let list = reply::list(ITEMS.list, reply)?;
    let Some(element) = list.elements.iter().find(|element| element.text("Code").as_deref() == Some(&code)) else {
        return Ok(Sought::Known(None));
    };
    let id = element.guid(ITEMS.id);
    let id = id.ok_or_else(|| Fault::broken(Code::AnswerUnknown, "The book names an item by what is no id."))?;
    Ok(Sought::Known(Some(posted(product, id))))
}

fn posted(product: &Product, provider_id: String) -> Posted {
    Posted { provider_id, reference: Some(body::item_code(product)), total: None }
}
