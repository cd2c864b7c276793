//! What the adapters need to know, read by name.

use ledger_domain::identity::Event;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::time::Duration;

/// Variables that name the queues of events.
const WORK_QUEUES: [(Event, &str); 5] = [
    (Event::InvoiceCreated, "QUEUE_INVOICE_CREATED_URL"),
    (Event::InvoicePaid, "QUEUE_INVOICE_PAID_URL"),
    (Event::CreditmemoCreated, "QUEUE_CREDITMEMO_CREATED_URL"),
    (Event::CustomerUpserted, "QUEUE_CUSTOMER_UPSERTED_URL"),
    (Event::ProductUpserted, "QUEUE_PRODUCT_UPSERTED_URL"),
];

/// How long a call may take and how often it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// One try, from connecting to the last byte.
    pub attempt: Duration,
    /// All tries of a call together.
    pub operation: Duration,
    /// Connecting, handshake included.
    pub connect: Duration,
    /// Tries, the first included.
    pub attempts: u32,
}

impl Default for Timeouts {
    /// The webhook's: a shop gives up after 15 seconds, and one delivery makes at most three calls.
    fn default() -> Self {
        Self {
            attempt: Duration::from_millis(1_500),
            operation: Duration::from_secs(4),
            connect: Duration::from_secs(1),
            attempts: 3,
        }
    }
}

/// Names of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Runs, attempts, spent tokens, chips.
    pub sync_runs: String,
    /// Cross-references.
    pub entity_xref: String,
    /// Tenants, bindings, books.
    pub tenants: String,
}

/// URLs of the queues. A function knows only those that it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Attempts, by event.
    pub work: BTreeMap<Event, String>,
    /// Chips to push.
    pub push_sync_state: Option<String>,
    /// Bells of dead letters.
    pub dead_letter: Option<String>,
}

/// Addresses that replace those of AWS, for a local engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// DynamoDB's.
    pub dynamodb: Option<String>,
    /// SQS's.
    pub sqs: Option<String>,
    /// KMS's.
    pub kms: Option<String>,
    /// SNS's.
    pub sns: Option<String>,
}

/// Credentials of the process.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: SecretString,
    /// The session's token; functions always have one.
    pub session_token: Option<SecretString>,
}

/// Everything that the adapters need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Tables.
    pub tables: Tables,
    /// Id or ARN of the key that seals secrets.
    pub kms_key_id: String,
    /// Queues.
    pub queues: Queues,
    /// ARN of the topic of notices.
    pub topic_notices: Option<String>,
    /// Region.
    pub region: String,
    /// Addresses that replace those of AWS.
    pub endpoints: Endpoints,
    /// Credentials.
    pub keys: Keys,
    /// A PEM file with certificates to trust besides Amazon's.
    pub extra_ca_file: Option<String>,
    /// How long a call may take.
    pub timeouts: Timeouts,
}

/// A variable that is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is not set")]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
}

impl Config {
    /// Reads every variable through `lookup`; an empty value counts as none.
    ///
    /// Required: `TABLE_SYNC_RUNS`, `TABLE_ENTITY_XREF`, `TABLE_TENANTS`, `KMS_KEY_ID`, `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`. Optional: a queue for each event (`QUEUE_INVOICE_CREATED_URL`, …),
    /// `QUEUE_PUSH_SYNC_STATE_URL`, `QUEUE_DEAD_LETTER_URL`, `TOPIC_NOTICES_ARN`, `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL`,
    /// `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL_KMS`, `AWS_ENDPOINT_URL_SNS` (each before the
    /// general one) and `LEDGER_EXTRA_CA_FILE`.
    ///
    /// # Errors
    /// The first required variable that is missing.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        let required = |variable: &'static str| optional(variable).ok_or(ConfigError { variable });
        let endpoint = |variable: &str| optional(variable).or_else(|| optional("AWS_ENDPOINT_URL"));
        Ok(Self {
            tables: Tables {
                sync_runs: required("TABLE_SYNC_RUNS")?,
                entity_xref: required("TABLE_ENTITY_XREF")?,
                tenants: required("TABLE_TENANTS")?,
            },
            kms_key_id: required("KMS_KEY_ID")?,
            queues: Queues {
                work: WORK_QUEUES
                    .into_iter()
                    .filter_map(|(event, variable)| Some((event, optional(variable)?)))
                    .collect(),
                push_sync_state: optional("QUEUE_PUSH_SYNC_STATE_URL"),
                dead_letter: optional("QUEUE_DEAD_LETTER_URL"),
            },
            topic_notices: optional("TOPIC_NOTICES_ARN"),
            region: required("AWS_REGION")?,
            endpoints: Endpoints {
                dynamodb: endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
                sqs: endpoint("AWS_ENDPOINT_URL_SQS"),
                kms: endpoint("AWS_ENDPOINT_URL_KMS"),
                sns: endpoint("AWS_ENDPOINT_URL_SNS"),
            },
            keys: Keys {
                access_key_id: required("AWS_ACCESS_KEY_ID")?,
                secret_access_key: required("AWS_SECRET_ACCESS_KEY")?.into(),
                session_token: optional("AWS_SESSION_TOKEN").map(SecretString::from),
            },
            extra_ca_file: optional("LEDGER_EXTRA_CA_FILE"),
            timeouts: Timeouts::default(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const REQUIRED: [&str; 7] = [
        "TABLE_SYNC_RUNS",
        "TABLE_ENTITY_XREF",
        "TABLE_TENANTS",
        "KMS_KEY_ID",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ];

    pub(crate) fn variables() -> BTreeMap<&'static str, String> {
        REQUIRED.iter().map(|name| (*name, format!("value-of-{name}"))).collect()
    }

    pub(crate) fn config(variables: &BTreeMap<&'static str, String>) -> Result<Config, ConfigError> {
        Config::from_lookup(&|name| variables.get(name).cloned())
    }

    #[test]
    fn a_missing_or_empty_variable_is_named() {
        for name in REQUIRED {
            let mut without = variables();
            without.remove(name);
            assert_eq!(config(&without).unwrap_err(), ConfigError { variable: name });
            without.insert(name, String::new());
            assert_eq!(config(&without).unwrap_err().to_string(), format!("{name} is not set"));
        }
    }

    #[test]
    fn the_least_is_enough() {
        let config = config(&variables()).unwrap();
        assert_eq!(config.tables.sync_runs, "value-of-TABLE_SYNC_RUNS");
        assert_eq!(config.queues, Queues::default());
        assert_eq!(config.endpoints, Endpoints::default());
        assert!(config.keys.session_token.is_none());
        assert_eq!(config.timeouts, Timeouts::default());
    }

    #[test]
    fn a_services_own_endpoint_comes_before_the_general_one() {
        let mut variables = variables();
        variables.insert("AWS_ENDPOINT_URL", "http://127.0.0.1:4566".to_owned());
        variables.insert("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9".to_owned());
        let endpoints = config(&variables).unwrap().endpoints;
        assert_eq!(endpoints.dynamodb.as_deref(), Some("http://127.0.0.1:4566"));
        assert_eq!(endpoints.sqs.as_deref(), Some("http://127.0.0.1:4566"));
        assert_eq!(endpoints.kms.as_deref(), Some("http://127.0.0.1:9"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut variables = variables();
        variables.insert("AWS_SECRET_ACCESS_KEY", "hush".to_owned());
        variables.insert("AWS_SESSION_TOKEN", "hush".to_owned());
        assert!(!format!("{:?}", config(&variables).unwrap()).contains("hush"));
    }
}
