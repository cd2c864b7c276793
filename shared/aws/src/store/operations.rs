//! What operators ask.

use super::DynamoStore;
use super::table::{Find, One, Place, Table, Transacted, key};
use crate::item::{Item, from_item, number, number_of, text, text_of, to_item};
use crate::write::Write;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger_engine::ports::{Operations, PortFault, PortResult, RunPage};
use ledger_wire::rows::{
    AttemptRow, BindingPlaceRow, BindingRow, BookBindingRow, ROW_VERSION, RunRow, SettingsRow, ShopAddressRow,
    SweepRow, TenantPlaceRow, TenantRow, TokenRow, keys,
};

/// Runs of one page.
const PAGE_RUNS_MAX: usize = 100;

/// Where a page of runs ended: the run's key and when it was received.
pub(super) fn mark(last: &Item) -> Option<String> {
    let place = (text_of(last, "pk"), number_of(last, "received_at")?);
    Some(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).ok()?))
}

pub(super) fn after(tenant: &str, mark: &str) -> PortResult<Item> {
    let place = URL_SAFE_NO_PAD.decode(mark).ok().and_then(|json| serde_json::from_slice(&json).ok());
    // A key that can't be would be refused as if the store were out of order.
    let (pk, received_at): (String, i64) = place
        .filter(|(pk, _): &(String, i64)| keys::run_of(pk).is_some())
        .ok_or_else(|| PortFault::Inconsistent("not the mark of a page of runs".to_owned()))?;
    let mut after = key(&pk, Some(keys::RUN));
    after.insert("tenant".to_owned(), text(tenant));
    after.insert("received_at".to_owned(), number(received_at));
    Ok(after)
}

/// The runs of an index's entries, strongly consistent and in their order.
pub(super) async fn runs_of(store: &DynamoStore, entries: &[Item]) -> PortResult<Vec<RunRow>> {
    let places: Vec<Place> =
        entries.iter().map(|item| Place::new(Table::SyncRuns, text_of(item, "pk"), text_of(item, "sk"))).collect();
    store.runs_at(places).await
}

#[async_trait]
impl Operations for DynamoStore {
    /// One TransactWriteItems.
    async fn add_tenant(&self, tenant: &TenantRow) -> PortResult<bool> {
        let item = to_item(tenant)?;
        let address = ShopAddressRow::new(&tenant.shop_url, &tenant.tenant);
        let writes = vec![
            Write::put(&self.tables.tenants, item.clone()).only_if("attribute_not_exists(#pk)"),
            Write::put(&self.tables.tenants, to_item(&address)?),
            Write::put(&self.tables.tenants, to_item(&TenantPlaceRow::new(&tenant.tenant))?),
        ];
        Ok(match self.transact(writes, None, true).await? {
            Transacted::Done => true,
            // The very row: an earlier try was applied and its reply lost.
            Transacted::Refused(refusals) => refusals.into_iter().next().flatten().flatten() == Some(item),
        })
    }

    /// One Query, for each megabyte of it.
    async fn tenants(&self, after: Option<&str>, limit: usize) -> PortResult<Vec<String>> {
        let page = self
            .find(Find {
                table: Table::Tenants,
                index: None,
                condition: "#pk = :pk AND #sk > :after",
                values: vec![("pk", text(keys::TENANTS)), ("after", text(keys::tenant(after.unwrap_or_default())))],
                newest_first: false,
                limit: Some(limit),
                after: None,
            })
            .await?;
        page.items.into_iter().map(|item| from_item::<TenantPlaceRow>(item).map(|row| row.tenant)).collect()
    }

    /// One GetItem.
    async fn last_sweep(&self) -> PortResult<Option<SweepRow>> {
        self.row(Table::Tenants, keys::STACK, keys::SWEEP).await
    }

    /// One GetItem.
    async fn tenant_of(&self, binding: &str) -> PortResult<Option<String>> {
        let place: Option<BindingPlaceRow> = self.row(Table::Tenants, &keys::of_binding(binding), keys::PLACE).await?;
        Ok(place.map(|place| place.tenant))
    }

    /// One TransactWriteItems.
    async fn add_binding(&self, binding: &BindingRow, settings: &SettingsRow, token: &TokenRow) -> PortResult<bool> {
        let item = to_item(binding)?;
        let mut writes = vec![
            Write::put(&self.tables.tenants, item.clone()).only_if("attribute_not_exists(#pk)"),
            Write::put(&self.tables.tenants, to_item(&BindingPlaceRow::new(&binding.binding, &binding.tenant))?),
            Write::put(&self.tables.tenants, to_item(settings)?),
            Write::put(&self.tables.tenants, to_item(token)?),
        ];
        if !binding.book.is_empty() {
            // So that whoever connects another shop to the book knows of its numbers.
            let row = BookBindingRow {
                pk: keys::book(&binding.book),
                sk: keys::binding_of(&binding.tenant, &binding.binding),
                v: ROW_VERSION,
                tenant: binding.tenant.clone(),
                binding: binding.binding.clone(),
                prefix: binding.settings.invoice_number_prefix.clone().unwrap_or_default(),
            };
            writes.push(Write::put(&self.tables.tenants, to_item(&row)?));
        }
        Ok(match self.transact(writes, None, true).await? {
            Transacted::Done => true,
            Transacted::Refused(refusals) => refusals.into_iter().next().flatten().flatten() == Some(item),
        })
    }

    /// One PutItem.
    async fn replace_binding(&self, seen: &BindingRow, next: &BindingRow) -> PortResult<bool> {
        let item = to_item(next)?;
        // A live binding's row has no mode.
        let condition = if seen.mode.is_empty() {
            "#status = :seen_status AND #settings_version = :seen_settings_version AND attribute_not_exists(#mode)"
        } else {
            "#status = :seen_status AND #settings_version = :seen_settings_version AND #mode = :seen_mode"
        };
        let mut put = Write::put(&self.tables.tenants, item.clone())
            .only_if(condition)
            .with("seen_status", text(&seen.status))
            .with("seen_settings_version", number(seen.settings_version));
        if !seen.mode.is_empty() {
            put = put.with("seen_mode", text(&seen.mode));
        }
        Ok(match self.one(put).await? {
            One::Done => true,
            One::Refused(there) => there == Some(item),
        })
    }

    /// One PutItem.
    async fn put_token(&self, token: &TokenRow) -> PortResult<()> {
        match self.one(Write::put(&self.tables.tenants, to_item(token)?)).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }

    /// One GetItem.
    async fn token(&self, binding: &str) -> PortResult<Option<TokenRow>> {
        self.row(Table::Tenants, &keys::of_binding(binding), keys::TOKEN).await
    }

    /// One Query of the index, then one BatchGetItem. At most a hundred runs.
    async fn runs(&self, tenant: &str, mark_before: Option<&str>, limit: usize) -> PortResult<RunPage> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: Some("by_tenant"),
                condition: "#tenant = :tenant",
                values: vec![("tenant", text(tenant))],
                newest_first: true,
                limit: Some(limit.min(PAGE_RUNS_MAX)),
                after: mark_before.map(|mark| after(tenant, mark)).transpose()?,
            })
            .await?;
        let next = page.last.as_ref().and_then(mark);
        Ok(RunPage { runs: runs_of(self, &page.items).await?, next })
    }

    /// One Query.
    async fn attempts(&self, run_id: &str) -> PortResult<Vec<AttemptRow>> {
        let page = self
            .find(Find {
                table: Table::SyncRuns,
                index: None,
                condition: "#pk = :pk AND begins_with(#sk, :attempts)",
                values: vec![("pk", text(keys::run(run_id))), ("attempts", text("attempt#"))],
                newest_first: false,
                limit: None,
                after: None,
            })
            .await?;
        page.items.into_iter().map(from_item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_one_that_a_page_could_end_with() {
        let check = |what: &str, pk: &str, good: bool| {
            let mark = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(pk, 7)).unwrap());
            assert_eq!(after("t-1", &mark).is_ok(), good, "{what}");
        };
        check("a run", &keys::run("bfb6a0a5-62c1-8b39-89bc-0108904e35fa"), true);
        check("an empty key", "", false);
        check("another row", &keys::tenant("t-1"), false);
        check("a key that is too long", &keys::run(&"x".repeat(3_000)), false);
        assert!(after("t-1", "\0").is_err() && after("t-1", "").is_err());
    }
}
