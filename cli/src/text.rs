//! How moments, durations and pairs are written for people.

use ledger_aws::engine::domain::code::Code;
use std::fmt::Write;

/// Milliseconds of a second, a minute, an hour, a day.
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// ISO 8601 in UTC, to the millisecond.
pub(crate) fn moment(milliseconds: i64) -> String {
    format_moment(milliseconds, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// To the second, for tables.
pub(crate) fn short_moment(milliseconds: i64) -> String {
    format_moment(milliseconds, "%Y-%m-%d %H:%M:%SZ")
}

fn format_moment(milliseconds: i64, format: &str) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map(|moment| moment.strftime(format).to_string())
        .unwrap_or_else(|_| milliseconds.to_string())
}

/// A duration with as much as matters.
pub(crate) fn duration(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let length = milliseconds.saturating_abs();
    let parts = |unit: i64, part: i64| (length.div_euclid(unit), length.rem_euclid(unit).div_euclid(part));
    if length < SECOND {
        format!("{sign}{length} ms")
    } else if length < MINUTE {
        let (seconds, rest) = parts(SECOND, 1);
        format!("{sign}{seconds}.{rest:03} s")
    } else if length < HOUR {
        let (minutes, seconds) = parts(MINUTE, SECOND);
        format!("{sign}{minutes} min {seconds:02} s")
    } else if length < DAY {
        let (hours, minutes) = parts(HOUR, MINUTE);
        format!("{sign}{hours} h {minutes:02} min")
    } else {
        let (days, hours) = parts(DAY, HOUR);
        format!("{sign}{days} d {hours:02} h")
    }
}

/// How long after the beginning, to the millisecond: in seconds up to a thousand, then by the clock.
pub(crate) fn offset(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let length = milliseconds.saturating_abs();
    let (seconds, rest) = (length.div_euclid(SECOND), length.rem_euclid(SECOND));
    if seconds < 1_000 {
        return format!("{sign}{seconds}.{rest:03} s");
    }
    let (days, of_day) = (length.div_euclid(DAY), length.rem_euclid(DAY));
    let (hours, minutes) = (of_day.div_euclid(HOUR), of_day.rem_euclid(HOUR).div_euclid(MINUTE));
    let clock = format!("{hours:02}:{minutes:02}:{:02}.{rest:03}", seconds.rem_euclid(60));
    if days == 0 { format!("{sign}{clock}") } else { format!("{sign}{days} d {clock}") }
}

/// What to do about a code; `None` for one that this version doesn't know.
pub(crate) fn remedy_of(code: &str) -> Option<&'static str> {
    Code::parse(code).map(Code::remedy)
}

/// Names and values in two columns; pairs without a value are left out.
pub(crate) fn pairs(pairs: &[(&str, Option<String>)]) -> String {
    let present = || pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref().filter(|it| !it.is_empty())?)));
    let width = present().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    present().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:width$}  {value}");
        text
    })
}
