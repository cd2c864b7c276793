//! The four dialects, each with its book in this process and the settings of a binding to it.

use crate::drive::{Drive, Stranger};
use crate::lives::{CURRENCIES, RATES};
use anyhow::Context as _;
use ledger_dialects::{Context, Dialect, dialect};
use ledger_domain::document::Kind;
use ledger_domain::settings::Settings;
use ledger_wire::settings::SettingsV1;
use ledger_world::accounting::{AccountingBook, AccountingOptions, AccountingSeed, AccountingSwitches};
use ledger_world::book::{Book, BookFault, BookOptions, FaultSpec, House, Seed, Switches};
use ledger_world::clock::Clock;
use ledger_world::sage::{SageBook, SageOptions, SageSeed, SageSwitches, bank_account, ledger_account};
use ledger_world::server::{Answer, Request};
use ledger_world::statement::Statement;
use serde_json::{Map, Value, json};

/// The token that every book accepts.
const TOKEN: &str = "book-token";

/// A book of one of the dialects.
#[derive(Clone, Debug)]
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
    registered: bool,
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
            "v2" => family("v2", House::V2, true).await,
            "freeagent" => family("freeagent", House::Freeagent, true).await,
            "accounting" => accounting().await,
            "sage" => sage().await,
            _ => anyhow::bail!("no dialect {name}"),
        }
    }

    /// Opens the book of an organisation that is not registered for sales tax, where the dialect's book knows such.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub async fn open_unregistered(name: &str) -> anyhow::Result<Self> {
        match name {
            "v2" => family("v2", House::V2, false).await,
            "freeagent" => family("freeagent", House::Freeagent, false).await,
            _ => Self::open(name).await,
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
                sales_tax_registered: self.registered,
                web_name: None,
                contacts: None,
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
        self.book.statement()
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

async fn family(name: &'static str, house: House, registered: bool) -> anyhow::Result<Stage> {
    let rates: Vec<String> = RATES.iter().map(|rate| (*rate).to_owned()).collect();
    let options = BookOptions {
        house,
        sales_tax_rates: rates.clone(),
        sales_tax_registered: registered,
        ..BookOptions::default()
    };
    let book = Book::start(options).await?;
    let category = |code: &str| book.url_of("categories", code);
    let (settings, settings_with_accounts, settings_of_binding) = settings(
        json!({
            "sales_tax_rates": rates,
            "sales_tax_registered": registered,
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
        registered,
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
        registered: true,
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
        registered: true,
        settings,
        settings_with_accounts,
        settings_of_binding,
        book: AnyBook::Sage(book),
    })
}

/// What the bookkeeper does, in every book alike.
impl AnyBook {
    /// What the book holds.
    #[must_use]
    pub fn statement(&self) -> Statement {
        match self {
            Self::Family(book) => book.statement(),
            Self::Accounting(book) => book.statement(),
            Self::Sage(book) => book.statement(),
        }
    }

    /// Locks what is dated on or before a day, `2026-03-31`; `None` opens all periods again.
    pub fn locks_until(&self, day: Option<&str>) {
        match self {
            Self::Family(book) => book.closes_until(day),
            Self::Accounting(book) => book.locks(day, None),
            Self::Sage(book) => book.sets_up(|options| options.year_end_lockdown_date = day.map(str::to_owned)),
        }
    }

    /// Has a contact with that e-mail address that is hidden, archived or inactive.
    ///
    /// # Errors
    /// Where the book refuses it.
    pub fn has_archived_contact(&self, email: &str) -> anyhow::Result<()> {
        match self {
            Self::Family(book) => book.seeds(&Seed {
                contacts: vec![json!({"first_name": "Old", "last_name": "Friend", "email": email, "status": "Hidden"})],
                ..Seed::default()
            }),
            Self::Accounting(book) => book.seeds(&AccountingSeed {
                contacts: vec![json!({"Name": "Old Friend", "EmailAddress": email, "ContactStatus": "ARCHIVED"})],
                ..AccountingSeed::default()
            }),
            Self::Sage(book) => {
                let seeded = book.seeds(&SageSeed {
                    contacts: vec![json!({
                        "name": "Old Friend", "currency_id": "GBP",
                        "main_contact_person":
                            {"name": "Old Friend", "email": email, "contact_person_type_ids": ["ACCOUNTS"]},
                    })],
                    ..SageSeed::default()
                })?;
                let id = seeded.pointer("/contacts/0").and_then(Value::as_str).context("no contact")?;
                book.marks(id, "is_active", false)?;
                return Ok(());
            }
        }?;
        Ok(())
    }

    /// Makes the contact with that e-mail address one that nothing can be booked on.
    ///
    /// # Errors
    /// Where there is none, or the book refuses it.
    pub fn archives(&self, email: &str) -> anyhow::Result<()> {
        let contact = self.statement().contacts.into_iter().find(|it| it.email == email);
        let id = contact.with_context(|| format!("nobody with {email}"))?.id;
        match self {
            Self::Family(book) => book.hides(email),
            Self::Accounting(book) => book.archives(&id)?,
            Self::Sage(book) => book.marks(&id, "is_active", false)?,
        }
        Ok(())
    }

    /// Has an active contact with that code, of somebody else.
    ///
    /// # Errors
    /// Where the book refuses it, or has no codes.
    pub fn has_code_taken(&self, code: &str) -> anyhow::Result<()> {
        match self {
            Self::Family(_) => anyhow::bail!("contacts have no codes"),
            Self::Accounting(book) => book.seeds(&AccountingSeed {
                contacts: vec![json!({"Name": "Ann Lee", "EmailAddress": "ann@example.com", "ContactNumber": code})],
                ..AccountingSeed::default()
            }),
            Self::Sage(book) => book.seeds(&SageSeed {
                contacts: vec![json!({
                    "name": "Ann Lee", "currency_id": "GBP", "reference": code,
                    "main_contact_person": {"name": "Ann Lee", "email": "ann@example.com"},
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
        match self {
            Self::Family(book) => book
                .seeds(&Seed { contacts: vec![json!({"organisation_name": name, "email": email})], ..Seed::default() }),
            Self::Accounting(book) => book.seeds(&AccountingSeed {
                contacts: vec![json!({"Name": name, "EmailAddress": email})],
                ..AccountingSeed::default()
            }),
            Self::Sage(book) => book.seeds(&SageSeed {
                contacts: vec![json!({
                    "name": name, "currency_id": "GBP",
                    "main_contact_person": {"name": name, "email": email, "contact_person_type_ids": ["ACCOUNTS"]},
                })],
                ..SageSeed::default()
            }),
        }?;
        Ok(())
    }

    /// Has a stranger's invoice with that number, on that income account.
    ///
    /// # Errors
    /// Where the book refuses it.
    pub fn has_strangers_invoice(&self, number: &str, account: &str) -> anyhow::Result<()> {
        match self {
            Self::Family(book) => book.seeds(&Seed {
                invoices: vec![json!({
                    "reference": number,
                    "invoice_items": [{"description": "Something", "item_type": "Products", "quantity": "1", "price": "999",
                                       "sales_tax_rate": "20", "category": account}],
                })],
                ..Seed::default()
            }),
            Self::Accounting(book) => book.seeds(&AccountingSeed {
                invoices: vec![json!({"InvoiceNumber": number, "LineItems": accounting_line(account)})],
                ..AccountingSeed::default()
            }),
            Self::Sage(book) => book.seeds(&SageSeed {
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

    /// Has a product with that code that somebody else has made.
    ///
    /// # Errors
    /// Where the book refuses it.
    pub fn has_product(&self, code: &str) -> anyhow::Result<()> {
        match self {
            Self::Family(book) => book.seeds(&Seed {
                price_list_items: vec![json!({
                    "code": code, "quantity": "1", "item_type": "Products", "description": "Theirs", "price": "1",
                })],
                ..Seed::default()
            }),
            Self::Accounting(book) => book.seeds(&AccountingSeed {
                items: vec![json!({"Code": code, "Name": "Theirs"})],
                ..AccountingSeed::default()
            }),
            Self::Sage(book) => book.seeds(&SageSeed {
                products: vec![json!({
                    "item_code": code, "description": "Theirs", "sales_ledger_account_id": ledger_account(4000),
                    "purchase_ledger_account_id": ledger_account(5000),
                })],
                ..SageSeed::default()
            }),
        }?;
        Ok(())
    }

    /// The bookkeeper enters money for the invoice with that number by hand.
    ///
    /// # Errors
    /// Where there is no such invoice, or the book refuses it.
    pub fn enters_payment(&self, number: &str, amount: &str) -> anyhow::Result<()> {
        let line = || self.statement().invoices.into_iter().find(|line| line.number == number);
        match self {
            Self::Family(book) => return book.enters_payment(number, amount),
            Self::Accounting(book) => {
                let line = line().with_context(|| format!("no invoice {number}"))?;
                book.seeds(&AccountingSeed {
                    payments: vec![json!({
                        "Invoice": {"InvoiceID": line.id}, "Account": {"Code": "090"}, "Date": line.date, "Amount": amount,
                    })],
                    ..AccountingSeed::default()
                })
            }
            Self::Sage(book) => {
                let line = line().with_context(|| format!("no invoice {number}"))?;
                book.seeds(&SageSeed {
                    contact_payments: vec![json!({
                        "transaction_type_id": "CUSTOMER_RECEIPT", "contact_id": line.contact, "date": line.date,
                        "bank_account_id": bank_account(1200), "total_amount": amount,
                        "allocated_artefacts": [{"artefact_id": line.id, "amount": amount}],
                    })],
                    ..SageSeed::default()
                })
            }
        }?;
        Ok(())
    }

    /// The bookkeeper approves an invoice or a credit note that waits for it.
    ///
    /// # Errors
    /// Where the book refuses it.
    pub fn approves(&self, kind: Kind, id: &str) -> anyhow::Result<()> {
        let is_invoice = kind == Kind::Invoice;
        let (method, path, own, body) = match self {
            Self::Family(_) => {
                let path = id.split_once("://").and_then(|(_, rest)| rest.split_once('/')).context("no path")?.1;
                ("PUT", format!("/{path}/transitions/mark_as_sent"), None, json!({}))
            }
            Self::Accounting(book) => {
                let (list, field) =
                    if is_invoice { ("Invoices", "InvoiceID") } else { ("CreditNotes", "CreditNoteID") };
                let body = json!({list: [{field: id, "Status": "AUTHORISED"}]});
                ("POST", format!("/api.xro/2.0/{list}/{id}"), Some(("xero-tenant-id", book.tenant())), body)
            }
            Self::Sage(book) => {
                let list = if is_invoice { "sales_invoices" } else { "sales_credit_notes" };
                ("POST", format!("/v3.1/{list}/{id}/release"), Some(("x-business", book.business())), json!({}))
            }
        };
        let mut headers = vec![("authorization", format!("Bearer {TOKEN}")), ("user-agent", "somebody".to_owned())];
        headers.push(("accept", "application/json".to_owned()));
        headers.push(("content-type", "application/json".to_owned()));
        headers.extend(own);
        let answer = self.answers(&Request {
            method: method.to_owned(),
            path,
            query: String::new(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: body.to_string().into(),
        });
        let said = || String::from_utf8_lossy(&answer.body).into_owned();
        anyhow::ensure!((200..300).contains(&answer.status), "the book answers {}: {}", answer.status, said());
        Ok(())
    }

    /// The book has had enough requests for now.
    pub fn is_tired(&self) {
        let limited =
            || FaultSpec { method: None, ..FaultSpec::on("", "/", 1, BookFault::RateLimited { retry_after: None }) };
        match self {
            Self::Family(book) => book.faults(limited()),
            Self::Accounting(book) => book.faults(limited()),
            // Counted by the book itself: what it says of when to come again is one of its switches.
            Self::Sage(book) => book.sets_up(|options| options.requests_per_minute = Some(0)),
        }
    }

    /// The next creating call of an invoice is answered by an internal error, and not applied.
    pub fn stumbles_over_an_invoice(&self) {
        let fault = |method: &str, path: &str| FaultSpec::on(method, path, 1, BookFault::page(500, false));
        match self {
            Self::Family(book) => book.faults(fault("POST", "/v2/invoices")),
            Self::Accounting(book) => book.faults(fault("PUT", "/api.xro/2.0/Invoices")),
            Self::Sage(book) => book.faults(fault("POST", "/v3.1/sales_invoices")),
        }
    }

    /// The book's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        match self {
            Self::Family(book) => book.clock(),
            Self::Accounting(book) => book.clock(),
            Self::Sage(book) => book.clock(),
        }
    }

    /// What isn't known of the real book: the name of each switch, and how it stands.
    ///
    /// # Errors
    /// Never with switches of plain values.
    pub fn switches(&self) -> anyhow::Result<Map<String, Value>> {
        let all = match self {
            Self::Family(_) => serde_json::to_value(Switches::default()),
            Self::Accounting(_) => serde_json::to_value(AccountingSwitches::default()),
            Self::Sage(_) => serde_json::to_value(SageSwitches::default()),
        }?;
        Ok(all.as_object().cloned().unwrap_or_default())
    }

    /// Sets a switch, all others as they are from the start.
    ///
    /// # Errors
    /// Where there is no such switch, or it has no such position.
    pub fn sets(&self, switch: &str, position: Value) -> anyhow::Result<()> {
        let mut all = self.switches()?;
        all.insert(switch.to_owned(), position);
        let all = Value::Object(all);
        match self {
            Self::Family(book) => {
                let read: Switches = serde_json::from_value(all)?;
                book.sets(|switches| *switches = read);
            }
            Self::Accounting(book) => {
                let read: AccountingSwitches = serde_json::from_value(all)?;
                book.sets(|switches| *switches = read);
            }
            Self::Sage(book) => {
                let read: SageSwitches = serde_json::from_value(all)?;
                book.sets(|switches| *switches = read);
            }
        }
        Ok(())
    }
}

/// A line of somebody else's document in the accounting book.
pub(crate) fn accounting_line(account: &str) -> Value {
    json!([{"Description": "Something", "Quantity": 1, "UnitAmount": 999, "AccountCode": account,
            "TaxType": "ZERORATEDOUTPUT"}])
}
