//! A store and a vault in memory, for tests of one process that need no engine of AWS. What conditions cost and lose is
//! tested on the real adapter.

use async_trait::async_trait;
use ledger_engine::dialects::Reply;
use ledger_engine::ports::*;
use ledger_engine::wire::rows::*;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What is in the store.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The tenant.
    pub tenant: TenantRow,
    /// Its binding.
    pub binding: BindingRow,
    /// Its token.
    pub token: Option<TokenRow>,
    /// Runs by id.
    pub runs: BTreeMap<String, RunRow>,
    /// Attempts, in order.
    pub attempts: Vec<AttemptRow>,
    /// Cross-references by key.
    pub xrefs: BTreeMap<String, XrefRow>,
    /// Lists by name.
    pub lists: BTreeMap<String, ReferenceRow>,
    /// Pages by sort key.
    pub pages: BTreeMap<String, ReferencePageRow>,
    /// Refusals that no rule recognised, as they were counted.
    pub refusals: Vec<RefusalRow>,
    /// Versions of the settings.
    pub settings: BTreeMap<u32, SettingsRow>,
    /// Bindings noted with the book.
    pub prefixes: Vec<PrefixOwner>,
    /// Writes of lists that are refused from here on: another reader is always faster.
    pub rival: bool,
}

/// A store with one tenant and one binding.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<Rows>,
}

impl MemoryStore {
    /// A store with these rows.
    #[must_use]
    pub fn new(rows: Rows) -> Self {
        Self { rows: Mutex::new(rows) }
    }

    /// Looks at the rows, or changes them.
    pub fn with<T>(&self, change: impl FnOnce(&mut Rows) -> T) -> T {
        change(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Tenants for MemoryStore {
    async fn tenancy(&self, tenant: &str) -> PortResult<Option<Tenancy>> {
        Ok(self.with(|rows| {
            (rows.tenant.tenant == tenant)
                .then(|| Tenancy { tenant: rows.tenant.clone(), bindings: vec![rows.binding.clone()] })
        }))
    }
}

#[async_trait]
impl References for MemoryStore {
    async fn references(&self, _: &str, lists: &[&str]) -> PortResult<Vec<ReferenceRow>> {
        Ok(self.with(|rows| lists.iter().filter_map(|list| rows.lists.get(*list).cloned()).collect()))
    }

    async fn reference_pages(
        &self,
        _: &str,
        list: &str,
        generation: u32,
        pages: u32,
    ) -> PortResult<Vec<ReferencePageRow>> {
        let keys = (0..pages).map(|page| keys::reference_page(list, generation, page));
        Ok(self.with(|rows| keys.filter_map(|key| rows.pages.get(&key).cloned()).collect()))
    }

    async fn put_reference(&self, row: &ReferenceRow, pages: &[ReferencePageRow]) -> PortResult<bool> {
        Ok(self.with(|rows| {
            let there = rows.lists.get(&row.list).map_or(0, |there| there.revision);
            if rows.rival || there.saturating_add(1) != row.revision {
                return false;
            }
            rows.lists.insert(row.list.clone(), row.clone());
            rows.pages.extend(pages.iter().map(|page| (page.sk.clone(), page.clone())));
            true
        }))
    }

    async fn grant_of(&self, _: &str) -> PortResult<Option<TokenRow>> {
        Ok(self.with(|rows| rows.token.clone()))
    }
}

#[async_trait]
impl Configurations for MemoryStore {
    async fn settings_version(&self, _: &str, version: u32) -> PortResult<Option<SettingsRow>> {
        Ok(self.with(|rows| rows.settings.get(&version).cloned()))
    }

    async fn settings_versions(&self, _: &str, before: Option<u32>, limit: usize) -> PortResult<Vec<SettingsRow>> {
        let below = before.unwrap_or(u32::MAX);
        Ok(self.with(|rows| rows.settings.range(..below).rev().take(limit).map(|(_, row)| row.clone()).collect()))
    }

    async fn put_settings(
        &self,
        tenant: &str,
        seen: u32,
        row: &SettingsRow,
        binding: &str,
        noted: Option<NotedWith<'_>>,
    ) -> PortResult<bool> {
        Ok(self.with(|rows| {
            if rows.binding.settings_version != seen || rows.settings.contains_key(&row.version) {
                return false;
            }
            rows.binding.settings = row.settings.clone();
            rows.binding.settings_version = row.version;
            rows.settings.insert(row.version, row.clone());
            for owner in rows.prefixes.iter_mut().filter(|_| noted.is_some()) {
                if owner.tenant == tenant && owner.binding == binding {
                    owner.prefix = row.settings.invoice_number_prefix.clone().unwrap_or_default();
                }
            }
            true
        }))
    }

    async fn prefixes_of(&self, _: &str) -> PortResult<Vec<PrefixOwner>> {
        Ok(self.with(|rows| rows.prefixes.clone()))
    }
}

#[async_trait]
impl Attempts for MemoryStore {
    async fn claim(&self, request: &ClaimRequest) -> PortResult<Claimed> {
        Ok(self.with(|rows| match rows.runs.get_mut(&request.run_id) {
            Some(run) if run.state == "queued" => {
                "running".clone_into(&mut run.state);
                run.claim = Some(request.claim.clone());
                run.attempt = run.attempt.saturating_add(1);
                Claimed::Ours
            }
            there => Claimed::Not(there.cloned()),
        }))
    }

    async fn gather(&self, request: &GatherRequest) -> PortResult<Gathered> {
        Ok(self.with(|rows| Gathered {
            lease: None,
            run: rows.runs.get(&request.run_id).cloned(),
            tenant: Some(rows.tenant.clone()),
            binding: Some(rows.binding.clone()),
            token: rows.token.clone(),
            xrefs: request.xrefs.iter().filter_map(|key| Some((key.clone(), rows.xrefs.get(key)?.clone()))).collect(),
        }))
    }

    async fn settings(&self, binding: &str, version: u32) -> PortResult<Option<SettingsRow>> {
        self.settings_version(binding, version).await
    }

    async fn progress(&self, progress: &Progress) -> PortResult<Written> {
        Ok(self.with(|rows| xrefs_written(rows, &progress.xrefs)))
    }

    async fn commit(&self, commit: &Commit) -> PortResult<Written> {
        Ok(self.with(|rows| {
            let written = xrefs_written(rows, &commit.xrefs);
            if written == Written::Done {
                rows.runs.insert(commit.run.run_id.clone(), commit.run.clone());
                rows.attempts.push(commit.attempt.clone());
            }
            written
        }))
    }

    async fn replace_run(&self, _: &RunRow, next: &RunRow, _: Option<&PushWant>) -> PortResult<bool> {
        self.with(|rows| rows.runs.insert(next.run_id.clone(), next.clone()));
        Ok(true)
    }

    async fn shop_refuses(&self, _: &str, now: i64) -> PortResult<()> {
        self.with(|rows| rows.tenant.refused_since = Some(now));
        Ok(())
    }

    async fn want_book(&self, _: &str, _: i64) -> PortResult<()> {
        Ok(())
    }

    async fn count_refusal(&self, refusal: &RefusalRow) -> PortResult<()> {
        self.with(|rows| rows.refusals.push(refusal.clone()));
        Ok(())
    }
}

#[async_trait]
impl ShopStates for MemoryStore {
    async fn shop_unreached(&self, _: &str, now: i64) -> PortResult<()> {
        self.with(|rows| rows.tenant.unreached_since = Some(now));
        Ok(())
    }

    async fn shop_reached(&self, _: &str) -> PortResult<()> {
        self.with(|rows| rows.tenant.unreached_since = None);
        Ok(())
    }
}

/// The grant of these tests is set by hand: nobody renews it.
#[async_trait]
impl GrantStore for MemoryStore {
    async fn grant(&self, _: &str) -> PortResult<Option<TokenRow>> {
        Ok(self.with(|rows| rows.token.clone()))
    }

    async fn app(&self, _: &str) -> PortResult<Option<AppRow>> {
        Ok(None)
    }

    async fn lease_grant(&self, _: &str, _: u32, _: &str, _: i64, _: i64) -> PortResult<GrantLeased> {
        Err(PortFault::Unavailable("a token set by hand is renewed by nobody".to_owned()))
    }

    async fn save_grant(&self, _: u32, _: &TokenRow) -> PortResult<bool> {
        Err(PortFault::Unavailable("a token set by hand is renewed by nobody".to_owned()))
    }

    async fn release_grant(&self, _: &str, _: &str) -> PortResult<()> {
        Ok(())
    }

    async fn needs_reconnect(&self, _: &str, _: &str, _: Option<u32>) -> PortResult<bool> {
        self.with(|rows| "needs_reconnect".clone_into(&mut rows.binding.status));
        Ok(true)
    }
}

/// Writes rows of `entity_xref`, all or none.
fn xrefs_written(rows: &mut Rows, writes: &[XrefWrite]) -> Written {
    for write in writes {
        let there = rows.xrefs.get(&write.row.pk);
        let expected = match &write.expect {
            Expect::Absent => there.is_none(),
            Expect::Revision(revision) => there.is_some_and(|row| row.revision == *revision),
            Expect::AbsentOrOf(owner) => there.is_none_or(|row| row.document.as_deref() == Some(owner.as_str())),
        };
        if !expected {
            return Written::Changed(write.row.pk.clone());
        }
    }
    rows.xrefs.extend(writes.iter().map(|write| (write.row.pk.clone(), write.row.clone())));
    Written::Done
}

/// A vault that hides nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenVault;

#[async_trait]
impl Vault for OpenVault {
    async fn open(&self, sealed: &SealedRow, _: &SealContext) -> PortResult<SecretString> {
        Ok(SecretString::from(sealed.ciphertext.clone()))
    }

    async fn seal(&self, secret: &SecretString, version: u32, _: &SealContext) -> PortResult<SealedRow> {
        Ok(SealedRow { ciphertext: secret.expose_secret().to_owned(), version })
    }
}

/// A provider whose OAuth nobody can reach: tokens here are set by hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProvider;

#[async_trait]
impl Authorities for NoProvider {
    async fn call(&self, _: &AuthorityCall<'_>) -> Result<Reply, TransportFault> {
        Err(TransportFault::NotSent("nobody is there".to_owned()))
    }
}
