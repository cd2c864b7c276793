//! JSON as PHP prints it for Magento: 14 significant digits, escaped slashes, escaped non-ASCII, keys in given order.

use rust_decimal::Decimal;

/// A value on its way to a body.
#[derive(Clone, Debug)]
pub(crate) enum Php {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Php>),
    Object(Vec<(&'static str, Php)>),
}

impl Php {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A figure, cast to PHP's float as the module does.
    pub(crate) fn money(figure: Decimal) -> Self {
        Self::Float(float(figure))
    }

    /// The sum of figures in PHP's floats, with their noise: what is exactly nothing can print as `-2.2e-16`.
    pub(crate) fn sum_of_floats(figures: &[Decimal]) -> Self {
        Self::Float(figures.iter().copied().map(float).sum())
    }

    /// The body's text. Magento escapes slashes in answers; the module doesn't in what it sends.
    pub(crate) fn json(&self, escape_slashes: bool) -> String {
        let mut out = String::new();
        self.write(&mut out, escape_slashes);
        out
    }

    fn write(&self, out: &mut String, escape_slashes: bool) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(whole) => out.push_str(&whole.to_string()),
            Self::Float(figure) => out.push_str(&printed(*figure)),
            Self::Text(text) => write_text(text, out, escape_slashes),
            Self::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write(out, escape_slashes);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(key, out, escape_slashes);
                    out.push(':');
                    value.write(out, escape_slashes);
                }
                out.push('}');
            }
        }
    }
}

/// Fields of an object; what is absent leaves no key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(&'static str, Php)>);

impl Fields {
    pub(crate) fn put(mut self, key: &'static str, value: Php) -> Self {
        self.0.push((key, value));
        self
    }

    pub(crate) fn put_if(self, key: &'static str, value: Option<Php>) -> Self {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    pub(crate) fn object(self) -> Php {
        Php::Object(self.0)
    }
}

fn float(figure: Decimal) -> f64 {
    if figure.is_zero() {
        return 0.0;
    }
    figure.to_string().parse().unwrap_or(f64::NAN)
}

/// 14 significant digits, no trailing zeros, an exponent below 1e-4 and from 1e14 on.
pub(crate) fn printed(figure: f64) -> String {
    if figure == 0.0 {
        return if figure.is_sign_negative() { "-0".to_owned() } else { "0".to_owned() };
    }
    let scientific = format!("{figure:.13e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    let digits = digits.trim_end_matches('0');
    if !(-4..14).contains(&exponent) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        let rest = if rest.is_empty() { "0" } else { rest };
        let direction = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}.{rest}e{direction}{}", exponent.abs());
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(exponent.abs() - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    }
    let before = usize::try_from(exponent + 1).unwrap_or(1);
    match digits.split_at_checked(before) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, rest)) => format!("{sign}{whole}.{rest}"),
        None => format!("{sign}{digits}{}", "0".repeat(before.saturating_sub(digits.len()))),
    }
}

fn write_text(text: &str, out: &mut String, escape_slashes: bool) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' if escape_slashes => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='\u{7f}' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        printed(text.parse().unwrap())
    }

    #[test]
    fn figures_have_fourteen_digits_and_no_tail() {
        for (given, expected) in [
            ("20.0", "20"),
            ("19.989999999999998", "19.99"),
            ("0.30000000000000004", "0.3"),
            ("1234567.89", "1234567.89"),
            ("0.0001", "0.0001"),
            ("0.00001", "1.0e-5"),
            ("1e15", "1.0e+15"),
            ("1e14", "1.0e+14"),
            ("99999999999999", "99999999999999"),
            ("123.456", "123.456"),
            ("-5", "-5"),
            ("100", "100"),
            ("0", "0"),
            ("-0.05", "-0.05"),
            ("12.3588", "12.3588"),
        ] {
            assert_eq!(of(given), expected, "{given}");
        }
    }

    #[test]
    fn noise_survives_near_nothing() {
        let figures = ["1.13", "0.23", "-1.36"].map(|text| text.parse().unwrap());
        assert_eq!(Php::sum_of_floats(&figures).json(true), "-2.2204460492503e-16");
    }

    #[test]
    fn text_is_escaped_as_php_does() {
        let text = Php::text("Caf\u{e9} 10/12 \"x\" \\ \u{1f600} O'Hara & Co\n");
        assert_eq!(text.json(true), "\"Caf\\u00e9 10\\/12 \\\"x\\\" \\\\ \\ud83d\\ude00 O'Hara & Co\\n\"");
        assert!(text.json(false).contains("10/12"));
    }
}
