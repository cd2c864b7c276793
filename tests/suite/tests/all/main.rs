//! Tests across crates. Those that need a running stack say so and pass where there is none; `make test` starts one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails; clippy exempts test functions, not their helpers"
)]

mod alarms;
mod attacks;
mod backfill;
mod contract;
mod crashes;
mod deployed;
mod documents;
mod doubt;
mod every_book;
mod functions;
mod grants;
mod money;
mod operators;
mod outcomes;
mod pairing;
mod paused;
mod preview;
mod reference;
mod reference_scene;
mod restored;
mod rings;
mod told;
mod upserts;
