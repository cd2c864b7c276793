//! What the sweeper asks.

use crate::scene::{NOW, run, want};
use crate::{Subject, Table};
use ledger_engine::ports::{Deliveries, DueKey, Revisit, StateEntry, Sweeps};
use ledger_wire::rows::{PushRow, RunRow, keys};

fn shard(pk: &str) -> u8 {
    keys::due_shard(pk).trim_start_matches("due#").parse().unwrap()
}

pub async fn what_is_due_is_found_oldest_first<S: Subject>(subject: &S) {
    // Enough runs that some share a shard.
    let runs: Vec<RunRow> =
        (0..40_i64).map(|number| RunRow { due_at: Some(NOW - number), ..run(&format!("r-{number}")) }).collect();
    for run in &runs {
        subject.put_run(run).await;
    }
    subject.put_run(&RunRow { due_at: Some(NOW + 1), ..run("later") }).await;
    subject.put_run(&RunRow { due_at: None, due_shard: None, ..run("never") }).await;
    let mut found = 0;
    for shard in 0..ledger_wire::rows::DUE_SHARDS {
        let all = subject.store().due(shard, NOW, 100).await.unwrap();
        let mut expected: Vec<DueKey> = runs
            .iter()
            .filter(|run| keys::due_shard(&run.pk) == format!("due#{shard}"))
            .map(|run| DueKey { pk: run.pk.clone(), sk: keys::RUN.to_owned(), due_at: run.due_at.unwrap() })
            .collect();
        expected.sort_by_key(|due| due.due_at);
        assert_eq!(all, expected);
        assert_eq!(subject.store().due(shard, NOW, 1).await.unwrap(), expected[..expected.len().min(1)]);
        assert_eq!(subject.store().due(shard, NOW, 0).await, Ok(Vec::new()));
        if let Some(first) = expected.first() {
            assert_eq!(subject.store().oldest_due(shard).await, Ok(Some(first.due_at)));
        }
        found += all.len();
    }
    assert_eq!(found, 40);
    // The mark moves.
    let moved = RunRow { due_at: Some(NOW + 500), ..runs[0].clone() };
    assert_eq!(Sweeps::replace_run(subject.store(), &runs[0], &moved, None).await, Ok(true));
    let due = subject.store().due(shard(&moved.pk), NOW, 100).await.unwrap();
    assert!(due.iter().all(|due| due.pk != moved.pk));
}

pub async fn a_push_is_due_like_a_run<S: Subject>(subject: &S) {
    subject.store().revisit(&crate::scene::jti("j", &[]), NOW / 1_000, &[Revisit::Push(want())]).await.unwrap();
    let push = subject.push().await.unwrap();
    let due = DueKey { pk: push.pk.clone(), sk: keys::PUSH.to_owned(), due_at: want().due_at };
    assert_eq!(subject.store().due(shard(&push.pk), want().due_at, 10).await, Ok(vec![due]));
    assert_eq!(subject.store().due(shard(&push.pk), want().due_at - 1, 10).await, Ok(Vec::new()));
}

pub async fn a_push_is_replaced_only_as_seen<S: Subject>(subject: &S) {
    subject.store().revisit(&crate::scene::jti("j", &[]), NOW / 1_000, &[Revisit::Push(want())]).await.unwrap();
    let seen = subject.push().await.unwrap();
    let next = PushRow { dispatch: 2, due_at: Some(NOW + 9), ..seen.clone() };
    for other in [PushRow { dispatch: 9, ..seen.clone() }, PushRow { wanted: 9, ..seen.clone() }] {
        assert_eq!(subject.store().replace_push(&other, &next).await, Ok(false));
    }
    assert_eq!(subject.store().replace_push(&seen, &next).await, Ok(true));
    assert_eq!(subject.push().await, Some(next.clone()));
    assert_eq!(subject.store().replace_push(&seen, &next).await, Ok(true), "its reply was lost");
    assert_eq!(subject.store().replace_push(&seen, &PushRow { due_at: Some(NOW), ..next }).await, Ok(false));
}

fn held(number: usize, binding: &str) -> RunRow {
    RunRow {
        state: "held".to_owned(),
        state_key: Some("held".to_owned()),
        state_order: Some(format!("{binding}#{number:06}")),
        code: Some("needs_reconnect".to_owned()),
        owner: Some("merchant".to_owned()),
        ..run(&format!("{binding}-{number}"))
    }
}

pub async fn the_index_by_state_is_read_page_by_page<S: Subject>(subject: &S) {
    for number in 0..25 {
        subject.put_run(&held(number, "a")).await;
        subject.put_run(&held(number, "b")).await;
    }
    let dead = RunRow { state_key: Some("dead_lettered".to_owned()), code: None, owner: None, ..held(0, "c") };
    subject.put_run(&dead).await;
    let mut orders = Vec::new();
    let mut after: Option<StateEntry> = None;
    loop {
        let page = subject.store().by_state("held", "a#", after.as_ref(), 10).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 10);
        orders.extend(page.iter().map(|entry| entry.order.clone()));
        // What a page ended with may be gone when the next is asked for.
        if after.is_none() {
            subject.remove(Table::SyncRuns, &last.pk, keys::RUN).await;
        }
        after = Some(last.clone());
    }
    assert_eq!(orders, (0..25).map(|number| format!("a#{number:06}")).collect::<Vec<_>>());
    let all = subject.store().by_state("held", "", None, 1_000).await.unwrap();
    assert_eq!(all.len(), 49);
    assert!(all.is_sorted_by(|a, b| a.order < b.order));
    assert_eq!(
        all[0],
        StateEntry {
            pk: keys::run("a-0"),
            code: "needs_reconnect".to_owned(),
            owner: "merchant".to_owned(),
            order: "a#000000".to_owned()
        }
    );
    let dead = subject.store().by_state("dead_lettered", "", None, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].code.as_str(), dead[0].owner.as_str()), (1, "", ""));
    assert_eq!(subject.store().by_state("held", "z#", None, 10).await, Ok(Vec::new()));
    // A run that leaves the state leaves the index.
    let next = RunRow { state: "queued".to_owned(), state_key: None, state_order: None, ..held(1, "a") };
    assert_eq!(Sweeps::replace_run(subject.store(), &held(1, "a"), &next, None).await, Ok(true));
    assert_eq!(subject.store().by_state("held", "a#", None, 100).await.unwrap().len(), 23);
}
