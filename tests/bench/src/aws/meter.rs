//! What the endpoints were asked: calls by name, and the capacity that DynamoDB would charge.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Calls by service and operation, those that were refused included.
    pub calls: BTreeMap<String, u64>,
    /// Write units of tables.
    pub table_write_units: u64,
    /// Write units of indexes.
    pub index_write_units: u64,
    /// Read units, doubled: an eventually consistent read of up to four kilobytes is one half.
    pub read_half_units: u64,
}

impl Count {
    /// All calls together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// All write units together.
    #[must_use]
    pub fn write_units(&self) -> u64 {
        self.table_write_units.saturating_add(self.index_write_units)
    }

    /// What came since an earlier count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let calls = self.calls.iter().map(|(name, count)| {
            (name.clone(), count.saturating_sub(earlier.calls.get(name).copied().unwrap_or_default()))
        });
        Self {
            calls: calls.filter(|(_, count)| *count > 0).collect(),
            table_write_units: self.table_write_units.saturating_sub(earlier.table_write_units),
            index_write_units: self.index_write_units.saturating_sub(earlier.index_write_units),
            read_half_units: self.read_half_units.saturating_sub(earlier.read_half_units),
        }
    }
}

/// The counter.
#[derive(Debug, Default)]
pub struct Meter {
    count: Mutex<Count>,
}

impl Meter {
    fn with<T>(&self, change: impl FnOnce(&mut Count) -> T) -> T {
        change(&mut self.count.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was counted so far.
    #[must_use]
    pub fn count(&self) -> Count {
        self.with(|count| count.clone())
    }

    pub(super) fn called(&self, operation: &str) {
        self.with(|count| {
            let calls = count.calls.entry(operation.to_owned()).or_default();
            *calls = calls.saturating_add(1);
        });
    }

    pub(super) fn wrote(&self, table_units: u64, index_units: u64) {
        self.with(|count| {
            count.table_write_units = count.table_write_units.saturating_add(table_units);
            count.index_write_units = count.index_write_units.saturating_add(index_units);
        });
    }

    pub(super) fn read(&self, half_units: u64) {
        self.with(|count| count.read_half_units = count.read_half_units.saturating_add(half_units));
    }
}
