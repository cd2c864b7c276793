//! What the workers ask.

use crate::scene::{NOW, attempt, binding, claim, gather, run, tenant, want, xref};
use crate::{Subject, Table};
use ledger_engine::ports::{
    Attempts, ClaimRequest, Claimed, Commit, Expect, GatherRequest, GrantStore, Operations, PortFault, Progress,
    Release, Sweeps, Tenants, Written, XrefWrite,
};
use ledger_wire::rows::{
    AttentionRow, CallsRow, LeaseRow, PaceRow, ROW_VERSION, RunRow, SealedRow, SettingsRow, TokenRow, XrefRow, keys,
};

pub async fn a_claim_takes_run_and_book<S: Subject>(subject: &S) {
    let queued = RunRow { state_key: Some("held".to_owned()), state_order: Some("b#1".to_owned()), ..run("r") };
    subject.put_run(&queued).await;
    let request = ClaimRequest { now: NOW + 1, ..claim("r", "c-1") };
    assert_eq!(subject.store().claim(&request).await, Ok(Claimed::Ours));
    let claimed = RunRow {
        state: "running".to_owned(),
        claim: Some("c-1".to_owned()),
        claim_until: Some(NOW + 65_000),
        attempt: 1,
        unfinished: 1,
        updated_at: NOW + 1,
        ..run("r")
    };
    assert_eq!(subject.run("r").await, claimed, "the due mark is where it was, the state mark is gone");
    let lease = LeaseRow {
        pk: keys::book("book"),
        sk: keys::LEASE.to_owned(),
        v: ROW_VERSION,
        claim: "c-1".to_owned(),
        until: NOW + 65_000,
        taken_at: NOW + 1,
        pace: PaceRow::default(),
    };
    assert_eq!(subject.store().lease("book").await, Ok(Some(lease)));
    // The same call again answers the same and counts nothing twice, with other times in it too.
    assert_eq!(subject.store().claim(&request).await, Ok(Claimed::Ours));
    let later = ClaimRequest { now: NOW + 2, ..request };
    assert_eq!(subject.store().claim(&later).await, Ok(Claimed::Ours));
    assert_eq!(subject.run("r").await, claimed);
}

pub async fn of_many_claims_one_wins<S: Subject>(subject: &S) {
    subject.put_run(&run("r")).await;
    let claims = (0..20).map(|number| {
        let store = subject.store();
        async move { store.claim(&claim("r", &format!("c-{number}"))).await.unwrap() }
    });
    let answers = futures::future::join_all(claims).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Claimed::Ours).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer, Claimed::Ours | Claimed::Not(Some(_)))));
    assert_eq!(subject.run("r").await.attempt, 1);
}

pub async fn one_book_has_one_writer<S: Subject>(subject: &S) {
    for number in 0..10 {
        subject.put_run(&run(&format!("r-{number}"))).await;
    }
    let claims = (0..10).map(|number| {
        let store = subject.store();
        async move { store.claim(&claim(&format!("r-{number}"), &format!("c-{number}"))).await.unwrap() }
    });
    let answers = futures::future::join_all(claims).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Claimed::Ours).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Claimed::BookBusy(NOW + 65_000)).count(), 9);
    // Who didn't get the book didn't touch the run.
    let mut attempts = 0;
    for number in 0..10 {
        attempts += subject.run(&format!("r-{number}")).await.attempt;
    }
    assert_eq!(attempts, 1);
}

pub async fn a_lease_ends_by_itself<S: Subject>(subject: &S) {
    subject.claimed("r-1").await;
    subject.put_run(&run("r-2")).await;
    let until = NOW + 65_000;
    let at = |now| ClaimRequest { now, until: now + 65_000, ..claim("r-2", &format!("c-{now}")) };
    assert_eq!(subject.store().claim(&at(until)).await, Ok(Claimed::BookBusy(until)));
    assert_eq!(subject.store().claim(&at(until + 1)).await, Ok(Claimed::Ours));
}

pub async fn only_what_is_ready_is_claimed<S: Subject>(subject: &S) {
    let ready = [
        RunRow { state: "waiting".to_owned(), due_at: Some(NOW), ..run("waiting") },
        RunRow {
            state: "running".to_owned(),
            claim: Some("old".to_owned()),
            claim_until: Some(NOW - 1),
            ..run("dead")
        },
        RunRow { unfinished: 2, ..run("last-chance") },
    ];
    for (number, row) in ready.iter().enumerate() {
        subject.put_run(row).await;
        let request = ClaimRequest { book: format!("book-{number}"), ..claim(&row.run_id, &format!("c-{number}")) };
        assert_eq!(subject.store().claim(&request).await, Ok(Claimed::Ours), "{}", row.run_id);
    }
    let not = [
        RunRow { state: "waiting".to_owned(), due_at: Some(NOW + 1), ..run("too-early") },
        RunRow { state: "waiting".to_owned(), due_at: None, due_shard: None, ..run("never") },
        RunRow { state: "running".to_owned(), claim: Some("old".to_owned()), claim_until: Some(NOW), ..run("alive") },
        RunRow { state: "held".to_owned(), ..run("held") },
        RunRow { state: "succeeded".to_owned(), ..run("done") },
        RunRow { state: "skipped".to_owned(), ..run("skipped") },
        RunRow { state: "dead_lettered".to_owned(), ..run("dead-lettered") },
        RunRow { generation: 2, ..run("another-generation") },
        RunRow { unfinished: 3, ..run("crashed") },
    ];
    for row in &not {
        subject.put_run(row).await;
        let request = ClaimRequest { book: "free".to_owned(), ..claim(&row.run_id, &row.run_id) };
        assert_eq!(subject.store().claim(&request).await, Ok(Claimed::Not(Some(row.clone()))), "{}", row.run_id);
        assert_eq!(subject.run(&row.run_id).await, *row);
    }
    assert_eq!(subject.store().claim(&claim("none", "c")).await, Ok(Claimed::Not(None)));
    assert_eq!(subject.store().lease("free").await, Ok(None), "a lease is never taken without its run");
}

pub async fn the_run_is_judged_before_the_book<S: Subject>(subject: &S) {
    subject.claimed("r-1").await;
    let done = RunRow { state: "succeeded".to_owned(), ..run("r-2") };
    subject.put_run(&done).await;
    assert_eq!(subject.store().claim(&claim("r-2", "c-2")).await, Ok(Claimed::Not(Some(done))));
}

pub async fn a_run_of_a_newer_build_is_not_claimed<S: Subject>(subject: &S) {
    let newer = RunRow { v: ROW_VERSION + 1, ..run("r") };
    subject.put_run(&newer).await;
    assert!(matches!(subject.store().claim(&claim("r", "c")).await, Err(PortFault::Inconsistent(_))));
    assert!(matches!(subject.store().gather(&gather("r")).await, Err(PortFault::Inconsistent(_))));
    assert!(matches!(Sweeps::run(subject.store(), &keys::run("r")).await, Err(PortFault::Inconsistent(_))));
}

pub async fn an_attempt_reads_all_it_needs_at_once<S: Subject>(subject: &S) {
    let token = TokenRow {
        pk: keys::of_binding("b"),
        sk: keys::TOKEN.to_owned(),
        v: ROW_VERSION,
        access: SealedRow { ciphertext: "YQ==".to_owned(), version: 1 },
        version: 1,
        ..TokenRow::default()
    };
    let settings = |version| SettingsRow {
        pk: keys::of_binding("b"),
        sk: keys::settings(version),
        v: ROW_VERSION,
        version,
        ..SettingsRow::default()
    };
    subject.store().add_tenant(&tenant("t")).await.unwrap();
    subject.store().add_binding(&binding("t", "b"), &settings(1), &token).await.unwrap();
    subject.put_run(&run("r")).await;
    let wanted: Vec<String> = (0..90).map(|number| format!("x-{number}")).collect();
    for pk in wanted.iter().step_by(2) {
        subject.put_xref(&xref(pk, 1)).await;
    }
    let twice = wanted.iter().chain(&wanted).cloned().collect();
    let gathered = subject.store().gather(&GatherRequest { xrefs: twice, ..gather("r") }).await.unwrap();
    assert_eq!(gathered.run, Some(run("r")));
    assert_eq!(gathered.tenant, Some(tenant("t")));
    assert_eq!(gathered.binding, Some(binding("t", "b")));
    assert_eq!(gathered.token, Some(token));
    assert_eq!(gathered.lease, None);
    assert_eq!(gathered.xrefs.len(), 45);
    assert!(gathered.xrefs.iter().all(|(pk, row)| *row == xref(pk, 1)));
    assert_eq!(subject.store().settings("b", 1).await, Ok(Some(settings(1))));
    assert_eq!(subject.store().settings("b", 2).await, Ok(None));
    let nothing = GatherRequest { tenant: "u".to_owned(), binding: "u".to_owned(), ..gather("none") };
    assert_eq!(subject.store().gather(&nothing).await, Ok(ledger_engine::ports::Gathered::default()));
}

fn progress(xrefs: &[(XrefRow, Expect)]) -> Progress {
    Progress {
        run_id: "r".to_owned(),
        claim: "c-1".to_owned(),
        xrefs: xrefs.iter().map(|(row, expect)| XrefWrite { row: row.clone(), expect: expect.clone() }).collect(),
    }
}

pub async fn a_reservation_is_written_only_where_it_is_expected<S: Subject>(subject: &S) {
    subject.claimed("r").await;
    let owned =
        |pk: &str, document: &str, revision| XrefRow { document: Some(document.to_owned()), ..xref(pk, revision) };
    // Absent.
    assert_eq!(subject.store().progress(&progress(&[(xref("x", 1), Expect::Absent)])).await, Ok(Written::Done));
    assert_eq!(
        subject.store().progress(&progress(&[(xref("x", 2), Expect::Absent)])).await,
        Ok(Written::Changed("x".to_owned()))
    );
    // The very same again is one whose reply was lost.
    assert_eq!(subject.store().progress(&progress(&[(xref("x", 1), Expect::Absent)])).await, Ok(Written::Done));
    // Revision.
    assert_eq!(subject.store().progress(&progress(&[(xref("x", 2), Expect::Revision(1))])).await, Ok(Written::Done));
    assert_eq!(
        subject.store().progress(&progress(&[(xref("x", 3), Expect::Revision(1))])).await,
        Ok(Written::Changed("x".to_owned()))
    );
    assert_eq!(
        subject.store().progress(&progress(&[(xref("none", 1), Expect::Revision(0))])).await,
        Ok(Written::Changed("none".to_owned()))
    );
    // Absent or of this document.
    let of = |document: &str| Expect::AbsentOrOf(document.to_owned());
    for revision in [1, 2] {
        let write = progress(&[(owned("n", "x", revision), of("x"))]);
        assert_eq!(subject.store().progress(&write).await, Ok(Written::Done));
    }
    assert_eq!(
        subject.store().progress(&progress(&[(owned("n", "y", 1), of("y"))])).await,
        Ok(Written::Changed("n".to_owned()))
    );
    subject.put_xref(&xref("nobodys", 1)).await;
    assert_eq!(
        subject.store().progress(&progress(&[(owned("nobodys", "x", 2), of("x"))])).await,
        Ok(Written::Changed("nobodys".to_owned()))
    );
    // All or nothing, and the first that is in the way is told.
    let write = progress(&[
        (xref("new", 1), Expect::Absent),
        (xref("x", 9), Expect::Revision(8)),
        (owned("n", "y", 1), of("y")),
    ]);
    assert_eq!(subject.store().progress(&write).await, Ok(Written::Changed("x".to_owned())));
    assert_eq!(subject.xref("new").await, None);
    assert_eq!(subject.xref("x").await, Some(xref("x", 2)));
    assert_eq!(subject.xref("n").await, Some(owned("n", "x", 2)));
}

pub async fn who_lost_the_claim_writes_nothing<S: Subject>(subject: &S) {
    let before = subject.claimed("r").await;
    // Its time is over and another takes it.
    let late = NOW + 65_001;
    let other = ClaimRequest { now: late, until: late + 65_000, ..claim("r", "c-2") };
    assert_eq!(subject.store().claim(&other).await, Ok(Claimed::Ours));
    let held = subject.run("r").await;
    assert_eq!((held.attempt, held.unfinished), (2, 2));
    assert_eq!(subject.store().progress(&progress(&[(xref("x", 1), Expect::Absent)])).await, Ok(Written::Lost));
    let commit = commit(&before, &[(xref("x", 1), Expect::Absent)]);
    assert_eq!(subject.store().commit(&commit).await, Ok(Written::Lost));
    assert_eq!(subject.run("r").await, held);
    assert_eq!(subject.xref("x").await, None);
    assert_eq!(subject.push().await, None);
    assert_eq!(subject.store().attempts("r").await, Ok(Vec::new()));
    assert_eq!(subject.store().lease("book").await.unwrap().unwrap().claim, "c-2");
    // So does one whose run is not there at all.
    let nobody = Progress { run_id: "none".to_owned(), ..progress(&[]) };
    assert_eq!(subject.store().progress(&nobody).await, Ok(Written::Lost));
}

fn pace() -> PaceRow {
    PaceRow { calls: vec![CallsRow { slot: 7, count: 3 }], closed_until: Some(NOW + 9) }
}

fn commit(run: &RunRow, xrefs: &[(XrefRow, Expect)]) -> Commit {
    Commit {
        run: RunRow {
            state: "succeeded".to_owned(),
            claim: None,
            claim_until: None,
            due_shard: None,
            due_at: None,
            unfinished: 0,
            updated_at: NOW + 5,
            ..run.clone()
        },
        claim: "c-1".to_owned(),
        xrefs: progress(xrefs).xrefs,
        push: Some(want()),
        order: None,
        attempt: attempt(run),
        release: Some(Release { book: "book".to_owned(), pace: Some(pace()) }),
    }
}

pub async fn an_outcome_is_written_with_all_that_depends_on_it<S: Subject>(subject: &S) {
    let claimed = subject.claimed("r").await;
    let commit = commit(&claimed, &[(xref("x", 1), Expect::Absent)]);
    assert_eq!(subject.store().commit(&commit).await, Ok(Written::Done));
    assert_eq!(subject.run("r").await, commit.run);
    assert_eq!(subject.xref("x").await, Some(xref("x", 1)));
    assert_eq!(subject.push().await.unwrap().wanted, 1);
    assert_eq!(subject.store().attempts("r").await, Ok(vec![commit.attempt.clone()]));
    let lease = subject.store().lease("book").await.unwrap().unwrap();
    assert_eq!((lease.claim.as_str(), lease.taken_at), ("", NOW));
    // The due mark is gone from the index too.
    assert_eq!(subject.store().oldest_due(shard("r")).await, Ok(None));
    // Again, as after a lost reply: the same answer, and nothing counts twice.
    assert_eq!(subject.store().commit(&commit).await, Ok(Written::Done));
    assert_eq!(subject.push().await.unwrap().wanted, 1);
    // The book is free at once.
    subject.put_run(&run("r-2")).await;
    assert_eq!(subject.store().claim(&claim("r-2", "c-9")).await, Ok(Claimed::Ours));
}

fn shard(id: &str) -> u8 {
    keys::due_shard(&keys::run(id)).trim_start_matches("due#").parse().unwrap()
}

pub async fn an_outcome_survives_the_loss_of_its_lease<S: Subject>(subject: &S) {
    for (id, lease) in [("taken", Some("other")), ("gone", None)] {
        let claimed = subject.claimed(id).await;
        match lease {
            Some(claim) => {
                let there = subject.store().lease("book").await.unwrap().unwrap();
                subject.put(LeaseRow { claim: claim.to_owned(), ..there }).await;
            }
            None => subject.remove(Table::Tenants, &keys::book("book"), keys::LEASE).await,
        }
        let pk = format!("x-{id}");
        let commit = commit(&claimed, &[(xref(&pk, 1), Expect::Absent)]);
        assert_eq!(subject.store().commit(&commit).await, Ok(Written::Done), "{id}");
        assert_eq!(subject.run(id).await, commit.run);
        assert_eq!(subject.xref(&pk).await, Some(xref(&pk, 1)));
        assert_eq!(subject.store().attempts(id).await, Ok(vec![commit.attempt]));
        let lease_left = subject.store().lease("book").await.unwrap();
        let released = lease_left.as_ref().filter(|lease| lease.claim.is_empty());
        assert!(released.is_none_or(|lease| lease.pace == pace()), "the pace travels with the lease");
        let left = lease_left.map(|lease| lease.claim);
        assert_eq!(left.as_deref(), lease, "another's lease stays his");
        subject.remove(Table::Tenants, &keys::book("book"), keys::LEASE).await;
    }
    assert_eq!(subject.push().await.unwrap().wanted, 2);
}

pub async fn an_outcome_is_not_written_over_anothers_cross_reference_or_generation<S: Subject>(subject: &S) {
    let claimed = subject.claimed("r").await;
    subject.put_xref(&XrefRow { run_id: "other".to_owned(), ..xref("x", 4) }).await;
    let write = commit(&claimed, &[(xref("x", 2), Expect::Revision(1))]);
    assert_eq!(subject.store().commit(&write).await, Ok(Written::Changed("x".to_owned())));
    assert_eq!(subject.run("r").await, claimed);
    assert_eq!(subject.store().lease("book").await.unwrap().unwrap().claim, "c-1");
    let reopened = RunRow { generation: 2, ..claimed.clone() };
    assert_eq!(subject.store().commit(&commit(&reopened, &[])).await, Ok(Written::Lost));
    // Without push, cross-references and lease it is small.
    let small = Commit { push: None, release: None, ..commit(&claimed, &[]) };
    assert_eq!(subject.store().commit(&small).await, Ok(Written::Done));
    assert_eq!(subject.push().await, None);
}

pub async fn the_pace_of_a_book_goes_from_hand_to_hand<S: Subject>(subject: &S) {
    let claimed = subject.claimed("r-1").await;
    assert_eq!(subject.store().commit(&commit(&claimed, &[])).await, Ok(Written::Done));
    subject.put_run(&run("r-2")).await;
    assert_eq!(subject.store().claim(&claim("r-2", "c-2")).await, Ok(Claimed::Ours));
    let gathered = subject.store().gather(&gather("r-2")).await.unwrap();
    let lease = gathered.lease.unwrap();
    assert_eq!((lease.claim.as_str(), lease.pace), ("c-2", pace()));
    let without = GatherRequest { book: String::new(), ..gather("r-2") };
    assert_eq!(subject.store().gather(&without).await.unwrap().lease, None);
}

pub async fn a_run_is_replaced_only_as_seen<S: Subject>(subject: &S) {
    let seen = run("r");
    subject.put_run(&seen).await;
    let next =
        RunRow { state: "waiting".to_owned(), code: Some("book".to_owned()), updated_at: NOW + 1, ..seen.clone() };
    let other = RunRow { dispatch: 9, ..seen.clone() };
    let store = subject.store();
    assert_eq!(Attempts::replace_run(store, &other, &next, None).await, Ok(false));
    assert_eq!(Attempts::replace_run(store, &other, &next, Some(&want())).await, Ok(false));
    assert_eq!(subject.push().await, None);
    assert_eq!(Attempts::replace_run(store, &seen, &next, None).await, Ok(true));
    assert_eq!(subject.run("r").await, next);
    // The very same again is one whose reply was lost.
    assert_eq!(Sweeps::replace_run(store, &seen, &next, None).await, Ok(true));
    let last = RunRow { state: "held".to_owned(), ..next.clone() };
    assert_eq!(Sweeps::replace_run(store, &next, &last, Some(&want())).await, Ok(true));
    assert_eq!(subject.run("r").await, last);
    assert_eq!(subject.push().await.unwrap().wanted, 1);
    // A run that is not there is not made.
    assert_eq!(Sweeps::replace_run(store, &run("none"), &run("none"), None).await, Ok(false));
    // Of many that saw the same, one wins.
    let races = (0..10).map(|number| {
        let (store, last) = (subject.store(), last.clone());
        async move {
            let next = RunRow { dispatch: 2, updated_at: NOW + 100 + number, ..last.clone() };
            Sweeps::replace_run(store, &last, &next, None).await.unwrap()
        }
    });
    let won = futures::future::join_all(races).await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

pub async fn a_shop_that_refuses_is_asked_after_until_it_accepts<S: Subject>(subject: &S) {
    let store = subject.store();
    store.add_tenant(&tenant("t")).await.unwrap();
    Attempts::shop_refuses(store, "t", NOW).await.unwrap();
    Attempts::shop_refuses(store, "t", NOW + 1).await.unwrap();
    let noted = store.tenancy("t").await.unwrap().unwrap().tenant;
    assert_eq!((noted.refused_since, noted.status.as_str()), (Some(NOW), "connected"));
    let asked = AttentionRow {
        pk: keys::ATTENTION.to_owned(),
        sk: keys::shop("t"),
        v: ROW_VERSION,
        tenant: "t".to_owned(),
        since: NOW,
    };
    assert_eq!(store.attentions().await, Ok(vec![asked.clone()]));
    store.shop_revoked("t").await.unwrap();
    assert_eq!(store.tenancy("t").await.unwrap().unwrap().tenant.status, "token_revoked");
    assert_eq!(store.attentions().await, Ok(vec![asked]), "it is asked after all the same");
    store.shop_accepts("t").await.unwrap();
    assert_eq!(store.tenancy("t").await.unwrap().unwrap().tenant, tenant("t"));
    assert_eq!(store.attentions().await, Ok(Vec::new()));
    // Nothing to clear is no fault, and an unknown tenant is not made.
    store.shop_accepts("t").await.unwrap();
    for tenant in ["none"] {
        Attempts::shop_refuses(store, tenant, NOW).await.unwrap();
        store.shop_accepts(tenant).await.unwrap();
        store.shop_revoked(tenant).await.unwrap();
        assert_eq!(store.tenancy(tenant).await, Ok(None));
    }
    assert_eq!(store.attentions().await, Ok(Vec::new()));
}

pub async fn pending_and_disconnected_shops_keep_their_status<S: Subject>(subject: &S) {
    let store = subject.store();
    for status in ["pending", "disconnected"] {
        let row = ledger_wire::rows::TenantRow { status: status.to_owned(), ..tenant(status) };
        store.add_tenant(&row).await.unwrap();
        Attempts::shop_refuses(store, status, NOW).await.unwrap();
        store.shop_revoked(status).await.unwrap();
        assert_eq!(store.tenancy(status).await.unwrap().unwrap().tenant.status, status);
        store.shop_accepts(status).await.unwrap();
        assert_eq!(store.tenancy(status).await.unwrap().unwrap().tenant, row);
    }
    assert_eq!(store.attentions().await, Ok(Vec::new()));
}

pub async fn only_an_active_binding_comes_to_need_a_connection<S: Subject>(subject: &S) {
    let store = subject.store();
    store.add_tenant(&tenant("t")).await.unwrap();
    for (id, status, then) in [
        ("b-1", "active", "needs_reconnect"),
        ("b-2", "paused", "paused"),
        ("b-3", "disconnected", "disconnected"),
        ("b-4", "pending", "pending"),
    ] {
        let row = ledger_wire::rows::BindingRow { status: status.to_owned(), ..binding("t", id) };
        let (settings, token) = crate::operations::settings_and_token(id);
        store.add_binding(&row, &settings, &token).await.unwrap();
        assert_eq!(store.needs_reconnect("t", id, None).await, Ok(true));
        let tenancy = store.tenancy("t").await.unwrap().unwrap();
        let now = tenancy.bindings.iter().find(|binding| binding.binding == id).unwrap();
        assert_eq!(now.status, then);
    }
    assert_eq!(store.needs_reconnect("t", "none", None).await, Ok(true));
    assert_eq!(store.tenancy("t").await.unwrap().unwrap().bindings.len(), 4);
}
