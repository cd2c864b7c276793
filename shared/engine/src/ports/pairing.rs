//! Shops: who they are, which key they use, and how they are.

use super::{Agenda, PortResult, Pushes, Tenants};
use async_trait::async_trait;
use ledger_wire::rows::{AgendaRow, BindingRow, DayGap, JtiRow, RunRow, SealedRow, ShopAddressRow, TenantRow};

/// What calls show of a shop.
#[async_trait]
pub trait ShopStates: Send + Sync {
    /// Notes that the shop could not be reached (if not noted before) and has the sweeper ask after it. Does nothing for a
    /// tenant that is disconnected.
    async fn shop_unreached(&self, tenant: &str, now: i64) -> PortResult<()>;

    /// The shop gave an answer, whichever: clears the note and `unreachable`.
    async fn shop_reached(&self, tenant: &str) -> PortResult<()>;
}

/// The shop was seen to use a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The tenant as it was read; its candidate is the key.
    pub seen: TenantRow,
    /// Now, in milliseconds.
    pub now: i64,
    /// Until when the key before still verifies, in milliseconds.
    pub previous_until: i64,
}

/// Making the key of a pairing the one in use.
#[async_trait]
pub trait KeyUse: Tenants {
    /// Makes the candidate the current key and the current one the previous, notes the candidate's provider as paired,
    /// and makes the tenant `connected`; nothing that was noted against the shop stays noted. False where the candidate
    /// is another by now: read again. True where it was done before.
    async fn promote(&self, promotion: &Promotion) -> PortResult<bool>;
}

/// Something came from the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The tenant.
    pub tenant: String,
    /// `heard_at` as it was read.
    pub seen: Option<i64>,
    /// Now, in milliseconds.
    pub now: i64,
    /// The rhythm with the silence that ends now.
    pub gaps: Vec<DayGap>,
    /// True where the tenant was `silent`: it is `connected` again.
    pub wakes: bool,
    /// The entry of the agenda by which silence is noticed, where there is none yet.
    pub agenda: Option<AgendaRow>,
}

/// Watching over shops: what the sweeper adds.
#[async_trait]
pub trait ShopWatch: ShopStates + KeyUse + Agenda {
    /// Notes that the shop refuses our tokens (if not noted before) and goes on asking after it.
    async fn shop_refuses_ping(&self, tenant: &str, now: i64) -> PortResult<()>;

    /// Nobody could reach the shop for long: `connected` or `silent` becomes `unreachable`.
    async fn shop_unreachable(&self, tenant: &str) -> PortResult<()>;

    /// Nothing came for longer than usual: `connected` becomes `silent`, if `heard_at` is still as seen.
    async fn shop_silent(&self, tenant: &str, heard_at: i64) -> PortResult<()>;

    /// There is nothing to ask after any more.
    async fn attention_ends(&self, tenant: &str) -> PortResult<()>;
}

/// A shop that is paired for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShop {
    /// Its address; must not be there.
    pub address: ShopAddressRow,
    /// Its tenant; must not be there.
    pub tenant: TenantRow,
}

/// What pairing asks of the store.
#[async_trait]
pub trait Pairings: KeyUse + ShopStates {
    /// Who has a shop's address, as it is normalised.
    async fn shop_address(&self, address: &str) -> PortResult<Option<ShopAddressRow>>;

    /// Writes address and tenant, both new; false where either is there.
    async fn add_shop(&self, shop: &NewShop) -> PortResult<bool>;

    /// Writes a binding without a book, and its place; false where there is one of this id.
    async fn add_pending_binding(&self, binding: &BindingRow) -> PortResult<bool>;

    /// Changes a binding's status, if it is as seen; false where not. `disconnected_at` comes or goes with it.
    async fn binding_becomes(&self, seen: &BindingRow, status: &str, disconnected_at: Option<i64>) -> PortResult<bool>;

    /// Stores a new key as candidate of a provider's pairing, if the tenant's keys are as seen and it has no candidate;
    /// raises `keys_version` to the key's version. False where not.
    async fn add_candidate(&self, seen: &TenantRow, candidate: &SealedRow, provider: &str) -> PortResult<bool>;

    /// The tenant's candidate, as seen, is being sent to another provider's module; false where it is another by now.
    async fn candidate_for(&self, seen: &TenantRow, provider: &str) -> PortResult<bool>;

    /// A provider's module took the current key, as seen: the provider is paired and the tenant `connected`. False where
    /// the keys or the status are others by now.
    async fn took_current_key(&self, seen: &TenantRow, provider: &str, now: i64) -> PortResult<bool>;

    /// Notes who paired.
    async fn paired_by(&self, tenant: &str, operator: &str) -> PortResult<()>;

    /// Runs of a binding in a state of the index by state, counted up to `limit`. Eventually consistent.
    async fn count_of_binding(&self, state: &str, binding: &str, limit: usize) -> PortResult<u32>;
}

/// Answer to a disconnect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpentToken {
    /// The token's id is spent and the tenant disconnected.
    Done,
    /// The token's id was spent before, on this; nothing was written.
    Before(JtiRow),
}

/// A count of runs of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// `held` or `dead_lettered`.
    pub state: &'a str,
    /// The binding.
    pub binding: &'a str,
    /// Those that came into the state at this moment or later, in milliseconds.
    pub from: i64,
    /// Most that are counted.
    pub limit: usize,
}

/// What the shop's module asks.
#[async_trait]
pub trait ModuleStore: Pushes {
    /// Runs of a binding that came into a state since. Eventually consistent.
    async fn count_since(&self, counted: &Counted<'_>) -> PortResult<u32>;

    /// The runs of a tenant that were received last, newest first. Which they are is eventually consistent, how they stand
    /// is not.
    async fn newest_runs(&self, tenant: &str, limit: usize) -> PortResult<Vec<RunRow>>;

    /// Runs by id, as far as they are there.
    async fn runs_by_id(&self, run_ids: &[String]) -> PortResult<Vec<RunRow>>;

    /// The documents of an order that attempts have met, as entity type and id: invoices first, then credit memos, each by
    /// id.
    async fn documents_of_order(&self, tenant: &str, order_id: u64) -> PortResult<Vec<(String, u64)>>;

    /// Spends the token's id and makes the tenant `disconnected`, in one transaction: nothing is asked of the shop any
    /// more, and no module of it counts as paired.
    async fn disconnect_shop(&self, tenant: &str, jti: &JtiRow, now: i64) -> PortResult<SpentToken>;
}
