//! What the routes need.

use crate::failure::Refusal;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use ledger_engine::config::Timers;
use ledger_engine::connect::grant::{Grants, RenewedTokens};
use ledger_engine::connect::oauth::Connect;
use ledger_engine::connect::pairing::Pairing;
use ledger_engine::module::Module;
use ledger_engine::notices::Recipients;
use ledger_engine::operate::Operate;
use ledger_engine::ports::{
    Agenda, Attempts, Authorities, Book, Chance, Clock, Configurations, ConnectStore, IssuerKeys, ModuleStore,
    NoticeStore, Operations, Pairings, Queue, Shop, Vault,
};
use ledger_engine::post::Post;
use ledger_engine::preview::Preview;
use ledger_engine::reference::Reader;
use ledger_engine::settings::Configure;
use ledger_engine::signin::SignIn;
use ledger_engine::tally::Tally;
use ledger_engine::tenants::TenantMemory;
use std::sync::Arc;

/// Everything that the routes ask of the store.
pub trait ApiStore:
    Operations + Attempts + Pairings + ModuleStore + ConnectStore + Configurations + Agenda + NoticeStore
{
}

impl<T: Operations + Attempts + Pairings + ModuleStore + ConnectStore + Configurations + Agenda + NoticeStore> ApiStore
    for T
{
}

/// What the routes need.
pub struct Api {
    /// The store.
    pub store: Box<dyn ApiStore>,
    /// The queues.
    pub queue: Box<dyn Queue>,
    /// The vault.
    pub vault: Box<dyn Vault>,
    /// The shop.
    pub shop: Box<dyn Shop>,
    /// The book.
    pub book: Box<dyn Book>,
    /// Providers' OAuth addresses.
    pub authorities: Box<dyn Authorities>,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Chance.
    pub chance: Box<dyn Chance>,
    /// The keys of the issuer of operators' tokens.
    pub issuer_keys: Box<dyn IssuerKeys>,
    /// Whose tokens count.
    pub sign_in: SignIn,
    /// The stack's timers.
    pub timers: Timers,
    /// What this process remembers of tenants.
    pub memory: TenantMemory,
    /// What this process counts; nothing here posts.
    pub tally: Tally,
    /// The stack's own address, where it is configured; else each request says how it was reached.
    pub public_url: Option<String>,
}

impl Api {
    /// What operators do with runs and bindings.
    pub(crate) fn operate(&self) -> Operate<'_> {
        Operate {
            store: &*self.store,
            queue: &*self.queue,
            vault: &*self.vault,
            clock: &*self.clock,
            chance: &*self.chance,
            timers: &self.timers,
        }
    }

    /// Who is told of troubles.
    pub(crate) fn recipients(&self) -> Recipients<'_> {
        Recipients {
            store: &*self.store,
            vault: &*self.vault,
            clock: &*self.clock,
            chance: &*self.chance,
            allow_private_addresses: self.timers.allow_private_addresses,
        }
    }

    /// Pairing with shops.
    pub(crate) fn pairing(&self) -> Pairing<'_> {
        Pairing {
            store: &*self.store,
            vault: &*self.vault,
            shop: &*self.shop,
            clock: &*self.clock,
            chance: &*self.chance,
            memory: &self.memory,
        }
    }

    /// What the shop's module asks.
    pub(crate) fn module(&self) -> Module<'_> {
        Module {
            store: &*self.store,
            vault: &*self.vault,
            clock: &*self.clock,
            memory: &self.memory,
            timers: &self.timers,
        }
    }

    /// Connecting books.
    pub(crate) fn connecting(&self) -> Connect<'_> {
        Connect {
            store: &*self.store,
            vault: &*self.vault,
            authorities: &*self.authorities,
            clock: &*self.clock,
            chance: &*self.chance,
            own_hosts: self.timers.allow_private_addresses,
        }
    }

    /// What attempts are made with.
    pub(crate) fn post(&self) -> Post<'_> {
        Post {
            store: &*self.store,
            queue: &*self.queue,
            vault: &*self.vault,
            shop: &*self.shop,
            book: &*self.book,
            authorities: &*self.authorities,
            clock: &*self.clock,
            chance: &*self.chance,
            memory: &self.memory,
            tally: &self.tally,
            timers: &self.timers,
        }
    }

    /// Tokens for reading books, renewed where they are about to end, for so many milliseconds from now on.
    pub(crate) fn tokens(&self, for_ms: i64) -> RenewedTokens<'_> {
        RenewedTokens {
            grants: Grants {
                store: &*self.store,
                vault: &*self.vault,
                authorities: &*self.authorities,
                clock: &*self.clock,
                chance: &*self.chance,
                own_hosts: self.timers.allow_private_addresses,
            },
            deadline: self.clock.now_ms().saturating_add(for_ms),
        }
    }

    /// Reading reference data.
    pub(crate) fn reader<'a>(&'a self, tokens: &'a RenewedTokens<'a>) -> Reader<'a> {
        Reader {
            store: &*self.store,
            vault: &*self.vault,
            shop: &*self.shop,
            book: &*self.book,
            tokens,
            clock: &*self.clock,
            chance: &*self.chance,
            memory: &self.memory,
        }
    }

    /// Settings.
    pub(crate) fn configure<'a>(&'a self, tokens: &'a RenewedTokens<'a>) -> Configure<'a> {
        Configure { store: &*self.store, reader: self.reader(tokens) }
    }

    /// Looking at what a run would send.
    pub(crate) fn preview<'a>(&'a self, operate: &'a Operate<'a>, post: &'a Post<'a>, for_ms: i64) -> Preview<'a> {
        Preview { operate, post, deadline: self.clock.now_ms().saturating_add(for_ms) }
    }
}

/// The stack's own address, without a slash at its end: the configured one, else the one that the gateway was reached by.
pub(crate) struct PublicUrl(pub(crate) String);

impl FromRequestParts<Arc<Api>> for PublicUrl {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Refusal> {
        if let Some(url) = &api.public_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        // The gateway's own word, not a header that the client sets.
        let reached = parts.extensions.get::<ReachedBy>();
        reached.map(|it| Self(it.0.clone())).ok_or_else(|| {
            Refusal::conflict(
                "public_url_unknown",
                "the stack does not know its own address: set the parameter PublicUrl",
            )
        })
    }
}

/// How the gateway was reached, as it says itself.
#[derive(Clone, Debug)]
pub struct ReachedBy(pub String);

impl ReachedBy {
    /// The address of a gateway's domain and stage: a domain of one's own leaves the stage out.
    #[must_use]
    pub fn of(domain: &str, stage: &str) -> Self {
        if domain.contains(".execute-api.") {
            Self(format!("https://{domain}/{stage}"))
        } else {
            Self(format!("https://{domain}"))
        }
    }
}
