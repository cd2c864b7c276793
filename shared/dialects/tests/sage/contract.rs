//! Every request against the published description of the API (Sage Accounting API v3.1, Swagger 2.0), where a copy is
//! at hand: `sage_accounting_v3.1.json` in the folder that `LEDGER_API_SPECS` names, else in `../shared/api-specs` beside
//! the workspace.

use crate::requests::all;
use ledger_dialects::Call;
use serde_json::Value;
use std::path::PathBuf;

/// Fields that the API takes and its description leaves out (Sage Accounting API guides, idempotency).
const UNDESCRIBED: [&str; 1] = ["idempotency_id"];
/// Paths that the API has and its description leaves out (Sage Accounting API guides, multi-business).
const UNDESCRIBED_PATHS: [&str; 1] = ["/businesses"];

#[expect(clippy::disallowed_methods, reason = "the place of a file that is no part of the workspace")]
fn description() -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/api-specs");
    let folder = std::env::var("LEDGER_API_SPECS").map_or_else(|_| beside(), PathBuf::from);
    let text = std::fs::read_to_string(folder.join("sage_accounting_v3.1.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/definitions/")) {
        Some(name) => resolved(root, &root["definitions"][name]),
        None => schema,
    }
}

/// What of a value the schema does not describe.
fn complaints(root: &Value, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let schema = resolved(root, schema);
    let kind = schema["type"].as_str().unwrap_or("object");
    let fits = match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    if !fits {
        found.push(format!("{path}: not {kind}"));
    }
    if let Some(most) = schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok())
        && value.as_str().is_some_and(|text| text.chars().count() > most)
    {
        found.push(format!("{path}: longer than {most}"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_i64(), value.as_i64())
        && number < least
    {
        found.push(format!("{path}: less than {least}"));
    }
    if let (Some(most), Some(number)) = (schema["maximum"].as_i64(), value.as_i64())
        && number > most
    {
        found.push(format!("{path}: more than {most}"));
    }
    if let Some(fields) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                found.push(format!("{path}.{name}: missing"));
            }
        }
        for (name, value) in fields.iter().filter(|(name, _)| !UNDESCRIBED.contains(&name.as_str())) {
            match schema["properties"].get(name) {
                Some(schema) => complaints(root, schema, value, &format!("{path}.{name}"), found),
                None => found.push(format!("{path}.{name}: unknown")),
            }
        }
    }
    for (at, value) in value.as_array().into_iter().flatten().enumerate() {
        complaints(root, &schema["items"], value, &format!("{path}[{at}]"), found);
    }
}

/// What of a request the description does not describe.
fn undescribed(root: &Value, call: &Call) -> Vec<String> {
    let path = call.path.strip_prefix("/v3.1").unwrap();
    if UNDESCRIBED_PATHS.contains(&path) {
        return Vec::new();
    }
    let keyed = path.rsplit_once('/').map(|(collection, _)| format!("{collection}/{{key}}")).unwrap_or_default();
    let paths = &root["paths"];
    let Some(operations) = paths.get(path).or_else(|| paths.get(&keyed)) else {
        return vec![format!("{path}: no path")];
    };
    let Some(operation) = operations.get(call.method.as_str().to_lowercase()) else {
        return vec![format!("{path}: no {}", call.method.as_str())];
    };
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for (name, value) in &call.query {
        match parameters.iter().find(|it| it["in"] == "query" && it["name"] == name.as_str()) {
            None => found.push(format!("?{name}: unknown")),
            Some(it) if it["type"] == "boolean" && !matches!(value.as_str(), "true" | "false") => {
                found.push(format!("?{name}: not boolean"));
            }
            Some(it) if it["type"] == "integer" && value.parse::<u32>().is_err() => {
                found.push(format!("?{name}: not integer"));
            }
            Some(_) => {}
        }
    }
    if let Some(body) = &call.body {
        let value: Value = serde_json::from_str(body).unwrap();
        match parameters.iter().find(|it| it["in"] == "body") {
            Some(it) => complaints(root, &it["schema"], &value, "", &mut found),
            None => found.push("a body: unknown".to_owned()),
        }
    }
    found
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that had nothing to compare with must say so")]
fn requests_are_as_the_published_description_has_them() {
    let Some(root) = description() else {
        eprintln!("skipped: no sage_accounting_v3.1.json in LEDGER_API_SPECS or ../shared/api-specs");
        return;
    };
    let mut found = Vec::new();
    for (name, call) in all() {
        found.extend(undescribed(&root, &call).into_iter().map(|complaint| format!("{name}{complaint}")));
    }
    assert_eq!(found, Vec::<String>::new());

    // The check itself: what is wrong is seen.
    let (_, call) = all().into_iter().find(|(name, _)| *name == "contact_person").unwrap();
    let changed = |from: &str, to: &str| {
        let body = call.body.as_deref().unwrap();
        assert!(body.contains(from));
        undescribed(&root, &Call { body: Some(body.replace(from, to)), ..call.clone() })
    };
    assert_eq!(changed("\"name\":\"Jane O'Hara\",\"contact", "\"nom\":1,\"contact").len(), 2);
    assert_eq!(changed("\"credit_days\":30", "\"credit_days\":\"30\""), [".contact.credit_days: not integer"]);
    assert_eq!(changed("[\"CUSTOMER\"]", "[7]"), [".contact.contact_type_ids[0]: not string"]);
}
