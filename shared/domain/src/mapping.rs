//! From the shop's documents to the book's: who buys, under which number, on which date, at which rate, in which lines,
//! through which account.
//!
//! Invariants: nothing is guessed that would move money. What can't be known is a refusal with a code.

use crate::code::Code;
use crate::fault::Fault;
use crate::settings::Settings;
use jiff::Timestamp;
use jiff::civil::Date;

mod contact;
mod credit_note;
mod exchange;
mod invoice;
mod lines;
mod money;
mod number;
mod product;

pub use contact::{contact_of, contact_of_customer, contact_of_memo};
pub use credit_note::{credit_note, credited_invoice};
pub use exchange::{EXCHANGE_RATE_PLACES, exchange_rate};
pub use invoice::sales_invoice;
pub use money::{PaymentRoute, allocation, bank_account_for, payment, refund};
pub use number::{
    allocation_reference, credit_note_number, credit_note_number_with_store, invoice_number, invoice_number_with_store,
    payment_reference, previous_credit_note_number, previous_invoice_number, refund_reference,
};
pub use product::{product, stock_movement};

/// The calendar date of a moment in the book.
fn date_of(settings: &Settings, moment: Timestamp) -> Result<Date, Fault> {
    settings.date_of(moment).ok_or_else(|| {
        Fault::refused(Code::SettingsInvalid, format!("time_zone {:?} is no time zone.", settings.time_zone))
    })
}

/// One line of text: whitespace and control characters become single spaces.
fn tidy(text: &str) -> String {
    let spaced: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(crate) mod tests;
