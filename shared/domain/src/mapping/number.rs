//! Our numbers and references. Each fits the book's limit: a longer one ends in a fingerprint of the whole, so that two
//! stay two.

use crate::book::BookRules;
use crate::document::fitted;
use crate::settings::{CREDIT_NOTE_MARK, Settings};

/// Our number for an invoice: the binding's prefix and the shop's increment id.
#[must_use]
pub fn invoice_number(settings: &Settings, increment_id: &str, rules: &BookRules) -> String {
    numbered(&settings.number_prefix, increment_id, rules)
}

/// Our number for an invoice whose plain number another document of the shop has: with the store behind it.
#[must_use]
pub fn invoice_number_with_store(settings: &Settings, increment_id: &str, store_id: u32, rules: &BookRules) -> String {
    numbered_with_store(&settings.number_prefix, increment_id, store_id, rules)
}

/// The number under which a previous service has posted an invoice, where the binding names its prefix.
#[must_use]
pub fn previous_invoice_number(settings: &Settings, increment_id: &str, rules: &BookRules) -> Option<String> {
    Some(numbered(settings.previous_prefix.as_deref()?, increment_id, rules))
}

/// Our number for a credit memo: the binding's prefix for credit notes and the shop's increment id.
#[must_use]
pub fn credit_note_number(settings: &Settings, increment_id: &str, rules: &BookRules) -> String {
    numbered(&credit_note_prefix(settings), increment_id, rules)
}

/// Our number for a credit memo whose plain number another document of the shop has: with the store, or where none is
/// known the website, behind it.
#[must_use]
pub fn credit_note_number_with_store(
    settings: &Settings,
    increment_id: &str,
    store_id: u32,
    rules: &BookRules,
) -> String {
    numbered_with_store(&credit_note_prefix(settings), increment_id, store_id, rules)
}

/// The number under which a previous service has posted a credit memo, where the binding names its prefix.
#[must_use]
pub fn previous_credit_note_number(settings: &Settings, increment_id: &str, rules: &BookRules) -> Option<String> {
    let prefix = settings.previous_prefix.as_deref()?;
    Some(numbered(&format!("{prefix}{CREDIT_NOTE_MARK}"), increment_id, rules))
}

/// Our reference for the payment of an invoice: the shop knows one a document.
#[must_use]
pub fn payment_reference(invoice_number: &str, rules: &BookRules) -> String {
    fitted(&format!("{invoice_number}-P"), rules.number_length_max)
}

/// Our reference for setting a credit note off against its invoice.
#[must_use]
pub fn allocation_reference(credit_note_number: &str, rules: &BookRules) -> String {
    fitted(&format!("{credit_note_number}-A"), rules.number_length_max)
}

/// Our reference for the money that a credit note gives back.
#[must_use]
pub fn refund_reference(credit_note_number: &str, rules: &BookRules) -> String {
    fitted(&format!("{credit_note_number}-R"), rules.number_length_max)
}

fn credit_note_prefix(settings: &Settings) -> String {
    match &settings.credit_note_prefix {
        Some(prefix) => prefix.clone(),
        None => format!("{}{CREDIT_NOTE_MARK}", settings.number_prefix),
    }
}

fn numbered(prefix: &str, increment_id: &str, rules: &BookRules) -> String {
    fitted(&format!("{prefix}{}", increment_id.trim()), rules.number_length_max)
}

fn numbered_with_store(prefix: &str, increment_id: &str, store_id: u32, rules: &BookRules) -> String {
    fitted(&format!("{prefix}{}-S{store_id}", increment_id.trim()), rules.number_length_max)
}
