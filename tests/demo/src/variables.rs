//! The stack's environment file: read, and lines of it replaced.

use anyhow::Context;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file and what it says.
#[derive(Debug)]
pub struct Variables {
    path: PathBuf,
    values: BTreeMap<String, String>,
}

impl Variables {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { path: path.to_owned(), values: ledger_cli::read_environment(path)? })
    }

    /// What it says of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// What it says of a name that has to be there.
    ///
    /// # Errors
    /// Where it says nothing.
    pub fn need(&self, name: &str) -> anyhow::Result<String> {
        let value = self.get(name).filter(|value| !value.is_empty());
        value.with_context(|| format!("{} does not say {name}: `make up` writes it", self.path.display()))
    }

    /// Replaces or adds lines. The file holds secrets of a stack that exists on this machine only; it stays readable by
    /// its owner alone.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn put(&mut self, new: &[(&str, String)]) -> anyhow::Result<()> {
        let text = replaced(&std::fs::read_to_string(&self.path)?, new);
        let beside = self.path.with_extension("demo");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&beside, &self.path)?;
        for (name, value) in new {
            self.values.insert((*name).to_owned(), value.clone());
        }
        Ok(())
    }
}

fn replaced(text: &str, new: &[(&str, String)]) -> String {
    let is_new = |line: &&str| line.split_once('=').is_some_and(|(name, _)| new.iter().any(|(it, _)| *it == name));
    let kept = text.lines().filter(|line| !is_new(line)).map(|line| format!("{line}\n"));
    kept.chain(new.iter().map(|(name, value)| format!("{name}={value}\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_replaced_or_added() {
        let new = [("TENANT_ID", "b".to_owned()), ("API_KEY", "k".to_owned())];
        let text = replaced("# stack\nTENANT_ID=a\nURL=http://x/?TENANT_ID=1", &new);
        assert_eq!(text, "# stack\nURL=http://x/?TENANT_ID=1\nTENANT_ID=b\nAPI_KEY=k\n");
    }
}
