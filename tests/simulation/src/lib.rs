//! The whole system in one process and in simulated time.

pub mod memory;
