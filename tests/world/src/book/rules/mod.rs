//! What the book insists on before it takes something in.

mod catalogue;
mod contact;
mod document;
mod money;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

pub(crate) use catalogue::{category, price_list_item};
pub(crate) use contact::contact;
pub(crate) use document::{changed, document, locked, union_rates};
pub(crate) use money::{bank_account, bank_transaction, explanation, reconciliation};

use super::spec::{House, UnknownField};
use super::store::{Kind, Store, decimal};

const CURRENCIES: [&str; 32] = [
    "AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR",
    "JPY", "KRW", "KWD", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SAR", "SEK", "SGD", "THB", "USD", "ZAR",
];
const ITEM_TYPES: [&str; 17] = [
    "",
    "Hours",
    "Days",
    "Weeks",
    "Months",
    "Years",
    "Products",
    "Services",
    "Training",
    "Expenses",
    "Comment",
    "Bills",
    "Discount",
    "Credit",
    "VAT",
    "Stock",
    "-no unit-",
];
const CONTACT_FIELDS: [&str; 24] = [
    "first_name",
    "last_name",
    "organisation_name",
    "email",
    "billing_email",
    "phone_number",
    "mobile",
    "address1",
    "address2",
    "address3",
    "town",
    "region",
    "postcode",
    "country",
    "contact_name_on_invoices",
    "default_payment_terms_in_days",
    "locale",
    "charge_sales_tax",
    "sales_tax_registration_number",
    "status",
    "uses_contact_invoice_sequence",
    "emails_invoices_automatically",
    "emails_payment_reminders",
    "emails_thank_you_notes",
];
const DOCUMENT_FIELDS: [&str; 24] = [
    "contact",
    "dated_on",
    "due_on",
    "payment_terms_in_days",
    "reference",
    "currency",
    "exchange_rate",
    "ec_status",
    "place_of_supply",
    "comments",
    "po_reference",
    "bank_account",
    "omit_header",
    "send_new_invoice_emails",
    "send_reminder_emails",
    "send_thank_you_emails",
    "discount_percent",
    "client_contact_name",
    "payment_terms",
    "payment_methods",
    "project",
    "property",
    "cis_rate",
    "always_show_bic_and_iban",
];
const ITEM_FIELDS: [&str; 13] = [
    "id",
    "_destroy",
    "description",
    "item_type",
    "quantity",
    "price",
    "sales_tax_rate",
    "sales_tax_status",
    "category",
    "stock_item",
    "position",
    "second_sales_tax_rate",
    "project",
];
const RECONCILIATION_FIELDS: [&str; 6] =
    ["gross_value", "dated_on", "invoice", "credit_note", "currency", "exchange_rate"];
const EXPLANATION_FIELDS: [&str; 17] = [
    "bank_account",
    "bank_transaction",
    "dated_on",
    "gross_value",
    "foreign_currency_value",
    "paid_invoice",
    "category",
    "description",
    "receipt_reference",
    "type",
    "ec_status",
    "place_of_supply",
    "sales_tax_rate",
    "sales_tax_status",
    "sales_tax_value",
    "marked_for_review",
    "project",
];
const PRICE_FIELDS: [&str; 9] = [
    "code",
    "quantity",
    "item_type",
    "description",
    "price",
    "vat_status",
    "sales_tax_rate",
    "second_sales_tax_rate",
    "category",
];
const BANK_ACCOUNT_FIELDS: [&str; 11] = [
    "name",
    "type",
    "currency",
    "opening_balance",
    "email",
    "is_primary",
    "is_personal",
    "account_number",
    "sort_code",
    "iban",
    "bic",
];
const SHORT: usize = 255;

/// Why something isn't taken in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// 422.
    Mistakes(Mistakes),
    /// 403, e.g. because the period is closed.
    Locked(String),
}

impl From<Mistakes> for Refusal {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}

/// What is wrong with a body.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<(String, String)>);

impl Mistakes {
    /// The field's name is part of the message too.
    pub(crate) fn add(&mut self, field: &str, message: &str) {
        self.0.push((field.to_owned(), format!("{field} {message}")));
    }

    pub(crate) fn of(field: &str, message: &str) -> Self {
        let mut mistakes = Self::default();
        mistakes.add(field, message);
        mistakes
    }

    /// The body of the refusal: only one of the houses names the field apart.
    pub(crate) fn body(&self, house: House) -> Value {
        let shown = self.0.iter().map(|(field, message)| match house {
            House::V2 => json!({"field": field, "message": message}),
            House::Freeagent => json!({"message": message}),
        });
        json!({"errors": shown.collect::<Vec<_>>()})
    }

    fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

fn text<'a>(fields: &'a Map<String, Value>, field: &str) -> &'a str {
    fields.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default()
}

/// A figure that has to be one if it is there.
fn figure(fields: &Map<String, Value>, field: &str, name: &str, mistakes: &mut Mistakes) -> Option<Decimal> {
    let value = fields.get(field).filter(|value| !value.is_null())?;
    let figure = decimal(value);
    if figure.is_none() {
        mistakes.add(name, "is not a number");
    }
    figure
}

fn lengths(store: &Store, fields: &Map<String, Value>, mistakes: &mut Mistakes) {
    let long = store.switches.longest_text;
    for (field, value) in fields {
        let limit = if ["comments", "description"].contains(&field.as_str()) { long } else { SHORT };
        if value.as_str().is_some_and(|text| text.chars().count() > limit) {
            mistakes.add(field, &format!("is too long (maximum is {limit} characters)"));
        }
    }
}

/// A day; a time of day is allowed and dropped.
fn date(fields: &Map<String, Value>, mistakes: &mut Mistakes) -> String {
    let given = text(fields, "dated_on");
    if given.is_empty() {
        mistakes.add("dated_on", "can't be blank");
        return String::new();
    }
    let day = given.split('T').next().unwrap_or_default();
    match day.parse::<jiff::civil::Date>() {
        Ok(date) if day.len() == 10 => date.to_string(),
        _ => {
            mistakes.add("dated_on", "is not a date");
            String::new()
        }
    }
}

/// Names of fields that aren't known, as paths.
pub(crate) fn unknown_fields(entity: &str, fields: &Map<String, Value>) -> Vec<String> {
    let document = [Kind::Invoice, Kind::CreditNote].into_iter().find(|kind| kind.entity() == entity);
    let known: &[&str] = match entity {
        "contact" => &CONTACT_FIELDS,
        "invoice" | "credit_note" => &DOCUMENT_FIELDS,
        "credit_note_reconciliation" => &RECONCILIATION_FIELDS,
        "bank_transaction_explanation" => &EXPLANATION_FIELDS,
        "price_list_item" => &PRICE_FIELDS,
        "bank_account" => &BANK_ACCOUNT_FIELDS,
        _ => return Vec::new(),
    };
    let items = document.map_or("", Kind::items);
    let is_known = |field: &str| known.contains(&field) || field == items;
    let mut unknown: Vec<String> = fields.keys().filter(|field| !is_known(field)).cloned().collect();
    for item in fields.get(items).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        let of_item = item.keys().filter(|field| !ITEM_FIELDS.contains(&field.as_str()));
        unknown.extend(of_item.map(|field| format!("{items}.{field}")));
    }
    unknown.sort();
    unknown.dedup();
    unknown
}

fn refuse_unknown(store: &Store, entity: &str, fields: &Map<String, Value>, mistakes: &mut Mistakes) {
    if store.switches.unknown_fields == UnknownField::Refused {
        for field in unknown_fields(entity, fields) {
            mistakes.add(&field, "is not a known field");
        }
    }
}
