//! The executor's law without its memory: carries out what a dialect asks for against a book in this process.

use ledger_dialects::{Call, Context, Dialect, Labelled, REPLY_HEADERS, Reply, Start, Step};
use ledger_domain::document::{Balance, Document, Kind, Posted};
use ledger_domain::fault::{Action, Fault};
use ledger_world::server::{Answer, Request, percent_encoded};
use rust_decimal::Decimal;

/// Most steps of one document.
const STEPS_MAX: usize = 40;
/// Most creating calls of one document: a refused one may be followed by a corrected one.
const CREATES_MAX: usize = 3;

/// A book that answers in this process.
pub trait Stranger {
    /// Answers a request.
    fn answers(&self, request: &Request) -> Answer;
}

/// Why a document did not get there.
#[derive(Clone, Debug, PartialEq)]
pub enum Failed {
    /// The dialect said so.
    Fault(Box<Fault>),
    /// The dialect broke the law.
    Lawless(String),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => write!(formatter, "{fault} {:?}", fault.evidence),
            Self::Lawless(what) => write!(formatter, "lawless: {what}"),
        }
    }
}

impl std::error::Error for Failed {}

/// One dialect with its book.
pub struct Drive<'a> {
    /// The dialect.
    pub dialect: &'static dyn Dialect,
    /// The book.
    pub book: &'a dyn Stranger,
    /// The token that the book accepts.
    pub token: &'a str,
    /// What the binding says.
    pub context: Context,
}

impl Drive<'_> {
    /// Sends a call as the transport would.
    #[must_use]
    pub fn send(&self, call: &Call) -> Reply {
        let base_path = self.context.base_url.split("://").nth(1).and_then(|rest| rest.split_once('/'));
        let base_path = base_path.map(|(_, path)| format!("/{path}")).unwrap_or_default();
        let query: Vec<String> = call
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)))
            .collect();
        let mut headers = vec![
            ("authorization".to_owned(), format!("Bearer {}", self.token)),
            ("accept".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), "ledger".to_owned()),
        ];
        if call.body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        headers.extend(call.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let answer = self.book.answers(&Request {
            method: call.method.as_str().to_owned(),
            path: format!("{}{}", base_path.trim_end_matches('/'), call.path),
            query: query.join("&"),
            headers,
            body: call.body.clone().unwrap_or_default().into(),
        });
        let header = |name: &str| {
            answer.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        Reply {
            status: answer.status,
            retry_after_seconds: header("retry-after").and_then(|text| text.parse().ok()),
            request_id: header("x-request-id"),
            headers: REPLY_HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), header(name)?))).collect(),
            body: answer.body.to_vec(),
        }
    }

    /// Brings a document into the book.
    ///
    /// # Errors
    /// The dialect's fault, or that it broke the law.
    pub fn posts(&self, document: &Document, start: &Start, key: &str) -> Result<Posted, Failed> {
        let mut context = Context { idempotency_key: format!("{key:0>32}"), ..self.context.clone() };
        let mut seen: Vec<Labelled> = Vec::new();
        let mut creates = 0_usize;
        let mut created_by: Option<usize> = None;
        for _ in 0..STEPS_MAX {
            let step = self.dialect.post(document, &context, start, &seen)?;
            if step != self.dialect.post(document, &context, start, &seen)? {
                return Err(Failed::Lawless("the same arguments gave another step".to_owned()));
            }
            let (label, call) = match step {
                Step::Done(posted) => return Ok(posted),
                Step::Read(label, call) | Step::Change(label, call) => (label, call),
                Step::Create(label, call) => {
                    creates = creates.saturating_add(1);
                    // A corrected one may follow only where the one before was clearly refused.
                    let refused = created_by.is_none_or(|at| {
                        seen.get(at).is_some_and(|it| self.dialect.classify(&it.reply, true).action == Action::Refused)
                    });
                    created_by = Some(seen.len());
                    if *start != Start::Fresh || creates > CREATES_MAX || !refused {
                        return Err(Failed::Lawless(format!("a create too many: {label}")));
                    }
                    (label, call)
                }
            };
            self.names_no_token(label, &call)?;
            let creating = call.body.is_some();
            seen.push(Labelled { label, reply: self.send(&call) });
            if creating {
                // Another epoch has another key, as with the executor.
                context.idempotency_key = format!("{key}{creates}").chars().rev().take(32).collect::<String>();
                context.idempotency_key = format!("{:0>32}", context.idempotency_key);
            }
        }
        Err(Failed::Lawless("posting took too many steps".to_owned()))
    }

    /// Neither path nor query, header or body of a request has the token: the transport adds it.
    fn names_no_token(&self, label: &str, call: &Call) -> Result<(), Failed> {
        let text = format!("{call:?}");
        if text.contains(self.token) { Err(Failed::Lawless(format!("the token is in {label}"))) } else { Ok(()) }
    }

    /// Looks for a document.
    ///
    /// # Errors
    /// As [`Drive::posts`].
    pub fn finds(&self, document: &Document) -> Result<Option<Posted>, Failed> {
        self.asks(|seen| self.dialect.find(document, &self.context, seen))
    }

    /// Asks what is left of a document.
    ///
    /// # Errors
    /// As [`Drive::posts`].
    pub fn balance(&self, kind: Kind, provider_id: &str) -> Result<Balance, Failed> {
        self.asks(|seen| self.dialect.balance(kind, provider_id, &self.context, seen))
    }

    /// Asks how many of a product the book has.
    ///
    /// # Errors
    /// As [`Drive::posts`].
    pub fn stock(&self, provider_id: &str) -> Result<Option<Decimal>, Failed> {
        self.asks(|seen| self.dialect.stock(provider_id, &self.context, seen))
    }

    fn asks<T>(&self, next: impl Fn(&[Labelled]) -> Result<Step<T>, Fault>) -> Result<T, Failed> {
        let mut seen: Vec<Labelled> = Vec::new();
        for _ in 0..STEPS_MAX {
            match next(&seen)? {
                Step::Done(answer) => return Ok(answer),
                Step::Read(label, call) => {
                    self.names_no_token(label, &call)?;
                    seen.push(Labelled { label, reply: self.send(&call) });
                }
                Step::Create(label, _) | Step::Change(label, _) => {
                    return Err(Failed::Lawless(format!("asking wanted to write: {label}")));
                }
            }
        }
        Err(Failed::Lawless("asking took too many steps".to_owned()))
    }
}
