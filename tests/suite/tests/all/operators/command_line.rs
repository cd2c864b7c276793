//! The built `ledger` against the deployed stack: fills back what the shop raised before, and takes what is remembered out
//! and in again.

use super::scene::{LIMIT, Scene};
use anyhow::{Context, ensure};
use ledger_suite::deployed::until;
use ledger_suite::world::{Spoken, client};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The stack forgets every document of the scene's book, as if it had never posted one.
async fn forgets(scene: &Scene, book: &str) -> anyhow::Result<usize> {
    let table = scene.deployed.setting("TABLE_ENTITY_XREF")?;
    let client = client(&scene.deployed.environment)?;
    let mut forgotten = 0;
    let mut pages = client.scan().table_name(&table).into_paginator().items().send();
    while let Some(item) = pages.next().await {
        let mut item = item?;
        let pk = item.remove("pk").context("no key")?;
        if pk.as_s().is_ok_and(|pk| pk.starts_with(&format!("{book}#"))) {
            client.delete_item().table_name(&table).key("pk", pk).send().await?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_shop_raised_before_is_filled_back_and_what_is_exported_is_imported() -> anyhow::Result<()> {
    let Some(mut scene) = Scene::open("commands", Spoken::Accounting).await? else { return Ok(()) };
    let shop = scene.deployed.shop.clone();
    // Raised before anybody knew of the shop; one of them is gone.
    let raised = [
        shop.raises("b2b-on-terms")?,
        shop.raises("b2b-on-terms")?,
        shop.raises("b2b-on-terms")?,
        shop.raises("b2b-on-terms")?,
    ];
    shop.loses_invoice(raised[1]);
    let invoices = [raised[0], raised[2], raised[3]];
    scene.pairs().await?;
    scene.connects().await?;
    scene.configures(|_| ()).await?;
    ensure!(scene.runs().await?.is_empty(), "the shop has told of something");

    let binding = scene.deployed.binding.clone();
    let (from, to) = (raised[0].to_string(), raised[3].to_string());
    let fill = ["--json", "backfill", &binding, "--kind", "invoice", "--from", &from, "--to", &to, "--follow"];
    let (said, swept) = tokio::join!(scene.ledger(&fill, ""), async {
        until("the backfill is over", LIMIT, || async {
            scene.deployed.sweeps().await?;
            let jobs = scene.admin.get(&scene.of_binding("/jobs")).await?.good()?;
            Ok(jobs["jobs"][0]["state"] == "finished")
        })
        .await
    });
    swept?;
    let job = said?.good()?;
    let job: Value = serde_json::from_str(&job)?;
    ensure!(job["state"] == "finished" && job["done"] == 3 && job["passed"] == 1, "{job}");
    until("what was filled back is posted", LIMIT, || async {
        let runs = scene.runs().await?;
        let ids: BTreeSet<i64> = runs.iter().filter_map(|run| run["magento_id"].as_i64()).collect();
        Ok(runs.iter().all(|run| run["state"] == "succeeded") && ids == invoices.into_iter().collect())
    })
    .await?;
    scene.has_each_once(&invoices, "MAG-")?;
    let again = scene.ledger(&["backfill", &binding, "--kind", "invoice", "--from", &to, "--to", &from], "").await?;
    ensure!(again.exit == 2 && again.err.contains("--from is behind --to"), "{again:?}");

    // Out: what the book has, in the columns of the module's table.
    let csv = scene.ledger(&["xref", "export", &binding], "").await?.good()?;
    let holds = scene.deployed.holds();
    let mut expected =
        vec!["entity_type,magento_id,provider,sync_status,provider_entity_id,provider_reference".to_owned()];
    for invoice in &invoices {
        let number = format!("MAG-{}", shop.number_of("invoice", *invoice).context("no such invoice")?);
        let posted = holds.invoices.iter().find(|it| it.number == number).context("not in the book")?;
        expected.push(format!("invoice,{invoice},xero,synced,{},{number}", posted.id));
    }
    for line in &expected {
        ensure!(csv.lines().any(|it| it == line), "no {line} in\n{csv}");
    }
    let customers: Vec<&str> = csv.lines().filter(|line| line.starts_with("customer,")).collect();
    ensure!(customers.len() == 1 && csv.lines().count() == expected.len() + 1, "{csv}");
    ensure!(customers[0].contains(&holds.contacts[0].id), "{customers:?}");
    let text = scene.ledger(&["xref", "export", &binding, "--format", "json"], "").await?.good()?;
    let rows = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    ensure!(rows.len() == 4 && rows.iter().all(|row| row["state"] == "linked"), "{text}");

    // In again: all of it is there; from an empty memory all of it is taken, and then it is the same as before.
    let imports = async |words: &[&str]| -> anyhow::Result<Value> {
        let words = [&["--json", "xref", "import", binding.as_str(), "-"], words].concat();
        Ok(serde_json::from_str(&scene.ledger(&words, &csv).await?.good()?)?)
    };
    let counted = |taken: u64, there: u64| json!({"taken": taken, "there": there, "passed": 0, "clashes": []});
    ensure!(imports(&[]).await? == counted(0, 4));
    let shown = scene.admin.get(&scene.of_tenant("")).await?.good()?;
    let book = shown["bindings"][0]["book"].as_str().context("no book")?.to_owned();
    ensure!(forgets(&scene, &book).await? >= 4);
    let nothing = scene.ledger(&["xref", "export", &binding], "").await?.good()?;
    ensure!(nothing.lines().count() == 1, "{nothing}");
    ensure!(imports(&["--dry-run"]).await? == counted(4, 0));
    ensure!(imports(&[]).await? == counted(4, 0));
    ensure!(scene.ledger(&["xref", "export", &binding], "").await?.good()? == csv);
    ensure!(scene.ledger(&["xref", "export", &binding, "--format", "xml"], "").await?.exit == 2);

    // The shop tells of all of it now, late as it is: the book stays as it is.
    let before = scene.counted();
    scene.settles(&invoices).await?;
    ensure!(scene.counted() == before, "{before:?} became {:?}", scene.counted());
    scene.has_each_once(&invoices, "MAG-")
}
