//! What a merchant decides for a binding.

use crate::amount::Currency;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Days until an invoice is due where the binding names none (the v2 family's usual).
pub const PAYMENT_TERMS_IN_DAYS: u32 = 30;
/// How far a rounding line may reach per document, in hundredths of the currency's unit, where the binding names none.
pub const ROUNDING_LIMIT_HUNDREDTHS: i64 = 5;

/// Settings of one binding, one version of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The version, counted from 1.
    pub version: u32,
    /// Which documents go to the book at all.
    pub policy: Policy,
    /// IANA name of the book's time zone: dates in the book are calendar dates there.
    pub time_zone: String,
    /// Base currency of each website of the shop; a website that is not named has the book's.
    pub base_currencies: BTreeMap<u32, Currency>,
    /// The book's own currency.
    pub book_currency: Currency,
    /// The book's sales tax rates, in percent.
    pub sales_tax_rates: Vec<Decimal>,
    /// Income category of item lines.
    pub income_category: String,
    /// Income category of item lines by website, where it differs.
    pub income_categories: BTreeMap<u32, String>,
    /// Income category by the book's item type, for a SKU whose type a product sync has left behind.
    pub item_type_categories: BTreeMap<String, String>,
    /// Income category of the shipping line.
    pub shipping_category: String,
    /// Days until an invoice is due.
    pub payment_terms_in_days: u32,
    /// Put in front of the shop's increment id.
    pub number_prefix: String,
    /// The prefix of a previous service, under which older documents are looked for.
    pub previous_prefix: Option<String>,
    /// The most that a rounding line may carry, in the document's currency.
    pub rounding_limit: Decimal,
}

/// Which documents the merchant wants in the book.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Invoices whose state is open go too.
    pub sync_unpaid_invoices: bool,
    /// Invoices of nothing go too.
    pub sync_zero_value_invoices: bool,
    /// Nothing raised before this moment.
    pub sync_since: Option<Timestamp>,
    /// Only these websites; all where empty.
    pub website_filter: Vec<u32>,
    /// Only these stores; all where empty.
    pub store_filter: Vec<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            sync_unpaid_invoices: true,
            sync_zero_value_invoices: true,
            sync_since: None,
            website_filter: Vec::new(),
            store_filter: Vec::new(),
        }
    }
}

impl Settings {
    /// Category of an item line of a website, by the item type that the SKU is known to have.
    #[must_use]
    pub fn category_for(&self, website_id: u32, item_type: Option<&str>) -> &str {
        item_type
            .and_then(|item_type| self.item_type_categories.get(item_type))
            .or_else(|| self.income_categories.get(&website_id))
            .unwrap_or(&self.income_category)
    }

    /// Base currency of a website.
    #[must_use]
    pub fn base_currency(&self, website_id: u32) -> &Currency {
        self.base_currencies.get(&website_id).unwrap_or(&self.book_currency)
    }

    /// The calendar date of a moment in the book's time zone; `None` where the zone is unknown.
    #[must_use]
    pub fn date_of(&self, moment: Timestamp) -> Option<Date> {
        let zone = jiff::tz::TimeZone::get(&self.time_zone).ok()?;
        Some(zone.to_datetime(moment).date())
    }
}
