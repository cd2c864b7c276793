//! Request bodies. The order of the fields is the order of the declarations, so the same document always gives the same
//! bytes; numbers are the exact text of the decimal, never a float's.

use super::text::plain;
use super::{PRICE_PLACES, REFERENCE_LENGTH_MAX};
use crate::Context;
use ledger_domain::amount::{Amount, Currency, round_half_away};
use ledger_domain::code::Code;
use ledger_domain::document::{
    Allocation, CONTACT_CODE_LENGTH, Contact, CreditNote, DocumentLine, DocumentStatus, ExchangeRate, LineRole,
    Payment, Product, Refund, SalesInvoice, StockMovement, Supply, fitted,
};
use ledger_domain::fault::Fault;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

// Limits, in characters (Sage Accounting API reference and its older copies: contacts, addresses, contact persons,
// invoices, products, stock items, contact payments).
const NAME_LENGTH_MAX: usize = 100;
const PERSON_LENGTH_MAX: usize = 50;
const EMAIL_LENGTH_MAX: usize = 100;
const PHONE_LENGTH_MAX: usize = 50;
const ADDRESS_LENGTH_MAX: usize = 50;
const POSTCODE_LENGTH_MAX: usize = 10;
const NOTES_LENGTH_MAX: usize = 2_000;
const DESCRIPTION_LENGTH_MAX: usize = 255;
const PAYMENT_REFERENCE_LENGTH_MAX: usize = 25;
/// Longest code of a stock item.
const STOCK_CODE_LENGTH_MAX: usize = 30;
/// Longest code of a product or a service.
const CODE_LENGTH_MAX: usize = 255;
/// Most days that a contact can be given to pay.
const CREDIT_DAYS_MAX: u32 = 365;
/// Decimal places of an exchange rate (Byte8 module's pages, multi-currency).
const EXCHANGE_RATE_PLACES: u32 = 10;
/// Decimal places of a quantity.
const QUANTITY_PLACES: u32 = 4;
/// Where a GUID without hyphens has its version.
const VERSION_AT: usize = 12;
/// And where its variant.
const VARIANT_AT: usize = 16;
/// Name of the one sales price that we give.
const PRICE_NAME: &str = "Sales Price";

/// Members of the European Union, by ISO 3166-1 code.
const EUROPEAN_UNION: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];
/// Countries whose businesses report what they sell into the European Union by goods and services (Sage Accounting API
/// guides, artefacts after Brexit). A country that is not known is treated as one of them.
const REPORTING: [&str; 2] = ["GB", "IE"];

type Number = Box<RawValue>;

/// A body under its root key.
struct Rooted<'a, T>(&'a str, T);

impl<T: Serialize> Serialize for Rooted<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0, &self.1)])
    }
}

#[derive(Serialize)]
struct ContactBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_id: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_type_ids: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    main_address: Option<AddressBody>,
    main_contact_person: PersonBody,
}

#[derive(Serialize)]
struct AddressBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    address_line_1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_line_2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_type_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

#[derive(Serialize)]
struct PersonBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_person_type_ids: Option<[String; 1]>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    telephone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    is_main_contact: bool,
}

/// Whether a contact's address and person name the type that they are of: the bookkeeping's. Its ids are not documented,
/// so they are left out until they are asked for.
#[derive(Clone, Debug, Default)]
pub(super) enum PlaceTypes {
    /// Left out.
    #[default]
    Absent,
    /// By the word that the reference's examples have.
    Word,
    /// By what the business's own lists have.
    Listed {
        /// The id of an address's type.
        address: String,
        /// The id of a person's type.
        person: String,
    },
}

impl PlaceTypes {
    fn of_address(&self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Word => Some(BOOKKEEPING.to_owned()),
            Self::Listed { address, .. } => Some(address.clone()),
        }
    }

    fn of_person(&self) -> Option<[String; 1]> {
        match self {
            Self::Absent => None,
            Self::Word => Some([BOOKKEEPING.to_owned()]),
            Self::Listed { person, .. } => Some([person.clone()]),
        }
    }
}

/// The type of an address or a person that bills go to.
pub(super) const BOOKKEEPING: &str = "ACCOUNTS";

/// How a contact is written.
#[derive(Clone, Debug, Default)]
pub(super) struct ContactForm {
    /// The variant of our code.
    pub(super) variant: u8,
    /// The types of address and person.
    pub(super) types: PlaceTypes,
}

/// The code of a contact, within the book's limit.
pub(super) fn contact_code(contact: &Contact, variant: u8) -> String {
    fitted(contact.code(variant).trim(), CONTACT_CODE_LENGTH)
}

/// A new contact.
pub(super) fn contact(contact: &Contact, context: &Context, form: &ContactForm) -> Result<String, Fault> {
    let body = ContactBody {
        idempotency_id: idempotency_id(context),
        contact_type_ids: Some(["CUSTOMER"]),
        reference: Some(contact_code(contact, form.variant)),
        credit_days: contact.payment_terms_in_days.map(|days| days.min(CREDIT_DAYS_MAX)),
        currency_id: contact.currency.as_ref().map(|currency| currency.as_str().to_owned()),
        ..contact_core(contact, &form.types)
    };
    json(&Rooted("contact", body))
}

/// What the shop owns of a contact that is there: name, address and person; terms, reference and currency stay.
pub(super) fn contact_update(contact: &Contact, types: &PlaceTypes) -> Result<String, Fault> {
    json(&Rooted("contact", contact_core(contact, types)))
}

fn contact_core(contact: &Contact, types: &PlaceTypes) -> ContactBody {
    let address = contact.address.as_ref().map(|address| {
        let text = |text: &str| plain(text, ADDRESS_LENGTH_MAX);
        let mut street = address.street.iter().filter_map(|line| plain(line, usize::MAX));
        let first = street.next();
        let rest = street.collect::<Vec<_>>().join(", ");
        let country = address.country.trim().to_ascii_uppercase();
        AddressBody {
            address_line_1: first.as_deref().and_then(text),
            address_line_2: text(&rest),
            city: text(&address.city),
            postal_code: address.postcode.as_deref().and_then(|code| plain(code, POSTCODE_LENGTH_MAX)),
            country_id: ledger_domain::country::english_name(&country).is_some().then_some(country),
            address_type_id: types.of_address(),
            region: address.region.as_deref().and_then(text),
        }
    });
    let full_name = format!("{} {}", contact.first_name, contact.last_name);
    let name = name(contact);
    ContactBody {
        idempotency_id: None,
        contact_type_ids: None,
        reference: None,
        credit_days: None,
        currency_id: None,
        main_address: address,
        main_contact_person: PersonBody {
            contact_person_type_ids: types.of_person(),
            name: spoken(&full_name, PERSON_LENGTH_MAX)
                .or_else(|| plain(&name, PERSON_LENGTH_MAX))
                .unwrap_or_else(|| name.clone()),
            telephone: contact.phone.as_deref().and_then(|phone| plain(phone, PHONE_LENGTH_MAX)),
            email: email(contact).map(str::to_owned),
            is_main_contact: true,
        },
        name,
    }
}

/// The address by which the book can know a contact. One that is too long would be another's if it were cut: it is left
/// out, and the contact is known by its code alone.
pub(super) fn email(contact: &Contact) -> Option<&str> {
    let length = contact.email.chars().count();
    (length > 0 && length <= EMAIL_LENGTH_MAX).then_some(contact.email.as_str())
}

/// What the book calls a contact. A name of nothing but signs is refused (Sage's sample repository, issue 30), so the
/// address's local part stands in for it, and our code for that.
fn name(contact: &Contact) -> String {
    let local = contact.email.split('@').next().unwrap_or_default();
    spoken(&contact.name, NAME_LENGTH_MAX).or_else(|| spoken(local, NAME_LENGTH_MAX)).unwrap_or_else(|| contact.code(0))
}

/// A text with a letter or a digit in it.
fn spoken(text: &str, length_max: usize) -> Option<String> {
    plain(text, length_max).filter(|text| text.chars().any(char::is_alphanumeric))
}

#[derive(Serialize)]
struct ProductBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_code: Option<String>,
    description: String,
    sales_ledger_account_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_ledger_account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sales_tax_rate_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_price: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sales_prices: Option<[PriceBody; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sales_rates: Option<[RateBody; 1]>,
}

#[derive(Serialize)]
struct PriceBody {
    price_name: &'static str,
    price: Number,
    price_includes_tax: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_sales_price_type_id: Option<String>,
}

#[derive(Serialize)]
struct RateBody {
    rate_name: &'static str,
    rate: Number,
    rate_includes_tax: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_rate_type_id: Option<String>,
}

/// The three kinds of things that the book sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Goods without stock.
    Product,
    /// A service.
    Service,
    /// Goods with stock.
    Stock,
}

impl Item {
    /// What a product of the shop is.
    pub(super) const fn of(product: &Product) -> Self {
        match (product.stocked, product.supply) {
            (true, _) => Self::Stock,
            (false, Supply::Services) => Self::Service,
            (false, Supply::Goods) => Self::Product,
        }
    }

    /// Path.
    pub(super) const fn collection(self) -> &'static str {
        match self {
            Self::Product => "products",
            Self::Service => "services",
            Self::Stock => "stock_items",
        }
    }

    /// Root key.
    pub(super) const fn root(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Service => "service",
            Self::Stock => "stock_item",
        }
    }

    /// The list of what its prices are called.
    pub(super) const fn price_types(self) -> &'static str {
        match self {
            Self::Product | Self::Stock => "product_sales_price_types",
            Self::Service => "service_rate_types",
        }
    }

    /// A product's code, within the book's limit.
    pub(super) fn code(self, sku: &str) -> String {
        let length_max = if matches!(self, Self::Stock) { STOCK_CODE_LENGTH_MAX } else { CODE_LENGTH_MAX };
        fitted(sku.trim(), length_max)
    }
}

/// How a product's selling price is written.
#[derive(Clone, Debug, Default)]
pub(super) enum Pricing {
    /// By its name alone.
    #[default]
    Named,
    /// By the id of the business's price or rate type: whether one is needed is not documented.
    Typed(String),
    /// Not at all.
    Absent,
}

/// A new product.
pub(super) fn product(product: &Product, item: Item, context: &Context, pricing: &Pricing) -> Result<String, Fault> {
    let purchase = product.purchase_category.as_deref().map(str::trim).filter(|id| !id.is_empty());
    if purchase.is_none() && item != Item::Service {
        return Err(Fault::refused(
            Code::SettingsInvalid,
            "The book wants an account for purchases with each product: set purchase_category.",
        ));
    }
    let body = ProductBody {
        idempotency_id: idempotency_id(context),
        item_code: Some(item.code(&product.sku)),
        ..product_core(product, item, pricing)?
    };
    json(&Rooted(item.root(), body))
}

/// What the shop owns of a product that is there; its code stays.
pub(super) fn product_update(product: &Product, item: Item, pricing: &Pricing) -> Result<String, Fault> {
    json(&Rooted(item.root(), product_core(product, item, pricing)?))
}

fn product_core<'a>(product: &'a Product, item: Item, pricing: &Pricing) -> Result<ProductBody<'a>, Fault> {
    let named = |text: &str| plain(text, DESCRIPTION_LENGTH_MAX);
    let price = product.price.filter(|_| !matches!(pricing, Pricing::Absent));
    let price = price.map(|price| number(round_half_away(price, PRICE_PLACES))).transpose()?;
    let type_id = if let Pricing::Typed(id) = pricing { Some(id.clone()) } else { None };
    let (mut sales_prices, mut sales_rates) = (None, None);
    match (item, price) {
        (_, None) => {}
        (Item::Service, Some(rate)) => {
            let rate_includes_tax = product.price_includes_tax;
            sales_rates =
                Some([RateBody { rate_name: PRICE_NAME, rate, rate_includes_tax, service_rate_type_id: type_id }]);
        }
        (Item::Product | Item::Stock, Some(price)) => {
            let price_includes_tax = product.price_includes_tax;
            sales_prices = Some([PriceBody {
                price_name: PRICE_NAME,
                price,
                price_includes_tax,
                product_sales_price_type_id: type_id,
            }]);
        }
    }
    Ok(ProductBody {
        idempotency_id: None,
        item_code: None,
        description: named(&product.name).or_else(|| named(&product.sku)).unwrap_or_else(|| "-".to_owned()),
        sales_ledger_account_id: &product.category,
        purchase_ledger_account_id: product.purchase_category.as_deref().map(str::trim).filter(|id| !id.is_empty()),
        sales_tax_rate_id: product.tax_code.as_deref(),
        cost_price: product.cost.map(|cost| number(round_half_away(cost, PRICE_PLACES))).transpose()?,
        sales_prices,
        sales_rates,
    })
}

#[derive(Serialize)]
struct MovementBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_id: Option<String>,
    stock_item_id: &'a str,
    date: String,
    quantity: Number,
    cost_price: Number,
    details: String,
    reference: &'a str,
}

/// A change of stock, at a cost that has to be named.
pub(super) fn movement(
    movement: &StockMovement,
    stock_item_id: &str,
    cost: Decimal,
    context: &Context,
) -> Result<String, Fault> {
    let body = MovementBody {
        idempotency_id: idempotency_id(context),
        stock_item_id,
        date: movement.dated_on.to_string(),
        quantity: number(round_half_away(movement.quantity, QUANTITY_PLACES))?,
        cost_price: number(round_half_away(cost, PRICE_PLACES))?,
        details: movement_details(movement),
        reference: &movement.reference,
    };
    json(&Rooted("stock_movement", body))
}

/// The text of a change of stock: by it the book can be asked for it.
pub(super) fn movement_details(movement: &StockMovement) -> String {
    format!("Stock as in the shop, {}", movement.reference)
}

#[derive(Serialize)]
struct ArtefactBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_id: Option<String>,
    contact_id: &'a str,
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_invoice_date: Option<String>,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_net_amount: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_tax_rate_id: Option<&'a str>,
    currency_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange_rate: Option<Number>,
    /// Left out, it is issued as created.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice_lines: Option<Vec<LineBody<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_note_lines: Option<Vec<LineBody<'a>>>,
}

#[derive(Serialize)]
struct LineBody<'a> {
    description: String,
    ledger_account_id: &'a str,
    quantity: Number,
    unit_price: Number,
    tax_rate_id: &'a str,
    /// Always there: it is not computed (Sage Accounting API reference, invoice lines).
    tax_amount: Number,
    unit_price_includes_tax: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    eu_goods_services_type_id: Option<&'static str>,
}

/// A sales invoice. `other_supply` turns round whether its lines say what they supply.
pub(super) fn invoice(invoice: &SalesInvoice, context: &Context, other_supply: bool) -> Result<String, Fault> {
    let due =
        jiff::Span::new().try_days(invoice.payment_terms_in_days).and_then(|days| invoice.dated_on.checked_add(days));
    let due = due.map_err(|_| Fault::refused(Code::SettingsInvalid, "The payment terms lead beyond the calendar."))?;
    let says_supply = into_the_union(invoice.destination.as_deref(), context) != other_supply;
    let (shipping, lines) = lines(&invoice.lines, &invoice.currency, says_supply)?;
    let order_number = invoice.order_number.trim();
    let mut notes = Vec::new();
    if !order_number.is_empty() {
        notes.push(format!("Order {order_number}"));
    }
    if let Some(number) = invoice.purchase_order_number.as_deref().map(str::trim).filter(|number| !number.is_empty()) {
        notes.push(format!("Purchase order {number}"));
    }
    let body = ArtefactBody {
        idempotency_id: idempotency_id(context),
        contact_id: &invoice.contact,
        date: invoice.dated_on.to_string(),
        due_date: Some(due.to_string()),
        original_invoice_date: None,
        reference: reference(&invoice.number),
        notes: plain(&notes.join(", "), NOTES_LENGTH_MAX),
        shipping_net_amount: shipping.as_ref().map(|shipping| number(shipping.net)).transpose()?,
        shipping_tax_rate_id: shipping.as_ref().map(|shipping| shipping.tax_rate_id),
        currency_id: invoice.currency.as_str(),
        exchange_rate: exchange_rate(invoice.exchange_rate)?,
        status_id: status_id(invoice.status),
        invoice_lines: Some(lines),
        credit_note_lines: None,
    };
    json(&Rooted("sales_invoice", body))
}

/// A credit note: positive lines.
pub(super) fn credit_note(note: &CreditNote, context: &Context, other_supply: bool) -> Result<String, Fault> {
    let says_supply = into_the_union(note.destination.as_deref(), context) != other_supply;
    let (shipping, lines) = lines(&note.lines, &note.currency, says_supply)?;
    let invoice = note.invoice.as_ref();
    let body = ArtefactBody {
        idempotency_id: idempotency_id(context),
        contact_id: &note.contact,
        date: note.dated_on.to_string(),
        due_date: None,
        original_invoice_date: invoice.and_then(|invoice| invoice.dated_on).map(|date| date.to_string()),
        reference: reference(&note.number),
        notes: invoice.and_then(|invoice| plain(&format!("Credits invoice {}", invoice.number), NOTES_LENGTH_MAX)),
        shipping_net_amount: shipping.as_ref().map(|shipping| number(shipping.net)).transpose()?,
        shipping_tax_rate_id: shipping.as_ref().map(|shipping| shipping.tax_rate_id),
        currency_id: note.currency.as_str(),
        exchange_rate: exchange_rate(note.exchange_rate)?,
        status_id: status_id(note.status),
        invoice_lines: None,
        credit_note_lines: Some(lines),
    };
    json(&Rooted("sales_credit_note", body))
}

/// Carriage as the book's own field has it.
struct Carriage<'a> {
    net: Decimal,
    tax_rate_id: &'a str,
}

/// The lines, and carriage where it can go into its own field.
fn lines<'a>(
    lines: &'a [DocumentLine],
    currency: &Currency,
    says_supply: bool,
) -> Result<(Option<Carriage<'a>>, Vec<LineBody<'a>>), Fault> {
    let carriage = if says_supply { None } else { carriage(lines, currency) };
    // One document may not mix goods and services for a customer in the European Union: all are what the first is.
    let supply =
        lines.iter().find(|line| line.role == LineRole::Item).or_else(|| lines.first()).map(|line| line.supply);
    let supply = supply.filter(|_| says_supply).map(|supply| match supply {
        Supply::Goods => "GOODS",
        Supply::Services => "SERVICES",
    });
    let mut bodies = Vec::with_capacity(lines.len());
    for line in lines {
        if carriage.is_some() && line.role == LineRole::Shipping {
            continue;
        }
        bodies.push(LineBody {
            description: plain(&line.description, DESCRIPTION_LENGTH_MAX)
                .or_else(|| line.sku.as_deref().and_then(|sku| plain(sku, DESCRIPTION_LENGTH_MAX)))
                .unwrap_or_else(|| "-".to_owned()),
            ledger_account_id: &line.category,
            quantity: number(line.quantity)?,
            unit_price: number(line.unit_price)?,
            tax_rate_id: tax_code(line)?,
            tax_amount: number(line.tax.value())?,
            unit_price_includes_tax: false,
            eu_goods_services_type_id: supply,
        });
    }
    Ok((carriage, bodies))
}

fn tax_code(line: &DocumentLine) -> Result<&str, Fault> {
    line.tax_code.as_deref().filter(|code| !code.is_empty()).ok_or_else(|| {
        let rate = line.tax_rate.normalize();
        Fault::refused(Code::TaxRateUnmapped, format!("No tax rate of the book is mapped for {rate} %."))
    })
}

/// Carriage for the field of its own: that has no account and computes its tax, so only a single charge on the items'
/// account whose tax is what the rate gives, beside at least one item, fits it (Sage Accounting API reference,
/// `shipping_tax_amount`; Byte8 module's pages, quirk 32).
fn carriage<'a>(lines: &'a [DocumentLine], currency: &Currency) -> Option<Carriage<'a>> {
    let mut charges = lines.iter().filter(|line| line.role == LineRole::Shipping);
    let charge = charges.next().filter(|_| charges.next().is_none())?;
    let item = lines.iter().find(|line| line.role == LineRole::Item)?;
    let places = currency.places().min(PRICE_PLACES);
    let net = round_half_away(charge.quantity.checked_mul(charge.unit_price)?, places);
    let tax = round_half_away(net.checked_mul(charge.tax_rate)?.checked_div(Decimal::ONE_HUNDRED)?, places);
    let fits = charge.category == item.category && net > Decimal::ZERO && tax == charge.tax.value();
    fits.then_some(Carriage { net, tax_rate_id: tax_code(charge).ok()? })
}

/// True where a sale crosses a border of the European Union or one within it, for a business that has to say what.
fn into_the_union(destination: Option<&str>, context: &Context) -> bool {
    let country = context.country.as_deref();
    let reports = country.is_none_or(|country| REPORTING.contains(&country));
    let within = |code: &str| {
        let code = code.trim().to_ascii_uppercase();
        EUROPEAN_UNION.contains(&code.as_str()) && Some(code.as_str()) != country
    };
    reports && destination.is_some_and(within)
}

#[derive(Serialize)]
struct PaymentBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_id: Option<String>,
    transaction_type_id: &'static str,
    contact_id: &'a str,
    bank_account_id: &'a str,
    date: String,
    total_amount: Number,
    currency_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange_rate: Option<Number>,
    reference: String,
    allocated_artefacts: [ShareBody<'a>; 1],
}

#[derive(Serialize)]
struct AllocationBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_id: Option<String>,
    transaction_type_id: &'a str,
    contact_id: &'a str,
    date: String,
    allocated_artefacts: [ShareBody<'a>; 2],
}

#[derive(Serialize)]
struct ShareBody<'a> {
    artefact_id: &'a str,
    amount: Number,
}

/// What a payment, a refund and an allocation are to the book (Sage Accounting API guides, payments; the last from
/// forum posts only: the book's own list is asked for it).
pub(super) const RECEIPT: &str = "CUSTOMER_RECEIPT";
/// Money paid back.
pub(super) const REFUND: &str = "CUSTOMER_REFUND";
/// A credit note set off.
pub(super) const ALLOCATION: &str = "CUSTOMER_ALLOCATION";

/// Money received, set off against its invoice.
pub(super) fn payment(payment: &Payment, context: &Context) -> Result<String, Fault> {
    let body = PaymentBody {
        idempotency_id: idempotency_id(context),
        transaction_type_id: RECEIPT,
        contact_id: &payment.contact,
        bank_account_id: &payment.bank.account,
        date: payment.dated_on.to_string(),
        total_amount: amount(payment.amount)?,
        currency_id: payment.currency.as_str(),
        exchange_rate: exchange_rate(payment.exchange_rate)?,
        reference: payment_reference(&payment.reference),
        allocated_artefacts: [ShareBody { artefact_id: &payment.invoice, amount: amount(payment.amount)? }],
    };
    json(&Rooted("contact_payment", body))
}

/// Money paid back, set off against its credit note. `other_sign` writes what is set off as negative.
pub(super) fn refund(refund: &Refund, context: &Context, other_sign: bool) -> Result<String, Fault> {
    let set_off = if other_sign { refund.amount.negated() } else { refund.amount };
    let body = PaymentBody {
        idempotency_id: idempotency_id(context),
        transaction_type_id: REFUND,
        contact_id: &refund.contact,
        bank_account_id: &refund.bank.account,
        date: refund.dated_on.to_string(),
        total_amount: amount(refund.amount)?,
        currency_id: refund.currency.as_str(),
        exchange_rate: exchange_rate(refund.exchange_rate)?,
        reference: payment_reference(&refund.reference),
        allocated_artefacts: [ShareBody { artefact_id: &refund.credit_note, amount: amount(set_off)? }],
    };
    json(&Rooted("contact_payment", body))
}

/// A credit note set off against an invoice: the one negative, the other positive, so that nothing is left (forum posts;
/// the web pages write it so too). `other_sign` writes both as positive; `transaction_type` is what the book calls it.
pub(super) fn allocation(
    allocation: &Allocation,
    transaction_type: &str,
    context: &Context,
    other_sign: bool,
) -> Result<String, Fault> {
    let credited = if other_sign { allocation.amount } else { allocation.amount.negated() };
    let body = AllocationBody {
        idempotency_id: idempotency_id(context),
        transaction_type_id: transaction_type,
        contact_id: &allocation.contact,
        date: allocation.dated_on.to_string(),
        allocated_artefacts: [
            ShareBody { artefact_id: &allocation.invoice, amount: amount(allocation.amount)? },
            ShareBody { artefact_id: &allocation.credit_note, amount: amount(credited)? },
        ],
    };
    json(&Rooted("contact_allocation", body))
}

/// The reference of an invoice or a credit note.
pub(super) fn reference(number: &str) -> String {
    fitted(number.trim(), REFERENCE_LENGTH_MAX)
}

/// The reference of a payment: longer ones are allowed and not shown whole.
pub(super) fn payment_reference(reference: &str) -> String {
    fitted(reference.trim(), PAYMENT_REFERENCE_LENGTH_MAX)
}

/// The book knows no status between a draft and an issued document.
const fn status_id(status: DocumentStatus) -> Option<&'static str> {
    match status {
        DocumentStatus::Draft | DocumentStatus::Submitted => Some("DRAFT"),
        DocumentStatus::Approved => None,
    }
}

/// Units of the book's currency for one of the document's (Byte8 module's pages, multi-currency).
fn exchange_rate(rate: Option<ExchangeRate>) -> Result<Option<Number>, Fault> {
    let Some(rate) = rate else { return Ok(None) };
    let rate = rate
        .in_book_currency(EXCHANGE_RATE_PLACES)
        .ok_or_else(|| Fault::refused(Code::ExchangeRateUnknown, "The shop's exchange rate cannot be turned round."))?;
    number(rate).map(Some)
}

/// The reservation's key in the shape of a random GUID without hyphens: the guides ask for one, and whether the book looks
/// at version and variant is not documented (Sage Accounting API guides, idempotency; RFC 9562, section 5.4).
fn idempotency_id(context: &Context) -> Option<String> {
    let shaped = |(at, digit): (usize, char)| match (at, digit) {
        (VERSION_AT, _) => '4',
        (VARIANT_AT, '0' | '4' | '8' | 'c') => '8',
        (VARIANT_AT, '1' | '5' | '9' | 'd') => '9',
        (VARIANT_AT, '2' | '6' | 'a' | 'e') => 'a',
        (VARIANT_AT, _) => 'b',
        _ => digit,
    };
    Some(context.idempotency_key.chars().enumerate().map(shaped).collect()).filter(|key: &String| !key.is_empty())
}

fn amount(amount: Amount) -> Result<Number, Fault> {
    number(amount.value())
}

fn number(value: Decimal) -> Result<Number, Fault> {
    let text = if value.is_zero() { "0".to_owned() } else { value.normalize().to_string() };
    RawValue::from_string(text).map_err(|_| unwritable())
}

fn json(body: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(|_| unwritable())
}

fn unwritable() -> Fault {
    Fault::broken(Code::Unexpected, "The document cannot be written as JSON.")
}
