//! The diagnostic endpoints for platform administrators: status, retry and resync of an integration. Names and types are
//! fixed; what reads them was there before us.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an integration fares: `GET /api/admin/integrations/{provider}/{organization_id}/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntegrationStatus {
    /// True where the book takes our requests.
    pub connected: bool,
    /// When the access token expires; null where that is not known.
    #[schema(format = DateTime)]
    pub token_expires_at: Option<String>,
    /// When a document was last carried over.
    #[schema(format = DateTime)]
    pub last_sync: Option<String>,
    /// The verdict.
    pub sync_status: SyncStatus,
    /// Runs that are on their way or held.
    pub pending_syncs: u64,
    /// Runs that a person has to look at.
    pub failed_syncs: u64,
    /// The latest failures.
    pub errors: Vec<IntegrationError>,
}

/// The verdict on an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncStatus {
    /// Connected, and most goes through.
    Healthy,
    /// Connected, but nothing went through since the last failure, or work is held.
    Degraded,
    /// Not connected.
    Disconnected,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntegrationError {
    /// `contact_sync`, `product_sync`, `invoice_sync`, `payment_sync` or `credit_note_sync`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Our sentence, with the stable code in front; no personal data.
    pub message: String,
    /// When.
    #[schema(format = DateTime)]
    pub timestamp: String,
}

/// What is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncType {
    /// `customer.upserted`.
    Contacts,
    /// `invoice.created`.
    Invoices,
    /// `invoice.paid`.
    Payments,
    /// `creditmemo.created`.
    CreditNotes,
    /// `product.upserted`.
    Products,
}

/// Asks for runs to be tried again: `POST …/retry`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// What they sync.
    pub sync_type: SyncType,
    /// Ids of the runs; all failed ones of the type where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 100)]
    pub record_ids: Option<Vec<String>>,
}

/// Asks for everything since a moment to be carried over again: `POST …/resync`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResyncRequest {
    /// What.
    pub sync_types: Vec<SyncType>,
    /// ISO 8601.
    #[schema(format = DateTime)]
    pub since: String,
}

/// What a resync came to: a job that is done bit by bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResyncResponse {
    /// The job.
    pub job: String,
    /// Its state: `open`.
    pub state: String,
}

/// What became of the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryResponse {
    /// Runs that were sent again.
    pub queued: u64,
    /// The runs.
    pub records: Vec<RecordOutcome>,
    /// Where to go on; null where that was all.
    pub cursor: Option<String>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordOutcome {
    /// The run.
    pub record_id: String,
    /// `queued`, `pushed`, `not_found`, `other_type` or `not_now`.
    pub outcome: String,
}
