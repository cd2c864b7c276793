//! The API below `/v2/`, as long as nothing goes wrong.

use serde_json::{Map, Value, json};

use super::rules::{self, Mistakes};
use super::store::{Store, decimal, normalised, timestamp};
use crate::server::{Answer, Request};

/// Obeys a request.
pub(crate) fn answer(store: &mut Store, request: &Request) -> Answer {
    let segments = request.segments();
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["v2", path @ ..] = names.as_slice() else { return not_found() };
    if let Some(refusal) = door(store, request) {
        return refusal;
    }
    let outcome = match (request.method.as_str(), path) {
        ("GET", path) => Ok(look(store, request, path)),
        ("POST", [collection]) => create(store, request, collection),
        ("PUT", [collection, id]) => change(store, request, collection, id),
        _ => Ok(not_found()),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

pub(crate) fn unauthorized() -> Answer {
    Answer::json(401, &json!({"errors": {"error": {"message": "Access token not recognised"}}}))
        .with_header("www-authenticate", "Bearer realm=\"v2\"")
}

pub(crate) fn not_found() -> Answer {
    Answer::json(404, &json!({"errors": {"error": {"message": "Resource not found"}}}))
}

pub(crate) fn too_many(retry_after: Option<u64>) -> Answer {
    let answer = Answer::new(429, "text/plain", "You must not exceed 120 requests per 60 seconds");
    match retry_after {
        Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
        None => answer,
    }
}

pub(crate) fn refused(mistakes: &Mistakes) -> Answer {
    Answer::json(422, &mistakes.body())
}

/// What is asked of every request: a known token, a user agent, no more than so many a minute.
fn door(store: &mut Store, request: &Request) -> Option<Answer> {
    if !store.desk.knows(request) {
        return Some(unauthorized());
    }
    if request.header("user-agent").unwrap_or_default().is_empty() {
        return Some(Answer::json(400, &json!({"errors": [{"message": "User-Agent header is required"}]})));
    }
    let limit = store.options.requests_per_minute?;
    let minute = store.now().div_euclid(60);
    if store.this_minute.0 != minute {
        store.this_minute = (minute, 0);
    }
    store.this_minute.1 = store.this_minute.1.saturating_add(1);
    (store.this_minute.1 > limit).then(|| too_many(Some(60)))
}

fn look(store: &Store, request: &Request, path: &[&str]) -> Answer {
    let found = match path {
        ["company"] => Some(json!({"company": store.company()})),
        ["categories"] => Some(store.categories()),
        ["categories", code] => store.category_with_group(code),
        ["bank_accounts"] => Some(json!({"bank_accounts": store.bank_accounts()})),
        ["bank_accounts", id] => {
            let url = store.url("bank_accounts", id);
            let account = store
                .bank_accounts()
                .into_iter()
                .find(|account| account.get("url").and_then(Value::as_str) == Some(&url));
            account.map(|account| json!({"bank_account": account}))
        }
        ["contacts"] => return contacts(store, request),
        ["contacts", id] => id
            .parse()
            .ok()
            .and_then(|id| store.contacts.get(&id))
            .map(|contact| json!({"contact": store.show_contact(contact)})),
        ["invoices"] => return invoices(store, request),
        ["invoices", id] => id
            .parse()
            .ok()
            .and_then(|id| store.invoices.get(&id))
            .map(|invoice| json!({"invoice": store.show_invoice(invoice, true)})),
        ["price_list_items"] => {
            let items =
                store.price_list_items.values().map(|item| store.show_plain("price_list_items", item)).collect();
            return list(store, request, "price_list_items", items);
        }
        ["price_list_items", id] => id
            .parse()
            .ok()
            .and_then(|id| store.price_list_items.get(&id))
            .map(|item| json!({"price_list_item": store.show_plain("price_list_items", item)})),
        ["bank_transaction_explanations"] => return explanations(store, request),
        _ => None,
    };
    found.map_or_else(not_found, |value| Answer::json(200, &value))
}

fn contacts(store: &Store, request: &Request) -> Answer {
    let email = request.parameter("email").map(|email| normalised(&email));
    let view = request.parameter("view");
    let shows = |hidden: bool| match view.as_deref() {
        Some("all") => true,
        Some("hidden") => hidden,
        None if email.is_some() => !hidden || store.switches.email_search_finds_hidden,
        _ => !hidden,
    };
    let found = store
        .contacts
        .values()
        .filter(|contact| shows(contact.hidden) && email.as_ref().is_none_or(|email| contact.email() == *email))
        .map(|contact| store.show_contact(contact))
        .collect();
    list(store, request, "contacts", found)
}

fn invoices(store: &Store, request: &Request) -> Answer {
    let contact = request.parameter("contact");
    let updated_since = request.parameter("updated_since");
    let nested = request.parameter("nested_invoice_items").as_deref() == Some("true");
    if let Some(url) = &contact
        && store.contact_of(url).is_none()
    {
        return refused(&Mistakes::of("contact", "is not a contact of this company"));
    }
    let found = store
        .invoices
        .values()
        .filter(|invoice| contact.as_ref().is_none_or(|url| *url == store.url("contacts", invoice.contact)))
        .filter(|invoice| updated_since.as_ref().is_none_or(|since| timestamp(invoice.updated_at) >= *since))
        .map(|invoice| store.show_invoice(invoice, nested))
        .collect();
    list(store, request, "invoices", found)
}

fn explanations(store: &Store, request: &Request) -> Answer {
    let Some(account) = request.parameter("bank_account") else {
        return Answer::json(400, &json!({"errors": [{"message": "bank_account is required"}]}));
    };
    let found = store
        .explanations
        .values()
        .filter(|item| item.fields.get("bank_account").and_then(Value::as_str) == Some(&account))
        .map(|item| store.show_plain("bank_transaction_explanations", item))
        .collect();
    list(store, request, "bank_transaction_explanations", found)
}

/// A page of a list, sorted as asked; the oldest first by default.
fn list(store: &Store, request: &Request, name: &str, mut found: Vec<Value>) -> Answer {
    let sort = request.parameter("sort").unwrap_or_default();
    let (field, descending) = sort.strip_prefix('-').map_or((sort.as_str(), false), |field| (field, true));
    if ["created_at", "updated_at", "dated_on", "name", "organisation_name", "reference"].contains(&field) {
        let key = |value: &Value| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        found.sort_by_key(|value| key(value));
    }
    if descending {
        found.reverse();
    }
    let number = |parameter: &str, otherwise: usize| {
        request
            .parameter(parameter)
            .and_then(|text| text.parse().ok())
            .filter(|number| *number > 0)
            .unwrap_or(otherwise)
    };
    let per_page = number("per_page", 25).min(100);
    let page = number("page", 1);
    let total = found.len();
    let last = total.div_ceil(per_page).max(1);
    let shown: Vec<Value> =
        found.into_iter().skip(page.saturating_sub(1).saturating_mul(per_page)).take(per_page).collect();
    let address = |page: usize, rel: &str| {
        let kept: String = request
            .query
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("page=") && !pair.starts_with("per_page="))
            .map(|pair| format!("&{pair}"))
            .collect();
        format!("<{}{}?page={page}&per_page={per_page}{kept}>; rel=\"{rel}\"", store.base_url, request.path)
    };
    let mut links = Vec::new();
    if page > 1 {
        links.push(address(page.saturating_sub(1), "prev"));
        links.push(address(1, "first"));
    }
    if page < last {
        links.push(address(page.saturating_add(1), "next"));
        links.push(address(last, "last"));
    }
    let mut body = Map::new();
    body.insert(name.to_owned(), Value::Array(shown));
    let answer = Answer::json(200, &body).with_header("x-total-count", total.to_string());
    if links.is_empty() { answer } else { answer.with_header("link", links.join(", ")) }
}

/// The fields below the root element.
fn root(request: &Request, name: &str) -> Result<Map<String, Value>, Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Answer::json(415, &json!({"errors": [{"message": "Content-Type must be application/json"}]})));
    }
    let mut body = request.json().map_err(|_| Answer::json(400, &json!({"errors": [{"message": "Invalid JSON"}]})))?;
    match body.get_mut(name).map(Value::take) {
        Some(Value::Object(fields)) => Ok(fields),
        _ => Err(Answer::json(400, &json!({"errors": [{"field": name, "message": format!("{name} is missing")}]}))),
    }
}

fn created(name: &str, shown: &Value, location: &str) -> Answer {
    Answer::json(201, &json!({ name: shown })).with_header("location", location)
}

fn create(store: &mut Store, request: &Request, collection: &str) -> Result<Answer, Answer> {
    match collection {
        "contacts" => {
            let fields = root(request, "contact")?;
            let contact = rules::contact(store, &fields, None).map_err(|mistakes| refused(&mistakes))?;
            let shown = add_contact(store, contact);
            Ok(created("contact", &shown, shown.get("url").and_then(Value::as_str).unwrap_or_default()))
        }
        "invoices" => {
            let fields = root(request, "invoice")?;
            let invoice = rules::invoice(store, &fields).map_err(|mistakes| refused(&mistakes))?;
            let shown = add_invoice(store, invoice);
            Ok(created("invoice", &shown, shown.get("url").and_then(Value::as_str).unwrap_or_default()))
        }
        "price_list_items" => {
            let fields = root(request, "price_list_item")?;
            let mut item = rules::price_list_item(store, &fields, None).map_err(|mistakes| refused(&mistakes))?;
            item.id = store.next_id();
            let shown = store.show_plain(collection, &item);
            store.price_list_items.insert(item.id, item);
            Ok(created("price_list_item", &shown, shown.get("url").and_then(Value::as_str).unwrap_or_default()))
        }
        "bank_transaction_explanations" => {
            let fields = root(request, "bank_transaction_explanation")?;
            let (mut item, invoice, paid) =
                rules::explanation(store, &fields).map_err(|mistakes| refused(&mistakes))?;
            item.id = store.next_id();
            if let Some(invoice) = store.invoices.get_mut(&invoice) {
                invoice.paid += paid;
            }
            let shown = store.show_plain(collection, &item);
            // This one's address is relative.
            let location = format!("/v2/{collection}/{}", item.id);
            store.explanations.insert(item.id, item);
            Ok(created("bank_transaction_explanation", &shown, &location))
        }
        _ => Ok(not_found()),
    }
}

pub(crate) fn add_contact(store: &mut Store, mut contact: super::store::Contact) -> Value {
    contact.id = store.next_id();
    let shown = store.show_contact(&contact);
    store.contacts.insert(contact.id, contact);
    shown
}

pub(crate) fn add_invoice(store: &mut Store, mut invoice: super::store::Invoice) -> Value {
    invoice.id = store.next_id();
    let shown = store.show_invoice(&invoice, true);
    store.invoices.insert(invoice.id, invoice);
    shown
}

fn change(store: &mut Store, request: &Request, collection: &str, id: &str) -> Result<Answer, Answer> {
    let id = id.parse().map_err(|_| not_found())?;
    match collection {
        "contacts" => {
            let known = store.contacts.get(&id).ok_or_else(not_found)?;
            let fields = root(request, "contact")?;
            let contact = rules::contact(store, &fields, Some(known)).map_err(|mistakes| refused(&mistakes))?;
            let shown = store.show_contact(&contact);
            store.contacts.insert(id, contact);
            Ok(Answer::json(200, &json!({"contact": shown})))
        }
        "price_list_items" => {
            let created_at = store.price_list_items.get(&id).ok_or_else(not_found)?.created_at;
            let fields = root(request, "price_list_item")?;
            let mut item = rules::price_list_item(store, &fields, Some(id)).map_err(|mistakes| refused(&mistakes))?;
            item.created_at = created_at;
            let shown = store.show_plain(collection, &item);
            store.price_list_items.insert(id, item);
            Ok(Answer::json(200, &json!({"price_list_item": shown})))
        }
        "invoices" => {
            store.invoices.get(&id).ok_or_else(not_found)?;
            Err(refused(&Mistakes::of("invoice_items", "is locked and cannot be changed")))
        }
        _ => Ok(not_found()),
    }
}

/// A figure of a shown document.
pub(crate) fn figure(document: &Value, field: &str) -> Option<rust_decimal::Decimal> {
    document.get(field).and_then(decimal)
}
