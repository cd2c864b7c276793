//! What the shop remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use super::ClientVersion;
use super::money::{DocumentMoney, OrderRow, TaxSettings, Totals};
use super::spec::{Address, CustomerSpec, ProductSpec, ShopFaultSpec};

/// A website.
#[derive(Clone, Debug)]
pub(crate) struct Website {
    pub(crate) base_currency: String,
    pub(crate) stores: Vec<i64>,
    pub(crate) rates: BTreeMap<String, Decimal>,
    pub(crate) tax: TaxSettings,
}

/// A customer account.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) account: CustomerSpec,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// A product.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) product: ProductSpec,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// An order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) increment_id: String,
    pub(crate) store_id: i64,
    pub(crate) customer_id: Option<i64>,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) billing: Option<Address>,
    pub(crate) shipping: Option<Address>,
    pub(crate) currency: String,
    pub(crate) base_to_order_rate: Decimal,
    pub(crate) payment_method: String,
    pub(crate) po_number: Option<String>,
    pub(crate) transaction_id: Option<String>,
    pub(crate) additional_information: BTreeMap<String, Value>,
    /// SKU of each item, to name them by.
    pub(crate) items: Vec<String>,
    pub(crate) rows: Vec<OrderRow>,
    pub(crate) totals: Totals,
    pub(crate) base_grand_total: Decimal,
    /// Shipping in base currency, for which memos ask in it.
    pub(crate) base_shipping: Decimal,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// The three states of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    /// Not paid.
    Open,
    /// Paid, or of a method that calls itself paid.
    Paid,
    /// Cancelled.
    Cancelled,
}

impl InvoiceState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An invoice.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) id: i64,
    pub(crate) increment_id: String,
    pub(crate) order_id: i64,
    pub(crate) state: InvoiceState,
    pub(crate) money: DocumentMoney,
    pub(crate) created_at: i64,
}

/// A credit memo.
#[derive(Clone, Debug)]
pub(crate) struct Memo {
    pub(crate) id: i64,
    pub(crate) increment_id: String,
    pub(crate) order_id: i64,
    pub(crate) invoice_id: Option<i64>,
    pub(crate) money: DocumentMoney,
    pub(crate) adjustment_positive: Decimal,
    pub(crate) adjustment_negative: Decimal,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: i64,
}

/// The three states of an outbox row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxStatus {
    /// To be sent, now or later.
    Pending,
    /// Answered with 2xx.
    Succeeded,
    /// Never sent again by itself.
    DeadLettered,
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutboxRow {
    /// The row's number.
    pub entity_id: i64,
    /// Unique.
    pub idempotency_key: String,
    /// `invoice.created`, …
    pub event_name: String,
    /// For whom; the older client has no such column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The body, as it is sent.
    pub payload: String,
    /// What became of it.
    pub status: OutboxStatus,
    /// How often it was sent.
    pub attempts: u32,
    /// The last answer's status, unless that was transient.
    pub last_status_code: Option<u16>,
    /// When it was last sent.
    pub last_attempt_at: Option<i64>,
    /// When it may be sent again; none means now.
    pub next_attempt_at: Option<i64>,
    /// What went wrong.
    pub last_error: Option<String>,
    /// When the event happened.
    pub created_at: i64,
}

/// What the admin's grid shows for an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chip {
    /// `pending`, `synced`, `skipped` or `failed`.
    pub sync_status: String,
    /// The document's identifier in the book.
    pub provider_entity_id: Option<String>,
    /// The document's number in the book.
    pub provider_reference: Option<String>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// `2026-11-20 09:31:00`
    pub last_sync_at: String,
}

/// A state that was pushed to the shop, accepted or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushedState {
    /// The entity's kind.
    pub entity_type: String,
    /// The entity.
    pub magento_entity_id: i64,
    /// The provider.
    pub provider: String,
    /// What it became.
    pub chip: Chip,
}

/// A request to the shop's REST interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestRequest {
    /// In order of arrival, from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// `invoice`, `sync-state`, …; `unknown` for anything else.
    pub route: String,
    /// The path.
    pub path: String,
    /// The answer's status; none if the shop hung up.
    pub status: Option<u16>,
    /// The token's identifier, as it says itself.
    pub jti: Option<String>,
    /// Why the token was refused: the shop's own log, not part of the answer.
    pub refused_because: Option<String>,
    /// When, by the shop's clock.
    pub at: i64,
}

/// The tenant the shop is paired with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pairing {
    pub(crate) tenant_id: String,
    pub(crate) api_key: String,
    pub(crate) ledger_url: String,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) client: ClientVersion,
    /// Providers whose module is installed.
    pub(crate) providers: Vec<String>,
    /// Providers whose module tells of the catalogue.
    pub(crate) catalogue_watchers: Vec<String>,
    /// Providers that were paired.
    pub(crate) connected: BTreeSet<String>,
    pub(crate) pairing: Option<Pairing>,
    /// SHA-256 of the code and when it was shown, per provider.
    pub(crate) pairing_codes: BTreeMap<String, (String, i64)>,
    pub(crate) websites: BTreeMap<i64, Website>,
    pub(crate) customers: BTreeMap<i64, Customer>,
    pub(crate) products: BTreeMap<i64, Product>,
    pub(crate) orders: BTreeMap<i64, Order>,
    pub(crate) invoices: BTreeMap<i64, Invoice>,
    pub(crate) memos: BTreeMap<i64, Memo>,
    pub(crate) increments: BTreeMap<(&'static str, i64), i64>,
    pub(crate) outbox: BTreeMap<i64, OutboxRow>,
    /// The largest number a row of the outbox has had.
    pub(crate) last_outbox_id: i64,
    /// The day on which old rows were last cleared away, counted from the epoch.
    pub(crate) last_cleared: i64,
    pub(crate) chips: BTreeMap<(String, i64, String), Chip>,
    pub(crate) pushed: Vec<PushedState>,
    /// Replay keys and when they are forgotten.
    pub(crate) burnt: HashMap<String, i64>,
    pub(crate) requests: Vec<RestRequest>,
    pub(crate) faults: Vec<ShopFaultSpec>,
    /// The key is gone: every token is refused.
    pub(crate) key_dropped: bool,
    /// The key that was agreed on, while the shop has another.
    pub(crate) key_agreed: Option<String>,
    /// Nobody gets through to the REST interface.
    pub(crate) unreachable: bool,
    /// The ledger's last answer for the tile: for which tenant, what, and until when it is kept.
    pub(crate) kept_health: Option<(String, Value, i64)>,
}

impl State {
    pub(crate) fn new(client: ClientVersion, providers: Vec<String>) -> Self {
        Self {
            client,
            providers,
            catalogue_watchers: vec!["sage_accounting".to_owned()],
            connected: BTreeSet::new(),
            pairing: None,
            pairing_codes: BTreeMap::new(),
            websites: BTreeMap::new(),
            customers: BTreeMap::new(),
            products: BTreeMap::new(),
            orders: BTreeMap::new(),
            invoices: BTreeMap::new(),
            memos: BTreeMap::new(),
            increments: BTreeMap::new(),
            outbox: BTreeMap::new(),
            last_outbox_id: 0,
            last_cleared: 0,
            chips: BTreeMap::new(),
            pushed: Vec::new(),
            burnt: HashMap::new(),
            requests: Vec::new(),
            faults: Vec::new(),
            key_dropped: false,
            key_agreed: None,
            unreachable: false,
            kept_health: None,
        }
    }

    pub(crate) fn website_of_store(&self, store_id: i64) -> Option<(i64, &Website)> {
        self.websites.iter().find(|(_, website)| website.stores.contains(&store_id)).map(|(id, website)| (*id, website))
    }

    /// The next number of a document, as the store counts: store 1 plainly, others with their own number in front.
    pub(crate) fn next_increment(&mut self, kind: &'static str, store_id: i64) -> String {
        let counter = self.increments.entry((kind, store_id)).or_insert(0);
        *counter = counter.saturating_add(1);
        if store_id == 1 { format!("{counter:09}") } else { format!("{store_id}{counter:09}") }
    }
}

/// The number after the largest.
pub(crate) fn next_id<T>(rows: &BTreeMap<i64, T>) -> i64 {
    rows.keys().next_back().map_or(1, |last| last.saturating_add(1))
}
