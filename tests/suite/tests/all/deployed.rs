//! The deployed template, with its permissions enforced: one document whatever is repeated, at once, or killed.

use anyhow::{Context, ensure};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use futures::StreamExt as _;
use ledger_engine::domain::identity::{BindingId, Event, RunId};
use ledger_engine::edges;
use ledger_engine::ports::{Accepted, Deliveries};
use ledger_engine::wire::rows::{JtiRow, ROW_VERSION, RunRow, keys};
use ledger_suite::deployed::{Deployed, until};
use ledger_suite::stack;
use ledger_suite::trip::Side;
use ledger_suite::world::{API_KEY, Spoken};
use ledger_world::book::{Book, BookFault, BookOptions, FaultSpec};
use ledger_world::runtime_api::{LambdaFunction, LambdaOptions};
use ledger_world::shop::{Address, ItemSpec, MemoSpec, OrderSpec, Shop, ShopOptions, jwt};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Everything on the local engine is done within this.
const LIMIT: Duration = Duration::from_secs(120);
/// A killed worker's claim lasts until its invocation would have ended; a write needs half a minute of it.
const INVOCATION: Duration = Duration::from_secs(40);
/// Deliveries of the same webhook.
const DELIVERIES: usize = 1_000;
/// Of them, under way at once.
const AT_ONCE: usize = 50;

pub(crate) fn now_seconds() -> i64 {
    use ledger_engine::ports::Clock;
    ledger_aws::SystemClock.now_ms().div_euclid(1_000)
}

pub(crate) fn unique() -> String {
    use ledger_engine::ports::Chance;
    ledger_aws::SystemChance.uuid()
}

/// A client without habits of its own. It speaks plain HTTP here, but wants a TLS provider all the same.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()?)
}

struct Webhook {
    url: String,
    tenant: String,
    client: reqwest::Client,
}

impl Webhook {
    fn of(deployed: &Deployed) -> anyhow::Result<Self> {
        let client = client()?;
        Ok(Self { url: deployed.setting("LEDGER_URL")?, tenant: deployed.tenant.clone(), client })
    }

    async fn post(&self, event: &str, key: &str, body: &str, token: &str) -> anyhow::Result<(u16, String)> {
        let answer = self
            .client
            .post(format!("{}/webhooks/magento/{}/{event}?provider=xero", self.url, self.tenant))
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", key)
            .body(body.to_owned())
            .send()
            .await?;
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
        Ok((status, body["sync_run_id"].as_str().unwrap_or_default().to_owned()))
    }

    fn token(&self) -> String {
        jwt::outbound_token(API_KEY, &self.tenant, now_seconds(), &unique())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_webhook_delivered_a_thousand_times_is_one_document() -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start("thousand").await? else { return Ok(()) };
    let webhook = Webhook::of(&deployed)?;
    let invoice = deployed.shop.raises("b2b-on-terms")?;
    let row = deployed.shop.outbox().into_iter().next().context("no outbox row")?;
    let key = row.idempotency_key.clone();
    let first = webhook.token();
    let asked = std::iter::once(first.clone()).chain((1..DELIVERIES).map(|_| webhook.token()));
    let answers: Vec<_> = futures::stream::iter(asked)
        .map(|token| {
            let (webhook, key, body) = (&webhook, key.as_str(), row.payload.as_str());
            async move { webhook.post("invoice.created", key, body, &token).await }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut seen = BTreeSet::new();
    for answer in answers {
        seen.insert(answer?);
    }
    // And the very same request again.
    seen.insert(webhook.post("invoice.created", &key, &row.payload, &first).await?);
    ensure!(seen.len() == 1 && seen.iter().all(|(status, id)| *status == 202 && id.len() == 36), "{seen:?}");

    until("the invoice is synced", LIMIT, || async {
        Ok(deployed.shop.chip("invoice", invoice).is_some_and(|chip| chip.sync_status == "synced"))
    })
    .await?;
    ensure!(deployed.book.invoices().len() == 1, "{} invoices", deployed.book.invoices().len());
    ensure!(deployed.book.contacts().len() == 1, "{} contacts", deployed.book.contacts().len());
    ensure!(deployed.runs(&deployed.tenant).await?.len() == 1, "more than one run");
    Ok(())
}

/// The run of an event stands like this, and so does the chip, with the code where it shows one.
async fn ends(deployed: &Deployed, event: &str, id: i64, state: &str, code: Option<&str>) -> anyhow::Result<()> {
    let entity = event.split('.').next().unwrap_or_default();
    let seen = Mutex::new(String::new());
    let last = &seen;
    let came = until(&format!("{event} of {id} is {state} ({code:?})"), LIMIT, || async move {
        deployed.shop.ticks().await;
        let runs = deployed.runs(&deployed.tenant).await?;
        let run = runs.iter().find(|run| run.event == event && i64::try_from(run.magento_id).ok() == Some(id));
        let chip = deployed.shop.chip(entity, id);
        *last.lock().unwrap() = format!("{:?}, {chip:?}", run.map(|run| (&run.state, &run.code, &run.message)));
        let settled = run.is_some_and(|run| run.state == state && run.code.as_deref() == code);
        let (shown, told) = if state == "dead_lettered" { ("failed", code) } else { ("synced", None) };
        if !settled {
            deployed.sweeps().await?;
        }
        Ok(settled
            && chip.is_some_and(|it| it.sync_status == shown && it.skip_reason.or(it.error_code).as_deref() == told))
    })
    .await;
    came.with_context(|| seen.into_inner().unwrap())
}

async fn a_week_in(spoken: Spoken) -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start_in(&format!("week-{}", spoken.dialect()), spoken).await? else {
        return Ok(());
    };
    let mugs = |method: &str| {
        OrderSpec::for_guest("sam@example.com", "Sam", "Lee", Address::british("1 High Street", "London", "N1 7AA"))
            .item(ItemSpec::simple("MUG", "Mug", 3, "15.99"))
            .paid_by(method)
    };
    let sells = |order: &OrderSpec| -> anyhow::Result<(i64, i64)> {
        let placed = deployed.shop.places(order)?;
        Ok((placed.id, deployed.shop.invoices(&placed)?))
    };
    // All at once: whatever overtakes whatever, each comes to its own end.
    let (order, paid) = sells(&mugs("stripe_payments"))?;
    let (_, by_word) = sells(&mugs("checkmo"))?;
    let (_, unmapped) = sells(&mugs("paypal_express"))?;
    let mut strange = mugs("trade_credit");
    strange.items = vec![ItemSpec::simple("TEE", "Tee", 10, "100").taxed("33")];
    let (_, strange) = sells(&strange)?;
    let nothing = sells(&mugs("stripe_payments").percent_off(100))?.1;
    let mut memos = vec![deployed.shop.refunds_invoice(by_word)?];
    for _ in 0..3 {
        memos.push(deployed.shop.refunds(&MemoSpec::of_invoice(order, paid).only("MUG", 1))?);
    }
    let (order, _) = sells(&mugs("stripe_payments"))?;
    let unnamed = deployed.shop.refunds(&MemoSpec::of_order(order))?;
    for invoice in [paid, by_word, unmapped, nothing] {
        ends(&deployed, "invoice.created", invoice, "succeeded", None).await?;
    }
    ends(&deployed, "invoice.paid", paid, "succeeded", None).await?;
    ends(&deployed, "invoice.paid", unmapped, "skipped", Some("payment_method_not_mapped")).await?;
    ends(&deployed, "invoice.created", strange, "dead_lettered", Some("tax_rate_unmapped")).await?;
    for memo in memos {
        ends(&deployed, "creditmemo.created", memo, "succeeded", None).await?;
    }
    ends(&deployed, "creditmemo.created", unnamed, "succeeded", Some("invoice_not_named")).await?;
    let book = deployed.holds();
    let counted = (book.contacts.len(), book.invoices.len(), book.credit_notes.len());
    ensure!(counted == (1, 5, 5), "{counted:?}");
    // Two were paid, one was set off, three parts went back.
    let moved = (book.payments.len(), book.allocations.len(), book.refunds.len());
    ensure!(moved == (2, 1, 3), "{moved:?}");
    let open: Vec<_> = book.credit_notes.iter().filter(|note| note.open).collect();
    ensure!(open.len() == 1, "{open:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_in_every_book() -> anyhow::Result<()> {
    let weeks = Spoken::ALL.map(|spoken| async move { a_week_in(spoken).await.with_context(|| format!("{spoken:?}")) });
    for week in futures::future::join_all(weeks).await {
        week?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_with_another_body_is_another_run_of_a_customer() -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start("customer").await? else { return Ok(()) };
    let webhook = Webhook::of(&deployed)?;
    let mut ids = BTreeSet::new();
    for occurred_at in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:01Z"] {
        let body = json!({"magento_entity_id": 17, "occurred_at": occurred_at, "payload": []}).to_string();
        let (status, id) = webhook.post("customer.upserted", "customer.upserted:17", &body, &webhook.token()).await?;
        ensure!(status == 202, "{status}");
        ids.insert(id);
    }
    ensure!(ids.len() == 2, "{ids:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_twice_is_done_within_two_sweeps() -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start("twice").await? else { return Ok(()) };
    let fault = BookFault::RateLimited { retry_after: Some(1) };
    deployed.book.faults(FaultSpec::on("POST", "/v2/invoices", 2, fault));
    // Of a guest and not paid yet: one event alone, so that nobody else takes the book or the faults.
    let address = Address::british("1 High Street", "London", "N1 7AA");
    let order = OrderSpec::for_guest("sam@example.com", "Sam", "Lee", address)
        .item(ItemSpec::simple("MUG", "Mug", 1, "19.99").taxed(20))
        .paid_by("trade_credit");
    let order = deployed.shop.places(&order)?;
    let invoice = deployed.shop.invoices(&order)?;
    deployed.shop.ticks().await;
    for failures in 1..=2 {
        until("the attempt failed", LIMIT, || async {
            let runs = deployed.runs(&deployed.tenant).await?;
            // Other tests sweep the same stack, so that the run may be further on by the time it is looked at.
            Ok(runs.iter().any(|run| run.failures >= failures || run.state == "succeeded"))
        })
        .await?;
        until("the run is due", LIMIT, || async {
            use ledger_engine::ports::Clock;
            let runs = deployed.runs(&deployed.tenant).await?;
            Ok(runs.iter().all(|run| run.due_at.is_none_or(|due| due < ledger_aws::SystemClock.now_ms())))
        })
        .await?;
        deployed.sweeps().await?;
    }
    until("the invoice is synced", LIMIT, || async {
        Ok(deployed.shop.chip("invoice", invoice).is_some_and(|chip| chip.sync_status == "synced"))
    })
    .await?;
    ensure!(deployed.book.invoices().len() == 1);
    let posts = deployed.book.log().iter().filter(|it| it.method == "POST" && it.path == "/v2/invoices").count();
    ensure!(posts == 3, "{posts} tries instead of two that fail and one that does not");
    Ok(())
}

/// A built worker in a process of its own, with the deployed stack's settings.
async fn worker(deployed: &Deployed, change: impl FnOnce(&mut LambdaOptions)) -> anyhow::Result<LambdaFunction> {
    let binary = stack::workspace().join("target/debug/worker-invoice-created");
    ensure!(binary.exists(), "{} is not built", binary.display());
    let mut options = LambdaOptions::new(binary).timeout(Duration::from_secs(60));
    for (name, value) in &deployed.environment {
        let passed = name.starts_with("TABLE_")
            || name.starts_with("QUEUE_")
            || name.starts_with("AWS_")
            || ["KMS_KEY_ID", "LEDGER_STACK"].contains(&name.as_str());
        if passed {
            options = options.env(name, value.clone());
        }
    }
    options = options
        .env("ALLOW_PRIVATE_ADDRESSES", "true")
        .env("LEASE_WAIT_SECONDS", "1")
        .env("RETRY_SCALE_PERCENT", "2")
        .env("SETTLE_SCALE_PERCENT", "1")
        .env("STALL_SECONDS", "3");
    options.region = deployed.setting("AWS_REGION")?;
    change(&mut options);
    LambdaFunction::spawn(options).await
}

/// A run that is written but never sent, and the event that would have brought it to a worker.
async fn unsent_run(deployed: &Deployed, tenant: &str, binding: &str, invoice: i64) -> anyhow::Result<(RunRow, Value)> {
    use ledger_engine::ports::Clock;
    let id = BindingId::parse(binding).context("not a binding")?;
    let key = format!("invoice.created:{invoice}");
    let run_id = RunId::derive(&id, Event::InvoiceCreated, &key, b"");
    let now = ledger_aws::SystemClock.now_ms();
    let row = RunRow {
        pk: keys::run(run_id.as_str()),
        sk: keys::RUN.to_owned(),
        v: ROW_VERSION,
        run_id: run_id.to_string(),
        tenant: tenant.to_owned(),
        binding: binding.to_owned(),
        provider: "xero".to_owned(),
        book: format!("xero:{tenant}"),
        event: "invoice.created".to_owned(),
        magento_id: u64::try_from(invoice)?,
        website_id: 1,
        store_id: 1,
        idempotency_key: key,
        generation: 1,
        dispatch: 1,
        received_at: now,
        ..RunRow::default()
    };
    let timers = ledger_engine::config::Timers { stall_seconds: 30, ..Default::default() };
    let row = edges::queued(&row, now, &timers);
    let jti = JtiRow {
        pk: keys::jti(tenant, &unique()),
        sk: keys::JTI.to_owned(),
        v: ROW_VERSION,
        runs: vec![row.run_id.clone()],
        delivery_hash: String::new(),
        expires_at: now_seconds() + 600,
    };
    let accepted = deployed.store.accept(std::slice::from_ref(&row), &jti, now_seconds(), &unique()).await?;
    ensure!(accepted == Accepted::Fresh, "{accepted:?}");
    let message = edges::run_message(&row).context("no message")?;
    let event = json!({"Records": [{
        "messageId": unique(),
        "receiptHandle": "none",
        "body": message.body,
        "attributes": {"MessageGroupId": message.group, "ApproximateReceiveCount": "1"},
    }]});
    Ok((row, event))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_processes_of_one_book_never_overlap() -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start("five").await? else { return Ok(()) };
    deployed.book.takes(200);
    let mut given = Vec::new();
    for _ in 0..5 {
        let invoice = deployed.shop.raises("b2b-on-terms")?;
        let (_, event) = unsent_run(&deployed, &deployed.tenant, &deployed.binding, invoice).await?;
        given.push((worker(&deployed, |_| {}).await?, event));
    }
    for (function, _) in &given {
        function.is_ready().await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    }
    // All at once; who has to give its message back gets it again.
    let work = given.iter().map(|(function, event)| async move {
        for _ in 0..60 {
            let answer = function.invoke(event).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
            if answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty) {
                return Ok(());
            }
        }
        anyhow::bail!("a message is given back for ever")
    });
    for result in futures::future::join_all(work).await {
        result?;
    }
    ensure!(deployed.book.invoices().len() == 5, "{} invoices", deployed.book.invoices().len());
    ensure!(deployed.book.contacts().len() == 1, "{} contacts", deployed.book.contacts().len());
    ensure!(deployed.book.overlaps().is_empty(), "writers overlapped: {:?}", deployed.book.overlaps());
    Ok(())
}

/// Where a process is killed, and what it has asked for so far.
struct Guard {
    calls: AtomicUsize,
    at: Option<(usize, Side)>,
    victim: Mutex<Option<Arc<LambdaFunction>>>,
}

impl Guard {
    /// Kills the caller; it is dead when this returns, so that no answer reaches it any more.
    async fn kill(&self) {
        let victim = self.victim.lock().unwrap().clone();
        if let Some(victim) = victim {
            victim.kill();
            victim.has_ended().await;
        }
    }
}

/// A way to somebody that counts the calls and kills the caller at one of them.
struct Way {
    to: OnceLock<String>,
    guard: Arc<Guard>,
    client: reqwest::Client,
}

async fn pass(
    State(way): State<Arc<Way>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, Bytes) {
    let number = way.guard.calls.fetch_add(1, Ordering::SeqCst);
    if way.guard.at == Some((number, Side::Before)) {
        way.guard.kill().await;
        return (StatusCode::BAD_GATEWAY, HeaderMap::new(), Bytes::new());
    }
    let path = uri.path_and_query().map(|path| path.as_str()).unwrap_or("/");
    let mut request =
        way.client.request(method, format!("{}{path}", way.to.get().map_or("", String::as_str))).body(body);
    for (name, value) in &headers {
        // The host stays what the caller signed.
        if !["connection", "transfer-encoding", "content-length"].contains(&name.as_str()) {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.send().await else {
        return (StatusCode::BAD_GATEWAY, HeaderMap::new(), Bytes::new());
    };
    let status = answer.status();
    let mut kept = HeaderMap::new();
    for (name, value) in answer.headers() {
        if !["connection", "transfer-encoding", "content-length"].contains(&name.as_str()) {
            kept.insert(name.clone(), value.clone());
        }
    }
    let body = answer.bytes().await.unwrap_or_default();
    if way.guard.at == Some((number, Side::After)) {
        way.guard.kill().await;
    }
    (status, kept, body)
}

async fn open_way(guard: &Arc<Guard>) -> anyhow::Result<(String, Arc<Way>)> {
    let way = Arc::new(Way { to: OnceLock::new(), guard: Arc::clone(guard), client: client()? });
    let router = axum::Router::new().fallback(pass).with_state(Arc::clone(&way));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((url, way))
}

/// One invoice, one worker, one call at which it is killed.
struct Case {
    name: String,
    run_id: String,
    calls: usize,
    invoice: i64,
    shop: Shop,
    book: Book,
}

/// Lets a worker process make an attempt and kills it at one of its calls.
async fn killed_at(deployed: &Deployed, name: &str, at: Option<(usize, Side)>) -> anyhow::Result<Case> {
    let guard = Arc::new(Guard { calls: AtomicUsize::new(0), at, victim: Mutex::new(None) });
    let (aws_url, aws) = open_way(&guard).await?;
    let (shop_url, to_shop) = open_way(&guard).await?;
    let (book_url, to_book) = open_way(&guard).await?;
    let shop = Shop::start(ShopOptions::default()).await?;
    // The book calls itself by the address of the way to it, because its documents are known by their URLs.
    let book = Book::start(BookOptions { public_url: Some(book_url.clone()), ..BookOptions::default() }).await?;
    book.sets(|switches| switches.unique_references = false);
    for (way, to) in [(&aws, deployed.setting("AWS_ENDPOINT_URL")?), (&to_shop, shop.url()), (&to_book, direct(&book))]
    {
        way.to.set(to).map_err(|_| anyhow::anyhow!("a way has an end already"))?;
    }
    let tenant = format!("k{name}-{}", std::process::id());
    let binding = deployed.joins(&tenant, &shop_url, &book_url).await?;
    shop.pair_directly(&tenant, API_KEY, &deployed.setting("LEDGER_URL")?);
    let invoice = shop.raises("guest-two-rates")?;
    let (row, event) = unsent_run(deployed, &tenant, &binding, invoice).await?;
    let function = Arc::new(
        worker(deployed, |options| {
            options.environment.insert("AWS_ENDPOINT_URL".to_owned(), aws_url);
        })
        .await?,
    );
    *guard.victim.lock().unwrap() = Some(Arc::clone(&function));
    let outcome = function.invoke_within(&event, INVOCATION).await;
    ensure!(at.is_some() == outcome.is_err(), "case {name}: {outcome:?} after {:?}", guard.calls);
    let calls = guard.calls.load(Ordering::SeqCst);
    Ok(Case { name: name.to_owned(), run_id: row.run_id, calls, invoice, shop, book })
}

fn direct(book: &Book) -> String {
    book.url()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_at_any_of_its_calls_leaves_one_document() -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start("killed").await? else { return Ok(()) };
    let recorded = killed_at(&deployed, "record", None).await?;
    ensure!(recorded.calls >= 8, "only {} calls", recorded.calls);
    let mut cases = Vec::new();
    for number in 0..recorded.calls {
        for (side, letter) in [(Side::Before, 'b'), (Side::After, 'a')] {
            cases.push(killed_at(&deployed, &format!("{number}{letter}"), Some((number, side))).await?);
        }
    }
    // The claims of the dead run out; the deployed sweeper and workers finish what they left.
    until("every run has succeeded", Duration::from_secs(240), || async {
        deployed.sweeps().await?;
        for case in &cases {
            if deployed.run(&case.run_id).await?.run.state != "succeeded" {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await?;
    for case in &cases {
        let (invoices, contacts) = (case.book.invoices().len(), case.book.contacts().len());
        ensure!(invoices == 1 && contacts == 1, "case {}: {invoices} invoices, {contacts} contacts", case.name);
    }
    until("every chip is true", LIMIT, || async {
        deployed.sweeps().await?;
        let synced = |case: &Case| case.shop.chip("invoice", case.invoice).is_some_and(|it| it.sync_status == "synced");
        Ok(cases.iter().all(synced))
    })
    .await
}
