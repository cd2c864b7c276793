//! Sage Accounting, API v3.1: documents known by an id of 32 hexadecimal digits, one root key each in requests and none
//! in answers, numbers as text or as numbers, keys against repetition inside the entity.
//!
//! Sources: Sage Accounting API v3.1 reference (its Swagger file) and guides (idempotency, payments, tax), the Byte8
//! module's published pages on its Sage connector for what only practice shows.
//!
//! Invariants: every request names the business, and an answer for another business is never a success; a create is
//! done only by a readable id; numbers go out as the exact text of the decimal; of an answer nothing is decoded that
//! isn't needed; an id from outside becomes part of a path only where it has the shape of one.

use crate::{Call, Context, Dialect, Labelled, Method, Profile, Replay, Reply, Start, Step, Support};
use ledger_domain::book::{BookRules, ExchangeRates, Rounding, TaxRounding};
use ledger_domain::code::Code;
use ledger_domain::document::{Balance, Document, Kind, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::identity::Provider;
use ledger_domain::reference::{Choice, Page, Purpose, Reference};
use rust_decimal::Decimal;
use serde_json::json;

mod allocation;
mod body;
mod contact;
mod money;
mod product;
mod reference;
mod reply;
mod stock;
mod text;

/// Path under which everything lives.
const ROOT: &str = "/v3.1";
/// Header that names the business: without it the user's lead business is meant, which the user may change (Sage
/// Accounting API guides, headers).
const BUSINESS_HEADER: &str = "x-business";
/// Entries of a page that are asked for; up to 200 are allowed, and wide pages fail more often.
const PAGE_SIZE: usize = 100;
/// Most questions of one search.
const READS_MAX: usize = 30;
/// Most creating calls of one document: each but the first corrects what a definite refusal complained of.
const CREATES_MAX: usize = 3;
/// Hexadecimal digits of an id.
const ID_LENGTH: usize = 32;
/// Longest reference of an invoice or a credit note, in characters (Sage Accounting API reference, sales invoices).
const REFERENCE_LENGTH_MAX: usize = 25;
/// Decimal places that the book keeps of prices, quantities aside.
const PRICE_PLACES: u32 = 2;

static PROFILE: Profile = Profile {
    name: "sage",
    provider: Provider::SageAccounting,
    rules: BookRules {
        // Tax has to be stated on each line: it is not computed (Sage Accounting API reference, invoice lines).
        rounding: Rounding { unit_price_places: PRICE_PLACES, amount_places_max: 2, tax: TaxRounding::Stated },
        exchange: ExchangeRates::Ours,
        tax_codes: true,
        contact_per_currency: true,
        number_length_max: REFERENCE_LENGTH_MAX,
        // Not published; far beyond real invoices.
        lines_max: 500,
        keeps_drafts: true,
        payment_terms_in_days: 30,
    },
    // A create in doubt is sent again under its key. Only where it would not be the same any more is it looked for, and then
    // its absence has to last: a request that timed out may still be on its way.
    settle_seconds: 120,
    // The same `idempotency_id` gives one record and the same answer (Sage Accounting API guides, idempotency). For how
    // long is not published; a week is what third parties name. Half a day is well within that and within a single day.
    replay: Replay::Seconds(43_200),
    calls_per_minute: 180,
    documents: [
        (Kind::Contact, Support::Yes),
        (Kind::Product, Support::Yes),
        (Kind::Invoice, Support::Yes),
        (Kind::Payment, Support::Yes),
        (Kind::CreditNote, Support::Yes),
        (Kind::Allocation, Support::Yes),
        (Kind::Refund, Support::Yes),
        (Kind::StockMovement, Support::Yes),
    ],
    references: &[
        Reference::Organisation,
        Reference::Accounts,
        Reference::TaxRates,
        Reference::BankAccounts,
        Reference::Currencies,
    ],
};

/// Sage Accounting.
#[derive(Clone, Copy, Debug)]
pub struct Sage;

impl Dialect for Sage {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn post(
        &self,
        document: &Document,
        context: &Context,
        start: &Start,
        seen: &[Labelled],
    ) -> Result<Step<Posted>, Fault> {
        match document {
            Document::Contact(contact) => contact::post(contact, context, start, seen),
            Document::Product(product) => product::post(product, context, start, seen),
            Document::StockMovement(movement) => stock::post(movement, context, start, seen),
            Document::Invoice(_)
            | Document::Payment(_)
            | Document::CreditNote(_)
            | Document::Allocation(_)
            | Document::Refund(_) => money::post(document, context, start, seen),
        }
    }

    fn created(&self, document: &Document, context: &Context, answered: &Labelled) -> Option<Posted> {
        match document {
            Document::Contact(_) => contact::created(context, answered),
            Document::Product(product) => product::created(product, context, answered),
            Document::StockMovement(movement) => stock::created(movement, context, answered),
            Document::Invoice(_)
            | Document::Payment(_)
            | Document::CreditNote(_)
            | Document::Allocation(_)
            | Document::Refund(_) => money::created(document, context, answered),
        }
    }

    fn find(&self, document: &Document, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
        match document {
            Document::Contact(contact) => contact::find(contact, context, seen),
            Document::Product(product) => product::find(product, context, seen),
            Document::StockMovement(movement) => stock::find(movement, context, seen),
            Document::Invoice(_)
            | Document::Payment(_)
            | Document::CreditNote(_)
            | Document::Allocation(_)
            | Document::Refund(_) => money::find(document, context, seen),
        }
    }

    fn balance(
        &self,
        kind: Kind,
        provider_id: &str,
        context: &Context,
        seen: &[Labelled],
    ) -> Result<Step<Balance>, Fault> {
        money::balance(kind, provider_id, context, seen)
    }

    fn stock(&self, provider_id: &str, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Decimal>>, Fault> {
        stock::quantity(provider_id, context, seen)
    }

    fn stand_in(&self, digest: &str) -> String {
        digest.get(..ID_LENGTH).unwrap_or(digest).to_owned()
    }

    fn rehearsed(&self, document: &Document, _: &Context, stand_in: &str) -> Reply {
        let total = document.total().map(|total| total.to_string());
        Reply::rehearsed(&match document {
            // Null before the first movement.
            Document::Product(_) => json!({"id": stand_in, "quantity_in_stock": null}),
            Document::Allocation(it) => json!({
                "id": stand_in,
                "allocated_artefacts": [{"artefact": {"id": it.invoice}, "amount": total}],
            }),
            Document::Contact(_) | Document::StockMovement(_) => json!({"id": stand_in}),
            Document::Invoice(_) | Document::CreditNote(_) | Document::Payment(_) | Document::Refund(_) => {
                json!({"id": stand_in, "total_amount": total})
            }
        })
    }

    fn provider_id(&self, kind: Kind, told: &str, _: &Context) -> Option<String> {
        let told = told.trim();
        if kind == Kind::Product {
            return product::parts(told).map(|(item, id)| format!("{}/{id}", item.collection()));
        }
        id_of(told)
    }

    fn page(&self, of: Reference, context: &Context, cursor: Option<&str>) -> Option<Call> {
        reference::page(of, context, cursor)
    }

    fn read_page(&self, of: Reference, context: &Context, reply: &Reply) -> Result<Page, Fault> {
        reference::read_page(of, context, reply)
    }

    fn choice(&self, purpose: Purpose) -> Option<Choice> {
        match purpose {
            Purpose::Lines => Some(Choice::all(Reference::Accounts)),
            // The ledger accounts that are asked for are those of sales.
            Purpose::Purchases => None,
            Purpose::Payments => Some(Choice::all(Reference::BankAccounts)),
        }
    }

    fn web_address(&self, reply: &Reply) -> Option<String> {
        reply::web_address(reply)
    }

    fn classify(&self, reply: &Reply, writes: bool) -> Fault {
        reply::classify(reply, writes)
    }
}

/// A call with the business named.
fn call(context: &Context, method: Method, path: &str, query: &[(&str, &str)], body: Option<String>) -> Call {
    let headers = if context.organisation.is_empty() {
        Vec::new()
    } else {
        vec![(BUSINESS_HEADER, context.organisation.clone())]
    };
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Call { method, path: format!("{ROOT}/{path}"), query, headers, body }
}

fn get(context: &Context, path: &str, query: &[(&str, &str)]) -> Call {
    call(context, Method::Get, path, query, None)
}

fn create(context: &Context, collection: &str, body: String) -> Call {
    call(context, Method::Post, collection, &[], Some(body))
}

/// A page of a list, counted from 1, narrowed down by `filter`.
fn list(context: &Context, collection: &str, filter: &[(&str, &str)], page: usize) -> Call {
    let (size, page) = (PAGE_SIZE.to_string(), page.to_string());
    let mut query = filter.to_vec();
    query.push(("items_per_page", &size));
    query.push(("page", &page));
    get(context, collection, &query)
}

/// An id of a document, in lower case; `None` where it has not the shape of one.
fn id_of(text: &str) -> Option<String> {
    let is_id = text.len() == ID_LENGTH && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_id.then(|| text.to_ascii_lowercase())
}

/// The path of a document that we are asked for by an id from our own rows.
fn path_of(collection: &str, provider_id: &str) -> Result<String, Fault> {
    let id = id_of(provider_id).ok_or_else(|| {
        Fault::broken(Code::Unexpected, format!("An id in {collection} has not the shape that the book gives ids."))
    })?;
    Ok(format!("{collection}/{id}"))
}

/// The executor answers every step with its own label; anything else is a fault of ours.
fn out_of_order(seen: &Labelled) -> Fault {
    Fault::broken(Code::Unexpected, format!("The reply {:?} answers no step that was taken.", seen.label))
}

fn search_too_long() -> Fault {
    Fault::refused(Code::SearchTooLong, format!("Not found in {READS_MAX} questions; the search ends there."))
}

fn writing_search() -> Fault {
    Fault::broken(Code::Unexpected, "A search that writes.")
}

/// A search under way: the replies that are left to be read, and how many questions it has asked.
struct Search<'a> {
    seen: std::slice::Iter<'a, Labelled>,
    reads: usize,
}

impl<'a> Search<'a> {
    fn new(seen: &'a [Labelled]) -> Self {
        Self { seen: seen.iter(), reads: 0 }
    }

    /// The reply to a question; `None` where it is still to be asked.
    ///
    /// # Errors
    /// A fault where the search has asked enough, or the reply answers something else.
    fn answer(&mut self, label: &'static str) -> Result<Option<&'a Reply>, Fault> {
        self.reads = self.reads.saturating_add(1);
        if self.reads > READS_MAX {
            return Err(search_too_long());
        }
        match self.seen.next() {
            None => Ok(None),
            Some(labelled) if labelled.label == label => Ok(Some(&labelled.reply)),
            Some(labelled) => Err(out_of_order(labelled)),
        }
    }
}
