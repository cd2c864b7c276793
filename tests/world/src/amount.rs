//! Figures as people write them in a specification: text or number, read when they are used.

use anyhow::Context as _;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A figure in a specification. In JSON either `"19.99"` or `19.99`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount(String);

impl Amount {
    /// The figure itself; nothing written means zero.
    ///
    /// # Errors
    /// When the text is not a decimal figure.
    pub fn decimal(&self) -> anyhow::Result<Decimal> {
        let text = self.0.trim();
        if text.is_empty() {
            return Ok(Decimal::ZERO);
        }
        if let Ok(plain) = text.parse() {
            return Ok(plain);
        }
        Decimal::from_scientific(text).with_context(|| format!("{text:?} is not a figure"))
    }
}

impl From<&str> for Amount {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Amount {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<i64> for Amount {
    fn from(whole: i64) -> Self {
        Self(whole.to_string())
    }
}

impl From<Decimal> for Amount {
    fn from(figure: Decimal) -> Self {
        Self(figure.to_string())
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(serde_json::Number),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) => Self(text),
            Written::Number(number) => Self(number.to_string()),
        })
    }
}

/// Rounds half away from zero to that many decimals.
#[must_use]
pub fn round(figure: Decimal, decimals: u32) -> Decimal {
    figure.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero)
}

/// A percentage as a fraction: `20` becomes `0.2`.
#[must_use]
pub fn fraction(percentage: Decimal) -> Decimal {
    percentage / Decimal::ONE_HUNDRED
}

/// Prints a figure as text without trailing zeros, for answers.
///
/// # Errors
/// As the serializer has them.
pub fn as_text<S: Serializer>(figure: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&figure.normalize())
}

/// Currencies whose amounts have other than two decimals. Source: ISO 4217.
const OTHER_DECIMALS: [(&str, u32); 3] = [("JPY", 0), ("KRW", 0), ("KWD", 3)];
const DECIMALS: u32 = 2;

/// An amount with the decimals of its currency, and with more where it has more: nothing is rounded away.
#[must_use]
pub fn written(amount: Decimal, currency: &str) -> String {
    let decimals = OTHER_DECIMALS.iter().find(|(code, _)| *code == currency).map_or(DECIMALS, |(_, of_it)| *of_it);
    let plain = amount.normalize();
    let mut whole = if plain.is_zero() { Decimal::ZERO } else { plain };
    whole.rescale(plain.scale().max(decimals));
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_decimals_of_their_currency() {
        for (amount, currency, text) in [
            ("12", "GBP", "12.00"),
            ("12.500", "EUR", "12.50"),
            ("1200.00", "JPY", "1200"),
            ("1200.50", "JPY", "1200.5"),
            ("1.23", "KWD", "1.230"),
            ("-0.00", "GBP", "0.00"),
        ] {
            assert_eq!(written(amount.parse().unwrap(), currency), text);
        }
    }
}
