//! Where a binding is, which tenants there are, and when the stack was last swept.

use serde::{Deserialize, Serialize};

/// The tenant of a binding, for whoever knows only the binding's id. Table `tenants`, `pk = binding#<id>`, `sk = place`;
/// written with the binding and never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingPlaceRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
}

impl BindingPlaceRow {
    /// Of a binding of a tenant.
    #[must_use]
    pub fn new(binding: &str, tenant: &str) -> Self {
        Self {
            pk: super::keys::of_binding(binding),
            sk: super::keys::PLACE.to_owned(),
            v: super::ROW_VERSION,
            tenant: tenant.to_owned(),
        }
    }
}

/// That there is a tenant, for whoever wants to see them all. Table `tenants`, `pk = tenants`, `sk = tenant#<id>`; written
/// with the tenant and never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantPlaceRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
}

impl TenantPlaceRow {
    /// Of a tenant.
    #[must_use]
    pub fn new(tenant: &str) -> Self {
        Self {
            pk: super::keys::TENANTS.to_owned(),
            sk: super::keys::tenant(tenant),
            v: super::ROW_VERSION,
            tenant: tenant.to_owned(),
        }
    }
}

/// What the last sweep found. Table `tenants`, `pk = stack`, `sk = sweep`; each sweep writes it at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// When it ended, in milliseconds.
    pub at: i64,
    /// How long what was due first had been due by then, in seconds.
    pub oldest_due_age_seconds: i64,
    /// Parts of it that failed.
    pub failures: u32,
}

impl SweepRow {
    /// Of a sweep that ended at a moment in milliseconds.
    #[must_use]
    pub fn new(at: i64, oldest_due_age_seconds: i64, failures: u32) -> Self {
        Self {
            pk: super::keys::STACK.to_owned(),
            sk: super::keys::SWEEP.to_owned(),
            v: super::ROW_VERSION,
            at,
            oldest_due_age_seconds,
            failures,
        }
    }
}
