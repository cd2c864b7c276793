//! What the routes need.

use ledger_engine::config::Timers;
use ledger_engine::operate::Operate;
use ledger_engine::ports::{Agenda, Chance, Clock, IssuerKeys, Operations, Queue, Vault};
use ledger_engine::signin::SignIn;

/// Everything that the routes ask of the store.
pub trait ApiStore: Operations + Agenda {}

impl<T: Operations + Agenda> ApiStore for T {}

/// What the routes need.
pub struct Api {
    /// The store.
    pub store: Box<dyn ApiStore>,
    /// The queues.
    pub queue: Box<dyn Queue>,
    /// The vault.
    pub vault: Box<dyn Vault>,
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
}
