//! Rows of previews and of work that operators ask for in bulk.

use serde::{Deserialize, Serialize};

/// What the preview of a run came to; part of the run's row. The requests themselves are not kept: they are derived again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRow {
    /// When it was made.
    pub at: i64,
    /// `ready`: all is well. `partly`: something is left out, as `code` says. `refused`: it would be a dead letter, by
    /// `code`.
    pub outcome: String,
    /// Code of what is left out or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One sentence for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Creating and changing requests that would be sent.
    pub requests: u32,
    /// Total of what the run is about, proven to the penny; none for what has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// The settings version that it was made with.
    pub settings_version: u32,
}

/// Work that an operator asked for in bulk. Table `sync_runs`, `pk = jobs#<binding>`, `sk = job#<created_at>#<id>`. The
/// sweeper feeds it, a bounded part in each sweep, from the cursor on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The job's id.
    pub job: String,
    /// `release_previews`, `discard_previews`, `resync`, `chips` or `backfill`.
    pub kind: String,
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// Who asked for it: the subject of their sign-in.
    pub operator: String,
    /// Why, as the operator wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Events whose runs are meant, by name; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Runs received from this moment on are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Backfills: `invoice`, `creditmemo`, `customer` or `product`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
    /// Backfills: the first id of the shop's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_id: Option<u64>,
    /// Backfills: the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_id: Option<u64>,
    /// Backfills: the runs that it made, or met, and that were under way when it was last looked at. Few: they bound how
    /// much of a backfill is before the shop's own events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_runs: Vec<String>,
    /// Code of what it waits for, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// `open`, `finished`, `stopped`.
    pub state: String,
    /// How far it has come; backfills: the next id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Counts writes of the row; every write is conditional on it.
    pub revision: u32,
    /// What was done.
    pub done: u64,
    /// What was passed over: gaps, and what had changed meanwhile.
    pub passed: u64,
    /// Shard of the index of what is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_shard: Option<String>,
    /// When the sweeper goes on with it; none once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<i64>,
    /// When it was asked for.
    pub created_at: i64,
    /// Last change.
    pub updated_at: i64,
    /// When DynamoDB may remove it, in seconds; never while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}
