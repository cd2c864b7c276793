//! What a process remembers of tenants, so that a warm function does not read them for every event.
//!
//! A remembered *yes* may be used for a minute. A *no* never comes from memory: whoever is about to refuse or to hold
//! reads again first.

use crate::ports::{PortResult, Promotion, SealContext, Tenancy, Tenants, Vault};
use crate::presented::SignedUnder;
use ledger_dialects::Context;
use ledger_wire::rows::{BindingRow, SealedRow, TenantRow};
use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a tenant is remembered, in milliseconds.
pub const REMEMBERED_MS: i64 = 60_000;
/// How long the key before verifies after a new one came into use, in milliseconds (a day): what the shop had signed and
/// not sent yet is still good.
pub const PREVIOUS_KEPT_MS: i64 = 86_400_000;
/// Most tenants remembered; beyond that the memory is emptied.
const TENANTS_MAX: usize = 1_000;
/// Logical label of the store in sealing contexts: never a table's name, so that a restored table can be opened.
pub const SEAL_LABEL: &str = "tenants/v1";

/// A tenant with the moment of reading.
#[derive(Clone, Debug)]
pub struct Known {
    /// The tenant and its bindings.
    pub tenancy: Arc<Tenancy>,
    /// When it was read, in milliseconds.
    pub read_at: i64,
}

/// The memory.
#[derive(Debug, Default)]
pub struct TenantMemory {
    known: Mutex<HashMap<String, Known>>,
    heard: Mutex<HashMap<String, i64>>,
}

impl TenantMemory {
    /// What is known of a tenant, from memory if it was read within [`REMEMBERED_MS`], else read now.
    ///
    /// # Errors
    /// As the store.
    pub async fn tenant<S: Tenants + ?Sized>(&self, store: &S, tenant: &str, now: i64) -> PortResult<Option<Known>> {
        let remembered = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        if let Some(known) = remembered
            && now.saturating_sub(known.read_at) < REMEMBERED_MS
        {
            return Ok(Some(known));
        }
        self.read_again(store, tenant, now).await
    }

    /// True where this process has not noted within `every` milliseconds that it heard from a tenant's shop; from here on
    /// it has.
    pub fn notes_heard(&self, tenant: &str, now: i64, every: i64) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.get(tenant).is_some_and(|at| now.saturating_sub(*at) < every) {
            return false;
        }
        if heard.len() >= TENANTS_MAX {
            heard.clear();
        }
        heard.insert(tenant.to_owned(), now);
        true
    }

    /// Reads a tenant now, whatever is remembered.
    ///
    /// # Errors
    /// As the store.
    pub async fn read_again<S: Tenants + ?Sized>(
        &self,
        store: &S,
        tenant: &str,
        now: i64,
    ) -> PortResult<Option<Known>> {
        let read = store.tenancy(tenant).await?;
        let mut memory = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tenancy) = read else {
            memory.remove(tenant);
            return Ok(None);
        };
        if memory.len() >= TENANTS_MAX {
            memory.clear();
        }
        let known = Known { tenancy: Arc::new(tenancy), read_at: now };
        memory.insert(tenant.to_owned(), known.clone());
        Ok(Some(known))
    }
}

/// Where a tenant's shared key is sealed.
#[must_use]
pub fn api_key_context(tenant: &str) -> SealContext {
    SealContext { label: SEAL_LABEL, owner: tenant.to_owned(), attribute: "api_key" }
}

/// Where a binding's access token is sealed.
#[must_use]
pub fn access_token_context(binding: &str) -> SealContext {
    SealContext { label: SEAL_LABEL, owner: binding.to_owned(), attribute: "access_token" }
}

/// Where a binding's refresh token is sealed.
#[must_use]
pub fn refresh_token_context(binding: &str) -> SealContext {
    SealContext { label: SEAL_LABEL, owner: binding.to_owned(), attribute: "refresh_token" }
}

/// Where the access token of a grant that nobody has confirmed yet is sealed.
#[must_use]
pub fn pending_access_context(binding: &str) -> SealContext {
    SealContext { label: SEAL_LABEL, owner: binding.to_owned(), attribute: "pending_access_token" }
}

/// Where the refresh token of a grant that nobody has confirmed yet is sealed.
#[must_use]
pub fn pending_refresh_context(binding: &str) -> SealContext {
    SealContext { label: SEAL_LABEL, owner: binding.to_owned(), attribute: "pending_refresh_token" }
}

/// Where an app's secret is sealed; `owner` is the binding whose app it is, or the provider where it is the stack's.
#[must_use]
pub fn client_secret_context(owner: &str) -> SealContext {
    SealContext { label: SEAL_LABEL, owner: owner.to_owned(), attribute: "client_secret" }
}

/// Where the PKCE verifier of an authorisation under way is sealed; `state` is the fingerprint of its state.
#[must_use]
pub fn pkce_verifier_context(state: &str) -> SealContext {
    SealContext { label: SEAL_LABEL, owner: state.to_owned(), attribute: "pkce_verifier" }
}

/// What is done with a binding's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They are proven and planned, and shown; nothing is sent.
    Preview,
    /// They are posted.
    #[default]
    Live,
    /// They are held.
    Paused,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Preview, Self::Live, Self::Paused];

    /// The mode's name towards people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Live => "live",
            Self::Paused => "paused",
        }
    }

    /// The mode of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }

    /// As rows have it: live is nothing.
    #[must_use]
    pub const fn stored(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Preview | Self::Paused => self.as_str(),
        }
    }
}

/// The mode of a binding. Earlier versions had `paused` and `preview` among the statuses.
#[must_use]
pub fn mode_of(binding: &BindingRow) -> Mode {
    let stored = if binding.mode.is_empty() { &binding.status } else { &binding.mode };
    // A mode that no version wrote sends nothing.
    let unknown = if binding.mode.is_empty() { Mode::Live } else { Mode::Paused };
    Mode::parse(stored).unwrap_or(unknown)
}

/// The status of a binding, modes apart.
#[must_use]
pub fn status_of(binding: &BindingRow) -> &str {
    match binding.status.as_str() {
        "paused" | "preview" => "active",
        status => status,
    }
}

/// What a dialect needs of a binding. What the settings say of its organisation, and the key of a create, are the
/// caller's.
#[must_use]
pub fn context_of(binding: &BindingRow) -> Context {
    let organisation = binding.book.split_once(':').map_or("", |(_, organisation)| organisation);
    Context {
        base_url: binding.base_url.clone(),
        organisation: organisation.to_owned(),
        web_name: binding.web_name.clone(),
        ..Context::default()
    }
}

/// The sealed keys under which the shop's tokens verify at `now`: the current one, that of a pairing under way, and the
/// one before while its overlap lasts.
#[must_use]
pub fn verifying_keys(tenant: &TenantRow, now: i64) -> Vec<(SignedUnder, &SealedRow)> {
    let previous = tenant.previous_key.as_ref().filter(|_| tenant.previous_until.is_some_and(|until| now < until));
    [
        (SignedUnder::Current, tenant.current_key.as_ref()),
        (SignedUnder::Candidate, tenant.candidate_key.as_ref()),
        (SignedUnder::Previous, previous),
    ]
    .into_iter()
    .filter_map(|(under, key)| Some((under, key?)))
    .collect()
}

/// The promotion of a tenant's candidate, which the shop was seen to use.
#[must_use]
pub fn promotion(seen: &TenantRow, now: i64) -> Promotion {
    Promotion { seen: seen.clone(), now, previous_until: now.saturating_add(PREVIOUS_KEPT_MS) }
}

/// The key under which we speak to the shop.
///
/// # Errors
/// As the vault; `Ok(None)` where the tenant has none.
pub async fn speaking_key<V: Vault + ?Sized>(vault: &V, tenant: &TenantRow) -> PortResult<Option<SecretString>> {
    match tenant.current_key.as_ref().or(tenant.candidate_key.as_ref()) {
        None => Ok(None),
        Some(sealed) => vault.open(sealed, &api_key_context(&tenant.tenant)).await.map(Some),
    }
}
