//! What the replies mean that are alike in all houses. `~` stands for the house's address.

use crate::DIALECT;
use crate::fixtures::{
    allocation, answer, context, credit_note, fault, here, jane, payment, payment_in_euros, posted, product, refund,
    step,
};
use ledger_dialects::{Dialect, Labelled, Reply, Start};
use ledger_domain::document::{Balance, Document, Kind, Posted};
use ledger_domain::reference::{Entry, Reference};

fn post(document: &Document, start: &Start, seen: &[Labelled]) -> String {
    step(DIALECT.post(document, &context(), start, seen), posted)
}

fn find(document: &Document, seen: &[Labelled]) -> String {
    step(DIALECT.find(document, &context(), seen), |found| found.as_ref().map_or_else(|| "nothing".to_owned(), posted))
}

fn said(label: &'static str, status: u16, body: &str) -> Labelled {
    answer(label, status, here(body))
}

fn linked(provider_id: &str) -> Posted {
    Posted { provider_id: here(provider_id), reference: None, total: None }
}

#[test]
fn money_is_there_by_a_url_and_its_total() {
    let check = |document: &Document, label: &'static str, status: u16, body: &str, expected: &str| {
        let reply = said(label, status, body);
        let named = DIALECT.created(document, &context(), &reply).is_some();
        let expected = here(expected);
        assert_eq!(post(document, &Start::Fresh, &[reply]), expected, "{status} {body}");
        assert_eq!(named, expected.starts_with("done") || expected.starts_with("read read_total"), "{body}");
    };
    let doubtful = "doubtful write_in_doubt";
    let pounds = Document::Payment(payment());
    let euros = Document::Payment(payment_in_euros());
    let refund = Document::Refund(refund());
    let allocation = Document::Allocation(allocation());
    let explained = |more: &str| {
        format!(r#"{{"bank_transaction_explanation":{{"url":"~/v2/bank_transaction_explanations/177"{more}}}}}"#)
    };
    let relative = |more: &str| explained(more).replace('~', "");
    let at = "~/v2/bank_transaction_explanations/177";
    let total = "read read_total GET /v2/bank_transaction_explanations/177";
    let payment = |total: &str| format!("done {at} MAG-P-000000042 {total}");
    check(&pounds, "create_payment", 201, &explained(r#","gross_value":"24.0""#), &payment("24"));
    check(&pounds, "create_payment", 201, &relative(r#","gross_value":"24.0""#), &payment("24"));
    check(&pounds, "create_payment", 200, &explained(r#","gross_value":23.99"#), &payment("23.99"));
    check(&pounds, "create_payment", 201, &explained(""), total);
    check(&pounds, "create_payment", 201, "{}", doubtful);
    check(&pounds, "create_payment", 201, &explained("").replace("~/v2", "https://evil.example/v2"), doubtful);
    check(&pounds, "create_payment", 201, &relative("").replace("/v2/bank", "/bank"), doubtful);
    check(&pounds, "create_payment", 504, "<html>", doubtful);
    check(&pounds, "create_payment", 429, "You must not exceed 120 requests per 60 seconds", "later book_rate_limited");
    check(
        &pounds,
        "create_payment",
        422,
        r#"{"errors":[{"field":"paid_invoice","message":"paid_invoice must be open"}]}"#,
        "refused book_refused [paid_invoice]",
    );
    // In the account's currency the book may or may not tell the invoice's again.
    let both = r#","gross_value":"77.94","foreign_currency_value":"91.6""#;
    check(&euros, "create_payment", 201, &explained(both), &payment("91.6"));
    check(&euros, "create_payment", 201, &explained(r#","gross_value":"77.94""#), &payment("91.6"));
    check(&euros, "create_payment", 201, &explained(r#","gross_value":"91.60""#), total);
    // Money that goes out is negative in the book, and positive in our document.
    let gone = explained(r#","gross_value":"-26.98""#);
    check(&refund, "create_refund", 201, &gone, &format!("done {at} MAG-R-000000003 26.98"));
    let came = explained(r#","gross_value":"26.98""#);
    check(&refund, "create_refund", 201, &came, &format!("done {at} MAG-R-000000003 -26.98"));

    let set_off =
        r#"{"credit_note_reconciliation":{"url":"~/v2/credit_note_reconciliations/4","gross_value":"26.98"}}"#;
    check(&allocation, "create_allocation", 201, set_off, "done ~/v2/credit_note_reconciliations/4 - 26.98");
    let unread = set_off.replace(r#","gross_value":"26.98""#, "");
    check(&allocation, "create_allocation", 201, &unread, "read read_total GET /v2/credit_note_reconciliations/4");
    check(&allocation, "create_allocation", 422, "{}", "refused book_refused");

    // What is linked has its total read, once, and is never created again.
    let explained_total = |status: u16, body: &str| said("read_total", status, body);
    let start = Start::Linked(linked(at));
    let done = format!("done {} - 24", here(at));
    assert_eq!(post(&pounds, &start, &[]), total);
    assert_eq!(post(&pounds, &start, &[explained_total(200, &explained(r#","gross_value":"24.0""#))]), done);
    assert_eq!(post(&pounds, &start, &[explained_total(404, "{}")]), "refused book_refused");
    let moved = Start::Linked(linked("https://elsewhere.example/v2/bank_transaction_explanations/177"));
    assert!(post(&pounds, &moved, &[]).starts_with("done https://elsewhere.example"));
    let start = Start::Linked(linked("~/v2/credit_note_reconciliations/4"));
    assert_eq!(post(&allocation, &start, &[]), "read read_total GET /v2/credit_note_reconciliations/4");
}

#[test]
fn money_is_looked_for_on_its_day() {
    let check = |document: &Document, replies: &[Labelled], expected: &str| {
        assert_eq!(find(document, replies), here(expected), "{replies:?}");
    };
    let pounds = Document::Payment(payment());
    let refund = Document::Refund(refund());
    let listed = |entries: &[String]| {
        let body = format!(r#"{{"bank_transaction_explanations":[{}]}}"#, entries.join(","));
        said("explanations_of_day", 200, &body)
    };
    let entry = |reference: &str, pays: &str, gross: &str| {
        let url = "~/v2/bank_transaction_explanations/177";
        let pays = format!(r#""paid_invoice":"~/v2/{pays}""#);
        format!(r#"{{"url":"{url}","receipt_reference":{reference},{pays},"gross_value":"{gross}"}}"#)
    };
    let ours = || entry(r#""MAG-P-000000042""#, "invoices/7", "24.0");
    let done = "done ~/v2/bank_transaction_explanations/177 MAG-P-000000042 24";
    let foreign = "refused reference_taken";
    let read = "read read_explanation GET /v2/bank_transaction_explanations/177";
    check(&pounds, &[listed(&[])], "done nothing");
    check(&pounds, &[listed(&[ours()])], done);
    check(&pounds, &[listed(&[ours().replace("~/v2/bank", "/v2/bank").replace("~/v2/inv", "/v2/inv")])], done);
    check(&pounds, &[listed(&[entry(r#""OTHER""#, "invoices/7", "24.0"), ours()])], done);
    check(&pounds, &[listed(&[entry(r#""OTHER""#, "invoices/7", "24.0")])], "done nothing");
    check(&pounds, &[listed(&[entry(r#""MAG-P-000000042""#, "invoices/7", "23.0")])], foreign);
    check(&pounds, &[listed(&[entry(r#""MAG-P-000000042""#, "invoices/8", "24.0")])], foreign);
    check(&pounds, &[listed(&[ours().replace("~/v2/bank", "https://evil.example/v2/bank")])], "broken answer_unknown");
    // A list without references: what pays the invoice is looked at.
    let untold = entry("null", "invoices/7", "24.0");
    let alone = |it: &str| said("read_explanation", 200, &format!(r#"{{"bank_transaction_explanation":{it}}}"#));
    check(&pounds, &[listed(std::slice::from_ref(&untold))], read);
    check(&pounds, &[listed(std::slice::from_ref(&untold)), alone(&ours())], done);
    check(&pounds, &[listed(std::slice::from_ref(&untold)), alone(&untold)], "done nothing");
    check(&pounds, &[listed(&[untold]), said("read_explanation", 503, "")], "later book_unavailable");
    check(&pounds, &[listed(&[entry("null", "invoices/8", "24.0")])], "done nothing");
    check(&pounds, &[said("explanations_of_day", 200, "{}")], "later book_unavailable");
    let many = vec![entry(r#""OTHER""#, "invoices/8", "1"); 100];
    assert!(find(&pounds, &[listed(&many)]).ends_with("&per_page=100&page=2"));
    check(&pounds, &vec![listed(&many); 30], "refused search_too_long");

    let back = entry(r#""MAG-R-000000003""#, "credit_notes/9", "-26.98");
    check(
        &refund,
        &[listed(std::slice::from_ref(&back))],
        "done ~/v2/bank_transaction_explanations/177 MAG-R-000000003 26.98",
    );
    check(&refund, &[listed(&[back.replace("-26.98", "26.98")])], foreign);

    let allocation = Document::Allocation(allocation());
    let listed = |entries: &[String]| {
        let body = format!(r#"{{"credit_note_reconciliations":[{}]}}"#, entries.join(","));
        said("reconciliations_of_day", 200, &body)
    };
    let ours = r#"{"url":"~/v2/credit_note_reconciliations/4","gross_value":"26.98","currency":"GBP","invoice":"~/v2/invoices/7","credit_note":"~/v2/credit_notes/9"}"#.to_owned();
    let done = "done ~/v2/credit_note_reconciliations/4 - 26.98";
    check(&allocation, &[listed(&[])], "done nothing");
    check(&allocation, &[listed(std::slice::from_ref(&ours))], done);
    check(&allocation, &[listed(&[ours.replace("26.98", "-26.98")])], done);
    check(&allocation, &[listed(&[ours.replace(r#""currency":"GBP","#, "")])], done);
    for (from, to) in [("26.98", "26.97"), ("GBP", "EUR"), ("invoices/7", "invoices/8"), ("notes/9", "notes/8")] {
        check(&allocation, &[listed(&[ours.replace(from, to)])], "done nothing");
    }
    check(&allocation, &[said("reconciliations_of_day", 401, "{}")], "reconnect needs_reconnect");
}

#[test]
fn a_product_is_known_by_its_code() {
    let document = Document::Product(product());
    let taken = said("create_product", 422, r#"{"errors":[{"field":"code","message":"code has already been taken"}]}"#);
    let at = "~/v2/price_list_items/5";
    let done = here(&format!("done {at} MUG-BLUE ?"));
    let made = said("create_product", 201, &format!(r#"{{"price_list_item":{{"url":"{at}","code":"MUG-BLUE"}}}}"#));
    assert_eq!(post(&document, &Start::Fresh, std::slice::from_ref(&made)), done);
    assert!(DIALECT.created(&document, &context(), &made).is_some());
    let listed = |code: &str, url: &str| {
        said("price_list", 200, &format!(r#"{{"price_list_items":[{{"url":"{url}","code":"{code}"}}]}}"#))
    };
    let check = |reply: Labelled, posted: &str, found: &str| {
        assert_eq!(post(&document, &Start::Fresh, &[taken.clone(), reply.clone()]), posted, "{reply:?}");
        assert_eq!(find(&document, std::slice::from_ref(&reply)), found, "{reply:?}");
    };
    check(listed("MUG-BLUE", at), &done, &done);
    check(listed("mug-blue", at), "refused reference_taken [code]", "done nothing");
    check(listed("MUG", at), "refused reference_taken [code]", "done nothing");
    check(listed("MUG-BLUE", "~/v2/invoices/5"), "broken answer_unknown", "broken answer_unknown");
    check(said("price_list", 503, ""), "later book_unavailable", "later book_unavailable");
    let refused = said("create_product", 422, r#"{"errors":[{"field":"category","message":"is not one"}]}"#);
    assert_eq!(post(&document, &Start::Fresh, &[refused]), "refused category_unknown [category]");
    assert_eq!(post(&document, &Start::Linked(linked(at)), &[]), here(&format!("done {at} - ?")));
}

#[test]
fn what_is_newer_is_changed_and_never_created() {
    let check = |document: &Document, at: &str, label: &'static str, status: u16, body: &str, expected: &str| {
        let seen = [said(label, status, body)];
        assert_eq!(post(document, &Start::Outdated(linked(at)), &seen), here(expected), "{status} {body}");
    };
    let contact = Document::Contact(jane());
    let (at, done) = ("~/v2/contacts/2", "done ~/v2/contacts/2 - ?");
    check(&contact, at, "update_contact", 200, r#"{"contact":{}}"#, done);
    check(&contact, at, "update_contact", 200, "", done);
    check(&contact, at, "update_contact", 204, "", done);
    check(&contact, at, "update_contact", 200, r#"{"errors":["no"]}"#, "later book_unavailable");
    check(&contact, at, "update_contact", 200, "<html>", "later book_unavailable");
    check(&contact, at, "update_contact", 504, "<html>", "later book_unavailable");
    check(&contact, at, "update_contact", 404, "{}", "refused contact_unknown");
    check(&contact, at, "update_contact", 404, "<html>", "later book_unavailable");
    check(&contact, at, "update_contact", 401, "{}", "reconnect needs_reconnect");
    let taken = r#"{"errors":[{"field":"email","message":"email has already been taken"}]}"#;
    check(&contact, at, "update_contact", 422, taken, "refused book_refused [email]");
    check(&contact, at, "something_else", 200, "", "broken unexpected");
    let product = Document::Product(product());
    let at = "~/v2/price_list_items/5";
    check(&product, at, "update_product", 200, "{}", "done ~/v2/price_list_items/5 MUG-BLUE ?");
    check(&product, at, "update_product", 404, "{}", "refused book_refused");
    check(&product, at, "update_product", 429, "slow down", "later book_rate_limited");
    let moved = Start::Outdated(linked("https://elsewhere.example/v2/contacts/2"));
    assert!(post(&contact, &moved, &[]).starts_with("done https://elsewhere.example"));
}

#[test]
fn a_credit_note_is_negative_in_the_book() {
    let document = Document::CreditNote(credit_note());
    let at = "~/v2/credit_notes/9";
    let made = |total: &str| {
        let body = format!(r#"{{"credit_note":{{"url":"{at}","total_value":"{total}"}}}}"#);
        DIALECT.created(&document, &context(), &said("create_credit_note", 201, &body)).as_ref().map(posted)
    };
    let expected = |total: &str| Some(here(&format!("{at} MAG-CN-000000003 {total}")));
    assert_eq!(made("-26.98"), expected("26.98"));
    assert_eq!(made("26.98"), expected("26.98"));
    assert_eq!(made("0.0"), expected("0"));
    let listed = |total: &str| {
        let body = format!(
            r#"{{"credit_notes":[{{"url":"{at}","reference":"MAG-CN-000000003","contact":"~/v2/contacts/2","currency":"GBP","total_value":"{total}","status":"Open"}}]}}"#
        );
        find(&document, &[said("credit_notes_of_contact", 200, &body)])
    };
    assert_eq!(listed("-26.98"), here(&format!("done {at} MAG-CN-000000003 26.98")));
    assert_eq!(listed("-26.97"), "refused reference_taken");
    let taken = r#"{"errors":[{"message":"Reference has already been taken"}]}"#;
    let seen = [said("create_credit_note", 422, taken), said("credit_notes_of_contact", 200, r#"{"credit_notes":[]}"#)];
    assert_eq!(post(&document, &Start::Fresh, &seen), "refused reference_taken");
}

#[test]
fn a_balance_is_what_is_left() {
    let check = |kind: Kind, status: u16, body: &str, expected: &str| {
        let root = kind.as_str();
        let at = format!("~/v2/{root}s/7");
        let body = if body.starts_with('"') { format!(r#"{{"{root}":{{{body}}}}}"#) } else { body.to_owned() };
        let seen = [said("read_balance", status, &body)];
        let shown = |it: &Balance| format!("{:?} {}", it.standing, it.outstanding);
        let found = step(DIALECT.balance(kind, &here(&at), &context(), &seen), shown);
        assert_eq!(found, expected, "{kind:?} {status} {body}");
    };
    let (invoice, note) = (Kind::Invoice, Kind::CreditNote);
    check(invoice, 200, r#""status":"Open","total_value":"24.0","due_value":"24.0""#, "done Approved 24");
    check(invoice, 200, r#""status":"Overdue","total_value":"24.0","due_value":"4.5""#, "done Approved 4.5");
    check(invoice, 200, r#""status":"Paid","total_value":"24.0","paid_value":"24.0""#, "done Approved 0");
    check(invoice, 200, r#""status":"Open","total_value":24,"paid_value":20"#, "done Approved 4");
    check(invoice, 200, r#""status":"Overpaid","total_value":"24.0","due_value":"-1.0""#, "done Approved 0");
    check(invoice, 200, r#""status":"Zero Value","total_value":"0.0","due_value":"0.0""#, "done Approved 0");
    check(invoice, 200, r#""total_value":"24.0","due_value":"24.0""#, "done Approved 24");
    check(invoice, 200, r#""status":"Draft","due_value":"24.0""#, "done Unapproved 24");
    check(invoice, 200, r#""status":"Scheduled To Email","due_value":"24.0""#, "done Unapproved 24");
    for status in ["Written-off", "Part written-off", "Cancelled", "Void"] {
        check(invoice, 200, &format!(r#""status":"{status}","due_value":"0.0""#), "done Withdrawn 0");
    }
    check(note, 200, r#""status":"Open","total_value":"-26.98","due_value":"-26.98""#, "done Approved 26.98");
    check(note, 200, r#""status":"Open","total_value":"-26.98","due_value":"-6.98""#, "done Approved 6.98");
    check(note, 200, r#""status":"Refunded","total_value":"-26.98","due_value":"0.0""#, "done Approved 0");
    check(note, 200, r#""status":"Open","total_value":"-26.98","paid_value":"-20""#, "done Approved 6.98");
    check(note, 200, r#""status":"Open","total_value":"26.98","due_value":"6.98""#, "done Approved 6.98");
    check(note, 200, r#""status":"Draft","total_value":"-26.98","due_value":"-26.98""#, "done Unapproved 26.98");
    // Deleted, or no answer.
    check(invoice, 404, r#"{"errors":{"error":{"message":"Resource not found"}}}"#, "done Withdrawn 0");
    check(invoice, 404, "<html>", "later book_unavailable");
    check(invoice, 200, r#""status":"Open","total_value":"24.0""#, "later book_unavailable");
    check(invoice, 200, "{}", "later book_unavailable");
    check(invoice, 401, "{}", "reconnect needs_reconnect");
    check(invoice, 503, "", "later book_unavailable");
    let elsewhere = DIALECT.balance(invoice, "https://elsewhere.example/v2/invoices/7", &context(), &[]);
    assert_eq!(step(elsewhere, |_| String::new()), "refused book_refused");
    for kind in [Kind::Contact, Kind::Product, Kind::Payment, Kind::Allocation, Kind::Refund, Kind::StockMovement] {
        assert_eq!(step(DIALECT.balance(kind, "", &context(), &[]), |_| String::new()), "broken unexpected");
    }
}

#[test]
fn reference_data_is_read_leniently() {
    let read = |of: Reference, status: u16, link: Option<&str>, body: &str| {
        let headers = link.map(|link| ("link".to_owned(), here(link))).into_iter().collect();
        let reply = Reply { status, headers, body: here(body).into_bytes(), ..Reply::default() };
        DIALECT.read_page(of, &context(), &reply).map_err(|it| fault(&it))
    };
    let company = r#"{"company":{"url":"~/v2/company","id":17,"name":"Acme Trading Ltd","subdomain":"acme-trading",
        "type":"UkLimitedCompany","currency":"GBP","sales_tax_registration_status":"Registered",
        "sales_tax_rates":["20.0",5,"0.0","many"]}}"#;
    let page = read(Reference::Organisation, 200, None, company).unwrap();
    let [entry] = page.entries.as_slice() else { panic!("{page:?}") };
    assert_eq!(page.next, None);
    assert_eq!((entry.id.as_str(), entry.name.as_str(), entry.active), ("17", "Acme Trading Ltd", true));
    assert_eq!(entry.country.as_deref(), Some("GB"));
    assert_eq!(entry.currency.as_ref().map(|it| it.as_str()), Some("GBP"));
    assert_eq!((entry.sales_tax_registered, entry.web_name.as_deref()), (Some(true), Some("acme-trading")));
    let bare = read(Reference::Organisation, 200, None, r#"{"company":{"id":"9","type":"UniversalCompany"}}"#).unwrap();
    let entry = bare.entries.first().unwrap();
    assert_eq!((entry.id.as_str(), &entry.country, entry.sales_tax_registered), ("9", &None, None));
    let other = company.replace("UkLimitedCompany", "UsCCorp").replace("\"Registered\"", "\"Not Registered\"");
    let other = read(Reference::Organisation, 200, None, &other).unwrap();
    let entry = other.entries.first().unwrap();
    assert_eq!((entry.country.as_deref(), entry.sales_tax_registered), (Some("US"), Some(false)));

    let rates = read(Reference::TaxRates, 200, None, company).unwrap();
    let names: Vec<String> = rates
        .entries
        .iter()
        .map(|it| format!("{} {} {:?}", it.id, it.name, it.rate.map(|rate| rate.to_string())))
        .collect();
    assert_eq!(names, [r#"20 20 % Some("20")"#, r#"5 5 % Some("5")"#, r#"0 0 % Some("0")"#]);

    let categories = r#"{"income_categories":[{"url":"~/v2/categories/001","description":"Sales","nominal_code":"001"}],
        "cost_of_sales_categories":[],"admin_expenses_categories":[{"url":"~/v2/categories/363","description":"Bank charges"}, {}]}"#;
    let accounts = read(Reference::Accounts, 200, None, categories).unwrap();
    let shown = |it: &Entry| format!("{} {} {}", it.id, it.name, it.group.as_deref().unwrap_or("-"));
    let names: Vec<String> = accounts.entries.iter().map(shown).collect();
    assert_eq!(
        names,
        [here("~/v2/categories/363 Bank charges admin_expenses"), here("~/v2/categories/001 Sales income")]
    );
    assert_eq!(read(Reference::Accounts, 200, None, "{}"), Err("later book_unavailable".to_owned()));

    let banks = r#"{"bank_accounts":[
        {"url":"~/v2/bank_accounts/1","name":"Stripe clearing","type":"StandardBankAccount","currency":"GBP","status":"active"},
        {"url":"~/v2/bank_accounts/2","name":"Old","currency":"EUR","status":"hidden"},{"name":"no address"}]}"#;
    let next =
        r#"<~/v2/bank_accounts?page=2&per_page=100>; rel="next", <~/v2/bank_accounts?page=9&per_page=100>; rel="last""#;
    let page = read(Reference::BankAccounts, 200, Some(next), banks).unwrap();
    let shown = |it: &Entry| format!("{} {} {:?}", it.name, it.active, it.currency.as_ref().map(|it| it.as_str()));
    let names: Vec<String> = page.entries.iter().map(shown).collect();
    assert_eq!(names, [r#"Stripe clearing true Some("GBP")"#, r#"Old false Some("EUR")"#]);
    assert_eq!(page.next.as_deref(), Some("2"));

    for (link, expected) in [
        (r#"<~/v2/bank_accounts?per_page=100&page=4>; rel='next'"#, None),
        (r#"<~/v2/bank_accounts?per_page=100&page=4>; rel=next"#, Some("4")),
        (
            r#"<~/v2/bank_accounts?page=3&updated_since=2026-11-20T09%3A30%3A00Z>; rel="next""#,
            Some("3@2026-11-20T09:30:00Z"),
        ),
        (r#"<~/v2/bank_accounts?page=1>; rel="prev""#, None),
        (r#"<~/v2/bank_accounts?page=1>; rel="next""#, None),
        (r#"<~/v2/bank_accounts?page=x>; rel="next""#, None),
        ("rel=next", None),
    ] {
        assert_eq!(read(Reference::BankAccounts, 200, Some(link), banks).unwrap().next.as_deref(), expected, "{link}");
    }
    for of in [Reference::Organisation, Reference::TaxRates, Reference::Accounts, Reference::BankAccounts] {
        assert_eq!(read(of, 503, None, ""), Err("later book_unavailable".to_owned()));
        assert_eq!(read(of, 401, None, "{}"), Err("reconnect needs_reconnect".to_owned()));
        assert_eq!(read(of, 200, None, "<html>"), Err("later book_unavailable".to_owned()));
    }
    assert!(read(Reference::Currencies, 200, None, "{}").is_err());
}
