//! One HTTPS connector and the service clients on it.
//!
//! Start-up is measured, so nothing here reads a file (but `LEDGER_EXTRA_CA_FILE`), asks an instance's metadata or
//! opens a connection: the trust store is compiled in, credentials are arguments, and the connector is made at the first
//! call.

use crate::config::{Config, Timeouts};
use crate::lane::Lane;
use crate::roots;
use aws_credential_types::Credentials;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use secrecy::ExposeSecret;
use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

/// Before a second try; grows, with full jitter, up to [`LONGEST_BACKOFF`].
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_millis(50);
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

/// The connector that is made when it is first used.
#[derive(Debug)]
struct LateConnector {
    timeouts: Timeouts,
    tls: TlsContext,
    made: OnceLock<SharedHttpConnector>,
}

impl LateConnector {
    fn make(&self) -> SharedHttpConnector {
        // Whoever calls limits the whole try; a timer for reading would always be the later one.
        let settings = HttpConnectorSettings::builder().connect_timeout(self.timeouts.connect).build();
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

impl HttpConnector for LateConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.made.get_or_init(|| self.make()).call(request)
    }
}

/// One connector for all clients: they share its connections and its timeouts.
#[derive(Clone, Debug)]
struct OneConnector(SharedHttpConnector);

impl HttpClient for OneConnector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.0.clone()
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some(Cow::Borrowed("1.x"))))
    }
}

/// What every client is built from.
#[derive(Clone, Debug)]
pub(crate) struct Foundation {
    connector: SharedHttpConnector,
    credentials: Credentials,
    region: String,
    timeouts: Timeouts,
}

/// How often the SDK tries.
pub(crate) fn retries(timeouts: Timeouts) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(timeouts.attempts)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF)
}

/// How long it may take.
pub(crate) fn limits(timeouts: Timeouts) -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_timeout(timeouts.operation)
        .operation_attempt_timeout(timeouts.attempt)
        .connect_timeout(timeouts.connect)
        .build()
}

macro_rules! service {
    ($function:ident, $sdk:ident) => {
        pub(crate) fn $function(&self, endpoint: Option<&str>) -> $sdk::Client {
            let mut builder = $sdk::config::Builder::new()
                .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
                .region($sdk::config::Region::new(self.region.clone()))
                .credentials_provider(self.credentials.clone())
                .http_client(SharedHttpClient::new(OneConnector(self.connector.clone())))
                .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
                .retry_config(retries(self.timeouts))
                .timeout_config(limits(self.timeouts))
                .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled());
            builder.set_endpoint_url(endpoint.map(str::to_owned));
            $sdk::Client::from_conf(builder.build())
        }
    };
}

macro_rules! lane {
    ($function:ident, $sdk:ident, $name:literal) => {
        /// The short way to the service, at the address that the SDK's own rules give; none where they give none.
        pub(crate) async fn $function(&self, endpoint: Option<&str>) -> Option<Lane> {
            use $sdk::config::endpoint::ResolveEndpoint;
            let asked = $sdk::config::endpoint::Params::builder().region(self.region.clone());
            let asked = asked.set_endpoint(endpoint.map(str::to_owned)).build().ok()?;
            let place = $sdk::config::endpoint::DefaultResolver::new().resolve_endpoint(&asked).await.ok()?;
            let (connector, credentials) = (self.connector.clone(), self.credentials.clone());
            Lane::new(connector, credentials, self.region.clone(), self.timeouts, $name, place.url())
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
        let connector = LateConnector { timeouts: config.timeouts, tls, made: OnceLock::new() };
        Ok(Self::with_connector(config, SharedHttpConnector::new(connector)))
    }

    /// On another connector.
    pub(crate) fn with_connector(config: &Config, connector: SharedHttpConnector) -> Self {
        let keys = &config.keys;
        let credentials = Credentials::new(
            keys.access_key_id.clone(),
            keys.secret_access_key.expose_secret(),
            keys.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
            None,
            "environment",
        );
        Self { connector, credentials, region: config.region.clone(), timeouts: config.timeouts }
    }

    lane!(dynamodb_lane, aws_sdk_dynamodb, "dynamodb");
    lane!(sqs_lane, aws_sdk_sqs, "sqs");
    service!(dynamodb, aws_sdk_dynamodb);
    service!(sqs, aws_sdk_sqs);
    service!(kms, aws_sdk_kms);
    service!(sns, aws_sdk_sns);
}
