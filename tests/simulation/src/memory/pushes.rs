//! What the push worker asks.

use super::rows::{Place, Row, Table};
use super::store::{MemoryStore, Open, Part};
use async_trait::async_trait;
use ledger_engine::ports::{ChipView, PortResult, PushWant, Pushes};
use ledger_wire::rows::{PushRow, ROW_VERSION, keys};
use std::collections::BTreeSet;

impl Open<'_> {
    /// Makes a chip's row, or raises its `wanted` and `dispatch`; what is not told stays.
    pub(super) fn push_wanted(&self, want: &PushWant) -> Part {
        let pk = keys::push(&want.tenant, &want.provider, &want.entity_type, want.magento_id);
        let there = self.seen::<PushRow>(&Place::push(&pk)).cloned().unwrap_or_default();
        let told = |told: &Option<String>, there: Option<String>| told.clone().or(there);
        Part::put(
            PushRow {
                pk,
                sk: keys::PUSH.to_owned(),
                v: ROW_VERSION,
                tenant: want.tenant.clone(),
                provider: want.provider.clone(),
                entity_type: want.entity_type.clone(),
                magento_id: want.magento_id,
                document_run: told(&want.document_run, there.document_run),
                payment_run: told(&want.payment_run, there.payment_run),
                xref: told(&want.xref, there.xref),
                wanted: there.wanted.saturating_add(1),
                dispatch: there.dispatch.saturating_add(1),
                failures: 0,
                due_at: Some(want.due_at),
                expires_at: Some(want.expires_at),
                ..there
            },
            true,
        )
    }

    /// Changes a chip's row, if `wanted` is still the one seen.
    fn push_changed(&mut self, push: &PushRow, change: impl FnOnce(&PushRow) -> PushRow) -> PortResult<bool> {
        let place = Place::push(&push.pk);
        let there = self.seen::<PushRow>(&place).filter(|there| there.wanted == push.wanted);
        let changed = there.map(change);
        self.one(Part::change(place, changed))
    }
}

#[async_trait]
impl Pushes for MemoryStore {
    async fn chip(&self, pk: &str) -> PortResult<Option<ChipView>> {
        let Some(push) = self.row::<PushRow>("store.chip", Place::push(pk)).await? else { return Ok(None) };
        let mut told = BTreeSet::new();
        let runs: Vec<&String> =
            [&push.document_run, &push.payment_run].into_iter().flatten().filter(|id| told.insert(*id)).collect();
        if runs.is_empty() && push.xref.is_none() {
            return Ok(Some(ChipView { push, runs: Vec::new(), xref: None }));
        }
        let (runs, xref) = self
            .call("store.chip.rows", |open| {
                let runs = runs.iter().filter_map(|id| open.get(&Place::run(id)).transpose());
                let runs = runs.collect::<PortResult<Vec<_>>>()?;
                let xref = push.xref.as_deref().map(|pk| open.get(&Place::xref(pk))).transpose()?;
                Ok((runs, xref.flatten()))
            })
            .await?;
        Ok(Some(ChipView { push, runs, xref }))
    }

    async fn pushed(&self, push: &PushRow, chip: &str, now: i64) -> PortResult<bool> {
        self.single("store.pushed", |open| {
            open.push_changed(push, |there| PushRow {
                pushed: push.wanted,
                chip: Some(chip.to_owned()),
                pushed_at: Some(now),
                failures: 0,
                due_shard: None,
                due_at: None,
                code: None,
                ..there.clone()
            })
        })
        .await
    }

    async fn put_off(&self, push: &PushRow, due_at: i64, code: &str) -> PortResult<()> {
        self.single("store.put_off", |open| {
            open.push_changed(push, |there| PushRow {
                due_at: Some(due_at),
                code: Some(code.to_owned()),
                failures: push.failures.saturating_add(1),
                ..there.clone()
            })
            .map(|_| ())
        })
        .await
    }

    async fn shop_refuses(&self, tenant: &str, now: i64) -> PortResult<()> {
        self.call("store.shop_refuses", |open| open.shop_refused(tenant, now)).await
    }
}

/// A chip's row at its place.
pub(super) fn replaced(open: &mut Open<'_>, seen: &PushRow, next: &PushRow) -> PortResult<bool> {
    let next = next.clone().into_written();
    let place = Place::new(Table::SyncRuns, next.pk.clone(), keys::PUSH);
    let there = open.seen::<PushRow>(&place);
    let as_seen = there.is_some_and(|there| there.dispatch == seen.dispatch && there.wanted == seen.wanted);
    let very_same = there == Some(&next);
    Ok(open.one(Part::put(next, as_seen))? || very_same)
}
