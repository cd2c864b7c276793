//! Rows that tests begin with.

use ledger_contract::scene::attempt;
pub(crate) use ledger_contract::scene::{NOW, claim, want};
use ledger_engine::ports::{Commit, PauseChange, Release};
use ledger_simulation::memory::{Knobs, MemoryStore, Weather};
use ledger_wire::rows::{RunRow, keys};
use std::sync::Arc;

pub(crate) fn weather(knobs: &Arc<Knobs>) -> Arc<dyn Weather> {
    Arc::<Knobs>::clone(knobs)
}

pub(crate) fn store() -> (MemoryStore, Arc<Knobs>) {
    let knobs = Arc::new(Knobs::at(NOW));
    (MemoryStore::new(weather(&knobs)), knobs)
}

/// A queued run that is due now.
pub(crate) fn run(id: &str) -> RunRow {
    RunRow { due_at: Some(NOW), ..ledger_contract::scene::run(id) }
}

pub(crate) fn commit(run: &RunRow, claim: &str) -> Commit {
    Commit {
        run: RunRow {
            state: "succeeded".to_owned(),
            claim: None,
            claim_until: None,
            due_shard: None,
            due_at: None,
            ..run.clone()
        },
        claim: claim.to_owned(),
        xrefs: Vec::new(),
        push: Some(want()),
        order: None,
        attempt: attempt(run),
        release: Some(Release { book: "book".to_owned(), pace: None, pause: PauseChange::Leaves }),
    }
}

pub(crate) fn shard(pk: &str) -> u8 {
    keys::due_shard(pk).trim_start_matches("due#").parse().unwrap()
}
