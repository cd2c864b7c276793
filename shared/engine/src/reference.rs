//! Reference data: what a book and a shop have that settings may name, read a page at a time and kept.
//!
//! A list is read into the place of the generation after the one that readers have, and becomes theirs with its last
//! page: nobody ever sees half of a new list. Whoever reads writes down after each page how far it came, so that the next
//! one goes on where time ran out. Every write names the revision that it saw: of two readers one is stopped.

use crate::executor::{CALL_MARGIN_MS, READ_TIMEOUT_MS};
use crate::ports::{Book, BookCall, Chance, Clock, PortFault, PortResult, References, Shop, TransportFault, Vault};
use crate::shop::{ShopAnswer, ShopPorts};
use crate::tenants::{TenantMemory, access_token_context, context_of};
use async_trait::async_trait;
use jiff::civil::Date;
use ledger_dialects::{Dialect, Profile};
use ledger_domain::amount::Currency;
use ledger_domain::code::Code;
use ledger_domain::fault::{Action, Fault};
use ledger_domain::reference::{Entry, Reference};
use ledger_wire::magento;
use ledger_wire::rows::{
    BindingRow, ROW_VERSION, ReferenceEntryV1, ReferencePageRow, ReferenceReadingRow, ReferenceRow, keys,
};
use rust_decimal::Decimal;
use secrecy::SecretString;
use std::collections::BTreeMap;

/// A list that is older is read again before it is used, in milliseconds (24 hours).
pub const FRESH_MS: i64 = 86_400_000;
/// After a post that was refused for an unknown code, a list that is younger than this is not read again, in milliseconds.
pub const REFUSED_FRESH_MS: i64 = 60_000;
/// What an attempt notes of a list that was read to its end: each of its pages was answered so.
pub const READ_STATUS: u16 = 200;
/// After a try that failed, a list is not read again by itself for so long, in milliseconds.
pub const FAILED_AGAIN_MS: i64 = 60_000;
/// A reading that was given up is gone on with for so long after its beginning, in milliseconds (an hour).
pub const READING_KEPT_MS: i64 = 3_600_000;
/// How long a reader has a list to itself after each page, in milliseconds: one call and one write.
pub const READER_MS: i64 = 30_000;
/// Most pages of a book that are read of one list.
pub const BOOK_PAGES_MAX: u32 = 200;
/// Most entries that are kept of one list.
pub const ENTRIES_MAX: u32 = 10_000;
/// Most bytes of entries in one row; DynamoDB takes 400 KB (DynamoDB developer guide, quotas: item size).
pub const ROW_BYTES_MAX: usize = 250_000;
/// Most rows that one page of a book fills: with the list's own row well below the 4 MB of a transaction.
pub const ROWS_OF_A_PAGE_MAX: usize = 12;
/// Longest id of an entry, in characters: what is longer can't be named in settings.
pub const ID_MAX: usize = ledger_wire::settings::TEXT_MAX;
/// Longest name or group that is kept of an entry, in characters.
pub const NAME_MAX: usize = 200;
/// What an entry takes besides its texts, in bytes.
const ENTRY_BYTES: usize = 200;
/// Times that a list is read anew because another generation came to be meanwhile.
const LOOKS_MAX: u32 = 3;
/// The shop's getter (Byte8 module, `etc/webapi.xml`).
const PAYMENT_METHODS_PATH: &str = "/rest/V1/byte8/payment-methods";

/// A list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// One of the book's.
    Book(Reference),
    /// The shop's payment methods.
    PaymentMethods,
}

impl List {
    /// Every list that is kept. Contacts are people: they are looked up and not kept.
    pub const ALL: [Self; 6] = [
        Self::Book(Reference::Organisation),
        Self::Book(Reference::Accounts),
        Self::Book(Reference::TaxRates),
        Self::Book(Reference::BankAccounts),
        Self::Book(Reference::Currencies),
        Self::PaymentMethods,
    ];

    /// Its name in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Book(of) => of.as_str(),
            Self::PaymentMethods => "payment_methods",
        }
    }

    /// The list of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.as_str() == text)
    }

    /// The lists of a binding: what its book's dialect reads, and the shop's.
    #[must_use]
    pub fn of(profile: &Profile) -> Vec<Self> {
        let has = |list: &Self| match list {
            Self::Book(of) => profile.references.contains(of),
            Self::PaymentMethods => true,
        };
        Self::ALL.into_iter().filter(has).collect()
    }
}

/// Where the open access token of a binding comes from.
#[async_trait]
pub trait BookTokens: Send + Sync {
    /// The token; `None` where the binding has none.
    ///
    /// # Errors
    /// What keeps it from being had now.
    async fn token_for(&self, binding: &BindingRow) -> Result<Option<SecretString>, Fault>;
}

/// The token that the store has, as it is: nobody renews it.
pub struct StoredTokens<'a> {
    /// The store.
    pub store: &'a dyn References,
    /// The vault.
    pub vault: &'a dyn Vault,
}

#[async_trait]
impl BookTokens for StoredTokens<'_> {
    async fn token_for(&self, binding: &BindingRow) -> Result<Option<SecretString>, Fault> {
        let trouble = |fault: PortFault| Fault::later(Code::StoreUnavailable, None, fault.to_string());
        let Some(row) = self.store.grant_of(&binding.binding).await.map_err(trouble)? else { return Ok(None) };
        let context = access_token_context(&binding.binding);
        self.vault.open(&row.access, &context).await.map(Some).map_err(trouble)
    }
}

/// A token that is open already.
pub struct OpenToken<'a>(pub &'a SecretString);

#[async_trait]
impl BookTokens for OpenToken<'_> {
    async fn token_for(&self, _: &BindingRow) -> Result<Option<SecretString>, Fault> {
        Ok(Some(self.0.clone()))
    }
}

/// When a list is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now: somebody asked for it. What is under way is gone on with.
    Now,
    /// Where it is older than so many milliseconds, or not there; not right after a try that failed.
    OlderThan(i64),
}

/// What came of reading a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadList {
    /// It is complete, and as young as was asked for.
    Complete,
    /// Time ran out: the next one goes on.
    Unfinished,
    /// Somebody else is reading it.
    Busy,
    /// It was not read; the list before stays.
    Failed(Fault),
}

/// A list as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Since when, in milliseconds.
    pub read_at: i64,
    /// True where what is not in it may exist all the same.
    pub cut_off: bool,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// How old a list is, and what became of the latest try to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// The list.
    pub list: List,
    /// Since when it is known, in milliseconds; `None` where it is not.
    pub read_at: Option<i64>,
    /// How long that is ago, in seconds.
    pub age_seconds: Option<i64>,
    /// Its entries.
    pub count: u32,
    /// True where there were more than are kept.
    pub cut_off: bool,
    /// True while it is being read.
    pub reading: bool,
    /// Code of the fault that ended the latest try.
    pub fault: Option<String>,
}

/// What is known of a binding's lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReferenceData {
    /// Lists that are known.
    pub lists: BTreeMap<List, Known>,
    /// How old each of the binding's lists is, the unknown ones included.
    pub ages: Vec<Age>,
}

impl ReferenceData {
    /// A list, if it is known.
    #[must_use]
    pub fn list(&self, list: List) -> Option<&Known> {
        self.lists.get(&list)
    }

    /// The organisation, if it is known.
    #[must_use]
    pub fn organisation(&self) -> Option<&Entry> {
        self.list(List::Book(Reference::Organisation))?.entries.first()
    }
}

/// Reads lists and keeps them.
pub struct Reader<'a> {
    /// The store.
    pub store: &'a dyn References,
    /// The vault: the shop's key is sealed.
    pub vault: &'a dyn Vault,
    /// The shop.
    pub shop: &'a dyn Shop,
    /// The book.
    pub book: &'a dyn Book,
    /// Tokens for it.
    pub tokens: &'a dyn BookTokens,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// What this process remembers of tenants.
    pub memory: &'a TenantMemory,
}

/// A page of a list as it was answered.
struct Asked {
    entries: Vec<Entry>,
    next: Option<String>,
}

impl Reader<'_> {
    /// Reads those of a binding's lists that are named, one after another, until `deadline` in milliseconds. What has no
    /// book has the shop's list only.
    ///
    /// # Errors
    /// As the store.
    pub async fn read(
        &self,
        binding: &BindingRow,
        lists: &[List],
        when: When,
        deadline: i64,
    ) -> PortResult<Vec<(List, ReadList)>> {
        let mut token: Option<Result<Option<SecretString>, Fault>> = None;
        let mut read = Vec::new();
        for list in lists {
            read.push((*list, self.read_list(binding, *list, when, deadline, &mut token).await?));
        }
        Ok(read)
    }

    /// Reads every list of a binding that is due.
    ///
    /// # Errors
    /// As the store.
    pub async fn read_all(&self, binding: &BindingRow, when: When, deadline: i64) -> PortResult<Vec<(List, ReadList)>> {
        let lists = ledger_dialects::dialect(&binding.dialect).map(|dialect| List::of(dialect.profile()));
        self.read(binding, &lists.unwrap_or_else(|| vec![List::PaymentMethods]), when, deadline).await
    }

    async fn read_list(
        &self,
        binding: &BindingRow,
        list: List,
        when: When,
        deadline: i64,
        token: &mut Option<Result<Option<SecretString>, Fault>>,
    ) -> PortResult<ReadList> {
        let now = self.clock.now_ms();
        let seen = self.store.references(&binding.binding, &[list.as_str()]).await?.into_iter().next();
        let mut row = seen.unwrap_or_else(|| ReferenceRow {
            pk: keys::of_binding(&binding.binding),
            sk: keys::reference(list.as_str()),
            v: ROW_VERSION,
            list: list.as_str().to_owned(),
            ..ReferenceRow::default()
        });
        if let When::OlderThan(age) = when {
            if row.generation > 0 && now.saturating_sub(row.read_at) < age {
                return Ok(ReadList::Complete);
            }
            if row.fault_at.is_some_and(|at| now.saturating_sub(at) < FAILED_AGAIN_MS) {
                let code = row.fault.as_deref().and_then(Code::parse).unwrap_or(Code::BookUnavailable);
                return Ok(ReadList::Failed(Fault::later(code, None, "the list could not be read a moment ago")));
            }
        }
        let begun = row.reading.clone().filter(|reading| now.saturating_sub(reading.started_at) < READING_KEPT_MS);
        if begun.as_ref().is_some_and(|reading| reading.until > now) {
            return Ok(ReadList::Busy);
        }
        row.reading = Some(begun.unwrap_or_else(|| ReferenceReadingRow {
            generation: row.generation.saturating_add(1),
            started_at: now,
            ..ReferenceReadingRow::default()
        }));
        self.lease(&mut row);
        if !self.put(&mut row, &[]).await? {
            return Ok(ReadList::Busy);
        }
        loop {
            let Some(reading) = row.reading.clone() else { return Ok(ReadList::Complete) };
            let left = deadline.saturating_sub(self.clock.now_ms()).saturating_sub(CALL_MARGIN_MS);
            let timeout = u64::try_from(left).unwrap_or_default().min(READ_TIMEOUT_MS);
            if timeout == 0 {
                self.give_up(row, None).await?;
                return Ok(ReadList::Unfinished);
            }
            let answer = match list {
                List::Book(of) => self.ask_book(binding, of, reading.cursor.as_deref(), timeout, token).await,
                List::PaymentMethods => self.ask_shop(binding).await?,
            };
            let asked = match answer {
                Ok(asked) if asked.next.is_some() && asked.next == reading.cursor => {
                    Err(Fault::broken(Code::AnswerUnknown, "the list names the same page as its next one"))
                }
                answer => answer,
            };
            let asked = match asked {
                Ok(asked) => asked,
                Err(fault) => {
                    self.give_up(row, Some(fault.code)).await?;
                    return Ok(ReadList::Failed(fault));
                }
            };
            let pages = taken(&mut row, &reading, asked, list);
            self.lease(&mut row);
            if !self.put(&mut row, &pages).await? {
                return Ok(ReadList::Busy);
            }
        }
    }

    fn lease(&self, row: &mut ReferenceRow) {
        if let Some(reading) = &mut row.reading {
            reading.until = self.clock.now_ms().saturating_add(READER_MS);
        }
    }

    async fn put(&self, row: &mut ReferenceRow, pages: &[ReferencePageRow]) -> PortResult<bool> {
        row.revision = row.revision.saturating_add(1);
        self.store.put_reference(row, pages).await
    }

    /// Leaves the list to the next reader; a fault is noted with it.
    async fn give_up(&self, mut row: ReferenceRow, fault: Option<Code>) -> PortResult<()> {
        if let Some(reading) = &mut row.reading {
            reading.until = 0;
        }
        if let Some(code) = fault {
            row.fault = Some(code.as_str().to_owned());
            row.fault_at = Some(self.clock.now_ms());
        }
        // Who lost the list to another has nothing to leave.
        self.put(&mut row, &[]).await.map(|_| ())
    }

    async fn ask_book(
        &self,
        binding: &BindingRow,
        of: Reference,
        cursor: Option<&str>,
        timeout_ms: u64,
        token: &mut Option<Result<Option<SecretString>, Fault>>,
    ) -> Result<Asked, Fault> {
        let dialect = ledger_dialects::dialect(&binding.dialect)
            .ok_or_else(|| Fault::refused(Code::SettingsInvalid, "the binding's dialect is none that Ledger speaks"))?;
        if token.is_none() {
            *token = Some(self.tokens.token_for(binding).await);
        }
        let token = match token {
            Some(Ok(Some(token))) => token,
            Some(Err(fault)) => return Err(fault.clone()),
            Some(Ok(None)) | None => {
                return Err(Fault::new(Action::Reconnect, Code::NeedsReconnect, "the binding has no grant"));
            }
        };
        let context = context_of(binding);
        let call = dialect
            .page(of, &context, cursor)
            .ok_or_else(|| Fault::refused(Code::NotSupportedByBook, "the book has no such list"))?;
        let request = BookCall { base_url: &binding.base_url, token, call: &call, writes: false, timeout_ms };
        let reply = self.book.send(&request).await.map_err(|fault| match fault {
            TransportFault::AddressRefused(_) => {
                Fault::refused(Code::SettingsInvalid, "the book's address is not one that Ledger may speak to")
            }
            TransportFault::NotSent(_) | TransportFault::NoAnswer(_) => {
                Fault::later(Code::BookUnavailable, None, "the book did not answer")
            }
        })?;
        let page = dialect.read_page(of, &context, &reply)?;
        Ok(Asked { entries: page.entries, next: page.next })
    }

    async fn ask_shop(&self, binding: &BindingRow) -> PortResult<Result<Asked, Fault>> {
        let now = self.clock.now_ms();
        let Some(known) = self.memory.tenant(self.store, &binding.tenant, now).await? else {
            return Ok(Err(Fault::broken(Code::Unexpected, "the binding's tenant is gone")));
        };
        let ports = ShopPorts {
            shop: self.shop,
            vault: self.vault,
            clock: self.clock,
            chance: self.chance,
            memory: self.memory,
        };
        Ok(match ports.ask(self.store, &known, PAYMENT_METHODS_PATH, None).await? {
            ShopAnswer::Good(reply) => match magento::payment_methods(&reply.body) {
                Ok(methods) => Ok(Asked { entries: methods.into_iter().map(method).collect(), next: None }),
                Err(error) => Err(Fault::refused(
                    Code::ShopAnswerUnreadable,
                    format!("the shop's payment methods could not be read: {error}"),
                )),
            },
            ShopAnswer::Refuses => {
                Err(Fault::refused(Code::ShopUnauthorised, "the shop refuses our token; pair it again"))
            }
            ShopAnswer::Fault(fault) => Err(fault),
        })
    }

    /// What is known of those of a binding's lists that are named; nothing is read anew.
    ///
    /// # Errors
    /// As the store.
    pub async fn known(&self, binding: &str, lists: &[List]) -> PortResult<ReferenceData> {
        known(self.store, binding, lists, self.clock.now_ms()).await
    }
}

/// What is known of those of a binding's lists that are named, at `now` in milliseconds.
///
/// # Errors
/// As the store; unavailable where a list changes faster than it can be read.
pub async fn known(store: &dyn References, binding: &str, lists: &[List], now: i64) -> PortResult<ReferenceData> {
    let names: Vec<&str> = lists.iter().map(|list| list.as_str()).collect();
    for _ in 0..LOOKS_MAX {
        let rows = store.references(binding, &names).await?;
        if let Some(data) = gathered(store, binding, lists, &rows, now).await? {
            return Ok(data);
        }
    }
    Err(PortFault::Unavailable("a list of reference data changed while it was read".to_owned()))
}

/// The lists of these rows; `None` where one of them is of another generation by now.
async fn gathered(
    store: &dyn References,
    binding: &str,
    lists: &[List],
    rows: &[ReferenceRow],
    now: i64,
) -> PortResult<Option<ReferenceData>> {
    let mut data = ReferenceData::default();
    for list in lists {
        let row = rows.iter().find(|row| row.list == list.as_str());
        data.ages.push(age(*list, row, now));
        let Some(row) = row.filter(|row| row.generation > 0) else { continue };
        let pages = store.reference_pages(binding, list.as_str(), row.generation, row.pages).await?;
        let whole = u32::try_from(pages.len()) == Ok(row.pages);
        if !whole || pages.iter().any(|page| page.generation != row.generation) {
            return Ok(None);
        }
        let entries = pages.into_iter().flat_map(|page| page.entries).map(entry).collect();
        data.lists.insert(*list, Known { read_at: row.read_at, cut_off: row.cut_off, entries });
    }
    Ok(Some(data))
}

fn age(list: List, row: Option<&ReferenceRow>, now: i64) -> Age {
    let complete = row.filter(|row| row.generation > 0);
    Age {
        list,
        read_at: complete.map(|row| row.read_at),
        age_seconds: complete.map(|row| now.saturating_sub(row.read_at).max(0).div_euclid(1_000)),
        count: complete.map_or(0, |row| row.count),
        cut_off: complete.is_some_and(|row| row.cut_off),
        reading: row.is_some_and(|row| row.reading.as_ref().is_some_and(|reading| reading.until > now)),
        fault: row.and_then(|row| row.fault.clone()),
    }
}

/// Notes an answered page in the list's row, and makes the rows that keep it.
fn taken(row: &mut ReferenceRow, reading: &ReferenceReadingRow, asked: Asked, list: List) -> Vec<ReferencePageRow> {
    let mut reading = reading.clone();
    let mut cut_off = false;
    let mut pages: Vec<Vec<ReferenceEntryV1>> = Vec::new();
    let mut room = 0_usize;
    for entry in asked.entries.into_iter().filter_map(kept) {
        if reading.count >= ENTRIES_MAX {
            cut_off = true;
            break;
        }
        let bytes = size(&entry);
        if bytes > room {
            if pages.len() >= ROWS_OF_A_PAGE_MAX {
                cut_off = true;
                break;
            }
            pages.push(Vec::new());
            room = ROW_BYTES_MAX;
        }
        room = room.saturating_sub(bytes);
        reading.count = reading.count.saturating_add(1);
        if let Some(page) = pages.last_mut() {
            page.push(entry);
        }
    }
    let rows: Vec<ReferencePageRow> = pages
        .into_iter()
        .zip(reading.pages..)
        .map(|(entries, page)| ReferencePageRow {
            pk: row.pk.clone(),
            sk: keys::reference_page(list.as_str(), reading.generation, page),
            v: ROW_VERSION,
            generation: reading.generation,
            entries,
        })
        .collect();
    reading.pages = reading.pages.saturating_add(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    reading.asked = reading.asked.saturating_add(1);
    reading.cursor = asked.next;
    cut_off |= reading.asked >= BOOK_PAGES_MAX && reading.cursor.is_some();
    if reading.cursor.is_some() && !cut_off {
        row.reading = Some(reading);
        return rows;
    }
    row.generation = reading.generation;
    row.read_at = reading.started_at;
    row.pages = reading.pages;
    row.count = reading.count;
    row.cut_off = cut_off;
    row.reading = None;
    row.fault = None;
    row.fault_at = None;
    rows
}

/// An entry as it is kept; `None` for one that settings could not name.
fn kept(entry: Entry) -> Option<ReferenceEntryV1> {
    if entry.id.is_empty() || entry.id.chars().count() > ID_MAX {
        return None;
    }
    let short = |text: String| text.chars().take(NAME_MAX).collect::<String>();
    Some(ReferenceEntryV1 {
        id: entry.id,
        name: short(entry.name),
        active: entry.active,
        rate: entry.rate.map(|rate| rate.normalize().to_string()),
        currency: entry.currency.map(|currency| currency.as_str().to_owned()),
        country: entry.country,
        sales_tax_registered: entry.sales_tax_registered,
        locked_until: entry.locked_until.map(|date| date.to_string()),
        web_name: entry.web_name.map(short),
        group: entry.group.map(short),
    })
}

fn size(entry: &ReferenceEntryV1) -> usize {
    let texts = [&entry.rate, &entry.currency, &entry.country, &entry.locked_until, &entry.web_name, &entry.group];
    let texts = texts.into_iter().flatten().map(String::len);
    texts.fold(ENTRY_BYTES.saturating_add(entry.id.len()).saturating_add(entry.name.len()), usize::saturating_add)
}

fn entry(row: ReferenceEntryV1) -> Entry {
    Entry {
        id: row.id,
        name: row.name,
        active: row.active,
        rate: row.rate.and_then(|text| text.parse::<Decimal>().ok()),
        currency: row.currency.and_then(|code| Currency::parse(&code).ok()),
        email: None,
        country: row.country,
        sales_tax_registered: row.sales_tax_registered,
        locked_until: row.locked_until.and_then(|text| text.parse::<Date>().ok()),
        web_name: row.web_name,
        group: row.group,
    }
}

fn method(it: magento::PaymentMethod) -> Entry {
    Entry { name: it.label.unwrap_or_default(), id: it.code, active: it.is_active, ..Entry::default() }
}

/// Codes of a book's refusals, and the list that the unknown thing would be in.
const QUESTIONED: [(Code, Reference); 3] = [
    (Code::CategoryUnknown, Reference::Accounts),
    (Code::TaxRateUnmapped, Reference::TaxRates),
    (Code::SettingsInvalid, Reference::BankAccounts),
];

/// The list that may say more about a book's refusal: the code that it does not know may be there by now. `None` for
/// refusals of another kind, and for our own.
#[must_use]
pub fn list_in_question(fault: &Fault, dialect: &dyn Dialect) -> Option<List> {
    if fault.action != Action::Refused || fault.evidence.status.is_none() {
        return None;
    }
    let (_, of) = QUESTIONED.into_iter().find(|(code, _)| *code == fault.code)?;
    dialect.profile().references.contains(&of).then_some(List::Book(of))
}
