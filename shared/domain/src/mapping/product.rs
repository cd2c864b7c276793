//! Products and their stock.

use super::{date_of, tidy};
use crate::book::BookRules;
use crate::canonical;
use crate::code::Code;
use crate::document::{Product, StockMovement, fitted};
use crate::fault::Fault;
use crate::settings::Settings;
use jiff::Timestamp;
use rust_decimal::Decimal;

/// A product as the book shall show it, by the binding's map of product types. Its prices are the catalogue's.
///
/// # Errors
/// `PRODUCT_TYPE_NOT_SUPPORTED`, a reason to leave it out, for composite products and types that the map does not name.
pub fn product(product: &canonical::Product, settings: &Settings, rules: &BookRules) -> Result<Product, Code> {
    let item_type = settings.item_type(&product.product_type).ok_or(Code::ProductTypeNotSupported)?;
    let website_id = product.website_ids.first().copied().unwrap_or_default();
    let place = settings.at(website_id, None);
    let name = tidy(&product.name);
    Ok(Product {
        sku: product.sku.clone(),
        name: if name.is_empty() { product.sku.clone() } else { name },
        item_type: item_type.to_owned(),
        supply: settings.supply_of_product_type(&product.product_type),
        price: product.price,
        price_includes_tax: settings.catalogue_prices_include_tax,
        cost: product.cost,
        category: place.income_category(Some(item_type)).to_owned(),
        purchase_category: place.purchase_category().map(str::to_owned),
        // The shop names a tax class, which no rate can be had from. Only a book that knows no tax has one answer.
        tax_code: place
            .default_tax_code()
            .filter(|_| rules.tax_codes && !settings.sales_tax_registered)
            .map(str::to_owned),
        stocked: settings.policy.sync_stock && product.manage_stock,
    })
}

/// What brings a product's stock in the book to the shop's quantity; `None` where it is there, or where the shop keeps
/// none.
///
/// # Errors
/// `settings_invalid` for an unknown time zone; `unexpected` for quantities beyond computing.
pub fn stock_movement(
    product: &canonical::Product,
    product_provider_id: &str,
    in_book: Decimal,
    reference: &str,
    at: Timestamp,
    settings: &Settings,
    rules: &BookRules,
) -> Result<Option<StockMovement>, Fault> {
    let Some(wanted) = product.stock_quantity.filter(|_| product.manage_stock) else { return Ok(None) };
    let quantity = wanted
        .checked_sub(in_book)
        .ok_or_else(|| Fault::broken(Code::Unexpected, "The stock is beyond what can be computed."))?;
    if quantity.is_zero() {
        return Ok(None);
    }
    Ok(Some(StockMovement {
        reference: fitted(reference, rules.number_length_max),
        product: product_provider_id.to_owned(),
        dated_on: date_of(settings, at)?,
        quantity: quantity.normalize(),
        cost: product.cost,
    }))
}
