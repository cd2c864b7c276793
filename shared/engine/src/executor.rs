//! The executor: brings one document into a book exactly once.
//!
//! The dialect says what to do; this module keeps the law. Before a creating call the document's row is reserved,
//! doubtful from the start. Doubt ends by a definite answer to the single send of the attempt that reserved it, by a
//! `find` that adopts the document, or by an absence that is still one after the dialect's settle time.

use crate::ports::{BookCall, Expect, Progress, TransportFault, Written, XrefWrite};
use crate::post::Post;
use ledger_dialects::{Call, Context, Dialect, Labelled, Reply, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Document, Kind, Posted};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::identity::fingerprint;
use ledger_wire::rows::{ROW_VERSION, StepRow, XrefRow, keys};
use secrecy::SecretString;
use std::collections::BTreeMap;

/// How long a book may take to answer a write, in milliseconds.
pub const WRITE_TIMEOUT_MS: u64 = 20_000;
/// How long a book may take to answer a read, in milliseconds.
pub const READ_TIMEOUT_MS: u64 = 15_000;
/// What must be left of the deadline beyond a call's timeout for the call to begin, in milliseconds.
pub const CALL_MARGIN_MS: i64 = 10_000;
/// Most steps of one document in one attempt.
const STEPS_MAX: usize = 40;
/// Most creating calls of one document in one attempt: a refused one may be followed by a corrected one.
const CREATES_MAX: u32 = 3;

/// What ends an attempt before its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A fault.
    Fault(Fault),
    /// Somebody else has the run: write nothing, say nothing.
    Lost,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A document that shall be in the book.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The document.
    pub document: Document,
    /// Keys of its own rows, the leading one first.
    pub keys: Vec<String>,
    /// Key of the row that guards its number.
    pub number_key: Option<String>,
    /// True where one document of the book belongs to one of ours only.
    pub one_to_one: bool,
    /// Look before creating, even though nothing is reserved: the document is older than our memory.
    pub find_first: bool,
    /// The same document under the number that a previous service gave it.
    pub previous: Option<Document>,
}

/// What the answer to a creating call means for the reservation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    NotApplied,
    InDoubt,
    Applied,
}

/// One attempt's dealings with a book.
pub struct Executor<'a> {
    /// Ports and timers.
    pub post: &'a Post<'a>,
    /// The binding's dialect.
    pub dialect: &'static dyn Dialect,
    /// What the dialect needs of the binding.
    pub context: Context,
    /// The access token.
    pub token: SecretString,
    /// The run.
    pub run_id: String,
    /// Its tenant.
    pub tenant: String,
    /// The book.
    pub book: String,
    /// The claim that every write names.
    pub claim: String,
    /// The attempt's number.
    pub attempt: u32,
    /// Settings version in use.
    pub settings_version: u32,
    /// When the attempt began.
    pub started_at: i64,
    /// When the function is stopped.
    pub deadline: i64,
    /// Rows of `entity_xref` as last known.
    pub xrefs: BTreeMap<String, XrefRow>,
    /// Writes that go with the next reservation or with the outcome.
    pub pending: Vec<XrefWrite>,
    /// The attempt's journal.
    pub steps: Vec<StepRow>,
    /// True once a reservation is left in doubt.
    pub in_doubt: bool,
}

impl Executor<'_> {
    /// Brings a document into the book, or finds that it is there.
    ///
    /// # Errors
    /// What ends the attempt. Rows that tell how far it came are pending.
    pub async fn obtain(&mut self, wanted: &Wanted) -> Result<Posted, Ended> {
        let there = self.row_of(wanted);
        let start = match there.as_ref().map(|row| row.state.as_str()) {
            Some("linked") => {
                let row = there.unwrap_or_default();
                let posted = posted(&row)?;
                self.alias(wanted, &row);
                return Ok(posted);
            }
            // Its total is read anew: somebody may have corrected it in the book.
            Some("created") => Start::Linked(Posted { total: None, ..posted(&there.clone().unwrap_or_default())? }),
            // After a restore the row may be older than what was posted since.
            Some("reserved") if !wanted.find_first && there.as_ref().is_some_and(|row| !row.doubtful) => Start::Fresh,
            Some(_) => self.resolve(wanted, there.as_ref()).await?,
            None if wanted.find_first => self.resolve(wanted, None).await?,
            None => Start::Fresh,
        };
        // A total that was read once and was wrong stays wrong until another one is read.
        let known_total = there.as_ref().filter(|row| row.state == "created").and_then(|row| row.total.clone());
        let epoch = there.as_ref().map_or(1, |row| if row.doubtful { row.epoch.saturating_add(1) } else { row.epoch });
        self.carry_out(wanted, start, epoch, known_total.as_deref()).await
    }

    /// The row that speaks for a document: the leading key's if it is linked, else the one that is furthest on.
    fn row_of(&self, wanted: &Wanted) -> Option<XrefRow> {
        let rank = |row: &XrefRow| match row.state.as_str() {
            "linked" => 4,
            "created" => 3,
            // Of two reservations the one in doubt speaks.
            "reserved" if row.doubtful => 2,
            "reserved" => 1,
            _ => 0,
        };
        let mut best: Option<&XrefRow> = None;
        for row in wanted.keys.iter().filter_map(|key| self.xrefs.get(key)) {
            if best.is_none_or(|best| rank(row) > rank(best)) {
                best = Some(row);
            }
        }
        best.cloned()
    }

    /// Ends doubt: adopts what is found, or believes the absence once the settle time is over.
    async fn resolve(&mut self, wanted: &Wanted, there: Option<&XrefRow>) -> Result<Start, Ended> {
        self.in_doubt = there.is_some_and(|row| row.doubtful);
        let mut found = self.find(&wanted.document).await?;
        if found.is_none()
            && wanted.find_first
            && let Some(previous) = &wanted.previous
        {
            found = self.find(previous).await?;
        }
        if let Some(posted) = found {
            self.in_doubt = false;
            return Ok(Start::Linked(posted));
        }
        if let Some(row) = there.filter(|row| row.doubtful) {
            let settle = self
                .dialect
                .profile()
                .settle_seconds
                .saturating_mul(10)
                .saturating_mul(self.post.timers.settle_scale_percent);
            let settled_at =
                row.last_sent_at.unwrap_or(row.updated_at).saturating_add(i64::try_from(settle).unwrap_or(i64::MAX));
            let now = self.post.clock.now_ms();
            if now < settled_at {
                let wait = u64::try_from(settled_at.saturating_sub(now)).unwrap_or_default().div_ceil(1_000);
                return Err(Fault::later(
                    Code::WriteInDoubt,
                    Some(wait),
                    format!("the {} may still arrive in the book; it is looked for again later", row.kind),
                )
                .into());
            }
        }
        self.in_doubt = false;
        Ok(Start::Fresh)
    }

    async fn find(&mut self, document: &Document) -> Result<Option<Posted>, Ended> {
        let mut seen = Vec::new();
        for _ in 0..STEPS_MAX {
            match self.dialect.find(document, &self.context, &seen)? {
                Step::Read(label, call) => seen.push(Labelled { label, reply: self.read(label, &call).await? }),
                Step::Done(found) => return Ok(found),
                Step::Create(label, _) | Step::Change(label, _) => {
                    return Err(Fault::broken(Code::Unexpected, format!("looking asked to write: {label}")).into());
                }
            }
        }
        Err(Fault::broken(Code::Unexpected, "looking took too many steps").into())
    }

    async fn carry_out(
        &mut self,
        wanted: &Wanted,
        start: Start,
        mut epoch: u32,
        known_total: Option<&str>,
    ) -> Result<Posted, Ended> {
        let mut seen: Vec<Labelled> = Vec::new();
        let mut verdict: Option<Verdict> = None;
        let mut creates = 0_u32;
        for _ in 0..STEPS_MAX {
            let step = match self.dialect.post(&wanted.document, &self.context, &start, &seen) {
                Ok(step) => step,
                Err(fault) => return Err(self.faulted(wanted, epoch, verdict, &seen, fault)),
            };
            match step {
                Step::Done(posted) => {
                    self.in_doubt = false;
                    return self.arrived(wanted, posted, epoch, known_total);
                }
                Step::Read(label, call) => match self.read(label, &call).await {
                    Ok(reply) => seen.push(Labelled { label, reply }),
                    Err(Ended::Fault(fault)) => return Err(self.faulted(wanted, epoch, verdict, &seen, fault)),
                    Err(Ended::Lost) => return Err(Ended::Lost),
                },
                Step::Change(label, call) => match self.change(label, &call).await {
                    Ok(reply) => seen.push(Labelled { label, reply }),
                    Err(fault) => return Err(self.faulted(wanted, epoch, verdict, &seen, fault)),
                },
                Step::Create(label, call) => {
                    let repeats = verdict.is_some_and(|verdict| verdict != Verdict::NotApplied);
                    if repeats || creates >= CREATES_MAX || matches!(start, Start::Linked(_)) {
                        let fault = Fault::broken(Code::Unexpected, format!("a second {label} was asked for"));
                        return Err(self.faulted(wanted, epoch, verdict, &seen, fault));
                    }
                    if creates > 0 {
                        epoch = epoch.saturating_add(1);
                    }
                    creates = creates.saturating_add(1);
                    self.enough_time_to_write()?;
                    self.reserve(wanted, epoch, &call).await?;
                    self.in_doubt = true;
                    match self.send(label, &call, true, WRITE_TIMEOUT_MS).await {
                        Ok(reply) => {
                            verdict = Some(self.verdict(&reply));
                            seen.push(Labelled { label, reply });
                        }
                        Err(TransportFault::NoAnswer(_)) => {
                            let fault = Fault::doubtful(format!("no answer to {label}"));
                            return Err(self.faulted(wanted, epoch, Some(Verdict::InDoubt), &seen, fault));
                        }
                        Err(fault @ (TransportFault::NotSent(_) | TransportFault::AddressRefused(_))) => {
                            return Err(self.faulted(wanted, epoch, Some(Verdict::NotApplied), &seen, unsent(&fault)));
                        }
                    }
                }
            }
        }
        let fault = Fault::broken(Code::Unexpected, "posting took too many steps");
        Err(self.faulted(wanted, epoch, verdict, &seen, fault))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        if (200..300).contains(&reply.status) {
            return Verdict::Applied;
        }
        match self.dialect.classify(reply, true).action {
            Action::Later { .. } | Action::Refused | Action::Reconnect => Verdict::NotApplied,
            Action::Doubtful | Action::Broken => Verdict::InDoubt,
        }
    }

    /// Leaves the document's rows so that the next attempt knows what this one learnt.
    fn faulted(
        &mut self,
        wanted: &Wanted,
        epoch: u32,
        verdict: Option<Verdict>,
        seen: &[Labelled],
        fault: Fault,
    ) -> Ended {
        match verdict {
            None | Some(Verdict::InDoubt) => {}
            Some(Verdict::NotApplied) => {
                // The single send of this epoch got a definite answer, and no older doubt was left when it was made.
                self.in_doubt = false;
                self.stage_own(wanted, |row| {
                    row.state = "reserved".to_owned();
                    row.doubtful = false;
                    row.epoch = epoch.saturating_add(1);
                });
            }
            Some(Verdict::Applied) => {
                let created = seen.iter().find_map(|it| self.dialect.created(&wanted.document, &self.context, it));
                if let Some(posted) = created {
                    self.in_doubt = false;
                    self.stage_posted(wanted, &posted, "created", epoch);
                }
            }
        }
        Ended::Fault(fault)
    }

    /// The document is in the book: prove its total and link it.
    fn arrived(
        &mut self,
        wanted: &Wanted,
        mut posted: Posted,
        epoch: u32,
        known_total: Option<&str>,
    ) -> Result<Posted, Ended> {
        if posted.total.is_none() {
            posted.total = known_total.and_then(|text| ledger_domain::amount::Amount::parse(text).ok());
        }
        if let Some(expected) = wanted.document.total()
            && let Some(total) = posted.total
            && total != expected
        {
            self.stage_posted(wanted, &posted, "created", epoch);
            return Err(
                Fault::refused(Code::TotalMismatch, format!("the book shows {total}, the shop {expected}")).into()
            );
        }
        self.stage_posted(wanted, &posted, "linked", epoch);
        Ok(posted)
    }

    fn stage_posted(&mut self, wanted: &Wanted, posted: &Posted, state: &str, epoch: u32) {
        let kind = wanted.document.kind();
        if let Some(step) = self.steps.last_mut() {
            step.provider_id = Some(posted.provider_id.clone());
            step.total = posted.total.map(|total| total.to_string());
        }
        self.stage_own(wanted, |row| {
            row.state = state.to_owned();
            row.doubtful = false;
            row.epoch = epoch;
            row.provider_id = Some(posted.provider_id.clone());
            row.reference.clone_from(&posted.reference);
            row.total = posted.total.map(|total| total.to_string());
        });
        if wanted.one_to_one
            && let Some(owner) = wanted.keys.first()
        {
            let key = keys::reverse(&self.book, kind.as_str(), &posted.provider_id);
            self.stage_guard(&key, "reverse", owner);
        }
    }

    /// The book does not know a linked contact any more: it is looked for, or made, by the next attempt.
    pub fn forget(&mut self, wanted: &Wanted) {
        for key in &wanted.keys {
            if let Some(mut row) = self.current(key) {
                "find_first".clone_into(&mut row.state);
                row.provider_id = None;
                row.doubtful = false;
                self.stage(row);
            }
        }
    }

    /// A second key of a linked contact that was not known yet.
    fn alias(&mut self, wanted: &Wanted, linked: &XrefRow) {
        let missing: Vec<String> = wanted.keys.iter().filter(|key| !self.xrefs.contains_key(*key)).cloned().collect();
        for key in missing {
            let row = XrefRow { pk: key, revision: 0, ..linked.clone() };
            self.stage(row);
        }
    }

    /// Writes the reservation, with everything that was pending, before anything is sent.
    async fn reserve(&mut self, wanted: &Wanted, epoch: u32, call: &Call) -> Result<(), Ended> {
        let now = self.post.clock.now_ms();
        let hash = hash_of(call);
        let number = wanted.document.number().map(str::to_owned);
        let contact = wanted.document.contact().map(str::to_owned);
        self.stage_own(wanted, |row| {
            row.state = "reserved".to_owned();
            row.doubtful = true;
            row.epoch = epoch;
            row.first_sent_at = Some(now);
            row.last_sent_at = Some(now);
            row.bytes_hash = Some(hash.clone());
            row.number.clone_from(&number);
            row.contact.clone_from(&contact);
        });
        if let (Some(key), Some(owner)) = (&wanted.number_key, wanted.keys.first()) {
            self.stage_guard(key, "number", owner);
        }
        let progress = Progress {
            run_id: self.run_id.clone(),
            claim: self.claim.clone(),
            xrefs: std::mem::take(&mut self.pending),
        };
        match self.post.store.progress(&progress).await {
            Ok(Written::Done) => {
                for write in progress.xrefs {
                    self.xrefs.insert(write.row.pk.clone(), write.row);
                }
                Ok(())
            }
            Ok(Written::Lost) => Err(Ended::Lost),
            Ok(Written::Changed(key)) if wanted.number_key.as_ref() == Some(&key) => Err(Fault::refused(
                Code::ReferenceTaken,
                "another document that goes to this book has the number; give each shop of a book a prefix of its own",
            )
            .into()),
            Ok(Written::Changed(_)) => {
                Err(Fault::later(Code::BookBusy, None, "another attempt wrote the document's cross-reference").into())
            }
            Err(fault) => Err(Fault::later(Code::StoreUnavailable, None, fault.to_string()).into()),
        }
    }

    fn stage_own(&mut self, wanted: &Wanted, change: impl Fn(&mut XrefRow)) {
        for key in &wanted.keys {
            let mut row = self.current(key).unwrap_or_else(|| self.empty(key, wanted.document.kind()));
            if row.state == "linked" {
                continue;
            }
            row.run_id.clone_from(&self.run_id);
            row.attempt = self.attempt;
            row.settings_version = self.settings_version;
            change(&mut row);
            self.stage(row);
        }
    }

    fn stage_guard(&mut self, key: &str, kind: &str, owner: &str) {
        if self.current(key).is_some_and(|row| row.document.as_deref() == Some(owner)) {
            return;
        }
        let row = XrefRow {
            pk: key.to_owned(),
            v: ROW_VERSION,
            state: "linked".to_owned(),
            kind: kind.to_owned(),
            book: self.book.clone(),
            tenant: self.tenant.clone(),
            revision: 1,
            run_id: self.run_id.clone(),
            attempt: self.attempt,
            document: Some(owner.to_owned()),
            updated_at: self.post.clock.now_ms(),
            ..XrefRow::default()
        };
        self.pending.retain(|write| write.row.pk != key);
        self.pending.push(XrefWrite { row, expect: Expect::AbsentOrOf(owner.to_owned()) });
    }

    /// A row as it will be once the pending writes are done.
    fn current(&self, key: &str) -> Option<XrefRow> {
        self.pending
            .iter()
            .find(|write| write.row.pk == key)
            .map(|write| &write.row)
            .or_else(|| self.xrefs.get(key))
            .cloned()
    }

    fn empty(&self, key: &str, kind: Kind) -> XrefRow {
        XrefRow {
            pk: key.to_owned(),
            v: ROW_VERSION,
            kind: kind.as_str().to_owned(),
            book: self.book.clone(),
            tenant: self.tenant.clone(),
            ..XrefRow::default()
        }
    }

    /// Adds a row to the pending writes, conditional on the revision that was read.
    fn stage(&mut self, mut row: XrefRow) {
        row.updated_at = self.post.clock.now_ms();
        let expect = match self.xrefs.get(&row.pk) {
            None => Expect::Absent,
            Some(read) => Expect::Revision(read.revision),
        };
        row.revision = match &expect {
            Expect::Revision(revision) => revision.saturating_add(1),
            Expect::Absent | Expect::AbsentOrOf(_) => 1,
        };
        self.pending.retain(|write| write.row.pk != row.pk);
        self.pending.push(XrefWrite { row, expect });
    }

    fn enough_time_to_write(&self) -> Result<(), Ended> {
        let needed = i64::try_from(WRITE_TIMEOUT_MS).unwrap_or(i64::MAX).saturating_add(CALL_MARGIN_MS);
        if self.deadline.saturating_sub(self.post.clock.now_ms()) < needed {
            return Err(Fault::later(Code::OutOfTime, Some(0), "too little time is left to write safely").into());
        }
        Ok(())
    }

    async fn read(&mut self, label: &'static str, call: &Call) -> Result<Reply, Ended> {
        let left = self.deadline.saturating_sub(self.post.clock.now_ms()).saturating_sub(CALL_MARGIN_MS);
        let timeout = u64::try_from(left).unwrap_or_default().min(READ_TIMEOUT_MS);
        if timeout == 0 {
            return Err(Fault::later(Code::OutOfTime, Some(0), "too little time is left to read").into());
        }
        match self.send(label, call, false, timeout).await {
            Ok(reply) => Ok(reply),
            Err(TransportFault::NoAnswer(_)) => {
                Err(Fault::later(Code::BookUnavailable, None, format!("no answer to {label}")).into())
            }
            Err(fault) => Err(unsent(&fault).into()),
        }
    }

    /// A change may be repeated, so that no answer means: later.
    async fn change(&mut self, label: &'static str, call: &Call) -> Result<Reply, Fault> {
        match self.enough_time_to_write() {
            Ok(()) => {}
            Err(Ended::Fault(fault)) => return Err(fault),
            Err(Ended::Lost) => return Err(Fault::broken(Code::Unexpected, "time cannot be lost")),
        }
        match self.send(label, call, true, WRITE_TIMEOUT_MS).await {
            Ok(reply) => Ok(reply),
            Err(TransportFault::NoAnswer(_)) => {
                Err(Fault::later(Code::BookUnavailable, None, format!("no answer to {label}")))
            }
            Err(fault) => Err(unsent(&fault)),
        }
    }

    async fn send(
        &mut self,
        label: &'static str,
        call: &Call,
        writes: bool,
        timeout_ms: u64,
    ) -> Result<Reply, TransportFault> {
        let began = self.post.clock.now_ms();
        let result = self
            .post
            .book
            .send(&BookCall { base_url: &self.context.base_url, token: &self.token, call, writes, timeout_ms })
            .await;
        self.steps.push(StepRow {
            label: label.to_owned(),
            at_ms: began.saturating_sub(self.started_at),
            took_ms: self.post.clock.now_ms().saturating_sub(began),
            status: result.as_ref().ok().map(|reply| reply.status),
            bytes_hash: writes.then(|| hash_of(call)),
            ..StepRow::default()
        });
        result
    }
}

fn unsent(fault: &TransportFault) -> Fault {
    match fault {
        TransportFault::AddressRefused(_) => Fault::refused(
            Code::SettingsInvalid,
            "the book's address is not one that Ledger may speak to: it must be https and public",
        ),
        TransportFault::NotSent(_) | TransportFault::NoAnswer(_) => {
            Fault::later(Code::BookUnavailable, None, "the book could not be reached")
        }
    }
}

fn hash_of(call: &Call) -> String {
    let body = call.body.as_deref().unwrap_or_default();
    hex::encode(fingerprint(&[call.method.as_str().as_bytes(), call.path.as_bytes(), body.as_bytes()]))
}

/// The document that a created or linked row stands for.
fn posted(row: &XrefRow) -> Result<Posted, Ended> {
    let provider_id = row
        .provider_id
        .clone()
        .ok_or_else(|| Fault::broken(Code::Unexpected, "a linked cross-reference names no document"))?;
    let total = row.total.as_deref().and_then(|text| ledger_domain::amount::Amount::parse(text).ok());
    Ok(Posted { provider_id, reference: row.reference.clone(), total })
}
