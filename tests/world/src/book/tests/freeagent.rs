//! The house rules of `FreeAgent`.

use serde_json::{Value, json};

use super::super::{
    Book, BookFault, BookOptions, CountryNames, FaultSpec, ForbiddenShape, House, Seat, Seed, TakenWording, Verdict,
};
use super::credit::{credit_note, money, set_off};
use super::{contact, headers, invoice, send, try_send, with};
use crate::clock::Clock;
use crate::testing::call;

fn options() -> BookOptions {
    BookOptions { clock: Clock::standing_at(1_795_167_000), ..BookOptions::freeagent() }
}

async fn book() -> Book {
    Book::start(options()).await.unwrap()
}

/// The only sentence of a refusal.
fn message(answer: &Value) -> &str {
    assert!(answer["errors"][0].get("field").is_none(), "sentences alone: {answer}");
    answer["errors"][0]["message"].as_str().unwrap()
}

fn path(book: &Book, shown: &Value) -> String {
    shown["url"].as_str().unwrap().strip_prefix(&book.url()).unwrap().to_owned()
}

async fn draft(book: &Book, contact: &str, reference: &str) -> Value {
    let (status, answer) = send(book, "POST", "/v2/invoices", &invoice(book, contact, reference)).await;
    assert_eq!(status, 201, "{answer}");
    answer["invoice"].clone()
}

async fn passes(book: &Book, shown: &Value, transition: &str) -> (u16, Value) {
    send(book, "PUT", &format!("{}/transitions/{transition}", path(book, shown)), &Value::Null).await
}

async fn sent(book: &Book, contact: &str, reference: &str) -> Value {
    let invoice = draft(book, contact, reference).await;
    assert_eq!(passes(book, &invoice, "mark_as_sent").await.0, 200);
    invoice
}

#[tokio::test]
async fn an_invoice_begins_as_a_draft_and_is_sent() {
    let book = book().await;
    assert_eq!(book.house(), House::Freeagent);
    let contact = contact(&book, "a@b.example").await;
    let invoice = draft(&book, &contact, "MAG-1").await;
    assert_eq!((&invoice["status"], &invoice["due_value"]), (&json!("Draft"), &json!("21.59")));
    let receipt = money(&book, "2", "21.59", invoice["url"].as_str().unwrap());
    let (status, answer) = send(&book, "POST", "/v2/bank_transaction_explanations", &receipt).await;
    assert_eq!((status, message(&answer)), (422, "paid_invoice has not been sent"));
    let (status, answer) = passes(&book, &invoice, "mark_as_sent").await;
    assert_eq!((status, &answer["invoice"]["status"]), (200, &json!("Open")));
    book.sets(|switches| switches.transitions_answer_nothing = true);
    let again =
        try_send(&book, "PUT", &format!("{}/transitions/mark_as_sent", path(&book, &invoice)), &Value::Null).await;
    assert_eq!(again.map(|got| (got.status, got.body)).unwrap(), (200, String::new()));

    assert_eq!(passes(&book, &invoice, "mark_as_cancelled").await.0, 422, "it is not overdue");
    book.clock().advance(31 * 86_400);
    assert_eq!(book.shows("MAG-1")[0]["status"], "Overdue");
    assert_eq!(passes(&book, &invoice, "mark_as_cancelled").await.0, 200);
    assert_eq!(
        (&book.shows("MAG-1")[0]["status"], &book.shows("MAG-1")[0]["due_value"]),
        (&json!("Written-off"), &json!("0.0"))
    );
    assert!(!book.statement().invoices[0].approved);
    assert_eq!(passes(&book, &invoice, "mark_as_sent").await.0, 200, "sending it opens it again");
    assert_eq!(passes(&book, &invoice, "mark_as_magic").await.0, 404);
    let (status, _) = send(&book, "POST", "/v2/bank_transaction_explanations", &receipt).await;
    assert_eq!((status, &book.shows("MAG-1")[0]["status"]), (201, &json!("Paid")));
    assert_eq!(passes(&book, &invoice, "mark_as_draft").await.0, 422, "money has come");
    assert_eq!(send(&book, "POST", "/v2/bank_transaction_explanations", &receipt).await.0, 201);
    assert_eq!(
        (&book.shows("MAG-1")[0]["status"], &book.shows("MAG-1")[0]["due_value"]),
        (&json!("Overpaid"), &json!("-21.59"))
    );
}

#[tokio::test]
async fn what_was_sent_is_locked_and_a_draft_is_not() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let other = super::contact(&book, "a@b.example").await;
    let invoice = draft(&book, &contact, "MAG-1").await;
    let item = invoice["invoice_items"][0]["url"].as_str().unwrap().rsplit('/').next().unwrap().parse::<u64>().unwrap();
    let change = |fields: Value| json!({"invoice": fields});
    let lines = json!({"contact": other, "invoice_items": [
        {"id": item, "quantity": 2},
        {"description": "Nut", "quantity": 1, "price": "1.00", "sales_tax_rate": 0},
    ]});
    let (status, answer) = send(&book, "PUT", &path(&book, &invoice), &change(lines)).await;
    assert_eq!(
        (status, &answer["invoice"]["total_value"], &answer["invoice"]["contact"]),
        (200, &json!("44.18"), &json!(other))
    );
    let (_, answer) =
        send(&book, "PUT", &path(&book, &invoice), &change(json!({"invoice_items": [{"id": item, "_destroy": 1}]})))
            .await;
    assert_eq!(answer["invoice"]["total_value"], "1.0");
    passes(&book, &invoice, "mark_as_sent").await;
    for (fields, sentence) in [
        (json!({"contact": contact}), "contact_id is locked and cannot be changed"),
        (json!({"invoice_items": []}), "invoice_items is locked and cannot be changed"),
        (json!({"dated_on": "2026-11-22"}), "dated_on is locked and cannot be changed"),
    ] {
        let (status, answer) = send(&book, "PUT", &path(&book, &invoice), &change(fields)).await;
        assert_eq!((status, message(&answer)), (422, sentence));
    }
    let (status, answer) =
        send(&book, "PUT", &path(&book, &invoice), &change(json!({"comments": "Paid by Jane"}))).await;
    assert_eq!((status, &answer["invoice"]["comments"]), (200, &json!("Paid by Jane")));
    assert_eq!(send(&book, "DELETE", &path(&book, &invoice), &Value::Null).await.0, 422);
    assert_eq!(passes(&book, &invoice, "mark_as_draft").await.0, 200);
    assert_eq!(send(&book, "PUT", &path(&book, &invoice), &change(json!({"contact": contact}))).await.0, 200);
    assert_eq!(send(&book, "DELETE", &path(&book, &invoice), &Value::Null).await.0, 200);
    assert!(book.invoices().is_empty());
}

#[tokio::test]
async fn contacts_are_neither_unique_nor_searchable() {
    let book = book().await;
    let first = contact(&book, "jane@example.com").await;
    book.clock().advance(60);
    let second = contact(&book, "JANE@example.com").await;
    assert_ne!(first, second);
    let listed = async |query: &str| {
        let (status, answer) = send(&book, "GET", &format!("/v2/contacts{query}"), &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        let urls = answer["contacts"].as_array().unwrap().iter().map(|it| it["url"].as_str().unwrap().to_owned());
        urls.collect::<Vec<_>>()
    };
    contact(&book, "third@example.com").await;
    assert_eq!(listed("?email=jane%40example.com").await.len(), 3, "the question is passed over");
    assert_eq!(listed("?sort=-created_at").await.len(), 3);
    assert_eq!(listed("?updated_since=2026-11-20T09:30:30Z").await.len(), 2);
    assert_eq!(listed("?view=clients").await.len(), 0);
    sent(&book, &second, "MAG-1").await;
    assert_eq!(listed("?view=clients").await, [second.as_str()]);
    assert_eq!(listed("?view=open_clients").await, [second.as_str()]);
    book.hides("jane@example.com");
    assert_eq!(
        (listed("").await.len(), listed("?view=hidden").await.len(), listed("?view=all").await.len()),
        (1, 2, 3)
    );
    let first = first.strip_prefix(&book.url()).unwrap();
    let second = second.strip_prefix(&book.url()).unwrap();
    assert_eq!(send(&book, "DELETE", first, &Value::Null).await.0, 200);
    let (status, answer) = send(&book, "DELETE", second, &Value::Null).await;
    assert_eq!((status, message(&answer)), (422, "base cannot be deleted, as it has invoices"));
    let got = try_send(&book, "GET", "/v2/contacts?view=all&per_page=1&page=2", &Value::Null).await.unwrap();
    assert!(got.head.contains("rel=\"prev\"") && got.head.contains("x-total-count: 2"), "{}", got.head);
    let got = try_send(&book, "GET", "/v2/contacts?view=all", &Value::Null).await.unwrap();
    assert!(got.head.lines().any(|line| line.trim_end() == "link:"), "an empty header: {}", got.head);
}

#[tokio::test]
async fn what_an_invoice_needs_is_said_in_sentences() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let good = || invoice(&book, &contact, "MAG-1");
    let item = |field: &str, value: Value| {
        let mut body = good();
        body["invoice"]["invoice_items"][0][field] = value;
        body
    };
    draft(&book, &contact, "MAG-TAKEN").await;
    for (body, sentence) in [
        (with(good(), "payment_terms_in_days", Value::Null), "payment_terms_in_days is not a number"),
        (with(good(), "reference", json!("MAG-TAKEN")), "reference has already been taken"),
        (with(good(), "ec_status", json!("EC Services")), "ec_status is not valid for this company on this date"),
        (
            with(good(), "ec_status", json!("Reverse Charge")),
            "ec_status must not be Reverse Charge if an item has a sales tax rate",
        ),
        (with(good(), "ec_status", json!("EC VAT MOSS")), "place_of_supply is not included in the list"),
        (
            with(with(good(), "ec_status", json!("EC VAT MOSS")), "place_of_supply", json!("Hungary")),
            "invoice_items.sales_tax_rate is not a sales tax rate of this company",
        ),
        (item("sales_tax_rate", json!("27.0")), "invoice_items.sales_tax_rate is not a sales tax rate of this company"),
        (item("sales_tax_status", json!("OUT_OF_SCOPE")), "invoice_items.sales_tax_status is not included in the list"),
    ] {
        let (status, answer) = send(&book, "POST", "/v2/invoices", &body).await;
        assert_eq!((status, message(&answer)), (422, sentence));
    }
    book.sets(|switches| switches.taken_wording = TakenWording::Unique);
    let (_, answer) = send(&book, "POST", "/v2/invoices", &with(good(), "reference", json!("MAG-TAKEN"))).await;
    assert_eq!(message(&answer), "reference must be unique");
    let mut abroad = with(
        with(item("sales_tax_rate", json!("27.0")), "ec_status", json!("EC VAT MOSS")),
        "place_of_supply",
        json!("Hungary"),
    );
    abroad["invoice"]["reference"] = json!("MAG-HU");
    let (status, answer) = send(&book, "POST", "/v2/invoices", &abroad).await;
    assert_eq!((status, &answer["invoice"]["sales_tax_value"]), (201, &json!("4.86")));
    let rates = "/v2/ec_moss/sales_tax_rates?country=Hungary&date=2026-11-20";
    assert_eq!(send(&book, "GET", rates, &Value::Null).await.1["sales_tax_rates"][0]["percentage"], "27.0");
    let before = with(with(good(), "dated_on", json!("2020-12-31")), "ec_status", json!("EC Goods"));
    assert_eq!(send(&book, "POST", "/v2/invoices", &before).await.0, 201, "while it was still in the union");
    let (status, answer) = send(&book, "POST", "/v2/invoices", &good()["invoice"]).await;
    assert_eq!((status, message(&answer)), (400, "invoice is missing"));
    book.sets(|switches| switches.bodies_without_root = Verdict::Accepted);
    let bare = with(good(), "reference", json!("MAG-BARE"));
    assert_eq!(send(&book, "POST", "/v2/invoices", &bare["invoice"]).await.0, 201);
    let nothing = item("price", json!("0"));
    let (_, answer) = send(&book, "POST", "/v2/invoices", &with(nothing, "reference", json!("MAG-0"))).await;
    passes(&book, &answer["invoice"], "mark_as_sent").await;
    assert_eq!(book.shows("MAG-0")[0]["status"], "Zero Value");
}

/// `FreeAgent` API forum, 510: fifty at 4.167 come to 250.20.
#[tokio::test]
async fn prices_are_rounded_before_they_are_multiplied() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let mut body = invoice(&book, &contact, "MAG-1");
    let items = body["invoice"]["invoice_items"].as_array_mut().unwrap();
    items.truncate(1);
    items[0]["quantity"] = json!("50.0");
    items[0]["price"] = json!("4.167");
    items[0]["sales_tax_rate"] = json!("20.0");
    let (status, answer) = send(&book, "POST", "/v2/invoices", &body).await;
    let shown = ["net_value", "sales_tax_value", "total_value"].map(|field| answer["invoice"][field].clone());
    assert_eq!((status, shown), (201, ["208.5", "41.7", "250.2"].map(|value| json!(value))));
}

#[tokio::test]
async fn countries_may_go_by_their_other_names() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let sold_to = |country: &str, reference: &str| {
        let mut body = with(invoice(&book, &contact, reference), "ec_status", json!("EC VAT MOSS"));
        body["invoice"]["place_of_supply"] = json!(country);
        for item in body["invoice"]["invoice_items"].as_array_mut().unwrap() {
            item["sales_tax_rate"] = json!("21.0");
        }
        body
    };
    for (names, takes, refuses) in [
        (CountryNames::Usual, ["Czech Republic", "Netherlands"], ["Czechia", "The Netherlands"]),
        (CountryNames::Other, ["Czechia", "The Netherlands"], ["Czech Republic", "Netherlands"]),
    ] {
        book.sets(|switches| switches.country_names = names);
        for country in takes {
            let body = sold_to(country, &format!("{country} {names:?}"));
            assert_eq!(send(&book, "POST", "/v2/invoices", &body).await.0, 201, "{country} {names:?}");
        }
        for country in refuses {
            let (status, answer) = send(&book, "POST", "/v2/invoices", &sold_to(country, "MAG-X")).await;
            assert_eq!((status, message(&answer)), (422, "place_of_supply is not included in the list"), "{country}");
        }
        let body = sold_to("Belgium", &format!("Belgium {names:?}"));
        assert_eq!(send(&book, "POST", "/v2/invoices", &body).await.0, 201);
    }
}

#[tokio::test]
async fn companies_elsewhere_report_nothing() {
    let northern = Book::start(BookOptions { seat: Seat::NorthernIreland, ..options() }).await.unwrap();
    let contact_url = contact(&northern, "a@b.example").await;
    let goods = with(invoice(&northern, &contact_url, "MAG-1"), "ec_status", json!("EC Goods"));
    assert_eq!(send(&northern, "POST", "/v2/invoices", &goods).await.0, 201);

    let plain = Book::start(BookOptions { sales_tax_registered: false, ..options() }).await.unwrap();
    let (_, company) = send(&plain, "GET", "/v2/company", &Value::Null).await;
    assert_eq!(company["company"]["sales_tax_registration_status"], "Not Registered");
    let contact_url = contact(&plain, "a@b.example").await;
    let taxed = invoice(&plain, &contact_url, "MAG-1");
    let mut untaxed = taxed.clone();
    untaxed["invoice"]["invoice_items"][0]["sales_tax_rate"] = json!("0.0");
    let labelled = with(untaxed.clone(), "ec_status", json!("UK/Non-EC"));
    for (body, start) in [(&taxed, "invoice_items.sales_tax_rate must be 0"), (&labelled, "ec_status must be blank, ")]
    {
        let (status, answer) = send(&plain, "POST", "/v2/invoices", body).await;
        assert!(status == 422 && message(&answer).starts_with(start), "{answer}");
    }
    plain.sets(|switches| {
        switches.ec_status_without_registration = Verdict::Accepted;
        switches.sales_tax_without_registration = Verdict::Accepted;
    });
    let both = with(taxed, "ec_status", json!("UK/Non-EC"));
    let (status, answer) = send(&plain, "POST", "/v2/invoices", &both).await;
    assert_eq!((status, &answer["invoice"]["total_value"]), (201, &json!("17.99")), "nothing is charged");
}

#[tokio::test]
async fn the_contact_decides_where_a_line_says_nothing() {
    let book = book().await;
    let never = json!({"contact": {"organisation_name": "Exempt Ltd", "charge_sales_tax": "Never"}});
    let (_, answer) = send(&book, "POST", "/v2/contacts", &never).await;
    let mut body = invoice(&book, answer["contact"]["url"].as_str().unwrap(), "MAG-1");
    body["invoice"]["invoice_items"][0].as_object_mut().unwrap().remove("sales_tax_rate");
    let (_, answer) = send(&book, "POST", "/v2/invoices", &body).await;
    assert_eq!(answer["invoice"]["sales_tax_value"], "0.0");
    body["invoice"]["contact"] = json!(contact(&book, "a@b.example").await);
    body["invoice"]["reference"] = json!("MAG-2");
    let (_, answer) = send(&book, "POST", "/v2/invoices", &body).await;
    assert_eq!(answer["invoice"]["sales_tax_value"], "3.6");
}

#[tokio::test]
async fn a_credit_note_is_sent_before_it_counts() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let bill = sent(&book, &contact, "MAG-1").await;
    let bill_url = bill["url"].as_str().unwrap();
    let (_, answer) =
        send(&book, "POST", "/v2/credit_notes", &credit_note(&book, &contact, "MAG-CM-1", "-17.99")).await;
    let note = &answer["credit_note"];
    let note_url = note["url"].as_str().unwrap();
    assert_eq!(note["status"], "Draft");
    for body in [set_off(bill_url, note_url, "1"), set_off(note_url, bill_url, "1")] {
        assert_eq!(send(&book, "POST", "/v2/credit_note_reconciliations", &body).await.0, 422);
    }
    let refund = money(&book, "2", "-21.59", note_url);
    assert_eq!(send(&book, "POST", "/v2/bank_transaction_explanations", &refund).await.0, 422);
    assert_eq!(passes(&book, note, "mark_as_cancelled").await.0, 404, "credit notes have no such transition any more");
    assert_eq!(passes(&book, note, "mark_as_sent").await.0, 200);
    book.clock().advance(2 * 86_400);
    assert_eq!(book.shows_credit_note("MAG-CM-1")[0]["status"], "Overdue");
    assert_eq!(
        send(&book, "POST", "/v2/credit_note_reconciliations", &set_off(bill_url, note_url, "11.59")).await.0,
        201
    );
    let refund = money(&book, "2", "-10.00", note_url);
    assert_eq!(send(&book, "POST", "/v2/bank_transaction_explanations", &refund).await.0, 201);
    assert_eq!(book.shows_credit_note("MAG-CM-1")[0]["status"], "Refunded");
    assert_eq!(book.shows("MAG-1")[0]["due_value"], "10.0");

    let euro =
        with(with(invoice(&book, &contact, "MAG-EUR"), "currency", json!("EUR")), "exchange_rate", json!("0.85"));
    let (_, answer) = send(&book, "POST", "/v2/invoices", &euro).await;
    passes(&book, &answer["invoice"], "mark_as_sent").await;
    let (_, second) = send(&book, "POST", "/v2/credit_notes", &credit_note(&book, &contact, "MAG-CM-2", "-5")).await;
    passes(&book, &second["credit_note"], "mark_as_sent").await;
    let across =
        set_off(answer["invoice"]["url"].as_str().unwrap(), second["credit_note"]["url"].as_str().unwrap(), "1");
    let (status, refused) = send(&book, "POST", "/v2/credit_note_reconciliations", &across).await;
    assert_eq!((status, message(&refused)), (422, "currency of invoice and credit note must be the same"));
    book.sets(|switches| switches.reconciliations_across_currencies = Verdict::Accepted);
    assert_eq!(send(&book, "POST", "/v2/credit_note_reconciliations", &across).await.0, 201);
}

#[tokio::test]
async fn receipts_are_listed_by_account_and_day() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let bill = sent(&book, &contact, "MAG-1").await;
    let receipt = money(&book, "2", "5.00", bill["url"].as_str().unwrap());
    send(&book, "POST", "/v2/bank_transaction_explanations", &receipt).await;
    let count = async |query: String| {
        let (_, answer) = send(&book, "GET", &format!("/v2/bank_transaction_explanations{query}"), &Value::Null).await;
        answer["bank_transaction_explanations"].as_array().map(Vec::len)
    };
    let of = |account: &str| {
        format!("?bank_account={}", crate::server::percent_encoded(&book.url_of("bank_accounts", account)))
    };
    assert_eq!(count(String::new()).await, None);
    assert_eq!((count(of("2")).await, count(of("1")).await), (Some(1), Some(0)));
    assert_eq!(count(format!("{}&from_date=2026-11-21&to_date=2026-11-21", of("2"))).await, Some(1));
    assert_eq!(count(format!("{}&from_date=2026-11-22", of("2"))).await, Some(0));
    assert_eq!(count(format!("{}&to_date=2026-11-20", of("2"))).await, Some(0));
    let listed = async || {
        let path = format!("/v2/bank_transaction_explanations{}", of("2"));
        send(&book, "GET", &path, &Value::Null).await.1["bank_transaction_explanations"][0].clone()
    };
    assert_eq!(listed().await["receipt_reference"], "ch_1");
    book.sets(|switches| switches.explanation_lists_tell_references = false);
    let silent = listed().await;
    assert!(silent.get("receipt_reference").is_none() && silent["paid_invoice"] == bill["url"]);
    let shown = &book.explanations()[0];
    assert_eq!(shown["receipt_reference"], "ch_1");
    assert_eq!((&shown["type"], &shown["is_deletable"]), (&json!("Invoice Receipt"), &json!(true)));
    assert_eq!(send(&book, "DELETE", &path(&book, shown), &Value::Null).await.0, 200);
    assert_eq!(book.shows("MAG-1")[0]["due_value"], "21.59", "as if it had never come");
}

#[tokio::test]
async fn a_closed_period_is_forbidden() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let early = draft(&book, &contact, "MAG-0").await;
    let late = sent(&book, &contact, "MAG-LATE").await;
    book.closes_until(Some("2026-11-20"));
    let (_, locks) = send(&book, "GET", "/v2/account_locks", &Value::Null).await;
    assert_eq!(locks["account_locks"]["locked_until"], "2026-11-20");
    let body = invoice(&book, &contact, "MAG-1");
    for (shape, expected) in [
        (ForbiddenShape::Object, json!({"errors": {"error": {"message": "Invoice is locked."}}})),
        (ForbiddenShape::List, json!({"errors": [{"message": "Invoice is locked."}]})),
        (ForbiddenShape::Text, json!("Invoice is locked.")),
    ] {
        book.sets(|switches| switches.forbidden_shape = shape);
        assert_eq!(send(&book, "POST", "/v2/invoices", &body).await, (403, expected.clone()));
        assert_eq!(passes(&book, &early, "mark_as_sent").await, (403, expected));
    }
    let mut receipt = money(&book, "2", "1", late["url"].as_str().unwrap());
    assert_eq!(send(&book, "POST", "/v2/bank_transaction_explanations", &receipt).await.0, 201, "dated a day later");
    receipt["bank_transaction_explanation"]["dated_on"] = json!("2026-11-20");
    assert_eq!(send(&book, "POST", "/v2/bank_transaction_explanations", &receipt).await.0, 403);
    let next_day = with(body, "dated_on", json!("2026-11-21"));
    assert_eq!(send(&book, "POST", "/v2/invoices", &next_day).await.0, 201);
    assert_eq!(send(&book, "DELETE", "/v2/account_locks", &Value::Null).await.0, 200);
    assert_eq!(passes(&book, &early, "mark_as_sent").await.0, 200);
    send(&book, "POST", "/_control/lock", &json!({"until": "2026-11-30"})).await;
    assert_eq!(passes(&book, &early, "mark_as_draft").await.0, 403);
}

#[tokio::test]
async fn a_user_may_only_so_much() {
    let book = book().await;
    contact(&book, "a@b.example").await;
    for (level, method, path, allowed) in [
        (2, "GET", "/v2/company", true),
        (2, "POST", "/v2/contacts", false),
        (3, "GET", "/v2/invoices", false),
        (4, "GET", "/v2/credit_notes", true),
        (5, "GET", "/v2/bank_accounts", false),
        (6, "GET", "/v2/bank_accounts", true),
        (6, "GET", "/v2/users", false),
        (8, "GET", "/v2/users", true),
    ] {
        book.permits(level);
        assert_eq!(send(&book, method, path, &Value::Null).await.0 != 403, allowed, "{level} {path}");
        let (_, me) = send(&book, "GET", "/v2/users/me", &Value::Null).await;
        assert_eq!(me["user"]["permission_level"], level);
    }
    book.permits(2);
    let (_, seen) = send(&book, "GET", "/v2/contacts", &Value::Null).await;
    assert!(seen["contacts"][0].get("email").is_none() && seen["contacts"][0]["organisation_name"] == "Known Ltd");
}

#[tokio::test]
async fn limits_are_those_of_the_clock() {
    let book = Book::start(options().with_real_limits()).await.unwrap();
    let company = format!("{}/v2/company", book.url());
    let ask = async |extra: Option<(&str, &str)>| {
        let mut headers = headers();
        headers.extend(extra.map(|(name, value)| (name.to_owned(), value.to_owned())));
        call("GET", &company, &headers, "").await.unwrap()
    };
    for _ in 0..120 {
        assert_eq!(ask(None).await.status, 200);
    }
    let got = ask(None).await;
    assert_eq!((got.status, got.body.as_str()), (429, "You must not exceed 120 requests per 60 seconds"));
    assert!(got.head.contains("retry-after: 60") && got.head.contains("content-type: text/plain"));
    book.clock().advance(60);
    for _ in 0..5 {
        assert_eq!(ask(Some(("x-ratelimit-test", "true"))).await.status, 200);
    }
    let got = ask(Some(("x-ratelimit-test", "true"))).await;
    assert_eq!((got.status, got.body.as_str()), (429, "You must not exceed 5 requests per 60 seconds"));

    let hourly = Book::start(BookOptions { requests_per_hour: Some(2), ..options() }).await.unwrap();
    for status in [200, 200, 429] {
        assert_eq!(send(&hourly, "GET", "/v2/company", &Value::Null).await.0, status);
    }
    hourly.clock().advance(60);
    assert_eq!(
        send(&hourly, "GET", "/v2/company", &Value::Null).await,
        (429, json!("You must not exceed 2 requests per 3600 seconds"))
    );
    hourly.clock().advance(3_600);
    assert_eq!(send(&hourly, "GET", "/v2/company", &Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_page_for_people_although_it_was_written() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    book.faults(FaultSpec::on("POST", "/v2/invoices", 1, BookFault::page(504, true)));
    let got = try_send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "MAG-1")).await.unwrap();
    assert!(got.status == 504 && got.body.starts_with("<!DOCTYPE html>"), "{}", got.body);
    assert!(got.head.contains("x-request-id: 1-"), "{}", got.head);
    assert_eq!(book.shows("MAG-1").len(), 1);
    book.faults(FaultSpec::on(
        "POST",
        "/v2/invoices",
        1,
        BookFault::Refused { field: "base".into(), message: "is odd".into() },
    ));
    let (_, answer) = send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "MAG-2")).await;
    assert_eq!(message(&answer), "base is odd");
    let anonymous: Vec<_> = headers().into_iter().filter(|(name, _)| name != "user-agent").collect();
    let got = call("GET", &format!("{}/v2/company", book.url()), &anonymous, "").await.unwrap();
    assert_eq!(got.status, 400, "nobody stays without a name");
}

#[tokio::test]
async fn seeds_are_booked_unless_they_say_otherwise() {
    let book = book().await;
    let line = json!([{"description": "Old", "quantity": 1, "price": "10", "sales_tax_rate": 0}]);
    book.seeds(&Seed {
        invoices: vec![
            json!({"reference": "OLD-1", "invoice_items": line}),
            json!({"reference": "OLD-2", "invoice_items": line, "status": "Draft"}),
        ],
        credit_notes: vec![json!({"reference": "OLD-CM"})],
        bank_transaction_explanations: vec![json!({"paid_invoice": "OLD-1", "gross_value": "4.00"})],
        ..Seed::default()
    })
    .unwrap();
    assert_eq!(
        (&book.shows("OLD-1")[0]["status"], &book.shows("OLD-2")[0]["status"]),
        (&json!("Open"), &json!("Draft"))
    );
    assert_eq!(book.shows("OLD-1")[0]["due_value"], "6.0");
    assert!(book.enters_payment("OLD-2", "1").is_err(), "a draft takes no money");
    book.enters_payment("OLD-1", "6").unwrap();
    assert_eq!(book.statement().invoices[0].status, "Paid");
}
