//! Renewing grants.

use super::memory::{MINUTE, NOW, Scene, Trouble};
use crate::connect::grant::{Granted, LEASE_MS};
use crate::connect::keep_alive::{self, KeepAlive, Kept};
use crate::ports::{Agenda, Clock, GrantStore};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::identity::Provider;
use secrecy::ExposeSecret;

/// What the renewal came to, in a word: the token's version, or the fault's action and code.
fn told(result: Result<Granted, Fault>) -> String {
    match result {
        Ok(granted) => format!("version {}", granted.version),
        Err(fault) => match fault.action {
            Action::Later { .. } => format!("later {}", fault.code),
            Action::Reconnect => "reconnect".to_owned(),
            other @ (Action::Doubtful | Action::Refused | Action::Broken) => format!("{other:?} {}", fault.code),
        },
    }
}

async fn opened(scene: &Scene) -> String {
    told(scene.grants().open(scene.of(), &scene.row(), scene.deadline()).await)
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let check = async |provider, age_ms: i64, expected: &str, asked: usize| {
        let scene = Scene::connected(provider).await;
        scene.advance(age_ms);
        assert_eq!(opened(&scene).await, expected, "{provider:?} after {age_ms} ms");
        assert_eq!(scene.authority.asked("/token"), asked);
    };
    check(Provider::Xero, 0, "version 1", 0).await;
    check(Provider::Xero, 28 * MINUTE, "version 1", 0).await;
    check(Provider::Xero, 29 * MINUTE, "version 2", 1).await;
    check(Provider::Xero, 300 * MINUTE, "version 2", 1).await;
    check(Provider::SageAccounting, 3 * MINUTE, "version 1", 0).await;
    check(Provider::SageAccounting, 4 * MINUTE, "version 2", 1).await;
    check(Provider::Freeagent, 59 * MINUTE, "version 2", 1).await;
}

#[tokio::test]
async fn new_tokens_are_written_down_with_the_lease_given_up() {
    for provider in Provider::ALL {
        let scene = Scene::connected(provider).await;
        scene.advance(100 * MINUTE);
        let granted = scene.grants().open(scene.of(), &scene.row(), scene.deadline()).await.unwrap();
        let row = scene.row();
        assert_eq!((row.version, row.lease_owner, row.lease_until), (2, None, None));
        assert_eq!(row.refreshed_at, Some(scene.clock.now_ms()));
        assert!(row.access_until > Some(scene.clock.now_ms()));
        // Who reads the row later gets the same token.
        let again = scene.grants().open(scene.of(), &scene.row(), scene.deadline()).await.unwrap();
        assert_eq!(again.token.expose_secret(), granted.token.expose_secret());
        // And the next renewal works too: the right refresh token was kept.
        scene.advance(100 * MINUTE);
        assert_eq!(opened(&scene).await, "version 3");
    }
}

#[tokio::test]
async fn two_hundred_at_once_are_one_renewal() {
    for provider in Provider::ALL {
        let scene = Scene::connected(provider).await;
        scene.advance(100 * MINUTE);
        let row = scene.row();
        let grants = scene.grants();
        let deadline = scene.deadline();
        let tasks = (0..200).map(|_| grants.open(scene.of(), &row, deadline));
        for result in futures::future::join_all(tasks).await {
            assert_eq!(told(result), "version 2");
        }
        assert_eq!(scene.authority.asked("/token"), 1);
    }
}

#[tokio::test]
async fn a_lost_reply_is_survived_where_the_provider_allows() {
    // Both tries at once are lost; a later one meets a refresh token that was used twice.
    let check = async |provider, lost: usize, first: &str, later: &str, status: &str| {
        let scene = Scene::connected(provider).await;
        scene.advance(100 * MINUTE);
        scene.authority.fails((0..lost).map(|_| Trouble::LosesReply));
        assert_eq!(opened(&scene).await, first, "{provider:?}");
        scene.advance(MINUTE);
        assert_eq!(opened(&scene).await, later, "{provider:?}");
        assert_eq!(scene.store.binding("t", "b").status, status, "{provider:?}");
    };
    check(Provider::Xero, 1, "version 2", "version 2", "active").await;
    check(Provider::Xero, 2, "later book_unavailable", "version 2", "active").await;
    check(Provider::Freeagent, 2, "later book_unavailable", "version 2", "active").await;
    check(Provider::SageAccounting, 1, "reconnect", "reconnect", "needs_reconnect").await;
}

#[tokio::test]
async fn a_death_between_rotation_and_save_is_survived_where_the_provider_allows() {
    let check = async |provider, later_ms: i64, expected: &str| {
        let scene = Scene::connected(provider).await;
        scene.advance(100 * MINUTE);
        *scene.store.loses_saves.lock().unwrap() = true;
        // The first process asks, and dies at the moment of the write, with its lease.
        let row = scene.row();
        let owner = "dead";
        let until = scene.clock.now_ms() + LEASE_MS;
        scene.store.lease_grant("b", 1, owner, scene.clock.now_ms(), until).await.unwrap();
        let used = if provider == Provider::Freeagent { "refresh-same" } else { "refresh-0" };
        if provider != Provider::Freeagent {
            let now = scene.clock.now_ms();
            scene.authority.desk(|desk| {
                desk.good.remove(used);
                desk.spent.insert(used.to_owned(), now);
            });
        }
        *scene.store.loses_saves.lock().unwrap() = false;
        // Whoever comes now waits for the dead one's lease, and comes again.
        assert_eq!(told(scene.grants().open(scene.of(), &row, scene.deadline()).await), "later grant_busy");
        scene.advance(later_ms);
        assert_eq!(opened(&scene).await, expected, "{provider:?} {later_ms}");
    };
    check(Provider::Xero, 2 * MINUTE, "version 2").await;
    check(Provider::Xero, 40 * MINUTE, "reconnect").await;
    check(Provider::SageAccounting, 2 * MINUTE, "reconnect").await;
    check(Provider::Freeagent, 2 * MINUTE, "version 2").await;
}

#[tokio::test]
async fn a_write_that_fails_is_tried_until_the_time_is_over() {
    let scene = Scene::connected(Provider::Xero).await;
    scene.advance(100 * MINUTE);
    *scene.store.loses_saves.lock().unwrap() = true;
    let deadline = scene.clock.now_ms() + 41_000;
    let row = scene.row();
    assert_eq!(told(scene.grants().open(scene.of(), &row, deadline).await), "later store_unavailable");
    assert!(deadline - scene.clock.now_ms() < 4_000, "it was tried for long");
    *scene.store.loses_saves.lock().unwrap() = false;
    assert_eq!(opened(&scene).await, "version 2", "Xero takes the old one for half an hour");
}

#[tokio::test]
async fn a_losers_refusal_says_nothing() {
    // Its read was old: somebody renewed meanwhile, and the old refresh token is dead.
    let scene = Scene::connected(Provider::SageAccounting).await;
    let old = scene.row();
    scene.advance(10 * MINUTE);
    assert_eq!(opened(&scene).await, "version 2");
    assert_eq!(told(scene.grants().open(scene.of(), &old, scene.deadline()).await), "version 2");
    // Its request was refused, and at that moment the row moves.
    let scene = Scene::connected(Provider::SageAccounting).await;
    scene.advance(10 * MINUTE);
    scene.authority.desk(|desk| desk.good.clear());
    let mut moved = scene.row();
    moved.version = 2;
    moved.access = scene.row().access;
    let grants = scene.grants();
    let row = scene.row();
    let deadline = scene.deadline();
    let (loser, ()) = futures::future::join(grants.open(scene.of(), &row, deadline), async {
        moved.access = crate::ports::Vault::seal(
            &super::memory::PlainVault,
            &"access-new".into(),
            2,
            &crate::tenants::access_token_context("b"),
        )
        .await
        .unwrap();
        scene.store.grants.lock().unwrap().insert("b".to_owned(), moved);
    })
    .await;
    assert_eq!(told(loser), "version 2");
    assert_eq!(scene.store.binding("t", "b").status, "active");
}

#[tokio::test]
async fn what_is_no_verdict_changes_nothing() {
    let check = async |trouble: Trouble, expected: &str| {
        let scene = Scene::connected(Provider::Xero).await;
        scene.advance(100 * MINUTE);
        scene.authority.fails([trouble.clone(), trouble.clone()]);
        assert_eq!(opened(&scene).await, expected, "{trouble:?}");
        assert_eq!(scene.store.binding("t", "b").status, "active");
        assert_eq!(scene.row().lease_owner, None, "the next one need not wait");
    };
    check(Trouble::Unreachable, "later book_unavailable").await;
    check(Trouble::Says(500, "<html>"), "later book_unavailable").await;
    check(Trouble::Says(429, ""), "later book_unavailable").await;
    check(Trouble::Says(400, "{}"), "later book_unavailable").await;
    check(Trouble::Says(400, r#"{"error":"temporarily_unavailable"}"#), "later book_unavailable").await;
    check(Trouble::Says(200, "{}"), "later book_unavailable").await;
    check(Trouble::Says(400, r#"{"error":"unauthorized_client"}"#), "later app_refused").await;
    check(Trouble::Says(401, r#"{"error":"invalid_client"}"#), "later app_refused").await;
}

#[tokio::test]
async fn an_ending_token_does_while_no_new_one_is_to_be_had() {
    let scene = Scene::connected(Provider::Xero).await;
    scene.advance(29 * MINUTE);
    scene.authority.fails([Trouble::Unreachable]);
    assert_eq!(opened(&scene).await, "version 1");
    // Too little time to renew: the same.
    let soon = scene.clock.now_ms() + 20_000;
    assert_eq!(told(scene.grants().open(scene.of(), &scene.row(), soon).await), "version 1");
    // One that has ended does not do.
    scene.advance(10 * MINUTE);
    let soon = scene.clock.now_ms() + 20_000;
    assert_eq!(told(scene.grants().open(scene.of(), &scene.row(), soon).await), "later out_of_time");
    assert_eq!(scene.authority.asked("/token"), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_by_whoever_comes_first() {
    let scene = Scene::connected(Provider::Xero).await;
    let (first, second) = futures::future::join(
        scene.grants().instead_of(scene.of(), 1, scene.deadline()),
        scene.grants().instead_of(scene.of(), 1, scene.deadline()),
    )
    .await;
    for granted in [first, second] {
        assert_eq!(told(granted.map(Option::unwrap)), "version 2");
    }
    assert_eq!(scene.authority.asked("/token"), 1);
    // One that was set by hand can't be.
    let mut row = scene.row();
    row.refresh = None;
    scene.store.grants.lock().unwrap().insert("b".to_owned(), row);
    assert!(scene.grants().instead_of(scene.of(), 2, scene.deadline()).await.unwrap().is_none());
    scene.advance(1_000 * MINUTE);
    assert_eq!(opened(&scene).await, "version 2");
}

#[tokio::test]
async fn without_an_app_nothing_is_renewed_and_nothing_lost() {
    let scene = Scene::connected(Provider::Xero).await;
    let bare = Scene::new(Provider::Xero);
    bare.store.grants.lock().unwrap().insert("b".to_owned(), scene.row());
    bare.advance(100 * MINUTE);
    assert_eq!(opened(&bare).await, "later app_missing");
    assert_eq!(bare.row().lease_owner, None);
}

#[tokio::test]
async fn an_idle_grant_is_kept_alive() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let check = async |provider, days: i64| {
        let scene = Scene::connected(provider).await;
        scene.store.agenda_put(&keep_alive::entry(provider, "t", "b", NOW)).await.unwrap();
        let due = async || {
            let keep = KeepAlive { agenda: &scene.store, grants: scene.grants() };
            let rows = scene.store.agenda_due(scene.clock.now_ms(), None, 10).await.unwrap();
            let row = rows.first().cloned()?;
            Some(keep.due(&row, scene.clock.now_ms(), scene.deadline()).await.unwrap())
        };
        scene.advance((days - 1) * DAY);
        assert_eq!(due().await, None, "{provider:?}");
        scene.advance(DAY);
        assert_eq!(due().await, Some(Kept::Renewed), "{provider:?}");
        assert_eq!(scene.row().version, 2);
        assert_eq!(due().await, None, "and not again");
        // Used meanwhile: looked at later, without a request.
        scene.advance(days * DAY - MINUTE);
        scene.grants().renew(scene.of(), &scene.row(), scene.deadline()).await.unwrap();
        scene.advance(MINUTE);
        assert_eq!(due().await, Some(Kept::Later));
        assert_eq!(scene.authority.asked("/token"), 2);
        // The provider is down: an hour later.
        scene.advance(days * DAY);
        scene.authority.fails([Trouble::Unreachable]);
        assert_eq!(due().await, Some(Kept::Later));
        scene.advance(61 * MINUTE);
        assert_eq!(due().await, Some(Kept::Renewed));
        // Disconnected: nothing is left of it.
        scene.store.change("t", "b", |row| "disconnected".clone_into(&mut row.status));
        scene.advance(days * DAY);
        assert_eq!(due().await, Some(Kept::Gone));
        assert!(scene.store.agenda.lock().unwrap().is_empty());
    };
    check(Provider::Xero, 25).await;
    check(Provider::SageAccounting, 6).await;
    check(Provider::Freeagent, 28).await;
}
