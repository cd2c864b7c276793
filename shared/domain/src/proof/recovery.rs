//! What the shop charged for each row, from the little that its interface says.
//!
//! Magento's rule for what a buyer pays of a row is `row + tax + compensation − discount` (Magento 2,
//! `Tax/Model/Calculation` and `Sales/Model/Order/Invoice/Total`). The published module sends row, tax and
//! `row + tax − discount`, so a discount can be had back exactly; the *discount tax compensation*, which is what the tax
//! inside a price falls by when the price is discounted, is only visible as what the grand total has too much. The rate
//! that it sends is `tax / row before discount` and is not used.

use super::{Ground, Source, Terms, beyond_computing};
use crate::canonical::{Invoice, Line};
use crate::code::Code;
use crate::fault::Fault;
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// The last place of the shop's sales columns (`decimal(20,4)`): what each amount of a sum may be off by.
const LAST_PLACE: Decimal = Decimal::from_parts(1, 0, 0, false, 4);
/// The shop rounds to two places in every currency (`PriceCurrency::round`).
const PENNY: Decimal = Decimal::from_parts(1, 0, 0, false, 2);
/// Half of that: what one rounding moves.
const HALF_PENNY: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
/// Row, discount and compensation of a partial invoice are each shared out with a carried remainder, so that a net
/// can be this far from the one that its tax was computed on.
const NET_DRIFT: Decimal = Decimal::from_parts(3, 0, 0, false, 2);
/// Remainders that reach a row's tax in an order of a few invoices and refunds: the order's own, and one of each time that it
/// was shared out before.
const REMAINDERS: Decimal = Decimal::from_parts(5, 0, 0, false, 0);
/// Places of the shop's own rounding.
const SHOP_PLACES: u32 = 2;
/// Rows of pennies whose rate is chosen anew to explain a total; more of them are a guess.
const RECONSIDERED_MAX: usize = 8;
/// Per cent.
const HUNDRED: Decimal = Decimal::ONE_HUNDRED;
/// A rate above this is a slip of the pen.
const RATE_MAX: Decimal = Decimal::ONE_THOUSAND;

/// What the shop charged, to be posted as one line or, with a discount after tax, two.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    /// Row or shipping.
    pub(super) source: Source,
    /// Pieces.
    pub(super) quantity: Decimal,
    /// What is taxed.
    pub(super) net: Decimal,
    /// Per cent.
    pub(super) rate: Decimal,
    /// What the shop charged as tax.
    pub(super) tax: Decimal,
    /// The net discount inside `net`.
    pub(super) discount: Decimal,
    /// What is taken off after tax.
    pub(super) untaxed_discount: Decimal,
}

/// The rates of the settings, each once, checked.
pub(super) fn rates(configured: &[Decimal]) -> Result<Vec<Decimal>, Fault> {
    let mut rates = Vec::with_capacity(configured.len());
    for rate in configured {
        if rate.is_sign_negative() && !rate.is_zero() || *rate > RATE_MAX {
            return Err(Fault::refused(Code::SettingsInvalid, format!("{rate} % is no sales tax rate.")));
        }
        if !rates.contains(rate) {
            rates.push(*rate);
        }
    }
    Ok(rates)
}

/// How a shop computes tax and discount of a row; one setting for goods, one for shipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Prices without tax: the discount comes off the net.
    Exclusive,
    /// Prices with tax: the discount comes off the gross, compensation `discount · r / (1 + r)`.
    Inclusive,
    /// Tax is computed before the discount, whatever the prices are.
    BeforeDiscount,
}

/// A way for goods and one for shipping.
type Ways = (Mode, Mode);

/// A discount on shipping, and the ways of computing under which it is supposed.
type Supposed = (Decimal, &'static [Ways]);

/// What a shop can be configured to, for goods and shipping, the likeliest first. Where no discount is involved they
/// all say the same; where the total hides no compensation the first fits.
static MODES: [Ways; 5] = [
    (Mode::Exclusive, Mode::Exclusive),
    (Mode::Inclusive, Mode::Inclusive),
    (Mode::Inclusive, Mode::Exclusive),
    (Mode::Exclusive, Mode::Inclusive),
    (Mode::BeforeDiscount, Mode::BeforeDiscount),
];

/// A row with money, or shipping.
#[derive(Clone)]
struct Part {
    source: Source,
    quantity: Decimal,
    gross: Decimal,
    tax: Decimal,
    discount: Decimal,
}

/// A rate under which a part's tax can be understood.
#[derive(Clone, Copy)]
struct Fit {
    rate: Decimal,
    /// How far the tax is from the exact one.
    deviation: Decimal,
    /// What was taxed.
    taxed: Decimal,
    /// Exact discount tax compensation.
    compensation: Decimal,
    /// Only understood as tax rounded by the piece, or shared out many times: a looser fit.
    by_piece: bool,
}

/// What the shop charged, and what its total has beyond that.
pub(super) struct Recovered {
    pub(super) charges: Vec<Charge>,
    /// To have a line of its own; zero where everything is explained.
    pub(super) unexplained: Decimal,
}

/// The rows with money and what they say of the total.
struct Sums {
    parts: Vec<Part>,
    rows: Decimal,
    taxes: Decimal,
    discounts: Decimal,
    /// What the total has beyond rows and shipping: compensation less the discount on shipping.
    rest: Decimal,
    /// What sums may be off by.
    tolerance: Decimal,
}

impl Sums {
    fn of(ground: &Ground<'_>) -> Option<Self> {
        let mut parts = Vec::new();
        let (mut rows, mut taxes, mut discounts) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
        for (at, line) in ground.rows.iter().enumerate() {
            if moneyless(line) {
                continue;
            }
            let (gross, tax) = (line.subtotal.value(), line.tax.value());
            let discount = gross.checked_add(tax)?.checked_sub(line.total.value())?;
            rows = rows.checked_add(gross)?;
            taxes = taxes.checked_add(tax)?;
            discounts = discounts.checked_add(discount)?;
            parts.push(Part { source: Source::Row(at), quantity: line.quantity.value(), gross, tax, discount });
        }
        let mut rest = ground.grand_total.value();
        for adjustment in ground.adjustments {
            rest = rest.checked_sub(adjustment.value())?;
        }
        for charged in [rows, taxes, ground.shipping.value(), ground.shipping_tax.value()] {
            rest = rest.checked_sub(charged)?;
        }
        let rest = rest.checked_add(discounts)?;
        let tolerance = LAST_PLACE.checked_mul(Decimal::from(parts.len().max(1)))?;
        Some(Self { parts, rows, taxes, discounts, rest, tolerance })
    }

    /// No row charges more than its price and tax.
    fn check(&self, ground: &Ground<'_>) -> Result<(), Fault> {
        match self.parts.iter().find(|part| part.discount < -LAST_PLACE) {
            None => Ok(()),
            Some(part) => Err(unexplained(format!(
                "{} charges more than its price and tax: {} {} is unexplained.",
                name(part.source),
                part.discount.abs().normalize(),
                ground.currency
            ))),
        }
    }

    /// The most that can come off shipping.
    fn shipping_discount_max(&self, ground: &Ground<'_>, compensation: Decimal) -> Option<Decimal> {
        let gross = ground.shipping.value().checked_add(ground.shipping_tax.value())?;
        gross.checked_add(compensation.abs())?.checked_add(self.tolerance)
    }
}

/// What the shop charged on an invoice. Its header says the discount on shipping.
pub(super) fn of_invoice(
    ground: &Ground<'_>,
    invoice: &Invoice,
    rates: &[Decimal],
    terms: &Terms<'_>,
) -> Result<Recovered, Fault> {
    let sums = Sums::of(ground).ok_or_else(beyond_computing)?;
    sums.check(ground)?;
    let shipping_discount = header(&sums, ground, invoice, terms)?;
    recover(&sums, ground, &[(shipping_discount, &MODES)], rates, terms)
}

/// The sums that hold on every invoice of Magento Open Source without fixed product taxes; the discount on shipping.
fn header(sums: &Sums, ground: &Ground<'_>, invoice: &Invoice, terms: &Terms<'_>) -> Result<Decimal, Fault> {
    let currency = ground.currency;
    let subtotal_left = invoice.subtotal.value().checked_sub(sums.rows).ok_or_else(beyond_computing)?;
    let added = subtotal_left > sums.tolerance && terms.additions_have_an_account;
    if subtotal_left.abs() > sums.tolerance && !added {
        return Err(unexplained(format!(
            "The rows do not come to the subtotal {}: {} {currency} is unexplained.",
            invoice.subtotal,
            subtotal_left.normalize()
        )));
    }
    let tax_left = invoice.tax.value().checked_sub(sums.taxes);
    let tax_left =
        tax_left.and_then(|left| left.checked_sub(invoice.shipping_tax.value())).ok_or_else(beyond_computing)?;
    if tax_left.abs() > sums.tolerance {
        return Err(unexplained(format!(
            "The taxes of rows and shipping do not come to the tax {}: {} {currency} is unexplained.",
            invoice.tax,
            tax_left.normalize()
        )));
    }
    // The header's discount is negative and includes shipping's.
    let named = invoice.discount.value().checked_add(sums.discounts).ok_or_else(beyond_computing)?;
    let shipping_discount = Decimal::ZERO.checked_sub(named).ok_or_else(beyond_computing)?;
    if shipping_discount.abs() <= sums.tolerance {
        return Ok(Decimal::ZERO);
    }
    let compensation = sums.rest.checked_add(shipping_discount).ok_or_else(beyond_computing)?;
    let most = sums.shipping_discount_max(ground, compensation).ok_or_else(beyond_computing)?;
    let (less, more) = (shipping_discount.is_sign_negative(), shipping_discount > most);
    if !less && !more {
        return Ok(shipping_discount);
    }
    if less && terms.additions_have_an_account || more && terms.reductions_have_an_account {
        return Ok(Decimal::ZERO);
    }
    Err(unexplained(format!(
        "The rows' discounts do not come to the discount {}, and shipping does not explain the rest: {} {currency} is \
         unexplained.",
        invoice.discount,
        shipping_discount.normalize()
    )))
}

/// What the shop charged on a credit memo, which names no discount. Shipping's is its share of the invoice's: the shop
/// refunds `shipping × discount / shipping` of the order, unrounded (Magento 2, `Creditmemo/Total/Discount`).
pub(super) fn of_credit_memo(
    ground: &Ground<'_>,
    invoice: Option<&Invoice>,
    rates: &[Decimal],
    terms: &Terms<'_>,
) -> Result<Recovered, Fault> {
    let sums = Sums::of(ground).ok_or_else(beyond_computing)?;
    sums.check(ground)?;
    let from_invoice = invoice.and_then(|invoice| share_of(ground, invoice));
    let supposed = match from_invoice {
        Some(discount) => vec![(discount, MODES.as_slice())],
        None => supposed(&sums, ground, invoice, rates).ok_or_else(beyond_computing)?,
    };
    recover(&sums, ground, &supposed, rates, terms)
}

/// The part of an invoice's discount on shipping that goes with the shipping of a credit memo; `None` where the invoice
/// does not say.
fn share_of(ground: &Ground<'_>, invoice: &Invoice) -> Option<Decimal> {
    let shipping = ground.shipping.value();
    if shipping.is_zero() {
        return Some(Decimal::ZERO);
    }
    if invoice.shipping.is_zero() || invoice.currency != *ground.currency {
        return None;
    }
    let sums = Sums::of(&Ground::of_invoice(invoice))?;
    let discount = Decimal::ZERO.checked_sub(invoice.discount.value().checked_add(sums.discounts)?)?;
    if discount <= sums.tolerance {
        return Some(Decimal::ZERO);
    }
    let share = discount.checked_mul(shipping)?.checked_div(invoice.shipping.value())?;
    Some(crate::amount::round_half_away(share, crate::amount::AMOUNT_PLACES))
}

/// What the discount on the shipping of a credit memo can be where no invoice says it: none; all that is missing; all that
/// is missing with the compensation of the rows. Whether shipping's own price contains tax makes no difference to what is
/// left of it. Only where a row of the memo or of its invoice is discounted too, or the memo has none: no rule of the shop
/// discounts shipping alone.
fn supposed(sums: &Sums, ground: &Ground<'_>, invoice: Option<&Invoice>, rates: &[Decimal]) -> Option<Vec<Supposed>> {
    let mut supposed = vec![(Decimal::ZERO, MODES.as_slice())];
    let discounts = |sums: &Sums| sums.parts.iter().any(|part| part.discount > sums.tolerance);
    let discounted = discounts(sums)
        || match invoice {
            Some(invoice) => discounts(&Sums::of(&Ground::of_invoice(invoice))?),
            None => false,
        };
    if ground.shipping.is_zero() || !(discounted || sums.parts.is_empty()) {
        return Some(supposed);
    }
    // A discount that leaves the tax as it is can't be told from store credit without a row that shows it.
    let modes = if discounted { MODES.as_slice() } else { MODES.split_at(MODES.len().saturating_sub(1)).0 };
    let most = sums.shipping_discount_max(ground, Decimal::ZERO)?;
    let mut suppose = |discount: Decimal| {
        if discount > sums.tolerance && discount <= most {
            supposed.push((discount, modes));
        }
    };
    let missing = Decimal::ZERO.checked_sub(sums.rest)?;
    if discounted || closely_taxed(ground, missing, rates)? {
        suppose(missing);
    }
    let all_inclusive = vec![Mode::Inclusive; sums.parts.len()];
    if let Ok(found) = candidates(&sums.parts, &all_inclusive, rates)? {
        let fits = choose(&sums.parts, &found, Doubt::Proven)?;
        let compensation = fits.iter().try_fold(Decimal::ZERO, |sum, fit| sum.checked_add(fit.compensation))?;
        if !compensation.is_zero() {
            suppose(missing.checked_add(compensation)?);
        }
    }
    Some(supposed)
}

/// True where the tax on shipping is what a rate gives of what the discount leaves, but for one remainder: with more of
/// them, any tax on a small amount would fit some rate, and nothing else speaks for that discount.
fn closely_taxed(ground: &Ground<'_>, discount: Decimal, rates: &[Decimal]) -> Option<bool> {
    let (gross, tax) = (ground.shipping.value(), ground.shipping_tax.value());
    let part = Part { source: Source::Shipping, quantity: Decimal::ONE, gross, tax, discount };
    Some(candidates_of(&part, Mode::Exclusive, rates)?.iter().any(|fit| !fit.by_piece))
}

/// A way to understand a document: how the shop computes, and the rates.
struct Reading {
    judgement: Judgement,
    parts: Vec<Part>,
    compensation: Decimal,
    modes: Vec<Mode>,
    fits: Vec<Fit>,
}

/// What the shop charged for each row and for shipping, under the discount on shipping and the way of computing that
/// explain the total best.
fn recover(
    sums: &Sums,
    ground: &Ground<'_>,
    supposed: &[Supposed],
    rates: &[Decimal],
    terms: &Terms<'_>,
) -> Result<Recovered, Fault> {
    let mut misfit = None;
    let mut nearest: Option<Reading> = None;
    for (shipping_discount, modes) in supposed {
        let parts = with_shipping(sums, ground, *shipping_discount);
        let compensation = sums.rest.checked_add(*shipping_discount).ok_or_else(beyond_computing)?;
        for (goods, shipping) in *modes {
            let modes: Vec<Mode> =
                parts.iter().map(|part| if part.source == Source::Shipping { *shipping } else { *goods }).collect();
            let found = match candidates(&parts, &modes, rates).ok_or_else(beyond_computing)? {
                Ok(found) => found,
                Err(at) => {
                    misfit = misfit.or_else(|| parts.get(at).cloned());
                    continue;
                }
            };
            for doubt in [Doubt::Proven, Doubt::Nearest] {
                let read = read(&parts, compensation, &found, doubt, terms.rounding_limit);
                let (judgement, fits) = read.ok_or_else(beyond_computing)?;
                if nearest.as_ref().is_none_or(|before| judgement.beats(&before.judgement)) {
                    nearest =
                        Some(Reading { judgement, parts: parts.clone(), compensation, modes: modes.clone(), fits });
                }
            }
        }
    }
    let Some(reading) = nearest else {
        return Err(match misfit {
            Some(part) => unmapped(ground, &part, rates),
            None => unexplained_total(ground, sums.rest),
        });
    };
    let left = reading.judgement.left;
    let accounted =
        if left.is_sign_negative() { terms.reductions_have_an_account } else { terms.additions_have_an_account };
    let beyond = match reading.judgement.explained {
        true => Decimal::ZERO,
        false if accounted => crate::amount::round_half_away(left, SHOP_PLACES.min(ground.currency.places())),
        false => return Err(unexplained_total(ground, left)),
    };
    let compensation = reading.compensation.checked_sub(beyond).ok_or_else(beyond_computing)?;
    let charges = settle(&reading.parts, compensation, &reading.modes, &reading.fits).ok_or_else(beyond_computing)?;
    Ok(Recovered { charges, unexplained: beyond })
}

fn with_shipping(sums: &Sums, ground: &Ground<'_>, discount: Decimal) -> Vec<Part> {
    let mut parts = sums.parts.clone();
    let (gross, tax) = (ground.shipping.value(), ground.shipping_tax.value());
    if !(gross.is_zero() && tax.is_zero() && discount.is_zero()) {
        parts.push(Part { source: Source::Shipping, quantity: Decimal::ONE, gross, tax, discount });
    }
    parts
}

/// One rate for every part, chosen anew where the total is not explained, and how well they explain it.
fn read(
    parts: &[Part],
    compensation: Decimal,
    found: &[Vec<Fit>],
    doubt: Doubt,
    limit: Decimal,
) -> Option<(Judgement, Vec<Fit>)> {
    let mut fits = choose(parts, found, doubt)?;
    let mut judgement = judge(parts, compensation, &fits, limit)?;
    if !judgement.explained {
        reconsider(&mut fits, found, judgement.left)?;
        judgement = judge(parts, compensation, &fits, limit)?;
    }
    Some((judgement, fits))
}

/// Rows that only show how a product is put together: the parent of a bundle, the variant under a configurable. Their
/// unit price must not be used.
pub(super) fn moneyless(line: &Line) -> bool {
    line.subtotal.is_zero() && line.tax.is_zero() && line.total.is_zero()
}

/// The rates that each part's tax fits, or the first part that none fits. `None` for amounts beyond computing.
fn candidates(parts: &[Part], modes: &[Mode], rates: &[Decimal]) -> Option<Result<Vec<Vec<Fit>>, usize>> {
    let mut candidates = Vec::with_capacity(parts.len());
    for (at, (part, mode)) in parts.iter().zip(modes).enumerate() {
        let found = candidates_of(part, *mode, rates)?;
        if found.is_empty() {
            return Some(Err(at));
        }
        candidates.push(found);
    }
    Some(Ok(candidates))
}

/// How to choose among the rates that fit a small amount.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// The nearest of those that another part proves.
    Proven,
    /// The nearest.
    Nearest,
}

/// One rate for every part.
fn choose(parts: &[Part], candidates: &[Vec<Fit>], doubt: Doubt) -> Option<Vec<Fit>> {
    let only = |found: &Vec<Fit>| match found.as_slice() {
        [only] => Some(only.rate),
        _ => None,
    };
    let proven: BTreeSet<Decimal> = match doubt {
        Doubt::Proven => candidates.iter().filter_map(only).collect(),
        Doubt::Nearest => BTreeSet::new(),
    };
    parts.iter().zip(candidates).map(|(part, found)| likeliest(part, found, &proven)).collect()
}

/// Takes another rate for parts that several fit, where its compensation leaves less of the total unexplained, the most
/// telling first: the rate of a row that was given away shows in nothing else.
fn reconsider(fits: &mut [Fit], candidates: &[Vec<Fit>], mut left: Decimal) -> Option<()> {
    for _ in 0..RECONSIDERED_MAX {
        let mut best: Option<(usize, Fit, Decimal)> = None;
        for (at, (chosen, found)) in fits.iter().zip(candidates).enumerate() {
            for other in found {
                let moved = other.compensation.checked_sub(chosen.compensation)?;
                let rest = left.checked_sub(moved)?;
                if rest.abs() < best.map_or(left, |(_, _, least)| least).abs() {
                    best = Some((at, *other, rest));
                }
            }
        }
        let Some((at, other, rest)) = best else { break };
        *fits.get_mut(at)? = other;
        left = rest;
    }
    Some(())
}

/// The rates under which a part's tax can be understood.
fn candidates_of(part: &Part, mode: Mode, rates: &[Decimal]) -> Option<Vec<Fit>> {
    let mut by_row = Vec::new();
    let mut by_piece = Vec::new();
    let mut by_part = Vec::new();
    for rate in rates {
        let fit = fit(part, mode, *rate)?;
        // No shop taxes less than nothing; a rate that would have it so belongs to a discount without compensation.
        if !part.gross.is_sign_negative() && fit.taxed < -NET_DRIFT {
            continue;
        }
        if fit.deviation <= row_tolerance(*rate, Decimal::ONE)? {
            by_row.push(fit);
        } else if rounded_by_piece(part)? && fit.deviation <= piece_tolerance(part, *rate)? {
            by_piece.push(Fit { by_piece: true, ..fit });
        } else if fit.deviation <= part_tolerance(part, *rate)? {
            by_part.push(Fit { by_piece: true, ..fit });
        }
    }
    let none = by_row.is_empty() && by_piece.is_empty() && by_part.is_empty();
    if none && part.tax.is_zero() && rates.iter().any(Decimal::is_zero) {
        // A discount beyond the net price, in shops that discount the price with tax: untaxed, and less than nothing.
        by_row.push(fit(part, mode, Decimal::ZERO)?);
    }
    Some([by_row, by_piece, by_part].into_iter().find(|found| !found.is_empty()).unwrap_or_default())
}

fn fit(part: &Part, mode: Mode, rate: Decimal) -> Option<Fit> {
    let compensation = match mode {
        Mode::Inclusive => part.discount.checked_mul(rate)?.checked_div(HUNDRED.checked_add(rate)?)?,
        Mode::Exclusive | Mode::BeforeDiscount => Decimal::ZERO,
    };
    let taxed = match mode {
        Mode::BeforeDiscount => part.gross,
        Mode::Exclusive | Mode::Inclusive => part.gross.checked_sub(part.discount)?.checked_add(compensation)?,
    };
    let exact = taxed.checked_mul(rate)?.checked_div(HUNDRED)?;
    Some(Fit { rate, deviation: part.tax.checked_sub(exact)?.abs(), taxed, compensation, by_piece: false })
}

/// How far a row's tax can be from the exact one: a penny by the remainder that total-based calculation carries from row
/// to row, one more for each time that a part of the order was invoiced or refunded, and the tax on what the net itself is
/// off by. A rate of nothing gives exactly nothing.
fn row_tolerance(rate: Decimal, remainders: Decimal) -> Option<Decimal> {
    if rate.is_zero() {
        return Some(LAST_PLACE);
    }
    let carried = PENNY.checked_mul(remainders)?;
    carried.checked_add(NET_DRIFT.checked_mul(rate)?.checked_div(HUNDRED)?)
}

/// Unit-based calculation rounds the tax of one piece, and its price with it, and multiplies.
fn piece_tolerance(part: &Part, rate: Decimal) -> Option<Decimal> {
    if rate.is_zero() {
        return Some(LAST_PLACE);
    }
    let each = HALF_PENNY.checked_mul(HUNDRED.checked_add(rate)?)?.checked_div(HUNDRED)?.checked_add(LAST_PLACE)?;
    part.quantity.checked_mul(each)?.checked_add(LAST_PLACE)
}

/// What was shared out many times has the remainders of them all, on top of how its row was rounded.
fn part_tolerance(part: &Part, rate: Decimal) -> Option<Decimal> {
    let by_row = row_tolerance(rate, REMAINDERS)?;
    if rate.is_zero() || !rounded_by_piece(part)? {
        return Some(by_row);
    }
    Some(by_row.max(piece_tolerance(part, rate)?.checked_add(PENNY.checked_mul(REMAINDERS)?)?))
}

/// True where the tax is a whole number of pennies a piece, but for the remainders of sharing it out.
fn rounded_by_piece(part: &Part) -> Option<bool> {
    if part.quantity <= Decimal::ZERO {
        return Some(false);
    }
    let each = crate::amount::round_half_away(part.tax.checked_div(part.quantity)?, SHOP_PLACES);
    let carried = PENNY.checked_mul(REMAINDERS)?;
    Some(each.checked_mul(part.quantity)?.checked_sub(part.tax)?.abs() <= carried)
}

/// Which of the rates that fit it was: none for an untaxed net, else the nearest, the proven ones first.
fn likeliest(part: &Part, found: &[Fit], proven: &BTreeSet<Decimal>) -> Option<Fit> {
    let untaxed = |fit: &&Fit| part.tax.is_zero() && fit.rate.is_zero() && fit.taxed.abs() > NET_DRIFT;
    let nearest = |fit: &&Fit| fit.deviation;
    found
        .iter()
        .find(untaxed)
        .or_else(|| found.iter().filter(|fit| proven.contains(&fit.rate)).min_by_key(nearest))
        .or_else(|| found.iter().min_by_key(nearest))
        .copied()
}

/// How well the compensation of the chosen rates explains what the total has beyond its parts.
struct Judgement {
    /// What it leaves.
    left: Decimal,
    /// What it leaves is rounding.
    explained: bool,
    /// Taxes that are only understood as rounded by the piece: a looser fit.
    by_piece: usize,
}

impl Judgement {
    fn beats(&self, other: &Self) -> bool {
        let rank = |judgement: &Self| (!judgement.explained, judgement.by_piece, judgement.left.abs());
        rank(self) < rank(other)
    }
}

/// Compares the total's compensation with the rates'. `None` for amounts beyond computing.
fn judge(parts: &[Part], compensation: Decimal, fits: &[Fit], limit: Decimal) -> Option<Judgement> {
    let mut explained = Decimal::ZERO;
    let mut pieces = Decimal::ONE;
    let mut rows = Decimal::ONE;
    for (part, fit) in parts.iter().zip(fits) {
        if !part.discount.is_zero() {
            explained = explained.checked_add(fit.compensation)?;
            rows = rows.checked_add(Decimal::ONE)?;
            pieces = pieces.checked_add(part.quantity.ceil().max(Decimal::ONE))?;
        }
    }
    let left = compensation.checked_sub(explained)?;
    // A compensation is the difference of two rounded taxes, each with a remainder of its own that also reaches rows
    // without discount: a penny. With discounts they are rounded by row, or by piece: then pennies count by piece, but
    // no further than the merchant lets a rounding line go.
    let tolerance = PENNY.checked_mul(pieces)?.min(PENNY.checked_mul(rows)?.max(limit));
    let by_piece = fits.iter().filter(|fit| fit.by_piece).count();
    Some(Judgement { left, explained: left.abs() <= tolerance, by_piece })
}

/// Shares the compensation out over the parts in proportion, to the penny, so that it comes to the total's exactly.
fn settle(parts: &[Part], whole: Decimal, modes: &[Mode], fits: &[Fit]) -> Option<Vec<Charge>> {
    let exact = fits.iter().try_fold(Decimal::ZERO, |sum, fit| sum.checked_add(fit.compensation))?;
    let last = fits.iter().rposition(|fit| !fit.compensation.is_zero());
    let (mut passed, mut given) = (Decimal::ZERO, Decimal::ZERO);
    let mut charges = Vec::with_capacity(fits.len());
    for (at, ((part, mode), fit)) in parts.iter().zip(modes).zip(fits).enumerate() {
        let mut compensation = Decimal::ZERO;
        if !fit.compensation.is_zero() {
            passed = passed.checked_add(fit.compensation)?;
            let due = if Some(at) == last {
                whole
            } else {
                let due = whole.checked_mul(passed)?.checked_div(exact)?;
                crate::amount::round_half_away(due, SHOP_PLACES)
            };
            compensation = due.checked_sub(given)?;
            given = due;
        }
        let (net, discount, untaxed_discount) = match mode {
            Mode::BeforeDiscount => (part.gross, Decimal::ZERO, part.discount),
            Mode::Exclusive | Mode::Inclusive => {
                let discount = part.discount.checked_sub(compensation)?;
                (part.gross.checked_sub(discount)?, discount, Decimal::ZERO)
            }
        };
        charges.push(Charge {
            source: part.source,
            quantity: part.quantity,
            net,
            rate: fit.rate,
            tax: part.tax,
            discount,
            untaxed_discount,
        });
    }
    Some(charges)
}

fn name(source: Source) -> String {
    match source {
        Source::Row(at) | Source::UntaxedDiscount(Some(at)) => format!("Row {}", at.saturating_add(1)),
        Source::Shipping | Source::UntaxedDiscount(None) => "Shipping".to_owned(),
        Source::AdjustmentRefund | Source::AdjustmentFee | Source::Unexplained | Source::Rounding => {
            "The rest".to_owned()
        }
    }
}

fn unmapped(ground: &Ground<'_>, part: &Part, rates: &[Decimal]) -> Fault {
    let known: Vec<String> = rates.iter().map(|rate| format!("{} %", rate.normalize())).collect();
    let paid = part.gross.checked_sub(part.discount).unwrap_or(part.gross);
    Fault::refused(
        Code::TaxRateUnmapped,
        format!(
            "{}: a tax of {} {} on {} fits none of the binding's rates ({}).",
            name(part.source),
            part.tax.normalize(),
            ground.currency,
            paid.normalize(),
            known.join(", ")
        ),
    )
}

fn unexplained_total(ground: &Ground<'_>, left: Decimal) -> Fault {
    unexplained(format!(
        "The parts of the {} do not come to its total {}: {} {} is unexplained.",
        ground.name,
        ground.grand_total,
        left.normalize(),
        ground.currency
    ))
}

pub(super) fn unexplained(message: String) -> Fault {
    Fault::refused(Code::UnexplainedDifference, message)
}
