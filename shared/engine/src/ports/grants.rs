//! What connecting a book asks of the outside, and keeping it connected.

use super::{PortResult, Tenants, TransportFault};
use async_trait::async_trait;
use ledger_dialects::Reply;
use ledger_wire::rows::{
    AgendaRow, AppRow, AuthorityUserRow, BindingRow, BookBindingRow, ConnectLinkRow, OAuthStateRow,
    PendingConnectionRow, TokenRow,
};
use secrecy::SecretString;

/// How a request to a provider's OAuth addresses proves whose it is.
#[derive(Clone, Debug)]
pub enum Access<'a> {
    /// It doesn't, or what it posts does.
    Open,
    /// HTTP Basic with the client's id and secret (RFC 6749, section 2.3.1).
    Basic {
        /// The client's id.
        client_id: &'a str,
        /// Its secret.
        secret: &'a SecretString,
    },
    /// An access token (RFC 6750, section 2.1).
    Bearer(&'a SecretString),
}

/// What a request to a provider's OAuth addresses does.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Asks.
    Get,
    /// Posts a form, fields in order. Every value may be a secret.
    Post(Vec<(&'static str, SecretString)>),
    /// Removes.
    Delete,
}

/// A request to a provider's OAuth addresses, or to the few pages of its API that say what a grant covers.
#[derive(Clone, Debug)]
pub struct AuthorityCall<'a> {
    /// Absolute URL without query.
    pub url: &'a str,
    /// What it does.
    pub ask: Ask,
    /// Whose it is.
    pub access: Access<'a>,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// Providers' OAuth addresses.
#[async_trait]
pub trait Authorities: Send + Sync {
    /// Sends one request. Any status is an answer; redirects are not followed. The answer's body may hold tokens.
    async fn call(&self, call: &AuthorityCall<'_>) -> Result<Reply, TransportFault>;
}

/// Answer to the wish to renew a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantLeased {
    /// Nobody else renews it until the time asked for.
    Ours,
    /// Somebody renews it, until then at the latest, in milliseconds.
    Busy(i64),
    /// The version is not the one seen: this is how it stands (`None`: there is none).
    Moved(Option<TokenRow>),
}

/// What renewing a grant asks of the store.
#[async_trait]
pub trait GrantStore: Tenants {
    /// A binding's grant.
    async fn grant(&self, binding: &str) -> PortResult<Option<TokenRow>>;

    /// An app, by its partition key.
    async fn app(&self, pk: &str) -> PortResult<Option<AppRow>>;

    /// Takes the lease on a grant of this version: if nobody has it, it is over at `now`, or `owner` has it already.
    async fn lease_grant(
        &self,
        binding: &str,
        version: u32,
        owner: &str,
        now: i64,
        until: i64,
    ) -> PortResult<GrantLeased>;

    /// Replaces a grant of this version, its lease included; false where the version is another by now.
    async fn save_grant(&self, seen_version: u32, next: &TokenRow) -> PortResult<bool>;

    /// Gives the lease up, if it is still `owner`'s.
    async fn release_grant(&self, binding: &str, owner: &str) -> PortResult<()>;

    /// Marks an active binding as needing a new connection. Where `version` names the grant that was refused, only if it
    /// is still that one: false where it is not. True as well where the binding is not active.
    async fn needs_reconnect(&self, tenant: &str, binding: &str, version: Option<u32>) -> PortResult<bool>;
}

/// A connection to write down, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The binding as it was read: its status, book and settings version must still be these.
    pub seen: BindingRow,
    /// The binding as it shall be. Written are status, book, dialect, base URL, web name, moment of connection,
    /// organisation's name and environment.
    pub next: BindingRow,
    /// The grant's version as it was read; `None` where there was none.
    pub seen_grant: Option<u32>,
    /// The grant.
    pub grant: TokenRow,
    /// The binding among those of its book.
    pub book_binding: BookBindingRow,
    /// The binding among those of the provider's user.
    pub user: Option<AuthorityUserRow>,
    /// The binding among those of the user who authorised it before: it is none of theirs any more, and is removed.
    pub former_user: Option<AuthorityUserRow>,
    /// When the grant is to be renewed if nobody used it till then.
    pub keep_alive: Option<AgendaRow>,
    /// What is confirmed: it must still be there, and is removed.
    pub pending: PendingConnectionRow,
}

/// What connecting and disconnecting ask of the store.
#[async_trait]
pub trait ConnectStore: GrantStore {
    /// Writes an app if its version is the one seen (`None`: if there is none); false where not.
    async fn put_app(&self, seen_version: Option<u32>, app: &AppRow) -> PortResult<bool>;

    /// Writes an authorisation under way.
    async fn put_oauth_state(&self, state: &OAuthStateRow) -> PortResult<()>;

    /// An authorisation under way, by its partition key.
    async fn oauth_state(&self, pk: &str) -> PortResult<Option<OAuthStateRow>>;

    /// Uses an authorisation up; false where somebody else did, or it is gone.
    async fn take_oauth_state(&self, pk: &str, by: &str) -> PortResult<bool>;

    /// Writes a connect link.
    async fn put_link(&self, link: &ConnectLinkRow) -> PortResult<()>;

    /// A connect link, by its partition key.
    async fn link(&self, pk: &str) -> PortResult<Option<ConnectLinkRow>>;

    /// Uses a link up; false where somebody else did, or it is gone.
    async fn take_link(&self, pk: &str, by: &str) -> PortResult<bool>;

    /// Writes a grant that waits for its confirmation; the one before is forgotten. False, and nothing is written, where
    /// the one that is there was made later.
    async fn put_pending(&self, pending: &PendingConnectionRow) -> PortResult<bool>;

    /// Writes a grant that waits again, with what was found out about it; false where it is not there any more.
    async fn complete_pending(&self, pending: &PendingConnectionRow) -> PortResult<bool>;

    /// The grant that waits for its confirmation.
    async fn pending(&self, binding: &str) -> PortResult<Option<PendingConnectionRow>>;

    /// Forgets a grant that waits, if it is still this one.
    async fn remove_pending(&self, binding: &str, id: &str) -> PortResult<()>;

    /// The bindings of a book, in the order of their keys.
    async fn book_bindings(&self, book: &str) -> PortResult<Vec<BookBindingRow>>;

    /// Writes a binding among those of its book: its number prefix is another.
    async fn put_book_binding(&self, row: &BookBindingRow) -> PortResult<()>;

    /// The bindings of a provider's user.
    async fn user_bindings(&self, provider: &str, user: &str) -> PortResult<Vec<AuthorityUserRow>>;

    /// Writes a confirmed connection; false, and nothing is written, where something was not as seen.
    async fn confirm(&self, confirmation: &Confirmation) -> PortResult<bool>;

    /// Marks a binding as disconnected, whatever it is; false where there is none.
    async fn disconnect(&self, tenant: &str, binding: &str) -> PortResult<bool>;

    /// Forgets a grant of this version and the binding among those of its user; false where the version is another.
    async fn forget_grant(&self, tenant: &str, provider: &str, grant: &TokenRow) -> PortResult<bool>;
}
