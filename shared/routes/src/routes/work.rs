//! Modes, previews, jobs and cross-references: what operators do with the work of a binding.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Path, Query};
use crate::failure::{Looking, Refusal};
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use ledger_engine::domain::document::Kind;
use ledger_engine::domain::identity::{Entity, Event};
use ledger_engine::exports::{ExportPage, Exported, MIRROR_HEADER, mirror};
use ledger_engine::jobs::{JobKind, NewJob};
use ledger_engine::preview::{SettleRequest as Settling, Shown};
use ledger_engine::tenants::Mode;
use ledger_wire::api::{
    Binding, CrossReference, CrossReferencePage, CrossReferences, ImportClash, ImportRequest, Imported, Job,
    JobRequest, Jobs, ModeRequest, NamedValue, ProvenTotal, ReasonRequest, Run, RunRequest, RunRequests, Runs,
    SettleRequest, Settled, moment,
};
use ledger_wire::rows::{BindingRow, JobRow, XrefRow};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// How long shop and book may be asked within a request, in milliseconds: a token may have to be renewed first.
const ASK_MS: i64 = 50_000;
/// Runs of a page of previews.
const PREVIEWS: usize = 100;

/// Sets whether a binding posts (`live`), shows what it would post (`preview`) or waits (`paused`).
#[utoipa::path(put, path = "/v1/bindings/{binding}/mode", tag = "work", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), request_body = ModeRequest,
    responses((status = 200, body = Binding), Refusal))]
pub(super) async fn set_mode(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Body(request): Body<ModeRequest>,
) -> Result<Json<Binding>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let mode_of = |field, text: &String| {
        Mode::parse(text).ok_or_else(|| Refusal::field(field, "invalid", "one of preview, live, paused"))
    };
    let mode = mode_of("mode", &request.mode)?;
    let from = request.from.as_ref().map(|from| mode_of("from", from)).transpose()?;
    Ok(Json(Binding::of(&api.operate().change_mode(&row.tenant, &row.binding, from, mode).await?)))
}

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// The `next` of the page before.
    after: Option<String>,
}

/// Runs that were planned and proven and wait for the binding to go live, oldest first.
#[utoipa::path(get, path = "/v1/bindings/{binding}/previews", tag = "work", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding"), After),
    responses((status = 200, body = Runs), Looking))]
pub(super) async fn previews(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Query(which): Query<After>,
) -> Result<Json<Runs>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let page = api.operate().previews(Some(&row.binding), which.after.as_deref(), PREVIEWS).await?;
    Ok(Json(Runs { runs: page.runs.iter().map(Run::of).collect(), next: page.next }))
}

fn named(pairs: &[(String, String)]) -> Vec<NamedValue> {
    pairs.iter().map(|(name, value)| NamedValue { name: name.clone(), value: value.clone() }).collect()
}

fn requests(shown: &Shown) -> RunRequests {
    let request = |it: &ledger_engine::preview::ShownRequest| RunRequest {
        kind: it.kind.to_owned(),
        label: it.label.to_owned(),
        creates: it.creates,
        taken: it.taken,
        method: it.method.to_owned(),
        path: it.path.clone(),
        query: named(&it.query),
        headers: named(&it.headers),
        body: it.body.clone(),
    };
    let proven = |it: &ledger_engine::rehearsal::Proven| ProvenTotal {
        kind: it.kind.as_str().to_owned(),
        total: it.total.to_string(),
        currency: it.currency.to_string(),
    };
    RunRequests {
        run: Run::of(&shown.run),
        outcome: shown.outcome.to_owned(),
        code: shown.code.map(|code| code.as_str().to_owned()),
        message: shown.message.clone(),
        requests: shown.requests.iter().map(request).collect(),
        proven: shown.proven.iter().map(proven).collect(),
        settings_version: shown.settings_version,
    }
}

/// The exact requests that a run would send now, derived anew: shop and book are asked, nothing is written. They hold what
/// the documents hold: buyers' names and addresses.
#[utoipa::path(get, path = "/v1/runs/{run}/request", tag = "work", security(("operator" = [])),
    params(("run" = String, Path, description = "The run")), responses((status = 200, body = RunRequests), Refusal))]
pub(super) async fn request(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(run): Path<String>,
) -> Result<Json<RunRequests>, Refusal> {
    api.run_for(&caller, Need::Act, &run).await?;
    let (operate, post) = (api.operate(), api.post());
    Ok(Json(requests(&api.preview(&operate, &post, ASK_MS).requests_of(&run).await?)))
}

/// Sends a run that was held as a preview.
#[utoipa::path(post, path = "/v1/runs/{run}/release", tag = "work", security(("operator" = [])),
    params(("run" = String, Path, description = "The run")), responses((status = 200, body = Run), Refusal))]
pub(super) async fn release(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(run): Path<String>,
) -> Result<Json<Run>, Refusal> {
    api.run_for(&caller, Need::Act, &run).await?;
    Ok(Json(Run::of(&api.operate().release(&run).await?)))
}

/// Gives a run up: held, waiting, or a dead letter.
#[utoipa::path(post, path = "/v1/runs/{run}/discard", tag = "work", security(("operator" = [])),
    params(("run" = String, Path, description = "The run")), request_body = ReasonRequest,
    responses((status = 200, body = Run), Refusal))]
pub(super) async fn discard(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(run): Path<String>,
    Body(request): Body<ReasonRequest>,
) -> Result<Json<Run>, Refusal> {
    api.run_for(&caller, Need::Act, &run).await?;
    Ok(Json(Run::of(&api.operate().discard(&run, &request.reason).await?)))
}

/// Says that a run's document is in the book. It is looked for there; without an id of it, by its number.
#[utoipa::path(post, path = "/v1/runs/{run}/settle", tag = "work", security(("operator" = [])),
    params(("run" = String, Path, description = "The run")), request_body = SettleRequest,
    responses((status = 200, body = Settled), Refusal))]
pub(super) async fn settle(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(run): Path<String>,
    Body(request): Body<SettleRequest>,
) -> Result<Json<Settled>, Refusal> {
    api.run_for(&caller, Need::Act, &run).await?;
    let settling = Settling { run_id: run, provider_id: request.provider_id, reference: request.reference };
    let (operate, post) = (api.operate(), api.post());
    let settled = api.preview(&operate, &post, ASK_MS).settle(&settling).await?;
    Ok(Json(Settled { run: Run::of(&settled.run), confirmed: settled.confirmed }))
}

fn job_shown(row: &JobRow) -> Job {
    Job {
        job: row.job.clone(),
        kind: row.kind.clone(),
        binding: row.binding.clone(),
        operator: row.operator.clone(),
        state: row.state.clone(),
        done: row.done,
        passed: row.passed,
        entity_type: row.entity_type.clone(),
        from_id: row.from_id,
        to_id: row.to_id,
        next_id: row
            .cursor
            .as_deref()
            .filter(|_| row.from_id.is_some() && row.state == "open")
            .and_then(|it| it.parse().ok()),
        waits_for: row.waits_for.clone(),
        due_at: row.due_at.map(moment),
        created_at: moment(row.created_at),
        updated_at: moment(row.updated_at),
    }
}

/// Starts a job: the sweeper does it bit by bit, behind the shop's own events.
#[utoipa::path(post, path = "/v1/bindings/{binding}/jobs", tag = "work", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), request_body = JobRequest,
    responses((status = 200, body = Job), Refusal))]
pub(super) async fn start_job(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Body(request): Body<JobRequest>,
) -> Result<Json<Job>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let kind = JobKind::parse(&request.kind).ok_or_else(|| Refusal::field("kind", "invalid", "not a kind of job"))?;
    if request.events.len() > Event::ALL.len() {
        return Err(Refusal::field("events", "OUT_OF_RANGE", "more events than there are"));
    }
    let event = |name: &String| Event::parse(name).ok_or_else(|| Refusal::field("events", "invalid", "not an event"));
    let events = request.events.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    let since = request.since.as_deref().map(super::moment_of).transpose()?;
    let entity = |name: &str| {
        Entity::parse(name)
            .ok_or_else(|| Refusal::field("entity_type", "invalid", "one of invoice, creditmemo, customer, product"))
    };
    let entity = request.entity_type.as_deref().map(entity).transpose()?;
    let job = NewJob {
        tenant: row.tenant.clone(),
        binding: row.binding.clone(),
        kind,
        operator: caller.0.subject.clone(),
        reason: request.reason,
        events,
        since,
        entity,
        from_id: request.from_id,
        to_id: request.to_id,
    };
    job.check().map_err(|fault| Refusal::field(fault.field, fault.code, fault.reason))?;
    Ok(Json(job_shown(&api.operate().start_job(&job).await?)))
}

/// A binding's jobs, newest first.
#[utoipa::path(get, path = "/v1/bindings/{binding}/jobs", tag = "work", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), responses((status = 200, body = Jobs), Looking))]
pub(super) async fn jobs(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<Jobs>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let jobs = api.operate().jobs(&row.tenant, &row.binding).await?;
    Ok(Json(Jobs { jobs: jobs.iter().map(job_shown).collect() }))
}

/// Stops a job where it is.
#[utoipa::path(post, path = "/v1/bindings/{binding}/jobs/{job}/stop", tag = "work", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding"), ("job" = String, Path, description = "The job")),
    responses((status = 200, body = Job), Refusal))]
pub(super) async fn stop_job(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path((binding, job)): Path<(String, String)>,
) -> Result<Json<Job>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    Ok(Json(job_shown(&api.operate().stop_job(&row.tenant, &row.binding, &job).await?)))
}

fn row_shown(row: &XrefRow) -> CrossReference {
    CrossReference {
        kind: row.kind.clone(),
        magento_id: None,
        currency: None,
        state: row.state.clone(),
        doubtful: row.doubtful,
        adopted: row.adopted,
        number: row.number.clone(),
        provider_id: row.provider_id.clone(),
        reference: row.reference.clone(),
        total: row.total.clone(),
        run: row.run_id.clone(),
        updated_at: moment(row.updated_at),
    }
}

fn rows_shown(rows: &[XrefRow]) -> CrossReferences {
    CrossReferences { rows: rows.iter().map(row_shown).collect() }
}

/// Which page, and as what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Exporting {
    /// The `next` of the page before.
    after: Option<String>,
    /// `json` or `csv`; where it is missing, `Accept: text/csv` asks for CSV.
    format: Option<String>,
}

/// A binding's cross-references, a page of at most a hundred: contacts by customer id, products, invoices, payments, credit
/// notes, allocations, refunds. As CSV, what the book has in the columns of the module's own table, with a header in every
/// page; the next page's address is in the header `Link`.
#[utoipa::path(get, path = "/v1/bindings/{binding}/xrefs", tag = "work", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding"), Exporting),
    responses((status = 200, description = "A page", content(
        (CrossReferencePage = "application/json"), (String = "text/csv"))), Refusal))]
pub(super) async fn export_xrefs(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Query(which): Query<Exporting>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let csv = match which.format.as_deref() {
        Some("csv") => true,
        Some("json") => false,
        Some(_) => return Err(Refusal::field("format", "invalid", "one of json, csv")),
        None => accepted.split(',').any(|kind| kind.trim().split(';').next() == Some("text/csv")),
    };
    let page = api.operate().export_xrefs(&row.tenant, &row.binding, which.after.as_deref()).await?;
    if csv {
        return Ok(mirrored(&row, &page));
    }
    let shown = |it: &Exported| CrossReference {
        magento_id: Some(it.magento_id),
        currency: it.currency.clone(),
        ..row_shown(&it.row)
    };
    Ok(Json(CrossReferencePage { rows: page.rows.iter().map(shown).collect(), next: page.next }).into_response())
}

fn mirrored(binding: &BindingRow, page: &ExportPage) -> Response {
    let body = format!("{MIRROR_HEADER}\r\n{}", mirror(&binding.provider, page));
    let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], body).into_response();
    // RFC 8288. A mark has letters, digits, `-` and `_` only, so it needs no escaping.
    let next = page.next.as_ref().map(|next| format!("<?format=csv&after={next}>; rel=\"next\""));
    if let Some(link) = next.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

fn kind_of(kind: &str) -> Result<Kind, Refusal> {
    Kind::ALL
        .into_iter()
        .find(|it| it.as_str() == kind)
        .ok_or_else(|| Refusal::field("kind", "invalid", "not a kind of document"))
}

/// What is remembered of an entity of the shop.
#[utoipa::path(get, path = "/v1/bindings/{binding}/xrefs/{kind}/{magento_id}", tag = "work", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding"),
        ("kind" = String, Path, description = "The kind of document"),
        ("magento_id" = u64, Path, description = "Its id in the shop")),
    responses((status = 200, body = CrossReferences), Refusal))]
pub(super) async fn xrefs(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path((binding, kind, magento_id)): Path<(String, String, u64)>,
) -> Result<Json<CrossReferences>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let rows = api.operate().xrefs_of(&row.tenant, &row.binding, kind_of(&kind)?, magento_id).await?;
    Ok(Json(rows_shown(&rows)))
}

/// Forgets what is remembered of an entity, but not that it has to be looked for first. Doubt stays.
#[utoipa::path(post, path = "/v1/bindings/{binding}/xrefs/{kind}/{magento_id}/reset", tag = "work",
    security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding"),
        ("kind" = String, Path, description = "The kind of document"),
        ("magento_id" = u64, Path, description = "Its id in the shop")),
    responses((status = 200, body = CrossReferences), Refusal))]
pub(super) async fn reset_xrefs(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path((binding, kind, magento_id)): Path<(String, String, u64)>,
) -> Result<Json<CrossReferences>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let rows = api.operate().reset_xrefs(&row.tenant, &row.binding, kind_of(&kind)?, magento_id).await?;
    Ok(Json(rows_shown(&rows)))
}

/// Takes over another service's links, as the module's table of states has them: at most 500 lines a call.
#[utoipa::path(post, path = "/v1/bindings/{binding}/xrefs/import", tag = "work", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), request_body = ImportRequest,
    responses((status = 200, body = Imported), Refusal))]
pub(super) async fn import_xrefs(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Body(request): Body<ImportRequest>,
) -> Result<Json<Imported>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let report = api.operate().import_xrefs(&row.tenant, &row.binding, &request.csv, request.dry_run).await?;
    Ok(Json(Imported {
        taken: report.taken,
        there: report.there,
        passed: report.passed,
        clashes: report.clashes.iter().map(|it| ImportClash { line: it.line, code: it.code.to_owned() }).collect(),
    }))
}
