//! What the book insists on before it takes something in. Figures and lengths: Xero API docs, the resource's own page.
//! So are the sentences, as far as they are published or known from real answers; the rest are this book's own words, and
//! nobody should go by them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::spec::{CompoundTax, TakenNumber};
use super::store::{Allocation, Contact, Document, Item, Line, Payment, Store};
use crate::amount::{fraction, round};
use crate::book::UnknownField;
use crate::fields::{Fields, day, figure, given, longer, object, objects, text, unknown};

const LINE_LIMIT: usize = 4_000;
const TEXT_LIMIT: usize = 255;
const SHORT_LIMIT: usize = 50;
const ADDRESS_LINE_LIMIT: usize = 500;
const ITEM_CODE_LIMIT: usize = 30;
const CONTACT_PERSONS: usize = 5;
const QUANTITY_DECIMALS: u32 = 4;
const RATE_DECIMALS: u32 = 6;
const DISCOUNT_RATE_DECIMALS: u32 = 4;
/// 9,999,999,999.99
const LARGEST_LINE: Decimal = Decimal::from_parts(3_567_587_327, 232, 0, false, 2);
/// A given rate is implausible beyond this multiple of the book's own, or below its inverse.
const PLAUSIBLE_RATE: Decimal = Decimal::from_parts(125, 0, 0, false, 2);
/// What stays open to change once money is allocated to a document.
const ALWAYS_EDITABLE: [&str; 10] = [
    "InvoiceID",
    "CreditNoteID",
    "Reference",
    "DueDate",
    "InvoiceNumber",
    "BrandingThemeID",
    "Contact",
    "Url",
    "SentToContact",
    "Status",
];

const CONTACT_FIELDS: [&str; 27] = [
    "ContactID",
    "ContactNumber",
    "AccountNumber",
    "ContactStatus",
    "Name",
    "FirstName",
    "LastName",
    "CompanyNumber",
    "EmailAddress",
    "ContactPersons",
    "BankAccountDetails",
    "TaxNumber",
    "TaxNumberType",
    "AccountsReceivableTaxType",
    "AccountsPayableTaxType",
    "Addresses",
    "Phones",
    "IsSupplier",
    "IsCustomer",
    "DefaultCurrency",
    "SalesDefaultLineAmountType",
    "PurchasesDefaultLineAmountType",
    "SalesDefaultAccountCode",
    "PurchasesDefaultAccountCode",
    "SalesTrackingCategories",
    "PurchasesTrackingCategories",
    "PaymentTerms",
];
const DOCUMENT_FIELDS: [&str; 14] = [
    "Type",
    "Contact",
    "LineItems",
    "Date",
    "DueDate",
    "LineAmountTypes",
    "Reference",
    "BrandingThemeID",
    "CurrencyCode",
    "CurrencyRate",
    "Status",
    "SubTotal",
    "TotalTax",
    "Total",
];
const INVOICE_FIELDS: [&str; 6] =
    ["InvoiceID", "InvoiceNumber", "Url", "SentToContact", "ExpectedPaymentDate", "PlannedPaymentDate"];
const CREDIT_NOTE_FIELDS: [&str; 2] = ["CreditNoteID", "CreditNoteNumber"];
const LINE_FIELDS: [&str; 14] = [
    "LineItemID",
    "Description",
    "Quantity",
    "UnitAmount",
    "ItemCode",
    "AccountCode",
    "AccountID",
    "TaxType",
    "TaxAmount",
    "LineAmount",
    "DiscountRate",
    "DiscountAmount",
    "Tracking",
    "Item",
];
const ITEM_FIELDS: [&str; 11] = [
    "ItemID",
    "Code",
    "Name",
    "IsSold",
    "IsPurchased",
    "Description",
    "PurchaseDescription",
    "SalesDetails",
    "PurchaseDetails",
    "InventoryAssetAccountCode",
    "IsTrackedAsInventory",
];
const PAYMENT_FIELDS: [&str; 15] = [
    "Invoice",
    "CreditNote",
    "Prepayment",
    "Overpayment",
    "InvoiceNumber",
    "CreditNoteNumber",
    "Account",
    "Code",
    "Date",
    "CurrencyRate",
    "Amount",
    "BankAmount",
    "Reference",
    "IsReconciled",
    "Status",
];
const ALLOCATION_FIELDS: [&str; 3] = ["Invoice", "Amount", "Date"];

/// What is wrong with an element.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) own: Vec<String>,
    /// By the place of the line.
    pub(crate) lines: BTreeMap<usize, Vec<String>>,
}

impl Problems {
    pub(crate) fn of(message: impl Into<String>) -> Self {
        Self { own: vec![message.into()], lines: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, message: impl Into<String>) {
        self.own.push(message.into());
    }

    fn limit(&mut self, fields: &Fields, field: &str, characters: usize) {
        if longer(&text(fields, field), characters) {
            self.add(format!("The field {field} must be a string with a maximum length of {characters}."));
        }
    }

    fn or<T>(self, value: T) -> Result<T, Self> {
        if self.own.is_empty() && self.lines.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// Fields of an element that aren't known, as paths.
pub(crate) fn unknown_fields(resource: &str, fields: &Fields) -> Vec<String> {
    let mut found = match resource {
        "Contacts" => unknown(fields, &CONTACT_FIELDS, ""),
        "Items" => unknown(fields, &ITEM_FIELDS, ""),
        "Payments" => unknown(fields, &PAYMENT_FIELDS, ""),
        "Allocations" => unknown(fields, &ALLOCATION_FIELDS, ""),
        "Invoices" | "CreditNotes" => {
            let own: &[&str] = if resource == "Invoices" { &INVOICE_FIELDS } else { &CREDIT_NOTE_FIELDS };
            let mut found = unknown(fields, &DOCUMENT_FIELDS, "");
            found.retain(|field| !own.contains(&field.as_str()));
            objects(fields, "LineItems").for_each(|line| found.extend(unknown(line, &LINE_FIELDS, "LineItems.")));
            found
        }
        _ => Vec::new(),
    };
    found.sort();
    found.dedup();
    found
}

fn refuse_unknown(store: &Store, resource: &str, fields: &Fields, problems: &mut Problems) {
    if store.switches.unknown_fields == UnknownField::Refused {
        for field in unknown_fields(resource, fields) {
            problems.add(format!("Unknown field {field}"));
        }
    }
}

/// How a request wants its elements handled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// `PUT`: only what is new.
    pub(crate) only_new: bool,
    /// Decimals of unit amounts: 2 or 4.
    pub(crate) unit_decimals: u32,
}

fn is_email(address: &str) -> bool {
    address.is_ascii()
        && !address.contains(char::is_whitespace)
        && address.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.contains('@') && domain.contains('.') && !domain.starts_with('.')
        })
}

/// Takes in a contact, new or changed; returns its id.
pub(crate) fn contact(store: &mut Store, fields: &Fields, ask: Ask, id: Option<&str>) -> Result<String, Problems> {
    let mut problems = Problems::default();
    refuse_unknown(store, "Contacts", fields, &mut problems);
    let mut fields = fields.clone();
    let mut name = text(&fields, "Name");
    if name.contains(['<', '>']) {
        match store.switches.odd_names {
            super::OddName::Refused => problems.add("Contact name cannot contain the characters < or >"),
            super::OddName::Cleaned => name = name.replace(['<', '>'], ""),
        }
    }
    if !name.is_empty() {
        name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        fields.insert("Name".to_owned(), json!(name));
    }
    let (contact_id, number) = (text(&fields, "ContactID"), text(&fields, "ContactNumber"));
    let by_name = |contact: &&Contact| !contact.archived && !name.is_empty() && same(&contact.name(), &name);
    let contacts = &store.kept.contacts;
    let by_number =
        contacts.iter().find(|contact| !number.is_empty() && text(&contact.fields, "ContactNumber") == number);
    let known = match id.map(str::to_owned).or((!contact_id.is_empty() && !ask.only_new).then_some(contact_id)) {
        Some(id) => match store.contact(&id) {
            Some(contact) => Some(contact),
            None => return Err(Problems::of("The Contact with the specified ContactID could not be found")),
        },
        None if ask.only_new => contacts.iter().find(by_name).filter(|_| store.switches.put_contact_overwrites),
        None => by_number.or_else(|| contacts.iter().find(by_name)),
    };
    if known.is_none() && name.is_empty() {
        problems.add(if number.is_empty() {
            "The Contact must contain at least 1 of the following elements to identify the contact: Name, ContactID, ContactNumber"
        } else {
            "The contact name must be specified."
        });
    }
    let is_other = |other: &&Contact| known.is_none_or(|known| known.id != other.id);
    if store.switches.contact_names_unique && contacts.iter().filter(is_other).any(|other| by_name(&other)) {
        problems.add(format!(
            "The contact name {name} is already assigned to another contact. The contact name must be unique across all active contacts."
        ));
    }
    if by_number.is_some_and(|other| is_other(&other)) {
        problems.add(match store.switches.taken_number {
            TakenNumber::Unique => format!(
                "The contact number {number} is already assigned to another contact. The contact number must be unique across all contacts."
            ),
            TakenNumber::InUse => format!("ContactNumber {number} is in use"),
        });
    }
    let account = text(&fields, "AccountNumber");
    let has_account = |other: &Contact| !account.is_empty() && text(&other.fields, "AccountNumber") == account;
    if contacts.iter().filter(is_other).any(has_account) {
        problems.add("The Account Number already exists");
    }
    contact_lengths(store, &fields, &mut problems);
    let email = text(&fields, "EmailAddress");
    if !email.is_empty() && !is_email(&email) {
        problems.add("Email address must be valid");
    }
    let archived = match text(&fields, "ContactStatus").as_str() {
        "" => known.is_some_and(|contact| contact.archived),
        "ACTIVE" => false,
        "ARCHIVED" => true,
        _ => {
            problems.add("The ContactStatus is not valid");
            false
        }
    };
    // What isn't sent keeps its value.
    let mut kept = known.map(|contact| contact.fields.clone()).unwrap_or_default();
    let known_id = known.map(|contact| contact.id.clone());
    for field in ["ContactID", "ContactStatus", "IsSupplier", "IsCustomer"] {
        fields.remove(field);
    }
    kept.extend(fields);
    problems.or(())?;
    let id = known_id.clone().unwrap_or_else(|| store.next_id());
    let contact = Contact { id: id.clone(), fields: kept, archived, updated_at: store.now() };
    match store.kept.contacts.iter_mut().find(|contact| Some(&contact.id) == known_id.as_ref()) {
        Some(place) => *place = contact,
        None => store.kept.contacts.push(contact),
    }
    Ok(id)
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn contact_lengths(store: &Store, fields: &Fields, problems: &mut Problems) {
    for field in ["Name", "FirstName", "LastName", "EmailAddress"] {
        problems.limit(fields, field, TEXT_LIMIT);
    }
    for field in ["ContactNumber", "AccountNumber", "CompanyNumber", "TaxNumber"] {
        problems.limit(fields, field, SHORT_LIMIT);
    }
    for address in objects(fields, "Addresses") {
        if !["POBOX", "STREET", "DELIVERY"].contains(&text(address, "AddressType").as_str()) {
            problems.add("The AddressType is not valid");
        }
        for line in ["AddressLine1", "AddressLine2", "AddressLine3", "AddressLine4"] {
            problems.limit(address, line, ADDRESS_LINE_LIMIT);
        }
        for (field, limit) in [
            ("City", TEXT_LIMIT),
            ("Region", TEXT_LIMIT),
            ("AttentionTo", TEXT_LIMIT),
            ("PostalCode", 50),
            ("Country", 50),
        ] {
            problems.limit(address, field, limit);
        }
        let spaces = !store.switches.country_letters_alone;
        let fits = |letter: char| letter.is_ascii_alphabetic() || (spaces && letter == ' ');
        if !text(address, "Country").chars().all(fits) {
            problems.add("Country can only contain letters");
        }
    }
    for phone in objects(fields, "Phones") {
        for (field, limit) in [("PhoneNumber", 50), ("PhoneAreaCode", 10), ("PhoneCountryCode", 20)] {
            problems.limit(phone, field, limit);
        }
    }
    if objects(fields, "ContactPersons").count() > CONTACT_PERSONS {
        problems.add("A contact can have a maximum of 5 ContactPersons");
    }
}

/// Takes in an item, new or changed; returns its id.
pub(crate) fn item(store: &mut Store, fields: &Fields, ask: Ask, id: Option<&str>) -> Result<String, Problems> {
    let mut problems = Problems::default();
    refuse_unknown(store, "Items", fields, &mut problems);
    let mut fields = fields.clone();
    let code = text(&fields, "Code");
    let item_id = id.map(str::to_owned).unwrap_or_else(|| text(&fields, "ItemID"));
    let same_code = store.kept.items.iter().find(|item| !code.is_empty() && text(&item.fields, "Code") == code);
    let known = match (item_id.as_str(), ask.only_new) {
        ("", true) => None,
        ("", false) => same_code.filter(|_| store.switches.post_item_matches_code),
        (id, _) => match store.kept.items.iter().find(|item| item.id.eq_ignore_ascii_case(id)) {
            Some(item) => Some(item),
            None => return Err(Problems::of("The Item with the specified ItemID could not be found")),
        },
    };
    let known_id = known.map(|item| item.id.clone());
    if code.is_empty() && known.is_none() {
        problems.add("Price List Item Code must be supplied");
    }
    if same_code.is_some_and(|other| Some(&other.id) != known_id.as_ref()) {
        problems.add(format!("Price List Item with Code '{code}' already exists"));
    }
    problems.limit(&fields, "Code", ITEM_CODE_LIMIT);
    problems.limit(&fields, "Name", SHORT_LIMIT);
    problems.limit(&fields, "Description", LINE_LIMIT);
    problems.limit(&fields, "PurchaseDescription", LINE_LIMIT);
    for details in ["SalesDetails", "PurchaseDetails"] {
        let Some(part) = object(&fields, details).cloned() else { continue };
        let mut part = part;
        for field in ["AccountCode", "COGSAccountCode"] {
            let account = text(&part, field);
            if !account.is_empty() && store.account(&account).is_none_or(|account| account.archived) {
                problems.add(format!("Account code '{account}' is not a valid code for this document"));
            }
        }
        let tax_type = text(&part, "TaxType");
        if !tax_type.is_empty() && store.tax_rate(&tax_type).is_none_or(|rate| rate.archived) {
            problems.add(no_such_tax(&tax_type));
        }
        if let Some(price) = figure(&part, "UnitPrice") {
            part.insert("UnitPrice".to_owned(), json!(store.rounded(price, ask.unit_decimals).to_string()));
        } else if given(&part, "UnitPrice") {
            problems.add("UnitPrice must be a number");
        }
        fields.insert(details.to_owned(), Value::Object(part));
    }
    let mut kept = known.map(|item| item.fields.clone()).unwrap_or_default();
    fields.remove("ItemID");
    kept.extend(fields);
    problems.or(())?;
    let id = known_id.clone().unwrap_or_else(|| store.next_id());
    let item = Item { id: id.clone(), fields: kept, updated_at: store.now() };
    match store.kept.items.iter_mut().find(|item| Some(&item.id) == known_id.as_ref()) {
        Some(place) => *place = item,
        None => store.kept.items.push(item),
    }
    Ok(id)
}

fn no_such_tax(tax_type: &str) -> String {
    format!("The TaxType code '{tax_type}' does not exist or cannot be used for this type of transaction.")
}

/// Takes in an invoice or a credit note, new or changed; returns its id.
pub(crate) fn document(
    store: &mut Store,
    fields: &Fields,
    is_credit: bool,
    ask: Ask,
    id: Option<&str>,
) -> Result<String, Problems> {
    let (id_field, number_field, kind) = if is_credit {
        ("CreditNoteID", "CreditNoteNumber", "ACCRECCREDIT")
    } else {
        ("InvoiceID", "InvoiceNumber", "ACCREC")
    };
    let sent_id = id.map(str::to_owned).unwrap_or_else(|| text(fields, id_field));
    let sent_number = text(fields, number_field);
    let known = match (sent_id.as_str(), ask.only_new) {
        ("", false) => {
            let alive = |document: &&Document| !["VOIDED", "DELETED"].contains(&document.status.as_str());
            store.document(is_credit, &sent_number).filter(|_| !sent_number.is_empty()).filter(alive).cloned()
        }
        ("", true) => None,
        (id, _) => match store.document(is_credit, id) {
            Some(document) => Some(document.clone()),
            None => return Err(Problems::of("The document with the specified id could not be found")),
        },
    };
    let mut problems = Problems::default();
    refuse_unknown(store, if is_credit { "CreditNotes" } else { "Invoices" }, fields, &mut problems);
    let mut merged = known.as_ref().map(|document| document.given.clone()).unwrap_or_default();
    merged.extend(fields.clone());

    let wanted = text(&merged, "Status");
    let status = status(store, known.as_ref(), fields, &wanted, &mut problems);
    if text(&merged, "Type") != kind {
        problems.add(if given(&merged, "Type") {
            format!("The Type is not valid for this endpoint; expected {kind}")
        } else {
            "Type must be specified".to_owned()
        });
    }
    for field in [number_field, "Reference"] {
        problems.limit(&merged, field, TEXT_LIMIT);
    }
    let date = match day(&merged, "Date") {
        Some(date) => date.to_string(),
        None => {
            if given(&merged, "Date") {
                problems.add("Date must be a valid date");
            }
            store.today()
        }
    };
    locked(store, &date, &mut problems);
    let due = if is_credit { String::new() } else { due_date(store, &merged, &date, &status, &mut problems) };
    let number = number(store, is_credit, &sent_number, known.as_ref(), &mut problems);
    let amount_types = match text(&merged, "LineAmountTypes").as_str() {
        "" => "Exclusive".to_owned(),
        known if ["Exclusive", "Inclusive", "NoTax"].contains(&known) => known.to_owned(),
        _ => {
            problems.add("The LineAmountTypes is not valid");
            String::new()
        }
    };
    let currency = match text(&merged, "CurrencyCode").as_str() {
        "" => store.options.currency.clone(),
        code => code.to_owned(),
    };
    if !store.kept.currencies.contains(&currency) {
        problems.add(format!("Organisation is not subscribed to currency {currency}"));
    }
    let mut warnings = Vec::new();
    let rate = rate(store, &merged, &currency, &mut warnings, &mut problems);
    let old_lines = known.as_ref().map(|document| document.lines.clone()).unwrap_or_default();
    let count = objects(&merged, "LineItems").count();
    if count == 0 {
        problems.add("One or more line items must be specified");
    }
    let approved = status == "AUTHORISED";
    let mut lines = Vec::new();
    for (place, fields) in objects(&merged, "LineItems").enumerate() {
        let mut own = Vec::new();
        let line = line(store, fields, is_credit, approved, &amount_types, ask, &mut own);
        let line_id = text(fields, "LineItemID");
        let kept_id = old_lines.iter().find(|line| line.id == line_id).map(|line| line.id.clone());
        lines.push(Line { id: kept_id.unwrap_or_default(), ..line });
        if !own.is_empty() {
            if store.switches.line_errors_nested {
                problems.lines.entry(place).or_default().extend(own);
            } else {
                problems.own.extend(own);
            }
        }
    }
    let sum: Decimal = lines.iter().map(|line| line.amount).sum();
    let tax: Decimal = lines.iter().map(|line| line.tax).sum();
    let (net, total) = if amount_types == "Inclusive" { (sum - tax, sum) } else { (sum, sum + tax) };
    if total < Decimal::ZERO && problems.own.is_empty() && problems.lines.is_empty() {
        problems.add("The document total cannot be negative");
    }
    if store.switches.wrong_total_refused && figure(&merged, "Total").is_some_and(|told| told != total) {
        problems.add("The invoice total does not equal the sum of the lines.");
    }
    let mut contact = resolve_contact(store, &merged, &mut problems);
    problems.or(())?;
    if let Choice::New(fields) = &contact {
        contact = Choice::Known(self::contact(store, fields, Ask { only_new: true, ..ask }, None)?);
    }
    if let Choice::Changed(id, fields) = &contact {
        contact = Choice::Known(self::contact(store, fields, Ask { only_new: false, ..ask }, Some(id))?);
    }
    let Choice::Known(contact) = contact else { return Err(Problems::of("A Contact must be specified")) };
    for line in &mut lines {
        if line.id.is_empty() {
            line.id = store.next_id();
        }
    }
    let id = known.as_ref().map(|document| document.id.clone()).unwrap_or_else(|| store.next_id());
    let document = Document {
        id: id.clone(),
        is_credit,
        given: merged,
        contact,
        number,
        status,
        date,
        due,
        amount_types,
        currency,
        rate,
        lines,
        net,
        tax,
        total: total + store.desk.total_shift,
        unit_decimals: ask.unit_decimals,
        warnings,
        updated_at: store.now(),
    };
    match store.kept.documents.iter_mut().find(|document| document.id == id) {
        Some(place) => *place = document,
        None => store.kept.documents.push(document),
    }
    Ok(id)
}

/// Where a document stands after the request.
fn status(store: &Store, known: Option<&Document>, sent: &Fields, wanted: &str, problems: &mut Problems) -> String {
    let Some(known) = known else {
        return match wanted {
            "" => "DRAFT".to_owned(),
            "DRAFT" | "SUBMITTED" | "AUTHORISED" => wanted.to_owned(),
            _ => {
                problems.add(format!("The Status {wanted} is not valid for a new document"));
                String::new()
            }
        };
    };
    let now = store.status(known);
    let wanted = if wanted.is_empty() { now } else { wanted };
    let allowed: &[&str] = match now {
        "DRAFT" => &["DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"],
        "SUBMITTED" => &["SUBMITTED", "AUTHORISED", "DRAFT", "DELETED"],
        "AUTHORISED" => &["AUTHORISED", "VOIDED"],
        "PAID" => &["AUTHORISED", "PAID"],
        _ => &[],
    };
    let settled = !(store.paid(&known.id) + store.allocated(&known.id)).is_zero();
    if !allowed.contains(&wanted) {
        problems.add("Invoice not of valid status for modification");
    } else if settled && (wanted == "VOIDED" || sent.keys().any(|field| !ALWAYS_EDITABLE.contains(&field.as_str()))) {
        problems.add("This document cannot be edited as it has a payment or credit note allocated to it.");
    }
    if wanted == "PAID" { "AUTHORISED".to_owned() } else { wanted.to_owned() }
}

/// Nothing may be dated in a period that is closed.
pub(crate) fn locked(store: &Store, date: &str, problems: &mut Problems) {
    for (lock, words) in [
        (&store.options.end_of_year_lock_date, "end of year lock date"),
        (&store.options.period_lock_date, "period lock date"),
    ] {
        if let Some(lock) = lock
            && date <= lock.as_str()
        {
            let spoken = crate::fields::calendar_day(lock).map(|day| day.strftime("%-d %B %Y").to_string());
            problems.add(format!(
                "The document date cannot be before the {words}, currently set at {}",
                spoken.unwrap_or_default()
            ));
            return;
        }
    }
}

fn due_date(store: &Store, merged: &Fields, date: &str, status: &str, problems: &mut Problems) -> String {
    match day(merged, "DueDate") {
        Some(due) => due.to_string(),
        None if given(merged, "DueDate") => {
            problems.add("DueDate must be a valid date");
            String::new()
        }
        None if status != "AUTHORISED" => String::new(),
        None => {
            if store.switches.due_date_needed {
                problems.add("Due Date is required for invoice approval");
            }
            date.to_owned()
        }
    }
}

fn number(store: &Store, is_credit: bool, sent: &str, known: Option<&Document>, problems: &mut Problems) -> String {
    if sent.is_empty() {
        if let Some(known) = known {
            return known.number.clone();
        }
        let prefix = if is_credit { "CN-" } else { "INV-" };
        let last =
            store.kept.documents.iter().filter_map(|other| other.number.strip_prefix(prefix)?.parse::<u32>().ok());
        return format!("{prefix}{:04}", last.max().unwrap_or(0).saturating_add(1));
    }
    let counts = |other: &&Document| {
        let alive = !["VOIDED", "DELETED"].contains(&other.status.as_str());
        (other.is_credit == is_credit || store.switches.shared_numbers)
            && (alive || !store.switches.voided_numbers_reusable)
            && known.is_none_or(|known| known.id != other.id)
    };
    if store.kept.documents.iter().filter(counts).any(|other| other.number == sent) {
        problems.add(match (is_credit, store.switches.taken_number) {
            (false, _) => "Invoice # must be unique.",
            (true, TakenNumber::Unique) => "Credit note # must be unique.",
            (true, TakenNumber::InUse) => "CreditNoteNumber is in use",
        });
    }
    sent.to_owned()
}

fn rate(
    store: &Store,
    fields: &Fields,
    currency: &str,
    warnings: &mut Vec<String>,
    problems: &mut Problems,
) -> Decimal {
    let own = store.own_rate(currency);
    if currency == store.options.currency || !given(fields, "CurrencyRate") {
        return own;
    }
    match figure(fields, "CurrencyRate").map(|rate| round(rate, RATE_DECIMALS)) {
        Some(rate) if rate > Decimal::ZERO => {
            if rate > own * PLAUSIBLE_RATE || rate * PLAUSIBLE_RATE < own {
                warnings.push("The currency rate differs considerably from the rate of the day".to_owned());
            }
            rate
        }
        _ => {
            problems.add("CurrencyRate must be greater than zero");
            own
        }
    }
}

enum Choice {
    None,
    Known(String),
    Changed(String, Fields),
    New(Fields),
}

/// Which contact a document names: by id alone, else by number or name; a name nobody has makes a new one.
fn resolve_contact(store: &Store, merged: &Fields, problems: &mut Problems) -> Choice {
    let Some(fields) = object(merged, "Contact") else {
        problems.add("A Contact must be specified for this type of transaction");
        return Choice::None;
    };
    let (id, number, name) = (text(fields, "ContactID"), text(fields, "ContactNumber"), text(fields, "Name"));
    let found = if id.is_empty() {
        let contacts = &store.kept.contacts;
        let by_number =
            contacts.iter().find(|known| !number.is_empty() && text(&known.fields, "ContactNumber") == number);
        by_number.or_else(|| contacts.iter().find(|known| !known.archived && same(&known.name(), &name)))
    } else {
        store.contact(&id)
    };
    match found {
        Some(contact) if contact.archived => {
            problems.add("The contact is archived and cannot be used for this type of transaction");
            Choice::None
        }
        // Whatever else is sent with an id changes the contact.
        Some(contact) if !id.is_empty() && fields.keys().any(|field| field != "ContactID") => {
            Choice::Changed(contact.id.clone(), fields.clone())
        }
        Some(contact) => Choice::Known(contact.id.clone()),
        None if id.is_empty() && !name.is_empty() => Choice::New(fields.clone()),
        None if id.is_empty() && number.is_empty() => {
            problems.add("The Contact must contain at least 1 of the following elements to identify the contact: Name, ContactID, ContactNumber");
            Choice::None
        }
        None => {
            problems.add("The Contact with the specified ContactID could not be found");
            Choice::None
        }
    }
}

fn line(
    store: &Store,
    fields: &Fields,
    is_credit: bool,
    approved: bool,
    amount_types: &str,
    ask: Ask,
    problems: &mut Vec<String>,
) -> Line {
    let code = text(fields, "ItemCode");
    let item = store.kept.items.iter().find(|item| !code.is_empty() && text(&item.fields, "Code") == code);
    if item.is_none() && !code.is_empty() {
        problems.push(format!("Item code '{code}' is not valid"));
    }
    let sales = item.and_then(|item| object(&item.fields, "SalesDetails"));
    let of_sales = |field: &str| sales.map(|details| text(details, field)).unwrap_or_default();
    let or = |one: String, other: String| if one.is_empty() { other } else { one };
    let description =
        or(text(fields, "Description"), item.map(|item| text(&item.fields, "Description")).unwrap_or_default());
    if description.is_empty() {
        problems.push("Description must be specified".to_owned());
    }
    if longer(&description, LINE_LIMIT) {
        problems.push(format!("The field Description must be a string with a maximum length of {LINE_LIMIT}."));
    }
    for field in ["Quantity", "UnitAmount", "LineAmount", "TaxAmount", "DiscountRate", "DiscountAmount"] {
        if given(fields, field) && figure(fields, field).is_none() {
            problems.push(format!("{field} must be a number"));
        }
    }
    let told = figure(fields, "LineAmount").map(|amount| store.rounded(amount, 2));
    let quantity = figure(fields, "Quantity").map(|quantity| store.rounded(quantity, QUANTITY_DECIMALS));
    let sent_unit = figure(fields, "UnitAmount");
    let own_unit = if told.is_none() { sales.and_then(|details| figure(details, "UnitPrice")) } else { None };
    let unit = sent_unit.or(own_unit).map(|unit| store.rounded(unit, ask.unit_decimals));
    if unit.is_none() && told.is_some() && quantity.is_some() && !store.switches.line_amount_alone {
        problems.push("UnitAmount must be specified".to_owned());
    }
    let bare = unit.is_none() && told.is_none() && quantity.is_none();
    let (quantity, unit, amount) = match (quantity, unit, told) {
        (quantity, Some(unit), None) => {
            let quantity = quantity.unwrap_or(Decimal::ONE);
            (Some(quantity), Some(unit), discounted(store, fields, is_credit, quantity * unit, problems))
        }
        (Some(quantity), Some(unit), Some(told)) => {
            let expected = discounted(store, fields, is_credit, quantity * unit, problems);
            if told != expected {
                problems.push(format!("The line total {told:.2} does not match the expected line total {expected:.2}"));
            }
            (Some(quantity), Some(unit), told)
        }
        (Some(quantity), None, Some(told)) => {
            let unit = told.checked_div(quantity).unwrap_or_default();
            (Some(quantity), Some(store.rounded(unit, ask.unit_decimals)), told)
        }
        (None, Some(unit), Some(told)) => {
            let quantity = told.checked_div(unit).unwrap_or_default();
            (Some(store.rounded(quantity, QUANTITY_DECIMALS)), Some(unit), told)
        }
        (None, None, Some(told)) => (Some(Decimal::ONE), Some(told), told),
        (quantity, None, None) => (quantity, None, Decimal::ZERO),
    };
    if amount.abs() > LARGEST_LINE {
        problems.push("LineAmount is too large".to_owned());
    }
    let sent_account = or(text(fields, "AccountCode"), text(fields, "AccountID"));
    let account_code = or(sent_account, of_sales("AccountCode"));
    let account = store.account(&account_code);
    if account_code.is_empty() {
        if approved && !bare {
            problems.push("Account code must be specified".to_owned());
        }
    } else if account.is_none_or(|account| {
        let system = match account.system.as_deref() {
            None => false,
            Some("ROUNDING") => !store.switches.rounding_account_takes_lines,
            Some(_) => true,
        };
        account.archived || system || account.kind == "BANK"
    }) {
        problems.push(format!("Account code '{account_code}' is not a valid code for this document"));
    }
    let own_tax = account.map(|account| account.tax_type.clone()).unwrap_or_default();
    let tax_type = or(or(text(fields, "TaxType"), of_sales("TaxType")), own_tax);
    let tax_rate = store.tax_rate(&tax_type);
    let mut percent = Decimal::ZERO;
    match tax_rate {
        None if tax_type.is_empty() => {}
        Some(rate) if !rate.archived && rate.report != "INPUT" => {
            percent = rate.rate;
            if account.is_some_and(|account| !rate.applies_to(account.class())) {
                problems
                    .push(format!("The TaxType code '{tax_type}' cannot be used with account code '{account_code}'."));
            }
        }
        _ => problems.push(no_such_tax(&tax_type)),
    }
    let computed = match amount_types {
        "Exclusive" => match tax_rate.map(|rate| rate.components.as_slice()) {
            Some(components @ [_, ..]) if store.switches.compound_tax == CompoundTax::Components => {
                components.iter().map(|component| store.rounded(amount * fraction(*component), 2)).sum()
            }
            _ => store.rounded(amount * fraction(percent), 2),
        },
        "Inclusive" => {
            let net = amount.checked_div(Decimal::ONE + fraction(percent)).unwrap_or(amount);
            amount - store.rounded(net, 2)
        }
        _ => Decimal::ZERO,
    };
    let tax = match figure(fields, "TaxAmount").map(|tax| store.rounded(tax, 2)) {
        Some(tax) if amount_types != "NoTax" => {
            if tax.abs() > amount.abs() {
                problems.push("The tax amount cannot be greater than the line amount".to_owned());
            }
            tax
        }
        _ => computed,
    };
    let mut kept = Fields::new();
    for field in ["Tracking", "DiscountRate", "DiscountAmount"] {
        if let Some(value) = fields.get(field).filter(|value| !value.is_null()) {
            kept.insert(field.to_owned(), value.clone());
        }
    }
    Line {
        id: String::new(),
        description,
        quantity,
        unit,
        amount,
        tax,
        tax_type,
        account: account_code,
        item: code,
        kept,
    }
}

/// A line's amount after its discount.
fn discounted(store: &Store, fields: &Fields, is_credit: bool, gross: Decimal, problems: &mut Vec<String>) -> Decimal {
    let rate = figure(fields, "DiscountRate").map(|rate| round(rate, DISCOUNT_RATE_DECIMALS));
    let off = figure(fields, "DiscountAmount");
    if is_credit && (rate.is_some() || off.is_some()) {
        problems.push("Discounts cannot be applied to credit notes".to_owned());
    }
    let amount = match (rate, off) {
        (Some(_), Some(_)) => {
            problems.push("Only one of DiscountRate and DiscountAmount can be specified".to_owned());
            gross
        }
        (Some(rate), None) => gross * (Decimal::ONE_HUNDRED - rate) / Decimal::ONE_HUNDRED,
        (None, Some(off)) => gross - off,
        (None, None) => gross,
    };
    let taken = gross - amount;
    if taken.abs() > gross.abs() || (!taken.is_zero() && taken.is_sign_negative() != gross.is_sign_negative()) {
        problems.push("Discount must not be greater than the line total".to_owned());
    }
    store.rounded(amount, 2)
}

/// Takes in money for an invoice, or back for a credit note; returns its id.
pub(crate) fn payment(store: &mut Store, fields: &Fields) -> Result<String, Problems> {
    let mut problems = Problems::default();
    refuse_unknown(store, "Payments", fields, &mut problems);
    let named = |key: &str| -> String {
        let by = |field: &str| object(fields, key).map(|object| text(object, field)).unwrap_or_default();
        [by(&format!("{key}ID")), by(&format!("{key}Number")), text(fields, &format!("{key}Number"))]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
    };
    let (invoice, note) = (named("Invoice"), named("CreditNote"));
    if invoice.is_empty() == note.is_empty() {
        return Err(Problems::of("A Payment must have exactly one of Invoice, CreditNote, Prepayment or Overpayment"));
    }
    let is_credit = invoice.is_empty();
    let name = if is_credit { note } else { invoice };
    let Some(document) = store.document(is_credit, &name).cloned() else {
        return Err(Problems::of(if is_credit {
            "Credit note could not be found"
        } else {
            "Invoice could not be found"
        }));
    };
    if !["AUTHORISED", "PAID"].contains(&store.status(&document)) {
        problems.add("Payments can only be made against Authorised documents");
    }
    let date = match day(fields, "Date") {
        Some(date) => date.to_string(),
        None => {
            if given(fields, "Date") {
                problems.add("Date must be a valid date");
            }
            store.today()
        }
    };
    locked(store, &date, &mut problems);
    let amount = figure(fields, "Amount").map(|amount| round(amount, 2)).unwrap_or_default();
    if amount <= Decimal::ZERO {
        problems.add("The payment amount must be greater than 0");
    } else if amount > store.outstanding(&document) {
        problems.add("Payment amount exceeds the amount outstanding on this document");
    }
    let account = object(fields, "Account")
        .map(|account| [text(account, "AccountID"), text(account, "Code")])
        .into_iter()
        .flatten()
        .chain([text(fields, "Code")])
        .find(|code| !code.is_empty())
        .unwrap_or_default();
    let base = store.options.currency.clone();
    let mut code = String::new();
    let mut account_currency = base.clone();
    match store.account(&account).filter(|account| account.receives()) {
        None => problems.add("The account must be of type BANK or have payments to it enabled"),
        Some(account) => {
            code.clone_from(&account.code);
            account_currency = account.currency.clone().unwrap_or(base.clone());
            let third = account_currency != base && account_currency != document.currency;
            if third && !store.switches.third_currency_payments {
                problems.add("The currency of the bank account must be that of the invoice or the base currency");
            }
        }
    }
    let rate = rate(store, fields, &document.currency, &mut Vec::new(), &mut problems);
    let bank_amount = figure(fields, "BankAmount").map(|amount| round(amount, 2)).unwrap_or_else(|| {
        if account_currency == document.currency {
            amount
        } else {
            // By way of the organisation's own currency.
            let in_base = store.in_base(amount, rate);
            let own = store.own_rate(&account_currency);
            let unit = store.in_base(Decimal::ONE_HUNDRED, own);
            round((in_base * Decimal::ONE_HUNDRED).checked_div(unit).unwrap_or(in_base), 2)
        }
    });
    problems.limit(fields, "Reference", TEXT_LIMIT);
    problems.or(())?;
    let id = store.next_id();
    let payment = Payment {
        id: id.clone(),
        document: document.id,
        account: code,
        date,
        amount,
        rate,
        bank_amount,
        reference: text(fields, "Reference"),
        deleted: false,
        updated_at: store.now(),
    };
    store.kept.payments.push(payment);
    Ok(id)
}

/// Sets a credit note off against an invoice; returns the allocation's id.
pub(crate) fn allocation(store: &mut Store, note: &str, fields: &Fields) -> Result<String, Problems> {
    let mut problems = Problems::default();
    refuse_unknown(store, "Allocations", fields, &mut problems);
    let Some(note) = store.document(true, note).cloned() else {
        return Err(Problems::of("Credit note could not be found"));
    };
    let name = object(fields, "Invoice")
        .map(|invoice| [text(invoice, "InvoiceID"), text(invoice, "InvoiceNumber")])
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .unwrap_or_default();
    let Some(invoice) = store.document(false, &name).cloned() else {
        return Err(Problems::of("Invoice could not be found"));
    };
    for document in [&note, &invoice] {
        if !["AUTHORISED", "PAID"].contains(&store.status(document)) {
            problems.add("Allocations can only be made between Authorised documents");
        }
    }
    if note.contact != invoice.contact {
        problems.add("The credit note and the invoice must be for the same contact");
    }
    if note.currency != invoice.currency {
        problems.add("The credit note and the invoice must be in the same currency");
    }
    let amount = figure(fields, "Amount").map(|amount| round(amount, 2)).unwrap_or_default();
    if amount <= Decimal::ZERO {
        problems.add("The allocation amount must be greater than 0");
    }
    if amount > store.outstanding(&note) {
        problems.add("The allocation amount exceeds the remaining credit on this credit note");
    }
    if amount > store.outstanding(&invoice) {
        problems.add("The allocation amount exceeds the amount outstanding on this document");
    }
    let later = note.date.clone().max(invoice.date.clone());
    let date = match day(fields, "Date") {
        Some(date) if store.switches.allocation_date_required => date.to_string(),
        None if store.switches.allocation_date_required => {
            problems.add("Date must be specified");
            later
        }
        _ => later,
    };
    locked(store, &date, &mut problems);
    problems.or(())?;
    let id = store.next_id();
    let allocation = Allocation { id: id.clone(), credit_note: note.id, invoice: invoice.id, amount, date };
    store.kept.allocations.push(allocation);
    Ok(id)
}
