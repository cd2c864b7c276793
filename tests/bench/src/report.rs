//! The measurements as a table and as JSON, against their limits.

use serde::Serialize;
use std::fmt::Write as _;

/// What a figure counts, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Microseconds, shown as milliseconds.
    Microseconds,
    /// Nanoseconds, shown as milliseconds.
    Nanoseconds,
    /// Hundredths of a factor.
    TimesHundredths,
    /// Kibibytes, shown as MB (of 1,024 × 1,024 bytes).
    Kibibytes,
    /// Bytes, shown as MB (of 1,024 × 1,024 bytes).
    Bytes,
    /// A number.
    Count,
}

impl Unit {
    fn shown(self, value: u64) -> String {
        let fraction = |value: u64, whole: u64, digits: usize| {
            let (before, rest) =
                (value.checked_div(whole).unwrap_or_default(), value.checked_rem(whole).unwrap_or_default());
            let scale = 10_u64.pow(u32::try_from(digits).unwrap_or_default());
            format!("{before}.{:0digits$}", rest.saturating_mul(scale).checked_div(whole).unwrap_or_default())
        };
        match self {
            Self::Microseconds => format!("{} ms", fraction(value, 1_000, 2)),
            Self::Nanoseconds => format!("{} ms", fraction(value, 1_000_000, 3)),
            Self::TimesHundredths => format!("{} ×", fraction(value, 100, 2)),
            Self::Kibibytes => format!("{} MB", fraction(value, 1_024, 1)),
            Self::Bytes => format!("{} MB", fraction(value, 1_048_576, 2)),
            Self::Count => value.to_string(),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: u64,
    /// What it counts.
    pub unit: Unit,
    /// What it may be at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl Figure {
    /// A figure without a limit.
    #[must_use]
    pub fn new(name: impl Into<String>, value: u64, unit: Unit) -> Self {
        Self { name: name.into(), value, unit, limit: None }
    }

    /// With the most that it may be.
    #[must_use]
    pub fn at_most(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// True unless it is above its limit.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.limit.is_none_or(|limit| self.value <= limit)
    }
}

/// The figures as a table.
#[must_use]
pub fn table(figures: &[Figure]) -> String {
    let rows: Vec<[String; 4]> = figures
        .iter()
        .map(|figure| {
            let limit = figure.limit.map(|limit| figure.unit.shown(limit));
            let verdict = if figure.is_met() { "met" } else { "BROKEN" };
            [
                figure.name.clone(),
                figure.unit.shown(figure.value),
                limit.as_ref().map(|limit| format!("≤ {limit}")).unwrap_or_default(),
                limit.map(|_| verdict.to_owned()).unwrap_or_default(),
            ]
        })
        .collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or_default()
    };
    let (names, values, limits) = (width(0), width(1), width(2));
    let mut text = String::new();
    for [name, value, limit, verdict] in rows {
        let line = format!("{name:<names$}  {value:>values$}  {limit:>limits$}  {verdict}");
        // Writing to a text can't fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_in_their_units() {
        assert_eq!(Unit::Microseconds.shown(12_345), "12.34 ms");
        assert_eq!(Unit::Nanoseconds.shown(375_900), "0.375 ms");
        assert_eq!(Unit::TimesHundredths.shown(405), "4.05 ×");
        assert_eq!(Unit::Kibibytes.shown(10_035), "9.7 MB");
        assert_eq!(Unit::Bytes.shown(3_670_016), "3.50 MB");
    }

    #[test]
    fn a_broken_limit_shows() {
        let figures = [
            Figure::new("calls", 2, Unit::Count).at_most(2),
            Figure::new("webhook, start", 600, Unit::TimesHundredths).at_most(500),
            Figure::new("write units", 7, Unit::Count),
        ];
        assert_eq!(
            table(&figures),
            "calls                2     ≤ 2  met\n\
             webhook, start  6.00 ×  ≤ 5.00 ×  BROKEN\n\
             write units          7\n"
                .replace("     ≤ 2  met", "       ≤ 2  met")
        );
        assert!(!figures.iter().all(Figure::is_met));
    }
}
