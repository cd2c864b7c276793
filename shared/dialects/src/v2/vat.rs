//! The VAT status that FreeAgent wants of a sale (FreeAgent API docs, invoices: `ec_status`, `place_of_supply`).
//!
//! The statuses that depend on the date and on the buyer being a business (`EC Goods`, `EC Services`, `Reverse Charge`) need
//! the buyer's VAT number, which no shop sends; so neither is asked for here.

use ledger_domain::country;
use rust_decimal::Decimal;

/// A sale's VAT status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VatStatus {
    /// Domestic sales and exports.
    UkNonEc,
    /// Supplied to a consumer in the European Union at the rate of their country, which is named in English.
    EcVatMoss(&'static str),
}

impl VatStatus {
    /// As FreeAgent writes it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::UkNonEc => "UK/Non-EC",
            Self::EcVatMoss(_) => "EC VAT MOSS",
        }
    }

    /// The country whose rates apply, where they are not the company's own.
    pub(super) const fn place_of_supply(self) -> Option<&'static str> {
        match self {
            Self::UkNonEc => None,
            Self::EcVatMoss(country) => Some(country),
        }
    }

    /// The same with the country's other English name, where it has one.
    pub(super) fn named_otherwise(self) -> Option<Self> {
        let country = self.place_of_supply()?;
        OTHER_NAMES.iter().find(|(name, _)| *name == country).map(|(_, other)| Self::EcVatMoss(other))
    }
}

/// Countries of the European Union whose names are spelled in two ways: which of them the book's list has is not documented
/// (FreeAgent API docs, invoices: `place_of_supply`).
const OTHER_NAMES: [(&str, &str); 3] =
    [("Czech Republic", "Czechia"), ("Netherlands", "The Netherlands"), ("Slovakia", "Slovak Republic")];

/// The member states of the European Union, ISO 3166-1 alpha-2, sorted.
const EUROPEAN_UNION: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The rates of VAT in the United Kingdom, in percent: standard, reduced, zero (gov.uk, VAT rates). A line at another one
/// carries another country's tax.
const UK_RATES: [i64; 3] = [20, 5, 0];

/// The status of a sale of a company in `company` to `destination` at `rates`. `None` where it has to be left blank: a
/// company outside the United Kingdom, in an unknown country, or not registered is refused if it names one (FreeAgent API
/// forum, 3001).
pub(super) fn status(
    company: Option<&str>,
    registered: bool,
    destination: Option<&str>,
    rates: impl IntoIterator<Item = Decimal>,
) -> Option<VatStatus> {
    if company != Some("GB") || !registered {
        return None;
    }
    let destination = destination.map(str::to_ascii_uppercase);
    let union = destination.as_deref().filter(|code| EUROPEAN_UNION.binary_search(code).is_ok());
    let foreign = rates.into_iter().any(|rate| !UK_RATES.iter().any(|known| rate == Decimal::from(*known)));
    match union.and_then(country::english_name) {
        Some(name) if foreign => Some(VatStatus::EcVatMoss(name)),
        _ => Some(VatStatus::UkNonEc),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn the_status_follows_company_registration_destination_and_rates() {
        let check = |company: &str, registered: bool, destination: &str, rates: &str, expected: Option<&str>| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let rates = rates.split_whitespace().map(|rate| Decimal::from_str(rate).unwrap());
            let found = status(some(company).as_deref(), registered, some(destination).as_deref(), rates);
            let found = found.map(|it| format!("{} {}", it.as_str(), it.place_of_supply().unwrap_or("-")));
            assert_eq!(found.as_deref(), expected, "{company} {registered} {destination}");
        };
        let domestic = Some("UK/Non-EC -");
        check("GB", true, "GB", "20 0", domestic);
        check("GB", true, "", "20", domestic);
        check("GB", true, "US", "0", domestic);
        check("GB", true, "DE", "0", domestic);
        check("GB", true, "DE", "20", domestic);
        check("GB", true, "DE", "19", Some("EC VAT MOSS Germany"));
        check("GB", true, "de", "19.00 0", Some("EC VAT MOSS Germany"));
        check("GB", true, "GR", "24", Some("EC VAT MOSS Greece"));
        check("GB", true, "CZ", "20 21", Some("EC VAT MOSS Czech Republic"));
        // A rate of a country outside the Union is not carried by MOSS: the book says what it thinks of it.
        check("GB", true, "NO", "25", domestic);
        check("GB", true, "GB", "17.5", domestic);
        check("GB", true, "DE", "", domestic);
        check("GB", false, "GB", "20", None);
        check("GB", false, "DE", "19", None);
        check("US", true, "US", "8.875", None);
        check("IE", true, "DE", "19", None);
        check("", true, "GB", "20", None);
        assert!(EUROPEAN_UNION.is_sorted());
        assert!(EUROPEAN_UNION.iter().all(|code| country::english_name(code).is_some()));
    }
}
