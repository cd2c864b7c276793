//! Pairing with shops.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Query};
use crate::failure::Refusal;
use crate::state::{Api, PublicUrl};
use axum::Json;
use axum::extract::State;
use ledger_engine::connect::pairing::{NewPairing, PairingError};
use ledger_wire::api::{Binding, PairRequest, Paired, Tenant};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// The provider whose module shows the code where none is named: the first one of the modules.
const PROVIDER: &str = "sage_accounting";

/// For which provider.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `xero`, `sage_accounting` or `freeagent`; `sage_accounting` where it is missing.
    provider: Option<String>,
}

impl From<PairingError> for Refusal {
    fn from(error: PairingError) -> Self {
        match error {
            PairingError::Invalid { field, code, message } => Self::field(field, code, message),
            PairingError::NotFound(what) => Self::not_found(what),
            PairingError::Forbidden => Self::forbidden(),
            PairingError::NotNow { code, message } => Self::conflict(code, message),
            PairingError::Port(fault) => fault.into(),
        }
    }
}

/// Pairs a shop by the code that its configuration page shows. A shop that is known keeps its tenant.
#[utoipa::path(post, path = "/v1/magento/connect", tag = "tenants", security(("operator" = [])), params(Which),
    request_body = PairRequest, responses((status = 200, body = Paired), Refusal))]
pub(super) async fn connect(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    public: PublicUrl,
    Query(which): Query<Which>,
    Body(request): Body<PairRequest>,
) -> Result<Json<Paired>, Refusal> {
    caller.operates()?;
    let allowed: Option<Vec<String>> = caller.0.tenants().map(|tenants| tenants.iter().cloned().collect());
    let code = request.pairing_code.into();
    let paired = api
        .pairing()
        .connect(&NewPairing {
            provider: which.provider.as_deref().unwrap_or(PROVIDER),
            magento_base_url: &request.magento_base_url,
            pairing_code: &code,
            public_url: &public.0,
            operator: &caller.0.subject,
            allowed_tenants: allowed.as_deref(),
        })
        .await?;
    let tenancy = api.tenancy_for(&caller, Need::Look, &paired.tenant.tenant).await?;
    Ok(Json(Paired {
        tenant: Tenant::of(&tenancy.tenant, &tenancy.bindings),
        binding: Binding::of(&paired.binding),
        made_tenant: paired.made_tenant,
        made_key: paired.made_key,
        answers: paired.answers,
    }))
}
