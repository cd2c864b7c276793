//! Status, retry and resync for platform administrators. An organization's id is a binding's, a record's a run's.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Path};
use crate::failure::{Looking, Refusal};
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use ledger_engine::jobs::{JobKind, NewJob};
use ledger_engine::operate::diagnose::event_of;
use ledger_wire::api::{IntegrationStatus, ResyncRequest, ResyncResponse, RetryRequest, RetryResponse};
use ledger_wire::rows::BindingRow;
use std::sync::Arc;

impl Api {
    async fn integration(
        &self,
        caller: &SignedIn,
        need: Need,
        provider: &str,
        organization: &str,
    ) -> Result<BindingRow, Refusal> {
        let binding = self.binding_for(caller, need, organization).await?;
        if binding.provider == provider { Ok(binding) } else { Err(Refusal::not_found("integration")) }
    }
}

/// How an integration fares.
#[utoipa::path(get, path = "/api/admin/integrations/{provider}/{organization_id}/status", tag = "diagnostics",
    security(("operator" = [])),
    params(("provider" = String, Path, description = "`xero`, `sage_accounting` or `freeagent`"),
        ("organization_id" = String, Path, description = "The binding")),
    responses((status = 200, body = IntegrationStatus), Looking))]
pub(super) async fn status(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path((provider, organization)): Path<(String, String)>,
) -> Result<Json<IntegrationStatus>, Refusal> {
    let binding = api.integration(&caller, Need::Look, &provider, &organization).await?;
    Ok(Json(api.operate().integration_status(&binding).await?))
}

/// Tries records again; one that succeeded tells the shop its state again.
#[utoipa::path(post, path = "/api/admin/integrations/{provider}/{organization_id}/retry", tag = "diagnostics",
    security(("operator" = [])),
    params(("provider" = String, Path, description = "`xero`, `sage_accounting` or `freeagent`"),
        ("organization_id" = String, Path, description = "The binding")),
    request_body = RetryRequest, responses((status = 200, body = RetryResponse), Refusal))]
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path((provider, organization)): Path<(String, String)>,
    Body(request): Body<RetryRequest>,
) -> Result<Json<RetryResponse>, Refusal> {
    let binding = api.integration(&caller, Need::Act, &provider, &organization).await?;
    let records = request.record_ids.as_deref();
    Ok(Json(api.operate().retry_records(&binding, request.sync_type, records).await?))
}

/// Carries everything since a moment over again, bit by bit: what is in the book tells the shop its state again, what is
/// not is tried again.
#[utoipa::path(post, path = "/api/admin/integrations/{provider}/{organization_id}/resync", tag = "diagnostics",
    security(("operator" = [])),
    params(("provider" = String, Path, description = "`xero`, `sage_accounting` or `freeagent`"),
        ("organization_id" = String, Path, description = "The binding")),
    request_body = ResyncRequest, responses((status = 200, body = ResyncResponse), Refusal))]
pub(super) async fn resync(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path((provider, organization)): Path<(String, String)>,
    Body(request): Body<ResyncRequest>,
) -> Result<Json<ResyncResponse>, Refusal> {
    let binding = api.integration(&caller, Need::Act, &provider, &organization).await?;
    let job = NewJob {
        tenant: binding.tenant.clone(),
        binding: binding.binding.clone(),
        kind: JobKind::Resync,
        operator: caller.0.subject.clone(),
        reason: None,
        events: request.sync_types.iter().map(|what| event_of(*what)).collect(),
        since: Some(super::moment_of(&request.since)?),
        entity: None,
        from_id: None,
        to_id: None,
    };
    let job = api.operate().start_job(&job).await?;
    Ok(Json(ResyncResponse { job: job.job, state: job.state }))
}
