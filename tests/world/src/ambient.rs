//! The only place of this crate that asks the machine for the time, for randomness or for the environment.

use std::cell::Cell;
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

thread_local! {
    /// The stream that this thread's identifiers are drawn from, where a test wants to see the same ones again.
    static STREAM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From here on the identifiers that stand-ins make on this thread are drawn from a seed; with none, from chance again.
pub fn draws_identifiers_from(seed: Option<u64>) {
    STREAM.set(seed);
}

/// The next number of a stream (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
fn next_of(stream: u64) -> (u64, u64) {
    let next = stream.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = next;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (next, mixed ^ (mixed >> 31))
}

/// A random identifier in its usual text form.
#[allow(clippy::disallowed_methods, reason = "the shop and the book make their own identifiers")]
pub(crate) fn fresh_uuid() -> String {
    match STREAM.get() {
        None => uuid::Uuid::new_v4().to_string(),
        Some(stream) => {
            let (stream, high) = next_of(stream);
            let (stream, low) = next_of(stream);
            STREAM.set(Some(stream));
            let bytes = uuid::Uuid::from_u64_pair(high, low).into_bytes();
            uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
        }
    }
}

/// A few variables a child process needs from our own environment.
#[allow(clippy::disallowed_methods, reason = "a child process needs a search path")]
pub(crate) fn inherited_environment() -> BTreeMap<String, String> {
    ["PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok().map(|value| (name.to_owned(), value)))
        .collect()
}
