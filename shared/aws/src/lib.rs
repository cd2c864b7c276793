//! The engine's ports on DynamoDB, SQS, SNS and KMS.
//!
//! [`Config`] names everything, [`Aws`] makes the adapters: [`DynamoStore`], [`SqsQueue`], [`SnsTopic`], [`KmsVault`]. The two
//! senses that the engine may not have itself are [`SystemClock`] and [`SystemChance`].
//!
//! What the adapters add to the SDK:
//! - the first try of a transaction and of a send goes a short way (`lane`), because every event makes both;
//! - one transaction per step of the engine, whose conditions say what was seen;
//! - transaction conflicts are tried again (the SDK doesn't), all other trouble is [`Unavailable`];
//! - a write that was applied although its reply was lost is recognised when it is repeated;
//! - a row that can't be read, or that a newer build wrote, is [`Inconsistent`] and never guessed at.
//!
//! [`Unavailable`]: ledger_engine::ports::PortFault::Unavailable
//! [`Inconsistent`]: ledger_engine::ports::PortFault::Inconsistent

mod config;
mod connect;
mod fault;
mod item;
mod lane;
pub mod process;
mod queue;
mod roots;
mod senses;
mod store;
mod topic;
mod vault;
mod write;

pub use config::{Config, ConfigError, Endpoints, Keys, Queues, Tables, Timeouts};
pub use connect::AwsError;
/// What the adapters serve, for programs that may depend on nothing else.
pub use ledger_engine as engine;
pub use queue::SqsQueue;
pub use senses::{SystemChance, SystemClock};
pub use store::DynamoStore;
pub use topic::SnsTopic;
pub use vault::KmsVault;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use connect::Foundation;

/// Makes the adapters. They share one connector, so one pool of connections.
#[derive(Clone, Debug)]
pub struct Aws {
    config: Config,
    foundation: Foundation,
}

impl Aws {
    /// Prepares the connector. No call, and no file read but `LEDGER_EXTRA_CA_FILE`.
    ///
    /// # Errors
    /// Where the extra certificates can't be used.
    pub fn new(config: &Config) -> Result<Self, AwsError> {
        Ok(Self { foundation: Foundation::new(config)?, config: config.clone() })
    }

    /// On a connector of the caller's, for tests.
    pub fn with_connector(config: &Config, connector: impl HttpConnector + 'static) -> Self {
        let connector = SharedHttpConnector::new(connector);
        Self { foundation: Foundation::with_connector(config, connector), config: config.clone() }
    }

    /// The tables. Builds the DynamoDB client, so call it once and clone the answer.
    #[must_use]
    pub fn store(&self) -> DynamoStore {
        let endpoint = self.config.endpoints.dynamodb.clone();
        DynamoStore::new(self.foundation.clone(), endpoint, self.config.tables.clone())
    }

    /// The queues. The SQS client is built at the first call.
    #[must_use]
    pub fn queue(&self) -> SqsQueue {
        SqsQueue::new(self.foundation.clone(), self.config.endpoints.sqs.clone(), self.config.queues.clone())
    }

    /// The topic of notices. The SNS client is built at the first call.
    #[must_use]
    pub fn topic(&self) -> SnsTopic {
        let (endpoint, arn) = (self.config.endpoints.sns.clone(), self.config.topic_notices.clone());
        SnsTopic::new(self.foundation.clone(), endpoint, arn)
    }

    /// The vault. The KMS client is built at the first call.
    #[must_use]
    pub fn vault(&self) -> KmsVault {
        KmsVault::new(self.foundation.clone(), self.config.endpoints.kms.clone(), self.config.kms_key_id.clone())
    }
}
