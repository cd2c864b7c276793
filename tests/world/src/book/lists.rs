//! Lists: what they show, in which order, a page at a time.

use serde_json::{Map, Value, json};

use super::api::{refused, seen};
use super::rules::Mistakes;
use super::spec::House;
use super::store::{Contact, Document, Kind, Stage, Store, normalised, timestamp};
use crate::server::{Answer, Request};

const PER_PAGE: usize = 25;

/// A list, if there is one of that name.
pub(crate) fn list(store: &Store, request: &Request, collection: &str) -> Option<Result<Answer, Answer>> {
    let shown = match collection {
        "contacts" => Ok(contacts(store, request)),
        "invoices" => documents(store, request, Kind::Invoice),
        "credit_notes" => documents(store, request, Kind::CreditNote),
        "credit_note_reconciliations" => {
            Ok(store.reconciliations.values().map(|it| store.show_reconciliation(it)).collect())
        }
        "price_list_items" => Ok(store.price_list_items.values().map(|item| store.show_price(item)).collect()),
        "stock_items" => Ok(Vec::new()),
        "bank_accounts" => Ok(store.bank_accounts.values().map(|account| store.show_account(account)).collect()),
        "bank_transactions" => of_account(request).map(|account| {
            let transactions = store.bank_transactions.values();
            let of_it = transactions.filter(|it| store.url("bank_accounts", it.account) == account);
            of_it.map(|it| store.show_transaction(it)).collect()
        }),
        "bank_transaction_explanations" => of_account(request).map(|account| explanations(store, request, &account)),
        "users" => Ok(vec![store.user()]),
        _ => return None,
    };
    Some(shown.map(|shown| page(store, request, collection, shown)))
}

/// Some lists are of one account alone.
fn of_account(request: &Request) -> Result<String, Answer> {
    request
        .parameter("bank_account")
        .ok_or_else(|| Answer::json(400, &json!({"errors": [{"message": "bank_account is required"}]})))
}

fn contacts(store: &Store, request: &Request) -> Vec<Value> {
    // Only one of the houses can be asked for an address; the other passes over the question.
    let email = request.parameter("email").filter(|_| store.house() == House::V2).map(|email| normalised(&email));
    let view = request.parameter("view");
    let since = request.parameter("updated_since");
    let has = |contact: &Contact, open: bool| {
        let mut invoices = store.invoices.values().filter(|invoice| invoice.contact == contact.id);
        invoices.any(|invoice| !open || invoice.outstanding() > rust_decimal::Decimal::ZERO)
    };
    let shows = |contact: &Contact| match view.as_deref() {
        Some("all") => true,
        Some("hidden") => contact.hidden,
        // A contact is a client from its first invoice on.
        Some("clients") => !contact.hidden && has(contact, false),
        Some("open_clients") => !contact.hidden && has(contact, true),
        Some("suppliers" | "active_projects" | "completed_projects" | "open_suppliers") => false,
        None if email.is_some() => !contact.hidden || store.switches.email_search_finds_hidden,
        _ => !contact.hidden,
    };
    store
        .contacts
        .values()
        .filter(|contact| shows(contact) && email.as_ref().is_none_or(|email| contact.email == *email))
        .filter(|contact| is_since(contact.updated_at, since.as_deref()))
        .map(|contact| seen(store, store.show_contact(contact)))
        .collect()
}

fn documents(store: &Store, request: &Request, kind: Kind) -> Result<Vec<Value>, Answer> {
    let contact = request.parameter("contact");
    let since = request.parameter("updated_since");
    let view = request.parameter("view");
    let today = store.today();
    let nested = request.parameter(&format!("nested_{}", kind.items())).as_deref() == Some("true");
    let contact = match contact.map(|url| store.contact_of(&url).map(|contact| contact.id)) {
        Some(None) => {
            return Err(refused(store.house(), &Mistakes::of("contact", "is not a contact of this company")));
        }
        named => named.flatten(),
    };
    let is_in_view = |document: &Document| {
        let status = document.status(&today);
        let is_open = document.stage == Stage::Sent && ["Open", "Overdue"].contains(&status);
        match view.as_deref() {
            Some("draft") => status == "Draft",
            Some("scheduled_to_email") => status == "Scheduled To Email",
            Some("open") => status == "Open",
            Some("overdue") => status == "Overdue",
            Some("paid") => status == "Paid",
            Some("refunded") => status == "Refunded",
            Some("open_or_overdue" | "recent_open_or_overdue") => is_open,
            _ => true,
        }
    };
    let documents = store.documents_of(kind).values();
    Ok(documents
        .filter(|document| contact.is_none_or(|id| id == document.contact))
        .filter(|document| is_since(document.updated_at, since.as_deref()) && is_in_view(document))
        .map(|document| store.show_document(document, nested))
        .collect())
}

fn explanations(store: &Store, request: &Request, account: &str) -> Vec<Value> {
    let account = store.number_in(account, "bank_accounts");
    let (from, to) = (request.parameter("from_date"), request.parameter("to_date"));
    let since = request.parameter("updated_since");
    store
        .explanations
        .values()
        .filter(|explanation| Some(explanation.account) == account)
        .filter(|explanation| from.as_ref().is_none_or(|from| explanation.dated_on >= *from))
        .filter(|explanation| to.as_ref().is_none_or(|to| explanation.dated_on <= *to))
        .filter(|explanation| is_since(explanation.created_at, since.as_deref()))
        .map(|explanation| {
            let mut shown = store.show_explanation(explanation);
            if let Some(fields) = shown.as_object_mut()
                && !store.switches.explanation_lists_tell_references
            {
                fields.remove("receipt_reference");
            }
            shown
        })
        .collect()
}

/// Whether a change is as late as asked; a day or a time may be asked for.
fn is_since(updated_at: i64, since: Option<&str>) -> bool {
    since.is_none_or(|since| timestamp(updated_at).trim_end_matches('Z') >= since.trim_end_matches('Z'))
}

/// A page of a list, sorted as asked; the oldest first by default.
fn page(store: &Store, request: &Request, name: &str, mut found: Vec<Value>) -> Answer {
    let sort = request.parameter("sort").unwrap_or_default();
    let (field, descending) = sort.strip_prefix('-').map_or((sort.as_str(), false), |field| (field, true));
    if ["created_at", "updated_at", "dated_on", "due_on", "name", "organisation_name", "reference", "code"]
        .contains(&field)
    {
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
    let per_page = number("per_page", PER_PAGE).min(store.switches.most_per_page);
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
    // One of the houses sends the header even where it has nothing to say.
    if links.is_empty() && store.house() == House::V2 { answer } else { answer.with_header("link", links.join(", ")) }
}
