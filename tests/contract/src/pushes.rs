//! What the push worker asks.

use crate::Subject;
use crate::scene::{NOW, run, want, xref};
use ledger_engine::ports::{ChipView, Deliveries, PushWant, Pushes, Revisit, Revisited, Sweeps};
use ledger_wire::rows::{PushRow, ROW_VERSION, keys};

async fn ask<S: Subject>(subject: &S, number: usize, want: PushWant) {
    let jti = crate::scene::jti(&format!("j-{number}"), &[]);
    let parts = [Revisit::Push(want)];
    assert_eq!(subject.store().revisit(&jti, NOW / 1_000, &parts).await, Ok(Revisited::Done));
}

pub async fn a_push_is_made_and_then_raised<S: Subject>(subject: &S) {
    let pk = keys::push("t", "xero", "invoice", 7);
    ask(subject, 0, PushWant { document_run: Some("r-1".to_owned()), xref: Some("x".to_owned()), ..want() }).await;
    let mut expected = PushRow {
        due_shard: Some(keys::due_shard(&pk)),
        due_at: Some(want().due_at),
        pk,
        sk: keys::PUSH.to_owned(),
        v: ROW_VERSION,
        tenant: "t".to_owned(),
        provider: "xero".to_owned(),
        entity_type: "invoice".to_owned(),
        magento_id: 7,
        document_run: Some("r-1".to_owned()),
        xref: Some("x".to_owned()),
        wanted: 1,
        dispatch: 1,
        expires_at: Some(want().expires_at),
        ..PushRow::default()
    };
    assert_eq!(subject.push().await, Some(expected.clone()));
    // What is not told stays.
    ask(subject, 1, PushWant { payment_run: Some("r-2".to_owned()), due_at: NOW + 9, ..want() }).await;
    expected.payment_run = Some("r-2".to_owned());
    expected.due_at = Some(NOW + 9);
    expected.wanted = 2;
    expected.dispatch = 2;
    assert_eq!(subject.push().await, Some(expected));
}

pub async fn of_many_that_ask_each_counts<S: Subject>(subject: &S) {
    futures::future::join_all((0..20).map(|number| ask(subject, number, want()))).await;
    let push = subject.push().await.unwrap();
    assert_eq!((push.wanted, push.dispatch), (20, 20));
}

pub async fn a_chip_is_seen_with_what_it_is_computed_from<S: Subject>(subject: &S) {
    let pk = keys::push("t", "xero", "invoice", 7);
    assert_eq!(subject.store().chip(&pk).await, Ok(None));
    ask(subject, 0, want()).await;
    let push = subject.push().await.unwrap();
    assert_eq!(subject.store().chip(&pk).await, Ok(Some(ChipView { push, runs: Vec::new(), xref: None })));
    let runs = PushWant {
        document_run: Some("r-1".to_owned()),
        payment_run: Some("r-2".to_owned()),
        xref: Some("x".to_owned()),
        ..want()
    };
    ask(subject, 1, runs).await;
    subject.put_run(&run("r-2")).await;
    let view = subject.store().chip(&pk).await.unwrap().unwrap();
    assert_eq!((view.runs, view.xref), (vec![run("r-2")], None), "as far as they exist");
    subject.put_run(&run("r-1")).await;
    subject.put_xref(&xref("x", 1)).await;
    let view = subject.store().chip(&pk).await.unwrap().unwrap();
    assert_eq!((view.runs, view.xref), (vec![run("r-1"), run("r-2")], Some(xref("x", 1))));
}

pub async fn a_run_that_carries_document_and_payment_is_told_once<S: Subject>(subject: &S) {
    let one = Some("r".to_owned());
    ask(subject, 0, PushWant { document_run: one.clone(), payment_run: one, ..want() }).await;
    subject.put_run(&run("r")).await;
    let view = subject.store().chip(&keys::push("t", "xero", "invoice", 7)).await.unwrap().unwrap();
    assert_eq!(view.runs, [run("r")]);
}

pub async fn what_the_shop_has_is_noted_unless_more_is_wanted_by_then<S: Subject>(subject: &S) {
    ask(subject, 0, want()).await;
    let seen = subject.push().await.unwrap();
    subject.store().put_off(&seen, NOW + 77, "shop_unreachable").await.unwrap();
    let put_off =
        PushRow { due_at: Some(NOW + 77), failures: 1, code: Some("shop_unreachable".to_owned()), ..seen.clone() };
    assert_eq!(subject.push().await, Some(put_off.clone()));
    subject.store().put_off(&put_off, NOW + 78, "shop_unreachable").await.unwrap();
    assert_eq!(subject.push().await.unwrap().failures, 2);
    // Somebody wants more.
    ask(subject, 1, want()).await;
    let more = subject.push().await.unwrap();
    assert_eq!((more.wanted, more.failures), (2, 0));
    assert_eq!(subject.store().pushed(&seen, "synced", NOW).await, Ok(false));
    subject.store().put_off(&seen, NOW + 79, "late").await.unwrap();
    assert_eq!(subject.push().await, Some(more.clone()));
    // What is wanted is pushed.
    assert_eq!(subject.store().pushed(&more, "synced", NOW + 5).await, Ok(true));
    let pushed = PushRow {
        pushed: 2,
        chip: Some("synced".to_owned()),
        pushed_at: Some(NOW + 5),
        due_at: None,
        due_shard: None,
        code: None,
        ..more.clone()
    };
    assert_eq!(subject.push().await, Some(pushed));
    let shard = keys::due_shard(&more.pk).trim_start_matches("due#").parse().unwrap();
    assert_eq!(subject.store().oldest_due(shard).await, Ok(None));
    // Again, as after a lost reply.
    assert_eq!(subject.store().pushed(&more, "synced", NOW + 5).await, Ok(true));
    let nobody = PushRow { pk: "push#none".to_owned(), ..more };
    assert_eq!(subject.store().pushed(&nobody, "synced", NOW).await, Ok(false));
    assert_eq!(Sweeps::push(subject.store(), "push#none").await, Ok(None));
}
