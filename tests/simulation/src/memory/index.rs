//! Indexes, which may lag behind their tables.

use super::rows::{Place, Stored};
use ledger_engine::ports::{PortFault, PortResult};
use std::collections::BTreeMap;

/// An index of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// What is due: shard, then moment.
    Due,
    /// Runs by state, then binding, moment and run; with code and owner.
    ByState,
    /// Runs by tenant, then moment of receipt.
    ByTenant,
    /// Cross-references by book, then key.
    ByBook,
}

impl Index {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Due, Self::ByState, Self::ByTenant, Self::ByBook];
}

/// What entries of one hash key are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order<'a> {
    Moment(i64),
    Text(&'a str),
}

/// Where a row is in an index, and what is copied there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark<'a> {
    pub(super) hash: &'a str,
    pub(super) order: Order<'a>,
    pub(super) code: Option<&'a str>,
    pub(super) owner: Option<&'a str>,
}

/// A key of an index: hash, order, and the row's own key. A number and a text never meet in one index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) hash: String,
    pub(super) moment: i64,
    pub(super) text: String,
    pub(super) place: Place,
}

/// An entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) code: Option<String>,
    pub(super) owner: Option<String>,
}

impl Mark<'_> {
    fn entry(&self, place: &Place) -> (Key, Entry) {
        let (moment, text) = match self.order {
            Order::Moment(moment) => (moment, String::new()),
            Order::Text(text) => (0, text.to_owned()),
        };
        let key = Key { hash: self.hash.to_owned(), moment, text, place: place.clone() };
        (key, Entry { code: self.code.map(str::to_owned), owner: self.owner.map(str::to_owned) })
    }

    /// DynamoDB refuses a row whose key in an index is empty text.
    pub(super) fn checked(&self) -> PortResult<()> {
        if self.hash.is_empty() || self.order == Order::Text("") {
            return Err(PortFault::Unavailable("a key of an index is empty (ValidationException)".to_owned()));
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Pending {
    visible_at: i64,
    place: Place,
    entry: Option<(Key, Entry)>,
}

/// An index as it can be read, and what has not reached it yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    visible: BTreeMap<Key, Entry>,
    /// Where each row is.
    of: BTreeMap<Place, Key>,
    /// In the order in which it becomes visible.
    pending: Vec<Pending>,
}

impl Entries {
    /// Takes over a change of a row that becomes visible at a moment.
    pub(super) fn change(&mut self, place: &Place, mark: Option<Mark<'_>>, now: i64, lag: i64) {
        let entry = mark.map(|mark| mark.entry(place));
        if lag <= 0 && self.pending.is_empty() {
            self.show(place, entry);
            return;
        }
        let wished = now.saturating_add(lag.max(0));
        let before = self.pending.iter().rev().find(|pending| pending.place == *place);
        let visible_at = before.map_or(wished, |before| before.visible_at.max(wished));
        let at = self.pending.partition_point(|pending| pending.visible_at <= visible_at);
        self.pending.insert(at, Pending { visible_at, place: place.clone(), entry });
    }

    fn show(&mut self, place: &Place, entry: Option<(Key, Entry)>) {
        if let Some(old) = self.of.remove(place) {
            self.visible.remove(&old);
        }
        if let Some((key, entry)) = entry {
            self.of.insert(place.clone(), key.clone());
            self.visible.insert(key, entry);
        }
    }

    /// The index as it can be read at a moment.
    pub(super) fn at(&mut self, now: i64) -> &BTreeMap<Key, Entry> {
        let over = self.pending.partition_point(|pending| pending.visible_at <= now);
        for pending in self.pending.drain(..over).collect::<Vec<_>>() {
            self.show(&pending.place, pending.entry);
        }
        &self.visible
    }

    /// All of it, with what has not reached it yet.
    pub(super) fn settled(&mut self) {
        self.at(i64::MAX);
    }
}

/// Whether a row's place in an index changes.
pub(super) fn moves(index: Index, before: Option<&Stored>, after: Option<&Stored>) -> bool {
    before.and_then(|row| row.mark(index)) != after.and_then(|row| row.mark(index))
}
