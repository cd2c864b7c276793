//! Which documents the merchant wants in the book. Leaving one out is an outcome with a reason, not a fault.

use crate::canonical::{Invoice, InvoiceState};
use crate::code::Code;
use crate::settings::Policy;

/// Why an invoice is left out; `None` where it is wanted.
#[must_use]
pub fn leaves_out_invoice(policy: &Policy, invoice: &Invoice) -> Option<Code> {
    if !policy.website_filter.is_empty() && !policy.website_filter.contains(&invoice.website_id) {
        return Some(Code::WebsiteFiltered);
    }
    if !policy.store_filter.is_empty() && !policy.store_filter.contains(&invoice.store_id) {
        return Some(Code::StoreFiltered);
    }
    if policy.sync_since.is_some_and(|since| invoice.created_at < since) {
        return Some(Code::OutsideSyncSince);
    }
    if !policy.sync_zero_value_invoices && invoice.grand_total.is_zero() {
        return Some(Code::ZeroValueInvoice);
    }
    match invoice.state {
        InvoiceState::Cancelled => Some(Code::InvoiceCancelled),
        InvoiceState::Open if !policy.sync_unpaid_invoices => Some(Code::UnpaidInvoice),
        InvoiceState::Open | InvoiceState::Paid => None,
    }
}
