//! Credit notes, what they are set off against and what is paid back for them, in the `v2` house.

use serde_json::{Value, json};

use super::super::{Book, Seed, Verdict};
use super::{book, contact, first_error, invoice, send, try_send, with};
use crate::server::percent_encoded;

pub(super) fn credit_note(book: &Book, contact: &str, reference: &str, price: &str) -> Value {
    json!({"credit_note": {
        "contact": contact, "dated_on": "2026-11-21", "payment_terms_in_days": 0, "reference": reference, "currency": "GBP",
        "credit_note_items": [
            {"description": "Bolt", "item_type": "Products", "quantity": "1.0", "price": price, "sales_tax_rate": "20.0",
             "category": book.url_of("categories", "001")},
        ],
    }})
}

pub(super) fn set_off(invoice: &str, credit_note: &str, gross: &str) -> Value {
    json!({"credit_note_reconciliation": {
        "gross_value": gross, "dated_on": "2026-11-21", "invoice": invoice, "credit_note": credit_note,
    }})
}

pub(super) fn money(book: &Book, account: &str, gross: &str, document: &str) -> Value {
    json!({"bank_transaction_explanation": {
        "bank_account": book.url_of("bank_accounts", account), "dated_on": "2026-11-21", "gross_value": gross,
        "paid_invoice": document, "receipt_reference": "ch_1",
    }})
}

async fn made(book: &Book, path: &str, body: &Value) -> Value {
    let (status, answer) = send(book, "POST", path, body).await;
    assert_eq!(status, 201, "{answer}");
    answer.as_object().unwrap().values().next().unwrap().clone()
}

fn url(shown: &Value) -> &str {
    shown["url"].as_str().unwrap()
}

#[tokio::test]
async fn a_credit_note_has_negative_figures_and_shares_the_references() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    made(&book, "/v2/invoices", &invoice(&book, &contact, "MAG-1")).await;
    let note = made(&book, "/v2/credit_notes", &credit_note(&book, &contact, "MAG-CM-1", "-17.99")).await;
    for (field, value) in [
        ("net_value", "-17.99"),
        ("sales_tax_value", "-3.6"),
        ("total_value", "-21.59"),
        ("due_value", "-21.59"),
        ("refunded_value", "0.0"),
        ("status", "Open"),
    ] {
        assert_eq!(note[field], value, "{field}");
    }
    assert_eq!(note["credit_note_items"][0]["price"], "-17.99");
    let path = url(&note).strip_prefix(&book.url()).unwrap();
    assert!(path.starts_with("/v2/credit_notes/"));
    assert_eq!(send(&book, "GET", path, &Value::Null).await, (200, json!({"credit_note": note})));
    let list = format!("/v2/credit_notes?contact={}&nested_credit_note_items=true", percent_encoded(&contact));
    assert_eq!(send(&book, "GET", &list, &Value::Null).await.1, json!({"credit_notes": [note]}));
    for (body, field, message) in [
        (credit_note(&book, &contact, "MAG-1", "-1"), "reference", "reference has already been taken"),
        (credit_note(&book, &contact, "MAG-2", "1"), "total_value", "total_value must be less than or equal to 0"),
    ] {
        let (status, answer) = send(&book, "POST", "/v2/credit_notes", &body).await;
        assert_eq!((status, first_error(&answer)), (422, (field, message)));
    }
    let (status, answer) = send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "MAG-CM-1")).await;
    assert_eq!((status, first_error(&answer).0), (422, "reference"), "the sequence is one for both");
    assert_eq!(
        (book.credit_notes().len(), book.shows_credit_note("MAG-CM-1").len(), book.shows("MAG-CM-1").len()),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn a_credit_note_is_set_off_and_paid_back() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let bill = made(&book, "/v2/invoices", &invoice(&book, &contact, "MAG-1")).await;
    let note = made(&book, "/v2/credit_notes", &credit_note(&book, &contact, "MAG-CM-1", "-17.99")).await;
    for (body, field) in [
        (set_off(url(&bill), url(&note), "-5"), "gross_value"),
        (set_off(url(&bill), url(&note), "21.60"), "gross_value"),
        (set_off(url(&note), url(&bill), "5"), "invoice"),
        (set_off(url(&bill), "https://other.example/v2/credit_notes/1", "5"), "credit_note"),
    ] {
        let (status, answer) = send(&book, "POST", "/v2/credit_note_reconciliations", &body).await;
        assert_eq!((status, first_error(&answer).0), (422, field), "{answer}");
    }
    let first = made(&book, "/v2/credit_note_reconciliations", &set_off(url(&bill), url(&note), "12.00")).await;
    assert_eq!(
        (&first["gross_value"], &first["invoice"], &first["currency"]),
        (&json!("12.0"), &bill["url"], &json!("GBP"))
    );
    assert_eq!(book.shows("MAG-1")[0]["due_value"], "9.59");
    assert_eq!(book.shows_credit_note("MAG-CM-1")[0]["due_value"], "-9.59");
    book.sets(|switches| switches.negative_reconciliations = Verdict::Accepted);
    made(&book, "/v2/credit_note_reconciliations", &set_off(url(&bill), url(&note), "-0.59")).await;
    let (_, listed) = send(&book, "GET", "/v2/credit_note_reconciliations", &Value::Null).await;
    assert_eq!(listed["credit_note_reconciliations"].as_array().unwrap().len(), 2);
    assert_eq!(book.reconciliations().len(), 2);

    for (gross, field) in [("9.00", "gross_value"), ("-9.01", "gross_value"), ("0", "gross_value")] {
        let body = money(&book, "2", gross, url(&note));
        let (status, answer) = send(&book, "POST", "/v2/bank_transaction_explanations", &body).await;
        assert_eq!((status, first_error(&answer).0), (422, field), "{gross}: {answer}");
    }
    let got = try_send(&book, "POST", "/v2/bank_transaction_explanations", &money(&book, "2", "-9.00", url(&note)))
        .await
        .unwrap();
    let refund: Value = serde_json::from_str(&got.body).unwrap();
    let refund = &refund["bank_transaction_explanation"];
    assert!(got.head.contains("location: /v2/bank_transaction_explanations/"), "{}", got.head);
    assert_eq!(
        (&refund["type"], &refund["gross_value"], &refund["is_money_out"], &refund["foreign_currency_value"]),
        (&json!("Credit Note Refund"), &json!("-9.0"), &json!(true), &json!("0.0"))
    );
    assert_eq!(
        (&book.shows_credit_note("MAG-CM-1")[0]["status"], &book.shows_credit_note("MAG-CM-1")[0]["refunded_value"]),
        (&json!("Refunded"), &json!("-21.59"))
    );
    let (status, answer) =
        send(&book, "POST", "/v2/bank_transaction_explanations", &money(&book, "2", "-9.00", url(&bill))).await;
    assert_eq!((status, first_error(&answer)), (422, ("gross_value", "gross_value must be greater than 0")));

    book.enters_payment("MAG-1", "9.00").unwrap();
    let statement = book.statement();
    let line = &statement.invoices[0];
    assert_eq!(
        (line.status.as_str(), line.open, line.approved, line.total.as_str(), line.outstanding.as_str()),
        ("Paid", false, true, "21.59", "0.00")
    );
    let line = &statement.credit_notes[0];
    assert_eq!(
        (line.status.as_str(), line.open, line.total.as_str(), line.tax.as_str(), line.outstanding.as_str()),
        ("Refunded", false, "21.59", "3.60", "0.00")
    );
    let line = &statement.refunds[0];
    assert_eq!((line.amount.as_str(), line.account_amount.as_str(), line.reference.as_str()), ("9.00", "9.00", "ch_1"));
    assert_eq!(statement.allocations.iter().map(|line| line.amount.as_str()).collect::<Vec<_>>(), ["12.00", "0.59"]);
    assert_eq!(statement.payments[0].amount, "9.00");
    let balances: Vec<&str> = statement.bank_accounts.iter().map(|line| line.balance.as_str()).collect();
    assert_eq!(balances, ["9.00", "-9.00", "0.00"]);
    let (_, shown) = send(&book, "GET", "/_control/statement", &Value::Null).await;
    assert_eq!(shown, serde_json::to_value(&statement).unwrap());
}

#[tokio::test]
async fn a_receipt_in_another_currency_says_both_sides() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let euro = with(with(invoice(&book, &contact, "MAG-1"), "currency", json!("EUR")), "exchange_rate", json!("0.85"));
    let bill = made(&book, "/v2/invoices", &euro).await;
    let receipt = |account: &str, gross: &str, foreign: Option<&str>| {
        let mut body = money(&book, account, gross, url(&bill));
        if let Some(foreign) = foreign {
            body["bank_transaction_explanation"]["foreign_currency_value"] = json!(foreign);
        }
        body
    };
    let path = "/v2/bank_transaction_explanations";
    let (status, answer) = send(&book, "POST", path, &receipt("2", "8.50", None)).await;
    assert_eq!((status, first_error(&answer).0), (422, "foreign_currency_value"));
    made(&book, path, &receipt("2", "8.50", Some("10.00"))).await;
    assert_eq!(book.shows("MAG-1")[0]["due_value"], "11.59");
    made(&book, path, &receipt("3", "1.59", None)).await;
    assert_eq!(book.shows("MAG-1")[0]["due_value"], "10.0", "an account in the invoice's own currency needs no more");
    book.sets(|switches| switches.missing_foreign_value = Verdict::Accepted);
    made(&book, path, &receipt("2", "8.50", None)).await;
    assert_eq!(book.shows("MAG-1")[0]["status"], "Paid");
    let statement = book.statement();
    let sides: Vec<_> = statement
        .payments
        .iter()
        .map(|line| (line.amount.as_str(), line.currency.as_str(), line.account_amount.as_str()))
        .collect();
    assert_eq!(sides, [("10.00", "EUR", "8.50"), ("1.59", "EUR", "1.59"), ("10.00", "EUR", "8.50")]);
    let balances: Vec<&str> = statement.bank_accounts.iter().map(|line| line.balance.as_str()).collect();
    assert_eq!(balances, ["0.00", "17.00", "1.59"]);
}

#[tokio::test]
async fn credit_notes_may_begin_as_drafts() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    book.sets(|switches| switches.credit_notes_begin_as_drafts = true);
    let bill = made(&book, "/v2/invoices", &invoice(&book, &contact, "MAG-1")).await;
    let note = made(&book, "/v2/credit_notes", &credit_note(&book, &contact, "MAG-CM-1", "-17.99")).await;
    assert_eq!((&bill["status"], &note["status"]), (&json!("Open"), &json!("Draft")));
    let (status, answer) =
        send(&book, "POST", "/v2/credit_note_reconciliations", &set_off(url(&bill), url(&note), "1")).await;
    assert_eq!((status, first_error(&answer)), (422, ("credit_note", "credit_note has not been sent")));
    let path = format!("{}/transitions/mark_as_sent", url(&note).strip_prefix(&book.url()).unwrap());
    assert_eq!(send(&book, "PUT", &path, &Value::Null).await.1["credit_note"]["status"], "Open");
    assert_eq!(send(&book, "PUT", &path, &Value::Null).await.0, 200, "sending it again changes nothing");
    book.sets(|switches| switches.repeated_transitions = Verdict::Refused);
    assert_eq!(send(&book, "PUT", &path, &Value::Null).await.0, 422);
    made(&book, "/v2/credit_note_reconciliations", &set_off(url(&bill), url(&note), "21.59")).await;
    assert_eq!(book.shows("MAG-1")[0]["status"], "Paid");
}

#[tokio::test]
async fn a_feed_line_is_explained_once() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let bill = made(&book, "/v2/invoices", &invoice(&book, &contact, "MAG-1")).await;
    let account = book.url_of("bank_accounts", "1");
    let seeded = book
        .seeds(&Seed {
            bank_transactions: vec![json!({"bank_account": account, "dated_on": "2026-11-20", "amount": "21.59"})],
            ..Seed::default()
        })
        .unwrap();
    let line = seeded["bank_transactions"][0].as_str().unwrap();
    let body = json!({"bank_transaction_explanation": {
        "bank_transaction": line, "dated_on": "2026-11-20", "gross_value": "21.59", "paid_invoice": bill["url"],
    }});
    made(&book, "/v2/bank_transaction_explanations", &body).await;
    assert_eq!(book.statement().bank_accounts[0].balance, "21.59", "the money was there already");
    assert_eq!(book.shows("MAG-1")[0]["status"], "Paid");
    let (status, answer) = send(&book, "POST", "/v2/bank_transaction_explanations", &body).await;
    assert_eq!((status, first_error(&answer).0), (422, "gross_value"));
    let path = line.strip_prefix(&book.url()).unwrap();
    assert_eq!(send(&book, "GET", path, &Value::Null).await.1["bank_transaction"]["unexplained_amount"], "0.0");
}

#[tokio::test]
async fn accounts_and_categories_are_made() {
    let book = book().await;
    let body = json!({"bank_account": {"name": "Stripe clearing", "type": "StandardBankAccount", "currency": "EUR", "opening_balance": "10.5"}});
    let account = made(&book, "/v2/bank_accounts", &body).await;
    assert_eq!((&account["current_balance"], &account["currency"]), (&json!("10.5"), &json!("EUR")));
    let paypal = json!({"bank_account": {"name": "PayPal", "type": "PaypalAccount"}});
    let (status, answer) = send(&book, "POST", "/v2/bank_accounts", &paypal).await;
    assert_eq!((status, first_error(&answer)), (422, ("email", "email can't be blank")));
    let category = |code: &str| json!({"category": {"description": "Gift cards", "nominal_code": code, "category_group": "income"}});
    let (status, answer) = send(&book, "POST", "/v2/categories", &category("012")).await;
    assert_eq!((status, &answer["income_categories"]["url"]), (201, &json!(book.url_of("categories", "012"))));
    for code in ["012", "050", "12"] {
        assert_eq!(send(&book, "POST", "/v2/categories", &category(code)).await.0, 422, "{code}");
    }
    let contact = contact(&book, "a@b.example").await;
    let mut line = invoice(&book, &contact, "MAG-1");
    line["invoice"]["invoice_items"][0]["category"] = json!(book.url_of("categories", "012"));
    made(&book, "/v2/invoices", &line).await;
}
