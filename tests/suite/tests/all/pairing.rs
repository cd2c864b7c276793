//! Pairing by code, the shop's status, and what its module asks.

use anyhow::{Context, ensure};
use ledger_engine::connect::pairing::{NewPairing, Paired, Pairing, PairingError};
use ledger_engine::module::{Module, ModuleError};
use ledger_engine::operate::OperateError;
use ledger_engine::ports::{Chance, Clock, Pairings, Tenancy, Tenants};
use ledger_engine::silence::HEARD_EVERY_MS;
use ledger_engine::tenants::Mode;
use ledger_engine::wire::rows::{BindingRow, RunRow};
use ledger_suite::trip::Side;
use ledger_suite::world::{API_KEY, World, WorldOptions};
use ledger_world::book::{BookFault, FaultSpec};
use ledger_world::shop::{Shop, ShopFault, ShopOptions, jwt};
use secrecy::SecretString;

/// A minute, an hour and a day, in milliseconds.
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

macro_rules! world {
    () => {
        match World::start(WorldOptions::default()).await? {
            Some(world) => world,
            None => return Ok(()),
        }
    };
}

/// Pairs with the world's shop, or another.
async fn pairs(world: &World, shop: &Shop, provider: &str, code: &str) -> Result<Paired, PairingError> {
    pairs_for(world, &shop.url(), provider, code, None).await
}

async fn pairs_for(
    world: &World,
    url: &str,
    provider: &str,
    code: &str,
    allowed_tenants: Option<&[String]>,
) -> Result<Paired, PairingError> {
    let ledger = &world.ledger;
    let pairing = Pairing {
        store: &ledger.store,
        vault: &ledger.vault,
        shop: &ledger.to_shop,
        clock: &ledger.clock,
        chance: &ledger.chance,
        memory: &ledger.memory(),
    };
    let new = NewPairing {
        provider,
        magento_base_url: url,
        pairing_code: &SecretString::from(code),
        public_url: world.ledger_url(),
        operator: "operator-1",
        allowed_tenants,
    };
    pairing.connect(&new).await
}

macro_rules! pairing {
    ($world:expr, $pairing:ident) => {
        let memory = $world.ledger.memory();
        let $pairing = Pairing {
            store: &$world.ledger.store,
            vault: &$world.ledger.vault,
            shop: &$world.ledger.to_shop,
            clock: &$world.ledger.clock,
            chance: &$world.ledger.chance,
            memory: &memory,
        };
    };
}

async fn disconnects(world: &World, binding: &str) -> Result<BindingRow, PairingError> {
    pairing!(world, pairing);
    pairing.disconnect_binding(&world.tenant, binding, "operator-1", None).await
}

macro_rules! module {
    ($world:ident, $module:ident) => {
        let memory = $world.ledger.memory();
        let $module = Module {
            store: &$world.ledger.store,
            vault: &$world.ledger.vault,
            clock: &$world.ledger.clock,
            memory: &memory,
            timers: &$world.ledger.timers,
        };
    };
}

async fn tenancy(world: &World, tenant: &str) -> anyhow::Result<Tenancy> {
    world.ledger.store.inner.tenancy(tenant).await?.context("no such tenant")
}

async fn status(world: &World) -> anyhow::Result<String> {
    Ok(tenancy(world, &world.tenant).await?.tenant.status)
}

/// A shop with modules for three providers, of whom nobody knows.
async fn shop(world: &World) -> anyhow::Result<Shop> {
    Shop::start(ShopOptions {
        clock: world.shop.clock().clone(),
        providers: ["xero", "sage_accounting", "freeagent"].map(str::to_owned).to_vec(),
        ..ShopOptions::default()
    })
    .await
}

fn code_of(result: &Result<Paired, PairingError>) -> &'static str {
    match result {
        Ok(_) => "paired",
        Err(PairingError::Invalid { code, .. } | PairingError::NotNow { code, .. }) => code,
        Err(PairingError::Forbidden) => "forbidden",
        Err(PairingError::NotFound(_)) => "not_found",
        Err(PairingError::Port(_)) => "store_unavailable",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_has_one_tenant_and_one_key_for_all_its_providers() -> anyhow::Result<()> {
    let world = world!();
    let shop = shop(&world).await?;
    let first = pairs(&world, &shop, "xero", &format!(" {} ", shop.shows_pairing_code("xero"))).await?;
    ensure!(first.made_tenant && first.made_key && first.answers, "{first:?}");
    let tenant = &first.tenant;
    ensure!((tenant.status.as_str(), tenant.keys_version) == ("connected", 1), "{tenant:?}");
    ensure!(tenant.candidate_key.is_none() && tenant.paired_providers == ["xero"], "{tenant:?}");
    ensure!((first.binding.status.as_str(), first.binding.book.as_str()) == ("pending", ""), "{:?}", first.binding);

    // Another provider, the address spelled otherwise.
    let url = format!("{}/", shop.url().to_uppercase());
    let second = pairs_for(&world, &url, "sage_accounting", &shop.shows_pairing_code("sage_accounting"), None).await?;
    ensure!(!second.made_tenant && !second.made_key && second.answers, "{second:?}");
    ensure!(second.tenant.tenant == tenant.tenant && second.tenant.current_key == tenant.current_key, "{second:?}");
    ensure!(second.tenant.paired_providers == ["xero", "sage_accounting"], "{second:?}");

    // The same provider again: a new key, the one before is kept for a day.
    let again = pairs(&world, &shop, "xero", &shop.shows_pairing_code("xero")).await?;
    ensure!(again.made_key && again.answers && again.binding == first.binding, "{again:?}");
    ensure!(again.tenant.keys_version == 2 && again.tenant.previous_key == tenant.current_key, "{again:?}");
    let until = again.tenant.previous_until.unwrap_or_default();
    let day = world.ledger.clock.now_ms() + DAY_MS;
    ensure!((day - MINUTE_MS..=day).contains(&until), "{until}");
    ensure!(tenancy(&world, &tenant.tenant).await?.bindings.len() == 2);

    // An operator of other shops.
    let others = ["another".to_owned()];
    let refused = pairs_for(&world, &shop.url(), "xero", &shop.shows_pairing_code("xero"), Some(&others)).await;
    ensure!(code_of(&refused) == "forbidden", "{refused:?}");
    let refused = pairs_for(&world, "https://new.example", "xero", "abcdef", Some(&others)).await;
    ensure!(code_of(&refused) == "forbidden", "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_no_good_is_said_to_be() -> anyhow::Result<()> {
    let world = world!();
    let only_xero = Shop::start(ShopOptions { clock: world.shop.clock().clone(), ..ShopOptions::default() }).await?;
    let good = only_xero.shows_pairing_code("xero");
    let check = async |provider: &str, code: &str, expected: &str| {
        let result = pairs(&world, &only_xero, provider, code).await;
        ensure!(code_of(&result) == expected, "{provider} {code}: {result:?}");
        Ok(())
    };
    check("xero", "00000000000000000000000000000000", "pairing_code_refused").await?;
    check("xero", "", "invalid_format").await?;
    check("xero", "a code", "invalid_format").await?;
    check("quickbooks", &good, "unknown_provider").await?;
    check("sage_accounting", &good, "shop_module_missing").await?;
    check("xero", &good, "paired").await?;
    check("xero", &good, "pairing_code_refused").await?;
    let old = only_xero.shows_pairing_code("xero");
    world.ledger.clock.advance(31 * MINUTE_MS);
    check("xero", &old, "pairing_code_refused").await?;
    // What was refused has changed nothing for the shop.
    let tenant = pairs(&world, &only_xero, "xero", &only_xero.shows_pairing_code("xero")).await?.tenant;
    ensure!(tenant.status == "connected" && tenant.keys_version == 2, "{tenant:?}");

    for (fault, expected) in [
        (ShopFault::ServerError, "shop_no_answer"),
        (ShopFault::RouteMissing, "shop_module_missing"),
        (ShopFault::HangUp, "shop_no_answer"),
    ] {
        only_xero.faults("pair", 1, fault);
        check("xero", &only_xero.shows_pairing_code("xero"), expected).await?;
    }
    for (url, expected) in [
        ("ftp://shop.example", "invalid_format"),
        ("https://shop.example/?x", "invalid_format"),
        ("http://127.0.0.1:1", "shop_unreachable"),
        ("http://169.254.169.254", "shop_address_refused"),
    ] {
        let result = pairs_for(&world, url, "xero", "abcdef", None).await;
        ensure!(code_of(&result) == expected, "{url}: {result:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pairings_at_once_make_one_tenant() -> anyhow::Result<()> {
    let world = world!();
    let shop = shop(&world).await?;
    let (xero, sage) = (shop.shows_pairing_code("xero"), shop.shows_pairing_code("sage_accounting"));
    let (one, other) =
        tokio::join!(pairs(&world, &shop, "xero", &xero), pairs(&world, &shop, "sage_accounting", &sage));
    let tenants: Vec<String> = [&one, &other].into_iter().flatten().map(|it| it.tenant.tenant.clone()).collect();
    ensure!(!tenants.is_empty() && tenants.iter().all(|it| Some(it) == tenants.first()), "{one:?} {other:?}");
    // Whoever was overtaken is told so, and a new code mends it.
    for (provider, result) in [("xero", &one), ("sage_accounting", &other)] {
        if result.is_err() {
            ensure!(code_of(result) == "contended", "{result:?}");
            pairs(&world, &shop, provider, &shop.shows_pairing_code(provider)).await?;
        }
    }
    let tenancy = tenancy(&world, &tenants[0]).await?;
    ensure!(tenancy.bindings.len() == 2 && tenancy.tenant.candidate_key.is_none(), "{tenancy:?}");
    // And the same provider twice: one binding.
    let code = shop.shows_pairing_code("freeagent");
    let (one, other) = tokio::join!(pairs(&world, &shop, "freeagent", &code), pairs(&world, &shop, "freeagent", &code));
    ensure!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    let bindings = world.ledger.store.inner.tenancy(&tenants[0]).await?.map(|it| it.bindings).unwrap_or_default();
    ensure!(bindings.iter().filter(|row| row.provider == "freeagent").count() == 1, "{bindings:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_loses_no_key() -> anyhow::Result<()> {
    // The shop answers under the new key: it took it.
    let world = world!();
    let stranger = shop(&world).await?;
    stranger.faults("pair", 1, ShopFault::HangUpAfterwards);
    let paired = pairs(&world, &stranger, "xero", &stranger.shows_pairing_code("xero")).await?;
    ensure!(paired.made_key && paired.answers && paired.tenant.status == "connected", "{paired:?}");

    // It can't be asked either: the key is a candidate until the first token under it.
    world.puts_shop_address().await?;
    let before = tenancy(&world, &world.tenant).await?.tenant;
    let old_token = || {
        let seconds = world.ledger.clock.now_ms().div_euclid(1_000);
        format!("Bearer {}", jwt::outbound_token(API_KEY, &world.tenant, seconds, &world.ledger.chance.uuid()))
    };
    world
        .puts_tenant(&ledger_engine::wire::rows::TenantRow {
            paired_providers: vec!["xero".to_owned()],
            ..before.clone()
        })
        .await?;
    world.shop.faults("pair", 1, ShopFault::HangUpAfterwards);
    world.shop.faults("ping", 1, ShopFault::HangUp);
    let lost = pairs(&world, &world.shop, "xero", &world.shop.shows_pairing_code("xero")).await;
    ensure!(code_of(&lost) == "shop_no_answer", "{lost:?}");
    let during = tenancy(&world, &world.tenant).await?.tenant;
    ensure!(during.current_key == before.current_key && during.candidate_key.is_some(), "{during:?}");
    module!(world, module);
    // Both verify, and neither question promotes.
    module.tile(Some(&old_token())).await?;
    module.tile(Some(&format!("Bearer {}", world.shop.signs(0)?))).await?;
    ensure!(tenancy(&world, &world.tenant).await?.tenant.candidate_key.is_some());
    // A repeat that fails does no harm: it offers the same key.
    let wrong = pairs(&world, &world.shop, "xero", "00000000000000000000000000000000").await;
    ensure!(code_of(&wrong) == "pairing_code_refused", "{wrong:?}");
    ensure!(tenancy(&world, &world.tenant).await?.tenant.candidate_key == during.candidate_key);
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.tells("invoice.created", invoice).await?;
    let after = tenancy(&world, &world.tenant).await?.tenant;
    ensure!(after.current_key == during.candidate_key && after.candidate_key.is_none(), "{after:?}");
    ensure!(after.previous_key == before.current_key && after.status == "connected", "{after:?}");
    module.tile(Some(&old_token())).await?;
    // A day later the old key is nobody's.
    world.ledger.clock.advance(DAY_MS + 1);
    let late = module.tile(Some(&old_token())).await;
    ensure!(late == Err(ModuleError::Unauthorised), "{late:?}");
    Ok(())
}

/// Nobody heard that the shop took its first key, and nobody could ask it then: the sweeper finds out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_pairing_whose_every_reply_was_lost_is_found_out_by_the_sweeper() -> anyhow::Result<()> {
    let world = world!();
    let shop = shop(&world).await?;
    shop.faults("pair", 1, ShopFault::HangUpAfterwards);
    shop.faults("ping", 1, ShopFault::HangUp);
    let lost = pairs(&world, &shop, "xero", &shop.shows_pairing_code("xero")).await;
    ensure!(code_of(&lost) == "shop_no_answer", "{lost:?}");
    let address = world.ledger.store.inner.shop_address(&shop.url()).await?.context("no tenant was made")?;
    let before = tenancy(&world, &address.tenant).await?.tenant;
    ensure!(before.status == "pending" && before.current_key.is_none(), "{before:?}");
    ensure!(before.candidate_key.is_some() && shop.key().is_some(), "{before:?}");
    world.ledger.forgets();
    world.passes(1).await?;
    let after = tenancy(&world, &address.tenant).await?.tenant;
    ensure!(after.status == "connected" && after.current_key == before.candidate_key, "{after:?}");
    ensure!(after.candidate_key.is_none() && after.unreached_since.is_none(), "{after:?}");
    ensure!(after.paired_providers == ["xero"], "{after:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drifted_key_is_mended_by_pairing_again() -> anyhow::Result<()> {
    let world = world!();
    world.puts_shop_address().await?;
    // Events come before the book is connected.
    let bound = tenancy(&world, &world.tenant).await?.bindings[0].clone();
    world.puts_binding(&BindingRow { status: "pending".to_owned(), book: String::new(), ..bound.clone() }).await?;
    let early = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    let run = world.run_of(early).await?;
    ensure!(run.state == "held" && run.code.as_deref() == Some("binding_pending"), "{run:?}");
    world.puts_binding(&bound).await?;
    world.ledger.forgets();
    // Then the shop's key drifts: it signs with another, and refuses ours.
    world.shop.pair_directly(&world.tenant, "byte8_lk_ffffffffffffffffffffffffffffffff", world.ledger_url());
    let during = world.shop.raises("guest-two-rates")?;
    world.passes(1).await?;
    world.passes(7).await?;
    ensure!(status(&world).await? == "token_revoked", "{}", status(&world).await?);
    // While it is so, the shop's events are put off, not given up.
    world.ticks().await;
    ensure!(
        world.shop.outbox().iter().all(|row| row.status != ledger_world::shop::OutboxStatus::DeadLettered),
        "{:?}",
        world.shop.outbox()
    );
    let paired = pairs(&world, &world.shop, "xero", &world.shop.shows_pairing_code("xero")).await?;
    ensure!(paired.made_key && paired.answers && paired.tenant.status == "connected", "{paired:?}");
    world.settles().await?;
    for invoice in [early, during] {
        world.shows_once(invoice).await?;
    }
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_disconnects_silences_the_shop_until_it_is_paired() -> anyhow::Result<()> {
    let world = world!();
    world.puts_shop_address().await?;
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    let token = format!("Bearer {}", world.shop.signs(0)?);
    module!(world, module);
    ensure!(module.disconnect(None).await == Err(ModuleError::Unauthorised));
    module.disconnect(Some(&token)).await?;
    module.disconnect(Some(&token)).await?;
    world.shop.disconnects().await;
    ensure!(status(&world).await? == "disconnected");
    ensure!(module.framed_by(&world.tenant).await? == None);
    world.works().await?;
    world.passes(3).await?;
    let run = world.run_of(invoice).await?;
    ensure!(run.state == "held" && run.code.as_deref() == Some("shop_disconnected"), "{run:?}");
    ensure!(status(&world).await? == "disconnected", "a refusal says nothing new");
    let pings = world.shop.requests().iter().filter(|request| request.route == "ping").count();
    ensure!(pings == 0, "a shop that disconnected is asked: {pings}");
    let paired = pairs(&world, &world.shop, "xero", &world.shop.shows_pairing_code("xero")).await?;
    ensure!(paired.made_key && paired.tenant.disconnected_at.is_none(), "{paired:?}");
    // The very token, shown again, disconnects nothing.
    module.disconnect(Some(&token)).await.ok();
    ensure!(status(&world).await? == "connected");
    world.settles().await?;
    world.shows_once(invoice).await?;
    ensure!(module.framed_by(&world.tenant).await? == Some(world.shop.url()));
    ensure!(module.framed_by("nobody").await? == None);
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_disconnects_one_provider_and_connects_it_again() -> anyhow::Result<()> {
    let world = world!();
    world.puts_shop_address().await?;
    let bound = tenancy(&world, &world.tenant).await?.bindings[0].clone();
    world.operator().pause(&world.tenant, &world.binding, true).await?;
    world.ledger.forgets();
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    disconnects(&world, &world.binding).await?;
    disconnects(&world, &world.binding).await?;
    world.passes(1).await?;
    world.stands(invoice, "skipped", Some("binding_disconnected"), "skipped").await?;
    let refused = world.tells("invoice.created", invoice).await.err().map(|error| error.to_string());
    ensure!(refused.as_deref().is_some_and(|it| it.contains("no_active_binding")), "{refused:?}");
    // Whoever has no good code opens nothing: not with a wrong one, nor with one that the shop never answered.
    let wrong = pairs(&world, &world.shop, "xero", "00000000000000000000000000000000").await;
    ensure!(code_of(&wrong) == "pairing_code_refused", "{wrong:?}");
    world.shop.faults("pair", 1, ShopFault::HangUp);
    let unknown = pairs(&world, &world.shop, "xero", &world.shop.shows_pairing_code("xero")).await;
    ensure!(code_of(&unknown) == "shop_no_answer", "{unknown:?}");
    let there = tenancy(&world, &world.tenant).await?.bindings[0].clone();
    ensure!(there.status == "disconnected" && there.disconnected_at.is_some(), "{there:?}");
    let paired = pairs(&world, &world.shop, "xero", &world.shop.shows_pairing_code("xero")).await?;
    ensure!(paired.binding.binding == world.binding && paired.binding.status == "pending", "{paired:?}");
    // Its book is connected again.
    world.puts_binding(&BindingRow { status: "active".to_owned(), ..bound }).await?;
    world.ledger.forgets();
    world.tells("invoice.created", invoice).await?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.is_clean()
}

/// What a preview of disconnecting says of runs is what the sweeper does with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnecting_ends_held_runs_and_leaves_dead_letters_and_previews() -> anyhow::Result<()> {
    let world = world!();
    let (operate, tenant, binding) = (world.operator(), &world.tenant, &world.binding);
    let refused = BookFault::Refused { field: "category".to_owned(), message: "is not known".to_owned() };
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 2, refused));
    let dead = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.stands(dead, "dead_lettered", Some("category_unknown"), "failed").await?;
    operate.set_mode(tenant, binding, Mode::Preview).await?;
    world.ledger.forgets();
    let previewed = world.shop.raises("guest-two-rates")?;
    world.ticks().await;
    world.works().await?;
    // What is in preview is not paused, and no end of a pause makes it live.
    let paused = operate.pause(tenant, binding, true).await;
    ensure!(matches!(paused, Err(OperateError::Refused { code: "in_preview", .. })), "{paused:?}");
    let resumed = operate.pause(tenant, binding, false).await;
    ensure!(matches!(resumed, Err(OperateError::Refused { code: "mode_is_another", .. })), "{resumed:?}");
    operate.set_mode(tenant, binding, Mode::Live).await?;
    operate.pause(tenant, binding, true).await?;
    world.ledger.forgets();
    let held = world.shop.raises("guest-two-rates")?;
    world.ticks().await;
    world.works().await?;
    let stand = async || {
        let of = async |id| {
            let run = world.run_of(id).await?;
            Ok::<_, anyhow::Error>(format!("{} {}", run.state, run.code.unwrap_or_default()))
        };
        Ok::<_, anyhow::Error>([of(dead).await?, of(previewed).await?, of(held).await?])
    };
    ensure!(stand().await? == ["dead_lettered category_unknown", "held preview", "held binding_paused"]);
    pairing!(world, pairing);
    // Held, dead letters, previews: as they are, and as the preview counts them.
    let counted = async || {
        let runs = world.runs().await?;
        let of = |state: &str, previewed: bool| {
            let is = |run: &&RunRow| run.state == state && (run.code.as_deref() == Some("preview")) == previewed;
            u32::try_from(runs.iter().filter(is).count())
        };
        let are = (of("held", false)?, of("dead_lettered", false)?, of("held", true)?);
        let seen = pairing.disconnect_preview(tenant, binding, None).await?;
        ensure!((seen.held, seen.dead_lettered, seen.previewed) == are, "{are:?} {seen:?}");
        Ok::<_, anyhow::Error>(are)
    };
    let before = counted().await?;
    ensure!(before.0 > 0 && before.1 > 0 && before.2 > 0, "{before:?}");
    disconnects(&world, binding).await?;
    world.passes(1).await?;
    ensure!(stand().await? == ["dead_lettered category_unknown", "held preview", "skipped binding_disconnected"]);
    ensure!(counted().await? == (0, before.1, before.2), "{before:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_organisation_is_a_binding_of_its_own() -> anyhow::Result<()> {
    let world = world!();
    let shop = shop(&world).await?;
    let paired = pairs(&world, &shop, "xero", &shop.shows_pairing_code("xero")).await?;
    let (tenant, first) = (paired.tenant.tenant, paired.binding.binding);
    pairing!(world, pairing);
    let makes = async |provider: &str, allowed: Option<&[String]>| match pairing
        .new_binding(&tenant, provider, "operator-1", allowed)
        .await
    {
        Ok(row) => Ok(row),
        Err(PairingError::Invalid { code, .. } | PairingError::NotNow { code, .. }) => Err(code),
        Err(PairingError::Forbidden) => Err("forbidden"),
        Err(other) => panic!("{other}"),
    };
    ensure!(makes("xero", None).await == Err("provider_bound"), "the first is open");
    ensure!(makes("sage_accounting", None).await == Err("provider_not_paired"));
    ensure!(makes("quickbooks", None).await == Err("unknown_provider"));
    ensure!(makes("xero", Some(&["another".to_owned()])).await == Err("forbidden"));
    pairing.disconnect_binding(&tenant, &first, "operator-1", None).await?;
    // Two at once make one; whoever is late is told so.
    let (one, other) = tokio::join!(makes("xero", None), makes("xero", None));
    let made = one.clone().or(other.clone()).map_err(anyhow::Error::msg)?;
    ensure!([&one, &other].iter().any(|it| **it == Err("provider_bound")) || one == other, "{one:?} {other:?}");
    ensure!(made.binding != first && made.status == "pending" && made.book.is_empty(), "{made:?}");
    let bindings = tenancy(&world, &tenant).await?.bindings;
    ensure!(bindings.len() == 2, "{bindings:?}");
    // Pairing again finds the new one, and leaves the first as it is.
    let again = pairs(&world, &shop, "xero", &shop.shows_pairing_code("xero")).await?;
    ensure!(again.binding.binding == made.binding, "{again:?}");
    let stands = tenancy(&world, &tenant).await?.bindings.into_iter().find(|row| row.binding == first);
    ensure!(stands.is_some_and(|row| row.status == "disconnected"));
    // A third after the second.
    pairing.disconnect_binding(&tenant, &made.binding, "operator-1", None).await?;
    let third = makes("xero", None).await.map_err(anyhow::Error::msg)?;
    ensure!(![&first, &made.binding].contains(&&third.binding), "{third:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_shop_is_silent_and_wakes_with_its_next_word() -> anyhow::Result<()> {
    let world = world!();
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    let heard_at = tenancy(&world, &world.tenant).await?.tenant.heard_at.context("not heard")?;
    // Deliveries close together are one note.
    world.ledger.clock.advance(HEARD_EVERY_MS / 2);
    world.tells("invoice.created", invoice).await?;
    ensure!(tenancy(&world, &world.tenant).await?.tenant.heard_at == Some(heard_at));
    world.ledger.clock.advance(6 * DAY_MS);
    world.passes(1).await?;
    ensure!(status(&world).await? == "connected");
    world.ledger.clock.advance(2 * DAY_MS);
    world.passes(1).await?;
    ensure!(status(&world).await? == "silent", "{}", status(&world).await?);
    module!(world, module);
    let tile = module.tile(Some(&format!("Bearer {}", world.shop.signs(0)?))).await?;
    ensure!(tile.tenant.magento_connection_status == "active", "{tile:?}");
    world.tells("invoice.created", invoice).await?;
    ensure!(status(&world).await? == "connected");
    world.ledger.clock.advance(9 * DAY_MS);
    world.passes(1).await?;
    ensure!(status(&world).await? == "silent", "silence is noticed once only");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_nobody_reaches_is_unreachable_until_it_answers() -> anyhow::Result<()> {
    let world = world!();
    world.shop.faults("*", 1_000, ShopFault::HangUp);
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    world.works().await?;
    world.passes(10).await?;
    ensure!(status(&world).await? == "connected", "unreachable too early");
    world.passes(8).await?;
    ensure!(status(&world).await? == "unreachable", "{}", status(&world).await?);
    module!(world, module);
    let tile = module.tile(Some(&format!("Bearer {}", world.shop.signs(0)?))).await?;
    ensure!(tile.tenant.magento_connection_status == "unknown" && tile.sync.pending_count == 2, "{tile:?}");
    world.shop.heals();
    world.passes(1).await?;
    ensure!(status(&world).await? == "connected", "{}", status(&world).await?);
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_module_is_told_what_became_of_an_entity() -> anyhow::Result<()> {
    let world = world!();
    let invoice = world.shop.raises("b2b-on-terms")?;
    module!(world, module);
    let authorization = || Ok::<_, anyhow::Error>(format!("Bearer {}", world.shop.signs(0)?));
    let asks = async |entity_type: &str, id: &str| {
        module.status(Some(&authorization()?), entity_type, id).await.map_err(anyhow::Error::from)
    };
    let id = invoice.to_string();
    ensure!(asks("invoice", &id).await?.sync_status.is_none());
    world.ticks().await;
    let under_way = asks("invoice", &id).await?;
    ensure!(under_way.sync_status == Some("pending") && under_way.providers.len() == 1, "{under_way:?}");
    world.settles().await?;
    let done = asks("invoice", &id).await?;
    let told = done.providers.first().context("no provider")?;
    ensure!(done.sync_status == Some("synced") && told.provider == "xero", "{done:?}");
    ensure!(told.provider_entity_id.is_some() && told.last_sync_at.is_some(), "{done:?}");
    // The order as a whole.
    let canonical: serde_json::Value =
        serde_json::from_str(&world.shop.canonical("invoice", invoice).context("gone")?)?;
    let order = asks("order", &canonical["order_id"].to_string()).await?;
    ensure!(order.sync_status == Some("synced") && order.documents == [done], "{order:?}");
    ensure!(asks("order", "4000000000").await?.sync_status.is_none());
    for (entity_type, id, code) in [("order", "0", "invalid_format"), ("cart", "1", "unknown_entity_type")] {
        let refused = module.status(Some(&authorization()?), entity_type, id).await;
        ensure!(refused.as_ref().err().map(ModuleError::code) == Some(code), "{refused:?}");
    }
    let tile = module.tile(Some(&authorization()?)).await?;
    ensure!(tile.binding.status.as_deref() == Some("active"), "{tile:?}");
    ensure!((tile.sync.pending_count, tile.sync.failed_24h) == (0, 0), "{tile:?}");
    ensure!(tile.sync.last_run_at.is_some(), "{tile:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pairing_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    let world = world!();
    let trip = &world.ledger.trip;
    // Each case has a shop of its own: first a pairing that is killed, then one that is not.
    let walk = async |at: Option<(usize, Side)>, before: bool| {
        let shop = shop(&world).await?;
        if before {
            pairs(&world, &shop, "xero", &shop.shows_pairing_code("xero")).await?;
        }
        world.ledger.forgets();
        let code = shop.shows_pairing_code("xero");
        trip.arm(at);
        trip.lives(pairs(&world, &shop, "xero", &code)).await;
        let (calls, killed) = trip.disarm();
        world.ledger.forgets();
        if killed.is_some() {
            // Nobody looks; the shop just goes on, under whatever key it has by now. It is understood, or put off.
            if let Ok(token) = shop.signs(0) {
                module!(world, module);
                let asked = module.tile(Some(&format!("Bearer {token}"))).await;
                ensure!(!matches!(asked, Err(ModuleError::Unauthorised)), "{at:?} {killed:?}: the shop is locked out");
            }
            let again = pairs(&world, &shop, "xero", &shop.shows_pairing_code("xero")).await;
            ensure!(again.is_ok(), "{at:?} {killed:?}: {again:?}");
        }
        let tenant = world.ledger.store.inner.shop_address(&shop.url()).await?.context("no tenant")?.tenant;
        let there = tenancy(&world, &tenant).await?;
        ensure!(there.bindings.len() == 1, "{at:?} {killed:?}: {there:?}");
        ensure!(there.tenant.status == "connected" && there.tenant.candidate_key.is_none(), "{at:?}: {there:?}");
        Ok::<_, anyhow::Error>(calls)
    };
    for before in [false, true] {
        let calls = walk(None, before).await?;
        ensure!(calls.contains(&"shop.pair") && calls.len() > 8, "{calls:?}");
        for number in 0..calls.len() {
            for side in [Side::Before, Side::After] {
                walk(Some((number, side)), before).await?;
            }
        }
    }
    Ok(())
}
