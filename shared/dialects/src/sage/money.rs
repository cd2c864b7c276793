//! Documents that move money: invoices, credit notes, payments, refunds, allocations. One way of posting and one of
//! looking for them all; what differs is in [`Paper`].

use super::allocation::{self, Type};
use super::reply::{self, Complaint, Created, Record};
use super::{Search, body, create, get, list, out_of_order, path_of, writing_search};
use crate::{Call, Context, Labelled, Start, Step};
use jiff::civil::Date;
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::document::{Balance, Document, ExchangeRate, Kind, Posted, Standing};
use ledger_domain::fault::{Action, Fault};
use rust_decimal::Decimal;

const READ_TOTAL: &str = "read_total";
const READ_ONE: &str = "read_candidate";
const CANDIDATES: &str = "candidates";
const READ_BALANCE: &str = "read_balance";
/// An invoice or a credit note that is read is marked as sent unless this is said (Sage Accounting API reference,
/// `mark_as_sent`): a question must not change anything.
const UNMARKED: (&str, &str) = ("mark_as_sent", "false");
/// Days around its date in which a payment is looked for: the contact that stands for many buyers has thousands.
const SEARCH_DAYS: i32 = 3;
/// How far, in hundredths, the book's total in its own currency may lie from ours before its rate is looked at: rates
/// are cut and lines are rounded singly.
const BASE_SLACK_PERCENT: i64 = 1;
/// How far, in hundredths, it may lie before the rate is wrong in any case.
const BASE_LIMIT_PERCENT: i64 = 10;

/// What is asked of one document that moves money.
struct Paper<'a> {
    kind: Kind,
    /// Path.
    collection: &'static str,
    /// Root key.
    root: &'static str,
    /// Label of the creating call.
    label: &'static str,
    /// Our reference as the book has it; `None` where the book has no field for one.
    reference: Option<String>,
    /// Our reference, whole.
    number: &'a str,
    contact: &'a str,
    /// `None` where the book doesn't show one.
    currency: Option<&'a str>,
    total: Amount,
    rate: Option<ExchangeRate>,
    /// What is set off: invoice and credit note.
    sides: Option<(&'a str, &'a str)>,
    dated_on: Date,
    /// Kind of transaction, where a collection has several.
    transaction: Option<&'static str>,
}

impl<'a> Paper<'a> {
    fn of(document: &'a Document) -> Result<Self, Fault> {
        let kind = document.kind();
        let (Some(number), Some(contact), Some(total)) = (document.number(), document.contact(), document.total())
        else {
            return Err(Fault::broken(Code::Unexpected, format!("A {} moves no money.", kind.as_str())));
        };
        let (collection, root) = place(kind)?;
        let paper = Self {
            kind,
            collection,
            root,
            label: "create_invoice",
            reference: Some(body::reference(number)),
            number,
            contact,
            currency: None,
            total,
            rate: None,
            sides: None,
            dated_on: Date::ZERO,
            transaction: None,
        };
        Ok(match document {
            Document::Invoice(it) => Self { currency: Some(it.currency.as_str()), rate: it.exchange_rate, ..paper },
            Document::CreditNote(it) => Self {
                label: "create_credit_note",
                currency: Some(it.currency.as_str()),
                rate: it.exchange_rate,
                ..paper
            },
            Document::Payment(it) => Self {
                label: "create_payment",
                reference: Some(body::payment_reference(number)),
                currency: Some(it.currency.as_str()),
                dated_on: it.dated_on,
                transaction: Some(body::RECEIPT),
                ..paper
            },
            Document::Refund(it) => Self {
                label: "create_refund",
                reference: Some(body::payment_reference(number)),
                currency: Some(it.currency.as_str()),
                dated_on: it.dated_on,
                transaction: Some(body::REFUND),
                ..paper
            },
            Document::Allocation(it) => Self {
                label: "create_allocation",
                reference: None,
                sides: Some((&it.invoice, &it.credit_note)),
                dated_on: it.dated_on,
                ..paper
            },
            Document::Contact(_) | Document::Product(_) | Document::StockMovement(_) => paper,
        })
    }

    /// Its body. `other` writes what is not documented the other way round; `allocation` is what the book calls one.
    fn body(document: &Document, context: &Context, other: bool, allocation: &str) -> Result<String, Fault> {
        match document {
            Document::Invoice(it) => body::invoice(it, context, other),
            Document::CreditNote(it) => body::credit_note(it, context, other),
            Document::Payment(it) => body::payment(it, context),
            Document::Refund(it) => body::refund(it, context, other),
            Document::Allocation(it) => body::allocation(it, allocation, context, other),
            Document::Contact(_) | Document::Product(_) | Document::StockMovement(_) => {
                Err(Fault::broken(Code::Unexpected, format!("A {} moves no money.", document.kind().as_str())))
            }
        }
    }

    /// True where a definite refusal complains of what could be written the other way round.
    fn wants_other(&self, complaints: &[Complaint]) -> bool {
        match self.kind {
            Kind::Invoice | Kind::CreditNote => complaints.iter().any(Complaint::wants_supply),
            Kind::Refund | Kind::Allocation => complaints.iter().any(Complaint::is_about_sign),
            Kind::Payment | Kind::Contact | Kind::Product | Kind::StockMovement => false,
        }
    }

    /// True where it is looked for by its date.
    fn is_dated(&self) -> bool {
        self.transaction.is_some()
    }

    fn posted(&self, id: String, total: Option<Amount>) -> Posted {
        Posted { provider_id: id, reference: Some(self.number.to_owned()), total }
    }

    /// What it shows as its total; an allocation, what it sets off on the invoice.
    fn total_of(&self, record: &Record<'_>) -> Option<Amount> {
        match self.sides {
            None => record.amount("total_amount").map(Amount::abs),
            Some((invoice, _)) => set_off(record)?
                .into_iter()
                .find(|(id, _)| id.eq_ignore_ascii_case(invoice))
                .and_then(|(_, amount)| amount)
                .map(Amount::abs),
        }
    }

    /// Refuses a document that the book reckons by the rate turned round: somebody has to see it before more go there.
    fn check_rate(&self, record: &Record<'_>) -> Result<(), Fault> {
        let (Some(rate), Some(base)) = (self.rate, record.amount("base_currency_total_amount")) else { return Ok(()) };
        if agrees(rate, self.total.value(), base.value().abs()).unwrap_or(true) {
            return Ok(());
        }
        let expected = rate.to_book(self.total, 2).map_or_else(|| "another sum".to_owned(), |sum| sum.to_string());
        Err(Fault::refused(
            Code::TotalMismatch,
            format!(
                "The book shows {} in its own currency where the shop's rate gives {expected}: it reads the exchange \
                 rate another way. Correct the document's rate in the book.",
                base.abs()
            ),
        ))
    }
}

/// What an allocation sets off: documents with amounts.
fn set_off(record: &Record<'_>) -> Option<Vec<(String, Option<Amount>)>> {
    let sides = record.records("allocated_artefacts")?;
    Some(
        sides
            .iter()
            .filter_map(|side| {
                let id = side.reference("artefact").or_else(|| side.text("artefact_id"))?;
                Some((id, side.amount("amount")))
            })
            .collect(),
    )
}

/// True where a total in the book's currency comes of the rate as we meant it. `None` where it can't be reckoned.
fn agrees(rate: ExchangeRate, total: Decimal, base: Decimal) -> Option<bool> {
    let meant = total.checked_div(rate.per_book_unit)?;
    let turned = total.checked_mul(rate.per_book_unit)?;
    let part = |percent: i64| meant.checked_mul(Decimal::from(percent))?.checked_div(Decimal::ONE_HUNDRED);
    let off = base.checked_sub(meant)?.abs();
    let off_turned = base.checked_sub(turned)?.abs();
    let slack = part(BASE_SLACK_PERCENT)?.checked_add(Decimal::new(5, 2))?;
    let limit = part(BASE_LIMIT_PERCENT)?.checked_add(Decimal::new(5, 2))?;
    Some(off <= slack || (off <= limit && off <= off_turned))
}

/// Path and root key of a kind.
fn place(kind: Kind) -> Result<(&'static str, &'static str), Fault> {
    match kind {
        Kind::Invoice => Ok(("sales_invoices", "sales_invoice")),
        Kind::CreditNote => Ok(("sales_credit_notes", "sales_credit_note")),
        Kind::Payment | Kind::Refund => Ok(("contact_payments", "contact_payment")),
        Kind::Allocation => Ok(("contact_allocations", "contact_allocation")),
        Kind::Contact | Kind::Product | Kind::StockMovement => {
            Err(Fault::broken(Code::Unexpected, format!("A {} moves no money.", kind.as_str())))
        }
    }
}

/// The question for one document.
fn question(context: &Context, kind: Kind, provider_id: &str) -> Result<Call, Fault> {
    let path = path_of(place(kind)?.0, provider_id)?;
    let unmarked: &[(&str, &str)] = if matches!(kind, Kind::Invoice | Kind::CreditNote) { &[UNMARKED] } else { &[] };
    Ok(get(context, &path, unmarked))
}

pub(super) fn post(
    document: &Document,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    let paper = Paper::of(document)?;
    let mut search = Search::new(seen);
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        if posted.total.is_some() {
            return Ok(Step::Done(posted.clone()));
        }
        // Its total is asked for because it may be wrong: no answer is no proof.
        let Some(reply) = search.answer(READ_TOTAL)? else {
            return Ok(Step::Read(READ_TOTAL, question(context, paper.kind, &posted.provider_id)?));
        };
        let record = reply::one(context, paper.root, reply)?;
        paper.check_rate(&record)?;
        return Ok(Step::Done(Posted { total: paper.total_of(&record), ..posted.clone() }));
    }
    check_lines(document)?;
    let allocation = if paper.kind == Kind::Allocation {
        match allocation::transaction_type(context, &mut search)? {
            Type::Ask(label, call) => return Ok(Step::Read(label, call)),
            Type::Known(id) => id,
        }
    } else {
        String::new()
    };
    for other in [false, true] {
        let Some(answered) = search.seen.next() else {
            let body = Paper::body(document, context, other, &allocation)?;
            return Ok(Step::Create(paper.label, create(context, paper.collection, body)));
        };
        if answered.label != paper.label {
            return Err(out_of_order(answered));
        }
        let (fault, complaints) = match reply::created(context, paper.root, &answered.reply) {
            Created::Done(id, record) => return arrived(&paper, context, id, &record, &mut search),
            Created::Fault(fault, complaints) => (fault, complaints),
        };
        if fault.action == Action::Refused && !other && paper.wants_other(&complaints) {
            continue;
        }
        if fault.code == Code::ReferenceTaken {
            return match looked_for(&paper, context, &mut search)? {
                Step::Done(Some(posted)) => Ok(Step::Done(posted)),
                Step::Done(None) => Err(fault),
                Step::Read(label, call) => Ok(Step::Read(label, call)),
                Step::Create(..) | Step::Change(..) => Err(writing_search()),
            };
        }
        return Err(fault);
    }
    Err(Fault::broken(Code::Unexpected, "A third way of writing a document."))
}

/// More lines than a book takes are refused before anything is sent.
fn check_lines(document: &Document) -> Result<(), Fault> {
    let lines = match document {
        Document::Invoice(invoice) => invoice.lines.len(),
        Document::CreditNote(note) => note.lines.len(),
        Document::Contact(_)
        | Document::Product(_)
        | Document::Payment(_)
        | Document::Allocation(_)
        | Document::Refund(_)
        | Document::StockMovement(_) => return Ok(()),
    };
    let most = super::PROFILE.rules.lines_max;
    if lines > most {
        return Err(Fault::refused(
            Code::BookRefused,
            format!("{lines} lines are more than the {most} that a book takes."),
        ));
    }
    Ok(())
}

/// It is in the book: its total is read by one more question where the answer has none, and stays unknown where that
/// has none either.
fn arrived(
    paper: &Paper<'_>,
    context: &Context,
    id: String,
    record: &Record<'_>,
    search: &mut Search<'_>,
) -> Result<Step<Posted>, Fault> {
    paper.check_rate(record)?;
    let total = paper.total_of(record);
    if total.is_some() {
        return Ok(Step::Done(paper.posted(id, total)));
    }
    let Some(reply) = search.answer(READ_TOTAL)? else {
        return Ok(Step::Read(READ_TOTAL, question(context, paper.kind, &id)?));
    };
    let total = match reply::one(context, paper.root, reply) {
        Ok(record) => {
            paper.check_rate(&record)?;
            paper.total_of(&record)
        }
        Err(fault) if fault.action == Action::Broken => return Err(fault),
        Err(_) => None,
    };
    Ok(Step::Done(paper.posted(id, total)))
}

pub(super) fn created(document: &Document, context: &Context, answered: &Labelled) -> Option<Posted> {
    let paper = Paper::of(document).ok()?;
    if answered.label != paper.label {
        return None;
    }
    match reply::created(context, paper.root, &answered.reply) {
        Created::Done(id, record) => {
            let total = paper.total_of(&record);
            Some(paper.posted(id, total))
        }
        Created::Fault(..) => None,
    }
}

pub(super) fn find(document: &Document, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
    looked_for(&Paper::of(document)?, context, &mut Search::new(seen))
}

/// What a document of the book is to us.
enum Match {
    /// Ours: equal reference, total, currency and contact.
    Ours(String, Option<Amount>),
    /// Has our reference, and is another's, or must not be taken up.
    Foreign,
    /// Nothing.
    Other,
    /// The list does not say enough.
    Unclear(String),
}

/// Looks for a document: invoices and credit notes under their reference, whoever's they are, the rest among the
/// contact's of those days, the latest first, for there is no search by reference.
fn looked_for(paper: &Paper<'_>, context: &Context, search: &mut Search<'_>) -> Result<Step<Option<Posted>>, Fault> {
    let mut foreign = false;
    let mut page = 1_usize;
    // A filter by date is described as a moment, and compares calendar dates: a book that wants those is asked by day.
    let mut by_moment = true;
    loop {
        let Some(reply) = search.answer(CANDIDATES)? else {
            return Ok(Step::Read(CANDIDATES, candidates(paper, context, page, by_moment)));
        };
        let listed = match reply::listed(context, reply) {
            Err(fault) if fault.action == Action::Refused && by_moment && page == 1 && paper.is_dated() => {
                by_moment = false;
                continue;
            }
            other => other?,
        };
        for record in &listed.items {
            let mut matched = compare(paper, record);
            if let Match::Unclear(id) = matched {
                let Some(reply) = search.answer(READ_ONE)? else {
                    return Ok(Step::Read(READ_ONE, question(context, paper.kind, &id)?));
                };
                matched = compare(paper, &reply::one(context, paper.root, reply)?);
                // Asked twice and not answered: it may be ours, so it must not be made again.
                if matches!(matched, Match::Unclear(_)) {
                    matched = Match::Foreign;
                }
            }
            match matched {
                Match::Ours(id, total) => return Ok(Step::Done(Some(paper.posted(id, total)))),
                Match::Foreign => foreign = true,
                Match::Other | Match::Unclear(_) => {}
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
            "The number is on a document with another total, currency, contact or state.",
        ));
    }
    Ok(Step::Done(None))
}

/// The question for a page of what may be it. `by_moment` writes its days as the moments at which they begin.
fn candidates(paper: &Paper<'_>, context: &Context, page: usize, by_moment: bool) -> Call {
    let mut filter: Vec<(&str, &str)> = Vec::new();
    let attributes = match paper.kind {
        Kind::Invoice | Kind::CreditNote => {
            filter.push(("search", paper.reference.as_deref().unwrap_or_default()));
            "reference,total_amount,currency,contact,status,deleted_at"
        }
        Kind::Allocation => "allocated_artefacts,transaction_type,deleted_at",
        Kind::Contact | Kind::Product | Kind::Payment | Kind::Refund | Kind::StockMovement => {
            "reference,total_amount,currency,contact,transaction_type,deleted_at"
        }
    };
    let day = |days: i32| {
        let span = jiff::Span::new().try_days(days);
        span.and_then(|span| paper.dated_on.checked_add(span)).unwrap_or(paper.dated_on).to_string()
    };
    let moment = |days: i32| format!("{}T00:00:00Z", day(days));
    let since = moment(-SEARCH_DAYS);
    let [from, to] = [-SEARCH_DAYS, SEARCH_DAYS].map(|days| if by_moment { moment(days) } else { day(days) });
    if paper.sides.is_some() {
        // There is no filter by date; it was made after what it sets off was.
        filter.extend([("contact_id", paper.contact), ("updated_or_created_since", &since)]);
        filter.push(("sort", "created_at:desc"));
    } else if let Some(transaction) = paper.transaction {
        filter.extend([("contact_id", paper.contact), ("transaction_type_id", transaction)]);
        filter.extend([("from_date", from.as_str()), ("to_date", to.as_str()), ("sort", "created_at:desc")]);
    }
    filter.push(("attributes", attributes));
    list(context, paper.collection, &filter, page)
}

fn compare(paper: &Paper<'_>, record: &Record<'_>) -> Match {
    let Some(id) = record.id() else { return Match::Other };
    if let (Some(wanted), Some(shown)) = (paper.transaction, record.reference("transaction_type"))
        && wanted != shown
    {
        return Match::Other;
    }
    if let Some((invoice, credit_note)) = paper.sides {
        return compare_sides(paper, record, id, invoice, credit_note);
    }
    match record.text("reference") {
        Some(reference) if Some(reference.trim()) == paper.reference.as_deref() => {}
        None if !record.has("reference") => return Match::Unclear(id),
        Some(_) | None => return Match::Other,
    }
    if is_withdrawn(record) {
        return Match::Foreign;
    }
    match (record.reference("contact"), record.reference("currency"), paper.total_of(record)) {
        (Some(contact), Some(currency), Some(total)) => {
            let same_contact = contact.eq_ignore_ascii_case(paper.contact);
            if same_contact && Some(currency.as_str()) == paper.currency && total == paper.total {
                Match::Ours(id, Some(total))
            } else {
                Match::Foreign
            }
        }
        _ => Match::Unclear(id),
    }
}

/// An allocation has no reference: it is ours if it sets off our amount between our two documents.
fn compare_sides(paper: &Paper<'_>, record: &Record<'_>, id: String, invoice: &str, credit_note: &str) -> Match {
    let Some(sides) = set_off(record) else { return Match::Unclear(id) };
    let has = |wanted: &str| sides.iter().any(|(id, _)| id.eq_ignore_ascii_case(wanted));
    if sides.is_empty() {
        return Match::Unclear(id);
    }
    if record.is_set("deleted_at") || !has(invoice) || !has(credit_note) {
        return Match::Other;
    }
    match paper.total_of(record) {
        Some(total) if total == paper.total => Match::Ours(id, Some(total)),
        Some(_) => Match::Other,
        None => Match::Unclear(id),
    }
}

fn is_withdrawn(record: &Record<'_>) -> bool {
    record.is_set("deleted_at") || record.reference("status").as_deref() == Some("VOID")
}

pub(super) fn balance(
    kind: Kind,
    provider_id: &str,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Balance>, Fault> {
    if !matches!(kind, Kind::Invoice | Kind::CreditNote) {
        return Err(Fault::broken(Code::Unexpected, format!("A {} has no balance.", kind.as_str())));
    }
    let Some(reply) = Search::new(seen).answer(READ_BALANCE)? else {
        return Ok(Step::Read(READ_BALANCE, question(context, kind, provider_id)?));
    };
    let record = match reply::one(context, place(kind)?.1, reply) {
        Ok(record) => record,
        // The book's own word that there is none: a draft that was deleted leaves nothing behind.
        Err(fault) if reply.status == 404 && fault.evidence.provider_code.as_deref() == Some("RecordNotFound") => {
            return Ok(Step::Done(Balance { standing: Standing::Withdrawn, outstanding: Amount::ZERO }));
        }
        Err(fault) => return Err(fault),
    };
    let unreadable =
        || Fault::later(Code::BookUnavailable, None, "The book does not say what is left of the document.");
    let standing = match record.reference("status").as_deref() {
        _ if is_withdrawn(&record) => Standing::Withdrawn,
        Some("DRAFT" | "PRO_FORMA") => Standing::Unapproved,
        Some(_) => Standing::Approved,
        None => return Err(unreadable()),
    };
    let outstanding = match record.amount("outstanding_amount") {
        Some(outstanding) => outstanding.abs(),
        None if standing == Standing::Withdrawn => Amount::ZERO,
        None => return Err(unreadable()),
    };
    Ok(Step::Done(Balance { standing, outstanding }))
}
