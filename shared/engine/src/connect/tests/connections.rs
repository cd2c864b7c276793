//! Connecting and disconnecting.

use super::memory::{MINUTE, NOW, PUBLIC_URL, Scene, Trouble, hosts};
use crate::connect::oauth::*;
use crate::ports::{Clock, GrantStore};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger_domain::identity::Provider;
use ledger_wire::rows::BindingRow;
use secrecy::ExposeSecret;
use serde_json::json;
use std::collections::BTreeMap;

const ANNA: &str = "operator-anna";
const BEN: &str = "operator-ben";

/// The code of what went wrong.
fn code<T: std::fmt::Debug>(result: Result<T, ConnectError>) -> String {
    match result {
        Ok(value) => format!("ok {value:?}"),
        Err(ConnectError::NotNow { code, .. } | ConnectError::Forbidden { code, .. }) => code.to_owned(),
        Err(ConnectError::Invalid { field, code }) => format!("{field}: {code}"),
        Err(other) => other.to_string(),
    }
}

/// The parameters of an authorisation page.
fn parameters(started: &Started) -> BTreeMap<String, String> {
    let (_, query) = started.authorize_url.split_once('?').unwrap();
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

fn good(started: &Started) -> Callback {
    Callback {
        state: parameters(started)["state"].clone(),
        code: Some("good".to_owned()),
        error: None,
        browser_key: started.browser_key.as_ref().map(|key| key.expose_secret().to_owned()),
    }
}

fn pages(scene: &Scene, organisations: &[&str]) {
    match scene.provider {
        Provider::Xero => {
            let list: Vec<_> = organisations
                .iter()
                .map(|id| json!({"id": format!("connection-{id}"), "tenantId": id, "tenantType": "ORGANISATION", "tenantName": format!("Shop {id} Ltd")}))
                .collect();
            scene.authority.page("/connections", 200, json!(list));
        }
        Provider::SageAccounting => {
            let list: Vec<_> =
                organisations.iter().map(|id| json!({"id": id, "displayed_as": format!("Shop {id} Ltd")})).collect();
            scene.authority.page("/v3.1/businesses", 200, json!({"$total": list.len(), "$items": list}));
        }
        Provider::Freeagent => {
            scene.authority.page("/v2/users/me", 200, json!({"user": {"permission_level": 8}}));
            let company = json!({"id": 7, "name": "Shop 7 Ltd", "subdomain": "shop7"});
            scene.authority.page("/v2/company", 200, json!({"company": company}));
        }
    }
}

async fn ready(provider: Provider, organisations: &[&str]) -> Scene {
    let scene = Scene::new(provider);
    scene.set_app().await;
    pages(&scene, organisations);
    scene
}

async fn pended(scene: &Scene, tenant: &str, binding: &str) -> PendingView {
    let started = scene.connect().start(tenant, binding, ANNA, false, PUBLIC_URL).await.unwrap();
    scene.connect().callback(&good(&started)).await.unwrap()
}

async fn connected(scene: &Scene, tenant: &str, binding: &str, organisation: &str) -> BindingRow {
    pended(scene, tenant, binding).await;
    scene.connect().confirm(tenant, binding, ANNA, organisation).await.unwrap()
}

#[tokio::test]
async fn each_provider_is_asked_in_its_own_way() {
    let check = async |provider, expected: &[(&str, &str)], absent: &[&str]| {
        let scene = ready(provider, &["1"]).await;
        let started = scene.connect().start("t", "b", ANNA, false, PUBLIC_URL).await.unwrap();
        assert!(started.authorize_url.starts_with("http://127.0.0.1:9/authorize?"));
        let sent = parameters(&started);
        for (name, value) in expected {
            assert_eq!(sent.get(*name).map(String::as_str), Some(*value), "{provider:?} {name}");
        }
        for name in absent {
            assert!(!sent.contains_key(*name), "{provider:?} {name}");
        }
        assert_eq!(sent["state"].len(), 43, "256 bits");
        scene.connect().callback(&good(&started)).await.unwrap();
        let asked = scene.authority.desk(|desk| desk.asked.clone());
        asked.into_iter().find(|line| line.contains("/token")).unwrap()
    };
    let callback = ("redirect_uri", "https%3A%2F%2Fledger.example%2Foauth%2Fcallback");
    let xero = check(
        Provider::Xero,
        &[
            callback,
            ("response_type", "code"),
            ("client_id", "client"),
            ("code_challenge_method", "S256"),
            (
                "scope",
                "offline_access%20openid%20profile%20email%20accounting.invoices%20accounting.payments%20accounting.contacts%20accounting.settings.read",
            ),
        ],
        &["filter"],
    )
    .await;
    assert!(xero.contains("basic client:hush-secret") && xero.contains("code_verifier"), "{xero}");
    let sage = check(
        Provider::SageAccounting,
        &[callback, ("filter", "apiv3.1"), ("scope", "full_access"), ("code_challenge_method", "S256")],
        &["country"],
    )
    .await;
    assert!(sage.contains(" open ") && sage.contains(r#""client_secret": "hush-secret""#), "{sage}");
    let freeagent = check(Provider::Freeagent, &[callback], &["scope", "code_challenge"]).await;
    assert!(freeagent.contains("basic client:hush-secret") && !freeagent.contains("code_verifier"), "{freeagent}");
}

#[tokio::test]
async fn a_confirmed_organisation_gives_the_binding_its_book() {
    let check = async |provider, organisation: &str, book: &str, dialect: &str, web_name: Option<&str>| {
        let scene = ready(provider, &["1", "7"]).await;
        let view = pended(&scene, "t", "b").await;
        assert_eq!(view.dialect.as_deref(), Some(dialect));
        assert_eq!(view.missing_scopes, Vec::<String>::new());
        assert_eq!(scene.store.binding("t", "b").status, "pending", "nothing before the confirmation");
        assert_eq!(scene.connect().pending("t", "b", ANNA).await.unwrap(), view);
        let row = scene.connect().confirm("t", "b", ANNA, organisation).await.unwrap();
        assert_eq!(row, scene.store.binding("t", "b"));
        assert_eq!((row.status.as_str(), row.book.as_str(), row.dialect.as_str()), ("active", book, dialect));
        assert_eq!(row.base_url, "http://127.0.0.1:9");
        assert_eq!(row.organisation_name, Some(format!("Shop {} Ltd", organisation)));
        assert_eq!((row.environment.as_deref(), row.web_name.as_deref()), (Some("live"), web_name));
        assert_eq!(row.connected_at, NOW);
        let granted = scene.grants().open(scene.of(), &scene.row(), scene.deadline()).await.unwrap();
        assert_eq!(granted.version, 1);
        let status = scene.connect().status("t", "b").await.unwrap();
        assert!(status.can_renew && status.missing_scopes.is_empty() && status.access_until > Some(NOW), "{status:?}");
        assert_eq!(
            code(scene.connect().confirm("t", "b", ANNA, organisation).await),
            "there is no such pending connection"
        );
        assert_eq!(scene.store.agenda.lock().unwrap().len(), 1, "the grant is kept alive");
        // Renewing works with what was stored.
        scene.advance(100 * MINUTE);
        scene.grants().open(scene.of(), &scene.row(), scene.deadline()).await.unwrap();
        assert_eq!(scene.row().version, 2);
    };
    check(Provider::Xero, "7", "xero:7", "accounting", None).await;
    check(Provider::SageAccounting, "1", "sage_accounting:1", "sage", None).await;
    check(Provider::Freeagent, "7", "freeagent:7", "freeagent", Some("shop7")).await;
}

#[tokio::test]
async fn xeros_dialect_is_found_at_connect() {
    let check = async |connections: Option<(u16, serde_json::Value)>, forced: Option<&str>, expected: &str| {
        let scene = Scene::new(Provider::Xero);
        let new = NewApp {
            provider: "xero".to_owned(),
            binding: Some(("t".to_owned(), "b".to_owned())),
            client_id: "client".to_owned(),
            client_secret: None,
            environment: None,
            scopes: Vec::new(),
            dialect: forced.map(str::to_owned),
            country: None,
            hosts: Some(hosts()),
        };
        scene.connect().set_app(&new, PUBLIC_URL).await.unwrap();
        let company = json!({"url": "https://x/v2/company", "id": "42", "name": "Old Ltd", "subdomain": "old"});
        scene.authority.page("/v2/company", 200, json!({"company": company}));
        if let Some((status, body)) = connections {
            scene.authority.page("/connections", status, body);
        }
        let view = pended(&scene, "t", "b").await;
        assert_eq!(view.dialect.as_deref().unwrap_or("undecided"), expected);
        scene
    };
    let list = json!([
        {"id": "c-1", "tenantId": "o-1", "tenantType": "ORGANISATION", "tenantName": "One Ltd"},
        {"id": "c-2", "tenantId": "o-2", "tenantType": "PRACTICE", "tenantName": "A practice"},
    ]);
    check(Some((200, list.clone())), None, "accounting").await;
    check(None, None, "v2").await;
    check(Some((200, list.clone())), Some("v2"), "v2").await;
    check(None, Some("accounting"), "undecided").await;
    for (status, body) in [(500, json!({})), (403, json!({})), (200, json!({"no": "list"})), (302, json!([]))] {
        let scene = check(Some((status, body)), None, "undecided").await;
        assert_eq!(code(scene.connect().confirm("t", "b", ANNA, "o-1").await), DIALECT_UNDECIDED);
        // It is tried again, and decides then.
        scene.authority.page("/connections", 200, list.clone());
        let view = scene.connect().pending("t", "b", ANNA).await.unwrap();
        assert_eq!(view.dialect.as_deref(), Some("accounting"));
        let names: Vec<_> = view.organisations.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["One Ltd"], "a practice keeps no books");
        assert_eq!(scene.connect().confirm("t", "b", ANNA, "o-1").await.unwrap().book, "xero:o-1");
        assert_eq!(scene.row().connection_id.as_deref(), Some("c-1"));
        assert_eq!(scene.row().authority_user.as_deref(), Some("user-1"));
    }
}

#[tokio::test]
async fn callbacks_that_are_not_ours_are_refused() {
    let scene = ready(Provider::Xero, &["1"]).await;
    let connect = scene.connect();
    for forged in ["", "forged", &"x".repeat(5_000)] {
        let callback = Callback { state: forged.to_owned(), code: Some("good".to_owned()), ..Callback::default() };
        assert_eq!(code(connect.callback(&callback).await), STATE_UNKNOWN);
    }
    // Replayed, also by somebody who was faster.
    let started = connect.start("t", "b", ANNA, false, PUBLIC_URL).await.unwrap();
    let callback = good(&started);
    let (first, second) = futures::future::join(connect.callback(&callback), connect.callback(&callback)).await;
    assert!(first.is_ok());
    assert_eq!(code(second), STATE_USED);
    assert_eq!(code(connect.callback(&callback).await), STATE_USED);
    // Too late.
    let started = connect.start("t", "b", ANNA, false, PUBLIC_URL).await.unwrap();
    scene.advance(10 * MINUTE);
    assert_eq!(code(connect.callback(&good(&started)).await), STATE_EXPIRED);
    // Planted in another browser; the one that began may still come.
    let started = connect.start("t", "b", ANNA, true, PUBLIC_URL).await.unwrap();
    for browser_key in [None, Some("another".to_owned())] {
        let planted = Callback { browser_key, ..good(&started) };
        assert_eq!(code(connect.callback(&planted).await), STATE_OTHER_BROWSER);
    }
    assert!(connect.callback(&good(&started)).await.is_ok());
    // A no of the user's or the provider's uses the state up.
    for (error, sent, expected) in [
        (Some("access_denied"), None, AUTHORISATION_DENIED),
        (Some("access_denied"), Some("good"), AUTHORISATION_DENIED),
        (Some("invalid_scope"), None, AUTHORISATION_FAILED),
        (None, None, AUTHORISATION_FAILED),
        (None, Some("stolen"), CODE_REFUSED),
    ] {
        let started = connect.start("t", "b", ANNA, false, PUBLIC_URL).await.unwrap();
        let callback = Callback { error: error.map(str::to_owned), code: sent.map(str::to_owned), ..good(&started) };
        assert_eq!(code(connect.callback(&callback).await), expected);
        assert_eq!(code(connect.callback(&good(&started)).await), STATE_USED);
    }
    // Trouble at the provider.
    for (trouble, expected) in [
        (Trouble::Unreachable, AUTHORITY_UNAVAILABLE),
        (Trouble::LosesReply, AUTHORITY_UNAVAILABLE),
        (Trouble::Says(503, ""), AUTHORITY_UNAVAILABLE),
        (Trouble::Says(401, r#"{"error":"invalid_client"}"#), APP_REFUSED),
    ] {
        let started = connect.start("t", "b", ANNA, false, PUBLIC_URL).await.unwrap();
        scene.authority.fails([trouble]);
        assert_eq!(code(connect.callback(&good(&started)).await), expected);
    }
}

#[tokio::test]
async fn only_who_began_confirms_and_only_what_was_shown() {
    let scene = ready(Provider::Xero, &["1"]).await;
    pended(&scene, "t", "b").await;
    let connect = scene.connect();
    assert_eq!(code(connect.pending("t", "b", BEN).await), NOT_YOUR_CONNECTION);
    assert_eq!(code(connect.confirm("t", "b", BEN, "1").await), NOT_YOUR_CONNECTION);
    assert_eq!(code(connect.discard("t", "b", BEN).await), NOT_YOUR_CONNECTION);
    assert_eq!(code(connect.confirm("u", "c", ANNA, "1").await), "there is no such pending connection");
    assert_eq!(code(connect.confirm("u", "b", ANNA, "1").await), "there is no such binding");
    assert_eq!(code(connect.confirm("t", "b", ANNA, "2").await), "organisation: organisation_unknown");
    scene.advance(PENDING_LIFE_MS);
    assert_eq!(code(connect.confirm("t", "b", ANNA, "1").await), PENDING_EXPIRED);
    assert_eq!(scene.store.binding("t", "b").status, "pending");
    pended(&scene, "t", "b").await;
    connect.discard("t", "b", ANNA).await.unwrap();
    assert_eq!(code(connect.pending("t", "b", ANNA).await), "there is no such pending connection");
}

#[tokio::test]
async fn a_binding_keeps_its_organisation() {
    let scene = ready(Provider::Xero, &["1", "2"]).await;
    let first = connected(&scene, "t", "b", "1").await;
    scene.store.change("t", "b", |row| "needs_reconnect".clone_into(&mut row.status));
    scene.advance(MINUTE);
    let view = pended(&scene, "t", "b").await;
    assert_eq!(view.organisations.iter().map(|it| it.present).collect::<Vec<_>>(), [true, false]);
    assert_eq!(code(scene.connect().confirm("t", "b", ANNA, "2").await), ANOTHER_ORGANISATION);
    assert_eq!(scene.store.binding("t", "b").status, "needs_reconnect");
    let again = scene.connect().confirm("t", "b", ANNA, "1").await.unwrap();
    assert_eq!(again, first, "everything is kept, the moment of connection too");
    assert_eq!(scene.row().version, 2);
    // The same organisation by another API or on another host has other documents.
    type Change = fn(&mut BindingRow);
    let changes: [(Change, &str); 2] = [
        (|row| "v2".clone_into(&mut row.dialect), ANOTHER_DIALECT),
        (|row| "https://other.example".clone_into(&mut row.base_url), ANOTHER_ENVIRONMENT),
    ];
    for (change, expected) in changes {
        scene.store.change("t", "b", |row| *row = first.clone());
        scene.store.change("t", "b", change);
        pended(&scene, "t", "b").await;
        assert_eq!(code(scene.connect().confirm("t", "b", ANNA, "1").await), expected);
    }
}

#[tokio::test]
async fn a_second_shop_of_a_book_needs_a_prefix_of_its_own() {
    let scene = ready(Provider::SageAccounting, &["1"]).await;
    connected(&scene, "t", "b", "1").await;
    pended(&scene, "u", "c").await;
    assert_eq!(code(scene.connect().confirm("u", "c", ANNA, "1").await), PREFIX_NEEDED);
    scene.store.change("u", "c", |row| row.settings.invoice_number_prefix = Some("U-".to_owned()));
    assert_eq!(scene.connect().confirm("u", "c", ANNA, "1").await.unwrap().book, "sage_accounting:1");
    // The first one may connect again under its own.
    connected(&scene, "t", "b", "1").await;
}

#[tokio::test]
async fn a_book_of_a_tenant_out_of_sight_is_none_to_choose() {
    let scene = ready(Provider::Xero, &["1", "2"]).await;
    connected(&scene, "t", "b", "1").await;
    scene.store.change("u", "c", |row| row.settings.invoice_number_prefix = Some("U-".to_owned()));
    pended(&scene, "u", "c").await;
    let connect = scene.connect();
    let sees = |tenant: &str| tenant == "u";
    assert_eq!(code(connect.confirm_among("u", "c", ANNA, "1", &sees).await), NOT_YOUR_CONNECTION);
    assert_eq!(connect.confirm_among("u", "c", ANNA, "1", &|_| true).await.unwrap().book, "xero:1");
    // One connection, two bindings: it stays until the last one goes.
    assert_eq!(connect.disconnect("u", "c", scene.deadline()).await.unwrap().at_provider, AtProvider::Shared);
    assert_eq!(scene.authority.asked("DELETE /connections"), 0);
    assert!(!scene.store.grants.lock().unwrap().contains_key("c"), "our copy goes all the same");
    assert_eq!(connect.disconnect("t", "b", scene.deadline()).await.unwrap().at_provider, AtProvider::Revoked);
    assert_eq!(scene.authority.asked("DELETE /connections/connection-1"), 1);
}

#[tokio::test]
async fn only_the_organisations_of_this_consent_are_offered() {
    let scene = ready(Provider::Xero, &[]).await;
    let one = |id: &str, event: &str| {
        json!({"id": format!("connection-{id}"), "authEventId": event, "tenantId": id, "tenantType": "ORGANISATION",
            "tenantName": id})
    };
    let offered = async |list: serde_json::Value| {
        scene.authority.page("/connections", 200, list);
        let view = pended(&scene, "t", "b").await;
        view.organisations.iter().map(|it| it.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(offered(json!([one("1", "earlier"), one("2", "event-1")])).await, ["2"]);
    assert_eq!(offered(json!([one("1", "earlier"), one("2", "earlier")])).await, ["1", "2"], "nothing chosen anew");
}

#[tokio::test]
async fn freeagents_users_need_a_level_that_reaches() {
    let scene = ready(Provider::Freeagent, &["7"]).await;
    for level in [json!(0), json!(5), json!("5"), json!(null)] {
        scene.authority.page("/v2/users/me", 200, json!({"user": {"permission_level": level}}));
        let started = scene.connect().start("t", "b", ANNA, false, PUBLIC_URL).await.unwrap();
        assert_eq!(code(scene.connect().callback(&good(&started)).await), ACCESS_LEVEL_TOO_LOW);
    }
    assert_eq!(code(scene.connect().pending("t", "b", ANNA).await), "there is no such pending connection");
    scene.authority.page("/v2/users/me", 200, json!({"user": {"permission_level": 6}}));
    assert_eq!(pended(&scene, "t", "b").await.access_level, Some(6));
}

#[tokio::test]
async fn scopes_that_were_not_granted_are_shown() {
    let scene = ready(Provider::Xero, &["1"]).await;
    let answer = r#"{"access_token":"a","refresh_token":"r","expires_in":"1800","scope":"offline_access accounting.invoices accounting.contacts"}"#;
    scene.authority.fails([Trouble::Says(200, answer)]);
    let view = pended(&scene, "t", "b").await;
    assert_eq!(view.missing_scopes, ["accounting.payments", "accounting.settings.read"]);
    scene.authority.page("/connections", 200, json!([]));
    let started = scene.connect().start("t", "b", ANNA, false, PUBLIC_URL).await.unwrap();
    assert_eq!(code(scene.connect().callback(&good(&started)).await), NO_ORGANISATION);
}

#[tokio::test]
async fn a_connect_link_is_good_once_for_seven_days() {
    let scene = ready(Provider::Xero, &["1"]).await;
    let connect = scene.connect();
    let token = |made: &MadeLink| made.url.expose_secret().rsplit('/').next().unwrap().to_owned();
    let made = connect.make_link("t", "b", ANNA, PUBLIC_URL).await.unwrap();
    assert!(made.url.expose_secret().starts_with("https://ledger.example/oauth/link/"));
    for _ in 0..2 {
        let view = connect.look_at_link(&token(&made)).await.unwrap();
        assert_eq!((view.provider.as_str(), view.shop_url.as_str()), ("xero", "https://t.example"));
    }
    // What fails on our side does not use it up.
    let strict = Connect { own_hosts: false, ..scene.connect() };
    let opened = strict.open_link(&token(&made), PUBLIC_URL).await;
    assert_eq!(code(opened.map(|it| it.expires_at)), OWN_HOSTS_NOT_ALLOWED);
    let (one, other) = futures::future::join(
        connect.open_link(&token(&made), PUBLIC_URL),
        connect.open_link(&token(&made), PUBLIC_URL),
    )
    .await;
    let (opened, late): (Vec<_>, Vec<_>) = [one, other].into_iter().partition(Result::is_ok);
    let started = opened.into_iter().flatten().next().unwrap();
    assert_eq!(late.into_iter().map(|it| code(it.map(|it| it.expires_at))).collect::<Vec<_>>(), [LINK_USED]);
    assert_eq!(code(connect.look_at_link(&token(&made)).await), LINK_USED);
    assert_eq!(code(connect.open_link(&token(&made), PUBLIC_URL).await.map(|it| it.expires_at)), LINK_USED);
    let view = connect.callback(&good(&started)).await.unwrap();
    assert!(view.by_link);
    // Who made the link confirms, nobody else.
    assert_eq!(code(connect.confirm("t", "b", BEN, "1").await), NOT_YOUR_CONNECTION);
    connect.confirm("t", "b", ANNA, "1").await.unwrap();
    let made = connect.make_link("t", "b", ANNA, PUBLIC_URL).await.unwrap();
    scene.advance(LINK_LIFE_MS);
    assert_eq!(code(connect.open_link(&token(&made), PUBLIC_URL).await.map(|it| it.expires_at)), LINK_EXPIRED);
    assert_eq!(code(connect.open_link("forged", PUBLIC_URL).await.map(|it| it.expires_at)), LINK_UNKNOWN);
}

#[tokio::test]
async fn rows_hold_no_secret_in_clear() {
    let scene = ready(Provider::Xero, &["1"]).await;
    let made = scene.connect().make_link("t", "b", ANNA, PUBLIC_URL).await.unwrap();
    let link = made.url.expose_secret().rsplit('/').next().unwrap().to_owned();
    let started = scene.connect().start("t", "b", ANNA, true, PUBLIC_URL).await.unwrap();
    let state = parameters(&started)["state"].clone();
    let browser = started.browser_key.as_ref().unwrap().expose_secret().to_owned();
    scene.connect().callback(&good(&started)).await.unwrap();
    let pending = scene.store.everything();
    scene.connect().confirm("t", "b", ANNA, "1").await.unwrap();
    let rows = pending + &scene.store.everything();
    for secret in [&link, &state, &browser, "hush-secret", "refresh-1", "e30."] {
        assert!(!rows.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn disconnecting_tells_the_provider_what_it_may() {
    let scene = ready(Provider::Xero, &["1", "2"]).await;
    connected(&scene, "t", "b", "1").await;
    connected(&scene, "u", "c", "2").await;
    let connect = scene.connect();
    // Revoking the user's token would take the other binding's connection along.
    let plan = connect.disconnection("t", "b").await.unwrap();
    assert_eq!((plan.at_provider, plan.others_of_user), (AtProvider::ConnectionOnly, 1));
    let done = connect.disconnect("t", "b", scene.deadline()).await.unwrap();
    assert_eq!(done.at_provider, AtProvider::ConnectionOnly);
    assert_eq!(scene.store.binding("t", "b").status, "disconnected");
    assert_eq!(scene.store.binding("t", "b").book, "xero:1", "book and cross-references stay");
    assert_eq!((scene.authority.asked("DELETE /connections/connection-1"), scene.authority.asked("/revoke")), (1, 0));
    assert!(!scene.store.grants.lock().unwrap().contains_key("b"));
    // The last one: all of it. Where the provider does not answer, it may be repeated.
    scene.authority.fails([Trouble::Unreachable]);
    assert_eq!(connect.disconnect("u", "c", scene.deadline()).await.unwrap().at_provider, AtProvider::Failed);
    assert_eq!(scene.store.binding("u", "c").status, "disconnected", "nothing is posted all the same");
    assert_eq!(connect.disconnect("u", "c", scene.deadline()).await.unwrap().at_provider, AtProvider::Revoked);
    assert_eq!(scene.authority.asked("/revoke"), 2);
    assert_eq!(connect.disconnect("u", "c", scene.deadline()).await.unwrap().at_provider, AtProvider::Nothing);
    // And back.
    assert_eq!(connected(&scene, "t", "b", "1").await.status, "active");

    let scene = ready(Provider::Freeagent, &["7"]).await;
    connected(&scene, "t", "b", "7").await;
    let done = scene.connect().disconnect("t", "b", scene.deadline()).await.unwrap();
    assert_eq!(done.at_provider, AtProvider::ByHand);
    assert!(scene.store.grants.lock().unwrap().is_empty());

    let scene = ready(Provider::SageAccounting, &["1"]).await;
    connected(&scene, "t", "b", "1").await;
    let done = scene.connect().disconnect("t", "b", scene.deadline()).await.unwrap();
    assert_eq!(done.at_provider, AtProvider::Revoked);
    let asked = scene.authority.desk(|desk| desk.asked.last().cloned()).unwrap();
    assert!(
        asked.contains("/revoke open") && asked.contains("client_secret") && asked.contains("refresh-1"),
        "{asked}"
    );
}

/// Whose grant it is now decides what is revoked: a former user's other bindings are no reason to keep a token.
#[tokio::test]
async fn a_binding_is_the_user_s_who_authorised_it_last() {
    let scene = ready(Provider::Xero, &["1", "2"]).await;
    connected(&scene, "t", "b", "1").await;
    connected(&scene, "u", "c", "2").await;
    let plan = scene.connect().disconnection("u", "c").await.unwrap();
    assert_eq!((plan.at_provider, plan.others_of_user), (AtProvider::ConnectionOnly, 1));
    // Another user connects the first one again.
    let claims = URL_SAFE_NO_PAD.encode(json!({"xero_userid": "user-9"}).to_string());
    let answer = json!({"access_token": format!("e30.{claims}.x"), "refresh_token": "r-9", "expires_in": 1800});
    scene.authority.fails([Trouble::Says(200, answer.to_string().leak())]);
    connected(&scene, "t", "b", "1").await;
    assert_eq!(scene.store.grant("b").await.unwrap().unwrap().authority_user.as_deref(), Some("user-9"));
    let plan = scene.connect().disconnection("u", "c").await.unwrap();
    assert_eq!((plan.at_provider, plan.others_of_user), (AtProvider::Revoked, 0));
    // The same user once more changes nothing.
    connected(&scene, "u", "c", "2").await;
    assert_eq!(scene.connect().disconnection("u", "c").await.unwrap().others_of_user, 0);
}

#[tokio::test]
async fn an_app_is_checked_before_it_is_set() {
    let scene = Scene::new(Provider::Xero);
    let usual = |provider: &str| NewApp {
        provider: provider.to_owned(),
        binding: None,
        client_id: "client".to_owned(),
        client_secret: Some("secret".into()),
        environment: None,
        scopes: Vec::new(),
        dialect: None,
        country: None,
        hosts: None,
    };
    let check = async |provider: &str, change: fn(&mut NewApp), expected: &str| {
        let mut new = usual(provider);
        change(&mut new);
        let connect = Connect { own_hosts: false, ..scene.connect() };
        assert_eq!(code(connect.set_app(&new, PUBLIC_URL).await.map(|_| ())), expected);
    };
    check("xero", |_| {}, "ok ()").await;
    check("xero", |new| new.client_secret = None, "ok ()").await;
    check("sage_accounting", |new| new.client_secret = None, "client_secret: required").await;
    check("freeagent", |new| new.client_secret = None, "client_secret: required").await;
    check("quickbooks", |_| {}, "provider: invalid_format").await;
    check("xero", |new| new.client_id = String::new(), "client_id: invalid_format").await;
    check("xero", |new| new.client_id = "a:b".to_owned(), "client_id: invalid_format").await;
    check("xero", |new| new.client_secret = Some("".into()), "client_secret: invalid_format").await;
    check("xero", |new| new.environment = Some("sandbox".to_owned()), "environment: not_allowed").await;
    check("freeagent", |new| new.environment = Some("sandbox".to_owned()), "ok ()").await;
    check("freeagent", |new| new.environment = Some("test".to_owned()), "environment: invalid_format").await;
    check("xero", |new| new.dialect = Some("sage".to_owned()), "dialect: not_allowed").await;
    check("xero", |new| new.scopes = vec!["two words".to_owned()], "scopes: invalid_format").await;
    check("sage_accounting", |new| new.country = Some("GB".to_owned()), "country: invalid_format").await;
    check("xero", |new| new.hosts = Some(hosts()), "hosts: not_allowed").await;
    check("freeagent", |new| new.binding = Some(("t".to_owned(), "b".to_owned())), "provider: not_allowed").await;
    let bad = NewApp {
        hosts: Some(ledger_wire::rows::AppHostsRow { token: "ftp://x".to_owned(), ..hosts() }),
        ..usual("xero")
    };
    assert_eq!(code(scene.connect().set_app(&bad, PUBLIC_URL).await.map(|_| ())), "hosts: invalid_format");
    let view = scene.connect().app("xero", Some(("t", "b")), PUBLIC_URL).await.unwrap();
    assert_eq!(view.callback_url, "https://ledger.example/oauth/callback");
    assert!(!view.has_secret, "the second one replaced the first");
    // Without any nothing begins.
    let bare = Scene::new(Provider::Xero);
    assert_eq!(code(bare.connect().start("t", "b", ANNA, false, PUBLIC_URL).await.map(|_| ())), APP_MISSING);
    // An app that has addresses of its own is of no use where the stack does not allow them.
    let scene = ready(Provider::Xero, &["1"]).await;
    let strict = Connect { own_hosts: false, ..scene.connect() };
    assert_eq!(code(strict.start("t", "b", ANNA, false, PUBLIC_URL).await.map(|_| ())), OWN_HOSTS_NOT_ALLOWED);
    assert_eq!(scene.clock.now_ms(), NOW);
}

#[test]
fn every_code_has_a_remedy() {
    let mut codes: Vec<_> = CONNECT_CODES.iter().map(|(code, _)| *code).collect();
    codes.sort_unstable();
    let all = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), all);
    assert!(CONNECT_CODES.iter().all(|(_, remedy)| remedy.ends_with('.')));
}

#[tokio::test]
async fn a_connection_that_came_back_later_is_not_overwritten() {
    let scene = ready(Provider::Xero, &["1"]).await;
    pended(&scene, "t", "b").await;
    let later = {
        let mut pendings = scene.store.pendings.lock().unwrap();
        let row = pendings.get_mut("b").unwrap();
        (row.id, row.made_at) = ("later".to_owned(), NOW + MINUTE);
        row.clone()
    };
    // The slower one of two that were under way.
    let started = scene.connect().start("t", "b", ANNA, false, PUBLIC_URL).await.unwrap();
    assert_eq!(code(scene.connect().callback(&good(&started)).await), BINDING_CHANGED);
    assert_eq!(scene.store.pendings.lock().unwrap().get("b"), Some(&later));
    // Whoever comes back after it takes its place.
    scene.advance(2 * MINUTE);
    pended(&scene, "t", "b").await;
    assert_ne!(scene.store.pendings.lock().unwrap().get("b").unwrap().id, "later");
}
