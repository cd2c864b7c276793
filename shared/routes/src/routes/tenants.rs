//! Shops and their bindings.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Path};
use crate::failure::{Looking, Refusal};
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use ledger_wire::api::{Binding, Bindings, Me, NewBindingRequest, Tenant};
use std::sync::Arc;

/// Who is signed in, and what they may.
#[utoipa::path(get, path = "/v1/me", tag = "tenants", security(("operator" = [])), responses((status = 200, body = Me), Looking))]
pub(super) async fn me(caller: SignedIn) -> Json<Me> {
    Json(Me {
        subject: caller.0.subject.clone(),
        role: caller.0.role.as_str().to_owned(),
        tenants: caller.0.tenants().map(|tenants| tenants.iter().cloned().collect()),
    })
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
