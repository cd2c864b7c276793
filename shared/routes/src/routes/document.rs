//! What every operation of the document has in common, said once.

use ledger_engine::domain::document::Kind;
use ledger_engine::domain::identity::{ID_LENGTH_MAX, Provider};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

/// Characters of ids.
const ID_PATTERN: &str = "^[A-Za-z0-9_.:/-]+$";
/// What a route does that says nothing else of its answer.
const DONE: &str = "Done, or shown.";
const JSON: &str = "application/json";

/// Makes operation ids unique, marks who needs no token, takes away refusals that can't occur, and gives path parameters
/// their form.
pub(super) fn finished(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            named(operation);
            finish(operation);
        }
    }
}

fn named(operation: &mut Operation) {
    // Two routes of different tags may be called the same.
    if let (Some(name), Some(tag)) = (&operation.operation_id, operation.tags.iter().flatten().next()) {
        operation.operation_id = Some(format!("{tag}_{name}"));
    }
    if let Some(text) = operation.summary.take() {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (first, rest) = text.split_once(". ").unwrap_or((&text, ""));
        operation.summary = Some(format!("{}.", first.trim_end_matches('.')));
        let more = format!("{rest} {}", operation.description.as_deref().unwrap_or_default());
        operation.description = Some(more.trim().to_owned()).filter(|text| !text.is_empty());
    }
}

fn finish(operation: &mut Operation) {
    let public = operation.security.is_none();
    // No token is needed: the document says so instead of nothing.
    operation.security.get_or_insert_default();
    let mut in_path = false;
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if parameter.parameter_in == ParameterIn::Path {
            in_path = true;
            if let Some(form) = form_of(parameter) {
                parameter.schema = Some(RefOr::T(Schema::Object(form)));
            }
        }
    }
    let body = operation.request_body.is_some();
    let asks = body || operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
    operation.responses.responses.retain(|status, _| match status.as_str() {
        "400" => asks,
        "401" => !public,
        "404" => asks || public,
        "413" => body,
        _ => true,
    });
    if in_path {
        // A value with a slash or a hash, or of dots, makes the path that of another route.
        let mut other = Response::new("The path is another route's, which has no such method.");
        other.content.insert(JSON.to_owned(), RefOr::T(Content::new::<RefOr<Schema>>(None)));
        operation.responses.responses.insert("405".to_owned(), RefOr::T(other));
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            DONE.clone_into(&mut response.description);
        }
        // Every refusal is the same schema: it is named instead of repeated.
        let refuses = status.starts_with(['4', '5']);
        if refuses && let Some(RefOr::T(content)) = response.content.get_mut(JSON) {
            content.schema = Some(RefOr::Ref(Ref::from_schema_name("Failure")));
        }
    }
}

/// What a value in a path looks like.
fn form_of(parameter: &Parameter) -> Option<Object> {
    let text = || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    Some(match parameter.name.as_str() {
        "tenant" | "binding" | "organization_id" | "run" | "job" => {
            text().max_length(Some(ID_LENGTH_MAX)).pattern(Some(ID_PATTERN)).build()
        }
        "provider" => text().enum_values(Some(Provider::ALL.map(Provider::as_str))).build(),
        "kind" => text().enum_values(Some(Kind::ALL.map(Kind::as_str))).build(),
        "token" => text().build(),
        _ => return None,
    })
}
