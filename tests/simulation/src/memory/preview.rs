//! Work in bulk, and cross-references as operators read and write them.

use super::attempts::written;
use super::index::Index;
use super::rows::{Place, Row, Table, read};
use super::store::{MemoryStore, Open, Part, Transacted};
use async_trait::async_trait;
use ledger_engine::ports::{Jobs, PortResult, RunPage, Settled, Written, XrefPage, XrefWrite, Xrefs};
use ledger_wire::rows::{JobRow, RunRow, XrefRow, keys};
use std::collections::BTreeMap;

/// Cross-references of one page.
const PAGE_XREFS_MAX: usize = 100;

#[async_trait]
impl Jobs for MemoryStore {
    async fn job(&self, pk: &str, sk: &str) -> PortResult<Option<JobRow>> {
        self.row("store.job", Place::new(Table::SyncRuns, pk, sk.to_owned())).await
    }

    async fn add_job(&self, job: &JobRow) -> PortResult<bool> {
        self.single("store.add_job", |open| {
            let (place, row) = (job.place(), written(job));
            let absent = !open.there(&place);
            // The very row: an earlier try was applied and its reply lost.
            Ok(open.one(Part::put(row.clone(), absent))? || open.seen::<JobRow>(&place) == Some(&row))
        })
        .await
    }

    async fn replace_job(&self, seen: &JobRow, next: &JobRow) -> PortResult<bool> {
        self.single("store.replace_job", |open| {
            let (place, row) = (next.place(), written(next));
            let as_seen = open.seen::<JobRow>(&place).is_some_and(|there| there.revision == seen.revision);
            Ok(open.one(Part::put(row.clone(), as_seen))? || open.seen::<JobRow>(&place) == Some(&row))
        })
        .await
    }

    async fn jobs(&self, binding: &str, limit: usize) -> PortResult<Vec<JobRow>> {
        let pk = keys::jobs(binding);
        self.call("store.jobs", |open| {
            open.partition(Table::SyncRuns, &pk, "")
                .rev()
                .take(limit)
                .map(|(place, stored)| read::<JobRow>(place, stored))
                .collect()
        })
        .await
    }

    async fn runs_since(&self, tenant: &str, since: i64, after: Option<&str>, limit: usize) -> PortResult<RunPage> {
        self.page_of_runs(["store.runs_since", "store.runs_since.rows"], tenant, Some(since), after, limit).await
    }

    async fn add_run(&self, run: &RunRow) -> PortResult<bool> {
        self.single("store.add_run", |open| super::operations::new_run(open, run)).await
    }
}

impl Open<'_> {
    fn xrefs(&self, keys: &[String]) -> PortResult<BTreeMap<String, XrefRow>> {
        let found = keys.iter().map(|pk| Ok((pk, self.get::<XrefRow>(&Place::xref(pk))?)));
        found.filter_map(|found: PortResult<_>| found.map(|(pk, row)| Some((pk.clone(), row?))).transpose()).collect()
    }

    fn settle(&mut self, settled: &Settled) -> PortResult<Written> {
        let mut parts = vec![self.run_replaced(&settled.seen, &settled.next)];
        parts.extend(settled.xrefs.iter().map(|write| self.xref_written(write)));
        parts.push(self.push_wanted(&settled.push));
        Ok(match self.transact(parts)? {
            Transacted::Done => Written::Done,
            Transacted::Refused(refusals) => match refusals.split_first() {
                Some((false, xrefs)) => self.changed(&settled.xrefs, xrefs).map_or(Written::Done, Written::Changed),
                // The row there may be the very one: then an earlier try was applied and its reply lost.
                Some((true, _)) if self.seen::<RunRow>(&settled.next.place()) == Some(&written(&settled.next)) => {
                    Written::Done
                }
                Some((true, _)) | None => Written::Lost,
            },
        })
    }
}

#[async_trait]
impl Xrefs for MemoryStore {
    async fn xrefs(&self, keys: &[String]) -> PortResult<BTreeMap<String, XrefRow>> {
        self.call("store.xrefs", |open| open.xrefs(keys)).await
    }

    async fn xrefs_below(&self, book: &str, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<XrefPage> {
        let limit = limit.min(PAGE_XREFS_MAX);
        let keys: Vec<String> = self
            .call("store.xrefs_below", |open| {
                let entries = open.index(Index::ByBook, book).map(|(key, _)| &key.text);
                let below = entries.filter(|pk| pk.starts_with(prefix));
                let behind = below.filter(|pk| after.is_none_or(|after| pk.as_str() > after));
                Ok(behind.take(limit).cloned().collect())
            })
            .await?;
        // A page that is full says where it ended, whether there is more or not.
        let next = keys.last().filter(|_| keys.len() == limit).cloned();
        if keys.is_empty() {
            return Ok(XrefPage { rows: Vec::new(), next });
        }
        let rows = self.call("store.xrefs_below.rows", |open| open.xrefs(&keys)).await?;
        Ok(XrefPage { rows: rows.into_values().collect(), next })
    }

    async fn write_xrefs(&self, writes: &[XrefWrite]) -> PortResult<Option<String>> {
        self.call("store.write_xrefs", |open| {
            let parts = writes.iter().map(|write| open.xref_written(write)).collect();
            Ok(match open.transact(parts)? {
                Transacted::Done => None,
                Transacted::Refused(refusals) => open.changed(writes, &refusals),
            })
        })
        .await
    }

    async fn settle(&self, settled: &Settled) -> PortResult<Written> {
        self.call("store.settle", |open| open.settle(settled)).await
    }
}
