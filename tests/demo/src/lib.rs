//! Shops that are paired and books that are connected on a deployed stack, as an operator does it over the stack's API.
//! `ledger-demo` shows what becomes of them, `ledger-soak` puts them under load.

pub mod api;
pub mod http;
pub mod pairing;
pub mod places;
pub mod strangers;
pub mod variables;

/// Milliseconds as seconds, `1.2 s`.
#[must_use]
pub fn seconds(milliseconds: i64) -> String {
    format!("{}.{} s", milliseconds.div_euclid(1_000), milliseconds.rem_euclid(1_000).div_euclid(100))
}
