//! What the module asks of the ledger for people to look at, and what it reads in the answers.
//!
//! The dashboard's tile, which only Sage's module has, and the status block of each module's configuration page read the same
//! answer of `GET /v1/tile/health`: `tenant.magento_connection_status`, `binding.status`, `binding.region`,
//! `sync.pending_count`, `sync.failed_24h`, `sync.last_run_at`, all of which may be missing. `GET /v1/status` is read by no
//! published page: whatever JSON comes is handed on.
//! Sources: the published modules, `ByteClient`, `HealthTile` and `ConnectionStatus`.

use serde::Serialize;
use serde_json::{Map, Value};

use super::state::{Pairing, State};
use super::{Core, fresh_jti, jwt};
use crate::client::{self, Answered};
use crate::server::percent_encoded;

/// How long the answer for the tile is kept, in seconds.
const KEPT_SECONDS: i64 = 30;

/// What the shop asked just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The address.
    pub url: String,
    /// The answer's status; none if there was no answer.
    pub status: Option<u16>,
    /// The answer's body, or what went wrong.
    pub body: String,
}

/// The tile on the dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tile {
    /// `disconnected`, `unknown`, `error`, `warning` or `connected`.
    pub state: &'static str,
    /// What it says.
    pub headline: String,
    /// `sync.last_run_at` as it came.
    pub last_run: Option<String>,
    /// The same for people: `3 minutes ago`.
    pub last_run_text: String,
    /// `sync.pending_count`.
    pub pending: Option<i64>,
    /// `sync.failed_24h`.
    pub failed_24h: Option<i64>,
    /// Where a click leads: `config`, or `embed` with the ledger's page.
    pub leads_to: &'static str,
}

/// The status block on a module's configuration page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusBlock {
    /// `disconnected`, `token_revoked`, `pending`, `connected` or `unknown`.
    pub state: &'static str,
    /// What it says.
    pub label: String,
}

/// What an administrator sees.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// What was asked for it; none where the answer was still there, or there was nobody to ask.
    pub asked: Option<Asked>,
    /// What the module works with: the answer, or an empty object.
    pub read: Value,
    /// Sage's module alone has a tile.
    pub tile: Option<Tile>,
    /// The status block.
    pub status_block: StatusBlock,
    /// The page the module frames.
    pub embed_url: Option<String>,
}

/// What came of asking after one entity.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntityStatus {
    /// What was asked; none where the shop isn't paired.
    pub asked: Option<Asked>,
    /// What the module hands on; none where it throws.
    pub read: Option<Value>,
}

/// An administrator looks at a provider's pages.
pub(crate) async fn look(core: &Core, provider: &str) -> Health {
    let (connected, kept, question) = {
        let state = core.state();
        let connected = state.connected.contains(provider);
        let kept = kept(&state, core.now());
        let question = question(core, &state, "/v1/tile/health");
        (connected, kept, question)
    };
    let mut asked = None;
    let mut read = Value::Object(Map::new());
    if connected {
        match (kept, question) {
            (Some(kept), _) => read = kept,
            (None, Some((url, headers))) => {
                let answer = client::get(&url, &headers).await;
                if let Ok(Answered { status: 200..=299, body, .. }) = &answer {
                    read = decoded(body);
                    let mut state = core.state();
                    let tenant = state.pairing.as_ref().map(|pairing| pairing.tenant_id.clone());
                    state.kept_health =
                        tenant.map(|tenant| (tenant, read.clone(), core.now().saturating_add(KEPT_SECONDS)));
                }
                asked = Some(told(url, answer));
            }
            (None, None) => {}
        }
    }
    let embed_url = core
        .state()
        .pairing
        .as_ref()
        .filter(|_| connected)
        .map(|pairing| format!("{}/embed/{}", pairing.ledger_url, percent_encoded(&pairing.tenant_id)));
    let tile = (provider == "sage_accounting").then(|| tile(connected, &read, core.now()));
    Health { asked, tile, status_block: status_block(provider, connected, &read), embed_url, read }
}

/// Something of the shop asks after an entity.
pub(crate) async fn asks_after(core: &Core, entity_type: &str, entity_id: &str) -> EntityStatus {
    let path = format!(
        "/v1/status?entity_type={}&entity_id={}",
        percent_encoded(entity_type).replace("%20", "+"),
        percent_encoded(entity_id).replace("%20", "+")
    );
    let question = question(core, &core.state(), &path);
    let Some((url, headers)) = question else { return EntityStatus { asked: None, read: None } };
    let answer = client::get(&url, &headers).await;
    let read = match &answer {
        Ok(Answered { status: 200..=299, body, .. }) => Some(decoded(body)),
        _ => None,
    };
    EntityStatus { asked: Some(told(url, answer)), read }
}

/// Address and headers of a question; none where the shop isn't paired.
fn question(core: &Core, state: &State, path: &str) -> Option<(String, Vec<(String, String)>)> {
    let pairing = Pairing::of(state).ok()?;
    let token = jwt::outbound_token(&pairing.api_key, &pairing.tenant_id, core.now(), &fresh_jti());
    let headers = vec![
        ("Authorization".to_owned(), format!("Bearer {token}")),
        ("Accept".to_owned(), "application/json".to_owned()),
    ];
    Some((format!("{}{path}", pairing.ledger_url), headers))
}

fn kept(state: &State, now: i64) -> Option<Value> {
    let (tenant, read, until) = state.kept_health.as_ref()?;
    let pairing = state.pairing.as_ref()?;
    (*tenant == pairing.tenant_id && *until > now).then(|| read.clone())
}

fn told(url: String, answer: Result<Answered, String>) -> Asked {
    match answer {
        Ok(answered) => {
            let body = String::from_utf8_lossy(&answered.body).into_owned();
            Asked { url, status: Some(answered.status), body }
        }
        Err(error) => Asked { url, status: None, body: error },
    }
}

/// What PHP makes of a body: anything but an object or a list is nothing.
fn decoded(body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        _ => Value::Object(Map::new()),
    }
}

fn is_empty(read: &Value) -> bool {
    match read {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// A field as PHP casts it to text; empty if it is missing or null.
fn text(read: &Value, part: &str, field: &str) -> String {
    match read.get(part).and_then(|part| part.get(field)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(true)) => "1".to_owned(),
        Some(Value::Array(_) | Value::Object(_)) => "Array".to_owned(),
        Some(Value::Bool(false) | Value::Null) | None => String::new(),
    }
}

/// A field as PHP casts it to a whole number; none if it is missing or null.
fn whole(read: &Value, part: &str, field: &str) -> Option<i64> {
    read.get(part).and_then(|part| part.get(field)).filter(|value| !value.is_null())?;
    let text = text(read, part, field);
    let (sign, rest) = text.trim_start().strip_prefix('-').map_or((1, text.trim_start()), |rest| (-1, rest));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(digits.parse::<i64>().unwrap_or(0).saturating_mul(sign))
}

fn tile(connected: bool, read: &Value, now: i64) -> Tile {
    let blank = |state, headline: &str, leads_to| Tile {
        state,
        headline: headline.to_owned(),
        last_run: None,
        last_run_text: ago(None, now),
        pending: None,
        failed_24h: None,
        leads_to,
    };
    if !connected {
        return blank("disconnected", "Not connected to Sage", "config");
    }
    if is_empty(read) {
        return blank("unknown", "Ledger unreachable", "embed");
    }
    let magento = text(read, "tenant", "magento_connection_status");
    if magento == "token_revoked" {
        return blank("error", "Magento disconnected — re-pair required", "config");
    }
    let (binding, region) = (text(read, "binding", "status"), text(read, "binding", "region").to_uppercase());
    let (pending, failed_24h) = (whole(read, "sync", "pending_count"), whole(read, "sync", "failed_24h"));
    let last_run = Some(text(read, "sync", "last_run_at")).filter(|at| !at.is_empty());
    let last_run_text = ago(last_run.as_deref(), now);
    let (state, headline, leads_to) = if magento == "pending" || binding.is_empty() {
        ("warning", "Finish setup at ledger.byte8.io".to_owned(), "config")
    } else {
        let state = match () {
            () if binding != "active" || failed_24h.is_some_and(|failed| failed > 0) => "error",
            () if pending.is_some_and(|pending| pending > 0) => "warning",
            () => "connected",
        };
        let headline = match region.as_str() {
            _ if binding != "active" => format!("Binding {binding}"),
            "" => "Connected to Sage".to_owned(),
            region => format!("Connected to Sage ({region})"),
        };
        (state, headline, "embed")
    };
    Tile { state, headline, last_run, last_run_text, pending, failed_24h, leads_to }
}

fn ago(at: Option<&str>, now: i64) -> String {
    let Some(at) = at else { return "No syncs yet".to_owned() };
    let Ok(at) = at.parse::<jiff::Timestamp>() else { return "Unknown".to_owned() };
    match now.saturating_sub(at.as_second()).max(0) {
        ..60 => "just now".to_owned(),
        seconds @ ..3_600 => format!("{} minutes ago", seconds / 60),
        seconds @ ..86_400 => format!("{} hours ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

fn status_block(provider: &str, connected: bool, read: &Value) -> StatusBlock {
    let name = match provider {
        "sage_accounting" => "Sage",
        "freeagent" => "FreeAgent",
        _ => "Xero",
    };
    if !connected {
        return StatusBlock { state: "disconnected", label: "Not paired".to_owned() };
    }
    let magento = text(read, "tenant", "magento_connection_status");
    let (binding, region) = (text(read, "binding", "status"), text(read, "binding", "region").to_uppercase());
    let (state, label) = match (magento.as_str(), binding.as_str()) {
        ("token_revoked", _) => ("token_revoked", "Magento disconnected — re-pair required".to_owned()),
        ("pending" | "", _) => ("pending", "Waiting for ledger".to_owned()),
        ("active", "active") if name == "Sage" && !region.is_empty() => {
            ("connected", format!("Connected to Sage ({region})"))
        }
        ("active", "active") => ("connected", format!("Connected to {name}")),
        ("active", _) => ("pending", format!("Magento paired — {name} not connected yet")),
        _ => ("unknown", "Ledger unreachable".to_owned()),
    };
    StatusBlock { state, label }
}
