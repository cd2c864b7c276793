//! Where a binding is.

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
