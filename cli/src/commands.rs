//! What the commands do. Each asks the API and shows its answer.

mod books;
mod notices;
mod runs;
mod settings;
mod work;

pub(crate) use runs::standing_still;
pub(crate) use work::integration;
#[cfg(test)]
pub(crate) use work::pieces;

use crate::api::{Api, part};
use crate::args::{Command, ShopCommand};
use crate::doctor;
use crate::failure::Failure;
use crate::keep;
use crate::local;
use crate::session::Session;
use crate::shown::{Shown, disconnections_text, me_shown, paired_shown, tenant_shown};
use crate::signin::{Login, revoke};
use crate::stack::Stack;
use indicatif::{ProgressBar, ProgressStyle};
use ledger_aws::SystemChance;
use ledger_wire::api::{Binding, Me, PairRequest, Paired, Tenant};

/// Does what a command asks for.
pub(crate) async fn done(session: &Session<'_>, command: &Command) -> Result<Shown, Failure> {
    match command {
        Command::Login { issuer, client_id, no_browser } => {
            login(session, issuer.as_deref(), client_id.as_deref(), !no_browser).await
        }
        Command::Logout => logout(session).await,
        Command::Whoami => Ok(me_shown(&session.api().await?.get("/v1/me", &[]).await?)),
        Command::Shop(command) => shop(session, command).await,
        Command::Book(command) => books::book(session, command).await,
        Command::App(command) => books::app(session, command).await,
        Command::Oauth(command) => books::oauth(session, command).await,
        Command::Settings(command) => settings::settings(session, command).await,
        Command::Reference(command) => settings::reference(session, command).await,
        Command::Runs(command) => runs::runs(session, command).await,
        Command::DeadLetters(command) => runs::dead_letters(session, command).await,
        Command::Held(command) => runs::held(session, command).await,
        Command::Notices(command) => notices::notices(session, command).await,
        Command::Previews(command) => work::previews(session, command).await,
        Command::Resync { binding, since, events, follow } => {
            work::resync(session, binding, since, events, *follow).await
        }
        Command::Backfill { binding, kind, from_id, to_id, follow } => {
            work::backfill(session, binding, kind, (*from_id, *to_id), *follow).await
        }
        Command::SyncState(command) => work::sync_state(session, command).await,
        Command::Jobs(command) => work::jobs(session, command).await,
        Command::Xref(command) => work::xref(session, command).await,
        Command::Diagnose { binding } => work::diagnose(session, binding).await,
        Command::Doctor { tenants } => doctor::doctor(session, tenants).await,
        Command::Local(command) => local::local(&Stack::open(session.variables)?, command).await,
        // Answered before a stack is looked for.
        Command::Completions { shell } => Ok(Shown::new(&(), crate::args::completions(*shell))),
    }
}

async fn login(
    session: &Session<'_>,
    issuer: Option<&str>,
    client_id: Option<&str>,
    browser: bool,
) -> Result<Shown, Failure> {
    let (http, url, file) = (session.http()?, session.url()?, session.file()?);
    let mut kept = keep::read(&file)?;
    let before = kept.of(&url);
    let need = |named: Option<&str>, variable: &str, before: Option<String>| {
        named.map(str::to_owned).or_else(|| session.variable(variable)).or(before).ok_or_else(|| {
            Failure::usage(
                format!("{variable} is not known."),
                "Set OIDC_ISSUER and OIDC_CLIENT_ID, or pass --issuer and --client-id: the stack's outputs OidcIssuer and \
                 OidcClientId.",
            )
        })
    };
    let issuer = need(issuer, "OIDC_ISSUER", before.map(|it| it.issuer.clone()))?;
    let client_id = need(client_id, "OIDC_CLIENT_ID", before.map(|it| it.client_id.clone()))?;
    let engine = session.engine();
    let login = Login {
        http: &http,
        person: session.person,
        clock: session.clock,
        chance: &SystemChance,
        engine: engine.as_deref(),
        ports: session.ports,
        browser,
    };
    let sign_in = login.sign_in(&url, &issuer, &client_id).await?;
    let api = Api { http: http.api(&url), bearer: Some(sign_in.access_token.clone().into()) };
    kept.put(sign_in);
    keep::write(&file, &kept)?;
    let me: Me = api.get("/v1/me", &[]).await?;
    Ok(me_shown(&me))
}

async fn logout(session: &Session<'_>) -> Result<Shown, Failure> {
    let (url, file) = (session.url()?, session.file()?);
    let mut kept = keep::read(&file)?;
    let sign_in = kept.of(&url).cloned().ok_or_else(Failure::signed_out)?;
    kept.remove(&url);
    keep::write(&file, &kept)?;
    let told = revoke(&session.http()?, &sign_in, session.engine().as_deref()).await;
    let text = if told {
        "Signed out; the issuer knows."
    } else {
        "Signed out here. The issuer could not be told; its sign-in ends by itself."
    };
    Ok(Shown::new(&serde_json::json!({"url": url, "revoked": told}), text.to_owned()))
}

async fn shop(session: &Session<'_>, command: &ShopCommand) -> Result<Shown, Failure> {
    let api = session.api().await?;
    match command {
        ShopCommand::Connect { shop_url, provider } => {
            let question = "The pairing code that the shop's configuration page shows:";
            let pairing_code = session.person.ask(question)?;
            if pairing_code.is_empty() {
                return Err(Failure::usage("There is no pairing code.", "Type it, or pipe it in as one line."));
            }
            let request = PairRequest { magento_base_url: shop_url.clone(), pairing_code };
            let which = [("provider".to_owned(), provider.clone())];
            let paired: Paired = api.post("/v1/magento/connect", &which, Some(&request)).await?;
            Ok(paired_shown(&paired))
        }
        ShopCommand::Status { tenant } => Ok(tenant_shown(&tenant_of(&api, tenant).await?)),
        ShopCommand::Disconnect { tenant, yes } => {
            let tenant = tenant_of(&api, tenant).await?;
            let bindings: Vec<&Binding> = tenant.bindings.iter().filter(|it| it.status != "disconnected").collect();
            if bindings.is_empty() {
                return Err(Failure::not_found("binding that is connected"));
            }
            let bindings: Vec<&str> = bindings.iter().map(|it| it.binding.as_str()).collect();
            let done = books::disconnect(session, &api, &bindings, *yes).await?;
            Ok(Shown::new(&done, disconnections_text(&done)))
        }
    }
}

pub(crate) async fn tenant_of(api: &Api, tenant: &str) -> Result<Tenant, Failure> {
    api.get(&format!("/v1/tenants/{}", part(tenant)), &[]).await
}

pub(crate) async fn binding_of(api: &Api, binding: &str) -> Result<Binding, Failure> {
    api.get(&binding_path(binding, ""), &[]).await
}

/// The path of something of a binding.
fn binding_path(binding: &str, rest: &str) -> String {
    format!("/v1/bindings/{}{rest}", part(binding))
}

/// The path of something of a run.
fn run_path(run: &str, rest: &str) -> String {
    format!("/v1/runs/{}{rest}", part(run))
}

/// A bar on standard error; none where that is not a terminal.
fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len}") {
        bar.set_style(style);
    }
    bar
}
