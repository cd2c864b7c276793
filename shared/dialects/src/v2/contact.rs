//! Contacts: known by e-mail address. A house that refuses a second one with an address is asked for the first then; in one
//! that takes any number, all are looked through before one is created.

use super::reply::{Complaint, Created, Entity, Entry, changed};
use super::search::{List, Search, Seen, search};
use super::{Contacts, House, body, reply, url};
use crate::{Call, Context, Labelled, Method, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Contact, Posted};
use ledger_domain::fault::Fault;
use ledger_domain::identity::normalised_email;

const CREATE: &str = "create_contact";
const UPDATE: &str = "update_contact";
const BY_EMAIL: &str = "contact_by_email";
const ALL: &str = "all_contacts";
const KNOWN: &str = "known_contact";
/// What lists every contact, hidden ones too, the latest first (FreeAgent API docs, contacts).
pub(super) const EVERY_CONTACT: [(&str, &str); 2] = [("view", "all"), ("sort", "-created_at")];
/// The entity.
pub(super) const CONTACT: Entity = Entity { root: "contact", collection: "contacts" };

pub(super) fn post(
    house: &House,
    contact: &Contact,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    let mut seen = Seen::new(seen);
    match start {
        Start::Fresh => {}
        Start::Linked(posted) => return Ok(Step::Done(posted.clone())),
        Start::Outdated(posted) => return update(house, contact, context, posted, &mut seen),
    }
    if house.contacts == Contacts::Unfiltered {
        match look(house, contact, context, &mut seen)? {
            Search::Found(posted) => return Ok(Step::Done(posted)),
            Search::Ask(label, call) => return Ok(Step::Read(label, call)),
            Search::Absent => {}
        }
    }
    let Some(answer) = seen.answer(CREATE)? else {
        return Ok(Step::Create(CREATE, house.create(CONTACT.collection, body::contact(house, contact)?)));
    };
    let fault = match reply::created(house, context, CONTACT, answer) {
        Created::Done(named) => return Ok(Step::Done(posted(named.url))),
        Created::Fault(fault, complaints) if house.contacts == Contacts::UniqueByEmail && is_duplicate(&complaints) => {
            fault
        }
        Created::Fault(fault, _) => return Err(fault),
    };
    match look(house, contact, context, &mut seen)? {
        Search::Found(posted) => Ok(Step::Done(posted)),
        Search::Ask(label, call) => Ok(Step::Read(label, call)),
        // It is taken by what the list does not show.
        Search::Absent => {
            Err(archived("The book has the e-mail address on a contact that it does not list.").with(fault.evidence))
        }
    }
}

/// Brings a contact of ours up to date with the shop's.
fn update(
    house: &House,
    contact: &Contact,
    context: &Context,
    posted: &Posted,
    seen: &mut Seen<'_>,
) -> Result<Step<Posted>, Fault> {
    let Some(path) = url::path_of(&context.base_url, house.root, CONTACT.collection, &posted.provider_id) else {
        // What is linked stays linked, also where the binding has moved.
        return Ok(Step::Done(posted.clone()));
    };
    let Some(answer) = seen.answer(UPDATE)? else {
        return Ok(Step::Change(UPDATE, Call::send(Method::Put, path, body::changed_contact(house, contact)?)));
    };
    if changed(answer) {
        return Ok(Step::Done(posted.clone()));
    }
    // It may be repeated, so that no answer is no doubt.
    let fault = reply::classify(house, answer, false);
    if answer.status == 404 && fault.code == Code::BookRefused {
        return Err(
            Fault::refused(Code::ContactUnknown, "The contact is not in the book any more.").with(fault.evidence)
        );
    }
    Err(fault)
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

pub(super) fn find(
    house: &House,
    contact: &Contact,
    context: &Context,
    seen: &[Labelled],
) -> Result<Step<Option<Posted>>, Fault> {
    Ok(look(house, contact, context, &mut Seen::new(seen))?.into())
}

/// Looks for the active contact with the equal e-mail address. Names are never compared.
fn look(house: &House, contact: &Contact, context: &Context, seen: &mut Seen<'_>) -> Result<Search<Posted>, Fault> {
    if let Some(known) = context.contacts.as_ref().filter(|_| house.contacts == Contacts::Unfiltered) {
        return look_at(house, contact, context, known, seen);
    }
    let by_email = [("email", contact.email.as_str())];
    let list = match house.contacts {
        Contacts::UniqueByEmail => List { entity: CONTACT, label: BY_EMAIL, filter: &by_email },
        Contacts::Unfiltered => List { entity: CONTACT, label: ALL, filter: &EVERY_CONTACT },
    };
    let mut hidden = false;
    let found = search(house, &list, seen, |entry, _| {
        if !has_email(entry, &contact.email) {
            return Ok(Search::Absent);
        }
        if !is_active(entry) {
            hidden = true;
            return Ok(Search::Absent);
        }
        let Some((url, _)) = entry.own_url(house, context, CONTACT) else {
            return Err(Fault::broken(Code::AnswerUnknown, "The book names a contact by a URL that is not its own."));
        };
        Ok(Search::Found(posted(url)))
    })?;
    match found {
        Search::Absent if hidden => Err(archived("The contact with this e-mail address is hidden in the book.")),
        it @ (Search::Found(_) | Search::Ask(..) | Search::Absent) => Ok(it),
    }
}

/// The same among those that the index names: each is asked for, because the index remembers addresses that a contact had.
fn look_at(
    house: &House,
    contact: &Contact,
    context: &Context,
    known: &[String],
    seen: &mut Seen<'_>,
) -> Result<Search<Posted>, Fault> {
    let mut hidden = false;
    for id in known {
        let Some(path) = url::path_of(&context.base_url, house.root, CONTACT.collection, id) else { continue };
        let Some(answer) = seen.answer(KNOWN)? else { return Ok(Search::Ask(KNOWN, Call::get(path))) };
        if answer.status == 404 {
            continue;
        }
        let entry = reply::one(house, CONTACT, answer)?;
        if !has_email(&entry, &contact.email) {
            continue;
        }
        if is_active(&entry) {
            return Ok(Search::Found(posted(id.clone())));
        }
        hidden = true;
    }
    if hidden {
        return Err(archived("The contact with this e-mail address is hidden in the book."));
    }
    Ok(Search::Absent)
}

fn has_email(entry: &Entry<'_>, email: &str) -> bool {
    entry.text("email").as_deref().and_then(normalised_email).as_deref() == Some(email)
}

/// Lists show active contacts unless asked for others; a house may not say so of each.
pub(super) fn is_active(entry: &Entry<'_>) -> bool {
    entry.text("status").is_none_or(|status| status.eq_ignore_ascii_case("active"))
}

fn archived(message: &str) -> Fault {
    Fault::refused(Code::ContactArchived, message)
}

fn posted(url: String) -> Posted {
    Posted { provider_id: url, reference: None, total: None }
}
