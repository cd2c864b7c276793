//! Reference data, and the settings that are checked against it.

use super::{PortResult, Tenants};
use async_trait::async_trait;
use ledger_wire::rows::{ReferencePageRow, ReferenceRow, SettingsRow, TokenRow};

/// What keeps reference data.
#[async_trait]
pub trait References: Tenants {
    /// Those of a binding's lists that are there.
    async fn references(&self, binding: &str, lists: &[&str]) -> PortResult<Vec<ReferenceRow>>;

    /// Those of a list's first `pages` rows of pages that are there, in order, in the place of `generation`. A row may
    /// be of another generation: it says so.
    async fn reference_pages(
        &self,
        binding: &str,
        list: &str,
        generation: u32,
        pages: u32,
    ) -> PortResult<Vec<ReferencePageRow>>;

    /// Writes a list's row and pages of it (at most 99) in one transaction, if the row's revision is one below
    /// `row.revision`, or there is no row and `row.revision` is 1; false where not.
    async fn put_reference(&self, row: &ReferenceRow, pages: &[ReferencePageRow]) -> PortResult<bool>;

    /// The row of a binding's token.
    async fn grant_of(&self, binding: &str) -> PortResult<Option<TokenRow>>;
}

/// A binding that posts to a book, with its number prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixOwner {
    /// The tenant.
    pub tenant: String,
    /// The binding.
    pub binding: String,
    /// The prefix; empty where it has none.
    pub prefix: String,
}

/// The book that a binding is noted with, and the number prefix that it has there until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotedWith<'a> {
    /// The book.
    pub book: &'a str,
    /// The prefix; empty where it has none.
    pub prefix: &'a str,
}

/// What keeps settings.
#[async_trait]
pub trait Configurations: References {
    /// One version of a binding's settings.
    async fn settings_version(&self, binding: &str, version: u32) -> PortResult<Option<SettingsRow>>;

    /// Versions of a binding's settings, newest first, those below `before` only.
    async fn settings_versions(&self, binding: &str, before: Option<u32>, limit: usize)
    -> PortResult<Vec<SettingsRow>>;

    /// Makes `row` the settings in force of a tenant's binding, and keeps it as a version, in one transaction, if the
    /// version in force is `seen`; false where not. Where the binding is noted with its book, the number prefix there becomes
    /// that of the settings; false, too, where that prefix is another tenant's by now.
    async fn put_settings(
        &self,
        tenant: &str,
        seen: u32,
        row: &SettingsRow,
        binding: &str,
        noted: Option<NotedWith<'_>>,
    ) -> PortResult<bool>;

    /// The bindings that are noted with a book.
    async fn prefixes_of(&self, book: &str) -> PortResult<Vec<PrefixOwner>>;
}
