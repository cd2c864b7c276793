//! Request bodies. The order of the fields is the order of the declarations, so the same document always gives the same
//! bytes; numbers are the exact text of the decimal, never a float's.

use super::explanation::Explanation;
use super::sale::{CREDIT_NOTES, INVOICES};
use super::vat::{self, VatStatus};
use super::{House, Numbers, product};
use crate::Context;
use ledger_domain::amount::round_half_away;
use ledger_domain::code::Code;
use ledger_domain::country;
use ledger_domain::document::{
    Allocation, Contact, CreditNote, CreditedInvoice, DocumentLine, ExchangeRate, LineRole, Product, SalesInvoice,
};
use ledger_domain::fault::Fault;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Characters of a description's beginning that stay where its middle is left out.
const DESCRIPTION_START: usize = 127;

/// Decimal places of an exchange rate.
const EXCHANGE_RATE_PLACES: u32 = 10;
/// Lines of an address that a contact has.
const ADDRESS_LINES: usize = 3;

/// A body under its root key.
fn rooted(root: &str, body: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(&BTreeMap::from([(root, body)])).map_err(|_| unwritable())
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
    #[serde(skip_serializing_if = "Owned::is_theirs")]
    address1: Owned,
    #[serde(skip_serializing_if = "Owned::is_theirs")]
    address2: Owned,
    #[serde(skip_serializing_if = "Owned::is_theirs")]
    address3: Owned,
    #[serde(skip_serializing_if = "Owned::is_theirs")]
    town: Owned,
    #[serde(skip_serializing_if = "Owned::is_theirs")]
    region: Owned,
    #[serde(skip_serializing_if = "Owned::is_theirs")]
    postcode: Owned,
    #[serde(skip_serializing_if = "Owned::is_theirs")]
    country: Owned,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_payment_terms_in_days: Option<u32>,
}

/// A part of an address: the shop's where the shop has an address, and emptied with it.
#[derive(Serialize)]
#[serde(untagged)]
enum Owned {
    /// What the book has stays.
    Theirs,
    /// What the book has is replaced; by nothing where the shop has nothing.
    Ours(Option<String>),
}

impl Owned {
    const fn is_theirs(&self) -> bool {
        matches!(self, Self::Theirs)
    }
}

/// A new contact. The family asks for first and last name or an organisation (FreeAgent API docs, contacts): a buyer with
/// only one name becomes an organisation of that name.
pub(super) fn contact(house: &House, contact: &Contact) -> Result<String, Fault> {
    contact_body(house, contact, || Owned::Theirs)
}

/// A contact whose version in the shop is newer: an address is replaced as a whole, everything else only where the shop
/// has it.
pub(super) fn changed_contact(house: &House, contact: &Contact) -> Result<String, Fault> {
    let has_address = contact.address.is_some();
    contact_body(house, contact, || if has_address { Owned::Ours(None) } else { Owned::Theirs })
}

fn contact_body(house: &House, contact: &Contact, nothing: impl Fn() -> Owned) -> Result<String, Fault> {
    let text = |text: &str| some_text(text, house.text_length_max);
    let part = |part: Option<String>| part.map_or_else(&nothing, |part| Owned::Ours(Some(part)));
    let (mut first_name, mut last_name) = (text(&contact.first_name), text(&contact.last_name));
    let mut organisation_name = contact.company.as_deref().and_then(text);
    if organisation_name.is_none() && (first_name.is_none() || last_name.is_none()) {
        organisation_name = first_name.take().or_else(|| last_name.take()).or_else(|| text(&contact.email));
    }
    let address = contact.address.as_ref();
    let mut street = address.map(|address| street(&address.street)).unwrap_or_default().into_iter();
    let mut line = || part(street.next().and_then(|line| text(&line)));
    let (address1, address2, address3) = (line(), line(), line());
    let country = address.and_then(|address| country::english_name(&address.country.to_ascii_uppercase()));
    rooted(
        "contact",
        &ContactBody {
            first_name,
            last_name,
            organisation_name,
            email: contact.email.clone(),
            phone_number: contact.phone.as_deref().and_then(text),
            address1,
            address2,
            address3,
            town: part(address.and_then(|address| text(&address.city))),
            region: part(address.and_then(|address| address.region.as_deref()).and_then(text)),
            postcode: part(address.and_then(|address| address.postcode.as_deref()).and_then(text)),
            country: part(country.map(str::to_owned)),
            default_payment_terms_in_days: contact.payment_terms_in_days,
        },
    )
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
struct SaleBody<'a> {
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
    ec_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place_of_supply: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comments: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    po_reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice_items: Option<Vec<ItemBody<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_note_items: Option<Vec<ItemBody<'a>>>,
}

#[derive(Serialize)]
struct ItemBody<'a> {
    description: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_type: Option<&'a str>,
    quantity: Box<RawValue>,
    price: Box<RawValue>,
    /// Always there: without it the contact's settings decide (FreeAgent API docs, sales tax).
    sales_tax_rate: Box<RawValue>,
    /// Only where 0 % is none of the rates that the sale may have: those of the country that it is supplied to.
    #[serde(skip_serializing_if = "Option::is_none")]
    sales_tax_status: Option<&'static str>,
    category: &'a str,
}

/// A sales invoice of that VAT status.
pub(super) fn invoice(house: &House, invoice: &SalesInvoice, vat: Option<VatStatus>) -> Result<String, Fault> {
    let order_number = invoice.order_number.trim();
    rooted(
        INVOICES.root,
        &SaleBody {
            contact: &invoice.contact,
            dated_on: invoice.dated_on.to_string(),
            payment_terms_in_days: invoice.payment_terms_in_days,
            reference: &invoice.number,
            currency: invoice.currency.as_str(),
            exchange_rate: exchange_rate(house, invoice.exchange_rate)?,
            ec_status: vat.map(VatStatus::as_str),
            place_of_supply: vat.and_then(VatStatus::place_of_supply),
            comments: (!order_number.is_empty()).then(|| format!("Order {order_number}")),
            po_reference: invoice
                .purchase_order_number
                .as_deref()
                .and_then(|number| some_text(number, house.text_length_max)),
            invoice_items: Some(items(house, &invoice.lines, vat, |price| price)?),
            credit_note_items: None,
        },
    )
}

/// A credit note: its prices are negative and its quantities positive (FreeAgent API docs, credit notes). It names the
/// invoice and its date, for who reports by them.
pub(super) fn credit_note(house: &House, note: &CreditNote, vat: Option<VatStatus>) -> Result<String, Fault> {
    let credited = |invoice: &CreditedInvoice| match invoice.dated_on {
        Some(date) => format!("Credit of invoice {} of {date}", invoice.number),
        None => format!("Credit of invoice {}", invoice.number),
    };
    rooted(
        CREDIT_NOTES.root,
        &SaleBody {
            contact: &note.contact,
            dated_on: note.dated_on.to_string(),
            payment_terms_in_days: 0,
            reference: &note.number,
            currency: note.currency.as_str(),
            exchange_rate: exchange_rate(house, note.exchange_rate)?,
            ec_status: vat.map(VatStatus::as_str),
            place_of_supply: vat.and_then(VatStatus::place_of_supply),
            comments: note.invoice.as_ref().map(credited),
            po_reference: None,
            invoice_items: None,
            credit_note_items: Some(items(house, &note.lines, vat, negated)?),
        },
    )
}

/// A description within the limit that we hold to, for none is published: of a longer one the middle is left out, because
/// it ends in the SKU and in what was done to its price.
fn within(text: &str, length_max: usize) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= length_max {
        return Cow::Borrowed(text);
    }
    let start: String = text.chars().take(DESCRIPTION_START).collect();
    let rest = length.saturating_sub(length_max.saturating_sub(DESCRIPTION_START).saturating_sub(1));
    Cow::Owned(format!("{start}…{}", text.chars().skip(rest).collect::<String>()))
}

fn items<'a>(
    house: &House,
    lines: &'a [DocumentLine],
    vat: Option<VatStatus>,
    price: impl Fn(Decimal) -> Decimal,
) -> Result<Vec<ItemBody<'a>>, Fault> {
    let foreign = vat.and_then(VatStatus::place_of_supply).is_some();
    let mut items = Vec::with_capacity(lines.len());
    for line in lines {
        let usual = match line.role {
            LineRole::Item | LineRole::Adjustment | LineRole::Unexplained => Some("Products"),
            LineRole::Shipping => Some("Services"),
            LineRole::Rounding => None,
        };
        items.push(ItemBody {
            description: within(&line.description, house.text_length_max),
            item_type: line.item_type.as_deref().or(usual),
            quantity: number(house, line.quantity)?,
            price: number(house, price(line.unit_price))?,
            sales_tax_rate: number(house, line.tax_rate)?,
            sales_tax_status: (foreign && line.tax_rate.is_zero()).then_some("EXEMPT"),
            category: &line.category,
        });
    }
    Ok(items)
}

/// The VAT status of a sale, where the house names one.
pub(super) fn vat_status(
    house: &House,
    context: &Context,
    destination: Option<&str>,
    lines: &[DocumentLine],
) -> Option<VatStatus> {
    let rates = lines.iter().map(|line| line.tax_rate);
    let country = context.country.as_deref().filter(|_| house.names_vat_status);
    vat::status(country, context.sales_tax_registered, destination, rates)
}

#[derive(Serialize)]
struct PriceListItemBody<'a> {
    code: String,
    quantity: Box<RawValue>,
    item_type: &'a str,
    description: String,
    price: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vat_status: Option<&'a str>,
    category: &'a str,
}

/// What an entry of the price list can be taxed as in the United Kingdom, and at how many percent (FreeAgent API docs, price
/// list items; gov.uk, VAT rates).
const PRODUCT_VAT: [(&str, i64); 4] = [("standard", 20), ("reduced", 5), ("zero", 0), ("out_of_scope", 0)];

/// A product, as an entry of the price list. Prices there are without tax. Where the shop's contain it and nothing says at
/// what rate, the description says so instead of a price that nobody has asked for.
pub(super) fn product(house: &House, context: &Context, product: &Product) -> Result<String, Fault> {
    let Some(price) = product.price else {
        return Err(Fault::refused(
            Code::BookRefused,
            "The book's price list needs a price, and the shop names none for the product.",
        ));
    };
    let in_uk = house.names_vat_status && context.country.as_deref() == Some("GB");
    let tax = product.tax_code.as_deref().and_then(|code| PRODUCT_VAT.iter().find(|(name, _)| *name == code));
    let tax = tax.filter(|_| in_uk);
    let name = some_text(&product.name, house.text_length_max).unwrap_or_else(|| product::code(house, product));
    let (price, description) = match (product.price_includes_tax, tax) {
        (false, _) => (Some(price), name),
        (true, Some((_, rate))) => (without_tax(price, *rate), name),
        (true, None) => {
            let said = format!("{name} (price includes tax)");
            (Some(price), within(&said, house.text_length_max).into_owned())
        }
    };
    let places = house.profile.rules.rounding.unit_price_places;
    let price = price.map(|price| round_half_away(price, places)).ok_or_else(unwritable)?;
    rooted(
        "price_list_item",
        &PriceListItemBody {
            code: product::code(house, product),
            quantity: number(house, Decimal::ONE)?,
            item_type: &product.item_type,
            description,
            price: number(house, price)?,
            vat_status: tax.map(|(name, _)| *name),
            category: &product.category,
        },
    )
}

fn without_tax(price: Decimal, rate: i64) -> Option<Decimal> {
    let whole = Decimal::from(rate).checked_add(Decimal::ONE_HUNDRED)?;
    price.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(whole)
}

#[derive(Serialize)]
struct ExplanationBody<'a> {
    bank_account: &'a str,
    dated_on: String,
    gross_value: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign_currency_value: Option<Box<RawValue>>,
    paid_invoice: &'a str,
    receipt_reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// A payment or a refund.
pub(super) fn explanation(house: &House, explanation: &Explanation<'_>) -> Result<String, Fault> {
    let transaction = explanation.transaction.and_then(|text| some_text(text, house.text_length_max));
    rooted(
        "bank_transaction_explanation",
        &ExplanationBody {
            bank_account: &explanation.bank.account,
            dated_on: explanation.dated_on.to_string(),
            gross_value: number(house, explanation.gross()?.value())?,
            foreign_currency_value: explanation.foreign().map(|it| number(house, it.value())).transpose()?,
            paid_invoice: explanation.document,
            receipt_reference: explanation.reference,
            description: transaction.map(|transaction| format!("Transaction {transaction}")),
        },
    )
}

#[derive(Serialize)]
struct ReconciliationBody<'a> {
    gross_value: Box<RawValue>,
    dated_on: String,
    invoice: &'a str,
    credit_note: &'a str,
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange_rate: Option<Box<RawValue>>,
}

/// A credit note set off against an invoice: positive, whatever sign the credit note has (FreeAgent API docs, credit note
/// reconciliations).
pub(super) fn reconciliation(house: &House, allocation: &Allocation) -> Result<String, Fault> {
    rooted(
        "credit_note_reconciliation",
        &ReconciliationBody {
            gross_value: number(house, allocation.amount.value())?,
            dated_on: allocation.dated_on.to_string(),
            invoice: &allocation.invoice,
            credit_note: &allocation.credit_note,
            currency: allocation.currency.as_str(),
            exchange_rate: exchange_rate(house, allocation.exchange_rate)?,
        },
    )
}

/// Units of the book's currency for one of the document's (FreeAgent API docs, invoices).
fn exchange_rate(house: &House, rate: Option<ExchangeRate>) -> Result<Option<Box<RawValue>>, Fault> {
    rate.and_then(|rate| rate.in_book_currency(EXCHANGE_RATE_PLACES)).map(|rate| number(house, rate)).transpose()
}

fn negated(value: Decimal) -> Decimal {
    Decimal::ZERO.checked_sub(value).unwrap_or(value)
}

fn number(house: &House, value: Decimal) -> Result<Box<RawValue>, Fault> {
    let text = if value.is_zero() { "0".to_owned() } else { value.normalize().to_string() };
    let text = match house.numbers {
        Numbers::Plain => text,
        Numbers::Text => format!("\"{text}\""),
    };
    RawValue::from_string(text).map_err(|_| unwritable())
}

fn unwritable() -> Fault {
    Fault::broken(Code::Unexpected, "The document cannot be written as JSON.")
}
