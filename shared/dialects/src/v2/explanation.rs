//! Payments and refunds: explained movements of a bank account. A refund is one of a credit note, away from the account
//! (FreeAgent API docs, bank transaction explanations; API forum, 2026).

use super::reply::{Created, Entity, Entry};
use super::sale::{CREDIT_NOTES, INVOICES};
use super::search::{List, Search, Seen, search};
use super::{House, body, reply, total, url};
use crate::{Call, Context, Labelled, Start, Step};
use jiff::civil::Date;
use ledger_domain::amount::{Amount, Currency};
use ledger_domain::code::Code;
use ledger_domain::document::{Bank, Payment, Posted, Refund};
use ledger_domain::fault::Fault;

const OF_DAY: &str = "explanations_of_day";
const READ: &str = "read_explanation";
pub(super) const EXPLANATION: Entity =
    Entity { root: "bank_transaction_explanation", collection: "bank_transaction_explanations" };

/// What a payment and a refund have in common.
pub(super) struct Explanation<'a> {
    create: &'static str,
    /// Our reference.
    pub(super) reference: &'a str,
    /// The gateway's transaction.
    pub(super) transaction: Option<&'a str>,
    /// What is paid: an invoice, or a credit note.
    pub(super) document: &'a str,
    entity: Entity,
    pub(super) dated_on: Date,
    amount: Amount,
    currency: &'a Currency,
    pub(super) bank: &'a Bank,
    outgoing: bool,
}

impl<'a> From<&'a Payment> for Explanation<'a> {
    fn from(payment: &'a Payment) -> Self {
        Self {
            create: "create_payment",
            reference: &payment.reference,
            transaction: payment.transaction.as_deref(),
            document: &payment.invoice,
            entity: INVOICES,
            dated_on: payment.dated_on,
            amount: payment.amount,
            currency: &payment.currency,
            bank: &payment.bank,
            outgoing: false,
        }
    }
}

impl<'a> From<&'a Refund> for Explanation<'a> {
    fn from(refund: &'a Refund) -> Self {
        Self {
            create: "create_refund",
            reference: &refund.reference,
            transaction: None,
            document: &refund.credit_note,
            entity: CREDIT_NOTES,
            dated_on: refund.dated_on,
            amount: refund.amount,
            currency: &refund.currency,
            bank: &refund.bank,
            outgoing: true,
        }
    }
}

impl Explanation<'_> {
    fn signed(&self, amount: Amount) -> Amount {
        if self.outgoing { amount.negated() } else { amount }
    }

    /// What moves on the account, in its currency.
    ///
    /// # Errors
    /// Where no rate can be given honestly.
    pub(super) fn gross(&self) -> Result<Amount, Fault> {
        self.bank.amount.map(|amount| self.signed(amount)).ok_or_else(|| {
            Fault::refused(
                Code::ExchangeRateUnknown,
                "The bank account has another currency than the document, and no rate between them is known.",
            )
        })
    }

    /// The same in the document's currency, where that is another one.
    pub(super) fn foreign(&self) -> Option<Amount> {
        (self.bank.currency != *self.currency).then(|| self.signed(self.amount))
    }

    /// What the book shows in the document's currency, positive as in our document.
    fn total_of(&self, entry: &Entry<'_>) -> Option<Amount> {
        let gross = entry.amount("gross_value")?;
        match self.foreign() {
            None => Some(self.signed(gross)),
            Some(_) => match entry.amount("foreign_currency_value") {
                Some(foreign) => Some(foreign.abs()),
                // It need not be told again: what moved on the account says that it is this one.
                None => (Some(gross) == self.gross().ok()).then_some(self.amount),
            },
        }
    }

    fn posted(&self, url: String, entry: &Entry<'_>) -> Posted {
        Posted { provider_id: url, reference: Some(self.reference.to_owned()), total: self.total_of(entry) }
    }
}

pub(super) fn post(
    house: &House,
    explanation: &Explanation<'_>,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    let mut seen = Seen::new(seen);
    let total_of = |entry: &Entry<'_>| explanation.total_of(entry);
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        let path = url::path_of(&context.base_url, house.root, EXPLANATION.collection, &posted.provider_id);
        return match path {
            Some(path) => total::of_linked(house, EXPLANATION, posted.clone(), &path, &mut seen, total_of),
            // What is linked stays linked, also where the binding has moved.
            None => Ok(Step::Done(posted.clone())),
        };
    }
    let Some(answer) = seen.answer(explanation.create)? else {
        let body = body::explanation(house, explanation)?;
        return Ok(Step::Create(explanation.create, house.create(EXPLANATION.collection, body)));
    };
    match reply::created(house, context, EXPLANATION, answer) {
        Created::Done(named) => {
            let posted = explanation.posted(named.url, &named.entry);
            total::of_created(house, EXPLANATION, posted, &named.path, &mut seen, total_of)
        }
        Created::Fault(fault, _) => Err(fault),
    }
}

/// What a book shows of a movement that a rehearsal stands in for.
pub(super) fn rehearsed(explanation: &Explanation<'_>, url: &str) -> serde_json::Value {
    let text = |amount: Amount| amount.to_string();
    serde_json::json!({
        "url": url,
        "gross_value": explanation.gross().ok().map(text),
        "foreign_currency_value": explanation.foreign().map(text),
    })
}

pub(super) fn created(
    house: &House,
    explanation: &Explanation<'_>,
    context: &Context,
    answered: &Labelled,
) -> Option<Posted> {
    if answered.label != explanation.create {
        return None;
    }
    match reply::created(house, context, EXPLANATION, &answered.reply) {
        Created::Done(named) => Some(explanation.posted(named.url, &named.entry)),
        Created::Fault(..) => None,
    }
}

/// Looks for ours among the account's of its day: there is no search by reference. It is ours with our reference, the
/// document and what moved on the account.
pub(super) fn find(
    house: &House,
    explanation: &Explanation<'_>,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Posted>>, Fault> {
    let gross = explanation.gross()?;
    let day = explanation.dated_on.to_string();
    let filter = [("bank_account", explanation.bank.account.as_str()), ("from_date", &day), ("to_date", &day)];
    let list = List { entity: EXPLANATION, label: OF_DAY, filter: &filter };
    let pays = |entry: &Entry<'_>| {
        entry.names("paid_invoice", house, context, explanation.entity.collection, explanation.document)
    };
    let is_ours = |entry: &Entry<'_>| pays(entry) && entry.amount("gross_value") == Some(gross);
    let has_reference = |entry: &Entry<'_>| {
        entry.text("receipt_reference").as_deref().map(str::trim) == Some(explanation.reference.trim())
    };
    let mut foreign = false;
    let found = search(house, &list, &mut Seen::new(seen), |entry, seen| {
        // A list may not tell references: what pays our document is looked at by itself then.
        let is_unclear = entry.text("receipt_reference").is_none() && pays(entry);
        if !is_unclear && !has_reference(entry) {
            return Ok(Search::Absent);
        }
        let Some((url, path)) = entry.own_url(house, context, EXPLANATION) else {
            return Err(Fault::broken(Code::AnswerUnknown, "The book names a payment by a URL that is not its own."));
        };
        let read;
        let entry = if is_unclear {
            let Some(answer) = seen.answer(READ)? else { return Ok(Search::Ask(READ, Call::get(path))) };
            read = reply::one(house, EXPLANATION, answer)?;
            &read
        } else {
            entry
        };
        if !has_reference(entry) {
            return Ok(Search::Absent);
        }
        if !is_ours(entry) {
            foreign = true;
            return Ok(Search::Absent);
        }
        Ok(Search::Found(explanation.posted(url, entry)))
    })?;
    match found {
        Search::Absent if foreign => Err(Fault::refused(
            Code::ReferenceTaken,
            "The reference is on a movement of another amount or for another document.",
        )),
        it @ (Search::Found(_) | Search::Ask(..) | Search::Absent) => Ok(it.into()),
    }
}
