//! Shops: who they are, which key they use, how they are, and what their module asks.

use super::index::Index;
use super::rows::{Place, Row, Table, read};
use super::store::{MemoryStore, Open, Part, Transacted};
use async_trait::async_trait;
use ledger_engine::ports::{
    Counted, KeyUse, ModuleStore, NewShop, Pairings, PortFault, PortResult, Promotion, ShopStates, ShopWatch,
    SpentToken,
};
use ledger_wire::rows::{
    BindingPlaceRow, BindingRow, JtiRow, OrderDocumentRow, RunRow, SealedRow, ShopAddressRow, TenantPlaceRow,
    TenantRow, keys,
};

/// Most documents of an order that are told.
const ORDER_DOCUMENTS_MAX: usize = 100;
/// Later than any moment that is written with fifteen digits.
const END_OF_TIME: &str = "~";

impl Open<'_> {
    /// Changes a tenant's row, if it is there and has one of these statuses; any, where none is named.
    pub(super) fn tenant_becomes(
        &mut self,
        tenant: &str,
        statuses: &[&str],
        change: impl FnOnce(&TenantRow) -> TenantRow,
    ) -> PortResult<bool> {
        self.tenant_changed(tenant, |row| statuses.is_empty() || statuses.contains(&row.status.as_str()), change)
    }

    fn tenant_changed(
        &mut self,
        tenant: &str,
        only_if: impl FnOnce(&TenantRow) -> bool,
        change: impl FnOnce(&TenantRow) -> TenantRow,
    ) -> PortResult<bool> {
        let place = Place::tenant(tenant);
        let there = self.seen::<TenantRow>(&place);
        let changed = there.filter(|row| only_if(row)).map(change);
        self.one(Part::change(place, changed))
    }

    fn shop_unreached(&mut self, tenant: &str, now: i64) -> PortResult<()> {
        let place = Place::tenant(tenant);
        let there = self.seen::<TenantRow>(&place).filter(|row| row.status != "disconnected");
        let noted =
            there.map(|row| TenantRow { unreached_since: Some(row.unreached_since.unwrap_or(now)), ..row.clone() });
        let parts = vec![Part::change(place, noted), self.asked_after(tenant, now)];
        self.transact(parts).map(|_| ())
    }

    fn promote(&mut self, promotion: &Promotion, candidate: &SealedRow) -> PortResult<bool> {
        let seen = &promotion.seen;
        let as_seen =
            |row: &TenantRow| row.candidate_key.as_ref() == Some(candidate) && row.current_key == seen.current_key;
        self.tenant_changed(&seen.tenant, as_seen, |row| {
            let (previous_key, previous_until) = match &seen.current_key {
                Some(current) => (Some(current.clone()), Some(promotion.previous_until)),
                None => (row.previous_key.clone(), row.previous_until),
            };
            let new = seen.candidate_provider.as_ref().filter(|provider| !seen.paired_providers.contains(provider));
            TenantRow {
                status: "connected".to_owned(),
                paired_at: Some(promotion.now),
                current_key: Some(candidate.clone()),
                previous_key,
                previous_until,
                paired_providers: row.paired_providers.iter().chain(new).cloned().collect(),
                candidate_key: None,
                candidate_provider: None,
                refused_since: None,
                unreached_since: None,
                disconnected_at: None,
                ..row.clone()
            }
        })
    }

    fn counted(&mut self, state: &str, from: &str, to: &str, limit: usize) -> u32 {
        let entries = self.index(Index::ByState, state);
        let within = entries.filter(|(key, _)| (from..=to).contains(&key.text.as_str()));
        u32::try_from(within.take(limit).count()).unwrap_or(u32::MAX)
    }

    /// Runs in the order of their places, those that are there.
    pub(super) fn runs_at(&self, places: &[Place]) -> PortResult<Vec<RunRow>> {
        places.iter().filter_map(|place| self.get(place).transpose()).collect()
    }

    fn disconnect_shop(&mut self, tenant: &str, jti: &JtiRow, now: i64) -> PortResult<SpentToken> {
        let place = Place::tenant(tenant);
        let over = self.seen::<TenantRow>(&place).map(|row| TenantRow {
            status: "disconnected".to_owned(),
            disconnected_at: Some(row.disconnected_at.unwrap_or(now)),
            refused_since: None,
            unreached_since: None,
            paired_providers: Vec::new(),
            ..row.clone()
        });
        let parts = vec![
            self.jti_spent(jti, now.div_euclid(1_000)),
            Part::change(place, over),
            Part::delete(Place::attention(tenant), true),
        ];
        match self.transact(parts)? {
            Transacted::Done => Ok(SpentToken::Done),
            Transacted::Refused(refusals) if refusals.first() == Some(&true) => self
                .get(&jti.place())?
                .map(SpentToken::Before)
                .ok_or_else(|| PortFault::Unavailable("a spent token's row was not told".to_owned())),
            Transacted::Refused(_) => Err(PortFault::Inconsistent("tenant: gone".to_owned())),
        }
    }
}

#[async_trait]
impl ShopStates for MemoryStore {
    async fn shop_unreached(&self, tenant: &str, now: i64) -> PortResult<()> {
        self.call("store.shop_unreached", |open| open.shop_unreached(tenant, now)).await
    }

    async fn shop_reached(&self, tenant: &str) -> PortResult<()> {
        let noted = |open: &mut Open<'_>| {
            open.tenant_changed(
                tenant,
                |row| row.status != "unreachable",
                |row| TenantRow { unreached_since: None, ..row.clone() },
            )
        };
        if self.single("store.shop_reached", noted).await? {
            return Ok(());
        }
        self.single("store.shop_reached.marked", |open| {
            open.tenant_becomes(tenant, &["unreachable"], |row| TenantRow {
                status: "connected".to_owned(),
                unreached_since: None,
                ..row.clone()
            })
        })
        .await
        .map(|_| ())
    }
}

#[async_trait]
impl KeyUse for MemoryStore {
    async fn promote(&self, promotion: &Promotion) -> PortResult<bool> {
        let seen = &promotion.seen;
        let Some(candidate) = &seen.candidate_key else { return Ok(false) };
        if self.single("store.promote", |open| open.promote(promotion, candidate)).await? {
            return Ok(true);
        }
        let there: Option<TenantRow> = self.row("store.promote.tenancy", Place::tenant(&seen.tenant)).await?;
        Ok(there.is_some_and(|there| there.current_key.as_ref() == Some(candidate)))
    }
}

#[async_trait]
impl ShopWatch for MemoryStore {
    async fn shop_refuses_ping(&self, tenant: &str, now: i64) -> PortResult<()> {
        self.call("store.shop_refuses_ping", |open| open.shop_refused(tenant, now)).await
    }

    async fn shop_unreachable(&self, tenant: &str) -> PortResult<()> {
        self.single("store.shop_unreachable", |open| {
            open.tenant_changed(
                tenant,
                |row| ["connected", "silent"].contains(&row.status.as_str()) && row.unreached_since.is_some(),
                |row| TenantRow { status: "unreachable".to_owned(), ..row.clone() },
            )
            .map(|_| ())
        })
        .await
    }

    async fn shop_silent(&self, tenant: &str, heard_at: i64) -> PortResult<()> {
        self.single("store.shop_silent", |open| {
            open.tenant_changed(
                tenant,
                |row| row.status == "connected" && row.heard_at == Some(heard_at),
                |row| TenantRow { status: "silent".to_owned(), ..row.clone() },
            )
            .map(|_| ())
        })
        .await
    }

    async fn attention_ends(&self, tenant: &str) -> PortResult<()> {
        let ended = |open: &mut Open<'_>| open.one(Part::delete(Place::attention(tenant), true)).map(|_| ());
        self.single("store.attention_ends", ended).await
    }
}

#[async_trait]
impl Pairings for MemoryStore {
    async fn shop_address(&self, address: &str) -> PortResult<Option<ShopAddressRow>> {
        let place = Place::new(Table::Tenants, keys::shop_address(address), keys::TENANT);
        self.row("store.shop_address", place).await
    }

    async fn add_shop(&self, shop: &NewShop) -> PortResult<bool> {
        self.call("store.add_shop", |open| {
            let (address, tenant) = (shop.address.place(), shop.tenant.place());
            let parts = vec![
                Part::put(shop.address.clone(), !open.there(&address)),
                Part::put(shop.tenant.clone(), !open.there(&tenant)),
                Part::put(TenantPlaceRow::new(&shop.tenant.tenant), true),
            ];
            // The very row: an earlier try was applied and its reply lost.
            Ok(match open.transact(parts)? {
                Transacted::Done => true,
                Transacted::Refused(refusals) => {
                    refusals.first() == Some(&true) && open.seen::<ShopAddressRow>(&address) == Some(&shop.address)
                }
            })
        })
        .await
    }

    async fn add_pending_binding(&self, binding: &BindingRow) -> PortResult<bool> {
        self.call("store.add_pending_binding", |open| {
            let place = binding.place();
            let parts = vec![
                Part::put(binding.clone(), !open.there(&place)),
                Part::put(BindingPlaceRow::new(&binding.binding, &binding.tenant), true),
            ];
            Ok(open.transact(parts)?.done() || open.seen::<BindingRow>(&place) == Some(binding))
        })
        .await
    }

    async fn binding_becomes(&self, seen: &BindingRow, status: &str, disconnected_at: Option<i64>) -> PortResult<bool> {
        self.single("store.binding_becomes", |open| {
            let place = seen.place();
            let there = open.seen::<BindingRow>(&place).filter(|row| row.status == seen.status);
            let changed = there.map(|row| BindingRow { status: status.to_owned(), disconnected_at, ..row.clone() });
            open.one(Part::change(place, changed))
        })
        .await
    }

    async fn add_candidate(&self, seen: &TenantRow, candidate: &SealedRow, provider: &str) -> PortResult<bool> {
        self.single("store.add_candidate", |open| {
            open.tenant_changed(
                &seen.tenant,
                |row| row.keys_version == seen.keys_version && row.candidate_key.is_none(),
                |row| TenantRow {
                    candidate_key: Some(candidate.clone()),
                    candidate_provider: Some(provider.to_owned()),
                    keys_version: candidate.version,
                    ..row.clone()
                },
            )
        })
        .await
    }

    async fn candidate_for(&self, seen: &TenantRow, provider: &str) -> PortResult<bool> {
        let Some(candidate) = &seen.candidate_key else { return Ok(false) };
        self.single("store.candidate_for", |open| {
            open.tenant_changed(
                &seen.tenant,
                |row| row.candidate_key.as_ref() == Some(candidate),
                |row| TenantRow { candidate_provider: Some(provider.to_owned()), ..row.clone() },
            )
        })
        .await
    }

    async fn took_current_key(&self, seen: &TenantRow, provider: &str, now: i64) -> PortResult<bool> {
        let provider = provider.to_owned();
        let known = seen.paired_providers.contains(&provider);
        self.single("store.took_current_key", |open| {
            let paired = ["connected", "silent", "unreachable"];
            open.tenant_changed(
                &seen.tenant,
                |row| row.keys_version == seen.keys_version && paired.contains(&row.status.as_str()),
                |row| TenantRow {
                    status: "connected".to_owned(),
                    paired_at: Some(now),
                    paired_providers: row
                        .paired_providers
                        .iter()
                        .chain((!known).then_some(&provider))
                        .cloned()
                        .collect(),
                    unreached_since: None,
                    ..row.clone()
                },
            )
        })
        .await
    }

    async fn paired_by(&self, tenant: &str, operator: &str) -> PortResult<()> {
        self.single("store.paired_by", |open| {
            open.tenant_becomes(tenant, &[], |row| TenantRow { paired_by: Some(operator.to_owned()), ..row.clone() })
                .map(|_| ())
        })
        .await
    }

    async fn count_of_binding(&self, state: &str, binding: &str, limit: usize) -> PortResult<u32> {
        let (from, to) = (format!("{binding}#"), format!("{binding}#{END_OF_TIME}"));
        self.call("store.count_of_binding", |open| Ok(open.counted(state, &from, &to, limit))).await
    }
}

#[async_trait]
impl ModuleStore for MemoryStore {
    async fn count_since(&self, counted: &Counted<'_>) -> PortResult<u32> {
        let Counted { state, binding, from, limit } = *counted;
        let (from, to) = (format!("{binding}#{from:015}"), format!("{binding}#{END_OF_TIME}"));
        self.call("store.count_since", |open| Ok(open.counted(state, &from, &to, limit))).await
    }

    async fn newest_runs(&self, tenant: &str, limit: usize) -> PortResult<Vec<RunRow>> {
        let places: Vec<Place> = self
            .call("store.newest_runs", |open| {
                let entries = open.index(Index::ByTenant, tenant).rev().take(limit);
                Ok(entries.map(|(key, _)| key.place.clone()).collect())
            })
            .await?;
        self.call("store.newest_runs.rows", |open| open.runs_at(&places)).await
    }

    async fn runs_by_id(&self, run_ids: &[String]) -> PortResult<Vec<RunRow>> {
        let places: Vec<Place> = run_ids.iter().map(|id| Place::run(id)).collect();
        self.call("store.runs_by_id", |open| open.runs_at(&places)).await
    }

    async fn documents_of_order(&self, tenant: &str, order_id: u64) -> PortResult<Vec<(String, u64)>> {
        let pk = keys::order(tenant, order_id);
        let mut documents = self
            .call("store.documents_of_order", |open| {
                open.partition(Table::SyncRuns, &pk, "")
                    .take(ORDER_DOCUMENTS_MAX)
                    .map(|(place, stored)| {
                        let row = read::<OrderDocumentRow>(place, stored)?;
                        Ok((row.entity_type.clone(), row.magento_id))
                    })
                    .collect::<PortResult<Vec<_>>>()
            })
            .await?;
        documents.sort_by_key(|(entity_type, id)| (entity_type != "invoice", *id));
        Ok(documents)
    }

    async fn disconnect_shop(&self, tenant: &str, jti: &JtiRow, now: i64) -> PortResult<SpentToken> {
        self.call("store.disconnect_shop", |open| open.disconnect_shop(tenant, jti, now)).await
    }
}
