//! What to say to an accounting package, and what its answers mean. Never says it.
//!
//! Invariants: nothing here is async, performs I/O, reads a clock, sees a token or knows a host. A dialect is a reducer
//! over labelled replies: given a document and the replies so far it names the next step. Same arguments, same answer.

use ledger_domain::document::{Document, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::proof::Rounding;

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

/// A request without host, token or organisation: the transport adds those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Absolute path below the binding's base URL, beginning with `/`, no query.
    pub path: String,
    /// Query parameters in order, not yet encoded.
    pub query: Vec<(String, String)>,
    /// JSON body.
    pub body: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Seconds of `Retry-After`, where it was sent as seconds.
    pub retry_after_seconds: Option<u64>,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// The body's bytes.
    pub body: Vec<u8>,
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
    /// The document is in the book; only what follows its creation is left to do.
    Linked(Posted),
}

/// What the binding says that a dialect needs and a document does not carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Scheme, host, port and path under which the binding's documents live, without a trailing slash. An URL of a
    /// reply counts only below it.
    pub base_url: String,
}

/// What an accounting package can do. Constant data; the conformance suite holds every dialect to it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The dialect's name in bindings.
    pub name: &'static str,
    /// How the book computes totals.
    pub rounding: Rounding,
    /// Seconds after the last doubtful send from which "not found" is believed.
    pub settle_seconds: u64,
    /// Seconds after the first send within which the same bytes under the same key may simply be sent again.
    pub replay_seconds: u64,
    /// Takes an exchange rate only from its own currency.
    pub needs_own_exchange_rate: bool,
    /// Most lines of an invoice.
    pub lines_max: usize,
    /// Most calls a minute.
    pub calls_per_minute: u32,
}

/// One accounting package's way of speaking.
pub trait Dialect: Send + Sync {
    /// What it can do.
    fn profile(&self) -> &'static Profile;

    /// The next step in posting a document, given the replies so far. At most one [`Step::Create`] per reservation,
    /// none from [`Start::Linked`]. A reply that the step did not provide for is a fault by [`Dialect::classify`].
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
    /// adopted on our reference plus equal total, currency and contact, contacts on the equal e-mail address.
    ///
    /// # Errors
    /// A fault that ends the attempt; `reference_taken` where our reference is on something else.
    fn find(&self, document: &Document, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault>;

    /// What an answer means that no step provided for. `writes` is true for a create or a change: what is unknown
    /// then is doubtful, never success.
    fn classify(&self, reply: &Reply, writes: bool) -> Fault;
}

/// The dialects there are, by their name in bindings.
#[must_use]
pub fn dialect(name: &str) -> Option<&'static dyn Dialect> {
    match name {
        "v2" => Some(&v2::V2),
        _ => None,
    }
}
