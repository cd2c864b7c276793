//! A tenant for each shop, bound to its book: made once and used again while shop and book are the ones it was made for.

use crate::places::{MISCONFIGURED_WEBSITE, Place, Speech};
use crate::variables::Variables;
use ledger_aws::engine::operate::{NewBinding, NewTenant};
use ledger_aws::engine::ports::{Chance, Clock, Tenants};
use ledger_aws::{SystemChance, SystemClock};
use ledger_cli::Stack;
use ledger_world::shop::WebsiteSpec;
use std::collections::BTreeMap;

/// Characters of the tenant's id that its numbers begin with, so that no two tenants' numbers meet in one book.
const MARK_LENGTH: usize = 6;

/// A paired shop.
pub(crate) struct Paired {
    pub(crate) place: Place,
    pub(crate) tenant: String,
    pub(crate) prefix: String,
    /// Made just now.
    pub(crate) fresh: bool,
}

impl Paired {
    pub(crate) fn told(&self) -> String {
        let how = if self.fresh { "is paired with new" } else { "is paired with" };
        let title = self.place.speech.title();
        format!("{title}: the shop {how} tenant {}; numbers in the book begin with {}", self.tenant, self.prefix)
    }
}

/// Pairs every shop, unless it is.
pub(crate) async fn pair_all(stack: &Stack, variables: &mut Variables, fresh: bool) -> anyhow::Result<Vec<Paired>> {
    let mut all = Vec::new();
    let mut connected_at = 0;
    for speech in Speech::ALL {
        let place = Place::of(speech, variables)?;
        let known = if fresh { None } else { known(stack, &place, variables).await? };
        all.push(match known {
            Some((tenant, prefix)) => Paired { place, tenant, prefix, fresh: false },
            None => {
                let (paired, at) = pair(stack, place, variables).await?;
                connected_at = connected_at.max(at);
                paired
            }
        });
    }
    // A shop dates its documents to the second. One of this very second would look older than the binding, and what is
    // older may have been posted by a previous service, so it would be looked for first.
    let next_second = connected_at.div_euclid(1_000).saturating_add(1).saturating_mul(1_000);
    SystemClock.sleep_ms(u64::try_from(next_second.saturating_sub(SystemClock.now_ms())).unwrap_or_default()).await;
    Ok(all)
}

/// Pairs a shop; and when its book was connected.
async fn pair(stack: &Stack, place: Place, variables: &mut Variables) -> anyhow::Result<(Paired, i64)> {
    let Place { speech, shop, book } = &place;
    if *speech == Speech::V2 {
        shop.opens_website(&WebsiteSpec {
            id: i64::from(MISCONFIGURED_WEBSITE),
            base_currency: "GBP".to_owned(),
            stores: vec![i64::from(MISCONFIGURED_WEBSITE)],
            rates: BTreeMap::new(),
            tax: Default::default(),
        })
        .await?;
    }
    let (api_key, token) = (secret("ledger_"), secret("book_"));
    let operate = stack.operate();
    let tenant = operate
        .add_tenant(&NewTenant { tenant: None, shop_url: shop.url.clone(), api_key: api_key.clone().into() })
        .await?
        .tenant;
    let mark: String = tenant.chars().filter(char::is_ascii_hexdigit).take(MARK_LENGTH).collect();
    let prefix = format!("MAG-{mark}-");
    book.accepts(&token).await?;
    // A book that names no organisation to its clients is one of its own in Ledger's eyes, so that nothing remembered of
    // an earlier one is believed of it.
    let organisation = book.organisation(*speech, &token).await?.flatten().unwrap_or(format!("demo-{mark}"));
    let bound = operate
        .add_binding(&NewBinding {
            tenant: tenant.clone(),
            provider: speech.provider().to_owned(),
            dialect: speech.dialect().to_owned(),
            base_url: book.url.clone(),
            organisation,
            web_name: None,
            token: token.clone().into(),
            settings: speech.settings(&book.url, &prefix),
        })
        .await?;
    shop.pairs(&tenant, &api_key, &variables.need("LEDGER_URL")?).await?;
    let [tenant_id, key, book_token] = names(*speech);
    variables.put(&[(&tenant_id, tenant.clone()), (&key, api_key), (&book_token, token)])?;
    Ok((Paired { place, tenant, prefix, fresh: true }, bound.connected_at))
}

/// The tenant and the prefix of an earlier pairing. A shop that speaks as somebody else, or a book that doesn't know the
/// token or is another organisation's, was started anew since and counts its documents from 1 again.
async fn known(stack: &Stack, place: &Place, variables: &Variables) -> anyhow::Result<Option<(String, String)>> {
    let Place { speech, shop, book } = place;
    let [tenant, _, token] = names(*speech).map(|name| variables.get(&name));
    let (Some(tenant), Some(token)) = (tenant, token) else { return Ok(None) };
    if shop.speaks_as().await?.as_ref() != Some(&tenant) {
        return Ok(None);
    }
    let Some(organisation) = book.organisation(*speech, &token).await? else { return Ok(None) };
    let Some(tenancy) = stack.store().tenancy(&tenant).await? else { return Ok(None) };
    let fits = |row: &&ledger_wire::rows::BindingRow| {
        let prefix = row.settings.invoice_number_prefix.clone().unwrap_or_default();
        row.status == "active"
            && row.dialect == speech.dialect()
            && row.base_url == book.url
            && organisation.as_ref().is_none_or(|organisation| row.book.ends_with(organisation))
            && row.settings == speech.settings(&book.url, &prefix)
    };
    let binding = tenancy.bindings.iter().find(fits).filter(|_| tenancy.tenant.status == "connected");
    Ok(binding.map(|row| (tenant, row.settings.invoice_number_prefix.clone().unwrap_or_default())))
}

/// What a dialect's tenant, its key and its book's token are called in the stack's variables.
fn names(speech: Speech) -> [String; 3] {
    ["TENANT_ID", "API_KEY", "BOOK_TOKEN"].map(|name| speech.variable(name, ""))
}

fn secret(prefix: &str) -> String {
    format!("{prefix}{}{}", SystemChance.uuid(), SystemChance.uuid()).replace('-', "")
}
