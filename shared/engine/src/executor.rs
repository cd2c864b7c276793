//! The executor: brings one document into a book exactly once.
//!
//! The dialect says what to do; this module keeps the law. Before a creating call the document's row is reserved,
//! doubtful from the start. Doubt ends by a definite answer to the single send of the attempt that reserved it, by a
//! `find` that adopts the document, or by an absence that is still one after the dialect's settle time. Where the book
//! knows keys, the same bytes under the same key may be sent again instead of being looked for.

use crate::config::milliseconds;
use crate::connect::grant::{GrantOf, Granted};
use crate::pace::Pace;
use crate::ports::{BookCall, Expect, PortFault, Progress, TransportFault, Written, XrefWrite};
use crate::post::Post;
use crate::rehearsal::Rehearsal;
use ledger_dialects::{Call, Context, Dialect, Labelled, Replay, Reply, Start, Step};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::document::{Balance, Document, Kind, Posted};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::identity::fingerprint;
use ledger_wire::rows::{ROW_VERSION, StepRow, TokenRow, XrefRow, keys};
use rust_decimal::Decimal;
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
/// Hexadecimal digits of an idempotency key.
const IDEMPOTENCY_KEY_LENGTH: usize = 32;

/// What ends an attempt before its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A fault.
    Fault(Fault),
    /// Nothing can be done until something is mended.
    Held(Code),
    /// Somebody else has the run: write nothing, say nothing.
    Lost,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<PortFault> for Ended {
    fn from(fault: PortFault) -> Self {
        Self::Fault(match fault {
            PortFault::Unavailable(reason) => Fault::later(Code::StoreUnavailable, None, reason),
            PortFault::Inconsistent(reason) => Fault::broken(Code::Unexpected, reason),
        })
    }
}

/// A document that shall be in the book.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The document.
    pub document: Document,
    /// Keys of its own rows: the leading one first, last the one that every run has which may make the document.
    pub keys: Vec<String>,
    /// Key of the row that guards its number.
    pub number_key: Option<String>,
    /// Look before creating, even though nothing is reserved: the document is older than our memory.
    pub find_first: bool,
    /// The same document under the number that a previous service gave it.
    pub previous: Option<Document>,
    /// Which version of the shop's it is, where what we made is to be brought up to date with it.
    pub source: Option<Source>,
}

/// A version of the shop's contact or product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Fingerprint of the document, hexadecimal.
    pub hash: String,
    /// When the shop changed it, in milliseconds.
    pub updated_at: Option<i64>,
}

impl Source {
    /// The version that a document is.
    #[must_use]
    pub fn of(document: &Document, updated_at: Option<i64>) -> Self {
        Self { hash: hex::encode(fingerprint(&[format!("{document:?}").as_bytes()])), updated_at }
    }
}

/// What the answer to a creating call means for the reservation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    NotApplied,
    InDoubt,
    Applied,
}

/// Where a contact or product that is in the book comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A create of ours, or the row says so already.
    Known,
    /// It was there without any create of ours.
    Theirs,
    /// It was there when a create of ours was in doubt: most likely it is that one.
    InDoubt,
}

/// One attempt's dealings with a book.
pub struct Executor<'a> {
    /// Ports and timers.
    pub post: &'a Post<'a>,
    /// The binding's dialect.
    pub dialect: &'static dyn Dialect,
    /// What the dialect needs of the binding.
    pub context: Context,
    /// The binding.
    pub binding: String,
    /// Its access token, sealed.
    pub sealed_token: Option<TokenRow>,
    /// The same, once it was needed.
    pub token: Option<SecretString>,
    /// The version of the grant that the token in use belongs to.
    pub token_version: Option<u32>,
    /// True once a refused token was replaced: that is done once an attempt.
    pub renewed: bool,
    /// Why a refused token was not replaced.
    pub unrenewed: Option<Fault>,
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
    /// How fast the book was asked lately.
    pub pace: Pace,
    /// Status of the book's latest answer, and the seconds that it asked us to wait.
    pub answered: Option<(u16, Option<u64>)>,
    /// True once the index of contacts is up to date.
    pub indexed: bool,
    /// There where nothing is written: what would be sent is noted here.
    pub rehearsal: Option<Rehearsal>,
}

impl Executor<'_> {
    /// Brings a document into the book, or finds that it is there.
    ///
    /// # Errors
    /// What ends the attempt. Rows that tell how far it came are pending.
    pub async fn obtain(&mut self, wanted: &Wanted) -> Result<Posted, Ended> {
        let mut there = self.row_of(wanted);
        if planted!(ReservationOnRun) {
            there = there.filter(|row| row.state != "reserved" || row.run_id == self.run_id);
        }
        // Who only looks has no claim under which the index could be written.
        if there.as_ref().is_none_or(|row| row.state != "linked") && !self.claim.is_empty() {
            Box::pin(self.look_up(wanted)).await?;
        }
        let find_first = wanted.find_first || self.rehearsal.as_ref().is_some_and(|it| it.looks_first);
        let start = match there.as_ref().map(|row| row.state.as_str()) {
            Some("linked") => {
                let row = there.clone().unwrap_or_default();
                let linked = posted(&row)?;
                self.alias(&wanted.keys, &row);
                if !is_outdated(wanted, &row) {
                    return Ok(linked);
                }
                Start::Outdated(linked)
            }
            // Its total is read anew: somebody may have corrected it in the book.
            Some("created") => Start::Linked(Posted { total: None, ..posted(&there.clone().unwrap_or_default())? }),
            // After a restore the row may be older than what was posted since.
            Some("reserved") if !find_first && there.as_ref().is_some_and(|row| !row.doubtful) => Start::Fresh,
            Some("reserved") => {
                if let Some(posted) = self.settled(wanted).await? {
                    return Ok(posted);
                }
                if there.as_ref().is_some_and(|row| row.doubtful) {
                    Start::Fresh
                } else {
                    self.resolve(wanted, None).await?
                }
            }
            Some(_) => self.resolve(wanted, None).await?,
            None if find_first => self.resolve(wanted, None).await?,
            None => Start::Fresh,
        };
        // A total that was read once and was wrong stays wrong until another one is read.
        let known_total = there.as_ref().filter(|row| row.state == "created").and_then(|row| row.total.clone());
        let epoch = self.epoch_of(wanted).max(1);
        self.carry_out(wanted, start, epoch, known_total.as_deref()).await
    }

    /// Ends the doubt in which a document was left, if it was: the document where it is in the book after all, `None`
    /// where it is not. What is created next is created under another key.
    ///
    /// # Errors
    /// What ends the attempt: doubt that can't be ended yet among others.
    pub async fn settled(&mut self, wanted: &Wanted) -> Result<Option<Posted>, Ended> {
        let Some(row) = self.row_of(wanted).filter(|row| row.state == "reserved" && row.doubtful) else {
            return Ok(None);
        };
        if self.may_be_sent_again(wanted, &row)
            && let Some(posted) = self.sent_again(wanted, &row).await?
        {
            return Ok(Some(posted));
        }
        // Sent again or not: the settle time counts from the last send.
        let row = self.row_of(wanted).unwrap_or(row);
        let epoch = self.epoch_of(wanted).saturating_add(1);
        match self.resolve(wanted, Some(&row)).await? {
            Start::Fresh => {
                self.stage_own(wanted, |row| {
                    row.doubtful = false;
                    row.epoch = epoch;
                });
                Ok(None)
            }
            start @ (Start::Linked(_) | Start::Outdated(_)) => {
                self.carry_out(wanted, start, epoch, None).await.map(Some)
            }
        }
    }

    /// Looks for a document that somebody else may have posted, and links what is found. Creates nothing.
    ///
    /// # Errors
    /// What ends the attempt.
    pub async fn looked_for(&mut self, wanted: &Wanted) -> Result<Option<Posted>, Ended> {
        Box::pin(self.look_up(wanted)).await?;
        match self.resolve(wanted, None).await? {
            Start::Fresh => Ok(None),
            start @ (Start::Linked(_) | Start::Outdated(_)) => {
                let epoch = self.epoch_of(wanted).max(1);
                self.carry_out(wanted, start, epoch, None).await.map(Some)
            }
        }
    }

    /// What is left of an invoice or a credit note.
    ///
    /// # Errors
    /// What ends the attempt.
    pub async fn balance(&mut self, kind: Kind, provider_id: &str) -> Result<Balance, Ended> {
        let planned = self.rehearsal.as_ref().and_then(|rehearsal| rehearsal.planned(provider_id));
        let balance = match planned {
            Some(balance) => balance,
            None => self.balance_in_book(kind, provider_id).await?,
        };
        Ok(match &self.rehearsal {
            Some(rehearsal) => rehearsal.less_planned(provider_id, balance),
            None => balance,
        })
    }

    async fn balance_in_book(&mut self, kind: Kind, provider_id: &str) -> Result<Balance, Ended> {
        let mut seen = Vec::new();
        for _ in 0..STEPS_MAX {
            match self.dialect.balance(kind, provider_id, &self.context, &seen)? {
                Step::Done(balance) => return Ok(balance),
                Step::Read(label, call) => seen.push(self.asked(label, &call).await?),
                Step::Create(label, _) | Step::Change(label, _) => return Err(asked_to_write(label)),
            }
        }
        Err(too_many_steps())
    }

    /// How many of a product the book has; `None` where it keeps no stock of it.
    ///
    /// # Errors
    /// What ends the attempt.
    pub async fn stock(&mut self, provider_id: &str) -> Result<Option<Decimal>, Ended> {
        let mut seen = Vec::new();
        for _ in 0..STEPS_MAX {
            match self.dialect.stock(provider_id, &self.context, &seen)? {
                Step::Done(quantity) => return Ok(quantity),
                Step::Read(label, call) => seen.push(self.asked(label, &call).await?),
                Step::Create(label, _) | Step::Change(label, _) => return Err(asked_to_write(label)),
            }
        }
        Err(too_many_steps())
    }

    async fn asked(&mut self, label: &'static str, call: &Call) -> Result<Labelled, Ended> {
        Ok(Labelled { label, reply: self.read(label, call).await? })
    }

    /// The row that speaks for a document: the leading key's if it is linked, else the one that is furthest on.
    fn row_of(&self, wanted: &Wanted) -> Option<XrefRow> {
        self.speaking(&wanted.keys)
    }

    /// The row that speaks for what is known under any of these keys.
    #[must_use]
    pub fn speaking(&self, keys: &[String]) -> Option<XrefRow> {
        speaking(keys.iter().filter_map(|key| self.current(key)))
    }

    /// The epoch of a document's latest create: the greatest that any of its rows knows, so that no key comes twice.
    fn epoch_of(&self, wanted: &Wanted) -> u32 {
        wanted.keys.iter().filter_map(|key| self.current(key)).map(|row| row.epoch).max().unwrap_or_default()
    }

    /// Whether a reservation in doubt is young enough for its create to be repeated under its key.
    fn may_be_sent_again(&self, wanted: &Wanted, row: &XrefRow) -> bool {
        let shared = wanted.keys.last().and_then(|key| self.current(key));
        if shared.is_none_or(|shared| (shared.epoch, &shared.bytes_hash) != (row.epoch, &row.bytes_hash)) {
            return false;
        }
        // Since a restore keys are others.
        if self.post.timers.restored_at.is_some_and(|restored_at| row.first_sent_at.is_none_or(|at| at < restored_at)) {
            return false;
        }
        match self.dialect.profile().replay {
            Replay::Never => false,
            Replay::Always => true,
            Replay::Seconds(seconds) => row
                .first_sent_at
                .is_some_and(|first| self.post.clock.now_ms().saturating_sub(first) < milliseconds(seconds)),
        }
    }

    /// Sends a create in doubt again, byte for byte and under its key; `None` where the bytes would be others by now, and
    /// where the repetition is refused: that says nothing of the first send, which has to be looked for.
    async fn sent_again(&mut self, wanted: &Wanted, row: &XrefRow) -> Result<Option<Posted>, Ended> {
        self.in_doubt = true;
        match Box::pin(self.carry_out_as(wanted, Start::Fresh, row.epoch, None, Some(row))).await {
            Err(Ended::Fault(fault)) if fault.action == Action::Refused && self.is_still_doubtful(wanted) => {
                self.in_doubt = true;
                Ok(None)
            }
            ended => ended,
        }
    }

    fn is_still_doubtful(&self, wanted: &Wanted) -> bool {
        self.row_of(wanted).is_some_and(|row| row.state == "reserved" && row.doubtful)
    }

    /// Ends doubt: adopts what is found, or believes the absence once the settle time is over.
    async fn resolve(&mut self, wanted: &Wanted, there: Option<&XrefRow>) -> Result<Start, Ended> {
        self.in_doubt = there.is_some_and(|row| row.doubtful);
        let looked = self.find(&wanted.document).await;
        if planted!(DoubtForgottenOnLater) && looked.is_err() {
            self.in_doubt = false;
            self.stage_own(wanted, |row| {
                row.doubtful = false;
                row.epoch = row.epoch.saturating_add(1);
            });
        }
        let mut found = looked?;
        if found.is_none()
            && wanted.find_first
            && let Some(previous) = &wanted.previous
        {
            found = self.find(previous).await?;
        }
        if let Some(posted) = found {
            self.in_doubt = false;
            if !wanted.document.kind().is_money() {
                // Ours or not: who can't tell does not overwrite it.
                self.stage_own(wanted, |row| {
                    row.adopted = true;
                    row.found_in_doubt |= row.doubtful;
                    if row.state.is_empty() {
                        "find_first".clone_into(&mut row.state);
                    }
                });
            }
            return Ok(Start::Linked(posted));
        }
        if let Some(row) = there.filter(|row| row.doubtful) {
            let settled_at = self.settled_at(row.last_sent_at.unwrap_or(row.updated_at));
            let now = self.post.clock.now_ms();
            if now < settled_at && !planted!(AbsenceBelievedAtOnce) {
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
                Step::Done(found) => return Ok(found),
                // What names a document that is not in the book can't be there.
                Step::Read(_, call) if self.rehearsal.as_ref().is_some_and(|it| it.names_a_stand_in(&call)) => {
                    return Ok(None);
                }
                Step::Read(label, call) => seen.push(self.asked(label, &call).await?),
                Step::Create(label, _) | Step::Change(label, _) => return Err(asked_to_write(label)),
            }
        }
        Err(too_many_steps())
    }

    async fn carry_out(
        &mut self,
        wanted: &Wanted,
        start: Start,
        epoch: u32,
        known_total: Option<&str>,
    ) -> Result<Posted, Ended> {
        // On the heap: the future of a call to a book is large, and lies in every future above it.
        let posted = Box::pin(self.carry_out_as(wanted, start, epoch, known_total, None)).await?;
        posted.ok_or_else(|| Fault::broken(Code::Unexpected, "nothing was to be repeated").into())
    }

    /// As [`Executor::carry_out`]; where `repeated` is a reservation in doubt, only as long as it is sent again
    /// identically: `None` where it would not be.
    async fn carry_out_as(
        &mut self,
        wanted: &Wanted,
        start: Start,
        mut epoch: u32,
        known_total: Option<&str>,
        repeated: Option<&XrefRow>,
    ) -> Result<Option<Posted>, Ended> {
        if self.rehearsal.is_none() {
            self.unlock().await?;
        }
        let mut seen: Vec<Labelled> = Vec::new();
        let mut verdict: Option<Verdict> = None;
        let mut creates = 0_u32;
        for _ in 0..STEPS_MAX {
            // A create that follows a refused one is another call, under another key.
            let next_epoch = if creates > 0 { epoch.saturating_add(1) } else { epoch };
            self.context.idempotency_key = self.idempotency_key(wanted, next_epoch);
            let step = match self.dialect.post(&wanted.document, &self.context, &start, &seen) {
                Ok(step) => step,
                Err(fault) => return Err(self.faulted(wanted, epoch, verdict, &seen, fault)),
            };
            match step {
                Step::Done(posted) => {
                    self.in_doubt = false;
                    if let Some(rehearsal) = &mut self.rehearsal {
                        rehearsal.is_in_book(&wanted.document, &posted.provider_id);
                    }
                    let origin = match (&start, verdict) {
                        (Start::Fresh, Some(Verdict::InDoubt)) => Origin::InDoubt,
                        (Start::Fresh, None) if self.is_still_doubtful(wanted) => Origin::InDoubt,
                        (Start::Fresh, None | Some(Verdict::NotApplied)) => Origin::Theirs,
                        (Start::Fresh, Some(Verdict::Applied)) | (Start::Linked(_) | Start::Outdated(_), _) => {
                            Origin::Known
                        }
                    };
                    let shown = seen.iter().rev().find_map(|it| self.dialect.web_address(&it.reply));
                    if let Some(address) = shown {
                        self.stage_own(wanted, |row| row.web_address = Some(address.clone()));
                    }
                    return self.arrived(wanted, posted, epoch, known_total, origin).map(Some);
                }
                Step::Read(label, call) => match self.read(label, &call).await {
                    Ok(reply) => seen.push(Labelled { label, reply }),
                    Err(Ended::Fault(fault)) => return Err(self.faulted(wanted, epoch, verdict, &seen, fault)),
                    Err(ended) => return Err(ended),
                },
                Step::Change(label, call) if self.rehearsal.is_some() => {
                    seen.extend(self.rehearsed(wanted, label, call, false));
                }
                Step::Change(label, call) => match self.change(label, &call).await {
                    Ok(reply) => seen.push(Labelled { label, reply }),
                    Err(fault) => return Err(self.faulted(wanted, epoch, verdict, &seen, fault)),
                },
                Step::Create(label, call) => {
                    if let Some(row) = repeated
                        && (creates > 0 || row.bytes_hash.as_deref() != Some(hash_of(&call).as_str()))
                    {
                        return Ok(None);
                    }
                    let repeats = verdict.is_some_and(|verdict| verdict != Verdict::NotApplied);
                    if repeats || creates >= CREATES_MAX || !matches!(start, Start::Fresh) {
                        let fault = Fault::broken(Code::Unexpected, format!("a second {label} was asked for"));
                        return Err(self.faulted(wanted, epoch, verdict, &seen, fault));
                    }
                    epoch = next_epoch;
                    creates = creates.saturating_add(1);
                    if self.rehearsal.is_some() {
                        // Whoever did not look before creating learns from the refusal what is there.
                        if matches!(wanted.document, Document::Contact(_))
                            && seen.is_empty()
                            && let Some(posted) = self.find(&wanted.document).await?
                        {
                            if let Some(rehearsal) = &mut self.rehearsal {
                                rehearsal.refused_as_taken(&wanted.document, label, call);
                            }
                            return self.arrived(wanted, posted, epoch, known_total, Origin::Theirs).map(Some);
                        }
                        seen.extend(self.rehearsed(wanted, label, call, true));
                        verdict = Some(Verdict::Applied);
                        continue;
                    }
                    if let Err(ended) = self.in_time(WRITE_TIMEOUT_MS).await {
                        return Err(match ended {
                            Ended::Fault(fault) => self.faulted(wanted, epoch, verdict, &seen, fault),
                            ended @ (Ended::Held(_) | Ended::Lost) => ended,
                        });
                    }
                    self.enough_time_to_write()?;
                    self.reserve(wanted, epoch, &call, repeated).await?;
                    self.in_doubt = true;
                    let renewed = self.renewed;
                    let sent = self.send(label, &call, true, WRITE_TIMEOUT_MS).await;
                    if self.renewed != renewed {
                        // It was sent once more, under another token: the settle time counts from there.
                        let now = self.post.clock.now_ms();
                        self.stage_own(wanted, |row| row.last_sent_at = Some(now));
                    }
                    match sent {
                        Ok(reply) => {
                            // A refusal of the repetition says nothing of the first.
                            let judged = self.verdict(&reply);
                            let unsure = repeated.is_some() && judged == Verdict::NotApplied;
                            verdict = Some(if unsure { Verdict::InDoubt } else { judged });
                            seen.push(Labelled { label, reply });
                        }
                        Err(TransportFault::NoAnswer(_)) => {
                            let fault = Fault::doubtful(format!("no answer to {label}"));
                            return Err(self.faulted(wanted, epoch, Some(Verdict::InDoubt), &seen, fault));
                        }
                        Err(fault @ (TransportFault::NotSent(_) | TransportFault::AddressRefused(_))) => {
                            let verdict = if repeated.is_some() { Verdict::InDoubt } else { Verdict::NotApplied };
                            return Err(self.faulted(wanted, epoch, Some(verdict), &seen, unsent(&fault)));
                        }
                    }
                }
            }
        }
        let fault = Fault::broken(Code::Unexpected, "posting took too many steps");
        Err(self.faulted(wanted, epoch, verdict, &seen, fault))
    }

    /// Notes what would be sent, with what the book would answer; `None` where nothing is rehearsed.
    fn rehearsed(&mut self, wanted: &Wanted, label: &'static str, call: Call, creates: bool) -> Option<Labelled> {
        let key = wanted.keys.first().map_or("", String::as_str);
        let rehearsal = self.rehearsal.as_mut()?;
        let (dialect, context, document) = (self.dialect, &self.context, &wanted.document);
        let reply = if creates {
            rehearsal.created(dialect, context, document, key, label, call)
        } else {
            rehearsal.changed(dialect, context, document, key, label, call)
        };
        Some(Labelled { label, reply })
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let action = self.dialect.classify(reply, true).action;
        // A provider may refuse inside a success (Xero API docs, summarizeErrors). Anything else about a success is not
        // a verdict of `classify`'s.
        if (200..300).contains(&reply.status) && action != Action::Refused {
            return Verdict::Applied;
        }
        match action {
            Action::Later { .. } | Action::Refused | Action::Reconnect => Verdict::NotApplied,
            Action::Doubtful | Action::Broken if planted!(UnknownIsRefusal) => Verdict::NotApplied,
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
                if planted!(CreatedForgotten) {
                    self.in_doubt = false;
                    self.stage_own(wanted, |row| {
                        row.doubtful = false;
                        row.epoch = epoch.saturating_add(1);
                    });
                } else if let Some(posted) = created {
                    self.in_doubt = false;
                    self.stage_posted(wanted, &posted, "created", epoch, Origin::Known);
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
        origin: Origin,
    ) -> Result<Posted, Ended> {
        if posted.total.is_none() {
            posted.total = known_total.and_then(|text| Amount::parse(text).ok());
        }
        if let Some(expected) = wanted.document.total()
            && let Some(total) = posted.total
            && total != expected
            && !planted!(TotalNotProven)
        {
            self.stage_posted(wanted, &posted, "created", epoch, origin);
            return Err(
                Fault::refused(Code::TotalMismatch, format!("the book shows {total}, the shop {expected}")).into()
            );
        }
        self.stage_posted(wanted, &posted, "linked", epoch, origin);
        Ok(posted)
    }

    fn stage_posted(&mut self, wanted: &Wanted, posted: &Posted, state: &str, epoch: u32, origin: Origin) {
        let kind = wanted.document.kind();
        let named = Named::by(&wanted.document);
        if self.rehearsal.is_none()
            && let Some(step) = self.steps.last_mut()
        {
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
            named.note(row);
            row.adopted |= origin != Origin::Known && !kind.is_money();
            row.found_in_doubt |= origin == Origin::InDoubt && !kind.is_money();
        });
        if let Some(source) = &wanted.source {
            self.stage_source(wanted, posted, source);
        }
        if kind.is_money()
            && let Some(owner) = wanted.keys.first()
        {
            let key = keys::reverse(&self.book, kind.as_str(), &posted.provider_id);
            self.stage_guard(&key, "reverse", owner);
        }
    }

    /// Notes which version of the shop's a contact or product of ours now is.
    fn stage_source(&mut self, wanted: &Wanted, posted: &Posted, source: &Source) {
        for key in &wanted.keys {
            if let Some(mut row) = self.current(key).filter(|row| {
                !row.adopted && row.state == "linked" && row.provider_id.as_ref() == Some(&posted.provider_id)
            }) {
                row.source_hash = Some(source.hash.clone());
                row.source_updated_at = source.updated_at;
                row.run_id.clone_from(&self.run_id);
                row.attempt = self.attempt;
                self.stage(row);
            }
        }
    }

    /// The book does not know a linked contact any more: it is looked for, or made, by the next attempt.
    pub fn forget(&mut self, keys: &[String]) {
        for key in keys {
            if let Some(mut row) = self.current(key) {
                "find_first".clone_into(&mut row.state);
                row.provider_id = None;
                row.source_hash = None;
                row.doubtful = false;
                row.adopted = false;
                row.found_in_doubt = false;
                row.epoch = row.epoch.saturating_add(1);
                self.stage(row);
            }
        }
    }

    /// When a request that was sent then has arrived or never will, in milliseconds.
    fn settled_at(&self, sent_at: i64) -> i64 {
        let profile = self.dialect.profile();
        let settle = profile.settle_seconds.saturating_mul(10).saturating_mul(self.post.timers.settle_scale_percent);
        sent_at.saturating_add(i64::try_from(settle).unwrap_or(i64::MAX))
    }

    /// Whether a movement of this run's that is in doubt is beside the point: another run has counted the stock since, when
    /// this one had arrived or never would.
    #[must_use]
    pub fn was_counted_since(&self, movement: &XrefRow, product: &[String]) -> bool {
        let mover = self.speaking(product).and_then(|row| row.moving_run);
        let sent_at = movement.last_sent_at.unwrap_or(movement.updated_at);
        mover.as_ref() != Some(&self.run_id) && self.post.clock.now_ms() >= self.settled_at(sent_at)
    }

    /// Nobody counts a product's stock while another run's movement of it may still arrive in the book.
    ///
    /// # Errors
    /// That one may: what ends the attempt.
    pub fn nobody_else_moves(&self, product: &[String]) -> Result<(), Ended> {
        let Some(row) = self.speaking(product) else { return Ok(()) };
        let theirs = row.moving_run.as_ref().is_some_and(|run| *run != self.run_id);
        let Some(since) = row.moving_since.filter(|_| theirs) else { return Ok(()) };
        let (now, settled_at) = (self.post.clock.now_ms(), self.settled_at(since));
        if now >= settled_at {
            return Ok(());
        }
        let wait = u64::try_from(settled_at.saturating_sub(now)).unwrap_or_default().div_ceil(1_000);
        let text = "another change of the product's stock may still arrive in the book";
        Err(Fault::later(Code::WriteInDoubt, Some(wait), text).into())
    }

    /// A document that is settled, or was never applied, is to be followed by another one under the same row.
    pub fn begins_again(&mut self, key: &str) {
        if let Some(mut row) = self.current(key) {
            "reserved".clone_into(&mut row.state);
            row.doubtful = false;
            row.epoch = row.epoch.saturating_add(1);
            row.provider_id = None;
            row.amount = None;
            self.stage(row);
        }
    }

    /// A second key of a linked contact or product that was not known yet, or was reserved when another run linked the
    /// first.
    pub fn alias(&mut self, keys: &[String], linked: &XrefRow) {
        let open = |row: XrefRow| matches!(row.state.as_str(), "reserved" | "find_first");
        let missing: Vec<String> = keys.iter().filter(|key| self.current(key).is_none_or(open)).cloned().collect();
        for key in missing {
            let row = XrefRow { pk: key, revision: 0, ..linked.clone() };
            self.stage(row);
        }
    }

    /// Writes the reservation, with everything that was pending, before anything is sent.
    async fn reserve(
        &mut self,
        wanted: &Wanted,
        epoch: u32,
        call: &Call,
        repeated: Option<&XrefRow>,
    ) -> Result<(), Ended> {
        let now = self.post.clock.now_ms();
        let hash = hash_of(call);
        let named = Named::by(&wanted.document);
        let first_sent_at = repeated.and_then(|row| row.first_sent_at).unwrap_or(now);
        self.stage_own(wanted, |row| {
            row.state = "reserved".to_owned();
            row.doubtful = true;
            row.epoch = epoch;
            row.first_sent_at = Some(first_sent_at);
            row.last_sent_at = Some(now);
            row.bytes_hash = Some(hash.clone());
            named.note(row);
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
            Ok(Written::Changed(key)) => {
                let taken = wanted.number_key.as_ref() == Some(&key);
                let collides = progress.xrefs.iter().any(|write| write.row.pk == key && write.row.kind == "reverse");
                if taken || collides {
                    // What was learnt of other documents stays true; this one was not sent.
                    let own = |pk: &String| wanted.keys.contains(pk) || wanted.number_key.as_ref() == Some(pk);
                    self.pending = progress.xrefs.into_iter().filter(|write| !own(&write.row.pk)).collect();
                }
                Err(match (taken, collides) {
                    (true, _) => Fault::refused(
                        Code::ReferenceTaken,
                        "another document that goes to this book has the number; give each shop of a book a prefix of its own",
                    ),
                    (false, true) => Fault::refused(
                        Code::ReverseCollision,
                        "the document in the book is linked to another document of the shop",
                    ),
                    (false, false) => {
                        Fault::later(Code::BookBusy, None, "another attempt wrote the document's cross-reference")
                    }
                }
                .into())
            }
            Err(fault) => Err(Fault::later(Code::StoreUnavailable, None, fault.to_string()).into()),
        }
    }

    fn stage_own(&mut self, wanted: &Wanted, change: impl Fn(&mut XrefRow)) {
        for key in &wanted.keys {
            let mut row = self.current(key).unwrap_or_else(|| self.empty(key, wanted.document.kind().as_str()));
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

    /// The address of a document's page, where a row keeps one.
    #[must_use]
    pub fn web_address_of(&self, provider_id: &str) -> Option<String> {
        let pending = self.pending.iter().map(|write| &write.row);
        let mut rows = pending.chain(self.xrefs.values()).filter(|row| row.provider_id.as_deref() == Some(provider_id));
        rows.find_map(|row| row.web_address.clone())
    }

    /// A row as it will be once the pending writes are done.
    #[must_use]
    pub fn current(&self, key: &str) -> Option<XrefRow> {
        self.pending
            .iter()
            .find(|write| write.row.pk == key)
            .map(|write| &write.row)
            .or_else(|| self.xrefs.get(key))
            .cloned()
    }

    /// Leaves a row that is no document: what later documents look up.
    pub fn note(&mut self, key: &str, kind: &str, change: impl FnOnce(&mut XrefRow)) {
        let before = self.current(key);
        let mut row = before.clone().unwrap_or_else(|| self.empty(key, kind));
        "linked".clone_into(&mut row.state);
        change(&mut row);
        if before.as_ref() != Some(&row) {
            self.stage(row);
        }
    }

    fn empty(&self, key: &str, kind: &str) -> XrefRow {
        XrefRow {
            pk: key.to_owned(),
            v: ROW_VERSION,
            kind: kind.to_owned(),
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

    /// Waits until the book may be asked again, as far as there is time for it and for the call.
    async fn in_time(&self, timeout_ms: u64) -> Result<(), Ended> {
        let now = self.post.clock.now_ms();
        let wait = self.pace.wait_ms(now);
        if wait == 0 {
            return Ok(());
        }
        let needed = i64::try_from(wait.saturating_add(timeout_ms)).unwrap_or(i64::MAX).saturating_add(CALL_MARGIN_MS);
        if self.deadline.saturating_sub(now) < needed {
            return Err(Fault::later(
                Code::BookRateLimited,
                Some(wait.div_ceil(1_000)),
                "the book has been asked as often as it allows in a minute",
            )
            .into());
        }
        self.post.clock.sleep_ms(wait).await;
        Ok(())
    }

    fn enough_time_to_write(&self) -> Result<(), Ended> {
        let needed = i64::try_from(WRITE_TIMEOUT_MS).unwrap_or(i64::MAX).saturating_add(CALL_MARGIN_MS);
        if self.deadline.saturating_sub(self.post.clock.now_ms()) < needed {
            return Err(Fault::later(Code::OutOfTime, Some(0), "too little time is left to write safely").into());
        }
        Ok(())
    }

    pub(crate) async fn read(&mut self, label: &'static str, call: &Call) -> Result<Reply, Ended> {
        if let Some(reply) = self.rehearsal.as_ref().and_then(|rehearsal| rehearsal.answer(call)) {
            return Ok(reply);
        }
        self.unlock().await?;
        self.in_time(READ_TIMEOUT_MS).await?;
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
        let in_time = self.in_time(WRITE_TIMEOUT_MS).await;
        match in_time.and_then(|()| self.enough_time_to_write()) {
            Ok(()) => {}
            Err(Ended::Fault(fault)) => return Err(fault),
            Err(Ended::Held(_) | Ended::Lost) => return Err(Fault::broken(Code::Unexpected, "time cannot be lost")),
        }
        match self.send(label, call, true, WRITE_TIMEOUT_MS).await {
            Ok(reply) => Ok(reply),
            Err(TransportFault::NoAnswer(_)) => {
                Err(Fault::later(Code::BookUnavailable, None, format!("no answer to {label}")))
            }
            Err(fault) => Err(unsent(&fault)),
        }
    }

    /// Opens the access token, once.
    async fn unlock(&mut self) -> Result<(), Ended> {
        if self.token.is_some() {
            return Ok(());
        }
        let Some(row) = &self.sealed_token else { return Err(Ended::Held(Code::NeedsReconnect)) };
        // Boxed, as all that is rare: else it would lie in the future of every call.
        match Box::pin(self.post.grants().open(self.grant_of(), row, self.deadline)).await {
            Ok(granted) => {
                self.uses(granted);
                Ok(())
            }
            // The binding is marked already.
            Err(fault) if fault.action == Action::Reconnect => Err(Ended::Held(Code::NeedsReconnect)),
            Err(fault) => Err(fault.into()),
        }
    }

    fn grant_of(&self) -> GrantOf<'_> {
        let provider = self.dialect.profile().provider;
        GrantOf { tenant: &self.tenant, binding: &self.binding, provider }
    }

    fn uses(&mut self, granted: Granted) {
        self.token = Some(granted.token);
        self.token_version = Some(granted.version);
    }

    /// Whether a refused call may be made again under another token: one that the book took for unauthorised was not
    /// applied, so a create may be repeated too. Not where too little time is left: then the next attempt makes it.
    async fn replaces_token(&mut self, reply: &Reply, writes: bool, timeout_ms: u64) -> bool {
        const UNAUTHORISED: u16 = 401;
        let Some(version) = self.token_version.filter(|_| reply.status == UNAUTHORISED && !self.renewed) else {
            return false;
        };
        if self.dialect.classify(reply, writes).action != Action::Reconnect {
            return false;
        }
        self.renewed = true;
        match self.post.grants().instead_of(self.grant_of(), version, self.deadline).await {
            Ok(Some(granted)) => {
                let needed = i64::try_from(timeout_ms).unwrap_or(i64::MAX).saturating_add(CALL_MARGIN_MS);
                if self.deadline.saturating_sub(self.post.clock.now_ms()) < needed {
                    self.unrenewed = Some(Fault::later(
                        Code::OutOfTime,
                        Some(0),
                        "the token was replaced and too little time is left to use it",
                    ));
                    return false;
                }
                self.uses(granted);
                true
            }
            Ok(None) => false,
            Err(fault) => {
                self.unrenewed = Some(fault);
                false
            }
        }
    }

    /// The key of a reservation's epoch: the same for every repetition of its create, another for every other one. It is made
    /// of the document's last key, which every run has that may create it: a contact's address, a product's SKU.
    fn idempotency_key(&self, wanted: &Wanted, epoch: u32) -> String {
        let document = wanted.keys.last().map_or("", String::as_str);
        idempotency_key(&self.book, document, epoch, self.post.timers.restored_at)
    }

    /// Sends a call; where the book refuses the token, once more under another one.
    async fn send(
        &mut self,
        label: &'static str,
        call: &Call,
        writes: bool,
        timeout_ms: u64,
    ) -> Result<Reply, TransportFault> {
        let reply = self.send_once(label, call, writes, timeout_ms).await?;
        if Box::pin(self.replaces_token(&reply, writes, timeout_ms)).await {
            return Box::pin(self.send_once(label, call, writes, timeout_ms)).await;
        }
        Ok(reply)
    }

    async fn send_once(
        &mut self,
        label: &'static str,
        call: &Call,
        writes: bool,
        timeout_ms: u64,
    ) -> Result<Reply, TransportFault> {
        let began = self.post.clock.now_ms();
        // A rehearsal never comes here with a write; if it did, nothing must go out.
        if writes && self.rehearsal.is_some() {
            return Err(TransportFault::NotSent("a rehearsal sends nothing".to_owned()));
        }
        let Some(token) = &self.token else {
            return Err(TransportFault::NotSent("the access token is not open".to_owned()));
        };
        self.pace.called(began);
        let result =
            self.post.book.send(&BookCall { base_url: &self.context.base_url, token, call, writes, timeout_ms }).await;
        let ended = self.post.clock.now_ms();
        if let Ok(reply) = &result {
            self.pace.answered(reply, ended);
            self.answered = Some((reply.status, reply.retry_after_seconds));
        }
        self.steps.push(StepRow {
            label: label.to_owned(),
            at_ms: began.saturating_sub(self.started_at),
            took_ms: ended.saturating_sub(began),
            status: result.as_ref().ok().map(|reply| reply.status),
            bytes_hash: writes.then(|| hash_of(call)),
            ..StepRow::default()
        });
        result
    }

    /// Notes a document that the plan leaves out for now, and why.
    pub fn leaves_out(&mut self, kind: Kind, code: Code) {
        self.steps.push(StepRow {
            label: kind.as_str().to_owned(),
            at_ms: self.post.clock.now_ms().saturating_sub(self.started_at),
            skipped: Some(code.as_str().to_owned()),
            ..StepRow::default()
        });
    }
}

/// After a restore keys are others: the epochs of restored rows are older than what was sent, and a book that has seen a key answers
/// with what it made then, whatever it is asked to make now.
fn idempotency_key(book: &str, document: &str, epoch: u32, restored_at: Option<i64>) -> String {
    let (epoch, restored_at) = (epoch.to_be_bytes(), restored_at.map(i64::to_be_bytes));
    let mut parts = vec![book.as_bytes(), document.as_bytes(), epoch.as_slice()];
    parts.extend(restored_at.as_ref().map(<[u8; 8]>::as_slice));
    let mut key = hex::encode(fingerprint(&parts));
    key.truncate(IDEMPOTENCY_KEY_LENGTH);
    key
}

/// Of several rows of one document the one that speaks for it: the one that is furthest on. Of two reservations the one in doubt, of
/// two in doubt the one that was sent last: until then nothing is settled. Else the first.
fn speaking(rows: impl Iterator<Item = XrefRow>) -> Option<XrefRow> {
    let rank = |row: &XrefRow| match row.state.as_str() {
        "linked" => (4, 0),
        "created" => (3, 0),
        "reserved" if row.doubtful => (2, row.last_sent_at.unwrap_or(row.updated_at)),
        "reserved" => (1, 0),
        _ => (0, 0),
    };
    rows.reduce(|best, row| if rank(&row) > rank(&best) { row } else { best })
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

fn asked_to_write(label: &str) -> Ended {
    Fault::broken(Code::Unexpected, format!("looking asked to write: {label}")).into()
}

fn too_many_steps() -> Ended {
    Fault::broken(Code::Unexpected, "looking took too many steps").into()
}

/// True where a document of ours is an older version of the shop's.
fn is_outdated(wanted: &Wanted, row: &XrefRow) -> bool {
    wanted.source.as_ref().is_some_and(|source| !row.adopted && row.source_hash.as_ref() != Some(&source.hash))
}

/// What a row keeps of its document.
struct Named {
    number: Option<String>,
    contact: Option<String>,
    amount: Option<String>,
    dated_on: Option<String>,
    company: bool,
}

impl Named {
    fn by(document: &Document) -> Self {
        let amount = match document {
            Document::Payment(payment) => Some(payment.amount.to_string()),
            Document::Allocation(allocation) => Some(allocation.amount.to_string()),
            Document::Refund(refund) => Some(refund.amount.to_string()),
            Document::StockMovement(movement) => Some(movement.quantity.to_string()),
            Document::Contact(_) | Document::Product(_) | Document::Invoice(_) | Document::CreditNote(_) => None,
        };
        let dated_on = match document {
            Document::Payment(payment) => Some(payment.dated_on.to_string()),
            Document::Allocation(allocation) => Some(allocation.dated_on.to_string()),
            Document::Refund(refund) => Some(refund.dated_on.to_string()),
            Document::StockMovement(_)
            | Document::Contact(_)
            | Document::Product(_)
            | Document::Invoice(_)
            | Document::CreditNote(_) => None,
        };
        let company = match document {
            Document::Contact(contact) => contact.company.is_some(),
            Document::Product(_)
            | Document::Invoice(_)
            | Document::Payment(_)
            | Document::CreditNote(_)
            | Document::Allocation(_)
            | Document::Refund(_)
            | Document::StockMovement(_) => false,
        };
        Self {
            number: document.number().map(str::to_owned),
            contact: document.contact().map(str::to_owned),
            amount,
            dated_on,
            company,
        }
    }

    fn note(&self, row: &mut XrefRow) {
        row.number.clone_from(&self.number);
        row.contact.clone_from(&self.contact);
        if self.amount.is_some() {
            row.amount.clone_from(&self.amount);
        }
        if self.dated_on.is_some() {
            row.dated_on.clone_from(&self.dated_on);
        }
        row.company = self.company;
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
    let total = row.total.as_deref().and_then(|text| Amount::parse(text).ok());
    Ok(Posted { provider_id, reference: row.reference.clone(), total })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pk: &str, state: &str, doubtful: bool, last_sent_at: i64) -> XrefRow {
        let (pk, state) = (pk.to_owned(), state.to_owned());
        XrefRow { pk, state, doubtful, last_sent_at: Some(last_sent_at), ..XrefRow::default() }
    }

    #[test]
    fn a_key_comes_once_for_each_epoch_of_a_document_and_for_each_restore() {
        let keys = [
            idempotency_key("book", "a", 1, None),
            idempotency_key("book", "a", 2, None),
            idempotency_key("book", "b", 1, None),
            idempotency_key("other", "a", 1, None),
            idempotency_key("book", "a", 1, Some(1)),
            idempotency_key("book", "a", 1, Some(2)),
        ];
        let different: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
        assert_eq!(keys[0], idempotency_key("book", "a", 1, None));
        assert!(keys.iter().all(|key| key.len() == IDEMPOTENCY_KEY_LENGTH));
    }

    #[test]
    fn of_a_documents_rows_the_one_that_is_furthest_on_speaks_and_of_two_in_doubt_the_last_sent() {
        let check = |rows: &[XrefRow], expected: Option<&str>| {
            assert_eq!(speaking(rows.iter().cloned()).map(|row| row.pk).as_deref(), expected, "{rows:?}");
        };
        check(&[], None);
        check(&[row("a", "reserved", false, 9), row("b", "reserved", true, 1)], Some("b"));
        check(&[row("a", "reserved", true, 9), row("b", "created", false, 1)], Some("b"));
        check(&[row("a", "linked", false, 1), row("b", "linked", false, 9)], Some("a"));
        check(&[row("a", "find_first", false, 1), row("b", "reserved", false, 1)], Some("b"));
        // A guest's run has sent for the address alone, after the account's had sent for both.
        check(&[row("customer", "reserved", true, 249), row("email", "reserved", true, 903)], Some("email"));
        check(&[row("customer", "reserved", true, 903), row("email", "reserved", true, 903)], Some("customer"));
    }
}
