//! What a delivery gets: the shop dead-letters an event on the first 4xx, so every row of this table is a promise.

use anyhow::{Context, ensure};
use ledger_engine::ports::{SealContext, Vault};
use ledger_engine::tenants::SEAL_LABEL;
use ledger_engine::wire::gateway::{ProxyRequest, ProxyResponse};
use ledger_engine::wire::rows::{BindingRow, TenantRow};
use ledger_suite::world::{API_KEY, MORNING_MS, World, WorldOptions};
use ledger_world::shop::jwt;
use secrecy::SecretString;

const BODY: &str = r#"{"magento_entity_id":42,"website_id":1,"store_id":1,"occurred_at":"2033-05-18T08:00:00Z","payload":{"increment_id":"000000042"}}"#;

/// A request, built up from one that is good.
#[derive(Clone)]
struct Asked {
    tenant: String,
    event: &'static str,
    provider: Option<&'static str>,
    authorization: Option<String>,
    key: Option<String>,
    body: String,
}

impl Asked {
    fn request(&self) -> ProxyRequest {
        let mut headers = std::collections::BTreeMap::new();
        if let Some(value) = &self.authorization {
            headers.insert("Authorization".to_owned(), Some(value.clone()));
        }
        if let Some(value) = &self.key {
            headers.insert("Idempotency-Key".to_owned(), Some(value.clone()));
        }
        ProxyRequest {
            http_method: "POST".to_owned(),
            path_parameters: Some(
                [("tenant".to_owned(), Some(self.tenant.clone())), ("event".to_owned(), Some(self.event.to_owned()))]
                    .into(),
            ),
            query_string_parameters: self.provider.map(|it| [("provider".to_owned(), Some(it.to_owned()))].into()),
            headers: Some(headers),
            body: Some(self.body.clone()),
            is_base64_encoded: false,
        }
    }

    async fn of(&self, world: &World) -> anyhow::Result<ProxyResponse> {
        world.ledger.takes(&self.request()).await.context("killed")
    }
}

const NOW: i64 = MORNING_MS / 1_000 + 1;

/// A token with everything that can be chosen.
fn token(api_key: &str, tenant: &str, issued: i64, life: i64, jti: &str) -> String {
    let claims = format!(
        r#"{{"iss":"magento","sub":"{tenant}","aud":"byte8-ledger","iat":{issued},"nbf":{issued},"exp":{},"jti":"{jti}"}}"#,
        issued + life
    );
    format!("Bearer {}", jwt::token(&jwt::outbound_key(api_key), &claims))
}

fn good(world: &World, jti: &str) -> Asked {
    Asked {
        tenant: world.tenant.clone(),
        event: "invoice.created",
        provider: Some("xero"),
        authorization: Some(token(API_KEY, &world.tenant, NOW, 60, jti)),
        key: Some("invoice.created:42".to_owned()),
        body: BODY.to_owned(),
    }
}

async fn tenancy(world: &World) -> anyhow::Result<(TenantRow, BindingRow)> {
    use ledger_engine::ports::Tenants;
    let tenancy = world.ledger.store.inner.tenancy(&world.tenant).await?.context("no tenant")?;
    let binding = tenancy.bindings.into_iter().next().context("no binding")?;
    Ok((tenancy.tenant, binding))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_delivery_gets() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let w = &world;
    let other = "byte8_lk_ffffffffffffffffffffffffffffffff";
    type Change = Box<dyn Fn(&mut Asked)>;
    let cases: Vec<(&str, u16, &str, Change)> = vec![
        ("a good one", 202, "", Box::new(|_| {})),
        ("no token", 401, "unauthorised", Box::new(|it| it.authorization = None)),
        ("not a bearer", 401, "unauthorised", Box::new(|it| it.authorization = Some("Basic eDp5".to_owned()))),
        ("malformed", 401, "unauthorised", Box::new(|it| it.authorization = Some("Bearer a.b".to_owned()))),
        ("wrongly signed", 401, "unauthorised", {
            let tenant = w.tenant.clone();
            Box::new(move |it| it.authorization = Some(token(other, &tenant, NOW, 60, "j-signed")))
        }),
        ("signed for the other direction", 401, "unauthorised", {
            let tenant = w.tenant.clone();
            Box::new(move |it| {
                let claims = format!(
                    r#"{{"iss":"magento","sub":"{tenant}","aud":"byte8-ledger","iat":{NOW},"nbf":{NOW},"exp":{},"jti":"j-dir"}}"#,
                    NOW + 60
                );
                it.authorization = Some(format!("Bearer {}", jwt::token(&jwt::inbound_key(API_KEY), &claims)));
            })
        }),
        ("wrong audience", 401, "unauthorised", {
            let tenant = w.tenant.clone();
            Box::new(move |it| {
                let claims = format!(
                    r#"{{"iss":"magento","sub":"{tenant}","aud":"magento","iat":{NOW},"nbf":{NOW},"exp":{},"jti":"j-aud"}}"#,
                    NOW + 60
                );
                it.authorization = Some(format!("Bearer {}", jwt::token(&jwt::outbound_key(API_KEY), &claims)));
            })
        }),
        ("another tenant's path", 401, "unauthorised", Box::new(|it| it.tenant = "somebody-else".to_owned())),
        (
            "an unknown tenant",
            401,
            "unauthorised",
            Box::new(|it| {
                it.tenant = "nobody".to_owned();
                it.authorization = Some(token(API_KEY, "nobody", NOW, 60, "j-nobody"));
            }),
        ),
        ("long expired", 401, "unauthorised", {
            let tenant = w.tenant.clone();
            Box::new(move |it| it.authorization = Some(token(API_KEY, &tenant, NOW - 90_000, 60, "j-old")))
        }),
        ("expired within the skew", 202, "", {
            let tenant = w.tenant.clone();
            Box::new(move |it| it.authorization = Some(token(API_KEY, &tenant, NOW - 350, 60, "j-skew")))
        }),
        ("expired beyond the skew", 503, "clock_out_of_step", {
            let tenant = w.tenant.clone();
            Box::new(move |it| it.authorization = Some(token(API_KEY, &tenant, NOW - 3_600, 60, "j-hour")))
        }),
        ("from the future within the skew", 202, "", {
            let tenant = w.tenant.clone();
            Box::new(move |it| it.authorization = Some(token(API_KEY, &tenant, NOW + 290, 60, "j-soon")))
        }),
        ("from the future beyond the skew", 503, "clock_out_of_step", {
            let tenant = w.tenant.clone();
            Box::new(move |it| it.authorization = Some(token(API_KEY, &tenant, NOW + 3_600, 60, "j-hence")))
        }),
        ("from the far future", 401, "unauthorised", {
            let tenant = w.tenant.clone();
            Box::new(move |it| it.authorization = Some(token(API_KEY, &tenant, NOW + 90_000, 60, "j-far")))
        }),
        ("an unknown event", 400, "unknown_event", Box::new(|it| it.event = "invoice.deleted")),
        ("an unknown provider", 400, "unknown_provider", Box::new(|it| it.provider = Some("quickbooks"))),
        ("not JSON", 400, "invalid_body", Box::new(|it| it.body = "{".to_owned())),
        ("JSON of another shape", 400, "invalid_body", Box::new(|it| it.body = "[1]".to_owned())),
        ("no id", 400, "invalid_magento_entity_id", Box::new(|it| it.body = "{}".to_owned())),
        ("id 0", 400, "invalid_magento_entity_id", Box::new(|it| it.body = r#"{"magento_entity_id":0}"#.to_owned())),
        (
            "a negative id",
            400,
            "invalid_magento_entity_id",
            Box::new(|it| it.body = r#"{"magento_entity_id":-1}"#.to_owned()),
        ),
        (
            "a fractional id",
            400,
            "invalid_magento_entity_id",
            Box::new(|it| it.body = r#"{"magento_entity_id":1.5}"#.to_owned()),
        ),
        (
            "a huge id",
            400,
            "invalid_magento_entity_id",
            Box::new(|it| it.body = r#"{"magento_entity_id":99999999999}"#.to_owned()),
        ),
        ("a long key", 400, "invalid_idempotency_key", Box::new(|it| it.key = Some("k".repeat(129)))),
        ("a key of 128", 202, "", Box::new(|it| it.key = Some("k".repeat(128)))),
        ("no key", 202, "", Box::new(|it| it.key = None)),
        ("64 KiB", 202, "", Box::new(|it| it.body = format!("{BODY}{}", " ".repeat(65_536 - BODY.len())))),
        (
            "64 KiB and a byte",
            400,
            "body_too_large",
            Box::new(|it| it.body = format!("{BODY}{}", " ".repeat(65_537 - BODY.len()))),
        ),
        ("a provider never connected", 400, "no_active_binding", Box::new(|it| it.provider = Some("freeagent"))),
        (
            "unknown fields of the shop's",
            202,
            "",
            Box::new(|it| it.body = r#"{"magento_entity_id":"42","new":{"a":[1]},"payload":[]}"#.to_owned()),
        ),
    ];
    for (number, (name, status, code, change)) in cases.into_iter().enumerate() {
        let mut asked = good(w, &format!("j-{number}"));
        change(&mut asked);
        let answer = asked.of(w).await?;
        ensure!(answer.status_code == status, "{name}: {answer:?}");
        let body: serde_json::Value = serde_json::from_str(&answer.body)?;
        if status == 202 {
            ensure!(body["sync_run_id"].as_str().is_some_and(|id| id.len() == 36), "{name}: {body}");
        } else {
            ensure!(body["code"] == code, "{name}: {body}");
        }
        ensure!((status == 503) == answer.headers.contains_key("Retry-After"), "{name}: {answer:?}");
        if name == "a provider never connected" {
            ensure!(body["message"] == "tenant has no active freeagent binding", "{body}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_spent_once_and_for_one_delivery() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let first = good(&world, "j-1");
    let answer = first.of(&world).await?;
    ensure!(answer.status_code == 202);
    // The very same request again: the same answer.
    ensure!(first.of(&world).await?.body == answer.body);
    // The same delivery under a fresh token: the same run.
    ensure!(good(&world, "j-2").of(&world).await?.body == answer.body);
    // The spent tokens on something else: no.
    for jti in ["j-1", "j-2"] {
        for change in [
            |it: &mut Asked| it.body = BODY.replace("42", "43"),
            |it: &mut Asked| it.key = Some("invoice.created:43".to_owned()),
            |it: &mut Asked| it.event = "invoice.paid",
        ] {
            let mut stolen = good(&world, jti);
            change(&mut stolen);
            ensure!(stolen.of(&world).await?.status_code == 401, "{jti} was taken twice");
        }
    }
    ensure!(world.runs().await?.len() == 1, "more than one run");
    // An id that has expired is forgotten, whether or not the broom has come: judged by the clock.
    world.ledger.clock.advance(3_600_000);
    let mut later = good(&world, "j-1");
    later.authorization = Some(token(API_KEY, &world.tenant, NOW + 3_600, 60, "j-1"));
    later.key = Some("invoice.created:44".to_owned());
    ensure!(later.of(&world).await?.status_code == 202);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_overlap_and_a_pairing_under_way_refuses_nobody() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let ledger = &world.ledger;
    let context = SealContext { label: SEAL_LABEL, owner: world.tenant.clone(), attribute: "api_key" };
    let seal = async |key: &str| ledger.vault.inner.seal(&SecretString::from(key), 1, &context).await;
    let (old, new, alien) = ("byte8_lk_old_old_old_old", "byte8_lk_new_new_new_new", "byte8_lk_alien_alien_alien");
    let asked = |key: &str, jti: &str, now: i64| {
        let mut asked = good(&world, jti);
        asked.authorization = Some(token(key, &world.tenant, now, 60, jti));
        asked.key = Some(format!("invoice.created:{jti}"));
        asked
    };
    let (mut tenant, _) = tenancy(&world).await?;
    tenant.candidate_key = Some(seal(new).await?);
    tenant.previous_key = Some(seal(old).await?);
    tenant.previous_until = Some(MORNING_MS + 86_400_000);
    world.puts_tenant(&tenant).await?;
    world.ledger.clock.advance(61_000);
    let now = NOW + 61;
    for (number, key) in [API_KEY, old, new].into_iter().enumerate() {
        ensure!(asked(key, &format!("o-{number}"), now).of(&world).await?.status_code == 202, "{key} does not verify");
    }
    ensure!(asked(alien, "o-alien", now).of(&world).await?.status_code == 401);
    // A day later the previous key is nobody's.
    world.ledger.clock.advance(86_400_000);
    let now = now + 86_400;
    ensure!(asked(old, "o-late", now).of(&world).await?.status_code == 401);
    for status in ["pending", "token_revoked"] {
        tenant.status = status.to_owned();
        world.puts_tenant(&tenant).await?;
        world.ledger.forgets();
        let answer = asked(alien, &format!("o-{status}"), now).of(&world).await?;
        ensure!(answer.status_code == 503 && answer.headers.contains_key("Retry-After"), "{status}: {answer:?}");
        ensure!(asked(API_KEY, &format!("o-good-{status}"), now).of(&world).await?.status_code == 202, "{status}");
    }
    Ok(())
}

/// A *no* never comes from memory: a key, a binding or a tenant changed a moment ago counts at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_never_refuses() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    ensure!(good(&world, "m-1").of(&world).await?.status_code == 202);
    let new = "byte8_lk_new_new_new_new";
    let context = SealContext { label: SEAL_LABEL, owner: world.tenant.clone(), attribute: "api_key" };
    let (mut tenant, binding) = tenancy(&world).await?;
    tenant.current_key = Some(world.ledger.vault.inner.seal(&SecretString::from(new), 2, &context).await?);
    world.puts_tenant(&tenant).await?;
    world.ledger.clock.advance(2_000);
    let mut asked = good(&world, "m-2");
    asked.authorization = Some(token(new, &world.tenant, NOW, 60, "m-2"));
    ensure!(asked.of(&world).await?.status_code == 202, "the new key was refused from memory");

    let mut gone = binding.clone();
    gone.status = "disconnected".to_owned();
    world.puts_binding(&gone).await?;
    world.ledger.forgets();
    world.ledger.clock.advance(2_000);
    asked.authorization = Some(token(new, &world.tenant, NOW, 60, "m-3"));
    ensure!(asked.of(&world).await?.status_code == 400, "a disconnected binding took a delivery");
    world.puts_binding(&binding).await?;
    world.ledger.clock.advance(2_000);
    asked.authorization = Some(token(new, &world.tenant, NOW, 60, "m-4"));
    ensure!(asked.of(&world).await?.status_code == 202, "the binding was refused from memory");
    for status in ["pending", "needs_reconnect", "paused"] {
        let mut held = binding.clone();
        held.status = status.to_owned();
        world.puts_binding(&held).await?;
        world.ledger.forgets();
        let jti = format!("m-{status}");
        asked.authorization = Some(token(new, &world.tenant, NOW, 60, &jti));
        asked.key = Some(jti.clone());
        ensure!(asked.of(&world).await?.status_code == 202, "{status}");
        let run = world.runs().await?.into_iter().find(|run| run.idempotency_key == jti).context("no run")?;
        ensure!(run.state == "held", "{status}: {run:?}");
    }
    Ok(())
}

/// A ciphertext says nothing in another row, tenant or attribute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_secret_cannot_be_opened() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let vault = &world.ledger.vault.inner;
    let at = |owner: &str, attribute| SealContext { label: SEAL_LABEL, owner: owner.to_owned(), attribute };
    let sealed = vault.seal(&SecretString::from("secret"), 3, &at("a", "api_key")).await?;
    vault.open(&sealed, &at("a", "api_key")).await?;
    let mut older = sealed.clone();
    older.version = 2;
    for (sealed, context) in [
        (&sealed, at("b", "api_key")),
        (&sealed, at("a", "access_token")),
        (&sealed, SealContext { label: "elsewhere", owner: "a".to_owned(), attribute: "api_key" }),
        (&older, at("a", "api_key")),
    ] {
        ensure!(vault.open(sealed, &context).await.is_err(), "{context:?}");
    }
    Ok(())
}

/// Whoever can't be asked refuses nobody: the shop is told to try again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_or_a_key_service_that_is_down_is_a_503() -> anyhow::Result<()> {
    use ledger_engine::ingest::Ingest;
    use ledger_engine::tenants::TenantMemory;
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let environment = ledger_suite::stack::settings().context("no stack")?;
    // Nothing listens on port 1.
    let broken = |variable: &str| {
        let mut environment = environment.clone();
        environment.insert(variable.to_owned(), "http://127.0.0.1:1".to_owned());
        ledger_aws::Config::from_lookup(&|name| environment.get(name).cloned())
            .map_err(anyhow::Error::from)
            .and_then(|config| Ok(ledger_aws::Aws::new(&config)?))
    };
    let ledger = &world.ledger;
    let (no_store, no_keys) = (broken("AWS_ENDPOINT_URL_DYNAMODB")?, broken("AWS_ENDPOINT_URL_KMS")?);
    let store = no_store.store();
    let vault = no_keys.vault();
    let memory = TenantMemory::default();
    let without_store = Ingest {
        store: &store,
        queue: &ledger.queue,
        vault: &ledger.vault,
        clock: &ledger.clock,
        chance: &ledger.chance,
        memory: &memory,
        timers: &ledger.timers,
    };
    let without_keys = Ingest { store: &ledger.store, vault: &vault, ..without_store };
    let asked = good(&world, "down");
    for (name, ingest) in [("store", without_store), ("keys", without_keys)] {
        let answer = ingest.proxied(&asked.request()).await;
        ensure!(answer.status_code == 503 && answer.headers.contains_key("Retry-After"), "{name}: {answer:?}");
    }
    ensure!(world.runs().await?.is_empty(), "a run was written");
    ensure!(asked.of(&world).await?.status_code == 202, "not taken afterwards");
    Ok(())
}
