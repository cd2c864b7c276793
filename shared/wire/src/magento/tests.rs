use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

fn jane() -> Value {
    json!({"magento_id":17,"email":"jane@example.com","first_name":"Jane","last_name":"O'Hara","phone":"+44 20 7946 0958",
        "website_id":1,"group_id":3,"addresses":[{"kind":"billing","street":["1 High Street","Flat 2"],"city":"London",
        "postcode":"N1 7AA","country_id":"GB","telephone":"+44 20 7946 0958"}],"created_at":"2026-03-02T10:11:12Z",
        "updated_at":"2026-11-20T09:12:44Z"})
}

fn memo_json() -> Value {
    json!({"magento_id":8,"increment_id":"000000008","invoice_id":42,"invoice_increment_id":"000000042","website_id":1,
        "currency":"GBP","customer":jane(),"lines":[{"sku":"MUG-BLUE","name":"Mug","qty":1,"unit_price":20,
        "line_subtotal":20,"line_tax":3.6,"line_total":21.2,"tax_rate":0.18}],"adjustment_positive":0,
        "adjustment_negative":1.5,"grand_total":22.8,"shipping_amount":2.5,"shipping_tax_amount":0.45,
        "reason":"Damaged in transit","created_at":"2026-11-21T15:04:05Z","invoice_created_at":"2026-11-20T09:30:00Z",
        "base_to_order_rate":1})
}

fn payment_json() -> Value {
    json!({"magento_id":42,"invoice_id":42,"invoice_increment_id":"000000042","method":"stripe_payments","currency":"GBP",
        "amount":44.98,"captured_at":"2026-11-20T09:30:00Z","gateway_txn_id":"pi_3PabcXYZ",
        "gateway_metadata":["Pay by Card",true,"{\"customer_id\":17}"]})
}

fn product_json() -> Value {
    json!({"magento_id":2047,"sku":"MUG-BLUE","name":"Mug","product_type":"simple","price":24,"special_price":19.99,
        "cost":7.125,"weight":0.45,"stock_qty":118,"manage_stock":true,"tax_class":"2","website_ids":[1,2],
        "created_at":"2025-01-07T08:00:00Z","updated_at":"2026-11-19T22:10:03Z"})
}

fn edited(document: Value, edit: impl Fn(&mut Value)) -> Vec<u8> {
    let mut document = document;
    edit(&mut document);
    document.to_string().into_bytes()
}

fn without(document: Value, keys: &[&str]) -> Vec<u8> {
    edited(document, |it| keys.iter().for_each(|key| drop(it.as_object_mut().unwrap().remove(*key))))
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

#[test]
fn a_credit_memo_is_read_whole() {
    let memo = credit_memo(memo_json().to_string().as_bytes()).unwrap();
    assert_eq!((memo.magento_id, memo.increment_id.as_str(), memo.invoice_id), (8, "000000008", Some(42)));
    assert_eq!(memo.invoice_increment_id.as_deref(), Some("000000042"));
    assert_eq!((memo.adjustment_positive, memo.adjustment_negative), (Amount::ZERO, amount("1.5")));
    assert_eq!((memo.grand_total, memo.shipping, memo.shipping_tax), (amount("22.8"), amount("2.5"), amount("0.45")));
    assert_eq!(memo.lines.iter().map(|line| line.total).collect::<Vec<_>>(), [amount("21.2")]);
    assert_eq!(memo.invoice_created_at.map(|it| it.to_string()).as_deref(), Some("2026-11-20T09:30:00Z"));
    assert_eq!((memo.customer.group_id, memo.customer.website_id), (Some(3), 1));
    assert_eq!(memo.base_to_order_rate, Some(Decimal::ONE));
}

#[test]
fn a_memo_from_the_order_names_no_invoice() {
    let keys = ["invoice_id", "invoice_increment_id", "invoice_created_at", "reason", "base_to_order_rate"];
    let memo = credit_memo(&without(memo_json(), &keys)).unwrap();
    assert_eq!((memo.invoice_id, memo.invoice_increment_id, memo.invoice_created_at), (None, None, None));
    // Only shipping: no rows; the invoice's date may come empty.
    let shipping_only = edited(memo_json(), |it| {
        it["lines"] = json!([]);
        it["invoice_created_at"] = json!("");
        it["invoice_id"] = json!(0);
    });
    let memo = credit_memo(&shipping_only).unwrap();
    assert!(memo.lines.is_empty() && memo.invoice_created_at.is_none() && memo.invoice_id.is_none());
}

#[test]
fn float_noise_is_nothing_and_real_digits_are_not_lost() {
    let total = |text: &str| {
        let body = memo_json().to_string().replace("\"grand_total\":22.8", &format!("\"grand_total\":{text}"));
        credit_memo(body.as_bytes()).map(|memo| memo.grand_total)
    };
    assert_eq!(total("-2.2204460492503e-16"), Ok(Amount::ZERO));
    assert_eq!(total("3.597"), Ok(amount("3.597")));
    assert_eq!(total("1.0e-5"), Ok(Amount::ZERO));
    let refused = |text: &str| matches!(total(text), Err(ShopAnswerError::Money { field: "grand_total", .. }));
    assert!(refused("1.23456") && refused("1.0e+15") && refused("\"22.80\"") && refused("null"));
}

#[test]
fn what_money_hangs_on_is_strict() {
    for key in ["magento_id", "increment_id", "currency", "lines", "grand_total", "shipping_amount", "customer"] {
        assert!(credit_memo(&without(memo_json(), &[key])).is_err(), "{key}");
    }
    for key in ["invoice_id", "currency", "amount", "captured_at"] {
        assert!(payment(&without(payment_json(), &[key])).is_err(), "{key}");
    }
    assert_eq!(
        payment(&edited(payment_json(), |it| it["currency"] = json!("pounds"))),
        Err(ShopAnswerError::Field { field: "currency" })
    );
    assert_eq!(
        payment(&edited(payment_json(), |it| it["captured_at"] = json!(""))),
        Err(ShopAnswerError::Field { field: "captured_at" })
    );
    assert!(matches!(
        product(&edited(product_json(), |it| it["price"] = json!("dear"))),
        Err(ShopAnswerError::Money { field: "price", .. })
    ));
    assert_eq!(
        product(&edited(product_json(), |it| it["sku"] = json!(" "))),
        Err(ShopAnswerError::Field { field: "sku" })
    );
    let rows = vec![memo_json()["lines"][0].clone(); LINES_MAX + 1];
    assert_eq!(
        credit_memo(&edited(memo_json(), |it| it["lines"] = json!(rows))),
        Err(ShopAnswerError::Field { field: "lines" })
    );
    for body in [&b"[]"[..], b"", b"null", b"[true,\"t\"]", b"{"] {
        assert_eq!(credit_memo(body), Err(ShopAnswerError::Shape));
        assert_eq!(payment(body), Err(ShopAnswerError::Shape));
        assert_eq!(customer(body), Err(ShopAnswerError::Shape));
        assert_eq!(product(body), Err(ShopAnswerError::Shape));
    }
}

#[test]
fn what_no_money_hangs_on_is_tolerant() {
    let info = payment(&without(payment_json(), &["method", "gateway_txn_id", "gateway_metadata"])).unwrap();
    assert_eq!((info.method, info.transaction, info.amount), (None, None, amount("44.98")));
    let info = payment(&edited(payment_json(), |it| it["gateway_metadata"] = json!({"a": {"b": 1}}))).unwrap();
    assert_eq!((info.invoice_id, info.transaction.as_deref()), (42, Some("pi_3PabcXYZ")));

    let keys = ["price", "special_price", "cost", "stock_qty", "created_at", "updated_at", "website_ids", "name"];
    let bare = product(&without(product_json(), &keys)).unwrap();
    assert_eq!((bare.price, bare.cost, bare.stock_quantity, bare.updated_at), (None, None, None, None));
    let nulls = edited(product_json(), |it| keys.iter().for_each(|key| it[*key] = Value::Null));
    assert_eq!(product(&nulls).unwrap(), bare);
    let fine = product(&edited(product_json(), |it| it["cost"] = json!(0.123_456))).unwrap();
    assert_eq!(fine.cost.map(|cost| cost.to_string()).as_deref(), Some("0.123456"));

    let guest = customer(br#"{"magento_id":0,"email":null,"addresses":null,"created_at":"soon"}"#).unwrap();
    assert_eq!((guest.magento_id, guest.email.as_str(), guest.group_id, guest.created_at), (0, "", None, None));
    let known = customer(jane().to_string().as_bytes()).unwrap();
    assert_eq!((known.addresses.len(), known.created_at.is_some()), (1, true));
}

/// JSON of any shape, with the keys that the readers know.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("GBP")),
        Just(json!("2026-11-20T09:30:00Z")),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let key = prop_oneof![
            prop::sample::select(vec![
                "magento_id",
                "increment_id",
                "currency",
                "customer",
                "lines",
                "grand_total",
                "addresses",
                "sku",
                "qty",
                "amount",
                "captured_at",
                "invoice_id",
                "created_at",
                "website_ids",
                "price",
                "base_to_order_rate",
            ])
            .prop_map(str::to_owned),
            "[a-z_]{1,8}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn read_all(body: &[u8]) {
    let _ = (invoice(body), credit_memo(body), payment(body), customer(body), product(body), event(body));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(23), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        read_all(&bytes);
    }

    #[test]
    fn arbitrary_json_is_read_or_refused(value in any_json()) {
        read_all(value.to_string().as_bytes());
    }

    #[test]
    fn a_field_of_any_kind_is_read_or_refused(which in 0_usize..4, at in any::<prop::sample::Index>(), value in any_json()) {
        let mut document = [memo_json(), payment_json(), jane(), product_json()][which].clone();
        let keys: Vec<String> = document.as_object().unwrap().keys().cloned().collect();
        document[at.get(&keys).as_str()] = value;
        read_all(document.to_string().as_bytes());
    }

    #[test]
    fn a_cut_document_is_refused(which in 0_usize..4, at in any::<prop::sample::Index>()) {
        let text = [memo_json(), payment_json(), jane(), product_json()][which].to_string();
        let cut = text.as_bytes().get(..at.index(text.len())).unwrap_or_default();
        prop_assert!(credit_memo(cut).is_err() && payment(cut).is_err() && customer(cut).is_err() && product(cut).is_err());
    }
}
