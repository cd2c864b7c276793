//! Tax of one row, by the three algorithms, with carried remainders.

use std::collections::HashMap;

use rust_decimal::Decimal;

use super::{TaxAlgorithm, TaxSettings, rounded};

/// What there is to tax.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taxable {
    /// The row's number; shipping has none.
    pub(super) row: Option<usize>,
    pub(super) unit_price: Decimal,
    pub(super) quantity: Decimal,
    pub(super) rate: Decimal,
    pub(super) discount: Decimal,
    pub(super) includes_tax: bool,
}

/// The row taxed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taxed {
    /// Of one unit, without tax, rounded.
    pub(super) price: Decimal,
    /// Of one unit, with tax, rounded.
    pub(super) price_with_tax: Decimal,
    pub(super) row_total: Decimal,
    pub(super) tax: Decimal,
    pub(super) hidden_tax: Decimal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Remainder {
    before_discount: bool,
    includes_tax: bool,
    rate: Decimal,
    row: Option<usize>,
}

/// One run over a cart.
#[derive(Debug)]
pub(super) struct TaxRun<'a> {
    settings: &'a TaxSettings,
    remainders: HashMap<Remainder, Decimal>,
}

impl<'a> TaxRun<'a> {
    pub(super) fn new(settings: &'a TaxSettings) -> Self {
        Self { settings, remainders: HashMap::new() }
    }

    pub(super) fn tax(&mut self, taxable: &Taxable) -> Taxed {
        match (self.settings.algorithm, taxable.includes_tax) {
            (TaxAlgorithm::Unit, true) => self.unit_with_tax(taxable),
            (TaxAlgorithm::Unit, false) => self.unit_without_tax(taxable),
            (_, true) => self.row_with_tax(taxable),
            (_, false) => self.row_without_tax(taxable),
        }
    }

    fn row_without_tax(&mut self, taxable: &Taxable) -> Taxed {
        let row_total = taxable.unit_price * taxable.quantity;
        let before = self.round(taxable, true, row_total * taxable.rate);
        let tax = if self.settings.tax_after_discount {
            self.round(taxable, false, (row_total - taxable.discount).max(Decimal::ZERO) * taxable.rate)
        } else {
            before
        };
        Taxed {
            price: taxable.unit_price,
            price_with_tax: rounded(per_unit(row_total + before, taxable.quantity)),
            row_total,
            tax,
            hidden_tax: Decimal::ZERO,
        }
    }

    fn row_with_tax(&mut self, taxable: &Taxable) -> Taxed {
        let with_tax = taxable.unit_price * taxable.quantity;
        let before = self.round(taxable, true, with_tax * inside(taxable.rate));
        let row_total = with_tax - before;
        let tax = if self.settings.tax_after_discount {
            self.round(taxable, false, (with_tax - taxable.discount).max(Decimal::ZERO) * inside(taxable.rate))
        } else {
            before
        };
        Taxed {
            price: rounded(per_unit(row_total, taxable.quantity)),
            price_with_tax: taxable.unit_price,
            row_total,
            tax,
            hidden_tax: before - tax,
        }
    }

    fn unit_without_tax(&mut self, taxable: &Taxable) -> Taxed {
        let before = self.round(taxable, true, taxable.unit_price * taxable.rate);
        let tax = if self.settings.tax_after_discount {
            let left = taxable.unit_price - per_unit(taxable.discount, taxable.quantity);
            self.round(taxable, false, left.max(Decimal::ZERO) * taxable.rate)
        } else {
            before
        };
        Taxed {
            price: taxable.unit_price,
            price_with_tax: rounded(taxable.unit_price + before),
            row_total: taxable.unit_price * taxable.quantity,
            tax: tax * taxable.quantity,
            hidden_tax: Decimal::ZERO,
        }
    }

    fn unit_with_tax(&mut self, taxable: &Taxable) -> Taxed {
        let before = self.round(taxable, true, taxable.unit_price * inside(taxable.rate));
        let price = taxable.unit_price - before;
        let tax = if self.settings.tax_after_discount {
            let left = taxable.unit_price - per_unit(taxable.discount, taxable.quantity);
            self.round(taxable, false, left.max(Decimal::ZERO) * inside(taxable.rate))
        } else {
            before
        };
        Taxed {
            price,
            price_with_tax: taxable.unit_price,
            row_total: price * taxable.quantity,
            tax: tax * taxable.quantity,
            hidden_tax: (before - tax) * taxable.quantity,
        }
    }

    /// Rounds with the remainder of this rate and direction; it starts a hair above nothing.
    fn round(&mut self, taxable: &Taxable, before_discount: bool, figure: Decimal) -> Decimal {
        if figure.is_zero() {
            return figure;
        }
        let shared = self.settings.algorithm == TaxAlgorithm::Total;
        let remainder = self
            .remainders
            .entry(Remainder {
                before_discount: before_discount && self.settings.tax_after_discount,
                includes_tax: taxable.includes_tax,
                rate: taxable.rate.normalize(),
                row: if shared { None } else { taxable.row },
            })
            .or_insert_with(|| Decimal::new(1, 6));
        let exact = figure + *remainder;
        let result = rounded(exact);
        *remainder = exact - result;
        result
    }
}

/// The part of a price including tax that is tax.
pub(super) fn inside(rate: Decimal) -> Decimal {
    rate / (Decimal::ONE + rate)
}

fn per_unit(figure: Decimal, quantity: Decimal) -> Decimal {
    figure.checked_div(quantity).unwrap_or(Decimal::ZERO)
}
