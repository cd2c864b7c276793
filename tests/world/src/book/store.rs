//! What the book holds, and how it shows it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::spec::{BookOptions, Switches};
use crate::amount::round;
use crate::clock::iso;
use crate::desk::Desk;

/// Categories an invoice's line may name.
const INCOME: [(&str, &str); 5] = [
    ("001", "Sales"),
    ("002", "Postage and packing"),
    ("003", "Sales of services"),
    ("004", "Rounding"),
    ("005", "Other income"),
];
const OTHER: [(&str, &str, &str); 4] = [
    ("admin_expenses_categories", "363", "Bank and finance charges"),
    ("admin_expenses_categories", "285", "Accommodation and meals"),
    ("cost_of_sales_categories", "101", "Cost of sales"),
    ("general_categories", "750", "Bank accounts"),
];
const BANK_ACCOUNTS: [(u64, &str, &str); 3] =
    [(1, "Current account", "GBP"), (2, "Card clearing", "GBP"), (3, "Euro account", "EUR")];

/// A contact.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) id: u64,
    pub(crate) fields: Map<String, Value>,
    pub(crate) hidden: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl Contact {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn email(&self) -> String {
        normalised(self.text("email"))
    }

    pub(crate) fn name(&self) -> String {
        let organisation = self.text("organisation_name");
        if organisation.is_empty() {
            format!("{} {}", self.text("first_name"), self.text("last_name")).trim().to_owned()
        } else {
            organisation.to_owned()
        }
    }
}

/// A line of an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: u64,
    pub(crate) description: String,
    pub(crate) item_type: String,
    pub(crate) quantity: Decimal,
    pub(crate) price: Decimal,
    pub(crate) rate: Decimal,
    pub(crate) tax_status: Option<String>,
    pub(crate) category: String,
    pub(crate) net: Decimal,
    pub(crate) tax: Decimal,
}

/// An invoice.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) id: u64,
    pub(crate) contact: u64,
    pub(crate) reference: String,
    pub(crate) dated_on: String,
    pub(crate) payment_terms_in_days: i64,
    pub(crate) currency: String,
    pub(crate) exchange_rate: Decimal,
    pub(crate) items: Vec<Item>,
    pub(crate) net: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) total: Decimal,
    pub(crate) paid: Decimal,
    /// Fields that are kept as they came.
    pub(crate) kept: Map<String, Value>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// Something the book keeps without understanding much of it.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(crate) id: u64,
    pub(crate) fields: Map<String, Value>,
    pub(crate) created_at: i64,
}

/// Everything in the book.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) options: BookOptions,
    pub(crate) base_url: String,
    pub(crate) switches: Switches,
    pub(crate) contacts: BTreeMap<u64, Contact>,
    pub(crate) invoices: BTreeMap<u64, Invoice>,
    pub(crate) price_list_items: BTreeMap<u64, Plain>,
    pub(crate) explanations: BTreeMap<u64, Plain>,
    pub(crate) last_id: u64,
    pub(crate) desk: Desk,
    /// The minute the rate limit counts, and how many requests came in it.
    pub(crate) this_minute: (i64, u32),
}

impl Store {
    pub(crate) fn new(options: BookOptions) -> Self {
        Self {
            base_url: String::new(),
            switches: options.switches,
            contacts: BTreeMap::new(),
            invoices: BTreeMap::new(),
            price_list_items: BTreeMap::new(),
            explanations: BTreeMap::new(),
            last_id: 0,
            desk: Desk::new(options.clock.clone(), &options.tokens, options.latency_milliseconds),
            this_minute: (0, 0),
            options,
        }
    }

    /// Forgets everything but how it was opened.
    pub(crate) fn reset(&mut self) {
        let base_url = std::mem::take(&mut self.base_url);
        *self = Self { base_url, ..Self::new(self.options.clone()) };
    }

    pub(crate) fn now(&self) -> i64 {
        self.options.clock.now()
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    pub(crate) fn url(&self, collection: &str, id: impl std::fmt::Display) -> String {
        format!("{}/v2/{collection}/{id}", self.base_url)
    }

    /// The identifier in a URL of this book; a number alone or another host's URL is none.
    pub(crate) fn id_in<'a>(&self, url: &'a str, collection: &str) -> Option<&'a str> {
        url.strip_prefix(self.base_url.as_str())?.strip_prefix("/v2/")?.strip_prefix(collection)?.strip_prefix('/')
    }

    pub(crate) fn contact_of(&self, url: &str) -> Option<&Contact> {
        self.contacts.get(&self.id_in(url, "contacts")?.parse().ok()?)
    }

    /// The code of an income category by its URL.
    pub(crate) fn income_category(&self, url: &str) -> Option<&'static str> {
        let code = self.id_in(url, "categories")?;
        INCOME.iter().find(|(known, _)| *known == code).map(|(known, _)| *known)
    }

    pub(crate) fn categories(&self) -> Value {
        let mut groups = Map::new();
        for group in
            ["admin_expenses_categories", "cost_of_sales_categories", "income_categories", "general_categories"]
        {
            let of_group: Vec<Value> = if group == "income_categories" {
                INCOME.iter().map(|(code, description)| self.category(code, description)).collect()
            } else {
                OTHER
                    .iter()
                    .filter(|(of, _, _)| *of == group)
                    .map(|(_, code, description)| self.category(code, description))
                    .collect()
            };
            groups.insert(group.to_owned(), Value::Array(of_group));
        }
        Value::Object(groups)
    }

    pub(crate) fn category_with_group(&self, code: &str) -> Option<Value> {
        let income = INCOME.iter().map(|(code, description)| ("income_categories", *code, *description));
        let (group, code, description) = income.chain(OTHER).find(|(_, known, _)| *known == code)?;
        Some(json!({ group: self.category(code, description) }))
    }

    fn category(&self, code: &str, description: &str) -> Value {
        json!({
            "url": self.url("categories", code),
            "description": description,
            "nominal_code": code,
            "auto_sales_tax_rate": "Standard rate",
        })
    }

    pub(crate) fn bank_accounts(&self) -> Vec<Value> {
        BANK_ACCOUNTS
            .iter()
            .map(|(id, name, currency)| {
                json!({
                    "url": self.url("bank_accounts", id),
                    "type": "StandardBankAccount",
                    "name": name,
                    "currency": currency,
                    "is_primary": *id == 1,
                    "status": "active",
                    "opening_balance": "0.0",
                })
            })
            .collect()
    }

    pub(crate) fn company(&self) -> Value {
        json!({
            "url": format!("{}/v2/company", self.base_url),
            "id": 1,
            "name": self.options.company,
            "subdomain": "example-trading",
            "type": "UkLimitedCompany",
            "currency": self.options.currency,
            "mileage_units": "miles",
            "company_start_date": "2020-04-01",
            "freeagent_start_date": "2020-04-01",
            "first_accounting_year_end": "2021-03-31",
            "sales_tax_registration_status": "Registered",
            "sales_tax_rates": self.options.sales_tax_rates,
        })
    }

    pub(crate) fn show_contact(&self, contact: &Contact) -> Value {
        let mut shown = contact.fields.clone();
        shown.insert("url".to_owned(), json!(self.url("contacts", contact.id)));
        shown.insert("status".to_owned(), json!(if contact.hidden { "Hidden" } else { "Active" }));
        shown.insert("active_projects_count".to_owned(), json!(0));
        shown.insert("account_balance".to_owned(), json!("0.0"));
        shown.insert("created_at".to_owned(), json!(timestamp(contact.created_at)));
        shown.insert("updated_at".to_owned(), json!(timestamp(contact.updated_at)));
        Value::Object(shown)
    }

    pub(crate) fn show_invoice(&self, invoice: &Invoice, with_items: bool) -> Value {
        let mut shown = invoice.kept.clone();
        let contact_name = self.contacts.get(&invoice.contact).map(Contact::name);
        let due_on = due_on(&invoice.dated_on, invoice.payment_terms_in_days);
        let fields = json!({
            "url": self.url("invoices", invoice.id),
            "contact": self.url("contacts", invoice.contact),
            "contact_name": contact_name,
            "dated_on": invoice.dated_on,
            "due_on": due_on,
            "reference": invoice.reference,
            "currency": invoice.currency,
            "exchange_rate": number(invoice.exchange_rate),
            "net_value": number(invoice.net),
            "sales_tax_value": number(invoice.tax),
            "total_value": number(invoice.total),
            "paid_value": number(invoice.paid),
            "due_value": number(invoice.total - invoice.paid),
            "status": status(invoice),
            "payment_terms_in_days": invoice.payment_terms_in_days,
            "involves_sales_tax": true,
            "created_at": timestamp(invoice.created_at),
            "updated_at": timestamp(invoice.updated_at),
        });
        if let Value::Object(fields) = fields {
            shown.extend(fields);
        }
        if with_items {
            let items: Vec<Value> =
                invoice.items.iter().enumerate().map(|(index, item)| self.show_item(index, item)).collect();
            shown.insert("invoice_items".to_owned(), Value::Array(items));
        }
        Value::Object(shown)
    }

    fn show_item(&self, index: usize, item: &Item) -> Value {
        let mut shown = json!({
            "url": self.url("invoice_items", item.id),
            "position": index.saturating_add(1),
            "description": item.description,
            "item_type": item.item_type,
            "quantity": number(item.quantity),
            "price": number(item.price),
            "sales_tax_rate": number(item.rate),
            "sales_tax_value": number(item.tax),
            "category": self.url("categories", &item.category),
        });
        if let (Some(status), Some(fields)) = (&item.tax_status, shown.as_object_mut()) {
            fields.insert("sales_tax_status".to_owned(), json!(status));
        }
        shown
    }

    pub(crate) fn show_plain(&self, collection: &str, plain: &Plain) -> Value {
        let mut shown: Map<String, Value> = plain
            .fields
            .iter()
            .map(|(key, value)| {
                let value = match decimal(value) {
                    // Numbers come back as text, whatever they came as.
                    Some(figure) if value.is_number() => json!(number(figure)),
                    _ => value.clone(),
                };
                (key.clone(), value)
            })
            .collect();
        shown.insert("url".to_owned(), json!(self.url(collection, plain.id)));
        shown.insert("created_at".to_owned(), json!(timestamp(plain.created_at)));
        shown.insert("updated_at".to_owned(), json!(timestamp(plain.created_at)));
        Value::Object(shown)
    }

    pub(crate) fn documents(&self) -> Value {
        json!({
            "contacts": self.contacts.values().map(|contact| self.show_contact(contact)).collect::<Vec<_>>(),
            "invoices": self.invoices.values().map(|invoice| self.show_invoice(invoice, true)).collect::<Vec<_>>(),
            "price_list_items":
                self.price_list_items.values().map(|item| self.show_plain("price_list_items", item)).collect::<Vec<_>>(),
            "bank_transaction_explanations":
                self.explanations.values().map(|item| self.show_plain("bank_transaction_explanations", item)).collect::<Vec<_>>(),
        })
    }
}

fn status(invoice: &Invoice) -> &'static str {
    if invoice.total.is_zero() {
        "Zero Value"
    } else if invoice.paid > invoice.total {
        "Overpaid"
    } else if invoice.paid == invoice.total {
        "Paid"
    } else {
        "Open"
    }
}

fn due_on(dated_on: &str, days: i64) -> Option<String> {
    let date: jiff::civil::Date = dated_on.parse().ok()?;
    let due = date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    Some(due.to_string())
}

/// An e-mail address as it is compared.
pub(crate) fn normalised(email: &str) -> String {
    email.trim().to_lowercase()
}

/// `2026-11-20T09:30:00.000Z`
pub(crate) fn timestamp(unix_seconds: i64) -> String {
    iso(unix_seconds).replace('Z', ".000Z")
}

/// A figure as the book prints it: text, with at least one decimal.
pub(crate) fn number(figure: Decimal) -> String {
    let text = figure.normalize().to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// A figure that came as a number or as text.
pub(crate) fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

/// Rounded to pennies.
pub(crate) fn pennies(figure: Decimal) -> Decimal {
    round(figure, 2)
}
