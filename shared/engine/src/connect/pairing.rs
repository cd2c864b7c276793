//! Pairing with a shop by the code that its admin page shows.
//!
//! The shop's modules share one tenant and one key. The first pairing makes both; another provider's module is sent the
//! current ones; pairing a provider again makes a new key. A new key is stored as *candidate* before the shop is asked, and
//! from then on verifies: whatever becomes of the shop's reply, a shop that has taken it is understood. It becomes the
//! current key when the shop says yes, when a ping under it is answered, or when the first token under it arrives; the one
//! before verifies for another day. A candidate is never dropped: the next pairing sends the same one again, because the
//! shop may have taken it.
//!
//! Source: the published modules, `Model/Setup/Pair` and `etc/webapi.xml` of each provider's.

use crate::connect::oauth::PROVIDER_BOUND;
use crate::edges::preview_key;
use crate::ports::{Chance, Clock, NewShop, PairCall, Pairings, PortFault, Shop, TransportFault, Vault};
use crate::shop::{ShopAnswer, ShopPorts, says_no_route};
use crate::tenants::{TenantMemory, api_key_context, promotion, speaking_key};
use ledger_dialects::Reply;
use ledger_domain::identity::{BindingId, Provider, TenantId};
use ledger_domain::run::RunState;
use ledger_domain::shop_address::ShopAddress;
use ledger_wire::module::PairBody;
use ledger_wire::rows::{BindingRow, ROW_VERSION, SealedRow, ShopAddressRow, TenantRow, keys};
use secrecy::{ExposeSecret, SecretString};

/// How long the shop may take to pair, in milliseconds: it writes its configuration and flushes its cache.
const PAIR_TIMEOUT_MS: u64 = 20_000;
/// How long it may take to answer a ping, in milliseconds.
const PING_TIMEOUT_MS: u64 = 5_000;
/// Pings after a pairing: a shop with several web nodes knows the new key on one of them first.
const PINGS_MAX: u32 = 4;
/// Pause before the next one, in milliseconds.
const PING_PAUSE_MS: u64 = 1_000;
/// Longest pairing code, in characters. The modules' have 32.
const CODE_LENGTH_MAX: usize = 128;
/// Shortest, in characters.
const CODE_LENGTH_MIN: usize = 6;
/// What every key begins with, so that a person or a scanner sees what it is.
const KEY_PREFIX: &str = "ledger_lk_";
/// Random numbers of 64 bits in a key.
const KEY_NUMBERS: usize = 4;
/// Times that a pairing is decided anew because the tenant changed under it.
const DECISIONS_MAX: u32 = 4;
/// The shop never paired the provider, so there is nothing that another book could take the place of.
const PROVIDER_NOT_PAIRED: &str = "provider_not_paired";
/// Most runs that a preview counts.
pub const COUNT_MAX: usize = 1_000;

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// Something in the request can't be used.
    #[error("{field}: {message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Stable code.
        code: &'static str,
        /// One sentence.
        message: String,
    },
    /// There is none.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The operator may not, for this tenant.
    #[error("not for this operator")]
    Forbidden,
    /// The shop says no or is not to be reached, or somebody else was quicker.
    #[error("{message}")]
    NotNow {
        /// Stable code.
        code: &'static str,
        /// One sentence with what to do.
        message: String,
    },
    /// Store or vault.
    #[error(transparent)]
    Port(#[from] PortFault),
}

fn invalid(field: &'static str, code: &'static str, message: impl Into<String>) -> PairingError {
    PairingError::Invalid { field, code, message: message.into() }
}

fn not_now(code: &'static str, message: impl Into<String>) -> PairingError {
    PairingError::NotNow { code, message: message.into() }
}

/// A pairing to make.
#[derive(Clone, Debug)]
pub struct NewPairing<'a> {
    /// Provider key of the module that shows the code.
    pub provider: &'a str,
    /// The shop's base URL, as a person types it.
    pub magento_base_url: &'a str,
    /// The code that the shop shows. It is sent to the shop and kept nowhere.
    pub pairing_code: &'a SecretString,
    /// This stack's own address, which the shop is told.
    pub public_url: &'a str,
    /// Who asks.
    pub operator: &'a str,
    /// Tenants that the operator may touch; none: all, and new ones.
    pub allowed_tenants: Option<&'a [String]>,
}

/// A pairing that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paired {
    /// The tenant as it is now.
    pub tenant: TenantRow,
    /// The provider's binding.
    pub binding: BindingRow,
    /// True where the shop was not known before.
    pub made_tenant: bool,
    /// True where a new key came into use.
    pub made_key: bool,
    /// True where the shop answered a ping under that key. Where not, the sweeper goes on asking.
    pub answers: bool,
}

/// What disconnecting a binding ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisconnectPreview {
    /// The binding. Its settings and everything that is remembered of documents stay.
    pub binding: BindingRow,
    /// Held runs, which end as `skipped`; counted up to [`COUNT_MAX`].
    pub held: u32,
    /// Dead letters, which stay; counted up to [`COUNT_MAX`].
    pub dead_lettered: u32,
    /// Runs that are held for a preview, which stay; counted up to [`COUNT_MAX`].
    pub previewed: u32,
}

/// What pairing needs.
pub struct Pairing<'a> {
    /// The store.
    pub store: &'a dyn Pairings,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// The shop.
    pub shop: &'a dyn Shop,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance: the key is made of it.
    pub chance: &'a dyn Chance,
    /// What this process remembers of tenants.
    pub memory: &'a TenantMemory,
}

/// Which key a module is sent.
enum Offer {
    /// The one in use: another provider of a paired shop.
    Current(SecretString),
    /// The candidate.
    Candidate(SealedRow, SecretString),
}

/// What became of the request to the shop.
enum Told {
    /// It took the key.
    Took,
    /// It said no, or can't have heard: nothing has changed there.
    No(PairingError),
    /// Nobody knows.
    Unknown,
}

impl Pairing<'_> {
    /// Pairs a provider's module of a shop.
    ///
    /// # Errors
    /// What can't be used, what the shop says, or that the operator may not. Everything may be repeated, with a new code.
    pub async fn connect(&self, new: &NewPairing<'_>) -> Result<Paired, PairingError> {
        let began = self.clock.now_ms();
        let provider = known_provider(new.provider)?;
        let address = ShopAddress::parse(new.magento_base_url)
            .map_err(|reason| invalid("magento_base_url", "invalid_format", format!("the shop's address {reason}")))?;
        let code = checked_code(new.pairing_code)?;
        let public_url = ShopAddress::parse(new.public_url)
            .map_err(|reason| invalid("public_url", "invalid_format", format!("this stack's own address {reason}")))?;
        let (tenant, made_tenant) = self.tenant(&address, new.allowed_tenants).await?;
        self.binding(&tenant, provider).await?;
        let result = self.pair(&tenant, provider, &code, &public_url.to_string(), new.operator).await;
        let outcome = match &result {
            Ok(_) => "paired",
            Err(PairingError::Invalid { code, .. } | PairingError::NotNow { code, .. }) => code,
            Err(PairingError::NotFound(_) | PairingError::Forbidden) => "refused",
            Err(PairingError::Port(_)) => "store_unavailable",
        };
        tracing::info!(
            tenant = %tenant,
            provider = provider.as_str(),
            operator = %new.operator,
            outcome,
            duration_ms = self.clock.now_ms().saturating_sub(began),
            "pairing"
        );
        let (tenant, binding, made_key, answers) = result?;
        Ok(Paired { tenant, binding, made_tenant, made_key, answers })
    }

    /// The tenant of a shop, made where there is none: two at once make one.
    async fn tenant(
        &self,
        address: &ShopAddress,
        allowed: Option<&[String]>,
    ) -> Result<(TenantId, bool), PairingError> {
        let text = address.to_string();
        for _ in 0..DECISIONS_MAX {
            if let Some(row) = self.store.shop_address(&text).await? {
                let tenant = TenantId::parse(&row.tenant)
                    .ok_or_else(|| PortFault::Inconsistent("shop address: its tenant is no id".to_owned()))?;
                may(allowed, tenant.as_str())?;
                return Ok((tenant, false));
            }
            if allowed.is_some() {
                return Err(PairingError::Forbidden);
            }
            let tenant = self.chance.uuid();
            let row = TenantRow {
                pk: keys::tenant(&tenant),
                sk: keys::TENANT.to_owned(),
                v: ROW_VERSION,
                tenant: tenant.clone(),
                shop_url: text.clone(),
                status: "pending".to_owned(),
                created_at: self.clock.now_ms(),
                ..TenantRow::default()
            };
            let shop = NewShop { address: ShopAddressRow::new(&text, &tenant), tenant: row };
            if self.store.add_shop(&shop).await? {
                let tenant = TenantId::parse(&tenant)
                    .ok_or_else(|| PortFault::Inconsistent("a new tenant's id is none".to_owned()))?;
                return Ok((tenant, true));
            }
        }
        Err(contended())
    }

    /// The provider's binding: the one that there is, the last one that was disconnected, or a new one without a book. A
    /// disconnected one stays so until the shop has accepted the code: a wrong code must not open what somebody has closed.
    async fn binding(&self, tenant: &TenantId, provider: Provider) -> Result<BindingRow, PairingError> {
        for _ in 0..DECISIONS_MAX {
            let tenancy = self.store.tenancy(tenant.as_str()).await?.ok_or(PairingError::NotFound("tenant"))?;
            let of_provider = tenancy.bindings.into_iter().filter(|row| row.provider == provider.as_str());
            let (over, open): (Vec<BindingRow>, Vec<BindingRow>) =
                of_provider.partition(|row| row.status == "disconnected");
            if let Some(binding) = open.into_iter().next() {
                return Ok(binding);
            }
            let nth = over.len();
            if let Some(last) = over.into_iter().max_by_key(|row| (row.disconnected_at, row.connected_at)) {
                return Ok(last);
            }
            let row = pending_binding(tenant, provider, nth);
            if self.store.add_pending_binding(&row).await? {
                return Ok(row);
            }
        }
        Err(contended())
    }

    /// The provider's binding, a disconnected one revived. What it remembers is why connecting its book again doubles nothing;
    /// it is `pending` until that is done.
    async fn revived(&self, tenant: &TenantId, provider: Provider) -> Result<BindingRow, PairingError> {
        for _ in 0..DECISIONS_MAX {
            let row = self.binding(tenant, provider).await?;
            if row.status != "disconnected" {
                return Ok(row);
            }
            if self.store.binding_becomes(&row, "pending", None).await? {
                return Ok(BindingRow { status: "pending".to_owned(), disconnected_at: None, ..row });
            }
        }
        Err(contended())
    }

    /// Offers a key to the module, and revives the provider's binding once it has taken it; the tenant as it is afterwards, whether its key is new, and whether the shop answers
    /// under it.
    async fn pair(
        &self,
        tenant: &TenantId,
        provider: Provider,
        code: &str,
        public_url: &str,
        operator: &str,
    ) -> Result<(TenantRow, BindingRow, bool, bool), PairingError> {
        let (seen, offer) = self.offer(tenant, provider).await?;
        let api_key = match &offer {
            Offer::Current(key) | Offer::Candidate(_, key) => key,
        };
        let told = self.tell(&seen, provider, code, api_key, public_url).await;
        let asks = ShopPorts {
            shop: self.shop,
            vault: self.vault,
            clock: self.clock,
            chance: self.chance,
            memory: self.memory,
        };
        let sealed = match &offer {
            Offer::Current(_) => seen.current_key.as_ref(),
            Offer::Candidate(sealed, _) => Some(sealed),
        };
        let now = self.clock.now_ms();
        match told {
            Told::No(error) => return Err(error),
            Told::Took => {}
            // Did it take the key? It says so by answering under it. The current key proves nothing: it had that before.
            Told::Unknown => {
                let answers = match &offer {
                    Offer::Candidate(sealed, _) => self.answers(&asks, &seen, sealed, 1).await?,
                    Offer::Current(_) => false,
                };
                if !answers {
                    self.store.shop_unreached(&seen.tenant, now).await?;
                    return Err(not_now(
                        "shop_no_answer",
                        "the shop gave no answer that says whether it paired; show a new code there and pair again",
                    ));
                }
            }
        }
        // Before the key is promoted: from now on the shop sends, and what it sends is not to be refused.
        let binding = self.revived(tenant, provider).await?;
        let made_key = matches!(offer, Offer::Candidate(..));
        let done = match &offer {
            Offer::Candidate(..) => self.store.promote(&promotion(&seen, now)).await?,
            Offer::Current(_) => self.store.took_current_key(&seen, provider.as_str(), now).await?,
        };
        let tenancy = self.memory.read_again(self.store, &seen.tenant, now).await?;
        let known = tenancy.ok_or(PairingError::NotFound("tenant"))?.tenancy.tenant.clone();
        if !done && known.current_key.as_ref() != sealed {
            // The shop has taken a key that somebody replaced meanwhile: it has to be given the present one.
            return Err(contended());
        }
        self.store.paired_by(&seen.tenant, operator).await?;
        let answers = match sealed {
            Some(sealed) => self.answers(&asks, &known, sealed, PINGS_MAX).await?,
            None => false,
        };
        if !answers {
            self.store.shop_unreached(&seen.tenant, self.clock.now_ms()).await?;
        }
        Ok((TenantRow { paired_by: Some(operator.to_owned()), ..known }, binding, made_key, answers))
    }

    /// Decides which key the module is sent. A new one is stored before anybody hears of it.
    async fn offer(&self, tenant: &TenantId, provider: Provider) -> Result<(TenantRow, Offer), PairingError> {
        for _ in 0..DECISIONS_MAX {
            let tenancy = self.store.tenancy(tenant.as_str()).await?.ok_or(PairingError::NotFound("tenant"))?;
            let seen = tenancy.tenant;
            let context = api_key_context(tenant.as_str());
            if let Some(candidate) = seen.candidate_key.clone() {
                // An earlier pairing had no known end: the shop may have this one.
                let key = self.vault.open(&candidate, &context).await?;
                if self.store.candidate_for(&seen, provider.as_str()).await? {
                    let seen = TenantRow { candidate_provider: Some(provider.as_str().to_owned()), ..seen };
                    return Ok((seen, Offer::Candidate(candidate, key)));
                }
                continue;
            }
            let again = seen.paired_providers.iter().any(|paired| paired == provider.as_str());
            let broken = matches!(seen.status.as_str(), "pending" | "token_revoked" | "disconnected");
            if !again
                && !broken
                && let Some(key) = speaking_key(self.vault, &seen).await?
            {
                return Ok((seen, Offer::Current(key)));
            }
            let key = self.new_key();
            let version = seen.keys_version.saturating_add(1);
            let candidate = self.vault.seal(&key, version, &context).await?;
            if self.store.add_candidate(&seen, &candidate, provider.as_str()).await? {
                let seen = TenantRow {
                    candidate_key: Some(candidate.clone()),
                    candidate_provider: Some(provider.as_str().to_owned()),
                    keys_version: version,
                    ..seen
                };
                return Ok((seen, Offer::Candidate(candidate, key)));
            }
        }
        Err(contended())
    }

    fn new_key(&self) -> SecretString {
        let mut key = KEY_PREFIX.to_owned();
        for _ in 0..KEY_NUMBERS {
            key.push_str(&format!("{:016x}", self.chance.number()));
        }
        key.into()
    }

    async fn tell(
        &self,
        tenant: &TenantRow,
        provider: Provider,
        code: &str,
        api_key: &SecretString,
        public_url: &str,
    ) -> Told {
        let body = PairBody {
            pairing_code: code,
            tenant_id: &tenant.tenant,
            byte8_api_key: api_key.expose_secret(),
            ledger_base_url: public_url,
        };
        let call = PairCall {
            shop_url: &tenant.shop_url,
            path: path_of(provider),
            body: &SecretString::from(serde_json::to_string(&body).unwrap_or_default()),
            timeout_ms: PAIR_TIMEOUT_MS,
        };
        match self.shop.pair(&call).await {
            Ok(reply) => meaning(&reply, provider),
            Err(TransportFault::AddressRefused(_)) => Told::No(invalid(
                "magento_base_url",
                "shop_address_refused",
                "the shop's address is not one that Ledger may speak to: it must be https, on port 443, and public",
            )),
            Err(TransportFault::NotSent(_)) => Told::No(not_now(
                "shop_unreachable",
                "no connection to the shop; see that its address is right and that it lets this stack in",
            )),
            Err(TransportFault::NoAnswer(_)) => Told::Unknown,
        }
    }

    /// True where the shop answers a ping under a key.
    async fn answers(
        &self,
        asks: &ShopPorts<'_>,
        tenant: &TenantRow,
        sealed: &SealedRow,
        pings: u32,
    ) -> Result<bool, PairingError> {
        for nth in 1..=pings {
            if matches!(asks.ping_under(tenant, sealed, PING_TIMEOUT_MS).await?, ShopAnswer::Good(_)) {
                return Ok(true);
            }
            if nth < pings {
                self.clock.sleep_ms(PING_PAUSE_MS).await;
            }
        }
        Ok(false)
    }

    /// Makes another binding of a provider, for another book: without one, without settings, `pending`. The shop's events
    /// of the provider go to it from now on; those that are disconnected stay as they are, with all that they remember. Two
    /// who make it at once make the same one.
    ///
    /// # Errors
    /// `provider_bound` where a binding of the provider is not disconnected, `provider_not_paired` where there is none at
    /// all; that there is no such tenant, or that the operator may not.
    pub async fn new_binding(
        &self,
        tenant: &str,
        provider: &str,
        operator: &str,
        allowed_tenants: Option<&[String]>,
    ) -> Result<BindingRow, PairingError> {
        may(allowed_tenants, tenant)?;
        let tenant = TenantId::parse(tenant).ok_or(PairingError::NotFound("tenant"))?;
        let provider = known_provider(provider)?;
        for _ in 0..DECISIONS_MAX {
            let tenancy = self.store.tenancy(tenant.as_str()).await?.ok_or(PairingError::NotFound("tenant"))?;
            let of_provider: Vec<&BindingRow> =
                tenancy.bindings.iter().filter(|row| row.provider == provider.as_str()).collect();
            if let Some(open) = of_provider.iter().find(|row| row.status != "disconnected") {
                return Err(not_now(
                    PROVIDER_BOUND,
                    format!("binding {} of this provider is not disconnected; disconnect it first", open.binding),
                ));
            }
            if of_provider.is_empty() {
                return Err(not_now(PROVIDER_NOT_PAIRED, "the shop never paired this provider; pair it"));
            }
            let row = pending_binding(&tenant, provider, of_provider.len());
            if self.store.add_pending_binding(&row).await? {
                self.memory.read_again(self.store, tenant.as_str(), self.clock.now_ms()).await?;
                tracing::info!(tenant = %tenant, binding = %row.binding, provider = provider.as_str(), operator,
                    "binding made");
                return Ok(row);
            }
        }
        Err(contended())
    }

    /// Disconnects one provider of a shop on our side; the others stay. Its open runs end as `skipped` with
    /// `binding_disconnected`, but dead letters and previews stay until a person decides; its events are refused from now on,
    /// its settings and cross-references stay: pairing it again revives it. Repeating it changes nothing.
    ///
    /// # Errors
    /// That there is none, or that the operator may not.
    pub async fn disconnect_binding(
        &self,
        tenant: &str,
        binding: &str,
        operator: &str,
        allowed_tenants: Option<&[String]>,
    ) -> Result<BindingRow, PairingError> {
        for _ in 0..DECISIONS_MAX {
            let seen = self.binding_row(tenant, binding, allowed_tenants).await?;
            if seen.status == "disconnected" {
                return Ok(seen);
            }
            let now = self.clock.now_ms();
            if self.store.binding_becomes(&seen, "disconnected", Some(now)).await? {
                tracing::warn!(tenant, binding, provider = %seen.provider, operator, "binding disconnected");
                return Ok(BindingRow { status: "disconnected".to_owned(), disconnected_at: Some(now), ..seen });
            }
        }
        Err(contended())
    }

    /// What [`Pairing::disconnect_binding`] would end.
    ///
    /// # Errors
    /// That there is none, or that the operator may not.
    pub async fn disconnect_preview(
        &self,
        tenant: &str,
        binding: &str,
        allowed_tenants: Option<&[String]>,
    ) -> Result<DisconnectPreview, PairingError> {
        let binding = self.binding_row(tenant, binding, allowed_tenants).await?;
        let held = self.store.count_of_binding(RunState::Held.as_str(), &binding.binding, COUNT_MAX).await?;
        let dead = self.store.count_of_binding(RunState::DeadLettered.as_str(), &binding.binding, COUNT_MAX).await?;
        let previewed = self.store.count_of_binding(&preview_key(), &binding.binding, COUNT_MAX).await?;
        Ok(DisconnectPreview { binding, held, dead_lettered: dead, previewed })
    }

    async fn binding_row(
        &self,
        tenant: &str,
        binding: &str,
        allowed: Option<&[String]>,
    ) -> Result<BindingRow, PairingError> {
        may(allowed, tenant)?;
        TenantId::parse(tenant).ok_or(PairingError::NotFound("tenant"))?;
        let tenancy = self.store.tenancy(tenant).await?.ok_or(PairingError::NotFound("tenant"))?;
        let found = tenancy.bindings.into_iter().find(|row| row.binding == binding);
        found.ok_or(PairingError::NotFound("binding"))
    }
}

fn known_provider(text: &str) -> Result<Provider, PairingError> {
    Provider::parse(text).ok_or_else(|| {
        invalid("provider", "unknown_provider", "the provider is one of xero, sage_accounting, freeagent")
    })
}

/// A tenant's nth binding of a provider, without a book.
fn pending_binding(tenant: &TenantId, provider: Provider, nth: usize) -> BindingRow {
    let binding = BindingId::derive(tenant, provider, nth).to_string();
    BindingRow {
        pk: keys::tenant(tenant.as_str()),
        sk: keys::binding(&binding),
        v: ROW_VERSION,
        binding,
        tenant: tenant.to_string(),
        provider: provider.as_str().to_owned(),
        status: "pending".to_owned(),
        ..BindingRow::default()
    }
}

fn contended() -> PairingError {
    not_now("contended", "somebody else changed the shop's tenant meanwhile; pair again with a new code")
}

fn may(allowed: Option<&[String]>, tenant: &str) -> Result<(), PairingError> {
    match allowed {
        Some(allowed) if !allowed.iter().any(|it| it == tenant) => Err(PairingError::Forbidden),
        _ => Ok(()),
    }
}

/// A person may copy blanks along; everything else that a code can't have is a slip.
fn checked_code(code: &SecretString) -> Result<String, PairingError> {
    let code = code.expose_secret().trim();
    let legal = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !legal || !(CODE_LENGTH_MIN..=CODE_LENGTH_MAX).contains(&code.len()) {
        return Err(invalid("pairing_code", "invalid_format", "the code has 6 to 128 letters, digits or hyphens"));
    }
    Ok(code.to_owned())
}

/// The pairing route of a provider's module. Source: `etc/webapi.xml` of each.
const fn path_of(provider: Provider) -> &'static str {
    match provider {
        Provider::SageAccounting => "/rest/V1/byte8/setup/pair",
        Provider::Freeagent => "/rest/V1/byte8/freeagent_accounting/setup/pair",
        Provider::Xero => "/rest/V1/byte8/xero_accounting/setup/pair",
    }
}

/// What the pairing route's answer means. Its 401 has one wording for a wrong, an expired and a used code.
fn meaning(reply: &Reply, provider: Provider) -> Told {
    let no = |code, message: &str| Told::No(not_now(code, message));
    match reply.status {
        200..=299 => Told::Took,
        300..=399 => {
            no("shop_redirects", "the shop redirects to another address; give the one that it answers under itself")
        }
        400 if names_our_address(&reply.body) => {
            no("public_url_refused", "the shop does not take this stack's own address; set PublicUrl to an https URL")
        }
        // Magento's own refusal is a message; a web server's wants a password.
        401 if serde_json::from_slice::<Message>(&reply.body).is_err() => {
            no("shop_wants_password", "a password page stands before the shop; let this stack pass")
        }
        401 => Told::No(invalid(
            "pairing_code",
            "pairing_code_refused",
            "the shop does not accept the code: it is wrong, used, or older than half an hour; show a new one there",
        )),
        404 if says_no_route(&reply.body) => Told::No(not_now(
            "shop_module_missing",
            format!("the shop has no Byte8 module for {}; install and enable it", provider.as_str()),
        )),
        404 | 405 => no("shop_not_magento", "no Magento answers at this address; give the shop's base URL"),
        429 => no("shop_unreachable", "the shop asks to slow down; pair again in a few minutes"),
        400..=499 => no("pairing_refused", "the shop refused to pair; its system log says why"),
        _ => Told::Unknown,
    }
}

#[derive(serde::Deserialize)]
struct Message {
    message: String,
}

fn names_our_address(body: &[u8]) -> bool {
    serde_json::from_slice::<Message>(body).is_ok_and(|it| it.message.starts_with("ledger_base_url"))
}
