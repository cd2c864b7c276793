//! Work in bulk, and cross-references as operators read and write them.

use crate::Subject;
use crate::scene::{NOW, run};
use ledger_engine::ports::{Expect, Jobs, PushWant, Settled, Sweeps, Written, XrefWrite, Xrefs};
use ledger_wire::rows::{JobRow, ROW_VERSION, RunRow, XrefRow, keys};
use std::collections::BTreeMap;

fn job(id: &str, created_at: i64) -> JobRow {
    JobRow {
        pk: keys::jobs("b-1"),
        sk: keys::job(created_at, id),
        v: ROW_VERSION,
        job: id.to_owned(),
        tenant: "t".to_owned(),
        kind: "release_previews".to_owned(),
        state: "open".to_owned(),
        revision: 1,
        due_at: Some(NOW),
        due_shard: Some(keys::due_shard(&keys::jobs("b-1"))),
        created_at,
        ..JobRow::default()
    }
}

fn xref(key: &str, revision: u32) -> XrefRow {
    XrefRow {
        pk: key.to_owned(),
        v: ROW_VERSION,
        state: "linked".to_owned(),
        book: "xero:1".to_owned(),
        revision,
        ..XrefRow::default()
    }
}

pub async fn a_job_is_written_once_and_replaced_as_seen<S: Subject>(subject: &S) {
    let store = subject.store();
    let (old, new) = (job("j-1", NOW), job("j-2", NOW + 1));
    assert_eq!(store.add_job(&old).await, Ok(true));
    assert_eq!(store.add_job(&old).await, Ok(true), "the very same: its reply was lost");
    assert_eq!(store.add_job(&JobRow { done: 1, ..old.clone() }).await, Ok(false));
    assert_eq!(store.add_job(&new).await, Ok(true));
    assert_eq!(store.jobs("b-1", 10).await, Ok(vec![new.clone(), old.clone()]));
    assert_eq!(store.jobs("b-1", 1).await, Ok(vec![new.clone()]));
    assert_eq!(store.job(&old.pk, &old.sk).await, Ok(Some(old.clone())));
    let next = JobRow { revision: 2, done: 50, ..old.clone() };
    assert_eq!(store.replace_job(&old, &next).await, Ok(true));
    assert_eq!(store.replace_job(&old, &next).await, Ok(true), "the very same: its reply was lost");
    assert_eq!(store.replace_job(&old, &JobRow { done: 51, ..next.clone() }).await, Ok(false));
    assert_eq!(store.job(&old.pk, &old.sk).await, Ok(Some(next)));
}

pub async fn runs_since_a_moment_come_oldest_first<S: Subject>(subject: &S) {
    let store = subject.store();
    let id = |number: u32| format!("00000000-0000-4000-8000-{number:012}");
    for (id, at) in [(&id(1), NOW), (&id(2), NOW + 1), (&id(3), NOW + 2)] {
        let row = RunRow { tenant: "since".to_owned(), received_at: at, ..run(id) };
        assert_eq!(store.add_run(&row).await, Ok(true));
        assert_eq!(store.add_run(&RunRow { dispatch: 9, ..row }).await, Ok(false));
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.runs_since("since", NOW + 1, after.as_deref(), 1).await.unwrap();
        seen.extend(page.runs.into_iter().map(|run| run.run_id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [id(2), id(3)]);
}

pub async fn cross_references_are_written_all_or_none<S: Subject>(subject: &S) {
    let store = subject.store();
    let absent = |key: &str| XrefWrite { row: xref(key, 1), expect: Expect::Absent };
    assert_eq!(store.write_xrefs(&[absent("x#1"), absent("x#2")]).await, Ok(None));
    let other = XrefWrite { row: XrefRow { number: Some("7".to_owned()), ..xref("x#2", 1) }, expect: Expect::Absent };
    assert_eq!(store.write_xrefs(&[absent("x#3"), other]).await, Ok(Some("x#2".to_owned())));
    let keys = ["x#1", "x#2", "x#3"].map(str::to_owned);
    let found = store.xrefs(&keys).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["x#1", "x#2"]);
}

/// What DynamoDB calls invalid (Amazon DynamoDB API Reference, "TransactWriteItems"; Developer Guide, "Using Global
/// Secondary Indexes").
pub async fn what_is_invalid_is_refused<S: Subject>(subject: &S) {
    let store = subject.store();
    let write = |row: XrefRow| XrefWrite { row, expect: Expect::Absent };
    let check = async |what: &str, writes: &[XrefWrite], refused: bool| {
        assert_eq!(store.write_xrefs(writes).await.is_err(), refused, "{what}");
    };
    check("one row twice", &[write(xref("x", 1)), write(xref("x", 1))], true).await;
    check("an empty key", &[write(xref("", 1))], true).await;
    check("an empty key of an index", &[write(XrefRow { book: String::new(), ..xref("x", 1) })], true).await;
    let many: Vec<XrefWrite> = (0..101).map(|at| write(xref(&format!("x#{at}"), 1))).collect();
    check("more than a hundred rows", &many, true).await;
    let keys: Vec<String> = many.iter().map(|write| write.row.pk.clone()).chain(["x".to_owned()]).collect();
    assert_eq!(store.xrefs(&keys).await, Ok(BTreeMap::new()));
    check("a hundred rows", &many[..100], false).await;
    assert_eq!(store.xrefs(&keys).await.unwrap().len(), 100);
}

pub async fn cross_references_of_a_book_come_in_pages<S: Subject>(subject: &S) {
    let store = subject.store();
    for key in
        ["xero:1#invoice#t#1", "xero:1#invoice#t#2", "xero:1#invoice#t#3", "xero:1#invoice#u#1", "xero:1#number#t"]
    {
        let write = XrefWrite { row: xref(key, 1), expect: Expect::Absent };
        assert_eq!(store.write_xrefs(&[write]).await, Ok(None));
    }
    let other = XrefRow { book: "xero:2".to_owned(), ..xref("xero:2#invoice#t#1", 1) };
    assert_eq!(store.write_xrefs(&[XrefWrite { row: other, expect: Expect::Absent }]).await, Ok(None));
    let page = async |prefix: &str, after: Option<&str>, limit: usize| {
        let page = store.xrefs_below("xero:1", prefix, after, limit).await.unwrap();
        (page.rows.into_iter().map(|row| row.pk).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = page("xero:1#invoice#t#", None, 2).await;
    assert_eq!(first, ["xero:1#invoice#t#1", "xero:1#invoice#t#2"]);
    assert_eq!(next.as_deref(), Some("xero:1#invoice#t#2"));
    assert_eq!(page("xero:1#invoice#t#", next.as_deref(), 2).await, (vec!["xero:1#invoice#t#3".to_owned()], None));
    assert_eq!(page("xero:1#product#t#", None, 2).await, (Vec::new(), None));
    let (full, next) = page("xero:1#invoice#t#", None, 3).await;
    assert_eq!(
        (full.len(), next.as_deref()),
        (3, Some("xero:1#invoice#t#3")),
        "a full page doesn't know that it is the last"
    );
    assert_eq!(page("xero:1#invoice#t#", next.as_deref(), 3).await, (Vec::new(), None));
}

pub async fn a_run_is_settled_with_its_cross_reference_or_not_at_all<S: Subject>(subject: &S) {
    let store = subject.store();
    let seen = run("r-settled");
    assert_eq!(store.add_run(&seen).await, Ok(true));
    let next = RunRow { state: "succeeded".to_owned(), code: Some("settled_by_hand".to_owned()), ..seen.clone() };
    let push = PushWant {
        tenant: seen.tenant.clone(),
        provider: seen.provider.clone(),
        entity_type: "invoice".to_owned(),
        magento_id: seen.magento_id,
        document_run: Some(seen.run_id.clone()),
        payment_run: None,
        xref: None,
        due_at: NOW,
        expires_at: NOW / 1_000,
    };
    let settled = |key: &str, seen: &RunRow| Settled {
        seen: seen.clone(),
        next: next.clone(),
        xrefs: vec![XrefWrite { row: xref(key, 1), expect: Expect::Absent }],
        push: push.clone(),
    };
    assert_eq!(store.write_xrefs(&[XrefWrite { row: xref("s#1", 5), expect: Expect::Absent }]).await, Ok(None));
    assert_eq!(store.settle(&settled("s#1", &seen)).await, Ok(Written::Changed("s#1".to_owned())));
    assert_eq!(store.run(&seen.pk).await, Ok(Some(seen.clone())));
    let stale = RunRow { dispatch: seen.dispatch + 1, ..seen.clone() };
    assert_eq!(store.settle(&settled("s#2", &stale)).await, Ok(Written::Lost));
    assert_eq!(store.settle(&settled("s#2", &seen)).await, Ok(Written::Done));
    assert_eq!(store.settle(&settled("s#2", &seen)).await, Ok(Written::Done), "the very same: its reply was lost");
    assert_eq!(store.run(&seen.pk).await, Ok(Some(next)));
    let chip = keys::push(&push.tenant, &push.provider, &push.entity_type, push.magento_id);
    assert!(store.push(&chip).await.unwrap().is_some());
}
