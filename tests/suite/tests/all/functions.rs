//! The built functions over the Lambda Runtime API, on AWS in memory: `events/` one by one, an invoice's whole way, and
//! ten thousand requests that nobody thought of.

mod requests;

use ledger_bench::ambient;
use ledger_bench::aws::sqs::{CUSTOMER_UPSERTED, DEAD_LETTER, INVOICE_CREATED, Message, PUSH_SYNC_STATE};
use ledger_bench::aws::{dynamo, item};
use ledger_bench::scene::{FUNCTIONS, Scene, TENANT, batch, binary, event, proxied};
use ledger_suite::stack::{STACK_ENV, workspace};
use ledger_world::runtime_api::LambdaFunction;
use ledger_world::shop::Delivery;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// The built functions, as `make build-local` leaves them; `None` where nobody built them.
pub(crate) fn built() -> Option<PathBuf> {
    let functions = workspace().join("target/lambda");
    if FUNCTIONS.iter().all(|folder| binary(&functions, folder).exists()) {
        return Some(functions);
    }
    assert!(ambient::variable(STACK_ENV).is_none(), "{} holds no built functions", functions.display());
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: `make build-local` builds the functions");
    }
    None
}

async fn spawned(scene: &Scene, folder: &str) -> Option<LambdaFunction> {
    Some(scene.spawns(&binary(&built()?, folder)).await.unwrap())
}

/// The log, each line of it JSON, once it is read.
async fn log(function: &LambdaFunction) -> Vec<Value> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    function.log_lines().iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

async fn errors(function: &LambdaFunction) -> Vec<String> {
    let errors = log(function).await.into_iter().filter(|line| line["level"] == "ERROR");
    errors.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
}

fn answered(answer: &Value) -> (u64, Value) {
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&answer["headers"]["Content-Type"], &answer["isBase64Encoded"]),
        (&json!("application/json"), &json!(false))
    );
    (answer["statusCode"].as_u64().unwrap(), body)
}

/// The event with a token that is good now.
fn with_a_fresh_token(mut event: Value, scene: &Scene) -> Value {
    event["headers"]["Authorization"] = json!(format!("Bearer {}", scene.shop.signs(0).unwrap()));
    event
}

#[tokio::test]
async fn every_function_has_events_and_every_event_a_function() {
    let names: Vec<String> = std::fs::read_dir(workspace().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for folder in FUNCTIONS {
        assert!(names.iter().any(|name| name.starts_with(&format!("{folder}-"))), "no event for {folder}");
    }
    for name in &names {
        let of = |folder: &&str| name.starts_with(&format!("{folder}-")) && name.ends_with(".json");
        assert!(FUNCTIONS.iter().any(of), "{name} belongs to no function");
    }
    // What a test below feeds to its function.
    assert_eq!(names.len(), 16, "{names:?}");
}

#[tokio::test]
async fn the_webhook_answers_its_events() {
    let scene = Scene::start().await.unwrap();
    let Some(webhook) = spawned(&scene, "webhook").await else { return };
    for name in ["webhook-invoice-created", "webhook-older-client", "webhook-no-token"] {
        // As they are, their tokens are long expired, or there is none.
        let answer = webhook.invoke(&event(name).unwrap()).await.unwrap();
        let (status, body) = answered(&answer);
        assert_eq!(status, 401, "{name}: {body}");
        assert_eq!(body, json!({"code": "unauthorised", "message": "the token does not authorise this delivery"}));
    }
    let mut runs = Vec::new();
    for name in ["webhook-invoice-created", "webhook-older-client"] {
        let event = with_a_fresh_token(event(name).unwrap(), &scene);
        let (status, body) = answered(&webhook.invoke(&event).await.unwrap());
        assert_eq!(status, 202, "{name}: {body}");
        runs.push(body["sync_run_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(runs[0], runs[1], "both name the same work");
    assert_eq!(scene.aws.queues().take(INVOICE_CREATED).len(), 1);
    let event = with_a_fresh_token(event("webhook-no-token").unwrap(), &scene);
    assert_eq!(answered(&webhook.invoke(&event).await.unwrap()).0, 202);
    assert!(scene.aws.queues().take(INVOICE_CREATED).is_empty());
    assert_eq!(scene.aws.queues().take(CUSTOMER_UPSERTED).len(), 1, "each event has a queue of its own");
    assert_eq!(errors(&webhook).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_workers_answer_their_events() {
    let scene = Scene::start().await.unwrap();
    for folder in FUNCTIONS.into_iter().filter(|folder| folder.starts_with("worker-")) {
        let Some(worker) = spawned(&scene, folder).await else { return };
        // A message for a run or chip that isn't there is done: nothing is left to do for it.
        let answer = worker.invoke(&event(&format!("{folder}-batch")).unwrap()).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}), "{folder}");
        assert_eq!(errors(&worker).await, Vec::<String>::new(), "{folder}");
        // One that can't be read rings, and its neighbour is worked on all the same.
        let unreadable = event(&format!("{folder}-unreadable")).unwrap();
        let answer = worker.invoke(&unreadable).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}), "{folder}");
        assert_eq!(errors(&worker).await, ["message unreadable"], "{folder}");
        let bells: Vec<String> = scene.aws.queues().take(DEAD_LETTER).into_iter().map(|bell| bell.body).collect();
        assert_eq!(bells, [unreadable["Records"][1]["body"].as_str().unwrap()], "{folder}");
    }
}

#[tokio::test]
async fn the_sweeper_answers_its_event() {
    let scene = Scene::start().await.unwrap();
    let Some(sweeper) = spawned(&scene, "sweeper").await else { return };
    let report = sweeper.invoke(&event("sweeper-scheduled").unwrap()).await.unwrap();
    let nothing = json!({
        "runs_sent": 0, "pushes_sent": 0, "bells_rung": 0, "bells_removed": 0, "released": 0, "closed": 0, "stalled": 0, "held": 0,
        "dead_letters": {}, "grants_renewed": 0, "jobs_failed": 0, "oldest_due_age_seconds": 0, "failures": 0,
    });
    assert_eq!(report, nothing);
    let lines = log(&sweeper).await;
    assert!(lines.iter().any(|line| line["SweeperHeartbeat"] == 1 && line["Stack"] == "ledger-bench"), "{lines:?}");
    assert_eq!(errors(&sweeper).await, Vec::<String>::new());
}

/// What a sweep asks of AWS where nothing is to be done is what `docs/costs.md` says; a tenant who has recipients costs a
/// little more.
#[tokio::test]
async fn an_idle_sweep_asks_for_what_the_page_on_costs_says() {
    let scene = Scene::start().await.unwrap();
    let Some(sweeper) = spawned(&scene, "sweeper").await else { return };
    let page = std::fs::read_to_string(workspace().join("docs/costs.md")).unwrap();
    let figures = |what: &str| {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {what} | "))).unwrap();
        let cells: Vec<u64> = row.split(" | ").take(2).map(|cell| cell.parse().unwrap()).collect();
        (cells[0], cells[1])
    };
    let asked = async || {
        let before = scene.aws.count();
        let report = sweeper.invoke(&event("sweeper-scheduled").unwrap()).await.unwrap();
        assert_eq!(report["failures"], 0, "{report}");
        scene.aws.count().since(&before)
    };
    // The first of a process opens connections, and reads what later ones remember.
    asked().await;
    let idle = asked().await;
    assert_eq!((idle.total(), idle.write_units()), figures("a sweep with nothing to do"), "{:?}", idle.calls);
    let environment = scene.environment();
    let config = ledger_aws::Config::from_lookup(&|name| environment.get(name).cloned()).unwrap();
    let aws = ledger_aws::Aws::new(&config).unwrap();
    let recipients = ledger_engine::notices::Recipients {
        store: &aws.store(),
        vault: &aws.vault(),
        clock: &ledger_aws::SystemClock,
        chance: &ledger_aws::SystemChance,
        allow_private_addresses: true,
    };
    let operator = ledger_engine::notices::NewRecipient {
        id: None,
        role: "operator".to_owned(),
        way: "sns".to_owned(),
        url: None,
        secret: None,
    };
    recipients.put(TENANT, 0, "op-1", 420, &[operator]).await.unwrap();
    asked().await;
    let told = asked().await;
    let more = (told.total() - idle.total(), told.write_units() - idle.write_units());
    assert_eq!(more, figures("the same, more for each tenant who has recipients"), "{:?}", told.calls);
}

#[tokio::test]
async fn an_invoice_goes_through_all_the_functions() {
    let scene = Scene::start().await.unwrap();
    let Some(webhook) = spawned(&scene, "webhook").await else { return };
    let worker = spawned(&scene, "worker-invoice-created").await.unwrap();
    let push = spawned(&scene, "worker-push-sync-state").await.unwrap();
    let sweeper = spawned(&scene, "sweeper").await.unwrap();
    let delivery = scene.raises(None).unwrap();
    scene.delivers(&webhook, &delivery).await.unwrap();
    scene.works(&worker, &scene.aws.queues().take(INVOICE_CREATED)).await.unwrap();
    scene.works(&push, &scene.aws.queues().take(PUSH_SYNC_STATE)).await.unwrap();
    let shown = scene.book.shows("MAG-000000001");
    assert_eq!(shown.len(), 1);
    assert_eq!(scene.shop.chip("invoice", 1).unwrap().sync_status, "synced");
    let report = sweeper.invoke(&event("sweeper-scheduled").unwrap()).await.unwrap();
    assert_eq!((&report["failures"], &report["runs_sent"], &report["held"]), (&json!(0), &json!(0), &json!(0)));
    for function in [&webhook, &worker, &push, &sweeper] {
        assert_eq!(errors(function).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_message_for_a_busy_book_goes_back_with_the_rest_of_its_group() {
    let scene = Scene::start().await.unwrap();
    let Some(webhook) = spawned(&scene, "webhook").await else { return };
    for _ in 0..2 {
        scene.delivers(&webhook, &scene.raises(None).unwrap()).await.unwrap();
    }
    let messages = scene.aws.queues().take(INVOICE_CREATED);
    let lease = json!({
        "TableName": dynamo::TENANTS,
        "Item": {
            "pk": item::of_text(&format!("book#{}", messages[0].group)), "sk": item::of_text("lease"),
            "v": {"N": "1"}, "claim": item::of_text("another"), "taken_at": {"N": "1"},
            "until": {"N": (ambient::now_ms() + 60_000).to_string()},
        },
    });
    scene.aws.dynamo().answer("PutItem", &lease, &Default::default()).unwrap();
    let folder = binary(&built().unwrap(), "worker-invoice-created");
    let worker = scene.spawns_with(&folder, &[("LEASE_WAIT_SECONDS", "0")]).await.unwrap();
    let answer = worker.invoke(&batch(&messages).unwrap()).await.unwrap();
    let back: Vec<Value> = messages.iter().map(|message| json!({"itemIdentifier": message.id})).collect();
    assert_eq!(answer, json!({"batchItemFailures": back}));
    let receipts: Vec<String> = messages.iter().map(|message: &Message| format!("receipt-{}", message.id)).collect();
    assert_eq!(scene.aws.queues().given_back(), receipts);
    assert!(scene.book.invoices().is_empty());
    assert_eq!(errors(&worker).await, Vec::<String>::new());
}

/// Requests of the test below.
const REQUESTS: u64 = 10_000;
/// Processes that share them.
const PROCESSES: u64 = 2;
/// Variable that names another seed: a failure tells the seed and the number of its request.
const SEED: &str = "LEDGER_TEST_SEED";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_requests_get_what_the_design_allows() {
    let scene = Scene::start().await.unwrap();
    let seed = ambient::variable(SEED).map_or(1, |text| text.parse().unwrap());
    let shares = (0..PROCESSES).map(|process| a_share(&scene, seed, process));
    let mut tallies = futures::future::join_all(shares).await.into_iter();
    let Some(mut tally) = tallies.next().unwrap() else { return };
    for other in tallies {
        let other = other.unwrap();
        tally.accepted.extend(other.accepted);
        tally.log.extend(other.log);
        for (sum, share) in [
            (&mut tally.signed, other.signed),
            (&mut tally.refused, other.refused),
            (&mut tally.put_off, other.put_off),
        ] {
            *sum += share;
        }
    }
    assert_eq!(tally.signed, REQUESTS / 2);
    // What was generated is worth its name: each kind of answer came up often.
    assert!(tally.accepted.len() > 1_000, "{} accepted runs", tally.accepted.len());
    assert!(tally.refused > 1_000 && tally.put_off > 100, "{} refused, {} put off", tally.refused, tally.put_off);
    // Every run that was promised is there, and no others.
    let rows = scene.aws.dynamo().items(dynamo::SYNC_RUNS);
    let runs = rows.iter().filter(|row| item::text(row, "sk") == Some("run"));
    let runs: std::collections::BTreeSet<String> =
        runs.filter_map(|row| item::text(row, "run_id").map(str::to_owned)).collect();
    assert_eq!(runs, tally.accepted);
    // No token, no body in the log; one line for each delivery.
    assert_eq!(
        tally.log.iter().filter(|line| line.contains("\"message\":\"delivery\"")).count(),
        usize::try_from(REQUESTS).unwrap()
    );
    for line in &tally.log {
        assert!(!line.contains(requests::SECRET) && !line.contains("eyJ"), "{line}");
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(line["level"], "INFO", "{line}");
    }
}

#[derive(Default)]
struct Tally {
    accepted: std::collections::BTreeSet<String>,
    signed: u64,
    refused: u64,
    put_off: u64,
    log: Vec<String>,
}

/// What one of the processes makes of its share.
async fn a_share(scene: &Scene, seed: u64, process: u64) -> Option<Tally> {
    let webhook = spawned(scene, "webhook").await?;
    let mut tally = Tally::default();
    let mut past = requests::Past::default();
    for number in (0..REQUESTS).filter(|number| number % PROCESSES == process) {
        let request = requests::Request::of(seed, number, &mut past);
        let told = || format!("{SEED}={seed}, request {number}: {:.2000}", request.event);
        let answer = webhook.invoke(&request.event).await.unwrap_or_else(|error| panic!("{error}, {}", told()));
        let (status, body) = answered(&answer);
        tally.signed += u64::from(request.signed);
        match status {
            202 => {
                assert!(request.signed, "accepted without a signature, {}", told());
                tally.accepted.insert(body["sync_run_id"].as_str().unwrap().to_owned());
            }
            400 => {
                // Before the signature only the size counts.
                assert!(request.signed || body["code"] == "body_too_large", "{body}, {}", told());
                assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
                tally.refused += 1;
            }
            401 => {
                let wording = "the token does not authorise this delivery";
                assert_eq!(body, json!({"code": "unauthorised", "message": wording}));
                tally.refused += 1;
            }
            503 => {
                let allowed = ["clock_out_of_step", "tenant_just_read"];
                assert!(allowed.contains(&body["code"].as_str().unwrap()), "{body}, {}", told());
                assert_eq!(answer["headers"]["Retry-After"], "60");
                tally.put_off += 1;
            }
            _ => panic!("{status}, {}", told()),
        }
        assert!(!request.flawless || status == 202, "a flawless request got {status} {body}, {}", told());
    }
    assert_eq!((webhook.counters().errors, webhook.counters().initialization_errors), (0, 0));
    assert!(webhook.resources().is_some(), "the process is gone");
    log(&webhook).await;
    tally.log = webhook.log_lines();
    Some(tally)
}

/// A delivery's event is what the shop would have sent.
#[tokio::test]
async fn the_scene_proxies_deliveries_as_the_gateway_does() {
    let delivery = Delivery {
        url: format!("https://ledger.example/live/webhooks/magento/{TENANT}/invoice.paid?provider=xero"),
        headers: vec![("Authorization".to_owned(), "Bearer x".to_owned())],
        body: "{}".to_owned(),
    };
    let event = proxied(&delivery).unwrap();
    assert_eq!(event["pathParameters"], json!({"tenant": TENANT, "event": "invoice.paid"}));
    assert_eq!((&event["queryStringParameters"], &event["body"]), (&json!({"provider": "xero"}), &json!("{}")));
    assert_eq!(event["requestContext"]["path"], json!(format!("/live/webhooks/magento/{TENANT}/invoice.paid")));
    assert_eq!(event["multiValueHeaders"]["Authorization"], json!(["Bearer x"]));
}
