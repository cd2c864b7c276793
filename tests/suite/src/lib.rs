//! A world for tests: the engine as shipped over the real store and key service of the local engine, a queue in memory,
//! a shop and a book in process, and a clock that only tests move.
//!
//! Every port call passes a [`trip::Trip`], so that a test can kill the process before or after any of them.

pub mod deployed;
pub mod ports;
pub mod stack;
pub mod trip;
pub mod world;
