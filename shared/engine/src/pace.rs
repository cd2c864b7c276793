//! How fast a book is asked: no more calls in a minute than the dialect's profile allows, and none while the book has
//! asked for a pause.
//!
//! One writer has a book at a time, so the calls of the last minute travel with its lease: read with everything else
//! at the start of an attempt, written back with its outcome. Of an attempt that died they are lost, but its lease
//! outlives it, so most of them are a minute old before anybody else has the book.

use ledger_dialects::Reply;
use ledger_wire::rows::{CallsRow, PaceRow};

/// The span in which calls are counted, in milliseconds: a minute, and three seconds by which the clocks of two functions and the
/// ways of two calls to the book may differ.
pub const WINDOW_MS: i64 = 63_000;
/// Calls are counted in slots of this many milliseconds: a slot counts until all of it is out of the window.
pub const SLOT_MS: i64 = 5_000;
/// The pause after "too many requests" that names none, in milliseconds.
const UNNAMED_PAUSE_MS: i64 = 5_000;
/// The pause after an answer that was the last of the book's own allowance, in milliseconds. When that begins anew is not
/// said; the next call may still be refused, and then a time is named.
const LAST_CALL_PAUSE_MS: i64 = 10_000;
/// The longest pause that is kept to, in milliseconds.
const PAUSE_MAX_MS: i64 = 86_400_000;
/// Calls that are left of the minute, in an answer (Xero API docs, rate limits).
const REMAINING_HEADER: &str = "x-minlimit-remaining";

/// The calls of the last minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    per_minute: u32,
    /// Slot number and calls in it, oldest first.
    slots: Vec<(i64, u32)>,
    closed_until: i64,
}

impl Pace {
    /// The pace as a lease remembers it; what is long past, or can't be yet, does not count.
    #[must_use]
    pub fn read(row: &PaceRow, per_minute: u32, now: i64) -> Self {
        let possible = |calls: &&CallsRow| calls.slot <= slot_of(now.saturating_add(WINDOW_MS));
        let mut slots: Vec<(i64, u32)> =
            row.calls.iter().filter(possible).map(|calls| (calls.slot, calls.count)).collect();
        slots.sort_unstable();
        let longest = now.saturating_add(PAUSE_MAX_MS);
        let mut pace = Self {
            per_minute: per_minute.max(1),
            slots,
            closed_until: row.closed_until.unwrap_or_default().min(longest),
        };
        pace.forget(now);
        pace
    }

    /// The pace for the lease.
    #[must_use]
    pub fn row(&self, now: i64) -> PaceRow {
        let mut kept = self.clone();
        kept.forget(now);
        PaceRow {
            calls: kept.slots.iter().map(|(slot, count)| CallsRow { slot: *slot, count: *count }).collect(),
            closed_until: Some(self.closed_until).filter(|until| *until > now),
        }
    }

    /// How long the next call has to wait, in milliseconds; 0 where it may be made now.
    #[must_use]
    pub fn wait_ms(&self, now: i64) -> u64 {
        let mut at = self.closed_until.max(now);
        let mut counted: u32 = self.counted(at).map(|(_, count)| *count).fold(0, u32::saturating_add);
        for (slot, count) in self.counted(at).copied().collect::<Vec<_>>() {
            if counted < self.per_minute {
                break;
            }
            counted = counted.saturating_sub(count);
            at = at.max(gone_at(slot));
        }
        u64::try_from(at.saturating_sub(now)).unwrap_or_default()
    }

    /// A call is made.
    pub fn called(&mut self, now: i64) {
        self.forget(now);
        let slot = slot_of(now);
        match self.slots.iter_mut().find(|(known, _)| *known == slot) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => {
                self.slots.push((slot, 1));
                self.slots.sort_unstable();
            }
        }
    }

    /// What an answer says of the book's own limit.
    pub fn answered(&mut self, reply: &Reply, now: i64) {
        let pause = if reply.status == 429 {
            let named = reply.retry_after_seconds.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
            named.map_or(UNNAMED_PAUSE_MS, |seconds| seconds.saturating_mul(1_000))
        } else if reply.header(REMAINING_HEADER).map(str::trim) == Some("0") {
            LAST_CALL_PAUSE_MS
        } else {
            return;
        };
        self.closed_until = self.closed_until.max(now.saturating_add(pause.min(PAUSE_MAX_MS)));
    }

    fn counted(&self, at: i64) -> impl Iterator<Item = &(i64, u32)> {
        self.slots.iter().filter(move |(slot, _)| gone_at(*slot) > at)
    }

    fn forget(&mut self, now: i64) {
        self.slots.retain(|(slot, _)| gone_at(*slot) > now);
    }
}

fn slot_of(moment: i64) -> i64 {
    moment.div_euclid(SLOT_MS)
}

/// When no call of a slot is in the window any more.
fn gone_at(slot: i64) -> i64 {
    slot.saturating_add(1).saturating_mul(SLOT_MS).saturating_add(WINDOW_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 2_000_016_000_000;

    fn fresh(per_minute: u32) -> Pace {
        Pace::read(&PaceRow::default(), per_minute, NOW)
    }

    #[test]
    fn a_book_is_asked_so_often_in_a_minute() {
        let mut pace = fresh(3);
        for _ in 0..3 {
            assert_eq!(pace.wait_ms(NOW), 0);
            pace.called(NOW);
        }
        assert_eq!(pace.wait_ms(NOW), 68_000);
        assert_eq!(pace.wait_ms(NOW + 67_999), 1);
        assert_eq!(pace.wait_ms(NOW + 68_000), 0);
    }

    /// Two functions have the book one after the other; the clock of the first is behind, that of the second ahead.
    #[test]
    fn clocks_that_differ_do_not_shorten_a_minute() {
        const BEHIND: i64 = 1_500;
        let made_at = NOW + SLOT_MS - 1 + BEHIND;
        let mut first = fresh(1);
        first.called(made_at - BEHIND);
        let looked_at = made_at + 59_999;
        let second = Pace::read(&first.row(made_at - BEHIND), 1, looked_at + BEHIND);
        assert!(second.wait_ms(looked_at + BEHIND) > 0, "the book counts that call for another moment");
    }

    #[test]
    fn a_book_that_asks_for_a_pause_has_it() {
        let check = |status: u16, retry_after_seconds: Option<u64>, remaining: Option<&str>, expected: u64| {
            let headers = remaining.map(|left| (REMAINING_HEADER.to_owned(), left.to_owned())).into_iter().collect();
            let mut pace = fresh(60);
            pace.called(NOW);
            pace.answered(&Reply { status, retry_after_seconds, headers, ..Reply::default() }, NOW);
            assert_eq!(pace.wait_ms(NOW), expected, "{status} {retry_after_seconds:?} {remaining:?}");
            let again = Pace::read(&pace.row(NOW), 60, NOW);
            assert_eq!(again, pace, "the lease forgets");
        };
        check(200, None, None, 0);
        check(200, None, Some("1"), 0);
        check(200, None, Some("0"), 10_000);
        check(429, Some(27), Some("0"), 27_000);
        check(429, None, None, 5_000);
        check(503, Some(27), None, 0);
        check(429, Some(u64::MAX), None, 86_400_000);
    }

    #[test]
    fn what_can_not_be_does_not_stop_a_book_for_ever() {
        let row = PaceRow {
            calls: vec![CallsRow { slot: i64::MAX, count: u32::MAX }, CallsRow { slot: 1, count: 9 }],
            closed_until: Some(i64::MAX),
        };
        let pace = Pace::read(&row, 0, NOW);
        assert_eq!(pace.wait_ms(NOW), 86_400_000);
        assert_eq!(pace.row(NOW).calls, []);
    }

    proptest! {
        /// Whoever asks when they may, and hands the lease on as often as they like, never asks more often than allowed in
        /// any minute, and never waits longer than a minute and a slot.
        #[test]
        fn no_minute_has_more_calls_than_allowed(
            per_minute in 1_u32..40,
            steps in prop::collection::vec((0_i64..9_000, any::<bool>()), 1..300),
        ) {
            let mut pace = fresh(per_minute);
            let (mut now, mut calls) = (NOW, Vec::new());
            for (later, handed_on) in steps {
                now += later;
                if handed_on {
                    pace = Pace::read(&pace.row(now), per_minute, now);
                }
                let wait = i64::try_from(pace.wait_ms(now)).unwrap();
                prop_assert!(wait <= WINDOW_MS + SLOT_MS, "waits {wait} ms");
                now += wait;
                prop_assert_eq!(pace.wait_ms(now), 0);
                pace.called(now);
                calls.push(now);
            }
            for first in &calls {
                let within = calls.iter().filter(|it| (*first..*first + WINDOW_MS).contains(it)).count();
                prop_assert!(within <= usize::try_from(per_minute).unwrap(), "{within} calls from {first}");
            }
        }
    }
}
