//! What the system does: take deliveries, post documents, push chips, sweep. Ports are its traits; no adapter is named.

/// Whether a mistake is planted: never, without the feature.
#[cfg(feature = "planted")]
macro_rules! planted {
    ($mistake:ident) => {
        $crate::planted::planted() == Some($crate::planted::Planted::$mistake)
    };
}
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($mistake:ident) => {
        false
    };
}

pub mod backfill;
pub mod batch;
pub mod carry;
pub mod closing;
pub mod config;
pub mod connect;
mod contact_index;
pub mod edges;
pub mod executor;
pub mod exports;
mod fetch;
pub mod imports;
pub mod ingest;
pub mod jobs;
pub mod jwt;
pub mod module;
pub mod notices;
pub mod operate;
pub mod pace;
pub mod plan;
#[cfg(feature = "planted")]
pub mod planted;
pub mod ports;
pub mod post;
pub mod presented;
pub mod preview;
pub mod push;
pub mod reference;
pub mod rehearsal;
pub mod settings;
pub mod shop;
pub mod signin;
pub mod silence;
pub mod sweep;
pub mod tally;
pub mod tenants;
pub mod worker;

pub use ledger_dialects as dialects;
pub use ledger_domain as domain;
pub use ledger_wire as wire;
