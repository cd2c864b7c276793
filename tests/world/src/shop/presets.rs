//! Orders worth showing: each function opens what it needs, raises one invoice and returns it.

use std::collections::BTreeMap;

use super::money::TaxSettings;
use super::spec::{Address, CustomerSpec, InvoiceSpec, ItemSpec, OrderSpec, WebsiteSpec};
use super::{Core, trade};
use crate::Shop;
use crate::amount::Amount;

/// The names of the presets, as the control API takes them.
pub const NAMES: [&str; 6] =
    ["b2b-on-terms", "guest-two-rates", "inclusive-with-coupon", "foreign-currency", "zero-value", "outside-filter"];

/// The websites every shop opens with.
#[must_use]
pub fn websites() -> Vec<WebsiteSpec> {
    let website = |id: i64, rates: &[(&str, &str)], tax: TaxSettings| WebsiteSpec {
        id,
        base_currency: "GBP".to_owned(),
        stores: vec![id],
        rates: rates.iter().map(|(code, rate)| ((*code).to_owned(), Amount::from(*rate))).collect::<BTreeMap<_, _>>(),
        tax,
    };
    let inclusive = TaxSettings {
        prices_include_tax: true,
        shipping_includes_tax: true,
        discount_on_price_including_tax: true,
        ..TaxSettings::default()
    };
    vec![
        website(1, &[("EUR", "1.1753"), ("USD", "1.2710")], TaxSettings::default()),
        website(2, &[], inclusive),
        website(3, &[], TaxSettings::default()),
    ]
}

impl Shop {
    /// Raises the invoice of a preset, named as in [`NAMES`].
    ///
    /// # Errors
    /// When there is no preset of that name, or its customer's address is taken already.
    pub fn raises(&self, preset: &str) -> anyhow::Result<i64> {
        raise(&self.core, preset)
    }
}

pub(crate) fn raise(core: &Core, preset: &str) -> anyhow::Result<i64> {
    let order = match preset {
        "b2b-on-terms" => b2b_on_terms(core)?,
        "guest-two-rates" => guest_two_rates(),
        "inclusive-with-coupon" => inclusive_with_coupon(core)?,
        "foreign-currency" => foreign_currency(),
        "zero-value" => zero_value(),
        "outside-filter" => outside_filter(),
        _ => anyhow::bail!("no preset {preset}; there are {}", NAMES.join(", ")),
    };
    let now = core.now();
    let placed = trade::place(&mut core.state(), &order, now)?;
    trade::invoice(&mut core.state(), placed.id, &InvoiceSpec::default(), now)
}

/// The customer with that address, or a new one.
fn customer(core: &Core, spec: CustomerSpec) -> anyhow::Result<i64> {
    let mut state = core.state();
    let known = state
        .customers
        .iter()
        .find(|(_, customer)| customer.account.email == spec.email && customer.account.website_id == spec.website_id)
        .map(|(id, _)| *id);
    match known {
        Some(id) => Ok(id),
        None => trade::register(&mut state, spec, core.now()),
    }
}

/// A company buys on account: open invoice, coupon, shipping. 43.62 GBP.
fn b2b_on_terms(core: &Core) -> anyhow::Result<OrderSpec> {
    let address = Address::british("1 Foundry Lane", "Sheffield", "S1 2BJ").of_company("Hallam Fixings Ltd");
    let buyer = customer(core, CustomerSpec::new("accounts@hallam-fixings.example", "Priya", "Nair"))?;
    Ok(OrderSpec::for_customer(buyer)
        .billed_to(address.clone())
        .shipped_to(address)
        .item(ItemSpec::simple("ANCHOR-M10", "Anchor bolt M10, box of 50", 1, "19.99").taxed(20))
        .item(ItemSpec::simple("WASHER-M10", "Washer M10, bag of 100", 3, "4.95").taxed(20))
        .shipping_for("4.99", 20)
        .percent_off(10)
        .po_number("PO-2231")
        .paid_by("trade_credit"))
}

/// A guest buys at two rates and one thing without tax. 71.02 GBP.
fn guest_two_rates() -> OrderSpec {
    OrderSpec::for_guest("sam.lee@example.com", "Sam", "Lee", Address::british("8 Mill Road", "Cambridge", "CB1 2AB"))
        .item(ItemSpec::simple("CANDLE-L", "Candle, large", 3, "12.49").taxed(20))
        .item(ItemSpec::simple("SMOKE-ALARM", "Smoke alarm", 1, "7.77").taxed(5))
        .item(ItemSpec::simple("COOKBOOK", "Cookbook", 2, "8.95"))
        .paid_by("stripe_payments")
}

/// A customer of the website whose prices include tax, with a coupon on goods and shipping: part of the tax is only seen
/// in the total. 44.98 GBP.
fn inclusive_with_coupon(core: &Core) -> anyhow::Result<OrderSpec> {
    let address = Address::british("1 High Street", "London", "N1 7AA");
    let spec = CustomerSpec::new("jane@example.com", "Jane", "O'Hara")
        .in_website(2)
        .billed_to(address.clone())
        .shipped_to(address);
    let buyer = customer(core, spec)?;
    Ok(OrderSpec::for_customer(buyer)
        .in_website(2)
        .item(ItemSpec::simple("MUG-BLUE", "Café mug 10/12 oz", 1, "24.00").taxed(20))
        .item(ItemSpec::simple("COASTER", "Coaster, \"round\"", 2, "9.99").taxed(20))
        .shipping_for("6.00", 20)
        .percent_off(10)
        .also_off_shipping()
        .paid_by("stripe_payments"))
}

/// A guest pays in another currency than the website counts in. 91.60 EUR.
fn foreign_currency() -> OrderSpec {
    let address = Address {
        street: vec!["Hauptstraße 5".to_owned()],
        city: "Köln".to_owned(),
        postcode: Some("50667".to_owned()),
        country_id: "DE".to_owned(),
        ..Address::default()
    };
    OrderSpec::for_guest("klara.fuchs@example.de", "Klara", "Fuchs", address)
        .item(ItemSpec::simple("SCARF", "Scarf", 3, "19.99").taxed(20))
        .shipping_for("4.99", 20)
        .in_currency("EUR")
        .paid_by("paypal_express")
}

/// A guest gets everything for nothing. 0.00 GBP.
fn zero_value() -> OrderSpec {
    OrderSpec::for_guest("lucky@example.com", "Mina", "Okafor", Address::british("3 Quay Street", "Bristol", "BS1 4DB"))
        .item(ItemSpec::simple("SAMPLE", "Sample box", 3, "9.99").taxed(20))
        .percent_off(100)
}

/// An order in website 3, which a binding's filter may leave out. 24.00 GBP.
fn outside_filter() -> OrderSpec {
    OrderSpec::for_guest("outlet@example.com", "Ben", "Ivory", Address::british("9 Dock Road", "Leeds", "LS1 4AP"))
        .in_website(3)
        .item(ItemSpec::simple("OUTLET-1", "Outlet jacket", 1, "20.00").taxed(20))
        .paid_by("stripe_payments")
}
