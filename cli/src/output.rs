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
        let _ = writeln!(out, "{}", harmless(text.trim_end_matches('\n')));
        let _ = out.flush();
    }
}

/// Shops and books write numbers and names: none of them moves the cursor or turns the direction of a line.
fn harmless(text: &str) -> String {
    let turns =
        |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let moves = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    text.chars().map(|letter| if moves(letter) || turns(letter) { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_rewrite_the_screen() {
        let mut out = Vec::new();
        write(&mut out, "Ada\u{1b}[2K\rBob\u{202e}\t1\nnext\n");
        assert_eq!(String::from_utf8(out).unwrap(), "Ada\u{fffd}[2K\u{fffd}Bob\u{fffd}\t1\nnext\n");
    }
}
