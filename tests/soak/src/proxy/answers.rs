//! What a call is, and what AWS says where it does not carry one out.
//!
//! Shapes: DynamoDB Developer Guide, "Error handling with DynamoDB" (JSON 1.0, `__type`, `x-amzn-RequestId`,
//! `x-amz-crc32`), API Reference, "TransactWriteItems" (`CancellationReasons`) and "PutItem" (`TransactionConflictException`);
//! SQS Developer Guide, "Making query API requests using AWS JSON protocol", and API Reference, "Common Errors" (`RequestThrottled`,
//! `ServiceUnavailable`); KMS API Reference, "Common errors" and "Throttling KMS requests" (`ThrottlingException`).

use ledger_world::server::{Answer, Request};
use serde_json::{Value, json};

/// The services that functions call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Dynamodb,
    Sqs,
    Kms,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) service: Service,
    pub(super) operation: String,
}

impl Target {
    /// `None` where it is none of the three services: that is passed on as it is.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let (service, operation) = request.header("x-amz-target")?.split_once('.')?;
        let service = match service {
            "DynamoDB_20120810" => Service::Dynamodb,
            "AmazonSQS" => Service::Sqs,
            "TrentService" => Service::Kms,
            _ => return None,
        };
        Some(Self { service, operation: operation.to_owned() })
    }

    /// Whether it writes items that another transaction may hold.
    pub(super) fn can_conflict(&self) -> bool {
        let conflicting = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "TransactGetItems"];
        self.service == Service::Dynamodb && conflicting.contains(&self.operation.as_str())
    }

    /// Whether something is different after it.
    pub(super) fn writes(&self) -> bool {
        let operation = self.operation.as_str();
        match self.service {
            Service::Dynamodb => {
                ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"].contains(&operation)
            }
            Service::Sqs => ["SendMessage", "DeleteMessage", "ChangeMessageVisibility"].contains(&operation),
            Service::Kms => false,
        }
    }

    /// Whether it reads an index, which may lag.
    pub(super) fn reads_an_index(&self, body: &Value) -> bool {
        self.service == Service::Dynamodb && self.operation == "Query" && body.get("IndexName").is_some()
    }
}

/// A name that AWS gives a request.
fn request_id(number: u64) -> String {
    format!("{number:016X}{:016X}", number.rotate_left(29))
}

/// DynamoDB's answer with its check sum.
pub(super) fn dynamodb(status: u16, body: &Value) -> Answer {
    let body = body.to_string();
    let sum = crc32(body.as_bytes());
    Answer::new(status, "application/x-amz-json-1.0", body).with_header("x-amz-crc32", sum.to_string())
}

/// The call comes too often.
pub(super) fn throttled(service: Service, number: u64) -> Answer {
    let even = number.is_multiple_of(2);
    let answer = match (service, even) {
        (Service::Dynamodb, true) => dynamodb(
            400,
            &json!({"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "message": "The table is asked too often."}),
        ),
        (Service::Dynamodb, false) => dynamodb(
            400,
            &json!({"__type": "com.amazon.coral.availability#ThrottlingException", "message": "Too many requests."}),
        ),
        (Service::Sqs, true) => Answer::new(
            400,
            "application/x-amz-json-1.0",
            json!({"__type": "com.amazonaws.sqs#RequestThrottled", "message": "Too many requests."}).to_string(),
        )
        .with_header("x-amzn-query-error", "RequestThrottled;Sender"),
        (Service::Sqs, false) => Answer::new(
            503,
            "application/x-amz-json-1.0",
            json!({"__type": "com.amazon.coral.service#ServiceUnavailable", "message": "Try again."}).to_string(),
        )
        .with_header("x-amzn-query-error", "ServiceUnavailable;Receiver"),
        (Service::Kms, _) => Answer::new(
            400,
            "application/x-amz-json-1.1",
            json!({"__type": "ThrottlingException", "message": "Too many requests."}).to_string(),
        ),
    };
    answer.with_header("x-amzn-requestid", request_id(number))
}

/// Another transaction holds one of the items.
pub(super) fn conflict(target: &Target, body: &Value, number: u64) -> Answer {
    let said = "Another transaction is under way for the item.";
    let answer = if target.operation.starts_with("Transact") {
        let count = body.get("TransactItems").and_then(Value::as_array).map_or(1, Vec::len).max(1);
        let held = usize::try_from(number.checked_rem(u64::try_from(count).unwrap_or(1)).unwrap_or_default());
        let held = held.unwrap_or_default();
        let reason = |place: usize| {
            if place == held {
                json!({"Code": "TransactionConflict", "Message": said})
            } else {
                json!({"Code": "None"})
            }
        };
        let reasons: Vec<Value> = (0..count).map(reason).collect();
        dynamodb(
            400,
            &json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": "The transaction is cancelled; see its reasons.",
                "CancellationReasons": reasons,
            }),
        )
    } else {
        let name = "com.amazonaws.dynamodb.v20120810#TransactionConflictException";
        dynamodb(400, &json!({"__type": name, "message": said}))
    };
    answer.with_header("x-amzn-requestid", request_id(number))
}

/// The check sum of IEEE 802.3, which `x-amz-crc32` is.
fn crc32(bytes: &[u8]) -> u32 {
    let of_byte = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 })
    };
    !bytes.iter().fold(u32::MAX, of_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn one_item_is_held_and_the_others_are_not() {
        let target = Target { service: Service::Dynamodb, operation: "TransactWriteItems".to_owned() };
        let answer = conflict(&target, &json!({"TransactItems": [{}, {}, {}]}), 4);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let codes: Vec<&str> =
            body["CancellationReasons"].as_array().unwrap().iter().map(|it| it["Code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["None", "TransactionConflict", "None"]);
    }
}
