//! What is to be done later.

use super::PortResult;
use async_trait::async_trait;
use ledger_wire::rows::AgendaRow;

/// The agenda: what the sweeper does at a time.
#[async_trait]
pub trait Agenda: Send + Sync {
    /// What is due at `now` (milliseconds), earliest first, behind the entry `after` where one is named.
    async fn agenda_due(&self, now: i64, after: Option<&AgendaRow>, limit: usize) -> PortResult<Vec<AgendaRow>>;

    /// Writes an entry; the same one again changes nothing.
    async fn agenda_put(&self, row: &AgendaRow) -> PortResult<()>;

    /// Removes an entry; one that is gone is no trouble.
    async fn agenda_remove(&self, row: &AgendaRow) -> PortResult<()>;
}
