//! The API below `/api.xro/2.0`, and the connections beside it.

use serde_json::{Map, Value, json};

use super::query::Filter;
use super::rules::{self, Ask, Problems};
use super::spec::{ForbiddenBody, NotFoundBody, ThrottledBody};
use super::store::{NIL, Remembered, Store, extend};
use super::wire;
use crate::fields::{Fields, fields_of, text};
use crate::identity::{Admission, Holder, Organisation};
use crate::server::{Answer, Request};

/// How long a key is remembered, in seconds. Source: Xero API docs, idempotency.
pub(crate) const KEY_SECONDS: i64 = 6 * 60;
/// Characters a key may have. Source: Xero API docs, idempotency.
/// Characters of a search term, where longer ones are refused.
const LONGEST_TERM: usize = 50;
const KEY_LIMIT: usize = 128;
const PAGE_SIZE: usize = 100;
const LARGEST_PAGE: usize = 1_000;
const APP_MINUTE_LIMIT: u32 = 10_000;
const CONNECTION: &str = "0c0ffee0-3a51-4c53-8f0e-6a1c2b9d7e41";
const BRANDING_THEME: &str = "9a5b1f4e-60c1-4f1e-8a35-3f1f8f6f7d02";
const ACTIONS: [&str; 8] = [
    "CreateApprovedInvoice",
    "CreateDraftInvoice",
    "CreateApprovedCreditNote",
    "CreateInvoicePayment",
    "CreateCreditNotePayment",
    "CreateContact",
    "CreateItem",
    "UseMulticurrency",
];

/// Obeys a request.
pub(crate) fn answer(store: &mut Store, request: &Request) -> Answer {
    let segments = request.segments();
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let ["connections", rest @ ..] = names.as_slice() {
        return connections(store, request, rest);
    }
    let ["api.xro", "2.0", path @ ..] = names.as_slice() else { return Answer::new(404, "text/plain", "Not Found") };
    let answer = door(store, request, path).unwrap_or_else(|| once(store, request, path));
    with_limits(store, answer)
}

fn connections(store: &mut Store, request: &Request, path: &[&str]) -> Answer {
    match store.desk.admission(request) {
        Admission::Given => {}
        Admission::Held(holder) => return connections_of(store, request, path, &holder),
        Admission::Expired(at) => return expired(store, at),
        Admission::Unknown => return unauthorized(store),
    }
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let connection = json!({
                "id": CONNECTION,
                "authEventId": "b71b4f5c-8d3a-4b79-9c0f-2d3e4f5a6b7c",
                "tenantId": store.options.tenant,
                "tenantType": "ORGANISATION",
                "tenantName": store.options.organisation,
                "createdDateUtc": "2026-01-07T18:46:19.5165400",
                "updatedDateUtc": "2026-01-07T18:46:19.5187840",
            });
            Answer::json(200, &if store.connected { vec![connection] } else { Vec::new() })
        }
        ("DELETE", [id]) if *id == CONNECTION && store.connected => {
            store.connected = false;
            Answer::new(204, "application/json", "")
        }
        _ => not_found(store),
    }
}

/// Those of whoever bears the token.
fn connections_of(store: &mut Store, request: &Request, path: &[&str], holder: &Holder) -> Answer {
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let event = request.parameter("authEventId");
            Answer::json(200, &store.desk.identity.shows_connections(holder, event.as_deref()))
        }
        ("DELETE", [id]) if store.desk.identity.disconnects(holder, id) => Answer::new(204, "application/json", ""),
        _ => not_found(store),
    }
}

fn expired(store: &Store, at: i64) -> Answer {
    let moment = crate::clock::iso(at);
    problem(store, 401, "Unauthorized", &format!("TokenExpired: token expired at {moment}"))
}

pub(crate) fn unauthorized(store: &Store) -> Answer {
    problem(store, 401, "Unauthorized", "AuthenticationUnsuccessful")
}

fn problem(store: &Store, status: u16, title: &str, detail: &str) -> Answer {
    let instance = format!("5f1e1111-0000-4000-8000-{:012x}", store.last_id);
    let body = json!({
        "Type": null, "Title": title, "Status": status, "Detail": detail, "Instance": instance, "Extensions": {},
    });
    Answer::json(status, &body)
}

pub(crate) fn not_found(store: &Store) -> Answer {
    match store.switches.not_found {
        NotFoundBody::Text => {
            Answer::new(404, "text/html; charset=utf-8", "The resource you're looking for cannot be found")
        }
        NotFoundBody::Problem => problem(store, 404, "NotFound", "The resource you're looking for cannot be found"),
        NotFoundBody::Empty => Answer::new(404, "text/plain", ""),
    }
}

/// The organisation is none that the token reaches.
fn forbidden(store: &Store) -> Answer {
    match store.switches.forbidden_body {
        ForbiddenBody::Problem => problem(store, 403, "Forbidden", "AuthenticationUnsuccessful"),
        ForbiddenBody::Text => Answer::new(403, "text/plain", "Forbidden"),
        ForbiddenBody::Empty => Answer::new(403, "text/plain", ""),
    }
}

/// 429: the headers say which limit.
pub(crate) fn too_many(store: &Store, limit: &str, retry_after: Option<u64>) -> Answer {
    let answer = match store.switches.throttled_body {
        ThrottledBody::Empty => Answer::new(429, "text/plain", ""),
        ThrottledBody::Text => Answer::new(429, "text/plain", "Too many requests"),
        ThrottledBody::Problem => problem(store, 429, "TooManyRequests", "The rate limit is exceeded"),
    };
    let answer = answer.with_header("x-rate-limit-problem", limit);
    match retry_after {
        Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
        None => answer,
    }
}

/// 400 of the whole request.
pub(crate) fn refused(number: u16, kind: &str, message: &str, elements: Option<Vec<Value>>) -> Answer {
    let mut body = json!({"ErrorNumber": number, "Type": kind, "Message": message});
    if let (Some(fields), Some(elements)) = (body.as_object_mut(), elements) {
        fields.insert("Elements".to_owned(), Value::Array(elements));
    }
    Answer::new(400, "application/json; charset=utf-8", wire::text(&body))
}

pub(crate) fn invalid(elements: Vec<Value>) -> Answer {
    refused(10, "ValidationException", "A validation exception occurred", Some(elements))
}

fn scope_of(resource: &str) -> &'static str {
    match resource {
        "Invoices" | "CreditNotes" | "Items" => "accounting.invoices",
        "Payments" => "accounting.payments",
        "Contacts" => "accounting.contacts",
        _ => "accounting.settings.read",
    }
}

/// What is asked of every request: a known token, the tenant, the scope, no more than so many.
fn door(store: &mut Store, request: &Request, path: &[&str]) -> Option<Answer> {
    let tenant = request.header("xero-tenant-id").unwrap_or_default();
    let is_own = tenant.eq_ignore_ascii_case(&store.options.tenant);
    let scope = scope_of(path.first()?);
    let (reaches, may, other) = match store.desk.admission(request) {
        Admission::Given => (store.connected && is_own, true, None),
        Admission::Held(holder) => {
            let reached = holder.organisation(tenant).cloned();
            (reached.is_some(), holder.may(scope, request.method == "GET"), reached.filter(|_| !is_own))
        }
        Admission::Expired(at) => return Some(expired(store, at)),
        Admission::Unknown => return Some(unauthorized(store)),
    };
    if !reaches {
        return Some(forbidden(store));
    }
    if !may || store.lacking_scopes.contains(scope) {
        let answer = unauthorized(store);
        return Some(answer.with_header("www-authenticate", "Bearer error=\"insufficient_scope\""));
    }
    if store.options.requests_at_once.is_some_and(|limit| store.desk.under_way > limit) {
        return Some(too_many(store, "concurrent", None));
    }
    let now = store.now();
    let (minute, day) = (now.div_euclid(60), now.div_euclid(86_400));
    if store.this_minute.0 != minute {
        store.this_minute = (minute, 0);
    }
    if store.this_day.0 != day {
        store.this_day = (day, 0);
    }
    store.this_minute.1 = store.this_minute.1.saturating_add(1);
    store.this_day.1 = store.this_day.1.saturating_add(1);
    let until = |length: i64| u64::try_from(length.saturating_sub(now.rem_euclid(length))).ok();
    if store.options.requests_per_day.is_some_and(|limit| store.this_day.1 > limit) {
        return Some(too_many(store, "day", until(86_400)));
    }
    if store.options.requests_per_minute.is_some_and(|limit| store.this_minute.1 > limit) {
        return Some(too_many(store, "minute", until(60)));
    }
    other.map(|organisation| elsewhere(store, request, path, &organisation))
}

/// What an organisation that holds nothing says.
fn elsewhere(store: &mut Store, request: &Request, path: &[&str], organisation: &Organisation) -> Answer {
    match (request.method.as_str(), path) {
        ("GET", ["Organisation"]) => {
            let mut shown = fields_of(store.organisation());
            shown.insert("OrganisationID".to_owned(), json!(organisation.id));
            for field in ["Name", "LegalName"] {
                shown.insert(field.to_owned(), json!(organisation.name));
            }
            shown_list(store, request, "Organisations", vec![Value::Object(shown)])
        }
        ("GET", [name]) => shown_list(store, request, name, Vec::new()),
        ("GET", _) => not_found(store),
        _ => refused(10, "ValidationException", "Account code is not a valid code for this document", None),
    }
}

fn shown_list(store: &mut Store, request: &Request, name: &str, list: Vec<Value>) -> Answer {
    shown(request, 200, &Value::Object(store.envelope(name, list)))
}

fn with_limits(store: &Store, answer: Answer) -> Answer {
    use super::AccountingOptions as Options;
    // Without a limit nothing is ever used up, or a clock that stands still would slow its clients down.
    let left =
        |limit: Option<u32>, real: u32, taken: u32| limit.map_or(real, |limit| limit.saturating_sub(taken)).to_string();
    let (minute, day) = (store.this_minute.1, store.this_day.1);
    answer
        .with_header(
            "x-minlimit-remaining",
            left(store.options.requests_per_minute, Options::REAL_MINUTE_LIMIT, minute),
        )
        .with_header("x-daylimit-remaining", left(store.options.requests_per_day, Options::REAL_DAY_LIMIT, day))
        .with_header("x-appminlimit-remaining", left(None, APP_MINUTE_LIMIT, minute))
}

/// What a key stands for.
fn fingerprint(request: &Request) -> String {
    let body = String::from_utf8_lossy(&request.body);
    format!("{} {}?{} {body}", request.method, request.path, request.query)
}

/// Remembers an answer under the request's key, in place of an earlier one.
pub(crate) fn remember(store: &mut Store, request: &Request, answer: &Answer) {
    let Some(key) = request.header("idempotency-key").filter(|_| request.method != "GET") else { return };
    let now = store.now();
    let known = store.remembered.get(key).filter(|known| now.saturating_sub(known.at) < KEY_SECONDS);
    let at = known.map_or(now, |known| known.at);
    let remembered = Remembered { at, request: fingerprint(request), answer: answer.clone() };
    store.remembered.insert(key.to_owned(), remembered);
}

/// A request with a known key is answered as the first was; after the limits, before everything else.
fn once(store: &mut Store, request: &Request, path: &[&str]) -> Answer {
    let writes = ["POST", "PUT", "PATCH"].contains(&request.method.as_str());
    let key = request.header("idempotency-key").filter(|key| writes && !key.is_empty());
    let Some(key) = key else { return handle(store, request, path) };
    if key.len() > KEY_LIMIT {
        return refused(10, "ValidationException", "Idempotency Key: maximum length is 128 characters.", None);
    }
    let now = store.now();
    store.remembered.retain(|_, known| now.saturating_sub(known.at) < KEY_SECONDS);
    if let Some(known) = store.remembered.get(key) {
        if known.request == fingerprint(request) {
            return known.answer.clone();
        }
        let message = format!("Idempotency Key: {key} is used with a different request.");
        return refused(10, "ValidationException", &message, None);
    }
    let answer = handle(store, request, path);
    remember(store, request, &answer);
    answer
}

fn handle(store: &mut Store, request: &Request, path: &[&str]) -> Answer {
    let outcome = match request.method.as_str() {
        "GET" => look(store, request, path),
        "PUT" | "POST" => change(store, request, path),
        "DELETE" => remove(store, path),
        _ => Err(Answer::new(501, "text/plain", "")),
    };
    match outcome {
        Ok(Outcome::Shown(body)) => shown(request, 200, &Value::Object(body)),
        Ok(Outcome::Gone) => Answer::new(204, "application/json", ""),
        Err(answer) => answer,
    }
}

enum Outcome {
    Shown(Map<String, Value>),
    Gone,
}

/// JSON only for who asks for it.
fn shown(request: &Request, status: u16, body: &Value) -> Answer {
    if request.header("accept").unwrap_or_default().contains("application/json") {
        Answer::new(status, "application/json; charset=utf-8", wire::text(body))
    } else {
        Answer::new(status, "text/xml; charset=utf-8", wire::xml("Response", body))
    }
}

fn look(store: &mut Store, request: &Request, path: &[&str]) -> Result<Outcome, Answer> {
    let (name, list) = match path {
        ["Organisation"] => ("Organisations", vec![store.organisation()]),
        ["Organisation", "Actions"] => {
            ("Actions", ACTIONS.map(|action| json!({"Name": action, "Status": "ALLOWED"})).to_vec())
        }
        ["Accounts"] => ("Accounts", store.kept.accounts.iter().map(super::chart::Account::show).collect()),
        ["Accounts", id] => ("Accounts", store.account(id).map(super::chart::Account::show).into_iter().collect()),
        ["TaxRates"] => ("TaxRates", store.kept.tax_rates.iter().map(super::chart::TaxRate::show).collect()),
        ["TaxRates", tax_type] => {
            ("TaxRates", store.tax_rate(tax_type).map(super::chart::TaxRate::show).into_iter().collect())
        }
        ["Currencies"] => {
            let codes = store.kept.currencies.iter();
            ("Currencies", codes.map(|code| json!({"Code": code, "Description": code})).collect())
        }
        ["BrandingThemes"] => {
            let theme = json!({"BrandingThemeID": BRANDING_THEME, "Name": "Standard", "SortOrder": 0,
                "CreatedDateUTC": "/Date(1586304000000+0000)/"});
            ("BrandingThemes", vec![theme])
        }
        ["Contacts"] => ("Contacts", contacts(store, request)),
        ["Contacts", key] => {
            let by_number = |contact: &&super::store::Contact| text(&contact.fields, "ContactNumber") == *key;
            let found = store.contact(key).or_else(|| store.kept.contacts.iter().find(by_number));
            ("Contacts", found.map(|contact| store.show_contact(contact)).into_iter().collect())
        }
        ["Items"] => ("Items", store.kept.items.iter().map(|item| store.show_item(item)).collect()),
        ["Items", key] => {
            let found = store.item(key).filter(|item| item.id == *key || store.switches.get_item_by_code);
            ("Items", found.map(|item| store.show_item(item)).into_iter().collect())
        }
        ["Invoices"] => ("Invoices", documents(store, request, false)),
        ["CreditNotes"] => ("CreditNotes", documents(store, request, true)),
        ["Invoices", key] => {
            let found = store.document(false, key).map(|document| store.show_document(document, true));
            ("Invoices", found.into_iter().collect())
        }
        ["CreditNotes", key] => {
            let found = store.document(true, key).map(|document| store.show_document(document, true));
            ("CreditNotes", found.into_iter().collect())
        }
        ["CreditNotes", key, "Allocations"] => {
            let id = store.document(true, key).ok_or_else(|| not_found(store))?.id.clone();
            let list = store.allocations_of(&id).map(|allocation| store.show_allocation(allocation)).collect();
            return Ok(Outcome::Shown(store.envelope("Allocations", list)));
        }
        ["Payments"] => ("Payments", store.kept.payments.iter().map(|payment| store.show_payment(payment)).collect()),
        ["Payments", id] => {
            let found = store.kept.payments.iter().find(|payment| payment.id.eq_ignore_ascii_case(id));
            ("Payments", found.map(|payment| store.show_payment(payment)).into_iter().collect())
        }
        _ => return Err(not_found(store)),
    };
    let is_list = path.len() == 1;
    let is_long = |term: String| crate::fields::longer(&term, LONGEST_TERM);
    if store.switches.long_terms_refused && request.parameter("searchTerm").is_some_and(is_long) {
        return Err(refused(16, "QueryParseException", "The search term is too long", None));
    }
    if !is_list && list.is_empty() {
        return Err(not_found(store));
    }
    let is_paged = ["Invoices", "CreditNotes", "Payments", "Contacts"].contains(&name);
    let list = if is_list { narrowed(store, request, list)? } else { list };
    if !(is_list && is_paged) {
        return Ok(Outcome::Shown(store.envelope(name, list)));
    }
    let (list, pagination) = paged(request, list)?;
    let mut body = store.envelope(name, list);
    if let Some(pagination) = pagination {
        body.insert("pagination".to_owned(), pagination);
    }
    Ok(Outcome::Shown(body))
}

fn contacts(store: &Store, request: &Request) -> Vec<Value> {
    let archived = request.parameter("includeArchived").as_deref() == Some("true");
    let ids = listed(request, "IDs");
    let term = request.parameter("searchTerm").map(|term| term.to_lowercase());
    let searched = ["Name", "FirstName", "LastName", "ContactNumber", "CompanyNumber", "EmailAddress"];
    let fits = |contact: &&super::store::Contact| {
        (archived || !contact.archived)
            && ids.as_ref().is_none_or(|ids| ids.contains(&contact.id))
            && term.as_ref().is_none_or(|term| {
                searched.iter().any(|field| text(&contact.fields, field).to_lowercase().contains(term))
            })
    };
    store.kept.contacts.iter().filter(fits).map(|contact| store.show_contact(contact)).collect()
}

/// The values of a parameter between its commas.
fn listed(request: &Request, parameter: &str) -> Option<Vec<String>> {
    let list = request.parameter(parameter).filter(|list| !list.is_empty())?;
    Some(list.split(',').map(str::to_owned).collect())
}

fn documents(store: &Store, request: &Request, is_credit: bool) -> Vec<Value> {
    let (ids, numbers) = (listed(request, "IDs"), listed(request, "InvoiceNumbers"));
    let (contacts, statuses) = (listed(request, "ContactIDs"), listed(request, "Statuses"));
    let term = request.parameter("searchTerm").map(|term| term.to_lowercase());
    let summary = request.parameter("summaryOnly").as_deref() == Some("true");
    let within = |list: &Option<Vec<String>>, value: &str| {
        list.as_ref().is_none_or(|list| list.iter().any(|one| one.eq_ignore_ascii_case(value)))
    };
    let found = store.kept.documents.iter().filter(|document| {
        let reference = text(&document.given, "Reference").to_lowercase();
        let listed = within(&ids, &document.id)
            && within(&numbers, &document.number)
            && within(&contacts, &document.contact)
            && within(&statuses, store.status(document))
            && term
                .as_ref()
                .is_none_or(|term| document.number.to_lowercase().contains(term) || reference.contains(term));
        document.is_credit == is_credit && (is_credit || listed)
    });
    found.map(|document| store.show_document(document, !summary)).collect()
}

/// Narrowed by `where` and `If-Modified-Since`, in the order that was asked for.
fn narrowed(store: &Store, request: &Request, mut list: Vec<Value>) -> Result<Vec<Value>, Answer> {
    if let Some(condition) = request.parameter("where").filter(|condition| !condition.trim().is_empty()) {
        let filter = Filter::read(&condition, store.switches.quoted_by)
            .ok_or_else(|| refused(16, "QueryParseException", "Invalid where clause", None))?;
        list.retain(|shown| filter.fits(shown));
    }
    if let Some(since) = request.header("if-modified-since") {
        let wanted: Option<jiff::civil::DateTime> = since.trim_end_matches('Z').parse().ok();
        let since = wanted
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .ok_or_else(|| refused(16, "QueryParseException", "If-Modified-Since is not a date", None))?
            .timestamp()
            .as_second();
        list.retain(|shown| {
            let updated = shown.get("UpdatedDateUTC").and_then(Value::as_str).unwrap_or_default();
            let seconds =
                updated.strip_prefix("/Date(").and_then(|rest| rest.split("000+").next()?.parse::<i64>().ok());
            seconds.is_none_or(|seconds| seconds >= since)
        });
    }
    if let Some(order) = request.parameter("order") {
        let (field, direction) = order.split_once(' ').unwrap_or((order.as_str(), "ASC"));
        let key = |shown: &Value| shown.get(field).and_then(wire::plain).unwrap_or_default().to_lowercase();
        list.sort_by_key(key);
        if direction.eq_ignore_ascii_case("DESC") {
            list.reverse();
        }
    }
    Ok(list)
}

fn paged(request: &Request, list: Vec<Value>) -> Result<(Vec<Value>, Option<Value>), Answer> {
    let asked = |parameter: &str, otherwise: usize| match request.parameter(parameter) {
        None => Ok(otherwise),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| refused(16, "QueryParseException", &format!("{parameter} must be at least 1"), None)),
    };
    let page = asked("page", 1)?;
    let size = asked("pageSize", PAGE_SIZE)?;
    if size > LARGEST_PAGE {
        return Err(refused(16, "QueryParseException", "pageSize must be at most 1000", None));
    }
    let count = list.len();
    let shown: Vec<Value> = list.into_iter().skip(page.saturating_sub(1).saturating_mul(size)).take(size).collect();
    let pagination = request
        .parameter("page")
        .map(|_| json!({"page": page, "pageSize": size, "pageCount": count.div_ceil(size).max(1), "itemCount": count}));
    Ok((shown, pagination))
}

/// The elements of a body: a list under the resource's name, or a single one.
pub(crate) fn elements(request: &Request, name: &str) -> Result<Vec<Fields>, Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(refused(14, "PostDataInvalidException", "Content-Type must be application/json", None));
    }
    // A control character would be no XML either.
    let body = request.json().ok().filter(|_| !String::from_utf8_lossy(&request.body).contains("\\u0001"));
    let body = body.ok_or_else(|| refused(14, "PostDataInvalidException", "Invalid Json data", None))?;
    let found = match body {
        Value::Object(mut fields) => match fields.get_mut(name).map(Value::take) {
            Some(Value::Array(list)) => list.into_iter().map(fields_of).collect(),
            Some(_) => Vec::new(),
            None if fields.is_empty() => Vec::new(),
            None => vec![fields],
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Vec::new(),
    };
    if found.is_empty() {
        let message = format!(
            "No data has been processed for this endpoint. This endpoint is expecting {name} data to be specified in the request body."
        );
        return Err(refused(17, "NoDataProcessedException", &message, None));
    }
    Ok(found)
}

/// Which list a request changes, and how.
struct Batch<'a> {
    name: &'a str,
    id_field: &'a str,
    /// Documents and contacts name the flag of an element in error differently.
    flag: &'a str,
}

fn change(store: &mut Store, request: &Request, path: &[&str]) -> Result<Outcome, Answer> {
    let decimals = if request.parameter("unitdp").as_deref() == Some("4") { 4 } else { 2 };
    let ask = Ask { only_new: request.method == "PUT", unit_decimals: decimals };
    if path.len() > 1 && ask.only_new && path.last() != Some(&"Allocations") {
        return Err(not_found(store));
    }
    let id = path.get(1).copied();
    let batch = |name, id_field, flag| Batch { name, id_field, flag };
    match path {
        ["Contacts"] | ["Contacts", _] => {
            each(store, request, &batch("Contacts", "ContactID", "HasValidationErrors"), |store, fields| {
                let id = rules::contact(store, fields, ask, id)?;
                Ok(store.contact(&id).map(|contact| store.show_contact(contact)).unwrap_or_default())
            })
        }
        ["Items"] | ["Items", _] => {
            each(store, request, &batch("Items", "ItemID", "HasValidationErrors"), |store, fields| {
                let id = rules::item(store, fields, ask, id)?;
                Ok(store.item(&id).map(|item| store.show_item(item)).unwrap_or_default())
            })
        }
        ["Invoices"] | ["Invoices", _] => {
            each(store, request, &batch("Invoices", "InvoiceID", "HasErrors"), |store, fields| {
                let id = rules::document(store, fields, false, ask, id)?;
                Ok(store.document(false, &id).map(|invoice| store.show_document(invoice, true)).unwrap_or_default())
            })
        }
        ["CreditNotes"] | ["CreditNotes", _] => {
            each(store, request, &batch("CreditNotes", "CreditNoteID", "HasErrors"), |store, fields| {
                let id = rules::document(store, fields, true, ask, id)?;
                Ok(store.document(true, &id).map(|note| store.show_document(note, true)).unwrap_or_default())
            })
        }
        ["CreditNotes", note, "Allocations"] if ask.only_new => {
            if store.document(true, note).is_none() {
                return Err(not_found(store));
            }
            each(store, request, &batch("Allocations", "AllocationID", "HasErrors"), |store, fields| {
                let id = rules::allocation(store, note, fields)?;
                let made = store.kept.allocations.iter().find(|allocation| allocation.id == id);
                Ok(made.map(|allocation| store.show_allocation(allocation)).unwrap_or_default())
            })
        }
        ["Payments"] => {
            each(store, request, &batch("Payments", "PaymentID", "HasValidationErrors"), |store, fields| {
                let id = rules::payment(store, fields)?;
                let made = store.kept.payments.iter().find(|payment| payment.id == id);
                Ok(made.map(|payment| store.show_payment(payment)).unwrap_or_default())
            })
        }
        ["Payments", id] => delete_payment(store, request, id),
        ["Currencies"] if ask.only_new => {
            let added = elements(request, "Currencies")?;
            for fields in &added {
                let code = text(fields, "Code");
                if code.len() != 3 || store.kept.currencies.contains(&code) {
                    return Err(invalid(vec![
                        json!({"ValidationErrors": [{"Message": "Currency code is not valid"}]}),
                    ]));
                }
                store.kept.currencies.push(code);
            }
            let list = added.into_iter().map(Value::Object).collect();
            Ok(Outcome::Shown(store.envelope("Currencies", list)))
        }
        _ => Err(not_found(store)),
    }
}

/// Handles element by element, and answers as `summarizeErrors` says.
fn each(
    store: &mut Store,
    request: &Request,
    batch: &Batch<'_>,
    take: impl Fn(&mut Store, &Fields) -> Result<Value, Problems>,
) -> Result<Outcome, Answer> {
    let elements = elements(request, batch.name)?;
    let summarizes = match request.parameter("summarizeErrors").map(|value| value.to_lowercase()).as_deref() {
        Some("true") => true,
        Some("false") => false,
        _ => store.switches.summarizes_when_omitted,
    };
    let before = store.kept.clone();
    let mut shown = Vec::new();
    let mut failed = Vec::new();
    for fields in &elements {
        match take(store, fields) {
            Ok(mut made) => {
                if let Some(fields) = made.as_object_mut().filter(|_| !summarizes) {
                    let word = if fields.contains_key("Warnings") { "WARNING" } else { "OK" };
                    fields.insert("StatusAttributeString".to_owned(), json!(word));
                }
                shown.push(made);
            }
            Err(problems) => {
                let echo = echo(fields, batch, &problems);
                failed.push(echo.clone());
                shown.push(echo);
            }
        }
    }
    if summarizes && !failed.is_empty() {
        if !store.switches.siblings_committed {
            store.kept = before;
        }
        return Err(invalid(failed));
    }
    Ok(Outcome::Shown(store.envelope(batch.name, shown)))
}

/// The element as it was sent, with what is wrong with it and the id of what doesn't exist.
fn echo(fields: &Fields, batch: &Batch<'_>, problems: &Problems) -> Value {
    let messages = |list: &[String]| list.iter().map(|message| json!({"Message": message})).collect::<Vec<_>>();
    let mut echo = fields.clone();
    echo.entry(batch.id_field).or_insert(json!(NIL));
    if let Some(lines) = echo.get_mut("LineItems").and_then(Value::as_array_mut) {
        for (place, list) in &problems.lines {
            if let Some(line) = lines.get_mut(*place).and_then(Value::as_object_mut) {
                line.insert("ValidationErrors".to_owned(), Value::Array(messages(list)));
            }
        }
    }
    extend(
        &mut echo,
        json!({"ValidationErrors": messages(&problems.own), "StatusAttributeString": "ERROR", batch.flag: true}),
    );
    Value::Object(echo)
}

/// A payment can't be changed, only taken away.
fn delete_payment(store: &mut Store, request: &Request, id: &str) -> Result<Outcome, Answer> {
    let fields = elements(request, "Payments")?.into_iter().next().unwrap_or_default();
    let now = store.now();
    let found = store.kept.payments.iter_mut().find(|payment| payment.id.eq_ignore_ascii_case(id));
    let Some(payment) = found else { return Err(not_found(store)) };
    if text(&fields, "Status") != "DELETED" || payment.deleted {
        let mut echo = fields;
        echo.insert(
            "ValidationErrors".to_owned(),
            json!([{"Message": "Payment not of valid status for modification"}]),
        );
        return Err(invalid(vec![Value::Object(echo)]));
    }
    payment.deleted = true;
    payment.updated_at = now;
    let payment = payment.clone();
    let shown = store.show_payment(&payment);
    Ok(Outcome::Shown(store.envelope("Payments", vec![shown])))
}

fn remove(store: &mut Store, path: &[&str]) -> Result<Outcome, Answer> {
    match path {
        ["Items", id] => {
            let before = store.kept.items.len();
            store.kept.items.retain(|item| !item.id.eq_ignore_ascii_case(id));
            if store.kept.items.len() == before { Err(not_found(store)) } else { Ok(Outcome::Gone) }
        }
        ["CreditNotes", note, "Allocations", id] => {
            let note = store.document(true, note).ok_or_else(|| not_found(store))?.id.clone();
            let found = store.kept.allocations.iter().find(|one| one.credit_note == note && one.id == *id).cloned();
            let Some(allocation) = found else { return Err(not_found(store)) };
            store.kept.allocations.retain(|one| one.id != allocation.id);
            let body = json!({"AllocationID": allocation.id, "IsDeleted": true});
            Ok(Outcome::Shown(fields_of(body)))
        }
        _ => Err(not_found(store)),
    }
}
