//! Runs, as operators see them.

use super::moment;
use crate::rows::{AttemptRow, PushRow, RefusalRow, RunRow, StepRow};
use ledger_domain::code::{Code, Family};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

fn remedy(code: Option<&str>) -> Option<String> {
    code.and_then(Code::parse).map(|code| code.remedy().to_owned())
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id.
    pub run: String,
    /// `queued`, `running`, `waiting`, `held`, `succeeded`, `skipped` or `dead_lettered`.
    pub state: String,
    /// Its tenant.
    pub tenant: String,
    /// Its binding.
    pub binding: String,
    /// Provider key.
    pub provider: String,
    /// The book; null while the binding has none.
    pub book: Option<String>,
    /// Event name.
    pub event: String,
    /// Id of the entity in the shop.
    pub magento_id: u64,
    /// Its number in the shop.
    pub increment_id: Option<String>,
    /// Website.
    pub website_id: u32,
    /// Store.
    pub store_id: u32,
    /// The delivery's idempotency key.
    pub idempotency_key: String,
    /// Counts re-openings.
    pub generation: u32,
    /// Counts attempts.
    pub attempt: u32,
    /// Attempts that failed since the run was opened.
    pub failures: u32,
    /// Code of the latest outcome or fault.
    pub code: Option<String>,
    /// Who can do something about it: `merchant`, `accountant`, `operator` or `ledger`.
    pub owner: Option<String>,
    /// One sentence for a person.
    pub message: Option<String>,
    /// What to do about the code.
    pub remedy: Option<String>,
    /// The document's id in the book.
    pub provider_id: Option<String>,
    /// Its human reference there.
    pub provider_reference: Option<String>,
    /// True where the book's total could not be read.
    pub total_unverified: bool,
    /// When the shop says that it happened.
    pub occurred_at: String,
    /// When the delivery arrived.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// Last change.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// When the sweeper looks at it next.
    #[schema(format = DateTime)]
    pub due_at: Option<String>,
    /// Since when it is held.
    #[schema(format = DateTime)]
    pub held_since: Option<String>,
}

impl Run {
    /// As a row says.
    #[must_use]
    pub fn of(row: &RunRow) -> Self {
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
            remedy: remedy(row.code.as_deref()),
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

/// A page of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Runs {
    /// The runs, newest first.
    pub runs: Vec<Run>,
    /// Where the next page begins; null on the last.
    pub next: Option<String>,
}

/// A run with everything that is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    pub run: Run,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Its entity's chip.
    pub chip: Option<Chip>,
    /// Where a person sees the document in the book.
    pub link: Option<String>,
}

impl RunDetail {
    /// As the rows say.
    #[must_use]
    pub fn of(run: &RunRow, attempts: &[AttemptRow], push: Option<&PushRow>, link: Option<&str>) -> Self {
        Self {
            run: Run::of(run),
            attempts: attempts.iter().map(Attempt::of).collect(),
            chip: push.map(Chip::of),
            link: link.map(str::to_owned),
        }
    }
}

/// An attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its number.
    pub attempt: u32,
    /// The run's generation.
    pub generation: u32,
    /// When it began.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// `succeeded`, `skipped`, `later`, `doubtful`, `held`, `refused` or `broken`.
    pub outcome: String,
    /// Its code.
    pub code: Option<String>,
    /// One sentence for a person.
    pub message: Option<String>,
    /// What to do about the code.
    pub remedy: Option<String>,
    /// HTTP status of the other side's answer.
    pub status: Option<u16>,
    /// The provider's code.
    pub provider_code: Option<String>,
    /// The field that it names.
    pub field: Option<String>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// The provider's own words; may name a buyer, so it goes nowhere else.
    pub provider_text: Option<String>,
    /// Version of the settings.
    pub settings_version: u32,
    /// What was done, in order.
    pub steps: Vec<Step>,
}

impl Attempt {
    /// As a row says.
    #[must_use]
    pub fn of(row: &AttemptRow) -> Self {
        let evidence = row.evidence.clone().unwrap_or_default();
        Self {
            attempt: row.attempt,
            generation: row.generation,
            started_at: moment(row.started_at),
            duration_ms: row.duration_ms,
            outcome: row.outcome.clone(),
            code: row.code.clone(),
            message: row.message.clone(),
            remedy: remedy(row.code.as_deref()),
            status: evidence.status,
            provider_code: evidence.provider_code,
            field: evidence.field,
            request_id: evidence.request_id,
            provider_text: evidence.provider_text,
            settings_version: row.settings_version,
            steps: row.steps.iter().map(Step::of).collect(),
        }
    }
}

/// A step of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// What was done.
    pub label: String,
    /// Milliseconds after the attempt's start.
    pub at_ms: i64,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// HTTP status of the answer; null where none came.
    pub status: Option<u16>,
    /// Id in the book that came of it.
    pub provider_id: Option<String>,
    /// Total in the book.
    pub total: Option<String>,
    /// Code of why it was left out: the step is then a document that was not posted, and no call.
    pub skipped: Option<String>,
}

impl Step {
    fn of(row: &StepRow) -> Self {
        Self {
            label: row.label.clone(),
            at_ms: row.at_ms,
            took_ms: row.took_ms,
            status: row.status,
            provider_id: row.provider_id.clone(),
            total: row.total.clone(),
            skipped: row.skipped.clone(),
        }
    }
}

/// What the shop shows of an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chip {
    /// `invoice`, `creditmemo`, `customer` or `product`.
    pub entity_type: String,
    /// Id of the entity in the shop.
    pub magento_id: u64,
    /// What the shop was told last: `synced`, `skipped` or `failed`.
    pub chip: Option<String>,
    /// True where the shop knows the latest.
    pub up_to_date: bool,
    /// When it was told.
    #[schema(format = DateTime)]
    pub pushed_at: Option<String>,
    /// When the sweeper tells it again.
    #[schema(format = DateTime)]
    pub due_at: Option<String>,
    /// Pushes that failed in a row.
    pub failures: u32,
    /// Code of the latest failure.
    pub code: Option<String>,
}

impl Chip {
    /// As a row says.
    #[must_use]
    pub fn of(row: &PushRow) -> Self {
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

/// Runs that stand still for the same reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// Its code.
    pub code: String,
    /// The code's family: what is mended in the same way.
    pub family: Option<String>,
    /// What the code means.
    pub meaning: Option<String>,
    /// Who can do something about it.
    pub owner: Option<String>,
    /// How many.
    pub runs: u64,
    /// Since when the oldest stands still.
    #[schema(format = DateTime)]
    pub oldest: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Runs that stand still, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Causes {
    /// The causes, the most frequent first.
    pub causes: Vec<Cause>,
    /// The runs, oldest first within a binding.
    pub runs: Vec<Run>,
}

impl Causes {
    /// Of these runs.
    #[must_use]
    pub fn of(rows: &[RunRow]) -> Self {
        let mut by_code: BTreeMap<(&str, Option<&str>), (u64, i64)> = BTreeMap::new();
        for row in rows {
            let since = row.held_since.unwrap_or(row.updated_at);
            let (runs, oldest) =
                by_code.entry((row.code.as_deref().unwrap_or_default(), row.owner.as_deref())).or_insert((0, since));
            *runs = runs.saturating_add(1);
            *oldest = since.min(*oldest);
        }
        let cause = |((code, owner), (runs, oldest)): ((&str, Option<&str>), (u64, i64))| Cause {
            code: code.to_owned(),
            family: Code::parse(code).map(|code| code.family().as_str().to_owned()),
            meaning: Code::parse(code).map(|code| code.cause().to_owned()),
            owner: owner.map(str::to_owned),
            runs,
            oldest: moment(oldest),
            remedy: remedy(Some(code)),
        };
        let mut causes: Vec<Cause> = by_code.into_iter().map(cause).collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.runs));
        Self { causes, runs: rows.iter().map(Run::of).collect() }
    }
}

/// A code: what it means, whose it is, what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CodeEntry {
    /// The code.
    pub code: String,
    /// Its family.
    pub family: String,
    /// Who can do something about it: `merchant`, `accountant`, `operator` or `ledger`.
    pub owner: String,
    /// What it means.
    pub meaning: String,
    /// What to do about it.
    pub remedy: String,
}

/// A family of codes that are mended in the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FamilyEntry {
    /// Its name.
    pub family: String,
    /// What its codes have in common.
    pub meaning: String,
}

/// Every code that this stack knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Codes {
    /// The families.
    pub families: Vec<FamilyEntry>,
    /// The codes.
    pub codes: Vec<CodeEntry>,
}

impl Codes {
    /// As the code has them.
    #[must_use]
    pub fn all() -> Self {
        let family = |it: &Family| FamilyEntry { family: it.as_str().to_owned(), meaning: it.title().to_owned() };
        let code = |it: &Code| CodeEntry {
            code: it.as_str().to_owned(),
            family: it.family().as_str().to_owned(),
            owner: it.owner().as_str().to_owned(),
            meaning: it.cause().to_owned(),
            remedy: it.remedy().to_owned(),
        };
        Self { families: Family::ALL.iter().map(family).collect(), codes: Code::ALL.iter().map(code).collect() }
    }
}

/// Asks for dead letters of a kind to be tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequeueRequest {
    /// Those with this code; this or `family` has to be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Those with a code of this family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Only of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only of this binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
}

/// A dead letter that was not tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotRequeued {
    /// The run.
    pub run: String,
    /// Why.
    pub reason: String,
}

/// What became of them. Of more than a hundred the rest is for the next request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Requeued {
    /// Those that are sent again.
    pub runs: Vec<Run>,
    /// Those that are not.
    pub refused: Vec<NotRequeued>,
    /// True where there are more.
    pub more: bool,
}

/// A refusal of a book that no rule recognised, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BookRefusal {
    /// Provider key.
    pub provider: String,
    /// HTTP status.
    pub status: u16,
    /// The provider's error code; null where it names none.
    pub provider_code: Option<String>,
    /// The field that it names, without the numbers in it; null where it names none.
    pub field: Option<String>,
    /// How often.
    pub count: u64,
    /// The first time.
    #[schema(format = DateTime)]
    pub first_at: String,
    /// The latest time.
    #[schema(format = DateTime)]
    pub last_at: String,
    /// The run of the latest; null where it is of a tenant that the caller does not see.
    pub run: Option<String>,
}

/// Refusals that no rule recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BookRefusals {
    /// The refusals, the most frequent first.
    pub refusals: Vec<BookRefusal>,
}

impl BookRefusals {
    /// Of these rows; `sees` says whose runs may be named.
    #[must_use]
    pub fn of(rows: &[RefusalRow], sees: impl Fn(&str) -> bool) -> Self {
        let named = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let refusal = |row: &RefusalRow| BookRefusal {
            provider: row.provider.clone(),
            status: row.status,
            provider_code: named(&row.provider_code),
            field: named(&row.field),
            count: row.count,
            first_at: moment(row.first_at),
            last_at: moment(row.last_at),
            run: sees(&row.tenant).then(|| row.run_id.clone()),
        };
        let mut refusals: Vec<BookRefusal> = rows.iter().map(refusal).collect();
        refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.count));
        Self { refusals }
    }
}
