//! Pairing with shops and connecting books.

use super::{Binding, Tenant};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Pairs a shop: `POST /v1/magento/connect`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PairRequest {
    /// Base URL of the shop.
    #[schema(format = "uri", max_length = 512)]
    pub magento_base_url: String,
    /// The code that the shop's configuration page shows.
    #[schema(min_length = 6, max_length = 128, pattern = "^ *[A-Za-z0-9-]+ *$")]
    pub pairing_code: String,
}

/// A paired shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paired {
    /// The tenant, with its bindings.
    pub tenant: Tenant,
    /// The binding of the provider.
    pub binding: Binding,
    /// True where the tenant was made for it.
    pub made_tenant: bool,
    /// True where a new key is shared with the shop.
    pub made_key: bool,
    /// True where the shop answered a ping under its key.
    pub answers: bool,
}

/// The provider's app, by which Ledger is known there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRequest {
    /// Client id.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-9;-~]+$")]
    pub client_id: String,
    /// Client secret; none for an app that has only PKCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    pub client_secret: Option<String>,
    /// `live` or `sandbox`; `live` where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(live|sandbox)$")]
    pub environment: Option<String>,
    /// Scopes instead of the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub scopes: Vec<String>,
    /// The dialect, where it shall not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// Country for the provider's sign-in page: `gb`, `ie`, `ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z]{2}$")]
    pub country: Option<String>,
    /// Addresses instead of the provider's; only where the stack allows private addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<AppHosts>,
}

/// Addresses of a stand-in for a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppHosts {
    /// The page that asks the user.
    pub authorize: String,
    /// Where codes and refresh tokens are exchanged.
    pub token: String,
    /// Where grants are revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<String>,
    /// Scheme, host and port of the API.
    pub api: String,
}

/// A provider's app, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct App {
    /// Provider key.
    pub provider: String,
    /// The binding that it is for; null for the stack's.
    pub binding: Option<String>,
    /// Client id.
    pub client_id: String,
    /// True where it has a secret.
    pub has_secret: bool,
    /// `live` or `sandbox`.
    pub environment: String,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// The dialect, where it is not found out.
    pub dialect: Option<String>,
    /// What has to be entered as callback address on the provider's page of the app.
    pub callback_url: String,
    /// Last change.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// A connection that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Started {
    /// The provider's page, to be opened in a browser.
    pub authorize_url: String,
    /// Until when it may come back.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// A link for whoever may sign in to the book and has no account here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectLink {
    /// The link; shown this once.
    pub url: String,
    /// Until when it may be opened.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// A connection that waits for the operator's confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingConnection {
    /// The binding.
    pub binding: String,
    /// Provider key.
    pub provider: String,
    /// True where it came by a link.
    pub by_link: bool,
    /// The dialect; null while it is undecided.
    pub dialect: Option<String>,
    /// What there is to choose.
    pub organisations: Vec<Organisation>,
    /// Scopes that were granted.
    pub scopes: Vec<String>,
    /// Scopes that are needed and were not granted.
    pub missing_scopes: Vec<String>,
    /// FreeAgent: the user's level of access.
    pub access_level: Option<u32>,
    /// Until when it may be confirmed.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// An organisation of a pending connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Organisation {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// True where the binding is this organisation's already.
    pub present: bool,
}

/// Confirms a pending connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// Id of the organisation.
    #[schema(min_length = 1, max_length = 64)]
    pub organisation: String,
}

/// What a binding's grant is like; never the tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantStatus {
    /// The binding.
    pub binding: String,
    /// The binding's status.
    pub status: String,
    /// When the access token expires; null where it was set by hand.
    #[schema(format = DateTime)]
    pub access_until: Option<String>,
    /// When the grant lapses if nobody uses it.
    #[schema(format = DateTime)]
    pub refresh_until: Option<String>,
    /// When it was refreshed last.
    #[schema(format = DateTime)]
    pub refreshed_at: Option<String>,
    /// Scopes that were granted.
    pub scopes: Vec<String>,
    /// Scopes that the app asks for and that were not granted: what they cover is refused.
    pub missing_scopes: Vec<String>,
    /// False where the token was set by hand: nobody can renew it.
    pub can_renew: bool,
    /// Counts tokens.
    pub version: u32,
}

/// What disconnecting a binding does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disconnection {
    /// The binding, as it is after the call.
    pub binding: Binding,
    /// What becomes of the grant at the provider: `nothing`, `by_hand`, `connection_only`, `shared` (another
    /// binding posts over the same connection: it stays), `revoked` or `failed`.
    pub at_provider: String,
    /// Other bindings whose grants are of the same user there.
    pub others_of_user: u64,
    /// What is removed.
    pub removed: Vec<String>,
    /// What stays.
    pub kept: Vec<String>,
    /// Held runs of the binding, which end as skipped; counted to a thousand.
    pub held_runs: u64,
    /// Its dead letters, which stay until somebody requeues or discards them; counted to a thousand.
    pub dead_letters: u64,
    /// Its previews, which stay until somebody releases or discards them; counted to a thousand.
    pub previews: u64,
}
