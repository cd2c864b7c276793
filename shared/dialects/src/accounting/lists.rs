//! Reference data. None of it has pages; accounts that receive money are among the accounts.

use super::reply::{self, Element};
use crate::Reply;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ledger_domain::amount::Currency;
use ledger_domain::fault::Fault;
use ledger_domain::reference::{Entry, Page, Reference};
use rust_decimal::Decimal;
use std::str::FromStr;

/// Characters of a calendar date at the beginning of a text.
const DATE_LENGTH: usize = 10;

/// The name of a list; `None` for what Xero need not be asked for.
pub(super) const fn name(of: Reference) -> Option<&'static str> {
    match of {
        Reference::Organisation => Some("Organisation"),
        Reference::Accounts | Reference::BankAccounts => Some("Accounts"),
        Reference::TaxRates => Some("TaxRates"),
        Reference::Currencies => Some("Currencies"),
        // A contact can be asked for by its address.
        Reference::Contacts => None,
    }
}

/// Reads a list. An element that names nothing is left out.
pub(super) fn read(of: Reference, reply: &Reply) -> Result<Page, Fault> {
    let (name, entry): (&str, fn(&Element<'_>) -> Option<Entry>) = match of {
        Reference::Organisation => ("Organisations", organisation),
        Reference::Accounts => ("Accounts", account),
        Reference::BankAccounts => ("Accounts", bank_account),
        Reference::TaxRates => ("TaxRates", tax_rate),
        Reference::Currencies => ("Currencies", currency),
        Reference::Contacts => return Err(reply::classify(reply, false)),
    };
    let list = reply::list(name, reply)?;
    Ok(Page { entries: list.elements.iter().filter_map(entry).collect(), next: None })
}

fn organisation(element: &Element<'_>) -> Option<Entry> {
    let locks = ["PeriodLockDate", "EndOfYearLockDate"];
    Some(Entry {
        id: element.text("OrganisationID")?,
        name: element.text("Name").unwrap_or_default(),
        active: element.text("OrganisationStatus").is_none_or(|status| status.eq_ignore_ascii_case("ACTIVE")),
        currency: element.text("BaseCurrency").and_then(|code| Currency::parse(&code).ok()),
        country: element.text("CountryCode"),
        sales_tax_registered: element.flag("PaysTax"),
        // Whichever reaches further counts (Xero API docs, organisation).
        locked_until: locks.iter().filter_map(|field| date(&element.text(field)?)).max(),
        web_name: element.text("ShortCode"),
        ..Entry::default()
    })
}

/// An account that lines may name: one with a code, no bank account and none of Xero's own but the one for rounding.
fn account(element: &Element<'_>) -> Option<Entry> {
    let group = element.text("Type");
    let is_bank = element.says("Type", "BANK");
    let is_system = element.text("SystemAccount").is_some_and(|it| !it.eq_ignore_ascii_case("ROUNDING"));
    Some(Entry {
        id: element.text("Code")?,
        name: element.text("Name").unwrap_or_default(),
        active: element.says("Status", "ACTIVE") && !is_bank && !is_system,
        group,
        ..Entry::default()
    })
}

/// A bank account, or another that takes payments (Xero API docs, payments). It may have no code; then its id names it.
fn bank_account(element: &Element<'_>) -> Option<Entry> {
    if !element.says("Type", "BANK") && element.flag("EnablePaymentsToAccount") != Some(true) {
        return None;
    }
    Some(Entry {
        id: element.text("Code").or_else(|| element.guid("AccountID"))?,
        name: element.text("Name").unwrap_or_default(),
        active: element.says("Status", "ACTIVE"),
        currency: element.text("CurrencyCode").and_then(|code| Currency::parse(&code).ok()),
        group: element.text("Type"),
        ..Entry::default()
    })
}

fn tax_rate(element: &Element<'_>) -> Option<Entry> {
    let can_be_charged = element.flag("CanApplyToRevenue") == Some(true);
    Some(Entry {
        id: element.text("TaxType")?,
        name: element.text("Name").unwrap_or_default(),
        active: element.says("Status", "ACTIVE") && can_be_charged,
        rate: element.number("EffectiveRate").and_then(|it| Decimal::from_str(&it).ok()).map(|it| it.normalize()),
        ..Entry::default()
    })
}

fn currency(element: &Element<'_>) -> Option<Entry> {
    let code = element.text("Code")?;
    Some(Entry {
        name: element.text("Description").unwrap_or_default(),
        active: true,
        currency: Currency::parse(&code).ok(),
        id: code,
        ..Entry::default()
    })
}

/// A date as the API writes it: `/Date(ms+zzzz)/`, whose milliseconds are of UTC whatever the offset says, or a
/// calendar date with or without a time (Xero API docs, requests and responses).
fn date(text: &str) -> Option<Date> {
    if let Some(inner) = text.trim().strip_prefix("/Date(").and_then(|it| it.strip_suffix(")/")) {
        let digits = inner.char_indices().find(|(at, letter)| *at > 0 && matches!(letter, '+' | '-'));
        let milliseconds = digits.map_or(Some(inner), |(at, _)| inner.get(..at))?.parse().ok()?;
        return Some(TimeZone::UTC.to_datetime(Timestamp::from_millisecond(milliseconds).ok()?).date());
    }
    text.trim().get(..DATE_LENGTH)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_come() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(date(text).map(|it| it.to_string()).as_deref(), expected, "{text}");
        };
        check("/Date(1518685950940+0000)/", Some("2018-02-15"));
        check("/Date(1552327126164)/", Some("2019-03-11"));
        check("/Date(1767139200000+1300)/", Some("2025-12-31"));
        check("/Date(-1)/", Some("1969-12-31"));
        check("/Date(-86400001-0500)/", Some("1969-12-30"));
        check("2019-03-07T00:00:00", Some("2019-03-07"));
        check("2019-03-07", Some("2019-03-07"));
        for none in
            ["", "/Date()/", "/Date(x)/", "/Date(99999999999999999999)/", "/Date(1", "7 March 2019", "2019-13-07"]
        {
            check(none, None);
        }
    }
}
