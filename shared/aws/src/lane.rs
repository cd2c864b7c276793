//! The short way to a service, for the calls that every event makes.
//!
//! The SDK's orchestrator takes several times as long as signing and sending do. So the first try of a hot call is made
//! here: a body in JSON, signed, on the connection that the SDK uses. Whatever isn't plainly answered is left to the SDK,
//! which has the tries and the time that remain.

use crate::config::Timeouts;
use crate::connect::{FIRST_BACKOFF, limits, retries};
use crate::process::environment;
use crate::senses::{SystemChance, SystemClock};
use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use ledger_engine::ports::{Chance, Clock};
use std::time::{Duration, UNIX_EPOCH};

/// A service and what it takes to call it.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    connector: SharedHttpConnector,
    credentials: Credentials,
    region: String,
    timeouts: Timeouts,
    /// As signatures name it.
    service: &'static str,
    host: String,
    url: String,
}

impl Lane {
    /// What the SDK may still do after a call here: the tries and the time that are left. Waits as long as it would.
    pub(crate) async fn leaves(&self) -> (RetryConfig, TimeoutConfig) {
        let spread = u64::try_from(FIRST_BACKOFF.as_millis()).unwrap_or(u64::MAX);
        let wait = SystemChance.number().checked_rem(spread).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let Timeouts { attempt, operation, attempts, .. } = self.timeouts;
        let left = Timeouts {
            attempts: attempts.saturating_sub(1).max(1),
            operation: operation.saturating_sub(attempt).saturating_sub(FIRST_BACKOFF).max(attempt),
            ..self.timeouts
        };
        (retries(left), limits(left))
    }

    /// `None` where the address is more than scheme, host and port.
    pub(crate) fn new(
        connector: SharedHttpConnector,
        credentials: Credentials,
        region: String,
        timeouts: Timeouts,
        service: &'static str,
        url: &str,
    ) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
            return None;
        }
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let host = authority.strip_suffix(usual).unwrap_or(authority).to_owned();
        Some(Self { connector, credentials, region, timeouts, service, host, url: format!("{scheme}://{authority}/") })
    }

    /// One try. `None` where there is no answer in time, or one that says that there is trouble.
    pub(crate) async fn call(&self, target: &'static str, body: Vec<u8>) -> Option<HttpResponse> {
        let connection = CaptureSmithyConnection::new();
        let mut request = self.signed(target, body, SystemClock.now_ms()).ok()?;
        request.add_extension(connection.clone());
        let answer = async {
            let mut response = self.connector.call(request).await.ok()?;
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            let body = ByteStream::new(body).collect().await.ok()?;
            *response.body_mut() = SdkBody::from(body.into_bytes());
            Some(response)
        };
        let response = tokio::time::timeout(self.timeouts.attempt, answer).await.ok()??;
        if response.status().is_server_error() {
            // As the SDK does: the next try is on another connection.
            if let Some(connection) = connection.get() {
                connection.poison();
            }
            return None;
        }
        Some(response)
    }

    /// The request with its signature: of this one shape, which `aws-sigv4` would put together anew for each call.
    fn signed(&self, target: &'static str, body: Vec<u8>, now_ms: i64) -> Result<HttpRequest, BoxError> {
        const CONTENT: &str = "application/x-amz-json-1.0";
        let now = DateTime::from_secs(now_ms.div_euclid(1_000));
        let date: String = now.fmt(Format::DateTime)?.chars().filter(|letter| !"-:".contains(*letter)).collect();
        let day = date.split('T').next().unwrap_or_default();
        let (host, service, region, keys) = (&self.host, self.service, &self.region, &self.credentials);
        let (token, token_name) = match keys.session_token() {
            Some(token) => (format!("x-amz-security-token:{token}\n"), "x-amz-security-token;"),
            None => (String::new(), ""),
        };
        let names = format!("content-type;host;x-amz-date;{token_name}x-amz-target");
        let canonical = format!(
            "POST\n/\n\ncontent-type:{CONTENT}\nhost:{host}\nx-amz-date:{date}\n{token}x-amz-target:{target}\n\n{names}\n{}",
            sha256(&body)
        );
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(now.secs())?);
        let signature =
            calculate_signature(generate_signing_key(keys.secret_access_key(), time, region, service), text.as_bytes());
        let key = keys.access_key_id();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}");

        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST")?;
        request.set_uri(self.url.as_str())?;
        let headers = request.headers_mut();
        headers.insert("content-type", CONTENT);
        headers.insert("x-amz-target", target);
        headers.try_insert("x-amz-date", date)?;
        headers.try_insert("authorization", authorization)?;
        if let Some(token) = keys.session_token() {
            headers.try_insert("x-amz-security-token", token.to_owned())?;
        }
        headers.insert("user-agent", concat!("ledger/", env!("CARGO_PKG_VERSION")));
        // By it AWS notices functions that call each other in a circle.
        if let Some(trace) = environment("_X_AMZN_TRACE_ID") {
            headers.try_insert("x-amzn-trace-id", trace)?;
        }
        Ok(request)
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

/// What a refusal says, read by the SDK; `operation` is the SDK's.
pub(crate) fn refusal<E: std::error::Error + Send + Sync + 'static>(
    operation: &impl RuntimePlugin,
    answer: &HttpResponse,
) -> Option<E> {
    let layer = operation.config()?;
    let reader = layer.load::<SharedResponseDeserializer>()?;
    let error = reader.deserialize_nonstreaming_with_config(answer, &ConfigBag::base()).err()?;
    let mut said = None;
    error.map_operation_error(|error| said = error.downcast().ok());
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
    use aws_sigv4::sign::v4;
    use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
    use std::collections::BTreeMap;

    #[derive(Debug)]
    struct Nobody;

    impl HttpConnector for Nobody {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::new(std::future::pending())
        }
    }

    fn lane(url: &str, token: Option<&str>) -> Option<Lane> {
        let connector = SharedHttpConnector::new(Nobody);
        let credentials = Credentials::new("AKID", "hush", token.map(str::to_owned), None, "test");
        Lane::new(connector, credentials, "eu-west-2".to_owned(), Timeouts::default(), "dynamodb", url)
    }

    /// What the signer makes of the request that is signed here.
    fn by_the_signer(lane: &Lane, request: &HttpRequest, now_ms: i64) -> BTreeMap<String, String> {
        let identity = lane.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&lane.region)
            .name(lane.service)
            .time(UNIX_EPOCH + Duration::from_millis(now_ms.try_into().unwrap()))
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let unsigned = ["content-type", "x-amz-target"].map(|name| (name, request.headers().get(name).unwrap()));
        let body = SignableBody::Bytes(request.body().bytes().unwrap());
        let signable = SignableRequest::new("POST", request.uri(), unsigned.into_iter(), body).unwrap();
        let signed = sign(signable, &SigningParams::V4(params)).unwrap();
        signed.output().headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn the_signature_is_the_signers() {
        for url in ["https://dynamodb.eu-west-2.amazonaws.com", "https://127.0.0.1:4566/", "http://localhost:80"] {
            for token in [None, Some("IQoJ/b3JpZ2luX2+VjE==")] {
                for now_ms in [0, 951_782_399_999, 1_795_000_000_123, 4_102_444_800_000] {
                    let lane = lane(url, token).unwrap();
                    let request = lane.signed("Target.Operation", b"{\"a\":1}".to_vec(), now_ms).unwrap();
                    let expected = by_the_signer(&lane, &request, now_ms);
                    assert_eq!(expected.len(), 2 + usize::from(token.is_some()));
                    for (name, value) in expected {
                        assert_eq!(
                            request.headers().get(&name),
                            Some(value.as_str()),
                            "{url} {token:?} {now_ms} {name}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn an_address_of_another_shape_has_no_lane() {
        for url in ["https://example.com/path", "https://example.com?query", "", "/", "https://"] {
            assert!(lane(url, None).is_none(), "{url}");
        }
    }
}
