use super::server::{Act, Server, answer};
use super::{local, public};
use crate::{ApiBody, ApiCall, ApiMethod, address_with, parameters_of};
use ledger_engine::ports::TransportFault;
use secrecy::SecretString;

const TIMEOUT_MS: u64 = 20_000;

#[tokio::test]
async fn a_request_of_the_command_line_is_what_was_asked_for() {
    let server = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    let api = local().api(&format!("{}/live", server.url()));
    let token = SecretString::from("operators-token");
    let query = [("state".to_owned(), "dead lettered+".to_owned())];
    let call =
        |method, body, bearer| ApiCall { method, path: "/v1/me", query: &query, bearer, body, timeout_ms: TIMEOUT_MS };
    assert_eq!(api.send(&call(ApiMethod::Get, ApiBody::Nothing, Some(&token))).await.unwrap().status, 200);
    api.send(&call(ApiMethod::Put, ApiBody::Json("{\"a\":1}".to_owned()), Some(&token))).await.unwrap();
    api.send(&call(ApiMethod::Post, ApiBody::Form(&[("code", "a b&c=d")]), None)).await.unwrap();
    let seen = server.seen();
    assert!(seen[0].text.starts_with("GET /live/v1/me?state=dead%20lettered%2B HTTP/1.1"), "{}", seen[0].text);
    assert_eq!(seen[0].header("authorization").as_deref(), Some("Bearer operators-token"));
    assert_eq!((seen[1].header("content-type").as_deref(), seen[1].body()), (Some("application/json"), "{\"a\":1}"));
    assert_eq!(seen[2].body(), "code=a+b%26c%3Dd");
    assert_eq!(seen[2].header("authorization"), None);
}

#[tokio::test]
async fn plain_http_is_spoken_to_this_machine_only() {
    for (http, base, refused) in [
        (local(), "http://10.1.2.3", true),
        (local(), "http://shop.example", true),
        (public(), "http://127.0.0.1:1", true),
        (public(), "https://127.0.0.1:1", true),
        (local(), "http://127.0.0.1:1", false),
    ] {
        let call = ApiCall {
            method: ApiMethod::Get,
            path: "/v1/me",
            query: &[],
            bearer: None,
            body: ApiBody::Nothing,
            timeout_ms: TIMEOUT_MS,
        };
        let fault = http.api(base).send(&call).await.unwrap_err();
        assert_eq!(matches!(fault, TransportFault::AddressRefused(_)), refused, "{base}: {fault}");
    }
}

#[test]
fn a_browser_is_sent_to_the_web_only() {
    let check = |address: &str, expected: Option<&str>| {
        assert_eq!(address_with(address, &[("state", "a b")]).as_deref(), expected, "{address}");
    };
    check("https://issuer.example/authorize", Some("https://issuer.example/authorize?state=a+b"));
    check("https://issuer.example/authorize?tenant=1", Some("https://issuer.example/authorize?tenant=1&state=a+b"));
    check("http://localhost:4566/authorize", Some("http://localhost:4566/authorize?state=a+b"));
    check("http://issuer.example/authorize", None);
    check("file:///etc/passwd", None);
    check("javascript:alert(1)", None);
    check("https://user:word@issuer.example/", None);
}

#[test]
fn parameters_are_read_from_a_target() {
    let (path, parameters) = parameters_of("/callback?code=a%20b%2B&state=s").unwrap();
    assert_eq!(path, "/callback");
    assert_eq!(parameters, [("code".to_owned(), "a b+".to_owned()), ("state".to_owned(), "s".to_owned())]);
    assert_eq!(parameters_of("http://elsewhere.example/callback"), None);
}
