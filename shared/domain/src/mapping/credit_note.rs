//! Credit notes.

use super::contact::destination_of_memo;
use super::lines::{Described, Destined, document_lines};
use super::{date_of, exchange_rate};
use crate::book::BookRules;
use crate::canonical::{CreditMemo, Invoice};
use crate::document::{CreditNote, CreditedInvoice};
use crate::fault::Fault;
use crate::proof;
use crate::settings::Settings;
use std::collections::BTreeMap;

/// A credit memo as the book shall show it, proven to the penny. `invoice` is the shop's invoice that it was made from,
/// where it names one; `store_id` its event's store. `item_types` as for an invoice.
///
/// # Errors
/// Those of [`crate::proof::prove_credit_memo`] and of [`super::sales_invoice`].
pub fn credit_note(
    memo: &CreditMemo,
    invoice: Option<&Invoice>,
    settings: &Settings,
    number: &str,
    contact_provider_id: &str,
    credited: Option<CreditedInvoice>,
    store_id: Option<u32>,
    item_types: &BTreeMap<String, String>,
    rules: &BookRules,
) -> Result<CreditNote, Fault> {
    let dated_on = date_of(settings, memo.created_at)?;
    let exchange_rate =
        exchange_rate(&memo.currency, memo.website_id, memo.base_to_order_rate, settings, rules.exchange)?;
    let store_id = store_id.or_else(|| invoice.map(|invoice| invoice.store_id));
    let destined = Destined {
        settings,
        place: settings.at(memo.website_id, store_id),
        destination: destination_of_memo(memo, invoice),
        rules,
    };
    let rates = destined.tax_rates();
    let proof = proof::prove_credit_memo(memo, invoice, &destined.terms(&rates))?;
    let described = Described { rows: &memo.lines, currency: &memo.currency, item_types };
    let lines = document_lines(&proof, &described, &destined)?;
    Ok(CreditNote {
        number: number.to_owned(),
        invoice: credited,
        contact: contact_provider_id.to_owned(),
        dated_on,
        status: settings.document_status,
        currency: memo.currency.clone(),
        exchange_rate,
        destination: destined.destination,
        lines,
        total: proof.total,
    })
}

/// The invoice that a memo credits, where the shop names one: in the book under `provider_id` and `number`, where it is
/// there, else under the shop's own number.
///
/// # Errors
/// `settings_invalid` for an unknown time zone.
pub fn credited_invoice(
    memo: &CreditMemo,
    posted: Option<(&str, &str)>,
    settings: &Settings,
) -> Result<Option<CreditedInvoice>, Fault> {
    let (provider_id, number) = match (posted, &memo.invoice_increment_id) {
        (Some((provider_id, number)), _) => (Some(provider_id.to_owned()), number.to_owned()),
        (None, Some(number)) => (None, number.clone()),
        (None, None) => return Ok(None),
    };
    let dated_on = memo.invoice_created_at.map(|moment| date_of(settings, moment)).transpose()?;
    Ok(Some(CreditedInvoice { provider_id, number, dated_on }))
}
