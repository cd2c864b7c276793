//! Dead letters that close by themselves: a later run did what they were for.
//!
//! The chip's row names the latest runs of an entity. Where one of them got through, a dead letter of the same document has
//! nothing left to ask of anybody.

use crate::edges;
use ledger_domain::code::Code;
use ledger_domain::identity::Event;
use ledger_domain::run::RunState;
use ledger_wire::rows::RunRow;

/// What a dead letter becomes because one of `others`, runs of the same entity, got through; `None` where it stays one.
///
/// A document of money needs a run of its own event that ended after it; an invoice may also have come with its payment,
/// which is never posted without it. Of a customer or a product a newer version is enough, whenever it got there.
#[must_use]
pub fn closed(dead: &RunRow, others: &[RunRow], now: i64) -> Option<RunRow> {
    if edges::state(dead) != RunState::DeadLettered {
        return None;
    }
    let event = Event::parse(&dead.event)?;
    others.iter().filter(|other| is_of_the_same(dead, other)).find_map(|other| {
        let same_event = other.event == dead.event;
        let later = other.updated_at >= dead.updated_at;
        match event {
            Event::CustomerUpserted | Event::ProductUpserted => (same_event && other.received_at >= dead.received_at)
                .then(|| edges::skipped(dead, now, Code::Superseded)),
            Event::InvoiceCreated if !same_event => {
                let invoice = other.settles.as_deref().filter(|_| later)?;
                Some(edges::succeeded(dead, now, invoice, None, false, None))
            }
            Event::InvoiceCreated | Event::InvoicePaid | Event::CreditmemoCreated => {
                let posted = other.provider_id.as_deref().filter(|_| same_event && later)?;
                let reference = other.provider_reference.as_deref();
                Some(edges::succeeded(dead, now, posted, reference, other.total_unverified, None))
            }
        }
    })
}

fn is_of_the_same(dead: &RunRow, other: &RunRow) -> bool {
    let entity = |row: &RunRow| Event::parse(&row.event).map(Event::entity);
    other.run_id != dead.run_id
        && other.binding == dead.binding
        && other.book == dead.book
        && other.magento_id == dead.magento_id
        && entity(other) == entity(dead)
        && edges::state(other) == RunState::Succeeded
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn run(id: &str, event: &str, state: &str, received_at: i64, updated_at: i64) -> RunRow {
        RunRow {
            pk: format!("run#{id}"),
            run_id: id.to_owned(),
            binding: "b".to_owned(),
            book: "xero:1".to_owned(),
            event: event.to_owned(),
            magento_id: 42,
            state: state.to_owned(),
            received_at,
            updated_at,
            provider_id: (state == "succeeded").then(|| "doc-1".to_owned()),
            settles: (state == "succeeded" && event == "invoice.paid").then(|| "inv-1".to_owned()),
            code: (state == "dead_lettered").then(|| "category_unknown".to_owned()),
            ..RunRow::default()
        }
    }

    #[test]
    fn a_dead_letter_closes_when_a_later_run_of_its_document_gets_through() {
        let check = |dead: &str, other: RunRow, becomes: Option<(&str, Option<&str>)>| {
            let dead = run("dead", dead, "dead_lettered", 10, 100);
            let found = closed(&dead, std::slice::from_ref(&other), NOW);
            let shown = found.as_ref().map(|row| (row.state.as_str(), row.provider_id.as_deref()));
            assert_eq!(shown, becomes, "{} after {} {}", dead.event, other.event, other.state);
            if let Some(row) = found {
                assert_eq!((row.state_key, row.due_at, row.generation), (None, None, dead.generation));
            }
        };
        let later = |event: &str, state: &str| run("later", event, state, 20, 200);
        check("invoice.created", later("invoice.created", "succeeded"), Some(("succeeded", Some("doc-1"))));
        check("invoice.created", later("invoice.paid", "succeeded"), Some(("succeeded", Some("inv-1"))));
        check("invoice.paid", later("invoice.paid", "succeeded"), Some(("succeeded", Some("doc-1"))));
        check("creditmemo.created", later("creditmemo.created", "succeeded"), Some(("succeeded", Some("doc-1"))));
        check("customer.upserted", later("customer.upserted", "succeeded"), Some(("skipped", None)));
        check("product.upserted", later("product.upserted", "succeeded"), Some(("skipped", None)));
        // A payment is not in the book because its invoice is.
        check("invoice.paid", later("invoice.created", "succeeded"), None);
        for state in ["queued", "running", "waiting", "held", "skipped", "dead_lettered"] {
            check("invoice.created", later("invoice.created", state), None);
        }
        // What got through before it died is not about it, but a version of a customer is a version.
        check("invoice.created", run("before", "invoice.created", "succeeded", 5, 50), None);
        check("customer.upserted", run("newer", "customer.upserted", "succeeded", 20, 50), Some(("skipped", None)));
        check("customer.upserted", run("older", "customer.upserted", "succeeded", 5, 200), None);
        let strangers = [
            RunRow { magento_id: 43, ..later("invoice.created", "succeeded") },
            RunRow { binding: "other".to_owned(), ..later("invoice.created", "succeeded") },
            RunRow { book: "xero:2".to_owned(), ..later("invoice.created", "succeeded") },
            RunRow { run_id: "dead".to_owned(), ..later("invoice.created", "succeeded") },
            later("creditmemo.created", "succeeded"),
        ];
        for stranger in strangers {
            check("invoice.created", stranger, None);
        }
    }

    #[test]
    fn only_a_dead_letter_closes() {
        let waits = run("waits", "invoice.created", "waiting", 10, 100);
        assert_eq!(closed(&waits, &[run("later", "invoice.created", "succeeded", 20, 200)], NOW), None);
    }
}
