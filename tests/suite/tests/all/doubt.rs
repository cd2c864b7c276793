//! A write whose answer is lost, late or wrong: one document all the same.

use anyhow::ensure;
use ledger_suite::trip::Side;
use ledger_suite::world::{World, WorldOptions};
use ledger_world::book::{BookFault, FaultSpec};

async fn world() -> anyhow::Result<Option<World>> {
    World::start(WorldOptions::default()).await
}

/// Raises an invoice under faults of the book and lets the world settle: it is there once, in the end. Also in a book
/// that takes a number twice, where nothing but our own memory prevents a double.
async fn check(faults: Vec<FaultSpec>) -> anyhow::Result<()> {
    for unique_references in [true, false] {
        let Some(world) = world().await? else { return Ok(()) };
        world.book.sets(|switches| switches.unique_references = unique_references);
        for fault in &faults {
            world.book.faults(fault.clone());
        }
        let invoice = world.shop.raises("b2b-on-terms")?;
        world.settles().await?;
        world
            .shows_once(invoice)
            .await
            .map_err(|error| error.context(format!("unique references: {unique_references}")))?;
        ensure!(world.book.contacts().len() == 1, "{} contacts", world.book.contacts().len());
        world.is_clean()?;
    }
    Ok(())
}

fn on(method: &str, path: &str, fault: BookFault) -> FaultSpec {
    FaultSpec::on(method, path, 1, fault)
}

fn answer(status: u16, apply: bool) -> BookFault {
    BookFault::Answer { status, body: None, content_type: None, apply }
}

macro_rules! cases {
    ($($name:ident: [$($fault:expr),* $(,)?];)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> anyhow::Result<()> {
            check(vec![$($fault),*]).await
        })+
    };
}

cases! {
    no_faults_at_all: [];
    the_invoice_is_applied_and_its_reply_lost: [on("POST", "/v2/invoices", BookFault::HangUp { apply: true })];
    the_invoice_is_lost_on_the_way: [on("POST", "/v2/invoices", BookFault::HangUp { apply: false })];
    the_contact_is_applied_and_its_reply_lost: [on("POST", "/v2/contacts", BookFault::HangUp { apply: true })];
    the_contact_is_lost_on_the_way: [on("POST", "/v2/contacts", BookFault::HangUp { apply: false })];
    a_gateway_times_out_after_the_write: [on("POST", "/v2/invoices", answer(504, true))];
    a_gateway_times_out_before_the_write: [on("POST", "/v2/invoices", answer(504, false))];
    a_server_error_after_the_write: [on("POST", "/v2/invoices", answer(500, true))];
    doubtful_then_429_on_find_then_again: [
        on("POST", "/v2/invoices", answer(502, true)),
        on("GET", "/v2/invoices", BookFault::RateLimited { retry_after: Some(3) }),
        on("GET", "/v2/invoices", BookFault::RateLimited { retry_after: None }),
    ];
    doubtful_and_absent_then_429_on_find: [
        on("POST", "/v2/invoices", answer(502, false)),
        on("GET", "/v2/invoices", BookFault::RateLimited { retry_after: Some(3) }),
    ];
    a_create_lands_after_the_first_find: [
        on("POST", "/v2/invoices", BookFault::Late { after_requests: Some(1), status: None }),
    ];
    a_contact_lands_after_the_first_find: [
        on("POST", "/v2/contacts", BookFault::Late { after_requests: Some(1), status: None }),
    ];
    rate_limited_before_the_write: [
        on("POST", "/v2/invoices", BookFault::RateLimited { retry_after: Some(2) }),
        on("POST", "/v2/invoices", BookFault::RateLimited { retry_after: None }),
    ];
    a_success_that_breaks_off: [on("POST", "/v2/invoices", BookFault::Garbage { apply: true })];
    a_success_that_was_none: [on("POST", "/v2/invoices", BookFault::ErrorInside)];
    an_endless_answer: [on("POST", "/v2/invoices", BookFault::Huge { bytes: 8_000_000, apply: true })];
    two_doubts_in_a_row: [
        on("POST", "/v2/invoices", answer(502, false)),
        on("POST", "/v2/invoices", answer(502, true)).after(0),
    ];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_for_one_document_the_first_killed_after_its_create() -> anyhow::Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    world.book.sets(|switches| switches.unique_references = false);
    let first = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.shows_once(first).await?;

    // Where the create is among the calls of an attempt whose buyer is known.
    let calls_before_create = {
        let probe = world.shop.raises("b2b-on-terms")?;
        world.ticks().await;
        let probes = world.ledger.queue.take();
        world.ledger.forgets();
        world.ledger.trip.arm(None);
        for message in &probes {
            world.handles(message).await?;
        }
        let (calls, _) = world.ledger.trip.disarm();
        world.settles().await?;
        world.shows_once(probe).await?;
        calls.iter().position(|call| *call == "book.send").unwrap_or_default()
    };

    // Another run for the same document: the same invoice delivered under another idempotency key.
    let second = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    let messages = world.ledger.queue.take();
    let row = world.shop.outbox().into_iter().find(|row| row.idempotency_key == format!("invoice.created:{second}"));
    let payload = row.map(|row| row.payload).unwrap_or_default();
    let request = ledger_engine::wire::gateway::ProxyRequest {
        http_method: "POST".to_owned(),
        path_parameters: Some(
            [
                ("tenant".to_owned(), Some(world.tenant.clone())),
                ("event".to_owned(), Some("invoice.created".to_owned())),
            ]
            .into(),
        ),
        query_string_parameters: Some([("provider".to_owned(), Some("xero".to_owned()))].into()),
        headers: Some(
            [
                ("authorization".to_owned(), Some(format!("Bearer {}", world.shop.signs(0)?))),
                ("idempotency-key".to_owned(), Some("resync:1".to_owned())),
            ]
            .into(),
        ),
        body: Some(payload),
        is_base64_encoded: false,
    };
    let answer = world.ledger.takes(&request).await;
    ensure!(answer.is_some_and(|answer| answer.status_code == 202), "the second delivery was not taken");
    let others = world.ledger.queue.take();

    // The first is killed right after the book applied its create.
    world.ledger.forgets();
    world.ledger.trip.arm(Some((calls_before_create, Side::After)));
    for message in &messages {
        world.handles(message).await?;
    }
    let (_, struck) = world.ledger.trip.disarm();
    ensure!(struck == Some("book.send"), "struck {struck:?}");
    // The other run goes on at once; its lease has to wait until the dead one's has run out.
    for message in &others {
        world.ledger.queue.put_back(message.clone());
    }
    world.settles().await?;
    let runs: Vec<_> =
        world.runs().await?.into_iter().filter(|run| i64::try_from(run.magento_id).ok() == Some(second)).collect();
    ensure!(runs.len() == 2 && runs.iter().all(|run| run.state == "succeeded"), "{runs:?}");
    let reference = runs.first().and_then(|run| run.provider_reference.clone()).unwrap_or_default();
    ensure!(world.book.shows(&reference).len() == 1, "not once: {:?}", world.book.shows(&reference));
    world.is_clean()
}
