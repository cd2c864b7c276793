//! What `--json` prints. Every key is always there; what is unknown is null. Moments are ISO 8601 in UTC.

use crate::text::{moment, remedy_of};
use ledger_aws::engine::operate::RunDetail;
use ledger_aws::engine::ports::Tenancy;
use ledger_wire::rows::{AttemptRow, BindingRow, PushRow, RunRow, StepRow, TenantRow};
use ledger_wire::settings::SettingsV1;
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct TenantView {
    tenant: String,
    shop_url: String,
    status: String,
    created_at: String,
    has_key: bool,
    refused_since: Option<String>,
    bindings: Vec<BindingView>,
}

impl TenantView {
    pub(crate) fn of(tenancy: &Tenancy) -> Self {
        let tenant = &tenancy.tenant;
        Self {
            tenant: tenant.tenant.clone(),
            shop_url: tenant.shop_url.clone(),
            status: tenant.status.clone(),
            created_at: moment(tenant.created_at),
            has_key: tenant.current_key.is_some(),
            refused_since: tenant.refused_since.map(moment),
            bindings: tenancy.bindings.iter().map(BindingView::of).collect(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct NewTenantView<'a> {
    tenant: &'a str,
    shop_url: &'a str,
    status: &'a str,
    created_at: String,
    ledger_url: Option<&'a str>,
    /// Only where it was made here: this is the one time it is shown.
    api_key: Option<&'a str>,
}

impl<'a> NewTenantView<'a> {
    pub(crate) fn of(tenant: &'a TenantRow, ledger_url: Option<&'a str>, api_key: Option<&'a str>) -> Self {
        Self {
            tenant: &tenant.tenant,
            shop_url: &tenant.shop_url,
            status: &tenant.status,
            created_at: moment(tenant.created_at),
            ledger_url,
            api_key,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct BindingView {
    binding: String,
    tenant: String,
    provider: String,
    dialect: String,
    status: String,
    book: Option<String>,
    base_url: String,
    connected_at: String,
    settings_version: u32,
    settings: SettingsV1,
}

impl BindingView {
    pub(crate) fn of(row: &BindingRow) -> Self {
        Self {
            binding: row.binding.clone(),
            tenant: row.tenant.clone(),
            provider: row.provider.clone(),
            dialect: row.dialect.clone(),
            status: row.status.clone(),
            book: Some(row.book.clone()).filter(|book| !book.is_empty()),
            base_url: row.base_url.clone(),
            connected_at: moment(row.connected_at),
            settings_version: row.settings_version,
            settings: row.settings.clone(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct BindingsView {
    pub(crate) bindings: Vec<BindingView>,
}

#[derive(Serialize)]
pub(crate) struct RunView {
    run: String,
    state: String,
    tenant: String,
    binding: String,
    provider: String,
    book: Option<String>,
    event: String,
    magento_id: u64,
    increment_id: Option<String>,
    website_id: u32,
    store_id: u32,
    idempotency_key: String,
    generation: u32,
    attempt: u32,
    failures: u32,
    code: Option<String>,
    owner: Option<String>,
    message: Option<String>,
    remedy: Option<&'static str>,
    provider_id: Option<String>,
    provider_reference: Option<String>,
    total_unverified: bool,
    occurred_at: String,
    received_at: String,
    updated_at: String,
    due_at: Option<String>,
    held_since: Option<String>,
}

impl RunView {
    pub(crate) fn of(row: &RunRow) -> Self {
        Self {
            run: row.run_id.clone(),
            state: row.state.clone(),
            tenant: row.tenant.clone(),
            binding: row.binding.clone(),
            provider: row.provider.clone(),
            book: Some(row.book.clone()).filter(|book| !book.is_empty()),
            event: row.event.clone(),
            magento_id: row.magento_id,
            increment_id: row.increment_id.clone(),
            website_id: row.website_id,
            store_id: row.store_id,
            idempotency_key: row.idempotency_key.clone(),
            generation: row.generation,
            attempt: row.attempt,
            failures: row.failures,
            code: row.code.clone(),
            owner: row.owner.clone(),
            message: row.message.clone(),
            remedy: row.code.as_deref().and_then(remedy_of),
            provider_id: row.provider_id.clone(),
            provider_reference: row.provider_reference.clone(),
            total_unverified: row.total_unverified,
            occurred_at: row.occurred_at.clone(),
            received_at: moment(row.received_at),
            updated_at: moment(row.updated_at),
            due_at: row.due_at.map(moment),
            held_since: row.held_since.map(moment),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct RunsView {
    runs: Vec<RunView>,
    next: Option<String>,
}

impl RunsView {
    pub(crate) fn of(runs: &[RunRow], next: Option<&str>) -> Self {
        Self { runs: runs.iter().map(RunView::of).collect(), next: next.map(str::to_owned) }
    }
}

#[derive(Serialize)]
pub(crate) struct RunDetailView {
    run: RunView,
    attempts: Vec<AttemptView>,
    chip: Option<ChipView>,
    link: Option<String>,
}

impl RunDetailView {
    pub(crate) fn of(detail: &RunDetail) -> Self {
        Self {
            run: RunView::of(&detail.run),
            attempts: detail.attempts.iter().map(AttemptView::of).collect(),
            chip: detail.push.as_ref().map(ChipView::of),
            link: detail.link.clone(),
        }
    }
}

#[derive(Serialize)]
struct AttemptView {
    attempt: u32,
    generation: u32,
    started_at: String,
    duration_ms: i64,
    outcome: String,
    code: Option<String>,
    message: Option<String>,
    remedy: Option<&'static str>,
    status: Option<u16>,
    provider_code: Option<String>,
    field: Option<String>,
    request_id: Option<String>,
    provider_text: Option<String>,
    settings_version: u32,
    steps: Vec<StepView>,
}

impl AttemptView {
    fn of(row: &AttemptRow) -> Self {
        let evidence = row.evidence.clone().unwrap_or_default();
        Self {
            attempt: row.attempt,
            generation: row.generation,
            started_at: moment(row.started_at),
            duration_ms: row.duration_ms,
            outcome: row.outcome.clone(),
            code: row.code.clone(),
            message: row.message.clone(),
            remedy: row.code.as_deref().and_then(remedy_of),
            status: evidence.status,
            provider_code: evidence.provider_code,
            field: evidence.field,
            request_id: evidence.request_id,
            provider_text: evidence.provider_text,
            settings_version: row.settings_version,
            steps: row.steps.iter().map(StepView::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct StepView {
    label: String,
    at_ms: i64,
    took_ms: i64,
    status: Option<u16>,
    provider_id: Option<String>,
    total: Option<String>,
}

impl StepView {
    fn of(row: &StepRow) -> Self {
        Self {
            label: row.label.clone(),
            at_ms: row.at_ms,
            took_ms: row.took_ms,
            status: row.status,
            provider_id: row.provider_id.clone(),
            total: row.total.clone(),
        }
    }
}

#[derive(Serialize)]
struct ChipView {
    entity_type: String,
    magento_id: u64,
    /// What the shop was told last.
    chip: Option<String>,
    /// True where the shop knows the latest.
    up_to_date: bool,
    pushed_at: Option<String>,
    due_at: Option<String>,
    failures: u32,
    code: Option<String>,
}

impl ChipView {
    fn of(row: &PushRow) -> Self {
        Self {
            entity_type: row.entity_type.clone(),
            magento_id: row.magento_id,
            chip: row.chip.clone(),
            up_to_date: row.pushed == row.wanted,
            pushed_at: row.pushed_at.map(moment),
            due_at: row.due_at.map(moment),
            failures: row.failures,
            code: row.code.clone(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct CauseView {
    code: String,
    owner: Option<String>,
    runs: usize,
    oldest: String,
    remedy: Option<&'static str>,
}

#[derive(Serialize)]
pub(crate) struct CausesView {
    causes: Vec<CauseView>,
    runs: Vec<RunView>,
}

impl CausesView {
    pub(crate) fn of(causes: &[crate::tables::Cause], runs: &[RunRow]) -> Self {
        Self {
            causes: causes
                .iter()
                .map(|cause| CauseView {
                    code: cause.code.clone(),
                    owner: cause.owner.clone(),
                    runs: cause.runs,
                    oldest: moment(cause.oldest),
                    remedy: remedy_of(&cause.code),
                })
                .collect(),
            runs: runs.iter().map(RunView::of).collect(),
        }
    }
}
