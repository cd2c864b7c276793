//! What the program says.

use std::io::Write as _;

/// Prints a line; a reader who went away is no fault of ours.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
