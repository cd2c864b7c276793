//! The routes, and the document that is made of them.

mod diagnostics;
mod runs;
mod tenants;

use crate::failure::Refusal;
use crate::state::Api;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ledger_wire::api::Failure;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the document begins with.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ledger",
        description = "What operators ask of a Ledger stack. Every answer that refuses has a stable code, a sentence and, \
            where fields are to blame, their names. Moments are ISO 8601 in UTC.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Operator),
    tags(
        (name = "tenants", description = "Shops and their bindings"),
        (name = "runs", description = "What was carried over, and what stands still"),
        (name = "diagnostics", description = "Status, retry and resync for platform administrators"),
    )
)]
struct Head;

struct Operator;

impl utoipa::Modify for Operator {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("operator", SecurityScheme::Http(scheme));
    }
}

/// The routes and their document.
pub(crate) fn all() -> (axum::Router<Arc<Api>>, Document) {
    OpenApiRouter::with_openapi(Head::openapi())
        .routes(routes!(tenants::me))
        .routes(routes!(tenants::tenant))
        .routes(routes!(tenants::bindings))
        .routes(routes!(tenants::binding))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::retry))
        .routes(routes!(runs::dead_letters))
        .routes(routes!(runs::held))
        .routes(routes!(diagnostics::status))
        .routes(routes!(diagnostics::retry))
        .routes(routes!(served))
        .split_for_parts()
}

/// The OpenAPI document, as JSON with a line end.
#[must_use]
pub fn document() -> String {
    let (_, document) = all();
    let mut json = serde_json::to_string_pretty(&document).unwrap_or_default();
    json.push('\n');
    json
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "tenants", responses((status = 200, description = "The document")))]
async fn served() -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], document()).into_response()
}

pub(crate) async fn no_such_route() -> Refusal {
    Refusal::not_found("route")
}

pub(crate) async fn no_such_method() -> Response {
    let failure = Failure {
        code: "method_not_allowed".to_owned(),
        message: "the route has no such method".to_owned(),
        errors: Vec::new(),
    };
    (StatusCode::METHOD_NOT_ALLOWED, Json(failure)).into_response()
}
