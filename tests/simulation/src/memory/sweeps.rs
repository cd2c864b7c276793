//! What the sweeper asks.

use super::index::Index;
use super::rows::{Place, Table, read};
use super::store::{MemoryStore, Open, Part};
use async_trait::async_trait;
use ledger_engine::ports::{DueKey, PortResult, PushWant, StateEntry, Sweeps};
use ledger_wire::rows::{AttentionRow, LeaseRow, PushRow, RunRow, SweepRow, TenantRow, keys};

/// Statuses that a shop's yes ends.
const ENDED_BY_A_YES: [&str; 2] = ["token_revoked", "unreachable"];

impl Open<'_> {
    /// Clears what was noted against a shop and ends the asking; false where its status is another kind.
    fn shop_accepted(&mut self, tenant: &str, marked: bool) -> PortResult<bool> {
        let place = Place::tenant(tenant);
        let there =
            self.seen::<TenantRow>(&place).filter(|row| ENDED_BY_A_YES.contains(&row.status.as_str()) == marked);
        let cleared = there.map(|row| TenantRow {
            status: if marked { "connected".to_owned() } else { row.status.clone() },
            refused_since: None,
            unreached_since: None,
            ..row.clone()
        });
        Ok(self.transact(vec![Part::change(place, cleared), Part::delete(Place::attention(tenant), true)])?.done())
    }
}

#[async_trait]
impl Sweeps for MemoryStore {
    async fn due(&self, shard: u8, now: i64, limit: usize) -> PortResult<Vec<DueKey>> {
        self.call("store.due", |open| {
            let due = open.index(Index::Due, &format!("due#{shard}")).map(|(key, _)| key);
            let due = due.take_while(|key| key.moment <= now).take(limit);
            Ok(due
                .map(|key| DueKey {
                    pk: key.place.pk.clone(),
                    sk: key.place.sk.clone().into_owned(),
                    due_at: key.moment,
                })
                .collect())
        })
        .await
    }

    async fn oldest_due(&self, shard: u8) -> PortResult<Option<i64>> {
        self.call("store.oldest_due", |open| {
            Ok(open.index(Index::Due, &format!("due#{shard}")).next().map(|(key, _)| key.moment))
        })
        .await
    }

    async fn run(&self, pk: &str) -> PortResult<Option<RunRow>> {
        self.row("store.run", Place::run_at(pk)).await
    }

    async fn push(&self, pk: &str) -> PortResult<Option<PushRow>> {
        self.row("store.push", Place::push(pk)).await
    }

    async fn swept(&self, sweep: &SweepRow) -> PortResult<()> {
        self.put_any("store.swept", sweep).await
    }

    async fn replace_run(&self, seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> PortResult<bool> {
        self.replace_run_as_seen(seen, next, push).await
    }

    async fn replace_push(&self, seen: &PushRow, next: &PushRow) -> PortResult<bool> {
        self.single("store.replace_push", |open| super::pushes::replaced(open, seen, next)).await
    }

    async fn by_state(
        &self,
        state: &str,
        order_prefix: &str,
        after: Option<&StateEntry>,
        limit: usize,
    ) -> PortResult<Vec<StateEntry>> {
        self.call("store.by_state", |open| {
            let entries = open.index(Index::ByState, state);
            let behind = entries
                .filter(|(key, _)| after.is_none_or(|after| (&key.text, &key.place.pk) > (&after.order, &after.pk)));
            let below = behind.filter(|(key, _)| key.text.starts_with(order_prefix));
            Ok(below
                .take(limit)
                .map(|(key, entry)| StateEntry {
                    pk: key.place.pk.clone(),
                    code: entry.code.clone().unwrap_or_default(),
                    owner: entry.owner.clone().unwrap_or_default(),
                    order: key.text.clone(),
                })
                .collect())
        })
        .await
    }

    async fn lease(&self, book: &str) -> PortResult<Option<LeaseRow>> {
        self.row("store.lease", Place::lease(book)).await
    }

    async fn attentions(&self) -> PortResult<Vec<AttentionRow>> {
        self.call("store.attentions", |open| {
            open.partition(Table::Tenants, keys::ATTENTION, "")
                .map(|(place, stored)| read::<AttentionRow>(place, stored))
                .collect()
        })
        .await
    }

    async fn shop_accepts(&self, tenant: &str) -> PortResult<()> {
        if self.call("store.shop_accepts", |open| open.shop_accepted(tenant, false)).await? {
            return Ok(());
        }
        // Refused again: there is no such tenant, or somebody paired it just now and ended the asking.
        self.call("store.shop_accepts.marked", |open| open.shop_accepted(tenant, true)).await.map(|_| ())
    }

    async fn shop_revoked(&self, tenant: &str) -> PortResult<()> {
        self.single("store.shop_revoked", |open| {
            open.tenant_becomes(tenant, &["connected", "silent", "unreachable"], |row| TenantRow {
                status: "token_revoked".to_owned(),
                ..row.clone()
            })
            .map(|_| ())
        })
        .await
    }
}
