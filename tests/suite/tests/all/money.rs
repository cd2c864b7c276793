//! What becomes of money: payments, credit notes, what is set off and what is paid back, in every order.

use anyhow::{Context, ensure};
use futures::future::join_all;
use ledger_engine::domain::document::Kind;
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::QueueName;
use ledger_engine::wire::rows::{RunRow, StepRow};
use ledger_engine::wire::settings::{SettingsV1, StatusV1};
use ledger_suite::world::{MORNING_MS, Spoken, World, WorldOptions};
use ledger_world::book::{BookFault, FaultSpec, Seed};
use ledger_world::shop::{Address, CustomerSpec, ItemSpec, MemoSpec, OrderSpec};
use serde_json::json;

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

async fn world(banks: bool) -> anyhow::Result<Option<World>> {
    World::start(WorldOptions { banks, ..WorldOptions::default() }).await
}

macro_rules! world {
    ($banks:expr) => {
        match world($banks).await? {
            Some(world) => world,
            None => return Ok(()),
        }
    };
}

/// An order of 47.97 for three mugs, without shipping.
fn mugs(buyer: &str, method: &str) -> OrderSpec {
    OrderSpec::for_guest(buyer, "Sam", "Lee", Address::british("1 High Street", "London", "N1 7AA"))
        .item(ItemSpec::simple("MUG", "Mug", 3, "15.99"))
        .paid_by(method)
}

/// An order with its invoice: paid at once, or open until somebody pays it.
fn sells(world: &World, order: &OrderSpec) -> anyhow::Result<(i64, i64)> {
    let placed = world.shop.places(order)?;
    let invoice = world.shop.invoices(&placed)?;
    Ok((placed.id, invoice))
}

/// What is left of the only invoice and of all credit notes, as the book says.
fn left(world: &World) -> anyhow::Result<(String, Vec<String>)> {
    let statement = world.holds();
    let [invoice] = statement.invoices.as_slice() else {
        anyhow::bail!("{} invoices", statement.invoices.len());
    };
    let notes = statement.credit_notes.iter().map(|note| note.outstanding.clone()).collect();
    Ok((invoice.outstanding.clone(), notes))
}

fn moved(world: &World) -> (usize, usize, usize) {
    let statement = world.holds();
    (statement.payments.len(), statement.allocations.len(), statement.refunds.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invoice_and_payment_come_in_either_order() -> anyhow::Result<()> {
    for reversed in [false, true] {
        let world = world!(true);
        let (_, invoice) = sells(&world, &mugs("sam@example.com", "stripe_payments"))?;
        world.ticks().await;
        let mut messages = world.ledger.queue.take();
        let events: Vec<QueueName> = messages.iter().map(|message| message.queue).collect();
        ensure!(events == [QueueName::Work(Event::InvoiceCreated), QueueName::Work(Event::InvoicePaid)], "{events:?}");
        if reversed {
            messages.reverse();
        }
        for message in &messages {
            world.handles(message).await?;
        }
        world.settles().await?;
        world.shows_once(invoice).await?;
        let paid = world.ended("invoice.paid", invoice, "succeeded", None).await?;
        let statement = world.holds();
        ensure!(moved(&world) == (1, 0, 0) && left(&world)?.0 == "0.00", "{statement:?}");
        ensure!(statement.payments[0].amount == "47.97" && statement.payments[0].date == "2033-05-18", "{statement:?}");
        ensure!(paid.provider_id.as_ref() == Some(&statement.payments[0].id), "{paid:?}");
        world.is_clean()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_that_was_left_out_as_unpaid_comes_with_its_payment() -> anyhow::Result<()> {
    let options = WorldOptions {
        banks: true,
        settings: Some(|settings| settings.sync_unpaid_invoices = Some(false)),
        ..WorldOptions::default()
    };
    let Some(world) = World::start(options).await? else { return Ok(()) };
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    world.stands(invoice, "skipped", Some("unpaid_invoice"), "skipped").await?;
    world.shop.pays(invoice)?;
    world.settles().await?;
    world.ended("invoice.paid", invoice, "succeeded", None).await?;
    ensure!(moved(&world) == (1, 0, 0) && left(&world)?.0 == "0.00", "{:?}", world.holds());
    ensure!(world.shop.chip("invoice", invoice).context("no chip")?.sync_status == "synced", "the chip");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_paid_is_said() -> anyhow::Result<()> {
    // The payment of an invoice that policy leaves out.
    let options = WorldOptions {
        banks: true,
        settings: Some(|settings| settings.store_filter = vec![7]),
        ..WorldOptions::default()
    };
    let Some(world) = World::start(options).await? else { return Ok(()) };
    let (_, invoice) = sells(&world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    world.ended("invoice.paid", invoice, "skipped", Some("store_filtered")).await?;
    ensure!(world.book.invoices().is_empty(), "the invoice was posted");

    // A method without an account, one that the shop calls paid by word, one that never has money.
    let world = world!(false);
    for (method, code) in [
        ("stripe_payments", "payment_method_not_mapped"),
        ("checkmo", "payment_method_not_mapped"),
        ("free", "nothing_to_pay"),
    ] {
        let order = mugs(&format!("{method}@example.com"), method);
        let (_, invoice) = sells(&world, &order)?;
        world.settles().await?;
        world.shows_once(invoice).await.map_err(|error| error.context(method))?;
        if world.runs_for("invoice.paid", invoice).await?.is_empty() {
            // Paid when it was raised: the shop tells no transition.
            continue;
        }
        world.ended("invoice.paid", invoice, "skipped", Some(code)).await?;
    }
    ensure!(moved(&world) == (0, 0, 0), "{:?}", world.holds());
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_has_paid_by_hand_is_not_paid_again() -> anyhow::Result<()> {
    let world = world!(true);
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    let reference = world.run_of(invoice).await?.provider_reference.context("no reference")?;
    // A part first: the payment is what is left.
    world.book.enters_payment(&reference, "3.62")?;
    let other = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    let other_reference = world.run_of(other).await?.provider_reference.context("no reference")?;
    world.book.enters_payment(&other_reference, "43.62")?;
    world.shop.pays(invoice)?;
    world.shop.pays(other)?;
    world.settles().await?;
    world.ended("invoice.paid", invoice, "succeeded", None).await?;
    world.ended("invoice.paid", other, "skipped", Some("already_paid")).await?;
    let statement = world.holds();
    let mut amounts: Vec<&str> = statement.payments.iter().map(|payment| payment.amount.as_str()).collect();
    amounts.sort_unstable();
    ensure!(amounts == ["3.62", "40.00", "43.62"], "{amounts:?}");
    ensure!(statement.invoices.iter().all(|invoice| invoice.outstanding == "0.00"), "{statement:?}");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_of_a_paid_invoice_goes_back_through_the_bank() -> anyhow::Result<()> {
    let world = world!(true);
    let (_, invoice) = sells(&world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    let memo = world.shop.refunds_invoice(invoice)?;
    world.settles().await?;
    world.ended("creditmemo.created", memo, "succeeded", None).await?;
    ensure!(
        moved(&world) == (1, 0, 1) && left(&world)? == ("0.00".to_owned(), vec!["0.00".to_owned()]),
        "{:?}",
        world.holds()
    );
    ensure!(world.holds().refunds[0].amount == "47.97", "{:?}", world.holds());
    let chip = world.shop.chip("creditmemo", memo).context("no chip")?;
    ensure!(chip.sync_status == "synced", "the chip is {}", chip.sync_status);
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_of_an_unpaid_invoice_is_set_off() -> anyhow::Result<()> {
    // What the shop calls paid by word is not paid in the book.
    let world = world!(true);
    let (_, invoice) = sells(&world, &mugs("sam@example.com", "checkmo"))?;
    world.settles().await?;
    let memo = world.shop.refunds_invoice(invoice)?;
    world.settles().await?;
    world.ended("creditmemo.created", memo, "succeeded", None).await?;
    ensure!(
        moved(&world) == (0, 1, 0) && left(&world)? == ("0.00".to_owned(), vec!["0.00".to_owned()]),
        "{:?}",
        world.holds()
    );
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credit_note_brings_along_what_it_needs_and_settles_once() -> anyhow::Result<()> {
    let world = world!(true);
    let (_, invoice) = sells(&world, &mugs("sam@example.com", "stripe_payments"))?;
    let memo = world.shop.refunds_invoice(invoice)?;
    world.ticks().await;
    // The memo's message is the first to be worked on.
    let mut messages = world.ledger.queue.take();
    messages.reverse();
    ensure!(messages[0].queue == QueueName::Work(Event::CreditmemoCreated), "{messages:?}");
    for message in &messages {
        world.handles(message).await?;
    }
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.ended("creditmemo.created", memo, "succeeded", None).await?;
    world.ended("invoice.paid", invoice, "succeeded", None).await?;
    ensure!(
        moved(&world) == (1, 0, 1) && left(&world)? == ("0.00".to_owned(), vec!["0.00".to_owned()]),
        "{:?}",
        world.holds()
    );
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_partial_refunds_come_to_the_whole() -> anyhow::Result<()> {
    let world = world!(true);
    let (order, invoice) = sells(&world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    for _ in 0..3 {
        let memo = world.shop.refunds(&MemoSpec::of_invoice(order, invoice).only("MUG", 1))?;
        world.settles().await?;
        world.ended("creditmemo.created", memo, "succeeded", None).await?;
    }
    let statement = world.holds();
    ensure!(moved(&world) == (1, 0, 3), "{statement:?}");
    ensure!(statement.refunds.iter().all(|refund| refund.amount == "15.99"), "{statement:?}");
    ensure!(statement.credit_notes.iter().all(|note| note.outstanding == "0.00"), "{statement:?}");
    world.is_clean()
}

/// Orders of one new customer, each with its invoice, its payment and a refund.
const ORDERS_AT_ONCE: usize = 17;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_workers_at_once_make_one_contact_of_one_new_customer() -> anyhow::Result<()> {
    for spoken in Spoken::ALL {
        fifty_workers(spoken).await.with_context(|| format!("{spoken:?}"))?;
    }
    Ok(())
}

async fn fifty_workers(spoken: Spoken) -> anyhow::Result<()> {
    let options = WorldOptions { banks: true, spoken, ..WorldOptions::default() };
    let Some(world) = World::start(options).await? else { return Ok(()) };
    let jane = CustomerSpec::new("jane@example.com", "Jane", "Doe").billed_to(Address::british(
        "1 High Street",
        "London",
        "N1 7AA",
    ));
    let jane = world.shop.customers().register(jane)?;
    let mut memos = Vec::new();
    for _ in 0..ORDERS_AT_ONCE {
        let order =
            OrderSpec::for_customer(jane).item(ItemSpec::simple("MUG", "Mug", 3, "15.99")).paid_by("stripe_payments");
        let (order, invoice) = sells(&world, &order)?;
        memos.push(world.shop.refunds(&MemoSpec::of_invoice(order, invoice).only("MUG", 1))?);
    }
    world.ticks().await;
    world.ticks().await;
    let messages: Vec<_> =
        world.ledger.queue.take().into_iter().filter(|it| matches!(it.queue, QueueName::Work(_))).collect();
    ensure!(messages.len() > 50, "only {} workers", messages.len());
    for outcome in join_all(messages.iter().map(|message| world.handles(message))).await {
        outcome?;
    }
    world.settles().await?;
    for memo in memos {
        world.ended("creditmemo.created", memo, "succeeded", None).await?;
    }
    let statement = world.holds();
    let told = (statement.contacts.len(), statement.invoices.len(), statement.credit_notes.len());
    ensure!(told == (1, ORDERS_AT_ONCE, ORDERS_AT_ONCE), "{told:?}");
    ensure!(moved(&world) == (ORDERS_AT_ONCE, 0, ORDERS_AT_ONCE), "{:?}", moved(&world));
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_credit_note_leaves_open_is_said_and_tried_again() -> anyhow::Result<()> {
    // No invoice is named, so nothing is known of a payment either.
    let world = world!(true);
    let (order, invoice) = sells(&world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    let memo = world.shop.refunds(&MemoSpec::of_order(order))?;
    world.settles().await?;
    let run = world.ended("creditmemo.created", memo, "succeeded", Some("invoice_not_named")).await?;
    ensure!(left(&world)?.1 == ["47.97"], "{:?}", world.holds());
    let chip = world.shop.chip("creditmemo", memo).context("no chip")?;
    ensure!(chip.sync_status == "synced", "the chip is {}", chip.sync_status);
    // Somebody settles it; another delivery sees that.
    let reference = run.provider_reference.context("no reference")?;
    world.book.enters_payment(&reference, "-47.97")?;
    let row = world.shop.outbox().pop().context("no delivery")?.entity_id;
    world.shop.delivers(row).await?;
    world.settles().await?;
    let run = world.ended("creditmemo.created", memo, "succeeded", Some("already_settled")).await?;
    ensure!(run.generation == 2, "not opened anew");
    ensure!(world.book.credit_notes().len() == 1, "a second one was posted");
    world.shows_once(invoice).await?;

    // No account for the money that goes back.
    let world = world!(false);
    let (_, invoice) = sells(&world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    let reference = world.run_of(invoice).await?.provider_reference.context("no reference")?;
    world.book.enters_payment(&reference, "47.97")?;
    let memo = world.shop.refunds_invoice(invoice)?;
    world.settles().await?;
    world.ended("creditmemo.created", memo, "succeeded", Some("payment_method_not_mapped")).await?;
    ensure!(left(&world)?.1 == ["47.97"], "{:?}", world.holds());
    world.is_clean()
}

/// One order's life in each book: sold, paid, a part refunded, then the rest; and one that is never paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_comes_to_nothing_left_in_every_book() -> anyhow::Result<()> {
    for spoken in Spoken::ALL {
        let options = WorldOptions { banks: true, spoken, ..WorldOptions::default() };
        let Some(world) = World::start(options).await? else { return Ok(()) };
        lives(&world).await.map_err(|error| error.context(format!("{spoken:?}")))?;
    }
    Ok(())
}

async fn lives(world: &World) -> anyhow::Result<()> {
    let (order, invoice) = sells(world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    world.ended("invoice.created", invoice, "succeeded", None).await?;
    world.ended("invoice.paid", invoice, "succeeded", None).await?;
    for quantity in [1, 2] {
        let memo = world.shop.refunds(&MemoSpec::of_invoice(order, invoice).only("MUG", quantity))?;
        world.settles().await?;
        world.ended("creditmemo.created", memo, "succeeded", None).await?;
    }
    let (_, unpaid) = sells(world, &mugs("sam@example.com", "checkmo"))?;
    world.settles().await?;
    let memo = world.shop.refunds_invoice(unpaid)?;
    world.settles().await?;
    world.ended("creditmemo.created", memo, "succeeded", None).await?;
    let book = world.holds();
    ensure!(book.contacts.len() == 1, "{} contacts", book.contacts.len());
    ensure!(moved(world) == (1, 1, 2), "{:?}: {book:?}", moved(world));
    let whole: Vec<&str> = book.invoices.iter().map(|it| it.total.as_str()).collect();
    ensure!(whole == ["47.97", "47.97"], "{whole:?}");
    let open = book.invoices.iter().chain(&book.credit_notes).find(|it| it.open || !it.approved);
    ensure!(open.is_none(), "{open:?}");
    let chip = world.shop.chip("creditmemo", memo).context("no chip")?;
    ensure!(chip.sync_status == "synced" && chip.provider_entity_id.is_some(), "{chip:?}");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memo_is_left_out_with_its_invoice() -> anyhow::Result<()> {
    // The invoice is from before the day that documents are wanted from; the memo is not.
    let options = || WorldOptions {
        banks: true,
        settings: Some(|settings| settings.sync_since = Some("2033-05-19".to_owned())),
        ..WorldOptions::default()
    };
    let Some(world) = World::start(options()).await? else { return Ok(()) };
    let (order, invoice) = sells(&world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    world.ended("invoice.created", invoice, "skipped", Some("outside_sync_since")).await?;
    world.ledger.clock.advance(DAY_MS);
    let memo = world.shop.refunds(&MemoSpec::of_invoice(order, invoice).only("MUG", 1))?;
    world.settles().await?;
    world.ended("creditmemo.created", memo, "skipped", Some("invoice_not_in_book")).await?;
    let chip = world.shop.chip("creditmemo", memo).context("no chip")?;
    ensure!(chip.sync_status == "skipped", "the chip is {}", chip.sync_status);
    let statement = world.holds();
    ensure!(statement.contacts.is_empty() && statement.credit_notes.is_empty(), "{statement:?}");
    // One that names no invoice is nobody's but the order's.
    let memo = world.shop.refunds(&MemoSpec::of_order(order).only("MUG", 1))?;
    world.settles().await?;
    world.ended("creditmemo.created", memo, "succeeded", Some("invoice_not_named")).await?;
    world.is_clean()?;

    // Somebody else has posted the invoice, before the book was connected: it is found, and nothing is left open.
    let other = WorldOptions { timers: Some(|it| it.restored_at = Some(MORNING_MS + DAY_MS)), ..options() };
    let Some(world) = World::start(other).await? else { return Ok(()) };
    let (order, invoice) = sells(&world, &mugs("sam@example.com", "checkmo"))?;
    world.settles().await?;
    let number = world.shop.number_of("invoice", invoice).context("no number")?;
    let contact = world.book.seeds(&Seed {
        contacts: vec![json!({"first_name": "Sam", "last_name": "Lee", "email": "sam@example.com"})],
        ..Seed::default()
    })?;
    let contact = contact["contacts"][0].as_str().context("no contact")?.to_owned();
    world.book.seeds(&Seed {
        invoices: vec![json!({
            "contact": contact, "reference": format!("MAG-{number}"), "dated_on": "2033-05-18", "currency": "GBP",
            "payment_terms_in_days": 30,
            "invoice_items": [{
                "item_type": "Products", "description": "Mug", "quantity": "3", "price": "15.99", "sales_tax_rate": "0",
            }],
        })],
        ..Seed::default()
    })?;
    world.ledger.clock.advance(DAY_MS);
    let memo = world.shop.refunds(&MemoSpec::of_invoice(order, invoice).only("MUG", 1))?;
    world.settles().await?;
    world.ended("creditmemo.created", memo, "succeeded", None).await?;
    ensure!(moved(&world) == (0, 1, 0), "{:?}", world.holds());
    ensure!(left(&world)? == ("31.98".to_owned(), vec!["0.00".to_owned()]), "{:?}", world.holds());
    ensure!(world.holds().contacts.len() == 1, "{:?}", world.holds());
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_in_doubt_is_linked_once_though_another_run_takes_it_up_another_day() -> anyhow::Result<()> {
    let world = world!(true);
    let invoice = world.shop.raises("b2b-on-terms")?;
    world.settles().await?;
    // It is paid a day after it was raised: the shop dates the payment by the invoice, its event does not.
    world.ledger.clock.advance(DAY_MS);
    world.shop.pays(invoice)?;
    world.ticks().await;
    let messages = world.ledger.queue.take();
    world.ledger.forgets();
    // The payment's create is the attempt's last call of the book that changes anything: it arrives, its answer does not.
    let lost = BookFault::HangUp { apply: true };
    world.book.faults(FaultSpec::on("POST", "/v2/bank_transaction_explanations", 1, lost));
    for message in &messages {
        world.handles(message).await?;
    }
    ensure!(world.holds().payments.len() == 1, "the payment did not arrive: {:?}", world.holds());
    let memo = world.shop.refunds_invoice(invoice)?;
    world.ticks().await;
    for message in &world.ledger.queue.take() {
        world.handles(message).await?;
    }
    world.settles().await?;
    world.ended("creditmemo.created", memo, "succeeded", None).await?;
    let paid = world.ended("invoice.paid", invoice, "succeeded", None).await?;
    let statement = world.holds();
    ensure!(moved(&world) == (1, 0, 1), "{statement:?}");
    ensure!(statement.payments[0].date == "2033-05-19", "{statement:?}");
    ensure!(paid.provider_id.as_ref() == Some(&statement.payments[0].id), "{paid:?}");
    ensure!(left(&world)? == ("0.00".to_owned(), vec!["0.00".to_owned()]), "{statement:?}");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_book_is_never_asked_more_often_than_it_allows() -> anyhow::Result<()> {
    /// Calls that the dialect allows itself in a minute.
    const CALLS_A_MINUTE: usize = 60;
    /// A minute, in milliseconds.
    const MINUTE_MS: i64 = 60_000;
    let world = world!(true);
    let mut invoices = Vec::new();
    for buyer in 0..30 {
        let order = mugs(&format!("buyer{buyer}@example.com"), "stripe_payments");
        invoices.push(sells(&world, &order)?.1);
    }
    world.settles().await?;
    for invoice in invoices {
        world.shows_once(invoice).await?;
        world.ended("invoice.paid", invoice, "succeeded", None).await?;
    }
    let mut calls: Vec<i64> = Vec::new();
    for run in world.runs().await? {
        ensure!(run.failing_since.is_none() && run.failures == 0, "{run:?}");
        for attempt in world.operator().run(&run.run_id).await?.attempts {
            let calls_book = |step: &&StepRow| !step.label.starts_with("fetch") && step.skipped.is_none();
            let of_book = attempt.steps.iter().filter(calls_book);
            calls.extend(of_book.map(|step| attempt.started_at.saturating_add(step.at_ms)));
        }
    }
    ensure!(
        calls.len() == world.book.log().len(),
        "{} calls, {} in the book's log",
        calls.len(),
        world.book.log().len()
    );
    ensure!(calls.len() > CALLS_A_MINUTE, "only {} calls", calls.len());
    for first in &calls {
        let within = calls.iter().filter(|at| (*first..first.saturating_add(MINUTE_MS)).contains(*at)).count();
        ensure!(within <= CALLS_A_MINUTE, "{within} calls in the minute from {first}");
    }
    world.is_clean()
}

/// The documents that a run's latest attempt left out because they wait for approval.
async fn left_out(world: &World, run: &RunRow) -> anyhow::Result<Vec<String>> {
    let attempt = world.operator().run(&run.run_id).await?.attempts.pop().context("no attempt")?;
    let steps = attempt.steps.into_iter().filter(|step| step.skipped.as_deref() == Some("invoice_not_approved"));
    let of_run = steps.filter(|step| (step.label == "payment") == (run.event == "invoice.paid"));
    Ok(of_run.map(|step| step.label).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_approval_is_settled_by_a_resync() -> anyhow::Result<()> {
    let draft: fn(&mut SettingsV1) = |settings| settings.document_status = Some(StatusV1::Draft);
    let submitted: fn(&mut SettingsV1) = |settings| settings.document_status = Some(StatusV1::Submitted);
    // `v2` keeps neither.
    for spoken in [Spoken::Freeagent, Spoken::Accounting, Spoken::Sage] {
        for status in [draft, submitted] {
            let options = WorldOptions { banks: true, spoken, settings: Some(status), ..WorldOptions::default() };
            let Some(world) = World::start(options).await? else { return Ok(()) };
            Box::pin(settled_by_a_resync(&world)).await.with_context(|| format!("{spoken:?}"))?;
        }
    }
    Ok(())
}

async fn settled_by_a_resync(world: &World) -> anyhow::Result<()> {
    let (order, invoice) = sells(world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    let posted = world.ended("invoice.created", invoice, "succeeded", None).await?;
    let paid = world.ended("invoice.paid", invoice, "skipped", Some("invoice_not_approved")).await?;
    let memo = world.shop.refunds(&MemoSpec::of_invoice(order, invoice).only("MUG", 1))?;
    world.settles().await?;
    let credited = world.ended("creditmemo.created", memo, "skipped", Some("invoice_not_approved")).await?;
    ensure!(moved(world) == (0, 0, 0), "{:?}", world.holds());
    // The credit note itself is in the book: the run names it, and so does the shop's chip.
    let note = credited.provider_id.clone().context("the run names no credit note")?;
    let chip = world.shop.chip_of(world.spoken.provider(), "creditmemo", memo).context("no chip")?;
    ensure!(chip.sync_status == "synced" && chip.skip_reason.is_none(), "{chip:?}");
    ensure!(chip.provider_reference == credited.provider_reference, "{chip:?} {credited:?}");
    for (run, kinds) in [(&paid, &["payment"][..]), (&credited, &["allocation", "refund"])] {
        ensure!(left_out(world, run).await? == kinds, "{:?}", world.operator().run(&run.run_id).await?.attempts);
    }
    for (kind, run) in [(Kind::Invoice, &posted), (Kind::CreditNote, &credited)] {
        world.any_book().approves(kind, run.provider_id.as_deref().context("no document")?)?;
    }
    for run in [&paid, &credited] {
        world.operator().retry(&run.run_id).await?;
        world.settles().await?;
    }
    world.ended("invoice.paid", invoice, "succeeded", None).await?;
    let settled = world.ended("creditmemo.created", memo, "succeeded", None).await?;
    ensure!(settled.provider_id.as_ref() == Some(&note), "another credit note: {settled:?}");
    ensure!(left_out(world, &settled).await?.is_empty(), "something is still left out: {settled:?}");
    ensure!(moved(world) == (1, 0, 1), "{:?}", world.holds());
    ensure!(left(world)? == ("0.00".to_owned(), vec!["0.00".to_owned()]), "{:?}", world.holds());
    world.is_clean()
}
