//! From strangers to a connected shop, what goes wrong on the way, and back again: nothing is lost, nothing doubled.

use super::scene::{LIMIT, Scene};
use anyhow::{Context, ensure};
use ledger_suite::deployed::until;
use ledger_suite::world::{Other, Spoken};
use ledger_world::accounting::{AccountingBook, AccountingOptions};
use ledger_world::identity::{Expiry, Whose};
use reqwest::Method;
use serde_json::{Value, json};

macro_rules! scene {
    ($how:ident, $name:expr, $spoken:expr) => {
        match Scene::$how($name, $spoken).await? {
            Some(scene) => scene,
            None => return Ok(()),
        }
    };
}

async fn connects_and_posts(name: &str, spoken: Spoken) -> anyhow::Result<()> {
    let scene = scene!(ready, name, spoken);
    let invoice = scene.deployed.shop.raises("b2b-on-terms")?;
    scene.settles(&[invoice]).await?;
    scene.has_each_once(&[invoice], "MAG-")?;
    let grant = scene.admin.get(&scene.of_binding("/grant")).await?.good()?;
    ensure!(grant["status"] == "active" && grant["access_until"].is_string(), "{grant}");
    ensure!(grant["missing_scopes"] == json!([]) && grant["can_renew"] == true, "{grant}");
    if let Some(Other::Accounting(_)) = &scene.deployed.other {
        // The app asks for more by now: the grant shows what it lacks, and a new connection would have it.
        let granted = grant["scopes"].as_array().cloned().unwrap_or_default();
        let wanted: Vec<Value> = granted.into_iter().chain([json!("accounting.attachments")]).collect();
        scene.admin.put(&scene.of_binding("/app"), &scene.app("another-secret", &wanted)).await?.good()?;
        let grant = scene.admin.get(&scene.of_binding("/grant")).await?.good()?;
        ensure!(grant["missing_scopes"] == json!(["accounting.attachments"]), "{grant}");
    }
    let reference = scene.admin.get(&scene.of_binding("/reference")).await?.good()?;
    // The days that the bookkeeper closed are shown, with the age of that word.
    let locked = match &scene.deployed.other {
        Some(Other::Accounting(book)) => {
            book.locks(Some("2026-03-31"), Some("2025-12-31"));
            Some("2026-03-31")
        }
        Some(Other::Sage(book)) => {
            book.sets_up(|options| options.year_end_lockdown_date = Some("2026-03-31".to_owned()));
            Some("2026-03-31")
        }
        None => None,
    };
    scene.admin.post(&scene.of_binding("/reference/refresh"), &json!({"lists": ["organisation"]})).await?.good()?;
    let known = scene.admin.get(&scene.of_binding("/reference?list=organisation")).await?.good()?;
    let organisation = &known["entries"][0];
    ensure!(organisation["locked_until"] == json!(locked) && organisation["currency"] == "GBP", "{known}");
    ensure!(known["lists"][0]["age_seconds"].as_i64().is_some_and(|age| age < 60), "{known}");
    // Not every book has a list of currencies.
    let read = |list: &Value| list["read_at"].is_string() || list["list"] == "currencies";
    ensure!(reference["lists"].as_array().is_some_and(|lists| lists.iter().all(read)), "{}", reference["lists"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_paired_and_its_xero_connected_without_a_back_door() -> anyhow::Result<()> {
    connects_and_posts("ready-xero", Spoken::Accounting).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_paired_and_its_sage_connected_without_a_back_door() -> anyhow::Result<()> {
    connects_and_posts("ready-sage", Spoken::Sage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_paired_and_its_freeagent_connected_without_a_back_door() -> anyhow::Result<()> {
    connects_and_posts("ready-freeagent", Spoken::Freeagent).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_paired_and_its_xero_of_the_other_api_connected_without_a_back_door() -> anyhow::Result<()> {
    connects_and_posts("ready-v2", Spoken::V2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_before_the_book_and_under_a_drifted_key_are_held_and_posted_once() -> anyhow::Result<()> {
    let mut scene = scene!(open, "drifted", Spoken::Accounting);
    let paired = scene.pairs().await?;
    ensure!(paired["made_tenant"] == true && paired["binding"]["status"] == "pending", "{paired}");
    // Before anybody has connected the book.
    let early = scene.deployed.shop.raises("b2b-on-terms")?;
    scene
        .works_until("the early event is held", || async {
            let run = scene.run_of("invoice.created", early).await?;
            Ok(run.is_some_and(|run| run["state"] == "held" && run["code"] == "binding_pending"))
        })
        .await?;
    // While it is connected, the shop comes to another key, as after a restored configuration.
    scene.deployed.shop.drifts_key();
    scene.connects().await?;
    scene.configures(|_| ()).await?;
    scene.works_until("the shop counts as revoked", || scene.tenant_is("token_revoked")).await?;
    // From here on, what it signs with the other key is put off, not refused.
    let during = scene.deployed.shop.raises("guest-two-rates")?;
    scene.deployed.shop.ticks().await;
    let outbox = scene.deployed.shop.outbox();
    let given_up = outbox.iter().filter(|row| row.status == ledger_world::shop::OutboxStatus::DeadLettered).count();
    ensure!(given_up == 0, "the shop gave {given_up} events up: {outbox:?}");
    let again = scene.pairs().await?;
    ensure!(again["made_key"] == true && again["made_tenant"] == false, "{again}");
    ensure!(scene.tenant_is("connected").await?);
    // What the shop had put off, it sends again by itself within the minute; the test does not wait for that.
    for row in scene.deployed.shop.outbox() {
        scene.deployed.shop.requeues(row.entity_id)?;
    }
    scene.settles(&[early, during]).await?;
    scene.has_each_once(&[early, during], "MAG-")?;
    scene.redelivers(1).await?;
    scene.settles(&[early, during]).await?;
    scene.has_each_once(&[early, during], "MAG-")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_disconnects_and_connects_the_same_book_again_doubles_nothing() -> anyhow::Result<()> {
    let mut scene = scene!(ready, "again", Spoken::Accounting);
    let shop = scene.deployed.shop.clone();
    let invoices = [shop.raises("b2b-on-terms")?, shop.raises("guest-two-rates")?, shop.raises("b2b-on-terms")?];
    let memo = shop.refunds_invoice(invoices[1])?;
    scene.settles(&invoices).await?;
    scene
        .works_until("the memo is there", || async {
            Ok(scene.chip("creditmemo", memo).is_some_and(|chip| chip.sync_status == "synced"))
        })
        .await?;
    let before = scene.counted();
    let binding = scene.deployed.binding.clone();
    let preview = scene.admin.get(&scene.of_binding("/disconnection")).await?.good()?;
    ensure!(preview["binding"]["status"] == "active", "looking disconnects: {preview}");
    let done = scene.admin.post(&scene.of_binding("/disconnection"), &json!({})).await?.good()?;
    ensure!(done["binding"]["status"] == "disconnected", "{done}");
    // Every test's book has the same bookkeeper; where others of its bindings live, only the connection is taken back.
    let taken_back = ["revoked", "connection_only"].iter().any(|what| done["at_provider"] == *what);
    ensure!(taken_back, "{preview} {done}");
    // A function that remembers the binding takes them for half a minute yet; whatever comes of it, nothing is posted.
    let refused = scene.redelivers(1).await?;
    ensure!(refused.iter().flatten().all(|status| [202, 400, 401, 404, 503].contains(status)), "{refused:?}");

    let paired = scene.pairs().await?;
    ensure!(paired["binding"]["binding"] == binding.as_str() && paired["made_tenant"] == false, "{paired}");
    scene.connects().await?;
    // A function that has read the tenant within this second puts a token under the new key off; the shop tells it again.
    until("everything is taken", LIMIT, || async {
        Ok(scene.redelivers(1).await?.iter().all(|status| *status == Some(202)))
    })
    .await?;
    scene.settles(&invoices).await?;
    let later = shop.raises("guest-two-rates")?;
    scene.settles(&[later]).await?;
    let after = scene.counted();
    ensure!(after[1] == before[1] + 1 && after[2..] == before[2..], "{before:?} became {after:?}");
    scene.has_each_once(&[invoices[0], invoices[1], invoices[2], later], "MAG-")
}

/// The bookkeeper removes the app at the provider: the work is held, and goes on once the book is connected again over its
/// own pages.
async fn is_connected_again(name: &str, spoken: Spoken) -> anyhow::Result<()> {
    let scene = scene!(ready, name, spoken);
    let shop = &scene.deployed.shop;
    let before = shop.raises("b2b-on-terms")?;
    scene.settles(&[before]).await?;
    let bound = scene.admin.get(&scene.of_binding("")).await?.good()?;
    let grant = scene.admin.get(&scene.of_binding("/grant")).await?.good()?;
    // An access token that was given out is good until it ends; then nothing renews it.
    let (everybody, now) = (Whose::default(), Expiry { access: true, ..Expiry::default() });
    let revoked = match &scene.deployed.other {
        None => {
            scene.deployed.book.expires(&now);
            scene.deployed.book.revokes_grants(&everybody)
        }
        Some(Other::Accounting(book)) => {
            book.expires(&now);
            book.revokes_grants(&everybody)
        }
        Some(Other::Sage(book)) => {
            book.expires(&now);
            book.revokes_grants(&everybody)
        }
    };
    ensure!(revoked > 0, "there was no grant to take back");
    let held = [shop.raises("guest-two-rates")?, shop.raises("b2b-on-terms")?];
    scene
        .works_until("both are held", || async {
            for id in held {
                let run = scene.run_of("invoice.created", id).await?;
                let waits = |run: &Value| run["state"] == "held" && run["code"] == "needs_reconnect";
                if !run.is_some_and(|run| waits(&run)) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
    let stands = scene.admin.get(&scene.of_binding("")).await?.good()?;
    ensure!(stands["status"] == "needs_reconnect", "{stands}");
    ensure!(scene.counted()[1] == 1, "posted without a grant: {:?}", scene.counted());
    let again = scene.connects().await?;
    ensure!(again["connected_at"] == bound["connected_at"] && again["book"] == bound["book"], "{again} {bound}");
    ensure!(again["settings_version"] == bound["settings_version"], "{again} {bound}");
    scene.settles(&[before, held[0], held[1]]).await?;
    scene.has_each_once(&[before, held[0], held[1]], "MAG-")?;
    let renewed = scene.admin.get(&scene.of_binding("/grant")).await?.good()?;
    ensure!(renewed["version"].as_u64() > grant["version"].as_u64(), "{renewed} {grant}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_a_dead_grant_of_xero_holds_goes_on_after_connecting_again() -> anyhow::Result<()> {
    is_connected_again("reconnect-xero", Spoken::Accounting).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_a_dead_grant_of_sage_holds_goes_on_after_connecting_again() -> anyhow::Result<()> {
    is_connected_again("reconnect-sage", Spoken::Sage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_organisation_gets_a_binding_of_its_own_and_the_old_book_is_left_alone() -> anyhow::Result<()> {
    let mut scene = scene!(ready, "moves", Spoken::Accounting);
    let shop = scene.deployed.shop.clone();
    let invoice = shop.raises("b2b-on-terms")?;
    scene.settles(&[invoice]).await?;
    scene.has_each_once(&[invoice], "MAG-")?;
    let (first, before) = (scene.deployed.binding.clone(), scene.counted());
    // The merchant moves: the bookkeeper's next login is of another organisation.
    let tenant = format!("1a2b3c4d-0000-4000-8000-{:012x}", std::process::id());
    let next = AccountingBook::start(AccountingOptions { tenant, ..AccountingOptions::default() }).await?;
    let old = scene.deployed.other.replace(Other::Accounting(next));
    scene.registers_app().await?;
    let back = scene.agrees(&scene.starts(&scene.admin).await?).await?;
    ensure!(scene.browses(Method::GET, back.url(), None).await?.status == 200);
    let refused = scene.confirms(&scene.admin).await?;
    ensure!(refused.refusal() == (409, "another_organisation"), "{refused:?}");
    // The way that the remedy names.
    let (path, xero) = (scene.of_tenant("/bindings"), json!({"provider": "xero"}));
    let refused = scene.admin.post(&path, &xero).await?;
    ensure!(refused.refusal() == (409, "provider_bound"), "{refused:?}");
    scene.admin.post(&scene.of_binding("/disconnection"), &json!({})).await?.good()?;
    let viewer = scene.operator("moves-viewer", &["viewer", &format!("tenant:{}", scene.deployed.tenant)]).await?;
    let elsewhere = scene.operator("moves-elsewhere", &["operator", "tenant:another"]).await?;
    for operator in [&viewer, &elsewhere] {
        let refused = operator.post(&path, &xero).await?;
        ensure!(refused.refusal() == (403, "forbidden"), "{refused:?}");
    }
    let made = scene.admin.post(&path, &xero).await?.good()?;
    scene.deployed.binding = made["binding"].as_str().context("no binding")?.to_owned();
    ensure!(scene.deployed.binding != first && made["status"] == "pending" && made["book"].is_null(), "{made}");
    scene.connects().await?;
    scene.configures(|_| ()).await?;
    let xrefs = scene.admin.get(&scene.of_binding("/xrefs")).await?.good()?;
    ensure!(xrefs["rows"] == json!([]), "{xrefs}");
    let later = shop.raises("guest-two-rates")?;
    // A function that remembers the old binding takes them for it for a while, and leaves them out.
    until("the new book has both", 2 * LIMIT, || async {
        scene.redelivers(1).await?;
        scene.deployed.sweeps().await?;
        Ok(scene.counted()[1] == 2)
    })
    .await?;
    scene.settles(&[invoice, later]).await?;
    scene.has_each_once(&[invoice, later], "MAG-")?;
    scene.deployed.other = old;
    ensure!(scene.counted() == before, "the old book was written to: {before:?} became {:?}", scene.counted());
    // The old organisation can't be connected again meanwhile: a shop's events go to one book of a provider.
    scene.deployed.binding = first;
    scene.registers_app().await?;
    let back = scene.agrees(&scene.starts(&scene.admin).await?).await?;
    ensure!(scene.browses(Method::GET, back.url(), None).await?.status == 200);
    let refused = scene.confirms(&scene.admin).await?;
    ensure!(refused.refusal() == (409, "provider_bound"), "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_disconnects_itself_holds_its_runs_until_it_is_paired() -> anyhow::Result<()> {
    let mut scene = scene!(ready, "itself", Spoken::Accounting);
    let shop = scene.deployed.shop.clone();
    scene.is_in_mode("paused").await?;
    let invoice = shop.raises("guest-two-rates")?;
    scene
        .works_until("the run waits for the pause's end", || async {
            Ok(scene.run_of("invoice.created", invoice).await?.is_some_and(|run| run["state"] == "held"))
        })
        .await?;
    ensure!(shop.disconnects().await, "the stack did not acknowledge");
    ensure!(scene.tenant_is("disconnected").await?);
    scene.is_in_mode("live").await?;
    scene
        .works_until("the run waits for the shop", || async {
            let run = scene.run_of("invoice.created", invoice).await?;
            Ok(run.is_some_and(|run| run["state"] == "held" && run["code"] == "shop_disconnected"))
        })
        .await?;
    ensure!(scene.counted()[1] == 0, "posted for a shop that is gone");
    scene.pairs().await?;
    scene.settles(&[invoice]).await?;
    scene.has_each_once(&[invoice], "MAG-")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_shows_what_it_would_send_and_sends_it_once_when_released() -> anyhow::Result<()> {
    let scene = scene!(ready, "preview", Spoken::Accounting);
    let shop = &scene.deployed.shop;
    scene.is_in_mode("preview").await?;
    let invoices = [shop.raises("b2b-on-terms")?, shop.raises("b2b-on-terms")?, shop.raises("b2b-on-terms")?];
    let previews = || async {
        let page = scene.admin.get(&scene.of_binding("/previews")).await?.good()?;
        let runs = page["runs"].as_array().cloned().unwrap_or_default();
        Ok::<_, anyhow::Error>(runs.into_iter().filter(|run| run["event"] == "invoice.created").collect::<Vec<_>>())
    };
    scene.works_until("three are previewed", || async { Ok(previews().await?.len() == 3) }).await?;
    for run in previews().await? {
        let id = run["run"].as_str().context("no run")?;
        let shown = scene.admin.get(&format!("/v1/runs/{id}/request")).await?.good()?;
        ensure!(shown["outcome"] == "ready" && shown["proven"][0]["total"] == "43.62", "{shown}");
        let creates: Vec<&Value> =
            shown["requests"].as_array().into_iter().flatten().filter(|it| it["creates"] == true).collect();
        let kinds: Vec<&str> = creates.iter().filter_map(|it| it["kind"].as_str()).collect();
        ensure!(kinds == ["contact", "invoice"], "{shown}");
        ensure!(creates[1]["body"].as_str().is_some_and(|body| body.contains("{contact:")), "{shown}");
        let refused = scene.admin.post(&format!("/v1/runs/{id}/release"), &json!({})).await?;
        ensure!(refused.refusal() == (409, "binding_not_live"), "{refused:?}");
    }
    ensure!(scene.counted() == [0; 6], "a preview wrote: {:?}", scene.counted());
    scene.is_in_mode("live").await?;
    let first = previews().await?.first().and_then(|run| run["run"].as_str().map(str::to_owned)).context("none")?;
    scene.admin.post(&format!("/v1/runs/{first}/release"), &json!({})).await?.good()?;
    until("the released one is posted, and no other", LIMIT, || async { Ok(scene.counted()[1] == 1) }).await?;
    let job = scene.admin.post(&scene.of_binding("/jobs"), &json!({"kind": "release_previews"})).await?.good()?;
    ensure!(job["state"] == "open", "{job}");
    scene.settles(&invoices).await?;
    scene.has_each_once(&invoices, "MAG-")?;
    ensure!(scene.counted()[0] == 1, "{:?}", scene.counted());
    let again = scene.admin.post(&format!("/v1/runs/{first}/release"), &json!({})).await?;
    ensure!(again.refusal() == (409, "not_previewed"), "{again:?}");
    let gone = scene.admin.asks(Method::GET, "/v1/runs/nothing/request", None).await?;
    ensure!([400, 404].contains(&gone.status), "{gone:?}");
    Ok(())
}
