//! What every stand-in book has in common: its log, faults, late writes, tokens, latency and the control API.
//!
//! A book is a `Keeper`: it obeys a request and knows its own words for a refusal. The desk hands it the requests, one
//! at a time, with all that can go wrong on the way.

mod control;
mod faults;
mod log;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rust_decimal::Decimal;
use serde_json::Value;

pub use faults::{BookFault, FaultSpec};
pub use log::LogEntry;

pub(crate) use faults::{LateWrite, answer_at_once, release};
pub(crate) use log::Log;

use crate::clock::Clock;
use crate::identity::{self, Admission, Authority, Identity, Organisation};
use crate::server::{Answer, Reply, Request};

/// What the desk keeps for a book.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) clock: Clock,
    pub(crate) tokens: BTreeSet<String>,
    pub(crate) latency_milliseconds: u64,
    pub(crate) faults: Vec<FaultSpec>,
    pub(crate) late: Vec<LateWrite>,
    /// Added to the next document's total.
    pub(crate) total_shift: Decimal,
    /// How many requests have arrived and aren't answered.
    pub(crate) under_way: u32,
    /// Who may sign in, and what was granted to whom.
    pub(crate) identity: Identity,
}

impl Desk {
    /// With an identity part that knows the book's own organisation and, reached by the same person, these others.
    pub(crate) fn new(
        clock: Clock,
        tokens: &[String],
        latency_milliseconds: u64,
        authority: Authority,
        own: Organisation,
        others: &[Organisation],
    ) -> Self {
        Self {
            identity: Identity::new(authority, own, others),
            clock,
            tokens: tokens.iter().cloned().collect(),
            latency_milliseconds,
            faults: Vec::new(),
            late: Vec::new(),
            total_shift: Decimal::ZERO,
            under_way: 0,
        }
    }

    /// What the token is that the request bears.
    pub(crate) fn admission(&self, request: &Request) -> Admission {
        let token = request
            .header("authorization")
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        match token {
            Some(token) if self.tokens.contains(token) => Admission::Given,
            Some(token) => self.identity.admission(token, self.clock.now()),
            None => Admission::Unknown,
        }
    }
}

/// A book without its door.
pub(crate) trait Keeper: Send + 'static {
    /// What `GET /_control/health` calls it.
    const KIND: &'static str;

    fn desk(&mut self) -> &mut Desk;

    /// Obeys a request to its API.
    fn obey(&mut self, request: &Request) -> Answer;

    /// Obeys a request, to its identity part or its API.
    fn serves(&mut self, request: &Request) -> Answer {
        identity::answer(self.desk(), request).unwrap_or_else(|| self.obey(request))
    }

    /// Is as it was opened.
    fn resets(&mut self);

    fn unauthorized(&self) -> Answer;

    fn too_many(&self, retry_after: Option<u64>) -> Answer;

    /// A refusal of what was sent, for that field and reason.
    fn refused(&self, field: &str, message: &str) -> Answer;

    /// A body that says no under a status that says yes.
    fn error_inside(&self) -> Value;

    /// The beginning of an answer to a create.
    fn garbage(&self) -> &'static str;

    /// Paths of fields the book doesn't know.
    fn unknown_fields(&self, body: &Value) -> Vec<String>;

    fn switches(&self) -> anyhow::Result<Value>;

    fn sets_switches(&mut self, switches: Value) -> anyhow::Result<()>;

    /// Puts in what somebody else has put in; the ids by kind.
    fn seeds(&mut self, request: &Request) -> anyhow::Result<Value>;

    /// Routes of the control API that only this book has.
    fn control(&mut self, request: &Request, path: &[&str]) -> anyhow::Result<Option<Value>>;

    /// A fault has answered in the book's place.
    fn answers_instead(&mut self, _request: &Request, _answer: &Answer) {}
}

/// A book and its log, shared between requests.
#[derive(Debug)]
pub(crate) struct Core<K> {
    store: Arc<Mutex<K>>,
    log: Arc<Mutex<Log>>,
}

impl<K> Clone for Core<K> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), log: Arc::clone(&self.log) }
    }
}

impl<K: Keeper> Core<K> {
    pub(crate) fn new(store: K) -> Self {
        Self { store: Arc::new(Mutex::new(store)), log: Arc::new(Mutex::new(Log::new())) }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, K> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request, to the control API or the book's own.
    pub(crate) async fn answer(self, request: Request) -> Reply {
        if request.path.starts_with("/_control/") {
            return control::answer(&self, &request).into();
        }
        faults::answer(self, request).await
    }
}

/// Ways to watch and disturb a book that are the same for every book. Needs a field `core`.
macro_rules! desk_methods {
    () => {
        $crate::identity::identity_methods!();

        /// Its clock.
        #[must_use]
        pub fn clock(&self) -> $crate::clock::Clock {
            self.core.store().desk().clock.clone()
        }

        /// Answers a request without door or log, and of faults with those only that are an answer: for tests of many
        /// documents in one process.
        #[must_use]
        pub fn obeys(&self, request: &$crate::server::Request) -> $crate::server::Answer {
            $crate::desk::answer_at_once(&self.core, request)
        }

        /// Sets a fault for the next requests that match.
        pub fn faults(&self, fault: $crate::desk::FaultSpec) {
            self.core.store().desk().faults.push(fault);
        }

        /// Forgets the faults that are still to come.
        pub fn heals(&self) {
            self.core.store().desk().faults.clear();
        }

        /// Lets land what is late; returns the statuses nobody saw.
        pub fn releases_late(&self) -> Vec<u16> {
            $crate::desk::release(&mut *self.core.store())
        }

        /// How many requests are still to land.
        #[must_use]
        pub fn late(&self) -> usize {
            self.core.store().desk().late.len()
        }

        /// Accepts a token.
        pub fn accepts(&self, token: &str) {
            self.core.store().desk().tokens.insert(token.to_owned());
        }

        /// Accepts a token no more.
        pub fn revokes(&self, token: &str) {
            self.core.store().desk().tokens.remove(token);
        }

        /// How long each request takes at least.
        pub fn takes(&self, milliseconds: u64) {
            self.core.store().desk().latency_milliseconds = milliseconds;
        }

        /// Its log.
        #[must_use]
        pub fn log(&self) -> Vec<$crate::desk::LogEntry> {
            self.core.log().entries().to_vec()
        }

        /// Pairs of numbers of the log: requests that change something and were under way at once.
        #[must_use]
        pub fn overlaps(&self) -> Vec<(u64, u64)> {
            self.core.log().overlaps()
        }

        /// Is as it was opened.
        pub fn resets(&self) {
            self.core.store().resets();
            *self.core.log() = $crate::desk::Log::new();
        }
    };
}
pub(crate) use desk_methods;
