//! The control API of the book, below `/_control/`. Bodies and answers are JSON; a mistake is 422 `{"error": "…"}`.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET health` | | `{"ok":true,"kind":"book","now":1795167000}` |
//! | `GET clock`, `POST clock` | `{"advance_seconds":60}` | `{"now":…,"offset":60}` |
//! | `GET log` | | `[…]`, each a [`crate::desk::LogEntry`] |
//! | `GET overlaps` | | `{"writes":[[3,4]]}`: numbers of the log that were under way at once |
//! | `GET documents` | | `{"contacts":[…],"invoices":[…],"credit_notes":[…],…}`, as the API shows them |
//! | `GET statement` | | [`crate::statement::Statement`] |
//! | `POST lock` | `{"until":"2026-10-31"}` or `{"until":null}` | `{"ok":true}`: that period is closed |
//! | `POST permission` | `{"level":4}` | `{"ok":true}`: what the user behind the tokens may do |
//! | `POST categories` | `{"code":"041","description":"Lamps"}` | `{"ok":true}`: the bookkeeper opens an income category |
//! | `DELETE categories/{code}` | | `{"ok":true}`: and removes a category |
//! | `GET invoices?reference=…` | | `{"invoices":[…]}` with that reference |
//! | `POST seed` | [`super::Seed`] | `{"contacts":["url"],"invoices":["url"],"credit_notes":["url"],…}` |
//! | `POST faults`, `GET faults`, `DELETE faults` | [`super::FaultSpec`] or a list | `{"ok":true}`, or those still to come |
//! | `GET late`, `POST late/release` | | `{"waiting":1}`, `{"released":[201]}`: the statuses nobody saw |
//! | `POST tokens` | `{"accept":["a"],"revoke":["b"]}` | `{"ok":true}` |
//! | `GET switches`, `POST switches` | the fields of [`super::Switches`] that change | all of them |
//! | `POST latency` | `{"milliseconds":50}` | `{"ok":true}` |
//! | `… identity…` | | sign-in: the table at the head of `src/identity/control.rs` |
//! | `POST reset` | | `{"ok":true}`: as it was opened, log included |

use anyhow::Context as _;
use serde_json::{Value, json};

use super::statement::statement;
use super::store::{Category, INCOME, Store};
use crate::server::Request;

/// What only this book has; the rest is the shared desk's.
pub(crate) fn own(store: &mut Store, request: &Request, path: &[&str]) -> anyhow::Result<Option<Value>> {
    Ok(Some(match (request.method.as_str(), path) {
        ("GET", ["documents"]) => store.documents(),
        ("GET", ["invoices"]) => {
            let reference = request.parameter("reference").context("which reference?")?;
            let found: Vec<Value> = store
                .invoices
                .values()
                .filter(|invoice| invoice.reference == reference)
                .map(|invoice| store.show_document(invoice, true))
                .collect();
            json!({"invoices": found})
        }
        ("GET", ["statement"]) => serde_json::to_value(statement(store))?,
        ("POST", ["categories"]) => {
            let body = request.json()?;
            let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
            let code = text("code").context("code: which?")?;
            let description = text("description").context("description: which?")?;
            store.categories.retain(|category| category.code != code);
            store.categories.push(Category { group: INCOME.to_owned(), code, description });
            json!({"ok": true})
        }
        ("DELETE", ["categories", code]) => {
            let before = store.categories.len();
            store.categories.retain(|category| category.code != *code);
            anyhow::ensure!(store.categories.len() < before, "there is no category {code}");
            json!({"ok": true})
        }
        ("POST", ["lock"]) => {
            let until = request.json()?.get("until").cloned().unwrap_or_default();
            store.locked_until = until.as_str().map(str::to_owned);
            json!({"ok": true})
        }
        ("POST", ["permission"]) => {
            let level = request.json()?.get("level").and_then(Value::as_u64).context("level: which?")?;
            store.permission_level = u8::try_from(level)?;
            json!({"ok": true})
        }
        _ => return Ok(None),
    }))
}
