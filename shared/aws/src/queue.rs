//! Queues.

use crate::config::Queues;
use crate::connect::Foundation;
use crate::fault::{code, unavailable};
use crate::lane::Lane;
use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::types::QueueAttributeName;
use ledger_engine::ports::{BellMessage, Bells, Outgoing, PortFault, PortResult, Queue, QueueName};
use serde::Serialize;
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;

/// Messages of one receive.
const RECEIVE_MAX: i32 = 10;
/// Seconds for which received bells are hidden from others.
const BELLS_HIDDEN_SECONDS: i32 = 10;

/// The queues, on SQS.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    foundation: Foundation,
    endpoint: Option<String>,
    urls: Arc<Queues>,
    client: Arc<OnceLock<Client>>,
    lane: Arc<OnceCell<Option<Lane>>>,
}

/// A message as the service reads it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage<'a> {
    queue_url: &'a str,
    message_body: &'a str,
    message_deduplication_id: &'a str,
    message_group_id: &'a str,
}

impl SqsQueue {
    pub(crate) fn new(foundation: Foundation, endpoint: Option<String>, urls: Queues) -> Self {
        Self {
            foundation,
            endpoint,
            urls: Arc::new(urls),
            client: Arc::new(OnceLock::new()),
            lane: Arc::new(OnceCell::new()),
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| self.foundation.sqs(self.endpoint.as_deref()))
    }

    /// The short way, for sending.
    async fn lane(&self) -> Option<&Lane> {
        self.lane.get_or_init(|| self.foundation.sqs_lane(self.endpoint.as_deref())).await.as_ref()
    }

    /// Sends by the SDK alone: all tries, or those that a lane leaves.
    async fn sdk_send(&self, queue_url: &str, message: &Outgoing, after: Option<&Lane>) -> PortResult<()> {
        let call = self.client().send_message().queue_url(queue_url).message_body(&message.body);
        let call = call.message_group_id(&message.group).message_deduplication_id(&message.deduplication);
        let mut call = call.customize();
        if let Some(lane) = after {
            let (retries, limits) = lane.leaves().await;
            call = call.config_override(Config::builder().retry_config(retries).timeout_config(limits));
        }
        call.send().await.map_err(|error| unavailable("SendMessage", &error))?;
        Ok(())
    }

    fn maybe_url(&self, queue: QueueName) -> Option<&str> {
        match queue {
            QueueName::Work(event) => self.urls.work.get(&event).map(String::as_str),
            QueueName::PushSyncState => self.urls.push_sync_state.as_deref(),
            QueueName::DeadLetter => self.urls.dead_letter.as_deref(),
        }
    }

    fn url(&self, queue: QueueName) -> PortResult<&str> {
        self.maybe_url(queue)
            .ok_or_else(|| PortFault::Unavailable(format!("the URL of the queue {queue:?} is not configured")))
    }
}

#[async_trait]
impl Queue for SqsQueue {
    /// One SendMessage.
    async fn send(&self, message: &Outgoing) -> PortResult<()> {
        let queue_url = self.url(message.queue)?;
        let body = serde_json::to_vec(&SendMessage {
            queue_url,
            message_body: &message.body,
            message_deduplication_id: &message.deduplication,
            message_group_id: &message.group,
        });
        let (Some(lane), Ok(body)) = (self.lane().await, body) else {
            return Box::pin(self.sdk_send(queue_url, message, None)).await;
        };
        match lane.call("AmazonSQS.SendMessage", body).await {
            Some(answer) if answer.status().is_success() => Ok(()),
            _ => Box::pin(self.sdk_send(queue_url, message, Some(lane))).await,
        }
    }

    /// No call.
    fn has(&self, queue: QueueName) -> bool {
        self.maybe_url(queue).is_some()
    }

    /// One ChangeMessageVisibility.
    async fn give_back(&self, queue: QueueName, receipt: &str, seconds: u32) -> PortResult<()> {
        let call = self.client().change_message_visibility().queue_url(self.url(queue)?).receipt_handle(receipt);
        match call.visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX)).send().await {
            Ok(_) => Ok(()),
            // It is visible already.
            Err(error)
                if matches!(code(&error), Some("MessageNotInflight" | "AWS.SimpleQueueService.MessageNotInflight")) =>
            {
                Ok(())
            }
            Err(error) => Err(unavailable("ChangeMessageVisibility", &error)),
        }
    }
}

#[async_trait]
impl Bells for SqsQueue {
    /// One GetQueueAttributes.
    async fn depth(&self) -> PortResult<u64> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self.client().get_queue_attributes().queue_url(self.url(QueueName::DeadLetter)?);
        let call = call.set_attribute_names(Some(counts.to_vec()));
        let answer = call.send().await.map_err(|error| unavailable("GetQueueAttributes", &error))?;
        let told = answer.attributes.unwrap_or_default();
        counts.iter().try_fold(0_u64, |sum, name| {
            let count = told.get(name).and_then(|count| count.parse::<u64>().ok());
            count
                .map(|count| sum.saturating_add(count))
                .ok_or_else(|| PortFault::Unavailable(format!("GetQueueAttributes: no {}", name.as_str())))
        })
    }

    /// One ReceiveMessage, which doesn't wait.
    async fn receive(&self) -> PortResult<Vec<BellMessage>> {
        let call = self.client().receive_message().queue_url(self.url(QueueName::DeadLetter)?);
        let call = call.max_number_of_messages(RECEIVE_MAX).visibility_timeout(BELLS_HIDDEN_SECONDS);
        let answer = call.wait_time_seconds(0).send().await.map_err(|error| unavailable("ReceiveMessage", &error))?;
        let bell = |message: aws_sdk_sqs::types::Message| {
            Some(BellMessage { receipt: message.receipt_handle?, body: message.body.unwrap_or_default() })
        };
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(bell).collect())
    }

    /// One DeleteMessage.
    async fn delete(&self, receipt: &str) -> PortResult<()> {
        let call = self.client().delete_message().queue_url(self.url(QueueName::DeadLetter)?);
        call.receipt_handle(receipt).send().await.map_err(|error| unavailable("DeleteMessage", &error))?;
        Ok(())
    }
}
