//! A draft of settings checked as a whole: everything that is wrong with it, by the path of its field.
//!
//! [`SettingsV1::read`] decides and stops at the first error. Here each part of a draft is read alone, put into settings
//! that are known to be good: so that nothing is accepted here that is refused there, and no rule is written twice.

use super::{SettingError, SettingsV1};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Most errors that are told of one draft.
pub const ERRORS_MAX: usize = 100;
/// Largest draft, in bytes of JSON: a version of the settings is one row, and the binding's row holds them too (DynamoDB
/// developer guide, quotas: 400 KB an item).
pub const DRAFT_BYTES_MAX: usize = 200_000;
/// Most entries of a list that are compared with each other to name the one that is there twice.
const COMPARED_MAX: usize = 500;

/// A code of a field's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum FieldCode {
    /// Not readable, empty, missing, named twice, or not known.
    #[serde(rename = "invalid_format")]
    InvalidFormat,
    /// Too large, too long or too many.
    #[serde(rename = "OUT_OF_RANGE")]
    OutOfRange,
    /// The book, or the shop, has nothing of that name, or not of that kind.
    #[serde(rename = "not_in_reference")]
    NotInReference,
    /// Another binding of the same book uses the number prefix.
    #[serde(rename = "prefix_taken")]
    PrefixTaken,
}

impl FieldCode {
    /// Every code.
    pub const ALL: [Self; 4] = [Self::InvalidFormat, Self::OutOfRange, Self::NotInReference, Self::PrefixTaken];

    /// The code as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFormat => "invalid_format",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::NotInReference => "not_in_reference",
            Self::PrefixTaken => "prefix_taken",
        }
    }

    /// One sentence for a person.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::InvalidFormat => "It is missing, not readable, there twice, or no such setting is known.",
            Self::OutOfRange => "It is too large, too long or too many.",
            Self::NotInReference => "The book or the shop has nothing of that name that could be used here.",
            Self::PrefixTaken => "Another shop of the same book uses this prefix.",
        }
    }

    fn of(error: &SettingError) -> Self {
        Self::ALL.into_iter().find(|code| code.as_str() == error.code).unwrap_or(Self::InvalidFormat)
    }
}

/// A field that cannot be used: `{"field":"overrides[1].income_category","code":"not_in_reference","message":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FieldError {
    /// The path of the field: names with dots between, places of a list from 0 in brackets.
    pub field: String,
    /// What is wrong.
    pub code: FieldCode,
    /// The same in a sentence.
    pub message: &'static str,
}

impl FieldError {
    /// An error of a field.
    #[must_use]
    pub fn new(field: impl Into<String>, code: FieldCode) -> Self {
        Self { field: field.into(), code, message: code.message() }
    }
}

/// Reads a draft: a JSON object of the shape of [`SettingsV1`].
///
/// # Errors
/// Every field that cannot be used, at most [`ERRORS_MAX`], in the order of their paths; never none.
pub fn check(draft: &Value) -> Result<SettingsV1, Vec<FieldError>> {
    let Some(fields) = draft.as_object() else { return Err(vec![FieldError::new("", FieldCode::InvalidFormat)]) };
    if draft.to_string().len() > DRAFT_BYTES_MAX {
        return Err(vec![FieldError::new("", FieldCode::OutOfRange)]);
    }
    let mut errors = Vec::new();
    for (name, value) in fields {
        wrong(&Part { path: name.clone(), shape: name, around: Around::Settings(name) }, value, &mut errors);
    }
    if errors.is_empty()
        && let Ok(settings) = read(draft.clone())
    {
        return Ok(settings);
    }
    for name in NEEDED {
        if !fields.contains_key(name) {
            errors.push(FieldError::new(name, FieldCode::InvalidFormat));
        }
    }
    together(fields, &mut errors);
    if errors.is_empty() {
        errors.push(FieldError::new("", FieldCode::InvalidFormat));
    }
    errors.sort();
    errors.dedup();
    errors.truncate(ERRORS_MAX);
    Err(errors)
}

/// What does not go together, though each part is good: found by putting good parts in place of those that are not.
fn together(fields: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    let good = good();
    let mut repaired = fields.clone();
    for _ in 0..=fields.len() {
        for error in errors.iter() {
            let name = error.field.split(['.', '[']).next().unwrap_or_default();
            match good.get(name) {
                Some(value) => repaired.insert(name.to_owned(), value.clone()),
                None => repaired.remove(name),
            };
            // A rate is needed only where there is no rule.
            if ["tax_map", "overrides"].contains(&name) {
                repaired.insert("sales_tax_rates".to_owned(), json!(["0"]));
            }
        }
        match read(Value::Object(repaired.clone())) {
            Err(Wrong::Setting(error)) => errors.push(FieldError::new(error.field, FieldCode::of(&error))),
            Err(Wrong::Shape) | Ok(_) => return,
        }
    }
}

/// Fields without default, whatever else there is.
const NEEDED: [&str; 4] = ["time_zone", "book_currency", "income_category", "shipping_category"];

enum Wrong {
    /// A type that does not fit, a field that is not known, or one that is missing.
    Shape,
    /// A value that cannot be used.
    Setting(SettingError),
}

fn read(value: Value) -> Result<SettingsV1, Wrong> {
    let settings: SettingsV1 = serde_json::from_value(value).map_err(|_| Wrong::Shape)?;
    settings.read(1).map_err(Wrong::Setting)?;
    Ok(settings)
}

/// Settings that are good, and stay so whichever of their fields is replaced by a good one.
fn good() -> Value {
    json!({"time_zone": "UTC", "book_currency": "EUR", "income_category": "1", "shipping_category": "1",
           "sales_tax_rates": ["0"], "tax_map": [{"rate": "0", "code": "1"}]})
}

/// The same around a field: what it has to differ from differs.
fn good_around(name: &str, part: &Value) -> Value {
    let prefix = if part == "1" { "2" } else { "1" };
    if name == "credit_note_prefix" { put(good(), "invoice_number_prefix", prefix.into()) } else { good() }
}

/// The least of what stands in a list or is an object with fields of its own, by the names on the way to it.
fn least(shape: &str) -> Option<Value> {
    match shape {
        "consolidation" => Some(json!({"email": "a@shop.example"})),
        "tax_map[]" | "overrides[].tax_map[]" => Some(json!({"rate": "0", "code": "1"})),
        "overrides[]" => Some(json!({"store": 1})),
        _ => None,
    }
}

/// Where a part stands.
#[derive(Clone, Copy)]
enum Around<'a> {
    /// It is a field of the settings.
    Settings(&'a str),
    /// It is the only one in that list.
    List(&'a Around<'a>),
    /// It is an entry of a map of anybody's keys, and the only one.
    Entry(&'a Around<'a>, &'a str),
    /// It is a field of an object with fields of its own, which is good otherwise.
    Field(&'a Around<'a>, &'a Value, &'a str),
}

impl Around<'_> {
    /// Good settings with the part in its place.
    fn with(self, part: Value) -> Value {
        match self {
            Self::Settings(name) => put(good_around(name, &part), name, part),
            Self::List(around) => around.with(Value::Array(vec![part])),
            Self::Entry(around, key) => around.with(put(Value::Object(Map::new()), key, part)),
            Self::Field(around, least, name) => around.with(put(least.clone(), name, part)),
        }
    }
}

fn put(mut object: Value, name: &str, part: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), part);
    }
    object
}

/// A part of a draft.
struct Part<'a> {
    /// Its path.
    path: String,
    /// The same with empty brackets: what kind of thing stands there.
    shape: &'a str,
    around: Around<'a>,
}

/// Collects what is wrong with a part: as far down as it can be named.
fn wrong(part: &Part<'_>, value: &Value, errors: &mut Vec<FieldError>) {
    if errors.len() >= ERRORS_MAX {
        return;
    }
    let code = match read(part.around.with(value.clone())) {
        Ok(_) => return,
        Err(Wrong::Shape) => FieldCode::InvalidFormat,
        Err(Wrong::Setting(error)) => FieldCode::of(&error),
    };
    let before = errors.len();
    match value {
        Value::Array(elements) => {
            let shape = format!("{}[]", part.shape);
            for (at, element) in elements.iter().enumerate() {
                let path = format!("{}[{at}]", part.path);
                wrong(&Part { path, shape: &shape, around: Around::List(&part.around) }, element, errors);
            }
            if errors.len() == before && elements.len() <= COMPARED_MAX {
                twice(part, elements, code, errors);
            }
        }
        Value::Object(fields) => {
            let least = least(part.shape);
            for (key, value) in fields {
                let path = format!("{}.{key}", part.path);
                let shape = format!("{}.{key}", part.shape);
                let around = match &least {
                    Some(least) => Around::Field(&part.around, least, key),
                    None => Around::Entry(&part.around, key),
                };
                wrong(&Part { path, shape: &shape, around }, value, errors);
            }
            for needed in least.iter().filter_map(Value::as_object).flat_map(Map::keys) {
                // An override names one of two.
                if part.shape != "overrides[]" && !fields.contains_key(needed) {
                    errors.push(FieldError::new(format!("{}.{needed}", part.path), code));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    if errors.len() == before {
        errors.push(FieldError::new(part.path.clone(), code));
    }
}

/// Names the elements that are good alone and not together with those before them.
fn twice(part: &Part<'_>, elements: &[Value], code: FieldCode, errors: &mut Vec<FieldError>) {
    let mut together: Vec<Value> = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        together.push(element.clone());
        if read(part.around.with(Value::Array(together.clone()))).is_err() {
            together.pop();
            errors.push(FieldError::new(format!("{}[{at}]", part.path), code));
            if errors.len() >= ERRORS_MAX {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn least() -> Value {
        json!({"time_zone": "Europe/London", "book_currency": "GBP", "sales_tax_rates": ["20", "0"],
               "income_category": "001", "shipping_category": "002"})
    }

    fn told(draft: &Value) -> Vec<String> {
        let errors = check(draft).err().unwrap_or_default();
        errors.iter().map(|error| format!("{} {}", error.field, error.code.as_str())).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_named_by_its_path() {
        let check = |edit: Value, expected: &[&str]| {
            let mut draft = least();
            for (name, value) in edit.as_object().unwrap() {
                draft = put(draft, name, value.clone());
            }
            assert_eq!(told(&draft), expected, "{edit}");
        };
        check(json!({}), &[]);
        check(
            json!({"time_zone": 5, "book_currency": "pounds", "sync_unpaid_invoice": true}),
            &["book_currency invalid_format", "sync_unpaid_invoice invalid_format", "time_zone invalid_format"],
        );
        check(
            json!({"payment_methods": {"stripe_payments": "", "paypal": "1200", "checkmo": null, "klarna": 5}}),
            &["payment_methods.klarna invalid_format", "payment_methods.stripe_payments invalid_format"],
        );
        check(
            json!({"tax_map": [{"rate": "20", "code": "A"}, {"rate": "x", "code": ""}, {"rate": "20.0", "code": "B"}]}),
            &["tax_map[1].code invalid_format", "tax_map[1].rate invalid_format"],
        );
        check(
            json!({"tax_map": [{"rate": "20", "code": "A"}, {"rate": "20.0", "code": "B"}]}),
            &["tax_map[1] invalid_format"],
        );
        check(json!({"tax_map": [{"rate": "20"}]}), &["tax_map[0].code invalid_format"]);
        check(
            json!({"overrides": [{"store": 1}, {"website": 2, "income_category": " ", "payment_methods": {"a": ""},
                   "tax_map": [{"rate": "200", "code": "A"}]}, {"income_category": "7"}, {"store": 1}]}),
            &[
                "overrides[1].income_category invalid_format",
                "overrides[1].payment_methods.a invalid_format",
                "overrides[1].tax_map[0].rate invalid_format",
                "overrides[2] invalid_format",
            ],
        );
        check(json!({"overrides": [{"store": 1}, {"store": 1}]}), &["overrides[1] invalid_format"]);
        check(json!({"overrides": [{"store": 1, "colour": "red"}]}), &["overrides[0].colour invalid_format"]);
        check(
            json!({"consolidation": {"reference": "much too long", "min_total_for_individual": "-1"}}),
            &[
                "consolidation.email invalid_format",
                "consolidation.min_total_for_individual OUT_OF_RANGE",
                "consolidation.reference OUT_OF_RANGE",
            ],
        );
        check(json!({"payment_terms_by_group": {"1": 366, "2": 30}}), &["payment_terms_by_group.1 OUT_OF_RANGE"]);
        check(json!({"payment_terms_by_group": {"all": 30}}), &["payment_terms_by_group.all invalid_format"]);
        check(json!({"website_filter": [1, "2"]}), &["website_filter[1] invalid_format"]);
        check(json!({"sales_tax_rates": []}), &["sales_tax_rates invalid_format"]);
        check(json!({"sales_tax_rates": [], "tax_map": [{"rate": "20", "code": "A"}]}), &[]);
        check(
            json!({"sales_tax_rates": [], "tax_map": [{"rate": "20", "code": ""}]}),
            &["tax_map[0].code invalid_format"],
        );
        check(json!({"credit_note_prefix": "", "invoice_number_prefix": "A-"}), &[]);
        check(json!({"credit_note_prefix": "1", "invoice_number_prefix": "A-"}), &[]);
        check(json!({"credit_note_prefix": "A-", "invoice_number_prefix": "A-"}), &["credit_note_prefix OUT_OF_RANGE"]);
        check(
            json!({"credit_note_prefix": "A-", "invoice_number_prefix": "A-", "rounding_limit": "2", "sales_tax_rates": []}),
            &["credit_note_prefix OUT_OF_RANGE", "rounding_limit OUT_OF_RANGE", "sales_tax_rates invalid_format"],
        );
        check(json!({"tax_map": vec![json!({"rate": "20", "code": "A"}); 501]}), &["tax_map OUT_OF_RANGE"]);
    }

    #[test]
    fn what_is_no_draft_is_no_draft() {
        for draft in [json!(null), json!([]), json!("x"), json!(1)] {
            assert_eq!(told(&draft), [" invalid_format"], "{draft}");
        }
        assert_eq!(told(&put(least(), "previous_prefix", "x".repeat(DRAFT_BYTES_MAX).into())), [" OUT_OF_RANGE"]);
        let needed: Vec<String> = told(&json!({}));
        let all = ["book_currency", "income_category", "sales_tax_rates", "shipping_category", "time_zone"];
        assert_eq!(needed, all.map(|field| format!("{field} invalid_format")));
    }

    #[test]
    fn no_draft_is_too_bad_to_be_answered() {
        let many: Map<String, Value> = (0..2_000).map(|at| (format!("m{at}"), json!(""))).collect();
        let draft = put(least(), "payment_methods", Value::Object(many));
        assert!(!told(&draft).is_empty() && told(&draft).len() <= ERRORS_MAX);
    }

    fn part() -> impl Strategy<Value = (&'static str, Value)> {
        let texts = prop::sample::select(vec!["", "1", "A-", "20", "-1", "GB", "GBP", "2026-01-01", "person", "x y"]);
        let names = prop::sample::select(vec![
            "time_zone",
            "book_country",
            "sales_tax_rates",
            "tax_map",
            "default_tax_code",
            "income_category",
            "base_currencies",
            "payment_terms_in_days",
            "payment_terms_by_customer",
            "document_status",
            "payment_methods",
            "invoice_number_prefix",
            "credit_note_prefix",
            "consolidation",
            "rounding_limit",
            "sync_since",
            "website_filter",
            "overrides",
            "sales_tax_registered",
            "supply_by_product_type",
            "unknown",
        ]);
        (names, texts, 0_u32..400, any::<bool>(), 0_usize..8).prop_map(|(name, text, number, flag, shape)| {
            let value = match shape {
                0 => json!(text),
                1 => json!(number),
                2 => json!(flag),
                3 => json!([text]),
                4 => json!({(text): text}),
                5 => json!({(number.to_string()): number}),
                6 => json!([{"rate": text, "code": text}, {"rate": "7", "code": "C"}]),
                _ => json!([{"store": number, "income_category": text}, {"website": 3, "tax_map": []}]),
            };
            (name, value)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// The two ways to read settings agree on every draft.
        #[test]
        fn what_is_accepted_here_is_what_an_attempt_can_read(parts in prop::collection::vec(part(), 0..5)) {
            let mut draft = least();
            for (name, value) in parts {
                draft = put(draft, name, value);
            }
            let readable = serde_json::from_value::<SettingsV1>(draft.clone()).is_ok_and(|it| it.read(1).is_ok());
            let checked = check(&draft);
            prop_assert_eq!(checked.is_ok(), readable, "{} {:?}", draft, checked);
            if let Err(errors) = checked {
                prop_assert!(!errors.is_empty());
            }
        }
    }
}
