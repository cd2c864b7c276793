//! Sales invoices.

use super::contact::destination_of;
use super::lines::{Described, Destined, document_lines};
use super::{date_of, exchange_rate, tidy};
use crate::book::BookRules;
use crate::canonical::Invoice;
use crate::document::SalesInvoice;
use crate::fault::Fault;
use crate::proof;
use crate::settings::Settings;
use std::collections::BTreeMap;

/// An invoice as the book shall show it, proven to the penny. `item_types` are the book's item types of those SKUs that
/// a product sync has left behind.
///
/// # Errors
/// Those of [`crate::proof::prove`]; `settings_invalid` for an unknown time zone or a missing category;
/// `exchange_rate_unknown` where the book needs a rate and none can be given honestly; `tax_rate_unmapped` where it
/// needs a tax code and none is named; `too_many_lines`.
pub fn sales_invoice(
    invoice: &Invoice,
    settings: &Settings,
    number: &str,
    contact_provider_id: &str,
    item_types: &BTreeMap<String, String>,
    rules: &BookRules,
) -> Result<SalesInvoice, Fault> {
    let dated_on = date_of(settings, invoice.created_at)?;
    let exchange_rate =
        exchange_rate(&invoice.currency, invoice.website_id, invoice.base_to_order_rate, settings, rules.exchange)?;
    let destined = Destined {
        settings,
        place: settings.at(invoice.website_id, Some(invoice.store_id)),
        destination: destination_of(invoice),
        rules,
    };
    let rates = destined.tax_rates();
    let proof = proof::prove(invoice, &destined.terms(&rates))?;
    let described = Described { rows: &invoice.lines, currency: &invoice.currency, item_types };
    let lines = document_lines(&proof, &described, &destined)?;
    let purchase_order_number = invoice.purchase_order_number.as_deref().map(tidy).filter(|number| !number.is_empty());
    Ok(SalesInvoice {
        number: number.to_owned(),
        order_number: invoice.order_increment_id.clone(),
        purchase_order_number,
        contact: contact_provider_id.to_owned(),
        dated_on,
        payment_terms_in_days: settings.terms_of(&invoice.customer).unwrap_or(rules.payment_terms_in_days),
        status: settings.document_status,
        currency: invoice.currency.clone(),
        exchange_rate,
        destination: destined.destination,
        lines,
        total: proof.total,
    })
}
