//! Standard output and standard error: the only place that writes to them.

use std::io::Write;

/// Writes a result to standard output and ends its last line. Whoever closed the pipe has read enough.
pub fn print(text: &str) {
    write(&mut std::io::stdout().lock(), text);
}

/// Writes a complaint to standard error.
pub fn complain(text: &str) {
    write(&mut std::io::stderr().lock(), text);
}

fn write(out: &mut impl Write, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
        let _ = out.flush();
    }
}
