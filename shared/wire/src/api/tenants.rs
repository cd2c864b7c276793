//! Tenants and their bindings, as operators see them.

use super::moment;
use crate::rows::{BindingRow, TenantRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who is signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The issuer's id of the person.
    pub subject: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// The tenants that they are confined to; null where it is all of them.
    pub tenants: Option<Vec<String>>,
}

/// A tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    pub tenant: String,
    /// Base URL of its shop.
    pub shop_url: String,
    /// `pending`, `connected`, `token_revoked`, `disconnected`, `unreachable` or `silent`.
    pub status: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// True where a key is shared with the shop.
    pub has_key: bool,
    /// Since when the shop refuses us.
    #[schema(format = DateTime)]
    pub refused_since: Option<String>,
    /// Its bindings.
    pub bindings: Vec<Binding>,
}

impl Tenant {
    /// As the rows say.
    #[must_use]
    pub fn of(tenant: &TenantRow, bindings: &[BindingRow]) -> Self {
        Self {
            tenant: tenant.tenant.clone(),
            shop_url: tenant.shop_url.clone(),
            status: tenant.status.clone(),
            created_at: moment(tenant.created_at),
            has_key: tenant.current_key.is_some(),
            refused_since: tenant.refused_since.map(moment),
            bindings: bindings.iter().map(Binding::of).collect(),
        }
    }
}

/// Tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenants {
    /// The tenants, in the order of their ids.
    pub tenants: Vec<Tenant>,
    /// Where the next page begins; null where this is the last.
    pub next: Option<String>,
}

/// The stack as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stack {
    /// When the sweeper last came to its end; null where it never did.
    #[schema(format = DateTime)]
    pub last_sweep: Option<String>,
    /// Seconds since then.
    pub last_sweep_age_seconds: Option<i64>,
    /// How long what was due first had been due by then, in seconds.
    pub oldest_due_age_seconds: Option<i64>,
    /// Parts of that sweep that failed.
    pub failures: Option<u32>,
}

/// A binding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Binding {
    /// Its id.
    pub binding: String,
    /// Its tenant.
    pub tenant: String,
    /// Provider key.
    pub provider: String,
    /// Dialect name; null until the book is connected.
    pub dialect: Option<String>,
    /// `pending`, `active`, `needs_reconnect` or `disconnected`.
    pub status: String,
    /// `live`, `preview` or `paused`.
    pub mode: String,
    /// Name of the organisation; null until the book is connected.
    pub organisation_name: Option<String>,
    /// `live` or `sandbox`.
    pub environment: Option<String>,
    /// The book; null while there is none.
    pub book: Option<String>,
    /// Scheme, host and port of the provider's API; null until the book is connected.
    pub base_url: Option<String>,
    /// When the book was connected.
    #[schema(format = DateTime)]
    pub connected_at: Option<String>,
    /// Version of the settings; 0 where there are none.
    pub settings_version: u32,
}

impl Binding {
    /// As a row says.
    #[must_use]
    pub fn of(row: &BindingRow) -> Self {
        // Earlier versions had two modes among the statuses.
        let (status, mode) = match (row.status.as_str(), row.mode.as_str()) {
            (mode @ ("paused" | "preview"), "") => ("active", mode),
            (status, "") => (status, "live"),
            (status, mode) => (status, mode),
        };
        let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Self {
            binding: row.binding.clone(),
            tenant: row.tenant.clone(),
            provider: row.provider.clone(),
            dialect: told(&row.dialect),
            status: status.to_owned(),
            mode: mode.to_owned(),
            organisation_name: row.organisation_name.clone(),
            environment: row.environment.clone(),
            book: told(&row.book),
            base_url: told(&row.base_url),
            connected_at: (row.connected_at > 0).then(|| moment(row.connected_at)),
            settings_version: row.settings_version,
        }
    }
}

/// Makes another binding: `POST /v1/tenants/{tenant}/bindings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBindingRequest {
    /// `xero`, `sage_accounting` or `freeagent`.
    #[schema(pattern = "^(xero|sage_accounting|freeagent)$")]
    pub provider: String,
}

/// Bindings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bindings {
    /// The bindings.
    pub bindings: Vec<Binding>,
}
