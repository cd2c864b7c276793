//! The only place of this crate that asks the machine for the time, for randomness or for the environment.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tokens are judged by real time")]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// A point in time to measure durations from.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "durations are measured")]
pub fn instant() -> Instant {
    Instant::now()
}

/// A random id.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "stand-ins make their own ids")]
pub fn fresh_uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A variable of the environment.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a tool is told by its environment what to measure")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The workspace's folder.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
