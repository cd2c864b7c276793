//! Tenants' notices.

use super::rows::{Place, Row as _, Table, read};
use super::store::{MemoryStore, Part};
use async_trait::async_trait;
use ledger_engine::ports::{NoticeStore, PortResult};
use ledger_wire::rows::{NoticesRow, keys};

#[async_trait]
impl NoticeStore for MemoryStore {
    async fn notices_page(&self, after: Option<&str>, limit: usize) -> PortResult<Vec<NoticesRow>> {
        let after = after.map(keys::notices_of).unwrap_or_default();
        self.call("store.notices_page", |open| {
            open.partition(Table::Tenants, keys::NOTICES, "")
                .filter(|(place, _)| *place.sk > *after)
                .take(limit)
                .map(|(place, stored)| read::<NoticesRow>(place, stored))
                .collect()
        })
        .await
    }

    async fn notices(&self, tenant: &str) -> PortResult<Option<NoticesRow>> {
        let place = Place::new(Table::Tenants, keys::NOTICES, keys::notices_of(tenant));
        self.row("store.notices", place).await
    }

    async fn put_notices(&self, seen: Option<u32>, next: &NoticesRow) -> PortResult<bool> {
        self.single("store.put_notices", |open| {
            let there = open.seen::<NoticesRow>(&next.place());
            let as_seen = there.map(|row| row.revision) == seen;
            // The very row: an earlier try was applied and its reply lost.
            let very_same = there == Some(next);
            Ok(open.one(Part::put(next.clone(), as_seen))? || very_same)
        })
        .await
    }
}
