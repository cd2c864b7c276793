//! Reference data: the company, categories, bank accounts, and contacts where they cannot be asked for by address.

use super::contact::{CONTACT, EVERY_CONTACT, is_active};
use super::reply::{Entity, Entry};
use super::{House, reply};
use crate::{Call, Context, Reply};
use jiff::Timestamp;
use ledger_domain::amount::{Currency, parse_places};
use ledger_domain::fault::Fault;
use ledger_domain::identity::normalised_email;
use ledger_domain::reference::{self, Page, Reference};

const COMPANY: Entity = Entity { root: "company", collection: "company" };
const BANK_ACCOUNT: Entity = Entity { root: "bank_account", collection: "bank_accounts" };
/// Behind the name of a group of categories (FreeAgent API docs, categories).
const CATEGORIES_SUFFIX: &str = "_categories";
/// The group of categories that sales are booked to (FreeAgent API docs, categories).
pub(super) const INCOME: &str = "income";
/// Decimal places of a tax rate in percent.
const RATE_PLACES: u32 = 4;
/// Longest cursor that counts.
const CURSOR_LENGTH_MAX: usize = 60;

/// The question for a page. A cursor is the number of a page, from 1, and behind an `@` the moment since which entries
/// have changed, where only those are asked for: `3`, `1@2026-11-20T09:30:00Z`.
pub(super) fn page(house: &House, of: Reference, cursor: Option<&str>) -> Option<Call> {
    if !house.profile.references.contains(&of) {
        return None;
    }
    let (page, since) = cursor.and_then(read_cursor).unwrap_or((1, None));
    let since = since.as_deref().map(|since| ("updated_since", since));
    let at = page.saturating_sub(1);
    let whole = |path: &str| Call::get(format!("{}/{path}", house.root));
    match of {
        Reference::Organisation | Reference::TaxRates => Some(whole(COMPANY.collection)),
        Reference::Accounts => Some(whole("categories")),
        Reference::BankAccounts => Some(house.page(BANK_ACCOUNT.collection, &[], at)),
        Reference::Contacts => {
            let filter: Vec<(&str, &str)> = EVERY_CONTACT.into_iter().chain(since).collect();
            Some(house.page(CONTACT.collection, &filter, at))
        }
        Reference::Currencies => None,
    }
}

/// The cursor of what has changed since a moment (FreeAgent API docs, contacts: `updated_since`).
pub(super) fn since(of: Reference, moment: Timestamp) -> Option<String> {
    let seconds = Timestamp::from_second(moment.as_second()).ok()?;
    (of == Reference::Contacts).then(|| format!("1@{seconds}"))
}

pub(super) fn read_page(house: &House, of: Reference, context: &Context, reply: &Reply) -> Result<Page, Fault> {
    let entries = match of {
        Reference::Organisation => vec![organisation(&reply::one(house, COMPANY, reply)?)],
        Reference::TaxRates => tax_rates(&reply::one(house, COMPANY, reply)?),
        Reference::Accounts => {
            let groups = reply::lists(house, CATEGORIES_SUFFIX, reply)?;
            let of_group = |(group, entries): &(String, Vec<Entry<'_>>)| {
                entries.iter().filter_map(|entry| category(group, entry)).collect::<Vec<_>>()
            };
            groups.iter().flat_map(of_group).collect()
        }
        Reference::BankAccounts => reply::list(house, BANK_ACCOUNT, reply)?.iter().filter_map(bank_account).collect(),
        Reference::Contacts => {
            reply::list(house, CONTACT, reply)?.iter().filter_map(|entry| contact(house, context, entry)).collect()
        }
        Reference::Currencies => return Err(reply::classify(house, reply, false)),
    };
    let next = match of {
        Reference::BankAccounts | Reference::Contacts => next(reply),
        Reference::Organisation | Reference::TaxRates | Reference::Accounts | Reference::Currencies => None,
    };
    Ok(Page { entries, next })
}

/// The company. Its type begins with the country where it is bound to one (FreeAgent API docs, company).
fn organisation(entry: &Entry<'_>) -> reference::Entry {
    let country = country(entry);
    let registered = entry.text("sales_tax_registration_status");
    reference::Entry {
        id: entry.id("id").or_else(|| entry.text("url")).unwrap_or_default(),
        name: entry.text("name").unwrap_or_default(),
        active: true,
        currency: entry.text("currency").and_then(|code| Currency::parse(&code).ok()),
        country,
        sales_tax_registered: registered.map(|status| status.eq_ignore_ascii_case("registered")),
        web_name: entry.text("subdomain"),
        ..reference::Entry::default()
    }
}

fn country(entry: &Entry<'_>) -> Option<String> {
    let kind = entry.text("type")?;
    [("Uk", "GB"), ("Us", "US")]
        .into_iter()
        .find(|(begins, _)| kind.starts_with(begins))
        .map(|(_, code)| code.to_owned())
}

/// The rates that the company has today: documents name the rate itself.
fn tax_rates(company: &Entry<'_>) -> Vec<reference::Entry> {
    let rates = company.texts("sales_tax_rates").unwrap_or_default();
    let entry = |text: String| {
        let rate = parse_places(&text, RATE_PLACES).ok()?.normalize();
        Some(reference::Entry {
            id: rate.to_string(),
            name: format!("{rate} %"),
            active: true,
            rate: Some(rate),
            country: country(company),
            ..reference::Entry::default()
        })
    };
    rates.into_iter().filter_map(entry).collect()
}

fn category(group: &str, entry: &Entry<'_>) -> Option<reference::Entry> {
    Some(reference::Entry {
        id: entry.text("url")?,
        name: entry.text("description").unwrap_or_default(),
        active: true,
        group: Some(group.to_owned()),
        ..reference::Entry::default()
    })
}

fn bank_account(entry: &Entry<'_>) -> Option<reference::Entry> {
    Some(reference::Entry {
        id: entry.text("url")?,
        name: entry.text("name").unwrap_or_default(),
        active: is_active(entry),
        currency: entry.text("currency").and_then(|code| Currency::parse(&code).ok()),
        group: entry.text("type"),
        ..reference::Entry::default()
    })
}

/// A contact, named by what it is known by and by nothing else of the person.
fn contact(house: &House, context: &Context, entry: &Entry<'_>) -> Option<reference::Entry> {
    Some(reference::Entry {
        id: entry.own_url(house, context, CONTACT)?.0,
        active: is_active(entry),
        email: Some(normalised_email(&entry.text("email")?)?),
        ..reference::Entry::default()
    })
}

fn read_cursor(cursor: &str) -> Option<(usize, Option<String>)> {
    if cursor.len() > CURSOR_LENGTH_MAX {
        return None;
    }
    let (page, since) = cursor.split_once('@').map_or((cursor, None), |(page, since)| (page, Some(since.to_owned())));
    Some((page.parse().ok()?, since))
}

/// The cursor of the page that the `Link` header calls the next (FreeAgent API docs, introduction: pagination).
fn next(reply: &Reply) -> Option<String> {
    let links = reply.header("link")?;
    let next = links.split(',').find(|link| link.replace('"', "").contains("rel=next"))?;
    let (_, url) = next.split_once('<')?;
    let (url, _) = url.split_once('>')?;
    let (_, query) = url.split_once('?')?;
    let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let page: usize = of("page")?.parse().ok()?;
    let since = of("updated_since").map(|since| since.replace("%3A", ":").replace("%3a", ":"));
    let cursor = since.map_or_else(|| page.to_string(), |since| format!("{page}@{since}"));
    (page > 1 && cursor.len() <= CURSOR_LENGTH_MAX).then_some(cursor)
}
