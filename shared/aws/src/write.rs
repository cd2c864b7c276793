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

    #[test]
    fn a_plain_put_has_neither() {
        let write = Write::put("t", Item::new());
        assert!(write.names().is_none() && write.values().is_none());
    }
}
