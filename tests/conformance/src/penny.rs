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
use ledger_domain::fault::{Action, Fault};
use ledger_domain::mapping;
use ledger_domain::proof::places_of;
use ledger_domain::settings::Settings;
use ledger_wire::magento;
use ledger_world::shop::Shop;
use ledger_world::statement::Statement;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lives that one shop and one book see before fresh ones are opened, so that nothing grows slow.
const LIVES_PER_BOOK: u64 = 100;
/// Of a hundred orders, the most of which something may be refused, all of it foretold.
pub const REFUSED_PERCENT_MAX: u64 = 5;
/// Failures that are told.
const TOLD_MAX: usize = 12;

/// What came of many lives.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Orders.
    pub orders: u64,
    /// Their invoices and credit memos.
    pub documents: u64,
    /// Documents that are in the book to the penny.
    pub posted: u64,
    /// Documents that are refused as foretold.
    pub refused: u64,
    /// Orders with such a document.
    pub orders_refused: u64,
    /// Documents that the book comes to another total of: seen, and refused.
    pub mismatched: u64,
    /// Documents that are neither.
    pub failed: u64,
    /// Payments, allocations and refunds that the books show.
    pub moved: u64,
    /// The most of what rounding allows that the tax of a document was off by, in hundredths; nothing where it allows nothing.
    pub tax_off_percent_max: Decimal,
    /// Of those that failed, how many were refused with which code.
    pub refused_as: BTreeMap<&'static str, u64>,
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

    fn adds(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.orders, other.orders),
            (&mut self.documents, other.documents),
            (&mut self.posted, other.posted),
            (&mut self.refused, other.refused),
            (&mut self.orders_refused, other.orders_refused),
            (&mut self.mismatched, other.mismatched),
            (&mut self.failed, other.failed),
            (&mut self.moved, other.moved),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (code, more) in other.refused_as {
            let sum = self.refused_as.entry(code).or_default();
            *sum = sum.saturating_add(more);
        }
        self.tax_off_percent_max = self.tax_off_percent_max.max(other.tax_off_percent_max);
        self.told.extend(other.told);
        self.told.truncate(TOLD_MAX);
    }

    /// What is not as it has to be; nothing where all is.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.told.clone();
        if self.mismatched > 0 {
            complaints.push(format!("{} documents come to another total in the book", self.mismatched));
        }
        if self.posted.saturating_add(self.refused).saturating_add(self.mismatched).saturating_add(self.failed)
            != self.documents
        {
            complaints.push("documents are lost on the way".to_owned());
        }
        if self.orders_refused.saturating_mul(100) > self.orders.saturating_mul(REFUSED_PERCENT_MAX) {
            complaints.push(format!("of more than {REFUSED_PERCENT_MAX} orders in a hundred something is refused"));
        }
        complaints
    }
}

/// A document that the dialect says is in the book, to be compared with the book's own statement.
struct Due {
    life: u64,
    raised: Raised,
    posted: Posted,
}

/// Lives so many orders, from the life `first` on, through a dialect, in so many threads.
///
/// # Errors
/// Where shop or book can't be opened or break down.
pub fn lives(name: &str, first: u64, orders: u64, threads: usize) -> anyhow::Result<Tally> {
    let next = AtomicU64::new(0);
    let work = || -> anyhow::Result<Tally> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut tally = Tally::default();
        loop {
            let done = next.fetch_add(LIVES_PER_BOOK, Ordering::Relaxed);
            let now = orders.saturating_sub(done).min(LIVES_PER_BOOK);
            if now == 0 {
                return Ok(tally);
            }
            runtime.block_on(batch(name, first.saturating_add(done), now, &mut tally))?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut tally = Tally::default();
        for worker in workers {
            tally.adds(worker.join().map_err(|_| anyhow::anyhow!("a thread broke down"))??);
        }
        Ok(tally)
    })
}

/// A shop and a book for a few lives.
async fn batch(name: &str, first: u64, orders: u64, tally: &mut Tally) -> anyhow::Result<()> {
    let stage = Stage::open(name).await?;
    let shop = Lives::open().await?;
    let (mut due, mut known) = (Vec::new(), Known::default());
    for number in first..first.saturating_add(orders) {
        live(&stage, &shop.live(number)?, &mut known, tally, &mut due)?;
    }
    compare(&stage, &due, false, tally)?;
    drop((stage, shop));
    // Their doors close at the runtime's next turn.
    tokio::task::yield_now().await;
    Ok(())
}

/// Lives one order on a stage and in a shop that are there already.
///
/// # Errors
/// Where they break down.
pub fn one(stage: &Stage, shop: &Shop, number: u64, tally: &mut Tally) -> anyhow::Result<()> {
    let mut due = Vec::new();
    live(stage, &Lives::of(shop).live(number)?, &mut Known::default(), tally, &mut due)?;
    compare(stage, &due, true, tally)
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
    tally.orders = tally.orders.saturating_add(1);
    let refused_before = tally.refused;
    for (at, raised) in life.documents.iter().enumerate() {
        tally.documents = tally.documents.saturating_add(1);
        // Half of the documents that need an account have one.
        let has_account = life.seed.is_multiple_of(2);
        let settings = if has_account { &stage.settings_with_accounts } else { &stage.settings };
        let fate = match raised.fate {
            Fate::NeedsAccount if has_account => Fate::Posted,
            Fate::NeedsAccount => Fate::Refused("unexplained_difference"),
            fate @ (Fate::Posted | Fate::Refused(_)) => fate,
        };
        let key = format!("{:x}{at:02x}", life.seed);
        match (carry(&drive, settings, raised, known, &key), fate) {
            (Ok(posted), Fate::Posted) => due.push(Due { life: life.seed, raised: raised.clone(), posted }),
            (Err(Failed::Fault(fault)), Fate::Refused(code)) if fault.code.as_str() == code => {
                tally.refused = tally.refused.saturating_add(1);
            }
            (Err(Failed::Fault(fault)), Fate::Posted) if fault.code == Code::TotalMismatch => {
                tally.mismatched = tally.mismatched.saturating_add(1);
            }
            (Ok(_), fate) => tally.fails(life.seed, raised, &format!("posted, not {fate:?}")),
            (Err(failed), _) => {
                if let Failed::Fault(fault) = &failed
                    && fault.action == Action::Refused
                {
                    let count = tally.refused_as.entry(fault.code.as_str()).or_default();
                    *count = count.saturating_add(1);
                }
                tally.fails(life.seed, raised, &failed.to_string());
            }
        }
    }
    tally.orders_refused = tally.orders_refused.saturating_add(u64::from(tally.refused > refused_before));
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
    if let (Some(expected), Some(total)) = (document.total(), posted.total)
        && expected != total
    {
        let seen = format!("the book shows {total}, not {expected}");
        return Err(Fault::refused(Code::TotalMismatch, seen).into());
    }
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

/// Compares the book's own statement with what the shop counted; `is_shared` where the book has other documents too.
fn compare(stage: &Stage, due: &[Due], is_shared: bool, tally: &mut Tally) -> anyhow::Result<()> {
    let rounding = stage.dialect()?.profile().rules.rounding;
    let statement: Statement = stage.statement();
    let by_id: BTreeMap<&str, _> =
        statement.invoices.iter().chain(&statement.credit_notes).map(|line| (line.id.as_str(), line)).collect();
    let moved =
        statement.payments.len().saturating_add(statement.allocations.len()).saturating_add(statement.refunds.len());
    tally.moved = tally.moved.saturating_add(u64::try_from(moved).unwrap_or_default());
    let documents = statement.invoices.len().saturating_add(statement.credit_notes.len());
    let stray = usize::try_from(tally.failed.saturating_add(tally.mismatched)).unwrap_or(usize::MAX);
    anyhow::ensure!(
        is_shared || documents >= due.len() && documents <= due.len().saturating_add(stray),
        "{}: the book has {documents} documents, {} were posted, {stray} went astray: {:?}",
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
        let away = tax.saturating_sub(round_half_away(raised.tax, places)).abs();
        let allowed = tax_tolerance(rounding.tax, raised, places);
        let used = away.saturating_mul(Decimal::ONE_HUNDRED).checked_div(allowed).unwrap_or_default();
        tally.tax_off_percent_max = tally.tax_off_percent_max.max(used);
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

/// How far the book's tax may be from the shop's.
///
/// A book that is told the tax keeps what it is told, and we tell each line so much that the sum is the shop's, rounded
/// to the book's places: nothing. A book that computes it rounds the tax of each line by itself, and the line's net
/// before: half a unit a line each, the net's half weighed by the rate. The shop's own rounding comes on top.
fn tax_tolerance(tax: TaxRounding, raised: &Raised, places: u32) -> Decimal {
    match tax {
        TaxRounding::Stated => Decimal::ZERO,
        TaxRounding::Computed => {
            let half_unit = Decimal::new(5, places.saturating_add(1));
            let lines = Decimal::from(raised.parts);
            let book = half_unit.saturating_mul(lines).saturating_mul(LINE_AND_ITS_NET);
            book.saturating_add(raised.tax_slack)
        }
    }
}

/// The rounding of a line's tax, and that of its net at the highest rate.
const LINE_AND_ITS_NET: Decimal = Decimal::from_parts(127, 0, 0, false, 2);
