//! Two thousand documents of shops through the four dialects. `make conformance CASES=100000` does more of the same.

use ledger_conformance::books::DIALECTS;
use ledger_conformance::penny;

/// Documents per dialect.
const CASES: u64 = 500;

#[tokio::test]
async fn what_the_shop_counted_is_what_every_book_shows() {
    for name in DIALECTS {
        let tally = penny::lives(name, 0, CASES).await.unwrap();
        assert_eq!(tally.told, Vec::<String>::new(), "{name}");
        assert_eq!((tally.failed, tally.posted + tally.refused), (0, tally.cases), "{name}");
        assert!(tally.moved > CASES / 4, "{name}: {tally:?}");
        assert!(
            tally.cases >= CASES && tally.refused * 100 <= tally.cases * penny::REFUSED_PERCENT_MAX,
            "{name}: {tally:?}"
        );
    }
}
