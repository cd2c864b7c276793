//! The book as the connector meets it: over HTTP.

use serde_json::{Value, json};

use super::{
    AccountingBook, AccountingOptions, AccountingSeed, AccountingSwitches, BookFault, CurrencyRate, FaultSpec,
    NegativeHalf, NotFoundBody, OddName, UnknownField,
};
use crate::clock::Clock;
use crate::testing::{Got, call};

/// 20 November 2026, 09:30 UTC.
const NOW: i64 = 1_795_167_000;
const DUPLICATE: &str = "The contact name Jane Doe is already assigned to another contact. The contact name must be unique across all active contacts.";

async fn opened(change: impl FnOnce(&mut AccountingOptions)) -> AccountingBook {
    let mut options = AccountingOptions { clock: Clock::standing_at(NOW), ..AccountingOptions::default() };
    change(&mut options);
    AccountingBook::start(options).await.unwrap()
}

async fn book() -> AccountingBook {
    opened(|_| {}).await
}

fn headers(key: Option<&str>) -> Vec<(String, String)> {
    let mut headers = [
        ("authorization", "Bearer book-token"),
        ("xero-tenant-id", AccountingOptions::TENANT),
        ("accept", "application/json"),
        ("content-type", "application/json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    headers.extend(key.map(|key| ("idempotency-key".to_owned(), key.to_owned())));
    headers
}

async fn raw(book: &AccountingBook, method: &str, path: &str, body: &Value, key: Option<&str>) -> anyhow::Result<Got> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call(method, &format!("{}/api.xro/2.0/{path}", book.url()), &headers(key), &body).await
}

async fn send(book: &AccountingBook, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let got = raw(book, method, path, body, None).await.unwrap();
    (got.status, serde_json::from_str(&got.body).unwrap_or(Value::String(got.body)))
}

async fn control(book: &AccountingBook, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let got = call(method, &format!("{}/_control/{path}", book.url()), &[], &body).await.unwrap();
    serde_json::from_str(&got.body).unwrap()
}

/// The messages of the only element that failed, wherever they stand in it.
fn messages(body: &Value) -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(errors) = fields.get("ValidationErrors").and_then(Value::as_array) {
                    found.extend(errors.iter().map(|error| error["Message"].as_str().unwrap().to_owned()));
                }
                fields.values().for_each(|value| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk(body, &mut found);
    found
}

fn line(unit: &str, tax_type: &str) -> Value {
    json!({"Description": "Bolt", "Quantity": 1, "UnitAmount": unit, "AccountCode": "200", "TaxType": tax_type})
}

fn invoice(contact: &str, number: &str) -> Value {
    json!({
        "Type": "ACCREC", "Status": "AUTHORISED", "InvoiceNumber": number, "Contact": {"ContactID": contact},
        "Date": "2026-11-20", "DueDate": "2026-12-20", "LineAmountTypes": "Exclusive", "LineItems": [line("10.00", "OUTPUT2")],
    })
}

fn credit_note(contact: &str, number: &str) -> Value {
    json!({
        "Type": "ACCRECCREDIT", "Status": "AUTHORISED", "CreditNoteNumber": number, "Contact": {"ContactID": contact},
        "Date": "2026-11-20", "LineAmountTypes": "Exclusive", "LineItems": [line("10.00", "OUTPUT2")],
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

async fn contact(book: &AccountingBook, name: &str) -> String {
    let body = json!({"Contacts": [{"Name": name, "EmailAddress": "jane@example.com"}]});
    let (status, made) = send(book, "PUT", "Contacts", &body).await;
    assert_eq!(status, 200, "{made}");
    made["Contacts"][0]["ContactID"].as_str().unwrap().to_owned()
}

async fn puts(book: &AccountingBook, resource: &str, element: Value) -> (u16, Value) {
    send(book, "PUT", &format!("{resource}?summarizeErrors=true"), &json!({ resource: [element] })).await
}

async fn made(book: &AccountingBook, resource: &str, element: Value) -> Value {
    let (status, body) = puts(book, resource, element).await;
    assert_eq!(status, 200, "{body}");
    body[resource][0].clone()
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let book = book().await;
    let organisation = format!("{}/api.xro/2.0/Organisation", book.url());
    let without = |name: &str| headers(None).into_iter().filter(|(key, _)| key != name).collect::<Vec<_>>();
    for (headers, status, title) in
        [(without("authorization"), 401, "Unauthorized"), (without("xero-tenant-id"), 403, "Forbidden")]
    {
        let got = call("GET", &organisation, &headers, "").await.unwrap();
        let body: Value = serde_json::from_str(&got.body).unwrap();
        assert_eq!((got.status, &body["Title"], &body["Status"]), (status, &json!(title), &json!(status)));
        assert_eq!(body["Detail"], "AuthenticationUnsuccessful");
    }
    let xml = call("GET", &organisation, &without("accept"), "").await.unwrap();
    assert!(xml.head.contains("content-type: text/xml") && xml.body.contains("<BaseCurrency>GBP</BaseCurrency>"));
    let (status, body) = send(&book, "GET", "Organisation", &Value::Null).await;
    assert_eq!((status, &body["Organisations"][0]["BaseCurrency"]), (200, &json!("GBP")));
    book.lacks("accounting.payments");
    let got = raw(&book, "GET", "Payments", &Value::Null, None).await.unwrap();
    assert!(got.status == 401 && got.head.contains("insufficient_scope"));
    assert_eq!(send(&book, "GET", "Invoices", &Value::Null).await.0, 200);
    book.revokes("book-token");
    assert_eq!(send(&book, "GET", "Organisation", &Value::Null).await.0, 401);
}

#[tokio::test]
async fn connections_are_a_bare_list() {
    let book = book().await;
    let url = format!("{}/connections", book.url());
    assert_eq!(call("GET", &url, &[], "").await.unwrap().status, 401);
    let token = [("authorization".to_owned(), "Bearer book-token".to_owned())];
    let got = call("GET", &url, &token, "").await.unwrap();
    let list: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!((got.status, &list[0]["tenantId"]), (200, &json!(book.tenant())));
    assert_eq!(list[0]["createdDateUtc"], "2026-01-07T18:46:19.5165400");
    let id = list[0]["id"].as_str().unwrap();
    assert_ne!(id, book.tenant());
    assert_eq!(call("DELETE", &format!("{url}/{id}"), &token, "").await.unwrap().status, 204);
    assert_eq!(call("GET", &url, &token, "").await.unwrap().body, "[]");
    assert_eq!(send(&book, "GET", "Organisation", &Value::Null).await.0, 403);
}

#[tokio::test]
async fn contacts_have_names_of_their_own() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    let number = json!({"Name": "Numbered", "ContactNumber": "M2-1", "AccountNumber": "A1"});
    let numbered = made(&book, "Contacts", number).await;
    let address =
        |field: &str, value: &str| json!({"Name": "X", "Addresses": [{"AddressType": "POBOX", field: value}]});
    for (fields, message) in [
        (
            json!({"Name": "jane doe"}),
            "The contact name jane doe is already assigned to another contact. The contact name must be unique across all active contacts.",
        ),
        (json!({"Name": " Jane  Doe "}), DUPLICATE),
        (
            json!({"FirstName": "Jane"}),
            "The Contact must contain at least 1 of the following elements to identify the contact: Name, ContactID, ContactNumber",
        ),
        (json!({"Name": "<Jane>"}), "Contact name cannot contain the characters < or >"),
        (json!({"Name": "X", "EmailAddress": "jane"}), "Email address must be valid"),
        (json!({"Name": "X", "EmailAddress": "jörg@example.com"}), "Email address must be valid"),
        (json!({"Name": "X", "AccountNumber": "A1"}), "The Account Number already exists"),
        (json!({"Name": "x".repeat(256)}), "The field Name must be a string with a maximum length of 255."),
        (
            json!({"Name": "X", "ContactNumber": "x".repeat(51)}),
            "The field ContactNumber must be a string with a maximum length of 50.",
        ),
        (address("Country", "D3"), "Country can only contain letters"),
        (
            address("AddressLine1", &"x".repeat(501)),
            "The field AddressLine1 must be a string with a maximum length of 500.",
        ),
    ] {
        let (status, body) = puts(&book, "Contacts", fields.clone()).await;
        assert_eq!((status, &body["ErrorNumber"], &body["Type"]), (400, &json!(10), &json!("ValidationException")));
        assert_eq!(
            (messages(&body), &body["Elements"][0]["ContactID"]),
            (vec![message.to_owned()], &json!(super::store::NIL)),
            "{fields}"
        );
    }
    let (status, taken) = puts(&book, "Contacts", json!({"Name": "Y", "ContactNumber": "M2-1"})).await;
    assert!(status == 400 && messages(&taken)[0].contains("contact number M2-1 is already assigned"));
    let (_, found) = send(&book, "GET", "Contacts/M2-1", &Value::Null).await;
    assert_eq!(found["Contacts"][0]["ContactID"], numbered["ContactID"]);
    assert_eq!(send(&book, "GET", "Contacts/M2-2", &Value::Null).await.0, 404);

    let by = |condition: &str| format!("Contacts?where={}", crate::server::percent_encoded(condition));
    for (condition, count) in
        [(r#"EmailAddress="JANE@example.com""#, 1), (r#"Name="jane doe""#, 1), (r#"Name="Jane""#, 0)]
    {
        let (_, found) = send(&book, "GET", &by(condition), &Value::Null).await;
        assert_eq!(found["Contacts"].as_array().unwrap().len(), count, "{condition}");
    }
    assert_eq!(send(&book, "GET", &by("Name.Contains(\"x\")"), &Value::Null).await.0, 400);

    // What isn't sent keeps its value; an archived contact leaves its name.
    let (_, changed) = send(
        &book,
        "POST",
        &format!("Contacts/{jane}"),
        &json!({"Contacts": [{"FirstName": "Jane", "ContactStatus": "ARCHIVED"}]}),
    )
    .await;
    assert_eq!(
        (&changed["Contacts"][0]["EmailAddress"], &changed["Contacts"][0]["ContactStatus"]),
        (&json!("jane@example.com"), &json!("ARCHIVED"))
    );
    assert_eq!(send(&book, "GET", &by(r#"Name="Jane Doe""#), &Value::Null).await.1["Contacts"], json!([]));
    assert_eq!(send(&book, "GET", &format!("{}&includeArchived=true", by(r#"Name="Jane Doe""#)), &Value::Null).await.1["Contacts"].as_array().unwrap().len(), 1);
    let (status, body) = puts(&book, "Invoices", invoice(&jane, "A")).await;
    assert!(status == 400 && messages(&body)[0].contains("archived"));
    assert_ne!(contact(&book, "Jane Doe").await, jane);

    // A post without an id changes whoever has the name.
    let (_, upserted) = send(&book, "POST", "Contacts", &json!({"Name": "Numbered", "LastName": "N"})).await;
    assert_eq!(upserted["Contacts"][0]["ContactID"], numbered["ContactID"]);
    book.sets(|switches| switches.put_contact_overwrites = true);
    let overwritten = made(&book, "Contacts", json!({"Name": "Numbered", "LastName": "M"})).await;
    assert_eq!((&overwritten["ContactID"], &overwritten["LastName"]), (&numbered["ContactID"], &json!("M")));
    book.sets(|switches| switches.odd_names = OddName::Cleaned);
    assert_eq!(made(&book, "Contacts", json!({"Name": "<Jane>"})).await["Name"], "Jane");
}

#[tokio::test]
async fn items_have_codes_of_their_own() {
    let book = book().await;
    let mug = json!({"Code": "MUG", "Name": "Mug", "SalesDetails": {"UnitPrice": 12.3456, "AccountCode": "200", "TaxType": "OUTPUT2"}});
    let item = made(&book, "Items", mug.clone()).await;
    assert_eq!(item["SalesDetails"]["UnitPrice"], 12.35);
    for (fields, message) in [
        (mug.clone(), "Price List Item with Code 'MUG' already exists"),
        (json!({"Code": "x".repeat(31)}), "The field Code must be a string with a maximum length of 30."),
        (json!({"Code": "Y", "Name": "x".repeat(51)}), "The field Name must be a string with a maximum length of 50."),
        (json!({"Name": "No code"}), "Price List Item Code must be supplied"),
        (
            json!({"Code": "Y", "SalesDetails": {"AccountCode": "299"}}),
            "Account code '299' is not a valid code for this document",
        ),
        (
            json!({"Code": "Y", "SalesDetails": {"TaxType": "TAX009"}}),
            "The TaxType code 'TAX009' does not exist or cannot be used for this type of transaction.",
        ),
    ] {
        let (status, body) = puts(&book, "Items", fields).await;
        assert_eq!((status, messages(&body)), (400, vec![message.to_owned()]));
    }
    let change = json!({"Items": [{"Code": "MUG", "Name": "Big mug", "SalesDetails": {"UnitPrice": "12.3456"}}]});
    let (_, changed) = send(&book, "POST", "Items?unitdp=4", &change).await;
    assert_eq!(
        (&changed["Items"][0]["ItemID"], &changed["Items"][0]["SalesDetails"]["UnitPrice"]),
        (&item["ItemID"], &json!(12.3456))
    );
    assert_eq!(send(&book, "GET", "Items/MUG", &Value::Null).await.0, 200);
    book.sets(|switches| (switches.get_item_by_code, switches.post_item_matches_code) = (false, false));
    assert_eq!(send(&book, "GET", "Items/MUG", &Value::Null).await.0, 404);
    assert_eq!(send(&book, "POST", "Items", &change).await.0, 400);
    let (_, found) = send(&book, "GET", "Items?where=Code%3D%3D%22MUG%22", &Value::Null).await;
    assert_eq!(found["Items"][0]["Name"], "Big mug");
    let path = format!("Items/{}", item["ItemID"].as_str().unwrap());
    assert_eq!(send(&book, "DELETE", &path, &Value::Null).await.0, 204);
    assert!(book.statement().products.is_empty());
}

#[tokio::test]
async fn numbers_and_dates_are_as_on_the_wire() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    let body = json!({"Invoices": [invoice(&jane, "M2-1")]});
    let got = raw(&book, "PUT", "Invoices?summarizeErrors=false&unitdp=4", &body, None).await.unwrap();
    assert_eq!(got.status, 200);
    for text in [
        r#""AmountDue":12.00,"#,
        r#""AmountPaid":0.00"#,
        r#""CurrencyRate":1.0000000000"#,
        r#""UnitAmount":10.0000"#,
        r#""Quantity":1.0000"#,
        r#""Total":12.00"#,
        r#""DateString":"2026-11-20T00:00:00""#,
        r#""Date":"\/Date(1795132800000+0000)\/""#,
        r#""DateTimeUTC":"\/Date(1795167000000)\/""#,
        r#""DueDateString":"2026-12-20T00:00:00""#,
        r#""StatusAttributeString":"OK""#,
        r#""Status":"AUTHORISED""#,
        r#""UpdatedDateUTCString":"2026-11-20T09:30:00Z""#,
    ] {
        assert!(got.body.contains(text), "{text} in {}", got.body);
    }
    let by_number = raw(&book, "GET", "Invoices/M2-1", &Value::Null, None).await.unwrap();
    assert!(by_number.body.contains(r#""UnitAmount":10.0000"#) && by_number.head.contains("x-minlimit-remaining: 60"));
    let odd =
        with(invoice(&jane, "M2-2"), "LineItems", json!([with(line("1", "NONE"), "Description", json!("\u{1}5.00"))]));
    assert_eq!(puts(&book, "Invoices", odd).await.0, 400, "no control characters");
    for (switch, body) in
        [(NotFoundBody::Empty, ""), (NotFoundBody::Text, "The resource you're looking for cannot be found")]
    {
        book.sets(|switches| switches.not_found = switch);
        let got = raw(&book, "GET", "Invoices/none", &Value::Null, None).await.unwrap();
        assert_eq!((got.status, got.body.as_str()), (404, body));
    }
}

/// The vectors that Xero's guides and description publish, and where its halves go.
#[tokio::test]
async fn the_book_rounds_as_published() {
    let book = book().await;
    let rates = [("TAX101", "15"), ("TAX102", "12.5")];
    let rates = rates.map(|(code, rate)| json!({"TaxType": code, "Name": rate, "EffectiveRate": rate}));
    book.seeds(&AccountingSeed { tax_rates: rates.to_vec(), ..AccountingSeed::default() }).unwrap();
    let jane = contact(&book, "Jane Doe").await;
    let one = |quantity: &str, unit: &str, tax: &str| with(line(unit, tax), "Quantity", json!(quantity));
    let off = |mut line: Value, field: &str, value: &str| {
        line[field] = json!(value);
        line
    };
    for (number, (types, unitdp, lines, taxes, sub, tax, total)) in [
        (
            "Exclusive",
            2,
            vec![one("1", "25.06", "TAX101"), one("1", "25.61", "TAX101"), one("1", "25.63", "TAX101")],
            vec!["3.76", "3.84", "3.84"],
            "76.3",
            "11.44",
            "87.74",
        ),
        (
            "Inclusive",
            2,
            vec![one("1", "177.00", "TAX102"), one("1", "-79.00", "TAX102")],
            vec!["19.67", "-8.78"],
            "87.11",
            "10.89",
            "98",
        ),
        (
            "Exclusive",
            2,
            vec![off(one("1", "19.95", "TAX101"), "DiscountRate", "10")],
            vec!["2.69"],
            "17.96",
            "2.69",
            "20.65",
        ),
        ("NoTax", 2, vec![one("1", "2.165", "TAX101")], vec!["0"], "2.17", "0", "2.17"),
        ("NoTax", 2, vec![one("1", "2.164", "TAX101")], vec!["0"], "2.16", "0", "2.16"),
        ("Exclusive", 2, vec![one("3", "3.3333", "OUTPUT2")], vec!["2"], "9.99", "2", "11.99"),
        ("Exclusive", 4, vec![one("3", "3.3333", "OUTPUT2")], vec!["2"], "10", "2", "12"),
        ("Exclusive", 4, vec![one("1000", "0.061171", "OUTPUT2")], vec!["12.24"], "61.2", "12.24", "73.44"),
        (
            "Exclusive",
            2,
            vec![off(one("1", "10", "OUTPUT2"), "TaxAmount", "1.99")],
            vec!["1.99"],
            "10",
            "1.99",
            "11.99",
        ),
        ("Exclusive", 2, vec![off(one("3", "1", "OUTPUT2"), "DiscountAmount", "0.5")], vec!["0.5"], "2.5", "0.5", "3"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = with(
            with(invoice(&jane, &format!("R-{number}")), "LineItems", json!(lines)),
            "LineAmountTypes",
            json!(types),
        );
        let (status, answer) =
            send(&book, "PUT", &format!("Invoices?unitdp={unitdp}"), &json!({"Invoices": [body]})).await;
        assert_eq!(status, 200, "{answer}");
        let figure = |value: &Value| value.as_f64().unwrap().to_string();
        let shown = &answer["Invoices"][0];
        let of_lines: Vec<String> =
            shown["LineItems"].as_array().unwrap().iter().map(|line| figure(&line["TaxAmount"])).collect();
        assert_eq!(of_lines, taxes, "{types} {lines:?}");
        assert_eq!(
            [figure(&shown["SubTotal"]), figure(&shown["TotalTax"]), figure(&shown["Total"])],
            [sub, tax, total]
        );
    }
    let halves = |number: &str| {
        with(
            with(invoice(&jane, number), "LineAmountTypes", json!("NoTax")),
            "LineItems",
            json!([one("1", "1", "NONE"), one("-1", "0.5", "NONE"), one("-0.5", "0.01", "NONE")]),
        )
    };
    assert_eq!(made(&book, "Invoices", halves("H-1")).await["Total"], 0.49);
    book.sets(|switches| switches.negative_half = NegativeHalf::Up);
    assert_eq!(made(&book, "Invoices", halves("H-2")).await["Total"], 0.5);
}

#[tokio::test]
async fn an_invoice_needs_what_it_needs() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    made(&book, "Invoices", invoice(&jane, "TAKEN")).await;
    let of_line = |field: &str, value: Value| {
        with(invoice(&jane, "A"), "LineItems", json!([with(line("10", "OUTPUT2"), field, value)]))
    };
    let field = |field: &str, value: Value| with(invoice(&jane, "A"), field, value);
    let cases = [
        (field("InvoiceNumber", json!("TAKEN")), "Invoice # must be unique."),
        (field("Type", Value::Null), "Type must be specified"),
        (field("Contact", Value::Null), "A Contact must be specified for this type of transaction"),
        (
            field("Contact", json!({"ContactID": "5f1e0000-0000-4000-8000-00000000ffff"})),
            "The Contact with the specified ContactID could not be found",
        ),
        (field("DueDate", Value::Null), "Due Date is required for invoice approval"),
        (field("Date", json!("20/11/2026")), "Date must be a valid date"),
        (field("LineItems", json!([])), "One or more line items must be specified"),
        (field("LineAmountTypes", json!("Gross")), "The LineAmountTypes is not valid"),
        (field("CurrencyCode", json!("PLN")), "Organisation is not subscribed to currency PLN"),
        (field("Status", json!("PAID")), "The Status PAID is not valid for a new document"),
        (
            field("InvoiceNumber", json!("x".repeat(256))),
            "The field InvoiceNumber must be a string with a maximum length of 255.",
        ),
        (of_line("Description", json!("")), "Description must be specified"),
        (
            of_line("Description", json!("x".repeat(4001))),
            "The field Description must be a string with a maximum length of 4000.",
        ),
        (of_line("AccountCode", Value::Null), "Account code must be specified"),
        (of_line("AccountCode", json!("999")), "Account code '999' is not a valid code for this document"),
        (of_line("AccountCode", json!("299")), "Account code '299' is not a valid code for this document"),
        (of_line("AccountCode", json!("610")), "Account code '610' is not a valid code for this document"),
        (of_line("AccountCode", json!("090")), "Account code '090' is not a valid code for this document"),
        (of_line("AccountCode", json!("404")), "The TaxType code 'OUTPUT2' cannot be used with account code '404'."),
        (
            of_line("TaxType", json!("20%")),
            "The TaxType code '20%' does not exist or cannot be used for this type of transaction.",
        ),
        (
            of_line("TaxType", json!("INPUT2")),
            "The TaxType code 'INPUT2' does not exist or cannot be used for this type of transaction.",
        ),
        (
            of_line("TaxType", json!("TAX009")),
            "The TaxType code 'TAX009' does not exist or cannot be used for this type of transaction.",
        ),
        (of_line("ItemCode", json!("NONE")), "Item code 'NONE' is not valid"),
        (of_line("LineAmount", json!("9.99")), "The line total 9.99 does not match the expected line total 10.00"),
        (of_line("DiscountAmount", json!("10.01")), "Discount must not be greater than the line total"),
        (of_line("TaxAmount", json!("10.01")), "The tax amount cannot be greater than the line amount"),
        (of_line("UnitAmount", json!("-10")), "The document total cannot be negative"),
    ];
    for nested in [false, true] {
        book.sets(|switches| switches.line_errors_nested = nested);
        for (body, message) in &cases {
            let (status, answer) = puts(&book, "Invoices", body.clone()).await;
            assert_eq!((status, messages(&answer)), (400, vec![(*message).to_owned()]), "{body}");
        }
    }
    assert_eq!(book.statement().invoices.len(), 1);
    // A draft may lack its account and its due date; a line may be words alone, or an amount and a quantity.
    let draft = with(with(of_line("AccountCode", Value::Null), "DueDate", Value::Null), "Status", json!("DRAFT"));
    assert_eq!(made(&book, "Invoices", draft).await["Status"], "DRAFT");
    let lines = json!([{"Description": "Words"}, {"Description": "x", "Quantity": 3, "LineAmount": "10.00", "AccountCode": "200"}]);
    let shown = made(&book, "Invoices", with(field("InvoiceNumber", json!("B")), "LineItems", lines.clone())).await;
    assert_eq!((&shown["Total"], &shown["LineItems"][1]["UnitAmount"]), (&json!(12.0), &json!(3.33)));
    book.sets(|switches| switches.line_amount_alone = false);
    assert_eq!(puts(&book, "Invoices", with(field("InvoiceNumber", json!("C")), "LineItems", lines)).await.0, 400);
    // What a switch decides.
    let rounding = with(
        with(
            field("InvoiceNumber", json!("D")),
            "LineItems",
            json!([{"Description": "Rounding", "Quantity": 1, "UnitAmount": "0.01", "AccountCode": "860", "TaxType": "NONE"}]),
        ),
        "Total",
        json!("5"),
    );
    assert_eq!(made(&book, "Invoices", rounding.clone()).await["Total"], 0.01);
    for change in [
        |switches: &mut AccountingSwitches| switches.rounding_account_takes_lines = false,
        |switches: &mut AccountingSwitches| switches.wrong_total_refused = true,
        |switches: &mut AccountingSwitches| switches.unknown_fields = UnknownField::Refused,
    ] {
        book.sets(|switches| *switches = AccountingSwitches::default());
        book.sets(change);
        let body = with(with(rounding.clone(), "InvoiceNumber", json!("E")), "RoundingAmount", json!("0"));
        assert_eq!(puts(&book, "Invoices", body).await.0, 400);
    }
    assert_eq!(book.log().last().unwrap().unknown_fields, ["RoundingAmount"]);
}

#[tokio::test]
async fn an_element_fails_inside_a_success() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    let both = |good: &str| json!({"Invoices": [invoice(&jane, good), invoice(&jane, good)]});
    let (status, body) = send(&book, "PUT", "Invoices?summarizeErrors=false", &both("A")).await;
    assert_eq!(status, 200);
    let words = |place: usize| {
        (
            body["Invoices"][place]["StatusAttributeString"].as_str().unwrap(),
            body["Invoices"][place]["HasErrors"].as_bool().unwrap(),
        )
    };
    assert_eq!((words(0), words(1)), (("OK", false), ("ERROR", true)));
    assert_eq!(
        (&body["Invoices"][1]["InvoiceID"], messages(&body)),
        (&json!(super::store::NIL), vec!["Invoice # must be unique.".to_owned()])
    );
    assert_eq!(book.shows("A").len(), 1);
    for (number, summarizes, siblings, statuses, kept) in
        [("B", true, false, 400, 0), ("C", true, true, 400, 1), ("D", false, false, 200, 1)]
    {
        book.sets(|switches| (switches.summarizes_when_omitted, switches.siblings_committed) = (summarizes, siblings));
        let (status, body) = send(&book, "PUT", "Invoices", &both(number)).await;
        assert_eq!((status, book.shows(number).len()), (statuses, kept), "{body}");
    }
    for (body, number, kind) in
        [("{", 14, "PostDataInvalidException"), ("{\"Invoices\":[]}", 17, "NoDataProcessedException")]
    {
        let got = call("PUT", &format!("{}/api.xro/2.0/Invoices", book.url()), &headers(None), body).await.unwrap();
        let answer: Value = serde_json::from_str(&got.body).unwrap();
        assert_eq!((got.status, &answer["ErrorNumber"], &answer["Type"]), (400, &json!(number), &json!(kind)));
    }
}

#[tokio::test]
async fn an_invoice_goes_its_way() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    let to = async |id: &str, fields: Value| {
        send(&book, "POST", &format!("Invoices/{id}?summarizeErrors=true"), &json!({"Invoices": [fields]})).await
    };
    let id = |shown: &Value| shown["InvoiceID"].as_str().unwrap().to_owned();
    let draft = made(&book, "Invoices", with(invoice(&jane, "A"), "Status", json!("DRAFT"))).await;
    assert_eq!(to(&id(&draft), json!({"Status": "VOIDED"})).await.0, 400);
    let (_, approved) = to(&id(&draft), json!({"Status": "AUTHORISED"})).await;
    assert_eq!(
        (&approved["Invoices"][0]["Status"], &approved["Invoices"][0]["Total"]),
        (&json!("AUTHORISED"), &json!(12.0))
    );
    assert_ne!(
        approved["Invoices"][0]["LineItems"][0]["LineItemID"], draft["LineItems"][0]["LineItemID"],
        "made anew without its id"
    );
    assert_eq!(to(&id(&draft), json!({"Status": "DRAFT"})).await.0, 400);
    let pay =
        json!({"Invoice": {"InvoiceNumber": "A"}, "Account": {"Code": "091"}, "Date": "2026-11-20", "Amount": "5.00"});
    let payment = made(&book, "Payments", pay).await;
    let (status, body) = to(&id(&draft), json!({"Status": "VOIDED"})).await;
    assert_eq!(
        (status, messages(&body)[0].as_str()),
        (400, "This document cannot be edited as it has a payment or credit note allocated to it.")
    );
    assert_eq!(to(&id(&draft), json!({"Reference": "new"})).await.0, 200);
    let path = format!("Payments/{}", payment["PaymentID"].as_str().unwrap());
    assert_eq!(send(&book, "POST", &path, &json!({"Amount": 6})).await.0, 400);
    assert_eq!(send(&book, "POST", &path, &json!({"Status": "DELETED"})).await.1["Payments"][0]["Status"], "DELETED");
    assert_eq!(to(&id(&draft), json!({"Status": "VOIDED"})).await.1["Invoices"][0]["Status"], "VOIDED");
    for (reusable, status) in [(false, 400), (true, 200)] {
        book.sets(|switches| switches.voided_numbers_reusable = reusable);
        assert_eq!(puts(&book, "Invoices", invoice(&jane, "A")).await.0, status);
    }
    for (shared, status) in [(true, 400), (false, 200)] {
        book.sets(|switches| switches.shared_numbers = shared);
        assert_eq!(puts(&book, "CreditNotes", credit_note(&jane, "A")).await.0, status);
    }
    // A post without an id changes the invoice with that number: a put never does.
    let (_, changed) = send(&book, "POST", "Invoices", &with(invoice(&jane, "A"), "Reference", json!("changed"))).await;
    assert_eq!(changed["Invoices"][0]["Reference"], "changed");
    // A contact by name alone is made if nobody has it, and an id with more beside it changes the contact.
    made(&book, "Invoices", with(invoice(&jane, "N"), "Contact", json!({"Name": "New One"}))).await;
    made(
        &book,
        "Invoices",
        with(invoice(&jane, "O"), "Contact", json!({"ContactID": jane, "EmailAddress": "other@example.com"})),
    )
    .await;
    let contacts = book.statement().contacts;
    assert_eq!((contacts[0].email.as_str(), contacts[1].name.as_str()), ("other@example.com", "New One"));
}

#[tokio::test]
async fn money_comes_and_goes() {
    let book = book().await;
    let (jane, john) = (contact(&book, "Jane Doe").await, contact(&book, "John Doe").await);
    let bill = made(&book, "Invoices", invoice(&jane, "INV")).await;
    let draft = made(&book, "Invoices", with(invoice(&jane, "DRAFT"), "Status", json!("DRAFT"))).await;
    let note =
        made(&book, "CreditNotes", with(credit_note(&jane, "CN"), "LineItems", json!([line("4", "OUTPUT2")]))).await;
    let others = made(&book, "Invoices", invoice(&john, "OTHER")).await;
    let pay = |invoice: &Value, amount: &str| json!({"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Account": {"Code": "091"}, "Date": "2026-11-20", "Amount": amount, "Reference": "ch_1"});
    for (body, message) in [
        (pay(&bill, "12.01"), "Payment amount exceeds the amount outstanding on this document"),
        (pay(&bill, "0"), "The payment amount must be greater than 0"),
        (pay(&draft, "1"), "Payments can only be made against Authorised documents"),
        (
            with(pay(&bill, "1"), "Account", json!({"Code": "200"})),
            "The account must be of type BANK or have payments to it enabled",
        ),
        (
            with(pay(&bill, "1"), "CreditNote", json!({"CreditNoteID": note["CreditNoteID"]})),
            "A Payment must have exactly one of Invoice, CreditNote, Prepayment or Overpayment",
        ),
        (
            with(pay(&bill, "1"), "Account", json!({"Code": "092"})),
            "The currency of the bank account must be that of the invoice or the base currency",
        ),
    ] {
        let (status, answer) = puts(&book, "Payments", body).await;
        assert_eq!((status, messages(&answer)), (400, vec![message.to_owned()]));
    }
    let part = made(&book, "Payments", pay(&bill, "7.20")).await;
    assert_eq!(
        (&part["PaymentType"], &part["Invoice"]["AmountDue"], &part["Invoice"]["Status"]),
        (&json!("ACCRECPAYMENT"), &json!(4.8), &json!("AUTHORISED"))
    );
    let path = format!("CreditNotes/{}/Allocations", note["CreditNoteID"].as_str().unwrap());
    let set_off = |invoice: &Value, amount: &str| json!({"Allocations": [{"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Amount": amount, "Date": "2026-11-20"}]});
    for (body, message) in [
        (set_off(&bill, "4.81"), "The allocation amount exceeds the remaining credit on this credit note"),
        (set_off(&others, "1"), "The credit note and the invoice must be for the same contact"),
        (set_off(&draft, "1"), "Allocations can only be made between Authorised documents"),
        (json!({"Amount": "1", "Invoice": {"InvoiceID": bill["InvoiceID"]}}), "Date must be specified"),
    ] {
        let (status, answer) = send(&book, "PUT", &path, &body).await;
        assert!(status == 400 && messages(&answer).contains(&message.to_owned()), "{answer}");
    }
    let (status, answer) = send(&book, "PUT", &path, &set_off(&bill, "4.00")).await;
    assert_eq!((status, &answer["Allocations"][0]["Amount"]), (200, &json!(4.0)), "{answer}");
    book.sets(|switches| switches.allocation_date_required = false);
    let (status, answer) =
        send(&book, "PUT", &path, &json!({"Amount": "0.80", "Invoice": {"InvoiceID": bill["InvoiceID"]}})).await;
    assert_eq!(status, 200, "{answer}");
    let (_, paid) = send(&book, "GET", "Invoices/INV", &Value::Null).await;
    assert_eq!(
        (
            &paid["Invoices"][0]["Status"],
            &paid["Invoices"][0]["AmountCredited"],
            &paid["Invoices"][0]["CreditNotes"].as_array().unwrap().len()
        ),
        (&json!("PAID"), &json!(4.8), &2)
    );
    assert_eq!(send(&book, "GET", "CreditNotes/CN", &Value::Null).await.1["CreditNotes"][0]["RemainingCredit"], 0.0);
    let (_, allocations) = send(&book, "GET", &path, &Value::Null).await;
    let one = format!("{path}/{}", allocations["Allocations"][1]["AllocationID"].as_str().unwrap());
    assert_eq!(send(&book, "DELETE", &one, &Value::Null).await.1["IsDeleted"], true);
    let back = json!({"CreditNote": {"CreditNoteNumber": "CN"}, "Account": {"Code": "091"}, "Date": "2026-11-21", "Amount": "0.80", "Reference": "re_1"});
    assert_eq!(made(&book, "Payments", back).await["PaymentType"], "ARCREDITPAYMENT");
    let condition = format!(
        "Payments?where=Invoice.InvoiceID%3Dguid(%22{}%22)%20AND%20Amount%3D7.2",
        bill["InvoiceID"].as_str().unwrap()
    );
    assert_eq!(send(&book, "GET", &condition, &Value::Null).await.1["Payments"].as_array().unwrap().len(), 1);

    let statement = book.statement();
    let invoice = &statement.invoices[0];
    assert_eq!(
        (invoice.number.as_str(), invoice.status.as_str(), invoice.outstanding.as_str(), invoice.open),
        ("INV", "AUTHORISED", "0.80", true)
    );
    assert!(!statement.invoices[1].approved && statement.invoices[1].open);
    assert_eq!((statement.credit_notes[0].outstanding.as_str(), statement.credit_notes[0].open), ("0.00", false));
    assert_eq!(
        (statement.payments[0].reference.as_str(), statement.payments[0].account_amount.as_str()),
        ("ch_1", "7.20")
    );
    assert_eq!((statement.refunds[0].amount.as_str(), statement.allocations[0].amount.as_str()), ("0.80", "4.00"));
    let clearing = statement.bank_accounts.iter().find(|account| account.name == "Card Clearing").unwrap();
    assert_eq!(clearing.balance, "6.40");
    assert_eq!(control(&book, "GET", "statement", &Value::Null).await, serde_json::to_value(&statement).unwrap());
}

#[tokio::test]
async fn credit_notes_have_no_discount() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    let discounted = json!([with(line("10", "OUTPUT2"), "DiscountRate", json!(10))]);
    let (status, body) = puts(&book, "CreditNotes", with(credit_note(&jane, "CN"), "LineItems", discounted)).await;
    assert_eq!((status, messages(&body)[0].as_str()), (400, "Discounts cannot be applied to credit notes"));
    book.sets(|switches| switches.unknown_fields = UnknownField::Refused);
    let (status, body) =
        puts(&book, "CreditNotes", with(credit_note(&jane, "CN"), "Url", json!("https://shop.example"))).await;
    assert_eq!((status, messages(&body)[0].as_str()), (400, "Unknown field Url"));
    made(&book, "CreditNotes", credit_note(&jane, "CN")).await;
    let (status, body) = puts(&book, "CreditNotes", credit_note(&jane, "CN")).await;
    assert_eq!((status, messages(&body)[0].as_str()), (400, "Credit note # must be unique."));
}

#[tokio::test]
async fn foreign_currency() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    let euro = |number: &str| with(invoice(&jane, number), "CurrencyCode", json!("EUR"));
    let own = made(&book, "Invoices", euro("A")).await;
    assert_eq!(own["CurrencyRate"], 1.165);
    let given = made(&book, "Invoices", with(euro("B"), "CurrencyRate", json!("1.2000004"))).await;
    assert_eq!((&given["CurrencyRate"], given.get("Warnings")), (&json!(1.2), None));
    let odd = made(&book, "Invoices", with(euro("C"), "CurrencyRate", json!("0.85"))).await;
    assert!(odd["Warnings"][0]["Message"].is_string());
    assert_eq!(puts(&book, "Invoices", with(euro("D"), "CurrencyRate", json!("0"))).await.0, 400);
    let pay = |number: &str, account: &str| json!({"Invoice": {"InvoiceNumber": number}, "Account": {"Code": account}, "Date": "2026-11-20", "Amount": "12.00", "CurrencyRate": "1.2"});
    for (number, account, amount) in [("A", "092", 12.0), ("B", "091", 10.0)] {
        assert_eq!(made(&book, "Payments", pay(number, account)).await["BankAmount"], amount);
    }
    assert_eq!(puts(&book, "Payments", pay("C", "093")).await.0, 400);
    book.sets(|switches| switches.third_currency_payments = true);
    assert_eq!(made(&book, "Payments", pay("C", "093")).await["BankAmount"], 13.1);
    book.sets(|switches| switches.currency_rate = CurrencyRate::BasePerDocument);
    assert_eq!(made(&book, "Invoices", euro("E")).await["CurrencyRate"], 0.858369);
    assert_eq!(made(&book, "Payments", with(pay("E", "091"), "CurrencyRate", json!("0.85"))).await["BankAmount"], 10.2);
    book.seeds(&AccountingSeed { currencies: vec!["PLN".to_owned()], ..AccountingSeed::default() }).unwrap();
    assert_eq!(made(&book, "Invoices", with(euro("F"), "CurrencyCode", json!("PLN"))).await["CurrencyCode"], "PLN");
}

#[tokio::test]
async fn a_closed_period_takes_nothing() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    made(&book, "Invoices", invoice(&jane, "A")).await;
    let pay =
        json!({"Invoice": {"InvoiceNumber": "A"}, "Account": {"Code": "091"}, "Date": "2026-11-20", "Amount": "12.00"});
    for (period, year, words) in [
        (Some("2026-11-20"), None, "period lock date, currently set at 20 November 2026"),
        (Some("2026-10-31"), Some("2026-11-20"), "end of year lock date, currently set at 20 November 2026"),
    ] {
        book.locks(period, year);
        for (resource, element) in
            [("Invoices", invoice(&jane, "B")), ("CreditNotes", credit_note(&jane, "B")), ("Payments", pay.clone())]
        {
            let (status, body) = puts(&book, resource, element).await;
            assert_eq!(
                (status, messages(&body)),
                (400, vec![format!("The document date cannot be before the {words}")])
            );
        }
    }
    let (_, organisation) = send(&book, "GET", "Organisation", &Value::Null).await;
    assert_eq!(organisation["Organisations"][0]["EndOfYearLockDate"], "/Date(1795132800000+0000)/");
    control(&book, "POST", "locks", &json!({"period": "2026-11-19"})).await;
    assert_eq!(puts(&book, "Invoices", invoice(&jane, "B")).await.0, 200);
}

#[tokio::test]
async fn today_is_where_the_organisation_is() {
    // 31 March 2026, 23:30 UTC is the first of April in London.
    let book = opened(|options| options.clock = Clock::standing_at(1_774_999_800)).await;
    let jane = contact(&book, "Jane Doe").await;
    let shown = made(&book, "Invoices", with(invoice(&jane, "A"), "Date", Value::Null)).await;
    assert_eq!(shown["DateString"], "2026-04-01T00:00:00");
}

#[tokio::test]
async fn a_key_stands_for_one_request() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    let body = |number: &str| json!({"Invoices": [invoice(&jane, number)]});
    let put = async |number: &str, key: &str| {
        let got = raw(&book, "PUT", "Invoices", &body(number), Some(key)).await.unwrap();
        (got.status, got.body)
    };
    let first = put("A", "key-1").await;
    assert_eq!((first.0, put("A", "key-1").await), (200, first.clone()));
    assert_eq!(book.shows("A").len(), 1);
    let (status, other) = put("B", "key-1").await;
    assert!(status == 400 && other.contains("Idempotency Key: key-1 is used with a different request."), "{other}");
    assert_eq!(put("B", &"k".repeat(129)).await.0, 400);
    book.clock().advance(359);
    assert_eq!(put("A", "key-1").await, first);
    book.clock().advance(1);
    assert!(put("A", "key-1").await.1.contains("Invoice # must be unique."), "a new key by now");
    // A refusal is remembered as well, and so is an internal error, applied or not.
    let refused = put("A", "key-2").await;
    assert_eq!((refused.0, put("A", "key-2").await), (400, refused.clone()));
    for (cached, number, applied, status) in [(true, "C", false, 500), (true, "D", true, 500), (false, "E", false, 200)]
    {
        book.sets(|switches| switches.internal_errors_cached = cached);
        book.faults(FaultSpec::on("PUT", "/api.xro/2.0/Invoices", 1, BookFault::page(500, applied)));
        assert_eq!((put(number, number).await.0, put(number, number).await.0), (500, status));
        assert_eq!(book.shows(number).len(), usize::from(applied || status == 200));
    }
    book.faults(FaultSpec::on("PUT", "/api.xro/2.0/Invoices", 1, BookFault::page(504, true)));
    assert_eq!(
        (put("F", "key-5").await.0, put("F", "key-5").await.0),
        (504, 200),
        "a gateway's answer isn't the book's"
    );
    assert_eq!(book.shows("F").len(), 1);
    assert_eq!(book.log().last().unwrap().idempotency_key.as_deref(), Some("key-5"));
}

#[tokio::test]
async fn too_many_requests() {
    let book = opened(|options| (options.requests_per_minute, options.requests_per_day) = (Some(2), Some(3))).await;
    let get = async || raw(&book, "GET", "Organisation", &Value::Null, None).await.unwrap();
    for left in ["1", "0"] {
        let got = get().await;
        assert!(got.status == 200 && got.head.contains(&format!("x-minlimit-remaining: {left}")), "{}", got.head);
    }
    let got = get().await;
    assert_eq!((got.status, got.body.as_str()), (429, ""));
    assert!(got.head.contains("x-rate-limit-problem: minute") && got.head.contains("retry-after: 60"), "{}", got.head);
    book.clock().advance(60);
    let got = get().await;
    assert!(got.status == 429 && got.head.contains("x-rate-limit-problem: day"), "{}", got.head);
    book.clock().advance(86_400);
    assert_eq!(get().await.status, 200);
    control(&book, "POST", "limits", &json!({"at_once": 1})).await;
    book.takes(40);
    let (one, two) = tokio::join!(get(), get());
    let problem = [&one, &two].into_iter().find(|got| got.status == 429).unwrap();
    assert!(problem.head.contains("x-rate-limit-problem: concurrent") && !problem.head.contains("retry-after"));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    let invoices: Vec<Value> = (0..5)
        .map(|number| with(invoice(&jane, &format!("P-{number}")), "Reference", json!(format!("Order {number}"))))
        .collect();
    assert_eq!(send(&book, "PUT", "Invoices", &json!({"Invoices": invoices})).await.0, 200);
    let numbers = async |query: &str| -> Vec<String> {
        let (status, body) = send(&book, "GET", &format!("Invoices?{query}"), &Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body["Invoices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|invoice| invoice["InvoiceNumber"].as_str().unwrap().to_owned())
            .collect()
    };
    for (query, found) in [
        ("page=2&pageSize=2", vec!["P-2", "P-3"]),
        ("InvoiceNumbers=P-1,P-4", vec!["P-1", "P-4"]),
        ("searchTerm=order%203", vec!["P-3"]),
        ("Statuses=DRAFT", vec![]),
        ("order=InvoiceNumber%20DESC&pageSize=1", vec!["P-4"]),
        ("where=Date%3E%3DDateTime(2026%2C11%2C21)", vec![]),
    ] {
        assert_eq!(numbers(query).await, found, "{query}");
    }
    let (_, page) = send(&book, "GET", "Invoices?page=3&pageSize=2&summaryOnly=true", &Value::Null).await;
    assert_eq!(page["pagination"], json!({"page": 3, "pageSize": 2, "pageCount": 3, "itemCount": 5}));
    assert_eq!(page["Invoices"][0]["LineItems"], json!([]));
    assert_eq!(send(&book, "GET", "Invoices?pageSize=1001", &Value::Null).await.0, 400);
    let mut modified = headers(None);
    modified.push(("if-modified-since".to_owned(), "2026-11-21T00:00:00".to_owned()));
    let got = call("GET", &format!("{}/api.xro/2.0/Invoices", book.url()), &modified, "").await.unwrap();
    assert!(got.body.contains("\"Invoices\":[]"), "{}", got.body);
}

#[tokio::test]
async fn what_is_there_from_the_start() {
    let book = book().await;
    let (_, accounts) = send(&book, "GET", "Accounts?where=SystemAccount%3D%3D%22ROUNDING%22", &Value::Null).await;
    assert_eq!((accounts["Accounts"].as_array().unwrap().len(), &accounts["Accounts"][0]["Code"]), (1, &json!("860")));
    let got = raw(&book, "GET", "TaxRates", &Value::Null, None).await.unwrap();
    assert!(got.body.contains(r#""EffectiveRate":20.0000"#) && got.body.contains("RROUTPUT"));
    let (_, rate) = send(&book, "GET", "TaxRates/OUTPUT2", &Value::Null).await;
    assert_eq!(rate["TaxRates"][0]["CanApplyToRevenue"], true);
    assert_eq!(send(&book, "PUT", "Currencies", &json!({"Code": "PLN", "Description": "Zloty"})).await.0, 200);
    let (_, currencies) = send(&book, "GET", "Currencies", &Value::Null).await;
    assert_eq!(
        currencies["Currencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["Code"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["GBP", "EUR", "USD", "PLN"]
    );
    assert_eq!(send(&book, "GET", "Organisation/Actions", &Value::Null).await.1["Actions"][0]["Status"], "ALLOWED");
    assert_eq!(send(&book, "GET", "BrandingThemes", &Value::Null).await.1["BrandingThemes"][0]["SortOrder"], 0);
    assert_eq!(send(&book, "PATCH", "Invoices", &Value::Null).await.0, 501);
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_once() {
    let book = book().await;
    let jane = contact(&book, "Jane Doe").await;
    for (number, (fault, status, applied)) in [
        (BookFault::RateLimited { retry_after: Some(7) }, Some(429), 0),
        (BookFault::page(503, true), Some(503), 1),
        (BookFault::HangUp { apply: true }, None, 1),
        (BookFault::Slow { milliseconds: 1, apply_first: true }, Some(200), 1),
        (BookFault::Unauthorized, Some(401), 0),
        (BookFault::ErrorInside, Some(200), 0),
        (BookFault::Garbage { apply: true }, Some(201), 1),
        (
            BookFault::Refused {
                field: "InvoiceID".to_owned(),
                message: "You have reached the limit of invoices you can approve".to_owned(),
            },
            Some(400),
            0,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("F-{number}");
        book.faults(FaultSpec::on("PUT", "/api.xro/2.0/Invoices", 1, fault.clone()));
        let got = raw(&book, "PUT", "Invoices", &json!({"Invoices": [invoice(&jane, &name)]}), None).await;
        assert_eq!(got.as_ref().ok().map(|got| got.status), status, "{fault:?}");
        assert_eq!(book.shows(&name).len(), applied, "{fault:?}");
        assert_eq!(book.log().last().unwrap().fault.as_deref(), Some(fault.name()));
    }
    book.faults(FaultSpec::on("PUT", "/api.xro/2.0/Invoices", 1, BookFault::WrongTotal { by: "0.02".into() }));
    assert_eq!(made(&book, "Invoices", invoice(&jane, "W")).await["Total"], 12.02);
    book.faults(FaultSpec::on(
        "PUT",
        "/api.xro/2.0/Invoices",
        1,
        BookFault::Late { after_requests: None, status: None },
    ));
    assert!(raw(&book, "PUT", "Invoices", &json!({"Invoices": [invoice(&jane, "L")]}), None).await.is_err());
    assert_eq!((book.shows("L").len(), book.late(), book.releases_late(), book.shows("L").len()), (0, 1, vec![200], 1));
}

#[tokio::test]
async fn the_control_api_drives_it_all() {
    let book = book().await;
    let seed = json!({
        "contacts": [{"Name": "Gone Ltd", "ContactStatus": "ARCHIVED"}],
        "invoices": [{"InvoiceNumber": "M2-7"}], "credit_notes": [{"CreditNoteNumber": "M2-8"}],
        "items": [{"Code": "MUG"}], "accounts": [{"Code": "206", "Name": "Gift wrap"}],
        "payments": [{"Invoice": {"InvoiceNumber": "M2-7"}, "Account": {"Code": "090"}, "Amount": "12.00"}],
    });
    let ids = control(&book, "POST", "seed", &seed).await;
    assert_eq!((ids["invoices"].as_array().unwrap().len(), ids["payments"].as_array().unwrap().len()), (1, 1), "{ids}");
    let statement = control(&book, "GET", "statement", &Value::Null).await;
    assert_eq!(
        (&statement["invoices"][0]["status"], &statement["contacts"][0]["active"]),
        (&json!("PAID"), &json!(false))
    );
    assert_eq!(control(&book, "GET", "documents", &Value::Null).await["items"][0]["Code"], "MUG");
    assert_eq!(
        control(&book, "POST", "switches", &json!({"siblings_committed": true})).await["siblings_committed"],
        true
    );
    assert!(control(&book, "POST", "switches", &json!({"nonsense": 1})).await["error"].is_string());
    control(&book, "POST", "scopes", &json!({"lacks": ["accounting.contacts"]})).await;
    assert_eq!(send(&book, "GET", "Contacts", &Value::Null).await.0, 401);
    control(&book, "POST", "faults", &json!({"path": "/api.xro/2.0/Items", "kind": "answer", "status": 503})).await;
    assert_eq!(send(&book, "GET", "Items", &Value::Null).await.0, 503);
    assert_eq!(control(&book, "GET", "log", &Value::Null).await.as_array().unwrap().len(), 2);
    assert_eq!(control(&book, "GET", "overlaps", &Value::Null).await, json!({"writes": []}));
    control(&book, "POST", "reset", &Value::Null).await;
    assert!(book.log().is_empty() && book.statement().invoices.is_empty());
    assert_eq!(control(&book, "GET", "health", &Value::Null).await["kind"], "accounting");
    assert_eq!(send(&book, "GET", "Contacts", &Value::Null).await.0, 200);
}
