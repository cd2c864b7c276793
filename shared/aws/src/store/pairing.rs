//! Shops: who they are, which key they use, how they are, and what their module asks.

use super::DynamoStore;
use super::table::{Find, One, Place, Table, Transacted, key};
use crate::item::{Item, from_item, from_maybe, number, text, text_of, to_item};
use crate::write::Write;
use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use ledger_engine::ports::{
    Counted, Heard, KeyUse, ModuleStore, NewShop, Pairings, PortFault, PortResult, Promotion, ShopStates, ShopWatch,
    SpentToken, Tenants,
};
use ledger_wire::rows::{
    AgendaRow, BindingPlaceRow, BindingRow, JtiRow, OrderDocumentRow, ROW_VERSION, RunRow, SealedRow, ShopAddressRow,
    TenantPlaceRow, TenantRow, keys,
};

/// Most documents of an order that are told.
const ORDER_DOCUMENTS_MAX: usize = 100;
/// Later than any moment that is written with fifteen digits.
const END_OF_TIME: &str = "~";

/// A sealed key as an attribute of a tenant.
fn sealed_attribute(sealed: &SealedRow) -> PortResult<AttributeValue> {
    let row = TenantRow { candidate_key: Some(sealed.clone()), ..TenantRow::default() };
    to_item(&row)?.remove("candidate_key").ok_or_else(|| PortFault::Inconsistent("tenant: can't be written".to_owned()))
}

impl DynamoStore {
    /// A change of a tenant's row, which must be there.
    fn tenant_changed(&self, tenant: &str, change: impl Into<std::borrow::Cow<'static, str>>) -> Write {
        Write::update(&self.tables.tenants, key(&keys::tenant(tenant), Some(keys::TENANT)), change)
            .only_if("attribute_exists(#pk)")
    }

    /// Has the sweeper ask after a shop.
    pub(super) fn asked_after(&self, tenant: &str, now: i64) -> Write {
        Write::update(
            &self.tables.tenants,
            key(keys::ATTENTION, Some(&keys::shop(tenant))),
            "SET #v = :v, #tenant = :tenant, #since = if_not_exists(#since, :now)",
        )
        .with("v", number(ROW_VERSION))
        .with("tenant", text(tenant))
        .with("now", number(now))
    }

    /// Does it where its condition holds; where not, somebody else has taken care of it.
    async fn settled(&self, write: Write) -> PortResult<()> {
        match self.one(write).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }

    async fn counted(&self, state: &str, from: String, to: String, limit: usize) -> PortResult<u32> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: Some("by_state"),
                condition: "#state_key = :state_key AND #state_order BETWEEN :from AND :to",
                values: vec![("state_key", text(state)), ("from", text(from)), ("to", text(to))],
                newest_first: false,
                limit: Some(limit),
                after: None,
            })
            .await?;
        Ok(u32::try_from(page.items.len()).unwrap_or(u32::MAX))
    }
}

#[async_trait]
impl ShopStates for DynamoStore {
    /// One TransactWriteItems.
    async fn shop_unreached(&self, tenant: &str, now: i64) -> PortResult<()> {
        let noted = self
            .tenant_changed(tenant, "SET #unreached_since = if_not_exists(#unreached_since, :now)")
            .only_if("attribute_exists(#pk) AND #status <> :disconnected")
            .with("now", number(now))
            .with("disconnected", text("disconnected"));
        match self.transact(vec![noted, self.asked_after(tenant, now)], None, true).await? {
            Transacted::Done | Transacted::Refused(_) => Ok(()),
        }
    }

    /// One UpdateItem; a second one where the tenant is `unreachable`.
    async fn shop_reached(&self, tenant: &str) -> PortResult<()> {
        let noted = self
            .tenant_changed(tenant, "REMOVE #unreached_since")
            .only_if("attribute_exists(#pk) AND #status <> :unreachable")
            .with("unreachable", text("unreachable"));
        if self.one(noted).await? == One::Done {
            return Ok(());
        }
        let marked = self
            .tenant_changed(tenant, "SET #status = :connected REMOVE #unreached_since")
            .only_if("#status = :unreachable")
            .with("connected", text("connected"))
            .with("unreachable", text("unreachable"));
        self.settled(marked).await
    }
}

#[async_trait]
impl KeyUse for DynamoStore {
    /// One UpdateItem; one Query where it is refused.
    async fn promote(&self, promotion: &Promotion) -> PortResult<bool> {
        let seen = &promotion.seen;
        let Some(candidate) = &seen.candidate_key else { return Ok(false) };
        let mut change = "SET #status = :connected, #paired_at = :now, #current_key = :candidate".to_owned();
        let mut condition = "#candidate_key = :candidate".to_owned();
        let mut values = Vec::new();
        if let Some(current) = &seen.current_key {
            change.push_str(", #previous_key = :current, #previous_until = :until");
            condition.push_str(" AND #current_key = :current");
            values.push(("current", sealed_attribute(current)?));
            values.push(("until", number(promotion.previous_until)));
        } else {
            condition.push_str(" AND attribute_not_exists(#current_key)");
        }
        let provider = seen.candidate_provider.as_ref();
        if let Some(provider) = provider.filter(|provider| !seen.paired_providers.contains(provider)) {
            change.push_str(", #paired_providers = list_append(if_not_exists(#paired_providers, :none), :provider)");
            values.push(("none", AttributeValue::L(Vec::new())));
            values.push(("provider", AttributeValue::L(vec![text(provider)])));
        }
        change.push_str(
            " REMOVE #candidate_key, #candidate_provider, #refused_since, #unreached_since, #disconnected_at",
        );
        let promoted = values.into_iter().fold(
            self.tenant_changed(&seen.tenant, change)
                .only_if(condition)
                .with("connected", text("connected"))
                .with("now", number(promotion.now))
                .with("candidate", sealed_attribute(candidate)?),
            |write, (name, value)| write.with(name, value),
        );
        if self.one(promoted).await? == One::Done {
            return Ok(true);
        }
        let there = self.tenancy(&seen.tenant).await?;
        Ok(there.is_some_and(|there| there.tenant.current_key.as_ref() == Some(candidate)))
    }
}

#[async_trait]
impl ShopWatch for DynamoStore {
    /// One TransactWriteItems.
    async fn shop_refuses_ping(&self, tenant: &str, now: i64) -> PortResult<()> {
        self.shop_refused(tenant, now).await
    }

    /// One UpdateItem.
    async fn shop_unreachable(&self, tenant: &str) -> PortResult<()> {
        let mark = self
            .tenant_changed(tenant, "SET #status = :unreachable")
            .only_if("#status IN (:connected, :silent) AND attribute_exists(#unreached_since)")
            .with("unreachable", text("unreachable"))
            .with("connected", text("connected"))
            .with("silent", text("silent"));
        self.settled(mark).await
    }

    /// One UpdateItem.
    async fn shop_silent(&self, tenant: &str, heard_at: i64) -> PortResult<()> {
        let mark = self
            .tenant_changed(tenant, "SET #status = :silent")
            .only_if("#status = :connected AND #heard_at = :heard_at")
            .with("silent", text("silent"))
            .with("connected", text("connected"))
            .with("heard_at", number(heard_at));
        self.settled(mark).await
    }

    /// One DeleteItem.
    async fn attention_ends(&self, tenant: &str) -> PortResult<()> {
        self.settled(Write::delete(&self.tables.tenants, key(keys::ATTENTION, Some(&keys::shop(tenant))))).await
    }
}

impl DynamoStore {
    /// Notes that something came; see [`ledger_engine::ports::Deliveries::heard`]. One UpdateItem; with an entry of the
    /// agenda one TransactWriteItems.
    pub(super) async fn note_heard(&self, heard: &Heard) -> PortResult<()> {
        let gaps = TenantRow { gaps: heard.gaps.clone(), ..TenantRow::default() };
        let gaps = to_item(&gaps)?.remove("gaps").unwrap_or(AttributeValue::L(Vec::new()));
        let change = if heard.wakes {
            "SET #heard_at = :now, #gaps = :gaps, #status = :connected"
        } else {
            "SET #heard_at = :now, #gaps = :gaps"
        };
        let mut condition = match heard.seen {
            Some(_) => "#heard_at = :seen".to_owned(),
            None => "attribute_exists(#pk) AND attribute_not_exists(#heard_at)".to_owned(),
        };
        if heard.wakes {
            condition.push_str(" AND #status = :silent");
        }
        let mut noted = self
            .tenant_changed(&heard.tenant, change)
            .only_if(condition)
            .with("now", number(heard.now))
            .with("gaps", gaps);
        if let Some(seen) = heard.seen {
            noted = noted.with("seen", number(seen));
        }
        if heard.wakes {
            noted = noted.with("connected", text("connected")).with("silent", text("silent"));
        }
        match &heard.agenda {
            None => self.settled(noted).await,
            Some(entry) => {
                let entry = Write::put(&self.tables.tenants, to_item::<AgendaRow>(entry)?);
                match self.transact(vec![noted, entry], None, true).await? {
                    Transacted::Done | Transacted::Refused(_) => Ok(()),
                }
            }
        }
    }
}

#[async_trait]
impl Pairings for DynamoStore {
    /// One GetItem.
    async fn shop_address(&self, address: &str) -> PortResult<Option<ShopAddressRow>> {
        self.row(Table::Tenants, &keys::shop_address(address), keys::TENANT).await
    }

    /// One TransactWriteItems.
    async fn add_shop(&self, shop: &NewShop) -> PortResult<bool> {
        let address = to_item(&shop.address)?;
        let writes = vec![
            Write::put(&self.tables.tenants, address.clone()).only_if("attribute_not_exists(#pk)"),
            Write::put(&self.tables.tenants, to_item(&shop.tenant)?).only_if("attribute_not_exists(#pk)"),
            Write::put(&self.tables.tenants, to_item(&TenantPlaceRow::new(&shop.tenant.tenant))?),
        ];
        Ok(match self.transact(writes, None, true).await? {
            Transacted::Done => true,
            // The very row: an earlier try was applied and its reply lost.
            Transacted::Refused(refusals) => refusals.into_iter().next().flatten().flatten() == Some(address),
        })
    }

    /// One TransactWriteItems.
    async fn add_pending_binding(&self, binding: &BindingRow) -> PortResult<bool> {
        let item = to_item(binding)?;
        let writes = vec![
            Write::put(&self.tables.tenants, item.clone()).only_if("attribute_not_exists(#pk)"),
            Write::put(&self.tables.tenants, to_item(&BindingPlaceRow::new(&binding.binding, &binding.tenant))?),
        ];
        Ok(match self.transact(writes, None, true).await? {
            Transacted::Done => true,
            Transacted::Refused(refusals) => refusals.into_iter().next().flatten().flatten() == Some(item),
        })
    }

    /// One UpdateItem.
    async fn binding_becomes(&self, seen: &BindingRow, status: &str, disconnected_at: Option<i64>) -> PortResult<bool> {
        let change = match disconnected_at {
            Some(_) => "SET #status = :status, #disconnected_at = :disconnected_at",
            None => "SET #status = :status REMOVE #disconnected_at",
        };
        let mut write = Write::update(&self.tables.tenants, key(&seen.pk, Some(&seen.sk)), change)
            .only_if("#status = :seen")
            .with("status", text(status))
            .with("seen", text(&seen.status));
        if let Some(moment) = disconnected_at {
            write = write.with("disconnected_at", number(moment));
        }
        Ok(self.one(write).await? == One::Done)
    }

    /// One UpdateItem.
    async fn add_candidate(&self, seen: &TenantRow, candidate: &SealedRow, provider: &str) -> PortResult<bool> {
        let write = self
            .tenant_changed(
                &seen.tenant,
                "SET #candidate_key = :candidate, #candidate_provider = :provider, #keys_version = :version",
            )
            .only_if("#keys_version = :seen AND attribute_not_exists(#candidate_key)")
            .with("candidate", sealed_attribute(candidate)?)
            .with("provider", text(provider))
            .with("version", number(candidate.version))
            .with("seen", number(seen.keys_version));
        Ok(self.one(write).await? == One::Done)
    }

    /// One UpdateItem.
    async fn candidate_for(&self, seen: &TenantRow, provider: &str) -> PortResult<bool> {
        let Some(candidate) = &seen.candidate_key else { return Ok(false) };
        let write = self
            .tenant_changed(&seen.tenant, "SET #candidate_provider = :provider")
            .only_if("#candidate_key = :candidate")
            .with("provider", text(provider))
            .with("candidate", sealed_attribute(candidate)?);
        Ok(self.one(write).await? == One::Done)
    }

    /// One UpdateItem.
    async fn took_current_key(&self, seen: &TenantRow, provider: &str, now: i64) -> PortResult<bool> {
        let mut change = "SET #status = :connected, #paired_at = :now".to_owned();
        let known = seen.paired_providers.iter().any(|paired| paired == provider);
        if !known {
            change.push_str(", #paired_providers = list_append(if_not_exists(#paired_providers, :none), :provider)");
        }
        change.push_str(" REMOVE #unreached_since");
        let mut write = self
            .tenant_changed(&seen.tenant, change)
            .only_if("#keys_version = :seen AND #status IN (:connected, :silent, :unreachable)")
            .with("connected", text("connected"))
            .with("silent", text("silent"))
            .with("unreachable", text("unreachable"))
            .with("now", number(now))
            .with("seen", number(seen.keys_version));
        if !known {
            write = write
                .with("none", AttributeValue::L(Vec::new()))
                .with("provider", AttributeValue::L(vec![text(provider)]));
        }
        Ok(self.one(write).await? == One::Done)
    }

    /// One UpdateItem.
    async fn paired_by(&self, tenant: &str, operator: &str) -> PortResult<()> {
        self.settled(self.tenant_changed(tenant, "SET #paired_by = :operator").with("operator", text(operator))).await
    }

    /// One Query of the index, for each megabyte of it.
    async fn count_of_binding(&self, state: &str, binding: &str, limit: usize) -> PortResult<u32> {
        self.counted(state, format!("{binding}#"), format!("{binding}#{END_OF_TIME}"), limit).await
    }
}

#[async_trait]
impl ModuleStore for DynamoStore {
    /// One Query of the index, for each megabyte of it.
    async fn count_since(&self, counted: &Counted<'_>) -> PortResult<u32> {
        let Counted { state, binding, from, limit } = *counted;
        self.counted(state, format!("{binding}#{from:015}"), format!("{binding}#{END_OF_TIME}"), limit).await
    }

    /// One Query of the index, then one BatchGetItem for each hundred.
    async fn newest_runs(&self, tenant: &str, limit: usize) -> PortResult<Vec<RunRow>> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: Some("by_tenant"),
                condition: "#tenant = :tenant",
                values: vec![("tenant", text(tenant))],
                newest_first: true,
                limit: Some(limit),
                after: None,
            })
            .await?;
        let place = |item: &Item| Place::new(Table::SyncRuns, text_of(item, "pk"), text_of(item, "sk"));
        self.runs_at(page.items.iter().map(place).collect()).await
    }

    /// One BatchGetItem for each hundred.
    async fn runs_by_id(&self, run_ids: &[String]) -> PortResult<Vec<RunRow>> {
        self.runs_at(run_ids.iter().map(|id| Place::new(Table::SyncRuns, keys::run(id), keys::RUN)).collect()).await
    }

    /// One Query.
    async fn documents_of_order(&self, tenant: &str, order_id: u64) -> PortResult<Vec<(String, u64)>> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: None,
                condition: "#pk = :pk",
                values: vec![("pk", text(keys::order(tenant, order_id)))],
                newest_first: false,
                limit: Some(ORDER_DOCUMENTS_MAX),
                after: None,
            })
            .await?;
        let mut documents = Vec::new();
        for item in page.items {
            let row: OrderDocumentRow = from_item(item)?;
            documents.push((row.entity_type, row.magento_id));
        }
        // The sort key has memos before invoices.
        documents.sort_by_key(|(entity_type, id)| (entity_type != "invoice", *id));
        Ok(documents)
    }

    /// One TransactWriteItems.
    async fn disconnect_shop(&self, tenant: &str, jti: &JtiRow, now: i64) -> PortResult<SpentToken> {
        let spent = self.jti_spent(jti, now.div_euclid(1_000))?;
        let changed = self
            .tenant_changed(
                tenant,
                "SET #status = :disconnected, #disconnected_at = if_not_exists(#disconnected_at, :now) \
                 REMOVE #refused_since, #unreached_since, #paired_providers",
            )
            .with("disconnected", text("disconnected"))
            .with("now", number(now));
        let unasked = Write::delete(&self.tables.tenants, key(keys::ATTENTION, Some(&keys::shop(tenant))));
        match self.transact(vec![spent, changed, unasked], None, true).await? {
            Transacted::Done => Ok(SpentToken::Done),
            Transacted::Refused(reasons) => match reasons.into_iter().next().flatten() {
                Some(there) => from_maybe(there)?
                    .map(SpentToken::Before)
                    .ok_or_else(|| PortFault::Unavailable("a spent token's row was not told".to_owned())),
                None => Err(PortFault::Inconsistent("tenant: gone".to_owned())),
            },
        }
    }
}

impl DynamoStore {
    /// Runs in the order of their places, those that are there.
    pub(super) async fn runs_at(&self, places: Vec<Place>) -> PortResult<Vec<RunRow>> {
        let mut found = self.batch(places.iter().cloned()).await?;
        places.iter().filter_map(|place| from_maybe(found.remove(place)).transpose()).collect()
    }
}
