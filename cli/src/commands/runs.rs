//! Runs, dead letters, held runs.

use super::{bar, run_path};
use crate::api::{Api, part, query};
use crate::args::{DeadLetterCommand, HeldCommand, RunDiscard, RunSettle, RunsCommand, RunsFilter, RunsList, Whose};
use crate::failure::Failure;
use crate::person::agrees;
use crate::session::Session;
use crate::shown::{
    Shown, codes_shown, now_shown, refusals_shown, requests_shown, retried_shown, run_shown, runs_shown, settled_shown,
    standing_still_shown,
};
use ledger_wire::api::{
    Causes, ReasonRequest, RequeueRequest, Requeued, Run, RunDetail, RunRequests, Runs, SettleRequest, Settled,
};
use serde::Serialize;

/// Pages that one list reads at most: a page may be short though there are more.
const PAGES_MAX: usize = 50;
/// Requests that one command makes at most to try dead letters again: each is for a hundred.
const REQUEUES_MAX: usize = 100;
/// Runs that one filter retries at most.
const RETRIES_MAX: usize = 1_000;

pub(super) async fn runs(session: &Session<'_>, command: &RunsCommand) -> Result<Shown, Failure> {
    let api = session.api().await?;
    match command {
        RunsCommand::List(list) => Ok(runs_shown(&listed(&api, list).await?)),
        RunsCommand::Show { run } => {
            let detail: RunDetail = api.get(&run_path(run, ""), &[]).await?;
            Ok(run_shown(&detail))
        }
        RunsCommand::Request { run } => {
            let requests: RunRequests = api.get(&run_path(run, "/request"), &[]).await?;
            Ok(requests_shown(&requests))
        }
        RunsCommand::Retry { run: Some(run), .. } => Ok(retried_shown(&retried(&api, run).await?)),
        RunsCommand::Retry { run: None, filter, yes } => {
            if filter.state.is_none() && filter.code.is_none() && filter.magento_id.is_none() {
                return Err(Failure::usage(
                    "A tenant's whole history is not tried again.",
                    "Narrow it with --state, --code or --magento-id; `ledger resync` goes by time.",
                ));
            }
            let found = all_of(&api, filter).await?;
            retry_all(session, &api, &found, *yes).await
        }
        RunsCommand::Release { run } => Ok(now_shown(&api.ask::<Run>(&run_path(run, "/release")).await?)),
        RunsCommand::Discard(discard) => self::discard(&api, discard).await,
        RunsCommand::Settle(settle) => self::settle(&api, settle).await,
    }
}

async fn retried(api: &Api, run: &str) -> Result<Run, Failure> {
    api.ask(&run_path(run, "/retry")).await
}

async fn discard(api: &Api, discard: &RunDiscard) -> Result<Shown, Failure> {
    let request = ReasonRequest { reason: discard.reason.clone() };
    let run: Run = api.post(&run_path(&discard.run, "/discard"), &[], Some(&request)).await?;
    Ok(now_shown(&run))
}

async fn settle(api: &Api, settle: &RunSettle) -> Result<Shown, Failure> {
    let request = SettleRequest { provider_id: settle.provider_id.clone(), reference: settle.reference.clone() };
    let settled: Settled = api.post(&run_path(&settle.run, "/settle"), &[], Some(&request)).await?;
    Ok(settled_shown(&settled))
}

fn parameters(filter: &RunsFilter, after: Option<&str>, limit: usize) -> Vec<(String, String)> {
    query(&[
        ("state", filter.state.clone()),
        ("event", filter.event.clone()),
        ("binding", filter.binding.clone()),
        ("code", filter.code.clone()),
        ("magento_id", filter.magento_id.map(|it| it.to_string())),
        ("after", after.map(str::to_owned)),
        ("limit", Some(limit.to_string())),
    ])
}

fn tenant(filter: &RunsFilter) -> Result<&str, Failure> {
    filter.tenant.as_deref().ok_or_else(|| Failure::usage("No tenant is named.", "Pass --tenant."))
}

/// A page of runs as `list` wants it, put together from as many of the API's as it takes.
pub(crate) async fn listed(api: &Api, list: &RunsList) -> Result<Runs, Failure> {
    pages(api, &list.filter, list.after.clone(), usize::from(list.limit)).await
}

async fn pages(api: &Api, filter: &RunsFilter, after: Option<String>, limit: usize) -> Result<Runs, Failure> {
    let path = format!("/v1/tenants/{}/runs", part(tenant(filter)?));
    let mut page = Runs { runs: Vec::new(), next: after };
    for _ in 0..PAGES_MAX {
        let left = limit.saturating_sub(page.runs.len());
        let found: Runs = api.get(&path, &parameters(filter, page.next.as_deref(), left)).await?;
        page.runs.extend(found.runs);
        page.next = found.next;
        if page.runs.len() >= limit || page.next.is_none() {
            break;
        }
    }
    Ok(page)
}

async fn all_of(api: &Api, filter: &RunsFilter) -> Result<Vec<Run>, Failure> {
    Ok(pages(api, filter, None, RETRIES_MAX).await?.runs)
}

#[derive(Serialize)]
struct Retried {
    /// Runs that were sent again.
    runs: Vec<Run>,
    /// Runs that were not, and why.
    refused: Vec<NotRetried>,
}

#[derive(Serialize)]
struct NotRetried {
    run: String,
    code: String,
    message: String,
}

async fn retry_all(session: &Session<'_>, api: &Api, found: &[Run], yes: bool) -> Result<Shown, Failure> {
    if found.is_empty() {
        return Ok(Shown::new(&Retried { runs: Vec::new(), refused: Vec::new() }, "No runs.".to_owned()));
    }
    agrees(session.person, yes, &format!("Try {} runs again?", found.len()))?;
    let mut done = Retried { runs: Vec::new(), refused: Vec::new() };
    let bar = bar(found.len());
    for run in found {
        match retried(api, &run.run).await {
            Ok(run) => done.runs.push(run),
            // One that went on meanwhile is no reason to leave the others.
            Err(failure) if matches!(failure.code(), "not_now" | "not_found") => done.refused.push(NotRetried {
                run: run.run.clone(),
                code: failure.code().to_owned(),
                message: failure.message().to_owned(),
            }),
            Err(failure) => return Err(failure),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut text = match done.runs.len() {
        1 => "One run is sent again.".to_owned(),
        several => format!("{several} runs are sent again."),
    };
    for it in &done.refused {
        text.push_str(&format!("\n{} ({}): {}", it.run, it.code, it.message));
    }
    let exit = if done.refused.is_empty() { 0 } else { crate::failure::FAULT };
    Ok(Shown::new(&done, text).ending(exit))
}

/// Runs that stand still.
pub(crate) async fn standing_still(
    api: &Api,
    path: &str,
    whose: &Whose,
    code: Option<&str>,
    family: Option<&str>,
) -> Result<Causes, Failure> {
    let which = query(&[
        ("tenant", whose.tenant.clone()),
        ("binding", whose.binding.clone()),
        ("code", code.map(str::to_owned)),
        ("family", family.map(str::to_owned)),
    ]);
    api.get(path, &which).await
}

/// Asks once, then lets the stack try them again, a hundred at a time.
async fn requeue(
    session: &Session<'_>,
    api: &Api,
    code: Option<&str>,
    family: Option<&str>,
    whose: &Whose,
    yes: bool,
) -> Result<Shown, Failure> {
    let found = standing_still(api, "/v1/dead-letters", whose, code, family).await?;
    let mut all = Requeued::default();
    if found.runs.is_empty() {
        return Ok(Shown::new(&all, "No dead letters.".to_owned()));
    }
    agrees(session.person, yes, &format!("Try {} runs again?", found.runs.len()))?;
    let request = RequeueRequest {
        code: code.map(str::to_owned),
        family: family.map(str::to_owned),
        tenant: whose.tenant.clone(),
        binding: whose.binding.clone(),
    };
    for _ in 0..REQUEUES_MAX {
        let done: Requeued = api.post("/v1/dead-letters/requeue", &[], Some(&request)).await?;
        // What can't be sent again is first in each answer: where nothing else is left, this is the end.
        let went_on = !done.runs.is_empty();
        all.runs.extend(done.runs);
        all.refused = done.refused;
        all.more = done.more;
        if !all.more || !went_on {
            break;
        }
    }
    let mut text = match all.runs.len() {
        1 => "One run is sent again.".to_owned(),
        several => format!("{several} runs are sent again."),
    };
    for it in &all.refused {
        text.push_str(&format!("\n{}: {}", it.run, it.reason));
    }
    if all.more {
        text.push_str("\nThere are more: run it again.");
    }
    let exit = if all.refused.is_empty() { 0 } else { crate::failure::FAULT };
    Ok(Shown::new(&all, text).ending(exit))
}

pub(super) async fn dead_letters(session: &Session<'_>, command: &DeadLetterCommand) -> Result<Shown, Failure> {
    let api = session.api().await?;
    match command {
        DeadLetterCommand::List { whose, code, family } => {
            let found = standing_still(&api, "/v1/dead-letters", whose, code.as_deref(), family.as_deref()).await?;
            Ok(standing_still_shown("dead letters", &found))
        }
        DeadLetterCommand::Requeue { code, family, whose, yes } => {
            requeue(session, &api, code.as_deref(), family.as_deref(), whose, *yes).await
        }
        DeadLetterCommand::Refusals => Ok(refusals_shown(&api.get("/v1/refusals", &[]).await?)),
        DeadLetterCommand::Codes => Ok(codes_shown(&api.get("/v1/codes", &[]).await?)),
        DeadLetterCommand::Discard(discard) => self::discard(&api, discard).await,
        DeadLetterCommand::Settle(settle) => self::settle(&api, settle).await,
    }
}

pub(super) async fn held(session: &Session<'_>, command: &HeldCommand) -> Result<Shown, Failure> {
    let HeldCommand::List { whose } = command;
    let found = standing_still(&session.api().await?, "/v1/held", whose, None, None).await?;
    Ok(standing_still_shown("held runs", &found))
}
