//! Contacts: created, or found by e-mail address where the book says that it is taken.

use super::reply::{Complaint, Created, Entity, Entry};
use super::{House, body, out_of_order, reply, url};
use crate::{Context, Labelled, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Contact, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::identity::normalised_email;

const CREATE: &str = "create_contact";
const BY_EMAIL: &str = "contact_by_email";
/// The entity.
pub(super) const CONTACT: Entity = Entity { root: "contact", collection: "contacts" };

pub(super) fn post(
    house: &House,
    contact: &Contact,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    if let Start::Linked(posted) | Start::Outdated(posted) = start {
        return Ok(Step::Done(posted.clone()));
    }
    let Some((first, searched)) = seen.split_first() else {
        return Ok(Step::Create(CREATE, house.create(CONTACT.collection, body::contact(house, contact)?)));
    };
    if first.label != CREATE {
        return Err(out_of_order(first));
    }
    let fault = match reply::created(house, context, CONTACT, &first.reply) {
        Created::Done(named) => return Ok(Step::Done(posted(named.url))),
        Created::Fault(fault, complaints) if is_duplicate(&complaints) => fault,
        Created::Fault(fault, _) => return Err(fault),
    };
    match find(house, contact, context, searched)? {
        Step::Done(Some(posted)) => Ok(Step::Done(posted)),
        // It is taken by what the list does not show.
        Step::Done(None) => {
            Err(archived("The book has the e-mail address on a contact that it does not list.").with(fault.evidence))
        }
        Step::Read(label, call) => Ok(Step::Read(label, call)),
        Step::Create(..) | Step::Change(..) => Err(Fault::broken(Code::Unexpected, "A search that writes.")),
    }
}

pub(super) fn created(house: &House, context: &Context, answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::created(house, context, CONTACT, &answered.reply) {
        Created::Done(named) => Some(posted(named.url)),
        Created::Fault(..) => None,
    }
}

fn is_duplicate(complaints: &[Complaint]) -> bool {
    complaints.iter().any(|complaint| complaint.says_taken("email") || complaint.says_taken("e-mail"))
}

/// Looks for the active contact with the equal e-mail address. Names are never compared.
pub(super) fn find(
    house: &House,
    contact: &Contact,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Posted>>, Fault> {
    let mut page = 0;
    let mut first_page = 0;
    let mut hidden = false;
    for labelled in seen {
        if labelled.label != BY_EMAIL {
            return Err(out_of_order(labelled));
        }
        let entries = reply::list(CONTACT, &labelled.reply)?;
        for entry in entries.iter().filter(|entry| has_email(entry, &contact.email)) {
            if !is_active(entry) {
                hidden = true;
                continue;
            }
            let url = entry.url.as_deref().unwrap_or_default();
            if url::path_of(&context.base_url, house.root, CONTACT.collection, url).is_none() {
                return Err(Fault::broken(
                    Code::AnswerUnknown,
                    "The book names a contact by a URL that is not its own.",
                ));
            }
            return Ok(Step::Done(Some(posted(url.to_owned()))));
        }
        if page == 0 {
            first_page = entries.len();
        }
        match house.next_page(page, entries.len(), first_page)? {
            Some(next) => page = next,
            None if hidden => return Err(archived("The contact with this e-mail address is hidden in the book.")),
            None => return Ok(Step::Done(None)),
        }
    }
    Ok(Step::Read(BY_EMAIL, house.page(CONTACT.collection, &[("email", &contact.email)], page)))
}

fn has_email(entry: &Entry, email: &str) -> bool {
    entry.email.as_deref().and_then(normalised_email).as_deref() == Some(email)
}

/// Lists show active contacts unless asked for others; a house may not say so of each.
fn is_active(entry: &Entry) -> bool {
    entry.status.as_deref().is_none_or(|status| status.eq_ignore_ascii_case("active"))
}

fn archived(message: &str) -> Fault {
    Fault::refused(Code::ContactArchived, message)
}

fn posted(url: String) -> Posted {
    Posted { provider_id: url, reference: None, total: None }
}
