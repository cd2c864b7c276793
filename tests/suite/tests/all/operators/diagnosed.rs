//! What platform administrators ask of an integration: the exact shapes that they read, and what retry and resync do.

use super::scene::{LIMIT, Scene};
use anyhow::{Context, ensure};
use ledger_suite::deployed::until;
use ledger_suite::world::Spoken;
use ledger_world::book::{BookFault, FaultSpec};
use ledger_world::shop::{Address, ItemSpec, OrderSpec};
use serde_json::{Value, json};

/// The field names of an object, in order.
fn fields(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// A moment as the administrators' page reads it, `2025-01-20T15:00:00Z`: in whole seconds.
fn is_moment(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2025-01-20T15:00:00Z".len() && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integration_is_diagnosed_retried_and_resynced() -> anyhow::Result<()> {
    let Some(scene) = Scene::ready("diagnosed", Spoken::Accounting).await? else { return Ok(()) };
    let shop = &scene.deployed.shop;
    let of = |rest: &str| format!("/api/admin/integrations/xero/{}/{rest}", scene.deployed.binding);
    let status = scene.admin.get(&of("status")).await?.good()?;
    let names =
        ["connected", "errors", "failed_syncs", "last_sync", "pending_syncs", "sync_status", "token_expires_at"];
    ensure!(fields(&status) == names, "{status}");
    ensure!(status["connected"] == true && status["sync_status"] == "healthy", "{status}");
    ensure!(is_moment(&status["token_expires_at"]) && status["last_sync"].is_null(), "{status}");
    ensure!(status["pending_syncs"] == 0 && status["failed_syncs"] == 0 && status["errors"] == json!([]), "{status}");

    let good = shop.raises("b2b-on-terms")?;
    scene.settles(&[good]).await?;
    let address = Address::british("1 High Street", "London", "N1 7AA");
    let strange = OrderSpec::for_guest("sam@example.com", "Sam", "Lee", address)
        .item(ItemSpec::simple("TEE", "Tee", 10, "100").taxed("33"))
        .paid_by("trade_credit");
    let strange = shop.invoices(&shop.places(&strange)?)?;
    scene
        .works_until("one is a dead letter", || async {
            let run = scene.run_of("invoice.created", strange).await?;
            Ok(run.is_some_and(|run| run["state"] == "dead_lettered"))
        })
        .await?;
    // Whoever sees this tenant only is told of it, whoever sees another only is not.
    let tenant = scene.deployed.tenant.clone();
    let own = scene.operator("sees-this", &["viewer", &format!("tenant:{tenant}")]).await?;
    let other = scene.operator("sees-another", &["viewer", "tenant:somebody-else"]).await?;
    let of_tenant = format!("/v1/dead-letters?tenant={tenant}");
    for (who, path, told) in [
        (&own, "/v1/dead-letters", true),
        (&own, &*of_tenant, true),
        (&scene.admin, &*of_tenant, true),
        (&own, "/v1/held", false),
        (&other, "/v1/dead-letters", false),
    ] {
        let causes = who.get(path).await?.good()?["causes"].clone();
        let expected: &[&str] = if told { &["tax_rate_unmapped"] } else { &[] };
        let codes: Vec<&str> = causes.as_array().into_iter().flatten().filter_map(|it| it["code"].as_str()).collect();
        ensure!(codes == expected, "{path}: {causes}");
    }
    ensure!(other.get(&of_tenant).await?.refusal().0 == 403);
    let status = scene.admin.get(&of("status")).await?.good()?;
    ensure!(status["failed_syncs"] == 1 && is_moment(&status["last_sync"]), "{status}");
    let error = &status["errors"][0];
    ensure!(fields(error) == ["message", "timestamp", "type"], "{error}");
    ensure!(error["type"] == "invoice_sync" && is_moment(&error["timestamp"]), "{error}");
    let said = error["message"].as_str().unwrap_or_default();
    ensure!(said.starts_with("tax_rate_unmapped: ") && !said.contains('@'), "{said}");

    // Retry: of the named runs, of all that failed, and of one that succeeded, which tells the shop its state again.
    let id = |run: Option<Value>| run.and_then(|it| it["run"].as_str().map(str::to_owned)).context("no run");
    let (good_run, strange_run) =
        (id(scene.run_of("invoice.created", good).await?)?, id(scene.run_of("invoice.created", strange).await?)?);
    let pushed = shop.pushed().len();
    let asked = json!({"sync_type": "invoices", "record_ids": [good_run, "uuid-1"]});
    let retried = scene.admin.post(&of("retry"), &asked).await?.good()?;
    let outcomes = json!([
        {"record_id": good_run, "outcome": "pushed"},
        {"record_id": "uuid-1", "outcome": "not_found"},
    ]);
    ensure!(retried == json!({"queued": 0, "records": outcomes, "cursor": null}), "{retried}");
    until("the shop was told again", LIMIT, || async { Ok(shop.pushed().len() > pushed) }).await?;
    let other = json!({"sync_type": "contacts", "record_ids": [good_run]});
    let retried = scene.admin.post(&of("retry"), &other).await?.good()?;
    ensure!(retried["records"][0]["outcome"] == "other_type", "{retried}");
    let retried = scene.admin.post(&of("retry"), &json!({"sync_type": "invoices"})).await?.good()?;
    ensure!(retried["queued"] == 1 && retried["records"][0]["record_id"] == strange_run.as_str(), "{retried}");
    scene
        .works_until("it failed again", || async {
            let run = scene.run_of("invoice.created", strange).await?;
            Ok(run.is_some_and(|run| run["state"] == "dead_lettered" && run["generation"] == 2))
        })
        .await?;

    // Resync: everything since a moment, by the sweeper; what is in the book is not posted again.
    let before = scene.counted();
    let pushed = shop.pushed().len();
    let asked = json!({"sync_types": ["contacts", "invoices"], "since": "2025-01-01T00:00:00Z"});
    let job = scene.admin.post(&of("resync"), &asked).await?.good()?;
    ensure!(fields(&job) == ["job", "state"] && job["state"] == "open", "{job}");
    scene
        .works_until("the job is done", || async {
            let jobs = scene.admin.get(&scene.of_binding("/jobs")).await?.good()?;
            Ok(jobs["jobs"][0]["state"] == "finished")
        })
        .await?;
    until("the shop was told again", LIMIT, || async { Ok(shop.pushed().len() > pushed) }).await?;
    ensure!(scene.counted() == before, "{before:?} became {:?}", scene.counted());

    for (path, body, field) in [
        ("retry", json!({"sync_type": "everything"}), "invalid"),
        ("retry", json!({"sync_type": "invoices", "records": []}), "invalid"),
        ("resync", json!({"sync_types": ["invoices"], "since": "yesterday"}), "invalid_format"),
    ] {
        let refused = scene.admin.post(&of(path), &body).await?;
        ensure!(refused.refusal() == (400, field), "{path} {body}: {refused:?}");
    }
    let elsewhere = format!("/api/admin/integrations/freeagent/{}/status", scene.deployed.binding);
    ensure!(scene.admin.get(&elsewhere).await?.refusal() == (404, "not_found"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_mended_once_is_tried_again_together() -> anyhow::Result<()> {
    let Some(scene) = Scene::ready("mended", Spoken::V2).await? else { return Ok(()) };
    let (shop, book, tenant) = (&scene.deployed.shop, &scene.deployed.book, scene.deployed.tenant.clone());
    let refuses = |field: &str| {
        let fault = BookFault::Refused { field: field.to_owned(), message: "is not known".to_owned() };
        book.faults(FaultSpec::on("POST", "/v2/invoices", 2, fault));
    };
    let dead = async |invoice: i64, code: &str| {
        scene
            .works_until("it is a dead letter", || async {
                let run = scene.run_of("invoice.created", invoice).await?;
                Ok(run.is_some_and(|run| run["state"] == "dead_lettered" && run["code"] == code))
            })
            .await
    };
    let mut invoices = Vec::new();
    for (field, code) in
        [("category", "category_unknown"), ("category", "category_unknown"), ("colour", "book_refused")]
    {
        refuses(field);
        let invoice = shop.raises("b2b-on-terms")?;
        dead(invoice, code).await?;
        book.heals();
        invoices.push(invoice);
    }
    // Causes, with what to do about them, and what no rule recognised, with a count and without a word of the book's.
    let causes = scene.admin.get(&format!("/v1/dead-letters?tenant={tenant}")).await?.good()?;
    let text = causes.to_string();
    for word in ["category_unknown", "settings", "merchant", "book_refused", "unrecognised", "accountant"] {
        ensure!(text.contains(word), "no {word} in {causes}");
    }
    let refusals = scene.admin.get("/v1/refusals").await?.good()?;
    let list = refusals["refusals"].as_array().context("no refusals")?;
    let counted = list.iter().any(|it| {
        it["provider"] == "xero" && it["status"] == 422 && it["field"] == "colour" && it["count"].as_u64() >= Some(1)
    });
    ensure!(counted && !refusals.to_string().contains("is not known"), "{refusals}");
    // The family that was mended, and no other.
    let asked = json!({"family": "settings", "tenant": tenant});
    let done = scene.admin.post("/v1/dead-letters/requeue", &asked).await?.good()?;
    let requeued = done["runs"].as_array().context("no runs")?;
    ensure!(requeued.len() == 2 && done["refused"] == json!([]) && done["more"] == false, "{done}");
    let (strange, mended) = invoices.split_last().context("no invoices")?;
    scene
        .works_until("what was mended is synced", || async {
            Ok(mended.iter().all(|id| scene.chip("invoice", *id).is_some_and(|chip| chip.sync_status == "synced")))
        })
        .await?;
    dead(*strange, "book_refused").await?;
    let asked = json!({"code": "book_refused", "tenant": tenant});
    let done = scene.admin.post("/v1/dead-letters/requeue", &asked).await?.good()?;
    ensure!(done["runs"].as_array().is_some_and(|runs| runs.len() == 1), "{done}");
    scene.settles(&invoices).await
}
