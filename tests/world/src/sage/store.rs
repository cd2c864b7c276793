//! What the book holds, and how it shows it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::chart::{self, BANK_ACCOUNTS, LEDGER_ACCOUNTS, TaxRate};
use super::spec::{ExchangeRate, SageOptions, SageSwitches};
use crate::amount::{round, written};
use crate::clock::iso;
use crate::desk::Desk;
use crate::fields::{Fields, figure, object, objects, text};
use crate::identity::{Authority, Organisation};
use crate::statement::{
    AllocationLine, BankLine, ContactLine, DocumentLine, PaymentLine, ProductLine, RefundLine, Statement, StockLine,
};

const RATE_DECIMALS: u32 = 6;
const OWN_RATE_DECIMALS: u32 = 4;

/// A contact, product, service, stock item or stock movement: kept mostly as it came.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) collection: &'static str,
    pub(crate) fields: Fields,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) deleted: bool,
}

/// A line of a document.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) fields: Fields,
    pub(crate) quantity: Decimal,
    pub(crate) unit_price: Decimal,
    pub(crate) discount: Decimal,
    pub(crate) net: Decimal,
    pub(crate) tax: Decimal,
}

/// An invoice or a credit note.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) is_credit: bool,
    /// Everything that was sent for it so far.
    pub(crate) given: Fields,
    pub(crate) contact: String,
    pub(crate) number: String,
    pub(crate) reference: String,
    pub(crate) is_draft: bool,
    pub(crate) void_reason: Option<String>,
    pub(crate) date: String,
    pub(crate) due: String,
    pub(crate) currency: String,
    pub(crate) rate: Decimal,
    pub(crate) lines: Vec<Line>,
    pub(crate) shipping_net: Decimal,
    pub(crate) shipping_tax: Decimal,
    pub(crate) net: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) total: Decimal,
    pub(crate) sent: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// A part of a payment or an allocation: always positive here.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) document: String,
    pub(crate) is_credit: bool,
    pub(crate) amount: Decimal,
}

/// Money received or paid back, or a credit note set off against an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Movement {
    pub(crate) id: String,
    pub(crate) is_allocation: bool,
    pub(crate) given: Fields,
    pub(crate) kind: String,
    pub(crate) contact: String,
    pub(crate) bank: String,
    pub(crate) date: String,
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
    pub(crate) rate: Decimal,
    pub(crate) bank_amount: Decimal,
    pub(crate) parts: Vec<Part>,
    pub(crate) created_at: i64,
    pub(crate) deleted: bool,
}

/// An answer under an idempotency id.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    pub(crate) at: i64,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Everything in the book.
#[derive(Debug)]
pub(crate) struct Store {
    /// As it was opened.
    pub(crate) opened: SageOptions,
    pub(crate) options: SageOptions,
    pub(crate) switches: SageSwitches,
    pub(crate) desk: Desk,
    pub(crate) tax_rates: Vec<TaxRate>,
    pub(crate) records: Vec<Record>,
    pub(crate) documents: Vec<Document>,
    pub(crate) movements: Vec<Movement>,
    pub(crate) last_id: u64,
    pub(crate) subscribed: bool,
    pub(crate) remembered: BTreeMap<String, Remembered>,
    /// The minute that is counted, and how many requests came in it.
    pub(crate) this_minute: (i64, u32),
    /// The same of the day.
    pub(crate) this_day: (i64, u32),
}

impl Store {
    pub(crate) fn new(options: SageOptions) -> Self {
        Self {
            switches: options.switches,
            desk: Desk::new(
                options.clock.clone(),
                &options.tokens,
                options.latency_milliseconds,
                Authority::Sage,
                Organisation::new(&options.business, &options.name),
                &[Organisation::new(SageOptions::OTHER_BUSINESS, SageOptions::OTHER_NAME)],
            ),
            tax_rates: chart::tax_rates(&options.country),
            records: Vec::new(),
            documents: Vec::new(),
            movements: Vec::new(),
            last_id: 0,
            subscribed: true,
            remembered: BTreeMap::new(),
            this_minute: (0, 0),
            this_day: (0, 0),
            opened: options.clone(),
            options,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.options.clock.now()
    }

    pub(crate) fn next_id(&mut self) -> String {
        self.last_id = self.last_id.saturating_add(1);
        format!("5a6e0000000000000000{:012x}", self.last_id)
    }

    /// A figure as it goes over the wire.
    pub(crate) fn number(&self, figure: Decimal) -> Value {
        let plain = figure.normalize().to_string();
        if self.switches.amounts_as_numbers {
            return serde_json::from_str(&plain).unwrap_or_default();
        }
        json!(if plain.contains('.') { plain } else { format!("{plain}.0") })
    }

    /// The book's own rate of the day.
    pub(crate) fn own_rate(&self, currency: &str) -> Decimal {
        if currency == self.options.currency {
            return Decimal::ONE;
        }
        let base = chart::OWN_RATES
            .iter()
            .find(|(code, _)| *code == currency)
            .map_or(Decimal::ONE, |(_, rate)| Decimal::new(*rate, OWN_RATE_DECIMALS));
        match self.switches.exchange_rate {
            ExchangeRate::BasePerForeign => base,
            ExchangeRate::ForeignPerBase => inverse(base),
        }
    }

    /// An amount in the business's currency.
    pub(crate) fn in_base(&self, amount: Decimal, rate: Decimal) -> Decimal {
        let base = match self.switches.exchange_rate {
            ExchangeRate::BasePerForeign => amount.checked_mul(rate).unwrap_or(amount),
            ExchangeRate::ForeignPerBase => amount.checked_div(rate).unwrap_or(amount),
        };
        round(base, 2)
    }

    pub(crate) fn record(&self, collection: &str, id: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.collection == collection && record.id == id && !record.deleted)
    }

    pub(crate) fn contact(&self, id: &str) -> Option<&Record> {
        self.record("contacts", id)
    }

    pub(crate) fn document(&self, is_credit: bool, id: &str) -> Option<&Document> {
        self.documents.iter().find(|document| document.is_credit == is_credit && document.id == id)
    }

    /// What of a document is paid or set off.
    pub(crate) fn settled(&self, document: &str) -> Decimal {
        let alive = self.movements.iter().filter(|movement| !movement.deleted);
        alive
            .flat_map(|movement| &movement.parts)
            .filter(|part| part.document == document)
            .map(|part| part.amount)
            .sum()
    }

    pub(crate) fn outstanding(&self, document: &Document) -> Decimal {
        if document.void_reason.is_some() { Decimal::ZERO } else { document.total - self.settled(&document.id) }
    }

    pub(crate) fn status(&self, document: &Document) -> &'static str {
        let outstanding = self.outstanding(document);
        if document.void_reason.is_some() {
            "VOID"
        } else if document.is_draft {
            "DRAFT"
        } else if outstanding.is_zero() && (!document.total.is_zero() || self.switches.zero_documents_are_paid) {
            "PAID"
        } else if outstanding == document.total {
            "UNPAID"
        } else {
            "PART_PAID"
        }
    }

    /// How many of a stock item there are.
    pub(crate) fn stock(&self, item: &str) -> Decimal {
        let movements = self.records.iter().filter(|record| record.collection == "stock_movements" && !record.deleted);
        movements
            .filter(|record| text(&record.fields, "stock_item_id") == item)
            .filter_map(|record| figure(&record.fields, "quantity"))
            .sum()
    }

    pub(crate) fn tax_rate(&self, id: &str) -> Option<&TaxRate> {
        self.tax_rates.iter().find(|rate| rate.id == id)
    }

    /// A link to something: its id, what people call it, its path.
    pub(crate) fn link(&self, collection: &str, id: &str) -> Value {
        if id.is_empty() {
            return Value::Null;
        }
        json!({"id": id, "displayed_as": self.displayed(collection, id), "$path": format!("/{collection}/{id}")})
    }

    fn displayed(&self, collection: &str, id: &str) -> String {
        match collection {
            "tax_rates" => self.tax_rate(id).map(|rate| rate.name.clone()).unwrap_or_default(),
            "ledger_accounts" => {
                let found = LEDGER_ACCOUNTS.iter().find(|(nominal, _, _)| chart::ledger_id(*nominal) == id);
                found.map(|(nominal, name, _)| format!("{name} ({nominal})")).unwrap_or_default()
            }
            "bank_accounts" => {
                let found = BANK_ACCOUNTS.iter().find(|(nominal, _, _)| chart::bank_id(*nominal) == id);
                found.map(|(nominal, name, _)| format!("{name} ({nominal})")).unwrap_or_default()
            }
            "currencies" => chart::CURRENCIES
                .iter()
                .find(|(code, _)| *code == id)
                .map(|(code, name)| format!("{name} ({code})"))
                .unwrap_or_default(),
            "sales_invoices" | "sales_credit_notes" => {
                let found = self.documents.iter().find(|document| document.id == id);
                found.map(|document| document.number.clone()).unwrap_or_default()
            }
            "contacts" | "products" | "services" | "stock_items" => {
                self.records.iter().find(|record| record.id == id).map(displayed).unwrap_or_default()
            }
            _ => words(id),
        }
    }

    /// A record as the API shows it.
    pub(crate) fn show_record(&self, record: &Record) -> Value {
        let mut shown = Map::new();
        for (field, value) in &record.fields {
            if ["idempotency_id", "quantity_in_stock"].contains(&field.as_str()) {
                continue;
            }
            let (name, value) = self.show_field(field, value);
            shown.insert(name, value);
        }
        extend(
            &mut shown,
            json!({
                "id": record.id,
                "displayed_as": displayed(record),
                "$path": format!("/{}/{}", record.collection, record.id),
                "created_at": iso(record.created_at),
                "updated_at": iso(record.updated_at),
            }),
        );
        match record.collection {
            "contacts" => self.complete_contact(&mut shown, record),
            "stock_items" => {
                shown.insert("quantity_in_stock".to_owned(), self.number(self.stock(&record.id)));
                shown.entry("active").or_insert(json!(true));
            }
            "products" | "services" => {
                shown.entry("active").or_insert(json!(true));
            }
            _ => {}
        }
        Value::Object(shown)
    }

    /// `currency_id` comes back as `currency`, with a link; figures as figures are written.
    fn show_field(&self, field: &str, value: &Value) -> (String, Value) {
        let collection = |field: &str| match field {
            "currency_id" => "currencies",
            "country_id" => "countries",
            "address_type_id" => "address_types",
            "stock_item_id" => "stock_items",
            "sales_ledger_account_id" | "purchase_ledger_account_id" | "default_sales_ledger_account_id" => {
                "ledger_accounts"
            }
            "sales_tax_rate_id" | "purchase_tax_rate_id" | "default_sales_tax_rate_id" => "tax_rates",
            _ => "references",
        };
        match value {
            Value::String(id) if field.ends_with("_id") => {
                (field.trim_end_matches("_id").to_owned(), self.link(collection(field), id))
            }
            Value::Array(ids) if field.ends_with("_ids") => {
                let name = format!("{}s", field.trim_end_matches("_ids"));
                let links = ids.iter().filter_map(Value::as_str).map(|id| self.link(&name, id)).collect();
                (name.clone(), links)
            }
            Value::Object(fields) => {
                let inner = fields.iter().map(|(field, value)| self.show_field(field, value)).collect();
                (field.to_owned(), Value::Object(inner))
            }
            Value::Array(list) => {
                let inner = list.iter().map(|value| self.show_field("", value).1).collect();
                (field.to_owned(), Value::Array(inner))
            }
            Value::Number(_) if field != "credit_days" => {
                (field.to_owned(), crate::fields::decimal(value).map_or(Value::Null, |figure| self.number(figure)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (field.to_owned(), value.clone()),
        }
    }

    fn complete_contact(&self, shown: &mut Map<String, Value>, record: &Record) {
        let person = object(&record.fields, "main_contact_person");
        let balance: Decimal = self
            .documents
            .iter()
            .filter(|document| document.contact == record.id && !document.is_draft)
            .map(|document| {
                let left = self.outstanding(document);
                if document.is_credit { -left } else { left }
            })
            .sum();
        shown.insert("balance".to_owned(), self.number(balance));
        shown.insert("email".to_owned(), json!(person.map(|person| text(person, "email"))));
        for (flag, usually) in [
            ("is_active", true),
            ("gb_based", true),
            ("ni_based", false),
            ("destination_vat_blocking", false),
            ("gdpr_obfuscated", false),
            ("system", false),
        ] {
            shown.entry(flag).or_insert(json!(usually));
        }
        shown.insert("deleted_at".to_owned(), Value::Null);
    }

    pub(crate) fn show_document(&self, document: &Document) -> Value {
        let (collection, number, prefix, lines, type_id) = if document.is_credit {
            let lines = "credit_note_lines";
            ("sales_credit_notes", "credit_note_number", "credit_note_number_prefix", lines, "SALES_CREDIT_NOTE")
        } else {
            ("sales_invoices", "invoice_number", "invoice_number_prefix", "invoice_lines", "SALES_INVOICE")
        };
        let mut shown = Map::new();
        for field in [
            "notes",
            "terms_and_conditions",
            "contact_name",
            "contact_reference",
            "original_invoice_date",
            "vat_reverse_charge",
            "destination_consignment",
            "main_address",
            "delivery_address",
        ] {
            if let Some(value) = document.given.get(field).filter(|value| !value.is_null()) {
                let (name, value) = self.show_field(field, value);
                shown.insert(name, value);
            }
        }
        // Without an address of its own for the delivery it is the other one.
        if let Some(main) = shown.get("main_address").cloned() {
            shown.entry("delivery_address").or_insert(main);
        }
        let number_of = |figure: Decimal| self.number(figure);
        let base = |figure: Decimal| self.number(self.in_base(figure, document.rate));
        let outstanding = self.outstanding(document);
        let paid = document.total - outstanding;
        let discount: Decimal = document.lines.iter().map(|line| line.discount).sum();
        extend(
            &mut shown,
            json!({
                "id": document.id,
                "displayed_as": document.number,
                "$path": format!("/{collection}/{}", document.id),
                "created_at": iso(document.created_at),
                "updated_at": iso(document.updated_at),
                "editable": paid.is_zero() && document.void_reason.is_none(),
                "transaction_type": self.link("transaction_types", type_id),
                "contact": self.link("contacts", &document.contact),
                number: document.number,
                prefix: text(&document.given, prefix),
                "reference": document.reference,
                "date": document.date,
                "status": {"id": self.status(document), "displayed_as": words(self.status(document)),
                    "$path": format!("/artefact_statuses/{}", self.status(document))},
                "currency": self.link("currencies", &document.currency),
                "exchange_rate": number_of(document.rate),
                "inverse_exchange_rate": number_of(inverse(document.rate)),
                "sent": document.sent,
                "void_reason": document.void_reason,
            }),
        );
        extend(
            &mut shown,
            json!({
                "shipping_net_amount": number_of(document.shipping_net),
                "shipping_tax_amount": number_of(document.shipping_tax),
                "shipping_total_amount": number_of(document.shipping_net + document.shipping_tax),
                "shipping_tax_rate": self.link("tax_rates", &text(&document.given, "shipping_tax_rate_id")),
                "net_amount": number_of(document.net),
                "tax_amount": number_of(document.tax),
                "total_amount": number_of(document.total),
                "total_discount_amount": number_of(discount),
                "total_paid": number_of(if document.void_reason.is_some() { Decimal::ZERO } else { paid }),
                "outstanding_amount": number_of(outstanding),
                "base_currency_net_amount": base(document.net),
                "base_currency_tax_amount": base(document.tax),
                "base_currency_total_amount": base(document.total),
                "base_currency_outstanding_amount": base(outstanding),
                lines: document.lines.iter().map(|line| self.show_line(line, document.rate)).collect::<Vec<_>>(),
                "tax_analysis": self.tax_analysis(document),
                "payments_allocations": self.payments_allocations(document),

            }),
        );
        if !document.is_credit {
            shown.insert("due_date".to_owned(), json!(document.due));
        }
        Value::Object(shown)
    }

    fn show_line(&self, line: &Line, rate: Decimal) -> Value {
        let mut shown = Map::new();
        for (field, collection) in [
            ("product_id", "products"),
            ("service_id", "services"),
            ("ledger_account_id", "ledger_accounts"),
            ("tax_rate_id", "tax_rates"),
            ("eu_goods_services_type_id", "eu_goods_services_types"),
        ] {
            let id = text(&line.fields, field);
            shown.insert(field.trim_end_matches("_id").to_owned(), self.link(collection, &id));
        }
        // A stock item is named where a product is.
        if let Some(item) = self.record("stock_items", &text(&line.fields, "product_id")) {
            shown.insert("product".to_owned(), self.link("stock_items", &item.id));
        }
        let description = text(&line.fields, "description");
        extend(
            &mut shown,
            json!({
                "id": line.id,
                "displayed_as": description,
                "description": description,
                "quantity": self.number(line.quantity),
                "unit_price": self.number(line.unit_price),
                "unit_price_includes_tax": line.fields.get("unit_price_includes_tax").cloned().unwrap_or(json!(false)),
                "discount_amount": self.number(line.discount),
                "net_amount": self.number(line.net),
                "tax_amount": self.number(line.tax),
                "total_amount": self.number(line.net + line.tax),
                "base_currency_net_amount": self.number(self.in_base(line.net, rate)),
                "base_currency_tax_amount": self.number(self.in_base(line.tax, rate)),
            }),
        );
        Value::Object(shown)
    }

    fn tax_analysis(&self, document: &Document) -> Vec<Value> {
        let mut by_rate: BTreeMap<String, (Decimal, Decimal)> = BTreeMap::new();
        let lines = document.lines.iter().map(|line| (text(&line.fields, "tax_rate_id"), line.net, line.tax));
        let shipping = (text(&document.given, "shipping_tax_rate_id"), document.shipping_net, document.shipping_tax);
        for (rate, net, tax) in lines.chain([shipping]).filter(|(rate, _, _)| !rate.is_empty()) {
            let sum = by_rate.entry(rate).or_default();
            *sum = (sum.0 + net, sum.1 + tax);
        }
        let show = |(rate, (net, tax)): (String, (Decimal, Decimal))| {
            json!({"tax_rate": self.link("tax_rates", &rate), "net_amount": self.number(net),
                "tax_amount": self.number(tax), "total_amount": self.number(net + tax)})
        };
        by_rate.into_iter().map(show).collect()
    }

    fn payments_allocations(&self, document: &Document) -> Vec<Value> {
        let alive = self.movements.iter().filter(|movement| !movement.deleted);
        alive
            .flat_map(|movement| movement.parts.iter().map(move |part| (movement, part)))
            .filter(|(_, part)| part.document == document.id)
            .map(|(movement, part)| {
                let collection = if movement.is_allocation { "contact_allocations" } else { "contact_payments" };
                json!({"id": movement.id, "displayed_as": text(&movement.given, "reference"),
                    "$path": format!("/{collection}/{}", movement.id), "date": movement.date,
                    "amount": self.number(part.amount), "discount": self.number(Decimal::ZERO)})
            })
            .collect()
    }

    pub(crate) fn show_movement(&self, movement: &Movement) -> Value {
        let collection = if movement.is_allocation { "contact_allocations" } else { "contact_payments" };
        let signed = movement.is_allocation && self.switches.allocation_sign == super::AllocationSign::CreditNegative;
        let parts: Vec<Value> = movement
            .parts
            .iter()
            .map(|part| {
                let amount = if signed && part.is_credit { -part.amount } else { part.amount };
                let of = if part.is_credit { "sales_credit_notes" } else { "sales_invoices" };
                json!({"id": part.document, "artefact": self.link(of, &part.document), "amount": self.number(amount),
                    "discount": self.number(Decimal::ZERO)})
            })
            .collect();
        let mut shown = json!({
            "id": movement.id,
            "displayed_as": text(&movement.given, "reference"),
            "$path": format!("/{collection}/{}", movement.id),
            "created_at": iso(movement.created_at),
            "updated_at": iso(movement.created_at),
            "deleted_at": movement.deleted.then(|| iso(self.now())),
            "transaction_type": self.link("transaction_types", &movement.kind),
            "contact": self.link("contacts", &movement.contact),
            "date": movement.date,
            "allocated_artefacts": parts,
        });
        let used: Decimal = movement.parts.iter().map(|part| part.amount).sum();
        let left = movement.amount - used;
        if let Some(fields) = shown.as_object_mut().filter(|_| !movement.is_allocation) {
            extend(
                fields,
                json!({
                    "payment_method": self.link("payment_methods", &text(&movement.given, "payment_method_id")),
                    "bank_account": self.link("bank_accounts", &movement.bank),
                    "net_amount": self.number(movement.amount),
                    "tax_amount": self.number(Decimal::ZERO),
                    "total_amount": self.number(movement.amount),
                    "currency": self.link("currencies", &movement.currency),
                    "exchange_rate": self.number(movement.rate),
                    "base_currency_total_amount": self.number(self.in_base(movement.amount, movement.rate)),
                    "reference": text(&movement.given, "reference"),
                    "editable": true,
                }),
            );
            if !left.is_zero() {
                let on_account = json!({"id": movement.id, "displayed_as": "Payment on account",
                    "total_amount": self.number(left), "outstanding_amount": self.number(left)});
                fields.insert("payment_on_account".to_owned(), on_account);
            }
        }
        shown
    }

    /// Everything, by kind, as the API shows it.
    pub(crate) fn everything(&self) -> Value {
        let records = |collection: &str| -> Vec<Value> {
            let of_kind = self.records.iter().filter(|record| record.collection == collection && !record.deleted);
            of_kind.map(|record| self.show_record(record)).collect()
        };
        let documents = |is_credit: bool| -> Vec<Value> {
            let of_kind = self.documents.iter().filter(|document| document.is_credit == is_credit);
            of_kind.map(|document| self.show_document(document)).collect()
        };
        let movements = |is_allocation: bool| -> Vec<Value> {
            let of_kind = self.movements.iter().filter(|movement| movement.is_allocation == is_allocation);
            of_kind.map(|movement| self.show_movement(movement)).collect()
        };
        json!({
            "contacts": records("contacts"),
            "products": records("products"),
            "services": records("services"),
            "stock_items": records("stock_items"),
            "stock_movements": records("stock_movements"),
            "sales_invoices": documents(false),
            "sales_credit_notes": documents(true),
            "contact_payments": movements(false),
            "contact_allocations": movements(true),
        })
    }

    /// The book in the shape that all books share.
    pub(crate) fn statement(&self) -> Statement {
        let mut statement = Statement { currency: self.options.currency.clone(), ..Statement::default() };
        for record in self.records.iter().filter(|record| !record.deleted || record.collection == "contacts") {
            self.state_record(record, &mut statement);
        }
        for document in &self.documents {
            let line = self.state_document(document);
            if document.is_credit { statement.credit_notes.push(line) } else { statement.invoices.push(line) }
        }
        for movement in self.movements.iter().filter(|movement| !movement.deleted) {
            if movement.is_allocation {
                let currency = movement
                    .parts
                    .first()
                    .and_then(|part| self.documents.iter().find(|document| document.id == part.document));
                let currency = currency.map(|document| document.currency.clone()).unwrap_or_default();
                state_allocation(movement, &currency, &mut statement);
            } else {
                state_payment(movement, &mut statement);
            }
        }
        statement.bank_accounts = BANK_ACCOUNTS
            .iter()
            .map(|(nominal, name, currency)| {
                let id = chart::bank_id(*nominal);
                let balance = self.balance(&id);
                BankLine {
                    id,
                    name: (*name).to_owned(),
                    currency: (*currency).to_owned(),
                    balance: written(balance, currency),
                }
            })
            .collect();
        statement
    }

    pub(crate) fn balance(&self, bank: &str) -> Decimal {
        let of_bank = self.movements.iter().filter(|movement| movement.bank == bank && !movement.deleted);
        of_bank
            .map(|movement| if movement.kind == chart::REFUND { -movement.bank_amount } else { movement.bank_amount })
            .sum()
    }

    fn state_record(&self, record: &Record, statement: &mut Statement) {
        let id = record.id.clone();
        match record.collection {
            "contacts" => {
                let person = object(&record.fields, "main_contact_person");
                let active = record.fields.get("is_active").and_then(Value::as_bool).unwrap_or(true);
                statement.contacts.push(ContactLine {
                    id,
                    name: text(&record.fields, "name"),
                    email: person.map(|person| text(person, "email")).unwrap_or_default(),
                    currency: Some(text(&record.fields, "currency_id")),
                    active: active && !record.deleted,
                });
            }
            "stock_movements" => statement.stock_movements.push(StockLine {
                id,
                product: text(&record.fields, "stock_item_id"),
                quantity: figure(&record.fields, "quantity").unwrap_or_default().normalize().to_string(),
                reference: text(&record.fields, "reference"),
            }),
            collection => {
                let prices = if collection == "services" { ("sales_rates", "rate") } else { ("sales_prices", "price") };
                let price = objects(&record.fields, prices.0).next().and_then(|price| figure(price, prices.1));
                let is_stock = collection == "stock_items";
                statement.products.push(ProductLine {
                    code: text(&record.fields, "item_code"),
                    name: text(&record.fields, "description"),
                    price: price.map(|price| price.normalize().to_string()).unwrap_or_default(),
                    stock: is_stock.then(|| self.stock(&id).normalize().to_string()),
                    id,
                });
            }
        }
    }

    fn state_document(&self, document: &Document) -> DocumentLine {
        let outstanding = self.outstanding(document);
        DocumentLine {
            id: document.id.clone(),
            number: document.reference.clone(),
            contact: document.contact.clone(),
            status: self.status(document).to_owned(),
            open: !outstanding.is_zero(),
            approved: !document.is_draft && document.void_reason.is_none(),
            date: document.date.clone(),
            due: document.due.clone(),
            currency: document.currency.clone(),
            total: written(document.total, &document.currency),
            tax: written(document.tax, &document.currency),
            outstanding: written(outstanding, &document.currency),
        }
    }
}

/// One line for each document that the money went to.
fn state_payment(movement: &Movement, statement: &mut Statement) {
    let unused = movement.amount - movement.parts.iter().map(|part| part.amount).sum::<Decimal>();
    let rest = Part { document: String::new(), is_credit: movement.kind == chart::REFUND, amount: unused };
    for part in movement.parts.iter().chain((!unused.is_zero()).then_some(&rest)) {
        let share = (movement.bank_amount * part.amount).checked_div(movement.amount).unwrap_or_default();
        let (id, reference) = (movement.id.clone(), text(&movement.given, "reference"));
        let (date, currency) = (movement.date.clone(), movement.currency.clone());
        let amount = written(part.amount, &currency);
        let of_bank = BANK_ACCOUNTS.iter().find(|(nominal, _, _)| chart::bank_id(*nominal) == movement.bank);
        let account_currency = of_bank.map_or(currency.as_str(), |(_, _, of_bank)| of_bank);
        let (account, account_amount) = (movement.bank.clone(), written(round(share, 2), account_currency));
        let document = part.document.clone();
        if movement.kind == chart::REFUND {
            let credit_note = document;
            let line = RefundLine { id, reference, credit_note, date, amount, currency, account, account_amount };
            statement.refunds.push(line);
        } else {
            let line =
                PaymentLine { id, reference, invoice: document, date, amount, currency, account, account_amount };
            statement.payments.push(line);
        }
    }
}

/// One line for each pair of a credit note and an invoice.
fn state_allocation(movement: &Movement, currency: &str, statement: &mut Statement) {
    let side = |is_credit: bool| {
        movement.parts.iter().filter(move |part| part.is_credit == is_credit).cloned().collect::<Vec<_>>()
    };
    let mut invoices = side(false);
    for note in side(true) {
        let mut left = note.amount;
        for invoice in invoices.iter_mut().filter(|invoice| !invoice.amount.is_zero()) {
            let amount = left.min(invoice.amount);
            if amount.is_zero() {
                break;
            }
            left -= amount;
            invoice.amount -= amount;
            statement.allocations.push(AllocationLine {
                id: movement.id.clone(),
                credit_note: note.document.clone(),
                invoice: invoice.document.clone(),
                amount: written(amount, currency),
            });
        }
    }
}

/// One over a rate.
pub(crate) fn inverse(rate: Decimal) -> Decimal {
    round(Decimal::ONE.checked_div(rate).unwrap_or(Decimal::ONE), RATE_DECIMALS)
}

/// What people call a record.
fn displayed(record: &Record) -> String {
    let (name, code) = match record.collection {
        "contacts" => (text(&record.fields, "name"), text(&record.fields, "reference")),
        "stock_movements" => (text(&record.fields, "details"), String::new()),
        _ => (text(&record.fields, "description"), text(&record.fields, "item_code")),
    };
    if code.is_empty() { name } else { format!("{name} ({code})") }
}

/// `PART_PAID` as people read it; a country's code stays as it is.
pub(crate) fn words(id: &str) -> String {
    if id.len() == 2 {
        return id.to_owned();
    }
    let lower = id.replace('_', " ").to_lowercase();
    let mut letters = lower.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Puts the fields of an object over those that are there.
pub(crate) fn extend(fields: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        fields.extend(more);
    }
}
