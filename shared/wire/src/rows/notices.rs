//! Who is told of a tenant's troubles, what they were told, and what is still on its way to them.

use super::{ROW_VERSION, SealedRow, keys};
use serde::{Deserialize, Serialize};

/// A tenant's notices. Table `tenants`, `pk = notices`, `sk = tenant#<tenant>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticesRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
    /// Counts writes; each is conditional on it.
    pub revision: u32,
    /// Who is told.
    #[serde(default)]
    pub recipients: Vec<RecipientRow>,
    /// Minute of the day, in UTC, at which the digest is due.
    pub digest_minute: u16,
    /// What was told and is not over.
    #[serde(default)]
    pub told: Vec<ToldRow>,
    /// When the next digest is due; 0 before the first look.
    #[serde(default)]
    pub digest_at: i64,
    /// Notices on their way, oldest first.
    #[serde(default)]
    pub outbox: Vec<OutboxRow>,
    /// Who put the recipients: the subject of the operator's sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_at: Option<i64>,
}

impl NoticesRow {
    /// The row of a tenant who has none yet.
    #[must_use]
    pub fn new(tenant: &str, digest_minute: u16) -> Self {
        Self {
            pk: keys::NOTICES.to_owned(),
            sk: keys::notices_of(tenant),
            v: ROW_VERSION,
            tenant: tenant.to_owned(),
            digest_minute,
            ..Self::default()
        }
    }
}

/// Somebody who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientRow {
    /// Its id.
    pub id: String,
    /// `merchant`, `accountant` or `operator`.
    pub role: String,
    /// `sns` or `webhook`.
    pub way: String,
    /// Where a webhook is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What a webhook's requests are signed with, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SealedRow>,
}

/// A trouble that was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldRow {
    /// Its key.
    pub key: String,
    /// Its kind.
    pub kind: String,
    /// Its code.
    pub code: String,
    /// Since when it is wrong.
    pub since: i64,
    /// Since when it is not seen any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<i64>,
}

/// A notice on its way to one recipient. No buyer is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// The notice's id: the same for each try.
    pub id: String,
    /// The recipient's id.
    pub recipient: String,
    /// The notice as it is sent, JSON.
    pub body: String,
    /// When it was written.
    pub at: i64,
    /// Tries that failed.
    #[serde(default)]
    pub failures: u32,
    /// When it is tried.
    pub due_at: i64,
}
