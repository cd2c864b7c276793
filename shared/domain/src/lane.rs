//! Which work goes first where several kinds want the same book.

use crate::identity::Event;

/// A lane. The first one goes first; a later one gives way to it and is never left out for good, because every run has a
/// time of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Money: invoices, payments, credit notes.
    Money,
    /// Customers.
    Contacts,
    /// Products and their stock.
    Catalogue,
    /// What a backfill brings, whatever it is.
    Backfill,
}

impl Lane {
    /// Every lane, the first one first.
    pub const ALL: [Self; 4] = [Self::Money, Self::Contacts, Self::Catalogue, Self::Backfill];

    /// The lane of an event that the shop told; of one that a backfill made up where `backfilled`.
    #[must_use]
    pub const fn of(event: Event, backfilled: bool) -> Self {
        match event {
            _ if backfilled => Self::Backfill,
            Event::InvoiceCreated | Event::InvoicePaid | Event::CreditmemoCreated => Self::Money,
            Event::CustomerUpserted => Self::Contacts,
            Event::ProductUpserted => Self::Catalogue,
        }
    }

    /// True where runs of this lane leave a book alone while money waits for it.
    #[must_use]
    pub const fn gives_way(self) -> bool {
        !matches!(self, Self::Money)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_goes_before_the_catalogue_and_what_is_old_comes_last() {
        let check = |event: Event, backfilled: bool, lane: Lane, gives_way: bool| {
            let found = Lane::of(event, backfilled);
            assert_eq!((found, found.gives_way()), (lane, gives_way), "{event:?} {backfilled}");
        };
        check(Event::InvoicePaid, false, Lane::Money, false);
        check(Event::InvoiceCreated, false, Lane::Money, false);
        check(Event::CreditmemoCreated, false, Lane::Money, false);
        check(Event::CustomerUpserted, false, Lane::Contacts, true);
        check(Event::ProductUpserted, false, Lane::Catalogue, true);
        check(Event::InvoicePaid, true, Lane::Backfill, true);
        assert!(Lane::ALL.is_sorted());
    }
}
