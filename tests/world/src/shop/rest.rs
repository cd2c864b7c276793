//! The REST interface below `/rest/V1/byte8/`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::php::{Fields, Php};
use super::spec::ShopFault;
use super::state::{Pairing, RestRequest, State};
use super::{Core, canonical, jwt, pairing, sync_state};
use crate::server::{Answer, Reply, Request};

const NO_ENTITY: &str = "The entity that was requested doesn't exist. Verify the entity and try again.";
const NO_ROUTE: &str = "Request does not match any route.";
const NOT_AUTHORIZED: &str = "The consumer isn't authorized to access %resources.";
const PAGE: &str = "<!DOCTYPE html><html><head><title>There has been an error</title></head><body><h1>There has been an error processing your request</h1></body></html>";

/// An error answer.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: u16,
    message: String,
    errors: Option<Php>,
    parameters: Option<Php>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: &str) -> Self {
        Self { status, message: message.to_owned(), errors: None, parameters: None }
    }

    pub(crate) fn with(mut self, parameters: Php) -> Self {
        self.parameters = Some(parameters);
        self
    }

    pub(crate) fn no_entity() -> Self {
        Self::new(404, NO_ENTITY)
    }

    pub(crate) fn no_route() -> Self {
        Self::new(404, NO_ROUTE)
    }

    pub(crate) fn wrong_type(value: &str, expected: &str) -> Self {
        Self::new(
            400,
            &format!(
                "The \"{value}\" value's type is invalid. The \"{expected}\" type was expected. Verify and try again."
            ),
        )
    }

    fn not_authorized() -> Self {
        Self::new(401, NOT_AUTHORIZED)
            .with(Fields::default().put("resources", Php::text("Byte8_Client::byte8_webapi")).object())
    }

    fn answer(self) -> Answer {
        let body = Fields::default()
            .put("message", Php::Text(self.message))
            .put_if("errors", self.errors)
            .put_if("parameters", self.parameters)
            .object();
        json(self.status, &body)
    }
}

/// One or more fields of a body aren't there.
pub(crate) fn missing_fields(names: &[&str]) -> Refusal {
    let message = "\"%fieldName\" is required. Enter and try again.";
    let parameters = |name: &str| Fields::default().put("fieldName", Php::text(name)).object();
    if let [only] = names {
        return Refusal::new(400, message).with(parameters(only));
    }
    let errors = names
        .iter()
        .map(|name| Fields::default().put("message", Php::text(message)).put("parameters", parameters(name)).object())
        .collect();
    Refusal { errors: Some(Php::List(errors)), ..Refusal::new(400, "One or more input exceptions have occurred.") }
}

fn json(status: u16, body: &Php) -> Answer {
    Answer::new(status, "application/json; charset=utf-8", body.json(true))
}

/// What a route returns without a value.
fn nothing() -> Answer {
    json(200, &Php::List(Vec::new()))
}

/// Answers in this process: no fault happens, and nobody waits.
pub(crate) fn answer_at_once(core: &Core, request: &Request) -> Answer {
    let route = route_of(request);
    let number = log(core, request, route.as_ref());
    handle(core, request, route, number)
}

fn route_of(request: &Request) -> Option<Route> {
    let segments = request.segments();
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    let path = match names.as_slice() {
        ["rest", "V1", "byte8", rest @ ..] | ["rest", _, "V1", "byte8", rest @ ..] => rest,
        _ => &[],
    };
    Route::of(&request.method, path)
}

pub(crate) async fn answer(core: &Core, request: &Request) -> Reply {
    if core.state().unreachable {
        return Reply::HangUp;
    }
    let route = route_of(request);
    let number = log(core, request, route.as_ref());
    let fault = route.as_ref().and_then(|route| take_fault(&mut core.state(), route.name()));
    let reply = match fault {
        Some(ShopFault::Unauthorized) => Refusal::not_authorized().answer().into(),
        Some(ShopFault::RouteMissing) => Refusal::no_route().answer().into(),
        Some(ShopFault::EntityMissing) => Refusal::no_entity().answer().into(),
        Some(ShopFault::ServerError) => Answer::new(500, "text/html; charset=UTF-8", PAGE).into(),
        Some(ShopFault::Unavailable) => Answer::new(503, "text/html; charset=UTF-8", PAGE).into(),
        Some(ShopFault::HangUp) => Reply::HangUp,
        Some(ShopFault::Garbage) => Answer::new(200, "application/json; charset=utf-8", "{\"magento_id\":4").into(),
        Some(ShopFault::Slow { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            handle(core, request, route, number).into()
        }
        Some(ShopFault::HangUpAfterwards) => {
            handle(core, request, route, number);
            Reply::HangUp
        }
        None => handle(core, request, route, number).into(),
    };
    if let Some(entry) = core.state().requests.iter_mut().rev().find(|entry| entry.number == number) {
        entry.status = match &reply {
            Reply::Answer(answer) => Some(answer.status),
            Reply::HangUp => None,
        };
    }
    reply
}

/// A route the module registers.
#[derive(Clone, Debug)]
enum Route {
    Ping,
    PaymentMethods,
    Entity(&'static str, String),
    SyncState,
    Pair(&'static str),
}

impl Route {
    fn of(method: &str, path: &[&str]) -> Option<Self> {
        match (method, path) {
            ("GET", ["ping"]) => Some(Self::Ping),
            ("GET", ["payment-methods"]) => Some(Self::PaymentMethods),
            ("POST", ["sync-state"]) => Some(Self::SyncState),
            ("GET", [kind, id]) => ["invoice", "customer", "creditmemo", "payment", "product"]
                .into_iter()
                .find(|known| known == kind)
                .map(|kind| Self::Entity(kind, (*id).to_owned())),
            ("POST", path) => pairing::provider_of(path).map(Self::Pair),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::PaymentMethods => "payment-methods",
            Self::Entity(kind, _) => kind,
            Self::SyncState => "sync-state",
            Self::Pair(_) => "pair",
        }
    }
}

fn handle(core: &Core, request: &Request, route: Option<Route>, number: u64) -> Answer {
    let mut state = core.state();
    let now = core.now();
    work(&mut state, request, route, number, now).unwrap_or_else(Refusal::answer)
}

fn work(state: &mut State, request: &Request, route: Option<Route>, number: u64, now: i64) -> Result<Answer, Refusal> {
    let route = route.ok_or_else(Refusal::no_route)?;
    if let Route::Pair(provider) = route {
        // A route comes with its module.
        if !state.providers.iter().any(|installed| installed == provider) {
            return Err(Refusal::no_route());
        }
        pairing::present(state, provider, &body(request)?, now)?;
        return Ok(nothing());
    }
    if let Err(reason) = authorize(state, request, now) {
        if let Some(entry) = state.requests.iter_mut().rev().find(|entry| entry.number == number) {
            entry.refused_because = Some(reason.to_owned());
        }
        return Err(Refusal::not_authorized());
    }
    match route {
        Route::Ping => {
            let tenant = state.pairing.as_ref().map_or(Php::Null, |pairing| Php::text(&pairing.tenant_id));
            let time = crate::clock::iso(now).replace('Z', "+00:00");
            Ok(json(200, &Php::List(vec![Php::Bool(true), tenant, Php::Text(time)])))
        }
        Route::PaymentMethods => Ok(json(200, &canonical::payment_methods())),
        Route::Entity(kind, id) => {
            let id = id.parse().map_err(|_| Refusal::wrong_type(&id, "int"))?;
            Ok(json(200, &canonical::document(state, kind, id)?))
        }
        Route::SyncState => {
            sync_state::upsert(state, &body(request)?, now)?;
            Ok(nothing())
        }
        Route::Pair(_) => Err(Refusal::no_route()),
    }
}

fn body(request: &Request) -> Result<Value, Refusal> {
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.is_empty() {
        return Err(Refusal::new(400, "Content-Type header is empty."));
    }
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(400, "Server cannot understand Content-Type HTTP header media type %1")
            .with(Php::List(vec![Php::text(media_type)])));
    }
    match request.json() {
        Ok(Value::Null) => Ok(Value::Object(serde_json::Map::new())),
        Ok(value) => Ok(value),
        Err(_) => Err(Refusal::new(400, "Decoding error.")),
    }
}

/// Checks the token and burns it, whatever the handler then says.
fn authorize(state: &mut State, request: &Request, now: i64) -> Result<(), &'static str> {
    let pairing = Pairing::of(state).map_err(|_| "not connected")?;
    let claims = jwt::verify(request.header("authorization"), &pairing.api_key, &pairing.tenant_id, now)?;
    state.burnt.retain(|_, forgotten_at| *forgotten_at > now);
    let key = jwt::replay_key(&claims.jti);
    if state.burnt.contains_key(&key) {
        return Err("token already used");
    }
    state.burnt.insert(key, claims.expires.max(now.saturating_add(1)));
    Ok(())
}

fn take_fault(state: &mut State, route: &str) -> Option<ShopFault> {
    let fault =
        state.faults.iter_mut().find(|fault| fault.times > 0 && (fault.route == "*" || fault.route == route))?;
    fault.times = fault.times.saturating_sub(1);
    let taken = fault.fault.clone();
    state.faults.retain(|fault| fault.times > 0);
    Some(taken)
}

fn log(core: &Core, request: &Request, route: Option<&Route>) -> u64 {
    let at = core.now();
    let mut state = core.state();
    let number = u64::try_from(state.requests.len()).unwrap_or(u64::MAX).saturating_add(1);
    state.requests.push(RestRequest {
        number,
        method: request.method.clone(),
        route: route.map_or("unknown", Route::name).to_owned(),
        path: request.path.clone(),
        status: None,
        jti: said_jti(request),
        refused_because: None,
        at,
    });
    number
}

/// The identifier a token gives itself, whether or not it is any good.
fn said_jti(request: &Request) -> Option<String> {
    let claims = request.header("authorization")?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims.get("jti")?.as_str().map(str::to_owned)
}
