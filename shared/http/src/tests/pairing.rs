use super::{TIMEOUT_MS, local, public, server};
use ledger_engine::dialects::Reply;
use ledger_engine::ports::{PairCall, Shop as _, TransportFault};
use secrecy::SecretString;
use server::{Act, Server, answer};

const PATH: &str = "/rest/V1/byte8/setup/pair";
const BODY: &str = r#"{"pairing_code":"deadbeefcafef00d0123456789abcdef","byte8_api_key":"ledger_lk_0"}"#;

async fn pair(http: &crate::Http, shop_url: &str, path: &str) -> Result<Reply, TransportFault> {
    let body = SecretString::from(BODY);
    let call = PairCall { shop_url, path, body: &body, timeout_ms: TIMEOUT_MS };
    assert!(!format!("{call:?}").contains("deadbeef"), "code and key are not shown");
    http.shop().pair(&call).await
}

#[tokio::test]
async fn a_pairing_route_is_sent_no_token() {
    let server = Server::start(Act::Say(answer("200 OK", "", "[]"))).await;
    let reply = pair(&local(), &format!("{}/index.php", server.url()), PATH).await.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"[]".as_slice()));
    let seen = &server.seen()[0];
    assert!(seen.text.starts_with("POST /index.php/rest/V1/byte8/setup/pair HTTP/1.1"), "{}", seen.text);
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(seen.body(), BODY);
}

#[tokio::test]
async fn a_refusal_and_a_redirect_are_answers() {
    for (status, headers) in
        [("401 Unauthorized", ""), ("301 Moved Permanently", "Location: https://other.example/\r\n")]
    {
        let server = Server::start(Act::Say(answer(status, headers, "{}"))).await;
        let reply = pair(&local(), &server.url(), PATH).await.unwrap();
        assert!(status.starts_with(&reply.status.to_string()), "{status}: {}", reply.status);
        assert_eq!(server.seen().len(), 1, "nothing is followed");
    }
}

#[tokio::test]
async fn a_code_goes_to_no_private_address_and_nowhere_else_on_the_shop() {
    let server = Server::start(Act::Say(answer("200 OK", "", "[]"))).await;
    let refused = |result| matches!(result, Err(TransportFault::AddressRefused(_)));
    for url in [server.url(), format!("https://127.0.0.1:{}", server.port), "https://169.254.169.254".to_owned()] {
        assert!(refused(pair(&public(), &url, PATH).await), "{url}");
    }
    for path in ["/admin", "rest/V1", "/rest/../admin"] {
        assert!(refused(pair(&local(), &server.url(), path).await), "{path}");
    }
    assert!(server.seen().is_empty());
}
