//! Work in bulk, and cross-references as operators read and write them.

use super::DynamoStore;
use super::operations::{after, mark, runs_of};
use super::table::{Find, One, Place, Table, Transacted, key};
use crate::item::{from_item, number, text, text_of, to_item};
use crate::write::{Action, Write};
use async_trait::async_trait;
use ledger_engine::ports::{Jobs, PortResult, RunPage, Settled, Written, XrefPage, XrefWrite, Xrefs};
use ledger_wire::rows::{JobRow, RunRow, XrefRow, keys};
use std::collections::BTreeMap;

/// Runs of one page.
const PAGE_RUNS_MAX: usize = 100;
/// Cross-references of one page.
const PAGE_XREFS_MAX: usize = 100;

#[async_trait]
impl Jobs for DynamoStore {
    /// One GetItem.
    async fn job(&self, pk: &str, sk: &str) -> PortResult<Option<JobRow>> {
        self.row(Table::SyncRuns, pk, sk).await
    }

    /// One PutItem.
    async fn add_job(&self, job: &JobRow) -> PortResult<bool> {
        self.put_new(Write::put(&self.tables.sync_runs, to_item(job)?)).await
    }

    /// One PutItem.
    async fn replace_job(&self, seen: &JobRow, next: &JobRow) -> PortResult<bool> {
        let item = to_item(next)?;
        let put = Write::put(&self.tables.sync_runs, item.clone())
            .only_if("#revision = :revision")
            .with("revision", number(seen.revision));
        Ok(match self.one(put).await? {
            One::Done => true,
            One::Refused(there) => there == Some(item),
        })
    }

    /// One Query.
    async fn jobs(&self, binding: &str, limit: usize) -> PortResult<Vec<JobRow>> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: None,
                condition: "#pk = :pk",
                values: vec![("pk", text(keys::jobs(binding)))],
                newest_first: true,
                limit: Some(limit),
                after: None,
            })
            .await?;
        page.items.into_iter().map(from_item).collect()
    }

    /// One Query of the index, then one BatchGetItem. At most a hundred runs.
    async fn runs_since(
        &self,
        tenant: &str,
        since: i64,
        mark_before: Option<&str>,
        limit: usize,
    ) -> PortResult<RunPage> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: Some("by_tenant"),
                condition: "#tenant = :tenant AND #received_at >= :since",
                values: vec![("tenant", text(tenant)), ("since", number(since))],
                newest_first: false,
                limit: Some(limit.min(PAGE_RUNS_MAX)),
                after: mark_before.map(|mark| after(tenant, mark)).transpose()?,
            })
            .await?;
        let next = page.last.as_ref().and_then(mark);
        Ok(RunPage { runs: runs_of(self, &page.items).await?, next })
    }

    /// One PutItem.
    async fn add_run(&self, run: &RunRow) -> PortResult<bool> {
        self.put_new(Write::put(&self.tables.sync_runs, to_item(run)?)).await
    }
}

impl DynamoStore {
    /// Writes a row that must not exist.
    async fn put_new(&self, put: Write) -> PortResult<bool> {
        let item = match &put.action {
            Action::Put(item) => Some(item.clone()),
            Action::Update(..) | Action::Delete(_) | Action::Check(_) => None,
        };
        Ok(match self.one(put.only_if("attribute_not_exists(#pk)")).await? {
            One::Done => true,
            // The very row: an earlier try was applied and its reply lost.
            One::Refused(there) => there == item,
        })
    }
}

#[async_trait]
impl Xrefs for DynamoStore {
    /// One BatchGetItem for each hundred keys.
    async fn xrefs(&self, keys: &[String]) -> PortResult<BTreeMap<String, XrefRow>> {
        let found = self.batch(keys.iter().map(|pk| Place::xref(pk))).await?;
        found.into_iter().map(|(place, item)| Ok((place.pk, from_item(item)?))).collect()
    }

    /// One Query of the index, then one BatchGetItem.
    async fn xrefs_below(&self, book: &str, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<XrefPage> {
        let after = after.map(|pk| {
            let mut after = key(pk, None);
            after.insert("book".to_owned(), text(book));
            after
        });
        let page = self
            .find(Find {
                table: Table::EntityXref,
                index: Some("by_book"),
                condition: "#book = :book AND begins_with(#pk, :prefix)",
                values: vec![("book", text(book)), ("prefix", text(prefix))],
                newest_first: false,
                limit: Some(limit.min(PAGE_XREFS_MAX)),
                after,
            })
            .await?;
        let next = page.last.map(|last| text_of(&last, "pk"));
        let keys: Vec<String> = page.items.iter().map(|item| text_of(item, "pk")).collect();
        let rows = if keys.is_empty() { BTreeMap::new() } else { self.xrefs(&keys).await? };
        Ok(XrefPage { rows: rows.into_values().collect(), next })
    }

    /// One TransactWriteItems.
    async fn write_xrefs(&self, writes: &[XrefWrite]) -> PortResult<Option<String>> {
        let parts = writes.iter().map(|write| self.xref_written(write)).collect::<PortResult<Vec<_>>>()?;
        match self.transact(parts, None, false).await? {
            Transacted::Done => Ok(None),
            Transacted::Refused(refusals) => super::attempts::changed(writes, &refusals),
        }
    }

    /// One TransactWriteItems.
    async fn settle(&self, settled: &Settled) -> PortResult<Written> {
        let run = to_item(&settled.next)?;
        let mut parts = vec![self.run_replaced(&settled.seen, run.clone())];
        for write in &settled.xrefs {
            parts.push(self.xref_written(write)?);
        }
        parts.push(self.push_wanted(&settled.push));
        match self.transact(parts, None, true).await? {
            Transacted::Done => Ok(Written::Done),
            Transacted::Refused(refusals) => match refusals.split_first() {
                // The row there may be the very one: then an earlier try was applied and its reply lost.
                Some((Some(there), _)) if there.as_ref() == Some(&run) => Ok(Written::Done),
                Some((None, xrefs)) => {
                    Ok(super::attempts::changed(&settled.xrefs, xrefs)?.map_or(Written::Done, Written::Changed))
                }
                Some((Some(_), _)) | None => Ok(Written::Lost),
            },
        }
    }
}
