//! Reading and writing items: retries, conflicts and faults are dealt with here.

use super::DynamoStore;
use crate::fault::{code, unavailable};
use crate::item::{Item, text, text_of};
use crate::lane::{Lane, refusal};
use crate::senses::SystemChance;
use crate::write::{Action, Write, names, transaction};
use aws_sdk_dynamodb::Config;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItems, TransactWriteItemsError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, KeysAndAttributes, ReturnValuesOnConditionCheckFailure,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use ledger_engine::ports::{Chance, PortFault, PortResult};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Tries after a conflict.
const CONFLICT_RETRIES: u32 = 5;
/// A pause before one is at least this long, in milliseconds.
const SHORTEST_PAUSE_MS: u64 = 20;
/// And at most this.
const LONGEST_PAUSE_MS: u64 = 200;
/// Keys of one BatchGetItem.
const BATCH_KEYS: usize = 100;
/// Characters of a request token.
const TOKEN_CHARACTERS: usize = 36;

type TransactionError = SdkError<TransactWriteItemsError, HttpResponse>;

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Table {
    SyncRuns,
    EntityXref,
    Tenants,
}

/// What became of a single write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum One {
    /// It is done.
    Done,
    /// Its condition didn't hold; the row that is there.
    Refused(Option<Item>),
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Transacted {
    /// All of it is done.
    Done,
    /// None of it is done. For each part: whether its condition failed and then, which row is there.
    Refused(Vec<Option<Option<Item>>>),
}

/// What became of a transaction that may lose against others.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Contended {
    /// It was judged.
    Judged(Transacted),
    /// None of it is done: at every try somebody else was writing one of the rows.
    Conflict,
}

/// A query of a table or an index.
#[derive(Clone, Debug)]
pub(super) struct Find {
    pub(super) table: Table,
    pub(super) index: Option<&'static str>,
    pub(super) condition: &'static str,
    pub(super) values: Vec<(&'static str, AttributeValue)>,
    pub(super) newest_first: bool,
    pub(super) limit: Option<usize>,
    pub(super) after: Option<Item>,
}

/// A page of items.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) last: Option<Item>,
}

/// A row's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) table: Table,
    pub(super) pk: String,
    pub(super) sk: Option<String>,
}

impl Place {
    pub(super) fn new(table: Table, pk: String, sk: impl Into<String>) -> Self {
        Self { table, pk, sk: Some(sk.into()) }
    }

    pub(super) fn xref(pk: &str) -> Self {
        Self { table: Table::EntityXref, pk: pk.to_owned(), sk: None }
    }
}

/// A primary key.
pub(super) fn key(pk: &str, sk: Option<&str>) -> Item {
    let sk = sk.map(|sk| ("sk".to_owned(), text(sk)));
    std::iter::once(("pk".to_owned(), text(pk))).chain(sk).collect()
}

async fn pause() {
    let spread = LONGEST_PAUSE_MS.saturating_sub(SHORTEST_PAUSE_MS).saturating_add(1);
    let jitter = SystemChance.number().checked_rem(spread).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(SHORTEST_PAUSE_MS.saturating_add(jitter))).await;
}

/// The token of a transaction's nth try. DynamoDB may remember a cancelled try under its token, so each has its own,
/// always the same for the same token and try. A try that is applied late all the same meets conditions that no
/// longer hold.
fn request_token(token: &str, nth: u32) -> String {
    if nth == 0 && !token.is_empty() && token.len() <= TOKEN_CHARACTERS {
        return token.to_owned();
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{nth}#{token}").as_bytes());
    digest.as_ref().iter().take(TOKEN_CHARACTERS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What the reasons of a cancellation come to.
enum Verdict {
    /// Conditions failed, and nothing can change that.
    Refused(Vec<Option<Option<Item>>>),
    /// Somebody else was writing one of the rows.
    Conflict,
    /// Anything else.
    Trouble(String),
}

/// Judges a cancellation. `leading`: where the first part's condition failed, nothing else matters.
fn judge(reasons: &[CancellationReason], leading: bool) -> Verdict {
    let codes = || reasons.iter().map(|reason| reason.code().unwrap_or("None"));
    let failed = |code: &str| code == "ConditionalCheckFailed";
    let refused = || {
        let parts = reasons.iter().zip(codes());
        Verdict::Refused(parts.map(|(reason, code)| failed(code).then(|| reason.item().cloned())).collect())
    };
    if leading && codes().next().is_some_and(failed) {
        return refused();
    }
    if let Some(trouble) = codes().find(|code| !failed(code) && !["None", "TransactionConflict"].contains(code)) {
        return Verdict::Trouble(trouble.to_owned());
    }
    if codes().any(|code| code == "TransactionConflict") {
        return Verdict::Conflict;
    }
    if codes().any(failed) { refused() } else { Verdict::Trouble("cancelled without a reason".to_owned()) }
}

impl DynamoStore {
    pub(super) fn name(&self, table: Table) -> &str {
        match table {
            Table::SyncRuns => &self.tables.sync_runs,
            Table::EntityXref => &self.tables.entity_xref,
            Table::Tenants => &self.tables.tenants,
        }
    }

    /// Writes all or nothing. `token`: the caller's, if it has one to repeat.
    pub(super) async fn transact(
        &self,
        writes: Vec<Write>,
        token: Option<&str>,
        leading: bool,
    ) -> PortResult<Transacted> {
        match self.contend(writes, token, leading).await? {
            Contended::Judged(transacted) => Ok(transacted),
            Contended::Conflict => Err(PortFault::Unavailable("TransactWriteItems: conflict".to_owned())),
        }
    }

    /// The same, for a caller who knows what to do about a conflict that stays.
    pub(super) async fn contend(
        &self,
        writes: Vec<Write>,
        token: Option<&str>,
        leading: bool,
    ) -> PortResult<Contended> {
        const OPERATION: &str = "TransactWriteItems";
        let mut token = token.map_or_else(|| SystemChance.uuid(), str::to_owned);
        for nth in 0..=CONFLICT_RETRIES {
            let Err(error) = self.try_transaction(&writes, &request_token(&token, nth)).await? else {
                return Ok(Contended::Judged(Transacted::Done));
            };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    match judge(cancelled.cancellation_reasons(), leading) {
                        Verdict::Refused(reasons) => return Ok(Contended::Judged(Transacted::Refused(reasons))),
                        Verdict::Conflict => pause().await,
                        Verdict::Trouble(code) => {
                            return Err(PortFault::Unavailable(format!("{OPERATION}: {code}")));
                        }
                    }
                }
                // The token was used for a call that differed, perhaps by the time in it: the conditions tell.
                Some(TransactWriteItemsError::IdempotentParameterMismatchException(_)) => {
                    token = SystemChance.uuid();
                }
                _ => return Err(unavailable(OPERATION, &error)),
            }
        }
        Ok(Contended::Conflict)
    }

    /// One transaction in as many tries as the SDK would make: the first on the short way, the others by the SDK.
    async fn try_transaction(&self, writes: &[Write], token: &str) -> PortResult<Result<(), TransactionError>> {
        use TransactWriteItemsError::{IdempotentParameterMismatchException, TransactionCanceledException};
        let (Some(lane), Ok(body)) = (self.lane().await, transaction(writes, token)) else {
            return Box::pin(self.sdk_transaction(writes, token, None)).await;
        };
        if let Some(answer) = lane.call("DynamoDB_20120810.TransactWriteItems", body).await {
            if answer.status().is_success() {
                return Ok(Ok(()));
            }
            if let Some(error @ (TransactionCanceledException(_) | IdempotentParameterMismatchException(_))) =
                refusal(&TransactWriteItems::new(), &answer)
            {
                return Ok(Err(SdkError::service_error(error, answer)));
            }
        }
        Box::pin(self.sdk_transaction(writes, token, Some(lane))).await
    }

    /// The same by the SDK alone: all tries, or those that a lane leaves.
    async fn sdk_transaction(
        &self,
        writes: &[Write],
        token: &str,
        after: Option<&Lane>,
    ) -> PortResult<Result<(), TransactionError>> {
        let parts = writes.iter().cloned().map(Write::into_part).collect::<PortResult<Vec<_>>>()?;
        let call = self.client.transact_write_items().set_transact_items(Some(parts)).client_request_token(token);
        let mut call = call.customize();
        if let Some(lane) = after {
            let (retries, limits) = lane.leaves().await;
            call = call.config_override(Config::builder().retry_config(retries).timeout_config(limits));
        }
        Ok(call.send().await.map(|_| ()))
    }

    /// Writes one row. Conditions are never checked alone.
    pub(super) async fn one(&self, write: Write) -> PortResult<One> {
        const CONFLICT: &str = "TransactionConflictException";
        let tell = || ReturnValuesOnConditionCheckFailure::AllOld;
        for _ in 0..=CONFLICT_RETRIES {
            let (names, values) = (write.names(), write.values());
            let condition = write.condition.as_deref().map(str::to_owned);
            match &write.action {
                Action::Put(item) => {
                    let call = self.client.put_item().table_name(&write.table).set_item(Some(item.clone()));
                    let call = call.set_condition_expression(condition);
                    let call = call.set_expression_attribute_names(names).set_expression_attribute_values(values);
                    let Err(error) = call.return_values_on_condition_check_failure(tell()).send().await else {
                        return Ok(One::Done);
                    };
                    match error.as_service_error() {
                        Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                            return Ok(One::Refused(failed.item().cloned()));
                        }
                        _ if code(&error) == Some(CONFLICT) => (),
                        _ => return Err(unavailable("PutItem", &error)),
                    }
                }
                Action::Update(key, change) => {
                    let call = self.client.update_item().table_name(&write.table).set_key(Some(key.clone()));
                    let call = call.update_expression(change.as_ref()).set_condition_expression(condition);
                    let call = call.set_expression_attribute_names(names).set_expression_attribute_values(values);
                    let Err(error) = call.return_values_on_condition_check_failure(tell()).send().await else {
                        return Ok(One::Done);
                    };
                    match error.as_service_error() {
                        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                            return Ok(One::Refused(failed.item().cloned()));
                        }
                        _ if code(&error) == Some(CONFLICT) => (),
                        _ => return Err(unavailable("UpdateItem", &error)),
                    }
                }
                Action::Delete(key) | Action::Check(key) => {
                    let call = self.client.delete_item().table_name(&write.table).set_key(Some(key.clone()));
                    let call = call.set_condition_expression(condition);
                    let call = call.set_expression_attribute_names(names).set_expression_attribute_values(values);
                    let Err(error) = call.return_values_on_condition_check_failure(tell()).send().await else {
                        return Ok(One::Done);
                    };
                    match error.as_service_error() {
                        Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                            return Ok(One::Refused(failed.item().cloned()));
                        }
                        _ if code(&error) == Some(CONFLICT) => (),
                        _ => return Err(unavailable("DeleteItem", &error)),
                    }
                }
            }
            pause().await;
        }
        Err(PortFault::Unavailable("conflict".to_owned()))
    }

    /// One item, strongly consistent.
    pub(super) async fn get(&self, table: Table, key: Item) -> PortResult<Option<Item>> {
        let call = self.client.get_item().table_name(self.name(table)).set_key(Some(key)).consistent_read(true);
        Ok(call.send().await.map_err(|error| unavailable("GetItem", &error))?.item)
    }

    /// Up to a hundred items at once, strongly consistent; more are asked for in turn. Those that are not there are
    /// absent.
    pub(super) async fn batch(&self, places: impl IntoIterator<Item = Place>) -> PortResult<HashMap<Place, Item>> {
        let places: Vec<Place> = places.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut found = HashMap::new();
        for chunk in places.chunks(BATCH_KEYS) {
            let mut wanted: HashMap<String, Vec<Item>> = HashMap::new();
            for place in chunk {
                let keys = wanted.entry(self.name(place.table).to_owned()).or_default();
                keys.push(key(&place.pk, place.sk.as_deref()));
            }
            self.batch_chunk(wanted, &mut found).await?;
        }
        Ok(found)
    }

    async fn batch_chunk(
        &self,
        wanted: HashMap<String, Vec<Item>>,
        found: &mut HashMap<Place, Item>,
    ) -> PortResult<()> {
        const OPERATION: &str = "BatchGetItem";
        let built = |keys| KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let mut wanted: HashMap<String, KeysAndAttributes> = wanted
            .into_iter()
            .map(|(table, keys)| Ok((table, built(keys)?)))
            .collect::<Result<_, aws_sdk_dynamodb::error::BuildError>>()
            .map_err(|error| PortFault::Inconsistent(format!("{OPERATION}: {error}")))?;
        for _ in 0..=CONFLICT_RETRIES {
            let call = self.client.batch_get_item().set_request_items(Some(wanted));
            let answer = call.send().await.map_err(|error| unavailable(OPERATION, &error))?;
            for (name, items) in answer.responses.unwrap_or_default() {
                let tables = [Table::SyncRuns, Table::EntityXref, Table::Tenants];
                let Some(table) = tables.into_iter().find(|table| self.name(*table) == name) else {
                    continue;
                };
                for item in items {
                    let sk = item.contains_key("sk").then(|| text_of(&item, "sk"));
                    found.insert(Place { table, pk: text_of(&item, "pk"), sk }, item);
                }
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(());
            }
            pause().await;
        }
        Err(PortFault::Unavailable(format!("{OPERATION}: unprocessed keys")))
    }

    /// Items in order: as many as the limit says, or all.
    pub(super) async fn find(&self, find: Find) -> PortResult<Page> {
        let mut page = Page { items: Vec::new(), last: find.after };
        let values: HashMap<String, AttributeValue> =
            find.values.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
        loop {
            let open = find.limit.map(|limit| limit.saturating_sub(page.items.len()));
            if open == Some(0) {
                return Ok(page);
            }
            let answer = self
                .client
                .query()
                .table_name(self.name(find.table))
                .set_index_name(find.index.map(str::to_owned))
                .key_condition_expression(find.condition)
                .set_expression_attribute_names(names(std::iter::once(find.condition)))
                .set_expression_attribute_values(Some(values.clone()))
                .scan_index_forward(!find.newest_first)
                .set_limit(open.map(|open| i32::try_from(open).unwrap_or(i32::MAX)))
                .set_exclusive_start_key(page.last.take())
                // An index has no strongly consistent reads.
                .consistent_read(find.index.is_none())
                .send()
                .await
                .map_err(|error| unavailable("Query", &error))?;
            page.items.extend(answer.items.unwrap_or_default());
            page.last = answer.last_evaluated_key.filter(|last| !last.is_empty());
            if page.last.is_none() {
                return Ok(page);
            }
        }
    }
}
