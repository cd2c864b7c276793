//! The control API of the shop, below `/_control/`. Bodies and answers are JSON; a mistake is 422 `{"error": "…"}`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET health` | | `{"ok":true,"kind":"shop","now":1795167000}` |
//! | `GET clock`, `POST clock` | `{"advance_seconds":60}` | `{"now":…,"offset":60}` |
//! | `POST websites` | [`WebsiteSpec`] | `{"ok":true}` |
//! | `POST customers` | [`CustomerSpec`] | `{"id":1}` |
//! | `POST customers/{id}` | [`CustomerEdit`] | `{"ok":true}` |
//! | `DELETE customers/{id}` | | `{"ok":true}` |
//! | `PUT customers` | [`CustomerSpec`] | `{"id":1}`: the account with that address is so from now on |
//! | `POST products` | [`ProductSpec`] | `{"id":1}` |
//! | `POST products/{id}/stock` | `{"quantity":5}` | `{"ok":true}` |
//! | `POST orders` | [`OrderSpec`] | [`super::PlacedOrder`] |
//! | `POST invoices` | `{"order_id":1}` and the fields of [`InvoiceSpec`] | `{"id":1,"increment_id":"000000001","state":"paid","grand_total":"43.62"}` |
//! | `GET invoices/{id}` | | the same |
//! | `POST invoices/{id}/pay`, `…/cancel`, `…/lose` | | `{"ok":true}` |
//! | `POST memos` | [`MemoSpec`] | `{"id":1}` |
//! | `POST memos/{id}/comment` | `{"comment":"…"}` | `{"ok":true}` |
//! | `GET sales` | | `[…]`, each a [`super::Sale`] |
//! | `GET presets`, `POST presets/{name}` | | `["…"]`, `{"id":1,"increment_id":…}` as of an invoice |
//! | `POST cron` | | `{"sent":[…]}`, each a [`super::Sent`] |
//! | `GET outbox` | | `[…]`, each a [`super::OutboxRow`] |
//! | `POST outbox/{id}/requeue` | | `{"ok":true}` |
//! | `POST deliver/{id}` | `{"times":1,"at_once":1}` | `{"sent":[…]}`: the very same request again, a fresh token each |
//! | `GET delivery/{id}` | | [`super::Delivery`]: what would be sent |
//! | `GET chip/{entity}/{id}[?provider=xero]` | | [`super::Chip`], or 404 |
//! | `GET chips` | | `[{"entity_type","magento_entity_id","provider",…}]` |
//! | `GET pushed` | | every accepted state, in order |
//! | `POST pair` | `{"tenant_id","api_key","ledger_url"}` | `{"ok":true}` |
//! | `POST disconnect` | `{"provider":"xero"}`; none means all | `{"acknowledged":true,"message":"…"}`: what the administrator is told |
//! | `POST look` | `{"provider":"xero"}`; the first module by default | [`super::Health`]: asks the ledger for the tile, shows what was read |
//! | `POST ask` | `{"entity_type":"invoice","entity_id":"42"}` | [`super::EntityStatus`]: asks after an entity |
//! | `GET pairing` | | `{"tenant_id","api_key","ledger_url"}`: what the shop has kept of its pairing, or 404 |
//! | `POST pairing-code` | `{"provider":"xero"}`; the first module by default | `{"pairing_code":"…"}`, 32 hexadecimal digits, good for 30 minutes |
//! | `POST key` | `{"dropped":true}`, `{"drifted":true}` | `{"ok":true}`: no key; another one than the ledger has |
//! | `POST reachable` | `{"reachable":false}` | `{"ok":true}`: nobody gets through to the REST interface |
//! | `POST cache/flush` | | `{"ok":true}` |
//! | `POST sign` | `{"seconds_from_now":-30}` | `{"authorization":"Bearer …"}` |
//! | `POST faults`, `DELETE faults` | [`ShopFaultSpec`] or a list | `{"ok":true}` |
//! | `GET requests` | | `[…]`, each a [`super::RestRequest`] |
//! | `GET canonical/{kind}/{id}` | | the body the REST interface would send |

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::spec::{
    CustomerEdit, CustomerSpec, InvoiceSpec, MemoSpec, OrderSpec, ProductSpec, ShopFaultSpec, WebsiteSpec,
};
use super::{Core, canonical, cron, health, pairing, presets, trade};
use crate::server::{Answer, Request};

pub(crate) async fn answer(core: &Core, request: &Request) -> Answer {
    match handle(core, request).await {
        Ok(Some(value)) => Answer::json(200, &value),
        Ok(None) => Answer::json(404, &json!({"error": "there is no such thing"})),
        Err(error) => Answer::json(422, &json!({"error": format!("{error:#}")})),
    }
}

fn done() -> anyhow::Result<Option<Value>> {
    Ok(Some(json!({"ok": true})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockStep {
    advance_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairRequest {
    tenant_id: String,
    api_key: String,
    ledger_url: String,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeliverRequest {
    times: usize,
    at_once: usize,
}

impl Default for DeliverRequest {
    fn default() -> Self {
        Self { times: 1, at_once: 1 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskRequest {
    entity_type: String,
    entity_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct KeyRequest {
    dropped: Option<bool>,
    drifted: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SignRequest {
    seconds_from_now: i64,
}

async fn handle(core: &Core, request: &Request) -> anyhow::Result<Option<Value>> {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("POST", ["cron"]) => Ok(Some(json!({"sent": cron::tick(core).await}))),
        ("POST", ["disconnect"]) => disconnect(core, request).await,
        ("POST", ["look"]) => {
            let body = request.json()?;
            let first = core.state().providers.first().cloned().unwrap_or_default();
            let provider = body.get("provider").and_then(Value::as_str).unwrap_or(&first);
            Ok(Some(serde_json::to_value(health::look(core, provider).await)?))
        }
        ("POST", ["ask"]) => {
            let ask: AskRequest = request.read()?;
            Ok(Some(serde_json::to_value(health::asks_after(core, &ask.entity_type, &ask.entity_id).await)?))
        }
        ("POST", ["deliver", id]) => deliver(core, id.parse()?, request.read()?).await,
        ("GET", path) => look(core, request, path),
        (_, path) => act(core, request, path),
    }
}

/// The button on the configuration page.
async fn disconnect(core: &Core, request: &Request) -> anyhow::Result<Option<Value>> {
    let body = request.json()?;
    let provider = body.get("provider").and_then(Value::as_str);
    let was_connected = {
        let state = core.state();
        provider.map_or(!state.connected.is_empty(), |provider| state.connected.contains(provider))
    };
    let acknowledged = if was_connected { cron::disconnect(core, provider).await } else { true };
    let message = match (was_connected, acknowledged) {
        (false, _) => "Already disconnected.",
        (true, true) => "Disconnected. Byte8 Ledger acknowledged the revocation.",
        (true, false) => "Disconnected locally. Byte8 Ledger was unreachable; it will reconcile on its next poll.",
    };
    Ok(Some(json!({"acknowledged": acknowledged, "message": message})))
}

/// The same request, `times` over, `at_once` of them in flight.
async fn deliver(core: &Core, id: i64, order: DeliverRequest) -> anyhow::Result<Option<Value>> {
    let mut sent = Vec::new();
    let mut flying = JoinSet::new();
    for _ in 0..order.times {
        while flying.len() >= order.at_once.max(1) {
            if let Some(landed) = flying.join_next().await {
                sent.push(landed??);
            }
        }
        let core = core.clone();
        flying.spawn(async move { cron::deliver(&core, id).await });
    }
    while let Some(landed) = flying.join_next().await {
        sent.push(landed??);
    }
    Ok(Some(json!({"sent": sent})))
}

fn look(core: &Core, request: &Request, path: &[&str]) -> anyhow::Result<Option<Value>> {
    let state = core.state();
    Ok(match path {
        ["health"] => Some(json!({"ok": true, "kind": "shop", "now": core.now()})),
        ["clock"] => Some(clock(core)),
        ["presets"] => Some(json!(presets::NAMES)),
        ["pairing"] => state
            .pairing
            .as_ref()
            .map(|kept| json!({"tenant_id": kept.tenant_id, "api_key": kept.api_key, "ledger_url": kept.ledger_url})),
        ["outbox"] => Some(json!(state.outbox.values().collect::<Vec<_>>())),
        ["pushed"] => Some(json!(state.pushed)),
        ["requests"] => Some(json!(state.requests)),
        ["invoices", id] => invoice(&state, id.parse()?),
        ["sales"] => Some(json!(trade::sales(&state))),
        ["delivery", id] => {
            drop(state);
            Some(json!(cron::delivery(core, id.parse()?)?))
        }
        ["chip", entity, id] => {
            let provider =
                request.parameter("provider").or_else(|| state.providers.first().cloned()).unwrap_or_default();
            state.chips.get(&((*entity).to_owned(), id.parse()?, provider)).map(|chip| json!(chip))
        }
        ["chips"] => Some(json!(
            state
                .chips
                .iter()
                .map(|((entity, id, provider), chip)| json!({
                    "entity_type": entity, "magento_entity_id": id, "provider": provider, "chip": chip,
                }))
                .collect::<Vec<_>>()
        )),
        ["canonical", kind, id] => match canonical::document(&state, kind, id.parse()?) {
            Ok(document) => Some(serde_json::from_str(&document.json(true))?),
            Err(_) => None,
        },
        _ => None,
    })
}

fn clock(core: &Core) -> Value {
    json!({"now": core.now(), "offset": core.clock().offset()})
}

fn invoice(state: &super::state::State, id: i64) -> Option<Value> {
    state.invoices.get(&id).map(|invoice| {
        json!({
            "id": invoice.id,
            "increment_id": invoice.increment_id,
            "order_id": invoice.order_id,
            "state": invoice.state,
            "grand_total": invoice.money.totals.grand_total.normalize().to_string(),
        })
    })
}

fn act(core: &Core, request: &Request, path: &[&str]) -> anyhow::Result<Option<Value>> {
    let now = core.now();
    let method = request.method.as_str();
    match (method, path) {
        ("POST", ["clock"]) => {
            core.clock().advance(request.read::<ClockStep>()?.advance_seconds);
            Ok(Some(clock(core)))
        }
        ("POST", ["presets", name]) => {
            let id = presets::raise(core, name)?;
            Ok(invoice(&core.state(), id))
        }
        ("POST", ["sign"]) => {
            let token = cron::sign(core, request.read::<SignRequest>()?.seconds_from_now)?;
            Ok(Some(json!({"authorization": format!("Bearer {token}")})))
        }
        ("POST", ["outbox", id, "requeue"]) => {
            cron::requeue(core, id.parse()?)?;
            done()
        }
        _ => sell(core, request, method, path, now),
    }
}

fn sell(core: &Core, request: &Request, method: &str, path: &[&str], now: i64) -> anyhow::Result<Option<Value>> {
    let state = &mut *core.state();
    match (method, path) {
        ("POST", ["websites"]) => {
            trade::set_website(state, &request.read::<WebsiteSpec>()?)?;
            done()
        }
        ("POST", ["customers"]) => {
            Ok(Some(json!({"id": trade::register(state, request.read::<CustomerSpec>()?, now)?})))
        }
        ("POST", ["customers", id]) => {
            trade::edit_customer(state, id.parse()?, request.read::<CustomerEdit>()?, now)?;
            done()
        }
        ("DELETE", ["customers", id]) => {
            state.customers.remove(&id.parse::<i64>()?);
            done()
        }
        ("POST", ["products"]) => {
            Ok(Some(json!({"id": trade::save_product(state, request.read::<ProductSpec>()?, now)})))
        }
        ("POST", ["products", id, "stock"]) => {
            let quantity = request.json()?.get("quantity").cloned().context("quantity: how many?")?;
            trade::save_stock(state, id.parse()?, serde_json::from_value(quantity)?, now)?;
            done()
        }
        ("PUT", ["customers"]) => {
            Ok(Some(json!({"id": trade::save_customer(state, request.read::<CustomerSpec>()?, now)?})))
        }
        ("POST", ["orders"]) => Ok(Some(json!(trade::place(state, &request.read::<OrderSpec>()?, now)?))),
        ("POST", ["memos"]) => Ok(Some(json!({"id": trade::refund(state, &request.read::<MemoSpec>()?, now)?}))),
        ("POST", ["memos", id, "comment"]) => {
            let body = request.json()?;
            let comment = body.get("comment").and_then(Value::as_str).context("comment: which?")?;
            trade::comment(state, id.parse()?, comment, now)?;
            done()
        }
        ("POST", ["invoices"]) => {
            let mut body = request.json()?;
            let order_id = body.as_object_mut().and_then(|fields| fields.remove("order_id")).and_then(|id| id.as_i64());
            let spec: InvoiceSpec = serde_json::from_value(body).context("the body isn't an invoice")?;
            let id = trade::invoice(state, order_id.context("which order_id?")?, &spec, now)?;
            Ok(invoice(state, id))
        }
        ("POST", ["invoices", id, "pay"]) => {
            trade::pay(state, id.parse()?, now)?;
            done()
        }
        ("POST", ["invoices", id, "cancel"]) => {
            trade::cancel(state, id.parse()?)?;
            done()
        }
        ("POST", ["invoices", id, "lose"]) => {
            state.invoices.remove(&id.parse::<i64>()?);
            done()
        }
        ("POST", ["pair"]) => {
            let pair: PairRequest = request.read()?;
            pairing::pair_directly(state, &pair.tenant_id, &pair.api_key, &pair.ledger_url);
            done()
        }
        ("POST", ["pairing-code"]) => {
            let body = request.json()?;
            let first = state.providers.first().cloned().unwrap_or_default();
            let provider = body.get("provider").and_then(Value::as_str).unwrap_or(&first);
            anyhow::ensure!(state.providers.iter().any(|known| known == provider), "no module of {provider} here");
            Ok(Some(json!({"pairing_code": pairing::show_code(state, provider, now)})))
        }
        ("POST", ["key"]) => {
            let key: KeyRequest = request.read()?;
            state.key_dropped = key.dropped.unwrap_or(state.key_dropped);
            if let Some(drifted) = key.drifted {
                pairing::drift(state, drifted);
            }
            done()
        }
        ("POST", ["reachable"]) => {
            let reachable = request.json()?.get("reachable").and_then(Value::as_bool);
            state.unreachable = !reachable.context("reachable: true or false?")?;
            done()
        }
        ("POST", ["cache", "flush"]) => {
            state.burnt.clear();
            state.kept_health = None;
            done()
        }
        ("POST", ["faults"]) => {
            state.faults.extend(request.read_list::<ShopFaultSpec>()?);
            done()
        }
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            done()
        }
        _ => Ok(None),
    }
}
