//! The book as the connector meets it: over HTTP.

mod credit;
mod freeagent;

use serde_json::{Value, json};

use super::{Book, BookFault, BookOptions, FaultSpec, MissingRate, Seed, Switches, TaxRounding, UnknownField};
use crate::clock::Clock;
use crate::testing::{Got, call};

async fn book() -> Book {
    Book::start(BookOptions { clock: Clock::standing_at(1_795_167_000), ..BookOptions::default() }).await.unwrap()
}

fn headers() -> Vec<(String, String)> {
    [("authorization", "Bearer book-token"), ("user-agent", "test"), ("content-type", "application/json")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

async fn try_send(book: &Book, method: &str, path: &str, body: &Value) -> anyhow::Result<Got> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call(method, &format!("{}{path}", book.url()), &headers(), &body).await
}

async fn send(book: &Book, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let got = try_send(book, method, path, body).await.unwrap();
    (got.status, serde_json::from_str(&got.body).unwrap_or(Value::String(got.body)))
}

async fn contact(book: &Book, email: &str) -> String {
    let (status, body) =
        send(book, "POST", "/v2/contacts", &json!({"contact": {"organisation_name": "Known Ltd", "email": email}}))
            .await;
    assert_eq!(status, 201, "{body}");
    body["contact"]["url"].as_str().unwrap().to_owned()
}

fn invoice(book: &Book, contact: &str, reference: &str) -> Value {
    json!({"invoice": {
        "contact": contact, "dated_on": "2026-11-20", "payment_terms_in_days": 30, "reference": reference, "currency": "GBP",
        "invoice_items": [
            {"description": "Bolt", "item_type": "Products", "quantity": "1.0", "price": 17.99, "sales_tax_rate": "20.0",
             "category": book.url_of("categories", "001")},
        ],
    }})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body["invoice"][field] = value;
    body
}

fn first_error(body: &Value) -> (&str, &str) {
    (body["errors"][0]["field"].as_str().unwrap(), body["errors"][0]["message"].as_str().unwrap())
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let book = book().await;
    let company = format!("{}/v2/company", book.url());
    for headers in [vec![], vec![("authorization".to_owned(), "Bearer other".to_owned())]] {
        let got = call("GET", &company, &headers, "").await.unwrap();
        assert_eq!(
            (got.status, got.body.as_str()),
            (401, r#"{"errors":{"error":{"message":"Access token not recognised"}}}"#)
        );
    }
    let anonymous =
        call("GET", &company, &[("authorization".to_owned(), "Bearer book-token".to_owned())], "").await.unwrap();
    assert_eq!(anonymous.status, 400);
    let (status, body) = send(&book, "GET", "/v2/company", &Value::Null).await;
    assert_eq!(
        (status, &body["company"]["currency"], &body["company"]["sales_tax_rates"]),
        (200, &json!("GBP"), &json!(["20.0", "5.0", "0.0"]))
    );
    assert_eq!(send(&book, "GET", "/connections", &Value::Null).await.0, 404);
    book.revokes("book-token");
    assert_eq!(send(&book, "GET", "/v2/company", &Value::Null).await.0, 401);
    book.accepts("book-token");
    assert_eq!(send(&book, "GET", "/v2/company", &Value::Null).await.0, 200);
}

#[tokio::test]
async fn contacts_need_a_name_and_an_address_of_their_own() {
    let book = book().await;
    let url = contact(&book, " Jane@Example.com ").await;
    for (fields, field, message) in [
        (
            json!({"first_name": "Jane"}),
            "organisation_name",
            "organisation_name can't be blank if either first name or last name are blank",
        ),
        (json!({"organisation_name": "X", "email": "jane@example.COM"}), "email", "email has already been taken"),
        (json!({"organisation_name": "X", "email": "jane"}), "email", "email is invalid"),
        (
            json!({"organisation_name": "x".repeat(256)}),
            "organisation_name",
            "organisation_name is too long (maximum is 255 characters)",
        ),
    ] {
        let (status, body) = send(&book, "POST", "/v2/contacts", &json!({"contact": fields})).await;
        assert_eq!((status, first_error(&body)), (422, (field, message)));
    }
    let (_, found) = send(&book, "GET", "/v2/contacts?email=JANE%40example.com", &Value::Null).await;
    assert_eq!(found["contacts"][0]["url"], url.as_str());
    assert_eq!(
        send(&book, "GET", "/v2/contacts?email=nobody%40example.com", &Value::Null).await.1,
        json!({"contacts": []})
    );

    let path = url.strip_prefix(&book.url()).unwrap().to_owned();
    let (status, changed) = send(&book, "PUT", &path, &json!({"contact": {"status": "Hidden", "town": "Leeds"}})).await;
    assert_eq!(
        (status, &changed["contact"]["status"], &changed["contact"]["organisation_name"]),
        (200, &json!("Hidden"), &json!("Known Ltd"))
    );
    assert_eq!(send(&book, "GET", "/v2/contacts", &Value::Null).await.1, json!({"contacts": []}));
    assert_eq!(send(&book, "GET", &path, &Value::Null).await.1["contact"]["town"], "Leeds");
    let again = json!({"contact": {"organisation_name": "X", "email": "jane@example.com"}});
    assert_eq!(send(&book, "POST", "/v2/contacts", &again).await.0, 422);
    book.sets(|switches| {
        switches.hidden_contacts_keep_email = false;
        switches.email_search_finds_hidden = false;
    });
    assert_eq!(
        send(&book, "GET", "/v2/contacts?email=jane%40example.com", &Value::Null).await.1,
        json!({"contacts": []})
    );
    assert_eq!(send(&book, "POST", "/v2/contacts", &again).await.0, 201);
    assert_eq!(send(&book, "PUT", "/v2/contacts/999", &again).await.0, 404);
}

#[tokio::test]
async fn an_invoice_comes_back_with_its_figures_as_text() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let got = try_send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "MAG-1")).await.unwrap();
    let body: Value = serde_json::from_str(&got.body).unwrap();
    let shown = &body["invoice"];
    assert_eq!(got.status, 201);
    assert!(got.head.contains(&format!("location: {}", shown["url"].as_str().unwrap())));
    for (field, value) in [
        ("net_value", json!("17.99")),
        ("sales_tax_value", json!("3.6")),
        ("total_value", json!("21.59")),
        ("exchange_rate", json!("1.0")),
        ("payment_terms_in_days", json!(30)),
        ("due_on", json!("2026-12-20")),
        ("status", json!("Open")),
        ("reference", json!("MAG-1")),
        ("contact", json!(contact)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    assert_eq!(
        (&shown["invoice_items"][0]["price"], &shown["invoice_items"][0]["quantity"]),
        (&json!("17.99"), &json!("1.0"))
    );
    let path = shown["url"].as_str().unwrap().strip_prefix(&book.url()).unwrap();
    assert_eq!(send(&book, "GET", path, &Value::Null).await, (200, body.clone()));
    assert_eq!(book.total_of("MAG-1").unwrap().to_string(), "21.59");
    assert_eq!(send(&book, "PUT", path, &body).await.0, 422);
}

#[tokio::test]
async fn an_invoice_needs_what_it_needs() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let good = || invoice(&book, &contact, "MAG-1");
    let without = |field: &str| {
        let mut body = good();
        body["invoice"].as_object_mut().unwrap().remove(field);
        body
    };
    let item = |field: &str, value: Value| {
        let mut body = good();
        body["invoice"]["invoice_items"][0][field] = value;
        body
    };
    for (body, field, message) in [
        (without("contact"), "contact", "contact can't be blank"),
        (without("dated_on"), "dated_on", "dated_on can't be blank"),
        (without("payment_terms_in_days"), "payment_terms_in_days", "payment_terms_in_days is not a number"),
        (
            with(good(), "payment_terms_in_days", Value::Null),
            "payment_terms_in_days",
            "payment_terms_in_days is not a number",
        ),
        (
            with(good(), "contact", json!(book.url_of("contacts", "99"))),
            "contact",
            "contact is not a contact of this company",
        ),
        (
            with(good(), "contact", json!("https://api.other.example/v2/contacts/1")),
            "contact",
            "contact is not a contact of this company",
        ),
        (with(good(), "contact", json!("1")), "contact", "contact is not a contact of this company"),
        (with(good(), "currency", json!("XXX")), "currency", "currency is not included in the list"),
        (with(good(), "dated_on", json!("20/11/2026")), "dated_on", "dated_on is not a date"),
        (
            with(good(), "reference", json!("x".repeat(256))),
            "reference",
            "reference is too long (maximum is 255 characters)",
        ),
        (
            with(good(), "ec_status", json!("EC Goods")),
            "ec_status",
            "ec_status is not valid for this company on this date",
        ),
        (
            item("category", json!(book.url_of("categories", "999"))),
            "invoice_items.category",
            "invoice_items.category is not an income category of this company",
        ),
        (
            item("category", json!(book.url_of("categories", "363"))),
            "invoice_items.category",
            "invoice_items.category is not an income category of this company",
        ),
        (
            item("sales_tax_rate", json!("17.5")),
            "invoice_items.sales_tax_rate",
            "invoice_items.sales_tax_rate is not a sales tax rate of this company",
        ),
        (
            item("item_type", json!("Gadgets")),
            "invoice_items.item_type",
            "invoice_items.item_type is not included in the list",
        ),
        (item("price", json!("ten")), "invoice_items.price", "invoice_items.price is not a number"),
        (item("description", json!(" ")), "invoice_items.description", "invoice_items.description can't be blank"),
    ] {
        let (status, answer) = send(&book, "POST", "/v2/invoices", &body).await;
        assert_eq!((status, first_error(&answer)), (422, (field, message)));
    }
    assert_eq!(send(&book, "POST", "/v2/invoices", &good()["invoice"]).await.0, 400, "the root element is missing");
    assert!(book.invoices().is_empty());
    let text = with(with(good(), "payment_terms_in_days", json!("0")), "dated_on", json!("2026-11-20T10:00:00Z"));
    assert_eq!(send(&book, "POST", "/v2/invoices", &text).await.0, 201);
    let (status, answer) = send(&book, "POST", "/v2/invoices", &good()).await;
    assert_eq!((status, first_error(&answer)), (422, ("reference", "reference has already been taken")));
    book.sets(|switches| switches.unique_references = false);
    assert_eq!(send(&book, "POST", "/v2/invoices", &good()).await.0, 201);
    assert_eq!(book.shows("MAG-1").len(), 2);
    let (_, numbered) = send(&book, "POST", "/v2/invoices", &without("reference")).await;
    assert_eq!(numbered["invoice"]["reference"], "001");
    book.sets(|switches| switches.unknown_fields = UnknownField::Refused);
    assert_eq!(send(&book, "POST", "/v2/invoices", &with(good(), "colour", json!("red"))).await.0, 422);
    assert_eq!(book.log().last().unwrap().unknown_fields, ["colour"]);
}

#[tokio::test]
async fn the_book_rounds_for_itself() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let line = |price: &str, quantity: Value| json!({"description": "x", "quantity": quantity, "price": price, "sales_tax_rate": 20});
    let figures = async |reference: &str, items: Value| {
        let body = with(invoice(&book, &contact, reference), "invoice_items", items);
        let (status, answer) = send(&book, "POST", "/v2/invoices", &body).await;
        assert_eq!(status, 201, "{answer}");
        ["net_value", "sales_tax_value", "total_value"]
            .map(|field| answer["invoice"][field].as_str().unwrap().to_owned())
    };
    let thirds = || json!([line("0.34", json!(1)), line("0.34", json!(1)), line("0.34", json!(1))]);
    assert_eq!(figures("A", thirds()).await, ["1.02", "0.21", "1.23"]);
    assert_eq!(figures("B", json!([line("3.3333", json!("3.0"))])).await, ["9.99", "2.0", "11.99"]);
    assert_eq!(
        figures("C", json!([line("10", Value::Null)])).await,
        ["0.0", "0.0", "0.0"],
        "without a quantity there is nothing"
    );
    book.sets(|switches| {
        *switches = Switches { tax_rounding: TaxRounding::Document, unit_price_decimals: 4, ..Switches::default() }
    });
    assert_eq!(figures("D", thirds()).await, ["1.02", "0.2", "1.22"]);
    assert_eq!(figures("E", json!([line("3.3333", json!("3.0"))])).await, ["10.0", "2.0", "12.0"]);
    assert_eq!(figures("F", json!([line("-5", json!(1)), line("5", json!(1))])).await, ["0.0", "0.0", "0.0"]);
    assert_eq!(book.shows("F")[0]["status"], "Zero Value");
}

#[tokio::test]
async fn foreign_currency() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let euro = |reference: &str| with(invoice(&book, &contact, reference), "currency", json!("EUR"));
    let (_, own) = send(&book, "POST", "/v2/invoices", &euro("A")).await;
    assert_eq!(own["invoice"]["exchange_rate"], "0.854");
    let (_, given) =
        send(&book, "POST", "/v2/invoices", &with(euro("B"), "exchange_rate", json!("0.8508465923"))).await;
    assert_eq!(given["invoice"]["exchange_rate"], "0.8508465923");
    book.sets(|switches| switches.missing_rate = MissingRate::Refused);
    let (status, refused) = send(&book, "POST", "/v2/invoices", &euro("C")).await;
    assert_eq!((status, first_error(&refused)), (422, ("exchange_rate", "exchange_rate can't be blank")));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    for number in 0..30 {
        let body = invoice(&book, &contact, &format!("MAG-{number:02}"));
        assert_eq!(send(&book, "POST", "/v2/invoices", &body).await.0, 201);
        book.clock().advance(1);
    }
    book.seeds(&Seed { invoices: vec![json!({"reference": "STRANGER"})], ..Seed::default() }).unwrap();
    let of_contact = crate::server::percent_encoded(&contact);
    let got = try_send(&book, "GET", &format!("/v2/invoices?contact={of_contact}&sort=-created_at"), &Value::Null)
        .await
        .unwrap();
    let page: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!((page["invoices"].as_array().unwrap().len(), &page["invoices"][0]["reference"]), (25, &json!("MAG-29")));
    assert!(page["invoices"][0].get("invoice_items").is_none());
    assert!(
        got.head.contains("x-total-count: 30")
            && got.head.contains("page=2&per_page=25")
            && got.head.contains("rel=\"next\"")
    );
    let (_, second) =
        send(&book, "GET", &format!("/v2/invoices?contact={of_contact}&sort=-created_at&page=2"), &Value::Null).await;
    assert_eq!(second["invoices"].as_array().unwrap().len(), 5);
    let got =
        try_send(&book, "GET", "/v2/invoices?per_page=500&nested_invoice_items=true", &Value::Null).await.unwrap();
    let all: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(all["invoices"].as_array().unwrap().len(), 31);
    assert_eq!(all["invoices"][0]["invoice_items"][0]["description"], "Bolt");
    assert!(!got.head.contains("link:"));
    let foreign = "/v2/invoices?contact=https%3A%2F%2Fother.example%2Fv2%2Fcontacts%2F1";
    assert_eq!(send(&book, "GET", foreign, &Value::Null).await.0, 422);
}

#[tokio::test]
async fn categories_accounts_and_price_list() {
    let book = book().await;
    let (_, categories) = send(&book, "GET", "/v2/categories", &Value::Null).await;
    assert_eq!(categories["income_categories"][0]["url"], book.url_of("categories", "001").as_str());
    assert_eq!(
        send(&book, "GET", "/v2/categories/363", &Value::Null).await.1["admin_expenses_categories"]["nominal_code"],
        "363"
    );
    assert_eq!(
        send(&book, "GET", "/v2/bank_accounts", &Value::Null).await.1["bank_accounts"].as_array().unwrap().len(),
        3
    );
    assert_eq!(
        send(&book, "GET", "/v2/bank_accounts/2", &Value::Null).await.1["bank_account"]["name"],
        "Card clearing"
    );
    let item = json!({"price_list_item": {"code": "MUG", "quantity": 1, "item_type": "Products", "description": "Mug", "price": 12.5}});
    let (status, created) = send(&book, "POST", "/v2/price_list_items", &item).await;
    assert_eq!((status, &created["price_list_item"]["price"]), (201, &json!("12.5")));
    let (status, taken) = send(&book, "POST", "/v2/price_list_items", &item).await;
    assert_eq!((status, first_error(&taken)), (422, ("code", "code has already been taken")));
    let path = created["price_list_item"]["url"].as_str().unwrap().strip_prefix(&book.url()).unwrap().to_owned();
    let change = json!({"price_list_item": {"price": "13"}});
    assert_eq!(send(&book, "PUT", &path, &change).await.1["price_list_item"]["price"], "13.0");
    assert_eq!(book.price_list_items().len(), 1);
}

#[tokio::test]
async fn a_receipt_pays_an_invoice() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let (_, made) = send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "MAG-1")).await;
    let account = book.url_of("bank_accounts", "2");
    let receipt = json!({"bank_transaction_explanation": {
        "bank_account": account, "dated_on": "2026-11-20", "gross_value": "21.59", "paid_invoice": made["invoice"]["url"],
    }});
    let got = try_send(&book, "POST", "/v2/bank_transaction_explanations", &receipt).await.unwrap();
    assert!(got.status == 201 && got.head.contains("location: /v2/bank_transaction_explanations/"));
    assert_eq!(
        (&book.shows("MAG-1")[0]["status"], &book.shows("MAG-1")[0]["due_value"]),
        (&json!("Paid"), &json!("0.0"))
    );
    let list = format!("/v2/bank_transaction_explanations?bank_account={}", crate::server::percent_encoded(&account));
    assert_eq!(
        send(&book, "GET", &list, &Value::Null).await.1["bank_transaction_explanations"].as_array().unwrap().len(),
        1
    );
    assert_eq!(send(&book, "GET", "/v2/bank_transaction_explanations", &Value::Null).await.0, 400);
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_once() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let answer = |status, apply| BookFault::Answer { status, body: None, content_type: None, apply };
    for (number, (fault, status, applied)) in [
        (BookFault::RateLimited { retry_after: Some(7) }, Some(429), 0),
        (answer(504, true), Some(504), 1),
        (answer(502, false), Some(502), 0),
        (BookFault::HangUp { apply: true }, None, 1),
        (BookFault::HangUp { apply: false }, None, 0),
        (BookFault::Slow { milliseconds: 1, apply_first: true }, Some(201), 1),
        (BookFault::Unauthorized, Some(401), 0),
        (BookFault::ErrorInside, Some(200), 0),
        (BookFault::Garbage { apply: true }, Some(201), 1),
        (BookFault::Huge { bytes: 3_000_000, apply: false }, Some(200), 0),
        (BookFault::Refused { field: "contact".to_owned(), message: "is too odd".to_owned() }, Some(422), 0),
    ]
    .into_iter()
    .enumerate()
    {
        let reference = format!("MAG-{number}");
        book.faults(FaultSpec::on("POST", "/v2/invoices", 1, fault.clone()));
        let got = try_send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, &reference)).await;
        assert_eq!(got.as_ref().ok().map(|got| got.status), status, "{fault:?}");
        assert_eq!(book.shows(&reference).len(), applied, "{fault:?}");
        assert_eq!(book.log().last().unwrap().fault.as_deref(), Some(fault.name()));
        if status == Some(429) {
            let got = got.unwrap();
            assert!(
                got.head.contains("retry-after: 7") && got.head.contains("content-type: text/plain"),
                "{}",
                got.head
            );
        }
    }
    book.faults(FaultSpec::on("POST", "/v2/invoices", 1, answer(500, false)).after(1));
    assert_eq!(send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "X-1")).await.0, 201);
    assert_eq!(send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "X-2")).await.0, 500);
    book.faults(FaultSpec::on("POST", "/v2/invoices", 1, BookFault::WrongTotal { by: "0.02".into() }));
    let (_, wrong) = send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "X-3")).await;
    assert_eq!(wrong["invoice"]["total_value"], "21.61");
    assert_eq!(book.total_of("X-3").unwrap().to_string(), "21.61");
}

#[tokio::test]
async fn an_effect_can_come_late() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let late =
        |after_requests| FaultSpec::on("POST", "/v2/invoices", 1, BookFault::Late { after_requests, status: None });
    book.faults(late(Some(2)));
    assert!(try_send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "MAG-1")).await.is_err());
    let count = async || send(&book, "GET", "/v2/invoices", &Value::Null).await.1["invoices"].as_array().unwrap().len();
    assert_eq!((count().await, count().await, count().await), (0, 0, 1), "it lands after the second request");
    book.faults(late(None));
    assert!(try_send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "MAG-2")).await.is_err());
    assert_eq!((count().await, book.late()), (1, 1));
    assert_eq!(send(&book, "POST", "/v2/invoices", &invoice(&book, &contact, "MAG-2")).await.0, 201);
    assert_eq!(book.releases_late(), [422], "by now the reference is taken");
    assert_eq!(book.shows("MAG-2").len(), 1);
}

#[tokio::test]
async fn the_log_knows_what_was_under_way_at_once() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    let body = |reference: &str| invoice(&book, &contact, reference);
    let (first, second) = (body("A"), body("B"));
    send(&book, "POST", "/v2/invoices", &first).await;
    send(&book, "GET", "/v2/invoices", &Value::Null).await;
    assert!(book.overlaps().is_empty());
    book.takes(40);
    let (third, fourth) = (body("C"), body("D"));
    tokio::join!(send(&book, "POST", "/v2/invoices", &second), send(&book, "GET", "/v2/invoices", &Value::Null));
    assert!(book.overlaps().is_empty(), "looking isn't changing");
    tokio::join!(send(&book, "POST", "/v2/invoices", &third), send(&book, "POST", "/v2/invoices", &fourth));
    assert_eq!(book.overlaps().len(), 1);
    let log = book.log();
    assert!(log.iter().all(|entry| entry.finished.unwrap() > entry.started));
    assert_eq!(log.last().unwrap().body["invoice"]["payment_terms_in_days"], 30);
    book.resets();
    assert!(book.log().is_empty() && book.invoices().is_empty());
}

#[tokio::test]
async fn an_effect_survives_a_client_that_leaves() {
    let book = book().await;
    let contact = contact(&book, "a@b.example").await;
    book.faults(FaultSpec::on("POST", "/v2/invoices", 1, BookFault::Slow { milliseconds: 20, apply_first: false }));
    let body = invoice(&book, &contact, "MAG-1");
    let until = async |happened: &dyn Fn() -> bool| {
        while !happened() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let has_arrived = || book.log().len() == 2;
    tokio::select! {
        biased;
        () = until(&has_arrived) => {}
        answered = try_send(&book, "POST", "/v2/invoices", &body) => panic!("{answered:?}"),
    }
    until(&|| !book.shows("MAG-1").is_empty()).await;
}

#[tokio::test]
async fn too_many_requests_a_minute() {
    let options = BookOptions {
        clock: Clock::standing_at(1_795_167_000),
        requests_per_minute: Some(2),
        ..BookOptions::default()
    };
    let book = Book::start(options).await.unwrap();
    for status in [200, 200, 429] {
        assert_eq!(send(&book, "GET", "/v2/company", &Value::Null).await.0, status);
    }
    book.clock().advance(60);
    assert_eq!(send(&book, "GET", "/v2/company", &Value::Null).await.0, 200);
}

#[tokio::test]
async fn the_control_api_drives_it_all() {
    let book = book().await;
    let seed = json!({
        "contacts": [{"organisation_name": "Gone Ltd", "email": "gone@example.com", "status": "Hidden"}],
        "invoices": [{"reference": "MAG-7"}],
    });
    let (status, urls) = send(&book, "POST", "/_control/seed", &seed).await;
    assert_eq!((status, urls["invoices"].as_array().unwrap().len()), (200, 1), "{urls}");
    assert_eq!(
        send(&book, "GET", "/_control/invoices?reference=MAG-7", &Value::Null).await.1["invoices"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        send(&book, "GET", "/_control/documents", &Value::Null).await.1["contacts"].as_array().unwrap().len(),
        2
    );
    let of_book = async || send(&book, "GET", "/v2/categories", &Value::Null).await.1.to_string();
    send(&book, "POST", "/_control/categories", &json!({"code": "041", "description": "Lamps"})).await;
    assert!(of_book().await.contains("Lamps"));
    assert_eq!(send(&book, "DELETE", "/_control/categories/041", &Value::Null).await.0, 200);
    assert!(!of_book().await.contains("Lamps"));
    assert_eq!(send(&book, "DELETE", "/_control/categories/041", &Value::Null).await.0, 422);
    let faults = json!([{"method": "GET", "path": "/v2/company", "times": 2, "kind": "answer", "status": 503}, {"kind": "unauthorized", "skip": 1}]);
    assert_eq!(send(&book, "POST", "/_control/faults", &faults).await.0, 200);
    assert_eq!(send(&book, "GET", "/v2/company", &Value::Null).await.0, 503);
    assert_eq!(send(&book, "GET", "/_control/faults", &Value::Null).await.1.as_array().unwrap().len(), 2);
    send(&book, "DELETE", "/_control/faults", &Value::Null).await;
    assert_eq!(
        send(&book, "POST", "/_control/switches", &json!({"unit_price_decimals": 4})).await.1["unit_price_decimals"],
        4
    );
    assert_eq!(send(&book, "POST", "/_control/switches", &json!({"nonsense": 4})).await.0, 422);
    send(&book, "POST", "/_control/tokens", &json!({"revoke": ["book-token"]})).await;
    assert_eq!(send(&book, "GET", "/v2/company", &Value::Null).await.0, 401);
    let log = send(&book, "GET", "/_control/log", &Value::Null).await.1;
    let statuses: Vec<&Value> = log.as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
    assert_eq!(statuses, [200, 200, 503, 401]);
    assert_eq!(send(&book, "GET", "/_control/overlaps", &Value::Null).await.1, json!({"writes": []}));
    assert_eq!(send(&book, "POST", "/_control/reset", &Value::Null).await.0, 200);
    assert_eq!(send(&book, "GET", "/_control/health", &Value::Null).await.1["kind"], "book");
}
