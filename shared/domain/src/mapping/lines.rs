//! From proven lines to a document's: text, category, tax code, kind of supply.

use super::tidy;
use crate::amount::{Amount, Currency};
use crate::book::BookRules;
use crate::canonical::Line;
use crate::code::Code;
use crate::document::{DocumentLine, LineRole};
use crate::fault::Fault;
use crate::proof::{Proof, ProvedLine, Source, Terms};
use crate::settings::{Place, Settings};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Where a document was sold and where its goods go.
pub(super) struct Destined<'a> {
    pub(super) settings: &'a Settings,
    pub(super) place: Place<'a>,
    pub(super) destination: Option<String>,
    pub(super) rules: &'a BookRules,
}

impl<'a> Destined<'a> {
    pub(super) fn tax_rates(&self) -> Vec<Decimal> {
        self.place.tax_rates(self.destination.as_deref(), self.rules.tax_codes)
    }

    pub(super) fn terms<'b>(&self, tax_rates: &'b [Decimal]) -> Terms<'b> {
        Terms {
            tax_rates,
            rounding_limit: self.place.rounding_limit(),
            rounding: self.rules.rounding,
            reductions_have_an_account: self.place.gift_card_category().is_some(),
            additions_have_an_account: self.place.other_charges_category().is_some(),
        }
    }

    fn tax_code(&self, rate: Decimal) -> Result<Option<String>, Fault> {
        let code = self.place.tax_code(rate, self.destination.as_deref());
        if code.is_none() && self.rules.tax_codes {
            let whither = self.destination.as_deref().unwrap_or("nowhere in particular");
            return Err(Fault::refused(
                Code::TaxRateUnmapped,
                format!("No tax code is named for {} % to {whither}.", rate.normalize()),
            ));
        }
        Ok(code.map(str::to_owned))
    }
}

/// The rows that lines speak of.
pub(super) struct Described<'a> {
    pub(super) rows: &'a [Line],
    pub(super) currency: &'a Currency,
    pub(super) item_types: &'a BTreeMap<String, String>,
}

/// The lines of a document.
pub(super) fn document_lines(
    proof: &Proof,
    described: &Described<'_>,
    destined: &Destined<'_>,
) -> Result<Vec<DocumentLine>, Fault> {
    let most = destined.rules.lines_max;
    if proof.lines.len() > most {
        return Err(Fault::refused(
            Code::TooManyLines,
            format!("The document has {} lines; the book takes {most}.", proof.lines.len()),
        ));
    }
    proof.lines.iter().map(|line| document_line(line, described, destined)).collect()
}

fn document_line(line: &ProvedLine, described: &Described<'_>, destined: &Destined<'_>) -> Result<DocumentLine, Fault> {
    let Destined { settings, place, .. } = destined;
    let row = match line.source {
        Source::Row(at) | Source::UntaxedDiscount(Some(at)) => {
            Some(described.rows.get(at).ok_or_else(|| Fault::broken(Code::Unexpected, "A line without a row."))?)
        }
        Source::UntaxedDiscount(None)
        | Source::Shipping
        | Source::AdjustmentRefund
        | Source::AdjustmentFee
        | Source::Unexplained
        | Source::Rounding => None,
    };
    let item_type = row.and_then(|row| described.item_types.get(&row.sku)).map(String::as_str);
    let income = || named(place.income_category(item_type), "income_category");
    let shipping = || named(place.shipping_category(), "shipping_category");
    let or_income = |category: Option<&str>| match category {
        Some(category) => Ok(category.to_owned()),
        None => income(),
    };
    let account = |category: Option<&str>| named(category.unwrap_or_default(), "the account");
    let fixed = |text: &str| text.to_owned();
    let (role, description, category) = match line.source {
        Source::Row(_) => (LineRole::Item, row.map(|row| row_text(row, line, described)), income()?),
        Source::UntaxedDiscount(Some(_)) => {
            (LineRole::Item, row.map(|row| format!("Discount on {}", product(row))), income()?)
        }
        Source::Shipping => {
            (LineRole::Shipping, Some(format!("Shipping{}", included(described, line.discount))), shipping()?)
        }
        Source::UntaxedDiscount(None) => (LineRole::Shipping, Some(fixed("Discount on shipping")), shipping()?),
        Source::AdjustmentRefund => {
            (LineRole::Adjustment, Some(fixed("Adjustment refund")), or_income(place.adjustment_refund_category())?)
        }
        Source::AdjustmentFee => {
            (LineRole::Adjustment, Some(fixed("Adjustment fee")), or_income(place.adjustment_fee_category())?)
        }
        Source::Unexplained if line.unit_price.is_sign_negative() => (
            LineRole::Unexplained,
            Some(fixed("Gift card, store credit or other reduction")),
            account(place.gift_card_category())?,
        ),
        Source::Unexplained => {
            (LineRole::Unexplained, Some(fixed("Other charges")), account(place.other_charges_category())?)
        }
        Source::Rounding => (LineRole::Rounding, Some(fixed("Rounding")), or_income(place.rounding_category())?),
    };
    Ok(DocumentLine {
        role,
        sku: row.map(|row| tidy(&row.sku)).filter(|sku| !sku.is_empty()),
        description: description.unwrap_or_default(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        tax_rate: line.tax_rate,
        tax: line.tax,
        tax_code: match line.source {
            // These are no sale: where the settings name a code for what is outside of tax, it is theirs. A rate of nothing
            // is a kind of sale to a tax office, and accounts for rounding or gift cards take no such code.
            Source::Unexplained | Source::Rounding if place.default_tax_code().is_some() => {
                place.default_tax_code().map(str::to_owned)
            }
            Source::Row(_)
            | Source::UntaxedDiscount(_)
            | Source::Shipping
            | Source::AdjustmentRefund
            | Source::AdjustmentFee
            | Source::Unexplained
            | Source::Rounding => destined.tax_code(line.tax_rate)?,
        },
        category,
        item_type: item_type.map(str::to_owned),
        supply: settings.supply_of_item_type(item_type),
    })
}

fn named(category: &str, setting: &str) -> Result<String, Fault> {
    if category.trim().is_empty() {
        return Err(Fault::refused(Code::SettingsInvalid, format!("{setting} is not set.")));
    }
    Ok(category.to_owned())
}

/// What was sold; how many, where the line itself says one; what came off.
fn row_text(row: &Line, line: &ProvedLine, described: &Described<'_>) -> String {
    let quantity = row.quantity.value();
    let folded = if line.quantity == quantity || quantity <= Decimal::ZERO {
        String::new()
    } else {
        format!(", quantity {}", quantity.normalize())
    };
    format!("{}{folded}{}", product(row), included(described, line.discount))
}

fn included(described: &Described<'_>, discount: Amount) -> String {
    let places = described.currency.places();
    let discount = discount.rounded(places);
    if discount.is_zero() {
        return String::new();
    }
    let mut shown = discount.value();
    shown.rescale(places);
    format!(", discount {shown} included")
}

fn product(row: &Line) -> String {
    let (name, sku) = (tidy(&row.name), tidy(&row.sku));
    match (name.is_empty(), sku.is_empty()) {
        (false, false) => format!("{name} ({sku})"),
        (false, true) => name,
        (true, false) => sku,
        (true, true) => "Item".to_owned(),
    }
}
