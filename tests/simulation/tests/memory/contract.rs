//! The checks that the adapters on AWS are held to.

use async_trait::async_trait;
use ledger_contract::queues::WORK;
use ledger_contract::{AnyRow, QueueSubject, Subject};
use ledger_engine::ports::{Chance, Clock, QueueName};
use ledger_simulation::memory::{Fate, MemoryQueue, MemoryStore, MemoryVault, PrefixRow, QueueShape, Table, Weather};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// 2026, in milliseconds.
const BEGIN: i64 = 1_780_000_000_000;

/// Tokio's own simulated time, in which others get their turn before each operation.
#[derive(Debug)]
struct Simulated {
    began: Instant,
}

impl Simulated {
    fn begins() -> Arc<Self> {
        Arc::new(Self { began: Instant::now() })
    }
}

fn weather(time: &Arc<Simulated>) -> Arc<dyn Weather> {
    Arc::<Simulated>::clone(time)
}

#[async_trait]
impl Clock for Simulated {
    fn now_ms(&self) -> i64 {
        BEGIN + i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

#[async_trait]
impl Weather for Simulated {
    fn now_ms(&self) -> i64 {
        Clock::now_ms(self)
    }

    async fn before(&self, _call: &'static str) -> Fate {
        tokio::task::yield_now().await;
        Fate::Fair
    }

    async fn after(&self, _call: &'static str) {
        tokio::task::yield_now().await;
    }
}

/// Chance that counts.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Chance for Counted {
    fn uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.number())
    }

    fn number(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

struct Memory {
    store: MemoryStore,
    vault: MemoryVault,
    time: Arc<Simulated>,
    chance: Counted,
}

impl Memory {
    async fn new() -> Option<Self> {
        let time = Simulated::begins();
        let store = MemoryStore::new(weather(&time));
        let vault = MemoryVault::new(weather(&time));
        Some(Self { store, vault, time, chance: Counted::default() })
    }

    async fn end(self) {}
}

impl Subject for Memory {
    type Store = MemoryStore;
    type Vault = MemoryVault;
    type Clock = Simulated;
    type Chance = Counted;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn vault(&self) -> MemoryVault {
        self.vault.process(weather(&self.time))
    }

    fn clock(&self) -> &Simulated {
        &self.time
    }

    fn chance(&self) -> &Counted {
        &self.chance
    }

    async fn write(&self, row: AnyRow) {
        match row {
            AnyRow::Run(row) => self.store.put(row),
            AnyRow::Attempt(row) => self.store.put(row),
            AnyRow::OrderDocument(row) => self.store.put(row),
            AnyRow::Xref(row) => self.store.put(row),
            AnyRow::Tenant(row) => self.store.put(row),
            AnyRow::Binding(row) => self.store.put(row),
            AnyRow::Lease(row) => self.store.put(row),
            AnyRow::BookBinding(row) => self.store.put(row),
            AnyRow::Prefix(ledger_contract::PrefixRow { pk, sk, v, tenant }) => {
                self.store.put(PrefixRow { pk, sk, v, tenant });
            }
        }
    }

    async fn remove(&self, table: ledger_contract::Table, pk: &str, sk: &str) {
        let table = match table {
            ledger_contract::Table::SyncRuns => Table::SyncRuns,
            ledger_contract::Table::EntityXref => Table::EntityXref,
            ledger_contract::Table::Tenants => Table::Tenants,
        };
        self.store.remove(table, pk, sk);
    }
}

struct Queues {
    queue: MemoryQueue,
    time: Arc<Simulated>,
}

impl Queues {
    async fn new() -> Option<Self> {
        let time = Simulated::begins();
        let shape = QueueShape { visibility_ms: 30_000, ..QueueShape::default() };
        let queue = MemoryQueue::new(shape, weather(&time));
        queue.lacks(QueueName::PushSyncState);
        Some(Self { queue, time })
    }

    async fn end(self) {}
}

impl QueueSubject for Queues {
    type Queue = MemoryQueue;
    type Clock = Simulated;

    fn queue(&self) -> &MemoryQueue {
        &self.queue
    }

    fn clock(&self) -> &Simulated {
        &self.time
    }

    async fn receive(&self) -> Option<(String, String)> {
        let received = self.queue.receive(WORK, 1).into_iter().next()?;
        Some((received.receipt, received.message.body))
    }

    async fn delete(&self, receipt: &str) {
        self.queue.delete(WORK, receipt);
    }
}

ledger_contract::store_checks! { Memory, #[tokio::test(start_paused = true)] }
ledger_contract::queue_checks! { Queues, #[tokio::test(start_paused = true)] }
