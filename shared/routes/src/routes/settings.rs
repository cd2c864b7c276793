//! A binding's settings, and the reference data that they are checked against.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Path, Query};
use crate::failure::{Looking, Refusal};
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use ledger_engine::connect::grant::RenewedTokens;
use ledger_engine::reference::{Age, List, ReadList, When};
use ledger_engine::settings::{Checked, SettingsError, SettingsView as View};
use ledger_wire::api::{
    FieldFailure, ReferenceAge, ReferenceData, ReferenceEntry, RefreshRequest, Refreshed, RefreshedList,
    SettingsProposal, SettingsRequest, SettingsVersion, SettingsVersions, SettingsView, ValidateRequest, Validation,
    moment,
};
use ledger_wire::rows::BindingRow;
use ledger_wire::settings::check::FieldError;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Versions of one answer.
const VERSIONS: usize = 20;
/// How long reading a book may take within a request, in milliseconds.
const READ_MS: i64 = 22_000;
/// How long a token may be renewed, in milliseconds: the function lives longer than the gateway waits, so that a renewal that was begun is
/// written down.
const RENEW_MS: i64 = 50_000;

fn failures(errors: &[FieldError]) -> Vec<FieldFailure> {
    let failure = |error: &FieldError| FieldFailure {
        field: error.field.clone(),
        code: error.code.as_str().to_owned(),
        message: error.message.to_owned(),
    };
    errors.iter().map(failure).collect()
}

fn ages(ages: &[Age]) -> Vec<ReferenceAge> {
    let age = |age: &Age| ReferenceAge {
        list: age.list.as_str().to_owned(),
        read_at: age.read_at.map(moment),
        age_seconds: age.age_seconds,
        count: u64::from(age.count),
        cut_off: age.cut_off,
        reading: age.reading,
        fault: age.fault.clone(),
    };
    ages.iter().map(age).collect()
}

impl From<SettingsError> for Refusal {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Invalid(checked) => Self::fields("the settings can't be saved", failures(&checked.errors)),
            SettingsError::NotFound(what) => Self::not_found(what),
            SettingsError::Conflict(version) => {
                Self::conflict("version_conflict", format!("version {version} is in force; look at it and try again"))
            }
            SettingsError::NotNow(why) => Self::conflict("not_now", why),
            SettingsError::Port(fault) => fault.into(),
        }
    }
}

fn shown(view: &View) -> SettingsView {
    SettingsView {
        binding: view.binding.clone(),
        version: view.version,
        settings: view.settings.clone(),
        fields: serde_json::to_value(view.fields).unwrap_or_default(),
        reference: ages(&view.reference),
    }
}

fn validation(checked: &Checked) -> Validation {
    Validation {
        valid: checked.settings.is_some(),
        errors: failures(&checked.errors),
        unchecked: checked.unchecked.iter().map(|list| list.as_str().to_owned()).collect(),
        reference: ages(&checked.reference),
    }
}

impl Api {
    fn reading_until(&self) -> i64 {
        self.clock.now_ms().saturating_add(READ_MS)
    }

    fn reading_tokens(&self) -> RenewedTokens<'_> {
        self.tokens(RENEW_MS)
    }

    /// Reads all of a book's lists that was connected just now; what is not finished goes on when it is used.
    pub(super) async fn reads_everything(&self, binding: &BindingRow) {
        let tokens = self.reading_tokens();
        if let Err(fault) = self.reader(&tokens).read_all(binding, When::Now, self.reading_until()).await {
            tracing::warn!(reason = %fault, "reference data is read later");
        }
    }
}

/// The settings in force, every field with its group and default, and how old the reference data is.
#[utoipa::path(get, path = "/v1/bindings/{binding}/settings", tag = "settings", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")),
    responses((status = 200, body = SettingsView), Looking))]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<SettingsView>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let tokens = api.reading_tokens();
    Ok(Json(shown(&api.configure(&tokens).get(&row.tenant, &row.binding).await?)))
}

/// Saves settings, if the version that they were made from is still in force. They count from the next attempt on.
#[utoipa::path(put, path = "/v1/bindings/{binding}/settings", tag = "settings", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), request_body = SettingsRequest,
    responses((status = 200, body = SettingsView), Refusal))]
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Body(request): Body<SettingsRequest>,
) -> Result<Json<SettingsView>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let tokens = api.reading_tokens();
    let (version, draft, operator) = (request.version, &request.settings, &caller.0.subject);
    let until = api.reading_until();
    Ok(Json(shown(&api.configure(&tokens).put(&row.tenant, &row.binding, version, draft, operator, until).await?)))
}

/// Checks settings against the book's reference data. Nothing is saved.
#[utoipa::path(post, path = "/v1/bindings/{binding}/settings/validate", tag = "settings", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), request_body = ValidateRequest,
    responses((status = 200, body = Validation), Refusal))]
pub(super) async fn validate(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Body(request): Body<ValidateRequest>,
) -> Result<Json<Validation>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let tokens = api.reading_tokens();
    let checked =
        api.configure(&tokens).validate(&row.tenant, &row.binding, &request.settings, api.reading_until()).await?;
    Ok(Json(validation(&checked)))
}

/// What settings a book suggests that was connected just now, and which fields a person has to fill in.
#[utoipa::path(get, path = "/v1/bindings/{binding}/settings/proposal", tag = "settings", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")),
    responses((status = 200, body = SettingsProposal), Refusal))]
pub(super) async fn proposal(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<SettingsProposal>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let tokens = api.reading_tokens();
    let proposal = api.configure(&tokens).propose(&row.tenant, &row.binding, api.reading_until()).await?;
    Ok(Json(SettingsProposal {
        settings: proposal.settings,
        missing: proposal.missing.iter().map(|it| (*it).to_owned()).collect(),
        open: proposal.open.iter().map(|it| (*it).to_owned()).collect(),
        reference: ages(&proposal.reference),
    }))
}

/// Which versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Before {
    /// Only versions before this one.
    before: Option<u32>,
}

/// Versions of the settings, newest first.
#[utoipa::path(get, path = "/v1/bindings/{binding}/settings/versions", tag = "settings", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding"), Before),
    responses((status = 200, body = SettingsVersions), Looking))]
pub(super) async fn versions(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Query(which): Query<Before>,
) -> Result<Json<SettingsVersions>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let tokens = api.reading_tokens();
    let rows = api.configure(&tokens).versions(&row.tenant, &row.binding, which.before, VERSIONS).await?;
    let versions = rows
        .into_iter()
        .map(|row| SettingsVersion {
            version: row.version,
            settings: row.settings,
            saved_by: row.saved_by,
            saved_at: row.saved_at.map(moment),
        })
        .collect();
    Ok(Json(SettingsVersions { versions }))
}

/// Which list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `organisation`, `accounts`, `tax_rates`, `bank_accounts`, `currencies` or `payment_methods`; all where it is missing.
    list: Option<String>,
}

fn list_of(name: &str) -> Result<List, Refusal> {
    List::parse(name).ok_or_else(|| Refusal::field("list", "invalid", "not a list of reference data"))
}

/// What is known of the book and of the shop's payment methods, and how old it is. The book is not asked.
#[utoipa::path(get, path = "/v1/bindings/{binding}/reference", tag = "settings", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding"), Which),
    responses((status = 200, body = ReferenceData), Looking))]
pub(super) async fn reference(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<ReferenceData>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let tokens = api.reading_tokens();
    let lists = match which.list.as_deref() {
        None => List::ALL.to_vec(),
        Some(name) => vec![list_of(name)?],
    };
    let data = api.reader(&tokens).known(&row.binding, &lists).await?;
    let entries = data.lists.iter().flat_map(|(list, known)| {
        known.entries.iter().map(|entry| ReferenceEntry {
            list: list.as_str().to_owned(),
            id: entry.id.clone(),
            name: entry.name.clone(),
            active: entry.active,
            rate: entry.rate.map(|rate| rate.to_string()),
            currency: entry.currency.as_ref().map(ToString::to_string),
            group: entry.group.clone(),
            country: entry.country.clone(),
            locked_until: entry.locked_until.map(|day| day.to_string()),
        })
    });
    Ok(Json(ReferenceData { entries: entries.collect(), lists: ages(&data.ages) }))
}

/// Reads lists of the book anew. One that is not finished goes on with the next call.
#[utoipa::path(post, path = "/v1/bindings/{binding}/reference/refresh", tag = "settings", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), request_body = RefreshRequest,
    responses((status = 200, body = Refreshed), Refusal))]
pub(super) async fn refresh(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Body(request): Body<RefreshRequest>,
) -> Result<Json<Refreshed>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let tokens = api.reading_tokens();
    if row.book.is_empty() {
        return Err(Refusal::conflict("binding_pending", "the binding has no book yet"));
    }
    let until = api.reading_until();
    let read = if request.lists.is_empty() {
        api.reader(&tokens).read_all(&row, When::Now, until).await?
    } else {
        let lists = request.lists.iter().map(|name| list_of(name)).collect::<Result<Vec<_>, _>>()?;
        api.reader(&tokens).read(&row, &lists, When::Now, until).await?
    };
    let lists = read.iter().map(|(list, outcome)| {
        let (outcome, code) = match outcome {
            ReadList::Complete => ("complete", None),
            ReadList::Unfinished => ("unfinished", None),
            ReadList::Busy => ("busy", None),
            ReadList::Failed(fault) => ("failed", Some(fault.code.as_str().to_owned())),
        };
        RefreshedList { list: list.as_str().to_owned(), outcome: outcome.to_owned(), code }
    });
    let lists = lists.collect();
    let known = api.reader(&tokens).known(&row.binding, &List::ALL).await?;
    Ok(Json(Refreshed { lists, reference: ages(&known.ages) }))
}
