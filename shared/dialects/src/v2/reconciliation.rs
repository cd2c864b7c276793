//! Allocations: a credit note set off against an invoice. The book keeps no reference of ours with one (FreeAgent API docs,
//! credit note reconciliations), so it is known by its two documents, its day and its amount; the credit note is ours, and
//! is set off against an invoice once.

use super::reply::{Created, Entity, Entry};
use super::sale::{CREDIT_NOTES, INVOICES};
use super::search::{List, Search, Seen, search};
use super::{House, body, reply, total, url};
use crate::{Context, Labelled, Start, Step};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::document::{Allocation, Posted};
use ledger_domain::fault::Fault;

const CREATE: &str = "create_allocation";
const OF_DAY: &str = "reconciliations_of_day";
pub(super) const RECONCILIATION: Entity =
    Entity { root: "credit_note_reconciliation", collection: "credit_note_reconciliations" };

pub(super) fn post(
    house: &House,
    allocation: &Allocation,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    let mut seen = Seen::new(seen);
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        let path = url::path_of(&context.base_url, house.root, RECONCILIATION.collection, &posted.provider_id);
        return match path {
            Some(path) => total::of_linked(house, RECONCILIATION, posted.clone(), &path, &mut seen, total_of),
            // What is linked stays linked, also where the binding has moved.
            None => Ok(Step::Done(posted.clone())),
        };
    }
    let Some(answer) = seen.answer(CREATE)? else {
        let body = body::reconciliation(house, allocation)?;
        return Ok(Step::Create(CREATE, house.create(RECONCILIATION.collection, body)));
    };
    match reply::created(house, context, RECONCILIATION, answer) {
        Created::Done(named) => {
            let posted = posted(named.url, &named.entry);
            total::of_created(house, RECONCILIATION, posted, &named.path, &mut seen, total_of)
        }
        Created::Fault(fault, _) => Err(fault),
    }
}

pub(super) fn created(house: &House, context: &Context, answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::created(house, context, RECONCILIATION, &answered.reply) {
        Created::Done(named) => Some(posted(named.url, &named.entry)),
        Created::Fault(..) => None,
    }
}

pub(super) fn find(
    house: &House,
    allocation: &Allocation,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Posted>>, Fault> {
    let day = allocation.dated_on.to_string();
    let list = List { entity: RECONCILIATION, label: OF_DAY, filter: &[("from_date", &day), ("to_date", &day)] };
    let found = search(house, &list, &mut Seen::new(seen), |entry, _| {
        let ours = entry.names("credit_note", house, context, CREDIT_NOTES.collection, &allocation.credit_note)
            && entry.names("invoice", house, context, INVOICES.collection, &allocation.invoice)
            && total_of(entry) == Some(allocation.amount)
            && entry.text("currency").is_none_or(|currency| currency == allocation.currency.as_str());
        if !ours {
            return Ok(Search::Absent);
        }
        let Some((url, _)) = entry.own_url(house, context, RECONCILIATION) else {
            return Err(Fault::broken(
                Code::AnswerUnknown,
                "The book names an allocation by a URL that is not its own.",
            ));
        };
        Ok(Search::Found(posted(url, entry)))
    })?;
    Ok(found.into())
}

/// What is set off: positive, whatever sign the book shows it with.
fn total_of(entry: &Entry<'_>) -> Option<Amount> {
    entry.amount("gross_value").map(Amount::abs)
}

fn posted(url: String, entry: &Entry<'_>) -> Posted {
    Posted { provider_id: url, reference: None, total: total_of(entry) }
}
