//! Allocations: a credit note set off against an invoice. The book gives them no reference and need not tell their id
//! (OpenAPI description), so one is known by its credit note and its invoice: `<credit note>:<invoice>`.

use super::reply::{ALLOCATIONS, CREDIT_NOTES, Element, INVOICES, Wrote};
use super::{Replies, SUMMARIZE, Sought, body, create, id, read, reply};
use crate::{Context, Labelled, Start, Step};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::document::{Allocation, Posted};
use ledger_domain::fault::Fault;

const CREATE: &str = "create_allocation";
const OF_CREDIT_NOTE: &str = "allocations_of_credit_note";
const OF_INVOICE: &str = "credit_notes_of_invoice";
const READ_TOTAL: &str = "read_total";

pub(super) fn post(
    allocation: &Allocation,
    context: &Context,
    start: &Start,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    if let Start::Linked(linked) | Start::Outdated(linked) = start {
        if linked.total.is_some() {
            return Ok(Step::Done(linked.clone()));
        }
        let Some(reply) = replies.next(READ_TOTAL)? else {
            let path = CREDIT_NOTES.path_of(&id(&allocation.credit_note)?);
            return Ok(Step::Read(READ_TOTAL, read(context, path, &[])));
        };
        if reply.status != 200 {
            return Err(reply::classify(reply, false));
        }
        let note = reply::one(CREDIT_NOTES, reply)?;
        let total = note.and_then(|note| amounts_to(&note, &id(&allocation.invoice).ok()?).into_iter().next());
        return Ok(Step::Done(Posted { total, ..linked.clone() }));
    }
    let Some(reply) = replies.next(CREATE)? else {
        let path = format!("{}/Allocations", CREDIT_NOTES.path_of(&id(&allocation.credit_note)?));
        let body = body::allocation(&allocation.invoice, allocation.amount, &allocation.currency, allocation.dated_on)?;
        return Ok(Step::Create(CREATE, create(context, path, &[SUMMARIZE], body, 0)));
    };
    match reply::wrote(ALLOCATIONS, reply) {
        Wrote::Done(element, invoice) if Ok(&invoice) == id(&allocation.invoice).as_ref() => {
            // What it does not say is asked for when somebody looks again; the amount is what was accepted.
            posted(allocation, element.amount(ALLOCATIONS.total)).map(Step::Done)
        }
        Wrote::Done(..) => Err(Fault::doubtful("The book answers an allocation with one to another invoice.")),
        Wrote::Fault(fault, _) => Err(fault),
    }
}

pub(super) fn created(allocation: &Allocation, answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::wrote(ALLOCATIONS, &answered.reply) {
        Wrote::Done(element, invoice) if Ok(&invoice) == id(&allocation.invoice).as_ref() => {
            posted(allocation, element.amount(ALLOCATIONS.total)).ok()
        }
        Wrote::Done(..) | Wrote::Fault(..) => None,
    }
}

/// Looks at what the credit note was used for; where its list doesn't account for what is gone of it, at the invoice.
pub(super) fn find(
    allocation: &Allocation,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Sought<Option<Posted>>, Fault> {
    let (credit_note, invoice) = (id(&allocation.credit_note)?, id(&allocation.invoice)?);
    let Some(reply) = replies.next(OF_CREDIT_NOTE)? else {
        return Ok(Sought::Ask(OF_CREDIT_NOTE, read(context, CREDIT_NOTES.path_of(&credit_note), &[])));
    };
    let Some(note) = reply::one(CREDIT_NOTES, reply)? else { return Err(reply::classify(reply, false)) };
    if amounts_to(&note, &invoice).contains(&allocation.amount) {
        return posted(allocation, Some(allocation.amount)).map(|posted| Sought::Known(Some(posted)));
    }
    if accounts_for_itself(&note) {
        return Ok(Sought::Known(None));
    }
    let Some(reply) = replies.next(OF_INVOICE)? else {
        return Ok(Sought::Ask(OF_INVOICE, read(context, INVOICES.path_of(&invoice), &[])));
    };
    let Some(paid) = reply::one(INVOICES, reply)? else { return Err(reply::classify(reply, false)) };
    let is_ours = |element: &Element<'_>| {
        element.guid(CREDIT_NOTES.id).as_ref() == Some(&credit_note)
            && element.amount("AppliedAmount") == Some(allocation.amount)
    };
    if paid.children("CreditNotes").iter().any(is_ours) {
        return posted(allocation, Some(allocation.amount)).map(|posted| Sought::Known(Some(posted)));
    }
    // An empty list means nothing by itself: only a figure does.
    match paid.amount("AmountCredited") {
        Some(credited) if credited < allocation.amount => Ok(Sought::Known(None)),
        Some(_) | None => Err(Fault::later(
            Code::BookUnavailable,
            None,
            "The book says that the credit note was used, and not for what.",
        )),
    }
}

/// What a credit note was set off for against an invoice.
fn amounts_to(note: &Element<'_>, invoice: &str) -> Vec<Amount> {
    let to_it = |element: &Element<'_>| {
        let is_deleted = element.flag("IsDeleted") == Some(true);
        !is_deleted && element.child("Invoice").and_then(|it| it.guid(INVOICES.id)).as_deref() == Some(invoice)
    };
    let allocations = note.children(ALLOCATIONS.list);
    allocations.iter().filter(|it| to_it(it)).filter_map(|it| it.amount(ALLOCATIONS.total)).collect()
}

/// True where what is gone of a credit note is no more than what it lists.
fn accounts_for_itself(note: &Element<'_>) -> bool {
    let (Some(total), Some(left)) = (note.amount(CREDIT_NOTES.total), note.amount("RemainingCredit")) else {
        return false;
    };
    let listed = [ALLOCATIONS.list, "Payments"].iter().flat_map(|list| note.children(list));
    let listed = listed.filter_map(|element| element.amount("Amount")).try_fold(Amount::ZERO, Amount::plus);
    match (total.minus(left), listed) {
        (Ok(used), Ok(listed)) => used <= listed,
        _ => false,
    }
}

fn posted(allocation: &Allocation, total: Option<Amount>) -> Result<Posted, Fault> {
    let provider_id = format!("{}:{}", id(&allocation.credit_note)?, id(&allocation.invoice)?);
    Ok(Posted { provider_id, reference: Some(allocation.reference.clone()), total })
}
