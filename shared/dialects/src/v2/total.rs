//! A document's total by one question, where the book did not say it.

use super::reply::{Entity, Entry};
use super::search::Seen;
use super::{House, reply};
use crate::{Call, Step};
use ledger_domain::amount::Amount;
use ledger_domain::document::Posted;
use ledger_domain::fault::Fault;

const READ_TOTAL: &str = "read_total";

/// A document that was just created is in the book whatever comes back.
pub(super) fn of_created(
    house: &House,
    entity: Entity,
    posted: Posted,
    path: &str,
    seen: &mut Seen<'_>,
    total_of: impl Fn(&Entry<'_>) -> Option<Amount>,
) -> Result<Step<Posted>, Fault> {
    if posted.total.is_some() {
        return Ok(Step::Done(posted));
    }
    let Some(answer) = seen.answer(READ_TOTAL)? else { return Ok(Step::Read(READ_TOTAL, Call::get(path.to_owned()))) };
    let total = reply::one(house, entity, answer).ok().as_ref().and_then(total_of);
    Ok(Step::Done(Posted { total, ..posted }))
}

/// One that was there before is asked because its total may be wrong: no answer is no proof.
pub(super) fn of_linked(
    house: &House,
    entity: Entity,
    posted: Posted,
    path: &str,
    seen: &mut Seen<'_>,
    total_of: impl Fn(&Entry<'_>) -> Option<Amount>,
) -> Result<Step<Posted>, Fault> {
    if let Some(refused) = seen.clone().answer(READ_TOTAL)?.filter(|answer| answer.status != 200) {
        return Err(reply::classify(house, refused, false));
    }
    of_created(house, entity, posted, path, seen, total_of)
}
