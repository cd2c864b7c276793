//! A binding's settings as JSON. Our own configuration: an unknown field is an error, not a guess.

pub mod check;
pub mod form;

use jiff::tz::TimeZone;
use ledger_domain::amount::Currency;
use ledger_domain::document::{DocumentStatus, Supply};
use ledger_domain::identity::normalised_email;
use ledger_domain::settings::{
    CONSOLIDATION_REFERENCE_MAX, Consolidation, NamePriority, Override, Policy, ROUNDING_LIMIT_HUNDREDTHS, Settings,
    TaxRule, usual_item_types,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// Longest payment term, in days.
pub const PAYMENT_TERMS_MAX_DAYS: u32 = 365;
/// Longest number prefix, in characters.
pub const NUMBER_PREFIX_MAX: usize = 20;
/// Most rules of a tax map.
pub const TAX_RULES_MAX: usize = 500;
/// Most overrides.
pub const OVERRIDES_MAX: usize = 200;
/// Most entries of a map of the settings.
pub const ENTRIES_MAX: usize = 1_000;
/// Longest text of the settings, in characters: a category of the v2 family is an URL.
pub const TEXT_MAX: usize = 255;

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
    /// ISO 3166-1 alpha-2 code of the organisation's country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book_country: Option<String>,
    /// Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_tax_registered: Option<bool>,
    /// Percent, as decimal text; may be empty where there is a tax map.
    #[serde(default)]
    pub sales_tax_rates: Vec<String>,
    /// Tax codes by rate and destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tax_map: Vec<TaxRuleV1>,
    /// Tax code of untaxed lines that no rule names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_tax_code: Option<String>,
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
    /// Category of adjustment refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustment_refund_category: Option<String>,
    /// Category of adjustment fees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustment_fee_category: Option<String>,
    /// Category of gift cards and store credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gift_card_category: Option<String>,
    /// Category of charges that the shop does not explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_charges_category: Option<String>,
    /// Category of rounding lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding_category: Option<String>,
    /// Account for purchases of products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_category: Option<String>,
    /// Base currency by website id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub base_currencies: BTreeMap<u32, String>,
    /// Days until an invoice is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_terms_in_days: Option<u32>,
    /// The same by customer id or e-mail address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payment_terms_by_customer: BTreeMap<String, u32>,
    /// The same by customer group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payment_terms_by_group: BTreeMap<u32, u32>,
    /// `draft`, `submitted` or `authorised`; default `authorised`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_status: Option<StatusV1>,
    /// Bank account by payment method; null leaves the payment to a person.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payment_methods: BTreeMap<String, Option<String>>,
    /// Bank account of other methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_bank_account: Option<String>,
    /// Currency by bank account.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bank_account_currencies: BTreeMap<String, String>,
    /// The book's item type by Magento's product type; null leaves such products out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub item_types: BTreeMap<String, Option<String>>,
    /// Put in front of the shop's increment id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_number_prefix: Option<String>,
    /// Put in front of a credit memo's increment id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_note_prefix: Option<String>,
    /// Prefix of a previous service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_prefix: Option<String>,
    /// `company` or `person`; default `company`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name_priority: Option<NamePriorityV1>,
    /// One contact for many buyers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consolidation: Option<ConsolidationV1>,
    /// `goods` or `services`; default `goods`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_supply: Option<SupplyV1>,
    /// The same by Magento's product type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub supply_by_product_type: BTreeMap<String, SupplyV1>,
    /// Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue_prices_include_tax: Option<bool>,
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
    /// Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_products: Option<bool>,
    /// Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_stock: Option<bool>,
    /// Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_adopted_stock: Option<bool>,
    /// What differs by website or store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverrideV1>,
}

/// A rule of the tax map: `{"rate":"19","country":"DE","code":"OSS_DE"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxRuleV1 {
    /// Percent, as decimal text.
    pub rate: String,
    /// ISO 3166-1 alpha-2 code of the destination; every country where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The tax code, as the book names it.
    pub code: String,
}

/// Where documents shall stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusV1 {
    /// As drafts.
    Draft,
    /// Waiting for approval.
    Submitted,
    /// Booked.
    Authorised,
}

/// What a contact is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamePriorityV1 {
    /// The company first.
    Company,
    /// The person first.
    Person,
}

/// What is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupplyV1 {
    /// Goods.
    Goods,
    /// Services.
    Services,
}

impl SupplyV1 {
    const fn read(self) -> Supply {
        match self {
            Self::Goods => Supply::Goods,
            Self::Services => Supply::Services,
        }
    }
}

/// One contact for many buyers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsolidationV1 {
    /// The contact's name; default `Magento Web Sales`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its e-mail address.
    pub email: String,
    /// Its reference; default `WEBSALES`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Decimal text; default 0, nobody by their total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_total_for_individual: Option<String>,
    /// Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always_individual_for_b2b: Option<bool>,
}

/// What differs for a website or a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideV1 {
    /// Website id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub website: Option<u32>,
    /// Store id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<u32>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub income_category: Option<String>,
    /// Asked before the settings'.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub item_type_categories: BTreeMap<String, String>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_category: Option<String>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustment_refund_category: Option<String>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustment_fee_category: Option<String>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gift_card_category: Option<String>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_charges_category: Option<String>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding_category: Option<String>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding_limit: Option<String>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_category: Option<String>,
    /// Asked before the settings'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tax_map: Vec<TaxRuleV1>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_tax_code: Option<String>,
    /// Asked before the settings'.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payment_methods: BTreeMap<String, Option<String>>,
    /// As in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_bank_account: Option<String>,
}

/// The consolidated contact's name where none is given.
pub const CONSOLIDATION_NAME: &str = "Magento Web Sales";
/// The consolidated contact's reference where none is given.
pub const CONSOLIDATION_REFERENCE: &str = "WEBSALES";

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

type Checked<T> = Result<T, SettingError>;

impl SettingsV1 {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn read(&self, version: u32) -> Checked<Settings> {
        let zone = TimeZone::get(&self.time_zone).map_err(|_| invalid("time_zone"))?;
        let sales_tax_registered = self.sales_tax_registered.unwrap_or(true);
        let sales_tax_rates: Vec<Decimal> =
            self.sales_tax_rates.iter().map(|text| percent("sales_tax_rates", text)).collect::<Checked<_>>()?;
        let tax_map = tax_rules(&self.tax_map)?;
        let overrides = self.overrides()?;
        let mapped = !tax_map.is_empty() || overrides.iter().any(|it| !it.tax_map.is_empty());
        if sales_tax_registered && sales_tax_rates.is_empty() && !mapped {
            return Err(invalid("sales_tax_rates"));
        }
        Ok(Settings {
            version,
            policy: self.policy(&zone)?,
            time_zone: self.time_zone.clone(),
            base_currencies: currencies("base_currencies", &self.base_currencies)?,
            book_currency: currency("book_currency", &self.book_currency)?,
            book_country: self.book_country.as_deref().map(|text| country("book_country", text)).transpose()?,
            sales_tax_registered,
            sales_tax_rates,
            tax_map,
            default_tax_code: optional("default_tax_code", self.default_tax_code.as_ref())?,
            income_category: text("income_category", &self.income_category)?,
            income_categories: texts("income_categories", &self.income_categories)?,
            item_type_categories: texts("item_type_categories", &self.item_type_categories)?,
            shipping_category: text("shipping_category", &self.shipping_category)?,
            adjustment_refund_category: optional(
                "adjustment_refund_category",
                self.adjustment_refund_category.as_ref(),
            )?,
            adjustment_fee_category: optional("adjustment_fee_category", self.adjustment_fee_category.as_ref())?,
            gift_card_category: optional("gift_card_category", self.gift_card_category.as_ref())?,
            other_charges_category: optional("other_charges_category", self.other_charges_category.as_ref())?,
            rounding_category: optional("rounding_category", self.rounding_category.as_ref())?,
            purchase_category: optional("purchase_category", self.purchase_category.as_ref())?,
            payment_terms_in_days: self
                .payment_terms_in_days
                .map(|days| term("payment_terms_in_days", days))
                .transpose()?,
            payment_terms_by_customer: self.terms_by_customer()?,
            payment_terms_by_group: self
                .payment_terms_by_group
                .iter()
                .map(|(group, days)| Ok((*group, term("payment_terms_by_group", *days)?)))
                .collect::<Checked<_>>()?,
            document_status: match self.document_status {
                Some(StatusV1::Draft) => DocumentStatus::Draft,
                Some(StatusV1::Submitted) => DocumentStatus::Submitted,
                Some(StatusV1::Authorised) | None => DocumentStatus::Approved,
            },
            payment_methods: optional_texts("payment_methods", &self.payment_methods)?,
            default_bank_account: optional("default_bank_account", self.default_bank_account.as_ref())?,
            bank_account_currencies: currencies("bank_account_currencies", &self.bank_account_currencies)?,
            item_types: {
                let mut item_types = usual_item_types();
                item_types.extend(optional_texts("item_types", &self.item_types)?);
                item_types
            },
            number_prefix: prefix("invoice_number_prefix", self.invoice_number_prefix.as_deref())?.unwrap_or_default(),
            credit_note_prefix: self.credit_note_prefix()?,
            previous_prefix: self.previous_prefix.clone(),
            customer_name_priority: match self.customer_name_priority {
                Some(NamePriorityV1::Person) => NamePriority::Person,
                Some(NamePriorityV1::Company) | None => NamePriority::Company,
            },
            consolidation: self.consolidation.as_ref().map(consolidation).transpose()?,
            default_supply: self.default_supply.map_or(Supply::Goods, SupplyV1::read),
            supply_by_product_type: {
                few("supply_by_product_type", self.supply_by_product_type.len())?;
                self.supply_by_product_type.iter().map(|(key, supply)| (key.clone(), supply.read())).collect()
            },
            catalogue_prices_include_tax: self.catalogue_prices_include_tax.unwrap_or(false),
            rounding_limit: self.rounding_limit()?,
            overrides,
        })
    }

    fn policy(&self, zone: &TimeZone) -> Checked<Policy> {
        let defaults = Policy::default();
        let sync_since = match &self.sync_since {
            None => None,
            Some(text) => Some(moment(text, zone).ok_or_else(|| invalid("sync_since"))?),
        };
        Ok(Policy {
            sync_unpaid_invoices: self.sync_unpaid_invoices.unwrap_or(defaults.sync_unpaid_invoices),
            sync_zero_value_invoices: self.sync_zero_value_invoices.unwrap_or(defaults.sync_zero_value_invoices),
            sync_since,
            website_filter: self.website_filter.clone(),
            store_filter: self.store_filter.clone(),
            sync_products: self.sync_products.unwrap_or(defaults.sync_products),
            sync_stock: self.sync_stock.unwrap_or(defaults.sync_stock),
            sync_adopted_stock: self.sync_adopted_stock.unwrap_or(defaults.sync_adopted_stock),
        })
    }

    fn terms_by_customer(&self) -> Checked<BTreeMap<String, u32>> {
        const FIELD: &str = "payment_terms_by_customer";
        few(FIELD, self.payment_terms_by_customer.len())?;
        let key = |text: &str| match text.parse::<u64>() {
            Ok(id) if id > 0 => Ok(id.to_string()),
            Ok(_) => Err(invalid(FIELD)),
            Err(_) => normalised_email(text).ok_or_else(|| invalid(FIELD)),
        };
        self.payment_terms_by_customer.iter().map(|(text, days)| Ok((key(text)?, term(FIELD, *days)?))).collect()
    }

    fn credit_note_prefix(&self) -> Checked<Option<String>> {
        const FIELD: &str = "credit_note_prefix";
        let named = prefix(FIELD, self.credit_note_prefix.as_deref())?;
        // Books that number both in one sequence would see a number twice.
        if named.is_some() && named.as_deref() == Some(self.invoice_number_prefix.as_deref().unwrap_or_default()) {
            return Err(out_of_range(FIELD));
        }
        Ok(named)
    }

    fn rounding_limit(&self) -> Checked<Decimal> {
        match &self.rounding_limit {
            None => Ok(Decimal::new(ROUNDING_LIMIT_HUNDREDTHS, 2)),
            Some(text) => limit("rounding_limit", text),
        }
    }

    fn overrides(&self) -> Checked<Vec<Override>> {
        const FIELD: &str = "overrides";
        if self.overrides.len() > OVERRIDES_MAX {
            return Err(out_of_range(FIELD));
        }
        let mut websites = BTreeSet::new();
        let mut stores = BTreeSet::new();
        for it in &self.overrides {
            let new = match (it.store, it.website) {
                (Some(store), _) => stores.insert(store),
                (None, Some(website)) => websites.insert(website),
                (None, None) => false,
            };
            if !new {
                return Err(invalid(FIELD));
            }
        }
        self.overrides
            .iter()
            .map(|it| {
                Ok(Override {
                    website: it.website,
                    store: it.store,
                    income_category: optional(FIELD, it.income_category.as_ref())?,
                    item_type_categories: texts(FIELD, &it.item_type_categories)?,
                    shipping_category: optional(FIELD, it.shipping_category.as_ref())?,
                    adjustment_refund_category: optional(FIELD, it.adjustment_refund_category.as_ref())?,
                    adjustment_fee_category: optional(FIELD, it.adjustment_fee_category.as_ref())?,
                    gift_card_category: optional(FIELD, it.gift_card_category.as_ref())?,
                    other_charges_category: optional(FIELD, it.other_charges_category.as_ref())?,
                    rounding_category: optional(FIELD, it.rounding_category.as_ref())?,
                    rounding_limit: it.rounding_limit.as_deref().map(|text| limit(FIELD, text)).transpose()?,
                    purchase_category: optional(FIELD, it.purchase_category.as_ref())?,
                    tax_map: tax_rules(&it.tax_map)?,
                    default_tax_code: optional(FIELD, it.default_tax_code.as_ref())?,
                    payment_methods: optional_texts(FIELD, &it.payment_methods)?,
                    default_bank_account: optional(FIELD, it.default_bank_account.as_ref())?,
                })
            })
            .collect()
    }
}

fn tax_rules(rules: &[TaxRuleV1]) -> Checked<Vec<TaxRule>> {
    const FIELD: &str = "tax_map";
    if rules.len() > TAX_RULES_MAX {
        return Err(out_of_range(FIELD));
    }
    let mut known = BTreeSet::new();
    rules
        .iter()
        .map(|rule| {
            let rate = percent(FIELD, &rule.rate)?;
            let country = rule.country.as_deref().map(|text| country(FIELD, text)).transpose()?;
            if !known.insert((rate, country.clone())) {
                return Err(invalid(FIELD));
            }
            Ok(TaxRule { rate, country, code: text(FIELD, &rule.code)? })
        })
        .collect()
}

fn consolidation(it: &ConsolidationV1) -> Checked<Consolidation> {
    const FIELD: &str = "consolidation";
    let reference = it.reference.as_deref().unwrap_or(CONSOLIDATION_REFERENCE).trim().to_owned();
    if reference.is_empty() || reference.chars().count() > CONSOLIDATION_REFERENCE_MAX {
        return Err(out_of_range(FIELD));
    }
    let least = match &it.min_total_for_individual {
        None => Decimal::ZERO,
        Some(text) => Decimal::from_str(text).map_err(|_| invalid(FIELD))?,
    };
    if least.is_sign_negative() && !least.is_zero() {
        return Err(out_of_range(FIELD));
    }
    Ok(Consolidation {
        name: text(FIELD, it.name.as_deref().unwrap_or(CONSOLIDATION_NAME))?,
        email: normalised_email(&it.email).ok_or_else(|| invalid(FIELD))?,
        reference,
        min_total_for_individual: least,
        always_individual_for_b2b: it.always_individual_for_b2b.unwrap_or(true),
    })
}

fn few(field: &'static str, entries: usize) -> Checked<()> {
    if entries > ENTRIES_MAX { Err(out_of_range(field)) } else { Ok(()) }
}

fn text(field: &'static str, text: &str) -> Checked<String> {
    if text.trim().is_empty() {
        return Err(invalid(field));
    }
    if text.chars().count() > TEXT_MAX {
        return Err(out_of_range(field));
    }
    Ok(text.to_owned())
}

fn optional(field: &'static str, value: Option<&String>) -> Checked<Option<String>> {
    value.map(|value| text(field, value)).transpose()
}

fn texts<K: Clone + Ord>(field: &'static str, map: &BTreeMap<K, String>) -> Checked<BTreeMap<K, String>> {
    few(field, map.len())?;
    map.iter().map(|(key, value)| Ok((key.clone(), text(field, value)?))).collect()
}

fn optional_texts(
    field: &'static str,
    map: &BTreeMap<String, Option<String>>,
) -> Checked<BTreeMap<String, Option<String>>> {
    few(field, map.len())?;
    map.iter().map(|(key, value)| Ok((text(field, key)?, optional(field, value.as_ref())?))).collect()
}

fn currency(field: &'static str, text: &str) -> Checked<Currency> {
    Currency::parse(text).map_err(|_| invalid(field))
}

fn currencies<K: Clone + Ord>(field: &'static str, map: &BTreeMap<K, String>) -> Checked<BTreeMap<K, Currency>> {
    few(field, map.len())?;
    map.iter().map(|(key, text)| Ok((key.clone(), currency(field, text)?))).collect()
}

fn country(field: &'static str, text: &str) -> Checked<String> {
    if text.len() == 2 && text.bytes().all(|letter| letter.is_ascii_uppercase()) {
        Ok(text.to_owned())
    } else {
        Err(invalid(field))
    }
}

fn term(field: &'static str, days: u32) -> Checked<u32> {
    if days > PAYMENT_TERMS_MAX_DAYS { Err(out_of_range(field)) } else { Ok(days) }
}

fn prefix(field: &'static str, prefix: Option<&str>) -> Checked<Option<String>> {
    let unusable = |prefix: &str| {
        prefix.chars().count() > NUMBER_PREFIX_MAX || prefix.contains(|it: char| it == '#' || it.is_control())
    };
    if prefix.is_some_and(unusable) { Err(out_of_range(field)) } else { Ok(prefix.map(str::to_owned)) }
}

fn limit(field: &'static str, text: &str) -> Checked<Decimal> {
    let limit = Decimal::from_str(text).map_err(|_| invalid(field))?;
    if limit.is_sign_negative() || limit > Decimal::ONE { Err(out_of_range(field)) } else { Ok(limit) }
}

fn percent(field: &'static str, text: &str) -> Checked<Decimal> {
    let rate = Decimal::from_str(text).map_err(|_| invalid(field))?;
    let possible = !rate.is_sign_negative() && rate <= Decimal::ONE_HUNDRED;
    possible.then(|| rate.normalize()).ok_or_else(|| invalid(field))
}

fn moment(text: &str, zone: &TimeZone) -> Option<jiff::Timestamp> {
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

    fn rule(rate: &str, country: Option<&str>, code: &str) -> TaxRuleV1 {
        TaxRuleV1 { rate: rate.to_owned(), country: country.map(str::to_owned), code: code.to_owned() }
    }

    fn one() -> ConsolidationV1 {
        ConsolidationV1 { email: " Web@Shop.example ".to_owned(), ..ConsolidationV1::default() }
    }

    fn of(website: Option<u32>, store: Option<u32>) -> OverrideV1 {
        OverrideV1 { website, store, ..OverrideV1::default() }
    }

    /// What was stored before there was more to be set.
    #[test]
    fn settings_of_an_earlier_version_have_todays_defaults() {
        let stored = r#"{"time_zone":"Europe/London","book_currency":"GBP","sales_tax_rates":["20","0"],
            "income_category":"001","shipping_category":"002","payment_terms_in_days":14,"sync_since":"2026-01-01"}"#;
        let settings = serde_json::from_str::<SettingsV1>(stored).unwrap().read(1).unwrap();
        let gbp = Currency::parse("GBP").unwrap();
        let policy = Policy { sync_since: settings.policy.sync_since, ..Policy::default() };
        let expected = Settings {
            sales_tax_rates: vec![Decimal::from(20), Decimal::ZERO],
            payment_terms_in_days: Some(14),
            policy,
            ..Settings::least("Europe/London", gbp, "001", "002")
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn every_setting_arrives() {
        let stored = r#"{"time_zone":"Europe/London","book_currency":"GBP","income_category":"001","shipping_category":"002",
            "tax_map":[{"rate":"20.00","code":"STD"},{"rate":"19","country":"DE","code":"OSS"}],"default_tax_code":"ZERO",
            "document_status":"draft","payment_methods":{"stripe_payments":"1200","checkmo":null},
            "payment_terms_by_customer":{"017":7,"Jane@Example.com":9},"payment_terms_by_group":{"2":45},
            "item_types":{"giftcard":"Services","simple":null},"customer_name_priority":"person",
            "consolidation":{"email":"Web@Shop.example","min_total_for_individual":"100"},"default_supply":"services",
            "supply_by_product_type":{"simple":"goods"},"catalogue_prices_include_tax":true,"sales_tax_registered":true,
            "sync_products":true,"sync_stock":true,"sync_adopted_stock":true,"book_country":"GB","bank_account_currencies":{"1201":"EUR"},
            "overrides":[{"website":2,"income_category":"201","tax_map":[{"rate":"25","code":"SE25"}]},
                {"store":5,"payment_methods":{"stripe_payments":null},"default_bank_account":"1205"}]}"#;
        let settings = serde_json::from_str::<SettingsV1>(stored).unwrap().read(1).unwrap();
        let here = settings.at(1, Some(1));
        assert_eq!(here.tax_code(Decimal::from(20), Some("DE")), Some("STD"));
        assert_eq!(here.tax_code(Decimal::from(19), Some("DE")), Some("OSS"));
        assert_eq!(here.tax_code(Decimal::from(19), Some("FR")), None);
        assert_eq!(here.tax_code(Decimal::ZERO, Some("FR")), Some("ZERO"));
        assert_eq!(settings.at(2, None).income_category(None), "201");
        assert_eq!(settings.at(2, Some(5)).payment_method("stripe_payments"), Some(None));
        assert_eq!(settings.at(2, Some(5)).payment_method("checkmo"), Some(None));
        assert_eq!(here.payment_method("stripe_payments"), Some(Some("1200")));
        assert_eq!(settings.document_status, DocumentStatus::Draft);
        assert_eq!(settings.payment_terms_by_customer.keys().collect::<Vec<_>>(), ["17", "jane@example.com"]);
        assert_eq!((settings.item_type("simple"), settings.item_type("giftcard")), (None, Some("Services")));
        assert_eq!(settings.item_type("virtual"), Some("Services"));
        let consolidation = settings.consolidation.as_ref().unwrap();
        assert_eq!((consolidation.name.as_str(), consolidation.reference.as_str()), ("Magento Web Sales", "WEBSALES"));
        assert_eq!(consolidation.email, "web@shop.example");
        assert_eq!(settings.supply_of_product_type("simple"), Supply::Goods);
        assert_eq!(settings.supply_of_product_type("virtual"), Supply::Services);
        assert!(settings.policy.sync_products && settings.policy.sync_stock && settings.policy.sync_adopted_stock);
    }

    /// A store's goes before its website's, that before everybody's, account by account.
    #[test]
    fn every_account_can_differ_by_website_and_store() {
        let accounts = |name: &str| {
            let mut of: serde_json::Map<String, serde_json::Value> = [
                "income_category",
                "shipping_category",
                "adjustment_refund_category",
                "adjustment_fee_category",
                "gift_card_category",
                "other_charges_category",
                "rounding_category",
                "purchase_category",
                "default_tax_code",
                "default_bank_account",
            ]
            .into_iter()
            .map(|field| (field.to_owned(), format!("{name} {field}").into()))
            .collect();
            of.insert("item_type_categories".to_owned(), serde_json::json!({"Services": format!("{name} services")}));
            of
        };
        let mut settings = accounts("all");
        settings.insert("time_zone".to_owned(), "Europe/London".into());
        settings.insert("book_currency".to_owned(), "GBP".into());
        settings.insert("sales_tax_rates".to_owned(), serde_json::json!(["20"]));
        let (mut website, mut store) = (accounts("website"), accounts("store"));
        website.insert("website".to_owned(), 2.into());
        website.insert("rounding_limit".to_owned(), "0.10".into());
        store.insert("store".to_owned(), 5.into());
        store.insert("rounding_limit".to_owned(), "0.25".into());
        settings.insert("overrides".to_owned(), serde_json::json!([website, store]));
        let settings: SettingsV1 = serde_json::from_value(settings.into()).unwrap();
        let settings = settings.read(1).unwrap();
        let check = |website, store, name: &str, limit: i64| {
            let place = settings.at(website, store);
            let named = [
                (Some(place.income_category(None)), "income_category"),
                (Some(place.income_category(Some("Products"))), "income_category"),
                (Some(place.income_category(Some("Services"))), "services"),
                (Some(place.shipping_category()), "shipping_category"),
                (place.adjustment_refund_category(), "adjustment_refund_category"),
                (place.adjustment_fee_category(), "adjustment_fee_category"),
                (place.gift_card_category(), "gift_card_category"),
                (place.other_charges_category(), "other_charges_category"),
                (place.rounding_category(), "rounding_category"),
                (place.purchase_category(), "purchase_category"),
                (place.default_tax_code(), "default_tax_code"),
                (place.default_bank_account(), "default_bank_account"),
            ];
            for (account, field) in named {
                assert_eq!(account, Some(format!("{name} {field}").as_str()));
            }
            assert_eq!(place.rounding_limit(), Decimal::new(limit, 2), "{name}");
        };
        check(1, Some(1), "all", 5);
        check(2, None, "website", 10);
        check(2, Some(4), "website", 10);
        check(2, Some(5), "store", 25);
    }

    #[test]
    fn an_organisation_without_sales_tax_needs_no_rates() {
        let unregistered = SettingsV1 { sales_tax_rates: vec![], sales_tax_registered: Some(false), ..least() };
        assert_eq!(unregistered.read(1).unwrap().at(1, None).tax_rates(Some("GB"), false), [Decimal::ZERO]);
    }

    #[test]
    fn the_least_settings_have_the_usual_defaults() {
        let settings = least().read(3).unwrap();
        assert_eq!(settings.version, 3);
        assert_eq!(settings.payment_terms_in_days, None);
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
        check(|it| it.invoice_number_prefix = Some("a\tb".to_owned()), "invoice_number_prefix: OUT_OF_RANGE");
        check(|it| it.credit_note_prefix = Some(String::new()), "credit_note_prefix: OUT_OF_RANGE");
        check(|it| it.credit_note_prefix = Some("x".repeat(21)), "credit_note_prefix: OUT_OF_RANGE");
        check(|it| it.book_country = Some("gb".to_owned()), "book_country: invalid_format");
        check(|it| it.income_categories = BTreeMap::from([(1, " ".to_owned())]), "income_categories: invalid_format");
        check(|it| it.gift_card_category = Some(String::new()), "gift_card_category: invalid_format");
        check(|it| it.rounding_category = Some("x".repeat(256)), "rounding_category: OUT_OF_RANGE");
        check(|it| it.default_tax_code = Some(" ".to_owned()), "default_tax_code: invalid_format");
        check(|it| it.tax_map = vec![rule("20", Some("Germany"), "A")], "tax_map: invalid_format");
        check(|it| it.tax_map = vec![rule("twenty", None, "A")], "tax_map: invalid_format");
        check(|it| it.tax_map = vec![rule("20", None, "")], "tax_map: invalid_format");
        check(|it| it.tax_map = vec![rule("20", None, "A"), rule("20.0", None, "B")], "tax_map: invalid_format");
        check(|it| it.tax_map = vec![rule("20", None, "A"); TAX_RULES_MAX + 1], "tax_map: OUT_OF_RANGE");
        check(
            |it| it.payment_terms_by_customer = BTreeMap::from([("jane".to_owned(), 5)]),
            "payment_terms_by_customer: invalid_format",
        );
        check(
            |it| it.payment_terms_by_customer = BTreeMap::from([("0".to_owned(), 5)]),
            "payment_terms_by_customer: invalid_format",
        );
        check(|it| it.payment_terms_by_group = BTreeMap::from([(1, 366)]), "payment_terms_by_group: OUT_OF_RANGE");
        check(
            |it| it.payment_methods = BTreeMap::from([("stripe".to_owned(), Some(String::new()))]),
            "payment_methods: invalid_format",
        );
        check(
            |it| it.bank_account_currencies = BTreeMap::from([("1200".to_owned(), "£".to_owned())]),
            "bank_account_currencies: invalid_format",
        );
        check(|it| it.item_types = BTreeMap::from([(String::new(), None)]), "item_types: invalid_format");
        check(|it| it.consolidation = Some(ConsolidationV1::default()), "consolidation: invalid_format");
        check(
            |it| it.consolidation = Some(ConsolidationV1 { reference: Some("x".repeat(11)), ..one() }),
            "consolidation: OUT_OF_RANGE",
        );
        check(
            |it| it.consolidation = Some(ConsolidationV1 { min_total_for_individual: Some("-1".to_owned()), ..one() }),
            "consolidation: OUT_OF_RANGE",
        );
        check(|it| it.overrides = vec![OverrideV1::default()], "overrides: invalid_format");
        check(|it| it.overrides = vec![of(None, Some(1)), of(Some(2), Some(1))], "overrides: invalid_format");
        check(|it| it.overrides = vec![of(Some(1), None), of(Some(1), None)], "overrides: invalid_format");
        check(
            |it| it.overrides = vec![OverrideV1 { gift_card_category: Some(String::new()), ..of(Some(1), None) }],
            "overrides: invalid_format",
        );
        check(
            |it| it.overrides = vec![OverrideV1 { rounding_limit: Some("2".to_owned()), ..of(Some(1), None) }],
            "overrides: OUT_OF_RANGE",
        );
        check(|it| it.income_category = String::new(), "income_category: invalid_format");
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let mut json = serde_json::to_value(least()).unwrap();
        json["sync_unpaid_invoice"] = true.into();
        assert!(serde_json::from_value::<SettingsV1>(json).is_err());
    }
}
