//! What shops and books do every week, in each book, through the whole engine: each has its outcome, and the shop shows
//! it.

use anyhow::{Context, ensure};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::QueueName;
use ledger_suite::world::{Spoken, World, WorldOptions};
use ledger_world::shop::{Address, ItemSpec, MemoSpec, OrderSpec, ProductSpec};
use ledger_world::statement::DocumentLine;

/// 31 March 2034, 23:30 UTC, in milliseconds: half past midnight of 1 April in London.
const LAST_HALF_HOUR_OF_MARCH_MS: i64 = 2_027_460_600_000;

fn buyer(email: &str, first_name: &str, last_name: &str) -> OrderSpec {
    OrderSpec::for_guest(email, first_name, last_name, Address::british("1 High Street", "London", "N1 7AA"))
}

/// Three mugs for 47.97, without shipping.
fn mugs(email: &str, method: &str) -> OrderSpec {
    buyer(email, "Sam", "Lee").item(ItemSpec::simple("MUG", "Mug", 3, "15.99")).paid_by(method)
}

fn sells(world: &World, order: &OrderSpec) -> anyhow::Result<(i64, i64)> {
    let placed = world.shop.places(order)?;
    let invoice = world.shop.invoices(&placed)?;
    Ok((placed.id, invoice))
}

/// The run of an event stands like this, and the shop shows that chip, with the code where it shows one.
async fn ends(world: &World, event: &str, id: i64, state: &str, code: Option<&str>, chip: &str) -> anyhow::Result<()> {
    world.ended(event, id, state, code).await?;
    let entity = event.split('.').next().unwrap_or_default();
    let shown = world.shop.chip(entity, id).with_context(|| format!("no chip of {entity} {id}"))?;
    let told = shown.skip_reason.or(shown.error_code);
    let expected = if chip == "synced" { None } else { code };
    ensure!(
        shown.sync_status == chip && told.as_deref() == expected,
        "the chip of {entity} {id} is {} ({told:?})",
        shown.sync_status
    );
    Ok(())
}

fn number(world: &World, invoice: i64) -> anyhow::Result<String> {
    Ok(format!("MAG-{}", world.shop.number_of("invoice", invoice).context("no such invoice")?))
}

/// The only document in the book with an invoice's number.
fn line(world: &World, invoice: i64) -> anyhow::Result<DocumentLine> {
    let number = number(world, invoice)?;
    let mut lines: Vec<DocumentLine> =
        world.holds().invoices.into_iter().filter(|line| line.number == number).collect();
    ensure!(lines.len() == 1, "{} invoices {number}", lines.len());
    lines.pop().context("no invoice")
}

/// How many payments, set-offs and refunds there are.
fn moved(world: &World) -> [usize; 3] {
    let statement = world.holds();
    [statement.payments.len(), statement.allocations.len(), statement.refunds.len()]
}

async fn invoice_and_payment_together(world: &World) -> anyhow::Result<()> {
    for reversed in [false, true] {
        let (_, invoice) = sells(world, &mugs("sam@example.com", "stripe_payments"))?;
        world.ticks().await;
        let mut messages = world.ledger.queue.take();
        let works: Vec<QueueName> = messages.iter().map(|message| message.queue).collect();
        ensure!(works == [QueueName::Work(Event::InvoiceCreated), QueueName::Work(Event::InvoicePaid)], "{works:?}");
        if reversed {
            messages.reverse();
        }
        for message in &messages {
            world.handles(message).await?;
        }
        world.settles().await?;
        ends(world, "invoice.created", invoice, "succeeded", None, "synced").await?;
        ends(world, "invoice.paid", invoice, "succeeded", None, "synced").await?;
        let line = line(world, invoice)?;
        ensure!(line.total == "47.97" && line.outstanding == "0.00", "{line:?}");
    }
    ensure!(moved(world) == [2, 0, 0], "{:?}", moved(world));
    Ok(())
}

async fn refunds_of_paid_and_unpaid_invoices(world: &World) -> anyhow::Result<()> {
    let before = moved(world);
    for (method, [payments, allocations, refunds]) in [("stripe_payments", [1, 0, 1]), ("checkmo", [1, 1, 1])] {
        let (_, invoice) = sells(world, &mugs("sam@example.com", method))?;
        world.settles().await?;
        let memo = world.shop.refunds_invoice(invoice)?;
        world.settles().await?;
        ends(world, "creditmemo.created", memo, "succeeded", None, "synced").await?;
        let after = [before[0] + payments, before[1] + allocations, before[2] + refunds];
        ensure!(moved(world) == after, "{method}: {:?}, not {after:?}", moved(world));
        ensure!(line(world, invoice)?.outstanding == "0.00", "{:?}", line(world, invoice)?);
    }
    let open = world.holds().credit_notes.into_iter().find(|note| note.outstanding != "0.00");
    ensure!(open.is_none(), "{open:?}");
    Ok(())
}

async fn a_refund_that_names_no_invoice(world: &World) -> anyhow::Result<()> {
    let (order, _) = sells(world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    let memo = world.shop.refunds(&MemoSpec::of_order(order))?;
    world.settles().await?;
    ends(world, "creditmemo.created", memo, "succeeded", Some("invoice_not_named"), "synced").await
}

async fn three_partial_refunds(world: &World) -> anyhow::Result<()> {
    let before = moved(world);
    let (order, invoice) = sells(world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    for _ in 0..3 {
        let memo = world.shop.refunds(&MemoSpec::of_invoice(order, invoice).only("MUG", 1))?;
        world.settles().await?;
        ends(world, "creditmemo.created", memo, "succeeded", None, "synced").await?;
    }
    ensure!(moved(world) == [before[0] + 1, before[1], before[2] + 3], "{before:?}: {:?}", moved(world));
    Ok(())
}

async fn already_paid_by_hand(world: &World) -> anyhow::Result<()> {
    let (_, invoice) = sells(world, &mugs("sam@example.com", "trade_credit"))?;
    world.settles().await?;
    world.any_book().enters_payment(&number(world, invoice)?, "47.97")?;
    world.shop.pays(invoice)?;
    world.settles().await?;
    ends(world, "invoice.paid", invoice, "skipped", Some("already_paid"), "synced").await
}

async fn an_invoice_of_nothing(world: &World) -> anyhow::Result<()> {
    let (_, invoice) = sells(world, &mugs("sam@example.com", "stripe_payments").percent_off(100))?;
    world.settles().await?;
    ends(world, "invoice.created", invoice, "succeeded", None, "synced").await?;
    if !world.runs_for("invoice.paid", invoice).await?.is_empty() {
        ends(world, "invoice.paid", invoice, "skipped", Some("nothing_to_pay"), "synced").await?;
    }
    ensure!(line(world, invoice)?.total == "0.00", "{:?}", line(world, invoice)?);
    Ok(())
}

async fn a_method_that_nobody_mapped(world: &World) -> anyhow::Result<()> {
    let before = moved(world);
    let (_, invoice) = sells(world, &mugs("sam@example.com", "paypal_express"))?;
    world.settles().await?;
    ends(world, "invoice.created", invoice, "succeeded", None, "synced").await?;
    ends(world, "invoice.paid", invoice, "skipped", Some("payment_method_not_mapped"), "synced").await?;
    ensure!(moved(world) == before, "{:?}", moved(world));
    Ok(())
}

async fn a_rate_that_nobody_mapped(world: &World) -> anyhow::Result<()> {
    let before = world.holds();
    let order = buyer("rates@example.com", "Ann", "Roe").item(ItemSpec::simple("TEE", "Tee", 10, "100").taxed("33"));
    let (_, invoice) = sells(world, &order.paid_by("trade_credit"))?;
    world.settles().await?;
    ends(world, "invoice.created", invoice, "dead_lettered", Some("tax_rate_unmapped"), "failed").await?;
    let after = world.holds();
    ensure!((after.contacts, after.invoices) == (before.contacts, before.invoices), "something is in the book");
    Ok(())
}

async fn a_locked_period(world: &World) -> anyhow::Result<()> {
    world.any_book().locks_until(Some("2199-12-31"));
    let (_, invoice) = sells(world, &mugs("sam@example.com", "trade_credit"))?;
    world.settles().await?;
    ends(world, "invoice.created", invoice, "dead_lettered", Some("period_locked"), "failed").await?;
    // The bookkeeper opens it again.
    world.any_book().locks_until(None);
    world.operator().retry(&world.run_of(invoice).await?.run_id).await?;
    world.settles().await?;
    ends(world, "invoice.created", invoice, "succeeded", None, "synced").await?;
    line(world, invoice).map(|_| ())
}

async fn an_archived_contact(world: &World) -> anyhow::Result<()> {
    world.any_book().has_archived_contact("old@example.com")?;
    let (_, invoice) = sells(world, &mugs("old@example.com", "trade_credit"))?;
    world.settles().await?;
    ends(world, "invoice.created", invoice, "dead_lettered", Some("contact_archived"), "failed").await
}

async fn skus_of_64_characters(world: &World) -> anyhow::Result<()> {
    let before = world.holds().products.len();
    for last in ["A", "B"] {
        let sku = format!("{}{last}", "S".repeat(63));
        let product = ProductSpec::simple(&sku, "Mug", "15.99");
        let product = world.shop.saves_product(product);
        if world.spoken != Spoken::Sage {
            // The other modules tell of no products by themselves.
            world.tells("product.upserted", product).await?;
        }
        world.settles().await?;
        ends(world, "product.upserted", product, "succeeded", None, "synced").await?;
        let order = buyer("sam@example.com", "Sam", "Lee").item(ItemSpec::simple(&sku, "Mug", 1, "15.99"));
        let (_, invoice) = sells(world, &order.paid_by("trade_credit"))?;
        world.settles().await?;
        ends(world, "invoice.created", invoice, "succeeded", None, "synced").await?;
    }
    let after = world.holds().products.len();
    ensure!(after == before + 2, "{before} products became {after}");
    Ok(())
}

async fn names_that_hurt(world: &World) -> anyhow::Result<()> {
    for (at, (first_name, last_name)) in
        [("Zoë 🫖", "O'Hara-<script>"), ("<>", "<>"), ("李", "小龍"), ("&amp;", "\"quoted\"")].into_iter().enumerate()
    {
        let order = buyer(&format!("odd{at}@example.com"), first_name, last_name).item(ItemSpec::simple(
            "MUG",
            "Mug <b>🫖</b>",
            1,
            "15.99",
        ));
        let (_, invoice) = sells(world, &order.paid_by("trade_credit"))?;
        world.settles().await?;
        ends(world, "invoice.created", invoice, "succeeded", None, "synced").await?;
    }
    Ok(())
}

async fn a_number_that_a_stranger_has(world: &World) -> anyhow::Result<()> {
    let (_, invoice) = sells(world, &mugs("sam@example.com", "trade_credit"))?;
    world.any_book().has_strangers_invoice(&number(world, invoice)?, &world.income_account)?;
    world.settles().await?;
    // References may repeat in Sage; everywhere else somebody has to look.
    match world.spoken {
        Spoken::Sage => ends(world, "invoice.created", invoice, "succeeded", None, "synced").await,
        Spoken::V2 | Spoken::Freeagent | Spoken::Accounting => {
            ends(world, "invoice.created", invoice, "dead_lettered", Some("reference_taken"), "failed").await?;
            line(world, invoice).map(|_| ())
        }
    }
}

async fn the_last_half_hour_of_march_in_london(world: &World) -> anyhow::Result<()> {
    world.ledger.clock.advance_to(LAST_HALF_HOUR_OF_MARCH_MS);
    let (_, invoice) = sells(world, &mugs("sam@example.com", "stripe_payments"))?;
    world.settles().await?;
    ends(world, "invoice.created", invoice, "succeeded", None, "synced").await?;
    ends(world, "invoice.paid", invoice, "succeeded", None, "synced").await?;
    let line = line(world, invoice)?;
    let paid = world.holds().payments.into_iter().find(|payment| payment.invoice == line.id).context("no payment")?;
    ensure!((line.date.as_str(), paid.date.as_str()) == ("2034-04-01", "2034-04-01"), "{line:?}, {paid:?}");
    Ok(())
}

async fn a_payment_brings_an_invoice_that_was_left_out_as_unpaid(spoken: Spoken) -> anyhow::Result<()> {
    let options = WorldOptions {
        banks: true,
        spoken,
        settings: Some(|settings| settings.sync_unpaid_invoices = Some(false)),
        ..WorldOptions::default()
    };
    let Some(world) = World::start(options).await? else { return Ok(()) };
    let (_, invoice) = sells(&world, &mugs("sam@example.com", "trade_credit"))?;
    world.settles().await?;
    ends(&world, "invoice.created", invoice, "skipped", Some("unpaid_invoice"), "skipped").await?;
    ensure!(world.holds().invoices.is_empty(), "an invoice was posted");
    world.shop.pays(invoice)?;
    world.settles().await?;
    ends(&world, "invoice.paid", invoice, "succeeded", None, "synced").await?;
    ensure!(line(&world, invoice)?.outstanding == "0.00", "{:?}", line(&world, invoice)?);
    Ok(())
}

/// A case by its name. On the heap, because what lies between shop and book does not fit a thread's stack fifteen times.
type Case = (&'static str, for<'a> fn(&'a World) -> BoxFuture<'a, anyhow::Result<()>>);

macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        &[$((stringify!($case), |world| $case(world).boxed())),+]
    };
}

const CASES: &[Case] = cases![
    invoice_and_payment_together,
    refunds_of_paid_and_unpaid_invoices,
    a_refund_that_names_no_invoice,
    three_partial_refunds,
    already_paid_by_hand,
    an_invoice_of_nothing,
    a_method_that_nobody_mapped,
    a_rate_that_nobody_mapped,
    a_locked_period,
    an_archived_contact,
    skus_of_64_characters,
    names_that_hurt,
    a_number_that_a_stranger_has,
    the_last_half_hour_of_march_in_london,
];

async fn check(spoken: Spoken) -> anyhow::Result<()> {
    a_payment_brings_an_invoice_that_was_left_out_as_unpaid(spoken).boxed().await?;
    let options = WorldOptions {
        banks: true,
        spoken,
        settings: Some(|settings| settings.sync_products = Some(true)),
        ..WorldOptions::default()
    };
    let Some(world) = World::start(options).boxed().await? else { return Ok(()) };
    let mut wrong: Vec<String> = Vec::new();
    for (name, case) in CASES {
        if let Err(error) = case(&world).await {
            wrong.push(format!("{name}: {error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{spoken:?}:\n{}", wrong.join("\n"));
    // Whatever went wrong was the shop's or the book's, and never a fault of ours.
    let ours = ["unexpected", "crashed", "answer_unknown"];
    let broken = world.runs().await?.into_iter().find(|run| run.code.as_deref().is_some_and(|it| ours.contains(&it)));
    ensure!(broken.is_none(), "{broken:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v2() -> anyhow::Result<()> {
    check(Spoken::V2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounting() -> anyhow::Result<()> {
    check(Spoken::Accounting).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sage() -> anyhow::Result<()> {
    check(Spoken::Sage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freeagent() -> anyhow::Result<()> {
    check(Spoken::Freeagent).await
}
