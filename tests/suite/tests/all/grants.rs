//! Books whose tokens end: renewed once, used after they are written down, and one document whatever happens meanwhile.

use anyhow::ensure;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use ledger_engine::ports::{ConnectStore, GrantStore, Operations, Vault};
use ledger_engine::tenants::{access_token_context, client_secret_context, refresh_token_context};
use ledger_engine::wire::rows::{AppHostsRow, AppRow, ROW_VERSION, TokenRow, keys};
use ledger_suite::trip::Side;
use ledger_suite::world::{BOOK_TOKEN, World, WorldOptions};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A token endpoint. `alive` requests are answered with the book's token, later ones with `invalid_grant`.
struct Endpoint {
    asked: AtomicUsize,
    alive: AtomicUsize,
}

async fn token(State(endpoint): State<Arc<Endpoint>>, _form: String) -> (StatusCode, Json<Value>) {
    let number = endpoint.asked.fetch_add(1, Ordering::SeqCst);
    if number >= endpoint.alive.load(Ordering::SeqCst) {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"})));
    }
    let answer = json!({"access_token": BOOK_TOKEN, "refresh_token": format!("refresh-{number}"), "expires_in": 1_800});
    (StatusCode::OK, Json(answer))
}

/// A world whose grant has a refresh token, and an access token that the book does not take (any more); `ended` where
/// the row says so too.
async fn world(alive: usize, ended: bool) -> anyhow::Result<Option<(World, Arc<Endpoint>)>> {
    let options =
        WorldOptions { timers: Some(|timers| timers.allow_private_addresses = true), ..WorldOptions::default() };
    let Some(world) = World::start(options).await? else { return Ok(None) };
    let endpoint = Arc::new(Endpoint { asked: AtomicUsize::new(0), alive: AtomicUsize::new(alive) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = axum::Router::new().route("/token", post(token)).with_state(Arc::clone(&endpoint));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (ledger, binding) = (&world.ledger, world.binding.as_str());
    let (store, vault) = (&ledger.store, &ledger.vault);
    let app = AppRow {
        pk: keys::app("xero"),
        sk: keys::APP.to_owned(),
        v: ROW_VERSION,
        provider: "xero".to_owned(),
        client_id: "client".to_owned(),
        secret: Some(vault.seal(&"secret".into(), 1, &client_secret_context("xero")).await?),
        version: 1,
        environment: "live".to_owned(),
        hosts: Some(AppHostsRow {
            authorize: format!("{url}/authorize"),
            token: format!("{url}/token"),
            revoke: None,
            api: world.book.url(),
        }),
        ..AppRow::default()
    };
    ensure!(store.put_app(None, &app).await?, "the app is there");
    let now = ledger_engine::ports::Clock::now_ms(&ledger.clock);
    store
        .put_token(&TokenRow {
            pk: keys::of_binding(binding),
            sk: keys::TOKEN.to_owned(),
            v: ROW_VERSION,
            access: vault.seal(&"stale-token".into(), 2, &access_token_context(binding)).await?,
            version: 2,
            access_until: Some(if ended { now - 1 } else { now + 86_400_000 }),
            refresh: Some(vault.seal(&"refresh".into(), 2, &refresh_token_context(binding)).await?),
            refreshed_at: Some(now - 1_800_000),
            ..TokenRow::default()
        })
        .await?;
    Ok(Some((world, endpoint)))
}

async fn status(world: &World) -> anyhow::Result<String> {
    let tenancy = ledger_engine::ports::Tenants::tenancy(&world.ledger.store, &world.tenant).await?;
    let bindings = tenancy.map(|it| it.bindings).unwrap_or_default();
    Ok(bindings.into_iter().find(|row| row.binding == world.binding).map(|row| row.status).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_book_refuses_is_renewed_within_the_attempt() -> anyhow::Result<()> {
    for ended in [false, true] {
        let Some((world, endpoint)) = world(9, ended).await? else { return Ok(()) };
        let invoice = world.shop.raises("b2b-on-terms")?;
        world.ticks().await;
        world.works().await?;
        world.shows_once(invoice).await?;
        ensure!(endpoint.asked.load(Ordering::SeqCst) == 1, "one renewal");
        let grant = world.ledger.store.grant(&world.binding).await?;
        ensure!(grant.is_some_and(|row| row.version == 3 && row.lease_owner.is_none()), "written down");
        ensure!(status(&world).await? == "active", "nothing was held");
        world.is_clean()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_grant_holds_the_work_until_somebody_connects_again() -> anyhow::Result<()> {
    for ended in [false, true] {
        let Some((world, endpoint)) = world(0, ended).await? else { return Ok(()) };
        let invoice = world.shop.raises("b2b-on-terms")?;
        world.settles().await?;
        world.stands(invoice, "held", Some("needs_reconnect"), "pending").await?;
        ensure!(status(&world).await? == "needs_reconnect", "marked");
        ensure!(endpoint.asked.load(Ordering::SeqCst) == 1, "asked once, then no more");
        world.operator().set_token(&world.tenant, &world.binding, &BOOK_TOKEN.into()).await?;
        world.settles().await?;
        world.shows_once(invoice).await?;
        world.is_clean()?;
    }
    Ok(())
}

/// The process dies at each call of an attempt that renews: where the provider takes the used refresh token again, as
/// this one does, the connection survives, and the invoice is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_while_renewing_leaves_a_living_connection() -> anyhow::Result<()> {
    let calls = {
        let Some((world, _)) = world(9, false).await? else { return Ok(()) };
        world.shop.raises("b2b-on-terms")?;
        world.ticks().await;
        world.ledger.trip.arm(None);
        world.works().await?;
        world.ledger.trip.disarm().0
    };
    let renewing = ["store.app", "store.lease_grant", "authorities.call", "store.save_grant"];
    for name in renewing {
        let at = calls.iter().position(|call| *call == name);
        let Some(at) = at else { anyhow::bail!("{name} was not called: {calls:?}") };
        for side in [Side::Before, Side::After] {
            let Some((world, _)) = world(9, false).await? else { return Ok(()) };
            let invoice = world.shop.raises("b2b-on-terms")?;
            world.ticks().await;
            world.ledger.trip.arm(Some((at, side)));
            world.works().await?;
            let (_, struck) = world.ledger.trip.disarm();
            ensure!(struck == Some(name), "struck at {struck:?}, not {name}");
            world.settles().await?;
            world.shows_once(invoice).await.map_err(|error| error.context(format!("{name} {side:?}")))?;
            ensure!(status(&world).await? == "active", "{name} {side:?}");
            world.is_clean()?;
        }
    }
    Ok(())
}
