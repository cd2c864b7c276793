//! A stack's API, as whoever is signed in reaches it.

use crate::failure::Failure;
use ledger_aws::engine::dialects::Reply;
use ledger_http::{ApiBody, ApiCall, ApiMethod, HttpApi};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write;

/// How long an answer may take, in milliseconds: the gateway gives up after 29 seconds.
const TIMEOUT_MS: u64 = 35_000;

/// A stack's API.
pub(crate) struct Api {
    pub(crate) http: HttpApi,
    pub(crate) bearer: Option<SecretString>,
}

/// A variable part of a path, encoded: whatever it holds, it stays one part.
pub(crate) fn part(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// Parameters that are there.
pub(crate) fn query(parameters: &[(&str, Option<String>)]) -> Vec<(String, String)> {
    parameters.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?))).collect()
}

impl Api {
    async fn send(
        &self,
        method: ApiMethod,
        path: &str,
        query: &[(String, String)],
        body: ApiBody<'_>,
    ) -> Result<Reply, Failure> {
        let call = ApiCall { method, path, query, bearer: self.bearer.as_ref(), body, timeout_ms: TIMEOUT_MS };
        let reply = self.http.send(&call).await?;
        if reply.status == 200 { Ok(reply) } else { Err(Failure::of_answer(&reply)) }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: ApiMethod,
        path: &str,
        query: &[(String, String)],
        body: ApiBody<'_>,
    ) -> Result<T, Failure> {
        let reply = self.send(method, path, query, body).await?;
        // The text of the error would quote the answer.
        serde_json::from_slice(&reply.body).map_err(|_| {
            Failure::fault(
                "answer_unknown",
                "The stack's answer can't be read.",
                "Use the version of `ledger` that the stack was deployed with.",
            )
        })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(String, String)]) -> Result<T, Failure> {
        self.json(ApiMethod::Get, path, query, ApiBody::Nothing).await
    }

    /// An answer that is a text, and the parameter `after` of the next page that its header `Link` names (RFC 8288).
    pub(crate) async fn page(
        &self,
        path: &str,
        query: &[(String, String)],
    ) -> Result<(String, Option<String>), Failure> {
        let reply = self.send(ApiMethod::Get, path, query, ApiBody::Nothing).await?;
        Ok((String::from_utf8_lossy(&reply.body).into_owned(), reply.header("link").and_then(next_of)))
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(String, String)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Failure> {
        let body = body.map(written).transpose()?;
        self.json(ApiMethod::Post, path, query, body.map_or(ApiBody::Nothing, ApiBody::Json)).await
    }

    /// A POST that has nothing to say.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.post(path, &[], None::<&()>).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Failure> {
        self.json(ApiMethod::Put, path, &[], ApiBody::Json(written(body)?)).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(ApiMethod::Delete, path, &[], ApiBody::Nothing).await
    }
}

/// The `after` of `<?format=csv&after=abc>; rel="next"`.
pub(crate) fn next_of(link: &str) -> Option<String> {
    let (address, relation) = link.strip_prefix('<')?.split_once('>')?;
    let (_, query) = address.split_once('?').filter(|_| relation.contains("rel=\"next\""))?;
    query.split('&').find_map(|pair| pair.strip_prefix("after=")).map(str::to_owned)
}

fn written(body: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(body).map_err(|_| Failure::usage("The request can't be written.", "Check what you passed."))
}
