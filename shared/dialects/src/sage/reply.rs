//! What a reply says: a document, a page of a list, or a complaint in any of the shapes that have been seen (a list of
//! `{$severity, $dataCode, $message, $source}`, one such object, the shapes of gateways and OAuth, pages of a proxy).

use super::{BUSINESS_HEADER, id_of};
use crate::{Context, Reply};
use ledger_domain::amount::Amount;
use ledger_domain::code::Code;
use ledger_domain::fault::{Action, Evidence, Fault};
use rust_decimal::Decimal;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Most characters of the book's own text that an attempt keeps.
const TEXT_LENGTH_MAX: usize = 500;
/// Longest code or field path of the book's that is kept: these are logged.
const NAME_LENGTH_MAX: usize = 100;
/// Domains of Sage's web pages.
const WEB_DOMAINS: [&str; 2] = ["sageone.com", "sage.com"];
/// Longest address of a page that counts, in characters.
const WEB_ADDRESS_LENGTH_MAX: usize = 300;
/// Most complaints of one reply that are read.
const COMPLAINTS_MAX: usize = 50;
/// Decimal places that are read of a quantity, a price or a rate.
const NUMBER_PLACES: u32 = 10;

/// An object of a reply. Every field may be missing or of another type than the reference says.
#[derive(Debug, Default)]
pub(super) struct Record<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Record<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// True where the field was sent, if only as null.
    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// True where the field was sent and is something.
    pub(super) fn is_set(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|raw| !is_nothing(raw))
    }

    /// A text.
    pub(super) fn text(&self, field: &str) -> Option<String> {
        self.0.get(field).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// A truth.
    pub(super) fn flag(&self, field: &str) -> Option<bool> {
        self.0.get(field).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// The text of a number, or of a number as text: both come back (Sage Accounting API guides, settings; field
    /// reports).
    fn number(&self, field: &str) -> Option<String> {
        let raw = self.0.get(field)?;
        Some(serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned()))
    }

    /// An amount of money.
    pub(super) fn amount(&self, field: &str) -> Option<Amount> {
        Amount::parse(&self.number(field)?).ok()
    }

    /// A quantity, a price or a rate.
    pub(super) fn decimal(&self, field: &str) -> Option<Decimal> {
        ledger_domain::amount::parse_places(&self.number(field)?, NUMBER_PLACES).ok()
    }

    /// An object inside.
    pub(super) fn record(&self, field: &str) -> Option<Record<'a>> {
        Record::parse(self.0.get(field)?.get())
    }

    /// The objects of a list inside.
    pub(super) fn records(&self, field: &str) -> Option<Vec<Record<'a>>> {
        let raws: Vec<&'a RawValue> = serde_json::from_str(self.0.get(field)?.get()).ok()?;
        Some(raws.into_iter().map(|raw| Record::parse(raw.get()).unwrap_or_default()).collect())
    }

    /// The id of what a field refers to, which comes as `{id, displayed_as, $path}`.
    pub(super) fn reference(&self, field: &str) -> Option<String> {
        self.record(field)?.text("id")
    }

    /// The id of a type, which may be a word.
    pub(super) fn type_id(&self) -> Option<String> {
        self.text("id").map(|id| id.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// Its own id, where it has the shape of one.
    pub(super) fn id(&self) -> Option<String> {
        id_of(&self.text("id")?)
    }
}

/// A page of a list.
#[derive(Debug, Default)]
pub(super) struct Listed<'a> {
    /// What is on it.
    pub(super) items: Vec<Record<'a>>,
    /// True where there are more pages.
    pub(super) more: bool,
}

/// What came of a creating call.
pub(super) enum Created<'a> {
    /// It is in the book, under this id.
    Done(String, Record<'a>),
    /// Anything else, by [`classify`], with what the book finds wrong where it said no for good.
    Fault(Fault, Vec<Complaint>),
}

/// The address of a document's page, as the answer that shows the document names it: the entry of `links` for people
/// (Sage Accounting API reference, `SalesInvoice.links`; answers seen in public name `rel` *alternate*, `type` *text/html*).
/// It can't be built: some pages go by another id than the API's.
pub(super) fn web_address(reply: &Reply) -> Option<String> {
    let shown = std::str::from_utf8(&reply.body).ok().filter(|_| (200..300).contains(&reply.status))?;
    let links = Record::parse(shown)?.records("links")?;
    let for_people = |link: &Record<'_>| {
        link.text("rel").as_deref() == Some("alternate") && link.text("type").as_deref() == Some("text/html")
    };
    links.iter().filter(|link| for_people(link)).find_map(|link| link.text("href")).filter(|href| is_own_page(href))
}

/// True for an address of Sage's own: a reply must not lead people elsewhere.
fn is_own_page(href: &str) -> bool {
    let Some((host, path)) = href.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else { return false };
    let plain = |text: &str, also: &str| text.chars().all(|it| it.is_ascii_alphanumeric() || also.contains(it));
    let own = WEB_DOMAINS.iter().any(|domain| {
        host.to_ascii_lowercase().strip_suffix(domain).is_some_and(|label| label.ends_with('.') && label.len() > 1)
    });
    own && plain(host, "-.") && plain(path, "-._~/") && href.len() <= WEB_ADDRESS_LENGTH_MAX
}

/// Refuses an answer that names another business than was asked: it must not count, whatever it says.
///
/// # Errors
/// A fault of ours where it does.
pub(super) fn of_our_business(context: &Context, reply: &Reply) -> Result<(), Fault> {
    let named = reply.header(BUSINESS_HEADER).map(str::trim).filter(|named| !named.is_empty());
    match named {
        Some(named) if !context.organisation.is_empty() && !named.eq_ignore_ascii_case(&context.organisation) => {
            let evidence = Evidence {
                status: Some(reply.status),
                field: Some(BUSINESS_HEADER.to_owned()),
                request_id: reply.request_id.clone(),
                ..Evidence::default()
            };
            Err(Fault::broken(Code::AnswerUnknown, "The book answered for another business than it was asked.")
                .with(evidence))
        }
        _ => Ok(()),
    }
}

/// Reads the reply to a creating call. Success is a 200 or 201 with a readable id, for our business.
pub(super) fn created<'a>(context: &Context, root: &str, reply: &'a Reply) -> Created<'a> {
    if let Err(fault) = of_our_business(context, reply) {
        return Created::Fault(fault, Vec::new());
    }
    if matches!(reply.status, 200 | 201)
        && let Some(record) = document(root, reply)
        && let Some(id) = record.id()
    {
        return Created::Done(id, record);
    }
    let fault = classify(reply, true);
    let complaints = if fault.action == Action::Refused { complaints(&reply.body).0 } else { Vec::new() };
    Created::Fault(fault, complaints)
}

/// The document of a body: bare as the reference says, or under its root key as requests have it.
fn document<'a>(root: &str, reply: &'a Reply) -> Option<Record<'a>> {
    let record = Record::parse(std::str::from_utf8(&reply.body).ok()?)?;
    if ["errors", "error"].iter().any(|key| record.is_set(key)) {
        return None;
    }
    if record.has("id") { Some(record) } else { Some(record.record(root).unwrap_or(record)) }
}

/// One document.
///
/// # Errors
/// What the reply means where it is none.
pub(super) fn one<'a>(context: &Context, root: &str, reply: &'a Reply) -> Result<Record<'a>, Fault> {
    of_our_business(context, reply)?;
    let record = if reply.status == 200 { document(root, reply) } else { None };
    record.ok_or_else(|| classify(reply, false))
}

/// The document after a change.
///
/// # Errors
/// What the reply means where the change was not made for certain.
pub(super) fn changed(context: &Context, reply: &Reply) -> Result<(), (Fault, Vec<Complaint>)> {
    if let Err(fault) = of_our_business(context, reply) {
        return Err((fault, Vec::new()));
    }
    if reply.status == 200 {
        // What was changed is shown as an object. A list is what the book finds wrong, whatever the status says.
        let is_list = reply.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let (found, _) = complaints(&reply.body);
        if !is_list || found.is_empty() {
            return Ok(());
        }
        let evidence = Evidence {
            status: Some(reply.status),
            field: found.first().and_then(|it| it.field.as_deref()).and_then(named),
            request_id: reply.request_id.clone(),
            provider_text: Some(head(&reply.body)),
            ..Evidence::default()
        };
        return Err((refusal(reply.status, &found).with(evidence), found));
    }
    let fault = classify(reply, true);
    let complaints = if fault.action == Action::Refused { complaints(&reply.body).0 } else { Vec::new() };
    Err((fault, complaints))
}

/// A page of a list.
///
/// # Errors
/// What the reply means where it is no list.
pub(super) fn listed<'a>(context: &Context, reply: &'a Reply) -> Result<Listed<'a>, Fault> {
    of_our_business(context, reply)?;
    let root = if reply.status == 200 { std::str::from_utf8(&reply.body).ok().and_then(Record::parse) } else { None };
    let root = root.ok_or_else(|| classify(reply, false))?;
    let items = root.records("$items").ok_or_else(|| classify(reply, false))?;
    Ok(Listed { items, more: root.is_set("$next") })
}

fn is_nothing(raw: &RawValue) -> bool {
    matches!(raw.get().trim(), "null" | "[]" | "{}" | "\"\"" | "false")
}

/// One thing that the book finds wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The field that it names.
    field: Option<String>,
    /// Its text, in lower case.
    message: String,
}

impl Complaint {
    /// True where it is about a field: named as its source, or by the text where there is no source.
    pub(super) fn is_about(&self, field: &str) -> bool {
        let spoken = field.replace('_', " ");
        match self.field.as_deref() {
            Some(named) => named.contains(field),
            None => self.message.contains(field) || self.message.contains(&spoken),
        }
    }

    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.message.contains(word))
    }

    /// True where the value of a field has to be unlike all others and is not.
    pub(super) fn says_taken(&self, field: &str) -> bool {
        self.is_about(field) && self.says(&["taken", "already", "unique", "exists", "in use"])
    }

    /// True where a customer's country asks for the kind of supply of each line, or does not bear it.
    pub(super) fn wants_supply(&self) -> bool {
        self.is_about("goods_services") || self.says(&["goods/service", "goods services", "goods or services"])
    }

    /// True where it is about the sign of an amount that is set off, and not about there being too much of it.
    pub(super) fn is_about_sign(&self) -> bool {
        let named = self.is_about("allocated_artefacts") || self.is_about("amount");
        let signed = self.says(&["negative", "positive", "greater than 0", "less than 0", "sign", "sum", "balance"]);
        let too_much = self.says(&["outstanding", "exceed", "more than", "remaining", "already"]);
        (named || signed) && !too_much
    }

    fn meaning(&self) -> Option<Meaning> {
        if self.says_taken("reference") {
            return Some(Meaning::ReferenceTaken);
        }
        if self.says(&["lockdown", "locked", "lock date", "year end", "accounts start date", "closed period"]) {
            return Some(Meaning::Locked);
        }
        if self.is_about("tax_rate") || self.says(&["zero rated"]) {
            return Some(Meaning::TaxRate);
        }
        if self.is_about("ledger_account") {
            return Some(Meaning::Account);
        }
        if self.is_about("bank_account") {
            return Some(Meaning::Bank);
        }
        if self.is_about("exchange_rate") {
            return Some(Meaning::Rate);
        }
        let of_contact = match self.field.as_deref() {
            Some(named) => matches!(last_name(named), "contact" | "contact_id"),
            None => self.is_about("contact"),
        };
        let gone = self.says(&["inactive", "deactivated", "not active", "obfuscated", "archived"]);
        of_contact.then_some(if gone { Meaning::ContactGone } else { Meaning::Contact })
    }
}

/// What we know how to name of what a book finds wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    ReferenceTaken,
    Locked,
    Account,
    Bank,
    TaxRate,
    Rate,
    Contact,
    ContactGone,
}

/// `tax_rate_id` of `line_items[0].tax_rate_id`.
fn last_name(path: &str) -> &str {
    path.rsplit(['.', '/', ']']).find(|name| !name.is_empty()).unwrap_or(path)
}

/// What the book finds wrong, and its own code where it has one. Survives any bytes.
pub(super) fn complaints(body: &[u8]) -> (Vec<Complaint>, Option<String>) {
    let mut found = Vec::new();
    let mut code = None;
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => gather(&value, &mut found, &mut code),
        Err(_) => {
            let text = head(body);
            if !text.is_empty() {
                found.push(Complaint { field: None, message: text.to_lowercase() });
            }
        }
    }
    (found, code)
}

/// Complaints in a value. The JSON parser's own limit bounds the depth.
fn gather(value: &Value, found: &mut Vec<Complaint>, code: &mut Option<String>) {
    if found.len() >= COMPLAINTS_MAX {
        return;
    }
    match value {
        Value::String(message) => {
            found.push(Complaint { field: None, message: shortened(message).to_lowercase() });
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, found, code)),
        Value::Object(object) => {
            let text = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key)?.as_str());
            if let Some(named) = text(&["$dataCode", "code", "error"]).and_then(named)
                && code.is_none()
            {
                *code = Some(named);
            }
            let field = text(&["$source", "source", "field"]).filter(|field| !matches!(*field, "" | "base"));
            let message = text(&["$message", "message", "error_description", "detail"]);
            if field.is_some() || message.is_some() {
                found.push(Complaint {
                    field: field.map(shortened),
                    message: message.map(|message| shortened(message).to_lowercase()).unwrap_or_default(),
                });
            }
            for key in ["$errors", "errors", "error"] {
                match object.get(key) {
                    Some(inner @ (Value::Array(_) | Value::Object(_))) => gather(inner, found, code),
                    Some(Value::String(message)) if key != "error" || named(message).is_none() => {
                        found.push(Complaint { field: None, message: shortened(message).to_lowercase() });
                    }
                    _ => {}
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a reply means that no step provided for.
pub(super) fn classify(reply: &Reply, writes: bool) -> Fault {
    let after = reply.retry_after_seconds;
    let (complaints, code) = complaints(&reply.body);
    let fault = match reply.status {
        // A subscription or a trial that is over is told as 401 too; connecting again would not help (Sage Accounting
        // developer pages, frequently raised errors).
        401 if complaints.iter().any(|complaint| complaint.says(&["no active subscription"])) => Fault::refused(
            Code::SubscriptionLapsed,
            "The business has no active subscription with the book's provider.",
        ),
        401 => Fault::new(Action::Reconnect, Code::NeedsReconnect, "The book does not accept our grant any more."),
        429 => Fault::later(Code::BookRateLimited, after, "The book asks us to slow down."),
        403 if code.as_deref() == Some("MultiUserAccessDenied") => Fault::refused(
            Code::BookRefused,
            "The user who connected the book has no access to this part of it; give them the role, or connect as another.",
        ),
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
        Some(Meaning::ReferenceTaken) => told(Code::ReferenceTaken, "The book has the reference on something else."),
        Some(Meaning::Locked) => told(Code::PeriodLocked, "The date lies in a period that the book has locked."),
        Some(Meaning::Account) => {
            told(Code::CategoryUnknown, "The book does not take a ledger account of the document.")
        }
        Some(Meaning::Bank) => {
            told(Code::SettingsInvalid, "The book does not take the bank account that the settings name.")
        }
        Some(Meaning::TaxRate) => told(Code::TaxRateUnmapped, "The book does not take a tax rate of the document."),
        Some(Meaning::Rate) => told(Code::ExchangeRateUnknown, "The book does not take the document's exchange rate."),
        Some(Meaning::Contact) => told(Code::ContactUnknown, "The book does not know the document's contact."),
        Some(Meaning::ContactGone) => told(Code::ContactArchived, "The contact is not active in the book any more."),
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

/// The beginning of a body as text, whatever its bytes and size.
fn head(body: &[u8]) -> String {
    const BYTES_PER_CHARACTER: usize = 4;
    let most = TEXT_LENGTH_MAX.saturating_add(1).saturating_mul(BYTES_PER_CHARACTER);
    shortened(&String::from_utf8_lossy(body.get(..most).unwrap_or(body)))
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(TEXT_LENGTH_MAX).collect()
}
