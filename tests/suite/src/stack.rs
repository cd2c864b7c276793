//! The local stack that the tests run against, as `make test` started it.

use anyhow::Context;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variable that names the stack's file of settings.
pub const STACK_ENV: &str = "LEDGER_TEST_STACK_ENV";

/// The workspace's folder.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// How many, by a variable of the environment, or else the usual number.
///
/// # Errors
/// Where the variable is no number.
pub fn how_many(name: &str, usual: usize) -> anyhow::Result<usize> {
    #[expect(clippy::disallowed_methods, reason = "the suite's own knobs")]
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is no number")),
        Err(_) => Ok(usual),
    }
}

/// Settings of the running stack; `None` (and a line on standard error) where there is none.
#[must_use]
pub fn settings() -> Option<BTreeMap<String, String>> {
    #[expect(clippy::disallowed_methods, reason = "the one place where the suite reads its environment")]
    let named = std::env::var(STACK_ENV).ok();
    let path = named.map(|path| workspace().join(path));
    let text = path.and_then(|path| std::fs::read_to_string(path).ok());
    let Some(text) = text else {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {STACK_ENV} names no running stack");
        }
        return None;
    };
    Some(
        text.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
            .collect(),
    )
}
