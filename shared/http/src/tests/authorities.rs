use super::{TIMEOUT_MS, local, public, server};
use crate::Http;
use ledger_engine::dialects::Reply;
use ledger_engine::ports::{Access, Ask, Authorities as _, AuthorityCall, TransportFault};
use secrecy::SecretString;
use server::{Act, Server, answer};

async fn ask(http: &Http, url: &str, ask: Ask, access: Access<'_>) -> Result<Reply, TransportFault> {
    http.authorities().call(&AuthorityCall { url, ask, access, timeout_ms: TIMEOUT_MS }).await
}

#[tokio::test]
async fn a_form_goes_out_with_whose_it_is() {
    let token: SecretString = "the-token".into();
    let secret: SecretString = "the-secret".into();
    let form = || Ask::Post(vec![("grant_type", "refresh_token".into()), ("refresh_token", "GB/1 a".into())]);
    let check = async |asked: Ask, access: Access<'_>, line: &str, authorization: Option<&str>, body: &str| {
        let server = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
        let reply = ask(&local(), &format!("{}/connect/token", server.url()), asked, access).await.unwrap();
        assert_eq!((reply.status, reply.body), (200, b"{}".to_vec()));
        let seen = server.seen().remove(0);
        assert!(seen.text.starts_with(line), "{}", seen.text);
        assert_eq!(seen.header("authorization").as_deref(), authorization);
        assert_eq!(seen.header("accept").as_deref(), Some("application/json"));
        assert_eq!(seen.body(), body);
        let kind = (!body.is_empty()).then_some("application/x-www-form-urlencoded");
        assert_eq!(seen.header("content-type").as_deref(), kind);
    };
    let sent = "grant_type=refresh_token&refresh_token=GB%2F1%20a";
    let basic = Access::Basic { client_id: "client", secret: &secret };
    check(form(), basic, "POST /connect/token ", Some("Basic Y2xpZW50OnRoZS1zZWNyZXQ="), sent).await;
    check(form(), Access::Open, "POST /connect/token ", None, sent).await;
    let bearer = || Access::Bearer(&token);
    check(Ask::Get, bearer(), "GET /connect/token ", Some("Bearer the-token"), "").await;
    check(Ask::Delete, bearer(), "DELETE /connect/token ", Some("Bearer the-token"), "").await;
}

#[tokio::test]
async fn only_public_addresses_are_asked_and_no_redirect_followed() {
    let server = Server::start(Act::Say(answer("302 Found", "Location: https://elsewhere.example/\r\n", ""))).await;
    let url = format!("{}/token", server.url());
    assert_eq!(ask(&local(), &url, Ask::Get, Access::Open).await.unwrap().status, 302);
    let refused = ask(&public(), &url, Ask::Get, Access::Open).await;
    assert!(matches!(refused, Err(TransportFault::AddressRefused(_))), "{refused:?}");
    for url in ["https://127.0.0.1/token", "https://user@identity.example/token", "identity.example/token", ""] {
        let refused = ask(&public(), url, Ask::Get, Access::Open).await;
        assert!(matches!(refused, Err(TransportFault::AddressRefused(_))), "{url}: {refused:?}");
    }
    assert_eq!(server.seen().len(), 1);
}
