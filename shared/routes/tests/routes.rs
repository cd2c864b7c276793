//! What the routes refuse before anything is asked of a store, and that the document in `docs` is theirs.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger_aws::{Aws, Config, SystemChance, SystemClock};
use ledger_engine::config::Timers;
use ledger_engine::ports::{Clock, IssuerKeys, PortFault, PortResult};
use ledger_engine::signin::{Issuer, SignIn};
use ledger_engine::tally::Tally;
use ledger_engine::tenants::TenantMemory;
use ledger_http::{Http, HttpConfig};
use ledger_routes::{Api, BODY_MAX_BYTES, document, router};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tower::ServiceExt as _;

/// A key made for tests; it signs nothing else.
const KEY: &[u8] = include_bytes!("../../engine/src/signin/test_key_1.der");
const ISSUER: &str = "https://issuer.example/pool";
/// Largest answer that is looked at, in bytes.
const ANSWER_MAX_BYTES: usize = 1_024 * 1_024;
/// The variable that renews `docs/openapi.json`.
const RENEW: &str = "RENEW_OPENAPI";

struct Published;

#[async_trait]
impl IssuerKeys for Published {
    async fn keys(&self) -> PortResult<Vec<u8>> {
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let pair = RsaKeyPair::from_pkcs8(KEY).map_err(|error| PortFault::Inconsistent(error.to_string()))?;
        let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
        let key = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k-1", "n": number(&n), "e": number(&e)});
        Ok(json!({"keys": [key]}).to_string().into_bytes())
    }
}

fn token(groups: &[&str]) -> anyhow::Result<String> {
    let now = SystemClock.now_ms().div_euclid(1_000);
    let claims = json!({"iss": ISSUER, "sub": "u-1", "client_id": "ours", "token_use": "access", "iat": now,
        "exp": now + 600, "cognito:groups": groups});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "RS256", "kid": "k-1"})), part(&claims));
    let pair = RsaKeyPair::from_pkcs8(KEY).map_err(anyhow::Error::msg)?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
        .map_err(anyhow::Error::msg)?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The routes over adapters whose other side is nobody.
fn api() -> anyhow::Result<axum::Router> {
    let lookup = |name: &str| {
        Some(match name {
            "AWS_REGION" => "eu-west-1".to_owned(),
            "AWS_ENDPOINT_URL" => "http://127.0.0.1:9".to_owned(),
            name if name.starts_with("TABLE_") || name.starts_with("AWS_") || name == "KMS_KEY_ID" => "none".to_owned(),
            _ => return None,
        })
    };
    let aws = Aws::new(&Config::from_lookup(&lookup)?)?;
    let http = Http::new(&HttpConfig::from_lookup(&lookup)?)?;
    Ok(router(Arc::new(Api {
        store: Box::new(aws.store()),
        queue: Box::new(aws.queue()),
        vault: Box::new(aws.vault()),
        shop: Box::new(http.shop()),
        book: Box::new(http.book()),
        authorities: Box::new(http.authorities()),
        clock: Box::new(SystemClock),
        chance: Box::new(SystemChance),
        issuer_keys: Box::new(Published),
        sign_in: SignIn::new(Issuer {
            issuer: ISSUER.to_owned(),
            audiences: BTreeSet::from(["ours".to_owned()]),
            groups_claim: "cognito:groups".to_owned(),
        }),
        timers: Timers::default(),
        memory: TenantMemory::default(),
        tally: Tally::default(),
        public_url: Some("https://ledger.example".to_owned()),
    })))
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }
}

async fn asks(method: &str, path: &str, groups: Option<&[&str]>, body: Option<&str>) -> anyhow::Result<Answer> {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes())?).uri(path);
    if let Some(groups) = groups {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token(groups)?));
    }
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let answer = api()?.oneshot(request.body(Body::from(body.unwrap_or_default().to_owned()))?).await?;
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, ANSWER_MAX_BYTES).await?;
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}

const ADMIN: Option<&[&str]> = Some(&["admin"]);
const VIEWER: Option<&[&str]> = Some(&["viewer", "tenant:t-1"]);

#[tokio::test]
async fn requests_that_nobody_can_answer() -> anyhow::Result<()> {
    let large = format!("{{\"client_id\":\"{}\"}}", "x".repeat(BODY_MAX_BYTES));
    let app = "/v1/apps/xero";
    let secret = r#"{"client_id":"ours","client_secret":"told"}"#;
    let pairing = r#"{"magento_base_url":"https://shop.example","pairing_code":"0123456789"}"#;
    let pair = "/v1/magento/connect";
    let (requeue, told) = ("/v1/dead-letters/requeue", "/v1/tenants/t-1/notices");
    let nobody = r#"{"revision":0,"recipients":[]}"#;
    let no_address = pairing.replace("https://", "");
    for (what, (method, path, groups, body), (status, code)) in [
        ("no such route", ("GET", "/v1/nothing", None, None), (404, "not_found")),
        ("no such method", ("DELETE", "/v1/me", None, None), (405, "method_not_allowed")),
        ("no token", ("GET", "/v1/me", None, None), (401, "unauthorised")),
        ("no group of ours", ("GET", "/v1/me", Some(&["accounting"][..]), None), (403, "no_role")),
        ("not JSON", ("PUT", app, ADMIN, Some("{")), (400, "invalid")),
        ("no body", ("PUT", app, ADMIN, None), (400, "invalid")),
        (
            "a field that nobody knows",
            ("PUT", app, ADMIN, Some(r#"{"client_id":"a","clientid":"b"}"#)),
            (400, "invalid"),
        ),
        (
            "a query that nobody knows",
            ("POST", "/v1/magento/connect?povider=xero", ADMIN, Some(pairing)),
            (400, "invalid"),
        ),
        ("a body that is too large", ("PUT", app, ADMIN, Some(large.as_str())), (413, "body_too_large")),
        ("not an administrator", ("PUT", app, Some(&["operator", "tenant:*"][..]), Some(secret)), (403, "forbidden")),
        ("a viewer who pairs", ("POST", pair, VIEWER, Some(pairing)), (403, "forbidden")),
        ("a shop without an address", ("POST", pair, ADMIN, Some(no_address.as_str())), (400, "invalid")),
        ("not a tenant's id", ("GET", "/v1/tenants/a%23b", ADMIN, None), (400, "invalid")),
        ("no text", ("GET", "/v1/tenants/%ff", ADMIN, None), (400, "invalid")),
        ("somebody else's tenant", ("GET", "/v1/tenants/t-2", VIEWER, None), (403, "forbidden")),
        ("not a binding's id", ("GET", "/v1/bindings/%00", ADMIN, None), (400, "invalid")),
        ("not a run's id", ("POST", "/v1/runs/seven/retry", ADMIN, None), (400, "invalid")),
        ("not a state", ("GET", "/v1/tenants/t-1/runs?state=lost", ADMIN, None), (400, "invalid")),
        ("not a cursor", ("GET", "/v1/tenants/t-1/runs?after=WyIiLDFd", ADMIN, None), (400, "invalid")),
        ("not a cursor at all", ("GET", "/v1/tenants/t-1/runs?after=%00", ADMIN, None), (400, "invalid")),
        ("dead letters of no kind", ("POST", requeue, ADMIN, Some("{}")), (400, "invalid")),
        ("of two kinds", ("POST", requeue, ADMIN, Some(r#"{"code":"crashed","family":"settings"}"#)), (400, "invalid")),
        ("of a code that is none", ("POST", requeue, ADMIN, Some(r#"{"code":"broke"}"#)), (400, "invalid")),
        ("of a family that is none", ("GET", "/v1/dead-letters?family=smith", ADMIN, None), (400, "invalid")),
        ("a viewer who tries again", ("POST", requeue, VIEWER, Some(r#"{"code":"crashed"}"#)), (403, "forbidden")),
        ("a viewer who has others told", ("PUT", told, VIEWER, Some(nobody)), (403, "forbidden")),
        ("somebody else's notices", ("GET", "/v1/tenants/t-2/notices", VIEWER, None), (403, "forbidden")),
        ("recipients in no shape", ("PUT", told, ADMIN, Some(r#"{"revision":0}"#)), (400, "invalid")),
        ("a store that does not answer", ("GET", "/v1/tenants/t-1", ADMIN, None), (503, "store_unavailable")),
    ] {
        let answer = asks(method, path, groups, body).await?;
        ensure!((answer.status.as_u16(), answer.code()) == (status, code), "{what}: {} {}", answer.status, answer.body);
        ensure!(answer.header(header::CACHE_CONTROL) == "no-store", "{what}: may be kept");
        ensure!(answer.header(header::X_CONTENT_TYPE_OPTIONS) == "nosniff", "{what}: may be taken for something else");
        ensure!((answer.header(header::WWW_AUTHENTICATE) == "Bearer") == (status == 401), "{what}: a challenge");
        ensure!((answer.header(header::ALLOW) == "GET,HEAD") == (status == 405), "{what}: {:?}", answer.headers);
        ensure!(answer.header(header::RETRY_AFTER).is_empty() == (status != 503), "{what}: when to try again");
        ensure!(!answer.body.to_string().contains("told"), "{what}: a secret");
    }
    Ok(())
}

#[tokio::test]
async fn pages_refuse_on_a_page() -> anyhow::Result<()> {
    for path in ["/oauth/callback", "/oauth/callback?state=a&state=b", "/oauth/link/%ff"] {
        let answer = asks("GET", path, None, None).await?;
        ensure!(answer.status.is_client_error(), "{path}: {}", answer.status);
        ensure!(answer.header(header::CONTENT_TYPE).starts_with("text/html"), "{path}: {:?}", answer.headers);
        ensure!(answer.header(header::CONTENT_SECURITY_POLICY).contains("default-src 'none'"), "{path}");
    }
    Ok(())
}

/// Lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_line_of_the_log_says_who_did_what_and_nothing_else() -> anyhow::Result<()> {
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || written.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let secret = r#"{"client_id":"an-app","client_secret":"told","clientid":"x"}"#;
    asks("PUT", "/v1/apps/xero", ADMIN, Some(secret)).await?;
    asks("GET", "/oauth/callback?state=a-state&code=a-code&state=b", None, None).await?;
    asks("GET", "/oauth/link/a-link%ff", None, None).await?;
    drop(guard);
    let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = String::from_utf8(bytes)?;
    let requests: Vec<&str> = text.lines().filter(|line| line.contains(r#""message":"request""#)).collect();
    ensure!(requests.len() == 3, "{text}");
    let first: Value = serde_json::from_str(requests.first().context("a line")?)?;
    let said = ["route", "status", "operator", "outcome"].map(|name| first["fields"][name].to_string());
    ensure!(said == [r#""/v1/apps/{provider}""#, "400", r#""u-1""#, r#""bad""#], "{first}");
    let signed = token(&["admin"])?;
    let head = signed.get(..40).context("a token")?;
    for secret in ["told", "an-app", "a-state", "a-code", "a-link", "Bearer", head] {
        ensure!(!text.contains(secret), "{secret}: {text}");
    }
    Ok(())
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let of_path = item.as_object().into_iter().flatten();
        of_path.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    })
}

#[test]
fn every_operation_is_described() -> anyhow::Result<()> {
    let document: Value = serde_json::from_str(&document())?;
    let mut ids = BTreeSet::new();
    let mut public = Vec::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().context(name.clone())?;
        ensure!(ids.insert(id.to_owned()), "{name}: {id} is another's");
        ensure!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{name}: no summary");
        ensure!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{name}: no tag");
        let security = operation["security"].as_array().context(name.clone())?;
        if security.is_empty() {
            public.push(name.clone());
        }
        let responses = operation["responses"].as_object().context(name.clone())?;
        ensure!(responses.contains_key("401") != security.is_empty(), "{name}: 401");
        ensure!(responses.contains_key("413") == operation.get("requestBody").is_some(), "{name}: 413");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in &parameters {
            let described = parameter["description"].as_str().is_some_and(|text| !text.is_empty());
            ensure!(described, "{name}: {}", parameter["name"]);
        }
        for (status, response) in responses {
            let content = response["content"].as_object();
            let has_schema = content.is_some_and(|content| content.values().all(|it| it.get("schema").is_some()));
            ensure!(has_schema || status == "303", "{name}: {status} without a schema");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        ensure!(document["components"]["schemas"].get(reference).is_some(), "{reference} is named and not there");
    }
    public.sort();
    let expected = [
        "GET /embed/{tenant}",
        "GET /oauth/callback",
        "GET /oauth/link/{token}",
        "GET /openapi.json",
        "POST /oauth/link/{token}",
    ];
    ensure!(public == expected, "who needs no token: {public:?}");
    Ok(())
}

#[tokio::test]
async fn without_a_token_nobody_gets_anywhere() -> anyhow::Result<()> {
    let document: Value = serde_json::from_str(&document())?;
    for (name, operation) in operations(&document) {
        let (method, path) = name.split_once(' ').context(name.clone())?;
        let path = path.replace("{magento_id}", "1").replace(['{', '}'], "");
        let body = operation.get("requestBody").map(|_| "{}");
        let needs = operation["security"].to_string();
        if needs.contains("operator") {
            let answer = asks(method, &path, None, body).await?;
            ensure!(answer.status == StatusCode::UNAUTHORIZED, "{name}: {}", answer.status);
            let stranger = asks(method, &path, Some(&["somebody"]), body).await?;
            ensure!(stranger.code() == "no_role", "{name}: {}", stranger.body);
        }
    }
    Ok(())
}

#[test]
fn the_document_in_docs_is_of_these_routes() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let made = document();
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&path, &made)?;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let (line, (kept, made)) = match kept.lines().zip(made.lines()).enumerate().find(|(_, (one, other))| one != other) {
        Some((line, differ)) => (line, differ),
        None => (kept.lines().count(), ("", "")),
    };
    ensure!(
        kept == made && std::fs::read_to_string(&path).unwrap_or_default() == document(),
        "docs/openapi.json differs from line {} on: it has {kept}, the routes have {made}; `make openapi` renews it",
        line + 1
    );
    Ok(())
}
