//! What becomes of an invoice, and what the shop is told.

use anyhow::ensure;
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::QueueName;
use ledger_suite::world::{World, WorldOptions};
use ledger_world::book::{BookFault, FaultSpec, Seed, TaxRounding};
use ledger_world::shop::{Address, ClientVersion, ItemSpec, OrderSpec, ShopFault};
use secrecy::SecretString;
use serde_json::json;

async fn world() -> anyhow::Result<Option<World>> {
    World::start(WorldOptions::default()).await
}

macro_rules! world {
    () => {
        match world().await? {
            Some(world) => world,
            None => return Ok(()),
        }
    };
    ($options:expr) => {
        match World::start($options).await? {
            Some(world) => world,
            None => return Ok(()),
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_order_is_synced_to_the_penny() -> anyhow::Result<()> {
    let world = world!();
    for preset in ["b2b-on-terms", "guest-two-rates", "inclusive-with-coupon", "zero-value"] {
        let invoice = world.shop.raises(preset)?;
        world.settles().await?;
        world.shows_once(invoice).await.map_err(|error| error.context(preset))?;
    }
    let invoice = world.shop.raises("foreign-currency")?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    let reference = world.run_of(invoice).await?.provider_reference.unwrap_or_default();
    let shown = world.book.shows(&reference).pop().unwrap_or_default();
    ensure!(shown["currency"] == "EUR", "{shown}");
    ensure!(shown["exchange_rate"].to_string().contains("0.85084"), "1 / 1.1753, not {}", shown["exchange_rate"]);
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_policy_leaves_out_is_an_outcome_with_a_reason() -> anyhow::Result<()> {
    type Change = fn(&mut ledger_engine::wire::settings::SettingsV1);
    let cases: [(&str, &str, Change); 5] = [
        ("outside-filter", "website_filtered", |it| it.website_filter = vec![1, 2]),
        ("b2b-on-terms", "store_filtered", |it| it.store_filter = vec![7]),
        ("b2b-on-terms", "outside_sync_since", |it| it.sync_since = Some("2034-01-01".to_owned())),
        ("zero-value", "zero_value_invoice", |it| it.sync_zero_value_invoices = Some(false)),
        ("b2b-on-terms", "unpaid_invoice", |it| it.sync_unpaid_invoices = Some(false)),
    ];
    for (preset, reason, change) in cases {
        let world = world!(WorldOptions { settings: Some(change), ..WorldOptions::default() });
        let invoice = world.shop.raises(preset)?;
        world.settles().await?;
        world.stands(invoice, "skipped", Some(reason), "skipped").await?;
        ensure!(world.book.invoices().is_empty(), "an invoice was posted");
        // Whose account is in the shop has a contact for that alone.
        let of_customers = world.runs().await?.iter().filter(|run| run.event == "customer.upserted").count();
        ensure!(world.book.contacts().len() <= of_customers, "a contact was posted for an invoice");
        world.is_clean()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_a_dead_letter_until_somebody_mends_it() -> anyhow::Result<()> {
    let world = world!();
    // Twice: after the first the list is read anew, and the category is there.
    world.book.faults(FaultSpec::on(
        "POST",
        "/v2/invoices",
        2,
        BookFault::Refused { field: "category".to_owned(), message: "is not known".to_owned() },
    ));
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.stands(invoice, "dead_lettered", Some("category_unknown"), "failed").await?;
    ensure!(world.ledger.queue.bells().len() == 1, "one bell rings");
    let run = world.run_of(invoice).await?;
    ensure!(world.operator().dead_letters().await?.len() == 1, "not listed");

    world.operator().retry(&run.run_id).await?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    ensure!(world.operator().dead_letters().await?.is_empty(), "still listed");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_opened_again_by_a_delivery_and_rings_again_before_it_is_forgotten() -> anyhow::Result<()> {
    let world = world!();
    let refused = || BookFault::Refused { field: "category".to_owned(), message: "is not known".to_owned() };
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 2, refused()));
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    let first = world.run_of(invoice).await?;
    ensure!(first.generation == 1 && first.state == "dead_lettered");
    // Ten days later the bell is rung again: the queue forgets after fourteen.
    world.ledger.clock.advance(11 * 86_400_000);
    world.ledger.sweeps().await;
    ensure!(world.ledger.queue.bells().len() == 2, "{:?}", world.ledger.queue.bells());
    // The bells that a sweep has looked at are hidden until the next one.
    world.ledger.clock.advance(60_000);
    let row = world.shop.outbox().pop().map(|row| row.entity_id).unwrap_or_default();
    world.shop.delivers(row).await?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    ensure!(world.run_of(invoice).await?.generation == 2, "not opened anew");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_with_our_number_is_never_adopted() -> anyhow::Result<()> {
    let world = world!();
    let invoice = world.shop.raises("b2b-on-terms")?;
    let canonical: serde_json::Value =
        serde_json::from_str(&world.shop.canonical("invoice", invoice).unwrap_or_default())?;
    let reference = format!("MAG-{}", canonical["increment_id"].as_str().unwrap_or_default());
    world.book.seeds(&Seed {
        invoices: vec![json!({"reference": reference, "invoice_items": [
            {"description": "something else", "quantity": "1", "price": "5.00", "sales_tax_rate": "20"}]})],
        ..Seed::default()
    })?;
    world.settles().await?;
    world.stands(invoice, "dead_lettered", Some("reference_taken"), "failed").await?;
    ensure!(world.book.shows(&reference).len() == 1, "a second one was posted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_contact_is_found_by_its_address_and_an_archived_one_is_not_used() -> anyhow::Result<()> {
    let world = world!();
    world.book.seeds(&Seed {
        contacts: vec![
            json!({"organisation_name": "Hallam", "email": "Accounts@Hallam-Fixings.example"}),
            json!({"first_name": "Sam", "last_name": "Lee", "email": "sam.lee@example.com", "status": "Hidden"}),
        ],
        ..Seed::default()
    })?;
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    ensure!(world.book.contacts().len() == 2, "a contact was doubled");
    let guest = world.shop.raises("guest-two-rates")?;
    world.settles().await?;
    world.stands(guest, "dead_lettered", Some("contact_archived"), "failed").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_is_one_contact_as_guest_and_as_customer() -> anyhow::Result<()> {
    let world = world!();
    let address = || Address::british("1 High Street", "London", "N1 7AA");
    let guest = OrderSpec::for_guest("Pat@Example.com", "Pat", "Ray", address())
        .item(ItemSpec::simple("MUG", "Mug", 1, "10.00").taxed(20));
    let first = world.shop.invoices(&world.shop.orders(&guest)?)?;
    world.settles().await?;
    let pat = world
        .shop
        .customers()
        .register(ledger_world::shop::CustomerSpec::new("pat@example.com", "Pat", "Ray").billed_to(address()))?;
    let order =
        OrderSpec::for_customer(pat).billed_to(address()).item(ItemSpec::simple("MUG", "Mug", 1, "10.00").taxed(20));
    let second = world.shop.invoices(&world.shop.orders(&order)?)?;
    let third = world.shop.invoices(&world.shop.orders(&order)?)?;
    world.settles().await?;
    for invoice in [first, second, third] {
        world.shows_once(invoice).await?;
    }
    ensure!(world.book.contacts().len() == 1, "{:?}", world.book.contacts());
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_book_that_refuses_our_token_holds_the_work_until_it_has_a_new_one() -> anyhow::Result<()> {
    let world = world!();
    world.book.revokes("book-token");
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    let run = world.run_of(invoice).await?;
    ensure!(run.state == "held" && run.code.as_deref() == Some("needs_reconnect"), "{run:?}");
    let chip = world.shop.chip("invoice", invoice).map(|chip| chip.sync_status);
    ensure!(chip.as_deref() == Some("pending"), "the chip turned at once: {chip:?}");
    world.passes(16).await?;
    world.stands(invoice, "held", Some("needs_reconnect"), "failed").await?;
    // A delivery meanwhile is taken and held, not refused.
    let later = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    world.ledger.forgets();
    ensure!(world.run_of(later).await?.state == "held", "not held");

    world.book.accepts("new-token");
    world.operator().set_token(&world.tenant, &world.binding, &SecretString::from("new-token")).await?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.shows_once(later).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_refuses_our_tokens_is_asked_until_it_accepts_them() -> anyhow::Result<()> {
    let world = world!();
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    world.shop.drops_key();
    world.works().await?;
    let run = world.run_of(invoice).await?;
    ensure!(run.state == "held" && run.code.as_deref() == Some("shop_unauthorised"), "{run:?}");
    world.passes(3).await?;
    let status = |world: &World| {
        let tenant = world.tenant.clone();
        let store = world.ledger.store.inner.clone();
        async move {
            use ledger_engine::ports::Tenants;
            store.tenancy(&tenant).await.ok().flatten().map(|tenancy| tenancy.tenant.status).unwrap_or_default()
        }
    };
    ensure!(status(&world).await == "connected", "revoked too early");
    world.passes(4).await?;
    ensure!(status(&world).await == "token_revoked", "not revoked");
    world.shop.finds_key();
    world.passes(1).await?;
    ensure!(status(&world).await == "connected", "still revoked");
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unauthorised_answer_is_asked_again() -> anyhow::Result<()> {
    let world = world!();
    world.shop.faults("invoice", 1, ShopFault::Unauthorized);
    world.shop.faults("sync-state", 1, ShopFault::Unauthorized);
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    world.works().await?;
    world.shows_once(invoice).await?;
    ensure!(world.run_of(invoice).await?.attempt == 1, "an attempt was spent");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_in_trouble_is_asked_later() -> anyhow::Result<()> {
    for fault in [
        ShopFault::ServerError,
        ShopFault::Unavailable,
        ShopFault::HangUp,
        ShopFault::RouteMissing,
        ShopFault::HangUpAfterwards,
    ] {
        let world = world!();
        world.shop.faults("invoice", 2, fault.clone());
        world.shop.faults("sync-state", 2, fault.clone());
        let invoice = world.shop.raises("b2b-on-terms")?;
        world.settles().await?;
        world.shows_once(invoice).await.map_err(|error| error.context(format!("{fault:?}")))?;
        world.is_clean()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_that_the_shop_lost_or_garbled_is_a_dead_letter() -> anyhow::Result<()> {
    let world = world!();
    let lost = world.shop.raises("b2b-on-terms")?;
    world.shop.loses_invoice(lost);
    world.settles().await?;
    world.stands(lost, "dead_lettered", Some("entity_not_found"), "failed").await?;
    let world = world!();
    let garbled = world.shop.raises("b2b-on-terms")?;
    world.shop.faults("invoice", 1, ShopFault::Garbage);
    world.settles().await?;
    world.stands(garbled, "dead_lettered", Some("shop_answer_unreadable"), "failed").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_binding_holds_and_a_resumed_one_goes_on() -> anyhow::Result<()> {
    let world = world!();
    let queued = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    world.operator().pause(&world.tenant, &world.binding, true).await?;
    world.works().await?;
    ensure!(world.run_of(queued).await?.state == "held", "a message went through a paused binding");
    world.ledger.clock.advance(120_000);
    let held = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    ensure!(world.run_of(held).await?.state == "held", "not held");
    ensure!(world.ledger.queue.is_empty(), "a held run has a message");
    world.operator().pause(&world.tenant, &world.binding, false).await?;
    world.settles().await?;
    world.shows_once(queued).await?;
    world.shows_once(held).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_without_a_worker_are_taken_and_held_without_effect() -> anyhow::Result<()> {
    let world = world!();
    world.ledger.queue.lacks(Event::InvoicePaid);
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.shop.pays(invoice)?;
    world.settles().await?;
    world.passes(20).await?;
    let runs = world.runs().await?;
    let paid = runs.iter().find(|run| run.event == "invoice.paid");
    ensure!(
        paid.is_some_and(|run| run.state == "held" && run.code.as_deref() == Some("event_not_supported")),
        "{paid:?}"
    );
    ensure!(world.ledger.sweeps().await.is_some_and(|report| report.held == 0), "counted as held");
    world.shows_once(invoice).await?;
    // A version with the worker is deployed.
    world.ledger.queue.has_all();
    world.passes(1).await?;
    let runs = world.runs().await?;
    let paid = runs.iter().find(|run| run.event == "invoice.paid");
    ensure!(paid.is_some_and(|run| run.state == "skipped"), "{paid:?}");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_client_names_no_provider() -> anyhow::Result<()> {
    let world = world!(WorldOptions { client: ClientVersion::WithoutProvider, ..WorldOptions::default() });
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_total_that_differs_in_the_book_is_shown_and_mended_there() -> anyhow::Result<()> {
    let world = world!();
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 1, BookFault::WrongTotal { by: "0.01".into() }));
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    let run = world.run_of(invoice).await?;
    ensure!(run.code.as_deref() == Some("total_mismatch"), "{run:?}");
    ensure!(world.book.invoices().len() == 1, "not once");
    ensure!(run.message.as_deref().is_some_and(|text| text.contains("43.63") && text.contains("43.62")), "{run:?}");
    // Tried again before anybody mended it: still refused, and nothing is posted again.
    world.operator().retry(&run.run_id).await?;
    world.settles().await?;
    ensure!(world.run_of(invoice).await?.code.as_deref() == Some("total_mismatch"), "not read again");
    // Nor does a book that can't be asked prove anything.
    for status in [500, 404] {
        world.book.faults(FaultSpec::on(
            "GET",
            "/v2/invoices/",
            1,
            BookFault::Answer { status, body: None, content_type: None, apply: false },
        ));
        world.operator().retry(&run.run_id).await?;
        world.settles().await?;
        ensure!(world.run_of(invoice).await?.code.as_deref() == Some("total_mismatch"), "{status} proved a total");
    }
    // The accountant corrects it.
    let reference = world.book.invoices().pop().and_then(|it| it["reference"].as_str().map(str::to_owned));
    world.book.corrects(&reference.unwrap_or_default());
    world.operator().retry(&run.run_id).await?;
    world.settles().await?;
    world.shows_once(invoice).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_of_the_book_is_right_both_ways_or_refused() -> anyhow::Result<()> {
    type Change = fn(&mut ledger_world::book::Switches);
    let changes: [(&str, Change); 5] = [
        ("four decimals", |it| it.unit_price_decimals = 4),
        ("tax by document", |it| it.tax_rounding = TaxRounding::Document),
        ("own rate or none", |it| it.missing_rate = ledger_world::book::MissingRate::Refused),
        ("references need not be unique", |it| it.unique_references = false),
        ("unknown fields refused", |it| it.unknown_fields = ledger_world::book::UnknownField::Refused),
    ];
    for (name, change) in changes {
        let world = world!();
        world.book.sets(change);
        for preset in ["b2b-on-terms", "guest-two-rates", "inclusive-with-coupon", "foreign-currency", "zero-value"] {
            let invoice = world.shop.raises(preset)?;
            world.settles().await?;
            let run = world.run_of(invoice).await?;
            if run.code.as_deref() == Some("total_mismatch") {
                continue;
            }
            world.shows_once(invoice).await.map_err(|error| error.context(format!("{name}: {preset}")))?;
        }
        let invoices = world.book.invoices().len();
        ensure!(invoices == 5, "{name}: {invoices} invoices");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_down_costs_nothing() -> anyhow::Result<()> {
    let world = world!();
    world.ledger.queue.fails(true);
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    ensure!(world.run_of(invoice).await?.state == "queued", "not taken");
    ensure!(world.ledger.queue.is_empty(), "something was sent");
    world.ledger.queue.fails(false);
    world.ledger.clock.advance(1_000);
    // One sweep, not the ten minutes after which it would count as stalled.
    world.ledger.sweeps().await;
    world.works().await?;
    world.shows_once(invoice).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_queue_emptied_by_hand_the_sweeper_finishes_the_work() -> anyhow::Result<()> {
    let world = world!();
    let mut invoices = Vec::new();
    for _ in 0..3 {
        invoices.push(world.shop.raises("b2b-on-terms")?);
    }
    world.ticks().await;
    let _lost = world.ledger.queue.take();
    for _ in 0..30 {
        world.ledger.clock.advance(61_000);
        world.ledger.sweeps().await;
        for message in world.ledger.queue.take() {
            world.handles(&message).await?;
            // What the worker sends is lost too.
            let _lost = world.ledger.queue.take();
        }
    }
    for invoice in invoices {
        world.shows_once(invoice).await?;
    }
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_crashes_are_a_dead_letter() -> anyhow::Result<()> {
    let world = world!();
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    for _ in 0..3 {
        let mut messages = world.ledger.queue.take();
        messages.retain(|message| message.queue == QueueName::Work(Event::InvoiceCreated));
        ensure!(messages.len() == 1, "{messages:?}");
        world.ledger.trip.arm(Some((2, ledger_suite::trip::Side::After)));
        for message in &messages {
            world.handles(message).await?;
        }
        world.ledger.trip.disarm();
        world.ledger.clock.advance(700_000);
        world.ledger.sweeps().await;
    }
    world.settles().await?;
    world.stands(invoice, "dead_lettered", Some("crashed"), "failed").await?;
    let run = world.run_of(invoice).await?;
    world.operator().retry(&run.run_id).await?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_days_of_failure_are_a_dead_letter() -> anyhow::Result<()> {
    let world = world!();
    world.shop.faults("invoice", 1_000, ShopFault::Unavailable);
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.stands(invoice, "dead_lettered", Some("retries_exhausted"), "failed").await?;
    let run = world.run_of(invoice).await?;
    ensure!(run.message.as_deref().is_some_and(|text| text.contains("shop_unavailable")), "{run:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_twice_is_done_within_two_sweeps() -> anyhow::Result<()> {
    let world = world!();
    world.book.faults(FaultSpec::on("POST", "/v2/invoices", 2, BookFault::RateLimited { retry_after: Some(1) }));
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    world.works().await?;
    for _ in 0..2 {
        ensure!(world.run_of(invoice).await?.state == "waiting", "not put off");
        world.ledger.clock.advance(60_000);
        world.ledger.sweeps().await;
        world.works().await?;
    }
    world.shows_once(invoice).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_older_than_the_connection_is_looked_for_first() -> anyhow::Result<()> {
    let world = world!(WorldOptions {
        settings: Some(|it| it.previous_prefix = Some("OLD-".to_owned())),
        // Everything raised before this moment may be in the book although we don't remember it.
        timers: Some(|it| it.restored_at = Some(ledger_suite::world::MORNING_MS + 86_400_000)),
        ..WorldOptions::default()
    });
    // A previous service has posted it under its own number.
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    let posted = world.book.invoices().pop().unwrap_or_default();
    let second = world.shop.raises("b2b-on-terms")?;
    let canonical: serde_json::Value =
        serde_json::from_str(&world.shop.canonical("invoice", second).unwrap_or_default())?;
    let number = canonical["increment_id"].as_str().unwrap_or_default().to_owned();
    let mut previous = posted.clone();
    let fields = ["contact", "dated_on", "payment_terms_in_days", "currency", "invoice_items"];
    let kept: serde_json::Map<String, serde_json::Value> = previous
        .as_object_mut()
        .map(|it| {
            it.iter()
                .filter(|(name, _)| fields.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        })
        .unwrap_or_default();
    let mut seeded = serde_json::Value::Object(kept);
    seeded["reference"] = json!(format!("OLD-{number}"));
    world.book.seeds(&Seed { invoices: vec![seeded], ..Seed::default() })?;
    world.settles().await?;
    let run = world.run_of(second).await?;
    ensure!(run.state == "succeeded", "{run:?}");
    ensure!(world.book.invoices().len() == 2, "posted again: {}", world.book.invoices().len());
    ensure!(run.provider_reference.as_deref() == Some(format!("OLD-{number}").as_str()), "{run:?}");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_delivery_posts_nothing_and_pushes_again() -> anyhow::Result<()> {
    let world = world!();
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    let pushed = world.shop.pushed().len();
    let row = world.shop.outbox().into_iter().find(|row| row.event_name == "invoice.created").map(|row| row.entity_id);
    world.shop.delivers(row.unwrap_or_default()).await?;
    world.settles().await?;
    ensure!(world.shop.pushed().len() == pushed + 1, "{} pushes", world.shop.pushed().len());
    world.shows_once(invoice).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_edited_twice_is_two_runs_under_one_key() -> anyhow::Result<()> {
    let world = world!();
    let request = |body: &str| -> anyhow::Result<ledger_engine::wire::gateway::ProxyRequest> {
        Ok(ledger_engine::wire::gateway::ProxyRequest {
            http_method: "POST".to_owned(),
            path_parameters: Some(
                [
                    ("tenant".to_owned(), Some(world.tenant.clone())),
                    ("event".to_owned(), Some("customer.upserted".to_owned())),
                ]
                .into(),
            ),
            query_string_parameters: Some([("provider".to_owned(), Some("xero".to_owned()))].into()),
            headers: Some(
                [
                    ("authorization".to_owned(), Some(format!("Bearer {}", world.shop.signs(0)?))),
                    ("idempotency-key".to_owned(), Some("customer.upserted:17".to_owned())),
                ]
                .into(),
            ),
            body: Some(body.to_owned()),
            is_base64_encoded: false,
        })
    };
    let mut runs = Vec::new();
    for body in [
        r#"{"magento_entity_id":17,"occurred_at":"2033-05-18T03:33:20Z","payload":[]}"#,
        r#"{"magento_entity_id":17,"occurred_at":"2033-05-18T03:33:21Z","payload":[]}"#,
        r#"{"magento_entity_id":17,"occurred_at":"2033-05-18T03:33:21Z","payload":[]}"#,
    ] {
        let answer = world.ledger.takes(&request(body)?).await;
        ensure!(answer.as_ref().is_some_and(|answer| answer.status_code == 202), "{answer:?}");
        runs.push(answer.map(|answer| answer.body));
    }
    ensure!(runs[0] != runs[1] && runs[1] == runs[2], "{runs:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_the_book_lost_is_found_or_made_again() -> anyhow::Result<()> {
    let world = world!();
    let first = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.shows_once(first).await?;
    world.book.faults(FaultSpec::on(
        "POST",
        "/v2/invoices",
        1,
        BookFault::Refused { field: "contact".to_owned(), message: "does not exist".to_owned() },
    ));
    let second = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.stands(second, "dead_lettered", Some("contact_unknown"), "failed").await?;
    let run = world.run_of(second).await?;
    world.operator().retry(&run.run_id).await?;
    world.settles().await?;
    world.shows_once(second).await?;
    ensure!(world.book.contacts().len() == 1, "a contact was doubled");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_message_is_lost_is_sent_although_its_book_is_busy() -> anyhow::Result<()> {
    let world = world!();
    let lost = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    let _message = world.ledger.queue.take();
    for _ in 0..10 {
        world.ledger.clock.advance(300_000);
        world.shop.raises("b2b-on-terms")?;
        world.ticks().await;
        world.works().await?;
        world.ledger.sweeps().await;
        world.works().await?;
    }
    world.shows_once(lost).await?;
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_replaced_during_an_attempt_is_not_blamed() -> anyhow::Result<()> {
    let world = world!();
    let known = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.shows_once(known).await?;
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.ticks().await;
    let messages = world.ledger.queue.take();
    // The attempt has read the old token when the book starts to refuse it.
    world.ledger.trip.arm(None);
    world.book.faults(FaultSpec::on(
        "POST",
        "/v2/invoices",
        1,
        BookFault::Slow { milliseconds: 300, apply_first: false },
    ));
    let attempt = async {
        for message in &messages {
            world.handles(message).await?;
        }
        anyhow::Ok(())
    };
    let replace = async {
        until_called(&world, "book.send").await;
        world.book.revokes("book-token");
        world.book.accepts("new-token");
        world.operator().set_token(&world.tenant, &world.binding, &SecretString::from("new-token")).await?;
        anyhow::Ok(())
    };
    let (attempted, replaced) = tokio::join!(attempt, replace);
    attempted?;
    replaced?;
    world.ledger.trip.disarm();
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.is_clean()
}

async fn until_called(world: &World, name: &str) {
    while !world.ledger.trip.has_seen(name) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
