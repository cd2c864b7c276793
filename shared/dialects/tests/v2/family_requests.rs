//! Every request of the kinds that are alike in all houses, to the byte.

use crate::fixtures::{
    allocation, context, credit_note, decimal, every_kind, jane, payment, payment_in_euros, product, refund, shown,
};
use crate::{BASE, DIALECT, SNAPSHOTS};
use ledger_dialects::{Call, Dialect, Labelled, Reply, Start, Step};
use ledger_domain::amount::Currency;
use ledger_domain::code::Code;
use ledger_domain::document::{Document, ExchangeRate, Kind, Posted, Product};
use ledger_domain::fault::Fault;
use ledger_domain::reference::Reference;

/// The creating call: after an empty list, where one is looked through before.
pub(crate) fn create(document: &Document) -> (&'static str, Call) {
    let mut seen = Vec::new();
    loop {
        let step = DIALECT.post(document, &context(), &Start::Fresh, &seen);
        assert_eq!(step, DIALECT.post(document, &context(), &Start::Fresh, &seen), "the same document, the same bytes");
        match step {
            Ok(Step::Read(label, _)) => {
                let reply = Reply { status: 200, body: br#"{"contacts":[]}"#.to_vec(), ..Reply::default() };
                seen.push(Labelled { label, reply });
            }
            Ok(Step::Create(label, call)) => return (label, call),
            other => panic!("{other:?}"),
        }
    }
}

fn created(document: &Document, label: &str) -> String {
    let (said, call) = create(document);
    assert_eq!(said, label);
    shown(&call)
}

fn snapshot(name: &str, shown: &str) {
    insta::with_settings!({ snapshot_path => SNAPSHOTS, omit_expression => true }, {
        insta::assert_snapshot!(name, shown);
    });
}

#[test]
fn products() {
    let product_with = |change: fn(&mut Product)| {
        let mut it = product();
        change(&mut it);
        created(&Document::Product(it), "create_product")
    };
    snapshot("product", &product_with(|_| {}));
    snapshot(
        "product_of_64_characters_with_tax_in_its_price",
        &product_with(|it| {
            it.sku = "X".repeat(64);
            it.item_type = "Services".to_owned();
            it.price_includes_tax = true;
        }),
    );
    snapshot(
        "product_with_standard_tax_in_its_price",
        &product_with(|it| {
            it.price = Some(decimal("9.99"));
            it.price_includes_tax = true;
            it.tax_code = Some("standard".to_owned());
        }),
    );
    let mut priceless = product();
    priceless.price = None;
    let refused = DIALECT.post(&Document::Product(priceless), &context(), &Start::Fresh, &[]);
    assert_eq!(refused.map_err(|fault| fault.code), Err(Code::BookRefused));
}

#[test]
fn credit_notes() {
    let note = |change: fn(&mut ledger_domain::document::CreditNote)| {
        let mut it = credit_note();
        change(&mut it);
        created(&Document::CreditNote(it), "create_credit_note")
    };
    snapshot("credit_note", &note(|_| {}));
    snapshot(
        "credit_note_in_euros_without_an_invoice",
        &note(|it| {
            it.invoice = None;
            it.currency = Currency::parse("EUR").unwrap();
            it.exchange_rate = Some(ExchangeRate { per_book_unit: decimal("1.1753") });
        }),
    );
    snapshot("credit_note_of_an_invoice_without_a_date", &note(|it| it.invoice.as_mut().unwrap().dated_on = None));
}

#[test]
fn money() {
    snapshot("payment", &created(&Document::Payment(payment()), "create_payment"));
    snapshot("payment_in_euros", &created(&Document::Payment(payment_in_euros()), "create_payment"));
    snapshot("refund", &created(&Document::Refund(refund()), "create_refund"));
    snapshot("allocation", &created(&Document::Allocation(allocation()), "create_allocation"));
    let mut in_euros = allocation();
    in_euros.currency = Currency::parse("EUR").unwrap();
    in_euros.exchange_rate = Some(ExchangeRate { per_book_unit: decimal("1.1753") });
    snapshot("allocation_in_euros", &created(&Document::Allocation(in_euros), "create_allocation"));

    let mut unknown = payment_in_euros();
    unknown.bank.amount = None;
    let document = Document::Payment(unknown);
    let code = |fault: Fault| fault.code;
    let expected = Err(Code::ExchangeRateUnknown);
    assert_eq!(DIALECT.post(&document, &context(), &Start::Fresh, &[]).map_err(code), expected);
    assert_eq!(DIALECT.find(&document, &context(), &[]).map_err(code), Err(Code::ExchangeRateUnknown));
}

#[test]
fn what_is_newer_in_the_shop() {
    let changed = |document: Document, provider_id: &str| {
        let posted = Posted { provider_id: format!("{BASE}{provider_id}"), reference: None, total: None };
        match DIALECT.post(&document, &context(), &Start::Outdated(posted), &[]) {
            Ok(Step::Change(_, call)) => shown(&call),
            other => panic!("{other:?}"),
        }
    };
    let mut contact = jane();
    contact.phone = None;
    contact.payment_terms_in_days = Some(14);
    snapshot("contact_outdated", &changed(Document::Contact(contact.clone()), "/v2/contacts/2"));
    contact.address = None;
    snapshot("contact_outdated_without_address", &changed(Document::Contact(contact), "/v2/contacts/2"));
    snapshot("product_outdated", &changed(Document::Product(product()), "/v2/price_list_items/5"));
}

#[test]
fn searches() {
    for document in every_kind() {
        let Ok(Step::Read(label, call)) = DIALECT.find(&document, &context(), &[]) else { panic!("{document:?}") };
        let kind = document.kind().as_str();
        snapshot(&format!("looking_for_{kind}"), &format!("{label}\n{}", shown(&call)));
    }
}

#[test]
fn balances_and_reference_data() {
    let mut all = String::new();
    for (kind, path) in [(Kind::Invoice, "/v2/invoices/7"), (Kind::CreditNote, "/v2/credit_notes/9")] {
        let Ok(Step::Read(label, call)) = DIALECT.balance(kind, &format!("{BASE}{path}"), &context(), &[]) else {
            panic!("{kind:?}")
        };
        all.push_str(&format!("{label} {}\n", shown(&call).trim()));
    }
    for of in Reference::ALL {
        for cursor in [None, Some("3"), Some("2@2026-11-20T09:30:00Z"), Some("nonsense")] {
            let page = DIALECT.page(of, &context(), cursor);
            assert_eq!(page.is_some(), DIALECT.profile().references.contains(&of), "{of:?}");
            if let Some(call) = page {
                all.push_str(&format!("{} {cursor:?} {}\n", of.as_str(), shown(&call).trim().replace('\n', "?")));
            }
        }
    }
    snapshot("balances_and_reference_data", &all);
}

#[test]
fn nothing_carries_a_host_or_a_key() {
    for document in every_kind() {
        let (_, call) = create(&document);
        assert!(call.path.starts_with("/v2/") && call.headers.is_empty(), "{call:?}");
        assert!(!shown(&call).contains(&context().idempotency_key), "{call:?}");
    }
}

#[test]
fn stock_is_not_moved() {
    let movement = Document::StockMovement(ledger_domain::document::StockMovement {
        reference: "MAG-S-1".to_owned(),
        product: format!("{BASE}/v2/price_list_items/5"),
        dated_on: "2026-12-01".parse().unwrap(),
        quantity: decimal("3"),
        cost: None,
    });
    assert!(!DIALECT.profile().posts(Kind::StockMovement));
    assert!(DIALECT.post(&movement, &context(), &Start::Fresh, &[]).is_err());
    assert!(DIALECT.find(&movement, &context(), &[]).is_err());
    assert_eq!(DIALECT.stock("", &context(), &[]), Ok(Step::Done(None)));
}
