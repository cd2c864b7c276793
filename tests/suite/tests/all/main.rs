//! Tests across crates. Those that need a running stack say so and pass where there is none; `make test` starts one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails; clippy exempts test functions, not their helpers"
)]

mod contract;
mod crashes;
mod deployed;
mod documents;
mod doubt;
mod functions;
mod money;
mod outcomes;
mod preview;
mod rings;
mod upserts;
