//! What was carried over, and what stands still.

use crate::access::{Need, SignedIn};
use crate::extract::{Path, Query};
use crate::failure::{Looking, Refusal};
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use ledger_engine::domain::identity::Event;
use ledger_engine::domain::run::RunState;
use ledger_engine::operate::{LIST_MAX, RunDetail as Detail, RunFilter};
use ledger_wire::api::{Attempt, Causes, Chip, Run, RunDetail, Runs};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Runs of a list where no limit is named.
const LIMIT: u16 = 50;
/// Most runs that stand still, shown at once.
const STANDING_STILL_MAX: usize = 1_000;

/// Which runs, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only in this state: `queued`, `running`, `waiting`, `held`, `succeeded`, `skipped` or `dead_lettered`.
    state: Option<String>,
    /// Only of this event.
    event: Option<String>,
    /// Only of this binding.
    binding: Option<String>,
    /// Only with this code.
    code: Option<String>,
    /// Only of this entity of the shop.
    magento_id: Option<u64>,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// Which runs that stand still.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// Only of this tenant.
    tenant: Option<String>,
    /// Only of this binding.
    binding: Option<String>,
    /// Only with this code.
    code: Option<String>,
}

pub(super) fn shown(detail: &Detail) -> RunDetail {
    RunDetail {
        run: Run::of(&detail.run),
        attempts: detail.attempts.iter().map(Attempt::of).collect(),
        chip: detail.push.as_ref().map(Chip::of),
        link: detail.link.clone(),
    }
}

/// A tenant's runs, newest first. A page may be shorter than the limit though there are more.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/runs", tag = "runs", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant"), Which),
    responses((status = 200, body = Runs), Looking))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(tenant): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Runs>, Refusal> {
    caller.sees(&tenant)?;
    if which.state.as_deref().is_some_and(|state| RunState::parse(state).is_none()) {
        return Err(Refusal::field("state", "invalid", "not a state of runs"));
    }
    if which.event.as_deref().is_some_and(|event| Event::parse(event).is_none()) {
        return Err(Refusal::field("event", "invalid", "not an event"));
    }
    let limit = usize::from(which.limit.unwrap_or(LIMIT));
    if limit == 0 || limit > LIST_MAX {
        return Err(Refusal::field("limit", "OUT_OF_RANGE", format!("1 to {LIST_MAX}")));
    }
    let filter = RunFilter {
        state: which.state,
        event: which.event,
        binding: which.binding,
        code: which.code,
        magento_id: which.magento_id,
    };
    let page = api.operate().list(&tenant, &filter, which.after.as_deref(), limit).await?;
    if page.runs.is_empty() && page.next.is_none() {
        // Nothing of nobody is a mistake in the tenant's id.
        api.tenancy_for(&caller, Need::Look, &tenant).await?;
    }
    Ok(Json(Runs { runs: page.runs.iter().map(Run::of).collect(), next: page.next }))
}

/// A run with its attempts, its chip and where its document is seen.
#[utoipa::path(get, path = "/v1/runs/{run}", tag = "runs", security(("operator" = [])),
    params(("run" = String, Path, description = "The run")), responses((status = 200, body = RunDetail), Looking))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(run): Path<String>,
) -> Result<Json<RunDetail>, Refusal> {
    api.run_for(&caller, Need::Look, &run).await?;
    Ok(Json(shown(&api.operate().run(&run).await?)))
}

/// Tries a run again: a dead letter or a skipped one is opened anew, a waiting or held one is sent now, a succeeded one
/// tells the shop its chip again.
#[utoipa::path(post, path = "/v1/runs/{run}/retry", tag = "runs", security(("operator" = [])),
    params(("run" = String, Path, description = "The run")), responses((status = 200, body = Run), Refusal))]
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(run): Path<String>,
) -> Result<Json<Run>, Refusal> {
    api.run_for(&caller, Need::Act, &run).await?;
    Ok(Json(Run::of(&api.operate().retry(&run).await?)))
}

/// Dead letters by cause: how many, whose they are, what to do.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "runs", security(("operator" = [])), params(Whose),
    responses((status = 200, body = Causes), Looking))]
pub(super) async fn dead_letters(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Query(whose): Query<Whose>,
) -> Result<Json<Causes>, Refusal> {
    standing_still(&api, &caller, &whose, RunState::DeadLettered).await
}

/// Held runs by cause: how many, whose they are, what they wait for.
#[utoipa::path(get, path = "/v1/held", tag = "runs", security(("operator" = [])), params(Whose),
    responses((status = 200, body = Causes), Looking))]
pub(super) async fn held(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Query(whose): Query<Whose>,
) -> Result<Json<Causes>, Refusal> {
    standing_still(&api, &caller, &whose, RunState::Held).await
}

async fn standing_still(api: &Api, caller: &SignedIn, whose: &Whose, state: RunState) -> Result<Json<Causes>, Refusal> {
    if let Some(tenant) = &whose.tenant {
        caller.sees(tenant)?;
    }
    if let Some(binding) = &whose.binding {
        api.binding_for(caller, Need::Look, binding).await?;
    }
    let operate = api.operate();
    let mut runs = match bindings_of(api, caller, whose).await? {
        None => operate.standing_still(state, None, STANDING_STILL_MAX).await?,
        Some(bindings) => {
            let mut runs = Vec::new();
            for binding in bindings {
                let left = STANDING_STILL_MAX.saturating_sub(runs.len());
                if left == 0 {
                    break;
                }
                runs.append(&mut operate.standing_still(state, Some(&binding), left).await?);
            }
            runs
        }
    };
    runs.retain(|run| {
        caller.0.sees(&run.tenant)
            && whose.tenant.as_ref().is_none_or(|tenant| *tenant == run.tenant)
            && whose.code.as_ref().is_none_or(|code| run.code.as_ref() == Some(code))
    });
    Ok(Json(Causes::of(&runs)))
}

/// The bindings whose runs are looked through; none: all of the stack. Whoever sees some tenants only is never read others'
/// runs, nor does a stack full of those push theirs out of the list.
async fn bindings_of(api: &Api, caller: &SignedIn, whose: &Whose) -> Result<Option<Vec<String>>, Refusal> {
    if let Some(binding) = &whose.binding {
        return Ok(Some(vec![binding.clone()]));
    }
    let tenants: Vec<&str> = match (&whose.tenant, caller.0.tenants()) {
        (Some(tenant), _) => vec![tenant],
        (None, Some(tenants)) => tenants.iter().map(String::as_str).collect(),
        (None, None) => return Ok(None),
    };
    let mut bindings = Vec::new();
    for tenant in tenants {
        let tenancy = api.store.tenancy(tenant).await?;
        bindings.extend(tenancy.into_iter().flat_map(|it| it.bindings).map(|row| row.binding));
    }
    Ok(Some(bindings))
}
