//! Backfills by id, pages of cross-references, and the agenda: a shop and a book in process, the store's real adapter.

use anyhow::{Context as _, ensure};
use ledger_aws::{Config, DynamoStore};
use ledger_bench::aws::dynamo::{SYNC_RUNS, TENANTS};
use ledger_engine::config::Timers;
use ledger_engine::domain::identity::Entity;
use ledger_engine::exports::{EXPORT_PAGE, MIRROR_HEADER, mirror};
use ledger_engine::ingest::Ingest;
use ledger_engine::jobs::{JobKind, NewJob};
use ledger_engine::operate::{NewBinding, NewTenant, Operate, OperateError};
use ledger_engine::ports::*;
use ledger_engine::post::{Disposition, Post, Received};
use ledger_engine::push::Push;
use ledger_engine::sweep::{Report, Sweep};
use ledger_engine::tally::Tally;
use ledger_engine::tenants::{Mode, TenantMemory};
use ledger_engine::wire::gateway::ProxyRequest;
use ledger_engine::wire::message::{PushMessage, RunMessage};
use ledger_engine::wire::rows::{AgendaRow, BindingRow, JobRow, ROW_VERSION, RunRow, XrefRow, keys};
use ledger_http::{Http, HttpConfig};
use ledger_suite::ports::{
    NoProvider, SeededChance, SimulatedClock, TripBook, TripQueue, TripShop, TripStore, TripVault,
};
use ledger_suite::trip::{Side, Trip};
use ledger_suite::world::{API_KEY, BOOK_TOKEN, Bound, bound};
use ledger_world::book::{Book, BookOptions};
use ledger_world::clock::Clock as WorldClock;
use ledger_world::shop::{CustomerSpec, Shop, ShopFault, ShopOptions};
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When the clock stands.
const MORNING_MS: i64 = 2_000_016_000_000;
/// What a function's invocation may take, in milliseconds.
const FUNCTION_MS: i64 = 60_000;
/// A sweep comes so often, in milliseconds.
const MINUTE_MS: i64 = 60_000;
/// Sweeps after which a job that is not over never will be.
const SWEEPS_MAX: usize = 60;
/// Each scene has tokens of its own: a shop takes none twice.
static SCENES: AtomicU64 = AtomicU64::new(1);
const TENANT: &str = "a-shop";
const ORGANISATION: &str = "an-organisation";

/// A shop, a book and Ledger between them.
struct Scene {
    aws: ledger_bench::aws::Aws,
    shop: Shop,
    book: Book,
    store: TripStore,
    vault: TripVault,
    queue: TripQueue,
    to_shop: TripShop,
    to_book: TripBook,
    clock: SimulatedClock,
    chance: SeededChance,
    timers: Timers,
    trip: Arc<Trip>,
    binding: BindingRow,
}

impl Scene {
    async fn open() -> anyhow::Result<Self> {
        let clock = SimulatedClock::standing_at(MORNING_MS);
        let seconds = clock.clone();
        let world_clock = WorldClock::from_function(move || seconds.now_ms().div_euclid(1_000));
        let book = Book::start(BookOptions { clock: world_clock.clone(), ..BookOptions::default() }).await?;
        let shop = Shop::start(ShopOptions { clock: world_clock, ..ShopOptions::default() }).await?;
        Self::between(shop, book, clock).await
    }

    async fn between(shop: Shop, book: Book, clock: SimulatedClock) -> anyhow::Result<Self> {
        let aws = ledger_bench::aws::Aws::start().await?;
        let environment = aws.environment();
        let adapters = ledger_aws::Aws::new(&Config::from_lookup(&|name| environment.get(name).cloned())?)?;
        let http = Http::new(&HttpConfig { allow_private_addresses: true, ..HttpConfig::default() })?;
        let trip = Arc::new(Trip::default());
        let mut scene = Self {
            aws,
            store: TripStore { inner: adapters.store(), trip: Arc::clone(&trip) },
            vault: TripVault { inner: adapters.vault(), trip: Arc::clone(&trip) },
            queue: TripQueue::new(clock.clone(), Arc::clone(&trip)),
            to_shop: TripShop { inner: http.shop(), trip: Arc::clone(&trip) },
            to_book: TripBook { inner: http.book(), trip: Arc::clone(&trip) },
            chance: SeededChance::new(SCENES.fetch_add(1, Ordering::SeqCst)),
            timers: Timers::default(),
            binding: BindingRow::default(),
            shop,
            book,
            clock,
            trip,
        };
        let operate = scene.operate();
        operate
            .add_tenant(&NewTenant {
                tenant: Some(TENANT.to_owned()),
                shop_url: scene.shop.url(),
                api_key: SecretString::from(API_KEY),
            })
            .await?;
        let Bound { base_url, settings, .. } = bound(&scene.book, None, ORGANISATION, true);
        let binding = operate
            .add_binding(&NewBinding {
                tenant: TENANT.to_owned(),
                provider: "xero".to_owned(),
                dialect: "v2".to_owned(),
                base_url,
                organisation: ORGANISATION.to_owned(),
                web_name: None,
                token: SecretString::from(BOOK_TOKEN),
                settings,
            })
            .await?;
        scene.binding = binding;
        scene.shop.pair_directly(TENANT, API_KEY, "https://ledger.example");
        scene.clock.advance(1_000);
        Ok(scene)
    }

    fn operate(&self) -> Operate<'_> {
        Operate {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            clock: &self.clock,
            chance: &self.chance,
            timers: &self.timers,
        }
    }

    /// A sweep of a new process; false where it was killed.
    async fn sweeps_within(&self, milliseconds: i64) -> bool {
        self.reports_within(milliseconds).await.is_some()
    }

    async fn reports_within(&self, milliseconds: i64) -> Option<Report> {
        let memory = TenantMemory::default();
        let sweep = Sweep {
            store: &self.store,
            queue: &self.queue,
            bells: &self.queue,
            vault: &self.vault,
            shop: &self.to_shop,
            authorities: &NoProvider,
            clock: &self.clock,
            chance: &self.chance,
            memory: &memory,
            timers: &self.timers,
        };
        self.trip.lives(sweep.sweep(self.clock.now_ms() + milliseconds)).await
    }

    async fn sweeps(&self) -> bool {
        self.sweeps_within(FUNCTION_MS).await
    }

    /// A worker takes a message.
    async fn attempts(&self, memory: &TenantMemory, message: &Outgoing) -> anyhow::Result<Disposition> {
        let post = Post {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            shop: &self.to_shop,
            book: &self.to_book,
            authorities: &NoProvider,
            clock: &self.clock,
            chance: &self.chance,
            memory,
            tally: &Tally::default(),
            timers: &self.timers,
        };
        let asked: RunMessage = serde_json::from_str(&message.body)?;
        let deadline = self.clock.now_ms() + FUNCTION_MS;
        Ok(post.attempt(&Received { message: &asked, book: &message.group, receive_count: 1, deadline }).await)
    }

    /// Works through the messages that wait, and those that come of them.
    async fn works(&self) -> anyhow::Result<()> {
        let memory = TenantMemory::default();
        let push = Push {
            store: &self.store,
            vault: &self.vault,
            shop: &self.to_shop,
            clock: &self.clock,
            chance: &self.chance,
            memory: &memory,
            timers: &self.timers,
        };
        while !self.queue.is_empty() {
            for message in self.queue.take() {
                if message.queue == QueueName::PushSyncState {
                    push.push(&serde_json::from_str::<PushMessage>(&message.body)?).await;
                    continue;
                }
                self.attempts(&memory, &message).await?;
            }
        }
        Ok(())
    }

    async fn begins(&self, entity: Entity, from: i64, to: i64) -> anyhow::Result<JobRow> {
        let new = NewJob {
            tenant: TENANT.to_owned(),
            binding: self.binding.binding.clone(),
            kind: JobKind::Backfill,
            operator: "op-1".to_owned(),
            reason: None,
            events: Vec::new(),
            since: None,
            entity: Some(entity),
            from_id: Some(u64::try_from(from)?),
            to_id: Some(u64::try_from(to)?),
        };
        Ok(self.operate().start_job(&new).await?)
    }

    async fn job(&self, job: &JobRow) -> anyhow::Result<JobRow> {
        self.store.job(&job.pk, &job.sk).await?.context("no job")
    }

    /// Sweeps each minute, with or without workers, until the job is over.
    async fn ends(&self, job: &JobRow) -> anyhow::Result<JobRow> {
        for _ in 0..SWEEPS_MAX {
            self.sweeps().await;
            self.works().await?;
            let now = self.job(job).await?;
            if now.state != "open" {
                return Ok(now);
            }
            self.clock.advance(MINUTE_MS);
        }
        anyhow::bail!("the job does not end: {:?}", self.job(job).await?)
    }

    fn runs(&self) -> anyhow::Result<Vec<RunRow>> {
        let items = self.aws.dynamo().items(SYNC_RUNS);
        let runs = items.into_iter().filter(|item| item.get("sk") == Some(&serde_json::json!({"S": "run"})));
        let mut rows: Vec<RunRow> = Vec::new();
        for item in runs {
            rows.push(plain(item)?);
        }
        rows.sort_by(|left, right| (left.magento_id, &left.event).cmp(&(right.magento_id, &right.event)));
        Ok(rows)
    }

    fn told(&self) -> anyhow::Result<Vec<(String, u64)>> {
        Ok(self.runs()?.into_iter().map(|run| (run.event, run.magento_id)).collect())
    }

    /// The shop tells of something now; the run's id.
    async fn delivers(&self, event: &str, id: i64) -> anyhow::Result<String> {
        let memory = TenantMemory::default();
        let ingest = Ingest {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            clock: &self.clock,
            chance: &self.chance,
            memory: &memory,
            timers: &self.timers,
        };
        let some = |(name, value): (&str, String)| (name.to_owned(), Some(value));
        let body = serde_json::json!({
            "magento_entity_id": id, "website_id": 1, "store_id": 1, "occurred_at": "2033-05-18T08:00:00Z", "payload": {},
        });
        let token = format!("Bearer {}", self.shop.signs(0)?);
        let request = ProxyRequest {
            http_method: "POST".to_owned(),
            path_parameters: Some(
                [("tenant", TENANT.to_owned()), ("event", event.to_owned())].into_iter().map(some).collect(),
            ),
            query_string_parameters: Some([("provider", "xero".to_owned())].into_iter().map(some).collect()),
            headers: Some(
                [("Authorization", token), ("Idempotency-Key", format!("{event}:{id}"))]
                    .into_iter()
                    .map(some)
                    .collect(),
            ),
            body: Some(body.to_string()),
            is_base64_encoded: false,
        };
        let answer = ingest.proxied(&request).await;
        ensure!(answer.status_code == 202, "{}: {}", answer.status_code, answer.body);
        let body: serde_json::Value = serde_json::from_str(&answer.body)?;
        Ok(body["sync_run_id"].as_str().context("no run")?.to_owned())
    }
}

/// A row from an item as DynamoDB has it on the wire.
fn plain<T: serde::de::DeserializeOwned>(item: serde_json::Map<String, serde_json::Value>) -> anyhow::Result<T> {
    fn value(of: &serde_json::Value) -> serde_json::Value {
        let Some((kind, it)) = of.as_object().and_then(|it| it.iter().next()) else { return serde_json::Value::Null };
        match (kind.as_str(), it) {
            ("N", serde_json::Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            ("L", serde_json::Value::Array(items)) => items.iter().map(value).collect(),
            ("M", serde_json::Value::Object(fields)) => {
                fields.iter().map(|(name, it)| (name.clone(), value(it))).collect()
            }
            _ => it.clone(),
        }
    }
    let fields: serde_json::Map<_, _> = item.iter().map(|(name, it)| (name.clone(), value(it))).collect();
    Ok(serde_json::from_value(fields.into())?)
}

/// Three invoices with a gap between the first two; the last is paid.
fn three_invoices(shop: &Shop) -> anyhow::Result<[i64; 4]> {
    let first = shop.raises("b2b-on-terms")?;
    let gap = shop.raises("b2b-on-terms")?;
    let second = shop.raises("b2b-on-terms")?;
    let paid = shop.raises("guest-two-rates")?;
    shop.pays(paid)?;
    shop.loses_invoice(gap);
    Ok([first, gap, second, paid])
}

fn named(events: &[(&str, i64)]) -> Vec<(String, u64)> {
    events.iter().map(|(event, id)| ((*event).to_owned(), id.unsigned_abs())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entity_that_is_there_gets_the_runs_of_its_events() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let [first, gap, second, paid] = three_invoices(&scene.shop)?;
    ensure!(gap == first + 1 && paid == first + 3, "ids have gaps of their own");
    let job = scene.begins(Entity::Invoice, first, paid + 3).await?;
    let job = scene.ends(&job).await?;
    assert_eq!((job.state.as_str(), job.done, job.passed), ("finished", 3, 4));
    assert_eq!((job.open_runs.len(), job.waits_for.as_deref(), job.due_at), (0, None, None));
    let created = "invoice.created";
    assert_eq!(scene.told()?, named(&[(created, first), (created, second), (created, paid), ("invoice.paid", paid)]));
    for run in scene.runs()? {
        assert_eq!(run.idempotency_key, format!("{}:{}", run.event, run.magento_id));
        assert!(run.website_id > 0 && run.store_id > 0 && run.increment_id.is_some(), "{run:?}");
        assert!(matches!(run.state.as_str(), "succeeded" | "skipped"), "{} {:?}", run.state, run.message);
    }
    assert_eq!(scene.book.statement().invoices.len(), 3);

    // A later delivery meets the same runs, and posts nothing.
    let before: BTreeSet<String> = scene.runs()?.into_iter().map(|run| run.run_id).collect();
    for (event, id) in [(created, first), (created, paid), ("invoice.paid", paid)] {
        assert!(before.contains(&scene.delivers(event, id).await?), "{event} {id} got another run");
    }
    scene.works().await?;
    assert_eq!(scene.runs()?.len(), before.len());
    assert_eq!(scene.book.statement().invoices.len(), 3);

    // What is there already is passed.
    scene.clock.advance(MINUTE_MS);
    let again = scene.begins(Entity::Invoice, first, second).await?;
    let again = scene.ends(&again).await?;
    assert_eq!((again.state.as_str(), again.done, again.passed), ("finished", 0, 3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_before_is_met() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let [first, _, second, _] = three_invoices(&scene.shop)?;
    let delivered = scene.delivers("invoice.created", first).await?;
    let seen = scene.store.run(&keys::run(&delivered)).await?;
    let job = scene.begins(Entity::Invoice, first, second).await?;
    scene.sweeps().await;
    assert_eq!(scene.store.run(&keys::run(&delivered)).await?, seen, "it is left as it is");
    let job = scene.ends(&job).await?;
    assert_eq!((job.done, job.passed), (1, 2));
    assert_eq!(scene.book.statement().invoices.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_left_out_is_opened_again() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let [first, ..] = three_invoices(&scene.shop)?;
    let run_id = scene.delivers("invoice.created", first).await?;
    let seen = scene.store.run(&keys::run(&run_id)).await?.context("no run")?;
    for (code, done) in [("outside_sync_since", 1), ("discarded", 0)] {
        let there = scene.store.run(&keys::run(&run_id)).await?.context("no run")?;
        let left_out =
            RunRow { state: "skipped".to_owned(), code: Some(code.to_owned()), due_at: None, ..seen.clone() };
        ensure!(Sweeps::replace_run(&scene.store, &there, &left_out, None).await?, "not replaced");
        let _ = scene.queue.take();
        let job = scene.begins(Entity::Invoice, first, first).await?;
        let job = scene.ends(&job).await?;
        assert_eq!((job.done, job.passed), (done, 1 - done), "{code}");
        scene.clock.advance(MINUTE_MS);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_a_customer_gets_one_run_and_the_next_one_another() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let id = scene.shop.saves_customer(CustomerSpec::new("lee@buyers.example", "Lee", "Kerr"))?;
    for (edited, runs, done) in [(false, 1, 1), (false, 1, 0), (true, 2, 1)] {
        if edited {
            scene.clock.advance(MINUTE_MS);
            let edit = ledger_world::shop::CustomerEdit { last_name: Some("Marsh".to_owned()), ..Default::default() };
            scene.shop.edits(id, edit)?;
        }
        let job = scene.begins(Entity::Customer, id, id).await?;
        let job = scene.ends(&job).await?;
        assert_eq!((scene.runs()?.len(), job.done), (runs, done), "edited: {edited}");
        scene.clock.advance(MINUTE_MS);
    }
    assert_eq!(scene.book.statement().contacts.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn few_of_its_runs_are_before_the_shops_own() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let mut ids = Vec::new();
    for number in 0..70 {
        ids.push(scene.shop.saves_customer(CustomerSpec::new(&format!("b{number}@buyers.example"), "Lee", "Kerr"))?);
    }
    let (first, last) = (*ids.first().context("none")?, *ids.last().context("none")?);
    let job = scene.begins(Entity::Customer, first, last).await?;
    for _ in 0..3 {
        scene.sweeps().await;
        let open = scene.runs()?.len();
        assert!((10..=ledger_engine::backfill::OPEN_RUNS_MAX).contains(&open), "{open} runs are open");
        assert_eq!(scene.job(&job).await?.open_runs.len(), open);
        scene.clock.advance(1_000);
    }
    let job = scene.ends(&job).await?;
    assert_eq!((job.state.as_str(), job.done, job.passed), ("finished", 70, 0));
    Ok(())
}

/// However much is due: a book gets as much of it as it can take until the next sweep.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_feeds_a_book_at_a_bounded_rate() -> anyhow::Result<()> {
    const MORE: usize = 30;
    let scene = Scene::open().await?;
    let bound = usize::try_from(ledger_engine::sweep::SENDS_PER_BOOK)?;
    for id in 0..bound + MORE {
        scene.delivers("invoice.created", i64::try_from(1_000 + id)?).await?;
    }
    // Nobody took any of it for long.
    let _lost = scene.queue.take();
    scene.clock.advance(7 * MINUTE_MS + 3_600_000);
    for expected in [bound, MORE, 0] {
        scene.sweeps().await;
        let sent = scene.queue.take().len();
        assert_eq!(sent, expected);
        scene.clock.advance(MINUTE_MS);
    }
    Ok(())
}

/// An invoice of the past is no money that its book has to hurry for: a worker leaves the book to what the shop tells now.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_invoice_leaves_its_book_to_a_new_one() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let memory = TenantMemory::default();
    let message = || {
        let work = |it: &Outgoing| it.queue == QueueName::Work(ledger_engine::domain::identity::Event::InvoiceCreated);
        let mut messages: Vec<Outgoing> = scene.queue.take().into_iter().filter(work).collect();
        ensure!(messages.len() == 1, "{messages:?}");
        messages.pop().context("no message")
    };
    scene.delivers("invoice.created", scene.shop.raises("b2b-on-terms")?).await?;
    scene.works().await?;
    let old = scene.shop.raises("b2b-on-terms")?;
    scene.begins(Entity::Invoice, old, old).await?;
    scene.sweeps().await;
    let old = message()?;
    scene.delivers("invoice.created", scene.shop.raises("b2b-on-terms")?).await?;
    let new = message()?;
    // Money has waited for the book and asked for it.
    scene.store.want_book(&new.group, scene.clock.now_ms() + 15_000).await?;
    let posted = || scene.book.statement().invoices.len();
    ensure!(scene.attempts(&memory, &old).await? == Disposition::GiveBack && posted() == 1, "{} invoices", posted());
    ensure!(scene.attempts(&memory, &new).await? == Disposition::Done && posted() == 2, "{} invoices", posted());
    // It is not left out for good.
    scene.clock.advance(15_000);
    ensure!(scene.attempts(&memory, &old).await? == Disposition::Done && posted() == 3, "{} invoices", posted());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_part_failed_says_so_and_goes_on() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(scene.shop.saves_customer(CustomerSpec::new(&format!("b{number}@buyers.example"), "Lee", "Kerr"))?);
    }
    let (first, last) = (*ids.first().context("none")?, *ids.last().context("none")?);
    let job = scene.begins(Entity::Customer, first, last).await?;
    scene.sweeps().await;
    let before = scene.job(&job).await?;
    ensure!(before.state == "open" && before.waits_for.is_none(), "{before:?}");
    // One of its runs is a row of a newer version of Ledger: it can't be read.
    let run_id = before.open_runs.first().context("no open run")?;
    let run = scene.store.run(&keys::run(run_id)).await?.context("no run")?;
    let newer = RunRow { v: ROW_VERSION + 1, ..run.clone() };
    ensure!(Sweeps::replace_run(&scene.store.inner, &run, &newer, None).await?, "not written");
    scene.clock.advance(1_000);
    let report = scene.reports_within(FUNCTION_MS).await.context("killed")?;
    ensure!(report.jobs_failed == 1 && report.failures >= 1, "{report:?}");
    let failed = scene.job(&job).await?;
    assert_eq!((failed.state.as_str(), failed.waits_for.as_deref()), ("open", Some("store_unavailable")));
    assert_eq!(failed.due_at, Some(scene.clock.now_ms() + MINUTE_MS), "it says when it goes on");
    assert_eq!((failed.done, &failed.cursor), (before.done, &before.cursor), "nothing is passed over");
    ensure!(Sweeps::replace_run(&scene.store.inner, &newer, &run, None).await?, "not written");
    scene.clock.advance(MINUTE_MS);
    let job = scene.ends(&job).await?;
    assert_eq!((job.state.as_str(), job.done, job.passed), ("finished", 30, 0));
    assert_eq!(job.waits_for, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_waits_for_shop_and_binding() -> anyhow::Result<()> {
    type Change = fn(&Scene);
    let cases: [(&str, Change, Change); 5] = [
        ("shop_unavailable", |it| it.shop.is_reachable(false), |it| it.shop.is_reachable(true)),
        ("shop_unavailable", |it| it.shop.faults("invoice", 1, ShopFault::ServerError), |it| it.shop.heals()),
        ("shop_module_missing", |it| it.shop.faults("invoice", 1, ShopFault::RouteMissing), |it| it.shop.heals()),
        ("shop_unauthorised", |it| it.shop.faults("invoice", 2, ShopFault::Unauthorized), |it| it.shop.heals()),
        ("binding_paused", |_| {}, |_| {}),
    ];
    for (code, breaks, mends) in cases {
        let scene = Scene::open().await?;
        let [first, .., paid] = three_invoices(&scene.shop)?;
        let job = scene.begins(Entity::Invoice, first, paid).await?;
        breaks(&scene);
        if code == "binding_paused" {
            scene.operate().set_mode(TENANT, &scene.binding.binding, Mode::Paused).await?;
        }
        scene.sweeps().await;
        let waiting = scene.job(&job).await?;
        assert_eq!((waiting.state.as_str(), waiting.waits_for.as_deref()), ("open", Some(code)));
        assert_eq!((waiting.done, waiting.passed), (0, 0), "{code}: nothing is passed over");
        assert!(waiting.due_at > Some(scene.clock.now_ms()), "{code}: it leaves the shop alone for a while");
        mends(&scene);
        scene.operate().set_mode(TENANT, &scene.binding.binding, Mode::Live).await?;
        scene.clock.advance(6 * MINUTE_MS);
        let job = scene.ends(&job).await?;
        assert_eq!((job.state.as_str(), job.done, job.passed), ("finished", 3, 1), "{code}");
        assert_eq!(scene.book.statement().invoices.len(), 3, "{code}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_of_a_disconnected_binding_stops() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let job = scene.begins(Entity::Invoice, 1, 1_000).await?;
    ensure!(scene.store.disconnect(TENANT, &scene.binding.binding).await?, "no binding");
    let job = scene.ends(&job).await?;
    assert_eq!((job.state.as_str(), job.done, job.passed), ("stopped", 0, 0));
    Ok(())
}

/// What there is of runs, invoices and payments.
fn counted(scene: &Scene) -> anyhow::Result<[usize; 3]> {
    let statement = scene.book.statement();
    Ok([scene.runs()?.len(), statement.invoices.len(), statement.payments.len()])
}

/// Begins a backfill of fresh invoices and kills its sweep at one of its calls; the calls, and what was added.
async fn killed(scene: &Scene, at: Option<(usize, Side)>) -> anyhow::Result<(Vec<&'static str>, Vec<usize>)> {
    let there = counted(scene)?;
    let [first, .., paid] = three_invoices(&scene.shop)?;
    let job = scene.begins(Entity::Invoice, first, paid).await?;
    scene.trip.arm(at);
    scene.sweeps().await;
    let (calls, struck) = scene.trip.disarm();
    ensure!(at.is_none() || struck.is_some(), "not killed");
    if at.is_some() {
        // What the dead process had sent is lost with it.
        let _ = scene.queue.take();
    }
    scene.clock.advance(2 * MINUTE_MS + 1_000);
    let job = scene.ends(&job).await?;
    ensure!((job.state.as_str(), job.done, job.passed) == ("finished", 3, 1), "{struck:?}: {job:?}");
    let open = |run: &RunRow| !matches!(run.state.as_str(), "succeeded" | "skipped");
    for _ in 0..SWEEPS_MAX {
        if !scene.runs()?.iter().any(open) {
            break;
        }
        scene.clock.advance(10 * MINUTE_MS);
        scene.sweeps().await;
        scene.works().await?;
    }
    let left = scene.runs()?.into_iter().find(open);
    ensure!(left.is_none(), "{struck:?}: {left:?}");
    Ok((calls, counted(scene)?.iter().zip(there).map(|(now, there)| now - there).collect()))
}

/// Calls that a backfill makes; others of its sweep have their cases elsewhere.
const CALLS: [&str; 8] = [
    "store.job",
    "store.replace_job",
    "store.tenancy",
    "store.add_run",
    "store.run",
    "vault.open",
    "shop.call",
    "queue.send",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    // Nothing but our own memory prevents a double.
    scene.book.sets(|switches| switches.unique_references = false);
    killed(&scene, None).await?;
    let (calls, added) = killed(&scene, None).await?;
    ensure!(added.starts_with(&[4, 3]), "{added:?}");
    let mut cases = 0;
    for (number, _) in calls.iter().enumerate().filter(|(_, name)| CALLS.contains(name)) {
        for side in [Side::Before, Side::After] {
            let (_, now) = killed(&scene, Some((number, side))).await.with_context(|| format!("{number} {side:?}"))?;
            ensure!(now == added, "killed {side:?} call {number}: {now:?}, not {added:?}");
            cases += 1;
        }
    }
    ensure!(cases >= 30, "only {cases} cases: {calls:?}");
    Ok(())
}

fn row(binding: &BindingRow, key: String, kind: &str, number: u64) -> XrefRow {
    XrefRow {
        pk: key,
        v: ROW_VERSION,
        state: "linked".to_owned(),
        kind: kind.to_owned(),
        book: binding.book.clone(),
        tenant: binding.tenant.clone(),
        provider_id: Some(format!("{kind}-{number}")),
        revision: 1,
        ..XrefRow::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cross_references_come_in_pages_without_addresses() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let (binding, store): (&BindingRow, &DynamoStore) = (&scene.binding, &scene.store.inner);
    let book = &binding.book;
    let mut expected = BTreeSet::new();
    let mut rows = Vec::new();
    for number in 1..=120_u64 {
        let of = |kind: &str| row(binding, keys::document(book, kind, TENANT, number), kind, number);
        rows.extend(["invoice", "payment", "product"].map(of));
        expected.extend(["invoice", "payment", "product", "contact"].map(|kind| (kind.to_owned(), number)));
        let customer = keys::contact_by_customer(book, TENANT, number, (number % 2 == 0).then_some("EUR"));
        rows.push(row(binding, customer, "contact", number));
        let address = format!("b{number}@buyers.example");
        rows.push(row(binding, keys::contact_by_email(book, &address, None), "contact", number));
        rows.push(row(binding, keys::number(book, "invoice", &number.to_string()), "number", number));
        rows.push(row(binding, keys::product_by_code(book, &number.to_string()), "product", number));
        let others = XrefRow {
            tenant: "another".to_owned(),
            ..row(binding, keys::document(book, "invoice", "another", number), "invoice", number)
        };
        rows.push(others);
    }
    for row in rows {
        let write = XrefWrite { row, expect: Expect::Absent };
        ensure!(store.write_xrefs(&[write]).await?.is_none(), "it is there");
    }
    let operate = scene.operate();
    let (mut found, mut lines, mut after, mut pages) = (BTreeSet::new(), 0, None::<String>, 0);
    loop {
        let page = operate.export_xrefs(TENANT, &binding.binding, after.as_deref()).await?;
        assert!(page.rows.len() <= EXPORT_PAGE);
        let csv = mirror(&binding.provider, &page);
        assert!(!csv.contains('@'), "an address in {csv}");
        lines += csv.lines().count();
        for it in page.rows {
            assert!(!it.row.pk.contains('@'));
            assert!(found.insert((it.row.kind.clone(), it.magento_id)), "{} came twice", it.row.pk);
        }
        pages += 1;
        after = page.next;
        match &after {
            None => break,
            Some(_) => assert!(pages < 20, "no end"),
        }
    }
    assert_eq!(found, expected);
    assert_eq!(lines, 120 + 120 + 60, "invoices, products, and customers without a currency");
    for mark in ["", "?", "aGVsbG8"] {
        let refused = operate.export_xrefs(TENANT, &binding.binding, Some(mark)).await;
        assert!(matches!(refused, Err(OperateError::Invalid { field: "after", .. })), "{mark}: {refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_taken_over_elsewhere() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let [first, _, _, paid] = three_invoices(&scene.shop)?;
    let job = scene.begins(Entity::Invoice, first, paid).await?;
    scene.ends(&job).await?;
    let page = scene.operate().export_xrefs(TENANT, &scene.binding.binding, None).await?;
    assert_eq!(page.next, None);
    let csv = format!("{MIRROR_HEADER}\r\n{}", mirror("xero", &page));
    assert!(!csv.contains('@'));
    let lines = u64::try_from(csv.lines().count())?.saturating_sub(1);
    assert_eq!(lines, 4, "three invoices and the customer: {csv}");

    // Another stack, the same shop and book: nothing is posted again.
    let there = scene.book.statement();
    let Scene { shop, book, clock, .. } = scene;
    let elsewhere = Scene::between(shop, book, clock).await?;
    let report = elsewhere.operate().import_xrefs(TENANT, &elsewhere.binding.binding, &csv, false).await?;
    assert_eq!((report.taken, report.there, report.passed, report.clashes.as_slice()), (lines, 0, 0, &[][..]));
    let job = elsewhere.begins(Entity::Invoice, first, paid).await?;
    let job = elsewhere.ends(&job).await?;
    assert_eq!((job.state.as_str(), job.done), ("finished", 3));
    let now = elsewhere.book.statement();
    assert_eq!((now.invoices.len(), now.contacts.len()), (there.invoices.len(), there.contacts.len()));
    assert_eq!(now.payments.len(), there.payments.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_entry_hides_another_in_the_agenda() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    // Nothing was heard for long.
    scene.delivers("invoice.created", scene.shop.raises("b2b-on-terms")?).await?;
    let now = scene.clock.now_ms();
    let silence = scene.store.agenda_due(i64::MAX / 2, None, 10).await?.pop().context("no entry")?;
    scene.clock.advance(silence.at - now);
    for number in 0..250 {
        let owner = format!("{TENANT}/b-{number}");
        scene.store.agenda_put(&AgendaRow::new("keep_alive", &owner, now - 1)).await?;
    }
    scene.store.agenda_put(&AgendaRow::new("of_a_later_build", "x", now - 2)).await?;
    // Too little time to renew anything: those entries stay, in front of the silence.
    scene.sweeps_within(FUNCTION_MS / 2).await;
    let status = scene.store.tenancy(TENANT).await?.map(|it| it.tenant.status);
    assert_eq!(status.as_deref(), Some("silent"));
    let due = scene.store.agenda_due(scene.clock.now_ms(), None, 1_000).await?;
    assert_eq!(due.len(), 250, "grants stay where they are");
    assert!(due.iter().all(|entry| entry.kind == "keep_alive"));
    let later =
        scene.store.agenda_due(scene.clock.now_ms() + 86_400_000, Some(due.last().context("none")?), 10).await?;
    let later: Vec<(&str, i64)> = later.iter().map(|entry| (entry.kind.as_str(), entry.at)).collect();
    assert_eq!(later, [("of_a_later_build", scene.clock.now_ms() + 86_400_000)]);
    // With time enough they go.
    scene.sweeps().await;
    assert!(scene.store.agenda_due(scene.clock.now_ms(), None, 10).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_of_a_made_tenant_is_known_by_its_address() -> anyhow::Result<()> {
    let scene = Scene::open().await?;
    let address = format!("{}/", scene.shop.url().to_uppercase().replace("HTTP:", "http:"));
    let read = ledger_engine::domain::shop_address::ShopAddress::parse(&address).map_err(anyhow::Error::msg)?;
    let found = scene.store.shop_address(&read.to_string()).await?.map(|row| row.tenant);
    assert_eq!(found.as_deref(), Some(TENANT));
    assert!(!scene.aws.dynamo().items(TENANTS).is_empty());
    Ok(())
}
