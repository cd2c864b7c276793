//! What the sweeper asks.

use super::DynamoStore;
use super::table::{Find, One, Table, Transacted, key};
use crate::item::{Item, from_item, number, number_of, text, text_of, to_item};
use crate::write::Write;
use async_trait::async_trait;
use ledger_engine::ports::{DueKey, PortResult, PushWant, StateEntry, Sweeps};
use ledger_wire::rows::{AttentionRow, LeaseRow, PushRow, RunRow, SweepRow, keys};

impl DynamoStore {
    /// Clears the note on a tenant and ends the asking; `change` and `condition` say what happens to its status.
    fn shop_accepted(&self, tenant: &str, change: &'static str, condition: &'static str) -> [Write; 2] {
        let cleared = Write::update(&self.tables.tenants, key(&keys::tenant(tenant), Some(keys::TENANT)), change)
            .only_if(condition)
            .with("token_revoked", text("token_revoked"))
            .with("unreachable", text("unreachable"));
        [cleared, Write::delete(&self.tables.tenants, key(keys::ATTENTION, Some(&keys::shop(tenant))))]
    }
}

#[async_trait]
impl Sweeps for DynamoStore {
    /// One Query of the index, for each megabyte of it.
    async fn due(&self, shard: u8, now: i64, limit: usize) -> PortResult<Vec<DueKey>> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: Some("due"),
                condition: "#due_shard = :due_shard AND #due_at <= :now",
                values: vec![("due_shard", text(format!("due#{shard}"))), ("now", number(now))],
                newest_first: false,
                limit: Some(limit),
                after: None,
            })
            .await?;
        let due = |item: Item| {
            let due_at = number_of(&item, "due_at")?;
            Some(DueKey { pk: text_of(&item, "pk"), sk: text_of(&item, "sk"), due_at })
        };
        Ok(page.items.into_iter().filter_map(due).collect())
    }

    /// One Query of the index.
    async fn oldest_due(&self, shard: u8) -> PortResult<Option<i64>> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: Some("due"),
                condition: "#due_shard = :due_shard",
                values: vec![("due_shard", text(format!("due#{shard}")))],
                newest_first: false,
                limit: Some(1),
                after: None,
            })
            .await?;
        Ok(page.items.first().and_then(|item| number_of(item, "due_at")))
    }

    /// One GetItem.
    async fn run(&self, pk: &str) -> PortResult<Option<RunRow>> {
        self.row(Table::SyncRuns, pk, keys::RUN).await
    }

    /// One GetItem.
    async fn push(&self, pk: &str) -> PortResult<Option<PushRow>> {
        self.row(Table::SyncRuns, pk, keys::PUSH).await
    }

    /// One PutItem.
    async fn swept(&self, sweep: &SweepRow) -> PortResult<()> {
        self.one(Write::put(&self.tables.tenants, to_item(sweep)?)).await.map(|_| ())
    }

    /// One PutItem; with a push one TransactWriteItems.
    async fn replace_run(&self, seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> PortResult<bool> {
        self.replace_run_as_seen(seen, next, push).await
    }

    /// One PutItem.
    async fn replace_push(&self, seen: &PushRow, next: &PushRow) -> PortResult<bool> {
        let item = to_item(next)?;
        let put = Write::put(&self.tables.sync_runs, item.clone())
            .only_if("#dispatch = :seen_dispatch AND #wanted = :seen_wanted")
            .with("seen_dispatch", number(seen.dispatch))
            .with("seen_wanted", number(seen.wanted));
        Ok(match self.one(put).await? {
            One::Done => true,
            One::Refused(there) => there == Some(item),
        })
    }

    /// One Query of the index, for each megabyte of it.
    async fn by_state(
        &self,
        state: &str,
        order_prefix: &str,
        after: Option<&StateEntry>,
        limit: usize,
    ) -> PortResult<Vec<StateEntry>> {
        let mut values = vec![("state_key", text(state))];
        let condition = if order_prefix.is_empty() {
            "#state_key = :state_key"
        } else {
            values.push(("prefix", text(order_prefix)));
            "#state_key = :state_key AND begins_with(#state_order, :prefix)"
        };
        let after = after.map(|entry| {
            let mut after = key(&entry.pk, Some(keys::RUN));
            after.insert("state_key".to_owned(), text(state));
            after.insert("state_order".to_owned(), text(&entry.order));
            after
        });
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: Some("by_state"),
                condition,
                values,
                newest_first: false,
                limit: Some(limit),
                after,
            })
            .await?;
        let entry = |item: Item| StateEntry {
            pk: text_of(&item, "pk"),
            code: text_of(&item, "code"),
            owner: text_of(&item, "owner"),
            order: text_of(&item, "state_order"),
        };
        Ok(page.items.into_iter().map(entry).collect())
    }

    /// One GetItem.
    async fn lease(&self, book: &str) -> PortResult<Option<LeaseRow>> {
        self.row(Table::Tenants, &keys::book(book), keys::LEASE).await
    }

    /// One Query.
    async fn attentions(&self) -> PortResult<Vec<AttentionRow>> {
        let page = self
            .find(Find {
                table: Table::Tenants,
                index: None,
                condition: "#pk = :pk",
                values: vec![("pk", text(keys::ATTENTION))],
                newest_first: false,
                limit: None,
                after: None,
            })
            .await?;
        page.items.into_iter().map(from_item).collect()
    }

    /// One TransactWriteItems; a second one where the tenant is `token_revoked` or `unreachable`.
    async fn shop_accepts(&self, tenant: &str) -> PortResult<()> {
        let noted = self.shop_accepted(
            tenant,
            "REMOVE #refused_since, #unreached_since",
            "attribute_exists(#pk) AND NOT #status IN (:token_revoked, :unreachable)",
        );
        if self.transact(noted.into(), None, true).await? == Transacted::Done {
            return Ok(());
        }
        let [cleared, ended] = self.shop_accepted(
            tenant,
            "SET #status = :connected REMOVE #refused_since, #unreached_since",
            "#status IN (:token_revoked, :unreachable)",
        );
        // Refused again: there is no such tenant, or somebody paired it just now and ended the asking.
        match self.transact(vec![cleared.with("connected", text("connected")), ended], None, true).await? {
            Transacted::Done | Transacted::Refused(_) => Ok(()),
        }
    }

    /// One UpdateItem. The sweeper goes on asking: a shop that answers again is released without being paired again.
    async fn shop_revoked(&self, tenant: &str) -> PortResult<()> {
        let mark = Write::update(
            &self.tables.tenants,
            key(&keys::tenant(tenant), Some(keys::TENANT)),
            "SET #status = :token_revoked",
        )
        .only_if("#status IN (:connected, :silent, :unreachable)")
        .with("token_revoked", text("token_revoked"))
        .with("connected", text("connected"))
        .with("silent", text("silent"))
        .with("unreachable", text("unreachable"));
        match self.one(mark).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }
}
