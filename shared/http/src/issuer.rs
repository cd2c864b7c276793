//! The keys of the issuer of operators' tokens.

use crate::Http;
use crate::exchange::{JSON_TYPE, Outbound, Proof, exchange};
use crate::target::target;
use async_trait::async_trait;
use ledger_engine::ports::{IssuerKeys, PortFault, PortResult};
use reqwest::Method;

/// Most bytes of a key set.
const KEYS_BODY_MAX: usize = 256 * 1_024;
/// How long an issuer may take, in milliseconds.
const KEYS_TIMEOUT_MS: u64 = 5_000;

/// An issuer's key set over HTTPS.
#[derive(Clone, Debug)]
pub struct HttpIssuer {
    pub(crate) http: Http,
    pub(crate) keys_url: String,
}

#[async_trait]
impl IssuerKeys for HttpIssuer {
    async fn keys(&self) -> PortResult<Vec<u8>> {
        let (base, path) = split(&self.keys_url);
        let unavailable = |reason: String| PortFault::Unavailable(reason);
        let url = target(base, path, &[], self.http.reach).map_err(|fault| unavailable(fault.to_string()))?;
        let outbound = Outbound {
            method: Method::GET,
            url,
            proof: Proof::None,
            headers: &[],
            content_type: JSON_TYPE,
            body: None,
            timeout_ms: KEYS_TIMEOUT_MS,
            body_max: KEYS_BODY_MAX,
        };
        let reply = exchange(&self.http.client, outbound).await.map_err(|fault| unavailable(fault.to_string()))?;
        if reply.status == 200 { Ok(reply.body) } else { Err(unavailable(format!("HTTP {}", reply.status))) }
    }
}

/// Scheme and host of an address, and its path.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let begins = url.find("://").map_or(0, |at| at.saturating_add(3));
    let at = url.get(begins..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| begins.saturating_add(at));
    url.split_at_checked(at).unwrap_or((url, "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_behind_its_host() {
        let check = |url: &str, base: &str, path: &str| assert_eq!(split(url), (base, path), "{url}");
        check(
            "https://issuer.example/pool/.well-known/jwks.json",
            "https://issuer.example",
            "/pool/.well-known/jwks.json",
        );
        check("http://127.0.0.1:4566/pool/keys", "http://127.0.0.1:4566", "/pool/keys");
        check("https://issuer.example", "https://issuer.example", "");
        check("nonsense", "nonsense", "");
    }
}
