//! Requests to recipients' webhooks.

use crate::api::parameters_of;
use crate::exchange::{JSON_TYPE, Outbound, Proof, exchange};
use crate::issuer::split;
use crate::target::target;
use crate::{HOOK_BODY_MAX, Http};
use async_trait::async_trait;
use ledger_engine::dialects::Reply;
use ledger_engine::ports::{HookCall, Hooks, TransportFault};
use reqwest::Method;

/// Recipients' webhooks over HTTPS.
#[derive(Clone, Debug)]
pub struct HttpHooks {
    pub(crate) http: Http,
}

#[async_trait]
impl Hooks for HttpHooks {
    async fn post(&self, call: &HookCall<'_>) -> Result<Reply, TransportFault> {
        let (base, rest) = split(call.url);
        let rest = if rest.starts_with('/') { rest } else { "/" };
        let (path, query) = parameters_of(rest)
            .ok_or_else(|| TransportFault::AddressRefused("the path of the webhook is not one".to_owned()))?;
        exchange(
            &self.http.client,
            Outbound {
                method: Method::POST,
                url: target(base, &path, &query, self.http.reach)?,
                proof: Proof::None,
                headers: call.headers,
                content_type: JSON_TYPE,
                body: Some(call.body.to_owned()),
                timeout_ms: call.timeout_ms,
                body_max: HOOK_BODY_MAX,
            },
        )
        .await
    }
}
