//! Sealed secrets.

use super::weather::Weather;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ledger_engine::ports::{PortFault, PortResult, SealContext, Vault};
use ledger_wire::rows::SealedRow;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that KMS seals by itself.
const SECRET_BYTES_MAX: usize = 4_096;
/// Opened secrets that a process keeps.
const OPENED_MAX: usize = 1_024;
/// Bytes of a ciphertext's number, and of its proof.
const WORD: usize = 8;

/// What was opened, by ciphertext, version and context.
type Memory = BTreeMap<(String, u32, SealContext), SecretString>;

/// A vault in memory. What it seals opens under the same context and version only, in any process; a process opens each
/// secret once and remembers it, as the one on KMS does.
///
/// Nothing is secret about it: it keeps tests honest, not secrets safe.
#[derive(Clone)]
pub struct MemoryVault {
    sealed: Arc<AtomicU64>,
    opened: Arc<Mutex<Memory>>,
    weather: Arc<dyn Weather>,
}

impl std::fmt::Debug for MemoryVault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemoryVault").finish_non_exhaustive()
    }
}

fn inconsistent(context: &SealContext, what: &str) -> PortFault {
    PortFault::Inconsistent(format!("{} of {}: {what}", context.attribute, context.owner))
}

fn hashed(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Covers a text, or uncovers it.
fn covered(text: &[u8], nonce: u64) -> Vec<u8> {
    let words = (0_u64..).flat_map(|word| hashed((nonce, word)).to_be_bytes());
    text.iter().zip(words).map(|(byte, cover)| byte ^ cover).collect()
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(WORD)?)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

impl MemoryVault {
    /// A vault in this weather.
    #[must_use]
    pub fn new(weather: Arc<dyn Weather>) -> Self {
        Self { sealed: Arc::default(), opened: Arc::default(), weather }
    }

    /// The same vault, as a process finds it that has opened nothing yet.
    #[must_use]
    pub fn process(&self, weather: Arc<dyn Weather>) -> Self {
        Self { sealed: Arc::clone(&self.sealed), opened: Arc::default(), weather }
    }

    /// Seals past weather.
    ///
    /// # Errors
    /// A secret that is empty or longer than 4 KiB.
    pub fn sealed(&self, secret: &str, version: u32, context: &SealContext) -> PortResult<SealedRow> {
        if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
            return Err(inconsistent(context, "a secret has 1 to 4096 bytes"));
        }
        let nonce = self.sealed.fetch_add(1, Ordering::Relaxed);
        let mut bytes = nonce.to_be_bytes().to_vec();
        bytes.extend(hashed((nonce, version, context, secret)).to_be_bytes());
        bytes.extend(covered(secret.as_bytes(), nonce));
        Ok(SealedRow { ciphertext: STANDARD.encode(bytes), version })
    }

    /// Opens past weather and memory.
    ///
    /// # Errors
    /// What was not sealed here for this place and version.
    pub fn opened(&self, sealed: &SealedRow, context: &SealContext) -> PortResult<SecretString> {
        let elsewhere = || inconsistent(context, "sealed for another place or version");
        let bytes = STANDARD.decode(&sealed.ciphertext).map_err(|_| inconsistent(context, "not base64"))?;
        let (nonce, proof) = word(&bytes, 0).zip(word(&bytes, WORD)).ok_or_else(elsewhere)?;
        let text = covered(bytes.get(WORD.saturating_mul(2)..).unwrap_or_default(), nonce);
        let text = String::from_utf8(text).map_err(|_| elsewhere())?;
        if hashed((nonce, sealed.version, context, text.as_str())) != proof {
            return Err(elsewhere());
        }
        Ok(SecretString::from(text))
    }
}

#[async_trait]
impl Vault for MemoryVault {
    async fn open(&self, sealed: &SealedRow, context: &SealContext) -> PortResult<SecretString> {
        const NAME: &str = "vault.open";
        let key = (sealed.ciphertext.clone(), sealed.version, context.clone());
        let remembered = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(secret) = remembered {
            return Ok(secret);
        }
        let fate = self.weather.before(NAME).await;
        if let Some(fault) = fate.refuses(NAME) {
            return Err(fault);
        }
        let secret = self.opened(sealed, context);
        self.weather.after(NAME).await;
        if let Some(fault) = fate.loses(NAME) {
            return Err(fault);
        }
        let secret = secret?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= OPENED_MAX {
            opened.clear();
        }
        opened.insert(key, secret.clone());
        Ok(secret)
    }

    async fn seal(&self, secret: &SecretString, version: u32, context: &SealContext) -> PortResult<SealedRow> {
        const NAME: &str = "vault.seal";
        let fate = self.weather.before(NAME).await;
        if let Some(fault) = fate.refuses(NAME) {
            return Err(fault);
        }
        let sealed = self.sealed(secret.expose_secret(), version, context);
        self.weather.after(NAME).await;
        fate.loses(NAME).map_or(sealed, Err)
    }
}
