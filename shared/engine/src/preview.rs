//! Previews and what people decide about them: what a run would send, whether it may, and what is in the book already by
//! a person's word.

use crate::edges;
use crate::executor::{Ended, Executor};
use crate::operate::{Operate, OperateError, invalid};
use crate::pace::Pace;
use crate::ports::{Expect, GatherRequest, RunPage, Settled, StateEntry, Written, XrefWrite};
use crate::post::{Learnt, Outcome, Post, Task, kind_of};
use crate::rehearsal::{Proven, Rehearsal, Request};
use crate::tenants::{Mode, context_of, mode_of, status_of};
use ledger_dialects::{Context, Dialect};
use ledger_domain::code::Code;
use ledger_domain::document::{Kind, Standing};
use ledger_domain::fault::{Action, Evidence, Fault};
use ledger_domain::identity::Event;
use ledger_domain::run::RunState;
use ledger_wire::message::{MESSAGE_VERSION, RunMessage};
use ledger_wire::rows::{BindingRow, PaceRow, ROW_VERSION, RunRow, TokenRow, XrefRow, keys};
use std::collections::BTreeMap;

/// Most previews of one page.
pub const PREVIEWS_MAX: usize = 100;
/// Longest reason of an operator's, in characters.
pub const REASON_MAX: usize = 500;
/// Longest order of an entry of the index by state in a page's mark, in bytes: a sort key's limit.
const MARK_ORDER_MAX_BYTES: usize = 1_024;
/// Longest reference that is told, in characters.
const REFERENCE_MAX: usize = 255;

/// A request as people are shown it: ids that the book would give out are placeholders, `{contact:17}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownRequest {
    /// Kind of document: `contact`, `invoice`, …
    pub kind: &'static str,
    /// Label of the step: `create_invoice`, …
    pub label: &'static str,
    /// True for a create, false for a change of what is there.
    pub creates: bool,
    /// True where the book has the document: it refuses the create, and the one that is there is taken.
    pub taken: bool,
    /// `POST`, `PUT`.
    pub method: &'static str,
    /// Path below the binding's base URL.
    pub path: String,
    /// Query parameters, not encoded.
    pub query: Vec<(String, String)>,
    /// The provider's own headers; the transport adds the token, `Accept`, `Content-Type` and `User-Agent`.
    pub headers: Vec<(String, String)>,
    /// JSON body.
    pub body: Option<String>,
}

/// What a run would send, derived anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The run.
    pub run: RunRow,
    /// `ready`: all is well. `nothing`: it is in the book already. `partly`: something is left out, as the code says.
    /// `left_out`: policy leaves it out. `refused`: it would be a dead letter. `later`: shop or book don't answer now.
    /// `held`: the connection has to be mended first.
    pub outcome: &'static str,
    /// The code, for all but `ready` and `nothing`.
    pub code: Option<Code>,
    /// One sentence about it.
    pub message: Option<String>,
    /// What the other side said about it.
    pub evidence: Option<Evidence>,
    /// What would be sent, in order; where it is refused, what would go before.
    pub requests: Vec<ShownRequest>,
    /// Totals of what would be created, proven to the penny.
    pub proven: Vec<Proven>,
    /// The settings version used; 0 where it did not come so far.
    pub settings_version: u32,
}

/// What an operator says of the document that a run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleRequest {
    /// The run.
    pub run_id: String,
    /// The document's id in the book, or its address there; none: it is looked for in the book, as a restored stack would.
    pub provider_id: Option<String>,
    /// Its human reference.
    pub reference: Option<String>,
}

/// What a settling came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRun {
    /// The run, succeeded.
    pub run: RunRow,
    /// True where the book was asked and has the document; false: by the operator's word alone.
    pub confirmed: bool,
}

/// What looking at a run and settling it need.
pub struct Preview<'a> {
    /// What operators do.
    pub operate: &'a Operate<'a>,
    /// What attempts are made with; its store is the same.
    pub post: &'a Post<'a>,
    /// When the function is stopped, in milliseconds.
    pub deadline: i64,
}

fn refused(code: &'static str, reason: impl Into<String>) -> OperateError {
    OperateError::Refused { code, reason: reason.into() }
}

fn changed() -> OperateError {
    OperateError::NotNow("the run changed meanwhile; look again".to_owned())
}

/// The rows by which a run's own document is known; the leading one first.
fn own_keys(run: &RunRow, event: Event) -> Vec<String> {
    let own = |kind: Kind| keys::document(&run.book, kind.as_str(), &run.tenant, run.magento_id);
    match event {
        Event::InvoiceCreated | Event::InvoicePaid | Event::CreditmemoCreated | Event::ProductUpserted => {
            vec![own(kind_of(event))]
        }
        // An attempt has worked out the currency where contacts have one.
        Event::CustomerUpserted => vec![
            run.xref.clone().unwrap_or_else(|| keys::contact_by_customer(&run.book, &run.tenant, run.magento_id, None)),
        ],
    }
}

impl Operate<'_> {
    /// Sets a binding's mode. Runs that are held for a preview stay held: they are released or discarded one by one or by a
    /// job. Runs that a pause holds go on by themselves. A preview can't be paused: it sends nothing, and whoever ends the
    /// pause would make it live unseen.
    ///
    /// # Errors
    /// `in_preview` for such a pause; that there is no such binding, that it is disconnected, or that it changed meanwhile.
    pub async fn set_mode(&self, tenant: &str, binding: &str, mode: Mode) -> Result<BindingRow, OperateError> {
        self.change_mode(tenant, binding, None, mode).await
    }

    /// [`set_mode`](Self::set_mode), where the binding is in the mode `from`, or in the wanted one already.
    ///
    /// # Errors
    /// As [`set_mode`](Self::set_mode); `mode_is_another` where it is in a third.
    pub async fn change_mode(
        &self,
        tenant: &str,
        binding: &str,
        from: Option<Mode>,
        mode: Mode,
    ) -> Result<BindingRow, OperateError> {
        let seen = self.binding(tenant, binding).await?;
        let is = mode_of(&seen);
        if is == mode {
            return Ok(seen);
        }
        if from.is_some_and(|from| from != is) {
            return Err(refused("mode_is_another", format!("the binding is {}", is.as_str())));
        }
        if is == Mode::Preview && mode == Mode::Paused {
            return Err(refused("in_preview", "the binding is in preview, where nothing is sent"));
        }
        let status = status_of(&seen);
        if status == "disconnected" {
            return Err(OperateError::NotNow(format!("the binding is {status}")));
        }
        let next = BindingRow { mode: mode.stored().to_owned(), status: status.to_owned(), ..seen.clone() };
        if self.store.replace_binding(&seen, &next).await? {
            Ok(next)
        } else {
            Err(OperateError::NotNow("the binding changed meanwhile; look again".to_owned()))
        }
    }

    /// Runs that are held for a preview, oldest first within a binding; of one binding where one is named.
    ///
    /// # Errors
    /// A mark that is none of a page, or as the store.
    pub async fn previews(
        &self,
        binding: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<RunPage, OperateError> {
        let prefix = binding.map(|binding| format!("{binding}#")).unwrap_or_default();
        let after = match after {
            None => None,
            Some(mark) => Some(
                entry_of(mark)
                    .filter(|entry| entry.order.starts_with(&prefix))
                    .ok_or_else(|| invalid("after", "not the mark of a page"))?,
            ),
        };
        let limit = limit.clamp(1, PREVIEWS_MAX);
        let entries = self.store.by_state(&edges::preview_key(), &prefix, after.as_ref(), limit).await?;
        let mut page = RunPage::default();
        for entry in &entries {
            if let Some(run) = self.store.run(&entry.pk).await?
                && is_previewed(&run)
            {
                page.runs.push(run);
            }
        }
        page.next = entries.last().filter(|_| entries.len() == limit).map(mark_of);
        Ok(page)
    }

    /// Lets a previewed run go on: it is sent, if its binding is live.
    ///
    /// # Errors
    /// `not_previewed`, `binding_not_live`, that there is no such run, or that it changed meanwhile.
    pub async fn release(&self, run_id: &str) -> Result<RunRow, OperateError> {
        let seen = self.run_row(run_id).await?;
        if !is_previewed(&seen) {
            return Err(refused("not_previewed", "the run is not held for a preview"));
        }
        let binding = self.binding(&seen.tenant, &seen.binding).await?;
        if mode_of(&binding) != Mode::Live {
            return Err(refused("binding_not_live", "the binding is not live: set it live first"));
        }
        self.retry(run_id).await
    }

    /// Gives a run up: it ends `skipped`, `discarded`. What is in the book stays there, and doubt about a document stays
    /// noted with the document. A delivery does not open the run again; `retry` does.
    ///
    /// # Errors
    /// `under_way` where it is queued or running, `finished` where it has ended otherwise; that there is no such run, or
    /// that it changed meanwhile.
    pub async fn discard(&self, run_id: &str, reason: &str) -> Result<RunRow, OperateError> {
        let seen = self.run_row(run_id).await?;
        let reason = reason.trim();
        if reason.chars().count() > REASON_MAX {
            return Err(invalid("reason", format!("longer than {REASON_MAX} characters")));
        }
        match edges::state(&seen) {
            RunState::Held | RunState::Waiting | RunState::DeadLettered => {}
            RunState::Queued | RunState::Running => return Err(refused("under_way", "the run is under way")),
            RunState::Skipped if seen.code.as_deref() == Some(Code::Discarded.as_str()) => return Ok(seen),
            RunState::Skipped | RunState::Succeeded => {
                return Err(refused("finished", "the run has ended; there is nothing to give up"));
            }
        }
        let now = self.clock.now_ms();
        let next = edges::discarded(&seen, now, reason);
        let want = edges::push_want(&next, now);
        if !self.store.replace_run(&seen, &next, Some(&want)).await? {
            return Err(changed());
        }
        self.queue.send(&edges::push_message_for(&want, &next)).await?;
        Ok(next)
    }

    /// The rows that tie what the shop knows by an id to the book: those of all kinds that can have that id.
    ///
    /// # Errors
    /// That there is no such binding, or that it has no book.
    pub async fn xrefs_of(
        &self,
        tenant: &str,
        binding: &str,
        kind: Kind,
        magento_id: u64,
    ) -> Result<Vec<XrefRow>, OperateError> {
        let binding = self.binding(tenant, binding).await?;
        if binding.book.is_empty() {
            return Err(refused("binding_pending", "the binding has no book yet"));
        }
        let wanted = rows_of(&binding, kind, magento_id);
        let mut found = self.store.xrefs(&wanted).await?;
        let guards: Vec<String> = found
            .values()
            .flat_map(|row| {
                let number = row.number.as_ref().map(|number| keys::number(&row.book, &row.kind, number));
                let reverse = row.provider_id.as_ref().map(|id| keys::reverse(&row.book, &row.kind, id));
                number.into_iter().chain(reverse)
            })
            .collect();
        found.extend(self.store.xrefs(&guards).await?);
        Ok(found.into_values().collect())
    }

    /// Forgets which document of the book a thing of the shop is: it is looked for before anything is created. A row in
    /// doubt stays in doubt, because it is looked for anyway.
    ///
    /// # Errors
    /// As [`Operate::xrefs_of`]; that there is no such row, or that it changed meanwhile.
    pub async fn reset_xrefs(
        &self,
        tenant: &str,
        binding: &str,
        kind: Kind,
        magento_id: u64,
    ) -> Result<Vec<XrefRow>, OperateError> {
        let binding = self.binding(tenant, binding).await?;
        let found = self.store.xrefs(&rows_of(&binding, kind, magento_id)).await?;
        let now = self.clock.now_ms();
        let mut writes = Vec::new();
        for row in found.into_values().filter(|row| row.kind == kind.as_str() && !row.doubtful) {
            let expect = Expect::Revision(row.revision);
            let next = XrefRow {
                state: "find_first".to_owned(),
                provider_id: None,
                source_hash: None,
                adopted: false,
                told: false,
                epoch: row.epoch.saturating_add(1),
                revision: row.revision.saturating_add(1),
                updated_at: now,
                ..row
            };
            writes.push(XrefWrite { row: next, expect });
        }
        if writes.is_empty() {
            return Err(OperateError::NotFound("cross-reference that is not in doubt"));
        }
        match self.store.write_xrefs(&writes).await? {
            None => Ok(writes.into_iter().map(|write| write.row).collect()),
            Some(_) => Err(OperateError::NotNow("a cross-reference changed meanwhile; look again".to_owned())),
        }
    }
}

/// Keys of the rows that a kind and an id can have. Contacts may have a currency in their key: those of the settings are
/// not all, so the usual three are looked at.
fn rows_of(binding: &BindingRow, kind: Kind, magento_id: u64) -> Vec<String> {
    const CURRENCIES: [&str; 4] = ["GBP", "EUR", "USD", "CAD"];
    let (book, tenant) = (binding.book.as_str(), binding.tenant.as_str());
    let own = |kind: Kind| keys::document(book, kind.as_str(), tenant, magento_id);
    match kind {
        Kind::Contact => {
            let by = |currency: Option<&str>| keys::contact_by_customer(book, tenant, magento_id, currency);
            let base = binding.settings.book_currency.as_str();
            let mut rows: Vec<String> = std::iter::once(by(None)).chain(CURRENCIES.map(|it| by(Some(it)))).collect();
            if !base.is_empty() && !CURRENCIES.contains(&base) {
                rows.push(by(Some(base)));
            }
            rows
        }
        Kind::Invoice => vec![own(Kind::Invoice), own(Kind::Payment)],
        Kind::CreditNote => vec![own(Kind::CreditNote), own(Kind::Allocation), own(Kind::Refund)],
        Kind::Payment | Kind::Allocation | Kind::Refund | Kind::Product => vec![own(kind)],
        // Each run has one of its own.
        Kind::StockMovement => Vec::new(),
    }
}

/// True for a run that is held for a preview.
#[must_use]
pub fn is_previewed(run: &RunRow) -> bool {
    edges::state(run) == RunState::Held && run.code.as_deref() == Some(Code::Preview.as_str())
}

/// Where a page of the index by state ended, as text.
pub(crate) fn mark_of(entry: &StateEntry) -> String {
    format!("{}|{}", entry.pk, entry.order)
}

/// What such a text says; `None` where no page ended there: the store refuses keys that can't be.
pub(crate) fn entry_of(mark: &str) -> Option<StateEntry> {
    let (pk, order) = mark.split_once('|')?;
    if keys::run_of(pk).is_none() || order.is_empty() || order.len() > MARK_ORDER_MAX_BYTES {
        return None;
    }
    Some(StateEntry { pk: pk.to_owned(), code: String::new(), owner: String::new(), order: order.to_owned() })
}

impl Preview<'_> {
    /// What a run would send now, were it attempted alone: derived anew, with reads of shop and book and nothing else. For
    /// what is in the book already it shows nothing.
    ///
    /// # Errors
    /// That there is no such run, or that it has no book.
    pub async fn requests_of(&self, run_id: &str) -> Result<Shown, OperateError> {
        let run = self.operate.run_row(run_id).await?;
        let (outcome, learnt) = self.rehearsed(&run, false).await?;
        let rehearsal = learnt.rehearsal.unwrap_or_default();
        let nothing = rehearsal.requests.is_empty();
        let told = |fault: Fault| (Some(fault.code), Some(fault.message), Some(fault.evidence));
        let coded = |code: Code| (Some(code), Some(code.remedy().to_owned()), None);
        let (outcome, (code, message, evidence)) = match outcome {
            Outcome::Succeeded { left_open: Some(code), .. } => ("partly", coded(code)),
            Outcome::Succeeded { left_open: None, .. } if nothing => ("nothing", (None, None, None)),
            Outcome::Succeeded { left_open: None, .. } => ("ready", (None, None, None)),
            Outcome::Skipped(code) if nothing => ("left_out", coded(code)),
            Outcome::Skipped(code) => ("partly", coded(code)),
            Outcome::Held(code) => ("held", coded(code)),
            Outcome::Fault(fault) => match fault.action {
                Action::Refused | Action::Broken => ("refused", told(fault)),
                Action::Reconnect => ("held", told(fault)),
                Action::Later { .. } | Action::Doubtful => ("later", told(fault)),
            },
            Outcome::Lost => return Err(changed()),
        };
        Ok(Shown {
            run,
            outcome,
            code,
            message,
            evidence,
            requests: rehearsal.requests.iter().map(|request| shown(&rehearsal, request)).collect(),
            proven: rehearsal.proven,
            settings_version: learnt.settings_version,
        })
    }

    async fn rehearsed(&self, run: &RunRow, looks_first: bool) -> Result<(Outcome, Learnt), OperateError> {
        if run.book.is_empty() {
            return Err(refused("binding_pending", "the run's binding has no book yet"));
        }
        let message = RunMessage {
            v: MESSAGE_VERSION,
            run_id: run.run_id.clone(),
            tenant: run.tenant.clone(),
            binding: run.binding.clone(),
            event: run.event.clone(),
            magento_id: run.magento_id,
            generation: run.generation,
            dispatch: run.dispatch,
            backfilled: edges::is_backfilled(run),
        };
        let mut learnt = Learnt::looking(looks_first);
        let task = Task {
            message: &message,
            book: &run.book,
            claim: None,
            started_at: self.post.clock.now_ms(),
            deadline: self.deadline,
        };
        let outcome = match self.post.work(&task, &mut learnt).await {
            Ok(outcome) | Err(outcome) => outcome,
        };
        Ok((outcome, learnt))
    }

    /// An operator says that what a run is about is in the book: the cross-reference is linked and the run succeeds,
    /// `settled_by_hand`. An invoice or a credit note is read in the book first; other kinds are believed and marked so.
    /// Without an id the document is looked for.
    ///
    /// # Errors
    /// `under_way`; `already_linked` to another document; `not_in_book` where the book does not have it, or it is not
    /// found; `entity_xref_reverse_collision` where the document is another's; the code of a fault where the book can't be
    /// asked; that there is no such run, or that it changed meanwhile.
    pub async fn settle(&self, request: &SettleRequest) -> Result<SettledRun, OperateError> {
        let seen = self.operate.run_row(&request.run_id).await?;
        let reference = request.reference.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if reference.is_some_and(|text| text.chars().count() > REFERENCE_MAX) {
            return Err(invalid("reference", format!("longer than {REFERENCE_MAX} characters")));
        }
        if matches!(edges::state(&seen), RunState::Queued | RunState::Running) {
            return Err(refused("under_way", "the run is under way"));
        }
        if seen.book.is_empty() {
            return Err(refused("binding_pending", "the run's binding has no book yet"));
        }
        let event =
            Event::parse(&seen.event).ok_or_else(|| invalid("run", "its event is none that this build knows"))?;
        let kind = kind_of(event);
        let binding = self.operate.binding(&seen.tenant, &seen.binding).await?;
        let dialect = ledger_dialects::dialect(&binding.dialect)
            .ok_or_else(|| invalid("run", "its binding's dialect is none that Ledger speaks"))?;
        let own = own_keys(&seen, event);
        let gathered = self.gathered(&seen, own.clone()).await?;
        let (provider_id, confirmed, found_reference) = match request.provider_id.as_deref() {
            Some(told) => {
                let id = dialect
                    .provider_id(kind, told, &context_of(&binding))
                    .ok_or_else(|| invalid("provider_id", "not an id or an address of such a document in this book"))?;
                let confirmed = self.confirm(&seen, &binding, dialect, gathered.token, kind, &id).await?;
                (id, confirmed, None)
            }
            None => {
                let (outcome, learnt) = self.rehearsed(&seen, true).await?;
                let made = learnt.rehearsal.iter().flat_map(|it| &it.requests).any(|it| it.kind == kind && it.creates);
                match outcome {
                    Outcome::Succeeded { posted, .. } if !made => (posted.provider_id, true, posted.reference),
                    Outcome::Fault(fault) => return Err(refused(fault.code.as_str(), fault.message)),
                    Outcome::Succeeded { .. } | Outcome::Skipped(_) | Outcome::Held(_) | Outcome::Lost => {
                        return Err(refused("not_in_book", "no such document was found in the book"));
                    }
                }
            }
        };
        let reference = reference.map(str::to_owned).or(found_reference);
        let now = self.post.clock.now_ms();
        let mut writes = Vec::new();
        for key in &own {
            let there = gathered.xrefs.get(key);
            if let Some(row) = there.filter(|row| row.state == "linked") {
                if row.provider_id.as_ref() != Some(&provider_id) {
                    return Err(refused("already_linked", "it is linked to another document of the book"));
                }
                continue;
            }
            let empty = || empty_row(&binding, key, kind);
            let row = XrefRow {
                state: "linked".to_owned(),
                provider_id: Some(provider_id.clone()),
                reference: reference.clone(),
                doubtful: false,
                adopted: !kind.is_money(),
                told: !confirmed,
                run_id: seen.run_id.clone(),
                revision: there.map_or(1, |row| row.revision.saturating_add(1)),
                updated_at: now,
                ..there.cloned().unwrap_or_else(empty)
            };
            let expect = there.map_or(Expect::Absent, |row| Expect::Revision(row.revision));
            writes.push(XrefWrite { row, expect });
        }
        let guard =
            own.first().filter(|_| kind.is_money()).map(|owner| reverse_of(&binding, kind, &provider_id, owner, now));
        let guard_key = guard.as_ref().map(|guard| guard.row.pk.clone());
        writes.extend(guard);
        let mut base = seen.clone();
        base.xref = base.xref.or_else(|| own.first().filter(|_| event != Event::InvoicePaid).cloned());
        let next = edges::settled_by_hand(&base, now, &provider_id, reference.as_deref());
        let push = edges::push_want(&next, now);
        let message = edges::push_message_for(&push, &next);
        let settled = Settled { seen, next: next.clone(), xrefs: writes, push };
        match self.operate.store.settle(&settled).await? {
            Written::Done => {}
            Written::Lost => return Err(changed()),
            Written::Changed(key) if Some(&key) == guard_key.as_ref() => {
                return Err(refused(
                    Code::ReverseCollision.as_str(),
                    "the document in the book is linked to another document of the shop",
                ));
            }
            Written::Changed(_) => return Err(changed()),
        }
        self.operate.queue.send(&message).await?;
        Ok(SettledRun { run: next, confirmed })
    }

    async fn gathered(&self, run: &RunRow, xrefs: Vec<String>) -> Result<crate::ports::Gathered, OperateError> {
        let request = GatherRequest {
            run_id: run.run_id.clone(),
            tenant: run.tenant.clone(),
            binding: run.binding.clone(),
            xrefs,
            ..GatherRequest::default()
        };
        Ok(self.post.store.gather(&request).await?)
    }

    /// Whether the book has a document; false for kinds that can't be read by their id.
    async fn confirm(
        &self,
        run: &RunRow,
        binding: &BindingRow,
        dialect: &'static dyn Dialect,
        token: Option<TokenRow>,
        kind: Kind,
        provider_id: &str,
    ) -> Result<bool, OperateError> {
        if !matches!(kind, Kind::Invoice | Kind::CreditNote) {
            return Ok(false);
        }
        let mut executor = Executor {
            post: self.post,
            dialect,
            context: Context { country: binding.settings.book_country.clone(), ..context_of(binding) },
            binding: binding.binding.clone(),
            token_version: token.as_ref().map(|token| token.version),
            sealed_token: token,
            token: None,
            renewed: false,
            unrenewed: None,
            run_id: run.run_id.clone(),
            tenant: run.tenant.clone(),
            book: run.book.clone(),
            claim: String::new(),
            attempt: run.attempt,
            settings_version: binding.settings_version,
            started_at: self.post.clock.now_ms(),
            deadline: self.deadline,
            xrefs: BTreeMap::new(),
            pending: Vec::new(),
            steps: Vec::new(),
            in_doubt: false,
            indexed: false,
            answered: None,
            pace: Pace::read(&PaceRow::default(), dialect.profile().calls_per_minute, self.post.clock.now_ms()),
            rehearsal: Some(Rehearsal::default()),
        };
        let not_there = || refused("not_in_book", "the book does not have the document, or it was withdrawn there");
        match executor.balance(kind, provider_id).await {
            Ok(balance) if balance.standing == Standing::Withdrawn => Err(not_there()),
            Ok(_) => Ok(true),
            Err(Ended::Fault(fault)) if fault.action == Action::Refused => Err(not_there()),
            Err(Ended::Fault(fault)) => Err(refused(fault.code.as_str(), fault.message)),
            Err(Ended::Held(code)) => Err(refused(code.as_str(), code.remedy())),
            Err(Ended::Lost) => Err(changed()),
        }
    }
}

pub(crate) fn empty_row(binding: &BindingRow, key: &str, kind: Kind) -> XrefRow {
    XrefRow {
        pk: key.to_owned(),
        v: ROW_VERSION,
        kind: kind.as_str().to_owned(),
        book: binding.book.clone(),
        tenant: binding.tenant.clone(),
        epoch: 1,
        settings_version: binding.settings_version,
        ..XrefRow::default()
    }
}

/// The guard by which a document of the book belongs to one document of ours.
pub(crate) fn reverse_of(binding: &BindingRow, kind: Kind, provider_id: &str, owner: &str, now: i64) -> XrefWrite {
    let row = XrefRow {
        state: "linked".to_owned(),
        kind: "reverse".to_owned(),
        revision: 1,
        document: Some(owner.to_owned()),
        updated_at: now,
        epoch: 0,
        ..empty_row(binding, &keys::reverse(&binding.book, kind.as_str(), provider_id), kind)
    };
    XrefWrite { row, expect: Expect::AbsentOrOf(owner.to_owned()) }
}

fn shown(rehearsal: &Rehearsal, request: &Request) -> ShownRequest {
    let call = &request.call;
    ShownRequest {
        kind: request.kind.as_str(),
        label: request.label,
        creates: request.creates,
        taken: request.taken,
        method: call.method.as_str(),
        path: rehearsal.shown(&call.path),
        query: call.query.iter().map(|(name, value)| (name.clone(), rehearsal.shown(value))).collect(),
        headers: call.headers.iter().map(|(name, value)| ((*name).to_owned(), rehearsal.shown(value))).collect(),
        body: call.body.as_deref().map(|body| rehearsal.shown(body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_one_that_a_page_could_end_with() {
        let run = keys::run("bfb6a0a5-62c1-8b39-89bc-0108904e35fa");
        let check =
            |what: &str, mark: &str, good: bool| assert_eq!(entry_of(mark).is_some(), good, "{what}: {mark:.80}");
        check("as it was made", &mark_of(&entry(&run, "b-1#0000000000001#r")), true);
        check("empty", "", false);
        check("no order", &format!("{run}|"), false);
        check("no run", "|b-1#1", false);
        check("another row", "run#seven|b-1#1", false);
        check("a key that is too long", &format!("{}|b-1#1", keys::run(&"x".repeat(3_000))), false);
        check("an order that is too long", &format!("{run}|{}", "x".repeat(1_025)), false);
    }

    fn entry(pk: &str, order: &str) -> StateEntry {
        StateEntry { pk: pk.to_owned(), code: String::new(), owner: String::new(), order: order.to_owned() }
    }
}
