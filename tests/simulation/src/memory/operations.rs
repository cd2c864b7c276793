//! What operators ask, and reading tenants.

use super::index::Index;
use super::rows::{Place, Row, Table, read};
use super::store::{MemoryStore, Open, Part, Transacted};
use async_trait::async_trait;
use ledger_engine::ports::{Operations, PortFault, PortResult, RunPage, Tenancy, Tenants};
use ledger_wire::rows::{
    AttemptRow, BindingPlaceRow, BindingRow, BookBindingRow, ROW_VERSION, RunRow, SettingsRow, ShopAddressRow,
    SweepRow, TenantPlaceRow, TenantRow, TokenRow, keys,
};

/// Runs of one page.
const PAGE_RUNS_MAX: usize = 100;

/// Where a page of runs ended: when its last run was received, and its key.
type Mark = (i64, String);

fn mark_read(mark: &str) -> PortResult<Mark> {
    let place = mark.split_once(' ').and_then(|(at, pk)| Some((at.parse().ok()?, pk.to_owned())));
    place
        .filter(|(_, pk): &Mark| keys::run_of(pk).is_some())
        .ok_or_else(|| PortFault::Inconsistent("not the mark of a page of runs".to_owned()))
}

impl MemoryStore {
    /// A page of a tenant's runs: one Query of the index, then one BatchGetItem.
    pub(super) async fn page_of_runs(
        &self,
        names: [&'static str; 2],
        tenant: &str,
        since: Option<i64>,
        mark: Option<&str>,
        limit: usize,
    ) -> PortResult<RunPage> {
        let after = mark.map(mark_read).transpose()?;
        let limit = limit.min(PAGE_RUNS_MAX);
        if limit == 0 {
            return Ok(RunPage { runs: Vec::new(), next: mark.map(str::to_owned) });
        }
        let [query, rows] = names;
        // Oldest first where a moment is named, else newest first.
        let found: Vec<(Place, i64)> = self
            .call(query, |open| {
                let entries = open.index(Index::ByTenant, tenant).map(|(key, _)| key);
                let place = |key: &super::index::Key| (key.place.clone(), key.moment);
                let after = after.as_ref().map(|(at, pk)| (*at, pk.as_str()));
                Ok(match since {
                    None => entries
                        .rev()
                        .filter(|key| after.is_none_or(|after| (key.moment, key.place.pk.as_str()) < after))
                        .take(limit)
                        .map(place)
                        .collect(),
                    Some(since) => entries
                        .filter(|key| key.moment >= since)
                        .filter(|key| after.is_none_or(|after| (key.moment, key.place.pk.as_str()) > after))
                        .take(limit)
                        .map(place)
                        .collect(),
                })
            })
            .await?;
        // A page that is full says where it ended, whether there is more or not.
        let next = found.last().filter(|_| found.len() == limit).map(|(place, at)| format!("{at} {}", place.pk));
        let places: Vec<Place> = found.into_iter().map(|(place, _)| place).collect();
        if places.is_empty() {
            return Ok(RunPage { runs: Vec::new(), next });
        }
        Ok(RunPage { runs: self.call(rows, |open| open.runs_at(&places)).await?, next })
    }
}

impl Open<'_> {
    fn add_tenant(&mut self, tenant: &TenantRow) -> PortResult<bool> {
        let place = tenant.place();
        let parts = vec![
            Part::put(tenant.clone(), !self.there(&place)),
            Part::put(ShopAddressRow::new(&tenant.shop_url, &tenant.tenant), true),
            Part::put(TenantPlaceRow::new(&tenant.tenant), true),
        ];
        // The very row: an earlier try was applied and its reply lost.
        Ok(self.transact(parts)?.done() || self.seen::<TenantRow>(&place) == Some(tenant))
    }

    fn add_binding(&mut self, binding: &BindingRow, settings: &SettingsRow, token: &TokenRow) -> PortResult<bool> {
        let place = binding.place();
        let mut parts = vec![
            Part::put(binding.clone(), !self.there(&place)),
            Part::put(BindingPlaceRow::new(&binding.binding, &binding.tenant), true),
            Part::put(settings.clone(), true),
            Part::put(token.clone(), true),
        ];
        if !binding.book.is_empty() {
            let row = BookBindingRow {
                pk: keys::book(&binding.book),
                sk: keys::binding_of(&binding.tenant, &binding.binding),
                v: ROW_VERSION,
                tenant: binding.tenant.clone(),
                binding: binding.binding.clone(),
                prefix: binding.settings.invoice_number_prefix.clone().unwrap_or_default(),
            };
            parts.push(Part::put(row, true));
        }
        Ok(match self.transact(parts)? {
            Transacted::Done => true,
            Transacted::Refused(_) => self.seen::<BindingRow>(&place) == Some(binding),
        })
    }

    fn tenancy(&self, tenant: &str) -> PortResult<Option<Tenancy>> {
        let Some(row) = self.get(&Place::tenant(tenant))? else { return Ok(None) };
        let bindings = self
            .partition(Table::Tenants, &keys::tenant(tenant), &keys::binding(""))
            .map(|(place, stored)| read::<BindingRow>(place, stored))
            .collect::<PortResult<_>>()?;
        Ok(Some(Tenancy { tenant: row, bindings }))
    }
}

#[async_trait]
impl Tenants for MemoryStore {
    async fn tenancy(&self, tenant: &str) -> PortResult<Option<Tenancy>> {
        self.call("store.tenancy", |open| open.tenancy(tenant)).await
    }
}

#[async_trait]
impl Operations for MemoryStore {
    async fn add_tenant(&self, tenant: &TenantRow) -> PortResult<bool> {
        self.call("store.add_tenant", |open| open.add_tenant(tenant)).await
    }

    async fn tenants(&self, after: Option<&str>, limit: usize) -> PortResult<Vec<String>> {
        let after = keys::tenant(after.unwrap_or_default());
        self.call("store.tenants", |open| {
            open.partition(Table::Tenants, keys::TENANTS, "")
                .filter(|(place, _)| *place.sk > *after)
                .take(limit)
                .map(|(place, stored)| Ok(read::<TenantPlaceRow>(place, stored)?.tenant))
                .collect()
        })
        .await
    }

    async fn last_sweep(&self) -> PortResult<Option<SweepRow>> {
        self.row("store.last_sweep", Place::new(Table::Tenants, keys::STACK, keys::SWEEP)).await
    }

    async fn tenant_of(&self, binding: &str) -> PortResult<Option<String>> {
        let place = Place::new(Table::Tenants, keys::of_binding(binding), keys::PLACE);
        let place: Option<BindingPlaceRow> = self.row("store.tenant_of", place).await?;
        Ok(place.map(|place| place.tenant))
    }

    async fn add_binding(&self, binding: &BindingRow, settings: &SettingsRow, token: &TokenRow) -> PortResult<bool> {
        self.call("store.add_binding", |open| open.add_binding(binding, settings, token)).await
    }

    async fn replace_binding(&self, seen: &BindingRow, next: &BindingRow) -> PortResult<bool> {
        self.single("store.replace_binding", |open| {
            let place = next.place();
            let there = open.seen::<BindingRow>(&place);
            let as_seen = there.is_some_and(|row| {
                row.status == seen.status && row.settings_version == seen.settings_version && row.mode == seen.mode
            });
            let very_same = there == Some(next);
            Ok(open.one(Part::put(next.clone(), as_seen))? || very_same)
        })
        .await
    }

    async fn put_token(&self, token: &TokenRow) -> PortResult<()> {
        self.put_any("store.put_token", token).await
    }

    async fn token(&self, binding: &str) -> PortResult<Option<TokenRow>> {
        self.row("store.token", Place::grant(binding)).await
    }

    async fn runs(&self, tenant: &str, after: Option<&str>, limit: usize) -> PortResult<RunPage> {
        self.page_of_runs(["store.runs", "store.runs.rows"], tenant, None, after, limit).await
    }

    async fn attempts(&self, run_id: &str) -> PortResult<Vec<AttemptRow>> {
        let pk = Place::run(run_id).pk;
        self.call("store.attempts", |open| {
            open.partition(Table::SyncRuns, &pk, "attempt#")
                .map(|(place, stored)| read::<AttemptRow>(place, stored))
                .collect()
        })
        .await
    }
}

/// A run that must not be there.
pub(super) fn new_run(open: &mut Open<'_>, run: &RunRow) -> PortResult<bool> {
    let place = run.place();
    let absent = !open.there(&place);
    let row = run.clone().into_written();
    let very_same = open.seen::<RunRow>(&place) == Some(&row);
    Ok(open.one(Part::put(row, absent))? || very_same)
}
