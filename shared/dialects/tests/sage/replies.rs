//! What every reply means.

use crate::fixtures::*;
use ledger_dialects::sage::Sage;
use ledger_dialects::{Context, Dialect, Labelled, Reply, Start, dialect};
use ledger_domain::document::{Document, Kind, Posted, Standing};
use ledger_domain::identity::Provider;
use ledger_domain::reference::{Entry, Reference};

const DOUBTFUL: &str = "doubtful write_in_doubt";

fn of_business(mut labelled: Labelled, business: &str) -> Labelled {
    labelled.reply.headers = vec![("x-business".to_owned(), business.to_owned())];
    labelled
}

#[test]
fn the_dialect_is_known_by_its_name() {
    let profile = dialect("sage").unwrap().profile();
    assert_eq!(profile.provider, Provider::SageAccounting);
    assert!(Kind::ALL.iter().all(|kind| profile.posts(*kind)));
}

#[test]
fn a_create_is_done_only_by_an_id_of_our_business() {
    let document = Document::Invoice(invoice());
    let check = |status: u16, body: &str, expected: &str| {
        let created = answer("create_invoice", status, body);
        assert_eq!(post(&document, std::slice::from_ref(&created)), expected, "{status} {body}");
        let named = Sage.created(&document, &context(), &created).is_some();
        assert_eq!(named, expected.starts_with("done") || expected.starts_with("read read_total"), "{status} {body}");
    };
    let with = |more: &str| format!(r#"{{"id":"{INVOICE}"{more}}}"#);
    let done = format!("done {INVOICE} MAG-000000042 24");
    let asked = format!("read read_total GET /v3.1/sales_invoices/{INVOICE}?mark_as_sent=false");
    check(201, &with(r#","total_amount":"24.0""#), &done);
    check(201, &with(r#","total_amount":24.00,"status":{"id":"UNPAID"}"#), &done);
    check(200, &with(r#","total_amount":24"#), &done);
    check(201, &format!(r#"{{"sales_invoice":{}}}"#, with(r#","total_amount":24"#)), &done);
    check(201, &with(r#","total_amount":24"#).replace("1f1f", "1F1F"), &done);
    check(201, &with(r#","total_amount":25.01"#), &format!("done {INVOICE} MAG-000000042 25.01"));
    check(201, &with(""), &asked);
    check(201, &with(r#","total_amount":null"#), &asked);
    check(201, &with(r#","total_amount":"lots""#), &asked);
    // Anything else that looks like success may or may not be one.
    check(202, &with(""), DOUBTFUL);
    check(204, "", DOUBTFUL);
    check(201, "", DOUBTFUL);
    check(201, "null", DOUBTFUL);
    check(201, "{}", DOUBTFUL);
    check(201, "[]", DOUBTFUL);
    check(201, "<html>", DOUBTFUL);
    check(201, r#"{"id":7}"#, DOUBTFUL);
    check(201, r#"{"id":"7"}"#, DOUBTFUL);
    check(201, r#"{"id":"../../../businesses/xxxxxxxxxxxxx"}"#, DOUBTFUL);
    check(201, &with("").replace('}', ""), DOUBTFUL);
    check(201, &with(r#","errors":[{"message":"no"}]"#), DOUBTFUL);
    check(200, &complaint("date", "no"), &format!("{DOUBTFUL} [date]"));

    let made = answer("create_invoice", 201, with(r#","total_amount":24"#));
    assert_eq!(post(&document, &[of_business(made.clone(), &BUSINESS.to_uppercase())]), done);
    assert_eq!(post(&document, &[of_business(made.clone(), "")]), done);
    let elsewhere = of_business(made, NEW);
    assert_eq!(post(&document, std::slice::from_ref(&elsewhere)), "broken answer_unknown [x-business]");
    assert_eq!(Sage.created(&document, &context(), &elsewhere), None);
}

#[test]
fn no_answer_for_another_business_counts() {
    let elsewhere = |label, body: &str| [of_business(answer(label, 200, body), NEW)];
    let broken = "broken answer_unknown [x-business]";
    let list = page(&[], "null");
    for document in documents() {
        let label = match document.kind() {
            Kind::Contact => "contact_by_code",
            Kind::Product => "products_by_code",
            Kind::StockMovement => "stock_movements_by_reference",
            Kind::Invoice | Kind::Payment | Kind::CreditNote | Kind::Allocation | Kind::Refund => "candidates",
        };
        assert_eq!(find(&document, &elsewhere(label, &list)), broken);
    }
    let outdated = Start::Outdated(linked(CONTACT));
    assert_eq!(start(&Document::Contact(jane()), &outdated, &elsewhere("update_contact", "{}")), broken);
    let balance = Sage.balance(Kind::Invoice, INVOICE, &context(), &elsewhere("read_balance", "{}"));
    assert_eq!(fault(&balance.unwrap_err()), broken);
    let stock = Sage.stock(&format!("stock_items/{NEW}"), &context(), &elsewhere("read_stock_item", "{}"));
    assert_eq!(fault(&stock.unwrap_err()), broken);
    let read = Sage.read_page(Reference::TaxRates, &context(), &elsewhere("page", &list)[0].reply);
    assert_eq!(fault(&read.unwrap_err()), broken);
}

#[test]
fn a_refused_create_says_why() {
    let document = Document::Invoice(invoice());
    let check = |status: u16, body: &str, expected: &str| {
        let created = answer("create_invoice", status, body);
        assert_eq!(post(&document, std::slice::from_ref(&created)), expected, "{status} {body}");
        assert_eq!(Sage.created(&document, &context(), &created), None);
    };
    let says = |status: u16, source: &str, message: &str, expected: &str| {
        check(status, &complaint(source, message), expected);
    };
    says(422, "line_items.tax_rate_id", "is invalid", "refused tax_rate_unmapped [line_items.tax_rate_id]");
    says(422, "shipping_tax_rate_id", "is invalid", "refused tax_rate_unmapped [shipping_tax_rate_id]");
    says(
        422,
        "base",
        "Line items (tax rate) must be 'Zero Rated' for Customers outside the EU",
        "refused tax_rate_unmapped",
    );
    says(422, "line_items.ledger_account_id", "not found", "refused category_unknown [line_items.ledger_account_id]");
    says(422, "contact_id", "not found", "refused contact_unknown [contact_id]");
    says(422, "contact", "is inactive", "refused contact_archived [contact]");
    says(404, "", "Couldn't find Contact", "refused contact_unknown");
    says(422, "date", "is in a locked period", "refused period_locked [date]");
    says(422, "date", "must be after the year end lockdown date", "refused period_locked [date]");
    says(422, "exchange_rate", "is invalid", "refused exchange_rate_unknown [exchange_rate]");
    says(422, "currency_id", "is not enabled", "refused book_refused [currency_id]");
    says(422, "line_items.description", "This field is required", "refused book_refused [line_items.description]");
    says(422, "line_items.unit_price", "must not be less", "refused book_refused [line_items.unit_price]");
    says(409, "", "", "refused book_refused");
    // The one that we know how to name speaks.
    let two = format!(
        r#"[{{"$dataCode":"RecordInvalid","$message":"no","$source":"base"}},{}]"#,
        r#"{"$dataCode":"RecordInvalid","$message":"is invalid","$source":"bank_account_id"}"#
    );
    check(422, &two, "refused settings_invalid [bank_account_id]");
    // Shapes of others.
    check(
        422,
        r#"{"$severity":"error","$dataCode":"X","$message":"no","$source":"contact_id"}"#,
        "refused contact_unknown [contact_id]",
    );
    check(422, r#"{"errors":[{"message":"Tax rate is unknown"}]}"#, "refused tax_rate_unmapped");
    check(400, r#"{"error":"bad_request","error_description":"no"}"#, "refused book_refused");
    check(403, r#"{"message":"Forbidden"}"#, "refused book_refused");
    check(422, "ledger account not found", "refused category_unknown");
    check(422, r#"[{"$source":"#, "refused book_refused");
    check(422, "", "refused book_refused");
    check(422, r#"[{"$message":"no","$source":"Jane O'Hara <jane@example.com>"}]"#, "refused book_refused");
    let denied = r#"[{"$severity":"error","$dataCode":"MultiUserAccessDenied","$message":"no","$source":""}]"#;
    check(403, denied, "refused book_refused");
    // A lapsed subscription is no dead grant.
    let lapsed = r#"[{"$severity":"error","$dataCode":"AuthorizationFailure","$message":"No active subscription. (MSE)","$source":""}]"#;
    check(401, lapsed, "refused subscription_lapsed");
    check(401, "No active subscription", "refused subscription_lapsed");
    check(401, r#"{"error":"invalid_token"}"#, "reconnect needs_reconnect");
    check(401, "", "reconnect needs_reconnect");
    check(429, "slow down", "later book_rate_limited");
    // Not the book's own words, or none at all.
    for status in [300, 302, 304, 402, 405, 408, 410, 415, 418, 425, 500, 502, 503, 504, 525, 599, 999] {
        check(status, &complaint("contact_id", "no"), &format!("{DOUBTFUL} [contact_id]"));
    }
    for status in [400, 403, 404, 409, 422] {
        check(status, " <!DOCTYPE html><title>gateway</title>", DOUBTFUL);
    }
}

#[test]
fn what_is_not_documented_is_tried_the_other_way_once() {
    let check = |document: Document, label: &'static str, source: &str, message: &str, tried: &str| {
        let refused = answer(label, 422, complaint(source, message));
        let asked = unknown(&document);
        let after = |refusals: usize| [asked.clone(), vec![refused.clone(); refusals]].concat();
        let next = post(&document, &after(1));
        assert!(next.starts_with(tried), "{label} {source} {message}: {next}");
        if tried.starts_with("create") {
            assert_ne!(body(&document, &Start::Fresh, &after(0)), body(&document, &Start::Fresh, &after(1)));
            // A second refusal is one.
            let last = post(&document, &after(2));
            assert!(last.starts_with("refused book_refused"), "{last}");
        }
    };
    let sale = || Document::Invoice(invoice());
    let again = "create create_invoice";
    check(sale(), "create_invoice", "invoice_lines.eu_goods_services_type_id", "can't be blank", again);
    check(sale(), "create_invoice", "line_items", "EU goods/services type must be selected", again);
    check(sale(), "create_invoice", "line_items", "must be something", "refused");
    let credited = || Document::CreditNote(note());
    check(credited(), "create_credit_note", "eu_goods_services_type", "can't be blank", "create create_credit_note");
    let set_off = || Document::Allocation(allocation());
    let again = "create create_allocation";
    check(set_off(), "create_allocation", "allocated_artefacts.amount", "must be greater than 0", again);
    check(set_off(), "create_allocation", "base", "The sum of the allocations must be zero", again);
    check(set_off(), "create_allocation", "allocated_artefacts", "exceeds the outstanding amount", "refused");
    check(set_off(), "create_allocation", "transaction_type_id", "is invalid", "refused");
    let paid_back = || Document::Refund(refund());
    check(paid_back(), "create_refund", "allocated_artefacts.amount", "must be negative", "create create_refund");
    check(paid_back(), "create_refund", "bank_account_id", "not found", "refused settings_invalid");
    let paid = Document::Payment(payment());
    check(paid, "create_payment", "allocated_artefacts.amount", "must be negative", "refused book_refused");
    // After doubt nothing is tried.
    let doubtful = answer("create_allocation", 502, complaint("allocated_artefacts.amount", "must be greater than 0"));
    let seen = [unknown(&set_off()), vec![doubtful]].concat();
    assert_eq!(post(&set_off(), &seen), format!("{DOUBTFUL} [allocated_artefacts.amount]"));
}

#[test]
fn an_allocation_is_called_what_the_book_calls_it() {
    let document = Document::Allocation(allocation());
    let ask = |page: usize| {
        format!(
            "read transaction_types GET /v3.1/transaction_types?valid_for_business=true&items_per_page=100&page={page}"
        )
    };
    let named = |seen: &[Labelled], id: &str| {
        let body = body(&document, &Start::Fresh, seen);
        assert!(body.contains(&format!(r#""transaction_type_id":"{id}""#)), "{seen:?}: {body}");
    };
    let check = |listed_types: &[(&str, &str)], id: &str| named(&[types(listed_types)], id);
    assert_eq!(post(&document, &[]), ask(1));
    let others = [("SALES_INVOICE", "Sales Invoice"), ("VENDOR_ALLOCATION", "Vendor Allocation")];
    let with = |entry: (&'static str, &'static str)| [others[0], others[1], entry];
    check(&with(("CUSTOMER_ALLOCATION", "Customer Allocation")), "CUSTOMER_ALLOCATION");
    check(&with(("SALES_ALLOCATION", "Sales Allocation")), "SALES_ALLOCATION");
    check(&with(("5a6e0000000000000000000000000077", "Customer allocation")), "5a6e0000000000000000000000000077");
    check(&with(("ALLOCATION", "Allocation")), "ALLOCATION");
    check(&[("SALES_ALLOCATION", "-"), ("CUSTOMER_ALLOCATION", "-")], "CUSTOMER_ALLOCATION");
    check(&[("ALLOCATION", "-"), ("SALES_ALLOCATION", "-")], "SALES_ALLOCATION");
    check(&[("PURCHASE_ALLOCATION", "-"), ("SUPPLIERS", "Supplier allocation")], "CUSTOMER_ALLOCATION");
    check(&others, "CUSTOMER_ALLOCATION");
    check(&[], "CUSTOMER_ALLOCATION");
    // Every page is read.
    let first = answer(
        "transaction_types",
        200,
        page(&[r#"{"id":"SALES_INVOICE"}"#.to_owned()], r#""/transaction_types?page=2""#),
    );
    assert_eq!(post(&document, std::slice::from_ref(&first)), ask(2));
    named(&[first.clone(), types(&[("SALES_ALLOCATION", "-")])], "SALES_ALLOCATION");
    assert_eq!(post(&document, &vec![first; 30]), "refused search_too_long");
    // A list that may not be read says nothing; trouble passes.
    for status in [403, 404, 422] {
        named(&[answer("transaction_types", status, complaint("base", "no"))], "CUSTOMER_ALLOCATION");
    }
    let trouble = |status: u16| post(&document, &[answer("transaction_types", status, "")]);
    assert_eq!(trouble(503), "later book_unavailable");
    assert_eq!(trouble(429), "later book_rate_limited");
    assert_eq!(trouble(401), "reconnect needs_reconnect");
}

#[test]
fn a_payment_is_looked_for_by_moments_and_by_days_where_the_book_takes_none() {
    let document = Document::Payment(payment());
    let ask = |from: &str, to: &str, page: usize| {
        format!(
            "read candidates GET /v3.1/contact_payments?contact_id={CONTACT}&transaction_type_id=CUSTOMER_RECEIPT&from_date={from}&to_date={to}&sort=created_at:desc&attributes=reference,total_amount,currency,contact,transaction_type,deleted_at&items_per_page=100&page={page}"
        )
    };
    let by_moment = |page| ask("2026-11-17T00:00:00Z", "2026-11-23T00:00:00Z", page);
    let by_day = |page| ask("2026-11-17", "2026-11-23", page);
    let refused = |status: u16| answer("candidates", status, complaint("from_date", "is not valid"));
    let more = answer("candidates", 200, page(&[], r#""/contact_payments?page=2""#));
    assert_eq!(find(&document, &[]), by_moment(1));
    assert_eq!(find(&document, std::slice::from_ref(&more)), by_moment(2));
    assert_eq!(find(&document, &[refused(422)]), by_day(1));
    assert_eq!(find(&document, &[refused(400), more.clone()]), by_day(2));
    assert_eq!(find(&document, &[refused(422), listed("candidates", &[])]), "done nothing");
    // A second refusal is one, and so is that of a later page.
    assert_eq!(find(&document, &[refused(422), refused(422)]), "refused book_refused [from_date]");
    assert_eq!(find(&document, &[more, refused(422)]), "refused book_refused [from_date]");
    // What is looked for by its number names no day.
    assert_eq!(find(&Document::Invoice(invoice()), &[refused(422)]), "refused book_refused [from_date]");
}

#[test]
fn a_rate_that_the_book_turns_round_is_seen() {
    let mut foreign = invoice();
    foreign.currency = currency("EUR");
    foreign.exchange_rate = rate("1.25");
    let check = |per_book_unit: &str, base: &str, agrees: bool| {
        let mut sale = foreign.clone();
        sale.exchange_rate = rate(per_book_unit);
        let document = Document::Invoice(sale);
        let body = format!(r#"{{"id":"{INVOICE}","total_amount":"24.0","base_currency_total_amount":{base}}}"#);
        let expected =
            if agrees { format!("done {INVOICE} MAG-000000042 24") } else { "refused total_mismatch".to_owned() };
        let made = answer("create_invoice", 201, body.clone());
        assert_eq!(post(&document, std::slice::from_ref(&made)), expected, "{per_book_unit} {base}");
        // It is in the book all the same, and its rate is looked at whenever it is read.
        assert!(Sage.created(&document, &context(), &made).is_some());
        let expected = if agrees { format!("done {INVOICE} - 24") } else { expected };
        let read = [answer("read_total", 200, body)];
        assert_eq!(start(&document, &Start::Linked(linked(INVOICE)), &read), expected, "{per_book_unit} {base}");
    };
    check("1.25", "\"19.20\"", true);
    check("1.25", "19.24", true);
    check("1.25", "30.0", false);
    check("1.25", "24.0", false);
    check("1.25", "null", true);
    check("1.25", "\"19.9\"", true);
    check("1.02", "23.53", true);
    check("1.02", "24.48", false);
    check("150", "0.16", true);
    check("150", "3600", false);
    check("0.8", "30", true);
    check("0.8", "19.2", false);
}

#[test]
fn a_total_is_asked_for_once_and_may_stay_unknown_but_an_answer_is_needed_of_a_document_that_was_there() {
    let document = Document::Payment(payment());
    let unread = answer("create_payment", 201, format!(r#"{{"id":"{NEW}"}}"#));
    let from = Start::Linked(linked(NEW));
    let check = |status: u16, body: &str, fresh: &str, again: &str| {
        let reply = answer("read_total", status, body);
        let done = format!("done {NEW} MAG-000000042-P {fresh}");
        assert_eq!(post(&document, &[unread.clone(), reply.clone()]), done, "{status} {body}");
        let again = again.strip_prefix('=').map_or_else(|| again.to_owned(), |it| format!("done {NEW} - {it}"));
        assert_eq!(start(&document, &from, &[reply]), again, "{status} {body}");
    };
    check(200, r#"{"id":"x","total_amount":"24.00"}"#, "24", "=24");
    check(200, r#"{"contact_payment":{"total_amount":24.5}}"#, "24.5", "=24.5");
    check(200, r#"{"total_amount":-24}"#, "24", "=24");
    check(200, r#"{"total_amount":[]}"#, "?", "=?");
    check(200, "<html>", "?", "later book_unavailable");
    check(404, "[]", "?", "refused book_refused");
    check(401, "[]", "?", "reconnect needs_reconnect");
    check(503, "", "?", "later book_unavailable");
    let known = Posted { total: Some(amount("24")), ..linked(NEW) };
    assert_eq!(start(&document, &Start::Linked(known), &[]), format!("done {NEW} - 24"));
    assert_eq!(start(&document, &from, &[]), format!("read read_total GET /v3.1/contact_payments/{NEW}"));
    assert_eq!(start(&document, &Start::Linked(linked("../7")), &[]), "broken unexpected");
    // An allocation's total is what it sets off on the invoice.
    let set_off = format!(
        r#"{{"id":"{NEW}","allocated_artefacts":[{{"artefact":{{"id":"{NOTE}"}},"amount":"-12.0"}},{{"artefact":{{"id":"{INVOICE}"}},"amount":"12.0"}}]}}"#
    );
    let made = answer("create_allocation", 201, set_off);
    let document = Document::Allocation(allocation());
    let seen = [unknown(&document), vec![made]].concat();
    assert_eq!(post(&document, &seen), format!("done {NEW} MAG-CN-000000007-A 12"));
}

fn candidate(reference: &str, total: &str, more: &str) -> String {
    format!(
        r#"{{"id":"{NEW}","reference":"{reference}","contact":{{"id":"{CONTACT}"}},"currency":{{"id":"GBP"}},"total_amount":{total}{more}}}"#
    )
}

#[test]
fn a_document_is_adopted_only_where_it_is_ours() {
    let document = Document::Invoice(invoice());
    let check = |replies: &[Labelled], expected: &str| assert_eq!(find(&document, replies), expected, "{replies:?}");
    let one = |item: String| [listed("candidates", &[item])];
    let ask = |page: usize| {
        format!(
            "read candidates GET /v3.1/sales_invoices?search=MAG-000000042&attributes=reference,total_amount,currency,contact,status,deleted_at&items_per_page=100&page={page}"
        )
    };
    let done = format!("done {NEW} MAG-000000042 24");
    let foreign = "refused reference_taken";
    let ours = || candidate("MAG-000000042", "\"24.0\"", "");
    check(&[], &ask(1));
    check(&[listed("candidates", &[])], "done nothing");
    check(&one(ours()), &done);
    check(&one(candidate(" MAG-000000042 ", "24", "")), &done);
    check(&one(candidate("MAG-000000042", "24", r#","status":{"id":"PAID"},"deleted_at":null"#)), &done);
    check(&one(candidate("MAG-0000000421", "24", "")), "done nothing");
    check(&one(candidate("mag-000000042", "24", "")), "done nothing");
    check(&one(candidate("MAG-000000042", "24.01", "")), foreign);
    check(&one(ours().replace("GBP", "EUR")), foreign);
    check(&one(ours().replace(CONTACT, NOTE)), foreign);
    check(&one(candidate("MAG-000000042", "24", r#","status":{"id":"VOID"}"#)), foreign);
    check(&one(candidate("MAG-000000042", "24", r#","deleted_at":"2026-11-20T10:00:00Z""#)), foreign);
    check(&one(ours().replace(NEW, "7")), "done nothing");
    let voided = candidate("MAG-000000042", "24", r#","status":{"id":"VOID"}"#);
    check(&[listed("candidates", &[voided, ours()])], &done);
    // A list that does not say enough: the invoice itself is read.
    let unclear = listed("candidates", &[format!(r#"{{"id":"{NEW}","reference":"MAG-000000042"}}"#)]);
    check(
        std::slice::from_ref(&unclear),
        &format!("read read_candidate GET /v3.1/sales_invoices/{NEW}?mark_as_sent=false"),
    );
    let alone = |body: String| [unclear.clone(), answer("read_candidate", 200, body)];
    check(&alone(ours()), &done);
    check(&alone(candidate("MAG-000000042", "25", "")), foreign);
    check(&alone(format!(r#"{{"id":"{NEW}"}}"#)), foreign);
    check(&[unclear.clone(), answer("read_candidate", 503, "")], "later book_unavailable");
    // Pages, to the end or to where the search ends.
    let more = |items: &[String]| answer("candidates", 200, page(items, r#""/sales_invoices?page=2""#));
    check(&[more(&[])], &ask(2));
    check(&[more(&[]), listed("candidates", &[ours()])], &done);
    check(&vec![more(&[]); 30], "refused search_too_long");
    // No list.
    check(&[answer("candidates", 200, "{}")], "later book_unavailable");
    check(&[answer("candidates", 200, "[]")], "later book_unavailable");
    check(&[answer("candidates", 200, "<html>")], "later book_unavailable");
    check(&[answer("candidates", 525, "<html>")], "later book_unavailable");
    check(&[answer("candidates", 429, "")], "later book_rate_limited");
    check(&[answer("something_else", 200, "{}")], "broken unexpected");

    // A payment is not a refund, and neither is another's.
    let paid = |item: String| find(&Document::Payment(payment()), &one(item));
    let receipt = candidate("MAG-000000042-P", "24", r#","transaction_type":{"id":"CUSTOMER_RECEIPT"}"#);
    assert_eq!(paid(receipt.clone()), format!("done {NEW} MAG-000000042-P 24"));
    assert_eq!(paid(receipt.replace("RECEIPT", "REFUND")), "done nothing");
    assert_eq!(paid(receipt.replace(CONTACT, NOTE)), foreign);

    // An allocation is ours by its two sides and its amount.
    let set_off = |amount: &str, credit_note: &str| {
        let item = format!(
            r#"{{"id":"{NEW}","allocated_artefacts":[{{"artefact":{{"id":"{INVOICE}"}},"amount":{amount}}},{{"artefact":{{"id":"{credit_note}"}},"amount":"-12.0"}}]}}"#
        );
        find(&Document::Allocation(allocation()), &one(item))
    };
    assert_eq!(set_off("\"12.0\"", NOTE), format!("done {NEW} MAG-CN-000000007-A 12"));
    assert_eq!(set_off("11", NOTE), "done nothing");
    assert_eq!(set_off("12", NEW), "done nothing");
    let bare = find(&Document::Allocation(allocation()), &one(format!(r#"{{"id":"{NEW}"}}"#)));
    assert_eq!(bare, format!("read read_candidate GET /v3.1/contact_allocations/{NEW}"));
}

#[test]
fn a_contact_is_ours_by_code_or_address_and_currency_never_by_name() {
    let document = Document::Contact(jane());
    let code = |variant| jane().code(variant);
    let by_code = |items: &[String]| listed("contact_by_code", items);
    let by_email = |items: &[String]| listed("contact_by_email", items);
    let taken = answer("create_contact", 422, complaint("reference", "has already been taken"));
    let check = |replies: &[Labelled], expected: &str| {
        let found = find(&document, replies);
        assert!(found.starts_with(expected), "{replies:?}: {found}");
        // Posting makes the same search first, and a refusal of the code after it means the next one.
        let posted = post(&document, replies);
        if found == "done nothing" {
            assert_eq!(posted, "create create_contact POST /v3.1/contacts");
            let strangers = u8::try_from(replies.len()).unwrap().saturating_sub(2);
            assert!(body(&document, &Start::Fresh, replies).contains(&code(strangers)));
            let seen = [replies, std::slice::from_ref(&taken)].concat();
            assert!(body(&document, &Start::Fresh, &seen).contains(&code(strangers + 1)));
        } else {
            assert_eq!(posted, found);
        }
    };
    let item = |reference: &str, email: &str, more: &str| {
        format!(
            r#"{{"id":"{CONTACT}","name":"Jane O'Hara","reference":"{reference}","email":{email},"currency":{{"id":"GBP"}}{more}}}"#
        )
    };
    let (mine, address) = (code(0), "\"jane@example.com\"");
    let done = format!("done {CONTACT} - ?");
    let archived = "refused contact_archived";
    check(&[], &format!("read contact_by_code GET /v3.1/contacts?search={mine}&"));
    check(&[by_code(&[item(&mine, address, "")])], &done);
    check(&[by_code(&[item(&mine, "\" JANE@example.COM \"", ",\"is_active\":true")])], &done);
    let person = item(&mine, "null", r#","main_contact_person":{"email":"jane@example.com"}"#);
    check(&[by_code(&[person])], &done);
    check(&[by_code(&[])], "read contact_by_email GET /v3.1/contacts?email=jane@example.com&");
    check(&[by_code(&[]), by_email(&[item("OLD-7", address, "")])], &done);
    check(&[by_code(&[]), by_email(&[])], "done nothing");
    // A namesake, another currency, another address, a system contact: filters of the book are not relied upon.
    let namesake = item("OTHER", "\"other@example.com\"", "");
    check(&[by_code(std::slice::from_ref(&namesake)), by_email(std::slice::from_ref(&namesake))], "done nothing");
    let euro = item("OLD-7", address, "").replace("GBP", "EUR");
    check(&[by_code(&[]), by_email(&[euro])], "done nothing");
    let system = item("OLD-7", address, ",\"system\":true");
    check(&[by_code(&[]), by_email(&[system])], "done nothing");
    // A stranger has our code: the next one is looked for too.
    let stranger = item(&mine, "\"other@example.com\"", "");
    check(
        &[by_code(std::slice::from_ref(&stranger))],
        &format!("read contact_by_code GET /v3.1/contacts?search={}&", code(1)),
    );
    check(&[by_code(std::slice::from_ref(&stranger)), by_code(&[item(&code(1), address, "")])], &done);
    check(&[by_code(&[stranger]), by_code(&[]), by_email(&[])], "done nothing");
    // A supplier of the same address is no customer.
    let typed = |kind: &str| item("OLD-7", address, &format!(r#","contact_types":[{{"id":"{kind}"}}]"#));
    check(&[by_code(&[]), by_email(&[typed("VENDOR")])], "done nothing");
    check(&[by_code(&[]), by_email(&[typed("VENDOR"), typed("CUSTOMER")])], &done);
    // Not usable any more.
    for gone in [",\"is_active\":false", ",\"gdpr_obfuscated\":true", ",\"deleted_at\":\"2026-01-01T00:00:00Z\""] {
        check(&[by_code(&[item(&mine, address, gone)]), by_email(&[])], archived);
        check(&[by_code(&[]), by_email(&[item("OLD-7", address, gone)])], archived);
        check(&[by_code(&[]), by_email(&[item("OLD-7", address, gone), item("OLD-8", address, "")])], &done);
    }
    // An edition with one currency shows none.
    check(&[by_code(&[item(&mine, address, "").replace(r#"{"id":"GBP"}"#, "null")])], &done);
    // A list that does not say enough: the contact itself is read.
    let bare = by_code(&[format!(r#"{{"id":"{CONTACT}","displayed_as":"Jane O'Hara"}}"#)]);
    check(
        std::slice::from_ref(&bare),
        &format!("read read_contact GET /v3.1/contacts/{CONTACT}?nested_attributes=all"),
    );
    check(&[bare.clone(), answer("read_contact", 200, item(&mine, address, ""))], &done);
    let other = answer("read_contact", 200, item("OTHER", address, ""));
    assert_eq!(find(&document, &[bare.clone(), other, by_email(&[])]), "done nothing");
    check(&[bare, answer("read_contact", 500, "")], "later book_unavailable");
    check(&[answer("contact_by_code", 504, "<html>")], "later book_unavailable");

    // The contact that the settings name by its reference is that one, in its currency.
    let mut many = jane();
    many.reference = Some("WEBSALES".to_owned());
    let many = Document::Contact(many);
    let named = item("WEBSALES", "null", "");
    assert_eq!(find(&many, &[by_code(std::slice::from_ref(&named))]), done);
    let euro = by_code(&[named.replace("GBP", "EUR")]);
    assert!(find(&many, &[euro]).starts_with(&format!("read contact_by_code GET /v3.1/contacts?search={}&", code(1))));

    // Three refusals end it; so does any other.
    let after = |replies: &[Labelled]| post(&document, &[&unknown(&document), replies].concat());
    assert_eq!(after(&vec![taken; 3]), "refused reference_taken");
    let invalid = answer("create_contact", 422, complaint("main_contact_person.email", "is invalid"));
    assert_eq!(after(&[invalid]), "refused book_refused [main_contact_person.email]");
    let untyped =
        answer("create_contact", 422, complaint("main_contact_person.contact_person_type_ids", "can't be blank"));
    assert_eq!(after(std::slice::from_ref(&untyped)), "create create_contact POST /v3.1/contacts");
    // The word is not the book's: its own lists are asked, first by first, and nothing else is tried.
    let address_types = listed("address_types", &[r#"{"id":"7","displayed_as":"Delivery"}"#.to_owned()]);
    let person_types = listed("contact_person_types", &[]);
    let types = r#"{"id":"9","displayed_as":"Accounts"}"#.to_owned();
    let twice = [untyped.clone(), untyped.clone()];
    assert!(after(&twice).starts_with("read address_types GET /v3.1/address_types?"), "{}", after(&twice));
    let asked = [twice.as_slice(), std::slice::from_ref(&address_types)].concat();
    assert!(after(&asked).starts_with("read contact_person_types GET /v3.1/contact_person_types?"));
    assert!(after(&[asked.as_slice(), &[person_types]].concat()).starts_with("refused book_refused"));
    let asked = [asked, vec![listed("contact_person_types", &[types])]].concat();
    assert_eq!(after(&asked), "create create_contact POST /v3.1/contacts");
    assert!(after(&[asked, vec![untyped]].concat()).starts_with("refused book_refused"));
    let made = answer("create_contact", 201, format!(r#"{{"id":"{CONTACT}"}}"#));
    assert_eq!(after(&[made]), done);
    assert_eq!(start(&document, &Start::Linked(linked(CONTACT)), &[]), done);
}

#[test]
fn what_the_shop_changed_is_changed_in_the_book() {
    let contact = Document::Contact(jane());
    let from = Start::Outdated(linked(CONTACT));
    let check = |status: u16, body: &str, expected: &str| {
        assert_eq!(start(&contact, &from, &[answer("update_contact", status, body)]), expected, "{status} {body}");
    };
    check(200, "{}", &format!("done {CONTACT} - ?"));
    check(200, &complaint("name", "is invalid"), "refused book_refused [name]");
    check(404, &complaint("", "Couldn't find Contact"), "refused contact_unknown");
    check(404, "[]", "refused contact_unknown");
    check(404, "<html>", DOUBTFUL);
    check(422, &complaint("name", "is invalid"), "refused book_refused [name]");
    check(503, "", DOUBTFUL);
    check(429, "", "later book_rate_limited");
    let untyped = complaint("main_address.address_type_id", "can't be blank");
    check(422, &untyped, &format!("change update_contact PUT /v3.1/contacts/{CONTACT}"));
    let untyped = answer("update_contact", 422, untyped);
    assert!(body(&contact, &from, std::slice::from_ref(&untyped)).contains("ACCOUNTS"));
    assert!(start(&contact, &from, &[untyped.clone(), untyped]).starts_with("read address_types GET "));
    let product = Document::Product(mug());
    let id = format!("products/{NEW}");
    let from = Start::Outdated(linked(&id));
    assert_eq!(start(&product, &from, &[answer("update_product", 200, "{}")]), format!("done {id} - ?"));
    let priced = answer("update_product", 422, complaint("sales_prices", "is invalid"));
    let types = listed("price_types", &[]);
    let path = format!("change update_product PUT /v3.1/products/{NEW}");
    assert_eq!(start(&product, &from, &[priced, types]), path);
    assert_eq!(start(&product, &Start::Outdated(linked("products/7")), &[]), "broken unexpected");
    // Nothing else is ever brought up to date.
    let known = Posted { total: Some(amount("24")), ..linked(INVOICE) };
    assert_eq!(start(&Document::Invoice(invoice()), &Start::Outdated(known), &[]), format!("done {INVOICE} - 24"));
}

#[test]
fn a_product_is_known_by_its_code_wherever_it_is() {
    let document = Document::Product(mug());
    let list = |items: &[String]| listed("products_by_code", items);
    let item = |code: &str, more: &str| format!(r#"{{"id":"{NEW}","item_code":"{code}","active":false{more}}}"#);
    let check = |replies: &[Labelled], expected: &str| assert_eq!(find(&document, replies), expected, "{replies:?}");
    check(&[list(&[item("MUG-BLUE", "")])], &format!("done products/{NEW} MUG-BLUE ?"));
    check(&[list(&[]), list(&[item("MUG-BLUE", "")])], &format!("done services/{NEW} MUG-BLUE ?"));
    check(&[list(&[]), list(&[]), list(&[item("MUG-BLUE", "")])], &format!("done stock_items/{NEW} MUG-BLUE ?"));
    let others = list(&[item("MUG-BLUE-XL", ""), item("mug-blue", ""), item("MUG-BLUE", r#","deleted_at":"x""#)]);
    check(&[others, list(&[]), list(&[])], "done nothing");
    check(&[answer("products_by_code", 500, "")], "later book_unavailable");
    let taken = answer("create_product", 422, complaint("item_code", "has already been taken"));
    let before = list(&[item("MUG-BLUE", "")]);
    assert_eq!(post(&document, &[before]), format!("done products/{NEW} MUG-BLUE ?"));
    let asked = unknown(&document);
    let after = |replies: &[Labelled]| post(&document, &[&asked, std::slice::from_ref(&taken), replies].concat());
    assert!(after(&[]).starts_with("read products_by_code GET /v3.1/services?"));
    assert_eq!(after(&[list(&[item("MUG-BLUE", "")])]), format!("done services/{NEW} MUG-BLUE ?"));
    assert_eq!(after(&[list(&[]), list(&[])]), "refused reference_taken [item_code]");
    let made = answer("create_product", 201, format!(r#"{{"id":"{NEW}"}}"#));
    assert_eq!(post(&document, &[&asked[..], &[made]].concat()), format!("done products/{NEW} MUG-BLUE ?"));
    let account = answer("create_product", 422, complaint("purchase_ledger_account_id", "is invalid"));
    assert_eq!(
        post(&document, &[&asked[..], &[account]].concat()),
        "refused category_unknown [purchase_ledger_account_id]"
    );
}

#[test]
fn stock_is_read_and_moved() {
    let id = format!("stock_items/{NEW}");
    let stock = |id: &str, seen: &[Labelled]| {
        step(Sage.stock(id, &context(), seen), |it| {
            it.map_or_else(|| "none".to_owned(), |it| it.normalize().to_string())
        })
    };
    let read = |status, body: &str| stock(&id, &[answer("read_stock_item", status, body)]);
    assert_eq!(stock(&id, &[]), format!("read read_stock_item GET /v3.1/stock_items/{NEW}"));
    assert_eq!(stock(&format!("products/{NEW}"), &[]), "done none");
    assert_eq!(stock("stock_items/7", &[]), "done none");
    assert_eq!(read(200, r#"{"quantity_in_stock":"7.0"}"#), "done 7");
    assert_eq!(read(200, r#"{"quantity_in_stock":-2.5}"#), "done -2.5");
    assert_eq!(read(200, r#"{"quantity_in_stock":null}"#), "done 0");
    assert_eq!(read(200, "{}"), "later book_unavailable");
    assert_eq!(read(200, r#"{"quantity_in_stock":"many"}"#), "later book_unavailable");
    assert_eq!(read(404, "[]"), "refused book_refused");

    let document = Document::StockMovement(movement());
    let list = |items: &[String]| find(&document, &[listed("stock_movements_by_reference", items)]);
    let item = |reference: &str, details: &str, quantity: &str| {
        format!(
            r#"{{"id":"{NEW}","reference":{reference},"details":"{details}","quantity":{quantity},"stock_item":{{"id":"{NEW}"}}}}"#
        )
    };
    let done = format!("done {NEW} MAG-STOCK-9-3 ?");
    assert_eq!(list(&[]), "done nothing");
    assert_eq!(list(&[item("\"MAG-STOCK-9-3\"", "", "\"-3.0\"")]), done);
    assert_eq!(list(&[item("null", "Stock as in the shop, MAG-STOCK-9-3", "-3")]), done);
    assert_eq!(list(&[item("\"MAG-STOCK-9-33\"", "Stock as in the shop, MAG-STOCK-9-33", "-3")]), "done nothing");
    assert_eq!(list(&[item("\"MAG-STOCK-9-3\"", "", "3")]), "refused reference_taken");
    let made = answer("create_stock_movement", 201, format!(r#"{{"id":"{NEW}"}}"#));
    assert_eq!(post(&document, &[made]), done);
    let refused = answer("create_stock_movement", 422, complaint("quantity", "must be greater than 0"));
    assert_eq!(post(&document, &[refused]), "refused book_refused [quantity]");
    let mut uncosted = movement();
    uncosted.cost = None;
    let uncosted = Document::StockMovement(uncosted);
    assert_eq!(post(&uncosted, &[answer("read_stock_item", 500, "")]), "later book_unavailable");
    let cost = |item: &str| body(&uncosted, &Start::Fresh, &[answer("read_stock_item", 200, item)]);
    assert!(cost(r#"{"average_cost_price":"0.0","last_cost_price":"2.5"}"#).contains(r#""cost_price":2.5"#));
    assert!(cost("{}").contains(r#""cost_price":0"#));
}

#[test]
fn a_balance_says_where_a_document_stands() {
    let check = |kind: Kind, status: u16, body: &str, expected: &str| {
        let result = Sage.balance(kind, INVOICE, &context(), &[answer("read_balance", status, body)]);
        let shown = step(result, |it| {
            let standing = match it.standing {
                Standing::Unapproved => "unapproved",
                Standing::Approved => "approved",
                Standing::Withdrawn => "withdrawn",
            };
            format!("{standing} {}", it.outstanding)
        });
        assert_eq!(shown, expected, "{status} {body}");
    };
    let with = |status: &str, outstanding: &str| {
        format!(r#"{{"id":"{INVOICE}","status":{{"id":"{status}"}},"outstanding_amount":{outstanding}}}"#)
    };
    let sale = Kind::Invoice;
    check(sale, 200, &with("UNPAID", "\"24.0\""), "done approved 24");
    check(sale, 200, &with("PART_PAID", "4.5"), "done approved 4.5");
    check(sale, 200, &with("PAID", "\"0.0\""), "done approved 0");
    check(sale, 200, &with("DISPUTED", "24"), "done approved 24");
    check(sale, 200, &with("DRAFT", "24"), "done unapproved 24");
    check(sale, 200, &with("PRO_FORMA", "24"), "done unapproved 24");
    check(sale, 200, &with("VOID", "null"), "done withdrawn 0");
    check(sale, 200, &with("PAID", "0,\"deleted_at\":\"2026-11-20T00:00:00Z\""), "done withdrawn 0");
    check(Kind::CreditNote, 200, &with("UNPAID", "\"-12.0\""), "done approved 12");
    check(sale, 200, &with("UNPAID", "null"), "later book_unavailable");
    check(sale, 200, r#"{"outstanding_amount":24}"#, "later book_unavailable");
    check(sale, 200, "<html>", "later book_unavailable");
    let gone = r#"[{"$severity":"error","$dataCode":"RecordNotFound","$message":"no","$source":""}]"#;
    check(sale, 404, gone, "done withdrawn 0");
    check(sale, 404, "[]", "refused book_refused");
    check(sale, 404, "<html>", "later book_unavailable");
    check(sale, 401, "[]", "reconnect needs_reconnect");
    check(Kind::Payment, 200, "{}", "broken unexpected");
    let odd = Sage.balance(sale, "../../x", &context(), &[]);
    assert_eq!(fault(&odd.unwrap_err()), "broken unexpected");
}

#[test]
fn pages_become_entries() {
    let read = |of, body: &str| {
        let reply = Reply { status: 200, body: body.as_bytes().to_vec(), ..Reply::default() };
        Sage.read_page(of, &context(), &reply)
    };
    let first = |of, item: &str| {
        let page = read(of, &page(&[item.to_owned()], "null")).unwrap();
        assert_eq!(page.next, None);
        page.entries.into_iter().next().unwrap()
    };
    let entry =
        |id: &str, name: &str| Entry { id: id.to_owned(), name: name.to_owned(), active: true, ..Entry::default() };

    let rate =
        first(Reference::TaxRates, r#"{"id":"GB_STANDARD","displayed_as":"Standard 20.00%","percentage":"20.0"}"#);
    let country = Some("GB".to_owned());
    assert_eq!(rate, Entry { rate: Some(decimal("20")), country, ..entry("GB_STANDARD", "Standard 20.00%") });
    let hidden =
        first(Reference::TaxRates, &format!(r#"{{"id":"{NEW}","name":"Own","is_visible":false,"percentage":null}}"#));
    assert_eq!(hidden, Entry { active: false, ..entry(NEW, "Own") });
    let account = first(
        Reference::Accounts,
        &format!(
            r#"{{"id":"{SALES}","displayed_as":"Sales (4000)","ledger_account_type":{{"id":"SALES","displayed_as":"Sales"}}}}"#
        ),
    );
    assert_eq!(account, Entry { group: Some("Sales".to_owned()), ..entry(SALES, "Sales (4000)") });
    let bank = first(
        Reference::BankAccounts,
        &format!(r#"{{"id":"{BANK}","displayed_as":"Current","currency":{{"id":"GBP"}},"is_active":false}}"#),
    );
    assert_eq!(bank, Entry { active: false, currency: Some(currency("GBP")), ..entry(BANK, "Current") });
    let euro = first(Reference::Currencies, r#"{"id":"EUR","displayed_as":"Euro (EUR)"}"#);
    assert_eq!(euro, Entry { currency: Some(currency("EUR")), ..entry("EUR", "Euro (EUR)") });

    // The next page, by whatever the list names it by.
    let next = |body: &str| read(Reference::Currencies, body).map(|page| page.next).map_err(|it| fault(&it));
    let list = |page: &str, next: &str| format!(r#"{{"$page":{page},"$next":{next},"$items":[{{"nameless":1}}]}}"#);
    assert_eq!(next(&list("1", "null")), Ok(None));
    assert_eq!(next(&list("1", r#""/currencies?items_per_page=100&page=2""#)), Ok(Some("2".to_owned())));
    assert_eq!(next(&list("\"4\"", r#""/currencies?after=x""#)), Ok(Some("5".to_owned())));
    assert_eq!(next(&list("null", r#""/currencies?after=x""#)), Err("later book_unavailable".to_owned()));
    assert_eq!(next("{}"), Err("later book_unavailable".to_owned()));

    // The business itself.
    let settings = r#"{"base_currency":{"id":"GBP"},"year_end_lockdown_date":"2026-03-31","tax_number":"GB123","multi_currency_enabled":true}"#;
    let organisation = Entry {
        currency: Some(currency("GBP")),
        country: Some("GB".to_owned()),
        sales_tax_registered: Some(true),
        locked_until: Some("2026-03-31".parse().unwrap()),
        ..entry(BUSINESS, "")
    };
    assert_eq!(read(Reference::Organisation, settings).unwrap().entries, [organisation]);
    let small = r#"{"base_currency":{"id":"XTS"},"year_end_lockdown_date":null,"tax_number":null}"#;
    let page_of_small = read(Reference::Organisation, small).unwrap();
    let expected = Entry { currency: Some(currency("XTS")), sales_tax_registered: Some(false), ..entry(BUSINESS, "") };
    assert_eq!(page_of_small.entries, [expected]);
    assert!(read(Reference::Organisation, "{}").is_err());
    // Before one is chosen, those that there are.
    let body =
        page(&[format!(r#"{{"id":"{BUSINESS}","displayed_as":"Jane's Mugs","country":{{"id":"IE"}}}}"#)], "null");
    let reply = Reply { status: 200, body: body.into_bytes(), ..Reply::default() };
    let businesses = Sage.read_page(Reference::Organisation, &Context::default(), &reply).unwrap();
    assert_eq!(businesses.entries, [Entry { country: Some("IE".to_owned()), ..entry(BUSINESS, "Jane's Mugs") }]);
}

#[test]
fn evidence_is_kept_and_what_is_logged_of_it_is_clean() {
    let reply = |status: u16, body: &str| Reply {
        status,
        retry_after_seconds: Some(60),
        request_id: Some("req-9".to_owned()),
        body: body.as_bytes().to_vec(),
        ..Reply::default()
    };
    let refused = Sage.classify(&reply(422, &complaint("line_items[0].quantity", "no")), true);
    assert_eq!(refused.evidence.status, Some(422));
    assert_eq!(refused.evidence.field.as_deref(), Some("line_items[0].quantity"));
    assert_eq!(refused.evidence.provider_code.as_deref(), Some("RecordInvalid"));
    assert_eq!(refused.evidence.request_id.as_deref(), Some("req-9"));
    assert!(refused.evidence.provider_text.is_some_and(|text| text.contains("quantity")));
    assert!(refused.message.contains("quantity"));

    let personal = r#"[{"$dataCode":"Jane O'Hara","$message":"jane@example.com is odd","$source":"jane@example.com"}]"#;
    let refused = Sage.classify(&reply(422, personal), true);
    assert_eq!((refused.evidence.field, refused.evidence.provider_code), (None, None));
    assert!(!refused.message.contains("jane"));

    let long = Sage.classify(&reply(422, &"é".repeat(2_000)), true);
    assert_eq!(long.evidence.provider_text.map(|text| text.chars().count()), Some(500));
    assert_eq!(fault(&Sage.classify(&reply(429, ""), true)), "later 60 book_rate_limited");
    assert_eq!(fault(&Sage.classify(&reply(503, ""), false)), "later 60 book_unavailable");
    assert_eq!(fault(&Sage.classify(&reply(503, ""), true)), DOUBTFUL);
}
