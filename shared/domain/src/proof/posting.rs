//! From charges to lines, and the book's own sum of them.
//!
//! The books of the v2 family take net unit prices only, keep two decimal places of them, and compute tax by line,
//! rounded half away from zero (FreeAgent API docs, invoices; its forum on rounding of invoice items).

use super::recovery::{Charge, moneyless, unexplained};
use super::{Proof, ProvedLine, Source, Terms, beyond_computing};
use crate::amount::{Amount, round_half_away};
use crate::canonical::Invoice;
use crate::code::Code;
use crate::fault::Fault;
use rust_decimal::Decimal;

/// The shop rounds to two places in every currency, also where the minor unit is finer.
const SHOP_PENNY: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// The lines of charges, with a rounding line where one is needed and allowed.
pub(super) fn proof(
    invoice: &Invoice,
    terms: &Terms<'_>,
    charges: &[Charge],
    rates: &[Decimal],
) -> Result<Proof, Fault> {
    let places = invoice.currency.places();
    let price_places = places.min(terms.rounding.unit_price_places);
    let mut lines = Vec::with_capacity(charges.len().saturating_add(1));
    for charge in charges {
        push_lines(&mut lines, charge, places, price_places).ok_or_else(beyond_computing)?;
    }
    if lines.is_empty() {
        lines = free_lines(invoice, rates)?;
    }
    let total = invoice.grand_total.rounded(places);
    let modelled = super::modelled_total(&lines, places)?;
    let difference = total.minus(modelled).map_err(|_| beyond_computing())?.value();
    if !difference.is_zero() {
        let allowed = allowance(lines.len(), places, terms.rounding_limit).ok_or_else(beyond_computing)?;
        if difference.abs() > allowed || round_half_away(difference, price_places) != difference {
            return Err(unexplained(format!(
                "The book would come to {modelled} and the shop to {total}: {} {} is more than rounding explains.",
                difference.normalize(),
                invoice.currency
            )));
        }
        lines.push(ProvedLine {
            source: Source::Rounding,
            quantity: Decimal::ONE,
            unit_price: difference.normalize(),
            tax_rate: Decimal::ZERO,
            tax: Amount::ZERO,
            discount: Amount::ZERO,
        });
    }
    let untaxed = lines.iter().any(|line| matches!(line.source, Source::Rounding | Source::UntaxedDiscount(_)));
    if untaxed && !rates.iter().any(Decimal::is_zero) {
        return Err(Fault::refused(
            Code::TaxRateUnmapped,
            "A rounding or discount line without tax is needed, and the binding's rates have none of 0 %.",
        ));
    }
    if super::modelled_total(&lines, places)? != total {
        return Err(Fault::broken(Code::Unexpected, "The proven lines do not come to the total."));
    }
    Ok(Proof { lines, total })
}

/// The most that a rounding line may carry. Rounding alone can move each line by a penny: half of one where the book
/// rounds its tax, half where the shop carries a remainder. So a penny for each line is explained whatever the merchant
/// allows, and a merchant may allow more, for shops that round by piece.
fn allowance(lines: usize, places: u32, limit: Decimal) -> Option<Decimal> {
    let minor_unit = Decimal::try_new(1, places).ok()?;
    Some(minor_unit.max(SHOP_PENNY).checked_mul(Decimal::from(lines))?.max(limit))
}

fn push_lines(lines: &mut Vec<ProvedLine>, charge: &Charge, places: u32, price_places: u32) -> Option<()> {
    let (quantity, unit_price) = priced(charge, places, price_places)?;
    let nothing = charge.net.is_zero() && charge.source == Source::Shipping;
    if !nothing {
        lines.push(ProvedLine {
            source: charge.source,
            quantity: quantity.normalize(),
            unit_price: unit_price.normalize(),
            tax_rate: charge.rate.normalize(),
            tax: computed_tax(quantity, unit_price, charge.rate, places)?,
            discount: Amount::from_decimal(charge.discount).ok()?,
        });
    }
    if !charge.untaxed_discount.is_zero() {
        let row = match charge.source {
            Source::Row(at) => Some(at),
            Source::Shipping | Source::UntaxedDiscount(_) | Source::Rounding => None,
        };
        let off = round_half_away(charge.untaxed_discount, price_places);
        lines.push(ProvedLine {
            source: Source::UntaxedDiscount(row),
            quantity: Decimal::ONE,
            unit_price: Decimal::ZERO.checked_sub(off)?.normalize(),
            tax_rate: Decimal::ZERO,
            tax: Amount::ZERO,
            discount: Amount::ZERO,
        });
    }
    Some(())
}

/// The tax that the book computes on a line.
fn computed_tax(quantity: Decimal, unit_price: Decimal, rate: Decimal, places: u32) -> Option<Amount> {
    let net = round_half_away(quantity.checked_mul(unit_price)?, places);
    Amount::from_decimal(round_half_away(net.checked_mul(rate)?.checked_div(Decimal::ONE_HUNDRED)?, places)).ok()
}

/// Quantity and unit price where they reproduce the net exactly, else one piece at the rounded net. What rounding the
/// net moves goes to the rounding line.
fn priced(charge: &Charge, places: u32, price_places: u32) -> Option<(Decimal, Decimal)> {
    if charge.quantity > Decimal::ZERO && round_half_away(charge.net, places) == charge.net {
        let unit_price = round_half_away(charge.net.checked_div(charge.quantity)?, price_places);
        if unit_price.checked_mul(charge.quantity) == Some(charge.net) {
            return Some((charge.quantity, unit_price));
        }
    }
    Some((Decimal::ONE, round_half_away(charge.net, price_places)))
}

/// Books take no invoice without a line: an invoice of free goods only shows them at nothing.
fn free_lines(invoice: &Invoice, rates: &[Decimal]) -> Result<Vec<ProvedLine>, Fault> {
    let rate = rates.iter().find(|rate| rate.is_zero()).or_else(|| rates.first()).copied().unwrap_or_default();
    let lines: Vec<ProvedLine> = invoice
        .lines
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
        return Err(unexplained(format!("The invoice has no rows; its total is {}.", invoice.grand_total)));
    }
    Ok(lines)
}

/// Sum of quantity × price and the tax on it, by line.
pub(super) fn modelled(lines: impl Iterator<Item = (Decimal, Decimal, Decimal)>, places: u32) -> Option<Amount> {
    let mut total = Decimal::ZERO;
    for (quantity, unit_price, rate) in lines {
        let net = round_half_away(quantity.checked_mul(unit_price)?, places);
        let tax = round_half_away(net.checked_mul(rate)?.checked_div(Decimal::ONE_HUNDRED)?, places);
        total = total.checked_add(net)?.checked_add(tax)?;
    }
    Amount::from_decimal(total).ok()
}
