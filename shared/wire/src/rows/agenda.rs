//! What the sweeper does at a later time, by time.

use serde::{Deserialize, Serialize};

/// Something to be done at a time. Table `tenants`, `pk = agenda`, `sk = <at, 13 digits>#<kind>#<owner>`.
///
/// It is only an alarm clock: whoever is woken reads the owner's row and decides from that. One that rings too early, twice
/// or for nothing costs a read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgendaRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// What is to be done.
    pub kind: String,
    /// The tenant, binding or job that it is about.
    pub owner: String,
    /// When, in milliseconds.
    pub at: i64,
}

impl AgendaRow {
    /// An entry for `owner` at a moment in milliseconds.
    #[must_use]
    pub fn new(kind: &str, owner: &str, at: i64) -> Self {
        Self {
            pk: super::keys::AGENDA.to_owned(),
            sk: super::keys::agenda(at, kind, owner),
            v: super::ROW_VERSION,
            kind: kind.to_owned(),
            owner: owner.to_owned(),
            at,
        }
    }
}
