//! The four dialects, each with its book in this process and the settings of a binding to it.

use crate::drive::{Drive, Stranger};
use crate::lives::{CURRENCIES, RATES};
use anyhow::Context as _;
use ledger_dialects::{Context, Dialect, dialect};
use ledger_domain::settings::Settings;
use ledger_wire::settings::SettingsV1;
use ledger_world::accounting::{AccountingBook, AccountingOptions, AccountingSeed};
use ledger_world::book::{Book, BookOptions, House, Seed};
use ledger_world::sage::{SageBook, SageOptions, SageSeed, bank_account, ledger_account};
use ledger_world::server::{Answer, Request};
use ledger_world::statement::Statement;
use serde_json::{Value, json};

/// The token that every book accepts.
const TOKEN: &str = "book-token";

/// A book of one of the dialects.
#[derive(Debug)]
pub enum AnyBook {
    /// `v2` or `freeagent`.
    Family(Book),
    /// `accounting`.
    Accounting(AccountingBook),
    /// `sage`.
    Sage(SageBook),
}

impl Stranger for AnyBook {
    fn answers(&self, request: &Request) -> Answer {
        match self {
            Self::Family(book) => book.obeys(request),
            Self::Accounting(book) => book.obeys(request),
            Self::Sage(book) => book.obeys(request),
        }
    }
}

/// A dialect on its stage.
#[derive(Debug)]
pub struct Stage {
    /// The dialect's name.
    pub name: &'static str,
    /// Its book.
    pub book: AnyBook,
    /// The binding's settings, without accounts for what a total hides.
    pub settings: Settings,
    /// The same with them.
    pub settings_with_accounts: Settings,
    /// Those with accounts as a binding's row has them.
    pub settings_of_binding: SettingsV1,
    base_url: String,
    organisation: String,
}

/// The names of the dialects, in the order of the tables.
pub const DIALECTS: [&str; 4] = ["v2", "accounting", "sage", "freeagent"];

impl Stage {
    /// Opens a dialect's book.
    ///
    /// # Errors
    /// Where there is no such dialect, or its settings are no good.
    pub async fn open(name: &str) -> anyhow::Result<Self> {
        match name {
            "v2" => family("v2", House::V2).await,
            "freeagent" => family("freeagent", House::Freeagent).await,
            "accounting" => accounting().await,
            "sage" => sage().await,
            _ => anyhow::bail!("no dialect {name}"),
        }
    }

    /// Ready to be spoken to.
    ///
    /// # Errors
    /// Where the dialect is not registered.
    pub fn drive(&self) -> anyhow::Result<Drive<'_>> {
        Ok(Drive {
            dialect: self.dialect()?,
            book: &self.book,
            token: TOKEN,
            context: Context {
                base_url: self.base_url.clone(),
                organisation: self.organisation.clone(),
                idempotency_key: String::new(),
                country: Some("GB".to_owned()),
                sales_tax_registered: true,
                web_name: None,
            },
        })
    }

    /// The dialect.
    ///
    /// # Errors
    /// Where it is not registered.
    pub fn dialect(&self) -> anyhow::Result<&'static dyn Dialect> {
        dialect(self.name).with_context(|| format!("{} is not registered", self.name))
    }

    /// What the book holds.
    #[must_use]
    pub fn statement(&self) -> Statement {
        match &self.book {
            AnyBook::Family(book) => book.statement(),
            AnyBook::Accounting(book) => book.statement(),
            AnyBook::Sage(book) => book.statement(),
        }
    }
}

/// Settings from what a dialect names differently, and the same with accounts for everything.
fn settings(own: Value, accounts: Value) -> anyhow::Result<(Settings, Settings, SettingsV1)> {
    let mut all = json!({
        "time_zone": "Europe/London",
        "book_currency": "GBP",
        "book_country": "GB",
        "base_currencies": {"1": "GBP"},
        "invoice_number_prefix": "M-",
        "rounding_limit": "1",
        "sync_products": true,
    });
    let read = |settings: &SettingsV1| -> anyhow::Result<Settings> {
        settings.read(1).map_err(|error| anyhow::anyhow!("{error}"))
    };
    let extend = |all: &mut Value, more: Value| {
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
            all.extend(more);
        }
    };
    extend(&mut all, own);
    let plain = read(&serde_json::from_value(all.clone())?)?;
    extend(&mut all, accounts);
    let whole: SettingsV1 = serde_json::from_value(all)?;
    Ok((plain, read(&whole)?, whole))
}

async fn family(name: &'static str, house: House) -> anyhow::Result<Stage> {
    let rates: Vec<String> = RATES.iter().map(|rate| (*rate).to_owned()).collect();
    let book = Book::start(BookOptions { house, sales_tax_rates: rates.clone(), ..BookOptions::default() }).await?;
    let category = |code: &str| book.url_of("categories", code);
    let (settings, settings_with_accounts, settings_of_binding) = settings(
        json!({
            "sales_tax_rates": rates,
            "income_category": category("001"),
            "shipping_category": category("002"),
            "payment_methods": {"stripe_payments": book.url_of("bank_accounts", "2")},
        }),
        json!({"gift_card_category": category("005"), "other_charges_category": category("005"), "rounding_category": category("004")}),
    )?;
    Ok(Stage {
        name,
        base_url: book.url(),
        organisation: "1".to_owned(),
        settings,
        settings_with_accounts,
        settings_of_binding,
        book: AnyBook::Family(book),
    })
}

async fn accounting() -> anyhow::Result<Stage> {
    let book = AccountingBook::start(AccountingOptions {
        currencies: CURRENCIES.iter().map(|(code, _)| (*code).to_owned()).collect(),
        ..AccountingOptions::default()
    })
    .await?;
    let code = |rate: &str| format!("TAX{:0>3}", rate.replace('.', ""));
    book.seeds(&AccountingSeed {
        tax_rates: RATES
            .iter()
            .filter(|rate| **rate != "0")
            .map(|rate| json!({"TaxType": format!("X{}", code(rate)), "Name": format!("{rate}%"), "EffectiveRate": rate}))
            .collect(),
        ..AccountingSeed::default()
    })?;
    let tax_map: Vec<Value> = RATES
        .iter()
        .map(|rate| {
            let code = if *rate == "0" { "ZERORATEDOUTPUT".to_owned() } else { format!("X{}", code(rate)) };
            json!({"rate": rate, "code": code})
        })
        .collect();
    let (settings, settings_with_accounts, settings_of_binding) = settings(
        json!({
            "tax_map": tax_map,
            "default_tax_code": "NONE",
            "income_category": "200",
            "shipping_category": "205",
            "purchase_category": "310",
            "payment_methods": {"stripe_payments": "091"},
        }),
        json!({"gift_card_category": "825", "other_charges_category": "260", "rounding_category": "860"}),
    )?;
    Ok(Stage {
        name: "accounting",
        base_url: book.url(),
        organisation: book.tenant(),
        settings,
        settings_with_accounts,
        settings_of_binding,
        book: AnyBook::Accounting(book),
    })
}

async fn sage() -> anyhow::Result<Stage> {
    let book = SageBook::start(SageOptions::default()).await?;
    let code = |rate: &str| format!("T{:0>31}", rate.replace('.', ""));
    book.seeds(&SageSeed {
        tax_rates: RATES
            .iter()
            .filter(|rate| **rate != "0")
            .map(|rate| json!({"id": code(rate), "name": format!("{rate}%"), "percentage": rate}))
            .collect(),
        ..SageSeed::default()
    })?;
    let tax_map: Vec<Value> = RATES
        .iter()
        .map(|rate| json!({"rate": rate, "code": if *rate == "0" { "GB_ZERO".to_owned() } else { code(rate) }}))
        .collect();
    let (settings, settings_with_accounts, settings_of_binding) = settings(
        json!({
            "tax_map": tax_map,
            "default_tax_code": "GB_NO_TAX",
            "income_category": ledger_account(4000),
            "shipping_category": ledger_account(4910),
            "purchase_category": ledger_account(5000),
            "payment_methods": {"stripe_payments": bank_account(1210)},
        }),
        json!({
            "gift_card_category": ledger_account(2110),
            "other_charges_category": ledger_account(4900),
            "rounding_category": ledger_account(4990),
        }),
    )?;
    Ok(Stage {
        name: "sage",
        base_url: book.url(),
        organisation: book.business(),
        settings,
        settings_with_accounts,
        settings_of_binding,
        book: AnyBook::Sage(book),
    })
}

/// What the bookkeeper does, in every book alike.
impl Stage {
    /// Locks what is dated on or before a day, `2026-03-31`.
    pub fn locks_until(&self, day: &str) {
        match &self.book {
            AnyBook::Family(book) => book.closes_until(Some(day)),
            AnyBook::Accounting(book) => book.locks(Some(day), None),
            AnyBook::Sage(book) => book.sets_up(|options| options.year_end_lockdown_date = Some(day.to_owned())),
        }
    }

    /// Has a contact with that e-mail address that is hidden, archived or inactive.
    ///
    /// # Errors
    /// Where the book refuses it.
    pub fn has_archived_contact(&self, email: &str) -> anyhow::Result<()> {
        match &self.book {
            AnyBook::Family(book) => book.seeds(&Seed {
                contacts: vec![
                    json!({"first_name": "Old", "last_name": "Friend", "email": email, "status": "Hidden"}),
                ],
                ..Seed::default()
            }),
            AnyBook::Accounting(book) => book.seeds(&AccountingSeed {
                contacts: vec![json!({"Name": "Old Friend", "EmailAddress": email, "ContactStatus": "ARCHIVED"})],
                ..AccountingSeed::default()
            }),
            AnyBook::Sage(book) => book.seeds(&SageSeed {
                contacts: vec![json!({
                    "name": "Old Friend", "is_active": false, "currency_id": "GBP",
                    "main_contact_person": {"name": "Old Friend", "email": email, "contact_person_type_ids": ["ACCOUNTS"]},
                })],
                ..SageSeed::default()
            }),
        }?;
        Ok(())
    }

    /// Has an active contact with that name and another e-mail address.
    ///
    /// # Errors
    /// Where the book refuses it.
    pub fn has_namesake(&self, name: &str, email: &str) -> anyhow::Result<()> {
        match &self.book {
            AnyBook::Family(book) => book
                .seeds(&Seed { contacts: vec![json!({"organisation_name": name, "email": email})], ..Seed::default() }),
            AnyBook::Accounting(book) => book.seeds(&AccountingSeed {
                contacts: vec![json!({"Name": name, "EmailAddress": email})],
                ..AccountingSeed::default()
            }),
            AnyBook::Sage(book) => book.seeds(&SageSeed {
                contacts: vec![json!({
                    "name": name, "currency_id": "GBP",
                    "main_contact_person": {"name": name, "email": email, "contact_person_type_ids": ["ACCOUNTS"]},
                })],
                ..SageSeed::default()
            }),
        }?;
        Ok(())
    }

    /// Has a stranger's invoice with that number.
    ///
    /// # Errors
    /// Where the book refuses it.
    pub fn has_strangers_invoice(&self, number: &str) -> anyhow::Result<()> {
        let account = &self.settings.income_category;
        match &self.book {
            AnyBook::Family(book) => book.seeds(&Seed {
                invoices: vec![json!({
                    "reference": number,
                    "invoice_items": [{"description": "Something", "item_type": "Products", "quantity": "1", "price": "999",
                                       "sales_tax_rate": "20", "category": account}],
                })],
                ..Seed::default()
            }),
            AnyBook::Accounting(book) => book.seeds(&AccountingSeed {
                invoices: vec![json!({
                    "InvoiceNumber": number,
                    "LineItems": [{"Description": "Something", "Quantity": 1, "UnitAmount": 999, "AccountCode": account,
                                   "TaxType": "ZERORATEDOUTPUT"}],
                })],
                ..AccountingSeed::default()
            }),
            AnyBook::Sage(book) => book.seeds(&SageSeed {
                sales_invoices: vec![json!({
                    "reference": number,
                    "invoice_lines": [{"description": "Something", "quantity": 1, "unit_price": 999,
                                       "ledger_account_id": account, "tax_rate_id": "GB_ZERO", "tax_amount": 0}],
                })],
                ..SageSeed::default()
            }),
        }?;
        Ok(())
    }
}
