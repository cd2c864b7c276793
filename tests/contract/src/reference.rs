//! Reference data, and settings.

use crate::Subject;
use crate::scene::{NOW, binding, tenant};
use ledger_engine::ports::{Configurations, NotedWith, Operations, PrefixOwner, References, Tenants};
use ledger_wire::rows::{
    BookBindingRow, LeaseRow, ROW_VERSION, ReferenceEntryV1, ReferencePageRow, ReferenceReadingRow, ReferenceRow,
    SettingsRow, keys,
};
use ledger_wire::settings::SettingsV1;

fn list(name: &str, revision: u32, generation: u32) -> ReferenceRow {
    ReferenceRow {
        pk: keys::of_binding("b"),
        sk: keys::reference(name),
        v: ROW_VERSION,
        list: name.to_owned(),
        revision,
        generation,
        read_at: NOW,
        ..ReferenceRow::default()
    }
}

fn page(name: &str, generation: u32, page: u32, entries: usize) -> ReferencePageRow {
    let entry = |at: usize| ReferenceEntryV1 {
        id: format!("{name}-{page}-{at}"),
        name: "x".repeat(200),
        active: true,
        ..ReferenceEntryV1::default()
    };
    ReferencePageRow {
        pk: keys::of_binding("b"),
        sk: keys::reference_page(name, generation, page),
        v: ROW_VERSION,
        generation,
        entries: (0..entries).map(entry).collect(),
    }
}

pub async fn a_list_is_written_as_seen_with_its_pages<S: Subject>(subject: &S) {
    let store = subject.store();
    assert_eq!(store.references("b", &["accounts", "tax_rates"]).await, Ok(Vec::new()));
    let first = list("accounts", 1, 0);
    assert_eq!(store.put_reference(&first, &[]).await, Ok(true));
    assert_eq!(store.put_reference(&first, &[]).await, Ok(true), "its reply was lost");
    let other = ReferenceRow { read_at: NOW + 1, ..first.clone() };
    assert_eq!(store.put_reference(&other, &[]).await, Ok(false), "there is one");

    let reading = ReferenceReadingRow { generation: 1, cursor: Some("2".to_owned()), ..ReferenceReadingRow::default() };
    let second = ReferenceRow { reading: Some(reading), ..list("accounts", 2, 0) };
    let pages = [page("accounts", 1, 0, 3), page("accounts", 1, 1, 2)];
    assert_eq!(store.put_reference(&second, &pages).await, Ok(true));
    assert_eq!(store.put_reference(&second, &pages).await, Ok(true), "its reply was lost");
    let late = ReferenceRow { count: 9, ..second.clone() };
    assert_eq!(store.put_reference(&late, &[page("accounts", 1, 0, 1)]).await, Ok(false), "another was faster");
    assert_eq!(store.put_reference(&list("accounts", 4, 0), &[]).await, Ok(false), "a revision was left out");
    assert_eq!(store.references("b", &["tax_rates", "accounts"]).await, Ok(vec![second]));
    assert_eq!(store.reference_pages("b", "accounts", 1, 2).await, Ok(pages.to_vec()));
    assert_eq!(store.reference_pages("b", "accounts", 1, 5).await, Ok(pages.to_vec()), "those that are there");
    assert_eq!(store.reference_pages("b", "accounts", 3, 1).await, Ok(pages[..1].to_vec()), "the same place");
    assert_eq!(store.reference_pages("b", "accounts", 2, 2).await, Ok(Vec::new()), "the other place");
    assert_eq!(store.reference_pages("b", "accounts", 1, 0).await, Ok(Vec::new()));
}

/// As much as one page of a book may fill, and more pages than one call reads.
pub async fn a_long_list_goes_in_and_comes_out<S: Subject>(subject: &S) {
    let store = subject.store();
    let wide: Vec<ReferencePageRow> = (0..12).map(|at| page("accounts", 1, at, 1_000)).collect();
    assert_eq!(store.put_reference(&list("accounts", 1, 1), &wide).await, Ok(true));
    assert_eq!(store.reference_pages("b", "accounts", 1, 12).await, Ok(wide));
    let many: Vec<ReferencePageRow> = (0..130).map(|at| page("currencies", 1, at, 1)).collect();
    for (revision, pages) in (1..).zip(many.chunks(50)) {
        assert_eq!(store.put_reference(&list("currencies", revision, 1), pages).await, Ok(true));
    }
    assert_eq!(store.reference_pages("b", "currencies", 1, 130).await, Ok(many));
}

pub async fn settings_are_put_as_seen_and_every_version_is_kept<S: Subject>(subject: &S) {
    let store = subject.store();
    store.add_tenant(&tenant("t")).await.unwrap();
    let (settings, token) = crate::operations::settings_and_token("b");
    store.add_binding(&binding("t", "b"), &settings, &token).await.unwrap();
    assert_eq!(store.grant_of("b").await, Ok(Some(token)));
    assert_eq!(store.grant_of("none").await, Ok(None));
    let version = |version: u32, prefix: &str| SettingsRow {
        pk: keys::of_binding("b"),
        sk: keys::settings(version),
        v: ROW_VERSION,
        settings: SettingsV1 {
            time_zone: "Europe/London".to_owned(),
            invoice_number_prefix: Some(prefix.to_owned()),
            ..SettingsV1::default()
        },
        version,
        saved_by: Some("jo".to_owned()),
        saved_at: Some(NOW),
    };
    let put = |seen: u32, row: SettingsRow, noted: Option<&'static str>| async move {
        let noted = noted.map(|book| NotedWith { book, prefix: "A-" });
        store.put_settings("t", seen, &row, "b", noted).await
    };
    assert_eq!(put(1, version(2, "A-"), None).await, Ok(true));
    assert_eq!(put(1, version(2, "A-"), None).await, Ok(true), "its reply was lost");
    assert_eq!(put(1, version(2, "B-"), None).await, Ok(false), "another was faster");
    assert_eq!(put(1, version(3, "B-"), None).await, Ok(false), "another version is in force");
    let now = store.tenancy("t").await.unwrap().unwrap().bindings.remove(0);
    assert_eq!((now.settings, now.settings_version), (version(2, "A-").settings, 2));
    assert_eq!(now.status, "active", "nothing else changes");
    for number in 3..=5 {
        assert_eq!(put(number - 1, version(number, "A-"), None).await, Ok(true));
    }
    let numbers = |rows: Vec<SettingsRow>| rows.into_iter().map(|row| row.version).collect::<Vec<_>>();
    assert_eq!(store.settings_versions("b", None, 3).await.map(numbers), Ok(vec![5, 4, 3]));
    assert_eq!(store.settings_versions("b", Some(3), 9).await.map(numbers), Ok(vec![2, 1]));
    assert_eq!(store.settings_versions("b", Some(1), 9).await.map(numbers), Ok(Vec::new()));
    assert_eq!(store.settings_version("b", 4).await, Ok(Some(version(4, "A-"))));
    assert_eq!(store.settings_version("b", 9).await, Ok(None));

    // Noted with its book.
    assert_eq!(store.prefixes_of("xero:1").await, Ok(Vec::new()));
    assert_eq!(put(5, version(6, "C-"), Some("xero:1")).await, Ok(false), "it is not noted there");
    for (tenant, binding, prefix) in [("t", "b", "A-"), ("u#v", "c", "")] {
        let row = BookBindingRow {
            pk: keys::book("xero:1"),
            sk: keys::binding_of(tenant, binding),
            v: ROW_VERSION,
            tenant: tenant.to_owned(),
            binding: binding.to_owned(),
            prefix: prefix.to_owned(),
        };
        subject.put(row).await;
    }
    let lease =
        LeaseRow { pk: keys::book("xero:1"), sk: keys::LEASE.to_owned(), v: ROW_VERSION, ..LeaseRow::default() };
    subject.put(lease).await;
    assert_eq!(put(5, version(6, "C-"), Some("xero:1")).await, Ok(true));
    let owner = |tenant: &str, binding: &str, prefix: &str| PrefixOwner {
        tenant: tenant.to_owned(),
        binding: binding.to_owned(),
        prefix: prefix.to_owned(),
    };
    assert_eq!(store.prefixes_of("xero:1").await, Ok(vec![owner("t", "b", "C-"), owner("u#v", "c", "")]));
}

/// Shops of a book that save the same prefix at the same instant, each after it has looked and seen it free.
pub async fn a_number_prefix_of_a_book_becomes_one_shops<S: Subject>(subject: &S) {
    let store = subject.store();
    let names = [("t", "t-"), ("u", "u-"), ("v", "v-"), ("w", "w-")];
    for (name, prefix) in names {
        store.add_tenant(&tenant(name)).await.unwrap();
        let (settings, token) = crate::operations::settings_and_token(name);
        store.add_binding(&binding(name, name), &settings, &token).await.unwrap();
        let row = BookBindingRow {
            pk: keys::book("xero:1"),
            sk: keys::binding_of(name, name),
            v: ROW_VERSION,
            tenant: name.to_owned(),
            binding: name.to_owned(),
            prefix: prefix.to_owned(),
        };
        subject.put(row).await;
    }
    let put = |name: &'static str, seen: u32, prefix: &'static str, before: &'static str| async move {
        let settings = SettingsV1 { invoice_number_prefix: Some(prefix.to_owned()), ..SettingsV1::default() };
        let row = SettingsRow {
            pk: keys::of_binding(name),
            sk: keys::settings(seen + 1),
            v: ROW_VERSION,
            settings,
            version: seen + 1,
            saved_by: None,
            saved_at: Some(NOW),
        };
        let noted = Some(NotedWith { book: "xero:1", prefix: before });
        store.put_settings(name, seen, &row, name, noted).await.unwrap()
    };
    let at_once = futures::future::join_all(names.map(|(name, before)| put(name, 1, "X-", before))).await;
    let names = names.map(|(name, _)| name);
    let won: Vec<&'static str> = names.into_iter().zip(at_once).filter_map(|(name, won)| won.then_some(name)).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let winner = won[0];
    let mut having = store.prefixes_of("xero:1").await.unwrap();
    having.retain(|owner| owner.prefix == "X-");
    assert_eq!(having.iter().map(|owner| owner.tenant.as_str()).collect::<Vec<_>>(), [winner]);
    let loser = names.into_iter().find(|name| *name != winner).unwrap();
    let there = store.tenancy(loser).await.unwrap().unwrap().bindings.remove(0);
    assert_eq!(there.settings_version, 1, "nothing of the loser's is in force");
    // Whoever has it keeps it, until they take another: then it is free.
    assert!(put(winner, 2, "X-", "X-").await);
    assert!(!put(loser, 1, "X-", "-").await);
    assert!(put(winner, 3, "Y-", "X-").await);
    assert!(put(loser, 1, "X-", "-").await);
}
