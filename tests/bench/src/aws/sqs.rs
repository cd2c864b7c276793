//! SQS: FIFO queues that keep what is sent and drop a repeated deduplication id, as the real ones do.

use super::dynamo::Refusal;
use crate::ambient;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Queue of attempts of `invoice.created`: the last part of its URL.
pub const INVOICE_CREATED: &str = "bench-invoice-created.fifo";
/// Queue of attempts of `invoice.paid`.
pub const INVOICE_PAID: &str = "bench-invoice-paid.fifo";
/// The same for `creditmemo.created`.
pub const CREDITMEMO_CREATED: &str = "bench-creditmemo-created.fifo";
/// The same for `customer.upserted`.
pub const CUSTOMER_UPSERTED: &str = "bench-customer-upserted.fifo";
/// The same for `product.upserted`.
pub const PRODUCT_UPSERTED: &str = "bench-product-upserted.fifo";
/// Queue of chips.
pub const PUSH_SYNC_STATE: &str = "bench-push-sync-state.fifo";
/// Queue of bells.
pub const DEAD_LETTER: &str = "bench-dead-letter.fifo";

/// Every queue, with the variable that names it to functions.
pub const QUEUES: [(&str, &str); 7] = [
    ("QUEUE_INVOICE_CREATED_URL", INVOICE_CREATED),
    ("QUEUE_INVOICE_PAID_URL", INVOICE_PAID),
    ("QUEUE_CREDITMEMO_CREATED_URL", CREDITMEMO_CREATED),
    ("QUEUE_CUSTOMER_UPSERTED_URL", CUSTOMER_UPSERTED),
    ("QUEUE_PRODUCT_UPSERTED_URL", PRODUCT_UPSERTED),
    ("QUEUE_PUSH_SYNC_STATE_URL", PUSH_SYNC_STATE),
    ("QUEUE_DEAD_LETTER_URL", DEAD_LETTER),
];

/// A message as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its queue.
    pub queue: String,
    /// Its group.
    pub group: String,
    /// Its deduplication id.
    pub deduplication: String,
    /// Its body.
    pub body: String,
    /// Its id.
    pub id: String,
}

#[derive(Debug, Default)]
struct Inside {
    messages: Vec<Message>,
    sent: BTreeSet<(String, String, String)>,
    given_back: Vec<String>,
}

/// The service.
#[derive(Debug, Default)]
pub struct Sqs {
    inside: Mutex<Inside>,
}

fn refusal(code: &'static str) -> Refusal {
    Refusal { code, body: Map::new() }
}

impl Sqs {
    fn with<T>(&self, change: impl FnOnce(&mut Inside) -> T) -> T {
        change(&mut self.inside.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the messages of a queue out, in the order they came.
    #[must_use]
    pub fn take(&self, queue: &str) -> Vec<Message> {
        self.with(|inside| {
            let (taken, left) = std::mem::take(&mut inside.messages).into_iter().partition(|it| it.queue == queue);
            inside.messages = left;
            taken
        })
    }

    /// Receipts of messages that were given back.
    #[must_use]
    pub fn given_back(&self) -> Vec<String> {
        self.with(|inside| inside.given_back.clone())
    }

    /// Answers a call.
    ///
    /// # Errors
    /// As the real one.
    pub fn answer(&self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let queue = text("QueueUrl").rsplit('/').next().unwrap_or_default().to_owned();
        if !QUEUES.iter().any(|(_, known)| *known == queue) {
            return Err(refusal("QueueDoesNotExist"));
        }
        match operation {
            "SendMessage" => {
                let message = Message {
                    group: text("MessageGroupId"),
                    deduplication: text("MessageDeduplicationId"),
                    body: text("MessageBody"),
                    id: ambient::fresh_uuid(),
                    queue,
                };
                let allowed = |id: &str| {
                    let letter = |letter: char| letter.is_ascii_graphic();
                    (1..=128).contains(&id.len()) && id.chars().all(letter)
                };
                if message.body.is_empty() || !allowed(&message.group) || !allowed(&message.deduplication) {
                    return Err(refusal("InvalidParameterValue"));
                }
                let id = message.id.clone();
                self.with(|inside| {
                    let key = (message.queue.clone(), message.group.clone(), message.deduplication.clone());
                    if inside.sent.insert(key) {
                        inside.messages.push(message);
                    }
                });
                Ok(json!({"MessageId": id, "SequenceNumber": "18850000000000000000"}))
            }
            "ChangeMessageVisibility" => {
                self.with(|inside| inside.given_back.push(text("ReceiptHandle")));
                Ok(json!({}))
            }
            "GetQueueAttributes" => {
                let depth = self.with(|inside| inside.messages.iter().filter(|it| it.queue == queue).count());
                Ok(json!({"Attributes": {
                    "ApproximateNumberOfMessages": depth.to_string(),
                    "ApproximateNumberOfMessagesNotVisible": "0",
                }}))
            }
            "ReceiveMessage" => {
                let messages = self.with(|inside| {
                    let there = inside.messages.iter().filter(|it| it.queue == queue).take(10);
                    let told = there.map(|it| json!({"MessageId": it.id, "ReceiptHandle": it.id, "Body": it.body}));
                    told.collect::<Vec<_>>()
                });
                Ok(json!({"Messages": messages}))
            }
            "DeleteMessage" => {
                let receipt = text("ReceiptHandle");
                self.with(|inside| inside.messages.retain(|it| it.id != receipt));
                Ok(json!({}))
            }
            _ => Err(refusal("UnsupportedOperation")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_deduplication_id_is_dropped_silently() {
        let sqs = Sqs::default();
        let send = |deduplication: &str| {
            let url = format!("https://sqs.example/0/{INVOICE_CREATED}");
            let request = json!({
                "QueueUrl": url, "MessageGroupId": "g", "MessageDeduplicationId": deduplication, "MessageBody": "{}",
            });
            sqs.answer("SendMessage", &request)
        };
        assert!(send("a-1").is_ok() && send("a-1").is_ok() && send("a-2").is_ok() && send("").is_err());
        assert_eq!(sqs.take(INVOICE_CREATED).len(), 2);
        assert!(sqs.take(INVOICE_CREATED).is_empty());
    }
}
