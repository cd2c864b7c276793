//! Reading tenants.

use super::DynamoStore;
use super::table::{Find, Table};
use crate::item::{from_item, from_maybe, text, text_of};
use async_trait::async_trait;
use ledger_engine::ports::{PortResult, Tenancy, Tenants};
use ledger_wire::rows::keys;

#[async_trait]
impl Tenants for DynamoStore {
    /// One Query: the tenant and its bindings have one partition key.
    async fn tenancy(&self, tenant: &str) -> PortResult<Option<Tenancy>> {
        let page = self
            .find(Find {
                table: Table::Tenants,
                index: None,
                condition: "#pk = :pk",
                values: vec![("pk", text(keys::tenant(tenant)))],
                newest_first: false,
                limit: None,
                after: None,
            })
            .await?;
        let (tenants, others): (Vec<_>, Vec<_>) =
            page.items.into_iter().partition(|item| text_of(item, "sk") == keys::TENANT);
        let Some(tenant) = from_maybe(tenants.into_iter().next())? else {
            return Ok(None);
        };
        // Ordered by the sort key, which is the binding's id.
        let bindings = others
            .into_iter()
            .filter(|item| text_of(item, "sk").starts_with(&keys::binding("")))
            .map(from_item)
            .collect::<PortResult<_>>()?;
        Ok(Some(Tenancy { tenant, bindings }))
    }
}
