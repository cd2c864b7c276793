//! Work in bulk: an operator asks for it once, the sweeper feeds it, a bounded part in each sweep, from a cursor on. No
//! function works through all of it at once, and what was fed twice is harmless: each run is changed only as it was read.

use crate::backfill::{ID_MAX, IDS_MAX};
use crate::config::Timers;
use crate::edges;
use crate::operate::{Operate, OperateError};
use crate::ports::{Chance, Clock, PortResult, Queue, Shop, Sweeps, Vault};
use crate::preview::{REASON_MAX, entry_of, is_previewed, mark_of};
use crate::tenants::{Mode, TenantMemory, mode_of};
use ledger_domain::code::Code;
use ledger_domain::identity::{Entity, Event};
use ledger_domain::run::RunState;
use ledger_wire::rows::{JobRow, ROW_VERSION, RunRow, keys};

/// Most runs that a job changes in one sweep: a book takes about a call a second.
pub const RUNS_PER_SWEEP: usize = 50;
/// Most jobs of a binding that are listed.
pub const JOBS_MAX: usize = 50;
/// A job that a sweep has taken up is left alone by others for this long, in milliseconds.
const TAKEN_UP_MS: i64 = 120_000;
/// A job whose part failed goes on after this long, in milliseconds.
const FAILED_MS: i64 = 60_000;
/// Finished jobs are kept this long, in milliseconds (90 days).
pub const JOB_KEPT_MS: i64 = 7_776_000_000;

/// What is done in bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// All runs of a binding that are held for a preview are sent.
    ReleasePreviews,
    /// They are given up.
    DiscardPreviews,
    /// Runs since a moment are tried again, or their chip is pushed again where they got through.
    Resync,
    /// Chips of runs since a moment are pushed again.
    Chips,
    /// Entities of the shop get the runs that their events would have made.
    Backfill,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::ReleasePreviews, Self::DiscardPreviews, Self::Resync, Self::Chips, Self::Backfill];

    /// The kind's name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReleasePreviews => "release_previews",
            Self::DiscardPreviews => "discard_previews",
            Self::Resync => "resync",
            Self::Chips => "chips",
            Self::Backfill => "backfill",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A job to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// What is to be done.
    pub kind: JobKind,
    /// Who asks for it: the subject of their sign-in.
    pub operator: String,
    /// Why; kept with discarded runs.
    pub reason: Option<String>,
    /// The events that are meant; all where none is named.
    pub events: Vec<Event>,
    /// From when on, in milliseconds: for `resync` and `chips`.
    pub since: Option<i64>,
    /// What is walked: for `backfill`.
    pub entity: Option<Entity>,
    /// The first id: for `backfill`.
    pub from_id: Option<u64>,
    /// The last id, itself included: for `backfill`.
    pub to_id: Option<u64>,
}

/// What is wrong with a job that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFault {
    /// The field, as the API calls it.
    pub field: &'static str,
    /// `required`, `OUT_OF_RANGE` or `invalid`.
    pub code: &'static str,
    /// One sentence.
    pub reason: String,
}

impl NewJob {
    /// Checks what can be checked without looking at anything.
    ///
    /// # Errors
    /// The first field that can't be used.
    pub fn check(&self) -> Result<(), JobFault> {
        let fault = |field, code, reason: String| Err(JobFault { field, code, reason });
        if self.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_MAX) {
            return fault("reason", "invalid", format!("longer than {REASON_MAX} characters"));
        }
        if matches!(self.kind, JobKind::Resync | JobKind::Chips) && self.since.is_none() {
            return fault("since", "required", "from when on has to be said".to_owned());
        }
        if self.kind != JobKind::Backfill {
            let ids = [
                ("entity_type", self.entity.is_some()),
                ("from_id", self.from_id.is_some()),
                ("to_id", self.to_id.is_some()),
            ];
            return match ids.into_iter().find(|(_, there)| *there) {
                Some((field, _)) => fault(field, "invalid", "only a backfill walks ids".to_owned()),
                None => Ok(()),
            };
        }
        if self.entity.is_none() {
            let reason = "one of invoice, creditmemo, customer, product has to be named";
            return fault("entity_type", "required", reason.to_owned());
        }
        let Some(from) = self.from_id else {
            return fault("from_id", "required", "the first id has to be said".to_owned());
        };
        let Some(to) = self.to_id else { return fault("to_id", "required", "the last id has to be said".to_owned()) };
        if !(1..=ID_MAX).contains(&from) {
            return fault("from_id", "OUT_OF_RANGE", format!("an id is 1 to {ID_MAX}"));
        }
        if !(from..=ID_MAX).contains(&to) {
            return fault("to_id", "OUT_OF_RANGE", format!("the last id is {from} to {ID_MAX}"));
        }
        if to.saturating_sub(from) >= IDS_MAX {
            return fault("to_id", "OUT_OF_RANGE", format!("a backfill is at most {IDS_MAX} ids long"));
        }
        Ok(())
    }
}

impl Operate<'_> {
    /// Begins a job; the next sweep takes it up.
    ///
    /// # Errors
    /// What is invalid; `binding_not_live` where runs shall be sent and would not be; `job_under_way` where the binding has
    /// such a job already.
    pub async fn start_job(&self, new: &NewJob) -> Result<JobRow, OperateError> {
        let binding = self.binding(&new.tenant, &new.binding).await?;
        let refused = |code: &'static str, reason: &str| OperateError::Refused { code, reason: reason.to_owned() };
        new.check().map_err(|fault| OperateError::Invalid { field: fault.field, reason: fault.reason })?;
        if new.kind == JobKind::ReleasePreviews && mode_of(&binding) != Mode::Live {
            return Err(refused("binding_not_live", "the binding is not live: set it live first"));
        }
        let there = self.store.jobs(&new.binding, JOBS_MAX).await?;
        if there.iter().any(|job| job.kind == new.kind.as_str() && job.state == "open") {
            return Err(refused("job_under_way", "such a job of the binding is under way"));
        }
        let now = self.clock.now_ms();
        let job = self.chance.uuid();
        let row = JobRow {
            pk: keys::jobs(&new.binding),
            sk: keys::job(now, &job),
            v: ROW_VERSION,
            kind: new.kind.as_str().to_owned(),
            tenant: new.tenant.clone(),
            binding: new.binding.clone(),
            operator: new.operator.clone(),
            reason: new.reason.clone(),
            events: new.events.iter().map(|event| event.as_str().to_owned()).collect(),
            since: new.since,
            entity_type: new.entity.map(|entity| entity.as_str().to_owned()),
            from_id: new.from_id,
            to_id: new.to_id,
            state: "open".to_owned(),
            revision: 1,
            due_at: Some(now),
            created_at: now,
            updated_at: now,
            job,
            ..JobRow::default()
        };
        if self.store.add_job(&row).await? { Ok(row) } else { Err(OperateError::Exists("job")) }
    }

    /// Jobs of a binding, newest first.
    ///
    /// # Errors
    /// That there is no such binding.
    pub async fn jobs(&self, tenant: &str, binding: &str) -> Result<Vec<JobRow>, OperateError> {
        self.binding(tenant, binding).await?;
        Ok(self.store.jobs(binding, JOBS_MAX).await?)
    }

    /// Stops a job where it is. What it has done stays done.
    ///
    /// # Errors
    /// That there is no such job, that it is over, or that it changed meanwhile.
    pub async fn stop_job(&self, tenant: &str, binding: &str, job: &str) -> Result<JobRow, OperateError> {
        let jobs = self.jobs(tenant, binding).await?;
        let seen = jobs.into_iter().find(|row| row.job == job).ok_or(OperateError::NotFound("job"))?;
        if seen.state != "open" {
            return Err(OperateError::NotNow(format!("the job is {}", seen.state)));
        }
        let next = over(&seen, "stopped", self.clock.now_ms());
        if self.store.replace_job(&seen, &next).await? {
            Ok(next)
        } else {
            Err(OperateError::NotNow("the job went on meanwhile; try again".to_owned()))
        }
    }
}

fn over(seen: &JobRow, state: &str, now: i64) -> JobRow {
    JobRow {
        state: state.to_owned(),
        revision: seen.revision.saturating_add(1),
        due_at: None,
        due_shard: None,
        waits_for: None,
        open_runs: Vec::new(),
        updated_at: now,
        expires_at: Some(now.saturating_add(JOB_KEPT_MS).saturating_div(1_000)),
        ..seen.clone()
    }
}

/// What feeding a job needs: what a sweep has.
pub(crate) struct Feed<'a> {
    pub(crate) store: &'a dyn Sweeps,
    pub(crate) queue: &'a dyn Queue,
    pub(crate) vault: &'a dyn Vault,
    pub(crate) shop: &'a dyn Shop,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) chance: &'a dyn Chance,
    pub(crate) memory: &'a TenantMemory,
    pub(crate) timers: &'a Timers,
    /// When the sweep has to be over, in milliseconds.
    pub(crate) until: i64,
}

/// What came of a part of a job.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) done: u64,
    pub(crate) passed: u64,
    /// Where the next part begins; none where this was the last.
    pub(crate) next: Option<String>,
    /// True where it can't go on.
    pub(crate) stopped: bool,
    /// When it goes on, in milliseconds, where it waits for something, and the code of what.
    pub(crate) again_at: Option<i64>,
    pub(crate) waits_for: Option<&'static str>,
    /// Its runs that are under way.
    pub(crate) open_runs: Vec<String>,
}

impl Feed<'_> {
    /// Does a job's next part. The mark moves first, so that two sweeps don't do the same part, and a dead one is followed.
    pub(crate) async fn feed(&self, pk: &str, sk: &str) -> PortResult<()> {
        let now = self.clock.now_ms();
        let Some(seen) = self.store.job(pk, sk).await?.filter(|job| job.due_at.is_some_and(|due| due <= now)) else {
            return Ok(());
        };
        let taken = JobRow {
            revision: seen.revision.saturating_add(1),
            due_at: Some(now.saturating_add(TAKEN_UP_MS)),
            due_shard: None,
            updated_at: now,
            ..seen.clone()
        };
        if !self.store.replace_job(&seen, &taken).await? {
            return Ok(());
        }
        let part = match JobKind::parse(&taken.kind) {
            Some(kind @ (JobKind::ReleasePreviews | JobKind::DiscardPreviews)) => self.previews(&taken, kind).await,
            Some(kind @ (JobKind::Resync | JobKind::Chips)) => self.runs(&taken, kind).await,
            Some(JobKind::Backfill) => self.backfill(&taken).await,
            None => Ok(Part { stopped: true, ..Part::default() }),
        };
        let now = self.clock.now_ms();
        let part = match part {
            Ok(part) => part,
            Err(fault) => {
                // The whole part is done again. Where this can't be written either, it is as if the sweep had died.
                let failed = JobRow {
                    revision: taken.revision.saturating_add(1),
                    due_at: Some(now.saturating_add(FAILED_MS)),
                    waits_for: Some(Code::StoreUnavailable.as_str().to_owned()),
                    updated_at: now,
                    ..taken.clone()
                };
                self.store.replace_job(&taken, &failed).await?;
                return Err(fault);
            }
        };
        let base = JobRow {
            done: taken.done.saturating_add(part.done),
            passed: taken.passed.saturating_add(part.passed),
            cursor: part.next.clone().or_else(|| taken.cursor.clone()),
            open_runs: part.open_runs,
            waits_for: part.waits_for.map(str::to_owned),
            ..taken.clone()
        };
        let next = match part.next {
            _ if part.stopped => over(&base, "stopped", now),
            None => over(&base, "finished", now),
            Some(_) => JobRow {
                revision: base.revision.saturating_add(1),
                due_at: Some(part.again_at.unwrap_or(now)),
                updated_at: now,
                ..base
            },
        };
        self.store.replace_job(&taken, &next).await.map(|_| ())
    }

    async fn previews(&self, job: &JobRow, kind: JobKind) -> PortResult<Part> {
        let tenancy = self.store.tenancy(&job.tenant).await?;
        let binding = tenancy.and_then(|it| it.bindings.into_iter().find(|row| row.binding == job.binding));
        let live = binding.is_some_and(|binding| mode_of(&binding) == Mode::Live);
        if kind == JobKind::ReleasePreviews && !live {
            return Ok(Part { stopped: true, ..Part::default() });
        }
        let after = job.cursor.as_deref().and_then(entry_of);
        let prefix = format!("{}#", job.binding);
        let entries = self.store.by_state(&edges::preview_key(), &prefix, after.as_ref(), RUNS_PER_SWEEP).await?;
        let mut part = Part::default();
        for entry in &entries {
            let run = self.store.run(&entry.pk).await?.filter(|run| is_previewed(run) && is_meant(job, run));
            let done = match (run, kind) {
                (None, _) => false,
                (Some(run), JobKind::DiscardPreviews) => self.discard(job, &run).await?,
                (Some(run), _) => self.send(&run, &edges::sent_again(&run, self.clock.now_ms(), self.timers)).await?,
            };
            part.counts(done);
        }
        part.next = entries.last().filter(|_| entries.len() == RUNS_PER_SWEEP).map(mark_of);
        Ok(part)
    }

    async fn runs(&self, job: &JobRow, kind: JobKind) -> PortResult<Part> {
        let since = job.since.unwrap_or_default();
        let page = self.store.runs_since(&job.tenant, since, job.cursor.as_deref(), RUNS_PER_SWEEP).await?;
        let mut part = Part { next: page.next, ..Part::default() };
        for run in page.runs.iter().filter(|run| run.binding == job.binding && is_meant(job, run)) {
            let state = edges::state(run);
            let done = if kind == JobKind::Resync && edges::is_opened_by_a_delivery(run) {
                self.send(run, &edges::reopened(run, self.clock.now_ms(), self.timers)).await?
            } else if matches!(state, RunState::Succeeded | RunState::Skipped | RunState::DeadLettered) {
                self.push(run, run).await?
            } else {
                false
            };
            part.counts(done);
        }
        Ok(part)
    }

    async fn discard(&self, job: &JobRow, run: &RunRow) -> PortResult<bool> {
        let next = edges::discarded(run, self.clock.now_ms(), job.reason.as_deref().unwrap_or_default());
        self.push(run, &next).await
    }

    /// Replaces a run and asks for its chip.
    async fn push(&self, seen: &RunRow, next: &RunRow) -> PortResult<bool> {
        let want = edges::push_want(next, self.clock.now_ms());
        if !self.store.replace_run(seen, next, Some(&want)).await? {
            return Ok(false);
        }
        // A chip that was pushed for this run before has its message's id; another one lets it through.
        let mut message = edges::push_message_for(&want, next);
        message.deduplication = self.chance.uuid();
        self.queue.send(&message).await?;
        Ok(true)
    }

    /// Replaces a run and sends it.
    async fn send(&self, seen: &RunRow, next: &RunRow) -> PortResult<bool> {
        let message = edges::run_message(next).filter(|it| self.queue.has(it.queue) && !it.group.is_empty());
        let Some(message) = message else { return Ok(false) };
        if !self.store.replace_run(seen, next, None).await? {
            return Ok(false);
        }
        self.queue.send(&message).await?;
        tracing::info!(run_id = %next.run_id, code = Code::Preview.as_str(), "sent by a job");
        Ok(true)
    }
}

impl Part {
    pub(crate) fn counts(&mut self, done: bool) {
        let count = if done { &mut self.done } else { &mut self.passed };
        *count = count.saturating_add(1);
    }
}

fn is_meant(job: &JobRow, run: &RunRow) -> bool {
    job.events.is_empty() || job.events.contains(&run.event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backfill_says_what_it_walks_and_how_far() {
        let check = |entity: Option<Entity>, from_id: Option<u64>, to_id: Option<u64>, fault: Option<(&str, &str)>| {
            let job = NewJob {
                tenant: "t".to_owned(),
                binding: "b".to_owned(),
                kind: JobKind::Backfill,
                operator: "op-1".to_owned(),
                reason: None,
                events: Vec::new(),
                since: None,
                entity,
                from_id,
                to_id,
            };
            let found = job.check().err();
            assert_eq!(found.as_ref().map(|it| (it.field, it.code)), fault, "{entity:?} {from_id:?} {to_id:?}");
        };
        let invoice = Some(Entity::Invoice);
        check(invoice, Some(1), Some(1), None);
        check(invoice, Some(1), Some(IDS_MAX), None);
        check(invoice, Some(ID_MAX), Some(ID_MAX), None);
        check(None, Some(1), Some(1), Some(("entity_type", "required")));
        check(invoice, None, Some(1), Some(("from_id", "required")));
        check(invoice, Some(1), None, Some(("to_id", "required")));
        check(invoice, Some(0), Some(1), Some(("from_id", "OUT_OF_RANGE")));
        check(invoice, Some(2), Some(1), Some(("to_id", "OUT_OF_RANGE")));
        check(invoice, Some(1), Some(IDS_MAX + 1), Some(("to_id", "OUT_OF_RANGE")));
        check(invoice, Some(ID_MAX), Some(ID_MAX + 1), Some(("to_id", "OUT_OF_RANGE")));
        check(invoice, Some(ID_MAX + 1), Some(ID_MAX + 1), Some(("from_id", "OUT_OF_RANGE")));
    }

    #[test]
    fn other_jobs_walk_no_ids() {
        let check = |kind: JobKind, since: Option<i64>, from_id: Option<u64>, fault: Option<(&str, &str)>| {
            let job = NewJob {
                tenant: "t".to_owned(),
                binding: "b".to_owned(),
                kind,
                operator: "op-1".to_owned(),
                reason: None,
                events: Vec::new(),
                since,
                entity: None,
                from_id,
                to_id: None,
            };
            assert_eq!(job.check().err().map(|it| (it.field, it.code)), fault, "{kind:?}");
        };
        check(JobKind::Chips, None, None, Some(("since", "required")));
        check(JobKind::Chips, Some(1), None, None);
        check(JobKind::Resync, Some(1), Some(1), Some(("from_id", "invalid")));
        check(JobKind::DiscardPreviews, None, None, None);
    }
}
