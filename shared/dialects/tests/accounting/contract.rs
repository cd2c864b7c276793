//! Every request against Xero's published `OpenAPI` description, where a copy is at hand.

use crate::described::{Described, description, holds, not_on_its_page, snapshots};
use serde_json::json;

#[test]
fn requests_are_as_the_published_description_has_them() {
    let Some(root) = description("xero_accounting.yaml") else { return };
    let described = Described::new(root, "/api.xro/2.0", &json!({}));
    let requests = snapshots("accounting");
    assert!(requests.len() > 30 && requests.iter().filter(|request| request.body.is_some()).count() > 20);
    holds(
        &described,
        &requests,
        &[
            ("invoice", "/Invoices/0/Status", Some(json!("OPEN")), "OPEN"),
            ("invoice", "/Invoices/0/Type", Some(json!("ACCREC ")), "ACCREC "),
            ("invoice", "/Invoices/0/LineAmountTypes", Some(json!("Net")), "Net"),
            ("invoice", "/Invoices/0/CurrencyCode", Some(json!("GBX")), "GBX"),
            ("invoice", "/Invoices/0/Date", Some(json!("20 November 2026")), "date"),
            ("invoice", "/Invoices/0/Contact/ContactID", Some(json!("7")), "uuid"),
            ("invoice", "/Invoices/0/Contact/Nickname", Some(json!("J")), "Nickname"),
            ("invoice", "/Invoices/0/LineItems/0/Colour", Some(json!("red")), "Colour"),
            ("invoice", "/Invoices/0/LineItems/0/Quantity", Some(json!("1")), "number"),
            ("invoice", "/Invoices/0/InvoiceNumber", Some(json!("x".repeat(256))), "255"),
            ("invoice", "/Invoices/0/AmountDue", Some(json!(1)), "AmountDue"),
            ("contact_person", "/Contacts/0/Name", Some(json!("x".repeat(256))), "255"),
            ("contact_person", "/Contacts/0/Addresses/0/AddressType", Some(json!("HOME")), "HOME"),
            ("contact_person", "/Contacts/0/Addresses/0/Country", Some(json!("x".repeat(51))), "50"),
            ("contact_person", "/Contacts/0/Phones/0/PhoneNumber", Some(json!(44)), "string"),
            ("payment", "/Payments/0/Account/Code", Some(json!(90)), "string"),
            ("allocation", "/Allocations/0/Date", None, "required"),
            ("product", "/Items/0/Code", None, "required"),
            ("product", "/Items/0/SalesDetails/UnitPrice", Some(json!("24")), "number"),
            ("product", "/Items/0/Name", Some(json!("x".repeat(51))), "50"),
        ],
    );
}

#[test]
fn every_field_that_is_sent_is_on_the_page_of_its_dialect() {
    for (dialect, page) in [("accounting", "xero-accounting.md"), ("v2", "xero-v2.md"), ("freeagent", "freeagent.md")] {
        assert_eq!(not_on_its_page(dialect, page), Vec::<String>::new(), "{dialect}");
    }
}
