//! Every request, to the byte.

use crate::fixtures::{context, decimal, jane, mapped, settings, shop_invoice, shown};
use ledger_dialects::v2::V2;
use ledger_dialects::{Dialect, Start, Step};
use ledger_domain::amount::Currency;
use ledger_domain::code::Code;
use ledger_domain::document::{Contact, Document, DocumentStatus};
use ledger_domain::fault::Fault;

fn first(document: &Document) -> Result<Step<ledger_domain::document::Posted>, Fault> {
    V2.post(document, &context(), &Start::Fresh, &[])
}

fn created(document: Document, label: &str) -> String {
    let Ok(Step::Create(said, call)) = first(&document) else { panic!("no create") };
    assert_eq!(said, label);
    assert_eq!(first(&document), Ok(Step::Create(said, call.clone())), "the same document gives the same bytes");
    shown(&call)
}

#[test]
fn invoices() {
    let invoice = |invoice, settings| created(Document::Invoice(mapped(&invoice, &settings)), "create_invoice");

    let mut b2b = shop_invoice(
        &["CHAIR|Office chair|1|19.99|19.99|3.6|21.59", "DESK|Desk <oak> & \"ash\"|3|4.95|14.85|2.67|16.04"],
        "34.84 7.27 4.99 1 -3.48 43.62",
    );
    b2b.purchase_order_number = Some("PO 7/2026".to_owned());
    let mut on_terms = settings();
    on_terms.payment_terms_in_days = Some(60);
    insta::assert_snapshot!("invoice_b2b_on_terms_with_discount_and_shipping", invoice(b2b, on_terms));

    let guest = shop_invoice(
        &["A|Jumper|3|12.49|37.47|7.49|44.96", "B|Child's seat|1|7.77|7.77|0.39|8.16", "C|Book|2|8.95|17.9|0|17.9"],
        "63.14 7.88 0 0 0 71.02",
    );
    insta::assert_snapshot!("invoice_guest_with_two_rates_and_none", invoice(guest, settings()));

    let with_tax = shop_invoice(
        &["MUG-BLUE|Café mug 10/12 oz|1|20|20|3.6|21.2", "COASTER|Coaster, \"round\"|2|8.33|16.65|3|17.65"],
        "36.65 7.5 5 0.9 -5 44.98",
    );
    insta::assert_snapshot!("invoice_prices_with_tax_and_coupon", invoice(with_tax, settings()));

    let mut foreign = shop_invoice(&["TEE|Tee 👕|3|23.49|70.47|14.09|84.56"], "70.47 15.27 5.86 1.18 0 91.6");
    foreign.currency = Currency::parse("EUR").unwrap();
    foreign.base_to_order_rate = Some(decimal("1.1753"));
    insta::assert_snapshot!("invoice_foreign_currency_with_rounding", invoice(foreign, settings()));

    let free = shop_invoice(&["TEE|Tee|3|8.32|24.97|0|-5"], "24.97 0 0 0 -29.97 0");
    let mut at_once = settings();
    at_once.payment_terms_in_days = Some(0);
    insta::assert_snapshot!("invoice_of_nothing_due_at_once", invoice(free, at_once));
}

#[test]
fn contacts() {
    let contact = |change: fn(&mut Contact)| {
        let mut contact = jane();
        change(&mut contact);
        created(Document::Contact(contact), "create_contact")
    };
    insta::assert_snapshot!("contact_person", contact(|_| {}));
    insta::assert_snapshot!(
        "contact_company_with_long_address",
        contact(|contact| {
            contact.company = Some("Lee & Co <Ltd>".to_owned());
            let address = contact.address.as_mut().unwrap();
            address.street = ["Unit 4", " ", "Mill Yard", "Old Road", "Upper End"].map(str::to_owned).to_vec();
            address.region = Some("West Yorkshire".to_owned());
            address.country = "fr".to_owned();
        })
    );
    insta::assert_snapshot!(
        "contact_with_emoji_long_name_and_unknown_country",
        contact(|contact| {
            contact.first_name = "🦊".repeat(300);
            contact.last_name = "Σίσυφος \"the <b>Great</b>\"".to_owned();
            contact.phone = None;
            contact.address.as_mut().unwrap().country = "XX".to_owned();
        })
    );
    insta::assert_snapshot!(
        "contact_with_one_name_and_no_address",
        contact(|contact| {
            contact.first_name = String::new();
            contact.address = None;
        })
    );
    insta::assert_snapshot!(
        "contact_without_name",
        contact(|contact| {
            contact.first_name = String::new();
            contact.last_name = String::new();
        })
    );
}

#[test]
fn searches() {
    let looked = |document: &Document| match V2.find(document, &context(), &[]) {
        Ok(Step::Read(label, call)) => format!("{label}\n{}", shown(&call)),
        other => panic!("{other:?}"),
    };
    insta::assert_snapshot!("find_contact", looked(&Document::Contact(jane())));
    insta::assert_snapshot!("find_invoice", looked(&crate::fixtures::plain()));
}

#[test]
fn more_lines_than_a_book_takes_are_refused_before_anything_is_sent() {
    let Document::Invoice(mut invoice) = crate::fixtures::plain() else { panic!("an invoice") };
    let line = invoice.lines.first().unwrap().clone();
    invoice.lines = vec![line; V2.profile().rules.lines_max + 1];
    assert!(first(&Document::Invoice(invoice)).is_err());
}

#[test]
fn a_book_that_keeps_no_drafts_is_sent_none() {
    for status in [DocumentStatus::Draft, DocumentStatus::Submitted] {
        let Document::Invoice(mut invoice) = crate::fixtures::plain() else { panic!("an invoice") };
        invoice.status = status;
        let mut note = crate::fixtures::credit_note();
        note.status = status;
        for document in [Document::Invoice(invoice), Document::CreditNote(note)] {
            assert_eq!(first(&document).map_err(|fault| fault.code), Err(Code::SettingsInvalid), "{document:?}");
        }
    }
}
