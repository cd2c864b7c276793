//! The golden cases: figures that follow from Magento's formulas, down to the last digit on the wire.

use std::collections::BTreeMap;

use super::{TaxAlgorithm, TaxSettings};
use crate::amount::Amount;
use crate::shop::spec::{Address, Guest, InvoiceSpec, ItemKind, ItemSpec, MemoSpec, OrderSpec, PartSpec, WebsiteSpec};
use crate::shop::state::State;
use crate::shop::{ClientVersion, canonical, trade};

const EXCLUSIVE: TaxSettings = TaxSettings {
    algorithm: TaxAlgorithm::Total,
    prices_include_tax: false,
    shipping_includes_tax: false,
    discount_on_price_including_tax: false,
    tax_after_discount: true,
};
const INCLUSIVE: TaxSettings = TaxSettings {
    prices_include_tax: true,
    shipping_includes_tax: true,
    discount_on_price_including_tax: true,
    ..EXCLUSIVE
};

struct Till {
    state: State,
    order: i64,
}

impl Till {
    fn rings(tax: TaxSettings, mut order: OrderSpec) -> Self {
        let mut state = State::new(ClientVersion::WithProvider, Vec::new());
        let rates = BTreeMap::from([("EUR".to_owned(), Amount::from("1.1753"))]);
        trade::set_website(
            &mut state,
            &WebsiteSpec { id: 1, base_currency: "GBP".to_owned(), stores: vec![1], rates, tax },
        )
        .unwrap();
        order.guest = Some(Guest {
            email: "guest@example.com".to_owned(),
            first_name: "Sam".to_owned(),
            last_name: "Lee".to_owned(),
        });
        let order = trade::place(&mut state, &order, 1_795_167_000).unwrap().id;
        Self { state, order }
    }

    fn invoices(&mut self, quantities: &[(&str, &str)]) -> Document {
        let quantities = (!quantities.is_empty())
            .then(|| quantities.iter().map(|(sku, quantity)| ((*sku).to_owned(), Amount::from(*quantity))).collect());
        let spec = InvoiceSpec { quantities, ..InvoiceSpec::default() };
        let id = trade::invoice(&mut self.state, self.order, &spec, 1_795_167_000).unwrap();
        Document(canonical::document(&self.state, "invoice", id).unwrap().json(true))
    }

    fn refunds(&mut self, memo: MemoSpec) -> Document {
        let id = trade::refund(&mut self.state, &MemoSpec { order_id: self.order, ..memo }, 1_795_167_000).unwrap();
        Document(canonical::document(&self.state, "creditmemo", id).unwrap().json(true))
    }
}

impl Till {
    /// Why a memo is refused.
    fn refuses(&mut self, memo: MemoSpec) -> String {
        let memo = MemoSpec { order_id: self.order, ..memo };
        trade::refund(&mut self.state, &memo, 1_795_167_000).unwrap_err().to_string()
    }
}

fn invoice(tax: TaxSettings, order: OrderSpec) -> Document {
    Till::rings(tax, order).invoices(&[])
}

struct Document(String);

impl Document {
    fn text(&self, key: &str) -> &str {
        let at = self.0.rfind(&format!("\"{key}\":")).unwrap() + key.len() + 3;
        let rest = &self.0[at..];
        &rest[..rest.find([',', '}']).unwrap()]
    }

    /// subtotal / tax / shipping / shipping tax / discount / grand total
    fn totals(&self) -> String {
        ["subtotal", "tax_amount", "shipping_amount", "shipping_tax_amount", "discount_amount", "grand_total"]
            .map(|key| self.text(key))
            .join(" / ")
    }

    /// quantity, unit price, subtotal, tax, total and rate of each line, as printed.
    fn lines(&self) -> Vec<String> {
        let start = self.0.find("\"lines\":[").unwrap() + 9;
        let end = start + self.0[start..].find(']').unwrap();
        self.0[start..end]
            .split("\"sku\":")
            .skip(1)
            .map(|line| {
                let figures = &line[line.find("\"qty\":").unwrap()..];
                figures
                    .trim_end_matches(['}', ',', '{'])
                    .split(',')
                    .map(|pair| pair.split_once(':').unwrap().1.to_owned())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }
}

fn item(sku: &str, quantity: &str, price: &str, rate: &str) -> ItemSpec {
    ItemSpec::simple(sku, sku, quantity, price).taxed(rate)
}

fn order(items: &[ItemSpec]) -> OrderSpec {
    OrderSpec { items: items.to_vec(), ..OrderSpec::default() }
}

#[test]
fn g1_simple_with_untaxed_shipping() {
    let invoice = invoice(EXCLUSIVE, order(&[item("A", "2", "19.99", "20")]).shipping_for("5", "0"));
    assert_eq!(invoice.lines(), ["2 19.99 39.98 8 47.98 0.2001"]);
    assert_eq!(invoice.totals(), "39.98 / 8 / 5 / 0 / 0 / 52.98");
}

#[test]
fn g2_prices_including_tax() {
    let invoice = invoice(INCLUSIVE, order(&[item("A", "3", "9.99", "20")]));
    assert_eq!(invoice.lines(), ["3 8.32 24.97 5 29.97 0.2002"]);
    assert_eq!(invoice.totals(), "24.97 / 5 / 0 / 0 / 0 / 29.97");
}

#[test]
fn g3_two_rates_and_none() {
    let items = [item("A", "3", "12.49", "20"), item("B", "1", "7.77", "5"), item("C", "2", "8.95", "0")];
    let invoice = invoice(EXCLUSIVE, order(&items));
    assert_eq!(
        invoice.lines(),
        ["3 12.49 37.47 7.49 44.96 0.1999", "1 7.77 7.77 0.39 8.16 0.0502", "2 8.95 17.9 0 17.9"]
    );
    assert_eq!(invoice.totals(), "63.14 / 7.88 / 0 / 0 / 0 / 71.02");
}

#[test]
fn g3b_the_three_algorithms() {
    let items = [item("A", "1", "0.34", "20"), item("B", "1", "0.34", "20"), item("C", "1", "0.34", "20")];
    let total = invoice(EXCLUSIVE, order(&items));
    assert_eq!(
        total.lines(),
        ["1 0.34 0.34 0.07 0.41 0.2059", "1 0.34 0.34 0.07 0.41 0.2059", "1 0.34 0.34 0.06 0.4 0.1765"]
    );
    assert_eq!(total.totals(), "1.02 / 0.2 / 0 / 0 / 0 / 1.22");
    for algorithm in [TaxAlgorithm::Row, TaxAlgorithm::Unit] {
        let invoice = invoice(TaxSettings { algorithm, ..EXCLUSIVE }, order(&items));
        assert_eq!(invoice.totals(), "1.02 / 0.21 / 0 / 0 / 0 / 1.23");
    }
}

fn cart() -> OrderSpec {
    order(&[item("A", "1", "19.99", "20"), item("B", "3", "4.95", "20")]).shipping_for("4.99", "20")
}

#[test]
fn g4_percentage_off() {
    let invoice = invoice(EXCLUSIVE, cart().percent_off("10"));
    assert_eq!(invoice.lines(), ["1 19.99 19.99 3.6 21.59 0.1801", "3 4.95 14.85 2.67 16.04 0.1798"]);
    assert_eq!(invoice.totals(), "34.84 / 7.27 / 4.99 / 1 / -3.48 / 43.62");
}

#[test]
fn g5_amount_off() {
    let invoice = invoice(EXCLUSIVE, cart().amount_off("10.00"));
    assert_eq!(invoice.lines(), ["1 19.99 19.99 2.85 17.1 0.1426", "3 4.95 14.85 2.12 12.71 0.1428"]);
    assert_eq!(invoice.totals(), "34.84 / 5.97 / 4.99 / 1 / -10 / 35.8");
}

fn inclusive_cart() -> OrderSpec {
    order(&[item("A", "1", "24.00", "20"), item("B", "2", "9.99", "20")]).shipping_for("6.00", "20").percent_off("10")
}

#[test]
fn g6_hidden_tax() {
    let whole = invoice(INCLUSIVE, inclusive_cart());
    assert_eq!(whole.lines(), ["1 20 20 3.6 21.2 0.18", "2 8.33 16.65 3 17.65 0.1802"]);
    assert_eq!(whole.totals(), "36.65 / 7.6 / 5 / 1 / -4.4 / 45.58");
    let on_net = invoice(TaxSettings { discount_on_price_including_tax: false, ..INCLUSIVE }, inclusive_cart());
    assert_eq!(on_net.totals(), "36.65 / 7.72 / 5 / 1 / -3.67 / 46.31");
}

#[test]
fn g7_hidden_tax_and_shipping_reduced() {
    let invoice = invoice(INCLUSIVE, inclusive_cart().also_off_shipping());
    assert_eq!(invoice.lines(), ["1 20 20 3.6 21.2 0.18", "2 8.33 16.65 3 17.65 0.1802"]);
    assert_eq!(invoice.totals(), "36.65 / 7.5 / 5 / 0.9 / -5 / 44.98");
}

#[test]
fn g7b_shipping_reduced_without_hidden_tax() {
    let order = order(&[item("A", "1", "20", "20")]).shipping_for("10", "20").percent_off("50").also_off_shipping();
    let invoice = invoice(EXCLUSIVE, order);
    assert_eq!(invoice.lines(), ["1 20 20 2 12 0.1"]);
    assert_eq!(invoice.totals(), "20 / 3 / 10 / 1 / -15 / 18");
}

fn part(sku: &str, quantity: &str, price: &str) -> PartSpec {
    PartSpec { sku: sku.to_owned(), name: sku.to_owned(), quantity: quantity.into(), price: price.into() }
}

#[test]
fn g8_kit_that_costs_what_its_parts_cost() {
    let kit = item("KIT-a-b", "2", "0", "20")
        .of_kind(ItemKind::DynamicBundle { parts: vec![part("A", "1", "10.00"), part("B", "2", "4.99")] });
    let reduced = invoice(EXCLUSIVE, order(std::slice::from_ref(&kit)).percent_off("10"));
    assert_eq!(reduced.lines(), ["2 19.98 0 0 0", "2 10 20 3.6 21.6 0.18", "4 4.99 19.96 3.59 21.55 0.1799"]);
    assert_eq!(reduced.totals(), "39.96 / 7.19 / 0 / 0 / -4 / 43.15");
    let plain = invoice(EXCLUSIVE, order(&[kit]));
    assert_eq!(plain.totals(), "39.96 / 7.99 / 0 / 0 / 0 / 47.95");
}

#[test]
fn g9_kit_with_a_price_of_its_own() {
    let kit = item("BOX", "1", "49.95", "20")
        .of_kind(ItemKind::FixedBundle { parts: vec![part("A", "1", "0"), part("B", "2", "0")] });
    let invoice = invoice(EXCLUSIVE, order(&[kit]));
    assert_eq!(invoice.lines(), ["1 49.95 49.95 9.99 59.94 0.2", "1 0 0 0 0", "2 0 0 0 0"]);
    assert_eq!(invoice.totals(), "49.95 / 9.99 / 0 / 0 / 0 / 59.94");
}

#[test]
fn g10_variant() {
    let tee = ItemSpec::simple("TEE-M-RED", "Tee", "2", "29.00")
        .taxed("20")
        .of_kind(ItemKind::Configurable { variant_name: "Tee-M-Red".to_owned() });
    let invoice = invoice(EXCLUSIVE, order(&[tee]));
    assert!(invoice.0.contains(concat!(
        r#""lines":[{"sku":"TEE-M-RED","name":"Tee","qty":2,"unit_price":29,"line_subtotal":58,"line_tax":11.6,"line_total":69.6,"tax_rate":0.2},"#,
        r#"{"sku":"TEE-M-RED","name":"Tee-M-Red","qty":2,"unit_price":0,"line_subtotal":0,"line_tax":0,"line_total":0}],"subtotal":58,"#
    )));
    assert_eq!(invoice.totals(), "58 / 11.6 / 0 / 0 / 0 / 69.6");
}

#[test]
fn g11_fractions() {
    let whole = invoice(EXCLUSIVE, order(&[item("A", "1.375", "7.49", "20")]));
    assert_eq!(whole.lines(), ["1.375 7.49 10.2988 2.06 12.3588 0.2"]);
    assert_eq!(whole.totals(), "10.2988 / 2.06 / 0 / 0 / 0 / 12.3588");
    let mut till = Till::rings(EXCLUSIVE, order(&[item("A", "1.5", "7.49", "20")]));
    assert_eq!(till.invoices(&[("A", "0.5")]).totals(), "3.75 / 0.75 / 0 / 0 / 0 / 4.5");
    assert_eq!(till.invoices(&[]).totals(), "7.485 / 1.5 / 0 / 0 / 0 / 8.985");
}

#[test]
fn g12_two_decimals_for_every_currency() {
    let yen = invoice(INCLUSIVE, order(&[item("A", "3", "1980", "10")]).shipping_for("550", "10"));
    assert_eq!(yen.lines(), ["3 1800 5400 540 5940 0.1"]);
    assert_eq!(yen.totals(), "5400 / 590 / 500 / 50 / 0 / 6490");
    let broken_yen = invoice(EXCLUSIVE, order(&[item("A", "1", "1999", "10")]).shipping_for("500", "10"));
    assert_eq!(broken_yen.totals(), "1999 / 249.9 / 500 / 50 / 0 / 2748.9");
    let dinar = invoice(EXCLUSIVE, order(&[item("A", "3", "4.725", "5")]));
    assert_eq!(dinar.lines(), ["3 4.73 14.19 0.71 14.9 0.05"]);
}

#[test]
fn g13_foreign_currency() {
    let spec = order(&[item("A", "3", "19.99", "20")]).shipping_for("4.99", "20").in_currency("EUR");
    let mut till = Till::rings(EXCLUSIVE, spec);
    let base = till.state.orders.get(&till.order).unwrap().base_grand_total;
    assert_eq!(base.normalize().to_string(), "77.95");
    let invoice = till.invoices(&[]);
    assert_eq!(invoice.lines(), ["3 23.49 70.47 14.09 84.56 0.1999"]);
    assert_eq!(invoice.totals(), "70.47 / 15.27 / 5.86 / 1.18 / 0 / 91.6");
    assert_eq!((invoice.text("currency"), invoice.text("base_to_order_rate")), ("\"EUR\"", "1.1753"));
}

#[test]
fn g14_three_invoices() {
    let mut till =
        Till::rings(EXCLUSIVE, order(&[item("A", "3", "9.99", "20")]).percent_off("10").shipping_for("4.99", "20"));
    assert_eq!(till.invoices(&[("A", "1")]).totals(), "9.99 / 2.8 / 4.99 / 1 / -1 / 16.78");
    assert_eq!(till.invoices(&[("A", "1")]).totals(), "9.99 / 1.8 / 0 / 0 / -1 / 10.79");
    let last = till.invoices(&[("A", "1")]);
    assert_eq!(last.totals(), "9.99 / 1.79 / 0 / 0 / -1 / 10.78");
    assert_eq!(last.lines(), ["1 9.99 9.99 1.79 10.78 0.1792"]);
}

#[test]
fn g14b_three_invoices_including_tax() {
    let mut till =
        Till::rings(INCLUSIVE, order(&[item("A", "3", "9.99", "20")]).percent_off("10").shipping_for("5.99", "20"));
    assert_eq!(till.invoices(&[("A", "1")]).totals(), "8.32 / 2.49 / 5 / 0.99 / -1 / 14.98");
    assert_eq!(till.invoices(&[("A", "1")]).totals(), "8.33 / 1.51 / 0 / 0 / -1.01 / 8.99");
    assert_eq!(till.invoices(&[("A", "1")]).totals(), "8.32 / 1.49 / 0 / 0 / -0.99 / 8.99");
}

#[test]
fn g15_partial_refund_with_adjustments() {
    let mut till =
        Till::rings(EXCLUSIVE, order(&[item("A", "3", "9.99", "20")]).percent_off("10").shipping_for("4.99", "20"));
    assert_eq!(till.invoices(&[]).totals(), "29.97 / 6.39 / 4.99 / 1 / -3 / 38.35");
    let memo = till.refunds(MemoSpec {
        quantities: Some(BTreeMap::from([("A".to_owned(), Amount::from(1))])),
        shipping: Some(Amount::from(0)),
        adjustment_positive: "2.50".into(),
        adjustment_negative: "1.00".into(),
        ..MemoSpec::default()
    });
    assert_eq!(memo.lines(), ["1 9.99 9.99 1.8 10.79 0.1802"]);
    assert_eq!((memo.text("adjustment_positive"), memo.text("adjustment_negative")), ("2.5", "1"));
    assert_eq!(
        (memo.text("grand_total"), memo.text("shipping_amount"), memo.text("shipping_tax_amount")),
        ("12.29", "0", "0")
    );
    assert_eq!(till.refuses(MemoSpec::default()), "the most money available to refund is 26.06");
    let rest = till.refunds(MemoSpec::default().keeping("1.50"));
    assert_eq!(rest.lines(), ["2 9.99 19.98 3.59 21.57 0.1797"]);
    assert_eq!((rest.text("grand_total"), rest.text("shipping_amount")), ("26.06", "4.99"));
    assert!(till.refuses(MemoSpec::default().no_items()).ends_with("memo of 0 is refused"), "nothing is left");

    let mut till =
        Till::rings(EXCLUSIVE, order(&[item("A", "3", "9.99", "20")]).percent_off("10").shipping_for("4.99", "20"));
    till.invoices(&[]);
    till.refunds(MemoSpec::default().only("A", 1).shipping_of("0").adding("2.50").keeping("1.00"));
    let beyond = till.refunds(MemoSpec { more_than_paid: true, ..MemoSpec::default() });
    assert_eq!(beyond.text("grand_total"), "27.56", "an extension may refund more than was paid");
}

#[test]
fn g15b_the_remainder_runs_through_a_memo_as_through_an_invoice() {
    let items = [item("A", "3", "9.99", "20"), item("B", "3", "3.33", "20")];
    let mut till = Till::rings(EXCLUSIVE, order(&items).percent_off("10"));
    assert_eq!(till.invoices(&[]).lines(), ["3 9.99 29.97 5.39 32.36 0.1798", "3 3.33 9.99 1.8 10.79 0.1802"]);
    // 1.79667 − 0.00333 that B's discount has left over.
    let memo = till.refunds(MemoSpec::default().only("A", 1).only("B", 1));
    assert_eq!(memo.lines(), ["1 9.99 9.99 1.79 10.78 0.1792", "1 3.33 3.33 0.6 3.6 0.1802"]);
    let rest = till.refunds(MemoSpec::default());
    assert_eq!(rest.lines(), ["2 9.99 19.98 3.6 21.58 0.1802", "2 3.33 6.66 1.2 7.19 0.1802"]);
    assert_eq!((memo.text("grand_total"), rest.text("grand_total")), ("14.38", "28.77"));
}

#[test]
fn g15c_memos_on_the_pages_of_three_invoices() {
    let mut till =
        Till::rings(EXCLUSIVE, order(&[item("A", "3", "9.99", "20")]).percent_off("10").shipping_for("4.99", "20"));
    for _ in 0..3 {
        till.invoices(&[("A", "1")]);
    }
    let on_page = |invoice: i64| MemoSpec { invoice_id: Some(invoice), ..MemoSpec::default() };
    let second = till.refunds(on_page(2));
    assert_eq!(
        (second.lines(), second.text("grand_total")),
        (vec!["1 9.99 9.99 1.8 10.79 0.1802".to_owned()], "10.79")
    );
    assert_eq!((second.text("shipping_amount"), second.text("invoice_increment_id")), ("0", "\"000000002\""));
    assert!(till.refuses(on_page(2).only("A", 1)).starts_with("0 of A are left"), "the page has no more");
    let first = till.refunds(on_page(1));
    assert_eq!((first.text("shipping_amount"), first.text("grand_total")), ("4.99", "16.78"));
    let third = till.refunds(on_page(3));
    assert_eq!((third.lines(), third.text("grand_total")), (vec!["1 9.99 9.99 1.79 10.78 0.1792".to_owned()], "10.78"));
}

#[test]
fn g15d_three_refunds_of_prices_including_tax() {
    let mut till =
        Till::rings(INCLUSIVE, order(&[item("A", "3", "9.99", "20")]).percent_off("10").shipping_for("5.99", "20"));
    till.invoices(&[]);
    let one = || MemoSpec::default().only("A", 1);
    // The same pennies move as between three invoices; shipping goes with the last.
    assert_eq!(till.refunds(one().shipping_of("0")).text("grand_total"), "8.99");
    assert_eq!(till.refunds(one().shipping_of("0")).text("grand_total"), "8.99");
    let last = till.refunds(one());
    assert_eq!((last.text("shipping_tax_amount"), last.text("grand_total")), ("0.99", "14.98"));
}

#[test]
fn g15e_memos_ask_in_base_currency() {
    let cart = order(&[item("A", "3", "19.99", "20")]).shipping_for("4.99", "20").in_currency("EUR");
    let mut till = Till::rings(EXCLUSIVE, cart.clone());
    till.invoices(&[]);
    let memo = till.refunds(MemoSpec::default().only("A", 1).adding("1.00").keeping("0.50"));
    assert_eq!(memo.lines(), ["1 23.49 23.49 4.7 28.19 0.2001"]);
    assert_eq!((memo.text("adjustment_positive"), memo.text("adjustment_negative")), ("1.18", "0.59"));
    assert_eq!((memo.text("shipping_amount"), memo.text("grand_total")), ("5.86", "35.82"));
    let mut till = Till::rings(EXCLUSIVE, cart);
    till.invoices(&[]);
    let memo = till.refunds(MemoSpec::default().no_items().shipping_of("2.00"));
    assert_eq!((memo.text("shipping_amount"), memo.text("shipping_tax_amount")), ("2.35", "0.47"));
}

#[test]
fn g16_shipping_refunded() {
    let nothing = || Some(BTreeMap::new());
    let mut till = Till::rings(EXCLUSIVE, cart());
    till.invoices(&[]);
    let memo = till.refunds(MemoSpec { quantities: nothing(), ..MemoSpec::default() });
    assert!(memo.0.contains("\"lines\":[]") && !memo.0.contains("invoice_id"));
    assert_eq!(
        (memo.text("grand_total"), memo.text("shipping_amount"), memo.text("shipping_tax_amount")),
        ("5.99", "4.99", "1")
    );

    let order = order(&[item("A", "1", "20", "20")]).shipping_for("10", "20").percent_off("10").also_off_shipping();
    let mut till = Till::rings(EXCLUSIVE, order);
    till.invoices(&[]);
    let memo = till.refunds(MemoSpec { quantities: nothing(), shipping: Some("3.33".into()), ..MemoSpec::default() });
    assert_eq!((memo.text("grand_total"), memo.text("shipping_tax_amount")), ("3.597", "0.6"));
}

#[test]
fn g16c_a_memo_in_two_parts() {
    let mut till = Till::rings(INCLUSIVE, inclusive_cart().also_off_shipping());
    till.invoices(&[]);
    let only = |sku: &str, quantity: i64| Some(BTreeMap::from([(sku.to_owned(), Amount::from(quantity))]));
    let first =
        till.refunds(MemoSpec { quantities: only("A", 1), shipping: Some(Amount::from(0)), ..MemoSpec::default() });
    assert_eq!((first.lines(), first.text("grand_total")), (vec!["1 20 20 3.6 21.2 0.18".to_owned()], "21.6"));
    let second = till.refunds(MemoSpec { quantities: only("B", 2), ..MemoSpec::default() });
    assert_eq!((second.lines(), second.text("grand_total")), (vec!["2 8.33 16.65 3 17.65 0.1802".to_owned()], "23.38"));
}

#[test]
fn g17_for_nothing() {
    let exclusive = invoice(EXCLUSIVE, order(&[item("A", "3", "9.99", "20")]).percent_off("100"));
    assert_eq!(exclusive.lines(), ["3 9.99 29.97 0 0"]);
    assert_eq!(exclusive.totals(), "29.97 / 0 / 0 / 0 / -29.97 / 0");
    assert_eq!((exclusive.text("payment_method"), exclusive.text("state")), ("\"free\"", "\"paid\""));
    let inclusive = invoice(INCLUSIVE, order(&[item("A", "3", "9.99", "20")]).percent_off("100"));
    assert_eq!(inclusive.lines(), ["3 8.32 24.97 0 -5"]);
    assert_eq!(inclusive.totals(), "24.97 / 0 / 0 / 0 / -29.97 / 0");
    let before = TaxSettings { tax_after_discount: false, ..INCLUSIVE };
    let noise = invoice(before, order(&[item("A", "1", "1.36", "20")]).percent_off("100"));
    assert_eq!(noise.lines(), ["1 1.13 1.13 0.23 -2.2204460492503e-16 0.2035"]);
}

#[test]
fn g17b_a_memo_of_nothing() {
    for tax in [EXCLUSIVE, INCLUSIVE] {
        let mut till = Till::rings(tax, order(&[item("A", "3", "9.99", "20")]).percent_off("100"));
        till.invoices(&[]);
        assert!(till.refuses(MemoSpec::default()).ends_with("memo of 0 is refused"));
        let memo = till.refunds(MemoSpec { zero_allowed: true, ..MemoSpec::default() });
        assert_eq!(memo.text("grand_total"), "0");
        let line = if tax.prices_include_tax { "3 8.32 24.97 0 -5" } else { "3 9.99 29.97 0 0" };
        assert_eq!(memo.lines(), [line]);
    }
}

#[test]
fn g18_guest_on_the_wire() {
    let billing = Address {
        street: vec!["1 High Street".to_owned(), "Flat 2".to_owned()],
        ..Address::british("", "London", "N1 7AA").of_company("Lee & Co Ltd")
    };
    let shipping = Address {
        telephone: Some("+44 113 496 0000".to_owned()),
        ..Address::british("9 Dock Road", "Leeds", "LS1 4AP")
    };
    let tee = ItemSpec::simple("TEE-M-RED", "Tee", "2", "29.00")
        .taxed("20")
        .of_kind(ItemKind::Configurable { variant_name: "Tee-M-Red".to_owned() });
    let order = order(&[tee]).shipping_for("4.99", "20").billed_to(billing).shipped_to(shipping).paid_by("checkmo");
    let invoice = invoice(EXCLUSIVE, order);
    let expected = concat!(
        r#"{"magento_id":1,"increment_id":"000000001","order_id":1,"order_increment_id":"000000001","website_id":1,"store_id":1,"#,
        r#""currency":"GBP","state":"paid","customer":{"magento_id":0,"email":"guest@example.com","first_name":"Sam","last_name":"Lee","#,
        r#""company":"Lee & Co Ltd","phone":"+44 20 7946 0958","website_id":0,"addresses":[{"kind":"billing","#,
        r#""street":["1 High Street","Flat 2"],"city":"London","postcode":"N1 7AA","country_id":"GB","telephone":"+44 20 7946 0958"},"#,
        r#"{"kind":"shipping","street":["9 Dock Road"],"city":"Leeds","postcode":"LS1 4AP","country_id":"GB","telephone":"+44 113 496 0000"}],"#,
        r#""created_at":"2026-11-20T09:30:00Z","updated_at":"2026-11-20T09:30:00Z"},"#,
        r#""lines":[{"sku":"TEE-M-RED","name":"Tee","qty":2,"unit_price":29,"line_subtotal":58,"line_tax":11.6,"line_total":69.6,"tax_rate":0.2},"#,
        r#"{"sku":"TEE-M-RED","name":"Tee-M-Red","qty":2,"unit_price":0,"line_subtotal":0,"line_tax":0,"line_total":0}],"#,
        r#""subtotal":58,"tax_amount":12.6,"shipping_amount":4.99,"shipping_tax_amount":1,"discount_amount":0,"grand_total":75.59,"#,
        r#""created_at":"2026-11-20T09:30:00Z","payment_method":"checkmo","#,
        r#""billing_address":{"kind":"billing","street":["1 High Street","Flat 2"],"city":"London","postcode":"N1 7AA","country_id":"GB","#,
        r#""telephone":"+44 20 7946 0958"},"shipping_address":{"kind":"shipping","street":["9 Dock Road"],"city":"Leeds","#,
        r#""postcode":"LS1 4AP","country_id":"GB","telephone":"+44 113 496 0000"},"base_to_order_rate":1}"#,
    );
    assert_eq!(invoice.0, expected);
}
