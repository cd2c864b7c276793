//! Customers and products: made, brought up to date, left alone.

use anyhow::{Context, ensure};
use ledger_engine::wire::settings::SettingsV1;
use ledger_suite::world::{Other, Spoken, World, WorldOptions};
use ledger_world::book::{BookFault, FaultSpec, Seed};
use ledger_world::sage::{SageSeed, ledger_account};
use ledger_world::shop::{Address, CustomerEdit, CustomerSpec, ItemSpec, OrderSpec, ProductSpec};
use serde_json::json;

macro_rules! world {
    ($settings:expr) => {
        match World::start(WorldOptions { settings: $settings, ..WorldOptions::default() }).await? {
            Some(world) => world,
            None => return Ok(()),
        }
    };
}

fn jane() -> CustomerSpec {
    CustomerSpec::new("jane@example.com", "Jane", "Doe").billed_to(Address::british(
        "1 High Street",
        "London",
        "N1 7AA",
    ))
}

fn renamed(name: &str) -> CustomerEdit {
    CustomerEdit { last_name: Some(name.to_owned()), ..CustomerEdit::default() }
}

/// The last name of the book's only contact.
fn name(world: &World) -> anyhow::Result<String> {
    match world.book.contacts().as_slice() {
        [only] => Ok(only["last_name"].as_str().unwrap_or_default().to_owned()),
        others => anyhow::bail!("{} contacts", others.len()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_one_contact_and_is_kept_up_to_date() -> anyhow::Result<()> {
    let world = world!(None);
    let customer = world.shop.saves_customer(jane())?;
    world.settles().await?;
    world.ended("customer.upserted", customer, "succeeded", None).await?;
    ensure!(name(&world)? == "Doe", "{:?}", world.book.contacts());

    world.ledger.clock.advance(60_000);
    world.shop.edits(customer, renamed("Roe"))?;
    world.tells("customer.upserted", customer).await?;
    world.settles().await?;
    world.ended("customer.upserted", customer, "succeeded", None).await?;
    ensure!(name(&world)? == "Roe", "{:?}", world.book.contacts());

    // Told again without a change: nothing is sent to the book.
    let asked = world.book.log().len();
    world.ledger.clock.advance(60_000);
    world.tells("customer.upserted", customer).await?;
    world.settles().await?;
    world.ended("customer.upserted", customer, "skipped", Some("superseded")).await?;
    ensure!(world.book.log().len() == asked, "the book was asked");
    let chip = world.shop.chip("customer", customer).context("no chip")?;
    ensure!(chip.sync_status == "synced", "the chip is {}", chip.sync_status);

    // An order of theirs, and one of a guest with the same address, go to the same contact.
    for order in [
        OrderSpec::for_customer(customer),
        OrderSpec::for_guest("Jane@Example.com", "J", "D", Address::british("2 High Street", "Leeds", "LS1 4AP")),
    ] {
        let placed = world.shop.places(&order.item(ItemSpec::simple("MUG", "Mug", 1, "15.99")))?;
        let invoice = world.shop.invoices(&placed)?;
        world.settles().await?;
        world.shows_once(invoice).await?;
    }
    ensure!(name(&world)? == "Roe", "an invoice changed the contact");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_was_there_before_us_is_never_overwritten() -> anyhow::Result<()> {
    let world = world!(None);
    world.book.seeds(&Seed {
        contacts: vec![json!({"first_name": "J", "last_name": "Bookkeeper's", "email": "jane@example.com"})],
        ..Seed::default()
    })?;
    let customer = world.shop.saves_customer(jane())?;
    world.settles().await?;
    world.ended("customer.upserted", customer, "succeeded", None).await?;
    world.ledger.clock.advance(60_000);
    world.shop.edits(customer, renamed("Roe"))?;
    world.tells("customer.upserted", customer).await?;
    world.settles().await?;
    world.ended("customer.upserted", customer, "succeeded", None).await?;
    ensure!(name(&world)? == "Bookkeeper's", "{:?}", world.book.contacts());
    world.is_clean()
}

/// The shop tells the company with an invoice, and never with the customer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_keeps_the_company_that_an_invoice_named() -> anyhow::Result<()> {
    let world = world!(None);
    let address = Address::british("1 Foundry Lane", "Sheffield", "S1 2BJ").of_company("Hallam Fixings Ltd");
    let customer = world.shop.customers().register(CustomerSpec::new("priya@example.com", "Priya", "Nair"))?;
    let order = OrderSpec::for_customer(customer).item(ItemSpec::simple("MUG", "Mug", 1, "15.99")).billed_to(address);
    let invoice = world.shop.invoices(&world.shop.places(&order)?)?;
    world.ticks().await;
    let mut messages = world.ledger.queue.take();
    messages.reverse();
    for message in &messages {
        world.handles(message).await?;
    }
    world.settles().await?;
    world.shows_once(invoice).await?;
    world.ledger.clock.advance(60_000);
    world.shop.edits(customer, renamed("Nair"))?;
    world.tells("customer.upserted", customer).await?;
    world.settles().await?;
    let contacts = world.book.contacts();
    ensure!(contacts.len() == 1 && contacts[0]["organisation_name"] == "Hallam Fixings Ltd", "{contacts:?}");
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_go_to_the_book_where_the_settings_say_so() -> anyhow::Result<()> {
    let world = world!(None);
    let mug = world.shop.saves_product(ProductSpec::simple("MUG", "Mug", "15.99"));
    world.tells("product.upserted", mug).await?;
    world.settles().await?;
    world.ended("product.upserted", mug, "skipped", Some("products_not_synced")).await?;
    ensure!(world.book.price_list_items().is_empty(), "{:?}", world.book.price_list_items());

    let world = world!(Some(|settings| settings.sync_products = Some(true)));
    let mug = world.shop.saves_product(ProductSpec::simple("MUG", "Mug", "15.99"));
    let set = world.shop.saves_product(ProductSpec::of_type("bundle", "SET", "Set", "40"));
    world.tells("product.upserted", mug).await?;
    world.tells("product.upserted", set).await?;
    world.settles().await?;
    world.ended("product.upserted", mug, "succeeded", None).await?;
    world.ended("product.upserted", set, "skipped", Some("PRODUCT_TYPE_NOT_SUPPORTED")).await?;
    ensure!(world.book.statement().products.len() == 1, "{:?}", world.book.price_list_items());
    ensure!(world.book.statement().products[0].price == "15.99", "{:?}", world.book.price_list_items());

    world.ledger.clock.advance(60_000);
    world.shop.saves_product(ProductSpec::simple("MUG", "Mug, large", "17.99").with_id(mug));
    world.tells("product.upserted", mug).await?;
    world.settles().await?;
    world.ended("product.upserted", mug, "succeeded", None).await?;
    let products = world.book.statement().products;
    ensure!(products.len() == 1 && products[0].price == "17.99", "{products:?}");
    let chip = world.shop.chip("product", mug).context("no chip")?;
    ensure!(chip.sync_status == "synced", "the chip is {}", chip.sync_status);
    world.is_clean()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_moves_towards_the_shops() -> anyhow::Result<()> {
    let options = WorldOptions {
        spoken: Spoken::Sage,
        settings: Some(|settings| {
            settings.sync_products = Some(true);
            settings.sync_stock = Some(true);
        }),
        ..WorldOptions::default()
    };
    let Some(world) = World::start(options).await? else { return Ok(()) };
    let mug = world.shop.saves_product(ProductSpec::simple("MUG", "Mug", "15.99").stocked(118));
    world.settles().await?;
    world.ended("product.upserted", mug, "succeeded", None).await?;
    let stock = |world: &World| world.holds().products.first().and_then(|product| product.stock.clone());
    ensure!(stock(&world).as_deref() == Some("118"), "{:?}", world.holds());
    world.ledger.clock.advance(60_000);
    world.shop.stocks(mug, 100)?;
    world.tells("product.upserted", mug).await?;
    world.settles().await?;
    world.ended("product.upserted", mug, "succeeded", None).await?;
    ensure!(stock(&world).as_deref() == Some("100"), "{:?}", world.holds());
    world.ledger.clock.advance(60_000);
    world.tells("product.upserted", mug).await?;
    world.settles().await?;
    world.ended("product.upserted", mug, "skipped", Some("superseded")).await?;
    let book = world.holds();
    ensure!(book.products.len() == 1 && book.stock_movements.len() == 2, "{book:?}");
    world.is_clean()
}

/// Somebody else counts what was in the book before us.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_of_an_adopted_product_moves_only_where_the_merchant_says_so() -> anyhow::Result<()> {
    type Change = fn(&mut SettingsV1);
    let left_alone: Change = |settings| {
        settings.sync_products = Some(true);
        settings.sync_stock = Some(true);
    };
    let moved: Change = |settings| {
        settings.sync_products = Some(true);
        settings.sync_stock = Some(true);
        settings.sync_adopted_stock = Some(true);
    };
    for (settings, code, stock) in [(left_alone, Some("stock_left_alone"), "0"), (moved, None, "118")] {
        let options = WorldOptions { spoken: Spoken::Sage, settings: Some(settings), ..WorldOptions::default() };
        let Some(world) = World::start(options).await? else { return Ok(()) };
        let Some(Other::Sage(book)) = &world.other else { anyhow::bail!("not Sage") };
        book.seeds(&SageSeed {
            stock_items: vec![json!({
                "item_code": "MUG",
                "description": "The bookkeeper's mug",
                "sales_ledger_account_id": ledger_account(4_000),
                "purchase_ledger_account_id": ledger_account(5_000),
            })],
            ..SageSeed::default()
        })?;
        let mug = world.shop.saves_product(ProductSpec::simple("MUG", "Mug", "15.99").stocked(118));
        world.settles().await?;
        world.ended("product.upserted", mug, "succeeded", code).await?;
        let book = world.holds();
        let shown = book.products.first().and_then(|product| product.stock.clone());
        ensure!(book.products.len() == 1 && shown.as_deref() == Some(stock), "{book:?}");
        ensure!(book.stock_movements.len() == usize::from(code.is_none()), "{book:?}");
        world.is_clean()?;
    }
    Ok(())
}

/// A book that can't be asked for a contact by its address, with more contacts than one attempt could look through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_is_one_contact_in_a_book_of_thousands() -> anyhow::Result<()> {
    /// Contacts that are in the book before us.
    const CONTACTS: usize = 3_500;
    let options = WorldOptions { spoken: Spoken::Freeagent, ..WorldOptions::default() };
    let Some(world) = World::start(options).await? else { return Ok(()) };
    let contact =
        |number: usize| json!({"first_name": "A", "last_name": "B", "email": format!("p{number}@example.com")});
    world.book.seeds(&Seed { contacts: (0..CONTACTS).map(contact).collect(), ..Seed::default() })?;
    world.ledger.clock.advance(3_600_000);
    let sells = |email: &str| {
        let order = OrderSpec::for_guest(email, "A", "B", Address::british("1 High Street", "London", "N1 7AA"));
        world.shop.invoices(&world.shop.places(&order.item(ItemSpec::simple("MUG", "Mug", 1, "15.99")))?)
    };
    // The list breaks off in its midst: the next attempt goes on from there.
    let lost = BookFault::HangUp { apply: false };
    world.book.faults(FaultSpec::on("GET", "/v2/contacts", 1, lost).after(19));
    for email in ["P0@example.com", "new@example.com", "p3499@example.com"] {
        let invoice = sells(email)?;
        world.settles().await?;
        world.shows_once(invoice).await?;
    }
    let pages = |number: usize| {
        let of_page = |query: &str| query.split('&').any(|pair| pair == format!("page={number}"));
        world.book.log().iter().filter(|entry| entry.path == "/v2/contacts" && of_page(&entry.query)).count()
    };
    ensure!(pages(19) == 1 && pages(20) == 2 && pages(35) == 1, "{} {} {}", pages(19), pages(20), pages(35));
    ensure!(world.book.contacts().len() == CONTACTS + 1, "{} contacts", world.book.contacts().len());

    // What a bookkeeper adds meanwhile is seen.
    world.ledger.clock.advance(3_600_000);
    world.book.seeds(&Seed {
        contacts: vec![json!({"first_name": "L", "last_name": "B", "email": "late@example.com"})],
        ..Seed::default()
    })?;
    let invoice = sells("late@example.com")?;
    world.settles().await?;
    world.shows_once(invoice).await?;
    ensure!(world.book.contacts().len() == CONTACTS + 2, "{} contacts", world.book.contacts().len());
    ensure!(pages(2) == 1, "the list was read anew");
    world.is_clean()
}
