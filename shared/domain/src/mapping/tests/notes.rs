//! Credit notes; tax codes and categories by place and destination.

use super::*;
use crate::canonical::CreditMemo;
use crate::document::{CreditNote, CreditedInvoice, DocumentStatus, LineRole, Supply};
use crate::settings::{Override, TaxRule};

/// The second row and all shipping of [`invoice`], less a fee.
pub(crate) fn memo() -> CreditMemo {
    let invoice = invoice();
    CreditMemo {
        magento_id: 8,
        increment_id: "000000008".to_owned(),
        invoice_id: Some(42),
        invoice_increment_id: Some("000000042".to_owned()),
        website_id: 1,
        currency: invoice.currency,
        customer: invoice.customer,
        lines: invoice.lines.into_iter().skip(1).collect(),
        adjustment_positive: Amount::ZERO,
        adjustment_negative: amount("1.5"),
        grand_total: amount("21.88"),
        shipping: amount("5"),
        shipping_tax: amount("0.9"),
        created_at: "2026-03-31T23:30:00Z".parse().unwrap(),
        invoice_created_at: Some("2026-03-31T22:30:00Z".parse().unwrap()),
        base_to_order_rate: Some(Decimal::ONE),
    }
}

pub(crate) fn credited(memo: &CreditMemo, settings: &Settings, rules: &BookRules) -> Result<CreditNote, Fault> {
    let invoice = invoice();
    let number = credit_note_number(settings, &memo.increment_id, rules);
    let credits = credited_invoice(memo, Some(("i-1", "MAG-000000042")), settings)?;
    credit_note(memo, Some(&invoice), settings, &number, "c-1", credits, None, &BTreeMap::new(), rules)
}

const WITH_CODES: BookRules = BookRules { tax_codes: true, ..RULES };

fn rule(rate: &str, country: Option<&str>, code: &str) -> TaxRule {
    TaxRule { rate: decimal(rate), country: country.map(str::to_owned), code: code.to_owned() }
}

#[test]
fn a_credit_note_says_what_came_back() {
    let settings =
        Settings { adjustment_fee_category: Some("fees".to_owned()), gift_card_category: None, ..settings() };
    let note = credited(&memo(), &settings, &RULES).unwrap();
    let said: Vec<_> = note
        .lines
        .iter()
        .map(|line| (line.role, line.description.as_str(), line.unit_price.to_string(), line.category.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (
                LineRole::Item,
                "Coaster, \"round\" (COASTER), quantity 3, discount 1.67 included",
                "14.98".to_owned(),
                "sales"
            ),
            (LineRole::Shipping, "Shipping, discount 0.50 included", "4.5".to_owned(), "carriage"),
            (LineRole::Adjustment, "Adjustment fee", "-1.5".to_owned(), "fees"),
        ]
    );
    assert_eq!((note.number.as_str(), note.total), ("MAG-CN-000000008", amount("21.88")));
    // 23:30 UTC on the last of March is the first of April in London; an hour before it is not.
    assert_eq!(note.dated_on.to_string(), "2026-04-01");
    let invoice = CreditedInvoice {
        provider_id: Some("i-1".to_owned()),
        number: "MAG-000000042".to_owned(),
        dated_on: Some("2026-03-31".parse().unwrap()),
    };
    assert_eq!((note.invoice, note.destination.as_deref()), (Some(invoice), Some("GB")));
    let kept = proof::modelled_document_total(&note.lines, &RULES.rounding, &note.currency);
    assert_eq!(kept, Ok(note.total));
}

#[test]
fn a_memo_from_the_order_credits_no_invoice() {
    let mut memo = memo();
    (memo.invoice_id, memo.invoice_increment_id, memo.invoice_created_at) = (None, None, None);
    assert_eq!(credited_invoice(&memo, None, &settings()), Ok(None));
    let note = credit_note(&memo, None, &settings(), "N", "c-1", None, Some(3), &BTreeMap::new(), &RULES).unwrap();
    assert_eq!((note.total, note.destination.as_deref(), note.invoice), (memo.grand_total, Some("GB"), None));
    memo.invoice_increment_id = Some("000000042".to_owned());
    let elsewhere = credited_invoice(&memo, None, &settings()).unwrap().unwrap();
    assert_eq!((elsewhere.provider_id, elsewhere.number.as_str()), (None, "000000042"));
}

#[test]
fn numbers_of_credit_notes_are_their_own() {
    let short = BookRules { number_length_max: 25, ..RULES };
    let check = |settings: &Settings, expected: &str| {
        assert_eq!(credit_note_number(settings, "000000008", &short), expected);
        assert_ne!(credit_note_number(settings, "000000042", &short), invoice_number(settings, "000000042", &short));
    };
    check(&settings(), "MAG-CN-000000008");
    check(&Settings { credit_note_prefix: Some("GS".to_owned()), ..settings() }, "GS000000008");
    check(&Settings { number_prefix: String::new(), ..settings() }, "CN-000000008");
    let settings = Settings { previous_prefix: Some("B8-".to_owned()), ..settings() };
    assert_eq!(credit_note_number_with_store(&settings, "8", 3, &short), "MAG-CN-8-S3");
    assert_eq!(previous_credit_note_number(&settings, "8", &short).as_deref(), Some("B8-CN-8"));
    let long = "9".repeat(40);
    let all = [
        invoice_number(&settings, &long, &short),
        invoice_number_with_store(&settings, &long, 3, &short),
        credit_note_number(&settings, &long, &short),
        credit_note_number_with_store(&settings, &long, 3, &short),
        payment_reference(&long, &short),
        allocation_reference(&long, &short),
        refund_reference(&long, &short),
    ];
    assert!(all.iter().all(|number| number.chars().count() == 25), "{all:?}");
    assert!(all.iter().enumerate().all(|(at, one)| !all.iter().skip(at + 1).any(|other| other == one)), "{all:?}");
}

#[test]
fn a_line_has_the_tax_code_of_its_rate_and_destination() {
    let mapped = Settings {
        sales_tax_rates: Vec::new(),
        tax_map: vec![rule("20", None, "STD"), rule("20", Some("FR"), "OSS-FR"), rule("5", None, "LOW")],
        default_tax_code: Some("ZERO".to_owned()),
        ..settings()
    };
    let codes = |settings: &Settings, country: &str| {
        let mut invoice = invoice();
        invoice.shipping_address = Some(Address { country: country.to_owned(), ..address("shipping", "Leeds") });
        // A free gift beside, which is on no line, and a total that needs a rounding line.
        invoice.lines[1] = line("COASTER", "", ["3", "5.55", "16.66", "3", "17.66"]);
        (invoice.subtotal, invoice.grand_total) = (amount("36.66"), amount("44.99"));
        let posted = sales_invoice(&invoice, settings, "N", "c-1", &BTreeMap::new(), &WITH_CODES);
        posted.map(|it| it.lines.into_iter().map(|line| line.tax_code.unwrap_or_default()).collect::<Vec<_>>())
    };
    assert_eq!(codes(&mapped, "GB").unwrap().get(..3), Some(&["STD", "STD", "STD"].map(str::to_owned)[..]));
    assert_eq!(codes(&mapped, "fr").unwrap().get(..3), Some(&["OSS-FR", "OSS-FR", "OSS-FR"].map(str::to_owned)[..]));

    // A taxed line that is not mapped fails closed, whatever the default and the list of rates say.
    let unmapped = Settings {
        sales_tax_rates: vec![decimal("20"), decimal("0")],
        tax_map: vec![rule("5", None, "LOW"), rule("20", Some("FR"), "OSS-FR")],
        ..mapped.clone()
    };
    assert_eq!(codes(&unmapped, "GB").unwrap_err().code, Code::TaxRateUnmapped);
    assert!(codes(&unmapped, "FR").is_ok());
    // So does an untaxed one without a default, and everything taxed where nobody is registered.
    let mut untaxed = invoice();
    untaxed.lines = vec![line("TEE", "Tee", ["1", "10", "10", "0", "10"])];
    (untaxed.subtotal, untaxed.tax, untaxed.discount) = (amount("10"), Amount::ZERO, Amount::ZERO);
    (untaxed.shipping, untaxed.shipping_tax, untaxed.grand_total) = (Amount::ZERO, Amount::ZERO, amount("10"));
    let code = |settings: &Settings| {
        let posted = sales_invoice(&untaxed, settings, "N", "c-1", &BTreeMap::new(), &WITH_CODES);
        posted.map(|it| it.lines[0].tax_code.clone()).map_err(|fault| fault.code)
    };
    assert_eq!(code(&mapped), Ok(Some("ZERO".to_owned())));
    assert_eq!(code(&Settings { default_tax_code: None, ..mapped.clone() }), Err(Code::TaxRateUnmapped));
    let unregistered = Settings { sales_tax_registered: false, ..mapped };
    assert_eq!(code(&unregistered), Ok(Some("ZERO".to_owned())));
    assert_eq!(codes(&unregistered, "GB").unwrap_err().code, Code::TaxRateUnmapped);
}

#[test]
fn the_store_goes_before_the_website_and_that_before_everybody() {
    let mut settings = Settings {
        overrides: vec![
            Override {
                website: Some(1),
                income_category: Some("site-sales".to_owned()),
                shipping_category: Some("site-carriage".to_owned()),
                tax_map: vec![rule("20", None, "SITE")],
                ..Override::default()
            },
            Override { store: Some(3), income_category: Some("store-sales".to_owned()), ..Override::default() },
            Override { website: Some(2), store: Some(4), income_category: Some("x".to_owned()), ..Override::default() },
        ],
        tax_map: vec![rule("20", None, "STD"), rule("20", Some("GB"), "HOME"), rule("0", None, "ZERO")],
        ..settings()
    };
    settings.income_categories.insert(1, "by-website".to_owned());
    let routed = |store: u32, website: u32| {
        let invoice = Invoice { store_id: store, website_id: website, ..invoice() };
        let posted = sales_invoice(&invoice, &settings, "N", "c-1", &BTreeMap::new(), &WITH_CODES).unwrap();
        let lines = posted.lines;
        (lines[0].category.clone(), lines[2].category.clone(), lines[0].tax_code.clone().unwrap_or_default())
    };
    let all = |of: [&str; 3]| (of[0].to_owned(), of[1].to_owned(), of[2].to_owned());
    assert_eq!(routed(3, 1), all(["store-sales", "site-carriage", "SITE"]));
    assert_eq!(routed(9, 1), all(["site-sales", "site-carriage", "SITE"]));
    assert_eq!(routed(4, 1), all(["site-sales", "site-carriage", "SITE"]));
    assert_eq!(routed(4, 2), all(["x", "carriage", "HOME"]));
    assert_eq!(routed(5, 2), all(["sales", "carriage", "HOME"]));
    // A memo without a known store has its website's.
    let note = credit_note(&memo(), None, &settings, "N", "c-1", None, None, &BTreeMap::new(), &WITH_CODES);
    assert_eq!(note.unwrap().lines[0].category, "site-sales");
    let by_event =
        credit_note(&memo(), Some(&invoice()), &settings, "N", "c-1", None, Some(9), &BTreeMap::new(), &WITH_CODES);
    assert_eq!(by_event.unwrap().lines[0].category, "site-sales");
    let by_invoice =
        credit_note(&memo(), Some(&invoice()), &settings, "N", "c-1", None, None, &BTreeMap::new(), &WITH_CODES);
    assert_eq!(by_invoice.unwrap().lines[0].category, "store-sales");
}

#[test]
fn status_supply_and_named_accounts_arrive() {
    let settings = Settings {
        document_status: DocumentStatus::Draft,
        default_supply: Supply::Services,
        supply_by_product_type: BTreeMap::from([("simple".to_owned(), Supply::Goods)]),
        gift_card_category: Some("gift-cards".to_owned()),
        rounding_category: Some("pennies".to_owned()),
        ..settings()
    };
    let mut invoice = invoice();
    invoice.lines = vec![line("TEE", "Tee", ["3", "8.32", "24.97", "5", "29.97"])];
    (invoice.subtotal, invoice.tax, invoice.discount) = (amount("24.97"), amount("5"), Amount::ZERO);
    (invoice.shipping, invoice.shipping_tax, invoice.grand_total) = (Amount::ZERO, Amount::ZERO, amount("9.97"));
    let item_types = BTreeMap::from([("TEE".to_owned(), "Products".to_owned())]);
    let posted = sales_invoice(&invoice, &settings, "N", "c-1", &item_types, &RULES).unwrap();
    assert_eq!(posted.status, DocumentStatus::Draft);
    let lines: Vec<_> =
        posted.lines.iter().map(|line| (line.category.as_str(), line.unit_price.to_string(), line.supply)).collect();
    assert_eq!(
        lines,
        [
            ("sales", "24.97".to_owned(), Supply::Goods),
            ("gift-cards", "-20".to_owned(), Supply::Services),
            ("pennies", "0.01".to_owned(), Supply::Services),
        ]
    );
    let few = BookRules { lines_max: 2, ..RULES };
    let refused = sales_invoice(&invoice, &settings, "N", "c-1", &item_types, &few).unwrap_err();
    assert_eq!(refused.code, Code::TooManyLines);
}
