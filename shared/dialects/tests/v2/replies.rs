//! What every reply means.

use crate::CONTACT;
use crate::fixtures::{answer, context, credit_note, fault, jane, plain, posted, step};
use ledger_dialects::v2::V2;
use ledger_dialects::{Dialect, Labelled, Reply, Start};
use ledger_domain::amount::Amount;
use ledger_domain::document::{Document, Posted};

const INVOICE: &str = "https://api.xero.com/v2/invoices/7";
const TAKEN: &str = r#"{"errors":[{"field":"reference","message":"reference has already been taken"}]}"#;
/// The number is taken, and not among the contact's.
const ABSENT: &str = "refused reference_taken [reference]";
const EMAIL_TAKEN: &str = r#"{"errors":[{"field":"email","message":"email has already been taken"}]}"#;

fn post(document: &Document, seen: &[Labelled]) -> String {
    step(V2.post(document, &context(), &Start::Fresh, seen), posted)
}

fn find(document: &Document, seen: &[Labelled]) -> String {
    step(V2.find(document, &context(), seen), |found| found.as_ref().map_or_else(|| "nothing".to_owned(), posted))
}

fn created(status: u16, body: &str) -> Labelled {
    answer("create_invoice", status, body)
}

fn listed(entries: &[String]) -> Labelled {
    answer("invoices_of_contact", 200, format!(r#"{{"invoices":[{}]}}"#, entries.join(",")))
}

fn entry(reference: &str, total: &str, more: &str) -> String {
    format!(
        r#"{{"url":"{INVOICE}","reference":"{reference}","contact":"{CONTACT}","currency":"GBP","total_value":{total}{more}}}"#
    )
}

fn ours() -> String {
    entry("MAG-000000042", "\"24.0\"", r#","status":"Open""#)
}

fn others(count: usize) -> Vec<String> {
    (0..count).map(|at| entry(&format!("OTHER-{at}"), "1", "")).collect()
}

#[test]
fn a_create_is_done_only_by_a_url_of_the_bindings_own() {
    let check = |status: u16, body: &str, expected: &str| {
        assert_eq!(post(&plain(), &[created(status, body)]), expected, "{status} {body}");
        let named = V2.created(&plain(), &context(), &created(status, body)).is_some();
        assert_eq!(named, expected.starts_with("done") || expected.starts_with("read read_total"), "{status} {body}");
    };
    let done = format!("done {INVOICE} MAG-000000042 24");
    let asked = "read read_total GET /v2/invoices/7";
    let doubtful = "doubtful write_in_doubt";
    let with = |total: &str| format!(r#"{{"invoice":{{"url":"{INVOICE}","total_value":{total}}}}}"#);
    check(201, &with("\"24.0\""), &done);
    check(200, &with("24.00"), &done);
    check(201, &with("\"24.000000\""), &done);
    check(
        201,
        &format!(r#"{{"invoice":{{"exchange_rate":"1.0","url":"{INVOICE}","total_value":24,"x":[{{}}]}}}}"#),
        &done,
    );
    check(201, &with("\"24.0\"").replace("}}", r#"},"errors":[],"error":null}"#), &done);
    check(201, &with("null"), asked);
    check(201, &with("\"lots\""), asked);
    check(201, &with("{\"value\":24}"), asked);
    check(201, &format!(r#"{{"invoice":{{"url":"{INVOICE}"}}}}"#), asked);
    check(201, r#"{"invoice":{"url":"/v2/invoices/7"}}"#, asked);
    // Anything else that looks like success may or may not be one.
    check(202, &with("24"), doubtful);
    check(204, "", doubtful);
    check(201, "", doubtful);
    check(201, "{}", doubtful);
    check(201, "null", doubtful);
    check(201, "<html>", doubtful);
    check(201, r#"{"invoice":{"url":7}}"#, doubtful);
    check(201, r#"{"invoice":{"url":null}}"#, doubtful);
    check(201, r#"{"contact":{"url":"https://api.xero.com/v2/invoices/7"}}"#, doubtful);
    check(201, r#"{"invoice":{"url":"//evil.example/v2/invoices/7"}}"#, doubtful);
    check(201, r#"{"invoice":{"url":"https://evil.example/v2/invoices/7"}}"#, doubtful);
    check(201, r#"{"invoice":{"url":"https://api.xero.com/v2/contacts/7"}}"#, doubtful);
    check(201, r#"{"invoice":{"url":"https://api.xero.com/v2/invoices/7","total"#, doubtful);
    check(200, r#"{"errors":[{"message":"no"}]}"#, doubtful);
    check(200, &with("24").replace("}}", r#"},"errors":[{"message":"no"}]}"#), doubtful);
    check(201, &with("24").replace("}}", r#"},"error":"no"}"#), doubtful);
}

#[test]
fn a_refused_create_says_why() {
    let check = |status: u16, body: &str, expected: &str| {
        assert_eq!(post(&plain(), &[created(status, body)]), expected, "{status} {body}");
        assert_eq!(V2.created(&plain(), &context(), &created(status, body)), None);
    };
    let complaint =
        |field: &str, message: &str| format!(r#"{{"errors":[{{"field":"{field}","message":"{message}"}}]}}"#);
    check(422, &complaint("category", "is not included in the list"), "refused category_unknown [category]");
    check(
        422,
        &complaint("invoice_items[0].category", "category must exist"),
        "refused category_unknown [invoice_items[0].category]",
    );
    check(
        422,
        &complaint("invoice_items.sales_tax_rate", "sales_tax_rate is invalid"),
        "refused tax_rate_unmapped [invoice_items.sales_tax_rate]",
    );
    check(422, &complaint("contact", "contact must exist"), "refused contact_unknown [contact]");
    check(
        422,
        &complaint("payment_terms_in_days", "payment_terms_in_days is not a number"),
        "refused book_refused [payment_terms_in_days]",
    );
    check(422, &complaint("reference", "reference is too long"), "refused book_refused [reference]");
    check(
        422,
        r#"{"errors":[{"field":"dated_on","message":"no"},{"field":"contact","message":"contact must exist"}]}"#,
        "refused contact_unknown [contact]",
    );
    check(422, r#"{"errors":{"category":["is not one"]}}"#, "refused category_unknown [category]");
    check(422, r#"{"errors":{"error":{"message":"Category is not one"}}}"#, "refused category_unknown");
    check(422, r#"{"errors":"contact must exist"}"#, "refused contact_unknown");
    check(422, r#"{"errors":["sales tax rate is unknown"]}"#, "refused tax_rate_unmapped");
    check(422, r#""Validation failed: category is not one""#, "refused category_unknown");
    check(422, "Validation failed: payment_terms_in_days is not a number", "refused book_refused");
    check(422, r#"{"errors":[{"field":"Jane O'Hara <jane@example.com>","message":"no"}]}"#, "refused book_refused");
    check(422, r#"{"errors":[{"fie"#, "refused book_refused");
    check(422, "", "refused book_refused");
    check(400, r#"{"error":"bad_request"}"#, "refused book_refused");
    check(403, "Forbidden", "refused book_refused");
    check(403, r#"{"errors":[{"message":"Invoice is locked."}]}"#, "refused period_locked");
    check(404, r#"{"errors":{"error":{"message":"Resource not found"}}}"#, "refused book_refused");
    check(409, "{}", "refused book_refused");
    check(401, r#"{"errors":{"error":{"message":"Access token not recognised"}}}"#, "reconnect needs_reconnect");
    check(429, "You must not exceed 120 requests per 60 seconds", "later book_rate_limited");
    // Not the book's own words, or none at all.
    for status in [300, 302, 304, 402, 405, 408, 410, 418, 425, 500, 502, 503, 504, 599, 999] {
        check(status, r#"{"errors":[{"message":"no"}]}"#, "doubtful write_in_doubt");
    }
    for status in [400, 403, 404, 409, 422] {
        check(status, " <!DOCTYPE html><title>nginx</title>", "doubtful write_in_doubt");
    }
}

#[test]
fn a_taken_number_is_adopted_only_where_it_is_ours() {
    let taken = created(422, TAKEN);
    let check = |replies: &[Labelled], expected: &str| {
        let seen: Vec<Labelled> = std::iter::once(taken.clone()).chain(replies.iter().cloned()).collect();
        assert_eq!(post(&plain(), &seen), expected, "{replies:?}");
        // Looking for it comes to the same, but that nothing is an answer then.
        let found = find(&plain(), replies);
        assert_eq!(if found == "done nothing" { ABSENT } else { &found }, expected, "{replies:?}");
    };
    let page = |page: usize| {
        format!("read invoices_of_contact GET /v2/invoices?contact={CONTACT}&sort=-created_at&per_page=100&page={page}")
    };
    let done = format!("done {INVOICE} MAG-000000042 24");
    let foreign = "refused reference_taken";
    check(&[], &page(1));
    check(&[listed(&[])], ABSENT);
    check(&[listed(&[ours()])], &done);
    check(&[listed(&[entry("OTHER", "24", ""), ours()])], &done);
    check(&[listed(&[entry(" MAG-000000042 ", "24", "")])], &done);
    check(&[listed(&[entry("mag-000000042", "24", "")])], ABSENT);
    check(&[listed(&[entry("MAG-000000042", "24.01", "")])], foreign);
    check(&[listed(&[entry("MAG-000000042", "\"24\"", r#","status":"Cancelled""#)])], foreign);
    check(&[listed(&[entry("MAG-000000042", "\"24\"", r#","status":"Written-off""#)])], foreign);
    check(&[listed(&[entry("MAG-000000042", "\"24\"", r#","status":"Part written-off""#)])], foreign);
    check(&[listed(&[entry("MAG-000000042", "\"24\"", r#","status":"Paid""#)])], &done);
    check(&[listed(&[entry("MAG-000000042", "24", "").replace("GBP", "EUR")])], foreign);
    check(&[listed(&[entry("MAG-000000042", "24", "").replace("contacts/2", "contacts/3")])], foreign);
    check(&[listed(&[entry("MAG-000000042", "24", "").replace("invoices/7", "others/7")])], "broken answer_unknown");
    // One withdrawn, one ours.
    let withdrawn = entry("MAG-000000042", "\"24\"", r#","status":"Cancelled""#);
    check(&[listed(&[withdrawn, ours()])], &done);
    // A list that does not say enough: the invoice itself is read.
    let unclear = listed(&[format!(r#"{{"url":"{INVOICE}","reference":"MAG-000000042"}}"#)]);
    check(std::slice::from_ref(&unclear), "read read_invoice GET /v2/invoices/7");
    let alone = |it: String| answer("read_invoice", 200, format!(r#"{{"invoice":{it}}}"#));
    check(&[unclear.clone(), alone(ours())], &done);
    check(&[unclear.clone(), alone(entry("MAG-000000042", "25", ""))], foreign);
    check(&[unclear.clone(), alone(format!(r#"{{"url":"{INVOICE}"}}"#))], foreign);
    check(&[unclear, answer("read_invoice", 503, "")], "later book_unavailable");
    // Pages: the last is one that is shorter than any house makes it, or than the first.
    check(&[listed(&others(24))], ABSENT);
    check(&[listed(&others(25))], &page(2));
    check(&[listed(&others(100))], &page(2));
    check(&[listed(&others(100)), listed(&others(99))], ABSENT);
    check(&[listed(&others(100)), listed(&others(100)), listed(&[ours()])], &done);
    check(&[listed(&others(40)), listed(&others(40))], &page(3));
    check(&[listed(&others(40)), listed(&[])], ABSENT);
    check(&vec![listed(&others(100)); 30], "refused search_too_long");
    // No list.
    check(&[answer("invoices_of_contact", 200, "{}")], "later book_unavailable");
    check(&[answer("invoices_of_contact", 200, "<html>")], "later book_unavailable");
    check(&[answer("invoices_of_contact", 200, r#"{"errors":[{"message":"no"}]}"#)], "later book_unavailable");
    check(&[answer("invoices_of_contact", 504, "<html>")], "later book_unavailable");
    check(&[answer("invoices_of_contact", 429, "slow down")], "later book_rate_limited");
    check(&[answer("invoices_of_contact", 401, "{}")], "reconnect needs_reconnect");
    check(
        &[answer("invoices_of_contact", 422, r#"{"errors":[{"field":"contact","message":"contact must exist"}]}"#)],
        "refused contact_unknown [contact]",
    );
    check(&[answer("something_else", 200, "{}")], "broken unexpected");
}

#[test]
fn a_total_is_asked_for_once_and_may_stay_unknown_but_an_answer_is_needed_of_a_document_that_was_there() {
    let unread = created(201, &format!(r#"{{"invoice":{{"url":"{INVOICE}"}}}}"#));
    let linked = |total: Option<Amount>| {
        let reference = Some("MAG-000000042".to_owned());
        Start::Linked(Posted { provider_id: INVOICE.to_owned(), reference, total })
    };
    let check = |status: u16, body: &str, total: &str| {
        let reply = answer("read_total", status, body);
        let expected = format!("done {INVOICE} MAG-000000042 {total}");
        assert_eq!(post(&plain(), &[unread.clone(), reply.clone()]), expected, "{status} {body}");
        assert_eq!(step(V2.post(&plain(), &context(), &linked(None), &[reply]), posted), expected, "{status} {body}");
    };
    check(200, r#"{"invoice":{"total_value":"24.00"}}"#, "24");
    check(200, r#"{"invoice":{"total_value":24.5}}"#, "24.5");
    check(200, r#"{"invoice":{"total_value":[]}}"#, "?");
    check(200, "<html>", "?");
    // Right after the create the total may stay unknown; one that is read again may be known to be wrong.
    let refused = |status: u16, body: &str, expected: &str| {
        let reply = answer("read_total", status, body);
        let done = format!("done {INVOICE} MAG-000000042 ?");
        assert_eq!(post(&plain(), &[unread.clone(), reply.clone()]), done, "{status} {body}");
        assert_eq!(step(V2.post(&plain(), &context(), &linked(None), &[reply]), posted), expected, "{status} {body}");
    };
    refused(404, "{}", "refused book_refused");
    refused(401, "{}", "reconnect needs_reconnect");
    refused(503, "", "later book_unavailable");
    let first = |start: &Start| step(V2.post(&plain(), &context(), start, &[]), posted);
    assert_eq!(first(&linked(None)), "read read_total GET /v2/invoices/7");
    assert_eq!(first(&linked(Amount::parse("24").ok())), format!("done {INVOICE} MAG-000000042 24"));
    let moved = Start::Linked(Posted {
        provider_id: "https://elsewhere.example/v2/invoices/7".to_owned(),
        reference: None,
        total: None,
    });
    assert_eq!(first(&moved), "done https://elsewhere.example/v2/invoices/7 - ?");
}

#[test]
fn a_taken_email_address_leads_to_its_active_contact() {
    let document = Document::Contact(jane());
    let taken = answer("create_contact", 422, EMAIL_TAKEN);
    let check = |replies: &[Labelled], posted: &str, found: &str| {
        let seen: Vec<Labelled> = std::iter::once(taken.clone()).chain(replies.iter().cloned()).collect();
        assert_eq!(post(&document, &seen), posted, "{replies:?}");
        assert_eq!(find(&document, replies), found, "{replies:?}");
    };
    let contact = |id: u32, email: &str, more: &str| {
        format!(r#"{{"url":"https://api.xero.com/v2/contacts/{id}","email":{email}{more}}}"#)
    };
    let listed =
        |entries: &[String]| answer("contact_by_email", 200, format!(r#"{{"contacts":[{}]}}"#, entries.join(",")));
    let ask = "read contact_by_email GET /v2/contacts?email=jane@example.com&per_page=100&page=1";
    let next = "read contact_by_email GET /v2/contacts?email=jane@example.com&per_page=100&page=2";
    let done = |id: u32| format!("done https://api.xero.com/v2/contacts/{id} - ?");
    let archived = "refused contact_archived";
    let absent = "refused contact_archived [email]";
    let jane = r#""jane@example.com""#;
    check(&[], ask, ask);
    check(&[listed(&[contact(3, jane, "")])], &done(3), &done(3));
    check(&[listed(&[contact(3, r#"" JANE@example.COM ""#, r#","status":"Active""#)])], &done(3), &done(3));
    let hidden = contact(3, jane, r#","status":"Hidden""#);
    check(&[listed(std::slice::from_ref(&hidden))], archived, archived);
    check(&[listed(&[hidden, contact(4, jane, "")])], &done(4), &done(4));
    // The filter may be ignored, and a name is nothing.
    let namesake = contact(3, r#""other@example.com""#, r#","first_name":"Jane","last_name":"O'Hara""#);
    check(&[listed(std::slice::from_ref(&namesake))], absent, "done nothing");
    check(&[listed(&[namesake.clone(), contact(4, jane, "")])], &done(4), &done(4));
    check(&[listed(&vec![namesake; 100])], next, next);
    check(&[listed(&[contact(3, "null", ""), contact(3, "7", "")])], absent, "done nothing");
    check(&[listed(&[])], absent, "done nothing");
    let foreign = r#"{"url":"https://evil.example/v2/contacts/3","email":"jane@example.com"}"#.to_owned();
    check(&[listed(&[foreign])], "broken answer_unknown", "broken answer_unknown");
    check(&[answer("contact_by_email", 500, "")], "later book_unavailable", "later book_unavailable");

    // Said in other ways.
    for body in [
        r#"{"errors":{"email":["has already been taken"]}}"#,
        r#"{"errors":[{"message":"Email has already been taken"}]}"#,
        r#"{"errors":"Validation failed: E-mail address is already in use"}"#,
        "email has already been taken",
    ] {
        assert_eq!(post(&document, &[answer("create_contact", 422, body)]), ask, "{body}");
    }
    for body in [
        r#"{"errors":[{"field":"email","message":"email is invalid"}]}"#,
        r#"{"errors":[{"field":"first_name","message":"taken"}]}"#,
    ] {
        assert!(post(&document, &[answer("create_contact", 422, body)]).starts_with("refused book_refused"), "{body}");
    }
    let made = answer("create_contact", 201, r#"{"contact":{"url":"https://api.xero.com/v2/contacts/9"}}"#);
    assert_eq!(post(&document, std::slice::from_ref(&made)), done(9));
    assert!(V2.created(&document, &context(), &made).is_some());
    let linked = Posted { provider_id: CONTACT.to_owned(), reference: None, total: None };
    assert_eq!(step(V2.post(&document, &context(), &Start::Linked(linked), &[]), posted), done(2));
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
    let refused = V2
        .classify(&reply(422, r#"{"code":"validation_failed","errors":[{"field":"dated_on","message":"no"}]}"#), true);
    assert_eq!(refused.evidence.status, Some(422));
    assert_eq!(refused.evidence.field.as_deref(), Some("dated_on"));
    assert_eq!(refused.evidence.provider_code.as_deref(), Some("validation_failed"));
    assert_eq!(refused.evidence.request_id.as_deref(), Some("req-9"));
    assert!(refused.evidence.provider_text.is_some_and(|text| text.contains("dated_on")));
    assert!(refused.message.contains("dated_on"));

    let personal =
        r#"{"errors":[{"field":"jane@example.com","message":"jane@example.com is odd"}],"error":"Jane O'Hara"}"#;
    let refused = V2.classify(&reply(422, personal), true);
    assert_eq!((refused.evidence.field, refused.evidence.provider_code), (None, None));
    assert!(!refused.message.contains("jane"));

    let long = V2.classify(&reply(422, &"é".repeat(2_000)), true);
    assert_eq!(long.evidence.provider_text.map(|text| text.chars().count()), Some(500));

    assert_eq!(fault(&V2.classify(&reply(429, "slow down"), true)), "later 60 book_rate_limited");
    assert_eq!(fault(&V2.classify(&reply(503, ""), false)), "later 60 book_unavailable");
    assert_eq!(fault(&V2.classify(&reply(503, ""), true)), "doubtful write_in_doubt");
    assert_eq!(
        V2.classify(&reply(400, r#"{"error":"invalid_grant"}"#), false).evidence.provider_code.as_deref(),
        Some("invalid_grant")
    );
}

#[test]
fn a_credit_note_may_begin_as_a_draft_although_an_invoice_does_not() {
    let document = Document::CreditNote(credit_note());
    let at = "https://api.xero.com/v2/credit_notes/9";
    let told = |label: &'static str, status: &str| {
        let body = format!(r#"{{"credit_note":{{"url":"{at}"{status},"total_value":"-26.98"}}}}"#);
        answer(label, 201 - u16::from(label == "read_standing"), body)
    };
    let made = |status: &str| told("create_credit_note", status);
    let (draft, open) = (r#","status":"Draft""#, r#","status":"Open""#);
    let done = format!("done {at} MAG-CN-000000003 26.98");
    let change = "change mark_as_sent PUT /v2/credit_notes/9/transitions/mark_as_sent";
    assert_eq!(post(&document, &[made(open)]), done);
    assert_eq!(post(&document, &[made("")]), done);
    assert_eq!(post(&document, &[made(draft)]), change);
    assert_eq!(post(&document, &[made(draft), answer("mark_as_sent", 200, "")]), done);
    let total = document.total();
    let start =
        Start::Linked(Posted { provider_id: at.to_owned(), reference: Some("MAG-CN-000000003".to_owned()), total });
    let linked = |seen: &[Labelled]| step(V2.post(&document, &context(), &start, seen), posted);
    assert_eq!(linked(&[]), "read read_standing GET /v2/credit_notes/9");
    assert_eq!(linked(&[told("read_standing", open)]), done);
    assert_eq!(linked(&[told("read_standing", draft)]), change);
    // An invoice that says that it is a draft is one.
    let invoice = format!(r#"{{"invoice":{{"url":"{INVOICE}","status":"Draft","total_value":"24.0"}}}}"#);
    assert_eq!(
        post(&plain(), &[created(201, &invoice)]),
        "change mark_as_sent PUT /v2/invoices/7/transitions/mark_as_sent"
    );
}
