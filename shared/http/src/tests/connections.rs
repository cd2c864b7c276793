use super::{Script, TIMEOUT_MS, ask_book, ask_shop, call, local, read, server, write};
use crate::address::{LookedUp, Lookup};
use crate::{Http, HttpConfig};
use ledger_engine::dialects::Method;
use ledger_engine::ports::{Book, BookCall, Shop, TransportFault};
use secrecy::SecretString;
use server::{Act, Server, answer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::test]
async fn no_connection_serves_twice() {
    let server = Server::start(Act::Say(answer("200 OK", "Connection: keep-alive\r\n", "{}"))).await;
    let http = local();
    for _ in 0..3 {
        read(&http, &server.url()).await.unwrap();
        write(&http, &server.url()).await.unwrap();
        ask_shop(&http, &server.url(), "/rest/V1/byte8/ping", None).await.unwrap();
    }
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, (0..9).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_nothing() {
    let keep = "Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n";
    for act in [
        // It promises to keep the connection, and is gone with the second request.
        Act::SayOnce(answer("200 OK", keep, "{}")),
        // It promises to keep the connection, and closes it with the answer.
        Act::SayAndClose(answer("200 OK", keep, "{}")),
    ] {
        let server = Server::start(act).await;
        let http = local();
        for _ in 0..20 {
            assert_eq!(write(&http, &server.url()).await.unwrap().status, 200);
            assert_eq!(read(&http, &server.url()).await.unwrap().status, 200);
        }
        assert_eq!(server.seen().len(), 40);
    }
}

#[tokio::test]
async fn clones_share_nothing_that_hurts() {
    let server = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    let book = local().book();
    let url = server.url();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (book, url) = (book.clone(), url.clone());
            tokio::spawn(async move {
                let call = call(Method::Post, "/v2/invoices", &[], Some("{}"));
                let token = SecretString::from("token");
                let asked =
                    BookCall { base_url: &url, token: &token, call: &call, writes: true, timeout_ms: TIMEOUT_MS };
                book.send(&asked).await.unwrap().status
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 200);
    }
    assert_eq!(server.connections(), 16);
}

#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for fault in [
        write(&local(), &format!("http://127.0.0.1:{port}")).await.unwrap_err(),
        write(&local(), &format!("http://localhost:{port}")).await.unwrap_err(),
        write(&local(), &format!("https://127.0.0.1:{port}")).await.unwrap_err(),
        ask_shop(&local(), &format!("http://127.0.0.1:{port}"), "/rest/V1/byte8/ping", None).await.unwrap_err(),
    ] {
        assert!(matches!(fault, TransportFault::NotSent(_)), "{fault:?}");
    }
}

struct Silent;

impl Lookup for Silent {
    fn lookup(&self, _: &str) -> LookedUp {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_too_long_is_not_sent() {
    let http = Http::with_lookup(&HttpConfig::default(), Arc::new(Silent)).unwrap();
    let fault = write(&http, "https://book.example").await.unwrap_err();
    assert!(matches!(fault, TransportFault::NotSent(_)), "{fault:?}");

    // Who allows less than a connection may take is not told how far it got.
    let asked = call(Method::Post, "/v2/invoices", &[], Some("{}"));
    let fault = ask_book(&http, "https://book.example", &asked, 1_000).await.unwrap_err();
    assert!(matches!(fault, TransportFault::NoAnswer(_)), "{fault:?}");
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_refuses() {
    let server = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    let script = Arc::new(Script::of(&[&["127.0.0.9", "127.0.0.1"]]));
    let config = HttpConfig { allow_private_addresses: true, extra_ca_pem: None };
    let http = Http::with_lookup(&config, script).unwrap();
    assert_eq!(write(&http, &format!("http://book.example:{}", server.port)).await.unwrap().status, 200);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_no_header_is_not_sent() {
    let server = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    let asked = call(Method::Get, "/v2/company", &[], None);
    for token in ["a\r\nX-Evil: 1", "a\nb", "a\u{0}"] {
        let (url, token) = (server.url(), SecretString::from(token));
        let book = BookCall { base_url: &url, token: &token, call: &asked, writes: false, timeout_ms: TIMEOUT_MS };
        let fault = local().book().send(&book).await.unwrap_err();
        assert_eq!(fault, TransportFault::NotSent("the token can't be sent".to_owned()));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_reset_after_the_request_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // Closing with bytes unread makes it a reset.
        stream.readable().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
    let fault = write(&local(), &url).await.unwrap_err();
    assert!(matches!(fault, TransportFault::NoAnswer(_)), "{fault:?}");
    task.await.unwrap();
}

#[test]
fn everything_can_be_cloned_and_shared() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    // Made outside of any runtime.
    let http = local();
    is_shared(&http);
    is_shared(&http.shop());
    is_shared(&http.book());
    let _: (Arc<dyn Shop>, Arc<dyn Book>) = (Arc::new(http.shop()), Arc::new(http.book()));
}
