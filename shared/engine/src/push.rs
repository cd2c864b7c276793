//! Telling the shop what became of an entity. The chip is computed when it is pushed, so pushes may be lost, doubled or
//! out of order.

use crate::config::{Timers, milliseconds};
use crate::edges;
use crate::ingest::shop_why_held;
use crate::ports::{Chance, ChipView, Clock, Pushes, Shop, Vault};
use crate::post::Disposition;
use crate::shop::{ShopAnswer, ShopPorts, note_reach};
use crate::tenants::{Known, TenantMemory};
use ledger_domain::code::Code;
use ledger_domain::fault::{Action, Fault};
use ledger_domain::retry;
use ledger_domain::run::{ChipStatus, RunState, RunView, chip};
use ledger_wire::magento::SyncState;
use ledger_wire::message::PushMessage;
use ledger_wire::rows::{RunRow, keys};

/// Width of the shop's columns for ids, references and codes; Magento cuts silently.
const SHOP_COLUMN: usize = 64;
/// Path of the shop's route for chips.
const SYNC_STATE_PATH: &str = "/rest/V1/byte8/sync-state";

/// What a push needs.
pub struct Push<'a> {
    /// The store.
    pub store: &'a dyn Pushes,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// The shop.
    pub shop: &'a dyn Shop,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// What this process remembers of tenants.
    pub memory: &'a TenantMemory,
    /// The stack's timers.
    pub timers: &'a Timers,
}

impl Push<'_> {
    /// Pushes the chip that a message asks for.
    pub async fn push(&self, message: &PushMessage) -> Disposition {
        let pk = keys::push(&message.tenant, &message.provider, &message.entity_type, message.magento_id);
        let view = match self.store.chip(&pk).await {
            Ok(Some(view)) => view,
            Ok(None) => return Disposition::Done,
            Err(fault) => {
                tracing::warn!(tenant = %message.tenant, code = Code::StoreUnavailable.as_str(), reason = %fault, "push not read");
                return Disposition::GiveBack;
            }
        };
        let began = self.clock.now_ms();
        let (outcome, code) = self.tell(&view).await;
        tracing::info!(
            tenant = %message.tenant,
            provider = %message.provider,
            kind = "push_sync_state",
            entity_type = %message.entity_type,
            magento_id = message.magento_id,
            run_id = view.push.document_run.as_deref().or(view.push.payment_run.as_deref()).unwrap_or_default(),
            attempt = view.push.failures.saturating_add(1),
            outcome,
            code,
            duration_ms = self.clock.now_ms().saturating_sub(began),
            "push"
        );
        Disposition::Done
    }

    async fn tell(&self, view: &ChipView) -> (&'static str, &'static str) {
        let now = self.clock.now_ms();
        let Some(state) = told(view, self.timers, now) else {
            // The shop's own *pending* is still the truth.
            let _ = self.store.pushed(&view.push, "pending", now).await;
            return ("pending", "");
        };
        let known = match self.memory.tenant(self.store, &view.push.tenant, now).await {
            Ok(Some(known)) => known,
            Ok(None) => {
                // Nobody is left to tell.
                let _ = self.store.pushed(&view.push, "tenant_gone", now).await;
                return ("tenant_gone", "");
            }
            Err(_) => return self.put_off(view, None, Code::StoreUnavailable).await,
        };
        let ports = ShopPorts {
            shop: self.shop,
            vault: self.vault,
            clock: self.clock,
            chance: self.chance,
            memory: self.memory,
        };
        if let Some(code) = self.shop_holds(&known).await {
            return self.put_off(view, None, code).await;
        }
        let body = serde_json::to_string(&state).unwrap_or_default();
        let answer = ports.ask(self.store, &known, SYNC_STATE_PATH, Some(&body)).await;
        if let Ok(answer) = &answer {
            note_reach(self.store, &known.tenancy.tenant, answer, self.clock.now_ms()).await;
        }
        match answer {
            Ok(ShopAnswer::Good(_)) => {
                match self.store.pushed(&view.push, &state.sync_status, self.clock.now_ms()).await {
                    // A newer want has a message and a due mark of its own.
                    Ok(_) => (chip_name(&state.sync_status), ""),
                    Err(_) => ("pushed_unnoted", Code::StoreUnavailable.as_str()),
                }
            }
            Ok(ShopAnswer::Refuses) => {
                // What is remembered was read for the second question.
                let now_known = self.memory.tenant(self.store, &view.push.tenant, now).await.ok().flatten();
                if let Some(code) = now_known.and_then(|known| shop_why_held(&known.tenancy.tenant)) {
                    return self.put_off(view, None, code).await;
                }
                let _ = self.store.shop_refuses(&view.push.tenant, self.clock.now_ms()).await;
                self.put_off(view, None, Code::ShopUnauthorised).await
            }
            Ok(ShopAnswer::Fault(fault)) => self.put_off(view, retry_after(&fault), fault.code).await,
            Err(_) => self.put_off(view, None, Code::StoreUnavailable).await,
        }
    }

    /// Why the shop is told nothing, by what the store says now.
    async fn shop_holds(&self, known: &Known) -> Option<Code> {
        let tenant = &known.tenancy.tenant;
        shop_why_held(tenant)?;
        let fresh = self.memory.read_again(self.store, &tenant.tenant, self.clock.now_ms()).await.ok().flatten();
        shop_why_held(&fresh.as_ref().unwrap_or(known).tenancy.tenant)
    }

    async fn put_off(&self, view: &ChipView, after_seconds: Option<u64>, code: Code) -> (&'static str, &'static str) {
        let failures = view.push.failures.saturating_add(1);
        let delay = retry::push_delay_ms(failures, self.timers.retry_scale_percent, self.chance.number())
            .max(after_seconds.unwrap_or_default().saturating_mul(1_000));
        let due_at = self.clock.now_ms().saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
        // Where this is lost the due mark of the want is still there.
        let _ = self.store.put_off(&view.push, due_at, code.as_str()).await;
        ("later", code.as_str())
    }
}

/// What the shop shall show of a chip; `None` while it is still under way.
#[must_use]
pub fn told(view: &ChipView, timers: &Timers, now: i64) -> Option<SyncState> {
    let runs: Vec<RunView> = view.runs.iter().map(|run| run_view(run, timers, now)).collect();
    let linked = view.xref.as_ref().filter(|row| row.state == "linked");
    let status = chip(&runs, linked.is_some())?;
    let speaks = |state: RunState| view.runs.iter().find(|run| edges::state(run) == state);
    let failing = speaks(RunState::DeadLettered).or_else(|| speaks(RunState::Held));
    let code_of = |run: Option<&RunRow>| run.and_then(|run| run.code.clone());
    let existing = view.xref.as_ref().filter(|row| row.provider_id.is_some());
    Some(SyncState {
        entity_type: view.push.entity_type.clone(),
        magento_entity_id: view.push.magento_id,
        provider: view.push.provider.clone(),
        sync_status: status.as_str().to_owned(),
        provider_entity_id: existing.and_then(|row| row.provider_id.as_deref()).map(short_id),
        provider_reference: existing.and_then(|row| row.reference.as_deref()).map(short),
        skip_reason: (status == ChipStatus::Skipped).then(|| code_of(speaks(RunState::Skipped))).flatten(),
        error_code: (status == ChipStatus::Failed).then(|| code_of(failing)).flatten(),
        last_sync_at: timestamp(now),
    })
}

fn run_view(run: &RunRow, timers: &Timers, now: i64) -> RunView {
    let state = edges::state(run);
    let held_too_long = state == RunState::Held
        && ![Code::EventNotSupported, Code::Preview].iter().any(|code| run.code.as_deref() == Some(code.as_str()))
        && run.held_since.is_some_and(|since| now.saturating_sub(since) >= milliseconds(timers.chip_held_seconds));
    RunView { state, held_too_long }
}

fn chip_name(status: &str) -> &'static str {
    [ChipStatus::Synced, ChipStatus::Skipped, ChipStatus::Failed]
        .into_iter()
        .map(ChipStatus::as_str)
        .find(|name| *name == status)
        .unwrap_or("pushed")
}

const fn retry_after(fault: &Fault) -> Option<u64> {
    match fault.action {
        Action::Later { after_seconds } => after_seconds,
        Action::Doubtful | Action::Reconnect | Action::Refused | Action::Broken => None,
    }
}

/// The column's type takes `YYYY-MM-DD HH:MM:SS`.
pub(crate) fn timestamp(now: i64) -> String {
    jiff::Timestamp::from_millisecond(now)
        .map(|moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

fn short(text: &str) -> String {
    text.chars().take(SHOP_COLUMN).collect()
}

/// An URL that the column would cut says nothing; its last part still names the document.
fn short_id(text: &str) -> String {
    if text.chars().count() <= SHOP_COLUMN {
        return text.to_owned();
    }
    short(text.rsplit('/').next().unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shop_would_cut_is_shortened_sensibly() {
        assert_eq!(short_id("https://api.example/v2/invoices/7"), "https://api.example/v2/invoices/7");
        let long = format!("https://{}.example/v2/invoices/7", "x".repeat(60));
        assert_eq!(short_id(&long), "7");
        assert_eq!(timestamp(1_795_167_060_000), "2026-11-20 09:31:00");
    }
}
