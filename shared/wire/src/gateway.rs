//! What API Gateway (REST, Lambda proxy integration) and SQS hand to a function, as far as we read it.
//! Source: AWS Lambda developer guide, "API Gateway proxy integration" and "SQS event".

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A proxied request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRequest {
    /// HTTP method.
    #[serde(default)]
    pub http_method: String,
    /// Values of the path's placeholders, still percent-encoded as the client sent them or decoded, by gateway.
    #[serde(default)]
    pub path_parameters: Option<BTreeMap<String, Option<String>>>,
    /// Query parameters, last value of each.
    #[serde(default)]
    pub query_string_parameters: Option<BTreeMap<String, Option<String>>>,
    /// Headers, last value of each.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, Option<String>>>,
    /// The body.
    #[serde(default)]
    pub body: Option<String>,
    /// True where the body is base64.
    #[serde(default)]
    pub is_base64_encoded: bool,
}

impl ProxyRequest {
    /// A header by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .as_ref()?
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.as_deref())
    }

    /// A path parameter as the gateway gave it.
    #[must_use]
    pub fn path_parameter(&self, name: &str) -> Option<&str> {
        self.path_parameters.as_ref()?.get(name)?.as_deref()
    }

    /// A query parameter.
    #[must_use]
    pub fn query_parameter(&self, name: &str) -> Option<&str> {
        self.query_string_parameters.as_ref()?.get(name)?.as_deref()
    }
}

/// An answer to a proxied request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyResponse {
    /// HTTP status.
    pub status_code: u16,
    /// Headers.
    pub headers: BTreeMap<&'static str, String>,
    /// JSON text.
    pub body: String,
    /// Always false: our bodies are text.
    pub is_base64_encoded: bool,
}

/// A batch of messages.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct QueueEvent {
    /// The messages, in the order of their groups.
    #[serde(rename = "Records", default)]
    pub records: Vec<QueueRecord>,
}

/// One message of a batch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueRecord {
    /// Names the message in a batch's answer.
    #[serde(default)]
    pub message_id: String,
    /// Gives the message back or deletes it.
    #[serde(default)]
    pub receipt_handle: String,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// `MessageGroupId`, `ApproximateReceiveCount` and the like.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl QueueRecord {
    /// The message's group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.attributes.get("MessageGroupId").map_or("", String::as_str)
    }

    /// How often the message was received, this time included.
    #[must_use]
    pub fn receive_count(&self) -> u32 {
        self.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
    }
}

/// Which messages of a batch come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The messages that were not done.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its message id.
    pub item_identifier: String,
}
