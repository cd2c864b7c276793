//! The HTTP routes of operators and of the shop's module: who may do what, and the engine's answers as JSON.
//!
//! Invariants:
//! - A route translates and nothing else: what it does is a use case of the engine.
//! - Every operator's route names what the caller must be allowed before it reads anything of a tenant's.
//! - The OpenAPI document is made from the routes themselves, so neither has what the other lacks.
//! - A body that isn't what the document says is a 400 that names it; store trouble is a 503; nothing here is a 500.

mod access;
mod extract;
mod failure;
mod routes;
mod state;

pub use failure::Refusal;
pub use routes::document;
pub use state::{Api, ApiStore, ReachedBy};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use std::sync::Arc;

/// Largest body of a request, in bytes.
pub const BODY_MAX_BYTES: usize = 256 * 1_024;

/// The routes, ready to serve.
pub fn router(api: Arc<Api>) -> Router {
    let (routes, _) = routes::all();
    routes
        .fallback(routes::no_such_route)
        .method_not_allowed_fallback(routes::no_such_method)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(from_fn_with_state(Arc::clone(&api), told))
        .with_state(api)
}

/// Writes one line for a request, and says that no answer is to be kept by anybody.
async fn told(axum::extract::State(api): axum::extract::State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let began = api.clock.now_ms();
    let method = request.method().clone();
    // The route's pattern: a path may hold anything.
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or_else(String::new, |path| path.as_str().to_owned());
    let subject = access::Subject::default();
    request.extensions_mut().insert(subject.clone());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status();
    let otherwise = if status.is_client_error() || status.is_server_error() { "refused" } else { "done" };
    tracing::info!(
        method = %method,
        route = %route,
        operator = subject.0.get().map_or("", String::as_str),
        status = status.as_u16(),
        outcome = response.extensions().get::<failure::RefusalCode>().map_or(otherwise, |code| code.0),
        duration_ms = api.clock.now_ms().saturating_sub(began),
        "request"
    );
    response
}
