//! Documents as they go to a book: proven to the penny, mapped by the binding's settings, in no provider's dialect.

use crate::amount::{Amount, Currency, round_half_away};
use crate::canonical::Address;
use crate::identity::fingerprint;
use jiff::civil::Date;
use rust_decimal::Decimal;

/// Characters of [`Contact::code`]: the shortest limit that a book has for a contact's reference (Sage Accounting API,
/// contacts).
pub const CONTACT_CODE_LENGTH: usize = 10;
/// Letters of a contact's code: those of base 32 that can't be taken for each other.
const CODE_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Everything that is ever created in a book. A new variant breaks every dialect until it answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// A buyer.
    Contact(Contact),
    /// Something that is sold.
    Product(Product),
    /// A sales invoice.
    Invoice(SalesInvoice),
    /// Money received for an invoice.
    Payment(Payment),
    /// A credit note.
    CreditNote(CreditNote),
    /// A credit note set off against an invoice.
    Allocation(Allocation),
    /// Money paid back for a credit note.
    Refund(Refund),
    /// A change of a product's stock.
    StockMovement(StockMovement),
}

impl Document {
    /// What kind of document it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Contact(_) => Kind::Contact,
            Self::Product(_) => Kind::Product,
            Self::Invoice(_) => Kind::Invoice,
            Self::Payment(_) => Kind::Payment,
            Self::CreditNote(_) => Kind::CreditNote,
            Self::Allocation(_) => Kind::Allocation,
            Self::Refund(_) => Kind::Refund,
            Self::StockMovement(_) => Kind::StockMovement,
        }
    }

    /// What the book must show as its total; `None` for what has none.
    #[must_use]
    pub const fn total(&self) -> Option<Amount> {
        match self {
            Self::Invoice(invoice) => Some(invoice.total),
            Self::CreditNote(note) => Some(note.total),
            Self::Payment(payment) => Some(payment.amount),
            Self::Allocation(allocation) => Some(allocation.amount),
            Self::Refund(refund) => Some(refund.amount),
            Self::Contact(_) | Self::Product(_) | Self::StockMovement(_) => None,
        }
    }

    /// Our number or reference for it; `None` for contacts and products, which are known otherwise.
    #[must_use]
    pub fn number(&self) -> Option<&str> {
        match self {
            Self::Invoice(invoice) => Some(&invoice.number),
            Self::CreditNote(note) => Some(&note.number),
            Self::Payment(payment) => Some(&payment.reference),
            Self::Allocation(allocation) => Some(&allocation.reference),
            Self::Refund(refund) => Some(&refund.reference),
            Self::StockMovement(movement) => Some(&movement.reference),
            Self::Contact(_) | Self::Product(_) => None,
        }
    }

    /// The contact that it names, by its id in the book.
    #[must_use]
    pub fn contact(&self) -> Option<&str> {
        match self {
            Self::Invoice(invoice) => Some(&invoice.contact),
            Self::CreditNote(note) => Some(&note.contact),
            Self::Payment(payment) => Some(&payment.contact),
            Self::Allocation(allocation) => Some(&allocation.contact),
            Self::Refund(refund) => Some(&refund.contact),
            Self::Contact(_) | Self::Product(_) | Self::StockMovement(_) => None,
        }
    }
}

/// A kind of document in a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A buyer.
    Contact,
    /// Something that is sold.
    Product,
    /// A sales invoice.
    Invoice,
    /// Money received for an invoice.
    Payment,
    /// A credit note.
    CreditNote,
    /// A credit note set off against an invoice.
    Allocation,
    /// Money paid back for a credit note.
    Refund,
    /// A change of a product's stock.
    StockMovement,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Contact,
        Self::Product,
        Self::Invoice,
        Self::Payment,
        Self::CreditNote,
        Self::Allocation,
        Self::Refund,
        Self::StockMovement,
    ];

    /// The kind's name in rows, labels and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Product => "product",
            Self::Invoice => "invoice",
            Self::Payment => "payment",
            Self::CreditNote => "credit_note",
            Self::Allocation => "allocation",
            Self::Refund => "refund",
            Self::StockMovement => "stock_movement",
        }
    }

    /// True where the document moves money: it belongs to one document of ours only, and is adopted on equal total,
    /// currency and contact.
    #[must_use]
    pub const fn is_money(self) -> bool {
        match self {
            Self::Invoice | Self::Payment | Self::CreditNote | Self::Allocation | Self::Refund => true,
            Self::Contact | Self::Product | Self::StockMovement => false,
        }
    }
}

/// A buyer as the book shall know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// E-mail address, normalised: the identity in every book.
    pub email: String,
    /// What the book shall call them, by the binding's priority of company and person; never empty.
    pub name: String,
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
    /// The currency they trade in: only in books where a contact has one (see `Profile::contact_per_currency`).
    pub currency: Option<Currency>,
    /// A reference that the settings name for this contact (the one that stands for many buyers).
    pub reference: Option<String>,
    /// Days until their invoices are due, where the book keeps that with the contact.
    pub payment_terms_in_days: Option<u32>,
}

impl Contact {
    /// Our reference for the person: ten characters, derived from what they are known by, so that every shop of a book
    /// and every repetition arrives at the same one. `variant` counts from 0; a higher one is for the case that a
    /// stranger has the code before it.
    #[must_use]
    pub fn code(&self, variant: u8) -> String {
        if let Some(reference) = self.reference.as_ref().filter(|_| variant == 0) {
            return reference.clone();
        }
        let currency = self.currency.as_ref().map_or("", Currency::as_str);
        let hash = fingerprint(&[b"contact", self.email.as_bytes(), currency.as_bytes(), &[variant]]);
        let letters = hash.iter().take(CONTACT_CODE_LENGTH.saturating_sub(1)).map(|byte| {
            let letter = CODE_LETTERS.get(usize::from(byte & 31)).copied().unwrap_or(b'0');
            char::from(letter)
        });
        std::iter::once('M').chain(letters).collect()
    }
}

/// Goods or a service: books that report sales across borders ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Supply {
    /// Goods.
    #[default]
    Goods,
    /// A service.
    Services,
}

/// Something that is sold.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// The shop's code, whole. A book with a shorter limit has [`fitted`] of it.
    pub sku: String,
    /// Name.
    pub name: String,
    /// The book's item type, by the binding's map of product types.
    pub item_type: String,
    /// Goods or a service.
    pub supply: Supply,
    /// Selling price of one, in the shop's base currency, up to six decimal places.
    pub price: Option<Decimal>,
    /// True where the shop's catalogue prices contain tax.
    pub price_includes_tax: bool,
    /// What one costs the shop.
    pub cost: Option<Decimal>,
    /// Income category or account.
    pub category: String,
    /// Account for purchases, where the book wants one.
    pub purchase_category: Option<String>,
    /// The book's tax code, where its products have one and the settings name it.
    pub tax_code: Option<String>,
    /// True where stock shall be kept.
    pub stocked: bool,
}

/// Where an invoice or a credit note shall stand once it is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DocumentStatus {
    /// A draft: nothing is booked, nothing can be paid.
    Draft,
    /// Waiting for somebody's approval.
    Submitted,
    /// Booked: authorised, sent or open, as the book calls it.
    #[default]
    Approved,
}

/// The rate between a document's currency and the book's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeRate {
    /// Units of the document's currency for one unit of the book's, as the shop names it (`base_to_order_rate`).
    pub per_book_unit: Decimal,
}

impl ExchangeRate {
    /// Units of the book's currency for one unit of the document's, rounded half away from zero to `places`; `None`
    /// where that is nothing or beyond computing.
    #[must_use]
    pub fn in_book_currency(self, places: u32) -> Option<Decimal> {
        let inverse = round_half_away(Decimal::ONE.checked_div(self.per_book_unit)?, places);
        (inverse > Decimal::ZERO).then(|| inverse.normalize())
    }

    /// An amount of the document's currency in the book's, rounded to `places`.
    #[must_use]
    pub fn to_book(self, amount: Amount, places: u32) -> Option<Amount> {
        let value = amount.value().checked_div(self.per_book_unit)?;
        Amount::from_decimal(round_half_away(value, places)).ok()
    }
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
    /// Where it shall stand.
    pub status: DocumentStatus,
    /// Currency of every amount.
    pub currency: Currency,
    /// The rate to the book's currency; `None` where both are the same, or where the book has its own.
    pub exchange_rate: Option<ExchangeRate>,
    /// ISO 3166-1 alpha-2 code of the country that the goods go to, where the shop says.
    pub destination: Option<String>,
    /// The lines.
    pub lines: Vec<DocumentLine>,
    /// What the buyer pays: the grand total rounded to the currency's minor unit.
    pub total: Amount,
}

/// A line of a sales invoice or a credit note: `quantity × unit_price` and the tax on it add up to the total.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentLine {
    /// What the line stands for.
    pub role: LineRole,
    /// The product's code, for goods and services.
    pub sku: Option<String>,
    /// Text on the line.
    pub description: String,
    /// Quantity.
    pub quantity: Decimal,
    /// Price of one without tax, after discount.
    pub unit_price: Decimal,
    /// Tax rate in percent.
    pub tax_rate: Decimal,
    /// The tax on the line, rounded to the document's places: what the shop charged where the book takes a stated tax
    /// (`TaxRounding::Stated`), else what the book will compute.
    pub tax: Amount,
    /// The book's tax code for the rate, where it wants one (`Profile::tax_codes`).
    pub tax_code: Option<String>,
    /// The income category's or account's id in the book.
    pub category: String,
    /// The book's item type, where a product sync has left it behind.
    pub item_type: Option<String>,
    /// Goods or a service.
    pub supply: Supply,
}

/// What a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineRole {
    /// Goods or services.
    Item,
    /// Carriage.
    Shipping,
    /// What was added to a refund, or kept of it.
    Adjustment,
    /// What the total has beyond its parts, for which the binding names an account: gift cards, store credit, fees.
    Unexplained,
    /// The pennies that the book's rounding and the shop's differ by.
    Rounding,
}

/// Money received for an invoice.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// Our reference for it.
    pub reference: String,
    /// The gateway's transaction, shown to the bookkeeper.
    pub transaction: Option<String>,
    /// The invoice's id in the book.
    pub invoice: String,
    /// Our number for the invoice.
    pub invoice_number: String,
    /// The contact's id in the book.
    pub contact: String,
    /// Calendar date in the book's time zone.
    pub dated_on: Date,
    /// What was received, in [`Payment::currency`].
    pub amount: Amount,
    /// The invoice's currency.
    pub currency: Currency,
    /// The account that received it.
    pub bank: Bank,
    /// The rate to the book's currency; `None` as in [`SalesInvoice::exchange_rate`].
    pub exchange_rate: Option<ExchangeRate>,
}

/// A bank account of the book and what moved on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bank {
    /// The account's id in the book.
    pub account: String,
    /// The account's currency.
    pub currency: Currency,
    /// What moved, in the account's currency, positive; `None` where no rate can be given honestly.
    pub amount: Option<Amount>,
}

/// A credit note: every amount positive, as the shop tells it. Dialects turn signs where a book wants them turned.
#[derive(Clone, Debug, PartialEq)]
pub struct CreditNote {
    /// Our number for it.
    pub number: String,
    /// The invoice that it credits, where the shop names one.
    pub invoice: Option<CreditedInvoice>,
    /// The contact's id in the book: the invoice's.
    pub contact: String,
    /// Calendar date in the book's time zone.
    pub dated_on: Date,
    /// Where it shall stand.
    pub status: DocumentStatus,
    /// Currency of every amount.
    pub currency: Currency,
    /// The rate to the book's currency; `None` as in [`SalesInvoice::exchange_rate`].
    pub exchange_rate: Option<ExchangeRate>,
    /// ISO 3166-1 alpha-2 code of the country that the goods went to, where the shop says.
    pub destination: Option<String>,
    /// The lines.
    pub lines: Vec<DocumentLine>,
    /// What is credited.
    pub total: Amount,
}

/// The invoice that a credit note credits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditedInvoice {
    /// Its id in the book; `None` where it is not there.
    pub provider_id: Option<String>,
    /// Our number for it, or the shop's where we have none.
    pub number: String,
    /// Its date, for the bookkeeper's reports.
    pub dated_on: Option<Date>,
}

/// A credit note set off against an invoice of the same contact and currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// Our reference for it.
    pub reference: String,
    /// The credit note's id in the book.
    pub credit_note: String,
    /// The invoice's id in the book.
    pub invoice: String,
    /// The contact's id in the book.
    pub contact: String,
    /// Calendar date in the book's time zone.
    pub dated_on: Date,
    /// What is set off, in [`Allocation::currency`].
    pub amount: Amount,
    /// The currency of both documents.
    pub currency: Currency,
    /// The rate to the book's currency; `None` as in [`SalesInvoice::exchange_rate`].
    pub exchange_rate: Option<ExchangeRate>,
}

/// Money paid back for a credit note.
#[derive(Clone, Debug, PartialEq)]
pub struct Refund {
    /// Our reference for it.
    pub reference: String,
    /// The credit note's id in the book.
    pub credit_note: String,
    /// The contact's id in the book.
    pub contact: String,
    /// Calendar date in the book's time zone.
    pub dated_on: Date,
    /// What was paid back, positive, in [`Refund::currency`].
    pub amount: Amount,
    /// The credit note's currency.
    pub currency: Currency,
    /// The account that paid it.
    pub bank: Bank,
    /// The rate to the book's currency; `None` as in [`SalesInvoice::exchange_rate`].
    pub exchange_rate: Option<ExchangeRate>,
}

/// A change of a product's stock, towards the quantity that the shop has.
#[derive(Clone, Debug, PartialEq)]
pub struct StockMovement {
    /// Our reference for it.
    pub reference: String,
    /// The product's id in the book.
    pub product: String,
    /// Calendar date in the book's time zone.
    pub dated_on: Date,
    /// What is added to the book's stock; taken away where negative; never zero.
    pub quantity: Decimal,
    /// What one costs, where the shop says.
    pub cost: Option<Decimal>,
}

/// A document that is in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The provider's id: an URL path, a GUID or a number, as the dialect knows documents.
    pub provider_id: String,
    /// The human reference.
    pub reference: Option<String>,
    /// The book's own total, as far as it could be read; positive for credit notes and refunds.
    pub total: Option<Amount>,
}

/// What is left of an invoice or a credit note in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Where it stands.
    pub standing: Standing,
    /// What is still to be paid of an invoice, or to be used of a credit note; positive.
    pub outstanding: Amount,
}

/// Where a document stands in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A draft, or waiting for approval: it takes no payment.
    Unapproved,
    /// Booked, whether or not anything is left.
    Approved,
    /// Voided, cancelled, written off or deleted.
    Withdrawn,
}

/// Bytes of a fingerprint that keep a shortened text apart from others.
const FITTED_FINGERPRINT_BYTES: usize = 4;

/// A text within `length_max` characters: a longer one ends in a fingerprint of the whole, so that two stay two.
#[must_use]
pub fn fitted(text: &str, length_max: usize) -> String {
    if text.chars().count() <= length_max {
        return text.to_owned();
    }
    let hash = fingerprint(&[text.as_bytes()]);
    let mark = hex::encode(hash.get(..FITTED_FINGERPRINT_BYTES).unwrap_or(&hash));
    let kept = length_max.saturating_sub(mark.len()).saturating_sub(1);
    let start: String = text.chars().take(kept).collect();
    format!("{}-{mark}", start.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_text_fits_and_stays_apart() {
        assert_eq!(fitted("MUG-BLUE", 30), "MUG-BLUE");
        let (one, other) = (format!("{}A", "x".repeat(63)), format!("{}B", "x".repeat(63)));
        let (one, other) = (fitted(&one, 30), fitted(&other, 30));
        assert_ne!(one, other);
        assert!(one.chars().count() <= 30 && other.chars().count() <= 30);
    }

    #[test]
    fn a_contact_has_one_code_per_person_and_currency() {
        let contact = |email: &str, currency: Option<&str>| Contact {
            email: email.to_owned(),
            name: "Jane Doe".to_owned(),
            first_name: "Jane".to_owned(),
            last_name: "Doe".to_owned(),
            company: None,
            phone: None,
            address: None,
            currency: currency.map(|code| Currency::parse(code).unwrap()),
            reference: None,
            payment_terms_in_days: None,
        };
        let jane = contact("jane@example.com", None);
        assert_eq!(jane.code(0), contact("jane@example.com", None).code(0));
        assert_eq!(jane.code(0).chars().count(), CONTACT_CODE_LENGTH);
        assert_ne!(jane.code(0), jane.code(1));
        assert_ne!(jane.code(0), contact("john@example.com", None).code(0));
        assert_ne!(contact("jane@example.com", Some("GBP")).code(0), contact("jane@example.com", Some("EUR")).code(0));
    }

    #[test]
    fn a_rate_is_given_in_both_directions() {
        let rate = ExchangeRate { per_book_unit: Decimal::new(11_753, 4) };
        assert_eq!(rate.in_book_currency(10).unwrap().to_string(), "0.8508465924");
        assert_eq!(rate.to_book(Amount::parse("91.60").unwrap(), 2).unwrap().to_string(), "77.94");
        assert_eq!(ExchangeRate { per_book_unit: Decimal::ZERO }.in_book_currency(10), None);
    }
}
