//! How the book is set up, what it already holds, and what isn't known of the real one.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::book::UnknownField;
use crate::clock::Clock;

/// How the book is opened.
#[derive(Clone, Debug)]
pub struct AccountingOptions {
    /// Where it listens; a free port of the loopback by default.
    pub listen: SocketAddr,
    /// Its clock: dates of creation, minutes and days of the limits, life of an idempotency key.
    pub clock: Clock,
    /// The organisation's name.
    pub organisation: String,
    /// The tenant's id.
    pub tenant: String,
    /// The organisation's currency.
    pub currency: String,
    /// The currencies it is subscribed to, besides its own.
    pub currencies: Vec<String>,
    /// The organisation's time zone, by which a missing date is today.
    pub time_zone: String,
    /// Nothing may be dated on or before it, `2026-03-31`.
    pub period_lock_date: Option<String>,
    /// The same for the end of the year.
    pub end_of_year_lock_date: Option<String>,
    /// The tokens it accepts.
    pub tokens: Vec<String>,
    /// How long each request takes at least, half before and half after its effect.
    pub latency_milliseconds: u64,
    /// How many requests a minute; the real one takes [`AccountingOptions::REAL_MINUTE_LIMIT`], none means any number.
    pub requests_per_minute: Option<u32>,
    /// How many requests a day; the real one takes [`AccountingOptions::REAL_DAY_LIMIT`], none means any number.
    pub requests_per_day: Option<u32>,
    /// How many requests at once; the real one takes [`AccountingOptions::REAL_CONCURRENT_LIMIT`], none means any number.
    pub requests_at_once: Option<u32>,
    /// What isn't known of the real one.
    pub switches: AccountingSwitches,
}

impl AccountingOptions {
    /// Requests a minute and tenant. Source: Xero API docs, rate limits.
    pub const REAL_MINUTE_LIMIT: u32 = 60;
    /// Requests a day and tenant, from the second tier on. Source: Xero API docs, rate limits.
    pub const REAL_DAY_LIMIT: u32 = 5_000;
    /// Requests under way at once for a tenant. Source: Xero API docs, rate limits.
    pub const REAL_CONCURRENT_LIMIT: u32 = 5;
    /// The tenant of the defaults.
    pub const TENANT: &str = "7f3c9a52-1d04-4b7e-9c11-0c5f6e2d8a10";
    /// Another tenant that the person who is known from the start reaches; it holds nothing.
    pub const OTHER_TENANT: &str = "2b9d1e77-6c40-4f0a-8d25-91e3b7c4a655";
    /// Its name.
    pub const OTHER_ORGANISATION: &str = "Another Trading Ltd";
}

impl Default for AccountingOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            clock: Clock::system(),
            organisation: "Example Trading Ltd".to_owned(),
            tenant: Self::TENANT.to_owned(),
            currency: "GBP".to_owned(),
            currencies: ["EUR", "USD"].map(str::to_owned).to_vec(),
            time_zone: "Europe/London".to_owned(),
            period_lock_date: None,
            end_of_year_lock_date: None,
            tokens: vec!["book-token".to_owned()],
            latency_milliseconds: 0,
            requests_per_minute: None,
            requests_per_day: None,
            requests_at_once: None,
            switches: AccountingSwitches::default(),
        }
    }
}

/// What `CurrencyRate` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurrencyRate {
    /// Units of the document's currency for one of the organisation's.
    #[default]
    DocumentPerBase,
    /// Units of the organisation's currency for one of the document's.
    BasePerDocument,
}

/// What a 404 looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotFoundBody {
    /// Plain text.
    #[default]
    Text,
    /// An object with a title and a status.
    Problem,
    /// Nothing.
    Empty,
}

/// What a 403 looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForbiddenBody {
    /// An object with a title and a status, as 401 is.
    #[default]
    Problem,
    /// Plain text.
    Text,
    /// Nothing.
    Empty,
}

/// What a 429 looks like, besides its headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottledBody {
    /// Nothing.
    #[default]
    Empty,
    /// Plain text.
    Text,
    /// An object with a title and a status, as 401 is.
    Problem,
}

/// Where half a penny below zero goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeHalf {
    /// −0.005 becomes −0.01.
    #[default]
    AwayFromZero,
    /// −0.005 becomes 0.00.
    Up,
}

/// What becomes of a contact's name with angle brackets in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OddName {
    /// 400.
    #[default]
    Refused,
    /// The brackets are dropped.
    Cleaned,
}

/// How a number that is taken already is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenNumber {
    /// In the words that are published of invoices and of contacts' names.
    #[default]
    Unique,
    /// By the field, which is in use.
    InUse,
}

/// How a quotation mark is written in a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotedBy {
    /// With a backslash before it.
    #[default]
    Backslash,
    /// Twice.
    Doubling,
}

/// How the tax of a rate with several components is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompoundTax {
    /// Once, by the effective rate.
    #[default]
    EffectiveRate,
    /// For each component.
    Components,
}

/// Under which name a payment shows the credit note that it pays back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaidBackAs {
    /// `CreditNote`
    #[default]
    CreditNote,
    /// `Invoice`, of the type `ACCRECCREDIT`
    Invoice,
}

/// Behaviours that aren't known of the real one; the connector has to be right under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountingSwitches {
    /// Without `summarizeErrors` a mistake is 400, as with `true`; otherwise as with `false`.
    pub summarizes_when_omitted: bool,
    /// With `summarizeErrors=true`, elements without mistakes are kept although the answer is 400.
    pub siblings_committed: bool,
    /// The number of a voided or deleted document may be used again.
    pub voided_numbers_reusable: bool,
    /// Invoices and credit notes share one range of numbers.
    pub shared_numbers: bool,
    /// An allocation needs a `Date`; otherwise it is ignored and the later of the two documents' dates holds.
    pub allocation_date_required: bool,
    /// A contact put under the name of another changes that one, instead of 400.
    pub put_contact_overwrites: bool,
    /// Names with angle brackets.
    pub odd_names: OddName,
    /// An item posted with a known `Code` and no id changes that one, instead of 400.
    pub post_item_matches_code: bool,
    /// `GET /Items/{Code}` finds.
    pub get_item_by_code: bool,
    /// The body of a 404.
    pub not_found: NotFoundBody,
    /// The body of a 403.
    pub forbidden_body: ForbiddenBody,
    /// The body of a 429.
    pub throttled_body: ThrottledBody,
    /// What `CurrencyRate` counts.
    pub currency_rate: CurrencyRate,
    /// Half pennies below zero.
    pub negative_half: NegativeHalf,
    /// A line may have `LineAmount` and `Quantity` alone.
    pub line_amount_alone: bool,
    /// A line may name the rounding account.
    pub rounding_account_takes_lines: bool,
    /// A payment may go to an account in a third currency.
    pub third_currency_payments: bool,
    /// A document can't be approved without a `DueDate`; otherwise it is due on its date.
    pub due_date_needed: bool,
    /// A `Total` that isn't the sum of the lines is 400; otherwise it is ignored.
    pub wrong_total_refused: bool,
    /// A document over zero is paid as soon as it is approved.
    pub zero_documents_are_paid: bool,
    /// Mistakes of a line are told at the line, instead of at the document.
    pub line_errors_nested: bool,
    /// An internal error is answered again under the same idempotency key.
    pub internal_errors_cached: bool,
    /// Fields the book doesn't know.
    pub unknown_fields: UnknownField,
    /// How the number of a contact or a credit note is refused that is taken already.
    pub taken_number: TakenNumber,
    /// How a quotation mark is written in a filter.
    pub quoted_by: QuotedBy,
    /// A country is letters alone; otherwise its name may have spaces.
    pub country_letters_alone: bool,
    /// Under which name a payment shows a credit note.
    pub paid_back_as: PaidBackAs,
    /// Rates with several components.
    pub compound_tax: CompoundTax,
    /// Two active contacts can't have one name.
    pub contact_names_unique: bool,
    /// A `searchTerm` of more than 50 characters is 400.
    pub long_terms_refused: bool,
}

impl Default for AccountingSwitches {
    fn default() -> Self {
        Self {
            summarizes_when_omitted: true,
            siblings_committed: false,
            voided_numbers_reusable: false,
            shared_numbers: false,
            allocation_date_required: true,
            put_contact_overwrites: false,
            odd_names: OddName::default(),
            post_item_matches_code: true,
            get_item_by_code: true,
            not_found: NotFoundBody::default(),
            forbidden_body: ForbiddenBody::default(),
            throttled_body: ThrottledBody::default(),
            currency_rate: CurrencyRate::default(),
            negative_half: NegativeHalf::default(),
            line_amount_alone: true,
            rounding_account_takes_lines: true,
            third_currency_payments: false,
            due_date_needed: true,
            wrong_total_refused: false,
            zero_documents_are_paid: true,
            line_errors_nested: false,
            internal_errors_cached: true,
            unknown_fields: UnknownField::default(),
            taken_number: TakenNumber::default(),
            quoted_by: QuotedBy::default(),
            country_letters_alone: false,
            paid_back_as: PaidBackAs::default(),
            compound_tax: CompoundTax::default(),
            contact_names_unique: true,
            long_terms_refused: false,
        }
    }
}

/// What somebody else has put into the book already, with the fields of the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountingSeed {
    /// Currencies it is subscribed to: codes.
    pub currencies: Vec<String>,
    /// Tax rates: `TaxType`, `Name`, `EffectiveRate`; they apply to revenue.
    pub tax_rates: Vec<Value>,
    /// Accounts: `Code`, `Name`, `Type`, and where it matters `TaxType`, `CurrencyCode`, `EnablePaymentsToAccount`, `Status`.
    pub accounts: Vec<Value>,
    /// Contacts; `ContactStatus` may be `ARCHIVED`.
    pub contacts: Vec<Value>,
    /// Items.
    pub items: Vec<Value>,
    /// Invoices; a missing `Contact` becomes a stranger, missing type, dates and status are made up.
    pub invoices: Vec<Value>,
    /// Credit notes, like invoices.
    pub credit_notes: Vec<Value>,
    /// Payments.
    pub payments: Vec<Value>,
}
