//! Every request, to the byte.

use crate::fixtures::{
    CONTACT, CREDIT_NOTE, INVOICE, ITEM, KEY, OTHER, TENANT, allocation, answer, context, creating, credit_note,
    currency, decimal, documents, envelope, fault, invoice, jane, line, linked, payment, post, product, refund,
    stock_movement,
};
use jiff::civil::date;
use ledger_dialects::accounting::Accounting;
use ledger_dialects::{Call, Context, Dialect, Labelled, Start, Step};
use ledger_domain::document::{
    Contact, CreditedInvoice, Document, DocumentStatus, ExchangeRate, Kind, LineRole, Product,
};

/// The request with a line break before each of a body's elements; nothing else is changed.
fn shown(call: &Call) -> String {
    let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers: Vec<String> = call.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let body = call.body.as_deref().unwrap_or_default();
    let body = body.replace("[{", "[\n{").replace("},{", "},\n{");
    format!("{} {}\n{}\n{}\n{body}", call.method.as_str(), call.path, query.join("&"), headers.join("\n"))
}

fn created(document: Document, label: &str) -> String {
    let (said, call) = creating(&document);
    assert_eq!(said, label);
    assert_eq!(creating(&document).1, call, "the same document gives the same bytes");
    shown(&call)
}

fn rate(text: &str) -> Option<ExchangeRate> {
    Some(ExchangeRate { per_book_unit: decimal(text) })
}

#[test]
fn invoices() {
    let create = |invoice| created(Document::Invoice(invoice), "create_invoice");
    insta::assert_snapshot!("invoice", create(invoice()));

    let mut terms = invoice();
    terms.payment_terms_in_days = 60;
    terms.purchase_order_number = Some(" 7/2026 ".to_owned());
    terms.lines.push(line(LineRole::Item, "Desk <oak> & \"ash\"", "3", "4.455", "20", "2.67"));
    terms.lines.push(line(LineRole::Shipping, "Shipping", "1", "4.99", "5", "0.25"));
    terms.lines.push(line(LineRole::Rounding, "", "1", "-0.01", "0", "0"));
    insta::assert_snapshot!("invoice_on_terms_with_shipping_and_rounding", create(terms));

    let mut foreign = invoice();
    foreign.currency = currency("EUR");
    foreign.exchange_rate = rate("1.17530049");
    let at_the_books_rate = create(foreign.clone());
    insta::assert_snapshot!("invoice_in_a_foreign_currency_at_the_books_rate", at_the_books_rate);
    foreign.exchange_rate = None;
    assert_eq!(create(foreign), at_the_books_rate, "the shop's rate is sent");

    let mut draft = invoice();
    draft.status = DocumentStatus::Draft;
    draft.order_number = String::new();
    draft.lines[0].category = OTHER.to_uppercase();
    insta::assert_snapshot!("invoice_draft_without_order_to_an_account_by_id", create(draft));

    let mut long = invoice();
    long.status = DocumentStatus::Submitted;
    long.lines[0].description = format!("Tee 👕\n{}", "x".repeat(5_000));
    long.purchase_order_number = Some("9".repeat(300));
    let call = creating(&Document::Invoice(long)).1.body.unwrap();
    let sent: serde_json::Value = serde_json::from_str(&call).unwrap();
    let sent = &sent["Invoices"][0];
    assert_eq!(sent["Status"], "SUBMITTED");
    let length = |text: &serde_json::Value| text.as_str().unwrap().encode_utf16().count();
    assert_eq!(length(&sent["LineItems"][0]["Description"]), 4_000);
    assert!(sent["LineItems"][0]["Description"].as_str().unwrap().starts_with("Tee 👕 xxx"));
    assert_eq!(length(&sent["Reference"]), 255);
}

#[test]
fn credit_notes() {
    let create = |note| created(Document::CreditNote(note), "create_credit_note");
    insta::assert_snapshot!("credit_note_with_a_negative_adjustment", create(credit_note()));

    let mut foreign = credit_note();
    foreign.currency = currency("JPY");
    foreign.exchange_rate = rate("187.4");
    foreign.status = DocumentStatus::Draft;
    foreign.invoice = Some(CreditedInvoice { provider_id: None, number: "000000042".to_owned(), dated_on: None });
    insta::assert_snapshot!("credit_note_draft_in_a_foreign_currency", create(foreign));

    let mut alone = credit_note();
    alone.invoice = None;
    let sent = create(alone);
    assert!(!sent.contains("Reference") && !sent.contains("DueDate"));
}

#[test]
fn payments_allocations_and_refunds() {
    insta::assert_snapshot!("payment", created(Document::Payment(payment()), "create_payment"));
    let mut foreign = payment();
    foreign.bank.account = OTHER.to_owned();
    foreign.currency = currency("EUR");
    foreign.exchange_rate = rate("1.1753");
    foreign.transaction = Some("x".repeat(300));
    foreign.bank.amount = Some(ledger_domain::amount::Amount::parse("61.23").unwrap());
    insta::assert_snapshot!(
        "payment_in_a_foreign_currency_to_an_account_by_id",
        created(Document::Payment(foreign), "create_payment")
    );
    insta::assert_snapshot!("allocation", created(Document::Allocation(allocation()), "create_allocation"));
    insta::assert_snapshot!("refund", created(Document::Refund(refund()), "create_refund"));
}

#[test]
fn contacts() {
    let contact = |change: fn(&mut Contact)| {
        let mut contact = jane();
        change(&mut contact);
        created(Document::Contact(contact), "create_contact")
    };
    insta::assert_snapshot!("contact_person", contact(|_| {}));
    insta::assert_snapshot!(
        "contact_company_with_angle_brackets_terms_and_long_address",
        contact(|contact| {
            contact.name = "Lee  & Co <Ltd>".to_owned();
            contact.company = Some(contact.name.clone());
            contact.payment_terms_in_days = Some(30);
            let address = contact.address.as_mut().unwrap();
            address.street =
                ["Unit 4", " ", "Mill Yard", "Old Road", "Upper End", "By the Sea"].map(str::to_owned).to_vec();
            address.region = Some("West Yorkshire".to_owned());
            address.postcode = Some("7".repeat(60));
            address.country = "gw".to_owned();
        })
    );
    insta::assert_snapshot!(
        "contact_with_emoji_long_name_and_odd_address",
        contact(|contact| {
            contact.name = "🦊".repeat(130);
            contact.first_name = "🦊".repeat(130);
            contact.last_name = "<>".to_owned();
            contact.email = "müller@example.com".to_owned();
            contact.phone = Some("0".repeat(51));
            contact.address.as_mut().unwrap().country = "XX".to_owned();
        })
    );
    insta::assert_snapshot!(
        "contact_that_stands_for_many",
        contact(|contact| {
            contact.name = "Magento Web Sales".to_owned();
            contact.reference = Some("WEBSALES".to_owned());
            contact.address = None;
            contact.phone = None;
        })
    );
    let mut nobody = jane();
    nobody.name = "<>".to_owned();
    assert!(created(Document::Contact(nobody), "create_contact").contains(r#""Name":"jane@example.com""#));
}

/// What is sent after replies, as a snapshot.
fn sent(document: &Document, start: &Start, seen: &[Labelled]) -> String {
    match Accounting.post(document, &context(), start, seen) {
        Ok(Step::Create(label, call) | Step::Change(label, call) | Step::Read(label, call)) => {
            format!("{label}\n{}", shown(&call))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn corrected_creates_and_changes() {
    let document = Document::Contact(jane());
    let name = "The contact name Jane O'Hara is already assigned to another contact. The contact name must be unique across all active contacts.";
    let none = || answer("contacts_by_email", 200, envelope("Contacts", &[]));
    let clash = |message: &str| answer("create_contact", 400, crate::fixtures::refused(message));
    let absent = || answer("contact_by_code", 404, "");
    let free = || answer("contacts_by_name", 200, envelope("Contacts", &[]));
    let mut seen = vec![none(), free(), clash(name), absent(), none()];
    insta::assert_snapshot!("contact_of_a_namesake", sent(&document, &Start::Fresh, &seen));
    let code = jane().code(0);
    let stranger = format!(r#"{{"ContactID":"{OTHER}","ContactNumber":"{code}","EmailAddress":"john@example.com"}}"#);
    seen.extend([
        clash("The contact number X is already assigned to another contact. The contact number must be unique across all contacts."),
        answer("contact_by_code", 200, envelope("Contacts", &[&stranger])),
        absent(),
        none(),
    ]);
    insta::assert_snapshot!("contact_of_a_namesake_whose_code_is_taken", sent(&document, &Start::Fresh, &seen));

    let outdated = Start::Outdated(linked(CONTACT, None));
    insta::assert_snapshot!("contact_update", sent(&document, &outdated, &[]));
    let clash = answer("update_contact", 400, crate::fixtures::refused(name));
    insta::assert_snapshot!("contact_update_of_a_namesake", sent(&document, &outdated, &[clash]));
    insta::assert_snapshot!(
        "product_update",
        sent(&Document::Product(product()), &Start::Outdated(linked(ITEM, None)), &[])
    );

    let mut long = jane();
    long.name = "n".repeat(300);
    let seen = [none(), free(), clash_of(name), absent(), none()];
    let Ok(Step::Create(_, call)) = Accounting.post(&Document::Contact(long), &context(), &Start::Fresh, &seen) else {
        panic!("no corrected create")
    };
    let body: serde_json::Value = serde_json::from_str(&call.body.unwrap()).unwrap();
    let name = body["Contacts"][0]["Name"].as_str().unwrap();
    assert!(name.len() == 255 && name.ends_with(&format!(" ({code})")), "{name}");
}

fn clash_of(message: &str) -> Labelled {
    answer("create_contact", 400, crate::fixtures::refused(message))
}

#[test]
fn products() {
    let product = |change: fn(&mut Product)| {
        let mut product = product();
        change(&mut product);
        created(Document::Product(product), "create_item")
    };
    insta::assert_snapshot!("product", product(|_| {}));
    insta::assert_snapshot!(
        "product_with_a_long_sku_and_cost",
        product(|product| {
            product.sku = "X".repeat(64);
            product.name = format!("Mug ☕ {}", "long ".repeat(20));
            product.cost = Some(decimal("3.2"));
            product.purchase_category = Some("310".to_owned());
        })
    );
    insta::assert_snapshot!(
        "product_priced_with_tax",
        product(|product| {
            product.sku = "A\"B".to_owned();
            product.price_includes_tax = true;
            product.tax_code = None;
        })
    );
    let code = |sku: String| {
        let mut it = crate::fixtures::product();
        it.sku = sku;
        let body: serde_json::Value = serde_json::from_str(&creating(&Document::Product(it)).1.body.unwrap()).unwrap();
        body["Items"][0]["Code"].as_str().unwrap().to_owned()
    };
    let (one, other) = (code(format!("{}1", "X".repeat(63))), code(format!("{}2", "X".repeat(63))));
    assert!(one != other && one.len() <= 30 && other.len() <= 30);
}

#[test]
fn questions() {
    let found = |document: &Document, seen: &[Labelled]| match Accounting.find(document, &context(), seen) {
        Ok(Step::Read(label, call)) => format!("{label}\n{}", shown(&call)),
        other => panic!("{other:?}"),
    };
    let mut all: Vec<String> = documents().iter().map(|document| found(document, &[])).collect();
    let mut comma = invoice();
    comma.number = "A,\"B\"".to_owned();
    all.push(found(&Document::Invoice(comma), &[]));
    let mut odd = credit_note();
    odd.number = "CN 7/2026?".to_owned();
    all.push(found(&Document::CreditNote(odd), &[]));
    let bill = format!(r#"{{"CreditNoteID":"{OTHER}","Type":"ACCPAYCREDIT","CreditNoteNumber":"MAG-CN-000000009"}}"#);
    let bill = answer("by_number", 200, envelope("CreditNotes", &[&bill]));
    all.push(found(&Document::CreditNote(credit_note()), &[bill]));
    for (kind, id) in [(Kind::Invoice, INVOICE), (Kind::CreditNote, CREDIT_NOTE)] {
        let Ok(Step::Read(label, call)) = Accounting.balance(kind, id, &context(), &[]) else { panic!("no question") };
        all.push(format!("{label}\n{}", shown(&call)));
    }
    insta::assert_snapshot!("questions", all.join("\n"));
}

#[test]
fn what_can_not_be_sent_is_refused_before() {
    let check = |document: Document, expected: &str| {
        assert_eq!(post(&document, &Start::Fresh, &[]), expected, "{document:?}");
    };
    let invoice_with = |change: &dyn Fn(&mut ledger_domain::document::SalesInvoice)| {
        let mut invoice = invoice();
        change(&mut invoice);
        Document::Invoice(invoice)
    };
    check(invoice_with(&|it| it.lines[0].tax_code = None), "refused tax_rate_unmapped");
    check(invoice_with(&|it| it.lines[0].tax_code = Some(String::new())), "refused tax_rate_unmapped");
    check(invoice_with(&|it| it.lines = vec![it.lines[0].clone(); 501]), "refused book_refused");
    check(invoice_with(&|it| it.payment_terms_in_days = u32::MAX), "refused settings_invalid");
    check(invoice_with(&|it| it.contact = "../Organisation".to_owned()), "broken unexpected");
    let mut credit = credit_note();
    credit.lines[1].tax_code = None;
    check(Document::CreditNote(credit), "refused tax_rate_unmapped");
    let mut paid = payment();
    paid.invoice = crate::fixtures::NIL.to_owned();
    check(Document::Payment(paid), "broken unexpected");
    check(stock_movement(), "broken unexpected");
    let movement = Accounting.find(&stock_movement(), &context(), &[]);
    assert_eq!(fault(&movement.unwrap_err()), "broken unexpected");
}

#[test]
fn every_request_names_the_organisation_and_only_creates_carry_a_key() {
    let token_free = |call: &Call| {
        assert_eq!(call.headers.first(), Some(&("xero-tenant-id", TENANT.to_owned())));
        assert!(call.headers.iter().all(|(name, _)| *name != "authorization"));
        assert!(call.path.starts_with('/') && !call.path.contains(['?', '#', ' ']));
    };
    for document in documents() {
        let (_, call) = creating(&document);
        token_free(&call);
        assert_eq!(call.headers.get(1), Some(&("idempotency-key", KEY.to_owned())));
        assert_eq!(call.method.as_str(), "PUT");
        assert!(call.query.contains(&("summarizeErrors".to_owned(), "false".to_owned())));
        let keyless = Context { idempotency_key: String::new(), ..context() };
        let seen = crate::fixtures::before_create(&document);
        let Ok(Step::Create(_, call)) = Accounting.post(&document, &keyless, &Start::Fresh, &seen) else {
            panic!("no create")
        };
        assert_eq!(call.headers.len(), 1);
        let Ok(Step::Read(_, call)) = Accounting.find(&document, &context(), &[]) else { panic!("no question") };
        token_free(&call);
        assert_eq!(call.headers.len(), 1);
    }
}

#[test]
fn documents_have_deep_links_where_the_organisation_is_known() {
    let link = |kind, id: &str| Accounting.link(kind, id, &context());
    let base = "https://go.xero.com/organisationlogin/default.aspx?shortcode=!Xy7-k&redirecturl=";
    assert_eq!(link(Kind::Invoice, INVOICE), Some(format!("{base}/AccountsReceivable/View.aspx?InvoiceID={INVOICE}")));
    assert_eq!(
        link(Kind::CreditNote, CREDIT_NOTE),
        Some(format!("{base}/AccountsReceivable/ViewCreditNote.aspx?creditNoteID={CREDIT_NOTE}"))
    );
    assert_eq!(link(Kind::Contact, CONTACT), Some(format!("{base}/Contacts/View/{CONTACT}")));
    for kind in [Kind::Payment, Kind::Refund] {
        let page = format!("{base}/Bank/ViewTransaction.aspx?bankTransactionID={INVOICE}");
        assert_eq!(link(kind, INVOICE), Some(page));
    }
    for kind in [Kind::Product, Kind::Allocation, Kind::StockMovement] {
        assert_eq!(link(kind, INVOICE), None);
    }
    assert_eq!(link(Kind::Invoice, "7"), None);
    for web_name in [None, Some(""), Some("!x&redirecturl=//evil.example")] {
        let context = Context { web_name: web_name.map(str::to_owned), ..context() };
        assert_eq!(Accounting.link(Kind::Invoice, INVOICE, &context), None);
    }
}

#[test]
fn due_dates_are_always_said() {
    let due = |days: u32| {
        let mut it = invoice();
        it.dated_on = date(2028, 1, 31);
        it.payment_terms_in_days = days;
        let sent: serde_json::Value = serde_json::from_str(&creating(&Document::Invoice(it)).1.body.unwrap()).unwrap();
        sent["Invoices"][0]["DueDate"].as_str().unwrap().to_owned()
    };
    assert_eq!(due(0), "2028-01-31");
    assert_eq!(due(30), "2028-03-01");
}
