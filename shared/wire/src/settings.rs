//! A binding's settings as JSON. Our own configuration: an unknown field is an error, not a guess.

use ledger_domain::amount::Currency;
use ledger_domain::settings::{PAYMENT_TERMS_IN_DAYS, Policy, ROUNDING_LIMIT_HUNDREDTHS, Settings};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Longest payment term, in days.
pub const PAYMENT_TERMS_MAX_DAYS: u32 = 365;
/// Longest number prefix, in characters.
pub const NUMBER_PREFIX_MAX: usize = 20;

/// Settings, version 1 of the shape.
///
/// `{"time_zone":"Europe/London","book_currency":"GBP","sales_tax_rates":["20","5","0"],
///   "income_category":"https://…/categories/001","shipping_category":"https://…/categories/002"}` is the least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsV1 {
    /// IANA time zone of the book.
    pub time_zone: String,
    /// ISO 4217 code of the book's currency.
    pub book_currency: String,
    /// Percent, as decimal text.
    pub sales_tax_rates: Vec<String>,
    /// Income category of item lines, as the book names it.
    pub income_category: String,
    /// Income category of the shipping line.
    pub shipping_category: String,
    /// Income category by website id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub income_categories: BTreeMap<u32, String>,
    /// Income category by the book's item type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub item_type_categories: BTreeMap<String, String>,
    /// Base currency by website id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub base_currencies: BTreeMap<u32, String>,
    /// Days until an invoice is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_terms_in_days: Option<u32>,
    /// Put in front of the shop's increment id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_number_prefix: Option<String>,
    /// Prefix of a previous service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_prefix: Option<String>,
    /// Decimal text in the document's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding_limit: Option<String>,
    /// Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_unpaid_invoices: Option<bool>,
    /// Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_zero_value_invoices: Option<bool>,
    /// ISO 8601 date or moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_since: Option<String>,
    /// Website ids; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub website_filter: Vec<u32>,
    /// Store ids; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub store_filter: Vec<u32>,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {code}")]
pub struct SettingError {
    /// The field.
    pub field: &'static str,
    /// `invalid_format` or `OUT_OF_RANGE`.
    pub code: &'static str,
}

fn invalid(field: &'static str) -> SettingError {
    SettingError { field, code: "invalid_format" }
}

fn out_of_range(field: &'static str) -> SettingError {
    SettingError { field, code: "OUT_OF_RANGE" }
}

impl SettingsV1 {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn read(&self, version: u32) -> Result<Settings, SettingError> {
        let zone = jiff::tz::TimeZone::get(&self.time_zone).map_err(|_| invalid("time_zone"))?;
        let since = match &self.sync_since {
            None => None,
            Some(text) => Some(moment(text, &zone).ok_or_else(|| invalid("sync_since"))?),
        };
        let currency = |field, text: &str| Currency::parse(text).map_err(|_| invalid(field));
        let rates = self
            .sales_tax_rates
            .iter()
            .map(|text| rate(text).ok_or_else(|| invalid("sales_tax_rates")))
            .collect::<Result<Vec<_>, _>>()?;
        if rates.is_empty() {
            return Err(invalid("sales_tax_rates"));
        }
        if self.income_category.is_empty() {
            return Err(invalid("income_category"));
        }
        if self.shipping_category.is_empty() {
            return Err(invalid("shipping_category"));
        }
        let terms = self.payment_terms_in_days.unwrap_or(PAYMENT_TERMS_IN_DAYS);
        if terms > PAYMENT_TERMS_MAX_DAYS {
            return Err(out_of_range("payment_terms_in_days"));
        }
        let prefix = self.invoice_number_prefix.clone().unwrap_or_default();
        if prefix.chars().count() > NUMBER_PREFIX_MAX || prefix.contains(['#', '\n']) {
            return Err(out_of_range("invoice_number_prefix"));
        }
        let rounding_limit = match &self.rounding_limit {
            None => Decimal::new(ROUNDING_LIMIT_HUNDREDTHS, 2),
            Some(text) => Decimal::from_str(text).map_err(|_| invalid("rounding_limit"))?,
        };
        if rounding_limit.is_sign_negative() || rounding_limit > Decimal::ONE {
            return Err(out_of_range("rounding_limit"));
        }
        let defaults = Policy::default();
        Ok(Settings {
            version,
            policy: Policy {
                sync_unpaid_invoices: self.sync_unpaid_invoices.unwrap_or(defaults.sync_unpaid_invoices),
                sync_zero_value_invoices: self.sync_zero_value_invoices.unwrap_or(defaults.sync_zero_value_invoices),
                sync_since: since,
                website_filter: self.website_filter.clone(),
                store_filter: self.store_filter.clone(),
            },
            time_zone: self.time_zone.clone(),
            base_currencies: self
                .base_currencies
                .iter()
                .map(|(website, text)| Ok((*website, currency("base_currencies", text)?)))
                .collect::<Result<_, _>>()?,
            book_currency: currency("book_currency", &self.book_currency)?,
            sales_tax_rates: rates,
            income_category: self.income_category.clone(),
            income_categories: self.income_categories.clone(),
            item_type_categories: self.item_type_categories.clone(),
            shipping_category: self.shipping_category.clone(),
            payment_terms_in_days: terms,
            number_prefix: prefix,
            previous_prefix: self.previous_prefix.clone(),
            rounding_limit,
        })
    }
}

fn rate(text: &str) -> Option<Decimal> {
    let rate = Decimal::from_str(text).ok()?;
    (!rate.is_sign_negative() && rate <= Decimal::ONE_HUNDRED).then(|| rate.normalize())
}

fn moment(text: &str, zone: &jiff::tz::TimeZone) -> Option<jiff::Timestamp> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(moment);
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    Some(date.to_zoned(zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least() -> SettingsV1 {
        SettingsV1 {
            time_zone: "Europe/London".to_owned(),
            book_currency: "GBP".to_owned(),
            sales_tax_rates: vec!["20.0".to_owned(), "5".to_owned(), "0".to_owned()],
            income_category: "https://book.example/v2/categories/001".to_owned(),
            shipping_category: "https://book.example/v2/categories/002".to_owned(),
            ..SettingsV1::default()
        }
    }

    #[test]
    fn the_least_settings_have_the_usual_defaults() {
        let settings = least().read(3).unwrap();
        assert_eq!(settings.version, 3);
        assert_eq!(settings.payment_terms_in_days, 30);
        assert!(settings.policy.sync_unpaid_invoices && settings.policy.sync_zero_value_invoices);
        assert_eq!(settings.rounding_limit, Decimal::new(5, 2));
    }

    #[test]
    fn a_bad_setting_is_named() {
        type Edit = fn(&mut SettingsV1);
        let check = |edit: Edit, expected: &str| {
            let mut settings = least();
            edit(&mut settings);
            assert_eq!(settings.read(1).unwrap_err().to_string(), expected);
        };
        check(|it| it.time_zone = "Mars/Base".to_owned(), "time_zone: invalid_format");
        check(|it| it.time_zone = String::new(), "time_zone: invalid_format");
        check(|it| it.book_currency = "pounds".to_owned(), "book_currency: invalid_format");
        check(|it| it.sales_tax_rates = vec![], "sales_tax_rates: invalid_format");
        check(|it| it.sales_tax_rates = vec!["-1".to_owned()], "sales_tax_rates: invalid_format");
        check(|it| it.payment_terms_in_days = Some(400), "payment_terms_in_days: OUT_OF_RANGE");
        check(|it| it.invoice_number_prefix = Some("x".repeat(21)), "invoice_number_prefix: OUT_OF_RANGE");
        check(|it| it.sync_since = Some("soon".to_owned()), "sync_since: invalid_format");
        check(|it| it.rounding_limit = Some("2".to_owned()), "rounding_limit: OUT_OF_RANGE");
        check(|it| it.income_category = String::new(), "income_category: invalid_format");
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let mut json = serde_json::to_value(least()).unwrap();
        json["sync_unpaid_invoice"] = true.into();
        assert!(serde_json::from_value::<SettingsV1>(json).is_err());
    }
}
