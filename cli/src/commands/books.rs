//! Books: connecting, looking at, disconnecting; apps and grants.

use super::{binding_of, binding_path};
use crate::api::{Api, part};
use crate::args::{AppCommand, AppSet, BookCommand, OauthCommand};
use crate::failure::Failure;
use crate::person::agrees;
use crate::secrets;
use crate::session::Session;
use crate::shown::{
    Shown, app_shown, binding_shown, disconnection_text, disconnections_text, grant_shown, link_shown, pending_text,
    refreshed_shown,
};
use crate::stack::Stack;
use crate::text::milliseconds;
use ledger_aws::engine::ports::{Operations, Vault};
use ledger_aws::engine::tenants::access_token_context;
use ledger_http::address_with;
use ledger_wire::api::{
    App, AppRequest, Binding, ConfirmRequest, ConnectLink, Disconnection, GrantStatus, ModeRequest, NewBindingRequest,
    PendingConnection, RefreshRequest, Refreshed, Started,
};
use secrecy::ExposeSecret;

/// What is answered while ours is not there yet: nothing, one that is somebody else's or over, or nobody.
const NOT_YET: [&str; 6] = [
    "pending_expired",
    "not_your_connection",
    "authority_unavailable",
    "no_connection",
    "no_answer",
    "store_unavailable",
];
/// How often an answer is asked for.
const ANSWERS_MAX: u32 = 3;

pub(super) async fn book(session: &Session<'_>, command: &BookCommand) -> Result<Shown, Failure> {
    let api = session.api().await?;
    match command {
        BookCommand::Connect { binding, no_browser } => connect(session, &api, binding, !no_browser).await,
        BookCommand::New { tenant, provider } => {
            let request = NewBindingRequest { provider: provider.clone() };
            let path = format!("/v1/tenants/{}/bindings", part(tenant));
            let row: Binding = api.post(&path, &[], Some(&request)).await?;
            let mut shown = binding_shown(&row);
            shown.text.push_str(&format!("\nNext: `ledger book connect {}`.\n", row.binding));
            Ok(shown)
        }
        BookCommand::Link { binding } => {
            let link: ConnectLink = api.ask(&binding_path(binding, "/link")).await?;
            Ok(link_shown(&link))
        }
        BookCommand::Confirm { binding, organisation } => {
            let pending = pending(&api, binding).await?;
            confirm(session, &api, &pending, organisation.as_deref()).await
        }
        BookCommand::Discard { binding } => {
            let row: Binding = api.delete(&binding_path(binding, "/connection")).await?;
            Ok(binding_shown(&row))
        }
        BookCommand::Status { binding } => Ok(binding_shown(&binding_of(&api, binding).await?)),
        BookCommand::Refresh { binding } => refresh(&api, binding, &[]).await,
        BookCommand::Pause { binding } => mode(&api, binding, None, "paused").await,
        // What is in preview does not go live by the way.
        BookCommand::Resume { binding } => mode(&api, binding, Some("paused"), "live").await,
        BookCommand::Live { binding } => mode(&api, binding, None, "live").await,
        BookCommand::Preview { binding } => mode(&api, binding, None, "preview").await,
        BookCommand::Disconnect { binding, yes } => {
            let done = disconnect(session, &api, &[binding], *yes).await?;
            let one = done.first().ok_or_else(|| Failure::not_found("binding"))?;
            Ok(Shown::new(one, disconnections_text(&done)))
        }
    }
}

async fn mode(api: &Api, binding: &str, from: Option<&str>, mode: &str) -> Result<Shown, Failure> {
    let request = ModeRequest { mode: mode.to_owned(), from: from.map(str::to_owned) };
    let row: Binding = api.put(&binding_path(binding, "/mode"), &request).await?;
    Ok(binding_shown(&row))
}

/// Reads lists of a book anew; all where none is named.
pub(super) async fn refresh(api: &Api, binding: &str, lists: &[String]) -> Result<Shown, Failure> {
    let request = RefreshRequest { lists: lists.to_vec() };
    let refreshed: Refreshed = api.post(&binding_path(binding, "/reference/refresh"), &[], Some(&request)).await?;
    Ok(refreshed_shown(&refreshed))
}

async fn pending(api: &Api, binding: &str) -> Result<PendingConnection, Failure> {
    api.get(&binding_path(binding, "/connection"), &[]).await
}

async fn connect(session: &Session<'_>, api: &Api, binding: &str, browser: bool) -> Result<Shown, Failure> {
    // One that was begun earlier is not the one that is waited for.
    let earlier = match pending(api, binding).await {
        Ok(pending) => Some(pending.expires_at),
        Err(failure) if failure.exit_code() == 2 || failure.code() == "forbidden" => return Err(failure),
        Err(_) => None,
    };
    let started: Started = api.ask(&binding_path(binding, "/connection")).await?;
    let address = address_with(&started.authorize_url, &[]).ok_or_else(|| {
        Failure::fault("answer_unknown", "The provider's page is no address of the web.", "Report it.")
    })?;
    if browser && session.person.open(&address) {
        session
            .person
            .tell(&format!("The provider's page opens in your browser. If it doesn't, open this:\n{address}"));
    } else {
        session.person.tell(&format!("Open this in a browser:\n{address}"));
    }
    session.person.tell("Waiting until it comes back…");
    let until = milliseconds(&started.expires_at);
    loop {
        match pending(api, binding).await {
            Ok(found) if earlier.as_ref() != Some(&found.expires_at) => {
                return confirm(session, api, &found, None).await;
            }
            Ok(_) => {}
            Err(failure) if failure.is_not_found() || NOT_YET.contains(&failure.code()) => {}
            Err(failure) => return Err(failure),
        }
        if session.clock.now_ms() >= until {
            let remedy = "Begin again with `ledger book connect`; the provider's page says what went wrong there.";
            return Err(Failure::fault("timed_out", "Nobody came back from the provider's page.", remedy));
        }
        session.clock.sleep_ms(session.look_ms).await;
    }
}

/// Confirms the organisation that is named, by its name or id.
async fn confirm(
    session: &Session<'_>,
    api: &Api,
    pending: &PendingConnection,
    named: Option<&str>,
) -> Result<Shown, Failure> {
    let find = |text: &str| {
        let mut found =
            pending.organisations.iter().filter(|it| it.id == text || it.name.trim().eq_ignore_ascii_case(text.trim()));
        // Two of the same name are told apart by their ids.
        found.next().filter(|_| found.next().is_none())
    };
    let mut chosen = named.and_then(find);
    if named.is_none() {
        session.person.tell(&pending_text(pending));
        for _ in 0..ANSWERS_MAX {
            let answer = session.person.ask("The name of the organisation that this binding's documents go to:")?;
            chosen = find(&answer);
            if chosen.is_some() || answer.is_empty() {
                break;
            }
            session.person.tell("None of them is called so, or several are; an id will do.");
        }
    }
    let Some(organisation) = chosen else {
        let remedy = format!("`ledger book confirm {} ORGANISATION` takes a name or an id.", pending.binding);
        return Err(Failure::usage("No organisation was confirmed.", remedy));
    };
    let request = ConfirmRequest { organisation: organisation.id.clone() };
    let row: Binding = api.post(&binding_path(&pending.binding, "/connection/confirm"), &[], Some(&request)).await?;
    let mut shown = binding_shown(&row);
    if row.settings_version == 0 {
        shown.text.push_str(&format!("\nNext: `ledger settings propose {}`.\n", row.binding));
    }
    Ok(shown)
}

/// Shows what disconnecting each binding does, asks, and does it.
pub(super) async fn disconnect(
    session: &Session<'_>,
    api: &Api,
    bindings: &[&str],
    yes: bool,
) -> Result<Vec<Disconnection>, Failure> {
    for binding in bindings {
        let preview: Disconnection = api.get(&binding_path(binding, "/disconnection"), &[]).await?;
        session.person.tell(&disconnection_text(&preview));
    }
    agrees(session.person, yes, "Disconnect?")?;
    let mut done = Vec::new();
    for binding in bindings {
        let one: Disconnection = api.ask(&binding_path(binding, "/disconnection")).await?;
        done.push(one);
    }
    Ok(done)
}

pub(super) async fn app(session: &Session<'_>, command: &AppCommand) -> Result<Shown, Failure> {
    match command {
        AppCommand::Set(set) => set_app(session, set).await,
        AppCommand::Show { provider, binding } => {
            let path = match (binding, provider) {
                (Some(binding), _) => binding_path(binding, "/app"),
                (None, provider) => format!("/v1/apps/{}", part(provider.as_deref().unwrap_or_default())),
            };
            let app: App = session.api().await?.get(&path, &[]).await?;
            Ok(app_shown(&app))
        }
    }
}

async fn set_app(session: &Session<'_>, set: &AppSet) -> Result<Shown, Failure> {
    let secret = secrets::client_secret(set.secret_file.as_deref(), set.secret_stdin)?;
    let request = AppRequest {
        client_id: set.client_id.clone(),
        client_secret: secret.as_ref().map(|it| it.expose_secret().to_owned()),
        environment: set.environment.clone(),
        scopes: set.scopes.clone(),
        dialect: set.dialect.clone(),
        country: set.country.clone(),
        hosts: set.hosts.as_deref().map(secrets::json).transpose()?,
    };
    let api = session.api().await?;
    let path = match &set.binding {
        None => format!("/v1/apps/{}", part(&set.provider)),
        Some(binding) => {
            let row = binding_of(&api, binding).await?;
            if row.provider != set.provider {
                return Err(Failure::usage(format!("The binding is of {}.", row.provider), "Name that provider."));
            }
            binding_path(binding, "/app")
        }
    };
    let app: App = api.put(&path, &request).await?;
    Ok(app_shown(&app))
}

pub(super) async fn oauth(session: &Session<'_>, command: &OauthCommand) -> Result<Shown, Failure> {
    let OauthCommand::Status { binding, reveal_token } = command;
    if *reveal_token {
        return reveal(session, binding).await;
    }
    let grant: GrantStatus = session.api().await?.get(&binding_path(binding, "/grant"), &[]).await?;
    Ok(grant_shown(&grant))
}

/// The access token itself, read and opened with the caller's own rights.
async fn reveal(session: &Session<'_>, binding: &str) -> Result<Shown, Failure> {
    if session.engine().is_none() {
        return Err(Failure::usage(
            "Tokens are revealed on local stacks only.",
            "`ledger oauth status` shows when the grant expires and what it may.",
        ));
    }
    let stack = Stack::open(session.variables)?;
    let row = stack.store().token(binding).await?.ok_or_else(|| Failure::not_found("grant"))?;
    let token = stack.vault().open(&row.access, &access_token_context(binding)).await?;
    let text = token.expose_secret().to_owned();
    Ok(Shown::new(&serde_json::json!({"binding": binding, "access_token": text}), text))
}
