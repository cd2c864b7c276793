//! What the shared desk asks of this book, and the routes of the control API that only this one has.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET statement` | | [`crate::statement::Statement`] |
//! | `GET documents` | | `{"contacts":[…],"items":[…],"invoices":[…],"credit_notes":[…],"payments":[…],"allocations":[…]}` |
//! | `POST seed` | [`super::AccountingSeed`] | `{"contacts":["id"],"items":["id"],"invoices":["id"],"credit_notes":["id"],"payments":["id"]}` |
//! | `POST locks` | `{"period":"2026-03-31","end_of_year":null}` | `{"ok":true}`: nothing may be dated on or before them |
//! | `POST scopes` | `{"lacks":["accounting.payments"]}` | `{"ok":true}`: what the tokens may not |
//! | `POST limits` | `{"per_minute":60,"per_day":5000,"at_once":5}` | `{"ok":true}` |
//!
//! The rest is the table at the head of `src/desk/control.rs`.

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use serde_json::{Value, json};

use super::chart::{Account, TaxRate};
use super::rules::{self, Ask, Problems};
use super::spec::{AccountingSeed, AccountingSwitches};
use super::store::{NIL, Store};
use super::{api, wire};
use crate::desk::{Desk, Keeper};
use crate::fields::{Fields, fields_of, figure, given, objects, text};
use crate::server::{Answer, Request};

impl Keeper for Store {
    const KIND: &'static str = "accounting";

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
        api::too_many(self, "minute", retry_after)
    }

    fn refused(&self, field: &str, message: &str) -> Answer {
        api::invalid(vec![json!({field: NIL, "ValidationErrors": [{"Message": message}]})])
    }

    fn error_inside(&self) -> Value {
        let element = json!({
            "InvoiceID": NIL, "StatusAttributeString": "ERROR", "HasErrors": true,
            "ValidationErrors": [{"Message": "A validation exception occurred"}],
        });
        json!({"Id": NIL, "Status": "OK", "ProviderName": "Ledger", "DateTimeUTC": wire::bare_moment(self.now()),
            "Invoices": [element]})
    }

    fn garbage(&self) -> &'static str {
        "{\"Id\":\"5f1e0000\",\"Status\":\"OK\",\"Invoices\":[{\"InvoiceID\":\"5f1e"
    }

    fn unknown_fields(&self, body: &Value) -> Vec<String> {
        let lists = body.as_object().into_iter().flatten();
        lists
            .flat_map(|(name, list)| list.as_array().into_iter().flatten().map(move |element| (name, element)))
            .filter_map(|(name, element)| element.as_object().map(|fields| rules::unknown_fields(name, fields)))
            .flatten()
            .collect()
    }

    fn switches(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self.switches)?)
    }

    fn sets_switches(&mut self, switches: Value) -> anyhow::Result<()> {
        self.switches = serde_json::from_value::<AccountingSwitches>(switches)?;
        Ok(())
    }

    fn seeds(&mut self, request: &Request) -> anyhow::Result<Value> {
        seed(self, &request.read()?)
    }

    fn control(&mut self, request: &Request, path: &[&str]) -> anyhow::Result<Option<Value>> {
        let done = json!({"ok": true});
        Ok(Some(match (request.method.as_str(), path) {
            ("GET", ["statement"]) => serde_json::to_value(self.statement())?,
            ("GET", ["documents"]) => self.documents(),
            ("POST", ["locks"]) => {
                let locks: Locks = request.read()?;
                self.options.period_lock_date = locks.period;
                self.options.end_of_year_lock_date = locks.end_of_year;
                done
            }
            ("POST", ["scopes"]) => {
                self.lacking_scopes = request.read::<Scopes>()?.lacks.into_iter().collect();
                done
            }
            ("POST", ["limits"]) => {
                let limits: Limits = request.read()?;
                self.options.requests_per_minute = limits.per_minute;
                self.options.requests_per_day = limits.per_day;
                self.options.requests_at_once = limits.at_once;
                done
            }
            _ => return Ok(None),
        }))
    }

    fn answers_instead(&mut self, request: &Request, answer: &Answer) {
        // An internal error is the API's own answer; what a gateway says isn't.
        if answer.status == 500 && self.switches.internal_errors_cached {
            api::remember(self, request, answer);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Locks {
    period: Option<String>,
    end_of_year: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Scopes {
    lacks: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    per_minute: Option<u32>,
    per_day: Option<u32>,
    at_once: Option<u32>,
}

/// Puts in what somebody else has put in; the ids, in order.
pub(crate) fn seed(store: &mut Store, seed: &AccountingSeed) -> anyhow::Result<Value> {
    let fields = |value: &Value| value.as_object().cloned().context("a seed is an object of fields");
    let refuse = |problems: Problems| anyhow!("the book refuses: {problems:?}");
    let ask = Ask { only_new: true, unit_decimals: 4 };
    for code in &seed.currencies {
        if !store.kept.currencies.contains(code) {
            store.kept.currencies.push(code.clone());
        }
    }
    for value in &seed.tax_rates {
        let fields = fields(value)?;
        let rate = figure(&fields, "EffectiveRate").context("EffectiveRate: how much?")?;
        let (tax_type, name) = (text(&fields, "TaxType"), text(&fields, "Name"));
        let archived = text(&fields, "Status") == "ARCHIVED";
        let report = "OUTPUT".to_owned();
        let components = objects(&fields, "TaxComponents").filter_map(|component| figure(component, "Rate")).collect();
        let applies = "ralq".to_owned();
        store.kept.tax_rates.push(TaxRate { tax_type, name, report, rate, components, applies, archived });
    }
    for value in &seed.accounts {
        let account = account(store, &fields(value)?);
        store.kept.accounts.push(account);
    }
    let mut contacts = Vec::new();
    for value in &seed.contacts {
        contacts.push(rules::contact(store, &fields(value)?, ask, None).map_err(refuse)?);
    }
    let mut items = Vec::new();
    for value in &seed.items {
        items.push(rules::item(store, &fields(value)?, ask, None).map_err(refuse)?);
    }
    let mut documents = [Vec::new(), Vec::new()];
    for (list, made, is_credit) in [(&seed.invoices, 0, false), (&seed.credit_notes, 1, true)] {
        for value in list {
            let completed = completed(store, fields(value)?, is_credit);
            let id = rules::document(store, &completed, is_credit, ask, None).map_err(refuse)?;
            documents.get_mut(made).context("two kinds")?.push(id);
        }
    }
    let [invoices, credit_notes] = documents;
    let mut payments = Vec::new();
    for value in &seed.payments {
        payments.push(rules::payment(store, &fields(value)?).map_err(refuse)?);
    }
    Ok(json!({
        "contacts": contacts, "items": items, "invoices": invoices, "credit_notes": credit_notes, "payments": payments,
    }))
}

fn account(store: &mut Store, fields: &Fields) -> Account {
    let or = |field: &str, otherwise: &str| {
        let sent = text(fields, field);
        if sent.is_empty() { otherwise.to_owned() } else { sent }
    };
    let kind = or("Type", "REVENUE");
    let currency = (kind == "BANK").then(|| or("CurrencyCode", &store.options.currency));
    Account {
        id: store.next_id(),
        code: text(fields, "Code"),
        name: or("Name", &text(fields, "Code")),
        tax_type: or("TaxType", if kind == "REVENUE" { "OUTPUT2" } else { "NONE" }),
        currency,
        takes_payments: fields.get("EnablePaymentsToAccount").and_then(Value::as_bool).unwrap_or(false),
        system: given(fields, "SystemAccount").then(|| text(fields, "SystemAccount")),
        archived: text(fields, "Status") == "ARCHIVED",
        kind,
    }
}

/// What a seed leaves out of a document is made up.
fn completed(store: &Store, mut fields: Fields, is_credit: bool) -> Fields {
    let today = store.today();
    let line = json!([{"Description": "Something", "Quantity": 1, "UnitAmount": 10, "AccountCode": "200"}]);
    let made_up = json!({
        "Type": if is_credit { "ACCRECCREDIT" } else { "ACCREC" },
        "Status": "AUTHORISED",
        "Contact": {"Name": format!("Stranger {}", store.last_id)},
        "Date": today,
        "DueDate": today,
        "LineItems": line,
    });
    for (field, value) in fields_of(made_up) {
        fields.entry(field).or_insert(value);
    }
    fields
}
