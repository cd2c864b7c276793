//! Who asks, and what they may.

use crate::failure::Refusal;
use crate::state::Api;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use ledger_engine::domain::identity::{BindingId, TenantId};
use ledger_engine::ports::Tenancy;
use ledger_engine::signin::{Caller, Role};
use ledger_wire::rows::{BindingRow, RunRow};
use std::sync::{Arc, OnceLock};

/// The issuer's id of whoever asked, for the log: empty until a route has found out.
#[derive(Clone, Default)]
pub(crate) struct Subject(pub(crate) Arc<OnceLock<String>>);

/// An operator who is signed in.
pub(crate) struct SignedIn(pub(crate) Caller);

impl FromRequestParts<Arc<Api>> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Refusal> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let caller = api.sign_in.caller(header, &*api.issuer_keys, &*api.clock).await?;
        if let Some(subject) = parts.extensions.get::<Subject>() {
            // Nobody else asks within the same request; if they did, the first counts.
            let _ = subject.0.set(caller.subject.clone());
        }
        Ok(Self(caller))
    }
}

impl SignedIn {
    /// An administrator.
    pub(crate) fn administers(&self) -> Result<(), Refusal> {
        if self.0.role == Role::Admin { Ok(()) } else { Err(Refusal::forbidden()) }
    }

    /// May act on some tenant; which, the use case says.
    pub(crate) fn operates(&self) -> Result<(), Refusal> {
        if self.0.role >= Role::Operator { Ok(()) } else { Err(Refusal::forbidden()) }
    }

    /// May look at a tenant.
    pub(crate) fn sees(&self, tenant: &str) -> Result<(), Refusal> {
        if TenantId::parse(tenant).is_none() {
            return Err(Refusal::field("tenant", "invalid_format", "not a tenant's id"));
        }
        if self.0.sees(tenant) { Ok(()) } else { Err(Refusal::forbidden()) }
    }

    /// May act on a tenant.
    pub(crate) fn acts_on(&self, tenant: &str) -> Result<(), Refusal> {
        self.sees(tenant)?;
        if self.0.acts_on(tenant) { Ok(()) } else { Err(Refusal::forbidden()) }
    }

    /// May do this to a tenant.
    pub(crate) fn may(&self, what: Need, tenant: &str) -> Result<(), Refusal> {
        match what {
            Need::Look => self.sees(tenant),
            Need::Act => self.acts_on(tenant),
        }
    }
}

/// What a route needs of the caller's role.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// To look.
    Look,
    /// To act.
    Act,
}

impl Api {
    /// A tenant with its bindings, for a caller who may.
    pub(crate) async fn tenancy_for(&self, caller: &SignedIn, need: Need, tenant: &str) -> Result<Tenancy, Refusal> {
        caller.may(need, tenant)?;
        self.store.tenancy(tenant).await?.ok_or_else(|| Refusal::not_found("tenant"))
    }

    /// A binding, for a caller who may.
    pub(crate) async fn binding_for(
        &self,
        caller: &SignedIn,
        need: Need,
        binding: &str,
    ) -> Result<BindingRow, Refusal> {
        if BindingId::parse(binding).is_none() {
            return Err(Refusal::field("binding", "invalid_format", "not a binding's id"));
        }
        // Whose a binding is, is nobody's business who may not see its tenant.
        let unknown = || Refusal::not_found("binding");
        let tenant = self.store.tenant_of(binding).await?.ok_or_else(unknown)?;
        if !caller.0.sees(&tenant) {
            return Err(unknown());
        }
        caller.may(need, &tenant)?;
        let tenancy = self.store.tenancy(&tenant).await?.ok_or_else(unknown)?;
        tenancy.bindings.into_iter().find(|row| row.binding == binding).ok_or_else(unknown)
    }

    /// A run, for a caller who may.
    pub(crate) async fn run_for(&self, caller: &SignedIn, need: Need, run: &str) -> Result<RunRow, Refusal> {
        let row = self.operate().run_row(run).await?;
        if !caller.0.sees(&row.tenant) {
            return Err(Refusal::not_found("run"));
        }
        caller.may(need, &row.tenant)?;
        Ok(row)
    }
}
