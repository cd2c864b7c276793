//! Every cell of the table of what dialects do is a case that was seen, and the pages of the providers say the same.

use ledger_conformance::books::DIALECTS;
use ledger_conformance::walk::{Cell, walk};
use ledger_dialects::dialects;

const PAGES: [(&str, &str); 4] =
    [("v2", "xero-v2.md"), ("accounting", "xero-accounting.md"), ("sage", "sage.md"), ("freeagent", "freeagent.md")];

#[tokio::test]
async fn every_dialect_does_what_it_claims_and_its_page_says_so() {
    let mut wrong = Vec::new();
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
        for (kind, cell) in cells {
            let word = if matches!(cell, Cell::Seen(_)) { "yes" } else { "no" };
            let row = format!("| {} | {word}", kind.as_str().replace('_', " "));
            if !page.lines().any(|line| line.starts_with(&row)) {
                wrong.push(format!("{file} has no row {row:?}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
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
