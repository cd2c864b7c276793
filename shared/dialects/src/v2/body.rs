//! Request bodies. The order of the fields is the order of the declarations, so the same document always gives the same
//! bytes; numbers are the exact text of the decimal, never a float's.

use super::House;
use ledger_domain::code::Code;
use ledger_domain::country;
use ledger_domain::document::{Contact, LineRole, SalesInvoice};
use ledger_domain::fault::Fault;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

/// Decimal places of an exchange rate.
const EXCHANGE_RATE_PLACES: u32 = 10;
/// Lines of an address that a contact has.
const ADDRESS_LINES: usize = 3;

#[derive(Serialize)]
struct ContactRoot {
    contact: ContactBody,
}

#[derive(Serialize)]
struct ContactBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation_name: Option<String>,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    town: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postcode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'static str>,
}

/// A contact. The family asks for first and last name or an organisation (FreeAgent API docs, contacts): a buyer with
/// only one name becomes an organisation of that name.
pub(super) fn contact(house: &House, contact: &Contact) -> Result<String, Fault> {
    let text = |text: &str| some_text(text, house.text_length_max);
    let (mut first_name, mut last_name) = (text(&contact.first_name), text(&contact.last_name));
    let mut organisation_name = contact.company.as_deref().and_then(text);
    if organisation_name.is_none() && (first_name.is_none() || last_name.is_none()) {
        organisation_name = first_name.take().or_else(|| last_name.take()).or_else(|| text(&contact.email));
    }
    let address = contact.address.as_ref();
    let mut street = address.map(|address| street(&address.street)).unwrap_or_default().into_iter();
    let mut line = || street.next().and_then(|line| text(&line));
    let (address1, address2, address3) = (line(), line(), line());
    json(&ContactRoot {
        contact: ContactBody {
            first_name,
            last_name,
            organisation_name,
            email: contact.email.clone(),
            phone_number: contact.phone.as_deref().and_then(text),
            address1,
            address2,
            address3,
            town: address.and_then(|address| text(&address.city)),
            region: address.and_then(|address| address.region.as_deref()).and_then(text),
            postcode: address.and_then(|address| address.postcode.as_deref()).and_then(text),
            country: address.and_then(|address| country::english_name(&address.country.to_ascii_uppercase())),
        },
    })
}

/// Street lines without empty ones; those beyond what a contact has are put on its last.
fn street(lines: &[String]) -> Vec<String> {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let (first, rest) = lines.split_at_checked(ADDRESS_LINES.saturating_sub(1)).unwrap_or((lines.as_slice(), &[]));
    let mut street: Vec<String> = first.iter().map(|line| (*line).to_owned()).collect();
    if !rest.is_empty() {
        street.push(rest.join(", "));
    }
    street
}

/// Trimmed and cut to `length_max` characters; `None` where nothing is left. Only for texts that nothing is known by: a
/// contact is its e-mail address, an invoice its reference.
fn some_text(text: &str, length_max: usize) -> Option<String> {
    let text: String = text.trim().chars().take(length_max).collect();
    (!text.is_empty()).then_some(text)
}

#[derive(Serialize)]
struct InvoiceRoot<'a> {
    invoice: InvoiceBody<'a>,
}

#[derive(Serialize)]
struct InvoiceBody<'a> {
    contact: &'a str,
    dated_on: String,
    /// Always there: without it every invoice is refused, also one that is due at once or of nothing (Byte8 module's
    /// troubleshooting page, quirk 1).
    payment_terms_in_days: u32,
    reference: &'a str,
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange_rate: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comments: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    po_reference: Option<String>,
    invoice_items: Vec<ItemBody<'a>>,
}

#[derive(Serialize)]
struct ItemBody<'a> {
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_type: Option<&'a str>,
    quantity: Box<RawValue>,
    price: Box<RawValue>,
    /// Always there: without it the contact's settings decide (FreeAgent API docs, sales tax).
    sales_tax_rate: Box<RawValue>,
    category: &'a str,
}

/// A sales invoice.
pub(super) fn invoice(house: &House, invoice: &SalesInvoice) -> Result<String, Fault> {
    let text = |text: &str| some_text(text, house.text_length_max);
    let mut invoice_items = Vec::with_capacity(invoice.lines.len());
    for line in &invoice.lines {
        let usual = match line.role {
            LineRole::Item | LineRole::Adjustment | LineRole::Unexplained => Some("Products"),
            LineRole::Shipping => Some("Services"),
            LineRole::Rounding => None,
        };
        invoice_items.push(ItemBody {
            description: &line.description,
            item_type: line.item_type.as_deref().or(usual),
            quantity: number(line.quantity)?,
            price: number(line.unit_price)?,
            sales_tax_rate: number(line.tax_rate)?,
            category: &line.category,
        });
    }
    let order_number = invoice.order_number.trim();
    json(&InvoiceRoot {
        invoice: InvoiceBody {
            contact: &invoice.contact,
            dated_on: invoice.dated_on.to_string(),
            payment_terms_in_days: invoice.payment_terms_in_days,
            reference: &invoice.number,
            currency: invoice.currency.as_str(),
            exchange_rate: invoice
                .exchange_rate
                .and_then(|rate| rate.in_book_currency(EXCHANGE_RATE_PLACES))
                .map(number)
                .transpose()?,
            comments: (!order_number.is_empty()).then(|| format!("Order {order_number}")),
            po_reference: invoice.purchase_order_number.as_deref().and_then(text),
            invoice_items,
        },
    })
}

fn number(value: Decimal) -> Result<Box<RawValue>, Fault> {
    let text = if value.is_zero() { "0".to_owned() } else { value.normalize().to_string() };
    RawValue::from_string(text).map_err(|_| unwritable())
}

fn json(body: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(|_| unwritable())
}

fn unwritable() -> Fault {
    Fault::broken(Code::Unexpected, "The document cannot be written as JSON.")
}
