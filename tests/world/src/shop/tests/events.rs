//! The five events and what is fetched for them, key for key.

use serde_json::{Value, json};

use super::super::spec::{Address, Capture, CustomerEdit, CustomerSpec, InvoiceSpec, ItemSpec, MemoSpec, OrderSpec};
use super::super::{PRODUCT_TYPES, ProductSpec, Shop, ShopOptions};
use super::{KEY, NOW, TENANT, get, ledger, shop};
use crate::clock::Clock;

const DAY: i64 = 86_400;

fn jane() -> CustomerSpec {
    let mut flat = Address::british("1 High Street", "London", "N1 7AA");
    flat.street.push("Flat 2".to_owned());
    CustomerSpec::new("jane@example.com", "Jane", "O'Hara").in_website(2).billed_to(flat)
}

async fn fetched(shop: &Shop, kind: &str, id: i64) -> Value {
    let got = get(shop, &format!("/rest/V1/byte8/{kind}/{id}")).await;
    assert_eq!(got.status, 200, "{}", got.body);
    serde_json::from_str(&got.body).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn all_five_are_told_with_their_own_bodies() {
    let options = ShopOptions {
        clock: Clock::standing_at(NOW),
        providers: vec!["sage_accounting".to_owned()],
        ..ShopOptions::default()
    };
    let shop = Shop::start(options).await.unwrap();
    let (server, got) = ledger(&[]).await;
    shop.pair_directly(TENANT, KEY, &server.url());
    let customer = shop.saves_customer(jane()).unwrap();
    let product = shop.saves_product(ProductSpec::simple("MUG", "Mug", "24").stocked(5));
    shop.stocks(product, 4).unwrap();
    let order = shop
        .places(&OrderSpec::for_customer(customer).in_website(2).item(ItemSpec::simple("MUG", "Mug", 2, 24)))
        .unwrap();
    let invoice = shop.invoices(&order).unwrap();
    let memo = shop.refunds_invoice(invoice).unwrap();
    shop.comments(memo, "Damaged in transit").unwrap();
    assert_eq!(shop.ticks().await.len(), 5, "what is saved twice is told once");
    let told: Vec<(String, String, String)> = got
        .lock()
        .unwrap()
        .iter()
        .map(|request| {
            let key = request.header("idempotency-key").unwrap().to_owned();
            (request.path.clone(), key, String::from_utf8(request.body.to_vec()).unwrap())
        })
        .collect();
    let body = |website: i64, store: i64, payload: &str| {
        format!(
            r#"{{"magento_entity_id":1,"website_id":{website},"store_id":{store},"occurred_at":"2026-11-20T09:30:00Z","payload":{payload}}}"#
        )
    };
    let number = r#""increment_id":"2000000001""#;
    let expected = [
        ("customer.upserted", body(2, 0, "{}")),
        ("product.upserted", body(0, 0, "{}")),
        ("invoice.created", body(2, 2, &format!(r#"{{{number},"paid":true}}"#))),
        ("invoice.paid", body(2, 2, &format!("{{{number}}}"))),
        ("creditmemo.created", body(2, 2, &format!("{{{number}}}"))),
    ]
    .map(|(event, body)| (format!("/webhooks/magento/{TENANT}/{event}"), format!("{event}:1"), body));
    assert_eq!(told, expected);
    assert_eq!(fetched(&shop, "creditmemo", memo).await["reason"], "Damaged in transit", "the latest comment");
}

#[tokio::test]
async fn a_memo_on_the_wire() {
    let shop = shop().await;
    let invoice = shop.raises("inclusive-with-coupon").unwrap();
    shop.clock().advance(DAY);
    let memo = shop.memo_of(invoice).unwrap().only("MUG-BLUE", 1).shipping_of("2.50").keeping("1.50");
    let memo = shop.refunds(&memo.because("Damaged in transit")).unwrap();
    let address = |kind: &str| {
        format!(
            r#"{{"kind":"{kind}","street":["1 High Street"],"city":"London","postcode":"N1 7AA","country_id":"GB","telephone":"+44 20 7946 0958"}}"#
        )
    };
    let expected = [
        r#"{"magento_id":1,"increment_id":"2000000001","invoice_id":1,"invoice_increment_id":"2000000001","website_id":2,"#,
        r#""currency":"GBP","customer":{"magento_id":1,"email":"jane@example.com","first_name":"Jane","last_name":"O'Hara","#,
        r#""phone":"+44 20 7946 0958","website_id":2,"group_id":1,"addresses":["#,
        &format!("{},{}", address("billing"), address("shipping")),
        r#"],"created_at":"2026-11-20T09:30:00Z","updated_at":"2026-11-20T09:30:00Z"},"#,
        r#""lines":[{"sku":"MUG-BLUE","name":"Caf\u00e9 mug 10\/12 oz","qty":1,"unit_price":20,"line_subtotal":20,"line_tax":3.6,"#,
        r#""line_total":21.2,"tax_rate":0.18}],"adjustment_positive":0,"adjustment_negative":1.5,"grand_total":22.8,"#,
        r#""shipping_amount":2.5,"shipping_tax_amount":0.45,"reason":"Damaged in transit","created_at":"2026-11-21T09:30:00Z","#,
        r#""invoice_created_at":"2026-11-20T09:30:00Z","base_to_order_rate":1}"#,
    ];
    assert_eq!(get(&shop, &format!("/rest/V1/byte8/creditmemo/{memo}")).await.body, expected.concat());
    assert_eq!(shop.total_of("creditmemo", memo).unwrap().to_string().trim_end_matches('0'), "22.8");
    let rest = shop.refunds_invoice(invoice).unwrap();
    let rest = fetched(&shop, "creditmemo", rest).await;
    // The pennies of hidden tax go where they belong; only the fee is kept.
    assert_eq!((&rest["grand_total"], &rest["shipping_tax_amount"]), (&json!(20.68), &json!(0.45)));
    let sales = shop.sales();
    assert_eq!(
        (sales[0].grand_total.as_str(), sales[0].refunded.as_str(), sales[0].state.as_str()),
        ("44.98", "43.48", "paid")
    );
    assert!(shop.refunds_invoice(invoice).is_err(), "nothing is left");
}

#[tokio::test]
async fn a_memo_from_the_orders_page_names_neither_invoice_nor_order() {
    let shop = shop().await;
    let customer = shop.saves_customer(CustomerSpec::new("bare@example.com", "No", "Body")).unwrap();
    let order = OrderSpec::for_customer(customer)
        .billed_to(Address::british("8 Mill Road", "Cambridge", "CB1 2AB").of_company("Mill Ltd"))
        .item(ItemSpec::simple("A", "A", 1, "10").taxed(20))
        .shipping_for("5", 20);
    let order = shop.places(&order).unwrap();
    let invoice = shop.invoices(&order).unwrap();
    let memo = shop.refunds(&MemoSpec::of_order(order.id).no_items().shipping_of("2.5")).unwrap();
    let memo = fetched(&shop, "creditmemo", memo).await;
    let mut shown = keys(&memo);
    shown.sort_unstable();
    assert_eq!(
        shown,
        [
            "adjustment_negative",
            "adjustment_positive",
            "base_to_order_rate",
            "created_at",
            "currency",
            "customer",
            "grand_total",
            "increment_id",
            "lines",
            "magento_id",
            "shipping_amount",
            "shipping_tax_amount",
            "website_id",
        ]
    );
    assert_eq!((&memo["lines"], &memo["grand_total"]), (&json!([]), &json!(3)));
    // Only an invoice fills gaps from the order.
    assert_eq!(memo["customer"]["addresses"], json!([]));
    assert!(memo["customer"].get("company").is_none() && memo["customer"].get("phone").is_none());
    let billed = fetched(&shop, "invoice", invoice).await;
    assert_eq!(
        (&billed["customer"]["company"], &billed["customer"]["addresses"][1]["kind"]),
        (&json!("Mill Ltd"), &json!("shipping"))
    );
}

#[tokio::test]
async fn a_customer_with_and_without_addresses() {
    let shop = shop().await;
    let customer = shop.saves_customer(jane()).unwrap();
    let shown = get(&shop, &format!("/rest/V1/byte8/customer/{customer}")).await;
    assert_eq!(
        shown.body,
        r#"{"magento_id":1,"email":"jane@example.com","first_name":"Jane","last_name":"O'Hara","phone":"+44 20 7946 0958","website_id":2,"group_id":1,"addresses":[{"kind":"billing","street":["1 High Street","Flat 2"],"city":"London","postcode":"N1 7AA","country_id":"GB","telephone":"+44 20 7946 0958"}],"created_at":"2026-11-20T09:30:00Z","updated_at":"2026-11-20T09:30:00Z"}"#
    );
    shop.clock().advance(60);
    let moved = Address {
        telephone: None,
        region: Some("Kent".to_owned()),
        ..Address::british("9 Dock Road", "Dover", "CT16 1AA")
    };
    let edit = CustomerEdit {
        email: Some("jane.ohara@example.com".to_owned()),
        shipping: Some(moved),
        ..CustomerEdit::default()
    };
    shop.edits(customer, edit).unwrap();
    let shown = fetched(&shop, "customer", customer).await;
    assert_eq!((&shown["addresses"][1]["region"], shown["addresses"][1].get("telephone")), (&json!("Kent"), None));
    assert_eq!(
        (&shown["email"], &shown["updated_at"]),
        (&json!("jane.ohara@example.com"), &json!("2026-11-20T09:31:00Z"))
    );
    let edit = CustomerEdit { drops_billing: true, drops_shipping: true, ..CustomerEdit::default() };
    shop.edits(customer, edit).unwrap();
    let shown = fetched(&shop, "customer", customer).await;
    assert_eq!((&shown["addresses"], shown.get("phone"), shown.get("company")), (&json!([]), None, None));

    let other = shop.saves_customer(CustomerSpec { email: "other@example.com".to_owned(), ..jane() }).unwrap();
    let taken = CustomerEdit { email: Some("Jane.OHara@example.com".to_owned()), ..CustomerEdit::default() };
    assert!(shop.edits(other, taken).is_err(), "an address belongs to one account of a website");
    let again = shop
        .saves_customer(CustomerSpec { first_name: "Joan".to_owned(), email: "other@example.com".to_owned(), ..jane() })
        .unwrap();
    assert_eq!((again, &fetched(&shop, "customer", other).await["first_name"]), (other, &json!("Joan")));
    let elsewhere =
        shop.saves_customer(CustomerSpec { email: "other@example.com".to_owned(), ..jane() }.in_website(3)).unwrap();
    assert_ne!(elsewhere, other);
}

#[tokio::test]
async fn products_of_every_type() {
    let options = ShopOptions {
        clock: Clock::standing_at(NOW),
        catalogue_watchers: vec!["xero".to_owned()],
        ..ShopOptions::default()
    };
    let shop = Shop::start(options).await.unwrap();
    shop.pair_directly(TENANT, KEY, "http://127.0.0.1:9");
    for product_type in PRODUCT_TYPES {
        let id = shop.saves_product(ProductSpec::of_type(product_type, product_type, "A thing", "7.1234567"));
        let shown = fetched(&shop, "product", id).await;
        assert_eq!(shown["product_type"], product_type);
        let has_price = ["simple", "virtual", "downloadable"].contains(&product_type);
        assert_eq!(shown.get("price"), has_price.then_some(&json!(7.123457)), "six decimals: {product_type}");
        assert!(["special_price", "cost", "weight", "stock_qty"].iter().all(|key| shown.get(key).is_none()));
    }
    assert_eq!(shop.outbox().len(), PRODUCT_TYPES.len());
    shop.clock().advance(60);
    shop.stocks(1, "12.5").unwrap();
    let shown = fetched(&shop, "product", 1).await;
    assert_eq!((&shown["stock_qty"], &shown["updated_at"]), (&json!(12.5), &json!("2026-11-20T09:30:00Z")));
    let changed = ProductSpec { special_price: Some("5".into()), ..ProductSpec::simple("simple", "Another name", "8") };
    shop.saves_product(changed.with_id(1));
    let shown = fetched(&shop, "product", 1).await;
    assert_eq!(
        (&shown["name"], &shown["special_price"], &shown["updated_at"]),
        (&json!("Another name"), &json!(5), &json!("2026-11-20T09:31:00Z"))
    );
    assert_eq!(shop.outbox().len(), PRODUCT_TYPES.len(), "the second change finds its key taken");
    assert!(shop.stocks(99, 1).is_err());
}

#[tokio::test]
async fn a_second_change_is_told_once_the_first_is_cleared_away() {
    let shop = shop().await;
    let (server, _) = ledger(&[]).await;
    shop.pair_directly(TENANT, KEY, &server.url());
    let customer = shop.saves_customer(jane()).unwrap();
    assert_eq!(shop.ticks().await.len(), 1);
    let edits = |name: &str| {
        shop.edits(customer, CustomerEdit { first_name: Some(name.to_owned()), ..CustomerEdit::default() })
    };
    edits("Joan").unwrap();
    shop.clock().advance(30 * DAY);
    assert!(shop.ticks().await.is_empty());
    shop.clock().advance(DAY);
    shop.ticks().await;
    assert!(shop.outbox().is_empty(), "rows that succeeded are kept for thirty days");
    edits("Jean").unwrap();
    let sent = shop.ticks().await;
    assert_eq!(
        sent.iter().map(|sent| (sent.outbox_id, sent.idempotency_key.as_str())).collect::<Vec<_>>(),
        [(2, "customer.upserted:1")]
    );
}

#[tokio::test]
async fn money_that_comes_later() {
    let shop = shop().await;
    let (server, _) = ledger(&[]).await;
    shop.pair_directly(TENANT, KEY, &server.url());
    let guest = |method: &str| {
        let address = Address::british("8 Mill Road", "Cambridge", "CB1 2AB");
        OrderSpec::for_guest("sam@example.com", "Sam", "Lee", address)
            .item(ItemSpec::simple("A", "A", 2, "10").taxed(20))
            .paid_by(method)
    };
    let events = async || shop.ticks().await.into_iter().map(|sent| sent.event_name).collect::<Vec<_>>();
    for method in ["checkmo", "banktransfer", "cashondelivery", "purchaseorder"] {
        let order = shop.places(&guest(method)).unwrap();
        let invoice = shop.invoices_with(order.id, &InvoiceSpec::default().not_captured()).unwrap();
        assert_eq!(fetched(&shop, "invoice", invoice).await["state"], "paid", "{method} calls itself paid");
        assert_eq!(events().await, ["invoice.created", "invoice.paid"], "{method}");
    }
    let order = shop.places(&guest("stripe_payments")).unwrap();
    let invoice = shop.invoices_with(order.id, &InvoiceSpec::default().only("A", 1).not_captured()).unwrap();
    assert_eq!(events().await, ["invoice.created"]);
    let payment = fetched(&shop, "payment", invoice).await;
    assert_eq!(
        (&payment["amount"], payment.get("gateway_txn_id")),
        (&json!(12), None),
        "a payment is shown, paid or not"
    );
    assert!(shop.refunds_invoice(invoice).is_err(), "no money, no refund");
    shop.clock().advance(DAY);
    shop.pays(invoice).unwrap();
    assert_eq!(events().await, ["invoice.paid"]);
    let payment = fetched(&shop, "payment", invoice).await;
    assert_eq!(payment["captured_at"], "2026-11-20T09:30:00Z", "when the invoice was made, not when it was paid");
    assert_eq!(fetched(&shop, "invoice", invoice).await["state"], "paid");
    shop.refunds_invoice(invoice).unwrap();

    let rest = InvoiceSpec { capture: Some(Capture::NotCaptured), ..InvoiceSpec::default() };
    let rest = shop.invoices_with(order.id, &rest).unwrap();
    shop.cancels(rest).unwrap();
    assert!(shop.pays(rest).is_err());
    assert_eq!(events().await, ["creditmemo.created", "invoice.created"], "nobody is told of a cancelled one");
    assert_eq!(fetched(&shop, "invoice", rest).await["state"], "cancelled");
    assert_eq!(shop.number_of("invoice", rest).unwrap(), "000000006");
}
