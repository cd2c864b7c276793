//! FreeAgent's own figures (FreeAgent API forum, 510 and 2127, answered by its staff; FreeAgent API docs, credit notes) against
//! the model that the proof uses for this dialect.

use crate::DIALECT;
use crate::fixtures::{amount, decimal, mapped, plain, settings, shop_invoice};
use ledger_dialects::Dialect;
use ledger_domain::amount::Currency;
use ledger_domain::book::TaxRounding;
use ledger_domain::document::{Document, DocumentLine};
use ledger_domain::proof::modelled_document_total;

/// The total in pounds that the model gives lines of quantity, unit price and rate.
fn modelled(lines: &[(&str, &str, &str)]) -> String {
    let Document::Invoice(invoice) = plain() else { panic!("an invoice") };
    let [line] = invoice.lines.as_slice() else { panic!("a line") };
    let line = |(quantity, unit_price, rate): &(&str, &str, &str)| DocumentLine {
        quantity: decimal(quantity),
        unit_price: decimal(unit_price),
        tax_rate: decimal(rate),
        tax: amount("0"),
        ..line.clone()
    };
    let lines: Vec<DocumentLine> = lines.iter().map(line).collect();
    let pounds = Currency::parse("GBP").unwrap();
    modelled_document_total(&lines, &DIALECT.profile().rules.rounding, &pounds).unwrap().to_string()
}

#[test]
fn the_model_comes_to_freeagents_totals() {
    let rounding = DIALECT.profile().rules.rounding;
    assert_eq!((rounding.unit_price_places, rounding.amount_places_max), (2, 2));
    assert_eq!(rounding.tax, TaxRounding::Computed);
    // Fifty at five sixths of a fiver: the price counts as 4.17, the row as 208.50.
    assert_eq!(modelled(&[("50", "4.167", "20")]), "250.2");
    // By line, in figures of ours: on the sum the tax would be 0.07.
    assert_eq!(modelled(&[("1", "0.12", "20"), ("1", "0.12", "20"), ("1", "0.12", "20")]), "0.42");
    assert_eq!(modelled(&[("1", "-100", "20")]), "-120");
}

/// The order that the forum complains of: fifty at five pounds with tax are two hundred and fifty.
#[test]
fn the_order_of_the_forum_comes_to_the_shops_total() {
    let order = shop_invoice(&["CARD|Card|50|4.17|208.33|41.67|250"], "208.33 41.67 0 0 0 250");
    let posted = mapped(&order, &settings());
    let lines: Vec<String> = posted
        .lines
        .iter()
        .map(|line| format!("{} x {} @{}", line.quantity.normalize(), line.unit_price.normalize(), line.tax_rate))
        .collect();
    assert_eq!((posted.total, lines), (amount("250"), vec!["1 x 208.33 @20".to_owned()]));
    assert_eq!(modelled(&[("1", "208.33", "20")]), "250");
}
