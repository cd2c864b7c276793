//! What the API answers, for people: one place. `--json` prints the API's own shapes.

use crate::tables::{self, table};
use crate::text::{duration, pairs, short_moment};
use crate::timeline;
use ledger_wire::api::{
    App, Binding, Causes, ConnectLink, CrossReferences, Disconnection, GrantStatus, Imported, IntegrationStatus, Job,
    Jobs, Me, Paired, PendingConnection, ReferenceAge, ReferenceData, Refreshed, Run, RunDetail, RunRequests, Runs,
    SettingsProposal, SettingsVersions, SettingsView, Settled, Tenant, Validation,
};
use serde::Serialize;
use std::fmt::Write;

/// A result, both ways.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) json: String,
    pub(crate) text: String,
    /// What the process ends with.
    pub(crate) exit: u8,
}

impl Shown {
    pub(crate) fn new(json: &impl Serialize, text: String) -> Self {
        // Our own shapes have string keys and no maps of others': serialising them cannot fail.
        Self { json: serde_json::to_string_pretty(json).unwrap_or_default(), text, exit: 0 }
    }

    /// The same, ending with this exit code.
    pub(crate) fn ending(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }
}

fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn yes(is: bool) -> Option<String> {
    Some(if is { "yes" } else { "no" }.to_owned())
}

fn list(items: &[String]) -> Option<String> {
    Some(items.join(" "))
}

pub(crate) fn me_shown(me: &Me) -> Shown {
    let tenants = me.tenants.as_ref().map_or_else(|| "all".to_owned(), |it| it.join(", "));
    let text =
        pairs(&[("Signed in", Some(me.subject.clone())), ("Role", Some(me.role.clone())), ("Tenants", Some(tenants))]);
    Shown::new(me, text)
}

pub(crate) fn tenant_text(tenant: &Tenant) -> String {
    let head = pairs(&[
        ("Tenant", Some(tenant.tenant.clone())),
        ("Shop", Some(tenant.shop_url.clone())),
        ("Status", Some(tenant.status.clone())),
        ("Made", Some(tenant.created_at.clone())),
        ("Refuses us since", tenant.refused_since.clone()),
    ]);
    let bindings = if tenant.bindings.is_empty() {
        "No bindings. `ledger shop connect` makes one.".to_owned()
    } else {
        tables::bindings(&tenant.bindings)
    };
    format!("{head}\n{bindings}")
}

pub(crate) fn tenant_shown(tenant: &Tenant) -> Shown {
    Shown::new(tenant, tenant_text(tenant))
}

pub(crate) fn paired_shown(paired: &Paired) -> Shown {
    let answers =
        if paired.answers { "The shop answers." } else { "The shop has not answered yet; it is asked again." };
    let next = match paired.binding.status.as_str() {
        "active" => String::new(),
        _ => format!("\nNext: `ledger book connect {}`.", paired.binding.binding),
    };
    Shown::new(paired, format!("{}\n\nPaired. {answers}{next}", tenant_text(&paired.tenant)))
}

fn binding_text(row: &Binding) -> String {
    pairs(&[
        ("Binding", Some(row.binding.clone())),
        ("Tenant", Some(row.tenant.clone())),
        ("Provider", Some(row.provider.clone())),
        ("Dialect", row.dialect.clone()),
        ("Status", Some(tables::standing(row))),
        ("Organisation", row.organisation_name.clone()),
        ("Book", row.book.clone()),
        ("Address", row.base_url.clone()),
        ("Environment", row.environment.clone().filter(|it| it != "live")),
        ("Connected", row.connected_at.clone()),
        ("Settings", (row.settings_version > 0).then(|| format!("version {}", row.settings_version))),
    ])
}

pub(crate) fn binding_shown(row: &Binding) -> Shown {
    Shown::new(row, binding_text(row))
}

pub(crate) fn app_shown(app: &App) -> Shown {
    let text = pairs(&[
        ("Provider", Some(app.provider.clone())),
        ("For", Some(app.binding.as_ref().map_or_else(|| "the stack".to_owned(), |it| format!("binding {it}")))),
        ("Client id", Some(app.client_id.clone())),
        ("Has a secret", yes(app.has_secret)),
        ("Environment", Some(app.environment.clone())),
        ("Scopes", list(&app.scopes)),
        ("Dialect", app.dialect.clone()),
        ("Callback", Some(app.callback_url.clone())),
        ("Changed", Some(app.updated_at.clone())),
    ]);
    Shown::new(
        app,
        format!(
            "{text}\nThe callback address has to be entered on the provider's page of the app, letter by letter.\n"
        ),
    )
}

pub(crate) fn link_shown(link: &ConnectLink) -> Shown {
    let text = format!(
        "{}\n\nIt may be opened once, until {}. When its page says that it is done, confirm the organisation with \
         `ledger book confirm`.",
        link.url, link.expires_at
    );
    Shown::new(link, text)
}

pub(crate) fn pending_text(pending: &PendingConnection) -> String {
    let rows = pending
        .organisations
        .iter()
        .map(|it| {
            let present = if it.present { "this binding's book" } else { "" };
            vec![it.name.clone(), it.id.clone(), present.to_owned()]
        })
        .collect();
    let mut text = table(&["ORGANISATION", "ID", ""], rows, &[], &[0]);
    let _ = write!(text, "\n\n");
    text.push_str(&pairs(&[
        ("Provider", Some(pending.provider.clone())),
        ("Dialect", pending.dialect.clone()),
        ("Came by", pending.by_link.then(|| "a link".to_owned())),
        ("Granted", list(&pending.scopes)),
        ("Missing", list(&pending.missing_scopes)),
        ("Access level", pending.access_level.map(|it| it.to_string())),
        ("Confirm until", Some(pending.expires_at.clone())),
    ]));
    text
}

pub(crate) fn grant_shown(grant: &GrantStatus) -> Shown {
    let text = pairs(&[
        ("Binding", Some(grant.binding.clone())),
        ("Status", Some(grant.status.clone())),
        (
            "Access until",
            Some(grant.access_until.clone().unwrap_or_else(|| "not known: it was set by hand".to_owned())),
        ),
        ("Lapses", grant.refresh_until.clone()),
        ("Refreshed", grant.refreshed_at.clone()),
        ("Scopes", list(&grant.scopes)),
        ("Missing", list(&grant.missing_scopes)),
        ("Renewed by itself", yes(grant.can_renew)),
        ("Version", Some(grant.version.to_string())),
    ]);
    Shown::new(grant, text)
}

pub(crate) fn disconnection_text(preview: &Disconnection) -> String {
    let items = |items: &[String]| items.iter().fold(String::new(), |text, it| format!("{text}  - {it}\n"));
    let at_provider = match preview.at_provider.as_str() {
        "nothing" => "There is nothing to take back at the provider.",
        "by_hand" => "The grant was set by hand; take it back on the provider's page.",
        "connection_only" => "At the provider this organisation's connection is removed; the user's others stay.",
        "revoked" => "The grant is taken back at the provider.",
        "failed" => "The provider did not take the grant back; do it on the provider's page.",
        other => other,
    };
    format!(
        "{}\nGoes\n{}\nStays\n{}\n{at_provider}\nHeld runs that end as skipped: {}\nDead letters that stay: {}\nPreviews that stay: {}\n",
        binding_text(&preview.binding),
        items(&preview.removed),
        items(&preview.kept),
        preview.held_runs,
        preview.dead_letters,
        preview.previews
    )
}

pub(crate) fn disconnections_text(done: &[Disconnection]) -> String {
    let line = |it: &Disconnection| {
        let left = match it.at_provider.as_str() {
            "failed" => " The provider did not take the grant back: disconnect again, or do it on the provider's page.",
            "by_hand" => " Take the grant back on the provider's page.",
            _ => "",
        };
        format!("Binding {} is {}.{left}", it.binding.binding, it.binding.status)
    };
    done.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn ages(reference: &[ReferenceAge]) -> String {
    let row = |it: &ReferenceAge| {
        let age = it.age_seconds.map(|seconds| duration(seconds.saturating_mul(1_000)));
        let mut note = Vec::new();
        if it.cut_off {
            note.push("cut off".to_owned());
        }
        if it.reading {
            note.push("being read".to_owned());
        }
        note.extend(it.fault.clone());
        vec![it.list.clone(), it.count.to_string(), age.unwrap_or_else(|| "never read".to_owned()), note.join(", ")]
    };
    table(&["LIST", "ENTRIES", "AGE", "NOTE"], reference.iter().map(row).collect(), &[1], &[])
}

pub(crate) fn settings_shown(view: &SettingsView) -> Shown {
    let settings = match &view.settings {
        Some(settings) => json_text(settings),
        None => "No settings. `ledger settings propose` shows what the book suggests.".to_owned(),
    };
    Shown::new(view, format!("Settings {}\n{settings}\n\n{}", view.version, ages(&view.reference)))
}

pub(crate) fn validation_shown(validation: &Validation) -> Shown {
    let mut text = validation
        .errors
        .iter()
        .fold(String::new(), |text, it| format!("{text}{} ({}): {}\n", it.field, it.code, it.message));
    text.push_str(if validation.valid { "The settings can be saved." } else { "The settings can't be saved." });
    if !validation.unchecked.is_empty() {
        let _ = write!(text, "\nNot checked, because they are not known: {}.", validation.unchecked.join(", "));
    }
    let exit = if validation.valid { 0 } else { crate::failure::FAULT };
    Shown::new(validation, text).ending(exit)
}

pub(crate) fn proposal_shown(proposal: &SettingsProposal) -> Shown {
    let mut text = json_text(&proposal.settings);
    let mut add = |what: &str, fields: &[String]| {
        if !fields.is_empty() {
            let _ = write!(text, "\n\n{what}: {}", fields.join(", "));
        }
    };
    add("Fill in", &proposal.missing);
    add("Worth a look", &proposal.open);
    Shown::new(proposal, text)
}

pub(crate) fn versions_shown(versions: &SettingsVersions) -> Shown {
    let text = versions.versions.iter().map(|it| {
        let saved = it.saved_at.as_ref().map(|at| format!(", {at}")).unwrap_or_default();
        let by = it.saved_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        format!("Settings {}{saved}{by}\n{}", it.version, json_text(&it.settings))
    });
    let text = text.collect::<Vec<_>>().join("\n\n");
    Shown::new(versions, if text.is_empty() { "No settings.".to_owned() } else { text })
}

pub(crate) fn reference_shown(data: &ReferenceData) -> Shown {
    let row = |it: &ledger_wire::api::ReferenceEntry| {
        vec![
            it.list.clone(),
            it.id.clone(),
            it.name.clone(),
            it.rate.clone().or_else(|| it.currency.clone()).unwrap_or_default(),
            it.group.clone().unwrap_or_default(),
            it.country.clone().unwrap_or_default(),
            match &it.locked_until {
                _ if !it.active => "not active".to_owned(),
                Some(day) => format!("locked until {day}"),
                None => String::new(),
            },
        ]
    };
    let header = ["LIST", "ID", "NAME", "RATE OR CURRENCY", "KIND", "COUNTRY", ""];
    let entries = table(&header, data.entries.iter().map(row).collect(), &[], &[2]);
    Shown::new(data, format!("{}\n\n{entries}", ages(&data.lists)))
}

pub(crate) fn refreshed_shown(refreshed: &Refreshed) -> Shown {
    let row = |it: &ledger_wire::api::RefreshedList| {
        vec![it.list.clone(), it.outcome.clone(), it.code.clone().unwrap_or_default()]
    };
    let lists = table(&["LIST", "OUTCOME", "CODE"], refreshed.lists.iter().map(row).collect(), &[], &[]);
    let failed = refreshed.lists.iter().any(|it| it.outcome == "failed");
    let exit = if failed { crate::failure::FAULT } else { 0 };
    Shown::new(refreshed, format!("{lists}\n\n{}", ages(&refreshed.reference))).ending(exit)
}

pub(crate) fn runs_shown(page: &Runs) -> Shown {
    let mut text = if page.runs.is_empty() { "No runs.".to_owned() } else { tables::runs(&page.runs) };
    if let Some(next) = &page.next {
        let _ = write!(text, "\n\nMore with --after {next}");
    }
    Shown::new(page, text)
}

pub(crate) fn run_shown(detail: &RunDetail) -> Shown {
    Shown::new(detail, timeline::page(detail))
}

pub(crate) fn retried_shown(run: &Run) -> Shown {
    let done = match run.state.as_str() {
        "succeeded" => "is in the book already; the shop is told its chip again",
        _ => "is sent again",
    };
    Shown::new(run, format!("Run {} {done}.\nFollow it with `ledger runs show {}`.", run.run, run.run))
}

pub(crate) fn now_shown(run: &Run) -> Shown {
    let code = run.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    Shown::new(run, format!("Run {} is {}{code}.", run.run, run.state))
}

pub(crate) fn settled_shown(settled: &Settled) -> Shown {
    let how = if settled.confirmed { "the book has the document" } else { "the book could not be asked" };
    Shown::new(settled, format!("Run {} is {}: {how}.", settled.run.run, settled.run.state))
}

pub(crate) fn requests_shown(shown: &RunRequests) -> Shown {
    let mut text = pairs(&[
        ("Run", Some(shown.run.run.clone())),
        ("Outcome", Some(shown.outcome.clone())),
        ("Code", shown.code.clone()),
        ("Reason", shown.message.clone()),
        ("Settings", Some(shown.settings_version.to_string())),
    ]);
    for it in &shown.requests {
        let query = it.query.iter().map(|it| format!("{}={}", it.name, it.value)).collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let taken = if it.taken { ", is there and is taken" } else { "" };
        let _ = writeln!(text, "\n{} ({}{taken})\n{} {}{mark}{query}", it.label, it.kind, it.method, it.path);
        for header in &it.headers {
            let _ = writeln!(text, "{}: {}", header.name, header.value);
        }
        if let Some(body) = &it.body {
            let _ = writeln!(text, "{body}");
        }
    }
    for it in &shown.proven {
        let _ = writeln!(text, "\nProven: {} {} {}", it.kind, it.total, it.currency);
    }
    Shown::new(shown, text)
}

pub(crate) fn standing_still_shown(what: &str, found: &Causes) -> Shown {
    Shown::new(found, tables::standing_still(what, found))
}

fn job_text(job: &Job) -> String {
    pairs(&[
        ("Job", Some(job.job.clone())),
        ("Kind", Some(job.kind.clone())),
        ("Binding", Some(job.binding.clone())),
        ("State", Some(job.state.clone())),
        ("Done", Some(job.done.to_string())),
        ("Nothing to do", Some(job.passed.to_string())),
        ("Waits for", job.waits_for.clone()),
        ("Goes on", job.due_at.clone()),
        ("Begun", Some(job.created_at.clone())),
        ("Changed", Some(job.updated_at.clone())),
    ])
}

pub(crate) fn job_shown(job: &Job) -> Shown {
    let follow = match job.state.as_str() {
        "open" => format!("\nFollow it with `ledger jobs follow {} {}`.", job.binding, job.job),
        _ => String::new(),
    };
    Shown::new(job, format!("{}{follow}", job_text(job)))
}

pub(crate) fn jobs_shown(jobs: &Jobs) -> Shown {
    let row = |it: &Job| {
        vec![
            it.job.clone(),
            it.kind.clone(),
            it.state.clone(),
            it.done.to_string(),
            it.passed.to_string(),
            short_moment(&it.created_at),
        ]
    };
    let header = ["JOB", "KIND", "STATE", "DONE", "NOTHING TO DO", "BEGUN"];
    let text = if jobs.jobs.is_empty() {
        "No jobs.".to_owned()
    } else {
        table(&header, jobs.jobs.iter().map(row).collect(), &[3, 4], &[])
    };
    Shown::new(jobs, text)
}

pub(crate) fn xrefs_shown(found: &CrossReferences) -> Shown {
    let row = |it: &ledger_wire::api::CrossReference| {
        let mut state = it.state.clone();
        if it.doubtful {
            state.push_str(", in doubt");
        }
        if it.adopted {
            state.push_str(", adopted");
        }
        vec![
            it.kind.clone(),
            state,
            it.number.clone().unwrap_or_default(),
            it.provider_id.clone().unwrap_or_default(),
            it.reference.clone().unwrap_or_default(),
            it.total.clone().unwrap_or_default(),
            short_moment(&it.updated_at),
        ]
    };
    let header = ["KIND", "STATE", "OUR NUMBER", "ID IN THE BOOK", "ITS NUMBER", "TOTAL", "CHANGED"];
    let text = if found.rows.is_empty() {
        "Nothing is remembered.".to_owned()
    } else {
        table(&header, found.rows.iter().map(row).collect(), &[5], &[])
    };
    Shown::new(found, text)
}

pub(crate) fn imported_shown(imported: &Imported, dry_run: bool) -> Shown {
    let taken = if dry_run { "Would be taken" } else { "Taken" };
    let mut text = pairs(&[
        (taken, Some(imported.taken.to_string())),
        ("There already", Some(imported.there.to_string())),
        ("Passed over", Some(imported.passed.to_string())),
        ("Clashes", Some(imported.clashes.len().to_string())),
    ]);
    for clash in &imported.clashes {
        let _ = writeln!(text, "line {}: {}", clash.line, clash.code);
    }
    let exit = if imported.clashes.is_empty() { 0 } else { crate::failure::FAULT };
    Shown::new(imported, text).ending(exit)
}

pub(crate) fn integration_shown(status: &IntegrationStatus) -> Shown {
    let mut text = pairs(&[
        ("Connected", yes(status.connected)),
        ("Verdict", Some(format!("{:?}", status.sync_status).to_lowercase())),
        ("Token until", status.token_expires_at.clone()),
        ("Last document", status.last_sync.clone()),
        ("Under way", Some(status.pending_syncs.to_string())),
        ("Failed", Some(status.failed_syncs.to_string())),
    ]);
    for error in &status.errors {
        let _ = writeln!(text, "{}  {}  {}", short_moment(&error.timestamp), error.kind, error.message);
    }
    Shown::new(status, text)
}
