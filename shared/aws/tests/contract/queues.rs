use crate::stack::{config, sqs};
use aws_sdk_sqs::types::QueueAttributeName;
use ledger_aws::{Aws, Config, SqsQueue, SystemChance, SystemClock};
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::{Bells, Chance, Clock, Outgoing, PortFault, Queue, QueueName};

struct Queues {
    queue: SqsQueue,
    raw: aws_sdk_sqs::Client,
    urls: [String; 2],
}

impl Queues {
    /// Queues of the test's own: nobody else reads them.
    async fn new(seconds_hidden: u32) -> Option<Self> {
        let mut config: Config = config()?;
        let raw = sqs(&config, config.endpoints.sqs.as_ref());
        let unique = SystemChance.uuid();
        let mut urls = Vec::new();
        for name in ["work", "dead"] {
            let call = raw.create_queue().queue_name(format!("ledger-contract-{unique}-{name}.fifo"));
            let call = call
                .attributes(QueueAttributeName::FifoQueue, "true")
                .attributes(QueueAttributeName::DeduplicationScope, "messageGroup")
                .attributes(QueueAttributeName::FifoThroughputLimit, "perMessageGroupId")
                .attributes(QueueAttributeName::VisibilityTimeout, seconds_hidden.to_string());
            urls.push(call.send().await.unwrap().queue_url.unwrap());
        }
        let urls: [String; 2] = urls.try_into().unwrap();
        config.queues.work = [(Event::InvoiceCreated, urls[0].clone())].into();
        config.queues.dead_letter = Some(urls[1].clone());
        config.queues.push_sync_state = None;
        Some(Self { queue: Aws::new(&config).unwrap().queue(), raw, urls })
    }

    async fn receive(&self) -> Option<(String, String)> {
        let call = self.raw.receive_message().queue_url(&self.urls[0]).wait_time_seconds(0);
        let message = call.send().await.unwrap().messages.unwrap_or_default().into_iter().next()?;
        Some((message.receipt_handle.unwrap(), message.body.unwrap()))
    }

    async fn end(self) {
        for url in &self.urls {
            self.raw.delete_queue().queue_url(url).send().await.unwrap();
        }
    }
}

fn message(queue: QueueName, group: &str, deduplication: &str) -> Outgoing {
    Outgoing {
        queue,
        group: group.to_owned(),
        deduplication: deduplication.to_owned(),
        body: format!("{group} {deduplication}"),
    }
}

#[tokio::test]
async fn a_message_is_sent_and_given_back() {
    let Some(queues) = Queues::new(30).await else { return };
    assert!(queues.queue.has(QueueName::Work(Event::InvoiceCreated)) && !queues.queue.has(QueueName::PushSyncState));
    queues.queue.send(&message(QueueName::Work(Event::InvoiceCreated), "g", "r-1")).await.unwrap();
    // The same deduplication id again is dropped without a word.
    queues.queue.send(&message(QueueName::Work(Event::InvoiceCreated), "g", "r-1")).await.unwrap();
    let (receipt, body) = queues.receive().await.unwrap();
    assert_eq!(body, "g r-1");
    assert_eq!(queues.receive().await, None);
    queues.queue.give_back(QueueName::Work(Event::InvoiceCreated), &receipt, 0).await.unwrap();
    let (receipt, body) = queues.receive().await.unwrap();
    assert_eq!(body, "g r-1");
    queues.queue.give_back(QueueName::Work(Event::InvoiceCreated), &receipt, 1).await.unwrap();
    assert_eq!(queues.receive().await, None);
    SystemClock.sleep_ms(1_500).await;
    assert!(queues.receive().await.is_some());
    let nowhere = queues.queue.send(&message(QueueName::PushSyncState, "g", "d")).await;
    assert!(matches!(nowhere, Err(PortFault::Unavailable(_))));
    queues.end().await;
}

#[tokio::test]
async fn bells_are_counted_received_and_deleted() {
    let Some(queues) = Queues::new(30).await else { return };
    assert_eq!(queues.queue.depth().await, Ok(0));
    assert_eq!(queues.queue.receive().await, Ok(Vec::new()));
    for number in 0..12 {
        // Each run is a group of its own, so that none hides another.
        queues.queue.send(&message(QueueName::DeadLetter, &format!("r-{number}"), "d")).await.unwrap();
    }
    assert_eq!(queues.queue.depth().await, Ok(12));
    let first = queues.queue.receive().await.unwrap();
    let second = queues.queue.receive().await.unwrap();
    assert_eq!((first.len(), second.len()), (10, 2));
    assert_eq!(queues.queue.depth().await, Ok(12), "hidden ones count");
    for bell in first.iter().chain(&second) {
        queues.queue.delete(&bell.receipt).await.unwrap();
    }
    assert_eq!(queues.queue.depth().await, Ok(0));
    let mut bodies: Vec<String> = first.into_iter().chain(second).map(|bell| bell.body).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 12);
    queues.end().await;
}
