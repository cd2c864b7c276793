//! Connecting and renewing, on a store in memory and a provider that keeps to its documents.

mod connections;
mod memory;
mod renewals;
