//! What is held to its word.

use crate::scene::{claim, gather, run};
use ledger_engine::ports::{
    Attempts, Bells, Chance, Claimed, Clock, Configurations, ConnectStore, Deliveries, GatherRequest, ModuleStore,
    Operations, Pairings, Pushes, Queue, Sweeps, Vault,
};
use ledger_wire::rows::{
    AttemptRow, BindingRow, BookBindingRow, LeaseRow, OrderDocumentRow, PushRow, RunRow, TenantRow, XrefRow, keys,
};
use serde::Serialize;
use std::future::Future;

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Runs, attempts, spent tokens, chips, jobs, documents of orders.
    SyncRuns,
    /// Cross-references.
    EntityXref,
    /// Tenants, bindings, grants, settings, leases, what is to be done later.
    Tenants,
}

/// A number prefix of a book, and the tenant whose it is.
#[derive(Clone, Debug, Serialize)]
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

macro_rules! any_row {
    ($($name:ident($row:ty) in $table:ident),* $(,)?) => {
        /// A row that a check puts there, past the store.
        #[derive(Clone, Debug, Serialize)]
        #[serde(untagged)]
        pub enum AnyRow {
            $(#[doc = stringify!($row)] $name($row),)*
        }

        impl AnyRow {
            /// The table that it belongs to.
            #[must_use]
            pub fn table(&self) -> Table {
                match self { $(Self::$name(_) => Table::$table,)* }
            }
        }

        $(impl From<$row> for AnyRow {
            fn from(row: $row) -> Self {
                Self::$name(row)
            }
        })*
    };
}

any_row! {
    Run(RunRow) in SyncRuns,
    Attempt(AttemptRow) in SyncRuns,
    OrderDocument(OrderDocumentRow) in SyncRuns,
    Xref(XrefRow) in EntityXref,
    Tenant(TenantRow) in Tenants,
    Binding(BindingRow) in Tenants,
    Lease(LeaseRow) in Tenants,
    BookBinding(BookBindingRow) in Tenants,
    Prefix(PrefixRow) in Tenants,
}

/// A store and a vault, empty, that nobody else uses.
pub trait Subject: Sync {
    /// The store.
    type Store: Attempts + Configurations + ConnectStore + Deliveries + ModuleStore + Operations + Pairings + Pushes;
    /// The vault.
    type Vault: Vault;
    /// Time.
    type Clock: Clock;
    /// Chance.
    type Chance: Chance;

    /// The store.
    fn store(&self) -> &Self::Store;

    /// The vault, as a process finds it that has opened nothing yet.
    fn vault(&self) -> Self::Vault;

    /// Time.
    fn clock(&self) -> &Self::Clock;

    /// Chance. What was a new UUID in another test is new here too.
    fn chance(&self) -> &Self::Chance;

    /// Writes a row as it is, past the store.
    fn write(&self, row: AnyRow) -> impl Future<Output = ()>;

    /// Removes a row, past the store.
    fn remove(&self, table: Table, pk: &str, sk: &str) -> impl Future<Output = ()>;

    /// A token for one request.
    fn unique(&self) -> String {
        self.chance().uuid()
    }

    /// Writes a row as it is, past the store.
    fn put(&self, row: impl Into<AnyRow>) -> impl Future<Output = ()> {
        self.write(row.into())
    }

    /// Writes a run as it is.
    fn put_run(&self, run: &RunRow) -> impl Future<Output = ()> {
        self.write(run.clone().into())
    }

    /// Writes a cross-reference as it is.
    fn put_xref(&self, xref: &XrefRow) -> impl Future<Output = ()> {
        self.write(xref.clone().into())
    }

    /// A run that is there.
    fn run(&self, id: &str) -> impl Future<Output = RunRow> {
        let pk = keys::run(id);
        async move { Sweeps::run(self.store(), &pk).await.unwrap().expect("the run") }
    }

    /// The chip of the invoice that these checks are about.
    fn push(&self) -> impl Future<Output = Option<PushRow>> {
        async { Sweeps::push(self.store(), &keys::push("t", "xero", "invoice", 7)).await.unwrap() }
    }

    /// A cross-reference.
    fn xref(&self, pk: &str) -> impl Future<Output = Option<XrefRow>> {
        let request = GatherRequest { xrefs: vec![pk.to_owned()], ..gather("none") };
        async move { self.store().gather(&request).await.unwrap().xrefs.into_values().next() }
    }

    /// Puts a queued run there and claims it.
    fn claimed(&self, id: &str) -> impl Future<Output = RunRow> {
        let (row, request) = (run(id), claim(id, "c-1"));
        async move {
            self.put_run(&row).await;
            assert_eq!(self.store().claim(&request).await, Ok(Claimed::Ours));
            self.run(&row.run_id).await
        }
    }
}

/// Queues, empty, that nobody else uses: one of work ([`crate::queues::WORK`]) that hides what is received for 30 s, and one
/// of dead letters; none of pushes.
pub trait QueueSubject: Sync {
    /// The queues.
    type Queue: Queue + Bells;
    /// Time.
    type Clock: Clock;

    /// The queues.
    fn queue(&self) -> &Self::Queue;

    /// Time.
    fn clock(&self) -> &Self::Clock;

    /// Receives one message of work, past the port: receipt and body.
    fn receive(&self) -> impl Future<Output = Option<(String, String)>>;

    /// Deletes one that was received, past the port.
    fn delete(&self, receipt: &str) -> impl Future<Output = ()>;
}
