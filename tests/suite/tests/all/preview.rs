//! Previews: what is shown is what is sent, byte for byte, and nothing is sent before.

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use ledger_aws::{Config, DynamoStore, KmsVault};
use ledger_conformance::books::Stage;
use ledger_conformance::lives::{Lives, RaisedKind};
use ledger_engine::config::Timers;
use ledger_engine::dialects::{Call, Reply};
use ledger_engine::domain::document::Kind;
use ledger_engine::domain::identity::{BindingId, Event, RunId};
use ledger_engine::edges;
use ledger_engine::jobs::{JobKind, NewJob};
use ledger_engine::operate::{NewBinding, NewTenant, Operate, OperateError};
use ledger_engine::ports::{Book, BookCall, Clock, Jobs, PairCall, Shop, ShopCall, Sweeps, TransportFault};
use ledger_engine::post::{Post, Received};
use ledger_engine::preview::{Preview, SettleRequest, Shown, ShownRequest};
use ledger_engine::sweep::Sweep;
use ledger_engine::tally::Tally;
use ledger_engine::tenants::{Mode, TenantMemory};
use ledger_engine::wire::magento;
use ledger_engine::wire::message::RunMessage;
use ledger_engine::wire::rows::{BindingRow, ROW_VERSION, RunRow, keys};
use ledger_suite::ports::{NoProvider, SeededChance, SimulatedClock, TripQueue};
use ledger_suite::trip::Trip;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// When the clock stands.
const NOW_MS: i64 = 1_790_000_000_000;
/// What a function's invocation may take, in milliseconds.
const FUNCTION_MS: i64 = 60_000;
/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;
const TENANT: &str = "a-shop";

/// The shop's getters, from what was generated.
#[derive(Default)]
struct Getters(Mutex<BTreeMap<String, String>>);

impl Getters {
    fn serves(&self, name: &str, id: u64, json: String) {
        let path = format!("/rest/V1/byte8/{name}/{id}");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path, json);
    }
}

#[async_trait]
impl Shop for Getters {
    async fn call(&self, call: &ShopCall<'_>) -> Result<Reply, TransportFault> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&call.path).cloned();
        Ok(match found {
            Some(json) => Reply { status: 200, body: json.into_bytes(), ..Reply::default() },
            None => Reply { status: 404, body: br#"{"message":"no such entity"}"#.to_vec(), ..Reply::default() },
        })
    }

    async fn pair(&self, _: &PairCall<'_>) -> Result<Reply, TransportFault> {
        Err(TransportFault::NotSent("these getters pair with nobody".to_owned()))
    }
}

/// A book that answers in process and notes what would change it.
struct Noted {
    stage: Stage,
    writes: Mutex<Vec<Call>>,
}

impl Noted {
    fn taken(&self) -> Vec<Call> {
        std::mem::take(&mut *self.writes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Book for Noted {
    async fn send(&self, call: &BookCall<'_>) -> Result<Reply, TransportFault> {
        if call.writes {
            self.writes.lock().unwrap_or_else(PoisonError::into_inner).push(call.call.clone());
        }
        let drive = self.stage.drive().map_err(|error| TransportFault::NotSent(error.to_string()))?;
        Ok(drive.send(call.call))
    }
}

/// A shop, a book and Ledger between them, all in this process.
struct Scene {
    aws: ledger_bench::aws::Aws,
    store: DynamoStore,
    vault: KmsVault,
    queue: TripQueue,
    clock: SimulatedClock,
    chance: SeededChance,
    memory: TenantMemory,
    tally: Tally,
    timers: Timers,
    shop: Getters,
    book: Noted,
    binding: BindingRow,
}

impl Scene {
    async fn open(dialect: &str, connected_at: i64) -> anyhow::Result<Self> {
        let aws = ledger_bench::aws::Aws::start().await?;
        let environment = aws.environment();
        let adapters = ledger_aws::Aws::new(&Config::from_lookup(&|name| environment.get(name).cloned())?)?;
        let stage = Stage::open(dialect).await?;
        let clock = SimulatedClock::standing_at(NOW_MS);
        let mut scene = Self {
            store: adapters.store(),
            vault: adapters.vault(),
            queue: TripQueue::new(clock.clone(), Arc::new(Trip::default())),
            clock,
            chance: SeededChance::new(7),
            memory: TenantMemory::default(),
            tally: Tally::default(),
            timers: Timers::default(),
            shop: Getters::default(),
            book: Noted { stage, writes: Mutex::default() },
            binding: BindingRow::default(),
            aws,
        };
        scene.binding = scene.pairs(connected_at).await?;
        Ok(scene)
    }

    async fn pairs(&self, connected_at: i64) -> anyhow::Result<BindingRow> {
        let operate = self.operate();
        operate
            .add_tenant(&NewTenant {
                tenant: Some(TENANT.to_owned()),
                shop_url: "https://shop.example".to_owned(),
                api_key: SecretString::from("byte8_lk_0123456789abcdef0123456789abcdef"),
            })
            .await?;
        let drive = self.book.stage.drive()?;
        let dialect = drive.dialect.profile();
        let binding = operate
            .add_binding(&NewBinding {
                tenant: TENANT.to_owned(),
                provider: dialect.provider.as_str().to_owned(),
                dialect: dialect.name.to_owned(),
                base_url: drive.context.base_url.clone(),
                organisation: drive.context.organisation.clone(),
                web_name: None,
                token: SecretString::from("book-token"),
                settings: self.book.stage.settings_of_binding.clone(),
            })
            .await?;
        let next = BindingRow { connected_at, ..binding.clone() };
        ensure!(ledger_engine::ports::Operations::replace_binding(&self.store, &binding, &next).await?, "not replaced");
        Ok(next)
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

    fn post(&self) -> Post<'_> {
        Post {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            shop: &self.shop,
            book: &self.book,
            authorities: &NoProvider,
            clock: &self.clock,
            chance: &self.chance,
            memory: &self.memory,
            tally: &self.tally,
            timers: &self.timers,
        }
    }

    async fn shows(&self, run_id: &str) -> anyhow::Result<Shown> {
        // The book's calls a minute are kept: each look has a minute of its own.
        self.clock.advance(MINUTE_MS);
        let (operate, post) = (self.operate(), self.post());
        let preview = Preview { operate: &operate, post: &post, deadline: self.clock.now_ms() + FUNCTION_MS };
        Ok(preview.requests_of(run_id).await?)
    }

    /// A run as the webhook leaves it.
    async fn receives(&self, event: Event, magento_id: u64) -> anyhow::Result<String> {
        let key = format!("{}:{magento_id}", event.as_str());
        let binding = BindingId::parse(&self.binding.binding).context("no id")?;
        let run_id = RunId::derive(&binding, event, &key, b"");
        let row = RunRow {
            pk: keys::run(run_id.as_str()),
            sk: keys::RUN.to_owned(),
            v: ROW_VERSION,
            run_id: run_id.to_string(),
            tenant: TENANT.to_owned(),
            binding: self.binding.binding.clone(),
            provider: self.binding.provider.clone(),
            book: self.binding.book.clone(),
            event: event.as_str().to_owned(),
            magento_id,
            idempotency_key: key,
            generation: 1,
            dispatch: 1,
            received_at: NOW_MS,
            ..RunRow::default()
        };
        ensure!(self.store.add_run(&edges::queued(&row, NOW_MS, &self.timers)).await?, "there is such a run");
        Ok(run_id.to_string())
    }

    async fn run(&self, run_id: &str) -> anyhow::Result<RunRow> {
        self.store.run(&keys::run(run_id)).await?.context("no such run")
    }

    async fn attempts(&self, run_id: &str) -> anyhow::Result<RunRow> {
        self.clock.advance(MINUTE_MS);
        let row = self.run(run_id).await?;
        let message = edges::run_message(&row).context("no message")?;
        let message: RunMessage = serde_json::from_str(&message.body)?;
        let received = Received {
            message: &message,
            book: &row.book,
            receive_count: 1,
            deadline: self.clock.now_ms() + FUNCTION_MS,
        };
        self.post().attempt(&received).await;
        self.run(run_id).await
    }
}

/// Compares a text with placeholders with the one that was sent, and learns what fills them.
pub(crate) fn fills(shown: &str, sent: &str, known: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let (mut shown, mut sent) = (shown, sent);
    let opens = |text: &str| {
        [
            "{contact:",
            "{product:",
            "{invoice:",
            "{payment:",
            "{credit_note:",
            "{allocation:",
            "{refund:",
            "{stock_movement:",
        ]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
    };
    while let Some(at) = opens(shown) {
        let (before, rest) = shown.split_at(at);
        let end = rest.find('}').context("a placeholder without an end")? + 1;
        let (placeholder, after) = rest.split_at(end);
        sent = sent.strip_prefix(before).with_context(|| format!("{sent} does not begin with {before}"))?;
        let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let id_end = sent.find(|letter| !letters(letter)).unwrap_or(sent.len());
        let (id, rest) = sent.split_at(id_end);
        let there = known.entry(placeholder.to_owned()).or_insert_with(|| id.to_owned());
        ensure!(there == id, "{placeholder} is {there} and {id}");
        (shown, sent) = (after, rest);
    }
    ensure!(shown == sent, "shown {shown}\nsent  {sent}");
    Ok(())
}

/// A request that was shown and one that was sent are the same.
fn same(shown: &ShownRequest, sent: &Call, known: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    ensure!(shown.method == sent.method.as_str(), "{} {}", shown.method, sent.method.as_str());
    fills(&shown.path, &sent.path, known)?;
    let headers: Vec<(String, String)> =
        sent.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    for (ours, theirs) in [(&shown.query, &sent.query), (&shown.headers, &headers)] {
        ensure!(ours.len() == theirs.len(), "{ours:?} {theirs:?}");
        for ((name, value), (their_name, their_value)) in ours.iter().zip(theirs) {
            ensure!(name == their_name, "{name} {their_name}");
            fills(value, their_value, known)?;
        }
    }
    fills(shown.body.as_deref().unwrap_or_default(), sent.body.as_deref().unwrap_or_default(), known)
}

/// Lives so many orders in preview, then live, and compares.
async fn check(dialect: &str, orders: u64, connected_at: i64) -> anyhow::Result<()> {
    let scene = Scene::open(dialect, connected_at).await?;
    scene.operate().set_mode(TENANT, &scene.binding.binding, Mode::Preview).await?;
    let lives = Lives::open().await?;
    let mut runs = Vec::new();
    for number in 0..orders {
        let life = lives.live_as(number, &format!("Lee {}", number % 50))?;
        for raised in &life.documents {
            match raised.kind {
                RaisedKind::Invoice => {
                    let id = magento::invoice(raised.json.as_bytes())?.magento_id;
                    scene.shop.serves("invoice", id, raised.json.clone());
                    runs.push(scene.receives(Event::InvoiceCreated, id).await?);
                    if let Some(payment) = &raised.payment_json {
                        scene.shop.serves("payment", id, payment.clone());
                        if id.is_multiple_of(2) {
                            runs.push(scene.receives(Event::InvoicePaid, id).await?);
                        }
                    }
                }
                RaisedKind::Memo => {
                    let id = magento::credit_memo(raised.json.as_bytes())?.magento_id;
                    scene.shop.serves("creditmemo", id, raised.json.clone());
                    runs.push(scene.receives(Event::CreditmemoCreated, id).await?);
                }
            }
        }
    }
    let statement = scene.book.stage.statement();
    let mut previews = BTreeMap::new();
    for run_id in &runs {
        let run = scene.attempts(run_id).await?;
        let shown = scene.shows(run_id).await?;
        let held = (run.state.as_str(), run.code.as_deref()) == ("held", Some("preview"));
        let left_out = run.state == "skipped" && shown.outcome == "left_out";
        ensure!(held || left_out, "{run_id} is {} {:?} {:?}", run.state, run.code, run.message);
        if let Some(preview) = &run.preview {
            ensure!(usize::try_from(preview.requests) == Ok(shown.requests.len()), "{preview:?} {shown:?}");
            ensure!((preview.outcome == "refused") == (shown.outcome == "refused"), "{preview:?} {}", shown.outcome);
        }
        previews.insert(run_id.clone(), shown);
    }
    ensure!(scene.book.taken().is_empty(), "a preview wrote to the book");
    ensure!(scene.book.stage.statement() == statement, "the book has changed");
    // An index of the book's own contacts is no cross-reference: it says what reading showed.
    let written = scene.aws.dynamo().items(ledger_bench::aws::dynamo::ENTITY_XREF);
    let written = written.iter().filter(|item| !format!("{:?}", item.get("pk")).contains("#contact_index")).count();
    ensure!(written == 0, "a preview wrote cross-references");

    scene.operate().set_mode(TENANT, &scene.binding.binding, Mode::Live).await?;
    let mut known = BTreeMap::new();
    let mut once: BTreeSet<String> = BTreeSet::new();
    let (mut compared, mut refused) = (0, 0);
    for run_id in &runs {
        let Some(shown) = previews.get(run_id).filter(|shown| shown.outcome != "left_out") else { continue };
        scene.operate().release(run_id).await?;
        let run = scene.attempts(run_id).await?;
        let sent = scene.book.taken();
        if shown.outcome == "refused" {
            ensure!(run.state == "dead_lettered", "{run_id} is {} {:?}", run.state, run.code);
            ensure!(run.code.as_deref() == shown.code.map(|code| code.as_str()), "{:?} {:?}", run.code, shown.code);
            refused += 1;
        } else {
            ensure!(
                matches!(run.state.as_str(), "succeeded" | "skipped"),
                "{run_id} {} {:?} {:?}",
                run.state,
                run.code,
                run.message
            );
        }
        let mut sent = sent.iter().peekable();
        for request in &shown.requests {
            let text = format!("{request:?}");
            if once.contains(&text) {
                // An earlier run has brought the document into the book.
                continue;
            }
            let Some(call) = sent.next() else {
                bail!("{} {} was shown and not sent: {text}", run.event, run.magento_id)
            };
            same(request, call, &mut known)
                .with_context(|| format!("{} {} {}", run.event, run.magento_id, request.label))?;
            once.insert(text);
            compared += 1;
        }
        if let Some(call) = sent.next() {
            bail!("{} {} sent and not shown: {call:?}", run.event, run.magento_id);
        }
        if let (Some(id), true) = (&run.provider_id, run.event == "invoice.created") {
            let filled = known.get(&format!("{{invoice:{}}}", run.magento_id));
            ensure!(filled.is_none_or(|filled| id.ends_with(filled.as_str())), "{filled:?} {id}");
        }
    }
    ensure!(compared > orders && refused > 0, "only {compared} requests were compared, {refused} refusals");
    ensure!(
        known.keys().any(|it| it.starts_with("{contact:")) && known.keys().any(|it| it.starts_with("{invoice:")),
        "{known:?}"
    );
    Ok(())
}

const ORDERS: u64 = 200;
/// Of orders that are older than the connection.
const OLD_ORDERS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_is_sent_in_v2() -> anyhow::Result<()> {
    check("v2", ORDERS, 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_is_sent_in_accounting() -> anyhow::Result<()> {
    check("accounting", ORDERS, 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_is_sent_in_sage() -> anyhow::Result<()> {
    check("sage", ORDERS, 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_is_sent_in_freeagent() -> anyhow::Result<()> {
    check("freeagent", ORDERS, 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_connection_is_looked_for_in_previews_too() -> anyhow::Result<()> {
    for dialect in ledger_conformance::books::DIALECTS {
        check(dialect, OLD_ORDERS, NOW_MS).await.with_context(|| dialect)?;
    }
    Ok(())
}

/// A scene with one order's invoice, previewed.
async fn previewed() -> anyhow::Result<(Scene, String, u64)> {
    let scene = Scene::open("v2", 0).await?;
    scene.operate().set_mode(TENANT, &scene.binding.binding, Mode::Preview).await?;
    let lives = Lives::open().await?;
    let life = lives.live_as(3, "Lee")?;
    let raised = life.documents.first().context("no invoice")?;
    let id = magento::invoice(raised.json.as_bytes())?.magento_id;
    scene.shop.serves("invoice", id, raised.json.clone());
    let run_id = scene.receives(Event::InvoiceCreated, id).await?;
    let run = scene.attempts(&run_id).await?;
    ensure!(run.code.as_deref() == Some("preview"), "{:?}", run.code);
    Ok((scene, run_id, id))
}

fn code_of<T: std::fmt::Debug>(result: Result<T, OperateError>) -> String {
    match result {
        Err(OperateError::Refused { code, .. }) => code.to_owned(),
        other => format!("{other:?}"),
    }
}

impl Scene {
    async fn sweeps(&self) {
        let sweep = Sweep {
            store: &self.store,
            queue: &self.queue,
            bells: &self.queue,
            vault: &self.vault,
            shop: &self.shop,
            authorities: &NoProvider,
            clock: &self.clock,
            chance: &self.chance,
            memory: &self.memory,
            timers: &self.timers,
        };
        sweep.sweep(self.clock.now_ms() + FUNCTION_MS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_run_stays_discarded() -> anyhow::Result<()> {
    let (scene, run_id, _) = previewed().await?;
    let operate = scene.operate();
    assert_eq!(code_of(operate.release(&run_id).await), "binding_not_live");
    assert_eq!(operate.previews(Some(&scene.binding.binding), None, 10).await?.runs.len(), 1);
    let run = operate.discard(&run_id, "not this one").await?;
    assert_eq!((run.state.as_str(), run.code.as_deref()), ("skipped", Some("discarded")));
    assert_eq!(run.message.as_deref(), Some("not this one"));
    assert!(!edges::is_opened_by_a_delivery(&run) && edges::can_be_reopened(&run));
    assert_eq!(operate.discard(&run_id, "again").await?, run);
    assert!(operate.previews(None, None, 10).await?.runs.is_empty());
    assert_eq!(code_of(operate.release(&run_id).await), "not_previewed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_of_a_binding_are_released_by_a_job() -> anyhow::Result<()> {
    let (scene, run_id, _) = previewed().await?;
    let operate = scene.operate();
    let new = NewJob {
        tenant: TENANT.to_owned(),
        binding: scene.binding.binding.clone(),
        kind: JobKind::ReleasePreviews,
        operator: "op-1".to_owned(),
        reason: None,
        events: Vec::new(),
        since: None,
        entity: None,
        from_id: None,
        to_id: None,
    };
    assert_eq!(code_of(operate.start_job(&new).await), "binding_not_live");
    operate.set_mode(TENANT, &scene.binding.binding, Mode::Live).await?;
    operate.start_job(&new).await?;
    assert_eq!(code_of(operate.start_job(&new).await), "job_under_way");
    scene.sweeps().await;
    let jobs = operate.jobs(TENANT, &scene.binding.binding).await?;
    assert_eq!(jobs.iter().map(|job| (job.state.as_str(), job.done)).collect::<Vec<_>>(), [("finished", 1)]);
    assert_eq!(scene.run(&run_id).await?.state, "queued");
    let run = scene.attempts(&run_id).await?;
    assert_eq!((run.state.as_str(), run.code.as_deref()), ("succeeded", None));
    assert_eq!(run.preview, None);
    let shown = scene.shows(&run_id).await?;
    assert_eq!((shown.outcome, shown.requests.len()), ("nothing", 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_names_is_linked_once_the_book_has_it() -> anyhow::Result<()> {
    let (scene, run_id, id) = previewed().await?;
    let (operate, post) = (scene.operate(), scene.post());
    let preview = Preview { operate: &operate, post: &post, deadline: scene.clock.now_ms() + FUNCTION_MS };
    let settle = |provider_id: Option<&str>| SettleRequest {
        run_id: run_id.clone(),
        provider_id: provider_id.map(str::to_owned),
        reference: Some("INV-7".to_owned()),
    };
    assert_eq!(code_of(preview.settle(&settle(Some("4711"))).await), "not_in_book");
    assert_eq!(code_of(preview.settle(&settle(None)).await), "not_in_book");
    assert!(matches!(
        preview.settle(&settle(Some("https://elsewhere.example/v2/invoices/1"))).await,
        Err(OperateError::Invalid { field: "provider_id", .. })
    ));
    let income = scene.binding.settings.income_category.clone();
    scene.book.stage.book.has_strangers_invoice("BY-HAND", &income)?;
    let by_hand = scene.book.stage.statement().invoices.first().context("no invoice")?.id.clone();
    let settled = preview.settle(&settle(Some(&by_hand))).await?;
    assert!(settled.confirmed);
    assert_eq!((settled.run.state.as_str(), settled.run.code.as_deref()), ("succeeded", Some("settled_by_hand")));
    assert!(!edges::is_opened_by_a_delivery(&settled.run));
    let rows = operate.xrefs_of(TENANT, &scene.binding.binding, Kind::Invoice, id).await?;
    let kinds: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["invoice", "reverse"]);
    let shown = scene.shows(&run_id).await?;
    assert_eq!((shown.outcome, shown.requests.len()), ("nothing", 0));
    let rows = operate.reset_xrefs(TENANT, &scene.binding.binding, Kind::Invoice, id).await?;
    assert_eq!(rows.iter().map(|row| row.state.as_str()).collect::<Vec<_>>(), ["find_first"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_taken_over_without_doubles() -> anyhow::Result<()> {
    let (scene, run_id, id) = previewed().await?;
    let operate = scene.operate();
    let other = id + 1;
    let csv = format!(
        "entity_type,magento_id,provider,sync_status,provider_entity_id,provider_reference\n\
         invoice,{id},xero,synced,17,INV-17\n\
         invoice,{other},xero,synced,17,INV-17\n\
         invoice,9,freeagent,synced,9,\n\
         invoice,10,xero,failed,,\n\
         customer,5,xero,synced,a b,\n\
         thing,5,xero,synced,5,\n"
    );
    let binding = &scene.binding.binding;
    let report = operate.import_xrefs(TENANT, binding, &csv, true).await?;
    assert_eq!((report.taken, report.there, report.passed), (2, 0, 2));
    let report = operate.import_xrefs(TENANT, binding, &csv, false).await?;
    let clashes: Vec<(u64, &str)> = report.clashes.iter().map(|clash| (clash.line, clash.code)).collect();
    assert_eq!(clashes, [(6, "unreadable_id"), (7, "unreadable_line"), (3, "document_of_another")]);
    assert_eq!((report.taken, report.there, report.passed), (1, 0, 2));
    let report = operate.import_xrefs(TENANT, binding, &csv, false).await?;
    assert_eq!((report.taken, report.there), (0, 1));
    let shown = scene.shows(&run_id).await?;
    assert_eq!((shown.outcome, shown.requests.len()), ("nothing", 0));
    assert!(matches!(
        operate.import_xrefs(TENANT, binding, "entity_type\n", false).await,
        Err(OperateError::Invalid { field: "csv", .. })
    ));
    Ok(())
}
