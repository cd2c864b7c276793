//! Tables that come back as they were an hour ago, while the book has gone on: with the moment of the restoration told,
//! nothing is doubled, whatever the shop tells again.

use anyhow::{Context, ensure};
use ledger_suite::world::{MORNING_MS, Spoken, World, WorldOptions};
use ledger_world::book::Switches;
use ledger_world::shop::{Address, ItemSpec, OrderSpec};

/// An hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// When the tables are restored, in milliseconds: long after everything that happens here.
const RESTORED_MS: i64 = MORNING_MS + 48 * HOUR_MS;

fn mugs(email: &str, method: &str) -> OrderSpec {
    OrderSpec::for_guest(email, "Sam", "Lee", Address::british("1 High Street", "London", "N1 7AA"))
        .item(ItemSpec::simple("MUG", "Mug", 3, "15.99"))
        .paid_by(method)
}

async fn check(spoken: Spoken) -> anyhow::Result<()> {
    let options = WorldOptions {
        spoken,
        banks: true,
        timers: Some(|timers| timers.restored_at = Some(RESTORED_MS)),
        ..WorldOptions::default()
    };
    let Some(world) = World::start(options).await? else { return Ok(()) };
    // Nothing but what the book tells of its documents shall prevent a double, where it takes a number twice.
    world.book.sets(|switches: &mut Switches| switches.unique_references = false);
    let shop = &world.shop;
    let sells = |email: &str, method: &str| shop.invoices(&shop.places(&mugs(email, method))?);
    let kept = sells("sam@example.com", "stripe_payments")?;
    world.settles().await?;
    let backup = world.copies().await?;
    // Within the hour: another payment, buyers that are new, a refund of what is older than the copy, one of what is not.
    world.ledger.clock.advance(HOUR_MS);
    let mut lost = vec![
        sells("sam@example.com", "stripe_payments")?,
        sells("new@example.com", "checkmo")?,
        sells("new@example.com", "stripe_payments")?,
    ];
    let memos = [shop.refunds_invoice(kept)?, shop.refunds_invoice(lost[1])?];
    world.settles().await?;
    let before = world.holds();
    ensure!(before.invoices.len() == 4 && before.credit_notes.len() == 2, "{before:?}");
    ensure!(before.payments.len() == 3 && before.contacts.len() == 2, "{before:?}");

    world.restores(&backup).await?;
    ensure!(world.runs().await?.iter().all(|run| run.magento_id == u64::try_from(kept).unwrap_or_default()));
    // The shop is asked to tell everything again, which takes whatever order it takes.
    let mut rows = shop.outbox();
    rows.reverse();
    for row in rows {
        let sent = shop.delivers(row.entity_id).await?;
        ensure!(sent.status == Some(202), "{sent:?}");
    }
    world.settles().await?;
    lost.push(kept);
    for invoice in &lost {
        let run = world.run_of(*invoice).await?;
        ensure!(run.state == "succeeded", "{spoken:?}: {:?} {:?}", run.code, run.message);
    }
    for memo in memos {
        let run = world.run_for("creditmemo.created", memo).await?;
        ensure!(run.state == "succeeded", "{spoken:?}: {:?} {:?}", run.code, run.message);
    }
    let after = world.holds();
    ensure!(after == before, "{spoken:?}: {before:?} became {after:?}");
    // And what is sold from here on is posted as ever.
    let new = sells("sam@example.com", "stripe_payments")?;
    world.settles().await?;
    let run = world.run_of(new).await?;
    ensure!(run.state == "succeeded", "{:?} {:?}", run.code, run.message);
    ensure!(world.holds().invoices.len() == before.invoices.len() + 1);
    let number = shop.number_of("invoice", new).context("no number")?;
    ensure!(world.holds().invoices.iter().filter(|it| it.number == format!("MAG-{number}")).count() == 1);
    Ok(())
}

macro_rules! cases {
    ($($name:ident: $spoken:ident;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> anyhow::Result<()> {
            check(Spoken::$spoken).await
        })+
    };
}

cases! {
    an_hour_old_copy_beside_v2_doubles_nothing: V2;
    an_hour_old_copy_beside_xero_doubles_nothing: Accounting;
    an_hour_old_copy_beside_sage_doubles_nothing: Sage;
    an_hour_old_copy_beside_freeagent_doubles_nothing: Freeagent;
}
