//! The argument parser, the shapes of `--json` and the texts, from fixed rows; commands against an API in this process.

mod commands;
mod server;
mod signing_in;

use crate::args::{Cli, Command, RunsCommand, completions};
use crate::commands::pieces;
use crate::failure::Failure;
use crate::local::new_tenant_shown;
use crate::shown::{binding_shown, retried_shown, run_shown, runs_shown, standing_still_shown, tenant_shown};
use crate::stack;
use crate::text::{duration, offset};
use clap::{CommandFactory, Parser};
use ledger_aws::engine::dialects::Reply;
use ledger_aws::engine::operate::OperateError;
use ledger_aws::engine::ports::{PortFault, TransportFault};
use ledger_wire::api::{Binding, Causes, Run, RunDetail, Runs, Tenant};
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
    RunDetail::of(&run, &[first, second], Some(&push), Some("https://go.example/invoices/7"))
}

/// In the book, where it waits for approval.
fn unsettled() -> RunDetail {
    let code = "invoice_not_approved";
    let left_out = |kind: &str, at_ms: i64| StepRow { skipped: Some(code.to_owned()), ..step(kind, at_ms, 0, None) };
    let attempt = AttemptRow {
        attempt: 1,
        generation: 1,
        started_at: NOON + 140,
        duration_ms: 260,
        outcome: "skipped".to_owned(),
        code: Some(code.to_owned()),
        message: Some("Approve the document in the book, then resync.".to_owned()),
        settings_version: 1,
        steps: vec![
            step("fetch_creditmemo", 1, 45, Some(200)),
            step("create_credit_note", 60, 90, Some(201)),
            step("read_balance", 160, 40, Some(200)),
            left_out("allocation", 201),
            left_out("refund", 201),
        ],
        ..AttemptRow::default()
    };
    let run = RunRow {
        attempt: 1,
        event: "creditmemo.created".to_owned(),
        provider_id: Some("https://book.example/v2/credit_notes/3".to_owned()),
        provider_reference: Some("MAG-CN-000000007".to_owned()),
        ..coded(7, "skipped", code, "accountant", "Approve the document in the book, then resync.")
    };
    let push = PushRow {
        entity_type: "creditmemo".to_owned(),
        magento_id: 7,
        wanted: 1,
        pushed: 1,
        chip: Some("synced".to_owned()),
        pushed_at: Some(NOON + 900),
        ..PushRow::default()
    };
    RunDetail::of(&run, &[attempt], Some(&push), None)
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
    RunDetail::of(&coded(9, "dead_lettered", code, "merchant", message), &[attempt], Some(&push), None)
}

fn waiting() -> RunDetail {
    let mut row = coded(5, "waiting", "book_rate_limited", "operator", "the book asks us to slow down");
    row.due_at = Some(NOON + 60_000);
    RunDetail::of(&row, &[], None, None)
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
    // Files, standard input, and the flag that prints.
    let sources = [
        "api_key_file",
        "api_key_stdin",
        "token_file",
        "access_token_file",
        "token_stdin",
        "secret_file",
        "secret_stdin",
        "reveal_token",
    ];
    for name in names(&Cli::command()) {
        let secret = ["key", "token", "secret", "password", "pairing"].iter().any(|word| name.contains(word));
        assert!(!secret || sources.contains(&name.as_str()) || name == "TokenSource", "{name}");
    }
}

#[test]
fn arguments_are_read_and_wrong_ones_refused() {
    let read = |words: &str| Cli::try_parse_from(words.split(' '));
    let list = read("ledger runs list --tenant t --state held --limit 5 --after abc --json").unwrap();
    assert!(list.json);
    let Command::Runs(RunsCommand::List(list)) = list.command else { panic!("another command") };
    assert_eq!((list.filter.tenant.as_deref(), list.filter.state.as_deref(), list.limit), (Some("t"), Some("held"), 5));
    let add =
        "ledger local binding add --tenant t --provider xero --dialect v2 --base-url u --organisation o --settings -";
    for wrong in [
        "ledger runs list --tenant t --state lost",
        "ledger runs list --tenant t --limit 0",
        "ledger runs retry",
        "ledger runs retry r --tenant t",
        "ledger runs discard r",
        "ledger shop connect https://shop.example",
        "ledger shop connect https://shop.example --provider xero 12345678",
        "ledger app set xero --client-id i --secret-file f --secret-stdin",
        "ledger previews release",
        "ledger previews release r --all-of b",
        "ledger previews discard r",
        "ledger resync b",
        "ledger backfill b --kind orders --from 1 --to 2",
        "ledger xref show b payment 1",
        "ledger local tenant add --shop-url u --api-key-file f --api-key-stdin",
        add,
        &format!("{add} --access-token-file f --token-stdin"),
        "ledger local binding set-token --tenant t --binding b --provider xero --token-stdin",
        "ledger completions nosuchshell",
        "ledger dead-letters requeue",
        "ledger dead-letters requeue --code crashed --family settings",
        "ledger notices add t --role auditor",
        "ledger notices add t --role merchant --webhook https://hooks.example/",
        "ledger notices add t --role merchant --secret-file f",
    ] {
        assert_eq!(read(wrong).err().map(|it| it.exit_code()), Some(2), "{wrong}");
    }
    for right in [
        &format!("{add} --access-token-file f"),
        "ledger local binding set-token --tenant t --token-stdin --stack-env f",
        "ledger runs retry --tenant t --code crashed --yes",
        "ledger previews release --all-of b --follow",
        "ledger dead-letters requeue --family settings --binding b",
        "ledger notices add t --role merchant --webhook https://hooks.example/ --secret-file f",
        "ledger --url https://ledger.example --token-file f doctor --tenant t",
    ] {
        assert!(read(right).is_ok(), "{right}");
    }
}

#[test]
fn an_import_is_cut_into_pieces_with_the_header() {
    let lines: String = (1..=5).map(|number| format!("invoice,{number}\n")).collect();
    let cut = pieces(&format!("\u{feff}entity_type,magento_id\r\n{lines}"), 2);
    let expected = [
        (0, "entity_type,magento_id\ninvoice,1\ninvoice,2\n"),
        (2, "entity_type,magento_id\ninvoice,3\ninvoice,4\n"),
        (4, "entity_type,magento_id\ninvoice,5\n"),
    ];
    assert_eq!(cut, expected.map(|(before, text)| (before, text.to_owned())));
    let broken = pieces("a,b\n1,\"two\nlines\"\n2,x\n3,y\n", 2);
    assert_eq!(broken, [(0, "a,b\n1,\"two\nlines\"\n2,x\n".to_owned()), (3, "a,b\n3,y\n".to_owned())]);
    assert_eq!(pieces("", 2), []);
    assert_eq!(pieces("a,b\n", 2), []);
}

#[test]
fn runs_are_shown() {
    shows!("run_posted", run_shown(&posted()));
    shows!("run_refused", run_shown(&refused()));
    shows!("run_unsettled", run_shown(&unsettled()));
    shows!("run_waiting", run_shown(&waiting()));
    shows!("run_retried", retried_shown(&Run::of(&run(9, "queued"))));
    let page = Runs {
        runs: vec![
            posted().run,
            Run::of(&coded(41, "skipped", "website_filtered", "merchant", "The website is not wanted.")),
            refused().run,
        ],
        next: Some("WyJydW4jMSIsMV0".to_owned()),
    };
    shows!("runs", runs_shown(&page));
    shows!("runs_none", runs_shown(&Runs::default()));
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
    shows!("dead_letters", standing_still_shown("dead letters", &Causes::of(&runs)));
    shows!("dead_letters_none", standing_still_shown("dead letters", &Causes::default()));
    let held = RunRow {
        held_since: Some(NOON),
        ..coded(7, "held", "binding_paused", "operator", "Resume the binding; held runs go on by themselves.")
    };
    shows!("held", standing_still_shown("held runs", &Causes::of(&[held])));
}

#[test]
fn tenants_and_bindings_are_shown_without_their_secrets() {
    shows!("tenant", tenant_shown(&Tenant::of(&tenant(), &[binding()])));
    shows!("tenant_bare", tenant_shown(&Tenant::of(&tenant(), &[])));
    shows!("tenant_new", new_tenant_shown(&tenant(), Some("https://ledger.example"), Some("ledger_0123456789abcdef")));
    let own_key = new_tenant_shown(&tenant(), None, None);
    assert!(!own_key.text.contains("API key") && own_key.json.contains("\"api_key\": null"));
    shows!("binding", binding_shown(&Binding::of(&binding())));
}

fn answered(status: u16, body: &str) -> Failure {
    Failure::of_answer(&Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() })
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
        Failure::signed_out(),
        TransportFault::AddressRefused("not https".to_owned()).into(),
        TransportFault::NotSent("refused".to_owned()).into(),
        TransportFault::NoAnswer("not within the time allowed".to_owned()).into(),
        answered(404, r#"{"code":"not_found","message":"there is no such run","errors":[]}"#),
        answered(
            400,
            r#"{"code":"invalid","message":"the settings can't be saved","errors":[
                {"field":"payment_methods.stripe","code":"not_in_reference","message":"the book has no such account"}]}"#,
        ),
        answered(401, r#"{"code":"unauthorised","message":"sign in","errors":[]}"#),
        answered(403, r#"{"code":"forbidden","message":"your groups do not allow this","errors":[]}"#),
        answered(409, r#"{"code":"not_now","message":"the run is under way","errors":[]}"#),
        answered(503, r#"{"code":"store_unavailable","message":"not now; try again","errors":[]}"#),
        answered(502, "<html>secret</html>"),
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
