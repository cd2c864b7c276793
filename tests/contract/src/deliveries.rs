//! What the webhook asks.

use crate::Subject;
use crate::scene::{NOW, NOW_SECONDS, jti, run, want};
use ledger_engine::ports::{Accepted, Deliveries, Revisit, Revisited};
use ledger_wire::rows::{JtiRow, RunRow, keys};

pub async fn fifty_deliveries_of_one_run_write_it_once<S: Subject>(subject: &S) {
    let deliveries = (0..50).map(|number| {
        let store = subject.store();
        async move {
            let jti = jti(&format!("j-{number}"), &["r"]);
            store.accept(&[run("r")], &jti, NOW_SECONDS, &subject.unique()).await.unwrap()
        }
    });
    let answers = futures::future::join_all(deliveries).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Accepted::Fresh).count(), 1);
    for answer in answers.iter().filter(|answer| **answer != Accepted::Fresh) {
        // A token that met the run is not spent.
        assert_eq!(*answer, Accepted::Met { jti: None, runs: vec![Some(run("r"))] });
    }
}

pub async fn one_token_is_spent_once<S: Subject>(subject: &S) {
    let spent = jti("j", &["r-1"]);
    let first = subject.store().accept(&[run("r-1")], &spent, NOW_SECONDS, &subject.unique()).await;
    assert_eq!(first, Ok(Accepted::Fresh));
    let again = subject.store().accept(&[run("r-2")], &jti("j", &["r-2"]), NOW_SECONDS, &subject.unique()).await;
    assert_eq!(again, Ok(Accepted::Met { jti: Some(spent), runs: vec![None] }));
    assert!(ledger_engine::ports::Sweeps::run(subject.store(), &keys::run("r-2")).await.unwrap().is_none());
}

pub async fn a_retry_of_the_same_write_is_fresh_again<S: Subject>(subject: &S) {
    let same = subject.unique();
    for _ in 0..2 {
        let answer = subject.store().accept(&[run("r")], &jti("j", &["r"]), NOW_SECONDS, &same).await;
        assert_eq!(answer, Ok(Accepted::Fresh));
    }
    // Under another token it meets itself.
    let answer = subject.store().accept(&[run("r")], &jti("j", &["r"]), NOW_SECONDS, &subject.unique()).await;
    assert_eq!(answer, Ok(Accepted::Met { jti: Some(jti("j", &["r"])), runs: vec![Some(run("r"))] }));
    // The same token for something else: the conditions tell.
    let answer = subject.store().accept(&[run("r")], &jti("k", &["r"]), NOW_SECONDS, &same).await;
    assert_eq!(answer, Ok(Accepted::Met { jti: None, runs: vec![Some(run("r"))] }));
}

pub async fn a_token_that_expired_is_no_hindrance_though_its_row_is_there<S: Subject>(subject: &S) {
    let old = JtiRow { expires_at: NOW_SECONDS, ..jti("j", &["r-1"]) };
    subject.store().accept(&[run("r-1")], &old, NOW_SECONDS - 100, &subject.unique()).await.unwrap();
    let at_the_edge = subject.store().accept(&[run("r-2")], &jti("j", &["r-2"]), NOW_SECONDS, &subject.unique()).await;
    assert_eq!(at_the_edge, Ok(Accepted::Met { jti: Some(old), runs: vec![None] }));
    let after = subject.store().accept(&[run("r-2")], &jti("j", &["r-2"]), NOW_SECONDS + 1, &subject.unique()).await;
    assert_eq!(after, Ok(Accepted::Fresh));
}

pub async fn of_several_runs_all_or_none_are_written_and_each_is_told<S: Subject>(subject: &S) {
    subject.put_run(&run("r-2")).await;
    let runs = [run("r-1"), run("r-2"), run("r-3")];
    let answer = subject.store().accept(&runs, &jti("j", &["r-1", "r-2", "r-3"]), NOW_SECONDS, &subject.unique()).await;
    assert_eq!(answer, Ok(Accepted::Met { jti: None, runs: vec![None, Some(run("r-2")), None] }));
    assert!(ledger_engine::ports::Sweeps::run(subject.store(), &keys::run("r-1")).await.unwrap().is_none());
}

pub async fn a_repeated_delivery_reopens_pushes_and_spends_its_token_together<S: Subject>(subject: &S) {
    let seen = RunRow { state: "dead_lettered".to_owned(), ..run("r-1") };
    let next = RunRow { generation: 2, dispatch: 2, ..run("r-1") };
    subject.put_run(&seen).await;
    let parts =
        [Revisit::Replace { seen: seen.clone(), next: next.clone() }, Revisit::Put(run("r-2")), Revisit::Push(want())];
    let spent = jti("j", &["r-1"]);
    assert_eq!(subject.store().revisit(&spent, NOW_SECONDS, &parts).await, Ok(Revisited::Done));
    assert_eq!(subject.run("r-1").await, next);
    assert_eq!(subject.run("r-2").await, run("r-2"));
    assert_eq!(subject.push().await.unwrap().wanted, 1);
    // Again: the token is spent, and nothing else happens.
    assert_eq!(subject.store().revisit(&spent, NOW_SECONDS, &parts).await, Ok(Revisited::Spent(spent)));
    // With another token: the run is not as it was seen.
    assert_eq!(subject.store().revisit(&jti("k", &["r-1"]), NOW_SECONDS, &parts).await, Ok(Revisited::Changed));
    assert_eq!(subject.push().await.unwrap().wanted, 1);
    // That token was not spent.
    let push = [Revisit::Push(want())];
    assert_eq!(subject.store().revisit(&jti("k", &["r-1"]), NOW_SECONDS, &push).await, Ok(Revisited::Done));
    assert_eq!(subject.push().await.unwrap().wanted, 2);
}

pub async fn each_thing_seen_of_a_run_counts<S: Subject>(subject: &S) {
    let seen = run("r");
    subject.put_run(&seen).await;
    let others = [
        RunRow { generation: 9, ..seen.clone() },
        RunRow { dispatch: 9, ..seen.clone() },
        RunRow { attempt: 9, ..seen.clone() },
        RunRow { state: "waiting".to_owned(), ..seen.clone() },
    ];
    for (number, other) in others.into_iter().enumerate() {
        let parts = [Revisit::Replace { seen: other, next: RunRow { dispatch: 5, ..seen.clone() } }];
        let jti = jti(&format!("j-{number}"), &["r"]);
        assert_eq!(subject.store().revisit(&jti, NOW_SECONDS, &parts).await, Ok(Revisited::Changed));
    }
    assert_eq!(subject.run("r").await, seen);
}

pub async fn an_unsent_run_is_due_sooner_unless_it_went_on<S: Subject>(subject: &S) {
    let seen = run("r");
    subject.put_run(&seen).await;
    subject.store().mark_unsent(&seen, NOW).await.unwrap();
    assert_eq!(subject.run("r").await, RunRow { due_at: Some(NOW), ..seen.clone() });
    for other in [
        RunRow { generation: 2, ..seen.clone() },
        RunRow { dispatch: 2, ..seen.clone() },
        RunRow { state: "running".to_owned(), ..seen.clone() },
    ] {
        subject.put_run(&other).await;
        subject.store().mark_unsent(&seen, NOW).await.unwrap();
        assert_eq!(subject.run("r").await, other);
    }
    // A run that is not there is not made.
    subject.store().mark_unsent(&run("none"), NOW).await.unwrap();
    assert!(ledger_engine::ports::Sweeps::run(subject.store(), &keys::run("none")).await.unwrap().is_none());
}
