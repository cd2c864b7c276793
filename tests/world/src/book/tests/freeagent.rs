//! The house rules of `FreeAgent`.
