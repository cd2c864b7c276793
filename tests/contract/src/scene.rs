//! Rows that checks begin with, and tests of one implementation alone.

use ledger_engine::ports::{ClaimRequest, GatherRequest, PushWant};
use ledger_wire::rows::{AttemptRow, BindingRow, JtiRow, ROW_VERSION, RunRow, TenantRow, XrefRow, keys};

/// 2026, in milliseconds.
pub const NOW: i64 = 1_780_000_000_000;
/// The same in seconds.
pub const NOW_SECONDS: i64 = 1_780_000_000;
/// Later than any test lasts.
const FAR_SECONDS: i64 = 4_000_000_000;

/// A queued run, due for the sweeper in ten minutes.
pub fn run(id: &str) -> RunRow {
    let pk = keys::run(id);
    RunRow {
        due_shard: Some(keys::due_shard(&pk)),
        due_at: Some(NOW + 600_000),
        pk,
        sk: keys::RUN.to_owned(),
        v: ROW_VERSION,
        run_id: id.to_owned(),
        tenant: "t".to_owned(),
        binding: "b".to_owned(),
        provider: "xero".to_owned(),
        book: "book".to_owned(),
        event: "invoice.created".to_owned(),
        magento_id: 7,
        state: "queued".to_owned(),
        generation: 1,
        dispatch: 1,
        received_at: NOW,
        updated_at: NOW,
        ..RunRow::default()
    }
}

pub fn jti(id: &str, runs: &[&str]) -> JtiRow {
    JtiRow {
        pk: keys::jti("t", id),
        sk: keys::JTI.to_owned(),
        v: ROW_VERSION,
        runs: runs.iter().map(|run| (*run).to_owned()).collect(),
        delivery_hash: "hash".to_owned(),
        expires_at: FAR_SECONDS,
    }
}

pub fn claim(id: &str, claim: &str) -> ClaimRequest {
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

pub fn gather(id: &str) -> GatherRequest {
    GatherRequest {
        run_id: id.to_owned(),
        tenant: "t".to_owned(),
        binding: "b".to_owned(),
        book: "book".to_owned(),
        xrefs: Vec::new(),
    }
}

pub fn xref(pk: &str, revision: u32) -> XrefRow {
    XrefRow {
        pk: pk.to_owned(),
        v: ROW_VERSION,
        state: "reserved".to_owned(),
        kind: "invoice".to_owned(),
        book: "xero:1".to_owned(),
        revision,
        run_id: "r".to_owned(),
        ..XrefRow::default()
    }
}

pub fn want() -> PushWant {
    PushWant {
        tenant: "t".to_owned(),
        provider: "xero".to_owned(),
        entity_type: "invoice".to_owned(),
        magento_id: 7,
        document_run: None,
        payment_run: None,
        xref: None,
        due_at: NOW + 60_000,
        expires_at: FAR_SECONDS,
    }
}

pub fn attempt(run: &RunRow) -> AttemptRow {
    AttemptRow {
        pk: run.pk.clone(),
        sk: keys::attempt(run.attempt),
        v: ROW_VERSION,
        attempt: run.attempt,
        generation: run.generation,
        outcome: "succeeded".to_owned(),
        expires_at: FAR_SECONDS,
        ..AttemptRow::default()
    }
}

pub fn tenant(id: &str) -> TenantRow {
    TenantRow {
        pk: keys::tenant(id),
        sk: keys::TENANT.to_owned(),
        v: ROW_VERSION,
        tenant: id.to_owned(),
        shop_url: format!("https://{id}.example"),
        status: "connected".to_owned(),
        ..TenantRow::default()
    }
}

pub fn binding(tenant: &str, id: &str) -> BindingRow {
    BindingRow {
        pk: keys::tenant(tenant),
        sk: keys::binding(id),
        v: ROW_VERSION,
        binding: id.to_owned(),
        tenant: tenant.to_owned(),
        provider: "xero".to_owned(),
        status: "active".to_owned(),
        mode: String::new(),
        settings_version: 1,
        ..BindingRow::default()
    }
}
