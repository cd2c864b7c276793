//! Lists of reference data: what a book, or the shop, has that settings may name.

use serde::{Deserialize, Serialize};

/// A list of reference data. Table `tenants`, `pk = binding#<id>`, `sk = reference#<list>`.
///
/// Its pages are rows of their own, in one of two places by the generation's parity. What is being read goes to the
/// other place, so that readers have the generation before until the new one is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The list: `organisation`, `accounts`, `tax_rates`, `bank_accounts`, `currencies` or `payment_methods`.
    pub list: String,
    /// Counts writes of the row; every write is conditional on it.
    pub revision: u32,
    /// The generation that is complete; 0 while there is none.
    pub generation: u32,
    /// When it began to be read: nothing in it is older.
    pub read_at: i64,
    /// Its rows of pages.
    pub pages: u32,
    /// Its entries.
    pub count: u32,
    /// True where the list was longer than is kept: then what is not in it may exist all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_off: bool,
    /// The generation that is being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<ReferenceReadingRow>,
    /// Code of the fault that ended the latest try, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_at: Option<i64>,
}

/// A generation that is being read: whoever reads may die, and the next goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceReadingRow {
    /// The generation.
    pub generation: u32,
    /// What the next page is asked for with; the first where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Pages of the book that were read.
    pub asked: u32,
    /// Rows of pages that were written.
    pub pages: u32,
    /// Entries that were written.
    pub count: u32,
    /// When it began.
    pub started_at: i64,
    /// Until when its reader has it to itself; 0 where it was given up.
    pub until: i64,
}

/// A part of a list. Table `tenants`, `pk = binding#<id>`, `sk = reference#<list>#<0 or 1>#<page, four digits>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferencePageRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The generation that it belongs to.
    pub generation: u32,
    /// What is in it.
    pub entries: Vec<ReferenceEntryV1>,
}

/// An entry of a list. What a list does not have is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceEntryV1 {
    /// What documents and settings name it by.
    pub id: String,
    /// Its name for a person.
    pub name: String,
    /// False where it may not be used any more.
    pub active: bool,
    /// Tax rates: percent, as decimal text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Bank accounts: their currency. Organisations: the base currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Organisations and tax rates: ISO 3166-1 alpha-2 code of the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Organisations: whether they are registered for sales tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_tax_registered: Option<bool>,
    /// Organisations: nothing may be dated on or before this day, `2026-03-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<String>,
    /// Organisations: what the provider's web pages know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_name: Option<String>,
    /// Accounts: the book's own group or type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}
