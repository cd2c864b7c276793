//! What the book insists on before it takes something in. Fields and lengths: Sage Accounting API v3.1 reference. Most
//! messages are this book's own words, and nobody should go by them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::chart::{self, ALLOCATION, BANK_ACCOUNTS, EU, LEDGER_ACCOUNTS, OTHER_ALLOCATION, RECEIPT, REFUND};
use super::spec::{AllocationSign, AllocationType, Edition, PlaceTypes, RefundSign};
use super::store::{Document, Line, Movement, Part, Record, Store};
use crate::amount::{fraction, round};
use crate::book::{UnknownField, Verdict};
use crate::clock::date;
use crate::fields::{Fields, day, figure, given, longer, object, objects, text, unknown};

const REFERENCE_LIMIT: usize = 25;
const CONTACT_REFERENCE_LIMIT: usize = 10;
const NAME_LIMIT: usize = 100;
const TEXT_LIMIT: usize = 255;
const SHORT_LIMIT: usize = 50;
const NOTES_LIMIT: usize = 2_000;
const CONTACT_NOTES_LIMIT: usize = 4_000;
const POSTAL_CODE_LIMIT: usize = 10;
const PREFIX_LIMIT: usize = 6;
const STOCK_CODE_LIMIT: usize = 30;
const IDEMPOTENCY_DIGITS: usize = 32;
/// Where a GUID without hyphens has its version and its variant (RFC 9562, section 4).
const VERSION_AT: usize = 12;
const VARIANT_AT: usize = 16;

const REQUIRED: &str = "This field is required";
const UNKNOWN: &str = "Record not found";

const CONTACT_FIELDS: [&str; 27] = [
    "idempotency_id",
    "name",
    "contact_type_ids",
    "reference",
    "default_sales_ledger_account_id",
    "default_sales_tax_rate_id",
    "default_purchase_ledger_account_id",
    "tax_number",
    "notes",
    "locale",
    "credit_limit",
    "credit_days",
    "credit_terms",
    "credit_terms_and_conditions",
    "product_sales_price_type_id",
    "source_guid",
    "currency_id",
    "aux_reference",
    "registered_number",
    "tax_calculation",
    "auxiliary_account",
    "destination_vat_blocking",
    "main_address",
    "delivery_address",
    "main_contact_person",
    "bank_account_details",
    "tax_treatment",
];
const DOCUMENT_FIELDS: [&str; 24] = [
    "idempotency_id",
    "contact_id",
    "date",
    "vat_reverse_charge",
    "destination_consignment",
    "contact_name",
    "contact_reference",
    "reference",
    "notes",
    "terms_and_conditions",
    "shipping_net_amount",
    "shipping_tax_rate_id",
    "shipping_tax_amount",
    "shipping_total_amount",
    "net_amount",
    "tax_amount",
    "total_amount",
    "currency_id",
    "exchange_rate",
    "inverse_exchange_rate",
    "status_id",
    "sent",
    "main_address",
    "delivery_address",
];
const INVOICE_FIELDS: [&str; 5] =
    ["invoice_number_prefix", "invoice_number", "due_date", "invoice_lines", "delivery_performance_date"];
const CREDIT_NOTE_FIELDS: [&str; 5] = [
    "credit_note_number_prefix",
    "credit_note_number",
    "original_invoice_number",
    "original_invoice_date",
    "credit_note_lines",
];
const PRODUCT_FIELDS: [&str; 13] = [
    "idempotency_id",
    "item_code",
    "description",
    "sales_ledger_account_id",
    "purchase_ledger_account_id",
    "notes",
    "sales_tax_rate_id",
    "purchase_tax_rate_id",
    "usual_supplier_id",
    "cost_price",
    "source_guid",
    "purchase_description",
    "active",
];
const SERVICE_FIELDS: [&str; 2] = ["sales_rates", "oss_service"];
const STOCK_ITEM_FIELDS: [&str; 8] = [
    "sales_prices",
    "reorder_level",
    "reorder_quantity",
    "location",
    "barcode",
    "supplier_part_number",
    "weight",
    "measurement_unit",
];
const LINE_FIELDS: [&str; 18] = [
    "id",
    "description",
    "ledger_account_id",
    "unit_price",
    "analysis_type_categories",
    "product_id",
    "service_id",
    "trade_of_asset",
    "quantity",
    "net_amount",
    "tax_rate_id",
    "tax_amount",
    "total_amount",
    "unit_price_includes_tax",
    "eu_goods_services_type_id",
    "discount_amount",
    "discount_percentage",
    "eu_sales_description_id",
];
const PAYMENT_FIELDS: [&str; 16] = [
    "idempotency_id",
    "transaction_type_id",
    "contact_id",
    "bank_account_id",
    "date",
    "total_amount",
    "payment_method_id",
    "net_amount",
    "tax_amount",
    "currency_id",
    "exchange_rate",
    "base_currency_total_amount",
    "base_currency_currency_charge",
    "reference",
    "tax_rate_id",
    "allocated_artefacts",
];
const ALLOCATION_FIELDS: [&str; 5] =
    ["idempotency_id", "transaction_type_id", "contact_id", "date", "allocated_artefacts"];
const MOVEMENT_FIELDS: [&str; 8] =
    ["idempotency_id", "stock_item_id", "date", "quantity", "cost_price", "details", "movement_number", "reference"];

/// What is wrong with an entity: source and message.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<(String, String)>);

impl Mistakes {
    pub(crate) fn of(source: &str, message: &str) -> Self {
        Self(vec![(source.to_owned(), message.to_owned())])
    }

    pub(crate) fn add(&mut self, source: &str, message: impl Into<String>) {
        self.0.push((source.to_owned(), message.into()));
    }

    pub(crate) fn body(&self) -> Value {
        let errors = self.0.iter().map(|(source, message)| {
            json!({"$severity": "error", "$dataCode": "RecordInvalid", "$message": message, "$source": source})
        });
        Value::Array(errors.collect())
    }

    fn required(&mut self, fields: &Fields, names: &[&str]) {
        for field in names {
            if !given(fields, field)
                || fields.get(*field).and_then(Value::as_str).is_some_and(|text| text.trim().is_empty())
            {
                self.add(field, REQUIRED);
            }
        }
    }

    fn limit(&mut self, fields: &Fields, field: &str, characters: usize) {
        if longer(&text(fields, field), characters) {
            self.add(field, format!("is too long (maximum is {characters} characters)"));
        }
    }

    fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// Fields of an entity that aren't known, as paths.
pub(crate) fn unknown_fields(entity: &str, fields: &Fields) -> Vec<String> {
    let mut found = match entity {
        "contact" => unknown(fields, &CONTACT_FIELDS, ""),
        "product" => besides(unknown(fields, &PRODUCT_FIELDS, ""), &["sales_prices", "catalog_item_type_id"]),
        "service" => besides(unknown(fields, &PRODUCT_FIELDS, ""), &SERVICE_FIELDS),
        "stock_item" => besides(unknown(fields, &PRODUCT_FIELDS, ""), &STOCK_ITEM_FIELDS),
        "sales_invoice" | "sales_credit_note" => {
            let own: &[&str] = if entity == "sales_invoice" { &INVOICE_FIELDS } else { &CREDIT_NOTE_FIELDS };
            let mut found = besides(unknown(fields, &DOCUMENT_FIELDS, ""), own);
            for lines in ["invoice_lines", "credit_note_lines"] {
                let prefix = format!("{lines}.");
                objects(fields, lines).for_each(|line| found.extend(unknown(line, &LINE_FIELDS, &prefix)));
            }
            found
        }
        "contact_payment" => unknown(fields, &PAYMENT_FIELDS, ""),
        "contact_allocation" => unknown(fields, &ALLOCATION_FIELDS, ""),
        "stock_movement" => unknown(fields, &MOVEMENT_FIELDS, ""),
        _ => Vec::new(),
    };
    found.sort();
    found.dedup();
    found
}

fn besides(mut found: Vec<String>, known: &[&str]) -> Vec<String> {
    found.retain(|field| !known.contains(&field.as_str()));
    found
}

fn refuse_unknown(store: &Store, entity: &str, fields: &Fields, mistakes: &mut Mistakes) {
    if store.switches.unknown_fields == UnknownField::Refused {
        for field in unknown_fields(entity, fields) {
            mistakes.add(&field, "is not permitted");
        }
    }
}

/// Whether an idempotency id is a GUID without hyphens.
pub(crate) fn is_idempotency_id(id: &str, random: bool) -> bool {
    let at = |place: usize| id.chars().nth(place).unwrap_or_default();
    id.len() == IDEMPOTENCY_DIGITS
        && id.chars().all(|digit| digit.is_ascii_hexdigit())
        && (!random || (at(VERSION_AT) == '4' && "89ab".contains(at(VARIANT_AT).to_ascii_lowercase())))
}

/// A day in a period that is open.
fn open_day(store: &Store, fields: &Fields, field: &str, mistakes: &mut Mistakes) -> String {
    let Some(day) = day(fields, field) else {
        mistakes.add(field, if given(fields, field) { "is not a valid date" } else { REQUIRED });
        return String::new();
    };
    let day = day.to_string();
    if store.options.year_end_lockdown_date.as_ref().is_some_and(|lock| day <= *lock) {
        mistakes.add(field, "must be after the year end lockdown date");
    } else if store.options.accounts_start_date.as_ref().is_some_and(|start| day < *start) {
        mistakes.add(field, "must be on or after the accounts start date");
    }
    day
}

fn is_ledger(id: &str, only_sales: bool) -> bool {
    LEDGER_ACCOUNTS.iter().any(|(nominal, _, sales)| chart::ledger_id(*nominal) == id && (*sales || !only_sales))
}

fn is_tax_number(number: &str, country: &str) -> bool {
    let plain: String = number.chars().filter(|letter| *letter != ' ').collect();
    let digits = plain.strip_prefix(country).unwrap_or(&plain);
    match country {
        "GB" => [9, 12].contains(&digits.len()) && digits.chars().all(|digit| digit.is_ascii_digit()),
        "DE" => digits.len() == 9 && digits.chars().all(|digit| digit.is_ascii_digit()),
        _ => (8..=14).contains(&plain.len()) && plain.chars().all(|letter| letter.is_ascii_alphanumeric()),
    }
}

/// A contact, new or changed.
pub(crate) fn contact(store: &Store, sent: &Fields, known: Option<&Record>) -> Result<Fields, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "contact", sent, &mut mistakes);
    let mut fields = known.map(|record| record.fields.clone()).unwrap_or_default();
    fields.extend(sent.clone());
    mistakes.required(&fields, &["name"]);
    mistakes.limit(&fields, "name", NAME_LIMIT);
    let types: Vec<&str> = fields
        .get("contact_type_ids")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if types.is_empty() {
        mistakes.add("contact_type_ids", REQUIRED);
    } else if types.iter().any(|id| !chart::CONTACT_TYPES.contains(id)) {
        mistakes.add("contact_type_ids", UNKNOWN);
    }
    let reference = text(&fields, "reference");
    mistakes.limit(&fields, "reference", CONTACT_REFERENCE_LIMIT);
    // A deleted contact keeps its reference.
    let others = store
        .records
        .iter()
        .filter(|other| other.collection == "contacts" && known.is_none_or(|known| known.id != other.id));
    if !reference.is_empty() && others.into_iter().any(|other| text(&other.fields, "reference") == reference) {
        mistakes.add("reference", "has already been taken");
    }
    for (field, limit) in [("notes", CONTACT_NOTES_LIMIT), ("source_guid", TEXT_LIMIT)] {
        mistakes.limit(&fields, field, limit);
    }
    let own = &store.options.currency;
    let currency = text(&fields, "currency_id");
    if given(sent, "currency_id") && store.options.edition == Edition::Start {
        if !(store.switches.start_takes_currency && currency == *own) {
            mistakes.add("currency_id", "is not available for this business");
        }
    } else if !currency.is_empty() && !chart::CURRENCIES.iter().any(|(code, _)| *code == currency) {
        mistakes.add("currency_id", UNKNOWN);
    } else if !currency.is_empty() && currency != *own && !store.options.multi_currency {
        mistakes.add("currency_id", "multi-currency is not enabled");
    }
    let before = known.map(|known| text(&known.fields, "currency_id"));
    let has_documents = known.is_some_and(|known| store.documents.iter().any(|document| document.contact == known.id));
    if before.is_some_and(|before| before != currency) && has_documents && !store.switches.contact_currency_changeable {
        mistakes.add("currency_id", "cannot be changed once the contact has transactions");
    }
    if currency.is_empty() {
        fields.insert("currency_id".to_owned(), json!(own));
    }
    for address in ["main_address", "delivery_address"] {
        if let Some(fields) = object(&fields, address) {
            self::address(fields, address, &mut mistakes);
            let kind = text(fields, "address_type_id");
            place_type(store, &chart::ADDRESS_TYPES, &[kind], &format!("{address}.address_type_id"), &mut mistakes);
        }
    }
    if let Some(person) = object(&fields, "main_contact_person") {
        let kinds = person.get("contact_person_type_ids").and_then(Value::as_array).into_iter().flatten();
        let kinds: Vec<String> = kinds.filter_map(|kind| kind.as_str().map(str::to_owned)).collect();
        let source = "main_contact_person.contact_person_type_ids";
        place_type(store, &chart::PERSON_TYPES, &kinds, source, &mut mistakes);
        if longer(&text(person, "name"), SHORT_LIMIT) {
            mistakes.add("main_contact_person.name", "is too long (maximum is 50 characters)");
        }
        let email = text(person, "email");
        if longer(&email, NAME_LIMIT) {
            mistakes.add("main_contact_person.email", "is too long (maximum is 100 characters)");
        }
        if !email.is_empty()
            && email.split_once('@').is_none_or(|(local, domain)| local.is_empty() || domain.is_empty())
        {
            mistakes.add("main_contact_person.email", "is invalid");
        }
    }
    let tax_number = text(&fields, "tax_number");
    if !tax_number.is_empty() && !is_tax_number(&tax_number, &country(store, &fields)) {
        mistakes.add("tax_number", "is not a valid format");
    }
    mistakes.or(fields)
}

fn address(fields: &Fields, name: &str, mistakes: &mut Mistakes) {
    for (field, limit) in [
        ("address_line_1", SHORT_LIMIT),
        ("address_line_2", SHORT_LIMIT),
        ("city", SHORT_LIMIT),
        ("region", SHORT_LIMIT),
        ("postal_code", POSTAL_CODE_LIMIT),
    ] {
        if longer(&text(fields, field), limit) {
            mistakes.add(&format!("{name}.{field}"), format!("is too long (maximum is {limit} characters)"));
        }
    }
    let country = text(fields, "country_id");
    let looks_right = country.len() == 2 && country.chars().all(|letter| letter.is_ascii_uppercase());
    if !country.is_empty() && !looks_right {
        mistakes.add(&format!("{name}.country_id"), UNKNOWN);
    }
}

/// The types of an address or a person: said where they have to be, known where they are said.
fn place_type(store: &Store, known: &[&str], said: &[String], source: &str, mistakes: &mut Mistakes) {
    let said: Vec<&String> = said.iter().filter(|kind| !kind.is_empty()).collect();
    let types = store.switches.place_types;
    if said.is_empty() && types != PlaceTypes::Optional {
        mistakes.add(source, REQUIRED);
    }
    let is_known = |kind: &str| match types {
        PlaceTypes::Optional | PlaceTypes::Words => known.contains(&kind),
        PlaceTypes::Digits => known.iter().any(|name| chart::listed_id(known, name) == kind),
    };
    if said.iter().any(|kind| !is_known(kind)) {
        mistakes.add(source, UNKNOWN);
    }
}

/// The country a contact is in; the business's own where nothing is said.
pub(crate) fn country(store: &Store, contact: &Fields) -> String {
    let country = object(contact, "main_address").map(|address| text(address, "country_id")).unwrap_or_default();
    if country.is_empty() { store.options.country.clone() } else { country }
}

/// A product, service or stock item, new or changed.
pub(crate) fn product(
    store: &Store,
    collection: &'static str,
    sent: &Fields,
    known: Option<&Record>,
) -> Result<Fields, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, collection.trim_end_matches('s'), sent, &mut mistakes);
    let mut fields = known.map(|record| record.fields.clone()).unwrap_or_default();
    fields.extend(sent.clone());
    mistakes.required(&fields, &["description", "sales_ledger_account_id"]);
    if collection != "services" {
        mistakes.required(&fields, &["purchase_ledger_account_id"]);
    }
    mistakes.limit(&fields, "description", TEXT_LIMIT);
    let code = text(&fields, "item_code");
    if collection == "stock_items" {
        mistakes.required(&fields, &["item_code"]);
        mistakes.limit(&fields, "item_code", STOCK_CODE_LIMIT);
    } else {
        mistakes.limit(&fields, "item_code", TEXT_LIMIT);
    }
    let is_other = |other: &&Record| known.is_none_or(|known| known.id != other.id) && !other.deleted;
    let catalogue = ["products", "services", "stock_items"];
    let mut others = store.records.iter().filter(is_other).filter(|other| catalogue.contains(&other.collection));
    let is_taken = others.any(|other| text(&other.fields, "item_code") == code);
    if !code.is_empty() && is_taken && store.switches.item_codes_unique {
        mistakes.add("item_code", "has already been taken");
    }
    for (prices, field, known) in [
        ("sales_prices", "product_sales_price_type_id", &chart::PRICE_TYPES[..]),
        ("sales_rates", "service_rate_type_id", &chart::RATE_TYPES[..]),
    ] {
        for price in objects(&fields, prices) {
            let kind = text(price, field);
            if kind.is_empty() && store.switches.price_types_required {
                mistakes.add(&format!("{prices}.{field}"), REQUIRED);
            } else if !kind.is_empty() && !known.iter().any(|name| chart::listed_id(known, name) == kind) {
                mistakes.add(&format!("{prices}.{field}"), UNKNOWN);
            }
        }
    }
    for field in ["sales_ledger_account_id", "purchase_ledger_account_id"] {
        let id = text(&fields, field);
        if !id.is_empty() && !is_ledger(&id, field.starts_with("sales")) {
            mistakes.add(field, UNKNOWN);
        }
    }
    for field in ["sales_tax_rate_id", "purchase_tax_rate_id"] {
        let id = text(&fields, field);
        if !id.is_empty() && store.tax_rate(&id).is_none() {
            mistakes.add(field, UNKNOWN);
        }
    }
    mistakes.or(fields)
}

/// A change of stock.
pub(crate) fn stock_movement(store: &Store, sent: &Fields) -> Result<Fields, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "stock_movement", sent, &mut mistakes);
    mistakes.required(sent, &["stock_item_id", "quantity", "cost_price", "details"]);
    open_day(store, sent, "date", &mut mistakes);
    let item = text(sent, "stock_item_id");
    if !item.is_empty() && store.record("stock_items", &item).is_none() {
        mistakes.add("stock_item_id", UNKNOWN);
    }
    if given(sent, "quantity") && figure(sent, "quantity").is_none_or(|quantity| quantity.is_zero()) {
        mistakes.add("quantity", "must be other than 0");
    }
    let takes_away = figure(sent, "quantity").is_some_and(|quantity| quantity < Decimal::ZERO);
    if takes_away && store.switches.negative_movements == Verdict::Refused {
        mistakes.add("quantity", "must be greater than 0");
    }
    mistakes.limit(sent, "details", TEXT_LIMIT);
    mistakes.limit(sent, "reference", TEXT_LIMIT);
    mistakes.or(sent.clone())
}

/// Whether a text has something in it that stands for another letter in HTML.
fn has_entity(text: &str) -> bool {
    text.split('&').skip(1).any(|rest| {
        rest.split_once(';').is_some_and(|(name, _)| {
            let name = name.strip_prefix('#').unwrap_or(name);
            !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric())
        })
    })
}

/// An invoice or a credit note, new or changed, with its figures counted.
pub(crate) fn document(
    store: &mut Store,
    sent: &Fields,
    is_credit: bool,
    known: Option<&Document>,
) -> Result<Document, Mistakes> {
    let (entity, lines_field, number_field) = if is_credit {
        ("sales_credit_note", "credit_note_lines", "credit_note_number")
    } else {
        ("sales_invoice", "invoice_lines", "invoice_number")
    };
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, entity, sent, &mut mistakes);
    let mut fields = known.map(|document| document.given.clone()).unwrap_or_default();
    fields.extend(sent.clone());
    mistakes.required(&fields, &["contact_id"]);
    let contact = store.contact(&text(&fields, "contact_id")).map(|contact| contact.fields.clone());
    let flag =
        |contact: &Fields, name: &str, usually: bool| contact.get(name).and_then(Value::as_bool).unwrap_or(usually);
    match &contact {
        None if given(&fields, "contact_id") => mistakes.add("contact_id", UNKNOWN),
        Some(contact) if flag(contact, "gdpr_obfuscated", false) || !flag(contact, "is_active", true) => {
            mistakes.add("contact_id", "is not active");
        }
        _ => {}
    }
    let date = open_day(store, &fields, "date", &mut mistakes);
    let due = match day(&fields, "due_date") {
        Some(due) => due.to_string(),
        None if given(&fields, "due_date") => {
            mistakes.add("due_date", "is not a valid date");
            String::new()
        }
        None => days_after(&date, contact.as_ref().and_then(|contact| figure(contact, "credit_days"))),
    };
    if !is_credit && !date.is_empty() && !due.is_empty() && due < date {
        mistakes.add("due_date", "must be on or after the date");
    }
    for (field, limit) in [
        ("reference", REFERENCE_LIMIT),
        ("contact_name", TEXT_LIMIT),
        ("notes", NOTES_LIMIT),
        ("terms_and_conditions", NOTES_LIMIT),
        ("invoice_number_prefix", PREFIX_LIMIT),
        ("credit_note_number_prefix", PREFIX_LIMIT),
    ] {
        mistakes.limit(&fields, field, limit);
    }
    for address in ["main_address", "delivery_address"] {
        if let Some(fields) = object(&fields, address) {
            self::address(fields, address, &mut mistakes);
        }
    }
    let of_contact = contact.as_ref().map(|contact| text(contact, "currency_id")).unwrap_or_default();
    let currency = match text(&fields, "currency_id").as_str() {
        "" => of_contact.clone(),
        code => code.to_owned(),
    };
    if contact.is_some() && currency != of_contact {
        mistakes.add("currency_id", "must be the currency of the contact");
    }
    let rate = exchange_rate(store, &fields, &currency, &mut mistakes);
    let country = contact.as_ref().map(|contact| country(store, contact)).unwrap_or_default();
    let mut lines = Vec::new();
    for fields in objects(&fields, lines_field) {
        let mut own = Mistakes::default();
        lines.push(line(store, fields, &country, &mut own));
        if !own.0.is_empty() && store.switches.umbrella_line_errors {
            own = Mistakes::of("line_items.description", REQUIRED);
        }
        mistakes.0.extend(own.0);
    }
    if lines.is_empty() {
        mistakes.add(lines_field, REQUIRED);
    }
    goods_and_services(store, &lines, &country, &mut mistakes);
    let (shipping_net, shipping_tax) = shipping(store, &fields, &country, &mut mistakes);
    let net = lines.iter().map(|line| line.net).sum::<Decimal>() + shipping_net;
    let tax = lines.iter().map(|line| line.tax).sum::<Decimal>() + shipping_tax;
    if net + tax < Decimal::ZERO {
        mistakes.add("total_amount", "must be greater than or equal to 0");
    }
    let is_draft = match (known, text(sent, "status_id").as_str()) {
        (_, "DRAFT") => true,
        (Some(known), "") => known.is_draft,
        (_, "" | "UNPAID" | "SENT") => false,
        (_, _) => {
            mistakes.add("status_id", "is not a status a document can be given");
            false
        }
    };
    let id = known.map(|document| document.id.clone());
    let number = document_number(store, &fields, is_credit, number_field, known);
    let mut mistakes_free = mistakes.or(Document {
        id: String::new(),
        is_credit,
        contact: text(&fields, "contact_id"),
        number,
        reference: text(&fields, "reference"),
        is_draft,
        void_reason: None,
        date,
        due: if is_credit { String::new() } else { due },
        currency,
        rate,
        lines,
        shipping_net,
        shipping_tax,
        net,
        tax,
        total: net + tax + store.desk.total_shift,
        sent: fields.get("sent").and_then(Value::as_bool).unwrap_or(false),
        given: fields,
        created_at: known.map_or(store.now(), |document| document.created_at),
        updated_at: store.now(),
    })?;
    mistakes_free.id = id.unwrap_or_else(|| store.next_id());
    for line in &mut mistakes_free.lines {
        line.id = store.next_id();
    }
    Ok(mistakes_free)
}

fn days_after(date: &str, days: Option<Decimal>) -> String {
    let days = days.and_then(|days| i64::try_from(days).ok()).unwrap_or(30);
    let day = crate::fields::calendar_day(date);
    let due = day.and_then(|day| day.checked_add(jiff::Span::new().try_days(days).ok()?).ok());
    due.map(|due| due.to_string()).unwrap_or_default()
}

fn document_number(store: &Store, fields: &Fields, is_credit: bool, field: &str, known: Option<&Document>) -> String {
    let sent = text(fields, field);
    if store.switches.numbers_settable && !sent.is_empty() {
        return sent;
    }
    if let Some(known) = known {
        return known.number.clone();
    }
    let prefix = match text(fields, &format!("{field}_prefix")) {
        own if !own.is_empty() => own,
        _ if is_credit => "SCN-".to_owned(),
        _ => "SI-".to_owned(),
    };
    let count = store.documents.iter().filter(|document| document.is_credit == is_credit).count();
    format!("{prefix}{}", count.saturating_add(1))
}

fn exchange_rate(store: &Store, fields: &Fields, currency: &str, mistakes: &mut Mistakes) -> Decimal {
    if currency == store.options.currency {
        return Decimal::ONE;
    }
    let own = store.own_rate(currency);
    match figure(fields, "exchange_rate") {
        Some(rate) if rate > Decimal::ZERO => rate,
        None if !given(fields, "exchange_rate") => {
            if !store.options.live_exchange_rates {
                mistakes.add("exchange_rate", REQUIRED);
            }
            own
        }
        _ => {
            mistakes.add("exchange_rate", "must be greater than 0");
            own
        }
    }
}

/// Whether a rate may be used for a contact in that country; returns its percentage.
fn usable_rate(store: &Store, id: &str, country: &str, source: &str, mistakes: &mut Mistakes) -> Decimal {
    let Some(rate) = store.tax_rate(id) else {
        mistakes.add(source, UNKNOWN);
        return Decimal::ZERO;
    };
    if rate.destination.is_some() && !store.options.destination_vat {
        mistakes.add(source, "is not available: destination VAT is not enabled");
    } else if rate.destination.as_deref().is_some_and(|of| of != country) {
        mistakes.add(source, "is not a rate of the customer's country");
    }
    let outside = !country.is_empty() && country != "GB" && country != store.options.country && !EU.contains(&country);
    let zero_rated =
        if store.switches.only_zero_rated_outside_eu { rate.id.ends_with("_ZERO") } else { rate.percentage.is_zero() };
    if outside && store.options.country == "GB" && !zero_rated {
        mistakes.add(source, "Line items (tax rate) must be 'Zero Rated' for Customers outside the EU");
    }
    rate.percentage
}

fn line(store: &Store, fields: &Fields, country: &str, mistakes: &mut Mistakes) -> Line {
    for field in ["description", "ledger_account_id", "unit_price", "tax_rate_id"] {
        if !given(fields, field) || (field != "unit_price" && text(fields, field).is_empty()) {
            mistakes.add(&format!("line_items.{field}"), REQUIRED);
        }
    }
    let description = text(fields, "description");
    if longer(&description, NOTES_LIMIT) {
        mistakes.add("line_items.description", format!("is too long (maximum is {NOTES_LIMIT} characters)"));
    }
    if has_entity(&description) {
        mistakes.add("line_items.description", "contains characters that are not allowed");
    }
    let ledger = text(fields, "ledger_account_id");
    if !ledger.is_empty() && !is_ledger(&ledger, true) {
        mistakes.add("line_items.ledger_account_id", UNKNOWN);
    }
    let product = text(fields, "product_id");
    let known_product = store.record("products", &product).or_else(|| store.record("stock_items", &product)).is_some();
    if !product.is_empty() && !known_product {
        mistakes.add("line_items.product_id", UNKNOWN);
    }
    let service = text(fields, "service_id");
    if !service.is_empty() && store.record("services", &service).is_none() {
        mistakes.add("line_items.service_id", UNKNOWN);
    }
    for field in ["quantity", "unit_price", "tax_amount", "discount_amount", "discount_percentage"] {
        if given(fields, field) && figure(fields, field).is_none() {
            mistakes.add(&format!("line_items.{field}"), "is not a number");
        }
    }
    let quantity = figure(fields, "quantity").unwrap_or(Decimal::ONE);
    let unit_price = figure(fields, "unit_price").unwrap_or_default();
    let gross = quantity * unit_price;
    if gross < Decimal::ZERO && store.switches.negative_lines == Verdict::Refused {
        mistakes.add("line_items.unit_price", "must be greater than or equal to 0");
    }
    let discount = round(
        figure(fields, "discount_amount")
            .or_else(|| figure(fields, "discount_percentage").map(|percent| gross * fraction(percent)))
            .unwrap_or_default(),
        2,
    );
    if discount.abs() > gross.abs() {
        mistakes.add("line_items.discount_amount", "must not be greater than the line total");
    }
    let rate_id = text(fields, "tax_rate_id");
    let mut tax = Decimal::ZERO;
    if !rate_id.is_empty() {
        let percentage = usable_rate(store, &rate_id, country, "line_items.tax_rate_id", mistakes);
        // The tax is what is stated: the book counts none for itself.
        match figure(fields, "tax_amount").map(|tax| round(tax, 2)) {
            Some(stated) if percentage.is_zero() && !stated.is_zero() => {
                mistakes.add("line_items.tax_amount", "You cannot record VAT Amount if using a VAT Rate with a Zero %");
            }
            Some(stated) => tax = stated,
            None if percentage.is_zero() => {}
            None => mistakes.add("line_items.tax_amount", REQUIRED),
        }
    }
    let amount = round(gross - discount, 2);
    let includes_tax = fields.get("unit_price_includes_tax").and_then(Value::as_bool).unwrap_or(false);
    let net = if includes_tax { amount - tax } else { amount };
    Line { id: String::new(), fields: fields.clone(), quantity, unit_price, discount, net, tax }
}

/// For a customer in the EU each line says whether it is goods or services, and all say the same.
fn goods_and_services(store: &Store, lines: &[Line], country: &str, mistakes: &mut Mistakes) {
    let kinds: Vec<String> = lines.iter().map(|line| text(&line.fields, "eu_goods_services_type_id")).collect();
    if kinds.iter().any(|kind| !kind.is_empty() && !chart::GOODS_SERVICES.contains(&kind.as_str())) {
        mistakes.add("line_items.eu_goods_services_type_id", UNKNOWN);
    }
    if country == store.options.country || !EU.contains(&country) {
        let is_said = kinds.iter().any(|kind| !kind.is_empty());
        if is_said && store.switches.supply_where_not_asked == Verdict::Refused {
            mistakes.add("line_items.eu_goods_services_type_id", "must be blank for customers outside the EU");
        }
        return;
    }
    if kinds.iter().any(String::is_empty) {
        mistakes.add("line_items.eu_goods_services_type_id", "EU goods/services type must be specified");
    } else if kinds.windows(2).any(|pair| pair.first() != pair.last()) {
        mistakes.add("line_items.eu_goods_services_type_id", "Goods and services cannot be mixed");
    }
}

/// Shipping as one figure: its tax is always counted from the rate, whatever is stated.
fn shipping(store: &Store, fields: &Fields, country: &str, mistakes: &mut Mistakes) -> (Decimal, Decimal) {
    let net = round(figure(fields, "shipping_net_amount").unwrap_or_default(), 2);
    if net.is_zero() {
        return (net, net);
    }
    let rate = text(fields, "shipping_tax_rate_id");
    if rate.is_empty() {
        mistakes.add("shipping_tax_rate_id", REQUIRED);
        return (net, Decimal::ZERO);
    }
    let percentage = usable_rate(store, &rate, country, "shipping_tax_rate_id", mistakes);
    (net, round(net * fraction(percentage), 2))
}

/// The parts of a payment or an allocation.
fn parts(store: &Store, fields: &Fields, contact: &str, mistakes: &mut Mistakes) -> Vec<(Part, Decimal)> {
    let mut parts: Vec<(Part, Decimal)> = Vec::new();
    for artefact in objects(fields, "allocated_artefacts") {
        let id = text(artefact, "artefact_id");
        let Some(document) = store.documents.iter().find(|document| document.id == id) else {
            mistakes.add("allocated_artefacts.artefact_id", UNKNOWN);
            continue;
        };
        let Some(stated) = figure(artefact, "amount").map(|amount| round(amount, 2)) else {
            mistakes.add("allocated_artefacts.amount", REQUIRED);
            continue;
        };
        if document.contact != contact {
            mistakes.add("allocated_artefacts.artefact_id", "does not belong to this contact");
        }
        if ["DRAFT", "VOID"].contains(&store.status(document)) {
            mistakes.add("allocated_artefacts.artefact_id", "cannot be allocated to in its status");
        }
        let before: Decimal = parts.iter().filter(|(part, _)| part.document == id).map(|(part, _)| part.amount).sum();
        if stated.abs() + before > store.outstanding(document) {
            mistakes.add("allocated_artefacts.amount", "is greater than the outstanding amount");
        }
        let part = Part { document: id, is_credit: document.is_credit, amount: stated.abs() };
        parts.push((part, stated));
    }
    parts
}

/// Money received for invoices, or paid back for credit notes.
pub(crate) fn payment(store: &mut Store, fields: &Fields) -> Result<Movement, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "contact_payment", fields, &mut mistakes);
    mistakes.required(fields, &["transaction_type_id", "contact_id", "bank_account_id", "total_amount"]);
    let date = open_day(store, fields, "date", &mut mistakes);
    let kind = text(fields, "transaction_type_id");
    if !kind.is_empty() && ![RECEIPT, REFUND].contains(&kind.as_str()) {
        mistakes.add("transaction_type_id", UNKNOWN);
    }
    let contact = text(fields, "contact_id");
    let own = store.options.currency.clone();
    let mut currency = own.clone();
    match store.contact(&contact) {
        Some(contact) => currency = text(&contact.fields, "currency_id"),
        None if contact.is_empty() => {}
        None => mistakes.add("contact_id", UNKNOWN),
    }
    let stated = text(fields, "currency_id");
    if !stated.is_empty() && stated != currency {
        mistakes.add("currency_id", "must be the currency of the contact");
    }
    let rate = exchange_rate(store, fields, &currency, &mut mistakes);
    let bank = text(fields, "bank_account_id");
    let mut bank_currency = currency.clone();
    match BANK_ACCOUNTS.iter().find(|(nominal, _, _)| chart::bank_id(*nominal) == bank) {
        Some((_, _, of_bank)) => {
            (*of_bank).clone_into(&mut bank_currency);
            if bank_currency != currency && bank_currency != own {
                mistakes.add("bank_account_id", "must be in the currency of the contact or the base currency");
            }
        }
        None if bank.is_empty() => {}
        None => mistakes.add("bank_account_id", UNKNOWN),
    }
    let amount = round(figure(fields, "total_amount").unwrap_or_default(), 2);
    if given(fields, "total_amount") && amount <= Decimal::ZERO {
        mistakes.add("total_amount", "must be greater than 0");
    }
    let method = text(fields, "payment_method_id");
    if !method.is_empty() && !chart::PAYMENT_METHODS.contains(&method.as_str()) {
        mistakes.add("payment_method_id", UNKNOWN);
    }
    mistakes.limit(fields, "reference", TEXT_LIMIT);
    let stated_parts = parts(store, fields, &contact, &mut mistakes);
    let paid_back_as_negative = kind == REFUND && store.switches.refund_sign == RefundSign::Negative;
    let is_wrong = |(part, stated): &(Part, Decimal)| {
        stated.is_zero() || stated.is_sign_negative() != paid_back_as_negative || part.is_credit != (kind == REFUND)
    };
    if stated_parts.iter().any(is_wrong) {
        mistakes.add("allocated_artefacts", "cannot be allocated by this type of transaction");
    }
    let used: Decimal = stated_parts.iter().map(|(part, _)| part.amount).sum();
    if used > amount {
        mistakes.add("allocated_artefacts", "must not be greater than the total amount");
    }
    let bank_amount = if bank_currency == currency { amount } else { store.in_base(amount, rate) };
    mistakes.or(())?;
    Ok(Movement {
        id: store.next_id(),
        is_allocation: false,
        given: fields.clone(),
        kind,
        contact,
        bank,
        date,
        amount,
        currency,
        rate,
        bank_amount,
        parts: stated_parts.into_iter().map(|(part, _)| part).collect(),
        created_at: store.now(),
        deleted: false,
    })
}

/// What an allocation calls itself.
pub(crate) fn allocation_type(store: &Store) -> &'static str {
    match store.switches.allocation_type {
        AllocationType::CustomerAllocation => ALLOCATION,
        AllocationType::SalesAllocation => OTHER_ALLOCATION,
    }
}

/// A credit note set off against invoices.
pub(crate) fn allocation(store: &mut Store, fields: &Fields) -> Result<Movement, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "contact_allocation", fields, &mut mistakes);
    mistakes.required(fields, &["transaction_type_id", "contact_id", "allocated_artefacts"]);
    let kind = text(fields, "transaction_type_id");
    if !kind.is_empty() && kind != allocation_type(store) {
        mistakes.add("transaction_type_id", UNKNOWN);
    }
    let contact = text(fields, "contact_id");
    if !contact.is_empty() && store.contact(&contact).is_none() {
        mistakes.add("contact_id", UNKNOWN);
    }
    let date = if given(fields, "date") { open_day(store, fields, "date", &mut mistakes) } else { date(store.now()) };
    let stated = parts(store, fields, &contact, &mut mistakes);
    let signs_right = stated.iter().all(|(part, amount)| match store.switches.allocation_sign {
        AllocationSign::CreditNegative => amount.is_sign_negative() == part.is_credit && !amount.is_zero(),
        AllocationSign::AllPositive => *amount > Decimal::ZERO,
    });
    let side = |is_credit: bool| -> Decimal {
        stated.iter().filter(|(part, _)| part.is_credit == is_credit).map(|(part, _)| part.amount).sum()
    };
    if !signs_right || side(true) != side(false) || side(true).is_zero() {
        mistakes.add("allocated_artefacts", "the allocated amounts must balance");
    }
    let amount = side(true);
    mistakes.or(())?;
    Ok(Movement {
        id: store.next_id(),
        is_allocation: true,
        given: fields.clone(),
        kind,
        contact,
        bank: String::new(),
        date,
        amount,
        currency: String::new(),
        rate: Decimal::ONE,
        bank_amount: Decimal::ZERO,
        parts: stated.into_iter().map(|(part, _)| part).collect(),
        created_at: store.now(),
        deleted: false,
    })
}
