//! Lists of runs: of a tenant, filtered; and those that stand still.

use super::{Operate, OperateError};
use crate::edges;
use crate::ports::{PortFault, RunPage, StateEntry};
use ledger_domain::code::{Code, Family};
use ledger_domain::run::RunState;
use ledger_wire::rows::RunRow;

/// Runs of one page of the store.
const PAGE: usize = 100;
/// Most pages that one filtered list reads; then it says where to go on.
const PAGES_MAX: usize = 20;
/// Most runs of a list.
pub const LIST_MAX: usize = 1_000;
/// Most dead letters that are opened again at once: so many a book works through in a few minutes.
pub const REQUEUE_MAX: usize = 100;

/// Which runs of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// In this state.
    pub state: Option<String>,
    /// Of this event.
    pub event: Option<String>,
    /// Of this binding.
    pub binding: Option<String>,
    /// With this code.
    pub code: Option<String>,
    /// Of this entity of the shop.
    pub magento_id: Option<u64>,
}

/// Which dead letters: those with a code, or of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// With this code.
    Code(Code),
    /// With a code of this family.
    Family(Family),
}

impl Kin {
    /// True for a code that is meant.
    #[must_use]
    pub fn means(self, code: &str) -> bool {
        match self {
            Self::Code(meant) => meant.as_str() == code,
            Self::Family(family) => Code::parse(code).is_some_and(|code| code.family() == family),
        }
    }
}

/// What became of dead letters that were opened again together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requeued {
    /// Those that are sent again.
    pub runs: Vec<RunRow>,
    /// Those that are not, and why: they went on meanwhile, or have no worker.
    pub refused: Vec<(RunRow, String)>,
    /// True where there are more.
    pub more: bool,
}

impl RunFilter {
    fn admits(&self, run: &RunRow) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&self.state, &run.state)
            && same(&self.event, &run.event)
            && same(&self.binding, &run.binding)
            && same(&self.code, run.code.as_deref().unwrap_or_default())
            && self.magento_id.is_none_or(|wanted| wanted == run.magento_id)
    }
}

impl Operate<'_> {
    /// Opens at most so many dead letters of a kind again that `may` says yes to, oldest first within a binding: what was
    /// wrong with them is mended.
    ///
    /// # Errors
    /// As the store. What was done until then stays done, and is not done again by the same call.
    pub async fn requeue(
        &self,
        kin: Kin,
        binding: Option<&str>,
        most: usize,
        may: &(dyn Fn(&RunRow) -> bool + Sync),
    ) -> Result<Requeued, OperateError> {
        let meant = |code: &str| kin.means(code);
        let found = self.standing_still_for(RunState::DeadLettered, binding, &meant, LIST_MAX).await?;
        let mut done = Requeued::default();
        for run in found.into_iter().filter(|run| may(run)) {
            if done.runs.len().saturating_add(done.refused.len()) >= most {
                done.more = true;
                break;
            }
            match self.retry(&run.run_id).await {
                Ok(run) => done.runs.push(run),
                Err(OperateError::Port(fault)) => return Err(fault.into()),
                Err(error) => done.refused.push((run, error.to_string())),
            }
        }
        Ok(done)
    }

    /// Runs of a tenant that the filter admits, newest first, from a cursor on. A page may be short of `limit` though
    /// there are more: its cursor says so.
    ///
    /// # Errors
    /// A cursor that is none; as the store.
    pub async fn list(
        &self,
        tenant: &str,
        filter: &RunFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<RunPage, OperateError> {
        let limit = limit.clamp(1, LIST_MAX);
        let mut page = RunPage { runs: Vec::new(), next: after.map(str::to_owned) };
        for _ in 0..PAGES_MAX {
            let before = page.next.take();
            let left = limit.saturating_sub(page.runs.len());
            let size = if *filter == RunFilter::default() { left.min(PAGE) } else { PAGE };
            let found = self.page(tenant, before.as_deref(), size, after).await?;
            let mut looked_at = 0_usize;
            for run in &found.runs {
                if page.runs.len() >= limit {
                    break;
                }
                looked_at = looked_at.saturating_add(1);
                if filter.admits(run) {
                    page.runs.push(run.clone());
                }
            }
            page.next = if looked_at < found.runs.len() {
                // The rest belongs to the next list: ask where it begins.
                self.page(tenant, before.as_deref(), looked_at, after).await?.next
            } else {
                found.next
            };
            if page.runs.len() >= limit || page.next.is_none() {
                break;
            }
        }
        Ok(page)
    }

    async fn page(
        &self,
        tenant: &str,
        mark: Option<&str>,
        size: usize,
        given: Option<&str>,
    ) -> Result<RunPage, OperateError> {
        self.store.runs(tenant, mark, size).await.map_err(|fault| match fault {
            PortFault::Inconsistent(_) if mark.is_some() && mark == given => {
                super::invalid("after", "not the cursor of an earlier list")
            }
            fault @ (PortFault::Inconsistent(_) | PortFault::Unavailable(_)) => fault.into(),
        })
    }

    /// Runs in a state that the index keeps (held, dead-lettered), oldest first within a binding; of one binding where it
    /// is named. At most `most`.
    ///
    /// # Errors
    /// As the store.
    pub async fn standing_still(
        &self,
        state: RunState,
        binding: Option<&str>,
        most: usize,
    ) -> Result<Vec<RunRow>, OperateError> {
        self.standing_still_for(state, binding, &|_| true, most).await
    }

    /// The same, with codes that `meant` says yes to: others are not even read.
    ///
    /// # Errors
    /// As the store.
    pub async fn standing_still_for(
        &self,
        state: RunState,
        binding: Option<&str>,
        meant: &(dyn Fn(&str) -> bool + Sync),
        most: usize,
    ) -> Result<Vec<RunRow>, OperateError> {
        let prefix = binding.map(|binding| format!("{binding}#")).unwrap_or_default();
        let mut found = Vec::new();
        let mut after: Option<StateEntry> = None;
        loop {
            let page = self.store.by_state(state.as_str(), &prefix, after.as_ref(), PAGE).await?;
            for entry in page.iter().filter(|entry| meant(&entry.code)) {
                if let Some(run) = self.store.run(&entry.pk).await?
                    && edges::state(&run) == state
                    && meant(run.code.as_deref().unwrap_or_default())
                {
                    found.push(run);
                }
                if found.len() >= most {
                    return Ok(found);
                }
            }
            if page.len() < PAGE {
                return Ok(found);
            }
            after = page.last().cloned();
        }
    }
}
