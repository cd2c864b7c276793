//! Magento's arithmetic: what a cart costs, and what its invoices and credit memos say.
//!
//! An independent restatement of the collectors' formulas, in decimals. Everything is rounded half away from zero to two
//! places whatever the currency; figures are stored with four.

mod invoice;
mod memo;
mod order;
mod part;
mod tax;

#[cfg(test)]
mod golden;

use std::ops::{AddAssign, Sub, SubAssign};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::amount;

pub(crate) use invoice::{Earlier, invoice};
pub(crate) use memo::{MemoRequest, memo};
pub(crate) use order::{Cart, CartRow, Reduction, collect};

/// At which level tax is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxAlgorithm {
    /// Per row, with one carried remainder per rate across the whole cart and shipping. Magento's default.
    #[default]
    Total,
    /// Per row.
    Row,
    /// Per unit.
    Unit,
}

/// How a website's prices and taxes are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaxSettings {
    /// Where tax is rounded.
    pub algorithm: TaxAlgorithm,
    /// Catalogue prices include tax.
    pub prices_include_tax: bool,
    /// Shipping prices include tax.
    pub shipping_includes_tax: bool,
    /// Percentages are taken from prices including tax.
    pub discount_on_price_including_tax: bool,
    /// Tax is charged on what is left after the discount (the default).
    pub tax_after_discount: bool,
}

impl Default for TaxSettings {
    fn default() -> Self {
        Self {
            algorithm: TaxAlgorithm::Total,
            prices_include_tax: false,
            shipping_includes_tax: false,
            discount_on_price_including_tax: false,
            tax_after_discount: true,
        }
    }
}

/// The four figures of a row that add up: the buyer pays row + tax + hidden tax − discount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowMoney {
    pub(crate) row_total: Decimal,
    pub(crate) tax: Decimal,
    /// Positive.
    pub(crate) discount: Decimal,
    /// Tax that disappears with a discount on a price including tax.
    pub(crate) hidden_tax: Decimal,
}

impl RowMoney {
    fn stored(self) -> Self {
        Self {
            row_total: stored(self.row_total),
            tax: stored(self.tax),
            discount: stored(self.discount),
            hidden_tax: stored(self.hidden_tax),
        }
    }
}

impl Sub for RowMoney {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            row_total: self.row_total - other.row_total,
            tax: self.tax - other.tax,
            discount: self.discount - other.discount,
            hidden_tax: self.hidden_tax - other.hidden_tax,
        }
    }
}

impl AddAssign for RowMoney {
    fn add_assign(&mut self, other: Self) {
        self.row_total += other.row_total;
        self.tax += other.tax;
        self.discount += other.discount;
        self.hidden_tax += other.hidden_tax;
    }
}

impl SubAssign for RowMoney {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// A row of an order, with what became of it.
#[derive(Clone, Debug)]
pub(crate) struct OrderRow {
    pub(crate) sku: String,
    pub(crate) name: String,
    /// Which item of the order it belongs to: a kit and its parts share one.
    pub(crate) item: usize,
    /// How many of it one piece of the item holds.
    pub(crate) per_item: Decimal,
    /// Whether it carries money; parents and children of composite products may not.
    pub(crate) carries_money: bool,
    pub(crate) quantity: Decimal,
    pub(crate) price: Decimal,
    pub(crate) money: RowMoney,
    pub(crate) invoiced_quantity: Decimal,
    pub(crate) invoiced: RowMoney,
    pub(crate) refunded_quantity: Decimal,
    pub(crate) refunded: RowMoney,
}

/// The totals of an order or of a document made from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) subtotal: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) shipping: Decimal,
    pub(crate) shipping_tax: Decimal,
    pub(crate) shipping_discount: Decimal,
    pub(crate) shipping_hidden_tax: Decimal,
    /// Positive, shipping's part included.
    pub(crate) discount: Decimal,
    /// Of the rows alone.
    pub(crate) hidden_tax: Decimal,
    pub(crate) grand_total: Decimal,
}

impl Totals {
    fn stored(self) -> Self {
        Self {
            subtotal: stored(self.subtotal),
            tax: stored(self.tax),
            shipping: stored(self.shipping),
            shipping_tax: stored(self.shipping_tax),
            shipping_discount: stored(self.shipping_discount),
            shipping_hidden_tax: stored(self.shipping_hidden_tax),
            discount: stored(self.discount),
            hidden_tax: stored(self.hidden_tax),
            grand_total: stored(self.grand_total),
        }
    }
}

/// A row of an invoice or of a credit memo.
#[derive(Clone, Debug)]
pub(crate) struct DocumentRow {
    /// Which row of the order.
    pub(crate) row: usize,
    pub(crate) quantity: Decimal,
    pub(crate) money: RowMoney,
}

/// An invoice or a credit memo.
#[derive(Clone, Debug)]
pub(crate) struct DocumentMoney {
    pub(crate) rows: Vec<DocumentRow>,
    pub(crate) totals: Totals,
}

/// Rounds half away from zero to two places, as Magento does for every currency.
pub(crate) fn rounded(figure: Decimal) -> Decimal {
    amount::round(figure, 2)
}

/// Rounds to what a column of the database holds.
pub(crate) fn stored(figure: Decimal) -> Decimal {
    amount::round(figure, 4)
}

/// Rounding with one remainder carried from figure to figure.
#[derive(Clone, Copy, Debug, Default)]
struct Carry(Decimal);

impl Carry {
    fn round(&mut self, figure: Decimal) -> Decimal {
        if figure.is_zero() {
            return figure;
        }
        let exact = figure + self.0;
        let result = rounded(exact);
        self.0 = exact - result;
        result
    }

    /// For figures that are subtracted in the end: the remainder counts the other way round.
    fn round_subtracted(&mut self, figure: Decimal) -> Decimal {
        if figure.is_zero() {
            return figure;
        }
        self.0 = -self.0;
        let result = self.round(figure);
        self.0 = -self.0;
        result
    }
}
