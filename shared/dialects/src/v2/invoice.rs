//! Sales invoices: open as created, known by our number as `reference`, found through their contact.

use super::contact::CONTACT;
use super::reply::{Complaint, Created, Entity, Entry, Named};
use super::{House, body, out_of_order, read, reply, url};
use crate::{Context, Labelled, Start, Step};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::document::{Posted, SalesInvoice};
use ledger_domain::fault::Fault;

const CREATE: &str = "create_invoice";
const READ_TOTAL: &str = "read_total";
const OF_CONTACT: &str = "invoices_of_contact";
const READ_INVOICE: &str = "read_invoice";
const INVOICE: Entity = Entity { root: "invoice", collection: "invoices" };

pub(super) fn post(
    house: &House,
    invoice: &SalesInvoice,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        // Its total is asked for because it may be wrong: no answer is no proof.
        if let Some(answered) = seen.first().filter(|it| it.reply.status != 200) {
            return Err(reply::classify(&answered.reply, false));
        }
        let path = url::path_of(&context.base_url, house.root, INVOICE.collection, &posted.provider_id);
        return match path {
            Some(path) if posted.total.is_none() => with_total(posted.clone(), path, seen),
            // What is linked stays linked, also where the binding has moved.
            _ => Ok(Step::Done(posted.clone())),
        };
    }
    let Some((first, rest)) = seen.split_first() else {
        if invoice.lines.len() > house.profile.rules.lines_max {
            return Err(Fault::refused(
                Code::BookRefused,
                format!(
                    "{} lines are more than the {} that a book takes.",
                    invoice.lines.len(),
                    house.profile.rules.lines_max
                ),
            ));
        }
        return Ok(Step::Create(CREATE, house.create(INVOICE.collection, body::invoice(house, invoice)?)));
    };
    if first.label != CREATE {
        return Err(out_of_order(first));
    }
    let fault = match reply::created(house, context, INVOICE, &first.reply) {
        Created::Done(named) => {
            let posted = posted(invoice, &named);
            return match posted.total {
                Some(_) => Ok(Step::Done(posted)),
                None => with_total(posted, named.path, rest),
            };
        }
        Created::Fault(fault, complaints) if is_duplicate(&complaints) => fault,
        Created::Fault(fault, _) => return Err(fault),
    };
    match find(house, invoice, context, rest)? {
        Step::Done(Some(posted)) => Ok(Step::Done(posted)),
        Step::Done(None) => Err(taken("The number is on an invoice of another contact.").with(fault.evidence)),
        Step::Read(label, call) => Ok(Step::Read(label, call)),
        Step::Create(..) | Step::Change(..) => Err(Fault::broken(Code::Unexpected, "A search that writes.")),
    }
}

pub(super) fn created(house: &House, invoice: &SalesInvoice, context: &Context, answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::created(house, context, INVOICE, &answered.reply) {
        Created::Done(named) => Some(posted(invoice, &named)),
        Created::Fault(..) => None,
    }
}

fn posted(invoice: &SalesInvoice, named: &Named) -> Posted {
    Posted { provider_id: named.url.clone(), reference: Some(invoice.number.clone()), total: named.total }
}

fn is_duplicate(complaints: &[Complaint]) -> bool {
    complaints.iter().any(|complaint| complaint.says_taken("reference"))
}

/// Reads the total by one question. A document that is in the book stays there whatever comes back.
fn with_total(posted: Posted, path: String, seen: &[Labelled]) -> Result<Step<Posted>, Fault> {
    match seen.first() {
        None => Ok(Step::Read(READ_TOTAL, read(path))),
        Some(labelled) if labelled.label == READ_TOTAL => {
            let total = reply::one(INVOICE, &labelled.reply).and_then(|entry| entry.total);
            Ok(Step::Done(Posted { total, ..posted }))
        }
        Some(labelled) => Err(out_of_order(labelled)),
    }
}

/// What an invoice with our number is to us.
enum Match {
    /// Ours: equal total, currency and contact.
    Ours(Amount),
    /// Another's, or one that must not be taken up.
    Foreign,
    /// The list does not say enough.
    Unclear,
}

/// Looks for our invoice among those of its contact, the latest first: there is no search by reference (FreeAgent API
/// docs, invoices).
pub(super) fn find(
    house: &House,
    invoice: &SalesInvoice,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Posted>>, Fault> {
    let mut page = 0;
    let mut first_page = 0;
    let mut foreign = false;
    let mut seen = seen.iter();
    while let Some(labelled) = seen.next() {
        if labelled.label != OF_CONTACT {
            return Err(out_of_order(labelled));
        }
        let entries = reply::list(INVOICE, &labelled.reply)?;
        let is_ours = |entry: &&Entry| entry.reference.as_deref().map(str::trim) == Some(invoice.number.trim());
        for entry in entries.iter().filter(is_ours) {
            let url = entry.url.clone().unwrap_or_default();
            let Some(path) = url::path_of(&context.base_url, house.root, INVOICE.collection, &url) else {
                return Err(Fault::broken(
                    Code::AnswerUnknown,
                    "The book names an invoice by a URL that is not its own.",
                ));
            };
            let mut matched = compare(house, invoice, context, entry);
            if matches!(matched, Match::Unclear) {
                let Some(labelled) = seen.next() else { return Ok(Step::Read(READ_INVOICE, read(path))) };
                if labelled.label != READ_INVOICE {
                    return Err(out_of_order(labelled));
                }
                let entry =
                    reply::one(INVOICE, &labelled.reply).ok_or_else(|| reply::classify(&labelled.reply, false))?;
                matched = compare(house, invoice, context, &entry);
            }
            match matched {
                Match::Ours(total) => {
                    let reference = Some(invoice.number.clone());
                    return Ok(Step::Done(Some(Posted { provider_id: url, reference, total: Some(total) })));
                }
                Match::Foreign | Match::Unclear => foreign = true,
            }
        }
        if page == 0 {
            first_page = entries.len();
        }
        match house.next_page(page, entries.len(), first_page)? {
            Some(next) => page = next,
            None if foreign => {
                return Err(taken("The number is on an invoice with another total, currency or state."));
            }
            None => return Ok(Step::Done(None)),
        }
    }
    let filter = [("contact", invoice.contact.as_str()), ("sort", "-created_at")];
    Ok(Step::Read(OF_CONTACT, house.page(INVOICE.collection, &filter, page)))
}

fn compare(house: &House, invoice: &SalesInvoice, context: &Context, entry: &Entry) -> Match {
    let withdrawn = |status: &str| {
        let status = status.to_lowercase();
        ["cancel", "written", "void", "delete"].iter().any(|word| status.contains(word))
    };
    if entry.status.as_deref().is_some_and(withdrawn) {
        return Match::Foreign;
    }
    match (&entry.contact, &entry.currency, entry.total) {
        (Some(contact), Some(currency), Some(total)) => {
            let same_contact = url::same(&context.base_url, house.root, CONTACT.collection, contact, &invoice.contact);
            if same_contact && currency == invoice.currency.as_str() && total == invoice.total {
                Match::Ours(total)
            } else {
                Match::Foreign
            }
        }
        _ => Match::Unclear,
    }
}

fn taken(message: &str) -> Fault {
    Fault::refused(Code::ReferenceTaken, message)
}
