//! Xero's public Accounting API: strict, stateful, with faults on request.
//!
//! Everything is below `/api.xro/2.0` and asks for a token and a tenant; `/connections` asks for the token alone.
//! Documents are known by GUIDs, numbers keep their trailing zeros, dates are milliseconds, who doesn't ask for JSON gets
//! XML, and an element can fail inside a success. Source of what it does, unless said otherwise: Xero API docs and
//! Xero's published OpenAPI description.

mod api;
mod chart;
mod desk;
mod query;
mod rules;
mod spec;
mod store;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use serde_json::Value;

pub use spec::{
    AccountingOptions, AccountingSeed, AccountingSwitches, CompoundTax, CurrencyRate, ForbiddenBody, NegativeHalf,
    NotFoundBody, OddName, PaidBackAs, QuotedBy, TakenNumber, ThrottledBody,
};

pub use crate::book::UnknownField;
pub use crate::desk::{BookFault, FaultSpec, LogEntry};
use crate::desk::{Core, Keeper as _, desk_methods};
use crate::server::Server;
use crate::statement::Statement;
use store::Store;

/// A running book. Clones are the same book; it closes with the last of them.
#[derive(Clone, Debug)]
pub struct AccountingBook {
    core: Core<Store>,
    server: Arc<Server>,
}

impl AccountingBook {
    desk_methods!();

    /// Opens a book.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn start(options: AccountingOptions) -> anyhow::Result<Self> {
        let listen = options.listen;
        let core = Core::new(Store::new(options));
        let door = core.clone();
        let server = Server::start(listen, move |request| door.clone().answer(request)).await?;
        Ok(Self { core, server: Arc::new(server) })
    }

    /// Opens a book without a door: it is spoken to in this process.
    #[must_use]
    pub fn without_a_door(options: AccountingOptions, url: &str) -> Self {
        Self { core: Core::new(Store::new(options)), server: Arc::new(Server::without_a_door(url)) }
    }

    /// Where it is reached: the base URL of a binding, without `/api.xro/2.0`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The tenant's id.
    #[must_use]
    pub fn tenant(&self) -> String {
        self.core.store().options.tenant.clone()
    }

    /// What it holds.
    #[must_use]
    pub fn statement(&self) -> Statement {
        self.core.store().statement()
    }

    /// Everything in the book, by kind, as the API shows it.
    #[must_use]
    pub fn documents(&self) -> Value {
        self.core.store().documents()
    }

    /// The invoices with that number.
    #[must_use]
    pub fn shows(&self, number: &str) -> Vec<Value> {
        let documents = self.documents();
        let invoices = documents.get("invoices").and_then(Value::as_array).into_iter().flatten();
        invoices
            .filter(|invoice| invoice.get("InvoiceNumber").and_then(Value::as_str) == Some(number))
            .cloned()
            .collect()
    }

    /// Puts in what somebody else has put in; returns the ids by kind.
    ///
    /// # Errors
    /// When the book refuses it.
    pub fn seeds(&self, seed: &AccountingSeed) -> anyhow::Result<Value> {
        desk::seed(&mut self.core.store(), seed)
    }

    /// Changes the switches.
    pub fn sets(&self, change: impl FnOnce(&mut AccountingSwitches)) {
        change(&mut self.core.store().switches);
    }

    /// Archives a contact.
    ///
    /// # Errors
    /// Where there is none with that id.
    pub fn archives(&self, contact: &str) -> anyhow::Result<()> {
        self.core.store().archives(contact)
    }

    /// Locks what is dated on or before these days, `2026-03-31`.
    pub fn locks(&self, period: Option<&str>, end_of_year: Option<&str>) {
        let mut store = self.core.store();
        store.options.period_lock_date = period.map(str::to_owned);
        store.options.end_of_year_lock_date = end_of_year.map(str::to_owned);
    }

    /// Takes a scope away from the tokens, such as `accounting.payments`.
    pub fn lacks(&self, scope: &str) {
        self.core.store().lacking_scopes.insert(scope.to_owned());
    }
}
