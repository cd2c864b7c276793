//! Price list items and categories.

use serde_json::{Map, Value};

use super::{ITEM_TYPES, Mistakes, lengths, refuse_unknown, text};
use crate::book::store::{Category, INCOME, Plain, Store, decimal};

const VAT_STATUSES: [&str; 4] = ["out_of_scope", "reduced", "standard", "zero"];

/// A price list item: its code is unique.
pub(crate) fn price_list_item(
    store: &Store,
    fields: &Map<String, Value>,
    known: Option<u64>,
) -> Result<Plain, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "price_list_item", fields, &mut mistakes);
    lengths(store, fields, &mut mistakes);
    let before = known.and_then(|id| store.price_list_items.get(&id));
    let mut kept = before.map(|item| item.fields.clone()).unwrap_or_default();
    kept.extend(fields.clone());
    for field in ["code", "description", "item_type"] {
        if text(&kept, field).is_empty() {
            mistakes.add(field, "can't be blank");
        }
    }
    for field in ["quantity", "price"] {
        if kept.get(field).and_then(decimal).is_none() {
            mistakes.add(field, "is not a number");
        }
    }
    if !ITEM_TYPES.contains(&text(&kept, "item_type")) {
        mistakes.add("item_type", "is not included in the list");
    }
    let vat_status = text(&kept, "vat_status");
    if !vat_status.is_empty() && !VAT_STATUSES.contains(&vat_status) {
        mistakes.add("vat_status", "is not included in the list");
    }
    if let Some(url) = kept.get("category").and_then(Value::as_str)
        && store.income_category(url).is_none()
    {
        mistakes.add("category", "is not an income category of this company");
    }
    let code = text(&kept, "code");
    if store.price_list_items.values().any(|item| Some(item.id) != known && text(&item.fields, "code") == code) {
        mistakes.add("code", "has already been taken");
    }
    let now = store.now();
    let created_at = before.map_or(now, |item| item.created_at);
    mistakes.or(Plain { id: known.unwrap_or(0), fields: kept, created_at, updated_at: now })
}

/// A new income category: its code lies between 001 and 049.
pub(crate) fn category(store: &Store, fields: &Map<String, Value>) -> Result<Category, Mistakes> {
    let mut mistakes = Mistakes::default();
    let description = text(fields, "description").to_owned();
    if description.is_empty() {
        mistakes.add("description", "can't be blank");
    }
    let code = text(fields, "nominal_code").to_owned();
    if code.len() != 3 || !code.parse::<u32>().is_ok_and(|code| (1..=49).contains(&code)) {
        mistakes.add("nominal_code", "must be between 001 and 049");
    } else if store.categories.iter().any(|category| category.code == code) {
        mistakes.add("nominal_code", "has already been taken");
    }
    if text(fields, "category_group") != "income" {
        mistakes.add("category_group", "is not included in the list");
    }
    mistakes.or(Category { group: INCOME.to_owned(), code, description })
}
