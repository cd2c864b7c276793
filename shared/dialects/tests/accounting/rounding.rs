//! Xero's own examples of rounding (Xero API docs, rounding; OpenAPI description, line items), against the model that
//! the proof uses for this dialect. Prices without tax only: this dialect sends no others.

use crate::fixtures::line;
use ledger_dialects::Dialect;
use ledger_dialects::accounting::Accounting;
use ledger_domain::amount::Currency;
use ledger_domain::book::TaxRounding;
use ledger_domain::document::LineRole;
use ledger_domain::proof::modelled_document_total;

#[test]
fn the_model_comes_to_xeros_totals() {
    let rounding = Accounting.profile().rules.rounding;
    assert_eq!((rounding.unit_price_places, rounding.amount_places_max), (4, 2));
    assert_eq!(rounding.tax, TaxRounding::Computed);
    let pounds = Currency::parse("GBP").unwrap();
    let check = |lines: &[(&str, &str, &str)], expected: &str| {
        let lines: Vec<_> =
            lines.iter().map(|(quantity, price, rate)| line(LineRole::Item, "x", quantity, price, rate, "0")).collect();
        let total = modelled_document_total(&lines, &rounding, &pounds).unwrap();
        assert_eq!(total.to_string(), expected, "{lines:?}");
    };
    // By line: the tax on the sum would be a penny more.
    check(&[("1", "25.06", "15"), ("1", "25.61", "15"), ("1", "25.63", "15")], "87.74");
    // 19.95 less 10 %, as the net price that this dialect sends of it.
    check(&[("1", "17.96", "15")], "20.65");
    // Half a cent goes up.
    check(&[("1", "2.165", "0")], "2.17");
    check(&[("1", "2.164", "0")], "2.16");
}
