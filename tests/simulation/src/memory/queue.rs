//! Queues: SQS FIFO as it is.

use super::weather::{Fate, Weather};
use async_trait::async_trait;
use ledger_engine::ports::{BellMessage, Bells, Outgoing, PortFault, PortResult, Queue, QueueName};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// How long SQS remembers a deduplication id, in milliseconds (Amazon SQS Developer Guide, "Using the message
/// deduplication ID").
const DEDUPLICATION_MS: i64 = 300_000;
/// Messages of one receive (Amazon SQS API Reference, "ReceiveMessage").
const RECEIVE_MAX: usize = 10;
/// How long received bells are hidden from others, in milliseconds.
const BELLS_HIDDEN_MS: i64 = 10_000;

/// The properties of the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueShape {
    /// How long a received message is hidden, and its group locked, in milliseconds.
    pub visibility_ms: i64,
    /// Receives after which a message goes to the dead-letter queue instead of being received once more.
    pub receives_max: u32,
    /// How long a message is kept, in milliseconds.
    pub retention_ms: i64,
}

impl Default for QueueShape {
    /// The template's: 6 minutes, 10 receives, 14 days.
    fn default() -> Self {
        Self { visibility_ms: 360_000, receives_max: 10, retention_ms: 1_209_600_000 }
    }
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message's own id: what a partial failure names.
    pub id: String,
    /// As it was sent.
    pub message: Outgoing,
    /// Deletes it, or gives it back.
    pub receipt: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent, in milliseconds.
    pub sent_at: i64,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The message is gone.
    Done,
    /// It was gone before.
    Before,
    /// It is there: its time was over, and it can be received again, or was.
    Expired,
}

#[derive(Clone, Debug)]
struct Message {
    id: u64,
    message: Outgoing,
    sent_at: i64,
    receive_count: u32,
    /// Until when it is hidden; only what was received is.
    hidden_until: i64,
}

impl Message {
    fn hidden(&self, now: i64) -> bool {
        self.receive_count > 0 && self.hidden_until > now
    }

    /// The message's own id.
    fn name(&self) -> String {
        format!("message-{}", self.id)
    }

    fn receipt(&self) -> String {
        format!("{}/{}", self.id, self.receive_count)
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    queues: BTreeMap<QueueName, VecDeque<Message>>,
    /// Until when a deduplication id of a queue's group is remembered.
    remembered: BTreeMap<(QueueName, String, String), i64>,
    next_id: u64,
    lacking: BTreeSet<QueueName>,
}

/// The queues, in memory. A clone is the same queues.
///
/// They promise what Amazon's FIFO queues promise (Amazon SQS Developer Guide, "FIFO queue delivery logic", "Exactly-once
/// processing", "Dead-letter queues"):
/// - a message whose deduplication id its group saw in the last five minutes is accepted and dropped, although the first
///   may be gone by then;
/// - messages of a group come in the order in which they were sent, and while one of them is hidden, none of its group
///   comes;
/// - one that was received too often goes to the dead-letter queue at the next receive, under a deduplication id of its
///   own;
/// - a receipt is good while the message is hidden.
#[derive(Clone)]
pub struct MemoryQueue {
    state: Arc<Mutex<State>>,
    shape: QueueShape,
    weather: Arc<dyn Weather>,
}

impl std::fmt::Debug for MemoryQueue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemoryQueue").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl State {
    fn queue(&mut self, queue: QueueName) -> &mut VecDeque<Message> {
        self.queues.entry(queue).or_default()
    }

    fn add(&mut self, message: Outgoing, now: i64) {
        self.next_id = self.next_id.saturating_add(1);
        let id = self.next_id;
        let message = Message { id, message, sent_at: now, receive_count: 0, hidden_until: 0 };
        self.queue(message.message.queue).push_back(message);
    }

    fn send(&mut self, message: &Outgoing, now: i64) {
        self.remembered.retain(|_, until| *until > now);
        let id = (message.queue, message.group.clone(), message.deduplication.clone());
        if let Entry::Vacant(vacant) = self.remembered.entry(id) {
            vacant.insert(now.saturating_add(DEDUPLICATION_MS));
            self.add(message.clone(), now);
        }
    }

    /// Groups of which something can be received, the one with the oldest message first.
    fn groups(&self, queue: QueueName, now: i64) -> Vec<String> {
        let messages = || self.queues.get(&queue).into_iter().flatten();
        let mut seen: BTreeSet<&str> =
            messages().filter(|it| it.hidden(now)).map(|it| it.message.group.as_str()).collect();
        messages().map(|it| it.message.group.as_str()).filter(|group| seen.insert(group)).map(str::to_owned).collect()
    }

    /// What is over is gone, and what was received too often is in the dead-letter queue.
    fn settle(&mut self, queue: QueueName, shape: QueueShape, now: i64) {
        let messages = self.queue(queue);
        messages.retain(|it| now.saturating_sub(it.sent_at) < shape.retention_ms);
        if queue == QueueName::DeadLetter || messages.iter().all(|it| it.receive_count < shape.receives_max) {
            return;
        }
        let locked: BTreeSet<String> =
            messages.iter().filter(|it| it.hidden(now)).map(|it| it.message.group.clone()).collect();
        let (over, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(messages)
            .into_iter()
            .partition(|it| it.receive_count >= shape.receives_max && !locked.contains(&it.message.group));
        *messages = kept;
        for it in over {
            // SQS takes the message's id for its deduplication id there.
            let deduplication = it.name();
            self.add(Outgoing { queue: QueueName::DeadLetter, deduplication, ..it.message }, now);
        }
    }

    fn receive(&mut self, queue: QueueName, groups: &[String], max: usize, now: i64, hidden_ms: i64) -> Vec<Received> {
        let mut received = Vec::new();
        for group in groups {
            for it in self.queue(queue).iter_mut().filter(|it| it.message.group == *group) {
                if received.len() >= max.min(RECEIVE_MAX) {
                    return received;
                }
                it.receive_count = it.receive_count.saturating_add(1);
                it.hidden_until = now.saturating_add(hidden_ms);
                received.push(Received {
                    id: it.name(),
                    message: it.message.clone(),
                    receipt: it.receipt(),
                    receive_count: it.receive_count,
                    sent_at: it.sent_at,
                });
            }
        }
        received
    }

    /// The message of a receipt; `None` where it is gone.
    fn of(&mut self, queue: QueueName, receipt: &str) -> Option<&mut Message> {
        let id: Option<u64> = receipt.split_once('/').and_then(|(id, _)| id.parse().ok());
        self.queue(queue).iter_mut().find(|it| Some(it.id) == id)
    }

    fn delete(&mut self, queue: QueueName, receipt: &str, now: i64) -> Deleted {
        let Some(it) = self.of(queue, receipt) else { return Deleted::Before };
        if it.receipt() != receipt || !it.hidden(now) {
            return Deleted::Expired;
        }
        let id = it.id;
        self.queue(queue).retain(|it| it.id != id);
        Deleted::Done
    }
}

impl MemoryQueue {
    /// Empty queues in this weather.
    #[must_use]
    pub fn new(shape: QueueShape, weather: Arc<dyn Weather>) -> Self {
        Self { state: Arc::default(), shape, weather }
    }

    /// The same queues in another weather: as another process finds them.
    #[must_use]
    pub fn under(&self, weather: Arc<dyn Weather>) -> Self {
        Self { state: Arc::clone(&self.state), shape: self.shape, weather }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State, i64) -> T) -> T {
        let now = self.weather.now_ms();
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// This stack lacks a queue from here on.
    pub fn lacks(&self, queue: QueueName) {
        self.with(|state, _| state.lacking.insert(queue));
    }

    /// It has all of them again.
    pub fn has_all(&self) {
        self.with(|state, _| state.lacking.clear());
    }

    /// The groups of which something can be received now, the one with the oldest message first. Only the order within a
    /// group is promised.
    #[must_use]
    pub fn groups(&self, queue: QueueName) -> Vec<String> {
        self.with(|state, now| {
            state.settle(queue, self.shape, now);
            state.groups(queue, now)
        })
    }

    /// Whether something can be received now.
    #[must_use]
    pub fn is_ready(&self, queue: QueueName) -> bool {
        self.with(|state, now| {
            state.settle(queue, self.shape, now);
            let messages = state.queue(queue);
            let locked = |group: &str| messages.iter().any(|it| it.hidden(now) && it.message.group == group);
            messages.iter().any(|it| !it.hidden(now) && !locked(&it.message.group))
        })
    }

    /// Whether anything is in a queue, hidden or not.
    #[must_use]
    pub fn is_waiting(&self, queue: QueueName) -> bool {
        self.with(|state, now| {
            state.settle(queue, self.shape, now);
            !state.queue(queue).is_empty()
        })
    }

    /// Receives at most `max` messages, at most ten: the oldest group's first, as many of it as there are.
    #[must_use]
    pub fn receive(&self, queue: QueueName, max: usize) -> Vec<Received> {
        self.with(|state, now| {
            state.settle(queue, self.shape, now);
            let groups = state.groups(queue, now);
            state.receive(queue, &groups, max, now, self.shape.visibility_ms)
        })
    }

    /// Receives of these groups only, in this order.
    #[must_use]
    pub fn receive_of(&self, queue: QueueName, groups: &[String], max: usize) -> Vec<Received> {
        self.with(|state, now| {
            state.settle(queue, self.shape, now);
            let open = state.groups(queue, now);
            let groups: Vec<String> = groups.iter().filter(|group| open.contains(group)).cloned().collect();
            state.receive(queue, &groups, max, now, self.shape.visibility_ms)
        })
    }

    /// Deletes a received message.
    pub fn delete(&self, queue: QueueName, receipt: &str) -> Deleted {
        self.with(|state, now| state.delete(queue, receipt, now))
    }

    /// Ends a batch as Lambda does: what `failures` names stays hidden until its time is over, all else is deleted. A
    /// failure that names no message of the batch fails all of it: then nothing is deleted, and this is false (AWS Lambda
    /// Developer Guide, "Implementing partial batch responses").
    pub fn finish(&self, batch: &[Received], failures: &[String]) -> bool {
        if !failures.iter().all(|failed| batch.iter().any(|it| it.id == *failed)) {
            return false;
        }
        for it in batch.iter().filter(|it| !failures.contains(&it.id)) {
            self.delete(it.message.queue, &it.receipt);
        }
        true
    }

    /// What is in a queue, hidden or not, in the order in which it was sent.
    #[must_use]
    pub fn waiting(&self, queue: QueueName) -> Vec<Outgoing> {
        self.with(|state, now| {
            state.settle(queue, self.shape, now);
            state.queue(queue).iter().map(|it| it.message.clone()).collect()
        })
    }

    /// What is in the dead-letter queue: bells, and what was received too often.
    #[must_use]
    pub fn dead(&self) -> Vec<Outgoing> {
        self.waiting(QueueName::DeadLetter)
    }

    /// Takes everything but the dead letters out, hidden or not, in the order in which it was sent: as if it had been
    /// received and deleted.
    #[must_use]
    pub fn drain(&self) -> Vec<Outgoing> {
        self.with(|state, _| {
            let mut drained = Vec::new();
            for (queue, messages) in &mut state.queues {
                if *queue != QueueName::DeadLetter {
                    drained.extend(messages.drain(..));
                }
            }
            drained.sort_by_key(|it| it.id);
            drained.into_iter().map(|it| it.message).collect()
        })
    }

    /// Puts a message in front of all others, whatever its deduplication id: as if it had been received and its time were
    /// over.
    pub fn put_back(&self, message: Outgoing) {
        self.with(|state, now| {
            state.next_id = state.next_id.saturating_add(1);
            let it = Message { id: state.next_id, message, sent_at: now, receive_count: 1, hidden_until: now };
            state.queue(it.message.queue).push_front(it);
        });
    }

    /// The next moment at which something hidden comes back, in milliseconds; `None` where nothing is hidden.
    #[must_use]
    pub fn next_visible_at(&self) -> Option<i64> {
        self.with(|state, now| {
            state.queues.values().flatten().filter(|it| it.hidden(now)).map(|it| it.hidden_until).min()
        })
    }

    /// Empties every queue, as an operator might. Deduplication ids stay known.
    pub fn purge(&self) {
        self.with(|state, _| state.queues.clear());
    }

    async fn carried_out<T: Send>(
        &self,
        name: &'static str,
        work: impl Fn(&mut State, i64) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let fate = self.weather.before(name).await;
        self.carried_out_under(name, fate, work).await
    }

    /// The same for a caller who asked for the fate.
    async fn carried_out_under<T: Send>(
        &self,
        name: &'static str,
        fate: Fate,
        work: impl Fn(&mut State, i64) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        if let Some(fault) = fate.refuses(name) {
            return Err(fault);
        }
        if fate == Fate::Repeated {
            self.with(|state, now| work(state, now).map(|_| ())).ok();
        }
        let answer = self.with(&work);
        self.weather.after(name).await;
        fate.loses(name).map_or(answer, Err)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, message: &Outgoing) -> PortResult<()> {
        if !self.has(message.queue) {
            let queue = message.queue;
            return Err(PortFault::Unavailable(format!("the URL of the queue {queue:?} is not configured")));
        }
        const NAME: &str = "queue.send";
        let fate = self.weather.before(NAME).await;
        if let Fate::Late(milliseconds) = fate {
            let (queue, message) = (self.clone(), message.clone());
            self.weather.later(milliseconds, Box::new(move || queue.with(|state, now| state.send(&message, now))));
        }
        self.carried_out_under(NAME, fate, |state, now| {
            state.send(message, now);
            Ok(())
        })
        .await
    }

    fn has(&self, queue: QueueName) -> bool {
        !self.with(|state, _| state.lacking.contains(&queue))
    }

    async fn give_back(&self, queue: QueueName, receipt: &str, seconds: u32) -> PortResult<()> {
        self.carried_out("queue.give_back", |state, now| {
            // One that is visible already, or gone, needs no giving back.
            if let Some(it) = state.of(queue, receipt)
                && it.receipt() == receipt
                && it.hidden(now)
            {
                it.hidden_until = now.saturating_add(i64::from(seconds).saturating_mul(1_000));
            }
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Bells for MemoryQueue {
    async fn depth(&self) -> PortResult<u64> {
        let shape = self.shape;
        self.carried_out("bells.depth", move |state, now| {
            state.settle(QueueName::DeadLetter, shape, now);
            Ok(u64::try_from(state.queue(QueueName::DeadLetter).len()).unwrap_or(u64::MAX))
        })
        .await
    }

    async fn receive(&self) -> PortResult<Vec<BellMessage>> {
        let shape = self.shape;
        self.carried_out("bells.receive", move |state, now| {
            state.settle(QueueName::DeadLetter, shape, now);
            let groups = state.groups(QueueName::DeadLetter, now);
            let received = state.receive(QueueName::DeadLetter, &groups, RECEIVE_MAX, now, BELLS_HIDDEN_MS);
            Ok(received.into_iter().map(|it| BellMessage { receipt: it.receipt, body: it.message.body }).collect())
        })
        .await
    }

    async fn delete(&self, receipt: &str) -> PortResult<()> {
        self.carried_out("bells.delete", |state, now| match state.delete(QueueName::DeadLetter, receipt, now) {
            Deleted::Done | Deleted::Before => Ok(()),
            Deleted::Expired => Err(PortFault::Unavailable("DeleteMessage: the receipt has expired".to_owned())),
        })
        .await
    }
}
