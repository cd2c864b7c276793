//! Invoices as a shop sends them, brought as far as a dialect by the code that does so in earnest.

use ledger_dialects::v2::V2;
use ledger_dialects::{Context, Dialect, Labelled, Reply};
use ledger_domain::amount::{Amount, Currency};
use ledger_domain::canonical::{Address, Customer, Invoice, InvoiceState, Line};
use ledger_domain::document::{Contact, Document, SalesInvoice};
use ledger_domain::mapping;
use ledger_domain::settings::Settings;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::str::FromStr;

pub(crate) const BASE: &str = "https://api.xero.com";
pub(crate) const CONTACT: &str = "https://api.xero.com/v2/contacts/2";

pub(crate) fn context() -> Context {
    Context { base_url: BASE.to_owned(), ..Context::default() }
}

pub(crate) fn decimal(text: &str) -> Decimal {
    Decimal::from_str(text).unwrap()
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

pub(crate) fn answer(label: &'static str, status: u16, body: impl Into<Vec<u8>>) -> Labelled {
    let reply = Reply { status, request_id: Some("req-1".to_owned()), body: body.into(), ..Reply::default() };
    Labelled { label, reply }
}

fn address(kind: &str, street: &[&str], city: &str, postcode: &str, country: &str) -> Address {
    Address {
        kind: kind.to_owned(),
        street: street.iter().map(|line| (*line).to_owned()).collect(),
        city: city.to_owned(),
        region: None,
        postcode: Some(postcode.to_owned()),
        country: country.to_owned(),
    }
}

/// Rows as `sku|name|quantity|unit price|subtotal|tax|total`; totals as `subtotal tax shipping shipping-tax discount
/// grand-total`.
pub(crate) fn shop_invoice(rows: &[&str], totals: &str) -> Invoice {
    let lines = rows
        .iter()
        .map(|row| {
            let parts: Vec<&str> = row.split('|').collect();
            let [sku, name, numbers @ ..] = parts.as_slice() else { panic!("{row}") };
            let [quantity, unit_price, subtotal, tax, total] =
                numbers.iter().map(|number| amount(number)).collect::<Vec<_>>().try_into().unwrap();
            Line { sku: (*sku).to_owned(), name: (*name).to_owned(), quantity, unit_price, subtotal, tax, total }
        })
        .collect();
    let [subtotal, tax, shipping, shipping_tax, discount, grand_total] =
        totals.split(' ').map(amount).collect::<Vec<_>>().try_into().unwrap();
    Invoice {
        magento_id: 42,
        increment_id: "000000042".to_owned(),
        order_increment_id: "000000057".to_owned(),
        website_id: 1,
        store_id: 1,
        currency: Currency::parse("GBP").unwrap(),
        state: InvoiceState::Paid,
        customer: Customer {
            magento_id: 17,
            email: "Jane@Example.com".to_owned(),
            first_name: "Jane".to_owned(),
            last_name: "O'Hara".to_owned(),
            company: None,
            phone: Some("+44 20 7946 0958".to_owned()),
            website_id: 1,
            group_id: Some(1),
            addresses: Vec::new(),
            created_at: None,
            updated_at: None,
        },
        lines,
        subtotal,
        tax,
        shipping,
        shipping_tax,
        discount,
        grand_total,
        created_at: "2026-11-20T09:30:00Z".parse().unwrap(),
        payment_method: Some("stripe_payments".to_owned()),
        billing_address: Some(address("billing", &["1 High Street", "Flat 2"], "London", "N1 7AA", "GB")),
        shipping_address: Some(address("shipping", &["9 Dock Road"], "Leeds", "LS1 4AP", "GB")),
        purchase_order_number: None,
        base_to_order_rate: Some(Decimal::ONE),
    }
}

pub(crate) fn settings() -> Settings {
    let gbp = Currency::parse("GBP").unwrap();
    let least = Settings::least(
        "Europe/London",
        gbp,
        "https://api.xero.com/v2/categories/001",
        "https://api.xero.com/v2/categories/002",
    );
    Settings { sales_tax_rates: ["20", "5", "0"].map(decimal).to_vec(), number_prefix: "MAG-".to_owned(), ..least }
}

pub(crate) fn mapped(invoice: &Invoice, settings: &Settings) -> SalesInvoice {
    let number = mapping::invoice_number(settings, &invoice.increment_id, &V2.profile().rules);
    mapping::sales_invoice(invoice, settings, &number, CONTACT, &BTreeMap::new(), &V2.profile().rules).unwrap()
}

/// 2 × 10.00 and 20 % tax: 24.00.
pub(crate) fn plain() -> Document {
    let invoice = shop_invoice(&["TEE|Tee|2|10|20|4|24"], "20 4 0 0 0 24");
    Document::Invoice(mapped(&invoice, &settings()))
}

pub(crate) fn jane() -> Contact {
    let invoice = shop_invoice(&["TEE|Tee|2|10|20|4|24"], "20 4 0 0 0 24");
    mapping::contact_of(&invoice, &settings(), &V2.profile().rules).unwrap()
}
