//! What is refused: codes, callbacks, links and tokens that are no good, people who may not, shops that send us elsewhere.

use super::scene::{Answer, Operator, Scene};
use crate::deployed::now_seconds;
use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ledger_suite::world::{Spoken, client};
use ledger_world::clock::Clock;
use ledger_world::shop::{Shop, ShopOptions};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A pairing code's life in the shop, in seconds.
const CODE_SECONDS: i64 = 1_800;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_wrong_expired_or_used_pairs_nobody() -> anyhow::Result<()> {
    let Some(scene) = Scene::open("codes", Spoken::Accounting).await? else { return Ok(()) };
    let ahead = Arc::new(AtomicI64::new(0));
    let clock = {
        let ahead = Arc::clone(&ahead);
        Clock::from_function(move || now_seconds() + ahead.load(Ordering::SeqCst))
    };
    let shop = Shop::start(ShopOptions { clock, ..ShopOptions::default() }).await?;
    let presents = async |code: &str| scene.presents_at(&scene.admin, &shop.url(), code).await;
    let wrong = presents("0123456789abcdef0123456789abcdef").await?;
    ensure!(wrong.refusal() == (400, "pairing_code_refused"), "{wrong:?}");
    let old = shop.shows_pairing_code("xero");
    ahead.store(CODE_SECONDS + 1, Ordering::SeqCst);
    let expired = presents(&old).await?;
    ensure!(expired.refusal() == (400, "pairing_code_refused"), "{expired:?}");
    ahead.store(0, Ordering::SeqCst);
    let code = shop.shows_pairing_code("xero");
    let paired = presents(&code).await?.good()?;
    let key = shop.key();
    let used = presents(&code).await?;
    ensure!(used.refusal() == (400, "pairing_code_refused"), "{used:?}");
    // Whoever fails to pair changes nothing for the shop that is paired.
    ensure!(shop.key() == key && key.is_some());
    let tenant = paired["tenant"]["tenant"].as_str().context("no tenant")?;
    let kept = scene.admin.get(&format!("/v1/tenants/{tenant}")).await?.good()?;
    ensure!(kept["status"] == "connected" && kept["bindings"].as_array().is_some_and(|all| all.len() == 1), "{kept}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_sends_us_elsewhere_is_not_followed() -> anyhow::Result<()> {
    let Some(scene) = Scene::open("elsewhere", Spoken::Accounting).await? else { return Ok(()) };
    let code = scene.deployed.shop.shows_pairing_code("xero");
    // A shop that redirects to another, with the code in hand; and addresses that even this stack does not speak to.
    let elsewhere = scene.deployed.shop.url();
    let router = axum::Router::new().fallback(move |uri: axum::http::Uri| {
        let location = format!("{elsewhere}{uri}");
        async move {
            let mut headers = HeaderMap::new();
            headers.insert("location", location.parse().unwrap());
            (StatusCode::TEMPORARY_REDIRECT, headers)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let redirecting = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    for (url, expected) in [
        (redirecting.as_str(), (409, "shop_redirects")),
        ("http://169.254.169.254", (400, "shop_address_refused")),
        ("https://user:password@shop.example", (400, "invalid_format")),
        ("file:///etc/passwd", (400, "invalid_format")),
    ] {
        let refused = scene.presents_at(&scene.admin, url, &code).await?;
        ensure!(refused.refusal() == expected, "{url}: {refused:?}");
    }
    ensure!(scene.deployed.shop.key().is_none(), "the shop behind the redirect was paired");
    Ok(())
}

/// What the API's function answers where it is deployed without `AllowPrivateAddresses`, as on AWS: the same package, role
/// and tables.
async fn as_on_aws(scene: &Scene, method: &str, path: &str, body: &Value) -> anyhow::Result<Answer> {
    let told = scene.deployed.script(&["strict", method, path, &body.to_string()]).await?;
    let told: Value = serde_json::from_str(told.lines().last().unwrap_or_default())?;
    let status = told["status"].as_u64().and_then(|it| u16::try_from(it).ok()).context("no status")?;
    Ok(Answer { status, body: told["body"].clone() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_not_public_is_not_spoken_to() -> anyhow::Result<()> {
    let Some(scene) = Scene::ready("private", Spoken::Accounting).await? else { return Ok(()) };
    let me = as_on_aws(&scene, "GET", "/v1/me", &json!({})).await?.good()?;
    ensure!(me["role"] == "admin", "{me}");
    let (shop, key) = (scene.deployed.shop.url(), scene.deployed.shop.key());
    let code = scene.deployed.shop.shows_pairing_code("xero");
    scene.keeps("a pairing code", &code);
    for url in [
        shop.as_str(),
        "https://127.0.0.1",
        "https://10.0.0.7",
        "https://172.16.0.7",
        "https://192.168.0.7",
        "https://169.254.169.254",
        "https://0x7f.1",
        "https://[::1]",
        "https://[::ffff:10.0.0.7]",
        "https://shop.example:8443",
        // A name that leads to this machine. A name that changes its mind comes to the same: what is connected to is an
        // address that was checked (`shared/http/src/tests/addresses.rs` plays the changing answers).
        "https://localhost",
    ] {
        let body = json!({"magento_base_url": url, "pairing_code": code});
        let refused = as_on_aws(&scene, "POST", "/v1/magento/connect?provider=xero", &body).await?;
        ensure!(refused.refusal() == (400, "shop_address_refused"), "{url}: {refused:?}");
    }
    ensure!(scene.deployed.shop.key() == key && key.is_some(), "the shop was spoken to");
    ensure!(scene.tenant_is("connected").await?, "a refusal says nothing of the shop");
    // Nor is a provider at such an address: not for an app, not for signing in, not for reading.
    let hosts = json!({"authorize": "https://10.0.0.7/a", "token": "https://10.0.0.7/t", "api": "https://10.0.0.7"});
    let app = json!({"client_id": "ours", "client_secret": "hush", "hosts": hosts});
    let refused = as_on_aws(&scene, "PUT", &scene.of_binding("/app"), &app).await?;
    ensure!(refused.refusal() == (400, "not_allowed"), "{refused:?}");
    let refused = as_on_aws(&scene, "POST", &scene.of_binding("/connection"), &json!({})).await?;
    ensure!(refused.refusal() == (409, "own_hosts_not_allowed"), "{refused:?}");
    let lists = json!({"lists": ["organisation"]});
    let read = as_on_aws(&scene, "POST", &scene.of_binding("/reference/refresh"), &lists).await?.good()?;
    ensure!(read["lists"][0]["outcome"] == "failed", "{read}");
    // And where they are allowed, all of it goes through.
    let read = scene.admin.post(&scene.of_binding("/reference/refresh"), &lists).await?.good()?;
    ensure!(read["lists"][0]["outcome"] == "complete", "{read}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_is_forged_replayed_late_or_planted_connects_nothing() -> anyhow::Result<()> {
    let Some(mut scene) = Scene::open("callbacks", Spoken::Accounting).await? else { return Ok(()) };
    scene.pairs().await?;
    scene.registers_app().await?;
    let callback = format!("{}/oauth/callback", scene.deployed.setting("LEDGER_URL")?);
    let page = async |url: &str, expected: (u16, &str)| {
        let page = scene.browses(Method::GET, url, None).await?;
        ensure!(page.status == expected.0 && page.text.contains(expected.1), "{url}: {page:?}");
        Ok(())
    };
    page(&format!("{callback}?state=abc&code=def"), (403, "state_unknown")).await?;
    page(&format!("{callback}?code=def"), (403, "state_unknown")).await?;
    // Of a real connection: without the provider's word, or with a code that the provider never gave.
    let state = |page: &str| page.split("state=").nth(1).and_then(|it| it.split('&').next()).map(str::to_owned);
    let denied = state(&scene.starts(&scene.admin).await?).context("no state")?;
    page(&format!("{callback}?state={denied}&error=access_denied"), (409, "authorisation_denied")).await?;
    page(&format!("{callback}?state={denied}&code=def"), (403, "state_used")).await?;
    let made_up = state(&scene.starts(&scene.admin).await?).context("no state")?;
    page(&format!("{callback}?state={made_up}&code=made-up"), (409, "code_refused")).await?;
    // One that took longer than ten minutes.
    let late = scene.agrees(&scene.starts(&scene.admin).await?).await?;
    let aged = ages(&scene, "state").await?;
    ensure!(aged > 0, "no state to age");
    page(late.url(), (403, "state_expired")).await?;
    // One that another operator began: what it brought may be confirmed by that operator only.
    let tenant = format!("tenant:{}", scene.deployed.tenant);
    let other = scene.operator("callbacks-other", &["operator", &tenant]).await?;
    let planted = scene.agrees(&scene.starts(&other).await?).await?;
    page(planted.url(), (200, "One step left")).await?;
    page(planted.url(), (403, "state_used")).await?;
    let refused = scene.confirms(&scene.admin).await?;
    ensure!(refused.refusal() == (403, "not_your_connection"), "{refused:?}");
    let organisation = json!({"organisation": "7f3c9a52-1d04-4b7e-9c11-0c5f6e2d8a10"});
    let refused = scene.admin.post(&scene.of_binding("/connection/confirm"), &organisation).await?;
    ensure!(refused.refusal() == (403, "not_your_connection"), "{refused:?}");
    let unknown = other.post(&scene.of_binding("/connection/confirm"), &json!({"organisation": "another"})).await?;
    ensure!(unknown.refusal() == (400, "organisation_unknown"), "{unknown:?}");
    let binding = scene.admin.get(&scene.of_binding("")).await?.good()?;
    ensure!(binding["status"] == "pending" && binding["book"].is_null(), "{binding}");
    // Who began it may.
    ensure!(scene.confirms(&other).await?.good()?["status"] == "active");
    Ok(())
}

/// Makes the tenant's rows of a kind end now, as if their time had passed; how many there were.
async fn ages(scene: &Scene, sk: &str) -> anyhow::Result<usize> {
    let tables = client(&scene.deployed.environment)?;
    let table = scene.deployed.setting("TABLE_TENANTS")?;
    let found = tables
        .scan()
        .table_name(&table)
        .filter_expression("sk = :sk AND tenant = :tenant")
        .expression_attribute_values(":sk", AttributeValue::S(sk.to_owned()))
        .expression_attribute_values(":tenant", AttributeValue::S(scene.deployed.tenant.clone()))
        .send()
        .await?;
    for row in found.items() {
        tables
            .update_item()
            .table_name(&table)
            .key("pk", row.get("pk").context("no pk")?.clone())
            .key("sk", row.get("sk").context("no sk")?.clone())
            .update_expression("SET expires_at = :now")
            .expression_attribute_values(":now", AttributeValue::N((now_seconds() - 1).to_string()))
            .send()
            .await?;
    }
    Ok(found.items().len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_link_is_good_once_in_one_browser_and_for_a_week() -> anyhow::Result<()> {
    let Some(mut scene) = Scene::open("links", Spoken::Accounting).await? else { return Ok(()) };
    scene.pairs().await?;
    scene.registers_app().await?;
    let makes = async || {
        let made = scene.admin.post(&scene.of_binding("/link"), &json!({})).await?.good()?;
        let url = made["url"].as_str().context("no link")?.to_owned();
        scene.keeps("a link's token", url.rsplit('/').next().unwrap_or_default());
        Ok::<_, anyhow::Error>(url)
    };
    // Programs that scan mail look at it; that does not use it up.
    let link = makes().await?;
    for _ in 0..2 {
        let page = scene.browses(Method::GET, &link, None).await?;
        ensure!(page.status == 200 && page.text.contains(&scene.deployed.shop.url()), "{page:?}");
    }
    let opened = scene.browses(Method::POST, &link, None).await?;
    let provider = opened.location.clone().context("sent nowhere")?;
    ensure!(opened.status == 303 && opened.cookie.is_some(), "{opened:?}");
    for method in [Method::POST, Method::GET] {
        let again = scene.browses(method, &link, None).await?;
        ensure!(again.status == 403 && again.text.contains("link_used"), "{again:?}");
    }
    let back = scene.agrees(&provider).await?;
    let other = scene.browses(Method::GET, back.url(), None).await?;
    ensure!(other.status == 403 && other.text.contains("state_other_browser"), "{other:?}");
    let planted = scene.browses(Method::GET, back.url(), Some("ledger_connect=another")).await?;
    ensure!(planted.status == 403 && planted.text.contains("state_other_browser"), "{planted:?}");
    let own = scene.browses(Method::GET, back.url(), opened.cookie.as_deref()).await?;
    ensure!(own.status == 200 && !own.text.contains("Example Trading"), "an organisation's name for anybody: {own:?}");
    ensure!(scene.confirms(&scene.admin).await?.good()?["status"] == "active");
    // Another one, a week later; and one that was never made.
    let late = makes().await?;
    ensure!(ages(&scene, "link").await? > 0, "no link to age");
    let invented = format!("{}/oauth/link/invented", scene.deployed.setting("LEDGER_URL")?);
    for (url, expected) in [(&late, "link_expired"), (&invented, "link_unknown")] {
        for method in [Method::GET, Method::POST] {
            let page = scene.browses(method, url, None).await?;
            ensure!(page.status == 403 && page.text.contains(expected), "{url}: {page:?}");
        }
    }
    Ok(())
}

/// A token with another header, claims or signature.
fn forged(token: &str, header: &Value, change: impl FnOnce(&mut Value), sign: impl FnOnce(&str) -> Vec<u8>) -> String {
    let mut parts = token.split('.');
    let (_, claims) = (parts.next(), parts.next().unwrap_or_default());
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    change(&mut claims);
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(&signed));
    format!("{signed}.{signature}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_an_operators_access_token_opens_nothing() -> anyhow::Result<()> {
    let Some(scene) = Scene::open("tokens", Spoken::Accounting).await? else { return Ok(()) };
    let good = scene.token("tokens-admin", &["admin"], "access").await?;
    let url = scene.deployed.setting("LEDGER_URL")?;
    let asks = async |token: Option<&str>| Operator::with(&url, token)?.get("/v1/me").await;
    let me = asks(Some(&good)).await?.good()?;
    ensure!(me["role"] == "admin" && me["tenants"].is_null(), "{me}");

    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(good.split('.').next().unwrap_or_default())?)?;
    let with_algorithm = |name: &str| {
        let mut header = header.clone();
        header["alg"] = json!(name);
        header
    };
    let kid = header["kid"].as_str().context("no key")?;
    let (engine, issuer) = (scene.deployed.setting("AWS_ENDPOINT_URL")?, scene.deployed.setting("OIDC_ISSUER")?);
    let pool = issuer.rsplit('/').next().unwrap_or_default();
    let keys: Value = read_json(&format!("{engine}/{pool}/.well-known/jwks.json")).await?;
    let key = keys["keys"].as_array().into_iter().flatten().find(|key| key["kid"] == kid).context("no such key")?;
    let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap_or_default())?;
    let hmac = |secret: &[u8], text: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        ring::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let text_of_key = key.to_string().into_bytes();
    let same = |_: &mut Value| ();
    let signature = URL_SAFE_NO_PAD.decode(good.rsplit('.').next().unwrap_or_default())?;
    let minutes_ago = |claims: &mut Value| claims["exp"] = json!(now_seconds() - 300);
    let (head, _) = good.rsplit_once('.').context("no token")?;
    let bad = [
        ("none at all", None),
        ("no token", Some("abc".to_owned())),
        ("an identity token", Some(scene.token("tokens-admin", &["admin"], "id").await?)),
        ("another client's", Some(scene.token("tokens-admin", &["admin"], "other-client").await?)),
        ("another pool's", Some(scene.token("tokens-admin", &["admin"], "other-pool").await?)),
        ("without a signature", Some(format!("{head}."))),
        ("alg none", Some(forged(&good, &with_algorithm("none"), same, |_| Vec::new()))),
        ("HS256 with the modulus", Some(forged(&good, &with_algorithm("HS256"), same, |text| hmac(&modulus, text)))),
        ("HS256 with the key's text", Some(forged(&good, &with_algorithm("HS256"), same, |it| hmac(&text_of_key, it)))),
        ("of more groups", Some(forged(&good, &header, |it| it["extra"] = json!(1), |_| signature.clone()))),
        ("over", Some(forged(&good, &header, minutes_ago, |_| signature.clone()))),
        ("the shop's", Some(ledger_world::shop::jwt::outbound_token("byte8_lk_0", "tenant", now_seconds(), "jti"))),
    ];
    for (what, token) in bad {
        let refused = asks(token.as_deref()).await?;
        ensure!(refused.refusal() == (401, "unauthorised"), "{what}: {refused:?}");
    }
    // The same, but as HTTP's other schemes say it.
    let basic = format!("Basic {}", STANDARD.encode(format!("admin:{good}")));
    let answer = crate::deployed::client()?.get(format!("{url}/v1/me")).header("Authorization", basic).send().await?;
    ensure!(answer.status().as_u16() == 401, "{answer:?}");
    Ok(())
}

async fn read_json(url: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&crate::deployed::client()?.get(url).send().await?.text().await?)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_acts_beyond_their_groups() -> anyhow::Result<()> {
    let Some(mut scene) = Scene::open("groups", Spoken::Accounting).await? else { return Ok(()) };
    scene.pairs().await?;
    let own = format!("tenant:{}", scene.deployed.tenant);
    let stranger = scene.operator("groups-none", &[]).await?;
    let tenant_only = scene.operator("groups-tenant", &[&own]).await?;
    let viewer = scene.operator("groups-viewer", &["viewer", &own]).await?;
    let viewer_of_none = scene.operator("groups-idle", &["viewer"]).await?;
    let elsewhere = scene.operator("groups-elsewhere", &["operator", "tenant:another"]).await?;
    let here = scene.operator("groups-here", &["operator", &own]).await?;
    for (who, operator) in [("nobody", &stranger), ("of a tenant without a role", &tenant_only)] {
        for path in ["/v1/me".to_owned(), scene.of_tenant(""), scene.of_binding("")] {
            let refused = operator.get(&path).await?;
            ensure!(refused.refusal() == (403, "no_role"), "{who} {path}: {refused:?}");
        }
    }
    let none = json!({});
    let writes = [
        (Method::POST, scene.of_binding("/connection"), none.clone()),
        (Method::POST, scene.of_binding("/link"), none.clone()),
        (Method::POST, scene.of_binding("/connection/confirm"), json!({"organisation": "x"})),
        (Method::DELETE, scene.of_binding("/connection"), none.clone()),
        (Method::POST, scene.of_binding("/disconnection"), none.clone()),
        (Method::POST, scene.of_binding("/jobs/a-job/stop"), none.clone()),
        (Method::PUT, scene.of_binding("/mode"), json!({"mode": "paused"})),
        (Method::PUT, scene.of_binding("/app"), json!({"client_id": "x"})),
        (Method::PUT, scene.of_binding("/settings"), json!({"version": 0, "settings": {}})),
        (Method::POST, scene.of_binding("/settings/validate"), json!({"settings": {}})),
        (Method::POST, scene.of_binding("/reference/refresh"), none.clone()),
        (Method::POST, scene.of_binding("/jobs"), json!({"kind": "resync", "since": "2026-01-01T00:00:00Z"})),
        (Method::POST, scene.of_binding("/xrefs/import"), json!({"csv": ""})),
        (Method::POST, scene.of_binding("/xrefs/invoice/1/reset"), none.clone()),
        (
            Method::POST,
            format!("/api/admin/integrations/xero/{}/retry", scene.deployed.binding),
            json!({"sync_type": "invoices"}),
        ),
        (
            Method::POST,
            format!("/api/admin/integrations/xero/{}/resync", scene.deployed.binding),
            json!({"sync_types": ["invoices"], "since": "2026-01-01T00:00:00Z"}),
        ),
    ];
    for (method, path, body) in &writes {
        let refused = viewer.asks(method.clone(), path, Some(body)).await?;
        ensure!(refused.refusal() == (403, "forbidden"), "viewer {method} {path}: {refused:?}");
        for operator in [&elsewhere, &viewer_of_none] {
            let refused = operator.asks(method.clone(), path, Some(body)).await?;
            ensure!(refused.refusal() == (404, "not_found"), "elsewhere {method} {path}: {refused:?}");
        }
    }
    for path in [scene.of_tenant(""), scene.of_tenant("/runs"), scene.of_tenant("/bindings")] {
        ensure!(viewer.get(&path).await?.status == 200, "{path}");
        ensure!(here.get(&path).await?.status == 200, "{path}");
        let refused = elsewhere.get(&path).await?;
        ensure!(refused.refusal() == (403, "forbidden"), "{path}: {refused:?}");
    }
    // Apps of the whole stack are the administrators'; other people's shops are paired by none but theirs.
    for operator in [&here, &viewer, &elsewhere] {
        let refused = operator.put("/v1/apps/xero", &json!({"client_id": "x"})).await?;
        ensure!(refused.refusal() == (403, "forbidden"), "{refused:?}");
    }
    for operator in [&viewer, &elsewhere] {
        let code = scene.deployed.shop.shows_pairing_code("xero");
        let refused = scene.presents(operator, &code).await?;
        ensure!(refused.refusal() == (403, "forbidden"), "{refused:?}");
    }
    // A run of the tenant is nobody's elsewhere.
    let invoice = scene.deployed.shop.raises("b2b-on-terms")?;
    scene.works_until("a run", || async { Ok(scene.run_of("invoice.created", invoice).await?.is_some()) }).await?;
    let run = scene.run_of("invoice.created", invoice).await?.context("no run")?;
    let id = run["run"].as_str().context("no id")?;
    let acts = [
        (Method::GET, "/request", none.clone()),
        (Method::POST, "/retry", none.clone()),
        (Method::POST, "/release", none.clone()),
        (Method::POST, "/discard", json!({"reason": "not ours"})),
        (Method::POST, "/settle", json!({"provider_id": "1"})),
    ];
    for (method, rest, body) in &acts {
        let path = format!("/v1/runs/{id}{rest}");
        let refused = viewer.asks(method.clone(), &path, Some(body)).await?;
        ensure!(refused.refusal() == (403, "forbidden"), "viewer {method} {rest}: {refused:?}");
        for operator in [&elsewhere, &viewer_of_none] {
            let refused = operator.asks(method.clone(), &path, Some(body)).await?;
            ensure!(refused.refusal() == (404, "not_found"), "elsewhere {method} {rest}: {refused:?}");
        }
    }
    let now = scene.admin.get(&format!("/v1/runs/{id}")).await?.good()?;
    ensure!(now["run"]["state"] == run["state"] && now["run"]["generation"] == run["generation"], "{now}");
    // Looking, a viewer may; nobody else sees anything of it.
    for path in [
        format!("/v1/runs/{id}"),
        scene.of_binding("/previews"),
        scene.of_binding("/xrefs"),
        scene.of_binding("/xrefs?format=csv"),
        scene.of_binding("/xrefs/invoice/1"),
        scene.of_binding("/jobs"),
        scene.of_binding("/disconnection"),
        scene.of_binding("/settings"),
        scene.of_binding("/reference"),
    ] {
        // There is no book yet to have cross-references with.
        let seen = viewer.get(&path).await?;
        ensure!(seen.status == 200 || seen.refusal() == (409, "binding_pending"), "viewer {path}: {seen:?}");
        for operator in [&elsewhere, &viewer_of_none] {
            let refused = operator.get(&path).await?;
            ensure!(refused.refusal() == (404, "not_found"), "elsewhere {path}: {refused:?}");
        }
    }
    // The list of shops has those that the caller may see, and no other.
    let listed = async |operator: &Operator| {
        let page = operator.get("/v1/tenants").await?.good()?;
        let ids = page["tenants"].as_array().into_iter().flatten().filter_map(|it| it["tenant"].as_str());
        Ok::<_, anyhow::Error>(ids.map(str::to_owned).collect::<Vec<_>>())
    };
    let (mut of_admin, mut after) = (Vec::new(), String::new());
    loop {
        let page = scene.admin.get(&format!("/v1/tenants{after}")).await?.good()?;
        let ids = page["tenants"].as_array().into_iter().flatten().filter_map(|it| it["tenant"].as_str());
        of_admin.extend(ids.map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("?after={next}");
    }
    ensure!(of_admin.contains(&scene.deployed.tenant) && of_admin.is_sorted(), "{of_admin:?}");
    for operator in [&viewer, &here] {
        ensure!(listed(operator).await? == [scene.deployed.tenant.clone()]);
    }
    for operator in [&elsewhere, &viewer_of_none] {
        ensure!(listed(operator).await?.is_empty());
    }
    Ok(())
}
