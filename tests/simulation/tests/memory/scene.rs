//! Rows that tests begin with.

use ledger_engine::ports::{ClaimRequest, Commit, PauseChange, PushWant, Release};
use ledger_simulation::memory::{Knobs, MemoryStore, Weather};
use ledger_wire::rows::{AttemptRow, ROW_VERSION, RunRow, keys};
use std::sync::Arc;

/// 2026, in milliseconds.
pub(crate) const NOW: i64 = 1_780_000_000_000;

pub(crate) fn weather(knobs: &Arc<Knobs>) -> Arc<dyn Weather> {
    Arc::<Knobs>::clone(knobs)
}

pub(crate) fn store() -> (MemoryStore, Arc<Knobs>) {
    let knobs = Arc::new(Knobs::at(NOW));
    (MemoryStore::new(weather(&knobs)), knobs)
}

pub(crate) fn run(id: &str) -> RunRow {
    let pk = keys::run(id);
    RunRow {
        due_shard: Some(keys::due_shard(&pk)),
        due_at: Some(NOW),
        pk,
        sk: keys::RUN.to_owned(),
        v: ROW_VERSION,
        run_id: id.to_owned(),
        tenant: "t".to_owned(),
        binding: "b".to_owned(),
        provider: "xero".to_owned(),
        book: "book".to_owned(),
        state: "queued".to_owned(),
        generation: 1,
        dispatch: 1,
        received_at: NOW,
        ..RunRow::default()
    }
}

pub(crate) fn claim(id: &str, claim: &str) -> ClaimRequest {
    ClaimRequest {
        run_id: id.to_owned(),
        generation: 1,
        claim: claim.to_owned(),
        book: "book".to_owned(),
        now: NOW,
        until: NOW + 65_000,
        unfinished_max: 3,
        gives_way: false,
    }
}

pub(crate) fn want() -> PushWant {
    PushWant {
        tenant: "t".to_owned(),
        provider: "xero".to_owned(),
        entity_type: "invoice".to_owned(),
        magento_id: 7,
        document_run: None,
        payment_run: None,
        xref: None,
        due_at: NOW + 60_000,
        expires_at: NOW,
    }
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
        attempt: AttemptRow {
            pk: run.pk.clone(),
            sk: keys::attempt(run.attempt),
            v: ROW_VERSION,
            attempt: run.attempt,
            ..AttemptRow::default()
        },
        release: Some(Release { book: "book".to_owned(), pace: None, pause: PauseChange::Leaves }),
    }
}

pub(crate) fn shard(pk: &str) -> u8 {
    keys::due_shard(pk).trim_start_matches("due#").parse().unwrap()
}
