//! Documents as the shop tells them, after reading and before any decision of ours.
//!
//! Shapes and meanings follow the published module's REST getters; `ledger-wire` reads the JSON into these.

use crate::amount::{Amount, Currency};
use jiff::Timestamp;
use rust_decimal::Decimal;

/// An invoice of the shop. Amounts are in [`Invoice::currency`].
#[derive(Clone, Debug, PartialEq)]
pub struct Invoice {
    /// `sales_invoice.entity_id`.
    pub magento_id: u64,
    /// The number that the shop's people know, unique per store and document type only.
    pub increment_id: String,
    /// `sales_order.entity_id`; 0 where the shop told none.
    pub order_id: u64,
    /// The order's own number.
    pub order_increment_id: String,
    /// Website of the invoice's store.
    pub website_id: u32,
    /// Store view of the invoice.
    pub store_id: u32,
    /// The currency the buyer paid in.
    pub currency: Currency,
    /// Open, paid or cancelled.
    pub state: InvoiceState,
    /// The buyer; `magento_id` 0 for a guest.
    pub customer: Customer,
    /// Every row of the invoice, rows without money included.
    pub lines: Vec<Line>,
    /// Sum of the rows before discount and tax.
    pub subtotal: Amount,
    /// All tax, shipping's included.
    pub tax: Amount,
    /// Shipping before discount and tax.
    pub shipping: Amount,
    /// Tax on shipping.
    pub shipping_tax: Amount,
    /// All discounts, shipping's included; negative or zero.
    pub discount: Amount,
    /// What the buyer pays.
    pub grand_total: Amount,
    /// When the invoice was raised, UTC.
    pub created_at: Timestamp,
    /// The payment method's code.
    pub payment_method: Option<String>,
    /// The order's billing address.
    pub billing_address: Option<Address>,
    /// The order's shipping address.
    pub shipping_address: Option<Address>,
    /// The buyer's purchase order number.
    pub purchase_order_number: Option<String>,
    /// Units of [`Invoice::currency`] for one unit of the website's base currency, four decimal places.
    pub base_to_order_rate: Option<Decimal>,
}

/// Where an invoice stands in the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceState {
    /// Raised, not captured.
    Open,
    /// Captured, or raised with a method that is never captured (cheque, bank transfer, cash, purchase order, free).
    Paid,
    /// Cancelled.
    Cancelled,
}

/// One row of an invoice or a credit memo. Only `subtotal`, `tax` and `total` carry money: a bundle's parent has a unit price and none
/// of the three.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The product's code; a configurable's row carries the chosen variant's.
    pub sku: String,
    /// The name shown to the buyer.
    pub name: String,
    /// Quantity, four decimal places.
    pub quantity: Amount,
    /// Unit price without tax, rounded; not `subtotal / quantity`.
    pub unit_price: Amount,
    /// Row without tax, before discount.
    pub subtotal: Amount,
    /// Tax of the row.
    pub tax: Amount,
    /// `subtotal + tax − discount`, before discount tax compensation.
    pub total: Amount,
}

/// A credit memo of the shop. Amounts are in [`CreditMemo::currency`] and positive. It says neither its subtotal nor its
/// tax nor its discount: those are had back from the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct CreditMemo {
    /// `sales_creditmemo.entity_id`.
    pub magento_id: u64,
    /// The number that the shop's people know.
    pub increment_id: String,
    /// The invoice that it was made from; none where it was made from the order.
    pub invoice_id: Option<u64>,
    /// That invoice's number.
    pub invoice_increment_id: Option<String>,
    /// Website of the memo's store.
    pub website_id: u32,
    /// The currency the buyer paid in.
    pub currency: Currency,
    /// The buyer; `magento_id` 0 for a guest. A registered one may be without addresses.
    pub customer: Customer,
    /// Every row of the memo, rows without money included; empty where only shipping is refunded.
    pub lines: Vec<Line>,
    /// What is refunded beyond the rows (*adjustment refund*).
    pub adjustment_positive: Amount,
    /// What is kept of the refund (*adjustment fee*).
    pub adjustment_negative: Amount,
    /// What the buyer gets back.
    pub grand_total: Amount,
    /// Shipping before discount and tax.
    pub shipping: Amount,
    /// Tax on shipping.
    pub shipping_tax: Amount,
    /// When the memo was made, UTC.
    pub created_at: Timestamp,
    /// When its invoice was raised, UTC.
    pub invoice_created_at: Option<Timestamp>,
    /// As [`Invoice::base_to_order_rate`].
    pub base_to_order_rate: Option<Decimal>,
}

/// What the shop says about the payment of an invoice. It says so of open and cancelled invoices too.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentInfo {
    /// The invoice.
    pub invoice_id: u64,
    /// The payment method's code.
    pub method: Option<String>,
    /// The invoice's currency.
    pub currency: Currency,
    /// The invoice's grand total.
    pub amount: Amount,
    /// The invoice's creation, UTC: the shop does not say when the money came.
    pub captured_at: Timestamp,
    /// The gateway's last transaction on the order.
    pub transaction: Option<String>,
}

/// Something that the shop sells.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// `catalog_product_entity.entity_id`.
    pub magento_id: u64,
    /// The shop's code, at most 64 characters.
    pub sku: String,
    /// Name.
    pub name: String,
    /// Magento's type: `simple`, `virtual`, `configurable` …
    pub product_type: String,
    /// Price in the shop's base currency, with or without tax as the catalogue is kept; six decimal places.
    pub price: Option<Decimal>,
    /// Special price, its dates disregarded; six decimal places.
    pub special_price: Option<Decimal>,
    /// What one costs the shop; six decimal places.
    pub cost: Option<Decimal>,
    /// Quantity in stock.
    pub stock_quantity: Option<Decimal>,
    /// True where the shop keeps stock of it.
    pub manage_stock: bool,
    /// Websites that sell it.
    pub website_ids: Vec<u32>,
    /// When it was made, UTC.
    pub created_at: Option<Timestamp>,
    /// Last change, UTC.
    pub updated_at: Option<Timestamp>,
}

/// A buyer.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// `customer_entity.entity_id`; 0 for a guest.
    pub magento_id: u64,
    /// E-mail address.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Company, from the billing address.
    pub company: Option<String>,
    /// Telephone, from the billing address.
    pub phone: Option<String>,
    /// Website of the account; 0 for a guest.
    pub website_id: u32,
    /// Customer group; none for a guest.
    pub group_id: Option<u32>,
    /// Default billing and shipping addresses, as far as there are any.
    pub addresses: Vec<Address>,
    /// When the account was opened, or a guest's order placed, UTC.
    pub created_at: Option<Timestamp>,
    /// Last change, UTC.
    pub updated_at: Option<Timestamp>,
}

/// A postal address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `billing` or `shipping`.
    pub kind: String,
    /// Street lines.
    pub street: Vec<String>,
    /// Town.
    pub city: String,
    /// Region or county.
    pub region: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}
