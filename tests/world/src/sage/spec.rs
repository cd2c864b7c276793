//! How the book is set up, what it already holds, and what isn't known of the real one.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::book::{UnknownField, Verdict};
use crate::clock::Clock;

/// Which product the business has subscribed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// No foreign currency, no products, no allocations.
    Start,
    /// Everything but credit notes, perhaps.
    Standard,
    /// Everything.
    #[default]
    Plus,
}

/// How the book is opened.
#[derive(Clone, Debug)]
pub struct SageOptions {
    /// Where it listens; a free port of the loopback by default.
    pub listen: SocketAddr,
    /// Its clock: dates of creation, minutes of the limit, life of an idempotency id.
    pub clock: Clock,
    /// The business's id.
    pub business: String,
    /// The business's name.
    pub name: String,
    /// What the user is led to without `X-Business`; this business by default, another one is empty.
    pub lead_business: Option<String>,
    /// `GB` or `IE`.
    pub country: String,
    /// The business's currency.
    pub currency: String,
    /// Its subscription.
    pub edition: Edition,
    /// Whether the user behind the token has full access; an allocation needs it.
    pub full_access: bool,
    /// Whether other currencies may be used.
    pub multi_currency: bool,
    /// Whether the book takes its own rate where none is given.
    pub live_exchange_rates: bool,
    /// Whether rates of the countries of destination may be used.
    pub destination_vat: bool,
    /// Nothing may be dated on or before it, `2026-03-31`.
    pub year_end_lockdown_date: Option<String>,
    /// Nothing may be dated before it.
    pub accounts_start_date: Option<String>,
    /// The tokens it accepts.
    pub tokens: Vec<String>,
    /// How long each request takes at least, half before and half after its effect.
    pub latency_milliseconds: u64,
    /// How many requests a minute it takes before it answers 429; none means any number.
    pub requests_per_minute: Option<u32>,
    /// How many requests a day; none means any number.
    pub requests_per_day: Option<u32>,
    /// What isn't known of the real one.
    pub switches: SageSwitches,
}

impl SageOptions {
    /// The business of the defaults.
    pub const BUSINESS: &str = "5a6eb0515e5500000000000000000001";
    /// The other business that the user can see.
    pub const OTHER_BUSINESS: &str = "5a6eb0515e5500000000000000000002";
    /// Its name.
    pub const OTHER_NAME: &str = "Another Business Ltd";
}

impl Default for SageOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            clock: Clock::system(),
            business: Self::BUSINESS.to_owned(),
            name: "Example Trading Ltd".to_owned(),
            lead_business: None,
            country: "GB".to_owned(),
            currency: "GBP".to_owned(),
            edition: Edition::default(),
            full_access: true,
            multi_currency: true,
            live_exchange_rates: true,
            destination_vat: false,
            year_end_lockdown_date: None,
            accounts_start_date: Some("2020-04-01".to_owned()),
            tokens: vec!["book-token".to_owned()],
            latency_milliseconds: 0,
            requests_per_minute: None,
            requests_per_day: None,
            switches: SageSwitches::default(),
        }
    }
}

/// What `exchange_rate` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeRate {
    /// Units of the business's currency for one of the document's.
    #[default]
    BasePerForeign,
    /// Units of the document's currency for one of the business's.
    ForeignPerBase,
}

/// Which sign a credit note has in an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationSign {
    /// Invoices are positive, credit notes negative; together zero.
    #[default]
    CreditNegative,
    /// All are positive; both sides have the same sum.
    AllPositive,
}

/// Which sign a credit note has where it is paid back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundSign {
    /// Positive.
    #[default]
    Positive,
    /// Negative.
    Negative,
}

/// Whether a contact's address and person have to say of what type they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceTypes {
    /// They needn't.
    #[default]
    Optional,
    /// They have to, by words such as `ACCOUNTS`.
    Words,
    /// They have to, by the 32 digits that the lists of types name.
    Digits,
}

/// What an allocation calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationType {
    /// `CUSTOMER_ALLOCATION`
    #[default]
    CustomerAllocation,
    /// `SALES_ALLOCATION`
    SalesAllocation,
}

/// How the days of `from_date` and `to_date` are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListDates {
    /// As calendar dates or as moments.
    #[default]
    Either,
    /// As moments only, as they are described.
    Moments,
    /// As calendar dates only, as they are compared.
    Days,
}

/// The body of a 403.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForbiddenBody {
    /// A list of complaints, as of a 422.
    #[default]
    List,
    /// One complaint alone.
    Object,
    /// The sentence alone.
    Text,
    /// Nothing.
    Empty,
}

/// The body of a 429.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottledBody {
    /// A sentence.
    #[default]
    Text,
    /// A list of complaints, as of a 422.
    List,
    /// A page for people, of the gateway.
    Page,
    /// Nothing.
    Empty,
}

/// Behaviours that aren't known of the real one; the connector has to be right under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SageSwitches {
    /// What `exchange_rate` counts.
    pub exchange_rate: ExchangeRate,
    /// The sign of a credit note in an allocation.
    pub allocation_sign: AllocationSign,
    /// Days an idempotency id is remembered.
    pub idempotency_days: u32,
    /// A refusal is remembered under its idempotency id too.
    pub refusals_remembered: bool,
    /// 429 says when to come again.
    pub retry_after: bool,
    /// What Start doesn't have is 403; otherwise 422.
    pub start_forbids: bool,
    /// Start takes `currency_id` if it is the business's own; otherwise it takes none.
    pub start_takes_currency: bool,
    /// Standard has credit notes.
    pub credit_notes_on_standard: bool,
    /// The currency of a contact with documents can be changed.
    pub contact_currency_changeable: bool,
    /// `invoice_number` and `credit_note_number` can be set; otherwise they are ignored.
    pub numbers_settable: bool,
    /// Amounts are JSON numbers; otherwise text.
    pub amounts_as_numbers: bool,
    /// Whatever is wrong with a line, its description is required.
    pub umbrella_line_errors: bool,
    /// Outside the EU and the UK a line must be zero-rated; otherwise any rate of 0 % will do.
    pub only_zero_rated_outside_eu: bool,
    /// A document over zero is paid as soon as it is issued.
    pub zero_documents_are_paid: bool,
    /// Fields the book doesn't know.
    pub unknown_fields: UnknownField,
    /// The sign of a credit note that is paid back.
    pub refund_sign: RefundSign,
    /// What an allocation calls itself.
    pub allocation_type: AllocationType,
    /// Goods or services said of a line whose customer isn't in the European Union: accepted means ignored.
    pub supply_where_not_asked: Verdict,
    /// The types of a contact's address and person.
    pub place_types: PlaceTypes,
    /// A selling price has to name its type.
    pub price_types_required: bool,
    /// Products, services and stock items have codes of their own.
    pub item_codes_unique: bool,
    /// A list of contacts shows inactive ones where they aren't filtered out; otherwise it never does.
    pub lists_show_inactive: bool,
    /// A line of less than nothing.
    pub negative_lines: Verdict,
    /// A stock movement that takes away.
    pub negative_movements: Verdict,
    /// The days of filters by date.
    pub list_dates: ListDates,
    /// The body of a 403.
    pub forbidden_body: ForbiddenBody,
    /// The body of a 429.
    pub throttled_body: ThrottledBody,
    /// An `idempotency_id` has to have the version and the variant of a random GUID.
    pub idempotency_ids_random: bool,
}

impl Default for SageSwitches {
    fn default() -> Self {
        Self {
            exchange_rate: ExchangeRate::default(),
            allocation_sign: AllocationSign::default(),
            idempotency_days: 7,
            refusals_remembered: false,
            retry_after: true,
            start_forbids: true,
            start_takes_currency: false,
            credit_notes_on_standard: true,
            contact_currency_changeable: false,
            numbers_settable: false,
            amounts_as_numbers: false,
            umbrella_line_errors: false,
            only_zero_rated_outside_eu: true,
            zero_documents_are_paid: true,
            unknown_fields: UnknownField::default(),
            refund_sign: RefundSign::default(),
            allocation_type: AllocationType::default(),
            supply_where_not_asked: Verdict::Accepted,
            place_types: PlaceTypes::default(),
            price_types_required: false,
            item_codes_unique: true,
            lists_show_inactive: true,
            negative_lines: Verdict::Accepted,
            negative_movements: Verdict::Accepted,
            list_dates: ListDates::default(),
            forbidden_body: ForbiddenBody::default(),
            throttled_body: ThrottledBody::default(),
            idempotency_ids_random: false,
        }
    }
}

/// What somebody else has put into the book already, with the fields of the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SageSeed {
    /// Tax rates: `id`, `name`, `percentage`.
    pub tax_rates: Vec<Value>,
    /// Contacts; `is_active`, `gdpr_obfuscated` and `system` may be set too.
    pub contacts: Vec<Value>,
    /// Products.
    pub products: Vec<Value>,
    /// Services.
    pub services: Vec<Value>,
    /// Stock items.
    pub stock_items: Vec<Value>,
    /// Stock movements.
    pub stock_movements: Vec<Value>,
    /// Invoices; a missing `contact_id` becomes a stranger, missing dates and lines are made up.
    pub sales_invoices: Vec<Value>,
    /// Credit notes, like invoices.
    pub sales_credit_notes: Vec<Value>,
    /// Payments.
    pub contact_payments: Vec<Value>,
}
