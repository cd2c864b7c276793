//! Requests against the published description of an API, where a copy is at hand: in the folder that `LEDGER_API_SPECS`
//! names, else in `../shared/api-specs` beside the workspace. Path, method, query and body have to be as they are
//! described, however deep; what is not described may not be sent, nor what is described for answers alone.

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

const VARIABLE: &str = "LEDGER_API_SPECS";
/// Schemas that contain each other are followed by reference; whatever is written out is not deeper than this.
const DEPTH_MAX: usize = 64;

/// A request as its snapshot has it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

/// A description; `None` where no copy is at hand, which is said.
#[expect(clippy::disallowed_methods, reason = "the place of a file that is no part of the workspace")]
#[expect(clippy::print_stderr, reason = "a test that had nothing to compare with must say so")]
pub(crate) fn description(file: &str) -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/api-specs");
    let folder = std::env::var(VARIABLE).map_or_else(|_| beside(), PathBuf::from);
    let text = std::fs::read_to_string(folder.join(file)).ok();
    if text.is_none() {
        eprintln!("skipped: no {file} in the folder that {VARIABLE} names, nor in ../shared/api-specs");
    }
    let is_yaml = Path::new(file).extension().is_some_and(|it| it == "yaml");
    text.map(|text| if is_yaml { yaml(&text) } else { serde_json::from_str(&text).unwrap() })
}

fn yaml(text: &str) -> Value {
    fn plain(yaml: &Yaml) -> Value {
        match yaml {
            Yaml::Real(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            Yaml::Integer(number) => json!(number),
            Yaml::String(text) => json!(text),
            Yaml::Boolean(value) => json!(value),
            Yaml::Array(values) => values.iter().map(plain).collect(),
            Yaml::Hash(fields) => {
                let key = |key: &Yaml| key.as_str().map_or_else(|| plain(key).to_string(), str::to_owned);
                Value::Object(fields.iter().map(|(name, value)| (key(name), plain(value))).collect())
            }
            Yaml::Null | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
        }
    }
    plain(YamlLoader::load_from_str(text).unwrap().first().unwrap())
}

/// Every request that has a snapshot in a folder of `tests`.
pub(crate) fn snapshots(folder: &str) -> Vec<Request> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder).join("snapshots");
    let mut requests = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = text.splitn(3, "---\n").nth(2).unwrap();
        requests.extend(read(name.rsplit("__").next().unwrap(), shown));
    }
    requests.sort_by(|one, other| one.name.cmp(&other.name));
    requests
}

/// Method and path, the query, a line for each header, the body: one after the other, each perhaps under a label.
fn read(name: &str, shown: &str) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut lines = shown.lines();
    while let Some(line) = lines.next() {
        let Some((method, path)) = line.split_once(" /") else { continue };
        if !["GET", "PUT", "POST", "DELETE", "PATCH"].contains(&method) {
            continue;
        }
        let mut query: Vec<(String, String)> = Vec::new();
        for part in lines.next().unwrap().split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((name, value)) => query.push((name.to_owned(), value.to_owned())),
                // The sign was in a value.
                None => query.last_mut().unwrap().1.push_str(&format!("&{part}")),
            }
        }
        let mut headers = Vec::new();
        let mut body = String::new();
        for line in lines.by_ref() {
            match line.split_once(": ").filter(|_| body.is_empty() && !line.starts_with('{')) {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None if line.is_empty() && body.is_empty() => break,
                None => body.push_str(line),
            }
        }
        let body = (!body.is_empty()).then(|| serde_json::from_str(&body).unwrap());
        let (method, path) = (method.to_owned(), format!("/{path}"));
        requests.push(Request { name: name.to_owned(), method, path, query, headers, body });
    }
    requests
}

/// A description, in which whatever is not described is refused.
pub(crate) struct Described {
    /// What stands before its paths.
    pub(crate) base: &'static str,
    root: Value,
}

impl Described {
    /// `undescribed` are fields that the API takes and its description leaves out, each as a schema: they may stand where
    /// an entity does, one level below the body.
    pub(crate) fn new(root: Value, base: &'static str, undescribed: &Value) -> Self {
        let mut closed = root.clone();
        for schemas in ["/definitions", "/components/schemas"] {
            if let Some(Value::Object(schemas)) = closed.pointer_mut(schemas) {
                let open = schemas.clone();
                for (_, schema) in schemas.iter_mut() {
                    *schema = sealed(schema, &open, DEPTH_MAX);
                }
            }
        }
        if let Some(Value::Object(definitions)) = closed.get_mut("definitions") {
            for schema in definitions.values_mut() {
                let Some(Value::Object(entities)) = schema.get_mut("properties") else { continue };
                for entity in entities.values_mut() {
                    if let Some(Value::Object(fields)) = entity.get_mut("properties") {
                        fields.extend(undescribed.as_object().cloned().unwrap_or_default());
                    }
                }
            }
        }
        Self { base, root: closed }
    }

    /// What of a request is not as it is described.
    pub(crate) fn complaints(&self, request: &Request) -> Vec<String> {
        let Some(path) = request.path.strip_prefix(self.base) else {
            return vec![format!("{} is not below {}", request.path, self.base)];
        };
        let Some(item) = self.item(path) else { return vec![format!("no path {path}")] };
        let Some(operation) = item.get(request.method.to_lowercase()) else {
            return vec![format!("no {} of {path}", request.method)];
        };
        let parameters = self.parameters(item, operation);
        let mut found = Vec::new();
        let named = |place: &str, name: &str| {
            parameters
                .iter()
                .find(|it| it["in"] == place && it["name"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(name)))
        };
        for (name, value) in &request.query {
            match named("query", name) {
                None => found.push(format!("?{name} is not described")),
                Some(parameter) => {
                    let schema = parameter.get("schema").unwrap_or(parameter);
                    found.extend(
                        self.wrong(schema, &spoken(&self.resolved(schema), value))
                            .into_iter()
                            .map(|it| format!("?{name}{it}")),
                    );
                }
            }
        }
        for (name, value) in &request.headers {
            if let Some(parameter) = named("header", name) {
                let schema = parameter.get("schema").unwrap_or(parameter);
                found.extend(self.wrong(schema, &json!(value)).into_iter().map(|it| format!("{name}{it}")));
            }
        }
        for parameter in parameters.iter().filter(|it| it["in"] == "query" && it["required"] == true) {
            if !request.query.iter().any(|(name, _)| parameter["name"] == name.as_str()) {
                found.push(format!("?{} is missing", parameter["name"]));
            }
        }
        let of_body = parameters.iter().find(|it| it["in"] == "body").map(|it| it["schema"].clone());
        let schema = of_body.or_else(|| operation.pointer("/requestBody/content/application~1json/schema").cloned());
        match (&request.body, schema) {
            (None, None) => {}
            (Some(body), Some(schema)) => found.extend(self.wrong(&schema, body)),
            (Some(_), None) => found.push("a body is not described".to_owned()),
            (None, Some(_)) => found.push("the body is missing".to_owned()),
        }
        found
    }

    /// The entry of a path: its own, or the one with the fewest names to fill in.
    fn item(&self, path: &str) -> Option<&Value> {
        let wanted: Vec<&str> = path.split('/').collect();
        let fits = |described: &str| {
            let parts: Vec<&str> = described.split('/').collect();
            parts.len() == wanted.len()
                && parts.iter().zip(&wanted).all(|(part, wanted)| part.starts_with('{') || part == wanted)
        };
        let paths = self.root["paths"].as_object()?;
        let fitting = paths.iter().filter(|(described, _)| fits(described));
        fitting.min_by_key(|(described, _)| described.matches('{').count()).map(|(_, item)| item)
    }

    fn parameters(&self, item: &Value, operation: &Value) -> Vec<Value> {
        let of = |value: &Value| value["parameters"].as_array().cloned().unwrap_or_default();
        of(item).into_iter().chain(of(operation)).map(|it| self.resolved(&it)).collect()
    }

    /// What a reference leads to.
    fn resolved(&self, value: &Value) -> Value {
        match value["$ref"].as_str().and_then(|name| self.root.pointer(name.trim_start_matches('#'))) {
            Some(named) => self.resolved(named),
            None => value.clone(),
        }
    }

    /// What of a value a schema doesn't bear: place and complaint.
    fn wrong(&self, schema: &Value, value: &Value) -> Vec<String> {
        let open = Map::new();
        let mut whole = sealed(schema, &open, DEPTH_MAX);
        // A parameter of the older kind is its own schema, and says of itself that it is required.
        if let Some(fields) = whole.as_object_mut() {
            fields.retain(|name, value| name != "required" || value.is_array());
            for schemas in ["definitions", "components"] {
                if let Some(all) = self.root.get(schemas) {
                    fields.insert(schemas.to_owned(), all.clone());
                }
            }
        }
        // Beside a reference nothing else counts: it is wrapped.
        if whole.get("$ref").is_some() {
            let reference = json!({"$ref": whole["$ref"]});
            if let Some(fields) = whole.as_object_mut() {
                fields.remove("$ref");
                fields.insert("allOf".to_owned(), json!([reference]));
            }
        }
        let validator = validator(&whole);
        let told = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        validator.iter_errors(value).map(told).collect()
    }
}

fn validator(schema: &Value) -> Validator {
    let is_uuid = |text: &str| {
        let parts: Vec<usize> = text.split('-').map(str::len).collect();
        parts == [8, 4, 4, 4, 12] && text.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit())
    };
    let is_moment = |text: &str| {
        let (day, time) = text.split_once('T').unwrap_or((text, ""));
        let is_day = day.len() == 10
            && day
                .bytes()
                .enumerate()
                .all(|(at, it)| if [4, 7].contains(&at) { it == b'-' } else { it.is_ascii_digit() });
        is_day && time.len() > 8 && time.starts_with(|it: char| it.is_ascii_digit())
    };
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(true)
        .with_format("uuid", is_uuid)
        .with_format("date-time", is_moment)
        .build(schema)
        .unwrap()
}

/// The schema in which only what is described may be sent: what it is made of is put together, what answers alone have is
/// taken out, and a calendar date is one.
fn sealed(schema: &Value, all: &Map<String, Value>, depth: usize) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    assert!(depth > 0, "schemas within schemas without an end");
    let mut fields = fields.clone();
    let depth = depth.saturating_sub(1);
    for part in fields.remove("allOf").and_then(|parts| parts.as_array().cloned()).unwrap_or_default() {
        let named = part["$ref"].as_str().and_then(|name| all.get(name.rsplit('/').next()?));
        let Value::Object(part) = sealed(named.unwrap_or(&part), all, depth) else { continue };
        for (name, value) in part {
            match (fields.get_mut(&name), value) {
                (Some(Value::Object(have)), Value::Object(more)) => have.extend(more),
                (Some(Value::Array(have)), Value::Array(more)) => have.extend(more),
                (Some(_), _) => {}
                (None, value) => {
                    fields.insert(name, value);
                }
            }
        }
    }
    if fields.contains_key("x-is-msdate") {
        fields.insert("format".to_owned(), json!("date"));
    }
    if let Some(items) = fields.get("items") {
        let items = sealed(items, all, depth);
        fields.insert("items".to_owned(), items);
    }
    if let Some(Value::Object(properties)) = fields.get("properties") {
        let sent = properties.iter().filter(|(_, value)| value["readOnly"] != true);
        let sent: Map<String, Value> = sent.map(|(name, value)| (name.clone(), sealed(value, all, depth))).collect();
        fields.insert("properties".to_owned(), Value::Object(sent));
        fields.entry("additionalProperties").or_insert(json!(false));
    }
    Value::Object(fields)
}

/// A value of a query as its schema has it.
fn spoken(schema: &Value, value: &str) -> Value {
    match schema["type"].as_str() {
        Some("boolean" | "integer" | "number") => serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
        Some("array") => value.split(',').map(|part| json!(part)).collect(),
        _ => json!(value),
    }
}

/// Puts a value into a request's body, or takes one out; what is wrong with it then.
pub(crate) fn changed(
    described: &Described,
    requests: &[Request],
    name: &str,
    at: &str,
    value: Option<Value>,
) -> Vec<String> {
    let mut request = requests.iter().find(|it| it.name == name).unwrap().clone();
    let (above, field) = at.rsplit_once('/').unwrap();
    let fields = request.body.as_mut().unwrap().pointer_mut(above).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => Some(fields.remove(field).unwrap()),
    };
    described.complaints(&request)
}

/// Requests as they are described, and each change of one seen: request, place, value, what is said of it.
pub(crate) fn holds(described: &Described, requests: &[Request], wrong: &[(&str, &str, Option<Value>, &str)]) {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for request in requests {
        let complaints = described.complaints(request);
        if !complaints.is_empty() {
            found.entry(&request.name).or_default().extend(complaints);
        }
    }
    assert_eq!(found, BTreeMap::new());
    for (name, at, value, said) in wrong {
        let complaints = changed(described, requests, name, at, value.clone());
        assert!(
            complaints.len() == 1 && complaints.iter().all(|it| it.contains(said)),
            "{name} with {value:?} at {at}: {complaints:?}, not {said}"
        );
    }
}

/// Fields of a dialect's requests that its page says nothing of.
pub(crate) fn not_on_its_page(folder: &str, page: &str) -> Vec<String> {
    fn names(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                found.insert(name.clone());
                names(value, found);
            }),
            Value::Array(values) => values.iter().for_each(|value| names(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers").join(page);
    let page = std::fs::read_to_string(path).unwrap();
    // What stands between backticks.
    let said: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let known: BTreeSet<&str> = said.iter().flat_map(|code| code.split(|letter| !is_name(letter))).collect();
    let mut sent = BTreeSet::new();
    snapshots(folder).iter().filter_map(|request| request.body.as_ref()).for_each(|body| names(body, &mut sent));
    assert!(sent.len() > 20, "{folder} sends {sent:?}");
    sent.into_iter().filter(|name| !known.contains(name.as_str())).collect()
}

#[test]
fn what_a_schema_is_made_of_is_put_together() {
    let root = json!({
        "definitions": {
            "Named": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "Thing": {"allOf": [
                {"$ref": "#/definitions/Named"},
                {"type": "object", "properties": {"size": {"type": "integer"}, "id": {"type": "string", "readOnly": true}}},
            ]},
        },
        "paths": {"/things/{id}": {"put": {"parameters": [{"in": "body", "schema": {"$ref": "#/definitions/Thing"}}]}}},
    });
    let described = Described::new(root, "/v1", &json!({}));
    let check = |body: Value, count: usize| {
        let request = Request {
            name: String::new(),
            method: "PUT".to_owned(),
            path: "/v1/things/7".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Some(body),
        };
        let found = described.complaints(&request);
        assert_eq!(found.len(), count, "{found:?}");
    };
    check(json!({"name": "n", "size": 1}), 0);
    check(json!({"size": 1}), 1);
    check(json!({"name": 7}), 1);
    check(json!({"name": "n", "colour": "red"}), 1);
    check(json!({"name": "n", "id": "7"}), 1);
}
