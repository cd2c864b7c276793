//! The deployed stack with a shop and a book of the test's own: real queues, real functions, real permissions, real time.

use crate::ports::SeededChance;
use crate::stack;
use crate::world::{API_KEY, BOOK_TOKEN, settings};
use anyhow::{Context, bail, ensure};
use ledger_aws::{Aws, Config, DynamoStore, KmsVault, SqsQueue, SystemClock};
use ledger_engine::config::Timers;
use ledger_engine::operate::{NewBinding, NewTenant, Operate, RunDetail};
use ledger_engine::wire::rows::RunRow;
use ledger_world::book::{Book, BookOptions};
use ledger_world::shop::{Shop, ShopOptions};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(200);

/// A shop, a book, and the deployed stack between them.
pub struct Deployed {
    /// The stack's settings.
    pub environment: BTreeMap<String, String>,
    /// The shop.
    pub shop: Shop,
    /// The book.
    pub book: Book,
    /// The tenant.
    pub tenant: String,
    /// Its binding.
    pub binding: String,
    /// The store.
    pub store: DynamoStore,
    /// The queues.
    pub queue: SqsQueue,
    /// The vault.
    pub vault: KmsVault,
    chance: SeededChance,
    timers: Timers,
}

impl Deployed {
    /// A tenant of its own on the deployed stack; `None` where no stack runs.
    ///
    /// # Errors
    /// Where something of it can't be started.
    pub async fn start(name: &str) -> anyhow::Result<Option<Self>> {
        let Some(environment) = stack::settings() else { return Ok(None) };
        let shop = Shop::start(ShopOptions::default()).await?;
        let book = Book::start(BookOptions::default()).await?;
        // Nothing but Ledger's own memory shall prevent a double.
        book.sets(|switches| switches.unique_references = false);
        let aws = Aws::new(&Config::from_lookup(&|name| environment.get(name).cloned())?)?;
        let tenant = format!("{name}-{}", std::process::id());
        let mut deployed = Self {
            shop,
            book,
            tenant,
            binding: String::new(),
            store: aws.store(),
            queue: aws.queue(),
            vault: aws.vault(),
            chance: SeededChance::new(seed(name)),
            timers: Timers::default(),
            environment,
        };
        deployed.binding = deployed.joins(&deployed.tenant.clone(), &deployed.shop.url(), &deployed.book.url()).await?;
        let url = deployed.setting("LEDGER_URL")?;
        deployed.shop.pair_directly(&deployed.tenant, API_KEY, &url);
        Ok(Some(deployed))
    }

    /// Makes a tenant with a binding; the binding's id.
    ///
    /// # Errors
    /// Where it can't be made.
    pub async fn joins(&self, tenant: &str, shop_url: &str, book_url: &str) -> anyhow::Result<String> {
        let operate = self.operator();
        operate
            .add_tenant(&NewTenant {
                tenant: Some(tenant.to_owned()),
                shop_url: shop_url.to_owned(),
                api_key: SecretString::from(API_KEY),
            })
            .await?;
        let mut settings = settings(&self.book);
        settings.invoice_number_prefix = Some(format!("{}-", tenant.chars().take(12).collect::<String>()));
        let own = self.book.url();
        settings.income_category = settings.income_category.replace(&own, book_url);
        settings.shipping_category = settings.shipping_category.replace(&own, book_url);
        let binding = operate
            .add_binding(&NewBinding {
                tenant: tenant.to_owned(),
                provider: "xero".to_owned(),
                dialect: "v2".to_owned(),
                base_url: book_url.to_owned(),
                organisation: tenant.to_owned(),
                web_name: None,
                token: SecretString::from(BOOK_TOKEN),
                settings,
            })
            .await?;
        Ok(binding.binding)
    }

    /// A setting of the stack.
    ///
    /// # Errors
    /// Where there is none.
    pub fn setting(&self, name: &str) -> anyhow::Result<String> {
        self.environment.get(name).cloned().with_context(|| format!("the stack names no {name}"))
    }

    /// What operators do.
    #[must_use]
    pub fn operator(&self) -> Operate<'_> {
        Operate {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            clock: &SystemClock,
            chance: &self.chance,
            timers: &self.timers,
        }
    }

    /// Runs the deployed sweeper once.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn sweeps(&self) -> anyhow::Result<()> {
        let log = PathBuf::from(self.setting("ENGINE_LOG")?);
        let name = log
            .ancestors()
            .nth(2)
            .and_then(|folder| folder.file_name())
            .and_then(|name| name.to_str())
            .context("the stack has no name")?
            .to_owned();
        let script = stack::workspace().join("infra/local/stack.py");
        let output = tokio::process::Command::new("python3")
            .arg(script)
            .args(["--name", &name, "sweep"])
            .current_dir(stack::workspace())
            .output()
            .await?;
        ensure!(output.status.success(), "sweep: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Runs of the tenant.
    ///
    /// # Errors
    /// Where they can't be read.
    pub async fn runs(&self, tenant: &str) -> anyhow::Result<Vec<RunRow>> {
        use ledger_engine::ports::Operations;
        Ok(self.store.runs(tenant, None, 100).await?.runs)
    }

    /// A run with its attempts.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn run(&self, run_id: &str) -> anyhow::Result<RunDetail> {
        Ok(self.operator().run(run_id).await?)
    }
}

fn seed(name: &str) -> u64 {
    name.bytes()
        .fold(u64::from(std::process::id()), |seed, byte| seed.wrapping_mul(1_099_511_628_211) ^ u64::from(byte))
}

/// Waits until a condition holds.
///
/// # Errors
/// Where it does not within the limit, or can't be looked at.
pub async fn until<F>(what: &str, limit: Duration, mut condition: impl FnMut() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let tries = limit.as_millis().checked_div(POLL.as_millis()).unwrap_or_default();
    for _ in 0..tries {
        if condition().await? {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("not within {limit:?}: {what}")
}
