//! Reference data, and settings.

use super::rows::{Place, Row, Table, read};
use super::store::{MemoryStore, Open, Part, Transacted};
use async_trait::async_trait;
use ledger_engine::ports::{Configurations, NotedWith, PortFault, PortResult, PrefixOwner, References};
use ledger_wire::rows::{BindingRow, BookBindingRow, ReferencePageRow, ReferenceRow, SettingsRow, TokenRow, keys};

/// Versions of settings of one page.
const VERSIONS_MAX: usize = 100;

impl Open<'_> {
    fn put_reference(&mut self, row: &ReferenceRow, pages: &[ReferencePageRow]) -> PortResult<bool> {
        let place = row.place();
        let as_seen = match row.revision.saturating_sub(1) {
            0 => !self.there(&place),
            seen => self.seen::<ReferenceRow>(&place).is_some_and(|there| there.revision == seen),
        };
        let mut parts = vec![Part::put(row.clone(), as_seen)];
        parts.extend(pages.iter().map(|page| Part::put(page.clone(), true)));
        // The very row: an earlier try was applied and its reply lost.
        Ok(self.transact(parts)?.done() || self.seen::<ReferenceRow>(&place) == Some(row))
    }

    fn put_settings(
        &mut self,
        tenant: &str,
        seen: u32,
        row: &SettingsRow,
        binding: &str,
        noted: Option<NotedWith<'_>>,
    ) -> PortResult<bool> {
        let place = row.place();
        let of = Place::binding(tenant, binding);
        let there = self.seen::<BindingRow>(&of).filter(|there| there.settings_version == seen);
        let in_force = there.map(|there| BindingRow {
            settings: row.settings.clone(),
            settings_version: row.version,
            ..there.clone()
        });
        let mut parts = vec![Part::put(row.clone(), !self.there(&place)), Part::change(of, in_force)];
        if let Some(NotedWith { book, prefix: before }) = noted {
            let prefix = row.settings.invoice_number_prefix.clone().unwrap_or_default();
            let claimed = self.prefix_claimed(book, &prefix, tenant);
            let freed = (before != prefix).then(|| self.prefix_freed(book, before, tenant));
            let of = Place::new(Table::Tenants, keys::book(book), keys::binding_of(tenant, binding));
            let there = self.seen::<BookBindingRow>(&of).map(|there| BookBindingRow { prefix, ..there.clone() });
            parts.push(Part::change(of, there));
            parts.push(claimed);
            parts.extend(freed);
        }
        Ok(match self.transact(parts)? {
            Transacted::Done => true,
            Transacted::Refused(refusals) => {
                refusals.first() == Some(&true) && self.seen::<SettingsRow>(&place) == Some(row)
            }
        })
    }

    fn prefixes_of(&self, book: &str) -> PortResult<Vec<PrefixOwner>> {
        let owner = |place: &Place, row: &BookBindingRow| {
            let names = place.sk.strip_prefix(keys::BINDINGS_OF).and_then(|rest| rest.rsplit_once('#'));
            let (tenant, binding) = names.ok_or_else(|| {
                PortFault::Inconsistent(format!("binding of a book {} {}: no tenant", place.pk, place.sk))
            })?;
            Ok(PrefixOwner { tenant: tenant.to_owned(), binding: binding.to_owned(), prefix: row.prefix.clone() })
        };
        self.partition(Table::Tenants, &keys::book(book), keys::BINDINGS_OF)
            .map(|(place, stored)| owner(place, &read::<BookBindingRow>(place, stored)?))
            .collect()
    }
}

#[async_trait]
impl References for MemoryStore {
    async fn references(&self, binding: &str, lists: &[&str]) -> PortResult<Vec<ReferenceRow>> {
        let place = |list: &&str| Place::new(Table::Tenants, keys::of_binding(binding), keys::reference(list));
        let places: Vec<Place> = lists.iter().map(place).collect();
        self.call("store.references", |open| places.iter().filter_map(|place| open.get(place).transpose()).collect())
            .await
    }

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
        self.call("store.reference_pages", |open| {
            (0..pages).filter_map(|page| open.get(&place(page)).transpose()).collect()
        })
        .await
    }

    async fn put_reference(&self, row: &ReferenceRow, pages: &[ReferencePageRow]) -> PortResult<bool> {
        const NAME: &str = "store.put_reference";
        if pages.is_empty() {
            self.single(NAME, |open| open.put_reference(row, pages)).await
        } else {
            self.call(NAME, |open| open.put_reference(row, pages)).await
        }
    }

    async fn grant_of(&self, binding: &str) -> PortResult<Option<TokenRow>> {
        self.row("store.grant_of", Place::grant(binding)).await
    }
}

#[async_trait]
impl Configurations for MemoryStore {
    async fn settings_version(&self, binding: &str, version: u32) -> PortResult<Option<SettingsRow>> {
        let place = Place::new(Table::Tenants, keys::of_binding(binding), keys::settings(version));
        self.row("store.settings_version", place).await
    }

    async fn settings_versions(
        &self,
        binding: &str,
        before: Option<u32>,
        limit: usize,
    ) -> PortResult<Vec<SettingsRow>> {
        let pk = keys::of_binding(binding);
        let end = before.map(keys::settings);
        self.call("store.settings_versions", |open| {
            open.partition(Table::Tenants, &pk, keys::SETTINGS)
                .rev()
                .filter(|(place, _)| end.as_ref().is_none_or(|end| *place.sk < **end))
                .take(limit.min(VERSIONS_MAX))
                .map(|(place, stored)| read::<SettingsRow>(place, stored))
                .collect()
        })
        .await
    }

    async fn put_settings(
        &self,
        tenant: &str,
        seen: u32,
        row: &SettingsRow,
        binding: &str,
        noted: Option<NotedWith<'_>>,
    ) -> PortResult<bool> {
        self.call("store.put_settings", |open| open.put_settings(tenant, seen, row, binding, noted)).await
    }

    async fn prefixes_of(&self, book: &str) -> PortResult<Vec<PrefixOwner>> {
        self.call("store.prefixes_of", |open| open.prefixes_of(book)).await
    }
}
