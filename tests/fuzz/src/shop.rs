//! What a shop sends and answers, and what an operator sends as settings.

use crate::holds;
use ledger_dialects::{Context, Dialect, Start, dialects};
use ledger_domain::amount::{Amount, round_half_away};
use ledger_domain::document::Document;
use ledger_domain::mapping;
use ledger_domain::proof::places_of;
use ledger_domain::settings::Settings;
use ledger_wire::gateway::ProxyRequest;
use ledger_wire::magento;
use ledger_wire::settings::check;
use std::collections::BTreeMap;

/// Settings under which everything is mapped.
const SETTINGS: &str = r#"{"time_zone":"Europe/London","book_currency":"GBP","income_category":"200","shipping_category":"425",
"tax_map":[{"rate":"0","code":"ZERO"},{"rate":"5","code":"FIVE"},{"rate":"20","code":"TWENTY"}],
"payment_methods":{"stripe_payments":"090","free":null}}"#;

/// The settings of the targets.
pub(crate) fn settings() -> Option<Settings> {
    let draft = serde_json::from_str(SETTINGS).ok()?;
    check::check(&draft).ok()?.read(1).ok()
}

/// A delivery as the gateway hands it over, with the body in it.
pub(crate) fn delivery(data: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<ProxyRequest>(data) {
        for name in ["authorization", "content-type", "x-forwarded-for"] {
            holds(request.header(name) == request.header(&name.to_uppercase()), "a header's case says something");
        }
        if let Some(body) = &request.body {
            event(body.as_bytes());
        }
    }
    event(data);
}

fn event(body: &[u8]) {
    let Some(event) = magento::event(body) else { return };
    let again = magento::event(body);
    holds(again.as_ref().map(|it| format!("{it:?}")) == Some(format!("{event:?}")), "the same body is another event");
}

/// An answer of the shop: the first byte says to which question.
pub(crate) fn answer(data: &[u8]) {
    let Some((question, body)) = data.split_first() else { return };
    let Some(settings) = settings() else { return holds(false, "the targets' settings are good") };
    match question % 6 {
        0 => invoice(body, &settings),
        1 => memo(body, &settings),
        2 => drop(magento::payment(body)),
        3 => {
            if let Ok(customer) = magento::customer(body) {
                for dialect in dialects() {
                    let contact = mapping::contact_of_customer(&customer, &settings, &dialect.profile().rules);
                    contact.into_iter().for_each(|contact| begins(dialect, &Document::Contact(contact)));
                }
            }
        }
        4 => drop(magento::product(body)),
        _ => drop(magento::payment_methods(body)),
    }
}

fn invoice(body: &[u8], settings: &Settings) {
    let Ok(invoice) = magento::invoice(body) else { return };
    for dialect in dialects() {
        let rules = &dialect.profile().rules;
        let number = mapping::invoice_number(settings, &invoice.increment_id, rules);
        let document = mapping::sales_invoice(&invoice, settings, &number, "1", &BTreeMap::new(), rules);
        let Ok(document) = document else { continue };
        let places = places_of(&rules.rounding, &invoice.currency);
        let due = Amount::from_decimal(round_half_away(invoice.grand_total.value(), places)).ok();
        holds(Some(document.total) == due, "an invoice comes to another total than the shop's");
        begins(dialect, &Document::Invoice(document));
    }
}

fn memo(body: &[u8], settings: &Settings) {
    let Ok(memo) = magento::credit_memo(body) else { return };
    for dialect in dialects() {
        let rules = &dialect.profile().rules;
        let number = mapping::credit_note_number(settings, &memo.increment_id, rules);
        let Ok(credited) = mapping::credited_invoice(&memo, None, settings) else { continue };
        let note = mapping::credit_note(&memo, None, settings, &number, "1", credited, None, &BTreeMap::new(), rules);
        let Ok(note) = note else { continue };
        let places = places_of(&rules.rounding, &memo.currency);
        let due = Amount::from_decimal(round_half_away(memo.grand_total.value(), places)).ok();
        holds(Some(note.total) == due, "a credit note comes to another total than the shop's");
        begins(dialect, &Document::CreditNote(note));
    }
}

/// The first thing that is said of a document is the same whenever it is said.
fn begins(dialect: &dyn Dialect, document: &Document) {
    let context = Context::default();
    let step = dialect.post(document, &context, &Start::Fresh, &[]);
    holds(step == dialect.post(document, &context, &Start::Fresh, &[]), "another step from the same arguments");
}

/// An invoice as the shop's interface shows it.
pub(crate) const INVOICE: &str = r#"{"magento_id":1,"increment_id":"000000001","order_id":1,"order_increment_id":"000000001","website_id":1,"store_id":1,"currency":"GBP","state":"paid","customer":{"magento_id":0,"email":"sam@example.com","first_name":"Sam","last_name":"Lee","website_id":0,"addresses":[{"kind":"billing","street":["1 High Street"],"city":"London","postcode":"N1 7AA","country_id":"GB"}],"created_at":"2026-11-20T09:30:00Z","updated_at":"2026-11-20T09:30:00Z"},"lines":[{"sku":"MUG","name":"Mug","qty":3,"unit_price":9.99,"line_subtotal":29.97,"line_tax":5.39,"line_total":32.36,"tax_rate":0.2}],"subtotal":29.97,"tax_amount":6.39,"shipping_amount":4.99,"shipping_tax_amount":1,"discount_amount":-3,"grand_total":38.35,"created_at":"2026-11-20T09:30:00Z","payment_method":"stripe_payments","base_to_order_rate":1}"#;

/// A credit memo of it.
pub(crate) const MEMO: &str = r#"{"magento_id":1,"increment_id":"000000001","invoice_id":1,"invoice_increment_id":"000000001","website_id":1,"currency":"GBP","customer":{"magento_id":0,"email":"sam@example.com","first_name":"Sam","last_name":"Lee","website_id":0,"addresses":[],"created_at":"2026-11-20T09:30:00Z","updated_at":"2026-11-20T09:30:00Z"},"lines":[{"sku":"MUG","name":"Mug","qty":1,"unit_price":9.99,"line_subtotal":9.99,"line_tax":1.8,"line_total":10.79,"tax_rate":0.18}],"adjustment_positive":2.5,"adjustment_negative":1,"grand_total":12.29,"shipping_amount":0,"shipping_tax_amount":0,"created_at":"2026-11-21T09:30:00Z","invoice_created_at":"2026-11-20T09:30:00Z","base_to_order_rate":1}"#;

/// A draft of settings.
pub(crate) fn settings_draft(data: &[u8]) {
    let Ok(draft) = serde_json::from_slice(data) else { return };
    match check::check(&draft) {
        Ok(settings) => {
            holds(settings.read(1).is_ok(), "settings are taken that can't be read");
            let Ok(stored) = serde_json::to_value(&settings) else { return holds(false, "settings can't be stored") };
            holds(check::check(&stored).as_ref() == Ok(&settings), "settings are stored as other ones");
        }
        Err(errors) => {
            holds(!errors.is_empty(), "refused without a reason");
            holds(errors.is_sorted(), "reasons in no order");
        }
    }
}
