//! The routes, and the document that is made of them.

mod books;
mod diagnostics;
mod document;
mod module;
mod pages;
mod runs;
mod settings;
mod shops;
mod tenants;
mod work;

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
    components(schemas(Failure)),
    modifiers(&Operator),
    tags(
        (name = "document", description = "This document"),
        (name = "tenants", description = "Shops and their bindings"),
        (name = "runs", description = "What was carried over, and what stands still"),
        (name = "connect", description = "Connecting books, and disconnecting them"),
        (name = "settings", description = "A binding's settings, and the reference data that they are checked against"),
        (name = "work", description = "Modes, previews, jobs and cross-references"),
        (name = "module", description = "What the shop's module asks, with a token of its own"),
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
            .add_security_scheme("operator", SecurityScheme::Http(scheme.clone()));
        document
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("shop", SecurityScheme::Http(scheme));
    }
}

/// The routes and their document.
pub(crate) fn all() -> (axum::Router<Arc<Api>>, Document) {
    let (router, mut document) = OpenApiRouter::with_openapi(Head::openapi())
        .routes(routes!(tenants::me))
        .routes(routes!(tenants::stack))
        .routes(routes!(tenants::tenants))
        .routes(routes!(tenants::tenant))
        .routes(routes!(tenants::bindings, tenants::new_binding))
        .routes(routes!(tenants::binding))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::retry))
        .routes(routes!(runs::dead_letters))
        .routes(routes!(runs::held))
        .routes(routes!(shops::connect))
        .routes(routes!(books::app, books::set_app))
        .routes(routes!(books::binding_app, books::set_binding_app))
        .routes(routes!(books::start, books::pending, books::discard))
        .routes(routes!(books::link))
        .routes(routes!(books::confirm))
        .routes(routes!(books::grant))
        .routes(routes!(books::disconnection_preview, books::disconnect))
        .routes(routes!(settings::get, settings::put))
        .routes(routes!(settings::validate))
        .routes(routes!(settings::proposal))
        .routes(routes!(settings::versions))
        .routes(routes!(settings::reference))
        .routes(routes!(settings::refresh))
        .routes(routes!(work::set_mode))
        .routes(routes!(work::previews))
        .routes(routes!(work::request))
        .routes(routes!(work::release))
        .routes(routes!(work::discard))
        .routes(routes!(work::settle))
        .routes(routes!(work::start_job, work::jobs))
        .routes(routes!(work::stop_job))
        .routes(routes!(work::export_xrefs))
        .routes(routes!(work::xrefs))
        .routes(routes!(work::reset_xrefs))
        .routes(routes!(work::import_xrefs))
        .routes(routes!(module::status))
        .routes(routes!(module::tile))
        .routes(routes!(module::disconnect))
        .routes(routes!(module::embed))
        .routes(routes!(pages::callback))
        .routes(routes!(pages::look_at_link, pages::open_link))
        .routes(routes!(diagnostics::status))
        .routes(routes!(diagnostics::retry))
        .routes(routes!(diagnostics::resync))
        .routes(routes!(shown))
        .split_for_parts();
    document::finished(&mut document);
    (router, document)
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
#[utoipa::path(get, path = "/openapi.json", tag = "document",
    responses((status = 200, description = "The document", body = Object)))]
async fn shown() -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], document()).into_response()
}

/// A moment of a request, in milliseconds.
fn moment_of(text: &str) -> Result<i64, Refusal> {
    text.parse::<jiff::Timestamp>()
        .map(|moment| moment.as_millisecond())
        .map_err(|_| Refusal::field("since", "invalid_format", "not a moment in ISO 8601"))
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
