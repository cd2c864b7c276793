//! One HTTPS connector and the service clients on it.
//!
//! Start-up is measured, so nothing here reads a file (but `LEDGER_EXTRA_CA_FILE`), asks an instance's metadata or
//! opens a connection: the trust store is compiled in, credentials are arguments, and the connector is made at the first
//! call.

use crate::config::{Config, Timeouts};
use crate::roots;
use aws_credential_types::Credentials;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use secrecy::ExposeSecret;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Before a second try; grows, with full jitter, up to [`LONGEST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// Between two tries.
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// Why the adapters can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// The file of extra certificates can't be used.
    #[error("LEDGER_EXTRA_CA_FILE: {0}")]
    ExtraCa(String),
    /// TLS can't be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

/// One connector for all clients: they share its connections and its timeouts, and it is made once, when first used.
#[derive(Clone, Debug)]
struct OneConnector {
    timeouts: Timeouts,
    tls: TlsContext,
    made: Arc<OnceLock<SharedHttpConnector>>,
}

impl OneConnector {
    fn make(&self) -> SharedHttpConnector {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(self.timeouts.connect)
            .read_timeout(self.timeouts.attempt)
            .build();
        SharedHttpConnector::new(
            Connector::builder()
                .connector_settings(settings)
                .sleep_impl(TokioSleep::new())
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .tls_context(self.tls.clone())
                .build(),
        )
    }
}

impl HttpClient for OneConnector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.made.get_or_init(|| self.make()).clone()
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some(Cow::Borrowed("1.x"))))
    }
}

/// What every client is built from.
#[derive(Clone, Debug)]
pub(crate) struct Foundation {
    http: SharedHttpClient,
    credentials: Credentials,
    region: String,
    timeouts: Timeouts,
}

macro_rules! service {
    ($function:ident, $sdk:ident) => {
        pub(crate) fn $function(&self, endpoint: Option<&str>) -> $sdk::Client {
            let mut builder = $sdk::config::Builder::new()
                .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
                .region($sdk::config::Region::new(self.region.clone()))
                .credentials_provider(self.credentials.clone())
                .http_client(self.http.clone())
                .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
                .retry_config(self.retries())
                .timeout_config(self.limits())
                .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled());
            builder.set_endpoint_url(endpoint.map(str::to_owned));
            $sdk::Client::from_conf(builder.build())
        }
    };
}

impl Foundation {
    /// Reads the extra certificates, if there are any; nothing else is read.
    pub(crate) fn new(config: &Config) -> Result<Self, AwsError> {
        let mut store = TrustStore::empty();
        store.add_pem_certificate(roots::AMAZON);
        if let Some(path) = &config.extra_ca_file {
            store.add_pem_certificate(roots::extra(path).map_err(AwsError::ExtraCa)?);
        }
        let tls =
            TlsContext::builder().with_trust_store(store).build().map_err(|error| AwsError::Tls(error.to_string()))?;
        let http =
            SharedHttpClient::new(OneConnector { timeouts: config.timeouts, tls, made: Arc::new(OnceLock::new()) });
        Ok(Self::with_http(config, http))
    }

    /// On another HTTP client.
    pub(crate) fn with_http(config: &Config, http: SharedHttpClient) -> Self {
        let keys = &config.keys;
        let credentials = Credentials::new(
            keys.access_key_id.clone(),
            keys.secret_access_key.expose_secret(),
            keys.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
            None,
            "environment",
        );
        Self { http, credentials, region: config.region.clone(), timeouts: config.timeouts }
    }

    fn retries(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.timeouts.attempts)
            .with_initial_backoff(FIRST_BACKOFF)
            .with_max_backoff(LONGEST_BACKOFF)
    }

    fn limits(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .operation_timeout(self.timeouts.operation)
            .operation_attempt_timeout(self.timeouts.attempt)
            .connect_timeout(self.timeouts.connect)
            .build()
    }

    service!(dynamodb, aws_sdk_dynamodb);
    service!(sqs, aws_sdk_sqs);
    service!(kms, aws_sdk_kms);
}
