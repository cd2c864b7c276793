//! The topic of notices.

use crate::connect::Foundation;
use crate::fault::unavailable;
use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use ledger_engine::ports::{Notices, PortFault, PortResult, Published};
use std::sync::{Arc, OnceLock};

/// The topic, on SNS. The client is built at the first call: most functions never publish.
#[derive(Clone, Debug)]
pub struct SnsTopic {
    foundation: Foundation,
    endpoint: Option<String>,
    arn: Option<String>,
    client: Arc<OnceLock<Client>>,
}

impl SnsTopic {
    pub(crate) fn new(foundation: Foundation, endpoint: Option<String>, arn: Option<String>) -> Self {
        Self { foundation, endpoint, arn, client: Arc::new(OnceLock::new()) }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| self.foundation.sns(self.endpoint.as_deref()))
    }
}

#[async_trait]
impl Notices for SnsTopic {
    /// One Publish. What subscribers filter by are message attributes of type String.
    async fn publish(&self, notice: &Published) -> PortResult<()> {
        let arn = self
            .arn
            .as_deref()
            .ok_or_else(|| PortFault::Unavailable("the topic of notices is not configured".to_owned()))?;
        let mut call = self.client().publish().topic_arn(arn).subject(&notice.subject).message(&notice.text);
        for (name, value) in &notice.attributes {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let attribute = attribute.map_err(|error| PortFault::Inconsistent(error.to_string()))?;
            call = call.message_attributes(*name, attribute);
        }
        call.send().await.map_err(|error| unavailable("Publish", &error))?;
        Ok(())
    }
}
