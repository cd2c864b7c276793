//! A shop, a book and an attempt between them, in one process: the store is in memory, the clock stands still.

use anyhow::Context as _;
use async_trait::async_trait;
use ledger_engine::config::Timers;
use ledger_engine::dialects::{Method, Reply};
use ledger_engine::domain::fault::Fault;
use ledger_engine::ports::{Book as BookPort, BookCall, Clock, TransportFault};
use ledger_engine::post::{Post, Received};
use ledger_engine::reference::{BookTokens, Reader, StoredTokens};
use ledger_engine::settings::Configure;
use ledger_engine::tally::Tally;
use ledger_engine::tenants::{TenantMemory, access_token_context, api_key_context};
use ledger_engine::wire::message::{MESSAGE_VERSION, RunMessage};
use ledger_engine::wire::rows::{
    AttemptRow, BindingRow, BookBindingRow, ROW_VERSION, ReferenceRow, RunRow, SettingsRow, StepRow, TenantRow,
    TokenRow, keys,
};
use ledger_engine::wire::settings::{SettingsV1, TaxRuleV1};
use ledger_http::{Http, HttpBook, HttpConfig, HttpShop};
use ledger_simulation::memory::{Fate, MemoryStore, MemoryVault, Weather};
use ledger_suite::ports::{NoProvider, SeededChance, SimulatedClock, TripQueue};
use ledger_suite::trip::Trip;
use ledger_suite::world::{API_KEY, MORNING_MS};
use ledger_world::accounting::{AccountingBook, AccountingOptions};
use ledger_world::book::{Book, BookOptions, FaultSpec, House, LogEntry};
use ledger_world::clock::Clock as WorldClock;
use ledger_world::sage::{SageBook, SageOptions, SageSeed, bank_account, ledger_account};
use ledger_world::server::Request;
use ledger_world::shop::{Shop, ShopOptions};
use secrecy::SecretString;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The book's token.
pub(crate) const TOKEN: &str = "book-token";

/// What a book speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    V2,
    Freeagent,
    Accounting,
    Sage,
}

impl Spoken {
    pub(crate) const ALL: [Self; 4] = [Self::V2, Self::Freeagent, Self::Accounting, Self::Sage];
}

enum AnyBook {
    Family(Book),
    Accounting(AccountingBook),
    Sage(SageBook),
}

/// The way to the book: it takes its time, and somebody may add a category while lists are read.
struct Way {
    inner: HttpBook,
    clock: SimulatedClock,
    takes_ms: AtomicI64,
    adds: Mutex<Option<(Book, String)>>,
}

#[async_trait]
impl BookPort for Way {
    async fn send(&self, call: &BookCall<'_>) -> Result<Reply, TransportFault> {
        self.clock.advance(self.takes_ms.load(Ordering::SeqCst));
        if call.call.method == Method::Get && call.call.path.ends_with("/categories") {
            let adds = self.adds.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((book, code)) = adds {
                let category =
                    json!({"category": {"description": "New", "nominal_code": code, "category_group": "income"}});
                let answer = book.obeys(&Request {
                    method: "POST".to_owned(),
                    path: "/v2/categories".to_owned(),
                    query: String::new(),
                    headers: vec![
                        ("authorization".to_owned(), format!("Bearer {TOKEN}")),
                        ("content-type".to_owned(), "application/json".to_owned()),
                        ("accept".to_owned(), "application/json".to_owned()),
                        ("user-agent".to_owned(), "bookkeeper".to_owned()),
                    ],
                    body: category.to_string().into(),
                });
                assert_eq!(answer.status, 201, "{:?}", answer.body);
            }
        }
        self.inner.send(call).await
    }
}

/// The scene.
pub(crate) struct Scene {
    book: AnyBook,
    shop: Shop,
    pub(crate) store: MemoryStore,
    vault: MemoryVault,
    rival: Arc<Rival>,
    pub(crate) clock: SimulatedClock,
    queue: TripQueue,
    chance: SeededChance,
    to_shop: HttpShop,
    to_book: Way,
    memory: TenantMemory,
    tally: Tally,
    timers: Timers,
    runs: AtomicU64,
}

/// The scene's time, and another reader of lists.
#[derive(Debug)]
struct Rival {
    clock: SimulatedClock,
    store: OnceLock<MemoryStore>,
    reads: AtomicBool,
}

#[async_trait]
impl Weather for Rival {
    fn now_ms(&self) -> i64 {
        Clock::now_ms(&self.clock)
    }

    async fn before(&self, call: &'static str) -> Fate {
        if call == "store.put_reference"
            && self.reads.load(Ordering::SeqCst)
            && let Some(store) = self.store.get()
        {
            let (pk, sk) = (keys::of_binding("b"), keys::reference("accounts"));
            let there: ReferenceRow = store.peek(&pk, &sk).unwrap_or_default();
            let revision = there.revision.saturating_add(1);
            let list = "accounts".to_owned();
            store.put(ReferenceRow { pk, sk, v: ROW_VERSION, list, revision, ..there });
        }
        Fate::Fair
    }
}

#[async_trait]
impl BookTokens for Scene {
    async fn token_for(&self, binding: &BindingRow) -> Result<Option<SecretString>, Fault> {
        StoredTokens { store: &self.store, vault: &self.vault }.token_for(binding).await
    }
}

impl Scene {
    pub(crate) async fn open(spoken: Spoken) -> anyhow::Result<Self> {
        let clock = SimulatedClock::standing_at(MORNING_MS);
        let seconds = clock.clone();
        let world_clock = WorldClock::from_function(move || seconds.now_ms().div_euclid(1_000));
        let shop = Shop::start(ShopOptions { clock: world_clock.clone(), ..ShopOptions::default() }).await?;
        shop.pair_directly("t", API_KEY, "http://127.0.0.1:9");
        let rule =
            |(rate, code): (&str, &str)| TaxRuleV1 { rate: rate.to_owned(), country: None, code: code.to_owned() };
        let usual = SettingsV1 {
            time_zone: "Europe/London".to_owned(),
            book_currency: "GBP".to_owned(),
            invoice_number_prefix: Some("MAG-".to_owned()),
            ..SettingsV1::default()
        };
        let (book, base_url, book_id, dialect, settings) = match spoken {
            Spoken::V2 | Spoken::Freeagent => {
                let (house, id, dialect) = if spoken == Spoken::V2 {
                    (House::V2, "xero:1", "v2")
                } else {
                    (House::Freeagent, "freeagent:1", "freeagent")
                };
                let options = BookOptions { clock: world_clock, house, ..BookOptions::default() };
                let book = Book::start(options).await?;
                let settings = SettingsV1 {
                    sales_tax_rates: ["20", "5", "0"].map(str::to_owned).to_vec(),
                    income_category: book.url_of("categories", "001"),
                    shipping_category: book.url_of("categories", "002"),
                    payment_methods: [("stripe_payments".to_owned(), Some(book.url_of("bank_accounts", "1")))].into(),
                    ..usual
                };
                let url = book.url();
                (AnyBook::Family(book), url, id.to_owned(), dialect, settings)
            }
            Spoken::Accounting => {
                let options = AccountingOptions { clock: world_clock, ..AccountingOptions::default() };
                let book = AccountingBook::start(options).await?;
                let taxes = [("20", "OUTPUT2"), ("5", "RROUTPUT"), ("0", "ZERORATEDOUTPUT")];
                let settings = SettingsV1 {
                    tax_map: taxes.map(rule).to_vec(),
                    default_tax_code: Some("NONE".to_owned()),
                    income_category: "200".to_owned(),
                    shipping_category: "205".to_owned(),
                    gift_card_category: Some("825".to_owned()),
                    purchase_category: Some("310".to_owned()),
                    payment_methods: [("stripe_payments".to_owned(), Some("091".to_owned()))].into(),
                    bank_account_currencies: [("092".to_owned(), "EUR".to_owned())].into(),
                    ..usual
                };
                let (url, id) = (book.url(), format!("xero:{}", book.tenant()));
                (AnyBook::Accounting(book), url, id, "accounting", settings)
            }
            Spoken::Sage => {
                let book = SageBook::start(SageOptions { clock: world_clock, ..SageOptions::default() }).await?;
                let taxes = [("20", "GB_STANDARD"), ("5", "GB_LOWER"), ("0", "GB_ZERO")];
                let settings = SettingsV1 {
                    tax_map: taxes.map(rule).to_vec(),
                    income_category: ledger_account(4_000),
                    shipping_category: ledger_account(4_910),
                    purchase_category: Some(ledger_account(5_000)),
                    default_bank_account: Some(bank_account(1_200)),
                    ..usual
                };
                let (url, id) = (book.url(), format!("sage_accounting:{}", book.business()));
                (AnyBook::Sage(book), url, id, "sage", settings)
            }
        };
        let rival = Arc::new(Rival { clock: clock.clone(), store: OnceLock::new(), reads: AtomicBool::new(false) });
        let weather: Arc<dyn Weather> = Arc::<Rival>::clone(&rival);
        let store = MemoryStore::new(Arc::clone(&weather));
        let _first = rival.store.set(store.clone());
        let vault = MemoryVault::new(weather);
        store.put(TenantRow {
            pk: keys::tenant("t"),
            sk: keys::TENANT.to_owned(),
            v: ROW_VERSION,
            tenant: "t".to_owned(),
            shop_url: shop.url(),
            status: "connected".to_owned(),
            current_key: Some(vault.sealed(API_KEY, 1, &api_key_context("t"))?),
            ..TenantRow::default()
        });
        let provider = book_id.split(':').next().unwrap_or_default().to_owned();
        store.put(BindingRow {
            pk: keys::tenant("t"),
            sk: keys::binding("b"),
            v: ROW_VERSION,
            binding: "b".to_owned(),
            tenant: "t".to_owned(),
            provider,
            dialect: dialect.to_owned(),
            status: "active".to_owned(),
            book: book_id,
            base_url,
            settings: settings.clone(),
            settings_version: 1,
            connected_at: MORNING_MS,
            ..BindingRow::default()
        });
        store.put(TokenRow {
            pk: keys::of_binding("b"),
            sk: keys::TOKEN.to_owned(),
            v: ROW_VERSION,
            access: vault.sealed(TOKEN, 1, &access_token_context("b"))?,
            version: 1,
            ..TokenRow::default()
        });
        store.put(SettingsRow {
            pk: keys::of_binding("b"),
            sk: keys::settings(1),
            v: ROW_VERSION,
            settings,
            version: 1,
            ..SettingsRow::default()
        });
        let http = Http::new(&HttpConfig { allow_private_addresses: true, ..HttpConfig::default() })?;
        let scene = Self {
            book,
            shop,
            store,
            vault,
            rival,
            queue: TripQueue::new(clock.clone(), Arc::new(Trip::default())),
            chance: SeededChance::new(7),
            to_shop: http.shop(),
            to_book: Way {
                inner: http.book(),
                clock: clock.clone(),
                takes_ms: AtomicI64::new(0),
                adds: Mutex::new(None),
            },
            clock,
            memory: TenantMemory::default(),
            tally: Tally::default(),
            timers: Timers::default(),
            runs: AtomicU64::new(1),
        };
        // What is raised from here on is younger than the connection.
        scene.clock.advance(1_000);
        Ok(scene)
    }

    /// A moment so many milliseconds from now.
    pub(crate) fn later(&self, milliseconds: i64) -> i64 {
        self.clock.now_ms().saturating_add(milliseconds)
    }

    pub(crate) fn binding(&self) -> BindingRow {
        self.store.peek(&keys::tenant("t"), &keys::binding("b")).unwrap_or_default()
    }

    /// Changes the binding, past every check.
    pub(crate) fn binding_is(&self, change: impl FnOnce(&mut BindingRow)) {
        let mut binding = self.binding();
        change(&mut binding);
        self.store.put(binding);
    }

    /// Another reader of lists is always faster from here on, or there is none.
    pub(crate) fn has_rival(&self, reads: bool) {
        self.rival.reads.store(reads, Ordering::SeqCst);
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader {
            store: &self.store,
            vault: &self.vault,
            shop: &self.to_shop,
            book: &self.to_book,
            tokens: self,
            clock: &self.clock,
            chance: &self.chance,
            memory: &self.memory,
        }
    }

    pub(crate) fn configure(&self) -> Configure<'_> {
        Configure { store: &self.store, reader: self.reader() }
    }

    /// The book, where it is one of the v2 family.
    pub(crate) fn family(&self) -> anyhow::Result<&Book> {
        match &self.book {
            AnyBook::Family(book) => Ok(book),
            AnyBook::Accounting(_) | AnyBook::Sage(_) => anyhow::bail!("a book of another family"),
        }
    }

    fn log(&self) -> Vec<LogEntry> {
        match &self.book {
            AnyBook::Family(book) => book.log(),
            AnyBook::Accounting(book) => book.log(),
            AnyBook::Sage(book) => book.log(),
        }
    }

    pub(crate) fn fails(&self, fault: FaultSpec) {
        match &self.book {
            AnyBook::Family(book) => book.faults(fault),
            AnyBook::Accounting(book) => book.faults(fault),
            AnyBook::Sage(book) => book.faults(fault),
        }
    }

    /// How long each call to the book takes from here on.
    pub(crate) fn book_takes(&self, milliseconds: i64) {
        self.to_book.takes_ms.store(milliseconds, Ordering::SeqCst);
    }

    /// Sage's book has so many tax rates more.
    pub(crate) fn has_many_tax_rates(&self, many: u32) -> anyhow::Result<()> {
        let AnyBook::Sage(book) = &self.book else { anyhow::bail!("not Sage's") };
        let rate = |at: u32| json!({"id": format!("M{many}N{at}"), "name": format!("Rate {at}"), "percentage": "3"});
        book.seeds(&SageSeed { tax_rates: (0..many).map(rate).collect(), ..SageSeed::default() })?;
        Ok(())
    }

    pub(crate) fn has_shops_with_prefixes(&self, shops: &[(&str, &str, &str)]) {
        for (tenant, binding, prefix) in shops {
            self.store.put(BookBindingRow {
                pk: keys::book(&self.binding().book),
                sk: keys::binding_of(tenant, binding),
                v: ROW_VERSION,
                tenant: (*tenant).to_owned(),
                binding: (*binding).to_owned(),
                prefix: (*prefix).to_owned(),
            });
        }
    }

    /// The settings name this category, past every check.
    pub(crate) fn names_income_category(&self, category: &str) -> anyhow::Result<()> {
        let named = match (&self.book, category.split_once('/')) {
            (AnyBook::Family(book), Some((collection, code))) => book.url_of(collection, code),
            _ => category.to_owned(),
        };
        self.binding_is(|binding| binding.settings.income_category = named);
        Ok(())
    }

    /// Somebody adds a category of income right before lists are read.
    pub(crate) fn adds_category_when_lists_are_read(&self, code: &str) {
        if let AnyBook::Family(book) = &self.book {
            let adds = (book.clone(), code.to_owned());
            *self.to_book.adds.lock().unwrap_or_else(PoisonError::into_inner) = Some(adds);
        }
    }

    /// An invoice is raised and its run attempted, once.
    pub(crate) async fn attempts(&self, preset: &str) -> anyhow::Result<RunRow> {
        let invoice = self.shop.raises(preset)?;
        let run_id = format!("r-{}", self.runs.fetch_add(1, Ordering::SeqCst));
        let binding = self.binding();
        let run = RunRow {
            pk: keys::run(&run_id),
            sk: keys::RUN.to_owned(),
            v: ROW_VERSION,
            run_id,
            tenant: binding.tenant,
            binding: binding.binding,
            provider: binding.provider,
            book: binding.book,
            event: "invoice.created".to_owned(),
            magento_id: u64::try_from(invoice)?,
            website_id: 1,
            store_id: 1,
            generation: 1,
            dispatch: 1,
            ..RunRow::default()
        };
        self.attempts_again(&run).await
    }

    /// A run is attempted once more.
    pub(crate) async fn attempts_again(&self, run: &RunRow) -> anyhow::Result<RunRow> {
        let queued = RunRow { state: "queued".to_owned(), ..run.clone() };
        self.store.put(queued);
        let message = RunMessage {
            v: MESSAGE_VERSION,
            run_id: run.run_id.clone(),
            tenant: run.tenant.clone(),
            binding: run.binding.clone(),
            event: run.event.clone(),
            magento_id: run.magento_id,
            generation: run.generation,
            dispatch: run.dispatch,
            backfilled: false,
        };
        let post = Post {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            shop: &self.to_shop,
            book: &self.to_book,
            authorities: &NoProvider,
            clock: &self.clock,
            chance: &self.chance,
            memory: &self.memory,
            tally: &self.tally,
            timers: &self.timers,
        };
        let deadline = self.later(60_000);
        post.attempt(&Received { message: &message, book: &run.book, receive_count: 1, deadline }).await;
        self.store.peek(&run.pk, keys::RUN).context("the run is gone")
    }

    fn calls(&self, is_one: impl Fn(&LogEntry) -> bool) -> usize {
        self.log().iter().filter(|entry| is_one(entry)).count()
    }

    /// Creating calls for invoices.
    pub(crate) fn creates_of_invoices(&self) -> usize {
        self.calls(|it| it.is_write && (it.path.ends_with("/v2/invoices") || it.path.ends_with("/Invoices")))
    }

    /// Times that the list of accounts was asked for.
    pub(crate) fn readings_of_accounts(&self) -> usize {
        self.calls(|it| !it.is_write && (it.path.ends_with("/categories") || it.path.ends_with("/Accounts")))
    }

    /// Steps of the last attempt.
    pub(crate) fn steps(&self) -> Vec<StepRow> {
        let last = self.runs.load(Ordering::SeqCst).saturating_sub(1);
        let pk = keys::run(&format!("r-{last}"));
        let attempts = self.store.all::<AttemptRow>();
        attempts.iter().rfind(|it| it.pk == pk).map(|it| it.steps.clone()).unwrap_or_default()
    }

    /// Invoices in the book.
    pub(crate) fn invoices(&self) -> usize {
        let documents = match &self.book {
            AnyBook::Family(book) => return book.invoices().len(),
            AnyBook::Accounting(book) => book.documents(),
            AnyBook::Sage(book) => book.documents(),
        };
        documents["invoices"].as_array().map_or(0, Vec::len)
    }
}
