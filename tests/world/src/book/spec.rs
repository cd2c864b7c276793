//! What tests and demo say to the book: how it is set up, what it already holds, what goes wrong.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
