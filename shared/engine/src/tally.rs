//! What workers count besides their rows, for one line of metrics after a batch.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a process since they were last told.
#[derive(Debug, Default)]
pub struct Tally {
    totals_unverified: AtomicU64,
}

impl Tally {
    /// A document was posted, and the book's total of it could not be read.
    pub fn total_unverified(&self) {
        self.totals_unverified.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts as one line of CloudWatch's embedded metric format, and begins anew; `None` where there is nothing to
    /// tell.
    /// Source: Amazon CloudWatch user guide, "Embedded metric format specification".
    #[must_use]
    pub fn embedded_metrics(&self, stack: &str, now_ms: i64) -> Option<String> {
        let totals_unverified = self.totals_unverified.swap(0, Ordering::Relaxed);
        let line = serde_json::json!({
            "_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [{
                "Namespace": "Ledger",
                "Dimensions": [["Stack"]],
                "Metrics": [{"Name": "TotalsUnverified", "Unit": "Count"}],
            }]},
            "Stack": stack,
            "TotalsUnverified": totals_unverified,
        });
        (totals_unverified > 0).then(|| line.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_once() {
        let tally = Tally::default();
        assert_eq!(tally.embedded_metrics("ledger", 7), None);
        tally.total_unverified();
        tally.total_unverified();
        let line = tally.embedded_metrics("ledger", 7).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["TotalsUnverified"], &line["Stack"]), (&2.into(), &"ledger".into()));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "TotalsUnverified");
        assert_eq!(tally.embedded_metrics("ledger", 8), None);
    }
}
