//! Everything that crosses a boundary as JSON or as a stored row, versioned.
//!
//! Unknown fields of others are tolerated; unknown fields of our own settings are refused. Rows carry a version `v`;
//! a reader of a newer version refuses to guess.

pub mod api;
pub mod gateway;
pub mod magento;
pub mod message;
pub mod module;
pub mod notice;
pub mod rows;
pub mod settings;

pub use ledger_domain as domain;
