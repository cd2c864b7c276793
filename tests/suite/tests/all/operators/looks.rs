//! What the shop's administrator sees of the stack: tile, status block, an entity's state and the framed page, as the published
//! module reads the answers of the deployed API.

use super::scene::Scene;
use crate::deployed::client;
use anyhow::{Context, ensure};
use ledger_suite::world::Spoken;
use ledger_world::shop::{Address, Health, ItemSpec, OrderSpec};
use serde_json::Value;

/// Somebody opens the pages of the shop's configuration; nothing is there from an earlier look.
async fn sees(scene: &Scene) -> Health {
    scene.deployed.shop.flushes_cache();
    scene.deployed.shop.looks(scene.spoken.provider()).await
}

/// State and words of the status block and of the tile, which Sage's module alone has.
fn told(health: &Health) -> [(&str, &str); 2] {
    let tile = health.tile.as_ref().map_or(("", ""), |tile| (tile.state, tile.headline.as_str()));
    [(health.status_block.state, health.status_block.label.as_str()), tile]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_s_own_pages_tell_how_shop_and_book_are() -> anyhow::Result<()> {
    let Some(mut scene) = Scene::open("looks", Spoken::Sage).await? else { return Ok(()) };
    let shop = scene.deployed.shop.clone();
    let seen = sees(&scene).await;
    ensure!(told(&seen) == [("disconnected", "Not paired"), ("disconnected", "Not connected to Sage")], "{seen:?}");
    scene.pairs().await?;
    let seen = sees(&scene).await;
    let not_yet = ("pending", "Magento paired — Sage not connected yet");
    ensure!(told(&seen) == [not_yet, ("error", "Binding pending")], "{seen:?}");
    scene.connects().await?;
    scene.configures(|_| ()).await?;
    let seen = sees(&scene).await;
    ensure!(seen.asked.as_ref().is_some_and(|asked| asked.status == Some(200)), "{seen:?}");
    let connected = [("connected", "Connected to Sage (GB)"); 2];
    ensure!(told(&seen) == connected, "{seen:?}");
    let tile = seen.tile.context("no tile")?;
    ensure!((tile.pending, tile.failed_24h, tile.last_run) == (Some(0), Some(0), None), "{:?}", tile.headline);

    let invoice = shop.raises("b2b-on-terms")?;
    scene.settles(&[invoice]).await?;
    let seen = sees(&scene).await;
    ensure!(told(&seen) == connected, "{seen:?}");
    let tile = seen.tile.context("no tile")?;
    ensure!(tile.last_run_text == "just now" && tile.pending == Some(0), "{tile:?}");
    let after = shop.asks_after("invoice", &invoice.to_string()).await;
    let read = after.read.context("no answer")?;
    let number = shop.number_of("invoice", invoice).context("no number")?;
    ensure!(read["sync_status"] == "synced" && read["entity_id"] == invoice.to_string().as_str(), "{read}");
    let of_sage = &read["providers"][0];
    ensure!(of_sage["provider"] == "sage_accounting" && of_sage["sync_status"] == "synced", "{read}");
    ensure!(of_sage["provider_reference"].as_str().is_some_and(|it| it.contains(&number)), "{read}");
    let order: Value = serde_json::from_str(&shop.canonical("invoice", invoice).context("no invoice")?)?;
    let order = order["order_id"].as_i64().context("no order")?;
    let rolled_up = shop.asks_after("order", &order.to_string()).await.read.context("no answer")?;
    ensure!(rolled_up["sync_status"] == "synced" && rolled_up["documents"][0] == read, "{rolled_up}");

    // A pause and a preview are told, though book and shop are well.
    for (mode, headline) in [("paused", "Binding paused"), ("preview", "Binding preview"), ("live", "")] {
        scene.is_in_mode(mode).await?;
        let seen = sees(&scene).await;
        let expected = if mode == "live" { connected } else { [not_yet, ("error", headline)] };
        ensure!(told(&seen) == expected, "{mode}: {seen:?}");
    }
    // A document that a person has to look at.
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
    let seen = sees(&scene).await;
    let tile = seen.tile.as_ref().context("no tile")?;
    ensure!(tile.state == "error" && tile.failed_24h.is_some_and(|failed| failed > 0), "{seen:?}");
    let read = shop.asks_after("invoice", &strange.to_string()).await.read.context("no answer")?;
    ensure!(read["sync_status"] == "failed" && read["providers"][0]["error_code"] == "tax_rate_unmapped", "{read}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_paired_shop_frames_our_page_and_it_holds_nothing() -> anyhow::Result<()> {
    let Some(mut scene) = Scene::open("framed", Spoken::Accounting).await? else { return Ok(()) };
    scene.pairs().await?;
    let (shop, tenant) = (scene.deployed.shop.url(), scene.deployed.tenant.clone());
    let own = sees(&scene).await.embed_url.context("the module frames nothing")?;
    let other = own.replace(&tenant, "00000000-0000-4000-8000-000000000000");
    ensure!(own != other && own.starts_with(&scene.deployed.setting("LEDGER_URL")?), "{own}");
    for (url, ancestors) in [(&own, shop.as_str()), (&other, "'none'")] {
        let page = client()?.get(url).send().await?;
        let header =
            |name: &str| page.headers().get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
        ensure!(page.status().as_u16() == 200 && header("content-type").starts_with("text/html"), "{page:?}");
        let policy = header("content-security-policy");
        let framed: Vec<&str> = policy.split(';').filter_map(|it| it.trim().strip_prefix("frame-ancestors ")).collect();
        ensure!(framed == [ancestors] && policy.contains("default-src 'none'"), "{url}: {policy}");
        // It would overrule the policy in older browsers.
        ensure!(header("x-frame-options").is_empty(), "{page:?}");
        let text = page.text().await?;
        ensure!(text.contains("ledger login"), "{text}");
        ensure!(!text.contains(&shop) && !text.contains(&tenant) && !text.contains("<script"), "{text}");
    }
    Ok(())
}
