//! What tests and demo say to an identity part: which apps and people there are, and what isn't known of the real one.

use serde::{Deserialize, Serialize};

/// The address of the person who is known from the start.
pub const BOOKKEEPER: &str = "bookkeeper@example.com";
/// That person's password.
pub const PASSWORD: &str = "let-me-in";
/// What a `FreeAgent` user may at most do.
const FULL_ACCESS: u8 = 8;

/// Whose sign-in it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Xero, with connections.
    Accounting,
    /// Xero's sign-in without connections: a grant is for one company.
    V2,
    /// Sage: a grant is for all businesses of a person.
    Sage,
    /// `FreeAgent`: a grant is for one company.
    Freeagent,
}

impl Authority {
    pub(crate) fn is_xero(self) -> bool {
        matches!(self, Self::Accounting | Self::V2)
    }

    /// Where people agree.
    #[must_use]
    pub fn authorize_path(self) -> &'static str {
        match self {
            Self::Accounting | Self::V2 => "/identity/connect/authorize",
            Self::Sage => "/oauth2/auth/central",
            Self::Freeagent => "/v2/approve_app",
        }
    }

    /// Where tokens are given out.
    #[must_use]
    pub fn token_path(self) -> &'static str {
        match self {
            Self::Accounting | Self::V2 => "/connect/token",
            Self::Sage => "/token",
            Self::Freeagent => "/v2/token_endpoint",
        }
    }

    /// Where tokens are given back, if anywhere.
    #[must_use]
    pub fn revocation_path(self) -> Option<&'static str> {
        match self {
            Self::Accounting | Self::V2 => Some("/connect/revocation"),
            Self::Sage => Some("/revoke"),
            Self::Freeagent => None,
        }
    }

    /// How long a code is good, in seconds. Sources: Xero API docs, authorization code flow; Sage Accounting guide,
    /// authentication; `FreeAgent` API docs, OAuth.
    pub(crate) fn code_seconds(self) -> i64 {
        match self {
            Self::Accounting | Self::V2 => 5 * 60,
            Self::Sage => 60,
            Self::Freeagent => 15 * 60,
        }
    }

    /// How long an access token is good, in seconds. Sources: as of [`Authority::code_seconds`].
    pub(crate) fn access_seconds(self) -> i64 {
        match self {
            Self::Accounting | Self::V2 => 1_800,
            Self::Sage => 300,
            Self::Freeagent => 3_600,
        }
    }

    /// How long a refresh token is good, in seconds: 60 days, 31 days, 20 years. Sources: as of
    /// [`Authority::code_seconds`].
    pub(crate) fn refresh_seconds(self) -> i64 {
        match self {
            Self::Accounting | Self::V2 => 60 * 86_400,
            Self::Sage => 2_678_400,
            Self::Freeagent => 631_151_957,
        }
    }
}

/// An organisation, business or company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// Its id: a tenant's GUID, a business's 32 digits, a company's number. The book's own one is this book; any other
    /// one is empty.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl Organisation {
    /// One of that id and name.
    #[must_use]
    pub fn new(id: &str, name: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned() }
    }
}

/// An app, as a developer registers it. A second registration of a client id replaces the first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppSpec {
    /// Its client id.
    pub client_id: String,
    /// Its secret; none makes it a public one, which has to use PKCE and which only Xero has.
    #[serde(default)]
    pub secret: Option<String>,
    /// A second secret that is good too, while the first is being replaced.
    #[serde(default)]
    pub second_secret: Option<String>,
    /// Where people may be sent back to, character by character.
    pub redirect_uris: Vec<String>,
    /// Xero: made before 2 March 2026, so that the broad scopes may be asked for.
    #[serde(default)]
    pub broad_scopes: bool,
}

impl AppSpec {
    /// An app with a secret.
    #[must_use]
    pub fn confidential(client_id: &str, secret: &str, redirect_uri: &str) -> Self {
        Self { secret: Some(secret.to_owned()), ..Self::public(client_id, redirect_uri) }
    }

    /// An app without a secret.
    #[must_use]
    pub fn public(client_id: &str, redirect_uri: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            secret: None,
            second_secret: None,
            redirect_uris: vec![redirect_uri.to_owned()],
            broad_scopes: false,
        }
    }
}

/// A person with a login. A second registration of an address replaces the first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The address to log in with.
    pub email: String,
    /// The password.
    #[serde(default = "password")]
    pub password: String,
    /// What the person can reach; the book's own one if there are none.
    #[serde(default)]
    pub organisations: Vec<Organisation>,
    /// `FreeAgent`: what the person may do, 1 to 8.
    #[serde(default = "full_access")]
    pub permission_level: u8,
    /// Sage: where the businesses are, `GB`, `IE` or `CA`.
    #[serde(default = "great_britain")]
    pub country: String,
}

fn password() -> String {
    PASSWORD.to_owned()
}

fn full_access() -> u8 {
    FULL_ACCESS
}

fn great_britain() -> String {
    "GB".to_owned()
}

impl UserSpec {
    /// A person with the usual password who reaches the book's own organisation alone.
    #[must_use]
    pub fn new(email: &str) -> Self {
        Self {
            email: email.to_owned(),
            password: password(),
            organisations: Vec::new(),
            permission_level: FULL_ACCESS,
            country: great_britain(),
        }
    }

    /// Who reaches these.
    #[must_use]
    pub fn reaching(mut self, organisations: &[Organisation]) -> Self {
        self.organisations = organisations.to_vec();
        self
    }

    /// `FreeAgent`: who may do that much.
    #[must_use]
    pub fn of_level(mut self, permission_level: u8) -> Self {
        self.permission_level = permission_level;
        self
    }
}

/// Behaviours that aren't known of the real one, or that change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySwitches {
    /// A scope that isn't known is told on a page of the provider, instead of at the redirect.
    pub scope_errors_on_page: bool,
    /// `FreeAgent`: each refresh gives another refresh token, and the old one is dead.
    pub freeagent_rotates: bool,
    /// Xero: an app can't be registered with `http://127.0.0.1`, as at the real one, which takes `http://localhost` only.
    pub loopback_address_refused: bool,
}

/// Which grants are meant: those of an app, of a person, of both, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Whose {
    /// Of that app.
    pub client_id: Option<String>,
    /// Of that person.
    pub email: Option<String>,
}

/// What expires now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expiry {
    /// Access tokens.
    pub access: bool,
    /// Refresh tokens.
    pub refresh: bool,
    /// Codes.
    pub codes: bool,
    /// Of that app only.
    pub client_id: Option<String>,
    /// Of that person only.
    pub email: Option<String>,
}

/// How often refreshes were asked for, where the request arrived and the app was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refreshes {
    /// All.
    pub asked: u32,
    /// Those that gave a token, whether or not the reply arrived.
    pub granted: u32,
    /// `invalid_grant`.
    pub refused: u32,
    /// 429.
    pub limited: u32,
}
