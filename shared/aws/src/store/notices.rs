//! Tenants' notices.

use super::DynamoStore;
use super::table::{Find, One, Table, key};
use crate::item::{from_item, number, text, to_item};
use crate::write::Write;
use async_trait::async_trait;
use ledger_engine::ports::{NoticeStore, PortResult};
use ledger_wire::rows::{NoticesRow, keys};

#[async_trait]
impl NoticeStore for DynamoStore {
    /// One Query.
    async fn notices_page(&self, after: Option<&str>, limit: usize) -> PortResult<Vec<NoticesRow>> {
        let page = self
            .find(Find {
                table: Table::Tenants,
                index: None,
                condition: "#pk = :pk",
                values: vec![("pk", text(keys::NOTICES))],
                newest_first: false,
                limit: Some(limit),
                after: after.map(|tenant| key(keys::NOTICES, Some(&keys::notices_of(tenant)))),
            })
            .await?;
        page.items.into_iter().map(from_item).collect()
    }

    /// One GetItem.
    async fn notices(&self, tenant: &str) -> PortResult<Option<NoticesRow>> {
        self.row(Table::Tenants, keys::NOTICES, &keys::notices_of(tenant)).await
    }

    /// One PutItem.
    async fn put_notices(&self, seen: Option<u32>, next: &NoticesRow) -> PortResult<bool> {
        let item = to_item(next)?;
        let put = Write::put(&self.tables.tenants, item.clone());
        let put = match seen {
            None => put.only_if("attribute_not_exists(#pk)"),
            Some(revision) => put.only_if("#revision = :revision").with("revision", number(revision)),
        };
        Ok(match self.one(put).await? {
            One::Done => true,
            // The very row: an earlier try was applied and its reply lost.
            One::Refused(there) => there == Some(item),
        })
    }
}
