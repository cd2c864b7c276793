//! Sage Accounting v3.1: strict, stateful, with faults on request.
//!
//! Everything is below `/v3.1` and asks for a token; `X-Business` says whose books, and without it they are those of the
//! lead business. Documents are known by 32 hexadecimal digits, amounts come back as text, lists as summaries in pages, and
//! a refusal is 422 with a list. Source of what it does, unless said otherwise: Sage Accounting API v3.1 reference and
//! guides.

mod api;
mod chart;
mod desk;
mod rules;
mod spec;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

pub use spec::{
    AllocationSign, AllocationType, Edition, ExchangeRate, ForbiddenBody, ListDates, PlaceTypes, RefundSign,
    SageOptions, SageSeed, SageSwitches, ThrottledBody,
};

pub use crate::book::{UnknownField, Verdict};
pub use crate::desk::{BookFault, FaultSpec, LogEntry};
use crate::desk::{Core, Keeper as _, desk_methods};
use crate::fields::Fields;
use crate::server::Server;
use crate::statement::Statement;
use store::Store;

/// The id of a ledger account by its nominal code, e.g. 4000 for sales of products.
#[must_use]
pub fn ledger_account(nominal_code: u32) -> String {
    chart::ledger_id(nominal_code)
}

/// The id of a bank account by its nominal code, e.g. 1210 for card clearing.
#[must_use]
pub fn bank_account(nominal_code: u32) -> String {
    chart::bank_id(nominal_code)
}

/// A running book. Clones are the same book; it closes with the last of them.
#[derive(Clone, Debug)]
pub struct SageBook {
    core: Core<Store>,
    server: Arc<Server>,
}

impl SageBook {
    desk_methods!();

    /// Opens a book.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn start(options: SageOptions) -> anyhow::Result<Self> {
        let listen = options.listen;
        let core = Core::new(Store::new(options));
        let door = core.clone();
        let server = Server::start(listen, move |request| door.clone().answer(request)).await?;
        Ok(Self { core, server: Arc::new(server) })
    }

    /// Opens a book without a door: it is spoken to in this process.
    #[must_use]
    pub fn without_a_door(options: SageOptions, url: &str) -> Self {
        Self { core: Core::new(Store::new(options)), server: Arc::new(Server::without_a_door(url)) }
    }

    /// Where it is reached: the base URL of a binding, without `/v3.1`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The business's id.
    #[must_use]
    pub fn business(&self) -> String {
        self.core.store().options.business.clone()
    }

    /// What it holds.
    #[must_use]
    pub fn statement(&self) -> Statement {
        self.core.store().statement()
    }

    /// Everything in the book, by kind, as the API shows it.
    #[must_use]
    pub fn documents(&self) -> Value {
        self.core.store().everything()
    }

    /// The invoices with that reference.
    #[must_use]
    pub fn shows(&self, reference: &str) -> Vec<Value> {
        let documents = self.documents();
        let invoices = documents.get("sales_invoices").and_then(Value::as_array).into_iter().flatten();
        invoices
            .filter(|invoice| invoice.get("reference").and_then(Value::as_str) == Some(reference))
            .cloned()
            .collect()
    }

    /// Puts in what somebody else has put in; returns the ids by kind.
    ///
    /// # Errors
    /// When the book refuses it.
    pub fn seeds(&self, seed: &SageSeed) -> anyhow::Result<Value> {
        desk::seed(&mut self.core.store(), seed)
    }

    /// Changes the switches.
    pub fn sets(&self, change: impl FnOnce(&mut SageSwitches)) {
        change(&mut self.core.store().switches);
    }

    /// Changes how the business is set up: edition, currencies, VAT, open periods, limits.
    pub fn sets_up(&self, change: impl FnOnce(&mut SageOptions)) {
        change(&mut self.core.store().options);
    }

    /// The subscription lapses, or is renewed.
    pub fn is_subscribed(&self, subscribed: bool) {
        self.core.store().subscribed = subscribed;
    }

    /// Sets a flag of a contact that the API itself doesn't set: `is_active`, `gdpr_obfuscated`.
    ///
    /// # Errors
    /// When there is no such contact.
    pub fn marks(&self, contact: &str, flag: &str, value: bool) -> anyhow::Result<()> {
        desk::mark(&mut self.core.store(), contact, Fields::from_iter([(flag.to_owned(), Value::Bool(value))]))
    }
}
