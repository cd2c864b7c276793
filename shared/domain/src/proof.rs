//! The penny proof: the lines of an invoice or a credit memo, rebuilt so that the book arrives at the shop's total,
//! whether it computes the tax by itself or is told it.
//!
//! Three steps. `recovery` finds what the shop charged for each row: discounts, the discount tax compensation that the
//! shop's interface leaves out, and the tax rate. `posting` turns charges into lines and models the book's own sum.
//! What the two sums differ by goes on one rounding line, as far as rounding can explain it. What the total has beyond
//! its parts has a line only where the binding names an account for it.
//!
//! Invariants: decimal arithmetic only, every operation checked; same input, same output; the lines of a [`Proof`] come
//! to its total under [`modelled_total`].

use crate::amount::{Amount, Currency};
use crate::book::Rounding;
use crate::canonical::{CreditMemo, Invoice, Line};
use crate::code::Code;
use crate::document::DocumentLine;
use crate::fault::Fault;
use rust_decimal::Decimal;

mod posting;
mod recovery;
#[cfg(test)]
mod tests;

/// What the proof needs of the settings.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// The book's tax rates, in percent.
    pub tax_rates: &'a [Decimal],
    /// The most that a rounding line may carry.
    pub rounding_limit: Decimal,
    /// The book's way of rounding.
    pub rounding: Rounding,
    /// True where the binding names an account for what a total has too little (gift cards, store credit).
    pub reductions_have_an_account: bool,
    /// True where it names one for what a total has too much (fees, fixed product taxes).
    pub additions_have_an_account: bool,
}

/// A proven line.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvedLine {
    /// Where it comes from.
    pub source: Source,
    /// Quantity.
    pub quantity: Decimal,
    /// Price of one, net, after discount.
    pub unit_price: Decimal,
    /// Tax rate in percent.
    pub tax_rate: Decimal,
    /// The tax on the line: what the book will compute, or what it is told.
    pub tax: Amount,
    /// The discount that is inside the net price, net and positive.
    pub discount: Amount,
}

/// Where a proven line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The row at this place of the document's rows.
    Row(usize),
    /// The shipping of the document.
    Shipping,
    /// A discount that lowers what is paid and not what is taxed: on the row at this place, or on shipping where there
    /// is none. Only in shops that compute tax before the discount.
    UntaxedDiscount(Option<usize>),
    /// What a credit memo gives beyond its rows.
    AdjustmentRefund,
    /// What a credit memo keeps.
    AdjustmentFee,
    /// What the total has beyond its parts.
    Unexplained,
    /// The difference in rounding.
    Rounding,
}

/// The lines and the total that they come to in the book.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// The lines to post.
    pub lines: Vec<ProvedLine>,
    /// The grand total rounded to the currency's minor unit: what the book must show.
    pub total: Amount,
}

/// Proves an invoice.
///
/// # Errors
/// `tax_rate_unmapped` where a tax fits no rate, `unexplained_difference` where the parts do not come to the total,
/// `settings_invalid` for a rate that is none, `unexpected` for amounts beyond computing.
pub fn prove(invoice: &Invoice, terms: &Terms<'_>) -> Result<Proof, Fault> {
    let rates = recovery::rates(terms.tax_rates)?;
    let ground = Ground::of_invoice(invoice);
    let recovered = recovery::of_invoice(&ground, invoice, &rates, terms)?;
    posting::proof(&ground, terms, &recovered, &[], &rates)
}

/// Proves a credit memo, every amount positive. Its discount on shipping is not told: it is had from `invoice`, the one
/// that the memo was made from, or, without it, from what the tax on shipping shows.
///
/// # Errors
/// Those of [`prove`]; `negative_total` for a memo of less than nothing.
pub fn prove_credit_memo(memo: &CreditMemo, invoice: Option<&Invoice>, terms: &Terms<'_>) -> Result<Proof, Fault> {
    if memo.grand_total < Amount::ZERO {
        return Err(Fault::refused(
            Code::NegativeTotal,
            format!("The credit memo comes to {} {}.", memo.grand_total, memo.currency),
        ));
    }
    let rates = recovery::rates(terms.tax_rates)?;
    let ground = Ground::of_credit_memo(memo);
    let recovered = recovery::of_credit_memo(&ground, invoice, &rates, terms)?;
    let adjustments = [
        (Source::AdjustmentRefund, memo.adjustment_positive),
        (Source::AdjustmentFee, memo.adjustment_negative.negated()),
    ];
    posting::proof(&ground, terms, &recovered, &adjustments, &rates)
}

/// The total at which the book arrives from lines: each line's net and its tax, rounded to `places`.
///
/// # Errors
/// `unexpected` where the sum leaves what an amount can be.
pub fn modelled_total(lines: &[ProvedLine], rounding: &Rounding, places: u32) -> Result<Amount, Fault> {
    let priced = lines.iter().map(|line| (line.quantity, line.unit_price, line.tax_rate, line.tax));
    posting::modelled(priced, rounding, places).ok_or_else(beyond_computing)
}

/// [`modelled_total`] of the lines of a document in `currency`.
///
/// # Errors
/// `unexpected` where the sum leaves what an amount can be.
pub fn modelled_document_total(
    lines: &[DocumentLine],
    rounding: &Rounding,
    currency: &Currency,
) -> Result<Amount, Fault> {
    let priced = lines.iter().map(|line| (line.quantity, line.unit_price, line.tax_rate, line.tax));
    posting::modelled(priced, rounding, places_of(rounding, currency)).ok_or_else(beyond_computing)
}

/// Decimal places of amounts of a currency in a book.
#[must_use]
pub fn places_of(rounding: &Rounding, currency: &Currency) -> u32 {
    currency.places().min(rounding.amount_places_max)
}

/// What the proof needs of a document, whichever kind it is.
struct Ground<'a> {
    /// What it is called.
    name: &'static str,
    currency: &'a Currency,
    rows: &'a [Line],
    shipping: Amount,
    shipping_tax: Amount,
    /// What the buyer pays or gets back.
    grand_total: Amount,
    /// What of that is neither row nor shipping.
    adjustments: [Amount; 2],
}

impl<'a> Ground<'a> {
    fn of_invoice(invoice: &'a Invoice) -> Self {
        Self {
            name: "invoice",
            currency: &invoice.currency,
            rows: &invoice.lines,
            shipping: invoice.shipping,
            shipping_tax: invoice.shipping_tax,
            grand_total: invoice.grand_total,
            adjustments: [Amount::ZERO; 2],
        }
    }

    fn of_credit_memo(memo: &'a CreditMemo) -> Self {
        Self {
            name: "credit memo",
            currency: &memo.currency,
            rows: &memo.lines,
            shipping: memo.shipping,
            shipping_tax: memo.shipping_tax,
            grand_total: memo.grand_total,
            adjustments: [memo.adjustment_positive, memo.adjustment_negative.negated()],
        }
    }
}

fn beyond_computing() -> Fault {
    Fault::broken(Code::Unexpected, "The amounts of the document are beyond what can be computed exactly.")
}
