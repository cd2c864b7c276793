//! Connecting books, and disconnecting them.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Path};
use crate::failure::{Looking, Refusal};
use crate::state::{Api, PublicUrl};
use axum::Json;
use axum::extract::State;
use ledger_engine::connect::oauth::{
    AppView, AtProvider, ConnectError, Disconnection as Done, NewApp, PendingView, Started as Begun,
};
use ledger_engine::connect::pairing::DisconnectPreview;
use ledger_engine::ports::PortFault;
use ledger_wire::api::{
    App, AppRequest, Binding, ConfirmRequest, ConnectLink, Disconnection, GrantStatus, Organisation, PendingConnection,
    Started, moment,
};
use ledger_wire::rows::{AppHostsRow, BindingRow};
use secrecy::ExposeSecret;
use std::sync::Arc;

/// How long revoking a grant may take, in milliseconds: its token may have to be renewed first, and a renewal that was begun is
/// written down though the gateway waits no longer.
const REVOKE_MS: i64 = 50_000;

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Invalid { field, code } => Self::field(field, code, "can't be used"),
            ConnectError::NotFound(what) => Self::not_found(what),
            ConnectError::NotNow { code, sentence } => Self::conflict(code, sentence),
            ConnectError::Forbidden { code, sentence } => Self::forbidden_because(code, sentence),
            ConnectError::Port(PortFault::Unavailable(reason)) => PortFault::Unavailable(reason).into(),
            ConnectError::Port(PortFault::Inconsistent(reason)) => PortFault::Inconsistent(reason).into(),
        }
    }
}

fn app_shown(view: &AppView) -> App {
    App {
        provider: view.provider.as_str().to_owned(),
        binding: view.binding.clone(),
        client_id: view.client_id.clone(),
        has_secret: view.has_secret,
        environment: view.environment.clone(),
        scopes: view.scopes.clone(),
        dialect: view.dialect.clone(),
        callback_url: view.callback_url.clone(),
        updated_at: moment(view.updated_at),
    }
}

fn started(begun: &Begun) -> Started {
    Started { authorize_url: begun.authorize_url.clone(), expires_at: moment(begun.expires_at) }
}

fn pending_shown(view: &PendingView) -> PendingConnection {
    PendingConnection {
        binding: view.binding.clone(),
        provider: view.provider.as_str().to_owned(),
        by_link: view.by_link,
        dialect: view.dialect.clone(),
        organisations: view
            .organisations
            .iter()
            .map(|it| Organisation { id: it.id.clone(), name: it.name.clone(), present: it.present })
            .collect(),
        scopes: view.scopes.clone(),
        missing_scopes: view.missing_scopes.clone(),
        access_level: view.access_level,
        expires_at: moment(view.expires_at),
    }
}

fn new_app(request: AppRequest, provider: &str, binding: Option<(String, String)>) -> NewApp {
    NewApp {
        provider: provider.to_owned(),
        binding,
        client_id: request.client_id,
        client_secret: request.client_secret.map(Into::into),
        environment: request.environment,
        scopes: request.scopes,
        dialect: request.dialect,
        country: request.country,
        hosts: request.hosts.map(|hosts| AppHostsRow {
            authorize: hosts.authorize,
            token: hosts.token,
            revoke: hosts.revoke,
            api: hosts.api,
        }),
    }
}

/// Sets the stack's app of a provider.
#[utoipa::path(put, path = "/v1/apps/{provider}", tag = "connect", security(("operator" = [])),
    params(("provider" = String, Path, description = "`xero`, `sage_accounting` or `freeagent`")),
    request_body = AppRequest, responses((status = 200, body = App), Refusal))]
pub(super) async fn set_app(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    public: PublicUrl,
    Path(provider): Path<String>,
    Body(request): Body<AppRequest>,
) -> Result<Json<App>, Refusal> {
    caller.administers()?;
    let view = api.connecting().set_app(&new_app(request, &provider, None), &public.0).await?;
    Ok(Json(app_shown(&view)))
}

/// The stack's app of a provider.
#[utoipa::path(get, path = "/v1/apps/{provider}", tag = "connect", security(("operator" = [])),
    params(("provider" = String, Path, description = "`xero`, `sage_accounting` or `freeagent`")),
    responses((status = 200, body = App), Refusal))]
pub(super) async fn app(
    State(api): State<Arc<Api>>,
    _caller: SignedIn,
    public: PublicUrl,
    Path(provider): Path<String>,
) -> Result<Json<App>, Refusal> {
    Ok(Json(app_shown(&api.connecting().app(&provider, None, &public.0).await?)))
}

/// The app that speaks for a binding: its own, or the stack's.
#[utoipa::path(get, path = "/v1/bindings/{binding}/app", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")),
    responses((status = 200, body = App), Refusal))]
pub(super) async fn binding_app(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    public: PublicUrl,
    Path(binding): Path<String>,
) -> Result<Json<App>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let view = api.connecting().app(&row.provider, Some((&row.tenant, &row.binding)), &public.0).await?;
    Ok(Json(app_shown(&view)))
}

/// Sets an app for one binding only.
#[utoipa::path(put, path = "/v1/bindings/{binding}/app", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")),
    request_body = AppRequest, responses((status = 200, body = App), Refusal))]
pub(super) async fn set_binding_app(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    public: PublicUrl,
    Path(binding): Path<String>,
    Body(request): Body<AppRequest>,
) -> Result<Json<App>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let new = new_app(request, &row.provider, Some((row.tenant.clone(), row.binding.clone())));
    Ok(Json(app_shown(&api.connecting().set_app(&new, &public.0).await?)))
}

/// Begins a connection: the answer's address is opened in a browser.
#[utoipa::path(post, path = "/v1/bindings/{binding}/connection", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), responses((status = 200, body = Started), Refusal))]
pub(super) async fn start(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    public: PublicUrl,
    Path(binding): Path<String>,
) -> Result<Json<Started>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let begun = api.connecting().start(&row.tenant, &row.binding, &caller.0.subject, false, &public.0).await?;
    Ok(Json(started(&begun)))
}

/// Makes a link for whoever may sign in to the book and has no account here. It is shown this once.
#[utoipa::path(post, path = "/v1/bindings/{binding}/link", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), responses((status = 200, body = ConnectLink), Refusal))]
pub(super) async fn link(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    public: PublicUrl,
    Path(binding): Path<String>,
) -> Result<Json<ConnectLink>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let made = api.connecting().make_link(&row.tenant, &row.binding, &caller.0.subject, &public.0).await?;
    Ok(Json(ConnectLink { url: made.url.expose_secret().to_owned(), expires_at: moment(made.expires_at) }))
}

/// The connection that waits for the operator's confirmation.
#[utoipa::path(get, path = "/v1/bindings/{binding}/connection", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")),
    responses((status = 200, body = PendingConnection), Refusal))]
pub(super) async fn pending(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<PendingConnection>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let view = api.connecting().pending(&row.tenant, &row.binding, &caller.0.subject).await?;
    Ok(Json(pending_shown(&view)))
}

/// Confirms the organisation: the binding has its book from here on. Its reference data is read at once.
#[utoipa::path(post, path = "/v1/bindings/{binding}/connection/confirm", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")),
    request_body = ConfirmRequest, responses((status = 200, body = Binding), Refusal))]
pub(super) async fn confirm(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
    Body(request): Body<ConfirmRequest>,
) -> Result<Json<Binding>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let sees = |tenant: &str| caller.0.sees(tenant);
    let confirmed = api
        .connecting()
        .confirm_among(&row.tenant, &row.binding, &caller.0.subject, &request.organisation, &sees)
        .await?;
    api.reads_everything(&confirmed).await;
    Ok(Json(Binding::of(&confirmed)))
}

/// Throws a pending connection away.
#[utoipa::path(delete, path = "/v1/bindings/{binding}/connection", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), responses((status = 200, body = Binding), Refusal))]
pub(super) async fn discard(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<Binding>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    api.connecting().discard(&row.tenant, &row.binding, &caller.0.subject).await?;
    Ok(Json(Binding::of(&row)))
}

/// What the binding's grant is like; never the tokens.
#[utoipa::path(get, path = "/v1/bindings/{binding}/grant", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")), responses((status = 200, body = GrantStatus), Looking))]
pub(super) async fn grant(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<GrantStatus>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let grant = api.connecting().status(&row.tenant, &row.binding).await?;
    Ok(Json(GrantStatus {
        binding: row.binding.clone(),
        status: Binding::of(&row).status,
        access_until: grant.access_until.map(moment),
        refresh_until: grant.refresh_until.map(moment),
        refreshed_at: grant.refreshed_at.map(moment),
        scopes: grant.scopes,
        missing_scopes: grant.missing_scopes,
        can_renew: grant.can_renew,
        version: grant.version,
    }))
}

fn at_provider(what: &AtProvider) -> &'static str {
    match what {
        AtProvider::Nothing => "nothing",
        AtProvider::ByHand => "by_hand",
        AtProvider::ConnectionOnly => "connection_only",
        AtProvider::Shared => "shared",
        AtProvider::Revoked => "revoked",
        AtProvider::Failed => "failed",
    }
}

fn disconnection(binding: &BindingRow, done: &Done, open: &DisconnectPreview) -> Disconnection {
    let removed = [
        "The grant: Ledger can't speak to the book any more.",
        "Held runs of the binding: they end as skipped.",
        "The shop's events for this provider are refused from here on.",
    ];
    let kept = [
        "Everything that is in the book.",
        "Cross-references: connecting the same organisation again doubles nothing.",
        "Settings and their versions, and the history of runs.",
        "Dead letters, until they are requeued or discarded, and previews, until they are released or discarded.",
        "The shop's other bindings and its key.",
    ];
    Disconnection {
        binding: Binding::of(binding),
        at_provider: at_provider(&done.at_provider).to_owned(),
        others_of_user: u64::try_from(done.others_of_user).unwrap_or(u64::MAX),
        removed: removed.map(str::to_owned).to_vec(),
        kept: kept.map(str::to_owned).to_vec(),
        held_runs: u64::from(open.held),
        dead_letters: u64::from(open.dead_lettered),
        previews: u64::from(open.previewed),
    }
}

/// What disconnecting would remove and what stays. Nothing is done.
#[utoipa::path(get, path = "/v1/bindings/{binding}/disconnection", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")),
    responses((status = 200, body = Disconnection), Refusal))]
pub(super) async fn disconnection_preview(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<Disconnection>, Refusal> {
    let row = api.binding_for(&caller, Need::Look, &binding).await?;
    let open = api.pairing().disconnect_preview(&row.tenant, &row.binding, None).await?;
    let done = api.connecting().disconnection(&row.tenant, &row.binding).await?;
    Ok(Json(disconnection(&row, &done, &open)))
}

/// Disconnects a binding from its book. The shop's other bindings stay. May be repeated.
#[utoipa::path(post, path = "/v1/bindings/{binding}/disconnection", tag = "connect", security(("operator" = [])),
    params(("binding" = String, Path, description = "The binding")),
    responses((status = 200, body = Disconnection), Refusal))]
pub(super) async fn disconnect(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(binding): Path<String>,
) -> Result<Json<Disconnection>, Refusal> {
    let row = api.binding_for(&caller, Need::Act, &binding).await?;
    let open = api.pairing().disconnect_preview(&row.tenant, &row.binding, None).await?;
    let row = api.pairing().disconnect_binding(&row.tenant, &row.binding, &caller.0.subject, None).await?;
    let deadline = api.clock.now_ms().saturating_add(REVOKE_MS);
    let done = api.connecting().disconnect(&row.tenant, &row.binding, deadline).await?;
    Ok(Json(disconnection(&done.binding, &done, &open)))
}
