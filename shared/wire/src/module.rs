//! What the shop's module is told when it asks, and what its pairing route is sent.
//!
//! Source: the published modules: `Model/Setup/Pair` reads the pairing, `Block/Adminhtml/Dashboard/HealthTile` and
//! `Block/Adminhtml/System/Config/ConnectionStatus` read the health, `ByteClient::fetchStatus` passes the status on. A key
//! that is missing or null is to them as an empty text or no number.

use serde::Serialize;
use utoipa::ToSchema;

/// What a pairing route is sent. Has no `Debug`: it holds code and key.
#[derive(Serialize)]
pub struct PairBody<'a> {
    /// The code that the shop's admin page shows.
    pub pairing_code: &'a str,
    /// The tenant.
    pub tenant_id: &'a str,
    /// The shared key.
    pub byte8_api_key: &'a str,
    /// Where the shop sends its events from now on; absolute http(s) URL.
    pub ledger_base_url: &'a str,
}

/// The health of a tenant, `GET /v1/tile/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TileHealth {
    /// The shop.
    pub tenant: TileTenant,
    /// The book. One for all providers: the module doesn't say which it asks for.
    pub binding: TileBinding,
    /// The work.
    pub sync: TileSync,
}

/// How the shop is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TileTenant {
    /// `active`, `pending`, `token_revoked` or `unknown`. The modules know no other: to their configuration page anything
    /// else is an unreachable ledger.
    pub magento_connection_status: &'static str,
}

/// How the book is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TileBinding {
    /// `active`, or what is the matter: `pending`, `needs_reconnect`, `paused`, `preview`, `disconnected`; null where there
    /// is no binding.
    pub status: Option<String>,
    /// The book's country, which the Sage module shows.
    pub region: Option<String>,
}

/// How the work stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TileSync {
    /// Runs that are open.
    pub pending_count: u32,
    /// Runs that became dead letters within 24 hours.
    pub failed_24h: u32,
    /// When a run last ended well: `YYYY-MM-DDTHH:MM:SSZ`; null where none has.
    pub last_run_at: Option<String>,
}

/// What became of an entity, `GET /v1/status?entity_type=&entity_id=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct EntityStatus {
    /// `invoice`, `creditmemo`, `customer`, `product` or `order`.
    pub entity_type: String,
    /// Its id in the shop.
    pub entity_id: String,
    /// The worst of what its providers, or an order's documents, show: `failed`, `pending`, `skipped`, `synced`; null where
    /// nothing is known of it.
    pub sync_status: Option<&'static str>,
    /// What each provider's column shows, by provider key; empty for an order.
    pub providers: Vec<ProviderStatus>,
    /// An order's documents: invoices first, then credit memos, each by id; absent for all else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub documents: Vec<EntityStatus>,
}

/// What became of an entity in one provider: the fields of a pushed chip.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderStatus {
    /// Provider key.
    pub provider: String,
    /// `pending`, `synced`, `skipped` or `failed`.
    pub sync_status: String,
    /// The document's id in the book.
    pub provider_entity_id: Option<String>,
    /// Its human reference.
    pub provider_reference: Option<String>,
    /// Why it was left out.
    pub skip_reason: Option<String>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// When the shop was last told: `YYYY-MM-DD HH:MM:SS`, UTC; null where it was not.
    pub last_sync_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_module_reads_has_its_names() {
        let pair = PairBody {
            pairing_code: "deadbeefcafef00d0123456789abcdef",
            tenant_id: "0b1f6c1e-6d0a-4f6e-9d4e-2c8a7f3b9e11",
            byte8_api_key: "ledger_lk_0",
            ledger_base_url: "https://ledger.example",
        };
        insta::assert_json_snapshot!("pair", pair);
        let tile = TileHealth {
            tenant: TileTenant { magento_connection_status: "active" },
            binding: TileBinding { status: Some("active".to_owned()), region: Some("GB".to_owned()) },
            sync: TileSync { pending_count: 3, failed_24h: 1, last_run_at: Some("2026-11-20T09:31:00Z".to_owned()) },
        };
        insta::assert_json_snapshot!("tile", tile);
        let invoice = EntityStatus {
            entity_type: "invoice".to_owned(),
            entity_id: "42".to_owned(),
            sync_status: Some("synced"),
            providers: vec![ProviderStatus {
                provider: "xero".to_owned(),
                sync_status: "synced".to_owned(),
                provider_entity_id: Some("7".to_owned()),
                provider_reference: Some("MAG-000000042".to_owned()),
                last_sync_at: Some("2026-11-20 09:31:00".to_owned()),
                ..ProviderStatus::default()
            }],
            ..EntityStatus::default()
        };
        insta::assert_json_snapshot!("status_of_an_invoice", invoice);
        let order = EntityStatus {
            entity_type: "order".to_owned(),
            entity_id: "57".to_owned(),
            sync_status: Some("synced"),
            documents: vec![invoice],
            ..EntityStatus::default()
        };
        insta::assert_json_snapshot!("status_of_an_order", order);
    }
}
