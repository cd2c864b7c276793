//! Plans carried out: what each event needs in the book, in the order in which one document needs another.
//!
//! A plan covers what is missing, so events may come in any order: a payment brings its invoice along, a credit note its
//! invoice too. What can never come is an outcome with a code, never a wait.

use crate::executor::{Ended, Executor, Source, Wanted};
use crate::plan::{Credited, Facts, Keys, Numbered, wanted_contact};
use jiff::civil::Date;
use ledger_dialects::Profile;
use ledger_domain::amount::Amount;
use ledger_domain::canonical::{CreditMemo, Customer, Invoice, InvoiceState, PaymentInfo, Product};
use ledger_domain::code::Code;
use ledger_domain::document::{
    Allocation, Balance, CreditNote, Document, Kind, Payment, Posted, Refund, SalesInvoice, Standing,
};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::mapping;
use ledger_domain::policy;
use ledger_domain::settings::Settings;
use ledger_wire::rows::{RunRow, XrefRow};

/// What carrying out a plan came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// What the run is about is in the book.
    Posted {
        /// The document.
        posted: Posted,
        /// What else there was to do and can't be done now.
        left_open: Option<Code>,
    },
    /// It is left out.
    Skipped(Code),
}

/// A plan under way.
pub struct Carry<'a, 'b> {
    /// The book.
    pub executor: &'b mut Executor<'a>,
    /// The run.
    pub run: &'b RunRow,
    /// What the shop says.
    pub facts: &'b Facts,
    /// Where things are remembered.
    pub keys: &'b Keys,
    /// The settings in use.
    pub settings: &'b Settings,
    /// What the dialect can do.
    pub profile: &'static Profile,
    /// When the book was connected, in milliseconds: what is older is looked for first.
    pub connected_at: i64,
    /// When the tables were restored, in milliseconds.
    pub restored_at: Option<i64>,
}

/// An invoice that is in the book.
struct InBook {
    posted: Posted,
    number: String,
    contact: String,
}

/// An invoice, or why it is none of the book's.
enum There {
    InBook(InBook),
    LeftOut(Code),
}

impl Carry<'_, '_> {
    /// Carries the plan of the run's event out.
    ///
    /// # Errors
    /// What ends the attempt.
    pub async fn carry_out(&mut self) -> Result<Done, Ended> {
        match self.facts {
            Facts::Invoice(invoice) => match Box::pin(self.invoice(invoice)).await? {
                There::InBook(it) => Ok(Done::Posted { posted: it.posted, left_open: None }),
                There::LeftOut(code) => Ok(Done::Skipped(code)),
            },
            Facts::Payment(invoice, info) => Box::pin(self.payment(invoice, info, self.occurred_at())).await,
            Facts::CreditMemo(memo, paid) => Box::pin(self.credit_memo(memo, paid.as_deref())).await,
            Facts::Customer(customer) => Box::pin(self.customer(customer)).await,
            Facts::Product(product) => Box::pin(self.product(product)).await,
        }
    }

    /// True where a document of that moment may be in the book without our knowing.
    fn is_older_than_memory(&self, moment: jiff::Timestamp) -> bool {
        let moment = moment.as_millisecond();
        moment < self.connected_at || self.restored_at.is_some_and(|restored_at| moment < restored_at)
    }

    fn occurred_at(&self) -> Option<jiff::Timestamp> {
        self.run.occurred_at.parse().ok()
    }

    /// The store that the event names.
    fn store_id(&self) -> Option<u32> {
        Some(self.run.store_id).filter(|store| *store > 0)
    }

    fn state_of(&self, key: &str) -> Option<XrefRow> {
        self.executor.current(key)
    }

    fn linked(&self, key: &str) -> Option<XrefRow> {
        self.state_of(key).filter(|row| row.state == "linked")
    }

    /// The buyer's contact: the one that the document in doubt was created for, whoever the shop says is the buyer by
    /// now; else the buyer's own.
    async fn contact_for(&mut self, document: &str) -> Result<String, Ended> {
        let doubtful = self.state_of(document).filter(|row| row.state == "reserved" && row.doubtful);
        if let Some(named) = doubtful.and_then(|row| row.contact) {
            return Ok(named);
        }
        match self.facts.contact(self.settings, &self.profile.rules) {
            Some(contact) => Ok(self.executor.obtain(&wanted_contact(self.keys, contact?, None)).await?.provider_id),
            None => Err(Fault::broken(Code::Unexpected, "an event without a buyer").into()),
        }
    }

    /// Obtains a document that names a contact. Where the book does not know the contact any more, the next attempt
    /// looks for it, or makes it again.
    async fn obtain_for_contact(&mut self, wanted: &Wanted) -> Result<Posted, Ended> {
        let result = self.executor.obtain(wanted).await;
        if let Err(Ended::Fault(fault)) = &result
            && fault.code == Code::ContactUnknown
        {
            self.executor.forget(&self.keys.contact);
        }
        result
    }

    /// The invoice with what it needs.
    async fn invoice(&mut self, invoice: &Invoice) -> Result<There, Ended> {
        let numbered = numbered(self.keys.invoice.as_ref())?.clone();
        let row = self.state_of(&numbered.key);
        let (number, number_key) = self.keys.choose(&numbered, Kind::Invoice, &self.executor.xrefs);
        if let Some(row) = row.as_ref().filter(|row| row.state == "linked") {
            let posted = in_book(row)?;
            let contact = match &row.contact {
                Some(contact) => contact.clone(),
                None if matches!(self.facts, Facts::Invoice(_)) => String::new(),
                None => self.contact_for(&numbered.key).await?,
            };
            return Ok(There::InBook(InBook { posted, number, contact }));
        }
        // What may be in the book is finished, whatever policy says by now.
        if !is_begun(row.as_ref())
            && let Some(code) = policy::leaves_out_invoice(&self.settings.policy, invoice)
        {
            return Ok(There::LeftOut(code));
        }
        // Proven before the contact is made: an invoice that can't be posted leaves nothing behind.
        self.wanted_invoice(invoice, &numbered, &number, &number_key, "")?;
        let contact = self.contact_for(&numbered.key).await?;
        let wanted = self.wanted_invoice(invoice, &numbered, &number, &number_key, &contact)?;
        let posted = self.obtain_for_contact(&wanted).await?;
        Ok(There::InBook(InBook { posted, number, contact }))
    }

    /// The invoice as a document of a contact's.
    fn wanted_invoice(
        &self,
        invoice: &Invoice,
        numbered: &Numbered,
        number: &str,
        number_key: &str,
        contact: &str,
    ) -> Result<Wanted, Fault> {
        let item_types = self.keys.item_types(&self.executor.xrefs);
        let (settings, rules) = (self.settings, &self.profile.rules);
        let document = mapping::sales_invoice(invoice, settings, number, contact, &item_types, rules)?;
        let previous = mapping::previous_invoice_number(settings, &invoice.increment_id, rules)
            .map(|number| Document::Invoice(SalesInvoice { number, ..document.clone() }));
        Ok(Wanted {
            document: Document::Invoice(document),
            keys: vec![numbered.key.clone()],
            number_key: Some(number_key.to_owned()),
            find_first: self.is_older_than_memory(invoice.created_at),
            previous,
            source: None,
        })
    }

    /// The invoice that a memo names, with what it needs. One that policy leaves out is looked for where somebody else
    /// may have posted it before the book was connected, and never made.
    async fn credited_invoice(&mut self, invoice: &Invoice) -> Result<There, Ended> {
        let code = match Box::pin(self.invoice(invoice)).await? {
            There::LeftOut(code) => code,
            there @ There::InBook(_) => return Ok(there),
        };
        if code == Code::InvoiceCancelled || !self.is_older_than_memory(invoice.created_at) {
            return Ok(There::LeftOut(code));
        }
        let numbered = numbered(self.keys.invoice.as_ref())?.clone();
        let (number, number_key) = self.keys.choose(&numbered, Kind::Invoice, &self.executor.xrefs);
        let Some(contact) = self.known_contact().await? else { return Ok(There::LeftOut(code)) };
        let wanted = match self.wanted_invoice(invoice, &numbered, &number, &number_key, &contact) {
            Ok(wanted) => wanted,
            // What can't be proven can't be compared either.
            Err(fault) if fault.action == Action::Refused => return Ok(There::LeftOut(code)),
            Err(fault) => return Err(fault.into()),
        };
        Ok(match self.executor.looked_for(&wanted).await? {
            Some(posted) => There::InBook(InBook { posted, number, contact }),
            None => There::LeftOut(code),
        })
    }

    /// The buyer's contact, where the book has it.
    async fn known_contact(&mut self) -> Result<Option<String>, Ended> {
        if let Some(row) = self.executor.speaking(&self.keys.contact).filter(|row| row.state == "linked") {
            return Ok(row.provider_id);
        }
        let Some(contact) = self.facts.contact(self.settings, &self.profile.rules) else { return Ok(None) };
        let wanted = wanted_contact(self.keys, contact?, None);
        Ok(self.executor.looked_for(&wanted).await?.map(|posted| posted.provider_id))
    }

    /// The payment with what it needs, dated by its event where there was one.
    async fn payment(
        &mut self,
        invoice: &Invoice,
        info: &PaymentInfo,
        occurred_at: Option<jiff::Timestamp>,
    ) -> Result<Done, Ended> {
        let key = present(self.keys.payment.as_ref())?.clone();
        if let Some(row) = self.linked(&key) {
            return Ok(Done::Posted { posted: in_book(&row)?, left_open: None });
        }
        let there = match Box::pin(self.invoice(invoice)).await? {
            There::InBook(there) => there,
            There::LeftOut(code) => return Ok(Done::Skipped(code)),
        };
        let begun = self.state_of(&key);
        if !is_begun(begun.as_ref()) {
            // How the invoice stands is asked of the book, which knows: somebody may have approved it there.
            let policy = policy::leaves_out_payment(self.settings, invoice, info);
            if let Some(code) = policy.filter(|code| *code != Code::InvoiceNotApproved) {
                return Ok(Done::Skipped(code));
            }
            if !self.profile.posts(Kind::Payment) {
                return Ok(Done::Skipped(Code::NotSupportedByBook));
            }
        }
        let find_first = self.is_older_than_memory(occurred_at.unwrap_or(info.captured_at));
        let (settings, rules) = (self.settings, &self.profile.rules);
        let previous_number = mapping::previous_invoice_number(settings, &invoice.increment_id, rules);
        let wanted = |amount: Amount, dated_on: Option<Date>| -> Result<Wanted, Fault> {
            let build = |number: &str| {
                let payment = mapping::payment(
                    invoice,
                    info,
                    occurred_at,
                    settings,
                    rules,
                    number,
                    &there.posted.provider_id,
                    &there.contact,
                    amount,
                )?;
                Ok(Payment { dated_on: dated_on.unwrap_or(payment.dated_on), ..payment })
            };
            let previous = previous_number.as_deref().map(build).transpose()?;
            Ok(money(&key, Document::Payment(build(&there.number)?), find_first, previous.map(Document::Payment)))
        };
        let (kind, places) = (Kind::Invoice, invoice.currency.places());
        let step = Settlement { begun, asked: info.amount.rounded(places), of: (kind, &there.posted.provider_id) };
        Ok(match Box::pin(self.settle(step, &wanted)).await? {
            Settled::Posted(posted, _) => Done::Posted { posted, left_open: None },
            Settled::LeftOpen(code) => {
                self.executor.leaves_out(Kind::Payment, code);
                Done::Skipped(code)
            }
        })
    }

    /// Posts what settles a document: no more than is left of it.
    async fn settle(
        &mut self,
        step: Settlement<'_>,
        wanted: &(dyn Fn(Amount, Option<Date>) -> Result<Wanted, Fault> + Sync),
    ) -> Result<Settled, Ended> {
        // What was begun keeps its amount: what is left in the book may be less because of it. It keeps its date too:
        // another run may have begun it, on another day.
        let begun = step.begun.as_ref().filter(|row| is_begun(Some(row)));
        if let Some(row) = begun {
            let amount = row.amount.as_deref().and_then(|text| Amount::parse(text).ok()).unwrap_or(step.asked);
            let wanted = wanted(amount, row.dated_on.as_deref().and_then(|text| text.parse().ok()))?;
            let posted = if row.state == "created" {
                Some(self.executor.obtain(&wanted).await?)
            } else {
                self.executor.settled(&wanted).await?
            };
            if let Some(posted) = posted {
                return Ok(Settled::Posted(posted, amount));
            }
        }
        let (kind, provider_id) = step.of;
        let balance = self.executor.balance(kind, provider_id).await?;
        if let Some(code) = unsettleable(kind, &balance) {
            return Ok(Settled::LeftOpen(code));
        }
        let amount = step.asked.min(balance.outstanding);
        match wanted(amount, None) {
            Ok(wanted) => Ok(Settled::Posted(self.executor.obtain(&wanted).await?, amount)),
            Err(fault) if fault.action == Action::Refused && is_left_open(fault.code) => {
                Ok(Settled::LeftOpen(fault.code))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    async fn credit_memo(&mut self, memo: &CreditMemo, credited: Option<&Credited>) -> Result<Done, Ended> {
        let invoice = credited.map(|credited| &credited.invoice);
        let numbered = numbered(self.keys.credit_note.as_ref())?.clone();
        let store_id = self.store_id().or_else(|| invoice.map(|invoice| invoice.store_id));
        let row = self.state_of(&numbered.key);
        if !is_begun(row.as_ref()) {
            if let Some(code) = policy::leaves_out_credit_memo(&self.settings.policy, memo, store_id) {
                return Ok(Done::Skipped(code));
            }
            if !self.profile.posts(Kind::CreditNote) {
                return Ok(Done::Skipped(Code::NotSupportedByBook));
            }
        }
        let (number, number_key) = self.keys.choose(&numbered, Kind::CreditNote, &self.executor.xrefs);
        let item_types = self.keys.item_types(&self.executor.xrefs);
        let (settings, rules) = (self.settings, &self.profile.rules);
        let build = |number: &str, contact: &str, credited: Option<(&str, &str)>| -> Result<CreditNote, Fault> {
            let credited = mapping::credited_invoice(memo, credited, settings)?;
            mapping::credit_note(memo, invoice, settings, number, contact, credited, store_id, &item_types, rules)
        };
        // Proven before anything is posted for it.
        build(&number, "", None)?;
        let there = match invoice {
            Some(invoice) => match Box::pin(self.credited_invoice(invoice)).await? {
                There::InBook(there) => Some(there),
                // A credit for what the book does not have would stand open for ever.
                There::LeftOut(_) if !is_posted_or_begun(row.as_ref()) => {
                    return Ok(Done::Skipped(Code::InvoiceNotInBook));
                }
                There::LeftOut(_) => None,
            },
            None => None,
        };
        // What was paid and has not reached the book yet goes before: else the credit note would be set off against what
        // the payment settles.
        if let Some(Credited { invoice, payment: Some(info) }) = credited
            && there.is_some()
            && row.is_none()
            && invoice.state == InvoiceState::Paid
        {
            Box::pin(self.payment(invoice, info, None)).await?;
        }
        let contact = match &there {
            Some(there) => there.contact.clone(),
            None => self.contact_for(&numbered.key).await?,
        };
        let credited = there.as_ref().map(|there| (there.posted.provider_id.as_str(), there.number.as_str()));
        let note = build(&number, &contact, credited)?;
        let posted = match row.filter(|row| row.state == "linked") {
            Some(row) => in_book(&row)?,
            None => {
                let previous = mapping::previous_credit_note_number(settings, &memo.increment_id, rules)
                    .map(|number| Document::CreditNote(CreditNote { number, ..note.clone() }));
                let wanted = Wanted {
                    document: Document::CreditNote(note.clone()),
                    keys: vec![numbered.key.clone()],
                    number_key: Some(number_key),
                    find_first: self.is_older_than_memory(memo.created_at),
                    previous,
                    source: None,
                };
                self.obtain_for_contact(&wanted).await?
            }
        };
        let left_open = Box::pin(self.settle_note(memo, invoice, there.as_ref(), &note, &posted)).await?;
        if let Some(code) = left_open {
            let steps = [(Kind::Allocation, &self.keys.allocation), (Kind::Refund, &self.keys.refund)];
            for (kind, key) in steps {
                if key.as_deref().is_none_or(|key| self.linked(key).is_none()) {
                    self.executor.leaves_out(kind, code);
                }
            }
        }
        Ok(Done::Posted { posted, left_open })
    }

    /// Sets a credit note off against what is left of its invoice, and pays the rest back.
    async fn settle_note(
        &mut self,
        memo: &CreditMemo,
        invoice: Option<&Invoice>,
        there: Option<&InBook>,
        note: &CreditNote,
        posted: &Posted,
    ) -> Result<Option<Code>, Ended> {
        let allocation_key = present(self.keys.allocation.as_ref())?.clone();
        let refund_key = present(self.keys.refund.as_ref())?.clone();
        if note.total.is_zero() || self.linked(&refund_key).is_some() {
            return Ok(None);
        }
        let Some(there) = there else {
            let left = self.executor.balance(Kind::CreditNote, &posted.provider_id).await?;
            let unknown = if invoice.is_some() { Code::InvoiceNotInBook } else { Code::InvoiceNotNamed };
            return Ok(Some(unsettleable(Kind::CreditNote, &left).unwrap_or(unknown)));
        };
        let find_first = self.is_older_than_memory(memo.created_at);
        let (settings, rules) = (self.settings, &self.profile.rules);
        let note_id = posted.provider_id.as_str();
        let allocation = |amount: Amount, dated_on: Option<Date>| {
            let allocation = mapping::allocation(note, note_id, &there.posted.provider_id, amount, rules);
            let allocation = Allocation { dated_on: dated_on.unwrap_or(allocation.dated_on), ..allocation };
            Ok(money(&allocation_key, Document::Allocation(allocation), find_first, None))
        };
        let method = invoice.and_then(|invoice| invoice.payment_method.as_deref());
        let store_id = self.store_id().or_else(|| invoice.map(|invoice| invoice.store_id));
        let refund = |amount: Amount, dated_on: Option<Date>| -> Result<Wanted, Fault> {
            let website = memo.website_id;
            let refund = mapping::refund(note, note_id, amount, method, website, store_id, settings, rules)?;
            let refund = Refund { dated_on: dated_on.unwrap_or(refund.dated_on), ..refund };
            Ok(money(&refund_key, Document::Refund(refund), find_first, None))
        };

        let of_invoice = (Kind::Invoice, there.posted.provider_id.as_str());
        let of_note = (Kind::CreditNote, note_id);
        let mut rest = note.total;
        let refunded = self.state_of(&refund_key);
        // A refund was begun after all that could be set off.
        let mut set_off = self.linked(&allocation_key).is_some() || is_begun(refunded.as_ref());
        if !set_off && self.profile.posts(Kind::Allocation) {
            let begun = self.state_of(&allocation_key);
            if !is_begun(begun.as_ref()) {
                // An allocation takes no more than is left on either side.
                let left = self.executor.balance(Kind::CreditNote, note_id).await?;
                if let Some(code) = unsettleable(Kind::CreditNote, &left) {
                    return Ok(Some(code));
                }
                rest = left.outstanding;
            }
            match self.settle(Settlement { begun, asked: rest, of: of_invoice }, &allocation).await? {
                Settled::Posted(_, amount) => {
                    set_off = true;
                    rest = rest.minus(amount).map_err(|_| beyond_computing())?;
                }
                // Nothing is left to set off against: it was paid, and the money goes back.
                Settled::LeftOpen(Code::AlreadyPaid) => {}
                Settled::LeftOpen(code) => return Ok(Some(code)),
            }
        } else if !set_off {
            let left = self.executor.balance(Kind::Invoice, &there.posted.provider_id).await?;
            if unsettleable(Kind::Invoice, &left) != Some(Code::AlreadyPaid) {
                return Ok(Some(Code::NotSupportedByBook));
            }
        }
        if rest.is_zero() {
            return Ok(None);
        }
        if !self.profile.posts(Kind::Refund) {
            return Ok(Some(Code::NotSupportedByBook));
        }
        match self.settle(Settlement { begun: refunded, asked: rest, of: of_note }, &refund).await? {
            Settled::Posted(..) => Ok(None),
            // All of it was set off.
            Settled::LeftOpen(Code::AlreadySettled) if set_off => Ok(None),
            Settled::LeftOpen(code) => Ok(Some(code)),
        }
    }

    async fn customer(&mut self, customer: &Customer) -> Result<Done, Ended> {
        let row = self.executor.speaking(&self.keys.contact);
        let begun = row.as_ref().is_some_and(|row| row.state == "reserved" && row.doubtful);
        if !begun && let Some(code) = policy::leaves_out_customer(self.settings, customer) {
            return Ok(Done::Skipped(code));
        }
        let contact = mapping::contact_of_customer(customer, self.settings, &self.profile.rules)?;
        let has_company = contact.company.is_some();
        let updated_at = customer.updated_at.map(jiff::Timestamp::as_millisecond);
        let source = Source::of(&Document::Contact(contact.clone()), updated_at);
        if let Some(row) = row.as_ref().filter(|row| row.state == "linked")
            && is_superseded(row, &source, self.executor.post.timers.clock_skew_seconds)
        {
            self.executor.alias(&self.keys.contact, row);
            return Ok(Done::Skipped(Code::Superseded));
        }
        // The shop tells companies with invoices only: a contact that is named by one would lose it.
        let keeps = row.is_some_and(|row| row.state == "linked" && row.company && !has_company);
        let wanted = wanted_contact(self.keys, contact, (!keeps).then_some(source));
        let posted = self.updated(&wanted).await?;
        Ok(Done::Posted { posted, left_open: None })
    }

    /// Obtains a contact or product, or brings it up to date. Where the book does not know it any more, the next attempt
    /// looks for it, or makes it again.
    async fn updated(&mut self, wanted: &Wanted) -> Result<Posted, Ended> {
        let result = self.executor.obtain(wanted).await;
        if let Err(Ended::Fault(fault)) = &result
            && fault.code == Code::ContactUnknown
        {
            self.executor.forget(&wanted.keys);
        }
        result
    }

    async fn product(&mut self, product: &Product) -> Result<Done, Ended> {
        // Invoices are posted by it whether or not the product itself goes to the book.
        if let Some(item_type) = self.settings.item_type(&product.product_type)
            && let Some(key) = self.keys.skus.get(&product.sku)
        {
            self.executor.note(key, "sku", |row| row.reference = Some(item_type.to_owned()));
        }
        let row = self.executor.speaking(&self.keys.product);
        let begun = row.as_ref().is_some_and(|row| row.state == "reserved" && row.doubtful);
        if !begun {
            if let Some(code) = policy::leaves_out_product(self.settings, product) {
                return Ok(Done::Skipped(code));
            }
            if !self.profile.posts(Kind::Product) {
                return Ok(Done::Skipped(Code::NotSupportedByBook));
            }
        }
        let document = match mapping::product(product, self.settings, &self.profile.rules) {
            Ok(document) => document,
            Err(code) => return Ok(Done::Skipped(code)),
        };
        let keeps_stock = document.stocked && self.profile.posts(Kind::StockMovement);
        let quantity = product.stock_quantity.filter(|_| keeps_stock).map(|quantity| quantity.normalize().to_string());
        let document = Document::Product(document);
        let updated_at = product.updated_at.map(jiff::Timestamp::as_millisecond);
        let source = Source::of(&document, updated_at);
        if let Some(row) = row.as_ref().filter(|row| row.state == "linked" && !row.adopted)
            && (is_older(row, &source, self.executor.post.timers.clock_skew_seconds)
                || (row.source_hash.as_ref() == Some(&source.hash) && (quantity.is_none() || row.amount == quantity)))
        {
            self.executor.alias(&self.keys.product, row);
            return Ok(Done::Skipped(Code::Superseded));
        }
        let wanted = Wanted {
            document,
            keys: self.keys.product.clone(),
            number_key: None,
            find_first: true,
            previous: None,
            source: Some(source),
        };
        let posted = self.updated(&wanted).await?;
        if quantity.is_some() {
            // Somebody else counts the stock of what was in the book before us, unless the merchant says otherwise.
            let theirs =
                self.executor.speaking(&self.keys.product).is_some_and(|row| row.adopted && !row.found_in_doubt);
            if theirs && !self.settings.policy.sync_adopted_stock {
                return Ok(Done::Posted { posted, left_open: Some(Code::StockLeftAlone) });
            }
            self.stock(product, &posted).await?;
            for key in &self.keys.product {
                self.executor.note(key, Kind::Product.as_str(), |row| {
                    row.amount.clone_from(&quantity);
                    row.moving_run = None;
                    row.moving_since = None;
                });
            }
        }
        Ok(Done::Posted { posted, left_open: None })
    }

    /// Brings the book's stock to the shop's.
    async fn stock(&mut self, product: &Product, posted: &Posted) -> Result<(), Ended> {
        let key = present(self.keys.stock_movement.as_ref())?.clone();
        let at = self.occurred_at().or(product.updated_at).or(product.created_at);
        let at =
            at.ok_or_else(|| Fault::refused(Code::ShopAnswerUnreadable, "the shop dates neither event nor product"))?;
        let reference = format!("{}-{}", product.sku, self.run.run_id);
        let (settings, rules) = (self.settings, &self.profile.rules);
        let movement = |in_book: rust_decimal::Decimal| {
            mapping::stock_movement(product, &posted.provider_id, in_book, &reference, at, settings, rules)
        };
        let wanted = |movement| money(&key, Document::StockMovement(movement), false, None);
        let begun = self.state_of(&key).filter(|row| row.state == "created" || row.doubtful);
        let mut moved_before = false;
        if let Some(row) = begun.as_ref().filter(|row| self.executor.was_counted_since(row, &self.keys.product)) {
            tracing::debug!(run_id = %row.run_id, "the stock was counted since");
            self.executor.begins_again(&key);
        } else if let Some(row) = begun
            && let Some(moved) = row.amount.as_deref().and_then(|text| text.parse::<rust_decimal::Decimal>().ok())
            && let Some(wished) = product.stock_quantity
            && let Some(before) = wished.checked_sub(moved)
            && let Some(movement) = movement(before)?
            && self.executor.settled(&wanted(movement)).await?.is_some()
        {
            moved_before = true;
        }
        if !moved_before {
            self.executor.nobody_else_moves(&self.keys.product)?;
        }
        // An earlier attempt may have moved, and ended before it could count anew what the shop has by now.
        moved_before |= self.linked(&key).is_some();
        let Some(in_book) = self.executor.stock(&posted.provider_id).await? else { return Ok(()) };
        if let Some(movement) = movement(in_book)? {
            if moved_before {
                // The shop counts otherwise by now than when that movement was sent.
                self.executor.begins_again(&key);
            }
            let (run_id, now) = (self.run.run_id.clone(), self.executor.post.clock.now_ms());
            for key in &self.keys.product {
                self.executor.note(key, Kind::Product.as_str(), |row| {
                    row.moving_run = Some(run_id.clone());
                    row.moving_since = Some(now);
                });
            }
            self.executor.obtain(&wanted(movement)).await?;
        }
        Ok(())
    }
}

/// What is to be settled, and how.
struct Settlement<'a> {
    /// The row of the document that settles, as it was found.
    begun: Option<XrefRow>,
    /// What the shop asks for.
    asked: Amount,
    /// The document whose balance limits it.
    of: (Kind, &'a str),
}

enum Settled {
    Posted(Posted, Amount),
    LeftOpen(Code),
}

/// Why nothing can settle a document; `None` where something can.
fn unsettleable(kind: Kind, balance: &Balance) -> Option<Code> {
    match balance.standing {
        Standing::Unapproved => Some(Code::InvoiceNotApproved),
        Standing::Withdrawn => Some(Code::InvoiceWithdrawn),
        Standing::Approved if balance.outstanding > Amount::ZERO => None,
        Standing::Approved if kind == Kind::Invoice => Some(Code::AlreadyPaid),
        Standing::Approved => Some(Code::AlreadySettled),
    }
}

/// True where a document is in the book, or may be.
fn is_posted_or_begun(row: Option<&XrefRow>) -> bool {
    is_begun(row) || row.is_some_and(|row| row.state == "linked")
}

/// True where a document was created or may have been, and is not settled yet.
fn is_begun(row: Option<&XrefRow>) -> bool {
    row.is_some_and(|row| row.state == "created" || row.doubtful)
}

fn beyond_computing() -> Fault {
    Fault::broken(Code::Unexpected, "the amounts are beyond computing")
}

/// Codes of money that is left to a person.
const fn is_left_open(code: Code) -> bool {
    matches!(code, Code::PaymentMethodNotMapped | Code::PaymentNotWanted)
}

/// True where the book has a later version of the shop's: by more than what the shop's clock may have been put back in between.
/// Within that, what was just fetched, under the book's lease, is believed.
fn is_older(row: &XrefRow, source: &Source, clock_skew_seconds: i64) -> bool {
    // From so much ahead of the true time to so much behind it.
    let put_back = clock_skew_seconds.saturating_mul(2).saturating_mul(1_000);
    matches!((row.source_updated_at, source.updated_at), (Some(there), Some(here)) if here.saturating_add(put_back) < there)
}

/// True where the book has this version of the shop's, or a later one.
fn is_superseded(row: &XrefRow, source: &Source, clock_skew_seconds: i64) -> bool {
    !row.adopted && (is_older(row, source, clock_skew_seconds) || row.source_hash.as_ref() == Some(&source.hash))
}

/// A document without a guarded number.
fn money(key: &str, document: Document, find_first: bool, previous: Option<Document>) -> Wanted {
    Wanted { document, keys: vec![key.to_owned()], number_key: None, find_first, previous, source: None }
}

fn numbered(keys: Option<&Numbered>) -> Result<&Numbered, Fault> {
    keys.ok_or_else(missing)
}

fn present(key: Option<&String>) -> Result<&String, Fault> {
    key.ok_or_else(missing)
}

fn missing() -> Fault {
    Fault::broken(Code::Unexpected, "the event names no such document")
}

/// The document of a linked row. Its total was proven when it was linked.
fn in_book(row: &XrefRow) -> Result<Posted, Fault> {
    let provider_id = row
        .provider_id
        .clone()
        .ok_or_else(|| Fault::broken(Code::Unexpected, "a linked cross-reference names no document"))?;
    let total = row.total.as_deref().and_then(|text| Amount::parse(text).ok());
    Ok(Posted { provider_id, reference: row.reference.clone(), total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_left_out_that_is_there_or_much_older_than_a_clock_can_be_put_back() {
        let check = |there: (&str, i64), adopted: bool, here: (&str, i64), expected: bool| {
            let row = XrefRow {
                source_hash: Some(there.0.to_owned()),
                source_updated_at: Some(there.1),
                adopted,
                ..XrefRow::default()
            };
            let source = Source { hash: here.0.to_owned(), updated_at: Some(here.1) };
            assert_eq!(is_superseded(&row, &source, 300), expected, "{there:?} {here:?}");
        };
        let at = 2_000_016_000_000;
        check(("one", at), false, ("one", at), true);
        check(("one", at), false, ("two", at + 1), false);
        // The shop's clock was put back by four minutes, then the account was changed.
        check(("one", at), false, ("two", at - 240_000), false);
        check(("one", at), false, ("two", at - 600_000), false);
        check(("one", at), false, ("two", at - 600_001), true);
        check(("one", at), true, ("one", at), false);
    }
}
