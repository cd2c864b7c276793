//! Stand-ins for the strangers that Ledger deals with, for tests, demo and bench.
//!
//! * [`shop`]: a Magento shop with the published accounting module, its money and its outbox.
//! * [`book`]: a book of the `v2` family, by the rules of either house, strict and stateful, with faults on request.
//! * [`accounting`]: a book that speaks Xero's Accounting API; [`sage`]: one that speaks Sage Accounting v3.1.
//! * [`identity`]: the pages where a person lets an app into a book; [`browser`]: that person.
//! * [`runtime_api`]: the Lambda Runtime API, driving a built function binary.
//!
//! They are written from what the real ones are known to do, never from what Ledger expects of them: this crate depends
//! on no other crate of the workspace. `README.md` next to this file's folder describes the Rust API and the control
//! API of the programs, `world-shop`, `world-book`, `world-freeagent`, `world-accounting` and `world-sage`.

pub mod accounting;
mod ambient;
pub mod amount;
pub mod book;
pub mod browser;
mod client;
pub mod clock;
pub mod desk;
mod fields;
pub mod identity;
pub mod program;
pub mod runtime_api;
pub mod sage;
pub mod server;
pub mod shop;
pub mod statement;
#[cfg(test)]
mod testing;

pub use accounting::AccountingBook;
pub use ambient::draws_identifiers_from;
pub use amount::Amount;

pub use book::Book;
pub use clock::Clock;

pub use runtime_api::LambdaFunction;
pub use sage::SageBook;
pub use shop::Shop;
