//! The proxy, between the shipped adapters and an engine that notes what arrives.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use ledger_aws::engine::ports::{
    Outgoing, PortResult, PushWant, Queue as _, QueueName, SealContext, Sweeps as _, Vault as _,
};
use ledger_aws::{Aws, Config, SystemClock};
use ledger_soak::proxy::{Proxy, Weather};
use ledger_wire::rows::{RunRow, SealedRow, SweepRow, keys};
use ledger_world::server::{Answer, Reply, Request, Server};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A port of its own.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// An engine that answers everything alike, and a proxy before it.
struct Stage {
    arrived: Arc<Mutex<Vec<Request>>>,
    proxy: Proxy,
    _engine: Server,
}

impl Stage {
    async fn set(weather: Weather, answer: Value) -> anyhow::Result<Self> {
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&arrived);
        let engine = Server::start(ANY, move |request: Request| {
            notes.lock().unwrap().push(request);
            let answer = Answer::new(200, "application/x-amz-json-1.0", answer.to_string());
            async move { Reply::from(answer) }
        })
        .await?;
        let proxy = Proxy::start(ANY, engine.address(), Arc::new(SystemClock), weather).await?;
        Ok(Self { arrived, proxy, _engine: engine })
    }

    /// The adapters, which take the proxy for AWS.
    fn aws(&self) -> anyhow::Result<Aws> {
        let mut config = Config::from_lookup(&|name| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "AWS_ENDPOINT_URL" => Some(self.proxy.url()),
            "LEDGER_EXTRA_CA_FILE" => None,
            _ if name.starts_with("AWS_ENDPOINT_URL_") => None,
            _ => Some(name.to_lowercase()),
        })?;
        config.timeouts.attempt = Duration::from_secs(5);
        config.timeouts.operation = Duration::from_secs(20);
        Ok(Aws::new(&config)?)
    }

    fn arrived(&self) -> Vec<Request> {
        self.arrived.lock().unwrap().clone()
    }
}

fn message() -> Outgoing {
    Outgoing {
        queue: QueueName::PushSyncState,
        group: "g".to_owned(),
        deduplication: "d".to_owned(),
        body: "{}".to_owned(),
    }
}

/// One call of each kind that a trouble can happen to.
async fn writes(aws: &Aws) -> PortResult<()> {
    aws.store().swept(&SweepRow::default()).await
}

async fn sends(aws: &Aws) -> PortResult<()> {
    aws.queue().send(&message()).await
}

async fn opens(aws: &Aws) -> PortResult<()> {
    let sealed = SealedRow { ciphertext: "YWJj".to_owned(), version: 1 };
    let context = SealContext { label: "tenants/v1", owner: "t".to_owned(), attribute: "api_key" };
    aws.vault().open(&sealed, &context).await.map(drop)
}

async fn replaces(aws: &Aws) -> PortResult<()> {
    let run = RunRow { pk: keys::run("r"), sk: keys::RUN.to_owned(), run_id: "r".to_owned(), ..RunRow::default() };
    let push = PushWant {
        tenant: "t".to_owned(),
        provider: "xero".to_owned(),
        entity_type: "invoice".to_owned(),
        magento_id: 1,
        document_run: None,
        payment_run: None,
        xref: None,
        due_at: 1,
        expires_at: 1,
    };
    aws.store().replace_run(&run, &run, Some(&push)).await.map(drop)
}

/// A call, what it is called at AWS, and how it is made.
async fn makes(aws: &Aws, call: &str) -> PortResult<()> {
    match call {
        "PutItem" => writes(aws).await,
        "TransactWriteItems" => replaces(aws).await,
        "SendMessage" => sends(aws).await,
        "Decrypt" => opens(aws).await,
        _ => panic!("no call {call}"),
    }
}

#[tokio::test]
async fn what_does_not_go_wrong_passes_as_it_came() {
    let stage = Stage::set(Weather::default(), json!({})).await.unwrap();
    sends(&stage.aws().unwrap()).await.unwrap();
    let arrived = stage.arrived();
    let [request] = arrived.as_slice() else { panic!("{} requests", arrived.len()) };
    // The signature is of the host that the caller knows.
    assert_eq!(request.header("host").map(|host| format!("http://{host}")), Some(stage.proxy.url()));
    assert!(
        request.header("authorization").is_some_and(|it| it.contains("SignedHeaders=content-type;host;x-amz-date"))
    );
    let body = json!({
        "QueueUrl": "queue_push_sync_state_url", "MessageBody": "{}", "MessageDeduplicationId": "d", "MessageGroupId": "g",
    });
    assert_eq!(request.json().unwrap(), body);
    assert!(stage.proxy.struck().values().all(|count| *count == 0));
}

/// Under a weather in which it always strikes, a call is refused in words that the adapters read as AWS's.
async fn check(name: &str, weather: Weather, call: &str, says: &[&str], arrives: bool) {
    let stage = Stage::set(weather, json!({})).await.unwrap();
    let refused = makes(&stage.aws().unwrap(), call).await.unwrap_err().to_string();
    assert!(says.iter().any(|says| refused.contains(says)), "{name}, {call}: {refused}");
    assert!(refused.starts_with("unavailable: "), "{name}, {call}: {refused}");
    let arrived = stage.arrived();
    assert_eq!(!arrived.is_empty(), arrives, "{name}, {call}: {} requests", arrived.len());
    let struck = stage.proxy.struck();
    let others: u64 = struck.iter().filter(|(it, _)| **it != name).map(|(_, count)| count).sum();
    assert!(struck.get(name).is_some_and(|count| *count > 0) && others == 0, "{name}, {call}: {struck:?}");
}

#[tokio::test]
async fn each_trouble_is_what_aws_says() {
    let always = 1_000;
    let conflicts = Weather { conflicts: always, ..Weather::default() };
    check("conflict", conflicts.clone(), "PutItem", &["conflict"], false).await;
    check("conflict", conflicts, "TransactWriteItems", &["conflict"], false).await;
    let throttles = Weather { dynamodb_throttles: always, ..Weather::default() };
    let too_many = ["ProvisionedThroughputExceededException", "ThrottlingException"];
    check("throttled_dynamodb", throttles.clone(), "PutItem", &too_many, false).await;
    check("throttled_dynamodb", throttles, "TransactWriteItems", &too_many, false).await;
    let throttles = Weather { sqs_throttles: always, ..Weather::default() };
    check("throttled_sqs", throttles, "SendMessage", &["RequestThrottled", "ServiceUnavailable"], false).await;
    let throttles = Weather { kms_throttles: always, ..Weather::default() };
    check("throttled_kms", throttles, "Decrypt", &["ThrottlingException"], false).await;
    let lost = Weather { lost_requests: always, ..Weather::default() };
    check("request_lost", lost, "SendMessage", &["no connection"], false).await;
    let lost = Weather { lost_replies: always, ..Weather::default() };
    check("reply_lost", lost.clone(), "PutItem", &["no connection"], true).await;
    check("reply_lost", lost, "SendMessage", &["no connection"], true).await;
}

#[tokio::test]
async fn a_seed_decides_which_calls_it_strikes() {
    let struck = async |seed: u64| {
        let stage = Stage::set(Weather { seed, sqs_throttles: 300, ..Weather::default() }, json!({})).await.unwrap();
        let aws = stage.aws().unwrap();
        for _ in 0..12 {
            // Whether it gets through is its own affair.
            let _ = sends(&aws).await;
        }
        (stage.arrived().len(), stage.proxy.struck())
    };
    let (first, again, other) = tokio::join!(struck(1), struck(1), struck(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test]
async fn an_index_shows_what_it_showed_a_moment_ago() {
    let due =
        |due_at: i64| json!({"pk": {"S": keys::run("r")}, "sk": {"S": keys::RUN}, "due_at": {"N": due_at.to_string()}});
    let there = json!({"Items": [due(5)], "Count": 1, "ScannedCount": 1});
    let weather = Weather { index_lag: 1_000, index_lag_milliseconds: 60_000, ..Weather::default() };
    let stage = Stage::set(weather, there).await.unwrap();
    let aws = stage.aws().unwrap();
    assert_eq!(aws.store().due(1, 10, 25).await.unwrap().len(), 1);
    replaces(&aws).await.unwrap();
    // Another shard's index has never shown it.
    assert_eq!(aws.store().due(2, 10, 25).await.unwrap(), []);
    assert_eq!(stage.proxy.struck()["index_late"], 1);
    stage.proxy.turns(Weather::default());
    assert_eq!(aws.store().due(2, 10, 25).await.unwrap().len(), 1);
}
