//! Condition, key and update expressions: the part of DynamoDB's language that Ledger writes. Anything else is refused,
//! so that a new use shows up here instead of being answered wrongly.

use super::item::{Item, add, compare, split};
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// Why an expression can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

type Read<T> = Result<T, Invalid>;

fn invalid<T>(what: impl Into<String>) -> Read<T> {
    Err(Invalid(what.into()))
}

/// What `#name` and `:name` stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    names: Option<&'a Map<String, Value>>,
    values: Option<&'a Map<String, Value>>,
}

impl<'a> Names<'a> {
    /// Those of a request.
    #[must_use]
    pub fn of(request: &'a Value) -> Self {
        Self {
            names: request.get("ExpressionAttributeNames").and_then(Value::as_object),
            values: request.get("ExpressionAttributeValues").and_then(Value::as_object),
        }
    }

    fn name(&self, token: &str) -> Read<String> {
        match self.names.and_then(|names| names.get(token)).and_then(Value::as_str) {
            Some(name) => Ok(name.to_owned()),
            None => invalid(format!("{token} is not defined")),
        }
    }

    fn value(&self, token: &str) -> Read<&'a Value> {
        match self.values.and_then(|values| values.get(token)) {
            Some(value) => Ok(value),
            None => invalid(format!("{token} is not defined")),
        }
    }

    /// Every name and value has to be used, as the real one demands.
    ///
    /// # Errors
    /// The first that isn't.
    pub fn all_used(&self, expressions: &[&str]) -> Read<()> {
        let mut used: Vec<String> = Vec::new();
        for expression in expressions {
            used.extend(tokens(expression)?.into_iter().filter(|token| token.starts_with(['#', ':'])));
        }
        let defined = self.names.into_iter().chain(self.values).flat_map(Map::keys);
        match defined.into_iter().find(|name| !used.contains(name)) {
            Some(name) => invalid(format!("{name} is not used")),
            None => Ok(()),
        }
    }
}

fn tokens(text: &str) -> Read<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() {
            continue;
        }
        let mut token = String::from(letter);
        if letter.is_ascii_alphanumeric() || "_#:".contains(letter) {
            while let Some(next) = letters.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                token.push(next);
            }
        } else if let ('<', Some('>' | '=')) | ('>', Some('=')) = (letter, letters.peek()) {
            token.extend(letters.next());
        } else if !"(),=<>+-".contains(letter) {
            return invalid(format!("{letter} in {text}"));
        }
        found.push(token);
    }
    Ok(found)
}

/// Reads tokens one by one.
struct Reader<'a> {
    tokens: std::vec::IntoIter<String>,
    names: Names<'a>,
    item: &'a Item,
}

impl<'a> Reader<'a> {
    fn new(text: &str, names: Names<'a>, item: &'a Item) -> Read<Self> {
        Ok(Self { tokens: tokens(text)?.into_iter(), names, item })
    }

    fn peek(&self) -> &str {
        self.tokens.as_slice().first().map_or("", String::as_str)
    }

    fn takes(&mut self, token: &str) -> bool {
        let there = self.peek().eq_ignore_ascii_case(token);
        if there {
            self.tokens.next();
        }
        there
    }

    fn wants(&mut self, token: &str) -> Read<()> {
        if self.takes(token) { Ok(()) } else { invalid(format!("{token} instead of {}", self.peek())) }
    }

    fn next(&mut self) -> Read<String> {
        self.tokens.next().map_or_else(|| invalid("the end"), Ok)
    }

    fn either(&mut self) -> Read<bool> {
        let mut holds = self.both()?;
        while self.takes("OR") {
            holds |= self.both()?;
        }
        Ok(holds)
    }

    fn both(&mut self) -> Read<bool> {
        let mut holds = self.one()?;
        while self.takes("AND") {
            holds &= self.one()?;
        }
        Ok(holds)
    }

    fn one(&mut self) -> Read<bool> {
        if self.takes("NOT") {
            return Ok(!self.one()?);
        }
        if self.takes("(") {
            let holds = self.either()?;
            self.wants(")")?;
            return Ok(holds);
        }
        if self.takes("attribute_exists") {
            return Ok(self.argument()?.is_some());
        }
        if self.takes("attribute_not_exists") {
            return Ok(self.argument()?.is_none());
        }
        if self.takes("begins_with") {
            self.wants("(")?;
            let text = self.operand()?;
            self.wants(",")?;
            let prefix = self.operand()?;
            self.wants(")")?;
            let content = |value: &Option<Value>| Some(value.as_ref()?.get("S")?.as_str()?.to_owned());
            return Ok(match (content(&text), content(&prefix)) {
                (Some(text), Some(prefix)) => text.starts_with(&prefix),
                _ => false,
            });
        }
        let left = self.operand()?;
        let operator = self.next()?;
        let right = self.operand()?;
        let (Some(left), Some(right)) = (left, right) else {
            // Nothing is equal to what isn't there, and everything differs from it.
            return Ok(operator == "<>");
        };
        let order = compare(&left, &right);
        Ok(match operator.as_str() {
            "=" => left == right,
            "<>" => left != right,
            "<" => order == Some(Ordering::Less),
            ">" => order == Some(Ordering::Greater),
            "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            _ => return invalid(format!("the operator {operator}")),
        })
    }

    /// `(#name)`: the attribute.
    fn argument(&mut self) -> Read<Option<Value>> {
        self.wants("(")?;
        let value = self.operand()?;
        self.wants(")")?;
        Ok(value)
    }

    /// An attribute or a value.
    fn operand(&mut self) -> Read<Option<Value>> {
        let token = self.next()?;
        if token.starts_with(':') {
            return Ok(Some(self.names.value(&token)?.clone()));
        }
        if token.starts_with('#') {
            return Ok(self.item.get(&self.names.name(&token)?).cloned());
        }
        invalid(format!("{token} as an operand"))
    }

    /// What an attribute is set to.
    fn sum(&mut self) -> Read<Value> {
        let mut value = self.term()?;
        loop {
            let minus = self.peek() == "-";
            if !minus && self.peek() != "+" {
                return Ok(value);
            }
            self.next()?;
            let other = self.term()?;
            value = add(&value, &other, minus).map_or_else(|| invalid("a sum of what are no numbers"), Ok)?;
        }
    }

    fn term(&mut self) -> Read<Value> {
        if self.takes("if_not_exists") {
            self.wants("(")?;
            let there = self.operand()?;
            self.wants(",")?;
            let other = self.operand()?;
            self.wants(")")?;
            return there.or(other).map_or_else(|| invalid("an attribute that isn't there"), Ok);
        }
        self.operand()?.map_or_else(|| invalid("an attribute that isn't there"), Ok)
    }

    fn ended(&self) -> Read<()> {
        if self.peek().is_empty() { Ok(()) } else { invalid(format!("{} after the end", self.peek())) }
    }
}

/// Whether a condition holds for an item; an item that isn't there has no attributes.
///
/// # Errors
/// Where the condition is none that is known here.
pub fn holds(condition: &str, names: Names<'_>, item: &Item) -> Result<bool, Invalid> {
    let mut reader = Reader::new(condition, names, item)?;
    let holds = reader.either()?;
    reader.ended()?;
    Ok(holds)
}

/// An item changed by an update expression. All sides are read from the item as it was.
///
/// # Errors
/// Where the expression is none that is known here, or reads what isn't there.
pub fn changed(expression: &str, names: Names<'_>, item: &Item) -> Result<Item, Invalid> {
    let mut reader = Reader::new(expression, names, item)?;
    let mut next = item.clone();
    while !reader.peek().is_empty() {
        let sets = reader.takes("SET");
        if !sets {
            reader.wants("REMOVE")?;
        }
        loop {
            let token = reader.next()?;
            let name = names.name(&token)?;
            if sets {
                reader.wants("=")?;
                let value = reader.sum()?;
                if split(&value).is_none() {
                    return invalid(format!("the value of {name}"));
                }
                next.insert(name, value);
            } else {
                next.remove(&name);
            }
            if !reader.takes(",") {
                break;
            }
        }
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request() -> Value {
        json!({
            "ExpressionAttributeNames": {"#pk": "pk", "#state": "state", "#n": "n", "#gone": "gone"},
            "ExpressionAttributeValues": {
                ":queued": {"S": "queued"}, ":one": {"N": "1"}, ":ten": {"N": "10"}, ":prefix": {"S": "run#"},
            },
        })
    }

    fn item() -> Item {
        let Value::Object(item) = json!({"pk": {"S": "run#1"}, "state": {"S": "queued"}, "n": {"N": "9"}}) else {
            panic!()
        };
        item
    }

    fn judged(condition: &str) -> bool {
        holds(condition, Names::of(&request()), &item()).unwrap()
    }

    #[test]
    fn conditions_are_judged() {
        assert!(judged("attribute_exists(#pk) AND #state = :queued"));
        assert!(judged("attribute_not_exists(#pk) OR #n < :ten"));
        assert!(judged("#n <= :ten AND (#state = :queued OR attribute_exists(#gone)) AND begins_with(#pk, :prefix)"));
        assert!(!judged("attribute_not_exists(#pk) OR #gone < :ten"));
        assert!(judged("#gone <> :ten") && !judged("NOT #n >= :one") && !judged("#state = :one"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for condition in ["contains(#pk, :prefix)", "#pk", "#unknown = :one", "#n = :unknown", "#n BETWEEN :one", ""] {
            assert!(holds(condition, Names::of(&request()), &item()).is_err(), "{condition}");
        }
        assert!(Names::of(&request()).all_used(&["#pk = :one"]).is_err());
    }

    #[test]
    fn items_are_changed() {
        let next = changed(
            "SET #n = #n + :one, #gone = if_not_exists(#gone, :ten) + :one REMOVE #state",
            Names::of(&request()),
            &item(),
        );
        assert_eq!(Value::Object(next.unwrap()), json!({"pk": {"S": "run#1"}, "n": {"N": "10"}, "gone": {"N": "11"}}));
        assert!(changed("SET #gone = #gone + :one", Names::of(&request()), &item()).is_err());
        assert!(changed("ADD #n :one", Names::of(&request()), &item()).is_err());
    }
}
