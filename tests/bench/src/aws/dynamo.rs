//! DynamoDB: the three tables in memory, with real conditions, transactions and request tokens.

use super::expression::{Invalid, Names, changed, holds};
use super::item::{self, Item, split};
use super::meter::Meter;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// Names of the tables, as functions are told them.
pub const SYNC_RUNS: &str = "bench-sync-runs";
/// See [`SYNC_RUNS`].
pub const ENTITY_XREF: &str = "bench-entity-xref";
/// See [`SYNC_RUNS`].
pub const TENANTS: &str = "bench-tenants";

/// The indexes of `sync_runs`: name, hash key, sort key and its type, projected attributes besides keys. A test compares
/// them with `template.yaml`.
pub const INDEXES: [Index; 3] = [
    Index { name: "due", hash: "due_shard", sort: ("due_at", "N"), projected: &[] },
    Index { name: "by_state", hash: "state_key", sort: ("state_order", "S"), projected: &["code", "owner"] },
    Index { name: "by_tenant", hash: "tenant", sort: ("received_at", "N"), projected: &[] },
];

/// The index of `entity_xref`.
pub const XREF_INDEXES: [Index; 1] = [Index { name: "by_book", hash: "book", sort: ("pk", "S"), projected: &[] }];

/// A global secondary index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its hash key, a text.
    pub hash: &'static str,
    /// Its sort key and that one's type.
    pub sort: (&'static str, &'static str),
    /// What it holds besides keys.
    pub projected: &'static [&'static str],
}

impl Index {
    /// What the index holds of an item, if it holds it.
    fn entry(&self, item: &Item) -> Option<Item> {
        let (sort, _) = self.sort;
        let keys = [self.hash, sort, "pk", "sk"];
        if !item.contains_key(self.hash) || !item.contains_key(sort) {
            return None;
        }
        let names = keys.iter().chain(self.projected);
        Some(names.filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone()))).collect())
    }

    /// Units that a change of an item costs the index.
    /// Source: Amazon DynamoDB developer guide, "Provisioned throughput considerations for Global Secondary Indexes".
    fn units(&self, before: Option<&Item>, after: Option<&Item>) -> u64 {
        let (sort, _) = self.sort;
        let units = |entry: &Item| item::write_units(item::size(entry));
        match (before.and_then(|item| self.entry(item)), after.and_then(|item| self.entry(item))) {
            (None, None) => 0,
            (Some(one), None) | (None, Some(one)) => units(&one),
            (Some(before), Some(after)) if before == after => 0,
            (Some(before), Some(after)) => {
                let moved = [self.hash, sort].iter().any(|key| before.get(*key) != after.get(*key));
                if moved { units(&before).saturating_add(units(&after)) } else { units(&before).max(units(&after)) }
            }
        }
    }
}

/// An answer that is no success: the error's name and the rest of its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Its name.
    pub code: &'static str,
    /// Its body.
    pub body: Map<String, Value>,
}

type Answer = Result<Value, Refusal>;

fn refusal(code: &'static str, body: Value) -> Refusal {
    Refusal { code, body: body.as_object().cloned().unwrap_or_default() }
}

fn bad(message: impl Into<String>) -> Refusal {
    refusal("ValidationException", json!({"message": message.into()}))
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        bad(invalid.0)
    }
}

/// A primary key: partition and sort key; the latter is empty where the table has none.
type Key = (String, String);

#[derive(Debug)]
struct Table {
    sorted: bool,
    indexes: &'static [Index],
    items: BTreeMap<Key, Item>,
}

/// One write with its condition, judged.
struct Judged {
    table: String,
    key: Key,
    before: Option<Item>,
    after: Option<Item>,
    holds: bool,
    tells: bool,
}

#[derive(Debug)]
struct Inside {
    tables: BTreeMap<&'static str, Table>,
    tokens: HashMap<String, Value>,
}

/// The service.
#[derive(Debug)]
pub struct Dynamo {
    inside: Mutex<Inside>,
}

impl Default for Dynamo {
    fn default() -> Self {
        let table = |sorted, indexes| Table { sorted, indexes, items: BTreeMap::new() };
        let tables = BTreeMap::from([
            (SYNC_RUNS, table(true, &INDEXES[..])),
            (ENTITY_XREF, table(false, &XREF_INDEXES[..])),
            (TENANTS, table(true, &[])),
        ]);
        Self { inside: Mutex::new(Inside { tables, tokens: HashMap::new() }) }
    }
}

fn text<'a>(request: &'a Value, name: &str) -> Option<&'a str> {
    request.get(name).and_then(Value::as_str)
}

fn object(request: &Value, name: &str) -> Result<Item, Refusal> {
    request.get(name).and_then(Value::as_object).cloned().ok_or_else(|| bad(format!("no {name}")))
}

fn is_true(request: &Value, name: &str) -> bool {
    request.get(name) == Some(&Value::Bool(true))
}

impl Table {
    /// The key of an item; `alone` where nothing else may be there.
    fn key(&self, item: &Item, alone: bool) -> Result<Key, Refusal> {
        let part = |name: &str| item::text(item, name).filter(|text| !text.is_empty()).map(str::to_owned);
        let key = if self.sorted { part("pk").zip(part("sk")) } else { part("pk").map(|pk| (pk, String::new())) };
        let attributes = if self.sorted { 2 } else { 1 };
        key.filter(|_| !alone || item.len() == attributes).ok_or_else(|| bad("the key does not fit the table"))
    }

    /// Refuses what the real one would: a key of an index with the wrong type, or empty.
    fn fits(&self, item: &Item) -> Result<(), Refusal> {
        for index in self.indexes {
            let (sort, kind) = index.sort;
            for (name, kind) in [(index.hash, "S"), (sort, kind)] {
                let Some(value) = item.get(name) else { continue };
                let fits = matches!(split(value), Some((found, content)) if found == kind && *content != "");
                if !fits {
                    return Err(bad(format!("{name}: not a key of the index {}", index.name)));
                }
            }
        }
        if item::size(item) > 400 * 1_024 {
            return Err(bad("the item is too large"));
        }
        Ok(())
    }

    /// What a write would do.
    fn judge(&self, name: &str, request: &Value, action: &str) -> Result<Judged, Refusal> {
        let names = Names::of(request);
        let condition = text(request, "ConditionExpression");
        let update = text(request, "UpdateExpression");
        let expressions: Vec<&str> = condition.into_iter().chain(update).collect();
        names.all_used(&expressions)?;
        let put = if action == "Put" { Some(object(request, "Item")?) } else { None };
        let key = match &put {
            Some(item) => self.key(item, false)?,
            None => self.key(&object(request, "Key")?, true)?,
        };
        let before = self.items.get(&key).cloned();
        let there = before.clone().unwrap_or_default();
        let holds = match condition {
            Some(condition) => holds(condition, names, &there)?,
            None => true,
        };
        let after = match (action, put) {
            (_, Some(item)) => Some(item),
            ("Update", None) => {
                let item = if before.is_some() { there } else { object(request, "Key")? };
                let expression = update.ok_or_else(|| bad("no UpdateExpression"))?;
                if holds { Some(changed(expression, names, &item)?) } else { Some(item) }
            }
            ("Delete", None) => None,
            ("ConditionCheck", None) => before.clone(),
            _ => return Err(bad(format!("the action {action}"))),
        };
        if let Some(item) = &after {
            self.fits(item)?;
            if self.key(item, false)? != key {
                return Err(bad("an update of the key"));
            }
        }
        let tells = text(request, "ReturnValuesOnConditionCheckFailure") == Some("ALL_OLD");
        Ok(Judged { table: name.to_owned(), key, before, after, holds, tells })
    }

    /// Does it, and says what it costs: units of the table, before any transaction doubles them, and of its indexes.
    fn write(&mut self, judged: Judged) -> (u64, u64) {
        let bytes = [&judged.before, &judged.after].into_iter().flatten().map(item::size).max().unwrap_or_default();
        let index_units =
            self.indexes.iter().map(|index| index.units(judged.before.as_ref(), judged.after.as_ref())).sum();
        match judged.after {
            Some(item) => self.items.insert(judged.key, item),
            None => self.items.remove(&judged.key),
        };
        (item::write_units(bytes), index_units)
    }
}

impl Inside {
    fn table(&mut self, name: &str) -> Result<&mut Table, Refusal> {
        self.tables
            .get_mut(name)
            .ok_or_else(|| refusal("ResourceNotFoundException", json!({"message": format!("no table {name}")})))
    }

    fn table_of(&mut self, request: &Value) -> Result<(String, &mut Table), Refusal> {
        let name = text(request, "TableName").unwrap_or_default().to_owned();
        Ok((name.clone(), self.table(&name)?))
    }

    fn single(&mut self, request: &Value, action: &str, meter: &Meter) -> Answer {
        let (name, table) = self.table_of(request)?;
        let judged = table.judge(&name, request, action)?;
        if !judged.holds {
            // A refused write costs what it would have written over.
            meter.wrote(item::write_units(judged.before.as_ref().map_or(0, item::size)), 0);
            let there = judged.before.filter(|_| judged.tells);
            return Err(refusal(
                "ConditionalCheckFailedException",
                there.map_or_else(
                    || json!({"message": "The conditional request failed"}),
                    |item| json!({"message": "The conditional request failed", "Item": item}),
                ),
            ));
        }
        let (table_units, index_units) = table.write(judged);
        meter.wrote(table_units, index_units);
        Ok(json!({}))
    }

    fn transact(&mut self, request: &Value, meter: &Meter) -> Answer {
        let parts = request.get("TransactItems").and_then(Value::as_array).ok_or_else(|| bad("no TransactItems"))?;
        if parts.is_empty() || parts.len() > 100 {
            return Err(bad("1 to 100 parts"));
        }
        let token = text(request, "ClientRequestToken").filter(|token| (1..=36).contains(&token.len()));
        let token = token.ok_or_else(|| bad("a request token has 1 to 36 characters"))?.to_owned();
        match self.tokens.get(&token) {
            None => {}
            Some(earlier) if earlier == request.get("TransactItems").unwrap_or(&Value::Null) => return Ok(json!({})),
            Some(_) => {
                return Err(refusal("IdempotentParameterMismatchException", json!({"Message": "another request"})));
            }
        }
        let mut judged = Vec::new();
        for part in parts {
            let (action, write) =
                part.as_object().and_then(|part| part.iter().next()).ok_or_else(|| bad("an empty part"))?;
            let (name, table) = self.table_of(write)?;
            judged.push(table.judge(&name, write, action)?);
        }
        let places: BTreeSet<(&str, &Key)> = judged.iter().map(|it| (it.table.as_str(), &it.key)).collect();
        if places.len() < judged.len() {
            return Err(bad("Transaction request cannot include multiple operations on one item"));
        }
        if judged.iter().any(|it| !it.holds) {
            let reasons: Vec<Value> = judged.iter().map(reason).collect();
            let bytes = judged.iter().map(|it| it.before.as_ref().map_or(0, item::size));
            meter.wrote(bytes.map(item::write_units).sum::<u64>().saturating_mul(2), 0);
            return Err(refusal(
                "TransactionCanceledException",
                json!({"Message": "Transaction cancelled", "CancellationReasons": reasons}),
            ));
        }
        for write in judged {
            let (table_units, index_units) = self.table(&write.table.clone())?.write(write);
            meter.wrote(table_units.saturating_mul(2), index_units);
        }
        self.tokens.insert(token, request.get("TransactItems").cloned().unwrap_or_default());
        Ok(json!({}))
    }

    fn get(&mut self, request: &Value, meter: &Meter) -> Answer {
        let (_, table) = self.table_of(request)?;
        let found = table.items.get(&table.key(&object(request, "Key")?, true)?);
        meter.read(item::read_half_units(found.map_or(0, item::size), is_true(request, "ConsistentRead")));
        Ok(found.map_or_else(|| json!({}), |item| json!({"Item": item})))
    }

    fn batch_get(&mut self, request: &Value, meter: &Meter) -> Answer {
        let mut responses = Map::new();
        for (name, wanted) in object(request, "RequestItems")? {
            let table = self.table(&name)?;
            let keys = wanted.get("Keys").and_then(Value::as_array).ok_or_else(|| bad("no Keys"))?;
            let keys = keys.iter().map(|key| table.key(key.as_object().ok_or_else(|| bad("a key"))?, true));
            let keys = keys.collect::<Result<Vec<Key>, _>>()?;
            if keys.is_empty() || keys.len() > 100 || keys.iter().collect::<BTreeSet<_>>().len() < keys.len() {
                return Err(bad("Provided list of item keys is empty, too long or contains duplicates"));
            }
            let mut found = Vec::new();
            for key in &keys {
                let item = table.items.get(key);
                meter.read(item::read_half_units(item.map_or(0, item::size), is_true(&wanted, "ConsistentRead")));
                found.extend(item.cloned().map(Value::Object));
            }
            responses.insert(name, Value::Array(found));
        }
        Ok(json!({"Responses": responses, "UnprocessedKeys": {}}))
    }

    fn query(&mut self, request: &Value, meter: &Meter) -> Answer {
        let (_, table) = self.table_of(request)?;
        let index = match text(request, "IndexName") {
            None => None,
            Some(name) => {
                let index = table.indexes.iter().find(|index| index.name == name);
                Some(*index.ok_or_else(|| bad(format!("no index {name}")))?)
            }
        };
        let consistent = is_true(request, "ConsistentRead");
        if consistent && index.is_some() {
            return Err(bad("Consistent reads are not supported on global secondary indexes"));
        }
        let names = Names::of(request);
        let condition = text(request, "KeyConditionExpression").ok_or_else(|| bad("no KeyConditionExpression"))?;
        names.all_used(&[condition])?;
        let mut found: Vec<Item> = Vec::new();
        for stored in table.items.values() {
            let seen = match &index {
                None => Some(stored.clone()),
                Some(index) => index.entry(stored),
            };
            if let Some(seen) = seen
                && holds(condition, names, &seen)?
            {
                found.push(seen);
            }
        }
        let sort = index.map_or("sk", |index| index.sort.0);
        found.sort_by(|left, right| in_order(sort, left, right));
        if request.get("ScanIndexForward") == Some(&Value::Bool(false)) {
            found.reverse();
        }
        if let Some(after) = request.get("ExclusiveStartKey").and_then(Value::as_object) {
            let place =
                found.iter().position(|item| item.get("pk") == after.get("pk") && item.get("sk") == after.get("sk"));
            found = found.split_off(place.map_or(found.len(), |place| place.saturating_add(1)));
        }
        let limit = request.get("Limit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        let more = limit.is_some_and(|limit| found.len() > limit);
        found.truncate(limit.unwrap_or(usize::MAX));
        meter.read(item::read_half_units(found.iter().map(item::size).sum(), consistent));
        let mut answer = json!({"Count": found.len(), "ScannedCount": found.len()});
        if let Some(answer) = answer.as_object_mut() {
            if let Some(last) = found.last().filter(|_| more) {
                let keys =
                    ["pk", "sk"].into_iter().chain(index.into_iter().flat_map(|index| [index.hash, index.sort.0]));
                let key: Item = keys.filter_map(|name| Some((name.to_owned(), last.get(name)?.clone()))).collect();
                answer.insert("LastEvaluatedKey".to_owned(), Value::Object(key));
            }
            answer.insert("Items".to_owned(), found.into_iter().map(Value::Object).collect());
        }
        Ok(answer)
    }
}

fn in_order(sort: &str, left: &Item, right: &Item) -> Ordering {
    let by = |name: &str| {
        left.get(name)
            .zip(right.get(name))
            .and_then(|(left, right)| item::compare(left, right))
            .unwrap_or(Ordering::Equal)
    };
    by(sort).then_with(|| by("pk"))
}

fn reason(judged: &Judged) -> Value {
    if judged.holds {
        return json!({"Code": "None"});
    }
    let mut reason = json!({"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"});
    if let (Some(reason), Some(item)) = (reason.as_object_mut(), judged.before.as_ref().filter(|_| judged.tells)) {
        reason.insert("Item".to_owned(), Value::Object(item.clone()));
    }
    reason
}

impl Dynamo {
    /// Answers a call.
    ///
    /// # Errors
    /// As the real one.
    pub fn answer(&self, operation: &str, request: &Value, meter: &Meter) -> Result<Value, Refusal> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        match operation {
            "GetItem" => inside.get(request, meter),
            "BatchGetItem" => inside.batch_get(request, meter),
            "Query" => inside.query(request, meter),
            "PutItem" => inside.single(request, "Put", meter),
            "UpdateItem" => inside.single(request, "Update", meter),
            "DeleteItem" => inside.single(request, "Delete", meter),
            "TransactWriteItems" => inside.transact(request, meter),
            _ => Err(refusal("UnknownOperationException", json!({"message": format!("no operation {operation}")}))),
        }
    }

    /// Every item of a table.
    #[must_use]
    pub fn items(&self, table: &str) -> Vec<Item> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.tables.get(table).map(|table| table.items.values().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(dynamo: &Dynamo, operation: &str, request: &Value) -> Result<Value, Refusal> {
        dynamo.answer(operation, request, &Meter::default())
    }

    fn put(pk: &str, state: &str) -> Value {
        json!({
            "TableName": SYNC_RUNS,
            "Item": {"pk": {"S": pk}, "sk": {"S": "run"}, "state": {"S": state}},
            "ConditionExpression": "attribute_not_exists(#pk)",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        })
    }

    #[test]
    fn a_transaction_is_done_as_a_whole_or_not_at_all() {
        let dynamo = Dynamo::default();
        ask(&dynamo, "PutItem", &put("a", "old")).unwrap();
        let refused = ask(&dynamo, "PutItem", &put("a", "new")).unwrap_err();
        assert_eq!(refused.code, "ConditionalCheckFailedException");
        assert_eq!(refused.body["Item"]["state"], json!({"S": "old"}));
        let both = |token: &str, first: &str| json!({"ClientRequestToken": token, "TransactItems": [{"Put": put(first, "new")}, {"Put": put("a", "new")}]});
        let refused = ask(&dynamo, "TransactWriteItems", &both("t1", "b")).unwrap_err();
        assert_eq!(refused.body["CancellationReasons"][0], json!({"Code": "None"}));
        assert_eq!(refused.body["CancellationReasons"][1]["Item"]["state"], json!({"S": "old"}));
        assert_eq!(dynamo.items(SYNC_RUNS).len(), 1);
        assert_eq!(ask(&dynamo, "TransactWriteItems", &both("t1", "a")).unwrap_err().code, "ValidationException");
    }

    #[test]
    fn a_request_token_is_remembered() {
        let dynamo = Dynamo::default();
        let one = |pk: &str| json!({"ClientRequestToken": "t", "TransactItems": [{"Put": put(pk, "new")}]});
        ask(&dynamo, "TransactWriteItems", &one("a")).unwrap();
        ask(&dynamo, "TransactWriteItems", &one("a")).unwrap();
        let refused = ask(&dynamo, "TransactWriteItems", &one("b")).unwrap_err();
        assert_eq!(refused.code, "IdempotentParameterMismatchException");
    }

    #[test]
    fn capacity_is_counted() {
        let (dynamo, meter) = (Dynamo::default(), Meter::default());
        let mut row = put("a", "queued");
        row["Item"]["due_shard"] = json!({"S": "due#1"});
        row["Item"]["due_at"] = json!({"N": "5"});
        let transaction = json!({"ClientRequestToken": "t", "TransactItems": [{"Put": row}]});
        dynamo.answer("TransactWriteItems", &transaction, &meter).unwrap();
        assert_eq!((meter.count().table_write_units, meter.count().index_write_units), (2, 1));
        let moved = json!({
            "TableName": SYNC_RUNS, "Key": {"pk": {"S": "a"}, "sk": {"S": "run"}},
            "UpdateExpression": "SET #due_at = :later",
            "ExpressionAttributeNames": {"#due_at": "due_at"}, "ExpressionAttributeValues": {":later": {"N": "9"}},
        });
        dynamo.answer("UpdateItem", &moved, &meter).unwrap();
        assert_eq!((meter.count().table_write_units, meter.count().index_write_units), (3, 3));
        let query = json!({
            "TableName": SYNC_RUNS, "IndexName": "due", "KeyConditionExpression": "#s = :s AND #d <= :now",
            "ExpressionAttributeNames": {"#s": "due_shard", "#d": "due_at"},
            "ExpressionAttributeValues": {":s": {"S": "due#1"}, ":now": {"N": "9"}},
        });
        let answer = dynamo.answer("Query", &query, &meter).unwrap();
        assert_eq!((answer["Count"].as_u64(), answer["Items"][0].get("state")), (Some(1), None));
        assert_eq!(meter.count().read_half_units, 1);
    }

    #[test]
    fn the_indexes_are_those_of_the_template() {
        let template = std::fs::read_to_string(crate::ambient::workspace().join("template.yaml")).unwrap();
        assert_eq!(template.matches("IndexName:").count(), INDEXES.len() + XREF_INDEXES.len());
        for index in INDEXES.into_iter().chain(XREF_INDEXES) {
            let after = template.split(&format!("IndexName: {}\n", index.name)).nth(1).unwrap();
            let words: Vec<&str> = after.lines().take(4).collect();
            let text = words.join(" ");
            assert!(text.contains(&format!("AttributeName: {}, KeyType: HASH", index.hash)), "{text}");
            assert!(text.contains(&format!("AttributeName: {}, KeyType: RANGE", index.sort.0)), "{text}");
            assert_eq!(text.contains("KEYS_ONLY"), index.projected.is_empty(), "{text}");
            if !index.projected.is_empty() {
                assert!(text.contains(&format!("[{}]", index.projected.join(", "))), "{text}");
            }
        }
    }
}
