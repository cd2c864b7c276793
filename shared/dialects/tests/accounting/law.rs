//! The executor's law, under any replies: one create, and another only after a definite refusal; none from linked or
//! outdated; a search and a balance only read; no token in a request; the same arguments give the same answer; nothing
//! panics, whatever the bytes.

use crate::fixtures::{
    CONTACT, CREDIT_NOTE, INVOICE, ITEM, OTHER, PAYMENT, context, documents, envelope, jane, linked, refused,
};
use ledger_dialects::accounting::Accounting;
use ledger_dialects::{Call, Dialect, Labelled, Reply, Start, Step};
use ledger_domain::document::{Document, Kind};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::reference::Reference;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const STEPS_MAX: usize = 60;
const CREATES_MAX: usize = 3;

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let code = jane().code(0);
    let other_code = jane().code(1);
    let known = vec![
        envelope(
            "Invoices",
            &[&format!(r#"{{"InvoiceID":"{INVOICE}","Total":24.00,"HasErrors":false,"ValidationErrors":[]}}"#)],
        ),
        envelope("Invoices", &[&format!(r#"{{"InvoiceID":"{INVOICE}"}}"#)]),
        envelope(
            "Invoices",
            &[&format!(
                r#"{{"InvoiceID":"{INVOICE}","Type":"ACCREC","InvoiceNumber":"MAG-000000042","Status":"AUTHORISED","CurrencyCode":"GBP","Contact":{{"ContactID":"{CONTACT}"}},"Total":24.00,"AmountDue":"24.00","CreditNotes":[]}}"#
            )],
        ),
        envelope("Invoices", &[]),
        envelope(
            "CreditNotes",
            &[&format!(
                r#"{{"CreditNoteID":"{CREDIT_NOTE}","Type":"ACCRECCREDIT","CreditNoteNumber":"MAG-CN-000000009","Total":10.5,"RemainingCredit":10.5,"Status":"AUTHORISED","Allocations":[]}}"#
            )],
        ),
        envelope(
            "CreditNotes",
            &[&format!(r#"{{"CreditNoteID":"{OTHER}","Type":"ACCPAYCREDIT","CreditNoteNumber":"MAG-CN-000000009"}}"#)],
        ),
        envelope(
            "Payments",
            &[&format!(
                r#"{{"PaymentID":"{PAYMENT}","Amount":24.00,"Status":"AUTHORISED","Reference":"MAG-000000042-P"}}"#
            )],
        ),
        envelope("Payments", &vec!["{}"; 100]),
        envelope("Allocations", &[&format!(r#"{{"Amount":10.50,"Invoice":{{"InvoiceID":"{INVOICE}"}}}}"#)]),
        envelope("Items", &[&format!(r#"{{"ItemID":"{ITEM}","Code":"MUG-BLUE"}}"#)]),
        envelope(
            "Contacts",
            &[&format!(r#"{{"ContactID":"{CONTACT}","ContactNumber":"{code}","EmailAddress":"jane@example.com"}}"#)],
        ),
        envelope(
            "Contacts",
            &[&format!(r#"{{"ContactID":"{OTHER}","ContactNumber":"{code}","EmailAddress":"x@example.com"}}"#)],
        ),
        envelope(
            "Contacts",
            &[&format!(r#"{{"ContactID":"{OTHER}","ContactNumber":"{other_code}","EmailAddress":"x@example.com"}}"#)],
        ),
        envelope(
            "Contacts",
            &[&format!(
                r#"{{"ContactID":"{OTHER}","ContactNumber":"{code}","ContactStatus":"ARCHIVED","MergedToContactID":"{OTHER}"}}"#
            )],
        ),
        envelope("Contacts", &[]),
        envelope(
            "Contacts",
            &[&format!(
                r#"{{"ContactID":"{OTHER}","HasValidationErrors":true,"ValidationErrors":[{{"Message":"Odd"}}]}}"#
            )],
        ),
        refused("Invoice # must be unique."),
        refused(
            "The contact name X is already assigned to another contact. The contact name must be unique across all active contacts.",
        ),
        refused("The Contact Number already exists."),
        refused("Price List Item with Code 'MUG-BLUE' already exists"),
        refused("Idempotency Key: K is used with a different request."),
        refused("Payment amount exceeds the amount outstanding on this document"),
        "[".repeat(5_000),
        format!("{{\"Invoices\":{}", "[".repeat(5_000)),
    ];
    let known = prop::sample::select(known);
    prop_oneof![
        8 => known.clone().prop_map(String::into_bytes),
        2 => (known, 0_usize..400).prop_map(|(body, cut)| body.into_bytes().into_iter().take(cut).collect()),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => "[\\[\\]{}\",:a-z0-9 ]{0,80}".prop_map(String::into_bytes),
        1 => r#"\{"(Invoices|Contacts|Payments|Elements|Type)":[\[{"A-Za-z:,0-9}\]]{0,40}\}"#.prop_map(String::into_bytes),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let status = prop_oneof![
        6 => Just(200_u16), 4 => Just(400), 2 => Just(404), 1 => Just(401), 1 => Just(403), 1 => Just(429), 1 => Just(500),
        1 => Just(503), 1 => any::<u16>()
    ];
    (status, bodies(), any::<Option<u64>>(), "[a-z]{0,12}").prop_map(|(status, body, retry_after_seconds, problem)| {
        Reply {
            status,
            retry_after_seconds,
            headers: vec![("x-rate-limit-problem".to_owned(), problem)],
            body,
            ..Reply::default()
        }
    })
}

fn replies() -> impl Strategy<Value = Vec<Reply>> {
    prop::collection::vec(reply(), 1..20)
}

fn document() -> impl Strategy<Value = Document> {
    prop::sample::select(documents())
}

fn harmless(call: &Call) {
    assert!(call.path.starts_with("/api.xro/2.0/") && !call.path.contains(['?', '#', ' ', '\\']));
    assert!(call.headers.iter().all(|(name, _)| matches!(*name, "xero-tenant-id" | "idempotency-key")));
}

/// Plays the replies one after another, the last for ever; returns how many creates were asked for.
fn play<T: PartialEq + std::fmt::Debug>(
    replies: &[Reply],
    changes: bool,
    next: impl Fn(&[Labelled]) -> Result<Step<T>, Fault>,
) -> usize {
    let mut seen: Vec<Labelled> = Vec::new();
    let mut creates = 0;
    let mut replies = replies.iter();
    let mut last = replies.as_slice().last().cloned();
    let mut doubt = false;
    for _ in 0..STEPS_MAX {
        let step = next(&seen);
        assert_eq!(step, next(&seen));
        let (label, writes) = match step {
            Ok(Step::Done(_)) | Err(_) => return creates,
            Ok(Step::Create(label, call)) => {
                harmless(&call);
                assert!(!doubt, "a create after one that may have been applied");
                creates += 1;
                (label, true)
            }
            Ok(Step::Change(label, call)) => {
                harmless(&call);
                assert!(changes, "{label}");
                (label, false)
            }
            Ok(Step::Read(label, call)) => {
                harmless(&call);
                assert!(call.method.as_str() == "GET" && call.body.is_none());
                (label, false)
            }
        };
        last = replies.next().cloned().or(last);
        let reply = last.clone().unwrap();
        doubt |= writes && !matches!(Accounting.classify(&reply, true).action, Action::Refused);
        seen.push(Labelled { label, reply });
    }
    panic!("no end after {STEPS_MAX} steps");
}

fn start(provider_id: &str, outdated: bool) -> Start {
    let posted = linked(provider_id, None);
    if outdated { Start::Outdated(posted) } else { Start::Linked(posted) }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn posting_creates_again_only_after_a_definite_refusal(document in document(), replies in replies()) {
        let creates = play(&replies, false, |seen| Accounting.post(&document, &context(), &Start::Fresh, seen));
        let most = if matches!(document, Document::Contact(_)) { CREATES_MAX } else { 1 };
        prop_assert!(creates <= most);
    }

    #[test]
    fn what_is_linked_or_outdated_is_never_created_again(
        document in document(), replies in replies(), own: bool, outdated: bool
    ) {
        let start = start(if own { INVOICE } else { "elsewhere" }, outdated);
        prop_assert_eq!(play(&replies, outdated, |seen| Accounting.post(&document, &context(), &start, seen)), 0);
    }

    #[test]
    fn a_search_and_a_balance_only_read(document in document(), replies in replies(), invoice: bool) {
        prop_assert_eq!(play(&replies, false, |seen| Accounting.find(&document, &context(), seen)), 0);
        let kind = if invoice { Kind::Invoice } else { Kind::CreditNote };
        prop_assert_eq!(play(&replies, false, |seen| Accounting.balance(kind, INVOICE, &context(), seen)), 0);
    }

    #[test]
    fn a_created_document_is_one_that_posting_takes_for_created(document in document(), reply in reply()) {
        let mut seen = crate::fixtures::before_create(&document);
        let (label, _) = crate::fixtures::creating(&document);
        seen.push(Labelled { label, reply });
        let answered = seen.last().unwrap();
        let step = Accounting.post(&document, &context(), &Start::Fresh, &seen);
        match Accounting.created(&document, &context(), answered) {
            Some(posted) => {
                prop_assert!(answered.reply.status < 300);
                match step {
                    Ok(Step::Done(done)) => prop_assert_eq!(done, posted),
                    Ok(Step::Read(label, _)) => prop_assert_eq!(label, "read_total"),
                    other => prop_assert!(false, "{:?}", other),
                }
                // Nothing that is in the book may count as refused.
                prop_assert_eq!(Accounting.classify(&answered.reply, true).action, Action::Doubtful);
            }
            None => prop_assert!(!matches!(step, Ok(Step::Done(_))), "{:?}", step),
        }
    }

    #[test]
    fn whatever_comes_has_a_meaning(reply in reply()) {
        let read = Accounting.classify(&reply, false);
        prop_assert!(!matches!(read.action, Action::Broken));
        let written = Accounting.classify(&reply, true);
        prop_assert!(!matches!(written.action, Action::Broken));
        for of in Reference::ALL {
            if let Ok(page) = Accounting.read_page(of, &context(), &reply) { prop_assert_eq!(page.next, None); }
        }
    }
}
