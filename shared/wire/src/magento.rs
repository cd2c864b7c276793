//! What the published Magento module says and hears, as JSON.
//!
//! Source: the module's REST getters as published (`Api/Canonical/Data`), and Magento's REST serialisation: money as
//! JSON numbers with up to 14 significant digits, absent keys instead of nulls, lists where PHP has arrays.

use jiff::Timestamp;
use ledger_domain::amount::{AMOUNT_PLACES, Amount, AmountError, Currency, PRICE_PLACES, parse_places};
use ledger_domain::canonical::{Address, CreditMemo, Customer, Invoice, InvoiceState, Line, PaymentInfo, Product};
use rust_decimal::Decimal;
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
    #[serde(default, deserialize_with = "or_default")]
    order_id: u64,
    #[serde(default, deserialize_with = "or_default")]
    order_increment_id: String,
    website_id: u32,
    store_id: u32,
    currency: String,
    #[serde(default, deserialize_with = "or_default")]
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

/// An explicit null is what an absent key is: nothing.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Deserialize)]
struct LineV1 {
    #[serde(default, deserialize_with = "or_default")]
    sku: String,
    #[serde(default, deserialize_with = "or_default")]
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
    #[serde(default, deserialize_with = "or_default")]
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
    website_id: Option<u32>,
    #[serde(default)]
    group_id: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    addresses: Vec<AddressV1>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct CreditMemoV1 {
    magento_id: u64,
    increment_id: String,
    #[serde(default)]
    invoice_id: Option<u64>,
    #[serde(default)]
    invoice_increment_id: Option<String>,
    website_id: u32,
    currency: String,
    customer: CustomerV1,
    lines: Vec<LineV1>,
    #[serde(default, deserialize_with = "raw_or_none")]
    adjustment_positive: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "raw_or_none")]
    adjustment_negative: Option<Box<RawValue>>,
    grand_total: Box<RawValue>,
    shipping_amount: Box<RawValue>,
    shipping_tax_amount: Box<RawValue>,
    created_at: String,
    #[serde(default)]
    invoice_created_at: Option<String>,
    #[serde(default, deserialize_with = "raw_or_none")]
    base_to_order_rate: Option<Box<RawValue>>,
}

/// `gateway_metadata` is left unread: it has lost its keys and may hold personal data.
#[derive(Deserialize)]
struct PaymentV1 {
    invoice_id: u64,
    #[serde(default)]
    method: Option<String>,
    currency: String,
    amount: Box<RawValue>,
    captured_at: String,
    #[serde(default)]
    gateway_txn_id: Option<String>,
}

#[derive(Deserialize)]
struct ProductV1 {
    magento_id: u64,
    sku: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    product_type: String,
    #[serde(default, deserialize_with = "raw_or_none")]
    price: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "raw_or_none")]
    special_price: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "raw_or_none")]
    cost: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "raw_or_none")]
    stock_qty: Option<Box<RawValue>>,
    #[serde(default)]
    manage_stock: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    website_ids: Vec<u32>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct AddressV1 {
    #[serde(default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
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

fn money_or_nothing(field: &'static str, raw: Option<&RawValue>) -> Result<Amount, ShopAnswerError> {
    raw.map_or(Ok(Amount::ZERO), |raw| money(field, raw))
}

fn decimal(field: &'static str, raw: Option<&RawValue>, places: u32) -> Result<Option<Decimal>, ShopAnswerError> {
    let read =
        |raw: &RawValue| parse_places(raw.get(), places).map_err(|error| ShopAnswerError::Money { field, error });
    raw.map(read).transpose()
}

fn moment(field: &'static str, text: &str) -> Result<Timestamp, ShopAnswerError> {
    text.parse().map_err(|_| ShopAnswerError::Field { field })
}

fn currency(text: &str) -> Result<Currency, ShopAnswerError> {
    Currency::parse(text).map_err(|_| ShopAnswerError::Field { field: "currency" })
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ShopAnswerError> {
    if !is_object(body) {
        return Err(ShopAnswerError::Shape);
    }
    serde_json::from_slice(body).map_err(|_| ShopAnswerError::Shape)
}

/// A payment method of the shop.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PaymentMethod {
    /// Its code, as documents name it.
    pub code: String,
    /// Its name; the shop may have none.
    #[serde(default)]
    pub label: Option<String>,
    /// Whether it is on in the default scope: it may be on in a store all the same.
    #[serde(default)]
    pub is_active: bool,
}

/// Reads the answer of `GET /rest/V1/byte8/payment-methods`:
/// `[{"code":"checkmo","label":"Check \/ Money order","is_active":true}]`.
///
/// # Errors
/// [`ShopAnswerError::Shape`] where it is none.
pub fn payment_methods(body: &[u8]) -> Result<Vec<PaymentMethod>, ShopAnswerError> {
    serde_json::from_slice(body).map_err(|_| ShopAnswerError::Shape)
}

fn rows(lines: Vec<LineV1>) -> Result<Vec<Line>, ShopAnswerError> {
    if lines.len() > LINES_MAX {
        return Err(ShopAnswerError::Field { field: "lines" });
    }
    lines
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
        .collect()
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
    let it: InvoiceV1 = read(body)?;
    let state = match it.state.as_str() {
        "paid" => InvoiceState::Paid,
        "cancelled" => InvoiceState::Cancelled,
        _ => InvoiceState::Open,
    };
    Ok(Invoice {
        magento_id: it.magento_id,
        increment_id: filled(Some(it.increment_id)).ok_or(ShopAnswerError::Field { field: "increment_id" })?,
        order_id: it.order_id,
        order_increment_id: it.order_increment_id,
        website_id: it.website_id,
        store_id: it.store_id,
        currency: currency(&it.currency)?,
        state,
        customer: customer_of(it.customer),
        lines: rows(it.lines)?,
        subtotal: money("subtotal", &it.subtotal)?,
        tax: money("tax_amount", &it.tax_amount)?,
        shipping: money("shipping_amount", &it.shipping_amount)?,
        shipping_tax: money("shipping_tax_amount", &it.shipping_tax_amount)?,
        discount: money("discount_amount", &it.discount_amount)?,
        grand_total: money("grand_total", &it.grand_total)?,
        created_at: moment("created_at", &it.created_at)?,
        payment_method: filled(it.payment_method),
        billing_address: it.billing_address.map(address),
        shipping_address: it.shipping_address.map(address),
        purchase_order_number: filled(it.po_number),
        base_to_order_rate: decimal("base_to_order_rate", it.base_to_order_rate.as_deref(), RATE_PLACES)?,
    })
}

/// Reads the answer of `GET /rest/V1/byte8/creditmemo/{id}`.
///
/// # Errors
/// [`ShopAnswerError`] where it is not a credit memo that we can post honestly.
pub fn credit_memo(body: &[u8]) -> Result<CreditMemo, ShopAnswerError> {
    let it: CreditMemoV1 = read(body)?;
    Ok(CreditMemo {
        magento_id: it.magento_id,
        increment_id: filled(Some(it.increment_id)).ok_or(ShopAnswerError::Field { field: "increment_id" })?,
        invoice_id: it.invoice_id.filter(|id| *id > 0),
        invoice_increment_id: filled(it.invoice_increment_id),
        website_id: it.website_id,
        currency: currency(&it.currency)?,
        customer: customer_of(it.customer),
        lines: rows(it.lines)?,
        adjustment_positive: money_or_nothing("adjustment_positive", it.adjustment_positive.as_deref())?,
        adjustment_negative: money_or_nothing("adjustment_negative", it.adjustment_negative.as_deref())?,
        grand_total: money("grand_total", &it.grand_total)?,
        shipping: money("shipping_amount", &it.shipping_amount)?,
        shipping_tax: money("shipping_tax_amount", &it.shipping_tax_amount)?,
        created_at: moment("created_at", &it.created_at)?,
        invoice_created_at: it.invoice_created_at.and_then(|text| text.parse().ok()),
        base_to_order_rate: decimal("base_to_order_rate", it.base_to_order_rate.as_deref(), RATE_PLACES)?,
    })
}

/// Reads the answer of `GET /rest/V1/byte8/payment/{id}`; the id is the invoice's.
///
/// # Errors
/// [`ShopAnswerError`] where it is not a payment that we can post honestly.
pub fn payment(body: &[u8]) -> Result<PaymentInfo, ShopAnswerError> {
    let it: PaymentV1 = read(body)?;
    Ok(PaymentInfo {
        invoice_id: it.invoice_id,
        method: filled(it.method),
        currency: currency(&it.currency)?,
        amount: money("amount", &it.amount)?,
        captured_at: moment("captured_at", &it.captured_at)?,
        transaction: filled(it.gateway_txn_id),
    })
}

/// Reads the answer of `GET /rest/V1/byte8/customer/{id}`.
///
/// # Errors
/// [`ShopAnswerError::Shape`] where it is none.
pub fn customer(body: &[u8]) -> Result<Customer, ShopAnswerError> {
    read(body).map(customer_of)
}

/// Reads the answer of `GET /rest/V1/byte8/product/{id}`.
///
/// # Errors
/// [`ShopAnswerError`] where it is not a product that a book could have.
pub fn product(body: &[u8]) -> Result<Product, ShopAnswerError> {
    let it: ProductV1 = read(body)?;
    Ok(Product {
        magento_id: it.magento_id,
        sku: filled(Some(it.sku)).ok_or(ShopAnswerError::Field { field: "sku" })?,
        name: it.name.unwrap_or_default(),
        product_type: it.product_type,
        price: decimal("price", it.price.as_deref(), PRICE_PLACES)?,
        special_price: decimal("special_price", it.special_price.as_deref(), PRICE_PLACES)?,
        cost: decimal("cost", it.cost.as_deref(), PRICE_PLACES)?,
        stock_quantity: decimal("stock_qty", it.stock_qty.as_deref(), AMOUNT_PLACES)?,
        manage_stock: it.manage_stock.unwrap_or_default(),
        website_ids: it.website_ids,
        created_at: it.created_at.and_then(|text| text.parse().ok()),
        updated_at: it.updated_at.and_then(|text| text.parse().ok()),
    })
}

fn customer_of(it: CustomerV1) -> Customer {
    Customer {
        magento_id: it.magento_id,
        email: it.email,
        first_name: it.first_name.unwrap_or_default(),
        last_name: it.last_name.unwrap_or_default(),
        company: filled(it.company),
        phone: filled(it.phone),
        website_id: it.website_id.unwrap_or_default(),
        group_id: it.group_id,
        addresses: it.addresses.into_iter().map(address).collect(),
        created_at: it.created_at.and_then(|text| text.parse().ok()),
        updated_at: it.updated_at.and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests;
