//! What the published Magento module says and hears, as JSON.
//!
//! Source: the module's REST getters as published (`Api/Canonical/Data`), and Magento's REST serialisation: money as
//! JSON numbers with up to 14 significant digits, absent keys instead of nulls, lists where PHP has arrays.

use jiff::Timestamp;
use ledger_domain::amount::{Amount, AmountError, Currency, parse_places};
use ledger_domain::canonical::{Address, Customer, Invoice, InvoiceState, Line};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Decimal places of `base_to_order_rate` (`decimal(12,4)`), with room for shops that widened the column.
const RATE_PLACES: u32 = 8;
/// Most rows of an invoice that we read: beyond what any book takes, so that the book's own limit is the one named.
pub const LINES_MAX: usize = 5_000;

/// Body of an event: `{"magento_entity_id":42,"website_id":1,"store_id":1,"occurred_at":"2026-11-20T09:30:00Z",
/// "payload":{"increment_id":"000000042","paid":true}}`.
#[derive(Clone, Debug, Deserialize)]
pub struct EventBody {
    /// Id of the document in the shop; checked by the reader because a bad one has a code of its own.
    #[serde(default)]
    pub magento_entity_id: Option<Box<RawValue>>,
    /// Website.
    #[serde(default)]
    pub website_id: Option<i64>,
    /// Store.
    #[serde(default)]
    pub store_id: Option<i64>,
    /// When it happened, UTC.
    #[serde(default)]
    pub occurred_at: Option<String>,
    /// Extra facts; an empty PHP array arrives as `[]`.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
}

/// Extra facts of an event.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct EventPayload {
    /// The document's number.
    #[serde(default)]
    pub increment_id: Option<String>,
}

/// Body of `POST /rest/V1/byte8/sync-state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncState {
    /// `invoice`, `creditmemo`, `customer` or `product`.
    pub entity_type: String,
    /// Id of the entity in the shop.
    pub magento_entity_id: u64,
    /// Provider key.
    pub provider: String,
    /// `synced`, `skipped` or `failed`.
    pub sync_status: String,
    /// Id in the book, at most 64 characters.
    pub provider_entity_id: Option<String>,
    /// Human reference in the book, at most 64 characters.
    pub provider_reference: Option<String>,
    /// Why it was left out.
    pub skip_reason: Option<String>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// `YYYY-MM-DD HH:MM:SS`, UTC: the column takes no `T` or `Z`.
    pub last_sync_at: String,
}

/// What is wrong with an answer of the shop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShopAnswerError {
    /// Not the JSON that the getter is documented to give.
    #[error("not the shape of the getter")]
    Shape,
    /// A money field that is no amount.
    #[error("{field}: {error}")]
    Money {
        /// The field.
        field: &'static str,
        /// Why.
        error: AmountError,
    },
    /// A field with a value that means nothing.
    #[error("{field}: not usable")]
    Field {
        /// The field.
        field: &'static str,
    },
}

#[derive(Deserialize)]
struct InvoiceV1 {
    magento_id: u64,
    increment_id: String,
    #[serde(default)]
    order_increment_id: String,
    website_id: u32,
    store_id: u32,
    currency: String,
    #[serde(default)]
    state: String,
    customer: CustomerV1,
    lines: Vec<LineV1>,
    subtotal: Box<RawValue>,
    tax_amount: Box<RawValue>,
    shipping_amount: Box<RawValue>,
    shipping_tax_amount: Box<RawValue>,
    discount_amount: Box<RawValue>,
    grand_total: Box<RawValue>,
    created_at: String,
    #[serde(default)]
    payment_method: Option<String>,
    #[serde(default)]
    billing_address: Option<AddressV1>,
    #[serde(default)]
    shipping_address: Option<AddressV1>,
    #[serde(default)]
    po_number: Option<String>,
    #[serde(default, deserialize_with = "raw_or_none")]
    base_to_order_rate: Option<Box<RawValue>>,
}

/// `Option<Box<RawValue>>` reads an explicit null as the text `null`; the shop never sends one, but absent is absent.
fn raw_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok((raw.get() != "null").then_some(raw))
}

#[derive(Deserialize)]
struct LineV1 {
    #[serde(default)]
    sku: String,
    #[serde(default)]
    name: String,
    qty: Box<RawValue>,
    unit_price: Box<RawValue>,
    line_subtotal: Box<RawValue>,
    line_tax: Box<RawValue>,
    line_total: Box<RawValue>,
}

#[derive(Deserialize)]
struct CustomerV1 {
    magento_id: u64,
    #[serde(default)]
    email: String,
    #[serde(default)]
    first_name: Option<String>,
    #[serde(default)]
    last_name: Option<String>,
    #[serde(default)]
    company: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    addresses: Vec<AddressV1>,
    #[serde(default)]
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct AddressV1 {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    street: Vec<String>,
    #[serde(default)]
    city: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    postcode: Option<String>,
    #[serde(default)]
    country_id: Option<String>,
}

fn money(field: &'static str, raw: &RawValue) -> Result<Amount, ShopAnswerError> {
    Amount::parse(raw.get()).map_err(|error| ShopAnswerError::Money { field, error })
}

fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn address(it: AddressV1) -> Address {
    Address {
        kind: it.kind,
        street: it.street,
        city: it.city.unwrap_or_default(),
        region: filled(it.region),
        postcode: filled(it.postcode),
        country: it.country_id.unwrap_or_default(),
    }
}

/// Serde reads a list as a structure too; the shop's documents are objects.
fn is_object(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// Reads the body of an event; `None` where it is none.
#[must_use]
pub fn event(body: &[u8]) -> Option<EventBody> {
    if is_object(body) { serde_json::from_slice(body).ok() } else { None }
}

/// Reads the answer of `GET /rest/V1/byte8/invoice/{id}`.
///
/// # Errors
/// [`ShopAnswerError`] where it is not an invoice that we can post honestly.
pub fn invoice(body: &[u8]) -> Result<Invoice, ShopAnswerError> {
    if !is_object(body) {
        return Err(ShopAnswerError::Shape);
    }
    let it: InvoiceV1 = serde_json::from_slice(body).map_err(|_| ShopAnswerError::Shape)?;
    if it.lines.len() > LINES_MAX {
        return Err(ShopAnswerError::Field { field: "lines" });
    }
    let lines = it
        .lines
        .into_iter()
        .map(|line| {
            Ok(Line {
                sku: line.sku,
                name: line.name,
                quantity: money("qty", &line.qty)?,
                unit_price: money("unit_price", &line.unit_price)?,
                subtotal: money("line_subtotal", &line.line_subtotal)?,
                tax: money("line_tax", &line.line_tax)?,
                total: money("line_total", &line.line_total)?,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let state = match it.state.as_str() {
        "paid" => InvoiceState::Paid,
        "cancelled" => InvoiceState::Cancelled,
        _ => InvoiceState::Open,
    };
    let rate = match &it.base_to_order_rate {
        None => None,
        Some(raw) => Some(
            parse_places(raw.get(), RATE_PLACES)
                .map_err(|error| ShopAnswerError::Money { field: "base_to_order_rate", error })?,
        ),
    };
    Ok(Invoice {
        magento_id: it.magento_id,
        increment_id: filled(Some(it.increment_id)).ok_or(ShopAnswerError::Field { field: "increment_id" })?,
        order_increment_id: it.order_increment_id,
        website_id: it.website_id,
        store_id: it.store_id,
        currency: Currency::parse(&it.currency).map_err(|_| ShopAnswerError::Field { field: "currency" })?,
        state,
        customer: customer(it.customer),
        lines,
        subtotal: money("subtotal", &it.subtotal)?,
        tax: money("tax_amount", &it.tax_amount)?,
        shipping: money("shipping_amount", &it.shipping_amount)?,
        shipping_tax: money("shipping_tax_amount", &it.shipping_tax_amount)?,
        discount: money("discount_amount", &it.discount_amount)?,
        grand_total: money("grand_total", &it.grand_total)?,
        created_at: it.created_at.parse::<Timestamp>().map_err(|_| ShopAnswerError::Field { field: "created_at" })?,
        payment_method: filled(it.payment_method),
        billing_address: it.billing_address.map(address),
        shipping_address: it.shipping_address.map(address),
        purchase_order_number: filled(it.po_number),
        base_to_order_rate: rate,
    })
}

fn customer(it: CustomerV1) -> Customer {
    Customer {
        magento_id: it.magento_id,
        email: it.email,
        first_name: it.first_name.unwrap_or_default(),
        last_name: it.last_name.unwrap_or_default(),
        company: filled(it.company),
        phone: filled(it.phone),
        addresses: it.addresses.into_iter().map(address).collect(),
        updated_at: it.updated_at.and_then(|text| text.parse().ok()),
    }
}
