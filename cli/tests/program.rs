//! The built program: its exit codes, and where it writes what.

use std::process::{Command, Output};

fn ledger(arguments: &[&str]) -> std::io::Result<Output> {
    let folder = std::env::temp_dir();
    // Nothing of the caller's environment: no stack is reached.
    Command::new(env!("CARGO_BIN_EXE_ledger")).args(arguments).current_dir(folder).env_clear().output()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_and_completions_need_no_stack() {
    let help = ledger(&["--help"]).unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("dead-letters"));
    let script = ledger(&["completions", "zsh"]).unwrap();
    assert_eq!(script.status.code(), Some(0));
    assert!(text(&script.stdout).contains("#compdef ledger"));
}

#[test]
fn wrong_usage_ends_with_2_and_writes_to_standard_error_only() {
    for arguments in [
        &["runs", "list"][..],
        &["no-such-command"],
        &["held", "list"],
        &["whoami"],
        &["held", "list", "--stack-env", "none"],
    ] {
        let output = ledger(arguments).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    for (arguments, says) in [
        (&["held", "list", "--json"][..], "No stack is named."),
        (&["--json", "whoami", "--url", "https://ledger.example", "--token-file", "none"], "signed_out"),
        (
            &[
                "--url=https://ledger.example",
                "--token-file=none",
                "login",
                "--issuer=http://id.example",
                "--client-id=c",
            ],
            "not https",
        ),
        (&["--json", "local", "tenant", "add", "--shop-url", "https://shop.example"], "TABLE_SYNC_RUNS"),
    ] {
        let complaint = text(&ledger(arguments).unwrap().stderr);
        assert!(complaint.contains(says), "{arguments:?}: {complaint}");
    }
}
