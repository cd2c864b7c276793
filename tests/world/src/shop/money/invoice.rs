//! Invoices of an order: whole or in parts.

use std::collections::BTreeMap;

use anyhow::bail;
use rust_decimal::Decimal;

use super::part::{Part, count};
use super::{DocumentMoney, DocumentRow, OrderRow, Totals};

/// What earlier invoices of the order took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Earlier {
    /// The totals of all earlier invoices that weren't cancelled.
    pub(crate) totals: Totals,
    /// An earlier invoice, cancelled or not, has a discount.
    pub(crate) had_discount: bool,
    /// An earlier invoice that wasn't cancelled has taken the shipping.
    pub(crate) had_shipping: bool,
}

/// Counts an invoice. `quantities` says how many pieces of which item; an item not named, and no map at all, means the
/// rest of it. The rows' counters move.
pub(crate) fn invoice(
    rows: &mut [OrderRow],
    order: &Totals,
    earlier: &Earlier,
    quantities: Option<&BTreeMap<usize, Decimal>>,
) -> anyhow::Result<DocumentMoney> {
    let mut taken = Vec::new();
    for row in rows.iter() {
        let left = row.quantity - row.invoiced_quantity;
        let wanted = match quantities.and_then(|map| map.get(&row.item)) {
            Some(pieces) => *pieces * row.per_item,
            None if quantities.is_some() => Decimal::ZERO,
            None => left,
        };
        if wanted < Decimal::ZERO || wanted > left {
            bail!("{} of {} are left to invoice, not {wanted}", left.normalize(), row.sku);
        }
        taken.push(wanted);
    }
    if taken.iter().all(Decimal::is_zero) {
        bail!("nothing is left to invoice");
    }
    let is_last = rows
        .iter()
        .zip(&taken)
        .all(|(row, quantity)| !row.carries_money || row.quantity - row.invoiced_quantity == *quantity);
    let parts: Vec<Part> = rows
        .iter()
        .zip(&taken)
        .map(|(row, quantity)| Part {
            left: row.money - row.invoiced,
            left_quantity: row.quantity - row.invoiced_quantity,
            quantity: *quantity,
            carries_money: row.carries_money,
        })
        .collect();
    let counted = count(&parts);

    let mut totals = Totals::default();
    for money in &counted {
        totals.subtotal += money.row_total;
        totals.discount += money.discount;
        totals.tax += money.tax;
        totals.hidden_tax += money.hidden_tax;
    }
    if !earlier.had_discount {
        totals.discount += order.shipping_discount;
        totals.shipping_discount = order.shipping_discount;
    }
    if !earlier.had_shipping {
        totals.shipping = order.shipping;
        totals.shipping_tax = order.shipping_tax;
        totals.shipping_hidden_tax = order.shipping_hidden_tax;
        totals.tax += order.shipping_tax;
    }
    let allowed_subtotal = order.subtotal - earlier.totals.subtotal;
    let allowed_tax = order.tax - earlier.totals.tax;
    let allowed_hidden = order.hidden_tax - earlier.totals.hidden_tax;
    if is_last {
        totals.subtotal = allowed_subtotal;
        totals.tax = allowed_tax;
        totals.hidden_tax = allowed_hidden;
    } else {
        totals.subtotal = totals.subtotal.min(allowed_subtotal);
        totals.tax = totals.tax.min(allowed_tax);
        totals.hidden_tax = totals.hidden_tax.min(allowed_hidden);
    }
    totals.grand_total = totals.subtotal - totals.discount
        + totals.shipping
        + totals.tax
        + totals.hidden_tax
        + totals.shipping_hidden_tax;
    if totals.grand_total.abs() < Decimal::new(1, 4) {
        totals.grand_total = Decimal::ZERO;
    }

    let mut document = Vec::new();
    for (index, ((row, quantity), money)) in rows.iter_mut().zip(&taken).zip(counted).enumerate() {
        row.invoiced_quantity += *quantity;
        row.invoiced += money;
        if !quantity.is_zero() {
            document.push(DocumentRow { row: index, quantity: *quantity, money: money.stored() });
        }
    }
    Ok(DocumentMoney { rows: document, totals: totals.stored() })
}
