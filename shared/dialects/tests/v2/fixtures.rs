//! Invoices as a shop sends them, brought as far as a dialect by the code that does so in earnest; the other documents, as
//! that code makes them; and how steps and faults are shown. Shared by the houses of the family.

use crate::{BASE, CONTACT, DIALECT};
use ledger_dialects::{Call, Context, Dialect, Labelled, Reply, Step};
use ledger_domain::amount::{Amount, Currency};
use ledger_domain::canonical::{Address, Customer, Invoice, InvoiceState, Line};
use ledger_domain::document::{
    Allocation, Bank, Contact, CreditNote, CreditedInvoice, Document, DocumentLine, DocumentStatus, LineRole, Payment,
    Posted, Product, Refund, SalesInvoice, Supply,
};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::mapping;
use ledger_domain::settings::Settings;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::str::FromStr;

/// A company in the United Kingdom that is registered for VAT.
pub(crate) fn context() -> Context {
    Context {
        base_url: BASE.to_owned(),
        organisation: "17".to_owned(),
        idempotency_key: "00112233445566778899aabbccddeeff".to_owned(),
        country: Some("GB".to_owned()),
        sales_tax_registered: true,
        web_name: Some("acme-trading".to_owned()),
        contacts: None,
    }
}

/// The text with the binding's address for every `~`.
pub(crate) fn here(text: &str) -> String {
    text.replace('~', BASE)
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
        order_id: 57,
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
    let least = Settings::least("Europe/London", gbp, &here("~/v2/categories/001"), &here("~/v2/categories/002"));
    Settings { sales_tax_rates: ["20", "5", "0"].map(decimal).to_vec(), number_prefix: "MAG-".to_owned(), ..least }
}

pub(crate) fn mapped(invoice: &Invoice, settings: &Settings) -> SalesInvoice {
    let number = mapping::invoice_number(settings, &invoice.increment_id, &DIALECT.profile().rules);
    mapping::sales_invoice(invoice, settings, &number, CONTACT, &BTreeMap::new(), &DIALECT.profile().rules).unwrap()
}

/// 2 × 10.00 and 20 % tax: 24.00.
pub(crate) fn plain() -> Document {
    let invoice = shop_invoice(&["TEE|Tee|2|10|20|4|24"], "20 4 0 0 0 24");
    Document::Invoice(mapped(&invoice, &settings()))
}

pub(crate) fn jane() -> Contact {
    let invoice = shop_invoice(&["TEE|Tee|2|10|20|4|24"], "20 4 0 0 0 24");
    mapping::contact_of(&invoice, &settings(), &DIALECT.profile().rules).unwrap()
}

fn line(role: LineRole, text: &str, quantity: &str, price: &str, rate: &str, tax: &str) -> DocumentLine {
    DocumentLine {
        role,
        sku: None,
        description: text.to_owned(),
        quantity: decimal(quantity),
        unit_price: decimal(price),
        tax_rate: decimal(rate),
        tax: amount(tax),
        tax_code: None,
        category: here("~/v2/categories/001"),
        item_type: None,
        supply: Supply::Goods,
    }
}

fn pounds() -> Currency {
    Currency::parse("GBP").unwrap()
}

/// Two tees, carriage, a fee that is kept and a penny: 2 × 10.00 + 4.99 − 3.00 and 20 % of the first two, − 0.01.
pub(crate) fn credit_note() -> CreditNote {
    CreditNote {
        number: "MAG-CN-000000003".to_owned(),
        invoice: Some(CreditedInvoice {
            provider_id: Some(here("~/v2/invoices/7")),
            number: "MAG-000000042".to_owned(),
            dated_on: Some("2026-11-20".parse().unwrap()),
        }),
        contact: CONTACT.to_owned(),
        dated_on: "2026-12-01".parse().unwrap(),
        status: DocumentStatus::Approved,
        currency: pounds(),
        exchange_rate: None,
        destination: Some("GB".to_owned()),
        lines: vec![
            line(LineRole::Item, "Tee (TEE)", "2", "10.00", "20", "4"),
            line(LineRole::Shipping, "Shipping", "1", "4.99", "20", "1"),
            line(LineRole::Adjustment, "Adjustment fee", "1", "-3", "0", "0"),
            line(LineRole::Rounding, "Rounding", "1", "-0.01", "0", "0"),
        ],
        total: amount("26.98"),
    }
}

fn bank(currency: &str, moved: Option<&str>) -> Bank {
    Bank {
        account: here("~/v2/bank_accounts/1"),
        currency: Currency::parse(currency).unwrap(),
        amount: moved.map(amount),
    }
}

pub(crate) fn payment() -> Payment {
    Payment {
        reference: "MAG-P-000000042".to_owned(),
        transaction: Some("ch_3Nq \"7\"".to_owned()),
        invoice: here("~/v2/invoices/7"),
        invoice_number: "MAG-000000042".to_owned(),
        contact: CONTACT.to_owned(),
        dated_on: "2026-11-20".parse().unwrap(),
        amount: amount("24"),
        currency: pounds(),
        bank: bank("GBP", Some("24")),
        exchange_rate: None,
    }
}

/// 91.60 EUR that came as 77.94 GBP.
pub(crate) fn payment_in_euros() -> Payment {
    Payment {
        amount: amount("91.60"),
        currency: Currency::parse("EUR").unwrap(),
        bank: bank("GBP", Some("77.94")),
        transaction: None,
        ..payment()
    }
}

pub(crate) fn refund() -> Refund {
    Refund {
        reference: "MAG-R-000000003".to_owned(),
        credit_note: here("~/v2/credit_notes/9"),
        contact: CONTACT.to_owned(),
        dated_on: "2026-12-01".parse().unwrap(),
        amount: amount("26.98"),
        currency: pounds(),
        bank: bank("GBP", Some("26.98")),
        exchange_rate: None,
    }
}

pub(crate) fn allocation() -> Allocation {
    Allocation {
        reference: "MAG-A-000000003".to_owned(),
        credit_note: here("~/v2/credit_notes/9"),
        invoice: here("~/v2/invoices/7"),
        contact: CONTACT.to_owned(),
        dated_on: "2026-12-01".parse().unwrap(),
        amount: amount("26.98"),
        currency: pounds(),
        exchange_rate: None,
    }
}

pub(crate) fn product() -> Product {
    Product {
        sku: "MUG-BLUE".to_owned(),
        name: "Café mug 10/12 oz".to_owned(),
        item_type: "Products".to_owned(),
        supply: Supply::Goods,
        price: Some(decimal("8.325")),
        price_includes_tax: false,
        cost: None,
        category: here("~/v2/categories/001"),
        purchase_category: None,
        tax_code: None,
        stocked: true,
    }
}

/// One of every kind that the family posts.
pub(crate) fn every_kind() -> Vec<Document> {
    vec![
        Document::Contact(jane()),
        Document::Product(product()),
        plain(),
        Document::Payment(payment()),
        Document::Payment(payment_in_euros()),
        Document::CreditNote(credit_note()),
        Document::Allocation(allocation()),
        Document::Refund(refund()),
    ]
}

/// A call on one line, without its body.
pub(crate) fn asked(call: &Call) -> String {
    let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{} {}{query}", call.method.as_str(), call.path)
}

/// The request with a line break before each of a body's lists and items; nothing else is changed.
pub(crate) fn shown(call: &Call) -> String {
    let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = call.body.as_deref().unwrap_or_default();
    let body = body.replace("_items\":[", "_items\":[\n").replace("\"invoice_items", "\n\"invoice_items");
    let body = body.replace("\"credit_note_items", "\n\"credit_note_items").replace("},{", "},\n{");
    format!("{} {}\n{}\n{body}", call.method.as_str(), call.path, query.join("&"))
}

pub(crate) fn posted(posted: &Posted) -> String {
    let total = posted.total.map_or_else(|| "?".to_owned(), |total| total.to_string());
    format!("{} {} {total}", posted.provider_id, posted.reference.as_deref().unwrap_or("-"))
}

pub(crate) fn fault(fault: &Fault) -> String {
    let action = match fault.action {
        Action::Later { after_seconds: Some(seconds) } => format!("later {seconds}"),
        Action::Later { after_seconds: None } => "later".to_owned(),
        Action::Doubtful => "doubtful".to_owned(),
        Action::Reconnect => "reconnect".to_owned(),
        Action::Refused => "refused".to_owned(),
        Action::Broken => "broken".to_owned(),
    };
    let field = fault.evidence.field.as_ref().map(|field| format!(" [{field}]")).unwrap_or_default();
    format!("{action} {}{field}", fault.code)
}

pub(crate) fn step<T>(result: Result<Step<T>, Fault>, done: impl Fn(&T) -> String) -> String {
    match result {
        Ok(Step::Read(label, it)) => format!("read {label} {}", asked(&it)),
        Ok(Step::Create(label, it)) => format!("create {label} {}", asked(&it)),
        Ok(Step::Change(label, it)) => format!("change {label} {}", asked(&it)),
        Ok(Step::Done(it)) => format!("done {}", done(&it)),
        Err(it) => fault(&it),
    }
}
