//! What the webhook asks.

use super::DynamoStore;
use super::table::{One, Transacted, key};
use crate::item::{from_maybe, number, text, to_item};
use crate::write::Write;
use async_trait::async_trait;
use ledger_domain::run::RunState;
use ledger_engine::ports::{Accepted, Deliveries, Heard, PortFault, PortResult, Revisit, Revisited};
use ledger_wire::rows::{JtiRow, RunRow, keys};

impl DynamoStore {
    /// Spends a token's id. DynamoDB removes expired rows when it likes, so time is judged here.
    pub(super) fn jti_spent(&self, jti: &JtiRow, now_seconds: i64) -> PortResult<Write> {
        Ok(Write::put(&self.tables.sync_runs, to_item(jti)?)
            .only_if("attribute_not_exists(#pk) OR #expires_at < :now_seconds")
            .with("now_seconds", number(now_seconds)))
    }

    fn run_new(&self, run: &RunRow) -> PortResult<Write> {
        Ok(Write::put(&self.tables.sync_runs, to_item(run)?).only_if("attribute_not_exists(#pk)"))
    }
}

#[async_trait]
impl Deliveries for DynamoStore {
    /// One TransactWriteItems.
    async fn accept(
        &self,
        runs: &[RunRow],
        jti: &JtiRow,
        now_seconds: i64,
        request_token: &str,
    ) -> PortResult<Accepted> {
        let mut writes = vec![self.jti_spent(jti, now_seconds)?];
        for run in runs {
            writes.push(self.run_new(run)?);
        }
        match self.transact(writes, Some(request_token), false).await? {
            Transacted::Done => Ok(Accepted::Fresh),
            Transacted::Refused(reasons) => {
                let mut there = reasons.into_iter().map(Option::flatten);
                let jti = from_maybe(there.next().flatten())?;
                let runs = there.map(from_maybe).collect::<PortResult<_>>()?;
                Ok(Accepted::Met { jti, runs })
            }
        }
    }

    /// One TransactWriteItems.
    async fn revisit(&self, jti: &JtiRow, now_seconds: i64, parts: &[Revisit]) -> PortResult<Revisited> {
        let mut writes = vec![self.jti_spent(jti, now_seconds)?];
        for part in parts {
            writes.push(match part {
                Revisit::Put(run) => self.run_new(run)?,
                Revisit::Replace { seen, next } => self.run_replaced(seen, to_item(next)?),
                Revisit::Push(want) => self.push_wanted(want),
            });
        }
        match self.transact(writes, None, true).await? {
            Transacted::Done => Ok(Revisited::Done),
            Transacted::Refused(reasons) => match reasons.into_iter().next().flatten() {
                None => Ok(Revisited::Changed),
                Some(there) => from_maybe(there)?
                    .map(Revisited::Spent)
                    .ok_or_else(|| PortFault::Unavailable("a spent token's row was not told".to_owned())),
            },
        }
    }

    /// One UpdateItem.
    async fn mark_unsent(&self, run: &RunRow, due_at: i64) -> PortResult<()> {
        let mark = Write::update(
            &self.tables.sync_runs,
            key(&run.pk, Some(keys::RUN)),
            "SET #due_at = :due_at, #due_shard = :due_shard",
        )
        .only_if("#generation = :generation AND #dispatch = :dispatch AND #state = :queued")
        .with("due_at", number(due_at))
        .with("due_shard", text(keys::due_shard(&run.pk)))
        .with("generation", number(run.generation))
        .with("dispatch", number(run.dispatch))
        .with("queued", text(RunState::Queued.as_str()));
        // Where it isn't so any more, somebody else has taken care of it.
        match self.one(mark).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }

    /// One UpdateItem; for the first time, and when the shop wakes, one TransactWriteItems.
    async fn heard(&self, heard: &Heard) -> PortResult<()> {
        self.note_heard(heard).await
    }
}
