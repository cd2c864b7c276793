//! Lives of two thousand orders through each dialect. `make conformance CASES=100000` does more of the same.

use ledger_conformance::penny;

/// Orders per dialect.
const ORDERS: u64 = 2_000;

fn check(dialect: &str) {
    let tally = penny::lives(dialect, 0, ORDERS, 1).unwrap();
    assert_eq!(tally.complaints(), Vec::<String>::new());
    assert_eq!((tally.orders, tally.failed, tally.mismatched), (ORDERS, 0, 0), "{tally:?}");
    assert!(tally.documents > 2 * ORDERS && tally.moved > ORDERS, "{tally:?}");
    assert!(tally.refused > 0, "nothing was refused: {tally:?}");
}

#[test]
fn v2() {
    check("v2");
}

#[test]
fn accounting() {
    check("accounting");
}

#[test]
fn sage() {
    check("sage");
}

#[test]
fn freeagent() {
    check("freeagent");
}
