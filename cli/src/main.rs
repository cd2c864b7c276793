//! `ledger`: what operators do with a stack.

use clap::Parser;
use ledger_aws::process::environment;
use ledger_cli::{Cli, output, run};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli, &environment).await {
        Ok(printed) => {
            output::print(&printed.text);
            ExitCode::from(printed.exit)
        }
        Err(failure) => {
            output::complain(&failure.shown(cli.json));
            ExitCode::from(failure.exit_code())
        }
    }
}
