//! Requests against Xero's published OpenAPI description, where it is at hand: every property is one that the schema
//! knows, every required one is there, no text is longer than it may be. The description is read line by line; its
//! layout is that of a generator and doesn't change.

use crate::fixtures::{creating, documents, invoice, line, product};
use ledger_domain::document::{Document, ExchangeRate, LineRole};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

const VARIABLE: &str = "LEDGER_API_SPECS";
const FILE: &str = "xero_accounting.yaml";

/// A schema: its properties, with the most characters of each where it says so, and what is required.
#[derive(Debug, Default)]
struct Schema {
    properties: BTreeMap<String, Option<usize>>,
    required: Vec<String>,
}

fn description() -> Option<String> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/api-specs"));
    let folder = std::env::var_os(VARIABLE).map_or_else(beside, PathBuf::from);
    std::fs::read_to_string(folder.join(FILE)).ok()
}

/// The schemas under `components`, by name.
fn schemas(description: &str) -> BTreeMap<String, Schema> {
    let mut schemas: BTreeMap<String, Schema> = BTreeMap::new();
    let mut name = String::new();
    let mut section = "";
    let mut property = String::new();
    for line in description.lines().skip_while(|line| *line != "  schemas:").skip(1) {
        let text = line.trim_start();
        let key = text.strip_suffix(':');
        match (line.len() - text.len(), key) {
            (0 | 2, _) if !text.is_empty() => break,
            (4, Some(key)) => (name, section) = (key.to_owned(), ""),
            (6, Some("properties")) => section = "properties",
            (6, Some("required")) => section = "required",
            (6, _) => section = "",
            (8, Some(key)) if section == "properties" => {
                key.clone_into(&mut property);
                schemas.entry(name.clone()).or_default().properties.insert(property.clone(), None);
            }
            (8, None) if section == "required" => {
                let required = text.trim_start_matches("- ").to_owned();
                schemas.entry(name.clone()).or_default().required.push(required);
            }
            (10, None) if section == "properties" => {
                if let Some(most) = text.strip_prefix("maxLength: ") {
                    let schema = schemas.entry(name.clone()).or_default();
                    schema.properties.insert(property.clone(), most.parse().ok());
                }
            }
            _ => {}
        }
    }
    schemas
}

/// The schema of what a property holds.
fn inner(schema: &str, property: &str) -> Option<&'static str> {
    Some(match (schema, property) {
        (_, "Contact" | "Contacts") => "Contact",
        (_, "LineItems") => "LineItem",
        (_, "Addresses") => "Address",
        (_, "Phones") => "Phone",
        ("Contact", "PaymentTerms") => "PaymentTerm",
        ("PaymentTerm", "Sales") => "Bill",
        (_, "Invoice" | "Invoices") => "Invoice",
        (_, "CreditNote" | "CreditNotes") => "CreditNote",
        (_, "Account") => "Account",
        (_, "SalesDetails" | "PurchaseDetails") => "Purchase",
        (_, "Items") => "Item",
        (_, "Payments") => "Payment",
        (_, "Allocations") => "Allocation",
        _ => return None,
    })
}

/// What is wrong with a value of a schema. What names another document needs none of its required properties.
fn wrong(schemas: &BTreeMap<String, Schema>, name: &str, value: &Value, names_only: bool, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| wrong(schemas, name, value, names_only, found)),
        Value::Object(object) => {
            let Some(schema) = schemas.get(name) else { return found.push(format!("no schema {name}")) };
            if !names_only {
                let missing = schema.required.iter().filter(|required| !object.contains_key(*required));
                found.extend(missing.map(|required| format!("{name} lacks {required}")));
            }
            for (key, value) in object {
                match schema.properties.get(key) {
                    None => found.push(format!("{name} knows no {key}")),
                    Some(Some(most)) if value.as_str().is_some_and(|text| text.encode_utf16().count() > *most) => {
                        found.push(format!("{name}.{key} is longer than {most}"));
                    }
                    Some(_) => {}
                }
                if value.is_object() || value.is_array() {
                    let names_only = matches!(key.as_str(), "Contact" | "Invoice" | "CreditNote" | "Account");
                    match inner(name, key) {
                        Some(inner) => wrong(schemas, inner, value, names_only, found),
                        None => found.push(format!("{name}.{key} holds more than it should")),
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.push(format!("{name} is no object"));
        }
    }
}

fn found_wrong(schemas: &BTreeMap<String, Schema>, body: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(body).unwrap();
    let mut found = Vec::new();
    for (list, elements) in body.as_object().unwrap() {
        wrong(schemas, inner("", list).unwrap(), elements, false, &mut found);
    }
    found
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn requests_keep_to_the_published_description() {
    let Some(description) = description() else {
        eprintln!("skipped: {VARIABLE} names no folder with {FILE}");
        return;
    };
    let schemas = schemas(&description);
    // That the reading works at all, and that the check can fail.
    assert!(schemas["Contact"].properties.len() > 20 && schemas["Item"].required == ["Code"]);
    assert_eq!(schemas["Item"].properties["Code"], Some(30));
    assert_eq!(schemas["Allocation"].required, ["Amount", "Invoice", "Date"]);
    let broken = r#"{"Items":[{"Name":"n","Colour":"blue","SalesDetails":{"Price":1}}]}"#;
    assert_eq!(found_wrong(&schemas, broken), ["Item lacks Code", "Item knows no Colour", "Purchase knows no Price"]);

    let mut all = documents();
    let mut foreign = invoice();
    foreign.exchange_rate = Some(ExchangeRate { per_book_unit: Decimal::new(11_753, 4) });
    foreign.lines.push(line(LineRole::Shipping, &"x".repeat(5_000), "1", "4.99", "20", "1"));
    foreign.lines[0].category = crate::fixtures::OTHER.to_owned();
    all.push(Document::Invoice(foreign));
    let mut long = product();
    long.sku = "🦊".repeat(64);
    long.name = "🦊".repeat(300);
    long.cost = Some(Decimal::ONE);
    all.push(Document::Product(long));
    let mut contact = crate::fixtures::jane();
    let text = "🦊".repeat(600);
    contact.name.clone_from(&text);
    contact.first_name.clone_from(&text);
    contact.last_name.clone_from(&text);
    contact.payment_terms_in_days = Some(14);
    let address = contact.address.as_mut().unwrap();
    address.street = vec![text.clone(); 6];
    address.city.clone_from(&text);
    address.region = Some(text.clone());
    address.postcode = Some(text);
    all.push(Document::Contact(contact));
    for document in &all {
        let body = creating(document).1.body.unwrap();
        assert_eq!(found_wrong(&schemas, &body), Vec::<String>::new(), "{body}");
    }
}
