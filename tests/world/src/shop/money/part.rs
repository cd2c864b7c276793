//! What a document takes of each row of its order: the same for invoices and credit memos.

use rust_decimal::Decimal;

use super::{Carry, RowMoney};

/// What a document takes of a row.
pub(super) struct Part {
    /// What earlier documents have left of the row's figures.
    pub(super) left: RowMoney,
    /// The same of its pieces.
    pub(super) left_quantity: Decimal,
    /// The pieces that are taken.
    pub(super) quantity: Decimal,
    pub(super) carries_money: bool,
}

impl Part {
    /// The rest of a figure for the last pieces, else a rounded share of it.
    fn figure(&self, left: Decimal, round: impl FnOnce(Decimal) -> Decimal) -> Decimal {
        if !self.carries_money || self.quantity.is_zero() {
            Decimal::ZERO
        } else if self.quantity == self.left_quantity {
            left
        } else {
            round(left.checked_div(self.left_quantity).unwrap_or(Decimal::ZERO) * self.quantity)
        }
    }
}

/// The rows' figures. One remainder runs through all row totals, then all discounts, then taxes item by item.
pub(super) fn count(parts: &[Part]) -> Vec<RowMoney> {
    let mut carry = Carry::default();
    let mut counted = vec![RowMoney::default(); parts.len()];
    for (money, part) in counted.iter_mut().zip(parts) {
        money.row_total = part.figure(part.left.row_total, |figure| carry.round(figure));
    }
    for (money, part) in counted.iter_mut().zip(parts) {
        money.discount = part.figure(part.left.discount, |figure| carry.round_subtracted(figure));
    }
    for (money, part) in counted.iter_mut().zip(parts) {
        money.tax = part.figure(part.left.tax, |figure| carry.round(figure));
        money.hidden_tax = part.figure(part.left.hidden_tax, |figure| carry.round(figure));
    }
    counted
}
