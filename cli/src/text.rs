//! How moments, durations and pairs are written for people.

use std::fmt::Write;

/// Milliseconds of a second, a minute, an hour, a day.
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A moment of the API in milliseconds since 1970; 0 for what is none.
pub(crate) fn milliseconds(moment: &str) -> i64 {
    moment.parse().map_or(0, jiff::Timestamp::as_millisecond)
}

/// A moment of the API to the second, for tables.
pub(crate) fn short_moment(moment: &str) -> String {
    match moment.parse::<jiff::Timestamp>() {
        Ok(found) => found.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => moment.to_owned(),
    }
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

/// Names and values in two columns; pairs without a value are left out.
pub(crate) fn pairs(pairs: &[(&str, Option<String>)]) -> String {
    let present = || pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref().filter(|it| !it.is_empty())?)));
    let width = present().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    present().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:width$}  {value}");
        text
    })
}
