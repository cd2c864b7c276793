//! The accounts and tax rates that are there from the start, and the lists of what can be chosen.

use rust_decimal::Decimal;

/// A tax rate.
#[derive(Clone, Debug)]
pub(crate) struct TaxRate {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) percentage: Decimal,
    /// The country of destination it belongs to; none for the business's own.
    pub(crate) destination: Option<String>,
}

/// Nominal code, name, whether lines of sales may name it.
pub(crate) const LEDGER_ACCOUNTS: [(u32, &str, bool); 12] = [
    (4_000, "Sales - Products", true),
    (4_010, "Sales - Services", true),
    (4_020, "Export Sales", true),
    (4_900, "Other income", true),
    (4_910, "Carriage on sales", true),
    (4_990, "Rounding on sales", true),
    (5_000, "Cost of sales - goods", false),
    (1_100, "Trade Debtors", false),
    (2_100, "Trade Creditors", false),
    (2_110, "Gift cards", true),
    (2_120, "Store credit", true),
    (2_200, "VAT on Sales", false),
];

/// Nominal code, name, currency.
pub(crate) const BANK_ACCOUNTS: [(u32, &str, &str); 4] =
    [(1_200, "Current", "GBP"), (1_210, "Card clearing", "GBP"), (1_220, "Euro", "EUR"), (1_230, "US Dollar", "USD")];

pub(crate) const CURRENCIES: [(&str, &str); 12] = [
    ("GBP", "Pound Sterling"),
    ("EUR", "Euro"),
    ("USD", "US Dollar"),
    ("AUD", "Australian Dollar"),
    ("CAD", "Canadian Dollar"),
    ("CHF", "Swiss Franc"),
    ("DKK", "Danish Krone"),
    ("HUF", "Hungarian Forint"),
    ("JPY", "Japanese Yen"),
    ("KWD", "Kuwaiti Dinar"),
    ("PLN", "Polish Zloty"),
    ("SEK", "Swedish Krona"),
];

/// Ten-thousandths of a pound for one unit; everything else is at par.
pub(crate) const OWN_RATES: [(&str, i64); 3] = [("EUR", 8_540), ("USD", 7_870), ("JPY", 52)];

pub(crate) const EU: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];
pub(crate) const PAYMENT_METHODS: [&str; 4] = ["CASH", "CHEQUE", "CREDIT_DEBIT", "ELECTRONIC"];
pub(crate) const CONTACT_TYPES: [&str; 2] = ["CUSTOMER", "VENDOR"];
pub(crate) const ADDRESS_TYPES: [&str; 3] = ["ACCOUNTS", "DELIVERY", "SALES"];
pub(crate) const GOODS_SERVICES: [&str; 2] = ["GOODS", "SERVICES"];
pub(crate) const RECEIPT: &str = "CUSTOMER_RECEIPT";
pub(crate) const REFUND: &str = "CUSTOMER_REFUND";
pub(crate) const ALLOCATION: &str = "CUSTOMER_ALLOCATION";
pub(crate) const OTHER_ALLOCATION: &str = "SALES_ALLOCATION";
pub(crate) const TRANSACTION_TYPES: [&str; 6] =
    ["SALES_INVOICE", "SALES_CREDIT_NOTE", RECEIPT, REFUND, "VENDOR_PAYMENT", "VENDOR_REFUND"];
pub(crate) const PERSON_TYPES: [&str; 3] = ["ACCOUNTS", "PURCHASING", "SALES"];
pub(crate) const PRICE_TYPES: [&str; 3] = ["Sales Price", "Trade", "Wholesale"];
pub(crate) const RATE_TYPES: [&str; 2] = ["Rate", "Trade Rate"];
pub(crate) const STATUSES: [&str; 6] = ["DRAFT", "UNPAID", "PART_PAID", "PAID", "VOID", "DISPUTED"];

/// Country, percentage in hundredths.
const DESTINATIONS: [(&str, i64); 7] =
    [("DE", 1_900), ("FR", 2_000), ("IE", 2_300), ("NL", 2_100), ("HU", 2_700), ("FI", 2_550), ("LU", 1_700)];

/// The business's own rates, then those of the countries of destination.
pub(crate) fn tax_rates(country: &str) -> Vec<TaxRate> {
    let (standard, lower) = if country == "IE" { (2_300, 1_350) } else { (2_000, 500) };
    let own = [
        ("STANDARD", "Standard", standard),
        ("LOWER", "Lower Rate", lower),
        ("ZERO", "Zero Rated", 0),
        ("EXEMPT", "Exempt", 0),
        ("NO_TAX", "No VAT", 0),
    ];
    let own = own.iter().map(|(id, name, hundredths)| {
        let percentage = Decimal::new(*hundredths, 2);
        let name = if *hundredths == 0 { format!("{name} 0.00%") } else { format!("{name} {percentage}%") };
        TaxRate { id: format!("{country}_{id}"), name, percentage, destination: None }
    });
    let others = DESTINATIONS.iter().filter(|(of, _)| *of != country).map(|(of, hundredths)| {
        let percentage = Decimal::new(*hundredths, 2);
        let name = format!("{of} Standard {percentage}%");
        TaxRate { id: format!("{of}_STANDARD"), name, percentage, destination: Some((*of).to_owned()) }
    });
    own.chain(others).collect()
}

/// The id of something that a list names, by its place there.
pub(crate) fn listed_id(names: &[&str], name: &str) -> String {
    let place = names.iter().position(|known| *known == name).unwrap_or(names.len());
    format!("5a6e0f0f{:02}{place:022}", names.len())
}

/// The id of a ledger account or, with the other prefix, of a bank account.
pub(crate) fn ledger_id(nominal: u32) -> String {
    format!("5a6e1ed6e2{nominal:022}")
}

pub(crate) fn bank_id(nominal: u32) -> String {
    format!("5a6eba2c00{nominal:022}")
}
