//! Shops: who they are, which key they use, how they are, and what their module asks.

use crate::Subject;
use crate::scene::{NOW, binding, jti, run, tenant};
use ledger_engine::ports::{
    Agenda, Counted, Deliveries, Heard, KeyUse, ModuleStore, NewShop, Operations, Pairings, Promotion, ShopStates,
    ShopWatch, SpentToken, Sweeps, Tenants,
};
use ledger_wire::rows::{
    AgendaRow, BindingRow, DayGap, JtiRow, OrderDocumentRow, RunRow, SealedRow, ShopAddressRow, TenantRow,
};

const DAY_MS: i64 = 86_400_000;

fn sealed(ciphertext: &str, version: u32) -> SealedRow {
    SealedRow { ciphertext: ciphertext.to_owned(), version }
}

/// The tenant of these checks, as it is.
async fn tenant_now<S: Subject>(subject: &S) -> TenantRow {
    subject.store().tenancy("t").await.unwrap().unwrap().tenant
}

/// A tenant as it is put there.
async fn has<S: Subject>(subject: &S, row: TenantRow) -> TenantRow {
    subject.put(row.clone()).await;
    row
}

pub async fn a_shop_has_one_tenant_however_many_make_it<S: Subject>(subject: &S) {
    let store = subject.store();
    let address = "https://shop.example";
    assert_eq!(store.shop_address(address).await, Ok(None));
    let of = |id: &str| NewShop { address: ShopAddressRow::new(address, id), tenant: tenant(id) };
    let shops: Vec<NewShop> = (0..10).map(|number| of(&format!("t-{number}"))).collect();
    let made = futures::future::join_all(shops.iter().map(|shop| store.add_shop(shop))).await;
    let made: Vec<bool> = made.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    let winner = &shops[made.iter().position(|made| *made).unwrap()];
    assert_eq!(store.add_shop(winner).await, Ok(true), "its reply was lost");
    assert_eq!(store.shop_address(address).await, Ok(Some(winner.address.clone())));
    for shop in &shops {
        let there = store.tenancy(&shop.tenant.tenant).await.unwrap().is_some();
        assert_eq!(there, shop == winner, "a loser leaves no tenant behind");
    }
}

pub async fn a_binding_without_a_book_is_added_once_and_changes_as_seen<S: Subject>(subject: &S) {
    let store = subject.store();
    store.add_tenant(&tenant("t")).await.unwrap();
    let pending = BindingRow { status: "pending".to_owned(), ..binding("t", "b") };
    assert_eq!(store.add_pending_binding(&pending).await, Ok(true));
    assert_eq!(store.add_pending_binding(&pending).await, Ok(true), "the very same");
    assert_eq!(store.tenant_of("b").await, Ok(Some("t".to_owned())));
    let other = BindingRow { provider: "freeagent".to_owned(), ..pending.clone() };
    assert_eq!(store.add_pending_binding(&other).await, Ok(false));
    let active = BindingRow { status: "active".to_owned(), ..pending.clone() };
    assert_eq!(store.binding_becomes(&active, "disconnected", Some(NOW)).await, Ok(false));
    assert_eq!(store.binding_becomes(&pending, "disconnected", Some(NOW)).await, Ok(true));
    let over = BindingRow { status: "disconnected".to_owned(), disconnected_at: Some(NOW), ..pending.clone() };
    assert_eq!(store.tenancy("t").await.unwrap().unwrap().bindings, std::slice::from_ref(&over));
    assert_eq!(store.binding_becomes(&over, "pending", None).await, Ok(true));
    assert_eq!(store.tenancy("t").await.unwrap().unwrap().bindings, [pending]);
}

pub async fn a_candidate_comes_into_use_once_and_the_key_before_is_kept<S: Subject>(subject: &S) {
    let store = subject.store();
    let first = sealed("Zmlyc3Q=", 1);
    let seen = has(subject, TenantRow { status: "pending".to_owned(), ..tenant("t") }).await;
    assert_eq!(store.add_candidate(&TenantRow { keys_version: 7, ..seen.clone() }, &first, "xero").await, Ok(false));
    assert_eq!(store.add_candidate(&seen, &first, "xero").await, Ok(true));
    let during = tenant_now(subject).await;
    assert_eq!((during.keys_version, during.candidate_key.as_ref()), (1, Some(&first)));
    assert_eq!(store.add_candidate(&during, &sealed("c2Vjb25k", 2), "xero").await, Ok(false), "there is one");
    assert_eq!(store.candidate_for(&during, "freeagent").await, Ok(true));
    let stale = TenantRow { candidate_key: Some(sealed("eA==", 1)), ..during.clone() };
    assert_eq!(store.candidate_for(&stale, "xero").await, Ok(false));

    let seen = tenant_now(subject).await;
    let promotion = |seen: TenantRow| Promotion { seen, now: NOW, previous_until: NOW + DAY_MS };
    assert_eq!(store.promote(&promotion(stale)).await, Ok(false));
    assert_eq!(store.promote(&promotion(seen.clone())).await, Ok(true));
    assert_eq!(store.promote(&promotion(seen)).await, Ok(true), "it was done before");
    let after = tenant_now(subject).await;
    let expected = TenantRow {
        keys_version: 1,
        current_key: Some(first.clone()),
        paired_providers: vec!["freeagent".to_owned()],
        paired_at: Some(NOW),
        ..tenant("t")
    };
    assert_eq!(after, expected);

    // The next one, with everything noted against the shop.
    let second = sealed("c2Vjb25k", 2);
    has(
        subject,
        TenantRow {
            status: "token_revoked".to_owned(),
            refused_since: Some(1),
            unreached_since: Some(2),
            disconnected_at: Some(3),
            ..after.clone()
        },
    )
    .await;
    assert_eq!(store.add_candidate(&after, &second, "xero").await, Ok(true));
    assert_eq!(store.promote(&promotion(tenant_now(subject).await)).await, Ok(true));
    let expected = TenantRow {
        keys_version: 2,
        current_key: Some(second),
        previous_key: Some(first),
        previous_until: Some(NOW + DAY_MS),
        paired_providers: vec!["freeagent".to_owned(), "xero".to_owned()],
        ..after
    };
    assert_eq!(tenant_now(subject).await, expected);

    // Another provider takes the same key, unless it has changed meanwhile.
    let seen = tenant_now(subject).await;
    let stale = TenantRow { keys_version: 1, ..seen.clone() };
    assert_eq!(store.took_current_key(&stale, "sage_accounting", NOW + 1).await, Ok(false));
    assert_eq!(store.took_current_key(&seen, "sage_accounting", NOW + 1).await, Ok(true));
    store.paired_by("t", "operator-1").await.unwrap();
    let after = tenant_now(subject).await;
    assert_eq!(after.paired_providers, ["freeagent", "xero", "sage_accounting"]);
    assert_eq!((after.paired_at, after.paired_by.as_deref()), (Some(NOW + 1), Some("operator-1")));
    store.paired_by("none", "operator-1").await.unwrap();
    assert_eq!(store.tenancy("none").await, Ok(None));
}

pub async fn what_calls_show_of_a_shop_is_noted_and_cleared<S: Subject>(subject: &S) {
    let store = subject.store();
    has(subject, tenant("t")).await;
    store.shop_unreachable("t").await.unwrap();
    assert_eq!(tenant_now(subject).await.status, "connected", "it was not noted before");
    store.shop_unreached("t", NOW).await.unwrap();
    store.shop_unreached("t", NOW + 9).await.unwrap();
    assert_eq!(tenant_now(subject).await.unreached_since, Some(NOW));
    assert_eq!(store.attentions().await.unwrap().len(), 1);
    store.shop_reached("t").await.unwrap();
    assert_eq!(tenant_now(subject).await, tenant("t"));

    store.shop_unreached("t", NOW).await.unwrap();
    store.shop_unreachable("t").await.unwrap();
    assert_eq!(tenant_now(subject).await.status, "unreachable");
    store.shop_reached("t").await.unwrap();
    assert_eq!(tenant_now(subject).await, tenant("t"));

    store.shop_unreached("t", NOW).await.unwrap();
    store.shop_unreachable("t").await.unwrap();
    store.shop_refuses_ping("t", NOW + 1).await.unwrap();
    store.shop_revoked("t").await.unwrap();
    assert_eq!(tenant_now(subject).await.status, "token_revoked");
    store.shop_accepts("t").await.unwrap();
    assert_eq!(tenant_now(subject).await, tenant("t"));
    assert_eq!(store.attentions().await, Ok(Vec::new()));

    store.shop_unreached("t", NOW).await.unwrap();
    store.attention_ends("t").await.unwrap();
    store.attention_ends("t").await.unwrap();
    assert_eq!(store.attentions().await, Ok(Vec::new()));

    // Of a tenant that disconnected nothing is noted.
    let over = has(subject, TenantRow { status: "disconnected".to_owned(), ..tenant("t") }).await;
    store.shop_unreached("t", NOW).await.unwrap();
    store.shop_refuses_ping("t", NOW).await.unwrap();
    store.shop_unreached("none", NOW).await.unwrap();
    assert_eq!((tenant_now(subject).await, store.attentions().await), (over, Ok(Vec::new())));
}

pub async fn a_shop_is_heard_silent_and_heard_again<S: Subject>(subject: &S) {
    let store = subject.store();
    has(subject, tenant("t")).await;
    let entry = AgendaRow::new("silence", "t", NOW + DAY_MS);
    let heard = Heard {
        tenant: "t".to_owned(),
        seen: None,
        now: NOW,
        gaps: Vec::new(),
        wakes: false,
        agenda: Some(entry.clone()),
    };
    store.heard(&heard).await.unwrap();
    assert_eq!(tenant_now(subject).await.heard_at, Some(NOW));
    assert_eq!(store.agenda_due(NOW + DAY_MS, None, 9).await, Ok(vec![entry]));
    // Somebody who saw it unheard is late.
    store.heard(&Heard { now: NOW + 5, ..heard.clone() }).await.unwrap();
    assert_eq!(tenant_now(subject).await.heard_at, Some(NOW));
    let gaps = vec![DayGap { day: 1, longest: 2 }];
    let again = Heard { seen: Some(NOW), now: NOW + 7, gaps: gaps.clone(), agenda: None, ..heard.clone() };
    store.heard(&again).await.unwrap();
    let row = tenant_now(subject).await;
    assert_eq!((row.heard_at, row.gaps), (Some(NOW + 7), gaps));

    store.shop_silent("t", NOW).await.unwrap();
    assert_eq!(tenant_now(subject).await.status, "connected", "it was heard meanwhile");
    store.shop_silent("t", NOW + 7).await.unwrap();
    assert_eq!(tenant_now(subject).await.status, "silent");
    let awake = Heard {
        seen: Some(NOW + 7),
        now: NOW + 9,
        wakes: true,
        agenda: Some(AgendaRow::new("silence", "t", NOW + 2 * DAY_MS)),
        ..again
    };
    store.heard(&awake).await.unwrap();
    store.heard(&awake).await.unwrap();
    let row = tenant_now(subject).await;
    assert_eq!((row.status.as_str(), row.heard_at), ("connected", Some(NOW + 9)));
    assert_eq!(store.agenda_due(NOW + 2 * DAY_MS, None, 9).await.unwrap().len(), 2);
}

pub async fn a_disconnect_spends_its_token_once<S: Subject>(subject: &S) {
    let store = subject.store();
    has(
        subject,
        TenantRow {
            refused_since: Some(1),
            unreached_since: Some(2),
            paired_providers: vec!["xero".to_owned()],
            ..tenant("t")
        },
    )
    .await;
    store.shop_unreached("t", NOW).await.unwrap();
    assert_eq!(store.disconnect_shop("t", &jti("j", &[]), NOW).await, Ok(SpentToken::Done));
    let expected = TenantRow { status: "disconnected".to_owned(), disconnected_at: Some(NOW), ..tenant("t") };
    assert_eq!(tenant_now(subject).await, expected);
    assert_eq!(store.attentions().await, Ok(Vec::new()));
    let spent = store.disconnect_shop("t", &JtiRow { delivery_hash: "other".to_owned(), ..jti("j", &[]) }, NOW).await;
    assert_eq!(spent, Ok(SpentToken::Before(jti("j", &[]))));
    assert_eq!(store.disconnect_shop("t", &jti("k", &[]), NOW + 5).await, Ok(SpentToken::Done));
    assert_eq!(tenant_now(subject).await, expected, "since when stays");
    assert!(store.disconnect_shop("none", &jti("l", &[]), NOW).await.is_err());
    assert_eq!(store.tenancy("none").await, Ok(None));
}

pub async fn runs_of_a_binding_are_counted_from_a_moment_on<S: Subject>(subject: &S) {
    let store = subject.store();
    for number in 0..12_i64 {
        let moment = NOW + number;
        let row = |binding: &str, state: &str| RunRow {
            binding: binding.to_owned(),
            state: state.to_owned(),
            state_key: Some(state.to_owned()),
            state_order: Some(format!("{binding}#{moment:015}#{state}-{number}")),
            ..run(&format!("{binding}-{state}-{number}"))
        };
        for row in [row("b", "held"), row("b", "dead_lettered"), row("b2", "held")] {
            subject.put_run(&row).await;
        }
    }
    let count =
        async |state, from, limit| store.count_since(&Counted { state, binding: "b", from, limit }).await.unwrap();
    assert_eq!(count("held", 0, 100).await, 12);
    assert_eq!(count("dead_lettered", NOW + 9, 100).await, 3);
    assert_eq!(count("held", 0, 5).await, 5);
    assert_eq!(count("succeeded", 0, 5).await, 0);
    assert_eq!(store.count_of_binding("held", "b", 100).await, Ok(12));
    assert_eq!(store.newest_runs("t", 7).await.unwrap().len(), 7);
    assert_eq!(store.newest_runs("none", 7).await, Ok(Vec::new()));
    let ids = ["b-held-3", "none", "b2-held-0"].map(str::to_owned);
    let found: Vec<String> = store.runs_by_id(&ids).await.unwrap().into_iter().map(|run| run.run_id).collect();
    assert_eq!(found, ["b-held-3", "b2-held-0"]);
}

pub async fn an_order_has_its_documents<S: Subject>(subject: &S) {
    for (entity_type, id) in [("creditmemo", 2), ("invoice", 10), ("invoice", 9)] {
        let row = OrderDocumentRow::new("t", 57, entity_type, id, 4_000_000_000);
        subject.put(row).await;
    }
    let documents = subject.store().documents_of_order("t", 57).await.unwrap();
    let named: Vec<(&str, u64)> = documents.iter().map(|(kind, id)| (kind.as_str(), *id)).collect();
    assert_eq!(named, [("invoice", 9), ("invoice", 10), ("creditmemo", 2)]);
    assert_eq!(subject.store().documents_of_order("t", 5).await, Ok(Vec::new()));
}
