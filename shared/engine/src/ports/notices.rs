//! Telling people.

use super::{PortResult, Reply, Sweeps, TransportFault};
use async_trait::async_trait;
use ledger_wire::rows::NoticesRow;

/// What telling asks of the store.
#[async_trait]
pub trait NoticeStore: Sweeps {
    /// Tenants' notices, by tenant, behind the tenant `after` where one is named.
    async fn notices_page(&self, after: Option<&str>, limit: usize) -> PortResult<Vec<NoticesRow>>;

    /// A tenant's notices.
    async fn notices(&self, tenant: &str) -> PortResult<Option<NoticesRow>>;

    /// Writes a tenant's notices, if their revision is as seen, or there are none where `seen` is none; false where not. The
    /// same row again answers true.
    async fn put_notices(&self, seen: Option<u32>, next: &NoticesRow) -> PortResult<bool>;
}

/// A notice as the topic's subscribers get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// One line of plain ASCII, at most 100 characters.
    pub subject: String,
    /// Text for a person.
    pub text: String,
    /// What subscribers filter by: `tenant`, `role`, `kind`, `id`.
    pub attributes: Vec<(&'static str, String)>,
}

/// The topic of notices.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Publishes one. A repeated call publishes it twice.
    async fn publish(&self, notice: &Published) -> PortResult<()>;
}

/// A request to a webhook of a recipient's.
#[derive(Clone, Debug)]
pub struct HookCall<'a> {
    /// Its address.
    pub url: &'a str,
    /// JSON.
    pub body: &'a str,
    /// Further headers, names in lower case.
    pub headers: &'a [(&'static str, String)],
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// Recipients' webhooks.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Posts to one. Any status is an answer; redirects are not followed, and only public addresses are spoken to.
    async fn post(&self, call: &HookCall<'_>) -> Result<Reply, TransportFault>;
}
