//! Six invoices, each with the end that it should come to.

use ledger_aws::SystemClock;
use ledger_aws::engine::ports::Clock;
use ledger_cli::timeline::Moment;
use ledger_demo::places::MISCONFIGURED_WEBSITE;
use ledger_demo::strangers::{Chip, Invoice, Shop};
use ledger_world::shop::{Address, ItemSpec, OrderSpec};
use rust_decimal::Decimal;

/// The end that an invoice should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In the book.
    Synced,
    /// Left out by policy, with this reason.
    Skipped(&'static str),
    /// Refused by the book and a dead letter, with this code.
    Refused(&'static str),
}

impl End {
    /// The run's state.
    pub(crate) const fn state(self) -> &'static str {
        match self {
            Self::Synced => "succeeded",
            Self::Skipped(_) => "skipped",
            Self::Refused(_) => "dead_lettered",
        }
    }

    /// The chip's status and its reason.
    pub(crate) const fn chip(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Synced => ("synced", None),
            Self::Skipped(reason) => ("skipped", Some(reason)),
            Self::Refused(code) => ("failed", Some(code)),
        }
    }
}

/// Where an invoice comes from.
enum Origin {
    Preset(&'static str),
    Order(fn() -> OrderSpec),
}

/// An invoice to raise.
pub(crate) struct Case {
    title: &'static str,
    origin: Origin,
    end: End,
}

/// What the demo shows.
pub(crate) const CASES: [Case; 6] = [
    Case {
        title: "A company buys on 30 days' terms, with a discount and shipping",
        origin: Origin::Preset("b2b-on-terms"),
        end: End::Synced,
    },
    Case { title: "A guest buys at two tax rates", origin: Origin::Preset("guest-two-rates"), end: End::Synced },
    Case {
        title: "Prices that include tax, with a coupon on goods and shipping",
        origin: Origin::Preset("inclusive-with-coupon"),
        end: End::Synced,
    },
    Case { title: "A guest pays in euros", origin: Origin::Preset("foreign-currency"), end: End::Synced },
    Case {
        title: "A website that the binding leaves out",
        origin: Origin::Preset("outside-filter"),
        end: End::Skipped("website_filtered"),
    },
    Case {
        title: "A website whose income category was removed from the book",
        origin: Origin::Order(of_misconfigured_website),
        end: End::Refused("category_unknown"),
    },
];

/// An invoice on its way.
pub(crate) struct Story {
    pub(crate) title: &'static str,
    pub(crate) end: End,
    pub(crate) invoice: Invoice,
    pub(crate) currency: String,
    /// What was seen from outside.
    pub(crate) seen: Vec<Moment>,
}

impl Case {
    /// Raises the invoice.
    pub(crate) async fn raise(&self, shop: &Shop) -> anyhow::Result<Story> {
        let at = SystemClock.now_ms();
        let invoice = match self.origin {
            Origin::Preset(name) => shop.raises(name).await?,
            Origin::Order(order) => shop.sells(&order()).await?,
        };
        let currency = shop.currency(invoice.id).await?;
        let chip = shop.chip("invoice", invoice.id).await?.sync_status;
        let note = format!("{} {currency}, chip {chip}", money(invoice.grand_total));
        let seen = vec![Moment::new(at, "invoice raised in the shop", note)];
        Ok(Story { title: self.title, end: self.end, invoice, currency, seen })
    }
}

/// A figure with at least its pennies.
pub(crate) fn money(mut figure: Decimal) -> String {
    figure.rescale(figure.scale().max(2));
    figure.to_string()
}

/// A chip as the shop shows it.
pub(crate) fn shown(chip: &Chip) -> String {
    let (mark, word) = match chip.sync_status.as_str() {
        "synced" => ("✓", "Synced"),
        "skipped" => ("–", "Skipped"),
        "failed" => ("✗", "Failed"),
        _ => ("…", "Pending"),
    };
    let why = chip.skip_reason.as_ref().or(chip.error_code.as_ref()).or(chip.provider_reference.as_ref());
    format!("{mark} {word} {}", why.cloned().unwrap_or_default()).trim_end().to_owned()
}

fn of_misconfigured_website() -> OrderSpec {
    let address = Address::british("22 Harbour Walk", "Swansea", "SA1 1LE");
    OrderSpec::for_guest("noor.haddad@example.com", "Noor", "Haddad", address)
        .in_website(i64::from(MISCONFIGURED_WEBSITE))
        .item(ItemSpec::simple("LAMP", "Desk lamp", 1, "29.50").taxed(20))
        .paid_by("stripe_payments")
}
