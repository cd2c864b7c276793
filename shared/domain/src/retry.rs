//! When to try again.

/// Delays of successive attempts of a run, in seconds; the last one repeats until the horizon.
pub const RETRY_DELAYS_SECONDS: [u64; 8] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600];
/// A run that failed for this long, held time not counted, is dead-lettered: three days.
pub const RETRY_HORIZON_SECONDS: u64 = 259_200;
/// Pauses of a book that names no time, in seconds, by how many followed one another; the last one repeats.
pub const PAUSE_DELAYS_SECONDS: [u64; 5] = [60, 120, 300, 600, 900];
/// The longest pause of a book that is kept to, in seconds (a day): a book's own day is over by then.
pub const PAUSE_MAX_SECONDS: u64 = 86_400;
/// Delays after which a queued run that nobody claimed is sent again, as multiples of the stack's stall time
/// (10 minutes by default: 10 minutes, 1 hour, 6 hours, then daily).
pub const STALL_MULTIPLES: [u64; 4] = [1, 6, 36, 144];
/// Delays of successive pushes of a chip, in seconds; the last one repeats.
pub const PUSH_DELAYS_SECONDS: [u64; 6] = [10, 60, 300, 1_800, 7_200, 21_600];
/// A delay may grow by up to this share, in percent, so that runs that failed together do not return together.
const JITTER_PERCENT: u64 = 20;

fn at(delays: &[u64], index: u32) -> u64 {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    delays.get(index).or_else(|| delays.last()).copied().unwrap_or_default()
}

/// Milliseconds to wait before the next attempt after `failures` failed ones (1 for the first), scaled by the stack's
/// retry scale in percent, with `chance` (any number) choosing the jitter.
#[must_use]
pub fn retry_delay_ms(failures: u32, scale_percent: u64, chance: u64) -> u64 {
    jittered(at(&RETRY_DELAYS_SECONDS, failures.saturating_sub(1)), scale_percent, chance)
}

/// Milliseconds to wait before a chip is pushed again after `failures` failed pushes.
#[must_use]
pub fn push_delay_ms(failures: u32, scale_percent: u64, chance: u64) -> u64 {
    jittered(at(&PUSH_DELAYS_SECONDS, failures.saturating_sub(1)), scale_percent, chance)
}

/// True where a run that has failed since then, in milliseconds, has had its time.
#[must_use]
pub fn horizon_is_over(failing_since: i64, now: i64) -> bool {
    let horizon = i64::try_from(RETRY_HORIZON_SECONDS).unwrap_or(i64::MAX).saturating_mul(1_000);
    now.saturating_sub(failing_since) > horizon
}

/// Milliseconds for which a book is left alone: what it named, else more with each of the `pauses` before.
#[must_use]
pub fn pause_ms(named_seconds: Option<u64>, pauses: u32, scale_percent: u64) -> u64 {
    match named_seconds {
        Some(seconds) => seconds.min(PAUSE_MAX_SECONDS).saturating_mul(1_000),
        None => at(&PAUSE_DELAYS_SECONDS, pauses).saturating_mul(10).saturating_mul(scale_percent),
    }
}

/// Milliseconds until a queued run that was sent `resends` times again counts as stalled.
#[must_use]
pub fn stall_delay_ms(resends: u32, stall_seconds: u64) -> u64 {
    at(&STALL_MULTIPLES, resends).saturating_mul(stall_seconds).saturating_mul(1_000)
}

fn jittered(seconds: u64, scale_percent: u64, chance: u64) -> u64 {
    let base_ms = seconds.saturating_mul(10).saturating_mul(scale_percent);
    let extra = base_ms.saturating_mul(JITTER_PERCENT).checked_div(100).unwrap_or_default();
    base_ms.saturating_add(chance.checked_rem(extra.saturating_add(1)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever chance says, a delay is the schedule's and at most a fifth more, and never shorter than the one before.
        #[test]
        fn a_delay_is_the_schedules_and_a_fifth_more_at_most(
            failures in 1_u32..100, scale in 0_u64..1_000, chance in any::<u64>(),
        ) {
            let least = retry_delay_ms(failures, scale, 0);
            let delay = retry_delay_ms(failures, scale, chance);
            prop_assert!(least <= delay && delay <= least + least / 5);
            prop_assert!(retry_delay_ms(failures + 1, scale, 0) >= least);
            prop_assert!(push_delay_ms(failures, scale, chance) >= push_delay_ms(failures, scale, 0));
        }

        /// Runs that failed together don't come back together.
        #[test]
        fn chance_spreads_what_failed_together(chances in prop::collection::hash_set(any::<u64>(), 50)) {
            let delays: std::collections::HashSet<u64> =
                chances.iter().map(|chance| retry_delay_ms(4, 100, *chance)).collect();
            prop_assert!(delays.len() > 25, "only {} of 50 differ", delays.len());
        }

        /// A pause grows while pauses follow one another, and is never longer than a day.
        #[test]
        fn a_pause_is_bounded(named in prop::option::of(any::<u64>()), pauses in any::<u32>()) {
            let pause = pause_ms(named, pauses, 100);
            prop_assert!(pause <= PAUSE_MAX_SECONDS * 1_000);
            if named.is_none() {
                prop_assert!(pause >= 60_000 && pause_ms(None, pauses.saturating_add(1), 100) >= pause);
            }
        }
    }

    #[test]
    fn the_horizon_is_three_days() {
        assert!(!horizon_is_over(0, 259_200_000));
        assert!(horizon_is_over(0, 259_200_001));
        // Since when it fails may lie ahead, where held time was taken off.
        assert!(!horizon_is_over(1, 0));
        assert_eq!(pause_ms(Some(17), 9, 100), 17_000);
        assert_eq!((pause_ms(None, 0, 100), pause_ms(None, 99, 100), pause_ms(None, 0, 1)), (60_000, 900_000, 600));
    }

    #[test]
    fn delays_grow_and_stay_within_the_jitter() {
        let mut before = 0;
        for failures in 1..12 {
            let least = retry_delay_ms(failures, 100, 0);
            assert!(least >= before);
            before = least;
            for chance in [0, 1, 7, u64::MAX, 999_983] {
                let delay = retry_delay_ms(failures, 100, chance);
                assert!(delay >= least && delay <= least * 12 / 10, "{failures} {chance} {delay}");
            }
        }
        assert_eq!(retry_delay_ms(1, 100, 0), 5_000);
        assert_eq!(retry_delay_ms(1, 2, 0), 100);
        assert_eq!(stall_delay_ms(0, 600), 600_000);
        assert_eq!(stall_delay_ms(9, 600), 86_400_000);
    }
}
