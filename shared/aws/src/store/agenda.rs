//! What is to be done later.

use super::DynamoStore;
use super::table::{Find, One, Table, key};
use crate::item::{from_item, text, to_item};
use crate::write::Write;
use async_trait::async_trait;
use ledger_engine::ports::{Agenda, PortResult};
use ledger_wire::rows::{AgendaRow, keys};

#[async_trait]
impl Agenda for DynamoStore {
    /// One Query.
    async fn agenda_due(&self, now: i64, after: Option<&AgendaRow>, limit: usize) -> PortResult<Vec<AgendaRow>> {
        let page = self
            .find(Find {
                table: Table::Tenants,
                index: None,
                condition: "#pk = :pk AND #sk < :end",
                values: vec![("pk", text(keys::AGENDA)), ("end", text(keys::agenda(now.saturating_add(1), "", "")))],
                newest_first: false,
                limit: Some(limit),
                after: after.map(|row| key(&row.pk, Some(&row.sk))),
            })
            .await?;
        page.items.into_iter().map(from_item).collect()
    }

    /// One PutItem.
    async fn agenda_put(&self, row: &AgendaRow) -> PortResult<()> {
        match self.one(Write::put(&self.tables.tenants, to_item(row)?)).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }

    /// One DeleteItem.
    async fn agenda_remove(&self, row: &AgendaRow) -> PortResult<()> {
        match self.one(Write::delete(&self.tables.tenants, key(&row.pk, Some(&row.sk)))).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }
}
