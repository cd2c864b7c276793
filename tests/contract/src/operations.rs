//! What operators ask, and reading tenants.

use crate::Subject;
use crate::scene::{NOW, binding, run, tenant};
use ledger_engine::ports::{NewShop, Operations, Pairings, PortFault, Sweeps, Tenants};
use ledger_wire::rows::{
    AttemptRow, BindingRow, ROW_VERSION, RunRow, SealedRow, SettingsRow, ShopAddressRow, SweepRow, TenantRow, TokenRow,
    keys,
};

pub(crate) fn settings_and_token(binding: &str) -> (SettingsRow, TokenRow) {
    let settings = SettingsRow {
        pk: keys::of_binding(binding),
        sk: keys::settings(1),
        v: ROW_VERSION,
        version: 1,
        ..SettingsRow::default()
    };
    let token = TokenRow {
        pk: keys::of_binding(binding),
        sk: keys::TOKEN.to_owned(),
        v: ROW_VERSION,
        access: SealedRow { ciphertext: "YQ==".to_owned(), version: 1 },
        version: 1,
        ..TokenRow::default()
    };
    (settings, token)
}

pub async fn tenants_are_listed_page_by_page_and_the_last_sweep_is_known<S: Subject>(subject: &S) {
    let store = subject.store();
    assert_eq!(store.tenants(None, 10).await, Ok(Vec::new()));
    for name in ["t-2", "t-3", "t-1"] {
        assert_eq!(store.add_tenant(&tenant(name)).await, Ok(true));
    }
    let shop = NewShop { address: ShopAddressRow::new("https://t-0.example", "t-0"), tenant: tenant("t-0") };
    assert_eq!(store.add_shop(&shop).await, Ok(true));
    let refused = NewShop { address: ShopAddressRow::new("https://t-0.example", "t-9"), tenant: tenant("t-9") };
    assert_eq!(store.add_shop(&refused).await, Ok(false));
    let page = async |after, limit| store.tenants(after, limit).await.unwrap();
    assert_eq!(page(None, 10).await, ["t-0", "t-1", "t-2", "t-3"]);
    assert_eq!(page(None, 2).await, ["t-0", "t-1"]);
    assert_eq!(page(Some("t-1"), 2).await, ["t-2", "t-3"]);
    assert_eq!(page(Some("t-3"), 2).await, Vec::<String>::new());
    assert_eq!(store.last_sweep().await, Ok(None));
    for at in [NOW, NOW + 60_000] {
        let sweep = SweepRow::new(at, 7, 1);
        Sweeps::swept(store, &sweep).await.unwrap();
        assert_eq!(store.last_sweep().await, Ok(Some(sweep)));
    }
}

pub async fn a_tenant_is_read_with_its_bindings_in_order<S: Subject>(subject: &S) {
    let store = subject.store();
    assert_eq!(store.tenancy("t").await, Ok(None));
    assert_eq!(store.add_tenant(&tenant("t")).await, Ok(true));
    assert_eq!(store.add_tenant(&tenant("t")).await, Ok(true), "the very same: its reply was lost");
    let other = TenantRow { shop_url: "https://other.example".to_owned(), ..tenant("t") };
    assert_eq!(store.add_tenant(&other).await, Ok(false));
    let address = store.shop_address("https://t.example").await.unwrap().map(|row| row.tenant);
    assert_eq!(address.as_deref(), Some("t"), "whoever pairs the shop finds the tenant");
    assert_eq!(store.shop_address("https://other.example").await, Ok(None), "what is refused leaves nothing behind");
    let same_shop = TenantRow { shop_url: "https://t.example".to_owned(), ..tenant("t-2") };
    assert_eq!(store.add_tenant(&same_shop).await, Ok(true));
    let address = store.shop_address("https://t.example").await.unwrap().map(|row| row.tenant);
    assert_eq!(address.as_deref(), Some("t-2"), "the last word counts");
    for id in ["b-2", "b-1", "b-3"] {
        let (settings, token) = settings_and_token(id);
        assert_eq!(store.add_binding(&binding("t", id), &settings, &token).await, Ok(true));
        assert_eq!(store.token(id).await, Ok(Some(token)));
    }
    let (settings, token) = settings_and_token("u-1");
    store.add_binding(&binding("u", "u-1"), &settings, &token).await.unwrap();
    let tenancy = store.tenancy("t").await.unwrap().unwrap();
    assert_eq!(tenancy.tenant, tenant("t"));
    assert_eq!(tenancy.bindings, ["b-1", "b-2", "b-3"].map(|id| binding("t", id)));
    assert_eq!(store.tenancy("u").await, Ok(None), "bindings alone are no tenant");
    assert_eq!(store.tenant_of("u-1").await, Ok(Some("u".to_owned())));
    assert_eq!(store.tenant_of("u-2").await, Ok(None));
}

pub async fn a_binding_is_added_once_and_replaced_as_seen<S: Subject>(subject: &S) {
    let store = subject.store();
    store.add_tenant(&tenant("t")).await.unwrap();
    let (settings, token) = settings_and_token("b");
    let seen = binding("t", "b");
    assert_eq!(store.add_binding(&seen, &settings, &token).await, Ok(true));
    let other = BindingRow { base_url: "https://other.example".to_owned(), ..seen.clone() };
    let newer = TokenRow { version: 9, ..token.clone() };
    assert_eq!(store.add_binding(&other, &settings, &newer).await, Ok(false));
    assert_eq!(store.token("b").await, Ok(Some(token)), "all or nothing");
    let next = BindingRow { mode: "paused".to_owned(), ..seen.clone() };
    for unlike in [
        BindingRow { status: "pending".to_owned(), ..seen.clone() },
        BindingRow { settings_version: 9, ..seen.clone() },
    ] {
        assert_eq!(store.replace_binding(&unlike, &next).await, Ok(false));
    }
    assert_eq!(store.replace_binding(&seen, &next).await, Ok(true));
    assert_eq!(store.replace_binding(&seen, &next).await, Ok(true), "its reply was lost");
    assert_eq!(store.tenancy("t").await.unwrap().unwrap().bindings, [next]);
    store.put_token(&newer).await.unwrap();
    assert_eq!(store.token("b").await, Ok(Some(newer)));
    assert_eq!(store.token("none").await, Ok(None));
}

pub async fn runs_are_listed_newest_first_page_by_page<S: Subject>(subject: &S) {
    for number in 0..25_i64 {
        subject
            .put_run(&RunRow { received_at: NOW + number / 2, ..run(&format!("00000000-0000-4000-8000-{number:012}")) })
            .await;
    }
    subject.put_run(&RunRow { tenant: "u".to_owned(), ..run("of-u") }).await;
    let mut seen = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = subject.store().runs("t", next.as_deref(), 10).await.unwrap();
        assert!(page.runs.len() <= 10);
        seen.extend(page.runs);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by_key(|run| std::cmp::Reverse(run.received_at)));
    let ids: std::collections::BTreeSet<&str> = seen.iter().map(|run| run.run_id.as_str()).collect();
    assert_eq!(ids.len(), 25, "none twice");
    assert_eq!(subject.store().runs("u", None, 10).await.unwrap().runs[0].run_id, "of-u");
    assert_eq!(subject.store().runs("none", None, 10).await.unwrap().runs, []);
    assert!(matches!(subject.store().runs("t", Some("?"), 10).await, Err(PortFault::Inconsistent(_))));
}

pub async fn attempts_are_listed_oldest_first<S: Subject>(subject: &S) {
    subject.put_run(&run("r")).await;
    let attempts: Vec<AttemptRow> =
        [1, 2, 10].map(|number| crate::scene::attempt(&RunRow { attempt: number, ..run("r") })).into();
    for attempt in attempts.iter().rev() {
        subject.put(attempt.clone()).await;
    }
    assert_eq!(subject.store().attempts("r").await, Ok(attempts));
    assert_eq!(subject.store().attempts("none").await, Ok(Vec::new()));
}
