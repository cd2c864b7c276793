//! Reference data: the questions and what is read of the answers.

use crate::fixtures::{OTHER, context, envelope, fault};
use ledger_dialects::accounting::Accounting;
use ledger_dialects::{Dialect, Reply};
use ledger_domain::reference::{Entry, Reference};

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() }
}

fn shown(entry: &Entry) -> String {
    let mut parts = vec![entry.id.clone(), entry.name.clone(), if entry.active { "active" } else { "-" }.to_owned()];
    parts.extend(entry.rate.map(|rate| format!("rate {rate}")));
    parts.extend(entry.currency.as_ref().map(|currency| format!("currency {currency}")));
    parts.extend(entry.country.as_ref().map(|country| format!("country {country}")));
    parts.extend(entry.sales_tax_registered.map(|registered| format!("registered {registered}")));
    parts.extend(entry.locked_until.map(|date| format!("locked {date}")));
    parts.extend(entry.web_name.as_ref().map(|name| format!("web {name}")));
    parts.extend(entry.group.as_ref().map(|group| format!("group {group}")));
    parts.join(" | ")
}

fn check(of: Reference, list: &str, elements: &[&str], expected: &[&str]) {
    let page = Accounting.read_page(of, &context(), &reply(200, &envelope(list, elements))).unwrap();
    assert_eq!(page.entries.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(page.next, None);
}

#[test]
fn lists_are_asked_for_once() {
    let path = |of| Accounting.page(of, &context(), None).map(|call| call.path);
    assert_eq!(path(Reference::Organisation).as_deref(), Some("/api.xro/2.0/Organisation"));
    assert_eq!(path(Reference::Accounts).as_deref(), Some("/api.xro/2.0/Accounts"));
    assert_eq!(path(Reference::BankAccounts).as_deref(), Some("/api.xro/2.0/Accounts"));
    assert_eq!(path(Reference::TaxRates).as_deref(), Some("/api.xro/2.0/TaxRates"));
    assert_eq!(path(Reference::Currencies).as_deref(), Some("/api.xro/2.0/Currencies"));
    assert_eq!(path(Reference::Contacts), None);
    for of in Reference::ALL {
        assert_eq!(Accounting.profile().references.contains(&of), path(of).is_some());
        assert_eq!(Accounting.page(of, &context(), Some("2")), None);
    }
}

#[test]
fn the_organisation_is_locked_until_the_later_of_its_two_dates() {
    let of = Reference::Organisation;
    let organisation =
        |more: &str| format!(r#"{{"OrganisationID":"{OTHER}","Name":"Shop Ltd","BaseCurrency":"GBP"{more}}}"#);
    let full = organisation(
        r#","CountryCode":"GB","PaysTax":true,"OrganisationStatus":"ACTIVE","ShortCode":"!Xy7-k","PeriodLockDate":"\/Date(1743379200000+0000)\/","EndOfYearLockDate":"\/Date(1711843200000+0000)\/""#,
    );
    let expected = format!(
        "{OTHER} | Shop Ltd | active | currency GBP | country GB | registered true | locked 2025-03-31 | web !Xy7-k"
    );
    check(of, "Organisations", &[&full], &[&expected]);
    let expected = format!("{OTHER} | Shop Ltd | active | currency GBP | locked 2024-03-31");
    check(
        of,
        "Organisations",
        &[&organisation(r#","PeriodLockDate":null,"EndOfYearLockDate":"2024-03-31T00:00:00""#)],
        &[&expected],
    );
    check(
        of,
        "Organisations",
        &[&organisation(r#","PeriodLockDate":"soon","PaysTax":"no""#)],
        &[&format!("{OTHER} | Shop Ltd | active | currency GBP")],
    );
}

#[test]
fn tax_rates_are_the_effective_ones_that_sales_may_carry() {
    check(
        Reference::TaxRates,
        "TaxRates",
        &[
            r#"{"Name":"20% (VAT on Income)","TaxType":"OUTPUT2","Status":"ACTIVE","CanApplyToRevenue":true,"DisplayTaxRate":20.0000,"EffectiveRate":20.0000}"#,
            r#"{"Name":"Compound","TaxType":"TAX001","Status":"ACTIVE","CanApplyToRevenue":"true","EffectiveRate":"8.2500"}"#,
            r#"{"Name":"20% (VAT on Expenses)","TaxType":"INPUT2","Status":"ACTIVE","CanApplyToRevenue":false,"EffectiveRate":20}"#,
            r#"{"Name":"Gone","TaxType":"TAX002","Status":"DELETED","CanApplyToRevenue":true,"EffectiveRate":5}"#,
            r#"{"Name":"Nameless","Status":"ACTIVE"}"#,
        ],
        &[
            "OUTPUT2 | 20% (VAT on Income) | active | rate 20",
            "TAX001 | Compound | active | rate 8.25",
            "INPUT2 | 20% (VAT on Expenses) | - | rate 20",
            "TAX002 | Gone | - | rate 5",
        ],
    );
}

#[test]
fn accounts_serve_lines_or_payments() {
    let accounts = [
        r#"{"Code":"200","Name":"Sales","Type":"REVENUE","Status":"ACTIVE","EnablePaymentsToAccount":false}"#,
        r#"{"Code":"090","Name":"Business Account","Type":"BANK","Status":"ACTIVE","CurrencyCode":"GBP"}"#,
        r#"{"AccountID":"90000000-0000-4000-8000-000000000009","Name":"Euro","Type":"BANK","Status":"ACTIVE","CurrencyCode":"EUR"}"#,
        r#"{"Code":"615","Name":"Card clearing","Type":"CURRENT","Status":"ACTIVE","EnablePaymentsToAccount":true}"#,
        r#"{"Code":"610","Name":"Accounts Receivable","Type":"CURRENT","Status":"ACTIVE","SystemAccount":"DEBTORS"}"#,
        r#"{"Code":"860","Name":"Rounding","Type":"EXPENSE","Status":"ACTIVE","SystemAccount":"ROUNDING"}"#,
        r#"{"Code":"201","Name":"Old","Type":"REVENUE","Status":"ARCHIVED"}"#,
    ];
    check(
        Reference::Accounts,
        "Accounts",
        &accounts,
        &[
            "200 | Sales | active | group REVENUE",
            "090 | Business Account | - | group BANK",
            "615 | Card clearing | active | group CURRENT",
            "610 | Accounts Receivable | - | group CURRENT",
            "860 | Rounding | active | group EXPENSE",
            "201 | Old | - | group REVENUE",
        ],
    );
    check(
        Reference::BankAccounts,
        "Accounts",
        &accounts,
        &[
            "090 | Business Account | active | currency GBP | group BANK",
            "90000000-0000-4000-8000-000000000009 | Euro | active | currency EUR | group BANK",
            "615 | Card clearing | active | group CURRENT",
        ],
    );
}

#[test]
fn currencies_are_those_that_the_organisation_has() {
    check(
        Reference::Currencies,
        "Currencies",
        &[r#"{"Code":"GBP","Description":"British Pound"}"#, r#"{"Code":"EUR"}"#],
        &["GBP | British Pound | active | currency GBP", "EUR |  | active | currency EUR"],
    );
}

#[test]
fn what_is_no_list_is_a_fault() {
    let check = |status: u16, body: &str, expected: &str| {
        for of in Reference::ALL {
            let read = Accounting.read_page(of, &context(), &reply(status, body));
            assert_eq!(fault(&read.unwrap_err()), expected, "{of:?} {status} {body}");
        }
    };
    check(200, "{}", "later book_unavailable");
    check(200, "<html>", "later book_unavailable");
    check(200, r#"{"Accounts":{},"TaxRates":7,"Organisations":null,"Currencies":""}"#, "later book_unavailable");
    check(401, "{}", "reconnect needs_reconnect");
    check(429, "", "later 60 book_rate_limited");
    check(503, "The Organisation is offline", "later 300 book_unavailable");
    check(404, "", "refused book_refused");
}
