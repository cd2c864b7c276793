//! What the commands do.

use crate::args::{BindingAdd, BindingCommand, BindingPick, RunsCommand, RunsList, TenantAdd, TenantCommand};
use crate::failure::Failure;
use crate::stack::Stack;
use crate::text::{moment, pairs};
use crate::view::{BindingView, BindingsView, CausesView, NewTenantView, RunDetailView, RunView, RunsView, TenantView};
use crate::{secrets, tables, timeline};
use ledger_aws::SystemChance;
use ledger_aws::engine::operate::{NewBinding, NewTenant};
use ledger_aws::engine::ports::{Operations, PortFault, PortResult, RunPage, Tenancy, Tenants};
use ledger_wire::rows::{BindingRow, RunRow, TenantRow};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::path::Path;

/// Runs that are read at once where most of them may not be wanted.
const PAGE: usize = 100;
/// Pages that one filtered list reads at most.
const PAGES_MAX: usize = 50;

/// A result, both ways.
pub(crate) struct Shown {
    pub(crate) json: String,
    pub(crate) text: String,
}

impl Shown {
    pub(crate) fn new(json: &impl Serialize, text: String) -> Self {
        // Our own shapes have string keys and no maps of others': serialising them cannot fail.
        Self { json: serde_json::to_string_pretty(json).unwrap_or_default(), text }
    }
}

pub(crate) async fn tenant(stack: &Stack, command: &TenantCommand) -> Result<Shown, Failure> {
    match command {
        TenantCommand::Add(add) => add_tenant(stack, add).await,
        TenantCommand::Show { tenant } => Ok(tenant_shown(&tenancy(stack, tenant).await?)),
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
    Shown::new(&NewTenantView::of(row, url, api_key), text)
}

pub(crate) fn tenant_shown(tenancy: &Tenancy) -> Shown {
    let tenant = &tenancy.tenant;
    let head = pairs(&[
        ("Tenant", Some(tenant.tenant.clone())),
        ("Shop", Some(tenant.shop_url.clone())),
        ("Status", Some(tenant.status.clone())),
        ("Made", Some(moment(tenant.created_at))),
        ("Refuses us since", tenant.refused_since.map(moment)),
    ]);
    let bindings = if tenancy.bindings.is_empty() {
        "No bindings. `ledger binding add` makes one.".to_owned()
    } else {
        tables::bindings(&tenancy.bindings)
    };
    Shown::new(&TenantView::of(tenancy), format!("{head}\n{bindings}"))
}

pub(crate) async fn binding(stack: &Stack, command: &BindingCommand) -> Result<Shown, Failure> {
    match command {
        BindingCommand::Add(add) => Ok(binding_shown(&add_binding(stack, add).await?)),
        BindingCommand::Show(pick) => {
            let picked = picked(stack, pick).await?;
            match picked.as_slice() {
                [] => Err(Failure::not_found("binding")),
                bindings => Ok(bindings_shown(bindings)),
            }
        }
        BindingCommand::Pause(pick) => pause(stack, pick, true).await,
        BindingCommand::Resume(pick) => pause(stack, pick, false).await,
        BindingCommand::SetToken { pick, token } => {
            let seen = one(stack, pick).await?;
            let token = secrets::token(token)?;
            let row = stack.operate().set_token(&seen.tenant, &seen.binding, &token).await?;
            Ok(binding_shown(&row))
        }
    }
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

async fn pause(stack: &Stack, pick: &BindingPick, paused: bool) -> Result<Shown, Failure> {
    let seen = one(stack, pick).await?;
    Ok(binding_shown(&stack.operate().pause(&seen.tenant, &seen.binding, paused).await?))
}

async fn tenancy(stack: &Stack, tenant: &str) -> Result<Tenancy, Failure> {
    stack.store().tenancy(tenant).await?.ok_or_else(|| Failure::not_found("tenant"))
}

async fn picked(stack: &Stack, pick: &BindingPick) -> Result<Vec<BindingRow>, Failure> {
    let wanted = |row: &BindingRow| {
        pick.binding.as_ref().is_none_or(|binding| *binding == row.binding)
            && pick.provider.as_ref().is_none_or(|provider| *provider == row.provider)
    };
    Ok(tenancy(stack, &pick.tenant).await?.bindings.into_iter().filter(wanted).collect())
}

/// The one binding that is meant. A disconnected one is only meant where its id is named.
async fn one(stack: &Stack, pick: &BindingPick) -> Result<BindingRow, Failure> {
    let mut found = picked(stack, pick).await?;
    if pick.binding.is_none() {
        found.retain(|row| row.status != "disconnected");
    }
    if found.len() > 1 {
        return Err(Failure::usage("The tenant has several bindings.", "Say which with --provider or --binding."));
    }
    found.pop().ok_or_else(|| Failure::not_found("binding"))
}

fn binding_text(row: &BindingRow) -> String {
    let settings = serde_json::to_string_pretty(&row.settings).unwrap_or_default();
    let head = pairs(&[
        ("Binding", Some(row.binding.clone())),
        ("Tenant", Some(row.tenant.clone())),
        ("Provider", Some(row.provider.clone())),
        ("Dialect", Some(row.dialect.clone())),
        ("Status", Some(row.status.clone())),
        ("Book", Some(row.book.clone())),
        ("Address", Some(row.base_url.clone())),
        ("Connected", Some(moment(row.connected_at))),
    ]);
    format!("{head}\nSettings {}\n{settings}\n", row.settings_version)
}

pub(crate) fn binding_shown(row: &BindingRow) -> Shown {
    Shown::new(&BindingView::of(row), binding_text(row))
}

pub(crate) fn bindings_shown(rows: &[BindingRow]) -> Shown {
    let text = rows.iter().map(binding_text).collect::<Vec<_>>().join("\n");
    Shown::new(&BindingsView { bindings: rows.iter().map(BindingView::of).collect() }, text)
}

pub(crate) async fn runs(stack: &Stack, command: &RunsCommand) -> Result<Shown, Failure> {
    match command {
        RunsCommand::List(list) => {
            let read = async |after: Option<&str>, size| stack.store().runs(&list.tenant, after, size).await;
            let page = listed(list, read).await?;
            if page.runs.is_empty() {
                // Nothing of nobody is a mistake in the tenant's id.
                tenancy(stack, &list.tenant).await?;
            }
            Ok(runs_shown(&page))
        }
        RunsCommand::Show { run } => {
            let detail = stack.operate().run(run).await?;
            Ok(Shown::new(&RunDetailView::of(&detail), timeline::page(&detail)))
        }
        RunsCommand::Retry { run } => {
            let row = stack.operate().retry(run).await?;
            Ok(retried_shown(&row))
        }
    }
}

pub(crate) fn runs_shown(page: &RunPage) -> Shown {
    let mut text = if page.runs.is_empty() { "No runs.".to_owned() } else { tables::runs(&page.runs) };
    if let Some(next) = &page.next {
        text.push_str(&format!("\n\nMore with --after {next}"));
    }
    Shown::new(&RunsView::of(&page.runs, page.next.as_deref()), text)
}

pub(crate) fn retried_shown(row: &RunRow) -> Shown {
    let done = match row.state.as_str() {
        "succeeded" => "is in the book already; the shop is told its chip again",
        _ => "is sent again",
    };
    let text = format!("Run {} {done}.\nFollow it with `ledger runs show {}`.", row.run_id, row.run_id);
    Shown::new(&RunView::of(row), text)
}

/// A page of runs as `list` wants it; `read` gives one of the store's from a cursor on. A state is filtered here.
pub(crate) async fn listed(
    list: &RunsList,
    read: impl AsyncFn(Option<&str>, usize) -> PortResult<RunPage>,
) -> Result<RunPage, Failure> {
    let limit = usize::from(list.limit);
    let mut page = RunPage { runs: Vec::new(), next: list.after.clone() };
    for _ in 0..PAGES_MAX {
        let left = limit.saturating_sub(page.runs.len());
        let size = if list.state.is_some() { PAGE } else { left.min(PAGE) };
        let before = page.next.take();
        let of_cursor = |fault: PortFault| match fault {
            PortFault::Inconsistent(_) if before.is_some() && before == list.after => {
                Failure::usage("--after is not the cursor of an earlier list.", "Copy it from the end of that list.")
            }
            PortFault::Inconsistent(_) | PortFault::Unavailable(_) => fault.into(),
        };
        let found = read(before.as_deref(), size).await.map_err(of_cursor)?;
        let mut looked_at = 0_usize;
        for run in &found.runs {
            if page.runs.len() >= limit {
                break;
            }
            looked_at = looked_at.saturating_add(1);
            if list.state.as_ref().is_none_or(|state| *state == run.state) {
                page.runs.push(run.clone());
            }
        }
        page.next = if looked_at < found.runs.len() {
            // The rest belongs to the next list: ask where it begins.
            read(before.as_deref(), looked_at).await.map_err(of_cursor)?.next
        } else {
            found.next
        };
        if page.runs.len() >= limit || page.next.is_none() {
            break;
        }
    }
    Ok(page)
}

pub(crate) async fn dead_letters(stack: &Stack) -> Result<Shown, Failure> {
    Ok(standing_still_shown("dead letters", &stack.operate().dead_letters().await?))
}

pub(crate) async fn held(stack: &Stack) -> Result<Shown, Failure> {
    Ok(standing_still_shown("held runs", &stack.operate().held().await?))
}

pub(crate) fn standing_still_shown(what: &str, runs: &[RunRow]) -> Shown {
    Shown::new(&CausesView::of(&tables::causes(runs), runs), tables::standing_still(what, runs))
}
