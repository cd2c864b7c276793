//! Why a request came to nothing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A refusal: `{"code":"invalid","message":"…","errors":[{"field":"…","code":"…","message":"…"}]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Stable code.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// What is wrong with which field, where fields are to blame.
    #[serde(default)]
    pub errors: Vec<FieldFailure>,
}

/// What is wrong with a field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldFailure {
    /// Path of the field: `payment_methods.stripe_payments`, `overrides[1].income_category`.
    pub field: String,
    /// Stable code: `invalid_format`, `OUT_OF_RANGE`, `not_in_reference`, …
    pub code: String,
    /// One sentence for a person.
    pub message: String,
}
