//! How Xero writes JSON: numbers with their trailing zeros, dates as milliseconds, and XML for who doesn't ask for JSON.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::amount::round;
use crate::fields::calendar_day;

/// Stands before the digits of a number until it is written.
const MARK: char = '\u{1}';
const WRITTEN_MARK: &str = "\"\\u0001";

/// A number that is written with exactly so many decimals.
pub(crate) fn number(figure: Decimal, decimals: u32) -> Value {
    let mut figure = round(figure, decimals);
    figure.rescale(decimals);
    Value::String(format!("{MARK}{figure}"))
}

/// A sum of money: two decimals.
pub(crate) fn money(figure: Decimal) -> Value {
    number(figure, 2)
}

/// The figure of a number made here, or the text as it is.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim_start_matches(MARK).to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `/Date(1518685950000+0000)/` of a moment.
pub(crate) fn moment(unix_seconds: i64) -> Value {
    json!(format!("/Date({}+0000)/", unix_seconds.saturating_mul(1000)))
}

/// The same without an offset, as the envelope has it.
pub(crate) fn bare_moment(unix_seconds: i64) -> Value {
    json!(format!("/Date({})/", unix_seconds.saturating_mul(1000)))
}

/// The same of a calendar day.
pub(crate) fn day(date: &str) -> Value {
    let midnight = calendar_day(date).and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    midnight.map_or(Value::Null, |midnight| moment(midnight.timestamp().as_second()))
}

/// `2026-11-20T00:00:00`
pub(crate) fn day_text(date: &str) -> Value {
    json!(format!("{date}T00:00:00"))
}

/// The body as it goes over the wire.
pub(crate) fn text(value: &Value) -> String {
    let written = value.to_string();
    let mut out = String::with_capacity(written.len());
    let mut rest = written.as_str();
    while let Some((before, after)) = rest.split_once(WRITTEN_MARK) {
        out.push_str(before);
        match after.split_once('"').filter(|(figure, _)| figure.parse::<Decimal>().is_ok()) {
            Some((figure, behind)) => {
                out.push_str(figure);
                rest = behind;
            }
            None => {
                out.push_str(WRITTEN_MARK);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.replace("\"/Date(", "\"\\/Date(").replace(")/\"", ")\\/\"")
}

/// The body as a client reads it.
pub(crate) fn read(value: &Value) -> Value {
    serde_json::from_str(&text(value)).unwrap_or_default()
}

/// The same as XML, under that root.
pub(crate) fn xml(root: &str, value: &Value) -> String {
    let mut out = String::new();
    element(&mut out, root, value);
    out
}

fn element(out: &mut String, name: &str, value: &Value) {
    out.push_str(&format!("<{name}>"));
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| element(out, name, value)),
        Value::Array(items) => {
            // `Invoices` holds an `Invoice` each.
            let singular = name.strip_suffix('s').unwrap_or(name);
            items.iter().for_each(|item| element(out, singular, item));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let text = plain(value).unwrap_or_default();
            out.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        }
    }
    out.push_str(&format!("</{name}>"));
}
