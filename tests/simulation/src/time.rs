//! Simulated time, and the tasks that live in it: nothing runs at once, nothing waits for real, and of what happens at the
//! same moment a seed decides which comes first.

use crate::room::Life;
use ledger_conformance::seed::Seed;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What happens at a moment.
pub enum Moment {
    /// Somebody who waited goes on.
    Wakes(Waker),
    /// A request that was under way arrives, whether or not anybody still waits for the answer.
    Arrives(Box<dyn FnOnce() + Send>),
    /// A turn of the world, which knows what it means.
    Turn(crate::world::Turn),
}

struct Entry {
    at: i64,
    tie: u64,
    sequence: u64,
    moment: Moment,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The heap gives the greatest first: the earliest moment is the greatest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.tie, other.sequence).cmp(&(self.at, self.tie, self.sequence))
    }
}

struct Inside {
    now: i64,
    sequence: u64,
    ties: Seed,
    heap: BinaryHeap<Entry>,
}

/// Time. Clones are the same.
#[derive(Clone)]
pub struct Time {
    inside: Arc<Mutex<Inside>>,
}

impl std::fmt::Debug for Time {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Time({})", self.now())
    }
}

impl Time {
    /// Time that begins at a moment, in milliseconds; `seed` decides ties.
    #[must_use]
    pub fn beginning_at(now: i64, seed: u64) -> Self {
        let inside = Inside { now, sequence: 0, ties: Seed::of(seed), heap: BinaryHeap::new() };
        Self { inside: Arc::new(Mutex::new(inside)) }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.inside().now
    }

    /// Has something happen at a moment; one that is past means now.
    pub fn at(&self, at: i64, moment: Moment) {
        let mut inside = self.inside();
        inside.sequence = inside.sequence.saturating_add(1);
        let (at, tie, sequence) = (at.max(inside.now), inside.ties.number(), inside.sequence);
        inside.heap.push(Entry { at, tie, sequence, moment });
    }

    /// The next thing that happens before `until`; time moves to it. `None` where nothing does.
    #[must_use]
    pub fn next_before(&self, until: i64) -> Option<Moment> {
        let mut inside = self.inside();
        if inside.heap.peek().is_none_or(|entry| entry.at >= until) {
            return None;
        }
        let entry = inside.heap.pop()?;
        inside.now = inside.now.max(entry.at);
        Some(entry.moment)
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<i64> {
        self.inside().heap.peek().map(|entry| entry.at)
    }

    /// Moves on to a moment, if that is later.
    pub fn moves_to(&self, moment: i64) {
        let mut inside = self.inside();
        inside.now = inside.now.max(moment);
    }

    /// Waits until a moment, in the life of a function.
    #[must_use]
    pub fn nap(&self, until: i64, life: Arc<Life>) -> Nap {
        Nap { time: self.clone(), until, life, armed: None }
    }
}

/// Waiting. A function that is frozen meanwhile waits longer.
#[derive(Debug)]
pub struct Nap {
    time: Time,
    until: i64,
    life: Arc<Life>,
    armed: Option<i64>,
}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until.max(self.life.frozen_until());
        if self.time.now() >= until {
            return Poll::Ready(());
        }
        if self.armed != Some(until) {
            self.time.at(until, Moment::Wakes(context.waker().clone()));
            self.armed = Some(until);
        }
        Poll::Pending
    }
}

struct Flag {
    task: u64,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.task);
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    waker: Waker,
    life: Arc<Life>,
}

/// How a task stands after it had its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It waits.
    Waits,
    /// It is over.
    Ended,
    /// It was killed: it never goes on.
    Killed,
}

/// The tasks of a world.
#[derive(Default)]
pub struct Tasks {
    tasks: BTreeMap<u64, Task>,
    ready: Arc<Mutex<VecDeque<u64>>>,
    last: u64,
}

impl Tasks {
    /// Begins a task; its number.
    pub fn begins(&mut self, future: Pin<Box<dyn Future<Output = ()> + Send>>, life: Arc<Life>) -> u64 {
        self.last = self.last.saturating_add(1);
        let flag = Arc::new(Flag { task: self.last, ready: Arc::clone(&self.ready) });
        flag.clone().wake();
        self.tasks.insert(self.last, Task { future, waker: Waker::from(flag), life });
        self.last
    }

    /// The next task that can go on.
    #[must_use]
    pub fn next_ready(&self) -> Option<u64> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Lets a task go on; `None` where there is none of that number any more.
    pub fn goes_on(&mut self, number: u64) -> Option<Stands> {
        let task = self.tasks.get_mut(&number)?;
        let ended = task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready();
        let stands = match (ended, task.life.is_dead()) {
            (true, _) => Stands::Ended,
            (false, true) => Stands::Killed,
            (false, false) => Stands::Waits,
        };
        if stands != Stands::Waits {
            self.tasks.remove(&number);
        }
        Some(stands)
    }

    /// Kills a task wherever it is; false where it is over.
    pub fn kills(&mut self, number: u64) -> bool {
        self.tasks.remove(&number).inspect(|task| task.life.dies()).is_some()
    }

    /// Whether nobody is at work.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}
