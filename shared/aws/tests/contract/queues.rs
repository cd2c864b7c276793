use crate::stack::{config, sqs};
use aws_sdk_sqs::types::QueueAttributeName;
use ledger_aws::{Aws, Config, SqsQueue, SystemChance, SystemClock};
use ledger_contract::QueueSubject;
use ledger_engine::domain::identity::Event;
use ledger_engine::ports::Chance;

/// Queues of a test's own.
pub(crate) struct Queues {
    queue: SqsQueue,
    raw: aws_sdk_sqs::Client,
    urls: [String; 2],
}

impl Queues {
    /// Queues of the test's own: nobody else reads them.
    pub(crate) async fn new() -> Option<Self> {
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
                .attributes(QueueAttributeName::VisibilityTimeout, "30");
            urls.push(call.send().await.unwrap().queue_url.unwrap());
        }
        let urls: [String; 2] = urls.try_into().unwrap();
        config.queues.work = [(Event::InvoiceCreated, urls[0].clone())].into();
        config.queues.dead_letter = Some(urls[1].clone());
        config.queues.push_sync_state = None;
        Some(Self { queue: Aws::new(&config).unwrap().queue(), raw, urls })
    }

    pub(crate) async fn end(self) {
        for url in &self.urls {
            self.raw.delete_queue().queue_url(url).send().await.unwrap();
        }
    }
}

impl QueueSubject for Queues {
    type Queue = SqsQueue;
    type Clock = SystemClock;

    fn queue(&self) -> &SqsQueue {
        &self.queue
    }

    fn clock(&self) -> &SystemClock {
        &SystemClock
    }

    async fn receive(&self) -> Option<(String, String)> {
        let call = self.raw.receive_message().queue_url(&self.urls[0]).wait_time_seconds(0);
        let message = call.send().await.unwrap().messages.unwrap_or_default().into_iter().next()?;
        Some((message.receipt_handle.unwrap(), message.body.unwrap()))
    }

    async fn delete(&self, receipt: &str) {
        self.raw.delete_message().queue_url(&self.urls[0]).receipt_handle(receipt).send().await.unwrap();
    }
}
