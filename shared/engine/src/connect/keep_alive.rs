//! Idle grants lapse: one that nobody used for long is renewed by the sweeper.

use super::authority::Authority;
use super::grant::{GrantOf, Grants, LEAST_LEFT_MS};
use crate::config::milliseconds;
use crate::ports::{Agenda, PortResult};
use ledger_domain::fault::Action;
use ledger_domain::identity::Provider;
use ledger_wire::rows::AgendaRow;

/// The agenda's kind of entry.
pub const KEEP_ALIVE: &str = "keep_alive";
/// How long a grant that could not be renewed is left alone, in milliseconds.
const AGAIN_MS: i64 = 3_600_000;
/// How long after its begin a sweep still begins to renew, in milliseconds: the rest of its time is the runs'.
const PATIENCE_MS: i64 = 15_000;

/// The entry that has a binding's grant renewed, where nobody did meanwhile. Owner: `<tenant>/<binding>`.
#[must_use]
pub fn entry(provider: Provider, tenant: &str, binding: &str, refreshed_at: i64) -> AgendaRow {
    AgendaRow::new(KEEP_ALIVE, &format!("{tenant}/{binding}"), due_at(provider, refreshed_at))
}

fn due_at(provider: Provider, refreshed_at: i64) -> i64 {
    refreshed_at.saturating_add(milliseconds(Authority::of(provider).keep_alive_seconds))
}

/// What a keep-alive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The grant was renewed.
    Renewed,
    /// Somebody used it meanwhile, or nobody can renew it now: it is looked at again later.
    Later,
    /// There is nothing to renew any more.
    Gone,
    /// Too little time is left of this sweep.
    NoTime,
}

/// Keeps grants alive.
pub struct KeepAlive<'a> {
    /// The agenda.
    pub agenda: &'a dyn Agenda,
    /// How grants are renewed.
    pub grants: Grants<'a>,
}

impl KeepAlive<'_> {
    /// Does what an entry of the agenda asks; the next entry is written before this one goes. `began_at` is when the
    /// sweep began: renewing takes time that its other work needs.
    ///
    /// # Errors
    /// As the store; the entry stays.
    pub async fn due(&self, row: &AgendaRow, began_at: i64, deadline: i64) -> PortResult<Kept> {
        let now = self.grants.clock.now_ms();
        if now.saturating_sub(began_at) > PATIENCE_MS || deadline.saturating_sub(now) < LEAST_LEFT_MS {
            return Ok(Kept::NoTime);
        }
        let (kept, next) = self.kept(row, deadline).await?;
        if let Some(next) = next {
            self.agenda.agenda_put(&next).await?;
        }
        self.agenda.agenda_remove(row).await?;
        Ok(kept)
    }

    async fn kept(&self, row: &AgendaRow, deadline: i64) -> PortResult<(Kept, Option<AgendaRow>)> {
        let gone = (Kept::Gone, None);
        let Some((tenant, id)) = row.owner.rsplit_once('/') else { return Ok(gone) };
        let store = self.grants.store;
        let Some(tenancy) = store.tenancy(tenant).await? else { return Ok(gone) };
        let Some(binding) = tenancy.bindings.iter().find(|row| row.binding == id) else { return Ok(gone) };
        let Some(provider) = Provider::parse(&binding.provider) else { return Ok(gone) };
        if matches!(binding.status.as_str(), "disconnected" | "needs_reconnect") {
            return Ok(gone);
        }
        let Some(grant) = store.grant(&binding.binding).await?.filter(|grant| grant.refresh.is_some()) else {
            return Ok(gone);
        };
        let now = self.grants.clock.now_ms();
        let refreshed_at = grant.refreshed_at.unwrap_or_default();
        let entry_of = |refreshed_at: i64| entry(provider, tenant, &binding.binding, refreshed_at);
        if due_at(provider, refreshed_at) > now {
            return Ok((Kept::Later, Some(entry_of(refreshed_at))));
        }
        let of = GrantOf { tenant, binding: &binding.binding, provider };
        match self.grants.renew(of, &grant, deadline).await {
            Ok(_) => Ok((Kept::Renewed, Some(entry_of(self.grants.clock.now_ms())))),
            Err(fault) if fault.action == Action::Reconnect => Ok(gone),
            Err(fault) => {
                tracing::warn!(tenant, binding = %binding.binding, provider = provider.as_str(), code = fault.code.as_str(), "grant not renewed");
                let again = AgendaRow::new(KEEP_ALIVE, &row.owner, now.saturating_add(AGAIN_MS));
                Ok((Kept::Later, Some(again)))
            }
        }
    }
}
