//! What SQS does and a local engine hides.

use crate::scene::{NOW, weather};
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::{Bells, Outgoing, PortFault, Queue, QueueName};
use ledger_simulation::memory::{Deleted, Fate, Knobs, MemoryQueue, QueueShape, Received};
use std::sync::Arc;

const WORK: QueueName = QueueName::Work(Event::InvoiceCreated);
const SHAPE: QueueShape = QueueShape { visibility_ms: 360_000, receives_max: 3, retention_ms: 1_000_000_000 };

fn queues() -> (MemoryQueue, Arc<Knobs>) {
    let knobs = Arc::new(Knobs::at(NOW));
    (MemoryQueue::new(SHAPE, weather(&knobs)), knobs)
}

fn message(queue: QueueName, group: &str, id: &str) -> Outgoing {
    Outgoing { queue, group: group.to_owned(), deduplication: id.to_owned(), body: format!("{group} {id}") }
}

async fn send(queue: &MemoryQueue, messages: &[(&str, &str)]) {
    for (group, id) in messages {
        queue.send(&message(WORK, group, id)).await.unwrap();
    }
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|it| it.message.body.as_str()).collect()
}

#[tokio::test]
async fn a_known_id_is_dropped_for_five_minutes() {
    let (queue, knobs) = queues();
    send(&queue, &[("g", "1")]).await;
    let first = queue.receive(WORK, 1).pop().unwrap();
    assert_eq!(queue.delete(WORK, &first.receipt), Deleted::Done);
    assert_eq!(queue.delete(WORK, &first.receipt), Deleted::Before);
    knobs.passes(299_999);
    send(&queue, &[("g", "1")]).await;
    assert_eq!(queue.waiting(WORK), [], "the first is long gone");
    // The repetition did not begin the five minutes anew.
    knobs.passes(1);
    send(&queue, &[("g", "1")]).await;
    assert_eq!(queue.waiting(WORK).len(), 1);
}

#[tokio::test]
async fn a_group_is_locked_until_its_messages_are_deleted_or_their_time_is_over() {
    let (queue, knobs) = queues();
    send(&queue, &[("g", "1"), ("g", "2"), ("h", "1"), ("g", "3")]).await;
    let batch = queue.receive(WORK, 2);
    assert_eq!(bodies(&batch), ["g 1", "g 2"], "as many of one group as there are");
    assert_eq!(queue.groups(WORK), ["h"]);
    assert_eq!(queue.delete(WORK, &batch.first().unwrap().receipt), Deleted::Done);
    assert_eq!(bodies(&queue.receive(WORK, 10)), ["h 1"], "one of the group is still out");
    assert_eq!(queue.next_visible_at(), Some(NOW + 360_000));
    knobs.passes(360_000);
    let second = batch.last().unwrap();
    assert_eq!(queue.delete(WORK, &second.receipt), Deleted::Expired, "its time is over");
    let again = queue.receive_of(WORK, &["g".to_owned()], 10);
    assert_eq!(bodies(&again), ["g 2", "g 3"]);
    assert_eq!(again.iter().map(|it| it.receive_count).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(queue.delete(WORK, &second.receipt), Deleted::Expired, "another has it");
    queue.give_back(WORK, &second.receipt, 0).await.unwrap();
    assert_eq!(queue.receive_of(WORK, &["g".to_owned()], 10), [], "an old receipt gives nothing back");
}

#[tokio::test]
async fn one_that_was_received_too_often_becomes_a_dead_letter() {
    let (queue, knobs) = queues();
    send(&queue, &[("g", "1"), ("g", "2")]).await;
    for receive in 1..=3 {
        let first = queue.receive(WORK, 1).pop().unwrap();
        assert_eq!((first.message.body.as_str(), first.receive_count), ("g 1", receive));
        queue.give_back(WORK, &first.receipt, 5).await.unwrap();
        assert_eq!(queue.receive(WORK, 1), []);
        knobs.passes(5_000);
    }
    assert_eq!(queue.dead(), []);
    assert_eq!(bodies(&queue.receive(WORK, 1)), ["g 2"], "it holds nobody back any more");
    let dead = queue.dead();
    let of: Vec<(&str, &str)> = dead.iter().map(|it| (it.group.as_str(), it.body.as_str())).collect();
    assert_eq!(of, [("g", "g 1")]);
    assert!(dead.iter().all(|it| it.deduplication != "1"), "its id there is another");
    assert_eq!(queue.depth().await, Ok(1));
}

#[tokio::test]
async fn a_message_is_kept_for_its_time_only() {
    let (queue, knobs) = queues();
    send(&queue, &[("g", "1")]).await;
    knobs.passes(999_999_999);
    send(&queue, &[("g", "2")]).await;
    let _hidden = queue.receive(WORK, 1);
    knobs.passes(1);
    let waiting: Vec<String> = queue.waiting(WORK).into_iter().map(|it| it.body).collect();
    assert_eq!(waiting, ["g 2"], "hidden or not");
    assert_eq!(queue.dead(), []);
}

#[tokio::test]
async fn of_a_batch_only_what_failed_stays() {
    let (queue, knobs) = queues();
    send(&queue, &[("g", "1"), ("g", "2"), ("g", "3"), ("h", "1")]).await;
    let batch = queue.receive(WORK, 10);
    assert_eq!(bodies(&batch), ["g 1", "g 2", "g 3", "h 1"]);
    // The second failed, and the third is behind it.
    let failures: Vec<String> = batch.get(1..3).unwrap().iter().map(|it| it.id.clone()).collect();
    assert!(queue.finish(&batch, &failures));
    assert_eq!(queue.receive(WORK, 10), [], "they stay hidden until their time is over");
    knobs.passes(360_000);
    let batch = queue.receive(WORK, 10);
    assert_eq!(bodies(&batch), ["g 2", "g 3"]);
    // A failure that is none of the batch's fails all of it.
    assert!(!queue.finish(&batch, &[String::new()]));
    knobs.passes(360_000);
    assert_eq!(queue.receive(WORK, 10).len(), 2);
}

#[tokio::test]
async fn bells_are_hidden_for_ten_seconds() {
    let (queue, knobs) = queues();
    queue.send(&message(QueueName::DeadLetter, "r", "1")).await.unwrap();
    let bells = Bells::receive(&queue).await.unwrap();
    assert_eq!(Bells::receive(&queue).await, Ok(Vec::new()));
    knobs.passes(10_000);
    let receipt = &bells.first().unwrap().receipt;
    assert!(matches!(Bells::delete(&queue, receipt).await, Err(PortFault::Unavailable(_))), "its time is over");
    let bells = Bells::receive(&queue).await.unwrap();
    let receipt = &bells.first().unwrap().receipt;
    assert_eq!(Bells::delete(&queue, receipt).await, Ok(()));
    assert_eq!(Bells::delete(&queue, receipt).await, Ok(()), "it was gone before");
    assert_eq!(queue.depth().await, Ok(0));
}

#[tokio::test]
async fn sending_has_its_weather() {
    let (queue, knobs) = queues();
    for (fate, fails, there) in [
        (Fate::Unavailable, true, 0),
        (Fate::Throttled, true, 0),
        (Fate::ReplyLost, true, 1),
        (Fate::Repeated, false, 1),
        (Fate::Fair, false, 1),
    ] {
        queue.purge();
        knobs.passes(300_000);
        knobs.next("queue.send", fate);
        assert_eq!(queue.send(&message(WORK, "g", "1")).await.is_err(), fails, "{fate:?}");
        assert_eq!(queue.waiting(WORK).len(), there, "{fate:?}");
    }
    queue.lacks(WORK);
    assert!(!queue.has(WORK) && queue.send(&message(WORK, "g", "2")).await.is_err());
    queue.has_all();
    assert!(queue.has(WORK) && queue.send(&message(WORK, "g", "2")).await.is_ok());
}
