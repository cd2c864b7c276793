//! Reference data: what a book has that settings may name.

use crate::amount::Currency;
use jiff::civil::Date;
use rust_decimal::Decimal;

/// A list of reference data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// The organisation itself: one entry.
    Organisation,
    /// Accounts or categories for lines.
    Accounts,
    /// Tax rates.
    TaxRates,
    /// Accounts that receive and pay money.
    BankAccounts,
    /// Currencies that may be used.
    Currencies,
    /// Contacts, for books that cannot be asked for one by its address.
    Contacts,
}

impl Reference {
    /// Every list.
    pub const ALL: [Self; 6] =
        [Self::Organisation, Self::Accounts, Self::TaxRates, Self::BankAccounts, Self::Currencies, Self::Contacts];

    /// The list's name in rows, labels and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Accounts => "accounts",
            Self::TaxRates => "tax_rates",
            Self::BankAccounts => "bank_accounts",
            Self::Currencies => "currencies",
            Self::Contacts => "contacts",
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What is on it.
    pub entries: Vec<Entry>,
    /// What the next page is asked for with; `None` after the last.
    pub next: Option<String>,
}

/// An entry of a list. What a list does not have stays empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// What documents and settings name it by: an account's code or URL, a tax code, a currency's code.
    pub id: String,
    /// Its name for a person.
    pub name: String,
    /// False where it may no longer be used for sales.
    pub active: bool,
    /// Tax rates: percent.
    pub rate: Option<Decimal>,
    /// Bank accounts: their currency. Organisations: the base currency.
    pub currency: Option<Currency>,
    /// Contacts: their e-mail address, normalised.
    pub email: Option<String>,
    /// Organisations and tax rates: ISO 3166-1 alpha-2 code of the country.
    pub country: Option<String>,
    /// Organisations: whether they are registered for sales tax.
    pub sales_tax_registered: Option<bool>,
    /// Organisations: nothing may be dated on or before this day.
    pub locked_until: Option<Date>,
    /// Organisations: what the provider's web pages know it by.
    pub web_name: Option<String>,
    /// Accounts: the book's own group or type.
    pub group: Option<String>,
}

/// What settings name an account for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Lines of invoices and credit notes.
    Lines,
    /// Purchases of products.
    Purchases,
    /// Money that comes in and goes out.
    Payments,
}

/// The accounts that may be named for a purpose.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The list that they are in.
    pub list: Reference,
    /// The entries of it that count, besides being active.
    pub counts: fn(&Entry) -> bool,
}

impl Choice {
    /// Every entry of a list.
    #[must_use]
    pub const fn all(list: Reference) -> Self {
        Self { list, counts: |_| true }
    }

    /// True where an entry may be named.
    #[must_use]
    pub fn has(self, entry: &Entry) -> bool {
        entry.active && (self.counts)(entry)
    }
}

impl Entry {
    /// True where the book's own group or type is this one.
    #[must_use]
    pub fn is_of(&self, group: &str) -> bool {
        self.group.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(group))
    }
}
