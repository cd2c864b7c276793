//! Shops and their tenants.

use serde::{Deserialize, Serialize};

/// Finds the tenant of a shop by its address: one shop, one tenant. Table `tenants`, `pk = shop#<address>`,
/// `sk = tenant`; changed only where an operator makes another tenant of the shop's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopAddressRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
}

impl ShopAddressRow {
    /// The row of a normalised address.
    #[must_use]
    pub fn new(address: &str, tenant: &str) -> Self {
        Self {
            pk: super::keys::shop_address(address),
            sk: super::keys::TENANT.to_owned(),
            v: super::ROW_VERSION,
            tenant: tenant.to_owned(),
        }
    }
}

/// The longest silence that ended on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayGap {
    /// Days since 1970, UTC.
    pub day: i64,
    /// Milliseconds.
    pub longest: i64,
}

/// A document of an order, met by an attempt: for the status of the order as a whole. Table `sync_runs`,
/// `pk = order#<tenant>#<order id>`, `sk = <entity type>#<id, ten digits>`; 400 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDocumentRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// `invoice` or `creditmemo`.
    pub entity_type: String,
    /// Its id in the shop.
    pub magento_id: u64,
    /// When DynamoDB may remove it, in seconds.
    pub expires_at: i64,
}

impl OrderDocumentRow {
    /// The row of a document.
    #[must_use]
    pub fn new(tenant: &str, order_id: u64, entity_type: &str, magento_id: u64, expires_at: i64) -> Self {
        Self {
            pk: super::keys::order(tenant, order_id),
            sk: format!("{entity_type}#{magento_id:010}"),
            v: super::ROW_VERSION,
            entity_type: entity_type.to_owned(),
            magento_id,
            expires_at,
        }
    }
}
