//! Tests across crates. Those that need a running stack say so and pass where there is none; `make test` starts one.

mod crashes;
mod documents;
mod doubt;
mod functions;
mod rings;
mod contract;
mod outcomes;
mod deployed;
