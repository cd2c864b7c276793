//! What the book insists on before it takes something in.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::spec::{MissingRate, TaxRounding, UnknownField};
use super::store::{Contact, Invoice, Item, Plain, Store, decimal, normalised, pennies};
use crate::amount::{fraction, round};

const CURRENCIES: [&str; 32] = [
    "AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR",
    "JPY", "KRW", "KWD", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SAR", "SEK", "SGD", "THB", "USD", "ZAR",
];
/// The book's own rates, native for one foreign unit; everything else is at par.
const OWN_RATES: [(&str, i64); 3] = [("EUR", 8_540), ("USD", 7_870), ("JPY", 52)];
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
const TAX_STATUSES: [&str; 3] = ["TAXABLE", "EXEMPT", "OUT_OF_SCOPE"];
const EC_STATUSES: [&str; 5] = ["UK/Non-EC", "EC Goods", "EC Services", "Reverse Charge", "EC VAT MOSS"];
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
const INVOICE_FIELDS: [&str; 25] = [
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
    "invoice_items",
];
const ITEM_FIELDS: [&str; 11] = [
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
const SHORT: usize = 255;
const LONG: usize = 65_535;

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

    pub(crate) fn body(&self) -> Value {
        json!({"errors": self.0.iter().map(|(field, message)| json!({"field": field, "message": message})).collect::<Vec<_>>()})
    }

    fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

fn text<'a>(fields: &'a Map<String, Value>, field: &str) -> &'a str {
    fields.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default()
}

fn lengths(fields: &Map<String, Value>, mistakes: &mut Mistakes) {
    for (field, value) in fields {
        let limit = if ["comments", "description"].contains(&field.as_str()) { LONG } else { SHORT };
        if value.as_str().is_some_and(|text| text.chars().count() > limit) {
            mistakes.add(field, &format!("is too long (maximum is {limit} characters)"));
        }
    }
}

/// Names of fields that aren't known, as paths.
pub(crate) fn unknown_fields(entity: &str, fields: &Map<String, Value>) -> Vec<String> {
    let known: &[&str] = match entity {
        "contact" => &CONTACT_FIELDS,
        "invoice" => &INVOICE_FIELDS,
        _ => return Vec::new(),
    };
    let mut unknown: Vec<String> = fields.keys().filter(|field| !known.contains(&field.as_str())).cloned().collect();
    for item in fields.get("invoice_items").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
    {
        let of_item = item.keys().filter(|field| !ITEM_FIELDS.contains(&field.as_str()));
        unknown.extend(of_item.map(|field| format!("invoice_items.{field}")));
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

/// A contact, new or changed; `known` is the one that changes.
pub(crate) fn contact(
    store: &Store,
    fields: &Map<String, Value>,
    known: Option<&Contact>,
) -> Result<Contact, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "contact", fields, &mut mistakes);
    let mut kept = known.map(|contact| contact.fields.clone()).unwrap_or_default();
    kept.extend(
        fields
            .iter()
            .filter(|(key, _)| CONTACT_FIELDS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    let status = kept.remove("status");
    lengths(&kept, &mut mistakes);
    let named = !text(&kept, "first_name").is_empty() && !text(&kept, "last_name").is_empty();
    if !named && text(&kept, "organisation_name").is_empty() {
        mistakes.add("organisation_name", "can't be blank if either first name or last name are blank");
    }
    let email = normalised(text(&kept, "email"));
    if !email.is_empty() {
        let looks_right = email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !email.contains(char::is_whitespace)
        });
        let taken = |other: &&Contact| {
            Some(other.id) != known.map(|contact| contact.id)
                && other.email() == email
                && (!other.hidden || store.switches.hidden_contacts_keep_email)
        };
        if !looks_right {
            mistakes.add("email", "is invalid");
        } else if store.contacts.values().any(|other| taken(&other)) {
            mistakes.add("email", "has already been taken");
        }
    }
    let hidden = match status.as_ref().and_then(Value::as_str) {
        None => known.is_some_and(|contact| contact.hidden),
        Some("Active") => false,
        Some("Hidden") => true,
        Some(_) => {
            mistakes.add("status", "is not included in the list");
            false
        }
    };
    let now = store.now();
    mistakes.or(Contact {
        id: known.map_or(0, |contact| contact.id),
        fields: kept,
        hidden,
        created_at: known.map_or(now, |contact| contact.created_at),
        updated_at: now,
    })
}

/// A new invoice with its figures counted.
pub(crate) fn invoice(store: &mut Store, fields: &Map<String, Value>) -> Result<Invoice, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "invoice", fields, &mut mistakes);
    lengths(fields, &mut mistakes);
    let contact = match fields.get("contact").and_then(Value::as_str) {
        None | Some("") => {
            mistakes.add("contact", "can't be blank");
            0
        }
        Some(url) => store.contact_of(url).map(|contact| contact.id).unwrap_or_else(|| {
            mistakes.add("contact", "is not a contact of this company");
            0
        }),
    };
    let dated_on = date(fields, &mut mistakes);
    let payment_terms_in_days = fields
        .get("payment_terms_in_days")
        .and_then(decimal)
        .filter(Decimal::is_integer)
        .and_then(|days| i64::try_from(days).ok());
    match payment_terms_in_days {
        None => mistakes.add("payment_terms_in_days", "is not a number"),
        Some(days) if days < 0 => mistakes.add("payment_terms_in_days", "must be greater than or equal to 0"),
        Some(_) => {}
    }
    let currency = match text(fields, "currency") {
        "" => store.options.currency.clone(),
        code => code.to_owned(),
    };
    if !CURRENCIES.contains(&currency.as_str()) {
        mistakes.add("currency", "is not included in the list");
    }
    let exchange_rate = exchange_rate(store, fields, &currency, &mut mistakes);
    ec_status(fields, &mut mistakes);
    if let Some(url) = fields.get("bank_account").and_then(Value::as_str) {
        let known = store.bank_accounts().iter().any(|account| account.get("url").and_then(Value::as_str) == Some(url));
        if !known {
            mistakes.add("bank_account", "is not a bank account of this company");
        }
    }
    let mut items = Vec::new();
    match fields.get("invoice_items") {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => {
            for value in list {
                match value.as_object() {
                    Some(fields) => items.push(item(store, fields, &mut mistakes)),
                    None => mistakes.add("invoice_items", "is invalid"),
                }
            }
        }
        Some(_) => mistakes.add("invoice_items", "is invalid"),
    }
    let reference = reference(store, fields, &mut mistakes);
    let discount = fields.get("discount_percent").and_then(decimal).map_or(Decimal::ZERO, fraction);
    let (net, tax) = totals(store, &mut items, discount);
    let kept = fields
        .iter()
        .filter(|(key, _)| {
            [
                "comments",
                "po_reference",
                "ec_status",
                "place_of_supply",
                "client_contact_name",
                "payment_terms",
                "omit_header",
                "bank_account",
            ]
            .contains(&key.as_str())
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let now = store.now();
    let mut invoice = mistakes.or(Invoice {
        id: 0,
        contact,
        reference,
        dated_on,
        payment_terms_in_days: payment_terms_in_days.unwrap_or(0),
        currency,
        exchange_rate,
        items,
        net,
        tax,
        total: net + tax + store.desk.total_shift,
        paid: Decimal::ZERO,
        kept,
        created_at: now,
        updated_at: now,
    })?;
    for item in &mut invoice.items {
        item.id = store.next_id();
    }
    Ok(invoice)
}

fn date(fields: &Map<String, Value>, mistakes: &mut Mistakes) -> String {
    let given = text(fields, "dated_on");
    if given.is_empty() {
        mistakes.add("dated_on", "can't be blank");
        return String::new();
    }
    // A time of day is allowed and dropped.
    let day = given.split('T').next().unwrap_or_default();
    match day.parse::<jiff::civil::Date>() {
        Ok(date) if day.len() == 10 => date.to_string(),
        _ => {
            mistakes.add("dated_on", "is not a date");
            String::new()
        }
    }
}

fn reference(store: &Store, fields: &Map<String, Value>, mistakes: &mut Mistakes) -> String {
    let given = match fields.get("reference") {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    if given.is_empty() {
        let last =
            store.invoices.values().filter_map(|invoice| invoice.reference.parse::<u64>().ok()).max().unwrap_or(0);
        return format!("{:03}", last.saturating_add(1));
    }
    if store.switches.unique_references && store.invoices.values().any(|invoice| invoice.reference == given) {
        mistakes.add("reference", "has already been taken");
    }
    given
}

fn exchange_rate(store: &Store, fields: &Map<String, Value>, currency: &str, mistakes: &mut Mistakes) -> Decimal {
    let given = fields.get("exchange_rate").filter(|value| !value.is_null());
    if currency == store.options.currency {
        return Decimal::ONE;
    }
    match (given, store.switches.missing_rate) {
        (Some(value), _) => match decimal(value) {
            Some(rate) if rate > Decimal::ZERO => rate,
            _ => {
                mistakes.add("exchange_rate", "is not a number");
                Decimal::ONE
            }
        },
        (None, MissingRate::OwnRate) => OWN_RATES
            .iter()
            .find(|(code, _)| *code == currency)
            .map_or(Decimal::ONE, |(_, rate)| Decimal::new(*rate, 4)),
        (None, MissingRate::Refused) => {
            mistakes.add("exchange_rate", "can't be blank");
            Decimal::ONE
        }
    }
}

fn ec_status(fields: &Map<String, Value>, mistakes: &mut Mistakes) {
    match text(fields, "ec_status") {
        "" => {}
        "EC Goods" | "EC Services" => mistakes.add("ec_status", "is not valid for this company on this date"),
        status if !EC_STATUSES.contains(&status) => mistakes.add("ec_status", "is not included in the list"),
        "Reverse Charge" => {
            let rates = fields.get("invoice_items").and_then(Value::as_array).into_iter().flatten();
            let taxed =
                rates.filter_map(|item| item.get("sales_tax_rate").and_then(decimal)).any(|rate| !rate.is_zero());
            if taxed {
                mistakes.add("ec_status", "must not be Reverse Charge if an item has a sales tax rate");
            }
        }
        _ => {}
    }
}

fn item(store: &Store, fields: &Map<String, Value>, mistakes: &mut Mistakes) -> Item {
    lengths(fields, mistakes);
    let description = text(fields, "description").to_owned();
    if description.is_empty() {
        mistakes.add("invoice_items.description", "can't be blank");
    }
    let item_type = text(fields, "item_type").to_owned();
    if !ITEM_TYPES.contains(&item_type.as_str()) {
        mistakes.add("invoice_items.item_type", "is not included in the list");
    }
    let mut figure = |field: &str| match fields.get(field).filter(|value| !value.is_null()) {
        None => None,
        Some(value) => {
            let figure = decimal(value);
            if figure.is_none() {
                mistakes.add(&format!("invoice_items.{field}"), "is not a number");
            }
            figure
        }
    };
    // Without a quantity there is nothing on the line.
    let quantity = figure("quantity").unwrap_or(Decimal::ZERO);
    let price = round(figure("price").unwrap_or(Decimal::ZERO), store.switches.unit_price_decimals);
    let given_rate = figure("sales_tax_rate");
    let tax_status = fields.get("sales_tax_status").and_then(Value::as_str).map(str::to_owned);
    if tax_status.as_deref().is_some_and(|status| !TAX_STATUSES.contains(&status)) {
        mistakes.add("invoice_items.sales_tax_status", "is not included in the list");
    }
    let rates: Vec<Decimal> = store.options.sales_tax_rates.iter().filter_map(|rate| rate.parse().ok()).collect();
    let untaxed = tax_status.as_deref().is_some_and(|status| status != "TAXABLE");
    let rate = match given_rate {
        _ if untaxed => Decimal::ZERO,
        // Without a rate the company's standard rate is charged.
        None => rates.first().copied().unwrap_or(Decimal::ZERO),
        Some(rate) if rates.contains(&rate) => rate,
        Some(rate) => {
            mistakes.add("invoice_items.sales_tax_rate", "is not a sales tax rate of this company");
            rate
        }
    };
    let category = match fields.get("category").filter(|value| !value.is_null()) {
        None => "001".to_owned(),
        Some(value) => {
            value.as_str().and_then(|url| store.income_category(url)).map(str::to_owned).unwrap_or_else(|| {
                mistakes.add("invoice_items.category", "is not an income category of this company");
                String::new()
            })
        }
    };
    Item {
        id: 0,
        description,
        item_type,
        quantity,
        price,
        rate,
        tax_status,
        category,
        net: Decimal::ZERO,
        tax: Decimal::ZERO,
    }
}

/// The book counts for itself: lines to the penny, tax per line or per rate.
fn totals(store: &Store, items: &mut [Item], discount: Decimal) -> (Decimal, Decimal) {
    let mut net = Decimal::ZERO;
    let mut by_rate: Vec<(Decimal, Decimal)> = Vec::new();
    for item in items.iter_mut() {
        item.net = pennies(item.quantity * item.price * (Decimal::ONE - discount));
        item.tax = pennies(item.net * fraction(item.rate));
        net += item.net;
        match by_rate.iter_mut().find(|(rate, _)| *rate == item.rate) {
            Some((_, sum)) => *sum += item.net,
            None => by_rate.push((item.rate, item.net)),
        }
    }
    let tax = match store.switches.tax_rounding {
        TaxRounding::Line => items.iter().map(|item| item.tax).sum(),
        TaxRounding::Document => by_rate.into_iter().map(|(rate, sum)| pennies(sum * fraction(rate))).sum(),
    };
    (net, tax)
}

/// A price list item: its code is unique.
pub(crate) fn price_list_item(
    store: &Store,
    fields: &Map<String, Value>,
    known: Option<u64>,
) -> Result<Plain, Mistakes> {
    let mut mistakes = Mistakes::default();
    lengths(fields, &mut mistakes);
    let mut kept =
        known.and_then(|id| store.price_list_items.get(&id)).map(|item| item.fields.clone()).unwrap_or_default();
    kept.extend(fields.clone());
    for field in ["code", "description", "item_type"] {
        if text(&kept, field).is_empty() {
            mistakes.add(field, "can't be blank");
        }
    }
    for field in ["quantity", "price"] {
        if kept.get(field).and_then(decimal).is_none() {
            mistakes.add(field, "is not a number");
        }
    }
    if !ITEM_TYPES.contains(&text(&kept, "item_type")) {
        mistakes.add("item_type", "is not included in the list");
    }
    let code = text(&kept, "code");
    if store.price_list_items.values().any(|item| Some(item.id) != known && text(&item.fields, "code") == code) {
        mistakes.add("code", "has already been taken");
    }
    mistakes.or(Plain { id: known.unwrap_or(0), fields: kept, created_at: store.now() })
}

/// A receipt for an invoice; returns what it explains, which invoice and how much of it.
pub(crate) fn explanation(store: &Store, fields: &Map<String, Value>) -> Result<(Plain, u64, Decimal), Mistakes> {
    let mut mistakes = Mistakes::default();
    let known_account =
        |url: &str| store.bank_accounts().iter().any(|account| account.get("url").and_then(Value::as_str) == Some(url));
    if !known_account(text(fields, "bank_account")) {
        mistakes.add("bank_account", "is not a bank account of this company");
    }
    date(fields, &mut mistakes);
    let gross = fields.get("gross_value").and_then(decimal);
    if gross.is_none_or(|gross| gross.is_zero()) {
        mistakes.add("gross_value", "is not a number");
    }
    let invoice = store
        .id_in(text(fields, "paid_invoice"), "invoices")
        .and_then(|id| id.parse().ok())
        .and_then(|id| store.invoices.get(&id));
    if invoice.is_none() {
        mistakes.add("paid_invoice", "is not an invoice of this company");
    }
    // In a foreign currency the invoice's side is told apart from the bank's.
    let paid = fields.get("foreign_currency_value").and_then(decimal).or(gross).unwrap_or(Decimal::ZERO);
    let id = invoice.map_or(0, |invoice| invoice.id);
    mistakes.or((Plain { id: 0, fields: fields.clone(), created_at: store.now() }, id, paid))
}
