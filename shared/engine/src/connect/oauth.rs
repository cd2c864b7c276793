//! From a click to a confirmed connection.
//!
//! `start` (or an opened connect link) makes an authorisation that lives for ten minutes and is used up by its callback.
//! The callback only stores a *pending* connection, bound to the operator who began it, or who made the link. That
//! operator sees the names of the organisations and confirms one: only then does the binding have a book. So whoever
//! forges, replays or plants a callback gains nothing that the operator would not have to confirm by name.
//!
//! States and link tokens are 256 random bits; rows know them by their fingerprint only, so that a dump of the table
//! gives none away.

use super::authority::{Authority, Hosts, LIVE, SANDBOX};
use super::grant::{Asked, Client, GrantOf, Grants, OAUTH_TIMEOUT_MS, Tokens, after};
use super::keep_alive;
use crate::ports::{
    Access, Ask, Authorities, AuthorityCall, Chance, Clock, Confirmation, ConnectStore, PortFault, Tenancy,
    TransportFault, Vault,
};
use crate::tenants::{
    access_token_context, client_secret_context, pending_access_context, pending_refresh_context,
    pkce_verifier_context, refresh_token_context,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger_dialects::Reply;
use ledger_domain::identity::{BindingId, BookId, Provider, TenantId, fingerprint};
use ledger_wire::rows::{
    AppHostsRow, AppRow, AuthorityUserRow, BindingRow, BookBindingRow, ConnectLinkRow, OAuthStateRow, OrganisationRow,
    PendingConnectionRow, ROW_VERSION, TokenRow, keys,
};
use ring::digest;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// How long an authorisation may take, in milliseconds.
pub const STATE_LIFE_MS: i64 = 600_000;
/// How long a connect link may be opened, in milliseconds.
pub const LINK_LIFE_MS: i64 = 7 * 86_400_000;
/// How long a pending connection waits for its confirmation, in milliseconds: as long as a link.
pub const PENDING_LIFE_MS: i64 = 7 * 86_400_000;
/// Longest text taken from a callback, in bytes.
const CALLBACK_TEXT_MAX: usize = 4_096;
/// Most organisations of a grant that are kept for the choice.
const ORGANISATIONS_MAX: usize = 50;
/// Longest client id and client secret, in bytes.
const CLIENT_TEXT_MAX: usize = 512;
/// Path of the callback below the stack's own address.
pub const CALLBACK_PATH: &str = "/oauth/callback";
/// Path of connect links below the stack's own address; the token follows.
pub const LINK_PATH: &str = "/oauth/link/";

/// Why something about a connection was not done. Each code is stable and listed in `docs/operating.md`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Something in the request can't be used.
    #[error("{field}: {code}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// `required`, `invalid_format`, `OUT_OF_RANGE`, `not_allowed`, `organisation_unknown`, …
        code: &'static str,
    },
    /// There is none.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Things are not so that it can be done.
    #[error("{code}: {sentence}")]
    NotNow {
        /// Stable code.
        code: &'static str,
        /// One sentence for a person.
        sentence: String,
    },
    /// Whoever asks may not, or what they bring is not (or no longer) good.
    #[error("{code}: {sentence}")]
    Forbidden {
        /// Stable code.
        code: &'static str,
        /// One sentence for a person.
        sentence: String,
    },
    /// Store or vault.
    #[error(transparent)]
    Port(#[from] PortFault),
}

fn invalid(field: &'static str, code: &'static str) -> ConnectError {
    ConnectError::Invalid { field, code }
}

fn not_now(code: &'static str, sentence: impl Into<String>) -> ConnectError {
    ConnectError::NotNow { code, sentence: sentence.into() }
}

fn forbidden(code: &'static str, sentence: impl Into<String>) -> ConnectError {
    ConnectError::Forbidden { code, sentence: sentence.into() }
}

/// Every code of [`ConnectError::NotNow`] and [`ConnectError::Forbidden`], with what to do about it.
pub const CONNECT_CODES: &[(&str, &str)] = &[
    (APP_MISSING, "Set client id and secret of the provider's app, for the stack or for the binding."),
    (APP_REFUSED, "Compare client id, secret and callback address with the provider's page of the app."),
    (OWN_HOSTS_NOT_ALLOWED, "Remove the app's own addresses: only stacks that allow private addresses may use them."),
    (STATE_UNKNOWN, "Start the connection again: this callback belongs to none that we began."),
    (STATE_USED, "Start the connection again: this callback was used before."),
    (STATE_EXPIRED, "Start the connection again: it took longer than ten minutes."),
    (STATE_OTHER_BROWSER, "Finish the connection in the browser that began it."),
    (AUTHORISATION_DENIED, "Somebody said no on the provider's page. Start again when they would say yes."),
    (
        AUTHORISATION_FAILED,
        "The provider did not authorise us. Check the app's scopes and callback address, then start again.",
    ),
    (CODE_REFUSED, "The provider did not accept the code that it gave. Start the connection again."),
    (AUTHORITY_UNAVAILABLE, "The provider did not answer. Start the connection again later."),
    (ACCESS_LEVEL_TOO_LOW, "Connect with a user of level 6 (Banking) or higher, or have the user's level raised."),
    (NO_ORGANISATION, "The user has no organisation there. Connect with a user who has one."),
    (LINK_UNKNOWN, "Ask for a new link: this one is none of ours."),
    (LINK_USED, "Ask for a new link: this one was opened before."),
    (LINK_EXPIRED, "Ask for a new link: this one is older than seven days."),
    (PENDING_EXPIRED, "Start the connection again: nobody confirmed it in time."),
    (NOT_YOUR_CONNECTION, "Only the operator who began the connection, or made its link, may confirm it."),
    (
        DIALECT_UNDECIDED,
        "The provider's answers don't show yet which API it speaks. Look again later, or name the dialect in the app.",
    ),
    (
        ANOTHER_ORGANISATION,
        "The binding belongs to another organisation. Disconnect it and make a new one (`ledger book new`).",
    ),
    (
        ANOTHER_DIALECT,
        "The binding's documents are known by another API. Disconnect it and make a new one (`ledger book new`).",
    ),
    (
        ANOTHER_ENVIRONMENT,
        "The binding's documents live on another host. Disconnect it and make a new one (`ledger book new`).",
    ),
    (
        PREFIX_NEEDED,
        "Another shop posts to this book: give this binding an invoice_number_prefix of its own, then confirm again.",
    ),
    (PROVIDER_BOUND, "The tenant has another connected binding of this provider. Disconnect that one first."),
    (BINDING_CHANGED, "The binding changed meanwhile. Look at it, then try again."),
];

/// No app is set for the provider.
pub const APP_MISSING: &str = "app_missing";
/// The provider does not accept our app.
pub const APP_REFUSED: &str = "app_refused";
/// The app has addresses of its own and this stack does not allow them.
pub const OWN_HOSTS_NOT_ALLOWED: &str = "own_hosts_not_allowed";
/// The callback's state is none of ours.
pub const STATE_UNKNOWN: &str = "state_unknown";
/// The callback's state was used before.
pub const STATE_USED: &str = "state_used";
/// The callback's state is over.
pub const STATE_EXPIRED: &str = "state_expired";
/// The callback came to a browser that did not begin.
pub const STATE_OTHER_BROWSER: &str = "state_other_browser";
/// The user said no.
pub const AUTHORISATION_DENIED: &str = "authorisation_denied";
/// The provider said no.
pub const AUTHORISATION_FAILED: &str = "authorisation_failed";
/// The provider did not accept its own code.
pub const CODE_REFUSED: &str = "code_refused";
/// The provider gave no answer that decides anything.
pub const AUTHORITY_UNAVAILABLE: &str = "authority_unavailable";
/// FreeAgent: the user's level does not reach.
pub const ACCESS_LEVEL_TOO_LOW: &str = "access_level_too_low";
/// The grant covers no organisation.
pub const NO_ORGANISATION: &str = "no_organisation";
/// The link is none of ours.
pub const LINK_UNKNOWN: &str = "link_unknown";
/// The link was opened before.
pub const LINK_USED: &str = "link_used";
/// The link is over.
pub const LINK_EXPIRED: &str = "link_expired";
/// The pending connection is over.
pub const PENDING_EXPIRED: &str = "pending_expired";
/// Another operator's connection.
pub const NOT_YOUR_CONNECTION: &str = "not_your_connection";
/// It is not known yet which API the organisation speaks.
pub const DIALECT_UNDECIDED: &str = "dialect_undecided";
/// The binding belongs to another organisation.
pub const ANOTHER_ORGANISATION: &str = "another_organisation";
/// The binding speaks another dialect.
pub const ANOTHER_DIALECT: &str = "another_dialect";
/// The binding's documents live on another host.
pub const ANOTHER_ENVIRONMENT: &str = "another_environment";
/// Two shops of a book would give the same numbers.
pub const PREFIX_NEEDED: &str = "prefix_needed";
/// The tenant has another connected binding of the provider.
pub const PROVIDER_BOUND: &str = "provider_bound";
/// Something was not as it was read.
pub const BINDING_CHANGED: &str = "binding_changed";

/// What connecting needs.
pub struct Connect<'a> {
    /// The store.
    pub store: &'a dyn ConnectStore,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// Providers' OAuth addresses.
    pub authorities: &'a dyn Authorities,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// True where apps may have addresses of their own: where the stack allows private addresses.
    pub own_hosts: bool,
}

/// An app to be set.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// Provider key.
    pub provider: String,
    /// Tenant and binding whose app it is; the whole stack's where absent.
    pub binding: Option<(String, String)>,
    /// The client's id.
    pub client_id: String,
    /// The client's secret; none for a public client (Xero only).
    pub client_secret: Option<SecretString>,
    /// `live` or `sandbox`; live where absent.
    pub environment: Option<String>,
    /// The scopes to ask for, where they are not the usual ones.
    pub scopes: Vec<String>,
    /// The dialect, where it shall not be found out: `accounting` or `v2` for Xero.
    pub dialect: Option<String>,
    /// The country whose sign-in page is shown (Sage): `gb`, `ie` or `ca`.
    pub country: Option<String>,
    /// Addresses of its own.
    pub hosts: Option<AppHostsRow>,
}

/// An app as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppView {
    /// Provider key.
    pub provider: String,
    /// The binding whose app it is; the whole stack's where absent.
    pub binding: Option<String>,
    /// The client's id.
    pub client_id: String,
    /// True where it has a secret.
    pub has_secret: bool,
    /// `live` or `sandbox`.
    pub environment: String,
    /// The scopes that it asks for.
    pub scopes: Vec<String>,
    /// The dialect, where it is forced.
    pub dialect: Option<String>,
    /// The callback address to register with the provider.
    pub callback_url: String,
    /// Last change, in milliseconds.
    pub updated_at: i64,
}

/// An authorisation that began.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where the user goes. Holds the state, so it is for that user only.
    pub authorize_url: String,
    /// What the browser has to bring to the callback, as a cookie; where it was asked for.
    pub browser_key: Option<SecretString>,
    /// When it is over, in milliseconds.
    pub expires_at: i64,
}

/// What the provider sent to the callback.
#[derive(Clone, Debug, Default)]
pub struct Callback {
    /// The state.
    pub state: String,
    /// The code, where the user said yes.
    pub code: Option<String>,
    /// The error, where not (RFC 6749, section 4.1.2.1).
    pub error: Option<String>,
    /// What the browser brought as its cookie.
    pub browser_key: Option<String>,
}

/// A pending connection as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingView {
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// Provider key.
    pub provider: String,
    /// True where it came over a connect link.
    pub by_link: bool,
    /// `live` or `sandbox`.
    pub environment: String,
    /// The dialect; none while it is undecided, and then there are no organisations either.
    pub dialect: Option<String>,
    /// The organisations to choose from.
    pub organisations: Vec<Organisation>,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// Scopes that were asked for and not granted: what they cover will be refused.
    pub missing_scopes: Vec<String>,
    /// FreeAgent: the user's access level.
    pub access_level: Option<u32>,
    /// When it is forgotten, in milliseconds.
    pub expires_at: i64,
}

/// An organisation to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// What [`Connect::confirm`] is told.
    pub id: String,
    /// Its name.
    pub name: String,
    /// True where the binding has this book already.
    pub present: bool,
}

/// A connect link that was made.
#[derive(Clone, Debug)]
pub struct MadeLink {
    /// The link; shown once.
    pub url: SecretString,
    /// When it is over, in milliseconds.
    pub expires_at: i64,
}

/// What a connect link is for, for the page that asks before it is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// Provider key.
    pub provider: String,
    /// Base URL of the shop.
    pub shop_url: String,
    /// When it is over, in milliseconds.
    pub expires_at: i64,
}

/// A grant as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantView {
    /// The binding's status.
    pub status: String,
    /// Counts tokens.
    pub version: u32,
    /// False where the token was set by hand.
    pub can_renew: bool,
    /// Scopes granted, as far as the provider tells them.
    pub scopes: Vec<String>,
    /// Scopes that the app asks for and the grant lacks: what they cover is refused.
    pub missing_scopes: Vec<String>,
    /// Until when the access token is good, in milliseconds.
    pub access_until: Option<i64>,
    /// Until when the refresh token is good, in milliseconds, where the provider says so.
    pub refresh_until: Option<i64>,
    /// When the tokens were fetched, in milliseconds.
    pub refreshed_at: Option<i64>,
}

/// What disconnecting does, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnection {
    /// The binding, as it is or will be.
    pub binding: BindingRow,
    /// What becomes of the grant at the provider.
    pub at_provider: AtProvider,
    /// Other bindings that the same user of the provider authorised.
    pub others_of_user: usize,
}

/// What becomes of a grant at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtProvider {
    /// There is no grant, or it was set by hand.
    Nothing,
    /// The provider has no way; the user removes the app on the provider's own page.
    ByHand,
    /// The connection to the organisation is removed; the user's token stays, because other bindings use it.
    ConnectionOnly,
    /// Nothing is removed: another binding posts to the same book, and Xero gives an organisation one connection per
    /// user and app.
    Shared,
    /// Connection and token are removed.
    Revoked,
    /// The provider did not answer so; disconnecting again tries again.
    Failed,
}

/// What the provider showed of a fresh grant.
struct Discovered {
    dialect: Option<&'static str>,
    organisations: Vec<OrganisationRow>,
    access_level: Option<u32>,
}

impl Connect<'_> {
    fn grants(&self) -> Grants<'_> {
        Grants {
            store: self.store,
            vault: self.vault,
            authorities: self.authorities,
            clock: self.clock,
            chance: self.chance,
            own_hosts: self.own_hosts,
        }
    }

    async fn bound(&self, tenant: &str, binding: &str) -> Result<(Tenancy, BindingRow, Provider), ConnectError> {
        TenantId::parse(tenant).ok_or_else(|| invalid("tenant", "invalid_format"))?;
        BindingId::parse(binding).ok_or_else(|| invalid("binding", "invalid_format"))?;
        let tenancy = self.store.tenancy(tenant).await?.ok_or(ConnectError::NotFound("tenant"))?;
        let found = tenancy.bindings.iter().find(|row| row.binding == binding).cloned();
        let row = found.ok_or(ConnectError::NotFound("binding"))?;
        let provider = Provider::parse(&row.provider).ok_or_else(|| {
            ConnectError::Port(PortFault::Inconsistent(format!("binding {binding}: its provider is none")))
        })?;
        Ok((tenancy, row, provider))
    }

    async fn client(&self, of: GrantOf<'_>) -> Result<(Client, Hosts), ConnectError> {
        let client = self
            .grants()
            .client(of)
            .await?
            .ok_or_else(|| not_now(APP_MISSING, format!("no app is set for {}", of.provider.as_str())))?;
        let hosts = client.authority.hosts(&client.app, self.own_hosts).ok_or_else(|| {
            not_now(OWN_HOSTS_NOT_ALLOWED, "the app has addresses of its own and this stack does not allow them")
        })?;
        Ok((client, hosts))
    }

    /// Sets the app of the stack or of one binding; the one before is replaced. `public_url` is the stack's own address.
    ///
    /// # Errors
    /// What is invalid, that there is no such binding, or that the app changed meanwhile.
    pub async fn set_app(&self, new: &NewApp, public_url: &str) -> Result<AppView, ConnectError> {
        let provider = Provider::parse(&new.provider).ok_or_else(|| invalid("provider", "invalid_format"))?;
        let authority = Authority::of(provider);
        check_app(new, authority, self.own_hosts)?;
        let (pk, owner) = match &new.binding {
            None => (keys::app(provider.as_str()), provider.as_str().to_owned()),
            Some((tenant, binding)) => {
                let (_, row, of_binding) = self.bound(tenant, binding).await?;
                if of_binding != provider {
                    return Err(invalid("provider", "not_allowed"));
                }
                (keys::of_binding(binding), row.binding)
            }
        };
        let seen = self.store.app(&pk).await?;
        let version = seen.as_ref().map_or(0, |row| row.version).saturating_add(1);
        let secret = match &new.client_secret {
            Some(secret) => Some(self.vault.seal(secret, version, &client_secret_context(&owner)).await?),
            None => None,
        };
        let row = AppRow {
            pk,
            sk: keys::APP.to_owned(),
            v: ROW_VERSION,
            provider: provider.as_str().to_owned(),
            client_id: new.client_id.clone(),
            secret,
            version,
            environment: new.environment.clone().unwrap_or_else(|| LIVE.to_owned()),
            scopes: new.scopes.clone(),
            dialect: new.dialect.clone(),
            country: new.country.clone(),
            hosts: new.hosts.clone(),
            updated_at: self.clock.now_ms(),
        };
        if !self.store.put_app(seen.map(|row| row.version), &row).await? {
            return Err(not_now(BINDING_CHANGED, "the app was set by somebody else meanwhile"));
        }
        Ok(view_of_app(&row, new.binding.as_ref().map(|(_, binding)| binding.clone()), public_url))
    }

    /// The app that speaks for a binding, or the stack's of a provider.
    ///
    /// # Errors
    /// That there is no such binding, or no app.
    pub async fn app(
        &self,
        provider: &str,
        binding: Option<(&str, &str)>,
        public_url: &str,
    ) -> Result<AppView, ConnectError> {
        let provider = Provider::parse(provider).ok_or_else(|| invalid("provider", "invalid_format"))?;
        if let Some((tenant, id)) = binding {
            self.bound(tenant, id).await?;
            if let Some(row) = self.store.app(&keys::of_binding(id)).await? {
                return Ok(view_of_app(&row, Some(id.to_owned()), public_url));
            }
        }
        let row = self.store.app(&keys::app(provider.as_str())).await?.ok_or(ConnectError::NotFound("app"))?;
        Ok(view_of_app(&row, None, public_url))
    }

    /// Begins an authorisation for `operator`. `in_browser`: the callback has to come to the browser that gets
    /// [`Started::browser_key`].
    ///
    /// # Errors
    /// That there is no such binding, or no usable app.
    pub async fn start(
        &self,
        tenant: &str,
        binding: &str,
        operator: &str,
        in_browser: bool,
        public_url: &str,
    ) -> Result<Started, ConnectError> {
        self.begin(tenant, binding, operator, in_browser, false, public_url).await
    }

    async fn begin(
        &self,
        tenant: &str,
        binding: &str,
        operator: &str,
        in_browser: bool,
        by_link: bool,
        public_url: &str,
    ) -> Result<Started, ConnectError> {
        let (_, row, provider) = self.bound(tenant, binding).await?;
        let (client, hosts) = self.client(GrantOf { tenant, binding: &row.binding, provider }).await?;
        let state = self.random();
        let hash = hash_of("state", state.expose_secret());
        let browser_key = in_browser.then(|| self.random());
        let redirect_uri = format!("{}{CALLBACK_PATH}", public_url.trim_end_matches('/'));
        let mut parameters = vec![
            ("response_type", "code".to_owned()),
            ("client_id", client.app.client_id.clone()),
            ("redirect_uri", redirect_uri.clone()),
            ("state", state.expose_secret().to_owned()),
        ];
        let scopes = client.authority.scopes_of(&client.app);
        if !scopes.is_empty() {
            parameters.push(("scope", scopes.join(" ")));
        }
        let mut verifier = None;
        if client.authority.pkce {
            let text = self.random();
            let challenge = digest::digest(&digest::SHA256, text.expose_secret().as_bytes());
            parameters.push(("code_challenge", URL_SAFE_NO_PAD.encode(challenge)));
            parameters.push(("code_challenge_method", "S256".to_owned()));
            verifier = Some(self.vault.seal(&text, 1, &pkce_verifier_context(&hash)).await?);
        }
        let fixed = client.authority.authorize_parameters.iter();
        parameters.extend(fixed.map(|(name, value)| (*name, (*value).to_owned())));
        if client.authority.takes_country
            && let Some(country) = &client.app.country
        {
            parameters.push(("country", country.clone()));
        }
        let now = self.clock.now_ms();
        let expires_at = now.saturating_add(STATE_LIFE_MS);
        let row = OAuthStateRow {
            pk: keys::oauth_state(&hash),
            sk: keys::STATE.to_owned(),
            v: ROW_VERSION,
            tenant: tenant.to_owned(),
            binding: binding.to_owned(),
            operator: operator.to_owned(),
            by_link,
            verifier,
            browser: browser_key.as_ref().map(|key| hash_of("browser", key.expose_secret())),
            redirect_uri,
            taken_by: None,
            made_at: now,
            expires_at: expires_at.div_euclid(1_000),
        };
        self.store.put_oauth_state(&row).await?;
        let query: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        Ok(Started { authorize_url: format!("{}?{}", hosts.authorize, query.join("&")), browser_key, expires_at })
    }

    /// Makes a connect link for the accountant. What comes of it waits for `operator`'s confirmation.
    ///
    /// # Errors
    /// That there is no such binding, or no usable app.
    pub async fn make_link(
        &self,
        tenant: &str,
        binding: &str,
        operator: &str,
        public_url: &str,
    ) -> Result<MadeLink, ConnectError> {
        let (_, row, provider) = self.bound(tenant, binding).await?;
        self.client(GrantOf { tenant, binding: &row.binding, provider }).await?;
        let token = self.random();
        let now = self.clock.now_ms();
        let expires_at = now.saturating_add(LINK_LIFE_MS);
        let link = ConnectLinkRow {
            pk: keys::connect_link(&hash_of("link", token.expose_secret())),
            sk: keys::LINK.to_owned(),
            v: ROW_VERSION,
            tenant: tenant.to_owned(),
            binding: binding.to_owned(),
            operator: operator.to_owned(),
            taken_by: None,
            made_at: now,
            expires_at: expires_at.div_euclid(1_000),
        };
        self.store.put_link(&link).await?;
        let url = format!("{}{LINK_PATH}{}", public_url.trim_end_matches('/'), token.expose_secret());
        Ok(MadeLink { url: url.into(), expires_at })
    }

    /// What a link is for, without using it up: mail programs open links to look at them.
    ///
    /// # Errors
    /// `link_unknown`, `link_used`, `link_expired`.
    pub async fn look_at_link(&self, token: &str) -> Result<LinkView, ConnectError> {
        let link = self.good_link(token).await?;
        let (tenancy, row, _) = self.bound(&link.tenant, &link.binding).await?;
        Ok(LinkView {
            provider: row.provider,
            shop_url: tenancy.tenant.shop_url,
            expires_at: link.expires_at.saturating_mul(1_000),
        })
    }

    /// Uses a link up and begins its authorisation, in the browser that opens it.
    ///
    /// # Errors
    /// `link_unknown`, `link_used`, `link_expired`; no usable app.
    pub async fn open_link(&self, token: &str, public_url: &str) -> Result<Started, ConnectError> {
        let link = self.good_link(token).await?;
        // All that may fail comes first: a hiccup must not use up the only link that the accountant has. Of two who open it
        // at once, one gets through; the other's authorisation is one that nobody has the state of.
        let begun = self.begin(&link.tenant, &link.binding, &link.operator, true, true, public_url).await?;
        if !self.store.take_link(&link.pk, &self.chance.uuid()).await? {
            return Err(forbidden(LINK_USED, "the link was opened before"));
        }
        Ok(begun)
    }

    async fn good_link(&self, token: &str) -> Result<ConnectLinkRow, ConnectError> {
        let unknown = || forbidden(LINK_UNKNOWN, "the link is none of ours");
        if token.is_empty() || token.len() > CALLBACK_TEXT_MAX {
            return Err(unknown());
        }
        let link = self.store.link(&keys::connect_link(&hash_of("link", token))).await?.ok_or_else(unknown)?;
        if link.taken_by.is_some() {
            return Err(forbidden(LINK_USED, "the link was opened before"));
        }
        if link.expires_at <= self.clock.now_ms().div_euclid(1_000) {
            return Err(forbidden(LINK_EXPIRED, "the link is older than seven days"));
        }
        Ok(link)
    }

    /// Takes what the provider sent: uses the state up, exchanges the code, looks what the grant covers, and stores the
    /// pending connection. The binding stays as it is.
    ///
    /// # Errors
    /// `state_unknown`, `state_used`, `state_expired`, `state_other_browser`; `authorisation_denied` or
    /// `authorisation_failed`; `code_refused`, `app_missing`, `app_refused`, `authority_unavailable`;
    /// `access_level_too_low`, `no_organisation`.
    pub async fn callback(&self, callback: &Callback) -> Result<PendingView, ConnectError> {
        let unknown = || forbidden(STATE_UNKNOWN, "the callback belongs to no connection that we began");
        if callback.state.is_empty() || callback.state.len() > CALLBACK_TEXT_MAX {
            return Err(unknown());
        }
        let hash = hash_of("state", &callback.state);
        let state = self.store.oauth_state(&keys::oauth_state(&hash)).await?.ok_or_else(unknown)?;
        if state.taken_by.is_some() {
            return Err(forbidden(STATE_USED, "the callback was used before"));
        }
        if state.expires_at <= self.clock.now_ms().div_euclid(1_000) {
            return Err(forbidden(STATE_EXPIRED, "the connection took longer than ten minutes"));
        }
        if let Some(expected) = &state.browser
            && callback.browser_key.as_deref().map(|key| hash_of("browser", key)).as_ref() != Some(expected)
        {
            // Not used up: the browser that began may still come.
            return Err(forbidden(STATE_OTHER_BROWSER, "the callback came to another browser than the one that began"));
        }
        if !self.store.take_oauth_state(&state.pk, &self.chance.uuid()).await? {
            return Err(forbidden(STATE_USED, "the callback was used before"));
        }
        match (callback.error.as_deref(), callback.code.as_deref()) {
            (Some("access_denied"), _) => Err(not_now(AUTHORISATION_DENIED, "somebody said no on the provider's page")),
            (None, Some(code)) if !code.is_empty() && code.len() <= CALLBACK_TEXT_MAX => {
                self.exchange(&state, &hash, code).await
            }
            _ => Err(not_now(AUTHORISATION_FAILED, "the provider did not authorise us")),
        }
    }

    async fn exchange(&self, state: &OAuthStateRow, hash: &str, code: &str) -> Result<PendingView, ConnectError> {
        let began = self.clock.now_ms();
        let (_, row, provider) = self.bound(&state.tenant, &state.binding).await?;
        let (client, hosts) = self.client(GrantOf { tenant: &state.tenant, binding: &state.binding, provider }).await?;
        let mut form = vec![
            ("grant_type", SecretString::from("authorization_code")),
            ("code", SecretString::from(code)),
            ("redirect_uri", SecretString::from(state.redirect_uri.as_str())),
        ];
        if let Some(sealed) = &state.verifier {
            form.push(("code_verifier", self.vault.open(sealed, &pkce_verifier_context(hash)).await?));
        }
        let tokens = match client.ask(self.authorities, &hosts.token, form).await {
            Asked::Tokens(tokens) => tokens,
            Asked::GrantRefused => return Err(not_now(CODE_REFUSED, "the provider did not accept its code")),
            Asked::AppRefused => return Err(not_now(APP_REFUSED, "the provider does not accept our app")),
            Asked::AddressRefused => {
                return Err(not_now(OWN_HOSTS_NOT_ALLOWED, "the token endpoint's address is not public"));
            }
            Asked::Later(..) | Asked::NoAnswer | Asked::NotSent => {
                return Err(not_now(AUTHORITY_UNAVAILABLE, "the provider gave no token; start again later"));
            }
        };
        let discovered = self.discover(&client, &hosts, &tokens.access).await?;
        let pending = self.pending_of(state, &client, &hosts, provider, tokens, discovered).await?;
        // Of two that were under way at once, the one that came back later is meant.
        let pending = PendingConnectionRow { made_at: began, ..pending };
        if !self.store.put_pending(&pending).await? {
            return Err(not_now(
                BINDING_CHANGED,
                "another connection of this binding was begun meanwhile; look at that one",
            ));
        }
        Ok(view_of_pending(&pending, &row))
    }

    async fn pending_of(
        &self,
        state: &OAuthStateRow,
        client: &Client,
        hosts: &Hosts,
        provider: Provider,
        tokens: Tokens,
        discovered: Discovered,
    ) -> Result<PendingConnectionRow, ConnectError> {
        let now = self.clock.now_ms();
        let binding = &state.binding;
        let asked = client.authority.scopes_of(&client.app);
        let missing_scopes = missing_scopes(asked, &tokens.scopes, tokens.refresh.is_some());
        let refresh = match &tokens.refresh {
            Some(refresh) => Some(self.vault.seal(refresh, 1, &pending_refresh_context(binding)).await?),
            None => None,
        };
        Ok(PendingConnectionRow {
            pk: keys::of_binding(binding),
            sk: keys::PENDING.to_owned(),
            v: ROW_VERSION,
            id: self.chance.uuid(),
            tenant: state.tenant.clone(),
            binding: binding.clone(),
            provider: provider.as_str().to_owned(),
            operator: state.operator.clone(),
            by_link: state.by_link,
            environment: client.app.environment.clone(),
            base_url: hosts.api.trim_end_matches('/').to_owned(),
            dialect: discovered.dialect.map(str::to_owned),
            access: self.vault.seal(&tokens.access, 1, &pending_access_context(binding)).await?,
            access_until: after(now, tokens.access_seconds),
            refresh,
            refresh_until: after(now, tokens.refresh_seconds),
            authority_user: user_of(provider, &tokens.access),
            scopes: tokens.scopes,
            missing_scopes,
            access_level: discovered.access_level,
            organisations: discovered.organisations,
            made_at: now,
            expires_at: now.saturating_add(PENDING_LIFE_MS).div_euclid(1_000),
        })
    }

    async fn asked(&self, url: &str, access: &SecretString) -> Option<Reply> {
        let call = AuthorityCall { url, ask: Ask::Get, access: Access::Bearer(access), timeout_ms: OAUTH_TIMEOUT_MS };
        self.authorities.call(&call).await.ok()
    }

    /// Looks what a fresh grant covers.
    async fn discover(
        &self,
        client: &Client,
        hosts: &Hosts,
        access: &SecretString,
    ) -> Result<Discovered, ConnectError> {
        let api = hosts.api.trim_end_matches('/');
        let forced = client.app.dialect.as_deref();
        match client.authority.provider {
            Provider::Xero => self.discover_xero(api, forced, access).await,
            // "GET /businesses" without X-Business lists what the user may see (Sage Accounting API, businesses).
            Provider::SageAccounting => {
                let reply = self.asked(&format!("{api}/v3.1/businesses"), access).await;
                let Some(body) = reply.as_ref().and_then(good) else { return Ok(Discovered::undecided()) };
                let organisations = body.get("$items").and_then(Value::as_array).map(|items| {
                    items.iter().filter_map(|item| organisation(item, &["name", "displayed_as"])).collect()
                });
                Discovered::decided("sage", organisations.unwrap_or_default())
            }
            Provider::Freeagent => {
                let user = self.asked(&format!("{api}/v2/users/me"), access).await;
                let Some(user) = user.as_ref().and_then(good) else { return Ok(Discovered::undecided()) };
                let level = user.get("user").and_then(|user| user.get("permission_level")).and_then(whole);
                let least = client.authority.least_access_level;
                let level = level.unwrap_or_default();
                if level < least {
                    let text = format!("the user's access level is {level}; documents and payments need {least}");
                    return Err(forbidden(ACCESS_LEVEL_TOO_LOW, text));
                }
                let Some(company) = self.company(api, access).await else { return Ok(Discovered::undecided()) };
                // Live and sandbox number their companies apart, and a book's name has to tell them apart.
                let id = match client.app.environment.as_str() {
                    SANDBOX => format!("{SANDBOX}.{}", company.id),
                    _ => company.id.clone(),
                };
                let found = Discovered::decided("freeagent", vec![OrganisationRow { id, ..company }])?;
                Ok(Discovered { access_level: Some(level), ..found })
            }
        }
    }

    /// `GET /connections` answers with a list where the public API is spoken (Xero, "Managing connections"); where there
    /// is no such page, the organisation is that of `GET /v2/company`. Anything else decides nothing.
    async fn discover_xero(
        &self,
        api: &str,
        forced: Option<&str>,
        access: &SecretString,
    ) -> Result<Discovered, ConnectError> {
        if forced != Some("v2") {
            let reply = self.asked(&format!("{api}/connections"), access).await;
            let status = reply.as_ref().map(|reply| reply.status);
            if let Some(list) = reply.as_ref().and_then(good).as_ref().and_then(Value::as_array) {
                return Discovered::decided("accounting", of_this_time(list, access));
            }
            if forced.is_some() || status != Some(404) {
                return Ok(Discovered::undecided());
            }
        }
        match self.company(api, access).await {
            Some(company) => Discovered::decided("v2", vec![company]),
            None => Ok(Discovered::undecided()),
        }
    }

    async fn company(&self, api: &str, access: &SecretString) -> Option<OrganisationRow> {
        let reply = self.asked(&format!("{api}/v2/company"), access).await?;
        let body = good(&reply)?;
        let company = body.get("company")?;
        let web_name = company.get("subdomain").and_then(Value::as_str).map(str::to_owned);
        let mut found = organisation(company, &["name"])?;
        found.web_name = web_name;
        Some(found)
    }

    /// What waits for `operator`'s confirmation. Where the dialect was undecided, the provider is asked again first.
    ///
    /// # Errors
    /// That nothing waits; `not_your_connection`, `pending_expired`; what the provider shows, as [`Connect::callback`].
    pub async fn pending(&self, tenant: &str, binding: &str, operator: &str) -> Result<PendingView, ConnectError> {
        let (_, row, provider) = self.bound(tenant, binding).await?;
        let mut pending = self.own_pending(&row, operator).await?;
        if pending.dialect.is_none() {
            let (client, hosts) = self.client(GrantOf { tenant, binding, provider }).await?;
            let access = self.vault.open(&pending.access, &pending_access_context(binding)).await?;
            let discovered = self.discover(&client, &hosts, &access).await?;
            if discovered.dialect.is_some() {
                pending.dialect = discovered.dialect.map(str::to_owned);
                pending.organisations = discovered.organisations;
                pending.access_level = discovered.access_level;
                if !self.store.complete_pending(&pending).await? {
                    return Err(not_now(BINDING_CHANGED, "the connection is another by now; look again"));
                }
            }
        }
        Ok(view_of_pending(&pending, &row))
    }

    async fn own_pending(&self, row: &BindingRow, operator: &str) -> Result<PendingConnectionRow, ConnectError> {
        let pending = self.store.pending(&row.binding).await?.ok_or(ConnectError::NotFound("pending connection"))?;
        if pending.operator != operator || pending.tenant != row.tenant {
            return Err(forbidden(NOT_YOUR_CONNECTION, "another operator began this connection"));
        }
        if pending.expires_at <= self.clock.now_ms().div_euclid(1_000) {
            return Err(not_now(PENDING_EXPIRED, "nobody confirmed the connection in time"));
        }
        Ok(pending)
    }

    /// Throws a pending connection away. The provider is not told: the grant lapses unused.
    ///
    /// # Errors
    /// As [`Connect::pending`].
    pub async fn discard(&self, tenant: &str, binding: &str, operator: &str) -> Result<(), ConnectError> {
        let (_, row, _) = self.bound(tenant, binding).await?;
        let pending = self.own_pending(&row, operator).await?;
        Ok(self.store.remove_pending(binding, &pending.id).await?)
    }

    /// Confirms an organisation: the binding gets its book, or, where it has it already, its new grant; runs that were
    /// held for it go on by the next sweep.
    ///
    /// # Errors
    /// As [`Connect::pending`]; `organisation: organisation_unknown`, `dialect_undecided`, `another_organisation`,
    /// `another_dialect`, `another_environment`, `prefix_needed`, `provider_bound`, `binding_changed`.
    pub async fn confirm(
        &self,
        tenant: &str,
        binding: &str,
        operator: &str,
        organisation: &str,
    ) -> Result<BindingRow, ConnectError> {
        self.confirm_among(tenant, binding, operator, organisation, &|_| true).await
    }

    /// [`confirm`](Self::confirm) by an operator who may not see every tenant: a book that a tenant out of their sight
    /// posts to is none that they may choose.
    ///
    /// # Errors
    /// As [`confirm`](Self::confirm), and `not_your_connection` for such a book.
    pub async fn confirm_among(
        &self,
        tenant: &str,
        binding: &str,
        operator: &str,
        organisation: &str,
        sees: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<BindingRow, ConnectError> {
        let (tenancy, seen, provider) = self.bound(tenant, binding).await?;
        let pending = self.own_pending(&seen, operator).await?;
        let dialect = pending
            .dialect
            .clone()
            .ok_or_else(|| not_now(DIALECT_UNDECIDED, "the provider's answers don't show yet which API it speaks"))?;
        let chosen = pending.organisations.iter().find(|it| it.id == organisation).cloned();
        let chosen = chosen.ok_or_else(|| invalid("organisation", "organisation_unknown"))?;
        let book = BookId::of(provider, &chosen.id).ok_or_else(|| invalid("organisation", "invalid_format"))?;
        let book = book.as_str().to_owned();
        if !seen.book.is_empty() {
            is_the_same(&seen, &book, &dialect, &pending.base_url)?;
        }
        let others = |row: &&BindingRow| {
            row.provider == seen.provider && row.binding != seen.binding && row.status != "disconnected"
        };
        if seen.status == "disconnected" && tenancy.bindings.iter().any(|row| others(&row)) {
            return Err(not_now(PROVIDER_BOUND, "the tenant has another connected binding of this provider"));
        }
        let prefix = seen.settings.invoice_number_prefix.clone().unwrap_or_default();
        let posting = self.store.book_bindings(&book).await?;
        if posting.iter().any(|row| row.tenant != tenant && !sees(&row.tenant)) {
            return Err(forbidden(NOT_YOUR_CONNECTION, "a tenant that you may not see posts to this book"));
        }
        if shares_numbers(&posting, tenant, &prefix) {
            return Err(not_now(PREFIX_NEEDED, "another shop posts to this book under the same invoice_number_prefix"));
        }
        let before = self.store.grant(binding).await?;
        let grant = self.grant_of(&pending, &chosen, before.as_ref()).await?;
        let now = self.clock.now_ms();
        let next = BindingRow {
            status: "active".to_owned(),
            book: book.clone(),
            dialect,
            base_url: pending.base_url.clone(),
            web_name: chosen.web_name.clone().or_else(|| seen.web_name.clone()),
            connected_at: if seen.book.is_empty() { now } else { seen.connected_at },
            organisation_name: Some(chosen.name.clone()),
            environment: Some(pending.environment.clone()),
            ..seen.clone()
        };
        let keep_alive = grant.refresh.is_some().then(|| keep_alive::entry(provider, tenant, binding, pending.made_at));
        let row_of = |user: &String| AuthorityUserRow {
            pk: keys::authority_user(provider.as_str(), user),
            sk: keys::binding_of(tenant, binding),
            v: ROW_VERSION,
            tenant: tenant.to_owned(),
            binding: binding.to_owned(),
        };
        let user = pending.authority_user.as_ref().map(row_of);
        let former_user = before.as_ref().and_then(|grant| grant.authority_user.as_ref()).map(row_of);
        let former_user = former_user.filter(|row| user.as_ref() != Some(row));
        let confirmation = Confirmation {
            seen,
            next,
            seen_grant: before.map(|row| row.version),
            grant,
            book_binding: BookBindingRow {
                pk: keys::book(&book),
                sk: keys::binding_of(tenant, binding),
                v: ROW_VERSION,
                tenant: tenant.to_owned(),
                binding: binding.to_owned(),
                prefix,
            },
            user,
            former_user,
            keep_alive,
            pending,
        };
        if !self.store.confirm(&confirmation).await? {
            return Err(not_now(BINDING_CHANGED, "the binding or its grant changed meanwhile; look again"));
        }
        tracing::info!(tenant, binding, operator, provider = provider.as_str(), book, "book connected");
        Ok(confirmation.next)
    }

    async fn grant_of(
        &self,
        pending: &PendingConnectionRow,
        chosen: &OrganisationRow,
        before: Option<&TokenRow>,
    ) -> Result<TokenRow, ConnectError> {
        let binding = &pending.binding;
        let version = before.map_or(0, |row| row.version).saturating_add(1);
        let access = self.vault.open(&pending.access, &pending_access_context(binding)).await?;
        let refresh = match &pending.refresh {
            Some(sealed) => {
                let refresh = self.vault.open(sealed, &pending_refresh_context(binding)).await?;
                Some(self.vault.seal(&refresh, version, &refresh_token_context(binding)).await?)
            }
            None => None,
        };
        Ok(TokenRow {
            pk: keys::of_binding(binding),
            sk: keys::TOKEN.to_owned(),
            v: ROW_VERSION,
            access: self.vault.seal(&access, version, &access_token_context(binding)).await?,
            version,
            access_until: pending.access_until,
            refresh,
            refresh_until: pending.refresh_until,
            scopes: pending.scopes.clone(),
            authority_user: pending.authority_user.clone(),
            connection_id: chosen.connection_id.clone(),
            refreshed_at: Some(pending.made_at),
            lease_owner: None,
            lease_until: None,
        })
    }

    /// What is known of a binding's grant, without its tokens.
    ///
    /// # Errors
    /// That there is no such binding, or that it has no grant.
    pub async fn status(&self, tenant: &str, binding: &str) -> Result<GrantView, ConnectError> {
        let (_, row, provider) = self.bound(tenant, binding).await?;
        let grant = self.store.grant(binding).await?.ok_or(ConnectError::NotFound("grant"))?;
        let app = match self.store.app(&keys::of_binding(binding)).await? {
            Some(app) => Some(app),
            None => self.store.app(&keys::app(provider.as_str())).await?,
        };
        let asked = app.map(|app| Authority::of(provider).scopes_of(&app)).unwrap_or_default();
        let can_renew = grant.refresh.is_some();
        Ok(GrantView {
            status: row.status,
            version: grant.version,
            can_renew,
            missing_scopes: missing_scopes(asked, &grant.scopes, can_renew),
            scopes: grant.scopes,
            access_until: grant.access_until,
            refresh_until: grant.refresh_until,
            refreshed_at: grant.refreshed_at,
        })
    }

    /// What disconnecting a binding would do at the provider. Cross-references, runs and settings stay either way.
    ///
    /// # Errors
    /// That there is no such binding.
    pub async fn disconnection(&self, tenant: &str, binding: &str) -> Result<Disconnection, ConnectError> {
        let (_, row, provider) = self.bound(tenant, binding).await?;
        let grant = self.store.grant(binding).await?;
        let others_of_user = self.others_of_user(binding, provider, grant.as_ref()).await?;
        let at_provider = match (&grant, provider) {
            (None, _) => AtProvider::Nothing,
            (Some(grant), _) if grant.refresh.is_none() => AtProvider::Nothing,
            (Some(_), Provider::Freeagent) => AtProvider::ByHand,
            (Some(_), Provider::Xero) if self.is_shared(&row).await? => AtProvider::Shared,
            (Some(_), Provider::Xero) if others_of_user > 0 => AtProvider::ConnectionOnly,
            (Some(_), Provider::Xero | Provider::SageAccounting) => AtProvider::Revoked,
        };
        Ok(Disconnection { binding: row, at_provider, others_of_user })
    }

    /// True where another connected binding posts to the same book.
    async fn is_shared(&self, row: &BindingRow) -> Result<bool, ConnectError> {
        if row.book.is_empty() {
            return Ok(false);
        }
        for other in self.store.book_bindings(&row.book).await? {
            if other.tenant == row.tenant && other.binding == row.binding {
                continue;
            }
            let Some(tenancy) = self.store.tenancy(&other.tenant).await? else { continue };
            let posts = |it: &BindingRow| it.binding == other.binding && it.status != "disconnected";
            if tenancy.bindings.iter().any(posts) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn others_of_user(
        &self,
        binding: &str,
        provider: Provider,
        grant: Option<&TokenRow>,
    ) -> Result<usize, ConnectError> {
        let Some(user) = grant.and_then(|grant| grant.authority_user.as_deref()) else { return Ok(0) };
        let others = self.store.user_bindings(provider.as_str(), user).await?;
        Ok(others.iter().filter(|row| row.binding != binding).count())
    }

    /// Disconnects a binding: nothing is posted any more, the provider is told as far as it can be, the tokens are
    /// forgotten. Book, settings and cross-references stay, so that connecting the same organisation again doubles
    /// nothing. May be repeated: what the provider did not take is told to it again.
    ///
    /// # Errors
    /// That there is no such binding.
    pub async fn disconnect(&self, tenant: &str, binding: &str, deadline: i64) -> Result<Disconnection, ConnectError> {
        let mut plan = self.disconnection(tenant, binding).await?;
        let provider = Provider::parse(&plan.binding.provider).ok_or(ConnectError::NotFound("provider"))?;
        // First of all, so that nobody posts or renews while the grant goes.
        if !self.store.disconnect(tenant, binding).await? {
            return Err(ConnectError::NotFound("binding"));
        }
        "disconnected".clone_into(&mut plan.binding.status);
        let Some(grant) = self.store.grant(binding).await? else { return Ok(plan) };
        let of = GrantOf { tenant, binding, provider };
        let done = match plan.at_provider {
            AtProvider::Nothing | AtProvider::ByHand | AtProvider::Shared | AtProvider::Failed => true,
            AtProvider::ConnectionOnly => self.remove_connection(of, &grant, deadline).await,
            AtProvider::Revoked => {
                // A token that is revoked takes all of the user's connections along, this one included; removing it
                // first leaves none behind where the revocation fails.
                self.remove_connection(of, &grant, deadline).await && self.revoke(of).await
            }
        };
        if !done {
            plan.at_provider = AtProvider::Failed;
            tracing::warn!(tenant, binding, provider = provider.as_str(), "grant not revoked at the provider");
            return Ok(plan);
        }
        // Removing the connection may have renewed the grant.
        if let Some(grant) = self.store.grant(binding).await? {
            self.store.forget_grant(tenant, provider.as_str(), &grant).await?;
        }
        tracing::info!(tenant, binding, provider = provider.as_str(), "book disconnected");
        Ok(plan)
    }

    /// `DELETE /connections/{id}`: 204, or 404 where it is gone (Xero, "Managing connections").
    async fn remove_connection(&self, of: GrantOf<'_>, grant: &TokenRow, deadline: i64) -> bool {
        let Some(id) = &grant.connection_id else { return true };
        let Ok((_, hosts)) = self.client(of).await else { return false };
        let granted = match self.grants().open(of, grant, deadline).await {
            Ok(granted) => granted,
            // A dead grant has no connection left that is ours to remove.
            Err(fault) => return fault.action == ledger_domain::fault::Action::Reconnect,
        };
        let url = format!("{}/connections/{}", hosts.api.trim_end_matches('/'), percent_encoded(id));
        let call = AuthorityCall {
            url: &url,
            ask: Ask::Delete,
            access: Access::Bearer(&granted.token),
            timeout_ms: OAUTH_TIMEOUT_MS,
        };
        match self.authorities.call(&call).await {
            Ok(reply) => (200..300).contains(&reply.status) || matches!(reply.status, 401 | 403 | 404),
            Err(_) => false,
        }
    }

    /// Tells the revocation endpoint (RFC 7009; Sage's answers 200 too). A token that it does not know is revoked.
    async fn revoke(&self, of: GrantOf<'_>) -> bool {
        let Ok((client, hosts)) = self.client(of).await else { return false };
        let Some(url) = &hosts.revoke else { return true };
        let Ok(Some(grant)) = self.store.grant(of.binding).await else { return false };
        let Some(sealed) = &grant.refresh else { return true };
        let Ok(refresh) = self.vault.open(sealed, &refresh_token_context(of.binding)).await else { return false };
        match client.post(self.authorities, url, vec![("token", refresh)]).await {
            Ok(reply) => (200..300).contains(&reply.status) || reply.status == 400,
            Err(TransportFault::NotSent(_) | TransportFault::NoAnswer(_) | TransportFault::AddressRefused(_)) => false,
        }
    }

    /// 256 random bits, in 43 characters that need no encoding.
    fn random(&self) -> SecretString {
        let mut bytes = [0_u8; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&self.chance.number().to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes).into()
    }
}

impl Discovered {
    const fn undecided() -> Self {
        Self { dialect: None, organisations: Vec::new(), access_level: None }
    }

    fn decided(dialect: &'static str, mut organisations: Vec<OrganisationRow>) -> Result<Self, ConnectError> {
        if organisations.is_empty() {
            return Err(not_now(NO_ORGANISATION, "the user has no organisation at the provider"));
        }
        organisations.truncate(ORGANISATIONS_MAX);
        Ok(Self { dialect: Some(dialect), organisations, access_level: None })
    }
}

/// Scopes that were asked for and not granted. A provider that tells none granted what was asked (RFC 6749, section
/// 5.1).
fn missing_scopes(asked: Vec<String>, granted: &[String], can_renew: bool) -> Vec<String> {
    let missing = |scope: &String| match scope.as_str() {
        "offline_access" => !can_renew,
        // Those say who the user is, and a provider may leave them out of what it tells.
        "openid" | "profile" | "email" => false,
        named => !granted.iter().any(|scope| scope == named),
    };
    if granted.is_empty() { Vec::new() } else { asked.into_iter().filter(missing).collect() }
}

/// True where another shop's binding of a book gives the same numbers: their prefixes are the same.
#[must_use]
pub fn shares_numbers(others: &[BookBindingRow], tenant: &str, prefix: &str) -> bool {
    others.iter().any(|row| row.tenant != tenant && row.prefix == prefix)
}

/// A binding keeps its organisation: its cross-references name documents of that one.
fn is_the_same(seen: &BindingRow, book: &str, dialect: &str, base_url: &str) -> Result<(), ConnectError> {
    if seen.book != book {
        return Err(not_now(ANOTHER_ORGANISATION, "another organisation is a new binding with empty cross-references"));
    }
    if seen.dialect != dialect {
        return Err(not_now(ANOTHER_DIALECT, "the binding's documents are known by another API"));
    }
    if seen.base_url != base_url {
        return Err(not_now(ANOTHER_ENVIRONMENT, "the binding's documents live on another host"));
    }
    Ok(())
}

fn check_app(new: &NewApp, authority: &Authority, own_hosts: bool) -> Result<(), ConnectError> {
    let fits = |text: &str| {
        !text.is_empty() && text.len() <= CLIENT_TEXT_MAX && text.chars().all(|letter| letter.is_ascii_graphic())
    };
    if !fits(&new.client_id) || new.client_id.contains(':') {
        return Err(invalid("client_id", "invalid_format"));
    }
    match &new.client_secret {
        Some(secret) if !fits(secret.expose_secret()) => return Err(invalid("client_secret", "invalid_format")),
        None if !authority.public_clients => return Err(invalid("client_secret", "required")),
        _ => {}
    }
    match new.environment.as_deref() {
        None | Some(LIVE) => {}
        Some(SANDBOX) if authority.has_sandbox() || new.hosts.is_some() => {}
        Some(SANDBOX) => return Err(invalid("environment", "not_allowed")),
        Some(_) => return Err(invalid("environment", "invalid_format")),
    }
    if new.scopes.len() > 50 || !new.scopes.iter().all(|scope| fits(scope)) {
        return Err(invalid("scopes", "invalid_format"));
    }
    if let Some(name) = &new.dialect {
        let speaks = ledger_dialects::dialect(name).map(|dialect| dialect.profile().provider);
        if speaks != Some(authority.provider) {
            return Err(invalid("dialect", "not_allowed"));
        }
    }
    let is_country = |text: &String| text.len() == 2 && text.bytes().all(|letter| letter.is_ascii_lowercase());
    if new.country.as_ref().is_some_and(|text| !is_country(text)) {
        return Err(invalid("country", "invalid_format"));
    }
    if let Some(hosts) = &new.hosts {
        if !own_hosts {
            return Err(invalid("hosts", "not_allowed"));
        }
        let urls = [Some(&hosts.authorize), Some(&hosts.token), hosts.revoke.as_ref(), Some(&hosts.api)];
        let is_url = |url: &str| {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            fits(url) && rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#', '@', '\\']))
        };
        if !urls.into_iter().flatten().all(|url| is_url(url)) {
            return Err(invalid("hosts", "invalid_format"));
        }
    }
    Ok(())
}

fn view_of_app(row: &AppRow, binding: Option<String>, public_url: &str) -> AppView {
    let scopes = Provider::parse(&row.provider).map(|provider| Authority::of(provider).scopes_of(row));
    AppView {
        provider: row.provider.clone(),
        binding,
        client_id: row.client_id.clone(),
        has_secret: row.secret.is_some(),
        environment: row.environment.clone(),
        scopes: scopes.unwrap_or_default(),
        dialect: row.dialect.clone(),
        callback_url: format!("{}{CALLBACK_PATH}", public_url.trim_end_matches('/')),
        updated_at: row.updated_at,
    }
}

fn view_of_pending(pending: &PendingConnectionRow, binding: &BindingRow) -> PendingView {
    let present = |id: &str| {
        !binding.book.is_empty() && binding.book.split_once(':').is_some_and(|(_, organisation)| organisation == id)
    };
    PendingView {
        tenant: pending.tenant.clone(),
        binding: pending.binding.clone(),
        provider: pending.provider.clone(),
        by_link: pending.by_link,
        environment: pending.environment.clone(),
        dialect: pending.dialect.clone(),
        organisations: pending
            .organisations
            .iter()
            .map(|it| Organisation { id: it.id.clone(), name: it.name.clone(), present: present(&it.id) })
            .collect(),
        scopes: pending.scopes.clone(),
        missing_scopes: pending.missing_scopes.clone(),
        access_level: pending.access_level,
        expires_at: pending.expires_at.saturating_mul(1_000),
    }
}

fn good(reply: &Reply) -> Option<Value> {
    if reply.status != 200 {
        return None;
    }
    serde_json::from_slice(&reply.body).ok()
}

fn whole(value: &Value) -> Option<u32> {
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
    u32::try_from(number).ok()
}

/// An organisation's id (a text or a number) and its name, under the first of these names that is there.
fn organisation(value: &Value, names: &[&str]) -> Option<OrganisationRow> {
    let id = match value.get("id")? {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let name = names.iter().find_map(|name| value.get(*name)?.as_str()).unwrap_or(&id).to_owned();
    Some(OrganisationRow { id, name, ..OrganisationRow::default() })
}

/// An entry of `GET /connections`: the organisation is `tenantId`, the connection `id` (Xero's OpenAPI, identity).
fn connection(value: &Value) -> Option<OrganisationRow> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("tenantType").is_some_and(|kind| kind != "ORGANISATION") {
        return None;
    }
    let id = text("tenantId")?;
    Some(OrganisationRow {
        id: id.to_owned(),
        name: text("tenantName").unwrap_or(id).to_owned(),
        web_name: None,
        connection_id: text("id").map(str::to_owned),
    })
}

/// Xero's access token is a JWT that names the user (Xero, "Token types"). It came from the provider over TLS, so its
/// signature proves nothing more.
fn user_of(provider: Provider, access: &SecretString) -> Option<String> {
    if provider != Provider::Xero {
        return None;
    }
    // It becomes part of a key.
    TenantId::parse(&claim_of(access, "xero_userid")?).map(|user| user.as_str().to_owned())
}

fn claim_of(access: &SecretString, name: &str) -> Option<String> {
    let payload = access.expose_secret().split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some(claims.get(name)?.as_str()?.to_owned())
}

/// The organisations that the user chose this time: a token also opens those of the same user's earlier consents, which
/// may be other customers' (`authEventId` is the token's `authentication_event_id`; Xero, "Managing connections"). Where
/// nothing was chosen anew, all that the token opens.
fn of_this_time(list: &[Value], access: &SecretString) -> Vec<OrganisationRow> {
    let event = claim_of(access, "authentication_event_id");
    let is_new =
        |value: &&Value| event.is_some() && value.get("authEventId").and_then(Value::as_str) == event.as_deref();
    let chosen: Vec<_> = list.iter().filter(is_new).filter_map(connection).collect();
    if chosen.is_empty() { list.iter().filter_map(connection).collect() } else { chosen }
}

/// The fingerprint by which rows know a secret.
fn hash_of(kind: &str, secret: &str) -> String {
    hex::encode(fingerprint(&[kind.as_bytes(), secret.as_bytes()]))
}

/// RFC 3986, section 2.1: everything but unreserved characters is encoded.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
