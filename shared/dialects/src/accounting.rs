//! Xero's public Accounting API, `api.xro/2.0`: documents known by GUID, lists of one in requests and replies, errors
//! that may sit inside a 200 (Xero API docs, response codes; OpenAPI description of the Accounting API).
//!
//! Invariants: one document per write; a create is done only by an element with a GUID and no error anywhere in it;
//! numbers go out as the exact text of the decimal and are read from the text of the reply; nothing is ever concluded
//! from an empty list inside a document, because the API writes one for "nothing said" too.

use crate::{Call, Context, Dialect, Labelled, Method, Profile, Replay, Reply, Start, Step, Support};
use ledger_domain::book::{BookRules, ExchangeRates, Rounding, TaxRounding};
use ledger_domain::code::Code;
use ledger_domain::document::{Balance, Document, Kind, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::identity::Provider;
use ledger_domain::reference::{Choice, Page, Purpose, Reference};
use serde_json::json;

mod allocation;
mod body;
mod contact;
mod lists;
mod paper;
mod payment;
mod product;
mod reply;
mod text;

/// Path under which everything is.
const ROOT: &str = "/api.xro/2.0";
/// Longest number of an invoice or credit note, in characters (Xero API docs, invoices).
const NUMBER_LENGTH_MAX: usize = 255;
/// Most lines of a document. The API names no limit; this one keeps a request far below its 3.5 MB.
const LINES_MAX: usize = 500;
/// Entries of a page that are asked for: the API's own default, so that nothing hangs on the parameter being honoured
/// (Xero API docs, paging).
const PAGE_SIZE: usize = 100;
/// Most pages that are looked through before a search gives up.
const PAGES_MAX: usize = 30;
/// Longest idempotency key, in characters; a longer one is refused (Xero API docs, idempotent requests).
const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 128;

static PROFILE: Profile = Profile {
    name: "accounting",
    provider: Provider::Xero,
    rules: BookRules {
        rounding: Rounding { unit_price_places: 4, amount_places_max: 2, tax: TaxRounding::Computed },
        exchange: ExchangeRates::Own,
        tax_codes: true,
        contact_per_currency: false,
        number_length_max: NUMBER_LENGTH_MAX,
        lines_max: LINES_MAX,
        keeps_drafts: true,
        payment_terms_in_days: 0,
    },
    // A key lives for six minutes from its first call (Xero API docs, idempotent requests); one more for the book's clock.
    settle_seconds: 420,
    replay: Replay::Seconds(300),
    calls_per_minute: 60,
    documents: [
        (Kind::Contact, Support::Yes),
        (Kind::Product, Support::Yes),
        (Kind::Invoice, Support::Yes),
        (Kind::Payment, Support::Yes),
        (Kind::CreditNote, Support::Yes),
        (Kind::Allocation, Support::Yes),
        (Kind::Refund, Support::Yes),
        (
            Kind::StockMovement,
            Support::No("The API shows stock and can't set it; tracked items are advised against for shops."),
        ),
    ],
    references: &[
        Reference::Organisation,
        Reference::Accounts,
        Reference::TaxRates,
        Reference::BankAccounts,
        Reference::Currencies,
    ],
};

/// Xero's Accounting API.
#[derive(Clone, Copy, Debug)]
pub struct Accounting;

impl Dialect for Accounting {
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
        let mut replies = Replies::new(seen);
        match document {
            Document::Contact(contact) => contact::post(contact, context, start, &mut replies),
            Document::Product(product) => product::post(product, context, start, &mut replies),
            Document::Invoice(invoice) => paper::post(&invoice.into(), context, start, &mut replies),
            Document::CreditNote(note) => paper::post(&note.into(), context, start, &mut replies),
            Document::Payment(payment) => payment::post(&payment.into(), context, start, &mut replies),
            Document::Refund(refund) => payment::post(&refund.into(), context, start, &mut replies),
            Document::Allocation(allocation) => allocation::post(allocation, context, start, &mut replies),
            Document::StockMovement(_) => Err(unsupported(document.kind())),
        }
    }

    fn created(&self, document: &Document, _: &Context, answered: &Labelled) -> Option<Posted> {
        match document {
            Document::Contact(_) => contact::created(answered),
            Document::Product(product) => product::created(product, answered),
            Document::Invoice(invoice) => paper::created(&invoice.into(), answered),
            Document::CreditNote(note) => paper::created(&note.into(), answered),
            Document::Payment(payment) => payment::created(&payment.into(), answered),
            Document::Refund(refund) => payment::created(&refund.into(), answered),
            Document::Allocation(allocation) => allocation::created(allocation, answered),
            Document::StockMovement(_) => None,
        }
    }

    fn find(&self, document: &Document, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
        let mut replies = Replies::new(seen);
        let sought = match document {
            Document::Contact(contact) => contact::find(contact, context, &mut replies)?,
            Document::Product(product) => product::find(product, context, &mut replies)?,
            Document::Invoice(invoice) => paper::find(&invoice.into(), context, &mut replies)?,
            Document::CreditNote(note) => paper::find(&note.into(), context, &mut replies)?,
            Document::Payment(payment) => payment::find(&payment.into(), context, &mut replies)?,
            Document::Refund(refund) => payment::find(&refund.into(), context, &mut replies)?,
            Document::Allocation(allocation) => allocation::find(allocation, context, &mut replies)?,
            Document::StockMovement(_) => return Err(unsupported(document.kind())),
        };
        Ok(match sought {
            Sought::Ask(label, call) => Step::Read(label, call),
            Sought::Known(found) => Step::Done(found),
        })
    }

    fn balance(
        &self,
        kind: Kind,
        provider_id: &str,
        context: &Context,
        seen: &[Labelled],
    ) -> Result<Step<Balance>, Fault> {
        paper::balance(kind, provider_id, context, &mut Replies::new(seen))
    }

    fn stand_in(&self, digest: &str) -> String {
        let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }

    fn rehearsed(&self, document: &Document, _: &Context, stand_in: &str) -> Reply {
        let total = document.total().map(|total| total.to_string());
        let (resource, element) = match document {
            Document::Contact(_) => (reply::CONTACTS, json!({"ContactID": stand_in})),
            Document::Product(_) => (reply::ITEMS, json!({"ItemID": stand_in})),
            Document::Invoice(_) => (reply::INVOICES, json!({"InvoiceID": stand_in, "Total": total})),
            Document::CreditNote(_) => (reply::CREDIT_NOTES, json!({"CreditNoteID": stand_in, "Total": total})),
            Document::Payment(_) | Document::Refund(_) => {
                (reply::PAYMENTS, json!({"PaymentID": stand_in, "Amount": total}))
            }
            Document::Allocation(it) => {
                (reply::ALLOCATIONS, json!({"Invoice": {"InvoiceID": it.invoice}, "Amount": total}))
            }
            Document::StockMovement(_) => return Reply::default(),
        };
        Reply::rehearsed(&json!({resource.list: [element]}))
    }

    fn provider_id(&self, kind: Kind, told: &str, _: &Context) -> Option<String> {
        let told = told.trim();
        match kind {
            Kind::Allocation => {
                let (credit_note, invoice) = told.split_once(':')?;
                Some(format!("{}:{}", text::guid(credit_note)?, text::guid(invoice)?))
            }
            Kind::StockMovement => None,
            Kind::Contact | Kind::Product | Kind::Invoice | Kind::Payment | Kind::CreditNote | Kind::Refund => {
                text::guid(told)
            }
        }
    }

    fn page(&self, of: Reference, context: &Context, cursor: Option<&str>) -> Option<Call> {
        // None of these lists has pages (Xero API docs).
        cursor.is_none().then(|| lists::name(of)).flatten().map(|name| read(context, format!("{ROOT}/{name}"), &[]))
    }

    fn read_page(&self, of: Reference, _: &Context, reply: &Reply) -> Result<Page, Fault> {
        lists::read(of, reply)
    }

    fn choice(&self, purpose: Purpose) -> Option<Choice> {
        Some(match purpose {
            Purpose::Lines | Purpose::Purchases => Choice::all(Reference::Accounts),
            // Other accounts that take payments exist, but the merchant's money comes and goes through a bank's.
            Purpose::Payments => Choice { list: Reference::BankAccounts, counts: |entry| entry.is_of("BANK") },
        })
    }

    fn link(&self, kind: Kind, provider_id: &str, context: &Context) -> Option<String> {
        let id = text::guid(provider_id)?;
        let short_code = context.web_name.as_deref().filter(|code| text::is_short_code(code))?;
        // Xero API docs, deep link to Xero: invoices, credit notes, contacts and payments have addresses, items and
        // allocations none. The page of a payment, of one for a credit note too, takes its id as a bank transaction's (Xero's
        // own MCP server, `src/consts/deeplinks.ts`).
        let page = match kind {
            Kind::Invoice => format!("/AccountsReceivable/View.aspx?InvoiceID={id}"),
            Kind::CreditNote => format!("/AccountsReceivable/ViewCreditNote.aspx?creditNoteID={id}"),
            Kind::Contact => format!("/Contacts/View/{id}"),
            Kind::Payment | Kind::Refund => format!("/Bank/ViewTransaction.aspx?bankTransactionID={id}"),
            Kind::Product | Kind::Allocation | Kind::StockMovement => return None,
        };
        Some(format!("https://go.xero.com/organisationlogin/default.aspx?shortcode={short_code}&redirecturl={page}"))
    }

    fn classify(&self, reply: &Reply, writes: bool) -> Fault {
        reply::classify(reply, writes)
    }
}

/// The replies so far, taken one after another by the steps that asked for them.
struct Replies<'a> {
    seen: std::slice::Iter<'a, Labelled>,
}

impl<'a> Replies<'a> {
    fn new(seen: &'a [Labelled]) -> Self {
        Self { seen: seen.iter() }
    }

    /// The reply to the step that comes now; `None` where it was not taken yet.
    fn next(&mut self, label: &str) -> Result<Option<&'a Reply>, Fault> {
        match self.seen.next() {
            None => Ok(None),
            Some(labelled) if labelled.label == label => Ok(Some(&labelled.reply)),
            Some(labelled) => Err(Fault::broken(
                Code::Unexpected,
                format!("The reply {:?} answers no step that was taken.", labelled.label),
            )),
        }
    }
}

/// What a search has come to.
enum Sought<T> {
    /// A question is open.
    Ask(&'static str, Call),
    /// It knows.
    Known(T),
}

/// A question. The organisation is named in every call (Xero API docs).
fn read(context: &Context, path: String, query: &[(&str, String)]) -> Call {
    Call { query: pairs(query), headers: tenant(context), ..Call::get(path) }
}

/// A creating call: PUT only creates, where POST would overwrite what it matches (Xero API docs). A corrected create is
/// another request and must not come under the key of the one that was refused, so each has a key of its own.
fn create(context: &Context, path: String, query: &[(&str, &str)], body: String, creates_before: u8) -> Call {
    let mut headers = tenant(context);
    if !context.idempotency_key.is_empty() {
        let suffix = if creates_before == 0 { String::new() } else { format!("-{creates_before}") };
        let key: String = format!("{}{suffix}", context.idempotency_key);
        if key.len() <= IDEMPOTENCY_KEY_LENGTH_MAX {
            headers.push(("idempotency-key", key));
        }
    }
    let query: Vec<(&str, String)> = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Call { query: pairs(&query), headers, ..Call::send(Method::Put, path, body) }
}

/// A call that changes what exists.
fn change(context: &Context, path: String, query: &[(&str, String)], body: String) -> Call {
    Call { query: pairs(query), headers: tenant(context), ..Call::send(Method::Post, path, body) }
}

/// Errors come with the element they belong to; said explicitly, because the documentation contradicts itself on the
/// default (Xero API docs, PUT and POST).
const SUMMARIZE: (&str, &str) = ("summarizeErrors", "false");
/// Four decimal places of a unit price instead of two (Xero API docs, rounding).
const UNIT_PLACES: (&str, &str) = ("unitdp", "4");

fn tenant(context: &Context) -> Vec<(&'static str, String)> {
    vec![("xero-tenant-id", context.organisation.clone())]
}

fn pairs(query: &[(&str, String)]) -> Vec<(String, String)> {
    query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// A page of a list, counted from 0.
fn page_of(context: &Context, path: &str, filter: &str, page: usize) -> Call {
    let query = [
        ("where", filter.to_owned()),
        ("page", page.saturating_add(1).to_string()),
        ("pageSize", PAGE_SIZE.to_string()),
    ];
    read(context, path.to_owned(), &query)
}

/// An id of the book's that a document names: anything but a GUID would make another path of it.
fn id(text: &str) -> Result<String, Fault> {
    text::guid(text)
        .ok_or_else(|| Fault::broken(Code::Unexpected, "A document names another one by what is no id of the book."))
}

/// What the dialect does not post.
fn unsupported(kind: Kind) -> Fault {
    Fault::broken(Code::Unexpected, format!("This dialect posts no {}.", kind.as_str()))
}
