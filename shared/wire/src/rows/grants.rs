//! Rows of table `tenants` about grants: which app speaks for us, who authorised what, and what is under way.
//!
//! `expires_at` is in seconds, because DynamoDB's TTL reads it; whether a row still counts is judged by it too. A grant's
//! own moments have other names, so that TTL never removes a token.

use super::SealedRow;
use serde::{Deserialize, Serialize};

/// How we are known to a provider. `pk = app#<provider>` for the whole stack or `pk = binding#<id>` for one binding,
/// `sk = app`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// Provider key.
    pub provider: String,
    /// The client's id, as the provider gave it.
    pub client_id: String,
    /// The client's secret, sealed; none for a public client that proves itself by PKCE alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SealedRow>,
    /// Counts changes; part of the sealing context.
    pub version: u32,
    /// `live` or `sandbox`.
    pub environment: String,
    /// The scopes asked for, where they are not the provider's usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The dialect spoken, where it shall not be found out at connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// The country whose sign-in page is shown, where the provider has several: `gb`, `ie`, `ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Addresses of its own; only where the stack allows private addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<AppHostsRow>,
    /// Last change.
    pub updated_at: i64,
}

/// Addresses that replace the provider's, for stand-ins. Absolute URLs without query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppHostsRow {
    /// The page that asks the user.
    pub authorize: String,
    /// The token endpoint.
    pub token: String,
    /// The revocation endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<String>,
    /// The API: scheme, host and port, without a trailing slash.
    pub api: String,
}

/// An authorisation under way. `pk = oauth#<fingerprint of the state>`, `sk = state`; ten minutes, single use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthStateRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// The operator who began it, or who made the link that began it: nobody else may confirm it.
    pub operator: String,
    /// True where a connect link began it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_link: bool,
    /// The PKCE verifier, sealed; none where the provider documents no PKCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<SealedRow>,
    /// Fingerprint of the secret that the browser must bring back, hexadecimal; none where no browser began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// Our callback address as it was told: the exchange repeats it.
    pub redirect_uri: String,
    /// The callback that used it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    /// When it began.
    pub made_at: i64,
    /// When it is over, in seconds.
    pub expires_at: i64,
}

/// An organisation that a grant covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationRow {
    /// Its id with the provider, as a book names it.
    pub id: String,
    /// Its name for a person.
    pub name: String,
    /// What the provider's web pages know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_name: Option<String>,
    /// Xero: the id of the connection, which is not the organisation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
}

/// A grant that nobody has confirmed yet. `pk = binding#<id>`, `sk = pending`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingConnectionRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// Names this authorisation among all of the binding's.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// Provider key.
    pub provider: String,
    /// The only operator who may confirm it.
    pub operator: String,
    /// True where it came over a connect link.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_link: bool,
    /// `live` or `sandbox`.
    pub environment: String,
    /// Scheme, host and port of the API.
    pub base_url: String,
    /// The dialect that the provider's answers showed; none while it is undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// The access token, sealed.
    pub access: SealedRow,
    /// Until when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_until: Option<i64>,
    /// The refresh token, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<SealedRow>,
    /// Until when it is good, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_until: Option<i64>,
    /// The scopes granted, as far as the provider tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Scopes that were asked for and not granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
    /// Who authorised, as the provider knows them (Xero's `xero_userid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_user: Option<String>,
    /// FreeAgent: the user's access level, 1 to 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_level: Option<u32>,
    /// The organisations to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organisations: Vec<OrganisationRow>,
    /// When it was made.
    pub made_at: i64,
    /// When it is forgotten, in seconds.
    pub expires_at: i64,
}

/// A link by which somebody without an account here may authorise. `pk = link#<fingerprint of the token>`, `sk = link`;
/// seven days, single use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectLinkRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// The operator who made it and will confirm what comes of it.
    pub operator: String,
    /// The opening that used it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    /// When it was made.
    pub made_at: i64,
    /// When it is over, in seconds.
    pub expires_at: i64,
}

/// A binding of a book, for whoever wants to know the book's others. `pk = book#<book>`,
/// `sk = binding#<tenant>#<binding>`. Stays when the binding is disconnected: its numbers are in the book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookBindingRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// In front of its invoices' numbers; empty where nothing is.
    #[serde(default)]
    pub prefix: String,
}

/// A binding of a provider's user, for whoever is about to revoke that user's token.
/// `pk = authority#<provider>#<user>`, `sk = binding#<tenant>#<binding>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityUserRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
}
