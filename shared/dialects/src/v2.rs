//! The v2 family of accounting packages: documents known by URL, one root key for each, numbers as text in replies.
//!
//! [`V2`] is Xero's `v2` as the merchant-facing texts describe it; what those leave open follows FreeAgent's API of the
//! same shape (FreeAgent API docs). [`FREEAGENT`] is that API itself. The houses of the family differ in a row of rules,
//! `House`; what they do with it is written once.
//!
//! Invariants: a create is done only by a readable URL of the binding's own book; numbers go out as the exact text of the
//! decimal; of a reply nothing is decoded that isn't needed.

use crate::{Call, Context, Dialect, Labelled, Method, Profile, Replay, Reply, Start, Step, Support};
use jiff::Timestamp;
use ledger_domain::book::{BookRules, ExchangeRates, Rounding, TaxRounding};
use ledger_domain::code::Code;
use ledger_domain::document::{Balance, Document, Kind, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::identity::Provider;
use ledger_domain::reference::{Choice, Page, Purpose, Reference};
use serde_json::json;

mod body;
mod contact;
mod explanation;
mod lists;
mod product;
mod reconciliation;
mod reply;
mod sale;
mod search;
mod total;
mod url;
mod vat;

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
    /// Longest code of a product, in characters.
    code_length_max: usize,
    /// How a contact is found by its e-mail address.
    contacts: Contacts,
    /// When invoices and credit notes are booked.
    opens: Opens,
    /// How decimals are written.
    numbers: Numbers,
    /// True where sales name their VAT status.
    names_vat_status: bool,
    /// True where a 403 to a question is known to pass by itself.
    forbidden_passes: bool,
    /// Host of the API and domain of the organisations' web pages.
    web: Option<(&'static str, &'static str)>,
}

/// How a house finds contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contacts {
    /// It refuses a second contact with an e-mail address, and lists contacts by address.
    UniqueByEmail,
    /// It does neither: all contacts are looked through before one is created.
    Unfiltered,
}

/// When a house books invoices and credit notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opens {
    /// At once: it keeps no drafts.
    AsCreated,
    /// When they are marked as sent: before, they are drafts.
    AsSent,
}

/// How a house is told decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// As JSON numbers.
    Plain,
    /// As text, as its documentation writes them.
    Text,
}

/// Digits of a stand-in for an id.
const STAND_IN_LENGTH: usize = 32;
/// Why stock is not moved.
const STOCK_IS_SHOWN_ONLY: &str = "The API shows stock items and takes no changes of them.";

/// Xero's `v2`. Its limits on text are not described; these are far beyond real names.
static XERO: House = House {
    profile: Profile {
        name: "v2",
        provider: Provider::Xero,
        rules: BookRules {
            rounding: Rounding { unit_price_places: 2, amount_places_max: 2, tax: TaxRounding::Computed },
            exchange: ExchangeRates::Ours,
            tax_codes: false,
            contact_per_currency: false,
            number_length_max: 255,
            lines_max: 500,
            keeps_drafts: false,
            payment_terms_in_days: 30,
        },
        settle_seconds: 600,
        replay: Replay::Never,
        calls_per_minute: 60,
        documents: DOCUMENTS,
        references: &[Reference::Organisation, Reference::Accounts, Reference::TaxRates, Reference::BankAccounts],
    },
    root: "/v2",
    page_size: 100,
    page_size_least: 25,
    pages_max: 30,
    text_length_max: 255,
    code_length_max: 255,
    contacts: Contacts::UniqueByEmail,
    opens: Opens::AsCreated,
    numbers: Numbers::Plain,
    names_vat_status: false,
    forbidden_passes: false,
    web: None,
};

/// FreeAgent. Limits on text and lines are not documented; columns of 255 characters are usual where nothing is said. It
/// takes 120 calls a minute of each user (FreeAgent API docs, introduction); some are left to other applications.
static FREEAGENT_HOUSE: House = House {
    profile: Profile {
        name: "freeagent",
        provider: Provider::Freeagent,
        rules: BookRules {
            rounding: Rounding { unit_price_places: 2, amount_places_max: 2, tax: TaxRounding::Computed },
            exchange: ExchangeRates::Own,
            tax_codes: false,
            contact_per_currency: false,
            number_length_max: 255,
            lines_max: 500,
            keeps_drafts: true,
            payment_terms_in_days: 30,
        },
        settle_seconds: 600,
        replay: Replay::Never,
        calls_per_minute: 100,
        documents: DOCUMENTS,
        references: &[
            Reference::Organisation,
            Reference::Accounts,
            Reference::TaxRates,
            Reference::BankAccounts,
            Reference::Contacts,
        ],
    },
    root: "/v2",
    page_size: 100,
    page_size_least: 25,
    pages_max: 30,
    text_length_max: 255,
    code_length_max: 255,
    contacts: Contacts::Unfiltered,
    opens: Opens::AsSent,
    numbers: Numbers::Text,
    names_vat_status: true,
    forbidden_passes: true,
    web: Some(("https://api.freeagent.com", "freeagent.com")),
};

const DOCUMENTS: [(Kind, Support); 8] = [
    (Kind::Contact, Support::Yes),
    (Kind::Product, Support::Yes),
    (Kind::Invoice, Support::Yes),
    (Kind::Payment, Support::Yes),
    (Kind::CreditNote, Support::Yes),
    (Kind::Allocation, Support::Yes),
    (Kind::Refund, Support::Yes),
    (Kind::StockMovement, Support::No(STOCK_IS_SHOWN_ONLY)),
];

/// A dialect of the family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    house: &'static House,
}

/// Xero's `v2`.
pub static V2: Family = Family { house: &XERO };

/// FreeAgent's API v2.
pub static FREEAGENT: Family = Family { house: &FREEAGENT_HOUSE };

impl Dialect for Family {
    fn profile(&self) -> &'static Profile {
        &self.house.profile
    }

    fn post(
        &self,
        document: &Document,
        context: &Context,
        start: &Start,
        seen: &[Labelled],
    ) -> Result<Step<Posted>, Fault> {
        let house = self.house;
        match document {
            Document::Contact(contact) => contact::post(house, contact, context, start, seen),
            Document::Product(product) => product::post(house, product, context, start, seen),
            Document::Invoice(invoice) => sale::post(house, &invoice.into(), context, start, seen),
            Document::CreditNote(note) => sale::post(house, &note.into(), context, start, seen),
            Document::Payment(payment) => explanation::post(house, &payment.into(), context, start, seen),
            Document::Refund(refund) => explanation::post(house, &refund.into(), context, start, seen),
            Document::Allocation(allocation) => reconciliation::post(house, allocation, context, start, seen),
            Document::StockMovement(_) => Err(unsupported(document.kind())),
        }
    }

    fn created(&self, document: &Document, context: &Context, answered: &Labelled) -> Option<Posted> {
        let house = self.house;
        match document {
            Document::Contact(_) => contact::created(house, context, answered),
            Document::Product(product) => product::created(house, product, context, answered),
            Document::Invoice(invoice) => sale::created(house, &invoice.into(), context, answered),
            Document::CreditNote(note) => sale::created(house, &note.into(), context, answered),
            Document::Payment(payment) => explanation::created(house, &payment.into(), context, answered),
            Document::Refund(refund) => explanation::created(house, &refund.into(), context, answered),
            Document::Allocation(_) => reconciliation::created(house, context, answered),
            Document::StockMovement(_) => None,
        }
    }

    fn find(&self, document: &Document, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
        let house = self.house;
        match document {
            Document::Contact(contact) => contact::find(house, contact, context, seen),
            Document::Product(product) => product::find(house, product, context, seen),
            Document::Invoice(invoice) => sale::find(house, &invoice.into(), context, seen),
            Document::CreditNote(note) => sale::find(house, &note.into(), context, seen),
            Document::Payment(payment) => explanation::find(house, &payment.into(), context, seen),
            Document::Refund(refund) => explanation::find(house, &refund.into(), context, seen),
            Document::Allocation(allocation) => reconciliation::find(house, allocation, context, seen),
            Document::StockMovement(_) => Err(unsupported(document.kind())),
        }
    }

    fn balance(
        &self,
        kind: Kind,
        provider_id: &str,
        context: &Context,
        seen: &[Labelled],
    ) -> Result<Step<Balance>, Fault> {
        sale::balance(self.house, kind, provider_id, context, seen)
    }

    fn stand_in(&self, digest: &str) -> String {
        format!("preview-{}", digest.get(..STAND_IN_LENGTH).unwrap_or(digest))
    }

    fn rehearsed(&self, document: &Document, context: &Context, stand_in: &str) -> Reply {
        let kind = document.kind();
        let Some(entity) = entity(kind) else { return Reply::default() };
        let url = self.house.url_of(context, entity, stand_in);
        let total = document.total().map(|total| total.to_string());
        let entry = match document {
            Document::Contact(_) | Document::Product(_) | Document::StockMovement(_) => json!({"url": url}),
            Document::Invoice(_) | Document::CreditNote(_) => json!({"url": url, "total_value": total}),
            Document::Payment(payment) => explanation::rehearsed(&payment.into(), &url),
            Document::Refund(refund) => explanation::rehearsed(&refund.into(), &url),
            Document::Allocation(_) => json!({"url": url, "gross_value": total}),
        };
        Reply::rehearsed(&json!({entity.root: entry}))
    }

    fn provider_id(&self, kind: Kind, told: &str, context: &Context) -> Option<String> {
        let entity = entity(kind)?;
        let told = told.trim();
        let url = if told.contains('/') { told.to_owned() } else { self.house.url_of(context, entity, told) };
        url::own(&context.base_url, self.house.root, entity.collection, &url).map(|(url, _)| url)
    }

    fn page(&self, of: Reference, _: &Context, cursor: Option<&str>) -> Option<Call> {
        lists::page(self.house, of, cursor)
    }

    fn read_page(&self, of: Reference, context: &Context, reply: &Reply) -> Result<Page, Fault> {
        lists::read_page(self.house, of, context, reply)
    }

    fn choice(&self, purpose: Purpose) -> Option<Choice> {
        Some(match purpose {
            // A line's category is one of income (FreeAgent API docs, invoices: invoice items).
            Purpose::Lines => Choice { list: Reference::Accounts, counts: |entry| entry.is_of(lists::INCOME) },
            Purpose::Purchases => Choice::all(Reference::Accounts),
            Purpose::Payments => Choice::all(Reference::BankAccounts),
        })
    }

    /// FreeAgent shows invoices and contacts under the organisation's own subdomain, by the number at the end of their
    /// URL. Where it shows other kinds is not documented.
    fn since(&self, of: Reference, moment: Timestamp) -> Option<String> {
        lists::since(of, moment)
    }

    fn link(&self, kind: Kind, provider_id: &str, context: &Context) -> Option<String> {
        let (api, domain) = self.house.web?;
        let collection = match kind {
            Kind::Invoice => sale::INVOICES.collection,
            Kind::Contact => contact::CONTACT.collection,
            Kind::Product
            | Kind::Payment
            | Kind::CreditNote
            | Kind::Allocation
            | Kind::Refund
            | Kind::StockMovement => return None,
        };
        let subdomain = context.web_name.as_deref().filter(|name| is_label(name))?;
        let path = url::path_of(api, self.house.root, collection, provider_id)?;
        Some(format!("https://{subdomain}.{domain}{}", path.strip_prefix(self.house.root)?))
    }

    fn classify(&self, reply: &Reply, writes: bool) -> Fault {
        reply::classify(self.house, reply, writes)
    }
}

/// What documents of a kind are in the family; `None` for what it does not post.
const fn entity(kind: Kind) -> Option<reply::Entity> {
    Some(match kind {
        Kind::Contact => contact::CONTACT,
        Kind::Product => product::PRICE_LIST_ITEM,
        Kind::Invoice => sale::INVOICES,
        Kind::CreditNote => sale::CREDIT_NOTES,
        Kind::Payment | Kind::Refund => explanation::EXPLANATION,
        Kind::Allocation => reconciliation::RECONCILIATION,
        Kind::StockMovement => return None,
    })
}

impl House {
    /// The URL of a document by the last part of it.
    fn url_of(&self, context: &Context, entity: reply::Entity, id: &str) -> String {
        format!("{}{}/{}/{id}", context.base_url.trim_end_matches('/'), self.root, entity.collection)
    }

    fn create(&self, collection: &str, body: String) -> Call {
        Call::send(Method::Post, format!("{}/{collection}", self.root), body)
    }
}

/// True for a label of a host name.
fn is_label(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

/// What the dialect does not post.
fn unsupported(kind: Kind) -> Fault {
    Fault::broken(Code::Unexpected, format!("This dialect posts no {}.", kind.as_str()))
}

/// The executor answers every step with its own label; anything else is a fault of ours.
fn out_of_order(seen: &Labelled) -> Fault {
    Fault::broken(Code::Unexpected, format!("The reply {:?} answers no step that was taken.", seen.label))
}
