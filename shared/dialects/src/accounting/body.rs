//! Request bodies: lists of one. The order of the fields is the order of the declarations, so the same document always
//! gives the same bytes; numbers are the exact text of the decimal, never a float's.

use super::{id, text};
use jiff::Span;
use jiff::civil::Date;
use ledger_domain::amount::{Amount, Currency, round_half_away};
use ledger_domain::canonical::Address;
use ledger_domain::code::Code;
use ledger_domain::document::{
    Bank, Contact, CreditNote, DocumentLine, DocumentStatus, LineRole, Product, SalesInvoice,
};
use ledger_domain::fault::Fault;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

/// Longest name of a contact, and first name, last name, address, town and region, in characters (OpenAPI description).
const NAME_LENGTH_MAX: usize = 255;
/// Longest street line.
const STREET_LENGTH_MAX: usize = 500;
/// Street lines that an address has.
const STREET_LINES: usize = 4;
/// Longest postcode.
const POSTCODE_LENGTH_MAX: usize = 50;
/// Longest telephone number.
const PHONE_LENGTH_MAX: usize = 50;
/// Longest code of an item.
const ITEM_CODE_LENGTH_MAX: usize = 30;
/// Longest name of an item.
const ITEM_NAME_LENGTH_MAX: usize = 50;
/// Longest description of an item or a line.
const DESCRIPTION_LENGTH_MAX: usize = 4_000;
/// Longest reference of an invoice, a credit note or a payment.
pub(super) const REFERENCE_LENGTH_MAX: usize = 255;
/// Decimal places of an item's price, with `unitdp=4`.
const PRICE_PLACES: u32 = 4;

/// A list of one under its name.
fn list<T: Serialize>(name: &str, element: &T) -> Result<String, Fault> {
    let element = serde_json::to_string(element).map_err(|_| unwritable())?;
    Ok(format!("{{\"{name}\":[{element}]}}"))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ContactBody {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_address: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<AddressBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phones: Vec<PhoneBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_terms: Option<TermsBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AddressBody {
    address_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_line1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_line2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_line3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_line4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PhoneBody {
    phone_type: &'static str,
    phone_number: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TermsBody {
    sales: TermBody,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TermBody {
    day: u32,
    r#type: &'static str,
}

/// What a contact's body says beyond the contact.
pub(super) struct Naming<'a> {
    /// Its code in the book; `None` where it keeps the one that it has.
    pub(super) code: Option<&'a str>,
    /// Put behind the name in brackets, where the name alone is another contact's.
    pub(super) mark: Option<&'a str>,
    /// Leave the country out, where the book does not take its name.
    pub(super) without_country: bool,
}

/// What a contact is called in the book: the buyer's name, with a mark behind it for a namesake.
pub(super) fn name(contact: &Contact, mark: Option<&str>) -> Result<String, Fault> {
    let name = some(text::name(&contact.name))
        .or_else(|| some(text::name(&contact.email)))
        .ok_or_else(|| Fault::refused(Code::ContactIncomplete, "Nothing is left of the buyer's name."))?;
    Ok(match mark {
        None => text::shortened(&name, NAME_LENGTH_MAX),
        Some(mark) => {
            let mark = format!(" ({})", text::name(mark));
            let left = NAME_LENGTH_MAX.saturating_sub(mark.encode_utf16().count());
            format!("{}{mark}", text::shortened(&name, left))
        }
    })
}

/// A contact. What the shop does not say is left out, and the API keeps what it has.
pub(super) fn contact(contact: &Contact, naming: &Naming<'_>) -> Result<String, Fault> {
    let named = |value: &str| some(text::cut(&text::name(value), NAME_LENGTH_MAX));
    let name = name(contact, naming.mark)?;
    let phone = contact.phone.as_deref().map(text::tidy).and_then(some);
    list(
        "Contacts",
        &ContactBody {
            name,
            contact_number: naming.code.map(str::to_owned),
            first_name: named(&contact.first_name),
            last_name: named(&contact.last_name),
            email_address: text::plain_email(&contact.email, NAME_LENGTH_MAX).map(str::to_owned),
            addresses: contact.address.as_ref().map(|it| address(it, naming.without_country)).into_iter().collect(),
            // Half a number is a wrong number.
            phones: phone
                .filter(|phone| phone.encode_utf16().count() <= PHONE_LENGTH_MAX)
                .map(|phone_number| PhoneBody { phone_type: "DEFAULT", phone_number })
                .into_iter()
                .collect(),
            payment_terms: contact
                .payment_terms_in_days
                .map(|day| TermsBody { sales: TermBody { day, r#type: "DAYSAFTERBILLDATE" } }),
        },
    )
}

/// The address that invoices show: `POBOX` (Xero API docs, contacts).
fn address(address: &Address, without_country: bool) -> AddressBody {
    let line = |value: &str, length_max: usize| some(text::cut(&text::tidy(value), length_max));
    let lines: Vec<String> =
        address.street.iter().map(|street| text::tidy(street)).filter(|it| !it.is_empty()).collect();
    let (first, rest) = lines.split_at_checked(STREET_LINES.saturating_sub(1)).unwrap_or((lines.as_slice(), &[]));
    let mut street = first.iter().cloned().chain(some(rest.join(", ")));
    let mut street_line = || street.next().and_then(|it| line(&it, STREET_LENGTH_MAX));
    AddressBody {
        address_type: "POBOX",
        address_line1: street_line(),
        address_line2: street_line(),
        address_line3: street_line(),
        address_line4: street_line(),
        city: line(&address.city, NAME_LENGTH_MAX),
        region: address.region.as_deref().and_then(|region| line(region, NAME_LENGTH_MAX)),
        postal_code: address.postcode.as_deref().and_then(|postcode| line(postcode, POSTCODE_LENGTH_MAX)),
        country: text::country(&address.country).filter(|_| !without_country),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ItemBody<'a> {
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    sales_details: DetailsBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_details: Option<DetailsBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DetailsBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_type: Option<&'a str>,
}

/// The code that a product has in the book.
pub(super) fn item_code(product: &Product) -> String {
    text::item_code(&product.sku, ITEM_CODE_LENGTH_MAX)
}

/// An item without stock. A price with tax is left out: an item's price is net, and the product doesn't say by which
/// rate it would be divided.
pub(super) fn item(product: &Product) -> Result<String, Fault> {
    let price = |value: Option<Decimal>| value.map(|it| number(round_half_away(it, PRICE_PLACES))).transpose();
    let name = text::tidy(&product.name);
    let purchase = product.purchase_category.as_deref().filter(|it| !it.is_empty());
    list(
        "Items",
        &ItemBody {
            code: item_code(product),
            name: some(text::cut(&name, ITEM_NAME_LENGTH_MAX)),
            description: some(text::cut(&name, DESCRIPTION_LENGTH_MAX)),
            sales_details: DetailsBody {
                unit_price: price(product.price.filter(|_| !product.price_includes_tax))?,
                account_code: Some(product.category.as_str()).filter(|it| !it.is_empty()),
                tax_type: product.tax_code.as_deref(),
            },
            purchase_details: if purchase.is_none() && product.cost.is_none() {
                None
            } else {
                Some(DetailsBody { unit_price: price(product.cost)?, account_code: purchase, tax_type: None })
            },
        },
    )
}

/// Without a rate: no page says which of two currencies `CurrencyRate` counts, and one that is turned round would put every
/// foreign document into the accounts at a wrong sum. Without it the book takes its own of the day (OpenAPI description,
/// `CurrencyRate`); what came to a bank account is told by its amount there.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PaperBody<'a> {
    r#type: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_note_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    contact: ContactIdBody,
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_date: Option<String>,
    line_amount_types: &'static str,
    currency_code: &'a str,
    line_items: Vec<LineBody<'a>>,
}

/// The id alone: with it, any other field would change the contact (Xero API docs, invoices).
#[derive(Serialize)]
struct ContactIdBody {
    #[serde(rename = "ContactID")]
    contact_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LineBody<'a> {
    description: String,
    quantity: Box<RawValue>,
    unit_amount: Box<RawValue>,
    #[serde(flatten)]
    account: AccountBody<'a>,
    /// Always there: without it the account's usual one applies (Xero API docs, invoices).
    tax_type: &'a str,
}

/// An account, by its code or, where the settings name it so, by its id.
#[derive(Serialize)]
enum AccountBody<'a> {
    #[serde(rename = "AccountCode")]
    Code(&'a str),
    #[serde(rename = "AccountID")]
    Id(String),
}

/// A sales invoice. No discount fields: the API turns a discount into a rate of few digits, and a credit note knows none
/// (issue 592 of `XeroAPI/xero-node`). No tax amounts either: Xero computes them.
pub(super) fn invoice(invoice: &SalesInvoice) -> Result<String, Fault> {
    let mut reference = Vec::new();
    reference.extend(some(text::tidy(&invoice.order_number)).map(|order| format!("Order {order}")));
    let purchase_order = invoice.purchase_order_number.as_deref().map(text::tidy).and_then(some);
    reference.extend(purchase_order.map(|number| format!("PO {number}")));
    let due_on = Span::new()
        .try_days(invoice.payment_terms_in_days)
        .and_then(|days| invoice.dated_on.checked_add(days))
        .map_err(|_| Fault::refused(Code::SettingsInvalid, "The payment terms lead beyond the calendar."))?;
    list(
        "Invoices",
        &PaperBody {
            r#type: "ACCREC",
            status: status(invoice.status),
            invoice_number: Some(&invoice.number),
            credit_note_number: None,
            reference: some(text::cut(&reference.join(", "), REFERENCE_LENGTH_MAX)),
            contact: ContactIdBody { contact_id: id(&invoice.contact)? },
            date: invoice.dated_on.to_string(),
            due_date: Some(due_on.to_string()),
            line_amount_types: "Exclusive",
            currency_code: invoice.currency.as_str(),
            line_items: lines(&invoice.lines)?,
        },
    )
}

/// A credit note: positive amounts, like the invoice's.
pub(super) fn credit_note(note: &CreditNote) -> Result<String, Fault> {
    let reference = note.invoice.as_ref().map(|invoice| {
        let dated = invoice.dated_on.map(|date| format!(" of {date}")).unwrap_or_default();
        format!("Invoice {}{dated}", text::tidy(&invoice.number))
    });
    list(
        "CreditNotes",
        &PaperBody {
            r#type: "ACCRECCREDIT",
            status: status(note.status),
            invoice_number: None,
            credit_note_number: Some(&note.number),
            reference: reference.map(|it| text::cut(&it, REFERENCE_LENGTH_MAX)).and_then(some),
            contact: ContactIdBody { contact_id: id(&note.contact)? },
            date: note.dated_on.to_string(),
            due_date: None,
            line_amount_types: "Exclusive",
            currency_code: note.currency.as_str(),
            line_items: lines(&note.lines)?,
        },
    )
}

const fn status(status: DocumentStatus) -> &'static str {
    match status {
        DocumentStatus::Draft => "DRAFT",
        DocumentStatus::Submitted => "SUBMITTED",
        DocumentStatus::Approved => "AUTHORISED",
    }
}

fn lines(lines: &[DocumentLine]) -> Result<Vec<LineBody<'_>>, Fault> {
    if lines.len() > super::LINES_MAX {
        let message = format!("{} lines are more than the {} that are sent to a book.", lines.len(), super::LINES_MAX);
        return Err(Fault::refused(Code::BookRefused, message));
    }
    lines.iter().map(line).collect()
}

fn line(line: &DocumentLine) -> Result<LineBody<'_>, Fault> {
    let Some(tax_type) = line.tax_code.as_deref().filter(|code| !code.is_empty()) else {
        let message = format!("The settings name no tax code of the book's for {} %.", line.tax_rate.normalize());
        return Err(Fault::refused(Code::TaxRateUnmapped, message));
    };
    let usual = match line.role {
        LineRole::Item => "Item",
        LineRole::Shipping => "Shipping",
        LineRole::Adjustment => "Adjustment",
        LineRole::Unexplained => "Other",
        LineRole::Rounding => "Rounding",
    };
    let described = text::cut(&text::tidy(&line.description), DESCRIPTION_LENGTH_MAX);
    Ok(LineBody {
        description: some(described).unwrap_or_else(|| usual.to_owned()),
        quantity: number(line.quantity)?,
        unit_amount: number(line.unit_price)?,
        account: match text::guid(&line.category) {
            Some(account) => AccountBody::Id(account),
            None => AccountBody::Code(&line.category),
        },
        tax_type,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PaymentBody<'a> {
    #[serde(flatten)]
    of: PaidBody,
    account: PaidFromBody<'a>,
    date: String,
    amount: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_amount: Option<Box<RawValue>>,
    reference: &'a str,
}

/// The document that is paid or paid back.
#[derive(Serialize)]
enum PaidBody {
    Invoice {
        #[serde(rename = "InvoiceID")]
        id: String,
    },
    CreditNote {
        #[serde(rename = "CreditNoteID")]
        id: String,
    },
}

#[derive(Serialize)]
enum PaidFromBody<'a> {
    Code(&'a str),
    #[serde(rename = "AccountID")]
    Id(String),
}

/// What a payment and a refund have in common.
pub(super) struct Paid<'a> {
    /// True where it is paid back, for a credit note.
    pub(super) back: bool,
    /// The invoice or the credit note.
    pub(super) document: &'a str,
    /// The account, its currency and what moved on it, where that is known.
    pub(super) bank: &'a Bank,
    /// When.
    pub(super) dated_on: Date,
    /// How much, in the document's currency.
    pub(super) amount: Amount,
    /// The currency, for the text of the amount.
    pub(super) currency: &'a Currency,
    /// What it is found by.
    pub(super) reference: &'a str,
}

/// A payment of an invoice, or a refund of a credit note: both are payments (Xero API docs, payments).
pub(super) fn payment(paid: &Paid<'_>) -> Result<String, Fault> {
    let document = id(paid.document)?;
    list(
        "Payments",
        &PaymentBody {
            of: if paid.back { PaidBody::CreditNote { id: document } } else { PaidBody::Invoice { id: document } },
            account: match text::guid(&paid.bank.account) {
                Some(account) => PaidFromBody::Id(account),
                None => PaidFromBody::Code(&paid.bank.account),
            },
            date: paid.dated_on.to_string(),
            amount: money(paid.amount, paid.currency)?,
            bank_amount: match paid.bank.amount.filter(|_| paid.bank.currency != *paid.currency) {
                Some(moved) => Some(money(moved, &paid.bank.currency)?),
                None => None,
            },
            reference: paid.reference,
        },
    )
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AllocationBody {
    invoice: InvoiceIdBody,
    amount: Box<RawValue>,
    date: String,
}

#[derive(Serialize)]
struct InvoiceIdBody {
    #[serde(rename = "InvoiceID")]
    id: String,
}

/// A credit note set off against an invoice. The date is said although one page calls it read-only: the OpenAPI
/// description requires it.
pub(super) fn allocation(invoice: &str, amount: Amount, currency: &Currency, dated_on: Date) -> Result<String, Fault> {
    let invoice = InvoiceIdBody { id: id(invoice)? };
    list("Allocations", &AllocationBody { invoice, amount: money(amount, currency)?, date: dated_on.to_string() })
}

fn money(amount: Amount, currency: &Currency) -> Result<Box<RawValue>, Fault> {
    number(round_half_away(amount.value(), currency.places()))
}

fn number(value: Decimal) -> Result<Box<RawValue>, Fault> {
    let text = if value.is_zero() { "0".to_owned() } else { value.normalize().to_string() };
    RawValue::from_string(text).map_err(|_| unwritable())
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn unwritable() -> Fault {
    Fault::broken(Code::Unexpected, "The document cannot be written as JSON.")
}
