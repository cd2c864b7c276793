//! Requests of the command line: to a stack's API and to the issuer that signs operators in.

use crate::Http;
use crate::exchange::{fault, read};
use crate::target::target;
use ledger_engine::dialects::Reply;
use ledger_engine::ports::TransportFault;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use std::net::IpAddr;
use std::time::Duration;

/// Most bytes of an answer of the API: a list of 1,000 runs has about 1 MiB.
const API_BODY_MAX: usize = 8 * 1_024 * 1_024;

/// HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiMethod {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

/// What a request carries. Has no `Debug`: there may be a secret in it.
pub enum ApiBody<'a> {
    /// Nothing.
    Nothing,
    /// A JSON document.
    Json(String),
    /// Fields of a form: `application/x-www-form-urlencoded`.
    Form(&'a [(&'a str, &'a str)]),
}

/// A request. Has no `Debug`: it holds token and body.
pub struct ApiCall<'a> {
    /// Method.
    pub method: ApiMethod,
    /// Path below the base URL, with its variable parts encoded.
    pub path: &'a str,
    /// Query parameters, not encoded.
    pub query: &'a [(String, String)],
    /// Who asks.
    pub bearer: Option<&'a SecretString>,
    /// Body.
    pub body: ApiBody<'a>,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A stack's API, or an issuer, over HTTPS. Plain HTTP is spoken to this machine only, and only where private addresses
/// are allowed.
#[derive(Clone, Debug)]
pub struct HttpApi {
    pub(crate) http: Http,
    pub(crate) base_url: String,
}

impl HttpApi {
    /// Sends it once.
    ///
    /// # Errors
    /// [`TransportFault::AddressRefused`] for an address that is not spoken to; else that nothing was sent, or that no
    /// whole answer came.
    pub async fn send(&self, call: &ApiCall<'_>) -> Result<Reply, TransportFault> {
        let url = target(&self.base_url, call.path, call.query, self.http.reach)?;
        if url.scheme() != "https" && !is_this_machine(&url) {
            return Err(TransportFault::AddressRefused("plain http to another machine".to_owned()));
        }
        let method = match call.method {
            ApiMethod::Get => Method::GET,
            ApiMethod::Post => Method::POST,
            ApiMethod::Put => Method::PUT,
            ApiMethod::Delete => Method::DELETE,
        };
        let mut request = self.http.client.request(method, url).header(ACCEPT, "application/json");
        if let Some(token) = call.bearer {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|_| TransportFault::NotSent("the token can't be sent".to_owned()))?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        request = match &call.body {
            ApiBody::Nothing => request,
            ApiBody::Json(body) => request.header(CONTENT_TYPE, "application/json").body(body.clone()),
            ApiBody::Form(fields) => {
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form(fields)?)
            }
        };
        let answer = async { read(request.send().await.map_err(fault)?, API_BODY_MAX).await };
        tokio::time::timeout(Duration::from_millis(call.timeout_ms), answer)
            .await
            .unwrap_or_else(|_| Err(TransportFault::NoAnswer("not within the time allowed".to_owned())))
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || literal.is_ok_and(|address| address.is_loopback())
}

fn form(fields: &[(&str, &str)]) -> Result<String, TransportFault> {
    let mut carrier = Url::parse("https://form.example/")
        .map_err(|_| TransportFault::NotSent("the form can't be written".to_owned()))?;
    carrier.query_pairs_mut().extend_pairs(fields);
    Ok(carrier.query().unwrap_or_default().to_owned())
}

/// Scheme, host and port of an address, and the path behind them.
#[must_use]
pub fn split_address(url: &str) -> (&str, &str) {
    crate::issuer::split(url)
}

/// An address that a browser is sent to, with these parameters; `None` where it is not one of the web.
#[must_use]
pub fn address_with(address: &str, parameters: &[(&str, &str)]) -> Option<String> {
    let mut url = Url::parse(address).ok()?;
    let may_be = url.scheme() == "https" || url.scheme() == "http" && is_this_machine(&url);
    if !may_be || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    Some(url.into())
}

/// Path and parameters of the target of a request that a browser makes: `/callback?code=…`; `None` where it is not one.
#[must_use]
pub fn parameters_of(target: &str) -> Option<(String, Vec<(String, String)>)> {
    if !target.starts_with('/') {
        return None;
    }
    let url = Url::parse(&format!("http://localhost{target}")).ok()?;
    Some((url.path().to_owned(), url.query_pairs().into_owned().collect()))
}
