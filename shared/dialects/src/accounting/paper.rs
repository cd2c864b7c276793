//! Invoices and credit notes: the same document twice, but for the names of three fields.

use super::reply::{CREDIT_NOTES, Element, INVOICES, Meaning, Resource, Wrote};
use super::{Replies, SUMMARIZE, Sought, UNIT_PLACES, body, create, id, page_of, read, reply, text, unsupported};
use crate::{Call, Context, Labelled, Start, Step};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::document::{Balance, CreditNote, Kind, Posted, SalesInvoice, Standing};
use ledger_domain::fault::Fault;

const READ_TOTAL: &str = "read_total";
const READ_BALANCE: &str = "read_balance";
const READ_DOCUMENT: &str = "read_document";
const BY_NUMBER: &str = "by_number";
const BY_NUMBER_AND_TYPE: &str = "by_number_and_type";

/// An invoice or a credit note.
pub(super) struct Paper<'a> {
    of: Of<'a>,
    resource: Resource,
    number: &'a str,
    /// The field of the number.
    number_field: &'static str,
    r#type: &'static str,
    contact: &'a str,
    currency: &'a str,
    total: Amount,
    /// Label of the creating call.
    create: &'static str,
}

enum Of<'a> {
    Invoice(&'a SalesInvoice),
    CreditNote(&'a CreditNote),
}

impl<'a> From<&'a SalesInvoice> for Paper<'a> {
    fn from(invoice: &'a SalesInvoice) -> Self {
        Self {
            of: Of::Invoice(invoice),
            resource: INVOICES,
            number: &invoice.number,
            number_field: "InvoiceNumber",
            r#type: "ACCREC",
            contact: &invoice.contact,
            currency: invoice.currency.as_str(),
            total: invoice.total,
            create: "create_invoice",
        }
    }
}

impl<'a> From<&'a CreditNote> for Paper<'a> {
    fn from(note: &'a CreditNote) -> Self {
        Self {
            of: Of::CreditNote(note),
            resource: CREDIT_NOTES,
            number: &note.number,
            number_field: "CreditNoteNumber",
            r#type: "ACCRECCREDIT",
            contact: &note.contact,
            currency: note.currency.as_str(),
            total: note.total,
            create: "create_credit_note",
        }
    }
}

impl Paper<'_> {
    fn creating(&self, context: &Context) -> Result<Call, Fault> {
        let body = match self.of {
            Of::Invoice(invoice) => body::invoice(invoice)?,
            Of::CreditNote(note) => body::credit_note(note)?,
        };
        Ok(create(context, self.resource.path(), &[SUMMARIZE, UNIT_PLACES], body, 0))
    }

    fn posted(&self, provider_id: String, total: Option<Amount>) -> Posted {
        Posted { provider_id, reference: Some(self.number.to_owned()), total }
    }
}

pub(super) fn post(
    paper: &Paper<'_>,
    context: &Context,
    start: &Start,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        return linked(paper.resource, posted, context, replies);
    }
    let Some(reply) = replies.next(paper.create)? else {
        return Ok(Step::Create(paper.create, paper.creating(context)?));
    };
    let fault = match reply::wrote(paper.resource, reply) {
        Wrote::Done(element, id) => {
            let posted = paper.posted(id, element.amount(paper.resource.total));
            return match posted.total {
                Some(_) => Ok(Step::Done(posted)),
                None => with_total(paper.resource, posted, context, replies),
            };
        }
        Wrote::Fault(fault, meanings) if meanings.contains(&Meaning::NumberTaken) => fault,
        Wrote::Fault(fault, _) => return Err(fault),
    };
    match find(paper, context, replies)? {
        Sought::Ask(label, call) => Ok(Step::Read(label, call)),
        Sought::Known(Some(posted)) => Ok(Step::Done(posted)),
        Sought::Known(None) => {
            Err(taken("The number is taken in the book, by a document that it does not show.").with(fault.evidence))
        }
    }
}

pub(super) fn created(paper: &Paper<'_>, answered: &Labelled) -> Option<Posted> {
    if answered.label != paper.create {
        return None;
    }
    match reply::wrote(paper.resource, &answered.reply) {
        Wrote::Done(element, id) => Some(paper.posted(id, element.amount(paper.resource.total))),
        Wrote::Fault(..) => None,
    }
}

/// A document of any kind that is in the book: only its total may be asked for. It may be wrong, so no answer is no proof.
pub(super) fn linked(
    resource: Resource,
    posted: &Posted,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    let Some(id) = text::guid(&posted.provider_id).filter(|_| posted.total.is_none()) else {
        return Ok(Step::Done(posted.clone()));
    };
    let Some(reply) = replies.next(READ_TOTAL)? else {
        return Ok(Step::Read(READ_TOTAL, read(context, resource.path_of(&id), &[])));
    };
    if reply.status != 200 {
        return Err(reply::classify(reply, false));
    }
    Ok(Step::Done(Posted { total: total(resource, reply), ..posted.clone() }))
}

/// Reads the total by one question. A document that is in the book stays there whatever comes back.
pub(super) fn with_total(
    resource: Resource,
    posted: Posted,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    match replies.next(READ_TOTAL)? {
        None => Ok(Step::Read(READ_TOTAL, read(context, resource.path_of(&posted.provider_id), &[]))),
        Some(reply) => Ok(Step::Done(Posted { total: total(resource, reply), ..posted })),
    }
}

fn total(resource: Resource, reply: &crate::Reply) -> Option<Amount> {
    reply::one(resource, reply).ok().flatten()?.amount(resource.total)
}

/// What a document with our number is to us.
enum Match {
    /// Ours: equal total, currency and contact.
    Ours(Posted),
    /// Another's, or one that must not be taken up.
    Foreign,
    /// The reply does not say enough; the document itself may, under this id.
    Unclear(String),
}

/// Looks for the document by its number.
pub(super) fn find(
    paper: &Paper<'_>,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Sought<Option<Posted>>, Fault> {
    let Some(reply) = replies.next(BY_NUMBER)? else { return Ok(Sought::Ask(BY_NUMBER, by_number(paper, context))) };
    let mut elements = match paper.of {
        Of::Invoice(_) => reply::list(paper.resource.list, reply)?.elements,
        Of::CreditNote(_) => reply::one(paper.resource, reply)?.into_iter().collect(),
    };
    // A supplier's credit note may have the number too, and then a path shows only one of the two.
    let is_suppliers =
        |element: &Element<'_>| element.text("Type").is_some_and(|it| !it.eq_ignore_ascii_case(paper.r#type));
    if matches!(paper.of, Of::CreditNote(_)) && elements.iter().any(is_suppliers) {
        let Some(reply) = replies.next(BY_NUMBER_AND_TYPE)? else {
            let filter =
                format!("Type==\"{}\" AND {}=={}", paper.r#type, paper.number_field, text::quoted(paper.number));
            return Ok(Sought::Ask(BY_NUMBER_AND_TYPE, page_of(context, &paper.resource.path(), &filter, 0)));
        };
        elements = reply::list(paper.resource.list, reply)?.elements;
    }
    let mut foreign = false;
    for element in elements.iter().filter(|element| !is_suppliers(element)) {
        if element.text(paper.number_field).as_deref().map(str::trim) != Some(paper.number.trim()) {
            continue;
        }
        let mut matched = compare(paper, element)?;
        if let Match::Unclear(id) = &matched {
            let Some(reply) = replies.next(READ_DOCUMENT)? else {
                return Ok(Sought::Ask(READ_DOCUMENT, read(context, paper.resource.path_of(id), &[])));
            };
            if let Some(element) = reply::one(paper.resource, reply)? {
                matched = compare(paper, &element)?;
            }
        }
        match matched {
            Match::Ours(posted) => return Ok(Sought::Known(Some(posted))),
            Match::Foreign | Match::Unclear(_) => foreign = true,
        }
    }
    if foreign {
        return Err(taken("The number is on a document with another total, currency, contact or state."));
    }
    Ok(Sought::Known(None))
}

/// Invoices by the list form, which knows suppliers' invoices apart, unless the number has its separator in it; credit
/// notes by path, because their number is no filter that the API can use its index for (Xero API docs, credit notes).
fn by_number(paper: &Paper<'_>, context: &Context) -> Call {
    match paper.of {
        Of::Invoice(_) if paper.number.contains(',') => {
            let filter = format!("{}=={}", paper.number_field, text::quoted(paper.number));
            page_of(context, &paper.resource.path(), &filter, 0)
        }
        Of::Invoice(_) => read(context, paper.resource.path(), &[("InvoiceNumbers", paper.number.to_owned())]),
        Of::CreditNote(_) => read(context, paper.resource.path_of(paper.number), &[]),
    }
}

fn compare(paper: &Paper<'_>, element: &Element<'_>) -> Result<Match, Fault> {
    let Some(found) = element.guid(paper.resource.id) else {
        return Err(Fault::broken(Code::AnswerUnknown, "The book names a document by what is no id."));
    };
    if standing(element) == Some(Standing::Withdrawn) {
        return Ok(Match::Foreign);
    }
    let contact = element.child("Contact").and_then(|contact| contact.guid("ContactID"));
    match (contact, element.text("CurrencyCode"), element.amount(paper.resource.total)) {
        (Some(contact), Some(currency), Some(total)) => {
            let same_contact = Some(contact) == text::guid(paper.contact);
            let is_ours = same_contact && currency == paper.currency && total == paper.total;
            Ok(if is_ours { Match::Ours(paper.posted(found, Some(total))) } else { Match::Foreign })
        }
        _ => Ok(Match::Unclear(found)),
    }
}

/// Where a document stands; `None` for a status that is none.
pub(super) fn standing(element: &Element<'_>) -> Option<Standing> {
    match element.text("Status")?.to_ascii_uppercase().as_str() {
        "DRAFT" | "SUBMITTED" => Some(Standing::Unapproved),
        "AUTHORISED" | "PAID" => Some(Standing::Approved),
        "VOIDED" | "DELETED" => Some(Standing::Withdrawn),
        _ => None,
    }
}

/// What is left of an invoice or a credit note, by the document's own figure and never by the payments that it lists.
pub(super) fn balance(
    kind: Kind,
    provider_id: &str,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Step<Balance>, Fault> {
    let (resource, left) = match kind {
        Kind::Invoice => (INVOICES, "AmountDue"),
        Kind::CreditNote => (CREDIT_NOTES, "RemainingCredit"),
        Kind::Contact | Kind::Product | Kind::Payment | Kind::Allocation | Kind::Refund | Kind::StockMovement => {
            return Err(unsupported(kind));
        }
    };
    let Some(reply) = replies.next(READ_BALANCE)? else {
        return Ok(Step::Read(READ_BALANCE, read(context, resource.path_of(&id(provider_id)?), &[])));
    };
    // That it is gone is for a person to know: the classification says it.
    let Some(element) = reply::one(resource, reply)? else { return Err(reply::classify(reply, false)) };
    let unreadable = || reply::classify(reply, false);
    let standing = standing(&element).ok_or_else(unreadable)?;
    let outstanding = match (standing, element.amount(left)) {
        (_, Some(amount)) => amount,
        (Standing::Withdrawn, None) => Amount::ZERO,
        // Nothing is booked of it yet: all of it is left.
        (Standing::Unapproved, None) => element.amount(resource.total).ok_or_else(unreadable)?,
        (Standing::Approved, None) => return Err(unreadable()),
    };
    Ok(Step::Done(Balance { standing, outstanding }))
}

fn taken(message: &str) -> Fault {
    Fault::refused(Code::ReferenceTaken, message)
}
