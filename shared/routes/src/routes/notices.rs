//! Who is told of a tenant's troubles.

use crate::access::{Need, SignedIn};
use crate::extract::{Body, Path};
use crate::failure::{Looking, Refusal};
use crate::state::Api;
use axum::Json;
use axum::extract::State;
use ledger_engine::notices::{DIGEST_MINUTE, NewRecipient};
use ledger_wire::api::{NoticeSettings, NoticeSettingsRequest};
use std::sync::Arc;

/// Who is told of a tenant's troubles, and what they were told.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/notices", tag = "notices", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, body = NoticeSettings), Looking))]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(tenant): Path<String>,
) -> Result<Json<NoticeSettings>, Refusal> {
    api.tenancy_for(&caller, Need::Look, &tenant).await?;
    Ok(Json(NoticeSettings::of(&api.recipients().of(&tenant).await?)))
}

/// Puts all of a tenant's recipients. A webhook's requests are signed with its secret; the address must be public.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/notices", tag = "notices", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")), request_body = NoticeSettingsRequest,
    responses((status = 200, body = NoticeSettings), Refusal))]
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(tenant): Path<String>,
    Body(request): Body<NoticeSettingsRequest>,
) -> Result<Json<NoticeSettings>, Refusal> {
    api.tenancy_for(&caller, Need::Act, &tenant).await?;
    let minute = match &request.digest_at {
        None => DIGEST_MINUTE,
        Some(text) => {
            minute_of(text).ok_or_else(|| Refusal::field("digest_at", "invalid_format", "not a time like 07:00"))?
        }
    };
    let wanted: Vec<NewRecipient> = request
        .recipients
        .into_iter()
        .map(|it| NewRecipient {
            id: it.id,
            role: it.role,
            way: it.way,
            url: it.url,
            secret: it.secret.map(Into::into),
        })
        .collect();
    let row = api.recipients().put(&tenant, request.revision, &caller.0.subject, minute, &wanted).await?;
    Ok(Json(NoticeSettings::of(&row)))
}

/// Sends a test to each of a tenant's recipients, with the next sweep.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/notices/test", tag = "notices", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, body = NoticeSettings), Refusal))]
pub(super) async fn test(
    State(api): State<Arc<Api>>,
    caller: SignedIn,
    Path(tenant): Path<String>,
) -> Result<Json<NoticeSettings>, Refusal> {
    api.tenancy_for(&caller, Need::Act, &tenant).await?;
    Ok(Json(NoticeSettings::of(&api.recipients().test(&tenant).await?)))
}

/// The minute of the day of a time like `07:00`.
fn minute_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then(|| hours.saturating_mul(60).saturating_add(minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_hours_and_minutes() {
        let check = |text: &str, minute: Option<u16>| assert_eq!(minute_of(text), minute, "{text}");
        check("07:00", Some(420));
        check("00:00", Some(0));
        check("23:59", Some(1_439));
        for bad in ["24:00", "07:60", "7:00", "07:0", "07", "", "+7:00", "07:00:00", "٠٧:٠٠"] {
            check(bad, None);
        }
    }
}
