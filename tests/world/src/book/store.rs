//! What the book holds, and how it shows it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::spec::{BookOptions, CreditNoteFigures, House, Seat, Switches};
use crate::amount::round;
use crate::clock::{date, iso};
use crate::desk::Desk;
use crate::identity::{Authority, BOOKKEEPER, Holder, Organisation};

/// Categories the company begins with: group, code, description.
const CATEGORIES: [(&str, &str, &str); 9] = [
    (INCOME, "001", "Sales"),
    (INCOME, "002", "Postage and packing"),
    (INCOME, "003", "Sales of services"),
    (INCOME, "004", "Rounding"),
    (INCOME, "005", "Other income"),
    (ADMIN_EXPENSES, "363", "Bank and finance charges"),
    (ADMIN_EXPENSES, "285", "Accommodation and meals"),
    (COST_OF_SALES, "101", "Cost of sales"),
    (GENERAL, "750", "Bank accounts"),
];
/// The group whose categories a sales document's line may name.
pub(crate) const INCOME: &str = "income_categories";
pub(crate) const ADMIN_EXPENSES: &str = "admin_expenses_categories";
pub(crate) const COST_OF_SALES: &str = "cost_of_sales_categories";
pub(crate) const GENERAL: &str = "general_categories";
/// Accounts the company begins with.
const BANK_ACCOUNTS: [(u64, &str, &str); 3] =
    [(1, "Current account", "GBP"), (2, "Card clearing", "GBP"), (3, "Euro account", "EUR")];

/// What is a figure of a price list item even if it came as text.
const FIGURES: [&str; 3] = ["quantity", "price", "sales_tax_rate"];

/// A contact.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) id: u64,
    pub(crate) fields: Map<String, Value>,
    /// The e-mail address as it is compared.
    pub(crate) email: String,
    pub(crate) hidden: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl Contact {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> String {
        let organisation = self.text("organisation_name");
        if organisation.is_empty() {
            format!("{} {}", self.text("first_name"), self.text("last_name")).trim().to_owned()
        } else {
            organisation.to_owned()
        }
    }
}

/// A line of a document.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: u64,
    /// As it came, for changes of a draft.
    pub(crate) fields: Map<String, Value>,
    pub(crate) description: String,
    pub(crate) item_type: String,
    pub(crate) quantity: Decimal,
    pub(crate) price: Decimal,
    pub(crate) rate: Decimal,
    pub(crate) tax_status: Option<String>,
    pub(crate) category: String,
    pub(crate) net: Decimal,
    pub(crate) tax: Decimal,
}

/// The two kinds of sales documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What a customer owes.
    Invoice,
    /// What a customer is owed; its figures are negative.
    CreditNote,
}

impl Kind {
    /// The root element of one.
    pub(crate) fn entity(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
        }
    }

    /// The path of all, and the root element of a list.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::Invoice => "invoices",
            Self::CreditNote => "credit_notes",
        }
    }

    /// The field that holds the lines.
    pub(crate) fn items(self) -> &'static str {
        match self {
            Self::Invoice => "invoice_items",
            Self::CreditNote => "credit_note_items",
        }
    }

    pub(crate) fn of_collection(collection: &str) -> Option<Self> {
        [Self::Invoice, Self::CreditNote].into_iter().find(|kind| kind.collection() == collection)
    }
}

/// How far a document has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Draft,
    Scheduled,
    Sent,
    Cancelled,
}

/// An invoice or a credit note.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) stage: Stage,
    pub(crate) contact: u64,
    pub(crate) reference: String,
    pub(crate) dated_on: String,
    pub(crate) payment_terms_in_days: i64,
    pub(crate) currency: String,
    pub(crate) exchange_rate: Decimal,
    pub(crate) items: Vec<Item>,
    pub(crate) net: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) total: Decimal,
    /// Money received for an invoice or paid back for a credit note; positive.
    pub(crate) paid: Decimal,
    /// Set off against a document of the other kind; positive.
    pub(crate) reconciled: Decimal,
    /// The fields as they came, without the lines.
    pub(crate) fields: Map<String, Value>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl Document {
    /// What is left to be paid or used; positive for both kinds, negative where too much was paid.
    pub(crate) fn outstanding(&self) -> Decimal {
        if self.stage == Stage::Cancelled {
            return Decimal::ZERO;
        }
        let whole = match self.kind {
            Kind::Invoice => self.total,
            Kind::CreditNote => -self.total,
        };
        whole - self.paid - self.reconciled
    }

    /// With the sign that figures of its kind have.
    pub(crate) fn signed(&self, figure: Decimal) -> Decimal {
        match self.kind {
            Kind::Invoice => figure,
            Kind::CreditNote => -figure,
        }
    }

    pub(crate) fn due_on(&self) -> Option<String> {
        due_on(&self.dated_on, self.payment_terms_in_days)
    }

    /// The book's word for where it stands on a day.
    pub(crate) fn status(&self, today: &str) -> &'static str {
        let outstanding = self.outstanding();
        let is_overdue = || self.due_on().is_some_and(|due| due.as_str() < today);
        match (self.kind, self.stage) {
            (_, Stage::Draft) => "Draft",
            (_, Stage::Scheduled) => "Scheduled To Email",
            (_, Stage::Cancelled) if self.paid.is_zero() && self.reconciled.is_zero() => "Written-off",
            (_, Stage::Cancelled) => "Part written-off",
            (Kind::Invoice, Stage::Sent) if self.total.is_zero() => "Zero Value",
            (Kind::Invoice, Stage::Sent) if outstanding < Decimal::ZERO => "Overpaid",
            (Kind::Invoice, Stage::Sent) if outstanding.is_zero() => "Paid",
            (Kind::CreditNote, Stage::Sent) if outstanding.is_zero() => "Refunded",
            (_, Stage::Sent) if is_overdue() => "Overdue",
            (_, Stage::Sent) => "Open",
        }
    }
}

/// A credit note set off against an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Reconciliation {
    pub(crate) id: u64,
    pub(crate) invoice: u64,
    pub(crate) credit_note: u64,
    pub(crate) gross: Decimal,
    pub(crate) dated_on: String,
    pub(crate) currency: String,
    pub(crate) exchange_rate: Decimal,
    pub(crate) created_at: i64,
}

/// A bank account.
#[derive(Clone, Debug)]
pub(crate) struct BankAccount {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) currency: String,
    pub(crate) email: Option<String>,
    pub(crate) opening: Decimal,
    pub(crate) created_at: i64,
}

/// Money on a bank account.
#[derive(Clone, Debug)]
pub(crate) struct BankTransaction {
    pub(crate) id: u64,
    pub(crate) account: u64,
    pub(crate) dated_on: String,
    pub(crate) amount: Decimal,
    pub(crate) description: String,
    pub(crate) created_at: i64,
}

/// What money on a bank account was for.
#[derive(Clone, Debug)]
pub(crate) struct Explanation {
    pub(crate) id: u64,
    pub(crate) account: u64,
    /// Zero until it is taken in, where it makes a transaction of its own.
    pub(crate) transaction: u64,
    pub(crate) dated_on: String,
    /// In the account's currency, with its sign.
    pub(crate) gross: Decimal,
    /// The document that was paid, and how much of it in the document's currency; positive.
    pub(crate) paid: Option<(Kind, u64, Decimal)>,
    /// `foreign_currency_value` as it came.
    pub(crate) foreign: Option<Decimal>,
    pub(crate) fields: Map<String, Value>,
    pub(crate) created_at: i64,
}

/// A category.
#[derive(Clone, Debug)]
pub(crate) struct Category {
    pub(crate) group: String,
    pub(crate) code: String,
    pub(crate) description: String,
}

/// Something the book keeps without understanding much of it.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(crate) id: u64,
    pub(crate) fields: Map<String, Value>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// Everything in the book.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) options: BookOptions,
    pub(crate) base_url: String,
    pub(crate) switches: Switches,
    pub(crate) desk: Desk,
    pub(crate) permission_level: u8,
    /// Who bears the token of the request that is being obeyed; nobody, if the control API gave it.
    pub(crate) acting: Option<Holder>,
    /// The last day of the period that is closed.
    pub(crate) locked_until: Option<String>,
    pub(crate) contacts: BTreeMap<u64, Contact>,
    pub(crate) invoices: BTreeMap<u64, Document>,
    pub(crate) credit_notes: BTreeMap<u64, Document>,
    /// How many documents have a reference: a book may hold very many.
    references: BTreeMap<String, u32>,
    pub(crate) reconciliations: BTreeMap<u64, Reconciliation>,
    pub(crate) price_list_items: BTreeMap<u64, Plain>,
    pub(crate) bank_accounts: BTreeMap<u64, BankAccount>,
    pub(crate) bank_transactions: BTreeMap<u64, BankTransaction>,
    pub(crate) explanations: BTreeMap<u64, Explanation>,
    pub(crate) categories: Vec<Category>,
    pub(crate) last_id: u64,
    /// The minute the rate limit counts, and how many requests came in it.
    pub(crate) this_minute: (i64, u32),
    /// The same for the hour.
    pub(crate) this_hour: (i64, u32),
}

impl Store {
    pub(crate) fn new(options: BookOptions) -> Self {
        let now = options.clock.now();
        let bank_accounts = BANK_ACCOUNTS.map(|(id, name, currency)| {
            let account = BankAccount {
                id,
                name: name.to_owned(),
                kind: "StandardBankAccount".to_owned(),
                currency: currency.to_owned(),
                email: None,
                opening: Decimal::ZERO,
                created_at: now,
            };
            (id, account)
        });
        let categories = CATEGORIES.map(|(group, code, description)| Category {
            group: group.to_owned(),
            code: code.to_owned(),
            description: description.to_owned(),
        });
        Self {
            base_url: String::new(),
            switches: options.switches,
            desk: Desk::new(
                options.clock.clone(),
                &options.tokens,
                options.latency_milliseconds,
                match options.house {
                    House::V2 => Authority::V2,
                    House::Freeagent => Authority::Freeagent,
                },
                Organisation::new(&options.company_id.to_string(), &options.company),
                &[],
            ),
            acting: None,
            permission_level: options.permission_level,
            locked_until: None,
            contacts: BTreeMap::new(),
            invoices: BTreeMap::new(),
            credit_notes: BTreeMap::new(),
            references: BTreeMap::new(),
            reconciliations: BTreeMap::new(),
            price_list_items: BTreeMap::new(),
            bank_accounts: BTreeMap::from(bank_accounts),
            bank_transactions: BTreeMap::new(),
            explanations: BTreeMap::new(),
            categories: categories.to_vec(),
            last_id: 0,
            this_minute: (0, 0),
            this_hour: (0, 0),
            options,
        }
    }

    /// Forgets everything but how it was opened.
    pub(crate) fn reset(&mut self) {
        let base_url = std::mem::take(&mut self.base_url);
        *self = Self { base_url, ..Self::new(self.options.clone()) };
    }

    pub(crate) fn house(&self) -> House {
        self.options.house
    }

    pub(crate) fn now(&self) -> i64 {
        self.options.clock.now()
    }

    pub(crate) fn today(&self) -> String {
        date(self.now())
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    pub(crate) fn url(&self, collection: &str, id: impl std::fmt::Display) -> String {
        format!("{}/v2/{collection}/{id}", self.base_url)
    }

    /// The identifier in a URL of this book; a number alone or another host's URL is none.
    pub(crate) fn id_in<'a>(&self, url: &'a str, collection: &str) -> Option<&'a str> {
        url.strip_prefix(self.base_url.as_str())?.strip_prefix("/v2/")?.strip_prefix(collection)?.strip_prefix('/')
    }

    /// The same as a number.
    pub(crate) fn number_in(&self, url: &str, collection: &str) -> Option<u64> {
        self.id_in(url, collection)?.parse().ok()
    }

    pub(crate) fn contact_of(&self, url: &str) -> Option<&Contact> {
        self.contacts.get(&self.number_in(url, "contacts")?)
    }

    pub(crate) fn account_of(&self, url: &str) -> Option<&BankAccount> {
        self.bank_accounts.get(&self.number_in(url, "bank_accounts")?)
    }

    pub(crate) fn documents_of(&self, kind: Kind) -> &BTreeMap<u64, Document> {
        match kind {
            Kind::Invoice => &self.invoices,
            Kind::CreditNote => &self.credit_notes,
        }
    }

    pub(crate) fn documents_of_mut(&mut self, kind: Kind) -> &mut BTreeMap<u64, Document> {
        match kind {
            Kind::Invoice => &mut self.invoices,
            Kind::CreditNote => &mut self.credit_notes,
        }
    }

    /// Takes a document in, new or changed.
    pub(crate) fn keeps(&mut self, document: Document) {
        self.drops(document.kind, document.id);
        let count = self.references.entry(document.reference.clone()).or_default();
        *count = count.saturating_add(1);
        self.documents_of_mut(document.kind).insert(document.id, document);
    }

    /// Takes a document out, if it is there.
    pub(crate) fn drops(&mut self, kind: Kind, id: u64) {
        if let Some(dropped) = self.documents_of_mut(kind).remove(&id)
            && let Some(count) = self.references.get_mut(&dropped.reference)
        {
            *count = count.saturating_sub(1);
        }
    }

    /// How many documents have that reference.
    pub(crate) fn named(&self, reference: &str) -> u32 {
        self.references.get(reference).copied().unwrap_or_default()
    }

    /// Invoices and credit notes: they share one sequence of references.
    pub(crate) fn sales(&self) -> impl Iterator<Item = &Document> {
        self.invoices.values().chain(self.credit_notes.values())
    }

    /// The document with that URL or, for people, that reference.
    pub(crate) fn sale_of(&self, url: &str) -> Option<&Document> {
        [Kind::Invoice, Kind::CreditNote]
            .into_iter()
            .find_map(|kind| self.documents_of(kind).get(&self.number_in(url, kind.collection())?))
    }

    /// The code of an income category by its URL.
    pub(crate) fn income_category(&self, url: &str) -> Option<String> {
        let category = self.category_of(url)?;
        (category.group == INCOME).then(|| category.code.clone())
    }

    pub(crate) fn category_of(&self, url: &str) -> Option<&Category> {
        let code = self.id_in(url, "categories")?;
        self.categories.iter().find(|category| category.code == code)
    }

    pub(crate) fn show_categories(&self) -> Value {
        let groups = [ADMIN_EXPENSES, COST_OF_SALES, INCOME, GENERAL].map(|group| {
            let of_group = self.categories.iter().filter(|category| category.group == group);
            (group.to_owned(), of_group.map(|category| self.show_category(category)).collect())
        });
        Value::Object(groups.into_iter().collect())
    }

    /// A category below the name of its group: that is its root element.
    pub(crate) fn show_with_group(&self, category: &Category) -> Value {
        json!({ category.group.as_str(): self.show_category(category) })
    }

    fn show_category(&self, category: &Category) -> Value {
        json!({
            "url": self.url("categories", &category.code),
            "description": category.description,
            "nominal_code": category.code,
            "auto_sales_tax_rate": "Standard rate",
        })
    }

    /// What is on an account.
    pub(crate) fn balance(&self, account: &BankAccount) -> Decimal {
        let moved = self.bank_transactions.values().filter(|transaction| transaction.account == account.id);
        moved.fold(account.opening, |sum, transaction| sum + transaction.amount)
    }

    /// What of a transaction is still to be explained.
    pub(crate) fn unexplained(&self, transaction: &BankTransaction) -> Decimal {
        let explained = self.explanations.values().filter(|explanation| explanation.transaction == transaction.id);
        explained.fold(transaction.amount, |left, explanation| left - explanation.gross)
    }

    pub(crate) fn show_account(&self, account: &BankAccount) -> Value {
        let mut shown = json!({
            "url": self.url("bank_accounts", account.id),
            "type": account.kind,
            "name": account.name,
            "currency": account.currency,
            "is_personal": false,
            "is_primary": account.id == 1,
            "status": "active",
            "opening_balance": number(account.opening),
            "current_balance": number(self.balance(account)),
            "bank_code": "generic",
            "created_at": timestamp(account.created_at),
            "updated_at": timestamp(account.created_at),
        });
        if let (Some(email), Some(fields)) = (&account.email, shown.as_object_mut()) {
            fields.insert("email".to_owned(), json!(email));
        }
        shown
    }

    pub(crate) fn show_transaction(&self, transaction: &BankTransaction) -> Value {
        json!({
            "url": self.url("bank_transactions", transaction.id),
            "bank_account": self.url("bank_accounts", transaction.account),
            "dated_on": transaction.dated_on,
            "description": transaction.description,
            "amount": number(transaction.amount),
            "unexplained_amount": number(self.unexplained(transaction)),
            "is_manual": true,
            "created_at": timestamp(transaction.created_at),
            "updated_at": timestamp(transaction.created_at),
        })
    }

    pub(crate) fn show_explanation(&self, explanation: &Explanation) -> Value {
        let is_money_in = explanation.gross > Decimal::ZERO;
        let kind = match explanation.paid {
            Some((Kind::Invoice, _, _)) => "Invoice Receipt",
            Some((Kind::CreditNote, _, _)) => "Credit Note Refund",
            None if is_money_in => "Sales",
            None => "Payment",
        };
        let is_locked = self.is_locked(&explanation.dated_on);
        let mut shown = json!({
            "url": self.url("bank_transaction_explanations", explanation.id),
            "bank_account": self.url("bank_accounts", explanation.account),
            "bank_transaction": self.url("bank_transactions", explanation.transaction),
            "dated_on": explanation.dated_on,
            "gross_value": number(explanation.gross),
            "foreign_currency_value": number(explanation.foreign.unwrap_or_default()),
            "transfer_value": number(-explanation.gross),
            "type": kind,
            "is_money_in": is_money_in,
            "is_money_out": !is_money_in,
            "is_money_paid_to_user": false,
            "is_deletable": !is_locked,
            "is_locked": is_locked,
            "marked_for_review": false,
            "has_pending_operation": false,
            "updated_at": timestamp(explanation.created_at),
        });
        if let Some(shown) = shown.as_object_mut() {
            for field in ["paid_invoice", "category", "description", "receipt_reference"] {
                if let Some(value) = explanation.fields.get(field) {
                    shown.insert(field.to_owned(), value.clone());
                }
            }
            if is_locked {
                shown.insert("locked_reason".to_owned(), json!("it is dated in a locked period"));
            }
        }
        shown
    }

    pub(crate) fn show_reconciliation(&self, reconciliation: &Reconciliation) -> Value {
        json!({
            "url": self.url("credit_note_reconciliations", reconciliation.id),
            "gross_value": number(reconciliation.gross),
            "dated_on": reconciliation.dated_on,
            "currency": reconciliation.currency,
            "exchange_rate": number(reconciliation.exchange_rate),
            "invoice": self.url("invoices", reconciliation.invoice),
            "credit_note": self.url("credit_notes", reconciliation.credit_note),
            "created_at": timestamp(reconciliation.created_at),
            "updated_at": timestamp(reconciliation.created_at),
        })
    }

    /// Whether a day lies in the period that is closed.
    pub(crate) fn is_locked(&self, day: &str) -> bool {
        self.locked_until.as_deref().is_some_and(|until| day <= until)
    }

    /// The company that the token reaches: this book's, or another one that holds nothing.
    fn reached(&self) -> Option<&Organisation> {
        self.acting.as_ref()?.organisations.first()
    }

    /// Whether the token is for another company than this book's.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.acting.is_some() && self.reached().is_none_or(|company| company.id != self.options.company_id.to_string())
    }

    pub(crate) fn company(&self) -> Value {
        let registered = self.options.sales_tax_registered;
        let reached = self.reached();
        json!({
            "url": format!("{}/v2/company", self.base_url),
            "id": reached.and_then(|company| company.id.parse::<u64>().ok()).unwrap_or(self.options.company_id),
            "name": reached.map_or(&self.options.company, |company| &company.name),
            "subdomain": "example-trading",
            "type": if self.options.seat == Seat::Elsewhere { "UniversalCompany" } else { "UkLimitedCompany" },
            "currency": self.options.currency,
            "mileage_units": "miles",
            "company_start_date": "2020-04-01",
            "freeagent_start_date": "2020-04-01",
            "first_accounting_year_end": "2021-03-31",
            "country": if self.options.seat == Seat::Elsewhere { "Australia" } else { "United Kingdom" },
            "ec_vat_reporting_enabled": registered && self.options.seat == Seat::NorthernIreland,
            "sales_tax_registration_status": if registered { "Registered" } else { "Not Registered" },
            "sales_tax_name": "VAT",
            "sales_tax_rates": self.options.sales_tax_rates,
        })
    }

    pub(crate) fn user(&self) -> Value {
        json!({
            "url": self.url("users", 1),
            "first_name": "Book",
            "last_name": "Keeper",
            "email": self.acting.as_ref().map_or(BOOKKEEPER, |holder| &holder.email),
            "hidden": false,
            "role": "Owner",
            "permission_level": self.permission_level,
        })
    }

    pub(crate) fn show_contact(&self, contact: &Contact) -> Value {
        let mut shown = contact.fields.clone();
        shown.insert("url".to_owned(), json!(self.url("contacts", contact.id)));
        shown.insert("status".to_owned(), json!(if contact.hidden { "Hidden" } else { "Active" }));
        shown.insert("active_projects_count".to_owned(), json!(0));
        shown.insert("created_at".to_owned(), json!(timestamp(contact.created_at)));
        shown.insert("updated_at".to_owned(), json!(timestamp(contact.updated_at)));
        Value::Object(shown)
    }

    pub(crate) fn show_document(&self, document: &Document, with_items: bool) -> Value {
        let kept = [
            "comments",
            "po_reference",
            "ec_status",
            "place_of_supply",
            "client_contact_name",
            "payment_terms",
            "omit_header",
            "bank_account",
            "discount_percent",
        ];
        let mut shown: Map<String, Value> = document
            .fields
            .iter()
            .filter(|(key, _)| kept.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let contact_name = self.contacts.get(&document.contact).map(Contact::name);
        let shown_as = |figure: Decimal| match (document.kind, self.switches.credit_note_figures) {
            (Kind::CreditNote, CreditNoteFigures::Positive) => -figure,
            (Kind::Invoice, _) | (_, CreditNoteFigures::Negative) => figure,
        };
        let settled = document.signed(document.paid + document.reconciled);
        let fields = json!({
            "url": self.url(document.kind.collection(), document.id),
            "contact": self.url("contacts", document.contact),
            "contact_name": contact_name,
            "dated_on": document.dated_on,
            "due_on": document.due_on(),
            "reference": document.reference,
            "currency": document.currency,
            "exchange_rate": number(document.exchange_rate),
            "net_value": number(shown_as(document.net)),
            "sales_tax_value": number(shown_as(document.tax)),
            "total_value": number(shown_as(document.total)),
            "due_value": number(shown_as(document.signed(document.outstanding()))),
            "status": document.status(&self.today()),
            "payment_terms_in_days": document.payment_terms_in_days,
            "involves_sales_tax": true,
            "created_at": timestamp(document.created_at),
            "updated_at": timestamp(document.updated_at),
            match document.kind {
                Kind::Invoice => "paid_value",
                Kind::CreditNote => "refunded_value",
            }: number(shown_as(settled)),
        });
        if let Value::Object(fields) = fields {
            shown.extend(fields);
        }
        if with_items {
            let items: Vec<Value> = document
                .items
                .iter()
                .enumerate()
                .map(|(index, item)| self.show_item(document.kind, index, item))
                .collect();
            shown.insert(document.kind.items().to_owned(), Value::Array(items));
        }
        Value::Object(shown)
    }

    fn show_item(&self, kind: Kind, index: usize, item: &Item) -> Value {
        let mut shown = json!({
            "url": self.url(kind.items(), item.id),
            "position": index.saturating_add(1),
            "description": item.description,
            "item_type": item.item_type,
            "quantity": number(item.quantity),
            "price": number(item.price),
            "sales_tax_rate": number(item.rate),
            "sales_tax_value": number(item.tax),
            "category": self.url("categories", &item.category),
        });
        if let (Some(status), Some(fields)) = (&item.tax_status, shown.as_object_mut()) {
            fields.insert("sales_tax_status".to_owned(), json!(status));
        }
        shown
    }

    pub(crate) fn show_price(&self, plain: &Plain) -> Value {
        let mut shown: Map<String, Value> = plain
            .fields
            .iter()
            .map(|(key, value)| {
                let value = match decimal(value) {
                    // Figures come back as text, whatever they came as.
                    Some(figure) if value.is_number() || FIGURES.contains(&key.as_str()) => json!(number(figure)),
                    _ => value.clone(),
                };
                (key.clone(), value)
            })
            .collect();
        shown.entry("vat_status").or_insert_with(|| json!("out_of_scope"));
        shown.insert("url".to_owned(), json!(self.url("price_list_items", plain.id)));
        shown.insert("created_at".to_owned(), json!(timestamp(plain.created_at)));
        shown.insert("updated_at".to_owned(), json!(timestamp(plain.updated_at)));
        Value::Object(shown)
    }

    pub(crate) fn documents(&self) -> Value {
        let all = |documents: &BTreeMap<u64, Document>| -> Vec<Value> {
            documents.values().map(|document| self.show_document(document, true)).collect()
        };
        json!({
            "contacts": self.contacts.values().map(|contact| self.show_contact(contact)).collect::<Vec<_>>(),
            "invoices": all(&self.invoices),
            "credit_notes": all(&self.credit_notes),
            "credit_note_reconciliations":
                self.reconciliations.values().map(|it| self.show_reconciliation(it)).collect::<Vec<_>>(),
            "price_list_items": self.price_list_items.values().map(|item| self.show_price(item)).collect::<Vec<_>>(),
            "bank_accounts": self.bank_accounts.values().map(|it| self.show_account(it)).collect::<Vec<_>>(),
            "bank_transactions": self.bank_transactions.values().map(|it| self.show_transaction(it)).collect::<Vec<_>>(),
            "bank_transaction_explanations":
                self.explanations.values().map(|it| self.show_explanation(it)).collect::<Vec<_>>(),
        })
    }
}

fn due_on(dated_on: &str, days: i64) -> Option<String> {
    let date: jiff::civil::Date = dated_on.parse().ok()?;
    let due = date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    Some(due.to_string())
}

/// An e-mail address as it is compared.
pub(crate) fn normalised(email: &str) -> String {
    email.trim().to_lowercase()
}

/// `2026-11-20T09:30:00.000Z`
pub(crate) fn timestamp(unix_seconds: i64) -> String {
    iso(unix_seconds).replace('Z', ".000Z")
}

/// A figure as the book prints it: text, with at least one decimal.
pub(crate) fn number(figure: Decimal) -> String {
    let text = figure.normalize().to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// A figure that came as a number or as text.
pub(crate) fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

/// Rounded to pennies.
pub(crate) fn pennies(figure: Decimal) -> Decimal {
    round(figure, 2)
}
