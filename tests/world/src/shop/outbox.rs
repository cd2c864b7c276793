//! The outbox: what the observers put in, and what the cron job makes of the answers.

use super::ClientVersion;
use super::php::{Fields, Php};
use super::state::{Chip, OutboxRow, OutboxStatus, Pairing, State};
use crate::clock::{database_time, iso};
use crate::server::percent_encoded;

/// Seconds until the next attempt, by the number of the one that failed; the last one stays.
const BACKOFF: [i64; 7] = [60, 300, 1_800, 7_200, 21_600, 43_200, 86_400];
const MOST_ATTEMPTS: u32 = 10;
const MOST_ROWS: usize = 50;
const LONGEST_BODY: usize = 8_192;
const DAY: i64 = 86_400;
/// Seconds after midnight at which old rows are cleared away: 03:17.
const NIGHTLY: i64 = 11_820;
/// Seconds for which rows that succeeded are kept: 30 days.
const KEPT_FOR: i64 = 2_592_000;

/// Something happened that the ledger may want to know.
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) entity_id: i64,
    pub(crate) website_id: i64,
    pub(crate) store_id: i64,
    pub(crate) increment_id: Option<String>,
    /// Only `invoice.created` says it.
    pub(crate) paid: Option<bool>,
}

impl Event {
    fn body(&self, now: i64) -> String {
        let payload = Fields::default()
            .put_if("increment_id", self.increment_id.clone().map(Php::Text))
            .put_if("paid", self.paid.map(Php::Bool))
            .object();
        Fields::default()
            .put("magento_entity_id", Php::Int(self.entity_id))
            .put("website_id", Php::Int(self.website_id))
            .put("store_id", Php::Int(self.store_id))
            .put("occurred_at", Php::Text(iso(now)))
            .put("payload", payload)
            .object()
            .json(false)
    }
}

/// What each connected provider's observer does: a row, unless one with that key exists in whatever state, and a chip.
pub(crate) fn publish(state: &mut State, event: &Event, now: i64) {
    if state.pairing.is_none() {
        return;
    }
    let providers: Vec<String> =
        state.providers.iter().filter(|provider| state.connected.contains(*provider)).cloned().collect();
    for provider in providers {
        if event.name == "product.upserted" && !state.catalogue_watchers.contains(&provider) {
            continue;
        }
        let key = format!("{}:{}", event.name, event.entity_id);
        let column = match state.client {
            ClientVersion::WithProvider => Some(provider.clone()),
            ClientVersion::WithoutProvider => None,
        };
        if !state.outbox.values().any(|row| row.idempotency_key == key && row.provider == column) {
            let entity_id = state.last_outbox_id.saturating_add(1);
            state.last_outbox_id = entity_id;
            let row = OutboxRow {
                entity_id,
                idempotency_key: key,
                event_name: event.name.to_owned(),
                provider: column,
                payload: event.body(now),
                status: OutboxStatus::Pending,
                attempts: 0,
                last_status_code: None,
                last_attempt_at: None,
                next_attempt_at: None,
                last_error: None,
                created_at: now,
            };
            state.outbox.insert(entity_id, row);
        }
        let entity_type = event.name.split('.').next().unwrap_or_default().to_owned();
        // A chip that is there keeps its state; only its time moves.
        let chip = state.chips.entry((entity_type, event.entity_id, provider)).or_insert_with(|| Chip {
            sync_status: "pending".to_owned(),
            provider_entity_id: None,
            provider_reference: None,
            skip_reason: None,
            error_code: None,
            last_sync_at: String::new(),
        });
        chip.last_sync_at = database_time(now);
    }
}

/// The rows that are due, oldest first, at most 50.
pub(crate) fn due(state: &State, now: i64) -> Vec<i64> {
    state
        .outbox
        .values()
        .filter(|row| row.status == OutboxStatus::Pending && row.next_attempt_at.is_none_or(|due| due <= now))
        .take(MOST_ROWS)
        .map(|row| row.entity_id)
        .collect()
}

/// Clears away, once a night, what succeeded a month ago: only then is another change of a customer or a product told.
/// Dead letters stay for ever.
pub(crate) fn clear(state: &mut State, now: i64) {
    let night = now.saturating_sub(NIGHTLY).div_euclid(DAY);
    if night <= state.last_cleared {
        return;
    }
    state.last_cleared = night;
    state.outbox.retain(|_, row| {
        let since = row.last_attempt_at.unwrap_or(row.created_at);
        row.status != OutboxStatus::Succeeded || now.saturating_sub(since) <= KEPT_FOR
    });
}

/// Where a row is sent; the tenant is the one paired at that moment.
pub(crate) fn url(pairing: &Pairing, row: &OutboxRow) -> String {
    let base = pairing.ledger_url.trim_end_matches('/');
    let url =
        format!("{base}/webhooks/magento/{}/{}", percent_encoded(&pairing.tenant_id), percent_encoded(&row.event_name));
    match &row.provider {
        Some(provider) => format!("{url}?provider={}", percent_encoded(provider)),
        None => url,
    }
}

/// What came of sending a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer with that status and body.
    Answered(u16, String),
    /// None.
    Network(String),
}

/// Writes an outcome down as the module does.
pub(crate) fn settle(row: &mut OutboxRow, url: &str, outcome: &Outcome, now: i64) {
    let attempts = row.attempts.saturating_add(1);
    row.attempts = attempts;
    row.last_attempt_at = Some(now);
    row.next_attempt_at = None;
    row.last_status_code = None;
    let transient = match outcome {
        Outcome::Answered(status @ 200..=299, _) => {
            row.status = OutboxStatus::Succeeded;
            row.last_status_code = Some(*status);
            row.last_error = None;
            return;
        }
        Outcome::Answered(status @ 400..=499, body) => {
            row.status = OutboxStatus::DeadLettered;
            row.last_status_code = Some(*status);
            row.last_error = Some(format!("HTTP {status}: {}", cut(body)));
            return;
        }
        Outcome::Answered(status, _) => format!("Byte8 returned HTTP {status} from {url}; will retry."),
        Outcome::Network(error) => format!("Network error publishing to Byte8 ({url}): {error}"),
    };
    if attempts >= MOST_ATTEMPTS {
        row.status = OutboxStatus::DeadLettered;
        row.last_error = Some(format!(
            "transient_exhausted: retries capped at MAX_TRANSIENT_ATTEMPTS without success — last error: {transient}"
        ));
        return;
    }
    let step = usize::try_from(attempts).unwrap_or(usize::MAX).min(BACKOFF.len());
    let delay = BACKOFF.get(step.saturating_sub(1)).copied().unwrap_or(86_400);
    row.status = OutboxStatus::Pending;
    row.next_attempt_at = Some(now.saturating_add(delay));
    row.last_error = Some(transient);
}

fn cut(body: &str) -> String {
    if body.len() <= LONGEST_BODY {
        return body.to_owned();
    }
    let mut end = LONGEST_BODY;
    while !body.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    format!("{}…[truncated]", body.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> OutboxRow {
        OutboxRow {
            entity_id: 1,
            idempotency_key: "invoice.created:1".to_owned(),
            event_name: "invoice.created".to_owned(),
            provider: Some("xero".to_owned()),
            payload: "{}".to_owned(),
            status: OutboxStatus::Pending,
            attempts: 0,
            last_status_code: None,
            last_attempt_at: None,
            next_attempt_at: None,
            last_error: None,
            created_at: 0,
        }
    }

    #[test]
    fn any_success_is_success() {
        for status in [200, 202, 204, 299] {
            let mut row = row();
            settle(&mut row, "u", &Outcome::Answered(status, "not even json".to_owned()), 7);
            assert_eq!((row.status, row.attempts, row.last_status_code), (OutboxStatus::Succeeded, 1, Some(status)));
        }
    }

    #[test]
    fn any_refusal_is_final_at_once() {
        for status in [400, 401, 403, 404, 408, 409, 422, 425, 429, 499] {
            let mut row = row();
            settle(&mut row, "u", &Outcome::Answered(status, "no".to_owned()), 7);
            assert_eq!((row.status, row.attempts, row.last_status_code), (OutboxStatus::DeadLettered, 1, Some(status)));
            assert_eq!(row.last_error.unwrap(), format!("HTTP {status}: no"));
        }
    }

    #[test]
    fn anything_else_is_tried_ten_times() {
        for outcome in [
            Outcome::Answered(103, String::new()),
            Outcome::Answered(307, String::new()),
            Outcome::Answered(503, "{}".to_owned()),
            Outcome::Answered(600, String::new()),
            Outcome::Network("reset".to_owned()),
        ] {
            let mut row = row();
            let mut now = 1_000;
            let mut waited = Vec::new();
            while row.status == OutboxStatus::Pending {
                settle(&mut row, "u", &outcome, now);
                if let Some(next) = row.next_attempt_at {
                    waited.push(next - now);
                    now = next;
                }
            }
            assert_eq!(waited, [60, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400, 86_400]);
            assert_eq!(waited.iter().sum::<i64>(), 333_360);
            assert_eq!((row.status, row.attempts, row.last_status_code), (OutboxStatus::DeadLettered, 10, None));
            assert!(row.last_error.unwrap().starts_with("transient_exhausted: "));
        }
    }

    #[test]
    fn a_long_refusal_is_cut() {
        let mut row = row();
        settle(&mut row, "u", &Outcome::Answered(400, "é".repeat(9_000)), 7);
        assert!(row.last_error.unwrap().ends_with("…[truncated]"));
    }

    #[test]
    fn the_tenant_is_part_of_the_path() {
        let pairing = Pairing {
            tenant_id: "tenant/with.slash_2".to_owned(),
            api_key: String::new(),
            ledger_url: "https://ledger.example/".to_owned(),
        };
        assert_eq!(
            url(&pairing, &row()),
            "https://ledger.example/webhooks/magento/tenant%2Fwith.slash_2/invoice.created?provider=xero"
        );
    }
}
