//! What operators do: make tenants and bindings, look at runs, try them again.

pub mod diagnose;
mod list;

pub use list::{LIST_MAX, RunFilter};

use crate::config::Timers;
use crate::edges;
use crate::ports::{Chance, Clock, Operations, PortFault, Queue, Vault};
use crate::tenants::context_of;
use crate::tenants::{Mode, access_token_context, api_key_context};
use ledger_dialects::Profile;
use ledger_domain::document::Kind;
use ledger_domain::identity::{BindingId, BookId, Event, Provider, RunId, TenantId};
use ledger_domain::run::RunState;
use ledger_domain::shop_address::ShopAddress;
use ledger_wire::rows::{AttemptRow, BindingRow, PushRow, ROW_VERSION, RunRow, SettingsRow, TenantRow, TokenRow, keys};
use ledger_wire::settings::SettingsV1;
use secrecy::SecretString;

/// Most dead letters listed at once.
const DEAD_LETTERS_MAX: usize = 1_000;
/// Shortest shared key, in characters.
const API_KEY_MIN: usize = 16;
/// Longest secret that KMS seals by itself, in bytes.
const SECRET_MAX_BYTES: usize = 4_096;

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperateError {
    /// Something in the request can't be used.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is none.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// There is one already.
    #[error("there is such a {0} already")]
    Exists(&'static str),
    /// The thing is not in a state for it.
    #[error("{0}")]
    NotNow(String),
    /// It is refused, for a reason with a stable code.
    #[error("{reason}")]
    Refused {
        /// The code.
        code: &'static str,
        /// One sentence.
        reason: String,
    },
    /// Store, queue or vault.
    #[error(transparent)]
    Port(#[from] PortFault),
}

/// A tenant to make.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its id; a new one where absent.
    pub tenant: Option<String>,
    /// Base URL of the shop.
    pub shop_url: String,
    /// The key shared with the shop.
    pub api_key: SecretString,
}

/// A binding to make.
#[derive(Clone, Debug)]
pub struct NewBinding {
    /// The tenant.
    pub tenant: String,
    /// Provider key.
    pub provider: String,
    /// Dialect name.
    pub dialect: String,
    /// Scheme, host and port of the provider.
    pub base_url: String,
    /// The organisation's id at the provider.
    pub organisation: String,
    /// What the provider's web pages know the organisation by, where that is not its id.
    pub web_name: Option<String>,
    /// The access token.
    pub token: SecretString,
    /// The settings.
    pub settings: SettingsV1,
}

/// A run with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDetail {
    /// The run.
    pub run: RunRow,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
    /// Its entity's chip.
    pub push: Option<PushRow>,
    /// Where a person sees the document in the provider's web pages, as far as that is known.
    pub link: Option<String>,
}

/// What an operation needs.
pub struct Operate<'a> {
    /// The store.
    pub store: &'a dyn Operations,
    /// The queues.
    pub queue: &'a dyn Queue,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// The stack's timers.
    pub timers: &'a Timers,
}

pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> OperateError {
    OperateError::Invalid { field, reason: reason.into() }
}

fn base_url(field: &'static str, text: &str) -> Result<String, OperateError> {
    let text = text.trim().trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['@', '?', '#', ' ']) => Ok(text.to_owned()),
        _ => Err(invalid(field, "not an absolute http(s) URL")),
    }
}

fn secret(field: &'static str, secret: &SecretString, least: usize) -> Result<(), OperateError> {
    use secrecy::ExposeSecret;
    let length = secret.expose_secret().len();
    if length < least {
        return Err(invalid(field, format!("shorter than {least} characters")));
    }
    if length > SECRET_MAX_BYTES {
        return Err(invalid(field, format!("longer than {SECRET_MAX_BYTES} bytes")));
    }
    Ok(())
}

/// Checks settings, and that they name what every document in such a book needs.
fn usable(settings: &SettingsV1, profile: &Profile) -> Result<(), OperateError> {
    settings.read(1).map_err(|error| invalid(error.field, error.code))?;
    match crate::settings::lacking(settings, profile).first().map(|error| error.field.as_str()) {
        None => Ok(()),
        Some("tax_map") => Err(invalid("tax_map", "the book's lines name its own tax codes; none is named")),
        Some(_) => Err(invalid("sales_tax_rates", "the book's lines name the rate itself; none is named")),
    }
}

impl Operate<'_> {
    /// Makes a tenant with a sealed key, connected from the start. From here on its shop is this tenant's, whoever
    /// had it before.
    ///
    /// # Errors
    /// What is invalid, or that there is one.
    pub async fn add_tenant(&self, new: &NewTenant) -> Result<TenantRow, OperateError> {
        let tenant = match &new.tenant {
            None => self.chance.uuid(),
            Some(text) => {
                TenantId::parse(text).ok_or_else(|| invalid("tenant", "1 to 64 letters, digits or -_.:/"))?.to_string()
            }
        };
        secret("api_key", &new.api_key, API_KEY_MIN)?;
        let row = TenantRow {
            pk: keys::tenant(&tenant),
            sk: keys::TENANT.to_owned(),
            v: ROW_VERSION,
            // As pairing knows it: whoever pairs the shop by a code finds this tenant.
            shop_url: ShopAddress::parse(&new.shop_url).map_err(|reason| invalid("shop_url", reason))?.to_string(),
            status: "connected".to_owned(),
            keys_version: 1,
            current_key: Some(self.vault.seal(&new.api_key, 1, &api_key_context(&tenant)).await?),
            created_at: self.clock.now_ms(),
            tenant,
            ..TenantRow::default()
        };
        if self.store.add_tenant(&row).await? { Ok(row) } else { Err(OperateError::Exists("tenant")) }
    }

    /// Makes a binding of a tenant to a book, active from the start.
    ///
    /// # Errors
    /// What is invalid, or that the tenant has a binding of that provider.
    pub async fn add_binding(&self, new: &NewBinding) -> Result<BindingRow, OperateError> {
        let provider = Provider::parse(&new.provider)
            .ok_or_else(|| invalid("provider", "one of xero, sage_accounting, freeagent"))?;
        let dialect =
            ledger_dialects::dialect(&new.dialect).ok_or_else(|| invalid("dialect", "none that Ledger speaks"))?;
        if dialect.profile().provider != provider {
            let speaks_to = dialect.profile().provider.as_str();
            return Err(invalid("dialect", format!("that of {speaks_to}, not of {}", provider.as_str())));
        }
        usable(&new.settings, dialect.profile())?;
        secret("token", &new.token, 1)?;
        let book = BookId::of(provider, &new.organisation)
            .ok_or_else(|| invalid("organisation", "with the provider 1 to 64 letters, digits or -_.:/"))?;
        let tenancy = self.store.tenancy(&new.tenant).await?.ok_or(OperateError::NotFound("tenant"))?;
        let same = |row: &&BindingRow| row.provider == provider.as_str() && row.status != "disconnected";
        if tenancy.bindings.iter().any(|row| same(&row)) {
            return Err(OperateError::Exists("binding of that provider"));
        }
        let binding = self.chance.uuid();
        let row = BindingRow {
            pk: keys::tenant(&new.tenant),
            sk: keys::binding(&binding),
            v: ROW_VERSION,
            tenant: new.tenant.clone(),
            provider: provider.as_str().to_owned(),
            dialect: new.dialect.clone(),
            status: "active".to_owned(),
            book: book.to_string(),
            base_url: base_url("base_url", &new.base_url)?,
            web_name: new.web_name.clone(),
            settings: new.settings.clone(),
            settings_version: 1,
            connected_at: self.clock.now_ms(),
            binding: binding.clone(),
            disconnected_at: None,
            organisation_name: None,
            environment: None,
            mode: String::new(),
        };
        let settings = SettingsRow {
            pk: keys::of_binding(&binding),
            sk: keys::settings(1),
            v: ROW_VERSION,
            settings: new.settings.clone(),
            version: 1,
            saved_by: None,
            saved_at: Some(row.connected_at),
        };
        let token = self.token_row(&binding, 1, &new.token).await?;
        if self.store.add_binding(&row, &settings, &token).await? {
            Ok(row)
        } else {
            Err(OperateError::Exists("binding"))
        }
    }

    async fn token_row(&self, binding: &str, version: u32, token: &SecretString) -> Result<TokenRow, OperateError> {
        Ok(TokenRow {
            pk: keys::of_binding(binding),
            sk: keys::TOKEN.to_owned(),
            v: ROW_VERSION,
            access: self.vault.seal(token, version, &access_token_context(binding)).await?,
            version,
            ..TokenRow::default()
        })
    }

    pub(crate) async fn binding(&self, tenant: &str, binding: &str) -> Result<BindingRow, OperateError> {
        BindingId::parse(binding).ok_or_else(|| invalid("binding", "not an id"))?;
        let tenancy = self.store.tenancy(tenant).await?.ok_or(OperateError::NotFound("tenant"))?;
        tenancy.bindings.into_iter().find(|row| row.binding == binding).ok_or(OperateError::NotFound("binding"))
    }

    /// Gives a binding a new token and makes it active again. Runs held for it are released by the next sweep.
    ///
    /// # Errors
    /// What is invalid, or that there is no such binding.
    pub async fn set_token(
        &self,
        tenant: &str,
        binding: &str,
        token: &SecretString,
    ) -> Result<BindingRow, OperateError> {
        secret("token", token, 1)?;
        let seen = self.binding(tenant, binding).await?;
        let version = self.store.token(binding).await?.map_or(0, |row| row.version).saturating_add(1);
        self.store.put_token(&self.token_row(binding, version, token).await?).await?;
        if seen.status == "needs_reconnect" {
            return self.replace_status(&seen, "active").await;
        }
        Ok(seen)
    }

    /// Pauses a binding: its runs are held. Or lets it go on: held runs are released by the next sweep.
    ///
    /// # Errors
    /// That there is no such binding, or that its status does not allow it.
    pub async fn pause(&self, tenant: &str, binding: &str, paused: bool) -> Result<BindingRow, OperateError> {
        let (from, mode) = if paused { (None, Mode::Paused) } else { (Some(Mode::Paused), Mode::Live) };
        self.change_mode(tenant, binding, from, mode).await
    }

    async fn replace_status(&self, seen: &BindingRow, status: &str) -> Result<BindingRow, OperateError> {
        let mut next = seen.clone();
        status.clone_into(&mut next.status);
        if self.store.replace_binding(seen, &next).await? {
            Ok(next)
        } else {
            Err(OperateError::NotNow("the binding changed meanwhile; look again".to_owned()))
        }
    }

    /// A run with its attempts and its chip.
    ///
    /// # Errors
    /// That there is none.
    pub async fn run(&self, run_id: &str) -> Result<RunDetail, OperateError> {
        let run = self.run_row(run_id).await?;
        let attempts = self.store.attempts(&run.run_id).await?;
        let want = edges::push_want(&run, 0);
        let pk = keys::push(&want.tenant, &want.provider, &want.entity_type, want.magento_id);
        let push = self.store.push(&pk).await?;
        let link = self.link(&run).await?;
        Ok(RunDetail { run, attempts, push, link })
    }

    /// Where a person sees a run's document.
    async fn link(&self, run: &RunRow) -> Result<Option<String>, OperateError> {
        let (Some(provider_id), Some(event)) = (&run.provider_id, Event::parse(&run.event)) else { return Ok(None) };
        let tenancy = self.store.tenancy(&run.tenant).await?;
        let binding = tenancy.and_then(|it| it.bindings.into_iter().find(|row| row.binding == run.binding));
        let Some(binding) = binding else { return Ok(None) };
        let kind = match event {
            Event::InvoiceCreated => Kind::Invoice,
            Event::InvoicePaid => Kind::Payment,
            Event::CreditmemoCreated => Kind::CreditNote,
            Event::CustomerUpserted => Kind::Contact,
            Event::ProductUpserted => Kind::Product,
        };
        let Some(dialect) = ledger_dialects::dialect(&binding.dialect) else { return Ok(None) };
        let context = context_of(&binding);
        let own = run.web_address.clone().or_else(|| dialect.link(kind, provider_id, &context));
        // Payments without a page are shown on their invoice's.
        let invoice = || run.settles.as_deref().and_then(|invoice| dialect.link(Kind::Invoice, invoice, &context));
        Ok(own.or_else(invoice))
    }

    /// A run's row.
    ///
    /// # Errors
    /// That there is none.
    pub async fn run_row(&self, run_id: &str) -> Result<RunRow, OperateError> {
        let id = RunId::parse(run_id).ok_or_else(|| invalid("run", "not a run id"))?;
        self.store.run(&keys::run(id.as_str())).await?.ok_or(OperateError::NotFound("run"))
    }

    /// Tries a run again: a dead letter or a skipped one is opened anew, a waiting or held one is sent now, a succeeded
    /// one pushes its chip again.
    ///
    /// # Errors
    /// That there is none, or that it is under way.
    pub async fn retry(&self, run_id: &str) -> Result<RunRow, OperateError> {
        let seen = self.run_row(run_id).await?;
        let now = self.clock.now_ms();
        let next = match edges::state(&seen) {
            _ if edges::can_be_reopened(&seen) => edges::reopened(&seen, now, self.timers),
            RunState::Waiting | RunState::Held => edges::sent_again(&seen, now, self.timers),
            RunState::Succeeded => {
                let want = edges::push_want(&seen, now);
                // What was pushed for this run minutes ago has the message's usual id, and the queue would drop this one.
                let mut message = edges::push_message_for(&want, &seen);
                message.deduplication = self.chance.uuid();
                if self.store.replace_run(&seen, &seen, Some(&want)).await? {
                    self.queue.send(&message).await?;
                }
                return Ok(seen);
            }
            RunState::Queued | RunState::Running | RunState::DeadLettered | RunState::Skipped => {
                return Err(OperateError::NotNow("the run is under way".to_owned()));
            }
        };
        let message = edges::run_message(&next)
            .filter(|message| self.queue.has(message.queue))
            .ok_or_else(|| OperateError::NotNow("this stack has no worker for the run's event".to_owned()))?;
        if message.group.is_empty() {
            return Err(OperateError::NotNow("the run's binding has no book yet".to_owned()));
        }
        if !self.store.replace_run(&seen, &next, None).await? {
            return Err(OperateError::NotNow("the run changed meanwhile; look again".to_owned()));
        }
        self.queue.send(&message).await?;
        Ok(next)
    }

    /// Dead letters, oldest first within a binding.
    ///
    /// # Errors
    /// As the store.
    pub async fn dead_letters(&self) -> Result<Vec<RunRow>, OperateError> {
        self.standing_still(RunState::DeadLettered, None, DEAD_LETTERS_MAX).await
    }

    /// Held runs, oldest first within a binding.
    ///
    /// # Errors
    /// As the store.
    pub async fn held(&self) -> Result<Vec<RunRow>, OperateError> {
        self.standing_still(RunState::Held, None, DEAD_LETTERS_MAX).await
    }
}
