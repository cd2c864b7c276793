//! What AWS does and a local engine never shows: a store and a vault in bad weather.

use crate::scene::{NOW, claim, commit, run, shard, store, want, weather};
use ledger_engine::ports::{
    Accepted, Attempts, Claimed, Deliveries, GrantLeased, GrantStore, Jobs, PortFault, PortResult, Pushes, Revisit,
    Revisited, SealContext, Sweeps, Vault, Written,
};
use ledger_simulation::memory::{Fate, Index, Knobs, MemoryStore, MemoryVault};
use ledger_wire::rows::{
    AttemptRow, JobRow, JtiRow, LeaseRow, PushRow, ROW_VERSION, RunRow, SealedRow, TokenRow, XrefRow, keys,
};
use secrecy::ExposeSecret;
use std::fmt::Debug;
use std::sync::Arc;

async fn due(store: &MemoryStore, pk: &str) -> usize {
    store.due(shard(pk), NOW, 10).await.unwrap().len()
}

#[tokio::test]
async fn an_index_lags_behind_its_table_both_ways() {
    let (store, knobs) = store();
    knobs.lags(Index::Due, 500);
    assert_eq!(store.add_run(&run("r")).await, Ok(true));
    let there = run("r");
    assert_eq!(Sweeps::run(&store, &there.pk).await, Ok(Some(there.clone())), "a read of the table is consistent");
    assert_eq!(due(&store, &there.pk).await, 0);
    assert_eq!(store.runs_since("t", 0, None, 10).await.unwrap().runs.len(), 1, "each index lags for itself");
    knobs.passes(499);
    assert_eq!(due(&store, &there.pk).await, 0);
    knobs.passes(1);
    assert_eq!(due(&store, &there.pk).await, 1);
    // What has gone is still there.
    let gone = RunRow { due_at: None, due_shard: None, ..there.clone() };
    assert_eq!(Sweeps::replace_run(&store, &there, &gone, None).await, Ok(true));
    assert_eq!(due(&store, &there.pk).await, 1);
    knobs.passes(500);
    assert_eq!(due(&store, &there.pk).await, 0);
}

#[tokio::test]
async fn writes_of_one_row_reach_an_index_in_their_order() {
    let (store, knobs) = store();
    knobs.lags(Index::Due, 500);
    store.add_run(&run("r")).await.unwrap();
    knobs.lags(Index::Due, 10);
    let gone = RunRow { due_at: None, due_shard: None, ..run("r") };
    assert_eq!(Sweeps::replace_run(&store, &run("r"), &gone, None).await, Ok(true));
    store.add_run(&run("other")).await.unwrap();
    knobs.passes(10);
    assert_eq!(due(&store, &keys::run("other")).await, 1, "another row's write is faster");
    knobs.passes(490);
    assert_eq!(due(&store, &keys::run("r")).await, 0, "the removal comes last");
}

/// Everything of a store that tests compare.
#[derive(Debug, PartialEq)]
struct All {
    runs: Vec<Arc<RunRow>>,
    attempts: Vec<Arc<AttemptRow>>,
    pushes: Vec<Arc<PushRow>>,
    leases: Vec<Arc<LeaseRow>>,
    tokens: Vec<Arc<TokenRow>>,
    jobs: Vec<Arc<JobRow>>,
    spent: Vec<Arc<JtiRow>>,
}

fn all(store: &MemoryStore) -> All {
    All {
        runs: store.all(),
        attempts: store.all(),
        pushes: store.all(),
        leases: store.all(),
        tokens: store.all(),
        jobs: store.all(),
        spent: store.all(),
    }
}

#[tokio::test]
async fn what_is_refused_is_not_carried_out() {
    for fate in [Fate::Unavailable, Fate::Throttled, Fate::Conflict] {
        let (store, knobs) = store();
        store.put(run("r"));
        let before = all(&store);
        knobs.next("store.claim", fate);
        assert!(matches!(store.claim(&claim("r", "c")).await, Err(PortFault::Unavailable(_))), "{fate:?}");
        assert_eq!(all(&store), before, "{fate:?}");
        assert_eq!(store.claim(&claim("r", "c")).await, Ok(Claimed::Ours), "it was one operation's fate");
    }
}

#[tokio::test]
async fn a_lost_reply_is_met_by_who_asks_again() {
    let (store, knobs) = store();
    store.put(run("r"));
    knobs.next("store.claim", Fate::ReplyLost);
    assert!(store.claim(&claim("r", "c")).await.is_err());
    let claimed = Sweeps::run(&store, &keys::run("r")).await.unwrap().unwrap();
    assert_eq!((claimed.state.as_str(), claimed.attempt), ("running", 1));
    assert_eq!(store.claim(&claim("r", "c")).await, Ok(Claimed::Ours));
    assert_eq!(store.claim(&claim("r", "other")).await, Ok(Claimed::Not(Some(claimed.clone()))));
    let commit = commit(&claimed, "c");
    knobs.next("store.commit", Fate::ReplyLost);
    assert!(store.commit(&commit).await.is_err());
    let done = all(&store);
    assert_eq!(store.commit(&commit).await, Ok(Written::Done));
    assert_eq!(all(&store), done, "nothing counts twice");
}

/// A write may arrive when nobody waits for its answer any more: its condition is judged then.
#[tokio::test]
async fn what_arrives_late_is_judged_when_it_arrives() {
    let (store, knobs) = store();
    store.put(run("r"));
    knobs.next("store.claim", Fate::Late(4_000));
    assert!(matches!(store.claim(&claim("r", "c")).await, Err(PortFault::Unavailable(_))));
    let state = || store.peek::<RunRow>(&keys::run("r"), keys::RUN).map(|run| run.state).unwrap();
    knobs.passes(3_999);
    assert_eq!(state(), "queued");
    knobs.passes(1);
    assert_eq!(state(), "running");
    let claimed = Sweeps::run(&store, &keys::run("r")).await.unwrap().unwrap();
    knobs.next("store.commit", Fate::Late(1));
    assert!(store.commit(&commit(&claimed, "c")).await.is_err());
    let by_others = RunRow { claim: Some("other".to_owned()), attempt: 2, ..claimed.clone() };
    store.put(by_others.clone());
    knobs.passes(1);
    assert_eq!(Sweeps::run(&store, &keys::run("r")).await, Ok(Some(by_others)), "the claim is another's by now");
}

#[tokio::test]
async fn an_outcome_is_not_lost_to_a_contended_lease() {
    let (store, knobs) = store();
    for (id, lease) in [("r-1", Fate::Fair), ("r-2", Fate::Unavailable)] {
        store.put(run(id));
        assert_eq!(store.claim(&claim(id, id)).await, Ok(Claimed::Ours));
        let claimed = Sweeps::run(&store, &keys::run(id)).await.unwrap().unwrap();
        knobs.next("store.commit", Fate::Conflict);
        knobs.next("store.commit.lease", lease);
        assert_eq!(store.commit(&commit(&claimed, id)).await, Ok(Written::Done));
        let ended = Sweeps::run(&store, &keys::run(id)).await.unwrap().unwrap();
        assert_eq!(ended.state, "succeeded");
        let held_by = store.lease("book").await.unwrap().unwrap().claim;
        assert_eq!(held_by, if lease == Fate::Fair { "" } else { id }, "given up afterwards, if that works");
    }
    // Contended all the same: nothing is written.
    let (store, knobs) = self::store();
    store.put(run("r"));
    store.claim(&claim("r", "c")).await.unwrap();
    let claimed = Sweeps::run(&store, &keys::run("r")).await.unwrap().unwrap();
    knobs.next("store.commit", Fate::Conflict);
    knobs.next("store.commit.without_lease", Fate::Conflict);
    assert!(store.commit(&commit(&claimed, "c")).await.is_err());
    assert_eq!(Sweeps::run(&store, &keys::run("r")).await, Ok(Some(claimed)));
}

fn job() -> JobRow {
    JobRow { pk: keys::jobs("b"), sk: keys::job(NOW, "j"), v: ROW_VERSION, revision: 1, ..JobRow::default() }
}

fn token(version: u32) -> TokenRow {
    TokenRow {
        pk: keys::of_binding("b"),
        sk: keys::TOKEN.to_owned(),
        v: ROW_VERSION,
        access: SealedRow::default(),
        version,
        ..TokenRow::default()
    }
}

fn jti() -> JtiRow {
    JtiRow { pk: keys::jti("t", "j"), sk: keys::JTI.to_owned(), v: ROW_VERSION, expires_at: NOW, ..JtiRow::default() }
}

fn push() -> PushRow {
    let pk = keys::push("t", "xero", "invoice", 7);
    PushRow { pk, sk: keys::PUSH.to_owned(), v: ROW_VERSION, wanted: 1, ..PushRow::default() }
}

/// A write whose answer is lost and that is tried again by the adapter itself.
#[tokio::test]
async fn what_is_tried_again_is_answered_as_if_once() {
    async fn check<T: PartialEq + Debug>(
        call: &'static str,
        expected: PortResult<T>,
        work: impl AsyncFn(&MemoryStore) -> PortResult<T>,
    ) {
        let mut ends = Vec::new();
        for fate in [Fate::Fair, Fate::Repeated] {
            let (store, knobs) = store();
            store.put(run("r"));
            store.put(token(1));
            store.put(push());
            knobs.next(call, fate);
            assert_eq!(work(&store).await, expected, "{call} {fate:?}");
            assert_eq!(knobs.calls().iter().filter(|it| **it == call).count(), 1, "{call} is asked once");
            ends.push(all(&store));
        }
        assert_eq!(ends.first(), ends.last(), "{call} is done once");
    }
    let next = RunRow { dispatch: 2, ..run("r") };
    check("store.claim", Ok(Claimed::Ours), async |it| it.claim(&claim("r", "c")).await).await;
    check("store.accept", Ok(Accepted::Fresh), async |it| it.accept(&[run("n")], &jti(), 0, "token").await).await;
    let parts = [Revisit::Push(want())];
    check("store.revisit", Ok(Revisited::Done), async |it| it.revisit(&jti(), 0, &parts).await).await;
    let replaced = async |it: &MemoryStore| Sweeps::replace_run(it, &run("r"), &next, None).await;
    check("store.replace_run", Ok(true), replaced).await;
    let replaced = async |it: &MemoryStore| Sweeps::replace_run(it, &run("r"), &next, Some(&want())).await;
    check("store.replace_run", Ok(true), replaced).await;
    check("store.add_run", Ok(true), async |it| it.add_run(&run("n")).await).await;
    check("store.add_job", Ok(true), async |it| it.add_job(&job()).await).await;
    check("store.pushed", Ok(true), async |it| it.pushed(&push(), "synced", NOW).await).await;
    check("store.put_off", Ok(()), async |it| it.put_off(&push(), NOW + 1, "code").await).await;
    let leased = async |it: &MemoryStore| it.lease_grant("b", 1, "x", NOW, NOW + 90).await;
    check("store.lease_grant", Ok(GrantLeased::Ours), leased).await;
    check("store.save_grant", Ok(true), async |it| it.save_grant(1, &token(2)).await).await;
}

#[tokio::test]
async fn a_request_token_is_remembered_for_ten_minutes() {
    let (store, knobs) = store();
    let accepted = async || store.accept(&[run("r")], &jti(), 0, "token").await;
    assert_eq!(accepted().await, Ok(Accepted::Fresh));
    knobs.passes(599_999);
    assert_eq!(accepted().await, Ok(Accepted::Fresh));
    knobs.passes(1);
    assert_eq!(accepted().await, Ok(Accepted::Met { jti: Some(jti()), runs: vec![Some(run("r"))] }));
}

#[tokio::test]
async fn an_older_copy_comes_back_with_its_indexes() {
    let (store, knobs) = store();
    knobs.lags(Index::Due, 1_000);
    store.accept(&[run("r-1")], &jti(), 0, "token").await.unwrap();
    let copy = store.copy();
    let then = all(&store);
    store.add_run(&run("r-2")).await.unwrap();
    store.claim(&claim("r-1", "c")).await.unwrap();
    store.restore(&copy);
    assert_eq!(all(&store), then);
    assert_eq!(due(&store, &keys::run("r-1")).await, 1, "a restored table's indexes lag behind nothing");
    assert_eq!(store.runs_since("t", 0, None, 10).await.unwrap().runs, [run("r-1")]);
    let again = store.accept(&[run("r-1")], &jti(), 0, "token").await;
    assert!(matches!(again, Ok(Accepted::Met { .. })), "its request tokens are another table's: {again:?}");
    // The copy is good for more than once.
    store.claim(&claim("r-1", "c")).await.unwrap();
    store.restore(&copy);
    assert_eq!(all(&store), then);
}

#[tokio::test]
async fn what_has_expired_is_removed_and_nothing_else() {
    let (store, _) = store();
    store.put(RunRow { expires_at: Some(99), ..run("old") });
    store.put(RunRow { expires_at: Some(100), ..run("edge") });
    store.put(run("open"));
    store.put(XrefRow { pk: "x".to_owned(), book: "book".to_owned(), ..XrefRow::default() });
    assert_eq!(store.sweep_expired(100), 1);
    let left: Vec<String> = store.all::<RunRow>().iter().map(|run| run.run_id.clone()).collect();
    assert_eq!((left, store.all::<XrefRow>().len()), (vec!["edge".to_owned(), "open".to_owned()], 1));
    assert_eq!(due(&store, &keys::run("old")).await, 0, "it is out of the indexes too");
}

#[tokio::test]
async fn a_process_remembers_what_it_opened() {
    let knobs = Arc::new(Knobs::at(NOW));
    let vault = MemoryVault::new(weather(&knobs));
    let context = SealContext { label: "tenants/v1", owner: "t".to_owned(), attribute: "api_key" };
    let sealed = vault.seal(&"hush".into(), 1, &context).await.unwrap();
    assert_ne!(sealed, vault.seal(&"hush".into(), 1, &context).await.unwrap(), "no two ciphertexts are the same");
    assert_eq!(vault.open(&sealed, &context).await.unwrap().expose_secret(), "hush");
    for _ in 0..3 {
        knobs.next("vault.open", Fate::Unavailable);
    }
    assert_eq!(vault.open(&sealed, &context).await.unwrap().expose_secret(), "hush", "no call is made");
    let other = vault.process(weather(&knobs));
    assert!(matches!(other.open(&sealed, &context).await, Err(PortFault::Unavailable(_))));
    knobs.next("vault.seal", Fate::Throttled);
    assert!(matches!(vault.seal(&"hush".into(), 2, &context).await, Err(PortFault::Unavailable(_))));
}
