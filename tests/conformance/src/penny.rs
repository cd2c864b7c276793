//! Lives of orders through a dialect: what the book shows is what the shop counted, to the penny, or it is refused as
//! foretold.

use crate::books::Stage;
use crate::drive::{Drive, Failed};
use crate::lives::{Fate, Life, Lives, Raised, RaisedKind};
use ledger_dialects::Start;
use ledger_domain::amount::{Amount, Currency, round_half_away};
use ledger_domain::book::TaxRounding;
use ledger_domain::canonical::{Invoice, PaymentInfo};
use ledger_domain::code::Code;
use ledger_domain::document::{CreditNote, Document, Kind, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::mapping;
use ledger_domain::proof::places_of;
use ledger_domain::settings::Settings;
use ledger_wire::magento;
use ledger_world::statement::Statement;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Lives that one shop and one book see before fresh ones are opened, so that nothing grows slow.
const LIVES_PER_BOOK: u64 = 100;
/// Of a hundred documents, the most that may be refused, all of them foretold.
pub const REFUSED_PERCENT_MAX: u64 = 5;
/// Failures that are told.
const TOLD_MAX: usize = 12;

/// What came of many lives.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Documents.
    pub cases: u64,
    /// In the book to the penny.
    pub posted: u64,
    /// Refused as foretold.
    pub refused: u64,
    /// Neither.
    pub failed: u64,
    /// Payments, allocations and refunds that the books show.
    pub moved: u64,
    /// The first failures.
    pub told: Vec<String>,
}

impl Tally {
    fn fails(&mut self, life: u64, raised: &Raised, why: &str) {
        self.failed = self.failed.saturating_add(1);
        if self.told.len() < TOLD_MAX {
            self.told
                .push(format!("seed {life}, {:?} over {} {}: {why}", raised.kind, raised.grand_total, raised.currency));
        }
    }
}

/// A document that the dialect says is in the book, to be compared with the book's own statement.
struct Due {
    life: u64,
    raised: Raised,
    posted: Posted,
}

/// Lives so many documents, from the life `first` on, through a dialect.
///
/// # Errors
/// Where shop or book can't be opened or break down.
pub async fn lives(name: &str, first: u64, documents: u64) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut number = first;
    while tally.cases < documents {
        let stage = Stage::open(name).await?;
        let shop = Lives::open().await?;
        let mut due = Vec::new();
        let mut known = Known::default();
        for _ in 0..LIVES_PER_BOOK {
            let life = shop.live(number)?;
            live(&stage, &life, &mut known, &mut tally, &mut due)?;
            number = number.saturating_add(1);
            if tally.cases >= documents {
                break;
            }
        }
        compare(&stage, &due, &mut tally)?;
        drop((stage, shop));
        // Their doors close at the runtime's next turn.
        tokio::task::yield_now().await;
    }
    Ok(tally)
}

/// An invoice that is in the book.
struct Invoiced {
    provider_id: String,
    number: String,
}

/// What a book and its shop have in common so far.
#[derive(Default)]
struct Known {
    /// Contacts by code.
    contacts: BTreeMap<String, String>,
    /// Invoices by their id in the shop.
    invoices: BTreeMap<u64, Invoiced>,
}

fn live(stage: &Stage, life: &Life, known: &mut Known, tally: &mut Tally, due: &mut Vec<Due>) -> anyhow::Result<()> {
    let drive = stage.drive()?;
    for (at, raised) in life.documents.iter().enumerate() {
        tally.cases = tally.cases.saturating_add(1);
        // Half of the documents that need an account have one.
        let has_account = life.seed.is_multiple_of(2);
        let settings = if has_account { &stage.settings_with_accounts } else { &stage.settings };
        let fate = match raised.fate {
            Fate::NeedsAccount if has_account => Fate::Posted,
            Fate::NeedsAccount => Fate::Refused("unexplained_difference"),
            fate @ (Fate::Posted | Fate::Refused(_) | Fate::Ambiguous) => fate,
        };
        let key = format!("{:x}{at:02x}", life.seed);
        match (carry(&drive, settings, raised, known, &key), fate) {
            (Ok(posted), Fate::Posted | Fate::Ambiguous) => {
                due.push(Due { life: life.seed, raised: raised.clone(), posted })
            }
            (Err(Failed::Fault(fault)), Fate::Refused(code)) if fault.code.as_str() == code => {
                tally.refused = tally.refused.saturating_add(1);
            }
            (Err(Failed::Fault(fault)), Fate::Ambiguous) if fault.code == Code::UnexplainedDifference => {
                tally.refused = tally.refused.saturating_add(1);
            }
            (Ok(_), fate) => tally.fails(life.seed, raised, &format!("posted, not {fate:?}")),
            (Err(failed), _) => tally.fails(life.seed, raised, &failed.to_string()),
        }
    }
    Ok(())
}

/// Maps, proves and posts a document with its contact.
fn carry(
    drive: &Drive<'_>,
    settings: &Settings,
    raised: &Raised,
    known: &mut Known,
    key: &str,
) -> Result<Posted, Failed> {
    let rules = &drive.dialect.profile().rules;
    let unreadable =
        |error: magento::ShopAnswerError| Failed::from(Fault::refused(Code::ShopAnswerUnreadable, error.to_string()));
    let none = BTreeMap::new();
    let invoice = match (raised.kind, &raised.invoice_json) {
        (RaisedKind::Invoice, _) => Some(magento::invoice(raised.json.as_bytes()).map_err(unreadable)?),
        (RaisedKind::Memo, Some(json)) => Some(magento::invoice(json.as_bytes()).map_err(unreadable)?),
        (RaisedKind::Memo, None) => None,
    };
    let memo = match raised.kind {
        RaisedKind::Invoice => None,
        RaisedKind::Memo => Some(magento::credit_memo(raised.json.as_bytes()).map_err(unreadable)?),
    };
    let build = |contact: &str| match (&memo, &invoice) {
        (Some(memo), invoice) => {
            let number = mapping::credit_note_number(settings, &memo.increment_id, rules);
            let credited = mapping::credited_invoice(memo, None, settings)?;
            let of = invoice.as_ref();
            mapping::credit_note(memo, of, settings, &number, contact, credited, None, &none, rules)
                .map(Document::CreditNote)
        }
        (None, Some(invoice)) => {
            let number = mapping::invoice_number(settings, &invoice.increment_id, rules);
            mapping::sales_invoice(invoice, settings, &number, contact, &none, rules).map(Document::Invoice)
        }
        (None, None) => Err(Fault::broken(Code::Unexpected, "neither invoice nor memo")),
    };
    // Proven before anything is sent, as the engine does.
    build("")?;
    let contact = match (&memo, &invoice) {
        (Some(memo), invoice) => mapping::contact_of_memo(memo, invoice.as_ref(), settings, rules)?,
        (None, Some(invoice)) => mapping::contact_of(invoice, settings, rules)?,
        (None, None) => return Err(Failed::Lawless("no document".to_owned())),
    };
    let code = contact.code(0);
    let contact = match known.contacts.get(&code) {
        Some(contact) => contact.clone(),
        None => {
            let posted = drive.posts(&Document::Contact(contact), &Start::Fresh, &format!("c{key}"))?;
            known.contacts.insert(code, posted.provider_id.clone());
            posted.provider_id
        }
    };
    let document = build(&contact)?;
    let posted = drive.posts(&document, &Start::Fresh, key)?;
    check_again(drive, &document, &posted)?;
    match (&document, &invoice) {
        (Document::Invoice(document), Some(invoice)) => {
            let invoiced = Invoiced { provider_id: posted.provider_id.clone(), number: document.number.clone() };
            if let Some(json) = raised.payment_json.as_ref().filter(|_| invoice.magento_id.is_multiple_of(2)) {
                let info = magento::payment(json.as_bytes()).map_err(unreadable)?;
                pay(drive, settings, invoice, &info, &contact, &invoiced, key)?;
            }
            known.invoices.insert(invoice.magento_id, invoiced);
        }
        (Document::CreditNote(note), Some(invoice)) => {
            if let Some(invoiced) = known.invoices.get(&invoice.magento_id) {
                settle(drive, settings, note, &posted, invoiced, key)?;
            }
        }
        _ => {}
    }
    Ok(posted)
}

/// Pays what is outstanding; nothing is afterwards.
fn pay(
    drive: &Drive<'_>,
    settings: &Settings,
    invoice: &Invoice,
    info: &PaymentInfo,
    contact: &str,
    invoiced: &Invoiced,
    key: &str,
) -> Result<(), Failed> {
    let rules = &drive.dialect.profile().rules;
    let outstanding = drive.balance(Kind::Invoice, &invoiced.provider_id)?.outstanding;
    if outstanding.is_zero() {
        return Ok(());
    }
    let (number, id) = (&invoiced.number, &invoiced.provider_id);
    let payment = mapping::payment(invoice, info, None, settings, rules, number, id, contact, outstanding)?;
    let document = Document::Payment(payment);
    let posted = drive.posts(&document, &Start::Fresh, &format!("{key}a"))?;
    check_again(drive, &document, &posted)?;
    is_left(drive, Kind::Invoice, id, Amount::ZERO)
}

/// Sets a credit note off against what is outstanding of its invoice and pays the rest back; nothing of it is left.
fn settle(
    drive: &Drive<'_>,
    settings: &Settings,
    note: &CreditNote,
    posted: &Posted,
    invoiced: &Invoiced,
    key: &str,
) -> Result<(), Failed> {
    let rules = &drive.dialect.profile().rules;
    let outstanding = drive.balance(Kind::Invoice, &invoiced.provider_id)?.outstanding;
    let (of, set_off) = (&posted.provider_id, outstanding.min(note.total));
    if !set_off.is_zero() {
        let allocation = mapping::allocation(note, of, &invoiced.provider_id, set_off, rules);
        let document = Document::Allocation(allocation);
        let posted = drive.posts(&document, &Start::Fresh, &format!("{key}b"))?;
        check_again(drive, &document, &posted)?;
    }
    let beyond = |_| Failed::Lawless("beyond computing".to_owned());
    let rest = note.total.minus(set_off).map_err(beyond)?;
    if !rest.is_zero() {
        let refund = mapping::refund(note, of, rest, Some("stripe_payments"), 1, Some(1), settings, rules)?;
        let document = Document::Refund(refund);
        let posted = drive.posts(&document, &Start::Fresh, &format!("{key}c"))?;
        check_again(drive, &document, &posted)?;
    }
    is_left(drive, Kind::Invoice, &invoiced.provider_id, outstanding.minus(set_off).map_err(beyond)?)?;
    is_left(drive, Kind::CreditNote, of, Amount::ZERO)
}

fn is_left(drive: &Drive<'_>, kind: Kind, id: &str, expected: Amount) -> Result<(), Failed> {
    let left = drive.balance(kind, id)?.outstanding;
    if left == expected { Ok(()) } else { Err(Failed::Lawless(format!("{left} is left of {id}, not {expected}"))) }
}

/// What was posted is found, and is left alone when it is come back to.
fn check_again(drive: &Drive<'_>, document: &Document, posted: &Posted) -> Result<(), Failed> {
    // One in eight, by its own number: each is a question more.
    let every = document.number().is_some_and(|number| number.bytes().map(u32::from).sum::<u32>().is_multiple_of(8));
    if !every {
        return Ok(());
    }
    let found = drive.finds(document)?;
    if found.as_ref().map(|found| &found.provider_id) != Some(&posted.provider_id) {
        return Err(Failed::Lawless(format!("posted {} and found {found:?}", posted.provider_id)));
    }
    let again = drive.posts(document, &Start::Linked(posted.clone()), "")?;
    if again.provider_id != posted.provider_id {
        return Err(Failed::Lawless("what is linked became something else".to_owned()));
    }
    let kind = document.kind();
    if matches!(kind, Kind::Invoice | Kind::CreditNote) {
        let left = drive.balance(kind, &posted.provider_id)?.outstanding;
        if Some(left) != document.total() {
            return Err(Failed::Lawless(format!("{left} is left of {:?}", document.total())));
        }
    }
    Ok(())
}

/// Compares the book's own statement with what the shop counted.
fn compare(stage: &Stage, due: &[Due], tally: &mut Tally) -> anyhow::Result<()> {
    let rounding = stage.dialect()?.profile().rules.rounding;
    let statement: Statement = stage.statement();
    let by_id: BTreeMap<&str, _> =
        statement.invoices.iter().chain(&statement.credit_notes).map(|line| (line.id.as_str(), line)).collect();
    let moved =
        statement.payments.len().saturating_add(statement.allocations.len()).saturating_add(statement.refunds.len());
    tally.moved = tally.moved.saturating_add(u64::try_from(moved).unwrap_or_default());
    let documents = statement.invoices.len().saturating_add(statement.credit_notes.len());
    let failed = usize::try_from(tally.failed).unwrap_or(usize::MAX);
    anyhow::ensure!(
        documents >= due.len() && documents <= due.len().saturating_add(failed),
        "{}: the book has {documents} documents, {} were posted, {failed} failed: {:?}",
        stage.name,
        due.len(),
        tally.told
    );
    for Due { life, raised, posted } in due {
        let Some(line) = by_id.get(posted.provider_id.as_str()) else {
            tally.fails(*life, raised, &format!("{} is not in the book", posted.provider_id));
            continue;
        };
        let currency = Currency::parse(&raised.currency).map_err(anyhow::Error::msg)?;
        let places = places_of(&rounding, &currency);
        let total = round_half_away(raised.grand_total, places);
        let (shown, tax): (Decimal, Decimal) = (line.total.parse()?, line.tax.parse()?);
        let away = tax.saturating_sub(raised.tax).abs();
        let allowed = tax_tolerance(rounding.tax, raised, places);
        if shown != total {
            tally.fails(*life, raised, &format!("the book shows {shown}"));
        } else if away > allowed {
            tally.fails(*life, raised, &format!("the book shows a tax of {tax}, the shop {}", raised.tax));
        } else if posted.total != Amount::from_decimal(total).ok() {
            tally.fails(*life, raised, &format!("the dialect read {:?}", posted.total));
        } else {
            tally.posted = tally.posted.saturating_add(1);
        }
    }
    Ok(())
}

/// Remainders that a partial document carries beside those of its rows: of its order and of its invoice.
const SHARINGS: Decimal = Decimal::TWO;

/// How far the book's tax may be from the shop's. A book that is told the tax rounds it to its places, each line by
/// half a unit. One that computes it rounds each line by itself, where the shop carries remainders or rounds by the
/// piece: a penny a line and half a penny a piece.
fn tax_tolerance(tax: TaxRounding, raised: &Raised, places: u32) -> Decimal {
    let unit = Decimal::new(1, places);
    let lines = Decimal::from(raised.parts);
    match tax {
        TaxRounding::Stated => unit.saturating_mul(lines),
        TaxRounding::Computed => {
            let penny = Decimal::new(1, 2).max(unit);
            let by_piece = raised.pieces.saturating_mul(Decimal::new(5, 3));
            penny.saturating_mul(lines.saturating_add(SHARINGS)).saturating_add(by_piece)
        }
    }
}
