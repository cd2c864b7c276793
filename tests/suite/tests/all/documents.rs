//! The documents say what the code is. Each check here is also shown a spoilt document, and has to notice.

use anyhow::{Context, ensure};
use ledger_engine::config::Timers;
use ledger_engine::connect::oauth::CONNECT_CODES;
use ledger_engine::domain::code::Code;
use ledger_engine::domain::retry;
use ledger_engine::domain::run::RunState;
use ledger_engine::edges;
use ledger_engine::wire::rows::{PreviewRow, RunRow};
use ledger_engine::wire::settings::{
    ConsolidationV1, NUMBER_PREFIX_MAX, NamePriorityV1, OverrideV1, PAYMENT_TERMS_MAX_DAYS, SettingsV1, StatusV1,
    SupplyV1, TaxRuleV1,
};
use ledger_suite::stack::workspace;
use ledger_world::accounting::AccountingSwitches;
use ledger_world::book::Switches;
use ledger_world::sage::SageSwitches;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the project's own folders and files are called, as paths in documents begin.
const FOLDERS: [&str; 7] = ["cli/", "docs/", "events/", "functions/", "infra/", "shared/", "tests/"];
/// First parts of the paths on somebody's machine; other absolute paths are those of servers.
const MACHINE_PATHS: [&str; 12] =
    ["home", "Users", "root", "tmp", "work", "opt", "usr", "var", "mnt", "etc", "private", "srv"];
/// Ends of the hosts that documents may name.
const HOSTS: [&str; 11] = [
    "example",
    "example.com",
    "amazon.com",
    "amazonaws.com",
    "amazontrust.com",
    "xero.com",
    "freeagent.com",
    "sage.com",
    "github.com",
    "rustup.rs",
    "127.0.0.1",
];

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(workspace().join(path)).with_context(|| path.to_owned())
}

/// Every document, by its path.
fn documents() -> anyhow::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("README.md"), PathBuf::from("ARCHITECTURE.md")];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(workspace().join(&folder))? {
            let path = folder.join(entry?.file_name());
            if workspace().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is wrong with a document; nothing if it is true.
type Promise<'a> = &'a dyn Fn(&str) -> anyhow::Result<Vec<String>>;

/// Holds a document to a promise, and shows that it can be broken: `spoil` is replaced by `by`.
fn holds(document: &str, promise: Promise<'_>, spoil: &str, by: &str) -> anyhow::Result<()> {
    let text = read(document)?;
    let wrong = promise(&text)?;
    ensure!(wrong.is_empty(), "{document}: {wrong:#?}");
    let spoilt = text.replace(spoil, by);
    ensure!(spoilt != text, "{document} has no {spoil:?} to spoil");
    ensure!(!promise(&spoilt)?.is_empty(), "{document} without {spoil:?} goes unnoticed");
    Ok(())
}

/// The row of a table whose first cell names `name`.
fn row<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let named = format!("`{name}`");
    text.lines().find(|line| line.starts_with('|') && line.split('|').nth(1).is_some_and(|cell| cell.contains(&named)))
}

/// Names without a row, and what their rows lack.
fn rows_lack(text: &str, wanted: impl IntoIterator<Item = (String, Vec<String>)>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, parts) in wanted {
        match row(text, &name) {
            None => wrong.push(format!("no row for {name}")),
            Some(row) => {
                wrong.extend(
                    parts.into_iter().filter(|part| !row.contains(part)).map(|it| format!("{name}: no {it:?}")),
                );
            }
        }
    }
    wrong
}

/// A part of a document: from its heading to the next of the same level.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let begin = format!("## {heading}\n");
    let rest = text.split_once(&begin).map_or("", |(_, rest)| rest);
    rest.split_once("\n## ").map_or(rest, |(part, _)| part)
}

/// Entries of a section of the template, two spaces in, with their lines.
pub(crate) fn template_entries(section: &str) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let template = read("template.yaml")?;
    let mut entries: Vec<(String, Vec<String>)> = Vec::new();
    let mut within = false;
    for line in template.lines() {
        if !line.is_empty() && !line.starts_with([' ', '#']) {
            within = line == format!("{section}:");
        } else if within {
            match line.strip_prefix("  ").filter(|it| !it.starts_with([' ', '#'])).and_then(|it| it.strip_suffix(':')) {
                Some(name) => entries.push((name.to_owned(), Vec::new())),
                None => entries.last_mut().map_or((), |(_, lines)| lines.push(line.trim().to_owned())),
            }
        }
    }
    ensure!(!entries.is_empty(), "the template has no {section}");
    Ok(entries)
}

fn is_variable(text: &str) -> bool {
    text.contains('_')
        && !text.starts_with("CARGO_")
        && text.starts_with(|letter: char| letter.is_ascii_uppercase())
        && text.bytes().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == b'_')
}

/// Texts between quotation marks.
fn quoted(source: &str) -> impl Iterator<Item = &str> {
    source.split('"').skip(1).step_by(2)
}

/// Words of a text, whatever stands around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter.is_whitespace() || "`\"'()<>|,;[]".contains(letter))
        .map(|word| word.trim_end_matches(['.', ':', '\\']))
        .filter(|word| !word.is_empty())
}

#[test]
fn every_code_is_explained_with_its_owner_and_remedy() -> anyhow::Result<()> {
    let promise = |text: &str| {
        let wanted = Code::ALL.iter().map(|code| {
            let told = [code.family().as_str(), code.owner().as_str(), code.cause(), code.remedy()];
            (code.as_str().to_owned(), vec![format!("| {} |", told.join(" | "))])
        });
        let mut wrong = rows_lack(section(text, "Codes"), wanted);
        // What is gone from the code is gone from the document.
        let first_cells = section(text, "Codes").lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        wrong.extend(first_cells.filter(|name| Code::parse(name).is_none()).map(|name| format!("{name} is no code")));
        Ok(wrong)
    };
    holds("docs/operating.md", &promise, "| `crashed` |", "| `crash` |")?;
    holds(
        "docs/operating.md",
        &promise,
        "| `book_busy` | passing | operator |",
        "| `book_busy` | passing | merchant |",
    )?;
    holds("docs/operating.md", &promise, "| `crashed` | ledger |", "| `crashed` | settings |")?;
    holds("docs/operating.md", &promise, "The function died three times on this run.", "It died.")?;
    holds("docs/operating.md", &promise, "Report it with the run id, then retry.", "Retry.")
}

#[test]
fn every_code_of_a_connection_is_explained() -> anyhow::Result<()> {
    let promise = |text: &str| {
        let wanted = CONNECT_CODES.iter().map(|(code, remedy)| ((*code).to_owned(), vec![(*remedy).to_owned()]));
        Ok(rows_lack(section(text, "Connecting a book"), wanted))
    };
    holds("docs/operating.md", &promise, "| `prefix_needed` |", "| `prefix` |")?;
    holds("docs/operating.md", &promise, "Ask for a new link: this one was opened before.", "Open it again.")
}

#[test]
fn every_alarm_is_explained() -> anyhow::Result<()> {
    let alarms: Vec<String> = template_entries("Resources")?
        .into_iter()
        .filter(|(_, lines)| lines.iter().any(|line| line == "Type: AWS::CloudWatch::Alarm"))
        .map(|(name, _)| name)
        .collect();
    ensure!(alarms.len() > 10, "only {alarms:?}");
    let promise =
        |text: &str| Ok(rows_lack(section(text, "Alarms"), alarms.iter().map(|name| (name.clone(), Vec::new()))));
    holds("docs/operating.md", &promise, "| `SweeperHeartbeatAlarm` |", "| the heartbeat |")
}

#[test]
fn every_setting_is_explained() -> anyhow::Result<()> {
    // Without `..`: a new setting has to come here first.
    let all = SettingsV1 {
        time_zone: "Europe/London".to_owned(),
        book_currency: "GBP".to_owned(),
        sales_tax_rates: vec!["0".to_owned()],
        income_category: "a".to_owned(),
        shipping_category: "b".to_owned(),
        income_categories: BTreeMap::from([(1, "c".to_owned())]),
        item_type_categories: BTreeMap::from([("d".to_owned(), "e".to_owned())]),
        base_currencies: BTreeMap::from([(1, "GBP".to_owned())]),
        payment_terms_in_days: Some(1),
        invoice_number_prefix: Some("f".to_owned()),
        previous_prefix: Some("g".to_owned()),
        rounding_limit: Some("0".to_owned()),
        sync_unpaid_invoices: Some(true),
        sync_zero_value_invoices: Some(true),
        sync_since: Some("2026-01-01".to_owned()),
        website_filter: vec![1],
        store_filter: vec![1],
        sync_products: Some(true),
        sync_stock: Some(true),
        sync_adopted_stock: Some(true),
        book_country: Some("GB".to_owned()),
        sales_tax_registered: Some(true),
        tax_map: vec![TaxRuleV1::default()],
        default_tax_code: Some("h".to_owned()),
        adjustment_refund_category: Some("i".to_owned()),
        adjustment_fee_category: Some("j".to_owned()),
        gift_card_category: Some("k".to_owned()),
        other_charges_category: Some("l".to_owned()),
        rounding_category: Some("m".to_owned()),
        purchase_category: Some("n".to_owned()),
        payment_terms_by_customer: BTreeMap::from([("1".to_owned(), 1)]),
        payment_terms_by_group: BTreeMap::from([(1, 1)]),
        document_status: Some(StatusV1::Draft),
        payment_methods: BTreeMap::from([("o".to_owned(), None)]),
        default_bank_account: Some("p".to_owned()),
        bank_account_currencies: BTreeMap::from([("p".to_owned(), "GBP".to_owned())]),
        item_types: BTreeMap::from([("q".to_owned(), None)]),
        credit_note_prefix: Some("r".to_owned()),
        customer_name_priority: Some(NamePriorityV1::Person),
        consolidation: Some(ConsolidationV1::default()),
        default_supply: Some(SupplyV1::Services),
        supply_by_product_type: BTreeMap::from([("q".to_owned(), SupplyV1::Goods)]),
        catalogue_prices_include_tax: Some(true),
        overrides: vec![OverrideV1::default()],
    };
    let names: Vec<String> = serde_json::to_value(all)?.as_object().context("not an object")?.keys().cloned().collect();
    let promise = |text: &str| {
        let figures = |name: &str| match name {
            "payment_terms_in_days" => vec![PAYMENT_TERMS_MAX_DAYS.to_string()],
            "invoice_number_prefix" => vec![NUMBER_PREFIX_MAX.to_string()],
            _ => Vec::new(),
        };
        let wanted = names.iter().map(|name| (name.clone(), figures(name)));
        Ok(rows_lack(section(text, "Settings of a binding"), wanted))
    };
    holds("docs/settings.md", &promise, "| `previous_prefix` |", "| the prefix |")?;
    holds("docs/settings.md", &promise, "0 to 365", "0 to 366")
}

#[test]
fn the_settings_shown_can_be_used() -> anyhow::Result<()> {
    let promise = |text: &str| {
        let json = text.split_once("\"time_zone\"").and_then(|(before, rest)| {
            let begin = before.rfind('{')?;
            let end = rest.find('}')?;
            Some(format!("{}\"time_zone\"{}", before.get(begin..)?, rest.get(..=end)?))
        });
        let settings: Result<SettingsV1, _> = serde_json::from_str(&json.context("no example")?);
        Ok(match settings.map(|settings| settings.read(1).map(|_| ())) {
            Ok(Ok(())) => Vec::new(),
            Ok(Err(error)) => vec![error.to_string()],
            Err(error) => vec![error.to_string()],
        })
    };
    holds("docs/settings.md", &promise, "Europe/London", "Europe")?;
    holds("README.md", &promise, "\"book_currency\"", "\"currency\"")
}

#[test]
fn every_parameter_is_explained_with_its_default() -> anyhow::Result<()> {
    let parameters = template_entries("Parameters")?;
    let promise = |text: &str| {
        let wanted = parameters.iter().map(|(name, lines)| {
            let default = lines.iter().find_map(|line| line.strip_prefix("Default: ")).unwrap_or_default();
            let default = default.trim_matches('\'');
            let shown = if default.is_empty() { "empty".to_owned() } else { default.to_owned() };
            (name.clone(), vec![shown])
        });
        Ok(rows_lack(section(text, "Parameters of the template"), wanted))
    };
    holds("docs/settings.md", &promise, "| `StallSeconds` |", "| the stall time |")?;
    holds("docs/settings.md", &promise, "| `QueueVisibilitySeconds` | 360 |", "| `QueueVisibilitySeconds` | 300 |")
}

#[test]
fn every_variable_is_listed() -> anyhow::Result<()> {
    let mut variables: BTreeSet<String> = BTreeSet::new();
    for line in read("template.yaml")?.lines() {
        variables.extend(
            line.trim().split_once(": !").map(|(name, _)| name).filter(|it| is_variable(it)).map(str::to_owned),
        );
    }
    let mut sources = [
        "shared/aws/src/config.rs",
        "shared/aws/src/process.rs",
        "shared/engine/src/config.rs",
        "shared/http/src/lib.rs",
    ]
    .map(str::to_owned)
    .to_vec();
    for function in std::fs::read_dir(workspace().join("functions"))? {
        sources.push(format!("functions/{}/src/main.rs", function?.file_name().to_string_lossy()));
    }
    for source in sources {
        variables.extend(quoted(&read(&source)?).filter(|it| is_variable(it)).map(str::to_owned));
    }
    ensure!(variables.contains("RESTORED_AT") && variables.contains("LEDGER_EXTRA_CA_FILE"), "{variables:?}");
    let promise = |text: &str| {
        let part = section(text, "Environment variables");
        Ok(variables.iter().filter(|name| !part.contains(&format!("`{name}`"))).cloned().collect())
    };
    holds("docs/settings.md", &promise, "`LEASE_WAIT_SECONDS`", "the time")
}

/// What the states of a run become by its edges, as the code has it.
fn edges_by_code() -> BTreeMap<&'static str, String> {
    let row = RunRow { state: "running".to_owned(), event: "invoice.created".to_owned(), ..RunRow::default() };
    let timers = Timers::default();
    let code = Code::BookUnavailable;
    BTreeMap::from([
        ("queued", edges::queued(&row, 1, &timers).state),
        ("reopened", edges::reopened(&row, 1, &timers).state),
        ("sent_again", edges::sent_again(&row, 1, &timers).state),
        ("waiting", edges::waiting(&row, 1, 2, code, "").state),
        ("held", edges::held(&row, 1, code, "", &timers).state),
        ("succeeded", edges::succeeded(&row, 1, "", None, false, None).state),
        ("skipped", edges::skipped(&row, 1, code).state),
        ("previewed", edges::previewed(&row, 1, PreviewRow::default(), &timers).state),
        ("discarded", edges::discarded(&row, 1, "").state),
        ("settled_by_hand", edges::settled_by_hand(&row, 1, "", None).state),
        ("dead_lettered", edges::dead_lettered(&row, 1, code, "").state),
    ])
}

#[test]
fn the_table_of_run_states_is_that_of_the_code() -> anyhow::Result<()> {
    let source = read("shared/engine/src/edges.rs")?;
    let names: Vec<&str> = source
        .split("pub fn ")
        .skip(1)
        .filter(|it| it.split_once('{').is_some_and(|(signature, _)| signature.trim_end().ends_with("-> RunRow")))
        .filter_map(|it| it.split('(').next())
        .collect();
    ensure!(names.len() > 10, "only {names:?}");
    let promise = |text: &str| {
        let table: Vec<Vec<&str>> = section(text, "Run states")
            .lines()
            .filter(|line| line.starts_with("| "))
            .skip(1)
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        let cell = |row: &[&str], at: usize| row.get(at).copied().unwrap_or_default().to_owned();
        let mut wrong = Vec::new();
        for state in RunState::ALL {
            let named = format!("`{state}`");
            if !table.iter().any(|row| cell(row, 2).contains(&named)) {
                wrong.push(format!("nothing becomes {state}"));
            }
            if !table.iter().any(|row| cell(row, 1).contains(&named)) {
                wrong.push(format!("{state} leads nowhere"));
            }
        }
        for name in &names {
            if !table.iter().any(|row| cell(row, 4).contains(&format!("`{name}`"))) {
                wrong.push(format!("the edge {name} is not there"));
            }
        }
        let by_code = edges_by_code();
        for row in &table {
            // Where several are named, the last one decides.
            let edge = cell(row, 4).split('`').rfind(|it| by_code.contains_key(it)).map(str::to_owned);
            let becomes = edge.as_deref().and_then(|edge| by_code.get(edge));
            if becomes.is_some_and(|state| cell(row, 2) != format!("`{state}`")) {
                wrong.push(format!("{edge:?} gives {becomes:?}: {}", row.join(" | ")));
            }
        }
        Ok(wrong)
    };
    holds("ARCHITECTURE.md", &promise, "| `watched` |", "| – |")?;
    holds("ARCHITECTURE.md", &promise, "| `running` | `skipped` |", "| `running` | `succeeded` |")?;
    holds(
        "ARCHITECTURE.md",
        &promise,
        "| `held` | `held` | sweeper | `held_noticed` |",
        "| `held` | `held` | sweeper | – |",
    )
}

#[test]
fn the_table_of_reservations_names_each_state() -> anyhow::Result<()> {
    let source = read("shared/wire/src/rows.rs")?;
    // The line above the field names them.
    let states: Vec<&str> = source
        .split_once("pub struct XrefRow")
        .and_then(|(_, rest)| rest.split_once("\n    pub state"))
        .and_then(|(before, _)| before.lines().last())
        .map(|line| line.split('`').skip(1).step_by(2).collect())
        .unwrap_or_default();
    ensure!(states.contains(&"reserved") && states.len() == 4, "{states:?}");
    let promise = |text: &str| {
        Ok(rows_lack(section(text, "Reservations"), states.iter().map(|it| ((*it).to_owned(), Vec::new()))))
    };
    holds("ARCHITECTURE.md", &promise, "| `find_first` |", "| the mark |")
}

/// Seconds as documents write them.
fn shown(seconds: u64) -> String {
    match seconds {
        _ if seconds.is_multiple_of(86_400) => format!("{} days", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn shown_delays(delays: &[u64]) -> String {
    let shown: Vec<String> = delays.iter().copied().map(shown).collect();
    match shown.split_last() {
        Some((last, before)) => format!("{}, then {last}", before.join(", ")),
        None => String::new(),
    }
}

#[test]
fn delays_and_lifetimes_are_those_of_the_code() -> anyhow::Result<()> {
    let promise = |text: &str| {
        let wanted = [
            shown_delays(&retry::RETRY_DELAYS_SECONDS),
            shown_delays(&retry::PUSH_DELAYS_SECONDS),
            shown(retry::RETRY_HORIZON_SECONDS),
        ];
        Ok(wanted.into_iter().filter(|it| !section(text, "Retries").contains(it)).collect())
    };
    holds("docs/operating.md", &promise, "30 min, 1 h, 3 h", "30 min, 3 h")?;
    let kept = |milliseconds: i64| shown(u64::try_from(milliseconds / 1_000).unwrap_or_default());
    let promise = |text: &str| {
        let wanted = [edges::RUN_KEPT_MS, edges::ATTEMPT_KEPT_MS, edges::BELL_AGAIN_MS].map(kept);
        Ok(wanted.into_iter().filter(|it| !text.contains(it)).collect())
    };
    holds("ARCHITECTURE.md", &promise, "90 days", "three months")
}

#[test]
fn every_answer_to_a_delivery_is_listed() -> anyhow::Result<()> {
    let source = read("shared/engine/src/ingest.rs")? + &read("shared/engine/src/presented.rs")?;
    let mut codes: BTreeSet<String> = BTreeSet::from(["unauthorised".to_owned()]);
    for call in ["Answer::bad(", "later(", "Denied::Later("] {
        for rest in source.split(call).skip(1) {
            let argument = rest.split([',', ')']).next().unwrap_or_default().trim();
            if let Some(code) = argument.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
                codes.insert(code.to_owned());
            }
            let named = argument.strip_prefix("Code::").and_then(|it| it.strip_suffix(".as_str("));
            let known = Code::ALL.iter().find(|code| Some(format!("{code:?}").as_str()) == named);
            codes.extend(known.map(|code| code.as_str().to_owned()));
        }
    }
    ensure!(codes.len() > 12 && codes.contains("store_unavailable"), "{codes:?}");
    let promise = |text: &str| {
        let answers = section(text, "Answers");
        let has =
            |code: &str| answers.lines().any(|line| line.starts_with('|') && line.contains(&format!("| `{code}` |")));
        Ok(codes.iter().filter(|code| !has(code)).cloned().collect())
    };
    holds("docs/wire.md", &promise, "| `clock_out_of_step` |", "| – |")
}

#[test]
fn every_method_of_a_dialect_is_explained() -> anyhow::Result<()> {
    let source = read("shared/dialects/src/lib.rs")?;
    let body = source.split_once("pub trait Dialect").map_or("", |(_, rest)| rest);
    let body = body.split_once("\n}").map_or(body, |(body, _)| body);
    let methods: Vec<String> =
        body.split("    fn ").skip(1).filter_map(|it| it.split('(').next()).map(str::to_owned).collect();
    ensure!(methods.len() == 16, "{methods:?}");
    let promise =
        |text: &str| Ok(rows_lack(section(text, "The trait"), methods.iter().map(|it| (it.clone(), Vec::new()))));
    holds("docs/adding-a-provider.md", &promise, "| `classify` |", "| the last |")
}

#[test]
fn everything_unverified_is_said() -> anyhow::Result<()> {
    let pages = [
        ("docs/providers/xero-v2.md", serde_json::to_value(Switches::default())?, "`tax_rounding`"),
        ("docs/providers/xero-accounting.md", serde_json::to_value(AccountingSwitches::default())?, "`currency_rate`"),
        ("docs/providers/sage.md", serde_json::to_value(SageSwitches::default())?, "`allocation_sign`"),
    ];
    for (page, switches, spoilt) in pages {
        let names: Vec<String> = switches.as_object().context("not an object")?.keys().cloned().collect();
        let promise = |text: &str| {
            let part = section(text, "Unverified, and how each is handled");
            Ok(names.iter().filter(|name| !part.contains(&format!("`{name}`"))).cloned().collect())
        };
        holds(page, &promise, spoilt, "yes")?;
    }
    Ok(())
}

/// All of the project's own sources, one text.
fn sources() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut folders = FOLDERS.map(|folder| workspace().join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs" || it == "py") && !path.ends_with("all/documents.rs")
            {
                text.push_str(&std::fs::read_to_string(path)?);
            }
        }
    }
    Ok(text)
}

#[test]
fn the_tests_that_are_named_exist() -> anyhow::Result<()> {
    let sources = sources()?;
    let promise = |text: &str| {
        let names = text.split('`').skip(1).step_by(2).filter(|it| {
            it.matches('_').count() > 2
                && it.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_')
        });
        let exists = |name: &str| {
            sources.contains(&format!("fn {name}("))
                || sources.contains(&format!("fn {name}<"))
                || sources.contains(&format!("    {name}: ["))
                || sources.contains(&format!("def {name}("))
        };
        Ok(names.filter(|name| !exists(name)).map(str::to_owned).collect())
    };
    holds(
        "docs/reliability.md",
        &promise,
        "`a_create_lands_after_the_first_find`",
        "`a_create_lands_before_the_first_find`",
    )?;
    holds("docs/reliability.md", &promise, "`check_roles_have_the_least`", "`check_roles_have_much`")
}

/// Paths of a document that lead nowhere.
fn lost_paths(text: &str) -> Vec<String> {
    words(text)
        .map(|word| word.split('#').next().unwrap_or(word))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| !word.contains(['*', '{', '…', '$']))
        .filter(|word| !workspace().join(word).exists())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_path_that_is_named_exists() -> anyhow::Result<()> {
    let promise = |text: &str| Ok(lost_paths(text));
    holds("README.md", &promise, "docs/local.md", "docs/nowhere.md")?;
    holds("ARCHITECTURE.md", &promise, "shared/engine/src/edges.rs", "shared/engine/src/edge.rs")?;
    for document in documents()? {
        let wrong = lost_paths(&std::fs::read_to_string(workspace().join(&document))?);
        ensure!(wrong.is_empty(), "{}: {wrong:?}", document.display());
    }
    Ok(())
}

/// A heading as a link names it.
fn slug(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// Links of a document, at `path`, that lead nowhere.
fn lost_links(path: &Path, text: &str) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for link in text.split("](").skip(1).filter_map(|it| it.split(')').next()) {
        if link.contains("://") {
            continue;
        }
        let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
        let folder = path.parent().unwrap_or(Path::new(""));
        let target = if file.is_empty() { path.to_owned() } else { folder.join(file) };
        let linked =
            if file.is_empty() { Ok(text.to_owned()) } else { std::fs::read_to_string(workspace().join(&target)) };
        match (linked, anchor) {
            (Err(_), _) => wrong.push(link.to_owned()),
            (Ok(linked), Some(anchor)) => {
                if !linked.lines().any(|line| line.starts_with('#') && slug(line) == anchor) {
                    wrong.push(link.to_owned());
                }
            }
            (Ok(_), None) => {}
        }
    }
    Ok(wrong)
}

#[test]
fn every_link_leads_somewhere() -> anyhow::Result<()> {
    let readme = |text: &str| lost_links(Path::new("README.md"), text);
    holds("README.md", &readme, "(docs/operating.md#reaching-a-stack)", "(docs/operating.md#reaching)")?;
    holds("README.md", &readme, "(LICENSE)", "(LICENCE)")?;
    for document in documents()? {
        let wrong = lost_links(&document, &std::fs::read_to_string(workspace().join(&document))?)?;
        ensure!(wrong.is_empty(), "{}: {wrong:?}", document.display());
    }
    Ok(())
}

/// Paths of somebody's machine, hosts that are nobody's business, and what was left to be written.
fn strangers(text: &str) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    for word in words(text).filter_map(|word| word.strip_prefix('/')) {
        let first = word.split('/').next().unwrap_or_default();
        if MACHINE_PATHS.contains(&first) {
            wrong.push(format!("/{word}"));
        }
    }
    for rest in text.split("://").skip(1) {
        let host = rest.split(|it: char| !(it.is_ascii_alphanumeric() || ".-".contains(it))).next().unwrap_or_default();
        let known = |known: &str| host == known || host.ends_with(&format!(".{known}"));
        // `fileb://` and the like name no host.
        if host.contains('.') && !host.ends_with(".json") && !HOSTS.iter().any(|it| known(it)) {
            wrong.push(host.to_owned());
        }
    }
    let unfinished = ["TODO", "FIXME", "TBD", "XXX", "@@"];
    wrong.extend(unfinished.into_iter().filter(|it| text.contains(it)).map(str::to_owned));
    wrong
}

#[test]
fn documents_speak_of_the_project_alone() -> anyhow::Result<()> {
    for document in documents()? {
        let wrong = strangers(&std::fs::read_to_string(workspace().join(&document))?);
        ensure!(wrong.is_empty(), "{}: {wrong:?}", document.display());
    }
    for spoilt in ["see `/home/else`", "at https://registry.test/x", "to be done: TODO"] {
        ensure!(!strangers(spoilt).is_empty(), "{spoilt} goes unnoticed");
    }
    ensure!(strangers("`POST /v2/invoices` at <https://api.xero.com>, 1 / 2").is_empty(), "a good text is refused");
    Ok(())
}

#[test]
fn every_command_that_is_named_exists() -> anyhow::Result<()> {
    let makefile = read("Makefile")?;
    let arguments = read("cli/src/args.rs")?;
    let lost = |text: &str| {
        let follows = |text: &str, program: &str| {
            let begins = [format!("`{program} "), format!("    {program} "), format!("/{program} ")];
            let rests = begins
                .iter()
                .flat_map(|begin| text.split(begin.as_str()).skip(1).map(str::to_owned).collect::<Vec<_>>());
            rests.collect::<Vec<_>>()
        };
        let is_word = |word: &&str| {
            word.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'-') && !word.starts_with('-')
        };
        let mut wrong = Vec::new();
        for rest in follows(text, "make") {
            let target = rest.split([' ', '`', '\n']).next().unwrap_or_default();
            if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                wrong.push(format!("make {target}"));
            }
        }
        for rest in follows(text, "ledger") {
            let line = rest.split(['`', '\n']).next().unwrap_or_default();
            for word in line.split(' ').take_while(is_word).take(2) {
                let pascal: String = word
                    .split('-')
                    .map(|part| {
                        part.chars()
                            .take(1)
                            .map(|it| it.to_ascii_uppercase())
                            .chain(part.chars().skip(1))
                            .collect::<String>()
                    })
                    .collect();
                let is_variant = |line: &str| line.trim().split(['(', ',', ' ']).next() == Some(pascal.as_str());
                if !arguments.lines().any(is_variant) {
                    wrong.push(format!("ledger {line}"));
                }
            }
        }
        wrong
    };
    let promise = |text: &str| Ok(lost(text));
    holds("docs/operating.md", &promise, "ledger runs retry", "ledger runs repeat")?;
    holds("README.md", &promise, "make demo", "make show")?;
    for document in documents()? {
        let wrong = lost(&std::fs::read_to_string(workspace().join(&document))?);
        ensure!(wrong.is_empty(), "{}: {wrong:?}", document.display());
    }
    Ok(())
}

#[test]
fn what_is_banned_is_not_locked_in() -> anyhow::Result<()> {
    let lock = read("Cargo.lock")?;
    let promise = |rules: &str| {
        let banned = rules.split("{ crate = \"").skip(1).filter_map(|it| it.split('"').next());
        let mut wrong: Vec<String> =
            banned.filter(|name| lock.contains(&format!("\nname = \"{name}\"\n"))).map(str::to_owned).collect();
        if !rules.contains("unknown-registry = \"deny\"") || !rules.contains("unknown-git = \"deny\"") {
            wrong.push("sources are not locked".to_owned());
        }
        Ok(wrong)
    };
    let foreign: Vec<&str> = lock
        .lines()
        .filter(|line| {
            line.starts_with("source = ") && !line.contains("registry+https://github.com/rust-lang/crates.io-index")
        })
        .collect();
    ensure!(foreign.is_empty(), "{foreign:?}");
    holds("deny.toml", &promise, "crate = \"native-tls\"", "crate = \"ring\"")?;
    holds("deny.toml", &promise, "unknown-git = \"deny\"", "unknown-git = \"allow\"")
}
