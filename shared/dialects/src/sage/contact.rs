//! Contacts: known by our code, one for each person and currency, and by e-mail address; never by name.
//!
//! A code stays taken when its contact is deleted (Sage Accounting API reference, contacts), so one that is taken by
//! what is not ours is followed by the next variant of it.

use super::body::{self, ContactForm, contact_code};
use super::reply::{self, Created, Record};
use super::{CREATES_MAX, Search, create, get, list, out_of_order, path_of, writing_search};
use crate::{Context, Labelled, Method, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Contact, Posted};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::identity::normalised_email;

const CREATE: &str = "create_contact";
const UPDATE: &str = "update_contact";
const BY_CODE: &str = "contact_by_code";
const BY_EMAIL: &str = "contact_by_email";
const READ: &str = "read_contact";
const COLLECTION: &str = "contacts";
const ROOT: &str = "contact";
/// What a list has to show of each contact, beside its id.
const ATTRIBUTES: &str = "reference,email,currency,main_contact_person,is_active,gdpr_obfuscated,system,deleted_at";

pub(super) fn post(
    contact: &Contact,
    context: &Context,
    start: &Start,
    seen: &[Labelled],
) -> Result<Step<Posted>, Fault> {
    match start {
        Start::Linked(posted) => return Ok(Step::Done(posted.clone())),
        Start::Outdated(posted) => return update(contact, context, posted, seen),
        Start::Fresh => {}
    }
    let mut search = Search::new(seen);
    let mut form = ContactForm::default();
    let mut searched = false;
    for _ in 0..CREATES_MAX {
        let Some(answered) = search.seen.next() else {
            return Ok(Step::Create(CREATE, create(context, COLLECTION, body::contact(contact, context, form)?)));
        };
        if answered.label != CREATE {
            return Err(out_of_order(answered));
        }
        let (fault, complaints) = match reply::created(context, ROOT, &answered.reply) {
            Created::Done(id, _) => return Ok(Step::Done(posted(id))),
            Created::Fault(fault, complaints) => (fault, complaints),
        };
        let is_taken = complaints.iter().any(|complaint| complaint.says_taken("reference"));
        let wants_types = |field: &str| complaints.iter().any(|complaint| complaint.is_about(field));
        if fault.action == Action::Refused && is_taken {
            if !searched {
                match looked_for(contact, context, &mut search)? {
                    Step::Done(Some(posted)) => return Ok(Step::Done(posted)),
                    Step::Done(None) => searched = true,
                    Step::Read(label, call) => return Ok(Step::Read(label, call)),
                    Step::Create(..) | Step::Change(..) => return Err(writing_search()),
                }
            }
            form.variant = form.variant.saturating_add(1);
        } else if fault.action == Action::Refused
            && !form.typed
            && (wants_types("contact_person_type") || wants_types("address_type"))
        {
            form.typed = true;
        } else {
            return Err(fault);
        }
    }
    Err(Fault::refused(Code::ReferenceTaken, "The book refuses the contact under each of our codes for it."))
}

/// The shop's version is newer: one change, which may be repeated.
fn update(contact: &Contact, context: &Context, posted: &Posted, seen: &[Labelled]) -> Result<Step<Posted>, Fault> {
    let Some(answered) = seen.first() else {
        let path = path_of(COLLECTION, &posted.provider_id)?;
        let body = body::contact_update(contact, false)?;
        return Ok(Step::Change(UPDATE, super::call(context, Method::Put, &path, &[], Some(body))));
    };
    if answered.label != UPDATE {
        return Err(out_of_order(answered));
    }
    match reply::changed(context, &answered.reply) {
        Ok(()) => Ok(Step::Done(posted.clone())),
        // What is not there is the contact itself.
        Err((fault, _)) if answered.reply.status == 404 && fault.action == Action::Refused => {
            Err(Fault::refused(Code::ContactUnknown, "The contact is not in the book any more.").with(fault.evidence))
        }
        Err((fault, _)) => Err(fault),
    }
}

pub(super) fn created(context: &Context, answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::created(context, ROOT, &answered.reply) {
        Created::Done(id, _) => Some(posted(id)),
        Created::Fault(..) => None,
    }
}

pub(super) fn find(contact: &Contact, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
    looked_for(contact, context, &mut Search::new(seen))
}

/// What a contact of the book is to us.
enum Match {
    /// Ours.
    Ours(String),
    /// Ours, but nothing can be booked on it.
    Gone,
    /// Has our code, and is somebody else.
    Stranger,
    /// Nothing.
    Other,
    /// The list does not say enough.
    Unclear(String),
}

/// Looks under each variant of our code while strangers have the one before it, then under the e-mail address.
fn looked_for(contact: &Contact, context: &Context, search: &mut Search<'_>) -> Result<Step<Option<Posted>>, Fault> {
    let mut gone = false;
    for variant in 0..u8::try_from(CREATES_MAX).unwrap_or(1) {
        let code = contact_code(contact, variant);
        match run_through(contact, context, search, BY_CODE, ("search", &code), &code)? {
            Round::Ask(label, call) => return Ok(Step::Read(label, call)),
            Round::Ours(id) => return Ok(Step::Done(Some(posted(id)))),
            Round::Nothing { was_gone, was_strange } => {
                gone |= was_gone;
                if !was_strange {
                    break;
                }
            }
        }
    }
    if let Some(email) = body::email(contact) {
        match run_through(contact, context, search, BY_EMAIL, ("email", email), "")? {
            Round::Ask(label, call) => return Ok(Step::Read(label, call)),
            Round::Ours(id) => return Ok(Step::Done(Some(posted(id)))),
            Round::Nothing { was_gone, .. } => gone |= was_gone,
        }
    }
    if gone {
        return Err(Fault::refused(Code::ContactArchived, "The contact is inactive, deleted or made anonymous in the book."));
    }
    Ok(Step::Done(None))
}

/// What came of one question and its pages.
enum Round {
    Ask(&'static str, crate::Call),
    Ours(String),
    Nothing { was_gone: bool, was_strange: bool },
}

fn run_through(
    contact: &Contact,
    context: &Context,
    search: &mut Search<'_>,
    label: &'static str,
    by: (&str, &str),
    code: &str,
) -> Result<Round, Fault> {
    let (mut was_gone, mut was_strange) = (false, false);
    let mut page = 1_usize;
    loop {
        let Some(reply) = search.answer(label)? else {
            let filter =
                [by, ("filter_inactive_contacts", "false"), ("attributes", ATTRIBUTES), ("nested_attributes", "email")];
            return Ok(Round::Ask(label, list(context, COLLECTION, &filter, page)));
        };
        let listed = reply::listed(context, reply)?;
        for record in &listed.items {
            let mut matched = compare(contact, code, record);
            if let Match::Unclear(id) = matched {
                let Some(reply) = search.answer(READ)? else {
                    let call = get(context, &path_of(COLLECTION, &id)?, &[("nested_attributes", "all")]);
                    return Ok(Round::Ask(READ, call));
                };
                matched = compare(contact, code, &reply::one(context, ROOT, reply)?);
            }
            match matched {
                Match::Ours(id) => return Ok(Round::Ours(id)),
                Match::Gone => was_gone = true,
                Match::Stranger => was_strange = true,
                Match::Other | Match::Unclear(_) => {}
            }
        }
        if !listed.more {
            return Ok(Round::Nothing { was_gone, was_strange });
        }
        page = page.saturating_add(1);
    }
}

/// By code and address, or, with an empty `code`, by address alone; the currency has to be the same, where the book
/// shows one (the smallest edition has one currency only). Filters of the book are not relied upon.
fn compare(contact: &Contact, code: &str, record: &Record<'_>) -> Match {
    let Some(id) = record.id() else { return Match::Other };
    if !code.is_empty() {
        match record.text("reference") {
            Some(reference) if reference.trim() == code => {}
            None if !record.has("reference") => return Match::Unclear(id),
            Some(_) | None => return Match::Other,
        }
    }
    let person = record.record("main_contact_person");
    let shown = record.text("email").filter(|email| !email.trim().is_empty());
    let shown = shown.or_else(|| person.as_ref().and_then(|person| person.text("email")));
    let says_email = record.has("email") || person.as_ref().is_some_and(|person| person.has("email"));
    if let Some(wanted) = body::email(contact) {
        match shown.as_deref().and_then(normalised_email) {
            Some(email) if email == wanted => {}
            None if !says_email => return Match::Unclear(id),
            Some(_) | None => return if code.is_empty() { Match::Other } else { Match::Stranger },
        }
    }
    if let Some(wanted) = &contact.currency {
        match record.reference("currency") {
            Some(currency) if currency == wanted.as_str() => {}
            None if record.has("currency") => {}
            None => return Match::Unclear(id),
            Some(_) => return if code.is_empty() { Match::Other } else { Match::Stranger },
        }
    }
    let is_gone = record.flag("is_active") == Some(false)
        || record.flag("gdpr_obfuscated") == Some(true)
        || record.is_set("deleted_at");
    if record.flag("system") == Some(true) {
        Match::Stranger
    } else if is_gone {
        Match::Gone
    } else {
        Match::Ours(id)
    }
}

fn posted(id: String) -> Posted {
    Posted { provider_id: id, reference: None, total: None }
}
