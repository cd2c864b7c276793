//! One document of each kind, and how steps are shown.

use jiff::civil::{Date, date};
use ledger_dialects::accounting::Accounting;
use ledger_dialects::{Call, Context, Dialect, Labelled, Reply, Start, Step};
use ledger_domain::amount::{Amount, Currency};
use ledger_domain::canonical::Address;
use ledger_domain::document::{
    Allocation, Bank, Contact, CreditNote, CreditedInvoice, Document, DocumentLine, DocumentStatus, LineRole, Payment,
    Posted, Product, Refund, SalesInvoice, StockMovement, Supply,
};
use ledger_domain::fault::{Action, Fault};
use rust_decimal::Decimal;
use std::str::FromStr;

pub(crate) const CONTACT: &str = "c0000000-0000-4000-8000-00000000000c";
pub(crate) const INVOICE: &str = "10000000-0000-4000-8000-000000000001";
pub(crate) const CREDIT_NOTE: &str = "20000000-0000-4000-8000-000000000002";
pub(crate) const PAYMENT: &str = "30000000-0000-4000-8000-000000000003";
pub(crate) const ITEM: &str = "40000000-0000-4000-8000-000000000004";
pub(crate) const OTHER: &str = "90000000-0000-4000-8000-000000000009";
pub(crate) const NIL: &str = "00000000-0000-0000-0000-000000000000";
/// Key of the reservation's epoch.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const TENANT: &str = "70000000-0000-4000-8000-000000000007";

pub(crate) fn context() -> Context {
    Context {
        base_url: "https://api.xero.com".to_owned(),
        organisation: TENANT.to_owned(),
        idempotency_key: KEY.to_owned(),
        country: Some("GB".to_owned()),
        sales_tax_registered: true,
        web_name: Some("!Xy7-k".to_owned()),
        contacts: None,
    }
}

pub(crate) fn decimal(text: &str) -> Decimal {
    Decimal::from_str(text).unwrap()
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

pub(crate) fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

pub(crate) fn day() -> Date {
    date(2026, 11, 20)
}

pub(crate) fn line(
    role: LineRole,
    description: &str,
    quantity: &str,
    unit_price: &str,
    tax_rate: &str,
    tax: &str,
) -> DocumentLine {
    DocumentLine {
        role,
        sku: Some("TEE".to_owned()),
        description: description.to_owned(),
        quantity: decimal(quantity),
        unit_price: decimal(unit_price),
        tax_rate: decimal(tax_rate),
        tax: amount(tax),
        tax_code: Some(if tax_rate == "0" { "ZERORATEDOUTPUT" } else { "OUTPUT2" }.to_owned()),
        category: "200".to_owned(),
        item_type: None,
        supply: Supply::Goods,
    }
}

/// 2 × 10.00 and 20 % tax: 24.00.
pub(crate) fn invoice() -> SalesInvoice {
    SalesInvoice {
        number: "MAG-000000042".to_owned(),
        order_number: "000000057".to_owned(),
        purchase_order_number: None,
        contact: CONTACT.to_owned(),
        dated_on: day(),
        payment_terms_in_days: 0,
        status: DocumentStatus::Approved,
        currency: currency("GBP"),
        exchange_rate: None,
        destination: Some("GB".to_owned()),
        lines: vec![line(LineRole::Item, "Tee (TEE)", "2", "10", "20", "4")],
        total: amount("24"),
    }
}

pub(crate) fn credit_note() -> CreditNote {
    CreditNote {
        number: "MAG-CN-000000009".to_owned(),
        invoice: Some(CreditedInvoice {
            provider_id: Some(INVOICE.to_owned()),
            number: "MAG-000000042".to_owned(),
            dated_on: Some(day()),
        }),
        contact: CONTACT.to_owned(),
        dated_on: date(2026, 11, 28),
        status: DocumentStatus::Approved,
        currency: currency("GBP"),
        exchange_rate: None,
        destination: Some("GB".to_owned()),
        lines: vec![
            line(LineRole::Item, "Tee (TEE)", "1", "10", "20", "2"),
            line(LineRole::Adjustment, "Adjustment fee", "1", "-1.5", "0", "0"),
        ],
        total: amount("10.5"),
    }
}

pub(crate) fn bank() -> Bank {
    Bank { account: "090".to_owned(), currency: currency("GBP"), amount: Some(amount("24")) }
}

pub(crate) fn payment() -> Payment {
    Payment {
        reference: "MAG-000000042-P".to_owned(),
        transaction: Some("pi_3Nx9".to_owned()),
        invoice: INVOICE.to_owned(),
        invoice_number: "MAG-000000042".to_owned(),
        contact: CONTACT.to_owned(),
        dated_on: day(),
        amount: amount("24"),
        currency: currency("GBP"),
        bank: bank(),
        exchange_rate: None,
    }
}

pub(crate) fn allocation() -> Allocation {
    Allocation {
        reference: "MAG-CN-000000009-A".to_owned(),
        credit_note: CREDIT_NOTE.to_owned(),
        invoice: INVOICE.to_owned(),
        contact: CONTACT.to_owned(),
        dated_on: date(2026, 11, 28),
        amount: amount("10.5"),
        currency: currency("GBP"),
        exchange_rate: None,
    }
}

pub(crate) fn refund() -> Refund {
    Refund {
        reference: "MAG-CN-000000009-R".to_owned(),
        credit_note: CREDIT_NOTE.to_owned(),
        contact: CONTACT.to_owned(),
        dated_on: date(2026, 11, 28),
        amount: amount("10.5"),
        currency: currency("GBP"),
        bank: bank(),
        exchange_rate: None,
    }
}

pub(crate) fn jane() -> Contact {
    Contact {
        email: "jane@example.com".to_owned(),
        name: "Jane O'Hara".to_owned(),
        first_name: "Jane".to_owned(),
        last_name: "O'Hara".to_owned(),
        company: None,
        phone: Some("+44 20 7946 0958".to_owned()),
        address: Some(Address {
            kind: "billing".to_owned(),
            street: vec!["1 High Street".to_owned(), "Flat 2".to_owned()],
            city: "London".to_owned(),
            region: None,
            postcode: Some("N1 7AA".to_owned()),
            country: "GB".to_owned(),
        }),
        currency: None,
        reference: None,
        payment_terms_in_days: None,
    }
}

pub(crate) fn product() -> Product {
    Product {
        sku: "MUG-BLUE".to_owned(),
        name: "Café mug 10/12 oz".to_owned(),
        item_type: "Products".to_owned(),
        supply: Supply::Goods,
        price: Some(decimal("8.333333")),
        price_includes_tax: false,
        cost: None,
        category: "200".to_owned(),
        purchase_category: None,
        tax_code: Some("OUTPUT2".to_owned()),
        stocked: true,
    }
}

/// One of each kind that is posted.
pub(crate) fn documents() -> Vec<Document> {
    vec![
        Document::Contact(jane()),
        Document::Product(product()),
        Document::Invoice(invoice()),
        Document::CreditNote(credit_note()),
        Document::Payment(payment()),
        Document::Allocation(allocation()),
        Document::Refund(refund()),
    ]
}

pub(crate) fn stock_movement() -> Document {
    Document::StockMovement(StockMovement {
        reference: "S".to_owned(),
        product: ITEM.to_owned(),
        dated_on: day(),
        quantity: Decimal::ONE,
        cost: None,
    })
}

pub(crate) fn answer(label: &'static str, status: u16, body: impl Into<Vec<u8>>) -> Labelled {
    let reply = Reply { status, request_id: Some("req-1".to_owned()), body: body.into(), ..Reply::default() };
    Labelled { label, reply }
}

/// A list of elements in the API's envelope.
pub(crate) fn envelope(list: &str, elements: &[&str]) -> String {
    format!(
        r#"{{"Id":"5b16c8a6-0bb3-4d2c-9b1f-3f0d3d3f9f10","Status":"OK","ProviderName":"Ledger","DateTimeUTC":"\/Date(1763632800000)\/","{list}":[{}]}}"#,
        elements.join(",")
    )
}

/// A 400 of the API.
pub(crate) fn refused(message: &str) -> String {
    format!(
        r#"{{"ErrorNumber":10,"Type":"ValidationException","Message":"A validation exception occurred","Elements":[{{"InvoiceID":"{NIL}","LineItems":[{{"ValidationErrors":[]}}],"ValidationErrors":[{{"Message":"{message}"}}]}}]}}"#
    )
}

pub(crate) fn linked(provider_id: &str, total: Option<&str>) -> Posted {
    Posted { provider_id: provider_id.to_owned(), reference: None, total: total.map(amount) }
}

fn call(call: &Call) -> String {
    let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let path = call.path.strip_prefix("/api.xro/2.0").unwrap();
    format!("{} {path}{query}", call.method.as_str())
}

fn posted(posted: &Posted) -> String {
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
    format!("{action} {}", fault.code)
}

pub(crate) fn step<T>(result: Result<Step<T>, Fault>, done: impl Fn(&T) -> String) -> String {
    match result {
        Ok(Step::Read(label, it)) => format!("read {label} {}", call(&it)),
        Ok(Step::Create(label, it)) => format!("create {label} {}", call(&it)),
        Ok(Step::Change(label, it)) => format!("change {label} {}", call(&it)),
        Ok(Step::Done(it)) => format!("done {}", done(&it)),
        Err(it) => fault(&it),
    }
}

pub(crate) fn post(document: &Document, start: &Start, seen: &[Labelled]) -> String {
    step(Accounting.post(document, &context(), start, seen), posted)
}

pub(crate) fn fresh(document: &Document, seen: &[Labelled]) -> String {
    post(document, &Start::Fresh, seen)
}

pub(crate) fn find(document: &Document, seen: &[Labelled]) -> String {
    let found = Accounting.find(document, &context(), seen);
    step(found, |found| found.as_ref().map_or_else(|| "nothing".to_owned(), posted))
}

/// The replies that lead to a document's creating call: a contact is looked for before, if its address can be asked for.
pub(crate) fn before_create(document: &Document) -> Vec<Labelled> {
    let mut replies = Vec::new();
    while let Ok(Step::Read(label, _)) = Accounting.post(document, &context(), &Start::Fresh, &replies) {
        replies.push(answer(label, 200, envelope("Contacts", &[])));
    }
    replies
}

/// A document's creating call.
pub(crate) fn creating(document: &Document) -> (&'static str, Call) {
    match Accounting.post(document, &context(), &Start::Fresh, &before_create(document)) {
        Ok(Step::Create(label, call)) => (label, call),
        other => panic!("{other:?}"),
    }
}
