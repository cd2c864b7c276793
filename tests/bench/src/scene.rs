//! A shop, a book, a tenant with its binding, and AWS between them: everything that a built function meets.

use crate::ambient;
use crate::aws::Aws;
use crate::aws::sqs::Message;
use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use ledger_aws::Config;
use ledger_engine::config::Timers;
use ledger_engine::operate::{NewBinding, NewTenant, Operate};
use ledger_engine::ports::{Chance, Clock};
use ledger_engine::wire::settings::SettingsV1;
use ledger_world::book::{Book, BookOptions};
use ledger_world::runtime_api::{LambdaFunction, LambdaOptions};
use ledger_world::shop::{Address, CustomerSpec, Delivery, ItemSpec, OrderSpec, Shop, ShopOptions};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The key that shop and ledger share.
pub const API_KEY: &str = "byte8_lk_0123456789abcdef0123456789abcdef";
/// The book's token.
pub const BOOK_TOKEN: &str = "book-token";
/// The tenant.
pub const TENANT: &str = "7d8a1c52-4c0f-4f0e-9f55-0d4b1f3c2a61";

/// An event of `events/`, as it is there.
///
/// # Errors
/// Where there is none of that name, or it is no JSON.
pub fn event(name: &str) -> anyhow::Result<Value> {
    let path = ambient::workspace().join("events").join(format!("{name}.json"));
    let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Sets a member of an object that may be deep inside; what isn't there is made.
fn set(value: &mut Value, path: &[&str], to: Value) {
    match path.split_first() {
        None => *value = to,
        Some((first, rest)) => {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            if let Some(object) = value.as_object_mut() {
                set(object.entry(*first).or_insert(Value::Null), rest, to);
            }
        }
    }
}

/// A delivery as API Gateway proxies it: the event of `events/webhook-invoice-created.json` with another request in it.
///
/// # Errors
/// Where the event can't be read.
pub fn proxied(delivery: &Delivery) -> anyhow::Result<Value> {
    let mut proxied = event("webhook-invoice-created")?;
    let (address, query) = delivery.url.split_once('?').unwrap_or((&delivery.url, ""));
    let path = address.split_once("/webhooks/").map(|(_, path)| format!("/webhooks/{path}")).unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let segment = |place: usize| json!(segments.get(place).copied().unwrap_or_default());
    set(&mut proxied, &["path"], json!(path));
    set(&mut proxied, &["requestContext", "path"], json!(format!("/live{path}")));
    set(&mut proxied, &["pathParameters"], json!({"tenant": segment(3), "event": segment(4)}));
    for (name, value) in &delivery.headers {
        set(&mut proxied, &["headers", name], json!(value));
        set(&mut proxied, &["multiValueHeaders", name], json!([value]));
    }
    let parameters: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let single: Map<String, Value> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let many: Map<String, Value> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    let or_null = |map: Map<String, Value>| if map.is_empty() { Value::Null } else { Value::Object(map) };
    set(&mut proxied, &["queryStringParameters"], or_null(single));
    set(&mut proxied, &["multiValueQueryStringParameters"], or_null(many));
    set(&mut proxied, &["body"], json!(delivery.body));
    set(&mut proxied, &["isBase64Encoded"], json!(false));
    Ok(proxied)
}

/// Messages as SQS hands them to a worker: the event of `events/worker-invoice-created-batch.json` with others in it.
///
/// # Errors
/// Where the event can't be read.
pub fn batch(messages: &[Message]) -> anyhow::Result<Value> {
    let event = event("worker-invoice-created-batch")?;
    let template = event.pointer("/Records/0").context("the event has no record")?;
    let records = messages.iter().map(|message| {
        let mut record = template.clone();
        set(&mut record, &["messageId"], json!(message.id));
        set(&mut record, &["receiptHandle"], json!(format!("receipt-{}", message.id)));
        set(&mut record, &["body"], json!(message.body));
        set(&mut record, &["attributes", "MessageGroupId"], json!(message.group));
        set(&mut record, &["attributes", "MessageDeduplicationId"], json!(message.deduplication));
        record
    });
    Ok(json!({"Records": records.collect::<Vec<_>>()}))
}

/// The functions by their folders.
pub const FUNCTIONS: [&str; 8] = [
    "webhook",
    "worker-invoice-created",
    "worker-invoice-paid",
    "worker-creditmemo-created",
    "worker-customer-upserted",
    "worker-product-upserted",
    "worker-push-sync-state",
    "sweeper",
];

#[derive(Debug)]
struct MachineClock;

#[async_trait]
impl Clock for MachineClock {
    fn now_ms(&self) -> i64 {
        ambient::now_ms()
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

#[derive(Debug)]
struct MachineChance;

impl Chance for MachineChance {
    fn uuid(&self) -> String {
        ambient::fresh_uuid()
    }

    fn number(&self) -> u64 {
        0
    }
}

/// Everything that a built function meets.
#[derive(Debug)]
pub struct Scene {
    /// AWS.
    pub aws: Aws,
    /// The shop.
    pub shop: Shop,
    /// The book.
    pub book: Book,
    customer: i64,
}

impl Scene {
    /// Opens the endpoints, a shop and a book, and makes a tenant with a binding, by the code that operators use.
    ///
    /// # Errors
    /// Where any of it fails.
    pub async fn start() -> anyhow::Result<Self> {
        let aws = Aws::start().await?;
        let shop = Shop::start(ShopOptions::default()).await?;
        let book = Book::start(BookOptions::default()).await?;
        let environment = aws.environment();
        let adapters = ledger_aws::Aws::new(&Config::from_lookup(&|name| environment.get(name).cloned())?)?;
        let (store, queue, vault) = (adapters.store(), adapters.queue(), adapters.vault());
        let timers = Timers::default();
        let operate = Operate {
            store: &store,
            queue: &queue,
            vault: &vault,
            clock: &MachineClock,
            chance: &MachineChance,
            timers: &timers,
        };
        operate
            .add_tenant(&NewTenant {
                tenant: Some(TENANT.to_owned()),
                shop_url: shop.url(),
                api_key: SecretString::from(API_KEY),
            })
            .await?;
        operate
            .add_binding(&NewBinding {
                tenant: TENANT.to_owned(),
                provider: "xero".to_owned(),
                dialect: "v2".to_owned(),
                base_url: book.url(),
                organisation: "4f7b2c9a-1d3e-4a5b-8c6d-7e8f9a0b1c2d".to_owned(),
                web_name: None,
                token: SecretString::from(BOOK_TOKEN),
                settings: SettingsV1 {
                    time_zone: "Europe/London".to_owned(),
                    book_currency: "GBP".to_owned(),
                    sales_tax_rates: vec!["20".to_owned(), "5".to_owned(), "0".to_owned()],
                    income_category: book.url_of("categories", "001"),
                    shipping_category: book.url_of("categories", "002"),
                    invoice_number_prefix: Some("MAG-".to_owned()),
                    ..SettingsV1::default()
                },
            })
            .await?;
        shop.pair_directly(TENANT, API_KEY, "https://ledger.example/live");
        let customer =
            shop.customers().register(CustomerSpec::new("accounts@hallam-fixings.example", "Priya", "Nair"))?;
        Ok(Self { aws, shop, book, customer })
    }

    /// What every function is told, as `template.yaml` does, and that its neighbours are on this machine.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.aws.environment();
        environment.insert("LEDGER_STACK".to_owned(), "ledger-bench".to_owned());
        environment.insert("ALLOW_PRIVATE_ADDRESSES".to_owned(), "true".to_owned());
        environment.insert("LOG_LEVEL".to_owned(), "info".to_owned());
        environment
    }

    /// Starts a built function.
    ///
    /// # Errors
    /// Where there is no such binary.
    pub async fn spawns(&self, binary: &Path) -> anyhow::Result<LambdaFunction> {
        self.spawns_with(binary, &[]).await
    }

    /// The same, with other values of some variables.
    ///
    /// # Errors
    /// Where there is no such binary.
    pub async fn spawns_with(&self, binary: &Path, changes: &[(&str, &str)]) -> anyhow::Result<LambdaFunction> {
        let mut options = LambdaOptions::new(binary);
        options.environment = self.environment();
        for (name, value) in changes {
            options = options.env(name, *value);
        }
        LambdaFunction::spawn(options).await
    }

    /// Raises an invoice and hands over its delivery: of the customer that the shop opens with, or of a guest that
    /// nobody has seen yet.
    ///
    /// # Errors
    /// Where the shop won't.
    pub fn raises(&self, guest: Option<&str>) -> anyhow::Result<Delivery> {
        let address = Address::british("1 Foundry Lane", "Sheffield", "S1 2BJ").of_company("Hallam Fixings Ltd");
        let order = match guest {
            None => OrderSpec::for_customer(self.customer).billed_to(address.clone()).shipped_to(address),
            Some(email) => OrderSpec::for_guest(email, "Sam", "Lee", address),
        };
        let order = order
            .item(ItemSpec::simple("ANCHOR-M10", "Anchor bolt M10, box of 50", 1, "19.99").taxed(20))
            .item(ItemSpec::simple("WASHER-M10", "Washer M10, bag of 100", 3, "4.95").taxed(20))
            .shipping_for("4.99", 20)
            .percent_off(10)
            .po_number("PO-2231")
            .paid_by("trade_credit");
        let invoice = self.shop.invoices(&self.shop.orders(&order)?)?;
        let key = format!("invoice.created:{invoice}");
        let row = self.shop.outbox().into_iter().rev().find(|row| row.idempotency_key == key);
        self.shop.delivery(row.context("the shop tells nobody")?.entity_id)
    }

    /// A delivery that the function accepts.
    ///
    /// # Errors
    /// Where it doesn't.
    pub async fn delivers(&self, webhook: &LambdaFunction, delivery: &Delivery) -> anyhow::Result<()> {
        let answer = webhook.invoke(&proxied(delivery)?).await?;
        ensure!(answer.get("statusCode") == Some(&json!(202)), "not accepted: {answer}");
        Ok(())
    }

    /// Messages that the function works through without giving any back.
    ///
    /// # Errors
    /// Where it does.
    pub async fn works(&self, worker: &LambdaFunction, messages: &[Message]) -> anyhow::Result<()> {
        let answer = worker.invoke(&batch(messages)?).await?;
        ensure!(answer == json!({"batchItemFailures": []}), "given back: {answer}");
        Ok(())
    }
}

/// Where a function's binary is below a folder of functions, as `make` leaves it.
#[must_use]
pub fn binary(functions: &Path, folder: &str) -> PathBuf {
    functions.join(folder).join("bootstrap")
}
