//! Sealed secrets.

use crate::connect::Foundation;
use crate::fault::{code, unavailable};
use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ledger_engine::ports::{PortFault, PortResult, SealContext, Vault};
use ledger_wire::rows::SealedRow;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::OnceCell;

/// Bytes that KMS seals by itself.
const SECRET_BYTES_MAX: usize = 4_096;
/// Opened secrets that a process keeps: a few hundred tenants' keys and tokens.
const OPENED_MAX: usize = 1_024;

/// What an opened secret is remembered by: nothing opens under another place or version, from memory either.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Opened {
    ciphertext: String,
    version: u32,
    context: SealContext,
}

type Memory = HashMap<Opened, Arc<OnceCell<SecretString>>>;

/// The vault, on KMS. A secret is opened once in a process; whoever asks meanwhile waits for that one call.
#[derive(Clone)]
pub struct KmsVault {
    foundation: Foundation,
    endpoint: Option<String>,
    key_id: Arc<str>,
    client: Arc<OnceLock<Client>>,
    opened: Arc<Mutex<Memory>>,
}

impl std::fmt::Debug for KmsVault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KmsVault").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// What KMS binds the ciphertext to, and writes to the audit trail.
fn encryption_context(context: &SealContext, version: u32) -> HashMap<String, String> {
    HashMap::from([
        ("label".to_owned(), context.label.to_owned()),
        ("owner".to_owned(), context.owner.clone()),
        ("attribute".to_owned(), context.attribute.to_owned()),
        ("version".to_owned(), version.to_string()),
    ])
}

fn inconsistent(context: &SealContext, what: &str) -> PortFault {
    PortFault::Inconsistent(format!("{} of {}: {what}", context.attribute, context.owner))
}

impl KmsVault {
    pub(crate) fn new(foundation: Foundation, endpoint: Option<String>, key_id: String) -> Self {
        Self {
            foundation,
            endpoint,
            key_id: key_id.into(),
            client: Arc::new(OnceLock::new()),
            opened: Arc::new(Mutex::new(HashMap::new())),
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| self.foundation.kms(self.endpoint.as_deref()))
    }

    fn remembered(&self, sealed: &SealedRow, context: &SealContext) -> Arc<OnceCell<SecretString>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= OPENED_MAX {
            opened.clear();
        }
        let secret =
            Opened { ciphertext: sealed.ciphertext.clone(), version: sealed.version, context: context.clone() };
        Arc::clone(opened.entry(secret).or_default())
    }

    async fn decrypt(&self, sealed: &SealedRow, context: &SealContext) -> PortResult<SecretString> {
        let ciphertext = STANDARD.decode(&sealed.ciphertext).map_err(|_| inconsistent(context, "not base64"))?;
        let call = self.client().decrypt().key_id(self.key_id.as_ref()).ciphertext_blob(Blob::new(ciphertext));
        let call = call.set_encryption_context(Some(encryption_context(context, sealed.version)));
        let answer = call.send().await.map_err(|error| match code(&error) {
            Some("InvalidCiphertextException") => inconsistent(context, "sealed for another place or version"),
            Some("IncorrectKeyException") => inconsistent(context, "sealed with another key"),
            _ => unavailable("Decrypt", &error),
        })?;
        let plain = answer.plaintext.ok_or_else(|| PortFault::Unavailable("Decrypt: nothing".to_owned()))?;
        let plain = Zeroizing::new(plain.into_inner());
        let text = std::str::from_utf8(&plain).map_err(|_| inconsistent(context, "not text"))?;
        Ok(SecretString::from(text))
    }
}

#[async_trait]
impl Vault for KmsVault {
    /// One Decrypt for each secret and process; then none.
    async fn open(&self, sealed: &SealedRow, context: &SealContext) -> PortResult<SecretString> {
        let remembered = self.remembered(sealed, context);
        remembered.get_or_try_init(|| self.decrypt(sealed, context)).await.cloned()
    }

    /// One Encrypt.
    async fn seal(&self, secret: &SecretString, version: u32, context: &SealContext) -> PortResult<SealedRow> {
        let plain = secret.expose_secret();
        if plain.is_empty() || plain.len() > SECRET_BYTES_MAX {
            return Err(inconsistent(context, "a secret has 1 to 4096 bytes"));
        }
        let call = self.client().encrypt().key_id(self.key_id.as_ref()).plaintext(Blob::new(plain.as_bytes()));
        let call = call.set_encryption_context(Some(encryption_context(context, version)));
        let answer = call.send().await.map_err(|error| unavailable("Encrypt", &error))?;
        let blob = answer.ciphertext_blob.ok_or_else(|| PortFault::Unavailable("Encrypt: nothing".to_owned()))?;
        Ok(SealedRow { ciphertext: STANDARD.encode(blob.into_inner()), version })
    }
}
