//! Who an operator is: access tokens of an OpenID Connect issuer, by default the stack's own user pool.
//!
//! Sources: OpenID Connect Core 1.0; RFC 7517 (keys), RFC 7518 §3.3 (RS256), RFC 9068 §4 (what a resource server checks);
//! Amazon Cognito developer guide, "Verifying JSON web tokens" (`token_use`, `client_id`, `cognito:groups`). Only RS256 is
//! let in, whatever the token's header asks for, and only keys that the issuer publishes.

use crate::ports::{Clock, IssuerKeys, PortFault};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(test)]
mod tests;

/// Longest token that is looked at, in bytes. A pool's are about 1,000, more with many groups.
pub const TOKEN_LENGTH_MAX: usize = 8_192;
/// How long the issuer's keys are remembered, in milliseconds.
pub const KEYS_REMEMBERED_MS: i64 = 3_600_000;
/// A key that isn't known makes us ask again, but not more often than this, in milliseconds.
pub const KEYS_ASKED_AGAIN_MS: i64 = 60_000;
/// Most keys of an issuer.
const KEYS_MAX: usize = 16;
/// How far the issuer's clock may differ from ours, in seconds.
const SKEW_SECONDS: i64 = 60;
/// Longest life that a token may claim, in seconds: Cognito's longest access token lives a day.
const LIFE_MAX_SECONDS: i64 = 86_400;
/// Group prefix that names a tenant.
const TENANT_GROUP: &str = "tenant:";
/// Group suffix that stands for every tenant.
const EVERY_TENANT: &str = "*";

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Look and act.
    Operator,
    /// Everything, on every tenant.
    Admin,
}

impl Role {
    /// The role's group.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// An operator who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The issuer's id of the person; no name, no address.
    pub subject: String,
    /// The highest role of their groups.
    pub role: Role,
    /// The tenants that their groups name.
    tenants: BTreeSet<String>,
    /// True where a group stands for every tenant.
    every_tenant: bool,
}

impl Caller {
    /// A caller with a role on these tenants; `*` stands for all.
    #[must_use]
    pub fn new(subject: &str, role: Role, tenants: &[&str]) -> Self {
        Self {
            subject: subject.to_owned(),
            role,
            tenants: tenants.iter().filter(|it| **it != EVERY_TENANT).map(|it| (*it).to_owned()).collect(),
            every_tenant: tenants.contains(&EVERY_TENANT),
        }
    }

    /// True where every tenant is theirs, those that do not exist yet included.
    #[must_use]
    pub fn has_every_tenant(&self) -> bool {
        self.role == Role::Admin || self.every_tenant
    }

    /// True where they may look at a tenant.
    #[must_use]
    pub fn sees(&self, tenant: &str) -> bool {
        self.has_every_tenant() || self.tenants.contains(tenant)
    }

    /// True where they may act on a tenant.
    #[must_use]
    pub fn acts_on(&self, tenant: &str) -> bool {
        self.role >= Role::Operator && self.sees(tenant)
    }

    /// The tenants that they are confined to; `None` where it is all of them.
    #[must_use]
    pub fn tenants(&self) -> Option<&BTreeSet<String>> {
        (!self.has_every_tenant()).then_some(&self.tenants)
    }
}

/// Why nobody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    /// No token, or none that is any good: 401.
    #[error("not signed in")]
    Unauthorised,
    /// A good token of somebody who has no role here: 403.
    #[error("no role")]
    NoRole,
    /// The issuer's keys can't be had now: 503.
    #[error("the issuer does not answer")]
    IssuerUnavailable,
}

/// Whose tokens count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// `iss` of its tokens.
    pub issuer: String,
    /// The client ids (Cognito) or audiences (others) that are ours.
    pub audiences: BTreeSet<String>,
    /// The claim that lists the groups.
    pub groups_claim: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// A token that wants an extension understood is refused.
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    aud: Option<serde_json::Value>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    token_use: Option<String>,
    #[serde(default)]
    nonce: Option<serde_json::Value>,
    #[serde(default)]
    at_hash: Option<serde_json::Value>,
    #[serde(default)]
    c_hash: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize)]
struct KeySet {
    keys: Vec<PublicKey>,
}

#[derive(Clone, Debug, Deserialize)]
struct PublicKey {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(rename = "use", default)]
    purpose: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

#[derive(Clone, Debug)]
struct Remembered {
    keys: Arc<KeySet>,
    read_at: i64,
}

/// Verifies access tokens, and remembers the issuer's keys.
#[derive(Debug)]
pub struct SignIn {
    issuer: Issuer,
    remembered: Mutex<Option<Remembered>>,
}

impl SignIn {
    /// For one issuer.
    #[must_use]
    pub const fn new(issuer: Issuer) -> Self {
        Self { issuer, remembered: Mutex::new(None) }
    }

    /// The operator of an `Authorization` header.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn caller(
        &self,
        authorization: Option<&str>,
        keys: &dyn IssuerKeys,
        clock: &dyn Clock,
    ) -> Result<Caller, NotSignedIn> {
        let token = authorization.and_then(bearer).ok_or(NotSignedIn::Unauthorised)?;
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(NotSignedIn::Unauthorised);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotSignedIn::Unauthorised);
        };
        let read: Header = decoded(header)?;
        let kid = read.kid.as_deref().ok_or(NotSignedIn::Unauthorised)?;
        if read.alg != "RS256" || read.crit.is_some() {
            return Err(NotSignedIn::Unauthorised);
        }
        let said: Claims = decoded(claims)?;
        let now = clock.now_ms();
        self.judge(&said, now.div_euclid(1_000))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| NotSignedIn::Unauthorised)?;
        let key = self.key(kid, keys, now).await?;
        let signed = token.get(..header.len().saturating_add(claims.len()).saturating_add(1)).unwrap_or_default();
        if !verifies(&key, signed.as_bytes(), &signature) {
            return Err(NotSignedIn::Unauthorised);
        }
        let all: serde_json::Map<String, serde_json::Value> = decoded(claims)?;
        let listed = all.get(&self.issuer.groups_claim).and_then(serde_json::Value::as_array);
        caller(&said.sub, listed.into_iter().flatten().filter_map(serde_json::Value::as_str))
    }

    /// Everything that does not need the key: what can be refused without asking anybody.
    fn judge(&self, claims: &Claims, now_seconds: i64) -> Result<(), NotSignedIn> {
        let ours = |id: &str| self.issuer.audiences.contains(id);
        let audience = match (&claims.client_id, &claims.aud) {
            // An identity token has `aud` and no `client_id`: it says who somebody is, not that they may do something.
            (Some(client), None) => ours(client),
            (_, Some(serde_json::Value::String(audience))) => ours(audience),
            (_, Some(serde_json::Value::Array(all))) => all.iter().filter_map(serde_json::Value::as_str).any(ours),
            _ => false,
        };
        // Issuers that name no use mark an identity token by what binds it to its sign-in (OpenID Connect Core, 2 and 3.3.2.11).
        let is_identity = claims.nonce.is_some() || claims.at_hash.is_some() || claims.c_hash.is_some();
        let access = claims.token_use.as_deref().map_or(!is_identity, |it| it == "access");
        let lives = claims.exp.saturating_add(SKEW_SECONDS) > now_seconds
            && claims.exp <= now_seconds.saturating_add(LIFE_MAX_SECONDS).saturating_add(SKEW_SECONDS);
        let begun = [claims.iat, claims.nbf]
            .into_iter()
            .flatten()
            .all(|moment| moment <= now_seconds.saturating_add(SKEW_SECONDS));
        if claims.iss == self.issuer.issuer && audience && access && lives && begun && !claims.sub.is_empty() {
            Ok(())
        } else {
            Err(NotSignedIn::Unauthorised)
        }
    }

    /// The issuer's key of that id: from memory, else asked for.
    async fn key(&self, kid: &str, port: &dyn IssuerKeys, now: i64) -> Result<PublicKey, NotSignedIn> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(it) = &remembered {
            let age = now.saturating_sub(it.read_at);
            let found = named(&it.keys, kid);
            if let (Some(key), true) = (found, age < KEYS_REMEMBERED_MS) {
                return Ok(key);
            }
            if age < KEYS_ASKED_AGAIN_MS {
                return Err(NotSignedIn::Unauthorised);
            }
        }
        let bytes = port.keys().await.map_err(|fault| {
            let (PortFault::Unavailable(reason) | PortFault::Inconsistent(reason)) = fault;
            tracing::warn!(reason = %reason, "the issuer's keys can't be had");
            NotSignedIn::IssuerUnavailable
        })?;
        let mut keys: KeySet = serde_json::from_slice(&bytes).map_err(|_| NotSignedIn::IssuerUnavailable)?;
        keys.keys.truncate(KEYS_MAX);
        let keys = Arc::new(keys);
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Remembered { keys: Arc::clone(&keys), read_at: now });
        named(&keys, kid).ok_or(NotSignedIn::Unauthorised)
    }
}

fn named(keys: &KeySet, kid: &str) -> Option<PublicKey> {
    let usable = |key: &&PublicKey| {
        key.kty == "RSA" && key.kid.as_deref() == Some(kid) && key.purpose.as_deref().is_none_or(|it| it == "sig")
    };
    keys.keys.iter().find(usable).cloned()
}

fn verifies(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let number = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let (Some(n), Some(e)) = (number(&key.n), number(&key.e)) else { return false };
    RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
}

/// Who somebody with these groups is here.
fn caller<'a>(subject: &str, groups: impl Iterator<Item = &'a str>) -> Result<Caller, NotSignedIn> {
    let (mut role, mut tenants) = (None, Vec::new());
    for group in groups {
        match group {
            "admin" => role = role.max(Some(Role::Admin)),
            "operator" => role = role.max(Some(Role::Operator)),
            "viewer" => role = role.max(Some(Role::Viewer)),
            _ => tenants.extend(group.strip_prefix(TENANT_GROUP)),
        }
    }
    role.map(|role| Caller::new(subject, role, &tenants)).ok_or(NotSignedIn::NoRole)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, NotSignedIn> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| NotSignedIn::Unauthorised)?;
    serde_json::from_slice(&bytes).map_err(|_| NotSignedIn::Unauthorised)
}
