//! Handling a request with all that can go wrong with it.

use std::time::Duration;

use serde_json::{Value, json};

use super::rules::{Mistakes, unknown_fields};
use super::spec::{BookFault, FaultSpec};
use super::store::Store;
use super::{Core, api};
use crate::server::{Answer, Reply, Request};

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>We're sorry, but something went wrong.</h1></body></html>";

/// A request whose reply is lost already and whose effect is still to come.
#[derive(Clone, Debug)]
pub(crate) struct LateWrite {
    request: Request,
    /// After how many further requests; none means when it is released.
    after: Option<u32>,
}

pub(crate) async fn answer(core: Core, request: Request) -> Reply {
    let (number, latency, fault) = {
        let number = core.log().starts(&request);
        let mut store = core.store();
        (number, store.options.latency_milliseconds, take(&mut store.faults, &request))
    };
    note(&core, number, &request, fault.as_ref());
    let half = Duration::from_millis(latency / 2);
    wait(half).await;
    let reply = meet(&core, &request, fault).await;
    wait(half).await;
    core.log().finishes(number, &reply);
    count_down(&mut core.store());
    reply
}

async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn note(core: &Core, number: u64, request: &Request, fault: Option<&BookFault>) {
    let unknown = request.json().ok().map(|body| {
        let roots = body.as_object().into_iter().flatten();
        roots
            .filter_map(|(entity, fields)| fields.as_object().map(|fields| unknown_fields(entity, fields)))
            .flatten()
            .collect()
    });
    if let Some(entry) = core.log().entry(number) {
        entry.fault = fault.map(|fault| fault.name().to_owned());
        entry.unknown_fields = unknown.unwrap_or_default();
    }
}

fn take(faults: &mut Vec<FaultSpec>, request: &Request) -> Option<BookFault> {
    let fault = faults.iter_mut().find(|fault| {
        fault.times > 0
            && fault.method.as_ref().is_none_or(|method| *method == request.method)
            && request.path.starts_with(&fault.path)
    })?;
    if fault.skip > 0 {
        fault.skip = fault.skip.saturating_sub(1);
        return None;
    }
    fault.times = fault.times.saturating_sub(1);
    let taken = fault.fault.clone();
    faults.retain(|fault| fault.times > 0);
    Some(taken)
}

async fn meet(core: &Core, request: &Request, fault: Option<BookFault>) -> Reply {
    let obey = |apply: bool| apply.then(|| api::answer(&mut core.store(), request));
    match fault {
        None => api::answer(&mut core.store(), request).into(),
        Some(BookFault::RateLimited { retry_after }) => api::too_many(retry_after).into(),
        Some(BookFault::Answer { status, body, content_type, apply }) => {
            obey(apply);
            let body = body.unwrap_or_else(|| PAGE.to_owned());
            Answer::new(status, content_type.as_deref().unwrap_or("text/html; charset=utf-8"), body).into()
        }
        Some(BookFault::HangUp { apply }) => {
            obey(apply);
            Reply::HangUp
        }
        Some(BookFault::Slow { milliseconds, apply_first }) => {
            let early = obey(apply_first);
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            early.unwrap_or_else(|| api::answer(&mut core.store(), request)).into()
        }
        Some(BookFault::Late { after_requests, status }) => {
            // The request that is being handled counts down too, once it is over.
            let after = after_requests.map(|requests| requests.saturating_add(1));
            core.store().late.push(LateWrite { request: request.clone(), after });
            status.map_or(Reply::HangUp, |status| Answer::new(status, "text/html; charset=utf-8", PAGE).into())
        }
        Some(BookFault::WrongTotal { by }) => {
            let mut store = core.store();
            store.total_shift = by.decimal().unwrap_or_default();
            let answer = api::answer(&mut store, request);
            store.total_shift = rust_decimal::Decimal::ZERO;
            answer.into()
        }
        Some(BookFault::Unauthorized) => api::unauthorized().into(),
        Some(BookFault::Refused { field, message }) => api::refused(&Mistakes::of(&field, &message)).into(),
        Some(BookFault::ErrorInside) => {
            Answer::json(200, &json!({"errors": [{"field": "base", "message": "base could not be saved"}]})).into()
        }
        Some(BookFault::Garbage { apply }) => {
            obey(apply);
            Answer::new(201, "application/json", "{\"invoice\":{\"url\":\"http").into()
        }
        Some(BookFault::Huge { bytes, apply }) => {
            obey(apply);
            Answer::json(200, &json!({"padding": "x".repeat(bytes)})).into()
        }
    }
}

fn count_down(store: &mut Store) {
    let mut due = Vec::new();
    store.late.retain_mut(|write| {
        let Some(left) = write.after else { return true };
        let left = left.saturating_sub(1);
        write.after = Some(left);
        if left == 0 {
            due.push(write.request.clone());
        }
        left > 0
    });
    for request in due {
        api::answer(store, &request);
    }
}

/// Lets everything land that is still to come; returns the statuses nobody will see.
pub(crate) fn release(store: &mut Store) -> Vec<u16> {
    let late = std::mem::take(&mut store.late);
    late.into_iter().map(|write| api::answer(store, &write.request).status).collect()
}

/// Puts in what somebody else has put in; the URLs, in order.
pub(crate) fn seed(store: &mut Store, seed: &super::spec::Seed) -> anyhow::Result<Value> {
    use anyhow::{Context as _, anyhow};

    use super::rules;

    let fields = |value: &Value| value.as_object().cloned().context("a seed is an object of fields");
    let refuse = |mistakes: Mistakes| anyhow!("the book refuses: {}", mistakes.body());
    let url = |shown: &Value| shown.get("url").cloned().unwrap_or_default();
    let mut contacts = Vec::new();
    for value in &seed.contacts {
        let contact = rules::contact(store, &fields(value)?, None).map_err(refuse)?;
        contacts.push(url(&api::add_contact(store, contact)));
    }
    let mut invoices = Vec::new();
    for value in &seed.invoices {
        let mut fields = fields(value)?;
        if !fields.contains_key("contact") {
            let stranger = json!({"organisation_name": format!("Stranger {}", store.last_id)});
            let stranger = rules::contact(store, stranger.as_object().context("an object")?, None).map_err(refuse)?;
            fields.insert("contact".to_owned(), url(&api::add_contact(store, stranger)));
        }
        let today = crate::clock::date(store.now());
        fields.entry("dated_on").or_insert_with(|| json!(today));
        fields.entry("payment_terms_in_days").or_insert_with(|| json!(30));
        let invoice = rules::invoice(store, &fields).map_err(refuse)?;
        invoices.push(url(&api::add_invoice(store, invoice)));
    }
    let mut price_list_items = Vec::new();
    for value in &seed.price_list_items {
        let mut item = rules::price_list_item(store, &fields(value)?, None).map_err(refuse)?;
        item.id = store.next_id();
        price_list_items.push(url(&store.show_plain("price_list_items", &item)));
        store.price_list_items.insert(item.id, item);
    }
    Ok(json!({"contacts": contacts, "invoices": invoices, "price_list_items": price_list_items}))
}
