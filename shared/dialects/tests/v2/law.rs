//! The executor's law, under any replies: at most one create, none from a linked document, a search only reads, nothing
//! panics, the same arguments give the same answer.

use crate::fixtures::{CONTACT, context, jane, plain};
use ledger_dialects::v2::V2;
use ledger_dialects::{Dialect, Labelled, Reply, Start, Step};
use ledger_domain::document::{Document, Posted};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const STEPS_MAX: usize = 40;

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just(r#"{"invoice":{"url":"https://api.xero.com/v2/invoices/7","total_value":"24.0"}}"#.to_owned()),
        Just(r#"{"invoice":{"url":"https://api.xero.com/v2/invoices/7"}}"#.to_owned()),
        Just(r#"{"contact":{"url":"https://api.xero.com/v2/contacts/7"}}"#.to_owned()),
        Just(r#"{"errors":[{"field":"reference","message":"has already been taken"}]}"#.to_owned()),
        Just(r#"{"errors":[{"field":"email","message":"has already been taken"}]}"#.to_owned()),
        Just(format!(
            r#"{{"invoices":[{{"url":"https://api.xero.com/v2/invoices/7","reference":"MAG-000000042","contact":"{CONTACT}","currency":"GBP","total_value":"24.0"}}]}}"#
        )),
        Just(r#"{"invoices":[{"url":"https://api.xero.com/v2/invoices/7","reference":"MAG-000000042"}]}"#.to_owned()),
        Just(r#"{"invoices":[],"contacts":[]}"#.to_owned()),
        Just(format!(r#"{{"invoices":[{0}],"contacts":[{0}]}}"#, vec!["{}"; 30].join(","))),
        Just(r#"{"contacts":[{"url":"https://api.xero.com/v2/contacts/7","email":"jane@example.com"}]}"#.to_owned()),
        Just("[".repeat(5_000)),
    ];
    prop_oneof![
        6 => known.clone().prop_map(String::into_bytes),
        2 => (known, 0_usize..200).prop_map(|(body, cut)| body.into_bytes().into_iter().take(cut).collect()),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => "[\\[\\]{}\",:a-z0-9 ]{0,80}".prop_map(String::into_bytes),
        1 => r#"\{"(errors|error|invoice|contact|invoices|contacts|message)":[\[{"a-z:,0-9}\]]{0,40}\}"#.prop_map(String::into_bytes),
    ]
}

fn replies() -> impl Strategy<Value = Vec<Reply>> {
    let status = prop_oneof![
        3 => Just(201_u16), 3 => Just(200), 3 => Just(422), 1 => Just(401), 1 => Just(429), 1 => Just(503), 1 => any::<u16>()
    ];
    let reply = (status, bodies(), any::<Option<u64>>()).prop_map(|(status, body, retry_after_seconds)| Reply {
        status,
        retry_after_seconds,
        body,
        ..Reply::default()
    });
    prop::collection::vec(reply, 1..STEPS_MAX)
}

fn documents() -> impl Strategy<Value = Document> {
    prop_oneof![Just(plain()), Just(Document::Contact(jane()))]
}

/// Plays the replies one after another, the last for ever; returns how many creates were asked for.
fn play<T: PartialEq + std::fmt::Debug>(
    replies: &[Reply],
    next: impl Fn(&[Labelled]) -> Result<Step<T>, ledger_domain::fault::Fault>,
) -> usize {
    let mut seen = Vec::new();
    let mut creates = 0;
    let mut replies = replies.iter();
    let mut last = replies.as_slice().last().cloned();
    for _ in 0..STEPS_MAX {
        let step = next(&seen);
        assert_eq!(step, next(&seen));
        let label = match step {
            Ok(Step::Done(_)) | Err(_) => return creates,
            Ok(Step::Create(label, _)) => {
                creates += 1;
                label
            }
            Ok(Step::Change(label, _)) => panic!("{label}: v2 changes nothing"),
            Ok(Step::Read(label, call)) => {
                assert!(call.path.starts_with("/v2/") && call.body.is_none());
                label
            }
        };
        last = replies.next().cloned().or(last);
        seen.push(Labelled { label, reply: last.clone().unwrap() });
    }
    panic!("no end after {STEPS_MAX} steps");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn posting_creates_at_most_once(document in documents(), replies in replies()) {
        prop_assert_eq!(play(&replies, |seen| V2.post(&document, &context(), &Start::Fresh, seen)), 1);
    }

    #[test]
    fn a_linked_document_is_never_created_again(document in documents(), replies in replies(), own: bool) {
        let provider_id = if own { "https://api.xero.com/v2/invoices/7" } else { "elsewhere" }.to_owned();
        let start = Start::Linked(Posted { provider_id, reference: None, total: None });
        prop_assert_eq!(play(&replies, |seen| V2.post(&document, &context(), &start, seen)), 0);
    }

    #[test]
    fn a_search_only_reads(document in documents(), replies in replies()) {
        prop_assert_eq!(play(&replies, |seen| V2.find(&document, &context(), seen)), 0);
    }

    #[test]
    fn a_created_document_is_one_that_posting_takes_for_created(document in documents(), replies in replies()) {
        for reply in replies {
            let label = if matches!(document, Document::Contact(_)) { "create_contact" } else { "create_invoice" };
            let answered = Labelled { label, reply };
            if let Some(posted) = V2.created(&document, &context(), &answered) {
                let step = V2.post(&document, &context(), &Start::Fresh, std::slice::from_ref(&answered));
                match step {
                    Ok(Step::Done(done)) => prop_assert_eq!(done, posted),
                    Ok(Step::Read(label, _)) => prop_assert_eq!(label, "read_total"),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            // Whatever it was, there is a meaning.
            V2.classify(&answered.reply, true);
            V2.classify(&answered.reply, false);
        }
    }
}
