//! Conditional writes, alone or in a transaction.
//!
//! In conditions and changes `#name` stands for the attribute `name` (half of them are reserved words) and `:name` for
//! a value.

use crate::item::Item;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use ledger_engine::ports::PortFault;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::HashMap;

/// What a write does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Writes the whole row.
    Put(Item),
    /// Changes attributes of the row with this key, or makes it.
    Update(Item, Cow<'static, str>),
    /// Removes the row with this key.
    Delete(Item),
    /// Writes nothing.
    Check(Item),
}

/// A write with its condition.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) table: String,
    pub(crate) action: Action,
    pub(crate) condition: Option<Cow<'static, str>>,
    values: HashMap<String, AttributeValue>,
}

impl Write {
    fn new(table: &str, action: Action) -> Self {
        Self { table: table.to_owned(), action, condition: None, values: HashMap::new() }
    }

    pub(crate) fn put(table: &str, item: Item) -> Self {
        Self::new(table, Action::Put(item))
    }

    pub(crate) fn update(table: &str, key: Item, change: impl Into<Cow<'static, str>>) -> Self {
        Self::new(table, Action::Update(key, change.into()))
    }

    pub(crate) fn delete(table: &str, key: Item) -> Self {
        Self::new(table, Action::Delete(key))
    }

    pub(crate) fn check(table: &str, key: Item) -> Self {
        Self::new(table, Action::Check(key))
    }

    /// Nothing is written where the condition doesn't hold.
    pub(crate) fn only_if(mut self, condition: impl Into<Cow<'static, str>>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    /// The value that `:name` stands for.
    pub(crate) fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(format!(":{name}"), value);
        self
    }

    /// The names used, for the request.
    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        let change = match &self.action {
            Action::Update(_, change) => Some(change.as_ref()),
            Action::Put(_) | Action::Delete(_) | Action::Check(_) => None,
        };
        names(change.into_iter().chain(self.condition.as_deref()))
    }

    /// The values, for the request.
    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }

    /// As part of a transaction; if its condition fails, the answer tells the row that is there.
    pub(crate) fn into_part(self) -> Result<TransactWriteItem, PortFault> {
        let (names, values, table) = (self.names(), self.values(), self.table);
        let condition = self.condition.map(Cow::into_owned);
        let tell = ReturnValuesOnConditionCheckFailure::AllOld;
        let part = TransactWriteItem::builder();
        let part = match self.action {
            Action::Put(item) => part.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(tell)
                    .build()
                    .map_err(not_built)?,
            ),
            Action::Update(key, change) => part.update(
                Update::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .update_expression(change)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(tell)
                    .build()
                    .map_err(not_built)?,
            ),
            Action::Delete(key) => part.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(tell)
                    .build()
                    .map_err(not_built)?,
            ),
            Action::Check(key) => part.condition_check(
                ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(tell)
                    .build()
                    .map_err(not_built)?,
            ),
        };
        Ok(part.build())
    }
}

/// A transaction as the service reads it: what the SDK would make of the same writes.
///
/// # Errors
/// Where a value is of a type that this build doesn't know.
pub(crate) fn transaction(writes: &[Write], token: &str) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Transaction { transact_items: writes, client_request_token: token })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Transaction<'a> {
    transact_items: &'a [Write],
    client_request_token: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Part<'a> {
    table_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Fields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Fields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_expression: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition_expression: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression_attribute_names: Option<HashMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression_attribute_values: Option<Fields<'a>>,
    return_values_on_condition_check_failure: &'static str,
}

impl Serialize for Write {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, item, key, change) = match &self.action {
            Action::Put(item) => ("Put", Some(item), None, None),
            Action::Update(key, change) => ("Update", None, Some(key), Some(change.as_ref())),
            Action::Delete(key) => ("Delete", None, Some(key), None),
            Action::Check(key) => ("ConditionCheck", None, Some(key), None),
        };
        let part = Part {
            table_name: &self.table,
            item: item.map(Fields),
            key: key.map(Fields),
            update_expression: change,
            condition_expression: self.condition.as_deref(),
            expression_attribute_names: self.names(),
            expression_attribute_values: (!self.values.is_empty()).then_some(Fields(&self.values)),
            return_values_on_condition_check_failure: "ALL_OLD",
        };
        serializer.collect_map([(kind, part)])
    }
}

/// Attributes as the service reads them.
struct Fields<'a>(&'a HashMap<String, AttributeValue>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Field(value))))
    }
}

/// One of them.
struct Field<'a>(&'a AttributeValue);

impl Serialize for Field<'_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the SDK may add kinds; rows use these")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            AttributeValue::S(text) => serializer.collect_map([("S", text)]),
            AttributeValue::N(number) => serializer.collect_map([("N", number)]),
            AttributeValue::Bool(bool) => serializer.collect_map([("BOOL", bool)]),
            AttributeValue::Null(null) => serializer.collect_map([("NULL", null)]),
            AttributeValue::M(fields) => serializer.collect_map([("M", Fields(fields))]),
            AttributeValue::L(list) => serializer.collect_map([("L", list.iter().map(Field).collect::<Vec<_>>())]),
            _ => Err(S::Error::custom("a type that rows don't have")),
        }
    }
}

fn not_built(error: BuildError) -> PortFault {
    PortFault::Inconsistent(format!("request not built: {error}"))
}

/// Every `#name` of the texts with what it stands for.
pub(crate) fn names<'a>(texts: impl Iterator<Item = &'a str>) -> Option<HashMap<String, String>> {
    let names: HashMap<String, String> = texts
        .flat_map(|text| text.split('#').skip(1))
        .filter_map(|rest| rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next())
        .map(|name| (format!("#{name}"), name.to_owned()))
        .collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::number;
    use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItems, TransactWriteItemsInput};
    use aws_smithy_runtime_api::client::interceptors::context::Input;
    use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
    use aws_smithy_runtime_api::client::ser_de::{SerializeRequest, SharedRequestSerializer};
    use aws_smithy_types::config_bag::ConfigBag;
    use serde_json::Value;

    #[test]
    fn names_are_found_in_condition_and_change() {
        let write = Write::update("t", Item::new(), "SET #a = #a + :one REMOVE #state_key")
            .only_if("attribute_not_exists(#pk) OR #until < :now")
            .with("one", number(1))
            .with("now", number(2));
        let names = write.names().unwrap();
        let mut found: Vec<&str> = names.values().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, ["a", "pk", "state_key", "until"]);
        assert!(names.iter().all(|(token, name)| token.strip_prefix('#') == Some(name)));
        assert_eq!(write.values().unwrap().len(), 2);
    }

    /// What the SDK would send.
    fn by_the_sdk(writes: &[Write], token: &str) -> Value {
        let parts = writes.iter().cloned().map(Write::into_part).collect::<Result<_, _>>().unwrap();
        let input = TransactWriteItemsInput::builder().set_transact_items(Some(parts)).client_request_token(token);
        let layer = TransactWriteItems::new().config().unwrap();
        let writer = layer.load::<SharedRequestSerializer>().unwrap();
        let request = writer.serialize_input(Input::erase(input.build().unwrap()), &mut ConfigBag::base()).unwrap();
        serde_json::from_slice(request.body().bytes().unwrap()).unwrap()
    }

    #[test]
    fn a_transaction_reads_as_the_sdks() {
        let fields = || {
            Item::from([
                ("text".to_owned(), AttributeValue::S("a \"quoted\" line\n\u{1f}\u{e9}\u{1f600}".to_owned())),
                ("number".to_owned(), number(-5)),
                ("bool".to_owned(), AttributeValue::Bool(true)),
                ("null".to_owned(), AttributeValue::Null(true)),
                ("list".to_owned(), AttributeValue::L(vec![number(1), AttributeValue::L(vec![])])),
                ("map".to_owned(), AttributeValue::M(Item::from([("in".to_owned(), number(1))]))),
            ])
        };
        let writes = [
            Write::put("t", fields()),
            Write::put("t", Item::new()).only_if("attribute_not_exists(#pk)"),
            Write::update("u", fields(), "SET #a = :one")
                .only_if("#b < :map")
                .with("one", number(1))
                .with("map", AttributeValue::M(fields())),
            Write::delete("t", fields()).only_if("#a = :one").with("one", number(1)),
            Write::check("t", fields()).only_if("attribute_exists(#pk)"),
        ];
        let ours: Value = serde_json::from_slice(&transaction(&writes, "token").unwrap()).unwrap();
        assert_eq!(ours, by_the_sdk(&writes, "token"));
    }

    #[test]
    fn a_type_that_rows_do_not_have_is_left_to_the_sdk() {
        let item = Item::from([("set".to_owned(), AttributeValue::Ss(vec!["a".to_owned()]))]);
        assert!(transaction(&[Write::put("t", item)], "token").is_err());
    }

    #[test]
    fn a_plain_put_has_neither() {
        let write = Write::put("t", Item::new());
        assert!(write.names().is_none() && write.values().is_none());
    }
}
