//! Queues.

use crate::QueueSubject;
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::{Bells, Clock, Outgoing, PortFault, Queue, QueueName};

/// The queue of these checks: the only one of work that the stack has.
pub const WORK: QueueName = QueueName::Work(Event::InvoiceCreated);

fn message(queue: QueueName, group: &str, deduplication: &str) -> Outgoing {
    Outgoing {
        queue,
        group: group.to_owned(),
        deduplication: deduplication.to_owned(),
        body: format!("{group} {deduplication}"),
    }
}

pub async fn a_message_is_sent_and_given_back<S: QueueSubject>(queues: &S) {
    assert!(queues.queue().has(WORK) && !queues.queue().has(QueueName::PushSyncState));
    queues.queue().send(&message(WORK, "g", "r-1")).await.unwrap();
    // The same deduplication id again is dropped without a word.
    queues.queue().send(&message(WORK, "g", "r-1")).await.unwrap();
    let (receipt, body) = queues.receive().await.unwrap();
    assert_eq!(body, "g r-1");
    assert_eq!(queues.receive().await, None);
    queues.queue().give_back(WORK, &receipt, 0).await.unwrap();
    let (receipt, body) = queues.receive().await.unwrap();
    assert_eq!(body, "g r-1");
    queues.queue().give_back(WORK, &receipt, 1).await.unwrap();
    assert_eq!(queues.receive().await, None);
    queues.clock().sleep_ms(1_500).await;
    assert!(queues.receive().await.is_some());
    let nowhere = queues.queue().send(&message(QueueName::PushSyncState, "g", "d")).await;
    assert!(matches!(nowhere, Err(PortFault::Unavailable(_))));
}

pub async fn bells_are_counted_received_and_deleted<S: QueueSubject>(queues: &S) {
    assert_eq!(queues.queue().depth().await, Ok(0));
    assert_eq!(queues.queue().receive().await, Ok(Vec::new()));
    for number in 0..12 {
        // Each run is a group of its own, so that none hides another.
        queues.queue().send(&message(QueueName::DeadLetter, &format!("r-{number}"), "d")).await.unwrap();
    }
    assert_eq!(queues.queue().depth().await, Ok(12));
    let first = queues.queue().receive().await.unwrap();
    let second = queues.queue().receive().await.unwrap();
    assert_eq!((first.len(), second.len()), (10, 2));
    assert_eq!(queues.queue().depth().await, Ok(12), "hidden ones count");
    for bell in first.iter().chain(&second) {
        queues.queue().delete(&bell.receipt).await.unwrap();
    }
    assert_eq!(queues.queue().depth().await, Ok(0));
    let mut bodies: Vec<String> = first.into_iter().chain(second).map(|bell| bell.body).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 12);
}

/// While a message of a group is out, none of the group comes; those behind it come in their order.
pub async fn a_group_waits_for_its_first<S: QueueSubject>(queues: &S) {
    for (group, id) in [("g", "1"), ("g", "2"), ("h", "1")] {
        queues.queue().send(&message(WORK, group, id)).await.unwrap();
    }
    let (first, body) = queues.receive().await.unwrap();
    assert_eq!(body, "g 1");
    let (other, body) = queues.receive().await.unwrap();
    assert_eq!(body, "h 1", "another group comes");
    assert_eq!(queues.receive().await, None, "the second of a group waits");
    queues.queue().give_back(WORK, &first, 0).await.unwrap();
    let (first, body) = queues.receive().await.unwrap();
    assert_eq!(body, "g 1", "what was given back comes before what is behind it");
    queues.delete(&first).await;
    let (second, body) = queues.receive().await.unwrap();
    assert_eq!(body, "g 2");
    queues.delete(&other).await;
    queues.delete(&second).await;
    assert_eq!(queues.receive().await, None);
    // Within five minutes the ids are known, though the messages are gone.
    queues.queue().send(&message(WORK, "g", "1")).await.unwrap();
    assert_eq!(queues.receive().await, None);
    queues.queue().send(&message(WORK, "i", "1")).await.unwrap();
    assert!(queues.receive().await.is_some(), "another group's id is another id");
}
