//! What a cart costs: subtotal, discount, shipping, tax, in that order.

use rust_decimal::Decimal;

use super::tax::{TaxRun, Taxable, Taxed, inside};
use super::{Carry, RowMoney, TaxSettings, Totals, rounded, stored};

/// A row that carries money.
#[derive(Clone, Debug)]
pub(crate) struct CartRow {
    /// Rows of one item are discounted together.
    pub(crate) item: usize,
    pub(crate) quantity: Decimal,
    /// Of one unit, in the website's base currency, with or without tax as the shop is set up.
    pub(crate) base_price: Decimal,
    /// A fraction: 0.2 for 20 %.
    pub(crate) rate: Decimal,
    /// The shop's own rate, where it differs from the buyer's.
    pub(crate) shop_rate: Option<Decimal>,
}

/// What a coupon takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// A fraction of each row.
    Percent(Decimal),
    /// An amount in base currency, spread over the cart.
    Fixed(Decimal),
}

/// Everything in a cart.
#[derive(Clone, Debug)]
pub(crate) struct Cart {
    pub(crate) rows: Vec<CartRow>,
    /// Price in base currency and rate.
    pub(crate) shipping: Option<(Decimal, Decimal)>,
    pub(crate) reduction: Option<Reduction>,
    pub(crate) reduces_shipping: bool,
}

/// The cart, counted in one currency.
#[derive(Clone, Debug)]
pub(crate) struct Collected {
    /// Unit price without tax and money, row by row.
    pub(crate) rows: Vec<(Decimal, RowMoney)>,
    pub(crate) totals: Totals,
}

/// Counts the cart in the order's currency, `rate` of which make one unit of base currency.
pub(crate) fn collect(settings: &TaxSettings, cart: &Cart, rate: Decimal) -> Collected {
    let base = Run::new(settings, cart, Decimal::ONE);
    Run::new(settings, cart, rate).collect(&base)
}

/// The state before discounts: unit prices converted, subtotal and shipping known.
struct Run<'a> {
    settings: &'a TaxSettings,
    cart: &'a Cart,
    rate: Decimal,
    units: Vec<Decimal>,
    undiscounted: Vec<Taxed>,
    shipping: Decimal,
    /// Shipping's price as the discount collector sees it.
    shipping_for_discount: Decimal,
}

impl<'a> Run<'a> {
    fn new(settings: &'a TaxSettings, cart: &'a Cart, rate: Decimal) -> Self {
        let units: Vec<Decimal> = cart.rows.iter().map(|row| unit_price(settings, row, rate)).collect();
        let mut run = TaxRun::new(settings);
        let undiscounted = cart
            .rows
            .iter()
            .zip(&units)
            .enumerate()
            .map(|(index, (row, unit))| run.tax(&taxable(settings, index, row, *unit, Decimal::ZERO)))
            .collect();
        let (shipping, shipping_rate) =
            cart.shipping.map_or((Decimal::ZERO, Decimal::ZERO), |(price, tax)| (rounded(price * rate), tax));
        let shipping_for_discount = match (settings.shipping_includes_tax, settings.discount_on_price_including_tax) {
            (true, false) => shipping - rounded(shipping * inside(shipping_rate)),
            (false, true) => shipping + rounded(shipping * shipping_rate),
            _ => shipping,
        };
        Self { settings, cart, rate, units, undiscounted, shipping, shipping_for_discount }
    }

    fn price_for_discount(&self, index: usize) -> Decimal {
        self.undiscounted.get(index).map_or(Decimal::ZERO, |taxed| {
            if self.settings.discount_on_price_including_tax { taxed.price_with_tax } else { taxed.price }
        })
    }

    /// What the discount is taken from, row by row.
    fn discountable(&self) -> Vec<Decimal> {
        self.cart.rows.iter().enumerate().map(|(index, row)| self.price_for_discount(index) * row.quantity).collect()
    }

    fn collect(&self, base: &Run<'_>) -> Collected {
        let discounts = self.discounts(base);
        let shipping_discount = self.shipping_discount(base);
        let mut run = TaxRun::new(self.settings);
        let mut rows = Vec::new();
        let mut totals = Totals::default();
        for (index, ((row, unit), discount)) in self.cart.rows.iter().zip(&self.units).zip(&discounts).enumerate() {
            let taxed = run.tax(&taxable(self.settings, index, row, *unit, *discount));
            let money = RowMoney {
                row_total: taxed.row_total,
                tax: taxed.tax,
                discount: *discount,
                hidden_tax: taxed.hidden_tax,
            }
            .stored();
            totals.subtotal += money.row_total;
            totals.tax += money.tax;
            totals.discount += money.discount;
            totals.hidden_tax += money.hidden_tax;
            rows.push((taxed.price, money));
        }
        if let Some((_, shipping_rate)) = self.cart.shipping {
            let taxed = run.tax(&Taxable {
                row: None,
                unit_price: self.shipping,
                quantity: Decimal::ONE,
                rate: shipping_rate,
                discount: shipping_discount,
                includes_tax: self.settings.shipping_includes_tax,
            });
            totals.shipping = stored(taxed.row_total);
            totals.shipping_tax = stored(taxed.tax);
            totals.shipping_hidden_tax = stored(taxed.hidden_tax);
            totals.shipping_discount = stored(shipping_discount);
        }
        totals.tax += totals.shipping_tax;
        totals.discount += totals.shipping_discount;
        totals.grand_total = totals.subtotal - totals.discount
            + totals.shipping
            + totals.tax
            + totals.hidden_tax
            + totals.shipping_hidden_tax;
        Collected { rows, totals: totals.stored() }
    }

    /// The discount of each row.
    fn discounts(&self, base: &Run<'_>) -> Vec<Decimal> {
        let mine = self.discountable();
        let of_base = base.discountable();
        let base_total: Decimal = of_base.iter().copied().sum::<Decimal>() + self.shipping_in_fixed(base);
        let mut carry = Carry::default();
        let mut spread = Carry::default();
        let mut discounts = vec![Decimal::ZERO; mine.len()];
        let Some(reduction) = self.cart.reduction else { return discounts };
        let mut start = 0;
        while let Some(first) = self.cart.rows.get(start) {
            let length = self.cart.rows.iter().skip(start).take_while(|row| row.item == first.item).count().max(1);
            let range = start..start.saturating_add(length);
            let worth =
                |figures: &[Decimal]| figures.get(range.clone()).unwrap_or_default().iter().copied().sum::<Decimal>();
            let discount = match reduction {
                Reduction::Percent(fraction) => carry.round(worth(&mine) * fraction),
                Reduction::Fixed(amount) => {
                    let share = worth(&of_base).checked_div(base_total).unwrap_or(Decimal::ZERO);
                    rounded(carry.round(amount * share) * self.rate)
                }
            };
            let discount = discount.min(worth(&mine));
            if length == 1 {
                discounts.splice(range, [discount]);
            } else {
                // A kit is discounted as a whole and its parts share by their base rows.
                let base_rows: Vec<Decimal> =
                    base.undiscounted.get(range.clone()).unwrap_or_default().iter().map(|row| row.row_total).collect();
                let whole: Decimal = base_rows.iter().copied().sum();
                let shares: Vec<Decimal> = base_rows
                    .into_iter()
                    .map(|row| spread.round(discount * row.checked_div(whole).unwrap_or(Decimal::ZERO)))
                    .collect();
                discounts.splice(range, shares);
            }
            start = start.saturating_add(length);
        }
        discounts
    }

    fn shipping_in_fixed(&self, base: &Run<'_>) -> Decimal {
        if self.cart.reduces_shipping { base.shipping_for_discount } else { Decimal::ZERO }
    }

    fn shipping_discount(&self, base: &Run<'_>) -> Decimal {
        if !self.cart.reduces_shipping {
            return Decimal::ZERO;
        }
        let discount = match self.cart.reduction {
            None => Decimal::ZERO,
            Some(Reduction::Percent(fraction)) => rounded(self.shipping_for_discount * fraction),
            Some(Reduction::Fixed(amount)) => {
                let whole = base.discountable().iter().copied().sum::<Decimal>() + base.shipping_for_discount;
                rounded(
                    rounded(amount * base.shipping_for_discount.checked_div(whole).unwrap_or(Decimal::ZERO))
                        * self.rate,
                )
            }
        };
        discount.min(self.shipping_for_discount)
    }
}

fn unit_price(settings: &TaxSettings, row: &CartRow, rate: Decimal) -> Decimal {
    let price = rounded(row.base_price * rate);
    match row.shop_rate {
        // Another rate than the shop's: the net price stays, the tax is the buyer's.
        Some(shop_rate) if settings.prices_include_tax && shop_rate != row.rate => {
            let net = price - price * inside(shop_rate);
            rounded(net + net * row.rate)
        }
        _ => price,
    }
}

fn taxable(settings: &TaxSettings, index: usize, row: &CartRow, unit_price: Decimal, discount: Decimal) -> Taxable {
    Taxable {
        row: Some(index),
        unit_price,
        quantity: row.quantity,
        rate: row.rate,
        discount,
        includes_tax: settings.prices_include_tax,
    }
}
