//! What a reply says: a created document, a list, or a complaint in any of the shapes that the family has been seen to
//! use (FreeAgent API docs and forum: `errors` as array, as object, as text; plain text; pages of a proxy).

use super::{House, url};
use crate::{Context, Reply};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::fault::{Action, Evidence, Fault};
use serde::Deserialize;
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
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its URL as the book wrote it.
    pub(super) url: String,
    /// Its call path.
    pub(super) path: String,
    /// Its total, where it could be read.
    pub(super) total: Option<Amount>,
}

/// The only field of a new document that has to be readable, and the one that is read if it can be. Numbers come back as
/// text (Byte8 module's troubleshooting page, quirk 2), so decoding more would break on a book that created it.
#[derive(Deserialize)]
struct CreatedBody<'a> {
    url: String,
    #[serde(default, borrow)]
    total_value: Option<&'a RawValue>,
}

/// What came of a creating call.
pub(super) enum Created {
    /// It is in the book.
    Done(Named),
    /// Anything else, by [`classify`], with what the book finds wrong where it said no for good.
    Fault(Fault, Vec<Complaint>),
}

/// Reads the reply to a creating call. Success is a 200 or 201 with a URL of the binding's and no complaint beside it.
pub(super) fn created(house: &House, context: &Context, entity: Entity, reply: &Reply) -> Created {
    let fault = || {
        let fault = classify(reply, true);
        let complaints = if fault.action == Action::Refused { complaints(&reply.body).0 } else { Vec::new() };
        Created::Fault(fault, complaints)
    };
    if !matches!(reply.status, 200 | 201) {
        return fault();
    }
    let Ok(root) = serde_json::from_slice::<Root<'_>>(&reply.body) else { return fault() };
    if ["errors", "error"].iter().any(|key| root.get(*key).is_some_and(|raw| !is_nothing(raw))) {
        return fault();
    }
    let body = root.get(entity.root).and_then(|raw| serde_json::from_str::<CreatedBody<'_>>(raw.get()).ok());
    let named = body.and_then(|body| {
        let path = url::path_of(&context.base_url, house.root, entity.collection, &body.url)?;
        Some(Named { total: body.total_value.and_then(amount), path, url: body.url })
    });
    named.map_or_else(fault, Created::Done)
}

/// An entity of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    /// Root key of one.
    pub(super) root: &'static str,
    /// Root key of a list, and path.
    pub(super) collection: &'static str,
}

/// A document of a list or by itself, as far as it can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) url: Option<String>,
    pub(super) status: Option<String>,
    pub(super) email: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) contact: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) total: Option<Amount>,
}

/// Every field of an entry may be missing or of another type.
#[derive(Deserialize)]
struct EntryBody<'a> {
    #[serde(default, borrow)]
    url: Option<&'a RawValue>,
    #[serde(default, borrow)]
    status: Option<&'a RawValue>,
    #[serde(default, borrow)]
    email: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reference: Option<&'a RawValue>,
    #[serde(default, borrow)]
    contact: Option<&'a RawValue>,
    #[serde(default, borrow)]
    currency: Option<&'a RawValue>,
    #[serde(default, borrow)]
    total_value: Option<&'a RawValue>,
}

impl From<EntryBody<'_>> for Entry {
    fn from(body: EntryBody<'_>) -> Self {
        Self {
            url: body.url.and_then(text),
            status: body.status.and_then(text),
            email: body.email.and_then(text),
            reference: body.reference.and_then(text),
            contact: body.contact.and_then(text),
            currency: body.currency.and_then(text),
            total: body.total_value.and_then(amount),
        }
    }
}

/// A page of a list.
///
/// # Errors
/// What the reply means where it is no list.
pub(super) fn list(entity: Entity, reply: &Reply) -> Result<Vec<Entry>, Fault> {
    if reply.status != 200 {
        return Err(classify(reply, false));
    }
    let root: Option<Root<'_>> = serde_json::from_slice(&reply.body).ok();
    let raw = root.as_ref().and_then(|root| root.get(entity.collection));
    let entries = raw.and_then(|raw| serde_json::from_str::<Vec<EntryBody<'_>>>(raw.get()).ok());
    Ok(entries.ok_or_else(|| classify(reply, false))?.into_iter().map(Entry::from).collect())
}

/// One document, as far as it can be read; `None` where the reply is none.
pub(super) fn one(entity: Entity, reply: &Reply) -> Option<Entry> {
    if reply.status != 200 {
        return None;
    }
    let root: Root<'_> = serde_json::from_slice(&reply.body).ok()?;
    let body: EntryBody<'_> = serde_json::from_str(root.get(entity.root)?.get()).ok()?;
    Some(body.into())
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A number, or a number as text, from the exact text.
fn amount(raw: &RawValue) -> Option<Amount> {
    let text = text(raw).unwrap_or_else(|| raw.get().to_owned());
    Amount::parse(&text).ok()
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
            None => begins.iter().any(|text| message.starts_with(text)),
        };
        if is_about("category", &["category"]) {
            Some(Meaning::Category)
        } else if is_about("sales_tax_rate", &["sales_tax_rate", "sales tax rate"]) {
            Some(Meaning::TaxRate)
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
pub(super) fn classify(reply: &Reply, writes: bool) -> Fault {
    let after = reply.retry_after_seconds;
    let (complaints, code) = complaints(&reply.body);
    let fault = match reply.status {
        401 => Fault::new(Action::Reconnect, Code::NeedsReconnect, "The book does not accept our grant any more."),
        429 => Fault::later(Code::BookRateLimited, after, "The book asks us to slow down."),
        // These are the book's own words, unless a proxy in front of it says them.
        400 | 403 | 404 | 409 | 422 if !is_page(&reply.body) => refusal(reply.status, &complaints),
        status if writes => {
            Fault::doubtful(format!("The book answered {status} in a way that does not say whether it was applied."))
        }
        status => Fault::later(
            Code::BookUnavailable,
            after,
            format!("The book answered {status} to a question, in a way that is no answer."),
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

fn refusal(status: u16, complaints: &[Complaint]) -> Fault {
    let told = |code: Code, message: &str| Fault::refused(code, message);
    match complaints.iter().find_map(Complaint::meaning) {
        Some(Meaning::ReferenceTaken) => told(Code::ReferenceTaken, "The book has another document with this number."),
        Some(Meaning::Locked) => told(Code::PeriodLocked, "The book has locked the period or the document."),
        Some(Meaning::Category) => told(Code::CategoryUnknown, "The book does not know a category of the document."),
        Some(Meaning::TaxRate) => told(Code::TaxRateUnmapped, "The book does not have a tax rate of the document."),
        Some(Meaning::Contact) => told(Code::ContactUnknown, "The book does not know the document's contact."),
        None => {
            let field = complaints.iter().find_map(|complaint| complaint.field.as_deref()).and_then(named);
            let which = field.map(|field| format!(" for its field {field}")).unwrap_or_default();
            Fault::refused(Code::BookRefused, format!("The book refused the request ({status}){which}."))
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
