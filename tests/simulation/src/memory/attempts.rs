//! What the workers ask.

use super::rows::{Place, Row as _, Table};
use super::store::{Asked, MemoryStore, Open, Part, Transacted};
use super::weather::Fate;
use async_trait::async_trait;
use ledger_domain::run::RunState;
use ledger_engine::ports::{
    Attempts, ClaimRequest, Claimed, Commit, Expect, GatherRequest, Gathered, PauseChange, PortResult, Progress,
    PushWant, Release, Written, XrefWrite,
};
use ledger_wire::rows::{
    AttentionRow, LeaseRow, ROW_VERSION, RefusalRow, RunRow, SettingsRow, TenantRow, XrefRow, keys,
};

/// What became of an outcome.
enum Ended {
    Written(Written),
    /// Nothing is written: the lease is not ours any more.
    LeaseLost,
}

impl Open<'_> {
    fn run_claimed(&self, request: &ClaimRequest) -> Part {
        let place = Place::run(&request.run_id);
        let claimed = self.seen::<RunRow>(&place).filter(|run| {
            let ready = match run.state.as_str() {
                state if state == RunState::Queued.as_str() => true,
                state if state == RunState::Waiting.as_str() => run.due_at.is_some_and(|at| at <= request.now),
                state if state == RunState::Running.as_str() => run.claim_until.is_some_and(|at| at < request.now),
                _ => false,
            };
            run.v <= ROW_VERSION
                && run.generation == request.generation
                && run.unfinished < request.unfinished_max
                && ready
        });
        let claimed = claimed.map(|run| RunRow {
            state: RunState::Running.as_str().to_owned(),
            claim: Some(request.claim.clone()),
            claim_until: Some(request.until),
            attempt: run.attempt.saturating_add(1),
            unfinished: run.unfinished.saturating_add(1),
            updated_at: request.now,
            state_key: None,
            state_order: None,
            ..run.clone()
        });
        Part::change(place, claimed)
    }

    fn lease_taken(&self, request: &ClaimRequest) -> Part {
        let place = Place::lease(&request.book);
        let there = self.seen::<LeaseRow>(&place);
        let over = |until: Option<i64>| until.is_none_or(|until| until <= request.now);
        let holds = there.is_none_or(|lease| {
            let free = lease.claim.is_empty() || lease.until < request.now;
            let wanted = request.gives_way && !over(lease.wanted_until);
            lease.claim == request.claim || free && over(lease.paused_until) && !wanted
        });
        let lease = LeaseRow {
            pk: place.pk,
            sk: keys::LEASE.to_owned(),
            v: ROW_VERSION,
            claim: request.claim.clone(),
            until: request.until,
            taken_at: request.now,
            ..there.cloned().unwrap_or_default()
        };
        Part::put(lease, holds)
    }

    fn lease_released(&self, release: &Release, claim: &str) -> Part {
        let place = Place::lease(&release.book);
        let ours = self.seen::<LeaseRow>(&place).filter(|lease| lease.claim == claim);
        let released = ours.map(|lease| {
            let released = LeaseRow {
                claim: String::new(),
                pace: release.pace.clone().unwrap_or_else(|| lease.pace.clone()),
                ..lease.clone()
            };
            match &release.pause {
                PauseChange::Leaves => released,
                PauseChange::Ends => {
                    LeaseRow { paused_until: None, paused_since: None, pause_code: None, pauses: 0, ..released }
                }
                PauseChange::Begins(pause) => LeaseRow {
                    paused_until: Some(pause.until),
                    paused_since: Some(pause.since),
                    pause_code: Some(pause.code.to_owned()),
                    pauses: pause.pauses,
                    ..released
                },
            }
        });
        Part::change(place, released)
    }

    pub(super) fn xref_written(&self, write: &XrefWrite) -> Part {
        let there = self.seen::<XrefRow>(&Place::xref(&write.row.pk));
        let holds = match &write.expect {
            Expect::Absent => there.is_none(),
            Expect::Revision(revision) => there.is_some_and(|row| row.revision == *revision),
            Expect::AbsentOrOf(document) => there.is_none_or(|row| row.document.as_deref() == Some(document.as_str())),
        };
        Part::put(write.row.clone(), holds)
    }

    /// Which cross-reference was not as expected. `None`: each row that was in the way is the one that we wanted.
    pub(super) fn changed(&self, writes: &[XrefWrite], refusals: &[bool]) -> Option<String> {
        let refused = writes.iter().zip(refusals).filter(|(_, refused)| **refused).map(|(write, _)| &write.row);
        refused
            .into_iter()
            .find(|row| self.seen::<XrefRow>(&Place::xref(&row.pk)) != Some(*row))
            .map(|row| row.pk.clone())
    }

    /// Has the sweeper ask after a shop.
    pub(super) fn asked_after(&self, tenant: &str, now: i64) -> Part {
        let place = Place::attention(tenant);
        let since = self.seen::<AttentionRow>(&place).map_or(now, |row| row.since);
        let row = AttentionRow {
            pk: keys::ATTENTION.to_owned(),
            sk: keys::shop(tenant),
            v: ROW_VERSION,
            tenant: tenant.to_owned(),
            since,
        };
        Part::put(row, true)
    }

    pub(super) fn shop_refused(&mut self, tenant: &str, now: i64) -> PortResult<()> {
        let place = Place::tenant(tenant);
        let there = self.seen::<TenantRow>(&place).filter(|row| row.status != "disconnected");
        let noted = there.map(|row| TenantRow { refused_since: Some(row.refused_since.unwrap_or(now)), ..row.clone() });
        let parts = vec![Part::change(place, noted), self.asked_after(tenant, now)];
        self.transact(parts).map(|_| ())
    }

    fn claim(&mut self, request: &ClaimRequest) -> PortResult<Claimed> {
        let asked = Asked::Claim(request.clone());
        if self.done_before(&request.claim, &asked) {
            return Ok(Claimed::Ours);
        }
        let parts = vec![self.run_claimed(request), self.lease_taken(request)];
        let Transacted::Refused(refusals) = self.transact(parts)? else {
            self.done_under(&request.claim, asked);
            return Ok(Claimed::Ours);
        };
        if refusals.first() == Some(&true) {
            let run: Option<RunRow> = self.get(&Place::run(&request.run_id))?;
            let ours = run.as_ref().is_some_and(|run| {
                run.state == RunState::Running.as_str()
                    && run.generation == request.generation
                    && run.claim.as_deref() == Some(request.claim.as_str())
            });
            return Ok(if ours { Claimed::Ours } else { Claimed::Not(run) });
        }
        let lease = self.seen::<LeaseRow>(&Place::lease(&request.book));
        if let Some(paused) = lease.filter(|lease| lease.paused_until.is_some_and(|until| until > request.now)) {
            return Ok(Claimed::BookPaused(Box::new(paused.clone())));
        }
        Ok(Claimed::BookBusy(lease.map(|lease| lease.until).unwrap_or_default()))
    }

    fn progress(&mut self, progress: &Progress) -> PortResult<Written> {
        let place = Place::run(&progress.run_id);
        let ours = self.seen::<RunRow>(&place).is_some_and(|run| run.claim.as_deref() == Some(&progress.claim));
        let mut parts = vec![Part::check(place, ours)];
        parts.extend(progress.xrefs.iter().map(|write| self.xref_written(write)));
        Ok(match self.transact(parts)? {
            Transacted::Done => Written::Done,
            Transacted::Refused(refusals) => match refusals.split_first() {
                Some((false, xrefs)) => self.changed(&progress.xrefs, xrefs).map_or(Written::Done, Written::Changed),
                _ => Written::Lost,
            },
        })
    }

    fn commit(&mut self, commit: &Commit, release: Option<&Release>) -> PortResult<Ended> {
        let place = Place::run(&commit.run.run_id);
        let place = Place { pk: commit.run.pk.clone(), ..place };
        let ours = self
            .seen::<RunRow>(&place)
            .is_some_and(|run| run.claim.as_deref() == Some(&commit.claim) && run.generation == commit.run.generation);
        let mut parts = vec![Part::put(commit.run.clone(), ours)];
        parts.extend(commit.xrefs.iter().map(|write| self.xref_written(write)));
        parts.extend(commit.push.as_ref().map(|want| self.push_wanted(want)));
        parts.push(Part::put(commit.attempt.clone(), true));
        parts.extend(commit.order.clone().map(|order| Part::put(order, true)));
        parts.extend(release.map(|release| self.lease_released(release, &commit.claim)));
        let Transacted::Refused(refusals) = self.transact(parts)? else {
            return Ok(Ended::Written(Written::Done));
        };
        let (first, others) = refusals.split_first().map_or((true, [].as_slice()), |(first, others)| (*first, others));
        if first {
            // The row there may be the very one: then an earlier try was applied and its reply lost.
            let done = self.seen::<RunRow>(&place) == Some(&written(&commit.run));
            return Ok(Ended::Written(if done { Written::Done } else { Written::Lost }));
        }
        let xrefs = others.get(..commit.xrefs.len()).unwrap_or(others);
        if xrefs.contains(&true) {
            let changed = self.changed(&commit.xrefs, xrefs).map_or(Written::Done, Written::Changed);
            return Ok(Ended::Written(changed));
        }
        Ok(Ended::LeaseLost)
    }
}

/// A row as it would be written.
pub(super) fn written<R: super::rows::Row>(row: &R) -> R {
    row.clone().into_written()
}

#[async_trait]
impl Attempts for MemoryStore {
    async fn claim(&self, request: &ClaimRequest) -> PortResult<Claimed> {
        self.call_or_late("store.claim", request, |open, request| open.claim(request)).await
    }

    async fn gather(&self, request: &GatherRequest) -> PortResult<Gathered> {
        self.call("store.gather", |open| {
            let lease = if request.book.is_empty() { None } else { open.get(&Place::lease(&request.book))? };
            let mut gathered = Gathered {
                run: open.get(&Place::run(&request.run_id))?,
                tenant: open.get(&Place::tenant(&request.tenant))?,
                binding: open.get(&Place::binding(&request.tenant, &request.binding))?,
                token: open.get(&Place::grant(&request.binding))?,
                lease,
                xrefs: std::collections::BTreeMap::new(),
            };
            for pk in &request.xrefs {
                if let Some(row) = open.get::<XrefRow>(&Place::xref(pk))? {
                    gathered.xrefs.insert(pk.clone(), row);
                }
            }
            Ok(gathered)
        })
        .await
    }

    async fn settings(&self, binding: &str, version: u32) -> PortResult<Option<SettingsRow>> {
        let place = Place::new(Table::Tenants, keys::of_binding(binding), keys::settings(version));
        self.row("store.settings", place).await
    }

    async fn progress(&self, progress: &Progress) -> PortResult<Written> {
        self.call_or_late("store.progress", progress, |open, progress| open.progress(progress)).await
    }

    async fn commit(&self, commit: &Commit) -> PortResult<Written> {
        const WITHOUT: &str = "store.commit.without_lease";
        let fate = self.fate("store.commit").await;
        if let (Fate::Conflict, Some(release)) = (fate, &commit.release) {
            // Others are after the book: the outcome is written without it, and it is given up afterwards, if that works.
            let ended = self.call(WITHOUT, |open| open.commit(commit, None)).await?;
            let Ended::Written(written) = ended else { return Ok(Written::Lost) };
            if written == Written::Done {
                let given_up = |open: &mut Open<'_>| open.one(open.lease_released(release, &commit.claim));
                self.single("store.commit.lease", given_up).await.ok();
            }
            return Ok(written);
        }
        let whole = |open: &mut Open<'_>, commit: &Commit| open.commit(commit, commit.release.as_ref());
        match self.carried_out_or_late("store.commit", fate, commit, whole).await? {
            Ended::Written(written) => Ok(written),
            Ended::LeaseLost => match self.call(WITHOUT, |open| open.commit(commit, None)).await? {
                Ended::Written(written) => Ok(written),
                Ended::LeaseLost => Ok(Written::Lost),
            },
        }
    }

    async fn replace_run(&self, seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> PortResult<bool> {
        self.replace_run_as_seen(seen, next, push).await
    }

    async fn shop_refuses(&self, tenant: &str, now: i64) -> PortResult<()> {
        self.call("store.shop_refuses", |open| open.shop_refused(tenant, now)).await
    }

    async fn want_book(&self, book: &str, until: i64) -> PortResult<()> {
        self.single("store.want_book", |open| {
            let place = Place::lease(book);
            let there = open.seen::<LeaseRow>(&place);
            let wanted = there.map(|lease| LeaseRow { wanted_until: Some(until), ..lease.clone() });
            open.one(Part::change(place, wanted)).map(|_| ())
        })
        .await
    }

    async fn count_refusal(&self, refusal: &RefusalRow) -> PortResult<()> {
        self.single("store.count_refusal", |open| {
            let there = open.seen::<RefusalRow>(&refusal.place());
            let counted = RefusalRow {
                count: there.map_or(0, |row| row.count).saturating_add(refusal.count),
                first_at: there.map_or(refusal.first_at, |row| row.first_at),
                ..refusal.clone()
            };
            open.one(Part::put(counted, true)).map(|_| ())
        })
        .await
    }
}
