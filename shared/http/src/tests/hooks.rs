use super::{TIMEOUT_MS, local, public, server};
use crate::Http;
use ledger_engine::dialects::Reply;
use ledger_engine::ports::{HookCall, Hooks as _, TransportFault};
use server::{Act, Server, answer};

async fn post(http: &Http, url: &str) -> Result<Reply, TransportFault> {
    let headers = [("ledger-timestamp", "2000016000".to_owned()), ("ledger-signature", "v1=00".to_owned())];
    http.hooks().post(&HookCall { url, body: r#"{"v":1}"#, headers: &headers, timeout_ms: TIMEOUT_MS }).await
}

#[tokio::test]
async fn a_webhook_gets_the_body_as_it_was_signed() {
    let server = Server::start(Act::Say(answer("204 No Content", "", ""))).await;
    let reply = post(&local(), &format!("{}/hooks/ledger?key=a%20b", server.url())).await.unwrap();
    assert_eq!(reply.status, 204);
    let seen = server.seen();
    let request = seen[0].text.to_lowercase();
    for part in [
        "post /hooks/ledger?key=a%20b http/1.1",
        "ledger-timestamp: 2000016000",
        "ledger-signature: v1=00",
        "content-type: application/json",
        r#"{"v":1}"#,
    ] {
        assert!(request.contains(part), "no {part:?} in {request}");
    }
    assert!(!request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn only_public_addresses_are_spoken_to() {
    let server = Server::start(Act::Say(answer("200 OK", "", ""))).await;
    let port = server.url().rsplit(':').next().unwrap_or_default().to_owned();
    for url in [
        server.url(),
        format!("https://127.0.0.1:{port}/"),
        "https://127.0.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[::1]/".to_owned(),
        "https://10.0.0.1/".to_owned(),
        "https://user:password@hooks.example/".to_owned(),
        "no address".to_owned(),
    ] {
        let result = post(&public(), &url).await;
        assert!(matches!(result, Err(TransportFault::AddressRefused(_))), "{url}: {result:?}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start(Act::Say(answer("307 Temporary Redirect", "Location: /other\r\n", ""))).await;
    assert_eq!(post(&local(), &server.url()).await.unwrap().status, 307);
    assert_eq!(server.seen().len(), 1);
}
