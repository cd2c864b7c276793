//! Requests to a provider's OAuth addresses.

use crate::exchange::{Outbound, Proof, exchange};
use crate::issuer::split;
use crate::target::target;
use crate::{AUTHORITY_BODY_MAX, Http};
use async_trait::async_trait;
use ledger_engine::dialects::Reply;
use ledger_engine::ports::{Access, Ask, Authorities, AuthorityCall, TransportFault};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

/// Providers' OAuth addresses over HTTPS.
#[derive(Clone, Debug)]
pub struct HttpAuthorities {
    pub(crate) http: Http,
}

/// The fields as `application/x-www-form-urlencoded` (RFC 6749, appendix B).
fn form(fields: &[(&'static str, secrecy::SecretString)]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.expose_secret().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

#[async_trait]
impl Authorities for HttpAuthorities {
    async fn call(&self, call: &AuthorityCall<'_>) -> Result<Reply, TransportFault> {
        let (base, path) = split(call.url);
        let url = target(base, path, &[], self.http.reach)?;
        let (method, body) = match &call.ask {
            Ask::Get => (Method::GET, None),
            Ask::Delete => (Method::DELETE, None),
            Ask::Post(fields) => (Method::POST, Some(form(fields))),
        };
        exchange(
            &self.http.client,
            Outbound {
                method,
                url,
                proof: match &call.access {
                    Access::Open => Proof::None,
                    Access::Basic { client_id, secret } => Proof::Basic(client_id, secret.expose_secret()),
                    Access::Bearer(token) => Proof::Bearer(token.expose_secret()),
                },
                headers: &[],
                content_type: "application/x-www-form-urlencoded",
                body: body.map(|text| text.as_str().to_owned()),
                timeout_ms: call.timeout_ms,
                body_max: AUTHORITY_BODY_MAX,
            },
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_carries_any_text() {
        let fields = [("grant_type", "refresh_token".into()), ("code", "GB/a+b =&ü".into())];
        assert_eq!(form(&fields).as_str(), "grant_type=refresh_token&code=GB%2Fa%2Bb%20%3D%26%C3%BC");
    }
}
