//! What the book calls an allocation. No page documents the word, so the book's own list says it.

use super::reply::{self, Record};
use super::{Search, body, list};
use crate::{Call, Context};
use ledger_domain::fault::{Action, Fault};

/// The list, and the label of its pages (Sage Accounting API reference, transaction types).
const TRANSACTION_TYPES: &str = "transaction_types";
/// Only what the business's country and subscription have.
const OF_THE_BUSINESS: (&str, &str) = ("valid_for_business", "true");

/// How far the question has come.
pub(super) enum Type {
    /// A page is still to be asked for.
    Ask(&'static str, Call),
    /// The id of the type.
    Known(String),
}

/// The type of an allocation, from every page of the list. The word of the forum stands in where the list has none, or may
/// not be read: the book refuses it then, and names the field.
///
/// # Errors
/// A fault that ends the attempt.
pub(super) fn transaction_type(context: &Context, search: &mut Search<'_>) -> Result<Type, Fault> {
    let mut best: Option<(u8, String)> = None;
    let mut page = 1_usize;
    loop {
        let Some(reply) = search.answer(TRANSACTION_TYPES)? else {
            return Ok(Type::Ask(TRANSACTION_TYPES, list(context, TRANSACTION_TYPES, &[OF_THE_BUSINESS], page)));
        };
        let listed = match reply::listed(context, reply) {
            Ok(listed) => listed,
            Err(fault) if fault.action == Action::Refused => break,
            Err(fault) => return Err(fault),
        };
        for record in &listed.items {
            if let Some(rank) = rank(record)
                && best.as_ref().is_none_or(|(known, _)| rank < *known)
                && let Some(id) = record.type_id()
            {
                best = Some((rank, id));
            }
        }
        if !listed.more {
            break;
        }
        page = page.saturating_add(1);
    }
    Ok(Type::Known(best.map_or_else(|| body::ALLOCATION.to_owned(), |(_, id)| id)))
}

/// How likely an entry is the allocation of a customer's documents, the best first; `None` where it is none.
fn rank(record: &Record<'_>) -> Option<u8> {
    let texts = ["id", "displayed_as"].map(|field| record.text(field).unwrap_or_default().to_ascii_uppercase());
    let says = |word: &str| texts.iter().any(|text| text.contains(word));
    if !says("ALLOCATION") || ["VENDOR", "SUPPLIER", "PURCHASE"].into_iter().any(says) {
        return None;
    }
    Some(match &texts {
        [id, _] if id == body::ALLOCATION => 0,
        _ if says("CUSTOMER") => 1,
        _ if says("SALES") => 2,
        _ => 3,
    })
}
