//! The documents of the REST interface, key for key as the module builds them.

use rust_decimal::Decimal;
use serde_json::Value;

use super::money::{DocumentMoney, DocumentRow, OrderRow};
use super::php::{Fields, Php};
use super::rest::Refusal;
use super::spec::Address;
use super::state::{Customer, Invoice, Order, State};
use super::trade::PAYMENT_METHODS;
use crate::amount::{Amount, round};
use crate::clock::iso;

/// An entity as the interface shows it.
pub(crate) fn document(state: &State, kind: &str, id: i64) -> Result<Php, Refusal> {
    match kind {
        "invoice" => invoice(state, id),
        "creditmemo" => memo(state, id),
        "payment" => payment(state, id),
        "customer" => customer(state, id),
        "product" => product(state, id),
        _ => Err(Refusal::no_route()),
    }
}

fn text_if(text: Option<&str>) -> Option<Php> {
    text.filter(|text| !text.is_empty()).map(Php::text)
}

fn found_invoice(state: &State, id: i64) -> Result<(&Invoice, &Order), Refusal> {
    if id == 0 {
        return Err(Refusal::new(400, "An ID is needed. Set the ID and try again."));
    }
    let invoice = state.invoices.get(&id).ok_or_else(Refusal::no_entity)?;
    let order = state.orders.get(&invoice.order_id).ok_or_else(Refusal::no_entity)?;
    Ok((invoice, order))
}

fn website_of(state: &State, order: &Order) -> i64 {
    state.website_of_store(order.store_id).map_or(0, |(id, _)| id)
}

fn invoice(state: &State, id: i64) -> Result<Php, Refusal> {
    let (invoice, order) = found_invoice(state, id)?;
    let totals = &invoice.money.totals;
    Ok(Fields::default()
        .put("magento_id", Php::Int(invoice.id))
        .put("increment_id", Php::text(&invoice.increment_id))
        .put("order_id", Php::Int(order.id))
        .put("order_increment_id", Php::text(&order.increment_id))
        .put("website_id", Php::Int(website_of(state, order)))
        .put("store_id", Php::Int(order.store_id))
        .put("currency", Php::text(&order.currency))
        .put("state", Php::text(invoice.state.name()))
        .put("customer", buyer(state, order, true))
        .put("lines", lines(&invoice.money, &order.rows))
        .put("subtotal", Php::money(totals.subtotal))
        .put("tax_amount", Php::money(totals.tax))
        .put("shipping_amount", Php::money(totals.shipping))
        .put("shipping_tax_amount", Php::money(totals.shipping_tax))
        .put("discount_amount", Php::money(-totals.discount))
        .put("grand_total", Php::money(totals.grand_total))
        .put("created_at", Php::Text(iso(invoice.created_at)))
        .put_if("payment_method", text_if(Some(&order.payment_method)))
        .put_if("billing_address", order.billing.as_ref().map(|address| postal(address, "billing")))
        .put_if("shipping_address", order.shipping.as_ref().map(|address| postal(address, "shipping")))
        .put_if("po_number", text_if(order.po_number.as_deref()))
        .put("base_to_order_rate", Php::money(order.base_to_order_rate))
        .object())
}

fn lines(money: &DocumentMoney, rows: &[OrderRow]) -> Php {
    Php::List(money.rows.iter().filter_map(|document| rows.get(document.row).map(|row| line(document, row))).collect())
}

fn line(document: &DocumentRow, row: &OrderRow) -> Php {
    let money = &document.money;
    // The rate is only guessed from the figures, before discount, and only where both are there.
    let rate = (money.row_total > Decimal::ZERO && money.tax > Decimal::ZERO)
        .then(|| Php::money(round(money.tax / money.row_total, 4)));
    Fields::default()
        .put("sku", Php::text(&row.sku))
        .put("name", Php::text(&row.name))
        .put("qty", Php::money(document.quantity))
        .put("unit_price", Php::money(row.price))
        .put("line_subtotal", Php::money(money.row_total))
        .put("line_tax", Php::money(money.tax))
        .put("line_total", Php::sum_of_floats(&[money.row_total, money.tax, -money.discount]))
        .put_if("tax_rate", rate)
        .object()
}

fn postal(address: &Address, kind: &str) -> Php {
    let street = address.street.iter().filter(|line| !line.is_empty()).map(Php::text).collect();
    Fields::default()
        .put("kind", Php::text(kind))
        .put("street", Php::List(street))
        .put("city", Php::text(&address.city))
        .put_if("region", text_if(address.region.as_deref()))
        .put_if("postcode", text_if(address.postcode.as_deref()))
        .put("country_id", Php::text(&address.country_id))
        .put_if("telephone", text_if(address.telephone.as_deref()))
        .object()
}

/// A contact under construction.
struct Contact {
    magento_id: i64,
    email: String,
    first_name: String,
    last_name: String,
    company: Option<String>,
    phone: Option<String>,
    website_id: i64,
    group_id: Option<i64>,
    addresses: Vec<Php>,
    created_at: i64,
    updated_at: i64,
}

impl Contact {
    /// From an account. The company is never known here, and only default addresses are shown.
    fn of_account(id: i64, customer: &Customer) -> Self {
        let account = &customer.account;
        let telephone = |address: &Option<Address>| {
            address.as_ref().and_then(|address| address.telephone.clone()).filter(|number| !number.is_empty())
        };
        Self {
            magento_id: id,
            email: account.email.clone(),
            first_name: account.first_name.clone(),
            last_name: account.last_name.clone(),
            company: None,
            phone: telephone(&account.billing).or_else(|| telephone(&account.shipping)),
            website_id: account.website_id,
            group_id: Some(account.group_id),
            addresses: [(&account.billing, "billing"), (&account.shipping, "shipping")]
                .into_iter()
                .filter_map(|(address, kind)| address.as_ref().map(|address| postal(address, kind)))
                .collect(),
            created_at: customer.created_at,
            updated_at: customer.updated_at,
        }
    }

    /// From an order, for a guest or a customer who is gone.
    fn of_order(order: &Order) -> Self {
        let billing = order.billing.as_ref();
        Self {
            magento_id: 0,
            email: order.email.clone(),
            first_name: order.first_name.clone(),
            last_name: order.last_name.clone(),
            company: billing.and_then(|address| address.company.clone()),
            phone: billing.and_then(|address| address.telephone.clone()),
            website_id: 0,
            group_id: None,
            addresses: [(&order.billing, "billing"), (&order.shipping, "shipping")]
                .into_iter()
                .filter_map(|(address, kind)| address.as_ref().map(|address| postal(address, kind)))
                .collect(),
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }

    /// Fills missing addresses from the order; only if one was missing, company and telephone come along.
    fn completed_from(mut self, order: &Order, customer: &Customer) -> Self {
        let mut added = Vec::new();
        if customer.account.billing.is_none() {
            added.extend(order.billing.as_ref().map(|address| postal(address, "billing")));
        }
        if customer.account.shipping.is_none() {
            added.extend(order.shipping.as_ref().map(|address| postal(address, "shipping")));
        }
        if added.is_empty() {
            return self;
        }
        let billing = order.billing.as_ref();
        self.addresses.extend(added);
        self.company = self.company.or_else(|| billing.and_then(|address| address.company.clone()));
        self.phone = self.phone.or_else(|| billing.and_then(|address| address.telephone.clone()));
        self
    }

    fn object(self) -> Php {
        Fields::default()
            .put("magento_id", Php::Int(self.magento_id))
            .put("email", Php::Text(self.email))
            .put_if("first_name", text_if(Some(&self.first_name)))
            .put_if("last_name", text_if(Some(&self.last_name)))
            .put_if("company", text_if(self.company.as_deref()))
            .put_if("phone", text_if(self.phone.as_deref()))
            .put("website_id", Php::Int(self.website_id))
            .put_if("group_id", self.group_id.map(Php::Int))
            .put("addresses", Php::List(self.addresses))
            .put("created_at", Php::Text(iso(self.created_at)))
            .put("updated_at", Php::Text(iso(self.updated_at)))
            .object()
    }
}

/// The buyer of an order. An invoice fills missing addresses, a credit memo doesn't.
fn buyer(state: &State, order: &Order, complete: bool) -> Php {
    let account = order.customer_id.and_then(|id| state.customers.get(&id).map(|customer| (id, customer)));
    match account {
        Some((id, customer)) if complete => Contact::of_account(id, customer).completed_from(order, customer).object(),
        Some((id, customer)) => Contact::of_account(id, customer).object(),
        None => Contact::of_order(order).object(),
    }
}

fn customer(state: &State, id: i64) -> Result<Php, Refusal> {
    match state.customers.get(&id) {
        Some(customer) => Ok(Contact::of_account(id, customer).object()),
        None => Err(Refusal::new(404, "No such entity with %fieldName = %fieldValue").with(
            Fields::default().put("fieldName", Php::text("customerId")).put("fieldValue", Php::Int(id)).object(),
        )),
    }
}

fn memo(state: &State, id: i64) -> Result<Php, Refusal> {
    if id == 0 {
        return Err(Refusal::new(400, "An ID is needed. Set the ID and try again."));
    }
    let memo = state.memos.get(&id).ok_or_else(Refusal::no_entity)?;
    let order = state.orders.get(&memo.order_id).ok_or_else(Refusal::no_entity)?;
    let parent = memo.invoice_id.and_then(|id| state.invoices.get(&id));
    let totals = &memo.money.totals;
    Ok(Fields::default()
        .put("magento_id", Php::Int(memo.id))
        .put("increment_id", Php::text(&memo.increment_id))
        .put_if("invoice_id", parent.map(|invoice| Php::Int(invoice.id)))
        .put_if("invoice_increment_id", parent.map(|invoice| Php::text(&invoice.increment_id)))
        .put("website_id", Php::Int(website_of(state, order)))
        .put("currency", Php::text(&order.currency))
        .put("customer", buyer(state, order, false))
        .put("lines", lines(&memo.money, &order.rows))
        .put("adjustment_positive", Php::money(memo.adjustment_positive))
        .put("adjustment_negative", Php::money(memo.adjustment_negative))
        .put("grand_total", Php::money(totals.grand_total))
        .put("shipping_amount", Php::money(totals.shipping))
        .put("shipping_tax_amount", Php::money(totals.shipping_tax))
        .put_if("reason", text_if(memo.reason.as_deref()))
        .put("created_at", Php::Text(iso(memo.created_at)))
        .put_if("invoice_created_at", parent.map(|invoice| Php::Text(iso(invoice.created_at))))
        .put("base_to_order_rate", Php::money(order.base_to_order_rate))
        .object())
}

fn payment(state: &State, id: i64) -> Result<Php, Refusal> {
    let (invoice, order) = found_invoice(state, id)?;
    let label =
        PAYMENT_METHODS.iter().find(|(code, _, _)| *code == order.payment_method).and_then(|(_, label, _)| *label);
    // Keys are lost on the way, and what is nested arrives as text.
    let metadata = label.map(Php::text).into_iter().chain(order.additional_information.values().map(flat)).collect();
    Ok(Fields::default()
        .put("magento_id", Php::Int(invoice.id))
        .put("invoice_id", Php::Int(invoice.id))
        .put("invoice_increment_id", Php::text(&invoice.increment_id))
        .put("method", Php::text(&order.payment_method))
        .put("currency", Php::text(&order.currency))
        .put("amount", Php::money(invoice.money.totals.grand_total))
        .put("captured_at", Php::Text(iso(invoice.created_at)))
        .put_if("gateway_txn_id", text_if(order.transaction_id.as_deref()))
        .put("gateway_metadata", Php::List(metadata))
        .object())
}

fn flat(value: &Value) -> Php {
    match value {
        Value::Null => Php::Null,
        Value::Bool(flag) => Php::Bool(*flag),
        Value::Number(number) => number.as_i64().map_or_else(|| Php::Text(number.to_string()), Php::Int),
        Value::String(text) => Php::text(text),
        Value::Array(_) | Value::Object(_) => Php::Text(value.to_string()),
    }
}

fn product(state: &State, id: i64) -> Result<Php, Refusal> {
    let Some(stored) = state.products.get(&id) else {
        return Err(Refusal::new(
            404,
            "The product that was requested doesn't exist. Verify the product and try again.",
        ));
    };
    let product = &stored.product;
    // Columns of the catalogue hold six decimals for prices and four for everything else.
    let figure = |amount: &Option<Amount>, decimals: u32| {
        amount.as_ref().and_then(|amount| amount.decimal().ok()).map(|figure| Php::money(round(figure, decimals)))
    };
    Ok(Fields::default()
        .put("magento_id", Php::Int(id))
        .put("sku", Php::text(&product.sku))
        .put("name", Php::text(&product.name))
        .put("product_type", Php::text(&product.product_type))
        .put_if("price", figure(&product.price, 6))
        .put_if("special_price", figure(&product.special_price, 6))
        .put_if("cost", figure(&product.cost, 6))
        .put_if("weight", figure(&product.weight, 4))
        .put_if("stock_qty", figure(&product.stock_quantity, 4))
        .put("manage_stock", Php::Bool(product.manage_stock))
        .put_if("tax_class", text_if(product.tax_class.as_deref()))
        .put("website_ids", Php::List(product.website_ids.iter().map(|id| Php::Int(*id)).collect()))
        .put("created_at", Php::Text(iso(stored.created_at)))
        .put("updated_at", Php::Text(iso(stored.updated_at)))
        .object())
}

/// All methods, at default scope; a label may be null here, because the list isn't made of objects.
pub(crate) fn payment_methods() -> Php {
    Php::List(
        PAYMENT_METHODS
            .iter()
            .map(|(code, label, active)| {
                Fields::default()
                    .put("code", Php::text(*code))
                    .put("label", label.map_or(Php::Null, Php::text))
                    .put("is_active", Php::Bool(*active))
                    .object()
            })
            .collect(),
    )
}
