//! Exact amounts of money. Decimal arithmetic only, every operation checked.

use rust_decimal::{Decimal, RoundingStrategy};
use std::fmt;
use std::str::FromStr;

/// Decimal places kept of a document's amount. Magento stores sales money with four (`decimal(20,4)`).
pub const AMOUNT_PLACES: u32 = 4;
/// Decimal places kept of a product's price or cost. Magento stores them with six.
pub const PRICE_PLACES: u32 = 6;
/// Amounts of this size or more are refused: no invoice is that large, and totals stay far from overflow.
pub const AMOUNT_LIMIT: i64 = 1_000_000_000_000;
/// The most that rounding an amount of the wire to our places may move it; more means it carried real digits.
const NOISE_SCALE: u32 = 5;

/// An amount of money in a currency that the surrounding document names, at most [`AMOUNT_PLACES`] decimal places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(Decimal);

/// Why a text or a sum is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text is not a decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// More digits than the wire can carry honestly.
    #[error("more decimal places than an amount can have")]
    TooPrecise,
    /// At or beyond [`AMOUNT_LIMIT`].
    #[error("amount too large")]
    TooLarge,
}

/// Rounds half away from zero, as Magento's `PriceCurrency::round` and the books do.
#[must_use]
pub fn round_half_away(value: Decimal, places: u32) -> Decimal {
    value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero)
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Reads an amount from the text of a JSON number (`19.99`, `1.0e-5`, `-2.2204460492503e-16`).
    ///
    /// # Errors
    /// [`AmountError`] where the text is no number, too large, or carries more digits than float noise explains.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        parse_places(text, AMOUNT_PLACES).map(Self)
    }

    /// An amount from a decimal of our own making.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`] at or beyond [`AMOUNT_LIMIT`].
    pub fn from_decimal(value: Decimal) -> Result<Self, AmountError> {
        bounded(round_half_away(value, AMOUNT_PLACES)).map(Self)
    }

    /// The number itself.
    #[must_use]
    pub fn value(self) -> Decimal {
        self.0
    }

    /// True for exactly nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`] beyond the limit.
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_add(other.0).ok_or(AmountError::TooLarge).and_then(bounded).map(Self)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`] beyond the limit.
    pub fn minus(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_sub(other.0).ok_or(AmountError::TooLarge).and_then(bounded).map(Self)
    }

    /// The amount rounded to `places`, half away from zero.
    #[must_use]
    pub fn rounded(self, places: u32) -> Self {
        Self(round_half_away(self.0, places))
    }

    /// The amount without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// The amount with the opposite sign.
    #[must_use]
    pub fn negated(self) -> Self {
        let mut value = self.0;
        value.set_sign_positive(!value.is_sign_positive());
        Self(value)
    }
}

/// Reads the text of a JSON number rounded to `places`.
///
/// # Errors
/// [`AmountError`], see [`Amount::parse`].
pub fn parse_places(text: &str, places: u32) -> Result<Decimal, AmountError> {
    let text = text.trim();
    let exact = if text.contains(['e', 'E']) {
        parse_scientific(text)?
    } else {
        Decimal::from_str(text).map_err(|_| AmountError::NotANumber)?
    };
    let exact = bounded(exact)?;
    let rounded = round_half_away(exact, places);
    let moved = exact.checked_sub(rounded).ok_or(AmountError::TooLarge)?.abs();
    if moved > Decimal::new(1, NOISE_SCALE) {
        return Err(AmountError::TooPrecise);
    }
    bounded(rounded)
}

/// `from_scientific` refuses exponents beyond the decimal's scale; those are float noise around zero.
fn parse_scientific(text: &str) -> Result<Decimal, AmountError> {
    if let Ok(value) = Decimal::from_scientific(text) {
        return Ok(value);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).ok_or(AmountError::NotANumber)?;
    Decimal::from_str(mantissa).map_err(|_| AmountError::NotANumber)?;
    let exponent: i32 = exponent.parse().map_err(|_| AmountError::NotANumber)?;
    if exponent < 0 { Ok(Decimal::ZERO) } else { Err(AmountError::TooLarge) }
}

fn bounded(value: Decimal) -> Result<Decimal, AmountError> {
    if value.abs() >= Decimal::from(AMOUNT_LIMIT) { Err(AmountError::TooLarge) } else { Ok(value) }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.normalize())
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// An ISO 4217 currency code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(String);

impl Currency {
    /// Reads a code of three capital letters.
    ///
    /// # Errors
    /// The text, where it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(text.to_owned())
        }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Decimal places of the currency's minor unit (ISO 4217).
    #[must_use]
    pub fn places(&self) -> u32 {
        match self.0.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
            | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_from_the_text_of_the_wire() {
        let check = |text: &str, expected: Result<&str, AmountError>| {
            assert_eq!(Amount::parse(text).map(|amount| amount.to_string()), expected.map(str::to_owned), "{text}");
        };
        check("19.99", Ok("19.99"));
        check("20", Ok("20"));
        check("10.2988", Ok("10.2988"));
        check("10.29875", Err(AmountError::TooPrecise));
        check("-0.000005", Ok("0"));
        check("1.0e-5", Ok("0"));
        check("-2.2204460492503e-16", Ok("0"));
        check("1.0e-300", Ok("0"));
        // PHP writes the exponent in either case.
        check("1.0E-5", Ok("0"));
        check("1.5e+3", Ok("1500"));
        check("1.0e+15", Err(AmountError::TooLarge));
        check("1e400", Err(AmountError::TooLarge));
        check("0.12347", Err(AmountError::TooPrecise));
        check("999999999999.9999", Ok("999999999999.9999"));
        check("1000000000000", Err(AmountError::TooLarge));
        check("abc", Err(AmountError::NotANumber));
        check("", Err(AmountError::NotANumber));
        check("NaN", Err(AmountError::NotANumber));
    }

    #[test]
    fn rounding_is_half_away_from_zero() {
        assert_eq!(round_half_away(Decimal::new(25, 1), 0), Decimal::from(3));
        assert_eq!(round_half_away(Decimal::new(-25, 1), 0), Decimal::from(-3));
    }
}
