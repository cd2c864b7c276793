//! Whoever sits in front of the program.

use crate::failure::Failure;
use crate::output;
use std::io::BufRead;
use std::process::{Command, Stdio};

/// Whoever sits in front of the program.
pub(crate) trait Person: Sync {
    /// Says something that is not the result.
    fn tell(&self, text: &str);

    /// Asks, and gives the line that was answered, trimmed; an empty one where there is nobody.
    fn ask(&self, question: &str) -> Result<String, Failure>;

    /// Opens an address in the browser; false where that can't be done.
    fn open(&self, address: &str) -> bool;
}

/// Standard error and standard input.
pub(crate) struct Terminal;

impl Person for Terminal {
    fn tell(&self, text: &str) {
        output::complain(text);
    }

    fn ask(&self, question: &str) -> Result<String, Failure> {
        output::complain(question);
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| Failure::usage(format!("Standard input can't be read: {error}."), "Pipe the line in."))?;
        Ok(line.trim().to_owned())
    }

    fn open(&self, address: &str) -> bool {
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let opened =
            Command::new(opener).arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        opened.is_ok()
    }
}

/// Asks before something that can't be undone.
pub(crate) fn agrees(person: &dyn Person, yes: bool, question: &str) -> Result<(), Failure> {
    if yes || matches!(person.ask(&format!("{question} [yes/no]"))?.to_lowercase().as_str(), "yes" | "y") {
        return Ok(());
    }
    Err(Failure::usage("Nothing was done.", "Answer with yes, or pass --yes."))
}
