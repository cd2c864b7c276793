//! `ledger`, the operators' program: shops, books, settings, runs, dead letters, over the stack's API.
//!
//! Invariants:
//! - No secret is ever an argument: codes, secrets and keys come from files or standard input, and a key that is made here
//!   is shown once.
//! - What is kept of a sign-in is in one file that only its owner may read; a token is shown to the stack that it is for.
//! - Only `ledger local` and `oauth status --reveal-token` reach past the API, with the caller's own AWS rights.
//! - `--json` prints one document: the API's own shape. Everything that is not the result goes to standard error.
//! - Every failure has a stable code, one sentence and what to do about it; the exit code is 0, 1 (fault), 2 (usage)
//!   or 3 (not found).

mod api;
mod args;
mod commands;
mod doctor;
mod failure;
mod keep;
mod local;
pub mod output;
mod person;
mod secrets;
mod session;
mod shown;
mod signin;
mod stack;
pub mod tables;
mod text;
pub mod timeline;

#[cfg(test)]
mod tests;

pub use args::Cli;
pub use failure::Failure;
pub use stack::{Lookup, Stack, read_environment};

use args::Command;
use ledger_aws::SystemClock;
use person::{Person, Terminal};
use session::Session;
use shown::Shown;

/// What there is to print, and what the process ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// For standard output.
    pub text: String,
    /// 0, or 1 where something was found to be wrong.
    pub exit: u8,
}

/// Does what the arguments ask for. `environment` is asked for variables that no environment file replaces.
///
/// # Errors
/// Why it was not done.
pub async fn run(cli: &Cli, environment: &Lookup<'_>) -> Result<Printed, Failure> {
    run_before(cli, environment, &Terminal).await
}

async fn run_before(cli: &Cli, environment: &Lookup<'_>, person: &dyn Person) -> Result<Printed, Failure> {
    if let Command::Completions { shell } = &cli.command {
        return Ok(Printed { text: args::completions(*shell), exit: 0 });
    }
    let variables = stack::variables(cli.stack_env.as_deref())?;
    let lookup = |name: &str| match &variables {
        Some(variables) => variables.get(name).cloned(),
        None => environment(name),
    };
    let token_file = cli.token_file.clone().or_else(|| keep::usual(environment));
    let session = Session::new(person, &SystemClock, &lookup, cli.url.as_deref(), token_file);
    let Shown { json, text, exit } = commands::done(&session, &cli.command).await?;
    Ok(Printed { text: if cli.json { json } else { text }, exit })
}
