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
pub struct Invoice {
    /// Its id.
    pub id: i64,
    /// Its number.
    pub increment_id: String,
    /// What is to be paid.
    #[serde(deserialize_with = "figure")]
    pub grand_total: Decimal,
}

/// An invoice or a credit memo in the shop's own grid.
#[derive(Clone, Debug, Deserialize)]
pub struct Sale {
    /// `invoice` or `creditmemo`.
    pub entity_type: String,
    /// Its id.
    pub id: i64,
    /// Its number.
    pub increment_id: String,
    /// Its currency.
    pub currency: String,
    /// What is to be paid, or was given back.
    #[serde(deserialize_with = "figure")]
    pub grand_total: Decimal,
    /// The tax in it.
    #[serde(deserialize_with = "figure")]
    pub tax_amount: Decimal,
}

/// What the shop's grid shows.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Chip {
    /// `pending`, `synced`, `skipped` or `failed`.
    pub sync_status: String,
    /// The document in the book.
    pub provider_entity_id: Option<String>,
    /// Its number there.
    pub provider_reference: Option<String>,
    /// Why it was left out.
    pub skip_reason: Option<String>,
    /// Why it failed.
    pub error_code: Option<String>,
}

/// A request that the shop's cron sent.
#[derive(Clone, Debug, Deserialize)]
pub struct Sent {
    /// The row of the outbox.
    pub outbox_id: i64,
    /// Its key.
    pub idempotency_key: String,
    /// The answer's status; none where nobody answered.
    pub status: Option<u16>,
    /// The answer's body, or what went wrong.
    pub body: String,
}

impl Sent {
    /// Whether the ledger has taken it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The run that the ledger answered with.
    #[must_use]
    pub fn run_id(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        body.get("sync_run_id")?.as_str().map(str::to_owned)
    }
}

/// An invoice as the book knows it.
#[derive(Clone, Debug, Deserialize)]
pub struct BookInvoice {
    /// Its total.
    #[serde(deserialize_with = "figure")]
    pub total_value: Decimal,
    /// Its currency.
    pub currency: String,
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
pub struct Shop {
    /// Where it is.
    pub url: String,
    provider: &'static str,
}

/// The id of what was made.
fn id_of(answer: &Value) -> anyhow::Result<i64> {
    answer.get("id").and_then(Value::as_i64).context("what was made has no id")
}

impl Shop {
    /// The shop at an address, with that provider's module.
    #[must_use]
    pub fn at(url: &str, provider: &'static str) -> Self {
        Self { url: url.to_owned(), provider }
    }

    async fn control(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        http::send(&self.url, method, &format!("/_control/{path}"), &[], body.as_ref()).await?.good(path)
    }

    /// The merchant has the admin page show a pairing code.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn shows_code(&self) -> anyhow::Result<String> {
        let answer = self.control("POST", "pairing-code", Some(json!({"provider": self.provider}))).await?;
        answer.get("pairing_code").and_then(Value::as_str).map(str::to_owned).context("the admin page shows no code")
    }

    /// The key that the shop keeps since it was paired.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn key(&self) -> anyhow::Result<String> {
        let kept = self.control("GET", "pairing", None).await?;
        kept.get("api_key").and_then(Value::as_str).map(str::to_owned).context("the shop keeps no key")
    }

    /// The tenant that the shop's own tokens name; `None` where it is not paired.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn speaks_as(&self) -> anyhow::Result<Option<String>> {
        let answer = http::send(&self.url, "POST", "/_control/sign", &[], Some(&json!({}))).await?;
        Ok(answer.body.get("authorization").and_then(Value::as_str).and_then(subject))
    }

    /// The merchant opens a website.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn opens_website(&self, website: &WebsiteSpec) -> anyhow::Result<()> {
        self.control("POST", "websites", Some(serde_json::to_value(website)?)).await.map(drop)
    }

    /// An invoice of a preset.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn raises(&self, preset: &str) -> anyhow::Result<Invoice> {
        read(self.control("POST", &format!("presets/{preset}"), None).await?)
    }

    /// An order is placed and invoiced.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn sells(&self, order: &OrderSpec) -> anyhow::Result<Invoice> {
        let order_id = self.takes(order).await?;
        self.invoices(order_id).await
    }

    /// A customer opens an account.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn registers(&self, customer: &CustomerSpec) -> anyhow::Result<i64> {
        id_of(&self.control("POST", "customers", Some(serde_json::to_value(customer)?)).await?)
    }

    /// A product is saved.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn saves(&self, product: &ProductSpec) -> anyhow::Result<i64> {
        id_of(&self.control("POST", "products", Some(serde_json::to_value(product)?)).await?)
    }

    /// An order is placed.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn takes(&self, order: &OrderSpec) -> anyhow::Result<i64> {
        id_of(&self.control("POST", "orders", Some(serde_json::to_value(order)?)).await?)
    }

    /// All that is left of an order is invoiced.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn invoices(&self, order_id: i64) -> anyhow::Result<Invoice> {
        read(self.control("POST", "invoices", Some(json!({"order_id": order_id}))).await?)
    }

    /// Money is given back.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn refunds(&self, memo: &MemoSpec) -> anyhow::Result<i64> {
        id_of(&self.control("POST", "memos", Some(serde_json::to_value(memo)?)).await?)
    }

    /// What the shop's own grid says of an invoice or a credit memo.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn sale(&self, entity: &str, id: i64) -> anyhow::Result<Sale> {
        let sales: Vec<Sale> = read(self.control("GET", "sales", None).await?)?;
        let sale = sales.into_iter().find(|sale| sale.entity_type == entity && sale.id == id);
        sale.with_context(|| format!("the shop's grids have no {entity} {id}"))
    }

    /// The currency that an invoice is in.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn currency(&self, invoice: i64) -> anyhow::Result<String> {
        let document = self.control("GET", &format!("canonical/invoice/{invoice}"), None).await?;
        document.get("currency").and_then(Value::as_str).map(str::to_owned).context("an invoice without currency")
    }

    /// One tick of cron.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn ticks(&self) -> anyhow::Result<Vec<Sent>> {
        let answer = self.control("POST", "cron", None).await?;
        read(answer.get("sent").cloned().unwrap_or_default())
    }

    /// Takes a delivery out of its backoff.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn requeues(&self, outbox_id: i64) -> anyhow::Result<()> {
        self.control("POST", &format!("outbox/{outbox_id}/requeue"), None).await.map(drop)
    }

    /// What the shop's grid shows of an entity.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn chip(&self, entity: &str, id: i64) -> anyhow::Result<Chip> {
        let provider = self.provider;
        read(self.control("GET", &format!("chip/{entity}/{id}?provider={provider}"), None).await?)
    }
}

/// A book.
#[derive(Clone, Debug)]
pub struct Book {
    /// Where it is.
    pub url: String,
}

impl Book {
    /// The book at an address.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// Asks its control API.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn control(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        http::send(&self.url, method, &format!("/_control/{path}"), &[], body.as_ref()).await?.good(path)
    }

    /// The developer enters an app on the provider's page, and where it may send people back to.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn registers_app(&self, client_id: &str, secret: &str, callback: &str) -> anyhow::Result<()> {
        let app = json!({"client_id": client_id, "secret": secret, "redirect_uris": [callback]});
        self.control("POST", "identity/apps", Some(app)).await.map(drop)
    }

    /// The bookkeeper opens an income category.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn opens_category(&self, code: &str) -> anyhow::Result<()> {
        let category = json!({"code": code, "description": "Lamps"});
        self.control("POST", "categories", Some(category)).await.map(drop)
    }

    /// The bookkeeper removes a category.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn removes_category(&self, code: &str) -> anyhow::Result<()> {
        self.control("DELETE", &format!("categories/{code}"), None).await.map(drop)
    }

    /// What the book holds.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn statement(&self) -> anyhow::Result<Statement> {
        read(self.control("GET", "statement", None).await?)
    }

    /// Its invoices with a number.
    ///
    /// # Errors
    /// Where the stand-in refuses, or can't be asked.
    pub async fn invoices(&self, reference: &str) -> anyhow::Result<Vec<BookInvoice>> {
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
