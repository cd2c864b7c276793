//! An attempt: claim, fetch, decide, post, commit.

use crate::carry::{Carry, Done};
use crate::config::{Timers, milliseconds};
use crate::connect::grant::Grants;
use crate::edges;
use crate::executor::{Ended, Executor};
use crate::ingest::{shop_why_held, why_held};
use crate::pace::Pace;
use crate::plan::{Facts, Keys};
use crate::ports::{
    Attempts, Authorities, Book, Chance, ClaimRequest, Claimed, Clock, Commit, GatherRequest, Gathered, Pause,
    PauseChange, PortFault, Queue, Release, Shop, Vault, Written, XrefWrite,
};
use crate::reference::{OpenToken, READ_STATUS, REFUSED_FRESH_MS, ReadList, Reader, When, list_in_question};
use crate::rehearsal::Rehearsal;
use crate::settings::names_missing;
use crate::tally::Tally;
use crate::tenants::{Mode, TenantMemory, context_of, mode_of};
use ledger_dialects::{Context, Profile};
use ledger_domain::code::Code;
use ledger_domain::document::{Kind, Posted};
use ledger_domain::fault::{Action, Evidence, Fault};
use ledger_domain::identity::Event;
use ledger_domain::lane::Lane;
use ledger_domain::retry;
use ledger_domain::run::RunState;
use ledger_domain::settings::Settings;
use ledger_wire::api::moment;
use ledger_wire::message::RunMessage;
use ledger_wire::rows::{
    AttemptRow, BindingRow, EvidenceRow, LeaseRow, OrderDocumentRow, PaceRow, PreviewRow, ROW_VERSION, RefusalRow,
    RunRow, StepRow, keys,
};

/// Attempts without an outcome after which a run is dead-lettered as crashed.
pub const UNFINISHED_MAX: u32 = 3;
/// Receives of a message whose book is busy after which its run waits as a row.
const BUSY_RECEIVES_MAX: u32 = 5;
/// How often a busy book is asked for again, in milliseconds.
const LEASE_POLL_MS: u64 = 500;
/// A claim outlives the function's deadline by this, in milliseconds, so that nobody follows a write that is leaving.
const CLAIM_GRACE_MS: i64 = 5_000;
/// Times that a commit is tried while the store is unavailable.
const COMMITS_MAX: u32 = 3;
/// Pause between two of them, in milliseconds.
const COMMIT_PAUSE_MS: u64 = 300;

/// What an attempt needs.
pub struct Post<'a> {
    /// The store.
    pub store: &'a dyn Attempts,
    /// The queues.
    pub queue: &'a dyn Queue,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// The shop.
    pub shop: &'a dyn Shop,
    /// The book.
    pub book: &'a dyn Book,
    /// Providers' OAuth addresses, where new tokens come from.
    pub authorities: &'a dyn Authorities,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// What this process remembers of tenants.
    pub memory: &'a TenantMemory,
    /// The stack's timers.
    pub timers: &'a Timers,
    /// What this process counts.
    pub tally: &'a Tally,
}

/// For so long a run of money waits for a busy book before it asks others to leave the book to it, in milliseconds.
const PATIENCE_MS: i64 = 2_000;
/// For so long they do, in milliseconds: longer than it takes the message to come back.
const WANTED_MS: i64 = 15_000;
/// Refusals that no rule recognised are remembered this long after the latest, in milliseconds (400 days).
const REFUSAL_KEPT_MS: i64 = edges::RUN_KEPT_MS;
/// Longest code or field of a counted refusal, in characters.
const REFUSAL_NAME_MAX: usize = 64;

/// What to do with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Delete it: the row says how it goes on.
    Done,
    /// Let it come back, and the rest of its group with it.
    GiveBack,
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// What it says.
    pub message: &'a RunMessage,
    /// Its group: the book.
    pub book: &'a str,
    /// How often it was received.
    pub receive_count: u32,
    /// When the function is stopped, in milliseconds.
    pub deadline: i64,
}

/// How an attempt ended.
pub(crate) enum Outcome {
    Succeeded { posted: Posted, left_open: Option<Code> },
    Skipped(Code),
    Held(Code),
    Fault(Fault),
    Lost,
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Fault(fault) => Self::Fault(fault),
            Ended::Held(code) => Self::Held(code),
            Ended::Lost => Self::Lost,
        }
    }
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<PortFault> for Outcome {
    fn from(fault: PortFault) -> Self {
        Ended::from(fault).into()
    }
}

/// What an attempt has learnt, for its row and its commit.
#[derive(Default)]
pub(crate) struct Learnt {
    run: Option<RunRow>,
    xref: Option<String>,
    web_address: Option<String>,
    settles: Option<String>,
    pub(crate) settings_version: u32,
    pub(crate) steps: Vec<StepRow>,
    pending: Vec<XrefWrite>,
    in_doubt: bool,
    token_version: Option<u32>,
    order_id: Option<u64>,
    unrenewed: Option<Fault>,
    pace: Option<PaceRow>,
    /// Status of the book's latest answer, and the seconds that it asked us to wait.
    answered: Option<(u16, Option<u64>)>,
    /// The book's pauses before this attempt.
    pauses: Pauses,
    /// True where every document is looked for in the book first, whatever is remembered.
    pub(crate) looks_first: bool,
    /// True where the run is only previewed.
    pub(crate) previews: bool,
    /// What a preview would send.
    pub(crate) rehearsal: Option<Rehearsal>,
    /// What the preview came to, and what the other side said of it.
    preview: Option<(PreviewRow, Option<Evidence>)>,
}

/// A book's pauses in a row.
#[derive(Clone, Copy, Default)]
struct Pauses {
    since: Option<i64>,
    count: u32,
}

impl Learnt {
    /// Nothing yet; where `looks_first`, of an attempt that looks for every document first.
    pub(crate) fn looking(looks_first: bool) -> Self {
        Self { looks_first, ..Self::default() }
    }
}

/// What an attempt is made of.
pub(crate) struct Task<'t> {
    /// The message, or one like it.
    pub(crate) message: &'t RunMessage,
    /// The book.
    pub(crate) book: &'t str,
    /// The claim; none where the run is only looked at.
    pub(crate) claim: Option<&'t str>,
    /// When it began.
    pub(crate) started_at: i64,
    /// When it has to end.
    pub(crate) deadline: i64,
}

impl Post<'_> {
    /// What keeps the book's grant alive.
    pub(crate) fn grants(&self) -> Grants<'_> {
        Grants {
            store: self.store,
            vault: self.vault,
            authorities: self.authorities,
            clock: self.clock,
            chance: self.chance,
            own_hosts: self.timers.allow_private_addresses,
        }
    }

    /// Makes an attempt for a message.
    pub async fn attempt(&self, received: &Received<'_>) -> Disposition {
        let started_at = self.clock.now_ms();
        let claim = match self.claim(received).await {
            Ok(claim) => claim,
            Err(disposition) => return disposition,
        };
        let mut learnt = Learnt::default();
        let task = Task {
            message: received.message,
            book: received.book,
            claim: Some(&claim),
            started_at,
            deadline: received.deadline,
        };
        let outcome = match Box::pin(self.work(&task, &mut learnt)).await {
            Ok(outcome) | Err(outcome) => outcome,
        };
        let outcome = if learnt.previews { self.previewed(outcome, &mut learnt) } else { outcome };
        self.end(received, &claim, started_at, outcome, learnt).await
    }

    /// Whose lease an attempt takes: the book's.
    fn leased(&self, book: &str, run_id: &str) -> String {
        if planted!(NoLease) { format!("{book}#{run_id}") } else { book.to_owned() }
    }

    /// The claim, or what to do without one.
    async fn claim(&self, received: &Received<'_>) -> Result<String, Disposition> {
        let message = received.message;
        let claim = if planted!(NoFencing) { message.run_id.clone() } else { self.chance.uuid() };
        let began = self.clock.now_ms();
        let waits_until = began.saturating_add(milliseconds(self.timers.lease_wait_seconds));
        let mut asks_from = began.saturating_add(PATIENCE_MS);
        let lane = Event::parse(&message.event).map_or(Lane::Backfill, |event| Lane::of(event, message.backfilled));
        loop {
            let now = self.clock.now_ms();
            let request = ClaimRequest {
                run_id: message.run_id.clone(),
                generation: message.generation,
                claim: claim.clone(),
                book: self.leased(received.book, &message.run_id),
                now,
                until: received.deadline.saturating_add(CLAIM_GRACE_MS),
                unfinished_max: UNFINISHED_MAX,
                gives_way: lane.gives_way(),
            };
            match self.store.claim(&request).await {
                Ok(Claimed::Ours) => return Ok(claim),
                Ok(Claimed::Not(row)) => {
                    self.not_claimed(message, row, now).await;
                    return Err(Disposition::Done);
                }
                Ok(Claimed::BookPaused(lease)) => return Err(self.wait_for_the_book(message, &lease, now).await),
                Ok(Claimed::BookBusy(_)) => {
                    if now >= asks_from && !lane.gives_way() {
                        asks_from = i64::MAX;
                        // Where this fails the run waits its turn among the others.
                        if let Err(fault) = self.store.want_book(received.book, now.saturating_add(WANTED_MS)).await {
                            tracing::warn!(run_id = %message.run_id, reason = %fault, "book not asked for");
                        }
                    }
                    if now < waits_until {
                        self.clock.sleep_ms(LEASE_POLL_MS).await;
                    } else if received.receive_count < BUSY_RECEIVES_MAX {
                        return Err(Disposition::GiveBack);
                    } else {
                        return Err(self.wait_as_a_row(message, now).await);
                    }
                }
                Err(fault) => {
                    tracing::warn!(run_id = %message.run_id, code = Code::StoreUnavailable.as_str(), reason = %fault, "claim failed");
                    return Err(Disposition::GiveBack);
                }
            }
        }
    }

    /// A run that can't be claimed is finished, put off, somebody else's, of another generation, or it kills whoever
    /// touches it.
    async fn not_claimed(&self, message: &RunMessage, row: Option<RunRow>, now: i64) {
        let Some(row) = row.filter(|row| row.generation == message.generation) else { return };
        let claimable = match edges::state(&row) {
            RunState::Queued => true,
            RunState::Waiting => row.due_at.is_some_and(|due| due <= now),
            RunState::Running => row.claim_until.is_some_and(|until| until < now),
            RunState::Held | RunState::Succeeded | RunState::Skipped | RunState::DeadLettered => false,
        };
        if claimable && row.unfinished >= UNFINISHED_MAX {
            let text = format!("{} attempts ended without an outcome", row.unfinished);
            let next = edges::dead_lettered(&row, now, Code::Crashed, &text);
            let want = edges::push_want(&next, now);
            match self.store.replace_run(&row, &next, Some(&want)).await {
                Ok(true) => {
                    tracing::error!(run_id = %row.run_id, tenant = %row.tenant, code = Code::Crashed.as_str(), "dead-lettered");
                    let _ = self.queue.send(&edges::push_message_for(&want, &next)).await;
                }
                Ok(false) => {}
                Err(fault) => {
                    tracing::warn!(run_id = %row.run_id, reason = %fault, "dead-lettering left to the sweeper");
                }
            }
        }
    }

    /// The book is paused: the run goes on as a row when that is over, and the message is done. No attempt was made.
    async fn wait_for_the_book(&self, message: &RunMessage, lease: &LeaseRow, now: i64) -> Disposition {
        let until = lease.paused_until.unwrap_or(now);
        let why = lease.pause_code.as_deref().and_then(Code::parse).map_or("", Code::cause);
        let text = format!("the book is paused until {}: {why}", moment(until));
        self.wait_without_attempt(message, |row| edges::waiting(row, now, until, Code::BookPaused, &text)).await
    }

    /// The book is busy for long: the run goes on as a row, due now, and the message is done.
    async fn wait_as_a_row(&self, message: &RunMessage, now: i64) -> Disposition {
        let text = "another worker writes to the book";
        self.wait_without_attempt(message, |row| edges::waiting(row, now, now, Code::BookBusy, text)).await
    }

    /// Puts a queued run off, as `put_off` says, and keeps its count of attempts without an outcome.
    async fn wait_without_attempt(&self, message: &RunMessage, put_off: impl FnOnce(&RunRow) -> RunRow) -> Disposition {
        let request = GatherRequest {
            run_id: message.run_id.clone(),
            tenant: message.tenant.clone(),
            binding: message.binding.clone(),
            ..GatherRequest::default()
        };
        let row = match self.store.gather(&request).await {
            Ok(gathered) => gathered.run,
            Err(_) => return Disposition::GiveBack,
        };
        let Some(row) = row.filter(|row| row.generation == message.generation) else { return Disposition::Done };
        if edges::state(&row) != RunState::Queued {
            return Disposition::Done;
        }
        let mut next = put_off(&row);
        // This is no outcome of an attempt.
        next.unfinished = row.unfinished;
        match self.store.replace_run(&row, &next, None).await {
            Ok(_) => Disposition::Done,
            Err(_) => Disposition::GiveBack,
        }
    }

    /// What a preview comes to: what would be sent is looked at by a person first, and so is what would be refused. What
    /// passes by itself is tried again, and what is left out without a request is left out.
    fn previewed(&self, outcome: Outcome, learnt: &mut Learnt) -> Outcome {
        let rehearsal = learnt.rehearsal.take().unwrap_or_default();
        let event = learnt.run.as_ref().and_then(|run| Event::parse(&run.event));
        let total = event.and_then(|event| rehearsal.total_of(kind_of(event)));
        let (outcome, code, message, evidence) = match outcome {
            Outcome::Succeeded { left_open: None, .. } => ("ready", None, None, None),
            Outcome::Succeeded { left_open: Some(code), .. } => {
                ("partly", Some(code), Some(code.remedy().to_owned()), None)
            }
            Outcome::Skipped(code) if !rehearsal.requests.is_empty() => {
                ("partly", Some(code), Some(code.remedy().to_owned()), None)
            }
            Outcome::Fault(fault) if matches!(fault.action, Action::Refused | Action::Broken) => {
                ("refused", Some(fault.code), Some(fault.message), Some(fault.evidence))
            }
            other @ (Outcome::Skipped(_) | Outcome::Held(_) | Outcome::Fault(_) | Outcome::Lost) => return other,
        };
        let preview = PreviewRow {
            at: self.clock.now_ms(),
            outcome: outcome.to_owned(),
            code: code.map(|code| code.as_str().to_owned()),
            message,
            requests: u32::try_from(rehearsal.requests.len()).unwrap_or(u32::MAX),
            total: total.map(|proven| format!("{} {}", proven.total, proven.currency)),
            settings_version: learnt.settings_version,
        };
        learnt.preview = Some((preview, evidence));
        Outcome::Held(Code::Preview)
    }

    pub(crate) async fn work(&self, task: &Task<'_>, learnt: &mut Learnt) -> Result<Outcome, Outcome> {
        let (message, started_at) = (task.message, task.started_at);
        let event = Event::parse(&message.event)
            .ok_or_else(|| Fault::broken(Code::Unexpected, "the run's event is none that this build knows"))?;
        let known = self
            .memory
            .tenant(self.store, &message.tenant, self.clock.now_ms())
            .await?
            .ok_or_else(|| Fault::broken(Code::Unexpected, "the run's tenant is gone"))?;
        if shop_why_held(&known.tenancy.tenant).is_some() {
            // A no never comes from memory.
            let fresh = self.memory.read_again(self.store, &message.tenant, self.clock.now_ms()).await?;
            if let Some(code) = fresh.and_then(|known| shop_why_held(&known.tenancy.tenant)) {
                return Ok(Outcome::Held(code));
            }
        }
        let fetched = self.fetch(&known, event, message.magento_id, started_at, learnt).await;
        let keys_of = |facts: &Facts, settings: &Settings, profile: &Profile, store_id: Option<u32>| {
            let run_id = &message.run_id;
            let mut keys = Keys::of(task.book, &message.tenant, run_id, facts, settings, &profile.rules, store_id);
            if planted!(ContactReservedByIdOnly) {
                keys.contact.truncate(1);
            }
            keys
        };
        // The keys need the settings; the remembered ones are right unless they changed within the last minute.
        let remembered = known.tenancy.bindings.iter().find(|binding| binding.binding == message.binding);
        let guess = match (&fetched, remembered) {
            (Ok(facts), Some(binding)) => binding
                .settings
                .read(binding.settings_version)
                .ok()
                .zip(ledger_dialects::dialect(&binding.dialect))
                .map(|(settings, dialect)| keys_of(facts, &settings, dialect.profile(), None)),
            _ => None,
        };
        let gathered = self.gather(message, task.book, guess.as_ref().map(Keys::all).unwrap_or_default()).await?;
        let run = gathered.run.clone().ok_or_else(|| Fault::broken(Code::Unexpected, "the claimed run is gone"))?;
        if task.claim.is_some_and(|claim| run.claim.as_deref() != Some(claim)) {
            return Err(Outcome::Lost);
        }
        learnt.run = Some(run.clone());
        let rehearses =
            task.claim.is_none() || gathered.binding.as_ref().is_some_and(|it| mode_of(it) == Mode::Preview);
        learnt.previews = rehearses;
        let facts = fetched?;
        learnt.order_id = facts.invoice().map(|invoice| invoice.order_id).filter(|id| *id > 0);
        let binding =
            gathered.binding.clone().ok_or_else(|| Fault::broken(Code::Unexpected, "the run's binding is gone"))?;
        if binding.status == "disconnected" {
            return Ok(Outcome::Skipped(Code::BindingDisconnected));
        }
        // A paused binding's requests may be looked at.
        if let Some(code) = why_held(&binding).filter(|code| task.claim.is_some() || *code != Code::BindingPaused) {
            return Ok(Outcome::Held(code));
        }
        if binding.book != task.book {
            return Err(Fault::broken(Code::Unexpected, "the run was sent for another book").into());
        }
        let dialect = ledger_dialects::dialect(&binding.dialect)
            .ok_or_else(|| Fault::refused(Code::SettingsInvalid, "the binding's dialect is none that Ledger speaks"))?;
        // What is in doubt is looked for, or sent again, as it was sent.
        let rows = guess.iter().flat_map(Keys::documents).filter_map(|key| gathered.xrefs.get(key));
        let mut in_doubt = rows.filter(|row| row.state == "reserved" && row.doubtful);
        let pinned = in_doubt.next().map(|row| row.settings_version).or(run.pinned_settings);
        let settings = self.settings_of(&binding, pinned).await?;
        learnt.settings_version = settings.version;
        let store_id = Some(run.store_id).filter(|store| *store > 0);
        let keys = keys_of(&facts, &settings, dialect.profile(), store_id);
        learnt.xref = keys.of_run(event);
        let mut xrefs = gathered.xrefs.clone();
        if guess.as_ref() != Some(&keys) {
            xrefs = self.gather(message, "", keys.all()).await?.xrefs;
        }
        let lease = gathered.lease.clone().unwrap_or_default();
        learnt.pauses = Pauses { since: lease.paused_since, count: lease.pauses };
        let mut executor = Executor {
            post: self,
            dialect,
            context: Context {
                country: settings.book_country.clone(),
                sales_tax_registered: settings.sales_tax_registered,
                ..context_of(&binding)
            },
            binding: binding.binding.clone(),
            sealed_token: gathered.token.clone(),
            token: None,
            token_version: gathered.token.as_ref().map(|token| token.version),
            renewed: false,
            unrenewed: None,
            run_id: message.run_id.clone(),
            tenant: message.tenant.clone(),
            book: task.book.to_owned(),
            claim: task.claim.unwrap_or_default().to_owned(),
            attempt: run.attempt,
            settings_version: settings.version,
            started_at,
            deadline: task.deadline,
            xrefs,
            pending: Vec::new(),
            steps: Vec::new(),
            in_doubt: false,
            indexed: false,
            answered: None,
            pace: Pace::read(&lease.pace, dialect.profile().calls_per_minute, self.clock.now_ms()),
            rehearsal: rehearses.then(|| Rehearsal::new(learnt.looks_first)),
        };
        let mut carry = Carry {
            executor: &mut executor,
            run: &run,
            facts: &facts,
            keys: &keys,
            settings: &settings,
            profile: dialect.profile(),
            connected_at: binding.connected_at,
            restored_at: self.timers.restored_at.filter(|_| !planted!(RestoreForgotten)),
        };
        let mut result = Box::pin(carry.carry_out()).await;
        if let Err(Ended::Fault(fault)) = result {
            result = match self.read_again(fault, &binding, carry.executor, task.deadline).await {
                // Once: what is refused now stays so.
                None => Box::pin(carry.carry_out()).await,
                Some(fault) => Err(fault.into()),
            };
        }
        learnt.steps.append(&mut executor.steps);
        learnt.pace = Some(executor.pace.row(self.clock.now_ms()));
        learnt.answered = executor.answered;
        if let Ok(Done::Posted { posted, .. }) = &result {
            learnt.web_address = executor.web_address_of(&posted.provider_id);
            let invoice = learnt.xref.as_ref().filter(|_| event == Event::InvoicePaid);
            learnt.settles = invoice.and_then(|key| executor.current(key)).and_then(|row| row.provider_id);
        }
        learnt.pending = executor.pending;
        if rehearses {
            // What products leave behind for invoices is a fact of the shop's, and nobody's document.
            learnt.pending.retain(|write| write.row.kind == "sku");
        }
        learnt.in_doubt = executor.in_doubt && !rehearses;
        learnt.rehearsal = executor.rehearsal;
        learnt.token_version = executor.token_version;
        learnt.unrenewed = executor.unrenewed;
        Ok(match result? {
            Done::Posted { posted, left_open } => Outcome::Succeeded { posted, left_open },
            Done::Skipped(code) => Outcome::Skipped(code),
        })
    }

    async fn gather(&self, message: &RunMessage, book: &str, xrefs: Vec<String>) -> Result<Gathered, Outcome> {
        let request = GatherRequest {
            run_id: message.run_id.clone(),
            tenant: message.tenant.clone(),
            binding: message.binding.clone(),
            book: book.to_owned(),
            xrefs,
        };
        Ok(self.store.gather(&request).await?)
    }

    /// The settings in force, or the version that an open reservation pins.
    async fn settings_of(&self, binding: &BindingRow, pinned: Option<u32>) -> Result<Settings, Outcome> {
        let pinned = pinned.filter(|version| *version != binding.settings_version);
        let (settings, version) = match pinned {
            None => (binding.settings.clone(), binding.settings_version),
            Some(version) => match self.store.settings(&binding.binding, version).await? {
                Some(row) => (row.settings, row.version),
                None => (binding.settings.clone(), binding.settings_version),
            },
        };
        settings.read(version).map_err(|error| {
            Fault::refused(Code::SettingsInvalid, format!("the binding's settings cannot be used: {error}")).into()
        })
    }

    /// Reads the list anew that a book's refusal brings into question: the fault where the refusal stands, `None` where
    /// everything that the settings name is in the book now, so that it is worth another try.
    async fn read_again(
        &self,
        mut fault: Fault,
        binding: &BindingRow,
        executor: &mut Executor<'_>,
        deadline: i64,
    ) -> Option<Fault> {
        let Some(list) = list_in_question(&fault, executor.dialect) else { return Some(fault) };
        let Some(token) = &executor.token else { return Some(fault) };
        // What is in doubt is looked for, not tried again; a pinned version of the settings is not the one to look at.
        if executor.in_doubt || executor.settings_version != binding.settings_version {
            return Some(fault);
        }
        let began = self.clock.now_ms();
        let reader = Reader {
            store: self.store,
            vault: self.vault,
            shop: self.shop,
            book: self.book,
            tokens: &OpenToken(token),
            clock: self.clock,
            chance: self.chance,
            memory: self.memory,
        };
        let read = reader.read(binding, &[list], When::OlderThan(REFUSED_FRESH_MS), deadline).await;
        let took_ms = self.clock.now_ms().saturating_sub(began);
        let complete = matches!(read.as_deref(), Ok([(_, ReadList::Complete)]));
        let data = reader.known(&binding.binding, &[list]).await.ok();
        // A list that was young enough was not read, and that is no step.
        let was_young = data.as_ref().and_then(|data| data.lists.get(&list)).is_some_and(|known| known.read_at < began);
        if !(complete && was_young) {
            executor.steps.push(StepRow {
                label: format!("read_{}", list.as_str()),
                at_ms: began.saturating_sub(executor.started_at),
                took_ms,
                status: complete.then_some(READ_STATUS),
                ..StepRow::default()
            });
        }
        // Where it could not be read, the refusal says more.
        let Some(data) = data.filter(|_| complete) else { return Some(fault) };
        let missing = names_missing(&binding.settings, executor.dialect, &data);
        let first = missing.first()?;
        fault.message = format!("{} Its list does not have what {first} names.", fault.message);
        Some(fault)
    }

    /// Writes the outcome and tells the shop's queue.
    async fn end(
        &self,
        received: &Received<'_>,
        claim: &str,
        started_at: i64,
        outcome: Outcome,
        mut learnt: Learnt,
    ) -> Disposition {
        if matches!(outcome, Outcome::Lost) {
            return Disposition::Done;
        }
        let run = match learnt.run.take() {
            Some(run) => run,
            // The attempt ended before it read its run: read it now, for the outcome.
            None => match self.gather(received.message, "", Vec::new()).await.map(|gathered| gathered.run) {
                Ok(Some(run)) if run.claim.as_deref() == Some(claim) => run,
                Ok(_) => return Disposition::Done,
                Err(_) => return Disposition::GiveBack,
            },
        };
        let pause = self.pause_after(&outcome, &learnt);
        let refusal = refusal_of(&outcome, &run, self.clock.now_ms());
        let mut ended = self.judged(&run, outcome, &learnt).await;
        if let PauseChange::Begins(pause) = &pause
            && edges::state(&ended.next) == RunState::Waiting
        {
            // Nobody may ask the book before, so there is nothing to come back for.
            ended.next.due_at = ended.next.due_at.max(Some(pause.until));
            tracing::warn!(book = %received.book, code = pause.code, pauses = pause.pauses, "book paused");
        }
        let now = self.clock.now_ms();
        let mut commit = Commit {
            push: tells_shop(&ended.next).then(|| edges::push_want(&ended.next, now)),
            attempt: self.attempt_row(&run, &ended, started_at, now, &learnt),
            order: learnt.order_id.and_then(|order_id| order_document(&run, order_id, now)),
            run: ended.next,
            claim: claim.to_owned(),
            xrefs: learnt.pending,
            release: Some(Release { book: self.leased(received.book, &run.run_id), pace: learnt.pace, pause }),
        };
        if planted!(PushBeforeCommit)
            && let Some(want) = commit.push.take()
        {
            let _ = self.queue.send(&edges::push_message_for(&want, &commit.run)).await;
        }
        for _ in 0..COMMITS_MAX {
            match self.store.commit(&commit).await {
                Ok(Written::Done) => {
                    if commit.run.total_unverified {
                        self.tally.total_unverified();
                    }
                    self.log(&commit, now.saturating_sub(started_at));
                    if let Some(refusal) = &refusal
                        && let Err(fault) = self.store.count_refusal(refusal).await
                    {
                        tracing::warn!(run_id = %run.run_id, reason = %fault, "refusal not counted");
                    }
                    if let Some(want) = &commit.push
                        && let Err(fault) = self.queue.send(&edges::push_message_for(want, &commit.run)).await
                    {
                        tracing::warn!(run_id = %run.run_id, reason = %fault, "push left to the sweeper");
                    }
                    return Disposition::Done;
                }
                Ok(Written::Lost) => return Disposition::Done,
                Ok(Written::Changed(key)) => self.amend(&mut commit, &run, &key),
                Err(fault) => {
                    tracing::warn!(run_id = %run.run_id, code = Code::StoreUnavailable.as_str(), reason = %fault, "commit failed");
                    self.clock.sleep_ms(COMMIT_PAUSE_MS).await;
                }
            }
        }
        Disposition::GiveBack
    }

    /// What the book's latest answer says of its being there. Of 503 and 429 it is the whole book that waits, not the run: the
    /// next one would hear the same.
    fn pause_after(&self, outcome: &Outcome, learnt: &Learnt) -> PauseChange {
        let Some((status, named)) = learnt.answered else { return PauseChange::Leaves };
        let code = match (status, outcome) {
            (429, Outcome::Fault(fault)) if fault.code == Code::BookDayLimit => Code::BookDayLimit,
            (429, _) => Code::BookRateLimited,
            (503, _) => Code::BookUnavailable,
            (200..=499, _) if learnt.pauses.count > 0 => return PauseChange::Ends,
            _ => return PauseChange::Leaves,
        };
        // The dialect knows what a limit that names no time means.
        let known = match outcome {
            Outcome::Fault(fault) if fault.code == code => match fault.action {
                Action::Later { after_seconds } => after_seconds,
                Action::Doubtful | Action::Reconnect | Action::Refused | Action::Broken => None,
            },
            Outcome::Succeeded { .. } | Outcome::Skipped(_) | Outcome::Held(_) | Outcome::Fault(_) | Outcome::Lost => {
                None
            }
        };
        let now = self.clock.now_ms();
        let pause = retry::pause_ms(named.or(known), learnt.pauses.count, self.timers.retry_scale_percent);
        PauseChange::Begins(Pause {
            until: now.saturating_add(i64::try_from(pause).unwrap_or(i64::MAX)),
            since: learnt.pauses.since.unwrap_or(now),
            code: code.as_str(),
            pauses: learnt.pauses.count.saturating_add(1),
        })
    }

    /// A row of `entity_xref` was not as expected. Where another document of ours has the same document of the book, a
    /// person has to compare them; otherwise the next attempt reads anew.
    fn amend(&self, commit: &mut Commit, run: &RunRow, key: &str) {
        let now = self.clock.now_ms();
        let reverse = commit.xrefs.iter().any(|write| write.row.pk == key && write.row.kind == "reverse");
        if reverse {
            commit.run = edges::dead_lettered(
                run,
                now,
                Code::ReverseCollision,
                "the document in the book is linked to another document of the shop",
            );
            commit.xrefs.retain(|write| write.row.pk != key);
            for write in &mut commit.xrefs {
                if write.row.state == "linked" && write.row.document.is_none() && write.row.kind != "contact" {
                    "created".clone_into(&mut write.row.state);
                }
            }
            commit.push = Some(edges::push_want(&commit.run, now));
        } else {
            let until = now.saturating_add(
                i64::try_from(retry::retry_delay_ms(1, self.timers.retry_scale_percent, self.chance.number()))
                    .unwrap_or(i64::MAX),
            );
            commit.run = edges::waiting(run, now, until, Code::BookBusy, "a cross-reference changed under the attempt");
            commit.xrefs.clear();
            commit.push = None;
        }
        commit.attempt.outcome.clone_from(&commit.run.state);
        commit.attempt.code.clone_from(&commit.run.code);
        commit.attempt.message.clone_from(&commit.run.message);
    }

    async fn judged(&self, run: &RunRow, outcome: Outcome, learnt: &Learnt) -> EndOf {
        let now = self.clock.now_ms();
        let mut base = run.clone();
        base.xref = learnt.xref.clone().or(base.xref);
        base.web_address = learnt.web_address.clone().or(base.web_address);
        base.settles = learnt.settles.clone().or(base.settles);
        base.pinned_settings = learnt.in_doubt.then_some(learnt.settings_version).filter(|version| *version > 0);
        match outcome {
            Outcome::Succeeded { posted, left_open } => {
                let unverified = posted.total.is_none() && has_total(run);
                let reference = posted.reference.as_deref();
                let next = edges::succeeded(&base, now, &posted.provider_id, reference, unverified, left_open);
                // What a person has to approve first can't be settled, as a payment can't: a resync does that.
                if left_open == Some(Code::InvoiceNotApproved) {
                    EndOf { next: edges::unsettled(&next), outcome: "skipped", evidence: None }
                } else {
                    EndOf { next, outcome: "succeeded", evidence: None }
                }
            }
            Outcome::Skipped(code) => {
                EndOf { next: edges::skipped(&base, now, code), outcome: "skipped", evidence: None }
            }
            Outcome::Held(code) => match learnt.preview.clone().filter(|_| code == Code::Preview) {
                Some((preview, evidence)) => {
                    EndOf { next: edges::previewed(&base, now, preview, self.timers), outcome: "previewed", evidence }
                }
                None => EndOf {
                    next: edges::held(&base, now, code, code.remedy(), self.timers),
                    outcome: "held",
                    evidence: None,
                },
            },
            Outcome::Fault(fault) => self.after_fault(&base, now, fault, learnt).await,
            Outcome::Lost => EndOf { next: base, outcome: "lost", evidence: None },
        }
    }

    async fn after_fault(&self, run: &RunRow, now: i64, fault: Fault, learnt: &Learnt) -> EndOf {
        let evidence = Some(fault.evidence.clone());
        match fault.action {
            Action::Later { after_seconds } => {
                EndOf { next: self.put_off(run, now, after_seconds, &fault), outcome: "later", evidence }
            }
            Action::Doubtful => EndOf { next: self.put_off(run, now, None, &fault), outcome: "doubtful", evidence },
            Action::Reconnect => {
                // What kept us from a new token, if that was not the provider's no.
                if let Some(fault) = &learnt.unrenewed
                    && let Action::Later { after_seconds } = fault.action
                {
                    return EndOf { next: self.put_off(run, now, after_seconds, fault), outcome: "later", evidence };
                }
                match self.store.needs_reconnect(&run.tenant, &run.binding, learnt.token_version).await {
                    Ok(true) => {}
                    // A token that was replaced while this attempt used the one before says nothing against the new one.
                    Ok(false) => {
                        let fault = Fault::later(Code::GrantBusy, Some(0), "the token was replaced meanwhile");
                        return EndOf { next: self.put_off(run, now, Some(0), &fault), outcome: "later", evidence };
                    }
                    Err(error) => tracing::warn!(run_id = %run.run_id, reason = %error, "binding not marked"),
                }
                let code = Code::NeedsReconnect;
                EndOf { next: edges::held(run, now, code, code.remedy(), self.timers), outcome: "held", evidence }
            }
            Action::Refused => {
                EndOf { next: edges::dead_lettered(run, now, fault.code, &fault.message), outcome: "refused", evidence }
            }
            Action::Broken => {
                EndOf { next: edges::dead_lettered(run, now, fault.code, &fault.message), outcome: "broken", evidence }
            }
        }
    }

    /// Waits for its next attempt, or is dead-lettered where the horizon is over.
    fn put_off(&self, run: &RunRow, now: i64, after_seconds: Option<u64>, fault: &Fault) -> RunRow {
        let mut base = run.clone();
        let since = base.failing_since.unwrap_or(now);
        if retry::horizon_is_over(since, now) {
            let text = format!("tried for three days; the last cause: {} ({})", fault.message, fault.code);
            return edges::dead_lettered(&base, now, Code::RetriesExhausted, &text);
        }
        base.failing_since = Some(since);
        // Running out of time, or of the book's calls a minute, is no failure, the attempt only stopped between two steps; but
        // the horizon counts it.
        let paced = fault.code == Code::BookRateLimited && fault.evidence.status.is_none();
        if fault.code != Code::OutOfTime && !paced {
            base.failures = base.failures.saturating_add(1);
        }
        let retry = retry::retry_delay_ms(base.failures.max(1), self.timers.retry_scale_percent, self.chance.number());
        let delay = match after_seconds {
            Some(0) => 0,
            Some(seconds) => {
                let waits_only = paced || fault.code == Code::WriteInDoubt;
                seconds.saturating_mul(1_000).max(if waits_only { 0 } else { retry })
            }
            None => retry,
        };
        let until = now.saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
        edges::waiting(&base, now, until, fault.code, &fault.message)
    }

    fn attempt_row(&self, run: &RunRow, ended: &EndOf, started_at: i64, now: i64, learnt: &Learnt) -> AttemptRow {
        AttemptRow {
            pk: keys::run(&run.run_id),
            sk: keys::attempt(run.attempt),
            v: ROW_VERSION,
            attempt: run.attempt,
            generation: run.generation,
            started_at,
            duration_ms: now.saturating_sub(started_at),
            outcome: ended.outcome.to_owned(),
            code: ended.next.code.clone(),
            message: ended.next.message.clone(),
            evidence: ended.evidence.as_ref().map(evidence_row),
            settings_version: learnt.settings_version,
            steps: learnt.steps.clone(),
            expires_at: now.saturating_add(edges::ATTEMPT_KEPT_MS).saturating_div(1_000),
        }
    }

    /// The one wide event of an attempt.
    fn log(&self, commit: &Commit, duration_ms: i64) {
        let run = &commit.run;
        let evidence = commit.attempt.evidence.clone().unwrap_or_default();
        let outcome = commit.attempt.outcome.as_str();
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    run_id = %run.run_id,
                    tenant = %run.tenant,
                    provider = %run.provider,
                    kind = %run.event,
                    attempt = commit.attempt.attempt,
                    generation = run.generation,
                    outcome,
                    state = %run.state,
                    code = run.code.as_deref().unwrap_or_default(),
                    status = evidence.status.unwrap_or_default(),
                    provider_code = evidence.provider_code.as_deref().unwrap_or_default(),
                    field = evidence.field.as_deref().unwrap_or_default(),
                    request_id = evidence.request_id.as_deref().unwrap_or_default(),
                    total_unverified = run.total_unverified,
                    duration_ms,
                    "attempt"
                )
            };
        }
        match outcome {
            "broken" => event!(error),
            "refused" | "held" => event!(warn),
            _ => event!(info),
        }
    }
}

/// A refusal that no rule recognised, to be counted: status, the provider's own code and field, and nothing else.
fn refusal_of(outcome: &Outcome, run: &RunRow, now: i64) -> Option<RefusalRow> {
    let Outcome::Fault(fault) = outcome else { return None };
    let status = fault.evidence.status.filter(|_| fault.unrecognised)?;
    let name = |text: Option<&String>| {
        let legal = |letter: &char| letter.is_ascii_alphanumeric() || "_.[]-/".contains(*letter);
        let text = text.map(String::as_str).unwrap_or_default();
        if text.chars().all(|letter| legal(&letter)) {
            text.chars().take(REFUSAL_NAME_MAX).collect()
        } else {
            String::new()
        }
    };
    let provider_code: String = name(fault.evidence.provider_code.as_ref());
    // The number of a line, or an id in a path, would make each refusal another one.
    let field =
        name(fault.evidence.field.as_ref()).chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>();
    Some(RefusalRow {
        pk: keys::REFUSALS.to_owned(),
        sk: keys::refusal(&run.provider, status, &provider_code, &field),
        v: ROW_VERSION,
        provider: run.provider.clone(),
        status,
        provider_code,
        field,
        count: 1,
        first_at: now,
        last_at: now,
        tenant: run.tenant.clone(),
        run_id: run.run_id.clone(),
        expires_at: now.saturating_add(REFUSAL_KEPT_MS).saturating_div(1_000),
    })
}

struct EndOf {
    next: RunRow,
    outcome: &'static str,
    evidence: Option<Evidence>,
}

/// The kind of document that an event is about.
#[must_use]
pub const fn kind_of(event: Event) -> Kind {
    match event {
        Event::InvoiceCreated => Kind::Invoice,
        Event::InvoicePaid => Kind::Payment,
        Event::CreditmemoCreated => Kind::CreditNote,
        Event::CustomerUpserted => Kind::Contact,
        Event::ProductUpserted => Kind::Product,
    }
}

/// Whether the shop's chip may have changed.
fn tells_shop(next: &RunRow) -> bool {
    matches!(edges::state(next), RunState::Succeeded | RunState::Skipped | RunState::DeadLettered)
}

/// Whether what the run is about has a total that can be compared.
fn has_total(run: &RunRow) -> bool {
    !matches!(Event::parse(&run.event), Some(Event::CustomerUpserted | Event::ProductUpserted))
}

/// Which order a run's document belongs to. A payment is its invoice's, whose own event says so.
fn order_document(run: &RunRow, order_id: u64, now: i64) -> Option<OrderDocumentRow> {
    let event =
        Event::parse(&run.event).filter(|event| matches!(event, Event::InvoiceCreated | Event::CreditmemoCreated))?;
    let expires_at = now.saturating_add(edges::RUN_KEPT_MS).saturating_div(1_000);
    Some(OrderDocumentRow::new(&run.tenant, order_id, event.entity().as_str(), run.magento_id, expires_at))
}

fn evidence_row(evidence: &Evidence) -> EvidenceRow {
    EvidenceRow {
        status: evidence.status,
        provider_code: evidence.provider_code.clone(),
        field: evidence.field.clone(),
        request_id: evidence.request_id.clone(),
        provider_text: evidence.provider_text.clone(),
    }
}
