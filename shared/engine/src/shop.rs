//! Asking the shop, and what its answers mean.

use crate::ports::{Chance, Clock, PortFault, Shop, ShopCall, ShopStates, Tenants, TransportFault, Vault};
use crate::tenants::{Known, TenantMemory, api_key_context, speaking_key};
use ledger_dialects::Reply;
use ledger_domain::code::Code;
use ledger_domain::fault::{Evidence, Fault};
use ledger_wire::rows::{SealedRow, TenantRow};
use secrecy::SecretString;

/// How long the shop may take to answer, in milliseconds.
pub const SHOP_TIMEOUT_MS: u64 = 15_000;
/// How long to wait where the shop has no module, in seconds.
const MODULE_MISSING_SECONDS: u64 = 300;
/// Magento's text for a path that no module serves; its other 404s mean that the document is unknown.
/// Source: Magento REST, `Webapi\Controller\Rest\Router`.
const NO_ROUTE: &str = "Request does not match any route.";

/// Path of the shop's route that does nothing but check the token.
pub const PING_PATH: &str = "/rest/V1/byte8/ping";
/// Statuses of a proxy that got no answer of the shop: bad gateway, unavailable, gateway timeout, and a content delivery
/// network's own. Source: RFC 9110, 15.6.3 to 15.6.5; Cloudflare, "5xx errors".
const NO_SHOP_BEHIND: [u16; 9] = [502, 503, 504, 520, 521, 522, 523, 524, 530];

/// What a question to the shop came to.
#[derive(Clone, Debug)]
pub enum ShopAnswer {
    /// A 2xx.
    Good(Reply),
    /// The shop refuses our token, twice.
    Refuses,
    /// Anything else.
    Fault(Fault),
}

/// What asking the shop needs.
#[derive(Clone, Copy)]
pub struct ShopPorts<'a> {
    /// The shop.
    pub shop: &'a dyn Shop,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// What this process remembers of tenants.
    pub memory: &'a TenantMemory,
}

impl ShopPorts<'_> {
    /// Asks once, and once more after a 401: a shop with several web nodes may know a new key on some of them only. If
    /// the tenant was remembered, the second time is under what the store says now.
    ///
    /// # Errors
    /// As store and vault.
    pub async fn ask<S: Tenants + ?Sized>(
        &self,
        store: &S,
        known: &Known,
        path: &str,
        body: Option<&str>,
    ) -> Result<ShopAnswer, PortFault> {
        let mut tenant = known.tenancy.tenant.clone();
        for repeated in [false, true] {
            if repeated
                && let Some(now_known) = self.memory.read_again(store, &tenant.tenant, self.clock.now_ms()).await?
            {
                tenant = now_known.tenancy.tenant.clone();
            }
            match self.once(&tenant, path, body, SHOP_TIMEOUT_MS).await? {
                ShopAnswer::Refuses => {}
                answer @ (ShopAnswer::Good(_) | ShopAnswer::Fault(_)) => return Ok(answer),
            }
        }
        Ok(ShopAnswer::Refuses)
    }

    /// Asks once.
    ///
    /// # Errors
    /// As the vault.
    pub async fn once(
        &self,
        tenant: &TenantRow,
        path: &str,
        body: Option<&str>,
        timeout_ms: u64,
    ) -> Result<ShopAnswer, PortFault> {
        let Some(api_key) = speaking_key(self.vault, tenant).await? else {
            return Ok(ShopAnswer::Refuses);
        };
        Ok(self.under(tenant, &api_key, path, body, timeout_ms).await)
    }

    /// Asks once whether the shop knows this key of the tenant's, in use or not.
    ///
    /// # Errors
    /// As the vault.
    pub async fn ping_under(
        &self,
        tenant: &TenantRow,
        sealed: &SealedRow,
        timeout_ms: u64,
    ) -> Result<ShopAnswer, PortFault> {
        let api_key = self.vault.open(sealed, &api_key_context(&tenant.tenant)).await?;
        Ok(self.under(tenant, &api_key, PING_PATH, None, timeout_ms).await)
    }

    async fn under(
        &self,
        tenant: &TenantRow,
        api_key: &SecretString,
        path: &str,
        body: Option<&str>,
        timeout_ms: u64,
    ) -> ShopAnswer {
        let call = ShopCall {
            shop_url: &tenant.shop_url,
            tenant: &tenant.tenant,
            api_key,
            path: path.to_owned(),
            body: body.map(str::to_owned),
            now_seconds: self.clock.now_ms().div_euclid(1_000),
            jti: self.chance.uuid(),
            timeout_ms,
        };
        match self.shop.call(&call).await {
            Ok(reply) if (200..300).contains(&reply.status) => ShopAnswer::Good(reply),
            Ok(reply) if reply.status == 401 => ShopAnswer::Refuses,
            Ok(reply) => ShopAnswer::Fault(meaning(&reply)),
            Err(TransportFault::AddressRefused(_)) => ShopAnswer::Fault(Fault::refused(
                Code::SettingsInvalid,
                "the shop's address is not one that Ledger may speak to: it must be https and public",
            )),
            Err(TransportFault::NotSent(_) | TransportFault::NoAnswer(_)) => {
                ShopAnswer::Fault(Fault::later(Code::ShopUnavailable, None, "the shop did not answer"))
            }
        }
    }
}

/// True where the shop itself answered, whatever it said. Nobody, a proxy that finds no shop behind it, and an address that
/// we don't speak to are no answer of the shop.
#[must_use]
pub fn reached(answer: &ShopAnswer) -> bool {
    match answer {
        ShopAnswer::Good(_) | ShopAnswer::Refuses => true,
        ShopAnswer::Fault(fault) => fault.evidence.status.is_some_and(|status| !NO_SHOP_BEHIND.contains(&status)),
    }
}

/// Keeps true what is noted of the shop's reach. A note that is lost is made at the next call.
pub async fn note_reach<S: ShopStates + ?Sized>(store: &S, tenant: &TenantRow, answer: &ShopAnswer, now: i64) {
    let noted = match (reached(answer), tenant.unreached_since) {
        (false, None) => store.shop_unreached(&tenant.tenant, now).await,
        (true, Some(_)) => store.shop_reached(&tenant.tenant).await,
        (false, Some(_)) | (true, None) => return,
    };
    if let Err(fault) = noted {
        tracing::warn!(tenant = %tenant.tenant, code = Code::StoreUnavailable.as_str(), reason = %fault, "reach not noted");
    }
}

/// What an answer other than 2xx and 401 means.
fn meaning(reply: &Reply) -> Fault {
    let evidence = Evidence { status: Some(reply.status), ..Evidence::default() };
    let fault = match reply.status {
        404 if says_no_route(&reply.body) => Fault::later(
            Code::ShopModuleMissing,
            Some(MODULE_MISSING_SECONDS),
            "the shop answers, but has no route of the Byte8 module",
        ),
        404 if serde_json::from_slice::<Message>(&reply.body).is_ok() => {
            Fault::refused(Code::EntityNotFound, "the shop does not know the document")
        }
        400 => Fault::broken(Code::Unexpected, "the shop refused the request as malformed"),
        status => Fault::later(
            Code::ShopUnavailable,
            reply.retry_after_seconds,
            format!("the shop answered with HTTP {status}"),
        ),
    };
    fault.with(evidence)
}

#[derive(serde::Deserialize)]
struct Message {
    message: String,
}

/// True for Magento's answer that no module serves the path.
pub(crate) fn says_no_route(body: &[u8]) -> bool {
    serde_json::from_slice::<Message>(body).is_ok_and(|it| it.message == NO_ROUTE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_domain::fault::Action;

    #[test]
    fn a_missing_document_is_not_a_missing_module() {
        let check = |status: u16, body: &str, code: Code, waits: bool| {
            let reply = Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() };
            let fault = meaning(&reply);
            assert_eq!(fault.code, code, "{status} {body}");
            assert_eq!(matches!(fault.action, Action::Later { .. }), waits, "{status} {body}");
        };
        check(404, r#"{"message":"Request does not match any route."}"#, Code::ShopModuleMissing, true);
        check(
            404,
            r#"{"message":"The entity that was requested doesn't exist. Verify the entity and try again."}"#,
            Code::EntityNotFound,
            false,
        );
        check(404, "<html>proxy</html>", Code::ShopUnavailable, true);
        check(503, "maintenance", Code::ShopUnavailable, true);
        check(302, "", Code::ShopUnavailable, true);
        check(500, r#"{"message":"Internal Error."}"#, Code::ShopUnavailable, true);
        check(400, r#"{"message":"An ID is needed."}"#, Code::Unexpected, false);
    }

    #[test]
    fn a_proxy_without_a_shop_behind_it_is_no_answer() {
        let of = |status| ShopAnswer::Fault(meaning(&Reply { status, ..Reply::default() }));
        assert!(reached(&ShopAnswer::Good(Reply::default())) && reached(&ShopAnswer::Refuses));
        for (status, shop) in [(500, true), (404, true), (302, true), (502, false), (503, false), (522, false)] {
            assert_eq!(reached(&of(status)), shop, "{status}");
        }
        assert!(!reached(&ShopAnswer::Fault(Fault::later(Code::ShopUnavailable, None, "the shop did not answer"))));
    }
}
