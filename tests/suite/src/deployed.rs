//! The deployed stack with a shop and a book of the test's own: real queues, real functions, real permissions, real time.

use crate::ports::SeededChance;
use crate::stack;
use crate::world::{API_KEY, BOOK_TOKEN, Bound, Other, Spoken, bound, settings};
use anyhow::{Context, bail, ensure};
use ledger_aws::{Aws, Config, DynamoStore, KmsVault, SqsQueue, SystemClock};
use ledger_engine::config::Timers;
use ledger_engine::operate::{NewBinding, NewTenant, Operate, RunDetail};
use ledger_engine::wire::rows::RunRow;
use ledger_world::accounting::{AccountingBook, AccountingOptions};
use ledger_world::book::{Book, BookOptions, House};
use ledger_world::sage::{SageBook, SageOptions};
use ledger_world::shop::{Shop, ShopOptions};
use ledger_world::statement::Statement;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
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
    /// The book, where it is one of the v2 family; nobody's where it is not.
    pub book: Book,
    /// The book, where it is not of that family.
    pub other: Option<Other>,
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
        let Some(mut deployed) = Self::open(name, Spoken::V2).await? else { return Ok(None) };
        // Nothing but Ledger's own memory shall prevent a double.
        deployed.book.sets(|switches| switches.unique_references = false);
        deployed.binding = deployed.joins(&deployed.tenant.clone(), &deployed.shop.url(), &deployed.book.url()).await?;
        deployed.pairs()?;
        Ok(Some(deployed))
    }

    /// The same with a book of any dialect, which keeps its numbers unique where the real one does. The methods
    /// `stripe_payments` and `trade_credit` have a bank account.
    ///
    /// # Errors
    /// As [`Deployed::start`].
    pub async fn start_in(name: &str, spoken: Spoken) -> anyhow::Result<Option<Self>> {
        let Some(mut deployed) = Self::open(name, spoken).await? else { return Ok(None) };
        let operate = deployed.operator();
        let tenant = deployed.tenant.clone();
        operate
            .add_tenant(&NewTenant {
                tenant: Some(tenant.clone()),
                shop_url: deployed.shop.url(),
                api_key: SecretString::from(API_KEY),
            })
            .await?;
        let Bound { base_url, organisation, settings } = bound(&deployed.book, deployed.other.as_ref(), &tenant, true);
        let binding = operate
            .add_binding(&NewBinding {
                tenant,
                provider: spoken.provider().to_owned(),
                dialect: spoken.dialect().to_owned(),
                base_url,
                organisation,
                web_name: None,
                token: SecretString::from(BOOK_TOKEN),
                settings,
            })
            .await?;
        deployed.binding = binding.binding;
        deployed.pairs()?;
        Ok(Some(deployed))
    }

    fn pairs(&self) -> anyhow::Result<()> {
        self.shop.pair_directly(&self.tenant, API_KEY, &self.setting("LEDGER_URL")?);
        Ok(())
    }

    /// Shop and book, not bound to each other yet: they have neither tenant nor binding.
    ///
    /// # Errors
    /// As [`Deployed::start`].
    pub async fn open(name: &str, spoken: Spoken) -> anyhow::Result<Option<Self>> {
        let Some(environment) = stack::settings() else { return Ok(None) };
        let providers = vec![spoken.provider().to_owned()];
        let listen = own_address(name);
        let shop = Shop::start(ShopOptions { listen, providers, ..ShopOptions::default() }).await?;
        let house = if spoken == Spoken::Freeagent { House::Freeagent } else { House::V2 };
        // Organisations that no other test's books have: the tables are everybody's.
        let own = seed(name);
        let company_id = own % 1_000_000_000;
        let book = Book::start(BookOptions { house, company_id, ..BookOptions::default() }).await?;
        let other = match spoken {
            Spoken::V2 | Spoken::Freeagent => None,
            Spoken::Accounting => {
                let tenant = format!("7f3c9a52-1d04-4b7e-9c11-{:012x}", own & 0xffff_ffff_ffff);
                let open = AccountingOptions { tenant, ..AccountingOptions::default() };
                Some(Other::Accounting(AccountingBook::start(open).await?))
            }
            Spoken::Sage => {
                let open = SageOptions { business: format!("{own:032x}"), ..SageOptions::default() };
                Some(Other::Sage(SageBook::start(open).await?))
            }
        };
        let aws = Aws::new(&Config::from_lookup(&|name| environment.get(name).cloned())?)?;
        let tenant = format!("{name}-{}", std::process::id());
        Ok(Some(Self {
            shop,
            book,
            other,
            tenant,
            binding: String::new(),
            store: aws.store(),
            queue: aws.queue(),
            vault: aws.vault(),
            chance: SeededChance::new(seed(name)),
            timers: Timers::default(),
            environment,
        }))
    }

    /// What the book holds, whatever it speaks.
    #[must_use]
    pub fn holds(&self) -> Statement {
        match &self.other {
            None => self.book.statement(),
            Some(Other::Accounting(book)) => book.statement(),
            Some(Other::Sage(book)) => book.statement(),
        }
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
        self.script(&["sweep"]).await.map(drop)
    }

    /// Runs a command of `infra/local/stack.py` on the stack; what it prints.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn script(&self, words: &[&str]) -> anyhow::Result<String> {
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
            .args(["--name", &name])
            .args(words)
            .current_dir(stack::workspace())
            .output()
            .await?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
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

/// An address that no earlier test's shop had: a port may come twice, and a stack knows a shop by its address. Only Linux
/// listens on all of 127.0.0.0/8.
fn own_address(name: &str) -> SocketAddr {
    let host = match seed(name).to_be_bytes() {
        [.., a, b, c] if cfg!(target_os = "linux") => Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254)),
        _ => Ipv4Addr::LOCALHOST,
    };
    (host, 0).into()
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
