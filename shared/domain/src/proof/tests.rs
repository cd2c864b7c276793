use super::*;
use crate::amount::{Currency, round_half_away};
use crate::book::TaxRounding;
use crate::canonical::{Customer, InvoiceState, Line};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::str::FromStr;

fn decimal(text: &str) -> Decimal {
    Decimal::from_str(text).unwrap()
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn line([quantity, unit_price, subtotal, tax, total]: [Amount; 5]) -> Line {
    Line { sku: "SKU".to_owned(), name: "Name".to_owned(), quantity, unit_price, subtotal, tax, total }
}

/// Rows as `quantity unit_price line_subtotal line_tax line_total`, totals as
/// `subtotal tax_amount shipping_amount shipping_tax_amount discount_amount grand_total`.
fn invoice(currency: &str, rows: &[&str], totals: &str) -> Invoice {
    let numbers = |text: &str| text.split_whitespace().map(amount).collect::<Vec<_>>();
    let lines = rows.iter().map(|row| line(numbers(row).try_into().unwrap())).collect();
    let [subtotal, tax, shipping, shipping_tax, discount, grand_total]: [Amount; 6] =
        numbers(totals).try_into().unwrap();
    document(currency, lines, [subtotal, tax, shipping, shipping_tax, discount, grand_total])
}

fn document(currency: &str, lines: Vec<Line>, totals: [Amount; 6]) -> Invoice {
    let [subtotal, tax, shipping, shipping_tax, discount, grand_total] = totals;
    Invoice {
        magento_id: 42,
        increment_id: "000000042".to_owned(),
        order_id: 57,
        order_increment_id: "000000057".to_owned(),
        website_id: 1,
        store_id: 1,
        currency: Currency::parse(currency).unwrap(),
        state: InvoiceState::Paid,
        customer: Customer {
            magento_id: 0,
            email: "jane@example.com".to_owned(),
            first_name: "Jane".to_owned(),
            last_name: "O'Hara".to_owned(),
            company: None,
            phone: None,
            website_id: 0,
            group_id: None,
            addresses: Vec::new(),
            created_at: None,
            updated_at: None,
        },
        lines,
        subtotal,
        tax,
        shipping,
        shipping_tax,
        discount,
        grand_total,
        created_at: "2026-11-20T09:30:00Z".parse().unwrap(),
        payment_method: None,
        billing_address: None,
        shipping_address: None,
        purchase_order_number: None,
        base_to_order_rate: None,
    }
}

const TWO_PLACES: Rounding = Rounding { unit_price_places: 2, amount_places_max: 4, tax: TaxRounding::Computed };

fn terms(tax_rates: &[Decimal], rounding: Rounding) -> Terms<'_> {
    Terms {
        tax_rates,
        rounding_limit: decimal("0.05"),
        rounding,
        reductions_have_an_account: false,
        additions_have_an_account: false,
    }
}

fn proved(invoice: &Invoice, rates: &[&str]) -> Result<Proof, Fault> {
    let rates: Vec<Decimal> = rates.iter().map(|rate| decimal(rate)).collect();
    prove(invoice, &terms(&rates, TWO_PLACES))
}

/// `R0 3 × 9.99 @20 −1`: source, quantity, price, rate, discount inside.
fn shown(line: &ProvedLine) -> String {
    let source = match line.source {
        Source::Row(at) => format!("R{at}"),
        Source::Shipping => "S".to_owned(),
        Source::UntaxedDiscount(Some(at)) => format!("D{at}"),
        Source::UntaxedDiscount(None) => "DS".to_owned(),
        Source::AdjustmentRefund => "A+".to_owned(),
        Source::AdjustmentFee => "A-".to_owned(),
        Source::Unexplained => "?".to_owned(),
        Source::Rounding => "±".to_owned(),
    };
    let discount = if line.discount.is_zero() { String::new() } else { format!(" -{}", line.discount) };
    format!("{source} {}x{} @{}{discount}", line.quantity, line.unit_price, line.tax_rate)
}

/// The cases of what Magento 2 computes (tax after discount, total-based unless said), each with the lines that a book
/// is to get. Tuples are on the wire as the published module sends them.
#[test]
fn golden_invoices_come_to_the_penny() {
    const GBP: &[&str] = &["20", "5", "0"];
    const YEN: &[&str] = &["10", "0"];
    let check = |case: &str, currency: &str, rates: &[&str], rows: &[&str], totals: &str, expected: &[&str]| {
        let invoice = invoice(currency, rows, totals);
        let proof = proved(&invoice, rates).unwrap_or_else(|fault| panic!("{case}: {fault}"));
        assert_eq!(proof.lines.iter().map(shown).collect::<Vec<_>>(), expected, "{case}");
        assert_eq!(proof.total, invoice.grand_total.rounded(invoice.currency.places()), "{case}");
        assert_eq!(modelled_total(&proof.lines, &TWO_PLACES, invoice.currency.places()), Ok(proof.total), "{case}");
        roundings::holds_in_every_book(case, &invoice, rates);
    };

    check(
        "prices without tax, untaxed shipping",
        "GBP",
        GBP,
        &["2 19.99 39.98 8 47.98"],
        "39.98 8 5 0 0 52.98",
        &["R0 2x19.99 @20", "S 1x5 @0"],
    );
    check(
        "prices with tax: the unit price does not come to the row",
        "GBP",
        GBP,
        &["3 8.32 24.97 5 29.97"],
        "24.97 5 0 0 0 29.97",
        &["R0 1x24.97 @20", "± 1x0.01 @0"],
    );
    check(
        "two rates and none",
        "GBP",
        GBP,
        &["3 12.49 37.47 7.49 44.96", "1 7.77 7.77 0.39 8.16", "2 8.95 17.9 0 17.9"],
        "63.14 7.88 0 0 0 71.02",
        &["R0 3x12.49 @20", "R1 1x7.77 @5", "R2 2x8.95 @0"],
    );
    check(
        "eleven pieces of twelve, taxed by the piece, with a remainder",
        "JPY",
        &["12.5", "0"],
        &["11 5357.44 58931.84 5871.15 51344.43"],
        "58931.84 5871.15 0 0 -13458.56 52839.83",
        &["R0 1x46969 @12.5 -11963.16", "± 1x-0.13 @0"],
    );
    check(
        "total-based remainder",
        "GBP",
        GBP,
        &["1 0.34 0.34 0.07 0.41", "1 0.34 0.34 0.07 0.41", "1 0.34 0.34 0.06 0.40"],
        "1.02 0.20 0 0 0 1.22",
        &["R0 1x0.34 @20", "R1 1x0.34 @20", "R2 1x0.34 @20", "± 1x-0.01 @0"],
    );
    check(
        "row- or unit-based tax of the same",
        "GBP",
        GBP,
        &["1 0.34 0.34 0.07 0.41", "1 0.34 0.34 0.07 0.41", "1 0.34 0.34 0.07 0.41"],
        "1.02 0.21 0 0 0 1.23",
        &["R0 1x0.34 @20", "R1 1x0.34 @20", "R2 1x0.34 @20"],
    );
    check(
        "10 % off prices without tax: 20 %, though the module says 18 %",
        "GBP",
        GBP,
        &["1 19.99 19.99 3.6 21.59", "3 4.95 14.85 2.67 16.04"],
        "34.84 7.27 4.99 1 -3.48 43.62",
        &["R0 1x17.99 @20 -2", "R1 1x13.37 @20 -1.48", "S 1x4.99 @20"],
    );
    check(
        "10.00 off the cart",
        "GBP",
        GBP,
        &["1 19.99 19.99 2.85 17.1", "3 4.95 14.85 2.12 12.71"],
        "34.84 5.97 4.99 1 -10 35.8",
        &["R0 1x14.25 @20 -5.74", "R1 3x3.53 @20 -4.26", "S 1x4.99 @20"],
    );
    check(
        "prices and shipping with tax, 10 % off the price with tax",
        "GBP",
        GBP,
        &["1 20 20 3.6 21.2", "2 8.33 16.65 3 17.65"],
        "36.65 7.6 5 1 -4.4 45.58",
        &["R0 1x18 @20 -2", "R1 2x7.49 @20 -1.67", "S 1x5 @20"],
    );
    check(
        "the same, 10 % off the price without tax",
        "GBP",
        GBP,
        &["1 20 20 3.67 21.67", "2 8.33 16.65 3.05 18.03"],
        "36.65 7.72 5 1 -3.67 46.31",
        &["R0 1x18.33 @20 -1.67", "R1 2x7.63 @20 -1.39", "S 1x5 @20"],
    );
    check(
        "the same with the discount also on shipping",
        "GBP",
        GBP,
        &["1 20 20 3.6 21.2", "2 8.33 16.65 3 17.65"],
        "36.65 7.5 5 0.9 -5 44.98",
        &["R0 1x18 @20 -2", "R1 2x7.49 @20 -1.67", "S 1x4.5 @20 -0.5"],
    );
    check(
        "half off goods and shipping, prices without tax",
        "GBP",
        GBP,
        &["1 20 20 2 12"],
        "20 3 10 1 -15 18",
        &["R0 1x10 @20 -10", "S 1x5 @20 -5"],
    );
    check(
        "a bundle with its own prices: the parent's unit price is no money",
        "GBP",
        GBP,
        &["2 19.98 0 0 0", "2 10 20 3.6 21.6", "4 4.99 19.96 3.59 21.55"],
        "39.96 7.19 0 0 -4 43.15",
        &["R1 2x9 @20 -2", "R2 4x4.49 @20 -2"],
    );
    check(
        "the same without discount",
        "GBP",
        GBP,
        &["2 19.98 0 0 0", "2 10 20 4 24", "4 4.99 19.96 3.99 23.95"],
        "39.96 7.99 0 0 0 47.95",
        &["R1 2x10 @20", "R2 4x4.99 @20"],
    );
    check(
        "a bundle at a fixed price",
        "GBP",
        GBP,
        &["1 49.95 49.95 9.99 59.94", "1 0 0 0 0", "2 0 0 0 0"],
        "49.95 9.99 0 0 0 59.94",
        &["R0 1x49.95 @20"],
    );
    check(
        "a configurable product and its variant",
        "GBP",
        GBP,
        &["2 29 58 11.6 69.6", "2 0 0 0 0"],
        "58 11.6 0 0 0 69.6",
        &["R0 2x29 @20"],
    );
    check(
        "a fractional quantity",
        "GBP",
        GBP,
        &["1.375 7.49 10.2988 2.06 12.3588"],
        "10.2988 2.06 0 0 0 12.3588",
        &["R0 1x10.3 @20"],
    );
    check(
        "a part of a fractional quantity",
        "GBP",
        GBP,
        &["0.5 7.49 3.75 0.75 4.5"],
        "3.75 0.75 0 0 0 4.5",
        &["R0 0.5x7.5 @20"],
    );
    check(
        "the rest of it (a half-penny tie)",
        "GBP",
        GBP,
        &["1 7.49 7.485 1.5 8.985"],
        "7.485 1.5 0 0 0 8.985",
        &["R0 1x7.49 @20"],
    );
    check(
        "the part, should the tie fall the other way",
        "GBP",
        GBP,
        &["0.5 7.49 3.74 0.75 4.49"],
        "3.74 0.75 0 0 0 4.49",
        &["R0 0.5x7.48 @20"],
    );
    check(
        "yen with tax",
        "JPY",
        YEN,
        &["3 1800 5400 540 5940"],
        "5400 590 500 50 0 6490",
        &["R0 3x1800 @10", "S 1x500 @10"],
    );
    check(
        "fractional yen",
        "JPY",
        YEN,
        &["1 1999 1999 199.9 2198.9"],
        "1999 249.9 500 50 0 2748.9",
        &["R0 1x1999 @10", "S 1x500 @10", "± 1x0.1 @0"],
    );
    check(
        "dinars, of which the shop loses the third place",
        "KWD",
        GBP,
        &["3 4.73 14.19 0.71 14.9"],
        "14.19 0.71 0 0 0 14.9",
        &["R0 3x4.73 @5"],
    );
    check(
        "foreign currency",
        "EUR",
        GBP,
        &["3 23.49 70.47 14.09 84.56"],
        "70.47 15.27 5.86 1.18 0 91.6",
        &["R0 3x23.49 @20", "S 1x5.86 @20", "± 1x0.01 @0"],
    );
    check(
        "three invoices of one order: the first",
        "GBP",
        GBP,
        &["1 9.99 9.99 1.8 10.79"],
        "9.99 2.8 4.99 1 -1 16.78",
        &["R0 1x8.99 @20 -1", "S 1x4.99 @20"],
    );
    check("the second", "GBP", GBP, &["1 9.99 9.99 1.8 10.79"], "9.99 1.8 0 0 -1 10.79", &["R0 1x8.99 @20 -1"]);
    check(
        "the third, and the second should its tie fall the other way",
        "GBP",
        GBP,
        &["1 9.99 9.99 1.79 10.78"],
        "9.99 1.79 0 0 -1 10.78",
        &["R0 1x8.99 @20 -1", "± 1x-0.01 @0"],
    );
    check(
        "three invoices, prices with tax: the first",
        "GBP",
        GBP,
        &["1 8.32 8.32 1.5 8.82"],
        "8.32 2.49 5 0.99 -1 14.98",
        &["R0 1x7.49 @20 -0.83", "S 1x5 @20", "± 1x-0.01 @0"],
    );
    check(
        "the second, its discount a penny up",
        "GBP",
        GBP,
        &["1 8.33 8.33 1.51 8.83"],
        "8.33 1.51 0 0 -1.01 8.99",
        &["R0 1x7.48 @20 -0.85", "± 1x0.01 @0"],
    );
    check(
        "the third, its discount a penny down",
        "GBP",
        GBP,
        &["1 8.32 8.32 1.49 8.82"],
        "8.32 1.49 0 0 -0.99 8.99",
        &["R0 1x7.5 @20 -0.82", "± 1x-0.01 @0"],
    );
    check(
        "free, prices without tax",
        "GBP",
        GBP,
        &["3 9.99 29.97 0 0"],
        "29.97 0 0 0 -29.97 0",
        &["R0 3x0 @20 -29.97"],
    );
    check(
        "free, prices with tax: a negative row on an invoice of nothing",
        "GBP",
        GBP,
        &["3 8.32 24.97 0 -5"],
        "24.97 0 0 0 -29.97 0",
        &["R0 3x0 @20 -24.97"],
    );
    check(
        "free, taxed before discount: float noise as the row's total",
        "GBP",
        GBP,
        &["1 1.13 1.13 0.23 -2.2204460492503e-16"],
        "1.13 0.23 0 0 -1.36 0",
        &["R0 1x1.13 @20", "D0 1x-1.36 @0"],
    );
    check(
        "10 % off and off shipping, taxed before discount",
        "GBP",
        GBP,
        &["2 50 100 20 110"],
        "100 22 10 2 -11 121",
        &["R0 2x50 @20", "D0 1x-10 @0", "S 1x10 @20", "DS 1x-1 @0"],
    );
    check("only free goods", "GBP", GBP, &["1 0 0 0 0", "2 0 0 0 0"], "0 0 0 0 0 0", &["R0 1x0 @0", "R1 2x0 @0"]);
    check(
        "a small row is told by the rate that others prove",
        "GBP",
        &["20", "17.5", "0"],
        &["1 100 100 20 120", "1 0.34 0.34 0.06 0.40"],
        "100.34 20.06 0 0 0 120.4",
        &["R0 1x100 @20", "R1 1x0.34 @20", "± 1x-0.01 @0"],
    );
    check(
        "unit-based tax within the limit",
        "GBP",
        GBP,
        &["20 0.34 6.8 1.4 8.2"],
        "6.8 1.4 0 0 0 8.2",
        &["R0 20x0.34 @20", "± 1x0.04 @0"],
    );
    check("a negative invoice", "GBP", GBP, &["1 -10 -10 -2 -12"], "-10 -2 0 0 0 -12", &["R0 1x-10 @20"]);
}

#[test]
fn what_is_not_explained_is_refused() {
    let check = |case: &str, rates: &[&str], rows: &[&str], totals: &str, code: Code, says: &str| {
        let fault = proved(&invoice("GBP", rows, totals), rates).expect_err(case);
        assert_eq!(fault.code, code, "{case}: {fault}");
        assert!(fault.message.contains(says), "{case}: {fault}");
    };
    const GBP: &[&str] = &["20", "5", "0"];
    let plain: &[&str] = &["1 100 100 20 120"];
    let unexplained = Code::UnexplainedDifference;
    check("gift card", GBP, plain, "100 20 0 0 0 95", unexplained, "-25 GBP is unexplained");
    check("fixed product tax", GBP, plain, "100 20 0 0 0 122.5", unexplained, "2.5 GBP is unexplained");
    check("the same in the subtotal", GBP, plain, "102.5 20 0 0 0 122.5", unexplained, "2.5 GBP is unexplained");
    check("tax of nothing we see", GBP, plain, "100 21 0 0 0 121", unexplained, "1 GBP is unexplained");
    check("a row above its price", GBP, &["1 100 100 20 121"], "100 20 0 0 1 121", unexplained, "Row 1");
    check("a discount of nothing we see", GBP, plain, "100 20 0 0 -10 110", unexplained, "10 GBP is unexplained");
    check(
        "a discount that is less than the rows'",
        GBP,
        &["1 100 100 18 108"],
        "100 18 0 0 -9 109",
        unexplained,
        "-1 GBP",
    );
    check(
        "store credit beside compensation",
        GBP,
        &["1 20 20 3.6 21.2"],
        "20 3.6 0 0 -2.4 20.6",
        unexplained,
        "-1 GBP is unexplained",
    );
    check("no rows", GBP, &[], "0 0 0 0 0 0", unexplained, "no rows");
    check("unit-based tax beyond the limit", GBP, &["100 0.34 34 7 41"], "34 7 0 0 0 41", unexplained, "0.2 GBP");
    let unmapped = Code::TaxRateUnmapped;
    check("another rate", GBP, &["1 100 100 19 119"], "100 19 0 0 0 119", unmapped, "20 %, 5 %, 0 %");
    check("another rate on many pieces", GBP, &["100 1 100 19 119"], "100 19 0 0 0 119", unmapped, "Row 1");
    check("another rate on shipping", GBP, plain, "100 21.9 10 1.9 0 131.9", unmapped, "Shipping");
    check("an untaxed row where the book has no such rate", &["20"], &["1 9 9 0 9"], "9 0 0 0 0 9", unmapped, "(20 %)");
    check(
        "a rounding line where the book has no such rate",
        &["20"],
        &["3 8.32 24.97 5 29.97"],
        "24.97 5 0 0 0 29.97",
        unmapped,
        "0 %",
    );
    check("no rates", &[], plain, "100 20 0 0 0 120", unmapped, "Row 1");
    check("a rate below nothing", &["-20"], plain, "100 20 0 0 0 120", Code::SettingsInvalid, "-20 %");
    check("a slip of the pen", &["2000"], plain, "100 20 0 0 0 120", Code::SettingsInvalid, "2000 %");
}

#[test]
fn the_merchant_can_allow_more_rounding() {
    let invoice = invoice("GBP", &["100 0.34 34 7 41"], "34 7 0 0 0 41");
    let rates = ["20", "0"].map(decimal);
    let proof = prove(&invoice, &Terms { rounding_limit: decimal("0.5"), ..terms(&rates, TWO_PLACES) });
    assert_eq!(proof.unwrap().lines.iter().map(shown).collect::<Vec<_>>(), ["R0 100x0.34 @20", "± 1x0.2 @0"]);
}

mod memos;
mod roundings;

/// A shop of our own, written from the rules of Magento's tax and discount calculation and from nothing of the proof.
mod shop {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Algorithm {
        Total,
        Row,
        Unit,
    }

    #[derive(Clone, Debug)]
    pub(super) struct Shop {
        pub(super) algorithm: Algorithm,
        pub(super) prices_with_tax: bool,
        pub(super) shipping_with_tax: bool,
        pub(super) discount_with_tax: bool,
        pub(super) tax_before_discount: bool,
        pub(super) discount_percent: u32,
        pub(super) discount_on_shipping: bool,
        pub(super) shipping_pennies: u32,
        pub(super) shipping_rate: u32,
        /// Pennies, quantity, rate.
        pub(super) cart: Vec<(u32, u32, u32)>,
    }

    fn penny(value: Decimal) -> Decimal {
        round_half_away(value, 2)
    }

    /// Remainders by (after discount, rate).
    #[derive(Default)]
    struct Carry(std::collections::BTreeMap<(bool, u32), Decimal>);

    impl Carry {
        fn round(&mut self, after: bool, rate: u32, value: Decimal) -> Decimal {
            let carried = self.0.entry((after, rate)).or_insert_with(|| decimal("0.000001"));
            let whole = value + *carried;
            *carried = whole - penny(whole);
            penny(whole)
        }
    }

    /// Row, tax, compensation of a price for a quantity.
    fn taxed(
        shop: &Shop,
        with_tax: bool,
        carry: &mut Carry,
        price: Decimal,
        quantity: Decimal,
        discount: Decimal,
        rate: u32,
    ) -> [Decimal; 3] {
        let percent = Decimal::from(rate) / Decimal::ONE_HUNDRED;
        let inside = Decimal::ONE - Decimal::ONE / (Decimal::ONE + percent);
        let off = if shop.tax_before_discount { Decimal::ZERO } else { discount };
        let (amount, off, times) = if shop.algorithm == Algorithm::Unit {
            (price, off / quantity, quantity)
        } else {
            (price * quantity, off, Decimal::ONE)
        };
        let rest = (amount - off).max(Decimal::ZERO);
        if with_tax {
            let before = carry.round(false, rate, amount * inside);
            let tax = carry.round(true, rate, rest * inside);
            [(amount - before) * times, tax * times, (before - tax) * times]
        } else {
            [amount * times, carry.round(true, rate, rest * percent) * times, Decimal::ZERO]
        }
    }

    pub(super) fn invoice_of(shop: &Shop) -> Invoice {
        let kept = |value: Decimal| Amount::from_decimal(value).unwrap();
        let discount_percent = Decimal::from(shop.discount_percent) / Decimal::ONE_HUNDRED;
        let mut total_carry = Carry::default();
        let mut lines = Vec::new();
        let [mut subtotal, mut tax, mut hidden, mut discounts] = [Decimal::ZERO; 4];
        let mut discount_carry = Decimal::ZERO;
        for (pennies, quantity, rate) in &shop.cart {
            let price = Decimal::new(i64::from(*pennies), 2);
            let quantity = Decimal::from(*quantity);
            let factor = (Decimal::ONE_HUNDRED + Decimal::from(*rate)) / Decimal::ONE_HUNDRED;
            let discounted = match (shop.prices_with_tax, shop.discount_with_tax) {
                (true, true) | (false, false) => price,
                (true, false) => penny(price / factor),
                (false, true) => penny(price * factor),
            };
            let exact = discounted * quantity * discount_percent + discount_carry;
            let discount = penny(exact);
            discount_carry = exact - discount;
            let mut own = Carry::default();
            let carry = if shop.algorithm == Algorithm::Total { &mut total_carry } else { &mut own };
            let [row, row_tax, row_hidden] = taxed(shop, shop.prices_with_tax, carry, price, quantity, discount, *rate);
            subtotal += row;
            tax += row_tax;
            hidden += row_hidden;
            discounts += discount;
            lines.push(line([
                kept(quantity),
                kept(penny(row / quantity)),
                kept(row),
                kept(row_tax),
                kept(row + row_tax - discount),
            ]));
        }
        let price = Decimal::new(i64::from(shop.shipping_pennies), 2);
        let off = if shop.discount_on_shipping { penny(price * discount_percent) } else { Decimal::ZERO };
        let mut own = Carry::default();
        let carry = if shop.algorithm == Algorithm::Total { &mut total_carry } else { &mut own };
        let [shipping, shipping_tax, shipping_hidden] =
            taxed(shop, shop.shipping_with_tax, carry, price, Decimal::ONE, off, shop.shipping_rate);
        tax += shipping_tax;
        discounts += off;
        hidden += shipping_hidden;
        let grand_total = subtotal - discounts + shipping + tax + hidden;
        document("GBP", lines, [subtotal, tax, shipping, shipping_tax, -discounts, grand_total].map(kept))
    }

    prop_compose! {
        pub(super) fn shops()(
            algorithm in prop_oneof![
                4 => Just(Algorithm::Total), 2 => Just(Algorithm::Row), 1 => Just(Algorithm::Unit)
            ],
            prices_with_tax: bool,
            shipping_with_tax: bool,
            discount_with_tax: bool,
            tax_before_discount in prop::bool::weighted(0.2),
            discount_percent in prop_oneof![Just(0_u32), Just(10), Just(15), Just(33), Just(100), 0_u32..=100],
            discount_on_shipping: bool,
            shipping_pennies in prop_oneof![Just(0_u32), Just(499), 1_u32..3000],
            shipping_rate in prop_oneof![Just(0_u32), Just(20), Just(5)],
            cart in prop::collection::vec(
                (
                    prop_oneof![1_u32..100, 100_u32..20_000, 20_000_u32..1_000_000],
                    prop_oneof![Just(1_u32), 1_u32..12],
                    prop_oneof![3 => Just(20_u32), 1 => Just(5), 1 => Just(0)],
                ),
                1..8,
            ),
        ) -> Shop {
            // With prices without tax and the discount on the price with tax, 100 % is more than everything.
            let discount_with_tax = discount_with_tax && prices_with_tax;
            Shop {
                algorithm, prices_with_tax, shipping_with_tax, discount_with_tax, tax_before_discount,
                discount_percent, discount_on_shipping, shipping_pennies, shipping_rate, cart,
            }
        }
    }
}

fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![
        Just(Amount::ZERO),
        (-1_000_i64..100_000).prop_map(|pennies| Amount::from_decimal(Decimal::new(pennies, 2)).unwrap()),
        (-9_999_999_999_999_999_i64..=9_999_999_999_999_999)
            .prop_map(|places| Amount::from_decimal(Decimal::new(places, 4)).unwrap()),
    ]
}

fn any_rate() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        Just(Decimal::ZERO),
        Just(Decimal::from(20)),
        Just(Decimal::MAX),
        Just(Decimal::MIN),
        Just(Decimal::NEGATIVE_ONE * Decimal::ONE_HUNDRED),
        (any::<i64>(), 0_u32..=28).prop_map(|(number, scale)| Decimal::new(number, scale)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn orders_of_the_shop_come_to_the_penny(shop in shop::shops()) {
        let invoice = shop::invoice_of(&shop);
        let result = proved(&invoice, &["20", "5", "0"]);
        prop_assert_eq!(&result, &proved(&invoice, &["20", "5", "0"]));
        match result {
            Ok(proof) => {
                prop_assert_eq!(proof.total, invoice.grand_total.rounded(2));
                prop_assert_eq!(modelled_total(&proof.lines, &TWO_PLACES, 2).unwrap(), proof.total);
                prop_assert!(proof.lines.iter().filter(|line| line.source == Source::Rounding).count() <= 1);
                for (at, (pennies, quantity, rate)) in shop.cart.iter().enumerate() {
                    // Rows of some size have the rate that the shop charged. (Of a row at a quarter of its price, 5 %
                    // before the discount is 20 % after it.)
                    let found = proof.lines.iter().find(|line| line.source == Source::Row(at));
                    if !shop.tax_before_discount && pennies * quantity * (100 - shop.discount_percent) > 100_000 {
                        prop_assert_eq!(found.map(|line| line.tax_rate), Some(Decimal::from(*rate)));
                    }
                }
            }
            // Tax by the piece can be further from the book's than a rounding line may reach.
            Err(fault) => {
                prop_assert_eq!(shop.algorithm, shop::Algorithm::Unit, "{}", fault);
                prop_assert_eq!(fault.code, Code::UnexplainedDifference, "{}", fault);
            }
        }
    }

    #[test]
    fn a_hidden_charge_is_never_taken_for_rounding(shop in shop::shops(), pennies in 100_i64..10_000, sign: bool) {
        let mut invoice = shop::invoice_of(&shop);
        let hidden = Amount::from_decimal(Decimal::new(if sign { pennies } else { -pennies }, 2)).unwrap();
        invoice.grand_total = invoice.grand_total.plus(hidden).unwrap();
        // Only one that equals, to the penny, the compensation of another way to compute the same rows can't be told
        // from it; the seed is fixed, so that such a coincidence does not come and go.
        let refused = proved(&invoice, &["20", "5", "0"]).map_err(|fault| fault.code);
        prop_assert!(matches!(refused, Err(Code::UnexplainedDifference | Code::TaxRateUnmapped)), "{:?}", refused);
    }

    #[test]
    fn no_invoice_makes_it_panic(
        rows in prop::collection::vec(prop::array::uniform5(amounts()), 0..6),
        totals in prop::array::uniform6(amounts()),
        rates in prop::collection::vec(any_rate(), 0..4),
        rounding_limit in any_rate(),
        unit_price_places in 0_u32..40,
    ) {
        let invoice = document("GBP", rows.into_iter().map(line).collect(), totals);
        let rounding = Rounding { unit_price_places, ..TWO_PLACES };
        let terms = Terms { rounding_limit, ..terms(&rates, rounding) };
        let result = prove(&invoice, &terms);
        prop_assert_eq!(&result, &prove(&invoice, &terms));
        if let Ok(proof) = result {
            prop_assert_eq!(modelled_total(&proof.lines, &rounding, 2).unwrap(), proof.total);
        }
    }
}
