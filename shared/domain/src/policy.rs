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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Amount;
    use crate::mapping::tests::{decimal, invoice, memo, mug, settings};
    use crate::settings::Consolidation;

    fn info(invoice: &Invoice) -> PaymentInfo {
        PaymentInfo {
            invoice_id: invoice.magento_id,
            method: invoice.payment_method.clone(),
            currency: invoice.currency.clone(),
            amount: invoice.grand_total,
            captured_at: invoice.created_at,
            transaction: None,
        }
    }

    #[test]
    fn filters_are_asked_before_all() {
        let check = |edit: fn(&mut Policy), of_invoice: Option<Code>, of_memo: Option<Code>| {
            let mut policy = Policy::default();
            edit(&mut policy);
            assert_eq!(leaves_out_invoice(&policy, &invoice()), of_invoice);
            assert_eq!(leaves_out_credit_memo(&policy, &memo(), Some(3)), of_memo);
        };
        let both = |code: Code| (Some(code), Some(code));
        check(|_| {}, None, None);
        let (one, other) = both(Code::WebsiteFiltered);
        check(|policy| policy.website_filter = vec![2], one, other);
        check(|policy| policy.website_filter = vec![2, 1], None, None);
        let (one, other) = both(Code::StoreFiltered);
        check(|policy| policy.store_filter = vec![4], one, other);
        // The invoice is of November, the memo of March.
        let since = |policy: &mut Policy| policy.sync_since = "2026-06-01T00:00:00Z".parse().ok();
        check(since, None, Some(Code::OutsideSyncSince));
        let by_store = Policy { store_filter: vec![4], ..Policy::default() };
        assert_eq!(leaves_out_credit_memo(&by_store, &memo(), None), None);
    }

    #[test]
    fn nothing_and_what_is_not_paid_are_asked_about() {
        let without_nothing = Policy { sync_zero_value_invoices: false, ..Policy::default() };
        let free = Invoice { grand_total: Amount::ZERO, ..invoice() };
        assert_eq!(leaves_out_invoice(&without_nothing, &free), Some(Code::ZeroValueInvoice));
        assert_eq!(leaves_out_invoice(&Policy::default(), &free), None);
        let nothing = CreditMemo { grand_total: Amount::ZERO, ..memo() };
        assert_eq!(leaves_out_credit_memo(&without_nothing, &nothing, None), Some(Code::ZeroValueInvoice));
        let open = Invoice { state: InvoiceState::Open, ..invoice() };
        let paid_only = Policy { sync_unpaid_invoices: false, ..Policy::default() };
        assert_eq!(leaves_out_invoice(&paid_only, &open), Some(Code::UnpaidInvoice));
        assert_eq!(leaves_out_invoice(&Policy::default(), &open), None);
    }

    #[test]
    fn a_payment_needs_money_an_account_and_an_approved_invoice() {
        let mut settings = settings();
        settings.payment_methods.insert("stripe_payments".to_owned(), Some("1200".to_owned()));
        settings.payment_methods.insert("paypal".to_owned(), None);
        let check = |settings: &Settings, edit: fn(&mut Invoice), expected: Option<Code>| {
            let mut invoice = invoice();
            edit(&mut invoice);
            assert_eq!(leaves_out_payment(settings, &invoice, &info(&invoice)), expected);
        };
        let method = |invoice: &mut Invoice, code: &str| invoice.payment_method = Some(code.to_owned());
        check(&settings, |_| {}, None);
        check(&settings, |it| it.state = InvoiceState::Open, Some(Code::UnpaidInvoice));
        check(&settings, |it| it.state = InvoiceState::Cancelled, Some(Code::InvoiceCancelled));
        check(&settings, |it| it.grand_total = Amount::ZERO, Some(Code::NothingToPay));
        check(&settings, |it| it.payment_method = Some(FREE.to_owned()), Some(Code::NothingToPay));
        let mut wired = invoice();
        method(&mut wired, "banktransfer");
        let with_default = Settings { default_bank_account: Some("1299".to_owned()), ..settings.clone() };
        assert_eq!(leaves_out_payment(&with_default, &wired, &info(&wired)), Some(Code::PaymentMethodNotMapped));
        check(&with_default, |it| it.payment_method = Some("klarna".to_owned()), None);
        check(&settings, |it| it.payment_method = Some("klarna".to_owned()), Some(Code::PaymentMethodNotMapped));
        check(&settings, |it| it.payment_method = Some("paypal".to_owned()), Some(Code::PaymentNotWanted));
        for status in [DocumentStatus::Draft, DocumentStatus::Submitted] {
            let settings = Settings { document_status: status, ..settings.clone() };
            check(&settings, |_| {}, Some(Code::InvoiceNotApproved));
        }
    }

    #[test]
    fn customers_under_one_contact_are_left_out() {
        let customer = invoice().customer;
        let mut settings = settings();
        assert_eq!(leaves_out_customer(&settings, &customer), None);
        settings.consolidation = Some(Consolidation {
            name: "Web".to_owned(),
            email: "web@shop.example".to_owned(),
            reference: "WEB".to_owned(),
            min_total_for_individual: decimal("0"),
            always_individual_for_b2b: true,
        });
        assert_eq!(leaves_out_customer(&settings, &customer), Some(Code::ContactConsolidated));
        let company = Customer { company: Some("Lee & Co".to_owned()), ..customer };
        assert_eq!(leaves_out_customer(&settings, &company), None);
        settings.policy.website_filter = vec![7];
        assert_eq!(leaves_out_customer(&settings, &company), Some(Code::WebsiteFiltered));
    }

    #[test]
    fn products_go_where_they_are_wanted() {
        let mut settings = settings();
        assert_eq!(leaves_out_product(&settings, &mug()), Some(Code::ProductsNotSynced));
        settings.policy.sync_products = true;
        assert_eq!(leaves_out_product(&settings, &mug()), None);
        let composite = Product { product_type: "bundle".to_owned(), ..mug() };
        assert_eq!(leaves_out_product(&settings, &composite), Some(Code::ProductTypeNotSupported));
        settings.policy.website_filter = vec![9];
        assert_eq!(leaves_out_product(&settings, &mug()), Some(Code::WebsiteFiltered));
        settings.policy.website_filter = vec![9, 1];
        assert_eq!(leaves_out_product(&settings, &mug()), None);
    }
}
