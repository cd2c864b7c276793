//! Contacts: known by our code, one for each person and currency, and by e-mail address; never by name.
//!
//! A code stays taken when its contact is deleted (Sage Accounting API reference, contacts), so one that is taken by
//! what is not ours is followed by the next variant of it.

use super::body::{self, BOOKKEEPING, ContactForm, PlaceTypes, contact_code};
use super::reply::{self, Complaint, Created, Record};
use super::{CREATES_MAX, Search, create, get, list, out_of_order, path_of};
use crate::{Call, Context, Labelled, Method, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Contact, Posted};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::identity::normalised_email;

const CREATE: &str = "create_contact";
const UPDATE: &str = "update_contact";
const BY_CODE: &str = "contact_by_code";
const BY_EMAIL: &str = "contact_by_email";
const READ: &str = "read_contact";
const ADDRESS_TYPES: &str = "address_types";
const PERSON_TYPES: &str = "contact_person_types";
const COLLECTION: &str = "contacts";
const ROOT: &str = "contact";
/// The type of a contact that buys (Sage Accounting API reference, contact types).
const CUSTOMER: &str = "CUSTOMER";
/// What a list has to show of each contact, beside its id.
const ATTRIBUTES: &str =
    "reference,email,currency,contact_types,main_contact_person,is_active,gdpr_obfuscated,system,deleted_at";

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
    // Addresses are not unique in the book: whom the bookkeeper has made is found first, not made twice.
    let mut form = match looked_for(contact, context, &mut search)? {
        Found::Ask(label, call) => return Ok(Step::Read(label, call)),
        Found::Ours(id) => return Ok(Step::Done(posted(id))),
        Found::Nobody { strangers } => ContactForm { variant: strangers, types: PlaceTypes::Absent },
    };
    for _ in 0..CREATES_MAX {
        let Some(answered) = search.seen.next() else {
            return Ok(Step::Create(CREATE, create(context, COLLECTION, body::contact(contact, context, &form)?)));
        };
        if answered.label != CREATE {
            return Err(out_of_order(answered));
        }
        let (fault, complaints) = match reply::created(context, ROOT, &answered.reply) {
            Created::Done(id, _) => return Ok(Step::Done(posted(id))),
            Created::Fault(fault, complaints) => (fault, complaints),
        };
        if complaints.iter().any(|complaint| complaint.says_taken("reference")) {
            form.variant = form.variant.saturating_add(1);
        } else if complaints.iter().any(wants_types) {
            match typed(&form.types, context, &mut search)? {
                Typed::Ask(label, call) => return Ok(Step::Read(label, call)),
                Typed::Done(types) => form.types = types,
                Typed::NoMore => return Err(fault),
            }
        } else {
            return Err(fault);
        }
    }
    Err(Fault::refused(Code::ReferenceTaken, "The book refuses the contact under each of our codes for it."))
}

/// The shop's version is newer: a change, which may be repeated; with the types where the book asks for them.
fn update(contact: &Contact, context: &Context, posted: &Posted, seen: &[Labelled]) -> Result<Step<Posted>, Fault> {
    let mut search = Search::new(seen);
    let mut types = PlaceTypes::Absent;
    for _ in 0..CREATES_MAX {
        let Some(answered) = search.seen.next() else {
            let path = path_of(COLLECTION, &posted.provider_id)?;
            let body = body::contact_update(contact, &types)?;
            return Ok(Step::Change(UPDATE, super::call(context, Method::Put, &path, &[], Some(body))));
        };
        if answered.label != UPDATE {
            return Err(out_of_order(answered));
        }
        let (fault, complaints) = match reply::changed(context, &answered.reply) {
            Ok(()) => return Ok(Step::Done(posted.clone())),
            Err(it) => it,
        };
        if complaints.iter().any(wants_types) {
            match typed(&types, context, &mut search)? {
                Typed::Ask(label, call) => return Ok(Step::Read(label, call)),
                Typed::Done(next) => {
                    types = next;
                    continue;
                }
                Typed::NoMore => return Err(fault),
            }
        }
        // What is not there is the contact itself.
        if answered.reply.status == 404 && fault.action == Action::Refused {
            let gone = Fault::refused(Code::ContactUnknown, "The contact is not in the book any more.");
            return Err(gone.with(fault.evidence));
        }
        return Err(fault);
    }
    Err(Fault::broken(Code::Unexpected, "A fourth way of writing a contact."))
}

/// What to do about a complaint on the types of address and person.
enum Typed {
    Ask(&'static str, Call),
    Done(PlaceTypes),
    NoMore,
}

/// The next way of naming the types: by the word, then by what the business's lists have.
fn typed(types: &PlaceTypes, context: &Context, search: &mut Search<'_>) -> Result<Typed, Fault> {
    match types {
        PlaceTypes::Absent => return Ok(Typed::Done(PlaceTypes::Word)),
        PlaceTypes::Word => {}
        PlaceTypes::Listed { .. } => return Ok(Typed::NoMore),
    }
    let mut listed: [Option<String>; 2] = [None, None];
    for (label, id) in [ADDRESS_TYPES, PERSON_TYPES].into_iter().zip(&mut listed) {
        let Some(reply) = search.answer(label)? else { return Ok(Typed::Ask(label, list(context, label, &[], 1))) };
        let types = reply::listed(context, reply)?;
        let is_bookkeeping = |record: &&Record<'_>| {
            let says = |field: &str| record.text(field).is_some_and(|it| it.trim().eq_ignore_ascii_case(BOOKKEEPING));
            says("id") || says("displayed_as")
        };
        *id = types.items.iter().find(is_bookkeeping).or(types.items.first()).and_then(Record::type_id);
    }
    Ok(match listed {
        [Some(address), Some(person)] => Typed::Done(PlaceTypes::Listed { address, person }),
        _ => Typed::NoMore,
    })
}

/// Address and person are of a type each, whose ids are not documented: they are named where the book asks for them.
fn wants_types(complaint: &Complaint) -> bool {
    complaint.is_about("contact_person_type") || complaint.is_about("address_type")
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
    Ok(match looked_for(contact, context, &mut Search::new(seen))? {
        Found::Ask(label, call) => Step::Read(label, call),
        Found::Ours(id) => Step::Done(Some(posted(id))),
        Found::Nobody { .. } => Step::Done(None),
    })
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

/// What a search came to.
enum Found {
    /// There is more to ask.
    Ask(&'static str, Call),
    /// Ours, by its id.
    Ours(String),
    /// Nobody, though so many strangers have a variant of our code.
    Nobody { strangers: u8 },
}

/// Looks under each variant of our code while strangers have the one before it, then under the e-mail address.
fn looked_for(contact: &Contact, context: &Context, search: &mut Search<'_>) -> Result<Found, Fault> {
    let mut gone = false;
    let mut strangers = 0_u8;
    while usize::from(strangers) < CREATES_MAX {
        let code = contact_code(contact, strangers);
        match run_through(contact, context, search, BY_CODE, ("search", &code), &code)? {
            Round::Ask(label, call) => return Ok(Found::Ask(label, call)),
            Round::Ours(id) => return Ok(Found::Ours(id)),
            Round::Nothing { was_gone, was_strange } => {
                gone |= was_gone;
                if !was_strange {
                    break;
                }
                strangers = strangers.saturating_add(1);
            }
        }
    }
    if let Some(email) = body::email(contact) {
        match run_through(contact, context, search, BY_EMAIL, ("email", email), "")? {
            Round::Ask(label, call) => return Ok(Found::Ask(label, call)),
            Round::Ours(id) => return Ok(Found::Ours(id)),
            Round::Nothing { was_gone, .. } => gone |= was_gone,
        }
    }
    if gone {
        return Err(Fault::refused(
            Code::ContactArchived,
            "The contact is inactive, deleted or made anonymous in the book.",
        ));
    }
    Ok(Found::Nobody { strangers })
}

/// What came of one question and its pages.
enum Round {
    Ask(&'static str, Call),
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
    // A reference that the settings name is enough: whoever wrote it there meant that contact.
    let is_named = contact.reference.is_some() && !code.is_empty() && code == contact_code(contact, 0);
    if let Some(wanted) = body::email(contact).filter(|_| !is_named) {
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
    // A supplier of the same address is no customer.
    let is_customer = record
        .records("contact_types")
        .is_none_or(|types| types.is_empty() || types.iter().any(|kind| kind.text("id").as_deref() == Some(CUSTOMER)));
    if record.flag("system") == Some(true) || !is_customer {
        if code.is_empty() { Match::Other } else { Match::Stranger }
    } else if is_gone {
        Match::Gone
    } else {
        Match::Ours(id)
    }
}

fn posted(id: String) -> Posted {
    Posted { provider_id: id, reference: None, total: None }
}
