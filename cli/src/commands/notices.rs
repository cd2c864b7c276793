//! Who is told of a tenant's troubles.

use crate::api::{Api, part};
use crate::args::NoticesCommand;
use crate::failure::Failure;
use crate::secrets;
use crate::session::Session;
use crate::shown::{Shown, notices_shown};
use ledger_wire::api::{NoticeSettings, NoticeSettingsRequest, RecipientRequest};
use secrecy::ExposeSecret as _;

fn path(tenant: &str, rest: &str) -> String {
    format!("/v1/tenants/{}/notices{rest}", part(tenant))
}

pub(super) async fn notices(session: &Session<'_>, command: &NoticesCommand) -> Result<Shown, Failure> {
    let api = session.api().await?;
    let settings: NoticeSettings = match command {
        NoticesCommand::Show { tenant } => api.get(&path(tenant, ""), &[]).await?,
        NoticesCommand::Test { tenant } => api.ask(&path(tenant, "/test")).await?,
        NoticesCommand::Add { tenant, role, webhook, secret_file } => {
            let secret = secrets::client_secret(secret_file.as_deref(), false)?;
            let new = RecipientRequest {
                id: None,
                role: role.clone(),
                way: if webhook.is_some() { "webhook" } else { "sns" }.to_owned(),
                url: webhook.clone(),
                secret: secret.map(|it| it.expose_secret().to_owned()),
            };
            change(&api, tenant, |request| {
                request.recipients.push(new.clone());
                Ok(())
            })
            .await?
        }
        NoticesCommand::Remove { tenant, id } => {
            change(&api, tenant, |request| {
                let before = request.recipients.len();
                request.recipients.retain(|it| it.id.as_ref() != Some(id));
                if request.recipients.len() == before { Err(Failure::not_found("recipient")) } else { Ok(()) }
            })
            .await?
        }
        NoticesCommand::Digest { tenant, at } => {
            change(&api, tenant, |request| {
                request.digest_at = Some(at.clone());
                Ok(())
            })
            .await?
        }
    };
    Ok(notices_shown(&settings))
}

/// Changes what there is, and puts it as a whole.
async fn change(
    api: &Api,
    tenant: &str,
    how: impl Fn(&mut NoticeSettingsRequest) -> Result<(), Failure>,
) -> Result<NoticeSettings, Failure> {
    let there: NoticeSettings = api.get(&path(tenant, ""), &[]).await?;
    let recipients = there.recipients.into_iter().map(|it| RecipientRequest {
        id: Some(it.id),
        role: it.role,
        way: it.way,
        url: it.url,
        secret: None,
    });
    let mut request = NoticeSettingsRequest {
        revision: there.revision,
        digest_at: Some(there.digest_at),
        recipients: recipients.collect(),
    };
    how(&mut request)?;
    api.put(&path(tenant, ""), &request).await
}
