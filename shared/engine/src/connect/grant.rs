//! Keeping a grant alive: one renewal at a time, written down before it is used.
//!
//! Whoever needs a token that is about to end takes the lease on the grant's row, which names the version it saw. One
//! gets it and asks the provider; the others use the old token while it lasts, or wait for the row to move. A refusal of
//! the refresh token (`invalid_grant`, RFC 6749, section 5.2) counts only where a fresh read shows that the version used
//! is still the current one and that nobody else is renewing it: a loser's refusal says nothing.
//!
//! Where the process dies between the provider's answer and the write, the lease ends by itself and the next one uses
//! the old refresh token again: Xero allows that for half an hour, FreeAgent's never changes, Sage's is dead and the
//! binding needs a new connection.

use super::authority::{Authority, ClientProof};
use crate::config::milliseconds;
use crate::ports::{
    Access, Ask, Authorities, AuthorityCall, Chance, Clock, GrantLeased, GrantStore, PortFault, TransportFault, Vault,
};
use crate::tenants::{access_token_context, client_secret_context, refresh_token_context};
use ledger_dialects::Reply;
use ledger_domain::code::Code;
use ledger_domain::fault::{Action, Evidence, Fault};
use ledger_domain::identity::Provider;
use ledger_wire::rows::{AppRow, TokenRow, keys};
use secrecy::SecretString;

/// How long nobody else renews a grant, in milliseconds. Longer than any function runs, so that a write that is being
/// tried again meets no rival.
pub const LEASE_MS: i64 = 90_000;
/// What must be left of the deadline to begin a renewal, in milliseconds: two tries at the provider and the write.
pub const LEAST_LEFT_MS: i64 = 40_000;
/// How long somebody waits for another's renewal, in milliseconds.
pub const WAIT_MS: i64 = 10_000;
/// How often the row is looked at meanwhile, in milliseconds.
const POLL_MS: u64 = 500;
/// A token is renewed this long before it ends, in milliseconds, or a third of its life before where that is less: an
/// attempt may last a minute.
const AHEAD_MS: i64 = 90_000;
/// A token with this much left is good enough where it can't be renewed now, in milliseconds.
const USABLE_MS: i64 = 15_000;
/// How long a provider's OAuth address may take to answer, in milliseconds.
pub const OAUTH_TIMEOUT_MS: u64 = 12_000;
/// Tries at the provider under one lease: a lost reply is tried again once.
const TRIES_MAX: u32 = 2;
/// Pause between two tries to write a renewed grant down, in milliseconds.
const SAVE_PAUSE_MS: u64 = 250;
/// The write is tried until this long before the deadline, in milliseconds.
const SAVE_MARGIN_MS: i64 = 3_000;
/// Seconds after which a stack without a usable app is asked again.
const APP_WAIT_SECONDS: u64 = 600;

/// Whose grant it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantOf<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The binding.
    pub binding: &'a str,
    /// The provider.
    pub provider: Provider,
}

/// An access token to be used.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The token.
    pub token: SecretString,
    /// The version of the grant that it belongs to.
    pub version: u32,
}

/// What keeping grants alive needs.
pub struct Grants<'a> {
    /// The store.
    pub store: &'a dyn GrantStore,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// Providers' OAuth addresses.
    pub authorities: &'a dyn Authorities,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// True where apps may have addresses of their own.
    pub own_hosts: bool,
}

/// What an answer of the token endpoint gives (RFC 6749, section 5.1; Sage adds `refresh_token_expires_in`).
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    pub(crate) access_seconds: Option<i64>,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) refresh_seconds: Option<i64>,
    pub(crate) scopes: Vec<String>,
}

/// What became of a request to the token endpoint.
pub(crate) enum Asked {
    /// Tokens.
    Tokens(Tokens),
    /// The code or refresh token is not accepted.
    GrantRefused,
    /// The app is not accepted.
    AppRefused,
    /// Nothing that decides anything; with the seconds to wait, where they were told.
    Later(Option<u64>, Option<u16>),
    /// Whether the request arrived is unknown.
    NoAnswer,
    /// Nothing was sent.
    NotSent,
    /// The address is none that we may speak to.
    AddressRefused,
}

/// An app with its secret opened, ready to ask.
pub(crate) struct Client {
    pub(crate) authority: &'static Authority,
    pub(crate) app: AppRow,
    pub(crate) secret: Option<SecretString>,
}

impl Client {
    /// Posts a form to a token or revocation endpoint, proving who asks.
    pub(crate) async fn post(
        &self,
        authorities: &dyn Authorities,
        url: &str,
        mut form: Vec<(&'static str, SecretString)>,
    ) -> Result<Reply, TransportFault> {
        let mut access = Access::Open;
        match (&self.secret, self.authority.proof) {
            (Some(secret), ClientProof::Basic) => access = Access::Basic { client_id: &self.app.client_id, secret },
            (Some(secret), ClientProof::Body) => {
                form.push(("client_id", self.app.client_id.clone().into()));
                form.push(("client_secret", secret.clone()));
            }
            (None, _) => form.push(("client_id", self.app.client_id.clone().into())),
        }
        authorities.call(&AuthorityCall { url, ask: Ask::Post(form), access, timeout_ms: OAUTH_TIMEOUT_MS }).await
    }

    /// Asks the token endpoint.
    pub(crate) async fn ask(
        &self,
        authorities: &dyn Authorities,
        token_url: &str,
        form: Vec<(&'static str, SecretString)>,
    ) -> Asked {
        match self.post(authorities, token_url, form).await {
            Ok(reply) => judged(&reply),
            Err(TransportFault::NoAnswer(_)) => Asked::NoAnswer,
            Err(TransportFault::NotSent(_)) => Asked::NotSent,
            Err(TransportFault::AddressRefused(_)) => Asked::AddressRefused,
        }
    }
}

/// Reads an answer of a token endpoint.
fn judged(reply: &Reply) -> Asked {
    let body: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
    let field = |name: &str| body.as_ref().and_then(|body| body.get(name)).cloned();
    let text = |name: &str| field(name).and_then(|value| value.as_str().map(str::to_owned));
    // Some providers write numbers as texts.
    let number = |name: &str| {
        field(name).and_then(|value| value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok())))
    };
    if (200..300).contains(&reply.status) {
        return match text("access_token").filter(|token| !token.is_empty()) {
            Some(access) => Asked::Tokens(Tokens {
                access: access.into(),
                access_seconds: number("expires_in").filter(|seconds| *seconds > 0),
                refresh: text("refresh_token").filter(|token| !token.is_empty()).map(SecretString::from),
                refresh_seconds: number("refresh_token_expires_in").filter(|seconds| *seconds > 0),
                scopes: text("scope")
                    .map(|scope| scope.split_whitespace().map(str::to_owned).collect())
                    .unwrap_or_default(),
            }),
            // A success that can't be read may have used the refresh token up.
            None => Asked::NoAnswer,
        };
    }
    match (reply.status, text("error").as_deref()) {
        (400..=403, Some("invalid_grant")) => Asked::GrantRefused,
        (400..=403, Some("invalid_client" | "unauthorized_client")) | (401, None) => Asked::AppRefused,
        // "Try again after 10 minutes" (Sage Accounting API documentation, "Authentication").
        (_, Some("temporarily_unavailable")) => {
            Asked::Later(Some(reply.retry_after_seconds.unwrap_or(APP_WAIT_SECONDS)), Some(reply.status))
        }
        (500.., _) if reply.retry_after_seconds.is_none() => Asked::Later(None, Some(reply.status)),
        _ => Asked::Later(reply.retry_after_seconds, Some(reply.status)),
    }
}

fn port(fault: PortFault) -> Fault {
    match fault {
        PortFault::Unavailable(reason) => Fault::later(Code::StoreUnavailable, None, reason),
        PortFault::Inconsistent(reason) => Fault::broken(Code::Unexpected, reason),
    }
}

fn needs_reconnect() -> Fault {
    Fault::new(Action::Reconnect, Code::NeedsReconnect, "The provider does not accept our grant any more.")
}

fn busy(until: i64, now: i64) -> Fault {
    let seconds = u64::try_from(until.saturating_sub(now)).unwrap_or_default().div_ceil(1_000);
    Fault::later(Code::GrantBusy, Some(seconds.max(1)), "another worker is fetching a new token")
}

/// True where a token is about to end.
fn is_ending(row: &TokenRow, now: i64) -> bool {
    row.access_until.is_some_and(|until| {
        let life = row.refreshed_at.map_or(i64::MAX, |since| until.saturating_sub(since)).max(0);
        now >= until.saturating_sub(AHEAD_MS.min(life.div_euclid(3)))
    })
}

/// True where a token will do for the moment.
fn is_usable(row: &TokenRow, now: i64) -> bool {
    row.access_until.is_none_or(|until| now < until.saturating_sub(USABLE_MS))
}

impl Grants<'_> {
    /// The access token of a grant that was just read, renewed first where it is about to end.
    ///
    /// # Errors
    /// `Later` where it can't be had now; `Reconnect` where the grant is dead, and the binding is marked so; `Refused` or
    /// `Broken` where stack or rows are wrong.
    pub async fn open(&self, of: GrantOf<'_>, row: &TokenRow, deadline: i64) -> Result<Granted, Fault> {
        if row.refresh.is_none() || !is_ending(row, self.clock.now_ms()) {
            return self.opened(of, row).await;
        }
        match Box::pin(self.renewed(of, row, deadline, is_usable(row, self.clock.now_ms()))).await {
            Err(fault) if matches!(fault.action, Action::Later { .. }) && is_usable(row, self.clock.now_ms()) => {
                self.opened(of, row).await
            }
            renewed => renewed,
        }
    }

    /// The token to use instead of one that was refused (a 401): the one that somebody fetched meanwhile, or a new one.
    /// `None` where there can't be another: the token was set by hand.
    ///
    /// # Errors
    /// As [`Grants::open`].
    pub async fn instead_of(
        &self,
        of: GrantOf<'_>,
        refused_version: u32,
        deadline: i64,
    ) -> Result<Option<Granted>, Fault> {
        let Some(row) = self.store.grant(of.binding).await.map_err(port)? else { return Err(needs_reconnect()) };
        if row.version != refused_version {
            return self.open(of, &row, deadline).await.map(Some);
        }
        if row.refresh.is_none() {
            return Ok(None);
        }
        Box::pin(self.renewed(of, &row, deadline, false)).await.map(Some)
    }

    /// Renews a grant now, whatever is left of its token: an idle grant lapses.
    ///
    /// # Errors
    /// As [`Grants::open`].
    pub async fn renew(&self, of: GrantOf<'_>, row: &TokenRow, deadline: i64) -> Result<Granted, Fault> {
        Box::pin(self.renewed(of, row, deadline, false)).await
    }

    async fn opened(&self, of: GrantOf<'_>, row: &TokenRow) -> Result<Granted, Fault> {
        let token = self.vault.open(&row.access, &access_token_context(of.binding)).await.map_err(port)?;
        Ok(Granted { token, version: row.version })
    }

    /// The app that speaks for a binding: its own, else the stack's.
    pub(crate) async fn client(&self, of: GrantOf<'_>) -> Result<Option<Client>, PortFault> {
        let (owner, app) = match self.store.app(&keys::of_binding(of.binding)).await? {
            Some(app) => (of.binding, Some(app)),
            None => (of.provider.as_str(), self.store.app(&keys::app(of.provider.as_str())).await?),
        };
        let Some(app) = app else { return Ok(None) };
        let secret = match &app.secret {
            Some(sealed) => Some(self.vault.open(sealed, &client_secret_context(owner)).await?),
            None => None,
        };
        Ok(Some(Client { authority: Authority::of(of.provider), app, secret }))
    }

    /// Renews, or takes what somebody else renewed. `old_will_do`: nobody waits for another's renewal.
    async fn renewed(
        &self,
        of: GrantOf<'_>,
        seen: &TokenRow,
        deadline: i64,
        old_will_do: bool,
    ) -> Result<Granted, Fault> {
        let client =
            self.client(of).await.map_err(port)?.ok_or_else(|| {
                Fault::later(Code::AppMissing, Some(APP_WAIT_SECONDS), "no app is set for the provider")
            })?;
        let owner = self.chance.uuid();
        let waits_until = self.clock.now_ms().saturating_add(WAIT_MS);
        let mut row = seen.clone();
        loop {
            let now = self.clock.now_ms();
            if deadline.saturating_sub(now) < LEAST_LEFT_MS {
                return Err(Fault::later(Code::OutOfTime, Some(0), "too little time is left to renew the grant"));
            }
            // Whoever may write until the deadline meets no rival before it.
            let until = now.saturating_add(LEASE_MS).max(deadline.saturating_add(SAVE_MARGIN_MS));
            match self.store.lease_grant(of.binding, row.version, &owner, now, until).await.map_err(port)? {
                GrantLeased::Ours => return self.rotate(of, &client, &row, &owner, deadline).await,
                GrantLeased::Moved(None) => return Err(needs_reconnect()),
                GrantLeased::Moved(Some(next)) if is_ending(&next, now) && next.refresh.is_some() => row = next,
                GrantLeased::Moved(Some(next)) => return self.opened(of, &next).await,
                GrantLeased::Busy(_) if old_will_do => return self.opened(of, seen).await,
                GrantLeased::Busy(until) => {
                    if let Some(next) = self.moved_meanwhile(of, &row, until, waits_until).await? {
                        row = next;
                        if !is_ending(&row, self.clock.now_ms()) {
                            return self.opened(of, &row).await;
                        }
                    }
                }
            }
        }
    }

    /// Looks at the row until its version is another; `None` once its lease is over.
    async fn moved_meanwhile(
        &self,
        of: GrantOf<'_>,
        row: &TokenRow,
        mut until: i64,
        waits_until: i64,
    ) -> Result<Option<TokenRow>, Fault> {
        loop {
            let now = self.clock.now_ms();
            if until <= now {
                return Ok(None);
            }
            if now >= waits_until {
                return Err(busy(until, now));
            }
            self.clock.sleep_ms(POLL_MS).await;
            let there = self.store.grant(of.binding).await.map_err(port)?.ok_or_else(needs_reconnect)?;
            if there.version != row.version {
                return Ok(Some(there));
            }
            until = there.lease_until.unwrap_or_default();
        }
    }

    /// Asks for new tokens under the lease.
    async fn rotate(
        &self,
        of: GrantOf<'_>,
        client: &Client,
        row: &TokenRow,
        owner: &str,
        deadline: i64,
    ) -> Result<Granted, Fault> {
        let fault = match self.rotated(of, client, row, deadline).await {
            Ok(granted) => return Ok(granted),
            Err(Unrenewed::Refused) => return self.refused(of, row, owner).await,
            Err(Unrenewed::Fault(fault)) => fault,
        };
        // Given up at once, so that the next one need not wait for its end; where that fails, it ends by itself.
        if let Err(error) = self.store.release_grant(of.binding, owner).await {
            tracing::warn!(binding = %of.binding, reason = %error, "lease on the grant not given up");
        }
        Err(fault)
    }

    async fn rotated(
        &self,
        of: GrantOf<'_>,
        client: &Client,
        row: &TokenRow,
        deadline: i64,
    ) -> Result<Granted, Unrenewed> {
        let hosts = client.authority.hosts(&client.app, self.own_hosts).ok_or_else(own_hosts_refused)?;
        let Some(sealed) = &row.refresh else { return Err(needs_reconnect().into()) };
        let refresh = self.vault.open(sealed, &refresh_token_context(of.binding)).await.map_err(port)?;
        for _ in 0..TRIES_MAX {
            let form = vec![("grant_type", SecretString::from("refresh_token")), ("refresh_token", refresh.clone())];
            match client.ask(self.authorities, &hosts.token, form).await {
                Asked::Tokens(tokens) => return Ok(self.save(of, row, tokens, deadline).await?),
                Asked::GrantRefused => return Err(Unrenewed::Refused),
                Asked::AppRefused => {
                    tracing::error!(binding = %of.binding, provider = of.provider.as_str(), code = Code::AppRefused.as_str(), "app refused");
                    let text = "the provider does not accept our app";
                    return Err(Fault::later(Code::AppRefused, Some(APP_WAIT_SECONDS), text).into());
                }
                Asked::Later(after, status) => {
                    let mut fault = Fault::later(
                        Code::BookUnavailable,
                        after,
                        "the provider gave no new token; it is asked again later",
                    );
                    fault.evidence = Evidence { status, ..Evidence::default() };
                    return Err(fault.into());
                }
                Asked::AddressRefused => return Err(own_hosts_refused().into()),
                Asked::NotSent => {
                    let text = "the provider's token endpoint could not be reached";
                    return Err(Fault::later(Code::BookUnavailable, None, text).into());
                }
                // The reply is lost, and with it perhaps a token. The used one may be tried again: Xero allows that for
                // half an hour, FreeAgent's stays, and with Sage nothing is lost by it.
                Asked::NoAnswer => {
                    let needed = i64::try_from(OAUTH_TIMEOUT_MS).unwrap_or(i64::MAX).saturating_add(SAVE_MARGIN_MS);
                    if deadline.saturating_sub(self.clock.now_ms()) < needed {
                        break;
                    }
                }
            }
        }
        Err(Fault::later(Code::BookUnavailable, None, "no answer from the provider's token endpoint").into())
    }

    /// Writes new tokens down, before anybody uses them, until that works or the time is over.
    async fn save(&self, of: GrantOf<'_>, row: &TokenRow, tokens: Tokens, deadline: i64) -> Result<Granted, Fault> {
        let mut next: Option<TokenRow> = None;
        loop {
            let written = async {
                let next = match &next {
                    Some(next) => next,
                    None => next.insert(self.row_of(of, row, &tokens).await?),
                };
                self.store.save_grant(row.version, next).await.map(|saved| (saved, next.version))
            };
            let fault = match written.await {
                Ok((true, version)) => return Ok(Granted { token: tokens.access, version }),
                Ok((false, _)) => {
                    // Somebody connected the book anew meanwhile; theirs counts.
                    let there = self.store.grant(of.binding).await.map_err(port)?.ok_or_else(needs_reconnect)?;
                    return self.opened(of, &there).await;
                }
                Err(_) if planted!(TokenUsedBeforeSaved) => {
                    return Ok(Granted { token: tokens.access, version: row.version });
                }
                Err(error @ PortFault::Inconsistent(_)) => return Err(port(error)),
                Err(error) => error,
            };
            if deadline.saturating_sub(self.clock.now_ms()) < SAVE_MARGIN_MS {
                tracing::error!(binding = %of.binding, code = Code::StoreUnavailable.as_str(), reason = %fault, "a new token was lost");
                return Err(port(fault));
            }
            self.clock.sleep_ms(SAVE_PAUSE_MS).await;
        }
    }

    async fn row_of(&self, of: GrantOf<'_>, row: &TokenRow, tokens: &Tokens) -> Result<TokenRow, PortFault> {
        let now = self.clock.now_ms();
        let version = row.version.saturating_add(1);
        // A provider that sends none keeps the old one; its ciphertext is bound to its version, so it is sealed anew.
        let refresh = match (&tokens.refresh, &row.refresh) {
            (Some(refresh), _) => Some(refresh.clone()),
            (None, Some(sealed)) => Some(self.vault.open(sealed, &refresh_token_context(of.binding)).await?),
            (None, None) => None,
        };
        let refresh = match refresh {
            Some(refresh) => Some(self.vault.seal(&refresh, version, &refresh_token_context(of.binding)).await?),
            None => None,
        };
        Ok(TokenRow {
            access: self.vault.seal(&tokens.access, version, &access_token_context(of.binding)).await?,
            version,
            access_until: after(now, tokens.access_seconds),
            refresh,
            refresh_until: after(now, tokens.refresh_seconds).or(row.refresh_until),
            scopes: if tokens.scopes.is_empty() { row.scopes.clone() } else { tokens.scopes.clone() },
            refreshed_at: Some(now),
            lease_owner: None,
            lease_until: None,
            ..row.clone()
        })
    }

    /// The provider refused the refresh token: that counts only where it is still the current one and nobody else is
    /// renewing it.
    async fn refused(&self, of: GrantOf<'_>, used: &TokenRow, owner: &str) -> Result<Granted, Fault> {
        let now = self.clock.now_ms();
        let there = self.store.grant(of.binding).await.map_err(port)?.ok_or_else(needs_reconnect)?;
        if there.version != used.version {
            return self.opened(of, &there).await;
        }
        let theirs = there.lease_owner.as_deref().is_some_and(|holder| holder != owner);
        if let Some(until) = there.lease_until.filter(|until| theirs && *until > now) {
            return Err(busy(until, now));
        }
        if !self.store.needs_reconnect(of.tenant, of.binding, Some(used.version)).await.map_err(port)? {
            return Err(Fault::later(Code::GrantBusy, Some(0), "the grant was replaced meanwhile"));
        }
        tracing::warn!(tenant = %of.tenant, binding = %of.binding, provider = of.provider.as_str(), code = Code::NeedsReconnect.as_str(), "grant refused");
        if let Err(error) = self.store.release_grant(of.binding, owner).await {
            tracing::warn!(binding = %of.binding, reason = %error, "lease on the grant not given up");
        }
        Err(needs_reconnect())
    }
}

/// Why there are no new tokens.
enum Unrenewed {
    /// The provider refused the refresh token.
    Refused,
    /// Anything else.
    Fault(Fault),
}

impl From<Fault> for Unrenewed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn own_hosts_refused() -> Fault {
    Fault::refused(Code::SettingsInvalid, "the app has addresses of its own and this stack does not allow them")
}

/// The moment that comes so many seconds after another.
pub(crate) fn after(now: i64, seconds: Option<i64>) -> Option<i64> {
    seconds.map(|seconds| now.saturating_add(milliseconds(u64::try_from(seconds).unwrap_or_default())))
}

/// Tokens for reading a book outside an attempt: renewed first where they are about to end.
pub struct RenewedTokens<'a> {
    /// The grants.
    pub grants: Grants<'a>,
    /// When the function is stopped, in milliseconds.
    pub deadline: i64,
}

#[async_trait::async_trait]
impl crate::reference::BookTokens for RenewedTokens<'_> {
    async fn token_for(&self, binding: &ledger_wire::rows::BindingRow) -> Result<Option<SecretString>, Fault> {
        let trouble = |fault: PortFault| Fault::later(Code::StoreUnavailable, None, fault.to_string());
        let Some(row) = self.grants.store.grant(&binding.binding).await.map_err(trouble)? else { return Ok(None) };
        let provider = Provider::parse(&binding.provider)
            .ok_or_else(|| Fault::refused(Code::SettingsInvalid, "the binding's provider is none that Ledger knows"))?;
        let of = GrantOf { tenant: &binding.tenant, binding: &binding.binding, provider };
        Ok(Some(self.grants.open(of, &row, self.deadline).await?.token))
    }
}
