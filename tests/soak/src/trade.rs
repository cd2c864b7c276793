//! What the shops do: accounts, products, orders, invoices, refunds, and cron that tells the ledger.

use crate::tally::Tally;
use crate::trouble::Plan;
use crate::world::{Trading, World};
use anyhow::{Context as _, bail};
use ledger_aws::SystemClock;
use ledger_aws::engine::ports::Clock;
use ledger_conformance::seed::Seed;
use ledger_demo::places::CARD;
use ledger_world::shop::{
    Address, CustomerSpec, InvoiceSpec, ItemSpec, MemoSpec, OrderSpec, OutboxStatus, ProductSpec, Sent,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// People who buy in a shop without an account.
const GUESTS: u64 = 8;
/// Deliveries that a book can be sent for each hundred calls that it may be asked: an event costs it two to four.
const DELIVERIES_PER_HUNDRED_CALLS: u64 = 30;
/// Of a thousand steps, how many repeat a delivery that was taken.
const REPEATS_PER_THOUSAND: u64 = 60;
/// Before a delivery that was not taken is sent again, in milliseconds. The shop would wait a minute at least.
const AGAIN_MS: u64 = 2_000;
/// A method whose money is a person's affair: the shop calls its invoices paid at once.
const BY_HAND: &str = "checkmo";
/// A method that is paid for later.
const ON_TERMS: &str = "trade_credit";
/// Pieces of each product that a shop has.
pub(crate) const STOCK: i64 = 12;
/// A website that the binding leaves out.
const LEFT_OUT: i64 = 3;
/// A rate that no book and no setting knows.
const UNKNOWN_RATE: &str = "33";
/// What the numbers of invoices begin with that are left out, so that whoever counts knows them.
const LEFT_OUT_MARK: &str = "L";
/// The same of those with an unknown rate.
const UNKNOWN_RATE_MARK: &str = "U";

/// The end that a delivery should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In the book.
    Synced,
    /// Left out.
    Skipped,
    /// A dead letter with this code.
    Refused(&'static str),
}

/// An invoice that may be refunded.
#[derive(Clone, Debug)]
struct Refundable {
    order: i64,
    invoice: i64,
    /// An item of it, of which more than one was bought.
    sku: String,
    parts: u32,
}

/// A shop at work.
struct Trader<'a> {
    trading: &'a Trading,
    number: usize,
    chance: Seed,
    refundable: Vec<Refundable>,
    customers: Vec<i64>,
    sold: u64,
}

/// Chips that say nothing yet.
pub(crate) fn pending_chips(trading: &Trading) -> usize {
    let provider = trading.paired.place.speech.provider();
    let is_pending = |key: &str| {
        let (event, id) = key.split_once(':').unwrap_or_default();
        let entity = event.split('.').next().unwrap_or_default();
        let chip = id.parse().ok().and_then(|id| trading.shop.chip_of(provider, entity, id));
        event != "invoice.paid" && chip.is_none_or(|chip| chip.sync_status == "pending")
    };
    trading.shop.outbox().iter().filter(|row| is_pending(&row.idempotency_key)).count()
}

/// The end that each delivery of a shop should come to, by its key.
pub(crate) fn ends(trading: &Trading) -> BTreeMap<String, End> {
    let sales = trading.shop.sales();
    let of_row = |key: &str| {
        let (event, id) = key.split_once(':').unwrap_or_default();
        let sale = sales.iter().find(|sale| sale.entity_type == "invoice" && id.parse() == Ok(sale.id));
        let Some(sale) = sale.filter(|_| event.starts_with("invoice.")) else { return End::Synced };
        if sale.increment_id.starts_with(UNKNOWN_RATE_MARK) {
            End::Refused("tax_rate_unmapped")
        } else if sale.increment_id.starts_with(LEFT_OUT_MARK)
            || (event == "invoice.paid" && sale.payment_method == BY_HAND)
        {
            End::Skipped
        } else {
            End::Synced
        }
    };
    trading.shop.outbox().iter().map(|row| (row.idempotency_key.clone(), of_row(&row.idempotency_key))).collect()
}

impl Trader<'_> {
    fn guest(&mut self) -> OrderSpec {
        let who = self.chance.between(1, GUESTS);
        let address = Address::british(&format!("{who} High Street"), "London", "N1 7AA");
        OrderSpec::for_guest(
            &format!("guest{who}.of{}@example.com", self.number),
            &format!("Guest{who}"),
            "Lee",
            address,
        )
    }

    /// An order of two items, at clean prices so that every book comes to the shop's total by itself.
    fn order(&mut self) -> (OrderSpec, String) {
        self.sold = self.sold.saturating_add(1);
        let customer = self.chance.happens(400).then(|| self.chance.one_of(&self.customers.clone()).copied()).flatten();
        let order = match customer {
            Some(customer) => {
                let address = Address::british("4 Weir Street", "Leeds", "LS2 7HY");
                OrderSpec::for_customer(customer).billed_to(address.clone()).shipped_to(address)
            }
            None => self.guest(),
        };
        let sku = format!("CUP-{}", self.sold);
        let rate = self.chance.one_of(&[20_i64, 20, 5, 0]).copied().unwrap_or(20);
        let pieces = i64::try_from(self.chance.between(2, 6)).unwrap_or(2);
        let price = self.chance.amount(5, 60, 0).to_string();
        let mut order = order.item(ItemSpec::simple(&sku, "Cup", pieces, price.as_str()).taxed(rate));
        if self.chance.happens(500) {
            let price = self.chance.amount(10, 90, 0).to_string();
            order = order.item(ItemSpec::simple(&format!("POT-{}", self.sold), "Pot", 1, price.as_str()).taxed(20));
        }
        if self.chance.happens(300) {
            order = order.shipping_for("5.00", 20);
        }
        (order, sku)
    }

    fn sells(&mut self, order: &OrderSpec, mark: &str) -> anyhow::Result<(i64, i64)> {
        let shop = &self.trading.shop;
        let placed = shop.places(order)?;
        let number = (!mark.is_empty()).then(|| format!("{mark}{:08}", self.sold));
        let invoice = shop.invoices_with(placed.id, &InvoiceSpec { increment_id: number, ..InvoiceSpec::default() })?;
        Ok((placed.id, invoice))
    }

    /// Does one thing that the ledger is told of.
    fn acts(&mut self) -> anyhow::Result<()> {
        let shop = &self.trading.shop;
        match self.chance.between(1, 100) {
            1..=10 => {
                let who = self.customers.len().saturating_add(1);
                let email = format!("customer{who}.of{}@example.com", self.number);
                let account = CustomerSpec::new(&email, &format!("Ada{who}"), "Brook").billed_to(Address::british(
                    "4 Weir Street",
                    "Leeds",
                    "LS2 7HY",
                ));
                self.customers.push(shop.customers().register(account)?);
            }
            11..=19 => {
                self.sold = self.sold.saturating_add(1);
                let price = self.chance.amount(5, 90, 0).to_string();
                let sku = format!("JUG-{}", self.sold);
                shop.saves_product(ProductSpec::simple(&sku, "Jug", price.as_str()).stocked(STOCK));
            }
            20..=62 => {
                let (order, sku) = self.order();
                let (order, invoice) = self.sells(&order.paid_by(CARD), "")?;
                self.refundable.push(Refundable { order, invoice, sku, parts: 0 });
            }
            63..=69 => {
                let (order, sku) = self.order();
                let (order, invoice) = self.sells(&order.paid_by(BY_HAND), "")?;
                self.refundable.push(Refundable { order, invoice, sku, parts: 0 });
            }
            70..=74 => {
                self.sold = self.sold.saturating_add(1);
                let order = self.guest().item(ItemSpec::simple("MUG", "Mug", 2, "15").taxed(20_i64));
                self.sells(&order.percent_off(100_i64).paid_by(ON_TERMS), LEFT_OUT_MARK)?;
            }
            75..=78 => {
                let order = self.guest().in_website(LEFT_OUT).in_store(LEFT_OUT);
                self.sold = self.sold.saturating_add(1);
                let order = order.item(ItemSpec::simple("LAMP", "Lamp", 1, "30").taxed(20_i64));
                self.sells(&order.paid_by(CARD), LEFT_OUT_MARK)?;
            }
            79..=81 => {
                self.sold = self.sold.saturating_add(1);
                let order = self.guest().item(ItemSpec::simple("TEE", "Tee", 10, "100").taxed(UNKNOWN_RATE));
                self.sells(&order.paid_by(ON_TERMS), UNKNOWN_RATE_MARK)?;
            }
            _ => self.refunds()?,
        }
        Ok(())
    }

    /// One piece first, then all that is left.
    fn refunds(&mut self) -> anyhow::Result<()> {
        if self.refundable.is_empty() {
            return Ok(());
        }
        let last = u64::try_from(self.refundable.len()).unwrap_or(1).saturating_sub(1);
        let place = usize::try_from(self.chance.between(0, last)).unwrap_or_default();
        let shop = &self.trading.shop;
        let Some(it) = self.refundable.get_mut(place) else { return Ok(()) };
        let memo = MemoSpec::of_invoice(it.order, it.invoice);
        if it.parts == 0 && self.chance.happens(700) {
            it.parts = 1;
            shop.refunds(&memo.only(&it.sku, 1).shipping_of("0"))?;
        } else {
            shop.refunds(&memo)?;
            self.refundable.remove(place);
        }
        Ok(())
    }

    /// One tick of the shop's cron; deliveries that were not taken are sent again soon.
    async fn tells(&self, tally: &Tally) {
        let sent = self.trading.shop.ticks().await;
        notes(self.trading, self.number, &sent, tally);
    }

    /// The very same delivery again.
    async fn repeats(&mut self, tally: &Tally) {
        let outbox = self.trading.shop.outbox();
        let taken: Vec<i64> =
            outbox.iter().filter(|row| row.status == OutboxStatus::Succeeded).map(|row| row.entity_id).collect();
        let Some(row) = self.chance.one_of(&taken).copied() else { return };
        let Ok(sent) = self.trading.shop.delivers(row).await else { return };
        match sent.status {
            Some(200..=299) => match run_id(&sent) {
                Some(run_id) => {
                    tally.repeats();
                    if !tally.accepted().contains_key(&run_id) {
                        tally.finds(format!("{} came again and is another run", sent.idempotency_key));
                    }
                }
                None => tally.finds(format!("{} came again and has no run", sent.idempotency_key)),
            },
            Some(400..=499) => {
                tally.finds(format!("{} came again: {:?} {}", sent.idempotency_key, sent.status, sent.body))
            }
            _ => tally.puts_off(),
        }
    }
}

fn run_id(sent: &Sent) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(&sent.body).ok()?;
    body.get("sync_run_id")?.as_str().map(str::to_owned)
}

fn notes(trading: &Trading, number: usize, sent: &[Sent], tally: &Tally) {
    for sent in sent {
        match (sent.status, run_id(sent)) {
            (Some(202), Some(run_id)) => tally.accepts(&run_id, number, &sent.idempotency_key),
            (Some(400..=499), _) => {
                tally.finds(format!("{}: {:?} {}", sent.idempotency_key, sent.status, sent.body));
            }
            _ => {
                tally.puts_off();
                let again = trading.shop.clone();
                let row = sent.outbox_id;
                tokio::spawn(async move {
                    SystemClock.sleep_ms(AGAIN_MS).await;
                    // It may have been cleared away; then there is nothing to send.
                    let _ = again.requeues(row);
                });
            }
        }
    }
}

/// Lets every shop trade until all have made so many deliveries together.
pub(crate) async fn all(
    world: &Arc<World>,
    tally: &Arc<Tally>,
    plan: &Plan,
    per_minute: Option<u64>,
) -> anyhow::Result<()> {
    let calls: u64 = world.places.iter().map(Trading::calls_per_minute).sum();
    let per_minute = per_minute.unwrap_or_else(|| per_hundred(calls, DELIVERIES_PER_HUNDRED_CALLS)).max(1);
    let deliveries = u64::try_from(plan.deliveries)?;
    let mut shops = Vec::new();
    for number in 0..world.places.len() {
        let (world, tally) = (Arc::clone(world), Arc::clone(tally));
        let share = world.places.get(number).map(Trading::calls_per_minute).unwrap_or_default();
        let rows = deliveries.saturating_mul(share).div_ceil(calls.max(1));
        // What this shop makes in a minute, one after another.
        let each_ms = 60_000_u64.saturating_mul(calls).checked_div(per_minute.saturating_mul(share).max(1));
        shops
            .push(tokio::spawn(async move { trades(&world, &tally, number, rows, each_ms.unwrap_or_default()).await }));
    }
    for shop in shops {
        shop.await??;
    }
    Ok(())
}

fn per_hundred(of: u64, share: u64) -> u64 {
    of.saturating_mul(share).checked_div(100).unwrap_or_default()
}

async fn trades(world: &World, tally: &Tally, number: usize, rows: u64, each_ms: u64) -> anyhow::Result<()> {
    let trading = world.places.get(number).context("no such shop")?;
    let chance = Seed::of(world.seed.wrapping_mul(1_000).wrapping_add(u64::try_from(number)?));
    let mut trader = Trader { trading, number, chance, refundable: Vec::new(), customers: Vec::new(), sold: 0 };
    let rows = usize::try_from(rows)?;
    loop {
        let before = trading.shop.outbox().len();
        if before >= rows {
            break;
        }
        trader.acts().with_context(|| format!("a shop at {}", trading.name()))?;
        let made = u64::try_from(trading.shop.outbox().len().saturating_sub(before))?;
        let began = SystemClock.now_ms();
        trader.tells(tally).await;
        if trader.chance.happens(REPEATS_PER_THOUSAND) {
            trader.repeats(tally).await;
        }
        let took = u64::try_from(SystemClock.now_ms().saturating_sub(began)).unwrap_or_default();
        let pause = each_ms.saturating_mul(made.max(1));
        let jitter = trader.chance.between(50, 150);
        SystemClock.sleep_ms(per_hundred(pause, jitter).saturating_sub(took)).await;
    }
    Ok(())
}

/// Waits until every delivery is taken, every run has come to an end and every chip has turned.
pub(crate) async fn rests(world: &World, tally: &Tally, until: i64, look_ms: u64) -> anyhow::Result<()> {
    loop {
        for (number, trading) in world.places.iter().enumerate() {
            notes(trading, number, &trading.shop.ticks().await, tally);
        }
        let mut open = Vec::new();
        for trading in &world.places {
            let waiting = trading.shop.outbox().iter().filter(|row| row.status == OutboxStatus::Pending).count();
            let chips = pending_chips(trading);
            // Nobody has to read all runs while a chip says that there is something to do.
            let runs = if waiting == 0 && chips == 0 { under_way(world, trading).await? } else { 0 };
            if waiting > 0 || chips > 0 || runs > 0 {
                open.push(format!("{}: {waiting} deliveries, {chips} chips, {runs} runs", trading.name()));
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        if SystemClock.now_ms() >= until {
            bail!("it does not come to rest: {}", open.join("; "));
        }
        SystemClock.sleep_ms(look_ms).await;
    }
}

/// Runs that have not come to an end. Those that a kill has crashed three times are tried again by an operator.
async fn under_way(world: &World, trading: &Trading) -> anyhow::Result<usize> {
    let mut open = 0_usize;
    for run in world.runs(trading).await? {
        match run.state.as_str() {
            "dead_lettered" if run.code.as_deref() == Some("crashed") => {
                world.stack.operate().retry(&run.run_id).await?;
                open = open.saturating_add(1);
            }
            // What is held goes on once its book is connected again, and by now it is.
            "succeeded" | "skipped" | "dead_lettered" => {}
            _ => open = open.saturating_add(1),
        }
    }
    Ok(open)
}
