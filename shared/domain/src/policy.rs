//! Which documents the merchant wants in the book. Leaving one out is an outcome with a reason, not a fault.

use crate::canonical::{CreditMemo, Customer, Invoice, InvoiceState, PaymentInfo, Product};
use crate::code::Code;
use crate::document::DocumentStatus;
use crate::mapping::{PaymentRoute, bank_account_for};
use crate::settings::{Policy, Settings};

/// The payment method of orders that cost nothing (Magento 2, `Payment/Model/Method/Free`).
pub const FREE: &str = "free";

/// Why an invoice is left out; `None` where it is wanted.
#[must_use]
pub fn leaves_out_invoice(policy: &Policy, invoice: &Invoice) -> Option<Code> {
    if let Some(code) = elsewhere(policy, invoice.website_id, Some(invoice.store_id)) {
        return Some(code);
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

/// Why a credit memo is left out; `None` where it is wanted. `store_id` is its event's, else its invoice's: the memo
/// does not say. Without one a filter by store lets it pass, because the website's default store is not known either.
#[must_use]
pub fn leaves_out_credit_memo(policy: &Policy, memo: &CreditMemo, store_id: Option<u32>) -> Option<Code> {
    if let Some(code) = elsewhere(policy, memo.website_id, store_id) {
        return Some(code);
    }
    if policy.sync_since.is_some_and(|since| memo.created_at < since) {
        return Some(Code::OutsideSyncSince);
    }
    (!policy.sync_zero_value_invoices && memo.grand_total.is_zero()).then_some(Code::ZeroValueInvoice)
}

/// Why a payment is left out; `None` where it is wanted. The invoice itself is asked about by [`leaves_out_invoice`].
#[must_use]
pub fn leaves_out_payment(settings: &Settings, invoice: &Invoice, info: &PaymentInfo) -> Option<Code> {
    match invoice.state {
        InvoiceState::Cancelled => return Some(Code::InvoiceCancelled),
        InvoiceState::Open => return Some(Code::UnpaidInvoice),
        InvoiceState::Paid => {}
    }
    let method = info.method.as_deref().or(invoice.payment_method.as_deref());
    if method == Some(FREE) || info.amount.is_zero() {
        return Some(Code::NothingToPay);
    }
    match bank_account_for(settings, method, invoice.website_id, Some(invoice.store_id)) {
        PaymentRoute::NotMapped => return Some(Code::PaymentMethodNotMapped),
        PaymentRoute::DontPay => return Some(Code::PaymentNotWanted),
        PaymentRoute::Account(_) => {}
    }
    (settings.document_status != DocumentStatus::Approved).then_some(Code::InvoiceNotApproved)
}

/// Why a customer is left out; `None` where they are wanted.
#[must_use]
pub fn leaves_out_customer(settings: &Settings, customer: &Customer) -> Option<Code> {
    if let Some(code) = elsewhere(&settings.policy, customer.website_id, None) {
        return Some(code);
    }
    let consolidation = settings.consolidation.as_ref()?;
    let individual = consolidation.always_individual_for_b2b && customer.company.is_some();
    (!individual).then_some(Code::ContactConsolidated)
}

/// Why a product is left out; `None` where it is wanted.
#[must_use]
pub fn leaves_out_product(settings: &Settings, product: &Product) -> Option<Code> {
    let policy = &settings.policy;
    if !policy.sync_products {
        return Some(Code::ProductsNotSynced);
    }
    let filter = &policy.website_filter;
    if !filter.is_empty() && !product.website_ids.iter().any(|website| filter.contains(website)) {
        return Some(Code::WebsiteFiltered);
    }
    settings.item_type(&product.product_type).is_none().then_some(Code::ProductTypeNotSupported)
}

/// The filters by website and store.
fn elsewhere(policy: &Policy, website_id: u32, store_id: Option<u32>) -> Option<Code> {
    if !policy.website_filter.is_empty() && !policy.website_filter.contains(&website_id) {
        return Some(Code::WebsiteFiltered);
    }
    let store = store_id.filter(|_| !policy.store_filter.is_empty())?;
    (!policy.store_filter.contains(&store)).then_some(Code::StoreFiltered)
}
