//! The engine's ports: what it asks of the outside, in traits narrow enough for each function.
//!
//! Every write names what it saw (a generation, a claim, a revision) and does nothing where that is no longer so. Every
//! read is strongly consistent unless it says otherwise.

mod agenda;
mod grants;
mod issuer;
mod pairing;
mod reference;

pub use agenda::Agenda;
pub use grants::{Access, Ask, Authorities, AuthorityCall, Confirmation, ConnectStore, GrantLeased, GrantStore};
pub use issuer::IssuerKeys;
pub use pairing::{
    Counted, Heard, KeyUse, ModuleStore, NewShop, Pairings, Promotion, ShopStates, ShopWatch, SpentToken,
};
pub use reference::{Configurations, NotedWith, PrefixOwner, References};

use async_trait::async_trait;
use ledger_dialects::{Call, Reply};
use ledger_domain::identity::Event;
use ledger_wire::rows::{
    AttemptRow, AttentionRow, BindingRow, JtiRow, LeaseRow, OrderDocumentRow, PaceRow, PushRow, RunRow, SealedRow,
    SettingsRow, SweepRow, TenantRow, TokenRow, XrefRow,
};
use secrecy::SecretString;
use std::collections::BTreeMap;

mod preview;

pub use preview::{Jobs, Settled, XrefPage, Xrefs};

/// Why the store, the queue or the vault gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortFault {
    /// No answer now; the same call may work later. A write may or may not have been applied.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A row or a ciphertext that can't be what we wrote.
    #[error("inconsistent: {0}")]
    Inconsistent(String),
}

/// The answer of a port.
pub type PortResult<T> = Result<T, PortFault>;

/// A tenant with its bindings, read together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenancy {
    /// The tenant.
    pub tenant: TenantRow,
    /// Its bindings, ordered by binding id.
    pub bindings: Vec<BindingRow>,
}

/// Answer to the first write of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// All runs and the token's id are written.
    Fresh,
    /// Nothing was written: something was there.
    Met {
        /// The token's id was spent before (and is not expired), on this.
        jti: Option<JtiRow>,
        /// For each run asked for, in order: what is there.
        runs: Vec<Option<RunRow>>,
    },
}

/// One part of what a repeated delivery does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revisit {
    /// Write a run that was not there.
    Put(RunRow),
    /// Replace a run, if its generation, dispatch, attempt and state are as seen.
    Replace {
        /// As it was read.
        seen: RunRow,
        /// As it shall be.
        next: RunRow,
    },
    /// Ask for a chip to be pushed again.
    Push(PushWant),
}

/// Answer to a repeated delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revisited {
    /// All of it is written.
    Done,
    /// The token's id was spent before, on this; nothing was written.
    Spent(JtiRow),
    /// A run had changed; nothing was written. Read again.
    Changed,
}

/// Reading tenants.
#[async_trait]
pub trait Tenants: Send + Sync {
    /// A tenant and its bindings; `None` where there is no such tenant.
    async fn tenancy(&self, tenant: &str) -> PortResult<Option<Tenancy>>;
}

/// What the webhook asks of the store.
#[async_trait]
pub trait Deliveries: KeyUse {
    /// Writes the runs (each must not exist) and the token's id (must not exist, or be expired at `now_seconds`) in one
    /// transaction under `request_token`, which every retry of the same delivery's write repeats.
    async fn accept(
        &self,
        runs: &[RunRow],
        jti: &JtiRow,
        now_seconds: i64,
        request_token: &str,
    ) -> PortResult<Accepted>;

    /// Spends the token's id and does the parts, in one transaction.
    async fn revisit(&self, jti: &JtiRow, now_seconds: i64, parts: &[Revisit]) -> PortResult<Revisited>;

    /// Moves the due mark of a queued run whose send failed, if generation and dispatch are as seen.
    async fn mark_unsent(&self, run: &RunRow, due_at: i64) -> PortResult<()>;

    /// Notes that something came from the shop, if `heard_at` is as seen.
    async fn heard(&self, heard: &Heard) -> PortResult<()>;
}

/// Asks for a run and the lease on its book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The run.
    pub run_id: String,
    /// The generation that the message names.
    pub generation: u32,
    /// A new id for this claim: the fence of every later write.
    pub claim: String,
    /// The book.
    pub book: String,
    /// Now, in milliseconds.
    pub now: i64,
    /// Until when run and lease are claimed, in milliseconds.
    pub until: i64,
    /// Claims without an outcome that are one too many.
    pub unfinished_max: u32,
}

/// Answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The run and the lease are ours. The run is `running`, `attempt` and `unfinished` are one higher.
    Ours,
    /// The run can't be claimed; this is how it stands (`None`: there is none).
    Not(Option<RunRow>),
    /// The run could be claimed, the book could not: somebody has the lease until then, in milliseconds.
    BookBusy(i64),
}

/// What an attempt reads at once after its claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatherRequest {
    /// The run.
    pub run_id: String,
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// The book whose lease is read too; empty for none.
    pub book: String,
    /// Keys of rows of `entity_xref`, at most 90.
    pub xrefs: Vec<String>,
}

/// What is there. Rows that are not there are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// The run.
    pub run: Option<RunRow>,
    /// The tenant.
    pub tenant: Option<TenantRow>,
    /// The binding.
    pub binding: Option<BindingRow>,
    /// Its token.
    pub token: Option<TokenRow>,
    /// The lease on the book.
    pub lease: Option<LeaseRow>,
    /// Cross-references by key.
    pub xrefs: BTreeMap<String, XrefRow>,
}

/// What must be true of a row of `entity_xref` for it to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is none.
    Absent,
    /// It has this revision.
    Revision(u32),
    /// There is none, or it belongs to this document.
    AbsentOrOf(String),
}

/// A conditional write of a row of `entity_xref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XrefWrite {
    /// The row as it shall be.
    pub row: XrefRow,
    /// What must be true.
    pub expect: Expect,
}

/// Writes of an attempt under way: settles one document and reserves the next. Nothing is written unless the run still
/// has `claim` and every expectation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The run.
    pub run_id: String,
    /// The claim.
    pub claim: String,
    /// The rows.
    pub xrefs: Vec<XrefWrite>,
}

/// The outcome of an attempt, in one transaction with all that depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The run as it shall be; written only if it still has `claim`.
    pub run: RunRow,
    /// The claim.
    pub claim: String,
    /// Rows of `entity_xref`.
    pub xrefs: Vec<XrefWrite>,
    /// The chip to push.
    pub push: Option<PushWant>,
    /// The attempt's row.
    pub attempt: AttemptRow,
    /// Which order the document belongs to, where that was learnt.
    pub order: Option<OrderDocumentRow>,
    /// The lease that is given up, if it is still ours.
    pub release: Option<Release>,
}

/// A lease given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The book.
    pub book: String,
    /// How fast it was asked, for whoever has it next; `None` leaves what the lease says.
    pub pace: Option<PaceRow>,
}

/// Asks for a chip to be computed and pushed. Creates the row or raises its `wanted` and `dispatch` by one each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushWant {
    /// The tenant.
    pub tenant: String,
    /// Provider key.
    pub provider: String,
    /// Entity type.
    pub entity_type: String,
    /// Id of the entity in the shop.
    pub magento_id: u64,
    /// The run that carried the document, where it is the one that asks.
    pub document_run: Option<String>,
    /// The run that carried the payment, where it is the one that asks.
    pub payment_run: Option<String>,
    /// Key of the document's row in `entity_xref`.
    pub xref: Option<String>,
    /// When the sweeper sends the push if nobody else has, in milliseconds.
    pub due_at: i64,
    /// When the row may be forgotten, in seconds.
    pub expires_at: i64,
}

/// Answer to a write of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is written.
    Done,
    /// The claim is lost: somebody else has the run. Say nothing more.
    Lost,
    /// A row of `entity_xref` was not as expected; nothing was written. Its key.
    Changed(String),
}

/// What the workers ask of the store.
#[async_trait]
pub trait Attempts: References + ShopStates + GrantStore {
    /// One transaction over the run and the lease on the book. A repeated call with the same claim answers the same.
    async fn claim(&self, request: &ClaimRequest) -> PortResult<Claimed>;

    /// Reads everything an attempt needs, at once.
    async fn gather(&self, request: &GatherRequest) -> PortResult<Gathered>;

    /// One version of a binding's settings.
    async fn settings(&self, binding: &str, version: u32) -> PortResult<Option<SettingsRow>>;

    /// Settles and reserves.
    async fn progress(&self, progress: &Progress) -> PortResult<Written>;

    /// Ends the attempt.
    async fn commit(&self, commit: &Commit) -> PortResult<Written>;

    /// Replaces a run, if its generation, dispatch, attempt and state are as seen; false where not.
    async fn replace_run(&self, seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> PortResult<bool>;

    /// Notes that the shop refuses our tokens (if not noted before) and has the sweeper ask after it.
    async fn shop_refuses(&self, tenant: &str, now: i64) -> PortResult<()>;
}

/// A chip with what it is computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChipView {
    /// The chip.
    pub push: PushRow,
    /// Runs that speak for the entity, as far as they exist.
    pub runs: Vec<RunRow>,
    /// The document's cross-reference.
    pub xref: Option<XrefRow>,
}

/// What the push worker asks of the store.
#[async_trait]
pub trait Pushes: Tenants + ShopStates {
    /// A chip with what it is computed from.
    async fn chip(&self, pk: &str) -> PortResult<Option<ChipView>>;

    /// Notes what the shop has and clears the due mark, if `wanted` is still the one pushed; false where not.
    async fn pushed(&self, push: &PushRow, chip: &str, now: i64) -> PortResult<bool>;

    /// Puts the push off, if `wanted` is still as seen.
    async fn put_off(&self, push: &PushRow, due_at: i64, code: &str) -> PortResult<()>;

    /// Notes that the shop refuses our tokens (if not noted before) and has the sweeper ask after it.
    async fn shop_refuses(&self, tenant: &str, now: i64) -> PortResult<()>;
}

/// A row that is due, as the index says: the row itself may say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueKey {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Milliseconds.
    pub due_at: i64,
}

/// An entry of the index by state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// The run's partition key.
    pub pk: String,
    /// Its code.
    pub code: String,
    /// Who can do something about it.
    pub owner: String,
    /// Sort key of the index: where a next page begins.
    pub order: String,
}

/// What the sweeper asks of the store.
#[async_trait]
pub trait Sweeps: ShopWatch + GrantStore + Jobs {
    /// What is due in a shard, oldest first. Eventually consistent both ways.
    async fn due(&self, shard: u8, now: i64, limit: usize) -> PortResult<Vec<DueKey>>;

    /// The oldest due mark of a shard. Eventually consistent.
    async fn oldest_due(&self, shard: u8) -> PortResult<Option<i64>>;

    /// A run.
    async fn run(&self, pk: &str) -> PortResult<Option<RunRow>>;

    /// A chip's row.
    async fn push(&self, pk: &str) -> PortResult<Option<PushRow>>;

    /// Replaces a run, if its generation, dispatch, attempt and state are as seen; false where not.
    async fn replace_run(&self, seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> PortResult<bool>;

    /// Replaces a chip's row, if `dispatch` and `wanted` are as seen; false where not.
    async fn replace_push(&self, seen: &PushRow, next: &PushRow) -> PortResult<bool>;

    /// Entries of the index by state, in the order of binding and age, after `after`. Eventually consistent.
    async fn by_state(
        &self,
        state: &str,
        order_prefix: &str,
        after: Option<&StateEntry>,
        limit: usize,
    ) -> PortResult<Vec<StateEntry>>;

    /// The lease on a book.
    async fn lease(&self, book: &str) -> PortResult<Option<LeaseRow>>;

    /// What is asked after every minute.
    async fn attentions(&self) -> PortResult<Vec<AttentionRow>>;

    /// The shop accepts us: clears what was noted against it, `token_revoked` and `unreachable`, ends the asking.
    async fn shop_accepts(&self, tenant: &str) -> PortResult<()>;

    /// The shop refuses us for good until somebody pairs again: marks `token_revoked`.
    async fn shop_revoked(&self, tenant: &str) -> PortResult<()>;

    /// Notes what a sweep found at its end, over what the one before noted.
    async fn swept(&self, sweep: &SweepRow) -> PortResult<()>;
}

/// A page of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<RunRow>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What operators ask of the store.
#[async_trait]
pub trait Operations: Sweeps + Xrefs {
    /// Writes a tenant that must not exist, and that its shop's address is this tenant's.
    async fn add_tenant(&self, tenant: &TenantRow) -> PortResult<bool>;

    /// Ids of the stack's tenants, in their order, behind `after`, at most `limit`.
    async fn tenants(&self, after: Option<&str>, limit: usize) -> PortResult<Vec<String>>;

    /// What the last sweep noted; `None` where none ever came to its end.
    async fn last_sweep(&self) -> PortResult<Option<SweepRow>>;

    /// The tenant of a binding; `None` where there is no such binding.
    async fn tenant_of(&self, binding: &str) -> PortResult<Option<String>>;

    /// Writes a binding, its place, its first settings and its token; the binding must not exist.
    async fn add_binding(&self, binding: &BindingRow, settings: &SettingsRow, token: &TokenRow) -> PortResult<bool>;

    /// Replaces a binding's row, if its status, mode and settings version are as seen; false where not.
    async fn replace_binding(&self, seen: &BindingRow, next: &BindingRow) -> PortResult<bool>;

    /// Replaces a binding's token, whatever it is.
    async fn put_token(&self, token: &TokenRow) -> PortResult<()>;

    /// A binding's token.
    async fn token(&self, binding: &str) -> PortResult<Option<TokenRow>>;

    /// Runs of a tenant, newest first.
    async fn runs(&self, tenant: &str, after: Option<&str>, limit: usize) -> PortResult<RunPage>;

    /// Attempts of a run, oldest first.
    async fn attempts(&self, run_id: &str) -> PortResult<Vec<AttemptRow>>;
}

/// A queue by what its messages ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueName {
    /// Attempts of an event's runs.
    Work(Event),
    /// Chips to push.
    PushSyncState,
    /// Bells of dead letters.
    DeadLetter,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The queue.
    pub queue: QueueName,
    /// Messages of a group come one after another.
    pub group: String,
    /// SQS silently drops a message whose id it saw in the last five minutes.
    pub deduplication: String,
    /// The body.
    pub body: String,
}

/// Sending.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends one message.
    async fn send(&self, message: &Outgoing) -> PortResult<()>;

    /// True where this stack has the queue.
    fn has(&self, queue: QueueName) -> bool;

    /// Makes a received message visible again after `seconds`, without counting it as done.
    async fn give_back(&self, queue: QueueName, receipt: &str, seconds: u32) -> PortResult<()>;
}

/// A message of the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BellMessage {
    /// Deletes it.
    pub receipt: String,
    /// Its body.
    pub body: String,
}

/// The dead-letter queue, read.
#[async_trait]
pub trait Bells: Send + Sync {
    /// Visible and invisible messages, approximately.
    async fn depth(&self) -> PortResult<u64>;

    /// Up to ten messages, hidden from others for a few seconds.
    async fn receive(&self) -> PortResult<Vec<BellMessage>>;

    /// Deletes one.
    async fn delete(&self, receipt: &str) -> PortResult<()>;
}

/// What a sealed value belongs to. Ids only: KMS writes it to the audit trail in clear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealContext {
    /// Logical label of the store, never a table's name.
    pub label: &'static str,
    /// The row's owner: a tenant or a binding.
    pub owner: String,
    /// The attribute.
    pub attribute: &'static str,
}

/// Sealing.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Opens a sealed value; fails where it was sealed for another place or version.
    async fn open(&self, sealed: &SealedRow, context: &SealContext) -> PortResult<SecretString>;

    /// Seals a value of at most 4 KiB.
    async fn seal(&self, secret: &SecretString, version: u32, context: &SealContext) -> PortResult<SealedRow>;
}

/// Why a request brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    /// Nothing was sent: no connection.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Something may have arrived: no answer, or half of one.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The address is one that we don't speak to (private, loopback, not https, …). Nothing was sent.
    #[error("address refused: {0}")]
    AddressRefused(String),
}

/// A request to the shop.
#[derive(Clone, Debug)]
pub struct ShopCall<'a> {
    /// Base URL of the shop.
    pub shop_url: &'a str,
    /// The tenant, subject of the token.
    pub tenant: &'a str,
    /// The shared key that the token's subkey is derived from.
    pub api_key: &'a SecretString,
    /// Path below the base URL, beginning with `/rest/`.
    pub path: String,
    /// JSON body: a POST; without, a GET.
    pub body: Option<String>,
    /// Now, in seconds.
    pub now_seconds: i64,
    /// The token's id: new for every request, repeats included.
    pub jti: String,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What a module's pairing route is sent. Its `Debug` shows no body: that holds code and key.
#[derive(Clone, Debug)]
pub struct PairCall<'a> {
    /// Base URL of the shop.
    pub shop_url: &'a str,
    /// Path below the base URL, beginning with `/rest/`.
    pub path: &'a str,
    /// JSON body.
    pub body: &'a SecretString,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// The shop.
#[async_trait]
pub trait Shop: Send + Sync {
    /// Sends one request under a fresh token. Any status is an answer; redirects are not followed.
    async fn call(&self, call: &ShopCall<'_>) -> Result<Reply, TransportFault>;

    /// Posts to a pairing route, without any token. Any status is an answer; redirects are not followed.
    async fn pair(&self, call: &PairCall<'_>) -> Result<Reply, TransportFault>;
}

/// A request to a book.
#[derive(Clone, Debug)]
pub struct BookCall<'a> {
    /// Scheme, host and port of the binding.
    pub base_url: &'a str,
    /// The access token.
    pub token: &'a SecretString,
    /// What to say.
    pub call: &'a Call,
    /// True for a create or a change: then no idle connection is reused.
    pub writes: bool,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// The book.
#[async_trait]
pub trait Book: Send + Sync {
    /// Sends one request. Any status is an answer; redirects are not followed.
    async fn send(&self, call: &BookCall<'_>) -> Result<Reply, TransportFault>;
}

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// Waits.
    async fn sleep_ms(&self, milliseconds: u64);
}

/// Chance.
pub trait Chance: Send + Sync {
    /// A new UUID, version 4.
    fn uuid(&self) -> String;

    /// Any number, as hard to guess as it has bits: keys are made of them.
    fn number(&self) -> u64;
}
