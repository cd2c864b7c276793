//! Texts as the book takes them: without markup and within its limits.

/// Longest reference between `&` and `;` that counts as one.
const ENTITY_LENGTH_MAX: usize = 10;

/// A text without HTML entities, angle brackets and control characters, white space tidied, cut to `length_max`
/// characters. The book refuses markup in texts (Byte8 module's pages, quirk 22). Only for texts that nothing is known
/// by; `None` where nothing is left.
pub(super) fn plain(text: &str, length_max: usize) -> Option<String> {
    let mut text = text.to_owned();
    // What has been escaped twice is unescaped twice; each round makes the text shorter.
    loop {
        let shorter = without_entities(&text);
        if shorter == text {
            break;
        }
        text = shorter;
    }
    let letters = |letter: char| match letter {
        '<' | '>' => None,
        letter if letter.is_control() || letter.is_whitespace() => Some(' '),
        letter => Some(letter),
    };
    let text: String = text.chars().filter_map(letters).collect();
    let tidy = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let cut: String = tidy.chars().take(length_max).collect();
    let cut = cut.trim_end();
    (!cut.is_empty()).then(|| cut.to_owned())
}

/// One round: what an entity stands for where it is a sign of its own, else a space.
fn without_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let named = after.split_once(';').filter(|(name, _)| is_entity(name));
        match named {
            Some((name, behind)) => {
                out.push(meaning(name));
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_entity(name: &str) -> bool {
    let (number, digits) = name.strip_prefix('#').map_or((false, name), |digits| (true, digits));
    let legal = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let begins = digits.bytes().next().is_some_and(|byte| number || byte.is_ascii_alphabetic());
    name.len() <= ENTITY_LENGTH_MAX && legal && begins
}

fn meaning(name: &str) -> char {
    match name {
        "amp" => '&',
        "quot" => '"',
        "apos" | "lsquo" | "rsquo" => '\'',
        _ => {
            let code = match name.strip_prefix('#') {
                Some(digits) => match digits.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16).ok(),
                    None => digits.parse().ok(),
                },
                None => None,
            };
            code.and_then(char::from_u32).unwrap_or(' ')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_taken_out_and_the_rest_stays() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(plain(text, 40).as_deref(), expected, "{text}");
        check("Fish & chips", Some("Fish & chips"));
        check("Fish &amp; chips", Some("Fish & chips"));
        check("Fish &amp;amp; chips", Some("Fish & chips"));
        check("Desk <oak> & \"ash\"", Some("Desk oak & \"ash\""));
        check("&lt;b&gt;Desk&lt;/b&gt;", Some("b Desk /b"));
        check("Caf&#233; &#x27;mug&#39;&nbsp;10/12", Some("Café 'mug' 10/12"));
        check("R&D; more &", Some("R more &"));
        check("a & b; c", Some("a & b; c"));
        check("&#0;&#xD800;&;", Some("&;"));
        check(" \t\n ", None);
        check("<>", None);
        check("Tee 👕\u{7}!", Some("Tee 👕 !"));
        assert_eq!(plain("abcd efgh", 5).as_deref(), Some("abcd"));
        assert_eq!(plain(&"🦊".repeat(50), 40).map(|text| text.chars().count()), Some(40));
    }
}
