//! The book as the connector meets it: over HTTP.

use serde_json::{Value, json};

use super::{
    AllocationSign, BookFault, Edition, ExchangeRate, FaultSpec, SageBook, SageOptions, SageSeed, UnknownField,
    bank_account, ledger_account,
};
use crate::clock::Clock;
use crate::testing::{Got, call};

/// 20 November 2026, 09:30 UTC.
const NOW: i64 = 1_795_167_000;

async fn opened(change: impl FnOnce(&mut SageOptions)) -> SageBook {
    let mut options = SageOptions { clock: Clock::standing_at(NOW), ..SageOptions::default() };
    change(&mut options);
    SageBook::start(options).await.unwrap()
}

async fn book() -> SageBook {
    opened(|_| {}).await
}

fn headers(business: Option<&str>) -> Vec<(String, String)> {
    let mut headers = [("authorization", "Bearer book-token"), ("content-type", "application/json")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    headers.extend(business.map(|business| ("x-business".to_owned(), business.to_owned())));
    headers
}

async fn raw(book: &SageBook, method: &str, path: &str, body: &Value) -> anyhow::Result<Got> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = headers(Some(SageOptions::BUSINESS));
    call(method, &format!("{}/v3.1/{path}", book.url()), &headers, &body).await
}

async fn send(book: &SageBook, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let got = raw(book, method, path, body).await.unwrap();
    (got.status, serde_json::from_str(&got.body).unwrap_or(Value::String(got.body)))
}

async fn get(book: &SageBook, path: &str) -> Value {
    let (status, body) = send(book, "GET", path, &Value::Null).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn control(book: &SageBook, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let got = call(method, &format!("{}/_control/{path}", book.url()), &[], &body).await.unwrap();
    serde_json::from_str(&got.body).unwrap()
}

fn entity(collection: &str) -> &str {
    collection.strip_suffix('s').unwrap()
}

async fn posts(book: &SageBook, collection: &str, fields: Value) -> (u16, Value) {
    send(book, "POST", collection, &json!({ entity(collection): fields })).await
}

async fn made(book: &SageBook, collection: &str, fields: Value) -> Value {
    let (status, body) = posts(book, collection, fields).await;
    assert_eq!(status, 201, "{body}");
    body
}

fn id(shown: &Value) -> String {
    shown["id"].as_str().unwrap().to_owned()
}

fn person(name: &str) -> Value {
    json!({"name": name, "contact_type_ids": ["CUSTOMER"], "main_contact_person": {"name": name, "email": "jane@example.com"}})
}

fn living_in(name: &str, country: &str) -> Value {
    with(person(name), "main_address", json!({"address_line_1": "1 High Street", "country_id": country}))
}

fn line(unit_price: &str, tax: Value) -> Value {
    json!({"description": "Bolt", "ledger_account_id": ledger_account(4_000), "quantity": 2, "unit_price": unit_price,
        "tax_rate_id": "GB_STANDARD", "tax_amount": tax})
}

fn invoice(contact: &str, reference: &str) -> Value {
    json!({"contact_id": contact, "date": "2026-11-20", "due_date": "2026-12-20", "reference": reference,
        "invoice_lines": [line("10.00", json!("4.00"))]})
}

fn credit_note(contact: &str, reference: &str, unit_price: &str, tax: &str) -> Value {
    json!({"contact_id": contact, "date": "2026-11-20", "reference": reference, "credit_note_lines": [line(unit_price, json!(tax))]})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// Source and message of every mistake.
fn mistakes(body: &Value) -> Vec<(&str, &str)> {
    let errors = body.as_array().unwrap_or_else(|| panic!("{body}"));
    errors.iter().map(|error| (error["$source"].as_str().unwrap(), error["$message"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let book = book().await;
    let url = format!("{}/v3.1/contacts", book.url());
    let got = call("GET", &url, &[], "").await.unwrap();
    let body: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!((got.status, &body[0]["$dataCode"]), (401, &json!("AuthorizationFailure")));
    book.is_subscribed(false);
    assert!(raw(&book, "GET", "contacts", &Value::Null).await.unwrap().body.contains("No active subscription. (MSE)"));
    book.is_subscribed(true);
    let got = raw(&book, "GET", "contacts", &Value::Null).await.unwrap();
    assert!(got.head.contains(&format!("x-business: {}", book.business())) && got.head.contains("x-request-id: "));
    let wrong = call("GET", &url, &headers(Some("0".repeat(32).as_str())), "").await.unwrap();
    assert_eq!(wrong.status, 403);
    // Without the header it is the lead business, which may be another one.
    let silent = call("GET", &url, &headers(None), "").await.unwrap();
    assert!(silent.status == 200 && silent.head.contains(&book.business()));
    made(&book, "contacts", person("Jane Doe")).await;
    book.sets_up(|options| options.lead_business = Some(SageOptions::OTHER_BUSINESS.to_owned()));
    let other = call("GET", &url, &headers(None), "").await.unwrap();
    assert!(other.head.contains(SageOptions::OTHER_BUSINESS) && other.body.contains("\"$total\":0"), "{}", other.body);
    let seen = call("GET", &format!("{}/v3.1/businesses", book.url()), &headers(None), "").await.unwrap();
    assert!(seen.status == 200 && seen.body.contains(SageOptions::BUSINESS), "{}", seen.body);
    book.revokes("book-token");
    assert_eq!(raw(&book, "GET", "contacts", &Value::Null).await.unwrap().status, 401);
}

#[tokio::test]
async fn contacts_have_references_of_their_own() {
    let book = book().await;
    let jane = made(&book, "contacts", with(living_in("Jane Doe", "DE"), "reference", json!("M1234E"))).await;
    assert_eq!((&jane["displayed_as"], &jane["currency"]["id"]), (&json!("Jane Doe (M1234E)"), &json!("GBP")));
    assert_eq!(jane["main_address"]["country"]["id"], "DE");
    assert_eq!(jane["contact_types"][0]["id"], "CUSTOMER");
    let field = |field: &str, value: Value| with(person("X"), field, value);
    for (fields, source, message) in [
        (field("name", json!("")), "name", "This field is required"),
        (field("name", json!("x".repeat(101))), "name", "is too long (maximum is 100 characters)"),
        (field("contact_type_ids", json!([])), "contact_type_ids", "This field is required"),
        (field("contact_type_ids", json!(["FRIEND"])), "contact_type_ids", "Record not found"),
        (field("reference", json!("x".repeat(11))), "reference", "is too long (maximum is 10 characters)"),
        (field("reference", json!("M1234E")), "reference", "has already been taken"),
        (field("currency_id", json!("XXX")), "currency_id", "Record not found"),
        (
            field("main_address", json!({"postal_code": "x".repeat(11)})),
            "main_address.postal_code",
            "is too long (maximum is 10 characters)",
        ),
        (field("main_address", json!({"country_id": "Germany"})), "main_address.country_id", "Record not found"),
        (field("main_contact_person", json!({"email": "jane"})), "main_contact_person.email", "is invalid"),
        (
            field("main_contact_person", json!({"name": "x".repeat(51)})),
            "main_contact_person.name",
            "is too long (maximum is 50 characters)",
        ),
        (field("tax_number", json!("12")), "tax_number", "is not a valid format"),
    ] {
        let (status, body) = posts(&book, "contacts", fields).await;
        assert_eq!((status, mistakes(&body)), (422, vec![(source, message)]));
        assert_eq!((&body[0]["$severity"], &body[0]["$dataCode"]), (&json!("error"), &json!("RecordInvalid")));
    }
    for (query, count) in [
        ("email=JANE%40example.com", 1),
        ("search=jane%20d", 1),
        ("search=M1234", 1),
        ("email=x", 0),
        ("contact_type_id=VENDOR", 0),
    ] {
        assert_eq!(get(&book, &format!("contacts?{query}")).await["$total"], count, "{query}");
    }
    let path = format!("contacts/{}", id(&jane));
    let (_, changed) = send(&book, "PUT", &path, &json!({"contact": {"name": "Jane Roe"}})).await;
    assert_eq!(
        (&changed["name"], &changed["reference"], &changed["email"]),
        (&json!("Jane Roe"), &json!("M1234E"), &json!("jane@example.com"))
    );
    // A deleted contact keeps its reference.
    assert_eq!(send(&book, "DELETE", &path, &Value::Null).await.0, 204);
    assert_eq!(send(&book, "GET", &path, &Value::Null).await.1[0]["$dataCode"], "RecordNotFound");
    assert_eq!(
        mistakes(&posts(&book, "contacts", field("reference", json!("M1234E"))).await.1),
        [("reference", "has already been taken")]
    );
    // The currency is the contact's own.
    let euro = made(&book, "contacts", with(person("Euro"), "currency_id", json!("EUR"))).await;
    let change = json!({"contact": {"currency_id": "USD"}});
    let path = format!("contacts/{}", id(&euro));
    assert_eq!(send(&book, "PUT", &path, &change).await.0, 200);
    book.seeds(&SageSeed { sales_invoices: vec![json!({"contact_id": id(&euro)})], ..SageSeed::default() }).unwrap();
    let back = json!({"contact": {"currency_id": "EUR"}});
    assert_eq!(send(&book, "PUT", &path, &back).await.0, 422);
    book.sets(|switches| switches.contact_currency_changeable = true);
    assert_eq!(send(&book, "PUT", &path, &back).await.0, 200);
    book.sets_up(|options| options.multi_currency = false);
    assert_eq!(posts(&book, "contacts", with(person("Y"), "currency_id", json!("EUR"))).await.0, 422);
    book.sets(|switches| switches.unknown_fields = UnknownField::Refused);
    assert_eq!(
        mistakes(&posts(&book, "contacts", with(person("Y"), "colour", json!("red"))).await.1),
        [("colour", "is not permitted")]
    );
    assert_eq!(book.log().last().unwrap().unknown_fields, ["colour"]);
}

#[tokio::test]
async fn an_invoice_comes_back_in_text() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    let shipped = with(
        with(
            with(invoice(&jane, "100"), "shipping_net_amount", json!(4.99)),
            "shipping_tax_rate_id",
            json!("GB_STANDARD"),
        ),
        "shipping_tax_amount",
        json!(7),
    );
    let shown = made(&book, "sales_invoices", shipped).await;
    for (field, text) in [
        ("net_amount", "24.99"),
        ("tax_amount", "5.0"),
        ("total_amount", "29.99"),
        ("outstanding_amount", "29.99"),
        ("shipping_tax_amount", "1.0"),
        ("total_paid", "0.0"),
        ("exchange_rate", "1.0"),
        ("invoice_number", "SI-1"),
        ("date", "2026-11-20"),
        ("due_date", "2026-12-20"),
        ("reference", "100"),
        ("base_currency_total_amount", "29.99"),
    ] {
        assert_eq!(shown[field], text, "{field}");
    }
    assert_eq!(
        (&shown["status"]["id"], &shown["contact"]["displayed_as"], &shown["currency"]["$path"]),
        (&json!("UNPAID"), &json!("Jane Doe"), &json!("/currencies/GBP"))
    );
    assert_eq!(
        (&shown["invoice_lines"][0]["tax_rate"]["id"], &shown["invoice_lines"][0]["unit_price"]),
        (&json!("GB_STANDARD"), &json!("10.0"))
    );
    assert_eq!(shown["tax_analysis"][0]["tax_amount"], "5.0");
    book.sets(|switches| switches.amounts_as_numbers = true);
    assert_eq!(get(&book, &format!("sales_invoices/{}", id(&shown))).await["total_amount"], 29.99);
}

/// Stated tax is taken as it is; the rest is counted.
#[tokio::test]
async fn the_book_believes_the_tax() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    let change = |mut line: Value, fields: Value| {
        super::store::extend(line.as_object_mut().unwrap(), fields);
        line
    };
    for (fields, net, tax, total) in [
        (json!({}), "20.0", "4.0", "24.0"),
        (json!({"tax_amount": 3.99}), "20.0", "3.99", "23.99"),
        (json!({"unit_price_includes_tax": true, "tax_amount": "3.33"}), "16.67", "3.33", "20.0"),
        (json!({"discount_amount": 1, "tax_amount": "3.80"}), "19.0", "3.8", "22.8"),
        (json!({"discount_percentage": 12.5, "tax_amount": "3.50"}), "17.5", "3.5", "21.0"),
        (json!({"quantity": 3, "unit_price": "3.3333", "tax_amount": 2}), "10.0", "2.0", "12.0"),
        (json!({"tax_rate_id": "GB_ZERO", "tax_amount": null}), "20.0", "0.0", "20.0"),
        (json!({"tax_rate_id": "GB_EXEMPT", "tax_amount": 0}), "20.0", "0.0", "20.0"),
        (json!({"quantity": null, "tax_amount": 2}), "10.0", "2.0", "12.0"),
    ] {
        let body =
            with(invoice(&jane, "T"), "invoice_lines", json!([change(line("10.00", json!("4.00")), fields.clone())]));
        let shown = made(&book, "sales_invoices", body).await;
        assert_eq!([&shown["net_amount"], &shown["tax_amount"], &shown["total_amount"]], [net, tax, total], "{fields}");
    }
}

#[tokio::test]
async fn an_invoice_needs_what_it_needs() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    let gone = id(&made(&book, "contacts", person("Gone")).await);
    let hidden = id(&made(&book, "contacts", person("Hidden")).await);
    book.marks(&gone, "gdpr_obfuscated", true).unwrap();
    control(&book, "POST", "marks", &json!({"contact": hidden, "is_active": false})).await;
    let field = |field: &str, value: Value| with(invoice(&jane, "A"), field, value);
    let of_line = |field: &str, value: Value| {
        with(invoice(&jane, "A"), "invoice_lines", json!([with(line("10", json!(4)), field, value)]))
    };
    let cases = [
        (field("contact_id", Value::Null), "contact_id", "This field is required"),
        (field("contact_id", json!("0")), "contact_id", "Record not found"),
        (invoice(&gone, "A"), "contact_id", "is not active"),
        (invoice(&hidden, "A"), "contact_id", "is not active"),
        (field("date", Value::Null), "date", "This field is required"),
        (field("date", json!("20/11/2026")), "date", "is not a valid date"),
        (field("due_date", json!("2026-11-19")), "due_date", "must be on or after the date"),
        (field("reference", json!("x".repeat(26))), "reference", "is too long (maximum is 25 characters)"),
        (field("notes", json!("x".repeat(2001))), "notes", "is too long (maximum is 2000 characters)"),
        (field("currency_id", json!("EUR")), "currency_id", "must be the currency of the contact"),
        (field("invoice_lines", json!([])), "invoice_lines", "This field is required"),
        (field("status_id", json!("PAID")), "status_id", "is not a status a document can be given"),
        (field("shipping_net_amount", json!(5)), "shipping_tax_rate_id", "This field is required"),
        (of_line("description", json!("")), "line_items.description", "This field is required"),
        (
            of_line("description", json!("Salt &amp; pepper")),
            "line_items.description",
            "contains characters that are not allowed",
        ),
        (of_line("ledger_account_id", Value::Null), "line_items.ledger_account_id", "This field is required"),
        (
            of_line("ledger_account_id", json!(ledger_account(5_000))),
            "line_items.ledger_account_id",
            "Record not found",
        ),
        (of_line("unit_price", Value::Null), "line_items.unit_price", "This field is required"),
        (of_line("tax_rate_id", Value::Null), "line_items.tax_rate_id", "This field is required"),
        (of_line("tax_rate_id", json!("OUTPUT2")), "line_items.tax_rate_id", "Record not found"),
        (of_line("tax_amount", Value::Null), "line_items.tax_amount", "This field is required"),
        (
            of_line("tax_rate_id", json!("GB_ZERO")),
            "line_items.tax_amount",
            "You cannot record VAT Amount if using a VAT Rate with a Zero %",
        ),
        (
            of_line("tax_rate_id", json!("DE_STANDARD")),
            "line_items.tax_rate_id",
            "is not available: destination VAT is not enabled",
        ),
        (of_line("product_id", json!("0")), "line_items.product_id", "Record not found"),
        (
            of_line("discount_amount", json!(21)),
            "line_items.discount_amount",
            "must not be greater than the line total",
        ),
        (of_line("quantity", json!("two")), "line_items.quantity", "is not a number"),
        (of_line("quantity", json!(-2)), "total_amount", "must be greater than or equal to 0"),
    ];
    for (body, source, message) in &cases {
        let (status, answer) = posts(&book, "sales_invoices", body.clone()).await;
        assert_eq!(status, 422, "{body}");
        assert!(mistakes(&answer).contains(&(source, message)), "{answer} for {body}");
    }
    book.sets(|switches| switches.umbrella_line_errors = true);
    assert_eq!(
        mistakes(&posts(&book, "sales_invoices", of_line("tax_amount", Value::Null)).await.1),
        [("line_items.description", "This field is required")]
    );
    assert!(book.statement().invoices.is_empty());
    let got = call(
        "POST",
        &format!("{}/v3.1/sales_invoices", book.url()),
        &[("authorization".to_owned(), "Bearer book-token".to_owned())],
        "{}",
    )
    .await
    .unwrap();
    assert_eq!(got.status, 415);
}

#[tokio::test]
async fn an_invoice_goes_its_way() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    let draft = made(&book, "sales_invoices", with(invoice(&jane, "A"), "status_id", json!("DRAFT"))).await;
    assert_eq!((&draft["status"]["id"], book.statement().invoices[0].approved), (&json!("DRAFT"), false));
    let path = format!("sales_invoices/{}", id(&draft));
    let lines = json!({"sales_invoice": {"invoice_lines": [line("5", json!(2))]}});
    assert_eq!(send(&book, "PUT", &path, &lines).await.1["total_amount"], "12.0");
    let (status, released) = send(&book, "POST", &format!("{path}/release"), &Value::Null).await;
    assert_eq!(
        (&get(&book, &path).await["sent"], &get(&book, &format!("{path}?mark_as_sent=true")).await["sent"]),
        (&json!(false), &json!(true))
    );
    assert_eq!((status, &released["status"]["id"]), (201, &json!("UNPAID")));
    assert_eq!(send(&book, "POST", &format!("{path}/release"), &Value::Null).await.0, 422);
    assert_eq!(send(&book, "DELETE", &path, &Value::Null).await.0, 422);
    let (status, void) = send(&book, "DELETE", &format!("{path}?void_reason=mistake"), &Value::Null).await;
    assert_eq!((status, &void["status"]["id"], &void["outstanding_amount"]), (200, &json!("VOID"), &json!("0.0")));
    assert_eq!(send(&book, "PUT", &path, &lines).await.0, 422);
    let second = made(&book, "sales_invoices", with(invoice(&jane, "B"), "invoice_number", json!("MINE"))).await;
    assert_eq!(second["invoice_number"], "SI-2");
    book.sets(|switches| switches.numbers_settable = true);
    assert_eq!(
        made(&book, "sales_invoices", with(invoice(&jane, "C"), "invoice_number", json!("MINE"))).await["invoice_number"],
        "MINE"
    );
    let nothing = with(invoice(&jane, "D"), "invoice_lines", json!([line("0", json!(0))]));
    for (paid, status) in [(true, "PAID"), (false, "UNPAID")] {
        book.sets(|switches| switches.zero_documents_are_paid = paid);
        assert_eq!(made(&book, "sales_invoices", nothing.clone()).await["status"]["id"], status);
    }
}

#[tokio::test]
async fn customers_abroad() {
    let book = book().await;
    let german = id(&made(&book, "contacts", living_in("German", "DE")).await);
    let american = id(&made(&book, "contacts", living_in("American", "US")).await);
    let lines = |contact: &str, lines: Value| with(invoice(contact, "A"), "invoice_lines", lines);
    let kind = |kind: &str| with(line("10", json!(4)), "eu_goods_services_type_id", json!(kind));
    let zero = |rate: &str| {
        with(with(line("10", Value::Null), "tax_rate_id", json!(rate)), "eu_goods_services_type_id", json!("GOODS"))
    };
    for (body, expected) in [
        (lines(&german, json!([line("10", json!(4))])), Some("EU goods/services type must be specified")),
        (lines(&german, json!([kind("GOODS"), kind("SERVICES")])), Some("Goods and services cannot be mixed")),
        (lines(&german, json!([kind("THINGS")])), Some("Record not found")),
        (lines(&german, json!([kind("GOODS"), kind("GOODS")])), None),
        (
            lines(&american, json!([line("10", json!(4))])),
            Some("Line items (tax rate) must be 'Zero Rated' for Customers outside the EU"),
        ),
        (
            lines(&american, json!([zero("GB_EXEMPT")])),
            Some("Line items (tax rate) must be 'Zero Rated' for Customers outside the EU"),
        ),
        (lines(&american, json!([zero("GB_ZERO")])), None),
    ] {
        let (status, answer) = posts(&book, "sales_invoices", body).await;
        match expected {
            Some(message) => assert_eq!((status, mistakes(&answer)[0].1), (422, message)),
            None => assert_eq!(status, 201, "{answer}"),
        }
    }
    book.sets(|switches| switches.only_zero_rated_outside_eu = false);
    made(&book, "sales_invoices", lines(&american, json!([zero("GB_EXEMPT")]))).await;
    book.sets_up(|options| options.destination_vat = true);
    let abroad =
        |rate: &str, tax: &str| with(with(kind("GOODS"), "tax_rate_id", json!(rate)), "tax_amount", json!(tax));
    made(&book, "sales_invoices", lines(&german, json!([abroad("DE_STANDARD", "3.80")]))).await;
    assert_eq!(posts(&book, "sales_invoices", lines(&german, json!([abroad("FR_STANDARD", "4.00")]))).await.0, 422);
    assert_eq!(get(&book, "tax_rates?usage=sales").await["$total"], 5);
    assert_eq!(get(&book, "tax_rates?include_destination_vat_rates=true").await["$total"], 12);
    let determined = async |contact: &str| {
        get(&book, &format!("tax_determinations?usage=sales&contact_id={contact}&include_destination_vat=true")).await
    };
    assert_eq!(determined(&american).await["$items"][0]["id"], "GB_ZERO");
    assert_eq!(determined(&german).await["$total"], 6);
}

#[tokio::test]
async fn foreign_currency() {
    let book = book().await;
    let euro = id(&made(&book, "contacts", with(person("Euro"), "currency_id", json!("EUR"))).await);
    let own = made(&book, "sales_invoices", invoice(&euro, "A")).await;
    assert_eq!(
        (&own["currency"]["id"], &own["exchange_rate"], &own["base_currency_total_amount"]),
        (&json!("EUR"), &json!("0.854"), &json!("20.5"))
    );
    let given = made(&book, "sales_invoices", with(invoice(&euro, "B"), "exchange_rate", json!(0.8508465923))).await;
    assert_eq!(
        (&given["exchange_rate"], &given["base_currency_total_amount"]),
        (&json!("0.8508465923"), &json!("20.42"))
    );
    let rates = get(&book, "exchange_rates?attributes=all").await;
    assert_eq!(
        (&rates["$items"][0]["currency"]["id"], &rates["$items"][0]["rate"], &rates["$items"][0]["inverse_rate"]),
        (&json!("EUR"), &json!("0.854"), &json!("1.17096"))
    );
    let pay = |bank: u32, invoice: &Value| {
        json!({"transaction_type_id": "CUSTOMER_RECEIPT", "contact_id": euro, "bank_account_id": bank_account(bank),
        "date": "2026-11-20", "total_amount": 10, "exchange_rate": 0.85, "allocated_artefacts": [{"artefact_id": invoice["id"], "amount": 10}]})
    };
    for (bank, amount) in [(1_220, "10.00"), (1_210, "8.50")] {
        made(&book, "contact_payments", pay(bank, &own)).await;
        assert_eq!(book.statement().payments.last().unwrap().account_amount, amount);
    }
    assert_eq!(mistakes(&posts(&book, "contact_payments", pay(1_230, &own)).await.1)[0].0, "bank_account_id");
    book.sets(|switches| switches.exchange_rate = ExchangeRate::ForeignPerBase);
    let turned = made(&book, "sales_invoices", with(invoice(&euro, "C"), "exchange_rate", json!(1.2))).await;
    assert_eq!(turned["base_currency_total_amount"], "20.0");
    assert_eq!(get(&book, "live_exchange_rates?attributes=all").await["$items"][0]["rate"], "1.17096");
    book.sets_up(|options| options.live_exchange_rates = false);
    assert_eq!(
        mistakes(&posts(&book, "sales_invoices", invoice(&euro, "D")).await.1),
        [("exchange_rate", "This field is required")]
    );
}

#[tokio::test]
async fn money_comes_and_goes() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    let john = id(&made(&book, "contacts", person("John Doe")).await);
    let bill = made(&book, "sales_invoices", invoice(&jane, "INV")).await;
    let draft = made(&book, "sales_invoices", with(invoice(&jane, "DRAFT"), "status_id", json!("DRAFT"))).await;
    let others = made(&book, "sales_invoices", invoice(&john, "OTHER")).await;
    let note = made(&book, "sales_credit_notes", credit_note(&jane, "CN", "4.00", "1.60")).await;
    assert_eq!((&note["total_amount"], &note["credit_note_number"]), (&json!("9.6"), &json!("SCN-1")));
    let money = |kind: &str, document: &Value, total: &str, amount: &str| {
        json!({"transaction_type_id": kind, "contact_id": jane,
        "bank_account_id": bank_account(1_210), "date": "2026-11-20", "total_amount": total, "reference": "ch_1", "payment_method_id": "CREDIT_DEBIT",
        "allocated_artefacts": [{"artefact_id": document["id"], "amount": amount}]})
    };
    let receipt = |document: &Value, amount: &str| money("CUSTOMER_RECEIPT", document, amount, amount);
    for (body, source, message) in [
        (receipt(&bill, "24.01"), "allocated_artefacts.amount", "is greater than the outstanding amount"),
        (receipt(&draft, "1"), "allocated_artefacts.artefact_id", "cannot be allocated to in its status"),
        (receipt(&others, "1"), "allocated_artefacts.artefact_id", "does not belong to this contact"),
        (receipt(&note, "1"), "allocated_artefacts", "cannot be allocated by this type of transaction"),
        (
            money("CUSTOMER_REFUND", &bill, "1", "1"),
            "allocated_artefacts",
            "cannot be allocated by this type of transaction",
        ),
        (
            money("CUSTOMER_RECEIPT", &bill, "1", "2"),
            "allocated_artefacts",
            "must not be greater than the total amount",
        ),
        (with(receipt(&bill, "1"), "transaction_type_id", json!("RECEIPT")), "transaction_type_id", "Record not found"),
        (
            with(receipt(&bill, "1"), "bank_account_id", json!(ledger_account(4_000))),
            "bank_account_id",
            "Record not found",
        ),
        (with(receipt(&bill, "1"), "payment_method_id", json!("BARTER")), "payment_method_id", "Record not found"),
        (with(receipt(&bill, "1"), "total_amount", json!(0)), "total_amount", "must be greater than 0"),
    ] {
        let (status, answer) = posts(&book, "contact_payments", body).await;
        assert!(status == 422 && mistakes(&answer).contains(&(source, message)), "{answer}");
    }
    let twice = json!([{"artefact_id": bill["id"], "amount": 13}, {"artefact_id": bill["id"], "amount": 13}]);
    let (_, answer) = posts(&book, "contact_payments", with(receipt(&bill, "26"), "allocated_artefacts", twice)).await;
    assert_eq!(mistakes(&answer), [("allocated_artefacts.amount", "is greater than the outstanding amount")]);
    let part = made(&book, "contact_payments", receipt(&bill, "16.00")).await;
    assert_eq!(
        (&part["total_amount"], &part["allocated_artefacts"][0]["artefact"]["id"]),
        (&json!("16.0"), &bill["id"])
    );
    assert_eq!(get(&book, &format!("sales_invoices/{}", id(&bill))).await["status"]["id"], "PART_PAID");
    let set_off = |invoice: &Value, of_invoice: &str, of_note: &str| {
        json!({"transaction_type_id": "CUSTOMER_ALLOCATION", "contact_id": jane, "date": "2026-11-20",
        "allocated_artefacts": [{"artefact_id": invoice["id"], "amount": of_invoice}, {"artefact_id": note["id"], "amount": of_note}]})
    };
    for (body, message) in [
        (set_off(&bill, "5.00", "5.00"), "the allocated amounts must balance"),
        (set_off(&bill, "5.00", "-4.00"), "the allocated amounts must balance"),
        (set_off(&bill, "8.01", "-8.01"), "is greater than the outstanding amount"),
        (set_off(&others, "5.00", "-5.00"), "does not belong to this contact"),
        (with(set_off(&bill, "5", "-5"), "transaction_type_id", json!("ALLOCATION")), "Record not found"),
    ] {
        let (status, answer) = posts(&book, "contact_allocations", body).await;
        assert_eq!((status, mistakes(&answer)[0].1), (422, message));
    }
    let set = made(&book, "contact_allocations", set_off(&bill, "5.00", "-5.00")).await;
    assert_eq!(set["allocated_artefacts"][1]["amount"], "-5.0");
    book.sets(|switches| switches.allocation_sign = AllocationSign::AllPositive);
    assert_eq!(posts(&book, "contact_allocations", set_off(&bill, "3.00", "-3.00")).await.0, 422);
    made(&book, "contact_allocations", set_off(&bill, "3.00", "3.00")).await;
    made(&book, "contact_payments", with(money("CUSTOMER_REFUND", &note, "1.60", "1.60"), "reference", json!("re_1")))
        .await;
    assert_eq!(get(&book, &format!("sales_invoices/{}", id(&bill))).await["status"]["id"], "PAID");
    let on_account = made(&book, "contact_payments", json!({"transaction_type_id": "CUSTOMER_RECEIPT", "contact_id": jane, "bank_account_id": bank_account(1_200), "date": "2026-11-20", "total_amount": 2})).await;
    assert_eq!(on_account["payment_on_account"]["outstanding_amount"], "2.0");
    assert_eq!(get(&book, &format!("contact_payments?contact_id={jane}")).await["$total"], 3);

    let statement = book.statement();
    let invoice = &statement.invoices[0];
    assert_eq!(
        (invoice.number.as_str(), invoice.status.as_str(), invoice.outstanding.as_str(), invoice.open),
        ("INV", "PAID", "0.00", false)
    );
    assert_eq!((statement.credit_notes[0].total.as_str(), statement.credit_notes[0].open), ("9.60", false));
    let allocated: Vec<&str> = statement.allocations.iter().map(|allocation| allocation.amount.as_str()).collect();
    assert_eq!((allocated, statement.allocations[0].invoice.as_str()), (vec!["5.00", "3.00"], id(&bill).as_str()));
    assert_eq!((statement.refunds[0].reference.as_str(), statement.refunds[0].amount.as_str()), ("re_1", "1.60"));
    assert_eq!((statement.payments.len(), statement.payments[1].invoice.as_str()), (2, ""));
    assert_eq!(statement.bank_accounts[1].balance, "14.40");
    assert_eq!(statement.contacts[0].currency.as_deref(), Some("GBP"));
    assert_eq!(control(&book, "GET", "statement", &Value::Null).await, serde_json::to_value(&statement).unwrap());
    let path = format!("contact_payments/{}", id(&part));
    assert_eq!(send(&book, "DELETE", &path, &Value::Null).await.0, 204);
    assert_eq!(get(&book, &format!("sales_invoices/{}", id(&bill))).await["outstanding_amount"], "16.0");
}

#[tokio::test]
async fn products_and_their_stock() {
    let book = book().await;
    let mug = |code: &str| {
        json!({"item_code": code, "description": "Mug", "sales_ledger_account_id": ledger_account(4_000),
        "purchase_ledger_account_id": ledger_account(5_000), "sales_prices": [{"price_name": "Sales", "price": 12.5, "price_includes_tax": false}]})
    };
    for (collection, code) in [("products", "A"), ("services", "B"), ("stock_items", "C")] {
        let shown = made(&book, collection, mug(code)).await;
        assert_eq!(
            (&shown["displayed_as"], &shown["sales_ledger_account"]["id"]),
            (&json!(format!("Mug ({code})")), &json!(ledger_account(4_000)))
        );
        let (status, body) = posts(&book, collection, mug("A")).await;
        assert_eq!((status, mistakes(&body)), (422, vec![("item_code", "has already been taken")]));
        let path = format!("{collection}/{}", id(&shown));
        assert_eq!(
            send(&book, "PUT", &path, &json!({ entity(collection): {"description": "Big mug"}})).await.1["description"],
            "Big mug"
        );
        assert_eq!(get(&book, &format!("{collection}?search={code}")).await["$total"], 1);
    }
    book.sets(|switches| switches.unknown_fields = UnknownField::Refused);
    assert_eq!(
        mistakes(&posts(&book, "products", with(mug("D"), "quantity_in_stock", json!(4))).await.1),
        [("quantity_in_stock", "is not permitted")]
    );
    assert_eq!(posts(&book, "stock_items", mug(&"x".repeat(31))).await.0, 422);
    assert_eq!(
        posts(&book, "products", with(mug("D"), "sales_ledger_account_id", json!(ledger_account(5_000)))).await.0,
        422
    );
    let item = id(&get(&book, "stock_items").await["$items"][0]);
    let movement = |quantity: Value| json!({"stock_item_id": item, "date": "2026-11-20", "quantity": quantity, "cost_price": 3, "details": "From the shop"});
    made(&book, "stock_movements", movement(json!(7))).await;
    made(&book, "stock_movements", with(movement(json!(-2)), "reference", json!("r-2"))).await;
    assert_eq!(
        mistakes(&posts(&book, "stock_movements", movement(json!(0))).await.1),
        [("quantity", "must be other than 0")]
    );
    for field in ["stock_item_id", "date", "quantity", "cost_price", "details"] {
        assert_eq!(
            mistakes(&posts(&book, "stock_movements", with(movement(json!(1)), field, Value::Null)).await.1),
            [(field, "This field is required")]
        );
    }
    assert_eq!(get(&book, &format!("stock_items/{item}")).await["quantity_in_stock"], "5.0");
    let statement = book.statement();
    assert_eq!((statement.products[2].stock.as_deref(), statement.products[0].price.as_str()), (Some("5"), "12.5"));
    assert_eq!(
        (statement.stock_movements[1].quantity.as_str(), statement.stock_movements[1].reference.as_str()),
        ("-2", "r-2")
    );
    assert_eq!(get(&book, &format!("stock_movements?stock_item_id={item}")).await["$total"], 2);
}

#[tokio::test]
async fn a_closed_period_takes_nothing() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    let bill = made(&book, "sales_invoices", invoice(&jane, "A")).await;
    let pay = json!({"transaction_type_id": "CUSTOMER_RECEIPT", "contact_id": jane, "bank_account_id": bank_account(1_200), "date": "2026-11-20", "total_amount": 1,
        "allocated_artefacts": [{"artefact_id": bill["id"], "amount": 1}]});
    for (locks, message) in [
        (json!({"year_end": "2026-11-20"}), "must be after the year end lockdown date"),
        (json!({"start": "2026-11-21"}), "must be on or after the accounts start date"),
    ] {
        control(&book, "POST", "locks", &locks).await;
        for (collection, body) in [
            ("sales_invoices", invoice(&jane, "B")),
            ("sales_credit_notes", credit_note(&jane, "B", "1", "0.4")),
            ("contact_payments", pay.clone()),
        ] {
            assert_eq!(mistakes(&posts(&book, collection, body).await.1), [("date", message)]);
        }
    }
    assert_eq!(get(&book, "financial_settings").await["accounts_start_date"], "2026-11-21");
    book.sets_up(|options| {
        (options.year_end_lockdown_date, options.accounts_start_date) = (Some("2026-11-19".to_owned()), None)
    });
    made(&book, "sales_invoices", invoice(&jane, "B")).await;
}

#[tokio::test]
async fn what_start_does_not_have() {
    let book = opened(|options| options.edition = Edition::Start).await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    assert_eq!(get(&book, "financial_settings").await["multi_currency_enabled"], false);
    for (forbids, status) in [(true, 403), (false, 422)] {
        book.sets(|switches| switches.start_forbids = forbids);
        for collection in ["contact_allocations", "products", "stock_items", "stock_movements"] {
            assert_eq!(posts(&book, collection, json!({})).await.0, status);
        }
    }
    for (takes, currency, status) in [(false, "GBP", 422), (true, "GBP", 201), (true, "EUR", 422)] {
        book.sets(|switches| switches.start_takes_currency = takes);
        assert_eq!(posts(&book, "contacts", with(person("X"), "currency_id", json!(currency))).await.0, status);
    }
    made(&book, "sales_credit_notes", credit_note(&jane, "A", "1", "0.4")).await;
    control(&book, "POST", "business", &json!({"edition": "standard"})).await;
    control(&book, "POST", "business", &json!({"full_access": false})).await;
    let (status, denied) = posts(&book, "contact_allocations", json!({})).await;
    assert_eq!((status, &denied[0]["$dataCode"]), (403, &json!("MultiUserAccessDenied")));
    book.sets(|switches| switches.credit_notes_on_standard = false);
    assert_eq!(posts(&book, "sales_credit_notes", credit_note(&jane, "B", "1", "0.4")).await.0, 422);
}

#[tokio::test]
async fn an_idempotency_id_stands_for_one_record() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    let key = |digit: &str| digit.repeat(32);
    let keyed = |reference: &str, digit: &str| with(invoice(&jane, reference), "idempotency_id", json!(key(digit)));
    let first = posts(&book, "sales_invoices", keyed("A", "a")).await;
    assert_eq!((first.0, &posts(&book, "sales_invoices", keyed("A", "a")).await), (201, &first));
    assert_eq!(posts(&book, "sales_invoices", keyed("B", "a")).await, first, "whatever else it says");
    assert_eq!(book.statement().invoices.len(), 1);
    for bad in ["3f2c", "3f2c1a00-0000-4000-8000-000000000000", "zz"] {
        let (status, body) =
            posts(&book, "sales_invoices", with(invoice(&jane, "C"), "idempotency_id", json!(bad))).await;
        assert_eq!((status, mistakes(&body)), (422, vec![("idempotency_id", "is not valid")]));
    }
    made(&book, "contacts", with(person("Same key"), "idempotency_id", json!(key("a")))).await;
    book.clock().advance(7 * 86_400 - 1);
    assert_eq!(posts(&book, "sales_invoices", keyed("A", "a")).await, first);
    book.clock().advance(1);
    assert_ne!(posts(&book, "sales_invoices", keyed("A", "a")).await.1["id"], first.1["id"]);
    for (remembered, digit, status) in [(false, "b", 201), (true, "c", 422)] {
        book.sets(|switches| switches.refusals_remembered = remembered);
        assert_eq!(posts(&book, "sales_invoices", with(keyed("D", digit), "date", Value::Null)).await.0, 422);
        assert_eq!(posts(&book, "sales_invoices", keyed("D", digit)).await.0, status);
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    for number in 0..25 {
        made(&book, "sales_invoices", invoice(&jane, &format!("R-{number:02}"))).await;
        book.clock().advance(1);
    }
    let page = get(&book, "sales_invoices?search=R-").await;
    assert_eq!(
        [&page["$total"], &page["$page"], &page["$itemsPerPage"], &page["$back"]],
        [&json!(25), &json!(1), &json!(20), &Value::Null]
    );
    assert_eq!(page["$next"], "/sales_invoices?page=2&items_per_page=20&search=R-");
    assert_eq!(page["$items"][0].as_object().unwrap().len(), 3, "a summary");
    let second = get(&book, "sales_invoices?page=2&attributes=reference,total_amount").await;
    assert_eq!(
        (second["$items"].as_array().unwrap().len(), &second["$items"][0]["total_amount"], &second["$next"]),
        (5, &json!("24.0"), &Value::Null)
    );
    let all = get(&book, "sales_invoices?items_per_page=500&attributes=all&sort=created_at:desc").await;
    assert_eq!((all["$items"].as_array().unwrap().len(), &all["$items"][0]["reference"]), (25, &json!("R-24")));
    for (query, count) in [
        ("search=R-07", 1),
        ("search=jane", 25),
        ("status_id=PAID", 0),
        ("from_date=2026-11-21", 0),
        ("updated_or_created_since=2026-11-20T09:30:20Z", 5),
    ] {
        assert_eq!(get(&book, &format!("sales_invoices?{query}")).await["$total"], count, "{query}");
    }
    for (path, id) in [
        ("ledger_accounts?visible_in=sales", ledger_account(4_000)),
        ("bank_accounts", bank_account(1_200)),
        ("currencies", "GBP".to_owned()),
        ("payment_methods", "CASH".to_owned()),
        ("transaction_types", "SALES_INVOICE".to_owned()),
        ("eu_goods_services_types", "GOODS".to_owned()),
        ("address_types", "ACCOUNTS".to_owned()),
        ("countries", "AT".to_owned()),
        ("tax_rates", "GB_STANDARD".to_owned()),
    ] {
        assert_eq!(get(&book, path).await["$items"][0]["id"], id, "{path}");
    }
    assert_eq!(get(&book, "tax_rates/GB_STANDARD").await["percentage"], "20.0");
    assert_eq!(send(&book, "GET", "nothing", &Value::Null).await.0, 404);
}

#[tokio::test]
async fn too_many_requests() {
    let book = opened(|options| (options.requests_per_minute, options.requests_per_day) = (Some(2), Some(4))).await;
    let got = async || raw(&book, "GET", "currencies", &Value::Null).await.unwrap();
    assert_eq!((got().await.status, got().await.status), (200, 200));
    assert!(got().await.head.contains("retry-after: 60"));
    book.sets(|switches| switches.retry_after = false);
    let silent = got().await;
    assert!(silent.status == 429 && !silent.head.contains("retry-after"));
    book.clock().advance(60);
    assert_eq!(got().await.status, 429, "the day's");
    book.clock().advance(86_400);
    assert_eq!(got().await.status, 200);
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_once() {
    let book = book().await;
    let jane = id(&made(&book, "contacts", person("Jane Doe")).await);
    for (number, (fault, status, applied)) in [
        (BookFault::RateLimited { retry_after: Some(7) }, Some(429), 0),
        (BookFault::page(504, true), Some(504), 1),
        (BookFault::HangUp { apply: false }, None, 0),
        (BookFault::Unauthorized, Some(401), 0),
        (BookFault::ErrorInside, Some(200), 0),
        (BookFault::Garbage { apply: true }, Some(201), 1),
        (BookFault::Refused { field: "contact_id".to_owned(), message: "is too odd".to_owned() }, Some(422), 0),
    ]
    .into_iter()
    .enumerate()
    {
        let reference = format!("F-{number}");
        book.faults(FaultSpec::on("POST", "/v3.1/sales_invoices", 1, fault.clone()));
        let got = raw(&book, "POST", "sales_invoices", &json!({"sales_invoice": invoice(&jane, &reference)})).await;
        assert_eq!(got.as_ref().ok().map(|got| got.status), status, "{fault:?}");
        assert_eq!(book.shows(&reference).len(), applied, "{fault:?}");
        assert_eq!(book.log().last().unwrap().fault.as_deref(), Some(fault.name()));
    }
    book.faults(FaultSpec::on("POST", "/v3.1/sales_invoices", 1, BookFault::WrongTotal { by: "0.02".into() }));
    assert_eq!(made(&book, "sales_invoices", invoice(&jane, "W")).await["total_amount"], "24.02");
}

#[tokio::test]
async fn the_control_api_drives_it_all() {
    let book = book().await;
    let seed = json!({
        "tax_rates": [{"id": "GB_ODD", "name": "Odd", "percentage": "12.5"}],
        "contacts": [{"name": "Gone Ltd", "is_active": false}],
        "sales_invoices": [{"reference": "M2-7"}, {"reference": "M2-9", "currency_id": "EUR"}], "sales_credit_notes": [{"reference": "M2-8"}],
    });
    let ids = control(&book, "POST", "seed", &seed).await;
    assert_eq!(
        (ids["sales_invoices"].as_array().unwrap().len(), ids["contacts"].as_array().unwrap().len()),
        (2, 1),
        "{ids}"
    );
    let statement = control(&book, "GET", "statement", &Value::Null).await;
    assert_eq!(
        (
            &statement["invoices"][1]["currency"],
            &statement["contacts"][0]["active"],
            &statement["credit_notes"][0]["open"]
        ),
        (&json!("EUR"), &json!(false), &json!(true))
    );
    assert_eq!(control(&book, "GET", "documents", &Value::Null).await["sales_invoices"][0]["reference"], "M2-7");
    assert_eq!(get(&book, "tax_rates/GB_ODD").await["percentage"], "12.5");
    assert_eq!(
        control(&book, "POST", "switches", &json!({"allocation_sign": "all_positive"})).await["allocation_sign"],
        "all_positive"
    );
    assert!(control(&book, "POST", "switches", &json!({"nonsense": 1})).await["error"].is_string());
    control(&book, "POST", "business", &json!({"subscribed": false})).await;
    assert_eq!(send(&book, "GET", "contacts", &Value::Null).await.0, 401);
    control(&book, "POST", "reset", &Value::Null).await;
    assert!(book.log().is_empty() && book.statement().invoices.is_empty());
    assert_eq!(control(&book, "GET", "health", &Value::Null).await["kind"], "sage");
    assert_eq!(get(&book, "contacts").await["$total"], 0);
}
