//! Exhaustive crash cases. The boundaries are the port calls of a recorded run: the process is killed before and after
//! each of them, and after the sweeps the document is in the book exactly once and its chip is true. A new port call
//! becomes a new case by itself.

use anyhow::ensure;
use ledger_suite::trip::Side;
use ledger_suite::world::{Other, Spoken, World, WorldOptions};
use ledger_world::shop::{Address, CustomerSpec, ItemSpec, OrderSpec, ProductSpec};

/// Which part of the way is recorded and killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The shop's delivery.
    Ingest,
    /// The attempt.
    Worker,
    /// The push of the chip.
    Push,
    /// The sweep that takes over a run whose message was lost.
    Sweeper,
}

/// Walks one invoice's way with the tripwire on one part of it. Returns the calls seen and where it struck.
async fn walk(
    world: &World,
    part: Part,
    at: Option<(usize, Side)>,
) -> anyhow::Result<(i64, Vec<&'static str>, Option<&'static str>)> {
    let trip = &world.ledger.trip;
    // A new process each time, so that every case makes the same calls.
    world.ledger.forgets();
    let invoice = world.shop.raises("b2b-on-terms")?;
    if part == Part::Ingest {
        trip.arm(at);
    }
    world.ticks().await;
    let mut seen = if part == Part::Ingest { trip.disarm() } else { Default::default() };

    let messages = world.ledger.queue.take();
    if part == Part::Sweeper {
        // Every message is lost; the run is stalled.
        world.ledger.clock.advance(700_000);
        world.ledger.forgets();
        trip.arm(at);
        world.ledger.sweeps().await;
        seen = trip.disarm();
    } else {
        if part == Part::Worker {
            world.ledger.forgets();
            trip.arm(at);
        }
        for message in &messages {
            world.handles(message).await?;
        }
        if part == Part::Worker {
            seen = trip.disarm();
        }
        let pushes = world.ledger.queue.take();
        if part == Part::Push {
            world.ledger.forgets();
            trip.arm(at);
        }
        for message in &pushes {
            world.handles(message).await?;
        }
        if part == Part::Push {
            seen = trip.disarm();
        }
    }
    world.settles().await?;
    Ok((invoice, seen.0, seen.1))
}

/// A world whose book takes a number twice: nothing but our own memory prevents a double.
async fn forgetful() -> anyhow::Result<Option<World>> {
    let world = World::start(WorldOptions::default()).await?;
    if let Some(world) = &world {
        world.book.sets(|switches| switches.unique_references = false);
    }
    Ok(world)
}

async fn sweep_all(part: Part, boundaries_min: usize) -> anyhow::Result<()> {
    let Some(world) = forgetful().await? else { return Ok(()) };
    // Once unrecorded, so that the contact of every later invoice is known and all cases are alike.
    let (first, _, _) = walk(&world, part, None).await?;
    world.shows_once(first).await?;
    let (recorded, calls, _) = walk(&world, part, None).await?;
    world.shows_once(recorded).await?;
    ensure!(calls.len() >= boundaries_min, "only {} calls were recorded: {calls:?}", calls.len());
    let mut cases = 0;
    for (number, expected) in calls.iter().enumerate() {
        for side in [Side::Before, Side::After] {
            let (invoice, _, struck) = walk(&world, part, Some((number, side))).await?;
            ensure!(struck == Some(*expected), "case {number} {side:?} struck {struck:?}, recorded {expected}");
            world
                .shows_once(invoice)
                .await
                .map_err(|error| error.context(format!("killed {side:?} call {number}, {expected}")))?;
            cases += 1;
        }
    }
    ensure!(cases == calls.len() * 2, "a boundary was not visited");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    sweep_all(Part::Ingest, 3).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    sweep_all(Part::Push, 3).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    sweep_all(Part::Worker, 8).await
}

/// With a contact that is not known yet, so that two documents are created.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_for_a_new_buyer_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    let Some(world) = forgetful().await? else { return Ok(()) };
    let calls = {
        let (invoice, calls, _) = walk_guest(&world, 0, None).await?;
        world.shows_once(invoice).await?;
        calls
    };
    ensure!(calls.iter().filter(|call| **call == "book.send").count() >= 2, "no contact was created: {calls:?}");
    let mut buyer = 0;
    for (number, expected) in calls.iter().enumerate() {
        for side in [Side::Before, Side::After] {
            buyer += 1;
            let (invoice, _, struck) = walk_guest(&world, buyer, Some((number, side))).await?;
            ensure!(struck == Some(*expected), "case {number} {side:?} struck {struck:?}, recorded {expected}");
            world
                .shows_once(invoice)
                .await
                .map_err(|error| error.context(format!("killed {side:?} call {number}, {expected}")))?;
        }
    }
    let contacts = world.book.contacts().len();
    ensure!(contacts == buyer + 1, "{contacts} contacts for {} buyers", buyer + 1);
    world.is_clean()
}

async fn walk_guest(
    world: &World,
    buyer: usize,
    at: Option<(usize, Side)>,
) -> anyhow::Result<(i64, Vec<&'static str>, Option<&'static str>)> {
    let address = Address::british("1 High Street", "London", "N1 7AA");
    let order = world.shop.orders(
        &OrderSpec::for_guest(&format!("buyer-{buyer}@example.com"), "Sam", "Lee", address)
            .item(ItemSpec::simple("MUG", "Mug", 2, "19.99").taxed(20))
            .shipping_for("4.99", 20),
    )?;
    let invoice = world.shop.invoices(&order)?;
    world.ticks().await;
    let messages = world.ledger.queue.take();
    world.ledger.forgets();
    world.ledger.trip.arm(at);
    for message in &messages {
        world.handles(message).await?;
    }
    let (calls, struck) = world.ledger.trip.disarm();
    world.settles().await?;
    Ok((invoice, calls, struck))
}

/// The sweeper reads its shards side by side, so its calls have no fixed order; each number is a place to die at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    let Some(world) = forgetful().await? else { return Ok(()) };
    // Once unrecorded: the first invoice brings its customer along.
    let (before, _, _) = walk(&world, Part::Sweeper, None).await?;
    world.shows_once(before).await?;
    let (first, calls, _) = walk(&world, Part::Sweeper, None).await?;
    world.shows_once(first).await?;
    ensure!(calls.contains(&"queue.send"), "the sweep sent nothing: {calls:?}");
    // The interesting calls are those of the run; the rest only reads indexes.
    for number in 0..calls.len() {
        for side in [Side::Before, Side::After] {
            let call = calls.get(number).copied().unwrap_or_default();
            if ["store.due", "store.oldest_due", "store.by_state"].contains(&call) && number % 8 != 0 {
                continue;
            }
            let (invoice, _, struck) = walk(&world, Part::Sweeper, Some((number, side))).await?;
            ensure!(struck.is_some(), "case {number} {side:?} struck nothing");
            world
                .shows_once(invoice)
                .await
                .map_err(|error| error.context(format!("killed {side:?} call {number}, {struck:?}")))?;
        }
    }
    world.is_clean()
}

/// What a case leaves for the attempt that is killed, and what must be true in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The payment of an open invoice that is in the book.
    Payment,
    /// The refund of a paid invoice.
    Refund,
    /// A credit note for an invoice that nobody has paid.
    Allocation,
    /// A credit note whose invoice and payment nobody has posted yet.
    Everything,
    /// A new customer.
    Customer,
    /// A new product.
    Product,
}

impl Way {
    /// Sells what the case is about; the id of its event's entity.
    async fn begins(self, world: &World, case: usize) -> anyhow::Result<i64> {
        let method = match self {
            Self::Allocation => "checkmo",
            Self::Payment | Self::Refund | Self::Everything | Self::Customer | Self::Product => "stripe_payments",
        };
        let address = Address::british("1 High Street", "London", "N1 7AA");
        let order = OrderSpec::for_guest("sam@example.com", "Sam", "Lee", address)
            .item(ItemSpec::simple("MUG", "Mug", 3, "15.99"))
            .paid_by(method);
        Ok(match self {
            Self::Customer => {
                world.shop.saves_customer(CustomerSpec::new(&format!("buyer-{case}@example.com"), "Sam", "Lee"))?
            }
            Self::Product => {
                let product = ProductSpec::simple(&format!("MUG-{case}"), "Mug", "15.99").stocked(7);
                let product = world.shop.saves_product(product);
                // Sage's module tells it by itself.
                if world.other.is_none() {
                    world.tells("product.upserted", product).await?;
                }
                product
            }
            Self::Payment => {
                let invoice = world.shop.raises("b2b-on-terms")?;
                world.settles().await?;
                world.shop.pays(invoice)?;
                invoice
            }
            Self::Refund | Self::Allocation => {
                let invoice = world.shop.invoices(&world.shop.places(&order)?)?;
                world.settles().await?;
                world.shop.refunds_invoice(invoice)?
            }
            Self::Everything => {
                let invoice = world.shop.invoices(&world.shop.places(&order)?)?;
                world.shop.refunds_invoice(invoice)?
            }
        })
    }

    const fn event(self) -> &'static str {
        match self {
            Self::Payment => "invoice.paid",
            Self::Refund | Self::Allocation | Self::Everything => "creditmemo.created",
            Self::Customer => "customer.upserted",
            Self::Product => "product.upserted",
        }
    }

    /// Everything is in the book once, and settled.
    fn is_whole(self, world: &World, cases: usize) -> anyhow::Result<()> {
        let book = world.holds();
        let found = (
            book.invoices.len(),
            book.payments.len(),
            book.credit_notes.len(),
            book.allocations.len(),
            book.refunds.len(),
            book.products.len(),
        );
        let expected = match self {
            Self::Payment => (cases, cases, 0, 0, 0, 0),
            Self::Refund | Self::Everything => (cases, cases, cases, 0, cases, 0),
            Self::Allocation => (cases, 0, cases, cases, 0, 0),
            Self::Customer => (0, 0, 0, 0, 0, 0),
            Self::Product => (0, 0, 0, 0, 0, cases),
        };
        ensure!(found == expected, "the book has {found:?}, not {expected:?}");
        let contacts = if self == Self::Customer { cases } else { usize::from(self != Self::Product) };
        ensure!(book.contacts.len() == contacts, "{} contacts, not {contacts}", book.contacts.len());
        let keeps_stock = matches!(world.other, Some(Other::Sage(_)));
        let moved = if self == Self::Product && keeps_stock { cases } else { 0 };
        ensure!(book.stock_movements.len() == moved, "{} stock movements, not {moved}", book.stock_movements.len());
        let open = book.invoices.iter().chain(&book.credit_notes).find(|it| it.outstanding != "0.00");
        ensure!(open.is_none(), "something is left of {open:?}");
        Ok(())
    }
}

/// Each case sells anew and kills the event's attempt, and those of the events that come with it, at another call.
async fn killed_at_every_call(spoken: Spoken, way: Way, calls_min: usize) -> anyhow::Result<()> {
    let options = WorldOptions {
        banks: true,
        spoken,
        settings: Some(|settings| {
            settings.sync_products = Some(true);
            settings.sync_stock = Some(true);
        }),
        ..WorldOptions::default()
    };
    let Some(world) = World::start(options).await? else { return Ok(()) };
    world.book.sets(|switches| switches.unique_references = false);
    let mut cases = 0;
    let mut walked = async |at: Option<(usize, Side)>| -> anyhow::Result<(Vec<&'static str>, Option<&'static str>)> {
        cases += 1;
        let id = way.begins(&world, cases).await?;
        world.ticks().await;
        let mut messages = world.ledger.queue.take();
        // What needs the most comes first.
        messages.reverse();
        world.ledger.forgets();
        world.ledger.trip.arm(at);
        for message in &messages {
            world.handles(message).await?;
        }
        let (calls, struck) = world.ledger.trip.disarm();
        world.settles().await?;
        let killed = format!("killed {at:?}, {struck:?}");
        world.ended(way.event(), id, "succeeded", None).await.map_err(|error| error.context(killed.clone()))?;
        way.is_whole(&world, cases).map_err(|error| error.context(killed))?;
        Ok((calls, struck))
    };
    // Once unrecorded, so that what every later case needs is there and all cases are alike.
    walked(None).await?;
    let (calls, _) = walked(None).await?;
    ensure!(calls.len() >= calls_min, "only {} calls were recorded: {calls:?}", calls.len());
    for (number, expected) in calls.iter().enumerate() {
        // Another dialect changes what is asked of the book and written of it, and nothing else.
        if spoken != Spoken::V2 && !["book.send", "store.progress", "store.commit"].contains(expected) {
            continue;
        }
        for side in [Side::Before, Side::After] {
            let (_, struck) = walked(Some((number, side))).await?;
            ensure!(struck == Some(*expected), "case {number} {side:?} struck {struck:?}, recorded {expected}");
        }
    }
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::V2, Way::Payment, 8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::V2, Way::Refund, 10).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocation_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::V2, Way::Allocation, 10).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credit_note_with_all_that_it_needs_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::V2, Way::Everything, 16).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::V2, Way::Customer, 6).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_survives_a_kill_at_every_call() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::V2, Way::Product, 6).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_survives_a_kill_at_every_call_in_freeagent() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::Freeagent, Way::Everything, 16).await
}

/// Here a create in doubt is sent again under its key for five minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_survives_a_kill_at_every_call_in_accounting() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::Accounting, Way::Everything, 16).await
}

/// Here a create in doubt is sent again under its key at any time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_survives_a_kill_at_every_call_in_sage() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::Sage, Way::Everything, 16).await
}

/// A product and the movement of its stock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_and_its_stock_survive_a_kill_at_every_call_in_sage() -> anyhow::Result<()> {
    killed_at_every_call(Spoken::Sage, Way::Product, 8).await
}
