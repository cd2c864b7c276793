//! Documents as the mapping hands them over, and what tests say of steps.

use jiff::civil::{Date, date};
use ledger_dialects::sage::Sage;
use ledger_dialects::{Call, Context, Dialect, Labelled, Reply, Start, Step};
use ledger_domain::amount::{Amount, Currency};
use ledger_domain::canonical::Address;
use ledger_domain::document::{
    Allocation, Bank, Contact, CreditNote, CreditedInvoice, Document, DocumentLine, DocumentStatus, ExchangeRate,
    LineRole, Payment, Posted, Product, Refund, SalesInvoice, StockMovement, Supply,
};
use ledger_domain::fault::{Action, Fault};
use rust_decimal::Decimal;
use std::str::FromStr;

pub(crate) const BUSINESS: &str = "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0";
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
/// The same as it is sent: a GUID of version 4.
pub(crate) const SENT_KEY: &str = "0123456789ab4def8123456789abcdef";
pub(crate) const CONTACT: &str = "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0";
pub(crate) const INVOICE: &str = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";
pub(crate) const NOTE: &str = "2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e";
pub(crate) const BANK: &str = "ba0000000000000000000000000000ba";
pub(crate) const SALES: &str = "4000aaaa4000aaaa4000aaaa4000aaaa";
pub(crate) const CARRIAGE: &str = "4905bbbb4905bbbb4905bbbb4905bbbb";
pub(crate) const PURCHASES: &str = "5000cccc5000cccc5000cccc5000cccc";
/// Whatever the book makes new.
pub(crate) const NEW: &str = "7777777777777777777777777777aaaa";

pub(crate) fn context() -> Context {
    Context {
        base_url: "https://api.accounting.sage.com".to_owned(),
        organisation: BUSINESS.to_owned(),
        idempotency_key: KEY.to_owned(),
        country: Some("GB".to_owned()),
        sales_tax_registered: true,
        ..Context::default()
    }
}

pub(crate) fn decimal(text: &str) -> Decimal {
    Decimal::from_str(text).unwrap()
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

pub(crate) fn currency(text: &str) -> Currency {
    Currency::parse(text).unwrap()
}

pub(crate) fn rate(text: &str) -> Option<ExchangeRate> {
    Some(ExchangeRate { per_book_unit: decimal(text) })
}

fn day() -> Date {
    date(2026, 11, 20)
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
        currency: Some(currency("GBP")),
        reference: None,
        payment_terms_in_days: Some(30),
    }
}

pub(crate) fn mug() -> Product {
    Product {
        sku: "MUG-BLUE".to_owned(),
        name: "Café mug, blue".to_owned(),
        item_type: "Products".to_owned(),
        supply: Supply::Goods,
        price: Some(decimal("12.495")),
        price_includes_tax: false,
        cost: Some(decimal("4.2")),
        category: SALES.to_owned(),
        purchase_category: Some(PURCHASES.to_owned()),
        tax_code: Some("GB_STANDARD".to_owned()),
        stocked: false,
    }
}

/// `role|description|quantity|unit price|rate|tax|tax code|account`, an empty tax code for none.
pub(crate) fn line(text: &str) -> DocumentLine {
    let parts: Vec<&str> = text.split('|').collect();
    let [role, description, quantity, unit_price, tax_rate, tax, tax_code, category] = parts.as_slice() else {
        panic!("{text}")
    };
    let role = match *role {
        "item" => LineRole::Item,
        "shipping" => LineRole::Shipping,
        "adjustment" => LineRole::Adjustment,
        "rounding" => LineRole::Rounding,
        other => panic!("{other}"),
    };
    DocumentLine {
        role,
        sku: None,
        description: (*description).to_owned(),
        quantity: decimal(quantity),
        unit_price: decimal(unit_price),
        tax_rate: decimal(tax_rate),
        tax: amount(tax),
        tax_code: Some((*tax_code).to_owned()).filter(|code| !code.is_empty()),
        category: (*category).to_owned(),
        item_type: None,
        supply: Supply::Goods,
    }
}

pub(crate) fn tee() -> DocumentLine {
    line(&format!("item|Tee (TEE)|2|10|20|4|GB_STANDARD|{SALES}"))
}

/// 2 × 10.00 and 20 % tax: 24.00.
pub(crate) fn invoice() -> SalesInvoice {
    SalesInvoice {
        number: "MAG-000000042".to_owned(),
        order_number: "000000057".to_owned(),
        purchase_order_number: None,
        contact: CONTACT.to_owned(),
        dated_on: day(),
        payment_terms_in_days: 30,
        status: DocumentStatus::Approved,
        currency: currency("GBP"),
        exchange_rate: None,
        destination: Some("GB".to_owned()),
        lines: vec![tee()],
        total: amount("24"),
    }
}

pub(crate) fn note() -> CreditNote {
    CreditNote {
        number: "MAG-CN-000000007".to_owned(),
        invoice: Some(CreditedInvoice {
            provider_id: Some(INVOICE.to_owned()),
            number: "MAG-000000042".to_owned(),
            dated_on: Some(date(2026, 11, 1)),
        }),
        contact: CONTACT.to_owned(),
        dated_on: day(),
        status: DocumentStatus::Approved,
        currency: currency("GBP"),
        exchange_rate: None,
        destination: Some("GB".to_owned()),
        lines: vec![line(&format!("item|Tee (TEE)|1|10|20|2|GB_STANDARD|{SALES}"))],
        total: amount("12"),
    }
}

fn bank() -> Bank {
    Bank { account: BANK.to_owned(), currency: currency("GBP"), amount: Some(amount("24")) }
}

pub(crate) fn payment() -> Payment {
    Payment {
        reference: "MAG-000000042-P".to_owned(),
        transaction: Some("ch_3PabcDEF".to_owned()),
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

pub(crate) fn refund() -> Refund {
    Refund {
        reference: "MAG-CN-000000007-R".to_owned(),
        credit_note: NOTE.to_owned(),
        contact: CONTACT.to_owned(),
        dated_on: day(),
        amount: amount("12"),
        currency: currency("GBP"),
        bank: bank(),
        exchange_rate: None,
    }
}

pub(crate) fn allocation() -> Allocation {
    Allocation {
        reference: "MAG-CN-000000007-A".to_owned(),
        credit_note: NOTE.to_owned(),
        invoice: INVOICE.to_owned(),
        contact: CONTACT.to_owned(),
        dated_on: day(),
        amount: amount("12"),
        currency: currency("GBP"),
        exchange_rate: None,
    }
}

pub(crate) fn movement() -> StockMovement {
    StockMovement {
        reference: "MAG-STOCK-9-3".to_owned(),
        product: format!("stock_items/{NEW}"),
        dated_on: day(),
        quantity: decimal("-3"),
        cost: Some(decimal("4.2")),
    }
}

/// One of each kind.
pub(crate) fn documents() -> Vec<Document> {
    vec![
        Document::Contact(jane()),
        Document::Product(mug()),
        Document::Invoice(invoice()),
        Document::Payment(payment()),
        Document::CreditNote(note()),
        Document::Allocation(allocation()),
        Document::Refund(refund()),
        Document::StockMovement(movement()),
    ]
}

pub(crate) fn answer(label: &'static str, status: u16, body: impl Into<Vec<u8>>) -> Labelled {
    let reply = Reply { status, request_id: Some("req-1".to_owned()), body: body.into(), ..Reply::default() };
    Labelled { label, reply }
}

/// A list of one page.
pub(crate) fn listed(label: &'static str, items: &[String]) -> Labelled {
    answer(label, 200, page(items, "null"))
}

pub(crate) fn page(items: &[String], next: &str) -> String {
    format!(
        r#"{{"$total":{},"$page":1,"$next":{next},"$back":null,"$itemsPerPage":100,"$items":[{}]}}"#,
        items.len(),
        items.join(",")
    )
}

/// A complaint as the book writes it.
pub(crate) fn complaint(source: &str, message: &str) -> String {
    format!(r#"[{{"$severity":"error","$dataCode":"RecordInvalid","$message":"{message}","$source":"{source}"}}]"#)
}

pub(crate) fn call(call: &Call) -> String {
    let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{} {}{query}", call.method.as_str(), call.path)
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
        Ok(Step::Read(label, it)) => format!("read {label} {}", call(&it)),
        Ok(Step::Create(label, it)) => format!("create {label} {}", call(&it)),
        Ok(Step::Change(label, it)) => format!("change {label} {}", call(&it)),
        Ok(Step::Done(it)) => format!("done {}", done(&it)),
        Err(it) => fault(&it),
    }
}

pub(crate) fn post(document: &Document, seen: &[Labelled]) -> String {
    start(document, &Start::Fresh, seen)
}

pub(crate) fn start(document: &Document, start: &Start, seen: &[Labelled]) -> String {
    step(Sage.post(document, &context(), start, seen), posted)
}

pub(crate) fn find(document: &Document, seen: &[Labelled]) -> String {
    step(Sage.find(document, &context(), seen), |found| found.as_ref().map_or_else(|| "nothing".to_owned(), posted))
}

pub(crate) fn linked(provider_id: &str) -> Posted {
    Posted { provider_id: provider_id.to_owned(), reference: None, total: None }
}

/// What is asked before a create: a new contact or product is looked for, and found nowhere; an allocation's type is read,
/// and called as the forum says; nothing for other kinds.
pub(crate) fn unknown(document: &Document) -> Vec<Labelled> {
    match document {
        Document::Contact(_) => vec![listed("contact_by_code", &[]), listed("contact_by_email", &[])],
        Document::Product(_) => vec![listed("products_by_code", &[])],
        Document::Allocation(_) => vec![types(&[("CUSTOMER_ALLOCATION", "Customer Allocation")])],
        Document::Invoice(_)
        | Document::Payment(_)
        | Document::CreditNote(_)
        | Document::Refund(_)
        | Document::StockMovement(_) => Vec::new(),
    }
}

/// The list of types of transactions.
pub(crate) fn types(listed_types: &[(&str, &str)]) -> Labelled {
    let entry = |(id, name): &(&str, &str)| format!(r#"{{"id":"{id}","displayed_as":"{name}"}}"#);
    listed("transaction_types", &listed_types.iter().map(entry).collect::<Vec<_>>())
}

/// The body of the next create or change.
pub(crate) fn body(document: &Document, from: &Start, seen: &[Labelled]) -> String {
    match Sage.post(document, &context(), from, seen) {
        Ok(Step::Create(_, call) | Step::Change(_, call)) => call.body.unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}
