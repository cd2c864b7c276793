//! The stand-in shops and books, by their control APIs.

use crate::http;
use anyhow::Context;
use ledger_world::shop::{CustomerSpec, MemoSpec, OrderSpec, ProductSpec, WebsiteSpec};
use ledger_world::statement::Statement;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// An invoice as the shop knows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) id: i64,
    pub(crate) increment_id: String,
    #[serde(deserialize_with = "figure")]
    pub(crate) grand_total: Decimal,
}

/// An invoice or a credit memo in the shop's own grid.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sale {
    pub(crate) entity_type: String,
    pub(crate) id: i64,
    pub(crate) increment_id: String,
    pub(crate) currency: String,
    #[serde(deserialize_with = "figure")]
    pub(crate) grand_total: Decimal,
    #[serde(deserialize_with = "figure")]
    pub(crate) tax_amount: Decimal,
}

/// What the shop's grid shows.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Chip {
    pub(crate) sync_status: String,
    pub(crate) provider_entity_id: Option<String>,
    pub(crate) provider_reference: Option<String>,
    pub(crate) skip_reason: Option<String>,
    pub(crate) error_code: Option<String>,
}

/// A request that the shop's cron sent.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sent {
    pub(crate) outbox_id: i64,
    pub(crate) idempotency_key: String,
    pub(crate) status: Option<u16>,
    pub(crate) body: String,
}

impl Sent {
    pub(crate) fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The run that the ledger answered with.
    pub(crate) fn run_id(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        body.get("sync_run_id")?.as_str().map(str::to_owned)
    }
}

/// An invoice as the book knows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct BookInvoice {
    #[serde(deserialize_with = "figure")]
    pub(crate) total_value: Decimal,
    pub(crate) currency: String,
}

/// A figure that was printed as text, exactly.
fn figure<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn read<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    serde_json::from_value(value).context("the stand-in answers in another shape than it did")
}

/// A shop.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) url: String,
    provider: &'static str,
}

/// The id of what was made.
fn id_of(answer: &Value) -> anyhow::Result<i64> {
    answer.get("id").and_then(Value::as_i64).context("what was made has no id")
}

impl Shop {
    /// The shop at an address, with that provider's module.
    pub(crate) fn at(url: &str, provider: &'static str) -> Self {
        Self { url: url.to_owned(), provider }
    }

    async fn control(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        http::send(&self.url, method, &format!("/_control/{path}"), &[], body.as_ref()).await?.good(path)
    }

    /// The merchant has the admin page show a pairing code.
    pub(crate) async fn shows_code(&self) -> anyhow::Result<String> {
        let answer = self.control("POST", "pairing-code", Some(json!({"provider": self.provider}))).await?;
        answer.get("pairing_code").and_then(Value::as_str).map(str::to_owned).context("the admin page shows no code")
    }

    /// The key that the shop keeps since it was paired.
    pub(crate) async fn key(&self) -> anyhow::Result<String> {
        let kept = self.control("GET", "pairing", None).await?;
        kept.get("api_key").and_then(Value::as_str).map(str::to_owned).context("the shop keeps no key")
    }

    /// The tenant that the shop's own tokens name; `None` where it is not paired.
    pub(crate) async fn speaks_as(&self) -> anyhow::Result<Option<String>> {
        let answer = http::send(&self.url, "POST", "/_control/sign", &[], Some(&json!({}))).await?;
        Ok(answer.body.get("authorization").and_then(Value::as_str).and_then(subject))
    }

    pub(crate) async fn opens_website(&self, website: &WebsiteSpec) -> anyhow::Result<()> {
        self.control("POST", "websites", Some(serde_json::to_value(website)?)).await.map(drop)
    }

    pub(crate) async fn raises(&self, preset: &str) -> anyhow::Result<Invoice> {
        read(self.control("POST", &format!("presets/{preset}"), None).await?)
    }

    pub(crate) async fn sells(&self, order: &OrderSpec) -> anyhow::Result<Invoice> {
        let order_id = self.takes(order).await?;
        self.invoices(order_id).await
    }

    /// A customer opens an account.
    pub(crate) async fn registers(&self, customer: &CustomerSpec) -> anyhow::Result<i64> {
        id_of(&self.control("POST", "customers", Some(serde_json::to_value(customer)?)).await?)
    }

    /// A product is saved.
    pub(crate) async fn saves(&self, product: &ProductSpec) -> anyhow::Result<i64> {
        id_of(&self.control("POST", "products", Some(serde_json::to_value(product)?)).await?)
    }

    /// An order is placed.
    pub(crate) async fn takes(&self, order: &OrderSpec) -> anyhow::Result<i64> {
        id_of(&self.control("POST", "orders", Some(serde_json::to_value(order)?)).await?)
    }

    /// All that is left of an order is invoiced.
    pub(crate) async fn invoices(&self, order_id: i64) -> anyhow::Result<Invoice> {
        read(self.control("POST", "invoices", Some(json!({"order_id": order_id}))).await?)
    }

    /// Money is given back.
    pub(crate) async fn refunds(&self, memo: &MemoSpec) -> anyhow::Result<i64> {
        id_of(&self.control("POST", "memos", Some(serde_json::to_value(memo)?)).await?)
    }

    /// What the shop's own grid says of an invoice or a credit memo.
    pub(crate) async fn sale(&self, entity: &str, id: i64) -> anyhow::Result<Sale> {
        let sales: Vec<Sale> = read(self.control("GET", "sales", None).await?)?;
        let sale = sales.into_iter().find(|sale| sale.entity_type == entity && sale.id == id);
        sale.with_context(|| format!("the shop's grids have no {entity} {id}"))
    }

    /// The currency that an invoice is in.
    pub(crate) async fn currency(&self, invoice: i64) -> anyhow::Result<String> {
        let document = self.control("GET", &format!("canonical/invoice/{invoice}"), None).await?;
        document.get("currency").and_then(Value::as_str).map(str::to_owned).context("an invoice without currency")
    }

    /// One tick of cron.
    pub(crate) async fn ticks(&self) -> anyhow::Result<Vec<Sent>> {
        let answer = self.control("POST", "cron", None).await?;
        read(answer.get("sent").cloned().unwrap_or_default())
    }

    /// Takes a delivery out of its backoff.
    pub(crate) async fn requeues(&self, outbox_id: i64) -> anyhow::Result<()> {
        self.control("POST", &format!("outbox/{outbox_id}/requeue"), None).await.map(drop)
    }

    pub(crate) async fn chip(&self, entity: &str, id: i64) -> anyhow::Result<Chip> {
        let provider = self.provider;
        read(self.control("GET", &format!("chip/{entity}/{id}?provider={provider}"), None).await?)
    }
}

/// A book.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) url: String,
}

impl Book {
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    async fn control(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        http::send(&self.url, method, &format!("/_control/{path}"), &[], body.as_ref()).await?.good(path)
    }

    /// The developer enters an app on the provider's page, and where it may send people back to.
    pub(crate) async fn registers_app(&self, client_id: &str, secret: &str, callback: &str) -> anyhow::Result<()> {
        let app = json!({"client_id": client_id, "secret": secret, "redirect_uris": [callback]});
        self.control("POST", "identity/apps", Some(app)).await.map(drop)
    }

    /// The bookkeeper opens an income category.
    pub(crate) async fn opens_category(&self, code: &str) -> anyhow::Result<()> {
        let category = json!({"code": code, "description": "Lamps"});
        self.control("POST", "categories", Some(category)).await.map(drop)
    }

    /// The bookkeeper removes a category.
    pub(crate) async fn removes_category(&self, code: &str) -> anyhow::Result<()> {
        self.control("DELETE", &format!("categories/{code}"), None).await.map(drop)
    }

    /// What the book holds.
    pub(crate) async fn statement(&self) -> anyhow::Result<Statement> {
        read(self.control("GET", "statement", None).await?)
    }

    pub(crate) async fn invoices(&self, reference: &str) -> anyhow::Result<Vec<BookInvoice>> {
        let answer = self.control("GET", &format!("invoices?reference={reference}"), None).await?;
        read(answer.get("invoices").cloned().unwrap_or_default())
    }
}

/// Whom a token is about, unverified.
fn subject(authorization: &str) -> Option<String> {
    use base64::Engine;
    let claims = authorization.strip_prefix("Bearer ")?.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}
