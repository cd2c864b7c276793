//! What isn't known of the real books: every case again with each switch of the dialect's book turned, one at a time. The
//! connector has to come to the same end, or to another one that is right too and is told here.

use crate::books::Stage;
use crate::cases::{CASES, Case};
use serde_json::{Value, json};

/// Where a switch makes a case end otherwise, and that is right.
struct Otherwise {
    dialects: &'static [&'static str],
    switch: &'static str,
    case: &'static str,
    ends: &'static str,
    /// Why it is right.
    #[expect(dead_code, reason = "said to whoever reads this")]
    why: &'static str,
}

const FAMILY: &[&str] = &["v2", "freeagent"];

const OTHERWISE: &[Otherwise] = &[
    Otherwise {
        dialects: &["v2"],
        switch: "hidden_contacts_keep_email",
        case: "the buyer is archived in the book",
        ends: "posted",
        why: "the address is free, so that a new contact has it",
    },
    Otherwise {
        dialects: &["v2"],
        switch: "hidden_contacts_keep_email",
        case: "the buyer's contact, which we made, is archived",
        ends: "posted",
        why: "the address is free, so that a new contact has it",
    },
    Otherwise {
        dialects: FAMILY,
        switch: "tax_rounding",
        case: "lives of orders",
        ends: "total_mismatch",
        why: "tax is modelled by line; where the book adds up first, it is a penny off now and then, and that is shown",
    },
    Otherwise {
        dialects: FAMILY,
        switch: "unique_references",
        case: "a stranger's invoice has our number",
        ends: "posted",
        why: "the book takes a number twice",
    },
    Otherwise {
        dialects: &["freeagent"],
        switch: "missing_rate",
        case: "an order in euros without a rate",
        ends: "exchange_rate_unknown",
        why: "the book has no rate of its own after all, and says so",
    },
    Otherwise {
        dialects: &["accounting"],
        switch: "rounding_account_takes_lines",
        case: "lives of orders",
        ends: "category_unknown",
        why: "the binding names the book's rounding account, which takes no lines: another one has to be named",
    },
    Otherwise {
        dialects: &["accounting"],
        switch: "shared_numbers",
        case: "a stranger's credit note has our invoice's number",
        ends: "reference_taken",
        why: "invoices and credit notes are numbered in one range",
    },
    Otherwise {
        dialects: &["accounting"],
        switch: "third_currency_payments",
        case: "an order in euros, paid into an account in dollars",
        ends: "posted",
        why: "the book converts it",
    },
    Otherwise {
        dialects: &["accounting"],
        switch: "voided_numbers_reusable",
        case: "our number was on an invoice that is voided by now",
        ends: "posted",
        why: "the number is free again",
    },
    Otherwise {
        dialects: &["accounting"],
        switch: "quoted_by",
        case: "numbers with a quotation mark, and money back",
        ends: "book_refused",
        why: "nothing can be looked for by such a number, and the refusal says so",
    },
    Otherwise {
        dialects: &["accounting"],
        switch: "compound_tax",
        case: "a rate of two components",
        ends: "total_mismatch",
        why: "the shop and we count by the effective rate; where the book is a penny off, that is shown",
    },
    Otherwise {
        dialects: &["sage"],
        switch: "lists_show_inactive",
        case: "the buyer is archived in the book",
        ends: "posted",
        why: NOT_SHOWN,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "lists_show_inactive",
        case: "the buyer's contact, which we made, is archived",
        ends: "posted",
        why: NOT_SHOWN,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "negative_lines",
        case: "a fee is kept of a refund",
        ends: "book_refused",
        why: NO_LESS_THAN_NOTHING,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "negative_lines",
        case: "lives of orders",
        ends: "book_refused",
        why: NO_LESS_THAN_NOTHING,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "negative_movements",
        case: "the shop has fewer in stock than the book",
        ends: "book_refused",
        why: "the book takes nothing away, and says so",
    },
    Otherwise {
        dialects: &["sage"],
        switch: "credit_notes_on_standard",
        case: "a credit note on Standard",
        ends: "book_refused",
        why: "the subscription has none, and says so",
    },
    Otherwise {
        dialects: &["sage"],
        switch: "exchange_rate",
        case: "lives of orders",
        ends: "total_mismatch",
        why: TURNED_ROUND,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "exchange_rate",
        case: "an order in euros, paid into an account in pounds and paid back in part",
        ends: "total_mismatch",
        why: TURNED_ROUND,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "exchange_rate",
        case: "a part of an open order in euros is credited",
        ends: "total_mismatch",
        why: TURNED_ROUND,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "exchange_rate",
        case: "one person in two currencies",
        ends: "total_mismatch",
        why: TURNED_ROUND,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "only_zero_rated_outside_eu",
        case: "sold to America at another rate of nothing",
        ends: "posted",
        why: "any rate of nothing will do",
    },
    Otherwise {
        dialects: &["sage"],
        switch: "start_takes_currency",
        case: "a business on Start",
        ends: "posted",
        why: "the contact's currency is the book's own",
    },
    Otherwise {
        dialects: &["sage"],
        switch: "umbrella_line_errors",
        case: "an income account that the book does not know, and the same mended",
        ends: "book_refused",
        why: UMBRELLA,
    },
    Otherwise {
        dialects: &["sage"],
        switch: "umbrella_line_errors",
        case: "sold to America at another rate of nothing",
        ends: "book_refused",
        why: UMBRELLA,
    },
];

const TURNED_ROUND: &str =
    "the book reads the rate the other way round: the sum in its own currency shows it, and nothing more goes there";
const NOT_SHOWN: &str =
    "the contact can't be seen, so that a new one is made; its code stays taken, and ours has a mark";
const NO_LESS_THAN_NOTHING: &str = "the book takes no line of less than nothing, and names the field";
const UMBRELLA: &str = "whatever is wrong with a line, the book complains of its description";

/// The other positions of a switch.
///
/// # Errors
/// Where the switch is a new one that this module knows no other position of.
fn positions(switch: &str, now: &Value) -> anyhow::Result<Vec<Value>> {
    if let Some(now) = now.as_bool() {
        return Ok(vec![json!(!now)]);
    }
    Ok(match (switch, now.as_str()) {
        ("unit_price_decimals", _) => vec![json!(4)],
        ("idempotency_days", _) => vec![json!(1)],
        ("tax_rounding", _) => vec![json!("document")],
        ("missing_rate" | "unknown_fields" | "repeated_transitions", _) => vec![json!("refused")],
        ("odd_names", _) => vec![json!("cleaned")],
        ("taken_wording", _) => vec![json!("unique")],
        ("forbidden_shape", _) => vec![json!("list"), json!("text")],
        ("not_found", _) => vec![json!("problem"), json!("empty")],
        ("currency_rate", _) => vec![json!("base_per_document")],
        ("negative_half", _) => vec![json!("up")],
        ("exchange_rate", _) => vec![json!("foreign_per_base")],
        ("allocation_sign", _) => vec![json!("all_positive")],
        ("most_per_page", _) => vec![json!(25)],
        ("longest_text", _) => vec![json!(255)],
        ("credit_note_figures", _) => vec![json!("positive")],
        ("unknown_rate_wording", _) => vec![json!("invalid")],
        ("taken_number", _) => vec![json!("in_use")],
        ("quoted_by", _) => vec![json!("doubling")],
        ("paid_back_as", _) => vec![json!("invoice")],
        ("compound_tax", _) => vec![json!("components")],
        ("refund_sign", _) => vec![json!("negative")],
        ("allocation_type", _) => vec![json!("sales_allocation")],
        ("place_types", _) => vec![json!("words"), json!("digits")],
        ("list_dates", _) => vec![json!("moments"), json!("days")],
        ("country_names", _) => vec![json!("other")],
        ("throttled_shape", _) => vec![json!("object"), json!("empty")],
        // Of Sage's book, of Xero's.
        ("forbidden_body", Some("list")) => vec![json!("object"), json!("text"), json!("empty")],
        ("forbidden_body", _) => vec![json!("text"), json!("empty")],
        ("throttled_body", Some("text")) => vec![json!("list"), json!("page"), json!("empty")],
        ("throttled_body", _) => vec![json!("text"), json!("problem")],
        (_, Some("accepted")) => vec![json!("refused")],
        (_, Some("refused")) => vec![json!("accepted")],
        _ => anyhow::bail!("no other position of {switch} is known"),
    })
}

/// What a case comes to with a dialect under a switch.
fn expected(case: &Case, dialect: &str, switch: &str) -> Option<&'static str> {
    let usual = case.outcome(dialect)?;
    let otherwise =
        OTHERWISE.iter().find(|it| it.dialects.contains(&dialect) && it.switch == switch && it.case == case.name);
    Some(otherwise.map_or(usual, |it| it.ends))
}

/// What was tried, and what did not come to the right end.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// Switches, each position counted.
    pub switches: u64,
    /// Cases.
    pub cases: u64,
    /// What is wrong.
    pub wrong: Vec<String>,
}

/// Runs every case of a dialect, as the book is and under each of its switches.
///
/// # Errors
/// Where a stage can't be opened, or a switch has no known other position.
pub async fn tries(dialect: &str) -> anyhow::Result<Tried> {
    let mut tried = Tried::default();
    let switches = Stage::open(dialect).await?.book.switches()?;
    let mut settings: Vec<Option<(String, Value)>> = vec![None];
    for (switch, now) in &switches {
        settings.extend(positions(switch, now)?.into_iter().map(|position| Some((switch.clone(), position))));
    }
    for setting in settings {
        tried.switches = tried.switches.saturating_add(u64::from(setting.is_some()));
        for case in CASES {
            let switch = setting.as_ref().map_or("", |(switch, _)| switch.as_str());
            let Some(expected) = expected(case, dialect, switch) else { continue };
            tried.cases = tried.cases.saturating_add(1);
            let turned = setting.as_ref().map(|(switch, position)| (switch.as_str(), position.clone()));
            let found = case.runs(dialect, turned).await?;
            if found.as_deref() != Ok(expected) {
                let under = setting.as_ref().map_or(String::new(), |(switch, to)| format!(" with {switch}={to}"));
                let found = found.unwrap_or_else(|wrong| wrong);
                tried.wrong.push(format!("{dialect}{under}: {}: {found}, not {expected}", case.name));
            }
        }
    }
    Ok(tried)
}
