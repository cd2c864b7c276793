//! A shop that moves over from another service: the book is full of what that one has posted, under its own numbers.

use super::scene::Scene;
use anyhow::{Context, ensure};
use ledger_suite::stack::how_many;
use ledger_suite::world::{Other, Spoken};
use ledger_world::accounting::AccountingSeed;
use ledger_world::shop::{Address, ItemSpec, OrderSpec};
use serde_json::json;
use std::time::Duration;

/// Documents of the other service. Half of them are linked by the import, the other half found. Each costs the deployed
/// functions runs of its own, and each one that has to be found a call of the book's sixty a minute, so `make test` moves fewer
/// than a real move has; `make moved` moves 300.
const DOCUMENTS: usize = 40;
/// The variable that says another number.
const DOCUMENTS_ENV: &str = "LEDGER_MOVED_DOCUMENTS";
/// Of the oldest, so many are refunded after the move: of the linked ones and of those that were found.
const REFUNDED: usize = 10;
/// What a document may cost from the first step to the last, in a step that does something with each.
const A_DOCUMENT: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_moves_over_from_another_service_without_a_double() -> anyhow::Result<()> {
    let documents = how_many(DOCUMENTS_ENV, DOCUMENTS)?;
    ensure!(documents >= REFUNDED, "fewer documents than are refunded");
    let Some(mut scene) = Scene::open("moved", Spoken::Accounting).await? else { return Ok(()) };
    scene.takes_as_long_as(A_DOCUMENT.saturating_mul(u32::try_from(documents)?));
    let shop = scene.deployed.shop.clone();
    scene.pairs().await?;
    let order =
        OrderSpec::for_guest("sam@example.com", "Sam", "Lee", Address::british("1 High Street", "London", "N1 7AA"))
            .item(ItemSpec::simple("MUG", "Mug", 3, "15.99"))
            .paid_by("checkmo");
    let mut invoices = Vec::new();
    for _ in 0..documents {
        invoices.push(shop.invoices(&shop.places(&order)?)?);
    }
    // What the other service has put into the book, and of which half it gives us the links.
    let Some(Other::Accounting(book)) = &scene.deployed.other else { anyhow::bail!("another book") };
    let number = |id: &i64| shop.number_of("invoice", *id).context("no such invoice");
    let contact = json!({"Name": "Sam Lee", "FirstName": "Sam", "LastName": "Lee", "EmailAddress": "sam@example.com"});
    let contacts = book.seeds(&AccountingSeed { contacts: vec![contact], ..AccountingSeed::default() })?;
    let contact = contacts["contacts"][0].as_str().context("no contact")?.to_owned();
    let mut posted = Vec::new();
    for id in &invoices {
        posted.push(json!({
            "Contact": {"ContactID": contact}, "InvoiceNumber": format!("OLD-{}", number(id)?), "CurrencyCode": "GBP",
            "LineItems": [{"Description": "Mug", "Quantity": 3, "UnitAmount": 15.99, "AccountCode": "200",
                "TaxType": "ZERORATEDOUTPUT"}],
        }));
    }
    let seeded = book.seeds(&AccountingSeed { invoices: posted, ..AccountingSeed::default() })?;
    let ids: Vec<String> =
        seeded["invoices"].as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect();
    ensure!(ids.len() == documents, "{seeded}");
    let before = scene.counted();

    // Paused, so that nothing is posted until the links are in.
    scene.is_in_mode("paused").await?;
    scene.connects().await?;
    scene.configures(|settings| settings.previous_prefix = Some("OLD-".to_owned())).await?;
    let mut csv = "entity_type,magento_id,provider,provider_entity_id,sync_status\n".to_owned();
    for (id, document) in invoices.iter().zip(&ids).step_by(2) {
        csv.push_str(&format!("invoice,{id},xero,{document},synced\n"));
    }
    csv.push_str("invoice,99,sage_accounting,1,synced\ninvoice,98,xero,,pending\n");
    let path = scene.of_binding("/xrefs/import");
    let half = documents.div_ceil(2);
    for (dry_run, taken, there) in [(true, half, 0), (false, half, 0), (false, 0, half)] {
        let report = scene.admin.post(&path, &json!({"csv": csv, "dry_run": dry_run})).await?.good()?;
        ensure!(report == json!({"taken": taken, "there": there, "passed": 2, "clashes": []}), "{report}");
    }
    let first = scene.admin.get(&scene.of_binding(&format!("/xrefs/invoice/{}", invoices[0]))).await?.good()?;
    ensure!(first["rows"][0]["provider_id"] == ids[0].as_str(), "{first}");

    scene.is_in_mode("live").await?;
    scene.settles(&invoices).await?;
    ensure!(scene.counted() == before, "moving over changed the book: {before:?} became {:?}", scene.counted());
    let sent = scene.redelivers(4).await?;
    ensure!(sent.iter().all(|status| *status == Some(202)), "{sent:?}");
    scene.settles(&invoices).await?;
    ensure!(scene.counted() == before, "telling it again changed the book: {before:?} became {:?}", scene.counted());

    // Old invoices are refunded: each has its credit note, at the invoice that was there.
    let mut memos = Vec::new();
    for invoice in invoices.iter().take(REFUNDED) {
        memos.push(shop.refunds_invoice(*invoice)?);
    }
    scene
        .works_until("the memos are done", || async {
            let synced = |id: &i64| scene.chip("creditmemo", *id).is_some_and(|chip| chip.sync_status == "synced");
            Ok(memos.iter().all(synced))
        })
        .await?;
    let after = scene.deployed.holds();
    ensure!(after.invoices.len() == documents && after.contacts.len() == 1, "{:?}", scene.counted());
    ensure!(after.credit_notes.len() == REFUNDED && after.allocations.len() == REFUNDED, "{:?}", scene.counted());
    let mut refunded: Vec<&String> = after.allocations.iter().map(|allocation| &allocation.invoice).collect();
    refunded.sort();
    refunded.dedup();
    ensure!(refunded.len() == REFUNDED && refunded.iter().all(|id| ids[..REFUNDED].contains(id)), "{refunded:?}");
    // And what is new gets our own numbers.
    let new = shop.invoices(&shop.places(&order)?)?;
    scene.settles(&[new]).await?;
    let number = format!("MAG-{}", number(&new)?);
    ensure!(scene.deployed.holds().invoices.iter().filter(|it| it.number == number).count() == 1, "no {number}");
    Ok(())
}
