//! The shop at work: accounts, orders, invoices, memos, products. Saving one tells the observers.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use serde::Serialize;

use super::money::{self, Cart, CartRow, Earlier, MemoRequest, OrderRow, Reduction, RowMoney, Totals, rounded, stored};
use super::outbox::{self, Event};
use super::spec::{
    Address, Capture, CustomerEdit, CustomerSpec, InvoiceSpec, ItemKind, ItemSpec, MemoSpec, OrderSpec, ProductSpec,
    WebsiteSpec,
};
use super::state::{Customer, Invoice, InvoiceState, Memo, Order, Product, State, Website, next_id};
use crate::amount::{Amount, fraction};

/// An order as it was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlacedOrder {
    /// The order.
    pub id: i64,
    /// Its number.
    pub increment_id: String,
    /// What is to be paid, in the order's currency.
    #[serde(serialize_with = "crate::amount::as_text")]
    pub grand_total: Decimal,
    /// The same in the website's base currency, counted on its own.
    #[serde(serialize_with = "crate::amount::as_text")]
    pub base_grand_total: Decimal,
    /// The order's currency.
    pub currency: String,
}

/// An invoice or a credit memo as the shop's own grids show it, figures in the order's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sale {
    /// `invoice` or `creditmemo`.
    pub entity_type: String,
    /// The entity.
    pub id: i64,
    /// Its number.
    pub increment_id: String,
    /// The order it belongs to.
    pub order_id: i64,
    /// The invoice on whose page a memo was made.
    pub invoice_id: Option<i64>,
    /// The buyer's e-mail address.
    pub email: String,
    /// Code of the order's payment method.
    pub payment_method: String,
    /// `open`, `paid`, `cancelled`; `refunded` for a memo.
    pub state: String,
    /// The order's currency.
    pub currency: String,
    /// What is to be paid, or was given back.
    pub grand_total: String,
    /// The tax in it, hidden tax left out.
    pub tax_amount: String,
    /// What memos made on the invoice's page have given back.
    pub refunded: String,
}

/// Methods without a gateway: their invoices are paid the moment they are made.
const OFFLINE: [&str; 5] = ["free", "checkmo", "banktransfer", "cashondelivery", "purchaseorder"];

/// Payment methods: code, label, active. In the order the shop sorts them.
pub(crate) const PAYMENT_METHODS: [(&str, Option<&str>, bool); 9] = [
    ("free", Some("No Payment Information Required"), true),
    ("checkmo", Some("Check / Money order"), true),
    ("banktransfer", Some("Bank Transfer Payment"), true),
    ("cashondelivery", Some("Cash On Delivery"), false),
    ("purchaseorder", Some("Purchase Order"), true),
    ("trade_credit", Some("Trade credit, 30 days"), true),
    ("stripe_payments", Some("Pay by Card (Stripe)"), true),
    ("paypal_express", Some("PayPal Express Checkout"), true),
    ("braintree", None, false),
];

const TAKEN: &str = "a customer with that e-mail address already exists in an associated website";

pub(crate) fn set_website(state: &mut State, spec: &WebsiteSpec) -> anyhow::Result<()> {
    if spec.stores.is_empty() {
        bail!("a website needs a store");
    }
    let rates = spec
        .rates
        .iter()
        .map(|(code, rate)| Ok((code.clone(), stored(rate.decimal()?))))
        .collect::<anyhow::Result<_>>()?;
    let website =
        Website { base_currency: spec.base_currency.clone(), stores: spec.stores.clone(), rates, tax: spec.tax };
    state.websites.insert(spec.id, website);
    Ok(())
}

pub(crate) fn register(state: &mut State, spec: CustomerSpec, now: i64) -> anyhow::Result<i64> {
    if !spec.email.contains('@') {
        bail!("an account needs an e-mail address");
    }
    if is_taken(state, &spec.email, spec.website_id, None) {
        bail!("{TAKEN}");
    }
    let id = next_id(&state.customers);
    state.customers.insert(id, Customer { account: spec, created_at: now, updated_at: now });
    tell_of_customer(state, id, now);
    Ok(id)
}

/// Whether an account of that website has the address, besides the one that changes.
fn is_taken(state: &State, email: &str, website_id: i64, besides: Option<i64>) -> bool {
    account_of(state, email, website_id).is_some_and(|id| Some(id) != besides)
}

/// The account with that address in a website.
fn account_of(state: &State, email: &str, website_id: i64) -> Option<i64> {
    let has = |customer: &Customer| {
        customer.account.website_id == website_id && customer.account.email.to_lowercase() == email.to_lowercase()
    };
    state.customers.iter().find(|(_, customer)| has(customer)).map(|(id, _)| *id)
}

/// An account as it is from now on: the one with that address in that website, or a new one.
pub(crate) fn save_customer(state: &mut State, spec: CustomerSpec, now: i64) -> anyhow::Result<i64> {
    let Some(id) = account_of(state, &spec.email, spec.website_id) else { return register(state, spec, now) };
    if let Some(customer) = state.customers.get_mut(&id) {
        customer.account = spec;
        customer.updated_at = now;
    }
    tell_of_customer(state, id, now);
    Ok(id)
}

pub(crate) fn edit_customer(state: &mut State, id: i64, edit: CustomerEdit, now: i64) -> anyhow::Result<()> {
    let website_id = state.customers.get(&id).with_context(|| format!("no customer {id}"))?.account.website_id;
    if let Some(email) = &edit.email
        && is_taken(state, email, website_id, Some(id))
    {
        bail!("{TAKEN}");
    }
    let customer = state.customers.get_mut(&id).with_context(|| format!("no customer {id}"))?;
    let account = &mut customer.account;
    if let Some(email) = edit.email {
        account.email = email;
    }
    if let Some(first_name) = edit.first_name {
        account.first_name = first_name;
    }
    if let Some(last_name) = edit.last_name {
        account.last_name = last_name;
    }
    let address = |edited: Option<Address>, dropped: bool, known: Option<Address>| match edited {
        None if dropped => None,
        edited => edited.or(known),
    };
    account.billing = address(edit.billing, edit.drops_billing, account.billing.take());
    account.shipping = address(edit.shipping, edit.drops_shipping, account.shipping.take());
    customer.updated_at = now;
    tell_of_customer(state, id, now);
    Ok(())
}

fn tell_of_customer(state: &mut State, id: i64, now: i64) {
    let website_id = state.customers.get(&id).map_or(0, |customer| customer.account.website_id);
    outbox::publish(
        state,
        &Event { name: "customer.upserted", entity_id: id, website_id, store_id: 0, increment_id: None, paid: None },
        now,
    );
}

pub(crate) fn save_product(state: &mut State, spec: ProductSpec, now: i64) -> i64 {
    let id = spec.id.unwrap_or_else(|| next_id(&state.products));
    let created_at = state.products.get(&id).map_or(now, |product| product.created_at);
    state.products.insert(id, Product { product: ProductSpec { id: Some(id), ..spec }, created_at, updated_at: now });
    tell_of_product(state, id, now);
    id
}

/// Stock is saved apart from the catalogue: the product's own time doesn't move, but the observers are told.
pub(crate) fn save_stock(state: &mut State, id: i64, quantity: Amount, now: i64) -> anyhow::Result<()> {
    let product = state.products.get_mut(&id).with_context(|| format!("no product {id}"))?;
    product.product.stock_quantity = Some(quantity);
    tell_of_product(state, id, now);
    Ok(())
}

fn tell_of_product(state: &mut State, id: i64, now: i64) {
    outbox::publish(
        state,
        &Event { name: "product.upserted", entity_id: id, website_id: 0, store_id: 0, increment_id: None, paid: None },
        now,
    );
}

pub(crate) fn place(state: &mut State, spec: &OrderSpec, now: i64) -> anyhow::Result<PlacedOrder> {
    let store_id = store_of(state, spec)?;
    let (website_id, website) = state.website_of_store(store_id).with_context(|| format!("no store {store_id}"))?;
    let tax = website.tax;
    let currency = spec.currency.clone().unwrap_or_else(|| website.base_currency.clone());
    let rate = if currency == website.base_currency {
        Decimal::ONE
    } else {
        *website.rates.get(&currency).with_context(|| format!("website {website_id} has no rate for {currency}"))?
    };
    let buyer = buyer(state, spec)?;
    let items = spec.items.iter().map(Item::of).collect::<anyhow::Result<Vec<_>>>()?;
    if items.is_empty() {
        bail!("an order needs an item");
    }
    let cart = Cart {
        rows: items.iter().enumerate().flat_map(|(index, item)| item.cart_rows(index)).collect(),
        shipping: spec
            .shipping_price
            .as_ref()
            .map(|price| Ok::<_, anyhow::Error>((price.decimal()?, fraction(spec.shipping_tax_rate.decimal()?))))
            .transpose()?,
        reduction: reduction(spec)?,
        reduces_shipping: spec.discount.as_ref().is_some_and(|discount| discount.also_shipping),
    };
    let collected = money::collect(&tax, &cart, rate);
    let base = money::collect(&tax, &cart, Decimal::ONE);
    let mut counted = collected.rows.into_iter();
    let rows = items.iter().enumerate().flat_map(|(index, item)| item.order_rows(index, &mut counted)).collect();

    let wanted_method = spec.payment_method.clone().unwrap_or_else(|| "stripe_payments".to_owned());
    let payment_method = if collected.totals.grand_total.is_zero() { "free".to_owned() } else { wanted_method };
    if !PAYMENT_METHODS.iter().any(|(code, _, _)| *code == payment_method) {
        bail!("no payment method {payment_method}");
    }
    let id = next_id(&state.orders);
    let increment_id = spec.increment_id.clone().unwrap_or_else(|| state.next_increment("order", store_id));
    let shipped = spec.shipping_price.is_some();
    let order = Order {
        id,
        increment_id: increment_id.clone(),
        store_id,
        customer_id: spec.customer_id,
        email: buyer.email,
        first_name: buyer.first_name,
        last_name: buyer.last_name,
        shipping: if shipped {
            spec.shipping.clone().or(buyer.shipping).or_else(|| buyer.billing.clone())
        } else {
            None
        },
        billing: buyer.billing,
        currency: currency.clone(),
        base_to_order_rate: rate,
        payment_method,
        po_number: spec.po_number.clone(),
        transaction_id: spec.transaction_id.clone(),
        additional_information: spec.additional_information.clone(),
        items: spec.items.iter().map(|item| item.sku.clone()).collect(),
        rows,
        totals: collected.totals,
        base_grand_total: base.totals.grand_total,
        base_shipping: base.totals.shipping,
        created_at: now,
        updated_at: now,
    };
    let placed = PlacedOrder {
        id,
        increment_id,
        grand_total: order.totals.grand_total.normalize(),
        base_grand_total: order.base_grand_total.normalize(),
        currency,
    };
    state.orders.insert(id, order);
    Ok(placed)
}

struct Buyer {
    email: String,
    first_name: String,
    last_name: String,
    billing: Option<Address>,
    shipping: Option<Address>,
}

fn buyer(state: &State, spec: &OrderSpec) -> anyhow::Result<Buyer> {
    match (spec.customer_id, &spec.guest) {
        (Some(id), None) => {
            let account = &state.customers.get(&id).with_context(|| format!("no customer {id}"))?.account;
            Ok(Buyer {
                email: account.email.clone(),
                first_name: account.first_name.clone(),
                last_name: account.last_name.clone(),
                billing: spec.billing.clone().or_else(|| account.billing.clone()),
                shipping: account.shipping.clone(),
            })
        }
        (None, Some(guest)) => Ok(Buyer {
            email: guest.email.clone(),
            first_name: guest.first_name.clone(),
            last_name: guest.last_name.clone(),
            billing: spec.billing.clone(),
            shipping: None,
        }),
        _ => bail!("an order is either a customer's or a guest's"),
    }
}

fn store_of(state: &State, spec: &OrderSpec) -> anyhow::Result<i64> {
    if let Some(store_id) = spec.store_id {
        return Ok(store_id);
    }
    let website_id = spec.website_id.unwrap_or(1);
    state
        .websites
        .get(&website_id)
        .and_then(|website| website.stores.first().copied())
        .with_context(|| format!("no website {website_id}"))
}

fn reduction(spec: &OrderSpec) -> anyhow::Result<Option<Reduction>> {
    let Some(discount) = &spec.discount else { return Ok(None) };
    match (&discount.percent, &discount.fixed) {
        (Some(percent), None) => Ok(Some(Reduction::Percent(fraction(percent.decimal()?)))),
        (None, Some(fixed)) => Ok(Some(Reduction::Fixed(fixed.decimal()?))),
        _ => bail!("a discount is either a percentage or an amount"),
    }
}

/// An item with its figures read.
struct Item<'a> {
    spec: &'a ItemSpec,
    quantity: Decimal,
    price: Decimal,
    rate: Decimal,
    shop_rate: Option<Decimal>,
    parts: Vec<(&'a str, &'a str, Decimal, Decimal)>,
}

impl<'a> Item<'a> {
    fn of(spec: &'a ItemSpec) -> anyhow::Result<Self> {
        let quantity = spec.quantity.decimal()?;
        if quantity <= Decimal::ZERO {
            bail!("{}: the quantity must be positive", spec.sku);
        }
        let parts = match &spec.kind {
            ItemKind::Simple => Vec::new(),
            ItemKind::Configurable { variant_name } => {
                vec![(spec.sku.as_str(), variant_name.as_str(), Decimal::ONE, Decimal::ZERO)]
            }
            ItemKind::FixedBundle { parts } | ItemKind::DynamicBundle { parts } => parts
                .iter()
                .map(|part| {
                    Ok((part.sku.as_str(), part.name.as_str(), part.quantity.decimal()?, part.price.decimal()?))
                })
                .collect::<anyhow::Result<_>>()?,
        };
        Ok(Self {
            spec,
            quantity,
            price: spec.price.decimal()?,
            rate: fraction(spec.tax_rate.decimal()?),
            shop_rate: spec.shop_tax_rate.as_ref().map(Amount::decimal).transpose()?.map(fraction),
            parts,
        })
    }

    fn is_sum_of_parts(&self) -> bool {
        matches!(self.spec.kind, ItemKind::DynamicBundle { .. })
    }

    fn cart_rows(&self, item: usize) -> Vec<CartRow> {
        let row =
            |quantity, base_price| CartRow { item, quantity, base_price, rate: self.rate, shop_rate: self.shop_rate };
        if self.is_sum_of_parts() {
            self.parts.iter().map(|(_, _, quantity, price)| row(*quantity * self.quantity, *price)).collect()
        } else {
            vec![row(self.quantity, self.price)]
        }
    }

    /// The rows of the order: the item's own and its parts', of which one kind carries the money.
    fn order_rows(&self, item: usize, counted: &mut impl Iterator<Item = (Decimal, RowMoney)>) -> Vec<OrderRow> {
        let row =
            |sku: &str, name: &str, per_item: Decimal, carries_money: bool, price: Decimal, money: RowMoney| OrderRow {
                sku: sku.to_owned(),
                name: name.to_owned(),
                item,
                per_item,
                carries_money,
                quantity: per_item * self.quantity,
                price: stored(price),
                money,
                invoiced_quantity: Decimal::ZERO,
                invoiced: RowMoney::default(),
                refunded_quantity: Decimal::ZERO,
                refunded: RowMoney::default(),
            };
        let mut rows = Vec::new();
        if self.is_sum_of_parts() {
            let mut price = Decimal::ZERO;
            for (sku, name, quantity, _) in &self.parts {
                let (part_price, money) = counted.next().unwrap_or_default();
                price += part_price * *quantity;
                rows.push(row(sku, name, *quantity, true, part_price, money));
            }
            rows.insert(
                0,
                row(&self.spec.sku, &self.spec.name, Decimal::ONE, false, rounded(price), RowMoney::default()),
            );
        } else {
            let (price, money) = counted.next().unwrap_or_default();
            rows.push(row(&self.spec.sku, &self.spec.name, Decimal::ONE, true, price, money));
            for (sku, name, quantity, _) in &self.parts {
                rows.push(row(sku, name, *quantity, false, Decimal::ZERO, RowMoney::default()));
            }
        }
        rows
    }
}

fn by_item(order: &Order, quantities: &BTreeMap<String, Amount>) -> anyhow::Result<BTreeMap<usize, Decimal>> {
    quantities
        .iter()
        .map(|(sku, quantity)| {
            let item = order
                .items
                .iter()
                .position(|item| item == sku)
                .with_context(|| format!("{sku} is not in the order"))?;
            Ok((item, quantity.decimal()?))
        })
        .collect()
}

pub(crate) fn invoice(state: &mut State, order_id: i64, spec: &InvoiceSpec, now: i64) -> anyhow::Result<i64> {
    let order = state.orders.get(&order_id).with_context(|| format!("no order {order_id}"))?;
    let store_id = order.store_id;
    let quantities = spec.quantities.as_ref().map(|map| by_item(order, map)).transpose()?;
    let earlier = earlier(state, order_id);
    let order = state.orders.get_mut(&order_id).with_context(|| format!("no order {order_id}"))?;
    let money = money::invoice(&mut order.rows, &order.totals, &earlier, quantities.as_ref())?;
    order.updated_at = now;
    let offline = OFFLINE.contains(&order.payment_method.as_str());
    let habit = if order.payment_method == "trade_credit" { Capture::NotCaptured } else { Capture::Captured };
    let paid = offline || spec.capture.unwrap_or(habit) == Capture::Captured;
    let id = next_id(&state.invoices);
    let increment_id = spec.increment_id.clone().unwrap_or_else(|| state.next_increment("invoice", store_id));
    let invoice_state = if paid { InvoiceState::Paid } else { InvoiceState::Open };
    state.invoices.insert(id, Invoice { id, increment_id, order_id, state: invoice_state, money, created_at: now });
    tell_of_invoice(state, id, "invoice.created", now);
    if paid {
        tell_of_invoice(state, id, "invoice.paid", now);
    }
    Ok(id)
}

fn earlier(state: &State, order_id: i64) -> Earlier {
    let mut earlier = Earlier::default();
    for invoice in state.invoices.values().filter(|invoice| invoice.order_id == order_id) {
        let totals = &invoice.money.totals;
        earlier.had_discount |= !totals.discount.is_zero();
        if invoice.state != InvoiceState::Cancelled {
            earlier.had_shipping = true;
            earlier.totals.subtotal += totals.subtotal;
            earlier.totals.tax += totals.tax;
            earlier.totals.hidden_tax += totals.hidden_tax;
        }
    }
    earlier
}

fn tell_of_invoice(state: &mut State, id: i64, name: &'static str, now: i64) {
    let Some(invoice) = state.invoices.get(&id) else { return };
    let store_id = state.orders.get(&invoice.order_id).map_or(0, |order| order.store_id);
    let website_id = state.website_of_store(store_id).map_or(0, |(id, _)| id);
    let paid = (name == "invoice.created").then_some(invoice.state == InvoiceState::Paid);
    let increment_id = Some(invoice.increment_id.clone());
    outbox::publish(state, &Event { name, entity_id: id, website_id, store_id, increment_id, paid }, now);
}

/// The money has come; an invoice that is paid already stays as it is, and nothing is told.
pub(crate) fn pay(state: &mut State, id: i64, now: i64) -> anyhow::Result<()> {
    let invoice = state.invoices.get_mut(&id).with_context(|| format!("no invoice {id}"))?;
    match invoice.state {
        InvoiceState::Cancelled => bail!("invoice {id} is cancelled"),
        InvoiceState::Paid => {}
        InvoiceState::Open => {
            invoice.state = InvoiceState::Paid;
            tell_of_invoice(state, id, "invoice.paid", now);
        }
    }
    Ok(())
}

/// Only an open invoice can be cancelled; nobody is told.
pub(crate) fn cancel(state: &mut State, id: i64) -> anyhow::Result<()> {
    let invoice = state.invoices.get_mut(&id).with_context(|| format!("no invoice {id}"))?;
    if invoice.state != InvoiceState::Open {
        bail!("invoice {id} is not open");
    }
    invoice.state = InvoiceState::Cancelled;
    let taken = invoice.money.rows.clone();
    if let Some(order) = state.orders.get_mut(&invoice.order_id) {
        for document in taken {
            if let Some(row) = order.rows.get_mut(document.row) {
                row.invoiced_quantity -= document.quantity;
                row.invoiced -= document.money;
            }
        }
    }
    Ok(())
}

pub(crate) fn refund(state: &mut State, spec: &MemoSpec, now: i64) -> anyhow::Result<i64> {
    let order_id = spec.order_id;
    let page = match spec.invoice_id {
        None => None,
        Some(id) => {
            let invoice = state.invoices.get(&id).filter(|invoice| invoice.order_id == order_id);
            Some(invoice.with_context(|| format!("order {order_id} has no invoice {id}"))?)
        }
    };
    let mut refunded = Totals::default();
    for memo in state.memos.values().filter(|memo| memo.order_id == order_id) {
        refunded.shipping += memo.money.totals.shipping;
        refunded.shipping_tax += memo.money.totals.shipping_tax;
        refunded.shipping_hidden_tax += memo.money.totals.shipping_hidden_tax;
        refunded.grand_total += memo.money.totals.grand_total;
    }
    let paid: Decimal = state
        .invoices
        .values()
        .filter(|invoice| invoice.order_id == order_id && invoice.state == InvoiceState::Paid)
        .map(|invoice| invoice.money.totals.grand_total)
        .sum();
    let order = state.orders.get(&order_id).with_context(|| format!("no order {order_id}"))?;
    let rate = order.base_to_order_rate;
    // Adjustments are typed in base currency, and rounded before and after they are converted.
    let converted = |amount: &Amount| anyhow::Ok(rounded(rounded(amount.decimal()?) * rate));
    let request = MemoRequest {
        quantities: spec.quantities.as_ref().map(|map| by_item(order, map)).transpose()?,
        at_most: page.map(|invoice| left_of(state, invoice)),
        shipping: shipping_asked(order, &refunded, page, spec)?,
        adjustment_positive: converted(&spec.adjustment_positive)?,
        adjustment_negative: converted(&spec.adjustment_negative)?,
        zero_allowed: spec.zero_allowed,
    };
    let mut rows = order.rows.clone();
    let money = money::memo(&mut rows, &order.totals, &refunded, &request)?;
    let left = rounded(paid) - rounded(refunded.grand_total);
    if !spec.more_than_paid && rounded(refunded.grand_total + money.totals.grand_total) > rounded(paid) {
        bail!("the most money available to refund is {left}");
    }
    let store_id = order.store_id;
    if let Some(order) = state.orders.get_mut(&order_id) {
        order.rows = rows;
        order.updated_at = now;
    }
    let id = next_id(&state.memos);
    let increment_id = state.next_increment("creditmemo", store_id);
    let memo = Memo {
        id,
        increment_id,
        order_id,
        invoice_id: spec.invoice_id,
        money,
        adjustment_positive: request.adjustment_positive,
        adjustment_negative: request.adjustment_negative,
        reason: spec.reason.clone(),
        created_at: now,
    };
    state.memos.insert(id, memo);
    tell_of_memo(state, id, now);
    Ok(id)
}

/// Pieces of each row that an invoice has and no memo made on its page has taken.
fn left_of(state: &State, invoice: &Invoice) -> BTreeMap<usize, Decimal> {
    let mut left: BTreeMap<usize, Decimal> =
        invoice.money.rows.iter().map(|document| (document.row, document.quantity)).collect();
    for memo in state.memos.values().filter(|memo| memo.invoice_id == Some(invoice.id)) {
        for document in &memo.money.rows {
            if let Some(quantity) = left.get_mut(&document.row) {
                *quantity -= document.quantity;
            }
        }
    }
    left
}

/// The shipping a memo asks for, in the order's currency; none means all that is left.
fn shipping_asked(
    order: &Order,
    refunded: &Totals,
    page: Option<&Invoice>,
    spec: &MemoSpec,
) -> anyhow::Result<Option<Decimal>> {
    let left = order.totals.shipping - refunded.shipping;
    match (&spec.shipping, page) {
        (Some(asked), _) => {
            let asked = rounded(asked.decimal()?);
            let share = asked.checked_div(order.base_shipping).unwrap_or(Decimal::ZERO);
            if asked > Decimal::ZERO && order.base_shipping.is_zero() {
                bail!("the order has no shipping to refund");
            }
            // The same ratio in the order's currency.
            Ok(Some(rounded(order.totals.shipping * share)))
        }
        (None, Some(invoice)) => Ok(Some(left.min(invoice.money.totals.shipping))),
        (None, None) => Ok(None),
    }
}

/// A comment on a memo saves it, which tells the observers once more.
pub(crate) fn comment(state: &mut State, id: i64, comment: &str, now: i64) -> anyhow::Result<()> {
    state.memos.get_mut(&id).with_context(|| format!("no memo {id}"))?.reason = Some(comment.to_owned());
    tell_of_memo(state, id, now);
    Ok(())
}

fn tell_of_memo(state: &mut State, id: i64, now: i64) {
    let Some(memo) = state.memos.get(&id) else { return };
    let store_id = state.orders.get(&memo.order_id).map_or(0, |order| order.store_id);
    let website_id = state.website_of_store(store_id).map_or(0, |(id, _)| id);
    let increment_id = Some(memo.increment_id.clone());
    outbox::publish(
        state,
        &Event { name: "creditmemo.created", entity_id: id, website_id, store_id, increment_id, paid: None },
        now,
    );
}

/// What the shop has sold and taken back.
pub(crate) fn sales(state: &State) -> Vec<Sale> {
    let text = |figure: Decimal| figure.normalize().to_string();
    let mut sales = Vec::new();
    for invoice in state.invoices.values() {
        let Some(order) = state.orders.get(&invoice.order_id) else { continue };
        let of_it = state.memos.values().filter(|memo| memo.invoice_id == Some(invoice.id));
        sales.push(Sale {
            entity_type: "invoice".to_owned(),
            id: invoice.id,
            increment_id: invoice.increment_id.clone(),
            order_id: invoice.order_id,
            invoice_id: None,
            email: order.email.clone(),
            payment_method: order.payment_method.clone(),
            state: invoice.state.name().to_owned(),
            currency: order.currency.clone(),
            grand_total: text(invoice.money.totals.grand_total),
            tax_amount: text(invoice.money.totals.tax),
            refunded: text(of_it.map(|memo| memo.money.totals.grand_total).sum()),
        });
    }
    for memo in state.memos.values() {
        let Some(order) = state.orders.get(&memo.order_id) else { continue };
        sales.push(Sale {
            entity_type: "creditmemo".to_owned(),
            id: memo.id,
            increment_id: memo.increment_id.clone(),
            order_id: memo.order_id,
            invoice_id: memo.invoice_id,
            email: order.email.clone(),
            payment_method: order.payment_method.clone(),
            state: "refunded".to_owned(),
            currency: order.currency.clone(),
            grand_total: text(memo.money.totals.grand_total),
            tax_amount: text(memo.money.totals.tax),
            refunded: text(Decimal::ZERO),
        });
    }
    sales
}
