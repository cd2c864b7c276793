//! Modes, previews, jobs, cross-references: what operators do with the work of a binding.

use super::Run;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Sets a binding's mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeRequest {
    /// `preview`, `live` or `paused`.
    #[schema(pattern = "^(preview|live|paused)$")]
    pub mode: String,
    /// Only where the binding is in this mode, or in the wanted one already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(preview|live|paused)$")]
    pub from: Option<String>,
}

/// Why something is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// For those who look later; no personal data.
    #[schema(max_length = 500)]
    pub reason: String,
}

/// Says that a run's document is in the book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleRequest {
    /// Its id there; where it is missing the document is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Its human reference there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub reference: Option<String>,
}

/// A run settled by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settled {
    /// The run.
    pub run: Run,
    /// True where the book was asked and has the document.
    pub confirmed: bool,
}

/// The exact requests of a run.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunRequests {
    /// The run.
    pub run: Run,
    /// `ready`, `nothing`, `partly`, `left_out`, `refused`, `later` or `held`.
    pub outcome: String,
    /// The code, for all but `ready` and `nothing`.
    pub code: Option<String>,
    /// One sentence about it.
    pub message: Option<String>,
    /// What would be sent, in order. Ids that the book gives out are shown as `{contact:17}`.
    pub requests: Vec<RunRequest>,
    /// What was proven to the penny.
    pub proven: Vec<ProvenTotal>,
    /// Version of the settings.
    pub settings_version: u32,
}

/// A request as it would be sent, without the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunRequest {
    /// Kind of document.
    pub kind: String,
    /// The step.
    pub label: String,
    /// True for a create.
    pub creates: bool,
    /// True where the book has the document and the one that is there is taken.
    pub taken: bool,
    /// HTTP method.
    pub method: String,
    /// Path below the binding's base URL.
    pub path: String,
    /// Query parameters, not encoded.
    pub query: Vec<NamedValue>,
    /// Headers of the provider's own.
    pub headers: Vec<NamedValue>,
    /// The body.
    pub body: Option<String>,
}

/// A name with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamedValue {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A document's total, proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvenTotal {
    /// Kind of document.
    pub kind: String,
    /// Its total.
    pub total: String,
    /// Currency of the total.
    pub currency: String,
}

/// Starts a job over many runs or ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// `release_previews`, `discard_previews`, `resync`, `chips` or `backfill`.
    #[schema(pattern = "^(release_previews|discard_previews|resync|chips|backfill)$")]
    pub kind: String,
    /// Discarding: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Resync: the events; all where it is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 5)]
    pub events: Vec<String>,
    /// Resync and chips: runs received since, ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// Backfill: `invoice`, `creditmemo`, `customer` or `product`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
    /// Backfill: the first id of the shop's, 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_id: Option<u64>,
    /// Backfill: the last one, itself included; at most a million ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_id: Option<u64>,
}

/// A job; the sweeper does it bit by bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    pub job: String,
    /// Its kind.
    pub kind: String,
    /// The binding.
    pub binding: String,
    /// Who started it.
    pub operator: String,
    /// `open`, `finished` or `stopped`.
    pub state: String,
    /// How many were done.
    pub done: u64,
    /// How many there was nothing to do for.
    pub passed: u64,
    /// Backfill: what is walked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
    /// Backfill: the first id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_id: Option<u64>,
    /// Backfill: the last id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_id: Option<u64>,
    /// Backfill: the id that is next, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_id: Option<u64>,
    /// Code of what it waits for, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// When it goes on, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub due_at: Option<String>,
    /// When it was started.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Last change.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// Jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// Newest first.
    pub jobs: Vec<Job>,
}

/// A cross-reference, or a reservation of one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CrossReference {
    /// Kind of document.
    pub kind: String,
    /// Id of the thing in the shop, where pages are asked for: payments have their invoice's, allocations and refunds their
    /// memo's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub magento_id: Option<u64>,
    /// Contacts of a book that has one for each currency: the currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// `reserved`, `created`, `linked` or `find_first`; empty for a row that guards a number or an id.
    pub state: String,
    /// True while a create may have been applied without our knowing.
    pub doubtful: bool,
    /// True where it was in the book before us.
    pub adopted: bool,
    /// Our number for it.
    pub number: Option<String>,
    /// Its id in the book.
    pub provider_id: Option<String>,
    /// Its human reference there.
    pub reference: Option<String>,
    /// Its total there.
    pub total: Option<String>,
    /// The run that wrote it.
    pub run: String,
    /// Last change.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// Cross-references of an entity.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CrossReferences {
    /// The rows.
    pub rows: Vec<CrossReference>,
}

/// A page of a binding's cross-references.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CrossReferencePage {
    /// The rows; none is possible where others follow.
    pub rows: Vec<CrossReference>,
    /// What to put into `after` for the next page; none where this was the last.
    pub next: Option<String>,
}

/// Takes over another service's links.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The module's table of states as CSV with a header: `entity_type,magento_id,provider,provider_entity_id,…`.
    pub csv: String,
    /// Only say what would be taken.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an import came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Lines that were taken.
    pub taken: u64,
    /// Lines whose link was there.
    pub there: u64,
    /// Lines of other providers, or without a link.
    pub passed: u64,
    /// Lines that can't be taken.
    pub clashes: Vec<ImportClash>,
}

/// A line that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportClash {
    /// Its number in the file.
    pub line: u64,
    /// Stable code.
    pub code: String,
}
