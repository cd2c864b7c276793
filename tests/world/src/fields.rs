//! Reading the fields of a body, for books that take numbers and text alike.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

/// Fields of an object.
pub(crate) type Fields = Map<String, Value>;

/// The text of a field, without space around it; a number as its text; empty if there is none.
pub(crate) fn text(fields: &Fields, field: &str) -> String {
    match fields.get(field) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Whether a field is there and isn't null.
pub(crate) fn given(fields: &Fields, field: &str) -> bool {
    fields.get(field).is_some_and(|value| !value.is_null())
}

/// The figure of a field, whether it came as a number or as text.
pub(crate) fn figure(fields: &Fields, field: &str) -> Option<Decimal> {
    fields.get(field).and_then(decimal)
}

/// The object in a field.
pub(crate) fn object<'a>(fields: &'a Fields, field: &str) -> Option<&'a Fields> {
    fields.get(field).and_then(Value::as_object)
}

/// The objects of the list in a field.
pub(crate) fn objects<'a>(fields: &'a Fields, field: &str) -> impl Iterator<Item = &'a Fields> {
    fields.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Whether a text is longer than so many characters.
pub(crate) fn longer(text: &str, characters: usize) -> bool {
    text.chars().count() > characters
}

/// The calendar day in a field: `2026-11-20`, with or without a time of day behind it.
pub(crate) fn day(fields: &Fields, field: &str) -> Option<jiff::civil::Date> {
    calendar_day(&text(fields, field))
}

/// The calendar day at the beginning of a text.
pub(crate) fn calendar_day(text: &str) -> Option<jiff::civil::Date> {
    let day = text.split('T').next().unwrap_or_default();
    (day.len() == 10).then(|| day.parse().ok()).flatten()
}

/// A figure that came as a number or as text.
pub(crate) fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

/// An object's fields; anything else has none.
pub(crate) fn fields_of(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Fields::new(),
    }
}

/// Fields of an object that aren't known, as paths below a prefix.
pub(crate) fn unknown(fields: &Fields, known: &[&str], prefix: &str) -> Vec<String> {
    fields.keys().filter(|field| !known.contains(&field.as_str())).map(|field| format!("{prefix}{field}")).collect()
}
