//! The v2 family of accounting packages: documents known by URL, one root key for each, numbers as text in replies.
//!
//! [`V2`] is Xero's `v2` as the merchant-facing texts describe it; what those leave open follows FreeAgent's API of the
//! same shape (FreeAgent API docs: invoices, contacts). Houses of the family differ in a row of rules, `House`; what they
//! do with it is written once.
//!
//! Invariants: a create is done only by a readable URL of the binding's own book; numbers go out as the exact text of the
//! decimal; of a reply nothing is decoded that isn't needed.

use crate::{Call, Context, Dialect, Labelled, Method, Profile, Replay, Reply, Start, Step, Support};
use ledger_domain::book::{BookRules, ExchangeRates, Rounding, TaxRounding};
use ledger_domain::code::Code;
use ledger_domain::document::{Balance, Document, Kind, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::identity::Provider;
use ledger_domain::reference::{Page, Reference};

mod body;
mod contact;
mod invoice;
mod reply;
mod url;

/// What one house of the family has of its own.
#[derive(Debug)]
struct House {
    /// What it can do.
    profile: Profile,
    /// Path under which all documents live.
    root: &'static str,
    /// Most entries of a page that may be asked for.
    page_size: usize,
    /// Entries of a page where the size that was asked for is ignored; a shorter page is the last.
    page_size_least: usize,
    /// Most pages that are looked through before a search gives up.
    pages_max: usize,
    /// Longest name, or other short text, in characters.
    text_length_max: usize,
}

/// Xero's `v2`. Its limits on text are not described; these are far beyond real names.
/// Kinds that follow.
const NOT_YET: &str = "Not yet.";

static XERO: House = House {
    profile: Profile {
        name: "v2",
        provider: Provider::Xero,
        rules: BookRules {
            rounding: Rounding { unit_price_places: 2, amount_places_max: 4, tax: TaxRounding::Computed },
            exchange: ExchangeRates::Ours,
            tax_codes: false,
            contact_per_currency: false,
            number_length_max: 255,
            lines_max: 500,
            payment_terms_in_days: 30,
        },
        settle_seconds: 600,
        replay: Replay::Never,
        calls_per_minute: 60,
        documents: [
            (Kind::Contact, Support::Yes),
            (Kind::Product, Support::No(NOT_YET)),
            (Kind::Invoice, Support::Yes),
            (Kind::Payment, Support::No(NOT_YET)),
            (Kind::CreditNote, Support::No(NOT_YET)),
            (Kind::Allocation, Support::No(NOT_YET)),
            (Kind::Refund, Support::No(NOT_YET)),
            (Kind::StockMovement, Support::No("The API only shows stock.")),
        ],
        references: &[],
    },
    root: "/v2",
    page_size: 100,
    page_size_least: 25,
    pages_max: 30,
    text_length_max: 255,
};

/// Xero's `v2`.
#[derive(Clone, Copy, Debug)]
pub struct V2;

impl Dialect for V2 {
    fn profile(&self) -> &'static Profile {
        &XERO.profile
    }

    fn post(
        &self,
        document: &Document,
        context: &Context,
        start: &Start,
        seen: &[Labelled],
    ) -> Result<Step<Posted>, Fault> {
        match document {
            Document::Contact(contact) => contact::post(&XERO, contact, context, start, seen),
            Document::Invoice(invoice) => invoice::post(&XERO, invoice, context, start, seen),
            Document::Product(_)
            | Document::Payment(_)
            | Document::CreditNote(_)
            | Document::Allocation(_)
            | Document::Refund(_)
            | Document::StockMovement(_) => Err(unsupported(document.kind())),
        }
    }

    fn created(&self, document: &Document, context: &Context, answered: &Labelled) -> Option<Posted> {
        match document {
            Document::Contact(_) => contact::created(&XERO, context, answered),
            Document::Invoice(invoice) => invoice::created(&XERO, invoice, context, answered),
            Document::Product(_)
            | Document::Payment(_)
            | Document::CreditNote(_)
            | Document::Allocation(_)
            | Document::Refund(_)
            | Document::StockMovement(_) => None,
        }
    }

    fn find(&self, document: &Document, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
        match document {
            Document::Contact(contact) => contact::find(&XERO, contact, context, seen),
            Document::Invoice(invoice) => invoice::find(&XERO, invoice, context, seen),
            Document::Product(_)
            | Document::Payment(_)
            | Document::CreditNote(_)
            | Document::Allocation(_)
            | Document::Refund(_)
            | Document::StockMovement(_) => Err(unsupported(document.kind())),
        }
    }

    fn balance(&self, kind: Kind, _: &str, _: &Context, _: &[Labelled]) -> Result<Step<Balance>, Fault> {
        Err(unsupported(kind))
    }

    fn page(&self, _: Reference, _: &Context, _: Option<&str>) -> Option<Call> {
        None
    }

    fn read_page(&self, _: Reference, _: &Context, reply: &Reply) -> Result<Page, Fault> {
        Err(reply::classify(reply, false))
    }

    fn classify(&self, reply: &Reply, writes: bool) -> Fault {
        reply::classify(reply, writes)
    }
}

impl House {
    fn create(&self, collection: &str, body: String) -> Call {
        Call::send(Method::Post, format!("{}/{collection}", self.root), body)
    }

    /// A page of a list, counted from 0, narrowed down by `filter`.
    fn page(&self, collection: &str, filter: &[(&str, &str)], page: usize) -> Call {
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
                format!("Not among the latest {looked_at} documents of the list; the search ends there."),
            ));
        }
        Ok(Some(next))
    }
}

/// What the dialect does not post.
fn unsupported(kind: Kind) -> Fault {
    Fault::broken(Code::Unexpected, format!("This dialect posts no {}.", kind.as_str()))
}

fn read(path: String) -> Call {
    Call::get(path)
}

/// The executor answers every step with its own label; anything else is a fault of ours.
fn out_of_order(seen: &Labelled) -> Fault {
    Fault::broken(Code::Unexpected, format!("The reply {:?} answers no step that was taken.", seen.label))
}
