//! What each provider's OAuth is, as data.
//!
//! Sources: Xero developer documentation ("The standard authorization code flow", "The PKCE flow", "Token types",
//! "Managing connections", "OAuth 2.0 scopes") and Xero's OpenAPI of the identity service; Sage Accounting API
//! documentation ("Authentication"); FreeAgent API documentation ("OAuth", "Introduction: access levels", "Users").

use ledger_domain::identity::Provider;
use ledger_wire::rows::{AppHostsRow, AppRow};

/// How a confidential client proves itself at the token endpoint (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientProof {
    /// HTTP Basic.
    Basic,
    /// Id and secret among the form's fields.
    Body,
}

/// What becomes of a refresh token once it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The used one may be tried again for so many seconds, in case the reply was lost (Xero, "Token types").
    Grace(u64),
    /// It is dead at once: a lost reply means a new connection (Sage, "Authentication").
    Dead,
    /// The same one stays good (FreeAgent, "OAuth").
    Kept,
}

/// Where a provider's addresses are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// The page that asks the user.
    pub authorize: String,
    /// The token endpoint.
    pub token: String,
    /// The revocation endpoint; none where none is documented.
    pub revoke: Option<String>,
    /// The API: scheme, host and port.
    pub api: String,
}

/// A provider's OAuth.
#[derive(Clone, Copy, Debug)]
pub struct Authority {
    /// The provider.
    pub provider: Provider,
    /// How a client with a secret proves itself.
    pub proof: ClientProof,
    /// True where a client without a secret is possible: then PKCE proves it.
    pub public_clients: bool,
    /// True where PKCE is documented (RFC 7636, S256); it is used wherever it is.
    pub pkce: bool,
    /// Scopes asked for where the app names none; empty where the provider has none.
    pub scopes: &'static [&'static str],
    /// Further parameters of the authorisation page.
    pub authorize_parameters: &'static [(&'static str, &'static str)],
    /// True where the authorisation page takes a `country`.
    pub takes_country: bool,
    /// What becomes of a used refresh token.
    pub rotation: Rotation,
    /// An idle grant is renewed after so many seconds, well before it lapses.
    pub keep_alive_seconds: u64,
    /// The least access level of the user that works; 0 where there are none.
    pub least_access_level: u32,
}

const DAY: u64 = 86_400;

/// Access tokens live for 30 minutes, refresh tokens for 60 days; each use rotates the refresh token and the one before
/// may be retried for 30 minutes. `accounting.transactions` is refused to apps made since March 2026, so the finer
/// scopes are asked for; an older app names its own.
const XERO: Authority = Authority {
    provider: Provider::Xero,
    proof: ClientProof::Basic,
    public_clients: true,
    pkce: true,
    scopes: &[
        "offline_access",
        "openid",
        "profile",
        "email",
        "accounting.invoices",
        "accounting.payments",
        "accounting.contacts",
        "accounting.settings.read",
    ],
    authorize_parameters: &[],
    takes_country: false,
    rotation: Rotation::Grace(1_800),
    keep_alive_seconds: 25 * DAY,
    least_access_level: 0,
};

/// Access tokens live for 5 minutes, refresh tokens for 31 days; each use kills the refresh token. The code of a
/// callback is good for 60 seconds.
const SAGE: Authority = Authority {
    provider: Provider::SageAccounting,
    proof: ClientProof::Body,
    public_clients: false,
    pkce: true,
    scopes: &["full_access"],
    authorize_parameters: &[("filter", "apiv3.1")],
    takes_country: true,
    rotation: Rotation::Dead,
    keep_alive_seconds: 6 * DAY,
    least_access_level: 0,
};

/// Access tokens live for an hour, refresh tokens for about 20 years, and are not rotated. There are no scopes: the
/// user's access level decides, and bank accounts and explanations need level 6.
const FREEAGENT: Authority = Authority {
    provider: Provider::Freeagent,
    proof: ClientProof::Basic,
    public_clients: false,
    pkce: false,
    scopes: &[],
    authorize_parameters: &[],
    takes_country: false,
    rotation: Rotation::Kept,
    keep_alive_seconds: 28 * DAY,
    least_access_level: 6,
};

impl Authority {
    /// A provider's OAuth.
    #[must_use]
    pub const fn of(provider: Provider) -> &'static Self {
        match provider {
            Provider::Xero => &XERO,
            Provider::SageAccounting => &SAGE,
            Provider::Freeagent => &FREEAGENT,
        }
    }

    /// True where the provider has a host for trying things out. Xero has demo companies and Sage trial businesses
    /// instead, on the live hosts.
    #[must_use]
    pub const fn has_sandbox(&self) -> bool {
        matches!(self.provider, Provider::Freeagent)
    }

    /// Where the provider's addresses are, for an app: its own where it has any, and `own_hosts` says that this stack
    /// may use them. `None` where it may not.
    #[must_use]
    pub fn hosts(&self, app: &AppRow, own_hosts: bool) -> Option<Hosts> {
        if let Some(AppHostsRow { authorize, token, revoke, api }) = app.hosts.clone() {
            return own_hosts.then_some(Hosts { authorize, token, revoke, api });
        }
        Some(match self.provider {
            Provider::Xero => Hosts {
                authorize: "https://login.xero.com/identity/connect/authorize".to_owned(),
                token: "https://identity.xero.com/connect/token".to_owned(),
                revoke: Some("https://identity.xero.com/connect/revocation".to_owned()),
                api: "https://api.xero.com".to_owned(),
            },
            Provider::SageAccounting => Hosts {
                authorize: "https://www.sageone.com/oauth2/auth/central".to_owned(),
                token: "https://oauth.accounting.sage.com/token".to_owned(),
                revoke: Some("https://oauth.accounting.sage.com/revoke".to_owned()),
                api: "https://api.accounting.sage.com".to_owned(),
            },
            Provider::Freeagent => {
                let api = match app.environment.as_str() {
                    SANDBOX => "https://api.sandbox.freeagent.com",
                    _ => "https://api.freeagent.com",
                };
                Hosts {
                    authorize: format!("{api}/v2/approve_app"),
                    token: format!("{api}/v2/token_endpoint"),
                    revoke: None,
                    api: api.to_owned(),
                }
            }
        })
    }

    /// The scopes that an app asks for.
    #[must_use]
    pub fn scopes_of(&self, app: &AppRow) -> Vec<String> {
        if app.scopes.is_empty() {
            self.scopes.iter().map(|scope| (*scope).to_owned()).collect()
        } else {
            app.scopes.clone()
        }
    }
}

/// The environment of an app that works on real books.
pub const LIVE: &str = "live";
/// The environment of an app that tries things out.
pub const SANDBOX: &str = "sandbox";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_need_a_stack_that_allows_them() {
        let hosts = AppHostsRow {
            authorize: "http://127.0.0.1:1/authorize".to_owned(),
            token: "http://127.0.0.1:1/token".to_owned(),
            revoke: None,
            api: "http://127.0.0.1:1".to_owned(),
        };
        let app = AppRow { hosts: Some(hosts.clone()), ..AppRow::default() };
        for provider in Provider::ALL {
            let authority = Authority::of(provider);
            assert_eq!(authority.provider, provider);
            assert_eq!(authority.hosts(&app, false), None);
            assert_eq!(authority.hosts(&app, true).map(|it| it.api), Some(hosts.api.clone()));
            let usual = authority.hosts(&AppRow::default(), false).map(|it| [it.authorize, it.token, it.api]);
            assert!(usual.is_some_and(|all| all.iter().all(|url| url.starts_with("https://"))));
        }
    }

    #[test]
    fn only_freeagent_has_a_sandbox_of_its_own() {
        let app = AppRow { environment: SANDBOX.to_owned(), ..AppRow::default() };
        for provider in Provider::ALL {
            let authority = Authority::of(provider);
            let sandbox = authority.hosts(&app, false);
            assert_eq!(sandbox != authority.hosts(&AppRow::default(), false), authority.has_sandbox());
        }
    }
}
