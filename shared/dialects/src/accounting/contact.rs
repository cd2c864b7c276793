//! Contacts: known by our code as contact number or by the e-mail address, never by name. The book wants names unique
//! among active contacts, so a namesake gets their code behind the name.

use super::reply::{CONTACTS, Element, Meaning, Wrote};
use super::{PAGE_SIZE, Replies, SUMMARIZE, Sought, body, change, create, id, page_of, read, reply, text};
use crate::{Context, Labelled, Start, Step};
use ledger_domain::code::Code;
use ledger_domain::document::{Contact, Posted};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::identity::normalised_email;

const CREATE: &str = "create_contact";
const UPDATE: &str = "update_contact";
const RENAME: &str = "update_contact_renamed";
const BY_CODE: &str = "contact_by_code";
const BY_EMAIL: &str = "contacts_by_email";
const BY_NAME: &str = "contacts_by_name";
const MERGED: &str = "contact_merged_into";
/// Codes that are tried before somebody has to look.
const VARIANTS: u8 = 3;
/// Creating calls of one attempt: the first and two corrected ones, as many as the executor allows.
const CREATES: u8 = 3;
/// Merges that are followed.
const MERGES: u8 = 3;

pub(super) fn post(
    contact: &Contact,
    context: &Context,
    start: &Start,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    match start {
        Start::Linked(posted) => return Ok(Step::Done(posted.clone())),
        Start::Outdated(posted) => return update(contact, posted, context, replies),
        Start::Fresh => {}
    }
    // The book does not keep addresses unique, so whoever is there already is looked for first.
    match by_email(contact, context, replies)? {
        Sought::Ask(label, call) => return Ok(Step::Read(label, call)),
        Sought::Known(Some(posted)) => return Ok(Step::Done(posted)),
        Sought::Known(None) => {}
    }
    // A name that is taken is a refusal, says one page; that a PUT changes whoever has it, says another (Xero API docs,
    // contacts). Nobody's name is sent as ours.
    let mut is_namesake = match is_somebodys_name(contact, context, replies)? {
        Sought::Ask(label, call) => return Ok(Step::Read(label, call)),
        Sought::Known(taken) => taken,
    };
    let mut variant = 0;
    let mut without_country = false;
    let mut last = None;
    for creates_before in 0..CREATES {
        let code = contact.code(variant);
        let Some(reply) = replies.next(CREATE)? else {
            let naming =
                body::Naming { code: Some(&code), mark: is_namesake.then_some(code.as_str()), without_country };
            let body = body::contact(contact, &naming)?;
            return Ok(Step::Create(CREATE, create(context, CONTACTS.path(), &[SUMMARIZE], body, creates_before)));
        };
        let meanings = match reply::wrote(CONTACTS, reply) {
            Wrote::Done(_, id) => return Ok(Step::Done(posted(id))),
            Wrote::Fault(_, meanings) if !without_country && meanings.contains(&Meaning::Country) => {
                without_country = true;
                continue;
            }
            Wrote::Fault(fault, meanings) => {
                let clashes = [Meaning::NameTaken, Meaning::ContactNumberTaken];
                if !meanings.iter().any(|meaning| clashes.contains(meaning)) {
                    return Err(fault);
                }
                last = Some(fault);
                meanings
            }
        };
        let free = match search(contact, context, replies)? {
            Sought::Ask(label, call) => return Ok(Step::Read(label, call)),
            Sought::Known(Search { found: Some(posted), .. }) => return Ok(Step::Done(posted)),
            Sought::Known(Search { found: None, free }) => free,
        };
        let name_taken = meanings.contains(&Meaning::NameTaken);
        // The code may be taken by what the search does not show, and so may the name with the code behind it.
        let next = if meanings.contains(&Meaning::ContactNumberTaken) || (name_taken && is_namesake) {
            variant.saturating_add(1)
        } else {
            variant
        };
        variant = free.max(next);
        is_namesake |= name_taken;
        if variant >= VARIANTS {
            break;
        }
    }
    let evidence = last.map(|fault| fault.evidence).unwrap_or_default();
    Err(Fault::refused(
        Code::ReferenceTaken,
        "The book has other contacts under every name and code that we would use.",
    )
    .with(evidence))
}

pub(super) fn created(answered: &Labelled) -> Option<Posted> {
    if answered.label != CREATE {
        return None;
    }
    match reply::wrote(CONTACTS, &answered.reply) {
        Wrote::Done(_, id) => Some(posted(id)),
        Wrote::Fault(..) => None,
    }
}

/// Brings a contact of ours up to date. Its code stays; its name is the shop's again unless a stranger has that.
fn update(
    contact: &Contact,
    posted: &Posted,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Step<Posted>, Fault> {
    let path = CONTACTS.path_of(&id(&posted.provider_id)?);
    let code = contact.code(0);
    let (mut is_namesake, mut without_country) = (false, false);
    for _ in 0..CREATES {
        let label = if is_namesake { RENAME } else { UPDATE };
        let Some(reply) = replies.next(label)? else {
            let naming = body::Naming { code: None, mark: is_namesake.then_some(code.as_str()), without_country };
            let body = body::contact(contact, &naming)?;
            return Ok(Step::Change(label, change(context, path, &[], body)));
        };
        match reply::wrote(CONTACTS, reply) {
            Wrote::Done(..) => return Ok(Step::Done(posted.clone())),
            Wrote::Fault(_, meanings) if !is_namesake && meanings.contains(&Meaning::NameTaken) => is_namesake = true,
            Wrote::Fault(_, meanings) if !without_country && meanings.contains(&Meaning::Country) => {
                without_country = true;
            }
            Wrote::Fault(fault, _) => return Err(reply::repeatable(fault)),
        }
    }
    Err(Fault::broken(Code::Unexpected, "A contact was renamed without an end."))
}

/// What the whole search has come to.
struct Search {
    found: Option<Posted>,
    /// The first of our codes that no stranger has.
    free: u8,
}

/// Looks for the contact, by code and by e-mail address.
pub(super) fn find(
    contact: &Contact,
    context: &Context,
    replies: &mut Replies<'_>,
) -> Result<Sought<Option<Posted>>, Fault> {
    Ok(match search(contact, context, replies)? {
        Sought::Ask(label, call) => Sought::Ask(label, call),
        Sought::Known(search) => Sought::Known(search.found),
    })
}

fn search(contact: &Contact, context: &Context, replies: &mut Replies<'_>) -> Result<Sought<Search>, Fault> {
    let mut free = 0;
    for variant in 0..VARIANTS {
        let code = contact.code(variant);
        let Some(reply) = replies.next(BY_CODE)? else {
            return Ok(Sought::Ask(BY_CODE, read(context, CONTACTS.path_of(&code), &[])));
        };
        let known = reply::one(CONTACTS, reply)?.filter(|element| element.says("ContactNumber", &code));
        let Some(element) = known else { break };
        if is_stranger(contact, variant, &element) {
            free = variant.saturating_add(1);
            continue;
        }
        return Ok(match alive(element, context, replies)? {
            Sought::Ask(label, call) => Sought::Ask(label, call),
            Sought::Known(posted) => Sought::Known(Search { found: Some(posted), free }),
        });
    }
    Ok(match by_email(contact, context, replies)? {
        Sought::Ask(label, call) => Sought::Ask(label, call),
        Sought::Known(found) => Sought::Known(Search { found, free }),
    })
}

/// True where a contact with our code is somebody else: it has another address. A code that the settings name is
/// whoever has it.
fn is_stranger(contact: &Contact, variant: u8, element: &Element<'_>) -> bool {
    if contact.reference.is_some() && variant == 0 {
        return false;
    }
    element.text("EmailAddress").is_some_and(|email| normalised_email(&email).as_deref() != Some(&contact.email))
}

/// The contact, or the one that the bookkeeper has merged it into.
fn alive(element: Element<'_>, context: &Context, replies: &mut Replies<'_>) -> Result<Sought<Posted>, Fault> {
    let mut element = element;
    for _ in 0..=MERGES {
        if is_active(&element) {
            return named(&element).map(Sought::Known);
        }
        let Some(into) = element.guid("MergedToContactID") else { break };
        let Some(reply) = replies.next(MERGED)? else {
            return Ok(Sought::Ask(MERGED, read(context, CONTACTS.path_of(&into), &[])));
        };
        match reply::one(CONTACTS, reply)? {
            Some(next) => element = next,
            None => break,
        }
    }
    Err(archived())
}

/// Looks for the active contact with the equal address. Names are never compared.
fn by_email(contact: &Contact, context: &Context, replies: &mut Replies<'_>) -> Result<Sought<Option<Posted>>, Fault> {
    // An address that the book doesn't take is on none of its contacts.
    if text::plain_email(&contact.email, usize::MAX).is_none() {
        return Ok(Sought::Known(None));
    }
    let mut page = 0;
    let mut hidden = false;
    loop {
        let Some(reply) = replies.next(BY_EMAIL)? else {
            let filter = format!("EmailAddress=={}", text::quoted(&contact.email));
            let mut call = page_of(context, &CONTACTS.path(), &filter, page);
            call.query.push(("includeArchived".to_owned(), "true".to_owned()));
            return Ok(Sought::Ask(BY_EMAIL, call));
        };
        let list = reply::list(CONTACTS.list, reply)?;
        for element in &list.elements {
            if element.text("EmailAddress").and_then(|email| normalised_email(&email)).as_deref()
                != Some(&contact.email)
            {
                continue;
            }
            if is_active(element) {
                return named(element).map(|posted| Sought::Known(Some(posted)));
            }
            hidden = true;
        }
        match list.next_page(page)? {
            Some(next) => page = next,
            None if hidden => return Err(archived()),
            None => return Ok(Sought::Known(None)),
        }
    }
}

/// True where a contact has the name already, or where that can't be found out: a name that is marked without need does
/// no harm.
fn is_somebodys_name(contact: &Contact, context: &Context, replies: &mut Replies<'_>) -> Result<Sought<bool>, Fault> {
    let name = body::name(contact, None)?;
    let same = |element: &Element<'_>| {
        element.text("Name").is_some_and(|theirs| theirs.trim().to_lowercase() == name.to_lowercase())
    };
    let mut page = 0;
    loop {
        let Some(reply) = replies.next(BY_NAME)? else {
            let query = [
                ("searchTerm", name.clone()),
                ("page", usize::saturating_add(page, 1).to_string()),
                ("pageSize", PAGE_SIZE.to_string()),
            ];
            return Ok(Sought::Ask(BY_NAME, read(context, CONTACTS.path(), &query)));
        };
        let list = match reply::list(CONTACTS.list, reply) {
            Ok(list) => list,
            Err(fault) if fault.action == Action::Refused => return Ok(Sought::Known(true)),
            Err(fault) => return Err(fault),
        };
        if list.elements.iter().any(same) {
            return Ok(Sought::Known(true));
        }
        match list.next_page(page) {
            Ok(Some(next)) => page = next,
            Ok(None) => return Ok(Sought::Known(false)),
            Err(_) => return Ok(Sought::Known(true)),
        }
    }
}

fn is_active(element: &Element<'_>) -> bool {
    element.text("ContactStatus").is_none_or(|status| status.eq_ignore_ascii_case("ACTIVE"))
}

fn named(element: &Element<'_>) -> Result<Posted, Fault> {
    let id = element.guid(CONTACTS.id);
    id.map(posted).ok_or_else(|| Fault::broken(Code::AnswerUnknown, "The book names a contact by what is no id."))
}

fn archived() -> Fault {
    Fault::refused(Code::ContactArchived, "The contact is archived in the book.")
}

fn posted(provider_id: String) -> Posted {
    Posted { provider_id, reference: None, total: None }
}
