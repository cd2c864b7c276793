use super::{API_KEY, TOKEN, ask_book, ask_shop, call, local, read, server, write};
use crate::BOOK_BODY_MAX;
use ledger_engine::dialects::Method;
use ledger_engine::ports::TransportFault;
use server::{Act, Server, answer};
use std::time::Duration;

const NONE: Duration = Duration::ZERO;

fn no_answer(fault: &TransportFault) -> bool {
    matches!(fault, TransportFault::NoAnswer(_))
}

#[tokio::test]
async fn a_request_to_a_book_is_what_was_asked_for() {
    let server = Server::start(Act::Say(answer("201 Created", "X-Request-Id: r-1\r\n", r#"{"url":"x"}"#))).await;
    let asked = call(Method::Post, "/v2/invoices", &[("a", "b c"), ("d", "e&f")], Some(r#"{"invoice":"ä"}"#));
    let reply = ask_book(&local(), &server.url(), &asked, super::TIMEOUT_MS).await.unwrap();
    assert_eq!(reply.status, 201);
    assert_eq!(reply.request_id.as_deref(), Some("r-1"));
    assert_eq!(reply.retry_after_seconds, None);
    assert_eq!(reply.body, br#"{"url":"x"}"#);

    let seen = &server.seen()[0];
    assert!(seen.text.starts_with("POST /v2/invoices?a=b%20c&d=e%26f HTTP/1.1\r\n"), "{}", seen.text);
    assert_eq!(seen.header("authorization").unwrap(), format!("Bearer {TOKEN}"));
    assert_eq!(seen.header("accept").unwrap(), "application/json");
    assert_eq!(seen.header("content-type").unwrap(), "application/json");
    assert_eq!(seen.header("user-agent").unwrap(), concat!("Ledger/", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen.header("host").unwrap(), format!("127.0.0.1:{}", server.port));
    assert_eq!(seen.body(), r#"{"invoice":"ä"}"#);
    for absent in ["accept-encoding", "cookie", "referer", "expect", "transfer-encoding"] {
        assert_eq!(seen.header(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn methods_are_sent_as_they_are() {
    let server = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    for method in [Method::Get, Method::Post, Method::Put] {
        let body = (method != Method::Get).then_some("{}");
        ask_book(&local(), &server.url(), &call(method, "/a", &[], body), super::TIMEOUT_MS).await.unwrap();
        let seen = server.seen().pop().unwrap();
        assert!(seen.text.starts_with(&format!("{} /a HTTP/1.1\r\n", method.as_str())), "{}", seen.text);
        assert_eq!(seen.header("content-type").is_some(), body.is_some());
    }
}

#[tokio::test]
async fn a_request_to_a_shop_is_a_get_or_a_post() {
    let server = Server::start(Act::Say(answer("200 OK", "", "[]"))).await;
    let base = format!("{}/store/", server.url());
    let reply = ask_shop(&local(), &base, "/rest/V1/byte8/invoice/42", None).await.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"[]"[..]));
    ask_shop(&local(), &base, "/rest/V1/byte8/sync-state", Some(r#"{"a":1}"#)).await.unwrap();

    let seen = server.seen();
    assert!(seen[0].text.starts_with("GET /store/rest/V1/byte8/invoice/42 HTTP/1.1\r\n"));
    assert_eq!(seen[0].header("content-type"), None);
    assert!(seen[1].text.starts_with("POST /store/rest/V1/byte8/sync-state HTTP/1.1\r\n"));
    assert_eq!(seen[1].header("content-type").unwrap(), "application/json");
    assert_eq!(seen[1].body(), r#"{"a":1}"#);

    let elsewhere = ask_shop(&local(), &base, "/admin", None).await;
    assert!(matches!(elsewhere, Err(TransportFault::AddressRefused(_))));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn any_status_is_an_answer() {
    for status in
        ["200 OK", "204 No Content", "304 Not Modified", "400 Bad", "401 No", "404 ", "429 Slow", "500 E", "599 X"]
    {
        let body = if status.starts_with("204") || status.starts_with("304") { "" } else { "{}" };
        let server = Server::start(Act::Say(answer(status, "", body))).await;
        let reply = write(&local(), &server.url()).await.unwrap();
        assert_eq!(reply.status.to_string(), status[..3]);
        assert_eq!(server.connections(), 1, "one call, one request: {status}");
    }
}

#[tokio::test]
async fn redirects_are_answers_too() {
    let elsewhere = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let location = format!("Location: {}/v2/elsewhere\r\n", elsewhere.url());
        let server = Server::start(Act::Say(answer(status, &location, ""))).await;
        for reply in [
            read(&local(), &server.url()).await.unwrap(),
            write(&local(), &server.url()).await.unwrap(),
            ask_shop(&local(), &server.url(), "/rest/V1/byte8/ping", None).await.unwrap(),
        ] {
            assert_eq!(reply.status.to_string(), status[..3]);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn early_hints_are_not_the_answer() {
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let server = Server::start(Act::Say(format!("{hints}{}", answer("201 Created", "", "{}")))).await;
    assert_eq!(write(&local(), &server.url()).await.unwrap().status, 201);
}

#[tokio::test]
async fn half_an_answer_is_none() {
    for half in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"url\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"ur",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"ur\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\u{0}\u{1}\u{2}",
    ] {
        let server = Server::start(Act::SayAndClose(half.to_owned())).await;
        let fault = write(&local(), &server.url()).await.unwrap_err();
        assert!(no_answer(&fault), "{half:?}: {fault:?}");
        assert_eq!(server.seen().len(), 1, "nothing is sent twice: {half:?}");
    }
}

#[tokio::test]
async fn a_drip_ends_with_the_time_allowed() {
    let drip = Duration::from_millis(20);
    for act in [
        Act::Hang,
        Act::Repeat("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".into(), "x".into(), drip),
        Act::Repeat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "1\r\nx\r\n".into(), drip),
        Act::Repeat("HTTP/1.1 200 OK\r\n".into(), "X-A: b\r\n".into(), drip),
        Act::Repeat(String::new(), "HTTP/1.1 100 Continue\r\n\r\n".into(), drip),
    ] {
        let server = Server::start(act).await;
        let asked = call(Method::Post, "/v2/invoices", &[], Some("{}"));
        let http = local();
        let url = server.url();
        let answered = tokio::time::timeout(Duration::from_secs(10), ask_book(&http, &url, &asked, 300)).await;
        let fault = answered.expect("it ends by itself").unwrap_err();
        assert!(no_answer(&fault), "{fault:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn no_time_is_no_request() {
    let server = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    let fault = ask_book(&local(), &server.url(), &call(Method::Get, "/a", &[], None), 0).await.unwrap_err();
    assert!(matches!(fault, TransportFault::NotSent(_)), "{fault:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_limit() {
    let block = "x".repeat(65_536);
    for act in [
        Act::Repeat(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            format!("10000\r\n{block}\r\n"),
            NONE,
        ),
        Act::Repeat("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".into(), block.clone(), NONE),
        Act::Say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BOOK_BODY_MAX + 1)),
        Act::Say("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551614\r\n\r\n".into()),
    ] {
        let server = Server::start(act).await;
        for fault in [
            read(&local(), &server.url()).await.unwrap_err(),
            ask_shop(&local(), &server.url(), "/rest/V1/byte8/invoice/1", None).await.unwrap_err(),
        ] {
            assert!(no_answer(&fault) && fault.to_string().contains("too large"), "{fault:?}");
        }
    }
    for headers in [format!("X-A: {}\r\n", "x".repeat(1_000_000)), "X-A: b\r\n".repeat(200)] {
        let server = Server::start(Act::Say(answer("200 OK", &headers, "{}"))).await;
        let fault = read(&local(), &server.url()).await.unwrap_err();
        assert!(no_answer(&fault), "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_of_the_limit_is_read() {
    let server = Server::start(Act::Say(answer("200 OK", "", &"x".repeat(BOOK_BODY_MAX)))).await;
    assert_eq!(read(&local(), &server.url()).await.unwrap().body.len(), BOOK_BODY_MAX);
}

#[tokio::test]
async fn nothing_is_unpacked() {
    let server = Server::start(Act::Say(answer("200 OK", "Content-Encoding: gzip\r\n", "not gzip at all"))).await;
    assert_eq!(read(&local(), &server.url()).await.unwrap().body, b"not gzip at all");
}

#[tokio::test]
async fn retry_after_counts_where_it_is_seconds() {
    for (value, expected) in [
        ("0", Some(0)),
        ("5", Some(5)),
        (" 60 ", Some(60)),
        ("86400", Some(86_400)),
        ("86401", Some(86_400)),
        ("99999999999999999999999", Some(86_400)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("five", None),
        ("٣", None),
        ("Fri, 20 Nov 2026 09:30:00 GMT", None),
    ] {
        let server = Server::start(Act::Say(answer("429 Slow", &format!("Retry-After: {value}\r\n"), "{}"))).await;
        let reply = read(&local(), &server.url()).await.unwrap();
        assert_eq!(reply.retry_after_seconds, expected, "{value:?}");
    }
    let server = Server::start(Act::Say(answer("503 Later", "", "{}"))).await;
    assert_eq!(read(&local(), &server.url()).await.unwrap().retry_after_seconds, None);
}

#[tokio::test]
async fn request_ids_are_short_and_plain() {
    let long = "x".repeat(500);
    for (headers, expected) in [
        ("X-Request-Id: abc-1\r\n".to_owned(), Some("abc-1".to_owned())),
        ("Xero-Correlation-Id: abc-2\r\n".to_owned(), Some("abc-2".to_owned())),
        ("Xero-Correlation-Id: abc-2\r\nX-Request-Id: abc-1\r\n".to_owned(), Some("abc-1".to_owned())),
        ("X-Request-Id: a b\tc\r\n".to_owned(), Some("abc".to_owned())),
        ("X-Request-Id: \r\n".to_owned(), None),
        ("X-Request-Id: ä\r\n".to_owned(), None),
        (format!("X-Request-Id: {long}\r\n"), Some("x".repeat(128))),
        (String::new(), None),
    ] {
        let server = Server::start(Act::Say(answer("200 OK", &headers, "{}"))).await;
        assert_eq!(read(&local(), &server.url()).await.unwrap().request_id, expected, "{headers}");
    }
}

#[tokio::test]
async fn faults_name_no_secret() {
    let closing = Server::start(Act::SayAndClose(String::new())).await;
    let hanging = Server::start(Act::Hang).await;
    let large = Server::start(Act::Say("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".into())).await;
    let asked = call(Method::Post, "/v2/path-x", &[("query-x", "query-y")], Some(r#"{"name":"body-x"}"#));
    for url in [
        closing.url(),
        hanging.url(),
        large.url(),
        "http://127.0.0.1:1".to_owned(),
        "http://169.254.1.1".to_owned(),
        "http://name.invalid".to_owned(),
    ] {
        let http = local();
        let mut faults = vec![ask_book(&http, &url, &asked, 300).await.unwrap_err()];
        if url != hanging.url() {
            let path = "/rest/V1/path-x";
            faults.push(ask_shop(&http, &url, path, Some(r#"{"name":"body-x"}"#)).await.unwrap_err());
        }
        for fault in faults {
            let shown = format!("{fault} {fault:?} {http:?} {:?} {:?}", http.shop(), http.book());
            for secret in [TOKEN, API_KEY, "eyJ", "Bearer", "query-x", "query-y", "body-x", "path-x"] {
                assert!(!shown.contains(secret), "{secret}: {shown}");
            }
            assert!(fault.to_string().len() < 400, "{fault}");
        }
    }
}
