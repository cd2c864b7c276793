//! What strangers try, over the deployed API: tokens, headers, paths and bodies that are wrong on purpose, byte for byte on a
//! socket of our own. Each gets its status and code, and leaves nothing behind.

use crate::deployed::{now_seconds, unique};
use anyhow::{Context as _, bail, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ledger_engine::ports::Tenants as _;
use ledger_suite::deployed::{Deployed, until};
use ledger_suite::world::{API_KEY, client};
use ledger_world::shop::jwt;
use ring::hmac;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer is there within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A stack that has just read a tenant says so for a second; then it decides.
const DECIDED_WITHIN: Duration = Duration::from_secs(60);
/// Replays under way at once.
const REPLAYS: usize = 50;
/// Most bytes of a delivery's body.
const BODY_MAX: usize = 65_536;
/// Another shop's key.
const OTHER_KEY: &str = "byte8_lk_ffffffffffffffffffffffffffffffff";
/// The shop's header of a token.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A request, byte for byte.
#[derive(Clone, Debug)]
struct Ask {
    method: &'static str,
    /// Below the API's address, as it goes out.
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl Ask {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(it, _)| *it != name);
        self
    }

    fn says(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// Status and body of the answer.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        let of_field = self.body["errors"][0]["code"].as_str();
        of_field.or(self.body["code"].as_str()).unwrap_or_default()
    }
}

/// Sends a request and reads the answer. Nothing is encoded, merged or put in order on the way.
async fn speaks(base: &str, ask: &Ask) -> anyhow::Result<Answer> {
    let address = base.strip_prefix("http://").context("another scheme")?;
    let (host, prefix) = address.split_once('/').context("no path")?;
    let mut request = format!("{} /{prefix}{} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", ask.method, ask.path);
    request.push_str(&format!("Content-Length: {}\r\n", ask.body.len()));
    let mut request = request.into_bytes();
    for (name, value) in &ask.headers {
        request.extend_from_slice(name.as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(&ask.body);
    let told = async {
        let mut stream = TcpStream::connect(host).await?;
        let (mut reads, mut writes) = stream.split();
        let mut answer = Vec::new();
        // Who refuses early does not read to the end.
        let (_, read) = tokio::join!(writes.write_all(&request), reads.read_to_end(&mut answer));
        if answer.is_empty() {
            read?;
        }
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, told).await.context("no answer in time")??;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no answer: {text:.200}"))?;
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).context("no status")?;
    ensure!(!head.to_lowercase().contains("transfer-encoding"), "an answer in pieces: {head}");
    Ok(Answer { status, body: serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned())) })
}

/// The same, once the stack has decided: it reads a tenant again at most once a second for those who may be wrong.
async fn decided(base: &str, ask: &Ask) -> anyhow::Result<Answer> {
    let found = std::sync::Mutex::new(None);
    let last = &found;
    until("the stack decides", DECIDED_WITHIN, || async move {
        let answer = speaks(base, ask).await?;
        let over = answer.code() != "tenant_just_read";
        *last.lock().unwrap() = Some(answer);
        Ok(over)
    })
    .await?;
    let answer = found.lock().unwrap().take();
    answer.context("no answer")
}

/// A token with this header and these claims, signed under this key.
fn signed(header: &str, claims: &str, key: &[u8]) -> String {
    signed_by(hmac::HMAC_SHA256, header, claims, key)
}

fn signed_by(algorithm: hmac::Algorithm, header: &str, claims: &str, key: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(algorithm, key), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Claims of the shop, changed.
fn claims(tenant: &str, change: impl FnOnce(&mut Value)) -> String {
    let now = now_seconds();
    let mut claims = json!({"iss": "magento", "sub": tenant, "aud": "byte8-ledger", "iat": now, "nbf": now, "exp": now + 60,
        "jti": unique()});
    change(&mut claims);
    claims.to_string()
}

fn bearer(token: impl AsRef<[u8]>) -> Vec<u8> {
    [b"Bearer ", token.as_ref()].concat()
}

/// A shop that is paired, and where its stack is.
struct Target {
    deployed: Deployed,
    base: String,
}

impl Target {
    async fn start(name: &str) -> anyhow::Result<Option<Self>> {
        let Some(deployed) = Deployed::start(name).await? else { return Ok(None) };
        let base = deployed.setting("LEDGER_URL")?;
        Ok(Some(Self { deployed, base }))
    }

    fn tenant(&self) -> &str {
        &self.deployed.tenant
    }

    fn token(&self) -> String {
        signed(HEADER, &claims(self.tenant(), |_| ()), &jwt::outbound_key(API_KEY))
    }

    fn path(&self) -> String {
        format!("/webhooks/magento/{}/invoice.created", self.tenant())
    }

    /// A delivery that is good, with a token of its own.
    fn delivery(&self, id: u32) -> Ask {
        let body = json!({"magento_entity_id": id, "website_id": 1, "store_id": 1, "occurred_at": "2026-11-20T09:30:00Z",
            "payload": {"increment_id": format!("{id:09}")}});
        Ask::new("POST", format!("{}?provider=xero", self.path()))
            .with("Authorization", bearer(self.token()))
            .with("Content-Type", "application/json")
            .with("Idempotency-Key", format!("invoice.created:{id}"))
            .says(body.to_string())
    }

    /// What the module asks with the same token: everything that it may ask but deliveries.
    fn asked(&self) -> [(&'static str, Ask); 3] {
        let disconnect = Ask::new("POST", "/v1/tenant/disconnect")
            .with("Content-Type", "application/json")
            .with("Idempotency-Key", "disconnect:0123456789abcdef")
            .says("{}");
        [
            ("status", Ask::new("GET", "/v1/status?entity_type=invoice&entity_id=1")),
            ("tile", Ask::new("GET", "/v1/tile/health")),
            ("disconnect", disconnect),
        ]
    }

    /// Spent tokens of the tenant that the tables know.
    async fn spent(&self) -> anyhow::Result<usize> {
        let tables = client(&self.deployed.environment)?;
        let pages = tables
            .scan()
            .table_name(self.deployed.setting("TABLE_SYNC_RUNS")?)
            .filter_expression("begins_with(pk, :jti)")
            .expression_attribute_values(":jti", AttributeValue::S(format!("jti#{}#", self.tenant())))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await?;
        Ok(pages.len())
    }

    /// So many runs are there, and so many tokens are spent.
    async fn has(&self, runs: usize, spent: usize) -> anyhow::Result<()> {
        let there = self.deployed.runs(self.tenant()).await?;
        ensure!(there.len() == runs, "{} runs instead of {runs}: {there:?}", there.len());
        let found = self.spent().await?;
        ensure!(found == spent, "{found} spent tokens instead of {spent}");
        Ok(())
    }

    /// A request gets its status and code, and the one wording where it is refused for its token.
    async fn gets(&self, what: &str, ask: &Ask, status: u16, code: &str) -> anyhow::Result<()> {
        let answer = decided(&self.base, ask).await.with_context(|| what.to_owned())?;
        ensure!((answer.status, answer.code()) == (status, code), "{what}: {answer:?}, not {status} {code}");
        if code == "unauthorised" {
            let told = answer.body["message"].as_str().unwrap_or_default();
            ensure!(told.starts_with("the token does not authorise this "), "{what}: {answer:?}");
            ensure!(answer.body.get("errors").is_none_or(|it| it == &json!([])), "it says why: {what}: {answer:?}");
        }
        Ok(())
    }
}

/// Tokens that are no good, by what is wrong with them, as they go into the header `Authorization`; whether they say who they
/// are well enough for the tenant to be read; and what they get.
fn tokens(target: &Target) -> Vec<(String, Option<Vec<u8>>, u16, &'static str)> {
    let tenant = target.tenant();
    let key = jwt::outbound_key(API_KEY);
    let good = || claims(tenant, |_| ());
    let refused = |what: &str, value: Vec<u8>| (what.to_owned(), Some(value), 401, "unauthorised");
    let mut all = vec![
        ("nothing".to_owned(), None, 401, "unauthorised"),
        refused("an empty header", Vec::new()),
        refused("a scheme alone", b"Bearer".to_vec()),
        refused("another scheme", format!("Basic {}", STANDARD.encode("shop:key")).into_bytes()),
        refused("a token without a scheme", target.token().into_bytes()),
        refused("two tokens", format!("Bearer {0} {0}", target.token()).into_bytes()),
    ];
    // Algorithms.
    let unsigned = |name: &str| {
        let header = json!({"alg": name, "typ": "JWT"}).to_string();
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(good()))
    };
    for name in ["none", "None", "NONE", "nOnE", ""] {
        all.push(refused(&format!("alg {name:?} without a signature"), bearer(unsigned(name))));
    }
    for name in ["none", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "HS256 "] {
        let header = json!({"alg": name, "typ": "JWT"}).to_string();
        all.push(refused(&format!("alg {name:?} signed as HS256"), bearer(signed(&header, &good(), &key))));
    }
    for (name, algorithm) in [("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        let header = json!({"alg": name, "typ": "JWT"}).to_string();
        all.push(refused(&format!("an honest {name}"), bearer(signed_by(algorithm, &header, &good(), &key))));
        all.push(refused(&format!("{name} for HS256"), bearer(signed_by(algorithm, HEADER, &good(), &key))));
    }
    // Keys.
    for (what, key) in [
        ("the key of the other direction", jwt::inbound_key(API_KEY).to_vec()),
        ("the shared key itself", API_KEY.as_bytes().to_vec()),
        ("another shop's key", jwt::outbound_key(OTHER_KEY).to_vec()),
        ("no key", Vec::new()),
        ("noughts", vec![0; 32]),
        ("the tenant's name", tenant.as_bytes().to_vec()),
    ] {
        all.push(refused(what, bearer(signed(HEADER, &good(), &key))));
    }
    // Headers that would name a key, or ask for something to be understood.
    for header in [
        r#"{"alg":"HS256","typ":"JWT","kid":"../../../../dev/null"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"' UNION SELECT 'x"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"current"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":null}"#,
        r#"{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":""}}"#,
        r#"{"alg":"HS256","typ":"JWT","jku":"https://evil.example/keys"}"#,
        r#"{"alg":"HS256","typ":"JWT","x5u":"https://evil.example/chain"}"#,
        r#"{"alg":"HS256","typ":"JWT","crit":["exp"]}"#,
        r#"{"alg":"HS256","typ":"JWT","zip":"DEF"}"#,
        r#"{"alg":"none","alg":"HS256","typ":"JWT"}"#,
    ] {
        for (whose, key) in [("the right key", &key[..]), ("no key", &[][..])] {
            all.push(refused(&format!("{header} under {whose}"), bearer(signed(header, &good(), key))));
        }
    }
    // Cut, and of other letters.
    let whole = target.token();
    let parts: Vec<&str> = whole.split('.').collect();
    for cut in [1, 10, whole.len() / 2, whole.len() - 1] {
        all.push(refused(&format!("the first {cut} bytes"), bearer(&whole[..cut])));
    }
    all.push(refused("no signature", bearer(format!("{}.{}", parts[0], parts[1]))));
    all.push(refused("an empty signature", bearer(format!("{}.{}.", parts[0], parts[1]))));
    all.push(refused("four parts", bearer(format!("{whole}.{}", parts[2]))));
    all.push(refused("padding", bearer(format!("{whole}="))));
    all.push(refused("other dots", bearer(whole.replace('.', "\u{2024}"))));
    all.push(refused("Cyrillic", bearer("ключ.ключ.ключ")));
    all.push(refused("bytes that are no text", bearer(b"\xff\xfe\xc3\x28.\xf0\x28\x8c\x28.\x80")));
    all.push(refused("wide letters", bearer(whole.replacen('e', "\u{ff45}", 1))));
    all.push(refused("a tenant of odd letters", bearer(signed(HEADER, &claims("te\u{202e}nant", |_| ()), &key))));
    // Huge.
    all.push(refused("4,097 bytes", bearer("a".repeat(4_097))));
    let padded = claims(tenant, |it| it["more"] = json!("x".repeat(5_000)));
    all.push(refused("a good one of 7 KB", bearer(signed(HEADER, &padded, &key))));
    let deep = format!(r#"{{"alg":{}{},"typ":"JWT"}}"#, "[".repeat(600), "]".repeat(600));
    all.push(refused("a deep one", bearer(signed(&deep, &good(), &key))));
    // Claims.
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 14] = [
        ("another issuer", |it| it["iss"] = json!("byte8-ledger")),
        ("another audience", |it| it["aud"] = json!("magento")),
        ("a list of audiences", |it| it["aud"] = json!(["byte8-ledger"])),
        ("another tenant", |it| it["sub"] = json!("somebody-else")),
        ("no tenant", |it| it["sub"] = json!("")),
        ("no id", |it| drop(it.as_object_mut().map(|it| it.remove("jti")))),
        ("an id that is no text", |it| it["jti"] = json!({"$ne": null})),
        ("an id with a separator", |it| it["jti"] = json!("a#b")),
        ("a fraction of a second", |it| it["exp"] = json!(4_000_000_000.5)),
        ("text for a time", |it| it["exp"] = json!("4000000000")),
        ("no end", |it| drop(it.as_object_mut().map(|it| it.remove("exp")))),
        ("a life without end", |it| it["exp"] = json!(i64::MAX)),
        ("a life of more than a day", |it| it["exp"] = json!(now_seconds() + 90_000)),
        ("an end before its beginning", |it| it["exp"] = json!(now_seconds() - 1)),
    ];
    for (what, change) in changes {
        all.push(refused(what, bearer(signed(HEADER, &claims(tenant, change), &key))));
    }
    let twice = good().replacen('{', r#"{"sub":"somebody-else","#, 1);
    all.push(refused("a member twice", bearer(signed(HEADER, &twice, &key))));
    // The clock: a wrong one is put off, and what no clock explains is refused.
    let at = |from: i64| {
        claims(tenant, |it| {
            for (name, life) in [("iat", 0), ("nbf", 0), ("exp", 60)] {
                it[name] = json!(now_seconds() + from + life);
            }
        })
    };
    // Time passes meanwhile: each stays on its side for minutes.
    for (from, status, code) in [
        (-370 - 5, 503, "clock_out_of_step"),
        (-86_400 + 600, 503, "clock_out_of_step"),
        (-86_460 - 70, 401, "unauthorised"),
        (300 + 600, 503, "clock_out_of_step"),
        (86_400 - 5, 503, "clock_out_of_step"),
        (86_400 + 600, 401, "unauthorised"),
    ] {
        let value = bearer(signed(HEADER, &at(from), &key));
        all.push((format!("a clock that is off by {from} s"), Some(value), status, code));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_no_good_opens_nothing_of_the_shops() -> anyhow::Result<()> {
    let Some(target) = Target::start("attacked").await? else { return Ok(()) };
    let before = target.deployed.store.tenancy(target.tenant()).await?.context("no tenant")?;
    let tokens = tokens(&target);
    ensure!(tokens.len() > 80, "{} tokens", tokens.len());
    let presented = |ask: &Ask, value: &Option<Vec<u8>>| {
        let ask = ask.clone().without("Authorization");
        match value {
            Some(value) => ask.with("Authorization", value.clone()),
            None => ask,
        }
    };
    for (what, value, status, code) in &tokens {
        let delivery = presented(&target.delivery(1), value);
        let others = target.asked().map(|(route, ask)| (route, presented(&ask, value)));
        let module = async {
            // One says of another tenant that it is another tenant's: then there is no such.
            for (route, ask) in &others {
                target.gets(&format!("{what}, {route}"), ask, *status, code).await?;
            }
            anyhow::Ok(())
        };
        let of_delivery = format!("{what}, delivery");
        let (delivered, asked) = tokio::join!(target.gets(&of_delivery, &delivery, *status, code), module);
        delivered?;
        asked?;
    }
    // A path that names another tenant, existing or not, whoever signs.
    for path in [
        "/webhooks/magento/somebody-else/invoice.created?provider=xero".to_owned(),
        format!("/webhooks/magento/{}x/invoice.created?provider=xero", target.tenant()),
        format!("/webhooks/magento/{}/invoice.created?provider=xero", target.tenant().to_uppercase()),
    ] {
        let ask = Ask { path: path.clone(), ..target.delivery(1) };
        target.gets(&path, &ask, 401, "unauthorised").await?;
    }
    // An operator's token is none of a shop's.
    let operators = bearer(target.deployed.setting("OPERATOR_TOKEN")?);
    let ask = target.delivery(1).without("Authorization").with("Authorization", operators);
    target.gets("an operator's token", &ask, 401, "unauthorised").await?;
    target.has(0, 0).await?;
    let after = target.deployed.store.tenancy(target.tenant()).await?.context("no tenant")?;
    ensure!(after.tenant == before.tenant && after.bindings == before.bindings, "something of the tenant changed");
    // And one that is good opens what it shall.
    target.gets("a good one", &target.delivery(1), 202, "").await?;
    for (route, ask) in target.asked().into_iter().take(2) {
        target.gets(route, &ask.with("Authorization", bearer(target.token())), 200, "").await?;
    }
    target.has(1, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_sent_fifty_times_at_once_is_accepted_once() -> anyhow::Result<()> {
    let Some(target) = Target::start("replayed").await? else { return Ok(()) };
    let sends = async |asks: Vec<Ask>| {
        let sent = asks.iter().map(|ask| speaks(&target.base, ask));
        let mut counts: BTreeMap<(u16, String), usize> = BTreeMap::new();
        let mut runs: BTreeMap<String, usize> = BTreeMap::new();
        for answer in futures::future::join_all(sent).await {
            let answer = answer?;
            *counts.entry((answer.status, answer.code().to_owned())).or_default() += 1;
            if let Some(run) = answer.body["sync_run_id"].as_str() {
                *runs.entry(run.to_owned()).or_default() += 1;
            }
        }
        anyhow::Ok((counts, runs))
    };
    // The same delivery: the same run, however often.
    let ask = target.delivery(1);
    let (counts, runs) = sends(vec![ask; REPLAYS]).await?;
    ensure!(counts == BTreeMap::from([((202, String::new()), REPLAYS)]) && runs.len() == 1, "{counts:?} {runs:?}");
    target.has(1, 1).await?;
    // Stolen, for another delivery each: one of them is first, and it is the only one.
    let token = bearer(target.token());
    let stolen = |id: u32| target.delivery(id).without("Authorization").with("Authorization", token.clone());
    let (counts, runs) = sends((100..).take(REPLAYS).map(stolen).collect()).await?;
    let expected = BTreeMap::from([((202, String::new()), 1), ((401, "unauthorised".to_owned()), REPLAYS - 1)]);
    ensure!(counts == expected && runs.len() == 1, "{counts:?} {runs:?}");
    target.has(2, 2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnect_is_no_replay_either() -> anyhow::Result<()> {
    let Some(target) = Target::start("undone").await? else { return Ok(()) };
    let (_, ask) = target.asked().into_iter().last().context("no disconnect")?;
    let ask = ask.with("Authorization", bearer(target.token()));
    let answers = futures::future::join_all((0..REPLAYS).map(|_| speaks(&target.base, &ask))).await;
    for answer in answers {
        // Each is told that it is so: it asks for the same.
        let answer = answer?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    // Spent on a disconnect, it delivers nothing.
    let token = ask.headers.iter().find(|(name, _)| *name == "Authorization").context("no token")?.1.clone();
    let ask = target.delivery(1).without("Authorization").with("Authorization", token);
    target.gets("a token that is spent", &ask, 401, "unauthorised").await?;
    target.has(0, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_delivery_is_refused_for_good() -> anyhow::Result<()> {
    let Some(target) = Target::start("bodies").await? else { return Ok(()) };
    let number = |id: &str| format!(r#"{{"magento_entity_id":{id},"website_id":1,"store_id":1}}"#).into_bytes();
    let payload = |text: &str| format!(r#"{{"magento_entity_id":7,"payload":{text}}}"#).into_bytes();
    let (no_body, no_id) = ("invalid_body", "invalid_magento_entity_id");
    let mut bodies: Vec<(String, Vec<u8>, &str)> = vec![
        ("nothing".to_owned(), Vec::new(), no_body),
        ("half".to_owned(), br#"{"magento_entity_id":7"#.to_vec(), no_body),
        ("more behind it".to_owned(), br#"{"magento_entity_id":7}{}"#.to_vec(), no_body),
        ("a list".to_owned(), b"[7,1,1]".to_vec(), no_body),
        ("text".to_owned(), b"\"magento_entity_id\"".to_vec(), no_body),
        ("null".to_owned(), b"null".to_vec(), no_body),
        ("a mark in front of it".to_owned(), b"\xef\xbb\xbf{\"magento_entity_id\":7}".to_vec(), no_body),
        ("a byte that is no text".to_owned(), b"{\"magento_entity_id\":\xff7}".to_vec(), no_body),
        ("a control character".to_owned(), payload("\"\u{1}\""), no_body),
        ("a form".to_owned(), b"magento_entity_id=7".to_vec(), no_body),
        ("XML".to_owned(), b"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>".to_vec(), no_body),
        // Deep.
        ("sixty thousand lists".to_owned(), b"[".repeat(60_000), no_body),
        ("sixty thousand objects".to_owned(), br#"{"a":"#.repeat(13_000), no_body),
        // Twice.
        ("an id twice".to_owned(), br#"{"magento_entity_id":7,"magento_entity_id":8}"#.to_vec(), no_body),
        ("an id twice, the same".to_owned(), br#"{"magento_entity_id":7,"magento_entity_id":7}"#.to_vec(), no_body),
        ("a payload twice".to_owned(), br#"{"magento_entity_id":7,"payload":{},"payload":{}}"#.to_vec(), no_body),
    ];
    // Numbers at their edges.
    for id in [
        "0",
        "-1",
        "-0",
        "1.5",
        "4294967296",
        "9007199254740993",
        "18446744073709551616",
        "1e309",
        "-1e309",
        "5e-324",
        "0.1e-400",
        "\"0\"",
        "\"-1\"",
        "\"1e3\"",
        "\"0x7\"",
        "\" 7\"",
        "\"٧\"",
        "\"\"",
        "null",
        "true",
        "[]",
        "{}",
    ] {
        bodies.push((format!("the id {id}"), number(id), no_id));
    }
    for id in ["NaN", "Infinity", "+7", "07", "7.", ".7", "0x7", "1_000"] {
        bodies.push((format!("the id {id}"), number(id), no_body));
    }
    for (what, body, code) in &bodies {
        target.gets(what, &target.delivery(7).says(body.clone()), 400, code).await?;
    }
    let sized = |bytes: usize| {
        let body = br#"{"magento_entity_id":7}"#;
        [&body[..], &b" ".repeat(bytes - body.len())[..]].concat()
    };
    target.gets("a byte too many", &target.delivery(7).says(sized(BODY_MAX + 1)), 400, "body_too_large").await?;
    target.gets("twice as many", &target.delivery(7).says(sized(2 * BODY_MAX)), 400, "body_too_large").await?;
    // As large as that, nobody is asked who sent it.
    let unsigned = target.delivery(7).without("Authorization").says(sized(BODY_MAX + 1));
    target.gets("a byte too many of a stranger's", &unsigned, 400, "body_too_large").await?;
    let unsigned = target.delivery(7).without("Authorization").says(sized(BODY_MAX));
    target.gets("as many as may be, of a stranger's", &unsigned, 401, "unauthorised").await?;
    // What is packed is not unpacked.
    let packed = target.delivery(7).with("Content-Encoding", "gzip").says(b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec());
    target.gets("a packed body", &packed, 400, no_body).await?;
    target.has(0, 0).await?;
    // As many bytes as may be, and one fewer; the largest id that the shop can have.
    target.gets("as many as may be", &target.delivery(7).says(sized(BODY_MAX)), 202, "").await?;
    target.gets("one fewer", &target.delivery(7).says(sized(BODY_MAX - 1)), 202, "").await?;
    let largest = target.delivery(8).says(number("4294967295"));
    target.gets("the largest id", &largest, 202, "").await?;
    // What nobody reads may be as deep and as odd as it likes.
    let deep = payload(&format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)));
    target.gets("a deep payload", &target.delivery(7).says(deep), 202, "").await?;
    target.gets("half a letter", &target.delivery(7).says(payload(r#""\ud800""#)), 202, "").await?;
    target.has(2, 5).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_headers_and_paths_lead_nowhere() -> anyhow::Result<()> {
    let Some(target) = Target::start("paths").await? else { return Ok(()) };
    let tenant = target.tenant().to_owned();
    let to = |path: String| Ask { path, ..target.delivery(7) };
    let event = |event: &str| to(format!("/webhooks/magento/{tenant}/{event}?provider=xero"));
    let of = |tenant: &str| to(format!("/webhooks/magento/{tenant}/invoice.created?provider=xero"));
    let key = |key: &str| target.delivery(7).without("Idempotency-Key").with("Idempotency-Key", key);
    let cases = [
        // Other tenants, however they are spelt.
        ("a way up, twice encoded", of("%252e%252e%252f"), 401, "unauthorised"),
        ("a nought behind the tenant", of(&format!("{tenant}%00")), 401, "unauthorised"),
        ("a blank behind the tenant", of(&format!("{tenant}%20")), 401, "unauthorised"),
        ("a line's end in the tenant", of(&format!("{tenant}%0d%0aX-Evil:%201")), 401, "unauthorised"),
        ("letters that look alike", of("%D0%B0ttacked"), 401, "unauthorised"),
        ("a tenant that is no text", of("%ff%fe"), 401, "unauthorised"),
        ("a long tenant", of(&"x".repeat(3_000)), 401, "unauthorised"),
        // Other events.
        ("another event", event("invoice.deleted"), 400, "unknown_event"),
        ("capitals", event("INVOICE.CREATED"), 400, "unknown_event"),
        ("a blank behind the event", event("invoice.created%20"), 400, "unknown_event"),
        ("a nought behind the event", event("invoice.created%00"), 400, "unknown_event"),
        ("a template for an event", event("%7Bevent%7D"), 400, "unknown_event"),
        // Other providers.
        ("another provider", to(format!("{}?provider=quickbooks", target.path())), 400, "unknown_provider"),
        ("a provider in capitals", to(format!("{}?provider=XERO", target.path())), 400, "unknown_provider"),
        ("a provider with more behind it", to(format!("{}?provider=xero%00", target.path())), 400, "unknown_provider"),
        ("an empty provider", to(format!("{}?provider=", target.path())), 400, "unknown_provider"),
        ("a long provider", to(format!("{}?provider={}", target.path(), "x".repeat(3_000))), 400, "unknown_provider"),
        (
            "a provider that nobody paired",
            to(format!("{}?provider=freeagent", target.path())),
            400,
            "no_active_binding",
        ),
        // Keys.
        ("a key of 129", key(&"k".repeat(129)), 400, "invalid_idempotency_key"),
        ("a key of 3,000", key(&"k".repeat(3_000)), 400, "invalid_idempotency_key"),
    ];
    for (what, ask, status, code) in &cases {
        target.gets(what, ask, *status, code).await?;
    }
    // Two of a header: whichever counts, it is one of them, and never a fault.
    for (first, second) in [(target.token(), "abc".to_owned()), ("abc".to_owned(), target.token())] {
        let ask = target.delivery(7).says("{}").without("Authorization");
        let ask = ask.with("Authorization", bearer(first)).with("Authorization", bearer(second));
        let answer = decided(&target.base, &ask).await?;
        let told = [(401, "unauthorised"), (400, "invalid_magento_entity_id")];
        ensure!(told.contains(&(answer.status, answer.code())), "two tokens: {answer:?}");
    }
    // Routes that there are not, and methods of the one that there is: the gateway's own refusal. It takes a slash that is
    // encoded for one.
    for (method, path) in [
        ("GET", target.path()),
        ("PUT", target.path()),
        ("DELETE", target.path()),
        ("PATCH", target.path()),
        ("POST", "/webhooks/magento".to_owned()),
        ("POST", format!("/webhooks/magento/{tenant}")),
        ("POST", format!("{}/more", target.path())),
        ("POST", format!("/webhooks/shopify/{tenant}/invoice.created")),
        ("POST", format!("/WEBHOOKS/magento/{tenant}/invoice.created")),
        ("POST", "/webhooks/magento/..%2f..%2fv1/invoice.created".to_owned()),
        ("POST", format!("/webhooks/magento/{tenant}/..%2f..%2f..%2fv1%2ftenant%2fdisconnect")),
    ] {
        let ask = Ask { method, path: path.clone(), ..target.delivery(7) };
        let answer = speaks(&target.base, &ask).await?;
        ensure!([403, 404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
    }
    // What other proxies would believe is not believed.
    let headers = [
        ("X-Original-URL", "/v1/me"),
        ("X-Rewrite-URL", "/v1/me"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Amzn-Oidc-Data", "x"),
        ("Expect", "200-ok"),
        ("Cookie", "session=1"),
    ];
    for (name, value) in headers {
        let ask = target.delivery(7).without("Authorization").with(name, value);
        target.gets(name, &ask, 401, "unauthorised").await?;
    }
    target.has(0, 0).await?;
    // A key of 128 letters, and none, are as good as any.
    target.gets("a key of 128", &key(&"k".repeat(128)), 202, "").await?;
    target.gets("no key", &target.delivery(9).without("Idempotency-Key"), 202, "").await?;
    target.has(2, 2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_token_that_is_no_good_opens_nothing() -> anyhow::Result<()> {
    let Some(target) = Target::start("operated").await? else { return Ok(()) };
    let good = target.deployed.setting("OPERATOR_TOKEN")?;
    let parts: Vec<&str> = good.split('.').collect();
    let [head, claims, signature] = parts[..] else { bail!("another shape of token") };
    let decoded = |part: &str| -> anyhow::Result<Value> { Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?) };
    let (header, said) = (decoded(head)?, decoded(claims)?);
    let put = |value: &Value, name: &str, to: Value| {
        let mut value = value.clone();
        value[name] = to;
        value.to_string()
    };
    // With the signature that was good for another header or other claims.
    let kept = |header: String, claims: String| {
        format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    };
    let mut bad: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("RS384")),
        ("alg", json!("rs256")),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' UNION SELECT 'x")),
        ("kid", json!("https://evil.example/keys")),
        ("kid", json!("")),
        ("kid", json!(null)),
        ("jku", json!("https://evil.example/keys")),
        ("jwk", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})),
        ("crit", json!(["exp"])),
    ] {
        bad.push((format!("{name} {value}"), bearer(kept(put(&header, name, value), said.to_string()))));
    }
    // Symmetric, under a key that anybody can make up from such a header.
    for kid in ["../../../../dev/null", ""] {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid}).to_string();
        bad.push((format!("HS256 under nothing, kid {kid:?}"), bearer(signed(&header, &said.to_string(), b""))));
    }
    for (name, value) in [
        ("exp", json!(now_seconds() + 7_200)),
        ("exp", json!(i64::MAX)),
        ("iss", json!("https://evil.example")),
        ("client_id", json!("another")),
        ("token_use", json!("id")),
        ("cognito:groups", json!(["admin", "tenant:*"])),
    ] {
        bad.push((format!("{name} {value}"), bearer(kept(header.to_string(), put(&said, name, value)))));
    }
    for cut in [1, head.len(), good.len() / 2, good.len() - 1] {
        bad.push((format!("the first {cut} bytes"), bearer(&good[..cut])));
    }
    bad.push(("an empty signature".to_owned(), bearer(format!("{head}.{claims}."))));
    bad.push(("four parts".to_owned(), bearer(format!("{good}.{signature}"))));
    bad.push(("other dots".to_owned(), bearer(good.replace('.', "\u{2024}"))));
    bad.push(("bytes that are no text".to_owned(), bearer(b"\xff\xfe.\xc3\x28.\x80")));
    bad.push(("8,193 bytes".to_owned(), bearer("a".repeat(8_193))));
    bad.push(("the shop's".to_owned(), bearer(target.token())));
    bad.push(("another scheme".to_owned(), format!("Basic {}", STANDARD.encode(format!("admin:{good}"))).into_bytes()));
    bad.push(("a scheme alone".to_owned(), b"Bearer ".to_vec()));
    let connect = json!({"magento_base_url": target.deployed.shop.url(),
        "pairing_code": target.deployed.shop.shows_pairing_code("xero")});
    let app = json!({"client_id": "theirs", "client_secret": "theirs"});
    let routes = [
        ("me", Ask::new("GET", "/v1/me")),
        ("runs", Ask::new("GET", format!("/v1/tenants/{}/runs", target.tenant()))),
        ("app", Ask::new("PUT", format!("/v1/bindings/{}/app", target.deployed.binding)).says(app.to_string())),
        ("pairing", Ask::new("POST", "/v1/magento/connect?provider=xero").says(connect.to_string())),
    ];
    let key = target.deployed.shop.key();
    for (what, value) in &bad {
        for (route, ask) in &routes {
            let ask = ask.clone().with("Content-Type", "application/json").with("Authorization", value.clone());
            let answer = speaks(&target.base, &ask).await?;
            ensure!((answer.status, answer.code()) == (401, "unauthorised"), "{what}, {route}: {answer:?}");
        }
    }
    ensure!(target.deployed.shop.key() == key && key.is_some(), "somebody paired the shop anew");
    target.has(0, 0).await?;
    // With the good one: what is no body, or leads elsewhere.
    let with = |ask: Ask| ask.with("Content-Type", "application/json").with("Authorization", bearer(&good));
    let app = format!("/v1/bindings/{}/app", target.deployed.binding);
    let padded = |bytes: usize| {
        let begin = r#"{"client_id":""#;
        format!("{begin}{}\"}}", "x".repeat(bytes - begin.len() - 2)).into_bytes()
    };
    // Longest body that the API reads, in bytes.
    const API_BODY_MAX: usize = 262_144;
    let cases = [
        ("no body", with(Ask::new("PUT", &app)), 400, "invalid"),
        ("deep", with(Ask::new("PUT", &app).says(b"[".repeat(60_000))), 400, "invalid"),
        ("deep inside", with(Ask::new("PUT", &app).says(br#"{"hosts":"#.repeat(9_000))), 400, "invalid"),
        ("twice", with(Ask::new("PUT", &app).says(r#"{"client_id":"a","client_id":"b"}"#)), 400, "invalid"),
        ("a fraction", with(Ask::new("PUT", &app).says(r#"{"client_id":1.5e309}"#)), 400, "invalid"),
        ("no text", with(Ask::new("PUT", &app).says(b"{\"client_id\":\"\xff\"}".to_vec())), 400, "invalid_format"),
        ("a byte too many", with(Ask::new("PUT", &app).says(padded(API_BODY_MAX + 1))), 413, "body_too_large"),
        ("as many as may be", with(Ask::new("PUT", &app).says(padded(API_BODY_MAX))), 400, "invalid_format"),
        ("a way up", with(Ask::new("GET", "/v1/tenants/..%2f..%2fme")), 404, "not_found"),
        ("a nought", with(Ask::new("GET", "/v1/tenants/x%00")), 404, "not_found"),
        ("a binding that is none", with(Ask::new("GET", "/v1/bindings/x%2fy")), 404, "not_found"),
        ("a route that is none", with(Ask::new("GET", "/v1/../../etc/passwd")), 404, "not_found"),
    ];
    for (what, ask, status, code) in &cases {
        let answer = speaks(&target.base, ask).await.with_context(|| (*what).to_owned())?;
        ensure!((answer.status, answer.code()) == (*status, *code), "{what}: {answer:?}, not {status} {code}");
    }
    let me = speaks(&target.base, &with(Ask::new("GET", "/v1/me"))).await?;
    ensure!(me.status == 200 && me.body["role"] == "admin", "{me:?}");
    target.has(0, 0).await
}
