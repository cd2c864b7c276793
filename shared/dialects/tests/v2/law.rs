//! The executor's law, under any replies: at most one create, none from a linked or outdated document, changes only from
//! posting, searches and balances only read, nothing panics, the same arguments give the same answer.

use crate::fixtures::{context, every_kind, here};
use crate::{BASE, DIALECT};
use ledger_dialects::{Dialect, Labelled, Reply, Start, Step};
use ledger_domain::document::{Document, Kind, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::reference::Reference;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const STEPS_MAX: usize = 40;
/// A root key, a collection, and what else an entry of it has that is ours.
const ENTITIES: [(&str, &str, &str); 6] = [
    (
        "invoice",
        "invoices",
        r#""reference":"MAG-000000042","contact":"~/v2/contacts/2","currency":"GBP","total_value":"24.0""#,
    ),
    ("contact", "contacts", r#""email":"jane@example.com","status":"Active""#),
    (
        "credit_note",
        "credit_notes",
        r#""reference":"MAG-CN-000000003","contact":"~/v2/contacts/2","currency":"GBP","total_value":"-26.98""#,
    ),
    ("price_list_item", "price_list_items", r#""code":"MUG-BLUE""#),
    (
        "bank_transaction_explanation",
        "bank_transaction_explanations",
        r#""receipt_reference":"MAG-P-000000042","paid_invoice":"~/v2/invoices/7","gross_value":"24.0""#,
    ),
    (
        "credit_note_reconciliation",
        "credit_note_reconciliations",
        r#""credit_note":"~/v2/credit_notes/9","invoice":"~/v2/invoices/7","gross_value":"26.98""#,
    ),
];

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let entity = prop::sample::select(ENTITIES.to_vec());
    let status = prop::sample::select(vec!["", r#","status":"Draft""#, r#","status":"Open""#, r#","status":"Hidden""#]);
    let whole = |collection: &str, more: &str| format!(r#"{{"url":"~/v2/{collection}/7",{more}}}"#);
    let known = prop_oneof![
        3 => (entity.clone(), status.clone()).prop_map(move |((root, collection, more), status)| {
            format!(r#"{{"{root}":{}}}"#, whole(collection, &format!("{more}{status}")))
        }),
        3 => (entity.clone(), status).prop_map(move |((_, collection, more), status)| {
            format!(r#"{{"{collection}":[{}]}}"#, whole(collection, &format!("{more}{status}")))
        }),
        1 => entity.clone().prop_map(|(root, collection, _)| format!(r#"{{"{root}":{{"url":"/v2/{collection}/7"}}}}"#)),
        1 => entity.prop_map(|(_, collection, more)| {
            let reference = more.split(',').next().unwrap_or_default();
            format!(r#"{{"{collection}":[{{"url":"~/v2/{collection}/7",{reference}}}]}}"#)
        }),
        1 => prop::sample::select(vec!["reference", "email", "code"]).prop_map(|field| {
            format!(r#"{{"errors":[{{"field":"{field}","message":"has already been taken"}}]}}"#)
        }),
        2 => Just(format!("{{{}}}", ENTITIES.map(|(_, collection, _)| format!(r#""{collection}":[]"#)).join(","))),
        1 => Just(format!(
            "{{{}}}",
            ENTITIES.map(|(_, collection, _)| format!(r#""{collection}":[{}]"#, vec!["{}"; 30].join(","))).join(",")
        )),
        1 => Just("[".repeat(5_000)),
    ];
    let known = known.prop_map(|body| here(&body));
    prop_oneof![
        8 => known.clone().prop_map(String::into_bytes),
        2 => (known, 0_usize..200).prop_map(|(body, cut)| body.into_bytes().into_iter().take(cut).collect()),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => "[\\[\\]{}\",:a-z0-9 ]{0,80}".prop_map(String::into_bytes),
        1 => r#"\{"(errors|error|invoice|contact|invoices|contacts|company|message)":[\[{"a-z:,0-9}\]]{0,40}\}"#.prop_map(String::into_bytes),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let status = prop_oneof![
        3 => Just(201_u16), 4 => Just(200), 3 => Just(422), 1 => Just(401), 1 => Just(403), 1 => Just(429),
        1 => Just(503), 1 => any::<u16>()
    ];
    let link = prop::option::of("[<>?&=;,\"a-z0-9% /:]{0,60}");
    (status, bodies(), any::<Option<u64>>(), link).prop_map(|(status, body, retry_after_seconds, link)| Reply {
        status,
        retry_after_seconds,
        headers: link.map(|link| ("link".to_owned(), link)).into_iter().collect(),
        body,
        ..Reply::default()
    })
}

fn replies() -> impl Strategy<Value = Vec<Reply>> {
    prop::collection::vec(reply(), 1..STEPS_MAX)
}

fn documents() -> impl Strategy<Value = Document> {
    prop::sample::select(every_kind())
}

/// What was asked for.
#[derive(Default)]
struct Played {
    creates: usize,
    changes: usize,
}

/// Plays the replies one after another, the last for ever.
fn play<T: PartialEq + std::fmt::Debug>(
    replies: &[Reply],
    next: impl Fn(&[Labelled]) -> Result<Step<T>, Fault>,
) -> Played {
    let mut seen = Vec::new();
    let mut played = Played::default();
    let mut replies = replies.iter();
    let mut last = replies.as_slice().last().cloned();
    for _ in 0..STEPS_MAX {
        let step = next(&seen);
        assert_eq!(step, next(&seen));
        let (label, call) = match step {
            Ok(Step::Done(_)) | Err(_) => return played,
            Ok(Step::Create(label, call)) => {
                played.creates += 1;
                (label, call)
            }
            Ok(Step::Change(label, call)) => {
                played.changes += 1;
                (label, call)
            }
            Ok(Step::Read(label, call)) => {
                assert!(call.body.is_none());
                (label, call)
            }
        };
        assert!(call.path.starts_with("/v2/"));
        last = replies.next().cloned().or(last);
        seen.push(Labelled { label, reply: last.clone().unwrap() });
    }
    panic!("no end after {STEPS_MAX} steps");
}

/// A document of the book, or one elsewhere.
fn posted(document: &Document, own: bool) -> Posted {
    let collection = match document.kind() {
        Kind::Contact => "contacts",
        Kind::Product => "price_list_items",
        Kind::Invoice => "invoices",
        Kind::CreditNote => "credit_notes",
        Kind::Allocation => "credit_note_reconciliations",
        Kind::Payment | Kind::Refund => "bank_transaction_explanations",
        Kind::StockMovement => "stock_items",
    };
    let provider_id = if own { format!("{BASE}/v2/{collection}/7") } else { "elsewhere".to_owned() };
    Posted { provider_id, reference: None, total: None }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_500, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn posting_creates_at_most_once(document in documents(), replies in replies()) {
        let played = play(&replies, |seen| DIALECT.post(&document, &context(), &Start::Fresh, seen));
        prop_assert!(played.creates <= 1);
        prop_assert!(played.changes == 0 || played.creates == 1);
    }

    #[test]
    fn a_linked_document_is_never_created_again(document in documents(), replies in replies(), own: bool, total: bool) {
        let total = document.total().filter(|_| total);
        let start = Start::Linked(Posted { total, ..posted(&document, own) });
        prop_assert_eq!(play(&replies, |seen| DIALECT.post(&document, &context(), &start, seen)).creates, 0);
    }

    #[test]
    fn an_outdated_document_is_changed_and_not_created(document in documents(), replies in replies(), own: bool) {
        let start = Start::Outdated(posted(&document, own));
        let played = play(&replies, |seen| DIALECT.post(&document, &context(), &start, seen));
        prop_assert_eq!(played.creates, 0);
        if own && matches!(document.kind(), Kind::Contact | Kind::Product) {
            prop_assert_eq!(played.changes, 1);
        }
    }

    #[test]
    fn a_search_only_reads(document in documents(), replies in replies()) {
        let played = play(&replies, |seen| DIALECT.find(&document, &context(), seen));
        prop_assert_eq!((played.creates, played.changes), (0, 0));
    }

    #[test]
    fn a_balance_only_reads(document in documents(), replies in replies(), own: bool) {
        let provider_id = posted(&document, own).provider_id;
        let played = play(&replies, |seen| DIALECT.balance(document.kind(), &provider_id, &context(), seen));
        prop_assert_eq!((played.creates, played.changes), (0, 0));
    }

    #[test]
    fn a_created_document_is_one_that_posting_takes_for_created(document in documents(), reply in reply()) {
        let mut seen = Vec::new();
        let label = loop {
            match DIALECT.post(&document, &context(), &Start::Fresh, &seen) {
                Ok(Step::Create(label, _)) => break label,
                Ok(Step::Read(label, _)) => {
                    let reply = Reply { status: 200, body: br#"{"contacts":[]}"#.to_vec(), ..Reply::default() };
                    seen.push(Labelled { label, reply });
                }
                other => panic!("{other:?}"),
            }
        };
        let answered = Labelled { label, reply };
        let created = DIALECT.created(&document, &context(), &answered);
        seen.push(answered.clone());
        match (DIALECT.post(&document, &context(), &Start::Fresh, &seen), created) {
            (Ok(Step::Done(done)), created) => prop_assert_eq!(Some(done), created),
            (Ok(Step::Change(label, _)), Some(_)) => prop_assert_eq!(label, "mark_as_sent"),
            (Ok(Step::Read(label, _)), Some(_)) => prop_assert_eq!(label, "read_total"),
            (Ok(Step::Read(..)) | Err(_), None) => {}
            other => prop_assert!(false, "{:?}", other),
        }
        // Whatever it was, there is a meaning.
        DIALECT.classify(&answered.reply, true);
        DIALECT.classify(&answered.reply, false);
    }

    #[test]
    fn reference_data_survives_anything(reply in reply()) {
        for of in Reference::ALL {
            if let Some(cursor) = DIALECT.read_page(of, &context(), &reply).ok().and_then(|page| page.next) {
                prop_assert!(DIALECT.page(of, &context(), Some(&cursor)).is_some());
            }
        }
    }
}
