//! Every request against the published description of the API (Sage Accounting API v3.1, Swagger 2.0), where a copy is
//! at hand.

use crate::described::{Described, description, holds, not_on_its_page, snapshots};
use serde_json::json;

/// Paths that the API has and its description leaves out (Sage Accounting API guides, multi-business).
const UNDESCRIBED_PATHS: [&str; 1] = ["/v3.1/businesses"];
/// What is asked after the book has refused what is described.
const UNDESCRIBED: [&str; 1] = ["find_payment_by_days"];

#[test]
fn requests_are_as_the_published_description_has_them() {
    let Some(root) = description("sage_accounting_v3.1.json") else { return };
    // The description leaves it out (Sage Accounting API guides, idempotency).
    let undescribed = json!({"idempotency_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}});
    let described = Described::new(root, "/v3.1", &undescribed);
    let mut requests = snapshots("sage");
    requests.retain(|request| {
        !UNDESCRIBED_PATHS.contains(&request.path.as_str()) && !UNDESCRIBED.contains(&request.name.as_str())
    });
    assert!(requests.len() > 60 && requests.iter().filter(|request| request.body.is_some()).count() > 35);
    holds(
        &described,
        &requests,
        &[
            ("contact_person", "/contact/name", None, "required"),
            ("contact_person", "/contact/nom", Some(json!("Jane")), "nom"),
            ("contact_person", "/contact/credit_days", Some(json!("30")), "integer"),
            ("contact_person", "/contact/credit_days", Some(json!(366)), "365"),
            ("contact_person", "/contact/contact_type_ids", Some(json!([7])), "string"),
            ("contact_person", "/contact/main_address/town", Some(json!("London")), "town"),
            ("contact_person", "/contact/main_contact_person/is_main_contact", Some(json!("yes")), "boolean"),
            ("contact_person", "/contact/idempotency_id", Some(json!("7")), "match"),
            ("invoice", "/sales_invoice/contact_id", None, "required"),
            ("invoice", "/sales_invoice/date", Some(json!("20/11/2026")), "date"),
            ("invoice", "/sales_invoice/invoice_lines/0/colour", Some(json!("red")), "colour"),
            ("invoice", "/sales_invoice/invoice_lines/0/unit_price", Some(json!("10")), "number"),
            ("invoice", "/sales_invoice/invoice_lines/0/ledger_account_id", None, "required"),
            ("invoice", "/sales_invoice/notes", Some(json!(7)), "string"),
            ("allocation", "/contact_allocation/allocated_artefacts/0/amount", Some(json!(true)), "number"),
            ("payment", "/contact_payment/total_amount", None, "required"),
            ("product", "/product/sales_prices/0/price", Some(json!([])), "number"),
        ],
    );
}

#[test]
fn every_field_that_is_sent_is_on_the_page() {
    assert_eq!(not_on_its_page("sage", "sage.md"), Vec::<String>::new());
}
