//! What every reply means.

use crate::fixtures::{
    CONTACT, CREDIT_NOTE, INVOICE, ITEM, NIL, OTHER, PAYMENT, allocation, answer, context, credit_note, documents,
    envelope, fault, find, fresh, invoice, jane, linked, payment, post, product, refund, refused, step,
};
use ledger_dialects::accounting::Accounting;
use ledger_dialects::{Dialect, Labelled, Reply, Start};
use ledger_domain::document::{Document, Kind, Standing};

const DOUBTFUL: &str = "doubtful write_in_doubt";
const UNIQUE: &str = "Invoice # must be unique.";
const NAMESAKE: &str = "The contact name Jane O'Hara is already assigned to another contact. The contact name must be unique across all active contacts.";

/// The creating call's label, list and id field, and an element that says it was created with the right total.
fn shape(document: &Document) -> (&'static str, &'static str, &'static str, String) {
    match document {
        Document::Contact(_) => ("create_contact", "Contacts", "ContactID", format!(r#""ContactID":"{CONTACT}""#)),
        Document::Product(_) => ("create_item", "Items", "ItemID", format!(r#""ItemID":"{ITEM}","Code":"MUG-BLUE""#)),
        Document::Invoice(_) => {
            ("create_invoice", "Invoices", "InvoiceID", format!(r#""InvoiceID":"{INVOICE}","Total":24.00"#))
        }
        Document::CreditNote(_) => (
            "create_credit_note",
            "CreditNotes",
            "CreditNoteID",
            format!(r#""CreditNoteID":"{CREDIT_NOTE}","Total":"10.50""#),
        ),
        Document::Payment(_) => {
            ("create_payment", "Payments", "PaymentID", format!(r#""PaymentID":"{PAYMENT}","Amount":24.00"#))
        }
        Document::Refund(_) => {
            ("create_refund", "Payments", "PaymentID", format!(r#""PaymentID":"{PAYMENT}","Amount":10.5"#))
        }
        Document::Allocation(_) => (
            "create_allocation",
            "Allocations",
            "AllocationID",
            format!(r#""Amount":10.50,"Invoice":{{"InvoiceID":"{INVOICE}","HasErrors":false,"ValidationErrors":[]}}"#),
        ),
        Document::StockMovement(_) => panic!("not posted"),
    }
}

fn after(document: &Document, status: u16, body: &str) -> String {
    let mut seen = crate::fixtures::before_create(document);
    seen.push(answer(shape(document).0, status, body));
    let said = fresh(document, &seen);
    let named = Accounting.created(document, &context(), seen.last().unwrap()).is_some();
    assert_eq!(named, said.starts_with("done") || said.starts_with("read read_total"), "{status} {body} {said}");
    said
}

#[test]
fn a_create_is_done_only_by_an_element_with_an_id_and_without_errors() {
    for document in documents() {
        let (_, list, id, element) = shape(&document);
        let check = |status: u16, body: &str, expected: &str| {
            assert_eq!(after(&document, status, body), expected, "{status} {body}");
        };
        let with = |more: &str| envelope(list, &[&format!("{{{element}{more}}}")]);
        let done = match &document {
            Document::Contact(_) => format!("done {CONTACT} - ?"),
            Document::Product(_) => format!("done {ITEM} MUG-BLUE ?"),
            Document::Invoice(_) => format!("done {INVOICE} MAG-000000042 24"),
            Document::CreditNote(_) => format!("done {CREDIT_NOTE} MAG-CN-000000009 10.5"),
            Document::Payment(_) => format!("done {PAYMENT} MAG-000000042-P 24"),
            Document::Refund(_) => format!("done {PAYMENT} MAG-CN-000000009-R 10.5"),
            Document::Allocation(_) => format!("done {CREDIT_NOTE}:{INVOICE} MAG-CN-000000009-A 10.5"),
            Document::StockMovement(_) => panic!("not posted"),
        };
        check(200, &with(""), &done);
        check(
            200,
            &with(
                r#","HasErrors":false,"HasValidationErrors":false,"StatusAttributeString":"OK","ValidationErrors":[]"#,
            ),
            &done,
        );
        check(200, &with(r#","StatusAttributeString":"WARNING","Warnings":[{"Message":"The rate looks odd"}]"#), &done);
        // A refusal that sits inside a 200.
        let nil = |more: &str| envelope(list, &[&format!(r#"{{"{id}":"{NIL}"{more}}}"#)]);
        let refused_by_book = "refused book_refused";
        check(200, &with(r#","StatusAttributeString":"ERROR""#), refused_by_book);
        check(
            200,
            &nil(r#","HasErrors":true,"ValidationErrors":[{"Message":"Email address must be valid"}]"#),
            refused_by_book,
        );
        check(200, &nil(r#","HasValidationErrors":true"#), refused_by_book);
        check(200, &nil(r#","LineItems":[{"ValidationErrors":[{"Description":"Odd"}]}]"#), refused_by_book);
        check(
            200,
            &with(
                r#","ValidationErrors":[{"Message":"Payment amount exceeds the amount outstanding on this document"}]"#,
            ),
            refused_by_book,
        );
        check(
            200,
            &nil(
                r#","ValidationErrors":[{"Message":"The document date cannot be before the period lock date, currently set at 31/03/2026"}]"#,
            ),
            "refused period_locked",
        );
        check(200, &refused("Email address must be valid"), refused_by_book);
        // An id and a complaint that nobody knows: it has to be looked for. (An allocation's id is its invoice's.)
        let odd = with(r#","HasErrors":true,"ValidationErrors":[{"Message":"Odd"}]"#);
        check(200, &odd, if matches!(document, Document::Allocation(_)) { refused_by_book } else { DOUBTFUL });
        // No element, or none that says which document it is.
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "<html>",
            "\u{7f}\u{0}",
            &envelope(list, &[]),
            &nil(""),
            &with("").replace(list, "Others"),
        ] {
            check(200, body, DOUBTFUL);
        }
        check(200, &envelope(list, &[&format!("{{{element}}}"), &format!("{{{element}}}")]), DOUBTFUL);
        check(200, &with("").replace("4000-8000", "4000+8000"), DOUBTFUL);
        check(204, &with(""), DOUBTFUL);
        check(302, &with(""), DOUBTFUL);
        check(500, &with(""), DOUBTFUL);
    }
}

#[test]
fn a_total_that_the_reply_does_not_say_is_asked_for_once() {
    for (document, path, id) in [
        (Document::Invoice(invoice()), "Invoices", INVOICE),
        (Document::CreditNote(credit_note()), "CreditNotes", CREDIT_NOTE),
        (Document::Payment(payment()), "Payments", PAYMENT),
        (Document::Refund(refund()), "Payments", PAYMENT),
    ] {
        let (label, list, field, _) = shape(&document);
        let unread =
            answer(label, 200, envelope(list, &[&format!(r#"{{"{field}":"{id}","Total":[],"Amount":{{}}}}"#)]));
        let asked = format!("read read_total GET /{path}/{id}");
        assert_eq!(fresh(&document, std::slice::from_ref(&unread)), asked);
        let linked_start = Start::Linked(linked(id, None));
        assert_eq!(post(&document, &linked_start, &[]), asked);
        let check = |status: u16, body: &str, fresh_total: &str, linked_says: &str| {
            let reply = answer("read_total", status, body);
            let number = document.number().unwrap();
            assert_eq!(fresh(&document, &[unread.clone(), reply.clone()]), format!("done {id} {number} {fresh_total}"));
            assert_eq!(post(&document, &linked_start, &[reply]), linked_says);
        };
        let total = envelope(list, &[r#"{"Total":"24.50","Amount":24.5}"#]);
        check(200, &total, "24.5", &format!("done {id} - 24.5"));
        check(200, "<html>", "?", &format!("done {id} - ?"));
        check(404, "", "?", "refused book_refused");
        check(401, "{}", "?", "reconnect needs_reconnect");
        check(503, "", "?", "later book_unavailable");
        let known = Start::Linked(linked(id, Some("24")));
        assert_eq!(post(&document, &known, &[]), format!("done {id} - 24"));
        let elsewhere = Start::Linked(linked("https://elsewhere.example/7", None));
        assert_eq!(post(&document, &elsewhere, &[]), "done https://elsewhere.example/7 - ?");
    }
}

#[test]
fn what_an_answer_to_a_write_means() {
    let document = Document::Payment(payment());
    let check = |status: u16, body: &str, expected: &str| {
        assert_eq!(after(&document, status, body), expected, "{status} {body}")
    };
    let message = |text: &str, expected: &str| {
        check(400, &refused(text), expected);
        let inside = format!(
            r#"{{"PaymentID":"{NIL}","StatusAttributeString":"ERROR","ValidationErrors":[{{"Message":"{text}"}}]}}"#
        );
        check(200, &envelope("Payments", &[&inside]), expected);
    };
    message("Payment amount exceeds the amount outstanding on this document", "refused book_refused");
    message(
        "The document date cannot be before the period lock date, currently set at 31/03/2026",
        "refused period_locked",
    );
    message("The document date cannot be before the end of year lock date", "refused period_locked");
    message("The TaxType code 'OUTPUT9' cannot be used with account code '200'.", "refused tax_rate_unmapped");
    message(
        "The TaxType code 'X' does not exist or cannot be used for this type of transaction.",
        "refused tax_rate_unmapped",
    );
    message("Account code '999' is not a valid code for this document.", "refused category_unknown");
    message(
        "Account code '200' has been archived, or deleted. It must be active in order to be used.",
        "refused category_unknown",
    );
    message("Organisation is not subscribed to currency USD", "refused book_refused");
    message("The contact is archived.", "refused contact_archived");
    message("The contact could not be found", "refused contact_unknown");
    message("The account must be of type BANK or have payments to it enabled", "refused category_unknown");
    message("Invoice # must be unique.", "refused reference_taken");
    message("You have reached the limit of invoices you can approve", "refused book_refused");
    message("Discount must not be greater than the line total", "refused book_refused");
    message("Something new", "refused book_refused");
    // A create under this key has been there before: it may be ours.
    message("Idempotency Key: 0123 is used with a different request.", DOUBTFUL);
    check(
        400,
        r#"{"Type":"ValidationException","Message":"Idempotency Key: 0123 is used with a different request."}"#,
        DOUBTFUL,
    );
    check(400, r#"{"Title":"Bad Request","Detail":"The Organisation's period is locked"}"#, "refused period_locked");
    check(400, "no", "refused book_refused");
    check(400, "", "refused book_refused");
    check(404, "", "refused book_refused");
    check(409, "{}", "refused book_refused");
    check(
        401,
        r#"{"Type":null,"Title":"Unauthorized","Status":401,"Detail":"TokenExpired: token expired"}"#,
        "reconnect needs_reconnect",
    );
    check(
        403,
        r#"{"title":"Forbidden","status":403,"detail":"AuthenticationUnsuccessful"}"#,
        "reconnect needs_reconnect",
    );
    check(429, "", "later 60 book_rate_limited");
    check(503, "The Xero API is currently offline for maintenance", DOUBTFUL);
    for status in [301, 402, 405, 408, 412, 500, 501, 502, 503, 504, 599, 999] {
        check(status, &refused("Invoice # must be unique."), DOUBTFUL);
    }
    for status in [400, 403, 404, 409, 422] {
        check(status, "\r\n <!DOCTYPE html><title>proxy</title>", DOUBTFUL);
    }
    assert!(fresh(&document, &[answer("something_else", 200, "{}")]).starts_with("broken"));
}

#[test]
fn limits_and_permissions_are_read_from_the_headers() {
    let check =
        |status: u16, headers: &[(&str, &str)], retry_after_seconds: Option<u64>, expected: &str, part: &str| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let reply = Reply { status, headers, retry_after_seconds, ..Reply::default() };
            for writes in [false, true] {
                let said = Accounting.classify(&reply, writes);
                assert_eq!(fault(&said), expected, "{reply:?}");
                assert!(said.message.contains(part), "{}", said.message);
            }
        };
    check(429, &[("x-rate-limit-problem", "minute")], Some(17), "later 17 book_rate_limited", "of the minute");
    check(429, &[("x-rate-limit-problem", "day")], Some(40_000), "later 40000 book_day_limit", "of this day");
    check(429, &[("x-rate-limit-problem", "Day")], None, "later 3600 book_day_limit", "of this day");
    check(429, &[("x-rate-limit-problem", "concurrent")], None, "later 5 book_rate_limited", "five calls");
    check(429, &[("x-rate-limit-problem", "appminute")], None, "later 60 book_rate_limited", "application");
    check(429, &[], None, "later 60 book_rate_limited", "minute");
    check(401, &[("www-authenticate", "insufficient_scope")], None, "reconnect needs_reconnect", "permission");
    check(
        401,
        &[("www-authenticate", "Bearer error=\"insufficent_scope\"")],
        None,
        "reconnect needs_reconnect",
        "permission",
    );
    check(401, &[("www-authenticate", "Bearer error=\"invalid_token\"")], None, "reconnect needs_reconnect", "grant");
}

#[test]
fn what_an_answer_to_a_question_means() {
    let check = |status: u16, body: &str, expected: &str| {
        assert_eq!(
            find(&Document::Payment(payment()), &[answer("payments_of_invoice", status, body)]),
            expected,
            "{status} {body}"
        );
    };
    check(200, "", "later book_unavailable");
    check(200, "{}", "later book_unavailable");
    check(200, r#"{"Payments":null}"#, "later book_unavailable");
    check(200, r#"{"Payments":["x"]}"#, "later book_unavailable");
    check(200, "<html>", "later book_unavailable");
    check(500, "", "later book_unavailable");
    check(503, "The Xero API is temporarily unavailable", "later book_unavailable");
    check(503, "The Organisation is offline", "later 300 book_unavailable");
    check(403, "<html>", "later book_unavailable");
    check(403, "{}", "reconnect needs_reconnect");
    check(401, "", "reconnect needs_reconnect");
    check(429, "", "later 60 book_rate_limited");
    check(400, r#"{"Type":"ValidationException","Message":"Too many records"}"#, "refused book_refused");
}

fn an_invoice(more: &str) -> String {
    format!(
        r#"{{"InvoiceID":"{INVOICE}","Type":"ACCREC","InvoiceNumber":"MAG-000000042","Contact":{{"ContactID":"{CONTACT}"}},"CurrencyCode":"GBP","Total":24.00{more}}}"#
    )
}

#[test]
fn a_taken_invoice_number_is_adopted_only_where_it_is_ours() {
    let document = Document::Invoice(invoice());
    let taken = answer("create_invoice", 400, refused(UNIQUE));
    let check = |replies: &[Labelled], expected: &str| {
        let seen: Vec<Labelled> = std::iter::once(taken.clone()).chain(replies.iter().cloned()).collect();
        let posted = if expected == "done nothing" { "refused reference_taken" } else { expected };
        assert_eq!(fresh(&document, &seen), posted, "{replies:?}");
        assert_eq!(find(&document, replies), expected, "{replies:?}");
    };
    let listed = |elements: &[String]| {
        let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
        answer("by_number", 200, envelope("Invoices", &elements))
    };
    let ours = || an_invoice(r#","Status":"AUTHORISED""#);
    let done = format!("done {INVOICE} MAG-000000042 24");
    let foreign = "refused reference_taken";
    check(&[], "read by_number GET /Invoices?InvoiceNumbers=MAG-000000042");
    check(&[listed(&[])], "done nothing");
    check(&[listed(&[ours()])], &done);
    check(&[listed(&[ours().replace("24.00", "\"24.00\"")])], &done);
    check(&[listed(&[ours().replace(CONTACT, &CONTACT.to_uppercase())])], &done);
    check(&[listed(&[ours().replace("AUTHORISED", "PAID")])], &done);
    check(&[listed(&[ours().replace("AUTHORISED", "DRAFT")])], &done);
    check(&[listed(&[ours().replace("24.00", "24.01")])], foreign);
    check(&[listed(&[ours().replace("GBP", "EUR")])], foreign);
    check(&[listed(&[ours().replace(CONTACT, OTHER)])], foreign);
    check(&[listed(&[ours().replace("AUTHORISED", "VOIDED")])], foreign);
    check(&[listed(&[ours().replace("AUTHORISED", "DELETED")])], foreign);
    // A supplier's bill with the number, and a list that was not narrowed down.
    check(&[listed(&[ours().replace("ACCREC", "ACCPAY")])], "done nothing");
    check(&[listed(&[ours().replace("ACCREC", "ACCPAY"), ours()])], &done);
    check(&[listed(&[ours().replace("MAG-", "OTHER-")])], "done nothing");
    check(&[listed(&[ours().replace("AUTHORISED", "VOIDED"), ours()])], &done);
    check(&[listed(&[ours().replace(INVOICE, NIL)])], "broken answer_unknown");
    // A list that does not say enough.
    let unclear = listed(&[format!(r#"{{"InvoiceID":"{INVOICE}","InvoiceNumber":"MAG-000000042","Contact":[]}}"#)]);
    check(std::slice::from_ref(&unclear), &format!("read read_document GET /Invoices/{INVOICE}"));
    let alone = |element: &str| answer("read_document", 200, envelope("Invoices", &[element]));
    check(&[unclear.clone(), alone(&ours())], &done);
    check(&[unclear.clone(), alone(&ours().replace("24.00", "25"))], foreign);
    check(&[unclear.clone(), alone(&format!(r#"{{"InvoiceID":"{INVOICE}"}}"#))], foreign);
    check(&[unclear.clone(), answer("read_document", 404, "")], foreign);
    check(&[unclear, answer("read_document", 503, "")], "later book_unavailable");
    check(&[answer("by_number", 500, "")], "later book_unavailable");
    // The same, said inside a 200.
    let inside = format!(
        r#"{{"InvoiceID":"{INVOICE}","StatusAttributeString":"ERROR","ValidationErrors":[{{"Message":"{UNIQUE}"}}]}}"#
    );
    let taken = answer("create_invoice", 200, envelope("Invoices", &[&inside]));
    assert_eq!(fresh(&document, &[taken.clone(), listed(&[ours()])]), done);
    assert!(Accounting.created(&document, &context(), &taken).is_none());
}

#[test]
fn a_taken_credit_note_number_is_adopted_only_where_it_is_ours() {
    let document = Document::CreditNote(credit_note());
    let ours = format!(
        r#"{{"CreditNoteID":"{CREDIT_NOTE}","Type":"ACCRECCREDIT","CreditNoteNumber":"MAG-CN-000000009","Contact":{{"ContactID":"{CONTACT}"}},"CurrencyCode":"GBP","Status":"AUTHORISED","Total":10.50}}"#
    );
    let check = |replies: &[Labelled], expected: &str| {
        assert_eq!(find(&document, replies), expected, "{replies:?}");
        for message in [UNIQUE, "Credit note number must be unique."] {
            let taken = answer("create_credit_note", 400, refused(message));
            let seen: Vec<Labelled> = std::iter::once(taken).chain(replies.iter().cloned()).collect();
            let posted = if expected == "done nothing" { "refused reference_taken" } else { expected };
            assert_eq!(fresh(&document, &seen), posted, "{replies:?}");
        }
    };
    let one = |element: &str| answer("by_number", 200, envelope("CreditNotes", &[element]));
    let done = format!("done {CREDIT_NOTE} MAG-CN-000000009 10.5");
    check(&[], "read by_number GET /CreditNotes/MAG-CN-000000009");
    check(&[one(&ours)], &done);
    check(&[answer("by_number", 404, "The resource you're looking for cannot be found")], "done nothing");
    check(&[answer("by_number", 404, "<html>")], "done nothing");
    check(&[one(&ours.replace("10.50", "-10.50"))], "refused reference_taken");
    // A supplier's hides it.
    let bill = one(&ours.replace("ACCRECCREDIT", "ACCPAYCREDIT"));
    let filter = "where=Type==\"ACCRECCREDIT\" AND CreditNoteNumber==\"MAG-CN-000000009\"&page=1&pageSize=100";
    check(std::slice::from_ref(&bill), &format!("read by_number_and_type GET /CreditNotes?{filter}"));
    let listed = |elements: &[&str]| answer("by_number_and_type", 200, envelope("CreditNotes", elements));
    check(&[bill.clone(), listed(&[])], "done nothing");
    check(&[bill, listed(&[&ours])], &done);
}

#[test]
fn payments_are_known_by_our_reference_amount_and_document() {
    let document = Document::Payment(payment());
    let ours = format!(
        r#"{{"PaymentID":"{PAYMENT}","Amount":24.00,"Reference":"MAG-000000042-P / pi_3Nx9","Status":"AUTHORISED","PaymentType":"ACCRECPAYMENT","Invoice":{{"InvoiceID":"{INVOICE}","Payments":[]}}}}"#
    );
    let listed = |elements: &[&str]| answer("payments_of_invoice", 200, envelope("Payments", elements));
    let check =
        |elements: &[&str], expected: &str| assert_eq!(find(&document, &[listed(elements)]), expected, "{elements:?}");
    let page = |page: usize| {
        format!(
            "read payments_of_invoice GET /Payments?where=Invoice.InvoiceID==guid(\"{INVOICE}\")&page={page}&pageSize=100"
        )
    };
    let done = format!("done {PAYMENT} MAG-000000042-P 24");
    let nothing = "done nothing";
    assert_eq!(find(&document, &[]), page(1));
    check(&[], nothing);
    check(&[&ours], &done);
    check(&[&ours.replace(" / pi_3Nx9", "")], &done);
    check(&[&ours.replace("pi_3Nx9", "another transaction")], &done);
    check(&[&ours.replace("-P / pi_3Nx9", "-P2")], nothing);
    check(&[&ours.replace("MAG-", "OTHER-")], nothing);
    check(&[&ours.replace("AUTHORISED", "DELETED")], nothing);
    check(&[&ours.replace("24.00", "23.00")], "refused reference_taken");
    check(&[&ours.replace("24.00", "23.00"), &ours], &done);
    check(&[&ours.replace(INVOICE, OTHER)], "refused reference_taken");
    check(&[&ours.replace(PAYMENT, NIL)], "broken answer_unknown");
    let many = vec!["{}"; 100];
    assert_eq!(find(&document, &[listed(&many)]), page(2));
    assert_eq!(find(&document, &[listed(&many), listed(&[&ours])]), done);
    assert_eq!(find(&document, &[listed(&many), listed(&many[..99])]), nothing);
    assert_eq!(find(&document, &vec![listed(&many); 30]), "refused search_too_long");
    let paged = |pages: &str| {
        let body = envelope("Payments", &["{}"]).replacen(
            '{',
            &format!(r#"{{"pagination":{{"page":1,"pageCount":{pages}}},"#),
            1,
        );
        answer("payments_of_invoice", 200, body)
    };
    assert_eq!(find(&document, &[paged("2")]), page(2));
    assert_eq!(find(&document, &[paged("1")]), nothing);

    let document = Document::Refund(refund());
    assert_eq!(
        find(&document, &[]),
        "read payments_by_reference GET /Payments?where=Reference==\"MAG-CN-000000009-R\"&page=1&pageSize=100"
    );
    let refunded = |of: &str| {
        format!(
            r#"{{"PaymentID":"{PAYMENT}","Amount":"10.50","Reference":"MAG-CN-000000009-R","PaymentType":"ARCREDITPAYMENT"{of}}}"#
        )
    };
    for (of, expected) in [
        (String::new(), "done"),
        (format!(r#","CreditNote":{{"CreditNoteID":"{CREDIT_NOTE}"}}"#), "done"),
        (format!(r#","Invoice":{{"Type":"ACCRECCREDIT","InvoiceID":"{CREDIT_NOTE}"}}"#), "done"),
        (format!(r#","CreditNote":{{"CreditNoteID":"{OTHER}"}}"#), "refused"),
    ] {
        let reply = answer("payments_by_reference", 200, envelope("Payments", &[&refunded(&of)]));
        assert!(find(&document, &[reply]).starts_with(expected), "{of}");
    }
}

#[test]
fn allocations_are_known_by_credit_note_invoice_and_amount() {
    let document = Document::Allocation(allocation());
    let note = |total: &str, left: &str, lists: &str| {
        let element = format!(r#"{{"CreditNoteID":"{CREDIT_NOTE}","Total":{total},"RemainingCredit":{left}{lists}}}"#);
        answer("allocations_of_credit_note", 200, envelope("CreditNotes", &[&element]))
    };
    let set_off = |invoice: &str, amount: &str| {
        format!(r#","Allocations":[{{"Amount":{amount},"Invoice":{{"InvoiceID":"{invoice}"}}}}],"Payments":[]"#)
    };
    let check = |replies: &[Labelled], expected: &str| assert_eq!(find(&document, replies), expected, "{replies:?}");
    let done = format!("done {CREDIT_NOTE}:{INVOICE} MAG-CN-000000009-A 10.5");
    let at_the_invoice = format!("read credit_notes_of_invoice GET /Invoices/{INVOICE}");
    let unknown = "later book_unavailable";
    check(&[], &format!("read allocations_of_credit_note GET /CreditNotes/{CREDIT_NOTE}"));
    check(&[note("10.5", "0.00", &set_off(INVOICE, "10.50"))], &done);
    check(&[note("12", "12", "")], "done nothing");
    check(&[note("12", "12", r#","Allocations":[]"#)], "done nothing");
    check(&[note("12", "1.5", &set_off(OTHER, "10.5"))], "done nothing");
    check(&[note("12", "10", &set_off(INVOICE, "2"))], "done nothing");
    check(&[note("12", "1.5", r#","Payments":[{"Amount":10.5}]"#)], "done nothing");
    check(
        &[note(
            "12",
            "12",
            r#","Allocations":[{"Amount":10.5,"IsDeleted":true,"Invoice":{"InvoiceID":"10000000-0000-4000-8000-000000000001"}}]"#,
        )],
        "done nothing",
    );
    // Used, and its empty list says nothing of it.
    let used = note("12", "1.5", r#","Allocations":[]"#);
    check(std::slice::from_ref(&used), &at_the_invoice);
    check(&[note("12", "[]", "")], &at_the_invoice);
    let invoice = |more: &str| {
        answer(
            "credit_notes_of_invoice",
            200,
            envelope("Invoices", &[&format!(r#"{{"InvoiceID":"{INVOICE}"{more}}}"#)]),
        )
    };
    let applied =
        |amount: &str| format!(r#","CreditNotes":[{{"CreditNoteID":"{CREDIT_NOTE}","AppliedAmount":{amount}}}]"#);
    check(&[used.clone(), invoice(&applied("10.50"))], &done);
    check(&[used.clone(), invoice(r#","CreditNotes":[],"AmountCredited":0.00"#)], "done nothing");
    check(&[used.clone(), invoice(r#","CreditNotes":[],"AmountCredited":10.50"#)], unknown);
    check(&[used.clone(), invoice(r#","CreditNotes":[]"#)], unknown);
    check(&[used, answer("credit_notes_of_invoice", 404, "")], "refused book_refused");
    check(&[answer("allocations_of_credit_note", 404, "")], "refused book_refused");

    let known = |status: u16, body: &str, expected: &str| {
        let start = Start::Linked(linked("x:y", None));
        assert_eq!(post(&document, &start, &[]), format!("read read_total GET /CreditNotes/{CREDIT_NOTE}"));
        assert_eq!(post(&document, &start, &[answer("read_total", status, body)]), expected);
    };
    let body = |lists: &str| envelope("CreditNotes", &[&format!(r#"{{"CreditNoteID":"{CREDIT_NOTE}"{lists}}}"#)]);
    known(200, &body(&set_off(INVOICE, "9")), "done x:y - 9");
    known(200, &body(r#","Allocations":[]"#), "done x:y - ?");
    known(503, "", "later book_unavailable");
    let start = Start::Linked(linked("x:y", Some("10.5")));
    assert_eq!(post(&document, &start, &[]), "done x:y - 10.5");
    let elsewhere = format!(r#"{{"Amount":10.5,"Invoice":{{"InvoiceID":"{OTHER}"}}}}"#);
    assert_eq!(after(&document, 200, &envelope("Allocations", &[&elsewhere])), DOUBTFUL);
}

#[test]
fn items_are_known_by_their_code() {
    let document = Document::Product(product());
    let taken = answer("create_item", 400, refused("Price List Item with Code ''MUG-BLUE'' already exists"));
    let listed = |code: &str| {
        answer("items_by_code", 200, envelope("Items", &[&format!(r#"{{"ItemID":"{ITEM}","Code":"{code}"}}"#)]))
    };
    let check = |replies: &[Labelled], posted: &str, found: &str| {
        let seen: Vec<Labelled> = std::iter::once(taken.clone()).chain(replies.iter().cloned()).collect();
        assert_eq!(fresh(&document, &seen), posted, "{replies:?}");
        assert_eq!(find(&document, replies), found, "{replies:?}");
    };
    let ask = "read items_by_code GET /Items?where=Code==\"MUG-BLUE\"";
    let done = format!("done {ITEM} MUG-BLUE ?");
    check(&[], ask, ask);
    check(&[listed("MUG-BLUE")], &done, &done);
    check(&[listed("MUG-BLUE-2")], "refused reference_taken", "done nothing");
    check(&[listed("mug-blue")], "refused reference_taken", "done nothing");
    check(&[answer("items_by_code", 200, envelope("Items", &[]))], "refused reference_taken", "done nothing");
    check(&[answer("items_by_code", 500, "")], "later book_unavailable", "later book_unavailable");
    let changed = |status: u16, body: &str| {
        post(&document, &Start::Outdated(linked(ITEM, None)), &[answer("update_item", status, body)])
    };
    assert_eq!(changed(200, &envelope("Items", &[&format!(r#"{{"ItemID":"{ITEM}"}}"#)])), format!("done {ITEM} - ?"));
    assert_eq!(
        changed(400, &refused("Account code '999' is not a valid code for this document")),
        "refused category_unknown"
    );
    assert_eq!(changed(500, ""), "later book_unavailable");
    assert_eq!(post(&document, &Start::Linked(linked(ITEM, None)), &[]), format!("done {ITEM} - ?"));
}

fn a_contact(id: &str, more: &str) -> String {
    format!(r#"{{"ContactID":"{id}","Name":"Jane O'Hara"{more}}}"#)
}

fn by_email(elements: &[&str]) -> Labelled {
    answer("contacts_by_email", 200, envelope("Contacts", elements))
}

#[test]
fn a_contact_is_known_by_address_or_code_and_never_by_name() {
    let document = Document::Contact(jane());
    let code = jane().code(0);
    let by_code = |element: &str| answer("contact_by_code", 200, envelope("Contacts", &[element]));
    let absent = || answer("contact_by_code", 404, "");
    let check = |replies: &[Labelled], expected: &str| assert_eq!(find(&document, replies), expected, "{replies:?}");
    let ask_email = |page: usize| {
        format!(
            "read contacts_by_email GET /Contacts?where=EmailAddress==\"jane@example.com\"&page={page}&pageSize=100&includeArchived=true"
        )
    };
    let ask_code = |variant: u8| format!("read contact_by_code GET /Contacts/{}", jane().code(variant));
    let done = |id: &str| format!("done {id} - ?");
    let archived = "refused contact_archived";
    check(&[], &ask_code(0));
    let ours = |more: &str| a_contact(CONTACT, &format!(r#","ContactNumber":"{code}"{more}"#));
    check(&[by_code(&ours(""))], &done(CONTACT));
    check(&[by_code(&ours(r#","EmailAddress":" JANE@Example.com","ContactStatus":"ACTIVE""#))], &done(CONTACT));
    check(&[by_code(&ours(r#","EmailAddress":"""#))], &done(CONTACT));
    check(&[by_code(&ours(r#","ContactStatus":"ARCHIVED""#))], archived);
    check(&[by_code(&ours(r#","ContactStatus":"GDPRREQUEST""#))], archived);
    // Merged by the bookkeeper.
    let merged = by_code(&ours(&format!(r#","ContactStatus":"ARCHIVED","MergedToContactID":"{OTHER}""#)));
    check(std::slice::from_ref(&merged), &format!("read contact_merged_into GET /Contacts/{OTHER}"));
    let into = |more: &str| answer("contact_merged_into", 200, envelope("Contacts", &[&a_contact(OTHER, more)]));
    check(&[merged.clone(), into(r#","ContactStatus":"ACTIVE","EmailAddress":"j@example.com""#)], &done(OTHER));
    check(&[merged.clone(), into(r#","ContactStatus":"ARCHIVED""#)], archived);
    check(&[merged, answer("contact_merged_into", 404, "")], archived);
    // Somebody else has the code.
    let stranger = |variant: u8| {
        by_code(&a_contact(
            OTHER,
            &format!(r#","ContactNumber":"{}","EmailAddress":"john@example.com""#, jane().code(variant)),
        ))
    };
    check(&[stranger(0)], &ask_code(1));
    check(&[stranger(0), stranger(1)], &ask_code(2));
    check(&[stranger(0), absent()], &ask_email(1));
    check(&[stranger(0), stranger(1), stranger(2)], &ask_email(1));
    check(&[by_code(&a_contact(OTHER, r#","ContactNumber":"17""#))], &ask_email(1));
    // By address.
    check(&[absent()], &ask_email(1));
    let known = |id: &str, more: &str| a_contact(id, &format!(r#","EmailAddress":"Jane@example.com"{more}"#));
    check(&[absent(), by_email(&[&known(OTHER, "")])], &done(OTHER));
    let namesake = a_contact(OTHER, r#","EmailAddress":"jane@example.org""#);
    check(&[absent(), by_email(&[&namesake, &a_contact(OTHER, "")])], "done nothing");
    let hidden = known(OTHER, r#","ContactStatus":"ARCHIVED""#);
    check(&[absent(), by_email(&[&hidden])], archived);
    check(&[absent(), by_email(&[&hidden, &known(CONTACT, r#","ContactStatus":"ACTIVE""#)])], &done(CONTACT));
    check(&[absent(), by_email(&vec![namesake.as_str(); 100])], &ask_email(2));
    check(&[absent(), by_email(&[&known(NIL, "")])], "broken answer_unknown");
    check(&[answer("contact_by_code", 500, "")], "later book_unavailable");
    check(&[absent(), answer("contacts_by_email", 429, "")], "later 60 book_rate_limited");

    // One whose address the book can't have is known by code alone.
    let mut odd = jane();
    odd.email = "müller@example.com".to_owned();
    assert_eq!(find(&Document::Contact(odd.clone()), &[absent()]), "done nothing");
    assert!(fresh(&Document::Contact(odd), &[]).starts_with("read contacts_by_name"));
    // A contact that stands for many is whoever has the code that the settings name.
    let mut many = jane();
    many.reference = Some("WEBSALES".to_owned());
    let websales = a_contact(OTHER, r#","ContactNumber":"WEBSALES","EmailAddress":"shop@example.com""#);
    assert_eq!(find(&Document::Contact(many), &[by_code(&websales)]), done(OTHER));
}

#[test]
fn a_namesake_gets_a_name_of_their_own_and_nobody_is_merged() {
    let document = Document::Contact(jane());
    let clash = |message: &str| answer("create_contact", 400, refused(message));
    let absent = || answer("contact_by_code", 404, "");
    let none = || by_email(&[]);
    let by_name = |elements: &[&str]| answer("contacts_by_name", 200, envelope("Contacts", elements));
    let free = || by_name(&[]);
    let ask_name = "read contacts_by_name GET /Contacts?searchTerm=Jane O'Hara&page=1&pageSize=100";
    let check = |replies: &[Labelled], expected: &str| assert_eq!(fresh(&document, replies), expected, "{replies:?}");
    let create = "create create_contact PUT /Contacts?summarizeErrors=false";
    let ask_code = format!("read contact_by_code GET /Contacts/{}", jane().code(0));
    let jane_there = a_contact(OTHER, r#","EmailAddress":"jane@example.com""#);
    check(&[by_email(&[&jane_there])], &format!("done {OTHER} - ?"));
    check(&[none()], ask_name);
    check(&[none(), free()], create);
    check(&[none(), by_name(&[&a_contact(OTHER, "")])], create);
    check(&[none(), answer("contacts_by_name", 400, refused("no"))], create);
    check(&[none(), answer("contacts_by_name", 429, "")], "later 60 book_rate_limited");
    check(&[none(), free(), clash(NAMESAKE)], &ask_code);
    check(&[none(), free(), clash(NAMESAKE), absent(), none()], create);
    check(&[none(), free(), clash(NAMESAKE), absent(), by_email(&[&jane_there])], &format!("done {OTHER} - ?"));
    let done = answer("create_contact", 200, envelope("Contacts", &[&a_contact(CONTACT, "")]));
    check(&[none(), free(), clash(NAMESAKE), absent(), none(), done], &format!("done {CONTACT} - ?"));
    let again = [none(), free(), clash(NAMESAKE), absent(), none(), clash(NAMESAKE), absent(), none()];
    check(&again, create);
    let thrice: Vec<Labelled> = again.iter().cloned().chain([clash(NAMESAKE), absent(), none()]).collect();
    check(&thrice, "refused reference_taken");
    check(&[none(), free(), clash("Email address must be valid")], "refused book_refused");
    // What is in doubt is not corrected.
    check(&[none(), free(), answer("create_contact", 500, refused(NAMESAKE))], DOUBTFUL);
    check(&[none(), free(), answer("create_contact", 429, "")], "later 60 book_rate_limited");
    // Inside a 200.
    let inside =
        a_contact(CONTACT, &format!(r#","HasValidationErrors":true,"ValidationErrors":[{{"Message":"{NAMESAKE}"}}]"#));
    check(&[none(), free(), answer("create_contact", 200, envelope("Contacts", &[&inside]))], &ask_code);
}

#[test]
fn an_outdated_contact_is_changed_and_its_name_given_way_where_a_stranger_has_it() {
    let document = Document::Contact(jane());
    let outdated = Start::Outdated(linked(CONTACT, None));
    let check =
        |replies: &[Labelled], expected: &str| assert_eq!(post(&document, &outdated, replies), expected, "{replies:?}");
    let changed = |label: &'static str| answer(label, 200, envelope("Contacts", &[&a_contact(CONTACT, "")]));
    let clash = answer("update_contact", 400, refused(NAMESAKE));
    check(&[], &format!("change update_contact POST /Contacts/{CONTACT}"));
    check(&[changed("update_contact")], &format!("done {CONTACT} - ?"));
    check(std::slice::from_ref(&clash), &format!("change update_contact_renamed POST /Contacts/{CONTACT}"));
    check(&[clash.clone(), changed("update_contact_renamed")], &format!("done {CONTACT} - ?"));
    check(&[clash, answer("update_contact_renamed", 400, refused(NAMESAKE))], "refused reference_taken");
    check(&[answer("update_contact", 500, "")], "later book_unavailable");
    check(&[answer("update_contact", 400, refused("The contact is archived"))], "refused contact_archived");
    assert_eq!(post(&document, &Start::Linked(linked(CONTACT, None)), &[]), format!("done {CONTACT} - ?"));
    let moved = Start::Outdated(linked("https://api.xero.com/v2/contacts/2", None));
    assert_eq!(post(&document, &moved, &[]), "broken unexpected");
}

#[test]
fn a_balance_is_the_documents_own_figure() {
    let shown = |standing: Standing| match standing {
        Standing::Unapproved => "unapproved",
        Standing::Approved => "approved",
        Standing::Withdrawn => "withdrawn",
    };
    let check = |kind: Kind, status: u16, element: &str, expected: &str| {
        let (list, id) = if kind == Kind::Invoice { ("Invoices", INVOICE) } else { ("CreditNotes", CREDIT_NOTE) };
        let seen = [answer("read_balance", status, envelope(list, &[element]))];
        let balance = Accounting.balance(kind, id, &context(), &seen);
        let said = step(balance, |it| format!("{} {}", shown(it.standing), it.outstanding));
        assert_eq!(said, expected, "{status} {element}");
    };
    let invoice = |element: &str, expected: &str| check(Kind::Invoice, 200, element, expected);
    invoice(r#"{"Status":"AUTHORISED","AmountDue":24.00,"Payments":[]}"#, "done approved 24");
    invoice(r#"{"Status":"AUTHORISED","AmountDue":"4.50"}"#, "done approved 4.5");
    invoice(r#"{"Status":"PAID","AmountDue":0.00,"Payments":[]}"#, "done approved 0");
    invoice(r#"{"Status":"DRAFT","AmountDue":24.00}"#, "done unapproved 24");
    invoice(r#"{"Status":"SUBMITTED","Total":24.00}"#, "done unapproved 24");
    invoice(r#"{"Status":"VOIDED"}"#, "done withdrawn 0");
    invoice(r#"{"Status":"DELETED","AmountDue":0}"#, "done withdrawn 0");
    invoice(r#"{"Status":"AUTHORISED","Total":24.00,"AmountPaid":0.00}"#, "later book_unavailable");
    invoice(r#"{"Status":"NEW","AmountDue":24.00}"#, "later book_unavailable");
    invoice("{}", "later book_unavailable");
    check(
        Kind::CreditNote,
        200,
        r#"{"Status":"AUTHORISED","RemainingCredit":10.50,"Allocations":[]}"#,
        "done approved 10.5",
    );
    check(Kind::CreditNote, 200, r#"{"Status":"PAID","RemainingCredit":0.00}"#, "done approved 0");
    check(Kind::Invoice, 404, "{}", "refused book_refused");
    check(Kind::Invoice, 503, "{}", "later book_unavailable");
    let other = Accounting.balance(Kind::Payment, PAYMENT, &context(), &[]);
    assert_eq!(fault(&other.unwrap_err()), "broken unexpected");
}

#[test]
fn evidence_is_kept_and_what_is_logged_of_it_is_clean() {
    let reply = |status: u16, headers: &[(&str, &str)], body: &str| Reply {
        status,
        request_id: Some("req-9".to_owned()),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.as_bytes().to_vec(),
        ..Reply::default()
    };
    let said = Accounting.classify(&reply(400, &[], &refused("Jane O'Hara is odd")), true);
    assert_eq!((said.evidence.status, said.evidence.request_id.as_deref()), (Some(400), Some("req-9")));
    assert_eq!(said.evidence.provider_code.as_deref(), Some("ValidationException"));
    assert_eq!(said.evidence.provider_text.as_deref(), Some("Jane O'Hara is odd"));
    assert!(!said.message.contains("Jane"));
    let said = Accounting.classify(&reply(429, &[("x-rate-limit-problem", "day")], ""), true);
    assert_eq!(said.evidence.provider_code.as_deref(), Some("day"));
    let said = Accounting
        .classify(&reply(400, &[("x-rate-limit-problem", "no code at all")], r#"{"Type":"Jane O'Hara"}"#), true);
    assert_eq!(said.evidence.provider_code, None);
    let long = Accounting.classify(&reply(400, &[], &refused(&"é".repeat(2_000))), true);
    assert_eq!(long.evidence.provider_text.map(|text| text.chars().count()), Some(500));
}
