//! Settings of a binding: shown as a form, checked against the book and the shop, put with a version, proposed for a new
//! binding.

use crate::ports::{Configurations, NotedWith, PortFault, PrefixOwner};
use crate::reference::{Age, FRESH_MS, List, Reader, ReferenceData, When};
use ledger_dialects::{Dialect, Profile};
use ledger_domain::identity::{BindingId, TenantId};
use ledger_domain::reference::{Entry, Purpose, Reference};
use ledger_wire::rows::{BindingRow, ROW_VERSION, SettingsRow, keys};
use ledger_wire::settings::check::{ERRORS_MAX, FieldCode, FieldError, check};
use ledger_wire::settings::form::{FIELDS, Field, Keyed, Named, field_of};
use ledger_wire::settings::{SettingsV1, StatusV1};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::str::FromStr;

/// The field that no two shops of a book may have alike.
const PREFIX_FIELD: &str = "invoice_number_prefix";
/// Most versions of settings listed at once.
pub const VERSIONS_MAX: usize = 100;

/// Why settings were not shown or put.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Fields that can't be used.
    #[error("{} fields can't be used", .0.errors.len())]
    Invalid(Checked),
    /// There is none.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Somebody else put settings meanwhile; this is the version in force.
    #[error("version {0} is in force")]
    Conflict(u32),
    /// The thing is not in a state for it.
    #[error("{0}")]
    NotNow(&'static str),
    /// The store.
    #[error(transparent)]
    Port(#[from] PortFault),
}

/// A binding's settings with what is needed to change them.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingsView {
    /// The binding.
    pub binding: String,
    /// The version in force; 0 while there are none.
    pub version: u32,
    /// The settings in force; `None` while there are none.
    pub settings: Option<SettingsV1>,
    /// The form: every field with its group, kind, default and what it names.
    pub fields: &'static [Field],
    /// How old each list is that they are checked against.
    pub reference: Vec<Age>,
}

/// What checking a draft came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// The draft, where every field can be used.
    pub settings: Option<SettingsV1>,
    /// Every field that can't, ordered by path.
    pub errors: Vec<FieldError>,
    /// How old each list is that it was checked against.
    pub reference: Vec<Age>,
    /// Lists that are not known, or not wholly: what they would name was checked for its format only.
    pub unchecked: Vec<List>,
}

/// Settings to begin with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// What the lists leave no doubt about, as JSON of the shape of [`SettingsV1`].
    pub settings: Map<String, Value>,
    /// Fields that have to be filled in by a person.
    pub missing: Vec<&'static str>,
    /// Fields that may stay empty, and what is lost then is worth a thought.
    pub open: Vec<&'static str>,
    /// How old each list is that they come from.
    pub reference: Vec<Age>,
}

/// What configuring needs.
pub struct Configure<'a> {
    /// The store.
    pub store: &'a dyn Configurations,
    /// Reads lists that are too old.
    pub reader: Reader<'a>,
}

impl Configure<'_> {
    async fn binding(&self, tenant: &str, binding: &str) -> Result<BindingRow, SettingsError> {
        let known = TenantId::parse(tenant).is_some() && BindingId::parse(binding).is_some();
        let tenancy = if known { self.store.tenancy(tenant).await? } else { None };
        let found = tenancy.and_then(|it| it.bindings.into_iter().find(|row| row.binding == binding));
        found.ok_or(SettingsError::NotFound("binding"))
    }

    /// The binding's lists: those that are older than a day are read first, as far as `deadline` (milliseconds) allows.
    async fn lists(&self, binding: &BindingRow, deadline: i64) -> Result<ReferenceData, SettingsError> {
        let lists = lists_of(binding);
        self.reader.read(binding, &lists, When::OlderThan(FRESH_MS), deadline).await?;
        Ok(self.reader.known(&binding.binding, &lists).await?)
    }

    /// The settings in force, as a form.
    ///
    /// # Errors
    /// [`SettingsError::NotFound`], or as the store.
    pub async fn get(&self, tenant: &str, binding: &str) -> Result<SettingsView, SettingsError> {
        let row = self.binding(tenant, binding).await?;
        let reference = self.reader.known(&row.binding, &lists_of(&row)).await?;
        Ok(view(&row, reference.ages))
    }

    /// A version of the settings.
    ///
    /// # Errors
    /// [`SettingsError::NotFound`], or as the store.
    pub async fn version(&self, tenant: &str, binding: &str, version: u32) -> Result<SettingsRow, SettingsError> {
        let row = self.binding(tenant, binding).await?;
        self.store.settings_version(&row.binding, version).await?.ok_or(SettingsError::NotFound("version"))
    }

    /// Versions of the settings, newest first, those below `before` only.
    ///
    /// # Errors
    /// [`SettingsError::NotFound`], or as the store.
    pub async fn versions(
        &self,
        tenant: &str,
        binding: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<SettingsRow>, SettingsError> {
        let row = self.binding(tenant, binding).await?;
        Ok(self.store.settings_versions(&row.binding, before, limit.min(VERSIONS_MAX)).await?)
    }

    /// Checks a draft and changes nothing, but reads lists that are too old until `deadline` (milliseconds).
    ///
    /// # Errors
    /// [`SettingsError::NotFound`], or as the store. A bad draft is no error: its fields are told.
    pub async fn validate(
        &self,
        tenant: &str,
        binding: &str,
        draft: &Value,
        deadline: i64,
    ) -> Result<Checked, SettingsError> {
        let row = self.binding(tenant, binding).await?;
        let data = self.lists(&row, deadline).await?;
        let owners = self.owners(&row).await?;
        Ok(checked(draft, &row, &data, &owners))
    }

    async fn owners(&self, row: &BindingRow) -> Result<Vec<PrefixOwner>, SettingsError> {
        if row.book.is_empty() { Ok(Vec::new()) } else { Ok(self.store.prefixes_of(&row.book).await?) }
    }

    /// Puts settings in force, for the next attempt of every run of the binding. `expected` is the version that the draft
    /// was made from; 0 for the first. `operator` is the subject of the sign-in.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] with every field, [`SettingsError::Conflict`], [`SettingsError::NotNow`] for a binding
    /// that is disconnected, [`SettingsError::NotFound`], or as the store.
    pub async fn put(
        &self,
        tenant: &str,
        binding: &str,
        expected: u32,
        draft: &Value,
        operator: &str,
        deadline: i64,
    ) -> Result<SettingsView, SettingsError> {
        let mut row = self.binding(tenant, binding).await?;
        if row.status == "disconnected" {
            return Err(SettingsError::NotNow("the binding is disconnected"));
        }
        if row.settings_version != expected {
            return Err(SettingsError::Conflict(row.settings_version));
        }
        let data = self.lists(&row, deadline).await?;
        let owners = self.owners(&row).await?;
        let checked = checked(draft, &row, &data, &owners);
        let Some(settings) = checked.settings.clone() else { return Err(SettingsError::Invalid(checked)) };
        let version = expected.saturating_add(1);
        let next = SettingsRow {
            pk: keys::of_binding(binding),
            sk: keys::settings(version),
            v: ROW_VERSION,
            settings: settings.clone(),
            version,
            saved_by: Some(operator.to_owned()),
            saved_at: Some(self.reader.clock.now_ms()),
        };
        let noted = owners.iter().find(|owner| owner.tenant == tenant && owner.binding == binding);
        let noted = noted.map(|owner| NotedWith { book: &row.book, prefix: &owner.prefix });
        if !self.store.put_settings(tenant, expected, &next, binding, noted).await? {
            let in_force = self.binding(tenant, binding).await?.settings_version;
            if noted.is_none() || in_force != expected {
                return Err(SettingsError::Conflict(in_force));
            }
            // Another shop took the prefix at the same instant.
            let taken = FieldError::new(PREFIX_FIELD, FieldCode::PrefixTaken);
            return Err(SettingsError::Invalid(Checked { settings: None, errors: vec![taken], ..checked }));
        }
        row.settings = settings;
        row.settings_version = version;
        Ok(view(&row, data.ages))
    }

    /// What settings a binding could begin with, as far as the lists leave no doubt.
    ///
    /// # Errors
    /// [`SettingsError::NotFound`], or as the store.
    pub async fn propose(&self, tenant: &str, binding: &str, deadline: i64) -> Result<Proposal, SettingsError> {
        let row = self.binding(tenant, binding).await?;
        let dialect =
            ledger_dialects::dialect(&row.dialect).ok_or(SettingsError::NotNow("the binding has no book yet"))?;
        let data = self.lists(&row, deadline).await?;
        Ok(proposal(dialect, &data))
    }
}

/// The lists of a binding.
#[must_use]
pub fn lists_of(binding: &BindingRow) -> Vec<List> {
    ledger_dialects::dialect(&binding.dialect)
        .map_or_else(|| vec![List::PaymentMethods], |dialect| List::of(dialect.profile()))
}

fn view(row: &BindingRow, reference: Vec<Age>) -> SettingsView {
    SettingsView {
        binding: row.binding.clone(),
        version: row.settings_version,
        settings: (row.settings_version > 0).then(|| row.settings.clone()),
        fields: FIELDS,
        reference,
    }
}

/// Checks a draft: its format, then what it names.
#[must_use]
pub fn checked(draft: &Value, binding: &BindingRow, data: &ReferenceData, owners: &[PrefixOwner]) -> Checked {
    let dialect = ledger_dialects::dialect(&binding.dialect);
    let (settings, mut errors) = match check(draft) {
        Ok(settings) => (Some(settings), Vec::new()),
        Err(errors) => (None, errors),
    };
    let mut unchecked = BTreeSet::new();
    if let Some(dialect) = dialect {
        let lookup = Lookup { dialect, data };
        let found = lookup.fields(draft, &mut unchecked);
        // A field that can't be read names nothing.
        let told: BTreeSet<String> = errors.iter().map(|error| error.field.clone()).collect();
        errors.extend(found.into_iter().filter(|error| !told.contains(&error.field)));
        if let Some(settings) = &settings {
            errors.extend(lacking(settings, dialect.profile()));
        }
    }
    if let Some(prefix) = taken_prefix(draft, binding, owners) {
        errors.push(prefix);
    }
    errors.sort();
    errors.dedup();
    errors.truncate(ERRORS_MAX);
    Checked {
        settings: settings.filter(|_| errors.is_empty()),
        errors,
        reference: data.ages.clone(),
        unchecked: unchecked.into_iter().collect(),
    }
}

/// What every document in such a book needs.
#[must_use]
pub fn lacking(settings: &SettingsV1, profile: &Profile) -> Vec<FieldError> {
    let mapped = !settings.tax_map.is_empty() || settings.overrides.iter().any(|it| !it.tax_map.is_empty());
    let registered = settings.sales_tax_registered.unwrap_or(true);
    let mut lacking = Vec::new();
    if profile.rules.tax_codes && !mapped && settings.default_tax_code.is_none() {
        lacking.push(FieldError::new("tax_map", FieldCode::InvalidFormat));
    }
    if !profile.rules.tax_codes && registered && settings.sales_tax_rates.is_empty() {
        lacking.push(FieldError::new("sales_tax_rates", FieldCode::InvalidFormat));
    }
    // Refused here, not by the first invoice: its contact would be in the book by then.
    if !profile.rules.keeps_drafts && !matches!(settings.document_status, None | Some(StatusV1::Authorised)) {
        lacking.push(FieldError::new("document_status", FieldCode::OutOfRange));
    }
    lacking
}

fn taken_prefix(draft: &Value, binding: &BindingRow, owners: &[PrefixOwner]) -> Option<FieldError> {
    let prefix = draft.get(PREFIX_FIELD).map_or(Some(""), |value| value.as_str().or(value.is_null().then_some("")))?;
    let other = |owner: &&PrefixOwner| owner.tenant != binding.tenant || owner.binding != binding.binding;
    let taken = owners.iter().filter(other).any(|owner| owner.prefix == prefix);
    taken.then(|| FieldError::new(PREFIX_FIELD, FieldCode::PrefixTaken))
}

/// Looks names up.
#[derive(Clone, Copy)]
struct Lookup<'a> {
    dialect: &'static dyn Dialect,
    data: &'a ReferenceData,
}

impl Lookup<'_> {
    /// Every name in a draft that its list does not have. Lists that are not known go to `unchecked`.
    fn fields(self, draft: &Value, unchecked: &mut BTreeSet<List>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        self.object("", draft, unchecked, &mut errors);
        if let Some(overrides) = draft.get("overrides").and_then(Value::as_array) {
            for (at, place) in overrides.iter().enumerate() {
                self.object(&format!("overrides[{at}]."), place, unchecked, &mut errors);
            }
        }
        errors
    }

    fn object(self, before: &str, fields: &Value, unchecked: &mut BTreeSet<List>, errors: &mut Vec<FieldError>) {
        for (name, value) in fields.as_object().into_iter().flatten() {
            let Some(field) = field_of(name) else { continue };
            let path = format!("{before}{name}");
            self.field(field, &path, value, unchecked, errors);
        }
    }

    fn field(
        self,
        field: &Field,
        path: &str,
        value: &Value,
        unchecked: &mut BTreeSet<List>,
        errors: &mut Vec<FieldError>,
    ) {
        if errors.len() >= ERRORS_MAX {
            return;
        }
        let mut look = |path: String, has: Option<bool>, list: Option<List>| match (has, list) {
            (Some(false), _) => errors.push(FieldError::new(path, FieldCode::NotInReference)),
            (None, Some(list)) => {
                unchecked.insert(list);
            }
            (Some(true) | None, _) => {}
        };
        match value {
            Value::String(text) => {
                if let Some(named) = field.names {
                    look(path.to_owned(), self.has(named, text), self.list_of(named));
                }
            }
            Value::Array(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    let path = format!("{path}[{at}]");
                    let (Some(named), Some(text)) = (field.names, element.get("code").unwrap_or(element).as_str())
                    else {
                        continue;
                    };
                    let rate = element.get("rate").and_then(Value::as_str);
                    let code = if element.is_object() { format!("{path}.code") } else { path.clone() };
                    look(code, self.has(named, text), self.list_of(named));
                    if let Some(rate) = rate.and_then(|text| Decimal::from_str(text).ok()) {
                        look(format!("{path}.rate"), self.has_rate(text, rate), None);
                    }
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    let path = format!("{path}.{key}");
                    match field.keyed_by {
                        Some(Keyed::PaymentMethod) => {
                            let list = List::PaymentMethods;
                            look(path.clone(), self.in_list(list, |entry| entry.id == *key), Some(list));
                        }
                        Some(Keyed::BankAccount) => {
                            let named = Named::BankAccount;
                            look(path.clone(), self.has(named, key), self.list_of(named));
                        }
                        Some(Keyed::Website | Keyed::Other) | None => {}
                    }
                    if let (Some(named), Some(text)) = (field.names, value.as_str()) {
                        look(path, self.has(named, text), self.list_of(named));
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The list that tells of a kind of name; `None` where no list does.
    fn list_of(self, named: Named) -> Option<List> {
        let rules = &self.dialect.profile().rules;
        let of = match named {
            Named::LineAccount => self.dialect.choice(Purpose::Lines)?.list,
            Named::PurchaseAccount => self.dialect.choice(Purpose::Purchases)?.list,
            Named::BankAccount => self.dialect.choice(Purpose::Payments)?.list,
            Named::TaxCode | Named::UntaxedCode if rules.tax_codes => Reference::TaxRates,
            Named::TaxRate if !rules.tax_codes => Reference::TaxRates,
            // What such a book makes nothing of.
            Named::TaxCode | Named::UntaxedCode | Named::TaxRate => return None,
            Named::BookCurrency => Reference::Organisation,
            Named::Currency => Reference::Currencies,
        };
        self.dialect.profile().references.contains(&of).then_some(List::Book(of))
    }

    /// Whether the lists have a name; `None` where nobody can tell.
    fn has(self, named: Named, text: &str) -> Option<bool> {
        let list = self.list_of(named)?;
        let account = |purpose: Purpose| {
            let choice = self.dialect.choice(purpose)?;
            self.in_list(list, |entry| entry.id == text && choice.has(entry))
        };
        match named {
            Named::LineAccount => account(Purpose::Lines),
            Named::PurchaseAccount => account(Purpose::Purchases),
            Named::BankAccount => account(Purpose::Payments),
            Named::TaxCode => self.in_list(list, |entry| entry.id == text && entry.active),
            Named::UntaxedCode => self.in_list(list, |entry| {
                entry.id == text && entry.active && entry.rate.is_none_or(|rate| rate.is_zero())
            }),
            Named::TaxRate => {
                let rate = Decimal::from_str(text).ok()?;
                // Every book has untaxed lines.
                if rate.is_zero() {
                    return Some(true);
                }
                // A company without any does not tell.
                self.data.list(list).filter(|known| !known.entries.is_empty())?;
                self.in_list(list, |entry| entry.rate == Some(rate) && entry.active)
            }
            Named::BookCurrency => {
                let own = self.data.organisation()?.currency.as_ref()?;
                Some(own.as_str() == text)
            }
            Named::Currency => self.in_list(list, |entry| entry.id == text && entry.active),
        }
    }

    /// Whether a tax code is one of that rate; `None` where nobody can tell.
    fn has_rate(self, code: &str, rate: Decimal) -> Option<bool> {
        let list = self.list_of(Named::TaxCode)?;
        let entry = self.data.list(list)?.entries.iter().find(|entry| entry.id == code)?;
        Some(entry.rate? == rate)
    }

    fn in_list(self, list: List, is_it: impl Fn(&Entry) -> bool) -> Option<bool> {
        let known = self.data.list(list)?;
        let found = known.entries.iter().any(is_it);
        if found { Some(true) } else { (!known.cut_off).then_some(false) }
    }
}

/// The names in settings that one list does not have, as paths: what to look at after a book's refusal.
#[must_use]
pub fn names_missing(settings: &SettingsV1, dialect: &'static dyn Dialect, data: &ReferenceData) -> Vec<String> {
    let draft = serde_json::to_value(settings).unwrap_or_default();
    let lookup = Lookup { dialect, data };
    lookup.fields(&draft, &mut BTreeSet::new()).into_iter().map(|error| error.field).collect()
}

/// Time zones of countries that have one, or one that nearly everybody lives in (IANA time zone database, `zone.tab`).
const TIME_ZONES: [(&str, &str); 14] = [
    ("AT", "Europe/Vienna"),
    ("BE", "Europe/Brussels"),
    ("CH", "Europe/Zurich"),
    ("DE", "Europe/Berlin"),
    ("DK", "Europe/Copenhagen"),
    ("ES", "Europe/Madrid"),
    ("FR", "Europe/Paris"),
    ("GB", "Europe/London"),
    ("IE", "Europe/Dublin"),
    ("IT", "Europe/Rome"),
    ("NL", "Europe/Amsterdam"),
    ("NZ", "Pacific/Auckland"),
    ("SE", "Europe/Stockholm"),
    ("ZA", "Africa/Johannesburg"),
];
/// What accounts for postage are called.
const SHIPPING_WORDS: [&str; 5] = ["shipping", "postage", "carriage", "delivery", "freight"];
/// What the account for sales is called where there are several of income.
const SALES: &str = "sales";
/// Groups of accounts that are income, in the books' own words: Xero API docs, account types; FreeAgent API docs,
/// categories; Sage Accounting API guides, ledger account types.
const INCOME_GROUPS: [&str; 5] = ["income", "revenue", "sales", "other income", "otherincome"];

/// Settings that the lists leave no doubt about.
#[must_use]
pub fn proposal(dialect: &'static dyn Dialect, data: &ReferenceData) -> Proposal {
    let mut settings = Map::new();
    let (mut missing, mut open) = (Vec::new(), Vec::new());
    let organisation = data.organisation();
    let country = organisation.and_then(|it| it.country.as_deref());
    let zone = country.and_then(|country| TIME_ZONES.iter().find(|(code, _)| *code == country));
    let currency = organisation.and_then(|it| it.currency.as_ref()).map(|it| it.as_str().to_owned());
    let mut needed = |field: &'static str, value: Option<Value>| match value {
        Some(value) => {
            settings.insert(field.to_owned(), value);
        }
        None => missing.push(field),
    };
    needed("time_zone", zone.map(|(_, zone)| json!(zone)));
    needed("book_currency", currency.clone().map(Value::from));
    let accounts = accounts_for(dialect, data, Purpose::Lines);
    needed("income_category", income(&accounts).map(|it| json!(it.id)));
    let shipping = only(accounts.iter().copied().filter(|it| {
        let name = it.name.to_lowercase();
        SHIPPING_WORDS.iter().any(|word| name.contains(word))
    }));
    needed("shipping_category", shipping.map(|it| json!(it.id)));
    if let Some(country) = country {
        settings.insert("book_country".to_owned(), json!(country));
    }
    let registered = organisation.and_then(|it| it.sales_tax_registered);
    if let Some(registered) = registered {
        settings.insert("sales_tax_registered".to_owned(), json!(registered));
    }
    taxes(dialect, data, country, registered.unwrap_or(true), &mut settings, &mut missing, &mut open);

    let banks = accounts_for(dialect, data, Purpose::Payments);
    let is_base = |it: &&Entry| match (&it.currency, &currency) {
        (Some(own), Some(base)) => own.as_str() == base,
        (None, _) | (_, None) => true,
    };
    match only(banks.iter().copied().filter(is_base)) {
        Some(bank) => {
            settings.insert("default_bank_account".to_owned(), json!(bank.id));
        }
        None => open.push("default_bank_account"),
    }
    let foreign: Map<String, Value> = banks
        .iter()
        .filter(|it| !is_base(it))
        .filter_map(|it| Some((it.id.clone(), json!(it.currency.as_ref()?.as_str()))))
        .collect();
    if !foreign.is_empty() {
        settings.insert("bank_account_currencies".to_owned(), Value::Object(foreign));
    }
    open.push("payment_methods");
    // The shop does not say in which currency a website keeps its accounts.
    open.push("base_currencies");
    Proposal { settings, missing, open, reference: data.ages.clone() }
}

/// Rates, or codes by rate where exactly one of the country's fits.
fn taxes(
    dialect: &'static dyn Dialect,
    data: &ReferenceData,
    country: Option<&str>,
    registered: bool,
    settings: &mut Map<String, Value>,
    missing: &mut Vec<&'static str>,
    open: &mut Vec<&'static str>,
) {
    let rates = data.list(List::Book(Reference::TaxRates));
    let entries = rates.into_iter().flat_map(|known| &known.entries).filter(|entry| entry.active);
    let own = |entry: &&Entry| entry.country.is_none() || country.is_none() || entry.country.as_deref() == country;
    let own: Vec<&Entry> = entries.filter(own).collect();
    let distinct: BTreeSet<Decimal> = own.iter().filter_map(|entry| entry.rate).collect();
    if !dialect.profile().rules.tax_codes {
        let mut texts: Vec<String> = distinct.iter().rev().map(ToString::to_string).collect();
        if texts.is_empty() && registered {
            missing.push("sales_tax_rates");
            return;
        }
        // Untaxed lines need it, whether the book lists it or not.
        if !distinct.contains(&Decimal::ZERO) {
            texts.push("0".to_owned());
        }
        settings.insert("sales_tax_rates".to_owned(), json!(texts));
        return;
    }
    let mut rules = Vec::new();
    for rate in distinct.iter().rev() {
        match only(own.iter().copied().filter(|entry| entry.rate == Some(*rate))) {
            Some(entry) => rules.push(json!({"rate": rate.to_string(), "code": entry.id})),
            None if rate.is_zero() => {}
            // A rate with several codes is a person's to decide.
            None if !open.contains(&"tax_map") => open.push("tax_map"),
            None => {}
        }
    }
    let untaxed = only(own.iter().copied().filter(|entry| entry.rate.is_some_and(|rate| rate.is_zero())));
    match untaxed {
        Some(entry) => {
            settings.insert("default_tax_code".to_owned(), json!(entry.id));
        }
        None => missing.push("default_tax_code"),
    }
    if rules.is_empty() {
        missing.push("tax_map");
    } else {
        settings.insert("tax_map".to_owned(), Value::Array(rules));
    }
}

fn accounts_for<'a>(dialect: &'static dyn Dialect, data: &'a ReferenceData, purpose: Purpose) -> Vec<&'a Entry> {
    let Some(choice) = dialect.choice(purpose) else { return Vec::new() };
    let known = data.list(List::Book(choice.list));
    known.into_iter().flat_map(|known| &known.entries).filter(|entry| choice.has(entry)).collect()
}

/// The account of sales: the only one of income, or the only one of that name.
fn income<'a>(accounts: &[&'a Entry]) -> Option<&'a Entry> {
    let income = |entry: &&&Entry| INCOME_GROUPS.iter().any(|group| entry.is_of(group));
    let of_income: Vec<&'a Entry> = accounts.iter().filter(income).copied().collect();
    only(of_income.iter().copied())
        .or_else(|| only(of_income.iter().copied().filter(|entry| entry.name.eq_ignore_ascii_case(SALES))))
}

fn only<'a>(mut entries: impl Iterator<Item = &'a Entry>) -> Option<&'a Entry> {
    let first = entries.next()?;
    entries.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_are_refused_where_a_book_keeps_none() {
        for dialect in ledger_dialects::dialects() {
            let profile = dialect.profile();
            for (status, waits) in
                [(json!(null), false), (json!("authorised"), false), (json!("draft"), true), (json!("submitted"), true)]
            {
                let draft = json!({
                    "time_zone": "Europe/London", "book_currency": "GBP", "income_category": "1", "shipping_category": "2",
                    "document_status": status, "sales_tax_rates": ["20"], "default_tax_code": "T",
                });
                let settings: SettingsV1 = serde_json::from_value(draft).unwrap();
                let told: Vec<String> = lacking(&settings, profile).into_iter().map(|error| error.field).collect();
                let expected: &[&str] = if profile.name == "v2" && waits { &["document_status"] } else { &[] };
                assert_eq!(told, expected, "{} {status}", profile.name);
            }
        }
    }
}
