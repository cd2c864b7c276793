//! A binding's settings, and the reference data that they are checked against.

use super::FieldFailure;
use crate::settings::SettingsV1;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Settings in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsView {
    /// The binding.
    pub binding: String,
    /// Their version; 0 where there are none.
    pub version: u32,
    /// The settings; null where there are none.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<SettingsV1>,
    /// Every field, with its group, kind and default.
    #[schema(value_type = Vec<Object>)]
    pub fields: Value,
    /// What is known of the book, and how old it is.
    pub reference: Vec<ReferenceAge>,
}

/// New settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsRequest {
    /// The version that they were made from; 0 for the first.
    pub version: u32,
    /// The settings.
    #[schema(value_type = Object)]
    pub settings: Value,
}

/// Settings to check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateRequest {
    /// The settings.
    #[schema(value_type = Object)]
    pub settings: Value,
}

/// What checking settings came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// True where they can be saved.
    pub valid: bool,
    /// What is wrong, by field.
    pub errors: Vec<FieldFailure>,
    /// Lists that were not there to check against.
    pub unchecked: Vec<String>,
    /// What is known of the book, and how old it is.
    pub reference: Vec<ReferenceAge>,
}

/// A proposal of settings for a book that was connected just now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsProposal {
    /// What can be told from the book.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// Fields that have to be filled in.
    pub missing: Vec<String>,
    /// Fields that are worth a look.
    pub open: Vec<String>,
    /// What is known of the book, and how old it is.
    pub reference: Vec<ReferenceAge>,
}

/// A version of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsVersion {
    /// Its number.
    pub version: u32,
    /// The settings.
    #[schema(value_type = Object)]
    pub settings: SettingsV1,
    /// Who saved it.
    pub saved_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub saved_at: Option<String>,
}

/// Versions of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsVersions {
    /// Newest first.
    pub versions: Vec<SettingsVersion>,
}

/// How old a list of reference data is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReferenceAge {
    /// `organisation`, `accounts`, `tax_rates`, `bank_accounts`, `currencies` or `payment_methods`.
    pub list: String,
    /// When it was read; null where it never was.
    #[schema(format = DateTime)]
    pub read_at: Option<String>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
    /// Entries.
    pub count: u64,
    /// True where there are more than are kept.
    pub cut_off: bool,
    /// True while it is being read.
    pub reading: bool,
    /// Code of the last try, where it failed.
    pub fault: Option<String>,
}

/// Reference data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReferenceData {
    /// How old each list is.
    pub lists: Vec<ReferenceAge>,
    /// Entries, by list.
    pub entries: Vec<ReferenceEntry>,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReferenceEntry {
    /// The list.
    pub list: String,
    /// What settings name it by.
    pub id: String,
    /// Its name.
    pub name: String,
    /// False where it can't be used any more.
    pub active: bool,
    /// Percent, of tax rates.
    pub rate: Option<String>,
    /// Of bank accounts and organisations.
    pub currency: Option<String>,
    /// The kind of account, as the book calls it.
    pub group: Option<String>,
    /// ISO 3166-1 alpha-2 code, of organisations and tax rates.
    pub country: Option<String>,
    /// Of organisations: the book takes nothing that is dated on or before this day, `2026-03-31`.
    #[schema(format = Date)]
    pub locked_until: Option<String>,
}

/// Which lists are read anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The lists; all where it is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10)]
    pub lists: Vec<String>,
}

/// What reading lists came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refreshed {
    /// Each list and what came of it: `complete`, `unfinished`, `busy` or `failed`.
    pub lists: Vec<RefreshedList>,
    /// How old each list is now.
    pub reference: Vec<ReferenceAge>,
}

/// What reading a list came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshedList {
    /// The list.
    pub list: String,
    /// `complete`, `unfinished`, `busy` or `failed`.
    pub outcome: String,
    /// Code, where it failed.
    pub code: Option<String>,
}
