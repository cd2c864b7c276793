//! Documents as they go to a book: proven to the penny, mapped by the binding's settings, in no provider's dialect.

use crate::amount::{Amount, Currency};
use crate::canonical::Address;
use jiff::civil::Date;
use rust_decimal::Decimal;

/// Everything that is ever created in a book. A new variant breaks every dialect until it answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// A buyer.
    Contact(Contact),
    /// A sales invoice.
    Invoice(SalesInvoice),
}

impl Document {
    /// What kind of document it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Contact(_) => Kind::Contact,
            Self::Invoice(_) => Kind::Invoice,
        }
    }
}

/// A kind of document in a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A buyer.
    Contact,
    /// A sales invoice.
    Invoice,
}

impl Kind {
    /// The kind's name in rows, labels and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Invoice => "invoice",
        }
    }
}

/// A buyer as the book shall know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// E-mail address, normalised: the identity in every book.
    pub email: String,
    /// First name; may be empty where there is a company.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Company.
    pub company: Option<String>,
    /// Telephone.
    pub phone: Option<String>,
    /// Postal address.
    pub address: Option<Address>,
}

/// A sales invoice as the book shall show it.
#[derive(Clone, Debug, PartialEq)]
pub struct SalesInvoice {
    /// Our number for it, the book's reference.
    pub number: String,
    /// The shop's order number, shown to the bookkeeper.
    pub order_number: String,
    /// The buyer's purchase order number.
    pub purchase_order_number: Option<String>,
    /// The contact's id in the book.
    pub contact: String,
    /// Calendar date in the book's time zone.
    pub dated_on: Date,
    /// Days until it is due.
    pub payment_terms_in_days: u32,
    /// Currency of every amount.
    pub currency: Currency,
    /// The book's currency for one unit of [`SalesInvoice::currency`]; `None` where both are the same.
    pub exchange_rate: Option<Decimal>,
    /// The lines.
    pub lines: Vec<InvoiceLine>,
    /// What the buyer pays: the grand total rounded to the currency's minor unit.
    pub total: Amount,
}

/// A line of a sales invoice: `quantity × unit_price`, with the book's own tax at `tax_rate`, adds up to the total.
#[derive(Clone, Debug, PartialEq)]
pub struct InvoiceLine {
    /// What the line stands for.
    pub role: LineRole,
    /// Text on the line.
    pub description: String,
    /// Quantity.
    pub quantity: Decimal,
    /// Price of one without tax, after discount.
    pub unit_price: Decimal,
    /// Tax rate in percent.
    pub tax_rate: Decimal,
    /// The income category's id in the book.
    pub category: String,
    /// The book's item type, where a product sync has left it behind.
    pub item_type: Option<String>,
}

/// What a line stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineRole {
    /// Goods or services.
    Item,
    /// Carriage.
    Shipping,
    /// The pennies that the book's rounding and the shop's differ by.
    Rounding,
}

/// A document that is in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The provider's id: an URL path, a GUID or a number, as the dialect knows documents.
    pub provider_id: String,
    /// The human reference.
    pub reference: Option<String>,
    /// The book's own total, as far as it could be read.
    pub total: Option<Amount>,
}
