//! Whoever answers is a stranger: everybody whom we speak to, against everything that an answer can be, on a real socket.

use super::{API_KEY, JTI, NOW, TENANT, TOKEN, call, local, server};
use crate::{AUTHORITY_BODY_MAX, BOOK_BODY_MAX, HOOK_BODY_MAX, SHOP_BODY_MAX};
use ledger_engine::dialects::{Method, Reply};
use ledger_engine::ports::{
    Access, Ask, Authorities as _, AuthorityCall, Book as _, BookCall, HookCall, Hooks as _, IssuerKeys as _,
    PortFault, Shop as _, ShopCall, TransportFault,
};
use proptest::prelude::*;
use secrecy::SecretString;
use server::{Act, Server, answer};
use std::time::Duration;

/// Whom we speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Shop,
    Book,
    Authority,
    Webhook,
    Issuer,
}

impl Whom {
    const ALL: [Self; 5] = [Self::Shop, Self::Book, Self::Authority, Self::Webhook, Self::Issuer];

    /// Most bytes of an answer.
    const fn body_max(self) -> usize {
        match self {
            Self::Shop => SHOP_BODY_MAX,
            Self::Book => BOOK_BODY_MAX,
            Self::Authority | Self::Issuer => AUTHORITY_BODY_MAX,
            Self::Webhook => HOOK_BODY_MAX,
        }
    }

    /// One request; of an issuer only the body of a good answer is known.
    async fn is_asked(self, url: &str, timeout_ms: u64) -> Result<Reply, TransportFault> {
        let http = local();
        match self {
            Self::Shop => {
                let call = ShopCall {
                    shop_url: url,
                    tenant: TENANT,
                    api_key: &SecretString::from(API_KEY),
                    path: "/rest/V1/byte8/invoice/1".to_owned(),
                    body: None,
                    now_seconds: NOW,
                    jti: JTI.to_owned(),
                    timeout_ms,
                };
                http.shop().call(&call).await
            }
            Self::Book => {
                let (token, call) = (SecretString::from(TOKEN), call(Method::Post, "/v2/invoices", &[], Some("{}")));
                let call = BookCall { base_url: url, token: &token, call: &call, writes: true, timeout_ms };
                http.book().send(&call).await
            }
            Self::Authority => {
                let ask = Ask::Post(vec![("grant_type", "refresh_token".into())]);
                let url = format!("{url}/token");
                http.authorities().call(&AuthorityCall { url: &url, ask, access: Access::Open, timeout_ms }).await
            }
            Self::Webhook => {
                let url = format!("{url}/hook");
                http.hooks().post(&HookCall { url: &url, body: "{}", headers: &[], timeout_ms }).await
            }
            Self::Issuer => match http.issuer(&format!("{url}/keys")).keys().await {
                Ok(body) => Ok(Reply { status: 200, body, ..Reply::default() }),
                Err(PortFault::Unavailable(reason) | PortFault::Inconsistent(reason)) => {
                    Err(TransportFault::NoAnswer(reason))
                }
            },
        }
    }
}

/// Each is asked once by everybody; what they make of it.
async fn everybody(act: Act, timeout_ms: u64, check: impl Fn(Whom, Result<Reply, TransportFault>)) {
    let asked = Whom::ALL.map(|whom| {
        let act = act.clone();
        async move {
            let server = Server::start(act).await;
            let url = server.url();
            let answered = whom.is_asked(&url, timeout_ms);
            // Whatever is said, and however slowly: it ends by itself, and was asked for once.
            let told = tokio::time::timeout(Duration::from_secs(15), answered).await;
            assert_eq!((server.seen().len(), server.connections()), (1, 1), "{whom:?}");
            (whom, told.unwrap_or_else(|_| panic!("{whom:?} waits for ever")))
        }
    });
    for (whom, told) in futures_of(asked).await {
        check(whom, told);
    }
}

/// All at once.
async fn futures_of<T, F: Future<Output = T> + Send + 'static>(all: [F; 5]) -> Vec<T>
where
    T: Send + 'static,
{
    let tasks: Vec<_> = all.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

const NO_HURRY_MS: u64 = 10_000;

fn no_answer(whom: Whom, told: Result<Reply, TransportFault>) {
    assert!(matches!(told, Err(TransportFault::NoAnswer(_))), "{whom:?}: {told:?}");
}

/// A gzip file of a few kilobytes that is ten megabytes of one letter: one block with fixed codes (RFC 1951, 3.2.6), the
/// letter and then, again and again, "258 more of the same".
fn bomb() -> Vec<u8> {
    const REPEATED: usize = 40_000;
    let mut bits: Vec<bool> = Vec::new();
    let push = |bits: &mut Vec<bool>, code: u32, length: u32| {
        bits.extend((0..length).rev().map(|place| (code >> place) & 1 == 1));
    };
    // The last block, of fixed codes: these three bits have the lowest first.
    bits.extend([true, true, false]);
    push(&mut bits, 0x30 + u32::from(b'x'), 8);
    for _ in 0..REPEATED {
        // Length 258 is code 285, distance 1 is code 0.
        push(&mut bits, 0b1100_0101, 8);
        push(&mut bits, 0, 5);
    }
    // The end.
    push(&mut bits, 0, 7);
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(bits.chunks(8).map(|some| some.iter().rev().fold(0_u8, |byte, bit| (byte << 1) | u8::from(*bit))));
    // Checksum and length are read when it is unpacked, and it never is.
    bytes.extend([0; 8]);
    bytes
}

#[tokio::test]
async fn a_bomb_is_kept_packed() {
    let bomb = bomb();
    assert!(bomb.len() < HOOK_BODY_MAX, "{}", bomb.len());
    for encoding in ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n", bomb.len());
        let said = [head.as_bytes(), &bomb].concat();
        everybody(Act::SayBytesAndClose(said), NO_HURRY_MS, |whom, told| {
            assert_eq!(told.map(|reply| reply.body == bomb), Ok(true), "{whom:?} {encoding}");
        })
        .await;
    }
    // Packed on the way instead: that is none of ours.
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n";
    let said = [head.as_bytes(), &bomb].concat();
    everybody(Act::SayBytesAndClose(said), NO_HURRY_MS, |whom, told| {
        let longest = told.as_ref().map_or(0, |reply| reply.body.len());
        assert!(longest <= bomb.len(), "{whom:?} unpacked {longest} bytes");
    })
    .await;
}

#[tokio::test]
async fn an_endless_answer_is_cut_for_everybody() {
    let block = "x".repeat(65_536);
    for act in [
        Act::Repeat(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            format!("10000\r\n{block}\r\n"),
            Duration::ZERO,
        ),
        Act::Repeat("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".into(), block.clone(), Duration::ZERO),
        Act::Repeat("HTTP/1.1 200 OK\r\n".into(), format!("X-A: {block}\r\n"), Duration::ZERO),
        Act::Repeat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;".into(), block, Duration::ZERO),
        Act::Say("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".into()),
    ] {
        everybody(act, NO_HURRY_MS, no_answer).await;
    }
    for whom in Whom::ALL {
        for (more, fits) in [(0, true), (1, false)] {
            let server = Server::start(Act::Say(answer("200 OK", "", &"x".repeat(whom.body_max() + more)))).await;
            let told = whom.is_asked(&server.url(), NO_HURRY_MS).await;
            assert_eq!(told.is_ok(), fits, "{whom:?} {more}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_for_everybody() {
    let elsewhere = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    for (status, location) in [
        ("301 Moved", format!("{}/token", elsewhere.url())),
        ("302 Found", "http://169.254.169.254/latest/meta-data".to_owned()),
        ("303 See Other", "file:///etc/passwd".to_owned()),
        ("307 Temporary", "//127.0.0.1/".to_owned()),
        ("308 Permanent", "/elsewhere".to_owned()),
    ] {
        let headers = format!("Location: {location}\r\nRefresh: 0; url={location}\r\n");
        everybody(Act::Say(answer(status, &headers, "")), NO_HURRY_MS, |whom, told| match (whom, told) {
            (Whom::Issuer, told) => no_answer(whom, told),
            (_, told) => assert_eq!(told.map(|reply| reply.status.to_string()), Ok(status[..3].to_owned()), "{whom:?}"),
        })
        .await;
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_drip_costs_everybody_the_time_allowed_and_no_more() {
    let drip = Duration::from_millis(50);
    for act in [
        Act::Hang,
        Act::Repeat("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".into(), "x".into(), drip),
        Act::Repeat("HTTP/1.1 200 OK\r\n".into(), "X-A: b\r\n".into(), drip),
    ] {
        everybody(act, 300, no_answer).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes come, they are an answer or none: nothing panics, nothing is asked twice, nothing counts as not sent.
    #[test]
    fn any_bytes_are_an_answer_or_none(
        begins in prop::sample::select(vec![
            "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 201 \r\nContent-Length: 20\r\n\r\n",
            "HTTP/1.1 500 E\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 200\r\n", "HTTP/2 200\r\n\r\n",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let said = [begins.as_bytes(), &bytes].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(everybody(Act::SayBytesAndClose(said), NO_HURRY_MS, |whom, told| {
            assert!(matches!(told, Ok(_) | Err(TransportFault::NoAnswer(_))), "{whom:?}: {told:?}");
        }));
    }
}
