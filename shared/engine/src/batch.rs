//! A batch of messages: one after another within a group, and back together where one goes back.

use crate::ports::{Clock, Outgoing, Queue, QueueName};
use crate::post::{Disposition, Post, Received};
use crate::push::Push;
use ledger_domain::code::Code;
use ledger_wire::gateway::{BatchItemFailure, BatchResponse, QueueEvent, QueueRecord};
use ledger_wire::message::{MESSAGE_VERSION, PushMessage, RunMessage};
use std::collections::BTreeSet;

/// What must be left of the deadline for another message to begin, in milliseconds.
const MESSAGE_MARGIN_MS: i64 = 35_000;

/// What a batch needs besides its worker.
pub struct Batch<'a> {
    /// The queue that the messages came from, and those they go to.
    pub queue: &'a dyn Queue,
    /// Its name.
    pub name: QueueName,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Seconds for which a message goes back.
    pub give_back_seconds: u32,
    /// When the function is stopped, in milliseconds.
    pub deadline: i64,
}

impl Batch<'_> {
    /// Makes an attempt for each message.
    pub async fn runs(&self, event: &QueueEvent, post: &Post<'_>) -> BatchResponse {
        let mut failures = Failures::default();
        for (place, record) in event.records.iter().enumerate() {
            if self.must_go_back(record, place, &failures) {
                self.give_back(record, &mut failures).await;
                continue;
            }
            let message = serde_json::from_str::<RunMessage>(&record.body).ok().filter(|it| it.v == MESSAGE_VERSION);
            let disposition = match &message {
                Some(message) => {
                    let received = Received {
                        message,
                        book: record.group(),
                        receive_count: record.receive_count(),
                        deadline: self.deadline,
                    };
                    post.attempt(&received).await
                }
                None => self.unreadable(record).await,
            };
            if disposition == Disposition::GiveBack {
                self.give_back(record, &mut failures).await;
            }
        }
        failures.response
    }

    /// Pushes the chip that each message asks for.
    pub async fn pushes(&self, event: &QueueEvent, push: &Push<'_>) -> BatchResponse {
        let mut failures = Failures::default();
        for (place, record) in event.records.iter().enumerate() {
            if self.must_go_back(record, place, &failures) {
                self.give_back(record, &mut failures).await;
                continue;
            }
            let message = serde_json::from_str::<PushMessage>(&record.body).ok().filter(|it| it.v == MESSAGE_VERSION);
            let disposition = match &message {
                Some(message) => push.push(message).await,
                None => self.unreadable(record).await,
            };
            if disposition == Disposition::GiveBack {
                self.give_back(record, &mut failures).await;
            }
        }
        failures.response
    }

    /// The first message is always tried; the others need time, and a group without a message gone back.
    fn must_go_back(&self, record: &QueueRecord, place: usize, failures: &Failures) -> bool {
        let late = place > 0 && self.deadline.saturating_sub(self.clock.now_ms()) < MESSAGE_MARGIN_MS;
        late || failures.groups.contains(record.group())
    }

    async fn give_back(&self, record: &QueueRecord, failures: &mut Failures) {
        if let Err(fault) = self.queue.give_back(self.name, &record.receipt_handle, self.give_back_seconds).await {
            // It comes back after the queue's visibility timeout instead.
            tracing::warn!(message_id = %record.message_id, reason = %fault, "message not made visible");
        }
        failures.groups.insert(record.group().to_owned());
        failures.response.batch_item_failures.push(BatchItemFailure { item_identifier: record.message_id.clone() });
    }

    /// No version of us wrote it: it rings in the dead-letter queue as it is, and its group goes on.
    async fn unreadable(&self, record: &QueueRecord) -> Disposition {
        tracing::error!(message_id = %record.message_id, code = Code::MessageUnreadable.as_str(), "message unreadable");
        let bell = Outgoing {
            queue: QueueName::DeadLetter,
            group: record.message_id.clone(),
            deduplication: record.message_id.clone(),
            body: record.body.clone(),
        };
        match self.queue.send(&bell).await {
            Ok(()) => Disposition::Done,
            Err(_) => Disposition::GiveBack,
        }
    }
}

#[derive(Default)]
struct Failures {
    response: BatchResponse,
    groups: BTreeSet<String>,
}
