//! A stack as the command line reaches it.

use crate::failure::Failure;
use ledger_aws::engine::config::Timers;
use ledger_aws::engine::operate::Operate;
use ledger_aws::{Aws, Config, DynamoStore, KmsVault, SqsQueue, SystemChance, SystemClock, Timeouts};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Where `make up` says how the local stack is reached.
const LOCAL: &str = ".local/stack.env";
/// A person waits longer than a webhook does, and may sit far from the stack.
const PATIENCE: Timeouts = Timeouts {
    attempt: Duration::from_secs(10),
    operation: Duration::from_secs(30),
    connect: Duration::from_secs(5),
    attempts: 3,
};

/// Gives a variable's value.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A stack.
#[derive(Debug)]
pub struct Stack {
    store: DynamoStore,
    queue: SqsQueue,
    vault: KmsVault,
    timers: Timers,
    url: Option<String>,
}

impl Stack {
    /// Prepares the way to a stack; nothing is called yet.
    ///
    /// # Errors
    /// The variable that is missing or can't be used.
    pub fn open(lookup: &Lookup<'_>) -> Result<Self, Failure> {
        let mut config = Config::from_lookup(&lookup).map_err(|error| Failure::not_configured(format!("{error}.")))?;
        config.timeouts = PATIENCE;
        let timers = Timers::from_lookup(&lookup).map_err(|error| Failure::not_configured(format!("{error}.")))?;
        let aws = Aws::new(&config).map_err(|error| Failure::not_configured(format!("{error}.")))?;
        let url = lookup("LEDGER_URL").filter(|url| !url.is_empty());
        Ok(Self { store: aws.store(), queue: aws.queue(), vault: aws.vault(), timers, url })
    }

    /// What operators do with it.
    #[must_use]
    pub fn operate(&self) -> Operate<'_> {
        Operate {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            clock: &SystemClock,
            chance: &SystemChance,
            timers: &self.timers,
        }
    }

    /// Its tables.
    #[must_use]
    pub const fn store(&self) -> &DynamoStore {
        &self.store
    }

    /// What seals its secrets.
    pub(crate) const fn vault(&self) -> &KmsVault {
        &self.vault
    }

    /// What a shop is told to send to, as far as that is known here.
    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

/// The variables of the named file, else those of the local stack's; `None` where the environment counts.
pub(crate) fn variables(named: Option<&Path>) -> Result<Option<BTreeMap<String, String>>, Failure> {
    match named {
        Some(path) => read_environment(path).map(Some),
        None if Path::new(LOCAL).exists() => read_environment(Path::new(LOCAL)).map(Some),
        None => Ok(None),
    }
}

/// The `NAME=value` lines of a file; empty lines and comments count for nothing.
///
/// # Errors
/// Where it can't be read.
pub fn read_environment(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::not_configured(format!("{} can't be read: {error}.", path.display())))?;
    Ok(parse(&text))
}

pub(crate) fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}
