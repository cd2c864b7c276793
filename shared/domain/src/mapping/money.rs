//! Money that came or went: which account, in which currency, at which rate.

use super::{allocation_reference, date_of, exchange_rate, payment_reference, refund_reference, tidy};
use crate::amount::{Amount, Currency};
use crate::book::{BookRules, ExchangeRates};
use crate::canonical::{Invoice, PaymentInfo};
use crate::code::Code;
use crate::document::{Allocation, Bank, CreditNote, ExchangeRate, Payment, Refund};
use crate::fault::Fault;
use crate::proof::places_of;
use crate::settings::Settings;
use jiff::Timestamp;

/// Methods of which the shop says *paid* as soon as it has invoiced, money or not (Magento 2, `Payment/etc/config.xml`
/// and `Sales/Model/Order/Invoice::register`).
const PAID_BY_WORD: [&str; 4] = ["checkmo", "banktransfer", "cashondelivery", "purchaseorder"];

/// Where the money of a payment method goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentRoute {
    /// To this account of the book.
    Account(String),
    /// The settings say nothing that counts.
    NotMapped,
    /// The settings leave it to a person, or there is never any money.
    DontPay,
}

/// The account of a payment method, in a store of a website. For methods that the shop calls paid before any money came,
/// and where the method is not known, the default account does not count.
#[must_use]
pub fn bank_account_for(
    settings: &Settings,
    method: Option<&str>,
    website_id: u32,
    store_id: Option<u32>,
) -> PaymentRoute {
    let Some(method) = method else { return PaymentRoute::NotMapped };
    if method == crate::policy::FREE {
        return PaymentRoute::DontPay;
    }
    let place = settings.at(website_id, store_id);
    match place.payment_method(method) {
        Some(Some(account)) => PaymentRoute::Account(account.to_owned()),
        Some(None) => PaymentRoute::DontPay,
        None if PAID_BY_WORD.contains(&method) => PaymentRoute::NotMapped,
        None => place
            .default_bank_account()
            .map_or(PaymentRoute::NotMapped, |account| PaymentRoute::Account(account.to_owned())),
    }
}

/// The payment of an invoice, dated by its event where there was one, else by what the shop says.
/// `amount` is what is posted: no more than is outstanding in the book.
///
/// # Errors
/// `payment_method_not_mapped` and `payment_not_wanted`, reasons to leave it out; `settings_invalid` for an unknown time
/// zone; `exchange_rate_unknown` where a rate is needed and none can be given honestly.
pub fn payment(
    invoice: &Invoice,
    info: &PaymentInfo,
    occurred_at: Option<Timestamp>,
    settings: &Settings,
    rules: &BookRules,
    invoice_number: &str,
    invoice_provider_id: &str,
    contact_provider_id: &str,
    amount: Amount,
) -> Result<Payment, Fault> {
    let method = info.method.as_deref().or(invoice.payment_method.as_deref());
    let account = account_of(settings, method, invoice.website_id, Some(invoice.store_id))?;
    if info.currency != invoice.currency {
        return Err(Fault::refused(
            Code::ShopAnswerUnreadable,
            format!("The shop names {} for the payment of an invoice in {}.", info.currency, invoice.currency),
        ));
    }
    let currency = &invoice.currency;
    let rate = exchange_rate(currency, invoice.website_id, invoice.base_to_order_rate, settings, rules.exchange)?;
    let transaction = info.transaction.as_deref().map(tidy).filter(|transaction| !transaction.is_empty());
    let amount = amount.rounded(places_of(&rules.rounding, currency));
    Ok(Payment {
        reference: payment_reference(invoice_number, rules),
        transaction,
        invoice: invoice_provider_id.to_owned(),
        invoice_number: invoice_number.to_owned(),
        contact: contact_provider_id.to_owned(),
        dated_on: date_of(settings, occurred_at.unwrap_or(info.captured_at))?,
        amount,
        currency: currency.clone(),
        bank: bank(account, amount, currency, rate, settings, rules)?,
        exchange_rate: rate,
    })
}

/// A credit note set off against an invoice of the same contact.
#[must_use]
pub fn allocation(
    note: &CreditNote,
    credit_note_provider_id: &str,
    invoice_provider_id: &str,
    amount: Amount,
    rules: &BookRules,
) -> Allocation {
    Allocation {
        reference: allocation_reference(&note.number, rules),
        credit_note: credit_note_provider_id.to_owned(),
        invoice: invoice_provider_id.to_owned(),
        contact: note.contact.clone(),
        dated_on: note.dated_on,
        amount: amount.rounded(places_of(&rules.rounding, &note.currency)),
        currency: note.currency.clone(),
        exchange_rate: note.exchange_rate,
    }
}

/// Money paid back for a credit note, through the account of its invoice's payment method. The shop does not say when
/// the money went, so the credit note's date stands for it.
///
/// # Errors
/// Those of [`payment`].
pub fn refund(
    note: &CreditNote,
    credit_note_provider_id: &str,
    amount: Amount,
    method: Option<&str>,
    website_id: u32,
    store_id: Option<u32>,
    settings: &Settings,
    rules: &BookRules,
) -> Result<Refund, Fault> {
    let account = account_of(settings, method, website_id, store_id)?;
    let amount = amount.rounded(places_of(&rules.rounding, &note.currency));
    Ok(Refund {
        reference: refund_reference(&note.number, rules),
        credit_note: credit_note_provider_id.to_owned(),
        contact: note.contact.clone(),
        dated_on: note.dated_on,
        amount,
        currency: note.currency.clone(),
        bank: bank(account, amount, &note.currency, note.exchange_rate, settings, rules)?,
        exchange_rate: note.exchange_rate,
    })
}

fn account_of(
    settings: &Settings,
    method: Option<&str>,
    website_id: u32,
    store_id: Option<u32>,
) -> Result<String, Fault> {
    let said = method.unwrap_or("unknown");
    match bank_account_for(settings, method, website_id, store_id) {
        PaymentRoute::Account(account) => Ok(account),
        PaymentRoute::NotMapped => Err(Fault::refused(
            Code::PaymentMethodNotMapped,
            format!("No bank account is named for the payment method {said}."),
        )),
        PaymentRoute::DontPay => {
            Err(Fault::refused(Code::PaymentNotWanted, format!("Payments by the method {said} are left to a person.")))
        }
    }
}

/// What moves on the account. Its own currency may be the document's, the book's or, as far as the settings know, a
/// third: then only a book with rates of its own can tell the amount.
fn bank(
    account: String,
    amount: Amount,
    currency: &Currency,
    rate: Option<ExchangeRate>,
    settings: &Settings,
    rules: &BookRules,
) -> Result<Bank, Fault> {
    let book = &settings.book_currency;
    let own = settings.bank_account_currencies.get(&account).unwrap_or(book).clone();
    let moved = if own == *currency {
        Some(amount)
    } else if own == *book {
        rate.and_then(|rate| rate.to_book(amount, own.places()))
    } else {
        None
    };
    if moved.is_none() && rules.exchange == ExchangeRates::Ours {
        return Err(Fault::refused(
            Code::ExchangeRateUnknown,
            format!("The bank account is in {own}, the document in {currency}, and no rate between them is known."),
        ));
    }
    Ok(Bank { account, currency: own, amount: moved })
}
