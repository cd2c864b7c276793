//! Credit memos: the invoices' arithmetic against what was invoiced and not yet refunded.

use std::collections::BTreeMap;

use anyhow::bail;
use rust_decimal::Decimal;

use super::part::{Part, count};
use super::{DocumentMoney, DocumentRow, OrderRow, Totals, rounded};

/// What is to be refunded.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoRequest {
    /// Pieces of which item; an item not named is not refunded. None means all that is left.
    pub(crate) quantities: Option<BTreeMap<usize, Decimal>>,
    /// Pieces of which row there are at most: those of the invoice whose page the memo is made on.
    pub(crate) at_most: Option<BTreeMap<usize, Decimal>>,
    /// Shipping without tax; none means all that is left.
    pub(crate) shipping: Option<Decimal>,
    pub(crate) adjustment_positive: Decimal,
    pub(crate) adjustment_negative: Decimal,
    /// A memo of nothing is taken too.
    pub(crate) zero_allowed: bool,
}

/// Counts a credit memo; `refunded` are the totals of the order's earlier memos. The rows' counters move.
pub(crate) fn memo(
    rows: &mut [OrderRow],
    order: &Totals,
    refunded: &Totals,
    request: &MemoRequest,
) -> anyhow::Result<DocumentMoney> {
    let mut parts = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let left_quantity = row.invoiced_quantity - row.refunded_quantity;
        let at_most = request.at_most.as_ref().map(|map| map.get(&index).copied().unwrap_or_default());
        let allowed = at_most.map_or(left_quantity, |at_most| at_most.min(left_quantity));
        let quantity = match &request.quantities {
            None => allowed,
            Some(map) => map.get(&row.item).map_or(Decimal::ZERO, |pieces| *pieces * row.per_item),
        };
        if quantity < Decimal::ZERO || quantity > allowed {
            bail!("{} of {} are left to refund, not {quantity}", allowed.normalize(), row.sku);
        }
        let left = row.invoiced - row.refunded;
        parts.push(Part { left, left_quantity, quantity, carries_money: row.carries_money });
    }
    let counted = count(&parts);

    let mut totals = Totals::default();
    for money in &counted {
        totals.subtotal += money.row_total;
        totals.discount += money.discount;
        totals.tax += money.tax;
        totals.hidden_tax += money.hidden_tax;
    }
    let left_shipping = order.shipping - refunded.shipping;
    let shipping = request.shipping.unwrap_or(left_shipping);
    if shipping < Decimal::ZERO || shipping > left_shipping {
        bail!("{left_shipping} of the shipping are left to refund, not {shipping}");
    }
    if !shipping.is_zero() {
        let ratio = shipping.checked_div(order.shipping).unwrap_or(Decimal::ZERO);
        let is_rest = shipping == left_shipping;
        totals.shipping = shipping;
        totals.shipping_tax =
            if is_rest { order.shipping_tax - refunded.shipping_tax } else { rounded(order.shipping_tax * ratio) };
        totals.shipping_hidden_tax = if is_rest {
            order.shipping_hidden_tax - refunded.shipping_hidden_tax
        } else {
            rounded(order.shipping_hidden_tax * ratio)
        };
        // This one is never rounded, so that memos may have a grand total with three or four decimals.
        totals.shipping_discount = order.shipping_discount * ratio;
    }
    totals.tax += totals.shipping_tax;
    totals.discount += totals.shipping_discount;
    totals.grand_total = totals.subtotal - totals.discount
        + totals.shipping
        + totals.tax
        + totals.hidden_tax
        + totals.shipping_hidden_tax
        + request.adjustment_positive
        - request.adjustment_negative;
    if totals.grand_total < Decimal::ZERO || totals.grand_total.is_zero() && !request.zero_allowed {
        bail!("a memo of {} is refused", totals.grand_total);
    }

    let mut document = Vec::new();
    for (index, ((row, part), money)) in rows.iter_mut().zip(&parts).zip(counted).enumerate() {
        row.refunded_quantity += part.quantity;
        row.refunded += money;
        if !part.quantity.is_zero() {
            document.push(DocumentRow { row: index, quantity: part.quantity, money: money.stored() });
        }
    }
    Ok(DocumentMoney { rows: document, totals: totals.stored() })
}
