//! What the shop's module asks, with a token of its own, and the page that its admin frames.

use crate::extract::{Path, Query};
use crate::failure::Refusal;
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use ledger_engine::module::ModuleError;
use ledger_wire::api::{Failure, FieldFailure};
use ledger_wire::module::{EntityStatus, TileHealth};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::{RefOr, Response as Documented};
use utoipa::{IntoParams, IntoResponses};

/// What a 503 asks the shop to wait, in seconds.
const RETRY_AFTER_SECONDS: &str = "60";

/// Which entity of the shop.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `invoice`, `creditmemo`, `customer`, `product` or `order`.
    entity_type: String,
    /// Its id in the shop.
    entity_id: String,
}

/// A refusal to the shop's module.
pub(super) struct ModuleRefusal(ModuleError);

impl IntoResponse for ModuleRefusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let failure =
            |message: &str, errors| Failure { code: self.0.code().to_owned(), message: message.to_owned(), errors };
        let body = match &self.0 {
            ModuleError::Unauthorised => failure("the token does not authorise this request", Vec::new()),
            ModuleError::Later { .. } => failure("not now; ask again later", Vec::new()),
            ModuleError::Invalid { field, code, message } => failure(
                message,
                vec![FieldFailure { field: (*field).to_owned(), code: (*code).to_owned(), message: message.clone() }],
            ),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.0 {
            ModuleError::Unauthorised => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ModuleError::Later { .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            ModuleError::Invalid { .. } => {}
        }
        response
    }
}

impl IntoResponses for ModuleRefusal {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let mut responses = Refusal::responses();
        responses.retain(|status, _| matches!(status.as_str(), "400" | "401" | "503"));
        responses
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
}

/// What became of an entity of the shop.
#[utoipa::path(get, path = "/v1/status", tag = "module", security(("shop" = [])), params(Which),
    responses((status = 200, body = EntityStatus), ModuleRefusal))]
pub(super) async fn status(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Query(which): Query<Which>,
) -> Result<Json<EntityStatus>, ModuleRefusal> {
    let asked = api.module().status(authorization(&headers), &which.entity_type, &which.entity_id).await;
    asked.map(Json).map_err(ModuleRefusal)
}

/// How the connection fares, for the tile of the shop's configuration page.
#[utoipa::path(get, path = "/v1/tile/health", tag = "module", security(("shop" = [])),
    responses((status = 200, body = TileHealth), ModuleRefusal))]
pub(super) async fn tile(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Json<TileHealth>, ModuleRefusal> {
    api.module().tile(authorization(&headers)).await.map(Json).map_err(ModuleRefusal)
}

/// The shop gives its key up.
#[utoipa::path(post, path = "/v1/tenant/disconnect", tag = "module", security(("shop" = [])),
    responses((status = 200, body = Object), ModuleRefusal))]
pub(super) async fn disconnect(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
) -> Result<Json<serde_json::Value>, ModuleRefusal> {
    api.module().disconnect(authorization(&headers)).await.map_err(ModuleRefusal)?;
    Ok(Json(serde_json::json!({})))
}

/// A page without data that leads to sign-in; only the paired shop may frame it.
#[utoipa::path(get, path = "/embed/{tenant}", tag = "module",
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, description = "A page", content_type = "text/html", body = String),
        (status = 404, description = "The path is no route's.", body = Failure), ModuleRefusal))]
pub(super) async fn embed(State(api): State<Arc<Api>>, Path(tenant): Path<String>) -> Result<Response, ModuleRefusal> {
    let origin = api.module().framed_by(&tenant).await.map_err(ModuleRefusal)?;
    let ancestors = origin.as_deref().unwrap_or("'none'");
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors {ancestors}");
    let mut response = Html(super::pages::page(
        "Ledger",
        "<p>Ledger carries this shop's documents into its books.</p>\
         <p>Sign in with <code>ledger login</code>; <code>ledger runs list</code> shows what became of each document.</p>",
    ))
    .into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}
