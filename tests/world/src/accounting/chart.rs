//! The accounts and tax rates that are there from the start.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::wire::number;

/// An account of the chart.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) tax_type: String,
    pub(crate) currency: Option<String>,
    pub(crate) takes_payments: bool,
    pub(crate) system: Option<String>,
    pub(crate) archived: bool,
}

/// A tax rate.
#[derive(Clone, Debug)]
pub(crate) struct TaxRate {
    pub(crate) tax_type: String,
    pub(crate) name: String,
    pub(crate) report: String,
    pub(crate) rate: Decimal,
    /// What the rate is made of, where that is more than one.
    pub(crate) components: Vec<Decimal>,
    /// To which classes of account it applies: `r`evenue, `e`xpenses, `a`ssets, `l`iabilities, `q`uity.
    pub(crate) applies: String,
    pub(crate) archived: bool,
}

/// Code, name, type, default tax, currency of a bank account, system account.
const ACCOUNTS: [(&str, &str, &str, &str, &str, &str); 19] = [
    ("090", "Current Account", "BANK", "NONE", "GBP", ""),
    ("091", "Card Clearing", "BANK", "NONE", "GBP", ""),
    ("092", "Euro Account", "BANK", "NONE", "EUR", ""),
    ("093", "Dollar Account", "BANK", "NONE", "USD", ""),
    ("200", "Sales", "REVENUE", "OUTPUT2", "", ""),
    ("201", "Sales of Services", "REVENUE", "OUTPUT2", "", ""),
    ("205", "Shipping Income", "REVENUE", "OUTPUT2", "", ""),
    ("260", "Other Revenue", "REVENUE", "OUTPUT2", "", ""),
    ("299", "Old Sales", "REVENUE", "OUTPUT2", "", ""),
    ("310", "Cost of Goods Sold", "DIRECTCOSTS", "INPUT2", "", ""),
    ("404", "Bank Fees", "OVERHEADS", "NONE", "", ""),
    ("610", "Accounts Receivable", "CURRENT", "NONE", "", "DEBTORS"),
    ("800", "Accounts Payable", "CURRLIAB", "NONE", "", "CREDITORS"),
    ("820", "VAT", "CURRLIAB", "NONE", "", "GST"),
    ("825", "Gift Cards", "CURRLIAB", "NONE", "", ""),
    ("826", "Store Credit", "CURRLIAB", "NONE", "", ""),
    ("860", "Rounding", "EXPENSE", "NONE", "", "ROUNDING"),
    ("880", "Gateway Clearing", "CURRENT", "NONE", "", ""),
    ("970", "Owner A Funds Introduced", "EQUITY", "NONE", "", ""),
];
const TAKES_PAYMENTS: [&str; 2] = ["880", "970"];
const ARCHIVED_ACCOUNTS: [&str; 1] = ["299"];

/// Type, name, report type, hundredths of a percent, classes of account.
const TAX_RATES: [(&str, &str, &str, i64, &str); 16] = [
    ("OUTPUT2", "20% (VAT on Income)", "OUTPUT", 2_000, "ralq"),
    ("RROUTPUT", "5% (VAT on Income)", "OUTPUT", 500, "ralq"),
    ("ZERORATEDOUTPUT", "Zero Rated Income", "OUTPUT", 0, "ralq"),
    ("EXEMPTOUTPUT", "Exempt Income", "OUTPUT", 0, "ralq"),
    ("ECZROUTPUT", "Zero Rated EC Goods Income", "OUTPUT", 0, "ralq"),
    ("ECZROUTPUTSERVICES", "Zero Rated EC Services", "OUTPUT", 0, "ralq"),
    ("NONE", "No VAT", "NONE", 0, "realq"),
    ("INPUT2", "20% (VAT on Expenses)", "INPUT", 2_000, "ealq"),
    ("TAX001", "DE MwSt 19%", "OUTPUT", 1_900, "ral"),
    ("TAX002", "DE MwSt 7%", "OUTPUT", 700, "ral"),
    ("TAX003", "FR TVA 20%", "OUTPUT", 2_000, "ral"),
    ("TAX004", "IE VAT 23%", "OUTPUT", 2_300, "ral"),
    ("TAX005", "NL BTW 21%", "OUTPUT", 2_100, "ral"),
    ("TAX006", "HU AFA 27%", "OUTPUT", 2_700, "ral"),
    ("TAX007", "FI ALV 25.5%", "OUTPUT", 2_550, "ral"),
    ("TAX009", "17.5% (VAT on Income)", "OUTPUT", 1_750, "ralq"),
];
const ARCHIVED_RATES: [&str; 1] = ["TAX009"];

pub(crate) fn accounts(mut id: impl FnMut() -> String) -> Vec<Account> {
    ACCOUNTS
        .iter()
        .map(|(code, name, kind, tax_type, currency, system)| Account {
            id: id(),
            code: (*code).to_owned(),
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            tax_type: (*tax_type).to_owned(),
            currency: (!currency.is_empty()).then(|| (*currency).to_owned()),
            takes_payments: TAKES_PAYMENTS.contains(code),
            system: (!system.is_empty()).then(|| (*system).to_owned()),
            archived: ARCHIVED_ACCOUNTS.contains(code),
        })
        .collect()
}

pub(crate) fn tax_rates() -> Vec<TaxRate> {
    TAX_RATES
        .iter()
        .map(|(tax_type, name, report, hundredths, applies)| TaxRate {
            tax_type: (*tax_type).to_owned(),
            name: (*name).to_owned(),
            report: (*report).to_owned(),
            rate: Decimal::new(*hundredths, 2),
            components: Vec::new(),
            applies: (*applies).to_owned(),
            archived: ARCHIVED_RATES.contains(tax_type),
        })
        .collect()
}

impl Account {
    /// `ASSET`, `EQUITY`, `EXPENSE`, `LIABILITY` or `REVENUE`.
    pub(crate) fn class(&self) -> &'static str {
        match self.kind.as_str() {
            "REVENUE" | "SALES" | "OTHERINCOME" => "REVENUE",
            "EXPENSE" | "DIRECTCOSTS" | "OVERHEADS" | "DEPRECIATN" => "EXPENSE",
            "EQUITY" => "EQUITY",
            "CURRLIAB" | "LIABILITY" | "TERMLIAB" | "PAYG" => "LIABILITY",
            _ => "ASSET",
        }
    }

    /// Whether money can be received on it.
    pub(crate) fn receives(&self) -> bool {
        !self.archived && (self.kind == "BANK" || self.takes_payments)
    }

    pub(crate) fn show(&self) -> Value {
        let mut shown = json!({
            "AccountID": self.id,
            "Code": self.code,
            "Name": self.name,
            "Status": if self.archived { "ARCHIVED" } else { "ACTIVE" },
            "Type": self.kind,
            "TaxType": self.tax_type,
            "Class": self.class(),
            "EnablePaymentsToAccount": self.takes_payments,
            "ShowInExpenseClaims": false,
            "ReportingCode": self.class(),
            "HasAttachments": false,
        });
        if let Some(fields) = shown.as_object_mut() {
            if let Some(currency) = &self.currency {
                fields.insert("BankAccountType".to_owned(), json!("BANK"));
                fields.insert("BankAccountNumber".to_owned(), json!(format!("000000{}", self.code)));
                fields.insert("CurrencyCode".to_owned(), json!(currency));
            }
            if let Some(system) = &self.system {
                fields.insert("SystemAccount".to_owned(), json!(system));
            }
        }
        shown
    }
}

impl TaxRate {
    pub(crate) fn applies_to(&self, class: &str) -> bool {
        let letter = match class {
            "REVENUE" => 'r',
            "EXPENSE" => 'e',
            "LIABILITY" => 'l',
            "EQUITY" => 'q',
            _ => 'a',
        };
        self.applies.contains(letter)
    }

    pub(crate) fn show(&self) -> Value {
        json!({
            "Name": self.name,
            "TaxType": self.tax_type,
            "ReportTaxType": self.report,
            "CanApplyToAssets": self.applies_to("ASSET"),
            "CanApplyToEquity": self.applies_to("EQUITY"),
            "CanApplyToExpenses": self.applies_to("EXPENSE"),
            "CanApplyToLiabilities": self.applies_to("LIABILITY"),
            "CanApplyToRevenue": self.applies_to("REVENUE"),
            "DisplayTaxRate": number(self.rate, 4),
            "EffectiveRate": number(self.rate, 4),
            "Status": if self.archived { "ARCHIVED" } else { "ACTIVE" },
            "TaxComponents": [{
                "Name": "VAT", "Rate": number(self.rate, 4), "IsCompound": false, "IsNonRecoverable": false,
            }],
        })
    }
}
