//! Credit memos: the invoices' arithmetic against what was invoiced and not yet refunded.

use std::collections::BTreeMap;

use anyhow::bail;
use rust_decimal::Decimal;

use super::{Carry, DocumentMoney, DocumentRow, OrderRow, RowMoney, Totals, rounded};

/// What is to be refunded.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoRequest {
    /// Pieces of which item; an item not named is not refunded. None means all that is left.
    pub(crate) quantities: Option<BTreeMap<usize, Decimal>>,
    /// Shipping without tax; none means all that is left.
    pub(crate) shipping: Option<Decimal>,
    pub(crate) adjustment_positive: Decimal,
    pub(crate) adjustment_negative: Decimal,
}

/// Counts a credit memo; `refunded` are the totals of the order's earlier memos. The rows' counters move.
pub(crate) fn memo(
    rows: &mut [OrderRow],
    order: &Totals,
    refunded: &Totals,
    request: &MemoRequest,
) -> anyhow::Result<DocumentMoney> {
    let mut carry = Carry::default();
    let mut counted = Vec::new();
    for row in rows.iter() {
        let left_quantity = row.invoiced_quantity - row.refunded_quantity;
        let quantity = match &request.quantities {
            None => left_quantity,
            Some(map) => map.get(&row.item).map_or(Decimal::ZERO, |pieces| *pieces * row.per_item),
        };
        if quantity < Decimal::ZERO || quantity > left_quantity {
            bail!("{} of {} are left to refund, not {quantity}", left_quantity.normalize(), row.sku);
        }
        let left = row.invoiced - row.refunded;
        let is_last = quantity == left_quantity;
        let mut share = |figure: Decimal, subtracted: bool| {
            if is_last || !row.carries_money || quantity.is_zero() {
                return if is_last { figure } else { Decimal::ZERO };
            }
            let exact = figure.checked_div(left_quantity).unwrap_or(Decimal::ZERO) * quantity;
            if subtracted { carry.round_subtracted(exact) } else { carry.round(exact) }
        };
        let money = RowMoney {
            row_total: share(left.row_total, false),
            discount: share(left.discount, true),
            tax: share(left.tax, false),
            hidden_tax: share(left.hidden_tax, false),
        };
        counted.push((quantity, if quantity.is_zero() { RowMoney::default() } else { money }));
    }

    let mut totals = Totals::default();
    for (_, money) in &counted {
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
    if totals.grand_total <= Decimal::ZERO {
        bail!("a memo of {} is refused", totals.grand_total);
    }

    let mut document = Vec::new();
    for (index, (row, (quantity, money))) in rows.iter_mut().zip(counted).enumerate() {
        row.refunded_quantity += quantity;
        row.refunded += money;
        if !quantity.is_zero() {
            document.push(DocumentRow { row: index, quantity, money: money.stored() });
        }
    }
    Ok(DocumentMoney { rows: document, totals: totals.stored() })
}
