//! Requests to a book.

use crate::exchange::{JSON_TYPE, Outbound, Proof, exchange};
use crate::target::target;
use crate::{BOOK_BODY_MAX, Http};
use async_trait::async_trait;
use ledger_engine::dialects::{self, Reply};
use ledger_engine::ports::{Book, BookCall, TransportFault};
use reqwest::Method;
use secrecy::ExposeSecret as _;

/// Books over HTTPS. Reads and writes are sent alike: neither reuses a connection.
#[derive(Clone, Debug)]
pub struct HttpBook {
    pub(crate) http: Http,
}

#[async_trait]
impl Book for HttpBook {
    async fn send(&self, call: &BookCall<'_>) -> Result<Reply, TransportFault> {
        let url = target(call.base_url, &call.call.path, &call.call.query, self.http.reach)?;
        exchange(
            &self.http.client,
            Outbound {
                method: match call.call.method {
                    dialects::Method::Get => Method::GET,
                    dialects::Method::Post => Method::POST,
                    dialects::Method::Put => Method::PUT,
                },
                url,
                proof: Proof::Bearer(call.token.expose_secret()),
                headers: &call.call.headers,
                content_type: JSON_TYPE,
                body: call.call.body.clone(),
                timeout_ms: call.timeout_ms,
                body_max: BOOK_BODY_MAX,
            },
        )
        .await
    }
}
