//! The executor's law, under any replies: a create only after definite refusals of those before it and at most three,
//! none from a document that is there, a search only reads, nothing panics, the same arguments give the same answer.

use crate::fixtures::*;
use ledger_dialects::sage::Sage;
use ledger_dialects::{Call, Dialect, Labelled, Reply, Start, Step};
use ledger_domain::document::{Document, Kind, Posted};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::reference::Reference;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const STEPS_MAX: usize = 40;

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let refused = |source: &str, message: &str| Just(complaint(source, message));
    let invoice = format!(
        r#"{{"id":"{INVOICE}","reference":"MAG-000000042","contact":{{"id":"{CONTACT}"}},"currency":{{"id":"GBP"}},"total_amount":"24.0","status":{{"id":"UNPAID"}},"outstanding_amount":"24.0"}}"#
    );
    let jane = format!(
        r#"{{"id":"{CONTACT}","reference":"{}","email":"jane@example.com","currency":{{"id":"GBP"}}}}"#,
        jane().code(0)
    );
    let bare = format!(r#"{{"id":"{NEW}"}}"#);
    let code = format!(r#"{{"id":"{NEW}","item_code":"MUG-BLUE","quantity_in_stock":"5.0"}}"#);
    let sides = format!(
        r#"{{"id":"{NEW}","allocated_artefacts":[{{"artefact":{{"id":"{INVOICE}"}},"amount":"12.0"}},{{"artefact":{{"id":"{NOTE}"}},"amount":-12}}]}}"#
    );
    let known = prop_oneof![
        Just(invoice.clone()),
        Just(jane.clone()),
        Just(bare.clone()),
        Just(code.clone()),
        Just(sides.clone()),
        Just(page(&[invoice], "null")),
        Just(page(&[jane, code, sides], "null")),
        Just(page(&vec![bare; 30], r#""/x?page=2""#)),
        Just(page(&vec!["{}".to_owned(); 100], r#""/x?page=2""#)),
        Just(page(&[], "null")),
        Just(page(&[], r#""/x?page=2""#)),
        refused("reference", "has already been taken"),
        refused("item_code", "has already been taken"),
        refused("line_items.eu_goods_services_type_id", "must be selected"),
        refused("allocated_artefacts.amount", "must be negative"),
        refused("sales_prices.product_sales_price_type_id", "can't be blank"),
        refused("main_address.address_type_id", "can't be blank"),
        Just("[".repeat(5_000)),
    ];
    prop_oneof![
        8 => known.clone().prop_map(String::into_bytes),
        2 => (known, 0_usize..200).prop_map(|(body, cut)| body.into_bytes().into_iter().take(cut).collect()),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => "[\\[\\]{}\",:a-z0-9$ ]{0,80}".prop_map(String::into_bytes),
        1 => r#"\[?\{"(\$source|\$message|\$items|\$next|id|error|errors)":[\[{"a-z:,0-9}\]]{0,40}\}\]?"#.prop_map(String::into_bytes),
    ]
}

fn replies() -> impl Strategy<Value = Vec<Reply>> {
    let status = prop_oneof![
        4 => Just(201_u16), 5 => Just(200), 4 => Just(422), 1 => Just(401), 1 => Just(404), 1 => Just(429), 1 => Just(503),
        1 => any::<u16>()
    ];
    let headers = prop_oneof![
        3 => Just(Vec::new()),
        3 => Just(vec![("x-business".to_owned(), BUSINESS.to_owned())]),
        1 => Just(vec![("x-business".to_owned(), NEW.to_owned())]),
    ];
    let reply =
        (status, bodies(), any::<Option<u64>>(), headers).prop_map(|(status, body, retry_after_seconds, headers)| {
            Reply { status, retry_after_seconds, headers, body, ..Reply::default() }
        });
    prop::collection::vec(reply, 1..STEPS_MAX)
}

fn any_document() -> impl Strategy<Value = Document> {
    let mut all = documents();
    let mut uncosted = movement();
    uncosted.cost = None;
    all.push(Document::StockMovement(uncosted));
    let mut foreign = invoice();
    foreign.exchange_rate = rate("1.1753");
    all.push(Document::Invoice(foreign));
    prop::sample::select(all)
}

/// What a play came to.
#[derive(Debug, Default)]
struct Played {
    creates: usize,
    changes: usize,
    done: bool,
}

fn sound(call: &Call) {
    assert!(call.path.starts_with("/v3.1/") && !call.path.contains(".."), "{}", call.path);
    assert_eq!(call.headers, [("x-business", BUSINESS.to_owned())]);
}

/// Plays the replies one after another, the last for ever. A second create is only legal after a definite refusal.
fn play<T: PartialEq + std::fmt::Debug>(
    replies: &[Reply],
    next: impl Fn(&[Labelled]) -> Result<Step<T>, Fault>,
) -> Played {
    let mut seen: Vec<Labelled> = Vec::new();
    let mut played = Played::default();
    let mut applied: Option<Reply> = None;
    let mut replies = replies.iter();
    let mut last = replies.as_slice().last().cloned();
    for _ in 0..STEPS_MAX {
        let step = next(&seen);
        assert_eq!(step, next(&seen));
        let mut creates = false;
        let label = match step {
            Ok(Step::Done(_)) => {
                played.done = true;
                return played;
            }
            Err(_) => return played,
            Ok(Step::Create(label, call)) => {
                sound(&call);
                if let Some(before) = &applied {
                    assert!(!(200..300).contains(&before.status), "{label} again after success");
                    assert_eq!(Sage.classify(before, true).action, Action::Refused, "{label} again after doubt");
                }
                played.creates += 1;
                creates = true;
                label
            }
            Ok(Step::Change(label, call)) => {
                sound(&call);
                played.changes += 1;
                label
            }
            Ok(Step::Read(label, call)) => {
                sound(&call);
                assert!(call.method.as_str() == "GET" && call.body.is_none());
                label
            }
        };
        last = replies.next().cloned().or(last);
        let reply = last.clone().unwrap();
        if creates {
            applied = Some(reply.clone());
        }
        seen.push(Labelled { label, reply });
    }
    panic!("no end after {STEPS_MAX} steps");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn posting_creates_again_only_after_a_definite_refusal(document in any_document(), replies in replies()) {
        let played = play(&replies, |seen| Sage.post(&document, &context(), &Start::Fresh, seen));
        prop_assert!(played.creates <= 3 && played.changes == 0);
    }

    #[test]
    fn a_linked_document_is_never_created_again(document in any_document(), replies in replies(), outdated: bool) {
        let id = if document.kind() == Kind::Product { format!("products/{NEW}") } else { NEW.to_owned() };
        let posted = Posted { provider_id: id, reference: None, total: None };
        let start = if outdated { Start::Outdated(posted) } else { Start::Linked(posted) };
        let played = play(&replies, |seen| Sage.post(&document, &context(), &start, seen));
        prop_assert_eq!(played.creates, 0);
        let changes = outdated && matches!(document.kind(), Kind::Contact | Kind::Product);
        prop_assert_eq!(played.changes > 0, changes);
    }

    #[test]
    fn a_search_only_reads(document in any_document(), replies in replies()) {
        let played = play(&replies, |seen| Sage.find(&document, &context(), seen));
        prop_assert!(played.creates == 0 && played.changes == 0);
    }

    #[test]
    fn questions_only_read(replies in replies(), kind in prop::sample::select(&Kind::ALL[..]), stocked: bool) {
        let played = play(&replies, |seen| Sage.balance(kind, INVOICE, &context(), seen));
        prop_assert!(played.creates == 0 && played.changes == 0);
        let item = format!("{}/{NEW}", if stocked { "stock_items" } else { "products" });
        let played = play(&replies, |seen| Sage.stock(&item, &context(), seen));
        prop_assert!(played.creates == 0 && played.changes == 0 && (stocked || played.done));
    }

    #[test]
    fn a_created_document_is_one_that_posting_takes_for_created(document in any_document(), replies in replies()) {
        for reply in replies {
            let label = match document.kind() {
                Kind::Contact => "create_contact",
                Kind::Product => "create_product",
                Kind::Invoice => "create_invoice",
                Kind::Payment => "create_payment",
                Kind::CreditNote => "create_credit_note",
                Kind::Allocation => "create_allocation",
                Kind::Refund => "create_refund",
                Kind::StockMovement => "create_stock_movement",
            };
            let answered = Labelled { label, reply };
            let mut seen = unknown(&document);
            if matches!(&document, Document::StockMovement(movement) if movement.cost.is_none()) {
                seen.push(answer("read_stock_item", 200, "{\"id\":\"\"}"));
            }
            seen.push(answered.clone());
            let step = Sage.post(&document, &context(), &Start::Fresh, &seen);
            match Sage.created(&document, &context(), &answered) {
                Some(posted) => {
                    let business = answered.reply.header("x-business").is_none_or(|named| named == BUSINESS);
                    prop_assert!(business);
                    match step {
                        Ok(Step::Done(done)) => prop_assert_eq!(done, posted),
                        Ok(Step::Read(label, _)) => prop_assert_eq!(label, "read_total"),
                        Err(fault) => prop_assert_eq!(fault.code.as_str(), "total_mismatch"),
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                None => prop_assert!(!matches!(step, Ok(Step::Done(_)))),
            }
            // Whatever it was, there is a meaning.
            Sage.classify(&answered.reply, true);
            Sage.classify(&answered.reply, false);
            for of in Reference::ALL {
                let _ = Sage.read_page(of, &context(), &answered.reply);
            }
        }
    }
}
