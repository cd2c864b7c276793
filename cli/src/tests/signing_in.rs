//! Signing in against an issuer in this process.

use super::server::{Fake, Scripted};
use crate::args::Cli;
use crate::commands::done;
use crate::failure::Failure;
use crate::keep;
use crate::session::Session;
use crate::shown::Shown;
use crate::signin::{challenge, discovery};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser;
use ledger_aws::engine::ports::{Chance as _, Clock};
use ledger_aws::{SystemChance, SystemClock};
use ledger_http::parameters_of;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const CODE: &str = "the-code";
const SECRETS: [&str; 4] = [CODE, "access-1", "access-2", "refresh-"];

/// Two ports of this machine, of which the first is taken.
fn ports() -> (TcpListener, [u16; 2]) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [&taken, &free].map(|it| it.local_addr().unwrap().port());
    (taken, ports)
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("ledger-sign-in-{}", SystemChance.uuid()))
}

fn parameter(address: &str, name: &str) -> String {
    let target = format!("/{}", address.split_once('?').unwrap().1.replacen("", "x?", 1));
    let (_, parameters) = parameters_of(&target).unwrap();
    parameters.into_iter().find(|it| it.0 == name).unwrap().1
}

/// Goes to the program's own page, and gives the status.
fn call(port: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split(' ').nth(1).unwrap().to_owned()
}

fn port_of(address: &str) -> String {
    let redirect = parameter(address, "redirect_uri");
    redirect.trim_start_matches("http://localhost:").trim_end_matches("/callback").to_owned()
}

/// A browser that a person signs in with; before that somebody tries codes of their own.
fn honest(address: &str) {
    let (port, state) = (port_of(address), parameter(address, "state"));
    std::thread::spawn(move || {
        assert_eq!(call(&port, "/callback?code=forged"), "400");
        assert_eq!(call(&port, "/callback?code=forged&state=guessed"), "400");
        assert_eq!(call(&port, "/favicon.ico"), "404");
        assert_eq!(call(&port, &format!("/callback?code={CODE}&state={state}")), "200");
    });
}

/// A person who says no.
fn unwilling(address: &str) {
    let (port, state) = (port_of(address), parameter(address, "state"));
    std::thread::spawn(move || call(&port, &format!("/callback?error=access_denied&state={state}")));
}

async fn ran(fake: &Fake, person: &Scripted, file: &Path, ports: &[u16], words: &str) -> Result<Shown, Failure> {
    let cli = Cli::try_parse_from(words.split(' ')).unwrap();
    let url = fake.url.clone();
    let variables = |name: &str| match name {
        "LEDGER_URL" | "OIDC_ISSUER" => Some(url.clone()),
        "OIDC_CLIENT_ID" => Some("client-1".to_owned()),
        "ALLOW_PRIVATE_ADDRESSES" => Some("true".to_owned()),
        _ => None,
    };
    let session = Session { ports, ..Session::new(person, &SystemClock, &variables, None, Some(file.to_owned())) };
    let outcome = done(&session, &cli.command).await;
    let said = match &outcome {
        Ok(shown) => format!("{}{}", shown.text, shown.json),
        Err(failure) => format!("{}{}", failure.shown(false), failure.shown(true)),
    };
    for secret in SECRETS {
        assert!(!said.contains(secret) && !person.told().contains(secret), "{words}: {secret}");
    }
    outcome
}

async fn issuer() -> Fake {
    let fake = Fake::start().await;
    let url = &fake.url;
    fake.answers(
        "GET /.well-known/openid-configuration",
        200,
        json!({"issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
            "revocation_endpoint": format!("{url}/revoke")}),
    );
    fake.answers("GET /v1/me", 200, json!({"subject": "s", "role": "admin", "tenants": null}));
    fake
}

#[tokio::test]
async fn a_person_signs_in_stays_so_and_signs_out() {
    let (fake, file, (_taken, ports)) = (issuer().await, folder().join("deep").join("sign-in.json"), ports());
    let tokens = |number: u32, lifetime: i64| {
        json!({"access_token": format!("access-{number}"), "refresh_token": format!("refresh-{number}"),
            "expires_in": lifetime, "token_type": "Bearer"})
    };
    // The first one is as good as over.
    fake.answers("POST /token", 200, tokens(1, 30));
    fake.answers("POST /token", 200, tokens(2, 3_600));
    fake.answers("POST /revoke", 200, "");
    let person = Scripted { browser: Some(honest), ..Scripted::default() };
    let shown = ran(&fake, &person, &file, &ports, "ledger login").await.unwrap();
    assert!(shown.text.contains("admin"));

    let address = person.opened.lock().unwrap()[0].clone();
    assert_eq!(port_of(&address), ports[1].to_string(), "the first port that is free");
    assert_eq!(parameter(&address, "scope"), "openid");
    assert_eq!(parameter(&address, "code_challenge_method"), "S256");
    let form = fake.seen().iter().find(|it| it.line == "POST /token").unwrap().body.clone();
    let verifier = parameter(&format!("x?{form}"), "code_verifier");
    assert!(verifier.len() >= 43);
    assert_eq!(parameter(&address, "code_challenge"), challenge(&verifier));
    assert_eq!(parameter(&format!("x?{form}"), "code"), CODE);
    assert!(!address.contains(&verifier));

    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

    // It is refreshed once, and the new tokens are kept.
    for _ in 0..2 {
        ran(&fake, &person, &file, &ports, "ledger whoami").await.unwrap();
    }
    let refreshes = fake.seen().iter().filter(|it| it.body.contains("grant_type=refresh_token")).count();
    assert_eq!(refreshes, 1);
    let last = fake.seen().iter().rfind(|it| it.line == "GET /v1/me").unwrap().authorization.clone();
    assert_eq!(last.as_deref(), Some("Bearer access-2"));

    ran(&fake, &person, &file, &ports, "ledger logout").await.unwrap();
    assert!(fake.seen().iter().any(|it| it.line == "POST /revoke" && it.body.contains("token=refresh-2")));
    assert!(!std::fs::read_to_string(&file).unwrap().contains("refresh-2"));
    let failure = ran(&fake, &person, &file, &ports, "ledger whoami").await.unwrap_err();
    assert_eq!(failure.code(), "signed_out");
    std::fs::remove_dir_all(file.parent().unwrap().parent().unwrap()).unwrap();
}

#[tokio::test]
async fn no_sign_in_comes_of_a_refusal() {
    let (_taken, ports) = ports();
    let cases: [(fn(&str), _, _); 3] = [
        (unwilling, None, "not_signed_in"),
        (honest, Some((400, json!({"error": "invalid_grant", "error_description": "the-code is spent"}))), "issuer"),
        (honest, Some((200, json!({"no": "token"}))), "issuer"),
    ];
    for (browser, token, code) in cases {
        let (fake, file) = (issuer().await, folder().join("sign-in.json"));
        if let Some((status, body)) = token {
            fake.answers("POST /token", status, body);
        }
        let person = Scripted { browser: Some(browser), ..Scripted::default() };
        let failure = ran(&fake, &person, &file, &ports, "ledger login").await.unwrap_err();
        assert_eq!(failure.code(), code);
        assert!(!file.exists());
    }
}

#[tokio::test]
async fn an_issuer_that_says_it_is_another_is_refused() {
    let (fake, file, (_taken, ports)) = (Fake::start().await, folder().join("sign-in.json"), ports());
    let url = &fake.url;
    fake.answers(
        "GET /.well-known/openid-configuration",
        200,
        json!({"issuer": "https://another.example", "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token")}),
    );
    let person = Scripted { browser: Some(honest), ..Scripted::default() };
    let failure = ran(&fake, &person, &file, &ports, "ledger login").await.unwrap_err();
    assert_eq!((failure.code(), person.opened.lock().unwrap().len()), ("issuer", 0));
}

#[tokio::test]
async fn a_refused_refresh_signs_out_and_a_token_is_for_one_stack() {
    let (fake, file, (_taken, ports)) = (issuer().await, folder().join("sign-in.json"), ports());
    fake.answers("POST /token", 400, json!({"error": "invalid_grant"}));
    let mut kept = keep::Kept::default();
    let sign_in = |url: &str, expires_at: i64| keep::SignIn {
        url: url.to_owned(),
        issuer: fake.url.clone(),
        client_id: "client-1".to_owned(),
        access_token: "access-1".to_owned(),
        refresh_token: Some("refresh-1".to_owned()),
        expires_at,
    };
    // Somebody is signed in, but to another stack.
    kept.put(sign_in("https://another.example", SystemClock.now_ms() + 3_600_000));
    keep::write(&file, &kept).unwrap();
    let person = Scripted::default();
    assert_eq!(ran(&fake, &person, &file, &ports, "ledger whoami").await.unwrap_err().code(), "signed_out");
    assert!(fake.seen().is_empty());

    kept.put(sign_in(&fake.url, 0));
    keep::write(&file, &kept).unwrap();
    assert_eq!(ran(&fake, &person, &file, &ports, "ledger whoami").await.unwrap_err().code(), "signed_out");
    assert!(fake.seen().iter().all(|it| it.line != "GET /v1/me"));

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(ran(&fake, &person, &file, &ports, "ledger whoami").await.unwrap_err().code(), "sign_in_file");
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[test]
fn the_token_of_a_stacks_file_is_shown_to_no_other_stack_and_not_when_it_is_over() {
    let person = Scripted::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let token = |end: i64| format!("x.{}.y", URL_SAFE_NO_PAD.encode(json!({"exp": end}).to_string()));
    let soon = SystemClock.now_ms() / 1_000 + 60;
    for (url, token, shown) in [
        (None, "token".to_owned(), true),
        (None, token(soon), true),
        (None, token(soon - 120), false),
        (Some("https://one.example"), token(soon), true),
        (Some("https://two.example"), token(soon), false),
    ] {
        let variables = |name: &str| match name {
            "LEDGER_URL" => Some("https://one.example/".to_owned()),
            "OPERATOR_TOKEN" => Some(token.clone()),
            _ => None,
        };
        let session = Session::new(&person, &SystemClock, &variables, url, Some(folder().join("none.json")));
        assert_eq!(runtime.block_on(session.api()).is_ok(), shown, "{url:?}");
    }
}

#[test]
fn an_issuer_says_what_it_is_below_its_address() {
    let pool = "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_abc";
    let check = |issuer: &str, engine: Option<&str>, expected: &str| assert_eq!(discovery(issuer, engine), expected);
    check(pool, None, &format!("{pool}/.well-known/openid-configuration"));
    check(pool, Some("http://127.0.0.1:4566"), "http://127.0.0.1:4566/eu-west-2_abc/.well-known/openid-configuration");
    check("https://id.example/realm/", None, "https://id.example/realm/.well-known/openid-configuration");
    check("https://id.example", Some("http://127.0.0.1:4566"), "https://id.example/.well-known/openid-configuration");
}
