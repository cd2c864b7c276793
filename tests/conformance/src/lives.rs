//! Lives of orders: what is bought, invoiced in parts and refunded in parts, counted by the model of Magento's own
//! collectors in `ledger-world`, and what a book has to show of each document in the end.

use crate::seed::Seed;
use anyhow::Context as _;
use ledger_world::amount::{self, Amount};
use ledger_world::shop::{
    Address, DiscountSpec, InvoiceSpec, ItemKind, ItemSpec, MemoSpec, OrderSpec, PartSpec, Shop, ShopOptions,
    TaxAlgorithm, TaxSettings, WebsiteSpec,
};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Tax rates that the books know and the settings map, in percent.
pub const RATES: [&str; 9] = ["0", "5", "7.7", "9", "12.5", "19", "20", "21", "27"];
/// A rate that nobody maps.
pub const STRANGE_RATE: &str = "33";
/// The item that has it.
const STRANGE_SKU: &str = "SKU-0";
/// A penny.
const PENNY: Decimal = Decimal::from_parts(1, 0, 0, false, 2);
/// Currencies besides the shop's own pounds, and units of them for one pound.
pub const CURRENCIES: [(&str, &str); 3] = [("EUR", "1.1753"), ("JPY", "190.25"), ("KWD", "0.3897")];

/// A document of the shop.
#[derive(Clone, Debug)]
pub struct Raised {
    /// Invoice or credit memo.
    pub kind: RaisedKind,
    /// The bytes that the shop's interface answers with.
    pub json: String,
    /// For a credit memo: the bytes of its invoice, where it names one.
    pub invoice_json: Option<String>,
    /// For an invoice: the bytes of its payment.
    pub payment_json: Option<String>,
    /// The document's currency.
    pub currency: String,
    /// What is to be paid or credited, as the shop counts.
    pub grand_total: Decimal,
    /// The tax in it, as the shop counts.
    pub tax: Decimal,
    /// Rows with money, shipping and adjustments.
    pub parts: usize,
    /// How far that tax may lie from the rate times the net of its rows, by the shop's own rounding.
    pub tax_slack: Decimal,
    /// What has to become of it.
    pub fate: Fate,
}

/// What kind of document it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaisedKind {
    /// An invoice.
    Invoice,
    /// A credit memo.
    Memo,
}

/// What has to become of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the book to the penny.
    Posted,
    /// It is refused with this code.
    Refused(&'static str),
    /// In the book to the penny if the binding names an account for what the parts don't explain, else refused.
    NeedsAccount,
}

/// One order's life.
#[derive(Clone, Debug)]
pub struct Life {
    /// Replays it.
    pub seed: u64,
    /// What was raised, in order.
    pub documents: Vec<Raised>,
}

/// A shop that lives orders.
#[derive(Clone, Debug)]
pub struct Lives {
    shop: Shop,
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    qty: Box<RawValue>,
    line_subtotal: Box<RawValue>,
    line_tax: Box<RawValue>,
    line_total: Box<RawValue>,
}

#[derive(Deserialize)]
struct Shown {
    currency: String,
    lines: Vec<Line>,
    shipping_amount: Box<RawValue>,
    shipping_tax_amount: Box<RawValue>,
    grand_total: Box<RawValue>,
    #[serde(default)]
    adjustment_positive: Option<Box<RawValue>>,
    #[serde(default)]
    adjustment_negative: Option<Box<RawValue>>,
}

/// A figure as the shop prints it.
fn figure(raw: &RawValue) -> anyhow::Result<Decimal> {
    let text = raw.get();
    text.parse().or_else(|_| Decimal::from_scientific(text)).with_context(|| format!("{text} is no figure"))
}

impl Lives {
    /// Opens a shop.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn open() -> anyhow::Result<Self> {
        Ok(Self { shop: Shop::start(ShopOptions::default()).await? })
    }

    /// In a shop that is open already. Its first website is set up anew for each order.
    #[must_use]
    pub fn of(shop: &Shop) -> Self {
        Self { shop: shop.clone() }
    }

    /// Lives one order.
    ///
    /// # Errors
    /// Where the shop refuses what was chosen: a fault of this module.
    pub fn live(&self, number: u64) -> anyhow::Result<Life> {
        self.live_as(number, "Lee")
    }

    /// Lives one order of a buyer with that last name.
    ///
    /// # Errors
    /// As [`Lives::live`].
    pub fn live_as(&self, number: u64, last_name: &str) -> anyhow::Result<Life> {
        let mut seed = Seed::of(number);
        let choice = &mut seed;
        let tax = tax_settings(choice);
        self.shop.sets_website(&WebsiteSpec {
            id: 1,
            base_currency: "GBP".to_owned(),
            stores: vec![1],
            rates: CURRENCIES.iter().map(|(code, rate)| ((*code).to_owned(), Amount::from(*rate))).collect(),
            tax,
        })?;
        let strange = choice.happens(10);
        let order = order(choice, strange, number, last_name);
        let placed = self.shop.orders(&order)?;
        let mut life = Life { seed: number, documents: Vec::new() };
        let mut invoices = Vec::new();
        let parts = if strange { 1 } else { choice.between(1, 3) };
        for part in 1..=parts {
            let spec = if part == parts { InvoiceSpec::default() } else { partly(choice, &order) };
            // What was asked for may be more than is left: then there is one invoice less.
            let Ok(id) = self.shop.invoices_with(placed.id, &spec) else { continue };
            let json = self.shop.canonical("invoice", id).context("an invoice that is not there")?;
            invoices.push((id, json.clone()));
            // All of an order at once is no part of it.
            let so_far = if parts > 1 { invoices.len() } else { 0 };
            let mut raised = raised(RaisedKind::Invoice, json, None, tax, so_far)?;
            raised.payment_json = self.shop.canonical("payment", id);
            if strange && strangely_taxed(&raised)? {
                raised.fate = Fate::Refused("tax_rate_unmapped");
            }
            if !strange && choice.happens(15) && raised.grand_total > Decimal::TEN {
                give_card(choice, &mut raised)?;
            }
            life.documents.push(raised);
        }
        for _ in 0..choice.between(0, 2) {
            let of = choice.one_of(&invoices).cloned().filter(|_| !choice.happens(100));
            let memo = memo(choice, &order, placed.id, of.as_ref().map(|(id, _)| *id));
            // More than is left, or nothing: the shop makes no such memo.
            let Ok(id) = self.shop.refunds(&memo) else { continue };
            let json = self.shop.canonical("creditmemo", id).context("a memo that is not there")?;
            let so_far = life.documents.len().saturating_add(1);
            let mut raised = raised(RaisedKind::Memo, json, of.map(|(_, json)| json), tax, so_far)?;
            if !tax.tax_after_discount && raised.fate == Fate::Posted && hides_a_discount(&raised)? {
                raised.fate = Fate::NeedsAccount;
            }
            if strange && strangely_taxed(&raised)? {
                raised.fate = Fate::Refused("tax_rate_unmapped");
            }
            life.documents.push(raised);
        }
        Ok(life)
    }
}

/// True where the row with the rate that nobody maps is in the document, with a tax that no other rate explains.
fn strangely_taxed(raised: &Raised) -> anyhow::Result<bool> {
    let shown: Shown = serde_json::from_str(&raised.json)?;
    let strange = shown.lines.iter().find(|line| line.sku == STRANGE_SKU);
    Ok(strange.is_some_and(|line| figure(&line.line_tax).is_ok_and(|tax| tax > Decimal::ONE)))
}

/// True where a memo comes to less than its parts, no row of it or of its invoice is discounted, its invoice doesn't say
/// the discount on shipping, and nothing shows that the difference came off shipping: where the shop taxes before the
/// discount, the tax is that of the whole price. Beside rows it looks like store credit; alone, the tax may by accident
/// be what another rate gives of the rest, to the penny, and then it is read so. Either way the total is the shop's.
fn hides_a_discount(raised: &Raised) -> anyhow::Result<bool> {
    if let Some(invoice) = &raised.invoice_json {
        let invoice: Shown = serde_json::from_str(invoice)?;
        if !figure(&invoice.shipping_amount)?.is_zero() || shows_a_discount(&invoice)? {
            return Ok(false);
        }
    }
    let shown: Shown = serde_json::from_str(&raised.json)?;
    let (shipping, shipping_tax) = (figure(&shown.shipping_amount)?, figure(&shown.shipping_tax_amount)?);
    let mut parts = shipping.saturating_add(shipping_tax);
    let mut rows = 0_usize;
    if shows_a_discount(&shown)? {
        return Ok(false);
    }
    for line in &shown.lines {
        let total = figure(&line.line_total)?;
        rows = rows.saturating_add(usize::from(!total.is_zero()));
        parts = parts.saturating_add(total);
    }
    parts = parts.saturating_add(shown.adjustment_positive.as_deref().map_or(Ok(Decimal::ZERO), figure)?);
    parts = parts.saturating_sub(shown.adjustment_negative.as_deref().map_or(Ok(Decimal::ZERO), figure)?);
    let missing = parts.saturating_sub(raised.grand_total);
    if missing <= PENNY {
        return Ok(false);
    }
    let rest = shipping.saturating_sub(missing);
    let looks_taxed_afterwards = RATES.iter().any(|rate| {
        let rate = rate.parse::<Decimal>().unwrap_or_default().saturating_mul(PENNY);
        let off = rest.saturating_mul(rate).saturating_sub(shipping_tax).abs();
        if rate.is_zero() { off.is_zero() } else { off <= rate.saturating_mul(NET_OFF_MAX).saturating_add(PENNY) }
    });
    Ok(rows > 0 || !looks_taxed_afterwards)
}

/// True where a row is paid with less than its price and tax.
fn shows_a_discount(shown: &Shown) -> anyhow::Result<bool> {
    for line in &shown.lines {
        let gross = figure(&line.line_subtotal)?.saturating_add(figure(&line.line_tax)?);
        if gross != figure(&line.line_total)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How far a net can be off by remainders of price, discount and compensation; the tax on it is off by a penny of its own.
const NET_OFF_MAX: Decimal = Decimal::from_parts(3, 0, 0, false, 2);
/// Half a penny.
const HALF_PENNY: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
/// A price with the highest tax, over the price without: what rounding a price with tax moves the tax by, beside
/// rounding the tax itself.
const GROSS_OVER_NET_MAX: Decimal = Decimal::from_parts(127, 0, 0, false, 2);

/// How far the tax of a row may lie from the rate times its net, by the shop's own rounding, as Magento's calculators do it:
/// by the piece half a penny for each; by the row half a penny; over the total a penny, because the row has the
/// remainder of those before it and leaves its own. Where prices contain tax, the net is rounded as well. A part of an
/// order gets its share of all that, and has the remainders of the `parts` so far, itself among them: half a penny of the tax
/// each, and half a penny of the net, discount and compensation that it is compared with.
fn row_slack(tax: TaxSettings, pieces: Decimal, parts: usize) -> Decimal {
    let own = match tax.algorithm {
        TaxAlgorithm::Unit => HALF_PENNY.saturating_mul(pieces.max(Decimal::ONE)),
        TaxAlgorithm::Row => HALF_PENNY,
        TaxAlgorithm::Total => PENNY,
    };
    own.saturating_mul(GROSS_OVER_NET_MAX).saturating_add(PENNY.saturating_mul(Decimal::from(parts)))
}

fn raised(
    kind: RaisedKind,
    json: String,
    invoice_json: Option<String>,
    settings: TaxSettings,
    parts_so_far: usize,
) -> anyhow::Result<Raised> {
    let shown: Shown = serde_json::from_str(&json)?;
    let mut tax = figure(&shown.shipping_tax_amount)?;
    let mut parts = 1_usize;
    // Shipping is a row of one piece.
    let mut tax_slack = if tax.is_zero() { Decimal::ZERO } else { row_slack(settings, Decimal::ONE, parts_so_far) };
    for line in &shown.lines {
        let row_tax = figure(&line.line_tax)?;
        tax = tax.saturating_add(row_tax);
        let moves = [&line.line_subtotal, &line.line_tax, &line.line_total];
        if moves.into_iter().map(|raw| figure(raw)).any(|value| value.is_ok_and(|value| !value.is_zero())) {
            parts = parts.saturating_add(1);
            if !row_tax.is_zero() {
                tax_slack = tax_slack.saturating_add(row_slack(settings, figure(&line.qty)?, parts_so_far));
            }
        }
    }
    for raw in [&shown.shipping_amount].into_iter().chain(&shown.adjustment_positive).chain(&shown.adjustment_negative)
    {
        if !figure(raw)?.is_zero() {
            parts = parts.saturating_add(1);
        }
    }
    let grand_total = figure(&shown.grand_total)?;
    // Every book keeps two decimal places at most: what a currency of three needs the third for can't be shown.
    let places = if shown.currency == "KWD" { 3 } else { 2 };
    let can_be_shown = amount::round(grand_total, places) == amount::round(amount::round(grand_total, places), 2);
    Ok(Raised {
        kind,
        currency: shown.currency,
        grand_total,
        tax,
        parts,
        tax_slack,
        json,
        invoice_json,
        payment_json: None,
        fate: if can_be_shown { Fate::Posted } else { Fate::Refused("unexplained_difference") },
    })
}

/// Adobe Commerce takes gift cards and store credit off the grand total without saying so: the parts stay as they are.
fn give_card(choice: &mut Seed, raised: &mut Raised) -> anyhow::Result<()> {
    let most = raised.grand_total.trunc().try_into().unwrap_or(10_u64).max(4);
    let card = choice.amount(300, most.saturating_mul(100), 2).min(raised.grand_total);
    let before = serde_json::from_str::<Shown>(&raised.json)?.grand_total;
    let left = raised.grand_total.saturating_sub(card).normalize();
    let (old, new) = (format!("\"grand_total\":{}", before.get()), format!("\"grand_total\":{left}"));
    anyhow::ensure!(raised.json.contains(&old), "no grand total in the document");
    raised.json = raised.json.replace(&old, &new);
    raised.grand_total = left;
    if raised.fate == Fate::Posted {
        raised.fate = Fate::NeedsAccount;
    }
    Ok(())
}

fn tax_settings(choice: &mut Seed) -> TaxSettings {
    let inclusive = choice.happens(450);
    TaxSettings {
        algorithm: match choice.between(1, 10) {
            1 => TaxAlgorithm::Unit,
            2 | 3 => TaxAlgorithm::Row,
            _ => TaxAlgorithm::Total,
        },
        prices_include_tax: inclusive,
        shipping_includes_tax: if choice.happens(900) { inclusive } else { !inclusive },
        discount_on_price_including_tax: inclusive && choice.happens(700),
        tax_after_discount: !choice.happens(80),
    }
}

fn order(choice: &mut Seed, strange: bool, number: u64, last_name: &str) -> OrderSpec {
    let address = Address::british("1 High Street", "London", "N1 7AA");
    let mut order = OrderSpec::for_guest(&format!("buyer{}@example.com", number % 50), "Sam", last_name, address);
    let currency = choice.happens(280).then(|| choice.one_of(&CURRENCIES).copied()).flatten();
    order.currency = currency.map(|(code, _)| code.to_owned());
    let home = choice.one_of(&RATES).copied().unwrap_or("20");
    for at in 0..choice.between(1, 6) {
        let rate = if choice.happens(750) { home } else { choice.one_of(&RATES).copied().unwrap_or("0") };
        let rate = if strange && at == 0 { STRANGE_RATE } else { rate };
        order.items.push(item(choice, at, rate, strange));
    }
    if choice.happens(700) {
        order.shipping_price = Some(choice.amount(0, 3_000, 2).into());
        order.shipping_tax_rate = (if choice.happens(800) { home } else { "0" }).into();
    }
    if !strange && choice.happens(450) {
        let (percent, fixed) = if choice.happens(600) {
            (Some(choice.amount(1, 1_000, 1).min(Decimal::ONE_HUNDRED).into()), None)
        } else {
            (None, Some(choice.amount(50, 4_000, 2).into()))
        };
        order.discount = Some(DiscountSpec { percent, fixed, also_shipping: choice.happens(300) });
    }
    order
}

fn item(choice: &mut Seed, at: u64, rate: &str, strange: bool) -> ItemSpec {
    let quantity = if choice.happens(80) { choice.amount(125, 9_875, 3) } else { choice.amount(1, 12, 0) };
    let price = if strange { choice.amount(5_000, 20_000, 2) } else { choice.amount(1, 30_000, 2) };
    let kind = match choice.between(1, 10) {
        1 => ItemKind::Configurable { variant_name: "Red".to_owned() },
        2 => ItemKind::FixedBundle { parts: parts(choice, at) },
        3 => ItemKind::DynamicBundle { parts: parts(choice, at) },
        _ => ItemKind::Simple,
    };
    let kind = if strange { ItemKind::Simple } else { kind };
    let quantity = if kind == ItemKind::Simple { quantity } else { quantity.ceil() };
    ItemSpec::simple(&format!("SKU-{at}"), &format!("Thing {at}"), quantity, price).taxed(rate).of_kind(kind)
}

fn parts(choice: &mut Seed, at: u64) -> Vec<PartSpec> {
    (1..=choice.between(1, 3))
        .map(|part| PartSpec {
            sku: format!("PART-{at}-{part}"),
            name: format!("Part {part}"),
            quantity: choice.amount(1, 4, 0).into(),
            price: choice.amount(1, 9_999, 2).into(),
        })
        .collect()
}

/// Some pieces of some items.
fn some_of(choice: &mut Seed, order: &OrderSpec) -> BTreeMap<String, Amount> {
    let mut some = BTreeMap::new();
    for item in &order.items {
        let most = item.quantity.decimal().unwrap_or_default().trunc().try_into().unwrap_or(0_u64);
        if most > 0 && choice.happens(600) {
            some.insert(item.sku.clone(), choice.amount(1, most, 0).into());
        }
    }
    some
}

fn partly(choice: &mut Seed, order: &OrderSpec) -> InvoiceSpec {
    InvoiceSpec { quantities: Some(some_of(choice, order)), ..InvoiceSpec::default() }
}

fn memo(choice: &mut Seed, order: &OrderSpec, order_id: i64, invoice_id: Option<i64>) -> MemoSpec {
    let whole = choice.happens(300);
    let shipping = if choice.happens(500) { Some(choice.amount(0, 500, 2).into()) } else { None };
    MemoSpec {
        order_id,
        invoice_id,
        quantities: if whole { None } else { Some(some_of(choice, order)) },
        shipping,
        adjustment_positive: if choice.happens(120) { choice.amount(1, 500, 2).into() } else { Amount::default() },
        adjustment_negative: if choice.happens(120) { choice.amount(1, 300, 2).into() } else { Amount::default() },
        ..MemoSpec::default()
    }
}
