//! What is shown in a preview is what is sent after going live, byte for byte, on the deployed stack.

use super::scene::{Operator, Scene};
use crate::preview::fills;
use anyhow::{Context, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use ledger_suite::stack::how_many;
use ledger_suite::world::{Other, Spoken, bound};
use ledger_world::desk::LogEntry;
use ledger_world::shop::{Address, ItemSpec, OrderSpec, Shop};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Orders that are previewed. Looking for their buyers and sending them costs about four of the 180 calls that this book may be
/// asked in a minute, each; `make previewed` takes 200.
const ORDERS: usize = 24;
/// The variable that says another number.
const ORDERS_ENV: &str = "LEDGER_PREVIEWED_ORDERS";
/// Buyers that they are of.
const BUYERS: usize = 8;
/// Each of so many is refunded.
const REFUNDED_OF: usize = 8;
/// What an order may cost in a step that does something with each.
const AN_ORDER: Duration = Duration::from_secs(4);
/// Requests to the stack on the way at once.
const AT_ONCE: usize = 4;

/// Orders of several buyers, with taxes, discounts and shipping, paid now or later; some are refunded.
fn order(number: usize) -> OrderSpec {
    let buyer = number % BUYERS;
    let address = Address::british(&format!("{buyer} High Street"), "London", "N1 7AA");
    let order = OrderSpec::for_guest(&format!("buyer-{buyer}@example.com"), "Sam", &format!("Lee {buyer}"), address)
        .item(ItemSpec::simple("MUG", "Mug, \"blue\" café", 1 + i64::try_from(number % 3).unwrap(), "15.99").taxed(20))
        .item(ItemSpec::simple("BOOK", "Book", 1, "8.95"));
    let order = if number.is_multiple_of(3) { order.percent_off(10) } else { order };
    let order = if number.is_multiple_of(4) { order.shipping_for("4.99", 20) } else { order };
    order.paid_by(if number.is_multiple_of(2) { "stripe_payments" } else { "checkmo" })
}

fn sells(shop: &Shop, orders: usize) -> anyhow::Result<Vec<i64>> {
    let mut invoices = Vec::new();
    for number in 0..orders {
        let invoice = shop.invoices(&shop.places(&order(number))?)?;
        if number % REFUNDED_OF == 0 {
            shop.refunds_invoice(invoice)?;
        }
        invoices.push(invoice);
    }
    Ok(invoices)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// What each run would send, without what another shows too: a buyer's contact is made once.
async fn shown(admin: &Operator, runs: &[Value]) -> anyhow::Result<Vec<Value>> {
    let asked = runs.iter().map(|run| format!("/v1/runs/{}/request", text(run, "run")));
    let answers = asked.map(|path| async move { admin.get(&path).await?.good() });
    let answers: Vec<Value> = futures::stream::iter(answers).buffered(AT_ONCE).try_collect().await?;
    let mut seen = BTreeSet::new();
    let mut requests = Vec::new();
    for answer in answers {
        ensure!(["ready", "partly"].contains(&text(&answer, "outcome")), "{answer}");
        for request in answer["requests"].as_array().into_iter().flatten() {
            ensure!(request["taken"] == false, "{request}");
            if seen.insert(request.to_string()) {
                requests.push(request.clone());
            }
        }
    }
    Ok(requests)
}

/// Whether a request that was shown is the one that was sent: method, path, query, headers and body. What it says of the ids
/// that were filled in.
fn is_sent(shown: &Value, sent: &LogEntry) -> anyhow::Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    ensure!(text(shown, "method") == sent.method, "{}", sent.method);
    fills(text(shown, "path"), &sent.path, &mut ids)?;
    let url = reqwest::Url::parse(&format!("http://book/?{}", sent.query))?;
    let pairs = |list: &Value| -> Vec<(String, String)> {
        let pairs = list.as_array().into_iter().flatten();
        pairs.map(|pair| (text(pair, "name").to_owned(), text(pair, "value").to_owned())).collect()
    };
    let (query, headers) = (pairs(&shown["query"]), pairs(&shown["headers"]));
    ensure!(query.len() == url.query_pairs().count(), "{query:?} {}", sent.query);
    for ((name, value), (their_name, their_value)) in query.iter().zip(url.query_pairs()) {
        ensure!(*name == their_name, "{name} {their_name}");
        fills(value, &their_value, &mut ids)?;
    }
    for (name, value) in &headers {
        let theirs = sent.headers.iter().find(|(their_name, _)| *their_name == name.to_lowercase());
        fills(value, &theirs.with_context(|| format!("no {name}"))?.1, &mut ids)?;
    }
    fills(text(shown, "body"), &sent.text, &mut ids)?;
    Ok(ids)
}

/// Every request that was shown was sent, once, and nothing else was. The ids that were filled in.
fn compares(mut shown: Vec<Value>, sent: &[LogEntry]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for entry in sent {
        ensure!(entry.status.is_some_and(|status| status < 300), "{entry:?}");
        let fits =
            |ids: &BTreeMap<String, String>| ids.iter().all(|(name, id)| known.get(name).is_none_or(|it| it == id));
        let found = shown
            .iter()
            .enumerate()
            .find_map(|(at, request)| is_sent(request, entry).ok().filter(fits).map(|ids| (at, ids)));
        let Some((at, ids)) = found else {
            let alike = shown.iter().filter(|it| text(it, "path") == entry.path).collect::<Vec<_>>();
            bail!("sent and not shown: {} {} {}\nshown: {alike:?}", entry.method, entry.path, entry.text)
        };
        shown.remove(at);
        known.extend(ids);
    }
    ensure!(shown.is_empty(), "shown and not sent: {shown:?}");
    Ok(known)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_in_a_preview_is_sent_byte_for_byte() -> anyhow::Result<()> {
    let orders = how_many(ORDERS_ENV, ORDERS)?;
    let Some(mut scene) = Scene::open("shown", Spoken::Sage).await? else { return Ok(()) };
    scene.takes_as_long_as(AN_ORDER.saturating_mul(u32::try_from(orders)?));
    scene.pairs().await?;
    scene.connects().await?;
    let name = scene.deployed.tenant.clone();
    let banks = bound(&scene.deployed.book, scene.deployed.other.as_ref(), &name, true).settings.payment_methods;
    scene.configures(|settings| settings.payment_methods = banks).await?;
    scene.is_in_mode("preview").await?;
    let shop = scene.deployed.shop.clone();
    let invoices = sells(&shop, orders)?;

    let previewed = |run: &Value| run["state"] == "held" && run["code"] == "preview";
    scene
        .works_until("everything is previewed", || async {
            let runs = scene.runs().await?;
            let told = shop.outbox().len();
            Ok(runs.len() == told && runs.iter().all(|run| previewed(run) || run["state"] == "skipped"))
        })
        .await?;
    let runs: Vec<Value> = scene.runs().await?.into_iter().filter(|run| previewed(run)).collect();
    ensure!(runs.len() >= orders, "{} previews of {orders} orders", runs.len());
    let Some(Other::Sage(book)) = &scene.deployed.other else { bail!("another book") };
    let shown = shown(&scene.admin, &runs).await?;
    let log = book.log();
    let writes = |log: &[LogEntry]| log.iter().filter(|entry| entry.is_write).cloned().collect::<Vec<_>>();
    ensure!(log.iter().any(|entry| entry.path.contains("contacts")), "nothing was read");
    ensure!(writes(&log).is_empty(), "a preview wrote: {:?}", writes(&log));
    ensure!(scene.counted() == [0; 6], "{:?}", scene.counted());

    scene.is_in_mode("live").await?;
    scene.admin.post(&scene.of_binding("/jobs"), &json!({"kind": "release_previews"})).await?.good()?;
    scene.settles(&invoices).await?;
    scene.has_each_once(&invoices, "MAG-")?;
    let sent = writes(&book.log());
    let ids = compares(shown, &sent)?;
    // The ids that were filled in are those of the documents that the placeholders speak of.
    let holds = scene.deployed.holds();
    for invoice in &invoices {
        let number = shop.number_of("invoice", *invoice).context("no such invoice")?;
        let Some(id) = ids.get(&format!("{{invoice:{invoice}}}")) else { continue };
        let is_it = holds.invoices.iter().any(|it| it.id == *id && it.number == format!("MAG-{number}"));
        ensure!(is_it, "{id} is not invoice {number}");
    }
    for kind in ["{contact:", "{invoice:"] {
        ensure!(ids.keys().any(|name| name.starts_with(kind)), "no {kind} among {ids:?}");
    }
    let (contacts, sent) = (holds.contacts.len(), sent.len());
    ensure!(contacts == orders.min(BUYERS) && sent > contacts + orders, "{contacts} contacts, {sent} requests");
    Ok(())
}
