//! Checks a deployed stack end to end, and says what to do about each finding.

use crate::api::{Api, part, query};
use crate::args::Whose;
use crate::commands::{integration, standing_still, tenant_of};
use crate::failure::{FAULT, Failure};
use crate::session::Session;
use crate::shown::Shown;
use crate::tables::table;
use crate::text::duration;
use ledger_wire::api::{App, Binding, Causes, Me, ReferenceData, Stack, SyncStatus, Tenants};
use serde::Serialize;

/// Reference data that is older is worth a look, in seconds: it is read anew after a day of use.
const REFERENCE_AGE_MAX: i64 = 3 * 86_400;
/// A sweep that is longer ago is one too many that was left out, in seconds: there is one each minute.
const SWEEP_AGE_MAX: i64 = 300;
/// What is due for longer is not worked on, in seconds.
const DUE_AGE_MAX: i64 = 900;
/// Most tenants that are looked at, give or take a page.
const TENANTS_MAX: usize = 200;
/// A delivery to nobody.
const WEBHOOK_PROBE: &str = "/webhooks/magento/doctor/invoice.created";
/// The providers.
const PROVIDERS: [&str; 3] = ["xero", "sage_accounting", "freeagent"];

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at.
    check: String,
    /// `good`, `note` or `wrong`.
    verdict: &'static str,
    /// What was found.
    found: String,
    /// What to do about it; null where nothing is to be done.
    remedy: Option<String>,
}

#[derive(Default, Serialize)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn good(&mut self, check: &str, found: impl Into<String>) {
        self.findings.push(Finding { check: check.to_owned(), verdict: "good", found: found.into(), remedy: None });
    }

    fn note(&mut self, check: &str, found: impl Into<String>, remedy: impl Into<String>) {
        let remedy = Some(remedy.into());
        self.findings.push(Finding { check: check.to_owned(), verdict: "note", found: found.into(), remedy });
    }

    fn wrong(&mut self, check: &str, found: impl Into<String>, remedy: impl Into<String>) {
        let remedy = Some(remedy.into());
        self.findings.push(Finding { check: check.to_owned(), verdict: "wrong", found: found.into(), remedy });
    }

    fn failed(&mut self, check: &str, failure: &Failure) {
        self.wrong(check, format!("{}: {}", failure.code(), failure.message()), failure.remedy());
    }

    fn shown(&self) -> Shown {
        let row = |it: &Finding| {
            let remedy = it.remedy.clone().unwrap_or_default();
            vec![it.verdict.to_owned(), it.check.clone(), it.found.clone(), remedy]
        };
        let rows = self.findings.iter().map(row).collect();
        let wrong = self.findings.iter().filter(|it| it.verdict == "wrong").count();
        let verdict = match wrong {
            0 => "Nothing is wrong.".to_owned(),
            1 => "One thing is wrong.".to_owned(),
            several => format!("{several} things are wrong."),
        };
        let text = format!("{}\n\n{verdict}", table(&["", "CHECK", "FOUND", "WHAT TO DO"], rows, &[], &[2, 3]));
        Shown::new(self, text).ending(if wrong == 0 { 0 } else { FAULT })
    }
}

/// Checks everything that can be seen from here. It never stops at the first finding, unless nothing behind it can be seen.
pub(crate) async fn doctor(session: &Session<'_>, named: &[String]) -> Result<Shown, Failure> {
    let url = session.url()?;
    let mut report = Report::default();
    let open = Api { http: session.http()?.api(&url), bearer: None };
    match open.get::<serde_json::Value>("/openapi.json", &[]).await {
        Ok(document) => {
            report.good("address", url.clone());
            let has = |path: &str| document.get("paths").and_then(|it| it.get(path)).is_some();
            if has("/v1/me") && has("/v1/bindings/{binding}/connection") {
                report.good("API document", "as this version knows it");
            } else {
                report.wrong(
                    "API document",
                    "lacks routes",
                    "Use the version of `ledger` that the stack was deployed with.",
                );
            }
        }
        Err(failure) => {
            report.failed("address", &failure);
            return Ok(report.shown());
        }
    }
    let api = match session.api().await {
        Ok(api) => api,
        Err(failure) => {
            report.failed("sign-in", &failure);
            return Ok(report.shown());
        }
    };
    let me = match api.get::<Me>("/v1/me", &[]).await {
        Ok(me) => me,
        Err(failure) => {
            report.failed("sign-in", &failure);
            return Ok(report.shown());
        }
    };
    report.good("sign-in", me.role.clone());
    apps(session, &api, &url, &mut report).await;
    webhook(&open, &mut report).await;
    sweeper(&api, &mut report).await;
    let tenants = if named.is_empty() { tenants(&api, &mut report).await } else { named.to_vec() };
    if tenants.is_empty() {
        report.note("tenants", "there is none", "`ledger shop connect` pairs a shop.");
    }
    for tenant in &tenants {
        match tenant_of(&api, tenant).await {
            Err(failure) => report.failed(&format!("tenant {tenant}"), &failure),
            Ok(found) => {
                shop(tenant, &found.status, &mut report);
                // Nothing of a shop that was never paired can work yet.
                let bindings = if found.status == "pending" { &[] } else { found.bindings.as_slice() };
                for binding in bindings.iter().filter(|it| it.status != "disconnected") {
                    let id = &binding.binding;
                    match api.get::<App>(&format!("/v1/bindings/{}/app", part(id)), &[]).await {
                        // The stack's is looked at already.
                        Ok(own) if own.binding.is_some() => {
                            app(session, &format!("app of {id}"), &own, &url, &mut report).await;
                        }
                        Ok(_) => {}
                        Err(failure) if failure.is_not_found() => {
                            let remedy = format!("`ledger app set {}` sets one.", binding.provider);
                            report.wrong(&format!("app of {id}"), "none", remedy);
                        }
                        Err(failure) => report.failed(&format!("app of {id}"), &failure),
                    }
                    self::binding(&api, binding, &mut report).await;
                }
            }
        }
    }
    for (check, path) in [("held runs", "/v1/held"), ("dead letters", "/v1/dead-letters")] {
        match standing_still(&api, path, &Whose::default(), None).await {
            Ok(found) => causes(check, &found, &mut report),
            Err(failure) => report.failed(check, &failure),
        }
    }
    Ok(report.shown())
}

/// Every tenant that the caller may see, up to a number.
async fn tenants(api: &Api, report: &mut Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        match api.get::<Tenants>("/v1/tenants", &query(&[("after", after)])).await {
            Ok(page) => {
                found.extend(page.tenants.into_iter().map(|it| it.tenant));
                after = page.next;
            }
            Err(failure) => {
                report.failed("tenants", &failure);
                return found;
            }
        }
        if after.is_none() {
            return found;
        }
        if found.len() >= TENANTS_MAX {
            report.note("tenants", format!("only the first {}", found.len()), "Name others with --tenant.");
            return found;
        }
    }
}

/// Shops deliver to the same address: what comes without a token has to be turned away by the webhook itself.
async fn webhook(open: &Api, report: &mut Report) {
    let body = serde_json::json!({});
    let provider = query(&[("provider", Some("xero".to_owned()))]);
    match open.post::<serde_json::Value>(WEBHOOK_PROBE, &provider, Some(&body)).await {
        Err(failure) if failure.code() == "unauthorised" => {
            report.good("webhook", "refuses what comes without a token");
        }
        Err(failure) => report.wrong(
            "webhook",
            format!("{}: {}", failure.code(), failure.message()),
            "Shops can't deliver: deploy the template as it is, and look at the webhook's log.",
        ),
        Ok(_) => report.wrong("webhook", "takes what comes without a token", "Report it; stop the stack."),
    }
}

/// Everything that waits is brought back by the sweeper, once a minute.
async fn sweeper(api: &Api, report: &mut Report) {
    let stack = match api.get::<Stack>("/v1/stack", &[]).await {
        Ok(stack) => stack,
        Err(failure) => return report.failed("sweeper", &failure),
    };
    let ago = |seconds: i64| duration(seconds.saturating_mul(1_000));
    let remedy = "See that the schedule is on (parameter SweeperScheduleState), and the sweeper's log.";
    match stack.last_sweep_age_seconds {
        None => report.wrong("sweeper", "has never run to its end", remedy),
        Some(age) if age > SWEEP_AGE_MAX => {
            report.wrong("sweeper", format!("last ran to its end {} ago", ago(age)), remedy);
        }
        Some(age) => report.good("sweeper", format!("ran {} ago", ago(age))),
    }
    match stack.oldest_due_age_seconds {
        Some(age) if age > DUE_AGE_MAX => report.wrong(
            "queues",
            format!("something has been due for {}", ago(age)),
            "See that the workers run: their logs, and the alarms on the queues.",
        ),
        Some(_) => report.good("queues", "nothing waits for longer than it should"),
        None => {}
    }
}

/// True where a callback address is another address of a stack.
async fn is_answered(session: &Session<'_>, callback: &str) -> bool {
    let (Some(base), Ok(http)) = (callback.strip_suffix("/oauth/callback"), session.http()) else { return false };
    let open = Api { http: http.api(base), bearer: None };
    open.get::<serde_json::Value>("/openapi.json", &[]).await.is_ok()
}

async fn apps(session: &Session<'_>, api: &Api, url: &str, report: &mut Report) {
    let mut set = 0_usize;
    for provider in PROVIDERS {
        let check = format!("app of {provider}");
        match api.get::<App>(&format!("/v1/apps/{provider}"), &[]).await {
            Ok(app) => {
                set = set.saturating_add(1);
                self::app(session, &check, &app, url, report).await;
            }
            Err(failure) if failure.is_not_found() => {}
            Err(failure) => report.failed(&check, &failure),
        }
    }
    if set == 0 {
        report.note("apps", "the stack has none", "`ledger app set PROVIDER` sets one; bindings may have their own.");
    }
}

/// Whether the stack answers where the provider sends the browser back to.
async fn app(session: &Session<'_>, check: &str, app: &App, url: &str, report: &mut Report) {
    let found = format!("callback {}", app.callback_url);
    if app.callback_url == format!("{url}/oauth/callback") || is_answered(session, &app.callback_url).await {
        return report.good(check, found);
    }
    let remedy = format!(
        "Nothing of the stack answers there: set the parameter PublicUrl to {url}, and enter the callback on the \
         provider's page of the app."
    );
    report.wrong(check, found, remedy);
}

fn shop(tenant: &str, status: &str, report: &mut Report) {
    let check = format!("tenant {tenant}");
    match status {
        "connected" => report.good(&check, status),
        "silent" => {
            report.note(&check, status, "Nothing came from the shop for longer than usual: see that its cron runs.")
        }
        "pending" => report.note(
            &check,
            "never paired",
            "Pair the shop: `ledger shop connect`. If its address was a slip, it may stay.",
        ),
        "token_revoked" => {
            report.wrong(&check, status, "The shop refuses our key: pair it again with `ledger shop connect`.")
        }
        "unreachable" => report.wrong(&check, status, "See that the shop answers over https from the internet."),
        "disconnected" => {
            report.wrong(&check, status, "The shop was disconnected: pair it again if that was not meant.")
        }
        other => report.note(&check, other, "Use the version of `ledger` that the stack was deployed with."),
    }
}

async fn binding(api: &Api, row: &Binding, report: &mut Report) {
    let id = &row.binding;
    let check = format!("binding {id}");
    match row.status.as_str() {
        "pending" => {
            report.wrong(&check, "has no book", format!("`ledger book connect {id}`"));
            return;
        }
        "needs_reconnect" => report.wrong(&check, "the book refuses our grant", format!("`ledger book connect {id}`")),
        status => report.good(&check, status),
    }
    match row.mode.as_str() {
        "paused" => report.note(&check, "paused", format!("`ledger book resume {id}`")),
        "preview" => {
            report.note(&check, "in preview", format!("`ledger previews list {id}`, then `ledger book live {id}`"))
        }
        _ => {}
    }
    if row.settings_version == 0 {
        report.wrong(
            &format!("settings of {id}"),
            "none",
            format!("`ledger settings propose {id}`, then `ledger settings set`"),
        );
    }
    match integration(api, row).await {
        Ok(status) => {
            let check = format!("work of {id}");
            let found = format!("{} under way, {} failed", status.pending_syncs, status.failed_syncs);
            match status.sync_status {
                SyncStatus::Healthy => report.good(&check, found),
                SyncStatus::Degraded => report.wrong(&check, found, format!("`ledger diagnose {id}`")),
                SyncStatus::Disconnected => report.wrong(&check, "not connected", format!("`ledger book status {id}`")),
            }
        }
        Err(failure) => report.failed(&format!("work of {id}"), &failure),
    }
    let check = format!("reference data of {id}");
    match api.get::<ReferenceData>(&format!("/v1/bindings/{}/reference", crate::api::part(id)), &[]).await {
        Ok(data) => {
            let old = |seconds: Option<i64>| seconds.is_none_or(|it| it > REFERENCE_AGE_MAX);
            let stale: Vec<&str> = data
                .lists
                .iter()
                .filter(|it| it.fault.is_some() || old(it.age_seconds))
                .map(|it| it.list.as_str())
                .collect();
            if stale.is_empty() {
                report.good(&check, format!("{} lists", data.lists.len()));
            } else {
                let found = format!("old or failed: {}", stale.join(", "));
                report.note(&check, found, format!("`ledger reference refresh {id}`"));
            }
        }
        Err(failure) => report.failed(&check, &failure),
    }
}

fn causes(check: &str, found: &Causes, report: &mut Report) {
    if found.causes.is_empty() {
        report.good(check, "none");
    }
    for cause in &found.causes {
        let remedy = cause.remedy.clone().unwrap_or_else(|| "Use the stack's version of `ledger`.".to_owned());
        report.wrong(check, format!("{} of {}", cause.runs, cause.code), remedy);
    }
}
