//! A test's own tables on the stack's engine.

use aws_sdk_dynamodb::types::{
    AttributeValue, BillingMode, GlobalSecondaryIndex, GlobalSecondaryIndexDescription, TableStatus,
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use ledger_aws::{Aws, Config, DynamoStore, KmsVault, SystemChance, SystemClock, Tables};
use ledger_contract::{AnyRow, Subject, Table};
use ledger_engine::ports::{Chance, Clock};
use std::collections::{BTreeMap, HashMap};

/// A test's tables, and the store on them.
pub(crate) struct Stack {
    pub(crate) config: Config,
    pub(crate) store: DynamoStore,
    pub(crate) raw: aws_sdk_dynamodb::Client,
}

#[expect(clippy::disallowed_methods, reason = "how a test finds its stack")]
fn variables() -> Option<BTreeMap<String, String>> {
    let path = std::env::var("LEDGER_TEST_STACK_ENV").ok()?;
    let text = std::fs::read_to_string(&path).expect("the file that LEDGER_TEST_STACK_ENV names");
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let mut variables: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // The engine's own account makes tables and queues; what roles may do is tested on the deployed stack.
    variables.insert("AWS_ACCESS_KEY_ID".to_owned(), "test".to_owned());
    variables.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "test".to_owned());
    variables.remove("AWS_SESSION_TOKEN");
    Some(variables)
}

/// The stack's configuration; `None`, and said so, where there is no stack.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn config() -> Option<Config> {
    let Some(variables) = variables() else {
        eprintln!("skipped: LEDGER_TEST_STACK_ENV is not set");
        return None;
    };
    let mut config = Config::from_lookup(&|name| variables.get(name).cloned()).expect("a whole configuration");
    // An engine on a busy machine is slow, and these tests ask for fifty things at once.
    config.timeouts.attempt = std::time::Duration::from_secs(20);
    config.timeouts.operation = std::time::Duration::from_secs(30);
    Some(config)
}

macro_rules! client {
    ($name:ident, $sdk:ident) => {
        /// A client of the test's own, for what the adapters don't do.
        pub(crate) fn $name(config: &Config, endpoint: Option<&String>) -> $sdk::Client {
            use secrecy::ExposeSecret;
            let credentials = aws_credential_types::Credentials::new(
                &config.keys.access_key_id,
                config.keys.secret_access_key.expose_secret(),
                config.keys.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
                None,
                "test",
            );
            let mut builder = $sdk::config::Builder::new()
                .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
                .region($sdk::config::Region::new(config.region.clone()))
                .credentials_provider(credentials)
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()));
            builder.set_endpoint_url(endpoint.cloned());
            $sdk::Client::from_conf(builder.build())
        }
    };
}

client!(dynamodb, aws_sdk_dynamodb);
client!(sqs, aws_sdk_sqs);

impl Stack {
    pub(crate) async fn new() -> Option<Self> {
        let mut config = config()?;
        let raw = dynamodb(&config, config.endpoints.dynamodb.as_ref());
        let unique = SystemChance.uuid();
        let own = |name: &str| format!("ledger-contract-{unique}-{name}");
        let tables = Tables { sync_runs: own("runs"), entity_xref: own("xref"), tenants: own("tenants") };
        for (from, to) in [
            (&config.tables.sync_runs, &tables.sync_runs),
            (&config.tables.entity_xref, &tables.entity_xref),
            (&config.tables.tenants, &tables.tenants),
        ] {
            copy_table(&raw, from, to).await;
        }
        config.tables = tables;
        let store = Aws::new(&config).unwrap().store();
        Some(Self { config, store, raw })
    }

    /// Writes an item as it is, past the store.
    pub(crate) async fn put_raw(&self, table: &str, item: &[(&str, AttributeValue)]) {
        let item: HashMap<String, AttributeValue> =
            item.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.raw.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    }

    /// Changes one attribute, past the store.
    pub(crate) async fn set_raw(&self, table: &str, pk: &str, sk: &str, name: &str, value: AttributeValue) {
        let call = self.raw.update_item().table_name(table).key("pk", AttributeValue::S(pk.to_owned()));
        let call = call.key("sk", AttributeValue::S(sk.to_owned()));
        let call = call.update_expression("SET #name = :value").expression_attribute_names("#name", name);
        call.expression_attribute_values(":value", value).send().await.unwrap();
    }

    fn table(&self, table: Table) -> &str {
        match table {
            Table::SyncRuns => &self.config.tables.sync_runs,
            Table::EntityXref => &self.config.tables.entity_xref,
            Table::Tenants => &self.config.tables.tenants,
        }
    }

    /// Removes the test's tables.
    pub(crate) async fn end(self) {
        let tables = &self.config.tables;
        for table in [&tables.sync_runs, &tables.entity_xref, &tables.tenants] {
            self.raw.delete_table().table_name(table).send().await.unwrap();
        }
    }
}

impl Subject for Stack {
    type Store = DynamoStore;
    type Vault = KmsVault;
    type Clock = SystemClock;
    type Chance = SystemChance;

    fn store(&self) -> &DynamoStore {
        &self.store
    }

    fn vault(&self) -> KmsVault {
        Aws::new(&self.config).unwrap().vault()
    }

    fn clock(&self) -> &SystemClock {
        &SystemClock
    }

    fn chance(&self) -> &SystemChance {
        &SystemChance
    }

    async fn write(&self, row: AnyRow) {
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(&row).unwrap();
        self.raw.put_item().table_name(self.table(row.table())).set_item(Some(item)).send().await.unwrap();
    }

    async fn remove(&self, table: Table, pk: &str, sk: &str) {
        let call = self.raw.delete_item().table_name(self.table(table)).key("pk", AttributeValue::S(pk.to_owned()));
        call.key("sk", AttributeValue::S(sk.to_owned())).send().await.unwrap();
    }
}

async fn copy_table(raw: &aws_sdk_dynamodb::Client, from: &str, to: &str) {
    let described = raw.describe_table().table_name(from).send().await.expect("the stack's table").table.unwrap();
    let index = |index: GlobalSecondaryIndexDescription| {
        GlobalSecondaryIndex::builder()
            .set_index_name(index.index_name)
            .set_key_schema(index.key_schema)
            .set_projection(index.projection)
            .build()
            .unwrap()
    };
    let indexes = described.global_secondary_indexes.map(|all| all.into_iter().map(index).collect());
    raw.create_table()
        .table_name(to)
        .set_attribute_definitions(described.attribute_definitions)
        .set_key_schema(described.key_schema)
        .set_global_secondary_indexes(indexes)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    loop {
        let table = raw.describe_table().table_name(to).send().await.unwrap().table.unwrap();
        if table.table_status == Some(TableStatus::Active) {
            return;
        }
        SystemClock.sleep_ms(100).await;
    }
}
