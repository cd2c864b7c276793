//! The edges between run states: pure functions from a run as it was read to the run as it shall be.
//!
//! `ARCHITECTURE.md` has the same table for people. Claiming is the one edge that is not here: the store does it blind.

use crate::config::{Timers, milliseconds};
use crate::ports::{Outgoing, PushWant, QueueName};
use ledger_domain::code::Code;
use ledger_domain::identity::{Entity, Event};
use ledger_domain::lane::Lane;
use ledger_domain::retry;
use ledger_domain::run::RunState;
use ledger_wire::message::{Bell, MESSAGE_VERSION, PushMessage, RunMessage};
use ledger_wire::rows::{PreviewRow, PushRow, RunRow, keys};

/// Finished runs are kept this long after their last change, in milliseconds (400 days).
pub const RUN_KEPT_MS: i64 = 34_560_000_000;
/// Attempts are kept this long, in milliseconds (90 days).
pub const ATTEMPT_KEPT_MS: i64 = 7_776_000_000;
/// A bell is rung again after this long, well before the queue forgets it after 14 days, in milliseconds (10 days).
pub const BELL_AGAIN_MS: i64 = 864_000_000;
/// A run whose book has had enough for a sweep is looked at again after this long for each sweep that those before it need,
/// in milliseconds.
pub const AFTER_OTHERS_MS: i64 = 60_000;
/// Most sweeps for which a run is put off so: what is sent of its book may be less than was thought.
pub const AFTER_SWEEPS_MAX: u32 = 30;
/// A chip that nobody sends is sent by the sweeper after this long, in milliseconds.
pub const PUSH_GRACE_MS: i64 = 30_000;

fn touched(row: &RunRow, state: RunState, now: i64) -> RunRow {
    let mut next = row.clone();
    next.state = state.as_str().to_owned();
    next.updated_at = now;
    next.claim = None;
    next.claim_until = None;
    next.due_at = None;
    next.due_shard = None;
    next.state_key = None;
    next.state_order = None;
    next.expires_at = None;
    next.preview = None;
    next
}

fn due(row: &mut RunRow, at: i64) {
    row.due_at = Some(at);
    row.due_shard = Some(keys::due_shard(&row.pk));
}

fn indexed(row: &mut RunRow, state: RunState, now: i64) {
    row.state_key = Some(state.as_str().to_owned());
    row.state_order = Some(format!("{}#{now:015}#{}", row.binding, row.run_id));
}

fn coded(row: &mut RunRow, code: Code, message: &str) {
    row.code = Some(code.as_str().to_owned());
    row.owner = Some(code.owner().as_str().to_owned());
    row.message = Some(message.to_owned());
}

/// Where the index by state keeps runs of an event that has no worker: apart from the held ones, which count.
#[must_use]
pub fn unsupported_key(event: &str) -> String {
    format!("{}#{event}", RunState::Held.as_str())
}

/// Where the index by state keeps runs that are held for a preview: apart from those that wait for something to be mended.
#[must_use]
pub fn preview_key() -> String {
    format!("{}#{}", RunState::Held.as_str(), Code::Preview.as_str())
}

/// The state of a row; a name that no version wrote counts as dead-lettered, so that a person sees it.
#[must_use]
pub fn state(row: &RunRow) -> RunState {
    RunState::parse(&row.state).unwrap_or(RunState::DeadLettered)
}

/// A run with a message under way: fresh, re-opened, requeued or released. `due_at` is when it counts as stalled.
#[must_use]
pub fn queued(row: &RunRow, now: i64, timers: &Timers) -> RunRow {
    let mut next = touched(row, RunState::Queued, now);
    let stall = i64::try_from(retry::stall_delay_ms(0, timers.stall_seconds)).unwrap_or(i64::MAX);
    next.resends = 0;
    next.held_since = None;
    due(&mut next, now.saturating_add(stall));
    next
}

/// True where a new delivery or an operator opens the run again: it did not come to all that it was for.
#[must_use]
pub fn can_be_reopened(row: &RunRow) -> bool {
    match state(row) {
        RunState::DeadLettered | RunState::Skipped => true,
        RunState::Succeeded => row.code.is_some(),
        RunState::Queued | RunState::Running | RunState::Waiting | RunState::Held => false,
    }
}

/// True where a new delivery opens the run again. What an operator gave up, or settled by hand, is not: the shop may deliver
/// the same again at any time.
#[must_use]
pub fn is_opened_by_a_delivery(row: &RunRow) -> bool {
    let by_hand = [Code::Discarded, Code::SettledByHand].iter().any(|code| row.code.as_deref() == Some(code.as_str()));
    can_be_reopened(row) && !by_hand
}

/// A run opened again by a delivery or an operator: a new generation with a clean count.
#[must_use]
pub fn reopened(row: &RunRow, now: i64, timers: &Timers) -> RunRow {
    let mut next = queued(row, now, timers);
    next.generation = row.generation.saturating_add(1);
    next.dispatch = row.dispatch.saturating_add(1);
    next.unfinished = 0;
    next.failures = 0;
    next.failing_since = None;
    next.code = None;
    next.owner = None;
    next.message = None;
    next
}

/// A run that was put off, held or stalled, sent again. The due mark moves on; only an outcome removes it.
#[must_use]
pub fn sent_again(row: &RunRow, now: i64, timers: &Timers) -> RunRow {
    let mut next = touched(row, RunState::Queued, now);
    next.dispatch = row.dispatch.saturating_add(1);
    next.resends = if state(row) == RunState::Queued { row.resends.saturating_add(1) } else { 0 };
    if state(row) == RunState::Held || waits_for_the_book(row) {
        // Held time does not count towards the retry horizon, nor does a book's pause. Since when it is held stays known
        // until an outcome says otherwise: a run that is released and held again has been held all along.
        let held = now.saturating_sub(row.updated_at).max(0);
        next.failing_since = row.failing_since.map(|moment| moment.saturating_add(held));
    }
    let delay = i64::try_from(retry::stall_delay_ms(next.resends, timers.stall_seconds)).unwrap_or(i64::MAX);
    due(&mut next, now.saturating_add(delay));
    next
}

/// True where nothing is wrong with a run that waits: its book has had enough calls, or is paused.
#[must_use]
pub fn waits_for_the_book(row: &RunRow) -> bool {
    let limits = [Code::BookPaused, Code::BookRateLimited, Code::BookDayLimit];
    state(row) == RunState::Waiting && limits.iter().any(|code| row.code.as_deref() == Some(code.as_str()))
}

/// True for a run that a backfill made: one that was delivered says when it happened.
#[must_use]
pub fn is_backfilled(row: &RunRow) -> bool {
    row.occurred_at.is_empty()
}

/// The lane of a run.
#[must_use]
pub fn lane(row: &RunRow) -> Lane {
    Event::parse(&row.event).map_or(Lane::Backfill, |event| Lane::of(event, is_backfilled(row)))
}

/// A run put off until `until`.
#[must_use]
pub fn waiting(row: &RunRow, now: i64, until: i64, code: Code, message: &str) -> RunRow {
    let mut next = touched(row, RunState::Waiting, now);
    next.unfinished = 0;
    next.held_since = None;
    coded(&mut next, code, message);
    due(&mut next, until);
    next
}

/// A run held until something is mended. After a quarter of an hour its chip turns to failed; an event that has no
/// worker yet holds without a mark, because nobody can mend it.
#[must_use]
pub fn held(row: &RunRow, now: i64, code: Code, message: &str, timers: &Timers) -> RunRow {
    let mut next = touched(row, RunState::Held, now);
    next.unfinished = 0;
    let since = row.held_since.unwrap_or(now);
    next.held_since = Some(since);
    coded(&mut next, code, message);
    indexed(&mut next, RunState::Held, since);
    if code == Code::EventNotSupported {
        next.state_key = Some(unsupported_key(&row.event));
    } else {
        due(&mut next, since.saturating_add(milliseconds(timers.chip_held_seconds)));
    }
    next
}

/// A run whose requests are to be looked at. Nothing is wrong, so its chip stays as it is and no mark makes it due.
#[must_use]
pub fn previewed(row: &RunRow, now: i64, preview: PreviewRow, timers: &Timers) -> RunRow {
    let message = match preview.outcome.as_str() {
        "refused" => preview.message.clone().unwrap_or_default(),
        _ => Code::Preview.remedy().to_owned(),
    };
    // Nobody waits for anything: time in preview counts for nothing later.
    let unheld = RunRow { held_since: None, ..row.clone() };
    let mut next = held(&unheld, now, Code::Preview, &message, timers);
    next.held_since = None;
    next.state_key = Some(preview_key());
    next.due_at = None;
    next.due_shard = None;
    next.failures = 0;
    next.failing_since = None;
    next.preview = Some(preview);
    next
}

/// A run that an operator gives up: nothing will be sent for it.
#[must_use]
pub fn discarded(row: &RunRow, now: i64, reason: &str) -> RunRow {
    let mut next = skipped(row, now, Code::Discarded);
    if !reason.is_empty() {
        next.message = Some(reason.to_owned());
    }
    next
}

/// A run whose document is in the book by an operator's word.
#[must_use]
pub fn settled_by_hand(row: &RunRow, now: i64, provider_id: &str, reference: Option<&str>) -> RunRow {
    succeeded(row, now, provider_id, reference, false, Some(Code::SettledByHand))
}

/// A run in the book. `left_open` says what else it could have done and did not; a new delivery then tries again.
#[must_use]
pub fn succeeded(
    row: &RunRow,
    now: i64,
    provider_id: &str,
    reference: Option<&str>,
    total_unverified: bool,
    left_open: Option<Code>,
) -> RunRow {
    let mut next = finished(row, RunState::Succeeded, now);
    next.provider_id = Some(provider_id.to_owned());
    next.provider_reference = reference.map(str::to_owned);
    next.total_unverified = total_unverified;
    match left_open {
        Some(code) => coded(&mut next, code, code.remedy()),
        None => {
            next.code = None;
            next.owner = None;
            next.message = None;
        }
    }
    next
}

/// A run in the book whose document waits there for approval, so that what settles it was left out: skipped, with the
/// document named, until a resync finds it approved.
#[must_use]
pub fn unsettled(succeeded: &RunRow) -> RunRow {
    let mut next = succeeded.clone();
    RunState::Skipped.as_str().clone_into(&mut next.state);
    next
}

/// A run that policy left out.
#[must_use]
pub fn skipped(row: &RunRow, now: i64, code: Code) -> RunRow {
    let mut next = finished(row, RunState::Skipped, now);
    coded(&mut next, code, code.remedy());
    next
}

fn finished(row: &RunRow, state: RunState, now: i64) -> RunRow {
    let mut next = touched(row, state, now);
    next.unfinished = 0;
    next.failures = 0;
    next.failing_since = None;
    next.held_since = None;
    next.pinned_settings = None;
    next.expires_at = Some(now.saturating_add(RUN_KEPT_MS).saturating_div(1_000));
    next
}

/// A run that a person has to look at. It is due at once: the sweeper rings its bell.
#[must_use]
pub fn dead_lettered(row: &RunRow, now: i64, code: Code, message: &str) -> RunRow {
    let mut next = touched(row, RunState::DeadLettered, now);
    next.unfinished = 0;
    next.held_since = None;
    coded(&mut next, code, message);
    indexed(&mut next, RunState::DeadLettered, now);
    due(&mut next, now);
    next
}

/// A dead letter whose bell is about to be rung: the mark moves to the next ringing first.
#[must_use]
pub fn ringing(row: &RunRow, now: i64) -> RunRow {
    let mut next = row.clone();
    next.dispatch = row.dispatch.saturating_add(1);
    due(&mut next, now.saturating_add(BELL_AGAIN_MS));
    next
}

/// A held run whose chip has been turned to failed: no mark is left.
#[must_use]
pub fn held_noticed(row: &RunRow) -> RunRow {
    let mut next = row.clone();
    next.dispatch = row.dispatch.saturating_add(1);
    next.due_at = None;
    next.due_shard = None;
    next
}

/// A running run whose claim has not ended: the mark moves to the claim's end.
#[must_use]
pub fn watched(row: &RunRow) -> RunRow {
    let mut next = row.clone();
    next.dispatch = row.dispatch.saturating_add(1);
    if let Some(until) = row.claim_until {
        due(&mut next, until.saturating_add(1_000));
    }
    next
}

/// A queued run whose book works through others: looked at again later, not sent again.
#[must_use]
pub fn looked_at_again(row: &RunRow, now: i64, timers: &Timers) -> RunRow {
    let mut next = row.clone();
    let stall = i64::try_from(retry::stall_delay_ms(0, timers.stall_seconds)).unwrap_or(i64::MAX);
    due(&mut next, now.saturating_add(stall));
    next
}

/// A run whose book has had enough for this sweep: its turn comes after so many sweeps, so that it isn't looked at, and
/// put off, in each of them.
#[must_use]
pub fn after_others(row: &RunRow, now: i64, sweeps: u32) -> RunRow {
    let mut next = row.clone();
    due(&mut next, now.saturating_add(AFTER_OTHERS_MS.saturating_mul(i64::from(sweeps.clamp(1, AFTER_SWEEPS_MAX)))));
    next
}

/// A finished run with a mark left on it.
#[must_use]
pub fn unmarked(row: &RunRow) -> RunRow {
    let mut next = row.clone();
    next.due_at = None;
    next.due_shard = None;
    next
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // These types have string keys and no maps of our own: serialising them cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// The message that asks a worker for an attempt; `None` where the event is none that this build knows.
#[must_use]
pub fn run_message(row: &RunRow) -> Option<Outgoing> {
    Some(Outgoing {
        queue: QueueName::Work(Event::parse(&row.event)?),
        group: row.book.clone(),
        deduplication: format!("{}-{}", row.run_id, row.dispatch),
        body: json(&RunMessage {
            v: MESSAGE_VERSION,
            run_id: row.run_id.clone(),
            tenant: row.tenant.clone(),
            binding: row.binding.clone(),
            event: row.event.clone(),
            magento_id: row.magento_id,
            generation: row.generation,
            dispatch: row.dispatch,
            backfilled: is_backfilled(row),
        }),
    })
}

/// The message that rings for a dead letter.
#[must_use]
pub fn bell_message(row: &RunRow) -> Outgoing {
    let code = row.code.as_deref().and_then(Code::parse);
    let told = |text: fn(Code) -> &'static str| code.map(text).unwrap_or_default().to_owned();
    Outgoing {
        queue: QueueName::DeadLetter,
        group: row.run_id.clone(),
        deduplication: format!("{}-{}", row.run_id, row.dispatch),
        body: json(&Bell {
            v: MESSAGE_VERSION,
            dead_letter: row.run_id.clone(),
            code: row.code.clone().unwrap_or_default(),
            owner: row.owner.clone().unwrap_or_default(),
            family: told(|code| code.family().as_str()),
            cause: told(Code::cause),
            remedy: told(Code::remedy),
        }),
    }
}

/// What a run wants of its entity's chip.
#[must_use]
pub fn push_want(row: &RunRow, now: i64) -> PushWant {
    let event = Event::parse(&row.event).unwrap_or(Event::InvoiceCreated);
    let entity = event.entity();
    let pays = event == Event::InvoicePaid;
    let xref = match entity {
        Entity::Invoice => Some(keys::document(&row.book, "invoice", &row.tenant, row.magento_id)),
        Entity::Creditmemo => Some(keys::document(&row.book, "credit_note", &row.tenant, row.magento_id)),
        Entity::Customer => Some(keys::contact_by_customer(&row.book, &row.tenant, row.magento_id, None)),
        Entity::Product => Some(keys::document(&row.book, "product", &row.tenant, row.magento_id)),
    };
    PushWant {
        tenant: row.tenant.clone(),
        provider: row.provider.clone(),
        entity_type: entity.as_str().to_owned(),
        magento_id: row.magento_id,
        document_run: (!pays).then(|| row.run_id.clone()),
        payment_run: pays.then(|| row.run_id.clone()),
        xref: row.xref.clone().or(xref).filter(|_| !row.book.is_empty()),
        due_at: now.saturating_add(PUSH_GRACE_MS),
        expires_at: now.saturating_add(RUN_KEPT_MS).saturating_div(1_000),
    }
}

/// The message that asks for a chip, sent by whoever just wrote the want; `deduplication` is unique to that write.
#[must_use]
pub fn push_message(
    tenant: &str,
    provider: &str,
    entity_type: &str,
    magento_id: u64,
    dispatch: u32,
    deduplication: String,
) -> Outgoing {
    Outgoing {
        queue: QueueName::PushSyncState,
        group: format!("{tenant}:{provider}:{entity_type}:{magento_id}"),
        deduplication,
        body: json(&PushMessage {
            v: MESSAGE_VERSION,
            tenant: tenant.to_owned(),
            provider: provider.to_owned(),
            entity_type: entity_type.to_owned(),
            magento_id,
            dispatch,
        }),
    }
}

/// The message for a want, unique to a run's generation and attempt.
#[must_use]
pub fn push_message_for(want: &PushWant, row: &RunRow) -> Outgoing {
    push_message(
        &want.tenant,
        &want.provider,
        &want.entity_type,
        want.magento_id,
        0,
        format!("{}-{}-{}", row.run_id, row.generation, row.attempt),
    )
}

/// A chip's row sent again: the mark moves on first.
#[must_use]
pub fn push_sent_again(row: &PushRow, now: i64, delay_ms: u64) -> PushRow {
    let mut next = row.clone();
    next.dispatch = row.dispatch.saturating_add(1);
    next.due_at = Some(now.saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX)));
    next.due_shard = Some(keys::due_shard(&row.pk));
    next
}

/// The message for a chip's row, unique to its dispatch.
#[must_use]
pub fn push_message_of(row: &PushRow) -> Outgoing {
    push_message(
        &row.tenant,
        &row.provider,
        &row.entity_type,
        row.magento_id,
        row.dispatch,
        format!("{}:{}:{}:{}-{}", row.tenant, row.provider, row.entity_type, row.magento_id, row.dispatch),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 2_000_016_000_000;

    /// What happens to a run between two attempts.
    #[derive(Clone, Copy, Debug)]
    enum Between {
        /// It waits for something that failed.
        Failing,
        /// It is held.
        Held,
        /// Its book is paused, or has had enough.
        Paused(Code),
    }

    fn between() -> impl Strategy<Value = (Between, i64)> {
        let what = prop_oneof![
            Just(Between::Failing),
            Just(Between::Held),
            Just(Between::Paused(Code::BookPaused)),
            Just(Between::Paused(Code::BookRateLimited)),
            Just(Between::Paused(Code::BookDayLimit)),
        ];
        (what, 0_i64..40_000_000)
    }

    proptest! {
        /// However failing, being held and waiting for a book follow one another: the horizon counts what failed, and
        /// nothing else.
        #[test]
        fn the_horizon_counts_neither_held_time_nor_a_books_pause(
            lives in prop::collection::vec(between(), 1..40),
        ) {
            let timers = Timers::default();
            let mut run = RunRow { failing_since: Some(NOW), event: "invoice.created".to_owned(), ..RunRow::default() };
            let (mut now, mut failed) = (NOW, 0_i64);
            for (what, lasts) in lives {
                run = match what {
                    Between::Failing => waiting(&run, now, now + lasts, Code::ShopUnavailable, ""),
                    Between::Held => held(&run, now, Code::NeedsReconnect, "", &timers),
                    Between::Paused(code) => waiting(&run, now, now + lasts, code, ""),
                };
                now += lasts;
                if matches!(what, Between::Failing) {
                    failed += lasts;
                }
                run = sent_again(&run, now, &timers);
                let since = run.failing_since.unwrap_or_default();
                prop_assert_eq!(now - since, failed);
                prop_assert_eq!(retry::horizon_is_over(since, now), failed > 259_200_000);
            }
        }

        /// Those whose turn has not come are put off by as many sweeps as those before them need, within bounds.
        #[test]
        fn a_run_behind_others_comes_with_a_later_sweep(sweeps in any::<u32>()) {
            let run = RunRow { pk: "run#r".to_owned(), ..RunRow::default() };
            let after = after_others(&run, NOW, sweeps).due_at.unwrap_or_default() - NOW;
            prop_assert!((AFTER_OTHERS_MS..=AFTER_OTHERS_MS * 30).contains(&after));
            prop_assert!(after >= after_others(&run, NOW, sweeps.saturating_sub(1)).due_at.unwrap_or_default() - NOW);
        }
    }

    #[test]
    fn a_run_is_in_the_lane_of_its_event_unless_a_backfill_made_it() {
        let run = |event: &str, occurred_at: &str| RunRow {
            event: event.to_owned(),
            occurred_at: occurred_at.to_owned(),
            ..RunRow::default()
        };
        assert_eq!(lane(&run("invoice.paid", "2026-01-01 00:00:00")), Lane::Money);
        assert_eq!(lane(&run("product.upserted", "2026-01-01 00:00:00")), Lane::Catalogue);
        assert_eq!(lane(&run("invoice.paid", "")), Lane::Backfill);
        assert_eq!(lane(&run("of.tomorrow", "2026-01-01 00:00:00")), Lane::Backfill);
    }

    #[test]
    fn a_bell_says_what_the_table_says() {
        let dead = dead_lettered(&RunRow::default(), NOW, Code::CategoryUnknown, "");
        let bell: Bell = serde_json::from_str(&bell_message(&dead).body).unwrap();
        assert_eq!(
            (bell.code.as_str(), bell.family.as_str(), bell.owner.as_str()),
            ("category_unknown", "settings", "merchant")
        );
        assert_eq!(
            (bell.cause.as_str(), bell.remedy.as_str()),
            (Code::CategoryUnknown.cause(), Code::CategoryUnknown.remedy())
        );
        // A bell of yesterday is read.
        let old: Result<Bell, _> =
            serde_json::from_str(r#"{"v":1,"dead_letter":"r","code":"crashed","owner":"ledger"}"#);
        assert!(old.is_ok_and(|bell| bell.family.is_empty()));
    }
}
