//! The `where` parameter: comparisons joined by `AND` or `&&`.

use rust_decimal::Decimal;
use serde_json::Value;

use super::spec::QuotedBy;
use super::wire::plain;

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    path: Vec<String>,
    operator: Operator,
    literal: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    AtLeast,
    AtMost,
    More,
    Less,
}

/// What a list is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter(Vec<Comparison>);

impl Filter {
    /// Reads a `where` parameter; none if it isn't understood.
    pub(crate) fn read(text: &str, quoted_by: QuotedBy) -> Option<Self> {
        let doubled = match quoted_by {
            QuotedBy::Backslash => text.to_owned(),
            // A backslash is one as any other letter; what is quoted by doubling is put as the other way has it.
            QuotedBy::Doubling => undoubled(text),
        };
        conjuncts(&doubled).iter().map(|part| comparison(part)).collect::<Option<_>>().map(Self)
    }

    /// Whether a shown resource fits.
    pub(crate) fn fits(&self, shown: &Value) -> bool {
        self.0.iter().all(|comparison| comparison.fits(shown))
    }
}

/// The same with backslashes before quotation marks that were doubled.
fn undoubled(text: &str) -> String {
    let mut plain = String::new();
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.push_str("\\\\"),
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                plain.push_str("\\\"");
            }
            '"' => {
                quoted = !quoted;
                plain.push('"');
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Splits at `AND` and `&&` outside of quotes.
fn conjuncts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let joint = ["&&", " AND ", " and "].into_iter().find(|joint| !quoted && rest.starts_with(joint));
        if let Some(joint) = joint {
            parts.push(String::new());
            rest = rest.get(joint.len()..).unwrap_or_default();
            continue;
        }
        if letter == '\\' && quoted {
            // An escaped letter never ends the quotation.
            let escaped: String = rest.chars().take(2).collect();
            rest = rest.get(escaped.len()..).unwrap_or_default();
            if let Some(part) = parts.last_mut() {
                part.push_str(&escaped);
            }
            continue;
        }
        quoted ^= letter == '"';
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    parts
}

fn comparison(part: &str) -> Option<Comparison> {
    let at = part.find(['=', '!', '<', '>'])?;
    let (path, rest) = part.split_at_checked(at)?;
    let (sign, operator) = [
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        (">=", Operator::AtLeast),
        ("<=", Operator::AtMost),
        ("=", Operator::Equal),
        (">", Operator::More),
        ("<", Operator::Less),
    ]
    .into_iter()
    .find(|(sign, _)| rest.starts_with(sign))?;
    let path: Vec<String> = path.trim().split('.').map(str::to_owned).collect();
    if path.iter().any(|name| name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric())) {
        return None;
    }
    Some(Comparison { path, operator, literal: literal(rest.strip_prefix(sign)?.trim())? })
}

/// The inner none is `null`.
fn literal(text: &str) -> Option<Option<String>> {
    if text == "null" {
        return Some(None);
    }
    let call = |name: &str| {
        let (start, rest) = text.split_at_checked(name.len())?;
        (start.eq_ignore_ascii_case(name)).then(|| rest.strip_prefix('(')?.strip_suffix(')')).flatten()
    };
    if let Some(guid) = call("guid") {
        return Some(Some(quoted(guid)?));
    }
    if let Some(day) = call("DateTime") {
        let parts: Vec<u16> = day.split(',').map_while(|part| part.trim().parse().ok()).collect();
        return match parts.as_slice() {
            [year, month, day, ..] => Some(Some(format!("{year:04}-{month:02}-{day:02}T00:00:00"))),
            _ => None,
        };
    }
    if text.starts_with('"') {
        return quoted(text).map(Some);
    }
    (text.parse::<Decimal>().is_ok() || text == "true" || text == "false").then(|| Some(text.to_owned()))
}

fn quoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut plain = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.push(letters.next()?),
            '"' => return None,
            _ => plain.push(letter),
        }
    }
    Some(plain)
}

impl Comparison {
    fn fits(&self, shown: &Value) -> bool {
        let found = self.path.iter().enumerate().try_fold(shown, |value, (depth, name)| {
            let fields = value.as_object()?;
            // Dates are compared in the form that has a calendar day.
            let dated = format!("{name}String");
            let last = depth.saturating_add(1) == self.path.len();
            let by = |wanted: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, v)| v);
            if last { by(&dated).or_else(|| by(name)) } else { by(name) }
        });
        let found = found.and_then(plain).filter(|text| !text.is_empty());
        let (Some(found), Some(literal)) = (&found, &self.literal) else {
            let same = found.is_none() && self.literal.is_none();
            return match self.operator {
                Operator::Equal => same,
                Operator::Unequal => !same,
                Operator::AtLeast | Operator::AtMost | Operator::More | Operator::Less => false,
            };
        };
        let order = match (found.parse::<Decimal>(), literal.parse::<Decimal>()) {
            (Ok(found), Ok(literal)) => found.cmp(&literal),
            _ => found.to_lowercase().cmp(&literal.to_lowercase()),
        };
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::Unequal => order.is_ne(),
            Operator::AtLeast => order.is_ge(),
            Operator::AtMost => order.is_le(),
            Operator::More => order.is_gt(),
            Operator::Less => order.is_lt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comparisons() {
        let shown = json!({"Name": "Jane \"J\" AND Co", "Invoice": {"InvoiceID": "AB-1"}, "Amount": "\u{1}20.00",
            "DateString": "2026-11-20T00:00:00", "EmailAddress": ""});
        for (text, fits) in [
            (r#"Name="jane \"j\" and co""#, true),
            (r#"Name=="Jane""#, false),
            (r#"Invoice.InvoiceID=guid("ab-1") AND Amount==20"#, true),
            (r#"invoice.invoiceid==Guid("ab-1")&&Amount>20"#, false),
            ("Date>=DateTime(2026,11,20) AND Date<DateTime(2026, 11, 21)", true),
            ("Date<DateTime(2026,11,20)", false),
            ("EmailAddress!=null", false),
            ("Nothing==null", true),
        ] {
            assert_eq!(Filter::read(text, QuotedBy::Backslash).map(|filter| filter.fits(&shown)), Some(fits), "{text}");
        }
        for text in ["Name", "Name=Jane", "Name.ToLower()==\"x\"", "Name=\"a", "x==DateTime(2026)"] {
            assert_eq!(Filter::read(text, QuotedBy::Backslash), None, "{text}");
        }
        let doubled = |text: &str| Filter::read(text, QuotedBy::Doubling).map(|filter| filter.fits(&shown));
        assert_eq!(doubled(r#"Name="jane ""j"" and co""#), Some(true));
        assert_eq!(doubled(r#"Name="jane \"j\" and co""#), None);
    }
}
