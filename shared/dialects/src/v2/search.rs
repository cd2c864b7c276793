//! Replies in the order of their steps, and lists that are looked through page by page.

use super::reply::{Entity, Entry};
use super::{House, out_of_order, reply};
use crate::{Call, Labelled, Reply, Step};
use ledger_domain::code::Code;
use ledger_domain::fault::Fault;

/// The replies so far, taken one after another.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a>(std::slice::Iter<'a, Labelled>);

impl<'a> Seen<'a> {
    pub(super) fn new(seen: &'a [Labelled]) -> Self {
        Self(seen.iter())
    }

    /// The answer to the step that comes next; `None` where that step is still to be taken.
    ///
    /// # Errors
    /// A reply to another step.
    pub(super) fn answer(&mut self, label: &str) -> Result<Option<&'a Reply>, Fault> {
        match self.0.next() {
            None => Ok(None),
            Some(seen) if seen.label == label => Ok(Some(&seen.reply)),
            Some(seen) => Err(out_of_order(seen)),
        }
    }
}

/// How far a search has come.
#[derive(Debug, PartialEq)]
pub(super) enum Search<T> {
    /// There it is.
    Found(T),
    /// Something has to be asked first.
    Ask(&'static str, Call),
    /// It is not there.
    Absent,
}

impl<T> From<Search<T>> for Step<Option<T>> {
    fn from(search: Search<T>) -> Self {
        match search {
            Search::Found(found) => Self::Done(Some(found)),
            Search::Ask(label, call) => Self::Read(label, call),
            Search::Absent => Self::Done(None),
        }
    }
}

/// A list and what it is narrowed down by.
pub(super) struct List<'a> {
    /// What is listed.
    pub(super) entity: Entity,
    /// Label of its pages.
    pub(super) label: &'static str,
    /// Query parameters.
    pub(super) filter: &'a [(&'a str, &'a str)],
}

/// Looks through a list. `judge` says of each entry whether it is the one ([`Search::Absent`] where it is not) and may ask
/// more about it.
///
/// # Errors
/// What a reply means that is no list, and a list that is too long to be sure.
pub(super) fn search<'a, T>(
    house: &House,
    list: &List<'_>,
    seen: &mut Seen<'a>,
    mut judge: impl FnMut(&Entry<'a>, &mut Seen<'a>) -> Result<Search<T>, Fault>,
) -> Result<Search<T>, Fault> {
    let mut page = 0;
    let mut first = 0;
    while let Some(reply) = seen.answer(list.label)? {
        let entries = reply::list(house, list.entity, reply)?;
        for entry in &entries {
            match judge(entry, seen)? {
                Search::Absent => {}
                it @ (Search::Found(_) | Search::Ask(..)) => return Ok(it),
            }
        }
        if page == 0 {
            first = entries.len();
        }
        match house.next_page(page, entries.len(), first)? {
            Some(next) => page = next,
            None => return Ok(Search::Absent),
        }
    }
    Ok(Search::Ask(list.label, house.page(list.entity.collection, list.filter, page)))
}

impl House {
    /// A page of a list, counted from 0, narrowed down by `filter`.
    pub(super) fn page(&self, collection: &str, filter: &[(&str, &str)], page: usize) -> Call {
        let mut query: Vec<(String, String)> =
            filter.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        query.push(("per_page".to_owned(), self.page_size.to_string()));
        query.push(("page".to_owned(), page.saturating_add(1).to_string()));
        Call { query, ..Call::get(format!("{}/{collection}", self.root)) }
    }

    /// The page after one with `entries`, the first of the list having had `first`: `None` where that was the last.
    ///
    /// Not every house may honour the size that was asked for, and a search that ends too early would create twice: so
    /// only a page shorter than any house makes it, or shorter than the first, is taken for the last.
    fn next_page(&self, page: usize, entries: usize, first: usize) -> Result<Option<usize>, Fault> {
        if entries < self.page_size_least || entries < first {
            return Ok(None);
        }
        let next = page.saturating_add(1);
        if next >= self.pages_max {
            let looked_at = self.pages_max.saturating_mul(entries);
            return Err(Fault::refused(
                Code::SearchTooLong,
                format!("Not among the latest {looked_at} entries of the list; the search ends there."),
            ));
        }
        Ok(Some(next))
    }
}
