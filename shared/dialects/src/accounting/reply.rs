//! What a reply says: elements of a list, or what the book finds wrong, which may sit inside a 200 (Xero API docs, PUT
//! and POST; issue 179 of `XeroAPI/xero-php-oauth2`).

use super::{ROOT, text};
use crate::Reply;
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::fault::{Action, Evidence, Fault};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Most characters of the book's own text that an attempt keeps.
const TEXT_LENGTH_MAX: usize = 500;
/// Longest code of the book's that is kept: these are logged.
const NAME_LENGTH_MAX: usize = 100;
/// Most complaints of one reply that are read.
const COMPLAINTS_MAX: usize = 50;
/// Seconds to wait where five calls are under way at once: the API names none (Xero API docs, rate limits).
const CONCURRENT_SECONDS: u64 = 5;
/// Seconds to wait where a minute's calls are used up and the API names none.
const MINUTE_SECONDS: u64 = 60;
/// Seconds to wait where a day's calls are used up and the API names none.
const DAY_SECONDS: u64 = 3_600;
/// Seconds after which an organisation that is offline is asked again (Xero API docs, response codes).
const OFFLINE_SECONDS: u64 = 300;

/// A kind of element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Name of its lists, and path below the API's root.
    pub(super) list: &'static str,
    /// Its id's field.
    pub(super) id: &'static str,
    /// The field of its total.
    pub(super) total: &'static str,
}

pub(super) const INVOICES: Resource = Resource { list: "Invoices", id: "InvoiceID", total: "Total" };
pub(super) const CREDIT_NOTES: Resource = Resource { list: "CreditNotes", id: "CreditNoteID", total: "Total" };
pub(super) const PAYMENTS: Resource = Resource { list: "Payments", id: "PaymentID", total: "Amount" };
pub(super) const CONTACTS: Resource = Resource { list: "Contacts", id: "ContactID", total: "" };
pub(super) const ITEMS: Resource = Resource { list: "Items", id: "ItemID", total: "" };
/// The reply to an allocation need not name its own id (OpenAPI description), so it is known by amount and invoice.
pub(super) const ALLOCATIONS: Resource = Resource { list: "Allocations", id: "AllocationID", total: "Amount" };
/// What is written.
const WRITTEN: [Resource; 6] = [INVOICES, CREDIT_NOTES, PAYMENTS, CONTACTS, ITEMS, ALLOCATIONS];

impl Resource {
    /// The path of its list.
    pub(super) fn path(self) -> String {
        format!("{ROOT}/{}", self.list)
    }

    /// The path of one, by what it is known by.
    pub(super) fn path_of(self, known_by: &str) -> String {
        format!("{ROOT}/{}/{}", self.list, text::segment(known_by))
    }
}

/// An object of a reply. Fields are read one by one, so that one of another type than expected spoils nothing else.
#[derive(Debug)]
pub(super) struct Element<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Element<'a> {
    fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    fn raw(&self, field: &str) -> Option<&'a RawValue> {
        self.0.get(field).copied()
    }

    /// A text; `None` where it is missing, empty or no text.
    pub(super) fn text(&self, field: &str) -> Option<String> {
        let text: String = serde_json::from_str(self.raw(field)?.get()).ok()?;
        Some(text).filter(|text| !text.trim().is_empty())
    }

    /// True where the text of a field is this, in any case.
    pub(super) fn says(&self, field: &str, text: &str) -> bool {
        self.text(field).is_some_and(|it| it.eq_ignore_ascii_case(text))
    }

    /// A number, or a number as text, from the exact text.
    pub(super) fn amount(&self, field: &str) -> Option<Amount> {
        let raw = self.raw(field)?;
        Amount::parse(&self.text(field).unwrap_or_else(|| raw.get().to_owned())).ok()
    }

    /// The exact text of a number.
    pub(super) fn number(&self, field: &str) -> Option<String> {
        let raw = self.raw(field)?;
        Some(self.text(field).unwrap_or_else(|| raw.get().to_owned()))
    }

    /// A truth value, or one as text.
    pub(super) fn flag(&self, field: &str) -> Option<bool> {
        match self.raw(field)?.get().trim().trim_matches('"').to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// An id of the book's; never the one that stands for nothing.
    pub(super) fn guid(&self, field: &str) -> Option<String> {
        text::guid(&self.text(field)?)
    }

    /// An object inside.
    pub(super) fn child(&self, field: &str) -> Option<Element<'a>> {
        Element::read(self.raw(field)?.get())
    }

    /// The objects of a list inside; none where there is no list.
    pub(super) fn children(&self, field: &str) -> Vec<Element<'a>> {
        let elements = self.raw(field).and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok());
        elements.unwrap_or_default().into_iter().filter_map(|raw| Element::read(raw.get())).collect()
    }

    /// A field is nowhere in it, or null.
    fn is_empty(&self, field: &str) -> bool {
        self.raw(field).is_none_or(|raw| matches!(raw.get().trim(), "null" | "[]" | "\"\""))
    }
}

/// The elements of a list that was asked for, and how many pages it has where the reply says so.
pub(super) struct List<'a> {
    pub(super) elements: Vec<Element<'a>>,
    pages: Option<usize>,
}

impl List<'_> {
    /// The page after `page`, counted from 0; `None` where that was the last.
    pub(super) fn next_page(&self, page: usize) -> Result<Option<usize>, Fault> {
        let next = page.saturating_add(1);
        let is_last = match self.pages {
            Some(pages) => next >= pages,
            None => self.elements.len() < super::PAGE_SIZE,
        };
        if is_last || self.elements.is_empty() {
            return Ok(None);
        }
        if next >= super::PAGES_MAX {
            let message = format!("Not among the first {next} pages of the list; the search ends there.");
            return Err(Fault::refused(Code::SearchTooLong, message));
        }
        Ok(Some(next))
    }
}

/// Reads a list that was asked for.
///
/// # Errors
/// What the reply means where it is no list.
pub(super) fn list<'a>(name: &str, reply: &'a Reply) -> Result<List<'a>, Fault> {
    let read = || {
        let root = Element(serde_json::from_slice(&reply.body).ok()?);
        let raws: Vec<&RawValue> = serde_json::from_str(root.raw(name)?.get()).ok()?;
        let elements = raws.into_iter().map(|raw| Element::read(raw.get())).collect::<Option<Vec<_>>>()?;
        let pages = root.child("pagination").and_then(|it| it.number("pageCount")).and_then(|it| it.parse().ok());
        Some(List { elements, pages })
    };
    if reply.status == 200 { read().ok_or_else(|| classify(reply, false)) } else { Err(classify(reply, false)) }
}

/// Reads the one element that was asked for; `None` where the book does not know it.
///
/// # Errors
/// What the reply means where it is neither.
pub(super) fn one<'a>(resource: Resource, reply: &'a Reply) -> Result<Option<Element<'a>>, Fault> {
    // The body of a 404 is not described: whatever it is, the status says it.
    if reply.status == 404 {
        return Ok(None);
    }
    let first = list(resource.list, reply)?.elements.into_iter().next();
    first.map(Some).ok_or_else(|| classify(reply, false))
}

/// What came of a writing call.
pub(super) enum Wrote<'a> {
    /// The element as the book has it now, and its id.
    Done(Element<'a>, String),
    /// Anything else, with what we know how to name of what the book finds wrong.
    Fault(Fault, Vec<Meaning>),
}

/// Reads the reply to a writing call. Success is a 200 with one element that has an id and no error anywhere in it.
pub(super) fn wrote<'a>(resource: Resource, reply: &'a Reply) -> Wrote<'a> {
    let fault = || {
        let fault = classify(reply, true);
        // Only what was clearly not applied may be corrected.
        let meanings = if fault.action == Action::Refused { meanings(&reply.body) } else { Vec::new() };
        Wrote::Fault(fault, meanings)
    };
    if !matches!(reply.status, 200 | 201) || found_wrong(&reply.body).is_some() {
        return fault();
    }
    let element = serde_json::from_slice(&reply.body).ok().map(Element).and_then(|root| {
        let elements = root.children(resource.list);
        (elements.len() == 1).then_some(elements)?.into_iter().next()
    });
    let Some(element) = element else { return fault() };
    let id = if resource == ALLOCATIONS {
        element.child("Invoice").and_then(|invoice| invoice.guid(INVOICES.id))
    } else {
        element.guid(resource.id)
    };
    id.map_or_else(fault, |id| Wrote::Done(element, id))
}

/// How sure it is that an element with errors was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It was not: the book says so of the element, gives it no id, or names a rule that we know.
    Refused,
    /// It has an id and a complaint that we don't know.
    Unclear,
}

/// Errors inside a reply of any status; `None` where there is none.
fn found_wrong(body: &[u8]) -> Option<Wrong> {
    let root = Element(serde_json::from_slice(body).ok()?);
    if root.says("Type", "ValidationException") || !root.is_empty("ErrorNumber") || !root.is_empty("Elements") {
        return Some(Wrong::Refused);
    }
    let complains = |element: &Element<'_>| {
        element.says("StatusAttributeString", "ERROR")
            || element.flag("HasErrors") == Some(true)
            || element.flag("HasValidationErrors") == Some(true)
    };
    let complaints = complaints(body);
    for resource in WRITTEN {
        for element in root.children(resource.list) {
            if !complains(&element) && complaints.is_empty() {
                continue;
            }
            let is_refusal = element.says("StatusAttributeString", "ERROR")
                || element.guid(resource.id).is_none()
                || complaints.iter().any(|text| Meaning::of(text).is_some());
            return Some(if is_refusal { Wrong::Refused } else { Wrong::Unclear });
        }
    }
    (!complaints.is_empty()).then_some(Wrong::Unclear)
}

/// What we know how to name of what the book finds wrong. It has no codes: only texts (Xero API docs, response codes;
/// OpenAPI description; issues of the Xero SDKs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Another active contact has the name.
    NameTaken,
    /// Another contact has the contact number.
    ContactNumberTaken,
    /// Another document has the number.
    NumberTaken,
    /// Another item has the code.
    ItemCodeTaken,
    /// The date is in a locked period.
    Locked,
    /// More than is left of the document.
    Exceeds,
    /// A tax type is unknown or not for this account.
    TaxType,
    /// The organisation does not have the currency.
    Currency,
    /// An account is unknown, archived or not for this.
    Account,
    /// The name of a country has letters that the book does not take.
    Country,
    /// The contact is archived.
    ContactArchived,
    /// The contact is unknown.
    ContactUnknown,
    /// The organisation's plan allows no more.
    Plan,
    /// An earlier request under the same key was another one.
    KeyReused,
}

impl Meaning {
    fn of(message: &str) -> Option<Self> {
        let message = message.to_lowercase();
        let has = |text: &str| message.contains(text);
        let any = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        let taken = any(&["already", "unique", "in use", "is assigned"]);
        let unknown =
            any(&["not found", "could not be found", "does not exist", "not a valid", "invalid", "not valid"]);
        // Free text may be quoted: what quotes most comes first.
        Some(if message.starts_with("the contact name") && taken {
            Self::NameTaken
        } else if any(&["contact number", "contactnumber", "contact code"]) && taken {
            Self::ContactNumberTaken
        } else if has("is already assigned to another contact") || (has("contact name") && taken) {
            Self::NameTaken
        } else if any(&["item with code", "item code", "itemcode"]) && taken {
            Self::ItemCodeTaken
        } else if any(&["invoice #", "invoice number", "credit note #", "credit note number", "creditnotenumber"])
            && taken
        {
            Self::NumberTaken
        } else if has("used with a different request") {
            Self::KeyReused
        } else if any(&["lock date", "locked", "period lock"]) {
            Self::Locked
        } else if (any(&["exceed", "greater than"]) && any(&["outstanding", "remaining", "amount due", "balance"]))
            || has("already paid")
        {
            Self::Exceeds
        } else if any(&["taxtype", "tax type", "tax rate"]) {
            Self::TaxType
        } else if has("subscribed to currency") || (has("currency") && unknown) {
            Self::Currency
        } else if has("country") && (unknown || any(&["letters", "characters", "format"])) {
            Self::Country
        } else if has("contact") && has("archived") {
            Self::ContactArchived
        } else if any(&["account code", "accountcode", "account id", "accountid", "account type"])
            || (has("account") && (unknown || any(&["archived", "must be of type"])))
        {
            Self::Account
        } else if has("contact") && unknown {
            Self::ContactUnknown
        } else if has("you have reached the limit") {
            Self::Plan
        } else {
            return None;
        })
    }

    fn fault(self) -> Fault {
        let (code, message) = match self {
            Self::NumberTaken => (Code::ReferenceTaken, "The book has another document with this number."),
            Self::NameTaken => (Code::ReferenceTaken, "The book has another contact with this name."),
            Self::ContactNumberTaken => (Code::ReferenceTaken, "The book has another contact with this code."),
            Self::ItemCodeTaken => (Code::ReferenceTaken, "The book has another item with this code."),
            Self::Locked => (Code::PeriodLocked, "The book has locked the period of the document."),
            Self::Exceeds => (
                Code::BookRefused,
                "The amount is more than what is left of the document in the book: somebody may have settled it there.",
            ),
            Self::TaxType => (Code::TaxRateUnmapped, "The book does not take a tax code of the document."),
            Self::Currency => (
                Code::BookRefused,
                "The organisation does not have the document's currency: add it in the book's currency settings.",
            ),
            Self::Country => (Code::BookRefused, "The book does not take the name of the contact's country."),
            Self::Account => (Code::CategoryUnknown, "The book does not take an account of the document."),
            Self::ContactArchived => (Code::ContactArchived, "The contact is archived in the book."),
            Self::ContactUnknown => (Code::ContactUnknown, "The book does not know the document's contact."),
            Self::Plan => (Code::BookRefused, "The organisation's plan allows no more approved invoices this month."),
            Self::KeyReused => {
                return Fault::doubtful(
                    "An earlier request with the same key reached the book: its document is looked for.",
                );
            }
        };
        Fault::refused(code, message)
    }
}

fn meanings(body: &[u8]) -> Vec<Meaning> {
    told_wrong(body).iter().filter_map(|text| Meaning::of(text)).collect()
}

/// [`complaints`], or what the reply [`said`] where there are none.
fn told_wrong(body: &[u8]) -> Vec<String> {
    let complaints = complaints(body);
    if complaints.is_empty() { said(body) } else { complaints }
}

/// What the book finds wrong: every message of `ValidationErrors`, wherever it is in the tree. Survives any bytes.
fn complaints(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(root) = serde_json::from_slice::<Value>(body) {
        gather(&root, false, &mut found);
    }
    found
}

/// The JSON parser's own limit bounds the depth.
fn gather(value: &Value, inside: bool, found: &mut Vec<String>) {
    if found.len() >= COMPLAINTS_MAX {
        return;
    }
    match value {
        Value::Array(values) => values.iter().for_each(|value| gather(value, inside, found)),
        Value::Object(object) => {
            for (key, value) in object {
                let text = value.as_str().filter(|_| inside && matches!(key.as_str(), "Message" | "Description"));
                match text {
                    Some(text) => found.push(shortened(text)),
                    None => gather(value, inside || key == "ValidationErrors", found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the reply says at its root: `Message`, or `Detail` and `Title` of a problem, keys in any case.
fn said(body: &[u8]) -> Vec<String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(root)) => {
            let is_told = |key: &str| ["message", "detail", "title"].iter().any(|name| key.eq_ignore_ascii_case(name));
            let texts = root.iter().filter(|(key, _)| is_told(key)).filter_map(|(_, value)| value.as_str());
            texts.map(shortened).collect()
        }
        Ok(_) => Vec::new(),
        Err(_) => vec![head(body)],
    }
}

/// The book's own class of an error.
fn class(body: &[u8]) -> Option<String> {
    let root: Element<'_> = Element(serde_json::from_slice(body).ok()?);
    root.text("Type").or_else(|| root.number("ErrorNumber")).filter(|text| is_code(text))
}

/// What a reply means that no step provided for.
pub(super) fn classify(reply: &Reply, writes: bool) -> Fault {
    let problem = reply.header("x-rate-limit-problem").map(str::to_ascii_lowercase);
    let is_page = is_page(&reply.body);
    let fault = match reply.status {
        200..=299 if writes => match found_wrong(&reply.body) {
            Some(Wrong::Refused) => refusal(reply),
            Some(Wrong::Unclear) => Fault::doubtful("The book names a document and finds something wrong with it."),
            None => Fault::doubtful("The book's answer does not name what it has written."),
        },
        401 => unauthorised(reply),
        403 if !is_page => Fault::new(
            Action::Reconnect,
            Code::NeedsReconnect,
            "The book does not let this connection at the organisation: it was disconnected there, or lacks a permission.",
        ),
        // Said before anything is done, whatever was asked (Xero API docs, rate limits).
        429 => limited(reply, problem.as_deref()),
        400 | 404 | 409 | 422 if !is_page => refusal(reply),
        // A 503 comes as plain text and mostly means that nothing was done. It is doubtful all the same: a gateway
        // that gave up waiting says it too, and looking once costs less than a payment that is in the book twice.
        status if writes => {
            Fault::doubtful(format!("The book answered {status} in a way that does not say whether it was applied."))
        }
        status => Fault::later(
            Code::BookUnavailable,
            reply.retry_after_seconds.or_else(|| is_offline(reply).then_some(OFFLINE_SECONDS)),
            format!("The book answered {status} to a question, in a way that is no answer."),
        ),
    };
    fault.with(Evidence {
        status: Some(reply.status),
        provider_code: problem.filter(|text| is_code(text)).or_else(|| class(&reply.body)),
        field: None,
        request_id: reply.request_id.clone(),
        provider_text: Some(told(reply)).filter(|text| !text.is_empty()),
    })
}

fn refusal(reply: &Reply) -> Fault {
    match told_wrong(&reply.body).iter().find_map(|text| Meaning::of(text)) {
        Some(meaning) => meaning.fault(),
        None => Fault::refused(Code::BookRefused, format!("The book refused the request ({}).", reply.status)),
    }
}

fn unauthorised(reply: &Reply) -> Fault {
    // Seen spelled both ways: insufficient_scope and insufficent_scope.
    let lacks_scope = reply.header("www-authenticate").is_some_and(|it| it.to_ascii_lowercase().contains("_scope"));
    let message = if lacks_scope {
        "The connection lacks a permission that this request needs: connect the book again and grant all that is asked."
    } else {
        "The book does not accept our grant any more."
    };
    Fault::new(Action::Reconnect, Code::NeedsReconnect, message)
}

fn limited(reply: &Reply, problem: Option<&str>) -> Fault {
    let (seconds, message) = match problem {
        Some("concurrent") => (CONCURRENT_SECONDS, "The organisation has five calls under way already."),
        Some("day") => (DAY_SECONDS, "The organisation's calls of this day are used up."),
        Some("appminute") => (MINUTE_SECONDS, "This application's calls of the minute are used up."),
        _ => (MINUTE_SECONDS, "The organisation's calls of the minute are used up."),
    };
    Fault::later(Code::BookRateLimited, reply.retry_after_seconds.or(Some(seconds)), message)
}

fn is_offline(reply: &Reply) -> bool {
    reply.status == 503 && head(&reply.body).to_lowercase().contains("offline")
}

/// The book's text: its complaints, else the beginning of the body.
fn told(reply: &Reply) -> String {
    let complaints = complaints(&reply.body);
    if complaints.is_empty() { head(&reply.body) } else { shortened(&complaints.join("; ")) }
}

/// A change may be repeated, so that doubt about it is only a reason to try again.
pub(super) fn repeatable(fault: Fault) -> Fault {
    if fault.action != Action::Doubtful {
        return fault;
    }
    Fault::later(Code::BookUnavailable, None, "The book did not say whether it changed the document.")
        .with(fault.evidence)
}

/// True for a page of a proxy or a web server instead of an answer.
fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// A code may be logged, so it must not carry anything else.
fn is_code(text: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    !text.is_empty() && text.len() <= NAME_LENGTH_MAX && text.chars().all(legal)
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
