//! The three tables.

mod agenda;
mod attempts;
mod deliveries;
mod grants;
mod notices;
mod operations;
mod pairing;
mod preview;
mod pushes;
mod reference;
mod sweeps;
mod table;
mod tenants;

use crate::config::Tables;
use crate::connect::Foundation;
use crate::item::{Item, Row, from_maybe, number, text, to_item};
use crate::lane::Lane;
use crate::write::Write;
use ledger_engine::ports::{PortResult, PushWant};
use ledger_wire::rows::{ROW_VERSION, RunRow, keys};
use std::sync::Arc;
use table::{One, Table, Transacted, key};
use tokio::sync::OnceCell;

/// The store: every port that reads or writes rows, on DynamoDB.
///
/// Each method says how many calls it makes where nothing goes wrong. What goes wrong costs more: an unanswered
/// call is tried up to three times, a transaction conflict is tried again up to five times.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: aws_sdk_dynamodb::Client,
    foundation: Foundation,
    endpoint: Option<String>,
    lane: Arc<OnceCell<Option<Lane>>>,
    tables: Arc<Tables>,
}

impl DynamoStore {
    pub(crate) fn new(foundation: Foundation, endpoint: Option<String>, tables: Tables) -> Self {
        let client = foundation.dynamodb(endpoint.as_deref());
        Self { client, foundation, endpoint, lane: Arc::new(OnceCell::new()), tables: Arc::new(tables) }
    }

    /// The short way, for transactions.
    async fn lane(&self) -> Option<&Lane> {
        self.lane.get_or_init(|| self.foundation.dynamodb_lane(self.endpoint.as_deref())).await.as_ref()
    }

    /// One row, strongly consistent. One GetItem.
    async fn row<R: Row>(&self, table: Table, pk: &str, sk: &str) -> PortResult<Option<R>> {
        from_maybe(self.get(table, key(pk, Some(sk))).await?)
    }

    /// Replaces a run as seen. One PutItem; with a push one TransactWriteItems of two.
    async fn replace_run_as_seen(&self, seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> PortResult<bool> {
        let item = to_item(next)?;
        let put = self.run_replaced(seen, item.clone());
        let refused = match push {
            None => match self.one(put).await? {
                One::Done => return Ok(true),
                One::Refused(there) => there,
            },
            Some(push) => match self.transact(vec![put, self.push_wanted(push)], None, true).await? {
                Transacted::Done => return Ok(true),
                Transacted::Refused(reasons) => reasons.into_iter().next().flatten().flatten(),
            },
        };
        // Where the row there is the one that we wanted, an earlier try of this call was applied and its reply lost.
        Ok(refused == Some(item))
    }

    fn run_replaced(&self, seen: &RunRow, next: Item) -> Write {
        Write::put(&self.tables.sync_runs, next)
            .only_if(
                "#generation = :seen_generation AND #dispatch = :seen_dispatch AND #attempt = :seen_attempt \
                 AND #state = :seen_state",
            )
            .with("seen_generation", number(seen.generation))
            .with("seen_dispatch", number(seen.dispatch))
            .with("seen_attempt", number(seen.attempt))
            .with("seen_state", text(&seen.state))
    }

    /// Makes a chip's row, or raises its `wanted` and `dispatch`; what is not told stays.
    fn push_wanted(&self, want: &PushWant) -> Write {
        let pk = keys::push(&want.tenant, &want.provider, &want.entity_type, want.magento_id);
        let told = [("document_run", &want.document_run), ("payment_run", &want.payment_run), ("xref", &want.xref)];
        let mut change = "SET #v = :v, #tenant = :tenant, #provider = :provider, #entity_type = :entity_type, \
             #magento_id = :magento_id, #wanted = if_not_exists(#wanted, :zero) + :one, \
             #dispatch = if_not_exists(#dispatch, :zero) + :one, #pushed = if_not_exists(#pushed, :zero), \
             #failures = :zero, #due_shard = :due_shard, #due_at = :due_at, #expires_at = :expires_at"
            .to_owned();
        for (name, _) in told.iter().filter(|(_, value)| value.is_some()) {
            change.push_str(&format!(", #{name} = :{name}"));
        }
        let write = Write::update(&self.tables.sync_runs, key(&pk, Some(keys::PUSH)), change)
            .with("v", number(ROW_VERSION))
            .with("tenant", text(&want.tenant))
            .with("provider", text(&want.provider))
            .with("entity_type", text(&want.entity_type))
            .with("magento_id", number(want.magento_id))
            .with("zero", number(0))
            .with("one", number(1))
            .with("due_shard", text(keys::due_shard(&pk)))
            .with("due_at", number(want.due_at))
            .with("expires_at", number(want.expires_at));
        told.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .fold(write, |write, (name, value)| write.with(name, text(value)))
    }
}
