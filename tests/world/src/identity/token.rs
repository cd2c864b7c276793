//! The endpoints that give out tokens and take them back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;
use serde_json::{Value, json};

use super::spec::{AppSpec, Authority};
use super::{AccessToken, Grant, Identity, RefreshToken};
use crate::ambient;
use crate::server::{Answer, Form, Request};

/// How long a refresh token of Xero's is good after another has replaced it, in seconds. Source: Xero API docs, token
/// types.
pub(super) const GRACE_SECONDS: i64 = 30 * 60;
/// How long Xero's identity token is good, in seconds. Source: Xero API docs, token types.
const ID_TOKEN_SECONDS: i64 = 5 * 60;
/// Refreshes a minute and person. Source: `FreeAgent` API docs, introduction.
const REFRESHES_PER_MINUTE: u32 = 15;
const MINUTE: i64 = 60;
/// Characters a PKCE verifier may have (RFC 7636, section 4.1).
const VERIFIER_LENGTHS: std::ops::RangeInclusive<usize> = 43..=128;

/// `POST` to the token endpoint.
pub(super) fn gives(identity: &mut Identity, request: &Request, now: i64) -> Answer {
    let Ok(form) = request.form() else { return error(400, "invalid_request") };
    let Some(app) = client(identity, request, &form) else { return unknown_client(identity.authority) };
    match form.value("grant_type") {
        Some("authorization_code") => exchanges(identity, &app, &form, now),
        Some("refresh_token") => refreshes(identity, &app, &form, now),
        Some(_) => error(400, "unsupported_grant_type"),
        None => error(400, "invalid_request"),
    }
}

/// `POST` to the revocation endpoint: a token that nobody knows is answered like any other (RFC 7009, section 2.2).
pub(super) fn takes_back(identity: &mut Identity, request: &Request) -> Answer {
    let Ok(form) = request.form() else { return error(400, "invalid_request") };
    let Some(app) = client(identity, request, &form) else { return unknown_client(identity.authority) };
    let Some(token) = form.value("token").filter(|token| !token.is_empty()) else {
        return error(400, "invalid_request");
    };
    let grant = identity
        .grants
        .iter()
        .find(|grant| grant.client_id == app.client_id && grant.refresh.iter().any(|refresh| refresh.token == token));
    if let Some((id, email)) = grant.map(|grant| (grant.id.clone(), grant.email.clone())) {
        if identity.authority.is_xero() {
            // One refresh token stands for the person: all of the person's connections go.
            let whose = super::Whose { client_id: Some(app.client_id), email: Some(email) };
            identity.revokes(&whose);
        } else if let Some(grant) = identity.grants.iter_mut().find(|grant| grant.id == id) {
            grant.revoked = true;
            grant.refresh.clear();
        }
    }
    match identity.authority {
        Authority::Sage => Answer::json(200, &json!({"success": "ok"})),
        Authority::Accounting | Authority::V2 | Authority::Freeagent => Answer::new(200, "application/json", ""),
    }
}

fn error(status: u16, error: &str) -> Answer {
    Answer::json(status, &json!({"error": error})).with_header("cache-control", "no-store")
}

fn unknown_client(authority: Authority) -> Answer {
    match authority {
        Authority::Accounting | Authority::V2 => error(400, "invalid_client"),
        Authority::Sage => error(401, "invalid_client"),
        Authority::Freeagent => {
            error(401, "invalid_client").with_header("www-authenticate", "Basic realm=\"token_endpoint\"")
        }
    }
}

/// The app, if it has shown who it is in the way of this provider and in no other.
fn client(identity: &Identity, request: &Request, form: &Form) -> Option<AppSpec> {
    let basic = basic(request);
    let named = form.value("client_id");
    let (id, secret) = match identity.authority {
        Authority::Sage if basic.is_none() => (named?.to_owned(), Some(form.value("client_secret")?.to_owned())),
        Authority::Sage => return None,
        _ if form.value("client_secret").is_some() => return None,
        Authority::Freeagent => basic.map(|(id, secret)| (id, Some(secret)))?,
        Authority::Accounting | Authority::V2 => match basic {
            Some((id, secret)) => (id, Some(secret)),
            None => (named?.to_owned(), None),
        },
    };
    let app = identity.apps.get(&id)?;
    let good = match (&app.secret, secret) {
        (None, None) => true,
        (Some(own), Some(shown)) => *own == shown || app.second_secret.as_ref() == Some(&shown),
        _ => false,
    };
    good.then(|| app.clone())
}

fn basic(request: &Request) -> Option<(String, String)> {
    let (scheme, encoded) = request.header("authorization")?.split_once(' ')?;
    let pair = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn exchanges(identity: &mut Identity, app: &AppSpec, form: &Form, now: i64) -> Answer {
    let Some(sent) = form.value("code") else { return error(400, "invalid_request") };
    let Some(code) = identity.codes.get_mut(sent).filter(|code| code.visit.client_id == app.client_id) else {
        return error(400, "invalid_grant");
    };
    let fresh = !code.used && code.expires_at > now;
    // A code is spent by its first use, good or bad.
    code.used = true;
    let code = code.clone();
    let same_redirect = form.value("redirect_uri") == Some(code.visit.redirect_uri.as_str());
    let verified = match (&code.visit.challenge, form.value("code_verifier")) {
        (Some(challenge), Some(verifier)) => {
            VERIFIER_LENGTHS.contains(&verifier.len())
                && *challenge == URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
        }
        (Some(_), None) => false,
        (None, _) => true,
    };
    if !fresh || !same_redirect || !verified {
        return error(400, "invalid_grant");
    }
    let grant = Grant {
        id: ambient::fresh_uuid(),
        client_id: app.client_id.clone(),
        email: code.email,
        scopes: code.visit.scopes,
        organisations: code.organisations,
        refresh: Vec::new(),
        refreshes: 0,
        revoked: false,
    };
    identity.connects(&grant, now);
    let id = grant.id.clone();
    identity.grants.push(grant);
    issue(identity, &id, None, now)
}

/// A person has let an app in, the page and the code left out: what the token endpoint gives for the code.
pub(super) fn lets_in(identity: &mut Identity, client_id: &str, scopes: &[&str], now: i64) -> Value {
    let grant = Grant {
        id: ambient::fresh_uuid(),
        client_id: client_id.to_owned(),
        email: super::BOOKKEEPER.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        organisations: vec![identity.own.id.clone()],
        refresh: Vec::new(),
        refreshes: 0,
        revoked: false,
    };
    identity.connects(&grant, now);
    let id = grant.id.clone();
    identity.grants.push(grant);
    serde_json::from_slice(&issue(identity, &id, None, now).body).unwrap_or_default()
}

fn refreshes(identity: &mut Identity, app: &AppSpec, form: &Form, now: i64) -> Answer {
    let Some(sent) = form.value("refresh_token") else { return error(400, "invalid_request") };
    identity.refreshes.asked = identity.refreshes.asked.saturating_add(1);
    let authority = identity.authority;
    let grant = identity
        .grants
        .iter_mut()
        .find(|grant| grant.client_id == app.client_id && grant.refresh.iter().any(|refresh| refresh.token == sent));
    let Some(grant) = grant else {
        identity.refreshes.refused = identity.refreshes.refused.saturating_add(1);
        return error(400, "invalid_grant");
    };
    if authority == Authority::Freeagent {
        let counter = identity.this_minute.entry(grant.email.clone()).or_default();
        let current = now.div_euclid(MINUTE);
        if counter.0 != current {
            *counter = (current, 0);
        }
        counter.1 = counter.1.saturating_add(1);
        if counter.1 > REFRESHES_PER_MINUTE {
            identity.refreshes.limited = identity.refreshes.limited.saturating_add(1);
            let text = format!("You must not exceed {REFRESHES_PER_MINUTE} requests per {MINUTE} seconds");
            return Answer::new(429, "text/plain", text).with_header("retry-after", "60");
        }
    }
    let good = grant.refresh.iter_mut().find(|refresh| refresh.token == sent).filter(|refresh| {
        let in_time =
            refresh.replaced_at.is_none_or(|at| authority.is_xero() && now.saturating_sub(at) < GRACE_SECONDS);
        refresh.expires_at > now && in_time
    });
    let Some(good) = good else {
        identity.refreshes.refused = identity.refreshes.refused.saturating_add(1);
        return error(400, "invalid_grant");
    };
    let kept = (authority == Authority::Freeagent && !identity.switches.freeagent_rotates).then(|| good.clone());
    if kept.is_none() && good.replaced_at.is_none() {
        good.replaced_at = Some(now);
    }
    grant.refreshes = grant.refreshes.saturating_add(1);
    let id = grant.id.clone();
    identity.refreshes.granted = identity.refreshes.granted.saturating_add(1);
    issue(identity, &id, kept, now)
}

/// Gives out an access token and, where there is one, a refresh token: a new one unless one is kept.
fn issue(identity: &mut Identity, grant: &str, kept: Option<RefreshToken>, now: i64) -> Answer {
    let authority = identity.authority;
    let Some(grant) = identity.grants.iter_mut().find(|found| found.id == grant) else {
        return error(400, "invalid_grant");
    };
    let expires_at = now.saturating_add(authority.access_seconds());
    let person = person_of(&grant.email);
    let access = match authority {
        Authority::Accounting | Authority::V2 => jwt(&json!({
            "nbf": now, "exp": expires_at, "iss": "https://identity.xero.com",
            "aud": "https://identity.xero.com/resources", "client_id": grant.client_id, "sub": person,
            "auth_time": now, "xero_userid": person, "global_session_id": grant.id,
            "jti": ambient::fresh_uuid().replace('-', ""), "authentication_event_id": grant.id, "scope": grant.scopes,
        })),
        Authority::Sage => jwt(&json!({
            "nbf": now, "exp": expires_at, "sub": person, "jti": ambient::fresh_uuid(), "scope": grant.scopes,
        })),
        Authority::Freeagent => format!("1{}", ambient::fresh_uuid().replace('-', "")),
    };
    let lasting = !authority.is_xero() || grant.scopes.iter().any(|scope| scope == "offline_access");
    let refresh = match kept {
        Some(kept) => Some(kept),
        None if lasting => {
            let token = format!("{}{}", ambient::fresh_uuid(), ambient::fresh_uuid()).replace('-', "");
            let fresh =
                RefreshToken { token, expires_at: now.saturating_add(authority.refresh_seconds()), replaced_at: None };
            grant.refresh.push(fresh.clone());
            Some(fresh)
        }
        None => None,
    };
    let mut body = json!({"access_token": access, "expires_in": authority.access_seconds(), "token_type": "Bearer"});
    if let Some(fields) = body.as_object_mut() {
        if let Some(refresh) = &refresh {
            fields.insert("refresh_token".to_owned(), json!(refresh.token));
            if !authority.is_xero() {
                let left = refresh.expires_at.saturating_sub(now);
                fields.insert("refresh_token_expires_in".to_owned(), json!(left));
            }
        }
        match authority {
            Authority::Accounting | Authority::V2 => {
                fields.insert("scope".to_owned(), json!(grant.scopes.join(" ")));
                if grant.scopes.iter().any(|scope| scope == "openid") {
                    let id_token = jwt(&json!({
                        "nbf": now, "exp": now.saturating_add(ID_TOKEN_SECONDS), "iss": "https://identity.xero.com",
                        "aud": grant.client_id, "iat": now, "sub": person, "xero_userid": person, "email": grant.email,
                    }));
                    fields.insert("id_token".to_owned(), json!(id_token));
                }
            }
            Authority::Sage => {
                fields.insert("token_type".to_owned(), json!("bearer"));
                fields.insert("scope".to_owned(), json!(grant.scopes.join(" ")));
                fields.insert("requested_by_id".to_owned(), json!(person));
            }
            Authority::Freeagent => {
                fields.insert("token_type".to_owned(), json!("bearer"));
            }
        }
    }
    let grant = grant.id.clone();
    identity.access.insert(access, AccessToken { grant, expires_at, dead: false });
    Answer::json(200, &body).with_header("cache-control", "no-store")
}

/// The same id for the same person, always.
fn person_of(email: &str) -> String {
    let hash = hex::encode(digest::digest(&digest::SHA256, email.as_bytes()));
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// A token in the shape of a JWT. Nobody but this book reads it, so its signature is noise.
fn jwt(claims: &Value) -> String {
    let header = json!({"alg": "RS256", "kid": "1CAF8E66772D6DC028D6726FD0261581570EFC19", "typ": "JWT"});
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let noise = digest::digest(&digest::SHA512, ambient::fresh_uuid().as_bytes());
    format!("{}.{}.{}", encode(&header), encode(claims), URL_SAFE_NO_PAD.encode(noise))
}
