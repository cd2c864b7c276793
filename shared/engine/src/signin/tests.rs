use super::*;
use async_trait::async_trait;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// Keys made for these tests; they sign nothing else.
const OURS: &[u8] = include_bytes!("test_key_1.der");
const A_STRANGERS: &[u8] = include_bytes!("test_key_2.der");
const NOW_SECONDS: i64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.example/pool";

struct Published {
    keys: Mutex<Option<Value>>,
    asked: AtomicUsize,
}

#[async_trait]
impl IssuerKeys for Published {
    async fn keys(&self) -> crate::ports::PortResult<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let keys = self.keys.lock().unwrap().clone();
        keys.map(|keys| keys.to_string().into_bytes()).ok_or_else(|| PortFault::Unavailable("down".to_owned()))
    }
}

struct At(AtomicI64);

#[async_trait]
impl Clock for At {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    async fn sleep_ms(&self, _: u64) {}
}

fn pair(pkcs8: &[u8]) -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(pkcs8).unwrap()
}

fn public(pkcs8: &[u8], kid: &str) -> Value {
    let pair = pair(pkcs8);
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
    json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": number(&n), "e": number(&e)})
}

fn signed(header: &Value, claims: &Value, pkcs8: &[u8], how: &'static dyn RsaEncoding) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let pair = pair(pkcs8);
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(how, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "k-1"})
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "u-1", "client_id": "ours", "token_use": "access", "iat": NOW_SECONDS - 10,
        "exp": NOW_SECONDS + 7_200, "cognito:groups": ["operator", "tenant:t-1"]})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn sign_in() -> SignIn {
    SignIn::new(Issuer {
        issuer: ISSUER.to_owned(),
        audiences: BTreeSet::from(["ours".to_owned(), "https://api.example".to_owned()]),
        groups_claim: "cognito:groups".to_owned(),
    })
}

fn published() -> Published {
    Published { keys: Mutex::new(Some(json!({"keys": [public(OURS, "k-1")]}))), asked: AtomicUsize::new(0) }
}

fn done<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn run(sign_in: &SignIn, keys: &Published, clock: &At, token: &str) -> Result<Caller, NotSignedIn> {
    done(sign_in.caller(Some(&format!("Bearer {token}")), keys, clock))
}

fn asked_with(token: &str) -> Result<Caller, NotSignedIn> {
    run(&sign_in(), &published(), &At(AtomicI64::new(NOW_SECONDS * 1_000)), token)
}

#[test]
fn a_token_of_the_issuer_signs_its_operator_in() {
    let caller = asked_with(&signed(&header(), &claims(), OURS, &RSA_PKCS1_SHA256)).unwrap();
    assert_eq!(caller, Caller::new("u-1", Role::Operator, &["t-1"]));
    assert!(caller.acts_on("t-1") && !caller.acts_on("t-2") && !caller.sees("t-2") && !caller.has_every_tenant());
    let other = without(with(claims(), "aud", json!(["x", "https://api.example"])), "client_id");
    assert!(asked_with(&signed(&header(), &without(other, "token_use"), OURS, &RSA_PKCS1_SHA256)).is_ok());
}

#[test]
fn whoever_is_not_who_they_say_is_refused() {
    let check = |name: &str, token: String| {
        assert_eq!(asked_with(&token), Err(NotSignedIn::Unauthorised), "{name}");
    };
    let good = |claims: &Value| signed(&header(), claims, OURS, &RSA_PKCS1_SHA256);
    check("nothing", String::new());
    check("two parts", "a.b".to_owned());
    check("four parts", format!("{}.x", good(&claims())));
    check("huge", "a".repeat(TOKEN_LENGTH_MAX + 1));
    check("unsigned", {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({"alg": "none", "kid": "k-1"})), part(&claims()))
    });
    check("a stranger's key", signed(&header(), &claims(), A_STRANGERS, &RSA_PKCS1_SHA256));
    check("another hash", signed(&header(), &claims(), OURS, &RSA_PKCS1_SHA512));
    check(
        "the key as a shared secret",
        signed(&json!({"alg": "HS256", "kid": "k-1"}), &claims(), OURS, &RSA_PKCS1_SHA256),
    );
    check("no key named", signed(&json!({"alg": "RS256"}), &claims(), OURS, &RSA_PKCS1_SHA256));
    check("an unknown key", signed(&json!({"alg": "RS256", "kid": "../k-1"}), &claims(), OURS, &RSA_PKCS1_SHA256));
    check(
        "an extension",
        signed(&json!({"alg": "RS256", "kid": "k-1", "crit": ["x"]}), &claims(), OURS, &RSA_PKCS1_SHA256),
    );
    check("another issuer", good(&with(claims(), "iss", json!("https://issuer.example/pool2"))));
    check("another client", good(&with(claims(), "client_id", json!("theirs"))));
    check("an identity token", good(&with(claims(), "token_use", json!("id"))));
    for mark in ["nonce", "at_hash", "c_hash"] {
        check("another issuer's identity token", good(&without(with(claims(), mark, json!("x")), "token_use")));
    }
    check(
        "an identity token by its audience",
        good(&without(with(with(claims(), "aud", json!("ours")), "token_use", json!("id")), "client_id")),
    );
    check("another audience", good(&with(without(claims(), "client_id"), "aud", json!(["theirs"]))));
    check("no audience", good(&without(claims(), "client_id")));
    check("our client, made for another service", good(&with(claims(), "aud", json!("theirs"))));
    check("nobody", good(&with(claims(), "sub", json!(""))));
    check("expired", good(&with(claims(), "exp", json!(NOW_SECONDS - SKEW_SECONDS))));
    check("for ever", good(&with(claims(), "exp", json!(NOW_SECONDS + 10 * LIFE_MAX_SECONDS))));
    check("not yet", good(&with(claims(), "nbf", json!(NOW_SECONDS + SKEW_SECONDS + 1))));
    check("issued tomorrow", good(&with(claims(), "iat", json!(NOW_SECONDS + 100))));
    check("text for a time", good(&with(claims(), "exp", json!("1900000000"))));
    let mut changed = good(&claims());
    changed.pop();
    check("a cut signature", changed);
    let nobody = done(sign_in().caller(None, &published(), &At(AtomicI64::new(0))));
    assert_eq!(nobody, Err(NotSignedIn::Unauthorised));
}

#[test]
fn groups_make_roles_and_tenants() {
    let check = |groups: Value, expected: Result<Caller, NotSignedIn>| {
        let token = signed(&header(), &with(claims(), "cognito:groups", groups), OURS, &RSA_PKCS1_SHA256);
        assert_eq!(asked_with(&token), expected);
    };
    check(json!([]), Err(NotSignedIn::NoRole));
    check(json!("admin"), Err(NotSignedIn::NoRole));
    check(json!(["tenant:t-1", "Admin", "administrators"]), Err(NotSignedIn::NoRole));
    check(json!(["viewer"]), Ok(Caller::new("u-1", Role::Viewer, &[])));
    check(json!(["viewer", "operator", "tenant:*"]), Ok(Caller::new("u-1", Role::Operator, &["*"])));
    check(json!(["admin", "viewer", 7]), Ok(Caller::new("u-1", Role::Admin, &[])));
    let admin = Caller::new("u", Role::Admin, &[]);
    assert!(admin.acts_on("any") && admin.tenants().is_none());
    let viewer = Caller::new("u", Role::Viewer, &["t-1"]);
    assert!(viewer.sees("t-1") && !viewer.acts_on("t-1"));
    let all = Caller::new("u", Role::Viewer, &["*"]);
    assert!(all.sees("t-9") && !all.acts_on("t-9"));
}

#[test]
fn keys_are_remembered_and_asked_for_again_when_they_turn() {
    let (sign_in, keys, clock) = (sign_in(), published(), At(AtomicI64::new(NOW_SECONDS * 1_000)));
    let token = signed(&header(), &claims(), OURS, &RSA_PKCS1_SHA256);
    let turned = signed(&json!({"alg": "RS256", "kid": "k-2"}), &claims(), A_STRANGERS, &RSA_PKCS1_SHA256);
    let asked = |token: &str, after_ms: i64| {
        clock.0.fetch_add(after_ms, Ordering::SeqCst);
        (run(&sign_in, &keys, &clock, token).is_ok(), keys.asked.load(Ordering::SeqCst))
    };
    assert_eq!(asked(&token, 0), (true, 1));
    assert_eq!(asked(&token, 1_000), (true, 1));
    // A forged key id doesn't make us ask the issuer each time.
    assert_eq!(asked(&turned, 1_000), (false, 1));
    *keys.keys.lock().unwrap() = Some(json!({"keys": [public(OURS, "k-1"), public(A_STRANGERS, "k-2")]}));
    assert_eq!(asked(&turned, KEYS_ASKED_AGAIN_MS), (true, 2));
    // What was withdrawn counts until the keys are read again, an hour later at the latest.
    *keys.keys.lock().unwrap() = Some(json!({"keys": [public(A_STRANGERS, "k-2")]}));
    assert_eq!(asked(&token, 1_000), (true, 2));
    assert_eq!(asked(&token, KEYS_REMEMBERED_MS), (false, 3));
    *keys.keys.lock().unwrap() = None;
    clock.0.fetch_add(KEYS_ASKED_AGAIN_MS, Ordering::SeqCst);
    assert_eq!(run(&sign_in, &keys, &clock, &token), Err(NotSignedIn::IssuerUnavailable));
}
