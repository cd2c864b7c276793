//! What the shared desk asks of this book, and the routes of the control API that only this one has.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET statement` | | [`crate::statement::Statement`] |
//! | `GET documents` | | `{"contacts":[…],"products":[…],"sales_invoices":[…],…}`, as the API shows them |
//! | `POST seed` | [`super::SageSeed`] | `{"contacts":["id"],"products":["id"],…}` |
//! | `POST locks` | `{"year_end":"2026-03-31","start":"2020-04-01"}` | `{"ok":true}`: what is open lies between |
//! | `POST business` | `{"edition":"start","full_access":false,"multi_currency":false,"destination_vat":true,"live_exchange_rates":false,"subscribed":true}` | `{"ok":true}` |
//! | `POST marks` | `{"contact":"id","is_active":false,"gdpr_obfuscated":true}` | `{"ok":true}` |
//! | `POST limits` | `{"per_minute":200,"per_day":5000}` | `{"ok":true}` |
//!
//! The rest is the table at the head of `src/desk/control.rs`.

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api;
use super::chart::{self, TaxRate};
use super::rules::{self, Mistakes};
use super::spec::{Edition, SageSeed, SageSwitches};
use super::store::Store;
use crate::desk::{Desk, Keeper};
use crate::fields::{Fields, fields_of, figure, text};
use crate::server::{Answer, Request};

impl Keeper for Store {
    const KIND: &'static str = "sage";

    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn obey(&mut self, request: &Request) -> Answer {
        api::answer(self, request)
    }

    fn resets(&mut self) {
        *self = Self::new(self.opened.clone());
    }

    fn unauthorized(&self) -> Answer {
        api::unauthorized(self)
    }

    fn too_many(&self, retry_after: Option<u64>) -> Answer {
        api::too_many(self, retry_after)
    }

    fn refused(&self, field: &str, message: &str) -> Answer {
        api::refused(&Mistakes::of(field, message))
    }

    fn error_inside(&self) -> Value {
        Mistakes::of("base", "could not be saved").body()
    }

    fn garbage(&self) -> &'static str {
        "{\"id\":\"5a6e0000\",\"displayed_as\":\"SI-1\",\"total_am"
    }

    fn unknown_fields(&self, body: &Value) -> Vec<String> {
        let roots = body.as_object().into_iter().flatten();
        roots
            .filter_map(|(entity, fields)| fields.as_object().map(|fields| rules::unknown_fields(entity, fields)))
            .flatten()
            .collect()
    }

    fn switches(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self.switches)?)
    }

    fn sets_switches(&mut self, switches: Value) -> anyhow::Result<()> {
        self.switches = serde_json::from_value::<SageSwitches>(switches)?;
        Ok(())
    }

    fn seeds(&mut self, request: &Request) -> anyhow::Result<Value> {
        seed(self, &request.read()?)
    }

    fn control(&mut self, request: &Request, path: &[&str]) -> anyhow::Result<Option<Value>> {
        Ok(Some(match (request.method.as_str(), path) {
            ("GET", ["statement"]) => serde_json::to_value(self.statement())?,
            ("GET", ["documents"]) => self.everything(),
            ("POST", ["locks"]) => {
                let locks: Locks = request.read()?;
                self.options.year_end_lockdown_date = locks.year_end;
                self.options.accounts_start_date = locks.start;
                json!({"ok": true})
            }
            ("POST", ["business"]) => {
                let business: Business = request.read()?;
                self.options.edition = business.edition.unwrap_or(self.options.edition);
                self.options.full_access = business.full_access.unwrap_or(self.options.full_access);
                self.options.multi_currency = business.multi_currency.unwrap_or(self.options.multi_currency);
                self.options.destination_vat = business.destination_vat.unwrap_or(self.options.destination_vat);
                let live = business.live_exchange_rates.unwrap_or(self.options.live_exchange_rates);
                self.options.live_exchange_rates = live;
                self.subscribed = business.subscribed.unwrap_or(self.subscribed);
                json!({"ok": true})
            }
            ("POST", ["marks"]) => {
                let mut marks = fields_of(request.json()?);
                let contact = text(&marks, "contact");
                marks.remove("contact");
                mark(self, &contact, marks)?;
                json!({"ok": true})
            }
            ("POST", ["limits"]) => {
                let limits: Limits = request.read()?;
                self.options.requests_per_minute = limits.per_minute;
                self.options.requests_per_day = limits.per_day;
                json!({"ok": true})
            }
            _ => return Ok(None),
        }))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Locks {
    year_end: Option<String>,
    start: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Business {
    edition: Option<Edition>,
    full_access: Option<bool>,
    multi_currency: Option<bool>,
    destination_vat: Option<bool>,
    live_exchange_rates: Option<bool>,
    subscribed: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    per_minute: Option<u32>,
    per_day: Option<u32>,
}

/// Sets what the API itself never sets on a contact.
pub(crate) fn mark(store: &mut Store, contact: &str, marks: Fields) -> anyhow::Result<()> {
    let found = store.records.iter_mut().find(|record| record.collection == "contacts" && record.id == contact);
    found.context("there is no such contact")?.fields.extend(marks);
    Ok(())
}

/// Puts in what somebody else has put in; the ids, in order.
pub(crate) fn seed(store: &mut Store, seed: &SageSeed) -> anyhow::Result<Value> {
    let fields = |value: &Value| value.as_object().cloned().context("a seed is an object of fields");
    let refuse = |mistakes: Mistakes| anyhow!("the book refuses: {}", mistakes.body());
    for value in &seed.tax_rates {
        let fields = fields(value)?;
        let percentage = figure(&fields, "percentage").context("percentage: how much?")?;
        let (id, name) = (text(&fields, "id"), text(&fields, "name"));
        store.tax_rates.push(TaxRate { id, name, percentage, destination: None });
    }
    let mut made = Map::new();
    for (collection, list) in [
        ("contacts", &seed.contacts),
        ("products", &seed.products),
        ("services", &seed.services),
        ("stock_items", &seed.stock_items),
        ("stock_movements", &seed.stock_movements),
        ("sales_invoices", &seed.sales_invoices),
        ("sales_credit_notes", &seed.sales_credit_notes),
        ("contact_payments", &seed.contact_payments),
    ] {
        let mut ids = Vec::new();
        for value in list {
            let mut fields = fields(value)?;
            if collection.starts_with("sales_") {
                complete(store, &mut fields, collection).map_err(refuse)?;
            }
            if collection == "contacts" {
                fields.entry("contact_type_ids").or_insert_with(|| json!(["CUSTOMER"]));
            }
            // People enter what the API has its own words for.
            let switches = store.switches;
            store.switches.place_types = super::PlaceTypes::Optional;
            let shown = api::add(store, collection, &fields);
            store.switches = switches;
            let shown = shown.map_err(refuse)?;
            ids.push(shown.get("id").cloned().unwrap_or_default());
        }
        made.insert(collection.to_owned(), Value::Array(ids));
    }
    Ok(Value::Object(made))
}

/// What a seed leaves out of a document is made up.
fn complete(store: &mut Store, fields: &mut Fields, collection: &str) -> Result<(), Mistakes> {
    if !fields.contains_key("contact_id") {
        let name = format!("Stranger {}", store.last_id);
        let stranger =
            json!({"name": name, "contact_type_ids": ["CUSTOMER"], "currency_id": fields.get("currency_id")});
        let shown = api::add(store, "contacts", &fields_of(stranger))?;
        fields.insert("contact_id".to_owned(), shown.get("id").cloned().unwrap_or_default());
    }
    let today = crate::clock::date(store.now());
    fields.entry("date").or_insert_with(|| json!(today));
    let lines = if collection == "sales_invoices" { "invoice_lines" } else { "credit_note_lines" };
    let line = json!({"description": "Something", "ledger_account_id": chart::ledger_id(4_000), "unit_price": 10,
        "tax_rate_id": format!("{}_ZERO", store.options.country)});
    fields.entry(lines).or_insert_with(|| json!([line]));
    Ok(())
}
