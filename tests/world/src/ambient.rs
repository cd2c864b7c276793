//! The only place of this crate that asks the machine for the time, for randomness or for the environment.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Seconds since the epoch, by the machine's clock.
#[allow(clippy::disallowed_methods, reason = "the default source of an injected clock")]
pub(crate) fn system_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}

/// Milliseconds since the epoch, by the machine's clock.
#[allow(clippy::disallowed_methods, reason = "deadlines of functions are real time")]
pub(crate) fn system_milliseconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// A point in time to measure durations from.
#[allow(clippy::disallowed_methods, reason = "durations are measured, not decided upon")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// A random identifier in its usual text form.
#[allow(clippy::disallowed_methods, reason = "the shop and the book make their own identifiers")]
pub(crate) fn fresh_uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A few variables a child process needs from our own environment.
#[allow(clippy::disallowed_methods, reason = "a child process needs a search path")]
pub(crate) fn inherited_environment() -> BTreeMap<String, String> {
    ["PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok().map(|value| (name.to_owned(), value)))
        .collect()
}
