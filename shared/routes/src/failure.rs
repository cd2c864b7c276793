//! Why a request comes to nothing, as an answer.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger_engine::operate::OperateError;
use ledger_engine::ports::PortFault;
use ledger_engine::signin::NotSignedIn;
use ledger_wire::api::{Failure, FieldFailure};
use std::collections::BTreeMap;
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response as Documented};

/// What a 503 asks to wait, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// The code of a refusal, for the log.
#[derive(Clone, Copy)]
pub(crate) struct RefusalCode(pub(crate) &'static str);

/// An answer that refuses.
#[derive(Clone, Debug, PartialEq, Eq, utoipa::IntoResponses)]
pub enum Refusal {
    /// The request is not what the document says, or names what can't be.
    #[response(status = 400, content_type = "application/json")]
    Bad(#[to_schema] Failure),
    /// Nobody is signed in.
    #[response(status = 401, content_type = "application/json")]
    Unauthorised(#[to_schema] Failure),
    /// Whoever is signed in may not do this.
    #[response(status = 403, content_type = "application/json")]
    Forbidden(#[to_schema] Failure),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/json")]
    NotFound(#[to_schema] Failure),
    /// The thing is not in a state for it, or changed meanwhile.
    #[response(status = 409, content_type = "application/json")]
    Conflict(#[to_schema] Failure),
    /// The body is larger than is read.
    #[response(status = 413, content_type = "application/json")]
    TooLarge(#[to_schema] Failure),
    /// The store, the issuer, the shop or the book does not answer.
    #[response(status = 503, content_type = "application/json")]
    Later(#[to_schema] Failure),
}

/// How a route refuses that changes nothing and depends on no state: as [`Refusal`], but never with a conflict.
pub(crate) struct Looking;

impl IntoResponses for Looking {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let mut responses = Refusal::responses();
        responses.remove("409");
        responses
    }
}

fn failure(code: &str, message: impl Into<String>) -> Failure {
    Failure { code: code.to_owned(), message: message.into(), errors: Vec::new() }
}

impl Refusal {
    /// A request that is not what it should be.
    pub(crate) fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::Bad(failure(code, message))
    }

    /// A field that can't be used.
    pub(crate) fn field(field: &str, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let error = FieldFailure { field: field.to_owned(), code: code.to_owned(), message: message.clone() };
        Self::Bad(Failure { code: "invalid".to_owned(), message: format!("{field}: {message}"), errors: vec![error] })
    }

    /// Somebody else's, or more than the caller may.
    pub(crate) fn forbidden() -> Self {
        Self::Forbidden(failure("forbidden", "your groups do not allow this"))
    }

    /// What is brought is not good, or not the caller's.
    pub(crate) fn forbidden_because(code: &str, message: impl Into<String>) -> Self {
        Self::Forbidden(failure(code, message))
    }

    /// Fields that can't be used.
    pub(crate) fn fields(message: &str, errors: Vec<FieldFailure>) -> Self {
        Self::Bad(Failure { code: "invalid".to_owned(), message: message.to_owned(), errors })
    }

    /// There is none.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::NotFound(failure("not_found", format!("there is no such {what}")))
    }

    /// Not now.
    pub(crate) fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::Conflict(failure(code, message))
    }

    /// Try again.
    pub(crate) fn later(code: &str, message: impl Into<String>) -> Self {
        Self::Later(failure(code, message))
    }

    /// Status and words.
    pub(crate) fn told(&self) -> (StatusCode, &Failure) {
        match self {
            Self::Bad(it) => (StatusCode::BAD_REQUEST, it),
            Self::Unauthorised(it) => (StatusCode::UNAUTHORIZED, it),
            Self::Forbidden(it) => (StatusCode::FORBIDDEN, it),
            Self::NotFound(it) => (StatusCode::NOT_FOUND, it),
            Self::Conflict(it) => (StatusCode::CONFLICT, it),
            Self::TooLarge(it) => (StatusCode::PAYLOAD_TOO_LARGE, it),
            Self::Later(it) => (StatusCode::SERVICE_UNAVAILABLE, it),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, failure) = self.told();
        let mut response = (status, Json(failure)).into_response();
        match &self {
            Self::Unauthorised(_) => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Later(_) => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            Self::Bad(_) | Self::Forbidden(_) | Self::NotFound(_) | Self::Conflict(_) | Self::TooLarge(_) => {}
        }
        response.extensions_mut().insert(RefusalCode(match &self {
            Self::Bad(_) => "bad",
            Self::Unauthorised(_) => "unauthorised",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::TooLarge(_) => "too_large",
            Self::Later(_) => "later",
        }));
        response
    }
}

impl From<NotSignedIn> for Refusal {
    fn from(reason: NotSignedIn) -> Self {
        match reason {
            NotSignedIn::Unauthorised => Self::Unauthorised(failure("unauthorised", "sign in: `ledger login`")),
            NotSignedIn::NoRole => Self::Forbidden(failure(
                "no_role",
                "you are signed in, but in none of the groups admin, operator, viewer",
            )),
            NotSignedIn::IssuerUnavailable => {
                Self::later("issuer_unavailable", "the issuer of your token does not answer")
            }
        }
    }
}

impl From<PortFault> for Refusal {
    fn from(fault: PortFault) -> Self {
        match fault {
            PortFault::Unavailable(reason) => {
                tracing::warn!(reason = %reason, "a port is unavailable");
                Self::later("store_unavailable", "not now; try again")
            }
            PortFault::Inconsistent(reason) => {
                tracing::error!(reason = %reason, "a row can't be read");
                Self::later("row_unreadable", "a row can't be read by this version")
            }
        }
    }
}

impl From<OperateError> for Refusal {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Invalid { field, reason } => Self::field(field, "invalid", reason),
            OperateError::NotFound(what) => Self::not_found(what),
            OperateError::Exists(what) => Self::conflict("exists", format!("there is such a {what} already")),
            OperateError::NotNow(reason) => Self::conflict("not_now", reason),
            OperateError::Refused { code, reason } => Self::conflict(code, reason),
            OperateError::Port(fault) => fault.into(),
        }
    }
}

/// What a body, query or path that can't be read is answered with.
pub(crate) fn unreadable(status: StatusCode, what: &str, reason: &str) -> Refusal {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Refusal::TooLarge(failure("body_too_large", "the body is larger than is read"));
    }
    Refusal::bad("invalid", format!("the {what} can't be read: {reason}"))
}
