//! Rows and their places.

use super::index::{Index, Mark, Order};
use ledger_engine::ports::{PortFault, PortResult};
use ledger_wire::rows::{
    AgendaRow, AppRow, AttemptRow, AttentionRow, AuthorityUserRow, BindingPlaceRow, BindingRow, BookBindingRow,
    ConnectLinkRow, JobRow, JtiRow, LeaseRow, OAuthStateRow, OrderDocumentRow, PendingConnectionRow, PushRow,
    ROW_VERSION, ReferencePageRow, ReferenceRow, RunRow, SettingsRow, ShopAddressRow, SweepRow, TenantPlaceRow,
    TenantRow, TokenRow, XrefRow, keys,
};
use std::borrow::Cow;
use std::sync::Arc;

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Runs, attempts, spent tokens, chips, jobs, documents of orders.
    SyncRuns,
    /// Cross-references.
    EntityXref,
    /// Tenants, bindings, grants, settings, leases, what is to be done later.
    Tenants,
}

/// A row's place: its table and its primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The table.
    pub table: Table,
    /// Partition key.
    pub pk: String,
    /// Sort key; empty in `entity_xref`, which has none.
    pub sk: Cow<'static, str>,
}

impl Place {
    /// Of a row of a table.
    pub fn new(table: Table, pk: impl Into<String>, sk: impl Into<Cow<'static, str>>) -> Self {
        Self { table, pk: pk.into(), sk: sk.into() }
    }

    pub(super) fn run(run_id: &str) -> Self {
        Self::new(Table::SyncRuns, keys::run(run_id), keys::RUN)
    }

    pub(super) fn run_at(pk: &str) -> Self {
        Self::new(Table::SyncRuns, pk, keys::RUN)
    }

    pub(super) fn push(pk: &str) -> Self {
        Self::new(Table::SyncRuns, pk, keys::PUSH)
    }

    pub(super) fn xref(pk: &str) -> Self {
        Self::new(Table::EntityXref, pk, "")
    }

    pub(super) fn tenant(tenant: &str) -> Self {
        Self::new(Table::Tenants, keys::tenant(tenant), keys::TENANT)
    }

    pub(super) fn binding(tenant: &str, binding: &str) -> Self {
        Self::new(Table::Tenants, keys::tenant(tenant), keys::binding(binding))
    }

    pub(super) fn grant(binding: &str) -> Self {
        Self::new(Table::Tenants, keys::of_binding(binding), keys::TOKEN)
    }

    pub(super) fn lease(book: &str) -> Self {
        Self::new(Table::Tenants, keys::book(book), keys::LEASE)
    }

    pub(super) fn attention(tenant: &str) -> Self {
        Self::new(Table::Tenants, keys::ATTENTION, keys::shop(tenant))
    }
}

/// A number prefix of a book, and the tenant whose it is. `pk = book#<book>`, `sk = prefix#<prefix>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
}

/// A row of one of the tables.
pub trait Row: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// What to call it in a fault.
    const KIND: &'static str;
    /// Where it is kept.
    const TABLE: Table;

    /// Its place.
    fn place(&self) -> Place;

    /// Its version.
    fn version(&self) -> u8;

    /// When it may be removed, in seconds; `None`: never.
    fn expires(&self) -> Option<i64>;

    /// As it is written: the shard of what is due comes and goes with its moment.
    #[must_use]
    fn into_written(self) -> Self;

    #[doc(hidden)]
    fn kept(row: Arc<Self>) -> Stored;

    #[doc(hidden)]
    fn of(stored: &Stored) -> Option<&Arc<Self>>;
}

macro_rules! rows {
    ($($name:ident: $row:ty = $kind:literal in $table:ident, sort($sk:expr), expires($expires:expr) $(, due($due:ident))?;)*) => {
        /// A row as it is kept.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Stored {
            $(#[doc = $kind] $name(Arc<$row>),)*
        }

        impl Stored {
            pub(super) fn expires(&self) -> Option<i64> {
                match self { $(Self::$name(row) => row.expires(),)* }
            }
        }

        $(impl Row for $row {
            const KIND: &'static str = $kind;
            const TABLE: Table = Table::$table;

            fn place(&self) -> Place {
                let sort: fn(&Self) -> Cow<'static, str> = $sk;
                Place::new(Table::$table, self.pk.clone(), sort(self))
            }

            fn version(&self) -> u8 {
                self.v
            }

            fn expires(&self) -> Option<i64> {
                let expires: fn(&Self) -> Option<i64> = $expires;
                expires(self)
            }

            #[allow(unused_mut, reason = "few kinds of rows have a due mark")]
            fn into_written(mut self) -> Self {
                $(self.due_shard = self.$due.map(|_| keys::due_shard(&self.pk));)?
                self
            }

            fn kept(row: Arc<Self>) -> Stored {
                Stored::$name(row)
            }

            #[allow(clippy::wildcard_enum_match_arm, reason = "any other kind")]
            fn of(stored: &Stored) -> Option<&Arc<Self>> {
                match stored {
                    Stored::$name(row) => Some(row),
                    _ => None,
                }
            }
        })*
    };
}

rows! {
    Run: RunRow = "run" in SyncRuns, sort(|_| keys::RUN.into()), expires(|row| row.expires_at), due(due_at);
    Attempt: AttemptRow = "attempt" in SyncRuns, sort(|row| row.sk.clone().into()), expires(|row| Some(row.expires_at));
    Jti: JtiRow = "spent token" in SyncRuns, sort(|_| keys::JTI.into()), expires(|row| Some(row.expires_at));
    Push: PushRow = "push" in SyncRuns, sort(|_| keys::PUSH.into()), expires(|row| row.expires_at), due(due_at);
    Job: JobRow = "job" in SyncRuns, sort(|row| row.sk.clone().into()), expires(|row| row.expires_at), due(due_at);
    OrderDocument: OrderDocumentRow = "document of an order" in SyncRuns, sort(|row| row.sk.clone().into()),
        expires(|row| Some(row.expires_at));
    Xref: XrefRow = "cross-reference" in EntityXref, sort(|_| "".into()), expires(|_| None);
    Tenant: TenantRow = "tenant" in Tenants, sort(|_| keys::TENANT.into()), expires(|_| None);
    Binding: BindingRow = "binding" in Tenants, sort(|row| row.sk.clone().into()), expires(|_| None);
    Token: TokenRow = "token" in Tenants, sort(|_| keys::TOKEN.into()), expires(|_| None);
    Settings: SettingsRow = "settings" in Tenants, sort(|row| row.sk.clone().into()), expires(|_| None);
    Lease: LeaseRow = "lease" in Tenants, sort(|_| keys::LEASE.into()), expires(|_| None);
    Attention: AttentionRow = "attention" in Tenants, sort(|row| row.sk.clone().into()), expires(|_| None);
    Agenda: AgendaRow = "agenda" in Tenants, sort(|row| row.sk.clone().into()), expires(|_| None);
    BindingPlace: BindingPlaceRow = "binding's place" in Tenants, sort(|_| keys::PLACE.into()), expires(|_| None);
    Reference: ReferenceRow = "list of reference data" in Tenants, sort(|row| row.sk.clone().into()), expires(|_| None);
    ReferencePage: ReferencePageRow = "page of reference data" in Tenants, sort(|row| row.sk.clone().into()),
        expires(|_| None);
    ShopAddress: ShopAddressRow = "shop address" in Tenants, sort(|_| keys::TENANT.into()), expires(|_| None);
    App: AppRow = "app" in Tenants, sort(|_| keys::APP.into()), expires(|_| None);
    OAuthState: OAuthStateRow = "authorisation" in Tenants, sort(|_| keys::STATE.into()),
        expires(|row| Some(row.expires_at));
    ConnectLink: ConnectLinkRow = "connect link" in Tenants, sort(|_| keys::LINK.into()),
        expires(|row| Some(row.expires_at));
    Pending: PendingConnectionRow = "pending connection" in Tenants, sort(|_| keys::PENDING.into()),
        expires(|row| Some(row.expires_at));
    BookBinding: BookBindingRow = "binding of a book" in Tenants, sort(|row| row.sk.clone().into()), expires(|_| None);
    Prefix: PrefixRow = "number prefix" in Tenants, sort(|row| row.sk.clone().into()), expires(|_| None);
    TenantPlace: TenantPlaceRow = "tenant's place" in Tenants, sort(|row| row.sk.clone().into()), expires(|_| None);
    Sweep: SweepRow = "sweep" in Tenants, sort(|_| keys::SWEEP.into()), expires(|_| None);
    AuthorityUser: AuthorityUserRow = "binding of a user" in Tenants, sort(|row| row.sk.clone().into()),
        expires(|_| None);
}

fn due_mark<'a>(shard: Option<&'a String>, at: Option<i64>) -> Option<Mark<'a>> {
    Some(Mark { hash: shard?, order: Order::Moment(at?), code: None, owner: None })
}

impl Stored {
    /// Where the row is in an index.
    pub(super) fn mark(&self, index: Index) -> Option<Mark<'_>> {
        match (index, self) {
            (Index::Due, Self::Run(row)) => due_mark(row.due_shard.as_ref(), row.due_at),
            (Index::Due, Self::Push(row)) => due_mark(row.due_shard.as_ref(), row.due_at),
            (Index::Due, Self::Job(row)) => due_mark(row.due_shard.as_ref(), row.due_at),
            (Index::ByState, Self::Run(row)) => Some(Mark {
                hash: row.state_key.as_ref()?,
                order: Order::Text(row.state_order.as_ref()?),
                code: row.code.as_deref(),
                owner: row.owner.as_deref(),
            }),
            (Index::ByTenant, Self::Run(row)) => {
                Some(Mark { hash: &row.tenant, order: Order::Moment(row.received_at), code: None, owner: None })
            }
            (Index::ByBook, Self::Xref(row)) => {
                Some(Mark { hash: &row.book, order: Order::Text(&row.pk), code: None, owner: None })
            }
            _ => None,
        }
    }
}

/// A row, if this build knows its kind and version.
pub(super) fn read<R: Row>(place: &Place, stored: &Stored) -> PortResult<R> {
    // A cross-reference's key may hold an e-mail address.
    let key = match place.table {
        Table::EntityXref => String::new(),
        Table::SyncRuns | Table::Tenants => format!(" {} {}", place.pk, place.sk),
    };
    let row = R::of(stored).ok_or_else(|| PortFault::Inconsistent(format!("{}{key}: can't be read", R::KIND)))?;
    if row.version() > ROW_VERSION {
        let version = row.version();
        return Err(PortFault::Inconsistent(format!("{}{key}: version {version} is newer than this build", R::KIND)));
    }
    Ok(R::clone(row))
}
