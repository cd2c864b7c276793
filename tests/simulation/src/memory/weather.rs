//! What becomes of calls: decided from outside.

use super::index::Index;
use async_trait::async_trait;
use ledger_engine::ports::PortFault;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered.
    #[default]
    Fair,
    /// It is not carried out: no connection, or no answer to a request that never arrived. The caller can't tell it
    /// from [`Fate::ReplyLost`].
    Unavailable,
    /// It is not carried out: the service throttles.
    Throttled,
    /// It is not carried out: at each try somebody else was writing one of the rows. Reads and queues have no
    /// conflicts; there it is as [`Fate::Unavailable`].
    Conflict,
    /// It is carried out, and no try's answer arrives.
    ReplyLost,
    /// It is carried out so many milliseconds later, when the caller has given up, if it is one that may: else never.
    Late(i64),
    /// It is carried out, the answer is lost, and the adapter's next try is answered: a write of one row meets itself; a
    /// transaction repeats its request token and is answered as the first time.
    Repeated,
}

impl Fate {
    /// The fault of an operation that is not carried out.
    pub(super) fn refuses(self, call: &str) -> Option<PortFault> {
        let why = match self {
            Self::Fair | Self::ReplyLost | Self::Repeated => return None,
            Self::Unavailable | Self::Late(_) => "no answer",
            Self::Throttled => "throttled",
            Self::Conflict => "conflict",
        };
        Some(PortFault::Unavailable(format!("{call}: {why}")))
    }

    /// The fault of an operation that was carried out and whose answer is lost.
    pub(super) fn loses(self, call: &str) -> Option<PortFault> {
        (self == Self::ReplyLost).then(|| PortFault::Unavailable(format!("{call}: no answer")))
    }
}

/// Time, and what becomes of each operation.
///
/// Operations have the names of the port calls: `store.claim`, `queue.send`, `bells.receive`, `vault.open`. Where an
/// adapter makes a second operation of AWS in a call, that has a name of its own, with a second dot
/// (`store.commit.without_lease`).
#[async_trait]
pub trait Weather: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// Awaited before an operation is carried out: the time that the request takes. Nothing is locked meanwhile.
    async fn before(&self, _call: &'static str) -> Fate {
        Fate::Fair
    }

    /// Awaited after it was carried out: the time that the answer takes. Nothing is locked meanwhile. A caller that is
    /// dropped here never learns of what was done.
    async fn after(&self, _call: &'static str) {}

    /// Has a write be carried out so many milliseconds from now, whatever becomes of its caller; at once where nobody
    /// says otherwise.
    fn later(&self, _milliseconds: i64, work: Work) {
        work();
    }

    /// How long a write that is made now takes to reach an index, in milliseconds. Writes of one row reach it in their
    /// order all the same.
    fn index_lag_ms(&self, _index: Index) -> i64 {
        0
    }
}

/// What is carried out later.
pub type Work = Box<dyn FnOnce() + Send>;

struct Late {
    at: i64,
    work: Work,
}

impl std::fmt::Debug for Late {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Late").field("at", &self.at).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Set {
    now: i64,
    fates: BTreeMap<&'static str, VecDeque<Fate>>,
    lags: BTreeMap<Index, i64>,
    calls: Vec<&'static str>,
    late: Vec<Late>,
}

/// Weather by hand: a clock that is set, and the next fates of named operations.
#[derive(Debug, Default)]
pub struct Knobs {
    set: Mutex<Set>,
}

impl Knobs {
    /// Fair weather at a moment, in milliseconds since 1970.
    #[must_use]
    pub fn at(now: i64) -> Self {
        Self { set: Mutex::new(Set { now, ..Set::default() }) }
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the clock.
    pub fn now_is(&self, now: i64) {
        self.set().now = now;
    }

    /// Moves the clock on. What was to be carried out by then is.
    pub fn passes(&self, milliseconds: i64) {
        let due = {
            let mut set = self.set();
            set.now = set.now.saturating_add(milliseconds);
            let now = set.now;
            let (due, late) = std::mem::take(&mut set.late).into_iter().partition(|late: &Late| late.at <= now);
            set.late = late;
            due
        };
        let due: Vec<Late> = due;
        due.into_iter().for_each(|late| (late.work)());
    }

    /// The next operation of this name that has no fate yet has this one.
    pub fn next(&self, call: &'static str, fate: Fate) {
        self.set().fates.entry(call).or_default().push_back(fate);
    }

    /// How far an index lags from here on, in milliseconds.
    pub fn lags(&self, index: Index, milliseconds: i64) {
        self.set().lags.insert(index, milliseconds);
    }

    /// The operations so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.set().calls.clone()
    }
}

#[async_trait]
impl Weather for Knobs {
    fn now_ms(&self) -> i64 {
        self.set().now
    }

    async fn before(&self, call: &'static str) -> Fate {
        let mut set = self.set();
        set.calls.push(call);
        set.fates.get_mut(call).and_then(VecDeque::pop_front).unwrap_or_default()
    }

    fn later(&self, milliseconds: i64, work: Work) {
        let mut set = self.set();
        let at = set.now.saturating_add(milliseconds);
        set.late.push(Late { at, work });
    }

    fn index_lag_ms(&self, index: Index) -> i64 {
        self.set().lags.get(&index).copied().unwrap_or_default()
    }
}
