//! Requests to shops, books and providers' OAuth addresses over HTTPS. The only crate that names `reqwest`.
//!
//! Invariants:
//! - A connection goes to an address that was checked: the resolver hands over checked addresses only, and a literal
//!   one is checked before it is used.
//! - Redirects, proxies, cookies, compression and retries don't exist here. One call is at most one request.
//! - Every request has a connection of its own. A thawed sandbox finds the idle ones dead after it has written to them,
//!   and a write that may have arrived costs minutes of waiting. A handshake costs two round trips.
//! - Time and size of an answer are bounded.
//! - "Not sent" is only said where no byte of the request can have left; whatever is unclear is "no answer".
//! - No error, log line or `Debug` names a token, a body or a query.

mod address;
mod api;
mod authority;
mod book;
mod exchange;
mod hook;
mod issuer;
mod shop;
mod target;
#[cfg(test)]
mod tests;

pub use api::{ApiBody, ApiCall, ApiMethod, HttpApi, address_with, parameters_of, split_address};
pub use authority::HttpAuthorities;
pub use book::HttpBook;
pub use hook::HttpHooks;
pub use issuer::HttpIssuer;
pub use shop::HttpShop;

use address::{CheckedResolver, Lookup, Reach, SystemLookup};
use reqwest::{Client, redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of a shop's answer. An invoice of 500 lines has about 150 KiB.
pub const SHOP_BODY_MAX: usize = 4 * 1_024 * 1_024;
/// Most bytes of a book's answer. A page of 100 documents has less than 1 MiB.
pub const BOOK_BODY_MAX: usize = 4 * 1_024 * 1_024;
/// Most bytes of an answer of a provider's OAuth addresses. Tokens have 4 KiB, a list of connections a few hundred
/// bytes each.
pub const AUTHORITY_BODY_MAX: usize = 256 * 1_024;
/// Most bytes of a webhook's answer that are read; only its status counts.
pub const HOOK_BODY_MAX: usize = 64 * 1_024;
/// Longest wait for a connection: name, TCP and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How we present ourselves.
const USER_AGENT: &str = concat!("Ledger/", env!("CARGO_PKG_VERSION"));

/// What the transport needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpConfig {
    /// Speaks to loopback and private addresses, over plain HTTP and on any port too: for stacks on one machine.
    /// Link-local, multicast and reserved addresses stay refused.
    pub allow_private_addresses: bool,
    /// Certificates in PEM that are trusted besides the bundled ones.
    pub extra_ca_pem: Option<Vec<u8>>,
}

impl HttpConfig {
    /// Reads the variables through `lookup`; an empty value counts as none. `ALLOW_PRIVATE_ADDRESSES` is `true` or
    /// `false`, by default `false`; `LEDGER_EXTRA_CA_FILE` is a file that is read here.
    ///
    /// # Errors
    /// Where either can't be used.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, HttpConfigError> {
        let optional = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        let allow_private_addresses = match optional("ALLOW_PRIVATE_ADDRESSES").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(HttpConfigError::AllowPrivateAddresses),
        };
        let extra_ca_pem = optional("LEDGER_EXTRA_CA_FILE")
            .map(std::fs::read)
            .transpose()
            .map_err(|error| HttpConfigError::ExtraCa(exchange::reason(&error)))?;
        Ok(Self { allow_private_addresses, extra_ca_pem })
    }
}

/// Why there is no transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpConfigError {
    /// The variable is neither of the two.
    #[error("ALLOW_PRIVATE_ADDRESSES: neither true nor false")]
    AllowPrivateAddresses,
    /// The extra certificates can't be read, or there are none.
    #[error("LEDGER_EXTRA_CA_FILE: {0}")]
    ExtraCa(String),
    /// TLS or the client can't be set up.
    #[error("the client: {0}")]
    Client(String),
}

/// The transport. Cheap to clone; nothing is connected, resolved or read from a file until a call is made.
#[derive(Clone)]
pub struct Http {
    client: Client,
    reach: Reach,
}

impl fmt::Debug for Http {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Http").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl Http {
    /// A transport with the bundled roots.
    ///
    /// # Errors
    /// Where the extra certificates are unreadable.
    pub fn new(config: &HttpConfig) -> Result<Self, HttpConfigError> {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    fn with_lookup(config: &HttpConfig, lookup: Arc<dyn Lookup>) -> Result<Self, HttpConfigError> {
        let reach = if config.allow_private_addresses { Reach::Private } else { Reach::Public };
        let client = Client::builder()
            .tls_backend_preconfigured(tls(config.extra_ca_pem.as_deref())?)
            .dns_resolver(CheckedResolver::new(lookup, reach))
            .https_only(reach == Reach::Public)
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| HttpConfigError::Client(exchange::reason(&error)))?;
        Ok(Self { client, reach })
    }

    /// Requests to shops.
    #[must_use]
    pub fn shop(&self) -> HttpShop {
        HttpShop { http: self.clone() }
    }

    /// The keys that an issuer of operators' tokens publishes at this address.
    #[must_use]
    pub fn issuer(&self, keys_url: &str) -> HttpIssuer {
        HttpIssuer { http: self.clone(), keys_url: keys_url.to_owned() }
    }

    /// Requests to providers' OAuth addresses.
    #[must_use]
    pub fn authorities(&self) -> HttpAuthorities {
        HttpAuthorities { http: self.clone() }
    }

    /// Requests of the command line to a stack's API, or to the issuer that signs operators in.
    #[must_use]
    pub fn api(&self, base_url: &str) -> HttpApi {
        HttpApi { http: self.clone(), base_url: base_url.to_owned() }
    }

    /// Requests to recipients' webhooks.
    #[must_use]
    pub fn hooks(&self) -> HttpHooks {
        HttpHooks { http: self.clone() }
    }

    /// Requests to books.
    #[must_use]
    pub fn book(&self) -> HttpBook {
        HttpBook { http: self.clone() }
    }
}

/// TLS 1.2 and 1.3 over `ring`, trusting the bundled roots: the system's would be files to read at start-up.
fn tls(extra_ca_pem: Option<&[u8]>) -> Result<ClientConfig, HttpConfigError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_ca_pem {
        let bundled = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| HttpConfigError::ExtraCa(exchange::reason(&error)))?;
            roots.add(certificate).map_err(|error| HttpConfigError::ExtraCa(exchange::reason(&error)))?;
        }
        if roots.len() == bundled {
            return Err(HttpConfigError::ExtraCa("no certificate in it".to_owned()));
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpConfigError::Client(exchange::reason(&error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
