//! What previews, work in bulk and people's words about documents ask of the store.

use super::{PortResult, PushWant, RunPage, Written, XrefWrite};
use async_trait::async_trait;
use ledger_wire::rows::{JobRow, RunRow, XrefRow};
use std::collections::BTreeMap;

/// Work that operators ask for in bulk, and that the sweeper feeds.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// A job.
    async fn job(&self, pk: &str, sk: &str) -> PortResult<Option<JobRow>>;

    /// Writes a job that must not exist; false where it does.
    async fn add_job(&self, job: &JobRow) -> PortResult<bool>;

    /// Replaces a job, if its revision is as seen; false where not.
    async fn replace_job(&self, seen: &JobRow, next: &JobRow) -> PortResult<bool>;

    /// Jobs of a binding, newest first.
    async fn jobs(&self, binding: &str, limit: usize) -> PortResult<Vec<JobRow>>;

    /// Runs of a tenant that were received at `since` or later, oldest first. Eventually consistent as to which.
    async fn runs_since(&self, tenant: &str, since: i64, after: Option<&str>, limit: usize) -> PortResult<RunPage>;

    /// Writes a run that must not exist; false where it does.
    async fn add_run(&self, run: &RunRow) -> PortResult<bool>;
}

/// A run that ends by an operator's word, with what it says of the document, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The run as it was read.
    pub seen: RunRow,
    /// As it shall be.
    pub next: RunRow,
    /// Rows of `entity_xref`.
    pub xrefs: Vec<XrefWrite>,
    /// The chip to push.
    pub push: PushWant,
}

/// A page of cross-references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XrefPage {
    /// The rows, in the order of their keys.
    pub rows: Vec<XrefRow>,
    /// The key behind which the next page begins; none where this was the last.
    pub next: Option<String>,
}

/// Cross-references as operators read and write them.
#[async_trait]
pub trait Xrefs: Send + Sync {
    /// Those of these keys that are there, by key.
    async fn xrefs(&self, keys: &[String]) -> PortResult<BTreeMap<String, XrefRow>>;

    /// Those of a book whose keys begin with `prefix`, behind the key `after`, at most `limit` (1 to 100). Eventually
    /// consistent as to which.
    async fn xrefs_below(&self, book: &str, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<XrefPage>;

    /// Writes all or none, each as its expectation says. `None`: written; else the key of one that was not as expected.
    async fn write_xrefs(&self, writes: &[XrefWrite]) -> PortResult<Option<String>>;

    /// Ends a run by an operator's word, if its generation, dispatch, attempt and state are as seen (`Lost` where not).
    async fn settle(&self, settled: &Settled) -> PortResult<Written>;
}
