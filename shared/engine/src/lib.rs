//! What the system does: take deliveries, post documents, push chips, sweep. Ports are its traits; no adapter is named.

pub mod batch;
pub mod carry;
pub mod config;
pub mod edges;
pub mod executor;
mod fetch;
pub mod imports;
pub mod ingest;
pub mod jobs;
pub mod jwt;
pub mod operate;
pub mod plan;
pub mod ports;
pub mod post;
pub mod preview;
pub mod push;
pub mod rehearsal;
pub mod shop;
pub mod signin;
pub mod sweep;
pub mod tenants;
pub mod worker;

pub use ledger_dialects as dialects;
pub use ledger_domain as domain;
pub use ledger_wire as wire;
