//! Signing in: OpenID Connect's authorization code with PKCE, over a port of this machine.
//!
//! Source: RFC 8252 (OAuth for native apps) §7.3 and §8.1, RFC 7636 (PKCE) §4, RFC 6749 §4.1 and §6, RFC 7009 (revocation),
//! OpenID Connect Discovery 1.0 §4. The access token is shown to the stack, which checks it; the id token is not read.

use crate::failure::Failure;
use crate::keep::SignIn;
use crate::person::Person;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger_aws::engine::ports::{Chance, Clock};
use ledger_http::{ApiBody, ApiCall, ApiMethod, Http, address_with, parameters_of, split_address};
use serde::Deserialize;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The ports that the client is registered with, tried in order.
pub(crate) const PORTS: [u16; 3] = [8250, 8251, 8252];
/// How long a person may take to sign in, in milliseconds.
const SIGN_IN_MS: u64 = 300_000;
/// How long the issuer may take, in milliseconds.
const ISSUER_MS: u64 = 15_000;
/// A token that ends within so many milliseconds is not used any more.
const MARGIN_MS: i64 = 60_000;
/// How long an access token is taken to be good where the issuer doesn't say, in seconds.
const LIFETIME_SECONDS: i64 = 300;
/// Most bytes of a request of the browser.
const REQUEST_BYTES_MAX: usize = 16 * 1_024;
/// How long the browser may take to send one, in milliseconds.
const REQUEST_MS: u64 = 5_000;

/// What an issuer says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Issuer {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
}

/// Tokens as an issuer gives them. Has no `Debug`.
#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
}

/// What an issuer says of a refusal.
#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
}

fn issuer_failure(what: &str) -> Failure {
    Failure::fault(
        "issuer",
        format!("The issuer {what}."),
        "Compare OIDC_ISSUER and OIDC_CLIENT_ID with the stack's outputs OidcIssuer and OidcClientId.",
    )
}

/// Where an issuer says what it is. On a local engine its own address is the engine's, and the pool's name the path.
pub(crate) fn discovery(issuer: &str, engine: Option<&str>) -> String {
    let (_, pool) = split_address(issuer);
    let base = match engine {
        Some(engine) if issuer.contains("://cognito-idp.") => format!("{}{pool}", engine.trim_end_matches('/')),
        _ => issuer.to_owned(),
    };
    format!("{}/.well-known/openid-configuration", base.trim_end_matches('/'))
}

async fn send(http: &Http, method: ApiMethod, address: &str, body: ApiBody<'_>) -> Result<(u16, Vec<u8>), Failure> {
    let (base, path) = split_address(address);
    let call = ApiCall { method, path, query: &[], bearer: None, body, timeout_ms: ISSUER_MS };
    let reply = http.api(base).send(&call).await?;
    Ok((reply.status, reply.body))
}

/// Asks an issuer what it is.
pub(crate) async fn discover(http: &Http, issuer: &str, engine: Option<&str>) -> Result<Issuer, Failure> {
    let (status, body) = send(http, ApiMethod::Get, &discovery(issuer, engine), ApiBody::Nothing).await?;
    if status != 200 {
        return Err(issuer_failure(&format!("answered HTTP {status} when it was asked what it is")));
    }
    let found: Issuer =
        serde_json::from_slice(&body).map_err(|_| issuer_failure("gave an answer that can't be read"))?;
    // Discovery §4.3: who says so has to be who was asked.
    let is_it = |told: &str| told.trim_end_matches('/') == issuer.trim_end_matches('/');
    if is_it(&found.issuer) { Ok(found) } else { Err(issuer_failure("says that it is another")) }
}

/// A secret that is used once: 244 bits, in characters that need no encoding.
fn once(chance: &dyn Chance) -> String {
    format!("{}{}", chance.uuid(), chance.uuid()).replace('-', "")
}

/// What the issuer is shown of a verifier.
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()))
}

/// The first of the ports that is free.
async fn listener(ports: &[u16]) -> Result<(TcpListener, u16), Failure> {
    for port in ports {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", *port)).await {
            return Ok((listener, *port));
        }
    }
    Err(Failure::fault(
        "ports_taken",
        format!("The ports {ports:?} of this machine are all taken."),
        "End another `ledger login`, or whatever listens there, and try again.",
    ))
}

/// Signs a person in.
pub(crate) struct Login<'a> {
    pub(crate) http: &'a Http,
    pub(crate) person: &'a dyn Person,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) chance: &'a dyn Chance,
    pub(crate) engine: Option<&'a str>,
    pub(crate) ports: &'a [u16],
    pub(crate) browser: bool,
}

impl Login<'_> {
    /// Has the person sign in at the issuer, and takes the tokens.
    pub(crate) async fn sign_in(&self, url: &str, issuer: &str, client_id: &str) -> Result<SignIn, Failure> {
        let found = discover(self.http, issuer, self.engine).await?;
        let (listener, port) = listener(self.ports).await?;
        let (verifier, state) = (once(self.chance), once(self.chance));
        let redirect = format!("http://localhost:{port}/callback");
        let parameters = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect.as_str()),
            ("scope", "openid"),
            ("state", state.as_str()),
            ("code_challenge", &challenge(&verifier)),
            ("code_challenge_method", "S256"),
        ];
        let address = address_with(&found.authorization_endpoint, &parameters)
            .ok_or_else(|| issuer_failure("has no page that a browser may be sent to"))?;
        if self.browser && self.person.open(&address) {
            self.person.tell(&format!("A page opens in your browser. If it doesn't, open this:\n{address}"));
        } else {
            self.person.tell(&format!("Open this in a browser of this machine:\n{address}"));
        }
        let code = tokio::time::timeout(Duration::from_millis(SIGN_IN_MS), called_back(&listener, &state))
            .await
            .unwrap_or_else(|_| Err(Failure::fault("timed_out", "Nobody signed in for five minutes.", "Try again.")))?;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("code", code.as_str()),
            ("redirect_uri", redirect.as_str()),
            ("code_verifier", verifier.as_str()),
        ];
        let (status, body) = send(self.http, ApiMethod::Post, &found.token_endpoint, ApiBody::Form(&form)).await?;
        let tokens = tokens(status, &body)?;
        Ok(kept(tokens, None, url, issuer, client_id, self.clock.now_ms()))
    }
}

fn tokens(status: u16, body: &[u8]) -> Result<Tokens, Failure> {
    if status != 200 {
        let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
        let code: String =
            refused.error.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '_').take(60).collect();
        return Err(issuer_failure(format!("gave no token: HTTP {status} {code}").trim_end()));
    }
    serde_json::from_slice(body).map_err(|_| issuer_failure("gave an answer that can't be read"))
}

fn kept(tokens: Tokens, before: Option<&SignIn>, url: &str, issuer: &str, client_id: &str, now: i64) -> SignIn {
    let lifetime = tokens.expires_in.unwrap_or(LIFETIME_SECONDS).saturating_mul(1_000);
    SignIn {
        url: url.to_owned(),
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
        access_token: tokens.access_token,
        // An issuer that does not rotate them says nothing of the old one.
        refresh_token: tokens.refresh_token.or_else(|| before.and_then(|it| it.refresh_token.clone())),
        expires_at: now.saturating_add(lifetime),
    }
}

/// True where the access token is not good for another request.
pub(crate) const fn is_over(sign_in: &SignIn, now: i64) -> bool {
    sign_in.expires_at.saturating_sub(MARGIN_MS) <= now
}

/// When a token ends, in milliseconds since 1970, as far as it says so (`exp`, RFC 7519 §4.1.4). The stack checks it; here it is
/// only known when to ask for another.
pub(crate) fn ends(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.exp.saturating_mul(1_000))
}

/// The same sign-in with a new access token.
pub(crate) async fn refreshed(
    http: &Http,
    sign_in: &SignIn,
    engine: Option<&str>,
    clock: &dyn Clock,
) -> Result<SignIn, Failure> {
    let Some(refresh) = sign_in.refresh_token.as_deref() else { return Err(Failure::signed_out()) };
    let found = discover(http, &sign_in.issuer, engine).await?;
    let form = [("grant_type", "refresh_token"), ("client_id", sign_in.client_id.as_str()), ("refresh_token", refresh)];
    let (status, body) = send(http, ApiMethod::Post, &found.token_endpoint, ApiBody::Form(&form)).await?;
    if matches!(status, 400 | 401) {
        return Err(Failure::signed_out());
    }
    let (url, issuer, client) = (&sign_in.url, &sign_in.issuer, &sign_in.client_id);
    Ok(kept(tokens(status, &body)?, Some(sign_in), url, issuer, client, clock.now_ms()))
}

/// Tells the issuer that nobody uses the sign-in any more; false where it can't be told.
pub(crate) async fn revoke(http: &Http, sign_in: &SignIn, engine: Option<&str>) -> bool {
    let Some(refresh) = sign_in.refresh_token.as_deref() else { return false };
    let Ok(Issuer { revocation_endpoint: Some(address), .. }) = discover(http, &sign_in.issuer, engine).await else {
        return false;
    };
    let form = [("token", refresh), ("client_id", sign_in.client_id.as_str())];
    matches!(send(http, ApiMethod::Post, &address, ApiBody::Form(&form)).await, Ok((200, _)))
}

/// Waits until the browser comes back with our state, and gives the code. Whatever else calls is turned away.
async fn called_back(listener: &TcpListener, state: &str) -> Result<String, Failure> {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let waiting = tokio::time::timeout(Duration::from_millis(REQUEST_MS), target(&mut stream)).await;
        let Some((path, parameters)) = waiting.ok().flatten().as_deref().and_then(parameters_of) else {
            answer(&mut stream, "400 Bad Request", "This is not a page.").await;
            continue;
        };
        let value = |name: &str| parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
        if path != "/callback" {
            answer(&mut stream, "404 Not Found", "There is no such page.").await;
        } else if value("state") != Some(state) {
            answer(&mut stream, "400 Bad Request", "This sign-in was not begun here.").await;
        } else if let Some(code) = value("code").filter(|code| !code.is_empty()) {
            answer(&mut stream, "200 OK", "You are signed in. This page can be closed.").await;
            return Ok(code.to_owned());
        } else {
            answer(&mut stream, "200 OK", "You are not signed in. This page can be closed.").await;
            return Err(Failure::fault(
                "not_signed_in",
                "The issuer did not sign you in.",
                "Try again with `ledger login`.",
            ));
        }
    }
}

/// What the first line of a request asks for.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1_024];
    while !bytes.windows(4).any(|it| it == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(chunk.get(..read)?);
        if bytes.len() > REQUEST_BYTES_MAX {
            return None;
        }
    }
    let head = String::from_utf8(bytes).ok()?;
    let mut words = head.lines().next()?.split(' ');
    (words.next()? == "GET").then_some(())?;
    words.next().map(str::to_owned)
}

async fn answer(stream: &mut TcpStream, status: &str, sentence: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>Ledger</title><p>{sentence}</p>");
    let head = "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
                Content-Security-Policy: default-src 'none'\r\nConnection: close";
    let text = format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
