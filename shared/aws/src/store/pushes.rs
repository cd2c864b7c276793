//! What the push worker asks.

use super::DynamoStore;
use super::table::{One, Place, Table, key};
use crate::item::{from_maybe, number, text};
use crate::write::Write;
use async_trait::async_trait;
use ledger_engine::ports::{ChipView, PortResult, Pushes};
use ledger_wire::rows::{PushRow, keys};

#[async_trait]
impl Pushes for DynamoStore {
    /// One GetItem; then, if it is there and names any rows, one BatchGetItem.
    async fn chip(&self, pk: &str) -> PortResult<Option<ChipView>> {
        let Some(push) = self.row::<PushRow>(Table::SyncRuns, pk, keys::PUSH).await? else {
            return Ok(None);
        };
        let runs = [&push.document_run, &push.payment_run].into_iter().flatten();
        let runs: Vec<Place> = runs.map(|id| Place::new(Table::SyncRuns, keys::run(id), keys::RUN)).collect();
        let xref = push.xref.as_deref().map(Place::xref);
        let mut found = self.batch(runs.iter().cloned().chain(xref.clone())).await?;
        Ok(Some(ChipView {
            runs: runs
                .iter()
                .filter_map(|place| from_maybe(found.remove(place)).transpose())
                .collect::<PortResult<_>>()?,
            xref: from_maybe(xref.and_then(|place| found.remove(&place)))?,
            push,
        }))
    }

    /// One UpdateItem.
    async fn pushed(&self, push: &PushRow, chip: &str, now: i64) -> PortResult<bool> {
        let mark = Write::update(
            &self.tables.sync_runs,
            key(&push.pk, Some(keys::PUSH)),
            "SET #pushed = :wanted, #chip = :chip, #pushed_at = :now, #failures = :zero \
             REMOVE #due_shard, #due_at, #code",
        )
        .only_if("#wanted = :wanted")
        .with("wanted", number(push.wanted))
        .with("chip", text(chip))
        .with("now", number(now))
        .with("zero", number(0));
        Ok(self.one(mark).await? == One::Done)
    }

    /// One UpdateItem.
    async fn put_off(&self, push: &PushRow, due_at: i64, code: &str) -> PortResult<()> {
        let mark = Write::update(
            &self.tables.sync_runs,
            key(&push.pk, Some(keys::PUSH)),
            "SET #due_at = :due_at, #due_shard = :due_shard, #code = :code, #failures = :failures",
        )
        .only_if("#wanted = :wanted")
        .with("wanted", number(push.wanted))
        .with("due_at", number(due_at))
        .with("due_shard", text(keys::due_shard(&push.pk)))
        .with("code", text(code))
        // Not "one more than there is": a repeated try must not count twice.
        .with("failures", number(push.failures.saturating_add(1)));
        match self.one(mark).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }

    /// One TransactWriteItems.
    async fn shop_refuses(&self, tenant: &str, now: i64) -> PortResult<()> {
        self.shop_refused(tenant, now).await
    }
}
