//! Who is told of a tenant's troubles, as operators see and put it.

use super::moment;
use crate::rows::{NoticesRow, RecipientRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who is told, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeSettings {
    /// The tenant.
    pub tenant: String,
    /// Counts changes; a change names the one that it was made from. 0 where nobody is told yet.
    pub revision: u32,
    /// When the daily digest is made, in UTC: `07:00`.
    pub digest_at: String,
    /// Who is told.
    pub recipients: Vec<Recipient>,
    /// What was told and is not over.
    pub told: Vec<ToldTrouble>,
    /// Notices that are on their way.
    pub on_their_way: u64,
}

/// Somebody who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recipient {
    /// Its id.
    pub id: String,
    /// `merchant`, `accountant` or `operator`.
    pub role: String,
    /// `sns`: subscribers of the stack's topic of notices; or `webhook`.
    pub way: String,
    /// Where the webhook is.
    pub url: Option<String>,
    /// True where requests to it are signed.
    pub has_secret: bool,
}

/// A trouble that was told and is not over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToldTrouble {
    /// `connection_lost`, `shop_silent`, `dead_letters` or `held_long`.
    pub kind: String,
    /// Why.
    pub code: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
}

impl NoticeSettings {
    /// As a row says.
    #[must_use]
    pub fn of(row: &NoticesRow) -> Self {
        let recipient = |it: &RecipientRow| Recipient {
            id: it.id.clone(),
            role: it.role.clone(),
            way: it.way.clone(),
            url: it.url.clone(),
            has_secret: it.secret.is_some(),
        };
        let told = row.told.iter().filter(|it| it.gone_since.is_none()).map(|it| ToldTrouble {
            kind: it.kind.clone(),
            code: it.code.clone(),
            since: moment(it.since),
        });
        Self {
            tenant: row.tenant.clone(),
            revision: row.revision,
            digest_at: format!("{:02}:{:02}", row.digest_minute / 60, row.digest_minute % 60),
            recipients: row.recipients.iter().map(recipient).collect(),
            told: told.collect(),
            on_their_way: u64::try_from(row.outbox.len()).unwrap_or(u64::MAX),
        }
    }
}

/// Puts all recipients of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeSettingsRequest {
    /// The revision that they were made from.
    pub revision: u32,
    /// When the daily digest is made, in UTC: `07:00`, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub digest_at: Option<String>,
    /// Who is told; whoever is not named is told no more. At most 20.
    #[schema(max_items = 20)]
    pub recipients: Vec<RecipientRequest>,
}

/// Somebody who shall be told.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecipientRequest {
    /// The id of one who is told already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `merchant`, `accountant` or `operator`.
    #[schema(pattern = "^(merchant|accountant|operator)$")]
    pub role: String,
    /// `sns` or `webhook`.
    #[schema(pattern = "^(sns|webhook)$")]
    pub way: String,
    /// Where the webhook is: https, on a public address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub url: Option<String>,
    /// What its requests are signed with, 32 to 1,024 bytes. Not told again; may be left out where the address stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, min_length = 32, max_length = 1024)]
    pub secret: Option<String>,
}

impl std::fmt::Debug for RecipientRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RecipientRequest")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}
