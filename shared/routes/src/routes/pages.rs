//! Pages for a browser: the way back from a provider, and connect links. No script, no data beyond a name or two.

use crate::extract::{Path, Query};
use crate::failure::Refusal;
use crate::state::{Api, PublicUrl};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use ledger_engine::connect::oauth::{Callback, ConnectError, Started as Begun};
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::schema::{Object, Schema, Type};
use utoipa::openapi::{Content, RefOr, Response as Documented};
use utoipa::{IntoParams, IntoResponses};

/// The cookie that ties a way back to the browser that set out.
const BROWSER_COOKIE: &str = "ledger_connect";
/// How long it is kept, in seconds: as long as the way back may take.
const BROWSER_COOKIE_SECONDS: u32 = 600;

/// Text inside a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page of ours. `content` is HTML that was made here.
pub(super) fn page(title: &str, content: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta name=\"referrer\" content=\"no-referrer\"><title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;\
         max-width:34em;margin:4em auto;padding:0 1em;color:#1a1a1a}}h1{{font-size:1.3em}}button{{font:inherit;padding:.5em 1em}}\
         code{{background:#f2f2f2;padding:.1em .3em}}</style></head><body><h1>{title}</h1>{content}</body></html>"
    )
}

fn answered(status: StatusCode, title: &str, content: &str) -> Response {
    let mut response = (status, Html(page(title, content))).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' https:; frame-ancestors 'none'",
        ),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn refused(error: ConnectError) -> Response {
    let (status, code, sentence) = match error {
        ConnectError::Invalid { field, code } => {
            (StatusCode::BAD_REQUEST, code, format!("The address lacks a usable {field}."))
        }
        ConnectError::NotFound(what) => (StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}.")),
        ConnectError::NotNow { code, sentence } => (StatusCode::CONFLICT, code, sentence),
        ConnectError::Forbidden { code, sentence } => (StatusCode::FORBIDDEN, code, sentence),
        ConnectError::Port(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "Not now; load this page again in a minute.".to_owned(),
        ),
    };
    answered(status, "Not connected", &format!("<p>{}</p><p><code>{code}</code></p>", escaped(&sentence)))
}

/// A request that can't be read, on a page.
fn unread(refusal: Refusal) -> Response {
    let (status, failure) = refusal.told();
    let told = format!("<p>{}</p><p><code>{}</code></p>", escaped(&failure.message), escaped(&failure.code));
    answered(status, "Not connected", &told)
}

/// How a page refuses: on a page.
pub(super) struct PageRefusal;

impl IntoResponses for PageRefusal {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let text = || Content::new(Some(RefOr::T(Schema::Object(Object::with_type(Type::String)))));
        let mut responses = Refusal::responses();
        responses.retain(|status, _| !matches!(status.as_str(), "401" | "413"));
        for (status, response) in &mut responses {
            if let RefOr::T(response) = response {
                // A path that is no route's is answered before there is a page.
                if status != "404" {
                    response.content.clear();
                }
                response.content.insert("text/html".to_owned(), RefOr::T(text()));
            }
        }
        responses
    }
}

fn redirect(begun: &Begun, path: &str, secure: bool) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(location) = HeaderValue::from_str(&begun.authorize_url) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if let Some(key) = &begun.browser_key {
        let secure = if secure { "; Secure" } else { "" };
        let cookie = format!(
            "{BROWSER_COOKIE}={}; Path={path}; Max-Age={BROWSER_COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}",
            key.expose_secret()
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// Path of our pages as a browser sees it: the gateway's stage is a part of it.
fn path_of(public_url: &str) -> String {
    let after = public_url.split_once("://").map_or("", |(_, rest)| rest);
    let base = after.split_once('/').map_or(String::new(), |(_, path)| format!("/{}", path.trim_end_matches('/')));
    format!("{}/oauth", base.trim_end_matches('/'))
}

fn browser_key(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == BROWSER_COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// What a provider sends a browser back with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Back {
    /// Ours.
    #[serde(default)]
    state: String,
    /// The provider's.
    code: Option<String>,
    /// Or why there is none.
    error: Option<String>,
}

/// The way back from a provider's page. Nothing is connected yet: the operator confirms the organisation.
#[utoipa::path(get, path = "/oauth/callback", tag = "connect", params(Back),
    responses((status = 200, description = "A page", content_type = "text/html", body = String), PageRefusal))]
pub(super) async fn callback(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    back: Result<Query<Back>, Refusal>,
) -> Response {
    let Query(back) = match back {
        Ok(back) => back,
        Err(refusal) => return unread(refusal),
    };
    let callback =
        Callback { state: back.state, code: back.code, error: back.error, browser_key: browser_key(&headers) };
    match api.connecting().callback(&callback).await {
        Ok(pending) => {
            let names: String =
                pending.organisations.iter().map(|it| format!("<li>{}</li>", escaped(&it.name))).collect();
            let list = if pending.by_link || names.is_empty() { String::new() } else { format!("<ul>{names}</ul>") };
            let next = if pending.by_link {
                "The operator who sent you the link confirms it now. You can close this page.".to_owned()
            } else {
                format!(
                    "Confirm it now: <code>ledger book confirm {}</code>. You can close this page.",
                    escaped(&pending.binding)
                )
            };
            answered(StatusCode::OK, "One step left", &format!("<p>The provider has agreed.</p>{list}<p>{next}</p>"))
        }
        Err(error) => refused(error),
    }
}

/// A connect link, looked at. It is not used up by that: scanners of mail open links.
#[utoipa::path(get, path = "/oauth/link/{token}", tag = "connect",
    params(("token" = String, Path, description = "The link's token")),
    responses((status = 200, description = "A page", content_type = "text/html", body = String), PageRefusal))]
pub(super) async fn look_at_link(State(api): State<Arc<Api>>, token: Result<Path<String>, Refusal>) -> Response {
    let Path(token) = match token {
        Ok(token) => token,
        Err(refusal) => return unread(refusal),
    };
    match api.connecting().look_at_link(&token).await {
        Ok(link) => answered(
            StatusCode::OK,
            "Connect the books",
            &format!(
                "<p>The shop <strong>{}</strong> asks to post its documents to your books at <strong>{}</strong>.</p>\
                 <p>You sign in there, choose the organisation and agree. The shop's operator then confirms it.</p>\
                 <form method=\"post\"><button>Go on to {}</button></form>",
                escaped(&link.shop_url),
                escaped(&link.provider),
                escaped(&link.provider),
            ),
        ),
        Err(error) => refused(error),
    }
}

/// A connect link, opened: on to the provider's page.
#[utoipa::path(post, path = "/oauth/link/{token}", tag = "connect",
    params(("token" = String, Path, description = "The link's token")),
    responses((status = 303, description = "On to the provider's page"), PageRefusal))]
pub(super) async fn open_link(
    State(api): State<Arc<Api>>,
    public: Result<PublicUrl, Refusal>,
    token: Result<Path<String>, Refusal>,
) -> Response {
    let (public, Path(token)) = match (public, token) {
        (Ok(public), Ok(token)) => (public, token),
        (Err(refusal), _) | (_, Err(refusal)) => return unread(refusal),
    };
    match api.connecting().open_link(&token, &public.0).await {
        Ok(begun) => redirect(&begun, &path_of(&public.0), public.0.starts_with("https://")),
        Err(error) => refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_our_pages_only() {
        let check = |url: &str, path: &str| assert_eq!(path_of(url), path, "{url}");
        check("https://abc.execute-api.eu-west-1.amazonaws.com/live", "/live/oauth");
        check("https://ledger.example", "/oauth");
        check("http://127.0.0.1:4566/restapis/a/live/_user_request_", "/restapis/a/live/_user_request_/oauth");
    }

    #[test]
    fn what_others_wrote_is_no_html_of_ours() {
        assert_eq!(escaped("<b onclick=\"x\">&</b>"), "&lt;b onclick=&quot;x&quot;&gt;&amp;&lt;/b&gt;");
    }
}
