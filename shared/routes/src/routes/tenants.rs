//! Shops and their bindings.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Path, Query};
use crate::failure::{Looking, Refusal};
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use ledger_engine::domain::identity::TenantId;
use ledger_wire::api::{Binding, Bindings, Me, NewBindingRequest, Stack, Tenant, Tenants, moment};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Tenants of a page.
const TENANTS: usize = 50;

/// Who is signed in, and what they may.
#[utoipa::path(get, path = "/v1/me", tag = "tenants", security(("operator" = [])), responses((status = 200, body = Me), Looking))]
pub(super) async fn me(caller: SignedIn) -> Json<Me> {
    Json(Me {
        subject: caller.0.subject.clone(),
        role: caller.0.role.as_str().to_owned(),
        tenants: caller.0.tenants().map(|tenants| tenants.iter().cloned().collect()),
    })
}

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// The `next` of the page before.
    after: Option<String>,
}

/// The tenants that the caller may see, each with its bindings, fifty a page.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", security(("operator" = [])), params(After),
    responses((status = 200, body = Tenants), Refusal))]
pub(super) async fn tenants(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Query(which): Query<After>,
) -> Result<Json<Tenants>, Refusal> {
    let after = which.after.as_deref();
    if after.is_some_and(|after| TenantId::parse(after).is_none()) {
        return Err(Refusal::field("after", "invalid", "not the mark of a page"));
    }
    let ids = match caller.0.tenants() {
        None => api.store.tenants(after, TENANTS).await?,
        Some(own) => {
            let behind = |id: &&String| after.is_none_or(|after| id.as_str() > after);
            own.iter().filter(behind).take(TENANTS).cloned().collect()
        }
    };
    let next = ids.last().filter(|_| ids.len() == TENANTS).cloned();
    let mut tenants = Vec::new();
    for tenancy in futures::future::join_all(ids.iter().map(|id| api.store.tenancy(id))).await {
        tenants.extend(tenancy?.map(|it| Tenant::of(&it.tenant, &it.bindings)));
    }
    Ok(Json(Tenants { tenants, next }))
}

/// How the stack is as a whole: whether its sweeper runs, and whether work waits for longer than it should.
#[utoipa::path(get, path = "/v1/stack", tag = "tenants", security(("operator" = [])),
    responses((status = 200, body = Stack), Looking))]
pub(super) async fn stack(State(api): State<Arc<Api>>, _caller: SignedIn) -> Result<Json<Stack>, Refusal> {
    let now = api.clock.now_ms();
    let sweep = api.store.last_sweep().await?;
    Ok(Json(sweep.map_or_else(Stack::default, |sweep| Stack {
        last_sweep: Some(moment(sweep.at)),
        last_sweep_age_seconds: Some(now.saturating_sub(sweep.at).max(0).div_euclid(1_000)),
        oldest_due_age_seconds: Some(sweep.oldest_due_age_seconds),
        failures: Some(sweep.failures),
    })))
}

/// A tenant with its bindings.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "tenants", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")), responses((status = 200, body = Tenant), Looking))]
pub(super) async fn tenant(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(tenant): Path<String>,
) -> Result<Json<Tenant>, Refusal> {
    let tenancy = api.tenancy_for(&caller, Need::Look, &tenant).await?;
    Ok(Json(Tenant::of(&tenancy.tenant, &tenancy.bindings)))
}

/// A tenant's bindings.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/bindings", tag = "tenants", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")), responses((status = 200, body = Bindings), Looking))]
pub(super) async fn bindings(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(tenant): Path<String>,
) -> Result<Json<Bindings>, Refusal> {
    let tenancy = api.tenancy_for(&caller, Need::Look, &tenant).await?;
    Ok(Json(Bindings { bindings: tenancy.bindings.iter().map(Binding::of).collect() }))
}

/// Makes another binding of a provider, for another organisation: without a book, settings or cross-references. Every
/// binding of that provider has to be disconnected.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/bindings", tag = "tenants", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")), request_body = NewBindingRequest,
    responses((status = 200, body = Binding), Refusal))]
pub(super) async fn new_binding(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(tenant): Path<String>,
    Body(request): Body<NewBindingRequest>,
) -> Result<Json<Binding>, Refusal> {
    api.tenancy_for(&caller, Need::Act, &tenant).await?;
    let made = api.pairing().new_binding(&tenant, &request.provider, &caller.0.subject, None).await?;
    Ok(Json(Binding::of(&made)))
}

/// A binding.
#[utoipa::path(get, path = "/v1/bindings/{binding}", tag = "tenants", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), responses((status = 200, body = Binding), Looking))]
pub(super) async fn binding(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<Binding>, Refusal> {
    Ok(Json(Binding::of(&api.binding_for(&caller, Need::Look, &binding).await?)))
}
