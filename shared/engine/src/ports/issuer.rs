//! The issuer of operators' tokens.

use super::PortResult;
use async_trait::async_trait;

/// Where the issuer publishes its keys.
#[async_trait]
pub trait IssuerKeys: Send + Sync {
    /// The key set, as JSON (RFC 7517).
    async fn keys(&self) -> PortResult<Vec<u8>>;
}
