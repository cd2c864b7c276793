//! Lists of runs: of a tenant, filtered; and those that stand still.

use super::{Operate, OperateError};
use crate::edges;
use crate::ports::{PortFault, RunPage, StateEntry};
use ledger_domain::run::RunState;
use ledger_wire::rows::RunRow;

/// Runs of one page of the store.
const PAGE: usize = 100;
/// Most pages that one filtered list reads; then it says where to go on.
const PAGES_MAX: usize = 20;
/// Most runs of a list.
pub const LIST_MAX: usize = 1_000;

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
        let prefix = binding.map(|binding| format!("{binding}#")).unwrap_or_default();
        let mut found = Vec::new();
        let mut after: Option<StateEntry> = None;
        loop {
            let page = self.store.by_state(state.as_str(), &prefix, after.as_ref(), PAGE).await?;
            for entry in &page {
                if let Some(run) = self.store.run(&entry.pk).await?
                    && edges::state(&run) == state
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
