//! A tenant for the shop, bound to the book: made once and used again while shop and book are the ones it was made for.

use crate::strangers::{Book, Shop};
use crate::variables::Variables;
use ledger_aws::engine::operate::{NewBinding, NewTenant};
use ledger_aws::engine::ports::{Chance, Clock, Tenants};
use ledger_aws::{SystemChance, SystemClock};
use ledger_cli::Stack;
use ledger_wire::settings::SettingsV1;
use ledger_world::shop::WebsiteSpec;
use std::collections::BTreeMap;

const PROVIDER: &str = "xero";
const DIALECT: &str = "v2";
/// The website whose income category the book doesn't have.
pub(crate) const MISCONFIGURED_WEBSITE: u32 = 4;
/// Websites that the binding lets through; the shop's third is not among them.
const WEBSITES: [u32; 3] = [1, 2, MISCONFIGURED_WEBSITE];
/// Characters of the tenant's id that its numbers begin with, so that no two tenants' numbers meet in one book.
const MARK_LENGTH: usize = 6;

/// A paired shop.
pub(crate) struct Paired {
    pub(crate) tenant: String,
    pub(crate) prefix: String,
    /// Made just now.
    pub(crate) fresh: bool,
}

impl Paired {
    pub(crate) fn told(&self) -> String {
        let how = if self.fresh { "is paired with new" } else { "is paired with" };
        format!("The shop {how} tenant {}; numbers in the book begin with {}", self.tenant, self.prefix)
    }
}

/// Pairs the shop, unless it is.
pub(crate) async fn pair(
    stack: &Stack,
    shop: &Shop,
    book: &Book,
    variables: &mut Variables,
    fresh: bool,
) -> anyhow::Result<Paired> {
    shop.opens_website(&WebsiteSpec {
        id: i64::from(MISCONFIGURED_WEBSITE),
        base_currency: "GBP".to_owned(),
        stores: vec![i64::from(MISCONFIGURED_WEBSITE)],
        rates: BTreeMap::new(),
        tax: Default::default(),
    })
    .await?;
    if !fresh && let Some(paired) = known(stack, shop, book, variables).await? {
        return Ok(paired);
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
    let bound = operate
        .add_binding(&NewBinding {
            tenant: tenant.clone(),
            provider: PROVIDER.to_owned(),
            dialect: DIALECT.to_owned(),
            base_url: book.url.clone(),
            // A book of its own in Ledger's eyes, so that nothing remembered of an earlier one is believed of this.
            organisation: format!("demo-{mark}"),
            web_name: None,
            token: token.clone().into(),
            settings: settings(&book.url, &prefix),
        })
        .await?;
    shop.pairs(&tenant, &api_key, &variables.need("LEDGER_URL")?).await?;
    // The shop dates its documents to the second. One of this very second would look older than the binding, and what is
    // older may have been posted by a previous service, so it would be looked for first.
    let next_second = bound.connected_at.div_euclid(1_000).saturating_add(1).saturating_mul(1_000);
    SystemClock.sleep_ms(u64::try_from(next_second.saturating_sub(SystemClock.now_ms())).unwrap_or_default()).await;
    variables.put(&[("TENANT_ID", tenant.clone()), ("API_KEY", api_key), ("BOOK_TOKEN", token)])?;
    Ok(Paired { tenant, prefix, fresh: true })
}

/// The tenant of an earlier pairing. A shop that speaks as somebody else, or a book that doesn't know the token, was
/// started anew since and counts its documents from 1 again.
async fn known(stack: &Stack, shop: &Shop, book: &Book, variables: &Variables) -> anyhow::Result<Option<Paired>> {
    let (Some(tenant), Some(token)) = (variables.get("TENANT_ID"), variables.get("BOOK_TOKEN")) else {
        return Ok(None);
    };
    if shop.speaks_as().await?.as_ref() != Some(&tenant) || !book.knows(&token).await? {
        return Ok(None);
    }
    let Some(tenancy) = stack.store().tenancy(&tenant).await? else { return Ok(None) };
    let fits = |row: &&ledger_wire::rows::BindingRow| {
        let prefix = row.settings.invoice_number_prefix.clone().unwrap_or_default();
        row.status == "active" && row.base_url == book.url && row.settings == settings(&book.url, &prefix)
    };
    let binding = tenancy.bindings.iter().find(fits).filter(|_| tenancy.tenant.status == "connected");
    Ok(binding.map(|row| Paired {
        prefix: row.settings.invoice_number_prefix.clone().unwrap_or_default(),
        tenant,
        fresh: false,
    }))
}

/// What the merchant has set, a mistake in website 4 included.
fn settings(book_url: &str, prefix: &str) -> SettingsV1 {
    let category = |code: &str| format!("{book_url}/v2/categories/{code}");
    SettingsV1 {
        time_zone: "Europe/London".to_owned(),
        book_currency: "GBP".to_owned(),
        sales_tax_rates: ["20", "5", "0"].map(str::to_owned).to_vec(),
        income_category: category("001"),
        shipping_category: category("002"),
        income_categories: BTreeMap::from([(MISCONFIGURED_WEBSITE, category("999"))]),
        base_currencies: WEBSITES.iter().map(|website| (*website, "GBP".to_owned())).collect(),
        payment_terms_in_days: Some(30),
        invoice_number_prefix: Some(prefix.to_owned()),
        website_filter: WEBSITES.to_vec(),
        ..SettingsV1::default()
    }
}

fn secret(prefix: &str) -> String {
    format!("{prefix}{}{}", SystemChance.uuid(), SystemChance.uuid()).replace('-', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_can_be_used() {
        settings("http://127.0.0.1:1", "MAG-012345-").read(1).unwrap();
    }
}
