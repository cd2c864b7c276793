//! Contacts: they need a name, and in one of the houses an e-mail address of their own.

use serde_json::{Map, Value};

use super::{CONTACT_FIELDS, Mistakes, lengths, refuse_unknown, text};
use crate::book::spec::House;
use crate::book::store::{Contact, Store, normalised};

const CHARGES: [&str; 3] = ["Auto", "Always", "Never"];

/// A contact, new or changed; `known` is the one that changes.
pub(crate) fn contact(
    store: &Store,
    fields: &Map<String, Value>,
    known: Option<&Contact>,
) -> Result<Contact, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "contact", fields, &mut mistakes);
    let mut kept = known.map(|contact| contact.fields.clone()).unwrap_or_default();
    kept.extend(
        fields
            .iter()
            .filter(|(key, _)| CONTACT_FIELDS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    let status = kept.remove("status");
    lengths(store, &kept, &mut mistakes);
    let named = !text(&kept, "first_name").is_empty() && !text(&kept, "last_name").is_empty();
    if !named && text(&kept, "organisation_name").is_empty() {
        mistakes.add("organisation_name", "can't be blank if either first name or last name are blank");
    }
    email(store, &kept, known, &mut mistakes);
    let charge = text(&kept, "charge_sales_tax");
    if !charge.is_empty() && !CHARGES.contains(&charge) {
        mistakes.add("charge_sales_tax", "is not included in the list");
    }
    let hidden = match status.as_ref().and_then(Value::as_str) {
        None => known.is_some_and(|contact| contact.hidden),
        Some("Active") => false,
        Some("Hidden") => true,
        Some(_) => {
            mistakes.add("status", "is not included in the list");
            false
        }
    };
    let now = store.now();
    mistakes.or(Contact {
        id: known.map_or(0, |contact| contact.id),
        email: normalised(text(&kept, "email")),
        fields: kept,
        hidden,
        created_at: known.map_or(now, |contact| contact.created_at),
        updated_at: now,
    })
}

fn email(store: &Store, fields: &Map<String, Value>, known: Option<&Contact>, mistakes: &mut Mistakes) {
    let email = normalised(text(fields, "email"));
    if email.is_empty() {
        return;
    }
    let looks_right = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !email.contains(char::is_whitespace)
    });
    let taken = |other: &&Contact| {
        Some(other.id) != known.map(|contact| contact.id)
            && other.email == email
            && (!other.hidden || store.switches.hidden_contacts_keep_email)
    };
    if !looks_right {
        mistakes.add("email", "is invalid");
    } else if store.house() == House::V2 && store.contacts.values().any(|other| taken(&other)) {
        mistakes.add("email", "has already been taken");
    }
}
