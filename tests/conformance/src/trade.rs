//! A shop trades with a book: one document after the other, mapped, proven and posted as the engine does it, without
//! its memory.

use crate::books::Stage;
use crate::drive::{Drive, Failed};
use anyhow::Context as _;
use ledger_dialects::Start;
use ledger_domain::amount::Amount;
use ledger_domain::canonical::{CreditMemo, Invoice};
use ledger_domain::code::Code;
use ledger_domain::document::{CreditNote, Document, Kind, Posted, SalesInvoice};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::mapping;
use ledger_domain::settings::Settings;
use ledger_wire::magento;
use ledger_world::shop::{InvoiceSpec, MemoSpec, OrderSpec, PlacedOrder, Shop};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Why something did not get into the book.
#[derive(Clone, Debug)]
pub enum Stopped {
    /// The connector refuses it, or waits.
    Fault(Box<Fault>),
    /// It is not as it has to be.
    Wrong(String),
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Fault(fault) => Self::Fault(fault),
            Failed::Lawless(what) => Self::Wrong(what),
        }
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Failed>() {
            Ok(failed) => failed.into(),
            Err(error) => Self::Wrong(format!("{error:#}")),
        }
    }
}

impl From<magento::ShopAnswerError> for Stopped {
    fn from(error: magento::ShopAnswerError) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl Stopped {
    /// The code of the fault.
    ///
    /// # Errors
    /// What is wrong instead: a fault of ours, or doubt where nobody lost an answer.
    pub fn code(self) -> Result<Code, String> {
        match self {
            Self::Fault(fault) if matches!(fault.action, Action::Broken | Action::Doubtful) => {
                Err(format!("{fault} {:?}", fault.evidence))
            }
            Self::Fault(fault) => Ok(fault.code),
            Self::Wrong(what) => Err(what),
        }
    }
}

/// Fails unless it is so.
///
/// # Errors
/// What is not so.
pub fn holds(so: bool, what: impl FnOnce() -> String) -> Result<(), Stopped> {
    if so { Ok(()) } else { Err(Stopped::Wrong(what())) }
}

/// A shop and a book that trade.
pub struct Trade<'a> {
    /// The book.
    pub stage: &'a Stage,
    /// The way to it.
    pub drive: Drive<'a>,
    /// The shop.
    pub shop: &'a Shop,
    /// The binding's settings.
    pub settings: Settings,
    keys: Cell<u32>,
}

/// An invoice that is in the book.
#[derive(Clone, Debug)]
pub struct Sold {
    /// Its order.
    pub order: PlacedOrder,
    /// Its id in the shop.
    pub id: i64,
    /// As the shop tells it.
    pub told: Invoice,
    /// As it was sent.
    pub document: SalesInvoice,
    /// As it was posted.
    pub posted: Posted,
}

impl<'a> Trade<'a> {
    /// Begins.
    ///
    /// # Errors
    /// Where the dialect is not registered.
    pub fn new(stage: &'a Stage, shop: &'a Shop) -> anyhow::Result<Self> {
        Ok(Self { stage, drive: stage.drive()?, shop, settings: stage.settings.clone(), keys: Cell::new(0) })
    }

    /// A key that no call had before.
    pub fn key(&self) -> String {
        self.keys.set(self.keys.get().saturating_add(1));
        self.last_key()
    }

    /// The key that was given last.
    #[must_use]
    pub fn last_key(&self) -> String {
        format!("{:x}", self.keys.get().saturating_add(0xa000))
    }

    /// An order's invoice as the shop tells it.
    ///
    /// # Errors
    /// Where the shop refuses it.
    pub fn tells(&self, order: &OrderSpec) -> anyhow::Result<(PlacedOrder, i64, Invoice)> {
        let order = self.shop.orders(order)?;
        let id = self.shop.invoices_with(order.id, &InvoiceSpec::default())?;
        let told = magento::invoice(self.shop.canonical("invoice", id).context("no invoice")?.as_bytes())?;
        Ok((order, id, told))
    }

    /// What an invoice is called in the book.
    #[must_use]
    pub fn number(&self, told: &Invoice) -> String {
        mapping::invoice_number(&self.settings, &told.increment_id, &self.drive.dialect.profile().rules)
    }

    /// Posts the contact of an invoice; its id in the book.
    ///
    /// # Errors
    /// What stops it.
    pub fn contact(&self, told: &Invoice) -> Result<String, Stopped> {
        let contact = mapping::contact_of(told, &self.settings, &self.drive.dialect.profile().rules)?;
        Ok(self.drive.posts(&Document::Contact(contact), &Start::Fresh, &self.key())?.provider_id)
    }

    /// The document of an invoice.
    ///
    /// # Errors
    /// Where mapping or proof refuse it.
    pub fn document(&self, told: &Invoice, contact: &str) -> Result<SalesInvoice, Stopped> {
        let rules = &self.drive.dialect.profile().rules;
        Ok(mapping::sales_invoice(told, &self.settings, &self.number(told), contact, &BTreeMap::new(), rules)?)
    }

    /// Posts an invoice with its contact: proven before anything is sent, found again afterwards.
    ///
    /// # Errors
    /// What stops it.
    pub fn posts(&self, told: &Invoice) -> Result<(SalesInvoice, Posted), Stopped> {
        self.document(told, "")?;
        let contact = self.contact(told)?;
        let document = self.document(told, &contact)?;
        let posted = self.places(&Document::Invoice(document.clone()))?;
        Ok((document, posted))
    }

    /// Orders, invoices and posts.
    ///
    /// # Errors
    /// What stops it.
    pub fn sells(&self, order: &OrderSpec) -> Result<Sold, Stopped> {
        let (order, id, told) = self.tells(order)?;
        let (document, posted) = self.posts(&told)?;
        Ok(Sold { order, id, told, document, posted })
    }

    /// Posts a document, whose total has to be the book's, and finds it again.
    ///
    /// # Errors
    /// What stops it.
    pub fn places(&self, document: &Document) -> Result<Posted, Stopped> {
        let kind = document.kind();
        let before = self.count(kind);
        let posted = self.drive.posts(document, &Start::Fresh, &self.key())?;
        // Contacts and products may be somebody else's that were taken up.
        if !matches!(kind, Kind::Contact | Kind::Product) {
            let after = self.count(kind);
            holds(after == before.saturating_add(1), || format!("{before} of {kind:?} became {after}"))?;
        }
        if let (Some(expected), Some(total)) = (document.total(), posted.total)
            && expected != total
        {
            return Err(Fault::refused(Code::TotalMismatch, format!("the book shows {total}, not {expected}")).into());
        }
        let found = self.drive.finds(document)?;
        holds(found.as_ref().map(|found| &found.provider_id) == Some(&posted.provider_id), || {
            format!("posted {} and found {found:?}", posted.provider_id)
        })?;
        Ok(posted)
    }

    /// How many documents of a kind the book has.
    fn count(&self, kind: Kind) -> usize {
        let statement = self.stage.statement();
        match kind {
            Kind::Contact => statement.contacts.len(),
            Kind::Product => statement.products.len(),
            Kind::Invoice => statement.invoices.len(),
            Kind::Payment => statement.payments.len(),
            Kind::CreditNote => statement.credit_notes.len(),
            Kind::Allocation => statement.allocations.len(),
            Kind::Refund => statement.refunds.len(),
            Kind::StockMovement => statement.stock_movements.len(),
        }
    }

    /// Pays what is outstanding of an invoice, as the shop says it was paid.
    ///
    /// # Errors
    /// What stops it.
    pub fn pays(&self, sold: &Sold) -> Result<Posted, Stopped> {
        let outstanding = self.drive.balance(Kind::Invoice, &sold.posted.provider_id)?.outstanding;
        let info = magento::payment(self.shop.canonical("payment", sold.id).context("no payment")?.as_bytes())?;
        let payment = mapping::payment(
            &sold.told,
            &info,
            None,
            &self.settings,
            &self.drive.dialect.profile().rules,
            &sold.document.number,
            &sold.posted.provider_id,
            &sold.document.contact,
            outstanding,
        )?;
        let posted = self.places(&Document::Payment(payment))?;
        self.is_left(Kind::Invoice, &sold.posted.provider_id, Amount::ZERO)?;
        Ok(posted)
    }

    /// Refunds in the shop and posts the credit note.
    ///
    /// # Errors
    /// What stops it.
    pub fn credits(&self, sold: &Sold, memo: &MemoSpec) -> Result<(CreditNote, Posted), Stopped> {
        self.credits_told(sold, &self.refunds(memo)?)
    }

    /// Refunds in the shop, as it tells of it.
    ///
    /// # Errors
    /// Where the shop refuses it.
    pub fn refunds(&self, memo: &MemoSpec) -> Result<CreditMemo, Stopped> {
        let id = self.shop.refunds(memo)?;
        Ok(magento::credit_memo(self.shop.canonical("creditmemo", id).context("no memo")?.as_bytes())?)
    }

    /// What a credit note is called in the book.
    #[must_use]
    pub fn credit_note_number(&self, memo: &CreditMemo) -> String {
        mapping::credit_note_number(&self.settings, &memo.increment_id, &self.drive.dialect.profile().rules)
    }

    /// Posts the credit note of a refund.
    ///
    /// # Errors
    /// What stops it.
    pub fn credits_told(&self, sold: &Sold, memo: &CreditMemo) -> Result<(CreditNote, Posted), Stopped> {
        let rules = &self.drive.dialect.profile().rules;
        let number = self.credit_note_number(memo);
        let of = Some((sold.posted.provider_id.as_str(), sold.document.number.as_str()));
        let credited = mapping::credited_invoice(memo, of, &self.settings)?;
        let contact = &sold.document.contact;
        let none = BTreeMap::new();
        let note = mapping::credit_note(
            memo,
            Some(&sold.told),
            &self.settings,
            &number,
            contact,
            credited,
            None,
            &none,
            rules,
        )?;
        let posted = self.places(&Document::CreditNote(note.clone()))?;
        Ok((note, posted))
    }

    /// Pays all of a credit note back.
    ///
    /// # Errors
    /// What stops it.
    pub fn pays_back(&self, note: &CreditNote, posted: &Posted) -> Result<(), Stopped> {
        let rules = &self.drive.dialect.profile().rules;
        let of = &posted.provider_id;
        let refund = mapping::refund(note, of, note.total, Some("stripe_payments"), 1, Some(1), &self.settings, rules)?;
        self.places(&Document::Refund(refund))?;
        self.is_left(Kind::CreditNote, of, Amount::ZERO)
    }

    /// Sets all of a credit note off against its invoice.
    ///
    /// # Errors
    /// What stops it.
    pub fn sets_off(&self, note: &CreditNote, posted: &Posted, sold: &Sold) -> Result<(), Stopped> {
        let rules = &self.drive.dialect.profile().rules;
        let (of, against) = (&posted.provider_id, &sold.posted.provider_id);
        self.places(&Document::Allocation(mapping::allocation(note, of, against, note.total, rules)))?;
        self.is_left(Kind::CreditNote, of, Amount::ZERO)
    }

    /// That much is left of a document.
    ///
    /// # Errors
    /// Where it is not.
    pub fn is_left(&self, kind: Kind, id: &str, expected: Amount) -> Result<(), Stopped> {
        let left = self.drive.balance(kind, id)?.outstanding;
        holds(left == expected, || format!("{left} is left of {id}, not {expected}"))
    }
}
