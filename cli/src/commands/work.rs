//! Previews, jobs, cross-references, diagnosis.

use super::{bar, binding_of, binding_path, run_path, tenant_of};
use crate::api::{Api, part, query};
use crate::args::{Entity, JobsCommand, OneOrAll, PreviewsCommand, SyncStateCommand, XrefCommand};
use crate::failure::Failure;
use crate::person::agrees;
use crate::secrets;
use crate::session::Session;
use crate::shown::{
    Shown, imported_shown, integration_shown, job_shown, jobs_shown, now_shown, runs_shown, xrefs_shown,
};
use indicatif::{ProgressBar, ProgressStyle};
use ledger_wire::api::{
    CrossReferencePage, CrossReferences, ImportRequest, Imported, IntegrationStatus, Job, JobRequest, Jobs,
    ReasonRequest, Run, Runs,
};

/// Lines of an import that one request carries.
pub(crate) const IMPORT_LINES: usize = 500;

pub(super) async fn previews(session: &Session<'_>, command: &PreviewsCommand) -> Result<Shown, Failure> {
    let api = session.api().await?;
    match command {
        PreviewsCommand::List { binding, after } => {
            let which = query(&[("after", after.clone())]);
            let runs: Runs = api.get(&binding_path(binding, "/previews"), &which).await?;
            Ok(runs_shown(&runs))
        }
        PreviewsCommand::Release { which } => match one_or_all(which) {
            Which::One(run) => Ok(now_shown(&api.ask::<Run>(&run_path(run, "/release")).await?)),
            Which::All(binding) => begin(session, &api, binding, &request("release_previews"), which.follow).await,
        },
        PreviewsCommand::Discard { which, reason } => match one_or_all(which) {
            Which::One(run) => {
                let request = ReasonRequest { reason: reason.clone() };
                let run: Run = api.post(&run_path(run, "/discard"), &[], Some(&request)).await?;
                Ok(now_shown(&run))
            }
            Which::All(binding) => {
                let request = JobRequest { reason: Some(reason.clone()), ..request("discard_previews") };
                begin(session, &api, binding, &request, which.follow).await
            }
        },
    }
}

enum Which<'a> {
    One(&'a str),
    All(&'a str),
}

fn one_or_all(which: &OneOrAll) -> Which<'_> {
    match (&which.all_of, &which.run) {
        (Some(binding), _) => Which::All(binding),
        (None, run) => Which::One(run.as_deref().unwrap_or_default()),
    }
}

fn request(kind: &str) -> JobRequest {
    JobRequest {
        kind: kind.to_owned(),
        reason: None,
        events: Vec::new(),
        since: None,
        entity_type: None,
        from_id: None,
        to_id: None,
    }
}

pub(super) async fn resync(
    session: &Session<'_>,
    binding: &str,
    since: &str,
    events: &[String],
    follow: bool,
) -> Result<Shown, Failure> {
    let job = JobRequest { since: Some(since.to_owned()), events: events.to_vec(), ..request("resync") };
    begin(session, &session.api().await?, binding, &job, follow).await
}

pub(super) async fn backfill(
    session: &Session<'_>,
    binding: &str,
    kind: &str,
    (from_id, to_id): (u64, u64),
    follow: bool,
) -> Result<Shown, Failure> {
    if from_id > to_id {
        return Err(Failure::usage("--from is behind --to.", "Name the first id, then the last."));
    }
    let job = JobRequest {
        entity_type: Some(kind.to_owned()),
        from_id: Some(from_id),
        to_id: Some(to_id),
        ..request("backfill")
    };
    begin(session, &session.api().await?, binding, &job, follow).await
}

pub(super) async fn sync_state(session: &Session<'_>, command: &SyncStateCommand) -> Result<Shown, Failure> {
    let SyncStateCommand::Backfill { tenant, provider, since, follow } = command;
    let api = session.api().await?;
    let tenant = tenant_of(&api, tenant).await?;
    let of_it = |it: &&ledger_wire::api::Binding| it.provider == *provider && it.status != "disconnected";
    let binding = tenant.bindings.iter().find(of_it).ok_or_else(|| Failure::not_found("binding"))?;
    let job = JobRequest { since: Some(since.clone()), ..request("chips") };
    begin(session, &api, &binding.binding, &job, *follow).await
}

async fn begin(
    session: &Session<'_>,
    api: &Api,
    binding: &str,
    request: &JobRequest,
    follow: bool,
) -> Result<Shown, Failure> {
    let job: Job = api.post(&binding_path(binding, "/jobs"), &[], Some(request)).await?;
    if follow { followed(session, api, job).await } else { Ok(job_shown(&job)) }
}

async fn job_of(api: &Api, binding: &str, job: &str) -> Result<Job, Failure> {
    let jobs: Jobs = api.get(&binding_path(binding, "/jobs"), &[]).await?;
    jobs.jobs.into_iter().find(|it| it.job == job).ok_or_else(|| Failure::not_found("job"))
}

/// Waits until a job is no longer open. The job goes on where this program is ended.
async fn followed(session: &Session<'_>, api: &Api, mut job: Job) -> Result<Shown, Failure> {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    while job.state == "open" {
        bar.set_message(format!("{}: {} done, {} with nothing to do", job.kind, job.done, job.passed));
        bar.tick();
        session.clock.sleep_ms(session.look_ms).await;
        job = job_of(api, &job.binding, &job.job).await?;
    }
    bar.finish_and_clear();
    Ok(job_shown(&job))
}

pub(super) async fn jobs(session: &Session<'_>, command: &JobsCommand) -> Result<Shown, Failure> {
    let api = session.api().await?;
    match command {
        JobsCommand::List { binding } => {
            let jobs: Jobs = api.get(&binding_path(binding, "/jobs"), &[]).await?;
            Ok(jobs_shown(&jobs))
        }
        JobsCommand::Follow { binding, job } => {
            let job = job_of(&api, binding, job).await?;
            followed(session, &api, job).await
        }
        JobsCommand::Stop { binding, job } => {
            let job: Job = api.ask(&binding_path(binding, &format!("/jobs/{}/stop", part(job)))).await?;
            Ok(job_shown(&job))
        }
    }
}

fn entity_path(entity: &Entity, rest: &str) -> String {
    binding_path(&entity.binding, &format!("/xrefs/{}/{}{rest}", part(&entity.kind), entity.magento_id))
}

pub(super) async fn xref(session: &Session<'_>, command: &XrefCommand) -> Result<Shown, Failure> {
    match command {
        XrefCommand::Show(entity) => {
            let found: CrossReferences = session.api().await?.get(&entity_path(entity, ""), &[]).await?;
            Ok(xrefs_shown(&found))
        }
        XrefCommand::Reset { entity, yes } => {
            let api = session.api().await?;
            let found: CrossReferences = api.get(&entity_path(entity, ""), &[]).await?;
            session.person.tell(&xrefs_shown(&found).text);
            agrees(session.person, *yes, "Forget this, and look for it in the book first the next time?")?;
            let left: CrossReferences = api.ask(&entity_path(entity, "/reset")).await?;
            Ok(xrefs_shown(&left))
        }
        XrefCommand::Export { binding, format } if format == "csv" => {
            export_mirror(&session.api().await?, binding).await
        }
        XrefCommand::Export { binding, .. } => export(&session.api().await?, binding).await,
        XrefCommand::Import { binding, file, dry_run } => {
            let csv = secrets::text(file)?;
            import(&session.api().await?, binding, &csv, *dry_run).await
        }
    }
}

/// A CSV in pieces of so many lines, each with the header, and how many lines of the file stand before each piece's own.
/// A line break within quotation marks ends no line.
pub(crate) fn pieces(csv: &str, lines_max: usize) -> Vec<(usize, String)> {
    let mut records: Vec<String> = Vec::new();
    let mut open = false;
    for line in csv.trim_start_matches('\u{feff}').lines() {
        match records.last_mut().filter(|_| open) {
            Some(record) => {
                record.push('\n');
                record.push_str(line);
            }
            None => records.push(line.to_owned()),
        }
        if line.matches('"').count() % 2 == 1 {
            open = !open;
        }
    }
    let Some((header, records)) = records.split_first() else { return Vec::new() };
    let height = |record: &String| record.matches('\n').count().saturating_add(1);
    let mut before = 0_usize;
    let mut pieces = Vec::new();
    for piece in records.chunks(lines_max.max(1)) {
        pieces.push((before, format!("{header}\n{}\n", piece.join("\n"))));
        before = before.saturating_add(piece.iter().map(height).sum());
    }
    pieces
}

/// The columns of the module's own table, as `import` takes them; the header once.
async fn export_mirror(api: &Api, binding: &str) -> Result<Shown, Failure> {
    let mut lines: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let which = query(&[("format", Some("csv".to_owned())), ("after", after)]);
        let (page, next) = api.page(&binding_path(binding, "/xrefs"), &which).await?;
        lines.extend(page.lines().skip(usize::from(!lines.is_empty())).map(str::to_owned));
        after = next;
        if after.is_none() {
            break;
        }
    }
    let csv = lines.join("\n");
    Ok(Shown::new(&serde_json::json!({"csv": csv}), csv))
}

async fn export(api: &Api, binding: &str) -> Result<Shown, Failure> {
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let which = query(&[("format", Some("json".to_owned())), ("after", after)]);
        let page: CrossReferencePage = api.get(&binding_path(binding, "/xrefs"), &which).await?;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let lines: Vec<String> = rows.iter().filter_map(|row| serde_json::to_string(row).ok()).collect();
    Ok(Shown::new(&CrossReferences { rows }, lines.join("\n")))
}

async fn import(api: &Api, binding: &str, csv: &str, dry_run: bool) -> Result<Shown, Failure> {
    let pieces = pieces(csv, IMPORT_LINES);
    if pieces.is_empty() {
        return Err(Failure::usage("The file has no lines below its header.", "Export the module's table of states."));
    }
    let mut sum = Imported { taken: 0, there: 0, passed: 0, clashes: Vec::new() };
    let bar = bar(pieces.len());
    for (before, csv) in pieces {
        let request = ImportRequest { csv, dry_run };
        let imported: Imported = api
            .post(&binding_path(binding, "/xrefs/import"), &[], Some(&request))
            .await
            .map_err(|failure| failure.after(&format!("{} lines were taken before it.", sum.taken)))?;
        sum.taken = sum.taken.saturating_add(imported.taken);
        sum.there = sum.there.saturating_add(imported.there);
        sum.passed = sum.passed.saturating_add(imported.passed);
        sum.clashes.extend(imported.clashes.into_iter().map(|mut clash| {
            clash.line = clash.line.saturating_add(u64::try_from(before).unwrap_or(u64::MAX));
            clash
        }));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(imported_shown(&sum, dry_run))
}

pub(super) async fn diagnose(session: &Session<'_>, binding: &str) -> Result<Shown, Failure> {
    let api = session.api().await?;
    let status = integration(&api, &binding_of(&api, binding).await?).await?;
    Ok(integration_shown(&status))
}

/// How a binding fares.
pub(crate) async fn integration(api: &Api, row: &ledger_wire::api::Binding) -> Result<IntegrationStatus, Failure> {
    let path = format!("/api/admin/integrations/{}/{}/status", part(&row.provider), part(&row.binding));
    api.get(&path, &[]).await
}
