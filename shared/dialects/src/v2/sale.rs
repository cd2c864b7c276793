//! Invoices and credit notes: known by our number as `reference`, found through their contact. Where a house makes drafts of
//! them, they are marked as sent once they are there.

use super::contact::CONTACT;
use super::reply::{Complaint, Created, Entity, Entry, changed};
use super::search::{List, Search, Seen, search};
use super::vat::VatStatus;
use super::{House, Opens, body, reply, total, unsupported, url};
use crate::{Call, Context, Labelled, Method, Start, Step};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::document::{Balance, CreditNote, DocumentStatus, Kind, Posted, SalesInvoice, Standing};
use ledger_domain::fault::{Action, Fault};

const READ_STANDING: &str = "read_standing";
const READ_BALANCE: &str = "read_balance";
const MARK_AS_SENT: &str = "mark_as_sent";
/// Times that a document is marked as sent before the book's no is believed: a new one may not be ready at once.
const MARKS_MAX: usize = 2;

/// Invoices.
pub(super) const INVOICES: Entity = Entity { root: "invoice", collection: "invoices" };
/// Credit notes.
pub(super) const CREDIT_NOTES: Entity = Entity { root: "credit_note", collection: "credit_notes" };

/// What an invoice and a credit note have in common.
pub(super) struct Sale<'a> {
    entity: Entity,
    /// Labels of its creating call, of its contact's list and of itself.
    labels: [&'static str; 3],
    number: &'a str,
    contact: &'a str,
    currency: &'a str,
    total: Amount,
    status: DocumentStatus,
    lines: usize,
    document: SaleDocument<'a>,
}

/// The document itself.
enum SaleDocument<'a> {
    Invoice(&'a SalesInvoice),
    CreditNote(&'a CreditNote),
}

impl<'a> From<&'a SalesInvoice> for Sale<'a> {
    fn from(invoice: &'a SalesInvoice) -> Self {
        Self {
            entity: INVOICES,
            labels: ["create_invoice", "invoices_of_contact", "read_invoice"],
            number: &invoice.number,
            contact: &invoice.contact,
            currency: invoice.currency.as_str(),
            total: invoice.total,
            status: invoice.status,
            lines: invoice.lines.len(),
            document: SaleDocument::Invoice(invoice),
        }
    }
}

impl<'a> From<&'a CreditNote> for Sale<'a> {
    fn from(note: &'a CreditNote) -> Self {
        Self {
            entity: CREDIT_NOTES,
            labels: ["create_credit_note", "credit_notes_of_contact", "read_credit_note"],
            number: &note.number,
            contact: &note.contact,
            currency: note.currency.as_str(),
            total: note.total,
            status: note.status,
            lines: note.lines.len(),
            document: SaleDocument::CreditNote(note),
        }
    }
}

pub(super) fn post(
    house: &House,
    sale: &Sale<'_>,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    let mut seen = Seen::new(seen);
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        let path = url::path_of(&context.base_url, house.root, sale.entity.collection, &posted.provider_id);
        return match path {
            Some(path) => taken_up(house, sale, posted.clone(), &path, &mut seen),
            // What is linked stays linked, also where the binding has moved.
            None => Ok(Step::Done(posted.clone())),
        };
    }
    let [create, ..] = sale.labels;
    let mut vat = vat_status(house, sale, context);
    let Some(mut answer) = seen.answer(create)? else {
        may_be_posted(house, sale)?;
        return Ok(Step::Create(create, house.create(sale.entity.collection, body(house, sale, vat)?)));
    };
    // The book's list may have the country under its other name.
    if let Created::Fault(fault, complaints) = reply::created(house, context, sale.entity, answer)
        && fault.action == Action::Refused
        && complaints.iter().any(|complaint| complaint.is_about("place_of_supply"))
        && let Some(other) = vat.and_then(VatStatus::named_otherwise)
    {
        vat = Some(other);
        answer = match seen.answer(create)? {
            Some(answer) => answer,
            None => return Ok(Step::Create(create, house.create(sale.entity.collection, body(house, sale, vat)?))),
        };
    }
    let fault = match reply::created(house, context, sale.entity, answer) {
        Created::Done(named) => {
            let posted = posted(sale, named.url, total_of(&named.entry));
            let is_draft = match named.entry.text("status") {
                Some(_) => is_draft(&named.entry),
                None => house.opens == Opens::AsSent,
            };
            return if is_draft && sale.status == DocumentStatus::Approved {
                marked(house, sale, posted, &named.path, &mut seen)
            } else {
                total::of_created(house, sale.entity, posted, &named.path, &mut seen, total_of)
            };
        }
        Created::Fault(fault, complaints) if is_duplicate(&complaints) => fault,
        Created::Fault(fault, _) => return Err(fault),
    };
    match look(house, sale, context, &mut seen)? {
        Search::Found((posted, path)) => taken_up(house, sale, posted, &path, &mut seen),
        Search::Ask(label, call) => Ok(Step::Read(label, call)),
        Search::Absent => Err(taken("The number is on a document of another contact.").with(fault.evidence)),
    }
}

fn vat_status(house: &House, sale: &Sale<'_>, context: &Context) -> Option<VatStatus> {
    let (destination, lines) = match &sale.document {
        SaleDocument::Invoice(invoice) => (&invoice.destination, &invoice.lines),
        SaleDocument::CreditNote(note) => (&note.destination, &note.lines),
    };
    body::vat_status(house, context, destination.as_deref(), lines)
}

fn body(house: &House, sale: &Sale<'_>, vat: Option<VatStatus>) -> Result<String, Fault> {
    match &sale.document {
        SaleDocument::Invoice(invoice) => body::invoice(house, invoice, vat),
        SaleDocument::CreditNote(note) => body::credit_note(house, note, vat),
    }
}

/// What a house could only refuse, or would not do as it was asked.
fn may_be_posted(house: &House, sale: &Sale<'_>) -> Result<(), Fault> {
    let most = house.profile.rules.lines_max;
    if sale.lines > most {
        return Err(Fault::refused(
            Code::BookRefused,
            format!("{} lines are more than the {most} that a book takes.", sale.lines),
        ));
    }
    if house.opens == Opens::AsCreated && sale.status != DocumentStatus::Approved {
        return Err(Fault::refused(
            Code::SettingsInvalid,
            "The book opens every document at once: it keeps none as a draft or for approval.",
        ));
    }
    Ok(())
}

pub(super) fn created(house: &House, sale: &Sale<'_>, context: &Context, answered: &Labelled) -> Option<Posted> {
    let [create, ..] = sale.labels;
    if answered.label != create {
        return None;
    }
    match reply::created(house, context, sale.entity, &answered.reply) {
        Created::Done(named) => Some(posted(sale, named.url, total_of(&named.entry))),
        Created::Fault(..) => None,
    }
}

fn posted(sale: &Sale<'_>, provider_id: String, total: Option<Amount>) -> Posted {
    Posted { provider_id, reference: Some(sale.number.to_owned()), total }
}

/// The total, without the sign that credit notes have (FreeAgent API docs, credit notes).
fn total_of(entry: &Entry<'_>) -> Option<Amount> {
    entry.amount("total_value").map(Amount::abs)
}

fn is_duplicate(complaints: &[Complaint]) -> bool {
    complaints.iter().any(|complaint| complaint.says_taken("reference"))
}

/// A document that was there before this attempt: its total is read where it may be wrong, and it may still be a draft.
fn taken_up(
    house: &House,
    sale: &Sale<'_>,
    posted: Posted,
    path: &str,
    seen: &mut Seen<'_>,
) -> Result<Step<Posted>, Fault> {
    // Whether a credit note is open as created is not described of a house that opens invoices so.
    let may_be_draft = house.opens == Opens::AsSent || matches!(sale.document, SaleDocument::CreditNote(_));
    if !may_be_draft || sale.status != DocumentStatus::Approved {
        return total::of_linked(house, sale.entity, posted, path, seen, total_of);
    }
    let Some(answer) = seen.answer(READ_STANDING)? else {
        return Ok(Step::Read(READ_STANDING, Call::get(path.to_owned())));
    };
    let entry = reply::one(house, sale.entity, answer)?;
    let posted = Posted { total: total_of(&entry).or(posted.total), ..posted };
    if is_draft(&entry) { marked(house, sale, posted, path, seen) } else { Ok(Step::Done(posted)) }
}

/// Marks a draft as sent. It may be done again at will; what a book says to that is not documented, so that it is asked how
/// the document stands whenever the answer is not a plain yes.
fn marked(
    house: &House,
    sale: &Sale<'_>,
    mut posted: Posted,
    path: &str,
    seen: &mut Seen<'_>,
) -> Result<Step<Posted>, Fault> {
    let mut fault = None;
    for _ in 0..MARKS_MAX {
        let Some(answer) = seen.answer(MARK_AS_SENT)? else {
            let call = Call { method: Method::Put, ..Call::get(format!("{path}/transitions/{MARK_AS_SENT}")) };
            return Ok(Step::Change(MARK_AS_SENT, call));
        };
        if changed(answer) {
            return total::of_created(house, sale.entity, posted, path, seen, total_of);
        }
        // It may be repeated, so that no answer is no doubt.
        let no = reply::classify(house, answer, false);
        if no.action == Action::Reconnect || matches!(no.code, Code::BookRateLimited | Code::BookDayLimit) {
            return Err(no);
        }
        fault = Some(no);
        let Some(answer) = seen.answer(READ_STANDING)? else {
            return Ok(Step::Read(READ_STANDING, Call::get(path.to_owned())));
        };
        let entry = reply::one(house, sale.entity, answer)?;
        posted.total = total_of(&entry).or(posted.total);
        if !is_draft(&entry) {
            return Ok(Step::Done(posted));
        }
    }
    Err(fault.unwrap_or_else(|| Fault::broken(Code::Unexpected, "The document was never marked as sent.")))
}

pub(super) fn find(
    house: &House,
    sale: &Sale<'_>,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Posted>>, Fault> {
    Ok(match look(house, sale, context, &mut Seen::new(seen))? {
        Search::Found((posted, _)) => Step::Done(Some(posted)),
        Search::Ask(label, call) => Step::Read(label, call),
        Search::Absent => Step::Done(None),
    })
}

/// What a document with our number is to us.
enum Match {
    /// Ours: equal total, currency and contact.
    Ours(Amount),
    /// Another's, or one that must not be taken up.
    Foreign,
    /// The list does not say enough.
    Unclear,
}

/// Looks for our document among those of its contact, the latest first: there is no search by reference (FreeAgent API
/// docs, invoices). Finds it with its call path.
fn look(
    house: &House,
    sale: &Sale<'_>,
    context: &Context,
    seen: &mut Seen<'_>,
) -> Result<Search<(Posted, String)>, Fault> {
    let [_, of_contact, read] = sale.labels;
    let filter = [("contact", sale.contact), ("sort", "-created_at")];
    let list = List { entity: sale.entity, label: of_contact, filter: &filter };
    let mut foreign = false;
    let found = search(house, &list, seen, |entry, seen| {
        if entry.text("reference").as_deref().map(str::trim) != Some(sale.number.trim()) {
            return Ok(Search::Absent);
        }
        let Some((url, path)) = entry.own_url(house, context, sale.entity) else {
            return Err(Fault::broken(Code::AnswerUnknown, "The book names a document by a URL that is not its own."));
        };
        let mut matched = compare(house, sale, context, entry);
        if matches!(matched, Match::Unclear) {
            let Some(answer) = seen.answer(read)? else { return Ok(Search::Ask(read, Call::get(path))) };
            matched = compare(house, sale, context, &reply::one(house, sale.entity, answer)?);
        }
        match matched {
            Match::Ours(total) => Ok(Search::Found((posted(sale, url, Some(total)), path))),
            Match::Foreign | Match::Unclear => {
                foreign = true;
                Ok(Search::Absent)
            }
        }
    })?;
    match found {
        Search::Absent if foreign => Err(taken("The number is on a document with another total, currency or state.")),
        it @ (Search::Found(_) | Search::Ask(..) | Search::Absent) => Ok(it),
    }
}

fn compare(house: &House, sale: &Sale<'_>, context: &Context, entry: &Entry<'_>) -> Match {
    if standing(entry) == Standing::Withdrawn {
        return Match::Foreign;
    }
    match (entry.text("contact"), entry.text("currency"), total_of(entry)) {
        (Some(contact), Some(currency), Some(total)) => {
            let same_contact = url::same(&context.base_url, house.root, CONTACT.collection, &contact, sale.contact);
            if same_contact && currency == sale.currency && total == sale.total.abs() {
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

/// Where a document stands by the book's word for it (FreeAgent API docs, invoices and credit notes). One without a word, or
/// with an unknown one, is booked: open, overdue, paid, refunded and so on are many, the others few.
fn standing(entry: &Entry<'_>) -> Standing {
    let status = entry.text("status").unwrap_or_default().to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| status.contains(word));
    if has(&["cancel", "written", "void", "delete"]) {
        Standing::Withdrawn
    } else if has(&["draft", "scheduled"]) {
        Standing::Unapproved
    } else {
        Standing::Approved
    }
}

/// A draft, and not one that somebody has scheduled to be sent.
fn is_draft(entry: &Entry<'_>) -> bool {
    entry.text("status").is_some_and(|status| status.eq_ignore_ascii_case("draft"))
}

pub(super) fn balance(
    house: &House,
    kind: Kind,
    provider_id: &str,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Balance>, Fault> {
    let entity = match kind {
        Kind::Invoice => INVOICES,
        Kind::CreditNote => CREDIT_NOTES,
        Kind::Contact | Kind::Product | Kind::Payment | Kind::Allocation | Kind::Refund | Kind::StockMovement => {
            return Err(unsupported(kind));
        }
    };
    let Some(path) = url::path_of(&context.base_url, house.root, entity.collection, provider_id) else {
        return Err(Fault::refused(
            Code::BookRefused,
            "The document is not one of this book: its address is another's.",
        ));
    };
    let Some(answer) = Seen::new(seen).answer(READ_BALANCE)? else {
        return Ok(Step::Read(READ_BALANCE, Call::get(path)));
    };
    let entry = match reply::one(house, entity, answer) {
        Ok(entry) => entry,
        // In the book's own words: it was deleted there.
        Err(fault) if answer.status == 404 && fault.action == Action::Refused => {
            return Ok(Step::Done(Balance { standing: Standing::Withdrawn, outstanding: Amount::ZERO }));
        }
        Err(fault) => return Err(fault),
    };
    let outstanding = outstanding(&entry).ok_or_else(|| reply::classify(house, answer, false))?;
    Ok(Step::Done(Balance { standing: standing(&entry), outstanding }))
}

/// What is left: `due_value`, else the total less what was paid. Both have the total's sign, and nothing is left of what has
/// the other one: that much was paid too much.
fn outstanding(entry: &Entry<'_>) -> Option<Amount> {
    let total = entry.amount("total_value");
    let paid = || total?.minus(entry.amount("paid_value")?).ok();
    let due = entry.amount("due_value").or_else(paid)?;
    let negative = total.is_some_and(|total| total < Amount::ZERO);
    let due = if negative { due.negated() } else { due };
    Some(if due > Amount::ZERO { due } else { Amount::ZERO })
}
