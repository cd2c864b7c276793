//! What the adapters promise, on a real engine.
//!
//! `LEDGER_TEST_STACK_ENV` names a file of `KEY=VALUE` lines that says how to reach a stack. Each test copies the
//! schema of the stack's tables into tables of its own, so that neither disturbs the other; without the variable each
//! says that it was skipped. What a local engine never does (conflicts, throttling) is in `faults.rs`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "test helpers")]

#[path = "contract/agenda.rs"]
mod agenda;
#[path = "contract/attempts.rs"]
mod attempts;
#[path = "contract/deliveries.rs"]
mod deliveries;
#[path = "contract/grants.rs"]
mod grants;
#[path = "contract/notices.rs"]
mod notices;
#[path = "contract/operations.rs"]
mod operations;
#[path = "contract/pairing.rs"]
mod pairing;
#[path = "contract/preview.rs"]
mod preview;
#[path = "contract/pushes.rs"]
mod pushes;
#[path = "contract/queues.rs"]
mod queues;
#[path = "contract/reference.rs"]
mod reference;
#[path = "contract/stack.rs"]
mod stack;
#[path = "contract/sweeps.rs"]
mod sweeps;
#[path = "contract/vault.rs"]
mod vault;
