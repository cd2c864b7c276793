//! What the workers of all events have in common: everything but their event.

use crate::batch::Batch;
use crate::config::Timers;
use crate::ports::{Attempts, Authorities, Book, Chance, Clock, Queue, QueueName, Shop, Vault};
use crate::post::Post;
use crate::tally::Tally;
use crate::tenants::TenantMemory;
use ledger_domain::identity::Event;
use ledger_wire::gateway::{BatchResponse, QueueEvent};

/// A worker's process: its event, its adapters, and what it remembers between invocations.
pub struct Worker {
    /// The event whose runs it attempts.
    pub event: Event,
    /// The store.
    pub store: Box<dyn Attempts>,
    /// The queues.
    pub queue: Box<dyn Queue>,
    /// The vault.
    pub vault: Box<dyn Vault>,
    /// The shop.
    pub shop: Box<dyn Shop>,
    /// The book.
    pub book: Box<dyn Book>,
    /// Providers' OAuth addresses, where new tokens come from.
    pub authorities: Box<dyn Authorities>,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Chance.
    pub chance: Box<dyn Chance>,
    /// The stack's timers.
    pub timers: Timers,
    /// What the process remembers of tenants.
    pub memory: TenantMemory,
    /// What it counts.
    pub tally: Tally,
    /// The stack's name: dimension of the metrics.
    pub stack: String,
    /// Writes a line of metrics where the log service reads it.
    pub print: fn(&str),
}

impl Worker {
    /// Makes an attempt for each message of a batch, until `deadline` in milliseconds.
    pub async fn takes(&self, messages: &QueueEvent, deadline: i64) -> BatchResponse {
        let post = Post {
            store: &*self.store,
            queue: &*self.queue,
            vault: &*self.vault,
            shop: &*self.shop,
            book: &*self.book,
            authorities: &*self.authorities,
            clock: &*self.clock,
            chance: &*self.chance,
            memory: &self.memory,
            timers: &self.timers,
            tally: &self.tally,
        };
        let batch = Batch {
            queue: &*self.queue,
            name: QueueName::Work(self.event),
            clock: &*self.clock,
            give_back_seconds: self.timers.give_back_seconds,
            deadline,
        };
        let response = batch.runs(messages, &post).await;
        if let Some(line) = self.tally.embedded_metrics(&self.stack, self.clock.now_ms()) {
            (self.print)(&line);
        }
        response
    }
}
