//! What only rows as they are stored can show, and an engine that is not there.

use crate::stack::{Stack, config};
use aws_sdk_dynamodb::types::AttributeValue;
use ledger_aws::Aws;
use ledger_contract::Subject;
use ledger_engine::ports::{Configurations, PortFault, PrefixOwner, SealContext, Tenants, Vault};
use ledger_wire::rows::{ROW_VERSION, SealedRow, TenantRow, keys};

fn tenant(id: &str) -> TenantRow {
    TenantRow {
        pk: keys::tenant(id),
        sk: keys::TENANT.to_owned(),
        v: ROW_VERSION,
        tenant: id.to_owned(),
        status: "connected".to_owned(),
        ..TenantRow::default()
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[tokio::test]
async fn a_row_that_can_not_be_read_is_inconsistent() {
    let Some(stack) = Stack::new().await else { return };
    stack.put(tenant("t")).await;
    let table = stack.config.tables.tenants.clone();
    let (pk, newer) = (keys::tenant("t"), AttributeValue::N("2".to_owned()));
    stack.set_raw(&table, &pk, keys::TENANT, "keys_version", text("x")).await;
    assert!(matches!(stack.store.tenancy("t").await, Err(PortFault::Inconsistent(_))));
    stack.set_raw(&table, &pk, keys::TENANT, "v", newer).await;
    assert!(matches!(stack.store.tenancy("t").await, Err(PortFault::Inconsistent(_))));
    stack.end().await;
}

#[tokio::test]
async fn what_a_later_build_keeps_beside_a_tenant_is_not_read() {
    let Some(stack) = Stack::new().await else { return };
    stack.put(tenant("t")).await;
    let key = [("pk", text(&keys::tenant("t"))), ("sk", text("preview#1"))];
    stack.put_raw(&stack.config.tables.tenants, &key).await;
    let tenancy = stack.store.tenancy("t").await.unwrap().unwrap();
    assert_eq!((tenancy.tenant, tenancy.bindings), (tenant("t"), Vec::new()));
    stack.end().await;
}

#[tokio::test]
async fn a_prefix_is_read_from_no_more_than_key_and_prefix() {
    let Some(stack) = Stack::new().await else { return };
    let row =
        [("pk", text(&keys::book("xero:1"))), ("sk", text(&keys::binding_of("u#v", "c"))), ("prefix", text("A-"))];
    stack.put_raw(&stack.config.tables.tenants, &row).await;
    let owner = PrefixOwner { tenant: "u#v".to_owned(), binding: "c".to_owned(), prefix: "A-".to_owned() };
    assert_eq!(stack.store.prefixes_of("xero:1").await, Ok(vec![owner]));
    stack.end().await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unavailable() {
    let Some(mut config) = config() else { return };
    config.endpoints.kms = Some("http://127.0.0.1:1".to_owned());
    let sealed = SealedRow { ciphertext: "YQ==".to_owned(), version: 1 };
    let context = SealContext { label: "tenants/v1", owner: "t-1".to_owned(), attribute: "api_key" };
    let answer = Aws::new(&config).unwrap().vault().open(&sealed, &context).await.map(|_| ());
    assert_eq!(answer, Err(PortFault::Unavailable("Decrypt: no connection".to_owned())));
}
