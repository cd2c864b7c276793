//! Where a sign-in is kept: one file, readable by its owner alone.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Version of the file.
const VERSION: u8 = 1;

/// The file: `{"v":1,"current":"https://…","stacks":[{"url":"https://…","issuer":…,"client_id":…,"access_token":…}]}`.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    v: u8,
    /// Address of the stack that was signed in to last.
    pub(crate) current: Option<String>,
    pub(crate) stacks: Vec<SignIn>,
}

/// A sign-in to a stack. Has no `Debug`: it holds tokens.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SignIn {
    pub(crate) url: String,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    /// When the access token expires, in milliseconds since 1970.
    pub(crate) expires_at: i64,
}

impl Kept {
    pub(crate) fn of(&self, url: &str) -> Option<&SignIn> {
        self.stacks.iter().find(|it| it.url == url)
    }

    pub(crate) fn put(&mut self, sign_in: SignIn) {
        self.remove(&sign_in.url);
        self.current = Some(sign_in.url.clone());
        self.stacks.push(sign_in);
    }

    pub(crate) fn remove(&mut self, url: &str) {
        self.stacks.retain(|it| it.url != url);
        if self.current.as_deref() == Some(url) {
            self.current = None;
        }
    }
}

/// The file that is used where none is named.
pub(crate) fn usual(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = |name: &str| environment(name).filter(|it| it.starts_with('/')).map(PathBuf::from);
    let configurations = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(configurations.join("ledger").join("sign-in.json"))
}

fn wrong(path: &Path, what: &str, remedy: &str) -> Failure {
    Failure::fault("sign_in_file", format!("{} {what}.", path.display()), remedy)
}

/// What is kept; nothing where there is no file.
///
/// # Errors
/// Where others may read the file, or it can't be understood. Neither quotes it.
pub(crate) fn read(path: &Path) -> Result<Kept, Failure> {
    let details = match std::fs::metadata(path) {
        Ok(details) => details,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kept::default()),
        Err(_) => return Err(wrong(path, "can't be looked at", "Name another file with --token-file.")),
    };
    if details.permissions().mode() & 0o077 != 0 {
        return Err(wrong(path, "may be read by others", "Take their rights away with `chmod 600`, and sign in anew."));
    }
    let remedy = "Remove it and sign in again.";
    let text = std::fs::read(path).map_err(|_| wrong(path, "can't be read", remedy))?;
    let kept: Kept = serde_json::from_slice(&text).map_err(|_| wrong(path, "is not a sign-in file", remedy))?;
    if kept.v == VERSION { Ok(kept) } else { Err(wrong(path, "is of another version", remedy)) }
}

/// Writes it beside the old one and puts it in its place.
///
/// # Errors
/// Where that can't be done.
pub(crate) fn write(path: &Path, kept: &Kept) -> Result<(), Failure> {
    let failed = |_: std::io::Error| wrong(path, "can't be written", "Name another file with --token-file.");
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let kept = Kept { v: VERSION, current: kept.current.clone(), stacks: kept.stacks.clone() };
    let text = serde_json::to_vec_pretty(&kept)
        .map_err(|_| wrong(path, "can't be written", "Name another file with --token-file."))?;
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    // Never one that somebody else has put there.
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
