//! What tests and demo say to the book: how it is set up, what it already holds, what goes wrong.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Clock;

/// Requests a minute that the real one takes (`FreeAgent` API docs, introduction).
pub const REQUESTS_PER_MINUTE: u32 = 120;
/// Requests an hour that the real one takes (`FreeAgent` API docs, introduction).
pub const REQUESTS_PER_HOUR: u32 = 3_600;

/// Whose rules hold: the two dialects of one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum House {
    /// Invoices are open as created, e-mail addresses are unique and can be searched for, errors name their field.
    #[default]
    V2,
    /// Everything begins as a draft, contacts are neither unique nor searchable, errors are sentences alone.
    Freeagent,
}

/// Where the company is, as far as sales tax goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// England, Scotland or Wales.
    #[default]
    GreatBritain,
    /// Northern Ireland: goods are still sold within the European Union.
    NorthernIreland,
    /// Anywhere else.
    Elsewhere,
}

/// How a book is opened.
#[derive(Clone, Debug)]
pub struct BookOptions {
    /// Whose rules hold.
    pub house: House,
    /// Where it listens; a free port of the loopback by default.
    pub listen: SocketAddr,
    /// The address it calls itself by in its documents' URLs; the one it listens on by default.
    pub public_url: Option<String>,
    /// Its clock: dates of creation, minutes of the rate limit.
    pub clock: Clock,
    /// The company's name.
    pub company: String,
    /// Its number.
    pub company_id: u64,
    /// The company's currency.
    pub currency: String,
    /// The company's sales tax rates in percent; the first is the standard rate.
    pub sales_tax_rates: Vec<String>,
    /// Whether the company is registered for sales tax.
    pub sales_tax_registered: bool,
    /// Where it is.
    pub seat: Seat,
    /// The tokens it accepts.
    pub tokens: Vec<String>,
    /// What the user behind the tokens may do, 1 to 8: 4 reaches invoices, 6 banking.
    pub permission_level: u8,
    /// How long each request takes at least, half before and half after its effect.
    pub latency_milliseconds: u64,
    /// How many requests a minute it takes before it answers 429; none means any number.
    pub requests_per_minute: Option<u32>,
    /// The same for an hour.
    pub requests_per_hour: Option<u32>,
    /// What isn't known of the real one.
    pub switches: Switches,
}

impl Default for BookOptions {
    fn default() -> Self {
        Self {
            house: House::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            clock: Clock::system(),
            company: "Example Trading Ltd".to_owned(),
            company_id: 1,
            currency: "GBP".to_owned(),
            sales_tax_rates: ["20.0", "5.0", "0.0"].map(str::to_owned).to_vec(),
            sales_tax_registered: true,
            seat: Seat::default(),
            tokens: vec!["book-token".to_owned()],
            permission_level: 8,
            latency_milliseconds: 0,
            requests_per_minute: None,
            requests_per_hour: None,
            switches: Switches::default(),
        }
    }
}

impl BookOptions {
    /// A book with `FreeAgent`'s rules, without limits on the number of requests.
    #[must_use]
    pub fn freeagent() -> Self {
        Self { house: House::Freeagent, ..Self::default() }
    }

    /// With the limits of the real one: 120 requests a minute, 3,600 an hour (`FreeAgent` API docs, introduction).
    #[must_use]
    pub fn with_real_limits(mut self) -> Self {
        self.requests_per_minute = Some(REQUESTS_PER_MINUTE);
        self.requests_per_hour = Some(REQUESTS_PER_HOUR);
        self
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

/// Taken or not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// 422.
    #[default]
    Refused,
    /// Taken, as the switch says.
    Accepted,
}

/// What a reference that is taken already is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenWording {
    /// `reference has already been taken`
    #[default]
    Taken,
    /// `reference must be unique`
    Unique,
}

/// The shape of a 403.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForbiddenShape {
    /// `{"errors":{"error":{"message":"…"}}}`, as 401 and 404 are.
    #[default]
    Object,
    /// `{"errors":[{"message":"…"}]}`, as 422 is.
    List,
    /// The sentence alone, as 429 is.
    Text,
}

/// The shape of a 429.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottledShape {
    /// The sentence alone, as `FreeAgent` documents it.
    #[default]
    Text,
    /// `{"errors":{"error":{"message":"…"}}}`
    Object,
    /// Nothing.
    Empty,
}

/// What the book calls the countries whose names are spelled in two ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountryNames {
    /// Czech Republic, Netherlands, Slovakia.
    #[default]
    Usual,
    /// Czechia, The Netherlands, Slovak Republic.
    Other,
}

/// The sign of a credit note's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditNoteFigures {
    /// Negative, as its lines are.
    #[default]
    Negative,
    /// Positive.
    Positive,
}

/// How a tax rate is refused that the company doesn't have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownRateWording {
    /// `sales_tax_rate is not a sales tax rate of this company`
    #[default]
    NotOfCompany,
    /// `sales_tax_rate is invalid`
    Invalid,
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
    /// `v2` alone: credit notes begin as drafts, although invoices are open as created.
    pub credit_notes_begin_as_drafts: bool,
    /// A transition into the state the document is in already, e.g. `mark_as_sent` of a sent invoice.
    pub repeated_transitions: Verdict,
    /// A transition is answered with an empty body instead of the document.
    pub transitions_answer_nothing: bool,
    /// A document's body without its root element.
    pub bodies_without_root: Verdict,
    /// A receipt from an account in another currency than the invoice's, without `foreign_currency_value`: accepted
    /// means that the book converts at the invoice's rate.
    pub missing_foreign_value: Verdict,
    /// A reconciliation whose documents differ in currency: accepted means at par.
    pub reconciliations_across_currencies: Verdict,
    /// A reconciliation with a negative value: accepted means that its sign is ignored.
    pub negative_reconciliations: Verdict,
    /// `ec_status` in a company that reports no sales tax: accepted means that it is ignored.
    pub ec_status_without_registration: Verdict,
    /// A sales tax rate in a company that isn't registered: accepted means that nothing is charged.
    pub sales_tax_without_registration: Verdict,
    /// Lists of explanations show `receipt_reference`; without it only a single explanation does.
    pub explanation_lists_tell_references: bool,
    /// How a reference is refused that is taken already.
    pub taken_wording: TakenWording,
    /// The shape of a 403.
    pub forbidden_shape: ForbiddenShape,
    /// The shape of a 429.
    pub throttled_shape: ThrottledShape,
    /// Names of places of supply.
    pub country_names: CountryNames,
    /// Most entries of a page, whatever is asked for.
    pub most_per_page: usize,
    /// The sign of a credit note's figures.
    pub credit_note_figures: CreditNoteFigures,
    /// Most characters of a description or comment.
    pub longest_text: usize,
    /// How an unknown tax rate is refused.
    pub unknown_rate_wording: UnknownRateWording,
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
            credit_notes_begin_as_drafts: false,
            repeated_transitions: Verdict::Accepted,
            transitions_answer_nothing: false,
            bodies_without_root: Verdict::Refused,
            missing_foreign_value: Verdict::Refused,
            reconciliations_across_currencies: Verdict::Refused,
            negative_reconciliations: Verdict::Refused,
            ec_status_without_registration: Verdict::Refused,
            sales_tax_without_registration: Verdict::Refused,
            explanation_lists_tell_references: true,
            taken_wording: TakenWording::default(),
            forbidden_shape: ForbiddenShape::default(),
            throttled_shape: ThrottledShape::default(),
            country_names: CountryNames::default(),
            most_per_page: 100,
            credit_note_figures: CreditNoteFigures::default(),
            longest_text: 65_535,
            unknown_rate_wording: UnknownRateWording::default(),
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
    /// Credit notes; gaps are filled as for invoices.
    pub credit_notes: Vec<Value>,
    /// Price list items.
    pub price_list_items: Vec<Value>,
    /// Bank accounts, besides the three that are there.
    pub bank_accounts: Vec<Value>,
    /// What the bank's feed has brought: `bank_account`, `dated_on`, `amount`, `description`.
    pub bank_transactions: Vec<Value>,
    /// Money received or paid back by hand; `paid_invoice` may be a URL or a reference.
    pub bank_transaction_explanations: Vec<Value>,
}
