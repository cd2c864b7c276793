//! The identity part of a book: the pages where a person agrees, and the endpoints that give out tokens.
//!
//! | | Xero (`accounting`, `v2`) | Sage | `FreeAgent` |
//! |---|---|---|---|
//! | authorize | `/identity/connect/authorize` | `/oauth2/auth/central` | `/v2/approve_app` |
//! | token | `/connect/token` | `/token` | `/v2/token_endpoint` |
//! | revoke | `/connect/revocation` | `/revoke` | – |
//! | the app's secret | HTTP Basic; none with PKCE | in the body | HTTP Basic |
//! | code | 5 min | 60 s | 15 min |
//! | access token | 1,800 s | 300 s | 3,600 s |
//! | refresh token | 60 days, replaced by each use; the old one is good for 30 min more | 31 days, replaced, dead at once | 20 years, kept |
//!
//! Sources: Xero API docs, OAuth 2.0 overview, PKCE flow, managing connections and token types; Sage Accounting guide,
//! authentication; `FreeAgent` API docs, OAuth.

mod control;
mod page;
mod spec;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

pub use spec::{
    AppSpec, Authority, BOOKKEEPER, Expiry, IdentitySwitches, Organisation, PASSWORD, Refreshes, UserSpec, Whose,
};

pub(crate) use control::control;

use crate::ambient;
use crate::desk::Desk;
use crate::server::{Answer, Request};

/// Who bears a token that was given out here, and what it reaches at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) email: String,
    pub(crate) client_id: String,
    pub(crate) permission_level: u8,
    pub(crate) scopes: Vec<String>,
    /// In the order in which the person reaches them.
    pub(crate) organisations: Vec<Organisation>,
}

impl Holder {
    /// The organisation of that id, if the token reaches it.
    pub(crate) fn organisation(&self, id: &str) -> Option<&Organisation> {
        self.organisations.iter().find(|organisation| organisation.id.eq_ignore_ascii_case(id))
    }

    /// Whether the token has a scope. Who may change something may read it.
    pub(crate) fn may(&self, scope: &str, reads: bool) -> bool {
        let broad = ["accounting.invoices", "accounting.payments"].contains(&scope);
        self.scopes.iter().any(|own| {
            let own = own.as_str();
            own == scope
                || scope.strip_suffix(".read") == Some(own)
                || (reads && own.strip_suffix(".read") == Some(scope))
                || (broad && (own == "accounting.transactions" || (reads && own == "accounting.transactions.read")))
        })
    }
}

/// What a request's token is.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// One that the control API gave.
    Given,
    /// One that was given out here.
    Held(Holder),
    /// The same, but it expired at that time.
    Expired(i64),
    /// None, or one that nobody knows.
    Unknown,
}

/// A page that is under way.
#[derive(Clone, Debug)]
struct Visit {
    client_id: String,
    redirect_uri: String,
    state: Option<String>,
    scopes: Vec<String>,
    challenge: Option<String>,
    country: Option<String>,
    /// Who has logged in.
    email: Option<String>,
}

#[derive(Clone, Debug)]
struct Code {
    visit: Visit,
    email: String,
    organisations: Vec<String>,
    expires_at: i64,
    used: bool,
}

#[derive(Clone, Debug)]
struct RefreshToken {
    token: String,
    expires_at: i64,
    replaced_at: Option<i64>,
}

/// What a person has agreed to once.
#[derive(Clone, Debug)]
struct Grant {
    /// What Xero calls the authentication event.
    id: String,
    client_id: String,
    email: String,
    scopes: Vec<String>,
    organisations: Vec<String>,
    refresh: Vec<RefreshToken>,
    refreshes: u32,
    revoked: bool,
}

#[derive(Clone, Debug)]
struct AccessToken {
    grant: String,
    expires_at: i64,
    dead: bool,
}

/// An organisation that a person has connected to an app. Xero only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Connection {
    pub(crate) id: String,
    auth_event: String,
    tenant: String,
    tenant_name: String,
    client_id: String,
    email: String,
    created_at: i64,
    updated_at: i64,
}

impl Connection {
    /// As Xero's connections endpoint shows it.
    fn show(&self) -> Value {
        let moment = |at: i64| crate::clock::iso(at).replace('Z', ".5165400");
        json!({
            "id": self.id,
            "authEventId": self.auth_event,
            "tenantId": self.tenant,
            "tenantType": "ORGANISATION",
            "tenantName": self.tenant_name,
            "createdDateUtc": moment(self.created_at),
            "updatedDateUtc": moment(self.updated_at),
        })
    }
}

/// Everything the identity part knows.
#[derive(Debug)]
pub(crate) struct Identity {
    authority: Authority,
    own: Organisation,
    pub(crate) switches: IdentitySwitches,
    apps: BTreeMap<String, AppSpec>,
    users: BTreeMap<String, UserSpec>,
    visits: BTreeMap<String, Visit>,
    codes: BTreeMap<String, Code>,
    grants: Vec<Grant>,
    access: BTreeMap<String, AccessToken>,
    connections: Vec<Connection>,
    pub(crate) refreshes: Refreshes,
    /// The minute that is counted, and how many refreshes came in it, by person.
    this_minute: BTreeMap<String, (i64, u32)>,
}

impl Identity {
    /// Knows one person from the start, [`BOOKKEEPER`], who reaches the book's own organisation and these others.
    pub(crate) fn new(authority: Authority, own: Organisation, others: &[Organisation]) -> Self {
        let mut organisations = vec![own.clone()];
        organisations.extend_from_slice(others);
        let bookkeeper = UserSpec::new(BOOKKEEPER).reaching(&organisations);
        Self {
            authority,
            own,
            switches: IdentitySwitches::default(),
            apps: BTreeMap::new(),
            users: BTreeMap::from([(BOOKKEEPER.to_owned(), bookkeeper)]),
            visits: BTreeMap::new(),
            codes: BTreeMap::new(),
            grants: Vec::new(),
            access: BTreeMap::new(),
            connections: Vec::new(),
            refreshes: Refreshes::default(),
            this_minute: BTreeMap::new(),
        }
    }

    /// A developer registers an app.
    ///
    /// # Errors
    /// When the provider wouldn't take it.
    pub(crate) fn registers_app(&mut self, app: AppSpec) -> anyhow::Result<()> {
        anyhow::ensure!(
            app.secret.is_some() || self.authority.is_xero(),
            "only Xero has apps without a secret: which secret?"
        );
        anyhow::ensure!(!app.client_id.is_empty(), "which client_id?");
        for uri in &app.redirect_uris {
            let local = uri.starts_with("http://localhost") || uri.starts_with("http://127.0.0.1");
            let refused = self.switches.loopback_address_refused
                && self.authority.is_xero()
                && uri.starts_with("http://127.0.0.1");
            anyhow::ensure!(
                (uri.starts_with("https://") || local) && !refused,
                "a redirect is https or http://localhost, not {uri}"
            );
        }
        self.apps.insert(app.client_id.clone(), app);
        Ok(())
    }

    /// A person gets a login.
    pub(crate) fn registers_user(&mut self, mut user: UserSpec) {
        if user.organisations.is_empty() {
            user.organisations.push(self.own.clone());
        }
        self.users.insert(user.email.clone(), user);
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        let refresh = self.grants.iter().flat_map(|grant| &grant.refresh).map(|refresh| &refresh.token);
        self.codes.keys().chain(self.access.keys()).chain(refresh).cloned().collect()
    }

    /// What a token is, as of now.
    pub(crate) fn admission(&self, token: &str, now: i64) -> Admission {
        let Some(access) = self.access.get(token).filter(|access| !access.dead) else { return Admission::Unknown };
        if access.expires_at <= now {
            return Admission::Expired(access.expires_at);
        }
        let grant = self.grants.iter().find(|grant| grant.id == access.grant);
        let found = grant.and_then(|grant| self.users.get(&grant.email).map(|user| (grant, user)));
        let Some((grant, user)) = found else { return Admission::Unknown };
        let reached = |organisation: &&Organisation| match self.authority {
            Authority::Accounting => self.connections_of(grant).any(|it| it.tenant == organisation.id),
            Authority::Sage => true,
            Authority::V2 | Authority::Freeagent => grant.organisations.contains(&organisation.id),
        };
        Admission::Held(Holder {
            email: grant.email.clone(),
            client_id: grant.client_id.clone(),
            permission_level: user.permission_level,
            scopes: grant.scopes.clone(),
            organisations: user.organisations.iter().filter(reached).cloned().collect(),
        })
    }

    /// A person lets an app in, without page and code; what the token endpoint gives.
    pub(crate) fn lets_in(&mut self, client_id: &str, scopes: &[&str], now: i64) -> Value {
        token::lets_in(self, client_id, scopes, now)
    }

    /// Whether a refresh token could be used now.
    pub(crate) fn would_refresh(&self, token: &str, now: i64) -> bool {
        let mut all = self.grants.iter().flat_map(|grant| &grant.refresh);
        all.any(|refresh| {
            let in_time = refresh
                .replaced_at
                .is_none_or(|at| self.authority.is_xero() && now.saturating_sub(at) < token::GRACE_SECONDS);
            refresh.token == token && refresh.expires_at > now && in_time
        })
    }

    fn connections_of<'a>(&'a self, grant: &'a Grant) -> impl Iterator<Item = &'a Connection> {
        self.connections.iter().filter(|it| it.client_id == grant.client_id && it.email == grant.email)
    }

    /// The connections that a token reaches, as Xero shows them; those of one authentication event, if it is named.
    pub(crate) fn shows_connections(&self, holder: &Holder, auth_event: Option<&str>) -> Vec<Value> {
        let of_holder = |it: &&Connection| it.client_id == holder.client_id && it.email == holder.email;
        let of_event = |it: &&Connection| auth_event.is_none_or(|event| it.auth_event.eq_ignore_ascii_case(event));
        self.connections.iter().filter(of_holder).filter(of_event).map(Connection::show).collect()
    }

    /// Takes a connection away; false if the token reaches none of that id.
    pub(crate) fn disconnects(&mut self, holder: &Holder, id: &str) -> bool {
        let before = self.connections.len();
        self.connections.retain(|it| !(it.id == id && it.client_id == holder.client_id && it.email == holder.email));
        self.connections.len() < before
    }

    /// A person agrees: Xero's connections are those that were there and those that were chosen.
    fn connects(&mut self, grant: &Grant, now: i64) {
        if self.authority != Authority::Accounting {
            return;
        }
        let Some(user) = self.users.get(&grant.email) else { return };
        let chosen = user.organisations.iter().filter(|it| grant.organisations.contains(&it.id));
        for organisation in chosen {
            let known = self
                .connections
                .iter_mut()
                .find(|it| it.tenant == organisation.id && it.client_id == grant.client_id && it.email == grant.email);
            if let Some(known) = known {
                known.auth_event.clone_from(&grant.id);
                known.updated_at = now;
                continue;
            }
            self.connections.push(Connection {
                id: ambient::fresh_uuid(),
                auth_event: grant.id.clone(),
                tenant: organisation.id.clone(),
                tenant_name: organisation.name.clone(),
                client_id: grant.client_id.clone(),
                email: grant.email.clone(),
                created_at: now,
                updated_at: now,
            });
        }
    }

    /// The person takes back what was granted, in the provider's own pages; how many grants that were.
    pub(crate) fn revokes(&mut self, whose: &Whose) -> usize {
        let meant = |client_id: &str, email: &str| {
            whose.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
                && whose.email.as_deref().is_none_or(|wanted| wanted == email)
        };
        let authority = self.authority;
        let mut revoked = Vec::new();
        for grant in self.grants.iter_mut().filter(|grant| !grant.revoked && meant(&grant.client_id, &grant.email)) {
            grant.revoked = true;
            grant.refresh.clear();
            revoked.push(grant.id.clone());
        }
        self.connections.retain(|it| !meant(&it.client_id, &it.email));
        // An access token of Sage can't be taken back; Xero's reaches nothing once its connections are gone.
        if matches!(authority, Authority::V2 | Authority::Freeagent) {
            for access in self.access.values_mut().filter(|access| revoked.contains(&access.grant)) {
                access.dead = true;
            }
        }
        revoked.len()
    }

    /// Tokens and codes expire before their time.
    pub(crate) fn expires(&mut self, expiry: &Expiry, now: i64) {
        let meant = |client_id: &str, email: &str| {
            expiry.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
                && expiry.email.as_deref().is_none_or(|wanted| wanted == email)
        };
        if expiry.codes {
            for code in self.codes.values_mut().filter(|code| meant(&code.visit.client_id, &code.email)) {
                code.expires_at = code.expires_at.min(now);
            }
        }
        for grant in self.grants.iter_mut().filter(|grant| meant(&grant.client_id, &grant.email)) {
            if expiry.refresh {
                for refresh in &mut grant.refresh {
                    refresh.expires_at = refresh.expires_at.min(now);
                }
            }
            if expiry.access {
                for access in self.access.values_mut().filter(|access| access.grant == grant.id) {
                    access.expires_at = access.expires_at.min(now);
                }
            }
        }
    }

    /// Apps, people, grants and connections, without a secret or token.
    pub(crate) fn shows(&self) -> Value {
        let apps: Vec<Value> = self
            .apps
            .values()
            .map(|app| json!({"client_id": app.client_id, "public": app.secret.is_none(), "redirect_uris": app.redirect_uris}))
            .collect();
        let users: Vec<Value> = self
            .users
            .values()
            .map(|user| {
                json!({"email": user.email, "organisations": user.organisations,
                    "permission_level": user.permission_level, "country": user.country})
            })
            .collect();
        let grants: Vec<Value> = self
            .grants
            .iter()
            .map(|grant| {
                let current = grant.refresh.iter().rev().find(|refresh| refresh.replaced_at.is_none());
                json!({"id": grant.id, "client_id": grant.client_id, "email": grant.email, "scopes": grant.scopes,
                    "organisations": grant.organisations, "refreshes": grant.refreshes, "revoked": grant.revoked,
                    "refresh_expires_at": current.map(|refresh| refresh.expires_at)})
            })
            .collect();
        json!({
            "authority": self.authority, "authorize_path": self.authority.authorize_path(),
            "token_path": self.authority.token_path(), "revocation_path": self.authority.revocation_path(),
            "apps": apps, "users": users, "grants": grants, "connections": self.connections,
            "refreshes": self.refreshes, "switches": self.switches,
        })
    }
}

/// Whether a path is one of an identity part: such a request changes nothing in a book.
pub(crate) fn is_path(path: &str) -> bool {
    let of = [Authority::Accounting, Authority::Sage, Authority::Freeagent];
    of.iter().any(|authority| {
        [Some(authority.authorize_path()), Some(authority.token_path()), authority.revocation_path()]
            .contains(&Some(path))
    })
}

/// Answers a request that is for the identity part.
pub(crate) fn answer(desk: &mut Desk, request: &Request) -> Option<Answer> {
    let now = desk.clock.now();
    let identity = &mut desk.identity;
    let authority = identity.authority;
    let path = request.path.as_str();
    let is_get = request.method == "GET";
    if authority.is_xero() && is_get && path == "/.well-known/openid-configuration" {
        return Some(discovery(authority, request));
    }
    if path == authority.authorize_path() {
        return Some(match request.method.as_str() {
            "GET" => page::asks(identity, request),
            "POST" => page::submits(identity, request, now),
            _ => Answer::new(405, "text/plain", ""),
        });
    }
    if path == authority.token_path() {
        return Some(if request.method == "POST" {
            token::gives(identity, request, now)
        } else {
            Answer::new(405, "text/plain", "")
        });
    }
    if Some(path) == authority.revocation_path() {
        return Some(if request.method == "POST" {
            token::takes_back(identity, request)
        } else {
            Answer::new(405, "text/plain", "")
        });
    }
    None
}

fn discovery(authority: Authority, request: &Request) -> Answer {
    let base = format!("http://{}", request.header("host").unwrap_or_default());
    Answer::json(
        200,
        &json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}{}", authority.authorize_path()),
            "token_endpoint": format!("{base}{}", authority.token_path()),
            "revocation_endpoint": authority.revocation_path().map(|path| format!("{base}{path}")),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }),
    )
}

/// Ways to set up and disturb the identity part, the same for every book. Needs a field `core`.
macro_rules! identity_methods {
    () => {
        /// A developer registers an app, or changes it.
        ///
        /// # Errors
        /// When the provider wouldn't take it.
        pub fn registers_app(&self, app: $crate::identity::AppSpec) -> anyhow::Result<()> {
            self.core.store().desk().identity.registers_app(app)
        }

        /// A person gets a login, or another one.
        pub fn registers_user(&self, user: $crate::identity::UserSpec) {
            self.core.store().desk().identity.registers_user(user);
        }

        /// Tokens or codes expire now.
        pub fn expires(&self, expiry: &$crate::identity::Expiry) {
            let mut store = self.core.store();
            let now = store.desk().clock.now();
            store.desk().identity.expires(expiry, now);
        }

        /// People take back in the provider's own pages what they granted; how many grants that were.
        pub fn revokes_grants(&self, whose: &$crate::identity::Whose) -> usize {
            self.core.store().desk().identity.revokes(whose)
        }

        /// A person lets an app in, without page and code; what the token endpoint gives for the code.
        #[must_use]
        pub fn lets_in(&self, client_id: &str, scopes: &[&str]) -> serde_json::Value {
            let mut store = self.core.store();
            let now = store.desk().clock.now();
            store.desk().identity.lets_in(client_id, scopes, now)
        }

        /// Whether a refresh token could be used now.
        #[must_use]
        pub fn would_refresh(&self, token: &str) -> bool {
            let mut store = self.core.store();
            let now = store.desk().clock.now();
            store.desk().identity.would_refresh(token, now)
        }

        /// How often refreshes were asked for.
        #[must_use]
        pub fn refreshes(&self) -> $crate::identity::Refreshes {
            self.core.store().desk().identity.refreshes
        }

        /// Every code, access token and refresh token that was given out: what nobody but its bearer may ever see.
        #[must_use]
        pub fn secrets_given(&self) -> Vec<String> {
            self.core.store().desk().identity.secrets()
        }

        /// Changes the switches of its identity part.
        pub fn sets_identity(&self, change: impl FnOnce(&mut $crate::identity::IdentitySwitches)) {
            change(&mut self.core.store().desk().identity.switches);
        }

        /// Apps, people, grants and connections, as `GET /_control/identity` shows them.
        #[must_use]
        pub fn identity(&self) -> serde_json::Value {
            self.core.store().desk().identity.shows()
        }
    };
}
pub(crate) use identity_methods;
