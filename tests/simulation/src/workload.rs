//! What shops do in a world, by a seed's choice: accounts, products, orders, invoices in parts, payments, refunds, edits; and
//! what people do with bindings.

use crate::world::{Plan, Spoken, Told, Volume, World};
use anyhow::Context as _;
use futures::FutureExt as _;
use ledger_conformance::books::AnyBook;
use ledger_conformance::seed::Seed;
use ledger_engine::ports::Configurations as _;
use ledger_engine::wire::rows::{ROW_VERSION, SettingsRow, keys};
use ledger_engine::wire::settings::{SettingsV1, TaxRuleV1};
use ledger_world::sage::{bank_account, ledger_account};
use ledger_world::shop::{
    Address, CustomerEdit, CustomerSpec, InvoiceSpec, ItemSpec, MemoSpec, OrderSpec, ProductSpec,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// People who buy, in every shop.
const BUYERS: u64 = 5;
/// A shop is without its key for less than this, in milliseconds.
const KEY_GONE_MS: u64 = 900_000;
/// A person pairs a shop again after this at the earliest, in milliseconds.
const PAIRS_AGAIN_MS: i64 = 1_200_000;
/// Methods whose money is booked.
pub const MAPPED: [&str; 2] = ["stripe_payments", "trade_credit"];

/// Something that is done. Its number is the chance that decides the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A person opens an account, or saves it.
    Registers(usize, u64),
    /// An account is changed.
    Edits(usize, u64),
    /// A product is saved.
    SavesProduct(usize, u64),
    /// A product's stock is counted.
    Stocks(usize, u64),
    /// Somebody buys, and is invoiced.
    Sells(usize, u64),
    /// Somebody buys one thing and pays like this.
    SellsOne(usize, &'static str),
    /// What is left of an order is invoiced.
    InvoicesRest(usize, u64),
    /// The money for an open invoice comes.
    Pays(usize, u64),
    /// Money goes back.
    Refunds(usize, u64),
    /// The settings of a binding change.
    ChangesSettings(usize, u64),
    /// A binding is paused.
    Pauses(usize),
    /// It goes on.
    GoesOn(usize),
    /// A person connects a binding's book anew while work goes on.
    Reconnects(usize),
    /// The shop disconnects: its key is gone.
    LosesKey(usize),
    /// It has it again.
    FindsKey(usize),
    /// It is paired anew.
    PairsAnew(usize),
    /// The bookkeeper enters the money for an open invoice by hand, or part of it.
    EntersPayment(usize, u64),
    /// The shop's clock is that many seconds from the true time.
    SetsClock(usize, i64),
}

/// What a deed asks of the world.
#[derive(Clone, Debug)]
pub enum Act {
    /// A shop tells of something past its outbox.
    Tells(usize, Told),
}

/// What the shops did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Invoices by shop and id: what the first row sells, and how many.
    pub invoices: BTreeMap<(usize, i64), (String, u32)>,
    /// Invoices that were refunded.
    pub refunded: BTreeSet<(usize, i64)>,
    /// Orders that are not invoiced wholly.
    pub open_orders: Vec<(usize, i64, String)>,
    /// Accounts by shop and id: the e-mail address.
    pub customers: BTreeMap<(usize, i64), String>,
    /// First names of accounts, as they are now.
    pub named: BTreeMap<(usize, i64), String>,
    /// Products by shop and id: the code.
    pub products: BTreeMap<(usize, i64), String>,
    /// Bindings that had to be connected again.
    pub reconnected: BTreeSet<String>,
    /// Shops that were paired anew, and when last, in milliseconds.
    pub paired_anew: BTreeMap<usize, i64>,
    /// Bindings that a person connected anew while work went on.
    pub signed_in: BTreeSet<String>,
    /// Dead letters that an operator tried again, with their codes.
    pub dead: BTreeMap<String, String>,
    /// Money that a bookkeeper entered by hand, by book and number of the invoice.
    pub by_hand: BTreeMap<(String, String), Decimal>,
    /// What is still to be told.
    pub to_tell: Vec<(usize, Told)>,
    orders: u32,
}

/// The plan of a seed.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let mut chance = Seed::of(seed.wrapping_mul(0x9E37_79B9).wrapping_add(7));
    let one = |chance: &mut Seed| Spoken::ALL.get(usize::try_from(chance.between(0, 3)).unwrap_or_default()).copied();
    let first = one(&mut chance).unwrap_or(Spoken::V2);
    let mut books = vec![first];
    let mut shops = vec![vec![0]];
    match chance.between(0, 9) {
        // Two books for one shop: of different providers.
        0..=2 => {
            let others: Vec<Spoken> =
                Spoken::ALL.into_iter().filter(|spoken| spoken.provider() != first.provider()).collect();
            books.extend(chance.one_of(&others).copied());
            shops = vec![vec![0, 1]];
        }
        // Two shops for one book.
        3..=4 => shops = vec![vec![0], vec![0]],
        // Two shops, each with a book.
        5 => {
            books.extend(one(&mut chance));
            shops = vec![vec![0], vec![1]];
        }
        _ => {}
    }
    let bounds: usize = shops.iter().map(Vec::len).sum();
    let span = i64::try_from(chance.between(120_000, 1_500_000)).unwrap_or_default();
    let count = chance.between(8, 14);
    let mut deeds = Vec::new();
    for number in 0..count {
        let shop = usize::try_from(chance.between(0, u64::try_from(shops.len()).unwrap_or(1).saturating_sub(1)));
        let shop = shop.unwrap_or_default();
        let bound = usize::try_from(chance.between(0, u64::try_from(bounds).unwrap_or(1).saturating_sub(1)));
        let bound = bound.unwrap_or_default();
        let draw = chance.number();
        let at = i64::try_from(chance.between(0, u64::try_from(span).unwrap_or_default())).unwrap_or_default();
        // The first few are sales, early.
        let (at, choice) = if number < 3 { (at.div_euclid(3), 0) } else { (at, chance.between(0, 111)) };
        match choice {
            0..=29 => deeds.push((at, Deed::Sells(shop, draw))),
            30..=39 => deeds.push((at, Deed::Registers(shop, draw))),
            40..=49 => deeds.push((at, Deed::Edits(shop, draw))),
            50..=56 => deeds.push((at, Deed::SavesProduct(shop, draw))),
            57..=63 => deeds.push((at, Deed::Stocks(shop, draw))),
            64..=70 => deeds.push((at, Deed::InvoicesRest(shop, draw))),
            71..=79 => deeds.push((at, Deed::Pays(shop, draw))),
            80..=92 => deeds.push((at, Deed::Refunds(shop, draw))),
            93..=96 => deeds.push((at, Deed::ChangesSettings(bound, draw))),
            100..=102 => deeds.push((at, Deed::Reconnects(bound))),
            103..=105 => {
                deeds.push((at, Deed::LosesKey(shop)));
                let gone = i64::try_from(draw % KEY_GONE_MS).unwrap_or_default();
                let back = if chance.happens(500) { Deed::PairsAnew(shop) } else { Deed::FindsKey(shop) };
                deeds.push((at.saturating_add(gone), back));
            }
            106..=109 => deeds.push((at, Deed::EntersPayment(bound, draw))),
            110..=111 => deeds.push((at, Deed::PairsAnew(shop))),
            _ => {
                deeds.push((at, Deed::Pauses(bound)));
                deeds.push((at.saturating_add(240_000), Deed::GoesOn(bound)));
            }
        }
    }
    deeds.sort_by_key(|(at, _)| *at);
    Plan { seed, shops, books, deeds, faulty: true, script: Vec::new() }
}

/// Settings that fit a book, and two accounts for income.
#[must_use]
pub fn settings_for(volume: &Volume, prefix: &str) -> (SettingsV1, [String; 2]) {
    let base = SettingsV1 {
        time_zone: "Europe/London".to_owned(),
        book_currency: "GBP".to_owned(),
        book_country: Some("GB".to_owned()),
        invoice_number_prefix: Some(prefix.to_owned()),
        credit_note_prefix: Some(format!("{prefix}CN-")),
        rounding_limit: Some("1".to_owned()),
        sync_products: Some(true),
        sync_stock: Some(true),
        ..SettingsV1::default()
    };
    let taxes = |taxes: [(&str, &str); 3]| {
        let rule =
            |(rate, code): (&str, &str)| TaxRuleV1 { rate: rate.to_owned(), country: None, code: code.to_owned() };
        taxes.map(rule).to_vec()
    };
    let methods = |account: &str| -> BTreeMap<String, Option<String>> {
        MAPPED.map(|method| (method.to_owned(), Some(account.to_owned()))).into()
    };
    let (settings, other) = match &volume.book {
        AnyBook::Family(book) => {
            let category = |code: &str| book.url_of("categories", code);
            let settings = SettingsV1 {
                sales_tax_rates: ["20", "5", "0"].map(str::to_owned).to_vec(),
                income_category: category("001"),
                shipping_category: category("002"),
                other_charges_category: Some(category("005")),
                rounding_category: Some(category("004")),
                payment_methods: methods(&book.url_of("bank_accounts", "1")),
                ..base
            };
            (settings, category("005"))
        }
        AnyBook::Accounting(_) => {
            let settings = SettingsV1 {
                tax_map: taxes([("20", "OUTPUT2"), ("5", "RROUTPUT"), ("0", "ZERORATEDOUTPUT")]),
                default_tax_code: Some("NONE".to_owned()),
                income_category: "200".to_owned(),
                shipping_category: "205".to_owned(),
                purchase_category: Some("310".to_owned()),
                other_charges_category: Some("260".to_owned()),
                rounding_category: Some("860".to_owned()),
                payment_methods: methods("090"),
                ..base
            };
            (settings, "260".to_owned())
        }
        AnyBook::Sage(_) => {
            let settings = SettingsV1 {
                tax_map: taxes([("20", "GB_STANDARD"), ("5", "GB_LOWER"), ("0", "GB_ZERO")]),
                default_tax_code: Some("GB_NO_TAX".to_owned()),
                income_category: ledger_account(4_000),
                shipping_category: ledger_account(4_910),
                purchase_category: Some(ledger_account(5_000)),
                other_charges_category: Some(ledger_account(4_900)),
                rounding_category: Some(ledger_account(4_990)),
                payment_methods: methods(&bank_account(1_200)),
                ..base
            };
            (settings, ledger_account(4_900))
        }
    };
    let income = [settings.income_category.clone(), other];
    (settings, income)
}

/// A person's address, name and e-mail address, by number.
#[must_use]
pub fn buyer(number: u64) -> (String, String, String, Address) {
    let last = ["Lee", "Nair", "O'Hara", "Müller", "Brown"];
    let last = usize::try_from(number).ok().and_then(|at| last.get(at)).copied().unwrap_or("Smith");
    let address = Address::british(&format!("{} High Street", number.saturating_add(1)), "London", "N1 7AA");
    (format!("buyer-{number}@example.com"), format!("Sam {number}"), last.to_owned(), address)
}

fn bounds_of(world: &World, shop: usize) -> Vec<usize> {
    world.bounds.iter().enumerate().filter(|(_, bound)| bound.shop == shop).map(|(number, _)| number).collect()
}

/// Has every book of a shop told of an entity past the outbox.
fn told(world: &World, shop: usize, event: &'static str, id: i64, unless_watched: bool) -> Vec<Act> {
    let at = world.stage.time.now().div_euclid(1_000);
    bounds_of(world, shop)
        .into_iter()
        .filter(|bound| {
            // Sage's module tells of products by itself, the first time.
            let sage = world.bounds.get(*bound).is_some_and(|it| it.volume.spoken == Spoken::Sage);
            !(unless_watched && sage)
        })
        .map(|bound| Act::Tells(shop, Told { bound, event, id, at }))
        .collect()
}

/// Does something.
///
/// # Errors
/// Where a shop can't do what it always can.
pub fn does(world: &mut World, deed: &Deed) -> anyhow::Result<Vec<Act>> {
    world.stage.faults.note(&format!("{deed:?}"));
    let shop_of = |world: &World, shop: usize| world.stage.shops.get(shop).cloned().context("no shop");
    Ok(match deed {
        Deed::Registers(number, draw) => {
            let shop = shop_of(world, *number)?;
            let (email, first, last, address) = buyer(draw % BUYERS);
            let known = world.done.customers.iter().find(|((of, _), has)| of == number && **has == email);
            if known.is_some() {
                return Ok(Vec::new());
            }
            let id = shop.saves_customer(CustomerSpec::new(&email, &first, &last).billed_to(address))?;
            world.done.customers.insert((*number, id), email);
            world.done.named.insert((*number, id), first);
            Vec::new()
        }
        Deed::Edits(number, draw) => {
            let shop = shop_of(world, *number)?;
            let of_shop: Vec<i64> =
                world.done.customers.keys().filter(|(of, _)| of == number).map(|(_, id)| *id).collect();
            let Some(id) = Seed::of(*draw).one_of(&of_shop).copied() else { return Ok(Vec::new()) };
            let edit = CustomerEdit { first_name: Some(format!("Sam {}", draw % 90)), ..CustomerEdit::default() };
            world.done.named.insert((*number, id), edit.first_name.clone().unwrap_or_default());
            shop.edits(id, edit)?;
            told(world, *number, "customer.upserted", id, false)
        }
        Deed::SavesProduct(number, draw) => {
            let shop = shop_of(world, *number)?;
            let code = format!("P{number}-{}", draw % 3);
            let known = world.done.products.iter().find(|((of, _), has)| of == number && **has == code);
            let known = known.map(|((_, id), _)| *id);
            let product = ProductSpec {
                id: known,
                price: Some(format!("{}.50", draw % 40 + 1).as_str().into()),
                cost: Some("3.25".into()),
                stock_quantity: Some(format!("{}", draw % 50).as_str().into()),
                ..ProductSpec::simple(&code, &format!("Thing {}", draw % 3), "1")
            };
            let id = shop.saves_product(product);
            world.done.products.insert((*number, id), code);
            told(world, *number, "product.upserted", id, known.is_none())
        }
        Deed::Stocks(number, draw) => {
            let shop = shop_of(world, *number)?;
            let of_shop: Vec<i64> =
                world.done.products.keys().filter(|(of, _)| of == number).map(|(_, id)| *id).collect();
            let Some(id) = Seed::of(*draw).one_of(&of_shop).copied() else { return Ok(Vec::new()) };
            shop.stocks(id, format!("{}", draw % 70).as_str())?;
            told(world, *number, "product.upserted", id, false)
        }
        Deed::Sells(number, draw) => {
            sells(world, *number, *draw)?;
            Vec::new()
        }
        Deed::SellsOne(number, method) => {
            let shop = shop_of(world, *number)?;
            let (email, first, last, address) = buyer(0);
            let item = ItemSpec::simple("SKU-0", "Thing 0", 2, "19.99").taxed(20);
            let order = OrderSpec::for_guest(&email, &first, &last, address).item(item).paid_by(method);
            let id = shop.invoices(&shop.places(&order)?)?;
            world.done.invoices.insert((*number, id), ("SKU-0".to_owned(), 1));
            Vec::new()
        }
        Deed::InvoicesRest(number, draw) => {
            let shop = shop_of(world, *number)?;
            let mine = world.done.open_orders.iter().position(|(of, _, _)| of == number);
            let Some((_, order, sku)) = mine.map(|at| world.done.open_orders.remove(at)) else {
                sells(world, *number, *draw)?;
                return Ok(Vec::new());
            };
            let id = shop.invoices_with(order, &InvoiceSpec::default())?;
            world.done.invoices.insert((*number, id), (sku, 1));
            Vec::new()
        }
        Deed::Pays(number, draw) => {
            let shop = shop_of(world, *number)?;
            let open: Vec<i64> = shop
                .sales()
                .into_iter()
                .filter(|sale| sale.entity_type == "invoice" && sale.state == "open")
                .map(|sale| sale.id)
                .collect();
            match Seed::of(*draw).one_of(&open) {
                Some(id) => shop.pays(*id)?,
                None => sells(world, *number, *draw)?,
            }
            Vec::new()
        }
        Deed::Refunds(number, draw) => {
            let shop = shop_of(world, *number)?;
            let paid: Vec<i64> = shop
                .sales()
                .into_iter()
                .filter(|sale| sale.entity_type == "invoice" && sale.state == "paid")
                .map(|sale| sale.id)
                .filter(|id| !world.done.refunded.contains(&(*number, *id)))
                .collect();
            let mut chance = Seed::of(*draw);
            let Some(id) = chance.one_of(&paid).copied() else { return Ok(Vec::new()) };
            world.done.refunded.insert((*number, id));
            let (sku, quantity) = world.done.invoices.get(&(*number, id)).cloned().context("whose invoice?")?;
            let of = shop.memo_of(id)?;
            if quantity > 1 && chance.happens(500) {
                shop.refunds(&MemoSpec { shipping: Some("0".into()), ..of }.only(&sku, 1))?;
            } else {
                shop.refunds(&of)?;
            }
            Vec::new()
        }
        Deed::ChangesSettings(bound, draw) => {
            changes_settings(world, *bound, *draw)?;
            Vec::new()
        }
        Deed::Pauses(bound) => {
            world.pauses(*bound, true)?;
            Vec::new()
        }
        Deed::GoesOn(bound) => {
            world.pauses(*bound, false)?;
            Vec::new()
        }
        Deed::Reconnects(bound) => {
            world.signs_in(*bound)?;
            let bound = world.bounds.get(*bound).context("no binding")?;
            world.done.signed_in.insert(bound.binding.clone());
            Vec::new()
        }
        Deed::LosesKey(number) => {
            shop_of(world, *number)?.drops_key();
            Vec::new()
        }
        Deed::FindsKey(number) => {
            shop_of(world, *number)?.finds_key();
            Vec::new()
        }
        Deed::PairsAnew(number) => {
            // Only the key before the present one still verifies. Nobody pairs a shop twice while a token is good that it
            // signed before.
            let now = world.stage.time.now();
            let last = world.done.paired_anew.get(number);
            if last.is_none_or(|last| now.saturating_sub(*last) > PAIRS_AGAIN_MS) {
                world.pairs_anew(*number)?;
            } else {
                shop_of(world, *number)?.finds_key();
            }
            Vec::new()
        }
        Deed::EntersPayment(bound, draw) => {
            enters_payment(world, *bound, *draw)?;
            Vec::new()
        }
        Deed::SetsClock(number, seconds) => {
            let shop = shop_of(world, *number)?;
            shop.clock().advance(seconds.saturating_sub(shop.clock().offset()));
            Vec::new()
        }
    })
}

fn sells(world: &mut World, number: usize, draw: u64) -> anyhow::Result<()> {
    let mut chance = Seed::of(draw);
    let shop = world.stage.shops.get(number).cloned().context("no shop")?;
    let (email, first, last, address) = buyer(chance.between(0, BUYERS.saturating_sub(1)));
    let customer = world.done.customers.iter().find(|((of, _), has)| *of == number && **has == email);
    let order = match customer {
        Some(((_, id), _)) if chance.happens(800) => OrderSpec::for_customer(*id).billed_to(address),
        _ => OrderSpec::for_guest(&email, &first, &last, address),
    };
    world.done.orders = world.done.orders.saturating_add(1);
    let prices = ["19.99", "4.95", "12.49", "7.77", "100", "0.99", "33.33"];
    let mut order = order;
    let rows = chance.between(1, 3);
    let mut skus = Vec::new();
    for row in 0..rows {
        let sku = format!("SKU-{row}");
        let price = chance.one_of(&prices).copied().unwrap_or("1");
        let quantity = u32::try_from(chance.between(1, 4)).unwrap_or(1);
        let rate: u32 = chance.one_of(&[20, 20, 5, 0]).copied().unwrap_or(20);
        order = order
            .item(ItemSpec::simple(&sku, &format!("Thing {row}"), i64::from(quantity), price).taxed(i64::from(rate)));
        skus.push((sku, quantity));
    }
    if chance.happens(500) {
        order = order.shipping_for("4.99", 20);
    }
    if chance.happens(250) {
        order = order.percent_off(10);
    }
    let method = chance.one_of(&["stripe_payments", "stripe_payments", "trade_credit", "checkmo"]).copied();
    let order = order.paid_by(method.unwrap_or("checkmo"));
    let placed = shop.places(&order)?;
    let (sku, quantity) = skus.first().cloned().context("nothing was bought")?;
    if rows > 1 && chance.happens(300) {
        let id = shop.invoices_with(placed.id, &InvoiceSpec::default().only(&sku, i64::from(quantity)))?;
        world.done.invoices.insert((number, id), (sku, quantity));
        let other = skus.get(1).map(|(sku, _)| sku.clone()).unwrap_or_default();
        world.done.open_orders.push((number, placed.id, other));
    } else {
        let id = shop.invoices(&placed)?;
        world.done.invoices.insert((number, id), (sku, quantity));
    }
    Ok(())
}

/// Of an invoice that is in the book, and that the shop has no money for yet.
fn enters_payment(world: &mut World, bound: usize, draw: u64) -> anyhow::Result<()> {
    let bound = world.bounds.get(bound).cloned().context("no binding")?;
    let shop = world.stage.shops.get(bound.shop).context("no shop")?;
    let book = bound.volume.book.statement();
    let of = bound.volume.url.clone();
    let open: Vec<(String, Decimal)> = shop
        .sales()
        .into_iter()
        .filter(|sale| sale.entity_type == "invoice" && sale.state == "open")
        .filter(|sale| MAPPED.contains(&sale.payment_method.as_str()))
        .map(|sale| (format!("{}{}", bound.prefix, sale.increment_id), sale.grand_total.parse().unwrap_or_default()))
        .filter(|(number, total)| {
            let line = book.invoices.iter().find(|line| line.number == *number);
            line.is_some_and(|line| line.approved && line.total.parse() == Ok(*total) && line.outstanding == line.total)
        })
        .collect();
    let mut chance = Seed::of(draw);
    let Some((number, total)) = chance.one_of(&open).cloned() else { return Ok(()) };
    let amount = if chance.happens(500) { total } else { (total / Decimal::TWO).round_dp(2) };
    if amount <= Decimal::ZERO {
        return Ok(());
    }
    bound.volume.book.enters_payment(&number, &amount.to_string())?;
    world.stage.faults.note(&format!("{amount} for {number} was entered by hand in {of}"));
    world.done.by_hand.insert((of, number), amount);
    Ok(())
}

fn changes_settings(world: &World, bound: usize, draw: u64) -> anyhow::Result<()> {
    let bound = world.bounds.get(bound).context("no binding")?;
    let row = world.binding_row(bound).context("no binding's row")?;
    let [first, second] = &bound.income;
    let mut settings = row.settings.clone();
    let other = if settings.income_category == *first { second } else { first };
    settings.income_category.clone_from(other);
    settings.payment_terms_in_days = Some(u32::try_from(draw % 60).unwrap_or(30));
    let version = row.settings_version.saturating_add(1);
    let next = SettingsRow {
        pk: keys::of_binding(&bound.binding),
        sk: keys::settings(version),
        v: ROW_VERSION,
        settings,
        version,
        saved_by: None,
        saved_at: Some(world.stage.time.now()),
    };
    let put = world.ground.store.put_settings(&bound.tenant, row.settings_version, &next, &bound.binding, None);
    put.now_or_never().context("the store waits")??;
    Ok(())
}
