//! The store: rows, their indexes, and transactions over them.

use super::index::{Entries, Entry, Index, Key, moves};
use super::rows::{Place, Row, Stored, Table, read};
use super::weather::{Fate, Weather};
use ledger_engine::ports::{PortFault, PortResult};
use ledger_wire::rows::{JtiRow, RunRow};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

/// Parts of one transaction.
const PARTS_MAX: usize = 100;
/// DynamoDB remembers a request token for ten minutes, in milliseconds.
const REQUEST_TOKEN_MS: i64 = 600_000;

/// What was asked under a request token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    Accept { runs: Vec<Arc<RunRow>>, jti: JtiRow, now_seconds: i64 },
    Claim(ledger_engine::ports::ClaimRequest),
}

#[derive(Clone, Debug, Default)]
struct State {
    rows: BTreeMap<Place, Stored>,
    indexes: [Entries; 4],
    tokens: BTreeMap<String, (Asked, i64)>,
}

impl State {
    fn index(&mut self, index: Index) -> &mut Entries {
        let [due, by_state, by_tenant, by_book] = &mut self.indexes;
        match index {
            Index::Due => due,
            Index::ByState => by_state,
            Index::ByTenant => by_tenant,
            Index::ByBook => by_book,
        }
    }

    fn write(&mut self, place: Place, row: Option<Stored>, weather: &dyn Weather) {
        for index in Index::ALL {
            if moves(index, self.rows.get(&place), row.as_ref()) {
                let (now, lag) = (weather.now_ms(), weather.index_lag_ms(index));
                let mark = row.as_ref().and_then(|row| row.mark(index));
                self.index(index).change(&place, mark, now, lag);
            }
        }
        match row {
            Some(row) => self.rows.insert(place, row),
            None => self.rows.remove(&place),
        };
    }
}

/// A store's rows at a moment. Making one and going back to it cost no copy of any row.
#[derive(Clone, Debug)]
pub struct StoreCopy(State);

/// The store: every port that reads or writes rows, in memory. A clone is the same store.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    weather: Arc<dyn Weather>,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// The store while one operation is carried out.
pub(super) struct Open<'a> {
    state: &'a mut State,
    weather: &'a dyn Weather,
}

/// A part of a transaction.
pub(super) struct Part {
    place: Place,
    /// Whether its condition holds.
    holds: bool,
    change: Change,
}

enum Change {
    Put(Stored),
    Delete,
    Check,
}

impl Part {
    /// Writes a row.
    pub(super) fn put<R: Row>(row: R, holds: bool) -> Self {
        let row = Arc::new(row.into_written());
        Self { place: row.place(), holds, change: Change::Put(R::kept(row)) }
    }

    /// Changes a row that was read. Where it is not there, its condition does not hold.
    pub(super) fn change<R: Row>(place: Place, row: Option<R>) -> Self {
        match row {
            Some(row) => Self::put(row, true),
            None => Self { place, holds: false, change: Change::Check },
        }
    }

    /// Removes a row.
    pub(super) fn delete(place: Place, holds: bool) -> Self {
        Self { place, holds, change: Change::Delete }
    }

    /// Writes nothing.
    pub(super) fn check(place: Place, holds: bool) -> Self {
        Self { place, holds, change: Change::Check }
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transacted {
    /// All of it is done.
    Done,
    /// None of it is done. For each part: whether its condition failed.
    Refused(Vec<bool>),
}

impl Transacted {
    pub(super) fn done(&self) -> bool {
        *self == Self::Done
    }
}

impl Open<'_> {
    pub(super) fn now(&self) -> i64 {
        self.weather.now_ms()
    }

    /// A row as it is kept, whatever its version: what a condition sees.
    pub(super) fn seen<R: Row>(&self, place: &Place) -> Option<&R> {
        self.state.rows.get(place).and_then(R::of).map(AsRef::as_ref)
    }

    /// True where there is a row, of whatever kind.
    pub(super) fn there(&self, place: &Place) -> bool {
        self.state.rows.contains_key(place)
    }

    /// A row, strongly consistent.
    pub(super) fn get<R: Row>(&self, place: &Place) -> PortResult<Option<R>> {
        self.state.rows.get(place).map(|stored| read::<R>(place, stored)).transpose()
    }

    /// The rows of a partition whose sort keys begin with `prefix`, in order.
    pub(super) fn partition<'a>(
        &'a self,
        table: Table,
        pk: &'a str,
        prefix: &'a str,
    ) -> impl DoubleEndedIterator<Item = (&'a Place, &'a Stored)> {
        let first = Place::new(table, pk, prefix.to_owned());
        // Behind every sort key with the prefix: no sort key has the last character there is.
        let last = Place::new(table, pk, format!("{prefix}{}", char::MAX));
        self.state.rows.range(first..last)
    }

    /// Writes all or nothing.
    pub(super) fn transact(&mut self, parts: Vec<Part>) -> PortResult<Transacted> {
        let invalid = |what: &str| Err(PortFault::Unavailable(format!("{what} (ValidationException)")));
        if parts.len() > PARTS_MAX {
            return invalid("more than 100 parts in a transaction");
        }
        let places: BTreeSet<&Place> = parts.iter().map(|part| &part.place).collect();
        if places.len() < parts.len() {
            return invalid("two parts of a transaction for one row");
        }
        for part in &parts {
            if part.place.pk.is_empty() || (part.place.sk.is_empty() && part.place.table != Table::EntityXref) {
                return invalid("an empty key");
            }
            if let Change::Put(row) = &part.change {
                Index::ALL.iter().filter_map(|index| row.mark(*index)).try_for_each(|mark| mark.checked())?;
            }
        }
        if parts.iter().any(|part| !part.holds) {
            return Ok(Transacted::Refused(parts.iter().map(|part| !part.holds).collect()));
        }
        for part in parts {
            match part.change {
                Change::Put(row) => self.state.write(part.place, Some(row), self.weather),
                Change::Delete => self.state.write(part.place, None, self.weather),
                Change::Check => (),
            }
        }
        Ok(Transacted::Done)
    }

    /// Writes one row; false where its condition did not hold.
    pub(super) fn one(&mut self, part: Part) -> PortResult<bool> {
        Ok(self.transact(vec![part])?.done())
    }

    /// True where the very same was asked, and done, under this token.
    pub(super) fn done_before(&mut self, token: &str, asked: &Asked) -> bool {
        let now = self.now();
        self.state.tokens.retain(|_, (_, until)| *until > now);
        self.state.tokens.get(token).is_some_and(|(before, _)| before == asked)
    }

    /// What was asked under this token is done. A token that was used for something else keeps that.
    pub(super) fn done_under(&mut self, token: &str, asked: Asked) {
        let until = self.now().saturating_add(REQUEST_TOKEN_MS);
        self.state.tokens.entry(token.to_owned()).or_insert((asked, until));
    }

    /// Entries of an index with one hash key, behind `after`, in order. Moments or texts are within the bounds.
    pub(super) fn index(
        &mut self,
        index: Index,
        hash: &str,
    ) -> impl DoubleEndedIterator<Item = (&Key, &Entry)> + use<'_> {
        let now = self.now();
        let key = |hash: String| Key {
            hash,
            moment: i64::MIN,
            text: String::new(),
            place: Place::new(Table::SyncRuns, "", ""),
        };
        // The hash key that comes next after this one.
        let bounds = (Bound::Included(key(hash.to_owned())), Bound::Excluded(key(format!("{hash}\0"))));
        self.state.index(index).at(now).range(bounds)
    }
}

impl MemoryStore {
    /// An empty store in this weather.
    #[must_use]
    pub fn new(weather: Arc<dyn Weather>) -> Self {
        Self { state: Arc::default(), weather }
    }

    /// The same store in another weather: as another process finds it.
    #[must_use]
    pub fn under(&self, weather: Arc<dyn Weather>) -> Self {
        Self { state: Arc::clone(&self.state), weather }
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Open<'_>) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut Open { state: &mut state, weather: self.weather.as_ref() })
    }

    /// A copy of everything as it is now.
    #[must_use]
    pub fn copy(&self) -> StoreCopy {
        StoreCopy(self.with(|open| open.state.clone()))
    }

    /// Goes back to a copy, as to a restored table: its indexes are up to date, its request tokens forgotten.
    pub fn restore(&self, copy: &StoreCopy) {
        let mut state = copy.0.clone();
        state.indexes.iter_mut().for_each(Entries::settled);
        state.tokens.clear();
        self.with(|open| *open.state = state);
    }

    /// Removes the rows whose time is over, as DynamoDB does when it likes. Returns how many.
    pub fn sweep_expired(&self, now_seconds: i64) -> usize {
        self.with(|open| {
            let over: Vec<Place> = open
                .state
                .rows
                .iter()
                .filter(|(_, row)| row.expires().is_some_and(|at| at < now_seconds))
                .map(|(place, _)| place.clone())
                .collect();
            for place in &over {
                open.state.write(place.clone(), None, open.weather);
            }
            over.len()
        })
    }

    /// A row as it is, past weather and version.
    #[must_use]
    pub fn peek<R: Row>(&self, pk: &str, sk: &str) -> Option<R> {
        let place = Place::new(R::TABLE, pk, Cow::Owned(sk.to_owned()));
        self.with(|open| open.seen::<R>(&place).cloned())
    }

    /// All rows of a kind, in the order of their keys, past weather and version.
    #[must_use]
    pub fn all<R: Row>(&self) -> Vec<Arc<R>> {
        self.with(|open| open.state.rows.values().filter_map(|row| R::of(row).cloned()).collect())
    }

    /// Writes a row as it is, past weather and conditions.
    pub fn put<R: Row>(&self, row: R) {
        self.with(|open| open.state.write(row.place(), Some(R::kept(Arc::new(row))), open.weather));
    }

    /// Removes a row, past weather and conditions.
    pub fn remove(&self, table: Table, pk: &str, sk: &str) {
        self.with(|open| open.state.write(Place::new(table, pk, sk.to_owned()), None, open.weather));
    }

    /// One operation that is carried out once: a read, or a transaction, whose tries share a request token.
    pub(super) async fn call<T: Send>(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut Open<'_>) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let fate = self.weather.before(name).await;
        self.carried_out(name, fate, work).await
    }

    /// As [`MemoryStore::call`], for a transaction that may be carried out when its caller has given up.
    pub(super) async fn call_or_late<A, T>(
        &self,
        name: &'static str,
        asked: &A,
        work: fn(&mut Open<'_>, &A) -> PortResult<T>,
    ) -> PortResult<T>
    where
        A: Clone + Send + Sync + 'static,
        T: Send + 'static,
    {
        let fate = self.weather.before(name).await;
        self.carried_out_or_late(name, fate, asked, work).await
    }

    /// The same for a caller who asked for the fate.
    pub(super) async fn carried_out_or_late<A, T>(
        &self,
        name: &'static str,
        fate: Fate,
        asked: &A,
        work: fn(&mut Open<'_>, &A) -> PortResult<T>,
    ) -> PortResult<T>
    where
        A: Clone + Send + Sync + 'static,
        T: Send + 'static,
    {
        if let Fate::Late(milliseconds) = fate {
            let (store, asked) = (self.clone(), asked.clone());
            let arrives = move || drop(store.with(|open| work(open, &asked)));
            self.weather.later(milliseconds, Box::new(arrives));
        }
        self.carried_out(name, fate, |open| work(open, asked)).await
    }

    /// What [`MemoryStore::call`] does, for a caller who asked for the fate.
    pub(super) async fn carried_out<T: Send>(
        &self,
        name: &'static str,
        fate: Fate,
        work: impl FnOnce(&mut Open<'_>) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        if let Some(fault) = fate.refuses(name) {
            return Err(fault);
        }
        let answer = self.with(work);
        self.weather.after(name).await;
        fate.loses(name).map_or(answer, Err)
    }

    pub(super) async fn fate(&self, name: &'static str) -> Fate {
        self.weather.before(name).await
    }

    /// One operation on one row, which is tried again where its answer is lost: then it meets itself.
    pub(super) async fn single<T: Send>(
        &self,
        name: &'static str,
        work: impl Fn(&mut Open<'_>) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let fate = self.weather.before(name).await;
        if fate == Fate::Repeated {
            // What the first try was answered is what is lost.
            self.with(|open| work(open).map(|_| ())).ok();
        }
        self.carried_out(name, fate, work).await
    }

    /// One row. One GetItem.
    pub(super) async fn row<R: Row>(&self, name: &'static str, place: Place) -> PortResult<Option<R>> {
        self.call(name, |open| open.get(&place)).await
    }
}
