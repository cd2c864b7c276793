//! The shop as the ledger meets it: over HTTP.

mod events;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::spec::{Address, CustomerEdit, CustomerSpec, InvoiceSpec, ItemSpec, OrderSpec, ShopFault};
use super::{Capture, ClientVersion, OutboxStatus, Shop, ShopOptions, jwt, presets};
use crate::clock::Clock;
use crate::server::{Answer, Reply, Request, Server};
use crate::testing::{Got, call};

const NOW: i64 = 1_795_167_000;
const KEY: &str = "byte8_lk_3f9a1c7e5b2d4860a1b2c3d4e5f60718293a4b5c6d7e8f90";
const TENANT: &str = "0b1f6c1e-6d0a-4f6e-9d4e-2c8a7f3b9e11";

async fn shop() -> Shop {
    let shop = Shop::start(ShopOptions { clock: Clock::standing_at(NOW), ..ShopOptions::default() }).await.unwrap();
    shop.pair_directly(TENANT, KEY, "http://127.0.0.1:9");
    shop
}

fn claims(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "iss": "byte8-ledger", "sub": TENANT, "aud": "magento",
        "iat": NOW - 30, "nbf": NOW - 30, "exp": NOW + 270, "jti": super::fresh_jti(),
    });
    change(&mut claims);
    claims.to_string()
}

fn bearer(claims: &str) -> (String, String) {
    ("authorization".to_owned(), format!("Bearer {}", jwt::token(&jwt::inbound_key(KEY), claims)))
}

async fn get(shop: &Shop, path: &str) -> Got {
    let now = shop.clock().now();
    let claims = claims(|claims| {
        claims["iat"] = json!(now - 30);
        claims["nbf"] = json!(now - 30);
        claims["exp"] = json!(now + 270);
    });
    call("GET", &format!("{}{path}", shop.url()), &[bearer(&claims)], "").await.unwrap()
}

async fn post(shop: &Shop, path: &str, body: &Value) -> Got {
    let headers = [bearer(&claims(|_| {})), ("content-type".to_owned(), "application/json".to_owned())];
    call("POST", &format!("{}{path}", shop.url()), &headers, &body.to_string()).await.unwrap()
}

#[test]
fn keys_and_tokens_match_the_vectors() {
    let vectors = [
        (
            KEY,
            TENANT,
            NOW,
            "cc186c99fe656b6ea09dd6d2ba8de637acb9815edff0ea954f6a5ae44423ee20",
            "92de4e15665fa0a3122d6759dc9cbf9783306e9021a405eefc39c351046e6dc8",
            "5b0f0f5e-2d0b-4c55-8b7c-0e6f4f1f7a10",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJtYWdlbnRvIiwic3ViIjoiMGIxZjZjMWUtNmQwYS00ZjZlLTlkNGUtMmM4YTdmM2I5ZTExIiwiYXVkIjoiYnl0ZTgtbGVkZ2VyIiwiaWF0IjoxNzk1MTY3MDAwLCJuYmYiOjE3OTUxNjcwMDAsImV4cCI6MTc5NTE2NzA2MCwianRpIjoiNWIwZjBmNWUtMmQwYi00YzU1LThiN2MtMGU2ZjRmMWY3YTEwIn0.PosYAps1zd5f4yl5_aX9ohqTZlJX5gbpV7yvtiY9zDk",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJieXRlOC1sZWRnZXIiLCJzdWIiOiIwYjFmNmMxZS02ZDBhLTRmNmUtOWQ0ZS0yYzhhN2YzYjllMTEiLCJhdWQiOiJtYWdlbnRvIiwiaWF0IjoxNzk1MTY3MDAwLCJuYmYiOjE3OTUxNjcwMDAsImV4cCI6MTc5NTE2NzMwMCwianRpIjoiYzJhNGI3ZGUtOTFmMy00YTNlLWE3ZDUtNmIxZDJlM2Y0YTViIn0.GJlSQj8bcY99Z43qMwX-3ytG6x-20GdkxKLo-RPDHqQ",
            "byte8_jti:327c38a6845d72b9399b64944d9e49514ddc44ee",
        ),
        (
            "k/+é ü-ключ",
            "tenant/with.slash_2",
            1_795_200_123,
            "0b9c6751d80dc57d4604ec8876eb44206310813ae7b77ea56a91532ffc295854",
            "05632983b38fdd2a9a5eedec5f74726840a6b46194171dde96c51639fc454124",
            "11111111-2222-4333-8444-555555555555",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJtYWdlbnRvIiwic3ViIjoidGVuYW50L3dpdGguc2xhc2hfMiIsImF1ZCI6ImJ5dGU4LWxlZGdlciIsImlhdCI6MTc5NTIwMDEyMywibmJmIjoxNzk1MjAwMTIzLCJleHAiOjE3OTUyMDAxODMsImp0aSI6IjExMTExMTExLTIyMjItNDMzMy04NDQ0LTU1NTU1NTU1NTU1NSJ9.hdaiGQs3u8nQGxKnCoNDH-XTPv2aO9YDNazWwSBuieo",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJieXRlOC1sZWRnZXIiLCJzdWIiOiJ0ZW5hbnQvd2l0aC5zbGFzaF8yIiwiYXVkIjoibWFnZW50byIsImlhdCI6MTc5NTIwMDEyMywibmJmIjoxNzk1MjAwMTIzLCJleHAiOjE3OTUyMDAxODMsImp0aSI6Ijk5OTk5OTk5LTg4ODgtNDc3Ny1hNjY2LTU1NTU1NTU1NTU1NCJ9.ClLQ7rGhLQK2iwVMkXJSmg5ujJXB2ZMFxuD_Y0lPko4",
            "byte8_jti:2c02f7735fd8ec38f1dfade7a8a3bb0d1167121a",
        ),
    ];
    for (key, tenant, now, outbound, inbound, jti, outgoing, incoming, replay) in vectors {
        assert_eq!(hex::encode(jwt::outbound_key(key)), outbound);
        assert_eq!(hex::encode(jwt::inbound_key(key)), inbound);
        assert_eq!(jwt::outbound_token(key, tenant, now, jti), outgoing);
        let claims = jwt::verify(Some(&format!("bearer {incoming}")), key, tenant, now).unwrap();
        assert_eq!(jwt::replay_key(&claims.jti), replay);
        let (signed, _) = incoming.rsplit_once('.').unwrap();
        let forged = jwt::token(&jwt::outbound_key(key), &said(signed));
        assert_eq!(jwt::verify(Some(&format!("Bearer {forged}")), key, tenant, now), Err("signature mismatch"));
    }
}

fn said(signed: &str) -> String {
    use base64::Engine as _;
    let claims = signed.split('.').nth(1).unwrap();
    String::from_utf8(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[test]
fn tokens_are_looked_at_closely() {
    let verdict = |change: &dyn Fn(&mut Value)| {
        let token = jwt::token(&jwt::inbound_key(KEY), &claims(|claims| change(claims)));
        jwt::verify(Some(&format!("Bearer {token}")), KEY, TENANT, NOW).map(|_| ())
    };
    assert_eq!(verdict(&|_| {}), Ok(()));
    assert_eq!(verdict(&|claims| claims["iat"] = json!(NOW + 30)), Ok(()));
    for (field, value) in [
        ("iss", json!("magento")),
        ("aud", json!(["magento"])),
        ("sub", json!("other")),
        ("iat", json!(1_795_166_970.0)),
        ("iat", json!((NOW - 30).to_string())),
        ("iat", json!(NOW + 31)),
        ("iat", json!(NOW - 31)),
        ("nbf", json!(NOW + 1)),
        ("nbf", Value::Null),
        ("exp", json!(NOW)),
        ("jti", json!("")),
        ("jti", json!(7)),
    ] {
        assert!(verdict(&|claims| claims[field] = value.clone()).is_err(), "{field} {value}");
    }
    assert_eq!(jwt::verify(None, KEY, TENANT, NOW), Err("no bearer token"));
    assert_eq!(jwt::verify(Some("Bearer a.b"), KEY, TENANT, NOW), Err("not three segments"));
}

#[tokio::test]
async fn a_token_is_good_for_one_request_even_if_that_fails() {
    let shop = shop().await;
    let token = bearer(&claims(|_| {}));
    let url = format!("{}/rest/V1/byte8/invoice/999", shop.url());
    let first = call("GET", &url, std::slice::from_ref(&token), "").await.unwrap();
    assert_eq!(first.status, 404);
    let second = call("GET", &url, &[token], "").await.unwrap();
    assert_eq!(second.status, 401);
    assert_eq!(
        second.body,
        r#"{"message":"The consumer isn't authorized to access %resources.","parameters":{"resources":"Byte8_Client::byte8_webapi"}}"#
    );
    assert_eq!(shop.requests()[1].refused_because.as_deref(), Some("token already used"));
    shop.drops_key();
    assert_eq!(get(&shop, "/rest/V1/byte8/ping").await.status, 401);
    shop.finds_key();
    let pong = get(&shop, "/rest/default/V1/byte8/ping").await;
    assert_eq!(pong.body, format!(r#"[true,"{TENANT}","2026-11-20T09:30:00+00:00"]"#));
}

#[tokio::test]
async fn refusals_say_what_they_say() {
    let shop = shop().await;
    for (path, status, body) in [
        (
            "invoice/7",
            404,
            r#"{"message":"The entity that was requested doesn't exist. Verify the entity and try again."}"#,
        ),
        (
            "creditmemo/7",
            404,
            r#"{"message":"The entity that was requested doesn't exist. Verify the entity and try again."}"#,
        ),
        ("invoice/0", 400, r#"{"message":"An ID is needed. Set the ID and try again."}"#),
        (
            "invoice/abc",
            400,
            r#"{"message":"The \"abc\" value's type is invalid. The \"int\" type was expected. Verify and try again."}"#,
        ),
        (
            "customer/999",
            404,
            r#"{"message":"No such entity with %fieldName = %fieldValue","parameters":{"fieldName":"customerId","fieldValue":999}}"#,
        ),
        (
            "product/9",
            404,
            r#"{"message":"The product that was requested doesn't exist. Verify the product and try again."}"#,
        ),
        ("nothing", 404, r#"{"message":"Request does not match any route."}"#),
    ] {
        let got = get(&shop, &format!("/rest/V1/byte8/{path}")).await;
        assert_eq!((got.status, got.body.as_str()), (status, body), "{path}");
    }
    let methods = get(&shop, "/rest/V1/byte8/payment-methods").await;
    assert!(methods.body.contains(r#"{"code":"checkmo","label":"Check \/ Money order","is_active":true}"#));
    assert!(methods.body.contains(r#""label":null"#));
}

#[tokio::test]
async fn a_state_is_taken_in() {
    let shop = shop().await;
    shop.raises("guest-two-rates").unwrap();
    assert_eq!(shop.chip("invoice", 1).unwrap().sync_status, "pending");
    let state = json!({
        "entity_type": "invoice", "magento_entity_id": 1, "provider": "xero", "sync_status": "synced",
        "provider_entity_id": "x".repeat(80), "provider_reference": null, "skip_reason": null, "error_code": null,
        "last_sync_at": "2026-11-20T09:31:00Z",
    });
    let got = post(&shop, "/rest/V1/byte8/sync-state", &state).await;
    assert_eq!((got.status, got.body.as_str()), (200, "[]"));
    let chip = shop.chip("invoice", 1).unwrap();
    assert_eq!((chip.sync_status.as_str(), chip.last_sync_at.as_str()), ("synced", "2026-11-20 09:31:00"));
    assert_eq!(chip.provider_entity_id.unwrap().len(), 64);

    for (change, message) in [
        (
            json!({"entity_type": "order"}),
            r#"{"message":"Unknown entity_type %1; expected one of: %2","parameters":["order","invoice, creditmemo, customer, product"]}"#,
        ),
        (json!({"magento_entity_id": 0}), r#"{"message":"magento_entity_id must be positive"}"#),
        (json!({"provider": ""}), r#"{"message":"provider must be non-empty"}"#),
        (
            json!({"sync_status": "pending"}),
            r#"{"message":"Invalid sync_status %1; pending is Magento-side only and must not arrive via callback. Expected: %2","parameters":["pending","synced, skipped, failed"]}"#,
        ),
        (
            json!({"provider": null}),
            r#"{"message":"\"%fieldName\" is required. Enter and try again.","parameters":{"fieldName":"provider"}}"#,
        ),
        (
            json!({"provider": null, "entity_type": null}),
            r#"{"message":"One or more input exceptions have occurred.","errors":[{"message":"\"%fieldName\" is required. Enter and try again.","parameters":{"fieldName":"entityType"}},{"message":"\"%fieldName\" is required. Enter and try again.","parameters":{"fieldName":"provider"}}]}"#,
        ),
    ] {
        let mut state = state.clone();
        state.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let got = post(&shop, "/rest/V1/byte8/sync-state", &state).await;
        assert_eq!((got.status, got.body.as_str()), (400, message));
    }
    assert_eq!(shop.pushed().len(), 1);
}

#[tokio::test]
async fn faults_come_and_go() {
    let shop = shop().await;
    let invoice = shop.raises("zero-value").unwrap();
    let path = format!("/rest/V1/byte8/invoice/{invoice}");
    for (fault, status) in [
        (ShopFault::Unauthorized, 401),
        (ShopFault::RouteMissing, 404),
        (ShopFault::EntityMissing, 404),
        (ShopFault::ServerError, 500),
        (ShopFault::Unavailable, 503),
        (ShopFault::Slow { milliseconds: 1 }, 200),
        (ShopFault::Garbage, 200),
    ] {
        shop.faults("invoice", 1, fault);
        assert_eq!(get(&shop, &path).await.status, status);
    }
    shop.faults("*", 1, ShopFault::HangUp);
    let hung_up = call("GET", &format!("{}{path}", shop.url()), &[bearer(&claims(|_| {}))], "").await;
    assert!(hung_up.is_err());
    assert_eq!(get(&shop, &path).await.status, 200);
    shop.loses_invoice(invoice);
    assert_eq!(get(&shop, &path).await.status, 404);
}

/// A ledger that answers with given statuses and keeps what it got.
async fn ledger(statuses: &[u16]) -> (Server, Arc<Mutex<Vec<Request>>>) {
    let got = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::new(Mutex::new(statuses.iter().copied().collect::<std::collections::VecDeque<_>>()));
    let keep = Arc::clone(&got);
    let server =
        Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            keep.lock().unwrap().push(request);
            let status = statuses.lock().unwrap().pop_front().unwrap_or(202);
            async move {
                if status == 0 { Reply::HangUp } else { Answer::json(status, &json!({"sync_run_id": "r"})).into() }
            }
        })
        .await
        .unwrap();
    (server, got)
}

#[tokio::test]
async fn an_invoice_is_told_once_with_the_provider() {
    let shop = shop().await;
    let (server, got) = ledger(&[]).await;
    shop.pair_directly(TENANT, KEY, &server.url());
    let invoice = shop.raises("b2b-on-terms").unwrap();
    let sent = shop.ticks().await;
    assert_eq!(
        sent.iter().map(|sent| sent.idempotency_key.as_str()).collect::<Vec<_>>(),
        ["customer.upserted:1", "invoice.created:1"]
    );
    assert!(shop.outbox().iter().all(|row| row.status == OutboxStatus::Succeeded && row.last_status_code == Some(202)));
    assert!(shop.ticks().await.is_empty());
    shop.pays(invoice).unwrap();
    shop.pays(invoice).unwrap();
    assert_eq!(shop.ticks().await.len(), 1);
    shop.edits(1, CustomerEdit { first_name: Some("Priyanka".to_owned()), ..CustomerEdit::default() }).unwrap();
    assert!(shop.ticks().await.is_empty(), "a second change of a customer is never told");

    let got = got.lock().unwrap();
    let request = &got[1];
    assert_eq!(
        (request.path.as_str(), request.query.as_str()),
        (&*format!("/webhooks/magento/{TENANT}/invoice.created"), "provider=xero")
    );
    assert_eq!(request.header("idempotency-key"), Some("invoice.created:1"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    assert_eq!(
        body,
        r#"{"magento_entity_id":1,"website_id":1,"store_id":1,"occurred_at":"2026-11-20T09:30:00Z","payload":{"increment_id":"000000001","paid":false}}"#
    );
    let paid = String::from_utf8(got[2].body.to_vec()).unwrap();
    assert!(paid.ends_with(r#""payload":{"increment_id":"000000001"}}"#), "{paid}");
    let customer = String::from_utf8(got[0].body.to_vec()).unwrap();
    assert!(customer.ends_with(r#""store_id":0,"occurred_at":"2026-11-20T09:30:00Z","payload":{}}"#), "{customer}");
}

#[tokio::test]
async fn the_older_client_names_no_provider() {
    let options = ShopOptions {
        clock: Clock::standing_at(NOW),
        client: ClientVersion::WithoutProvider,
        providers: vec!["xero".to_owned(), "freeagent".to_owned()],
        ..ShopOptions::default()
    };
    let shop = Shop::start(options).await.unwrap();
    let (server, got) = ledger(&[]).await;
    shop.pair_directly(TENANT, KEY, &server.url());
    shop.raises("zero-value").unwrap();
    assert_eq!(shop.ticks().await.len(), 2, "created and paid, one row for both providers");
    assert!(got.lock().unwrap().iter().all(|request| request.query.is_empty()));
    assert!(shop.chip_of("freeagent", "invoice", 1).is_some());
}

#[tokio::test]
async fn trouble_is_tried_again_and_refusal_is_not() {
    let shop = shop().await;
    let (server, got) = ledger(&[503, 0, 202, 429]).await;
    shop.pair_directly(TENANT, KEY, &server.url());
    shop.raises("b2b-on-terms").unwrap();
    shop.ticks().await;
    let rows = shop.outbox();
    assert!(rows.iter().all(|row| row.status == OutboxStatus::Pending && row.next_attempt_at == Some(NOW + 60)));
    assert!(rows[0].last_error.as_ref().unwrap().starts_with("Byte8 returned HTTP 503 from http://"));
    assert!(rows[1].last_error.as_ref().unwrap().starts_with("Network error publishing to Byte8 (http://"));
    shop.clock().advance(59);
    assert!(shop.ticks().await.is_empty());
    shop.clock().advance(1);
    shop.ticks().await;
    let rows = shop.outbox();
    assert_eq!((rows[0].status, rows[0].attempts), (OutboxStatus::Succeeded, 2));
    assert_eq!((rows[1].status, rows[1].last_status_code), (OutboxStatus::DeadLettered, Some(429)));
    assert_eq!(rows[1].last_error.as_deref(), Some(r#"HTTP 429: {"sync_run_id":"r"}"#));

    let again = shop.delivers(1).await.unwrap();
    assert_eq!(again.status, Some(202));
    let got = got.lock().unwrap();
    let (first, last) = (&got[0], got.last().unwrap());
    assert_eq!((&first.body, first.header("idempotency-key")), (&last.body, last.header("idempotency-key")));
    assert_ne!(first.header("authorization"), last.header("authorization"));
    assert_eq!(shop.outbox()[0].attempts, 2, "a repeated delivery isn't written down");
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_a_network_error() {
    let shop = shop().await;
    shop.raises("zero-value").unwrap();
    let sent = shop.ticks().await;
    assert!(sent.iter().all(|sent| sent.status.is_none()));
    shop.drops_key();
    shop.clock().advance(60);
    assert!(shop.ticks().await.is_empty());
    assert_eq!(shop.outbox()[0].attempts, 1);
}

#[tokio::test]
async fn pairing_by_code() {
    let shop = Shop::start(ShopOptions { clock: Clock::standing_at(NOW), ..ShopOptions::default() }).await.unwrap();
    shop.raises("zero-value").unwrap();
    assert!(shop.outbox().is_empty(), "nobody is told before pairing");
    let code = shop.shows_pairing_code("xero");
    assert_eq!(code.len(), 32);
    let pair = async |body: Value| {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let url = format!("{}/rest/V1/byte8/xero_accounting/setup/pair", shop.url());
        let got = call("POST", &url, &headers, &body.to_string()).await.unwrap();
        (got.status, got.body)
    };
    let good = json!({"pairing_code": code, "tenant_id": TENANT, "byte8_api_key": KEY, "ledger_base_url": "http://127.0.0.1:9/"});
    let mut wrong = good.clone();
    wrong["pairing_code"] = json!("0".repeat(32));
    assert_eq!(pair(wrong).await, (401, r#"{"message":"Invalid or expired pairing code."}"#.to_owned()));
    let mut relative = good.clone();
    relative["ledger_base_url"] = json!("ledger.example");
    assert_eq!(pair(relative).await.0, 400);
    assert_eq!(pair(json!({})).await.0, 400);
    shop.clock().advance(1_801);
    assert_eq!(pair(good.clone()).await.0, 401);
    shop.clock().advance(-1);
    assert_eq!(pair(good.clone()).await, (200, "[]".to_owned()));
    assert_eq!(pair(good).await.0, 401);
    shop.raises("zero-value").unwrap();
    assert_eq!(shop.outbox().len(), 2);
}

#[tokio::test]
async fn presets_come_to_what_they_say() {
    let shop = shop().await;
    let totals = ["43.62", "71.02", "44.98", "91.6", "0", "24"];
    for (preset, total) in presets::NAMES.iter().zip(totals) {
        let invoice = shop.raises(preset).unwrap();
        let document: Value = serde_json::from_str(&shop.canonical("invoice", invoice).unwrap()).unwrap();
        assert_eq!(document["grand_total"].to_string().trim_end_matches(".0"), total, "{preset}");
        let state = if *preset == "b2b-on-terms" { "open" } else { "paid" };
        assert_eq!(document["state"], state, "{preset}");
    }
    let hidden = shop.canonical("invoice", 3).unwrap();
    assert!(hidden.contains(r#""discount_amount":-5,"grand_total":44.98"#), "{hidden}");
    assert!(hidden.contains(r#""name":"Caf\u00e9 mug 10\/12 oz","qty":1,"unit_price":20,"line_subtotal":20,"line_tax":3.6,"line_total":21.2,"tax_rate":0.18"#));
    let company: Value = serde_json::from_str(&shop.canonical("invoice", 1).unwrap()).unwrap();
    assert_eq!(
        (company["customer"]["company"].as_str(), company["po_number"].as_str()),
        (Some("Hallam Fixings Ltd"), Some("PO-2231"))
    );
    assert_eq!(company["website_id"], 1);
    let customer: Value = serde_json::from_str(&shop.canonical("customer", 1).unwrap()).unwrap();
    assert_eq!((customer.get("company"), &customer["addresses"]), (None, &json!([])));
}

#[tokio::test]
async fn disconnecting_tells_the_ledger_and_forgets_it() {
    let shop = shop().await;
    let (server, got) = ledger(&[503, 202]).await;
    shop.pair_directly(TENANT, KEY, &server.url());
    shop.raises("zero-value").unwrap();
    assert!(!shop.disconnects().await, "trouble is no acknowledgement, and no reason to stay");
    {
        let got = got.lock().unwrap();
        assert_eq!((got[0].path.as_str(), got[0].body.as_ref()), ("/v1/tenant/disconnect", b"{}".as_slice()));
        assert_eq!(got[0].header("idempotency-key"), Some("disconnect:cd8c349942bd5d1eece4619b62e41c288a055814"));
    }
    assert!(shop.ticks().await.is_empty());
    assert!(shop.disconnects().await, "there is nobody to tell");
    shop.pair_directly("another", KEY, &server.url());
    assert_eq!(shop.ticks().await.len(), 2, "rows that waited go to whoever is paired next");
    assert!(got.lock().unwrap()[1].path.starts_with("/webhooks/magento/another/"));
}

/// A ledger that answers everything with one status and body.
async fn saying(status: u16, body: Value) -> (Server, Arc<Mutex<Vec<Request>>>) {
    let got = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&got);
    let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
        keep.lock().unwrap().push(request);
        let answer = Answer::json(status, &body);
        async move { answer.into() }
    })
    .await
    .unwrap();
    (server, got)
}

#[tokio::test]
async fn what_the_ledger_says_of_itself_is_shown() {
    let health = |magento: &str, binding: Value, sync: Value| json!({"tenant": {"magento_connection_status": magento}, "binding": binding, "sync": sync});
    let active = json!({"status": "active", "region": "uk"});
    let calm = json!({"pending_count": 0, "failed_24h": 0, "last_run_at": "2026-11-20T09:27:00Z"});
    for (status, body, tile, headline, block, label) in [
        (
            200,
            health("active", active.clone(), calm.clone()),
            "connected",
            "Connected to Sage (UK)",
            "connected",
            "Connected to Sage (UK)",
        ),
        (
            200,
            health("active", active.clone(), json!({"pending_count": 2})),
            "warning",
            "Connected to Sage (UK)",
            "connected",
            "Connected to Sage (UK)",
        ),
        (
            200,
            health("active", active.clone(), json!({"failed_24h": "1"})),
            "error",
            "Connected to Sage (UK)",
            "connected",
            "Connected to Sage (UK)",
        ),
        (
            200,
            health("active", json!({"status": "needs_reconnect"}), calm.clone()),
            "error",
            "Binding needs_reconnect",
            "pending",
            "Magento paired — Sage not connected yet",
        ),
        (
            200,
            health("active", json!({}), calm.clone()),
            "warning",
            "Finish setup at ledger.byte8.io",
            "pending",
            "Magento paired — Sage not connected yet",
        ),
        (
            200,
            health("pending", json!({}), json!({})),
            "warning",
            "Finish setup at ledger.byte8.io",
            "pending",
            "Waiting for ledger",
        ),
        (
            200,
            health("token_revoked", active.clone(), calm.clone()),
            "error",
            "Magento disconnected — re-pair required",
            "token_revoked",
            "Magento disconnected — re-pair required",
        ),
        (
            200,
            health("connected", active.clone(), calm.clone()),
            "connected",
            "Connected to Sage (UK)",
            "unknown",
            "Ledger unreachable",
        ),
        (
            200,
            health("unknown", active.clone(), calm.clone()),
            "connected",
            "Connected to Sage (UK)",
            "unknown",
            "Ledger unreachable",
        ),
        (200, json!({}), "unknown", "Ledger unreachable", "pending", "Waiting for ledger"),
        (200, json!("fine"), "unknown", "Ledger unreachable", "pending", "Waiting for ledger"),
        (
            503,
            health("active", active.clone(), calm.clone()),
            "unknown",
            "Ledger unreachable",
            "pending",
            "Waiting for ledger",
        ),
        (
            401,
            health("active", active.clone(), calm.clone()),
            "unknown",
            "Ledger unreachable",
            "pending",
            "Waiting for ledger",
        ),
    ] {
        let (server, got) = saying(status, body.clone()).await;
        let options = ShopOptions {
            clock: Clock::standing_at(NOW),
            providers: vec!["sage_accounting".to_owned()],
            ..ShopOptions::default()
        };
        let shop = Shop::start(options).await.unwrap();
        assert_eq!(shop.looks("sage_accounting").await.status_block.state, "disconnected");
        shop.pair_directly(TENANT, KEY, &server.url());
        let seen = shop.looks("sage_accounting").await;
        let shown = seen.tile.unwrap();
        assert_eq!((shown.state, shown.headline.as_str()), (tile, headline), "{status} {body}");
        assert_eq!((seen.status_block.state, seen.status_block.label.as_str()), (block, label), "{status} {body}");
        let got = got.lock().unwrap();
        assert_eq!((got[0].method.as_str(), got[0].path.as_str()), ("GET", "/v1/tile/health"));
        assert_eq!(got[0].header("accept"), Some("application/json"));
        assert!(got[0].header("authorization").unwrap().starts_with("Bearer "));
        assert_eq!(got[0].header("idempotency-key"), None);
    }
}

#[tokio::test]
async fn the_ledger_is_asked_at_most_every_thirty_seconds() {
    let body = json!({"tenant": {"magento_connection_status": "active"}, "binding": {"status": "active"}});
    let (server, got) = saying(200, body).await;
    let shop = shop().await;
    shop.pair_directly(TENANT, KEY, &server.url());
    let seen = shop.looks("xero").await;
    assert!(seen.asked.is_some() && seen.tile.is_none(), "Xero's module has no tile");
    assert_eq!(seen.status_block.label, "Connected to Xero");
    assert_eq!(seen.embed_url, Some(format!("{}/embed/{TENANT}", server.url())));
    shop.clock().advance(29);
    assert_eq!(shop.looks("xero").await.asked, None);
    shop.clock().advance(1);
    assert!(shop.looks("xero").await.asked.is_some());
    shop.flushes_cache();
    assert!(shop.looks("xero").await.asked.is_some());
    assert_eq!(got.lock().unwrap().len(), 3);
    let answer = shop.asks_after("invoice", "42").await;
    assert_eq!(got.lock().unwrap()[3].query, "entity_type=invoice&entity_id=42");
    assert_eq!((got.lock().unwrap()[3].path.as_str(), answer.asked.unwrap().status), ("/v1/status", Some(200)));
    assert_eq!(answer.read.unwrap()["binding"]["status"], "active");
    assert!(shop.disconnects().await);
    let gone = shop.looks("xero").await;
    assert_eq!((gone.asked, gone.status_block.state), (None, "disconnected"));
    assert_eq!(shop.asks_after("invoice", "42").await.asked, None);
    shop.pair_directly(TENANT, KEY, "http://127.0.0.1:9");
    let alone = shop.looks("xero").await;
    assert_eq!((alone.asked.unwrap().status, alone.status_block.label.as_str()), (None, "Waiting for ledger"));
    assert_eq!(shop.asks_after("invoice", "42").await.read, None);
}

#[tokio::test]
async fn a_shop_may_drift_or_vanish() {
    let (server, got) = ledger(&[]).await;
    let shop = shop().await;
    shop.pair_directly(TENANT, KEY, &server.url());
    let agreed = shop.signs(0).unwrap();
    shop.drifts_key();
    shop.drifts_key();
    assert_eq!(get(&shop, "/rest/V1/byte8/ping").await.status, 401);
    assert_eq!(shop.requests().last().unwrap().refused_because.as_deref(), Some("signature mismatch"));
    shop.raises("zero-value").unwrap();
    assert!(!shop.ticks().await.is_empty(), "it still sends, and signs with what it has");
    let sent = got.lock().unwrap()[0].header("authorization").unwrap().trim_start_matches("Bearer ").to_owned();
    let sign = |key: &str, token: &str| jwt::token(&jwt::outbound_key(key), &said(token.rsplit_once('.').unwrap().0));
    assert_eq!(sign(KEY, &agreed), agreed);
    assert_ne!(sign(KEY, &sent), sent);
    shop.finds_agreed_key();
    assert_eq!(get(&shop, "/rest/V1/byte8/ping").await.status, 200);
    shop.drifts_key();
    shop.pair_directly(TENANT, KEY, &server.url());
    assert_eq!(get(&shop, "/rest/V1/byte8/ping").await.status, 200, "paired again");
    shop.is_reachable(false);
    let url = format!("{}/rest/V1/byte8/ping", shop.url());
    assert!(call("GET", &url, &[], "").await.is_err());
    shop.is_reachable(true);
    assert_eq!(get(&shop, "/rest/V1/byte8/ping").await.status, 200);
}

#[tokio::test]
async fn one_button_silences_all_modules() {
    let (server, got) = ledger(&[]).await;
    let options = ShopOptions {
        clock: Clock::standing_at(NOW),
        providers: vec!["xero".to_owned(), "freeagent".to_owned()],
        ..ShopOptions::default()
    };
    let shop = Shop::start(options).await.unwrap();
    shop.pair_directly(TENANT, KEY, &server.url());
    assert!(shop.disconnects_provider("xero").await);
    assert_eq!(shop.looks("xero").await.status_block.state, "disconnected");
    let other = shop.looks("freeagent").await;
    assert_eq!((other.asked, other.status_block.label.as_str()), (None, "Waiting for ledger"), "it has nobody to ask");
    assert_eq!(got.lock().unwrap().len(), 1);
    shop.raises("zero-value").unwrap();
    assert!(shop.outbox().is_empty());
    let body = |code: String| json!({"pairing_code": code, "tenant_id": TENANT, "byte8_api_key": KEY, "ledger_base_url": server.url()});
    let code = shop.shows_pairing_code("xero");
    let pair = async |path: &str| post(&shop, &format!("/rest/V1/byte8/{path}"), &body(code.clone())).await.status;
    assert_eq!(pair("setup/pair").await, 404, "Sage's module isn't here");
    assert_eq!(pair("freeagent_accounting/setup/pair").await, 401, "another module's code");
    assert_eq!(pair("xero_accounting/setup/pair").await, 200);
    shop.raises("zero-value").unwrap();
    let providers: Vec<Option<String>> = shop.outbox().into_iter().map(|row| row.provider).collect();
    assert!(["xero", "freeagent"].iter().all(|name| providers.contains(&Some((*name).to_owned()))), "{providers:?}");
}

#[tokio::test]
async fn the_control_api_makes_the_shop_look_and_ask() {
    let (server, _) = saying(200, json!({"tenant": {"magento_connection_status": "active"}})).await;
    let shop = shop().await;
    shop.pair_directly(TENANT, KEY, &server.url());
    let control = async |path: &str, body: Value| {
        let got = call("POST", &format!("{}/_control/{path}", shop.url()), &[], &body.to_string()).await.unwrap();
        (got.status, serde_json::from_str::<Value>(&got.body).unwrap())
    };
    let (status, seen) = control("look", json!({"provider": "xero"})).await;
    assert_eq!(
        (status, &seen["asked"]["status"], &seen["status_block"]["state"]),
        (200, &json!(200), &json!("pending"))
    );
    let (status, seen) = control("ask", json!({"entity_type": "invoice", "entity_id": "1"})).await;
    assert_eq!((status, &seen["asked"]["status"]), (200, &json!(200)));
    for (path, body) in [
        ("key", json!({"drifted": true})),
        ("key", json!({"drifted": false})),
        ("key", json!({"dropped": false})),
        ("reachable", json!({"reachable": false})),
        ("reachable", json!({"reachable": true})),
    ] {
        assert_eq!(control(path, body).await, (200, json!({"ok": true})), "{path}");
    }
    assert_eq!(control("pairing-code", json!({"provider": "freeagent"})).await.0, 422, "there is no such module");
    let (_, said) = control("disconnect", json!({})).await;
    assert_eq!(
        said,
        json!({"acknowledged": true, "message": "Disconnected. Byte8 Ledger acknowledged the revocation."})
    );
    let (_, said) = control("disconnect", json!({})).await;
    assert_eq!(said["message"], "Already disconnected.");
}

#[tokio::test]
async fn a_registered_buyer_on_the_wire() {
    let shop = shop().await;
    let invoice = shop.raises("inclusive-with-coupon").unwrap();
    let address = |kind: &str| {
        format!(
            r#"{{"kind":"{kind}","street":["1 High Street"],"city":"London","postcode":"N1 7AA","country_id":"GB","telephone":"+44 20 7946 0958"}}"#
        )
    };
    let (billing, shipping) = (address("billing"), address("shipping"));
    let expected = [
        r#"{"magento_id":1,"increment_id":"2000000001","order_id":1,"order_increment_id":"2000000001","website_id":2,"store_id":2,"#,
        r#""currency":"GBP","state":"paid","customer":{"magento_id":1,"email":"jane@example.com","first_name":"Jane","#,
        r#""last_name":"O'Hara","phone":"+44 20 7946 0958","website_id":2,"group_id":1,"addresses":["#,
        &format!("{billing},{shipping}"),
        r#"],"created_at":"2026-11-20T09:30:00Z","updated_at":"2026-11-20T09:30:00Z"},"#,
        r#""lines":[{"sku":"MUG-BLUE","name":"Caf\u00e9 mug 10\/12 oz","qty":1,"unit_price":20,"line_subtotal":20,"line_tax":3.6,"#,
        r#""line_total":21.2,"tax_rate":0.18},{"sku":"COASTER","name":"Coaster, \"round\"","qty":2,"unit_price":8.33,"#,
        r#""line_subtotal":16.65,"line_tax":3,"line_total":17.65,"tax_rate":0.1802}],"subtotal":36.65,"tax_amount":7.5,"#,
        r#""shipping_amount":5,"shipping_tax_amount":0.9,"discount_amount":-5,"grand_total":44.98,"#,
        r#""created_at":"2026-11-20T09:30:00Z","payment_method":"stripe_payments","#,
        &format!(r#""billing_address":{billing},"shipping_address":{shipping},"base_to_order_rate":1}}"#),
    ];
    assert_eq!(shop.canonical("invoice", invoice).unwrap(), expected.concat());
    let payment = get(&shop, &format!("/rest/V1/byte8/payment/{invoice}")).await;
    assert_eq!(
        payment.body,
        r#"{"magento_id":1,"invoice_id":1,"invoice_increment_id":"2000000001","method":"stripe_payments","currency":"GBP","amount":44.98,"captured_at":"2026-11-20T09:30:00Z","gateway_metadata":["Pay by Card (Stripe)"]}"#
    );
}

#[tokio::test]
async fn a_product_on_the_wire() {
    let shop = shop().await;
    let id = shop.saves_product(super::ProductSpec {
        sku: "MUG-BLUE".to_owned(),
        name: "Mug".to_owned(),
        price: Some(24.into()),
        cost: Some("7.125".into()),
        stock_quantity: Some(118.into()),
        website_ids: vec![1, 2],
        ..super::ProductSpec::default()
    });
    assert!(shop.outbox().is_empty(), "only one provider's module watches the catalogue");
    let product = get(&shop, &format!("/rest/V1/byte8/product/{id}")).await;
    assert_eq!(
        product.body,
        r#"{"magento_id":1,"sku":"MUG-BLUE","name":"Mug","product_type":"simple","price":24,"cost":7.125,"stock_qty":118,"manage_stock":true,"tax_class":"2","website_ids":[1,2],"created_at":"2026-11-20T09:30:00Z","updated_at":"2026-11-20T09:30:00Z"}"#
    );
}

#[tokio::test]
async fn offline_methods_call_themselves_paid() {
    let shop = shop().await;
    let address = Address::british("8 Mill Road", "Cambridge", "CB1 2AB");
    let customer = shop.customers().register(CustomerSpec::new("a@b.example", "A", "B").billed_to(address)).unwrap();
    let order = OrderSpec::for_customer(customer).item(ItemSpec::simple("A", "A", 2, "10"));
    for (method, capture, state) in [
        ("purchaseorder", Capture::NotCaptured, "paid"),
        ("stripe_payments", Capture::NotCaptured, "open"),
        ("stripe_payments", Capture::Captured, "paid"),
    ] {
        let placed = shop.orders(&order.clone().paid_by(method)).unwrap();
        let invoice =
            shop.invoices_with(placed.id, &InvoiceSpec { capture: Some(capture), ..InvoiceSpec::default() }).unwrap();
        assert!(shop.canonical("invoice", invoice).unwrap().contains(&format!(r#""state":"{state}""#)), "{method}");
        assert!(shop.invoices(&placed).is_err(), "nothing is left to invoice");
    }
}

#[tokio::test]
async fn the_control_api_drives_it_all() {
    let shop = shop().await;
    let (server, _) = ledger(&[]).await;
    let control = async |method: &str, path: &str, body: Value| {
        let got = call(method, &format!("{}/_control/{path}", shop.url()), &[], &body.to_string()).await.unwrap();
        (got.status, serde_json::from_str::<Value>(&got.body).unwrap())
    };
    assert_eq!(control("GET", "health", json!(null)).await.1["kind"], "shop");
    control("POST", "pair", json!({"tenant_id": TENANT, "api_key": KEY, "ledger_url": server.url()})).await;
    assert_eq!(control("GET", "pairing", json!(null)).await.1["api_key"], KEY);
    let (_, customer) =
        control("POST", "customers", json!({"email": "a@b.example", "first_name": "A", "last_name": "B"})).await;
    let order = json!({
        "customer_id": customer["id"], "payment_method": "checkmo", "shipping_price": 5,
        "items": [
            {"sku": "A", "name": "A", "quantity": 2, "price": "19.99", "tax_rate": 20},
            {"sku": "T", "name": "T", "quantity": 1, "price": 1, "kind": {"configurable": {"variant_name": "T red"}}},
        ],
    });
    let (status, order) = control("POST", "orders", order).await;
    assert_eq!((status, order["grand_total"].as_str()), (200, Some("53.98")));
    let (_, invoice) = control("POST", "invoices", json!({"order_id": order["id"], "quantities": {"A": 1}})).await;
    assert_eq!(invoice["state"], "paid");
    assert_eq!(control("POST", "presets/foreign-currency", json!(null)).await.1["grand_total"], "91.6");
    let (_, sent) = control("POST", "cron", json!(null)).await;
    assert_eq!(sent["sent"].as_array().unwrap().len(), 5);
    let (_, again) = control("POST", "deliver/1", json!({"times": 7, "at_once": 3})).await;
    assert_eq!(again["sent"].as_array().unwrap().len(), 7);
    assert_eq!(control("GET", "chip/invoice/1", json!(null)).await.1["sync_status"], "pending");
    assert_eq!(control("GET", "chip/invoice/99", json!(null)).await.0, 404);
    assert!(
        control("POST", "sign", json!({"seconds_from_now": -3600})).await.1["authorization"]
            .as_str()
            .unwrap()
            .starts_with("Bearer ")
    );
    assert_eq!(control("POST", "faults", json!({"route": "ping", "kind": "slow", "milliseconds": 1})).await.0, 200);
    assert_eq!(control("POST", "clock", json!({"advance_seconds": 60})).await.1["now"], NOW + 60);
    assert_eq!(control("POST", "orders", json!({"items": []})).await.0, 422);
    assert_eq!(control("POST", "nonsense", json!({})).await.0, 404);
}
