//! The penny proof: the lines of an invoice, rebuilt so that a book that computes its own tax arrives at the shop's total.
//!
//! Three steps. `recovery` finds what the shop charged for each row: discounts, the discount tax compensation that the
//! shop's interface leaves out, and the tax rate. `posting` turns charges into lines and models the book's own sum.
//! What the two sums differ by goes on one rounding line, as far as rounding can explain it.
//!
//! Invariants: decimal arithmetic only, every operation checked; same input, same output; the lines of a [`Proof`] come
//! to its total under [`modelled_total`].

use crate::amount::Amount;
use crate::book::Rounding;
use crate::canonical::Invoice;
use crate::code::Code;
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
    /// The tax on the line, as the book will compute it.
    pub tax: Amount,
    /// The discount that is inside the net price, net and positive.
    pub discount: Amount,
}

/// Where a proven line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The row at this place of [`Invoice::lines`].
    Row(usize),
    /// The shipping of the document.
    Shipping,
    /// A discount that lowers what is paid and not what is taxed: on the row at this place, or on shipping where there
    /// is none. Only in shops that compute tax before the discount.
    UntaxedDiscount(Option<usize>),
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
    let charges = recovery::charges(invoice, &rates, terms.rounding_limit)?;
    posting::proof(invoice, terms, &charges, &rates)
}

/// The total at which the book arrives from lines: each line's net and its tax, rounded to the currency's places.
///
/// # Errors
/// `unexpected` where the sum leaves what an amount can be.
pub fn modelled_total(lines: &[ProvedLine], currency_places: u32) -> Result<Amount, Fault> {
    let priced = lines.iter().map(|line| (line.quantity, line.unit_price, line.tax_rate));
    posting::modelled(priced, currency_places).ok_or_else(beyond_computing)
}

/// [`modelled_total`] of the lines of a document.
///
/// # Errors
/// `unexpected` where the sum leaves what an amount can be.
pub fn modelled_document_total(lines: &[crate::document::DocumentLine], currency_places: u32) -> Result<Amount, Fault> {
    let priced = lines.iter().map(|line| (line.quantity, line.unit_price, line.tax_rate));
    posting::modelled(priced, currency_places).ok_or_else(beyond_computing)
}

fn beyond_computing() -> Fault {
    Fault::broken(Code::Unexpected, "The amounts of the invoice are beyond what can be computed exactly.")
}
