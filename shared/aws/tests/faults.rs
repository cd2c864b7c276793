//! How many calls each method makes, and what it makes of answers that a local engine never gives: conflicts,
//! throttling, late replies, unprocessed keys.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use ledger_aws::{Aws, Config, DynamoStore};
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::{
    Accepted, Attempts, Bells, ClaimRequest, Claimed, Commit, Deliveries, Expect, GatherRequest, GrantStore, Heard,
    KeyUse, ModuleStore, NewShop, Operations, Outgoing, Pairings, PortFault, PortResult, Progress, Promotion, PushWant,
    Pushes, Queue, QueueName, Release, Revisit, Revisited, SealContext, ShopStates, Sweeps, Tenants, Vault, Written,
    XrefWrite, Xrefs,
};
use ledger_wire::rows::{
    AgendaRow, AttemptRow, BindingRow, JtiRow, PushRow, ROW_VERSION, RunRow, SealedRow, SettingsRow, ShopAddressRow,
    TenantRow, TokenRow, XrefRow, keys,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the service answers.
#[derive(Clone, Debug)]
enum Answer {
    Json(u16, Value),
    Never,
}

/// A request as the service got it.
#[derive(Clone, Debug)]
struct Asked {
    operation: String,
    body: Value,
    headers: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Asked>>,
}

/// A connector that answers from a script and, at its end, with an empty success.
#[derive(Clone, Debug, Default)]
struct Scripted(Arc<Script>);

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
        self.0.asked.lock().unwrap().push(Asked {
            operation: target.split('.').next_back().unwrap_or_default().to_owned(),
            body: body.unwrap_or_default(),
            headers: request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        });
        let answer = self.0.answers.lock().unwrap().pop_front().unwrap_or(Answer::Json(200, json!({})));
        match answer {
            Answer::Never => HttpConnectorFuture::new(std::future::pending()),
            Answer::Json(status, body) => HttpConnectorFuture::ready(Ok(HttpResponse::new(
                status.try_into().unwrap(),
                SdkBody::from(body.to_string()),
            ))),
        }
    }
}

impl Scripted {
    fn aws(&self) -> Aws {
        let mut config = Config::from_lookup(&|name| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "AWS_ENDPOINT_URL" | "LEDGER_EXTRA_CA_FILE" => None,
            _ if name.starts_with("AWS_ENDPOINT_URL_") => None,
            _ => Some(name.to_lowercase()),
        })
        .unwrap();
        config.timeouts.attempt = Duration::from_millis(40);
        config.timeouts.operation = Duration::from_millis(400);
        Aws::with_connector(&config, self.clone())
    }

    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Self::default();
        script.0.answers.lock().unwrap().extend(answers);
        script
    }

    fn store(&self) -> DynamoStore {
        self.aws().store()
    }

    fn asked(&self) -> Vec<Asked> {
        self.0.asked.lock().unwrap().clone()
    }

    fn operations(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.operation).collect()
    }

    fn tokens(&self) -> Vec<String> {
        self.asked()
            .iter()
            .map(|asked| asked.body["ClientRequestToken"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

fn fault(code: &str) -> Answer {
    Answer::Json(400, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "secret words"}))
}

/// A cancellation with these reasons: codes, and the item that is there.
fn cancelled(reasons: &[(&str, Option<Value>)]) -> Answer {
    let reasons: Vec<Value> = reasons
        .iter()
        .map(|(code, item)| match item {
            Some(item) => json!({"Code": code, "Item": item, "Message": "m"}),
            None => json!({"Code": code}),
        })
        .collect();
    Answer::Json(
        400,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": reasons,
        }),
    )
}

const FAILED: &str = "ConditionalCheckFailed";
const CONFLICT: &str = "TransactionConflict";
const NONE: &str = "None";

fn run() -> RunRow {
    RunRow {
        pk: keys::run("r"),
        sk: keys::RUN.to_owned(),
        v: ROW_VERSION,
        run_id: "r".to_owned(),
        state: "running".to_owned(),
        generation: 1,
        claim: Some("c".to_owned()),
        ..RunRow::default()
    }
}

/// A row in DynamoDB's own JSON.
fn wire(row: &impl serde::Serialize) -> Value {
    let Value::Object(fields) = serde_json::to_value(row).unwrap() else { return Value::Null };
    fields
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                Value::Number(number) => json!({"N": number.to_string()}),
                Value::Bool(bool) => json!({"BOOL": bool}),
                Value::Array(list) => {
                    json!({"L": list.into_iter().map(|text| json!({"S": text})).collect::<Vec<_>>()})
                }
                Value::Null | Value::String(_) | Value::Object(_) => json!({"S": value}),
            };
            (name, value)
        })
        .collect()
}

fn jti() -> JtiRow {
    JtiRow {
        pk: keys::jti("t", "j"),
        sk: keys::JTI.to_owned(),
        v: ROW_VERSION,
        runs: vec!["r".to_owned()],
        ..JtiRow::default()
    }
}

fn claim_request() -> ClaimRequest {
    ClaimRequest {
        run_id: "r".to_owned(),
        generation: 1,
        claim: "c".to_owned(),
        book: "b".to_owned(),
        now: 1_000,
        until: 2_000,
        unfinished_max: 3,
    }
}

fn xref_write(pk: &str) -> XrefWrite {
    XrefWrite { row: XrefRow { pk: pk.to_owned(), v: ROW_VERSION, ..XrefRow::default() }, expect: Expect::Absent }
}

fn want() -> PushWant {
    PushWant {
        tenant: "t".to_owned(),
        provider: "xero".to_owned(),
        entity_type: "invoice".to_owned(),
        magento_id: 1,
        document_run: Some("r".to_owned()),
        payment_run: None,
        xref: Some("x".to_owned()),
        due_at: 5,
        expires_at: 6,
    }
}

fn progress() -> Progress {
    Progress { run_id: "r".to_owned(), claim: "c".to_owned(), xrefs: vec![xref_write("x"), xref_write("y")] }
}

fn commit() -> Commit {
    Commit {
        run: RunRow { claim: None, state: "succeeded".to_owned(), ..run() },
        claim: "c".to_owned(),
        xrefs: vec![xref_write("x")],
        push: Some(want()),
        order: None,
        attempt: AttemptRow { pk: keys::run("r"), sk: keys::attempt(1), v: ROW_VERSION, ..AttemptRow::default() },
        release: Some(Release { book: "b".to_owned(), pace: None }),
    }
}

fn context() -> SealContext {
    SealContext { label: "tenants/v1", owner: "t".to_owned(), attribute: "api_key" }
}

async fn calls<F, T>(answers: impl IntoIterator<Item = Answer>, method: impl FnOnce(Aws) -> F) -> Vec<String>
where
    F: Future<Output = PortResult<T>>,
{
    let script = Scripted::new(answers);
    method(script.aws()).await.map(|_| ()).unwrap();
    script.operations()
}

const TRANSACTION: [&str; 1] = ["TransactWriteItems"];

#[tokio::test]
async fn deliveries_make_one_call() {
    assert_eq!(calls([], async |aws| aws.store().tenancy("t").await).await, ["Query"]);
    assert_eq!(calls([], async |aws| aws.store().accept(&[run(), run()], &jti(), 1, "k").await).await, TRANSACTION);
    let parts = [Revisit::Put(run()), Revisit::Replace { seen: run(), next: run() }, Revisit::Push(want())];
    assert_eq!(calls([], async |aws| aws.store().revisit(&jti(), 1, &parts).await).await, TRANSACTION);
    assert_eq!(calls([], async |aws| aws.store().mark_unsent(&run(), 1).await).await, ["UpdateItem"]);
}

#[tokio::test]
async fn attempts_make_one_call_each_time() {
    assert_eq!(calls([], async |aws| aws.store().claim(&claim_request()).await).await, TRANSACTION);
    let request = GatherRequest { run_id: "r".to_owned(), xrefs: vec!["x".to_owned(); 90], ..GatherRequest::default() };
    assert_eq!(calls([], async |aws| aws.store().gather(&request).await).await, ["BatchGetItem"]);
    // More rows than one call may name are read by several.
    let xrefs = (0..250).map(|row| format!("x-{row}")).collect();
    let request = GatherRequest { xrefs, ..request };
    assert_eq!(calls([], async |aws| aws.store().gather(&request).await).await, ["BatchGetItem"; 3]);
    assert_eq!(calls([], async |aws| aws.store().settings("b", 1).await).await, ["GetItem"]);
    assert_eq!(calls([], async |aws| aws.store().progress(&progress()).await).await, TRANSACTION);
    assert_eq!(calls([], async |aws| aws.store().commit(&commit()).await).await, TRANSACTION);
    assert_eq!(
        calls([], async |aws| Attempts::replace_run(&aws.store(), &run(), &run(), None).await).await,
        ["PutItem"]
    );
    assert_eq!(
        calls([], async |aws| Sweeps::replace_run(&aws.store(), &run(), &run(), Some(&want())).await).await,
        TRANSACTION
    );
    assert_eq!(calls([], async |aws| Attempts::shop_refuses(&aws.store(), "t", 1).await).await, TRANSACTION);
    assert_eq!(calls([], async |aws| aws.store().needs_reconnect("t", "b", None).await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().needs_reconnect("t", "b", Some(1)).await).await, TRANSACTION);
}

#[tokio::test]
async fn renewing_a_grant_makes_one_call_a_step() {
    let row = TokenRow { v: ROW_VERSION, ..TokenRow::default() };
    assert_eq!(calls([], async |aws| aws.store().grant("b").await).await, ["GetItem"]);
    assert_eq!(calls([], async |aws| aws.store().app("app#xero").await).await, ["GetItem"]);
    assert_eq!(calls([], async |aws| aws.store().lease_grant("b", 1, "x", 1, 2).await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().save_grant(1, &row).await).await, ["PutItem"]);
    assert_eq!(calls([], async |aws| aws.store().release_grant("b", "x").await).await, ["UpdateItem"]);
}

#[tokio::test]
async fn pushes_make_two_calls_to_read_and_one_to_write() {
    let push = PushRow { document_run: Some("r".to_owned()), v: ROW_VERSION, ..PushRow::default() };
    let row = Answer::Json(200, json!({"Item": wire(&push)}));
    assert_eq!(calls([row], async |aws| aws.store().chip("p").await).await, ["GetItem", "BatchGetItem"]);
    assert_eq!(calls([], async |aws| aws.store().chip("p").await).await, ["GetItem"]);
    assert_eq!(calls([], async |aws| aws.store().pushed(&push, "synced", 1).await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().put_off(&push, 1, "c").await).await, ["UpdateItem"]);
}

#[tokio::test]
async fn sweeps_make_one_call() {
    assert_eq!(calls([], async |aws| aws.store().due(0, 1, 10).await).await, ["Query"]);
    assert_eq!(calls([], async |aws| aws.store().oldest_due(0).await).await, ["Query"]);
    assert_eq!(calls([], async |aws| Sweeps::run(&aws.store(), "r").await).await, ["GetItem"]);
    assert_eq!(calls([], async |aws| Sweeps::push(&aws.store(), "p").await).await, ["GetItem"]);
    let push = PushRow::default();
    assert_eq!(calls([], async |aws| aws.store().replace_push(&push, &push).await).await, ["PutItem"]);
    assert_eq!(calls([], async |aws| aws.store().by_state("held", "", None, 10).await).await, ["Query"]);
    assert_eq!(calls([], async |aws| aws.store().lease("b").await).await, ["GetItem"]);
    assert_eq!(calls([], async |aws| aws.store().attentions().await).await, ["Query"]);
    assert_eq!(calls([], async |aws| aws.store().shop_accepts("t").await).await, TRANSACTION);
    assert_eq!(calls([], async |aws| aws.store().shop_revoked("t").await).await, ["UpdateItem"]);
}

#[tokio::test]
async fn operations_make_one_call_but_for_a_page_of_runs() {
    let (binding, settings, token) = (BindingRow::default(), SettingsRow::default(), TokenRow::default());
    assert_eq!(calls([], async |aws| aws.store().add_tenant(&TenantRow::default()).await).await, TRANSACTION);
    assert_eq!(calls([], async |aws| aws.store().add_binding(&binding, &settings, &token).await).await, TRANSACTION);
    assert_eq!(calls([], async |aws| aws.store().replace_binding(&binding, &binding).await).await, ["PutItem"]);
    assert_eq!(calls([], async |aws| aws.store().put_token(&token).await).await, ["PutItem"]);
    assert_eq!(calls([], async |aws| aws.store().token("b").await).await, ["GetItem"]);
    assert_eq!(calls([], async |aws| aws.store().attempts("r").await).await, ["Query"]);
    let entry = Answer::Json(200, json!({"Items": [{"pk": {"S": "run#r"}, "sk": {"S": "run"}}]}));
    assert_eq!(calls([entry], async |aws| aws.store().runs("t", None, 10).await).await, ["Query", "BatchGetItem"]);
    let page = async |aws: Aws| aws.store().xrefs_below("b", "b#", None, 10).await;
    assert_eq!(calls([], &page).await, ["Query"]);
    let entry = Answer::Json(200, json!({"Items": [{"pk": {"S": "b#1"}, "book": {"S": "b"}}]}));
    assert_eq!(calls([entry], &page).await, ["Query", "BatchGetItem"]);
}

#[tokio::test]
async fn what_is_asked_about_shops_makes_one_call() {
    let sealed = SealedRow { ciphertext: "YQ==".to_owned(), version: 1 };
    let tenant = TenantRow { tenant: "t".to_owned(), candidate_key: Some(sealed.clone()), ..TenantRow::default() };
    let promotion = Promotion { seen: tenant.clone(), now: 1, previous_until: 2 };
    assert_eq!(calls([], async |aws| aws.store().promote(&promotion).await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().add_candidate(&tenant, &sealed, "xero").await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().candidate_for(&tenant, "xero").await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().took_current_key(&tenant, "xero", 1).await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().shop_address("a").await).await, ["GetItem"]);
    let shop = NewShop { address: ShopAddressRow::new("a", "t"), tenant: tenant.clone() };
    assert_eq!(calls([], async |aws| aws.store().add_shop(&shop).await).await, TRANSACTION);
    let binding = BindingRow::default();
    assert_eq!(calls([], async |aws| aws.store().add_pending_binding(&binding).await).await, TRANSACTION);
    assert_eq!(calls([], async |aws| aws.store().binding_becomes(&binding, "s", None).await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().shop_unreached("t", 1).await).await, TRANSACTION);
    assert_eq!(calls([], async |aws| aws.store().shop_reached("t").await).await, ["UpdateItem"]);
    assert_eq!(calls([], async |aws| aws.store().disconnect_shop("t", &jti(), 1).await).await, TRANSACTION);
    let mut heard =
        Heard { tenant: "t".to_owned(), seen: Some(1), now: 2, gaps: Vec::new(), wakes: false, agenda: None };
    assert_eq!(calls([], async |aws| aws.store().heard(&heard).await).await, ["UpdateItem"]);
    heard.agenda = Some(AgendaRow::new("silence", "t", 3));
    assert_eq!(calls([], async |aws| aws.store().heard(&heard).await).await, TRANSACTION);
}

fn message() -> Outgoing {
    Outgoing {
        queue: QueueName::Work(Event::InvoiceCreated),
        group: "g".to_owned(),
        deduplication: "d".to_owned(),
        body: "{}".to_owned(),
    }
}

/// The first try of a hot call doesn't go through the SDK, which would take the service's answer apart in the same way.
#[tokio::test]
async fn the_short_way_signs_what_the_services_read() {
    let script = Scripted::default();
    script.aws().queue().send(&message()).await.unwrap();
    script.store().progress(&progress()).await.unwrap();
    let asked = script.asked();
    let queue_url = "queue_invoice_created_url";
    let body =
        json!({"QueueUrl": queue_url, "MessageBody": "{}", "MessageDeduplicationId": "d", "MessageGroupId": "g"});
    assert_eq!(asked[0].body, body);
    for (asked, service) in asked.iter().zip(["sqs", "dynamodb"]) {
        assert_eq!(asked.headers["user-agent"], concat!("ledger/", env!("CARGO_PKG_VERSION")), "the SDK's");
        assert_eq!(asked.headers["x-amz-security-token"], "aws_session_token");
        assert_eq!(asked.headers["content-type"], "application/x-amz-json-1.0");
        let day = &asked.headers["x-amz-date"][..8];
        let scope = format!("AWS4-HMAC-SHA256 Credential=aws_access_key_id/{day}/eu-west-1/{service}/aws4_request, ");
        let signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=";
        assert!(asked.headers["authorization"].starts_with(&format!("{scope}{signed}")), "{asked:?}");
    }
}

#[tokio::test]
async fn what_the_short_way_does_not_get_is_left_to_the_sdk() {
    let trouble =
        [fault("ThrottlingException"), Answer::Json(500, json!({})), Answer::Json(503, json!({})), Answer::Never];
    for first in trouble {
        let script = Scripted::new([first.clone(), Answer::Json(500, json!({}))]);
        assert_eq!(script.aws().queue().send(&message()).await, Ok(()), "{first:?}");
        let asked = script.asked();
        assert_eq!(asked.len(), 3, "{first:?}");
        assert!(asked.iter().all(|it| it.body == asked[0].body), "{first:?}");
        let script = Scripted::new([first.clone(), Answer::Json(500, json!({}))]);
        assert_eq!(script.store().progress(&progress()).await, Ok(Written::Done), "{first:?}");
        let asked = script.asked();
        assert_eq!(asked.len(), 3, "{first:?}");
        assert!(asked.iter().all(|it| it.body == asked[0].body), "{first:?}");
        let script = Scripted::new(vec![first; 10]);
        let answer = tokio::time::timeout(Duration::from_secs(2), script.store().progress(&progress())).await.unwrap();
        assert!(matches!(answer, Err(PortFault::Unavailable(_))));
        assert_eq!(script.asked().len(), 3);
    }
}

#[tokio::test]
async fn queues_make_one_call() {
    let message = message();
    assert_eq!(calls([], async |aws| aws.queue().send(&message).await).await, ["SendMessage"]);
    assert_eq!(
        calls([], async |aws| aws.queue().give_back(QueueName::Work(Event::InvoiceCreated), "r", 5).await).await,
        ["ChangeMessageVisibility"]
    );
    let counts = json!({"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "3"});
    let script = Scripted::new([Answer::Json(200, json!({"Attributes": counts}))]);
    assert_eq!(script.aws().queue().depth().await, Ok(5));
    assert_eq!(script.operations(), ["GetQueueAttributes"]);
    assert_eq!(calls([], async |aws| aws.queue().receive().await).await, ["ReceiveMessage"]);
    assert_eq!(calls([], async |aws| aws.queue().delete("r").await).await, ["DeleteMessage"]);
}

#[tokio::test]
async fn a_secret_is_opened_once_in_a_process() {
    let plain = Answer::Json(200, json!({"Plaintext": "aHVzaA=="}));
    let script = Scripted::new([plain.clone(), plain.clone(), plain]);
    let vault = script.aws().vault();
    let sealed = SealedRow { ciphertext: "YWJj".to_owned(), version: 1 };
    let context = context();
    let other = SealContext { owner: "u".to_owned(), ..context.clone() };
    let newer = SealedRow { version: 2, ..sealed.clone() };
    let copy = vault.clone();
    let (first, second) = tokio::join!(vault.open(&sealed, &context), copy.open(&sealed, &context));
    assert!(first.is_ok() && second.is_ok());
    vault.open(&sealed, &context).await.unwrap();
    assert_eq!(script.operations(), ["Decrypt"]);
    // Another owner or version is another secret, whatever the ciphertext.
    vault.open(&sealed, &other).await.unwrap();
    vault.open(&newer, &context).await.unwrap();
    assert_eq!(script.operations().len(), 3);
    let contexts: Vec<Value> = script.asked().iter().map(|asked| asked.body["EncryptionContext"].clone()).collect();
    assert_eq!(contexts[0], json!({"label": "tenants/v1", "owner": "t", "attribute": "api_key", "version": "1"}));
    assert_eq!(contexts[1]["owner"], "u");
    assert_eq!(contexts[2]["version"], "2");
}

#[tokio::test]
async fn a_failed_opening_is_not_remembered() {
    let refusal = Answer::Json(400, json!({"__type": "AccessDeniedException", "message": "no kms:Decrypt"}));
    let script = Scripted::new([refusal, Answer::Json(200, json!({"Plaintext": "aHVzaA=="}))]);
    let vault = script.aws().vault();
    let sealed = SealedRow { ciphertext: "YWJj".to_owned(), version: 1 };
    assert_eq!(
        vault.open(&sealed, &context()).await.map(|_| ()),
        Err(PortFault::Unavailable("Decrypt: AccessDeniedException (request none): no kms:Decrypt".to_owned()))
    );
    assert!(vault.open(&sealed, &context()).await.is_ok());
}

#[tokio::test]
async fn a_ciphertext_of_another_place_is_inconsistent() {
    let invalid = Answer::Json(400, json!({"__type": "InvalidCiphertextException"}));
    let script = Scripted::new([invalid]);
    let vault = script.aws().vault();
    for ciphertext in ["YWJj", "not base64"] {
        let sealed = SealedRow { ciphertext: ciphertext.to_owned(), version: 1 };
        assert!(matches!(vault.open(&sealed, &context()).await, Err(PortFault::Inconsistent(_))), "{ciphertext}");
    }
}

#[tokio::test]
async fn a_conflict_is_tried_again_under_a_new_token() {
    let conflict = cancelled(&[(NONE, None), (CONFLICT, None)]);
    let script = Scripted::new([conflict.clone(), conflict]);
    assert_eq!(script.store().accept(&[run()], &jti(), 1, "delivery").await, Ok(Accepted::Fresh));
    let tokens = script.tokens();
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[0], "delivery");
    assert!(tokens[1] != tokens[0] && tokens[2] != tokens[1]);
    assert!(tokens.iter().all(|token| (1..=36).contains(&token.len())));
    // A retry of the same delivery's write has the same tokens.
    let again = Scripted::new([cancelled(&[(CONFLICT, None), (NONE, None)])]);
    again.store().accept(&[run()], &jti(), 1, "delivery").await.unwrap();
    assert_eq!(again.tokens(), tokens[..2]);
}

#[tokio::test]
async fn a_long_token_is_shortened() {
    let script = Scripted::default();
    script.store().accept(&[run()], &jti(), 1, &"x".repeat(64)).await.unwrap();
    script.store().accept(&[run()], &jti(), 1, "").await.unwrap();
    assert!(script.tokens().iter().all(|token| token.len() == 36));
}

#[tokio::test]
async fn a_claim_is_sent_under_its_own_id() {
    let script = Scripted::default();
    assert_eq!(script.store().claim(&claim_request()).await, Ok(Claimed::Ours));
    assert_eq!(script.tokens(), ["c"]);
}

#[tokio::test]
async fn a_conflict_that_stays_is_unavailable() {
    let script = Scripted::new(vec![cancelled(&[(CONFLICT, None), (NONE, None)]); 20]);
    let answer = script.store().progress(&progress()).await;
    assert_eq!(answer, Err(PortFault::Unavailable("TransactWriteItems: conflict".to_owned())));
    assert_eq!(script.operations().len(), 6);
}

#[tokio::test]
async fn a_conflict_of_a_single_write_is_tried_again() {
    let script = Scripted::new([fault("TransactionConflictException")]);
    assert_eq!(Attempts::replace_run(&script.store(), &run(), &run(), None).await, Ok(true));
    assert_eq!(script.operations(), ["PutItem", "PutItem"]);
    let script = Scripted::new([fault("TransactionConflictException")]);
    script.store().needs_reconnect("t", "b", None).await.unwrap();
    assert_eq!(script.operations(), ["UpdateItem", "UpdateItem"]);
}

#[tokio::test]
async fn the_run_is_judged_before_a_conflict_and_before_the_lease() {
    let taken = RunRow { claim: Some("other".to_owned()), ..run() };
    let lease = json!({"until": {"N": "77"}});
    for second in [(CONFLICT, None), (FAILED, Some(lease.clone()))] {
        let script = Scripted::new([cancelled(&[(FAILED, Some(wire(&taken))), second])]);
        assert_eq!(script.store().claim(&claim_request()).await, Ok(Claimed::Not(Some(taken.clone()))));
    }
    let script = Scripted::new([cancelled(&[(FAILED, None), (NONE, None)])]);
    assert_eq!(script.store().claim(&claim_request()).await, Ok(Claimed::Not(None)));
    // The run is in doubt, so the lease decides nothing yet.
    let script = Scripted::new([cancelled(&[(CONFLICT, None), (FAILED, Some(lease.clone()))])]);
    assert_eq!(script.store().claim(&claim_request()).await, Ok(Claimed::Ours));
    let script = Scripted::new([cancelled(&[(NONE, None), (FAILED, Some(lease))])]);
    assert_eq!(script.store().claim(&claim_request()).await, Ok(Claimed::BookBusy(77)));
}

#[tokio::test]
async fn a_claim_whose_reply_was_lost_is_ours() {
    let script = Scripted::new([cancelled(&[(FAILED, Some(wire(&run()))), (NONE, None)])]);
    assert_eq!(script.store().claim(&claim_request()).await, Ok(Claimed::Ours));
    // The same with other times in it, under the token of the first: DynamoDB refuses the token, the condition tells.
    let script = Scripted::new([
        fault("IdempotentParameterMismatchException"),
        cancelled(&[(FAILED, Some(wire(&run()))), (NONE, None)]),
    ]);
    assert_eq!(script.store().claim(&claim_request()).await, Ok(Claimed::Ours));
    let tokens = script.tokens();
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn all_of_what_is_met_is_told() {
    let there = cancelled(&[(FAILED, Some(wire(&jti()))), (NONE, None), (FAILED, Some(wire(&run())))]);
    let script = Scripted::new([there]);
    let met = Accepted::Met { jti: Some(jti()), runs: vec![None, Some(run())] };
    assert_eq!(script.store().accept(&[run(), run()], &jti(), 1, "k").await, Ok(met));
    // With a conflict it is not known what is there, so it is asked again.
    let script = Scripted::new([cancelled(&[(FAILED, Some(wire(&jti()))), (CONFLICT, None)])]);
    assert_eq!(script.store().accept(&[run()], &jti(), 1, "k").await, Ok(Accepted::Fresh));
}

#[tokio::test]
async fn a_spent_token_comes_before_a_changed_run() {
    let parts = [Revisit::Put(run())];
    let script = Scripted::new([cancelled(&[(FAILED, Some(wire(&jti()))), (CONFLICT, None)])]);
    assert_eq!(script.store().revisit(&jti(), 1, &parts).await, Ok(Revisited::Spent(jti())));
    let script = Scripted::new([cancelled(&[(NONE, None), (FAILED, Some(wire(&run())))])]);
    assert_eq!(script.store().revisit(&jti(), 1, &parts).await, Ok(Revisited::Changed));
}

#[tokio::test]
async fn a_lost_lease_loses_no_outcome() {
    // Run, cross-reference, push, attempt, lease.
    let lost = cancelled(&[(NONE, None), (NONE, None), (NONE, None), (NONE, None), (FAILED, None)]);
    let script = Scripted::new([lost]);
    assert_eq!(script.store().commit(&commit()).await, Ok(Written::Done));
    let parts: Vec<usize> =
        script.asked().iter().map(|asked| asked.body["TransactItems"].as_array().unwrap().len()).collect();
    assert_eq!(parts, [5, 4]);
    let tokens = script.tokens();
    assert_ne!(tokens[0], tokens[1]);
    // But a lost claim or another's cross-reference does.
    let script = Scripted::new([cancelled(&[
        (FAILED, Some(wire(&run()))),
        (NONE, None),
        (NONE, None),
        (NONE, None),
        (FAILED, None),
    ])]);
    assert_eq!(script.store().commit(&commit()).await, Ok(Written::Lost));
    let other = wire(&XrefRow { run_id: "other".to_owned(), ..xref_write("x").row });
    let script =
        Scripted::new([cancelled(&[(NONE, None), (FAILED, Some(other)), (NONE, None), (NONE, None), (FAILED, None)])]);
    assert_eq!(script.store().commit(&commit()).await, Ok(Written::Changed("x".to_owned())));
}

#[tokio::test]
async fn a_contended_lease_loses_no_outcome() {
    let conflict = cancelled(&[(NONE, None), (NONE, None), (NONE, None), (NONE, None), (CONFLICT, None)]);
    let script = Scripted::new(vec![conflict; 6]);
    assert_eq!(script.store().commit(&commit()).await, Ok(Written::Done));
    let operations = script.operations();
    assert_eq!((operations.len(), operations[6].as_str(), operations[7].as_str()), (8, TRANSACTION[0], "UpdateItem"));
    // Where it isn't the lease, it is unavailable.
    let conflict = cancelled(&[(CONFLICT, None)]);
    let script = Scripted::new(vec![conflict; 20]);
    let answer = script.store().commit(&commit()).await;
    assert_eq!(answer, Err(PortFault::Unavailable("commit: conflict".to_owned())));
    assert_eq!(script.operations().len(), 12);
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_is_recognised() {
    let commit = commit();
    let script = Scripted::new([cancelled(&[
        (FAILED, Some(wire(&commit.run))),
        (FAILED, Some(wire(&commit.xrefs[0].row))),
        (NONE, None),
        (NONE, None),
        (FAILED, None),
    ])]);
    assert_eq!(script.store().commit(&commit).await, Ok(Written::Done));
    let progress = progress();
    let [first, second] = [&progress.xrefs[0].row, &progress.xrefs[1].row];
    let script = Scripted::new([cancelled(&[(NONE, None), (FAILED, Some(wire(first))), (FAILED, Some(wire(second)))])]);
    assert_eq!(script.store().progress(&progress).await, Ok(Written::Done));
    let other = XrefRow { attempt: 9, ..second.clone() };
    let script = Scripted::new([cancelled(&[(NONE, None), (FAILED, Some(wire(first))), (FAILED, Some(wire(&other)))])]);
    assert_eq!(script.store().progress(&progress).await, Ok(Written::Changed("y".to_owned())));
    let next = RunRow { updated_at: 5, claim: None, ..run() };
    for (there, answer) in [(&next, true), (&run(), false)] {
        let failed = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            "message": "m",
            "Item": wire(there),
        });
        let script = Scripted::new([Answer::Json(400, failed)]);
        assert_eq!(Sweeps::replace_run(&script.store(), &run(), &next, None).await, Ok(answer));
    }
}

#[tokio::test]
async fn throttling_is_unavailable_and_the_words_of_the_service_are_kept_back() {
    for code in ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"] {
        let script = Scripted::new(vec![fault(code); 3]);
        let answer = script.store().progress(&progress()).await;
        let told = format!("TransactWriteItems: {code} (request none)");
        assert_eq!(answer, Err(PortFault::Unavailable(told)));
        assert_eq!(script.operations().len(), 3, "the SDK's own tries");
    }
    let script = Scripted::new([cancelled(&[(NONE, None), (CONFLICT, None), ("ThrottlingError", None)])]);
    let answer = script.store().progress(&progress()).await;
    assert_eq!(answer, Err(PortFault::Unavailable("TransactWriteItems: ThrottlingError".to_owned())));
}

#[tokio::test]
async fn the_sdk_repeats_a_transaction_in_progress_under_the_same_token() {
    let script = Scripted::new([fault("TransactionInProgressException"), Answer::Never]);
    assert_eq!(script.store().progress(&progress()).await, Ok(Written::Done));
    let tokens = script.tokens();
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    let script = Scripted::new(vec![fault("TransactionInProgressException"); 3]);
    assert!(matches!(script.store().progress(&progress()).await, Err(PortFault::Unavailable(_))));
}

#[tokio::test]
async fn silence_is_unavailable_within_the_operations_time() {
    let script = Scripted::new(vec![Answer::Never; 10]);
    let answer = tokio::time::timeout(Duration::from_secs(2), script.store().tenancy("t")).await.unwrap();
    assert_eq!(answer, Err(PortFault::Unavailable("Query: timeout".to_owned())));
    assert!(script.operations().len() <= 3);
}

#[tokio::test]
async fn unprocessed_keys_are_asked_for_again() {
    let left = json!({"table_entity_xref": {"Keys": [{"pk": {"S": "x"}}], "ConsistentRead": true}});
    let first = json!({"Responses": {"table_sync_runs": [wire(&run())]}, "UnprocessedKeys": left});
    let second = json!({"Responses": {"table_entity_xref": [wire(&xref_write("x").row)]}, "UnprocessedKeys": {}});
    let script = Scripted::new([Answer::Json(200, first.clone()), Answer::Json(200, second)]);
    let request = GatherRequest { run_id: "r".to_owned(), xrefs: vec!["x".to_owned()], ..GatherRequest::default() };
    let gathered = script.store().gather(&request).await.unwrap();
    assert_eq!(gathered.run, Some(run()));
    assert_eq!(gathered.xrefs.len(), 1);
    assert_eq!(script.operations().len(), 2);
    assert_eq!(script.asked()[1].body["RequestItems"], left);
    let script = Scripted::new(vec![Answer::Json(200, first); 20]);
    let answer = script.store().gather(&request).await.map(|_| ());
    assert_eq!(answer, Err(PortFault::Unavailable("BatchGetItem: unprocessed keys".to_owned())));
    assert_eq!(script.operations().len(), 6);
}

#[tokio::test]
async fn every_read_of_a_table_is_consistent() {
    let script = Scripted::default();
    let store = script.store();
    store.tenancy("t").await.unwrap();
    store.settings("b", 1).await.unwrap();
    store.attempts("r").await.unwrap();
    store.attentions().await.unwrap();
    assert!(script.asked().iter().all(|asked| asked.body["ConsistentRead"] == true));
    let request = GatherRequest { xrefs: vec!["x".to_owned()], ..GatherRequest::default() };
    store.gather(&request).await.unwrap();
    let asked = script.asked();
    let tables = asked.last().unwrap().body["RequestItems"].as_object().unwrap().clone();
    assert_eq!(tables.len(), 3);
    assert!(tables.values().all(|keys| keys["ConsistentRead"] == true));
}

#[tokio::test]
async fn a_queue_that_is_not_configured_is_said() {
    let script = Scripted::default();
    let config = Config::from_lookup(&|name| (!name.starts_with("QUEUE_")).then(|| name.to_lowercase())).unwrap();
    let queue = Aws::with_connector(&config, script.clone()).queue();
    assert!(!queue.has(QueueName::Work(Event::InvoiceCreated)));
    assert!(matches!(queue.depth().await, Err(PortFault::Unavailable(_))));
    assert!(script.operations().is_empty());
}

#[tokio::test]
async fn a_message_that_is_visible_already_is_given_back() {
    let visible = json!({"__type": "com.amazonaws.sqs#MessageNotInflight", "message": "m"});
    let script = Scripted::new([Answer::Json(400, visible)]);
    assert_eq!(script.aws().queue().give_back(QueueName::Work(Event::InvoiceCreated), "r", 5).await, Ok(()));
}
