//! Every cell of the table of what dialects do is a case that was seen, and the pages of the providers say the same.

use ledger_conformance::books::{DIALECTS, Stage};
use ledger_conformance::law;
use ledger_conformance::trade::Trade;
use ledger_conformance::walk::{Cell, walk};
use ledger_dialects::{Labelled, Start, Step, dialects};
use ledger_domain::document::Document;
use ledger_domain::mapping;
use ledger_world::shop::{Address, ItemSpec, MemoSpec, OrderSpec, Shop, ShopOptions};

const PAGES: [(&str, &str); 4] =
    [("v2", "xero-v2.md"), ("accounting", "xero-accounting.md"), ("sage", "sage.md"), ("freeagent", "freeagent.md")];

#[tokio::test]
async fn every_dialect_does_what_it_claims_and_its_page_says_so() {
    let mut wrong = Vec::new();
    let mut columns = Vec::new();
    for (name, file) in PAGES {
        let cells = match walk(name).await {
            Ok(cells) => cells,
            Err(error) => {
                wrong.push(format!("{name}: {error:#}"));
                continue;
            }
        };
        let path = format!("{}/../../docs/providers/{file}", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(path).unwrap();
        for (kind, cell) in &cells {
            let word = if matches!(cell, Cell::Seen(_)) { "yes" } else { "no" };
            let row = format!("| {} | {word}", kind.as_str().replace('_', " "));
            if !page.lines().any(|line| line.starts_with(&row)) {
                wrong.push(format!("{file} has no row {row:?}"));
            }
        }
        columns.push((name, cells));
    }
    // The table of all four, word for word.
    let all =
        std::fs::read_to_string(format!("{}/../../docs/providers/README.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let table = ledger_conformance::walk::page(&columns);
    if !all.contains(&table) {
        wrong.push(format!("docs/providers/README.md does not show\n{table}"));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// What a shop's customer, product, invoices, payment, credit notes, refund and set-off become in each dialect, to the field.
#[tokio::test]
async fn the_requests_of_a_walk_are_as_they_were() {
    for name in DIALECTS {
        let requests = ledger_conformance::walk::requests(name).await.unwrap();
        assert!(requests.len() >= 9, "{name}: {requests:?}");
        insta::assert_snapshot!(name, requests.join("\n\n"));
    }
}

/// Random conversations with each dialect.
const CONVERSATIONS: u64 = 2_000;

#[tokio::test]
async fn every_dialect_keeps_the_law() {
    for name in DIALECTS {
        let stage = Stage::open(name).await.unwrap();
        let shop = Shop::start(ShopOptions::default()).await.unwrap();
        let trade = Trade::new(&stage, &shop).unwrap();
        let order =
            OrderSpec::for_guest("jane@example.com", "Jane", "Doe", Address::british("1 High St", "Leeds", "LS1"))
                .item(ItemSpec::simple("TEE", "Tee", 2, "10").taxed(20));
        let sold = trade.sells(&order).unwrap();
        let memo = MemoSpec::of_invoice(sold.order.id, sold.id).only("TEE", 1);
        let (note, posted) = trade.credits(&sold, &memo).unwrap();
        let rules = &trade.drive.dialect.profile().rules;
        let contact = mapping::contact_of(&sold.told, &trade.settings, rules).unwrap();
        let of = &sold.posted.provider_id;
        let allocation = mapping::allocation(&note, &posted.provider_id, of, note.total, rules);
        let documents = [
            Document::Contact(contact),
            Document::Invoice(sold.document.clone()),
            Document::CreditNote(note),
            Document::Allocation(allocation),
        ];
        // What the book really says of them.
        let mut bodies = Vec::new();
        for document in &documents {
            let mut seen = Vec::new();
            while let Ok(Step::Read(label, call) | Step::Create(label, call)) =
                trade.drive.dialect.post(document, &trade.drive.context, &Start::Fresh, &seen)
            {
                let reply = trade.drive.send(&call);
                bodies.push(reply.body.clone());
                seen.push(Labelled { label, reply });
                if seen.len() > 10 {
                    break;
                }
            }
        }
        let context = &trade.drive.context;
        assert_eq!(law::holds(trade.drive.dialect, context, &documents, &bodies, CONVERSATIONS), Ok(()));
    }
}

#[test]
fn every_dialect_has_a_stage() {
    let registered: Vec<&str> = dialects().iter().map(|dialect| dialect.profile().name).collect();
    let mut staged = DIALECTS.to_vec();
    staged.sort_unstable();
    let mut known = registered.clone();
    known.sort_unstable();
    assert_eq!(staged, known);
}
