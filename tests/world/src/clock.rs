//! A clock that tests can move, so that nothing ever waits for a backoff.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::ambient;

/// Unix seconds from an injected function, plus an offset that can be advanced. Clones share the offset.
#[derive(Clone)]
pub struct Clock {
    source: Arc<dyn Fn() -> i64 + Send + Sync>,
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from_function(ambient::system_seconds)
    }

    /// A clock that stands still until it is advanced.
    #[must_use]
    pub fn standing_at(unix_seconds: i64) -> Self {
        Self::from_function(move || unix_seconds)
    }

    /// A clock read from a function that returns unix seconds.
    #[must_use]
    pub fn from_function(source: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self { source: Arc::new(source), offset: Arc::new(AtomicI64::new(0)) }
    }

    /// Unix seconds now.
    #[must_use]
    pub fn now(&self) -> i64 {
        (self.source)().saturating_add(self.offset.load(Ordering::SeqCst))
    }

    /// Moves the clock; a negative number moves it back.
    pub fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::SeqCst);
    }

    /// How far the clock has been moved so far.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::SeqCst)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Clock({})", self.now())
    }
}

/// `2026-11-20T09:30:00Z`; the empty text for a time outside the calendar.
#[must_use]
pub fn iso(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// `2026-11-20 09:30:00`, as databases print a time.
#[must_use]
pub fn database_time(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds)
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

/// `2026-11-20`
#[must_use]
pub fn date(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds).map(|time| time.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}
