//! What connecting a book asks, and keeping it connected.

use crate::scene::{NOW, NOW_SECONDS, binding, tenant};
use crate::{PrefixRow, Subject};
use async_trait::async_trait;
use ledger_engine::connect::grant::{GrantOf, Grants};
use ledger_engine::dialects::Reply;
use ledger_engine::domain::fault::Action;
use ledger_engine::domain::identity::Provider;
use ledger_engine::ports::{
    Agenda, Authorities, AuthorityCall, Clock, Confirmation, ConnectStore, GrantLeased, GrantStore, Operations,
    PortFault, SealContext, Sweeps, Tenants, TransportFault, Vault,
};
use ledger_engine::tenants::{access_token_context, client_secret_context, refresh_token_context};
use ledger_wire::rows::{
    AgendaRow, AppHostsRow, AppRow, AuthorityUserRow, BindingRow, BookBindingRow, ConnectLinkRow, OAuthStateRow,
    OrganisationRow, PendingConnectionRow, ROW_VERSION, SealedRow, TokenRow, keys,
};
use secrecy::{ExposeSecret, SecretString};
use std::sync::atomic::{AtomicUsize, Ordering};

fn sealed() -> SealedRow {
    SealedRow { ciphertext: "YQ==".to_owned(), version: 1 }
}

fn grant(binding: &str, version: u32) -> TokenRow {
    TokenRow {
        pk: keys::of_binding(binding),
        sk: keys::TOKEN.to_owned(),
        v: ROW_VERSION,
        access: sealed(),
        version,
        access_until: Some(NOW),
        refresh: Some(sealed()),
        refreshed_at: Some(NOW - 1_000),
        authority_user: Some("user-1".to_owned()),
        ..TokenRow::default()
    }
}

fn pending(id: &str) -> PendingConnectionRow {
    PendingConnectionRow {
        pk: keys::of_binding("b"),
        sk: keys::PENDING.to_owned(),
        v: ROW_VERSION,
        id: id.to_owned(),
        tenant: "t".to_owned(),
        binding: "b".to_owned(),
        provider: "xero".to_owned(),
        operator: "anna".to_owned(),
        access: sealed(),
        made_at: NOW,
        organisations: vec![OrganisationRow {
            id: "1".to_owned(),
            name: "One".to_owned(),
            ..OrganisationRow::default()
        }],
        expires_at: NOW_SECONDS + 600,
        ..PendingConnectionRow::default()
    }
}

fn confirmation(seen: &BindingRow, seen_grant: Option<u32>) -> Confirmation {
    let next = BindingRow {
        status: "active".to_owned(),
        book: "xero:1".to_owned(),
        dialect: "accounting".to_owned(),
        base_url: "https://api.xero.com".to_owned(),
        connected_at: NOW,
        organisation_name: Some("One".to_owned()),
        environment: Some("live".to_owned()),
        ..seen.clone()
    };
    Confirmation {
        seen: seen.clone(),
        next,
        seen_grant,
        grant: grant("b", seen_grant.unwrap_or_default() + 1),
        book_binding: BookBindingRow {
            pk: keys::book("xero:1"),
            sk: keys::binding_of("t", "b"),
            v: ROW_VERSION,
            tenant: "t".to_owned(),
            binding: "b".to_owned(),
            prefix: "A-".to_owned(),
        },
        user: Some(AuthorityUserRow {
            pk: keys::authority_user("xero", "user-1"),
            sk: keys::binding_of("t", "b"),
            v: ROW_VERSION,
            tenant: "t".to_owned(),
            binding: "b".to_owned(),
        }),
        former_user: None,
        keep_alive: Some(AgendaRow::new("keep_alive", "t/b", NOW)),
        pending: pending("p-1"),
    }
}

/// A tenant with a pending binding, a grant that waits, and none that is confirmed.
async fn pended<S: Subject>(subject: &S) -> BindingRow {
    let store = subject.store();
    store.add_tenant(&tenant("t")).await.unwrap();
    let row = BindingRow { status: "pending".to_owned(), ..binding("t", "b") };
    subject.put(row.clone()).await;
    store.put_pending(&pending("p-1")).await.unwrap();
    row
}

pub async fn one_has_the_lease_on_a_grant<S: Subject>(subject: &S) {
    let store = subject.store();
    assert_eq!(store.lease_grant("b", 1, "x", NOW, NOW + 90).await, Ok(GrantLeased::Moved(None)));
    store.put_token(&grant("b", 1)).await.unwrap();
    assert_eq!(store.lease_grant("b", 1, "x", NOW, NOW + 90).await, Ok(GrantLeased::Ours));
    assert_eq!(store.lease_grant("b", 1, "x", NOW, NOW + 90).await, Ok(GrantLeased::Ours), "its reply was lost");
    assert_eq!(store.lease_grant("b", 1, "y", NOW + 89, NOW + 200).await, Ok(GrantLeased::Busy(NOW + 90)));
    assert_eq!(store.lease_grant("b", 1, "y", NOW + 90, NOW + 200).await, Ok(GrantLeased::Ours), "it is over");
    store.release_grant("b", "x").await.unwrap();
    assert_eq!(store.lease_grant("b", 1, "x", NOW + 91, NOW + 200).await, Ok(GrantLeased::Busy(NOW + 200)));
    store.release_grant("b", "y").await.unwrap();
    assert_eq!(store.grant("b").await, Ok(Some(grant("b", 1))), "nothing is left of it");
    assert_eq!(store.lease_grant("b", 2, "x", NOW, NOW + 90).await, Ok(GrantLeased::Moved(Some(grant("b", 1)))));
}

pub async fn a_grant_is_replaced_as_seen<S: Subject>(subject: &S) {
    let store = subject.store();
    assert_eq!(store.save_grant(1, &grant("b", 2)).await, Ok(false), "there is none");
    store.put_token(&grant("b", 1)).await.unwrap();
    store.lease_grant("b", 1, "x", NOW, NOW + 90).await.unwrap();
    assert_eq!(store.save_grant(1, &grant("b", 2)).await, Ok(true));
    assert_eq!(store.save_grant(1, &grant("b", 2)).await, Ok(true), "its reply was lost");
    let other = TokenRow { access: SealedRow { version: 7, ..sealed() }, ..grant("b", 2) };
    assert_eq!(store.save_grant(1, &other).await, Ok(false), "another's");
    assert_eq!(store.grant("b").await, Ok(Some(grant("b", 2))), "without its lease");
}

pub async fn a_binding_needs_a_new_connection_only_for_the_grant_in_force<S: Subject>(subject: &S) {
    let store = subject.store();
    let row = BindingRow { status: "pending".to_owned(), ..pended(subject).await };
    store.confirm(&confirmation(&row, None)).await.unwrap();
    let status = async || store.tenancy("t").await.unwrap().unwrap().bindings[0].status.clone();
    assert_eq!(store.needs_reconnect("t", "b", Some(2)).await, Ok(false));
    assert_eq!(status().await, "active");
    assert_eq!(store.needs_reconnect("t", "b", Some(1)).await, Ok(true));
    assert_eq!(status().await, "needs_reconnect");
    assert_eq!(store.needs_reconnect("t", "b", Some(1)).await, Ok(true), "again");
    assert_eq!(store.needs_reconnect("t", "none", Some(1)).await, Ok(false));
}

pub async fn what_is_good_once_is_used_once<S: Subject>(subject: &S) {
    let store = subject.store();
    let state = OAuthStateRow {
        pk: keys::oauth_state("hash"),
        sk: keys::STATE.to_owned(),
        v: ROW_VERSION,
        tenant: "t".to_owned(),
        binding: "b".to_owned(),
        operator: "anna".to_owned(),
        expires_at: NOW_SECONDS,
        ..OAuthStateRow::default()
    };
    let link = ConnectLinkRow {
        pk: keys::connect_link("hash"),
        sk: keys::LINK.to_owned(),
        v: ROW_VERSION,
        operator: "anna".to_owned(),
        expires_at: NOW_SECONDS,
        ..ConnectLinkRow::default()
    };
    assert_eq!(store.take_oauth_state(&state.pk, "x").await, Ok(false), "there is none");
    assert_eq!(store.take_link(&link.pk, "x").await, Ok(false), "there is none");
    store.put_oauth_state(&state).await.unwrap();
    store.put_link(&link).await.unwrap();
    assert_eq!(store.oauth_state(&state.pk).await, Ok(Some(state.clone())));
    assert_eq!(store.link(&link.pk).await, Ok(Some(link.clone())));
    for (by, expected) in [("x", true), ("x", true), ("y", false)] {
        assert_eq!(store.take_oauth_state(&state.pk, by).await, Ok(expected), "{by}");
        assert_eq!(store.take_link(&link.pk, by).await, Ok(expected), "{by}");
    }
    let taken = store.oauth_state(&state.pk).await.unwrap().unwrap();
    assert_eq!(taken.taken_by.as_deref(), Some("x"));
}

pub async fn an_app_is_replaced_as_seen<S: Subject>(subject: &S) {
    let store = subject.store();
    let app = AppRow {
        pk: keys::app("xero"),
        sk: keys::APP.to_owned(),
        v: ROW_VERSION,
        provider: "xero".to_owned(),
        client_id: "client".to_owned(),
        version: 1,
        environment: "live".to_owned(),
        ..AppRow::default()
    };
    let second = AppRow { version: 2, client_id: "other".to_owned(), ..app.clone() };
    assert_eq!(store.put_app(Some(1), &app).await, Ok(false));
    assert_eq!(store.put_app(None, &app).await, Ok(true));
    assert_eq!(store.put_app(None, &app).await, Ok(true), "its reply was lost");
    assert_eq!(store.put_app(None, &second).await, Ok(false));
    assert_eq!(store.put_app(Some(1), &second).await, Ok(true));
    assert_eq!(store.app(&app.pk).await, Ok(Some(second)));
    assert_eq!(store.app("app#sage_accounting").await, Ok(None));
}

pub async fn a_connection_is_confirmed_as_seen_all_or_nothing<S: Subject>(subject: &S) {
    let store = subject.store();
    let seen = pended(subject).await;
    let good = confirmation(&seen, None);
    for unlike in [
        Confirmation { seen_grant: Some(1), ..good.clone() },
        Confirmation { seen: BindingRow { status: "active".to_owned(), ..seen.clone() }, ..good.clone() },
        Confirmation { seen: BindingRow { settings_version: 9, ..seen.clone() }, ..good.clone() },
        Confirmation { seen: BindingRow { book: "xero:2".to_owned(), ..seen.clone() }, ..good.clone() },
        Confirmation { pending: pending("p-2"), ..good.clone() },
    ] {
        assert_eq!(store.confirm(&unlike).await, Ok(false));
        assert_eq!(store.grant("b").await, Ok(None));
        assert_eq!(store.book_bindings("xero:1").await, Ok(Vec::new()));
    }
    // The number prefix became another shop's at the same instant.
    let prefix = |tenant: &str| PrefixRow {
        pk: keys::book("xero:1"),
        sk: keys::prefix("A-"),
        v: ROW_VERSION,
        tenant: tenant.to_owned(),
    };
    subject.put(prefix("u")).await;
    assert_eq!(store.confirm(&good).await, Ok(false));
    assert_eq!(store.grant("b").await, Ok(None));
    subject.put(prefix("t")).await;
    // What others write beside it stays.
    subject.put(BindingRow { web_name: Some("beside".to_owned()), ..seen.clone() }).await;
    assert_eq!(store.confirm(&good).await, Ok(true));
    assert_eq!(store.confirm(&good).await, Ok(true), "its reply was lost");
    let there = store.tenancy("t").await.unwrap().unwrap().bindings.remove(0);
    assert_eq!(there, BindingRow { web_name: Some("beside".to_owned()), ..good.next.clone() });
    assert_eq!(store.grant("b").await, Ok(Some(good.grant.clone())));
    assert_eq!(store.pending("b").await, Ok(None));
    assert_eq!(store.book_bindings("xero:1").await, Ok(vec![good.book_binding.clone()]));
    assert_eq!(store.user_bindings("xero", "user-1").await, Ok(good.user.clone().into_iter().collect()));
    assert_eq!(store.agenda_due(NOW, None, 10).await, Ok(good.keep_alive.clone().into_iter().collect()));
    // Connected again by another user: it is no binding of the former one's any more.
    store.put_pending(&pending("p-3")).await.unwrap();
    let other = AuthorityUserRow { pk: keys::authority_user("xero", "user-2"), ..good.user.clone().unwrap() };
    let again = Confirmation {
        seen: there.clone(),
        next: there.clone(),
        seen_grant: Some(good.grant.version),
        grant: TokenRow {
            version: good.grant.version + 1,
            authority_user: Some("user-2".to_owned()),
            ..good.grant.clone()
        },
        user: Some(other.clone()),
        former_user: good.user.clone(),
        pending: pending("p-3"),
        ..good.clone()
    };
    assert_eq!(store.confirm(&again).await, Ok(true));
    assert_eq!(store.confirm(&again).await, Ok(true), "its reply was lost");
    assert_eq!(store.user_bindings("xero", "user-1").await, Ok(Vec::new()));
    assert_eq!(store.user_bindings("xero", "user-2").await, Ok(vec![other]));
    let renamed = BookBindingRow { prefix: "B-".to_owned(), ..good.book_binding.clone() };
    store.put_book_binding(&renamed).await.unwrap();
    assert_eq!(store.book_bindings("xero:1").await, Ok(vec![renamed]));
    // The lease of the book is no binding of it.
    assert_eq!(Sweeps::lease(store, "xero:1").await, Ok(None));
    // Disconnected, and forgotten once the provider knows.
    assert_eq!(store.disconnect("t", "none").await, Ok(false));
    assert_eq!(store.disconnect("t", "b").await, Ok(true));
    assert_eq!(store.forget_grant("t", "xero", &grant("b", 9)).await, Ok(false));
    assert_eq!(store.forget_grant("t", "xero", &again.grant).await, Ok(true));
    assert_eq!(store.forget_grant("t", "xero", &again.grant).await, Ok(true), "again");
    assert_eq!(store.grant("b").await, Ok(None));
    assert_eq!(store.user_bindings("xero", "user-2").await, Ok(Vec::new()));
    assert_eq!(store.book_bindings("xero:1").await.unwrap().len(), 1, "its numbers are in the book");
}

pub async fn a_pending_connection_is_removed_only_as_the_one_it_is<S: Subject>(subject: &S) {
    let store = subject.store();
    let later = |id: &str| PendingConnectionRow { made_at: NOW + 1, ..pending(id) };
    let found_out = |it: PendingConnectionRow| PendingConnectionRow { dialect: Some("v2".to_owned()), ..it };
    assert_eq!(store.put_pending(&pending("p-1")).await, Ok(true));
    assert_eq!(store.put_pending(&pending("p-1")).await, Ok(true), "its reply was lost");
    assert_eq!(store.put_pending(&later("p-3")).await, Ok(true), "a later one takes its place");
    assert_eq!(store.put_pending(&pending("p-2")).await, Ok(false), "an earlier one does not");
    assert_eq!(
        store.complete_pending(&found_out(pending("p-1"))).await,
        Ok(false),
        "nor does what was found out of it"
    );
    assert_eq!(store.pending("b").await, Ok(Some(later("p-3"))));
    assert_eq!(store.complete_pending(&found_out(later("p-3"))).await, Ok(true));
    assert_eq!(store.pending("b").await, Ok(Some(found_out(later("p-3")))));
    store.remove_pending("b", "p-3").await.unwrap();
    assert_eq!(store.complete_pending(&later("p-3")).await, Ok(false), "what is gone stays gone");
    assert_eq!(store.put_pending(&pending("p-2")).await, Ok(true));
    store.remove_pending("b", "p-1").await.unwrap();
    assert_eq!(store.pending("b").await, Ok(Some(pending("p-2"))));
    store.remove_pending("b", "p-2").await.unwrap();
    store.remove_pending("b", "p-2").await.unwrap();
    assert_eq!(store.pending("b").await, Ok(None));
}

/// A provider that rotates, and counts.
struct Counting<'a, C> {
    renewals: AtomicUsize,
    clock: &'a C,
}

#[async_trait]
impl<C: Clock> Authorities for Counting<'_, C> {
    async fn call(&self, _call: &AuthorityCall<'_>) -> Result<Reply, TransportFault> {
        let number = self.renewals.fetch_add(1, Ordering::SeqCst);
        self.clock.sleep_ms(300).await;
        let body = format!(r#"{{"access_token":"new-{number}","refresh_token":"refresh-{number}","expires_in":1800}}"#);
        Ok(Reply { status: 200, body: body.into_bytes(), ..Reply::default() })
    }
}

/// How often somebody comes for a token.
const COMINGS_MAX: u32 = 10;

/// Two hundred at the moment a token ends, each as a process of its own would: one renewal, one new token for all.
pub async fn two_hundred_at_once_are_one_renewal<S: Subject>(subject: &S) {
    let vault = subject.vault();
    let secret = SecretString::from("hush");
    let app = AppRow {
        pk: keys::app("xero"),
        sk: keys::APP.to_owned(),
        v: ROW_VERSION,
        provider: "xero".to_owned(),
        client_id: "client".to_owned(),
        secret: Some(vault.seal(&secret, 1, &client_secret_context("xero")).await.unwrap()),
        version: 1,
        environment: "live".to_owned(),
        hosts: Some(AppHostsRow { token: "http://127.0.0.1:1/token".to_owned(), ..AppHostsRow::default() }),
        ..AppRow::default()
    };
    subject.store().put_app(None, &app).await.unwrap();
    let now = subject.clock().now_ms();
    let row = TokenRow {
        access: vault.seal(&"old".into(), 1, &access_token_context("b")).await.unwrap(),
        refresh: Some(vault.seal(&"refresh".into(), 1, &refresh_token_context("b")).await.unwrap()),
        access_until: Some(now - 1),
        refreshed_at: Some(now - 1_800_000),
        ..grant("b", 1)
    };
    subject.store().put_token(&row).await.unwrap();
    let provider = Counting { renewals: AtomicUsize::new(0), clock: subject.clock() };
    let grants = Grants {
        store: subject.store(),
        vault: &vault,
        authorities: &provider,
        clock: subject.clock(),
        chance: subject.chance(),
        own_hosts: true,
    };
    let of = GrantOf { tenant: "t", binding: "b", provider: Provider::Xero };
    let deadline = now + 300_000;
    // An engine on a busy machine may let somebody wait for longer than ten seconds: they come again, as a run does, with the
    // row that they read then.
    let comes = async || {
        for nth in 1..=COMINGS_MAX {
            let seen = subject.store().grant("b").await.unwrap().unwrap();
            match grants.open(of, if nth == 1 { &row } else { &seen }, deadline).await {
                Ok(granted) => {
                    assert_eq!((granted.version, granted.token.expose_secret()), (2, "new-0"));
                    return nth;
                }
                Err(fault) => {
                    assert!(["grant_busy", "store_unavailable"].contains(&fault.code.as_str()), "{fault:?}");
                    assert!(matches!(fault.action, Action::Later { .. }), "{fault:?}");
                }
            }
        }
        panic!("nobody gets a token within {COMINGS_MAX} comings")
    };
    let tries = futures::future::join_all((0..200).map(|_| comes())).await;
    assert_eq!(tries.len(), 200, "each has the new token");
    assert!(tries.contains(&1), "whoever renewed had it at once");
    assert_eq!(provider.renewals.load(Ordering::SeqCst), 1, "one asked the provider, however often they came");
    let there = subject.store().grant("b").await.unwrap().unwrap();
    assert_eq!((there.version, there.lease_owner), (2, None));
}

pub async fn a_token_copied_to_another_row_tenant_or_attribute_does_not_open<S: Subject>(subject: &S) {
    let vault = subject.vault();
    let secret = SecretString::from("hush");
    let contexts: [SealContext; 4] =
        [access_token_context("b"), access_token_context("c"), refresh_token_context("b"), client_secret_context("b")];
    for from in &contexts {
        let there = vault.seal(&secret, 1, from).await.unwrap();
        for to in &contexts {
            let opened = vault.open(&there, to).await;
            if from == to {
                assert_eq!(opened.unwrap().expose_secret(), "hush");
            } else {
                assert!(matches!(opened, Err(PortFault::Inconsistent(_))), "{from:?} {to:?}");
            }
        }
        let later = SealedRow { version: 2, ..there };
        assert!(matches!(vault.open(&later, from).await, Err(PortFault::Inconsistent(_))), "another version");
    }
}
