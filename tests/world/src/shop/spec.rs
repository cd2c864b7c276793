//! What tests and demo say to the shop: websites, customers, orders, invoices, memos, products, faults.
//!
//! Every type is the JSON of the control API too; what is left out has the default named here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::money::TaxSettings;
use crate::amount::Amount;

/// A website with its stores and its ways with tax and currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebsiteSpec {
    /// The website's number.
    pub id: i64,
    /// Its base currency.
    pub base_currency: String,
    /// Its stores; the first is the default.
    pub stores: Vec<i64>,
    /// Further currencies customers may pay in: units of them for one unit of base currency.
    #[serde(default)]
    pub rates: BTreeMap<String, Amount>,
    /// Prices with or without tax, and how tax is rounded.
    #[serde(default)]
    pub tax: TaxSettings,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Address {
    /// Street lines.
    pub street: Vec<String>,
    /// Town.
    pub city: String,
    /// County or state.
    pub region: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
    /// Two letters.
    pub country_id: String,
    /// Telephone.
    pub telephone: Option<String>,
    /// Company.
    pub company: Option<String>,
}

impl Address {
    /// An address in Great Britain.
    #[must_use]
    pub fn british(street: &str, city: &str, postcode: &str) -> Self {
        Self {
            street: vec![street.to_owned()],
            city: city.to_owned(),
            postcode: Some(postcode.to_owned()),
            country_id: "GB".to_owned(),
            telephone: Some("+44 20 7946 0958".to_owned()),
            ..Self::default()
        }
    }

    /// The same address of a company.
    #[must_use]
    pub fn of_company(mut self, name: &str) -> Self {
        self.company = Some(name.to_owned());
        self
    }
}

/// A customer account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomerSpec {
    /// E-mail address.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Website the account belongs to; 1 by default.
    pub website_id: i64,
    /// Customer group; 1 by default.
    pub group_id: i64,
    /// Default billing address.
    pub billing: Option<Address>,
    /// Default shipping address.
    pub shipping: Option<Address>,
}

impl Default for CustomerSpec {
    fn default() -> Self {
        Self {
            email: String::new(),
            first_name: String::new(),
            last_name: String::new(),
            website_id: 1,
            group_id: 1,
            billing: None,
            shipping: None,
        }
    }
}

impl CustomerSpec {
    /// An account in website 1 without addresses.
    #[must_use]
    pub fn new(email: &str, first_name: &str, last_name: &str) -> Self {
        Self {
            email: email.to_owned(),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            ..Self::default()
        }
    }

    /// With a default billing address.
    #[must_use]
    pub fn billed_to(mut self, address: Address) -> Self {
        self.billing = Some(address);
        self
    }

    /// With a default shipping address.
    #[must_use]
    pub fn shipped_to(mut self, address: Address) -> Self {
        self.shipping = Some(address);
        self
    }

    /// In another website.
    #[must_use]
    pub fn in_website(mut self, website_id: i64) -> Self {
        self.website_id = website_id;
        self
    }
}

/// A change of a customer account; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomerEdit {
    /// E-mail address.
    pub email: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Default billing address.
    pub billing: Option<Address>,
    /// Default shipping address.
    pub shipping: Option<Address>,
    /// There is no default billing address any more.
    pub drops_billing: bool,
    /// There is no default shipping address any more.
    pub drops_shipping: bool,
}

/// Who buys without an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guest {
    /// E-mail address.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

/// A part of a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartSpec {
    /// Stock keeping unit.
    pub sku: String,
    /// Name.
    pub name: String,
    /// How many in one kit.
    pub quantity: Amount,
    /// Price of one, where the kit's price is the sum of its parts'.
    #[serde(default)]
    pub price: Amount,
}

/// The kind of product an item is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// A plain product.
    #[default]
    Simple,
    /// One of several variants; the item has the variant's SKU and the family's name.
    Configurable {
        /// The variant's own name.
        variant_name: String,
    },
    /// A kit with a price of its own.
    FixedBundle {
        /// Its parts.
        parts: Vec<PartSpec>,
    },
    /// A kit that costs what its parts cost; the item's own price is ignored.
    DynamicBundle {
        /// Its parts.
        parts: Vec<PartSpec>,
    },
}

/// An item of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemSpec {
    /// Stock keeping unit.
    pub sku: String,
    /// Name.
    pub name: String,
    /// How many; may be fractional.
    pub quantity: Amount,
    /// Catalogue price in base currency, with or without tax as the website is set up.
    #[serde(default)]
    pub price: Amount,
    /// The buyer's rate in percent; none by default.
    #[serde(default)]
    pub tax_rate: Amount,
    /// The shop's own rate in percent, where it differs from the buyer's (prices including tax only).
    #[serde(default)]
    pub shop_tax_rate: Option<Amount>,
    /// The kind of product: `"simple"` by default, `{"configurable":{"variant_name":"…"}}`, `{"dynamic_bundle":{"parts":[…]}}`.
    #[serde(default)]
    pub kind: ItemKind,
}

impl ItemSpec {
    /// A plain product without tax.
    #[must_use]
    pub fn simple(sku: &str, name: &str, quantity: impl Into<Amount>, price: impl Into<Amount>) -> Self {
        Self {
            sku: sku.to_owned(),
            name: name.to_owned(),
            quantity: quantity.into(),
            price: price.into(),
            tax_rate: Amount::default(),
            shop_tax_rate: None,
            kind: ItemKind::Simple,
        }
    }

    /// Taxed at that many percent.
    #[must_use]
    pub fn taxed(mut self, percent: impl Into<Amount>) -> Self {
        self.tax_rate = percent.into();
        self
    }

    /// As another kind of product.
    #[must_use]
    pub fn of_kind(mut self, kind: ItemKind) -> Self {
        self.kind = kind;
        self
    }
}

/// A cart rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscountSpec {
    /// That many percent off each item.
    #[serde(default)]
    pub percent: Option<Amount>,
    /// That much off the cart, in base currency.
    #[serde(default)]
    pub fixed: Option<Amount>,
    /// Shipping is reduced too.
    #[serde(default)]
    pub also_shipping: bool,
}

/// An order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderSpec {
    /// The website; 1 if neither it nor a store is named.
    pub website_id: Option<i64>,
    /// The store; the website's first by default.
    pub store_id: Option<i64>,
    /// A registered buyer.
    pub customer_id: Option<i64>,
    /// Or a guest.
    pub guest: Option<Guest>,
    /// Billing address; a registered buyer's own by default.
    pub billing: Option<Address>,
    /// Shipping address; the billing address by default. Nothing is shipped without `shipping_price`.
    pub shipping: Option<Address>,
    /// What is bought.
    pub items: Vec<ItemSpec>,
    /// Shipping price in base currency; without one the order is virtual and has no shipping address.
    pub shipping_price: Option<Amount>,
    /// Shipping's rate in percent.
    pub shipping_tax_rate: Amount,
    /// A cart rule.
    pub discount: Option<DiscountSpec>,
    /// The currency paid in; the website's base currency by default.
    pub currency: Option<String>,
    /// Code of the payment method; `stripe_payments` by default, `free` whenever nothing is to be paid.
    pub payment_method: Option<String>,
    /// The buyer's order number.
    pub po_number: Option<String>,
    /// The gateway's transaction.
    pub transaction_id: Option<String>,
    /// What the gateway left on the payment.
    pub additional_information: BTreeMap<String, Value>,
    /// A number of its own instead of the store's next.
    pub increment_id: Option<String>,
}

impl OrderSpec {
    /// An order of a registered customer.
    #[must_use]
    pub fn for_customer(customer_id: i64) -> Self {
        Self { customer_id: Some(customer_id), ..Self::default() }
    }

    /// An order of a guest who lives at that address.
    #[must_use]
    pub fn for_guest(email: &str, first_name: &str, last_name: &str, address: Address) -> Self {
        let guest =
            Guest { email: email.to_owned(), first_name: first_name.to_owned(), last_name: last_name.to_owned() };
        Self { guest: Some(guest), billing: Some(address), ..Self::default() }
    }

    /// In a website.
    #[must_use]
    pub fn in_website(mut self, website_id: i64) -> Self {
        self.website_id = Some(website_id);
        self
    }

    /// In a store.
    #[must_use]
    pub fn in_store(mut self, store_id: i64) -> Self {
        self.store_id = Some(store_id);
        self
    }

    /// With one more item.
    #[must_use]
    pub fn item(mut self, item: ItemSpec) -> Self {
        self.items.push(item);
        self
    }

    /// Shipped for that price, taxed at that many percent.
    #[must_use]
    pub fn shipping_for(mut self, price: impl Into<Amount>, percent: impl Into<Amount>) -> Self {
        self.shipping_price = Some(price.into());
        self.shipping_tax_rate = percent.into();
        self
    }

    /// That many percent off.
    #[must_use]
    pub fn percent_off(mut self, percent: impl Into<Amount>) -> Self {
        self.discount = Some(DiscountSpec { percent: Some(percent.into()), fixed: None, also_shipping: false });
        self
    }

    /// That much off.
    #[must_use]
    pub fn amount_off(mut self, amount: impl Into<Amount>) -> Self {
        self.discount = Some(DiscountSpec { percent: None, fixed: Some(amount.into()), also_shipping: false });
        self
    }

    /// The discount is taken off shipping too.
    #[must_use]
    pub fn also_off_shipping(mut self) -> Self {
        if let Some(discount) = &mut self.discount {
            discount.also_shipping = true;
        }
        self
    }

    /// Paid in another currency.
    #[must_use]
    pub fn in_currency(mut self, currency: &str) -> Self {
        self.currency = Some(currency.to_owned());
        self
    }

    /// Paid by that method.
    #[must_use]
    pub fn paid_by(mut self, method: &str) -> Self {
        self.payment_method = Some(method.to_owned());
        self
    }

    /// With the buyer's own order number.
    #[must_use]
    pub fn po_number(mut self, number: &str) -> Self {
        self.po_number = Some(number.to_owned());
        self
    }

    /// Billed to that address.
    #[must_use]
    pub fn billed_to(mut self, address: Address) -> Self {
        self.billing = Some(address);
        self
    }

    /// Shipped to that address.
    #[must_use]
    pub fn shipped_to(mut self, address: Address) -> Self {
        self.shipping = Some(address);
        self
    }
}

/// What a gateway is asked to do when the invoice is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// The money is taken: the invoice is paid at once.
    #[default]
    Captured,
    /// It isn't: the invoice is open. Methods without a gateway are paid at once all the same.
    NotCaptured,
}

/// An invoice of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InvoiceSpec {
    /// How many of which SKU (of the order's items, not of their parts); none means all that is left.
    pub quantities: Option<BTreeMap<String, Amount>>,
    /// What the gateway does; none means the method's habit.
    pub capture: Option<Capture>,
    /// A number of its own instead of the store's next.
    pub increment_id: Option<String>,
}

impl InvoiceSpec {
    /// That many of an item, besides those that were named already; what isn't named is left for later.
    #[must_use]
    pub fn only(mut self, sku: &str, quantity: impl Into<Amount>) -> Self {
        self.quantities.get_or_insert_default().insert(sku.to_owned(), quantity.into());
        self
    }

    /// The gateway isn't asked for the money: the invoice stays open.
    #[must_use]
    pub fn not_captured(mut self) -> Self {
        self.capture = Some(Capture::NotCaptured);
        self
    }
}

/// A credit memo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoSpec {
    /// The order it is for.
    pub order_id: i64,
    /// The invoice's page it was made from; none if made from the order's.
    pub invoice_id: Option<i64>,
    /// How many of which SKU; none means all that is left, on an invoice's page no more than that invoice has.
    pub quantities: Option<BTreeMap<String, Amount>>,
    /// Shipping to refund in base currency, without tax; none means all that is left, on an invoice's page no more than
    /// that invoice has.
    pub shipping: Option<Amount>,
    /// Added to what is refunded, in base currency.
    pub adjustment_positive: Amount,
    /// Kept back, in base currency.
    pub adjustment_negative: Amount,
    /// The latest comment.
    pub reason: Option<String>,
    /// The shop is set up to take memos of nothing.
    pub zero_allowed: bool,
    /// An extension refunds more than was paid; the shop's own pages refuse that.
    pub more_than_paid: bool,
}

impl MemoSpec {
    /// From the order's page: all that is left. It will name neither invoice nor order.
    #[must_use]
    pub fn of_order(order_id: i64) -> Self {
        Self { order_id, ..Self::default() }
    }

    /// From an invoice's page: all that is left of that invoice.
    #[must_use]
    pub fn of_invoice(order_id: i64, invoice_id: i64) -> Self {
        Self { order_id, invoice_id: Some(invoice_id), ..Self::default() }
    }

    /// That many of an item, besides those that were named already; what isn't named is not refunded.
    #[must_use]
    pub fn only(mut self, sku: &str, quantity: impl Into<Amount>) -> Self {
        self.quantities.get_or_insert_default().insert(sku.to_owned(), quantity.into());
        self
    }

    /// No item at all.
    #[must_use]
    pub fn no_items(mut self) -> Self {
        self.quantities = Some(BTreeMap::new());
        self
    }

    /// That much of the shipping; `0` for none.
    #[must_use]
    pub fn shipping_of(mut self, amount: impl Into<Amount>) -> Self {
        self.shipping = Some(amount.into());
        self
    }

    /// That much more.
    #[must_use]
    pub fn adding(mut self, amount: impl Into<Amount>) -> Self {
        self.adjustment_positive = amount.into();
        self
    }

    /// That much less.
    #[must_use]
    pub fn keeping(mut self, amount: impl Into<Amount>) -> Self {
        self.adjustment_negative = amount.into();
        self
    }

    /// With a comment.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }
}

/// A product of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductSpec {
    /// The product to change; none makes a new one.
    pub id: Option<i64>,
    /// Stock keeping unit.
    pub sku: String,
    /// Name.
    pub name: String,
    /// `simple`, `virtual`, …
    pub product_type: String,
    /// Price.
    pub price: Option<Amount>,
    /// Special price.
    pub special_price: Option<Amount>,
    /// Cost.
    pub cost: Option<Amount>,
    /// Weight.
    pub weight: Option<Amount>,
    /// Pieces in stock.
    pub stock_quantity: Option<Amount>,
    /// Whether stock is counted.
    pub manage_stock: bool,
    /// Tax class.
    pub tax_class: Option<String>,
    /// Websites it is sold in.
    pub website_ids: Vec<i64>,
}

impl Default for ProductSpec {
    fn default() -> Self {
        Self {
            id: None,
            sku: String::new(),
            name: String::new(),
            product_type: "simple".to_owned(),
            price: None,
            special_price: None,
            cost: None,
            weight: None,
            stock_quantity: None,
            manage_stock: true,
            tax_class: Some("2".to_owned()),
            website_ids: vec![1],
        }
    }
}

/// The types of products a shop knows.
pub const PRODUCT_TYPES: [&str; 6] = ["simple", "virtual", "downloadable", "configurable", "grouped", "bundle"];

impl ProductSpec {
    /// A product of one of the [`PRODUCT_TYPES`]. Composite ones have neither price nor weight nor stock of their own.
    #[must_use]
    pub fn of_type(product_type: &str, sku: &str, name: &str, price: impl Into<Amount>) -> Self {
        let is_composite = ["configurable", "grouped", "bundle"].contains(&product_type);
        Self {
            sku: sku.to_owned(),
            name: name.to_owned(),
            product_type: product_type.to_owned(),
            price: (!is_composite).then(|| price.into()),
            ..Self::default()
        }
    }

    /// A plain product.
    #[must_use]
    pub fn simple(sku: &str, name: &str, price: impl Into<Amount>) -> Self {
        Self::of_type("simple", sku, name, price)
    }

    /// With so many pieces in stock.
    #[must_use]
    pub fn stocked(mut self, quantity: impl Into<Amount>) -> Self {
        self.stock_quantity = Some(quantity.into());
        self
    }

    /// A change of that product.
    #[must_use]
    pub fn with_id(mut self, id: i64) -> Self {
        self.id = Some(id);
        self
    }
}

/// What a REST route does instead of its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ShopFault {
    /// 401, as if the token were no good; it isn't even looked at.
    Unauthorized,
    /// 404, as if the module weren't installed.
    RouteMissing,
    /// 404, as if the entity were gone.
    EntityMissing,
    /// 500 with a page for people.
    ServerError,
    /// 503 with a page for people, as in maintenance.
    Unavailable,
    /// The usual answer, that much later.
    Slow {
        /// How long.
        milliseconds: u64,
    },
    /// The request is read, nothing is done, nothing is said.
    HangUp,
    /// The request is obeyed, nothing is said.
    HangUpAfterwards,
    /// 200 with something that isn't JSON.
    Garbage,
}

/// A fault for the next requests to a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopFaultSpec {
    /// `invoice`, `customer`, `creditmemo`, `payment`, `product`, `ping`, `payment-methods`, `sync-state`, `pair`,
    /// or `*`.
    pub route: String,
    /// For how many requests; 1 by default.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    #[serde(flatten)]
    pub fault: ShopFault,
}

fn once() -> u32 {
    1
}
