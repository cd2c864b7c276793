//! What a reply says: a created document, a list, or a complaint in any of the shapes that the family has been seen to
//! use (FreeAgent API docs and forum: `errors` as array, as object, as text; plain text; pages of a proxy).

use super::{House, url};
use crate::{Context, Reply};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::fault::{Action, Evidence, Fault};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Most characters of the book's own text that an attempt keeps.
const TEXT_LENGTH_MAX: usize = 500;
/// Longest code or field path of the book's that is kept: these are logged.
const NAME_LENGTH_MAX: usize = 100;
/// Most complaints of one reply that are read.
const COMPLAINTS_MAX: usize = 50;

/// A document by its root key, beside whatever else a reply has.
type Root<'a> = BTreeMap<String, &'a RawValue>;

/// A document that a reply names.
pub(super) struct Named<'a> {
    /// Its URL: as the book wrote it, but never relative.
    pub(super) url: String,
    /// Its call path.
    pub(super) path: String,
    /// What else the reply says of it. Numbers come back as text (Byte8 module's troubleshooting page, quirk 2), so
    /// decoding more than is needed would break on a book that created it.
    pub(super) entry: Entry<'a>,
}

/// What came of a creating call.
pub(super) enum Created<'a> {
    /// It is in the book.
    Done(Named<'a>),
    /// Anything else, by [`classify`], with what the book finds wrong where it said no for good.
    Fault(Fault, Vec<Complaint>),
}

/// Reads the reply to a creating call. Success is a 200 or 201 with a URL of the binding's and no complaint beside it.
pub(super) fn created<'a>(house: &House, context: &Context, entity: Entity, reply: &'a Reply) -> Created<'a> {
    let fault = || {
        let fault = classify(house, reply, true);
        let complaints = if fault.action == Action::Refused { complaints(&reply.body).0 } else { Vec::new() };
        Created::Fault(fault, complaints)
    };
    if !matches!(reply.status, 200 | 201) {
        return fault();
    }
    let Some(root) = root(&reply.body) else { return fault() };
    if complains(&root) {
        return fault();
    }
    let named =
        root.get(entity.root).and_then(|raw| serde_json::from_str::<Root<'_>>(raw.get()).ok()).and_then(|body| {
            let entry = Entry(body);
            let (url, path) = entry.own_url(house, context, entity)?;
            Some(Named { url, path, entry })
        });
    named.map_or_else(fault, Created::Done)
}

/// True for an answer that says of a change that it was made.
pub(super) fn changed(reply: &Reply) -> bool {
    match reply.status {
        204 => true,
        200 => !is_page(&reply.body) && root(&reply.body).is_none_or(|root| !complains(&root)),
        _ => false,
    }
}

fn root(body: &[u8]) -> Option<Root<'_>> {
    serde_json::from_slice(body).ok()
}

fn complains(root: &Root<'_>) -> bool {
    ["errors", "error"].iter().any(|key| root.get(*key).is_some_and(|raw| !is_nothing(raw)))
}

/// An entity of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    /// Root key of one.
    pub(super) root: &'static str,
    /// Root key of a list, and path.
    pub(super) collection: &'static str,
}

/// A document of a list or by itself. Every field may be missing or of another type.
#[derive(Debug)]
pub(super) struct Entry<'a>(Root<'a>);

impl Entry<'_> {
    /// A field that is text.
    pub(super) fn text(&self, field: &str) -> Option<String> {
        self.0.get(field).and_then(|raw| text(raw))
    }

    /// A field that is a number, or a number as text, from the exact text.
    pub(super) fn amount(&self, field: &str) -> Option<Amount> {
        let raw = self.0.get(field)?;
        Amount::parse(&text(raw).unwrap_or_else(|| raw.get().to_owned())).ok()
    }

    /// A field that is a list of texts and numbers, as texts.
    pub(super) fn texts(&self, field: &str) -> Option<Vec<String>> {
        let values: Vec<&RawValue> = serde_json::from_str(self.0.get(field)?.get()).ok()?;
        Some(values.into_iter().map(|raw| text(raw).unwrap_or_else(|| raw.get().to_owned())).collect())
    }

    /// A field that is text or a whole number, as text.
    pub(super) fn id(&self, field: &str) -> Option<String> {
        let raw = self.0.get(field)?;
        let id = text(raw).unwrap_or_else(|| raw.get().to_owned());
        (!id.is_empty() && id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')).then_some(id)
    }

    /// Its URL and call path, where it is the binding's own.
    pub(super) fn own_url(&self, house: &House, context: &Context, entity: Entity) -> Option<(String, String)> {
        url::own(&context.base_url, house.root, entity.collection, &self.text("url")?)
    }

    /// True where a field names the document of a URL.
    pub(super) fn names(&self, field: &str, house: &House, context: &Context, collection: &str, url: &str) -> bool {
        self.text(field).is_some_and(|named| url::same(&context.base_url, house.root, collection, &named, url))
    }
}

/// A page of a list.
///
/// # Errors
/// What the reply means where it is no list.
pub(super) fn list<'a>(house: &House, entity: Entity, reply: &'a Reply) -> Result<Vec<Entry<'a>>, Fault> {
    entries(reply, entity.collection).ok_or_else(|| classify(house, reply, false))
}

fn entries<'a>(reply: &'a Reply, key: &str) -> Option<Vec<Entry<'a>>> {
    if reply.status != 200 {
        return None;
    }
    let root = root(&reply.body)?;
    let entries: Vec<Root<'_>> = serde_json::from_str(root.get(key)?.get()).ok()?;
    Some(entries.into_iter().map(Entry).collect())
}

/// Every list of a reply whose key ends in `suffix`, with what stands before it.
///
/// # Errors
/// What the reply means where it has none.
pub(super) fn lists<'a>(house: &House, suffix: &str, reply: &'a Reply) -> Result<Vec<(String, Vec<Entry<'a>>)>, Fault> {
    let root = root(&reply.body).filter(|_| reply.status == 200).unwrap_or_default();
    let groups = root.keys().filter_map(|key| Some((key.strip_suffix(suffix)?.to_owned(), entries(reply, key)?)));
    let groups: Vec<_> = groups.collect();
    if groups.is_empty() { Err(classify(house, reply, false)) } else { Ok(groups) }
}

/// One document, as far as it can be read.
///
/// # Errors
/// What the reply means where it is none.
pub(super) fn one<'a>(house: &House, entity: Entity, reply: &'a Reply) -> Result<Entry<'a>, Fault> {
    let read = || {
        let body = *root(&reply.body).filter(|_| reply.status == 200)?.get(entity.root)?;
        serde_json::from_str(body.get()).ok().map(Entry)
    };
    read().ok_or_else(|| classify(house, reply, false))
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn is_nothing(raw: &RawValue) -> bool {
    matches!(raw.get().trim(), "null" | "[]" | "{}" | "\"\"" | "false")
}

/// One thing that the book finds wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The field that it names.
    pub(super) field: Option<String>,
    /// Its text.
    pub(super) message: String,
}

impl Complaint {
    /// True where the value of a field has to be unlike all others and is not. Books name the field, or begin the text
    /// with it.
    pub(super) fn says_taken(&self, field: &str) -> bool {
        let message = self.message.to_lowercase();
        let taken = ["taken", "already", "unique", "exists", "in use"].iter().any(|word| message.contains(word));
        let is_word = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
        let named = match self.field.as_deref() {
            Some(named) => last_name(named) == field,
            None => message.split(|letter| !is_word(letter)).any(|word| word == field),
        };
        taken && named
    }

    /// True where it is about a field: named, or at the beginning of the text.
    pub(super) fn is_about(&self, field: &str) -> bool {
        match self.field.as_deref() {
            Some(named) => last_name(named) == field,
            None => {
                let message = self.message.to_lowercase();
                let message = message.trim_start_matches("validation failed:").trim_start();
                let first = message.split_whitespace().next().unwrap_or_default();
                message.starts_with(&field.replace('_', " ")) || last_name(first) == field
            }
        }
    }

    fn meaning(&self) -> Option<Meaning> {
        if self.says_taken("reference") {
            return Some(Meaning::ReferenceTaken);
        }
        let message = self.message.to_lowercase();
        if message.contains("locked") {
            return Some(Meaning::Locked);
        }
        let message = message.trim_start_matches("validation failed:").trim_start();
        let is_about = |field: &str, begins: &[&str]| match self.field.as_deref() {
            Some(named) => last_name(named) == field,
            // A sentence begins with the field, or with the path to it: `invoice_items.category is not …`.
            None => {
                let first = message.split_whitespace().next().unwrap_or_default();
                begins.iter().any(|text| message.starts_with(text)) || last_name(first) == field
            }
        };
        if is_about("category", &["category"]) {
            Some(Meaning::Category)
        } else if is_about("sales_tax_rate", &["sales_tax_rate", "sales tax rate"]) {
            Some(Meaning::TaxRate)
        } else if is_about("exchange_rate", &["exchange_rate", "exchange rate"]) {
            Some(Meaning::ExchangeRate)
        } else if is_about("contact", &["contact "]) {
            Some(Meaning::Contact)
        } else {
            None
        }
    }
}

/// What we know how to name of what a book finds wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    ReferenceTaken,
    Locked,
    Category,
    TaxRate,
    ExchangeRate,
    Contact,
}

/// `category` of `invoice_items[0].category`.
fn last_name(path: &str) -> &str {
    path.rsplit(['.', '/', ']']).find(|name| !name.is_empty()).unwrap_or(path)
}

/// What the book finds wrong, and its own code where it has one. Survives any bytes.
pub(super) fn complaints(body: &[u8]) -> (Vec<Complaint>, Option<String>) {
    let mut found = Vec::new();
    let mut code = None;
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(root)) => {
            for (key, value) in &root {
                match (key.as_str(), value) {
                    ("errors" | "error", Value::String(text)) if is_code(text) => code = Some(text.clone()),
                    ("errors" | "error", value) => gather(None, value, &mut found),
                    ("message" | "error_description" | "detail", Value::String(_)) => gather(None, value, &mut found),
                    ("code", Value::String(text)) if is_code(text) => code = Some(text.clone()),
                    _ => {}
                }
            }
        }
        Ok(value) => gather(None, &value, &mut found),
        Err(_) => {
            let text = head(body);
            if !text.is_empty() {
                found.push(Complaint { field: None, message: text });
            }
        }
    }
    (found, code)
}

/// Complaints in a value: text, a list, `{field, message}`, `{error: {message}}` or `{field: [text, …]}`. The JSON
/// parser's own limit bounds the depth.
fn gather(field: Option<&str>, value: &Value, found: &mut Vec<Complaint>) {
    if found.len() >= COMPLAINTS_MAX {
        return;
    }
    match value {
        Value::String(message) => {
            found.push(Complaint { field: field.map(shortened), message: shortened(message) });
        }
        Value::Array(values) => values.iter().for_each(|value| gather(field, value, found)),
        Value::Object(object) => match object.get("message") {
            Some(message) => {
                let named = ["field", "attribute", "path"].iter().find_map(|key| object.get(*key)?.as_str());
                gather(named.or(field), message, found);
            }
            None => {
                for (key, value) in object {
                    let inner = matches!(key.as_str(), "error" | "errors" | "base");
                    gather(if inner { field } else { Some(key) }, value, found);
                }
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a reply means that no step provided for.
pub(super) fn classify(house: &House, reply: &Reply, writes: bool) -> Fault {
    let after = reply.retry_after_seconds;
    let (complaints, code) = complaints(&reply.body);
    let fault = match reply.status {
        401 => Fault::new(Action::Reconnect, Code::NeedsReconnect, "The book does not accept our grant any more."),
        429 => Fault::later(Code::BookRateLimited, after, "The book asks us to slow down."),
        // Known to pass by itself (FreeAgent API forum, 3095); of a write it is still a clear no.
        403 if house.forbidden_passes && !writes && !is_locked(&complaints) => {
            Fault::later(Code::BookUnavailable, after, "The book forbids a question that it usually answers.")
        }
        // These are the book's own words, unless a proxy in front of it says them.
        400 | 403 | 404 | 409 | 422 if !is_page(&reply.body) => refusal(reply.status, &complaints),
        status if writes => {
            Fault::doubtful(format!("The book answered {status} in a way that does not say whether it was applied."))
        }
        status => Fault::later(
            Code::BookUnavailable,
            after,
            format!("The book answered {status} in a way that is no answer."),
        ),
    };
    let told = complaints.iter().find(|complaint| complaint.meaning().is_some());
    let field = told.or_else(|| complaints.first()).and_then(|complaint| complaint.field.clone());
    fault.with(Evidence {
        status: Some(reply.status),
        provider_code: code,
        field: field.as_deref().and_then(named),
        request_id: reply.request_id.clone(),
        provider_text: Some(head(&reply.body)).filter(|text| !text.is_empty()),
    })
}

fn is_locked(complaints: &[Complaint]) -> bool {
    complaints.iter().any(|complaint| complaint.meaning() == Some(Meaning::Locked))
}

fn refusal(status: u16, complaints: &[Complaint]) -> Fault {
    let told = |code: Code, message: &str| Fault::refused(code, message);
    match complaints.iter().find_map(Complaint::meaning) {
        Some(Meaning::ReferenceTaken) => told(Code::ReferenceTaken, "The book has another document with this number."),
        Some(Meaning::Locked) => told(Code::PeriodLocked, "The book has locked the period or the document."),
        Some(Meaning::Category) => told(Code::CategoryUnknown, "The book does not know a category of the document."),
        Some(Meaning::TaxRate) => told(Code::TaxRateUnmapped, "The book does not have a tax rate of the document."),
        Some(Meaning::ExchangeRate) => {
            told(Code::ExchangeRateUnknown, "The book wants a rate for the document's currency, and none is known.")
        }
        Some(Meaning::Contact) => told(Code::ContactUnknown, "The book does not know the document's contact."),
        None => {
            let field = complaints.iter().find_map(|complaint| complaint.field.as_deref()).and_then(named);
            let which = field.map(|field| format!(" for its field {field}")).unwrap_or_default();
            Fault::unrecognised(format!("The book refused the request ({status}){which}."))
        }
    }
}

/// True for a page of a proxy or a web server instead of an answer.
fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// A code or a field path may be logged, so it must not carry anything else.
fn named(text: &str) -> Option<String> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "_.[]-/".contains(letter);
    (!text.is_empty() && text.len() <= NAME_LENGTH_MAX && text.chars().all(legal)).then(|| text.to_owned())
}

fn is_code(text: &str) -> bool {
    named(text).is_some()
}

/// The beginning of a body as text, whatever its bytes and size.
fn head(body: &[u8]) -> String {
    const BYTES_PER_CHARACTER: usize = 4;
    let most = TEXT_LENGTH_MAX.saturating_add(1).saturating_mul(BYTES_PER_CHARACTER);
    shortened(&String::from_utf8_lossy(body.get(..most).unwrap_or(body)))
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(TEXT_LENGTH_MAX).collect()
}
