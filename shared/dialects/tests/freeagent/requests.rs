//! FreeAgent's own requests, to the byte: everything is looked for or drafted first, decimals are text, sales name their
//! VAT status.

use crate::family_requests::create;
use crate::fixtures::{
    amount, answer, context, credit_note, decimal, fault, jane, mapped, plain, settings, shop_invoice, shown,
};
use ledger_dialects::v2::FREEAGENT;
use ledger_dialects::{Context, Dialect, Labelled, Start, Step};
use ledger_domain::amount::Currency;
use ledger_domain::document::{Document, ExchangeRate, LineRole, SalesInvoice};

fn plain_invoice() -> SalesInvoice {
    let Document::Invoice(invoice) = plain() else { panic!("an invoice") };
    invoice
}

#[test]
fn contacts() {
    let document = Document::Contact(jane());
    let (label, call) = create(&document);
    assert_eq!(label, "create_contact");
    insta::assert_snapshot!("contact_person", shown(&call));
    let Ok(Step::Read(label, call)) = FREEAGENT.post(&document, &context(), &Start::Fresh, &[]) else {
        panic!("it is looked for first")
    };
    insta::assert_snapshot!("contact_before_it_is_created", format!("{label}\n{}", shown(&call)));
}

#[test]
fn invoices() {
    let invoice = |invoice: SalesInvoice| shown(&create(&Document::Invoice(invoice)).1);
    let discounted = shop_invoice(
        &["CHAIR|Office chair|1|19.99|19.99|3.6|21.59", "DESK|Desk <oak> & \"ash\"|3|4.95|14.85|2.67|16.04"],
        "34.84 7.27 4.99 1 -3.48 43.62",
    );
    insta::assert_snapshot!("invoice_with_discount_and_shipping", invoice(mapped(&discounted, &settings())));

    let mut euros = plain_invoice();
    euros.currency = Currency::parse("EUR").unwrap();
    insta::assert_snapshot!("invoice_in_euros_at_the_books_rate", invoice(euros.clone()));
    euros.exchange_rate = Some(ExchangeRate { per_book_unit: decimal("1.1753") });
    insta::assert_snapshot!("invoice_in_euros_at_our_rate", invoice(euros.clone()));

    // German tax to a German consumer.
    euros.destination = Some("DE".to_owned());
    for line in &mut euros.lines {
        line.tax_rate = decimal("19");
        line.tax = amount("3.8");
    }
    euros.lines.extend(credit_note().lines.into_iter().filter(|line| line.role == LineRole::Rounding));
    insta::assert_snapshot!("invoice_with_the_tax_of_another_country", invoice(euros));

    let mut free = plain_invoice();
    free.payment_terms_in_days = 0;
    free.lines.iter_mut().for_each(|line| line.unit_price = decimal("0"));
    free.total = amount("0");
    insta::assert_snapshot!("invoice_of_nothing_due_at_once", invoice(free));
}

#[test]
fn a_country_that_the_book_does_not_know_is_named_otherwise_once() {
    let sold_to = |country: &str| {
        let mut sale = plain_invoice();
        sale.destination = Some(country.to_owned());
        sale.lines.iter_mut().for_each(|line| line.tax_rate = decimal("21"));
        Document::Invoice(sale)
    };
    let no = |message: &str| answer("create_invoice", 422, format!(r#"{{"errors":[{{"message":"{message}"}}]}}"#));
    let check = |country: &str, replies: &[Labelled], expected: &str| {
        let step = FREEAGENT.post(&sold_to(country), &context(), &Start::Fresh, replies);
        let told = match step {
            Ok(Step::Create(_, call)) => {
                let body: serde_json::Value = serde_json::from_str(&call.body.unwrap()).unwrap();
                body["invoice"]["place_of_supply"].as_str().unwrap_or("-").to_owned()
            }
            Err(it) => fault(&it),
            other => panic!("{other:?}"),
        };
        assert_eq!(told, expected, "{country} {replies:?}");
    };
    let unknown = no("place_of_supply is not included in the list");
    for (country, usual, other) in [
        ("CZ", "Czech Republic", "Czechia"),
        ("NL", "Netherlands", "The Netherlands"),
        ("SK", "Slovakia", "Slovak Republic"),
    ] {
        check(country, &[], usual);
        check(country, std::slice::from_ref(&unknown), other);
        check(country, &[unknown.clone(), unknown.clone()], "refused book_refused");
    }
    check("CZ", &[no("Place of supply is invalid")], "Czechia");
    check("CZ", &[no("category is unknown")], "refused category_unknown");
    check("DE", &[], "Germany");
    check("DE", std::slice::from_ref(&unknown), "refused book_refused");
    // In doubt nothing is tried.
    let doubt = answer("create_invoice", 502, r#"{"errors":[{"message":"place_of_supply is not included"}]}"#);
    check("CZ", &[doubt], "doubtful write_in_doubt");
}

#[test]
fn a_company_that_may_not_name_a_vat_status_names_none() {
    let named = |context: &Context| match FREEAGENT.post(&plain(), context, &Start::Fresh, &[]) {
        Ok(Step::Create(_, call)) => call.body.unwrap().contains("ec_status"),
        other => panic!("{other:?}"),
    };
    assert!(named(&context()));
    assert!(!named(&Context { sales_tax_registered: false, ..context() }));
    assert!(!named(&Context { country: Some("US".to_owned()), ..context() }));
    assert!(!named(&Context { country: None, ..context() }));
}

#[test]
fn it_is_a_house_of_its_own() {
    assert_eq!(FREEAGENT.profile().provider.as_str(), FREEAGENT.profile().name);
    assert!(ledger_dialects::dialect("freeagent").is_some() && ledger_dialects::dialect("v2").is_some());
}
