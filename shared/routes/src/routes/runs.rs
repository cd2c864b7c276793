//! What was carried over, and what stands still.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Path, Query};
use crate::failure::{Looking, Refusal};
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use ledger_engine::domain::code::{Code, Family};
use ledger_engine::domain::identity::Event;
use ledger_engine::domain::run::RunState;
use ledger_engine::operate::{Kin, LIST_MAX, REQUEUE_MAX, Requeued as Done, RunDetail as Detail, RunFilter};
use ledger_wire::api::{
    Attempt, BookRefusals, Causes, Chip, Codes, NotRequeued, RequeueRequest, Requeued, Run, RunDetail, Runs,
};
use ledger_wire::rows::RunRow;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Runs of a list where no limit is named.
const LIMIT: u16 = 50;
/// Most refusals that no rule recognised, shown at once.
const REFUSALS_MAX: usize = 1_000;
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
    /// Only with a code of this family.
    family: Option<String>,
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

fn family_of(text: &str) -> Result<Family, Refusal> {
    Family::parse(text).ok_or_else(|| Refusal::field("family", "invalid", "not a family of codes"))
}

/// Tries dead letters of a kind again, once what was wrong with them is mended; at most a hundred in one request, and `more`
/// says whether to ask again.
#[utoipa::path(post, path = "/v1/dead-letters/requeue", tag = "runs", security(("operator" = [])),
    request_body = RequeueRequest, responses((status = 200, body = Requeued), Refusal))]
pub(super) async fn requeue(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Body(request): Body<RequeueRequest>,
) -> Result<Json<Requeued>, Refusal> {
    caller.operates()?;
    let kin = match (request.code.as_deref(), request.family.as_deref()) {
        (Some(code), None) => {
            Kin::Code(Code::parse(code).ok_or_else(|| Refusal::field("code", "invalid", "not a code"))?)
        }
        (None, Some(family)) => Kin::Family(family_of(family)?),
        (None, None) | (Some(_), Some(_)) => {
            return Err(Refusal::field("code", "required", "either a code or a family has to be named"));
        }
    };
    if let Some(tenant) = &request.tenant {
        caller.acts_on(tenant)?;
    }
    if let Some(binding) = &request.binding {
        api.binding_for(&caller, Need::Act, binding).await?;
    }
    let may = |run: &RunRow| {
        caller.0.acts_on(&run.tenant) && request.tenant.as_ref().is_none_or(|tenant| *tenant == run.tenant)
    };
    let operate = api.operate();
    let done = match bindings_of(&api, &caller, request.tenant.as_deref(), request.binding.as_deref()).await? {
        None => operate.requeue(kin, None, REQUEUE_MAX, &may).await?,
        Some(bindings) => {
            let mut done = Done::default();
            for binding in bindings {
                let left = REQUEUE_MAX.saturating_sub(done.runs.len()).saturating_sub(done.refused.len());
                // With nothing left it is still asked whether there are more.
                let part = operate.requeue(kin, Some(&binding), left, &may).await?;
                done.runs.extend(part.runs);
                done.refused.extend(part.refused);
                done.more = done.more || part.more;
                if done.more {
                    break;
                }
            }
            done
        }
    };
    let refused = |(run, reason): &(RunRow, String)| NotRequeued { run: run.run_id.clone(), reason: reason.clone() };
    Ok(Json(Requeued {
        runs: done.runs.iter().map(Run::of).collect(),
        refused: done.refused.iter().map(refused).collect(),
        more: done.more,
    }))
}

/// Refusals of books that no rule recognised, counted by status, the provider's own code and field.
#[utoipa::path(get, path = "/v1/refusals", tag = "runs", security(("operator" = [])),
    responses((status = 200, body = BookRefusals), Looking))]
pub(super) async fn refusals(State(api): State<Arc<Api>>, caller: SignedIn) -> Result<Json<BookRefusals>, Refusal> {
    let rows = api.store.refusals(REFUSALS_MAX).await?;
    Ok(Json(BookRefusals::of(&rows, |tenant| caller.0.sees(tenant))))
}

/// Every code: what it means, its family, whose it is, what to do.
#[utoipa::path(get, path = "/v1/codes", tag = "runs", security(("operator" = [])),
    responses((status = 200, body = Codes), Looking))]
pub(super) async fn codes(_caller: SignedIn) -> Json<Codes> {
    Json(Codes::all())
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
    let family = whose.family.as_deref().map(family_of).transpose()?;
    let meant = |code: &str| {
        whose.code.as_deref().is_none_or(|wanted| wanted == code)
            && family.is_none_or(|family| Kin::Family(family).means(code))
    };
    let operate = api.operate();
    let mut runs = match bindings_of(api, caller, whose.tenant.as_deref(), whose.binding.as_deref()).await? {
        None => operate.standing_still_for(state, None, &meant, STANDING_STILL_MAX).await?,
        Some(bindings) => {
            let mut runs = Vec::new();
            for binding in bindings {
                let left = STANDING_STILL_MAX.saturating_sub(runs.len());
                if left == 0 {
                    break;
                }
                runs.append(&mut operate.standing_still_for(state, Some(&binding), &meant, left).await?);
            }
            runs
        }
    };
    runs.retain(|run| caller.0.sees(&run.tenant) && whose.tenant.as_ref().is_none_or(|tenant| *tenant == run.tenant));
    Ok(Json(Causes::of(&runs)))
}

/// The bindings whose runs are looked through; none: all of the stack. Whoever sees some tenants only is never read others'
/// runs, nor does a stack full of those push theirs out of the list.
async fn bindings_of(
    api: &Api,
    caller: &SignedIn,
    tenant: Option<&str>,
    binding: Option<&str>,
) -> Result<Option<Vec<String>>, Refusal> {
    if let Some(binding) = binding {
        return Ok(Some(vec![binding.to_owned()]));
    }
    let tenants: Vec<&str> = match (tenant, caller.0.tenants()) {
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
