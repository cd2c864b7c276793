//! What goes wrong in a world, by a seed's choice: at which boundary, how often, and what of it struck.
//!
//! A seed takes some kinds of [`Fault`] and gives each a rate and a number of times. Whoever passes a boundary asks; what
//! struck is counted by kind and dialect, and noted in the schedule.

use crate::room::{Life, Side};
use crate::time::Time;
use crate::world::Spoken;
use ledger_conformance::seed::Seed;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

macro_rules! faults {
    ($($name:ident = $text:literal, rate $rate:literal, times $times:literal;)*) => {
        /// A kind of trouble.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = $text] $name,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is called in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How often it strikes of a thousand times that it could, where a seed has taken it.
            const fn rate(self) -> u64 {
                match self { $(Self::$name => $rate,)* }
            }

            /// How often it strikes at most.
            const fn times(self) -> u64 {
                match self { $(Self::$name => $times,)* }
            }
        }
    };
}

faults! {
    RequestDropped = "request dropped", rate 60, times 4;
    ReplyLost = "reply dropped after it was applied", rate 70, times 4;
    AppliedLate = "applied late, after it was looked for", rate 70, times 3;
    Slow = "slow past the timeout", rate 60, times 3;
    LimitedNamed = "429 with Retry-After", rate 60, times 4;
    LimitedUnnamed = "429 without Retry-After", rate 60, times 4;
    DayLimit = "limit of the day", rate 25, times 1;
    Internal = "500 with a page", rate 60, times 4;
    BadGateway = "502 with a page", rate 60, times 4;
    GatewayTimeout = "504 with a page", rate 60, times 4;
    ErrorInside = "200 with an error inside", rate 60, times 3;
    WrongTotal = "wrong total", rate 60, times 1;
    Unauthorised = "401 in the middle", rate 40, times 2;
    TokenRevoked = "grant revoked", rate 25, times 1;
    TokenReplyLost = "reply of the token endpoint lost", rate 300, times 1;
    Killed = "function killed", rate 120, times 4;
    Frozen = "function frozen and thawed", rate 120, times 3;
    Redelivered = "message delivered again", rate 120, times 4;
    TwoAtOnce = "two workers on one message", rate 100, times 3;
    Reordered = "messages out of order", rate 200, times 6;
    StoreThrottled = "store throttled", rate 15, times 5;
    StoreConflict = "store in conflict", rate 15, times 5;
    StoreReplyLost = "answer of the store lost", rate 15, times 5;
    WrittenLate = "written after the writer gave up", rate 40, times 4;
    IndexLagged = "index late", rate 250, times 40;
    SendFailed = "message not sent", rate 150, times 5;
    VaultDown = "KMS down", rate 150, times 4;
    SweeperOverlapped = "sweepers overlapping", rate 250, times 6;
    SweeperDied = "sweeper dead", rate 150, times 4;
    ClockJumped = "clock jumped", rate 40, times 2;
    Restored = "tables restored to an older copy", rate 20, times 1;
    ShopDown = "shop down", rate 80, times 4;
    ShopReplyLost = "shop's reply lost", rate 80, times 4;
    ShopRefused = "shop refuses a token", rate 50, times 2;
    DeliveryReplyLost = "answer to a delivery lost", rate 120, times 4;
}

/// What a request to a book does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writes {
    /// It asks.
    Nothing,
    /// It changes what is there, and may be repeated.
    Changes,
    /// It makes something.
    Creates,
    /// It makes a document with a total.
    CreatesTotal,
}

/// What becomes of a request to a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookTrouble {
    /// It never arrives, and nothing is sent at all where `at_once`.
    Dropped {
        /// No connection; else no answer.
        at_once: bool,
    },
    /// It is obeyed, the answer never comes.
    ReplyLost,
    /// It is obeyed that many milliseconds after it was sent, when nobody waits any more. A proxy says so, or nobody.
    Late {
        /// When.
        milliseconds: i64,
        /// The status of a proxy that gave up.
        status: Option<u16>,
    },
    /// It is obeyed at once, and answered after the timeout.
    Slow,
    /// 429.
    Limited {
        /// `Retry-After`, in seconds.
        named: Option<u64>,
        /// All further requests are refused until then too.
        lasts: bool,
    },
    /// A page for people.
    Page {
        /// The status.
        status: u16,
        /// Whether the request is obeyed all the same.
        applied: bool,
    },
    /// 200 with an error inside.
    ErrorInside,
    /// Obeyed, with another total.
    WrongTotal,
    /// 401: the access token is dead.
    Unauthorised,
    /// The person behind the grant takes it back, just now.
    Revoked,
}

/// What becomes of an operation of the store, of a queue or of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreTrouble {
    /// Throttled.
    Throttled,
    /// Others were writing, at each try.
    Conflict,
    /// No answer, nothing done.
    Unavailable,
    /// Done, no answer.
    ReplyLost,
    /// Done, the answer lost, and done again by the client.
    Repeated,
    /// No answer, and done that many milliseconds later.
    Late(i64),
}

/// Calls that may arrive when their caller has given up.
const LATE_CALLS: [&str; 7] = [
    "store.accept",
    "store.revisit",
    "store.claim",
    "store.progress",
    "store.commit",
    "store.replace_run",
    "queue.send",
];
/// The latest at which they do, in milliseconds.
const WRITTEN_LATE_MS: u64 = 20_000;

/// Trouble that is to strike the first request to a book that it fits, once all before it on the list has struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripted {
    /// What the function that makes the request is called, or begins with.
    pub who: &'static str,
    /// What the request's method and path begin with.
    pub call: &'static str,
    /// Its kind.
    pub fault: Fault,
    /// The trouble.
    pub trouble: BookTrouble,
}

/// What becomes of a request to a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShopTrouble {
    /// Nobody is there.
    Unreachable,
    /// A proxy without a shop behind it.
    Page(u16),
    /// Obeyed, the answer lost.
    ReplyLost,
    /// 401.
    Refused,
}

struct Inside {
    chance: Seed,
    left: BTreeMap<Fault, u64>,
    struck: BTreeMap<(Fault, Spoken), u32>,
    script: VecDeque<Scripted>,
    schedule: Vec<String>,
    began: i64,
}

/// What goes wrong.
pub struct Faults {
    inside: Mutex<Inside>,
    time: Time,
    home: Spoken,
    chosen: Vec<Fault>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Faults").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

/// Least number of kinds that a seed takes.
const KINDS_MIN: u64 = 5;
/// Most.
const KINDS_MAX: u64 = 9;

impl Faults {
    /// The faults of a seed. What concerns no book counts for `home`.
    #[must_use]
    pub fn of(seed: u64, time: Time, home: Spoken) -> Self {
        let mut chance = Seed::of(seed);
        let mut chosen = Vec::new();
        let kinds = usize::try_from(chance.between(KINDS_MIN, KINDS_MAX)).unwrap_or_default();
        while chosen.len() < kinds {
            if let Some(fault) = chance.one_of(Fault::ALL)
                && !chosen.contains(fault)
            {
                chosen.push(*fault);
            }
        }
        Self::with(chance, time, home, chosen)
    }

    /// No faults but those of a script.
    #[must_use]
    pub fn scripted(time: Time, home: Spoken, script: &[Scripted]) -> Self {
        let faults = Self::with(Seed::of(0), time, home, Vec::new());
        faults.inside().script.extend(script.iter().cloned());
        faults
    }

    fn with(mut chance: Seed, time: Time, home: Spoken, chosen: Vec<Fault>) -> Self {
        let left = chosen.iter().map(|fault| (*fault, chance.between(1, fault.times()))).collect();
        let began = time.now();
        let inside =
            Inside { chance, left, struck: BTreeMap::new(), script: VecDeque::new(), schedule: Vec::new(), began };
        Self { inside: Mutex::new(inside), time, home, chosen }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kinds that the seed has taken.
    #[must_use]
    pub fn chosen(&self) -> &[Fault] {
        &self.chosen
    }

    /// Nothing goes wrong from here on.
    pub fn ends(&self) {
        self.inside().left.clear();
    }

    /// What struck, by kind and dialect.
    #[must_use]
    pub fn struck(&self) -> BTreeMap<(Fault, Spoken), u32> {
        self.inside().struck.clone()
    }

    /// How often a kind struck.
    #[must_use]
    pub fn times(&self, fault: Fault) -> u32 {
        let inside = self.inside();
        inside.struck.iter().filter(|((kind, _), _)| *kind == fault).map(|(_, times)| *times).sum()
    }

    /// What happened, in order.
    #[must_use]
    pub fn schedule(&self) -> Vec<String> {
        self.inside().schedule.clone()
    }

    /// Notes something that is no fault.
    pub fn note(&self, what: &str) {
        let now = self.time.now();
        let mut inside = self.inside();
        let line = stamped(now.saturating_sub(inside.began), what);
        inside.schedule.push(line);
    }

    fn counts(&self, inside: &mut Inside, fault: Fault, spoken: Option<Spoken>, what: &str) {
        let times = inside.struck.entry((fault, spoken.unwrap_or(self.home))).or_default();
        *times = times.saturating_add(1);
        let at = self.time.now().saturating_sub(inside.began);
        let text = format!("{} ({}): {what}", fault.name(), spoken.unwrap_or(self.home).dialect());
        inside.schedule.push(stamped(at, &text));
    }

    /// Whether a fault is due: it takes one of its times, and still has to strike.
    fn is_due(inside: &mut Inside, fault: Fault) -> bool {
        let Some(left) = inside.left.get(&fault).copied().filter(|left| *left > 0) else { return false };
        if !inside.chance.happens(fault.rate()) {
            return false;
        }
        inside.left.insert(fault, left.saturating_sub(1));
        true
    }

    /// Whether a fault strikes here and now.
    #[must_use]
    pub fn strikes(&self, fault: Fault, spoken: Option<Spoken>, what: &str) -> bool {
        let mut inside = self.inside();
        let strikes = Self::is_due(&mut inside, fault);
        if strikes {
            self.counts(&mut inside, fault, spoken, what);
        }
        strikes
    }

    /// A fault that somebody else decided upon has struck.
    pub fn struck_now(&self, fault: Fault, what: &str) {
        self.counts(&mut self.inside(), fault, None, what);
    }

    /// Whether a fault is to strike at some time that is decided by whoever asks.
    #[must_use]
    pub fn is_to_strike(&self, fault: Fault) -> bool {
        Self::is_due(&mut self.inside(), fault)
    }

    /// A number of the faults' own chance.
    #[must_use]
    pub fn between(&self, least: u64, most: u64) -> u64 {
        self.inside().chance.between(least, most)
    }

    /// A function was killed.
    pub fn killed(&self, life: &Life, name: &str, side: Side) {
        let fault = if life.name.starts_with("sweeper") { Fault::SweeperDied } else { Fault::Killed };
        let what = format!("{} {} {name}", life.name, if side == Side::Before { "before" } else { "after" });
        self.counts(&mut self.inside(), fault, life.spoken, &what);
    }

    /// A function ran into its timeout.
    pub fn timed_out(&self, life: &Life) {
        let fault = if life.name.starts_with("sweeper") { Fault::SweeperDied } else { Fault::Killed };
        self.counts(&mut self.inside(), fault, life.spoken, &format!("{} at its timeout", life.name));
    }

    /// A function was frozen.
    pub fn frozen(&self, life: &Life, name: &str) {
        self.counts(&mut self.inside(), Fault::Frozen, life.spoken, &format!("{} at {name}", life.name));
    }

    /// What becomes of an operation of the store, of a queue or of the vault.
    #[must_use]
    pub fn store(&self, life: &Life, call: &'static str) -> Option<StoreTrouble> {
        let mut inside = self.inside();
        let inside = &mut *inside;
        let what = || format!("{} at {call}", life.name);
        if call.starts_with("vault.") {
            if Self::is_due(inside, Fault::VaultDown) {
                self.counts(inside, Fault::VaultDown, life.spoken, &what());
                return Some(StoreTrouble::Unavailable);
            }
            return None;
        }
        if LATE_CALLS.contains(&call) && Self::is_due(inside, Fault::WrittenLate) {
            self.counts(inside, Fault::WrittenLate, life.spoken, &what());
            let late = i64::try_from(inside.chance.between(500, WRITTEN_LATE_MS)).unwrap_or_default();
            return Some(StoreTrouble::Late(late));
        }
        if call == "queue.send" {
            if Self::is_due(inside, Fault::SendFailed) {
                self.counts(inside, Fault::SendFailed, life.spoken, &what());
                let lost = inside.chance.happens(300);
                return Some(if lost { StoreTrouble::ReplyLost } else { StoreTrouble::Unavailable });
            }
            return None;
        }
        for (fault, trouble) in [
            (Fault::StoreThrottled, StoreTrouble::Throttled),
            (Fault::StoreConflict, StoreTrouble::Conflict),
            (Fault::StoreReplyLost, StoreTrouble::ReplyLost),
        ] {
            if Self::is_due(inside, fault) {
                self.counts(inside, fault, life.spoken, &what());
                let repeated = fault == Fault::StoreReplyLost && inside.chance.happens(400);
                return Some(if repeated { StoreTrouble::Repeated } else { trouble });
            }
        }
        None
    }

    /// What becomes of a request to a book.
    #[must_use]
    #[allow(clippy::wildcard_enum_match_arm, reason = "all other kinds strike elsewhere")]
    pub fn book(&self, life: &Life, spoken: Spoken, call: &str, writes: Writes) -> Option<BookTrouble> {
        let mut inside = self.inside();
        let inside = &mut *inside;
        if inside.script.front().is_some_and(|next| call.starts_with(next.call) && life.name.starts_with(next.who)) {
            let Scripted { fault, trouble, .. } = inside.script.pop_front()?;
            self.counts(inside, fault, Some(spoken), &format!("{} at {call}: {trouble:?}", life.name));
            return Some(trouble);
        }
        let fault = *self.chosen.iter().find(|fault| {
            let fits = match fault {
                Fault::ReplyLost | Fault::ErrorInside => writes >= Writes::Changes,
                // A change that comes late would undo a later one: no order is promised for those.
                Fault::AppliedLate => writes >= Writes::Creates,
                Fault::WrongTotal => writes == Writes::CreatesTotal,
                Fault::RequestDropped
                | Fault::Slow
                | Fault::LimitedNamed
                | Fault::LimitedUnnamed
                | Fault::DayLimit
                | Fault::Internal
                | Fault::BadGateway
                | Fault::GatewayTimeout
                | Fault::Unauthorised
                | Fault::TokenRevoked => true,
                _ => false,
            };
            fits && Self::is_due(inside, **fault)
        })?;
        let chance = &mut inside.chance;
        let applied = chance.happens(500);
        let trouble = match fault {
            Fault::RequestDropped => BookTrouble::Dropped { at_once: chance.happens(400) },
            Fault::ReplyLost => BookTrouble::ReplyLost,
            Fault::AppliedLate => BookTrouble::Late {
                milliseconds: i64::try_from(chance.between(21_000, spoken.latest_ms())).unwrap_or_default(),
                status: chance.happens(300).then_some(504),
            },
            Fault::Slow => BookTrouble::Slow,
            Fault::LimitedNamed => BookTrouble::Limited { named: Some(chance.between(1, 90)), lasts: false },
            Fault::LimitedUnnamed => BookTrouble::Limited { named: None, lasts: false },
            Fault::DayLimit => BookTrouble::Limited { named: Some(chance.between(3_600, 21_600)), lasts: true },
            Fault::Internal => BookTrouble::Page { status: 500, applied },
            Fault::BadGateway => BookTrouble::Page { status: 502, applied },
            Fault::GatewayTimeout => BookTrouble::Page { status: 504, applied },
            Fault::ErrorInside => BookTrouble::ErrorInside,
            Fault::WrongTotal => BookTrouble::WrongTotal,
            Fault::Unauthorised => BookTrouble::Unauthorised,
            _ => BookTrouble::Revoked,
        };
        let what = format!("{} at {call}: {trouble:?}", life.name);
        self.counts(inside, fault, Some(spoken), &what);
        Some(trouble)
    }

    /// What becomes of a request to a shop.
    #[must_use]
    #[allow(clippy::wildcard_enum_match_arm, reason = "all other kinds strike elsewhere")]
    pub fn shop(&self, life: &Life, path: &str) -> Option<ShopTrouble> {
        let mut inside = self.inside();
        let inside = &mut *inside;
        for fault in [Fault::ShopDown, Fault::ShopReplyLost, Fault::ShopRefused] {
            if Self::is_due(inside, fault) {
                let trouble = match fault {
                    Fault::ShopDown if inside.chance.happens(500) => ShopTrouble::Unreachable,
                    Fault::ShopDown => ShopTrouble::Page(503),
                    Fault::ShopReplyLost => ShopTrouble::ReplyLost,
                    _ => ShopTrouble::Refused,
                };
                self.counts(inside, fault, life.spoken, &format!("{} at {path}: {trouble:?}", life.name));
                return Some(trouble);
            }
        }
        None
    }
}

fn stamped(at: i64, what: &str) -> String {
    let seconds = at.div_euclid(1_000);
    format!("{:>6}.{:03} s  {what}", seconds, at.rem_euclid(1_000))
}
