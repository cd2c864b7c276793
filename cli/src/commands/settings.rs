//! Settings and reference data.

use super::binding_path;
use super::books::refresh;
use crate::api::query;
use crate::args::{ReferenceCommand, SettingsCommand};
use crate::failure::Failure;
use crate::secrets;
use crate::session::Session;
use crate::shown::{Shown, proposal_shown, reference_shown, settings_shown, validation_shown, versions_shown};
use ledger_wire::api::{
    ReferenceData, SettingsProposal, SettingsRequest, SettingsVersions, SettingsView, ValidateRequest, Validation,
};

pub(super) async fn settings(session: &Session<'_>, command: &SettingsCommand) -> Result<Shown, Failure> {
    match command {
        SettingsCommand::Get { binding } => {
            let view: SettingsView = session.api().await?.get(&binding_path(binding, "/settings"), &[]).await?;
            Ok(settings_shown(&view))
        }
        SettingsCommand::Set { binding, file, version } => {
            let settings = secrets::json(file)?;
            let (api, path) = (session.api().await?, binding_path(binding, "/settings"));
            let version = match version {
                Some(version) => *version,
                None => api.get::<SettingsView>(&path, &[]).await?.version,
            };
            let view: SettingsView = api.put(&path, &SettingsRequest { version, settings }).await?;
            Ok(settings_shown(&view))
        }
        SettingsCommand::Validate { binding, file } => {
            let request = ValidateRequest { settings: secrets::json(file)? };
            let path = binding_path(binding, "/settings/validate");
            let validation: Validation = session.api().await?.post(&path, &[], Some(&request)).await?;
            Ok(validation_shown(&validation))
        }
        SettingsCommand::Propose { binding } => {
            let path = binding_path(binding, "/settings/proposal");
            let proposal: SettingsProposal = session.api().await?.get(&path, &[]).await?;
            Ok(proposal_shown(&proposal))
        }
        SettingsCommand::History { binding, before } => {
            let which = query(&[("before", before.map(|it| it.to_string()))]);
            let path = binding_path(binding, "/settings/versions");
            let versions: SettingsVersions = session.api().await?.get(&path, &which).await?;
            Ok(versions_shown(&versions))
        }
    }
}

pub(super) async fn reference(session: &Session<'_>, command: &ReferenceCommand) -> Result<Shown, Failure> {
    let api = session.api().await?;
    match command {
        ReferenceCommand::Show { binding, list } => {
            let which = query(&[("list", list.clone())]);
            let data: ReferenceData = api.get(&binding_path(binding, "/reference"), &which).await?;
            Ok(reference_shown(&data))
        }
        ReferenceCommand::Refresh { binding, lists } => refresh(&api, binding, lists).await,
    }
}
