use super::*;
use crate::amount::{Amount, Currency};
use crate::book::{BookRules, ExchangeRates, Rounding, TaxRounding};
use crate::canonical::{Address, Customer, Invoice, InvoiceState, Line};
use crate::document::{Contact, SalesInvoice};
use crate::proof;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::str::FromStr;

pub(crate) fn decimal(text: &str) -> Decimal {
    Decimal::from_str(text).unwrap()
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

pub(crate) fn line(sku: &str, name: &str, numbers: [&str; 5]) -> Line {
    let [quantity, unit_price, subtotal, tax, total] = numbers.map(amount);
    Line { sku: sku.to_owned(), name: name.to_owned(), quantity, unit_price, subtotal, tax, total }
}

fn address(kind: &str, city: &str) -> Address {
    Address {
        kind: kind.to_owned(),
        street: vec!["1 High Street".to_owned()],
        city: city.to_owned(),
        region: None,
        postcode: None,
        country: "GB".to_owned(),
    }
}

mod buyers;
mod moneys;
mod notes;

pub(crate) use moneys::mug;
pub(crate) use notes::memo;

/// Prices and shipping with tax, 10 % off both.
pub(crate) fn invoice() -> Invoice {
    Invoice {
        magento_id: 42,
        increment_id: "000000042".to_owned(),
        order_id: 57,
        order_increment_id: "000000057".to_owned(),
        website_id: 1,
        store_id: 3,
        currency: Currency::parse("GBP").unwrap(),
        state: InvoiceState::Paid,
        customer: Customer {
            magento_id: 17,
            email: " Jane@Example.com ".to_owned(),
            first_name: "Jane".to_owned(),
            last_name: "O'Hara".to_owned(),
            company: None,
            phone: Some("+44 20 7946 0958".to_owned()),
            website_id: 1,
            group_id: Some(1),
            addresses: vec![address("shipping", "Leeds"), address("billing", "York")],
            created_at: None,
            updated_at: None,
        },
        lines: vec![
            line("MUG-BLUE", "Café mug 10/12 oz", ["1", "20", "20", "3.6", "21.2"]),
            line("COASTER", "Coaster, \"round\"", ["3", "5.55", "16.65", "3", "17.65"]),
        ],
        subtotal: amount("36.65"),
        tax: amount("7.5"),
        shipping: amount("5"),
        shipping_tax: amount("0.9"),
        discount: amount("-5"),
        grand_total: amount("44.98"),
        created_at: "2026-11-20T09:30:00Z".parse().unwrap(),
        payment_method: Some("stripe_payments".to_owned()),
        billing_address: Some(address("billing", "London")),
        shipping_address: Some(address("shipping", "Leeds")),
        purchase_order_number: None,
        base_to_order_rate: Some(Decimal::ONE),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        sales_tax_rates: vec![decimal("20"), decimal("5"), decimal("0")],
        number_prefix: "MAG-".to_owned(),
        ..Settings::least("Europe/London", Currency::parse("GBP").unwrap(), "sales", "carriage")
    }
}

pub(crate) const RULES: BookRules = BookRules {
    rounding: Rounding { unit_price_places: 2, amount_places_max: 4, tax: TaxRounding::Computed },
    exchange: ExchangeRates::Ours,
    tax_codes: false,
    contact_per_currency: false,
    number_length_max: 255,
    lines_max: 500,
    keeps_drafts: true,
    payment_terms_in_days: 30,
};

fn mapped(invoice: &Invoice, settings: &Settings) -> Result<SalesInvoice, Fault> {
    sales_invoice(invoice, settings, "MAG-000000042", "c-1", &BTreeMap::new(), &RULES)
}

#[test]
fn an_invoice_says_what_was_sold() {
    let posted = mapped(&invoice(), &settings()).unwrap();
    let said: Vec<_> = posted
        .lines
        .iter()
        .map(|line| (line.description.as_str(), line.quantity.to_string(), line.category.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("Café mug 10/12 oz (MUG-BLUE), discount 2.00 included", "1".to_owned(), "sales"),
            ("Coaster, \"round\" (COASTER), quantity 3, discount 1.67 included", "1".to_owned(), "sales"),
            ("Shipping, discount 0.50 included", "1".to_owned(), "carriage"),
        ]
    );
    assert_eq!(posted.total, amount("44.98"));
    assert_eq!(proof::modelled_document_total(&posted.lines, &RULES.rounding, &posted.currency), Ok(amount("44.98")));
    assert_eq!((posted.payment_terms_in_days, posted.exchange_rate), (30, None));
    assert_eq!((posted.number.as_str(), posted.order_number.as_str()), ("MAG-000000042", "000000057"));
}

#[test]
fn a_line_goes_to_the_category_of_its_item_type_or_website() {
    let mut settings = settings();
    settings.income_categories.insert(1, "website-sales".to_owned());
    settings.item_type_categories.insert("Services".to_owned(), "service-sales".to_owned());
    let item_types =
        BTreeMap::from([("MUG-BLUE".to_owned(), "Services".to_owned()), ("COASTER".to_owned(), "Products".to_owned())]);
    let posted = sales_invoice(&invoice(), &settings, "N", "c-1", &item_types, &RULES).unwrap();
    let routed: Vec<_> = posted.lines.iter().map(|line| (line.category.as_str(), line.item_type.as_deref())).collect();
    assert_eq!(routed, [("service-sales", Some("Services")), ("website-sales", Some("Products")), ("carriage", None)]);

    settings.shipping_category = " ".to_owned();
    assert_eq!(mapped(&invoice(), &settings).unwrap_err().code, Code::SettingsInvalid);
}

#[test]
fn discounts_after_tax_and_rounding_have_lines_of_their_own() {
    let mut invoice = invoice();
    invoice.lines = vec![line("TEE", "Tee", ["3", "8.32", "24.97", "5", "29.97"])];
    (invoice.subtotal, invoice.tax) = (amount("24.97"), amount("5"));
    (invoice.shipping, invoice.shipping_tax, invoice.discount) = (Amount::ZERO, Amount::ZERO, Amount::ZERO);
    invoice.grand_total = amount("29.97");
    let said = |invoice: &Invoice| {
        let posted = mapped(invoice, &settings()).unwrap();
        posted.lines.iter().map(|line| format!("{} {}", line.description, line.unit_price)).collect::<Vec<_>>()
    };
    assert_eq!(said(&invoice), ["Tee (TEE), quantity 3 24.97", "Rounding 0.01"]);

    invoice.lines = vec![line("TEE", "", ["2", "50", "100", "20", "110"])];
    (invoice.subtotal, invoice.tax, invoice.shipping) = (amount("100"), amount("22"), amount("10"));
    (invoice.shipping_tax, invoice.discount, invoice.grand_total) = (amount("2"), amount("-11"), amount("121"));
    assert_eq!(said(&invoice), ["TEE 50", "Discount on TEE -10", "Shipping 10", "Discount on shipping -1"]);
}

#[test]
fn dates_are_calendar_dates_of_the_book() {
    let check = |zone: &str, moment: &str, expected: Option<&str>| {
        let settings = Settings { time_zone: zone.to_owned(), ..settings() };
        let invoice = Invoice { created_at: moment.parse().unwrap(), ..invoice() };
        let dated = mapped(&invoice, &settings);
        match expected {
            Some(date) => assert_eq!(dated.unwrap().dated_on.to_string(), date, "{zone} {moment}"),
            None => assert_eq!(dated.unwrap_err().code, Code::SettingsInvalid, "{zone} {moment}"),
        }
    };
    check("Europe/London", "2026-03-31T23:30:00Z", Some("2026-04-01"));
    check("Europe/London", "2026-03-31T22:30:00Z", Some("2026-03-31"));
    check("Europe/London", "2026-12-31T23:30:00Z", Some("2026-12-31"));
    check("America/New_York", "2026-04-01T02:00:00Z", Some("2026-03-31"));
    check("Pacific/Auckland", "2026-03-31T12:00:00Z", Some("2026-04-01"));
    check("Europe/Lundon", "2026-03-31T12:00:00Z", None);
    check("", "2026-03-31T12:00:00Z", None);
}

#[test]
fn exchange_rates_are_the_shops_turned_round_or_refused() {
    let currency = |code: &str| Currency::parse(code).unwrap();
    let check = |invoiced: &str,
                 base: Option<&str>,
                 rate: Option<&str>,
                 rates: ExchangeRates,
                 expected: Result<Option<&str>, Code>| {
        let mut settings = settings();
        if let Some(base) = base {
            settings.base_currencies.insert(1, currency(base));
        }
        let invoice = Invoice { currency: currency(invoiced), base_to_order_rate: rate.map(decimal), ..invoice() };
        let found = exchange_rate(&invoice.currency, 1, invoice.base_to_order_rate, &settings, rates)
            .map_err(|fault| fault.code);
        let found = found.map(|rate| rate.and_then(|rate| rate.in_book_currency(EXCHANGE_RATE_PLACES)));
        assert_eq!(found, expected.map(|rate| rate.map(decimal)), "{invoiced} {base:?} {rate:?} {rates:?}");
    };
    let unknown = Err(Code::ExchangeRateUnknown);
    check("GBP", None, None, ExchangeRates::Ours, Ok(None));
    check("GBP", Some("EUR"), Some("0.85"), ExchangeRates::Ours, Ok(None));
    check("EUR", None, Some("1.1753"), ExchangeRates::Ours, Ok(Some("0.8508465924")));
    check("EUR", Some("GBP"), Some("1.25"), ExchangeRates::Ours, Ok(Some("0.8")));
    check("JPY", None, Some("0.0067"), ExchangeRates::Ours, Ok(Some("149.2537313433")));
    check("EUR", None, None, ExchangeRates::Ours, unknown);
    check("EUR", None, Some("0"), ExchangeRates::Ours, unknown);
    check("EUR", None, Some("-1.2"), ExchangeRates::Ours, unknown);
    check("EUR", None, Some("1"), ExchangeRates::Ours, unknown);
    check("EUR", Some("GBP"), Some("1"), ExchangeRates::Ours, unknown);
    check("EUR", Some("GBP"), Some("1"), ExchangeRates::Own, Ok(None));
    check("EUR", Some("GBP"), Some("1.0001"), ExchangeRates::Ours, Ok(Some("0.9999000100")));
    check("EUR", Some("EUR"), Some("1"), ExchangeRates::Ours, unknown);
    check("EUR", Some("USD"), Some("0.9"), ExchangeRates::Ours, unknown);
    check("EUR", None, Some("99999999999"), ExchangeRates::Ours, unknown);
    check("EUR", Some("EUR"), Some("1"), ExchangeRates::Own, Ok(None));
    check("EUR", None, None, ExchangeRates::Own, Ok(None));
    check("EUR", None, Some("1.25"), ExchangeRates::Own, Ok(Some("0.8")));
}

#[test]
fn numbers_fit_and_stay_apart() {
    let settings = Settings { previous_prefix: Some("B8-".to_owned()), ..settings() };
    assert_eq!(invoice_number(&settings, " 000000042 ", &RULES), "MAG-000000042");
    assert_eq!(invoice_number_with_store(&settings, "000000042", 3, &RULES), "MAG-000000042-S3");
    assert_eq!(previous_invoice_number(&settings, "000000042", &RULES).as_deref(), Some("B8-000000042"));
    assert_eq!(previous_invoice_number(&Settings { previous_prefix: None, ..settings.clone() }, "1", &RULES), None);
    let long = "é".repeat(RULES.number_length_max);
    let numbers = [
        invoice_number(&settings, &long, &RULES),
        invoice_number(&settings, &format!("{long}1"), &RULES),
        invoice_number_with_store(&settings, &long, 1, &RULES),
        invoice_number_with_store(&settings, &long, 2, &RULES),
    ];
    for (at, number) in numbers.iter().enumerate() {
        assert_eq!(number.chars().count(), RULES.number_length_max);
        assert!(!numbers.iter().skip(at + 1).any(|other| other == number));
    }
}

#[test]
fn a_buyer_is_known_by_e_mail() {
    let contact = contact_of(&invoice(), &settings(), &RULES).unwrap();
    assert_eq!(contact.email, "jane@example.com");
    assert_eq!(contact.address.map(|address| address.city).as_deref(), Some("London"));

    let without = |change: fn(&mut Invoice)| {
        let mut invoice = invoice();
        change(&mut invoice);
        contact_of(&invoice, &settings(), &RULES)
    };
    let city = |contact: Result<Contact, Fault>| contact.unwrap().address.map(|address| address.city);
    assert_eq!(city(without(|invoice| invoice.billing_address = None)).as_deref(), Some("York"));
    let no_billing = without(|invoice| {
        invoice.billing_address = None;
        invoice.customer.addresses.clear();
    });
    assert_eq!(city(no_billing).as_deref(), Some("Leeds"));

    let nameless = without(|invoice| {
        invoice.customer.first_name = " ".to_owned();
        invoice.customer.last_name = String::new();
    });
    assert_eq!(nameless.unwrap().last_name, "jane");
    let company = without(|invoice| {
        invoice.customer.first_name = String::new();
        invoice.customer.last_name = String::new();
        invoice.customer.company = Some(" Lee &\n Co  Ltd ".to_owned());
    })
    .unwrap();
    assert_eq!((company.company.as_deref(), company.last_name.as_str()), (Some("Lee & Co Ltd"), ""));

    for email in ["", "nobody", "two words@example.com"] {
        let mut invoice = invoice();
        invoice.customer.email = email.to_owned();
        assert_eq!(contact_of(&invoice, &settings(), &RULES).unwrap_err().code, Code::ContactIncomplete, "{email}");
    }
}
