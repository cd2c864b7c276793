//! A book that asks for a pause, or is down, waits as a whole and alone; what goes first of what waits; dead letters that
//! close by themselves, and those of a kind that are tried again together.

use anyhow::{Context as _, ensure};
use ledger_engine::domain::code::{Code, Family};
use ledger_engine::domain::identity::Event;
use ledger_engine::operate::{Kin, NewBinding, REQUEUE_MAX};
use ledger_engine::ports::Clock as _;
use ledger_engine::ports::{Operations as _, QueueName, Sweeps as _, Tenants as _};
use ledger_engine::wire::api::{Binding, moment};
use ledger_engine::wire::rows::{LeaseRow, RunRow};
use ledger_suite::world::{BOOK_TOKEN, Spoken, World, WorldOptions, bound};
use ledger_world::book::{Book, BookFault, BookOptions, FaultSpec, House};
use ledger_world::clock::Clock as WorldClock;
use secrecy::SecretString;

const MINUTE_MS: i64 = 60_000;

macro_rules! world {
    ($options:expr) => {
        match World::start($options).await? {
            Some(world) => world,
            None => return Ok(()),
        }
    };
}

async fn lease(world: &World) -> anyhow::Result<LeaseRow> {
    let book = world.runs().await?.into_iter().map(|run| run.book).find(|book| !book.is_empty()).context("no run")?;
    world.ledger.store.lease(&book).await?.context("no lease")
}

/// How many attempts all runs of an event have had.
fn attempts(runs: &[RunRow], event: &str) -> u32 {
    runs.iter().filter(|run| run.event == event).map(|run| run.attempt).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_runs_of_a_paused_book_wait_without_an_attempt_and_go_on_by_themselves() -> anyhow::Result<()> {
    let world = world!(WorldOptions::default());
    // Known, so that every later invoice is one call.
    let known = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.shows_once(known).await?;
    let answers = |status: u16, code: &'static str, pause: i64| (status, code, pause);
    for (status, code, pause) in
        [answers(429, "book_rate_limited", 1_800_000), answers(503, "book_unavailable", 60_000)]
    {
        let fault = match status {
            429 => BookFault::RateLimited { retry_after: Some(1_800) },
            _ => BookFault::page(503, false),
        };
        world.book.faults(FaultSpec::on("POST", "/v2/invoices", 1, fault));
        let before = attempts(&world.runs().await?, "invoice.created");
        let invoices: Vec<i64> = (0..5).map(|_| world.shop.raises("b2b-on-terms")).collect::<anyhow::Result<_>>()?;
        let began = world.ledger.clock.now_ms();
        world.ticks().await;
        world.works().await?;
        let paused = lease(&world).await?;
        ensure!(paused.pause_code.as_deref() == Some(code) && paused.pauses == 1, "{paused:?}");
        let until = paused.paused_until.context("no time")?;
        ensure!((began + pause..began + pause + MINUTE_MS).contains(&until), "{status}: until {until} from {began}");
        // One run has asked. Four wait for what it heard, and say so, with the time.
        let runs = world.runs().await?;
        ensure!(attempts(&runs, "invoice.created") == before + 1, "{status}: more than one attempt");
        let waiting: Vec<&RunRow> = runs.iter().filter(|run| run.code.as_deref() == Some("book_paused")).collect();
        ensure!(waiting.len() == 4, "{status}: {} wait", waiting.len());
        for run in &waiting {
            ensure!(run.state == "waiting" && run.due_at == Some(until), "{run:?}");
            ensure!((run.attempt, run.unfinished, run.failures) == (0, 0, 0), "{run:?}");
            ensure!(run.failing_since.is_none(), "the horizon has begun: {run:?}");
        }
        // Meanwhile nobody asks the book, however often the sweeper looks.
        let asked = world.book.log().len();
        world.ledger.sweeps().await;
        world.works().await?;
        ensure!(world.book.log().len() == asked, "{status}: the book was asked");
        world.settles().await?;
        for invoice in invoices {
            world.shows_once(invoice).await?;
        }
        let over = lease(&world).await?;
        ensure!((over.paused_until, over.pauses, over.pause_code) == (None, 0, None), "a pause is left");
    }
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_book_is_down_and_the_other_is_synced() -> anyhow::Result<()> {
    let world = world!(WorldOptions { also: vec!["freeagent".to_owned()], ..WorldOptions::default() });
    let clock = world.ledger.clock.clone();
    let second = Book::start(BookOptions {
        clock: WorldClock::from_function(move || clock.now_ms().div_euclid(1_000)),
        house: House::Freeagent,
        ..BookOptions::default()
    })
    .await?;
    let bound = bound(&second, None, "second", false);
    let binding = world
        .operator()
        .add_binding(&NewBinding {
            tenant: world.tenant.clone(),
            provider: "freeagent".to_owned(),
            dialect: "freeagent".to_owned(),
            base_url: bound.base_url,
            organisation: bound.organisation,
            web_name: None,
            token: SecretString::from(BOOK_TOKEN),
            settings: bound.settings,
        })
        .await?;
    world.ledger.forgets();
    // Whatever the first book is asked, it is down.
    for method in ["GET", "POST", "PUT"] {
        world.book.faults(FaultSpec::on(method, "/v2", 10_000, BookFault::page(503, false)));
    }
    let invoice = world.shop.raises("b2b-on-terms")?;
    for _ in 0..3 {
        world.ticks().await;
        world.passes(1).await?;
    }
    let of = |runs: &[RunRow], other: bool| -> Option<RunRow> {
        let is = |run: &&RunRow| run.event == "invoice.created" && (run.binding == binding.binding) == other;
        runs.iter().find(is).cloned()
    };
    let runs = world.runs().await?;
    let (down, up) = (of(&runs, false).context("no run")?, of(&runs, true).context("no second run")?);
    ensure!(up.state == "succeeded", "the other book's run is {} ({:?})", up.state, up.message);
    let chip = world.shop.chip_of("freeagent", "invoice", invoice).context("no chip")?;
    ensure!(chip.sync_status == "synced", "the other book's chip is {}", chip.sync_status);
    ensure!(down.state == "waiting", "the first book's run is {} ({:?})", down.state, down.code);
    ensure!(world.shop.chip_of("xero", "invoice", invoice).is_none_or(|chip| chip.sync_status == "pending"));
    // It comes back, and nobody has to do anything.
    world.book.heals();
    world.settles().await?;
    let run = of(&world.runs().await?, false).context("no run")?;
    ensure!(run.state == "succeeded", "the first book's run is {} ({:?})", run.state, run.message);
    let chip = world.shop.chip_of("xero", "invoice", invoice).context("no chip")?;
    ensure!(chip.sync_status == "synced", "the first book's chip is {}", chip.sync_status);
    for (book, run) in [(&world.book, &run), (&second, &up)] {
        let reference = run.provider_reference.clone().unwrap_or_default();
        ensure!(book.shows(&reference).len() == 1, "{} of {reference}", book.shows(&reference).len());
    }
    ensure!(second.overlaps().is_empty());
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_book_whose_day_is_used_up_says_until_when_and_goes_on_by_itself() -> anyhow::Result<()> {
    let (spoken, requests_per_day) = (Spoken::Accounting, Some(6));
    let world = world!(WorldOptions { spoken, requests_per_day, ..WorldOptions::default() });
    let invoices: Vec<i64> = (0..6).map(|_| world.shop.raises("b2b-on-terms")).collect::<anyhow::Result<_>>()?;
    world.ticks().await;
    world.works().await?;
    let (now, paused) = (world.ledger.clock.now_ms(), lease(&world).await?);
    ensure!(paused.pause_code.as_deref() == Some("book_day_limit"), "{paused:?}");
    let until = paused.paused_until.context("no time")?;
    ensure!((now + 1..=now + 86_400_000).contains(&until), "until {until}, now {now}");
    // That is when its runs go on, and what whoever looks at the binding or at a run is told.
    let row = world.ledger.store.tenancy(&world.tenant).await?.context("no tenant")?.bindings.remove(0);
    let shown = Binding::of(&row).with_pause(Some(&paused), now);
    ensure!((shown.paused_until, shown.pause_code) == (Some(moment(until)), paused.pause_code), "{:?}", shown.mode);
    let runs = world.runs().await?;
    let waiting: Vec<&RunRow> = runs.iter().filter(|run| run.state == "waiting").collect();
    ensure!(!waiting.is_empty(), "nothing waits");
    for run in waiting {
        ensure!(run.due_at >= Some(until) && run.message.is_some(), "{run:?}");
    }
    world.settles().await?;
    for invoice in &invoices {
        let run = world.run_of(*invoice).await?;
        ensure!(run.state == "succeeded", "{run:?}");
    }
    ensure!(world.holds().invoices.len() == invoices.len(), "{} invoices", world.holds().invoices.len());
    ensure!(lease(&world).await?.paused_until.is_none(), "a pause is left");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_does_not_use_up_the_three_days() -> anyhow::Result<()> {
    let world = world!(WorldOptions::default());
    // A hundred hours of "tomorrow".
    world.book.faults(FaultSpec::on("POST", "/v2/contacts", 6, BookFault::RateLimited { retry_after: Some(72_000) }));
    let invoice = world.shop.raises("b2b-on-terms")?;
    let began = world.ledger.clock.now_ms();
    world.settles().await?;
    ensure!(world.ledger.clock.now_ms() - began > 4 * 86_400_000, "it was not paused for long");
    world.shows_once(invoice).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_is_due_money_is_sent_first() -> anyhow::Result<()> {
    let world = world!(WorldOptions::default());
    let invoice = world.shop.raises("b2b-on-terms")?;
    for id in 900..906 {
        world.tells("product.upserted", id).await?;
    }
    world.ticks().await;
    let _lost = world.ledger.queue.take();
    world.ledger.clock.advance(700_000);
    world.ledger.sweeps().await;
    let sent: Vec<Event> = world
        .ledger
        .queue
        .take()
        .into_iter()
        .filter_map(|message| match message.queue {
            QueueName::Work(event) => Some(event),
            QueueName::PushSyncState | QueueName::DeadLetter => None,
        })
        .collect();
    let first = |event: Event| sent.iter().position(|it| *it == event);
    let last = |event: Event| sent.iter().rposition(|it| *it == event);
    ensure!(sent.len() >= 7, "{sent:?}");
    ensure!(last(Event::InvoiceCreated) < first(Event::ProductUpserted), "{sent:?}");
    if let Some(customer) = first(Event::CustomerUpserted) {
        ensure!(last(Event::InvoiceCreated) < Some(customer), "{sent:?}");
        ensure!(last(Event::CustomerUpserted) < first(Event::ProductUpserted), "{sent:?}");
    }
    ensure!(invoice > 0);
    Ok(())
}

/// A shop with an invoice that its book refused for its category.
async fn refused(world: &World, category: &str) -> anyhow::Result<i64> {
    let fault = BookFault::Refused { field: category.to_owned(), message: "is not known".to_owned() };
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 2, fault));
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.book.heals();
    Ok(invoice)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_closes_when_a_later_run_of_its_document_gets_through() -> anyhow::Result<()> {
    let world = world!(WorldOptions { banks: true, ..WorldOptions::default() });
    let invoice = refused(&world, "category").await?;
    world.stands(invoice, "dead_lettered", Some("category_unknown"), "failed").await?;
    ensure!(world.ledger.queue.bells().len() == 1, "no bell");
    let dead = world.run_of(invoice).await?;
    // The same event again, under another key: a run of its own.
    world.tells_anew("invoice.created", invoice, "again").await?;
    world.works().await?;
    world.passes(2).await?;
    let runs = world.runs_for("invoice.created", invoice).await?;
    ensure!(runs.len() == 2, "{} runs", runs.len());
    for run in &runs {
        ensure!(run.state == "succeeded", "{} is {} ({:?}): {runs:#?}", run.run_id, run.state, run.code);
        ensure!(run.state_key.is_none() && run.code.is_none(), "{run:?}");
    }
    let closed = runs.iter().find(|run| run.run_id == dead.run_id).context("gone")?;
    ensure!(closed.generation == dead.generation && closed.attempt == dead.attempt, "it was tried again: {closed:?}");
    let chip = world.shop.chip("invoice", invoice).context("no chip")?;
    ensure!(chip.sync_status == "synced", "the chip is {}", chip.sync_status);
    ensure!(world.operator().dead_letters().await?.is_empty(), "still listed");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_of_a_kind_are_tried_again_together() -> anyhow::Result<()> {
    let world = world!(WorldOptions::default());
    let category = refused(&world, "category").await?;
    let strange = refused(&world, "colour").await?;
    world.stands(category, "dead_lettered", Some("category_unknown"), "failed").await?;
    world.stands(strange, "dead_lettered", Some("book_refused"), "failed").await?;
    // What no rule recognised is counted, without a word of the book's.
    let refusals = world.ledger.store.refusals(10).await?;
    ensure!(refusals.len() == 1, "{refusals:?}");
    let first = refusals.first().context("none")?;
    ensure!(
        (first.provider.as_str(), first.status, first.field.as_str(), first.count) == ("xero", 422, "colour", 1),
        "{first:?}"
    );
    ensure!(!format!("{first:?}").contains("is not known"), "the book's words: {first:?}");

    let operator = world.operator();
    let nobodys = operator.requeue(Kin::Family(Family::Settings), None, REQUEUE_MAX, &|_| false).await?;
    ensure!(nobodys.runs.is_empty() && nobodys.refused.is_empty() && !nobodys.more, "{nobodys:?}");
    let done = operator.requeue(Kin::Family(Family::Settings), Some(&world.binding), REQUEUE_MAX, &|_| true).await?;
    ensure!(done.runs.len() == 1 && done.refused.is_empty() && !done.more, "{done:?}");
    world.settles().await?;
    world.shows_once(category).await?;
    world.stands(strange, "dead_lettered", Some("book_refused"), "failed").await?;
    let done = operator.requeue(Kin::Code(Code::BookRefused), None, REQUEUE_MAX, &|_| true).await?;
    ensure!(done.runs.len() == 1, "{done:?}");
    world.settles().await?;
    world.shows_once(strange).await?;
    // A bell that was looked at is hidden for some seconds; the next sweep of the schedule removes it.
    world.ledger.clock.advance(60_000);
    world.ledger.sweeps().await;
    world.is_clean()
}
