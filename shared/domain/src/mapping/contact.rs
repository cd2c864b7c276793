//! Who buys. A book knows a person by the e-mail address; many small buyers may share one contact.

use super::tidy;
use crate::amount::{Amount, Currency};
use crate::book::BookRules;
use crate::canonical::{Address, CreditMemo, Customer, Invoice};
use crate::code::Code;
use crate::document::Contact;
use crate::fault::Fault;
use crate::identity::normalised_email;
use crate::settings::{Consolidation, NamePriority, Settings};

/// The buyer of an invoice as the book shall know them: by the e-mail address, with the billing address before the
/// others. A missing name falls back to the company, then to the address's local part.
///
/// # Errors
/// `contact_incomplete` where there is no usable e-mail address.
pub fn contact_of(invoice: &Invoice, settings: &Settings, rules: &BookRules) -> Result<Contact, Fault> {
    let purchase_order = invoice.purchase_order_number.as_deref().is_some_and(|number| !tidy(number).is_empty());
    if let Some(one) = shared_by(settings, &invoice.customer, purchase_order, Some(invoice.grand_total)) {
        return Ok(consolidated(one, &invoice.currency, rules));
    }
    person(&invoice.customer, address_of(invoice), Some(&invoice.currency), settings, rules)
}

/// The buyer of a credit memo: its invoice's, where the shop names one.
///
/// # Errors
/// `contact_incomplete` where there is no usable e-mail address.
pub fn contact_of_memo(
    memo: &CreditMemo,
    invoice: Option<&Invoice>,
    settings: &Settings,
    rules: &BookRules,
) -> Result<Contact, Fault> {
    if let Some(invoice) = invoice {
        return contact_of(invoice, settings, rules);
    }
    // The invoice's total decided whether the buyer has a contact of their own; the memo's is the most that is known.
    if let Some(one) = shared_by(settings, &memo.customer, false, Some(memo.grand_total)) {
        return Ok(consolidated(one, &memo.currency, rules));
    }
    person(&memo.customer, own_address(&memo.customer), Some(&memo.currency), settings, rules)
}

/// A customer as the book shall know them; in a book of one currency a contact, in the currency of their website's
/// accounts.
///
/// # Errors
/// `contact_incomplete` where there is no usable e-mail address.
pub fn contact_of_customer(customer: &Customer, settings: &Settings, rules: &BookRules) -> Result<Contact, Fault> {
    if let Some(one) = shared_by(settings, customer, false, None) {
        return Ok(consolidated(one, settings.base_currency(customer.website_id), rules));
    }
    let currency = settings.base_currency(customer.website_id);
    person(customer, own_address(customer), Some(currency), settings, rules)
}

/// The contact that stands for this buyer too, where there is one.
fn shared_by<'a>(
    settings: &'a Settings,
    customer: &Customer,
    purchase_order: bool,
    total: Option<Amount>,
) -> Option<&'a Consolidation> {
    let one = settings.consolidation.as_ref()?;
    let company = customer.company.as_deref().is_some_and(|company| !tidy(company).is_empty());
    let trade = one.always_individual_for_b2b && (company || purchase_order);
    let least = one.min_total_for_individual;
    let large = !least.is_zero() && total.is_some_and(|total| total.value() >= least);
    (!trade && !large).then_some(one)
}

fn consolidated(one: &Consolidation, currency: &Currency, rules: &BookRules) -> Contact {
    Contact {
        email: one.email.clone(),
        name: one.name.clone(),
        first_name: String::new(),
        last_name: String::new(),
        company: Some(one.name.clone()),
        phone: None,
        address: None,
        currency: rules.contact_per_currency.then(|| currency.clone()),
        reference: Some(one.reference.clone()),
        payment_terms_in_days: None,
    }
}

fn person(
    customer: &Customer,
    address: Option<&Address>,
    currency: Option<&Currency>,
    settings: &Settings,
    rules: &BookRules,
) -> Result<Contact, Fault> {
    let email = normalised_email(&customer.email).ok_or_else(|| {
        Fault::refused(Code::ContactIncomplete, "The buyer has no e-mail address by which a book could know them.")
    })?;
    let (first_name, mut last_name) = (tidy(&customer.first_name), tidy(&customer.last_name));
    let company = customer.company.as_deref().map(tidy).filter(|company| !company.is_empty());
    if first_name.is_empty() && last_name.is_empty() && company.is_none() {
        last_name = email.split('@').next().unwrap_or(&email).to_owned();
    }
    let phone = customer.phone.as_deref().map(tidy).filter(|phone| !phone.is_empty());
    let person = Some([first_name.as_str(), last_name.as_str()].join(" ").trim().to_owned());
    let person = person.filter(|person| !person.is_empty());
    let name = match settings.customer_name_priority {
        NamePriority::Company => company.clone().or(person),
        NamePriority::Person => person.or_else(|| company.clone()),
    };
    Ok(Contact {
        name: name.unwrap_or_else(|| email.clone()),
        email,
        first_name,
        last_name,
        company,
        phone,
        address: address.cloned(),
        currency: currency.filter(|_| rules.contact_per_currency).cloned(),
        reference: None,
        payment_terms_in_days: settings.terms_of(customer),
    })
}

/// The order's billing address, then the customer's, then whatever there is.
pub(super) fn address_of(invoice: &Invoice) -> Option<&Address> {
    let addresses = &invoice.customer.addresses;
    invoice
        .billing_address
        .as_ref()
        .or_else(|| addresses.iter().find(|address| address.kind == "billing"))
        .or(invoice.shipping_address.as_ref())
        .or_else(|| addresses.first())
}

/// The billing address that the shop shows with a customer, then whatever there is.
fn own_address(customer: &Customer) -> Option<&Address> {
    let billing = customer.addresses.iter().find(|address| address.kind == "billing");
    billing.or_else(|| customer.addresses.first())
}

/// The country that the goods of an invoice go to: the shipping address's, else that of the buyer's address.
pub(super) fn destination_of(invoice: &Invoice) -> Option<String> {
    country_of(invoice.shipping_address.as_ref().or_else(|| address_of(invoice))?)
}

/// The country that the goods of a credit memo went to: its invoice's, else the buyer's shipping address's, else that
/// of the buyer's address.
pub(super) fn destination_of_memo(memo: &CreditMemo, invoice: Option<&Invoice>) -> Option<String> {
    if let Some(invoice) = invoice {
        return destination_of(invoice);
    }
    let shipping = memo.customer.addresses.iter().find(|address| address.kind == "shipping");
    country_of(shipping.or_else(|| own_address(&memo.customer))?)
}

fn country_of(address: &Address) -> Option<String> {
    let country = address.country.trim().to_ascii_uppercase();
    (!country.is_empty()).then_some(country)
}
