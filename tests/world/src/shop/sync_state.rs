//! The ledger tells what became of an entity.

use serde_json::Value;

use super::php::Php;
use super::rest::{Refusal, missing_fields};
use super::state::{Chip, PushedState, State};
use crate::clock::database_time;

const ENTITIES: [&str; 4] = ["invoice", "creditmemo", "customer", "product"];
const STATUSES: [&str; 3] = ["synced", "skipped", "failed"];

pub(crate) fn upsert(state: &mut State, body: &Value, now: i64) -> Result<(), Refusal> {
    let entity_type = text(body, "entity_type", "entityType")?;
    let entity_id = number(body, "magento_entity_id", "magentoEntityId")?;
    let provider = text(body, "provider", "provider")?;
    let sync_status = text(body, "sync_status", "syncStatus")?;
    let given = [
        ("entityType", entity_type.is_some()),
        ("magentoEntityId", entity_id.is_some()),
        ("provider", provider.is_some()),
        ("syncStatus", sync_status.is_some()),
    ];
    let missing: Vec<&str> = given.iter().filter(|(_, given)| !given).map(|(name, _)| *name).collect();
    let (Some(entity_type), Some(entity_id), Some(provider), Some(sync_status)) =
        (entity_type, entity_id, provider, sync_status)
    else {
        return Err(missing_fields(&missing));
    };
    let positional = |message: &str, values: &[&str]| {
        Err(Refusal::new(400, message).with(Php::List(values.iter().copied().map(Php::text).collect())))
    };
    if !ENTITIES.contains(&entity_type.as_str()) {
        return positional("Unknown entity_type %1; expected one of: %2", &[&entity_type, &ENTITIES.join(", ")]);
    }
    if entity_id <= 0 {
        return Err(Refusal::new(400, "magento_entity_id must be positive"));
    }
    if provider.is_empty() {
        return Err(Refusal::new(400, "provider must be non-empty"));
    }
    if !STATUSES.contains(&sync_status.as_str()) {
        return positional(
            "Invalid sync_status %1; pending is Magento-side only and must not arrive via callback. Expected: %2",
            &[&sync_status, &STATUSES.join(", ")],
        );
    }
    // The columns hold 32 and 64 characters; the database cuts without a word.
    let provider = cut(&provider, 32);
    let optional = |snake: &str, camel: &str| text(body, snake, camel).map(|text| text.map(|text| cut(&text, 64)));
    let chip = Chip {
        sync_status,
        provider_entity_id: optional("provider_entity_id", "providerEntityId")?,
        provider_reference: optional("provider_reference", "providerReference")?,
        skip_reason: optional("skip_reason", "skipReason")?,
        error_code: optional("error_code", "errorCode")?,
        last_sync_at: text(body, "last_sync_at", "lastSyncAt")?
            .map_or_else(|| database_time(now), |time| cut(&time.replace('T', " "), 19)),
    };
    state.chips.insert((entity_type.clone(), entity_id, provider.clone()), chip.clone());
    state.pushed.push(PushedState { entity_type, magento_entity_id: entity_id, provider, chip });
    Ok(())
}

fn field<'a>(body: &'a Value, snake: &str, camel: &str) -> Option<&'a Value> {
    body.get(snake).or_else(|| body.get(camel)).filter(|value| !value.is_null())
}

fn text(body: &Value, snake: &str, camel: &str) -> Result<Option<String>, Refusal> {
    match field(body, snake, camel) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(Value::Bool(flag)) => Ok(Some(if *flag { "1" } else { "" }.to_owned())),
        Some(other) => Err(wrong_type(other, "string")),
    }
}

fn number(body: &Value, snake: &str, camel: &str) -> Result<Option<i64>, Refusal> {
    match field(body, snake, camel) {
        None => Ok(None),
        Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64()),
        Some(Value::String(text)) if text.parse::<i64>().is_ok() => Ok(text.parse().ok()),
        Some(other) => Err(wrong_type(other, "int")),
    }
}

fn wrong_type(value: &Value, expected: &str) -> Refusal {
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Refusal::wrong_type(&shown, expected)
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
