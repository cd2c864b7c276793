//! Reference data: what settings may name.

use super::reply::{self, Record};
use super::{get, list};
use crate::{Call, Context, Reply};
use ledger_domain::amount::Currency;
use ledger_domain::fault::Fault;
use ledger_domain::reference::{Entry, Page, Reference};

/// Countries of the editions, by the currency that a business there keeps its books in (Sage Accounting API guides,
/// regions).
const COUNTRIES: [(&str, &str); 3] = [("GBP", "GB"), ("EUR", "IE"), ("CAD", "CA")];

/// The question for a page. Before a business is chosen, the organisations are those that the grant reaches.
pub(super) fn page(of: Reference, context: &Context, cursor: Option<&str>) -> Option<Call> {
    let number: usize = cursor.map_or(Some(1), |cursor| cursor.parse().ok())?;
    let (collection, filter): (&str, &[(&str, &str)]) = match of {
        Reference::Organisation if context.organisation.is_empty() => ("businesses", &[]),
        Reference::Organisation => return Some(get(context, "financial_settings", &[])),
        Reference::Accounts => (
            "ledger_accounts",
            &[("visible_in", "sales"), ("attributes", "name,nominal_code,ledger_account_type,visible_in_sales")],
        ),
        Reference::TaxRates => (
            "tax_rates",
            &[
                ("usage", "sales"),
                ("include_destination_vat_rates", "true"),
                ("attributes", "name,percentage,is_visible"),
            ],
        ),
        Reference::BankAccounts => ("bank_accounts", &[("attributes", "currency,is_active,nominal_code")]),
        Reference::Currencies => ("currencies", &[]),
        Reference::Contacts => return None,
    };
    Some(list(context, collection, filter, number))
}

/// Reads a page.
///
/// # Errors
/// What the reply means where it is none.
pub(super) fn read_page(of: Reference, context: &Context, reply: &Reply) -> Result<Page, Fault> {
    if of == Reference::Organisation && !context.organisation.is_empty() {
        let record = reply::one(context, "financial_settings", reply)?;
        if !record.has("base_currency") {
            return Err(reply::classify(reply, false));
        }
        return Ok(Page { entries: vec![organisation(context, &record)], next: None });
    }
    let listed = reply::listed(context, reply)?;
    let entries = listed.items.iter().filter_map(|record| entry(of, record)).collect();
    let next = if listed.more { Some(next_page(reply).ok_or_else(|| reply::classify(reply, false))?) } else { None };
    Ok(Page { entries, next })
}

/// The number of the page after this one, which a list that goes on has to tell.
fn next_page(reply: &Reply) -> Option<String> {
    let root: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    let number = |value: &serde_json::Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let named = root.get("$next").and_then(serde_json::Value::as_str).and_then(|next| {
        let (_, query) = next.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix("page=")?.parse::<u64>().ok())
    });
    let this = root.get("$page").and_then(number);
    named.or_else(|| this?.checked_add(1)).map(|page| page.to_string())
}

/// The business by its financial settings: they have no name, and their country shows in their currency only.
fn organisation(context: &Context, record: &Record<'_>) -> Entry {
    let currency = record.reference("base_currency").and_then(|code| Currency::parse(&code).ok());
    let country = currency.as_ref().and_then(|currency| {
        COUNTRIES.iter().find(|(code, _)| *code == currency.as_str()).map(|(_, country)| (*country).to_owned())
    });
    let locked_until = record.text("year_end_lockdown_date").and_then(|date| date.parse().ok());
    Entry {
        id: context.organisation.clone(),
        active: true,
        currency,
        country,
        sales_tax_registered: record.has("tax_number").then(|| record.is_set("tax_number")),
        locked_until,
        ..Entry::default()
    }
}

fn entry(of: Reference, record: &Record<'_>) -> Option<Entry> {
    let text = |fields: &[&str]| fields.iter().find_map(|field| record.text(field).filter(|text| !text.is_empty()));
    let id = record.text("id").filter(|id| !id.is_empty())?;
    let name = text(&["displayed_as", "name", "display_name"]).unwrap_or_else(|| id.clone());
    let active = !["is_active", "is_visible", "visible_in_sales"].iter().any(|flag| record.flag(flag) == Some(false))
        && !record.is_set("deleted_at");
    let entry = Entry { name, active, ..Entry::default() };
    Some(match of {
        Reference::TaxRates => Entry { rate: record.decimal("percentage"), country: country_of(&id), id, ..entry },
        Reference::BankAccounts => {
            let currency = record.reference("currency").and_then(|code| Currency::parse(&code).ok());
            Entry { currency, id, ..entry }
        }
        Reference::Currencies => Entry { currency: Currency::parse(&id).ok(), id, ..entry },
        Reference::Accounts => {
            let group = record.record("ledger_account_type").and_then(|group| group.text("displayed_as"));
            Entry { group, id, ..entry }
        }
        Reference::Organisation => {
            Entry { country: record.reference("country").or_else(|| record.text("country")), id, ..entry }
        }
        Reference::Contacts => Entry { id, ..entry },
    })
}

/// The country of a tax rate's id: `GB` of `GB_STANDARD`.
fn country_of(id: &str) -> Option<String> {
    let (country, _) = id.split_once('_')?;
    ledger_domain::country::english_name(country).is_some().then(|| country.to_owned())
}
