//! Indexes that lag: what an index showed a moment ago, of items that were written since.
//!
//! A global secondary index is brought up to date after the table, at some time, and a query of it is never consistent:
//! DynamoDB Developer Guide, "Using Global Secondary Indexes", "Data synchronization between tables and Global Secondary
//! Indexes". Items are known by `pk` and `sk`.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// Of what was written longer ago, no index lags behind.
const REMEMBERED_MILLISECONDS: i64 = 120_000;
/// Writes that are remembered before those that are too old are forgotten.
const FORGETS_AFTER: usize = 20_000;

/// A query's answer as the lagging index gives it.
pub(super) struct Told {
    pub(super) answer: Value,
    /// Items that it does not show yet, or shows as they were.
    pub(super) late: u64,
    /// Items that it still shows.
    pub(super) stale: u64,
}

/// What was written when, and what indexes showed.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// By table and key, when in milliseconds.
    written: HashMap<(String, String), i64>,
    /// By what was asked for, then by key.
    shown: HashMap<String, BTreeMap<String, Value>>,
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn key_of(item: &Value) -> String {
    let part = |name: &str| item.get(name).map(Value::to_string).unwrap_or_default();
    format!("{} {}", part("pk"), part("sk"))
}

/// What a query asks for, but for the numbers in it: those are moments, and move on.
fn question(body: &Value) -> String {
    let values: Map<String, Value> = body
        .get("ExpressionAttributeValues")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.get("N").is_none())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let parts = ["TableName", "IndexName", "KeyConditionExpression"].map(|field| text(body, field));
    format!("{} {}", parts.join(" "), Value::Object(values))
}

impl Indexes {
    /// Notes what a call that was carried out has written.
    pub(super) fn notes_writes(&mut self, operation: &str, body: &Value, now: i64) {
        let item_of = |write: &Value| write.get("Item").or_else(|| write.get("Key")).map(key_of);
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" => self.notes(text(body, "TableName"), item_of(body), now),
            "TransactWriteItems" => {
                for item in body.get("TransactItems").and_then(Value::as_array).into_iter().flatten() {
                    for kind in ["Put", "Update", "Delete"] {
                        if let Some(write) = item.get(kind) {
                            self.notes(text(write, "TableName"), item_of(write), now);
                        }
                    }
                }
            }
            "BatchWriteItem" => {
                for (table, writes) in body.get("RequestItems").and_then(Value::as_object).into_iter().flatten() {
                    for write in writes.as_array().into_iter().flatten() {
                        for kind in ["PutRequest", "DeleteRequest"] {
                            self.notes(table.clone(), write.get(kind).and_then(item_of), now);
                        }
                    }
                }
            }
            _ => {}
        }
        if self.written.len() > FORGETS_AFTER {
            self.written.retain(|_, at| *at > now.saturating_sub(REMEMBERED_MILLISECONDS));
        }
    }

    fn notes(&mut self, table: String, key: Option<String>, now: i64) {
        if let Some(key) = key {
            self.written.insert((table, key), now);
        }
    }

    /// The answer of an index that is `lag` milliseconds behind: items that were written since are as this index showed
    /// them last, or not there; and those that it showed are still there.
    pub(super) fn answers(&mut self, body: &Value, mut answer: Value, now: i64, lag: i64) -> Told {
        let table = text(body, "TableName");
        let is_new = |key: &String| {
            let at = self.written.get(&(table.clone(), key.clone()));
            lag > 0 && at.is_some_and(|at| *at > now.saturating_sub(lag))
        };
        let question = question(body);
        let before = self.shown.remove(&question).unwrap_or_default();
        let items = answer.get("Items").and_then(Value::as_array).cloned().unwrap_or_default();
        let (mut shown, mut told) = (BTreeMap::new(), Vec::new());
        let (mut late, mut stale) = (0_u64, 0_u64);
        let now_there: Vec<String> = items.iter().map(key_of).collect();
        for (item, key) in items.into_iter().zip(&now_there) {
            if !is_new(key) {
                told.push(item.clone());
                shown.insert(key.clone(), item);
                continue;
            }
            let old = before.get(key);
            if old != Some(&item) {
                late = late.saturating_add(1);
            }
            if let Some(old) = old {
                told.push(old.clone());
                shown.insert(key.clone(), old.clone());
            }
        }
        // Of a page that begins or ends somewhere, nobody can say what else it would show.
        let whole = body.get("ExclusiveStartKey").is_none() && answer.get("LastEvaluatedKey").is_none();
        let room = body.get("Limit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        for (key, old) in before.iter().filter(|(key, _)| !now_there.contains(key)) {
            if whole && is_new(key) && room.is_none_or(|room| told.len() < room) {
                stale = stale.saturating_add(1);
                told.push(old.clone());
                shown.insert(key.clone(), old.clone());
            }
        }
        self.shown.insert(question, shown);
        if let Some(fields) = answer.as_object_mut() {
            for count in ["Count", "ScannedCount"] {
                fields.insert(count.to_owned(), told.len().into());
            }
            fields.insert("Items".to_owned(), Value::Array(told));
        }
        Told { answer, late, stale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LAG: i64 = 3_000;

    fn due(now: i64) -> Value {
        json!({
            "TableName": "runs", "IndexName": "due", "KeyConditionExpression": "#s = :s AND #d <= :now", "Limit": 25,
            "ExpressionAttributeValues": {":s": {"S": "due#1"}, ":now": {"N": now.to_string()}},
        })
    }

    fn item(name: &str, due_at: i64) -> Value {
        json!({"pk": {"S": name}, "sk": {"S": "run"}, "due_at": {"N": due_at.to_string()}})
    }

    fn answer(items: &[Value]) -> Value {
        json!({"Items": items, "Count": items.len(), "ScannedCount": items.len()})
    }

    fn put(indexes: &mut Indexes, item: &Value, now: i64) {
        indexes.notes_writes("PutItem", &json!({"TableName": "runs", "Item": item}), now);
    }

    #[test]
    fn an_item_is_late_and_then_there() {
        let mut indexes = Indexes::default();
        let run = item("a", 1);
        put(&mut indexes, &run, 10_000);
        let told = indexes.answers(&due(11_000), answer(std::slice::from_ref(&run)), 11_000, LAG);
        assert_eq!((told.late, told.stale, told.answer["Count"].as_u64()), (1, 0, Some(0)));
        let told = indexes.answers(&due(14_000), answer(std::slice::from_ref(&run)), 14_000, LAG);
        assert_eq!((told.late, told.answer["Items"].clone()), (0, json!([run])));
    }

    #[test]
    fn an_item_that_has_left_is_still_shown_for_a_while() {
        let mut indexes = Indexes::default();
        let run = item("a", 1);
        put(&mut indexes, &run, 1_000);
        indexes.answers(&due(9_000), answer(std::slice::from_ref(&run)), 9_000, LAG);
        // It ended: without a mark it is in the index no more.
        indexes.notes_writes(
            "TransactWriteItems",
            &json!({"TransactItems": [{"ConditionCheck": {}}, {"Update": {"TableName": "runs", "Key": {"pk": run["pk"], "sk": run["sk"]}}}]}),
            10_000,
        );
        let told = indexes.answers(&due(11_000), answer(&[]), 11_000, LAG);
        assert_eq!((told.late, told.stale, told.answer["Items"].clone()), (0, 1, json!([run])));
        let told = indexes.answers(&due(13_500), answer(&[]), 13_500, LAG);
        assert_eq!((told.stale, told.answer["Count"].as_u64()), (0, Some(0)));
    }

    #[test]
    fn an_item_is_shown_as_it_was() {
        let mut indexes = Indexes::default();
        let (was, is) = (item("a", 1), item("a", 2));
        indexes.answers(&due(9_000), answer(std::slice::from_ref(&was)), 9_000, LAG);
        put(&mut indexes, &is, 10_000);
        let told = indexes.answers(&due(11_000), answer(std::slice::from_ref(&is)), 11_000, LAG);
        assert_eq!((told.late, told.answer["Items"].clone()), (1, json!([was])));
        // Without a lag an index is what its table is.
        let told = indexes.answers(&due(11_001), answer(std::slice::from_ref(&is)), 11_001, 0);
        assert_eq!((told.late, told.answer["Items"].clone()), (0, json!([is])));
    }
}
