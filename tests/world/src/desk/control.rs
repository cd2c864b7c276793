//! The part of the control API that is the same for every book.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET health` | | `{"ok":true,"kind":"book","now":1795167000}` |
//! | `GET clock`, `POST clock` | `{"advance_seconds":60}` | `{"now":…,"offset":60}` |
//! | `GET log` | | `[…]`, each a [`super::LogEntry`] |
//! | `GET overlaps` | | `{"writes":[[3,4]]}`: numbers of the log that were under way at once |
//! | `POST seed` | the book's own | the ids by kind |
//! | `POST faults`, `GET faults`, `DELETE faults` | [`FaultSpec`] or a list | `{"ok":true}`, or those still to come |
//! | `GET late`, `POST late/release` | | `{"waiting":1}`, `{"released":[201]}`: the statuses nobody saw |
//! | `POST tokens` | `{"accept":["a"],"revoke":["b"]}` | `{"ok":true}` |
//! | `GET switches`, `POST switches` | those that change | all of them |
//! | `POST latency` | `{"milliseconds":50}` | `{"ok":true}` |
//! | `… identity…` | | sign-in: the table at the head of `src/identity/control.rs` |
//! | `POST reset` | | `{"ok":true}`: as it was opened, log included |

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Core, FaultSpec, Keeper, faults};
use crate::identity;
use crate::server::{Answer, Request};

pub(crate) fn answer<K: Keeper>(core: &Core<K>, request: &Request) -> Answer {
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

fn handle<K: Keeper>(core: &Core<K>, request: &Request) -> anyhow::Result<Option<Value>> {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let done = json!({"ok": true});
    let mut store = core.store();
    Ok(Some(match (request.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => json!({"ok": true, "kind": K::KIND, "now": store.desk().clock.now()}),
        ("GET", ["clock"]) => time(&mut *store),
        ("POST", ["clock"]) => {
            let seconds =
                request.json()?.get("advance_seconds").and_then(Value::as_i64).context("advance_seconds: how many?")?;
            store.desk().clock.advance(seconds);
            time(&mut *store)
        }
        ("GET", ["log"]) => json!(core.log().entries()),
        ("GET", ["overlaps"]) => json!({"writes": core.log().overlaps()}),
        ("POST", ["seed"]) => store.seeds(request)?,
        ("POST", ["faults"]) => {
            let faults = request.read_list::<FaultSpec>()?;
            store.desk().faults.extend(faults);
            done
        }
        ("GET", ["faults"]) => json!(store.desk().faults),
        ("DELETE", ["faults"]) => {
            store.desk().faults.clear();
            done
        }
        ("GET", ["late"]) => json!({"waiting": store.desk().late.len()}),
        ("POST", ["late", "release"]) => json!({"released": faults::release(&mut *store)}),
        ("POST", ["tokens"]) => {
            let tokens: Tokens = request.read()?;
            let desk = store.desk();
            desk.tokens.extend(tokens.accept);
            desk.tokens.retain(|token| !tokens.revoke.contains(token));
            done
        }
        ("GET", ["switches"]) => store.switches()?,
        ("POST", ["switches"]) => {
            let mut switches = store.switches()?;
            if let (Some(all), Value::Object(changes)) = (switches.as_object_mut(), request.json()?) {
                all.extend(changes);
            }
            store.sets_switches(switches)?;
            store.switches()?
        }
        (_, ["identity", rest @ ..]) => return identity::control(store.desk(), request, rest),
        ("POST", ["latency"]) => {
            store.desk().latency_milliseconds =
                request.json()?.get("milliseconds").and_then(Value::as_u64).context("milliseconds: how many?")?;
            done
        }
        ("POST", ["reset"]) => {
            store.resets();
            *core.log() = super::log::Log::new();
            done
        }
        (_, path) => return store.control(request, path),
    }))
}

fn time<K: Keeper>(store: &mut K) -> Value {
    let clock = &store.desk().clock;
    json!({"now": clock.now(), "offset": clock.offset()})
}
