//! The pages where a person logs in, chooses and agrees.
//!
//! Two steps, each a form that posts to the address of the page itself: `step=login` with `email` and `password`, then
//! `step=consent` with `organisation` (where there is a choice) and `decision`, `allow` or `deny`. What else has to be
//! sent is hidden in the form: `transaction`. What is wrong with the app or its redirect is told on a page and never at
//! the redirect (RFC 6749, section 4.1.2.1).

use super::spec::{AppSpec, Authority, Organisation, UserSpec};
use super::{Code, Identity, Visit};
use crate::ambient;
use crate::server::{Answer, Request, percent_encoded};

/// Scopes that may be asked of Xero. Source: Xero API docs, scopes.
const XERO_SCOPES: [&str; 19] = [
    "openid",
    "profile",
    "email",
    "offline_access",
    "accounting.invoices",
    "accounting.invoices.read",
    "accounting.payments",
    "accounting.payments.read",
    "accounting.contacts",
    "accounting.contacts.read",
    "accounting.settings",
    "accounting.settings.read",
    "accounting.banktransactions",
    "accounting.banktransactions.read",
    "accounting.manualjournals",
    "accounting.manualjournals.read",
    "accounting.attachments",
    "accounting.attachments.read",
    "accounting.journals.read",
];
/// Scopes of apps made before 2 March 2026. Source: Xero API docs, scopes.
const BROAD_SCOPES: [&str; 2] = ["accounting.transactions", "accounting.transactions.read"];
/// Scopes of Sage. Source: Sage Accounting guide, authentication.
const SAGE_SCOPES: [&str; 2] = ["full_access", "readonly"];
/// Characters of an S256 challenge: 32 bytes in base64url (RFC 7636, section 4.2).
const CHALLENGE_LENGTH: usize = 43;

/// Somebody's browser asks for the page.
pub(super) fn asks(identity: &mut Identity, request: &Request) -> Answer {
    let parameter = |name: &str| request.parameter(name).filter(|value| !value.is_empty());
    let client_id = parameter("client_id").unwrap_or_default();
    let Some(app) = identity.apps.get(&client_id).cloned() else {
        return trouble("unauthorized_client", "There is no app with this client_id.");
    };
    let redirect_uri = parameter("redirect_uri").unwrap_or_default();
    if !app.redirect_uris.contains(&redirect_uri) {
        return trouble("invalid_request", "This redirect_uri isn't one of the app's.");
    }
    let mut visit = Visit {
        client_id,
        redirect_uri,
        state: parameter("state"),
        scopes: Vec::new(),
        challenge: parameter("code_challenge"),
        country: parameter("country"),
        email: None,
    };
    let scope = parameter("scope").unwrap_or_default();
    if let Err(error) = check(identity.authority, &app, request, &scope, &visit) {
        if error == "invalid_scope" && identity.switches.scope_errors_on_page {
            return trouble(error, "The app asks for a scope that there isn't.");
        }
        return back(&visit, &[("error", error)]);
    }
    visit.scopes = scope.split_whitespace().map(str::to_owned).collect();
    if identity.authority == Authority::Freeagent {
        visit.scopes.clear();
        visit.challenge = None;
    }
    let transaction = ambient::fresh_uuid();
    identity.visits.insert(transaction.clone(), visit);
    login(identity.authority, &transaction, "", 200)
}

fn check(
    authority: Authority,
    app: &AppSpec,
    request: &Request,
    scope: &str,
    visit: &Visit,
) -> Result<(), &'static str> {
    if request.parameter("response_type").as_deref() != Some("code") {
        return Err("unsupported_response_type");
    }
    let known = |scope: &str| match authority {
        Authority::Accounting | Authority::V2 => {
            XERO_SCOPES.contains(&scope) || (app.broad_scopes && BROAD_SCOPES.contains(&scope))
        }
        Authority::Sage => SAGE_SCOPES.contains(&scope),
        Authority::Freeagent => true,
    };
    let asked = scope.split_whitespace().count();
    let needed = match authority {
        Authority::Accounting | Authority::V2 => asked > 0,
        Authority::Sage => asked == 1,
        Authority::Freeagent => true,
    };
    if !needed || !scope.split_whitespace().all(known) {
        return Err("invalid_scope");
    }
    if authority == Authority::Sage && request.parameter("filter").as_deref() != Some("apiv3.1") {
        return Err("invalid_request");
    }
    if authority == Authority::Freeagent {
        return Ok(());
    }
    match &visit.challenge {
        Some(challenge) => {
            let is_s256 = request.parameter("code_challenge_method").as_deref() == Some("S256");
            if is_s256 && challenge.len() == CHALLENGE_LENGTH { Ok(()) } else { Err("invalid_request") }
        }
        None if app.secret.is_none() => Err("invalid_request"),
        None => Ok(()),
    }
}

/// The person sends a form.
pub(super) fn submits(identity: &mut Identity, request: &Request, now: i64) -> Answer {
    let Ok(form) = request.form() else { return trouble("invalid_request", "This isn't a form.") };
    let transaction = form.value("transaction").unwrap_or_default().to_owned();
    let Some(visit) = identity.visits.get(&transaction).cloned() else {
        return trouble("invalid_request", "This page is over. Begin again at the app.");
    };
    let user = visit.email.as_ref().and_then(|email| identity.users.get(email)).cloned();
    match (form.value("step"), user) {
        (Some("login"), _) => {
            let email = form.value("email").unwrap_or_default();
            let user = identity.users.get(email).filter(|user| form.value("password") == Some(user.password.as_str()));
            let Some(user) = user.cloned() else {
                return login(identity.authority, &transaction, "The address or the password is wrong.", 401);
            };
            let elsewhere = visit.country.as_ref().is_some_and(|asked| !asked.eq_ignore_ascii_case(&user.country));
            if identity.authority == Authority::Sage && elsewhere {
                return login(identity.authority, &transaction, "There is no such account in this country.", 401);
            }
            if let Some(visit) = identity.visits.get_mut(&transaction) {
                visit.email = Some(user.email.clone());
            }
            consent(identity.authority, &visit, &user, &transaction, "", 200)
        }
        (Some("consent"), Some(user)) => match form.value("decision") {
            Some("deny") => {
                identity.visits.remove(&transaction);
                back(&visit, &[("error", "access_denied")])
            }
            Some("allow") => {
                let chosen = match chosen(identity.authority, &user, &form.values("organisation")) {
                    Ok(chosen) => chosen,
                    Err(why) => return consent(identity.authority, &visit, &user, &transaction, why, 400),
                };
                identity.visits.remove(&transaction);
                agree(identity, visit, &user, chosen, now)
            }
            _ => consent(identity.authority, &visit, &user, &transaction, "Allow or deny?", 400),
        },
        _ => login(identity.authority, &transaction, "Log in first.", 401),
    }
}

/// The ids that were chosen. Sage asks for no choice: its grant is for all.
fn chosen(authority: Authority, user: &UserSpec, ticked: &[&str]) -> Result<Vec<String>, &'static str> {
    let all = || user.organisations.iter().map(|organisation| organisation.id.clone());
    if authority == Authority::Sage {
        return Ok(all().collect());
    }
    if !ticked.iter().all(|id| all().any(|own| own == *id)) {
        return Err("This isn't one of yours.");
    }
    match (authority, ticked.len()) {
        (_, 0) => Err("Choose one."),
        (Authority::V2 | Authority::Freeagent, 2..) => Err("Choose only one."),
        _ => Ok(ticked.iter().map(|id| (*id).to_owned()).collect()),
    }
}

fn agree(identity: &mut Identity, visit: Visit, user: &UserSpec, organisations: Vec<String>, now: i64) -> Answer {
    let secret = ambient::fresh_uuid().replace('-', "");
    let code = if identity.authority == Authority::Sage { format!("{}/{secret}", user.country) } else { secret };
    let expires_at = now.saturating_add(identity.authority.code_seconds());
    let mut sent = vec![("code", code.as_str())];
    if identity.authority == Authority::Sage {
        sent.push(("country", user.country.as_str()));
    }
    let answer = back(&visit, &sent);
    identity
        .codes
        .insert(code.clone(), Code { visit, email: user.email.clone(), organisations, expires_at, used: false });
    answer
}

/// Sends the browser back to the app, with its state.
fn back(visit: &Visit, parameters: &[(&str, &str)]) -> Answer {
    let mut location = visit.redirect_uri.clone();
    let state = visit.state.as_deref().map(|state| ("state", state));
    for (name, value) in parameters.iter().copied().chain(state) {
        location.push(if location.contains('?') { '&' } else { '?' });
        location.push_str(&format!("{name}={}", percent_encoded(value)));
    }
    Answer::new(302, "text/html; charset=utf-8", "")
        .with_header("location", location)
        .with_header("cache-control", "no-store")
}

fn trouble(error: &str, sentence: &str) -> Answer {
    html(
        400,
        "Sorry, something went wrong",
        &format!("<p>{}</p>\n<p>Error: <code>{error}</code></p>", escaped(sentence)),
    )
}

fn login(authority: Authority, transaction: &str, note: &str, status: u16) -> Answer {
    let form = format!(
        "{}<label>E-mail <input type=\"email\" name=\"email\" autocomplete=\"username\" required></label>\n\
         <label>Password <input type=\"password\" name=\"password\" autocomplete=\"current-password\" required></label>\n\
         <button type=\"submit\">Log in</button>",
        hidden(transaction, "login"),
    );
    html(status, &format!("Log in to {}", name(authority)), &posting(authority, note, &form))
}

fn consent(authority: Authority, visit: &Visit, user: &UserSpec, transaction: &str, note: &str, status: u16) -> Answer {
    let mut form = hidden(transaction, "consent");
    form.push_str(&format!("<p>The app <b>{}</b> asks for access", escaped(&visit.client_id)));
    if !visit.scopes.is_empty() {
        form.push_str(&format!(": <code>{}</code>", escaped(&visit.scopes.join(" "))));
    }
    form.push_str(".</p>\n");
    let (kind, question) = match authority {
        Authority::Accounting => ("checkbox", "Organisations to connect"),
        Authority::V2 | Authority::Freeagent => ("radio", "Company"),
        Authority::Sage => ("", "It is for all of these"),
    };
    form.push_str(&format!("<fieldset><legend>{question}</legend>\n"));
    let only = user.organisations.len() == 1;
    for Organisation { id, name } in &user.organisations {
        let (id, name) = (escaped(id), escaped(name));
        form.push_str(&if kind.is_empty() {
            format!("<p>{name}</p>\n")
        } else {
            let checked = if only { " checked" } else { "" };
            format!(
                "<label><input type=\"{kind}\" name=\"organisation\" value=\"{id}\" title=\"{name}\"{checked}> {name}</label>\n"
            )
        });
    }
    form.push_str("</fieldset>\n");
    form.push_str("<button type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\n");
    form.push_str("<button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button>");
    html(status, &format!("{}: give access?", name(authority)), &posting(authority, note, &form))
}

fn name(authority: Authority) -> &'static str {
    match authority {
        Authority::Accounting | Authority::V2 => "Xero (stand-in)",
        Authority::Sage => "Sage (stand-in)",
        Authority::Freeagent => "FreeAgent (stand-in)",
    }
}

fn hidden(transaction: &str, step: &str) -> String {
    format!(
        "<input type=\"hidden\" name=\"transaction\" value=\"{}\">\n<input type=\"hidden\" name=\"step\" value=\"{step}\">\n",
        escaped(transaction)
    )
}

fn posting(authority: Authority, note: &str, form: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<p role=\"alert\">{}</p>\n", escaped(note)) };
    format!("{note}<form method=\"post\" action=\"{}\">\n{form}\n</form>", authority.authorize_path())
}

fn html(status: u16, title: &str, body: &str) -> Answer {
    let title = escaped(title);
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font:16px sans-serif;max-width:32em;margin:3em auto}}label,button{{display:block;margin:.6em 0}}</style>\n\
         </head><body>\n<h1>{title}</h1>\n{body}\n</body></html>\n"
    );
    Answer::new(status, "text/html; charset=utf-8", page)
        .with_header("cache-control", "no-store")
        .with_header("x-frame-options", "DENY")
        .with_header("referrer-policy", "no-referrer")
}

/// Text that stands in HTML as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
