//! Every alarm of the template: its trouble is made, what it watches moves past its threshold, and back once it is mended.
//!
//! What the sweeper counts is read from the lines that the built function writes, as CloudWatch reads them: a metric counts
//! only under the namespace, the name and exactly the dimensions that the alarm watches. What AWS counts is shown by the real
//! queue and by invocations of the deployed functions.

use crate::documents::template_entries;
use crate::functions::built;
use anyhow::{Context as _, bail, ensure};
use ledger_aws::{Config, DynamoStore, KmsVault, SqsQueue, SystemChance, SystemClock};
use ledger_bench::aws::sqs::{DEAD_LETTER, INVOICE_CREATED, Message, PUSH_SYNC_STATE};
use ledger_bench::aws::{dynamo, item};
use ledger_bench::scene::{Scene, TENANT, batch, binary, event};
use ledger_engine::config::Timers;
use ledger_engine::operate::Operate;
use ledger_engine::ports::{Clock as _, Tenants as _};
use ledger_suite::deployed::{Deployed, until};
use ledger_world::book::{BookFault, FaultSpec};
use ledger_world::runtime_api::{FunctionError, LambdaFunction};
use ledger_world::shop::ShopFault;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::net::TcpListener;

/// What a function writes is read within this.
const LINES_WITHIN: Duration = Duration::from_secs(10);
/// What the deployed stack brings about is there within this.
const LIMIT: Duration = Duration::from_secs(120);
/// An invocation that is to run out of time has so much of it.
const SHORT: Duration = Duration::from_secs(2);
/// The stack's name, as the scene tells functions.
const STACK: &str = "ledger-bench";

/// A trouble that an alarm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// A bell rings.
    Bell,
    /// A document that an owner has to look at.
    Dead(&'static str),
    /// Something is due that no sweep gets done.
    Overdue,
    /// Work is held.
    Held,
    /// Nobody takes what is queued.
    Stalled,
    /// No sweep ends, or it sees nothing.
    NoSweep,
    /// Invocations of a function end in an error.
    Dies(&'static str),
    /// A function may not be started.
    Throttled(&'static str),
}

/// Every alarm and its trouble.
const CASES: [(&str, Trouble); 27] = [
    ("DeadLetterQueueDepthAlarm", Trouble::Bell),
    ("DeadLettersMerchantAlarm", Trouble::Dead("merchant")),
    ("DeadLettersAccountantAlarm", Trouble::Dead("accountant")),
    ("DeadLettersOperatorAlarm", Trouble::Dead("operator")),
    ("DeadLettersLedgerAlarm", Trouble::Dead("ledger")),
    ("OldestDueAgeAlarm", Trouble::Overdue),
    ("HeldRunsAlarm", Trouble::Held),
    ("StalledRunsAlarm", Trouble::Stalled),
    ("SweeperHeartbeatAlarm", Trouble::NoSweep),
    ("WebhookErrorsAlarm", Trouble::Dies("webhook")),
    ("WebhookThrottlesAlarm", Trouble::Throttled("webhook")),
    ("ApiErrorsAlarm", Trouble::Dies("api")),
    ("ApiThrottlesAlarm", Trouble::Throttled("api")),
    ("WorkerInvoiceCreatedErrorsAlarm", Trouble::Dies("worker-invoice-created")),
    ("WorkerInvoiceCreatedThrottlesAlarm", Trouble::Throttled("worker-invoice-created")),
    ("WorkerInvoicePaidErrorsAlarm", Trouble::Dies("worker-invoice-paid")),
    ("WorkerInvoicePaidThrottlesAlarm", Trouble::Throttled("worker-invoice-paid")),
    ("WorkerCreditmemoCreatedErrorsAlarm", Trouble::Dies("worker-creditmemo-created")),
    ("WorkerCreditmemoCreatedThrottlesAlarm", Trouble::Throttled("worker-creditmemo-created")),
    ("WorkerCustomerUpsertedErrorsAlarm", Trouble::Dies("worker-customer-upserted")),
    ("WorkerCustomerUpsertedThrottlesAlarm", Trouble::Throttled("worker-customer-upserted")),
    ("WorkerProductUpsertedErrorsAlarm", Trouble::Dies("worker-product-upserted")),
    ("WorkerProductUpsertedThrottlesAlarm", Trouble::Throttled("worker-product-upserted")),
    ("WorkerPushSyncStateErrorsAlarm", Trouble::Dies("worker-push-sync-state")),
    ("WorkerPushSyncStateThrottlesAlarm", Trouble::Throttled("worker-push-sync-state")),
    ("SweeperErrorsAlarm", Trouble::Dies("sweeper")),
    ("SweeperThrottlesAlarm", Trouble::Throttled("sweeper")),
];

/// An alarm as the template has it, with the defaults of its parameters.
#[derive(Clone, Debug, PartialEq)]
struct Alarm {
    name: String,
    namespace: String,
    metric: String,
    /// As written: `!Ref AWS::StackName` and the like.
    dimensions: BTreeMap<String, String>,
    comparison: String,
    threshold: i64,
    /// What it makes of a minute without a value.
    missing: String,
}

impl Alarm {
    fn of(name: &str, lines: &[String], parameters: &BTreeMap<String, i64>) -> anyhow::Result<Self> {
        let property = |property: &str| {
            let found = lines.iter().find_map(|line| line.strip_prefix(&format!("{property}: ")));
            found.map(str::to_owned).with_context(|| format!("{name} has no {property}"))
        };
        let mut dimensions = BTreeMap::new();
        for line in lines.iter().filter_map(|line| line.strip_prefix("- {Name: ")) {
            let (name, value) =
                line.trim_end_matches('}').split_once(", Value: ").context("a dimension of another shape")?;
            dimensions.insert(name.to_owned(), value.to_owned());
        }
        let threshold = property("Threshold")?;
        let threshold = match threshold.strip_prefix("!Ref ") {
            Some(parameter) => *parameters.get(parameter).with_context(|| format!("no parameter {parameter}"))?,
            None => threshold.parse()?,
        };
        Ok(Self {
            name: name.to_owned(),
            namespace: property("Namespace")?,
            metric: property("MetricName")?,
            dimensions,
            comparison: property("ComparisonOperator")?,
            threshold,
            missing: property("TreatMissingData")?,
        })
    }

    /// Whether a minute with this value, or without one, breaches the threshold.
    fn breaches(&self, value: Option<i64>) -> anyhow::Result<bool> {
        let Some(value) = value else { return Ok(self.missing == "breaching") };
        match self.comparison.as_str() {
            "GreaterThanThreshold" => Ok(value > self.threshold),
            "LessThanThreshold" => Ok(value < self.threshold),
            other => bail!("{}: {other}", self.name),
        }
    }

    /// What a line of a function's log says of the metric that the alarm watches in a stack.
    ///
    /// Source: Amazon CloudWatch user guide, "Embedded metric format specification"; "CloudWatch concepts": each combination of
    /// dimensions is a metric of its own.
    fn told_by(&self, line: &Value, stack: &str) -> Option<i64> {
        let wanted: BTreeSet<&str> = self.dimensions.keys().map(String::as_str).collect();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let told = list(&line["_aws"]["CloudWatchMetrics"]).into_iter().any(|directive| {
            let named = list(&directive["Metrics"]).iter().any(|metric| metric["Name"] == self.metric.as_str());
            let alike = list(&directive["Dimensions"]).iter().any(|set| {
                let set = list(set);
                set.iter().filter_map(Value::as_str).collect::<BTreeSet<_>>() == wanted
            });
            directive["Namespace"] == self.namespace.as_str() && named && alike
        });
        let of_it = self.dimensions.iter().all(|(name, value)| {
            let value = if value == "!Ref AWS::StackName" { stack } else { value.as_str() };
            line[name] == value
        });
        line[&self.metric].as_i64().filter(|_| told && of_it)
    }
}

/// The template's alarms.
fn alarms() -> anyhow::Result<Vec<Alarm>> {
    let mut parameters = BTreeMap::new();
    for (name, lines) in template_entries("Parameters")? {
        let default = lines.iter().find_map(|line| line.strip_prefix("Default: ")?.parse().ok());
        parameters.extend(default.map(|default| (name, default)));
    }
    let is_alarm = |lines: &[String]| lines.iter().any(|line| line == "Type: AWS::CloudWatch::Alarm");
    let resources = template_entries("Resources")?.into_iter().filter(|(_, lines)| is_alarm(lines));
    resources.map(|(name, lines)| Alarm::of(&name, &lines, &parameters)).collect()
}

fn alarm(name: &str) -> anyhow::Result<Alarm> {
    alarms()?.into_iter().find(|alarm| alarm.name == name).with_context(|| format!("the template has no {name}"))
}

/// Where a function is in the template.
fn logical_id(folder: &str) -> String {
    let words = folder.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_uppercase())
    });
    words.collect::<String>() + "Function"
}

#[test]
fn every_alarm_has_a_trouble_and_watches_what_that_trouble_moves() -> anyhow::Result<()> {
    let alarms = alarms()?;
    let there: BTreeSet<&str> = alarms.iter().map(|alarm| alarm.name.as_str()).collect();
    let known: BTreeSet<&str> = CASES.iter().map(|(name, _)| *name).collect();
    ensure!(there == known && known.len() == CASES.len(), "{:?}", there.symmetric_difference(&known));
    for (name, trouble) in CASES {
        let alarm = alarm(name)?;
        let (namespace, dimensions) = match trouble {
            Trouble::Bell => ("AWS/SQS", vec![("QueueName", "!GetAtt DeadLetterQueue.QueueName".to_owned())]),
            Trouble::Dead(owner) => {
                ("Ledger", vec![("Owner", owner.to_owned()), ("Stack", "!Ref AWS::StackName".to_owned())])
            }
            Trouble::Overdue | Trouble::Held | Trouble::Stalled | Trouble::NoSweep => {
                ("Ledger", vec![("Stack", "!Ref AWS::StackName".to_owned())])
            }
            Trouble::Dies(folder) | Trouble::Throttled(folder) => {
                ("AWS/Lambda", vec![("FunctionName", format!("!Ref {}", logical_id(folder)))])
            }
        };
        let dimensions = dimensions.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        ensure!((alarm.namespace.as_str(), &alarm.dimensions) == (namespace, &dimensions), "{alarm:?}");
        // Without trouble none of them rings.
        let well = if trouble == Trouble::NoSweep { 1 } else { 0 };
        ensure!(!alarm.breaches(Some(well))?, "{alarm:?}");
        ensure!(alarm.breaches(None)? == (trouble == Trouble::NoSweep), "{alarm:?}");
    }
    Ok(())
}

/// A stack of built functions whose tables, queues and key are the test's own.
struct Own {
    scene: Scene,
    store: DynamoStore,
    queue: SqsQueue,
    vault: KmsVault,
    timers: Timers,
}

impl Own {
    async fn start() -> anyhow::Result<Option<Self>> {
        if built().is_none() {
            return Ok(None);
        }
        let scene = Scene::start().await?;
        let environment = scene.environment();
        let aws = ledger_aws::Aws::new(&Config::from_lookup(&|name| environment.get(name).cloned())?)?;
        let (store, queue, vault) = (aws.store(), aws.queue(), aws.vault());
        Ok(Some(Self { scene, store, queue, vault, timers: Timers::default() }))
    }

    fn operator(&self) -> Operate<'_> {
        Operate {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            clock: &SystemClock,
            chance: &SystemChance,
            timers: &self.timers,
        }
    }

    async fn spawns(&self, folder: &str, changes: &[(&str, &str)]) -> anyhow::Result<LambdaFunction> {
        let functions = built().context("nothing is built")?;
        self.scene.spawns_with(&binary(&functions, folder), changes).await
    }

    /// The shop raises an invoice and its event is delivered; the messages that wait for the worker.
    async fn delivers(&self, webhook: &LambdaFunction) -> anyhow::Result<Vec<Message>> {
        self.scene.delivers(webhook, &self.scene.raises(None)?).await?;
        Ok(self.waiting())
    }

    /// The shop tells the last of its events again.
    async fn delivers_again(&self, webhook: &LambdaFunction) -> anyhow::Result<()> {
        let row = self.scene.shop.outbox().into_iter().rev().find(|row| row.event_name == "invoice.created");
        let delivery = self.scene.shop.delivery(row.context("nothing was told")?.entity_id)?;
        self.scene.delivers(webhook, &delivery).await
    }

    fn waiting(&self) -> Vec<Message> {
        self.scene.aws.queues().take(INVOICE_CREATED)
    }

    /// The worker takes what waits for it, and the shop hears of it.
    async fn works(&self) -> anyhow::Result<()> {
        let worker = self.spawns("worker-invoice-created", &[]).await?;
        worker.invoke(&batch(&self.waiting())?).await?;
        let push = self.spawns("worker-push-sync-state", &[]).await?;
        push.invoke(&batch(&self.scene.aws.queues().take(PUSH_SYNC_STATE))?).await?;
        Ok(())
    }

    /// The rows of runs.
    fn runs(&self) -> Vec<item::Item> {
        let rows = self.scene.aws.dynamo().items(dynamo::SYNC_RUNS);
        rows.into_iter().filter(|row| item::text(row, "sk") == Some("run")).collect()
    }

    /// Changes the only run's row behind everybody's back.
    fn changes_the_run(&self, change: impl FnOnce(&mut item::Item)) -> anyhow::Result<()> {
        let mut rows = self.runs();
        ensure!(rows.len() == 1, "{} runs", rows.len());
        let mut row = rows.pop().context("no run")?;
        change(&mut row);
        let put = json!({"TableName": dynamo::SYNC_RUNS, "Item": row});
        self.scene.aws.dynamo().answer("PutItem", &put, &Default::default()).ok().context("not put")?;
        Ok(())
    }

    fn depth(&self) -> anyhow::Result<i64> {
        let url = format!("https://sqs.example/0/{DEAD_LETTER}");
        let asked = json!({"QueueUrl": url, "AttributeNames": ["ApproximateNumberOfMessages"]});
        let told = self.scene.aws.queues().answer("GetQueueAttributes", &asked).ok().context("no answer")?;
        let visible = &told["Attributes"]["ApproximateNumberOfMessages"];
        Ok(visible.as_str().context("no depth")?.parse()?)
    }
}

/// A number as a row has it.
fn number(value: i64) -> Value {
    json!({"N": value.to_string()})
}

/// What a sweep tells of the metric that an alarm watches. Every sweep that sees everything writes so many lines.
async fn sweeps(sweeper: &LambdaFunction, alarm: &Alarm) -> anyhow::Result<Option<i64>> {
    const LINES: usize = 5;
    let metrics = || {
        let lines = sweeper.log_lines();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["_aws"].is_object()).collect::<Vec<_>>()
    };
    let before = metrics().len();
    sweeper.invoke(&event("sweeper-scheduled")?).await?;
    until("the sweep's metrics", LINES_WITHIN, || async { Ok(metrics().len() >= before + LINES) }).await?;
    let values: Vec<i64> = metrics()[before..].iter().filter_map(|line| alarm.told_by(line, STACK)).collect();
    ensure!(values.len() <= 1, "{}: told twice, {values:?}", alarm.name);
    Ok(values.first().copied())
}

/// One sweep more breaches the alarm's threshold, or does not.
async fn rings(own: &Own, sweeper: &LambdaFunction, alarm: &Alarm, expected: bool) -> anyhow::Result<()> {
    let value = sweeps(sweeper, alarm).await?;
    ensure!(value.is_some(), "{}: no sweep says anything of it", alarm.name);
    ensure!(
        alarm.breaches(value)? == expected,
        "{}: {value:?}, threshold {}: {:?}",
        alarm.name,
        alarm.threshold,
        own.runs()
    );
    Ok(())
}

/// A dead letter of an owner, and that it is none any more.
async fn dead(own: &Own, alarm: &Alarm, owner: &str) -> anyhow::Result<()> {
    let (webhook, sweeper) = (own.spawns("webhook", &[]).await?, own.spawns("sweeper", &[]).await?);
    rings(own, &sweeper, alarm, false).await?;
    let refused = |times, field: &str, message: &str| {
        let fault = BookFault::Refused { field: field.to_owned(), message: message.to_owned() };
        own.scene.book.faults(FaultSpec::on("POST", "/v2/invoices", times, fault));
    };
    match owner {
        "merchant" => refused(2, "category", "is not known"),
        "accountant" => refused(1, "dated_on", "is in a locked period"),
        "operator" => own.scene.shop.faults("invoice", 1_000, ShopFault::Unavailable),
        "ledger" => own.scene.shop.faults("invoice", 1, ShopFault::Garbage),
        _ => bail!("nobody is called {owner}"),
    }
    own.scene.delivers(&webhook, &own.scene.raises(None)?).await?;
    own.works().await?;
    if owner == "operator" {
        // It has failed for three days by now, and is due.
        let now = SystemClock.now_ms();
        own.changes_the_run(|row| {
            row.insert("failing_since".to_owned(), number(now - 260_000_000));
            row.insert("due_at".to_owned(), number(now - 1));
        })?;
        rings(own, &sweeper, alarm, false).await?;
        own.works().await?;
    }
    let run = own.runs().pop().context("no run")?;
    ensure!(item::text(&run, "owner") == Some(owner), "{run:?}");
    rings(own, &sweeper, alarm, true).await?;
    // It is counted for its owner alone.
    for (name, _) in CASES.iter().filter(|(_, it)| matches!(it, Trouble::Dead(other) if *other != owner)) {
        rings(own, &sweeper, &self::alarm(name)?, false).await?;
    }
    own.scene.book.heals();
    own.scene.shop.heals();
    own.delivers_again(&webhook).await?;
    own.works().await?;
    rings(own, &sweeper, alarm, false).await
}

async fn bell(own: &Own, alarm: &Alarm) -> anyhow::Result<()> {
    let (webhook, sweeper) = (own.spawns("webhook", &[]).await?, own.spawns("sweeper", &[]).await?);
    ensure!(!alarm.breaches(Some(own.depth()?))?, "there is a message");
    own.scene.shop.faults("invoice", 1, ShopFault::Garbage);
    own.scene.delivers(&webhook, &own.scene.raises(None)?).await?;
    own.works().await?;
    sweeper.invoke(&event("sweeper-scheduled")?).await?;
    ensure!(own.depth()? == 1 && alarm.breaches(Some(own.depth()?))?, "no bell: {}", own.depth()?);
    own.delivers_again(&webhook).await?;
    own.works().await?;
    sweeper.invoke(&event("sweeper-scheduled")?).await?;
    ensure!(!alarm.breaches(Some(own.depth()?))?, "the bell rings on: {}", own.depth()?);
    Ok(())
}

/// A run that a later version wrote, after a step back to this one: due, and no sweep can get it done.
async fn overdue(own: &Own, alarm: &Alarm) -> anyhow::Result<()> {
    let (webhook, sweeper) = (own.spawns("webhook", &[]).await?, own.spawns("sweeper", &[]).await?);
    rings(own, &sweeper, alarm, false).await?;
    own.delivers(&webhook).await?;
    let version = own.runs().pop().and_then(|row| row.get("v").cloned()).context("no version")?;
    let due = SystemClock.now_ms() - 1_000_000;
    own.changes_the_run(|row| {
        row.insert("v".to_owned(), number(99));
        row.insert("due_at".to_owned(), number(due));
    })?;
    rings(own, &sweeper, alarm, true).await?;
    own.changes_the_run(|row| {
        row.insert("v".to_owned(), version);
    })?;
    rings(own, &sweeper, alarm, false).await?;
    ensure!(own.waiting().len() == 1, "it was not sent");
    Ok(())
}

async fn held(own: &Own, alarm: &Alarm) -> anyhow::Result<()> {
    let (webhook, sweeper) = (own.spawns("webhook", &[]).await?, own.spawns("sweeper", &[]).await?);
    rings(own, &sweeper, alarm, false).await?;
    let tenancy = own.store.tenancy(TENANT).await?.context("no tenant")?;
    let binding = tenancy.bindings.first().context("no binding")?.binding.clone();
    own.operator().pause(TENANT, &binding, true).await?;
    ensure!(own.delivers(&webhook).await?.is_empty(), "a held run was sent");
    rings(own, &sweeper, alarm, true).await?;
    rings(own, &sweeper, alarm, true).await?;
    own.operator().pause(TENANT, &binding, false).await?;
    // This sweep finds it and lets it go.
    sweeps(&sweeper, alarm).await?;
    rings(own, &sweeper, alarm, false).await?;
    ensure!(own.waiting().len() == 1, "it was not sent");
    Ok(())
}

async fn stalled(own: &Own, alarm: &Alarm) -> anyhow::Result<()> {
    let soon = [("STALL_SECONDS", "1")];
    let (webhook, sweeper) = (own.spawns("webhook", &soon).await?, own.spawns("sweeper", &soon).await?);
    rings(own, &sweeper, alarm, false).await?;
    // Nobody takes the message.
    ensure!(own.delivers(&webhook).await?.len() == 1, "no message");
    let sweeper = &sweeper;
    until("a run is stalled", LINES_WITHIN, || async move { alarm.breaches(sweeps(sweeper, alarm).await?) }).await?;
    // It was sent again.
    own.works().await?;
    rings(own, sweeper, alarm, false).await
}

/// A store that takes calls and never answers.
async fn deaf() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", listener.local_addr()?);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    Ok(url)
}

async fn no_sweep(own: &Own, alarm: &Alarm) -> anyhow::Result<()> {
    let sweeper = own.spawns("sweeper", &[]).await?;
    rings(own, &sweeper, alarm, false).await?;
    let tells = |sweeper: &LambdaFunction| {
        let lines = sweeper.log_lines();
        let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.iter().filter(|line| line["_aws"].is_object()).count()
    };
    // One that is killed in the middle, or runs out of its time, tells nothing.
    let url = deaf().await?;
    let hangs = [("AWS_ENDPOINT_URL_DYNAMODB", url.as_str())];
    let dying = own.spawns("sweeper", &hangs).await?;
    let outcome = dying.invoke_within(&event("sweeper-scheduled")?, SHORT).await;
    ensure!(outcome == Err(FunctionError::TimedOut), "{outcome:?}");
    dying.has_ended().await;
    ensure!(tells(&dying) == 0 && alarm.breaches(None)?, "{:?}", dying.log_lines());
    // One that ends but could not look tells neither that it looked nor a nought that it did not count.
    let blind = own.spawns("sweeper", &[("AWS_ENDPOINT_URL_DYNAMODB", "https://127.0.0.1:1")]).await?;
    let report = blind.invoke(&event("sweeper-scheduled")?).await?;
    ensure!(report["failures"].as_u64() > Some(0), "{report}");
    let warned = || blind.log_lines().iter().filter(|line| line.contains("part of the sweep failed")).count();
    until("the sweep's log", LINES_WITHIN, || async { Ok(warned() > 0) }).await?;
    ensure!(tells(&blind) == 0, "{:?}", blind.log_lines());
    // The next one is well.
    rings(own, &own.spawns("sweeper", &[]).await?, alarm, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sweeper_tells_moves_with_each_trouble_and_back() -> anyhow::Result<()> {
    let cases = CASES.iter().map(|(name, trouble)| async move {
        let alarm = alarm(name)?;
        let Some(own) = Own::start().await? else { return Ok(()) };
        match trouble {
            Trouble::Bell => bell(&own, &alarm).await,
            Trouble::Dead(owner) => dead(&own, &alarm, owner).await,
            Trouble::Overdue => overdue(&own, &alarm).await,
            Trouble::Held => held(&own, &alarm).await,
            Trouble::Stalled => stalled(&own, &alarm).await,
            Trouble::NoSweep => no_sweep(&own, &alarm).await,
            // See below.
            Trouble::Dies(_) | Trouble::Throttled(_) => Ok(()),
        }
        .with_context(|| (*name).to_owned())
    });
    for result in futures::future::join_all(cases).await {
        result?;
    }
    Ok(())
}

/// An event that the function answers when it is well.
fn harmless(folder: &str) -> anyhow::Result<Value> {
    match folder {
        "webhook" => event("webhook-no-token"),
        // Nobody is signed in: 401.
        "api" => Ok(json!({
            "resource": "/{proxy+}", "path": "/v1/me", "httpMethod": "GET", "headers": {"Host": "localhost"},
            "multiValueHeaders": {"Host": ["localhost"]}, "queryStringParameters": null,
            "multiValueQueryStringParameters": null, "pathParameters": {"proxy": "v1/me"}, "stageVariables": null,
            "requestContext": {
                "resourceId": "alarms", "resourcePath": "/{proxy+}", "httpMethod": "GET", "path": "/live/v1/me",
                "accountId": "000000000000", "protocol": "HTTP/1.1", "stage": "live", "requestId": "alarms",
                "requestTimeEpoch": 1, "identity": {"sourceIp": "127.0.0.1"}, "apiId": "alarms",
            },
            "body": null, "isBase64Encoded": false,
        })),
        "sweeper" => event("sweeper-scheduled"),
        // No message: nothing of the stack's is touched.
        _ => Ok(json!({"Records": []})),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_fails_or_may_not_run_is_counted_as_its_alarms_want() -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start("ailing").await? else { return Ok(()) };
    for folder in CASES.iter().filter_map(|(_, it)| if let Trouble::Dies(folder) = it { Some(*folder) } else { None }) {
        let told = deployed.script(&["ailing", folder, &harmless(folder)?.to_string()]).await?;
        let told: Value = serde_json::from_str(&told)?;
        for (name, trouble) in CASES {
            let (its, metric, ill) = match trouble {
                Trouble::Dies(its) => (its, "Errors", "cannot start"),
                Trouble::Throttled(its) => (its, "Throttles", "may not run"),
                Trouble::Bell
                | Trouble::Dead(_)
                | Trouble::Overdue
                | Trouble::Held
                | Trouble::Stalled
                | Trouble::NoSweep => continue,
            };
            if its != folder {
                continue;
            }
            let alarm = alarm(name)?;
            ensure!((alarm.namespace.as_str(), alarm.metric.as_str()) == ("AWS/Lambda", metric), "{alarm:?}");
            for step in ["well", "cannot start", "starts again", "may not run", "may run again"] {
                // The engine counts who may not run as failed too; AWS does not.
                if (metric, step) == ("Errors", "may not run") {
                    continue;
                }
                let counted = told[step][metric].as_i64().with_context(|| format!("{folder}, {step}: {told}"))?;
                ensure!(alarm.breaches(Some(counted))? == (step == ill), "{name}, {step}: {told}");
            }
        }
        // And that is what invocations come to.
        for step in ["well", "starts again", "may run again"] {
            ensure!(told[step]["status"] == 200 && told[step]["error"].is_null(), "{folder}, {step}: {told}");
        }
        ensure!(told["cannot start"]["error"].is_string(), "{folder}: {told}");
        let refused = (&told["may not run"]["status"], &told["may not run"]["code"]);
        ensure!(refused == (&json!(429), &json!("TooManyRequestsException")), "{folder}: {told}");
    }
    Ok(())
}

/// A function that hangs, or is killed in the middle, has failed too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_hangs_or_is_killed_ends_in_an_error() -> anyhow::Result<()> {
    let Some(own) = Own::start().await? else { return Ok(()) };
    let url = deaf().await?;
    let hangs = [("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()), ("AWS_ENDPOINT_URL_SQS", url.as_str())];
    for folder in ledger_bench::scene::FUNCTIONS {
        let asked = match folder {
            "webhook" => {
                let delivery = own.scene.raises(None)?;
                ledger_bench::scene::proxied(&delivery)?
            }
            "sweeper" => event("sweeper-scheduled")?,
            _ => event(&format!("{folder}-batch"))?,
        };
        let slow = own.spawns(folder, &hangs).await?;
        let outcome = slow.invoke_within(&asked, Duration::from_millis(500)).await;
        ensure!(outcome == Err(FunctionError::TimedOut), "{folder}: {outcome:?}");
        let killed = own.spawns(folder, &hangs).await?;
        let (outcome, ()) = tokio::join!(killed.invoke(&asked), async {
            while killed.counters().invocations == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            killed.kill();
        });
        ensure!(matches!(outcome, Err(FunctionError::Exited(_))), "{folder}: {outcome:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deployed_alarms_watch_the_deployed_functions_queue_and_sweeper() -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start("alarms").await? else { return Ok(()) };
    let since = SystemClock.now_ms();
    let looks = async || {
        let told = deployed.script(&["alarms", "--since", &since.to_string()]).await?;
        Ok::<Value, anyhow::Error>(serde_json::from_str(&told)?)
    };
    // A dead letter of a shop of our own rings in the real queue. Whoever looks at bells hides them for some seconds.
    deployed.shop.faults("invoice", 1, ShopFault::Garbage);
    deployed.shop.raises("b2b-on-terms")?;
    let depth = alarm("DeadLetterQueueDepthAlarm")?;
    let (deployed, looks, depth) = (&deployed, &looks, &depth);
    until("a bell lies in the queue and the sweeper has told of it", LIMIT, || async move {
        deployed.shop.ticks().await;
        deployed.sweeps().await?;
        let runs = deployed.runs(&deployed.tenant).await?;
        let dead = runs
            .iter()
            .any(|run| run.state == "dead_lettered" && run.due_at.is_some_and(|due| due > since + 86_400_000));
        Ok(dead && depth.breaches(looks().await?["visible"].as_i64())?)
    })
    .await?;
    let told = looks().await?;
    let found: BTreeSet<&str> = told["alarms"].as_object().context("no alarms")?.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = CASES.iter().map(|(name, _)| *name).collect();
    ensure!(found == known, "{:?}", found.symmetric_difference(&known));
    let stack = deployed.setting("LEDGER_STACK")?;
    let queue = deployed.setting("QUEUE_DEAD_LETTER_URL")?;
    let queue = queue.rsplit('/').next().context("no queue")?;
    let lines: Vec<Value> = told["lines"]
        .as_array()
        .context("no lines")?
        .iter()
        .filter_map(|line| serde_json::from_str(line.as_str()?.trim()).ok())
        .collect();
    for (name, trouble) in CASES {
        let alarm = alarm(name)?;
        let there = &told["alarms"][name];
        ensure!(there["namespace"] == alarm.namespace.as_str() && there["metric"] == alarm.metric.as_str(), "{there}");
        ensure!(there["actions"] == json!([told["topic"]]), "{name}: {there}");
        let dimensions = match trouble {
            Trouble::Bell => json!({"QueueName": queue}),
            Trouble::Dead(owner) => json!({"Stack": stack, "Owner": owner}),
            Trouble::Overdue | Trouble::Held | Trouble::Stalled | Trouble::NoSweep => json!({"Stack": stack}),
            Trouble::Dies(folder) | Trouble::Throttled(folder) => {
                let variable = format!("FUNCTION_{}", logical_id_words(folder));
                json!({"FunctionName": deployed.setting(&variable)?})
            }
        };
        ensure!(there["dimensions"] == dimensions, "{name}: {there}, not {dimensions}");
        // What the deployed sweeper writes is what the deployed alarm watches.
        if alarm.namespace == "Ledger" {
            let values: Vec<i64> = lines.iter().filter_map(|line| alarm.told_by(line, &stack)).collect();
            ensure!(!values.is_empty(), "{name}: the sweeper tells nothing of it: {lines:?}");
            if trouble == Trouble::Dead("ledger") {
                ensure!(values.iter().any(|value| *value >= 1), "{name}: {values:?}");
            }
        }
    }
    Ok(())
}

/// A function's name as the stack's settings have it: `FUNCTION_WORKER_INVOICE_CREATED`, of the template's output.
fn logical_id_words(folder: &str) -> String {
    folder.to_uppercase().replace('-', "_")
}
