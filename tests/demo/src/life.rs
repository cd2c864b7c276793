//! One order's life in each dialect at once: customer and products, invoice and payment, a refund of part, a refund of the
//! rest; and what the book holds in the end beside what the shop says.

use crate::compare::{self, Banked, Life, Line, Told};
use crate::delivery;
use anyhow::Context;
use ledger_aws::SystemClock;
use ledger_aws::engine::ports::Clock;
use ledger_cli::Stack;
use ledger_demo::pairing::Paired;
use ledger_demo::places::{CARD, Place, Speech};
use ledger_demo::seconds;
use ledger_demo::strangers::Chip;
use ledger_world::shop::{Address, CustomerSpec, ItemSpec, MemoSpec, OrderSpec, ProductSpec};
use ledger_world::statement::Statement;
use rust_decimal::Decimal;

/// Between two looks at the chips, in milliseconds.
const LOOK_MS: u64 = 100;
/// Pieces of each product that the shop has.
const STOCK: i64 = 40;
/// What is bought: SKU, name, pieces, price without tax.
const GOODS: [(&str, &str, i64, &str); 2] = [("TEAPOT", "Teapot, 1.2 l", 1, "34.99"), ("CUP", "Cup", 3, "6.45")];

/// A life as it was lived.
pub(crate) struct Lived {
    speech: Speech,
    currency: String,
    lines: Vec<Line>,
    banked: Vec<Banked>,
    /// Runs that ended as they shouldn't.
    stuck: Vec<String>,
    took_ms: i64,
}

impl Lived {
    /// What a person calls the book.
    pub(crate) const fn title(&self) -> &'static str {
        self.speech.title()
    }

    /// Everything that is not as it should be.
    pub(crate) fn wrongs(&self) -> Vec<String> {
        self.stuck.iter().cloned().chain(compare::wrongs(&self.lines, &self.banked)).collect()
    }

    /// The comparison for people.
    pub(crate) fn told(&self) -> String {
        let table = compare::table(&self.lines, &self.banked, &self.currency);
        format!("\n{}: one order's life in {}\n{table}", self.title(), seconds(self.took_ms))
    }
}

/// A life under way.
struct Living<'a> {
    stack: &'a Stack,
    place: &'a Place,
    until: i64,
    currency: String,
    buyer: String,
    before: Statement,
    banked: Vec<Banked>,
    stuck: Vec<String>,
}

/// Lives an order; `mark` tells its buyer and goods from those of every other time.
pub(crate) async fn live(stack: &Stack, paired: &Paired, mark: &str, until: i64) -> anyhow::Result<Lived> {
    let speech = paired.place.speech;
    let lived = lives(stack, &paired.place, mark, until).await;
    lived.with_context(|| format!("an order's life in {}", speech.title()))
}

async fn lives(stack: &Stack, place: &Place, mark: &str, until: i64) -> anyhow::Result<Lived> {
    let began = SystemClock.now_ms();
    let before = place.book.statement().await?;
    let currency = before.currency.clone();
    let email = format!("ada.brook.{mark}@example.com");
    let buyer = email.clone();
    let mut living = Living { stack, place, until, currency, buyer, before, banked: Vec::new(), stuck: Vec::new() };
    let shop = &place.shop;
    let address = Address::british("4 Weir Street", "Leeds", "LS2 7HY");
    let account = CustomerSpec::new(&email, "Ada", "Brook").billed_to(address.clone()).shipped_to(address);
    let customer = shop.registers(&account).await?;
    let mut events = vec![format!("customer.upserted:{customer}")];
    let mut products = Vec::new();
    let mut order = OrderSpec::for_customer(customer).shipping_for("4.99", 20).percent_off(10).paid_by(CARD);
    for (sku, name, pieces, price) in GOODS {
        let sku = format!("{sku}-{mark}");
        let product = shop.saves(&ProductSpec::simple(&sku, name, price).stocked(STOCK)).await?;
        events.push(format!("product.upserted:{product}"));
        order = order.item(ItemSpec::simple(&sku, name, pieces, price).taxed(20));
        products.push((product, sku, price));
    }
    living.follow(&events).await?;

    let order_id = shop.takes(&order).await?;
    let invoice = shop.invoices(order_id).await?;
    let of_invoice = ["created", "paid"].map(|event| format!("invoice.{event}:{}", invoice.id));
    living.follow(&of_invoice).await?;
    let mut kept = invoice.grand_total;
    living.counts("payment", kept).await?;

    let of_part = MemoSpec::of_invoice(order_id, invoice.id)
        .only(&format!("CUP-{mark}"), 2)
        .shipping_of("2.00")
        .because("Two cups came in pieces");
    let of_rest = MemoSpec::of_invoice(order_id, invoice.id);
    let mut refunds = Vec::new();
    for (after, memo) in [("partial refund", of_part), ("full refund", of_rest)] {
        let memo = shop.refunds(&memo).await?;
        living.follow(&[format!("creditmemo.created:{memo}")]).await?;
        let sale = shop.sale("creditmemo", memo).await?;
        kept = kept.saturating_sub(sale.grand_total);
        living.counts(after, kept).await?;
        refunds.push(sale);
    }

    let mut life = Life { currency: shop.currency(invoice.id).await?, ..Life::default() };
    life.customer = Told { name: email, chip: living.chip("customer", customer).await?, ..Told::default() };
    for (id, name, price) in products {
        let chip = living.chip("product", id).await?;
        let stock = (place.speech == Speech::Sage).then(|| Decimal::from(STOCK));
        life.products.push(Told { name, amount: price.parse()?, tax: None, stock, chip });
    }
    let chip = living.chip("invoice", invoice.id).await?;
    let tax = Some(shop.sale("invoice", invoice.id).await?.tax_amount);
    life.invoice = Told { name: invoice.increment_id, amount: invoice.grand_total, tax, stock: None, chip };
    for sale in refunds {
        anyhow::ensure!(sale.currency == life.currency, "a credit memo in {}", sale.currency);
        let chip = living.chip("creditmemo", sale.id).await?;
        let tax = Some(sale.tax_amount);
        life.refunds.push(Told { name: sale.increment_id, amount: sale.grand_total, tax, stock: None, chip });
    }
    let lines = compare::lines(&life, &place.book.statement().await?);
    let Living { banked, stuck, .. } = living;
    let took_ms = SystemClock.now_ms().saturating_sub(began);
    Ok(Lived { speech: place.speech, currency: life.currency, lines, banked, stuck, took_ms })
}

impl Living<'_> {
    /// Has the shop's cron deliver events, and follows their runs to their ends.
    async fn follow(&mut self, keys: &[String]) -> anyhow::Result<()> {
        let delivered = delivery::deliver(&self.place.shop, keys, self.until).await?;
        for run_id in delivered.iter().filter_map(|it| it.sent.run_id()) {
            let run = delivery::ended(self.stack, &run_id, self.until).await?.run;
            if run.state != "succeeded" {
                let why = run.code.unwrap_or_default();
                self.stuck.push(format!("{} {why}: {} (run {run_id})", run.state, run.idempotency_key));
            }
        }
        Ok(())
    }

    /// Notes what is on the bank by now.
    async fn counts(&mut self, after: &'static str, kept: Decimal) -> anyhow::Result<()> {
        let now = self.place.book.statement().await?;
        let on_bank = |statement: &Statement| {
            compare::on_bank(statement, &self.currency, &self.buyer).context("an amount of the statement is no figure")
        };
        let book = on_bank(&now)?.saturating_sub(on_bank(&self.before)?);
        self.banked.push(Banked { after, shop: kept, book });
        Ok(())
    }

    /// The shop's chip, once it is no longer pending.
    async fn chip(&self, entity: &str, id: i64) -> anyhow::Result<Chip> {
        loop {
            let chip = self.place.shop.chip(entity, id).await?;
            if chip.sync_status != "pending" || SystemClock.now_ms() >= self.until {
                return Ok(chip);
            }
            SystemClock.sleep_ms(LOOK_MS).await;
        }
    }
}
