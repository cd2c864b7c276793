//! What is written to a stack's tables directly: for local stacks and tests.

use crate::args::{BindingAdd, BindingCommand, BindingPick, LocalCommand, TenantAdd, TenantCommand};
use crate::failure::Failure;
use crate::secrets;
use crate::shown::{Shown, binding_shown};
use crate::stack::Stack;
use crate::text::pairs;
use ledger_aws::SystemChance;
use ledger_aws::engine::operate::{NewBinding, NewTenant};
use ledger_aws::engine::ports::{Tenancy, Tenants};
use ledger_wire::api::{Binding, moment};
use ledger_wire::rows::{BindingRow, TenantRow};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct NewTenantView<'a> {
    tenant: &'a str,
    shop_url: &'a str,
    status: &'a str,
    created_at: String,
    ledger_url: Option<&'a str>,
    /// Only where it was made here: this is the one time it is shown.
    api_key: Option<&'a str>,
}

pub(crate) async fn local(stack: &Stack, command: &LocalCommand) -> Result<Shown, Failure> {
    match command {
        LocalCommand::Tenant(TenantCommand::Add(add)) => add_tenant(stack, add).await,
        LocalCommand::Binding(BindingCommand::Add(add)) => {
            Ok(binding_shown(&Binding::of(&add_binding(stack, add).await?)))
        }
        LocalCommand::Binding(BindingCommand::SetToken { pick, token }) => {
            let seen = one(stack, pick).await?;
            let token = secrets::token(token)?;
            let row = stack.operate().set_token(&seen.tenant, &seen.binding, &token).await?;
            Ok(binding_shown(&Binding::of(&row)))
        }
    }
}

async fn add_tenant(stack: &Stack, add: &TenantAdd) -> Result<Shown, Failure> {
    let (api_key, made) = secrets::api_key(add, &SystemChance)?;
    let new = NewTenant { tenant: add.tenant.clone(), shop_url: add.shop_url.clone(), api_key: api_key.clone() };
    let row = stack.operate().add_tenant(&new).await?;
    Ok(new_tenant_shown(&row, stack.url(), made.then(|| api_key.expose_secret())))
}

pub(crate) fn new_tenant_shown(row: &TenantRow, url: Option<&str>, api_key: Option<&str>) -> Shown {
    let mut text = pairs(&[
        ("Tenant", Some(row.tenant.clone())),
        ("Shop", Some(row.shop_url.clone())),
        ("Status", Some(row.status.clone())),
        ("Ledger URL", url.map(str::to_owned)),
        ("API key", api_key.map(str::to_owned)),
    ]);
    if api_key.is_some() {
        text.push_str("\nThe key is shown this once: put it into the shop's configuration now.\n");
    }
    let view = NewTenantView {
        tenant: &row.tenant,
        shop_url: &row.shop_url,
        status: &row.status,
        created_at: moment(row.created_at),
        ledger_url: url,
        api_key,
    };
    Shown::new(&view, text)
}

async fn add_binding(stack: &Stack, add: &BindingAdd) -> Result<BindingRow, Failure> {
    if add.token.token_stdin && add.settings == Path::new("-") {
        return Err(Failure::usage(
            "Token and settings can't both come from standard input.",
            "Give one of them as a file.",
        ));
    }
    let new = NewBinding {
        tenant: add.tenant.clone(),
        provider: add.provider.clone(),
        dialect: add.dialect.clone(),
        base_url: add.base_url.clone(),
        organisation: add.organisation.clone(),
        web_name: add.web_name.clone(),
        token: secrets::token(&add.token)?,
        settings: secrets::settings(&add.settings)?,
    };
    Ok(stack.operate().add_binding(&new).await?)
}

async fn tenancy(stack: &Stack, tenant: &str) -> Result<Tenancy, Failure> {
    stack.store().tenancy(tenant).await?.ok_or_else(|| Failure::not_found("tenant"))
}

/// The one binding that is meant. A disconnected one is only meant where its id is named.
async fn one(stack: &Stack, pick: &BindingPick) -> Result<BindingRow, Failure> {
    let wanted = |row: &BindingRow| {
        pick.binding.as_ref().map_or(row.status != "disconnected", |binding| *binding == row.binding)
            && pick.provider.as_ref().is_none_or(|provider| *provider == row.provider)
    };
    let mut found: Vec<BindingRow> = tenancy(stack, &pick.tenant).await?.bindings.into_iter().filter(wanted).collect();
    if found.len() > 1 {
        return Err(Failure::usage("The tenant has several bindings.", "Say which with --provider or --binding."));
    }
    found.pop().ok_or_else(|| Failure::not_found("binding"))
}
