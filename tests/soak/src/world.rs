//! The shops and the books, and the stack between them.

use anyhow::{Context as _, ensure};
use ledger_aws::engine::ports::{Chance, Clock, Operations as _};
use ledger_aws::{SystemChance, SystemClock};
use ledger_cli::Stack;
use ledger_conformance::books::AnyBook;
use ledger_demo::api::Api;
use ledger_demo::http;
use ledger_demo::pairing::{self, Paired};
use ledger_demo::places::{MISCONFIGURED_WEBSITE, Place, Speech};
use ledger_demo::strangers;
use ledger_demo::variables::Variables;
use ledger_wire::rows::RunRow;
use ledger_wire::settings::SettingsV1;
use ledger_world::accounting::{AccountingBook, AccountingOptions};
use ledger_world::book::{Book, BookOptions, House};
use ledger_world::desk::LogEntry;
use ledger_world::sage::{SageBook, SageOptions};
use ledger_world::shop::{Shop, ShopOptions};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Runs of a page.
const PAGE: usize = 100;
/// Tries of what has to be done before the load begins or after the faults.
const TRIES: u32 = 10;
/// Before it is tried again, in milliseconds.
const AGAIN_MS: u64 = 2_000;

/// A shop and its book.
pub(crate) struct Trading {
    pub(crate) shop: Shop,
    pub(crate) book: AnyBook,
    pub(crate) paired: Paired,
}

impl Trading {
    /// For people: the dialect and where its book is.
    pub(crate) fn name(&self) -> String {
        format!("{} at {}", self.paired.place.speech.dialect(), self.paired.place.book.url)
    }

    /// How often the book may be asked in a minute, as Ledger asks it.
    pub(crate) const fn calls_per_minute(&self) -> u64 {
        match self.paired.place.speech {
            Speech::V2 | Speech::Accounting => 60,
            Speech::Freeagent => 100,
            Speech::Sage => 180,
        }
    }

    /// Every request to the book.
    pub(crate) fn log(&self) -> Vec<LogEntry> {
        match &self.book {
            AnyBook::Family(book) => book.log(),
            AnyBook::Accounting(book) => book.log(),
            AnyBook::Sage(book) => book.log(),
        }
    }
}

/// Everything.
pub(crate) struct World {
    pub(crate) places: Vec<Trading>,
    pub(crate) stack: Stack,
    pub(crate) api: Api,
    /// Where the fault proxy is.
    pub(crate) proxy: String,
    /// The stack's own folder, `.local/soak`.
    pub(crate) folder: PathBuf,
    pub(crate) seed: u64,
}

async fn opens(speech: Speech) -> anyhow::Result<(Shop, AnyBook)> {
    let provider = speech.provider().to_owned();
    let options =
        ShopOptions { providers: vec![provider.clone()], catalogue_watchers: vec![provider], ..ShopOptions::default() };
    let shop = Shop::start(options).await?;
    let own = SystemChance.number();
    let company_id = own.checked_rem(1_000_000_000).unwrap_or_default();
    let book = match speech {
        Speech::V2 => AnyBook::Family(Book::start(BookOptions { company_id, ..BookOptions::default() }).await?),
        Speech::Freeagent => AnyBook::Family(
            Book::start(
                BookOptions { house: House::Freeagent, company_id, ..BookOptions::default() }.with_real_limits(),
            )
            .await?,
        ),
        Speech::Accounting => AnyBook::Accounting(
            AccountingBook::start(AccountingOptions {
                tenant: SystemChance.uuid(),
                requests_per_minute: Some(AccountingOptions::REAL_MINUTE_LIMIT),
                ..AccountingOptions::default()
            })
            .await?,
        ),
        Speech::Sage => AnyBook::Sage(
            SageBook::start(SageOptions { business: format!("{own:032x}"), ..SageOptions::default() }).await?,
        ),
    };
    Ok((shop, book))
}

fn url_of(book: &AnyBook) -> String {
    match book {
        AnyBook::Family(book) => book.url(),
        AnyBook::Accounting(book) => book.url(),
        AnyBook::Sage(book) => book.url(),
    }
}

/// What the merchant has set: one website is left out, and so is what costs nothing.
fn settings(speech: Speech, book_url: &str, prefix: &str) -> SettingsV1 {
    SettingsV1 {
        credit_note_prefix: Some(format!("{prefix}CN-")),
        website_filter: vec![1, 2, MISCONFIGURED_WEBSITE],
        sync_zero_value_invoices: Some(false),
        income_categories: Default::default(),
        ..speech.settings(book_url, prefix)
    }
}

impl World {
    /// Opens so many shops and books of each dialect, pairs and connects them.
    pub(crate) async fn open(stack_env: &Path, books: usize, seed: u64) -> anyhow::Result<Self> {
        ensure!(books > 0, "at least one book of each dialect");
        let variables = Variables::read(stack_env).context("is the stack up?")?;
        let stack = Stack::open(&|name| variables.get(name))?;
        let proxy = variables.need("FAULT_PROXY_URL")?;
        let folder = stack_env.parent().context("the environment file is in no folder")?.to_owned();
        let api = Api::of(&variables)?;
        let mut world = Self { places: Vec::new(), stack, api, proxy, folder, seed };
        for _ in 0..books {
            for speech in Speech::ALL {
                let trading = world.pairs(speech).await?;
                world.places.push(trading);
            }
        }
        // A shop dates its documents to the second, and one of this very second would look older than its binding.
        SystemClock.sleep_ms(1_000).await;
        Ok(world)
    }

    async fn pairs(&self, speech: Speech) -> anyhow::Result<Trading> {
        let (shop, book) = opens(speech).await?;
        let place = Place {
            speech,
            shop: strangers::Shop::at(&shop.url(), speech.provider()),
            book: strangers::Book::at(&url_of(&book)),
        };
        let paired = pairing::pair(&self.api, place).await.with_context(|| speech.title())?;
        let settings = settings(speech, &paired.place.book.url, &paired.prefix);
        let version = self.api.settings(&paired.binding).await?.version;
        self.api.saves(&paired.binding, version, serde_json::to_value(settings)?).await?;
        Ok(Trading { shop, book, paired })
    }

    /// Connects a book again, as its bookkeeper does until it is done.
    pub(crate) async fn reconnects(&self, trading: &Trading) -> anyhow::Result<()> {
        let mut tries = TRIES;
        loop {
            let connected = pairing::reconnect(&self.api, &trading.paired).await;
            tries = tries.saturating_sub(1);
            if connected.is_ok() || tries == 0 {
                return connected.with_context(|| format!("connecting {} again", trading.name()));
            }
            SystemClock.sleep_ms(AGAIN_MS).await;
        }
    }

    /// Every run of a tenant.
    pub(crate) async fn runs(&self, trading: &Trading) -> anyhow::Result<Vec<RunRow>> {
        let (mut runs, mut after) = (Vec::new(), None);
        loop {
            let page = self.stack.store().runs(&trading.paired.tenant, after.as_deref(), PAGE).await?;
            runs.extend(page.runs);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(runs),
            }
        }
    }

    /// Runs a command of `infra/local/stack.py` on the stack.
    pub(crate) async fn script(&self, words: &[&str]) -> anyhow::Result<()> {
        let name = self.folder.file_name().and_then(|name| name.to_str()).context("the stack has no name")?;
        let mut command = tokio::process::Command::new("python3");
        command.arg("infra/local/stack.py").args(["--name", name]).args(words).kill_on_drop(true);
        let output = command.output().await?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Asks the fault proxy.
    pub(crate) async fn asks_proxy(&self, method: &str, route: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let path = format!("/_control/{route}");
        http::send(&self.proxy, method, &path, &[], body).await?.good(route)
    }
}
