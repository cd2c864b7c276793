//! A rehearsal: a plan carried out with reads only. What would be created or changed is written down instead of being
//! sent, and what the book would answer is stood in for, so that later requests name what earlier ones would have made.
//!
//! Invariants: nothing is sent that creates or changes, and nothing that names what is not in the book; no row is
//! written; the same run gives the same requests, byte for byte those that a real attempt sends, but for the ids that
//! the book gives out, which are shown as `{invoice:17}`.

use ledger_dialects::{Call, Context, Dialect, Reply};
use ledger_domain::amount::{Amount, Currency};
use ledger_domain::document::{Balance, Document, DocumentStatus, Kind, Standing};
use ledger_domain::identity::fingerprint;
use std::collections::BTreeMap;

/// Bytes of the digest that stands for a guest's e-mail address in a placeholder.
const GUEST_DIGEST_BYTES: usize = 4;

/// A request that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it is about.
    pub kind: Kind,
    /// Label of the step: `create_invoice`, `mark_as_sent`, …
    pub label: &'static str,
    /// True for a create, false for a change of what is there.
    pub creates: bool,
    /// True where the book has the document already: it refuses the create, and the one that is there is taken.
    pub taken: bool,
    /// The request without host and token, stand-ins and all.
    pub call: Call,
}

/// What stands for a document that is not in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StandIn {
    /// The id as requests have it.
    id: String,
    /// As people are shown it: `{invoice:17}`.
    placeholder: String,
    /// What a book would answer about it.
    reply: Reply,
}

/// A document whose total was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// What it is.
    pub kind: Kind,
    /// Its total.
    pub total: Amount,
    /// Its currency.
    pub currency: Currency,
}

/// What a rehearsal has come to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// What would be sent, in order.
    pub requests: Vec<Request>,
    /// True where every document is looked for in the book first.
    pub looks_first: bool,
    /// Totals of what would be created.
    pub proven: Vec<Proven>,
    stand_ins: Vec<StandIn>,
    /// What is left of documents that would be created, by their stand-in's provider id.
    planned: BTreeMap<String, Balance>,
    /// What planned documents take off others: their provider id and how much.
    taken_off: Vec<(String, Amount)>,
}

impl Rehearsal {
    /// A rehearsal that has come to nothing yet; where `looks_first`, one that looks for every document first.
    #[must_use]
    pub fn new(looks_first: bool) -> Self {
        Self { looks_first, ..Self::default() }
    }

    /// Writes a create down, and gives what the book would answer. `key` is that of the document's leading row.
    pub fn created(
        &mut self,
        dialect: &dyn Dialect,
        context: &Context,
        document: &Document,
        key: &str,
        label: &'static str,
        call: Call,
    ) -> Reply {
        self.requests.push(Request { kind: document.kind(), label, creates: true, taken: false, call });
        self.proves(document);
        self.takes_off(document);
        let id = dialect.stand_in(&hex::encode(fingerprint(&[b"stand-in", key.as_bytes()])));
        let reply = dialect.rehearsed(document, context, &id);
        let placeholder = placeholder(document.kind(), key);
        if !self.stand_ins.iter().any(|it| it.id == id) {
            self.stand_ins.push(StandIn { id, placeholder, reply: reply.clone() });
        }
        reply
    }

    /// Writes a change down, and gives what the book would answer.
    pub fn changed(
        &mut self,
        dialect: &dyn Dialect,
        context: &Context,
        document: &Document,
        key: &str,
        label: &'static str,
        call: Call,
    ) -> Reply {
        self.requests.push(Request { kind: document.kind(), label, creates: false, taken: false, call });
        let id = dialect.stand_in(&hex::encode(fingerprint(&[b"stand-in", key.as_bytes()])));
        dialect.rehearsed(document, context, &id)
    }

    /// A create that the book would refuse, because it has the document.
    pub fn refused_as_taken(&mut self, document: &Document, label: &'static str, call: Call) {
        self.requests.push(Request { kind: document.kind(), label, creates: true, taken: true, call });
    }

    /// What the book would answer to a question about a document that is not there; `None` where the question names none
    /// and can be asked.
    #[must_use]
    pub fn answer(&self, call: &Call) -> Option<Reply> {
        let named = self.stand_ins.iter().find(|it| is_named(call, &it.id))?;
        Some(named.reply.clone())
    }

    /// True where a call names a document that is not there.
    #[must_use]
    pub fn names_a_stand_in(&self, call: &Call) -> bool {
        self.stand_ins.iter().any(|it| is_named(call, &it.id))
    }

    /// A document would be in the book under this id.
    pub fn is_in_book(&mut self, document: &Document, provider_id: &str) {
        let (status, total) = match document {
            Document::Invoice(invoice) => (invoice.status, invoice.total),
            Document::CreditNote(note) => (note.status, note.total),
            Document::Contact(_)
            | Document::Product(_)
            | Document::Payment(_)
            | Document::Allocation(_)
            | Document::Refund(_)
            | Document::StockMovement(_) => return,
        };
        let standing = match status {
            DocumentStatus::Approved => Standing::Approved,
            DocumentStatus::Draft | DocumentStatus::Submitted => Standing::Unapproved,
        };
        if self.stand_ins.iter().any(|it| provider_id.contains(&it.id)) {
            self.planned.insert(provider_id.to_owned(), Balance { standing, outstanding: total });
        }
    }

    /// What would be left of a document that is not in the book yet; `None` for one that is.
    #[must_use]
    pub fn planned(&self, provider_id: &str) -> Option<Balance> {
        self.planned.get(provider_id).cloned()
    }

    /// What would be left of a document after what the plan takes off it.
    #[must_use]
    pub fn less_planned(&self, provider_id: &str, balance: Balance) -> Balance {
        let taken = self.taken_off.iter().filter(|(id, _)| id == provider_id);
        let left = taken.fold(balance.outstanding, |left, (_, amount)| left.minus(*amount).unwrap_or(Amount::ZERO));
        let outstanding = if left > Amount::ZERO { left } else { Amount::ZERO };
        Balance { outstanding, ..balance }
    }

    /// A text as people are shown it: each stand-in as its placeholder.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        self.stand_ins.iter().fold(text.to_owned(), |text, it| text.replace(&it.id, &it.placeholder))
    }

    /// The total of the first document of a kind.
    #[must_use]
    pub fn total_of(&self, kind: Kind) -> Option<&Proven> {
        self.proven.iter().find(|proven| proven.kind == kind)
    }

    fn proves(&mut self, document: &Document) {
        let currency = match document {
            Document::Invoice(it) => &it.currency,
            Document::CreditNote(it) => &it.currency,
            Document::Payment(it) => &it.currency,
            Document::Allocation(it) => &it.currency,
            Document::Refund(it) => &it.currency,
            Document::Contact(_) | Document::Product(_) | Document::StockMovement(_) => return,
        };
        if let Some(total) = document.total() {
            self.proven.push(Proven { kind: document.kind(), total, currency: currency.clone() });
        }
    }

    fn takes_off(&mut self, document: &Document) {
        match document {
            Document::Payment(it) => self.taken_off.push((it.invoice.clone(), it.amount)),
            Document::Refund(it) => self.taken_off.push((it.credit_note.clone(), it.amount)),
            Document::Allocation(it) => {
                self.taken_off.push((it.invoice.clone(), it.amount));
                self.taken_off.push((it.credit_note.clone(), it.amount));
            }
            Document::Contact(_)
            | Document::Product(_)
            | Document::Invoice(_)
            | Document::CreditNote(_)
            | Document::StockMovement(_) => {}
        }
    }
}

fn is_named(call: &Call, id: &str) -> bool {
    call.path.contains(id)
        || call.query.iter().any(|(_, value)| value.contains(id))
        || call.body.as_deref().is_some_and(|body| body.contains(id))
}

/// How a document that is not in the book is shown: its kind and its id in the shop, from the key of its row. A guest has
/// none, and is shown by a digest of the address; where contacts have a currency, it stands behind.
#[must_use]
pub fn placeholder(kind: Kind, key: &str) -> String {
    let parts: Vec<&str> = key.split('#').collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let id = match (kind, part(2)) {
        (Kind::Contact, "customer") if parts.len() > 5 => format!("{}:{}", part(4), part(5)),
        (Kind::Contact, "customer") => part(4).to_owned(),
        (Kind::Contact, _) => {
            let digest = fingerprint(&[key.as_bytes()]);
            format!("guest-{}", hex::encode(digest.get(..GUEST_DIGEST_BYTES).unwrap_or_default()))
        }
        _ => part(3).to_owned(),
    };
    format!("{{{}:{id}}}", kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_wire::rows::keys;

    #[test]
    fn a_placeholder_names_kind_and_id() {
        let book = "xero:acme";
        let cases = [
            (Kind::Invoice, keys::document(book, "invoice", "t-1", 17), "{invoice:17}"),
            (Kind::Payment, keys::document(book, "payment", "t-1", 17), "{payment:17}"),
            (Kind::Contact, keys::contact_by_customer(book, "t-1", 5, None), "{contact:5}"),
            (Kind::Contact, keys::contact_by_customer(book, "t-1", 5, Some("EUR")), "{contact:5:EUR}"),
            (Kind::StockMovement, keys::stock_movement(book, "t-1", 9, "run"), "{stock_movement:9}"),
        ];
        for (kind, key, shown) in cases {
            assert_eq!(placeholder(kind, &key), shown, "{key}");
        }
        let guest = placeholder(Kind::Contact, &keys::contact_by_email(book, "jane#x@shop.example", None));
        assert!(guest.starts_with("{contact:guest-") && !guest.contains("jane"), "{guest}");
    }
}
