//! The four dialects, each with a shop and a book of its own.

use crate::strangers::{Book, Shop};
use crate::variables::Variables;
use ledger_wire::settings::{SettingsV1, TaxRuleV1};
use ledger_world::identity::Authority;
use ledger_world::sage::{bank_account, ledger_account};
use std::collections::BTreeMap;

/// The website whose income category is removed from the first book after its settings were saved.
pub const MISCONFIGURED_WEBSITE: u32 = 4;
/// That category.
pub const OPENED_CATEGORY: &str = "041";
/// Websites that the first binding lets through; the shop's third is not among them.
const WEBSITES: [u32; 3] = [1, 2, MISCONFIGURED_WEBSITE];
/// The payment method that every binding names a bank account for.
pub const CARD: &str = "stripe_payments";

/// What a dialect calls things by: where its book is, and what the merchant has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// `v2`.
    V2,
    /// `accounting`.
    Accounting,
    /// `sage`.
    Sage,
    /// `freeagent`.
    Freeagent,
}

impl Speech {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::V2, Self::Accounting, Self::Sage, Self::Freeagent];

    /// The dialect's name.
    #[must_use]
    pub const fn dialect(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::Accounting => "accounting",
            Self::Sage => "sage",
            Self::Freeagent => "freeagent",
        }
    }

    /// The provider's key.
    #[must_use]
    pub const fn provider(self) -> &'static str {
        match self {
            Self::V2 | Self::Accounting => "xero",
            Self::Sage => "sage_accounting",
            Self::Freeagent => "freeagent",
        }
    }

    /// What a person calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::V2 => "Xero, dialect v2",
            Self::Accounting => "Xero, dialect accounting",
            Self::Sage => "Sage Accounting",
            Self::Freeagent => "FreeAgent",
        }
    }

    /// The name of one of its variables: the first dialect's are the plain ones.
    #[must_use]
    pub fn variable(self, before: &str, after: &str) -> String {
        match self {
            Self::V2 => format!("{before}{after}"),
            Self::Accounting | Self::Sage | Self::Freeagent => {
                format!("{before}_{}{after}", self.dialect().to_uppercase())
            }
        }
    }

    /// Whose sign-in its book has.
    #[must_use]
    pub const fn authority(self) -> Authority {
        match self {
            Self::V2 => Authority::V2,
            Self::Accounting => Authority::Accounting,
            Self::Sage => Authority::Sage,
            Self::Freeagent => Authority::Freeagent,
        }
    }

    /// What the merchant has set. In the first book website 4 has an income category of its own.
    #[must_use]
    pub fn settings(self, book_url: &str, prefix: &str) -> SettingsV1 {
        let texts = |rates: &[&str]| rates.iter().map(|rate| (*rate).to_owned()).collect::<Vec<_>>();
        let rule =
            |(rate, code): (&str, &str)| TaxRuleV1 { rate: rate.to_owned(), country: None, code: code.to_owned() };
        let rules = |of: [(&str, &str); 3]| of.map(rule).to_vec();
        let paid_into = |account: String| BTreeMap::from([(CARD.to_owned(), Some(account))]);
        let common = SettingsV1 {
            time_zone: "Europe/London".to_owned(),
            book_currency: "GBP".to_owned(),
            book_country: Some("GB".to_owned()),
            base_currencies: WEBSITES.iter().map(|website| (*website, "GBP".to_owned())).collect(),
            payment_terms_in_days: Some(30),
            invoice_number_prefix: Some(prefix.to_owned()),
            sync_products: Some(true),
            ..SettingsV1::default()
        };
        let category = |code: &str| format!("{book_url}/v2/categories/{code}");
        match self {
            Self::V2 => SettingsV1 {
                sales_tax_rates: texts(&["20", "5", "0"]),
                income_category: category("001"),
                shipping_category: category("002"),
                income_categories: BTreeMap::from([(MISCONFIGURED_WEBSITE, category(OPENED_CATEGORY))]),
                payment_methods: paid_into(format!("{book_url}/v2/bank_accounts/2")),
                website_filter: WEBSITES.to_vec(),
                ..common
            },
            Self::Freeagent => SettingsV1 {
                sales_tax_rates: texts(&["20", "5", "0"]),
                income_category: category("001"),
                shipping_category: category("002"),
                payment_methods: paid_into(format!("{book_url}/v2/bank_accounts/2")),
                ..common
            },
            Self::Accounting => SettingsV1 {
                tax_map: rules([("20", "OUTPUT2"), ("5", "RROUTPUT"), ("0", "ZERORATEDOUTPUT")]),
                default_tax_code: Some("NONE".to_owned()),
                income_category: "200".to_owned(),
                shipping_category: "205".to_owned(),
                purchase_category: Some("310".to_owned()),
                payment_methods: paid_into("091".to_owned()),
                ..common
            },
            Self::Sage => SettingsV1 {
                tax_map: rules([("20", "GB_STANDARD"), ("5", "GB_LOWER"), ("0", "GB_ZERO")]),
                default_tax_code: Some("GB_NO_TAX".to_owned()),
                income_category: ledger_account(4_000),
                shipping_category: ledger_account(4_910),
                purchase_category: Some(ledger_account(5_000)),
                payment_methods: paid_into(bank_account(1_210)),
                sync_stock: Some(true),
                ..common
            },
        }
    }
}

/// A dialect's shop and book.
#[derive(Clone, Debug)]
pub struct Place {
    /// The dialect.
    pub speech: Speech,
    /// The shop.
    pub shop: Shop,
    /// The book.
    pub book: Book,
}

impl Place {
    /// Where the stack's variables say that they are.
    ///
    /// # Errors
    /// Where they don't say it.
    pub fn of(speech: Speech, variables: &Variables) -> anyhow::Result<Self> {
        Ok(Self {
            speech,
            shop: Shop::at(&variables.need(&speech.variable("SHOP", "_URL"))?, speech.provider()),
            book: Book::at(&variables.need(&speech.variable("BOOK", "_URL"))?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_every_dialect_can_be_used() {
        for speech in Speech::ALL {
            speech.settings("http://127.0.0.1:1", "MAG-012345-").read(1).unwrap();
        }
    }

    #[test]
    fn the_first_dialect_has_the_plain_names() {
        assert_eq!(Speech::V2.variable("SHOP", "_URL"), "SHOP_URL");
        assert_eq!(Speech::Sage.variable("TENANT_ID", ""), "TENANT_ID_SAGE");
        assert_eq!(Speech::Freeagent.variable("BOOK", "_URL"), "BOOK_FREEAGENT_URL");
    }
}
