//! Tenants' notices.

use crate::Subject;
use crate::scene::NOW;
use ledger_engine::ports::NoticeStore;
use ledger_wire::rows::{NoticesRow, OutboxRow};

fn row(tenant: &str, revision: u32) -> NoticesRow {
    NoticesRow { revision, digest_at: NOW, ..NoticesRow::new(tenant, 420) }
}

pub async fn notices_are_written_only_as_seen<S: Subject>(subject: &S) {
    let store = subject.store();
    assert_eq!(store.notices("t-1").await, Ok(None));
    assert_eq!(store.put_notices(Some(1), &row("t-1", 2)).await, Ok(false), "there is none");
    assert_eq!(store.put_notices(None, &row("t-1", 1)).await, Ok(true));
    assert_eq!(store.put_notices(None, &row("t-1", 1)).await, Ok(true), "its reply was lost");
    assert_eq!(store.put_notices(None, &row("t-1", 9)).await, Ok(false), "there is one");
    let sent = OutboxRow { id: "n-1".to_owned(), recipient: "p-1".to_owned(), ..OutboxRow::default() };
    let next = NoticesRow { outbox: vec![sent], ..row("t-1", 2) };
    assert_eq!(store.put_notices(Some(1), &next).await, Ok(true));
    assert_eq!(store.put_notices(Some(1), &next).await, Ok(true), "its reply was lost");
    assert_eq!(store.put_notices(Some(1), &row("t-1", 2)).await, Ok(false), "somebody was faster");
    assert_eq!(store.notices("t-1").await, Ok(Some(next)));
}

pub async fn tenants_with_notices_are_found_page_by_page<S: Subject>(subject: &S) {
    for tenant in ["t-1", "t-2", "t-3"] {
        assert_eq!(subject.store().put_notices(None, &row(tenant, 1)).await, Ok(true));
    }
    let page = async |after: Option<&str>| {
        let found = subject.store().notices_page(after, 2).await.unwrap();
        found.into_iter().map(|row| row.tenant).collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, ["t-1", "t-2"]);
    assert_eq!(page(Some("t-2")).await, ["t-3"]);
    assert!(page(Some("t-3")).await.is_empty());
}
