//! The argument parser, the shapes of `--json` and the texts, from fixed rows.

use crate::args::{Cli, Command, RunsCommand, RunsList, completions};
use crate::commands::{
    Shown, binding_shown, listed, new_tenant_shown, retried_shown, runs_shown, standing_still_shown, tenant_shown,
};
use crate::failure::Failure;
use crate::text::{duration, offset};
use crate::view::RunDetailView;
use crate::{stack, timeline};
use clap::{CommandFactory, Parser};
use ledger_aws::engine::operate::{OperateError, RunDetail};
use ledger_aws::engine::ports::{PortFault, PortResult, RunPage, Tenancy};
use ledger_wire::rows::{AttemptRow, BindingRow, EvidenceRow, PushRow, RunRow, SealedRow, StepRow, TenantRow};
use ledger_wire::settings::SettingsV1;

/// 2026-11-20 09:31:00 UTC.
const NOON: i64 = 1_795_167_060_000;

fn run(number: u64, state: &str) -> RunRow {
    RunRow {
        run_id: format!("0b5e1f6a-7c1d-4e8a-9f00-{number:012}"),
        tenant: "shop-1".to_owned(),
        binding: "b-1".to_owned(),
        provider: "xero".to_owned(),
        book: "xero:demo".to_owned(),
        event: "invoice.created".to_owned(),
        magento_id: number,
        website_id: 1,
        store_id: 1,
        occurred_at: "2026-11-20T09:30:58Z".to_owned(),
        increment_id: Some(format!("{number:09}")),
        idempotency_key: format!("invoice.created:{number}"),
        state: state.to_owned(),
        generation: 1,
        dispatch: 1,
        attempt: 1,
        received_at: NOON,
        updated_at: NOON + 900,
        ..RunRow::default()
    }
}

fn coded(number: u64, state: &str, code: &str, owner: &str, message: &str) -> RunRow {
    RunRow {
        code: Some(code.to_owned()),
        owner: Some(owner.to_owned()),
        message: Some(message.to_owned()),
        ..run(number, state)
    }
}

fn step(label: &str, at_ms: i64, took_ms: i64, status: Option<u16>) -> StepRow {
    StepRow { label: label.to_owned(), at_ms, took_ms, status, ..StepRow::default() }
}

/// Posted at the second attempt, after the book had been away.
fn posted() -> RunDetail {
    let first = AttemptRow {
        attempt: 1,
        generation: 1,
        started_at: NOON + 140,
        duration_ms: 5_260,
        outcome: "later".to_owned(),
        code: Some("book_unavailable".to_owned()),
        message: Some("no answer to find_contact".to_owned()),
        settings_version: 1,
        steps: vec![step("fetch_invoice", 1, 45, Some(200)), step("find_contact", 60, 5_000, None)],
        ..AttemptRow::default()
    };
    let second = AttemptRow {
        attempt: 2,
        generation: 1,
        started_at: NOON + 75_400,
        duration_ms: 214,
        outcome: "succeeded".to_owned(),
        settings_version: 1,
        steps: vec![
            step("fetch_invoice", 1, 38, Some(200)),
            step("create_contact", 61, 52, Some(201)),
            StepRow {
                provider_id: Some("https://book.example/v2/invoices/7".to_owned()),
                total: Some("43.62".to_owned()),
                ..step("create_invoice", 130, 70, Some(201))
            },
        ],
        ..AttemptRow::default()
    };
    let run = RunRow {
        attempt: 2,
        provider_id: Some("https://book.example/v2/invoices/7".to_owned()),
        provider_reference: Some("MAG-000000042".to_owned()),
        ..run(42, "succeeded")
    };
    let push = PushRow {
        entity_type: "invoice".to_owned(),
        magento_id: 42,
        wanted: 1,
        pushed: 1,
        chip: Some("synced".to_owned()),
        pushed_at: Some(NOON + 75_900),
        ..PushRow::default()
    };
    RunDetail {
        run,
        attempts: vec![first, second],
        push: Some(push),
        link: Some("https://go.example/invoices/7".to_owned()),
    }
}

fn refused() -> RunDetail {
    let (code, message) = ("category_unknown", "the book does not know the category of a line");
    let attempt = AttemptRow {
        attempt: 2,
        generation: 2,
        started_at: NOON + 200,
        duration_ms: 90,
        outcome: "refused".to_owned(),
        code: Some(code.to_owned()),
        message: Some(message.to_owned()),
        evidence: Some(EvidenceRow {
            status: Some(422),
            field: Some("invoice_items.category".to_owned()),
            provider_text: Some("is not an income category of this company".to_owned()),
            ..EvidenceRow::default()
        }),
        settings_version: 3,
        steps: vec![step("create_invoice", 30, 41, Some(422))],
        ..AttemptRow::default()
    };
    let push = PushRow {
        entity_type: "invoice".to_owned(),
        magento_id: 9,
        wanted: 2,
        pushed: 1,
        failures: 1,
        code: Some("shop_unavailable".to_owned()),
        due_at: Some(NOON + 30_000),
        ..PushRow::default()
    };
    RunDetail {
        run: coded(9, "dead_lettered", code, "merchant", message),
        attempts: vec![attempt],
        push: Some(push),
        link: None,
    }
}

fn waiting() -> RunDetail {
    let mut row = coded(5, "waiting", "book_rate_limited", "operator", "the book asks us to slow down");
    row.due_at = Some(NOON + 60_000);
    RunDetail { run: row, attempts: Vec::new(), push: None, link: None }
}

fn detail_shown(detail: &RunDetail) -> Shown {
    Shown::new(&RunDetailView::of(detail), timeline::page(detail))
}

fn settings() -> SettingsV1 {
    SettingsV1 {
        time_zone: "Europe/London".to_owned(),
        book_currency: "GBP".to_owned(),
        sales_tax_rates: vec!["20".to_owned(), "0".to_owned()],
        income_category: "https://book.example/v2/categories/001".to_owned(),
        shipping_category: "https://book.example/v2/categories/002".to_owned(),
        ..SettingsV1::default()
    }
}

fn binding() -> BindingRow {
    BindingRow {
        binding: "b-1".to_owned(),
        tenant: "shop-1".to_owned(),
        provider: "xero".to_owned(),
        dialect: "v2".to_owned(),
        status: "active".to_owned(),
        mode: String::new(),
        book: "xero:demo".to_owned(),
        base_url: "https://book.example".to_owned(),
        settings: settings(),
        settings_version: 1,
        connected_at: NOON,
        ..BindingRow::default()
    }
}

fn tenant() -> TenantRow {
    TenantRow {
        tenant: "shop-1".to_owned(),
        shop_url: "https://shop.example".to_owned(),
        status: "connected".to_owned(),
        current_key: Some(SealedRow { ciphertext: "c2VhbGVk".to_owned(), version: 1 }),
        created_at: NOON,
        ..TenantRow::default()
    }
}

/// Text and JSON of a result, each in a snapshot.
macro_rules! shows {
    ($name:literal, $shown:expr) => {
        let shown = $shown;
        insta::assert_snapshot!(concat!($name, ".text"), shown.text);
        insta::assert_snapshot!(concat!($name, ".json"), shown.json);
    };
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
    assert!(completions(clap_complete::Shell::Bash).contains("dead-letters"));
}

#[test]
fn secrets_are_never_arguments() {
    fn names(command: &clap::Command) -> Vec<String> {
        let own = command.get_arguments().map(|argument| argument.get_id().to_string());
        own.chain(command.get_subcommands().flat_map(names)).collect()
    }
    let sources = ["api_key_file", "api_key_stdin", "token_file", "token_stdin"];
    for name in names(&Cli::command()) {
        let secret = ["key", "token", "secret", "password"].iter().any(|word| name.contains(word));
        assert!(!secret || sources.contains(&name.as_str()) || name == "TokenSource", "{name}");
    }
}

#[test]
fn arguments_are_read_and_wrong_ones_refused() {
    let read = |words: &str| Cli::try_parse_from(words.split(' '));
    let list = read("ledger runs list --tenant t --state held --limit 5 --after abc --json").unwrap();
    assert!(list.json);
    let Command::Runs(RunsCommand::List(list)) = list.command else { panic!("another command") };
    assert_eq!((list.tenant.as_str(), list.state.as_deref(), list.limit), ("t", Some("held"), 5));
    let add = "ledger binding add --tenant t --provider xero --dialect v2 --base-url u --organisation o --settings -";
    for wrong in [
        "ledger runs list",
        "ledger runs list --tenant t --state lost",
        "ledger runs list --tenant t --limit 0",
        "ledger tenant add --shop-url u --api-key-file f --api-key-stdin",
        add,
        &format!("{add} --token-file f --token-stdin"),
        "ledger binding pause --tenant t --binding b --provider xero",
        "ledger completions nosuchshell",
    ] {
        assert_eq!(read(wrong).unwrap_err().exit_code(), 2, "{wrong}");
    }
    assert!(read(&format!("{add} --token-file f")).is_ok());
    assert!(read("ledger binding set-token --tenant t --token-stdin --stack-env f").is_ok());
}

#[test]
fn runs_are_shown() {
    shows!("run_posted", detail_shown(&posted()));
    shows!("run_refused", detail_shown(&refused()));
    shows!("run_waiting", detail_shown(&waiting()));
    shows!("run_retried", retried_shown(&run(9, "queued")));
    let page = RunPage {
        runs: vec![
            posted().run,
            coded(41, "skipped", "website_filtered", "merchant", "The website is not wanted."),
            refused().run,
        ],
        next: Some("WyJydW4jMSIsMV0".to_owned()),
    };
    shows!("runs", runs_shown(&page));
    shows!("runs_none", runs_shown(&RunPage::default()));
}

/// The store's pages of runs 1 to 250, of which every fifth is held; a cursor is the number of the last one read.
async fn page(after: Option<&str>, size: usize) -> PortResult<RunPage> {
    let first: usize = after.map_or(Ok(0), str::parse).map_err(|_| PortFault::Inconsistent("no cursor".to_owned()))?;
    let numbers: Vec<usize> = (first + 1..=250).take(size).collect();
    let last = numbers.last().copied().unwrap_or(250);
    let state = |number: usize| if number.is_multiple_of(5) { "held" } else { "succeeded" };
    Ok(RunPage {
        runs: numbers.iter().map(|number| run(u64::try_from(*number).unwrap(), state(*number))).collect(),
        next: (last < 250).then(|| last.to_string()),
    })
}

#[tokio::test]
async fn pages_of_runs_lose_and_repeat_nothing() {
    for (state, limit, expected) in [(None, 20, 250), (None, 1_000, 250), (Some("held"), 7, 50), (Some("queued"), 7, 0)]
    {
        let mut list = RunsList { tenant: "shop-1".to_owned(), state: state.map(str::to_owned), limit, after: None };
        let mut seen = Vec::new();
        loop {
            let found = listed(&list, page).await.unwrap();
            assert!(found.runs.len() <= usize::from(limit));
            seen.extend(found.runs.iter().map(|run| run.magento_id));
            list.after = found.next;
            if list.after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), expected, "{state:?} {limit}");
        assert!(seen.is_sorted_by(|one, next| one < next));
    }
}

#[tokio::test]
async fn a_wrong_cursor_is_wrong_usage() {
    let list = RunsList { tenant: "shop-1".to_owned(), state: None, limit: 1, after: Some("nonsense".to_owned()) };
    assert_eq!(listed(&list, page).await.unwrap_err().exit_code(), 2);
}

#[test]
fn what_stands_still_is_shown_by_cause() {
    let runs = vec![
        coded(1, "dead_lettered", "category_unknown", "merchant", "the book does not know the category of a line"),
        coded(2, "dead_lettered", "reference_taken", "accountant", "MAG-000000002 is another document's number"),
        RunRow {
            updated_at: NOON - 86_400_000,
            ..coded(3, "dead_lettered", "reference_taken", "accountant", "MAG-000000003 is another document's number")
        },
        RunRow {
            tenant: "shop-2".to_owned(),
            ..coded(4, "dead_lettered", "of_a_newer_version", "ledger", "something new")
        },
    ];
    shows!("dead_letters", standing_still_shown("dead letters", &runs));
    shows!("dead_letters_none", standing_still_shown("dead letters", &[]));
    let held = RunRow {
        held_since: Some(NOON),
        ..coded(7, "held", "binding_paused", "operator", "Resume the binding; held runs go on by themselves.")
    };
    shows!("held", standing_still_shown("held runs", &[held]));
}

#[test]
fn tenants_and_bindings_are_shown_without_their_secrets() {
    shows!("tenant", tenant_shown(&Tenancy { tenant: tenant(), bindings: vec![binding()] }));
    shows!("tenant_bare", tenant_shown(&Tenancy { tenant: tenant(), bindings: Vec::new() }));
    shows!("tenant_new", new_tenant_shown(&tenant(), Some("https://ledger.example"), Some("ledger_0123456789abcdef")));
    let own_key = new_tenant_shown(&tenant(), None, None);
    assert!(!own_key.text.contains("API key") && own_key.json.contains("\"api_key\": null"));
    shows!("binding", binding_shown(&binding()));
}

#[test]
fn failures_have_a_code_a_sentence_a_remedy_and_an_exit_code() {
    let failures: Vec<Failure> = vec![
        OperateError::Invalid { field: "shop_url", reason: "not an absolute http(s) URL".to_owned() }.into(),
        OperateError::NotFound("run").into(),
        OperateError::Exists("tenant").into(),
        OperateError::NotNow("the run is under way".to_owned()).into(),
        OperateError::Port(PortFault::Unavailable("Query: timeout".to_owned())).into(),
        OperateError::Port(PortFault::Inconsistent("a row of version 9".to_owned())).into(),
        Failure::not_configured("TABLE_SYNC_RUNS is not set."),
    ];
    let shown: Vec<String> =
        failures.iter().map(|failure| format!("{}\n{}", failure.shown(false), failure.shown(true))).collect();
    insta::assert_snapshot!("failures", shown.join("\n\n"));
}

#[test]
fn durations_say_what_matters() {
    let cases = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 86_399_999, 90_000_000, -1_500];
    insta::assert_snapshot!(
        "durations",
        cases.map(|it| format!("{it} = {} = {}", duration(it), offset(it))).join("\n")
    );
}

#[test]
fn an_environment_file_is_read_line_by_line() {
    let variables = stack::parse("# how to reach it\nLEDGER_URL=http://127.0.0.1:1/a=b\n\nEMPTY=\nno assignment\n");
    assert_eq!(variables.get("LEDGER_URL").map(String::as_str), Some("http://127.0.0.1:1/a=b"));
    assert_eq!(variables.get("EMPTY").map(String::as_str), Some(""));
    assert_eq!(variables.len(), 2);
}
