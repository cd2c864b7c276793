//! The cron job that empties the outbox.

use anyhow::Context as _;
use serde::Serialize;

use super::outbox::{self, Outcome};
use super::state::{OutboxRow, OutboxStatus, Pairing, State};
use super::{Core, fresh_jti, jwt};
use crate::client;

/// A request to the ledger's webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Where to, with `?provider` if the client knows it.
    pub url: String,
    /// `Authorization`, `Content-Type`, `Idempotency-Key`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What was sent, and what came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// The row of the outbox.
    pub outbox_id: i64,
    /// The event.
    pub event_name: String,
    /// Its key.
    pub idempotency_key: String,
    /// The answer's status; none if there was no answer.
    pub status: Option<u16>,
    /// The answer's body, or what went wrong.
    pub body: String,
}

/// The rows that a tick sends.
pub(crate) fn due(core: &Core) -> Vec<i64> {
    let mut state = core.state();
    outbox::clear(&mut state, core.now());
    if Pairing::of(&state).is_err() {
        return Vec::new();
    }
    outbox::due(&state, core.now())
}

/// Writes down what came of a row that somebody else has sent.
pub(crate) fn notes(
    core: &Core,
    id: i64,
    delivery: &Delivery,
    came: Result<(u16, String), String>,
) -> anyhow::Result<()> {
    let outcome = match came {
        Ok((status, body)) => Outcome::Answered(status, body),
        Err(why) => Outcome::Network(why),
    };
    let now = core.now();
    let mut state = core.state();
    let row = state.outbox.get_mut(&id).with_context(|| format!("no outbox row {id}"))?;
    outbox::settle(row, &delivery.url, &outcome, now);
    Ok(())
}

pub(crate) async fn tick(core: &Core) -> Vec<Sent> {
    let mut sent = Vec::new();
    for id in due(core) {
        // Credentials that vanish meanwhile leave the rest of the rows untouched.
        let Ok(delivery) = delivery(core, id) else { continue };
        let now = core.now();
        let outcome = send(&delivery).await;
        let mut state = core.state();
        if let Some(row) = state.outbox.get_mut(&id) {
            outbox::settle(row, &delivery.url, &outcome, now);
            sent.push(told(row, outcome));
        }
    }
    sent
}

pub(crate) async fn deliver(core: &Core, id: i64) -> anyhow::Result<Sent> {
    let delivery = delivery(core, id)?;
    let outcome = send(&delivery).await;
    let state = core.state();
    Ok(told(row(&state, id)?, outcome))
}

pub(crate) fn delivery(core: &Core, id: i64) -> anyhow::Result<Delivery> {
    let state = core.state();
    let pairing = Pairing::of(&state)?;
    let row = row(&state, id)?;
    let token = jwt::outbound_token(&pairing.api_key, &pairing.tenant_id, core.now(), &fresh_jti());
    Ok(Delivery {
        url: outbox::url(pairing, row),
        headers: vec![
            ("Authorization".to_owned(), format!("Bearer {token}")),
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("Idempotency-Key".to_owned(), row.idempotency_key.clone()),
        ],
        body: row.payload.clone(),
    })
}

pub(crate) fn requeue(core: &Core, id: i64) -> anyhow::Result<()> {
    let mut state = core.state();
    let row = state.outbox.get_mut(&id).with_context(|| format!("no outbox row {id}"))?;
    row.status = OutboxStatus::Pending;
    row.attempts = 0;
    row.next_attempt_at = None;
    Ok(())
}

pub(crate) fn sign(core: &Core, seconds_from_now: i64) -> anyhow::Result<String> {
    let state = core.state();
    let pairing = Pairing::of(&state)?;
    Ok(jwt::outbound_token(
        &pairing.api_key,
        &pairing.tenant_id,
        core.now().saturating_add(seconds_from_now),
        &fresh_jti(),
    ))
}

/// Tells the ledger, then forgets the tenant whatever it said; rows that wait go to whoever is paired next.
///
/// The key that the modules share goes either way. A provider's own button leaves the others believing they are
/// connected, and they are again with the next pairing; without a provider all buttons are pressed.
pub(crate) async fn disconnect(core: &Core, provider: Option<&str>) -> bool {
    let delivery = {
        let state = core.state();
        Pairing::of(&state).ok().map(|pairing| {
            let token = jwt::outbound_token(&pairing.api_key, &pairing.tenant_id, core.now(), &fresh_jti());
            Delivery {
                url: format!("{}/v1/tenant/disconnect", pairing.ledger_url),
                headers: vec![
                    ("Authorization".to_owned(), format!("Bearer {token}")),
                    ("Content-Type".to_owned(), "application/json".to_owned()),
                    ("Idempotency-Key".to_owned(), format!("disconnect:{}", jwt::sha1(&pairing.tenant_id))),
                ],
                body: "{}".to_owned(),
            }
        })
    };
    let acknowledged = match delivery {
        Some(delivery) => matches!(send(&delivery).await, Outcome::Answered(200..=299, _)),
        None => true,
    };
    let mut state = core.state();
    state.pairing = None;
    state.key_agreed = None;
    state.kept_health = None;
    match provider {
        Some(provider) => {
            state.connected.remove(provider);
            state.pairing_codes.remove(provider);
        }
        None => {
            state.connected.clear();
            state.pairing_codes.clear();
        }
    }
    acknowledged
}

fn row(state: &State, id: i64) -> anyhow::Result<&OutboxRow> {
    state.outbox.get(&id).with_context(|| format!("no outbox row {id}"))
}

async fn send(delivery: &Delivery) -> Outcome {
    match client::post(&delivery.url, &delivery.headers, delivery.body.as_bytes()).await {
        Ok(answered) => Outcome::Answered(answered.status, String::from_utf8_lossy(&answered.body).into_owned()),
        Err(error) => Outcome::Network(error),
    }
}

fn told(row: &OutboxRow, outcome: Outcome) -> Sent {
    let (status, body) = match outcome {
        Outcome::Answered(status, body) => (Some(status), body),
        Outcome::Network(error) => (None, error),
    };
    Sent {
        outbox_id: row.entity_id,
        event_name: row.event_name.clone(),
        idempotency_key: row.idempotency_key.clone(),
        status,
        body,
    }
}
