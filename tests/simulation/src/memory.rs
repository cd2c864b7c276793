//! Store, queues and vault in memory: the ports of `ledger-aws` without AWS, with what AWS does and a local engine never
//! shows.
//!
//! They answer as the adapters on DynamoDB, SQS and KMS do: the same checks (`ledger-contract`) hold both to their word.
//! They have no clock and no chance of their own: a [`Weather`] tells the time and decides what becomes of each call.
//!
//! | what | where |
//! |---|---|
//! | an index that lags | [`Weather::index_lag_ms`] |
//! | throttled, no answer, the answer lost, a transaction conflict, tried again after a lost answer, carried out late | [`Fate`] |
//! | dying between two operations of one call | drop the future while [`Weather::before`] or [`Weather::after`] waits |
//! | an older copy | [`MemoryStore::copy`], [`MemoryStore::restore`] |
//! | removal of what has expired | [`MemoryStore::sweep_expired`] |
//! | silent drop, group lock, receive count, redrive, retention, partial failure | [`MemoryQueue`] |
//! | a process that has opened nothing yet | [`MemoryVault::process`] |

mod agenda;
mod attempts;
mod deliveries;
mod grants;
mod index;
mod notices;
mod operations;
mod pairing;
mod preview;
mod pushes;
mod queue;
mod reference;
mod rows;
mod store;
mod sweeps;
mod vault;
mod weather;

pub use index::Index;
pub use queue::{Deleted, MemoryQueue, QueueShape, Received};
pub use rows::{Place, PrefixRow, Row, Table};
pub use store::{MemoryStore, StoreCopy};
pub use vault::MemoryVault;
pub use weather::{Fate, Knobs, Weather, Work};
