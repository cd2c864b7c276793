//! Requests to a shop: a fresh token each.

use crate::exchange::{JSON_TYPE, Outbound, Proof, exchange};
use crate::target::target;
use crate::{Http, SHOP_BODY_MAX};
use async_trait::async_trait;
use ledger_engine::dialects::Reply;
use ledger_engine::jwt::{self, PURPOSE_TO_SHOP};
use ledger_engine::ports::{PairCall, Shop, ShopCall, TransportFault};
use reqwest::Method;
use secrecy::ExposeSecret as _;

/// What every path to a shop begins with.
const PATH_PREFIX: &str = "/rest/";

/// Shops over HTTPS.
#[derive(Clone, Debug)]
pub struct HttpShop {
    pub(crate) http: Http,
}

#[async_trait]
impl Shop for HttpShop {
    async fn call(&self, call: &ShopCall<'_>) -> Result<Reply, TransportFault> {
        if !call.path.starts_with(PATH_PREFIX) {
            return Err(TransportFault::AddressRefused("the path is not one of the shop's".to_owned()));
        }
        let url = target(call.shop_url, &call.path, &[], self.http.reach)?;
        let subkey = jwt::subkey(call.api_key.expose_secret().as_bytes(), PURPOSE_TO_SHOP);
        let token = jwt::mint(&subkey, call.tenant, call.now_seconds, &call.jti)
            .map_err(|error| TransportFault::NotSent(error.to_string()))?;
        exchange(
            &self.http.client,
            Outbound {
                method: if call.body.is_some() { Method::POST } else { Method::GET },
                url,
                proof: Proof::Bearer(&token),
                headers: &[],
                content_type: JSON_TYPE,
                body: call.body.clone(),
                timeout_ms: call.timeout_ms,
                body_max: SHOP_BODY_MAX,
            },
        )
        .await
    }

    async fn pair(&self, call: &PairCall<'_>) -> Result<Reply, TransportFault> {
        if !call.path.starts_with(PATH_PREFIX) {
            return Err(TransportFault::AddressRefused("the path is not one of the shop's".to_owned()));
        }
        exchange(
            &self.http.client,
            Outbound {
                method: Method::POST,
                url: target(call.shop_url, call.path, &[], self.http.reach)?,
                proof: Proof::None,
                headers: &[],
                content_type: JSON_TYPE,
                body: Some(call.body.expose_secret().to_owned()),
                timeout_ms: call.timeout_ms,
                body_max: SHOP_BODY_MAX,
            },
        )
        .await
    }
}
