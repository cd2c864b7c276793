//! The whole system in one process, in simulated time: the engine and its dialects as shipped, shops and books that answer
//! without a socket, and store, queues and vault in memory, with everything that goes wrong on the way.
//!
//! * [`memory`]: the ports as AWS keeps them;
//! * [`time`], [`room`], [`functions`]: who runs when, and where it can die;
//! * [`ways`]: requests to books, shops and providers;
//! * [`world`]: all of it together; [`workload`]: what the shops do in it; [`faults`]: what goes wrong;
//! * [`invariants`]: what must be true in the end; [`report`]: many seeds; [`crash_sweep`]: every boundary of every job.

pub mod crash_sweep;
pub mod ears;
pub mod faults;
pub mod functions;
pub mod invariants;
pub mod memory;
#[cfg(feature = "planted")]
pub mod planted;
pub mod report;
pub mod room;
pub mod time;
pub mod ways;
pub mod workload;
pub mod world;
