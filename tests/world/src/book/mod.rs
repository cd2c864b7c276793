//! A book of the `v2` family: strict, stateful, with faults on request, by the rules of either [`House`].
//!
//! Everything is below `/v2/`; a token is asked for, documents are known by their URLs, figures come back as text, lists
//! come in pages, and a refusal is 422 with a list of what is wrong. `/connections` is 404, by which a connector can tell
//! the `v2` dialect from the provider's other one.

mod api;
mod control;
mod faults;
mod lists;
mod rules;
mod spec;
mod statement;
mod store;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rust_decimal::Decimal;
use serde_json::{Value, json};

pub use crate::desk::{BookFault, FaultSpec, LogEntry};
pub use spec::{
    BookOptions, CountryNames, CreditNoteFigures, ForbiddenShape, House, MissingRate, REQUESTS_PER_HOUR,
    REQUESTS_PER_MINUTE, Seat, Seed, Switches, TakenWording, TaxRounding, ThrottledShape, UnknownField,
    UnknownRateWording, Verdict,
};

use crate::clock::Clock;
use crate::desk::{self, Keeper as _, Log};
use crate::identity::identity_methods;
use crate::server::{Answer, Reply, Request, Server};
use crate::statement::Statement;
use store::{Kind, Store};

/// A running book. Clones are the same book; it closes with the last of them.
#[derive(Clone, Debug)]
pub struct Book {
    core: Core,
    server: Arc<Server>,
}

pub(crate) type Core = desk::Core<Store>;

impl Book {
    identity_methods!();

    /// Opens a book.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn start(options: BookOptions) -> anyhow::Result<Self> {
        let listen = options.listen;
        let public_url = options.public_url.clone();
        let core = Core::new(Store::new(options));
        let door = core.clone();
        let requests = Arc::new(AtomicU64::new(0));
        let server = Server::start(listen, move |request| {
            let door = door.clone();
            let number = requests.fetch_add(1, Ordering::Relaxed);
            async move { named(door.answer(request).await, number) }
        })
        .await?;
        let base_url = public_url.unwrap_or_else(|| server.url());
        core.store().base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { core, server: Arc::new(server) })
    }

    /// Opens a book without a door: it is spoken to in this process.
    #[must_use]
    pub fn without_a_door(options: BookOptions, url: &str) -> Self {
        let core = Core::new(Store::new(options));
        url.trim_end_matches('/').clone_into(&mut core.store().base_url);
        Self { core, server: Arc::new(Server::without_a_door(url)) }
    }

    /// Where it is reached: the base URL of a binding, without `/v2`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.core.store().options.clock.clone()
    }

    /// The URL of a document or category of this book, e.g. `("categories", "001")`.
    #[must_use]
    pub fn url_of(&self, collection: &str, id: &str) -> String {
        self.core.store().url(collection, id)
    }

    /// Whose rules hold.
    #[must_use]
    pub fn house(&self) -> House {
        self.core.store().house()
    }

    /// What it holds, in the shape that all books share.
    #[must_use]
    pub fn statement(&self) -> Statement {
        statement::statement(&self.core.store())
    }

    /// The bookkeeper closes the period up to that day, or opens it again.
    pub fn closes_until(&self, day: Option<&str>) {
        self.core.store().locked_until = day.map(str::to_owned);
    }

    /// The user behind the tokens may do that much from now on, 1 to 8.
    pub fn permits(&self, level: u8) {
        self.core.store().permission_level = level;
    }

    /// The bookkeeper hides the contacts with that e-mail address.
    pub fn hides(&self, email: &str) {
        let email = store::normalised(email);
        let mut store = self.core.store();
        let now = store.now();
        for contact in store.contacts.values_mut().filter(|contact| contact.email == email) {
            contact.hidden = true;
            contact.updated_at = now;
        }
    }

    /// The bookkeeper enters money for the document with that reference by hand, on the first bank account: received
    /// for an invoice, or paid back for a credit note if the amount is negative.
    ///
    /// # Errors
    /// When the book refuses it.
    pub fn enters_payment(&self, reference: &str, amount: &str) -> anyhow::Result<()> {
        let explanation = json!({"paid_invoice": reference, "gross_value": amount, "description": "by hand"});
        self.seeds(&Seed { bank_transaction_explanations: vec![explanation], ..Seed::default() }).map(drop)
    }

    /// The bookkeeper corrects the totals of the invoices with that reference: they are those of their lines again.
    pub fn corrects(&self, reference: &str) {
        let mut store = self.core.store();
        for invoice in store.invoices.values_mut().filter(|invoice| invoice.reference == reference) {
            invoice.total = invoice.net.saturating_add(invoice.tax);
        }
    }

    /// All invoices, with their lines.
    #[must_use]
    pub fn invoices(&self) -> Vec<Value> {
        let store = self.core.store();
        store.invoices.values().map(|invoice| store.show_document(invoice, true)).collect()
    }

    /// All credit notes, with their lines.
    #[must_use]
    pub fn credit_notes(&self) -> Vec<Value> {
        let store = self.core.store();
        store.credit_notes.values().map(|note| store.show_document(note, true)).collect()
    }

    /// The invoices with that reference.
    #[must_use]
    pub fn shows(&self, reference: &str) -> Vec<Value> {
        self.shown(Kind::Invoice, reference)
    }

    /// The credit notes with that reference.
    #[must_use]
    pub fn shows_credit_note(&self, reference: &str) -> Vec<Value> {
        self.shown(Kind::CreditNote, reference)
    }

    fn shown(&self, kind: Kind, reference: &str) -> Vec<Value> {
        let store = self.core.store();
        let found = store.documents_of(kind).values().filter(|document| document.reference == reference);
        found.map(|document| store.show_document(document, true)).collect()
    }

    /// Everything that was set off between credit notes and invoices.
    #[must_use]
    pub fn reconciliations(&self) -> Vec<Value> {
        let store = self.core.store();
        store.reconciliations.values().map(|it| store.show_reconciliation(it)).collect()
    }

    /// What money on the bank accounts was for.
    #[must_use]
    pub fn explanations(&self) -> Vec<Value> {
        let store = self.core.store();
        store.explanations.values().map(|it| store.show_explanation(it)).collect()
    }

    /// The total of the only invoice with that reference.
    #[must_use]
    pub fn total_of(&self, reference: &str) -> Option<Decimal> {
        match self.shows(reference).as_slice() {
            [only] => api::figure(only, "total_value"),
            _ => None,
        }
    }

    /// All contacts.
    #[must_use]
    pub fn contacts(&self) -> Vec<Value> {
        let store = self.core.store();
        store.contacts.values().map(|contact| store.show_contact(contact)).collect()
    }

    /// All price list items.
    #[must_use]
    pub fn price_list_items(&self) -> Vec<Value> {
        let store = self.core.store();
        store.price_list_items.values().map(|item| store.show_price(item)).collect()
    }

    /// Everything in the book, by kind.
    #[must_use]
    pub fn documents(&self) -> Value {
        self.core.store().documents()
    }

    /// Puts in what somebody else has put in; returns the URLs by kind.
    ///
    /// # Errors
    /// When the book refuses it.
    pub fn seeds(&self, seed: &Seed) -> anyhow::Result<Value> {
        faults::seed(&mut self.core.store(), seed)
    }

    /// Answers a request without door or log, and of faults with those only that are an answer: for tests of many
    /// documents in one process.
    #[must_use]
    pub fn obeys(&self, request: &Request) -> Answer {
        crate::desk::answer_at_once(&self.core, request)
    }

    /// Sets a fault for the next requests that match.
    pub fn faults(&self, fault: FaultSpec) {
        self.core.store().desk.faults.push(fault);
    }

    /// Forgets the faults that are still to come.
    pub fn heals(&self) {
        self.core.store().desk.faults.clear();
    }

    /// Lets land what is late; returns the statuses nobody saw.
    pub fn releases_late(&self) -> Vec<u16> {
        desk::release(&mut *self.core.store())
    }

    /// How many requests are still to land.
    #[must_use]
    pub fn late(&self) -> usize {
        self.core.store().desk.late.len()
    }

    /// Accepts a token.
    pub fn accepts(&self, token: &str) {
        self.core.store().desk.tokens.insert(token.to_owned());
    }

    /// Accepts a token no more.
    pub fn revokes(&self, token: &str) {
        self.core.store().desk.tokens.remove(token);
    }

    /// Changes the switches.
    pub fn sets(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.core.store().switches);
    }

    /// How long each request takes at least.
    pub fn takes(&self, milliseconds: u64) {
        self.core.store().desk.latency_milliseconds = milliseconds;
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.core.log().entries().to_vec()
    }

    /// Pairs of numbers of the log: requests that change something and were under way at once.
    #[must_use]
    pub fn overlaps(&self) -> Vec<(u64, u64)> {
        self.core.log().overlaps()
    }

    /// Is as it was opened.
    pub fn resets(&self) {
        self.core.store().reset();
        *self.core.log() = Log::new();
    }
}

/// An answer with the identifier of its request, as support asks for it.
fn named(reply: Reply, number: u64) -> Reply {
    match reply {
        Reply::Answer(answer) => {
            Reply::Answer(answer.with_header("x-request-id", format!("1-{number:08x}-{number:024x}")))
        }
        Reply::HangUp => Reply::HangUp,
    }
}
