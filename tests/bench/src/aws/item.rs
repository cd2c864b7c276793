//! Items as DynamoDB's JSON writes them, and how it counts their bytes.

use serde_json::{Map, Value};
use std::cmp::Ordering;

/// Attributes by name; each value is one of `{"S":…}`, `{"N":…}`, `{"BOOL":…}`, `{"NULL":…}`, `{"M":…}`, `{"L":…}`.
pub type Item = Map<String, Value>;

/// The type and the content of a value.
#[must_use]
pub fn split(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object()?;
    let (kind, content) = object.iter().next()?;
    (object.len() == 1).then_some((kind.as_str(), content))
}

/// The text of an attribute.
#[must_use]
pub fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.get("S")?.as_str()
}

/// A value of type text.
#[must_use]
pub fn of_text(text: &str) -> Value {
    serde_json::json!({"S": text})
}

/// The order of two values of one type; `None` where they have none.
#[must_use]
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (split(left)?, split(right)?) {
        (("S", left), ("S", right)) => Some(left.as_str()?.as_bytes().cmp(right.as_str()?.as_bytes())),
        // Whole numbers are all that Ledger keeps.
        (("N", left), ("N", right)) => Some(whole(left)?.cmp(&whole(right)?)),
        _ => None,
    }
}

/// The content of a number.
fn whole(content: &Value) -> Option<i128> {
    content.as_str()?.parse().ok()
}

/// The sum or difference of two numbers.
#[must_use]
pub fn add(left: &Value, right: &Value, minus: bool) -> Option<Value> {
    let (left, right) = match (split(left)?, split(right)?) {
        (("N", left), ("N", right)) => (whole(left)?, whole(right)?),
        _ => return None,
    };
    let sum = if minus { left.checked_sub(right) } else { left.checked_add(right) };
    Some(serde_json::json!({"N": sum?.to_string()}))
}

/// Bytes of an item.
/// Source: Amazon DynamoDB developer guide, "DynamoDB item sizes and formats".
#[must_use]
pub fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len().saturating_add(size_of_value(value))).sum()
}

fn size_of_value(value: &Value) -> usize {
    let Some((kind, content)) = split(value) else { return 0 };
    match (kind, content) {
        ("S", Value::String(text)) => text.len(),
        // About a byte for every two digits, and one.
        ("N", Value::String(digits)) => digits.bytes().filter(u8::is_ascii_digit).count().div_ceil(2).saturating_add(1),
        // Three bytes of a map or list, one for each of its elements.
        ("M", Value::Object(inner)) => size(inner).saturating_add(inner.len()).saturating_add(3),
        ("L", Value::Array(inner)) => {
            let elements: usize = inner.iter().map(size_of_value).sum();
            elements.saturating_add(inner.len()).saturating_add(3)
        }
        // BOOL and NULL.
        _ => 1,
    }
}

/// Units of a write of that many bytes: one for every started kilobyte.
#[must_use]
pub fn write_units(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(1_024).max(1)).unwrap_or(u64::MAX)
}

/// Half units of a read of that many bytes: one for every started four kilobytes, two where it is consistent.
#[must_use]
pub fn read_half_units(bytes: usize, consistent: bool) -> u64 {
    let blocks = u64::try_from(bytes.div_ceil(4_096).max(1)).unwrap_or(u64::MAX);
    if consistent { blocks.saturating_mul(2) } else { blocks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bytes_are_counted_as_documented() {
        let item = json!({
            "pk": {"S": "run#1"}, "n": {"N": "1795167000000"}, "flag": {"BOOL": true},
            "list": {"L": [{"S": "ab"}, {"N": "7"}]}, "map": {"M": {"x": {"S": "y"}}},
        });
        let Value::Object(item) = item else { panic!() };
        // pk 2+5, n 1+8, flag 4+1, list 4+3+2+2+2, map 3+3+1+2
        assert_eq!(size(&item), 7 + 9 + 5 + 13 + 9);
        assert_eq!((write_units(1), write_units(1_024), write_units(1_025)), (1, 1, 2));
        assert_eq!((read_half_units(100, true), read_half_units(4_097, false)), (2, 2));
    }

    #[test]
    fn only_values_of_one_type_have_an_order() {
        assert_eq!(compare(&json!({"N": "9"}), &json!({"N": "10"})), Some(Ordering::Less));
        assert_eq!(compare(&json!({"S": "9"}), &json!({"S": "10"})), Some(Ordering::Greater));
        assert_eq!(compare(&json!({"S": "9"}), &json!({"N": "10"})), None);
        assert_eq!(add(&json!({"N": "9"}), &json!({"N": "10"}), true), Some(json!({"N": "-1"})));
    }
}
