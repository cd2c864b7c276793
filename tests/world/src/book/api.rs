//! The API below `/v2/`, as long as nothing goes wrong.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::lists;
use super::rules::{self, Mistakes, Refusal};
use super::spec::{ForbiddenShape, House, REQUESTS_PER_MINUTE, ThrottledShape, Verdict};
use super::store::{
    BankAccount, BankTransaction, Contact, Document, Explanation, Kind, Reconciliation, Stage, Store, decimal,
};
use crate::identity::Admission;
use crate::server::{Answer, Request};

/// Seconds of the window that the real one's limit counts, and what it asks for afterwards.
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
/// Requests a minute for those who ask to be limited (`FreeAgent` API docs, introduction).
const TEST_REQUESTS_PER_MINUTE: u32 = 5;
/// What the user may at least do to see people's addresses.
const SEES_ADDRESSES: u8 = 3;

/// Obeys a request, of whoever bears its token.
pub(crate) fn answer(store: &mut Store, request: &Request) -> Answer {
    let Admission::Held(holder) = store.desk.admission(request) else { return obeyed(store, request) };
    let level = store.permission_level;
    store.permission_level = level.min(holder.permission_level);
    store.acting = Some(holder);
    let answer = obeyed(store, request);
    store.acting = None;
    store.permission_level = level;
    answer
}

fn obeyed(store: &mut Store, request: &Request) -> Answer {
    let segments = request.segments();
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["v2", path @ ..] = names.as_slice() else { return not_found() };
    if let Some(refusal) = door(store, request, path) {
        return refusal;
    }
    if store.is_elsewhere() {
        return elsewhere(store, request, path);
    }
    let outcome = match (request.method.as_str(), path) {
        ("GET", path) => look(store, request, path),
        ("POST", [collection]) => create(store, request, collection),
        ("PUT", ["account_locks"]) => lock(store, request),
        ("PUT", [collection, id, "transitions", transition]) => passes_over(store, collection, id, transition),
        ("PUT", [collection, id]) => change(store, request, collection, id),
        ("DELETE", ["account_locks"]) => {
            store.locked_until = None;
            Ok(Answer::json(200, &json!({})))
        }
        ("DELETE", [collection, id]) => delete(store, collection, id),
        _ => Ok(not_found()),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

/// What a company that holds nothing says.
fn elsewhere(store: &Store, request: &Request, path: &[&str]) -> Answer {
    match (request.method.as_str(), path) {
        ("GET", ["company" | "categories" | "account_locks"] | ["users", "me"]) => {
            look(store, request, path).unwrap_or_else(|refusal| refusal)
        }
        ("GET", [collection]) => Answer::json(200, &json!({ *collection: [] })),
        ("GET", _) => not_found(),
        _ => refused(store.house(), &Mistakes::of("base", "is another company's")),
    }
}

pub(crate) fn unauthorized() -> Answer {
    Answer::json(401, &json!({"errors": {"error": {"message": "Access token not recognised"}}}))
        .with_header("www-authenticate", "Bearer realm=\"v2\"")
}

pub(crate) fn not_found() -> Answer {
    Answer::json(404, &json!({"errors": {"error": {"message": "Resource not found"}}}))
}

fn too_many(shape: ThrottledShape, limit: u32, window: i64, retry_after: Option<u64>) -> Answer {
    let text = format!("You must not exceed {limit} requests per {window} seconds");
    let answer = match shape {
        ThrottledShape::Text => Answer::new(429, "text/plain", text),
        ThrottledShape::Object => Answer::json(429, &json!({"errors": {"error": {"message": text}}})),
        ThrottledShape::Empty => Answer::new(429, "text/plain", ""),
    };
    match retry_after {
        Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
        None => answer,
    }
}

/// The answer to a request too many, whatever the limit is set to.
pub(crate) fn too_many_as_usual(store: &Store, retry_after: Option<u64>) -> Answer {
    too_many(store.switches.throttled_shape, REQUESTS_PER_MINUTE, MINUTE, retry_after)
}

pub(crate) fn refused(house: House, mistakes: &Mistakes) -> Answer {
    Answer::json(422, &mistakes.body(house))
}

pub(crate) fn forbidden(store: &Store, message: &str) -> Answer {
    match store.switches.forbidden_shape {
        ForbiddenShape::Object => Answer::json(403, &json!({"errors": {"error": {"message": message}}})),
        ForbiddenShape::List => Answer::json(403, &json!({"errors": [{"message": message}]})),
        ForbiddenShape::Text => Answer::new(403, "text/plain", message.to_owned()),
    }
}

fn refusal(store: &Store, refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Mistakes(mistakes) => refused(store.house(), mistakes),
        Refusal::Locked(message) => forbidden(store, message),
    }
}

/// 400 with one sentence.
fn bad_request(message: &str) -> Answer {
    Answer::json(400, &json!({"errors": [{"message": message}]}))
}

/// What is asked of every request: a known token, a user agent, a user who may, no more than so many in so long.
fn door(store: &mut Store, request: &Request, path: &[&str]) -> Option<Answer> {
    if !matches!(store.desk.admission(request), Admission::Given | Admission::Held(_)) {
        return Some(unauthorized());
    }
    if request.header("user-agent").unwrap_or_default().is_empty() {
        return Some(bad_request("User-Agent header is required"));
    }
    let now = store.now();
    let asks_to_be_limited = request.header("x-ratelimit-test") == Some("true");
    let a_minute = if asks_to_be_limited { Some(TEST_REQUESTS_PER_MINUTE) } else { store.options.requests_per_minute };
    let an_hour = store.options.requests_per_hour;
    let shape = store.switches.throttled_shape;
    for (window, limit, counter) in [(MINUTE, a_minute, &mut store.this_minute), (HOUR, an_hour, &mut store.this_hour)]
    {
        // The windows are those of the clock on the wall.
        let current = now.div_euclid(window);
        if counter.0 != current {
            *counter = (current, 0);
        }
        counter.1 = counter.1.saturating_add(1);
        if let Some(limit) = limit.filter(|limit| counter.1 > *limit) {
            return Some(too_many(shape, limit, window, Some(60)));
        }
    }
    let level = level_for(&request.method, path);
    (store.permission_level < level).then(|| forbidden(store, "You do not have permission to access this resource"))
}

/// What a user must at least be allowed (`FreeAgent` API docs, introduction and each page).
fn level_for(method: &str, path: &[&str]) -> u8 {
    match path {
        ["contacts", ..] if method != "GET" => 3,
        ["categories", ..] => 2,
        [
            "invoices"
            | "credit_notes"
            | "credit_note_reconciliations"
            | "price_list_items"
            | "stock_items"
            | "ec_moss",
            ..,
        ] => 4,
        ["bank_accounts" | "bank_transactions" | "bank_transaction_explanations", ..] => 6,
        ["users"] => 7,
        _ => 1,
    }
}

fn look(store: &Store, request: &Request, path: &[&str]) -> Result<Answer, Answer> {
    if let [collection] = path
        && let Some(listed) = lists::list(store, request, collection)
    {
        return listed;
    }
    let found = match path {
        ["company"] => Some(json!({"company": store.company()})),
        ["users", "me"] => Some(json!({"user": store.user()})),
        ["account_locks"] => Some(json!({"account_locks": {"locked_until": store.locked_until}})),
        ["ec_moss", "sales_tax_rates"] => {
            let country = request.parameter("country").unwrap_or_default();
            rules::union_rates(store, &country).map(|[standard, reduced]| {
                json!({"sales_tax_rates": [
                    {"percentage": standard, "band": "Standard"},
                    {"percentage": reduced, "band": "Reduced"},
                ]})
            })
        }
        ["categories"] => Some(store.show_categories()),
        ["categories", code] => store
            .categories
            .iter()
            .find(|category| category.code == *code)
            .map(|category| store.show_with_group(category)),
        [collection, id] => id.parse().ok().and_then(|id| one(store, collection, id)),
        _ => None,
    };
    found.map(|value| Answer::json(200, &value)).ok_or_else(not_found)
}

/// One thing below its root element.
fn one(store: &Store, collection: &str, id: u64) -> Option<Value> {
    if let Some(kind) = Kind::of_collection(collection) {
        let document = store.documents_of(kind).get(&id)?;
        return Some(json!({ kind.entity(): store.show_document(document, true) }));
    }
    match collection {
        "contacts" => {
            store.contacts.get(&id).map(|contact| json!({"contact": seen(store, store.show_contact(contact))}))
        }
        "credit_note_reconciliations" => {
            let found = store.reconciliations.get(&id);
            found.map(|it| json!({"credit_note_reconciliation": store.show_reconciliation(it)}))
        }
        "price_list_items" => {
            store.price_list_items.get(&id).map(|item| json!({"price_list_item": store.show_price(item)}))
        }
        "bank_accounts" => {
            store.bank_accounts.get(&id).map(|account| json!({"bank_account": store.show_account(account)}))
        }
        "bank_transactions" => {
            store.bank_transactions.get(&id).map(|it| json!({"bank_transaction": store.show_transaction(it)}))
        }
        "bank_transaction_explanations" => {
            store.explanations.get(&id).map(|it| json!({"bank_transaction_explanation": store.show_explanation(it)}))
        }
        _ => None,
    }
}

/// A contact as the user may see it: addresses are not for everybody.
pub(crate) fn seen(store: &Store, mut contact: Value) -> Value {
    if store.permission_level < SEES_ADDRESSES
        && let Some(fields) = contact.as_object_mut()
    {
        let personal = ["email", "billing_email", "phone_number", "mobile", "address1", "address2", "address3", "town"];
        fields.retain(|field, _| {
            !personal.contains(&field.as_str()) && !["region", "postcode"].contains(&field.as_str())
        });
    }
    contact
}

/// The fields below the root element.
fn root(store: &Store, request: &Request, name: &str) -> Result<Map<String, Value>, Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Answer::json(415, &json!({"errors": [{"message": "Content-Type must be application/json"}]})));
    }
    let mut body = request.json().map_err(|_| bad_request("Invalid JSON"))?;
    match (body.get_mut(name).map(Value::take), body) {
        (Some(Value::Object(fields)), _) => Ok(fields),
        (None, Value::Object(fields)) if store.switches.bodies_without_root == Verdict::Accepted => Ok(fields),
        _ => {
            let message = format!("{name} is missing");
            Err(match store.house() {
                House::V2 => Answer::json(400, &json!({"errors": [{"field": name, "message": message}]})),
                House::Freeagent => bad_request(&message),
            })
        }
    }
}

fn created(name: &str, shown: &Value) -> Answer {
    let location = shown.get("url").and_then(Value::as_str).unwrap_or_default();
    Answer::json(201, &json!({ name: shown })).with_header("location", location)
}

fn create(store: &mut Store, request: &Request, collection: &str) -> Result<Answer, Answer> {
    if let Some(kind) = Kind::of_collection(collection) {
        let fields = root(store, request, kind.entity())?;
        let document = rules::document(store, kind, &fields).map_err(|it| refusal(store, &it))?;
        return Ok(created(kind.entity(), &add_document(store, document)));
    }
    match collection {
        "contacts" => {
            let fields = root(store, request, "contact")?;
            let contact = rules::contact(store, &fields, None).map_err(|it| refused(store.house(), &it))?;
            Ok(created("contact", &add_contact(store, contact)))
        }
        "credit_note_reconciliations" => {
            let fields = root(store, request, "credit_note_reconciliation")?;
            let reconciliation = rules::reconciliation(store, &fields).map_err(|it| refusal(store, &it))?;
            Ok(created("credit_note_reconciliation", &add_reconciliation(store, reconciliation)))
        }
        "price_list_items" => {
            let fields = root(store, request, "price_list_item")?;
            let item = rules::price_list_item(store, &fields, None).map_err(|it| refused(store.house(), &it))?;
            Ok(created("price_list_item", &add_price(store, item)))
        }
        "bank_accounts" => {
            let fields = root(store, request, "bank_account")?;
            let account = rules::bank_account(store, &fields).map_err(|it| refused(store.house(), &it))?;
            Ok(created("bank_account", &add_account(store, account)))
        }
        "bank_transaction_explanations" => {
            let fields = root(store, request, "bank_transaction_explanation")?;
            let explanation = rules::explanation(store, &fields).map_err(|it| refusal(store, &it))?;
            let shown = add_explanation(store, explanation);
            // This one's address is relative.
            let location = shown.get("url").and_then(Value::as_str).unwrap_or_default();
            let location = location.strip_prefix(&store.base_url).unwrap_or(location).to_owned();
            Ok(Answer::json(201, &json!({"bank_transaction_explanation": shown})).with_header("location", location))
        }
        "categories" => {
            let fields = root(store, request, "category")?;
            let category = rules::category(store, &fields).map_err(|it| refused(store.house(), &it))?;
            let shown = store.show_with_group(&category);
            let location = store.url("categories", &category.code);
            store.categories.push(category);
            Ok(Answer::json(201, &shown).with_header("location", location))
        }
        _ => Ok(not_found()),
    }
}

pub(crate) fn add_contact(store: &mut Store, mut contact: Contact) -> Value {
    contact.id = store.next_id();
    let shown = store.show_contact(&contact);
    store.contacts.insert(contact.id, contact);
    shown
}

pub(crate) fn add_document(store: &mut Store, mut document: Document) -> Value {
    document.id = store.next_id();
    let shown = store.show_document(&document, true);
    store.keeps(document);
    shown
}

pub(crate) fn add_price(store: &mut Store, mut item: super::store::Plain) -> Value {
    item.id = store.next_id();
    let shown = store.show_price(&item);
    store.price_list_items.insert(item.id, item);
    shown
}

pub(crate) fn add_account(store: &mut Store, mut account: BankAccount) -> Value {
    account.id = store.bank_accounts.keys().next_back().map_or(1, |last| last.saturating_add(1));
    let shown = store.show_account(&account);
    store.bank_accounts.insert(account.id, account);
    shown
}

pub(crate) fn add_transaction(store: &mut Store, mut transaction: BankTransaction) -> u64 {
    transaction.id = store.next_id();
    let id = transaction.id;
    store.bank_transactions.insert(id, transaction);
    id
}

/// Takes in an explanation: where it explains nothing that is there, it makes a transaction; what it pays is paid.
pub(crate) fn add_explanation(store: &mut Store, mut explanation: Explanation) -> Value {
    if explanation.transaction == 0 {
        let description = explanation.fields.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        explanation.transaction = add_transaction(
            store,
            BankTransaction {
                id: 0,
                account: explanation.account,
                dated_on: explanation.dated_on.clone(),
                amount: explanation.gross,
                description,
                created_at: explanation.created_at,
            },
        );
    }
    settle(store, &explanation, false);
    explanation.id = store.next_id();
    let shown = store.show_explanation(&explanation);
    store.explanations.insert(explanation.id, explanation);
    shown
}

fn settle(store: &mut Store, explanation: &Explanation, undone: bool) {
    let Some((kind, number, amount)) = explanation.paid else { return };
    let now = store.now();
    if let Some(document) = store.documents_of_mut(kind).get_mut(&number) {
        document.paid += if undone { -amount } else { amount };
        document.updated_at = now;
    }
}

pub(crate) fn add_reconciliation(store: &mut Store, mut reconciliation: Reconciliation) -> Value {
    set_off(store, &reconciliation, reconciliation.gross);
    reconciliation.id = store.next_id();
    let shown = store.show_reconciliation(&reconciliation);
    store.reconciliations.insert(reconciliation.id, reconciliation);
    shown
}

fn set_off(store: &mut Store, reconciliation: &Reconciliation, gross: Decimal) {
    let now = store.now();
    for (kind, number) in [(Kind::Invoice, reconciliation.invoice), (Kind::CreditNote, reconciliation.credit_note)] {
        if let Some(document) = store.documents_of_mut(kind).get_mut(&number) {
            document.reconciled += gross;
            document.updated_at = now;
        }
    }
}

fn change(store: &mut Store, request: &Request, collection: &str, id: &str) -> Result<Answer, Answer> {
    let id = id.parse().map_err(|_| not_found())?;
    if let Some(kind) = Kind::of_collection(collection) {
        let known = store.documents_of(kind).get(&id).ok_or_else(not_found)?.clone();
        let fields = root(store, request, kind.entity())?;
        let document = rules::changed(store, &known, &fields).map_err(|it| refusal(store, &it))?;
        let shown = store.show_document(&document, true);
        store.keeps(document);
        return Ok(Answer::json(200, &json!({ kind.entity(): shown })));
    }
    match collection {
        "contacts" => {
            let known = store.contacts.get(&id).ok_or_else(not_found)?;
            let fields = root(store, request, "contact")?;
            let contact = rules::contact(store, &fields, Some(known)).map_err(|it| refused(store.house(), &it))?;
            let shown = store.show_contact(&contact);
            store.contacts.insert(id, contact);
            Ok(Answer::json(200, &json!({"contact": shown})))
        }
        "price_list_items" => {
            store.price_list_items.get(&id).ok_or_else(not_found)?;
            let fields = root(store, request, "price_list_item")?;
            let item = rules::price_list_item(store, &fields, Some(id)).map_err(|it| refused(store.house(), &it))?;
            let shown = store.show_price(&item);
            store.price_list_items.insert(id, item);
            Ok(Answer::json(200, &json!({"price_list_item": shown})))
        }
        _ => Ok(not_found()),
    }
}

/// A document passes from one stage into another.
fn passes_over(store: &mut Store, collection: &str, id: &str, transition: &str) -> Result<Answer, Answer> {
    let kind = Kind::of_collection(collection).ok_or_else(not_found)?;
    let id = id.parse().map_err(|_| not_found())?;
    let today = store.today();
    let document = store.documents_of(kind).get(&id).ok_or_else(not_found)?;
    let untouched = document.paid.is_zero() && document.reconciled.is_zero();
    let target = match (transition, kind) {
        ("mark_as_sent", _) => Stage::Sent,
        ("mark_as_draft", _) => Stage::Draft,
        ("mark_as_scheduled", Kind::Invoice) => Stage::Scheduled,
        ("mark_as_cancelled", Kind::Invoice) => Stage::Cancelled,
        _ => return Err(not_found()),
    };
    let allowed = match (target, document.stage) {
        (target, stage) if target == stage => store.switches.repeated_transitions == Verdict::Accepted,
        (Stage::Sent, _) | (Stage::Scheduled, Stage::Draft) => true,
        (Stage::Draft, Stage::Sent | Stage::Scheduled) => untouched,
        (Stage::Cancelled, Stage::Sent) => document.status(&today) == "Overdue",
        _ => false,
    };
    if !allowed {
        let status = document.status(&today).to_lowercase();
        let mistake = Mistakes::of("status", &format!("cannot transition: {transition} from {status}"));
        return Err(refused(store.house(), &mistake));
    }
    if document.stage != target && store.is_locked(&document.dated_on) {
        return Err(refusal(store, &rules::locked(kind)));
    }
    let now = store.now();
    if let Some(document) = store.documents_of_mut(kind).get_mut(&id) {
        document.stage = target;
        document.updated_at = now;
    }
    if store.switches.transitions_answer_nothing {
        return Ok(Answer::new(200, "application/json", ""));
    }
    one(store, collection, id).map(|value| Answer::json(200, &value)).ok_or_else(not_found)
}

/// The bookkeeper closes a period.
fn lock(store: &mut Store, request: &Request) -> Result<Answer, Answer> {
    let fields = root(store, request, "account_locks")?;
    let until =
        fields.get("locked_until").and_then(Value::as_str).ok_or_else(|| bad_request("locked_until is missing"))?;
    store.locked_until = Some(until.to_owned());
    Ok(Answer::json(200, &json!({"account_locks": {"locked_until": until}})))
}

fn delete(store: &mut Store, collection: &str, id: &str) -> Result<Answer, Answer> {
    let id = id.parse().map_err(|_| not_found())?;
    let shown = one(store, collection, id).ok_or_else(not_found)?;
    let cannot = |store: &Store, why: &str| Err(refused(store.house(), &Mistakes::of("base", why)));
    match (collection, Kind::of_collection(collection)) {
        (_, Some(kind)) => {
            if store.documents_of(kind).get(&id).is_some_and(|document| document.stage != Stage::Draft) {
                return cannot(store, "cannot be deleted, as it has been sent");
            }
            store.drops(kind, id);
        }
        ("contacts", None) => {
            if store.sales().any(|document| document.contact == id) {
                return cannot(store, "cannot be deleted, as it has invoices");
            }
            store.contacts.remove(&id);
        }
        ("price_list_items", None) => {
            store.price_list_items.remove(&id);
        }
        ("bank_transaction_explanations", None) => {
            if let Some(explanation) = store.explanations.remove(&id) {
                settle(store, &explanation, true);
            }
        }
        ("credit_note_reconciliations", None) => {
            if let Some(reconciliation) = store.reconciliations.remove(&id) {
                set_off(store, &reconciliation, -reconciliation.gross);
            }
        }
        _ => return Err(not_found()),
    }
    Ok(Answer::json(200, &shown))
}

/// A figure of a shown document.
pub(crate) fn figure(document: &Value, field: &str) -> Option<Decimal> {
    document.get(field).and_then(decimal)
}
