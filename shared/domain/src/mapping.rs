//! From the shop's documents to the book's: who buys, under which number, on which date, at which rate, in which lines.
//!
//! Invariants: nothing is guessed that would move money. What can't be known is a refusal with a code.

use crate::amount::Amount;
use crate::book::{BookRules, ExchangeRates};
use crate::canonical::{self, Address};
use crate::code::Code;
use crate::document::{Contact, DocumentLine, DocumentStatus, ExchangeRate, LineRole, SalesInvoice, Supply};
use crate::fault::Fault;
use crate::identity::{fingerprint, normalised_email};
use crate::proof::{self, ProvedLine, Source, Terms};
use crate::settings::Settings;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Longest number of a document, in characters. No book says what its own limit is; none is known to be lower.
pub const NUMBER_LENGTH_MAX: usize = 255;
/// Decimal places of an exchange rate. The shop's has four, so these lose nothing of it.
pub const EXCHANGE_RATE_PLACES: u32 = 10;
/// Bytes of a fingerprint that keep a shortened number apart from others.
const NUMBER_FINGERPRINT_BYTES: usize = 8;

/// The buyer of an invoice as the book shall know them: by the e-mail address, with the billing address before the
/// others. A missing name falls back to the company, then to the address's local part.
///
/// # Errors
/// `contact_incomplete` where there is no usable e-mail address.
pub fn contact_of(invoice: &canonical::Invoice) -> Result<Contact, Fault> {
    let customer = &invoice.customer;
    let email = normalised_email(&customer.email).ok_or_else(|| {
        Fault::refused(Code::ContactIncomplete, "The buyer has no e-mail address by which a book could know them.")
    })?;
    let (first_name, mut last_name) = (tidy(&customer.first_name), tidy(&customer.last_name));
    let company = customer.company.as_deref().map(tidy).filter(|company| !company.is_empty());
    if first_name.is_empty() && last_name.is_empty() && company.is_none() {
        last_name = email.split('@').next().unwrap_or(&email).to_owned();
    }
    let phone = customer.phone.as_deref().map(tidy).filter(|phone| !phone.is_empty());
    let person = [first_name.as_str(), last_name.as_str()].join(" ").trim().to_owned();
    let name = company.clone().unwrap_or(person);
    Ok(Contact {
        email,
        name,
        first_name,
        last_name,
        company,
        phone,
        address: address_of(invoice).cloned(),
        currency: None,
        reference: None,
        payment_terms_in_days: None,
    })
}

/// The country that the goods go to: the shipping address's, else that of the buyer's address.
fn destination_of(invoice: &canonical::Invoice) -> Option<String> {
    let address = invoice.shipping_address.as_ref().or_else(|| address_of(invoice))?;
    let country = address.country.trim().to_ascii_uppercase();
    (!country.is_empty()).then_some(country)
}

/// The order's billing address, then the customer's, then whatever there is.
fn address_of(invoice: &canonical::Invoice) -> Option<&Address> {
    let addresses = &invoice.customer.addresses;
    invoice
        .billing_address
        .as_ref()
        .or_else(|| addresses.iter().find(|address| address.kind == "billing"))
        .or(invoice.shipping_address.as_ref())
        .or_else(|| addresses.first())
}

/// Our number for an invoice: the binding's prefix and the shop's increment id.
#[must_use]
pub fn invoice_number(settings: &Settings, increment_id: &str) -> String {
    fitted(format!("{}{}", settings.number_prefix, increment_id.trim()))
}

/// Our number for an invoice whose plain number another document of the shop has: with the store behind it.
#[must_use]
pub fn invoice_number_with_store(settings: &Settings, increment_id: &str, store_id: u32) -> String {
    fitted(format!("{}{}-S{store_id}", settings.number_prefix, increment_id.trim()))
}

/// The number under which a previous service has posted an invoice, where the binding names its prefix.
#[must_use]
pub fn previous_invoice_number(settings: &Settings, increment_id: &str) -> Option<String> {
    let prefix = settings.previous_prefix.as_deref()?;
    Some(fitted(format!("{prefix}{}", increment_id.trim())))
}

/// A number within [`NUMBER_LENGTH_MAX`]: a longer one ends in a fingerprint of the whole, so that two stay two.
fn fitted(number: String) -> String {
    if number.chars().count() <= NUMBER_LENGTH_MAX {
        return number;
    }
    let hash = fingerprint(&[number.as_bytes()]);
    let mark = hex::encode(hash.get(..NUMBER_FINGERPRINT_BYTES).unwrap_or(&hash));
    let kept = NUMBER_LENGTH_MAX.saturating_sub(mark.len()).saturating_sub(1);
    let start: String = number.chars().take(kept).collect();
    format!("{start}-{mark}")
}

/// An invoice as the book shall show it, proven to the penny. `item_types` are the book's item types of those SKUs that
/// a product sync has left behind.
///
/// # Errors
/// Those of [`crate::proof::prove`]; `settings_invalid` for an unknown time zone or a missing category;
/// `exchange_rate_unknown` where the book needs a rate and none can be given honestly.
pub fn sales_invoice(
    invoice: &canonical::Invoice,
    settings: &Settings,
    number: &str,
    contact_provider_id: &str,
    item_types: &BTreeMap<String, String>,
    rules: &BookRules,
) -> Result<SalesInvoice, Fault> {
    let dated_on = settings.date_of(invoice.created_at).ok_or_else(|| {
        Fault::refused(Code::SettingsInvalid, format!("time_zone {:?} is no time zone.", settings.time_zone))
    })?;
    let exchange_rate = exchange_rate(invoice, settings, rules.exchange)?;
    let terms = Terms {
        tax_rates: &settings.sales_tax_rates,
        rounding_limit: settings.rounding_limit,
        rounding: rules.rounding,
    };
    let proof = proof::prove(invoice, &terms)?;
    let lines: Result<Vec<DocumentLine>, Fault> =
        proof.lines.iter().map(|line| invoice_line(invoice, settings, item_types, line)).collect();
    let purchase_order_number = invoice.purchase_order_number.as_deref().map(tidy).filter(|number| !number.is_empty());
    Ok(SalesInvoice {
        number: number.to_owned(),
        order_number: invoice.order_increment_id.clone(),
        purchase_order_number,
        contact: contact_provider_id.to_owned(),
        dated_on,
        payment_terms_in_days: settings.payment_terms_in_days,
        status: DocumentStatus::Approved,
        currency: invoice.currency.clone(),
        exchange_rate,
        destination: destination_of(invoice),
        lines: lines?,
        total: proof.total,
    })
}

/// The book's currency for one unit of the invoice's. The shop's rate is the invoice's currency for one unit of the
/// website's *base* currency (Magento 2, `Sales/Model/Order/Creditmemo::setAdjustmentAmount`; the published module's
/// comment has it the wrong way round), so it serves only where that is the book's.
fn exchange_rate(
    invoice: &canonical::Invoice,
    settings: &Settings,
    rates: ExchangeRates,
) -> Result<Option<ExchangeRate>, Fault> {
    let (currency, book) = (&invoice.currency, &settings.book_currency);
    if currency == book {
        return Ok(None);
    }
    let unknown = |why: String| {
        if rates == ExchangeRates::Ours {
            Err(Fault::refused(Code::ExchangeRateUnknown, format!("No rate from {currency} to {book}: {why}.")))
        } else {
            Ok(None)
        }
    };
    let base = settings.base_currency(invoice.website_id);
    if base != book {
        return unknown(format!("website {} keeps its accounts in {base}", invoice.website_id));
    }
    let Some(rate) = invoice.base_to_order_rate.filter(|rate| *rate > Decimal::ZERO) else {
        return unknown("the shop names none".to_owned());
    };
    // The shop does not name its base currency. One for one between two currencies almost always means that it is the
    // invoice's and that the settings only assume the book's.
    if rate == Decimal::ONE && !settings.base_currencies.contains_key(&invoice.website_id) {
        return unknown(format!(
            "the shop says one for one, so website {} may keep its accounts in {currency}",
            invoice.website_id
        ));
    }
    let rate = ExchangeRate { per_book_unit: rate };
    match rate.in_book_currency(EXCHANGE_RATE_PLACES) {
        Some(_) => Ok(Some(rate)),
        None => unknown("the shop's is out of range".to_owned()),
    }
}

fn invoice_line(
    invoice: &canonical::Invoice,
    settings: &Settings,
    item_types: &BTreeMap<String, String>,
    line: &ProvedLine,
) -> Result<DocumentLine, Fault> {
    let row = |at: usize| invoice.lines.get(at).ok_or_else(|| Fault::broken(Code::Unexpected, "A line without a row."));
    let item_type_of = |row: &canonical::Line| item_types.get(&row.sku);
    let category_of = |row: Option<&canonical::Line>| {
        let item_type = row.and_then(item_type_of).map(String::as_str);
        named(settings.category_for(invoice.website_id, item_type), "income_category")
    };
    let (role, description, category, item_type) = match line.source {
        Source::Row(at) => {
            let row = row(at)?;
            let description = row_description(invoice, row, line);
            (LineRole::Item, description, category_of(Some(row))?, item_type_of(row).cloned())
        }
        Source::UntaxedDiscount(Some(at)) => {
            let row = row(at)?;
            let description = format!("Discount on {}", product(row));
            (LineRole::Item, description, category_of(Some(row))?, item_type_of(row).cloned())
        }
        Source::Shipping => {
            let description = format!("Shipping{}", included(invoice, line.discount));
            (LineRole::Shipping, description, named(&settings.shipping_category, "shipping_category")?, None)
        }
        Source::UntaxedDiscount(None) => {
            let description = "Discount on shipping".to_owned();
            (LineRole::Shipping, description, named(&settings.shipping_category, "shipping_category")?, None)
        }
        Source::Rounding => (LineRole::Rounding, "Rounding".to_owned(), category_of(None)?, None),
    };
    let sku = match line.source {
        Source::Row(at) | Source::UntaxedDiscount(Some(at)) => Some(tidy(&row(at)?.sku)).filter(|sku| !sku.is_empty()),
        Source::UntaxedDiscount(None) | Source::Shipping | Source::Rounding => None,
    };
    Ok(DocumentLine {
        role,
        sku,
        description,
        quantity: line.quantity,
        unit_price: line.unit_price,
        tax_rate: line.tax_rate,
        tax: line.tax,
        tax_code: None,
        category,
        item_type,
        supply: Supply::Goods,
    })
}

fn named(category: &str, setting: &str) -> Result<String, Fault> {
    if category.trim().is_empty() {
        return Err(Fault::refused(Code::SettingsInvalid, format!("{setting} is not set.")));
    }
    Ok(category.to_owned())
}

/// What was sold; how many, where the line itself says one; what came off.
fn row_description(invoice: &canonical::Invoice, row: &canonical::Line, line: &ProvedLine) -> String {
    let quantity = row.quantity.value();
    let folded = if line.quantity == quantity || quantity <= Decimal::ZERO {
        String::new()
    } else {
        format!(", quantity {}", quantity.normalize())
    };
    format!("{}{folded}{}", product(row), included(invoice, line.discount))
}

fn included(invoice: &canonical::Invoice, discount: Amount) -> String {
    let places = invoice.currency.places();
    let discount = discount.rounded(places);
    if discount.is_zero() {
        return String::new();
    }
    let mut shown = discount.value();
    shown.rescale(places);
    format!(", discount {shown} included")
}

fn product(row: &canonical::Line) -> String {
    let (name, sku) = (tidy(&row.name), tidy(&row.sku));
    match (name.is_empty(), sku.is_empty()) {
        (false, false) => format!("{name} ({sku})"),
        (false, true) => name,
        (true, false) => sku,
        (true, true) => "Item".to_owned(),
    }
}

/// One line of text: whitespace and control characters become single spaces.
fn tidy(text: &str) -> String {
    let spaced: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
