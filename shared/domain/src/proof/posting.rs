//! From charges to lines, and the book's own sum of them.
//!
//! Every book takes net unit prices. Those that compute tax do it by line, rounded half away from zero (FreeAgent API
//! docs, invoices, and its forum on rounding of invoice items; Xero's guide to rounding); the others are told it by line
//! (Sage Accounting API, sales invoices: `tax_amount`).

use super::recovery::{Charge, Recovered, moneyless, unexplained};
use super::{Ground, Proof, ProvedLine, Source, Terms, beyond_computing, places_of};
use crate::amount::{Amount, round_half_away};
use crate::book::{Rounding, TaxRounding};
use crate::code::Code;
use crate::fault::Fault;
use rust_decimal::Decimal;

/// The shop rounds to two places in every currency, also where the minor unit is finer, or where there is none.
const SHOP_PLACES: u32 = 2;
/// One of the last of them.
const SHOP_PENNY: Decimal = Decimal::from_parts(1, 0, 0, false, SHOP_PLACES);
/// The most that rounds to nothing in a currency without a minor unit.
const LESS_THAN_HALF: Decimal = Decimal::from_parts(49, 0, 0, false, SHOP_PLACES);

/// Decimal places of a book, for one currency.
#[derive(Clone, Copy)]
struct Places {
    /// Of nets, taxes and totals.
    amount: u32,
    /// Of unit prices.
    price: u32,
    /// Of the unit price of a line with one piece: it is the net.
    single: u32,
    /// Of the unit price of a rounding line.
    rounding: u32,
    /// Of taxes in a book that keeps a fraction of every currency: no provider says whether its own does so of yen.
    doubted: u32,
}

impl Places {
    fn of(ground: &Ground<'_>, terms: &Terms<'_>) -> Self {
        let amount = places_of(&terms.rounding, ground.currency);
        // A currency without a minor unit has none in unit prices either.
        let price = if amount == 0 { 0 } else { terms.rounding.unit_price_places };
        let single = amount.min(price);
        let (finest, computed) =
            (SHOP_PLACES.min(terms.rounding.amount_places_max), terms.rounding.tax == TaxRounding::Computed);
        if amount == 0 && computed && terms.rounding.unit_price_places >= finest {
            return Self { amount, price, single, rounding: finest, doubted: finest };
        }
        Self { amount, price, single, rounding: single, doubted: amount }
    }
}

/// The lines of charges and of what stands beside them, with a rounding line where one is needed and allowed.
pub(super) fn proof(
    ground: &Ground<'_>,
    terms: &Terms<'_>,
    recovered: &Recovered,
    adjustments: &[(Source, Amount)],
    rates: &[Decimal],
) -> Result<Proof, Fault> {
    let places = Places::of(ground, terms);
    let charges = &recovered.charges;
    let taxes = stated_taxes(charges, terms.rounding.tax, places).ok_or_else(beyond_computing)?;
    let mut lines = Vec::with_capacity(charges.len().saturating_add(4));
    for (charge, tax) in charges.iter().zip(taxes) {
        push_lines(&mut lines, charge, tax, places).ok_or_else(beyond_computing)?;
    }
    let beside = adjustments.iter().map(|(source, amount)| (*source, amount.value()));
    for (source, amount) in beside.chain([(Source::Unexplained, recovered.unexplained)]) {
        let amount = round_half_away(amount, places.single);
        if !amount.is_zero() {
            lines.push(untaxed(source, amount));
        }
    }
    if lines.is_empty() {
        lines = free_lines(ground, rates)?;
    }
    let total = ground.grand_total.rounded(places.amount);
    if ground.grand_total.rounded(ground.currency.places()) != total {
        return Err(unexplained(format!(
            "The total {} {} has more decimal places than the book keeps ({}).",
            ground.grand_total, ground.currency, places.amount
        )));
    }
    let allowed = allowance(lines.len(), places.amount, terms.rounding_limit).ok_or_else(beyond_computing)?;
    for places in [places.amount, places.doubted] {
        let difference = missing(&lines, terms, total, places)?;
        if difference.abs() > allowed {
            return Err(beyond_rounding(ground, total, difference));
        }
    }
    for difference in roundings(&lines, terms, total, places)? {
        if round_half_away(difference, places.rounding) != difference {
            return Err(beyond_rounding(ground, total, difference));
        }
        lines.push(untaxed(Source::Rounding, difference));
    }
    let needs_untaxed = lines.iter().any(|line| match line.source {
        Source::Row(_) | Source::Shipping => false,
        Source::UntaxedDiscount(_)
        | Source::AdjustmentRefund
        | Source::AdjustmentFee
        | Source::Unexplained
        | Source::Rounding => true,
    });
    if needs_untaxed && !rates.iter().any(Decimal::is_zero) {
        return Err(Fault::refused(
            Code::TaxRateUnmapped,
            "A line without tax is needed (rounding, discount, adjustment or the like), and the binding's rates have none \
             of 0 %.",
        ));
    }
    for places in [places.amount, places.doubted] {
        if !missing(&lines, terms, total, places)?.is_zero() {
            return Err(Fault::broken(Code::Unexpected, "The proven lines do not come to the total."));
        }
    }
    Ok(Proof { lines, total })
}

/// What the book's sum lacks of the total, with taxes of so many places.
fn missing(lines: &[ProvedLine], terms: &Terms<'_>, total: Amount, places: u32) -> Result<Decimal, Fault> {
    let modelled = super::modelled_total(lines, &terms.rounding, places)?;
    total.minus(modelled).map(Amount::value).map_err(|_| beyond_computing())
}

/// What the rounding line carries; nothing where none is needed. Where it is doubted whether the book keeps fractions of
/// the currency, the fraction is cut so that a book without them sees nothing of it: the sum is right in both.
fn roundings(lines: &[ProvedLine], terms: &Terms<'_>, total: Amount, places: Places) -> Result<Vec<Decimal>, Fault> {
    let whole = missing(lines, terms, total, places.amount)?;
    let fine = missing(lines, terms, total, places.doubted)?;
    let mut fraction = fine.checked_sub(whole).ok_or_else(beyond_computing)?;
    let mut roundings = Vec::new();
    let mut carried = whole;
    loop {
        let cut = fraction.clamp(-LESS_THAN_HALF, LESS_THAN_HALF);
        let carries = carried.checked_add(cut).ok_or_else(beyond_computing)?;
        if !carries.is_zero() {
            roundings.push(carries);
        }
        fraction = fraction.checked_sub(cut).ok_or_else(beyond_computing)?;
        carried = Decimal::ZERO;
        if fraction.is_zero() {
            return Ok(roundings);
        }
    }
}

fn beyond_rounding(ground: &Ground<'_>, total: Amount, difference: Decimal) -> Fault {
    unexplained(format!(
        "The book would come to another total than the shop's {total}: {} {} is more than rounding explains.",
        difference.normalize(),
        ground.currency
    ))
}

/// The most that a rounding line may carry. Rounding alone can move each line by a penny: half of one where the book
/// rounds its tax, half where the shop carries a remainder; and the total itself by half of one. So that much is explained
/// whatever the merchant allows, and a merchant may allow more, for shops that round by piece.
fn allowance(lines: usize, places: u32, limit: Decimal) -> Option<Decimal> {
    let minor_unit = Decimal::try_new(1, places).ok()?;
    let unit = minor_unit.max(SHOP_PENNY);
    let half = unit.checked_div(Decimal::TWO)?;
    Some(unit.checked_mul(Decimal::from(lines))?.checked_add(half)?.max(limit))
}

/// The shop's taxes rounded so that they come to the rounded sum, for a book that is told them; `None` for one that
/// computes them. A line without tax never gets a penny of it.
fn stated_taxes(charges: &[Charge], kind: TaxRounding, places: Places) -> Option<Vec<Option<Decimal>>> {
    let (mut sum, mut given) = (Decimal::ZERO, Decimal::ZERO);
    let mut taxes = Vec::with_capacity(charges.len());
    for charge in charges {
        sum = sum.checked_add(charge.tax)?;
        let due = round_half_away(sum, places.amount);
        taxes.push(match kind {
            TaxRounding::Computed => None,
            TaxRounding::Stated => Some(due.checked_sub(given)?),
        });
        given = due;
    }
    Some(taxes)
}

fn push_lines(lines: &mut Vec<ProvedLine>, charge: &Charge, stated: Option<Decimal>, places: Places) -> Option<()> {
    let (quantity, unit_price) = priced(charge, places)?;
    let tax = match stated {
        Some(tax) => Amount::from_decimal(tax).ok()?,
        None => computed_tax(quantity, unit_price, charge.rate, places.amount)?,
    };
    let nothing = charge.net.is_zero() && tax.is_zero() && charge.source == Source::Shipping;
    if !nothing {
        lines.push(ProvedLine {
            source: charge.source,
            quantity: quantity.normalize(),
            unit_price: unit_price.normalize(),
            tax_rate: charge.rate.normalize(),
            tax,
            discount: Amount::from_decimal(charge.discount).ok()?,
        });
    }
    if !charge.untaxed_discount.is_zero() {
        let row = match charge.source {
            Source::Row(at) => Some(at),
            Source::Shipping
            | Source::UntaxedDiscount(_)
            | Source::AdjustmentRefund
            | Source::AdjustmentFee
            | Source::Unexplained
            | Source::Rounding => None,
        };
        let off = Decimal::ZERO.checked_sub(round_half_away(charge.untaxed_discount, places.single))?;
        lines.push(untaxed(Source::UntaxedDiscount(row), off));
    }
    Some(())
}

fn untaxed(source: Source, amount: Decimal) -> ProvedLine {
    ProvedLine {
        source,
        quantity: Decimal::ONE,
        unit_price: amount.normalize(),
        tax_rate: Decimal::ZERO,
        tax: Amount::ZERO,
        discount: Amount::ZERO,
    }
}

/// The tax that the book computes on a line.
pub(super) fn computed_tax(quantity: Decimal, unit_price: Decimal, rate: Decimal, places: u32) -> Option<Amount> {
    let net = round_half_away(quantity.checked_mul(unit_price)?, places);
    Amount::from_decimal(round_half_away(net.checked_mul(rate)?.checked_div(Decimal::ONE_HUNDRED)?, places)).ok()
}

/// Quantity and unit price where they reproduce the net, else one piece at the rounded net. What rounding the net moves
/// goes to the rounding line. A price of more places than the currency's comes to the net by the book's rounding of the
/// line; one of as many has to come to it exactly, so that nothing depends on that.
fn priced(charge: &Charge, places: Places) -> Option<(Decimal, Decimal)> {
    if charge.quantity > Decimal::ZERO && round_half_away(charge.net, places.amount) == charge.net {
        for price_places in [places.single, places.price] {
            let unit_price = round_half_away(charge.net.checked_div(charge.quantity)?, price_places);
            let line = unit_price.checked_mul(charge.quantity)?;
            let finer = price_places > places.amount && round_half_away(line, places.amount) == charge.net;
            if line == charge.net || finer {
                return Some((charge.quantity, unit_price));
            }
        }
    }
    Some((Decimal::ONE, round_half_away(charge.net, places.single)))
}

/// Books take no document without a line: one of free goods only shows them at nothing.
fn free_lines(ground: &Ground<'_>, rates: &[Decimal]) -> Result<Vec<ProvedLine>, Fault> {
    let rate = rates.iter().find(|rate| rate.is_zero()).or_else(|| rates.first()).copied().unwrap_or_default();
    let lines: Vec<ProvedLine> = ground
        .rows
        .iter()
        .enumerate()
        .filter(|(_, line)| moneyless(line))
        .map(|(at, line)| ProvedLine {
            source: Source::Row(at),
            quantity: if line.quantity.value() > Decimal::ZERO { line.quantity.value() } else { Decimal::ONE },
            unit_price: Decimal::ZERO,
            tax_rate: rate,
            tax: Amount::ZERO,
            discount: Amount::ZERO,
        })
        .collect();
    if lines.is_empty() {
        return Err(unexplained(format!("The {} has no rows; its total is {}.", ground.name, ground.grand_total)));
    }
    Ok(lines)
}

/// Sum of quantity × price and the tax on it, by line, each price as the book keeps it.
pub(super) fn modelled(
    lines: impl Iterator<Item = (Decimal, Decimal, Decimal, Amount)>,
    rounding: &Rounding,
    places: u32,
) -> Option<Amount> {
    let mut total = Decimal::ZERO;
    for (quantity, unit_price, rate, stated) in lines {
        let unit_price = round_half_away(unit_price, rounding.unit_price_places);
        let net = round_half_away(quantity.checked_mul(unit_price)?, places);
        let tax = match rounding.tax {
            TaxRounding::Computed => computed_tax(quantity, unit_price, rate, places)?.value(),
            TaxRounding::Stated => stated.value(),
        };
        total = total.checked_add(net)?.checked_add(tax)?;
    }
    Amount::from_decimal(total).ok()
}
