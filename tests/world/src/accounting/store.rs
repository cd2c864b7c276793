//! What the book holds, and how it shows it.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Map, Value, json};

use super::chart::{self, Account, TaxRate};
use super::spec::{AccountingOptions, AccountingSwitches, CurrencyRate, NegativeHalf, PaidBackAs};
use super::wire::{bare_moment, day, day_text, moment, money, number};
use crate::amount::{round, written};
use crate::clock::iso;
use crate::desk::Desk;
use crate::fields::{Fields, text};
use crate::identity::{Authority, Organisation};
use crate::server::Answer;
use crate::statement::{
    AllocationLine, BankLine, ContactLine, DocumentLine, PaymentLine, ProductLine, RefundLine, Statement,
};

/// The id of what doesn't exist.
pub(crate) const NIL: &str = "00000000-0000-0000-0000-000000000000";
/// The book's own day rates, foreign units for one native; everything else is at par.
const OWN_RATES: [(&str, i64); 5] =
    [("EUR", 1_165_000), ("USD", 1_310_000), ("JPY", 195_000_000), ("AUD", 1_990_000), ("KWD", 402_000)];
const RATE_DECIMALS: u32 = 6;
const SHOWN_RATE_DECIMALS: u32 = 10;
const RATE_SCALE: u32 = 4;

/// A contact.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) id: String,
    pub(crate) fields: Fields,
    pub(crate) archived: bool,
    pub(crate) updated_at: i64,
}

impl Contact {
    pub(crate) fn name(&self) -> String {
        text(&self.fields, "Name")
    }
}

/// An item.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) fields: Fields,
    pub(crate) updated_at: i64,
}

/// A line of a document.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) quantity: Option<Decimal>,
    pub(crate) unit: Option<Decimal>,
    pub(crate) amount: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) tax_type: String,
    pub(crate) account: String,
    pub(crate) item: String,
    /// Discount and tracking, as they came.
    pub(crate) kept: Fields,
}

/// An invoice or a credit note.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) is_credit: bool,
    /// Everything that was sent for it so far.
    pub(crate) given: Fields,
    pub(crate) contact: String,
    pub(crate) number: String,
    pub(crate) status: String,
    pub(crate) date: String,
    pub(crate) due: String,
    pub(crate) amount_types: String,
    pub(crate) currency: String,
    pub(crate) rate: Decimal,
    pub(crate) lines: Vec<Line>,
    pub(crate) net: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) total: Decimal,
    /// Decimals its unit amounts were rounded to.
    pub(crate) unit_decimals: u32,
    pub(crate) warnings: Vec<String>,
    pub(crate) updated_at: i64,
}

/// Money for an invoice, or back for a credit note.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) account: String,
    pub(crate) date: String,
    pub(crate) amount: Decimal,
    pub(crate) rate: Decimal,
    pub(crate) bank_amount: Decimal,
    pub(crate) reference: String,
    pub(crate) deleted: bool,
    pub(crate) updated_at: i64,
}

/// A credit note set off against an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Allocation {
    pub(crate) id: String,
    pub(crate) credit_note: String,
    pub(crate) invoice: String,
    pub(crate) amount: Decimal,
    pub(crate) date: String,
}

/// What is kept: it can be put back as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) accounts: Vec<Account>,
    pub(crate) tax_rates: Vec<TaxRate>,
    pub(crate) currencies: Vec<String>,
    pub(crate) contacts: Vec<Contact>,
    pub(crate) items: Vec<Item>,
    pub(crate) documents: Vec<Document>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) allocations: Vec<Allocation>,
}

/// An answer under an idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    pub(crate) at: i64,
    pub(crate) request: String,
    pub(crate) answer: Answer,
}

/// Everything in the book.
#[derive(Debug)]
pub(crate) struct Store {
    /// As it was opened.
    pub(crate) opened: AccountingOptions,
    pub(crate) options: AccountingOptions,
    pub(crate) switches: AccountingSwitches,
    pub(crate) desk: Desk,
    pub(crate) kept: Kept,
    pub(crate) last_id: u64,
    pub(crate) connected: bool,
    /// Scopes the tokens don't have.
    pub(crate) lacking_scopes: BTreeSet<String>,
    pub(crate) remembered: BTreeMap<String, Remembered>,
    /// The minute that is counted, and how many requests came in it.
    pub(crate) this_minute: (i64, u32),
    /// The same of the day.
    pub(crate) this_day: (i64, u32),
}

impl Store {
    pub(crate) fn new(options: AccountingOptions) -> Self {
        let desk = Desk::new(
            options.clock.clone(),
            &options.tokens,
            options.latency_milliseconds,
            Authority::Accounting,
            Organisation::new(&options.tenant, &options.organisation),
            &[Organisation::new(AccountingOptions::OTHER_TENANT, AccountingOptions::OTHER_ORGANISATION)],
        );
        let mut store = Self {
            switches: options.switches,
            desk,
            kept: Kept::default(),
            last_id: 0,
            connected: true,
            lacking_scopes: BTreeSet::new(),
            remembered: BTreeMap::new(),
            this_minute: (0, 0),
            this_day: (0, 0),
            opened: options.clone(),
            options,
        };
        store.kept.accounts = chart::accounts(|| store_id(&mut store.last_id));
        store.kept.tax_rates = chart::tax_rates();
        store.kept.currencies.push(store.options.currency.clone());
        for code in &store.options.currencies {
            if !store.kept.currencies.contains(code) {
                store.kept.currencies.push(code.clone());
            }
        }
        store
    }

    pub(crate) fn now(&self) -> i64 {
        self.options.clock.now()
    }

    /// Today in the organisation's time zone.
    pub(crate) fn today(&self) -> String {
        jiff::Timestamp::from_second(self.now())
            .ok()
            .and_then(|now| now.in_tz(&self.options.time_zone).ok())
            .map_or_else(|| crate::clock::date(self.now()), |now| now.date().to_string())
    }

    pub(crate) fn next_id(&mut self) -> String {
        store_id(&mut self.last_id)
    }

    /// Rounded to so many decimals, half a unit below zero as the switch says.
    pub(crate) fn rounded(&self, figure: Decimal, decimals: u32) -> Decimal {
        match self.switches.negative_half {
            NegativeHalf::Up if figure.is_sign_negative() => {
                figure.round_dp_with_strategy(decimals, RoundingStrategy::MidpointTowardZero)
            }
            NegativeHalf::Up | NegativeHalf::AwayFromZero => round(figure, decimals),
        }
    }

    /// The book's own rate of the day.
    pub(crate) fn own_rate(&self, currency: &str) -> Decimal {
        if currency == self.options.currency {
            return Decimal::ONE;
        }
        let foreign = OWN_RATES
            .iter()
            .find(|(code, _)| *code == currency)
            .map_or(Decimal::ONE, |(_, millionths)| Decimal::new(*millionths, RATE_DECIMALS));
        match self.switches.currency_rate {
            CurrencyRate::DocumentPerBase => foreign,
            CurrencyRate::BasePerDocument => round(Decimal::ONE / foreign, RATE_DECIMALS),
        }
    }

    /// An amount in the organisation's currency.
    pub(crate) fn in_base(&self, amount: Decimal, rate: Decimal) -> Decimal {
        let base = match self.switches.currency_rate {
            CurrencyRate::DocumentPerBase => amount.checked_div(rate).unwrap_or(amount),
            CurrencyRate::BasePerDocument => amount.checked_mul(rate).unwrap_or(amount),
        };
        round(base, 2)
    }

    pub(crate) fn account(&self, code_or_id: &str) -> Option<&Account> {
        self.kept.accounts.iter().find(|account| {
            account.id.eq_ignore_ascii_case(code_or_id) || (!code_or_id.is_empty() && account.code == code_or_id)
        })
    }

    pub(crate) fn tax_rate(&self, tax_type: &str) -> Option<&TaxRate> {
        self.kept.tax_rates.iter().find(|rate| rate.tax_type == tax_type)
    }

    pub(crate) fn contact(&self, id: &str) -> Option<&Contact> {
        self.kept.contacts.iter().find(|contact| contact.id.eq_ignore_ascii_case(id))
    }

    /// What a bookkeeper archives takes nothing any more.
    pub(crate) fn archives(&mut self, contact: &str) -> anyhow::Result<()> {
        let now = self.now();
        let found = self.kept.contacts.iter_mut().find(|known| known.id.eq_ignore_ascii_case(contact));
        let found = found.ok_or_else(|| anyhow::anyhow!("there is no such contact"))?;
        (found.archived, found.updated_at) = (true, now);
        Ok(())
    }

    pub(crate) fn item(&self, code_or_id: &str) -> Option<&Item> {
        let by_code = |item: &&Item| text(&item.fields, "Code") == code_or_id;
        let items = &self.kept.items;
        items.iter().find(|item| item.id.eq_ignore_ascii_case(code_or_id)).or_else(|| items.iter().find(by_code))
    }

    /// A document by its id, else by its number.
    pub(crate) fn document(&self, is_credit: bool, id_or_number: &str) -> Option<&Document> {
        let of_kind = || self.kept.documents.iter().filter(|document| document.is_credit == is_credit);
        of_kind()
            .find(|document| document.id.eq_ignore_ascii_case(id_or_number))
            .or_else(|| of_kind().rfind(|document| document.number == id_or_number))
    }

    /// What was paid for a document, or back.
    pub(crate) fn paid(&self, document: &str) -> Decimal {
        self.payments_of(document).map(|payment| payment.amount).sum()
    }

    pub(crate) fn payments_of<'a>(&'a self, document: &'a str) -> impl Iterator<Item = &'a Payment> {
        self.kept.payments.iter().filter(move |payment| payment.document == document && !payment.deleted)
    }

    pub(crate) fn allocations_of<'a>(&'a self, document: &'a str) -> impl Iterator<Item = &'a Allocation> {
        let allocations = self.kept.allocations.iter();
        allocations.filter(move |allocation| allocation.invoice == document || allocation.credit_note == document)
    }

    pub(crate) fn allocated(&self, document: &str) -> Decimal {
        self.allocations_of(document).map(|allocation| allocation.amount).sum()
    }

    /// What is left to be paid or used.
    pub(crate) fn outstanding(&self, document: &Document) -> Decimal {
        match document.status.as_str() {
            "VOIDED" | "DELETED" => Decimal::ZERO,
            _ => document.total - self.paid(&document.id) - self.allocated(&document.id),
        }
    }

    /// Where it stands; `PAID` follows from what is left.
    pub(crate) fn status<'a>(&self, document: &'a Document) -> &'a str {
        let settled = document.status == "AUTHORISED" && self.outstanding(document).is_zero();
        if settled && (!document.total.is_zero() || self.switches.zero_documents_are_paid) {
            "PAID"
        } else {
            &document.status
        }
    }

    pub(crate) fn envelope(&mut self, name: &str, shown: Vec<Value>) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("Id".to_owned(), json!(self.next_id()));
        body.insert("Status".to_owned(), json!("OK"));
        body.insert("ProviderName".to_owned(), json!("Ledger"));
        body.insert("DateTimeUTC".to_owned(), bare_moment(self.now()));
        body.insert(name.to_owned(), Value::Array(shown));
        body
    }

    pub(crate) fn show_contact(&self, contact: &Contact) -> Value {
        let mut shown = contact.fields.clone();
        let blank = |field: &str, kind: &str| json!({field: kind});
        shown
            .entry("Addresses")
            .or_insert_with(|| json!([blank("AddressType", "STREET"), blank("AddressType", "POBOX")]));
        shown
            .entry("Phones")
            .or_insert_with(|| json!(["DDI", "DEFAULT", "FAX", "MOBILE"].map(|k| blank("PhoneType", k))));
        shown.entry("ContactPersons").or_insert_with(|| json!([]));
        let involved = self.kept.documents.iter().any(|document| document.contact == contact.id);
        extend(
            &mut shown,
            json!({
                "ContactID": contact.id,
                "ContactStatus": if contact.archived { "ARCHIVED" } else { "ACTIVE" },
                "ContactGroups": [],
                "IsSupplier": false,
                "IsCustomer": involved,
                "HasAttachments": false,
                "HasValidationErrors": false,
                "UpdatedDateUTC": moment(contact.updated_at),
            }),
        );
        Value::Object(shown)
    }

    fn show_contact_briefly(&self, id: &str) -> Value {
        let name = self.contact(id).map(Contact::name).unwrap_or_default();
        json!({
            "ContactID": id, "Name": name, "Addresses": [], "Phones": [], "ContactGroups": [], "ContactPersons": [],
            "HasValidationErrors": false,
        })
    }

    pub(crate) fn show_item(&self, item: &Item) -> Value {
        let mut shown = item.fields.clone();
        for details in ["SalesDetails", "PurchaseDetails"] {
            if let Some(price) = shown.get_mut(details).and_then(Value::as_object_mut)
                && let Some(figure) = crate::fields::figure(price, "UnitPrice")
            {
                price.insert("UnitPrice".to_owned(), number(figure, figure.scale().max(2)));
            }
        }
        let tracked = shown.contains_key("InventoryAssetAccountCode");
        extend(
            &mut shown,
            json!({
                "ItemID": item.id,
                "IsTrackedAsInventory": tracked,
                "UpdatedDateUTC": moment(item.updated_at),
                "HasValidationErrors": false,
            }),
        );
        shown.entry("IsSold").or_insert(json!(true));
        shown.entry("IsPurchased").or_insert(json!(true));
        Value::Object(shown)
    }

    pub(crate) fn show_document(&self, document: &Document, with_lines: bool) -> Value {
        let mut shown = Map::new();
        for field in ["Reference", "BrandingThemeID", "Url", "ExpectedPaymentDate"] {
            if let Some(value) = document.given.get(field).filter(|value| !value.is_null()) {
                shown.insert(field.to_owned(), value.clone());
            }
        }
        let (paid, allocated) = (self.paid(&document.id), self.allocated(&document.id));
        let outstanding = self.outstanding(document);
        let status = self.status(document);
        extend(
            &mut shown,
            json!({
                "Contact": self.show_contact_briefly(&document.contact),
                "DateString": day_text(&document.date),
                "Date": day(&document.date),
                "Status": status,
                "LineAmountTypes": document.amount_types,
                "SubTotal": money(document.net),
                "TotalTax": money(document.tax),
                "Total": money(document.total),
                "CurrencyCode": document.currency,
                "CurrencyRate": number(document.rate, SHOWN_RATE_DECIMALS),
                "UpdatedDateUTC": moment(document.updated_at),
                "UpdatedDateUTCString": iso(document.updated_at),
                "HasAttachments": false,
                "HasErrors": false,
            }),
        );
        if status == "PAID" {
            let last = self.payments_of(&document.id).map(|payment| payment.date.clone()).max();
            shown.insert("FullyPaidOnDate".to_owned(), day(&last.unwrap_or_else(|| document.date.clone())));
        }
        if !document.warnings.is_empty() {
            let warnings: Vec<Value> = document.warnings.iter().map(|message| json!({"Message": message})).collect();
            shown.insert("Warnings".to_owned(), Value::Array(warnings));
        }
        let payments: Vec<Value> = self
            .payments_of(&document.id)
            .map(|payment| {
                json!({
                    "PaymentID": payment.id, "Date": day(&payment.date), "Amount": money(payment.amount),
                    "Reference": payment.reference, "CurrencyRate": number(payment.rate, SHOWN_RATE_DECIMALS),
                    "HasAccount": false, "HasValidationErrors": false,
                })
            })
            .collect();
        if document.is_credit {
            let allocations: Vec<Value> =
                self.allocations_of(&document.id).map(|allocation| self.show_allocation(allocation)).collect();
            extend(
                &mut shown,
                json!({
                    "Type": "ACCRECCREDIT",
                    "CreditNoteID": document.id,
                    "CreditNoteNumber": document.number,
                    "RemainingCredit": money(outstanding),
                    "AppliedAmount": money(allocated),
                    "Allocations": allocations,
                    "Payments": payments,
                }),
            );
        } else {
            extend(
                &mut shown,
                json!({
                    "Type": "ACCREC",
                    "InvoiceID": document.id,
                    "InvoiceNumber": document.number,
                    "AmountDue": money(outstanding),
                    "AmountPaid": money(paid),
                    "AmountCredited": money(allocated),
                    "SentToContact": document.given.get("SentToContact").cloned().unwrap_or(json!(false)),
                    "IsDiscounted": document.lines.iter().any(|line| line.kept.contains_key("DiscountRate")),
                }),
            );
            if !document.due.is_empty() {
                shown.insert("DueDateString".to_owned(), day_text(&document.due));
                shown.insert("DueDate".to_owned(), day(&document.due));
            }
            if with_lines {
                let credits: Vec<Value> = self
                    .allocations_of(&document.id)
                    .map(|allocation| {
                        let number = self.document(true, &allocation.credit_note).map(|note| note.number.clone());
                        json!({
                            "CreditNoteID": allocation.credit_note, "CreditNoteNumber": number,
                            "ID": allocation.credit_note, "HasErrors": false,
                            "AppliedAmount": money(allocation.amount), "DateString": day_text(&allocation.date),
                            "Date": day(&allocation.date), "LineItems": [], "Total": money(allocation.amount),
                        })
                    })
                    .collect();
                extend(
                    &mut shown,
                    json!({"Payments": payments, "CreditNotes": credits, "Prepayments": [], "Overpayments": []}),
                );
            }
        }
        let lines = document.lines.iter().map(|line| self.show_line(line, document.unit_decimals));
        shown.insert("LineItems".to_owned(), if with_lines { lines.collect() } else { json!([]) });
        Value::Object(shown)
    }

    fn show_line(&self, line: &Line, unit_decimals: u32) -> Value {
        let mut shown = line.kept.clone();
        shown.entry("Tracking").or_insert(json!([]));
        extend(
            &mut shown,
            json!({
                "LineItemID": line.id,
                "Description": line.description,
                "LineAmount": money(line.amount),
                "TaxAmount": money(line.tax),
                "TaxType": line.tax_type,
            }),
        );
        if let Some(quantity) = line.quantity {
            shown.insert("Quantity".to_owned(), number(quantity, RATE_SCALE));
        }
        if let Some(unit) = line.unit {
            shown.insert("UnitAmount".to_owned(), number(unit, unit_decimals));
        }
        if let Some(account) = self.account(&line.account) {
            shown.insert("AccountCode".to_owned(), json!(account.code));
            shown.insert("AccountID".to_owned(), json!(account.id));
        }
        if !line.item.is_empty() {
            shown.insert("ItemCode".to_owned(), json!(line.item));
        }
        Value::Object(shown)
    }

    pub(crate) fn show_allocation(&self, allocation: &Allocation) -> Value {
        let number = self.document(false, &allocation.invoice).map(|invoice| invoice.number.clone());
        json!({
            "AllocationID": allocation.id,
            "Amount": money(allocation.amount),
            "Date": day(&allocation.date),
            "Invoice": {
                "InvoiceID": allocation.invoice, "InvoiceNumber": number, "Payments": [], "CreditNotes": [],
                "Prepayments": [], "Overpayments": [], "HasErrors": false, "LineItems": [],
            },
            "IsDeleted": false,
        })
    }

    pub(crate) fn show_payment(&self, payment: &Payment) -> Value {
        let document = self.kept.documents.iter().find(|document| document.id == payment.document);
        let is_credit = document.is_some_and(|document| document.is_credit);
        let mut shown = json!({
            "PaymentID": payment.id,
            "DateString": day_text(&payment.date),
            "Date": day(&payment.date),
            "BankAmount": money(payment.bank_amount),
            "Amount": money(payment.amount),
            "Reference": payment.reference,
            "CurrencyRate": number(payment.rate, SHOWN_RATE_DECIMALS),
            "PaymentType": if is_credit { "ARCREDITPAYMENT" } else { "ACCRECPAYMENT" },
            "Status": if payment.deleted { "DELETED" } else { "AUTHORISED" },
            "UpdatedDateUTC": moment(payment.updated_at),
            "UpdatedDateUTCString": iso(payment.updated_at),
            "HasAccount": true,
            "IsReconciled": false,
            "Account": self.account(&payment.account).map(|account| json!({
                "AccountID": account.id, "Code": account.code, "Name": account.name,
            })),
            "HasValidationErrors": false,
        });
        if let (Some(fields), Some(document)) = (shown.as_object_mut(), document) {
            let mut of = self.show_document(document, false);
            let key = match (is_credit, self.switches.paid_back_as) {
                (true, PaidBackAs::CreditNote) => "CreditNote",
                (false, _) => "Invoice",
                (true, PaidBackAs::Invoice) => {
                    of = json!({
                        "Type": "ACCRECCREDIT", "InvoiceID": document.id, "InvoiceNumber": document.number,
                        "HasErrors": false, "IsDiscounted": false, "LineItems": [],
                    });
                    "Invoice"
                }
            };
            fields.insert(key.to_owned(), of);
        }
        shown
    }

    pub(crate) fn organisation(&self) -> Value {
        let mut shown = json!({
            "Name": self.options.organisation,
            "LegalName": self.options.organisation,
            "PaysTax": true,
            "Version": "UK",
            "OrganisationType": "COMPANY",
            "BaseCurrency": self.options.currency,
            "CountryCode": "GB",
            "IsDemoCompany": true,
            "OrganisationStatus": "ACTIVE",
            "FinancialYearEndDay": 31,
            "FinancialYearEndMonth": 3,
            "SalesTaxBasis": "ACCRUALS",
            "SalesTaxPeriod": "QUARTERLY",
            "DefaultSalesTax": "Tax Exclusive",
            "DefaultPurchasesTax": "Tax Exclusive",
            "CreatedDateUTC": "/Date(1586304000000)/",
            "OrganisationEntityType": "COMPANY",
            "Timezone": "GMTSTANDARDTIME",
            "ShortCode": "!23eYt",
            "OrganisationID": self.options.tenant,
            "Edition": "BUSINESS",
            "Class": "DEMO",
            "Addresses": [], "Phones": [], "ExternalLinks": [], "PaymentTerms": {},
        });
        if let Some(fields) = shown.as_object_mut() {
            for (field, date) in [
                ("PeriodLockDate", &self.options.period_lock_date),
                ("EndOfYearLockDate", &self.options.end_of_year_lock_date),
            ] {
                if let Some(date) = date {
                    fields.insert(field.to_owned(), day(date));
                }
            }
        }
        shown
    }

    /// Everything, by kind, as the API shows it.
    pub(crate) fn documents(&self) -> Value {
        let of_kind = |is_credit: bool| -> Vec<Value> {
            let documents = self.kept.documents.iter().filter(|document| document.is_credit == is_credit);
            documents.map(|document| self.show_document(document, true)).collect()
        };
        super::wire::read(&json!({
            "contacts": self.kept.contacts.iter().map(|contact| self.show_contact(contact)).collect::<Vec<_>>(),
            "items": self.kept.items.iter().map(|item| self.show_item(item)).collect::<Vec<_>>(),
            "invoices": of_kind(false),
            "credit_notes": of_kind(true),
            "payments": self.kept.payments.iter().map(|payment| self.show_payment(payment)).collect::<Vec<_>>(),
            "allocations":
                self.kept.allocations.iter().map(|allocation| self.show_allocation(allocation)).collect::<Vec<_>>(),
        }))
    }

    /// The book in the shape that all books share.
    pub(crate) fn statement(&self) -> Statement {
        let lines = |is_credit: bool| {
            let documents = self.kept.documents.iter().filter(move |document| document.is_credit == is_credit);
            documents.map(|document| self.statement_line(document)).collect()
        };
        let account_id = |code: &str| self.account(code).map(|account| account.id.clone()).unwrap_or_default();
        let currency_of = |id: &str| {
            let document = self.kept.documents.iter().find(|document| document.id == id);
            document.map(|document| document.currency.clone()).unwrap_or_default()
        };
        let mut payments = Vec::new();
        let mut refunds = Vec::new();
        for payment in self.kept.payments.iter().filter(|payment| !payment.deleted) {
            let (id, reference) = (payment.id.clone(), payment.reference.clone());
            let (currency, document) = (currency_of(&payment.document), payment.document.clone());
            let (date, amount) = (payment.date.clone(), written(payment.amount, &currency));
            let account = account_id(&payment.account);
            let account_amount = written(payment.bank_amount, &self.account_currency(&payment.account));
            if self.document(true, &document).is_some() {
                let credit_note = document;
                refunds.push(RefundLine {
                    id,
                    reference,
                    credit_note,
                    date,
                    amount,
                    currency,
                    account,
                    account_amount,
                });
            } else {
                let invoice = document;
                payments.push(PaymentLine { id, reference, invoice, date, amount, currency, account, account_amount });
            }
        }
        Statement {
            currency: self.options.currency.clone(),
            contacts: self
                .kept
                .contacts
                .iter()
                .map(|contact| ContactLine {
                    id: contact.id.clone(),
                    name: contact.name(),
                    email: text(&contact.fields, "EmailAddress"),
                    currency: None,
                    active: !contact.archived,
                })
                .collect(),
            products: self
                .kept
                .items
                .iter()
                .map(|item| {
                    let price = crate::fields::object(&item.fields, "SalesDetails")
                        .and_then(|details| crate::fields::figure(details, "UnitPrice"));
                    ProductLine {
                        id: item.id.clone(),
                        code: text(&item.fields, "Code"),
                        name: text(&item.fields, "Name"),
                        price: price.map(|price| written(price, &self.options.currency)).unwrap_or_default(),
                        stock: None,
                    }
                })
                .collect(),
            invoices: lines(false),
            credit_notes: lines(true),
            payments,
            allocations: self
                .kept
                .allocations
                .iter()
                .map(|allocation| AllocationLine {
                    id: allocation.id.clone(),
                    credit_note: allocation.credit_note.clone(),
                    invoice: allocation.invoice.clone(),
                    amount: written(allocation.amount, &currency_of(&allocation.invoice)),
                })
                .collect(),
            refunds,
            stock_movements: Vec::new(),
            bank_accounts: self
                .kept
                .accounts
                .iter()
                .filter(|account| account.receives())
                .map(|account| BankLine {
                    id: account.id.clone(),
                    name: account.name.clone(),
                    currency: self.account_currency(&account.code),
                    balance: written(self.balance(&account.code), &self.account_currency(&account.code)),
                })
                .collect(),
        }
    }

    fn statement_line(&self, document: &Document) -> DocumentLine {
        let status = self.status(document);
        let outstanding = self.outstanding(document);
        let approved = ["AUTHORISED", "PAID"].contains(&status);
        DocumentLine {
            id: document.id.clone(),
            number: document.number.clone(),
            contact: document.contact.clone(),
            status: status.to_owned(),
            open: !outstanding.is_zero(),
            approved,
            date: document.date.clone(),
            due: document.due.clone(),
            currency: document.currency.clone(),
            total: written(document.total, &document.currency),
            tax: written(document.tax, &document.currency),
            outstanding: written(outstanding, &document.currency),
        }
    }

    fn account_currency(&self, code: &str) -> String {
        let of_bank = self.account(code).and_then(|account| account.currency.clone());
        of_bank.unwrap_or_else(|| self.options.currency.clone())
    }

    /// What came in on an account, less what went out.
    fn balance(&self, code: &str) -> Decimal {
        let of_account = self.kept.payments.iter().filter(|payment| payment.account == code && !payment.deleted);
        of_account
            .map(|payment| {
                let is_refund = self.document(true, &payment.document).is_some();
                if is_refund { -payment.bank_amount } else { payment.bank_amount }
            })
            .sum()
    }
}

fn store_id(last: &mut u64) -> String {
    *last = last.saturating_add(1);
    format!("5f1e0000-0000-4000-8000-{last:012x}")
}

/// Puts the fields of an object over those that are there.
pub(crate) fn extend(fields: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        fields.extend(more);
    }
}
