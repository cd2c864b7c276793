//! A Magento shop with the published accounting module: its money, its outbox, its REST interface.

mod canonical;
mod control;
mod cron;
mod health;
pub mod jwt;
mod money;
mod outbox;
mod pairing;
mod php;
pub mod presets;
mod rest;
pub mod spec;
mod state;
mod sync_state;
mod trade;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use cron::{Delivery, Sent};
pub use health::{Asked, EntityStatus, Health, StatusBlock, Tile};
pub use money::{TaxAlgorithm, TaxSettings};
pub use spec::{
    Address, Capture, CustomerEdit, CustomerSpec, DiscountSpec, Guest, InvoiceSpec, ItemKind, ItemSpec, MemoSpec,
    OrderSpec, PRODUCT_TYPES, PartSpec, ProductSpec, ShopFault, ShopFaultSpec, WebsiteSpec,
};
pub use state::{Chip, InvoiceState, OutboxRow, OutboxStatus, PushedState, RestRequest};
pub use trade::{PlacedOrder, Sale};

use crate::ambient;
use crate::amount::Amount;
use crate::clock::Clock;
use crate::server::{Answer, Reply, Request, Server};
use state::{Pairing, State};

/// Which release of the client module the shop has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientVersion {
    /// The newer: the outbox has a provider column, and the webhook's address carries `?provider=…`.
    #[default]
    WithProvider,
    /// The older: one row for all providers, no `?provider`.
    WithoutProvider,
}

/// How a shop is opened.
#[derive(Clone, Debug)]
pub struct ShopOptions {
    /// Where it listens; a free port of the loopback by default.
    pub listen: SocketAddr,
    /// Its clock.
    pub clock: Clock,
    /// Its client module.
    pub client: ClientVersion,
    /// Providers whose module is installed; `xero` by default.
    pub providers: Vec<String>,
    /// Providers whose module tells of products and stock. Of the published ones only Sage's does.
    pub catalogue_watchers: Vec<String>,
}

impl Default for ShopOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            clock: Clock::system(),
            client: ClientVersion::default(),
            providers: vec!["xero".to_owned()],
            catalogue_watchers: vec!["sage_accounting".to_owned()],
        }
    }
}

/// A running shop. Clones are the same shop; it closes with the last of them.
#[derive(Clone, Debug)]
pub struct Shop {
    core: Core,
    server: Arc<Server>,
}

/// The shop without its door.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

impl Core {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl Shop {
    /// Opens a shop with three websites: 1 sells in GBP without tax in its prices and takes EUR at 1.1753 too, 2 sells in
    /// GBP with tax in its prices, 3 is like 1. Store *n* belongs to website *n*.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn start(options: ShopOptions) -> anyhow::Result<Self> {
        let listen = options.listen;
        let core = opened(options)?;
        let door = core.clone();
        let server = Server::start(listen, move |request| route(door.clone(), request)).await?;
        Ok(Self { core, server: Arc::new(server) })
    }

    /// The same shop without a door: [`Shop::obeys`] answers in this process, and what is due is sent by whoever asks
    /// for it with [`Shop::due`].
    ///
    /// # Errors
    /// Never with the websites that it opens with.
    pub fn without_a_door(options: ShopOptions, url: &str) -> anyhow::Result<Self> {
        Ok(Self { core: opened(options)?, server: Arc::new(Server::without_a_door(url)) })
    }

    /// Answers a request to its REST interface in this process, without any of the faults.
    #[must_use]
    pub fn obeys(&self, request: &Request) -> Answer {
        rest::answer_at_once(&self.core, request)
    }

    /// What its cron job would send now: rows of the outbox, oldest first.
    #[must_use]
    pub fn due(&self) -> Vec<i64> {
        cron::due(&self.core)
    }

    /// Writes down what came of sending a row of the outbox: a status and a body, or why there was no answer.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn notes(
        &self,
        outbox_id: i64,
        delivery: &Delivery,
        came: Result<(u16, String), String>,
    ) -> anyhow::Result<()> {
        cron::notes(&self.core, outbox_id, delivery, came)
    }

    /// Its address: what the ledger knows as the shop's base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// Adds or changes a website.
    ///
    /// # Errors
    /// When the specification makes no sense.
    pub fn sets_website(&self, website: &WebsiteSpec) -> anyhow::Result<()> {
        trade::set_website(&mut self.core.state(), website)
    }

    /// The customer accounts.
    #[must_use]
    pub fn customers(&self) -> Customers<'_> {
        Customers { core: &self.core }
    }

    /// Saves a customer account: the one with that e-mail address in that website is exactly so from now on, or a new one
    /// is opened. Tells the ledger, if an earlier change didn't already. Returns the customer.
    ///
    /// # Errors
    /// When there is no e-mail address.
    pub fn saves_customer(&self, customer: CustomerSpec) -> anyhow::Result<i64> {
        trade::save_customer(&mut self.core.state(), customer, self.core.now())
    }

    /// Changes a customer account, which tells the ledger, if an earlier change didn't already.
    ///
    /// # Errors
    /// When there is no such customer, or the e-mail address is another's.
    pub fn edits(&self, customer_id: i64, edit: CustomerEdit) -> anyhow::Result<()> {
        trade::edit_customer(&mut self.core.state(), customer_id, edit, self.core.now())
    }

    /// Places an order.
    ///
    /// # Errors
    /// When the specification makes no sense.
    pub fn orders(&self, order: &OrderSpec) -> anyhow::Result<PlacedOrder> {
        trade::place(&mut self.core.state(), order, self.core.now())
    }

    /// Places an order: the same as [`Shop::orders`].
    ///
    /// # Errors
    /// When the specification makes no sense.
    pub fn places(&self, order: &OrderSpec) -> anyhow::Result<PlacedOrder> {
        self.orders(order)
    }

    /// Invoices all that is left of an order and tells the ledger; returns the invoice.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn invoices(&self, order: &PlacedOrder) -> anyhow::Result<i64> {
        self.invoices_with(order.id, &InvoiceSpec::default())
    }

    /// Invoices an order as told.
    ///
    /// # Errors
    /// When there is no such order or not that much left.
    pub fn invoices_with(&self, order_id: i64, invoice: &InvoiceSpec) -> anyhow::Result<i64> {
        trade::invoice(&mut self.core.state(), order_id, invoice, self.core.now())
    }

    /// The money for an open invoice has come.
    ///
    /// # Errors
    /// When there is no such invoice, or it is cancelled.
    pub fn pays(&self, invoice_id: i64) -> anyhow::Result<()> {
        trade::pay(&mut self.core.state(), invoice_id, self.core.now())
    }

    /// Cancels an open invoice; nobody is told.
    ///
    /// # Errors
    /// When it isn't open.
    pub fn cancels(&self, invoice_id: i64) -> anyhow::Result<()> {
        trade::cancel(&mut self.core.state(), invoice_id)
    }

    /// Makes a credit memo and tells the ledger; returns the memo.
    ///
    /// # Errors
    /// When there is not that much left to refund, or more than was paid.
    pub fn refunds(&self, memo: &MemoSpec) -> anyhow::Result<i64> {
        trade::refund(&mut self.core.state(), memo, self.core.now())
    }

    /// Refunds all that is left of an invoice, on its page; returns the memo.
    ///
    /// # Errors
    /// As [`Shop::refunds`].
    pub fn refunds_invoice(&self, invoice_id: i64) -> anyhow::Result<i64> {
        self.refunds(&self.memo_of(invoice_id)?)
    }

    /// The beginning of a memo on an invoice's page.
    ///
    /// # Errors
    /// When there is no such invoice.
    pub fn memo_of(&self, invoice_id: i64) -> anyhow::Result<MemoSpec> {
        let state = self.core.state();
        let invoice = state.invoices.get(&invoice_id).with_context(|| format!("no invoice {invoice_id}"))?;
        Ok(MemoSpec::of_invoice(invoice.order_id, invoice_id))
    }

    /// Comments on a memo, which saves it and tells the ledger, if its creation didn't already.
    ///
    /// # Errors
    /// When there is no such memo.
    pub fn comments(&self, memo_id: i64, comment: &str) -> anyhow::Result<()> {
        trade::comment(&mut self.core.state(), memo_id, comment, self.core.now())
    }

    /// Invoices and memos as the shop's own grids show them.
    #[must_use]
    pub fn sales(&self) -> Vec<Sale> {
        trade::sales(&self.core.state())
    }

    /// The grand total of an invoice or a memo (`invoice`, `creditmemo`).
    #[must_use]
    pub fn total_of(&self, entity_type: &str, id: i64) -> Option<Decimal> {
        let state = self.core.state();
        match entity_type {
            "invoice" => state.invoices.get(&id).map(|invoice| invoice.money.totals.grand_total),
            "creditmemo" => state.memos.get(&id).map(|memo| memo.money.totals.grand_total),
            _ => None,
        }
    }

    /// The number of an invoice or a memo (`invoice`, `creditmemo`).
    #[must_use]
    pub fn number_of(&self, entity_type: &str, id: i64) -> Option<String> {
        let state = self.core.state();
        match entity_type {
            "invoice" => state.invoices.get(&id).map(|invoice| invoice.increment_id.clone()),
            "creditmemo" => state.memos.get(&id).map(|memo| memo.increment_id.clone()),
            _ => None,
        }
    }

    /// Saves a product; returns it.
    pub fn saves_product(&self, product: ProductSpec) -> i64 {
        trade::save_product(&mut self.core.state(), product, self.core.now())
    }

    /// Saves a product's stock, which the catalogue's watchers are told of.
    ///
    /// # Errors
    /// When there is no such product.
    pub fn stocks(&self, product_id: i64, quantity: impl Into<Amount>) -> anyhow::Result<()> {
        trade::save_stock(&mut self.core.state(), product_id, quantity.into(), self.core.now())
    }

    /// Takes an invoice out of the database, as if its transaction had been rolled back after the event was seen.
    pub fn loses_invoice(&self, invoice_id: i64) {
        self.core.state().invoices.remove(&invoice_id);
    }

    /// Pairs every installed provider with a tenant, without the ceremony of the code.
    pub fn pair_directly(&self, tenant_id: &str, api_key: &str, ledger_url: &str) {
        pairing::pair_directly(&mut self.core.state(), tenant_id, api_key, ledger_url);
    }

    /// Shows a pairing code for a provider; an earlier one is no good any more.
    #[must_use]
    pub fn shows_pairing_code(&self, provider: &str) -> String {
        pairing::show_code(&mut self.core.state(), provider, self.core.now())
    }

    /// Disconnects every provider, as the button does: tells the ledger, then forgets the tenant. True if the ledger
    /// acknowledged.
    pub async fn disconnects(&self) -> bool {
        cron::disconnect(&self.core, None).await
    }

    /// The same by one provider's button: the key that all modules share is gone, but the others don't know.
    pub async fn disconnects_provider(&self, provider: &str) -> bool {
        cron::disconnect(&self.core, Some(provider)).await
    }

    /// The key that it shares with the ledger, or believes to.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        self.core.state().pairing.as_ref().map(|pairing| pairing.api_key.clone())
    }

    /// Loses its key: every token is refused until [`Shop::finds_key`], and nothing is sent.
    pub fn drops_key(&self) {
        self.core.state().key_dropped = true;
    }

    /// Has its key again.
    pub fn finds_key(&self) {
        self.core.state().key_dropped = false;
    }

    /// Has another key than the ledger, until [`Shop::finds_agreed_key`] or until it is paired again.
    pub fn drifts_key(&self) {
        pairing::drift(&mut self.core.state(), true);
    }

    /// Has the agreed key again.
    pub fn finds_agreed_key(&self) {
        pairing::drift(&mut self.core.state(), false);
    }

    /// Whether anybody gets through to its REST interface; what it sends itself still goes out.
    pub fn is_reachable(&self, reachable: bool) {
        self.core.state().unreachable = !reachable;
    }

    /// An administrator looks at a provider's pages: the tile and the status block, for which the module asks the ledger
    /// unless it did within 30 seconds.
    pub async fn looks(&self, provider: &str) -> Health {
        health::look(&self.core, provider).await
    }

    /// The module asks the ledger after an entity.
    pub async fn asks_after(&self, entity_type: &str, entity_id: &str) -> EntityStatus {
        health::asks_after(&self.core, entity_type, entity_id).await
    }

    /// Flushes its cache, which forgets the tokens it has seen and what the ledger said of itself.
    pub fn flushes_cache(&self) {
        let mut state = self.core.state();
        state.burnt.clear();
        state.kept_health = None;
    }

    /// One tick of cron: sends what is due, one row after another, and writes down what came of it.
    pub async fn ticks(&self) -> Vec<Sent> {
        cron::tick(&self.core).await
    }

    /// Sends a row of the outbox again, the very same but for a fresh token; the row doesn't notice.
    ///
    /// # Errors
    /// When there is no such row or the shop isn't paired.
    pub async fn delivers(&self, outbox_id: i64) -> anyhow::Result<Sent> {
        cron::deliver(&self.core, outbox_id).await
    }

    /// What would be sent for a row of the outbox, with a fresh token.
    ///
    /// # Errors
    /// When there is no such row or the shop isn't paired.
    pub fn delivery(&self, outbox_id: i64) -> anyhow::Result<Delivery> {
        cron::delivery(&self.core, outbox_id)
    }

    /// Puts a row of the outbox back to pending, as the console command does.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn requeues(&self, outbox_id: i64) -> anyhow::Result<()> {
        cron::requeue(&self.core, outbox_id)
    }

    /// A fresh token of the shop, minted that many seconds from now.
    ///
    /// # Errors
    /// When the shop isn't paired.
    pub fn signs(&self, seconds_from_now: i64) -> anyhow::Result<String> {
        cron::sign(&self.core, seconds_from_now)
    }

    /// The outbox.
    #[must_use]
    pub fn outbox(&self) -> Vec<OutboxRow> {
        self.core.state().outbox.values().cloned().collect()
    }

    /// What the first installed provider's column shows for an entity (`invoice`, `creditmemo`, `customer`, `product`).
    #[must_use]
    pub fn chip(&self, entity_type: &str, id: i64) -> Option<Chip> {
        let state = self.core.state();
        let provider = state.providers.first()?.clone();
        state.chips.get(&(entity_type.to_owned(), id, provider)).cloned()
    }

    /// What a provider's column shows for an entity.
    #[must_use]
    pub fn chip_of(&self, provider: &str, entity_type: &str, id: i64) -> Option<Chip> {
        self.core.state().chips.get(&(entity_type.to_owned(), id, provider.to_owned())).cloned()
    }

    /// Every state that was pushed and accepted, in order.
    #[must_use]
    pub fn pushed(&self) -> Vec<PushedState> {
        self.core.state().pushed.clone()
    }

    /// The requests its REST interface got, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<RestRequest> {
        self.core.state().requests.clone()
    }

    /// Sets a fault for the next requests to a route.
    pub fn faults(&self, route: &str, times: u32, fault: ShopFault) {
        self.core.state().faults.push(ShopFaultSpec { route: route.to_owned(), times, fault });
    }

    /// Forgets all faults that are still to come.
    pub fn heals(&self) {
        self.core.state().faults.clear();
    }

    /// The very bytes the REST interface would send for an entity (`invoice`, `customer`, `creditmemo`, `payment`,
    /// `product`), without asking for a token.
    #[must_use]
    pub fn canonical(&self, kind: &str, id: i64) -> Option<String> {
        canonical::document(&self.core.state(), kind, id).ok().map(|document| document.json(true))
    }
}

/// The customer accounts of a shop.
#[derive(Clone, Copy, Debug)]
pub struct Customers<'a> {
    core: &'a Core,
}

impl Customers<'_> {
    /// Opens an account and tells the ledger; returns the customer.
    ///
    /// # Errors
    /// When the e-mail address is taken in that website, or none.
    pub fn register(&self, customer: CustomerSpec) -> anyhow::Result<i64> {
        trade::register(&mut self.core.state(), customer, self.core.now())
    }

    /// Deletes an account; nobody is told.
    pub fn delete(&self, customer_id: i64) {
        self.core.state().customers.remove(&customer_id);
    }
}

impl Pairing {
    pub(crate) fn of(state: &State) -> anyhow::Result<&Self> {
        state.pairing.as_ref().filter(|_| !state.key_dropped).context("the shop is not paired")
    }
}

fn opened(options: ShopOptions) -> anyhow::Result<Core> {
    let mut state = State::new(options.client, options.providers);
    state.catalogue_watchers = options.catalogue_watchers;
    for website in presets::websites() {
        trade::set_website(&mut state, &website)?;
    }
    Ok(Core { state: Arc::new(Mutex::new(state)), clock: options.clock })
}

async fn route(core: Core, request: Request) -> Reply {
    if request.path.starts_with("/_control/") {
        return control::answer(&core, &request).await.into();
    }
    rest::answer(&core, &request).await
}

fn fresh_jti() -> String {
    ambient::fresh_uuid()
}
