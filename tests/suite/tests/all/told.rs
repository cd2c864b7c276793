//! People are told what is wrong with a shop, at once and in the digest, and when it is well again.

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use ledger_aws::{SystemChance, SystemClock};
use ledger_engine::dialects::Reply;
use ledger_engine::notices::{
    NOTICE_HEADER, NewRecipient, Recipients, SIGNATURE_HEADER, TIMESTAMP_HEADER, TellReport, Telling, signature,
};
use ledger_engine::ports::{
    Clock as _, HookCall, Hooks, NoticeStore as _, Notices, PortFault, PortResult, Published, TransportFault,
};
use ledger_engine::wire::notice::NoticeV1;
use ledger_suite::deployed::{Deployed, until};
use ledger_suite::world::{World, WorldOptions};
use ledger_world::book::{BookFault, FaultSpec};
use ledger_world::shop::{Address, ItemSpec, OrderSpec};
use secrecy::SecretString;
use std::sync::{Mutex, PoisonError};

const SECRET: &str = "a-secret-of-more-than-thirty-two-bytes";
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// What the deployed stack brings about is there within this.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

/// A post as it came: address, body, headers.
type Post = (String, String, Vec<(String, String)>);

/// What came out.
#[derive(Default)]
struct Outside {
    mails: Mutex<Vec<Published>>,
    posts: Mutex<Vec<Post>>,
    down: Mutex<bool>,
}

impl Outside {
    fn mails(&self) -> Vec<Published> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn posts(&self) -> Vec<NoticeV1> {
        let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.iter().filter_map(|(_, body, _)| serde_json::from_str(body).ok()).collect()
    }

    fn is_down(&self, down: bool) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = down;
    }
}

#[async_trait]
impl Notices for Outside {
    async fn publish(&self, notice: &Published) -> PortResult<()> {
        if *self.down.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(PortFault::Unavailable("the topic is down".to_owned()));
        }
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).push(notice.clone());
        Ok(())
    }
}

#[async_trait]
impl Hooks for Outside {
    async fn post(&self, call: &HookCall<'_>) -> Result<Reply, TransportFault> {
        let headers = call.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let post = (call.url.to_owned(), call.body.to_owned(), headers);
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).push(post);
        let down = *self.down.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Reply { status: if down { 500 } else { 204 }, ..Reply::default() })
    }
}

async fn tells(world: &World, outside: &Outside) -> TellReport {
    let ledger = &world.ledger;
    let telling = Telling {
        store: &ledger.store,
        vault: &ledger.vault,
        topic: outside,
        hooks: outside,
        clock: &ledger.clock,
        chance: &ledger.chance,
        timers: &ledger.timers,
        public_url: Some("https://ledger.example/live"),
    };
    telling.tell(ledger.clock.now_ms() + MINUTE_MS).await
}

fn recipients(world: &World) -> Recipients<'_> {
    Recipients {
        store: &world.ledger.store,
        vault: &world.ledger.vault,
        clock: &world.ledger.clock,
        chance: &world.ledger.chance,
        allow_private_addresses: false,
    }
}

fn hook(role: &str) -> NewRecipient {
    NewRecipient {
        id: None,
        role: role.to_owned(),
        way: "webhook".to_owned(),
        url: Some("https://hooks.example/ledger".to_owned()),
        secret: Some(SecretString::from(SECRET)),
    }
}

fn topic(role: &str) -> NewRecipient {
    NewRecipient { id: None, role: role.to_owned(), way: "sns".to_owned(), url: None, secret: None }
}

/// Lets minutes pass, sweeping and telling in each.
async fn passes(world: &World, outside: &Outside, minutes: i64) -> anyhow::Result<()> {
    for _ in 0..minutes {
        world.passes(1).await?;
        tells(world, outside).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn troubles_are_told_to_who_can_mend_them_and_that_they_are_over() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let outside = Outside::default();
    ensure!(tells(&world, &outside).await == TellReport::default(), "nobody is told, and yet");
    recipients(&world).put(&world.tenant, 0, "op-1", 420, &[hook("merchant"), topic("operator")]).await?;
    tells(&world, &outside).await;
    ensure!(outside.posts().is_empty() && outside.mails().is_empty(), "nothing is wrong");

    // The first of a cause is told at once, with the document's number, cause, remedy and link.
    let refusal = || BookFault::Refused { field: "category".to_owned(), message: "is not known".to_owned() };
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 2, refusal()));
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    ensure!(tells(&world, &outside).await == TellReport { sent: 1, ..TellReport::default() });
    let posts = outside.posts();
    let told = posts.first().context("nobody was told")?;
    ensure!((told.kind.as_str(), told.role.as_str()) == ("dead_letters", "merchant"), "{told:?}");
    let trouble = told.troubles.first().context("of nothing")?;
    let number = world.run_of(invoice).await?.increment_id.context("no number")?;
    ensure!(trouble.documents == [format!("invoice {number}")], "{trouble:?}");
    ensure!(
        (trouble.code.as_str(), trouble.family.as_str(), trouble.count) == ("category_unknown", "settings", 1),
        "{trouble:?}"
    );
    ensure!(!trouble.cause.is_empty() && !trouble.remedy.is_empty(), "{trouble:?}");
    let link = trouble.link.clone().unwrap_or_default();
    ensure!(link.ends_with(&format!("/v1/dead-letters?tenant={}&code=category_unknown", world.tenant)), "{link}");
    {
        let posts = outside.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let (url, body, headers) = posts.first().context("no post")?;
        ensure!(url == "https://hooks.example/ledger");
        // Nobody who bought anything is in it.
        for word in ["hallam", "@", "accounts"] {
            ensure!(!body.to_lowercase().contains(word), "{word} in {body}");
        }
        let header = |name: &str| headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
        let seconds: i64 = header(TIMESTAMP_HEADER).context("no time")?.parse()?;
        ensure!(header(SIGNATURE_HEADER) == Some(signature(&SecretString::from(SECRET), seconds, body)));
        ensure!(header(NOTICE_HEADER).as_deref() == Some(told.id.as_str()));
    }
    ensure!(outside.mails().is_empty(), "operators hear of what is the merchant's: {:?}", outside.mails());

    // A second one is no news, and neither is the next minute.
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 2, refusal()));
    world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    passes(&world, &outside, 3).await?;
    ensure!(outside.posts().len() == 1, "{:?}", outside.posts());

    // A lost connection is the accountant's; there is none, so the operators hear of it.
    world.book.revokes(ledger_suite::world::BOOK_TOKEN);
    world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    tells(&world, &outside).await;
    let mails = outside.mails();
    ensure!(mails.len() == 1 && mails[0].subject.contains("connection is lost"), "{mails:?}");
    ensure!(mails[0].text.contains("needs_reconnect"), "{mails:?}");
    // What is held for it for an hour is told once more.
    world.ledger.clock.advance(HOUR_MS);
    passes(&world, &outside, 2).await?;
    let mails = outside.mails();
    ensure!(mails.len() == 2 && mails[1].subject.contains("held for more than an hour"), "{mails:?}");

    // All is mended: ten minutes later everybody hears that it is.
    world.book.accepts("new-token");
    world.operator().set_token(&world.tenant, &world.binding, &SecretString::from("new-token")).await?;
    for run in world.operator().dead_letters().await? {
        world.operator().retry(&run.run_id).await?;
    }
    passes(&world, &outside, 15).await?;
    let mails = outside.mails();
    ensure!(mails.len() == 3 && mails[2].subject.contains("well again"), "{mails:?}");
    let healthy: Vec<String> = outside.posts().into_iter().skip(1).map(|it| it.kind).collect();
    ensure!(healthy == ["healthy"], "{healthy:?}");
    // With nothing wrong there is no digest.
    passes(&world, &outside, 2).await?;
    world.ledger.clock.advance(24 * HOUR_MS);
    passes(&world, &outside, 1).await?;
    ensure!(outside.mails().len() == 3 && outside.posts().len() == 2, "{:?}", outside.mails().last());
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_sent_again_under_the_same_id_and_a_digest_repeats_what_stays() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let outside = Outside::default();
    let row = recipients(&world).put(&world.tenant, 0, "op-1", 420, &[hook("accountant"), topic("operator")]).await?;
    tells(&world, &outside).await;
    world.book.faults(FaultSpec::on(
        "POST",
        "/v2/invoices",
        1,
        BookFault::Refused { field: "dated_on".to_owned(), message: "is in a locked period".to_owned() },
    ));
    outside.is_down(true);
    world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    ensure!(tells(&world, &outside).await.failed == 1, "it was taken");
    ensure!(tells(&world, &outside).await == TellReport::default(), "it is not tried again at once");
    world.ledger.clock.advance(2 * MINUTE_MS);
    ensure!(tells(&world, &outside).await.failed == 1, "it was not tried again");
    outside.is_down(false);
    world.ledger.clock.advance(10 * MINUTE_MS);
    ensure!(tells(&world, &outside).await.sent == 1, "it was not taken");
    let posts = outside.posts();
    ensure!(posts.len() == 3 && posts.iter().all(|it| it.id == posts[0].id), "{posts:?}");
    let kept = world.ledger.store.notices(&world.tenant).await?.context("no row")?;
    ensure!(kept.outbox.is_empty() && kept.told.len() == 1, "{kept:?}");

    // Dead letters stay what they are: the digest says so, once a day.
    world.ledger.clock.advance(24 * HOUR_MS);
    passes(&world, &outside, 3).await?;
    let digests: Vec<String> = outside.posts().into_iter().skip(3).map(|it| it.kind).collect();
    ensure!(digests == ["digest"], "{digests:?}");

    // Who is told may change; whoever comes second with an old revision may not.
    let late = recipients(&world).put(&world.tenant, row.revision, "op-2", 420, &[]).await;
    ensure!(late.is_err(), "an old revision was put");
    let kept = recipients(&world).of(&world.tenant).await?;
    let elsewhere = NewRecipient {
        id: kept.recipients.first().map(|it| it.id.clone()),
        url: Some("https://other.example/".to_owned()),
        secret: None,
        ..hook("accountant")
    };
    let stolen = recipients(&world).put(&world.tenant, kept.revision, "op-2", 420, &[elsewhere]).await;
    ensure!(stolen.is_err(), "a secret moved to another address");
    let stays =
        NewRecipient { id: kept.recipients.first().map(|it| it.id.clone()), secret: None, ..hook("accountant") };
    let next = recipients(&world).put(&world.tenant, kept.revision, "op-2", 421, &[stays]).await?;
    ensure!(next.recipients.len() == 1 && next.recipients[0].secret == kept.recipients[0].secret);
    recipients(&world).test(&world.tenant).await?;
    let before = outside.posts().len();
    tells(&world, &outside).await;
    let posts = outside.posts();
    ensure!(posts.len() == before + 1 && posts.last().is_some_and(|it| it.kind == "test"), "{:?}", posts.last());
    recipients(&world).put(&world.tenant, next.revision + 99, "op-2", 421, &[]).await.err().context("put")?;
    Ok(())
}

/// What nobody may read in a notice: who bought something, where they live, what it came to.
const PERSONAL: [&str; 9] = ["hallam", "@", "accounts", "priya", "nair", "foundry", "high street", "sam lee", "43.6"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_a_family_is_told_at_once_and_the_others_in_the_digest() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let outside = Outside::default();
    recipients(&world).put(&world.tenant, 0, "op-1", 420, &[hook("merchant"), topic("operator")]).await?;
    tells(&world, &outside).await;
    let refused = BookFault::Refused { field: "category".to_owned(), message: "is not known".to_owned() };
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 2, refused));
    world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    passes(&world, &outside, 1).await?;
    let kinds = |outside: &Outside| outside.posts().into_iter().map(|it| it.kind).collect::<Vec<_>>();
    ensure!(kinds(&outside) == ["dead_letters"], "{:?}", outside.posts());
    // Another cause of the same family, for the same people: it is theirs to find by tomorrow.
    let address = Address::british("1 High Street", "London", "N1 7AA");
    let strange = OrderSpec::for_guest("sam@example.com", "Sam", "Lee", address)
        .item(ItemSpec::simple("TEE", "Tee", 10, "100").taxed("33"))
        .paid_by("trade_credit");
    let invoice = world.shop.invoices(&world.shop.places(&strange)?)?;
    world.settles().await?;
    world.stands(invoice, "dead_lettered", Some("tax_rate_unmapped"), "failed").await?;
    passes(&world, &outside, 3).await?;
    ensure!(kinds(&outside) == ["dead_letters"], "{:?}", outside.posts());
    // One that the operators have to mend is of another family.
    world.shop.faults("invoice", 1, ledger_world::shop::ShopFault::Garbage);
    world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    passes(&world, &outside, 1).await?;
    let mails = outside.mails();
    ensure!(mails.len() == 1 && mails[0].text.contains("shop_answer_unreadable"), "{mails:?}");
    // The digest has each cause by itself, each with its documents and its remedy.
    world.ledger.clock.advance(24 * HOUR_MS);
    passes(&world, &outside, 1).await?;
    let digest = outside.posts().pop().context("no digest")?;
    ensure!(digest.kind == "digest", "{digest:?}");
    let mut causes: Vec<&str> = digest.troubles.iter().map(|it| it.code.as_str()).collect();
    causes.sort_unstable();
    ensure!(causes == ["category_unknown", "tax_rate_unmapped"], "{digest:?}");
    for trouble in &digest.troubles {
        ensure!(trouble.count == 1 && trouble.documents.len() == 1 && trouble.family == "settings", "{trouble:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_notice_names_what_it_is_about_and_nothing_of_a_person() -> anyhow::Result<()> {
    let Some(world) = World::start(WorldOptions::default()).await? else { return Ok(()) };
    let outside = Outside::default();
    let everybody = [hook("merchant"), hook("accountant"), topic("operator")];
    recipients(&world).put(&world.tenant, 0, "op-1", 420, &everybody).await?;
    tells(&world, &outside).await;
    let told = |kind: &str, role: &str| {
        let posts = outside.posts();
        let found = posts.iter().find(|it| (it.kind.as_str(), it.role.as_str()) == (kind, role)).cloned();
        found.with_context(|| format!("no {kind} for {role}: {posts:?}"))
    };
    // The shop loses our key: nobody but its own people can help.
    world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    world.shop.drops_key();
    world.works().await?;
    passes(&world, &outside, 8).await?;
    ensure!(told("connection_lost", "merchant")?.troubles[0].code == "shop_unauthorised");
    // What waits for it has waited for an hour.
    world.ledger.clock.advance(HOUR_MS);
    passes(&world, &outside, 1).await?;
    ensure!(told("held_long", "merchant")?.troubles[0].code == "shop_unauthorised");
    world.shop.finds_key();
    passes(&world, &outside, 12).await?;
    ensure!(told("healthy", "merchant")?.troubles.len() == 2, "{:?}", outside.posts());
    // The book asks for an account that was withdrawn from us; a document is refused; and then nothing comes for long.
    world.book.revokes(ledger_suite::world::BOOK_TOKEN);
    world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    passes(&world, &outside, 1).await?;
    ensure!(told("connection_lost", "accountant")?.troubles[0].code == "needs_reconnect");
    world.book.accepts("new-token");
    world.operator().set_token(&world.tenant, &world.binding, &SecretString::from("new-token")).await?;
    world.settles().await?;
    let refused = BookFault::Refused { field: "dated_on".to_owned(), message: "is in a locked period".to_owned() };
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 1, refused));
    world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    passes(&world, &outside, 1).await?;
    ensure!(told("dead_letters", "accountant")?.troubles[0].code == "period_locked");
    world.ledger.clock.advance(8 * 24 * HOUR_MS);
    passes(&world, &outside, 2).await?;
    ensure!(told("shop_silent", "merchant")?.troubles[0].code == "shop_silent");
    ensure!(told("digest", "accountant")?.troubles[0].code == "period_locked");
    for notice in outside.posts() {
        for trouble in &notice.troubles {
            ensure!(!trouble.cause.is_empty() && !trouble.remedy.is_empty() && !trouble.since.is_empty(), "{notice:?}");
            // What is over needs nobody to look.
            ensure!(trouble.link.is_some() != (notice.kind == "healthy"), "{notice:?}");
            let counts = ["dead_letters", "held_long"].contains(&trouble.kind.as_str()) && notice.kind != "healthy";
            ensure!(counts == (trouble.count > 0), "{notice:?}");
            ensure!(trouble.documents.len() == usize::try_from(trouble.count)?, "{notice:?}");
            // A customer has no number.
            let numbered = |it: &String| it.starts_with("invoice 0") || it.starts_with("customer with id ");
            ensure!(trouble.documents.iter().all(numbered), "{notice:?}");
        }
    }
    let bodies: Vec<String> = {
        let posts = outside.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.iter().map(|(_, body, _)| body.clone()).collect()
    };
    let mails = outside.mails().into_iter().map(|mail| format!("{} {}", mail.subject, mail.text));
    for text in bodies.into_iter().chain(mails) {
        for word in PERSONAL {
            ensure!(!text.to_lowercase().contains(word), "{word} in {text}");
        }
    }
    Ok(())
}

/// A request as a webhook gets it: its headers and its body.
type Got = std::sync::Arc<Mutex<Vec<(axum::http::HeaderMap, String)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deployed_sweeper_tells_the_topic_and_a_webhook_that_can_check_who_it_is() -> anyhow::Result<()> {
    let Some(deployed) = Deployed::start("told").await? else { return Ok(()) };
    let got = Got::default();
    let keeps = std::sync::Arc::clone(&got);
    let router = axum::Router::new().fallback(move |headers: axum::http::HeaderMap, body: String| {
        keeps.lock().unwrap_or_else(PoisonError::into_inner).push((headers, body));
        std::future::ready(axum::http::StatusCode::NO_CONTENT)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook?shop=1", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let recipients = Recipients {
        store: &deployed.store,
        vault: &deployed.vault,
        clock: &SystemClock,
        chance: &SystemChance,
        allow_private_addresses: true,
    };
    let webhook = NewRecipient { url: Some(url), ..hook("operator") };
    recipients.put(&deployed.tenant, 0, "op-1", 420, &[webhook, topic("operator")]).await?;
    let since = SystemClock.now_ms();
    deployed.shop.faults("invoice", 1, ledger_world::shop::ShopFault::Garbage);
    deployed.shop.raises("b2b-on-terms")?;
    let (got, deployed) = (&got, &deployed);
    let posts = || got.lock().unwrap_or_else(PoisonError::into_inner).clone();
    until("the webhook is told of the dead letter, and so is the topic", LIMIT, || async move {
        deployed.shop.ticks().await;
        deployed.sweeps().await?;
        if got.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return Ok(false);
        }
        let told = deployed.script(&["alarms", "--since", &since.to_string()]).await?;
        let told: serde_json::Value = serde_json::from_str(&told)?;
        let lines = told["lines"].as_array().context("no lines")?;
        let sent = |line: &&serde_json::Value| {
            let line = line.as_str().unwrap_or_default();
            line.contains("\"notice sent\"") && line.contains(&deployed.tenant)
        };
        Ok(lines.iter().filter(sent).count() >= 2)
    })
    .await?;
    let posts = posts();
    let (headers, body) = posts.first().context("no post")?;
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let seconds: i64 = header(TIMESTAMP_HEADER).context("no time")?.parse()?;
    ensure!(header(SIGNATURE_HEADER) == Some(signature(&SecretString::from(SECRET), seconds, body)), "{headers:?}");
    ensure!((SystemClock.now_ms().div_euclid(1_000) - seconds).abs() < 300, "signed at {seconds}");
    let notice: NoticeV1 = serde_json::from_str(body)?;
    ensure!((notice.kind.as_str(), &notice.tenant) == ("dead_letters", &deployed.tenant), "{notice:?}");
    ensure!(notice.troubles[0].code == "shop_answer_unreadable" && notice.troubles[0].link.is_some(), "{notice:?}");
    ensure!(header(NOTICE_HEADER) == Some(notice.id), "{headers:?}");
    Ok(())
}
