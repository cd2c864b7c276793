//! Who buys, what they are called, when they pay.

use super::notes::memo;
use super::*;
use crate::settings::{Consolidation, NamePriority};

const PER_CURRENCY: BookRules = BookRules { contact_per_currency: true, ..RULES };

fn web_sales() -> Consolidation {
    Consolidation {
        name: "Web Sales".to_owned(),
        email: "web@shop.example".to_owned(),
        reference: "WEBSALES".to_owned(),
        min_total_for_individual: Decimal::ZERO,
        always_individual_for_b2b: true,
    }
}

fn of_a_company() -> Invoice {
    let mut invoice = invoice();
    invoice.customer.company = Some("Lee & Co Ltd".to_owned());
    invoice
}

#[test]
fn the_settings_say_what_a_contact_is_called() {
    let named = |priority: NamePriority, invoice: &Invoice| {
        let settings = Settings { customer_name_priority: priority, ..settings() };
        contact_of(invoice, &settings, &RULES).unwrap().name
    };
    assert_eq!(named(NamePriority::Company, &of_a_company()), "Lee & Co Ltd");
    assert_eq!(named(NamePriority::Person, &of_a_company()), "Jane O'Hara");
    assert_eq!(named(NamePriority::Company, &invoice()), "Jane O'Hara");
    let mut nobody = of_a_company();
    (nobody.customer.first_name, nobody.customer.last_name) = (String::new(), String::new());
    assert_eq!(named(NamePriority::Person, &nobody), "Lee & Co Ltd");
    nobody.customer.company = None;
    assert_eq!(named(NamePriority::Person, &nobody), "jane");
}

#[test]
fn a_contact_has_a_currency_only_where_the_book_wants_one() {
    let mut euros = invoice();
    euros.currency = Currency::parse("EUR").unwrap();
    let currency = |contact: Result<Contact, Fault>| contact.unwrap().currency.map(|currency| currency.to_string());
    assert_eq!(currency(contact_of(&euros, &settings(), &RULES)), None);
    assert_eq!(currency(contact_of(&euros, &settings(), &PER_CURRENCY)).as_deref(), Some("EUR"));
    let customer = euros.customer;
    assert_eq!(currency(contact_of_customer(&customer, &settings(), &PER_CURRENCY)).as_deref(), Some("GBP"));
    let mut settings = settings();
    settings.base_currencies.insert(1, Currency::parse("USD").unwrap());
    assert_eq!(currency(contact_of_customer(&customer, &settings, &PER_CURRENCY)).as_deref(), Some("USD"));
    assert_eq!(contact_of_customer(&customer, &settings, &RULES).unwrap().address.unwrap().city, "York");
}

#[test]
fn many_buyers_may_share_a_contact() {
    let shared = |invoice: &Invoice, one: Consolidation| {
        let settings = Settings { consolidation: Some(one), ..settings() };
        contact_of(invoice, &settings, &PER_CURRENCY).unwrap()
    };
    let contact = shared(&invoice(), web_sales());
    assert_eq!((contact.name.as_str(), contact.email.as_str()), ("Web Sales", "web@shop.example"));
    assert_eq!((contact.code(0).as_str(), contact.address), ("WEBSALES", None));
    assert_eq!(contact.currency.map(|it| it.to_string()).as_deref(), Some("GBP"));
    // Trade has contacts of its own, unless the settings say otherwise.
    assert_eq!(shared(&of_a_company(), web_sales()).email, "jane@example.com");
    let mut ordered = invoice();
    ordered.purchase_order_number = Some("PO-1".to_owned());
    assert_eq!(shared(&ordered, web_sales()).email, "jane@example.com");
    let all = Consolidation { always_individual_for_b2b: false, ..web_sales() };
    assert_eq!(shared(&of_a_company(), all).email, "web@shop.example");
    // 44.98 is the invoice's total.
    for (least, email) in [("44.98", "jane@example.com"), ("44.99", "web@shop.example"), ("0", "web@shop.example")] {
        let one = Consolidation { min_total_for_individual: decimal(least), ..web_sales() };
        assert_eq!(shared(&invoice(), one).email, email, "{least}");
    }
}

#[test]
fn a_memo_goes_to_its_invoices_contact() {
    let mut memo = memo();
    memo.customer.email = "other@example.com".to_owned();
    let email = |invoice: Option<&Invoice>, settings: &Settings| {
        contact_of_memo(&memo, invoice, settings, &RULES).unwrap().email
    };
    assert_eq!(email(Some(&invoice()), &settings()), "jane@example.com");
    assert_eq!(email(None, &settings()), "other@example.com");
    let settings = Settings { consolidation: Some(web_sales()), ..settings() };
    assert_eq!(email(None, &settings), "web@shop.example");
    assert_eq!(email(Some(&of_a_company()), &settings), "jane@example.com");
}

#[test]
fn terms_are_the_customers_the_groups_everybodys_the_books() {
    let mut settings = settings();
    let terms = |settings: &Settings| {
        let posted = mapped(&invoice(), settings).unwrap();
        let kept = contact_of(&invoice(), settings, &RULES).unwrap().payment_terms_in_days;
        (posted.payment_terms_in_days, kept)
    };
    assert_eq!(terms(&settings), (30, None));
    settings.payment_terms_in_days = Some(14);
    assert_eq!(terms(&settings), (14, Some(14)));
    settings.payment_terms_by_group.insert(1, 45);
    assert_eq!(terms(&settings), (45, Some(45)));
    settings.payment_terms_by_customer.insert("jane@example.com".to_owned(), 0);
    assert_eq!(terms(&settings), (0, Some(0)));
    settings.payment_terms_by_customer.insert("17".to_owned(), 60);
    assert_eq!(terms(&settings), (60, Some(60)));
}
