//! What is to be done later.

use super::rows::{Place, Row, Table, read};
use super::store::{MemoryStore, Part};
use async_trait::async_trait;
use ledger_engine::ports::{Agenda, PortResult};
use ledger_wire::rows::{AgendaRow, keys};

#[async_trait]
impl Agenda for MemoryStore {
    async fn agenda_due(&self, now: i64, after: Option<&AgendaRow>, limit: usize) -> PortResult<Vec<AgendaRow>> {
        let end = keys::agenda(now.saturating_add(1), "", "");
        self.call("store.agenda_due", |open| {
            open.partition(Table::Tenants, keys::AGENDA, "")
                .take_while(|(place, _)| *place.sk < *end)
                .filter(|(place, _)| after.is_none_or(|after| *place.sk > *after.sk))
                .take(limit)
                .map(|(place, stored)| read::<AgendaRow>(place, stored))
                .collect()
        })
        .await
    }

    async fn agenda_put(&self, row: &AgendaRow) -> PortResult<()> {
        self.single("store.agenda_put", |open| open.one(Part::put(row.clone(), true)).map(|_| ())).await
    }

    async fn agenda_remove(&self, row: &AgendaRow) -> PortResult<()> {
        let place: Place = row.place();
        self.single("store.agenda_remove", |open| open.one(Part::delete(place.clone(), true)).map(|_| ())).await
    }
}
