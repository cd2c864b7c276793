//! The sweeper: whatever is due, stalled, waiting, held for a reason that is gone, or unpushed is sent again, by the same
//! code that the events take. With every queue emptied by hand it would finish the work alone.
//!
//! It moves a mark before it sends, only by conditional writes, so that sweeps may overlap or die at any point.

use crate::closing;
use crate::config::{Timers, milliseconds};
use crate::connect::grant::Grants;
use crate::connect::keep_alive::{KEEP_ALIVE, KeepAlive, Kept};
use crate::edges;
use crate::ingest::{shop_why_held, why_held};
use crate::jobs::Feed;
use crate::ports::{
    Authorities, Bells, Chance, Clock, DueKey, PortResult, Queue, QueueName, Shop, StateEntry, Sweeps, Vault,
};
use crate::shop::{PING_PATH, ShopAnswer, ShopPorts, reached};
use crate::silence;
use crate::tenants::{Known, TenantMemory, promotion};
use ledger_domain::code::{Code, Owner};
use ledger_domain::identity::Event;
use ledger_domain::retry;
use ledger_domain::run::RunState;
use ledger_wire::message::{Bell, PushMessage, RunMessage};
use ledger_wire::rows::{AgendaRow, AttentionRow, BindingRow, DUE_SHARDS, RunRow, SweepRow, keys};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Most rows of a shard looked at in one sweep.
const DUE_PER_SHARD: usize = 200;
/// Most runs of one book sent in one sweep: a book takes about a call a second.
pub const SENDS_PER_BOOK: u32 = 100;
/// Runs of one book that are sent at once.
const SENDS_AT_ONCE: usize = 8;
/// Most dead letters that are looked at in one sweep, whether a later run has done what they were for.
const CLOSINGS_MAX: usize = 50;
/// Entries of the index by state per page.
const STATE_PAGE: usize = 500;
/// Most pages of the index by state in one sweep.
const STATE_PAGES_MAX: usize = 20;
/// Most rounds of ten messages read from the dead-letter queue in one sweep.
const BELL_ROUNDS_MAX: u32 = 10;
/// The sweep ends this long before its function is stopped, in milliseconds.
const SWEEP_MARGIN_MS: i64 = 5_000;
/// Stall times for which a queued run of a busy book is left alone.
const PATIENCE: u64 = 3;
/// How long a shop may take to answer a ping, in milliseconds. All are asked at once.
const PING_TIMEOUT_MS: u64 = 5_000;
/// Most shops asked in one sweep.
const PINGS_MAX: usize = 50;
/// A shop that nobody could reach for so many times `ShopRevokedSeconds` is unreachable: a shop that is being restarted is
/// not.
const UNREACHED_PATIENCE: u64 = 3;
/// Entries of the agenda per page.
const AGENDA_PAGE: usize = 100;
/// Most pages of the agenda in one sweep.
const AGENDA_PAGES_MAX: usize = 10;
/// Most shops whose silence is looked at in one sweep.
const SILENCES_MAX: usize = 100;
/// An entry of the agenda of a kind that this build does not know is put off by this, in milliseconds (a day): a later
/// build wrote it and will be back.
const UNKNOWN_PUT_OFF_MS: i64 = 86_400_000;
/// Most jobs fed in one sweep. They are fed at once.
const JOBS_MAX: usize = 20;

/// What a sweep needs.
pub struct Sweep<'a> {
    /// The store.
    pub store: &'a dyn Sweeps,
    /// The queues.
    pub queue: &'a dyn Queue,
    /// The dead-letter queue.
    pub bells: &'a dyn Bells,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// The shop.
    pub shop: &'a dyn Shop,
    /// Providers' OAuth addresses.
    pub authorities: &'a dyn Authorities,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// What this process remembers of tenants.
    pub memory: &'a TenantMemory,
    /// The stack's timers.
    pub timers: &'a Timers,
}

/// What a sweep found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs sent again.
    pub runs_sent: u32,
    /// Chips sent again.
    pub pushes_sent: u32,
    /// Bells rung.
    pub bells_rung: u32,
    /// Bells of runs that are no longer dead letters, removed.
    pub bells_removed: u32,
    /// Held runs released.
    pub released: u32,
    /// Dead letters closed, because a later run did what they were for.
    pub closed: u32,
    /// Queued runs that nobody claimed in time.
    pub stalled: u32,
    /// Held runs.
    pub held: u32,
    /// Dead letters by owner.
    pub dead_letters: BTreeMap<&'static str, u32>,
    /// Idle grants renewed.
    pub grants_renewed: u32,
    /// Age of the oldest due mark, in seconds.
    pub oldest_due_age_seconds: i64,
    /// Jobs whose part failed: counted among the failures, and their rows say so.
    pub jobs_failed: u32,
    /// Parts that failed; the next sweep tries them again.
    pub failures: u32,
    /// What it could look at.
    pub seen: Seen,
}

/// What a sweep could look at. What it could not is told by no metric, so that an alarm never hears of a nought that nobody
/// counted; and without all of it there is no heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What is due, in every shard.
    pub due: bool,
    /// What is held.
    pub held: bool,
    /// Dead letters.
    pub dead_letters: bool,
}

impl Seen {
    /// Nothing was hidden from it.
    #[must_use]
    pub const fn everything(self) -> bool {
        self.due && self.held && self.dead_letters
    }
}

impl Report {
    /// The report as JSON, the answer of an explicit invocation.
    #[must_use]
    pub fn summary(&self) -> serde_json::Value {
        serde_json::json!({
            "runs_sent": self.runs_sent,
            "pushes_sent": self.pushes_sent,
            "bells_rung": self.bells_rung,
            "bells_removed": self.bells_removed,
            "released": self.released,
            "closed": self.closed,
            "stalled": self.stalled,
            "held": self.held,
            "dead_letters": self.dead_letters,
            "grants_renewed": self.grants_renewed,
            "oldest_due_age_seconds": self.oldest_due_age_seconds,
            "jobs_failed": self.jobs_failed,
            "failures": self.failures,
        })
    }

    /// The report as lines of CloudWatch's embedded metric format: what the sweep could look at, and nothing else.
    /// Source: Amazon CloudWatch user guide, "Embedded metric format specification".
    #[must_use]
    pub fn embedded_metrics(&self, stack: &str, now_ms: i64) -> Vec<String> {
        let total: u32 = self.dead_letters.values().sum();
        let counts = [
            (self.seen.everything(), "SweeperHeartbeat", "Count", 1),
            (self.seen.due, "OldestDueAgeSeconds", "Seconds", self.oldest_due_age_seconds),
            (self.seen.held, "HeldRuns", "Count", i64::from(self.held)),
            (self.seen.due, "StalledRuns", "Count", i64::from(self.stalled)),
            (self.seen.dead_letters, "DeadLetteredRuns", "Count", i64::from(total)),
        ];
        let counts: Vec<_> =
            counts.into_iter().filter(|(seen, ..)| *seen).map(|(_, it, unit, n)| (it, unit, n)).collect();
        let mut lines = Vec::new();
        lines.extend(embedded(&[("Stack", stack)], &counts, now_ms));
        for owner in Owner::ALL.into_iter().filter(|_| self.seen.dead_letters) {
            let count = self.dead_letters.get(owner.as_str()).copied().unwrap_or_default();
            let dimensions = [("Stack", stack), ("Owner", owner.as_str())];
            lines.extend(embedded(&dimensions, &[("DeadLetters", "Count", i64::from(count))], now_ms));
        }
        lines
    }
}

/// Metrics by name, unit and value as one line; none where there is none.
fn embedded(dimensions: &[(&str, &str)], metrics: &[(&str, &str, i64)], now_ms: i64) -> Option<String> {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let definitions: Vec<_> =
        metrics.iter().map(|(name, unit, _)| serde_json::json!({"Name": name, "Unit": unit})).collect();
    let mut line = serde_json::Map::new();
    let directive = serde_json::json!({"Namespace": "Ledger", "Dimensions": [names], "Metrics": definitions});
    line.insert("_aws".to_owned(), serde_json::json!({"Timestamp": now_ms, "CloudWatchMetrics": [directive]}));
    line.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
    line.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), (*value).into())));
    (!metrics.is_empty()).then(|| serde_json::Value::Object(line).to_string())
}

/// Counts that the shards share.
#[derive(Default)]
struct Tally {
    report: Report,
    sent_by_book: BTreeMap<String, u32>,
    jobs: Vec<DueKey>,
    to_send: Vec<RunRow>,
}

impl Sweep<'_> {
    /// Sweeps once, until nothing is due or the function's time is nearly over.
    pub async fn sweep(&self, deadline: i64) -> Report {
        let tally = Mutex::new(Tally::default());
        let until = deadline.saturating_sub(SWEEP_MARGIN_MS);
        let shards = (0..DUE_SHARDS).map(|shard| self.shard(shard, until, &tally));
        let due = async {
            let results = futures::future::join_all(shards).await;
            self.send_in_lanes(until, &tally).await;
            results
        };
        // A slow provider keeps no run waiting.
        let (results, agenda) = futures::future::join(due, self.keep_agenda(deadline, &tally)).await;
        let every_shard = results.iter().all(Result::is_ok);
        for result in results {
            self.part(&tally, result);
        }
        self.part(&tally, agenda);
        // Nor does a shop that a job has to ask keep anything else.
        futures::future::join(self.feed_jobs(until, &tally), self.look_around(until, &tally)).await;
        with(&tally, |tally| tally.report.seen.due &= every_shard);
        let found = with(&tally, |tally| tally.report.clone());
        let note = SweepRow::new(self.clock.now_ms(), found.oldest_due_age_seconds, found.failures);
        self.part(&tally, self.store.swept(&note).await);
        tally.into_inner().unwrap_or_else(PoisonError::into_inner).report
    }

    async fn look_around(&self, until: i64, tally: &Mutex<Tally>) {
        // Before the held runs are looked at, so that those of a shop that is back go on in the same sweep.
        self.part(tally, self.ask_after_shops(tally).await);
        self.part(tally, self.release_supported(until, tally).await);
        let held = self.review_held(until, tally).await;
        let dead_letters = self.count_dead_letters(until, tally).await;
        let bells = self.tend_bells(until, tally).await;
        let due = self.measure(tally).await;
        let seen = Seen { due: due.is_ok(), held: held.is_ok(), dead_letters: dead_letters.is_ok() };
        with(tally, |tally| tally.report.seen = seen);
        for result in [held, dead_letters, bells, due] {
            self.part(tally, result);
        }
    }

    fn part(&self, tally: &Mutex<Tally>, result: PortResult<()>) {
        if let Err(fault) = result {
            tracing::warn!(code = Code::StoreUnavailable.as_str(), reason = %fault, "part of the sweep failed");
            with(tally, |tally| tally.report.failures = tally.report.failures.saturating_add(1));
        }
    }

    fn out_of_time(&self, until: i64) -> bool {
        self.clock.now_ms() >= until
    }

    async fn shard(&self, shard: u8, until: i64, tally: &Mutex<Tally>) -> PortResult<()> {
        for key in self.store.due(shard, self.clock.now_ms(), DUE_PER_SHARD).await? {
            if self.out_of_time(until) {
                return Ok(());
            }
            // One row that can't be read or sent must not keep the sweep from those behind it.
            let result = match key.sk.as_str() {
                keys::PUSH => self.due_push(&key, tally).await,
                keys::RUN => self.due_run(&key, tally).await,
                job if job.starts_with(keys::JOB) => {
                    with(tally, |tally| tally.jobs.push(key.clone()));
                    Ok(())
                }
                _ => Ok(()),
            };
            self.part(tally, result);
        }
        Ok(())
    }

    async fn due_push(&self, key: &DueKey, tally: &Mutex<Tally>) -> PortResult<()> {
        let now = self.clock.now_ms();
        let Some(row) = self.store.push(&key.pk).await? else { return Ok(()) };
        if row.due_at.is_none_or(|due| due > now) {
            return Ok(());
        }
        let delay =
            retry::push_delay_ms(row.failures.saturating_add(2), self.timers.retry_scale_percent, self.chance.number());
        let next = edges::push_sent_again(&row, now, delay);
        if self.store.replace_push(&row, &next).await? {
            self.queue.send(&edges::push_message_of(&next)).await?;
            with(tally, |tally| tally.report.pushes_sent = tally.report.pushes_sent.saturating_add(1));
        }
        Ok(())
    }

    /// Feeds jobs that are due, those first that have been waiting longest.
    async fn feed_jobs(&self, until: i64, tally: &Mutex<Tally>) {
        let mut jobs = with(tally, |tally| std::mem::take(&mut tally.jobs));
        jobs.sort_by_key(|key| key.due_at);
        jobs.truncate(JOBS_MAX);
        let feed = Feed {
            store: self.store,
            queue: self.queue,
            vault: self.vault,
            shop: self.shop,
            clock: self.clock,
            chance: self.chance,
            memory: self.memory,
            timers: self.timers,
            until,
        };
        for result in futures::future::join_all(jobs.iter().map(|key| feed.feed(&key.pk, &key.sk))).await {
            if result.is_err() {
                with(tally, |tally| tally.report.jobs_failed = tally.report.jobs_failed.saturating_add(1));
            }
            self.part(tally, result);
        }
    }

    async fn due_run(&self, key: &DueKey, tally: &Mutex<Tally>) -> PortResult<()> {
        let now = self.clock.now_ms();
        let Some(row) = self.store.run(&key.pk).await? else { return Ok(()) };
        if row.due_at.is_none_or(|due| due > now) {
            return Ok(());
        }
        match edges::state(&row) {
            RunState::Queued => {
                let stalled = now.saturating_sub(row.updated_at) >= milliseconds(self.timers.stall_seconds);
                // A backlog is waited for, but not for ever: an extra message is harmless, a lost one is not.
                let patience = milliseconds(self.timers.stall_seconds.saturating_mul(PATIENCE));
                let waited = now.saturating_sub(row.updated_at);
                if stalled && waited < patience && self.book_is_working(&row, now).await? {
                    let next = edges::looked_at_again(&row, now, self.timers);
                    self.store.replace_run(&row, &next, None).await?;
                    return Ok(());
                }
                if stalled {
                    with(tally, |tally| tally.report.stalled = tally.report.stalled.saturating_add(1));
                }
                with(tally, |tally| tally.to_send.push(row));
                Ok(())
            }
            RunState::Waiting => {
                with(tally, |tally| tally.to_send.push(row));
                Ok(())
            }
            RunState::Running if row.claim_until.is_none_or(|until| until < now) => {
                with(tally, |tally| tally.to_send.push(row));
                Ok(())
            }
            RunState::Running => self.store.replace_run(&row, &edges::watched(&row), None).await.map(|_| ()),
            RunState::Held => {
                let want = edges::push_want(&row, now);
                let next = edges::held_noticed(&row);
                if self.store.replace_run(&row, &next, Some(&want)).await? {
                    self.queue.send(&edges::push_message_for(&want, &next)).await?;
                }
                Ok(())
            }
            RunState::DeadLettered => {
                let next = edges::ringing(&row, now);
                if self.store.replace_run(&row, &next, None).await? && !planted!(DeadLetterWithoutBell) {
                    self.queue.send(&edges::bell_message(&next)).await?;
                    with(tally, |tally| tally.report.bells_rung = tally.report.bells_rung.saturating_add(1));
                }
                Ok(())
            }
            RunState::Succeeded | RunState::Skipped => {
                self.store.replace_run(&row, &edges::unmarked(&row), None).await.map(|_| ())
            }
        }
    }

    /// Sends the runs that are due, of each book its money first, then contacts, products and what a backfill brought; within a
    /// lane the oldest first. So where a book has had enough for this sweep, it is the last lanes that wait.
    async fn send_in_lanes(&self, until: i64, tally: &Mutex<Tally>) {
        let mut by_book: BTreeMap<String, Vec<RunRow>> = BTreeMap::new();
        for row in with(tally, |tally| std::mem::take(&mut tally.to_send)) {
            by_book.entry(row.book.clone()).or_default().push(row);
        }
        let books = by_book.into_values().map(|mut rows| async move {
            rows.sort_by_key(|row| (edges::lane(row), row.due_at));
            let lanes = rows.chunk_by(|one, next| edges::lane(one) == edges::lane(next));
            for some in lanes.flat_map(|lane| lane.chunks(SENDS_AT_ONCE)) {
                if self.out_of_time(until) {
                    return;
                }
                for result in futures::future::join_all(some.iter().map(|row| self.send_run(row, tally))).await {
                    self.part(tally, result.map(|_| ()));
                }
            }
        });
        futures::future::join_all(books).await;
    }

    /// A book that took its lease within the stall time has a backlog, not a lost message.
    async fn book_is_working(&self, row: &RunRow, now: i64) -> PortResult<bool> {
        let lease = self.store.lease(&row.book).await?;
        Ok(lease.is_some_and(|lease| now.saturating_sub(lease.taken_at) < milliseconds(self.timers.stall_seconds)))
    }

    /// Moves the mark, then sends; false where the run changed or its book had enough for this sweep.
    async fn send_run(&self, row: &RunRow, tally: &Mutex<Tally>) -> PortResult<bool> {
        let now = self.clock.now_ms();
        // How many sweeps those before it need.
        let sweeps = with(tally, |tally| {
            let sent = tally.sent_by_book.entry(row.book.clone()).or_default();
            let before = *sent;
            *sent = sent.saturating_add(1);
            before.checked_div(SENDS_PER_BOOK).unwrap_or_default()
        });
        if sweeps > 0 {
            self.store.replace_run(row, &edges::after_others(row, now, sweeps), None).await?;
            return Ok(false);
        }
        let mut next = edges::sent_again(row, now, self.timers);
        if planted!(DueMarkClearedBeforeSend) {
            next = edges::unmarked(&next);
        }
        let Some(mut message) = edges::run_message(&next).filter(|message| self.queue.has(message.queue)) else {
            let code = Code::EventNotSupported;
            let next = edges::held(row, now, code, code.remedy(), self.timers);
            return self.store.replace_run(row, &next, None).await;
        };
        if !self.store.replace_run(row, &next, None).await? {
            return Ok(false);
        }
        if planted!(SameDeduplicationId) {
            message.deduplication = format!("{}-1", row.run_id);
        }
        self.queue.send(&message).await?;
        with(tally, |tally| tally.report.runs_sent = tally.report.runs_sent.saturating_add(1));
        Ok(true)
    }

    /// Does what the agenda says is due, by kind: an entry that has to stay hides none behind it, and grants, which take
    /// long to renew, keep no silence waiting.
    async fn keep_agenda(&self, deadline: i64, tally: &Mutex<Tally>) -> PortResult<()> {
        let began_at = self.clock.now_ms();
        let (mut grants, mut silences): (Vec<AgendaRow>, Vec<AgendaRow>) = (Vec::new(), Vec::new());
        let mut after: Option<AgendaRow> = None;
        for _ in 0..AGENDA_PAGES_MAX {
            let page = self.store.agenda_due(began_at, after.as_ref(), AGENDA_PAGE).await?;
            let full = page.len() == AGENDA_PAGE;
            after = page.last().cloned();
            for entry in page {
                match entry.kind.as_str() {
                    KEEP_ALIVE => grants.push(entry),
                    silence::KIND => silences.push(entry),
                    _ => self.part(tally, self.put_off(&entry, began_at).await),
                }
            }
            if !full {
                break;
            }
        }
        let grants = self.keep_grants_alive(&grants, began_at, deadline, tally);
        futures::future::join(grants, self.review_silences(&silences, began_at, tally)).await;
        Ok(())
    }

    /// Puts off an entry of a kind that this build does not know.
    async fn put_off(&self, entry: &AgendaRow, now: i64) -> PortResult<()> {
        tracing::warn!(kind = %entry.kind, "an entry of the agenda is of an unknown kind; put off by a day");
        let next = AgendaRow::new(&entry.kind, &entry.owner, now.saturating_add(UNKNOWN_PUT_OFF_MS));
        self.store.agenda_put(&next).await?;
        self.store.agenda_remove(entry).await
    }

    /// Renews grants that nobody used for long, one after another.
    async fn keep_grants_alive(&self, due: &[AgendaRow], began_at: i64, deadline: i64, tally: &Mutex<Tally>) {
        let keep_alive = KeepAlive {
            agenda: self.store,
            grants: Grants {
                store: self.store,
                vault: self.vault,
                authorities: self.authorities,
                clock: self.clock,
                chance: self.chance,
                own_hosts: self.timers.allow_private_addresses,
            },
        };
        for entry in due {
            match keep_alive.due(entry, began_at, deadline).await {
                Ok(Kept::Renewed) => {
                    with(tally, |tally| tally.report.grants_renewed = tally.report.grants_renewed.saturating_add(1));
                }
                Ok(Kept::Later | Kept::Gone) => {}
                Ok(Kept::NoTime) => break,
                Err(fault) => self.part(tally, Err(fault)),
            }
        }
    }

    /// Asks each shop that refused us, or that nobody could reach, whether it still is so; all at once: a shop that hangs
    /// costs the others nothing. Where there are too many, each sweep begins with another.
    async fn ask_after_shops(&self, tally: &Mutex<Tally>) -> PortResult<()> {
        let mut attentions = self.store.attentions().await?;
        let minute = usize::try_from(self.clock.now_ms().div_euclid(60_000)).unwrap_or_default();
        let first = minute.saturating_mul(PINGS_MAX).checked_rem(attentions.len()).unwrap_or_default();
        attentions.rotate_left(first);
        let asked = attentions.iter().take(PINGS_MAX).map(|attention| self.ask_after(attention));
        for result in futures::future::join_all(asked).await {
            self.part(tally, result);
        }
        Ok(())
    }

    async fn ask_after(&self, attention: &AttentionRow) -> PortResult<()> {
        let now = self.clock.now_ms();
        let Some(known) = self.memory.read_again(self.store, &attention.tenant, now).await? else { return Ok(()) };
        let tenant = &known.tenancy.tenant;
        if shop_why_held(tenant).is_some() {
            return self.store.attention_ends(&tenant.tenant).await;
        }
        let ports = ShopPorts {
            shop: self.shop,
            vault: self.vault,
            clock: self.clock,
            chance: self.chance,
            memory: self.memory,
        };
        let mut answer = ports.once(tenant, PING_PATH, None, PING_TIMEOUT_MS).await?;
        if let (ShopAnswer::Refuses, Some(candidate)) = (&answer, &tenant.candidate_key) {
            // The reply to a pairing may have been lost: then the shop knows the new key only.
            let other = ports.ping_under(tenant, candidate, PING_TIMEOUT_MS).await?;
            if matches!(other, ShopAnswer::Good(_)) && self.store.promote(&promotion(tenant, now)).await? {
                answer = other;
            }
        }
        let accepted = matches!(answer, ShopAnswer::Good(_));
        // A shop that was never paired before is asked under the candidate: its answer says that it took that key.
        if accepted
            && tenant.current_key.is_none()
            && tenant.candidate_key.is_some()
            && !self.store.promote(&promotion(tenant, now)).await?
        {
            return Ok(());
        }
        if accepted {
            self.store.shop_accepts(&tenant.tenant).await?;
            tracing::info!(tenant = %tenant.tenant, "the shop accepts our tokens again");
            return Ok(());
        }
        if !reached(&answer) {
            let Some(since) = tenant.unreached_since else {
                return self.store.shop_unreached(&tenant.tenant, now).await;
            };
            let patience = milliseconds(self.timers.shop_revoked_seconds.saturating_mul(UNREACHED_PATIENCE));
            if now.saturating_sub(since) >= patience && matches!(tenant.status.as_str(), "connected" | "silent") {
                self.store.shop_unreachable(&tenant.tenant).await?;
                tracing::warn!(tenant = %tenant.tenant, code = Code::ShopUnavailable.as_str(), "shop unreachable");
            }
            return Ok(());
        }
        if tenant.unreached_since.is_some() {
            self.store.shop_reached(&tenant.tenant).await?;
        }
        if !matches!(answer, ShopAnswer::Refuses) {
            // It answered, and not with a refusal: nothing is left to ask after, unless it refused us before.
            return match tenant.refused_since {
                None => self.store.attention_ends(&tenant.tenant).await,
                Some(_) => Ok(()),
            };
        }
        let Some(since) = tenant.refused_since else {
            return self.store.shop_refuses_ping(&tenant.tenant, now).await;
        };
        let refused_for = now.saturating_sub(since);
        if refused_for >= milliseconds(self.timers.shop_revoked_seconds)
            && matches!(tenant.status.as_str(), "connected" | "silent" | "unreachable")
        {
            self.store.shop_revoked(&tenant.tenant).await?;
            tracing::warn!(tenant = %tenant.tenant, code = Code::ShopUnauthorised.as_str(), "token revoked");
        }
        Ok(())
    }

    /// Looks at shops from which something should have come by now.
    async fn review_silences(&self, due: &[AgendaRow], now: i64, tally: &Mutex<Tally>) {
        for entry in due.iter().take(SILENCES_MAX) {
            match silence::review(self.store, entry, now).await {
                Ok(true) => tracing::warn!(tenant = %entry.owner, "shop silent"),
                Ok(false) => {}
                Err(fault) => self.part(tally, Err(fault)),
            }
        }
    }

    /// Releases runs whose event has a worker by now.
    async fn release_supported(&self, until: i64, tally: &Mutex<Tally>) -> PortResult<()> {
        for event in Event::ALL {
            if !self.queue.has(QueueName::Work(event)) {
                continue;
            }
            let key = edges::unsupported_key(event.as_str());
            for entry in self.store.by_state(&key, "", None, STATE_PAGE).await? {
                if self.out_of_time(until) {
                    return Ok(());
                }
                let result = self.release(&entry, tally).await;
                self.part(tally, result);
            }
        }
        Ok(())
    }

    /// Counts what is held and releases what is held for a reason that is gone.
    async fn review_held(&self, until: i64, tally: &Mutex<Tally>) -> PortResult<()> {
        let mut reviewed: Option<(String, Option<(Known, BindingRow)>)> = None;
        let mut after: Option<StateEntry> = None;
        for _ in 0..STATE_PAGES_MAX {
            let page = self.store.by_state(RunState::Held.as_str(), "", after.as_ref(), STATE_PAGE).await?;
            let full = page.len() == STATE_PAGE;
            for entry in &page {
                if self.out_of_time(until) {
                    return Ok(());
                }
                with(tally, |tally| tally.report.held = tally.report.held.saturating_add(1));
                let binding = entry.order.split('#').next().unwrap_or_default().to_owned();
                if reviewed.as_ref().is_none_or(|(id, _)| *id != binding) {
                    reviewed = Some((binding.clone(), self.binding_of(entry, &binding).await?));
                }
                let disconnected = reviewed
                    .as_ref()
                    .and_then(|(_, found)| found.as_ref())
                    .is_some_and(|(_, binding)| binding.status == "disconnected");
                if disconnected {
                    let result = self.leave_out(entry).await;
                    self.part(tally, result);
                    continue;
                }
                let gone = reviewed
                    .as_ref()
                    .and_then(|(_, found)| found.as_ref())
                    .is_some_and(|(known, binding)| reason_is_gone(&entry.code, known, binding));
                if gone {
                    let result = self.release(entry, tally).await;
                    self.part(tally, result);
                }
            }
            after = page.last().cloned();
            if !full {
                break;
            }
        }
        Ok(())
    }

    /// Ends a held run whose binding an operator disconnected. What is in the book, or may be, stays remembered.
    async fn leave_out(&self, entry: &StateEntry) -> PortResult<()> {
        let Some(run) = self.store.run(&entry.pk).await? else { return Ok(()) };
        if edges::state(&run) != RunState::Held {
            return Ok(());
        }
        let now = self.clock.now_ms();
        let next = edges::skipped(&run, now, Code::BindingDisconnected);
        let want = edges::push_want(&next, now);
        if self.store.replace_run(&run, &next, Some(&want)).await? {
            self.queue.send(&edges::push_message_for(&want, &next)).await?;
        }
        Ok(())
    }

    async fn binding_of(&self, entry: &StateEntry, binding: &str) -> PortResult<Option<(Known, BindingRow)>> {
        let Some(run) = self.store.run(&entry.pk).await? else { return Ok(None) };
        let Some(known) = self.memory.read_again(self.store, &run.tenant, self.clock.now_ms()).await? else {
            return Ok(None);
        };
        let found = known.tenancy.bindings.iter().find(|row| row.binding == binding).cloned();
        Ok(found.map(|row| (known, row)))
    }

    async fn release(&self, entry: &StateEntry, tally: &Mutex<Tally>) -> PortResult<()> {
        let Some(mut run) = self.store.run(&entry.pk).await? else { return Ok(()) };
        if edges::state(&run) != RunState::Held {
            return Ok(());
        }
        if run.book.is_empty() {
            // It was held before the binding had a book.
            let found = self.binding_of(entry, &run.binding.clone()).await?;
            let Some((_, binding)) = found.filter(|(_, binding)| !binding.book.is_empty()) else { return Ok(()) };
            let seen = run.clone();
            run.book = binding.book;
            if !self.store.replace_run(&seen, &run, None).await? {
                return Ok(());
            }
        }
        if self.send_run(&run, tally).await? {
            with(tally, |tally| tally.report.released = tally.report.released.saturating_add(1));
        }
        Ok(())
    }

    async fn count_dead_letters(&self, until: i64, tally: &Mutex<Tally>) -> PortResult<()> {
        let mut after: Option<StateEntry> = None;
        let mut found: Vec<StateEntry> = Vec::new();
        for _ in 0..STATE_PAGES_MAX {
            let page = self.store.by_state(RunState::DeadLettered.as_str(), "", after.as_ref(), STATE_PAGE).await?;
            let full = page.len() == STATE_PAGE;
            with(tally, |tally| {
                for entry in &page {
                    let count = tally.report.dead_letters.entry(owner_of(entry)).or_default();
                    *count = count.saturating_add(1);
                }
            });
            after = page.last().cloned();
            found.extend(page);
            if !full || self.out_of_time(until) {
                break;
            }
        }
        // Where there are too many, each sweep begins with another.
        let minute = usize::try_from(self.clock.now_ms().div_euclid(60_000)).unwrap_or_default();
        let first = minute.saturating_mul(CLOSINGS_MAX).checked_rem(found.len()).unwrap_or_default();
        found.rotate_left(first);
        for some in found.get(..CLOSINGS_MAX.min(found.len())).unwrap_or_default().chunks(SENDS_AT_ONCE) {
            if self.out_of_time(until) {
                break;
            }
            for result in futures::future::join_all(some.iter().map(|entry| self.close(entry, tally))).await {
                self.part(tally, result);
            }
        }
        Ok(())
    }

    /// Closes a dead letter where a later run has done what it was for. Its bell goes with the others that ring for nothing.
    async fn close(&self, entry: &StateEntry, tally: &Mutex<Tally>) -> PortResult<()> {
        let Some(dead) = self.store.run(&entry.pk).await? else { return Ok(()) };
        let now = self.clock.now_ms();
        let want = edges::push_want(&dead, now);
        let chip = keys::push(&want.tenant, &want.provider, &want.entity_type, want.magento_id);
        let Some(push) = self.store.push(&chip).await? else { return Ok(()) };
        let mut others = Vec::new();
        for run_id in [&push.document_run, &push.payment_run].into_iter().flatten().filter(|it| **it != dead.run_id) {
            others.extend(self.store.run(&keys::run(run_id)).await?);
        }
        let Some(next) = closing::closed(&dead, &others, now) else { return Ok(()) };
        // The chip goes on speaking for the later run; only where it speaks for this one, it has something new to say.
        let speaks = [&push.document_run, &push.payment_run].into_iter().flatten().any(|it| *it == dead.run_id);
        if self.store.replace_run(&dead, &next, speaks.then_some(&want)).await? {
            tracing::info!(run_id = %dead.run_id, tenant = %dead.tenant, code = %entry.code, "dead letter closed");
            with(tally, |tally| {
                tally.report.closed = tally.report.closed.saturating_add(1);
                if let Some(count) = tally.report.dead_letters.get_mut(owner_of(entry)) {
                    *count = count.saturating_sub(1);
                }
            });
            if speaks {
                // What told the shop that it failed has the message's usual id, and the queue would drop this one.
                let mut message = edges::push_message_for(&want, &next);
                message.deduplication = self.chance.uuid();
                self.queue.send(&message).await?;
            }
        }
        Ok(())
    }

    /// Removes bells of runs that are no dead letters any more, and messages that the queue moved here while the run's
    /// row goes on by itself. What nobody can read stays: it is a bell of its own.
    async fn tend_bells(&self, until: i64, tally: &Mutex<Tally>) -> PortResult<()> {
        let dead: u32 = with(tally, |tally| tally.report.dead_letters.values().sum());
        if self.bells.depth().await? == u64::from(dead) {
            return Ok(());
        }
        for _ in 0..BELL_ROUNDS_MAX {
            let messages = self.bells.receive().await?;
            if messages.is_empty() || self.out_of_time(until) {
                return Ok(());
            }
            for message in messages {
                let run_id = serde_json::from_str::<Bell>(&message.body)
                    .map(|bell| bell.dead_letter)
                    .or_else(|_| serde_json::from_str::<RunMessage>(&message.body).map(|message| message.run_id));
                let stays = match run_id {
                    Ok(run_id) => {
                        let run = self.store.run(&keys::run(&run_id)).await?;
                        run.is_some_and(|run| edges::state(&run) == RunState::DeadLettered)
                    }
                    // A chip's row has a due mark of its own.
                    Err(_) => serde_json::from_str::<PushMessage>(&message.body).is_err(),
                };
                if !stays {
                    self.bells.delete(&message.receipt).await?;
                    with(tally, |tally| {
                        tally.report.bells_removed = tally.report.bells_removed.saturating_add(1);
                    });
                }
            }
        }
        Ok(())
    }

    async fn measure(&self, tally: &Mutex<Tally>) -> PortResult<()> {
        let now = self.clock.now_ms();
        let marks = futures::future::join_all((0..DUE_SHARDS).map(|shard| self.store.oldest_due(shard))).await;
        let mut oldest = now;
        for mark in marks {
            oldest = oldest.min(mark?.unwrap_or(now));
        }
        with(tally, |tally| {
            tally.report.oldest_due_age_seconds = now.saturating_sub(oldest).max(0).div_euclid(1_000);
        });
        Ok(())
    }
}

fn owner_of(entry: &StateEntry) -> &'static str {
    Owner::ALL.into_iter().find(|owner| owner.as_str() == entry.owner).unwrap_or(Owner::Ledger).as_str()
}

fn with<T>(tally: &Mutex<Tally>, change: impl FnOnce(&mut Tally) -> T) -> T {
    change(&mut tally.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether what a run is held for is over.
fn reason_is_gone(code: &str, known: &Known, binding: &BindingRow) -> bool {
    match Code::parse(code) {
        Some(Code::ShopUnauthorised) => {
            let tenant = &known.tenancy.tenant;
            tenant.refused_since.is_none() && tenant.status != "token_revoked" && shop_why_held(tenant).is_none()
        }
        Some(Code::ShopDisconnected) => shop_why_held(&known.tenancy.tenant).is_none(),
        Some(Code::BindingPending | Code::BindingPaused | Code::SettingsMissing | Code::NeedsReconnect) => {
            why_held(binding).is_none()
        }
        _ => false,
    }
}
