//! What goes wrong in shops and books every week, with every dialect: each has its outcome, none is our fault's; as the
//! book is, and with each thing that isn't known of it the other way round.

use ledger_conformance::switches;

async fn check(dialect: &str) {
    let tried = switches::tries(dialect).await.unwrap();
    assert_eq!(tried.wrong, Vec::<String>::new());
    assert!(tried.switches >= 15 && tried.cases > tried.switches * 15, "{tried:?}");
}

#[tokio::test]
async fn v2() {
    check("v2").await;
}

#[tokio::test]
async fn accounting() {
    check("accounting").await;
}

#[tokio::test]
async fn sage() {
    check("sage").await;
}

#[tokio::test]
async fn freeagent() {
    check("freeagent").await;
}
