//! Rows as items.

use aws_sdk_dynamodb::types::AttributeValue;
use ledger_engine::ports::{PortFault, PortResult};
use ledger_wire::rows::{
    AgendaRow, AppRow, AttemptRow, AttentionRow, AuthorityUserRow, BindingPlaceRow, BindingRow, BookBindingRow,
    ConnectLinkRow, JobRow, JtiRow, LeaseRow, OAuthStateRow, OrderDocumentRow, PendingConnectionRow, PushRow,
    ROW_VERSION, ReferencePageRow, ReferenceRow, RunRow, SettingsRow, ShopAddressRow, SweepRow, TenantPlaceRow,
    TenantRow, TokenRow, XrefRow, keys,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// Attributes by name.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// A row of one of the tables.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// What to call it in a fault.
    const KIND: &'static str;
    /// True where its key may be shown: a cross-reference's may hold an e-mail address.
    const KEY_MAY_BE_SHOWN: bool = true;
}

macro_rules! rows {
    ($($row:ty => $kind:literal),* $(,)?) => { $(impl Row for $row { const KIND: &'static str = $kind; })* };
}

rows! {
    RunRow => "run",
    AttemptRow => "attempt",
    JtiRow => "spent token",
    PushRow => "push",
    TenantRow => "tenant",
    BindingRow => "binding",
    TokenRow => "token",
    SettingsRow => "settings",
    LeaseRow => "lease",
    AttentionRow => "attention",
    AgendaRow => "agenda",
    BindingPlaceRow => "binding's place",
    TenantPlaceRow => "tenant's place",
    SweepRow => "sweep",
    ReferenceRow => "list of reference data",
    ReferencePageRow => "page of reference data",
    ShopAddressRow => "shop address",
    OrderDocumentRow => "document of an order",
    AppRow => "app",
    OAuthStateRow => "authorisation",
    ConnectLinkRow => "connect link",
    PendingConnectionRow => "pending connection",
    BookBindingRow => "binding of a book",
    AuthorityUserRow => "binding of a user",
    JobRow => "job",
}

impl Row for XrefRow {
    const KIND: &'static str = "cross-reference";
    const KEY_MAY_BE_SHOWN: bool = false;
}

/// Text.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// Part of a row as a value.
pub(crate) fn to_value<T: Serialize>(part: &T) -> PortResult<AttributeValue> {
    serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(part)
        .map_err(|_| PortFault::Inconsistent("part of a row can't be written".to_owned()))
}

/// The text of an attribute; empty where there is none.
pub(crate) fn text_of(item: &Item, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

/// The number of an attribute.
pub(crate) fn number_of(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn inconsistent<R: Row>(item: &Item, what: &str) -> PortFault {
    let key = match (text_of(item, "pk"), text_of(item, "sk")) {
        (pk, sk) if R::KEY_MAY_BE_SHOWN => format!(" {pk} {sk}"),
        _ => String::new(),
    };
    PortFault::Inconsistent(format!("{}{key}: {what}", R::KIND))
}

/// An item as a row, if this build knows its version and all its fields fit.
pub(crate) fn from_item<R: Row>(item: Item) -> PortResult<R> {
    match number_of(&item, "v") {
        Some(version) if version <= i64::from(ROW_VERSION) => (),
        Some(version) => {
            return Err(inconsistent::<R>(&item, &format!("version {version} is newer than this build")));
        }
        None => return Err(inconsistent::<R>(&item, "no version")),
    }
    // An error may quote a value, so only the kind that can't is passed on.
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item.clone()).map_err(|error| match error.to_string() {
        told if told.starts_with("missing field") => inconsistent::<R>(&item, &told),
        _ => inconsistent::<R>(&item, "can't be read"),
    })
}

/// An item as a row, where there is one.
pub(crate) fn from_maybe<R: Row>(item: Option<Item>) -> PortResult<Option<R>> {
    item.map(from_item).transpose()
}

/// A row as an item. The mark for the index of what is due is made of `due_at` alone: they come and go together.
pub(crate) fn to_item<R: Row>(row: &R) -> PortResult<Item> {
    let mut item: Item = serde_dynamo::aws_sdk_dynamodb_1::to_item(row)
        .map_err(|_| PortFault::Inconsistent(format!("{}: can't be written", R::KIND)))?;
    if item.contains_key("due_at") {
        let shard = keys::due_shard(&text_of(&item, "pk"));
        item.insert("due_shard".to_owned(), text(shard));
    } else {
        item.remove("due_shard");
    }
    Ok(item)
}

#[cfg(test)]
mod tests;
