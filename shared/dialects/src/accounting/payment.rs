//! Payments of invoices, and refunds, which are payments of credit notes (Xero API docs, payments). Nothing keeps them
//! apart in the book but our reference.

use super::body::{self, Paid, REFERENCE_LENGTH_MAX};
use super::reply::{CREDIT_NOTES, Element, INVOICES, PAYMENTS, Wrote};
use super::{Replies, SUMMARIZE, Sought, create, id, page_of, paper, reply, text};
use crate::{Call, Context, Labelled, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Payment, Posted, Refund};
use ledger_domain::fault::Fault;

/// What stands between our reference and the gateway's.
const SEPARATOR: &str = " / ";

/// A payment or a refund.
pub(super) struct Money<'a> {
    paid: Paid<'a>,
    /// The gateway's transaction.
    transaction: Option<&'a str>,
    create: &'static str,
    search: &'static str,
}

impl<'a> From<&'a Payment> for Money<'a> {
    fn from(payment: &'a Payment) -> Self {
        Self {
            paid: Paid {
                back: false,
                document: &payment.invoice,
                bank: &payment.bank,
                dated_on: payment.dated_on,
                amount: payment.amount,
                currency: &payment.currency,
                reference: &payment.reference,
            },
            transaction: payment.transaction.as_deref(),
            create: "create_payment",
            search: "payments_of_invoice",
        }
    }
}

impl<'a> From<&'a Refund> for Money<'a> {
    fn from(refund: &'a Refund) -> Self {
        Self {
            paid: Paid {
                back: true,
                document: &refund.credit_note,
                bank: &refund.bank,
                dated_on: refund.dated_on,
                amount: refund.amount,
                currency: &refund.currency,
                reference: &refund.reference,
            },
            transaction: None,
            create: "create_refund",
            search: "payments_by_reference",
        }
    }
}

impl Money<'_> {
    fn posted(&self, provider_id: String, element: &Element<'_>) -> Posted {
        let reference = Some(self.paid.reference.to_owned());
        Posted { provider_id, reference, total: element.amount(PAYMENTS.total) }
    }

    /// Our reference, as the book has it.
    fn reference(&self) -> String {
        text::shortened(&text::tidy(self.paid.reference), REFERENCE_LENGTH_MAX)
    }

    /// Our reference with the gateway's behind it, for the bookkeeper: as much as there is room for.
    fn shown_reference(&self) -> String {
        let ours = self.reference();
        match self.transaction.map(text::tidy).filter(|transaction| !transaction.is_empty()) {
            Some(transaction) => text::cut(&format!("{ours}{SEPARATOR}{transaction}"), REFERENCE_LENGTH_MAX),
            None => ours,
        }
    }

    /// True where a payment has our reference. The gateway's part may have changed since, and doesn't count.
    fn is_ours(&self, reference: &str) -> bool {
        let ours = self.reference();
        let rest = reference.trim().strip_prefix(ours.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR.trim_end()))
    }
}

pub(super) fn post(
    money: &Money<'_>,
    context: &Context,
    start: &Start,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        return paper::linked(PAYMENTS, posted, context, replies);
    }
    let Some(reply) = replies.next(money.create)? else {
        let reference = money.shown_reference();
        let body = body::payment(&Paid { reference: &reference, ..money.paid })?;
        return Ok(Step::Create(money.create, create(context, PAYMENTS.path(), &[SUMMARIZE], body, 0)));
    };
    match reply::wrote(PAYMENTS, reply) {
        Wrote::Done(element, id) => {
            let posted = money.posted(id, &element);
            match posted.total {
                Some(_) => Ok(Step::Done(posted)),
                None => paper::with_total(PAYMENTS, posted, context, replies),
            }
        }
        Wrote::Fault(fault, _) => Err(fault),
    }
}

pub(super) fn created(money: &Money<'_>, answered: &Labelled) -> Option<Posted> {
    if answered.label != money.create {
        return None;
    }
    match reply::wrote(PAYMENTS, &answered.reply) {
        Wrote::Done(element, id) => Some(money.posted(id, &element)),
        Wrote::Fault(..) => None,
    }
}

/// Looks for the payment: those of the invoice, or, because the API shows a refund's credit note under either of two
/// names, those with the reference.
pub(super) fn find(
    money: &Money<'_>,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Sought<Option<Posted>>, Fault> {
    let document = id(money.paid.document)?;
    let mut page = 0;
    let mut foreign = false;
    loop {
        let Some(reply) = replies.next(money.search)? else {
            return Ok(Sought::Ask(money.search, asking(money, context, &document, page)));
        };
        let list = reply::list(PAYMENTS.list, reply)?;
        for element in &list.elements {
            // One that was deleted is as if it had never been: the same may be paid again.
            let is_gone = element.text("Status").is_some_and(|status| !status.eq_ignore_ascii_case("AUTHORISED"));
            let is_ours = element.text("Reference").is_some_and(|reference| money.is_ours(&reference));
            if is_gone || !is_ours {
                continue;
            }
            let Some(id) = element.guid(PAYMENTS.id) else {
                return Err(Fault::broken(Code::AnswerUnknown, "The book names a payment by what is no id."));
            };
            let posted = money.posted(id, element);
            if posted.total == Some(money.paid.amount) && is_of(element, &document) {
                return Ok(Sought::Known(Some(posted)));
            }
            foreign = true;
        }
        match list.next_page(page)? {
            Some(next) => page = next,
            None if foreign => {
                let message = "Our reference is on a payment of another amount or of another document.";
                return Err(Fault::refused(Code::ReferenceTaken, message));
            }
            None => return Ok(Sought::Known(None)),
        }
    }
}

fn asking(money: &Money<'_>, context: &Context, document: &str, page: usize) -> Call {
    let filter = if money.paid.back {
        format!("Reference=={}", text::quoted(&money.reference()))
    } else {
        format!("Invoice.InvoiceID==guid({})", text::quoted(document))
    };
    page_of(context, &PAYMENTS.path(), &filter, page)
}

/// True where the payment is of the document, or does not say of which it is: then the filter has said it, or our
/// reference does. A credit note comes as one or as an invoice of its type (OpenAPI description, payments).
fn is_of(element: &Element<'_>, document: &str) -> bool {
    let of = |field: &str, id: &str| element.child(field).and_then(|it| it.guid(id));
    let named = of("CreditNote", CREDIT_NOTES.id).or_else(|| of("Invoice", INVOICES.id));
    named.is_none_or(|named| named == document)
}
