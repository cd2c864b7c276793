//! Messages in the queues. Ids only: events wake, state decides.

use serde::{Deserialize, Serialize};

/// Asks a worker for an attempt of a run. Group: the book. Deduplication id: run id, dash, dispatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMessage {
    /// Version of this shape.
    pub v: u8,
    /// The run.
    pub run_id: String,
    /// Its tenant.
    pub tenant: String,
    /// Its binding.
    pub binding: String,
    /// The event's name.
    pub event: String,
    /// Id of the document in the shop.
    pub magento_id: u64,
    /// The run's generation when this was sent; another generation makes the message void.
    pub generation: u32,
    /// The dispatch under which this was sent.
    pub dispatch: u32,
    /// True where a backfill made the run, so that it goes behind the shop's own events; this never changes. Messages of
    /// earlier builds don't say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backfilled: bool,
}

/// Asks for the chip of an entity to be pushed. Group: tenant, provider and entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMessage {
    /// Version of this shape.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
    /// Provider key.
    pub provider: String,
    /// Entity type.
    pub entity_type: String,
    /// Id of the entity in the shop.
    pub magento_id: u64,
    /// The push row's dispatch under which this was sent.
    pub dispatch: u32,
}

/// Rings for a dead letter. Group and deduplication: the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bell {
    /// Version of this shape.
    pub v: u8,
    /// The dead-lettered run.
    pub dead_letter: String,
    /// Its code.
    pub code: String,
    /// Who can do something about it.
    pub owner: String,
    /// The code's family; bells of earlier versions have none.
    #[serde(default)]
    pub family: String,
    /// What the code means.
    #[serde(default)]
    pub cause: String,
    /// What to do about it.
    #[serde(default)]
    pub remedy: String,
}

/// Version of the messages that this build writes and reads.
pub const MESSAGE_VERSION: u8 = 1;
