//! The functions as shipped, each in a sandbox of its own that is warm from one invocation to the next.

use crate::memory::{MemoryQueue, MemoryStore, MemoryVault, Received, Weather};
use crate::room::{Door, Life, Room};
use ledger_engine::batch::Batch;
use ledger_engine::config::Timers;
use ledger_engine::domain::identity::Event;
use ledger_engine::ingest::Ingest;
use ledger_engine::ports::{Clock as _, QueueName};
use ledger_engine::push::Push;
use ledger_engine::sweep::{Report, Sweep};
use ledger_engine::tally::Tally;
use ledger_engine::tenants::TenantMemory;
use ledger_engine::wire::gateway::{BatchResponse, ProxyRequest, ProxyResponse, QueueEvent, QueueRecord};
use ledger_engine::worker::Worker;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// What a worker's function may take, in milliseconds.
pub const FUNCTION_MS: i64 = 60_000;
/// What the webhook's function may take, in milliseconds.
pub const WEBHOOK_MS: i64 = 10_000;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// Takes deliveries.
    Webhook,
    /// Makes attempts.
    Worker(Event),
    /// Tells shops.
    Push,
    /// Sends again what is due.
    Sweeper,
}

impl Function {
    /// What it is called in schedules.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Webhook => "webhook".to_owned(),
            Self::Worker(event) => format!("worker of {}", event.as_str()),
            Self::Push => "push".to_owned(),
            Self::Sweeper => "sweeper".to_owned(),
        }
    }

    /// How long an invocation may take, in milliseconds.
    #[must_use]
    pub const fn timeout_ms(self) -> i64 {
        match self {
            Self::Webhook => WEBHOOK_MS,
            Self::Worker(_) | Self::Push | Self::Sweeper => FUNCTION_MS,
        }
    }
}

/// What an invocation is given.
#[derive(Clone, Debug)]
pub enum Given {
    /// A request.
    Request(Box<ProxyRequest>),
    /// Messages.
    Messages(Vec<Received>),
    /// Nothing.
    Nothing,
}

/// What came of an invocation that was not killed.
#[derive(Clone, Debug, Default)]
pub struct Came {
    /// The webhook's answer.
    pub response: Option<ProxyResponse>,
    /// A worker's.
    pub failures: Option<BatchResponse>,
    /// The sweeper's.
    pub report: Option<Report>,
}

/// Where it lies.
pub type Tray = Arc<Mutex<Came>>;

/// The stores, queues and vaults that sandboxes are made over.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The store.
    pub store: MemoryStore,
    /// The queues.
    pub queue: MemoryQueue,
    /// The vault.
    pub vault: MemoryVault,
    /// Timers.
    pub timers: Timers,
}

/// A sandbox.
pub struct Sandbox {
    /// Whose.
    pub function: Function,
    /// Its surroundings.
    pub room: Arc<Room>,
    door: Door,
    store: MemoryStore,
    queue: MemoryQueue,
    vault: MemoryVault,
    timers: Timers,
    memory: TenantMemory,
    worker: Option<Worker>,
}

impl Sandbox {
    /// A cold one.
    #[must_use]
    pub fn cold(function: Function, room: Room, ground: &Ground) -> Self {
        let room = Arc::new(room);
        let weather: Arc<dyn Weather> = room.clone();
        let door = Door(Arc::clone(&room));
        let store = ground.store.under(Arc::clone(&weather));
        let queue = ground.queue.under(Arc::clone(&weather));
        let vault = ground.vault.process(weather);
        let timers = ground.timers.clone();
        let worker = match function {
            Function::Worker(event) => Some(Worker {
                event,
                store: Box::new(store.clone()),
                queue: Box::new(queue.clone()),
                vault: Box::new(vault.clone()),
                shop: Box::new(door.clone()),
                book: Box::new(door.clone()),
                authorities: Box::new(door.clone()),
                clock: Box::new(door.clone()),
                chance: Box::new(door.clone()),
                timers: timers.clone(),
                memory: TenantMemory::default(),
                tally: Tally::default(),
                stack: "simulation".to_owned(),
                print: |_| {},
            }),
            Function::Webhook | Function::Push | Function::Sweeper => None,
        };
        Self { function, room, door, store, queue, vault, timers, memory: TenantMemory::default(), worker }
    }

    /// An invocation.
    #[must_use]
    pub fn invoked(
        self: Arc<Self>,
        life: Arc<Life>,
        given: Given,
        tray: Tray,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.room.lives(life);
        // The function is told the true time at which it is stopped, by its own clock.
        let deadline = self.door.now_ms().saturating_add(self.function.timeout_ms());
        Box::pin(async move {
            let came = match given {
                Given::Request(request) => Came { response: Some(self.takes(&request).await), ..Came::default() },
                Given::Messages(batch) => {
                    Came { failures: Some(self.works(&event_of(&batch), deadline).await), ..Came::default() }
                }
                Given::Nothing => Came { report: Some(self.sweeps(deadline).await), ..Came::default() },
            };
            *tray.lock().unwrap_or_else(PoisonError::into_inner) = came;
        })
    }

    async fn takes(&self, request: &ProxyRequest) -> ProxyResponse {
        let ingest = Ingest {
            store: &self.store,
            queue: &self.queue,
            vault: &self.vault,
            clock: &self.door,
            chance: &self.door,
            memory: &self.memory,
            timers: &self.timers,
        };
        ingest.proxied(request).await
    }

    async fn works(&self, event: &QueueEvent, deadline: i64) -> BatchResponse {
        if let Some(worker) = &self.worker {
            return worker.takes(event, deadline).await;
        }
        let push = Push {
            store: &self.store,
            vault: &self.vault,
            shop: &self.door,
            clock: &self.door,
            chance: &self.door,
            memory: &self.memory,
            timers: &self.timers,
        };
        let batch = Batch {
            queue: &self.queue,
            name: QueueName::PushSyncState,
            clock: &self.door,
            give_back_seconds: self.timers.give_back_seconds,
            deadline,
        };
        batch.pushes(event, &push).await
    }

    async fn sweeps(&self, deadline: i64) -> Report {
        let sweep = Sweep {
            store: &self.store,
            queue: &self.queue,
            bells: &self.queue,
            vault: &self.vault,
            shop: &self.door,
            authorities: &self.door,
            clock: &self.door,
            chance: &self.door,
            memory: &self.memory,
            timers: &self.timers,
        };
        sweep.sweep(deadline).await
    }
}

/// A batch as Lambda hands it over.
fn event_of(batch: &[Received]) -> QueueEvent {
    let record = |it: &Received| QueueRecord {
        message_id: it.id.clone(),
        receipt_handle: it.receipt.clone(),
        body: it.message.body.clone(),
        attributes: [
            ("MessageGroupId".to_owned(), it.message.group.clone()),
            ("ApproximateReceiveCount".to_owned(), it.receive_count.to_string()),
        ]
        .into(),
    };
    QueueEvent { records: batch.iter().map(record).collect() }
}
