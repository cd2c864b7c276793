//! What tests and demo say to the book: how it is set up, what it already holds, what goes wrong.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::amount::Amount;
use crate::clock::Clock;

/// How a book is opened.
#[derive(Clone, Debug)]
pub struct BookOptions {
    /// Where it listens; a free port of the loopback by default.
    pub listen: SocketAddr,
    /// The address it calls itself by in its documents' URLs; the one it listens on by default.
    pub public_url: Option<String>,
    /// Its clock: dates of creation, minutes of the rate limit.
    pub clock: Clock,
    /// The company's name.
    pub company: String,
    /// The company's currency.
    pub currency: String,
    /// The company's sales tax rates in percent; the first is the standard rate.
    pub sales_tax_rates: Vec<String>,
    /// The tokens it accepts.
    pub tokens: Vec<String>,
    /// How long each request takes at least, half before and half after its effect.
    pub latency_milliseconds: u64,
    /// How many requests a minute it takes before it answers 429; none means any number.
    pub requests_per_minute: Option<u32>,
    /// What isn't known of the real one.
    pub switches: Switches,
}

impl Default for BookOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            clock: Clock::system(),
            company: "Example Trading Ltd".to_owned(),
            currency: "GBP".to_owned(),
            sales_tax_rates: ["20.0", "5.0", "0.0"].map(str::to_owned).to_vec(),
            tokens: vec!["book-token".to_owned()],
            latency_milliseconds: 0,
            requests_per_minute: None,
            switches: Switches::default(),
        }
    }
}

/// Where tax is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxRounding {
    /// On each line.
    #[default]
    Line,
    /// On the sum of each rate.
    Document,
}

/// What happens to an invoice in a foreign currency without a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingRate {
    /// The book takes its own rate of the day.
    #[default]
    OwnRate,
    /// 422.
    Refused,
}

/// What happens to a field the book doesn't know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownField {
    /// Nothing, except that the log names it.
    #[default]
    Ignored,
    /// 422.
    Refused,
}

/// Behaviours that aren't known of the real one; the connector has to be right under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Decimals a unit price is rounded to: 2 or 4.
    pub unit_price_decimals: u32,
    /// Where tax is rounded.
    pub tax_rounding: TaxRounding,
    /// A foreign currency without a rate.
    pub missing_rate: MissingRate,
    /// A second invoice with a known reference is 422.
    pub unique_references: bool,
    /// Searching by e-mail finds hidden contacts too.
    pub email_search_finds_hidden: bool,
    /// A hidden contact keeps its e-mail address taken.
    pub hidden_contacts_keep_email: bool,
    /// Fields the book doesn't know.
    pub unknown_fields: UnknownField,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            unit_price_decimals: 2,
            tax_rounding: TaxRounding::default(),
            missing_rate: MissingRate::default(),
            unique_references: true,
            email_search_finds_hidden: true,
            hidden_contacts_keep_email: true,
            unknown_fields: UnknownField::default(),
        }
    }
}

/// What somebody else has put into the book already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Contacts, with the fields of the API; `status` may be `Hidden`.
    pub contacts: Vec<Value>,
    /// Invoices, with the fields of the API; a missing `contact` becomes a stranger, missing dates and terms are made up.
    pub invoices: Vec<Value>,
    /// Price list items.
    pub price_list_items: Vec<Value>,
}

/// What happens to a request instead of, or besides, being obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum BookFault {
    /// 429 in plain text.
    RateLimited {
        /// `Retry-After` in seconds, if any.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Any answer; a page for people unless a body is given.
    Answer {
        /// The status.
        status: u16,
        /// The body.
        #[serde(default)]
        body: Option<String>,
        /// The body's type; `text/html` by default.
        #[serde(default)]
        content_type: Option<String>,
        /// Whether the request is obeyed all the same.
        #[serde(default)]
        apply: bool,
    },
    /// The connection is closed without a word.
    HangUp {
        /// Whether the request is obeyed all the same.
        #[serde(default)]
        apply: bool,
    },
    /// The usual answer, late.
    Slow {
        /// How late.
        milliseconds: u64,
        /// Whether the effect comes before the wait.
        #[serde(default)]
        apply_first: bool,
    },
    /// The reply is lost now, and the effect comes later.
    Late {
        /// After that many further requests; none means when it is released.
        #[serde(default)]
        after_requests: Option<u32>,
        /// A status to answer with; none means the connection is closed.
        #[serde(default)]
        status: Option<u16>,
    },
    /// Obeyed, but the total is off by that much.
    WrongTotal {
        /// How much.
        by: Amount,
    },
    /// 401.
    Unauthorized,
    /// 422 with one error, whatever the request says.
    Refused {
        /// The field.
        field: String,
        /// What is wrong with it, without the field's name.
        message: String,
    },
    /// 200 with errors inside; not obeyed.
    ErrorInside,
    /// A success with a body that breaks off.
    Garbage {
        /// Whether the request is obeyed all the same.
        #[serde(default)]
        apply: bool,
    },
    /// A success with a body of that size.
    Huge {
        /// How many bytes.
        bytes: usize,
        /// Whether the request is obeyed all the same.
        #[serde(default)]
        apply: bool,
    },
}

impl BookFault {
    /// A page for people with that status, the request obeyed or not.
    #[must_use]
    pub fn page(status: u16, apply: bool) -> Self {
        Self::Answer { status, body: None, content_type: None, apply }
    }

    /// Its name, as in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Answer { .. } => "answer",
            Self::HangUp { .. } => "hang_up",
            Self::Slow { .. } => "slow",
            Self::Late { .. } => "late",
            Self::WrongTotal { .. } => "wrong_total",
            Self::Unauthorized => "unauthorized",
            Self::Refused { .. } => "refused",
            Self::ErrorInside => "error_inside",
            Self::Garbage { .. } => "garbage",
            Self::Huge { .. } => "huge",
        }
    }
}

/// A fault for the next requests that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultSpec {
    /// `GET`, `POST`, `PUT`; none means any.
    #[serde(default)]
    pub method: Option<String>,
    /// What the path begins with, e.g. `/v2/invoices`.
    #[serde(default)]
    pub path: String,
    /// How many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// For how many requests; 1 by default.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    #[serde(flatten)]
    pub fault: BookFault,
}

fn once() -> u32 {
    1
}

impl FaultSpec {
    /// For the next `times` requests of that method to paths that begin so.
    #[must_use]
    pub fn on(method: &str, path: &str, times: u32, fault: BookFault) -> Self {
        Self { method: Some(method.to_owned()), path: path.to_owned(), skip: 0, times, fault }
    }

    /// Only after that many matching requests have passed.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}
