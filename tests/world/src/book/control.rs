//! The control API of the book, below `/_control/`. Bodies and answers are JSON; a mistake is 422 `{"error": "…"}`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET health` | | `{"ok":true,"kind":"book","now":1795167000}` |
//! | `GET clock`, `POST clock` | `{"advance_seconds":60}` | `{"now":…,"offset":60}` |
//! | `GET log` | | `[…]`, each a [`super::LogEntry`] |
//! | `GET overlaps` | | `{"writes":[[3,4]]}`: numbers of the log that were under way at once |
//! | `GET documents` | | `{"contacts":[…],"invoices":[…],"price_list_items":[…],"bank_transaction_explanations":[…]}` |
//! | `GET invoices?reference=…` | | `{"invoices":[…]}` with that reference |
//! | `POST seed` | [`Seed`] | `{"contacts":["url"],"invoices":["url"],"price_list_items":["url"]}` |
//! | `POST faults`, `GET faults`, `DELETE faults` | [`FaultSpec`] or a list | `{"ok":true}`, or those still to come |
//! | `GET late`, `POST late/release` | | `{"waiting":1}`, `{"released":[201]}`: the statuses nobody saw |
//! | `POST tokens` | `{"accept":["a"],"revoke":["b"]}` | `{"ok":true}` |
//! | `GET switches`, `POST switches` | the fields of [`Switches`] that change | all of them |
//! | `POST latency` | `{"milliseconds":50}` | `{"ok":true}` |
//! | `POST reset` | | `{"ok":true}`: as it was opened, log included |

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::spec::{FaultSpec, Seed, Switches};
use super::{Core, faults};
use crate::server::{Answer, Request};

pub(crate) fn answer(core: &Core, request: &Request) -> Answer {
    match handle(core, request) {
        Ok(Some(value)) => Answer::json(200, &value),
        Ok(None) => Answer::json(404, &json!({"error": "there is no such thing"})),
        Err(error) => Answer::json(422, &json!({"error": format!("{error:#}")})),
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Tokens {
    accept: Vec<String>,
    revoke: Vec<String>,
}

fn handle(core: &Core, request: &Request) -> anyhow::Result<Option<Value>> {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let done = json!({"ok": true});
    let mut store = core.store();
    Ok(Some(match (request.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => json!({"ok": true, "kind": "book", "now": store.now()}),
        ("GET", ["clock"]) => json!({"now": store.now(), "offset": store.options.clock.offset()}),
        ("POST", ["clock"]) => {
            let seconds =
                request.json()?.get("advance_seconds").and_then(Value::as_i64).context("advance_seconds: how many?")?;
            store.options.clock.advance(seconds);
            json!({"now": store.now(), "offset": store.options.clock.offset()})
        }
        ("GET", ["log"]) => json!(core.log().entries()),
        ("GET", ["overlaps"]) => json!({"writes": core.log().overlaps()}),
        ("GET", ["documents"]) => store.documents(),
        ("GET", ["invoices"]) => {
            let reference = request.parameter("reference").context("which reference?")?;
            let found: Vec<Value> = store
                .invoices
                .values()
                .filter(|invoice| invoice.reference == reference)
                .map(|invoice| store.show_invoice(invoice, true))
                .collect();
            json!({"invoices": found})
        }
        ("POST", ["seed"]) => {
            let seed: Seed = request.read()?;
            faults::seed(&mut store, &seed)?
        }
        ("POST", ["faults"]) => {
            store.faults.extend(request.read_list::<FaultSpec>()?);
            done
        }
        ("GET", ["faults"]) => json!(store.faults),
        ("DELETE", ["faults"]) => {
            store.faults.clear();
            done
        }
        ("GET", ["late"]) => json!({"waiting": store.late.len()}),
        ("POST", ["late", "release"]) => json!({"released": faults::release(&mut store)}),
        ("POST", ["tokens"]) => {
            let tokens: Tokens = request.read()?;
            store.tokens.extend(tokens.accept);
            store.tokens.retain(|token| !tokens.revoke.contains(token));
            done
        }
        ("GET", ["switches"]) => json!(store.switches),
        ("POST", ["switches"]) => {
            let mut switches = serde_json::to_value(store.switches)?;
            if let (Some(all), Value::Object(changes)) = (switches.as_object_mut(), request.json()?) {
                all.extend(changes);
            }
            store.switches = serde_json::from_value::<Switches>(switches)?;
            json!(store.switches)
        }
        ("POST", ["latency"]) => {
            store.options.latency_milliseconds =
                request.json()?.get("milliseconds").and_then(Value::as_u64).context("milliseconds: how many?")?;
            done
        }
        ("POST", ["reset"]) => {
            store.reset();
            *core.log() = super::log::Log::new();
            done
        }
        _ => return Ok(None),
    }))
}
