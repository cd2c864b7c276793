//! What the webhook asks.

use super::attempts::written;
use super::rows::{Place, Row};
use super::store::{Asked, MemoryStore, Open, Part, Transacted};
use super::weather::Fate;
use async_trait::async_trait;
use ledger_domain::run::RunState;
use ledger_engine::ports::{Accepted, Deliveries, Heard, PortFault, PortResult, PushWant, Revisit, Revisited};
use ledger_wire::rows::{JtiRow, RunRow, TenantRow};
use std::sync::Arc;

impl Open<'_> {
    /// Spends a token's id, judged by time.
    pub(super) fn jti_spent(&self, jti: &JtiRow, now_seconds: i64) -> Part {
        let place = jti.place();
        let holds = match self.seen::<JtiRow>(&place) {
            Some(there) => there.expires_at < now_seconds,
            None => !self.there(&place),
        };
        Part::put(jti.clone(), holds)
    }

    fn run_new(&self, run: &RunRow) -> Part {
        Part::put(run.clone(), !self.there(&run.place()))
    }

    /// Replaces a run as seen.
    pub(super) fn run_replaced(&self, seen: &RunRow, next: &RunRow) -> Part {
        let as_seen = self.seen::<RunRow>(&next.place()).is_some_and(|there| {
            there.generation == seen.generation
                && there.dispatch == seen.dispatch
                && there.attempt == seen.attempt
                && there.state == seen.state
        });
        Part::put(next.clone(), as_seen)
    }

    fn accept(&mut self, runs: &[RunRow], jti: &JtiRow, now_seconds: i64, token: &str) -> PortResult<Accepted> {
        let asked = Asked::Accept { runs: runs.iter().cloned().map(Arc::new).collect(), jti: jti.clone(), now_seconds };
        if self.done_before(token, &asked) {
            return Ok(Accepted::Fresh);
        }
        let mut parts = vec![self.jti_spent(jti, now_seconds)];
        parts.extend(runs.iter().map(|run| self.run_new(run)));
        let Transacted::Refused(refusals) = self.transact(parts)? else {
            self.done_under(token, asked);
            return Ok(Accepted::Fresh);
        };
        let mut refusals = refusals.into_iter();
        let jti = if refusals.next() == Some(true) { self.get(&jti.place())? } else { None };
        let runs = runs
            .iter()
            .zip(refusals)
            .map(|(run, refused)| if refused { self.get(&run.place()) } else { Ok(None) })
            .collect::<PortResult<_>>()?;
        Ok(Accepted::Met { jti, runs })
    }

    fn revisit(&mut self, jti: &JtiRow, now_seconds: i64, parts: &[Revisit]) -> PortResult<Revisited> {
        let mut writes = vec![self.jti_spent(jti, now_seconds)];
        writes.extend(parts.iter().map(|part| match part {
            Revisit::Put(run) => self.run_new(run),
            Revisit::Replace { seen, next } => self.run_replaced(seen, next),
            Revisit::Push(want) => self.push_wanted(want),
        }));
        match self.transact(writes)? {
            Transacted::Done => Ok(Revisited::Done),
            Transacted::Refused(refusals) if refusals.first() == Some(&true) => self
                .get(&jti.place())?
                .map(Revisited::Spent)
                .ok_or_else(|| PortFault::Unavailable("a spent token's row was not told".to_owned())),
            Transacted::Refused(_) => Ok(Revisited::Changed),
        }
    }

    fn mark_unsent(&mut self, run: &RunRow, due_at: i64) -> PortResult<()> {
        let place = Place::run_at(&run.pk);
        let there = self.seen::<RunRow>(&place).filter(|there| {
            there.generation == run.generation
                && there.dispatch == run.dispatch
                && there.state == RunState::Queued.as_str()
        });
        let marked = there.map(|there| RunRow { due_at: Some(due_at), ..there.clone() });
        self.one(Part::change(place, marked)).map(|_| ())
    }

    fn heard(&mut self, heard: &Heard) -> PortResult<()> {
        let place = Place::tenant(&heard.tenant);
        let there = self
            .seen::<TenantRow>(&place)
            .filter(|row| row.heard_at == heard.seen && (!heard.wakes || row.status == "silent"));
        let noted = there.map(|row| TenantRow {
            heard_at: Some(heard.now),
            gaps: heard.gaps.clone(),
            status: if heard.wakes { "connected".to_owned() } else { row.status.clone() },
            ..row.clone()
        });
        let mut parts = vec![Part::change(place, noted)];
        parts.extend(heard.agenda.clone().map(|entry| Part::put(entry, true)));
        self.transact(parts).map(|_| ())
    }
}

impl MemoryStore {
    /// Replaces a run as seen; with a push, together.
    pub(super) async fn replace_run_as_seen(
        &self,
        seen: &RunRow,
        next: &RunRow,
        push: Option<&PushWant>,
    ) -> PortResult<bool> {
        const NAME: &str = "store.replace_run";
        let asked = (seen.clone(), next.clone(), push.cloned());
        let replaced = |open: &mut Open<'_>, (seen, next, push): &(RunRow, RunRow, Option<PushWant>)| {
            let mut parts = vec![open.run_replaced(seen, next)];
            parts.extend(push.iter().map(|want| open.push_wanted(want)));
            // Where the row there is the one that we wanted, an earlier try was applied and its reply lost.
            Ok(open.transact(parts)?.done() || open.seen::<RunRow>(&next.place()) == Some(&written(next)))
        };
        let fate = self.fate(NAME).await;
        if fate == Fate::Repeated && push.is_none() {
            // One row alone has no request token: what is tried again meets itself.
            drop(self.with(|open| replaced(open, &asked)));
        }
        self.carried_out_or_late(NAME, fate, &asked, replaced).await
    }
}

#[async_trait]
impl Deliveries for MemoryStore {
    async fn accept(
        &self,
        runs: &[RunRow],
        jti: &JtiRow,
        now_seconds: i64,
        request_token: &str,
    ) -> PortResult<Accepted> {
        let asked = (runs.to_vec(), jti.clone(), now_seconds, request_token.to_owned());
        self.call_or_late("store.accept", &asked, |open, (runs, jti, now_seconds, token)| {
            open.accept(runs, jti, *now_seconds, token)
        })
        .await
    }

    async fn revisit(&self, jti: &JtiRow, now_seconds: i64, parts: &[Revisit]) -> PortResult<Revisited> {
        let asked = (jti.clone(), now_seconds, parts.to_vec());
        self.call_or_late("store.revisit", &asked, |open, (jti, now_seconds, parts)| {
            open.revisit(jti, *now_seconds, parts)
        })
        .await
    }

    async fn mark_unsent(&self, run: &RunRow, due_at: i64) -> PortResult<()> {
        self.single("store.mark_unsent", |open| open.mark_unsent(run, due_at)).await
    }

    async fn heard(&self, heard: &Heard) -> PortResult<()> {
        self.single("store.heard", |open| open.heard(heard)).await
    }
}
