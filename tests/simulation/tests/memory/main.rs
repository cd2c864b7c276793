//! Store, queues and vault in memory: held to the word of the adapters on AWS, and to what only they can show.
#![expect(clippy::unwrap_used, reason = "test helpers")]

mod contract;
mod queues;
mod scene;
mod weather;
