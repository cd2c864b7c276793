//! Time and chance: the only place that asks the system for either.

use async_trait::async_trait;
use ledger_engine::ports::{Chance, Clock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock port")]
    fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .unwrap_or_default()
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

/// The system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

#[expect(clippy::disallowed_methods, reason = "this is the chance port")]
fn uuid() -> Uuid {
    Uuid::new_v4()
}

impl Chance for SystemChance {
    fn uuid(&self) -> String {
        uuid().to_string()
    }

    fn number(&self) -> u64 {
        // The two halves have fixed bits (version, variant) in different places.
        let (high, low) = uuid().as_u64_pair();
        high ^ low.rotate_left(32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn time_is_in_milliseconds_and_goes_on() {
        let now = SystemClock.now_ms();
        assert!(now > 1_700_000_000_000 && now < 10_000_000_000_000);
        assert!(SystemClock.now_ms() >= now);
    }

    #[test]
    fn chance_is_never_twice_the_same() {
        let ids: BTreeSet<String> = (0..1_000).map(|_| SystemChance.uuid()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.len() == 36));
        let numbers: BTreeSet<u64> = (0..1_000).map(|_| SystemChance.number()).collect();
        assert_eq!(numbers.len(), 1_000);
        let seen = numbers.iter().fold((0, u64::MAX), |(any, all), number| (any | number, all & number));
        assert_eq!(seen, (u64::MAX, 0), "every bit is sometimes 0 and sometimes 1");
    }
}
