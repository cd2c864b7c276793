//! What to say to an accounting package, and what its answers mean. Never says it.
//!
//! Invariants: nothing here is async, performs I/O, reads a clock, sees a token or knows a host. A dialect is a reducer
//! over labelled replies: given a document and the replies so far it names the next step. Same arguments, same answer.

use jiff::Timestamp;
use ledger_domain::book::BookRules;
use ledger_domain::document::{Balance, Document, Kind, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::identity::Provider;
use ledger_domain::reference::{Choice, Page, Purpose, Reference};
use rust_decimal::Decimal;

pub mod accounting;
pub mod sage;
pub mod v2;

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
}

impl Method {
    /// The method's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A request without host or token: the transport adds those, and `Accept`, `Content-Type` and `User-Agent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Absolute path below the binding's base URL, beginning with `/`, no query.
    pub path: String,
    /// Query parameters in order, not yet encoded.
    pub query: Vec<(String, String)>,
    /// Further headers of the provider's own: organisation, idempotency key. Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// JSON body.
    pub body: Option<String>,
}

impl Call {
    /// A question.
    #[must_use]
    pub const fn get(path: String) -> Self {
        Self { method: Method::Get, path, query: Vec::new(), headers: Vec::new(), body: None }
    }

    /// A request with a body.
    #[must_use]
    pub const fn send(method: Method, path: String, body: String) -> Self {
        Self { method, path, query: Vec::new(), headers: Vec::new(), body: Some(body) }
    }
}

/// Headers of an answer that a dialect may read, in lower case; the transport keeps no others.
pub const REPLY_HEADERS: [&str; 8] = [
    "link",
    "location",
    "www-authenticate",
    "x-business",
    "x-daylimit-remaining",
    "x-minlimit-remaining",
    "x-rate-limit-problem",
    "x-total-count",
];

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Seconds of `Retry-After`, where it was sent as seconds.
    pub retry_after_seconds: Option<u64>,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// Those of [`REPLY_HEADERS`] that were there, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer that a rehearsal reads: a success with a JSON body.
    #[must_use]
    pub fn rehearsed(body: &serde_json::Value) -> Self {
        Self { status: 200, body: body.to_string().into_bytes(), ..Self::default() }
    }

    /// A header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A reply with the label of the call it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The label.
    pub label: &'static str,
    /// The answer.
    pub reply: Reply,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<T> {
    /// Ask something; may be repeated at will.
    Read(&'static str, Call),
    /// Create the document: at most one per reservation, written down before it is sent.
    Create(&'static str, Call),
    /// Move a document that exists; may be repeated.
    Change(&'static str, Call),
    /// Ready.
    Done(T),
}

/// Where posting starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The document is not in the book.
    Fresh,
    /// The document is in the book; only what follows its creation is left to do: a transition, a total to be read.
    Linked(Posted),
    /// A contact or product is in the book, made by us, and the shop's version is newer: bring it up to date. No create.
    Outdated(Posted),
}

/// What the binding says that a dialect needs and a document does not carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Scheme, host, port and path under which the binding's documents live, without a trailing slash. An URL of a
    /// reply counts only below it.
    pub base_url: String,
    /// The organisation's id with the provider, as its requests name it.
    pub organisation: String,
    /// Key of the reservation's epoch, 32 hexadecimal digits: the same for every repetition of the same creating call,
    /// another for every other one. Empty where nothing is created.
    pub idempotency_key: String,
    /// ISO 3166-1 alpha-2 code of the organisation's country, where it is known.
    pub country: Option<String>,
    /// True where the organisation is registered for sales tax.
    pub sales_tax_registered: bool,
    /// What the index of the book's contacts knows of the address that is looked for: ids of contacts that have it, or had
    /// it. `None` where there is no index.
    pub contacts: Option<Vec<String>>,
    /// What the provider's web pages know the organisation by: Xero's short code, FreeAgent's subdomain.
    pub web_name: Option<String>,
}

/// How long a creating call may be repeated under its key instead of being looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The book knows no keys.
    Never,
    /// Seconds after the first send.
    Seconds(u64),
    /// Whenever.
    Always,
}

/// Whether a dialect posts a kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Yes,
    /// It does not, and this is why; shown in `docs/providers`.
    No(&'static str),
}

/// What an accounting package can do. Constant data; the conformance suite holds every dialect to it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The dialect's name in bindings.
    pub name: &'static str,
    /// The provider whose API it is.
    pub provider: Provider,
    /// What documents for this book have to keep to.
    pub rules: BookRules,
    /// Seconds after the last doubtful send from which "not found" is believed.
    pub settle_seconds: u64,
    /// How long the same bytes under the same key may simply be sent again.
    pub replay: Replay,
    /// Most calls a minute.
    pub calls_per_minute: u32,
    /// What it posts: an entry for each kind.
    pub documents: [(Kind, Support); 8],
    /// The reference data that it reads.
    pub references: &'static [Reference],
}

impl Profile {
    /// Whether it posts a kind of document.
    #[must_use]
    pub fn support(&self, kind: Kind) -> Support {
        self.documents
            .iter()
            .find(|(known, _)| *known == kind)
            .map_or(Support::No("This dialect does not say."), |(_, support)| *support)
    }

    /// True where it posts a kind of document.
    #[must_use]
    pub fn posts(&self, kind: Kind) -> bool {
        self.support(kind) == Support::Yes
    }
}

/// One accounting package's way of speaking.
pub trait Dialect: Send + Sync {
    /// What it can do.
    fn profile(&self) -> &'static Profile;

    /// The next step in posting a document, given the replies so far. At most one [`Step::Create`] per reservation,
    /// none from [`Start::Linked`] or [`Start::Outdated`]. After a definite refusal of a create a corrected one may
    /// follow. A reply that the step did not provide for is a fault by [`Dialect::classify`].
    ///
    /// # Errors
    /// A fault that ends the attempt.
    fn post(
        &self,
        document: &Document,
        context: &Context,
        start: &Start,
        seen: &[Labelled],
    ) -> Result<Step<Posted>, Fault>;

    /// The document that a successful answer to a creating call names, for the case that a later step fails; `None`
    /// where the answer does not name it readably, and for answers to other calls.
    fn created(&self, _document: &Document, _context: &Context, _answered: &Labelled) -> Option<Posted> {
        None
    }

    /// The next step in looking for a document that may have been created. Only [`Step::Read`]. Money documents are
    /// adopted on our reference plus equal total, currency and contact, contacts on our code or the equal e-mail
    /// address, products on the equal code.
    ///
    /// # Errors
    /// A fault that ends the attempt; `reference_taken` where our reference is on something else.
    fn find(&self, document: &Document, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault>;

    /// The next step in asking what is left of an invoice or a credit note. Only [`Step::Read`]; for other kinds a fault.
    ///
    /// # Errors
    /// A fault that ends the attempt.
    fn balance(
        &self,
        kind: Kind,
        provider_id: &str,
        context: &Context,
        seen: &[Labelled],
    ) -> Result<Step<Balance>, Fault>;

    /// The next step in asking how many of a product the book has in stock. Only [`Step::Read`]; `None` where it keeps
    /// no stock of it.
    ///
    /// # Errors
    /// A fault that ends the attempt.
    fn stock(
        &self,
        _provider_id: &str,
        _context: &Context,
        _seen: &[Labelled],
    ) -> Result<Step<Option<Decimal>>, Fault> {
        Ok(Step::Done(None))
    }

    /// The question for a page of reference data: the first, or the one that `cursor` of the page before names. `None`
    /// for what the provider does not have.
    fn page(&self, of: Reference, context: &Context, cursor: Option<&str>) -> Option<Call>;

    /// Reads the answer to [`Dialect::page`].
    ///
    /// # Errors
    /// A fault where it is none.
    fn read_page(&self, of: Reference, context: &Context, reply: &Reply) -> Result<Page, Fault>;

    /// The accounts that settings may name for a purpose; `None` where the lists do not show them.
    fn choice(&self, purpose: Purpose) -> Option<Choice> {
        Some(match purpose {
            Purpose::Lines | Purpose::Purchases => Choice::all(Reference::Accounts),
            Purpose::Payments => Choice::all(Reference::BankAccounts),
        })
    }

    /// The cursor of the first page of what has changed since a moment; `None` where the provider does not say.
    fn since(&self, _of: Reference, _moment: Timestamp) -> Option<String> {
        None
    }

    /// Where a person sees the document that an answer shows, where the answer says so itself: for a provider whose
    /// pages can't be reached by the id that its API gives. Only an address of the provider's own counts.
    fn web_address(&self, _reply: &Reply) -> Option<String> {
        None
    }

    /// An id of the shape that the book gives, made of `digest`, 64 hexadecimal digits in lower case. It stands for the id
    /// of a document that a rehearsal does not create, and is never sent.
    fn stand_in(&self, digest: &str) -> String;

    /// The answer of a book in which all goes well, to whatever is asked or written about a document with that stand-in
    /// for its id: what the steps of a rehearsal read instead of an answer, because nothing was sent.
    fn rehearsed(&self, document: &Document, context: &Context, stand_in: &str) -> Reply;

    /// The id of a document as rows have it, from what a person copies out of the book or its address; `None` where it
    /// has not the shape of one.
    fn provider_id(&self, kind: Kind, told: &str, context: &Context) -> Option<String>;

    /// Where a person sees a document in the provider's web pages; `None` where no address is known.
    fn link(&self, _kind: Kind, _provider_id: &str, _context: &Context) -> Option<String> {
        None
    }

    /// What an answer means that no step provided for. `writes` is true for a create or a change: what is unknown
    /// then is doubtful, never success.
    fn classify(&self, reply: &Reply, writes: bool) -> Fault;
}

/// Every dialect there is.
#[must_use]
pub fn dialects() -> [&'static dyn Dialect; 4] {
    [&v2::V2, &accounting::Accounting, &sage::Sage, &v2::FREEAGENT]
}

/// The dialect of a name in bindings.
#[must_use]
pub fn dialect(name: &str) -> Option<&'static dyn Dialect> {
    dialects().into_iter().find(|dialect| dialect.profile().name == name)
}
