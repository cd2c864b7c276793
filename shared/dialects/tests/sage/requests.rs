//! Every request, to the byte.

use crate::fixtures::*;
use ledger_dialects::sage::Sage;
use ledger_dialects::{Call, Context, Dialect, Labelled, Reply, Start, Step};
use ledger_domain::document::{Contact, Document, DocumentStatus, Kind, Product, SalesInvoice, Supply};
use ledger_domain::reference::Reference;

fn next(document: &Document, context: &Context, from: &Start, seen: &[Labelled]) -> Call {
    let step = Sage.post(document, context, from, seen);
    assert_eq!(step, Sage.post(document, context, from, seen), "the same arguments give the same bytes");
    match step {
        Ok(Step::Create(_, call) | Step::Change(_, call) | Step::Read(_, call)) => call,
        other => panic!("{other:?}"),
    }
}

fn fresh(document: &Document) -> Call {
    refused(document, &[])
}

/// The request after refusals.
fn refused(document: &Document, seen: &[Labelled]) -> Call {
    next(document, &context(), &Start::Fresh, &[&unknown(document), seen].concat())
}

fn looked(document: &Document, seen: &[Labelled]) -> Call {
    match Sage.find(document, &context(), seen) {
        Ok(Step::Read(_, call)) => call,
        other => panic!("{other:?}"),
    }
}

fn contact(change: impl Fn(&mut Contact)) -> Document {
    let mut contact = jane();
    change(&mut contact);
    Document::Contact(contact)
}

fn product(change: impl Fn(&mut Product)) -> Document {
    let mut product = mug();
    change(&mut product);
    Document::Product(product)
}

fn sale(change: impl Fn(&mut SalesInvoice)) -> Document {
    let mut sale = invoice();
    change(&mut sale);
    Document::Invoice(sale)
}

/// Every request that the dialect makes, by the name of its snapshot.
pub(crate) fn all() -> Vec<(&'static str, Call)> {
    let mut calls = contacts();
    calls.extend(products());
    calls.extend(sales());
    calls.extend(credit_notes());
    calls.extend(money());
    calls.extend(searches());
    calls.extend(pages());
    calls
}

fn contacts() -> Vec<(&'static str, Call)> {
    let taken = answer("create_contact", 422, complaint("reference", "has already been taken"));
    let typed = answer("create_contact", 422, complaint("main_address.address_type_id", "This field is required"));
    let listed_type = |id: &str| [format!(r#"{{"id":"{id}","displayed_as":"Accounts"}}"#)];
    let address_types = listed("address_types", &listed_type(NEW));
    let person_types = listed("contact_person_types", &listed_type(NOTE));
    let company = contact(|contact| {
        contact.name = "Lee &amp; Co <Ltd>".to_owned();
        contact.currency = Some(currency("EUR"));
        let address = contact.address.as_mut().unwrap();
        address.street =
            ["Unit 4", " ", "Mill Yard", "Old Road", "Upper End of the very long Lane"].map(str::to_owned).to_vec();
        address.region = Some("West Yorkshire".to_owned());
        address.country = "fr".to_owned();
        address.postcode = Some("12345-67890-1".to_owned());
    });
    let odd = contact(|contact| {
        contact.name = "🦊".repeat(300);
        contact.first_name = "<b>Σίσυφος</b>".to_owned();
        contact.last_name = "the \"Great\" ".repeat(9);
        contact.phone = None;
        contact.address.as_mut().unwrap().country = "XX".to_owned();
        contact.payment_terms_in_days = Some(400);
    });
    let nameless = contact(|contact| {
        contact.name = "-".to_owned();
        contact.first_name = String::new();
        contact.last_name = " ".to_owned();
        contact.address = None;
        contact.payment_terms_in_days = None;
        contact.currency = None;
    });
    let many = contact(|contact| {
        contact.name = "Magento Web Sales".to_owned();
        contact.reference = Some("WEBSALES-TOO-LONG".to_owned());
    });
    let long = contact(|contact| contact.email = format!("{}@example.com", "j".repeat(100)));
    let jane = Document::Contact(jane());
    vec![
        ("contact_person", fresh(&jane)),
        ("contact_company_abroad", fresh(&company)),
        ("contact_with_emoji_markup_and_unknown_country", fresh(&odd)),
        ("contact_without_name", fresh(&nameless)),
        ("contact_for_many_buyers", fresh(&many)),
        ("contact_with_an_address_too_long", next(&long, &context(), &Start::Fresh, &unknown(&long)[..1])),
        ("contact_under_the_next_code", refused(&jane, &[taken])),
        ("contact_with_types", refused(&jane, std::slice::from_ref(&typed))),
        ("contact_asks_for_types", refused(&jane, &[typed.clone(), typed.clone()])),
        ("contact_with_listed_types", refused(&jane, &[typed.clone(), typed, address_types, person_types])),
        ("contact_update", next(&jane, &context(), &Start::Outdated(linked(CONTACT)), &[])),
    ]
}

fn products() -> Vec<(&'static str, Call)> {
    let mug = Document::Product(mug());
    let stocked = product(|product| {
        product.stocked = true;
        product.sku = "X".repeat(64);
    });
    let service = product(|product| {
        product.supply = Supply::Services;
        product.purchase_category = None;
        product.cost = None;
        product.price_includes_tax = true;
        product.name = "Gift wrapping &amp; <em>card</em>".to_owned();
    });
    let plain = product(|product| {
        product.price = None;
        product.cost = None;
        product.tax_code = None;
    });
    let complained =
        |label| answer(label, 422, complaint("sales_prices.product_sales_price_type_id", "can't be blank"));
    let types = listed("price_types", &[format!(r#"{{"id":"{NEW}","displayed_as":"Sales Price"}}"#)]);
    let repriced = [complained("create_product"), types.clone()];
    let unpriced = [complained("create_product"), types, complained("create_product")];
    let outdated = |collection: &str| Start::Outdated(linked(&format!("{collection}/{NEW}")));
    vec![
        ("product", fresh(&mug)),
        ("product_without_price", fresh(&plain)),
        ("product_in_stock_with_a_long_code", fresh(&stocked)),
        ("product_service", fresh(&service)),
        ("product_price_types", refused(&mug, &repriced[..1])),
        ("product_with_price_type", refused(&mug, &repriced)),
        ("product_with_refused_price", refused(&mug, &unpriced)),
        ("product_update", next(&mug, &context(), &outdated("products"), &[])),
        ("product_update_of_stock_item", next(&stocked, &context(), &outdated("stock_items"), &[])),
        ("product_update_of_service", next(&service, &context(), &outdated("services"), &[])),
    ]
}

fn sales() -> Vec<(&'static str, Call)> {
    let plain = Document::Invoice(invoice());
    let b2b = sale(|sale| {
        sale.purchase_order_number = Some("PO 7/2026".to_owned());
        sale.payment_terms_in_days = 0;
        sale.lines = vec![
            line(&format!("item|Chair <oak> &amp; &quot;ash&quot;|1|18.49|20|3.7|GB_STANDARD|{SALES}")),
            line(&format!("item|Book|2.5|8.95|0|0|GB_ZERO|{SALES}")),
            line(&format!("shipping|Shipping|1|4.99|20|1|GB_STANDARD|{CARRIAGE}")),
            line(&format!("rounding|Rounding|1|-0.01|0|0|GB_NO_TAX|{SALES}")),
        ];
        sale.total = amount("50.54");
    });
    let carried = sale(|sale| {
        sale.lines.push(line(&format!("shipping|Shipping|1|4.99|20|1|GB_STANDARD|{SALES}")));
        sale.total = amount("29.99");
    });
    let off_by_a_penny = sale(|sale| {
        sale.lines.push(line(&format!("shipping|Shipping|1|4.99|20|0.99|GB_STANDARD|{SALES}")));
        sale.total = amount("29.98");
    });
    let draft = sale(|sale| sale.status = DocumentStatus::Draft);
    let submitted = sale(|sale| sale.status = DocumentStatus::Submitted);
    let foreign = sale(|sale| {
        sale.number = "MAGENTO-SHOP-ONE-000000042".to_owned();
        sale.currency = currency("EUR");
        sale.exchange_rate = rate("1.1753");
        sale.destination = Some("DE".to_owned());
        let mut support = line(&format!("item|Support (HELP)|1|30|19|5.7|DE_STANDARD|{SALES}"));
        support.supply = Supply::Services;
        sale.lines = vec![
            line(&format!("item|Tee (TEE)|1|10|19|1.9|DE_STANDARD|{SALES}")),
            support,
            line(&format!("shipping|Shipping|1|5|19|0.95|DE_STANDARD|{SALES}")),
        ];
        sale.total = amount("53.55");
    });
    let wants = |source: &str| answer("create_invoice", 422, complaint(source, "must be selected"));
    let from = Start::Fresh;
    let supply = wants("line_items.eu_goods_services_type_id");
    let irish = Context { country: Some("IE".to_owned()), ..context() };
    let canadian = Context { country: Some("CA".to_owned()), ..context() };
    let to_ireland = sale(|sale| sale.destination = Some("IE".to_owned()));
    let unread = answer("create_invoice", 201, format!(r#"{{"id":"{INVOICE}"}}"#));
    vec![
        ("invoice", fresh(&plain)),
        ("invoice_with_own_account_for_shipping_and_rounding", fresh(&b2b)),
        ("invoice_with_shipping_in_its_field", fresh(&carried)),
        ("invoice_with_shipping_tax_of_the_shop", fresh(&off_by_a_penny)),
        ("invoice_draft", fresh(&draft)),
        ("invoice_submitted", fresh(&submitted)),
        ("invoice_abroad_in_another_currency", fresh(&foreign)),
        ("invoice_with_supply_after_refusal", next(&plain, &context(), &from, std::slice::from_ref(&supply))),
        ("invoice_without_supply_after_refusal", next(&foreign, &context(), &from, &[supply])),
        ("invoice_within_ireland", next(&to_ireland, &irish, &from, &[])),
        ("invoice_from_canada", next(&to_ireland, &canadian, &from, &[])),
        ("invoice_total", next(&plain, &context(), &from, &[unread])),
    ]
}

fn credit_notes() -> Vec<(&'static str, Call)> {
    let plain = note();
    let mut adjusted = note();
    adjusted.invoice = None;
    adjusted.currency = currency("EUR");
    adjusted.exchange_rate = rate("1.1753");
    adjusted.lines.push(line(&format!("shipping|Shipping|1|5|20|1|GB_STANDARD|{CARRIAGE}")));
    adjusted.lines.push(line(&format!("adjustment|Adjustment fee|1|-2.5|0|0|GB_NO_TAX|{SALES}")));
    adjusted.total = amount("15.5");
    let mut draft = note();
    draft.status = DocumentStatus::Draft;
    vec![
        ("credit_note", fresh(&Document::CreditNote(plain))),
        ("credit_note_with_adjustment_in_another_currency", fresh(&Document::CreditNote(adjusted))),
        ("credit_note_draft", fresh(&Document::CreditNote(draft))),
    ]
}

fn money() -> Vec<(&'static str, Call)> {
    let mut foreign = payment();
    foreign.currency = currency("EUR");
    foreign.exchange_rate = rate("1.1753");
    foreign.reference = "MAGENTO-SHOP-ONE-000000042-P".to_owned();
    let refund = Document::Refund(refund());
    let allocation = Document::Allocation(allocation());
    let amount = |label| [answer(label, 422, complaint("allocated_artefacts.amount", "must be greater than 0"))];
    let mut uncosted = movement();
    uncosted.cost = None;
    uncosted.quantity = decimal("2.5");
    let uncosted = Document::StockMovement(uncosted);
    let item = [answer("read_stock_item", 200, format!(r#"{{"id":"{NEW}","average_cost_price":"3.456"}}"#))];
    let from = Start::Fresh;
    vec![
        ("payment", fresh(&Document::Payment(payment()))),
        ("payment_in_another_currency", fresh(&Document::Payment(foreign))),
        ("refund", fresh(&refund)),
        ("refund_with_the_other_sign", next(&refund, &context(), &from, &amount("create_refund"))),
        ("allocation_asks_for_its_type", next(&allocation, &context(), &from, &[])),
        ("allocation", fresh(&allocation)),
        ("allocation_with_the_other_sign", refused(&allocation, &amount("create_allocation"))),
        ("stock_movement", fresh(&Document::StockMovement(movement()))),
        ("stock_movement_asks_for_cost", fresh(&uncosted)),
        ("stock_movement_at_the_books_cost", next(&uncosted, &context(), &from, &item)),
    ]
}

fn searches() -> Vec<(&'static str, Call)> {
    let contact = Document::Contact(jane());
    let balance = |kind, id| match Sage.balance(kind, id, &context(), &[]) {
        Ok(Step::Read(_, call)) => call,
        other => panic!("{other:?}"),
    };
    let stock = match Sage.stock(&format!("stock_items/{NEW}"), &context(), &[]) {
        Ok(Step::Read(_, call)) => call,
        other => panic!("{other:?}"),
    };
    let unclear = [listed("contact_by_code", &[format!(r#"{{"id":"{CONTACT}"}}"#)])];
    let not_a_day = answer("candidates", 422, complaint("from_date", "is not valid"));
    let unpaid = [listed("candidates", &[format!(r#"{{"id":"{NEW}"}}"#)])];
    vec![
        ("find_contact", looked(&contact, &[])),
        ("find_contact_by_email", looked(&contact, &[listed("contact_by_code", &[])])),
        ("find_contact_singly", looked(&contact, &unclear)),
        ("find_product", looked(&Document::Product(mug()), &[])),
        ("find_product_among_services", looked(&Document::Product(mug()), &[listed("products_by_code", &[])])),
        ("find_invoice", looked(&Document::Invoice(invoice()), &[])),
        ("find_credit_note", looked(&Document::CreditNote(note()), &[])),
        ("find_payment", looked(&Document::Payment(payment()), &[])),
        ("find_payment_by_days", looked(&Document::Payment(payment()), &[not_a_day])),
        ("find_payment_singly", looked(&Document::Payment(payment()), &unpaid)),
        ("find_refund", looked(&Document::Refund(refund()), &[])),
        ("find_allocation", looked(&Document::Allocation(allocation()), &[])),
        ("find_stock_movement", looked(&Document::StockMovement(movement()), &[])),
        ("balance_of_invoice", balance(Kind::Invoice, INVOICE)),
        ("balance_of_credit_note", balance(Kind::CreditNote, NOTE)),
        ("stock", stock),
    ]
}

fn pages() -> Vec<(&'static str, Call)> {
    let page = |of, cursor| Sage.page(of, &context(), cursor).unwrap();
    vec![
        ("page_of_businesses", Sage.page(Reference::Organisation, &Context::default(), None).unwrap()),
        ("page_of_organisation", page(Reference::Organisation, None)),
        ("page_of_accounts", page(Reference::Accounts, None)),
        ("page_of_tax_rates", page(Reference::TaxRates, None)),
        ("page_of_bank_accounts", page(Reference::BankAccounts, None)),
        ("page_of_currencies", page(Reference::Currencies, Some("3"))),
    ]
}

/// The request with a line for each header and line of a document; nothing else is changed.
fn shown(call: &Call) -> String {
    let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers: Vec<String> = call.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let body = call.body.as_deref().unwrap_or_default();
    let body = body.replace("_lines\":[", "_lines\":[\n").replace("},{", "},\n{");
    format!("{} {}\n{}\n{}\n{body}", call.method.as_str(), call.path, query.join("&"), headers.join("\n"))
}

#[test]
fn every_request_is_as_it_was() {
    let all = all();
    let mut names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    for (name, call) in all {
        insta::assert_snapshot!(name, shown(&call));
    }
}

#[test]
fn every_request_names_the_business_and_carries_no_token() {
    for (name, call) in all() {
        if name != "page_of_businesses" {
            assert_eq!(call.headers, [("x-business", BUSINESS.to_owned())], "{name}");
        }
        assert!(call.path.starts_with("/v3.1/"), "{name}");
        let text = format!("{call:?}").to_lowercase();
        for word in ["authorization", "bearer", "token"] {
            assert!(!text.contains(word), "{name} {word}");
        }
        assert_eq!(call.method.as_str() == "GET", call.body.is_none(), "{name}");
        let creates = call.method.as_str() == "POST";
        assert_eq!(call.body.as_deref().is_some_and(|body| body.contains(SENT_KEY)), creates, "{name}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is() {
    let refused =
        |document: &Document, code: &str| assert_eq!(post(document, &unknown(document)), format!("refused {code}"));
    refused(&sale(|sale| sale.lines = vec![tee(); 501]), "book_refused");
    refused(&sale(|sale| sale.lines[0].tax_code = None), "tax_rate_unmapped");
    refused(&sale(|sale| sale.lines[0].tax_code = Some(String::new())), "tax_rate_unmapped");
    refused(&sale(|sale| sale.exchange_rate = rate("100000000000000000000")), "exchange_rate_unknown");
    refused(&sale(|sale| sale.payment_terms_in_days = 4_000_000), "settings_invalid");
    refused(&product(|product| product.purchase_category = None), "settings_invalid");
    refused(&product(|product| product.purchase_category = Some(" ".to_owned())), "settings_invalid");
    let mut movement = movement();
    movement.product = format!("products/{NEW}");
    refused(&Document::StockMovement(movement), "book_refused");
}

#[test]
fn what_a_book_has_no_list_of_is_not_asked_for() {
    assert_eq!(Sage.page(Reference::Contacts, &context(), None), None);
    assert_eq!(Sage.page(Reference::TaxRates, &context(), Some("elsewhere?x=1")), None);
    assert_eq!(Sage.link(Kind::Invoice, INVOICE, &context()), None);
}

#[test]
fn a_person_finds_a_document_where_the_answer_says() {
    let check = |status: u16, links: &str, expected: Option<&str>| {
        let body = format!(r#"{{"id":"{INVOICE}","links":{links}}}"#).into_bytes();
        let reply = Reply { status, body, ..Reply::default() };
        assert_eq!(Sage.web_address(&reply).as_deref(), expected, "{links}");
    };
    let page = "https://accounting.na.sageone.com/invoicing/sales_invoices/7";
    let link = |href: &str| format!(r#"[{{"href":"{href}","rel":"alternate","type":"text/html"}}]"#);
    check(201, &link(page), Some(page));
    check(404, &link(page), None);
    check(200, "[]", None);
    check(200, "7", None);
    check(200, &format!(r#"[{{"href":"{page}","rel":"self","type":"text/html"}}]"#), None);
    for elsewhere in [
        "http://accounting.na.sageone.com/x",
        "https://sageone.com.example/x",
        "https://notsageone.com/x",
        "https://.sageone.com/x",
        "https://evil.example/sageone.com/x",
        "https://user@app.sageone.com/x",
        "https://app.sageone.com/x?next=//evil.example",
        "javascript:alert(1)",
    ] {
        check(200, &link(elsewhere), None);
    }
}
