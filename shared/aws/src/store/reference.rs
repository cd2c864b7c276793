//! Reference data, and settings.

use super::DynamoStore;
use super::table::{Find, One, Place, Table, Transacted, key};
use crate::item::{from_item, from_maybe, number, text, text_of, to_item};
use crate::write::Write;
use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use ledger_engine::ports::{Configurations, NotedWith, PortFault, PortResult, PrefixOwner, References};
use ledger_wire::rows::{ReferencePageRow, ReferenceRow, SettingsRow, TokenRow, keys};

/// Versions of settings of one page.
const VERSIONS_MAX: usize = 100;

#[async_trait]
impl References for DynamoStore {
    /// One BatchGetItem.
    async fn references(&self, binding: &str, lists: &[&str]) -> PortResult<Vec<ReferenceRow>> {
        let place = |list: &&str| Place::new(Table::Tenants, keys::of_binding(binding), keys::reference(list));
        let places: Vec<Place> = lists.iter().map(place).collect();
        let mut found = self.batch(places.iter().cloned()).await?;
        places.iter().filter_map(|place| from_maybe(found.remove(place)).transpose()).collect()
    }

    /// One BatchGetItem for each hundred pages, or 16 MB of them.
    async fn reference_pages(
        &self,
        binding: &str,
        list: &str,
        generation: u32,
        pages: u32,
    ) -> PortResult<Vec<ReferencePageRow>> {
        let place = |page: u32| {
            Place::new(Table::Tenants, keys::of_binding(binding), keys::reference_page(list, generation, page))
        };
        let places: Vec<Place> = (0..pages).map(place).collect();
        let mut found = self.batch(places.iter().cloned()).await?;
        places.iter().filter_map(|place| from_maybe(found.remove(place)).transpose()).collect()
    }

    /// One PutItem; with pages one TransactWriteItems.
    async fn put_reference(&self, row: &ReferenceRow, pages: &[ReferencePageRow]) -> PortResult<bool> {
        let item = to_item(row)?;
        let put = Write::put(&self.tables.tenants, item.clone());
        let put = match row.revision.saturating_sub(1) {
            0 => put.only_if("attribute_not_exists(#pk)"),
            seen => put.only_if("#revision = :seen").with("seen", number(seen)),
        };
        let there = if pages.is_empty() {
            match self.one(put).await? {
                One::Done => return Ok(true),
                One::Refused(there) => there,
            }
        } else {
            let mut writes = vec![put];
            for page in pages {
                writes.push(Write::put(&self.tables.tenants, to_item(page)?));
            }
            match self.transact(writes, None, true).await? {
                Transacted::Done => return Ok(true),
                Transacted::Refused(refusals) => refusals.into_iter().next().flatten().flatten(),
            }
        };
        // The very row: an earlier try was applied and its reply lost.
        Ok(there == Some(item))
    }

    /// One GetItem.
    async fn grant_of(&self, binding: &str) -> PortResult<Option<TokenRow>> {
        self.row(Table::Tenants, &keys::of_binding(binding), keys::TOKEN).await
    }
}

#[async_trait]
impl Configurations for DynamoStore {
    /// One GetItem.
    async fn settings_version(&self, binding: &str, version: u32) -> PortResult<Option<SettingsRow>> {
        self.row(Table::Tenants, &keys::of_binding(binding), &keys::settings(version)).await
    }

    /// One Query. At most a hundred.
    async fn settings_versions(
        &self,
        binding: &str,
        before: Option<u32>,
        limit: usize,
    ) -> PortResult<Vec<SettingsRow>> {
        let last = before.map(|version| keys::settings(version.saturating_sub(1)));
        // Behind every version: versions are digits.
        let last = last.unwrap_or_else(|| format!("{}~", keys::SETTINGS));
        let page = self
            .find(Find {
                table: Table::Tenants,
                index: None,
                condition: "#pk = :pk AND #sk BETWEEN :first AND :last",
                values: vec![
                    ("pk", text(keys::of_binding(binding))),
                    ("first", text(keys::SETTINGS)),
                    ("last", text(last)),
                ],
                newest_first: true,
                limit: Some(limit.min(VERSIONS_MAX)),
                after: None,
            })
            .await?;
        page.items.into_iter().map(from_item).collect()
    }

    /// One TransactWriteItems.
    async fn put_settings(
        &self,
        tenant: &str,
        seen: u32,
        row: &SettingsRow,
        binding: &str,
        noted: Option<NotedWith<'_>>,
    ) -> PortResult<bool> {
        let item = to_item(row)?;
        let settings = item.get("settings").cloned().unwrap_or(AttributeValue::Null(true));
        let mut writes = vec![
            Write::put(&self.tables.tenants, item.clone()).only_if("attribute_not_exists(#pk)"),
            Write::update(
                &self.tables.tenants,
                key(&keys::tenant(tenant), Some(&keys::binding(binding))),
                "SET #settings = :settings, #settings_version = :version",
            )
            .only_if("#settings_version = :seen")
            .with("settings", settings)
            .with("version", number(row.version))
            .with("seen", number(seen)),
        ];
        if let Some(NotedWith { book, prefix: before }) = noted {
            let prefix = row.settings.invoice_number_prefix.as_deref().unwrap_or_default();
            writes.push(
                Write::update(
                    &self.tables.tenants,
                    key(&keys::book(book), Some(&keys::binding_of(tenant, binding))),
                    "SET #prefix = :prefix",
                )
                .only_if("attribute_exists(#pk)")
                .with("prefix", text(prefix)),
            );
            writes.push(self.prefix_claimed(book, prefix, tenant));
            if before != prefix {
                writes.push(self.prefix_freed(book, before, tenant));
            }
        }
        match self.transact(writes, None, true).await? {
            Transacted::Done => Ok(true),
            Transacted::Refused(refusals) => Ok(refusals.into_iter().next().flatten().flatten() == Some(item)),
        }
    }

    /// One Query.
    async fn prefixes_of(&self, book: &str) -> PortResult<Vec<PrefixOwner>> {
        let page = self
            .find(Find {
                table: Table::Tenants,
                index: None,
                condition: "#pk = :pk AND begins_with(#sk, :bindings)",
                values: vec![("pk", text(keys::book(book))), ("bindings", text(keys::BINDINGS_OF))],
                newest_first: false,
                limit: None,
                after: None,
            })
            .await?;
        let owner = |item: &crate::item::Item| {
            let sk = text_of(item, "sk");
            let names = sk.strip_prefix(keys::BINDINGS_OF).and_then(|rest| rest.rsplit_once('#'));
            let (tenant, binding) = names.ok_or_else(|| {
                PortFault::Inconsistent(format!("binding of a book {} {sk}: no tenant", text_of(item, "pk")))
            })?;
            Ok(PrefixOwner { tenant: tenant.to_owned(), binding: binding.to_owned(), prefix: text_of(item, "prefix") })
        };
        page.items.iter().map(owner).collect()
    }
}
