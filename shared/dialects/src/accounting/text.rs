//! The API's rules on texts and ids, met before anything is sent.

use ledger_domain::country;
use ledger_domain::document::fitted;

/// Characters of the fingerprint that [`fitted`] ends a shortened text with, the dash included.
const MARK_LENGTH: usize = 9;
/// The id that an element carries that was not created (OpenAPI description of the Accounting API).
const NIL: &str = "00000000-0000-0000-0000-000000000000";
/// Places of the dashes in a GUID.
const DASHES: [usize; 4] = [8, 13, 18, 23];
/// Characters of a GUID.
const GUID_LENGTH: usize = 36;
/// Longest short code that counts; the real ones have six or seven characters.
const SHORT_CODE_LENGTH_MAX: usize = 20;
/// Longest host label of an e-mail address (RFC 1035).
const LABEL_LENGTH_MAX: usize = 63;

/// A GUID in lower case; `None` where the text is none or is the one that stands for nothing.
pub(super) fn guid(text: &str) -> Option<String> {
    let legal = |(at, letter): (usize, char)| {
        if DASHES.contains(&at) { letter == '-' } else { letter.is_ascii_hexdigit() }
    };
    (text.len() == GUID_LENGTH && text.char_indices().all(legal) && text != NIL).then(|| text.to_ascii_lowercase())
}

/// What a deep link may carry of an organisation: `!` and plain characters.
pub(super) fn is_short_code(text: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "!-_".contains(letter);
    !text.is_empty() && text.len() <= SHORT_CODE_LENGTH_MAX && text.chars().all(legal)
}

/// One space between words, none around them, nothing that can't be seen.
pub(super) fn tidy(text: &str) -> String {
    let visible: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name: angle brackets and doubled spaces are refused or mishandled (issue 179 of `XeroAPI/xero-php-oauth2`).
pub(super) fn name(text: &str) -> String {
    tidy(&text.replace(['<', '>'], " "))
}

/// Units in which the API counts: of UTF-16, so that an emoji is two. No page says so; it is the safe reading.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Cut to `length_max`. Only for texts that nothing is known by.
pub(super) fn cut(text: &str, length_max: usize) -> String {
    let mut left = length_max;
    let mut kept = String::new();
    for letter in text.chars() {
        let Some(rest) = left.checked_sub(letter.len_utf16()) else { break };
        left = rest;
        kept.push(letter);
    }
    kept.trim_end().to_owned()
}

/// Within `length_max`; a longer text ends in a fingerprint of the whole, so that two stay two.
pub(super) fn shortened(text: &str, length_max: usize) -> String {
    if length(text) <= length_max { text.to_owned() } else { marked(text, text, length_max) }
}

/// `start`, cut, and the fingerprint of `whole`.
fn marked(start: &str, whole: &str, length_max: usize) -> String {
    let mark = mark(whole);
    format!("{}{mark}", cut(start, length_max.saturating_sub(mark.len())))
}

/// A dash and the fingerprint.
fn mark(whole: &str) -> String {
    // `fitted` marks what it has to shorten only.
    fitted(&format!("{whole}{}", " ".repeat(MARK_LENGTH.saturating_add(1))), MARK_LENGTH)
}

/// An item's code of a SKU: what can't be asked for in a filter is replaced, and then, as where it is too long, it ends
/// in a fingerprint.
pub(super) fn item_code(sku: &str, length_max: usize) -> String {
    let sku = tidy(sku);
    let legal: String = sku.chars().map(|letter| if "\"\\<>".contains(letter) { '-' } else { letter }).collect();
    if legal == sku { shortened(&sku, length_max) } else { marked(&legal, &sku, length_max) }
}

/// A literal of a filter; a quote inside it is escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// One segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-_.~!".contains(letter) {
            out.push(letter);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The address as the API takes it: plain characters and a host with a dot; others are left out rather than refused
/// (Xero API docs, contacts: umlauts are not supported).
pub(super) fn plain_email(email: &str, length_max: usize) -> Option<&str> {
    let (user, host) = email.rsplit_once('@')?;
    let dotted = |text: &str, legal: &dyn Fn(char) -> bool| {
        text.split('.').all(|part| !part.is_empty() && part.chars().all(legal))
    };
    let labels = host.split('.').all(|label| label.len() <= LABEL_LENGTH_MAX && !label.starts_with('-'));
    let is_plain = dotted(user, &|letter| letter.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(letter))
        && dotted(host, &|letter| letter.is_ascii_alphanumeric() || letter == '-')
        && host.contains('.')
        && labels;
    (is_plain && email.len() <= length_max).then_some(email)
}

/// A country's English name in letters and spaces: nothing else is allowed (OpenAPI description, `Address`).
pub(super) fn country(code: &str) -> Option<String> {
    let name = country::english_name(&code.trim().to_ascii_uppercase())?;
    let plain = |letter: char| match letter {
        'Å' => 'A',
        'ã' | 'á' | 'å' => 'a',
        'ç' => 'c',
        'é' | 'è' => 'e',
        'í' => 'i',
        'ô' | 'ó' => 'o',
        'ü' => 'u',
        letter if letter.is_ascii_alphabetic() => letter,
        _ => ' ',
    };
    Some(tidy(&name.chars().map(plain).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_guids_that_stand_for_something_count() {
        let id = "5B16C8A6-0bb3-4d2c-9b1f-3f0d3d3f9f10";
        assert_eq!(guid(id), Some(id.to_ascii_lowercase()));
        for other in [
            "",
            NIL,
            "5b16c8a6-0bb3-4d2c-9b1f-3f0d3d3f9f1",
            "5b16c8a6-0bb3-4d2c-9b1f-3f0d3d3f9f1g",
            "5b16c8a60bb3-4d2c-9b1f-3f0d3d3f9f10aa",
            "5b16c8a6-0bb3-4d2c-9b1f-3f0d3d3f9f1é",
            "../../../../../../../../../Organisatio",
        ] {
            assert_eq!(guid(other), None, "{other}");
        }
    }

    #[test]
    fn texts_keep_to_the_rules() {
        assert_eq!(name("  Lee  &\tCo <Ltd> "), "Lee & Co Ltd");
        assert_eq!(cut("abc def", 4), "abc");
        assert_eq!(cut("🦊🦊🦊", 5), "🦊🦊");
        let (one, other) = (format!("{}A", "🦊".repeat(200)), format!("{}B", "🦊".repeat(200)));
        let (one, other) = (shortened(&one, 255), shortened(&other, 255));
        assert_ne!(one, other);
        assert!(length(&one) <= 255 && one.starts_with("🦊"));
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(item_code("MUG-BLUE", 30), "MUG-BLUE");
        assert_ne!(item_code("a\"b", 30), item_code("a-b", 30));
        assert_ne!(item_code("a\"b", 30), item_code("a\\b", 30));
        assert!(length(&item_code(&"\"".repeat(64), 30)) <= 30);
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(segment("A/1 é"), "A%2F1%20%C3%A9");
    }

    #[test]
    fn addresses_that_would_be_refused_are_left_out() {
        let check = |email: &str, expected: bool| assert_eq!(plain_email(email, 255).is_some(), expected, "{email}");
        check("jane+shop@example.co.uk", true);
        check("o'hara@example.com", true);
        check("müller@example.com", false);
        check("jane@müller.example", false);
        check("jane@localhost", false);
        check("jane..doe@example.com", false);
        check("\"jane doe\"@example.com", false);
        check("jane@-example.com", false);
        check(&format!("{}@example.com", "j".repeat(255)), false);
    }

    #[test]
    fn countries_are_letters_only() {
        assert_eq!(country("gb").as_deref(), Some("United Kingdom"));
        assert_eq!(country("AX").as_deref(), Some("Aland Islands"));
        assert_eq!(country("GW").as_deref(), Some("Guinea Bissau"));
        assert_eq!(country("XX"), None);
        for first in 'A'..='Z' {
            for second in 'A'..='Z' {
                let Some(name) = country(&format!("{first}{second}")) else { continue };
                assert!(name.len() <= 50 && name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == ' '));
                let known = country::english_name(&format!("{first}{second}")).unwrap();
                assert!(name.chars().count() + 3 >= known.chars().count(), "{known} lost letters: {name}");
            }
        }
    }
}
