//! The ports of a world: the shipped adapters behind the tripwire, a queue in memory, a clock that tests move.

use crate::trip::Trip;
use async_trait::async_trait;
use ledger_aws::{DynamoStore, KmsVault};
use ledger_engine::dialects::Reply;
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::*;
use ledger_engine::wire::rows::*;
use ledger_http::{HttpAuthorities, HttpBook, HttpShop};
use ledger_simulation::memory::{Fate, MemoryQueue, QueueShape, Weather};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The store behind the tripwire.
#[derive(Clone, Debug)]
pub struct TripStore {
    /// The adapter.
    pub inner: DynamoStore,
    /// The tripwire.
    pub trip: Arc<Trip>,
}

macro_rules! forwarded {
    ($trait:ident { $(fn $name:ident($($argument:ident: $kind:ty),*) -> $out:ty;)* }) => {
        #[async_trait]
        impl $trait for TripStore {
            $(async fn $name(&self, $($argument: $kind),*) -> PortResult<$out> {
                self.trip.through(concat!("store.", stringify!($name)), $trait::$name(&self.inner, $($argument),*)).await
            })*
        }
    };
}

forwarded!(Tenants {
    fn tenancy(tenant: &str) -> Option<Tenancy>;
});
forwarded!(References {
    fn references(binding: &str, lists: &[&str]) -> Vec<ReferenceRow>;
    fn reference_pages(binding: &str, list: &str, generation: u32, pages: u32) -> Vec<ReferencePageRow>;
    fn put_reference(row: &ReferenceRow, pages: &[ReferencePageRow]) -> bool;
    fn grant_of(binding: &str) -> Option<TokenRow>;
});
forwarded!(Configurations {
    fn settings_version(binding: &str, version: u32) -> Option<SettingsRow>;
    fn settings_versions(binding: &str, before: Option<u32>, limit: usize) -> Vec<SettingsRow>;
    fn put_settings(tenant: &str, seen: u32, row: &SettingsRow, binding: &str, noted: Option<NotedWith<'_>>) -> bool;
    fn prefixes_of(book: &str) -> Vec<PrefixOwner>;
});
forwarded!(ShopStates {
    fn shop_unreached(tenant: &str, now: i64) -> ();
    fn shop_reached(tenant: &str) -> ();
});
forwarded!(KeyUse {
    fn promote(promotion: &Promotion) -> bool;
});
forwarded!(Agenda {
    fn agenda_due(now: i64, after: Option<&AgendaRow>, limit: usize) -> Vec<AgendaRow>;
    fn agenda_put(row: &AgendaRow) -> ();
    fn agenda_remove(row: &AgendaRow) -> ();
});
forwarded!(ShopWatch {
    fn shop_refuses_ping(tenant: &str, now: i64) -> ();
    fn shop_unreachable(tenant: &str) -> ();
    fn shop_silent(tenant: &str, heard_at: i64) -> ();
    fn attention_ends(tenant: &str) -> ();
});
forwarded!(Pairings {
    fn shop_address(address: &str) -> Option<ShopAddressRow>;
    fn add_shop(shop: &NewShop) -> bool;
    fn add_pending_binding(binding: &BindingRow) -> bool;
    fn binding_becomes(seen: &BindingRow, status: &str, disconnected_at: Option<i64>) -> bool;
    fn add_candidate(seen: &TenantRow, candidate: &SealedRow, provider: &str) -> bool;
    fn candidate_for(seen: &TenantRow, provider: &str) -> bool;
    fn took_current_key(seen: &TenantRow, provider: &str, now: i64) -> bool;
    fn paired_by(tenant: &str, operator: &str) -> ();
    fn count_of_binding(state: &str, binding: &str, limit: usize) -> u32;
});
forwarded!(ModuleStore {
    fn count_since(counted: &Counted<'_>) -> u32;
    fn newest_runs(tenant: &str, limit: usize) -> Vec<RunRow>;
    fn runs_by_id(run_ids: &[String]) -> Vec<RunRow>;
    fn documents_of_order(tenant: &str, order_id: u64) -> Vec<(String, u64)>;
    fn disconnect_shop(tenant: &str, jti: &JtiRow, now: i64) -> SpentToken;
});
forwarded!(Deliveries {
    fn accept(runs: &[RunRow], jti: &JtiRow, now_seconds: i64, request_token: &str) -> Accepted;
    fn revisit(jti: &JtiRow, now_seconds: i64, parts: &[Revisit]) -> Revisited;
    fn mark_unsent(run: &RunRow, due_at: i64) -> ();
    fn heard(heard: &Heard) -> ();
});
forwarded!(Attempts {
    fn claim(request: &ClaimRequest) -> Claimed;
    fn gather(request: &GatherRequest) -> Gathered;
    fn settings(binding: &str, version: u32) -> Option<SettingsRow>;
    fn progress(progress: &Progress) -> Written;
    fn commit(commit: &Commit) -> Written;
    fn replace_run(seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> bool;
    fn shop_refuses(tenant: &str, now: i64) -> ();
});
forwarded!(GrantStore {
    fn grant(binding: &str) -> Option<TokenRow>;
    fn app(pk: &str) -> Option<AppRow>;
    fn lease_grant(binding: &str, version: u32, owner: &str, now: i64, until: i64) -> GrantLeased;
    fn save_grant(seen_version: u32, next: &TokenRow) -> bool;
    fn release_grant(binding: &str, owner: &str) -> ();
    fn needs_reconnect(tenant: &str, binding: &str, version: Option<u32>) -> bool;
});
forwarded!(ConnectStore {
    fn put_app(seen_version: Option<u32>, app: &AppRow) -> bool;
    fn put_oauth_state(state: &OAuthStateRow) -> ();
    fn oauth_state(pk: &str) -> Option<OAuthStateRow>;
    fn take_oauth_state(pk: &str, by: &str) -> bool;
    fn put_link(link: &ConnectLinkRow) -> ();
    fn link(pk: &str) -> Option<ConnectLinkRow>;
    fn take_link(pk: &str, by: &str) -> bool;
    fn put_pending(pending: &PendingConnectionRow) -> bool;
    fn complete_pending(pending: &PendingConnectionRow) -> bool;
    fn pending(binding: &str) -> Option<PendingConnectionRow>;
    fn remove_pending(binding: &str, id: &str) -> ();
    fn book_bindings(book: &str) -> Vec<BookBindingRow>;
    fn put_book_binding(row: &BookBindingRow) -> ();
    fn user_bindings(provider: &str, user: &str) -> Vec<AuthorityUserRow>;
    fn confirm(confirmation: &Confirmation) -> bool;
    fn disconnect(tenant: &str, binding: &str) -> bool;
    fn forget_grant(tenant: &str, provider: &str, grant: &TokenRow) -> bool;
});
forwarded!(Pushes {
    fn chip(pk: &str) -> Option<ChipView>;
    fn pushed(push: &PushRow, chip: &str, now: i64) -> bool;
    fn put_off(push: &PushRow, due_at: i64, code: &str) -> ();
    fn shop_refuses(tenant: &str, now: i64) -> ();
});
forwarded!(Sweeps {
    fn due(shard: u8, now: i64, limit: usize) -> Vec<DueKey>;
    fn oldest_due(shard: u8) -> Option<i64>;
    fn run(pk: &str) -> Option<RunRow>;
    fn push(pk: &str) -> Option<PushRow>;
    fn replace_run(seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> bool;
    fn replace_push(seen: &PushRow, next: &PushRow) -> bool;
    fn by_state(state: &str, order_prefix: &str, after: Option<&StateEntry>, limit: usize) -> Vec<StateEntry>;
    fn lease(book: &str) -> Option<LeaseRow>;
    fn attentions() -> Vec<AttentionRow>;
    fn shop_accepts(tenant: &str) -> ();
    fn shop_revoked(tenant: &str) -> ();
    fn swept(sweep: &SweepRow) -> ();
});
forwarded!(Operations {
    fn add_tenant(tenant: &TenantRow) -> bool;
    fn tenants(after: Option<&str>, limit: usize) -> Vec<String>;
    fn last_sweep() -> Option<SweepRow>;
    fn tenant_of(binding: &str) -> Option<String>;
    fn add_binding(binding: &BindingRow, settings: &SettingsRow, token: &TokenRow) -> bool;
    fn replace_binding(seen: &BindingRow, next: &BindingRow) -> bool;
    fn put_token(token: &TokenRow) -> ();
    fn token(binding: &str) -> Option<TokenRow>;
    fn runs(tenant: &str, after: Option<&str>, limit: usize) -> RunPage;
    fn attempts(run_id: &str) -> Vec<AttemptRow>;
});

forwarded!(Jobs {
    fn job(pk: &str, sk: &str) -> Option<JobRow>;
    fn add_job(job: &JobRow) -> bool;
    fn replace_job(seen: &JobRow, next: &JobRow) -> bool;
    fn jobs(binding: &str, limit: usize) -> Vec<JobRow>;
    fn runs_since(tenant: &str, since: i64, after: Option<&str>, limit: usize) -> RunPage;
    fn add_run(run: &RunRow) -> bool;
});
forwarded!(Xrefs {
    fn xrefs(keys: &[String]) -> BTreeMap<String, XrefRow>;
    fn xrefs_below(book: &str, prefix: &str, after: Option<&str>, limit: usize) -> XrefPage;
    fn write_xrefs(writes: &[XrefWrite]) -> Option<String>;
    fn settle(settled: &Settled) -> Written;
});

/// The vault behind the tripwire.
#[derive(Clone, Debug)]
pub struct TripVault {
    /// The adapter.
    pub inner: KmsVault,
    /// The tripwire.
    pub trip: Arc<Trip>,
}

#[async_trait]
impl Vault for TripVault {
    async fn open(&self, sealed: &SealedRow, context: &SealContext) -> PortResult<SecretString> {
        self.trip.through("vault.open", self.inner.open(sealed, context)).await
    }

    async fn seal(&self, secret: &SecretString, version: u32, context: &SealContext) -> PortResult<SealedRow> {
        self.trip.through("vault.seal", self.inner.seal(secret, version, context)).await
    }
}

/// The way to the shop behind the tripwire.
#[derive(Clone, Debug)]
pub struct TripShop {
    /// The adapter.
    pub inner: HttpShop,
    /// The tripwire.
    pub trip: Arc<Trip>,
}

#[async_trait]
impl Shop for TripShop {
    async fn call(&self, call: &ShopCall<'_>) -> Result<Reply, TransportFault> {
        self.trip.through("shop.call", self.inner.call(call)).await
    }

    async fn pair(&self, call: &PairCall<'_>) -> Result<Reply, TransportFault> {
        self.trip.through("shop.pair", self.inner.pair(call)).await
    }
}

/// The way to the book behind the tripwire.
#[derive(Clone, Debug)]
pub struct TripBook {
    /// The adapter.
    pub inner: HttpBook,
    /// The tripwire.
    pub trip: Arc<Trip>,
}

#[async_trait]
impl Book for TripBook {
    async fn send(&self, call: &BookCall<'_>) -> Result<Reply, TransportFault> {
        self.trip.through("book.send", self.inner.send(call)).await
    }
}

/// The way to providers' OAuth addresses behind the tripwire.
#[derive(Clone, Debug)]
pub struct TripAuthorities {
    /// The adapter.
    pub inner: HttpAuthorities,
    /// The tripwire.
    pub trip: Arc<Trip>,
}

#[async_trait]
impl Authorities for TripAuthorities {
    async fn call(&self, call: &AuthorityCall<'_>) -> Result<Reply, TransportFault> {
        self.trip.through("authorities.call", self.inner.call(call)).await
    }
}

/// A provider whose OAuth nobody can reach: tokens here are set by hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProvider;

#[async_trait]
impl Authorities for NoProvider {
    async fn call(&self, _: &AuthorityCall<'_>) -> Result<Reply, TransportFault> {
        Err(TransportFault::NotSent("nobody is there".to_owned()))
    }
}

/// What becomes of what is sent.
#[derive(Debug)]
struct Sending {
    clock: SimulatedClock,
    down: AtomicBool,
}

#[async_trait]
impl Weather for Sending {
    fn now_ms(&self) -> i64 {
        Clock::now_ms(&self.clock)
    }

    async fn before(&self, call: &'static str) -> Fate {
        let fails = call == "queue.send" && self.down.load(Ordering::SeqCst);
        if fails { Fate::Unavailable } else { Fate::Fair }
    }
}

/// Queues in memory behind the tripwire.
#[derive(Clone, Debug)]
pub struct TripQueue {
    inner: MemoryQueue,
    sending: Arc<Sending>,
    trip: Arc<Trip>,
}

impl TripQueue {
    /// Empty queues.
    #[must_use]
    pub fn new(clock: SimulatedClock, trip: Arc<Trip>) -> Self {
        let sending = Arc::new(Sending { clock, down: AtomicBool::new(false) });
        let weather: Arc<dyn Weather> = Arc::<Sending>::clone(&sending);
        Self { inner: MemoryQueue::new(QueueShape::default(), weather), sending, trip }
    }

    /// Takes all messages out, bells excepted.
    #[must_use]
    pub fn take(&self) -> Vec<Outgoing> {
        self.inner.drain()
    }

    /// Puts a message back in front.
    pub fn put_back(&self, message: Outgoing) {
        self.inner.put_back(message);
    }

    /// The bells that ring.
    #[must_use]
    pub fn bells(&self) -> Vec<Outgoing> {
        self.inner.dead()
    }

    /// True where nothing waits, bells excepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let work = Event::ALL.into_iter().map(QueueName::Work);
        work.chain([QueueName::PushSyncState]).all(|queue| self.inner.waiting(queue).is_empty())
    }

    /// There is no queue for an event.
    pub fn lacks(&self, event: Event) {
        self.inner.lacks(QueueName::Work(event));
    }

    /// There are queues for all events again.
    pub fn has_all(&self) {
        self.inner.has_all();
    }

    /// Sending fails from here on, or works again.
    pub fn fails(&self, down: bool) {
        self.sending.down.store(down, Ordering::SeqCst);
    }
}

#[async_trait]
impl Queue for TripQueue {
    async fn send(&self, message: &Outgoing) -> PortResult<()> {
        self.trip.through("queue.send", self.inner.send(message)).await
    }

    fn has(&self, queue: QueueName) -> bool {
        self.inner.has(queue)
    }

    async fn give_back(&self, queue: QueueName, receipt: &str, seconds: u32) -> PortResult<()> {
        self.inner.give_back(queue, receipt, seconds).await
    }
}

#[async_trait]
impl Bells for TripQueue {
    async fn depth(&self) -> PortResult<u64> {
        self.trip.through("bells.depth", self.inner.depth()).await
    }

    async fn receive(&self) -> PortResult<Vec<BellMessage>> {
        self.trip.through("bells.receive", Bells::receive(&self.inner)).await
    }

    async fn delete(&self, receipt: &str) -> PortResult<()> {
        self.trip.through("bells.delete", Bells::delete(&self.inner, receipt)).await
    }
}

/// A clock that only tests move; waiting moves it.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    now: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// A clock that stands at a moment, in milliseconds.
    #[must_use]
    pub fn standing_at(now_ms: i64) -> Self {
        Self { now: Arc::new(AtomicI64::new(now_ms)) }
    }

    /// Moves it on.
    pub fn advance(&self, milliseconds: i64) {
        self.now.fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// Moves it on to a moment, if that is later.
    pub fn advance_to(&self, moment: i64) {
        self.now.fetch_max(moment, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn now_ms(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        self.advance(i64::try_from(milliseconds).unwrap_or_default());
        tokio::task::yield_now().await;
    }
}

/// Chance that a seed decides.
#[derive(Debug)]
pub struct SeededChance {
    next: AtomicU64,
}

impl SeededChance {
    /// The chance of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { next: AtomicU64::new(seed) }
    }
}

impl Chance for SeededChance {
    fn uuid(&self) -> String {
        format!("{:08x}-0000-4000-8000-{:012x}", self.number() & 0xffff_ffff, self.number() & 0xffff_ffff_ffff)
    }

    fn number(&self) -> u64 {
        // SplitMix64.
        let mut value = self.next.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }
}
