//! The API below `/v3.1`.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::chart::{self, BANK_ACCOUNTS, LEDGER_ACCOUNTS};
use super::rules::{self, Mistakes};
use super::spec::{Edition, ForbiddenBody, ListDates, PlaceTypes, ThrottledBody};
use super::store::{Record, Remembered, Store, inverse, words};
use crate::fields::{Fields, object, text};
use crate::identity::Admission;
use crate::server::{Answer, Request};

const PAGE_SIZE: usize = 20;
const LARGEST_PAGE: usize = 200;
const DAY_SECONDS: i64 = 86_400;
const VOID_REASON_LIMIT: usize = 200;
/// Entities that may carry an idempotency id. Source: Sage Accounting guide, idempotency.
const IDEMPOTENT: [&str; 8] = [
    "contact",
    "product",
    "service",
    "stock_item",
    "stock_movement",
    "sales_invoice",
    "sales_credit_note",
    "contact_payment",
];

/// Obeys a request.
pub(crate) fn answer(store: &mut Store, request: &Request) -> Answer {
    let segments = request.segments();
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["v3.1", path @ ..] = names.as_slice() else { return Answer::new(404, "text/html", "<html>Not Found</html>") };
    let business = request.header("x-business").map(str::to_owned);
    let lead = || match store.desk.admission(request) {
        Admission::Held(holder) => holder.organisations.first().map(|organisation| organisation.id.clone()),
        Admission::Given | Admission::Expired(_) | Admission::Unknown => None,
    };
    let business = business
        .or(store.options.lead_business.clone())
        .or_else(lead)
        .unwrap_or_else(|| store.options.business.clone());
    let answer = door(store, request, path, &business).unwrap_or_else(|| handle(store, request, path));
    let request_id = store.next_id();
    answer.with_header("x-business", business).with_header("x-request-id", request_id)
}

fn error(status: u16, code: &str, message: &str, source: &str) -> Answer {
    let error = json!({"$severity": "error", "$dataCode": code, "$message": message, "$source": source});
    Answer::json(status, &[error])
}

pub(crate) fn unauthorized(store: &Store) -> Answer {
    let message = if store.subscribed { "The access token is not valid" } else { "No active subscription. (MSE)" };
    error(401, "AuthorizationFailure", message, "")
}

pub(crate) fn not_found() -> Answer {
    error(404, "RecordNotFound", "Record not found", "")
}

/// 403, in whichever shape.
fn forbidden(store: &Store, code: &str, message: &str) -> Answer {
    match store.switches.forbidden_body {
        ForbiddenBody::List => error(403, code, message, ""),
        ForbiddenBody::Object => {
            Answer::json(403, &json!({"$severity": "error", "$dataCode": code, "$message": message, "$source": ""}))
        }
        ForbiddenBody::Text => Answer::new(403, "text/plain", message.to_owned()),
        ForbiddenBody::Empty => Answer::new(403, "text/plain", ""),
    }
}

pub(crate) fn too_many(store: &Store, retry_after: Option<u64>) -> Answer {
    const SENTENCE: &str = "Rate limit exceeded";
    let answer = match store.switches.throttled_body {
        ThrottledBody::Text => Answer::new(429, "text/plain", SENTENCE),
        ThrottledBody::List => error(429, "RateLimitExceeded", SENTENCE, ""),
        ThrottledBody::Page => {
            Answer::new(429, "text/html; charset=utf-8", "<html><body><h1>Too Many Requests</h1></body></html>")
        }
        ThrottledBody::Empty => Answer::new(429, "text/plain", ""),
    };
    match retry_after {
        Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
        None => answer,
    }
}

pub(crate) fn refused(mistakes: &Mistakes) -> Answer {
    Answer::json(422, &mistakes.body())
}

/// What is asked of every request: a known token, a subscription, a business of the user, no more than so many.
fn door(store: &mut Store, request: &Request, path: &[&str], business: &str) -> Option<Answer> {
    let holder = match store.desk.admission(request) {
        Admission::Given if store.subscribed => None,
        Admission::Held(holder) if store.subscribed => Some(holder),
        Admission::Given | Admission::Held(_) | Admission::Expired(_) | Admission::Unknown => {
            return Some(unauthorized(store));
        }
    };
    if request.method != "GET" && holder.as_ref().is_some_and(|holder| !holder.may("full_access", false)) {
        return Some(forbidden(store, "AuthorizationFailure", "The access token may only read"));
    }
    let now = store.now();
    let (minute, day) = (now.div_euclid(60), now.div_euclid(DAY_SECONDS));
    if store.this_minute.0 != minute {
        store.this_minute = (minute, 0);
    }
    if store.this_day.0 != day {
        store.this_day = (day, 0);
    }
    store.this_minute.1 = store.this_minute.1.saturating_add(1);
    store.this_day.1 = store.this_day.1.saturating_add(1);
    for (limit, taken, length) in [
        (store.options.requests_per_day, store.this_day.1, DAY_SECONDS),
        (store.options.requests_per_minute, store.this_minute.1, 60),
    ] {
        if limit.is_some_and(|limit| taken > limit) {
            let until = u64::try_from(length.saturating_sub(now.rem_euclid(length))).ok();
            return Some(too_many(store, until.filter(|_| store.switches.retry_after)));
        }
    }
    let reached = match &holder {
        Some(holder) => holder.organisation(business).is_some(),
        None => [store.options.business.as_str(), super::SageOptions::OTHER_BUSINESS].contains(&business),
    };
    if path == ["businesses"] || (reached && business == store.options.business) {
        return None;
    }
    // The other business is one that holds nothing.
    Some(match (request.method.as_str(), path) {
        _ if !reached => forbidden(store, "AuthorizationFailure", "You are not authorised to access this business"),
        ("GET", [_]) => list(request, &[], |_: &Value| Value::Null),
        ("GET", _) => not_found(),
        _ => refused(&Mistakes::of("contact_id", "Record not found")),
    })
}

fn handle(store: &mut Store, request: &Request, path: &[&str]) -> Answer {
    let outcome = match (request.method.as_str(), path) {
        ("GET", ["sales_invoices", id]) if request.parameter("mark_as_sent").as_deref() == Some("true") => {
            mark_as_sent(store, id)
        }
        ("GET", path) => Ok(look(store, request, path)),
        ("POST", [collection]) => create(store, request, collection),
        ("POST", [collection, id, "release"]) => release(store, collection, id),
        ("PUT", [collection, id]) => change(store, request, collection, id),
        ("DELETE", [collection, id]) => remove(store, request, collection, id),
        _ => Err(error(405, "MethodNotAllowed", "Method not allowed", "")),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

fn look(store: &Store, request: &Request, path: &[&str]) -> Answer {
    match path {
        ["businesses"] => {
            let business = |id: &str, name: &str| json!({"id": id, "displayed_as": name, "$path": format!("/businesses/{id}"), "name": name});
            let all: Vec<Value> = match store.desk.admission(request) {
                Admission::Held(holder) => holder.organisations.iter().map(|it| business(&it.id, &it.name)).collect(),
                Admission::Given | Admission::Expired(_) | Admission::Unknown => vec![
                    business(&store.options.business, &store.options.name),
                    business(super::SageOptions::OTHER_BUSINESS, super::SageOptions::OTHER_NAME),
                ],
            };
            list(request, &all, Value::clone)
        }
        ["financial_settings"] => Answer::json(200, &financial_settings(store)),
        ["exchange_rates" | "live_exchange_rates"] => {
            list(request, &exchange_rates(store), |rate: &Value| with(rate, "retrieved_at", json!(iso_now(store))))
        }
        ["tax_determinations"] => tax_determinations(store, request),
        [collection] => match all(store, request, collection) {
            Ok(found) => list(request, &found, Value::clone),
            Err(answer) => answer,
        },
        [collection, id] => {
            let shown = match *collection {
                "sales_invoices" => store.document(false, id).map(|document| store.show_document(document)),
                "sales_credit_notes" => store.document(true, id).map(|document| store.show_document(document)),
                _ => all(store, request, collection).ok().and_then(|found| {
                    found.into_iter().find(|value| value.get("id").and_then(Value::as_str) == Some(id))
                }),
            };
            shown.map_or_else(not_found, |shown| Answer::json(200, &shown))
        }
        _ => not_found(),
    }
}

/// A look that changes something: the invoice counts as sent.
fn mark_as_sent(store: &mut Store, id: &str) -> Result<Answer, Answer> {
    let now = store.now();
    let mut invoices = store.documents.iter_mut().filter(|document| !document.is_credit);
    let invoice = invoices.find(|invoice| invoice.id == id).ok_or_else(not_found)?;
    invoice.sent = true;
    invoice.updated_at = now;
    let invoice = invoice.clone();
    Ok(Answer::json(200, &store.show_document(&invoice)))
}

fn iso_now(store: &Store) -> String {
    crate::clock::iso(store.now())
}

fn with(value: &Value, field: &str, more: Value) -> Value {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    fields.insert(field.to_owned(), more);
    Value::Object(fields)
}

fn financial_settings(store: &Store) -> Value {
    json!({
        "$path": "/financial_settings",
        "year_end_date": "2027-03-31",
        "year_end_lockdown_date": store.options.year_end_lockdown_date,
        "accounts_start_date": store.options.accounts_start_date,
        "accounting_type": "accrual",
        "base_currency": store.link("currencies", &store.options.currency),
        "multi_currency_enabled": store.options.multi_currency && store.options.edition != Edition::Start,
        "use_live_exchange_rates": store.options.live_exchange_rates,
        "tax_scheme": {"id": "GB_STANDARD", "displayed_as": "Standard", "$path": "/tax_schemes/GB_STANDARD"},
        "sales_tax_calculation": "invoice",
        "purchase_tax_calculation": "invoice",
        "postponed_accounting": false,
        "destination_vat": store.options.destination_vat,
        "updated_at": iso_now(store),
    })
}

fn exchange_rates(store: &Store) -> Vec<Value> {
    let own = &store.options.currency;
    let foreign = chart::OWN_RATES.iter().filter(|(code, _)| code != own);
    foreign
        .map(|(code, _)| {
            let rate = store.own_rate(code);
            json!({"displayed_as": format!("{code} {rate}"), "$path": format!("/exchange_rates/{code}"), "id": code,
                "rate": store.number(rate), "inverse_rate": store.number(inverse(rate)),
                "base_currency": store.link("currencies", own), "currency": store.link("currencies", code)})
        })
        .collect()
}

/// The rates that fit a contact.
fn tax_determinations(store: &Store, request: &Request) -> Answer {
    let contact = request.parameter("contact_id").unwrap_or_default();
    let Some(contact) = store.contact(&contact) else {
        return refused(&Mistakes::of("contact_id", "Record not found"));
    };
    let country = rules::country(store, &contact.fields);
    let abroad =
        request.parameter("include_destination_vat").as_deref() == Some("true") && store.options.destination_vat;
    let outside = country != "GB" && country != store.options.country && !chart::EU.contains(&country.as_str());
    let fits = |rate: &&chart::TaxRate| match &rate.destination {
        Some(of) => abroad && *of == country,
        None => !outside || rate.id.ends_with("_ZERO"),
    };
    let found: Vec<Value> = store.tax_rates.iter().filter(fits).map(|rate| store.link("tax_rates", &rate.id)).collect();
    list(request, &found, Value::clone)
}

/// The calendar date of a filter, however it may be written.
fn day_of(store: &Store, request: &Request, field: &str) -> Result<Option<String>, Answer> {
    let Some(told) = request.parameter(field).filter(|value| !value.is_empty()) else { return Ok(None) };
    let (day, time) = told.split_once('T').unwrap_or((told.as_str(), ""));
    let is_day = day.len() == 10 && day.bytes().all(|it| it == b'-' || it.is_ascii_digit());
    let is_moment = time.ends_with('Z') || time.contains('+');
    let fits = match store.switches.list_dates {
        ListDates::Either => time.is_empty() || is_moment,
        ListDates::Moments => is_moment,
        ListDates::Days => time.is_empty(),
    };
    if is_day && fits { Ok(Some(day.to_owned())) } else { Err(refused(&Mistakes::of(field, "is not valid"))) }
}

/// Everything of a collection that fits the request, shown in full.
fn all(store: &Store, request: &Request, collection: &str) -> Result<Vec<Value>, Answer> {
    let parameter = |name: &str| request.parameter(name).filter(|value| !value.is_empty());
    let chosen = |ids: &[&str], kind: &str| ids.iter().map(|id| plain(kind, id)).collect();
    let since = parameter("updated_or_created_since");
    let (from, to) = (day_of(store, request, "from_date")?, day_of(store, request, "to_date")?);
    let mut found: Vec<Value> = match collection {
        "contacts" | "products" | "services" | "stock_items" | "stock_movements" => {
            let of_kind = store.records.iter().filter(|record| record.collection == collection && !record.deleted);
            of_kind.filter(|record| fits(store, record, request)).map(|record| store.show_record(record)).collect()
        }
        "sales_invoices" | "sales_credit_notes" => {
            let is_credit = collection == "sales_credit_notes";
            let search = parameter("search").map(|search| search.to_lowercase());
            let name = |id: &str| store.contact(id).map(|contact| text(&contact.fields, "name")).unwrap_or_default();
            store
                .documents
                .iter()
                .filter(|document| document.is_credit == is_credit)
                .filter(|document| parameter("contact_id").is_none_or(|contact| contact == document.contact))
                .filter(|document| parameter("status_id").is_none_or(|status| status == store.status(document)))
                .filter(|document| from.as_ref().is_none_or(|from| document.date >= *from))
                .filter(|document| to.as_ref().is_none_or(|to| document.date <= *to))
                .filter(|document| {
                    search.as_ref().is_none_or(|search| {
                        document.reference.to_lowercase().contains(search)
                            || name(&document.contact).to_lowercase().contains(search)
                    })
                })
                .map(|document| store.show_document(document))
                .collect()
        }
        "contact_payments" | "contact_allocations" => {
            let is_allocation = collection == "contact_allocations";
            store
                .movements
                .iter()
                .filter(|movement| movement.is_allocation == is_allocation && !movement.deleted)
                .filter(|movement| parameter("contact_id").is_none_or(|contact| contact == movement.contact))
                .filter(|movement| parameter("bank_account_id").is_none_or(|bank| bank == movement.bank))
                .filter(|movement| parameter("transaction_type_id").is_none_or(|kind| kind == movement.kind))
                .filter(|movement| from.as_ref().is_none_or(|from| movement.date >= *from))
                .filter(|movement| to.as_ref().is_none_or(|to| movement.date <= *to))
                .map(|movement| store.show_movement(movement))
                .collect()
        }
        "tax_rates" => {
            let abroad = parameter("include_destination_vat_rates").as_deref() == Some("true");
            let own = store.tax_rates.iter().filter(|rate| rate.destination.is_none() || abroad);
            own.map(|rate| {
                with(&store.link("tax_rates", &rate.id), "name", json!(rate.name))
                    .as_object()
                    .map(|fields| {
                        let mut fields = fields.clone();
                        let percentage = store.number(rate.percentage);
                        fields.insert(
                            "percentages".to_owned(),
                            json!([{"percentage": percentage, "from_date": "2011-01-04", "to_date": null}]),
                        );
                        fields.insert("percentage".to_owned(), percentage);
                        fields.insert("is_visible".to_owned(), json!(true));
                        Value::Object(fields)
                    })
                    .unwrap_or_default()
            })
            .collect()
        }
        "ledger_accounts" => {
            let only_sales = parameter("visible_in").as_deref() == Some("sales");
            let of_sales = LEDGER_ACCOUNTS.iter().filter(|(_, _, sales)| *sales || !only_sales);
            of_sales
                .map(|(nominal, name, sales)| {
                    let id = chart::ledger_id(*nominal);
                    json!({"id": id, "displayed_as": format!("{name} ({nominal})"),
                        "$path": format!("/ledger_accounts/{id}"), "nominal_code": nominal, "name": name,
                        "display_name": name, "visible_in_sales": sales, "included_in_chart": true,
                        "tax_rate": store.link("tax_rates", &format!("{}_STANDARD", store.options.country))})
                })
                .collect()
        }
        "bank_accounts" => BANK_ACCOUNTS
            .iter()
            .map(|(nominal, name, currency)| {
                let id = chart::bank_id(*nominal);
                json!({"id": id, "displayed_as": format!("{name} ({nominal})"),
                    "$path": format!("/bank_accounts/{id}"), "nominal_code": nominal, "is_active": true,
                    "currency": store.link("currencies", currency), "balance": store.number(store.balance(&id)),
                    "ledger_account": {"id": chart::ledger_id(*nominal), "displayed_as": format!("{name} ({nominal})")},
                    "bank_account_type": plain("bank_account_types", "CURRENT"),
                    "bank_account_details": {"account_name": name}})
            })
            .collect(),
        "currencies" => chart::CURRENCIES.iter().map(|(code, _)| store.link("currencies", code)).collect(),
        "payment_methods" => chosen(&chart::PAYMENT_METHODS, collection),
        "transaction_types" => {
            let mut types = chart::TRANSACTION_TYPES.to_vec();
            types.push(rules::allocation_type(store));
            chosen(&types, collection)
        }
        "contact_types" => chosen(&chart::CONTACT_TYPES, collection),
        "address_types" => places(store, &chart::ADDRESS_TYPES, collection),
        "contact_person_types" => places(store, &chart::PERSON_TYPES, collection),
        "product_sales_price_types" => named(&chart::PRICE_TYPES, collection),
        "service_rate_types" => named(&chart::RATE_TYPES, collection),
        "eu_goods_services_types" => chosen(&chart::GOODS_SERVICES, collection),
        "artefact_statuses" => chosen(&chart::STATUSES, collection),
        "countries" => {
            let mut countries = chart::EU.to_vec();
            countries.extend(["GB", "US", "CH", "NO", "JP", "AU", "CA"]);
            chosen(&countries, collection)
        }
        _ => return Err(not_found()),
    };
    if let Some(since) = since {
        found.retain(|value| value.get("updated_at").and_then(Value::as_str).is_none_or(|at| at >= since.as_str()));
    }
    if let Some(sort) = parameter("sort") {
        let (field, direction) = sort.split_once(':').unwrap_or((sort.as_str(), "asc"));
        found.sort_by_key(|value| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned());
        if direction == "desc" {
            found.reverse();
        }
    }
    Ok(found)
}

fn plain(kind: &str, id: &str) -> Value {
    json!({"id": id, "displayed_as": words(id), "$path": format!("/{kind}/{id}")})
}

/// What is known by digits and called by its name.
fn named(names: &[&str], kind: &str) -> Vec<Value> {
    let shown = |name: &&str| {
        let id = chart::listed_id(names, name);
        json!({"id": id, "displayed_as": words(name), "$path": format!("/{kind}/{id}"), "active": true})
    };
    names.iter().map(shown).collect()
}

/// Types of addresses or persons.
fn places(store: &Store, names: &[&str], kind: &str) -> Vec<Value> {
    match store.switches.place_types {
        PlaceTypes::Optional | PlaceTypes::Words => names.iter().map(|name| plain(kind, name)).collect(),
        PlaceTypes::Digits => named(names, kind),
    }
}

fn fits(store: &Store, record: &Record, request: &Request) -> bool {
    let parameter = |name: &str| request.parameter(name).filter(|value| !value.is_empty());
    let has = |fields: &[&str], search: &str| {
        fields.iter().any(|field| text(&record.fields, field).to_lowercase().contains(&search.to_lowercase()))
    };
    let email = object(&record.fields, "main_contact_person").map(|person| text(person, "email")).unwrap_or_default();
    let flag = |name: &str, usually: bool| record.fields.get(name).and_then(Value::as_bool).unwrap_or(usually);
    let searched: &[&str] = match record.collection {
        "contacts" => &["name", "reference"],
        "stock_movements" => &["details", "reference"],
        _ => &["item_code", "description"],
    };
    let of_type = |wanted: &str| {
        record.fields.get("contact_type_ids").and_then(Value::as_array).is_some_and(|ids| ids.contains(&json!(wanted)))
    };
    parameter("search").is_none_or(|search| has(searched, &search))
        && parameter("email").is_none_or(|wanted| email.eq_ignore_ascii_case(&wanted))
        && parameter("contact_type_id").is_none_or(|wanted| of_type(&wanted))
        && parameter("stock_item_id").is_none_or(|wanted| text(&record.fields, "stock_item_id") == wanted)
        && parameter("active").is_none_or(|wanted| flag("active", true).to_string() == wanted)
        && (record.collection != "contacts"
            || flag("is_active", true)
            || (store.switches.lists_show_inactive && parameter("filter_inactive_contacts").as_deref() != Some("true")))
        && (parameter("exclude_system").as_deref() != Some("true") || !flag("system", false))
}

/// A page of a list: summaries unless more is asked for.
fn list<T>(request: &Request, found: &[T], show: impl Fn(&T) -> Value) -> Answer {
    let number = |name: &str, otherwise: usize| {
        request.parameter(name).and_then(|text| text.parse().ok()).filter(|number| *number > 0).unwrap_or(otherwise)
    };
    let size = number("items_per_page", PAGE_SIZE).min(LARGEST_PAGE);
    let page = number("page", 1);
    let attributes = request.parameter("attributes").unwrap_or_default();
    let items: Vec<Value> = found
        .iter()
        .skip(page.saturating_sub(1).saturating_mul(size))
        .take(size)
        .map(|item| {
            let shown = show(item);
            if attributes == "all" { shown } else { summary(&shown, &attributes) }
        })
        .collect();
    let kept: String = request
        .query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("page=") && !pair.starts_with("items_per_page="))
        .map(|pair| format!("&{pair}"))
        .collect();
    let path = request.path.strip_prefix("/v3.1").unwrap_or_default();
    let link = |page: usize| json!(format!("{path}?page={page}&items_per_page={size}{kept}"));
    let is_last = page.saturating_mul(size) >= found.len();
    let body = json!({
        "$total": found.len(),
        "$page": page,
        "$next": if is_last { Value::Null } else { link(page.saturating_add(1)) },
        "$back": if page == 1 { Value::Null } else { link(page.saturating_sub(1)) },
        "$itemsPerPage": size,
        "$items": items,
    });
    Answer::json(200, &body)
}

fn summary(shown: &Value, attributes: &str) -> Value {
    let asked: Vec<&str> = attributes.split(',').map(str::trim).collect();
    let kept = |field: &str| ["id", "displayed_as", "$path"].contains(&field) || asked.contains(&field);
    let fields = shown.as_object().into_iter().flatten().filter(|(field, _)| kept(field));
    Value::Object(fields.map(|(field, value)| (field.clone(), value.clone())).collect::<Map<_, _>>())
}

/// The entity in a collection's bodies.
fn entity_of(collection: &str) -> Option<&'static str> {
    Some(match collection {
        "contacts" => "contact",
        "products" => "product",
        "services" => "service",
        "stock_items" => "stock_item",
        "stock_movements" => "stock_movement",
        "sales_invoices" => "sales_invoice",
        "sales_credit_notes" => "sales_credit_note",
        "contact_payments" => "contact_payment",
        "contact_allocations" => "contact_allocation",
        _ => return None,
    })
}

/// The fields below the entity's name.
fn root(request: &Request, entity: &str) -> Result<Fields, Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(error(415, "UnsupportedMediaType", "Content-Type must be application/json", ""));
    }
    let mut body = request.json().map_err(|_| error(400, "InvalidJson", "The request body is not valid JSON", ""))?;
    match body.get_mut(entity).map(Value::take) {
        Some(Value::Object(fields)) => Ok(fields),
        _ => Err(refused(&Mistakes::of(entity, "This field is required"))),
    }
}

/// What the edition doesn't have.
fn not_in_edition(store: &Store, collection: &str) -> Option<Answer> {
    let lacks = match store.options.edition {
        Edition::Start => {
            ["contact_allocations", "products", "services", "stock_items", "stock_movements"].contains(&collection)
        }
        Edition::Standard => collection == "sales_credit_notes" && !store.switches.credit_notes_on_standard,
        Edition::Plus => false,
    };
    let message = "This feature is not available for your subscription";
    lacks.then(|| {
        if store.switches.start_forbids {
            forbidden(store, "AuthorizationFailure", message)
        } else {
            refused(&Mistakes::of("base", message))
        }
    })
}

fn create(store: &mut Store, request: &Request, collection: &str) -> Result<Answer, Answer> {
    let entity = entity_of(collection).ok_or_else(not_found)?;
    if let Some(refusal) = not_in_edition(store, collection) {
        return Err(refusal);
    }
    if collection == "contact_allocations" && !store.options.full_access {
        return Err(forbidden(store, "MultiUserAccessDenied", "You do not have access to this feature"));
    }
    let fields = root(request, entity)?;
    let key = text(&fields, "idempotency_id");
    let counts = !key.is_empty() && (IDEMPOTENT.contains(&entity) || entity == "contact_allocation");
    if counts && !rules::is_idempotency_id(&key, store.switches.idempotency_ids_random) {
        return Err(refused(&Mistakes::of("idempotency_id", "is not valid")));
    }
    let life = i64::from(store.switches.idempotency_days).saturating_mul(DAY_SECONDS);
    let now = store.now();
    store.remembered.retain(|_, known| now.saturating_sub(known.at) < life);
    let key = format!("{entity} {key}");
    if let Some(known) = store.remembered.get(&key).filter(|_| counts) {
        return Ok(Answer::json(known.status, &known.body));
    }
    let (status, body) = match add(store, collection, &fields) {
        Ok(shown) => (201, shown),
        Err(mistakes) => (422, mistakes.body()),
    };
    let answer = Answer::json(status, &body);
    if counts && (status == 201 || store.switches.refusals_remembered) {
        store.remembered.insert(key, Remembered { at: now, status, body });
    }
    if status == 201 { Ok(answer) } else { Err(answer) }
}

/// Takes in a new entity; returns it as it is shown.
pub(crate) fn add(store: &mut Store, collection: &str, fields: &Fields) -> Result<Value, Mistakes> {
    let (collection, kept) = match collection {
        "sales_invoices" | "sales_credit_notes" => {
            let is_credit = collection == "sales_credit_notes";
            let document = rules::document(store, fields, is_credit, None)?;
            let shown = store.show_document(&document);
            store.documents.push(document);
            return Ok(shown);
        }
        "contact_payments" | "contact_allocations" => {
            let movement = if collection == "contact_payments" {
                rules::payment(store, fields)?
            } else {
                rules::allocation(store, fields)?
            };
            let shown = store.show_movement(&movement);
            store.movements.push(movement);
            return Ok(shown);
        }
        "contacts" => ("contacts", rules::contact(store, fields, None)?),
        "products" => ("products", rules::product(store, "products", fields, None)?),
        "services" => ("services", rules::product(store, "services", fields, None)?),
        "stock_items" => ("stock_items", rules::product(store, "stock_items", fields, None)?),
        _ => ("stock_movements", rules::stock_movement(store, fields)?),
    };
    let (id, now) = (store.next_id(), store.now());
    let record = Record { id, collection, fields: kept, created_at: now, updated_at: now, deleted: false };
    let shown = store.show_record(&record);
    store.records.push(record);
    Ok(shown)
}

fn release(store: &mut Store, collection: &str, id: &str) -> Result<Answer, Answer> {
    let is_credit = match collection {
        "sales_invoices" => false,
        "sales_credit_notes" => true,
        _ => return Err(not_found()),
    };
    let now = store.now();
    let found = store.documents.iter_mut().find(|document| document.is_credit == is_credit && document.id == id);
    let document = found.ok_or_else(not_found)?;
    if !document.is_draft {
        return Err(refused(&Mistakes::of("status_id", "only a draft can be released")));
    }
    document.is_draft = false;
    document.updated_at = now;
    let document = document.clone();
    Ok(Answer::json(201, &store.show_document(&document)))
}

fn change(store: &mut Store, request: &Request, collection: &str, id: &str) -> Result<Answer, Answer> {
    let entity = entity_of(collection).ok_or_else(not_found)?;
    let refuse = |mistakes: Mistakes| refused(&mistakes);
    if let Some(is_credit) = match collection {
        "sales_invoices" => Some(false),
        "sales_credit_notes" => Some(true),
        _ => None,
    } {
        let known = store.document(is_credit, id).cloned().ok_or_else(not_found)?;
        let fields = root(request, entity)?;
        if !store.settled(id).is_zero() || known.void_reason.is_some() {
            return Err(refused(&Mistakes::of("base", "This document cannot be edited")));
        }
        let document = rules::document(store, &fields, is_credit, Some(&known)).map_err(refuse)?;
        let shown = store.show_document(&document);
        store.documents.retain(|other| other.id != document.id);
        store.documents.push(document);
        return Ok(Answer::json(200, &shown));
    }
    let known = store.record(collection, id).cloned().ok_or_else(not_found)?;
    if let Some(refusal) = not_in_edition(store, collection) {
        return Err(refusal);
    }
    let fields = root(request, entity)?;
    let kept = match known.collection {
        "contacts" => rules::contact(store, &fields, Some(&known)),
        "products" | "services" | "stock_items" => rules::product(store, known.collection, &fields, Some(&known)),
        _ => return Err(error(405, "MethodNotAllowed", "Method not allowed", "")),
    }
    .map_err(refuse)?;
    let record = Record { fields: kept, updated_at: store.now(), ..known };
    let shown = store.show_record(&record);
    if let Some(place) = store.records.iter_mut().find(|other| other.id == record.id) {
        *place = record;
    }
    Ok(Answer::json(200, &shown))
}

fn remove(store: &mut Store, request: &Request, collection: &str, id: &str) -> Result<Answer, Answer> {
    let gone = || Answer::new(204, "application/json", "");
    match collection {
        "sales_invoices" | "sales_credit_notes" => {
            let is_credit = collection == "sales_credit_notes";
            let known = store.document(is_credit, id).ok_or_else(not_found)?;
            let (is_draft, settled) = (known.is_draft, store.settled(id));
            if is_draft {
                store.documents.retain(|document| document.id != id);
                return Ok(gone());
            }
            let reason = request.parameter("void_reason").unwrap_or_default();
            if reason.is_empty() || crate::fields::longer(&reason, VOID_REASON_LIMIT) {
                return Err(refused(&Mistakes::of("void_reason", "This field is required")));
            }
            if settled > Decimal::ZERO {
                return Err(refused(&Mistakes::of("base", "A document with payments or allocations cannot be voided")));
            }
            let document = store.documents.iter_mut().find(|document| document.id == id).ok_or_else(not_found)?;
            document.void_reason = Some(reason);
            let document = document.clone();
            Ok(Answer::json(200, &store.show_document(&document)))
        }
        "contact_payments" | "contact_allocations" => {
            let is_allocation = collection == "contact_allocations";
            let mut alive = store.movements.iter_mut().filter(|movement| movement.is_allocation == is_allocation);
            let movement = alive.find(|movement| movement.id == id && !movement.deleted).ok_or_else(not_found)?;
            movement.deleted = true;
            Ok(gone())
        }
        _ => {
            let mut alive = store.records.iter_mut().filter(|record| record.collection == collection);
            let record = alive.find(|record| record.id == id && !record.deleted).ok_or_else(not_found)?;
            record.deleted = true;
            Ok(gone())
        }
    }
}
