//! A shop, a book, and Ledger between them.

use crate::ports::{
    SeededChance, SimulatedClock, TripAuthorities, TripBook, TripQueue, TripShop, TripStore, TripVault,
};
use crate::stack;
use crate::trip::Trip;
use anyhow::{Context, bail, ensure};
use aws_sdk_dynamodb::types::{BillingMode, GlobalSecondaryIndex};
use ledger_aws::{Aws, Config};
use ledger_conformance::books::AnyBook;
use ledger_engine::config::Timers;
use ledger_engine::domain::run::RunState;
use ledger_engine::edges;
use ledger_engine::ingest::Ingest;
use ledger_engine::operate::{NewBinding, NewTenant, Operate};
use ledger_engine::ports::{Clock, Outgoing, QueueName};
use ledger_engine::post::{Disposition, Post, Received};
use ledger_engine::push::Push;
use ledger_engine::sweep::{Report, Sweep};
use ledger_engine::tally::Tally;
use ledger_engine::tenants::TenantMemory;
use ledger_engine::wire::gateway::{ProxyRequest, ProxyResponse};
use ledger_engine::wire::message::{PushMessage, RunMessage};
use ledger_engine::wire::rows::{BindingRow, PushRow, RunRow, ShopAddressRow, TenantRow};
use ledger_engine::wire::settings::{SettingsV1, TaxRuleV1};
use ledger_http::{Http, HttpConfig};
use ledger_world::accounting::{AccountingBook, AccountingOptions};
use ledger_world::book::{Book, BookOptions, House};
use ledger_world::clock::Clock as WorldClock;
use ledger_world::sage::{SageBook, SageOptions, bank_account, ledger_account};
use ledger_world::shop::{ClientVersion, Shop, ShopOptions};
use ledger_world::statement::Statement;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where every world's clock starts: a morning far enough away that no table's TTL removes anything.
pub const MORNING_MS: i64 = 2_000_016_000_000;
/// What a function's invocation may take, in milliseconds.
const FUNCTION_MS: i64 = 60_000;
/// Rounds after which a world that has not settled never will.
const ROUNDS_MAX: u32 = 120;
/// The key that shop and ledger share.
pub const API_KEY: &str = "byte8_lk_0123456789abcdef0123456789abcdef";
/// The book's token.
pub const BOOK_TOKEN: &str = "book-token";

static WORLDS: AtomicU64 = AtomicU64::new(1);

/// Everything that a process of Ledger holds.
pub struct Ledger {
    /// The store.
    pub store: TripStore,
    /// The vault.
    pub vault: TripVault,
    /// The queues.
    pub queue: TripQueue,
    /// The way to the shop.
    pub to_shop: TripShop,
    /// The way to the book.
    pub to_book: TripBook,
    /// The way to providers' OAuth addresses.
    pub to_authorities: TripAuthorities,
    /// Time.
    pub clock: SimulatedClock,
    /// Chance.
    pub chance: SeededChance,
    /// Timers.
    pub timers: Timers,
    /// The tripwire.
    pub trip: Arc<Trip>,
    memory: Mutex<Arc<TenantMemory>>,
}

impl Ledger {
    /// What the process remembers of tenants.
    #[must_use]
    pub fn memory(&self) -> Arc<TenantMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process dies: what it remembered is gone.
    pub fn forgets(&self) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// Takes a delivery; `None` where the process was killed meanwhile.
    pub async fn takes(&self, request: &ProxyRequest) -> Option<ProxyResponse> {
        let memory = self.memory();
        let ingest = Ingest {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            clock: &self.clock,
            chance: &self.chance,
            memory: &memory,
            timers: &self.timers,
        };
        let answer = self.trip.lives(ingest.proxied(request)).await;
        if answer.is_none() {
            self.forgets();
        }
        answer
    }

    /// Makes an attempt; `None` where the process was killed meanwhile.
    pub async fn attempts(&self, message: &RunMessage, group: &str, receive_count: u32) -> Option<Disposition> {
        let memory = self.memory();
        let post = Post {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            shop: &self.to_shop,
            book: &self.to_book,
            authorities: &self.to_authorities,
            clock: &self.clock,
            chance: &self.chance,
            memory: &memory,
            timers: &self.timers,
            tally: &Tally::default(),
        };
        let received =
            Received { message, book: group, receive_count, deadline: self.clock.now_ms().saturating_add(FUNCTION_MS) };
        let done = self.trip.lives(post.attempt(&received)).await;
        if done.is_none() {
            self.forgets();
        }
        done
    }

    /// Pushes a chip; `None` where the process was killed meanwhile.
    pub async fn pushes(&self, message: &PushMessage) -> Option<Disposition> {
        let memory = self.memory();
        let push = Push {
            store: &self.store,
            vault: &self.vault,
            shop: &self.to_shop,
            clock: &self.clock,
            chance: &self.chance,
            memory: &memory,
            timers: &self.timers,
        };
        let done = self.trip.lives(push.push(message)).await;
        if done.is_none() {
            self.forgets();
        }
        done
    }

    /// Sweeps; `None` where the process was killed meanwhile.
    pub async fn sweeps(&self) -> Option<Report> {
        let memory = self.memory();
        let sweep = Sweep {
            store: &self.store,
            queue: &self.queue,
            bells: &self.queue,
            vault: &self.vault,
            shop: &self.to_shop,
            authorities: &self.to_authorities,
            clock: &self.clock,
            chance: &self.chance,
            memory: &memory,
            timers: &self.timers,
        };
        let report = self.trip.lives(sweep.sweep(self.clock.now_ms().saturating_add(FUNCTION_MS))).await;
        if report.is_none() {
            self.forgets();
        }
        report
    }
}

/// The API that a world's book speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spoken {
    /// Xero's `v2`.
    #[default]
    V2,
    /// FreeAgent's.
    Freeagent,
    /// Xero's public Accounting API.
    Accounting,
    /// Sage Accounting's.
    Sage,
}

impl Spoken {
    /// Every dialect.
    pub const ALL: [Self; 4] = [Self::V2, Self::Freeagent, Self::Accounting, Self::Sage];

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
}

/// A book outside the v2 family.
pub enum Other {
    /// Xero's public Accounting API.
    Accounting(AccountingBook),
    /// Sage Accounting.
    Sage(SageBook),
}

/// An item of a table.
type Item = std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>;

/// A copy of the three tables.
#[derive(Clone, Debug)]
pub struct Backup {
    tables: Vec<(String, Vec<Item>)>,
}

/// A shop, a book, and Ledger between them.
pub struct World {
    /// The shop.
    pub shop: Shop,
    /// The book, where it is one of the v2 family; nobody's where it is not.
    pub book: Book,
    /// The book, where it is not of that family.
    pub other: Option<Other>,
    /// Ledger.
    pub ledger: Arc<Ledger>,
    /// The tenant.
    pub tenant: String,
    /// Its binding.
    pub binding: String,
    /// What the book speaks.
    pub spoken: Spoken,
    /// The income account that the settings name.
    pub income_account: String,
    provider: &'static str,
    tables: aws_sdk_dynamodb::Client,
    runs_table: String,
    tenants_table: String,
    xref_table: String,
    url: String,
    door: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.door.abort();
    }
}

/// How a world is made.
#[derive(Clone, Debug, Default)]
pub struct WorldOptions {
    /// The shop's client.
    pub client: ClientVersion,
    /// Changes the settings.
    pub settings: Option<fn(&mut SettingsV1)>,
    /// Changes the timers.
    pub timers: Option<fn(&mut Timers)>,
    /// The methods `stripe_payments` and `trade_credit` have a bank account.
    pub banks: bool,
    /// What the book speaks.
    pub spoken: Spoken,
    /// Further providers whose module is in the shop; a test binds them itself.
    pub also: Vec<String>,
    /// How many requests a book of Xero's public API takes a day; any number where it is none.
    pub requests_per_day: Option<u32>,
}

impl World {
    /// A world of its own, with tables of its own; `None` where no stack runs.
    ///
    /// # Errors
    /// Where something of it can't be started.
    pub async fn start(options: WorldOptions) -> anyhow::Result<Option<Self>> {
        let Some(mut environment) = stack::settings() else { return Ok(None) };
        let number = WORLDS.fetch_add(1, Ordering::SeqCst);
        let name = format!("world-{}-{number}", std::process::id());
        // The engine's own account makes the tables; the functions' permissions are tested on the deployed stack.
        environment.insert("AWS_ACCESS_KEY_ID".to_owned(), "test".to_owned());
        environment.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "test".to_owned());
        environment.remove("AWS_SESSION_TOKEN");
        let tables = client(&environment)?;
        for variable in ["TABLE_SYNC_RUNS", "TABLE_ENTITY_XREF", "TABLE_TENANTS"] {
            let like = environment.get(variable).context("the stack names no table")?.clone();
            let own = format!("{name}-{}", variable.to_lowercase());
            table_like(&tables, &like, &own).await?;
            environment.insert(variable.to_owned(), own);
        }
        let runs_table = environment.get("TABLE_SYNC_RUNS").cloned().unwrap_or_default();
        let tenants_table = environment.get("TABLE_TENANTS").cloned().unwrap_or_default();
        let xref_table = environment.get("TABLE_ENTITY_XREF").cloned().unwrap_or_default();
        let aws = Aws::new(&Config::from_lookup(&|name| environment.get(name).cloned())?)?;
        let http = Http::new(&HttpConfig { allow_private_addresses: true, ..HttpConfig::default() })?;

        let clock = SimulatedClock::standing_at(MORNING_MS);
        let seconds = clock.clone();
        let world_clock = WorldClock::from_function(move || seconds.now_ms().div_euclid(1_000));
        let shop = Shop::start(ShopOptions {
            clock: world_clock.clone(),
            client: options.client,
            providers: std::iter::once(options.spoken.provider().to_owned()).chain(options.also.clone()).collect(),
            ..ShopOptions::default()
        })
        .await?;
        let house = if options.spoken == Spoken::Freeagent { House::Freeagent } else { House::V2 };
        let book = Book::start(BookOptions { clock: world_clock.clone(), house, ..BookOptions::default() }).await?;
        let other = match options.spoken {
            Spoken::V2 | Spoken::Freeagent => None,
            Spoken::Accounting => {
                let requests_per_day = options.requests_per_day;
                let open = AccountingOptions { clock: world_clock, requests_per_day, ..AccountingOptions::default() };
                Some(Other::Accounting(AccountingBook::start(open).await?))
            }
            Spoken::Sage => {
                let open = SageOptions { clock: world_clock, ..SageOptions::default() };
                Some(Other::Sage(SageBook::start(open).await?))
            }
        };

        let trip = Arc::new(Trip::default());
        let mut timers = Timers::default();
        if let Some(change) = options.timers {
            change(&mut timers);
        }
        let ledger = Arc::new(Ledger {
            store: TripStore { inner: aws.store(), trip: Arc::clone(&trip) },
            vault: TripVault { inner: aws.vault(), trip: Arc::clone(&trip) },
            queue: TripQueue::new(clock.clone(), Arc::clone(&trip)),
            to_shop: TripShop { inner: http.shop(), trip: Arc::clone(&trip) },
            to_book: TripBook { inner: http.book(), trip: Arc::clone(&trip) },
            to_authorities: TripAuthorities { inner: http.authorities(), trip: Arc::clone(&trip) },
            chance: SeededChance::new(number),
            clock,
            timers,
            trip,
            memory: Mutex::default(),
        });
        let (tenant, binding, income_account) = pair(&ledger, &shop, &book, other.as_ref(), &name, &options).await?;
        let (url, door) = open_door(Arc::clone(&ledger)).await?;
        shop.pair_directly(&tenant, API_KEY, &url);
        ledger.clock.advance(1_000);
        Ok(Some(Self {
            shop,
            book,
            other,
            ledger,
            tenant,
            binding,
            spoken: options.spoken,
            income_account,
            provider: options.spoken.provider(),
            tables,
            runs_table,
            tenants_table,
            xref_table,
            url,
            door,
        }))
    }

    /// Where the shop sends its events.
    #[must_use]
    pub fn ledger_url(&self) -> &str {
        &self.url
    }

    /// What the book holds, whatever it speaks.
    #[must_use]
    pub fn holds(&self) -> Statement {
        match &self.other {
            None => self.book.statement(),
            Some(Other::Accounting(book)) => book.statement(),
            Some(Other::Sage(book)) => book.statement(),
        }
    }

    /// The book, whatever it speaks, as bookkeepers know it.
    #[must_use]
    pub fn any_book(&self) -> AnyBook {
        match &self.other {
            None => AnyBook::Family(self.book.clone()),
            Some(Other::Accounting(book)) => AnyBook::Accounting(book.clone()),
            Some(Other::Sage(book)) => AnyBook::Sage(book.clone()),
        }
    }

    /// The shop tells of something now, past its outbox: that keeps one row for all edits of an entity.
    ///
    /// # Errors
    /// Where it can't, or is not listened to.
    pub async fn tells(&self, event: &str, id: i64) -> anyhow::Result<()> {
        self.tells_under(event, id, &format!("{event}:{id}")).await
    }

    /// The same under a key of its own, so that it is another run.
    ///
    /// # Errors
    /// As [`tells`](Self::tells).
    pub async fn tells_anew(&self, event: &str, id: i64, key: &str) -> anyhow::Result<()> {
        self.tells_under(event, id, &format!("{event}:{id}:{key}")).await
    }

    async fn tells_under(&self, event: &str, id: i64, key: &str) -> anyhow::Result<()> {
        let some = |(name, value): (&str, String)| (name.to_owned(), Some(value));
        let moment = jiff::Timestamp::from_millisecond(self.ledger.clock.now_ms())?;
        let body = serde_json::json!({
            "magento_entity_id": id, "website_id": 0, "store_id": 0, "occurred_at": moment.to_string(), "payload": {},
        });
        let token = format!("Bearer {}", self.shop.signs(0)?);
        let request = ProxyRequest {
            http_method: "POST".to_owned(),
            path_parameters: Some(
                [("tenant", self.tenant.clone()), ("event", event.to_owned())].into_iter().map(some).collect(),
            ),
            query_string_parameters: Some([("provider", self.provider.to_owned())].into_iter().map(some).collect()),
            headers: Some(
                [("Authorization", token), ("Idempotency-Key", key.to_owned())].into_iter().map(some).collect(),
            ),
            body: Some(body.to_string()),
            is_base64_encoded: false,
        };
        let answer = self.ledger.takes(&request).await.context("killed")?;
        ensure!(answer.status_code == 202, "{}: {}", answer.status_code, answer.body);
        Ok(())
    }

    /// One tick of the shop's cron.
    pub async fn ticks(&self) {
        self.shop.ticks().await;
    }

    /// Works through the messages that wait, and those that come of them. A message whose process is killed comes back
    /// only with its visibility timeout: here, never; the sweeper has to do without.
    ///
    /// # Errors
    /// Where a message can't be read.
    pub async fn works(&self) -> anyhow::Result<()> {
        for _ in 0..50 {
            let messages = self.ledger.queue.take();
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                self.handles(&message).await?;
            }
        }
        bail!("the queues never get empty");
    }

    /// Works through one message.
    ///
    /// # Errors
    /// Where it can't be read.
    pub async fn handles(&self, message: &Outgoing) -> anyhow::Result<Option<Disposition>> {
        Ok(match message.queue {
            QueueName::Work(_) => self.ledger.attempts(&serde_json::from_str(&message.body)?, &message.group, 1).await,
            QueueName::PushSyncState => self.ledger.pushes(&serde_json::from_str(&message.body)?).await,
            QueueName::DeadLetter => None,
        })
    }

    /// Lets time pass until nothing is left to do: the shop's cron, the workers, the sweeper, each in its turn.
    ///
    /// # Errors
    /// Where it does not come to an end.
    pub async fn settles(&self) -> anyhow::Result<()> {
        for _ in 0..ROUNDS_MAX {
            self.ticks().await;
            self.works().await?;
            self.ledger.sweeps().await;
            self.works().await?;
            let Some(next) = self.next_moment().await? else { return Ok(()) };
            self.ledger.clock.advance_to(next);
            self.ledger.clock.advance(1_000);
        }
        bail!("the world does not settle: {:?}", self.runs().await?);
    }

    /// When something happens next by itself; `None` where nothing does.
    async fn next_moment(&self) -> anyhow::Result<Option<i64>> {
        let mut next: Option<i64> = None;
        let mut at = |moment: i64| next = Some(next.map_or(moment, |next| next.min(moment)));
        for run in self.runs().await? {
            match edges::state(&run) {
                RunState::Queued | RunState::Running | RunState::Waiting => at(run.due_at.unwrap_or(i64::MAX)),
                // A dead letter's bell comes again in days; a held run waits for a person.
                RunState::Held | RunState::DeadLettered | RunState::Succeeded | RunState::Skipped => {}
            }
        }
        for push in self.pushes().await? {
            if let Some(due) = push.due_at {
                at(due);
            }
        }
        for row in self.shop.outbox() {
            if row.status == ledger_world::shop::OutboxStatus::Pending {
                at(row.next_attempt_at.unwrap_or_default().saturating_mul(1_000));
            }
        }
        Ok(next)
    }

    async fn items(&self, table: &str) -> anyhow::Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .tables
                .scan()
                .table_name(table)
                .consistent_read(true)
                .set_exclusive_start_key(start.take())
                .send()
                .await?;
            items.extend_from_slice(page.items());
            match page.last_evaluated_key() {
                None => return Ok(items),
                Some(key) => start = Some(key.clone()),
            }
        }
    }

    async fn rows<T: serde::de::DeserializeOwned>(&self, sort_key: &str) -> anyhow::Result<Vec<T>> {
        let mut rows = Vec::new();
        for item in self.items(&self.runs_table).await? {
            if item.get("sk").and_then(|value| value.as_s().ok()).is_some_and(|sk| sk == sort_key) {
                rows.push(serde_dynamo::from_item(item)?);
            }
        }
        Ok(rows)
    }

    /// A copy of the three tables, as a backup keeps it.
    ///
    /// # Errors
    /// Where they can't be read.
    pub async fn copies(&self) -> anyhow::Result<Backup> {
        let mut tables = Vec::new();
        for table in [&self.runs_table, &self.xref_table, &self.tenants_table] {
            tables.push((table.clone(), self.items(table).await?));
        }
        Ok(Backup { tables })
    }

    /// The tables are as they were when the copy was made, messages are lost, and processes start anew.
    ///
    /// # Errors
    /// Where they can't be written.
    pub async fn restores(&self, backup: &Backup) -> anyhow::Result<()> {
        drop(self.ledger.queue.take());
        for (table, items) in &backup.tables {
            for item in self.items(table).await? {
                let key = ["pk", "sk"].into_iter().filter_map(|name| Some((name.to_owned(), item.get(name)?.clone())));
                self.tables.delete_item().table_name(table).set_key(Some(key.collect())).send().await?;
            }
            for item in items {
                self.tables.put_item().table_name(table).set_item(Some(item.clone())).send().await?;
            }
        }
        self.ledger.forgets();
        Ok(())
    }

    /// Every run.
    ///
    /// # Errors
    /// Where the table can't be read.
    pub async fn runs(&self) -> anyhow::Result<Vec<RunRow>> {
        self.rows("run").await
    }

    /// Every chip.
    ///
    /// # Errors
    /// Where the table can't be read.
    pub async fn pushes(&self) -> anyhow::Result<Vec<PushRow>> {
        self.rows("push").await
    }

    /// The run of an invoice's `invoice.created`.
    ///
    /// # Errors
    /// Where there is not exactly one.
    pub async fn run_of(&self, invoice: i64) -> anyhow::Result<RunRow> {
        self.run_for("invoice.created", invoice).await
    }

    /// The run of an event.
    ///
    /// # Errors
    /// Where there is not exactly one.
    pub async fn run_for(&self, event: &str, id: i64) -> anyhow::Result<RunRow> {
        let mut runs = self.runs_for(event, id).await?;
        ensure!(runs.len() == 1, "{} runs of {event} for {id}", runs.len());
        runs.pop().context("no run")
    }

    /// The runs of an event, oldest first.
    ///
    /// # Errors
    /// Where the table can't be read.
    pub async fn runs_for(&self, event: &str, id: i64) -> anyhow::Result<Vec<RunRow>> {
        let mut runs = self.runs().await?;
        runs.retain(|run| run.event == event && i64::try_from(run.magento_id).ok() == Some(id));
        runs.sort_by_key(|run| run.received_at);
        Ok(runs)
    }

    /// The run of an event stands like this.
    ///
    /// # Errors
    /// How it stands instead.
    pub async fn ended(&self, event: &str, id: i64, state: &str, code: Option<&str>) -> anyhow::Result<RunRow> {
        let run = self.runs_for(event, id).await?.pop().with_context(|| format!("no run of {event} for {id}"))?;
        ensure!(
            run.state == state && run.code.as_deref() == code,
            "the run of {event} for {id} is {} ({:?}, {:?})",
            run.state,
            run.code,
            run.message
        );
        Ok(run)
    }

    /// The invoice is in the book exactly once, with the shop's total, its run succeeded, its chip synced, and nothing
    /// else is left lying about.
    ///
    /// # Errors
    /// What is not so.
    pub async fn shows_once(&self, invoice: i64) -> anyhow::Result<()> {
        let run = self.run_of(invoice).await?;
        ensure!(run.state == "succeeded", "the run is {} ({:?}, {:?})", run.state, run.code, run.message);
        let reference = run.provider_reference.clone().context("the run has no reference")?;
        let shown = self.book.shows(&reference);
        ensure!(shown.len() == 1, "{} invoices with reference {reference}", shown.len());
        let canonical = self.shop.canonical("invoice", invoice).context("the shop lost the invoice")?;
        let canonical: serde_json::Value = serde_json::from_str(&canonical)?;
        let total = self.book.total_of(&reference).context("no total")?;
        let grand_total = canonical.get("grand_total").map(ToString::to_string).unwrap_or_default();
        ensure!(total.normalize().to_string() == grand_total, "the book shows {total}, the shop {grand_total}");
        let chip = self.shop.chip("invoice", invoice).context("no chip")?;
        ensure!(chip.sync_status == "synced", "the chip is {}", chip.sync_status);
        ensure!(self.ledger.queue.is_empty(), "messages are left");
        Ok(())
    }

    /// The invoice's run stands like this, and the shop shows that chip with that reason or code.
    ///
    /// # Errors
    /// What is not so.
    pub async fn stands(&self, invoice: i64, state: &str, code: Option<&str>, chip: &str) -> anyhow::Result<()> {
        let run = self.run_of(invoice).await?;
        ensure!(
            run.state == state && run.code.as_deref() == code,
            "the run is {} ({:?}, {:?})",
            run.state,
            run.code,
            run.message
        );
        let shown = self.shop.chip("invoice", invoice).context("no chip")?;
        ensure!(shown.sync_status == chip, "the chip is {}", shown.sync_status);
        let told = shown.skip_reason.or(shown.error_code);
        let expected = if ["skipped", "failed"].contains(&chip) { code } else { None };
        ensure!(told.as_deref() == expected, "the shop was told {told:?}");
        Ok(())
    }

    /// Writes a tenant as it is, past every condition.
    ///
    /// # Errors
    /// Where it can't be written.
    pub async fn puts_tenant(&self, tenant: &TenantRow) -> anyhow::Result<()> {
        let item = serde_dynamo::to_item(tenant)?;
        self.tables.put_item().table_name(&self.tenants_table).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// Writes a binding as it is, past every condition.
    ///
    /// # Errors
    /// Where it can't be written.
    pub async fn puts_binding(&self, binding: &BindingRow) -> anyhow::Result<()> {
        let item = serde_dynamo::to_item(binding)?;
        self.tables.put_item().table_name(&self.tenants_table).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// Makes the shop's address known as this tenant's, whatever was said of it before.
    ///
    /// # Errors
    /// Where it can't be written.
    pub async fn puts_shop_address(&self) -> anyhow::Result<()> {
        let item = serde_dynamo::to_item(ShopAddressRow::new(&self.shop.url(), &self.tenant))?;
        self.tables.put_item().table_name(&self.tenants_table).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// What operators do.
    #[must_use]
    pub fn operator(&self) -> Operate<'_> {
        operate(&self.ledger)
    }

    /// Lets time pass, sweeping every minute.
    ///
    /// # Errors
    /// Where a message can't be read.
    pub async fn passes(&self, minutes: u32) -> anyhow::Result<()> {
        for _ in 0..minutes {
            self.ledger.clock.advance(60_000);
            self.ledger.sweeps().await;
            self.works().await?;
        }
        Ok(())
    }

    /// No bell rings and nothing overlapped in the book.
    ///
    /// # Errors
    /// What is not so.
    pub fn is_clean(&self) -> anyhow::Result<()> {
        ensure!(self.ledger.queue.bells().is_empty(), "bells ring: {:?}", self.ledger.queue.bells());
        ensure!(self.book.overlaps().is_empty(), "writers overlapped: {:?}", self.book.overlaps());
        Ok(())
    }
}

/// The tables' engine under its own account, which may do everything.
///
/// # Errors
/// Where the stack names none.
pub fn client(environment: &BTreeMap<String, String>) -> anyhow::Result<aws_sdk_dynamodb::Client> {
    let endpoint = environment.get("AWS_ENDPOINT_URL").context("the stack names no endpoint")?;
    let credentials = aws_credential_types::Credentials::new("test", "test", None, None, "tests");
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new(
            environment.get("AWS_REGION").cloned().unwrap_or_else(|| "eu-west-1".to_owned()),
        ))
        .endpoint_url(endpoint)
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Ok(aws_sdk_dynamodb::Client::from_conf(config))
}

/// A new table with the keys and indexes of a deployed one.
async fn table_like(client: &aws_sdk_dynamodb::Client, like: &str, own: &str) -> anyhow::Result<()> {
    let table = client.describe_table().table_name(like).send().await?.table.context("no such table")?;
    let mut create = client
        .create_table()
        .table_name(own)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(table.key_schema)
        .set_attribute_definitions(table.attribute_definitions);
    for index in table.global_secondary_indexes.unwrap_or_default() {
        create = create.global_secondary_indexes(
            GlobalSecondaryIndex::builder()
                .set_index_name(index.index_name)
                .set_key_schema(index.key_schema)
                .set_projection(index.projection)
                .build()?,
        );
    }
    create.send().await?;
    Ok(())
}

fn operate(ledger: &Ledger) -> Operate<'_> {
    Operate {
        store: &ledger.store,
        queue: &ledger.queue,
        vault: &ledger.vault,
        clock: &ledger.clock,
        chance: &ledger.chance,
        timers: &ledger.timers,
    }
}

async fn pair(
    ledger: &Ledger,
    shop: &Shop,
    book: &Book,
    other: Option<&Other>,
    name: &str,
    options: &WorldOptions,
) -> anyhow::Result<(String, String, String)> {
    let operate = operate(ledger);
    let tenant = operate
        .add_tenant(&NewTenant {
            tenant: Some(name.to_owned()),
            shop_url: shop.url(),
            api_key: SecretString::from(API_KEY),
        })
        .await?;
    // The books outside the family have one organisation each, so that worlds share it: their tables are their own.
    let Bound { base_url, organisation, mut settings } = bound(book, other, name, options.banks);
    if let Some(change) = options.settings {
        change(&mut settings);
    }
    let income_account = settings.income_category.clone();
    let binding = operate
        .add_binding(&NewBinding {
            tenant: tenant.tenant.clone(),
            provider: options.spoken.provider().to_owned(),
            dialect: options.spoken.dialect().to_owned(),
            base_url,
            organisation,
            web_name: None,
            token: SecretString::from(BOOK_TOKEN),
            settings,
        })
        .await?;
    Ok((tenant.tenant, binding.binding, income_account))
}

/// What a binding to a book says.
pub struct Bound {
    /// Where the book is.
    pub base_url: String,
    /// Its organisation.
    pub organisation: String,
    /// Settings that fit its defaults.
    pub settings: SettingsV1,
}

/// What a binding to a book says: of the family, `book` under that name, else the other one. With `banks`, the methods
/// `stripe_payments` and `trade_credit` have a bank account.
#[must_use]
pub fn bound(book: &Book, other: Option<&Other>, name: &str, banks: bool) -> Bound {
    let (base_url, organisation, mut settings, account) = match other {
        None => (book.url(), name.to_owned(), settings(book), book.url_of("bank_accounts", "1")),
        Some(Other::Accounting(book)) => (book.url(), book.tenant(), coded(&ACCOUNTING), "090".to_owned()),
        Some(Other::Sage(book)) => {
            let ids = [ledger_account(4_000), ledger_account(4_910)];
            let named = CodedSettings { income: &ids[0], shipping: &ids[1], ..SAGE };
            let settings = SettingsV1 { purchase_category: Some(ledger_account(5_000)), ..coded(&named) };
            (book.url(), book.business(), settings, bank_account(1_200))
        }
    };
    if banks {
        settings.payment_methods =
            ["stripe_payments", "trade_credit"].map(|method| (method.to_owned(), Some(account.clone()))).into();
    }
    Bound { base_url, organisation, settings }
}

/// What a book with tax codes calls things.
struct CodedSettings<'a> {
    income: &'a str,
    shipping: &'a str,
    taxes: [(&'a str, &'a str); 3],
}

const ACCOUNTING: CodedSettings<'static> = CodedSettings {
    income: "200",
    shipping: "205",
    taxes: [("20", "OUTPUT2"), ("5", "RROUTPUT"), ("0", "ZERORATEDOUTPUT")],
};
const SAGE: CodedSettings<'static> =
    CodedSettings { income: "", shipping: "", taxes: [("20", "GB_STANDARD"), ("5", "GB_LOWER"), ("0", "GB_ZERO")] };

fn coded(named: &CodedSettings<'_>) -> SettingsV1 {
    let rule = |(rate, code): (&str, &str)| TaxRuleV1 { rate: rate.to_owned(), country: None, code: code.to_owned() };
    SettingsV1 {
        time_zone: "Europe/London".to_owned(),
        book_currency: "GBP".to_owned(),
        book_country: Some("GB".to_owned()),
        tax_map: named.taxes.map(rule).to_vec(),
        income_category: named.income.to_owned(),
        shipping_category: named.shipping.to_owned(),
        invoice_number_prefix: Some("MAG-".to_owned()),
        ..SettingsV1::default()
    }
}

/// Settings that fit the book's defaults.
#[must_use]
pub fn settings(book: &Book) -> SettingsV1 {
    SettingsV1 {
        time_zone: "Europe/London".to_owned(),
        book_currency: "GBP".to_owned(),
        sales_tax_rates: vec!["20".to_owned(), "5".to_owned(), "0".to_owned()],
        income_category: book.url_of("categories", "001"),
        shipping_category: book.url_of("categories", "002"),
        invoice_number_prefix: Some("MAG-".to_owned()),
        ..SettingsV1::default()
    }
}

/// The gateway: routes a request to the webhook as API Gateway would. A killed function is a 502.
async fn open_door(ledger: Arc<Ledger>) -> anyhow::Result<(String, tokio::task::JoinHandle<()>)> {
    use axum::extract::{Path, Query, State};
    use axum::http::{HeaderMap, StatusCode};
    type Answered = (StatusCode, HeaderMap, String);
    async fn webhook(
        State(ledger): State<Arc<Ledger>>,
        Path((tenant, event)): Path<(String, String)>,
        Query(query): Query<BTreeMap<String, String>>,
        headers: HeaderMap,
        body: String,
    ) -> Answered {
        let some = |(name, value): (String, String)| (name, Some(value));
        let request = ProxyRequest {
            http_method: "POST".to_owned(),
            path_parameters: Some(
                [("tenant".to_owned(), tenant), ("event".to_owned(), event)].into_iter().map(some).collect(),
            ),
            query_string_parameters: Some(query.into_iter().map(some).collect()),
            headers: Some(
                headers
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_str().ok().map(str::to_owned)))
                    .collect(),
            ),
            body: Some(body),
            is_base64_encoded: false,
        };
        match ledger.takes(&request).await {
            None => (StatusCode::BAD_GATEWAY, HeaderMap::new(), String::new()),
            Some(answer) => {
                (StatusCode::from_u16(answer.status_code).unwrap_or_default(), HeaderMap::new(), answer.body)
            }
        }
    }
    let router = axum::Router::new()
        .route("/webhooks/magento/{tenant}/{event}", axum::routing::post(webhook))
        .with_state(ledger);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let door = tokio::spawn(async move {
        // Ends with the world.
        let _ = axum::serve(listener, router).await;
    });
    Ok((url, door))
}
