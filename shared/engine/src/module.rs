//! What the shop's module asks: the status of an entity, the health of the tenant, to be disconnected, to be framed.
//!
//! Its token is the one of deliveries. A question changes nothing, so its token's id is not spent: whoever shows the token
//! again within its life gets the same answer. A disconnect spends it.
//!
//! Source: the published modules, `ByteClient` (`fetchStatus`, `fetchHealth`, `disconnect`) and `Block/Adminhtml/Sync/Iframe`.

use crate::config::Timers;
use crate::edges;
use crate::ports::{Clock, Counted, ModuleStore, PortFault, SpentToken, Vault};
use crate::presented::{Denied, Doorkeeper, Proven, SignedUnder};
use crate::push::{timestamp, told};
use crate::tenants::{Mode, TenantMemory, mode_of, status_of};
use ledger_domain::code::Code;
use ledger_domain::identity::{BindingId, Entity, Event, Provider, RunId, TenantId, fingerprint};
use ledger_domain::run::RunState;
use ledger_domain::shop_address::ShopAddress;
use ledger_wire::module::{EntityStatus, ProviderStatus, TileBinding, TileHealth, TileSync, TileTenant};
use ledger_wire::rows::{BindingRow, JtiRow, ROW_VERSION, RunRow, keys};

/// What a 503 asks the shop to wait, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 60;
/// Runs of a tenant that are looked at for the tile, the newest: a tile is asked for each half minute.
const TILE_RUNS_MAX: usize = 100;
/// Most runs of a binding that the tile counts, held or failed.
const TILE_COUNT_MAX: usize = 1_000;
/// The tile counts failures of this long, in milliseconds (24 hours).
const FAILED_WITHIN_MS: i64 = 86_400_000;

/// Why a question gets no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// 401: this token can never work. One wording for every reason.
    #[error("the token does not authorise this request")]
    Unauthorised,
    /// 503: try again after [`RETRY_AFTER_SECONDS`].
    #[error("not now; ask again later")]
    Later {
        /// Stable code.
        code: &'static str,
    },
    /// 400: this question can never be answered.
    #[error("{field}: {message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Stable code.
        code: &'static str,
        /// One sentence.
        message: String,
    },
}

impl ModuleError {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unauthorised => 401,
            Self::Later { .. } => 503,
            Self::Invalid { .. } => 400,
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorised => "unauthorised",
            Self::Later { code } | Self::Invalid { code, .. } => code,
        }
    }
}

impl From<Denied> for ModuleError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorised => Self::Unauthorised,
            Denied::Later(code) => Self::Later { code },
        }
    }
}

impl From<PortFault> for ModuleError {
    fn from(_: PortFault) -> Self {
        Self::Later { code: Code::StoreUnavailable.as_str() }
    }
}

/// What answering the module needs.
pub struct Module<'a> {
    /// The store.
    pub store: &'a dyn ModuleStore,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// Time.
    pub clock: &'a dyn Clock,
    /// What this process remembers.
    pub memory: &'a TenantMemory,
    /// The stack's timers.
    pub timers: &'a Timers,
}

impl Module<'_> {
    async fn proven(&self, authorization: Option<&str>, now: i64) -> Result<Proven, ModuleError> {
        let doorkeeper = Doorkeeper { store: self.store, vault: self.vault, memory: self.memory, timers: self.timers };
        Ok(doorkeeper.proven(authorization, None, now).await?)
    }

    /// What became of an entity: `invoice`, `creditmemo`, `customer`, `product`, or an `order` by what was invoiced and
    /// refunded of it.
    ///
    /// # Errors
    /// Whose token it is not, or what can't be asked.
    pub async fn status(
        &self,
        authorization: Option<&str>,
        entity_type: &str,
        entity_id: &str,
    ) -> Result<EntityStatus, ModuleError> {
        let now = self.clock.now_ms();
        let proven = self.proven(authorization, now).await?;
        let tenant = proven.presented.claims().sub.as_str();
        let id =
            entity_id.parse::<u32>().ok().filter(|id| *id > 0).map(u64::from).ok_or_else(|| ModuleError::Invalid {
                field: "entity_id",
                code: "invalid_format",
                message: "entity_id is not a positive whole number".to_owned(),
            })?;
        let bindings = &proven.known.tenancy.bindings;
        if entity_type == "order" {
            return self.order(tenant, bindings, id, now).await;
        }
        let entity = Entity::parse(entity_type).ok_or_else(|| ModuleError::Invalid {
            field: "entity_type",
            code: "unknown_entity_type",
            message: "entity_type is one of invoice, creditmemo, customer, product, order".to_owned(),
        })?;
        self.entity(tenant, bindings, entity, id, now).await
    }

    async fn order(
        &self,
        tenant: &str,
        bindings: &[BindingRow],
        id: u64,
        now: i64,
    ) -> Result<EntityStatus, ModuleError> {
        let mut documents = Vec::new();
        for (entity_type, document) in self.store.documents_of_order(tenant, id).await? {
            if let Some(entity) = Entity::parse(&entity_type) {
                documents.push(self.entity(tenant, bindings, entity, document, now).await?);
            }
        }
        Ok(EntityStatus {
            entity_type: "order".to_owned(),
            entity_id: id.to_string(),
            sync_status: worst(documents.iter().filter_map(|document| document.sync_status)),
            providers: Vec::new(),
            documents,
        })
    }

    async fn entity(
        &self,
        tenant: &str,
        bindings: &[BindingRow],
        entity: Entity,
        id: u64,
        now: i64,
    ) -> Result<EntityStatus, ModuleError> {
        let mut providers = Vec::new();
        for provider in Provider::ALL {
            let of_provider = bindings.iter().filter(|binding| binding.provider == provider.as_str());
            let bound: Vec<&BindingRow> = of_provider.collect();
            if !bound.is_empty() {
                providers.extend(self.in_provider(tenant, &bound, provider, entity, id, now).await?);
            }
        }
        let shown = providers.iter().filter_map(|it| known_status(&it.sync_status));
        Ok(EntityStatus {
            entity_type: entity.as_str().to_owned(),
            entity_id: id.to_string(),
            sync_status: worst(shown),
            providers,
            documents: Vec::new(),
        })
    }

    async fn in_provider(
        &self,
        tenant: &str,
        bindings: &[&BindingRow],
        provider: Provider,
        entity: Entity,
        id: u64,
        now: i64,
    ) -> Result<Option<ProviderStatus>, ModuleError> {
        let pending = || ProviderStatus {
            provider: provider.as_str().to_owned(),
            sync_status: "pending".to_owned(),
            ..ProviderStatus::default()
        };
        let pk = keys::push(tenant, provider.as_str(), entity.as_str(), id);
        let Some(view) = self.store.chip(&pk).await? else {
            // Nobody wanted a chip yet. A run that goes by its usual key can be found all the same.
            let runs: Vec<String> = bindings.iter().flat_map(|binding| usual_runs(binding, entity, id)).collect();
            let found = !runs.is_empty() && !self.store.runs_by_id(&runs).await?.is_empty();
            return Ok(found.then(pending));
        };
        let Some(state) = told(&view, self.timers, now) else { return Ok(Some(pending())) };
        Ok(Some(ProviderStatus {
            provider: state.provider,
            sync_status: state.sync_status,
            provider_entity_id: state.provider_entity_id,
            provider_reference: state.provider_reference,
            skip_reason: state.skip_reason,
            error_code: state.error_code,
            last_sync_at: view.push.pushed_at.map(timestamp),
        }))
    }

    /// How the tenant is.
    ///
    /// # Errors
    /// Whose token it is not.
    pub async fn tile(&self, authorization: Option<&str>) -> Result<TileHealth, ModuleError> {
        let now = self.clock.now_ms();
        let proven = self.proven(authorization, now).await?;
        // A person who has just mended something looks here.
        let tenant = proven.presented.claims().sub.as_str();
        let known = self.memory.read_again(self.store, tenant, now).await?.ok_or(ModuleError::Unauthorised)?;
        let bindings = &known.tenancy.bindings;
        let newest = self.store.newest_runs(tenant, TILE_RUNS_MAX).await?;
        let under_way =
            |run: &&RunRow| matches!(edges::state(run), RunState::Queued | RunState::Running | RunState::Waiting);
        let mut pending = u32::try_from(newest.iter().filter(under_way).count()).unwrap_or(u32::MAX);
        let mut failed = 0_u32;
        for binding in bindings {
            let counted = |state, from| Counted { state, binding: &binding.binding, from, limit: TILE_COUNT_MAX };
            let held = self.store.count_since(&counted(RunState::Held.as_str(), 0)).await?;
            pending = pending.saturating_add(held);
            let since = now.saturating_sub(FAILED_WITHIN_MS);
            let dead = self.store.count_since(&counted(RunState::DeadLettered.as_str(), since)).await?;
            failed = failed.saturating_add(dead);
        }
        let ended_well = newest.iter().filter(|run| edges::state(run).is_finished()).map(|run| run.updated_at).max();
        Ok(TileHealth {
            tenant: TileTenant { magento_connection_status: shown_status(&known.tenancy.tenant.status) },
            binding: shown_binding(bindings),
            sync: TileSync { pending_count: pending, failed_24h: failed, last_run_at: ended_well.map(moment) },
        })
    }

    /// The module disconnects: it deletes the key that all its providers share, so the whole shop is silent and asks for
    /// nothing. Bindings stay, runs are held until any provider is paired again. What the shop had signed before still
    /// verifies. Repeating the request changes nothing.
    ///
    /// # Errors
    /// Whose token it is not.
    pub async fn disconnect(&self, authorization: Option<&str>) -> Result<(), ModuleError> {
        let now = self.clock.now_ms();
        let proven = self.proven(authorization, now).await?;
        // The key before is only good for what was under way when a new one came.
        if proven.under == SignedUnder::Previous {
            return Err(ModuleError::Unauthorised);
        }
        let claims = proven.presented.claims();
        let jti = JtiRow {
            pk: keys::jti(&claims.sub, &claims.jti),
            sk: keys::JTI.to_owned(),
            v: ROW_VERSION,
            runs: Vec::new(),
            delivery_hash: hex::encode(fingerprint(&[b"disconnect"])),
            expires_at: claims.exp.saturating_add(self.timers.clock_skew_seconds).saturating_add(1),
        };
        match self.store.disconnect_shop(&claims.sub, &jti, now).await? {
            SpentToken::Done => tracing::warn!(tenant = %claims.sub, "the shop's module disconnected"),
            SpentToken::Before(spent) if spent.delivery_hash == jti.delivery_hash => {}
            SpentToken::Before(_) => return Err(ModuleError::Unauthorised),
        }
        self.memory.read_again(self.store, &claims.sub, now).await?;
        Ok(())
    }

    /// The one origin that may frame the tenant's page; `None`: nobody may. Whether there is such a tenant is not told.
    ///
    /// # Errors
    /// As the store.
    pub async fn framed_by(&self, tenant: &str) -> Result<Option<String>, ModuleError> {
        let Some(tenant) = TenantId::parse(tenant) else { return Ok(None) };
        let Some(known) = self.memory.tenant(self.store, tenant.as_str(), self.clock.now_ms()).await? else {
            return Ok(None);
        };
        let row = &known.tenancy.tenant;
        let paired = !matches!(row.status.as_str(), "pending" | "disconnected");
        Ok(ShopAddress::parse(&row.shop_url).ok().filter(|_| paired).map(|shop| shop.origin().to_owned()))
    }
}

/// The runs that the module's own keys give an entity; none where the body is part of a run's identity.
fn usual_runs(binding: &BindingRow, entity: Entity, id: u64) -> Vec<String> {
    let Some(binding) = BindingId::parse(&binding.binding) else { return Vec::new() };
    let of_entity = Event::ALL.into_iter().filter(|event| event.entity() == entity && !event.repeats_under_one_key());
    of_entity
        .map(|event| RunId::derive(&binding, event, &format!("{}:{id}", event.as_str()), &[]).to_string())
        .collect()
}

/// Chips from the worst to the best.
const WORST_FIRST: [&str; 4] = ["failed", "pending", "skipped", "synced"];

fn known_status(status: &str) -> Option<&'static str> {
    WORST_FIRST.into_iter().find(|name| *name == status)
}

fn worst(shown: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let place = |status: &&'static str| WORST_FIRST.iter().position(|name| name == status);
    shown.min_by_key(place)
}

/// A tenant's status as the modules know it. One that the module disconnected, or whose key is refused, has to be paired
/// again; a shop that is quiet is as well as any.
fn shown_status(status: &str) -> &'static str {
    match status {
        "connected" | "silent" => "active",
        "pending" => "pending",
        "token_revoked" | "disconnected" => "token_revoked",
        _ => "unknown",
    }
}

/// One binding for all: the one that most needs somebody, because the module shows it under every provider's name.
fn shown_binding(bindings: &[BindingRow]) -> TileBinding {
    const NEEDIEST_FIRST: [&str; 5] = ["needs_reconnect", "pending", "paused", "preview", "active"];
    // A connected book that nothing is posted to is told by its mode.
    let shown = |binding: &BindingRow| match (status_of(binding), mode_of(binding)) {
        ("active", mode @ (Mode::Paused | Mode::Preview)) => mode.as_str().to_owned(),
        (status, _) => status.to_owned(),
    };
    let place = |(status, _): &(String, &BindingRow)| {
        NEEDIEST_FIRST.iter().position(|it| it == status).unwrap_or(NEEDIEST_FIRST.len())
    };
    let told = bindings.iter().map(|binding| (shown(binding), binding)).min_by_key(place);
    told.map_or_else(TileBinding::default, |(status, binding)| TileBinding {
        status: Some(status),
        region: binding.settings.book_country.clone(),
    })
}

fn moment(now: i64) -> String {
    jiff::Timestamp::from_millisecond(now)
        .map(|moment| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_shown_first() {
        assert_eq!(worst(["synced", "skipped"].into_iter()), Some("skipped"));
        assert_eq!(worst(["synced", "failed", "pending"].into_iter()), Some("failed"));
        assert_eq!(worst(std::iter::empty()), None);
        let binding = |status: &str| BindingRow { status: status.to_owned(), ..BindingRow::default() };
        let shown =
            |statuses: &[&str]| shown_binding(&statuses.iter().map(|it| binding(it)).collect::<Vec<_>>()).status;
        assert_eq!(shown(&[]), None);
        assert_eq!(shown(&["active", "needs_reconnect", "pending"]).as_deref(), Some("needs_reconnect"));
        assert_eq!(shown(&["disconnected", "active"]).as_deref(), Some("active"));
        assert_eq!(shown(&["disconnected"]).as_deref(), Some("disconnected"));
        let in_mode = |status: &str, mode: &str| BindingRow { mode: mode.to_owned(), ..binding(status) };
        let of = |bindings: &[BindingRow]| shown_binding(bindings).status;
        assert_eq!(of(&[in_mode("active", "paused")]).as_deref(), Some("paused"));
        assert_eq!(of(&[binding("active"), in_mode("active", "preview")]).as_deref(), Some("preview"));
        assert_eq!(of(&[in_mode("active", "preview"), in_mode("active", "paused")]).as_deref(), Some("paused"));
        assert_eq!(of(&[in_mode("needs_reconnect", "paused")]).as_deref(), Some("needs_reconnect"));
        assert_eq!(of(&[in_mode("pending", "preview")]).as_deref(), Some("pending"));
        assert_eq!(of(&[binding("paused"), binding("active")]).as_deref(), Some("paused"), "of an earlier version");
    }

    #[test]
    fn the_module_knows_four_statuses() {
        let check = |status, shown| assert_eq!(shown_status(status), shown, "{status}");
        check("connected", "active");
        check("silent", "active");
        check("unreachable", "unknown");
        check("disconnected", "token_revoked");
        check("token_revoked", "token_revoked");
        check("pending", "pending");
    }
}
