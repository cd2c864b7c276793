//! How an integration fares, and trying its records again: what platform administrators ask.

use super::list::RunFilter;
use super::{Operate, OperateError};
use ledger_domain::identity::Event;
use ledger_domain::run::RunState;
use ledger_wire::api::{
    IntegrationError, IntegrationStatus, RecordOutcome, RetryResponse, SyncStatus, SyncType, second,
};
use ledger_wire::rows::{BindingRow, RunRow};

/// Newest runs of the tenant that a diagnosis looks at.
const LOOKED_AT_MAX: usize = 300;
/// Held runs and dead letters that a diagnosis counts to.
const COUNTED_MAX: usize = 1_000;
/// Failures that a diagnosis shows.
const ERRORS_MAX: usize = 20;
/// Most records of one retry.
pub const RECORDS_MAX: usize = 100;

/// What an event syncs.
#[must_use]
pub const fn sync_type(event: Event) -> SyncType {
    match event {
        Event::InvoiceCreated => SyncType::Invoices,
        Event::InvoicePaid => SyncType::Payments,
        Event::CreditmemoCreated => SyncType::CreditNotes,
        Event::CustomerUpserted => SyncType::Contacts,
        Event::ProductUpserted => SyncType::Products,
    }
}

/// The event of what is synced.
#[must_use]
pub const fn event_of(what: SyncType) -> Event {
    match what {
        SyncType::Invoices => Event::InvoiceCreated,
        SyncType::Payments => Event::InvoicePaid,
        SyncType::CreditNotes => Event::CreditmemoCreated,
        SyncType::Contacts => Event::CustomerUpserted,
        SyncType::Products => Event::ProductUpserted,
    }
}

const fn error_type(what: SyncType) -> &'static str {
    match what {
        SyncType::Invoices => "invoice_sync",
        SyncType::Payments => "payment_sync",
        SyncType::CreditNotes => "credit_note_sync",
        SyncType::Contacts => "contact_sync",
        SyncType::Products => "product_sync",
    }
}

fn failure(run: &RunRow) -> IntegrationError {
    let kind = Event::parse(&run.event).map_or("sync", |event| error_type(sync_type(event)));
    let code = run.code.as_deref().unwrap_or_default();
    let what = run.event.split('.').next().unwrap_or_default();
    let number = run.increment_id.as_deref().map(|number| format!(" ({number})")).unwrap_or_default();
    let said = run.message.as_deref().unwrap_or_default();
    IntegrationError {
        kind: kind.to_owned(),
        message: format!("{code}: {what} {}{number}: {said}", run.magento_id),
        timestamp: second(run.updated_at),
    }
}

impl Operate<'_> {
    /// How a binding's integration fares.
    ///
    /// # Errors
    /// As the store.
    pub async fn integration_status(&self, binding: &BindingRow) -> Result<IntegrationStatus, OperateError> {
        let filter = RunFilter { binding: Some(binding.binding.clone()), ..RunFilter::default() };
        let recent = self.list(&binding.tenant, &filter, None, LOOKED_AT_MAX).await?.runs;
        let held = self.standing_still(RunState::Held, Some(&binding.binding), COUNTED_MAX).await?;
        let mut dead = self.standing_still(RunState::DeadLettered, Some(&binding.binding), COUNTED_MAX).await?;
        let moving = recent.iter().filter(|run| matches!(run.state.as_str(), "queued" | "running" | "waiting")).count();
        let last_sync = recent.iter().filter(|run| run.state == "succeeded").map(|run| run.updated_at).max();
        let last_failure = dead.iter().map(|run| run.updated_at).max();
        let connected = crate::tenants::status_of(binding) == "active" && !binding.book.is_empty();
        let stuck = last_failure.is_some_and(|failed| last_sync.is_none_or(|synced| synced < failed));
        dead.sort_by_key(|run| std::cmp::Reverse(run.updated_at));
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(IntegrationStatus {
            connected,
            token_expires_at: self.token_expires_at(binding).await?.map(second),
            last_sync: last_sync.map(second),
            sync_status: match connected {
                false => SyncStatus::Disconnected,
                true if stuck || !held.is_empty() => SyncStatus::Degraded,
                true => SyncStatus::Healthy,
            },
            pending_syncs: count(moving.saturating_add(held.len())),
            failed_syncs: count(dead.len()),
            errors: dead.iter().take(ERRORS_MAX).map(failure).collect(),
        })
    }

    /// Tries records of a binding again: those that are named, else all failed ones of the type, up to [`RECORDS_MAX`].
    ///
    /// # Errors
    /// Too many records; as the store.
    pub async fn retry_records(
        &self,
        binding: &BindingRow,
        what: SyncType,
        records: Option<&[String]>,
    ) -> Result<RetryResponse, OperateError> {
        let event = event_of(what);
        let (records, more) = match records {
            Some(records) if records.len() > RECORDS_MAX => {
                return Err(super::invalid("record_ids", format!("more than {RECORDS_MAX}")));
            }
            Some(records) => (records.to_vec(), false),
            None => {
                let dead = self.standing_still(RunState::DeadLettered, Some(&binding.binding), COUNTED_MAX).await?;
                let mut of_type = dead.into_iter().filter(|run| run.event == event.as_str()).map(|run| run.run_id);
                let first: Vec<String> = of_type.by_ref().take(RECORDS_MAX).collect();
                (first, of_type.next().is_some())
            }
        };
        let mut outcomes = Vec::new();
        for record in records {
            let outcome = self.retry_record(binding, event, &record).await?;
            outcomes.push(RecordOutcome { record_id: record, outcome: outcome.to_owned() });
        }
        let queued = outcomes.iter().filter(|it| it.outcome == "queued").count();
        Ok(RetryResponse {
            queued: u64::try_from(queued).unwrap_or(u64::MAX),
            records: outcomes,
            // What was sent again is no dead letter any more, so the next call goes on by itself.
            cursor: more.then(|| "again".to_owned()),
        })
    }

    async fn retry_record(
        &self,
        binding: &BindingRow,
        event: Event,
        record: &str,
    ) -> Result<&'static str, OperateError> {
        let run = match self.run_row(record).await {
            Ok(run) if run.binding == binding.binding => run,
            Ok(_) | Err(OperateError::NotFound(_) | OperateError::Invalid { .. }) => return Ok("not_found"),
            Err(other) => return Err(other),
        };
        if run.event != event.as_str() {
            return Ok("other_type");
        }
        match self.retry(record).await {
            Ok(after) if after.state == "succeeded" => Ok("pushed"),
            Ok(_) => Ok("queued"),
            Err(OperateError::NotNow(_)) => Ok("not_now"),
            Err(other) => Err(other),
        }
    }

    /// When the access token expires, in milliseconds; `None` where that is not known.
    async fn token_expires_at(&self, binding: &BindingRow) -> Result<Option<i64>, OperateError> {
        Ok(self.store.token(&binding.binding).await?.and_then(|token| token.access_until))
    }
}
