//! What the adapters promise, on a real engine.
//!
//! `LEDGER_TEST_STACK_ENV` names a file of `KEY=VALUE` lines that says how to reach a stack. Each test copies the
//! schema of the stack's tables into tables of its own, so that neither disturbs the other; without the variable each
//! says that it was skipped. The checks are those of `ledger-contract`, which hold the store in memory to its word too; here
//! is what only this adapter has to show. What a local engine never does (conflicts, throttling) is in `faults.rs`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "test helpers")]

#[path = "contract/queues.rs"]
mod queue_subject;
#[path = "contract/raw.rs"]
mod raw;
#[path = "contract/stack.rs"]
mod stack;
#[path = "contract/notices.rs"]
mod topic;

use queue_subject::Queues;
use stack::Stack;

ledger_contract::store_checks! { Stack, #[tokio::test] }
ledger_contract::queue_checks! { Queues, #[tokio::test] }
