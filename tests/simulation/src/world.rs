//! One world: shops, books, and Ledger between them, in simulated time.
//!
//! Everything happens one after another. What waits lies in [`Time`]; what is at work are [`Tasks`], one for each
//! invocation of a function. A seed decides everything: latencies, ties, faults, what the shops sell.

use crate::faults::{Fault, Faults, Scripted};
use crate::functions::{Came, Function, Given, Ground, Sandbox, Tray};
use crate::memory::{Fate, Index, MemoryQueue, MemoryStore, MemoryVault, QueueShape, Received, StoreCopy, Weather};
use crate::room::{Doom, Life, Room};
use crate::time::{Moment, Stands, Tasks, Time};
use crate::ways::AtOnce;
use crate::workload::{Act, Deed};
use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use futures::FutureExt as _;
use ledger_conformance::books::AnyBook;
use ledger_conformance::seed::Seed;
use ledger_engine::config::Timers;
use ledger_engine::connect::pairing::{NewPairing, Pairing};
use ledger_engine::domain::identity::Event;
use ledger_engine::domain::run::RunState;
use ledger_engine::edges;
use ledger_engine::operate::{NewBinding, NewTenant, Operate};
use ledger_engine::ports::{Chance, Clock, ConnectStore as _, Operations as _, QueueName};
use ledger_engine::tenants::{TenantMemory, access_token_context, client_secret_context, refresh_token_context};
use ledger_engine::wire::gateway::ProxyRequest;
use ledger_engine::wire::rows::{
    AgendaRow, AppHostsRow, AppRow, AttentionRow, BindingRow, PushRow, ROW_VERSION, RunRow, TokenRow, keys,
};
use ledger_world::accounting::{AccountingBook, AccountingOptions};
use ledger_world::book::{Book, BookOptions, FaultSpec, House};
use ledger_world::clock::Clock as WorldClock;
use ledger_world::identity::{AppSpec, Authority, Expiry, Whose};
use ledger_world::sage::{SageBook, SageOptions};
use ledger_world::server::{Answer, Request, percent_decoded};
use ledger_world::shop::{Delivery, OutboxStatus, Shop, ShopOptions};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where every world's time begins: a Monday morning, in milliseconds.
pub const MORNING_MS: i64 = 2_000_016_000_000;
/// The key that shop and Ledger share.
const API_KEY: &str = "byte8_lk_0123456789abcdef0123456789abcdef";
/// This stack's address, as shops know it.
const LEDGER_URL: &str = "https://ledger.example";
/// How we are known to providers.
const CLIENT_ID: &str = "ledger-app";
/// The app's secret.
const CLIENT_SECRET: &str = "ledger-app-secret";
/// What is asked for of Xero.
const XERO_SCOPES: [&str; 8] = [
    "offline_access",
    "openid",
    "profile",
    "email",
    "accounting.invoices",
    "accounting.payments",
    "accounting.contacts",
    "accounting.settings",
];
/// What is asked for of Sage.
const SAGE_SCOPES: [&str; 1] = ["full_access"];
/// The shop's cron runs that often, in milliseconds.
const CRON_MS: i64 = 60_000;
/// The sweeper does too.
const SWEEP_MS: i64 = 60_000;
/// A world that has not settled after this never will, in milliseconds (ten days).
const SETTLES_WITHIN_MS: i64 = 864_000_000;
/// How often people look for what is to be mended.
const MENDED_MAX: u32 = 4;
/// Steps after which a world that goes on never ends.
const STEPS_MAX: u32 = 400_000;

/// Of a body so many bytes are told, where requests are.
const TOLD_BYTES_MAX: usize = 600;

/// The API that a book speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spoken {
    /// Xero's `v2`.
    V2,
    /// Xero's public Accounting API.
    Accounting,
    /// Sage Accounting's.
    Sage,
    /// FreeAgent's.
    Freeagent,
}

impl Spoken {
    /// Every dialect.
    pub const ALL: [Self; 4] = [Self::V2, Self::Accounting, Self::Sage, Self::Freeagent];

    /// The provider's key.
    #[must_use]
    pub const fn provider(self) -> &'static str {
        match self {
            Self::V2 | Self::Accounting => "xero",
            Self::Freeagent => "freeagent",
            Self::Sage => "sage_accounting",
        }
    }

    /// The dialect's name.
    #[must_use]
    pub const fn dialect(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::Freeagent => "freeagent",
            Self::Accounting => "accounting",
            Self::Sage => "sage",
        }
    }

    /// The latest that a request of which nobody knows any more still arrives, in milliseconds after it was sent: within
    /// the time for which an absence is not believed.
    #[must_use]
    pub const fn latest_ms(self) -> u64 {
        match self {
            Self::V2 | Self::Freeagent => 570_000,
            Self::Accounting => 350_000,
            Self::Sage => 110_000,
        }
    }

    const fn authority(self) -> Authority {
        match self {
            Self::V2 => Authority::V2,
            Self::Accounting => Authority::Accounting,
            Self::Sage => Authority::Sage,
            Self::Freeagent => Authority::Freeagent,
        }
    }
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// An operation of the store, of a queue, of the vault.
    Store,
    /// Half of a request to a book.
    Book,
    /// Half of a request to a shop.
    Shop,
}

#[derive(Debug, Default)]
struct Ledgered {
    closed_until: Option<i64>,
    asked: Vec<i64>,
    limited: u32,
    writers: Vec<(i64, Option<i64>, String)>,
    token_lost: bool,
    revoked: bool,
}

/// A book with what was noticed of it.
#[derive(Debug)]
pub struct Volume {
    /// Its address.
    pub url: String,
    /// What it speaks.
    pub spoken: Spoken,
    /// The book.
    pub book: AnyBook,
    /// Its organisation's id.
    pub organisation: String,
    noted: Mutex<Ledgered>,
}

macro_rules! each {
    ($any:expr, $book:ident => $do:expr) => {
        match $any {
            AnyBook::Family($book) => $do,
            AnyBook::Accounting($book) => $do,
            AnyBook::Sage($book) => $do,
        }
    };
}

impl Volume {
    fn noted(&self) -> MutexGuard<'_, Ledgered> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a book. A forgetful one takes a number twice, where it isn't known that the real one does not: nothing but our
    /// own memory prevents a double then.
    fn open(spoken: Spoken, number: usize, clock: WorldClock, forgetful: bool) -> anyhow::Result<Self> {
        let url = format!("https://book-{number}.example");
        let (book, organisation) = match spoken {
            Spoken::V2 | Spoken::Freeagent => {
                let house = if spoken == Spoken::V2 { House::V2 } else { House::Freeagent };
                let options = BookOptions { clock, house, company_id: 1, ..BookOptions::default() }.with_real_limits();
                let book = Book::without_a_door(options, &url);
                book.sets(|switches| switches.unique_references = !forgetful);
                (AnyBook::Family(book), format!("company-{number}"))
            }
            Spoken::Accounting => {
                let options = AccountingOptions {
                    clock,
                    requests_per_minute: Some(AccountingOptions::REAL_MINUTE_LIMIT),
                    tenant: format!("7f3c9a52-1d04-4b7e-9c11-00000000000{number}"),
                    ..AccountingOptions::default()
                };
                let book = AccountingBook::without_a_door(options, &url);
                let organisation = book.tenant();
                (AnyBook::Accounting(book), organisation)
            }
            Spoken::Sage => {
                let options = SageOptions {
                    clock,
                    requests_per_minute: Some(200),
                    business: format!("5a6eb0515e550000000000000000010{number}"),
                    ..SageOptions::default()
                };
                let book = SageBook::without_a_door(options, &url);
                let organisation = book.business();
                (AnyBook::Sage(book), organisation)
            }
        };
        let app = AppSpec::confidential(CLIENT_ID, CLIENT_SECRET, "https://ledger.example/callback");
        each!(&book, book => book.registers_app(app))?;
        Ok(Self { url, spoken, book, organisation, noted: Mutex::default() })
    }

    /// A person lets us in: the tokens.
    #[must_use]
    pub fn lets_us_in(&self) -> serde_json::Value {
        let scopes: &[&str] = match self.spoken {
            Spoken::V2 | Spoken::Accounting => &XERO_SCOPES,
            Spoken::Sage => &SAGE_SCOPES,
            Spoken::Freeagent => &[],
        };
        each!(&self.book, book => book.lets_in(CLIENT_ID, scopes))
    }

    /// Whether a refresh token could be used.
    #[must_use]
    pub fn would_refresh(&self, token: &str) -> bool {
        each!(&self.book, book => book.would_refresh(token))
    }

    /// Sets a fault for the next request.
    pub fn faults(&self, fault: FaultSpec) {
        each!(&self.book, book => book.faults(fault));
    }

    /// The access tokens end before their time.
    pub fn access_ends(&self) {
        let expiry = Expiry { access: true, ..Expiry::default() };
        each!(&self.book, book => book.expires(&expiry));
    }

    /// The person takes back what was granted.
    pub fn is_revoked(&self) {
        self.noted().revoked = true;
        each!(&self.book, book => book.revokes_grants(&Whose::default()));
        if self.spoken == Spoken::Sage {
            self.access_ends();
        }
    }

    /// Whether a person took the grant back.
    #[must_use]
    pub fn was_revoked(&self) -> bool {
        self.noted().revoked
    }

    /// A reply of the token endpoint was lost.
    pub fn lost_a_token(&self) {
        self.noted().token_lost = true;
    }

    /// Whether one was.
    #[must_use]
    pub fn has_lost_a_token(&self) -> bool {
        self.noted().token_lost
    }

    /// Refuses everything until then, in milliseconds.
    pub fn closes_until(&self, until: i64) {
        self.noted().closed_until = Some(until);
    }

    /// Until when it refuses everything.
    #[must_use]
    pub fn closed_until(&self) -> Option<i64> {
        self.noted().closed_until
    }

    /// A request was answered by the book itself.
    pub fn was_asked(&self, now: i64, status: u16) {
        let mut noted = self.noted();
        noted.asked.push(now);
        if status == 429 {
            noted.limited = noted.limited.saturating_add(1);
        }
    }

    /// How often the book itself said that it was asked too often.
    #[must_use]
    pub fn limited(&self) -> u32 {
        self.noted().limited
    }

    /// A living function begins to write.
    pub fn writer_begins(&self, now: i64, who: &str) -> usize {
        let mut noted = self.noted();
        noted.writers.push((now, None, who.to_owned()));
        noted.writers.len().saturating_sub(1)
    }

    /// It has its answer, or has given up.
    pub fn writer_ends(&self, number: usize, now: i64) {
        if let Some(writer) = self.noted().writers.get_mut(number) {
            writer.1 = Some(now);
        }
    }

    /// Writers that were at it at once, where there were such.
    #[must_use]
    pub fn overlap(&self) -> Option<String> {
        let noted = self.noted();
        // Who was killed while writing has no end; the lease outlives it, so the next one begins later than that.
        let mut last: Option<&(i64, Option<i64>, String)> = None;
        for writer in &noted.writers {
            if let Some(before) = last
                && before.1.is_some_and(|end| writer.0 < end)
            {
                return Some(format!("{} wrote to the book while {} did", writer.2, before.2));
            }
            last = Some(writer);
        }
        None
    }

    /// Whether a request that writes makes something, rather than changing it.
    #[must_use]
    pub fn creates(&self, request: &Request) -> bool {
        let creating = if self.spoken == Spoken::Accounting { "PUT" } else { "POST" };
        request.method == creating
    }

    /// Whether a request makes a document with a total.
    #[must_use]
    pub fn makes_a_total(&self, request: &Request) -> bool {
        let path = request.path.as_str();
        match self.spoken {
            Spoken::V2 | Spoken::Freeagent => {
                request.method == "POST" && ["/v2/invoices", "/v2/credit_notes"].contains(&path)
            }
            Spoken::Accounting => {
                request.method == "PUT" && ["/api.xro/2.0/Invoices", "/api.xro/2.0/CreditNotes"].contains(&path)
            }
            Spoken::Sage => {
                request.method == "POST" && ["/v3.1/sales_invoices", "/v3.1/sales_credit_notes"].contains(&path)
            }
        }
    }
}

/// What is around every function.
pub struct Stage {
    /// Time.
    pub time: Time,
    /// What goes wrong.
    pub faults: Faults,
    /// The books.
    pub volumes: Vec<Arc<Volume>>,
    /// The shops.
    pub shops: Vec<Shop>,
    /// Whether the schedule has every request to a book or a shop in it.
    pub tells_requests: AtomicBool,
    chance: Mutex<Seed>,
    queues_moved: AtomicBool,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stage").field("time", &self.time).finish_non_exhaustive()
    }
}

impl Stage {
    /// Draws from chance.
    pub fn with_chance<T>(&self, draw: impl FnOnce(&mut Seed) -> T) -> T {
        draw(&mut self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn between(&self, least: i64, most: i64) -> i64 {
        let (least, most) = (u64::try_from(least).unwrap_or_default(), u64::try_from(most).unwrap_or_default());
        i64::try_from(self.with_chance(|chance| chance.between(least, most))).unwrap_or_default()
    }

    /// How long something takes, in milliseconds.
    #[must_use]
    pub fn latency(&self, of: Latency) -> i64 {
        match of {
            Latency::Store => self.between(2, 30),
            Latency::Book => self.between(60, 500),
            Latency::Shop => self.between(30, 300),
        }
    }

    /// A request was answered by a book or a shop.
    pub fn was_answered(&self, who: &str, request: &Request, answer: &Answer) {
        if self.tells_requests.load(Ordering::Relaxed) {
            let text = |body: &[u8]| String::from_utf8_lossy(body.get(..TOLD_BYTES_MAX).unwrap_or(body)).into_owned();
            let (method, path, query) = (&request.method, &request.path, &request.query);
            let (asked, told) = (text(&request.body), text(&answer.body));
            self.faults.note(&format!("{who}: {method} {path}?{query} {asked} -> {} {told}", answer.status));
        }
    }

    /// Something was sent or came back: queues are worth a look.
    pub fn queues_move(&self) {
        self.queues_moved.store(true, Ordering::Relaxed);
    }

    /// How long a write takes to reach an index, in milliseconds.
    #[must_use]
    pub fn index_lag(&self) -> i64 {
        if self.faults.strikes(Fault::IndexLagged, None, "an index") { self.between(500, 90_000) } else { 0 }
    }

    /// The book at an address.
    #[must_use]
    pub fn volume_at(&self, url: &str) -> Option<Arc<Volume>> {
        self.volumes.iter().find(|volume| url.starts_with(&volume.url)).cloned()
    }

    /// The shop at an address.
    #[must_use]
    pub fn shop_at(&self, url: &str) -> Option<Shop> {
        self.shops.iter().find(|shop| shop.url() == url).cloned()
    }
}

/// Fair weather at the world's own time: for whoever looks from outside.
struct Fair(Time);

#[async_trait]
impl Weather for Fair {
    fn now_ms(&self) -> i64 {
        self.0.now()
    }

    async fn before(&self, _: &'static str) -> Fate {
        Fate::Fair
    }

    fn index_lag_ms(&self, _: Index) -> i64 {
        0
    }
}

/// An operator: always there, never slow.
#[derive(Debug)]
struct Operator(Arc<Stage>);

#[async_trait]
impl Clock for Operator {
    fn now_ms(&self) -> i64 {
        self.0.time.now()
    }

    async fn sleep_ms(&self, _: u64) {}
}

impl Chance for Operator {
    fn uuid(&self) -> String {
        self.0.with_chance(|chance| {
            let (high, low) = (chance.number(), chance.number());
            format!("{:08x}-{:04x}-4000-8000-{:012x}", high >> 32, high & 0xffff, low >> 16)
        })
    }

    fn number(&self) -> u64 {
        self.0.with_chance(Seed::number)
    }
}

/// A binding with what belongs to it.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Number of the shop.
    pub shop: usize,
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// The book.
    pub volume: Arc<Volume>,
    /// What its numbers begin with.
    pub prefix: String,
    /// Accounts that the settings may name for income: two of them.
    pub income: [String; 2],
}

/// How a world is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// For each shop the books that it goes to, by number.
    pub shops: Vec<Vec<usize>>,
    /// The books.
    pub books: Vec<Spoken>,
    /// What the shops do, and when, in milliseconds after the beginning.
    pub deeds: Vec<(i64, Deed)>,
    /// Whether anything goes wrong by chance.
    pub faulty: bool,
    /// What goes wrong by plan, where nothing does by chance.
    pub script: Vec<Scripted>,
}

/// Something that comes to its turn.
#[derive(Clone, Debug)]
pub enum Turn {
    /// A shop's cron.
    Cron(usize),
    /// The next delivery of a shop's cron.
    Deliver(usize),
    /// The sweeper's schedule.
    Sweep,
    /// A hidden message is back.
    Look,
    /// Lambda looks into a queue.
    Poll(QueueName),
    /// Something is done.
    Do(usize),
    /// A function's time is up.
    TimesUp(u64),
    /// A copy of the tables is made.
    Copies,
    /// The tables go back to it.
    Restores,
}

/// Where a delivery comes from.
#[derive(Clone, Debug)]
enum Origin {
    Outbox(usize, i64, Box<Delivery>),
    Told(usize, Told),
}

/// Something that a shop told past its outbox: that keeps one row for all edits of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The binding.
    pub bound: usize,
    /// The event.
    pub event: &'static str,
    /// The entity.
    pub id: i64,
    /// When it was done, in seconds.
    pub at: i64,
}

/// The first invocation of a function after a moment.
#[derive(Clone, Debug)]
pub struct Knife {
    /// The function. A sweeper counts only if something is due.
    pub function: Function,
    /// The moment, in milliseconds.
    pub from: i64,
    /// What is to become of it.
    pub doom: Option<Doom>,
    /// Messages are lost until then.
    pub loses_messages: bool,
    /// The invocation, once there was one.
    pub life: Option<Arc<Life>>,
}

struct Invocation {
    sandbox: Arc<Sandbox>,
    life: Arc<Life>,
    tray: Tray,
    batch: Vec<Received>,
    origin: Option<Origin>,
    /// Whether it began when nothing went wrong any more.
    quiet: bool,
}

/// A world.
pub struct World {
    /// How it was made.
    pub plan: Plan,
    /// What is around.
    pub stage: Arc<Stage>,
    /// Stores, queues and vaults.
    pub ground: Ground,
    /// The bindings.
    pub bounds: Vec<Bound>,
    /// What the shops did.
    pub done: crate::workload::Done,
    /// What was logged as an error.
    pub ears: crate::ears::Ears,
    /// The invocation that is watched, and what is to become of it.
    pub knife: Option<Knife>,
    operator: Operator,
    tasks: Tasks,
    at_work: BTreeMap<u64, Invocation>,
    warm: BTreeMap<Function, Vec<Arc<Sandbox>>>,
    crons: BTreeMap<usize, VecDeque<i64>>,
    polls: BTreeSet<QueueName>,
    at_once: u64,
    batch: usize,
    copy: Option<(StoreCopy, i64)>,
    told: Vec<Told>,
    /// Since when nothing goes wrong, in milliseconds.
    quiet_since: Option<i64>,
    /// Runs that wait for a message which nobody has, although nothing went wrong.
    pub swallowed: BTreeSet<String>,
    looks_at: Option<i64>,
    quiet: bool,
    steps: u32,
}

const QUEUES: [QueueName; 6] = [
    QueueName::Work(Event::InvoiceCreated),
    QueueName::Work(Event::InvoicePaid),
    QueueName::Work(Event::CreditmemoCreated),
    QueueName::Work(Event::CustomerUpserted),
    QueueName::Work(Event::ProductUpserted),
    QueueName::PushSyncState,
];

/// Does at once what never waits.
fn now<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    future.now_or_never().context("somebody waited who never does")
}

impl World {
    /// A world as planned, paired and connected.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn new(plan: Plan) -> anyhow::Result<Self> {
        ledger_world::draws_identifiers_from(Some(plan.seed));
        let time = Time::beginning_at(MORNING_MS, plan.seed ^ 0x5eed);
        let seconds = |time: &Time| {
            let time = time.clone();
            WorldClock::from_function(move || time.now().div_euclid(1_000))
        };
        let home = plan.books.first().copied().context("a world without a book")?;
        let mut volumes = Vec::new();
        for (number, spoken) in plan.books.iter().enumerate() {
            volumes.push(Arc::new(Volume::open(*spoken, number, seconds(&time), plan.seed % 2 == 1)?));
        }
        let mut shops = Vec::new();
        for (number, books) in plan.shops.iter().enumerate() {
            let spoken = books.iter().filter_map(|book| plan.books.get(*book));
            let options = ShopOptions {
                clock: seconds(&time),
                providers: spoken.map(|spoken| spoken.provider().to_owned()).collect(),
                ..ShopOptions::default()
            };
            shops.push(Shop::without_a_door(options, &format!("https://shop-{number}.example"))?);
        }
        let faults = match plan.faulty {
            true => Faults::of(plan.seed ^ 0xfa17, time.clone(), home),
            false => Faults::scripted(time.clone(), home, &plan.script),
        };
        let mut chance = Seed::of(plan.seed);
        let (at_once, batch) = (chance.between(2, 4), if chance.happens(250) { 3 } else { 1 });
        let stage = Arc::new(Stage {
            time: time.clone(),
            faults,
            volumes,
            shops,
            tells_requests: AtomicBool::new(false),
            chance: Mutex::new(chance),
            queues_moved: AtomicBool::new(true),
        });
        let fair: Arc<dyn Weather> = Arc::new(Fair(time));
        let ground = Ground {
            store: MemoryStore::new(Arc::clone(&fair)),
            queue: MemoryQueue::new(QueueShape::default(), Arc::clone(&fair)),
            vault: MemoryVault::new(fair),
            timers: Timers { allow_private_addresses: true, ..Timers::default() },
        };
        let operator = Operator(Arc::clone(&stage));
        let mut world = Self {
            plan,
            stage,
            ground,
            bounds: Vec::new(),
            done: crate::workload::Done::default(),
            ears: crate::ears::Ears::default(),
            knife: None,
            operator,
            tasks: Tasks::default(),
            at_work: BTreeMap::new(),
            warm: BTreeMap::new(),
            crons: BTreeMap::new(),
            polls: BTreeSet::new(),
            at_once,
            batch,
            copy: None,
            told: Vec::new(),
            quiet_since: None,
            swallowed: BTreeSet::new(),
            looks_at: None,
            quiet: false,
            steps: 0,
        };
        world.connects()?;
        Ok(world)
    }

    fn now(&self) -> i64 {
        self.stage.time.now()
    }

    fn operate(&self) -> Operate<'_> {
        Operate {
            store: &self.ground.store,
            queue: &self.ground.queue,
            vault: &self.ground.vault,
            clock: &self.operator,
            chance: &self.operator,
            timers: &self.ground.timers,
        }
    }

    fn connects(&mut self) -> anyhow::Result<()> {
        for (number, books) in self.plan.shops.clone().iter().enumerate() {
            let shop = self.stage.shops.get(number).context("no shop")?.clone();
            let tenant = format!("tenant-{number}");
            let new =
                NewTenant { tenant: Some(tenant.clone()), shop_url: shop.url(), api_key: SecretString::from(API_KEY) };
            now(self.operate().add_tenant(&new))??;
            for book in books {
                let volume = self.stage.volumes.get(*book).context("no book")?.clone();
                self.binds(number, &tenant, volume)?;
            }
            shop.pair_directly(&tenant, API_KEY, LEDGER_URL);
        }
        // What is sold from here on is younger than every connection.
        self.stage.time.moves_to(MORNING_MS.saturating_add(2_000));
        Ok(())
    }

    fn binds(&mut self, shop: usize, tenant: &str, volume: Arc<Volume>) -> anyhow::Result<()> {
        let prefix = format!("S{shop}-");
        let (settings, income) = crate::workload::settings_for(&volume, &prefix);
        let new = NewBinding {
            tenant: tenant.to_owned(),
            provider: volume.spoken.provider().to_owned(),
            dialect: volume.spoken.dialect().to_owned(),
            base_url: volume.url.clone(),
            organisation: volume.organisation.clone(),
            web_name: None,
            token: SecretString::from("replaced at once"),
            settings,
        };
        let binding = now(self.operate().add_binding(&new))??.binding;
        let url = volume.url.clone();
        let authority = volume.spoken.authority();
        let app = AppRow {
            pk: keys::of_binding(&binding),
            sk: keys::APP.to_owned(),
            v: ROW_VERSION,
            provider: volume.spoken.provider().to_owned(),
            client_id: CLIENT_ID.to_owned(),
            secret: Some(self.ground.vault.sealed(CLIENT_SECRET, 1, &client_secret_context(&binding))?),
            version: 1,
            environment: "live".to_owned(),
            hosts: Some(AppHostsRow {
                authorize: format!("{url}{}", authority.authorize_path()),
                token: format!("{url}{}", authority.token_path()),
                revoke: None,
                api: url,
            }),
            updated_at: self.now(),
            ..AppRow::default()
        };
        ensure!(now(self.ground.store.put_app(None, &app))??, "there is an app already");
        let tenant = tenant.to_owned();
        self.bounds.push(Bound { shop, tenant, binding, volume, prefix, income });
        self.signs_in(self.bounds.len().saturating_sub(1))
    }

    /// A person connects a binding's book, again or for the first time.
    ///
    /// # Errors
    /// Where it can't be done.
    pub fn signs_in(&self, bound: usize) -> anyhow::Result<()> {
        let bound = self.bounds.get(bound).context("no binding")?;
        let tokens = bound.volume.lets_us_in();
        let text = |name: &str| tokens.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let binding = bound.binding.as_str();
        let before = now(self.ground.store.token(binding))??;
        let version = before.map_or(0, |row| row.version).saturating_add(1);
        let lasts = tokens.get("expires_in").and_then(serde_json::Value::as_i64).unwrap_or_default();
        let access = text("access_token").context("no access token")?;
        let refresh = text("refresh_token").context("no refresh token")?;
        let row = TokenRow {
            pk: keys::of_binding(binding),
            sk: keys::TOKEN.to_owned(),
            v: ROW_VERSION,
            access: self.ground.vault.sealed(&access, version, &access_token_context(binding))?,
            version,
            access_until: Some(self.now().saturating_add(lasts.saturating_mul(1_000))),
            refresh: Some(self.ground.vault.sealed(&refresh, version, &refresh_token_context(binding))?),
            refreshed_at: Some(self.now()),
            ..TokenRow::default()
        };
        now(self.ground.store.put_token(&row))??;
        let seen = self.binding_row(bound).context("no binding's row")?;
        if seen.status == "needs_reconnect" {
            let next = BindingRow { status: "active".to_owned(), ..seen.clone() };
            ensure!(now(self.ground.store.replace_binding(&seen, &next))??, "the binding changed meanwhile");
        }
        Ok(())
    }

    /// A binding's row.
    #[must_use]
    pub fn binding_row(&self, bound: &Bound) -> Option<BindingRow> {
        self.ground.store.peek(&keys::tenant(&bound.tenant), &keys::binding(&bound.binding))
    }

    /// Pauses a binding, or lets it go on.
    ///
    /// # Errors
    /// Where it can't be done.
    pub fn pauses(&self, bound: usize, paused: bool) -> anyhow::Result<()> {
        let bound = self.bounds.get(bound).context("no binding")?;
        if self.binding_row(bound).is_none_or(|row| (row.mode == "paused") == paused) {
            return Ok(());
        }
        now(self.operate().pause(&bound.tenant, &bound.binding, paused))??;
        Ok(())
    }

    /// A person pairs a shop anew, by the code that it shows: the second time of a module under another key.
    ///
    /// # Errors
    /// Where that is not even possible.
    pub fn pairs_anew(&mut self, shop: usize) -> anyhow::Result<()> {
        let of = self.stage.shops.get(shop).context("no shop")?.clone();
        let bound = self.bounds.iter().find(|bound| bound.shop == shop).context("no binding")?;
        let provider = bound.volume.spoken.provider();
        let code = SecretString::from(of.shows_pairing_code(provider));
        let (counter, memory, url) = (AtOnce(Arc::clone(&self.stage)), TenantMemory::default(), of.url());
        let pairing = Pairing {
            store: &self.ground.store,
            vault: &self.ground.vault,
            shop: &counter,
            clock: &self.operator,
            chance: &self.operator,
            memory: &memory,
        };
        let new = NewPairing {
            provider,
            magento_base_url: &url,
            pairing_code: &code,
            public_url: LEDGER_URL,
            operator: "a person",
            allowed_tenants: None,
        };
        let paired = now(pairing.connect(&new))??;
        ensure!(!paired.made_tenant, "the shop is another one now");
        self.stage.faults.note(&format!("paired; new key: {}, answers: {}", paired.made_key, paired.answers));
        let at = self.now();
        self.done.paired_anew.insert(shop, at);
        Ok(())
    }

    /// An operator tries a run again.
    ///
    /// # Errors
    /// Where it can't be done.
    pub fn retries(&self, run_id: &str) -> anyhow::Result<()> {
        now(self.operate().retry(run_id))??;
        self.stage.queues_move();
        Ok(())
    }

    /// Every run.
    #[must_use]
    pub fn runs(&self) -> Vec<Arc<RunRow>> {
        self.ground.store.all()
    }

    /// Bodies of what rings, or was received too often.
    #[must_use]
    pub fn bells(&self) -> Vec<String> {
        self.ground.queue.dead().into_iter().map(|it| it.body).collect()
    }

    /// Lives through the plan: the busy time with all that goes wrong, then quiet until everything has come to rest.
    ///
    /// # Errors
    /// Where it never comes to rest.
    pub fn lives(&mut self) -> anyhow::Result<()> {
        let began = self.now();
        let last = self.plan.deeds.iter().map(|(at, _)| *at).max().unwrap_or_default();
        for (number, (at, _)) in self.plan.deeds.clone().iter().enumerate() {
            self.stage.time.at(began.saturating_add(*at), Moment::Turn(Turn::Do(number)));
        }
        for shop in 0..self.stage.shops.len() {
            let first = self.stage.between(1_000, CRON_MS);
            self.stage.time.at(began.saturating_add(first), Moment::Turn(Turn::Cron(shop)));
        }
        self.stage.time.at(began.saturating_add(SWEEP_MS), Moment::Turn(Turn::Sweep));
        let busy = last.saturating_add(self.stage.between(300_000, 1_500_000));
        if self.stage.faults.chosen().contains(&Fault::Restored) {
            let copied = began.saturating_add(self.stage.between(60_000, busy.max(120_000)));
            self.stage.time.at(copied, Moment::Turn(Turn::Copies));
            let restored = copied.saturating_add(self.stage.between(30_000, 600_000));
            self.stage.time.at(restored, Moment::Turn(Turn::Restores));
        }
        self.runs_until(began.saturating_add(busy))?;
        self.stage.faults.ends();
        self.stage.faults.note("from here on nothing goes wrong");
        for shop in &self.stage.shops {
            // Somebody has set the shop's clock, and found its key.
            shop.finds_key();
            shop.clock().advance(shop.clock().offset().saturating_neg());
        }
        self.rests()?;
        // What was tried again may show that something else has to be mended: a grant that nobody had used since it was
        // taken back, for one.
        for _ in 0..MENDED_MAX {
            if !self.is_mended()? {
                break;
            }
            self.rests()?;
        }
        Ok(())
    }

    /// What people do once the trouble is over: books are connected again, bindings go on, dead letters are tried again.
    /// True where there was anything to do.
    fn is_mended(&mut self) -> anyhow::Result<bool> {
        let mut mended = false;
        for (number, bound) in self.bounds.clone().iter().enumerate() {
            let row = self.binding_row(bound).context("no binding")?;
            if row.mode == "paused" {
                self.pauses(number, false)?;
                mended = true;
            }
            if row.status == "needs_reconnect" {
                mended = true;
                self.done.reconnected.insert(bound.binding.clone());
                self.signs_in(number)?;
            }
        }
        for run in self.runs() {
            if edges::state(&run) == RunState::DeadLettered && !self.done.dead.contains_key(&run.run_id) {
                mended = true;
                self.done.dead.insert(run.run_id.clone(), run.code.clone().unwrap_or_default());
                self.stage.faults.note(&format!("an operator tries {} again ({:?})", run.run_id, run.code));
                self.retries(&run.run_id)?;
            }
        }
        Ok(mended)
    }

    /// Goes on until a moment.
    fn runs_until(&mut self, until: i64) -> anyhow::Result<()> {
        loop {
            while let Some(task) = self.tasks.next_ready() {
                if let Some(stands) = self.tasks.goes_on(task)
                    && stands != Stands::Waits
                {
                    self.ended(task, stands)?;
                }
            }
            self.looks_into_queues();
            match self.stage.time.next_before(until) {
                None => return Ok(()),
                Some(Moment::Wakes(waker)) => waker.wake(),
                Some(Moment::Arrives(arrives)) => arrives(),
                Some(Moment::Turn(turn)) => self.turns(turn)?,
            }
            self.steps = self.steps.saturating_add(1);
            if self.steps > STEPS_MAX {
                bail!("the world never ends");
            }
        }
    }

    /// Goes on until nothing happens any more.
    ///
    /// # Errors
    /// Where something never comes to rest.
    pub fn rests(&mut self) -> anyhow::Result<()> {
        self.quiet = true;
        let began = self.now();
        // What went wrong before may still keep a group locked for as long as a message is hidden.
        for (shop, told) in std::mem::take(&mut self.done.to_tell) {
            self.tells(shop, told);
        }
        self.quiet_since.get_or_insert(began.saturating_add(QueueShape::default().visibility_ms));
        let mut sweeps = 0_u32;
        loop {
            // Whoever is at work comes to an end, and what they sent is worked off.
            while !self.tasks.is_empty() || self.is_something_queued() {
                self.stage.queues_move();
                self.looks_into_queues();
                let next = self.stage.time.next_at().unwrap_or(i64::MAX).min(self.wakes_at());
                if next == i64::MAX {
                    bail!("somebody waits for nothing");
                }
                self.runs_until(next.saturating_add(1))?;
                self.stage.time.moves_to(next);
            }
            let Some(next) = self.next_due(sweeps) else { return Ok(()) };
            if next.saturating_sub(began) > SETTLES_WITHIN_MS {
                bail!("it does not come to rest: {}", self.restless());
            }
            // On the minute, as the schedule has it.
            let minute = next.max(self.now()).div_euclid(SWEEP_MS).saturating_add(1).saturating_mul(SWEEP_MS);
            self.runs_until(minute)?;
            self.stage.time.moves_to(minute);
            for shop in 0..self.stage.shops.len() {
                self.turns(Turn::Cron(shop))?;
            }
            self.notices_what_is_swallowed();
            self.invokes(Function::Sweeper, Given::Nothing, None, "sweeper".to_owned(), None);
            sweeps = sweeps.saturating_add(1);
        }
    }

    /// A run that was sent in quiet times is taken at once, if its message is anywhere.
    fn notices_what_is_swallowed(&mut self) {
        let now = self.now();
        let Some(since) = self.quiet_since else { return };
        for run in self.runs() {
            let stalled = edges::state(&run) == RunState::Queued
                && run.updated_at > since
                && run.due_at.is_some_and(|due| due <= now);
            if stalled {
                self.swallowed.insert(format!("{} {} ({})", run.event, run.magento_id, run.run_id));
            }
        }
    }

    fn is_something_queued(&self) -> bool {
        QUEUES.iter().any(|queue| self.ground.queue.is_waiting(*queue))
            || self.crons.values().any(|rows| !rows.is_empty())
    }

    fn wakes_at(&self) -> i64 {
        self.ground.queue.next_visible_at().unwrap_or(i64::MAX)
    }

    /// When something is due next that only the schedule brings about.
    fn next_due(&self, sweeps: u32) -> Option<i64> {
        let mut next: Option<i64> = (sweeps < 2).then(|| self.now());
        let mut at = |moment: i64| next = Some(next.map_or(moment, |next| next.min(moment)));
        for run in self.runs() {
            match edges::state(&run) {
                RunState::Queued | RunState::Running | RunState::Waiting => at(run.due_at.unwrap_or(i64::MAX)),
                // Its bell comes again in days.
                RunState::DeadLettered => {
                    if let Some(due) = run.due_at.filter(|due| *due <= self.now()) {
                        at(due);
                    }
                }
                RunState::Held => {
                    if let Some(due) = run.due_at {
                        at(due);
                    }
                }
                RunState::Succeeded | RunState::Skipped => {}
            }
        }
        for push in self.ground.store.all::<PushRow>() {
            if let Some(due) = push.due_at {
                at(due);
            }
        }
        for shop in &self.stage.shops {
            for row in shop.outbox().iter().filter(|row| row.status == OutboxStatus::Pending) {
                at(row.next_attempt_at.unwrap_or_default().saturating_mul(1_000));
            }
        }
        if !self.ground.store.all::<AttentionRow>().is_empty() {
            at(self.now());
        }
        next
    }

    fn restless(&self) -> String {
        let runs = self.runs();
        let mut lines: Vec<String> = runs
            .iter()
            .filter(|run| !matches!(edges::state(run), RunState::Succeeded | RunState::Skipped))
            .map(|run| format!("{} {} {} {:?} {:?}", run.event, run.magento_id, run.state, run.code, run.message))
            .collect();
        lines.extend(
            self.ground.store.all::<PushRow>().iter().filter(|push| push.due_at.is_some()).map(|it| format!("{it:?}")),
        );
        for shop in &self.stage.shops {
            lines.extend(
                shop.outbox().iter().filter(|row| row.status == OutboxStatus::Pending).map(|row| format!("{row:?}")),
            );
        }
        lines.extend(self.ground.store.all::<AttentionRow>().iter().map(|it| format!("{it:?}")));
        lines.join("\n")
    }

    /// Has Lambda look into queues that have something for it.
    fn looks_into_queues(&mut self) {
        if !self.stage.queues_moved.swap(false, Ordering::Relaxed) {
            return;
        }
        if let Some(back) = self.ground.queue.next_visible_at()
            && self.looks_at.is_none_or(|at| back < at || at <= self.now())
        {
            self.looks_at = Some(back);
            self.stage.time.at(back, Moment::Turn(Turn::Look));
        }
        for queue in QUEUES {
            if self.polls.contains(&queue) || !self.ground.queue.is_ready(queue) {
                continue;
            }
            if self.working(queue) >= self.at_once {
                continue;
            }
            let mut wait = self.stage.between(20, 400);
            if !self.quiet && self.stage.faults.strikes(Fault::Reordered, None, "a queue waits") {
                wait = self.stage.between(5_000, 240_000);
            }
            self.polls.insert(queue);
            self.stage.time.at(self.now().saturating_add(wait), Moment::Turn(Turn::Poll(queue)));
        }
    }

    fn working(&self, queue: QueueName) -> u64 {
        let function = function_of(queue);
        let count = self.at_work.values().filter(|it| it.sandbox.function == function).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    fn turns(&mut self, turn: Turn) -> anyhow::Result<()> {
        self.stage.queues_move();
        match turn {
            Turn::Look => {}
            Turn::Cron(shop) => {
                if !self.quiet {
                    self.stage.time.at(self.now().saturating_add(CRON_MS), Moment::Turn(Turn::Cron(shop)));
                }
                if self.crons.get(&shop).is_some_and(|rows| !rows.is_empty()) {
                    return Ok(());
                }
                let due = self.stage.shops.get(shop).map(Shop::due).unwrap_or_default();
                if !due.is_empty() {
                    self.crons.insert(shop, due.into());
                    self.turns(Turn::Deliver(shop))?;
                }
            }
            Turn::Deliver(shop) => self.delivers(shop)?,
            Turn::Sweep => self.sweeps(),
            Turn::Poll(queue) => {
                self.polls.remove(&queue);
                self.polled(queue);
            }
            Turn::Do(number) => {
                if let Some((_, deed)) = self.plan.deeds.get(number).cloned() {
                    self.does(&deed)?;
                }
            }
            Turn::TimesUp(task) => {
                if let Some(invocation) = self.at_work.get(&task) {
                    self.stage.faults.timed_out(&invocation.life);
                    self.tasks.kills(task);
                    self.ended(task, Stands::Killed)?;
                }
            }
            Turn::Copies => self.copy = Some((self.ground.store.copy(), self.now())),
            Turn::Restores => self.restores()?,
        }
        Ok(())
    }

    fn all_die(&mut self) {
        for (task, invocation) in std::mem::take(&mut self.at_work) {
            self.tasks.kills(task);
            if let Some(Origin::Told(shop, told)) = invocation.origin {
                self.tells_again(shop, told);
            }
        }
        self.warm.clear();
        self.crons.clear();
    }

    fn restores(&mut self) -> anyhow::Result<()> {
        let Some((copy, copied_at)) = self.copy.take() else { return Ok(()) };
        if self.quiet {
            return Ok(());
        }
        let age = self.now().saturating_sub(copied_at).div_euclid(1_000);
        self.stage.faults.struck_now(Fault::Restored, &format!("{age} s old"));
        self.all_die();
        // Nothing runs while the tables are being restored, and that takes its time.
        let back = self.now().saturating_add(self.stage.between(900_000, 3_600_000));
        while let Some(moment) = self.stage.time.next_before(back) {
            match moment {
                Moment::Arrives(arrives) => arrives(),
                Moment::Wakes(_) => {}
                Moment::Turn(Turn::Do(number)) => {
                    if let Some((_, deed)) = self.plan.deeds.get(number).cloned() {
                        self.does(&deed)?;
                    }
                }
                Moment::Turn(Turn::Cron(shop)) => {
                    self.stage.time.at(back.saturating_add(1_000), Moment::Turn(Turn::Cron(shop)));
                }
                Moment::Turn(Turn::Sweep) => self.stage.time.at(back, Moment::Turn(Turn::Sweep)),
                Moment::Turn(_) => {}
            }
        }
        self.polls.clear();
        self.stage.time.moves_to(back);
        self.ground.store.restore(&copy);
        self.ground.queue.purge();
        self.ground.timers.restored_at = Some(self.now());
        // The restored grants may be older than the providers' own: each book is connected again.
        for number in 0..self.bounds.len() {
            let bound = self.bounds.get(number).context("no binding")?;
            self.done.reconnected.insert(bound.binding.clone());
            self.signs_in(number)?;
        }
        // So may be the shops' keys: each shop is paired again.
        for shop in self.done.paired_anew.clone().into_keys() {
            self.pairs_anew(shop)?;
        }
        // What was told since the copy is told again.
        for (number, shop) in self.stage.shops.iter().enumerate() {
            for row in shop.outbox() {
                let since = copied_at.div_euclid(1_000).saturating_sub(600);
                if row.created_at >= since || row.last_attempt_at.is_some_and(|at| at >= since) {
                    shop.requeues(row.entity_id)?;
                }
            }
            let since = copied_at.div_euclid(1_000).saturating_sub(600);
            for told in self.told.clone().into_iter().filter(|told| told.at >= since) {
                if self.bounds.get(told.bound).is_some_and(|bound| bound.shop == number) {
                    self.stage.faults.note(&format!("{} {} is told again", told.event, told.id));
                    self.done.to_tell.push((number, told));
                }
            }
        }
        Ok(())
    }

    fn sweeps(&mut self) {
        if self.quiet {
            return;
        }
        self.stage.time.at(self.now().saturating_add(SWEEP_MS), Moment::Turn(Turn::Sweep));
        let retold = std::mem::take(&mut self.done.to_tell);
        for (shop, told) in retold {
            self.tells(shop, told);
        }
        if self.stage.faults.strikes(Fault::ClockJumped, None, "a clock") {
            self.jumps();
        }
        if !self.is_something_to_sweep() && self.stage.between(0, 7) > 0 {
            return;
        }
        let overlaps = self.stage.faults.strikes(Fault::SweeperOverlapped, None, "two sweeps");
        for _ in 0..=u8::from(overlaps) {
            let doom = match self.stage.faults.is_to_strike(Fault::SweeperDied) {
                true => Doom { dies_at: Some(self.drawn(150)), ..Doom::default() },
                false => Doom::default(),
            };
            self.invokes(Function::Sweeper, Given::Nothing, None, "sweeper".to_owned(), Some(doom));
        }
    }

    /// A shop's clock jumps, as far as clocks may differ; or everything stands still for hours.
    fn jumps(&mut self) {
        let shop = self.stage.between(0, i64::try_from(self.stage.shops.len()).unwrap_or(1).saturating_sub(1));
        match (self.stage.between(0, 2), self.stage.shops.get(usize::try_from(shop).unwrap_or_default())) {
            (0, _) | (_, None) => {
                let stands = self.stage.between(600_000, 28_800_000);
                self.stage.faults.note(&format!("everything stands still for {} s", stands.div_euclid(1_000)));
                self.all_die();
                self.stage.time.moves_to(self.now().saturating_add(stands));
            }
            (side, Some(shop)) => {
                let by = self.stage.between(5, 280);
                let wished = if side == 1 { by } else { by.saturating_neg() };
                shop.clock().advance(wished.saturating_sub(shop.clock().offset()));
                self.stage.faults.note(&format!("the shop's clock is {wished} s from the true time"));
            }
        }
    }

    fn is_something_to_sweep(&self) -> bool {
        let now = self.now();
        let runs = self.runs();
        let due = |at: Option<i64>| at.is_some_and(|at| at <= now);
        runs.iter().any(|run| due(run.due_at) || edges::state(run) == RunState::Held)
            || self.ground.store.all::<PushRow>().iter().any(|push| due(push.due_at))
            || !self.ground.store.all::<AttentionRow>().is_empty()
            || self.ground.store.all::<AgendaRow>().iter().any(|row| row.sk.as_str() <= format!("{now:013}").as_str())
            || self.ground.queue.dead().len() != runs.iter().filter(|run| run.state == "dead_lettered").count()
    }

    fn drawn(&self, most: u64) -> u32 {
        u32::try_from(self.stage.faults.between(0, most)).unwrap_or_default()
    }

    fn polled(&mut self, queue: QueueName) {
        let mut groups = self.ground.queue.groups(queue);
        if groups.len() > 1 && self.stage.between(0, 3) == 0 {
            let by = self.stage.between(1, i64::try_from(groups.len()).unwrap_or(1).saturating_sub(1).max(1));
            let by = usize::try_from(by).unwrap_or_default().min(groups.len());
            groups.rotate_left(by);
        }
        let received = self.ground.queue.receive_of(queue, &groups, self.batch);
        if received.is_empty() {
            return;
        }
        let lost =
            self.knife.as_ref().is_some_and(|it| it.loses_messages && it.life.is_none() && it.from <= self.now());
        if lost {
            self.ground.queue.finish(&received, &[]);
            return;
        }
        let spoken = received.first().and_then(|it| self.spoken_of(&it.message.group));
        let function = function_of(queue);
        let twice = !self.quiet && self.stage.faults.strikes(Fault::TwoAtOnce, spoken, &function.name());
        for _ in 0..=u8::from(twice) {
            let name = format!("{} on {}", function.name(), received.first().map_or("", |it| it.message.body.as_str()));
            self.invokes(function, Given::Messages(received.clone()), None, name, None);
        }
    }

    /// The dialect of a group's book: a group is a book, or a tenant with a provider and an entity.
    fn spoken_of(&self, group: &str) -> Option<Spoken> {
        let of = |bound: &&Bound| {
            let book = format!("{}:{}", bound.volume.spoken.provider(), bound.volume.organisation);
            let pushes = format!("{}#{}", bound.tenant, bound.volume.spoken.provider());
            group == book || group.starts_with(&pushes) || group.starts_with(&pushes.replace('#', "/"))
        };
        self.bounds.iter().find(of).map(|bound| bound.volume.spoken)
    }

    fn invokes(&mut self, function: Function, given: Given, origin: Option<Origin>, name: String, doom: Option<Doom>) {
        let spoken = match &given {
            Given::Messages(batch) => batch.first().and_then(|it| self.spoken_of(&it.message.group)),
            Given::Request(_) | Given::Nothing => None,
        };
        let cut = self.is_under_the_knife(function);
        let doom = match doom {
            _ if cut => self.knife.as_ref().and_then(|knife| knife.doom).unwrap_or_default(),
            Some(doom) => doom,
            None if self.stage.faults.is_to_strike(Fault::Killed) => {
                let most = if function == Function::Webhook { 7 } else { 40 };
                Doom { dies_at: Some(self.drawn(most)), ..Doom::default() }
            }
            None if self.stage.faults.is_to_strike(Fault::Frozen) => {
                let milliseconds = i64::try_from(self.stage.faults.between(1_000, 70_000)).unwrap_or_default();
                Doom { freezes_at: Some((self.drawn(30), milliseconds)), ..Doom::default() }
            }
            None => Doom::default(),
        };
        let life = Arc::new(Life::of(name, spoken, doom));
        if let Some(knife) = self.knife.as_mut().filter(|_| cut) {
            knife.life = Some(Arc::clone(&life));
        }
        let sandbox = match self.warm.get_mut(&function).and_then(Vec::pop) {
            Some(warm) => warm,
            None => {
                let skew = self.stage.between(0, 3_000).saturating_sub(1_500);
                Arc::new(Sandbox::cold(function, Room::new(Arc::clone(&self.stage), skew), &self.ground))
            }
        };
        let tray: Tray = Arc::default();
        let batch = match &given {
            Given::Messages(batch) => batch.clone(),
            Given::Request(_) | Given::Nothing => Vec::new(),
        };
        let future = Arc::clone(&sandbox).invoked(Arc::clone(&life), given, Arc::clone(&tray));
        let task = self.tasks.begins(future, Arc::clone(&life));
        let times_up = self.now().saturating_add(function.timeout_ms());
        self.stage.time.at(times_up, Moment::Turn(Turn::TimesUp(task)));
        self.at_work.insert(task, Invocation { sandbox, life, tray, batch, origin, quiet: self.quiet });
    }

    fn is_under_the_knife(&self, function: Function) -> bool {
        let now = self.now();
        let due = || self.runs().iter().any(|run| run.due_at.is_some_and(|due| due <= now));
        self.knife.as_ref().is_some_and(|knife| knife.life.is_none() && knife.function == function && knife.from <= now)
            && (function != Function::Sweeper || due())
    }

    /// The port calls of the invocation that was watched.
    #[must_use]
    pub fn calls_under_the_knife(&self) -> Vec<&'static str> {
        self.knife.as_ref().and_then(|knife| knife.life.as_ref()).map(|life| life.calls()).unwrap_or_default()
    }

    /// The boundary at which the invocation that was watched died.
    #[must_use]
    pub fn death_under_the_knife(&self) -> Option<u32> {
        self.knife.as_ref().and_then(|knife| knife.life.as_ref()).and_then(|life| life.died_at())
    }

    fn ended(&mut self, task: u64, stands: Stands) -> anyhow::Result<()> {
        let Some(invocation) = self.at_work.remove(&task) else { return Ok(()) };
        self.stage.queues_move();
        let function = invocation.sandbox.function;
        let came = match stands {
            Stands::Killed => Came::default(),
            Stands::Ended | Stands::Waits => {
                let came = std::mem::take(&mut *invocation.tray.lock().unwrap_or_else(PoisonError::into_inner));
                self.warm.entry(function).or_default().push(Arc::clone(&invocation.sandbox));
                came
            }
        };
        if let Some(failures) = &came.failures {
            let failed: Vec<String> =
                failures.batch_item_failures.iter().map(|it| it.item_identifier.clone()).collect();
            let again = !self.quiet
                && self.stage.faults.strikes(Fault::Redelivered, invocation.life.spoken, &invocation.life.name);
            if !again {
                ensure!(
                    self.ground.queue.finish(&invocation.batch, &failed),
                    "a failure names no message of the batch"
                );
            }
        }
        if let Some(report) = &came.report {
            ensure!(!invocation.quiet || report.failures == 0, "a quiet sweep failed: {report:?}");
        }
        match invocation.origin {
            None => Ok(()),
            Some(origin) => {
                // A function that was killed is the gateway's 502.
                let answer = came.response.map_or((502, String::new()), |answer| (answer.status_code, answer.body));
                self.answered(origin, answer)
            }
        }
    }

    fn answered(&mut self, origin: Origin, answer: (u16, String)) -> anyhow::Result<()> {
        let lost = !self.quiet && self.stage.faults.strikes(Fault::DeliveryReplyLost, None, "a delivery");
        match origin {
            Origin::Outbox(shop, row, delivery) => {
                let came = if lost { Err("Operation timed out".to_owned()) } else { Ok(answer) };
                let of = self.stage.shops.get(shop).context("no shop")?;
                of.notes(row, &delivery, came)?;
                let next = self.now().saturating_add(self.stage.between(5, 100));
                self.stage.time.at(next, Moment::Turn(Turn::Deliver(shop)));
            }
            Origin::Told(shop, told) => {
                if lost || answer.0 != 202 {
                    ensure!(lost || answer.0 >= 500, "the shop is told {} {}", answer.0, answer.1);
                    self.tells_again(shop, told);
                }
            }
        }
        Ok(())
    }

    fn tells_again(&mut self, shop: usize, told: Told) {
        self.done.to_tell.push((shop, told));
        if self.quiet {
            let again = std::mem::take(&mut self.done.to_tell);
            for (shop, told) in again {
                self.tells(shop, told);
            }
        }
    }

    fn delivers(&mut self, shop: usize) -> anyhow::Result<()> {
        let of = self.stage.shops.get(shop).context("no shop")?.clone();
        let Some(row) = self.crons.get_mut(&shop).and_then(VecDeque::pop_front) else { return Ok(()) };
        let Ok(delivery) = of.delivery(row) else { return self.delivers(shop) };
        let request = proxied(&delivery)?;
        let name = format!("webhook for {}", delivery.url.rsplit('/').next().unwrap_or_default());
        let origin = Origin::Outbox(shop, row, Box::new(delivery));
        self.invokes(Function::Webhook, Given::Request(Box::new(request)), Some(origin), name, None);
        Ok(())
    }

    /// A shop tells of something now, past its outbox.
    pub fn tells(&mut self, shop: usize, told: Told) {
        let (Some(of), Some(bound)) = (self.stage.shops.get(shop).cloned(), self.bounds.get(told.bound).cloned())
        else {
            return;
        };
        // Without its key a shop tells nothing: it does once it has it again.
        let Ok(token) = of.signs(0) else {
            self.done.to_tell.push((shop, told));
            return;
        };
        let Ok(moment) = jiff::Timestamp::from_second(told.at) else { return };
        let body = serde_json::json!({
            "magento_entity_id": told.id, "website_id": 1, "store_id": 1, "occurred_at": moment.to_string(), "payload": {},
        });
        let delivery = Delivery {
            url: format!(
                "https://ledger.example/webhooks/magento/{}/{}?provider={}",
                bound.tenant,
                told.event,
                bound.volume.spoken.provider()
            ),
            headers: vec![
                ("Authorization".to_owned(), format!("Bearer {token}")),
                ("Content-Type".to_owned(), "application/json".to_owned()),
                ("Idempotency-Key".to_owned(), format!("{}:{}", told.event, told.id)),
            ],
            body: body.to_string(),
        };
        let Ok(request) = proxied(&delivery) else { return };
        let name = format!("webhook for {}", told.event);
        self.invokes(Function::Webhook, Given::Request(Box::new(request)), Some(Origin::Told(shop, told)), name, None);
    }

    fn does(&mut self, deed: &Deed) -> anyhow::Result<()> {
        let acts = crate::workload::does(self, deed)?;
        for act in acts {
            match act {
                Act::Tells(shop, mut told) => {
                    // Two edits of one second are told in the same words, and nothing can tell them from one delivery that
                    // comes twice: not promised. Here each has a second of its own.
                    while self.told.contains(&told) {
                        told.at = told.at.saturating_add(1);
                    }
                    self.told.push(told.clone());
                    self.tells(shop, told);
                }
            }
        }
        Ok(())
    }
}

fn function_of(queue: QueueName) -> Function {
    match queue {
        QueueName::Work(event) => Function::Worker(event),
        QueueName::PushSyncState | QueueName::DeadLetter => Function::Push,
    }
}

/// A delivery as API Gateway hands it over.
fn proxied(delivery: &Delivery) -> anyhow::Result<ProxyRequest> {
    let (path, query) = delivery.url.split_once('?').unwrap_or((delivery.url.as_str(), ""));
    let mut segments = path.rsplit('/');
    let event = segments.next().context("no event")?;
    let tenant = segments.next().context("no tenant")?;
    let some = |name: &str, value: &str| (name.to_owned(), Some(percent_decoded(value)));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Ok(ProxyRequest {
        http_method: "POST".to_owned(),
        path_parameters: Some([some("tenant", tenant), some("event", event)].into()),
        query_string_parameters: Some(query.map(|(name, value)| some(name, value)).collect()),
        headers: Some(delivery.headers.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect()),
        body: Some(delivery.body.clone()),
        is_base64_encoded: false,
    })
}
