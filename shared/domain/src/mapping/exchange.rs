//! The rate between a document's currency and the book's.

use crate::amount::Currency;
use crate::book::ExchangeRates;
use crate::code::Code;
use crate::document::ExchangeRate;
use crate::fault::Fault;
use crate::settings::Settings;
use rust_decimal::Decimal;

/// Decimal places of an exchange rate. The shop's has four, so these lose nothing of it.
pub const EXCHANGE_RATE_PLACES: u32 = 10;

/// The rate of a document; `None` where it is in the book's currency, or where the book has rates of its own and the
/// shop's does not serve. The shop's rate is the document's currency for one unit of the website's *base* currency
/// (Magento 2, `Sales/Model/Order/Creditmemo::setAdjustmentAmount`; the published module's comment has it the wrong way
/// round), so it serves only where that is the book's.
///
/// # Errors
/// `exchange_rate_unknown` where the book needs a rate and none can be given honestly.
pub fn exchange_rate(
    currency: &Currency,
    website_id: u32,
    base_to_order_rate: Option<Decimal>,
    settings: &Settings,
    rates: ExchangeRates,
) -> Result<Option<ExchangeRate>, Fault> {
    let book = &settings.book_currency;
    if currency == book {
        return Ok(None);
    }
    let unknown = |why: String| {
        if rates == ExchangeRates::Ours {
            Err(Fault::refused(Code::ExchangeRateUnknown, format!("No rate from {currency} to {book}: {why}.")))
        } else {
            Ok(None)
        }
    };
    let base = settings.base_currency(website_id);
    if base != book {
        return unknown(format!("website {website_id} keeps its accounts in {base}"));
    }
    let Some(rate) = base_to_order_rate.filter(|rate| *rate > Decimal::ZERO) else {
        return unknown("the shop names none".to_owned());
    };
    // The shop does not name its base currency. One for one between two currencies means that it is the document's, or that
    // nobody has entered a rate in the shop: either would be booked wrongly, and quietly.
    if rate == Decimal::ONE {
        return unknown(format!(
            "the shop says one for one: website {website_id} keeps its accounts in {currency}, or has no rate entered"
        ));
    }
    let rate = ExchangeRate { per_book_unit: rate };
    match rate.in_book_currency(EXCHANGE_RATE_PLACES) {
        Some(_) => Ok(Some(rate)),
        None => unknown("the shop's is out of range".to_owned()),
    }
}
