//! Secrets and settings from files and standard input.

use crate::args::{TenantAdd, TokenSource};
use crate::failure::Failure;
use ledger_aws::engine::ports::Chance;
use ledger_wire::settings::SettingsV1;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use std::io::Read;
use std::path::Path;

/// What tells our keys from anything else in a configuration.
const KEY_PREFIX: &str = "ledger_";

/// The shared key, and whether it was made here.
pub(crate) fn api_key(add: &TenantAdd, chance: &dyn Chance) -> Result<(SecretString, bool), Failure> {
    match &add.api_key_file {
        Some(path) => Ok((secret(file(path)?), false)),
        None if add.api_key_stdin => Ok((secret(standard_input()?), false)),
        // Two random UUIDs: 244 bits.
        None => {
            let key = format!("{KEY_PREFIX}{}{}", chance.uuid(), chance.uuid()).replace('-', "");
            Ok((key.into(), true))
        }
    }
}

/// The access token.
pub(crate) fn token(source: &TokenSource) -> Result<SecretString, Failure> {
    match &source.access_token_file {
        Some(path) => Ok(secret(file(path)?)),
        None => Ok(secret(standard_input()?)),
    }
}

/// A client secret, where one is named.
pub(crate) fn client_secret(path: Option<&Path>, from_standard_input: bool) -> Result<Option<SecretString>, Failure> {
    match path {
        Some(path) => Ok(Some(secret(file(path)?))),
        None if from_standard_input => Ok(Some(secret(standard_input()?))),
        None => Ok(None),
    }
}

/// A text, from a file or, for `-`, from standard input.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") { standard_input() } else { file(path) }
}

/// A JSON document, from a file or, for `-`, from standard input.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    serde_json::from_str(&text(path)?).map_err(|error| {
        Failure::usage(format!("{} can't be read: {error}.", path.display()), "It has to be a JSON document.")
    })
}

/// The settings, from a file or, for `-`, from standard input.
pub(crate) fn settings(path: &Path) -> Result<SettingsV1, Failure> {
    serde_json::from_str(&text(path)?).map_err(|error| {
        Failure::usage(format!("The settings can't be read: {error}."), "docs/settings.md lists every setting.")
    })
}

/// Editors and `echo` end a file with a line break that belongs to no secret.
fn secret(text: String) -> SecretString {
    text.trim().to_owned().into()
}

fn file(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("{} can't be read: {error}.", path.display()), "Name a readable text file.")
    })
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("Standard input can't be read: {error}."), "Pipe the text in."))?;
    Ok(text)
}
