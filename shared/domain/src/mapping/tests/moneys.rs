//! Money, and products.

use super::notes::{credited, memo};
use super::*;
use crate::canonical::{PaymentInfo, Product};
use crate::document::{Payment, Supply};
use crate::settings::Override;

fn info() -> PaymentInfo {
    PaymentInfo {
        invoice_id: 42,
        method: Some("stripe_payments".to_owned()),
        currency: Currency::parse("GBP").unwrap(),
        amount: amount("44.98"),
        captured_at: "2026-11-20T09:30:00Z".parse().unwrap(),
        transaction: Some("pi_1".to_owned()),
    }
}

fn banked() -> Settings {
    Settings {
        payment_methods: BTreeMap::from([
            ("stripe_payments".to_owned(), Some("1200".to_owned())),
            ("paypal".to_owned(), None),
            ("banktransfer".to_owned(), Some("1201".to_owned())),
        ]),
        default_bank_account: Some("1299".to_owned()),
        ..settings()
    }
}

fn paid(invoice: &Invoice, info: &PaymentInfo, settings: &Settings, rules: &BookRules) -> Result<Payment, Fault> {
    payment(invoice, info, None, settings, rules, "MAG-000000042", "i-1", "c-1", info.amount)
}

#[test]
fn an_account_is_the_methods_the_default_or_none() {
    let mut settings = banked();
    settings.overrides = vec![
        Override {
            store: Some(3),
            payment_methods: BTreeMap::from([("stripe_payments".to_owned(), None)]),
            default_bank_account: Some("1300".to_owned()),
            ..Override::default()
        },
        Override { website: Some(2), default_bank_account: Some("1400".to_owned()), ..Override::default() },
    ];
    let account = |id: &str| PaymentRoute::Account(id.to_owned());
    let check = |method: Option<&str>, website: u32, store: Option<u32>, expected: PaymentRoute| {
        assert_eq!(bank_account_for(&settings, method, website, store), expected, "{method:?} {website} {store:?}");
    };
    check(Some("stripe_payments"), 1, Some(1), account("1200"));
    check(Some("stripe_payments"), 1, Some(3), PaymentRoute::DontPay);
    check(Some("paypal"), 1, None, PaymentRoute::DontPay);
    check(Some("klarna"), 1, None, account("1299"));
    check(Some("klarna"), 1, Some(3), account("1300"));
    check(Some("klarna"), 2, Some(7), account("1400"));
    check(Some("free"), 1, None, PaymentRoute::DontPay);
    // What the shop calls paid before any money came needs to be named.
    check(Some("banktransfer"), 1, None, account("1201"));
    for method in ["checkmo", "cashondelivery", "purchaseorder"] {
        check(Some(method), 2, Some(3), PaymentRoute::NotMapped);
    }
    check(None, 1, None, PaymentRoute::NotMapped);
    assert_eq!(bank_account_for(&super::settings(), Some("klarna"), 1, None), PaymentRoute::NotMapped);
}

#[test]
fn a_payment_is_dated_by_its_event() {
    let at = |moment: &str| Some(moment.parse().unwrap());
    let dated = |occurred_at: Option<Timestamp>| {
        let paid = payment(&invoice(), &info(), occurred_at, &banked(), &RULES, "N-1", "i-1", "c-1", amount("40"));
        paid.unwrap().dated_on.to_string()
    };
    assert_eq!(dated(at("2026-03-31T23:30:00Z")), "2026-04-01");
    assert_eq!(dated(None), "2026-11-20");
    let paid = paid(&invoice(), &info(), &banked(), &RULES).unwrap();
    assert_eq!((paid.reference.as_str(), paid.transaction.as_deref()), ("MAG-000000042-P", Some("pi_1")));
    assert_eq!((paid.invoice.as_str(), paid.contact.as_str(), paid.amount), ("i-1", "c-1", amount("44.98")));
    assert_eq!((paid.bank.account.as_str(), paid.bank.amount), ("1200", Some(amount("44.98"))));
}

#[test]
fn a_payment_without_an_account_is_a_reason_to_leave_it_out() {
    let code = |method: Option<&str>| {
        let mut invoice = invoice();
        invoice.payment_method = None;
        let info = PaymentInfo { method: method.map(str::to_owned), ..info() };
        paid(&invoice, &info, &banked(), &RULES).map_err(|fault| fault.code).err()
    };
    assert_eq!(code(Some("checkmo")), Some(Code::PaymentMethodNotMapped));
    assert_eq!(code(None), Some(Code::PaymentMethodNotMapped));
    assert_eq!(code(Some("paypal")), Some(Code::PaymentNotWanted));
    assert_eq!(code(Some("klarna")), None);
    let odd = PaymentInfo { currency: Currency::parse("EUR").unwrap(), ..info() };
    assert_eq!(paid(&invoice(), &odd, &banked(), &RULES).unwrap_err().code, Code::ShopAnswerUnreadable);
}

#[test]
fn money_in_another_currency_is_never_one_for_one() {
    let currency = |code: &str| Currency::parse(code).unwrap();
    let own = BookRules { exchange: ExchangeRates::Own, ..RULES };
    let check = |account: Option<&str>, rate: Option<&str>, rules: &BookRules, expected: Result<Option<&str>, Code>| {
        let mut settings = banked();
        if let Some(account) = account {
            settings.bank_account_currencies.insert("1200".to_owned(), currency(account));
        }
        let euros = Invoice { currency: currency("EUR"), base_to_order_rate: rate.map(decimal), ..invoice() };
        let info = PaymentInfo { currency: currency("EUR"), amount: amount("91.60"), ..info() };
        let moved = paid(&euros, &info, &settings, rules).map(|paid| paid.bank.amount).map_err(|fault| fault.code);
        assert_eq!(moved, expected.map(|moved| moved.map(amount)), "{account:?} {rate:?}");
    };
    let unknown = Err(Code::ExchangeRateUnknown);
    check(None, Some("1.1753"), &RULES, Ok(Some("77.94")));
    check(Some("EUR"), Some("1.1753"), &RULES, Ok(Some("91.60")));
    check(Some("USD"), Some("1.1753"), &RULES, unknown);
    check(None, Some("1"), &RULES, unknown);
    check(None, None, &RULES, unknown);
    check(Some("EUR"), None, &own, Ok(Some("91.60")));
    check(None, None, &own, Ok(None));
    check(None, Some("1"), &own, Ok(None));
    check(Some("USD"), Some("1.1753"), &own, Ok(None));
}

#[test]
fn a_credit_note_is_set_off_or_paid_back() {
    let settings = banked();
    let note = credited(&memo(), &settings, &RULES).unwrap();
    let set_off = allocation(&note, "n-1", "i-1", amount("21.88"), &RULES);
    assert_eq!((set_off.reference.as_str(), set_off.credit_note.as_str()), ("MAG-CN-000000008-A", "n-1"));
    assert_eq!((set_off.amount, set_off.dated_on), (note.total, note.dated_on));
    let back = |method: Option<&str>| refund(&note, "n-1", note.total, method, 1, Some(1), &settings, &RULES);
    let paid_back = back(Some("stripe_payments")).unwrap();
    assert_eq!((paid_back.reference.as_str(), paid_back.bank.account.as_str()), ("MAG-CN-000000008-R", "1200"));
    assert_eq!(paid_back.bank.amount, Some(amount("21.88")));
    // The shop does not say how a memo without its invoice was paid.
    assert_eq!(back(None).unwrap_err().code, Code::PaymentMethodNotMapped);
    assert_eq!(back(Some("checkmo")).unwrap_err().code, Code::PaymentMethodNotMapped);
    assert_eq!(back(Some("paypal")).unwrap_err().code, Code::PaymentNotWanted);
}

pub(crate) fn mug() -> Product {
    Product {
        magento_id: 2047,
        sku: "MUG-BLUE".to_owned(),
        name: " Mug\t10 oz ".to_owned(),
        product_type: "simple".to_owned(),
        price: Some(decimal("24")),
        special_price: Some(decimal("19.99")),
        cost: Some(decimal("7.125")),
        stock_quantity: Some(decimal("118")),
        manage_stock: true,
        website_ids: vec![2, 1],
        created_at: None,
        updated_at: Some("2026-11-19T23:30:00Z".parse().unwrap()),
    }
}

#[test]
fn a_product_has_the_item_type_of_its_type() {
    let mut settings = settings();
    settings.policy.sync_stock = true;
    settings.income_categories.insert(2, "site-2".to_owned());
    settings.item_types.insert("giftcard".to_owned(), Some("Services".to_owned()));
    settings.supply_by_product_type.insert("virtual".to_owned(), Supply::Services);
    let of =
        |product_type: &str| product(&Product { product_type: product_type.to_owned(), ..mug() }, &settings, &RULES);
    let simple = of("simple").unwrap();
    assert_eq!((simple.name.as_str(), simple.item_type.as_str()), ("Mug 10 oz", "Products"));
    assert_eq!((simple.category.as_str(), simple.price, simple.stocked), ("site-2", Some(decimal("24")), true));
    assert_eq!(simple.supply, Supply::Goods);
    let service = of("virtual").unwrap();
    assert_eq!((service.item_type.as_str(), service.supply), ("Services", Supply::Services));
    assert_eq!(of("giftcard").unwrap().item_type, "Services");
    for composite in ["configurable", "bundle", "grouped", "unheard-of"] {
        assert_eq!(of(composite), Err(Code::ProductTypeNotSupported), "{composite}");
    }
    let nameless = product(&Product { name: " ".to_owned(), manage_stock: false, ..mug() }, &settings, &RULES).unwrap();
    assert_eq!((nameless.name.as_str(), nameless.stocked), ("MUG-BLUE", false));
}

#[test]
fn stock_moves_towards_the_shops() {
    let at = "2026-03-31T23:30:00Z".parse().unwrap();
    let moved = |product: &Product, in_book: &str| {
        let movement = stock_movement(product, "p-1", decimal(in_book), "STOCK-1", at, &settings(), &RULES).unwrap();
        movement.map(|movement| (movement.quantity.to_string(), movement.dated_on.to_string()))
    };
    assert_eq!(moved(&mug(), "100"), Some(("18".to_owned(), "2026-04-01".to_owned())));
    assert_eq!(moved(&mug(), "120.5"), Some(("-2.5".to_owned(), "2026-04-01".to_owned())));
    assert_eq!(moved(&mug(), "118.000"), None);
    assert_eq!(moved(&Product { manage_stock: false, ..mug() }, "1"), None);
    assert_eq!(moved(&Product { stock_quantity: None, ..mug() }, "1"), None);
}
