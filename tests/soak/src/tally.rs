//! What happened: deliveries that were taken, and what struck.

use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an invocation that ends without an answer is called in the engine's log.
const CUT_SHORT: &str = "Runtime exited before returning";

/// What became of deliveries and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Runs that a delivery was answered with, by their ids: place and key.
    accepted: Mutex<BTreeMap<String, (usize, String)>>,
    /// What is wrong whatever the books say.
    wrong: Mutex<BTreeSet<String>>,
    /// Kills by function.
    kills: Mutex<BTreeMap<String, u64>>,
    answers: AtomicU64,
    put_off: AtomicU64,
    repeated: AtomicU64,
    restarts: AtomicU64,
    storms: AtomicU64,
    grants: AtomicU64,
    held_most: AtomicU64,
    sweeps: AtomicU64,
    engine_away: AtomicBool,
}

/// How often everything struck.
#[derive(Clone, Debug, Default)]
pub(crate) struct Struck {
    counts: BTreeMap<String, u64>,
    calm: bool,
}

impl Struck {
    /// Whether each kind of trouble struck.
    pub(crate) fn is_complete(&self) -> bool {
        self.calm || self.missing().is_empty()
    }

    fn missing(&self) -> Vec<&str> {
        self.counts.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name.as_str()).collect()
    }

    /// For people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let counts: Vec<String> = self.counts.iter().map(|(name, count)| format!("{name}={count}")).collect();
        let mut lines = vec![format!("struck: {}", counts.join(" "))];
        if !self.is_complete() {
            lines.push(format!("WRONG: never struck: {}", self.missing().join(", ")));
        }
        lines
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// A delivery was answered with a run.
    pub(crate) fn accepts(&self, run_id: &str, place: usize, key: &str) {
        one(&self.answers);
        let before = locked(&self.accepted).insert(run_id.to_owned(), (place, key.to_owned()));
        if before.as_ref().is_some_and(|before| *before != (place, key.to_owned())) {
            self.finds(format!("run {run_id} stands for {before:?} and for {key}"));
        }
    }

    /// A delivery was not taken; the shop sends it again.
    pub(crate) fn puts_off(&self) {
        one(&self.put_off);
    }

    pub(crate) fn repeats(&self) {
        one(&self.repeated);
    }

    pub(crate) fn kills(&self, function: &str) {
        let mut kills = locked(&self.kills);
        let count = kills.entry(function.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn restarts(&self) {
        one(&self.restarts);
    }

    pub(crate) fn storms(&self) {
        one(&self.storms);
    }

    pub(crate) fn revokes(&self) {
        one(&self.grants);
    }

    pub(crate) fn swept(&self) {
        one(&self.sweeps);
    }

    pub(crate) fn holds(&self, runs: usize) {
        self.held_most.fetch_max(u64::try_from(runs).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn engine_is_away(&self, away: bool) {
        self.engine_away.store(away, Ordering::Relaxed);
    }

    pub(crate) fn is_engine_away(&self) -> bool {
        self.engine_away.load(Ordering::Relaxed)
    }

    /// Something is wrong.
    pub(crate) fn finds(&self, wrong: String) {
        locked(&self.wrong).insert(wrong);
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        locked(&self.wrong).iter().cloned().collect()
    }

    /// The runs that deliveries were answered with.
    pub(crate) fn accepted(&self) -> BTreeMap<String, (usize, String)> {
        locked(&self.accepted).clone()
    }

    /// How far it is.
    pub(crate) async fn progress(&self, world: &World) -> Progress {
        let rows = world.places.iter().map(|it| it.shop.outbox().len()).sum();
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let pending = world.places.iter().map(crate::trade::pending_chips).sum();
        let held =
            if self.is_engine_away() { None } else { world.stack.operate().held().await.ok().map(|it| it.len()) };
        if let Some(held) = held {
            self.holds(held);
        }
        Progress {
            rows,
            accepted: locked(&self.accepted).len(),
            put_off: number(&self.put_off),
            pending,
            held,
            kills: locked(&self.kills).values().sum(),
            restarts: number(&self.restarts),
            storms: number(&self.storms),
            sweeps: number(&self.sweeps),
        }
    }

    /// Everything that struck.
    pub(crate) async fn struck(&self, world: &World, calm: bool) -> anyhow::Result<Struck> {
        let mut counts = BTreeMap::new();
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        counts.insert("kills".to_owned(), locked(&self.kills).values().sum());
        for kind in crate::trouble::KINDS {
            let count = locked(&self.kills).get(kind).copied().unwrap_or_default();
            counts.insert(format!("kills_of_{kind}"), count);
        }
        let log = tokio::fs::read(world.folder.join("logs/engine.log")).await.unwrap_or_default();
        let cut_short = String::from_utf8_lossy(&log).lines().filter(|line| line.contains(CUT_SHORT)).count();
        counts.insert("invocations_cut_short".to_owned(), u64::try_from(cut_short)?);
        counts.insert("restarts".to_owned(), number(&self.restarts));
        counts.insert("storms".to_owned(), number(&self.storms));
        counts.insert("grants_revoked".to_owned(), number(&self.grants));
        counts.insert("held_at_most".to_owned(), number(&self.held_most));
        counts.insert("repeated".to_owned(), number(&self.repeated));
        let log: Vec<_> = world.places.iter().flat_map(|it| it.log()).collect();
        for status in [429_u16, 500, 502, 504] {
            let met = log.iter().filter(|entry| entry.fault.is_some() && entry.status == Some(status)).count();
            counts.insert(format!("book_{status}"), u64::try_from(met)?);
        }
        let hung_up = log.iter().filter(|entry| entry.fault.as_deref() == Some("hang_up")).count();
        counts.insert("book_hung_up".to_owned(), u64::try_from(hung_up)?);
        let proxied = world.asks_proxy("GET", "struck", None).await?;
        for (name, count) in proxied.as_object().into_iter().flatten() {
            counts.insert(format!("aws_{name}"), count.as_u64().unwrap_or_default());
        }
        Ok(Struck { counts, calm })
    }
}

/// A line of progress.
pub(crate) struct Progress {
    rows: usize,
    accepted: usize,
    put_off: u64,
    pending: usize,
    held: Option<usize>,
    kills: u64,
    restarts: u64,
    storms: u64,
    sweeps: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, accepted, put_off, pending, kills, restarts, storms, sweeps, .. } = self;
        let held = self.held.map_or_else(|| "?".to_owned(), |held| held.to_string());
        write!(
            out,
            "rows={rows} accepted={accepted} put_off={put_off} chips_pending={pending} held={held} kills={kills} restarts={restarts} storms={storms} sweeps={sweeps}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_struck_is_told() {
        let struck = |calm: bool| Struck {
            counts: [("kills", 3), ("storms", 0)].map(|(name, count)| (name.to_owned(), count)).into(),
            calm,
        };
        assert!(!struck(false).is_complete());
        assert_eq!(struck(false).lines(), ["struck: kills=3 storms=0", "WRONG: never struck: storms"]);
        assert!(struck(true).is_complete());
    }

    #[test]
    fn a_run_is_that_of_one_delivery() {
        let tally = Tally::default();
        tally.accepts("run", 0, "invoice.created:1");
        tally.accepts("run", 0, "invoice.created:1");
        assert!(tally.wrong().is_empty() && tally.accepted().len() == 1);
        tally.accepts("run", 0, "invoice.created:2");
        assert_eq!(tally.wrong().len(), 1);
    }
}
