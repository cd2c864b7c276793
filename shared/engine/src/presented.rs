//! Who a shop's token says it is, and whether that is so: for deliveries and for everything else that the module asks.

use crate::config::Timers;
use crate::jwt::{self, Presented, Times};
use crate::ports::{PortFault, Tenants, Vault};
use crate::tenants::{Known, TenantMemory, api_key_context, verifying_keys};
use ledger_domain::code::Code;
use ledger_domain::identity::TenantId;
use ledger_wire::rows::TenantRow;
use secrecy::ExposeSecret;

/// A refusal re-reads a tenant that was read longer ago than this, in milliseconds.
const FRESH_MS: i64 = 1_000;

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It never will.
    Unauthorised,
    /// It may later; a stable code.
    Later(&'static str),
}

impl From<PortFault> for Denied {
    fn from(_: PortFault) -> Self {
        Self::Later(Code::StoreUnavailable.as_str())
    }
}

/// Which of a tenant's keys signed a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedUnder {
    /// The key in use.
    Current,
    /// The key of a pairing under way: the shop has taken it.
    Candidate,
    /// The key before.
    Previous,
}

/// A token that is good.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The token.
    pub presented: Presented,
    /// The tenant that it proves.
    pub known: Known,
    /// The key that signed it.
    pub under: SignedUnder,
}

/// What judging tokens needs.
pub struct Doorkeeper<'a> {
    /// The store.
    pub store: &'a dyn Tenants,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// What this process remembers.
    pub memory: &'a TenantMemory,
    /// The stack's timers.
    pub timers: &'a Timers,
}

impl Doorkeeper<'_> {
    /// Judges an `Authorization` header. `path_tenant`: the tenant that the path names, percent-encoded or not, which must
    /// be the token's.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub async fn proven(
        &self,
        authorization: Option<&str>,
        path_tenant: Option<&str>,
        now: i64,
    ) -> Result<Proven, Denied> {
        let token = authorization.and_then(bearer).ok_or(Denied::Unauthorised)?;
        let presented = Presented::parse(token).map_err(|_| Denied::Unauthorised)?;
        if presented.claims().iss != jwt::ISSUER_SHOP || presented.claims().aud != jwt::AUDIENCE_LEDGER {
            return Err(Denied::Unauthorised);
        }
        match presented.times(now.div_euclid(1_000), self.timers.clock_skew_seconds) {
            Times::Good => {}
            Times::OutOfStep => return Err(Denied::Later("clock_out_of_step")),
            Times::Never => return Err(Denied::Unauthorised),
        }
        let tenant = presented.claims().sub.as_str();
        if path_tenant.is_some_and(|path| path != tenant && percent_decoded(path).as_deref() != Some(tenant)) {
            return Err(Denied::Unauthorised);
        }
        if TenantId::parse(tenant).is_none() {
            return Err(Denied::Unauthorised);
        }
        let (known, under) = self.verified(&presented, tenant, now).await?;
        Ok(Proven { presented, known, under })
    }

    /// The tenant, if the token is signed by one of its keys.
    async fn verified(&self, presented: &Presented, tenant: &str, now: i64) -> Result<(Known, SignedUnder), Denied> {
        let known = self.memory.tenant(self.store, tenant, now).await?.ok_or(Denied::Unauthorised)?;
        if let Some(under) = self.signed(presented, &known.tenancy.tenant, now).await? {
            return Ok((known, under));
        }
        let known = if now.saturating_sub(known.read_at) >= FRESH_MS {
            let known = self.memory.read_again(self.store, tenant, now).await?.ok_or(Denied::Unauthorised)?;
            if let Some(under) = self.signed(presented, &known.tenancy.tenant, now).await? {
                return Ok((known, under));
            }
            known
        } else if known.read_at == now {
            known
        } else {
            // Somebody else read the tenant within this second; a key changed since then would be refused wrongly.
            return Err(Denied::Later("tenant_just_read"));
        };
        match known.tenancy.tenant.status.as_str() {
            "pending" | "token_revoked" => Err(Denied::Later("pairing_under_way")),
            _ => Err(Denied::Unauthorised),
        }
    }

    async fn signed(
        &self,
        presented: &Presented,
        tenant: &TenantRow,
        now: i64,
    ) -> Result<Option<SignedUnder>, PortFault> {
        for (under, sealed) in verifying_keys(tenant, now) {
            let key = self.vault.open(sealed, &api_key_context(&tenant.tenant)).await?;
            let subkey = jwt::subkey(key.expose_secret().as_bytes(), jwt::PURPOSE_FROM_SHOP);
            if presented.signed_by(&subkey) {
                return Ok(Some(under));
            }
        }
        Ok(None)
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Percent-decodes a path segment; `None` where that gives no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
