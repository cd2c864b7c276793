//! A tenant for each shop, paired by a code, bound to a book that its bookkeeper let us into: made once and used again while
//! shop and book are the ones it was made for.
//!
//! All of it goes over the stack's API, with an operator's token. What an operator would type is told as `ledger`
//! commands. The control APIs stand for people: the merchant who has the shop show a code, the developer who enters our
//! callback address on the provider's page, the bookkeeper who signs in.

use crate::api::Api;
use crate::places::{CARD, MISCONFIGURED_WEBSITE, OPENED_CATEGORY, Place, Speech};
use crate::seconds;
use crate::variables::Variables;
use anyhow::{Context, ensure};
use ledger_aws::engine::ports::{Chance, Clock};
use ledger_aws::{SystemChance, SystemClock};
use ledger_wire::api::{AppHosts, AppRequest, Binding, ReferenceAge, ReferenceData};
use ledger_wire::settings::SettingsV1;
use ledger_world::browser::{self, Person};
use ledger_world::identity::BOOKKEEPER;
use ledger_world::shop::WebsiteSpec;
use std::collections::BTreeMap;

/// Characters of the tenant's id that its numbers begin with, so that no two tenants' numbers meet in one book.
const MARK_LENGTH: usize = 6;
/// Whose books they are; the bookkeeper keeps those of others too.
const ORGANISATION: &str = "Example Trading Ltd";
/// A category that no book has.
const NO_CATEGORY: &str = "no-such-category";
/// What comes before an answer.
const INDENT: &str = "      ";

/// A paired shop.
#[derive(Debug)]
pub struct Paired {
    /// Shop and book.
    pub place: Place,
    /// The tenant's id.
    pub tenant: String,
    /// The binding's id.
    pub binding: String,
    /// What numbers in the book begin with.
    pub prefix: String,
    /// What was typed and what came back, where it was made just now; else what there is.
    told: String,
    /// When its settings were saved, where that was just now, in milliseconds.
    made_at: Option<i64>,
}

impl Paired {
    /// Whether it was made just now.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.made_at.is_some()
    }

    /// The story for people.
    #[must_use]
    pub fn told(&self) -> &str {
        &self.told
    }
}

/// What was typed, and what came back.
struct Transcript {
    began: i64,
    text: String,
}

impl Transcript {
    fn new(title: &str) -> Self {
        Self { began: SystemClock.now_ms(), text: format!("\n{title}\n") }
    }

    /// Something that a person does elsewhere.
    fn elsewhere(&mut self, what: &str) {
        self.text.push_str(&format!("  {what}\n"));
    }

    /// What an operator types.
    fn typed(&mut self, command: &str) {
        self.text.push_str(&format!("  $ ledger {command}\n"));
    }

    /// What came of it; the first line says when.
    fn answered(&mut self, lines: &[String]) {
        let at = seconds(SystemClock.now_ms().saturating_sub(self.began));
        for (number, line) in lines.iter().enumerate() {
            let at = if number == 0 { format!("   ({at})") } else { String::new() };
            self.text.push_str(&format!("{INDENT}{line}{at}\n"));
        }
    }
}

/// Pairs every shop and connects its book, unless that is so.
///
/// # Errors
/// Where one can't be.
pub async fn pair_all(api: &Api, variables: &mut Variables, again: bool) -> anyhow::Result<Vec<Paired>> {
    let seen = &*variables;
    let one = |speech: Speech| async move {
        let place = Place::of(speech, seen)?;
        let known = if again { None } else { known(api, &place, seen).await? };
        match known {
            Some(paired) => Ok(paired),
            None => pair(api, place).await.with_context(|| format!("{}: pairing and connecting", speech.title())),
        }
    };
    let [v2, accounting, sage, freeagent] = Speech::ALL.map(one);
    let (v2, accounting, sage, freeagent) = tokio::try_join!(v2, accounting, sage, freeagent)?;
    let all = vec![v2, accounting, sage, freeagent];
    for paired in all.iter().filter(|paired| paired.is_fresh()) {
        let [tenant, key, binding] = names(paired.place.speech);
        // Nobody shows a key; the shop's own configuration has it.
        let api_key = paired.place.shop.key().await?;
        variables.put(&[(&tenant, paired.tenant.clone()), (&key, api_key), (&binding, paired.binding.clone())])?;
    }
    // A shop dates its documents to the second. One of this very second would look older than the binding, and what is
    // older may have been posted by a previous service, so it would be looked for first.
    let made_at = all.iter().filter_map(|paired| paired.made_at).max().unwrap_or_default();
    let next_second = made_at.div_euclid(1_000).saturating_add(1).saturating_mul(1_000);
    SystemClock.sleep_ms(u64::try_from(next_second.saturating_sub(SystemClock.now_ms())).unwrap_or_default()).await;
    Ok(all)
}

/// Pairs a shop by its code and connects its book over the provider's pages.
///
/// # Errors
/// Where the stack, the shop or the provider refuses.
pub async fn pair(api: &Api, place: Place) -> anyhow::Result<Paired> {
    let Place { speech, shop, book } = &place;
    let mut told = Transcript::new(speech.title());
    if *speech == Speech::V2 {
        shop.opens_website(&WebsiteSpec {
            id: i64::from(MISCONFIGURED_WEBSITE),
            base_currency: "GBP".to_owned(),
            stores: vec![i64::from(MISCONFIGURED_WEBSITE)],
            rates: BTreeMap::new(),
            tax: Default::default(),
        })
        .await?;
        book.opens_category(OPENED_CATEGORY).await?;
    }

    told.elsewhere("The shop's admin page shows a pairing code; it is typed when asked for.");
    let code = shop.shows_code().await?;
    told.typed(&format!("shop connect {} --provider {}", shop.url, speech.provider()));
    let paired = api.pairs(speech.provider(), &shop.url, code).await?;
    ensure!(paired.answers, "the shop does not answer under its new key");
    let with = paired.binding.book.map_or_else(|| "without a book".to_owned(), |book| format!("with book {book}"));
    let (tenant, binding) = (paired.tenant.tenant, paired.binding.binding);
    let how = if paired.made_tenant { "a new tenant" } else { "the tenant that it had" };
    let status = &paired.tenant.status;
    told.answered(&[
        format!("tenant {tenant}: {status}, {how}; the shop answers under its key"),
        format!("binding {binding}: {}, {with}", paired.binding.status),
    ]);

    connects(api, &place, &tenant, &binding, &mut told).await?;

    let mark: String = tenant.chars().filter(char::is_ascii_hexdigit).take(MARK_LENGTH).collect();
    let prefix = format!("MAG-{mark}-");
    settles(api, &place, &binding, &prefix, &mut told).await?;
    let made_at = SystemClock.now_ms();
    if *speech == Speech::V2 {
        book.removes_category(OPENED_CATEGORY).await?;
        told.elsewhere(&format!(
            "Afterwards the bookkeeper removes category {OPENED_CATEGORY} from the book: website {MISCONFIGURED_WEBSITE} names it."
        ));
    }
    Ok(Paired { place, tenant, binding, prefix, told: told.text, made_at: Some(made_at) })
}

/// Connects a binding again, as after its grant was taken back.
///
/// # Errors
/// Where the stack or the provider refuses.
pub async fn reconnect(api: &Api, paired: &Paired) -> anyhow::Result<()> {
    let mut told = Transcript::new(paired.place.speech.title());
    connects(api, &paired.place, &paired.tenant, &paired.binding, &mut told).await
}

/// Sets the app, walks the provider's pages and confirms the organisation.
async fn connects(api: &Api, place: &Place, tenant: &str, binding: &str, told: &mut Transcript) -> anyhow::Result<()> {
    let Place { speech, book, .. } = place;
    let client_id = format!("ledger-{}", tenant.chars().take(MARK_LENGTH).collect::<String>());
    let secret = format!("{}{}", SystemChance.uuid(), SystemChance.uuid()).replace('-', "");
    let callback = format!("{}/oauth/callback", api.url);
    book.registers_app(&client_id, &secret, &callback).await?;
    told.elsewhere(&format!(
        "On the provider's page for developers, app {client_id} may send people back to {callback}"
    ));
    let authority = speech.authority();
    let hosts = AppHosts {
        authorize: format!("{}{}", book.url, authority.authorize_path()),
        token: format!("{}{}", book.url, authority.token_path()),
        revoke: authority.revocation_path().map(|path| format!("{}{path}", book.url)),
        api: book.url.clone(),
    };
    told.typed(&format!(
        "app set {} --binding {binding} --client-id {client_id} --secret-file secret.txt --hosts hosts.json",
        speech.provider()
    ));
    let app = AppRequest {
        client_id,
        client_secret: Some(secret),
        environment: None,
        scopes: Vec::new(),
        dialect: None,
        country: None,
        hosts: Some(hosts),
    };
    let app = api.sets_app(binding, &app).await?;
    ensure!(app.callback_url == callback, "the stack's callback address is {}, not {callback}", app.callback_url);
    let scopes = if app.scopes.is_empty() { "no scopes".to_owned() } else { app.scopes.join(" ") };
    told.answered(&[format!("asks for {scopes}")]);

    told.typed(&format!("book connect {binding}"));
    let started = api.starts(binding).await?;
    let page = started.authorize_url.split('?').next().unwrap_or_default();
    let back =
        browser::visits(&started.authorize_url, &Person::bookkeeper().choosing(ORGANISATION)).await?.location()?;
    ensure!(back.url().starts_with(&callback), "the browser is sent to another address than the callback");
    let shown = browser::follows(&back).await?;
    ensure!(shown.status == 200, "the callback answers {}: {}", shown.status, shown.text);
    told.answered(&[
        format!("{BOOKKEEPER} signs in at {page} and agrees"),
        format!("the browser comes back and shows: {}", shown.heading()),
    ]);

    let pending = api.pending(binding).await?;
    let dialect = pending.dialect.clone().context("the dialect is not found out")?;
    ensure!(dialect == speech.dialect(), "the dialect is {dialect}");
    ensure!(pending.missing_scopes.is_empty(), "scopes are missing: {}", pending.missing_scopes.join(" "));
    let offered: Vec<&str> = pending.organisations.iter().map(|it| it.name.as_str()).collect();
    told.answered(&[format!("dialect {dialect}; organisations: {}", offered.join(", "))]);
    let own = pending.organisations.iter().find(|it| it.name == ORGANISATION);
    let own = own.with_context(|| format!("{ORGANISATION} is not offered"))?;
    told.typed(&format!("book confirm {binding} \"{ORGANISATION}\""));
    let bound = api.confirms(binding, &own.id).await?;
    ensure!(bound.status == "active", "the binding is {}", bound.status);
    ensure!(bound.base_url.as_deref() == Some(&book.url), "the book's address is {:?}", bound.base_url);
    let reference = api.reference(binding).await?;
    told.answered(&[
        format!("{}, book {}", bound.status, bound.book.unwrap_or_default()),
        format!("read of it: {}", ages(&reference.lists)?),
    ]);
    Ok(())
}

/// Saves the merchant's settings and shows what they could name.
async fn settles(api: &Api, place: &Place, binding: &str, prefix: &str, told: &mut Transcript) -> anyhow::Result<()> {
    let speech = place.speech;
    told.typed(&format!("settings propose {binding}"));
    let proposal = api.proposal(binding).await?;
    let proposed: Vec<String> = proposal.settings.keys().cloned().collect();
    told.answered(&[
        format!("the book suggests {}", proposed.join(", ")),
        format!("a person fills in {}", listed(&proposal.missing)),
    ]);

    let settings = speech.settings(&place.book.url, prefix);
    let draft = SettingsV1 { income_category: NO_CATEGORY.to_owned(), ..settings.clone() };
    told.typed(&format!("settings validate {binding} --file draft.json"));
    let checked = api.validates(binding, serde_json::to_value(draft)?).await?;
    let wrong: Vec<String> = checked.errors.iter().map(|error| format!("{}: {}", error.field, error.code)).collect();
    ensure!(wrong == ["income_category: not_in_reference"], "a draft with a mistake is told {wrong:?}");
    told.answered(&[format!("a category that the book doesn't have is told by field: {}", wrong.join(", "))]);

    let settings = serde_json::to_value(settings)?;
    let version = api.settings(binding).await?.version;
    told.typed(&format!("settings set {binding} --file settings.json"));
    let saved = api.saves(binding, version, settings).await?;
    told.answered(&[format!("version {} is in force; numbers in the book begin with {prefix}", saved.version)]);

    told.typed(&format!("reference show {binding} --list payment_methods"));
    let reference = api.reference(binding).await?;
    told.answered(&payment_methods(&reference)?);
    Ok(())
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// How many entries each list has, and how old the oldest is.
fn ages(lists: &[ReferenceAge]) -> anyhow::Result<String> {
    let mut counts = Vec::new();
    let mut oldest = 0;
    for list in lists.iter().filter(|list| list.read_at.is_some() || list.fault.is_some()) {
        ensure!(list.fault.is_none(), "{} could not be read: {:?}", list.list, list.fault);
        oldest = oldest.max(list.age_seconds.context("a list without an age")?);
        counts.push(format!("{} {}", list.count, list.list.replace('_', " ")));
    }
    ensure!(!counts.is_empty(), "nothing was read of the book");
    Ok(format!("{}, {}", counts.join(", "), old(oldest)))
}

fn old(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s old"),
        120..7_200 => format!("{} min old", seconds.div_euclid(60)),
        _ => format!("{} h old", seconds.div_euclid(3_600)),
    }
}

/// The shop's payment methods.
fn payment_methods(reference: &ReferenceData) -> anyhow::Result<Vec<String>> {
    const LIST: &str = "payment_methods";
    let age = reference.lists.iter().find(|list| list.list == LIST).and_then(|list| list.age_seconds);
    let age = age.context("the shop's payment methods were not read")?;
    let of_shop = reference.entries.iter().filter(|entry| entry.list == LIST);
    let codes: Vec<&str> = of_shop.map(|entry| entry.id.as_str()).collect();
    ensure!(codes.contains(&CARD), "the shop's payment methods are {}", codes.join(", "));
    Ok(vec![format!("of the shop, {}: {}", old(age), codes.join(", "))])
}

/// An earlier pairing. A shop that speaks as somebody else, and a book at another address, were started anew since and
/// count their documents from 1 again.
async fn known(api: &Api, place: &Place, variables: &Variables) -> anyhow::Result<Option<Paired>> {
    let Place { speech, shop, book } = place;
    let [tenant, _, _] = names(*speech).map(|name| variables.get(&name));
    let Some(tenant) = tenant else { return Ok(None) };
    if shop.speaks_as().await?.as_ref() != Some(&tenant) {
        return Ok(None);
    }
    let Some(seen) = api.tenant(&tenant).await? else { return Ok(None) };
    if !["connected", "silent"].contains(&seen.status.as_str()) {
        return Ok(None);
    }
    let fits = |it: &&Binding| {
        it.provider == speech.provider()
            && it.status == "active"
            && it.mode == "live"
            && it.dialect.as_deref() == Some(speech.dialect())
            && it.base_url.as_deref() == Some(&book.url)
    };
    let Some(bound) = seen.bindings.iter().find(fits) else { return Ok(None) };
    let Some(settings) = api.settings(&bound.binding).await?.settings else { return Ok(None) };
    let prefix = settings.invoice_number_prefix.clone().unwrap_or_default();
    if settings != speech.settings(&book.url, &prefix) {
        return Ok(None);
    }
    let reference = api.reference(&bound.binding).await?;
    let told = format!(
        "\n{}: tenant {tenant} is {}, binding {} is {} with book {}; numbers begin with {prefix}\n{INDENT}known of it: {}",
        speech.title(),
        seen.status,
        bound.binding,
        bound.status,
        bound.book.clone().unwrap_or_default(),
        ages(&reference.lists)?
    );
    let binding = bound.binding.clone();
    Ok(Some(Paired { place: place.clone(), tenant, binding, prefix, told, made_at: None }))
}

/// What a dialect's tenant, its key and its binding are called in the stack's variables.
fn names(speech: Speech) -> [String; 3] {
    ["TENANT_ID", "API_KEY", "BINDING_ID"].map(|name| speech.variable(name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_wire::api::ReferenceEntry;

    fn list(name: &str, age_seconds: Option<i64>, fault: Option<&str>) -> ReferenceAge {
        ReferenceAge {
            list: name.to_owned(),
            read_at: age_seconds.map(|_| "2026-11-20T09:31:00.000Z".to_owned()),
            age_seconds,
            count: 3,
            cut_off: false,
            reading: false,
            fault: fault.map(str::to_owned),
        }
    }

    #[test]
    fn lists_are_told_with_the_age_of_the_oldest() {
        let lists =
            [list("tax_rates", Some(7), None), list("accounts", Some(300), None), list("currencies", None, None)];
        assert_eq!(ages(&lists).unwrap(), "3 tax rates, 3 accounts, 5 min old");
        assert!(ages(&[list("accounts", None, Some("needs_reconnect"))]).is_err());
        assert!(ages(&[]).is_err());
    }

    #[test]
    fn the_shop_has_to_take_cards() {
        let entry = |id: &str| ReferenceEntry {
            list: "payment_methods".to_owned(),
            id: id.to_owned(),
            name: String::new(),
            active: true,
            rate: None,
            currency: None,
            group: None,
            country: None,
            locked_until: None,
        };
        let data = |ids: &[&str]| ReferenceData {
            lists: vec![list("payment_methods", Some(0), None)],
            entries: ids.iter().copied().map(entry).collect(),
        };
        assert_eq!(payment_methods(&data(&["free", CARD])).unwrap(), [format!("of the shop, 0 s old: free, {CARD}")]);
        assert!(payment_methods(&data(&["free"])).is_err());
    }
}
