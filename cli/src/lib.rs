//! `ledger`, the operators' program: tenants, bindings, runs, dead letters.
//!
//! Invariants:
//! - No secret is ever an argument: keys and tokens come from files or standard input, and a key that is made here is
//!   shown once.
//! - `--json` prints one document whose keys are always there; its shapes are in `src/snapshots`.
//! - Every failure has a stable code, one sentence and what to do about it; the exit code is 0, 1 (fault), 2 (usage)
//!   or 3 (not found).

mod args;
mod commands;
mod failure;
pub mod output;
mod secrets;
mod stack;
pub mod tables;
mod text;
pub mod timeline;
mod view;

#[cfg(test)]
mod tests;

pub use args::Cli;
pub use failure::Failure;
pub use stack::{Lookup, Stack, read_environment};

use args::{Command, DeadLetterCommand, HeldCommand};

/// Does what the arguments ask for and returns what there is to print. `environment` is asked for variables that no
/// environment file replaces.
///
/// # Errors
/// Why it was not done.
pub async fn run(cli: &Cli, environment: &Lookup<'_>) -> Result<String, Failure> {
    if let Command::Completions { shell } = &cli.command {
        return Ok(args::completions(*shell));
    }
    let variables = stack::variables(cli.stack_env.as_deref())?;
    let lookup = |name: &str| match &variables {
        Some(variables) => variables.get(name).cloned(),
        None => environment(name),
    };
    let stack = Stack::open(&lookup)?;
    let shown = match &cli.command {
        Command::Tenant(command) => commands::tenant(&stack, command).await?,
        Command::Binding(command) => commands::binding(&stack, command).await?,
        Command::Runs(command) => commands::runs(&stack, command).await?,
        Command::DeadLetters(DeadLetterCommand::List) => commands::dead_letters(&stack).await?,
        Command::Held(HeldCommand::List) => commands::held(&stack).await?,
        // Answered above, without a stack.
        Command::Completions { .. } => return Ok(String::new()),
    };
    Ok(if cli.json { shown.json } else { shown.text })
}
