//! Where a function lives: its clock, its chance, and the boundary that each of its port calls crosses.

use crate::faults::{Faults, StoreTrouble};
use crate::memory::{Fate, Index, Weather, Work};
use crate::time::{Moment, Time};
use crate::world::{Spoken, Stage};
use async_trait::async_trait;
use ledger_engine::ports::{Chance, Clock};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// On which side of a port call something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The call is never made.
    Before,
    /// The call is made, and its answer is lost.
    After,
}

/// What is to become of a function's invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doom {
    /// It dies at this boundary: twice the number of the port call, one more for behind it.
    pub dies_at: Option<u32>,
    /// It is frozen at this boundary, for so many milliseconds.
    pub freezes_at: Option<(u32, i64)>,
}

/// One invocation of a function.
#[derive(Debug, Default)]
pub struct Life {
    /// What is to become of it.
    pub doom: Doom,
    /// The dialect that it is about, where it is about one.
    pub spoken: Option<Spoken>,
    /// What it is, for the schedule.
    pub name: String,
    frozen_until: AtomicI64,
    dead: AtomicBool,
    made: Mutex<Made>,
}

/// The port calls of a life.
#[derive(Debug, Default)]
struct Made {
    calls: Vec<&'static str>,
    /// Those without an answer yet: a function may make several at once.
    open: Vec<(u32, &'static str)>,
    died_at: Option<u32>,
}

impl Life {
    /// A life with that doom.
    #[must_use]
    pub fn of(name: String, spoken: Option<Spoken>, doom: Doom) -> Self {
        Self { doom, spoken, name, ..Self::default() }
    }

    /// Until when it is frozen, in milliseconds.
    #[must_use]
    pub fn frozen_until(&self) -> i64 {
        self.frozen_until.load(Ordering::Relaxed)
    }

    /// It is over.
    pub fn dies(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// The port calls it made, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.made().calls.clone()
    }

    /// The boundary at which it was killed.
    #[must_use]
    pub fn died_at(&self) -> Option<u32> {
        self.made().died_at
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a boundary: twice that of the call, one more for behind it.
    fn boundary(&self, name: &'static str, side: Side) -> u32 {
        let mut made = self.made();
        match side {
            Side::Before => {
                let number = u32::try_from(made.calls.len()).unwrap_or(u32::MAX);
                made.calls.push(name);
                made.open.push((number, name));
                number.saturating_mul(2)
            }
            Side::After => {
                let at = made.open.iter().position(|(_, open)| *open == name);
                let number = at.map_or(u32::MAX, |at| made.open.remove(at).0);
                number.saturating_mul(2).saturating_add(1)
            }
        }
    }
}

/// A sandbox's surroundings.
#[derive(Debug)]
pub struct Room {
    /// The world around.
    pub stage: Arc<Stage>,
    /// How far its clock is from the true time, in milliseconds.
    pub skew_ms: i64,
    life: Mutex<Arc<Life>>,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(stage: Arc<Stage>, skew_ms: i64) -> Self {
        Self { stage, skew_ms, life: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The invocation under way.
    #[must_use]
    pub fn life(&self) -> Arc<Life> {
        self.lock().clone()
    }

    /// Another invocation begins.
    pub fn lives(&self, life: Arc<Life>) {
        *self.lock() = life;
    }

    /// Time.
    #[must_use]
    pub fn time(&self) -> &Time {
        &self.stage.time
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.stage.faults
    }

    /// Waits in this function's life.
    pub async fn waits(&self, milliseconds: i64) {
        let time = self.time();
        time.nap(time.now().saturating_add(milliseconds), self.life()).await;
    }

    /// Waits until a moment.
    pub async fn waits_until(&self, moment: i64) {
        self.time().nap(moment, self.life()).await;
    }

    /// A port call is about to be made, or was made: here functions die and freeze.
    pub async fn boundary(&self, name: &'static str, side: Side) {
        let life = self.life();
        let number = life.boundary(name, side);
        if life.doom.dies_at == Some(number) {
            life.made().died_at = Some(number);
            self.faults().killed(&life, name, side);
            life.dies();
            std::future::pending::<()>().await;
        }
        if let Some((at, milliseconds)) = life.doom.freezes_at
            && at == number
        {
            self.faults().frozen(&life, name);
            life.frozen_until.store(self.time().now().saturating_add(milliseconds), Ordering::Relaxed);
            self.waits(milliseconds).await;
        }
    }
}

/// A way into a room: what a function is given as its ports.
#[derive(Clone, Debug)]
pub struct Door(pub Arc<Room>);

impl std::ops::Deref for Door {
    type Target = Room;

    fn deref(&self) -> &Room {
        &self.0
    }
}

#[async_trait]
impl Clock for Door {
    fn now_ms(&self) -> i64 {
        self.time().now().saturating_add(self.skew_ms)
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        self.waits(i64::try_from(milliseconds).unwrap_or(i64::MAX)).await;
    }
}

impl Chance for Door {
    fn uuid(&self) -> String {
        self.stage.with_chance(|chance| {
            let (high, low) = (chance.number(), chance.number());
            format!("{:08x}-{:04x}-4000-8000-{:012x}", high >> 32, high & 0xffff, low >> 16)
        })
    }

    fn number(&self) -> u64 {
        self.stage.with_chance(ledger_conformance::seed::Seed::number)
    }
}

#[async_trait]
impl Weather for Room {
    fn now_ms(&self) -> i64 {
        self.time().now()
    }

    async fn before(&self, call: &'static str) -> Fate {
        self.boundary(call, Side::Before).await;
        let took = self.stage.latency(crate::world::Latency::Store);
        self.waits(took).await;
        match self.faults().store(&self.life(), call) {
            None => Fate::Fair,
            Some(StoreTrouble::Throttled) => Fate::Throttled,
            Some(StoreTrouble::Conflict) => Fate::Conflict,
            Some(StoreTrouble::Unavailable) => Fate::Unavailable,
            Some(StoreTrouble::ReplyLost) => Fate::ReplyLost,
            Some(StoreTrouble::Repeated) => Fate::Repeated,
            Some(StoreTrouble::Late(milliseconds)) => Fate::Late(milliseconds),
        }
    }

    fn later(&self, milliseconds: i64, work: Work) {
        let at = self.time().now().saturating_add(milliseconds);
        self.time().at(at, Moment::Arrives(work));
        // Whoever takes what is there by then has to look.
        let stage = Arc::clone(&self.stage);
        self.time().at(at.saturating_add(1), Moment::Arrives(Box::new(move || stage.queues_move())));
    }

    async fn after(&self, call: &'static str) {
        if call.starts_with("queue.") {
            self.stage.queues_move();
        }
        self.boundary(call, Side::After).await;
    }

    fn index_lag_ms(&self, _: Index) -> i64 {
        self.stage.index_lag()
    }
}
