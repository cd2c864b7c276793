//! One request, one answer.

use crate::address::Refused;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger_engine::dialects::{REPLY_HEADERS, Reply};
use ledger_engine::ports::TransportFault;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, Url};
use secrecy::zeroize::Zeroizing;
use std::error::Error;
use std::time::Duration;

/// Longest text of an error, in characters.
const REASON_LENGTH_MAX: usize = 160;
/// Longest request id, in characters.
const REQUEST_ID_LENGTH_MAX: usize = 128;
/// Longest header that a dialect reads, in characters.
const HEADER_LENGTH_MAX: usize = 2_000;
/// Longest `Retry-After` that is believed, in seconds.
const RETRY_AFTER_MAX: u64 = 86_400;
/// Headers under which the request's id comes back, the first that is there.
const REQUEST_ID_HEADERS: [&str; 2] = ["x-request-id", "xero-correlation-id"];

/// What shops and books are sent.
pub(crate) const JSON_TYPE: &str = "application/json";
const JSON: HeaderValue = HeaderValue::from_static(JSON_TYPE);

/// Whose a request is.
pub(crate) enum Proof<'a> {
    None,
    /// A client's id and secret.
    Basic(&'a str, &'a str),
    /// A token.
    Bearer(&'a str),
}

impl Proof<'_> {
    fn header(&self) -> Result<Option<HeaderValue>, TransportFault> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic(user, password) => {
                Zeroizing::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {token}")),
        };
        let mut value = HeaderValue::try_from(text.as_str())
            .map_err(|_| TransportFault::NotSent("the token can't be sent".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// A request, ready to go. Has no `Debug`: it holds token and body.
pub(crate) struct Outbound<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) proof: Proof<'a>,
    /// Further headers, names in lower case.
    pub(crate) headers: &'a [(&'static str, String)],
    /// Of the body, where there is one.
    pub(crate) content_type: &'static str,
    pub(crate) body: Option<String>,
    pub(crate) timeout_ms: u64,
    pub(crate) body_max: usize,
}

/// Sends it and reads the answer.
pub(crate) async fn exchange(client: &Client, outbound: Outbound<'_>) -> Result<Reply, TransportFault> {
    if outbound.timeout_ms == 0 {
        return Err(TransportFault::NotSent("no time left".to_owned()));
    }
    let mut request = client.request(outbound.method, outbound.url).header(ACCEPT, JSON);
    if let Some(proof) = outbound.proof.header()? {
        request = request.header(AUTHORIZATION, proof);
    }
    for (name, value) in outbound.headers {
        request = request.header(*name, value);
    }
    if let Some(body) = outbound.body {
        request = request.header(CONTENT_TYPE, outbound.content_type).body(body);
    }
    let answer = async {
        let response = request.send().await.map_err(fault)?;
        read(response, outbound.body_max).await
    };
    tokio::time::timeout(Duration::from_millis(outbound.timeout_ms), answer)
        .await
        .unwrap_or_else(|_| Err(TransportFault::NoAnswer("not within the time allowed".to_owned())))
}

/// Reads an answer of at most so many bytes.
pub(crate) async fn read(mut response: Response, body_max: usize) -> Result<Reply, TransportFault> {
    let too_large = || TransportFault::NoAnswer("the answer is too large".to_owned());
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |length| length > body_max) {
        return Err(too_large());
    }
    let mut reply = Reply {
        status: response.status().as_u16(),
        retry_after_seconds: retry_after(response.headers()),
        request_id: request_id(response.headers()),
        headers: kept(response.headers()),
        body: Vec::new(),
    };
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        if reply.body.len().saturating_add(chunk.len()) > body_max {
            return Err(too_large());
        }
        reply.body.extend_from_slice(&chunk);
    }
    Ok(reply)
}

/// Seconds; a date would need a clock, and nobody we speak to sends one.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(RETRY_AFTER_MAX).min(RETRY_AFTER_MAX))
}

/// The headers that a dialect may read, as far as they are plain text.
fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    REPLY_HEADERS
        .iter()
        .filter_map(|name| {
            let value = headers.get(*name)?.to_str().ok()?;
            Some(((*name).to_owned(), value.chars().take(HEADER_LENGTH_MAX).collect()))
        })
        .collect()
}

/// Goes into rows and log lines, so nothing but plain text of a bounded length.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = REQUEST_ID_HEADERS.iter().find_map(|name| headers.get(*name))?.to_str().ok()?;
    let id: String = value.chars().filter(char::is_ascii_graphic).take(REQUEST_ID_LENGTH_MAX).collect();
    (!id.is_empty()).then_some(id)
}

/// What an error means. "Not sent" needs proof: the request could not be built, or there was no connection, and with
/// neither retries nor idle connections there was only one. A refused address is found among the causes.
pub(crate) fn fault(error: reqwest::Error) -> TransportFault {
    if causes(&error).any(|cause| cause.is::<Refused>()) {
        return TransportFault::AddressRefused(Refused::TEXT.to_owned());
    }
    if error.is_connect() || error.is_builder() {
        return TransportFault::NotSent(reason(&error));
    }
    TransportFault::NoAnswer(reason(&error))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The text of the first cause, cut. The outer errors would name the URL.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let first = causes(error).filter(|cause| !cause.is::<reqwest::Error>()).last();
    first
        .map_or_else(|| "no reason given".to_owned(), ToString::to_string)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(REASON_LENGTH_MAX)
        .collect()
}
