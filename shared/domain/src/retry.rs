//! When to try again.

/// Delays of successive attempts of a run, in seconds; the last one repeats until the horizon.
pub const RETRY_DELAYS_SECONDS: [u64; 8] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600];
/// A run that failed for this long, held time not counted, is dead-lettered: three days.
pub const RETRY_HORIZON_SECONDS: u64 = 259_200;
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
