//! What the business is about: money, documents, identities, policy, settings and the plan of an event.
//!
//! Invariants: nothing here performs I/O, reads a clock, a random number or the environment, and no type here is
//! serialisable. What crosses a boundary as JSON lives in `ledger-wire`.

pub mod amount;
pub mod book;
pub mod canonical;
pub mod code;
pub mod country;
pub mod document;
pub mod fault;
pub mod identity;
pub mod lane;
pub mod mapping;
pub mod notice;
pub mod policy;
pub mod proof;
pub mod reference;
pub mod retry;
pub mod run;
pub mod settings;
pub mod shop_address;
