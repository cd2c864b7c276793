//! Whom the connector speaks TLS with: Amazon's authorities and those of `LEDGER_EXTRA_CA_FILE`, nobody else.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use ledger_aws::{Aws, AwsError, Config};
use ledger_engine::ports::{PortFault, Tenants};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

/// A server that answers every request with an empty success, under a certificate of its own authority.
struct Server {
    url: String,
    /// The authority, as PEM.
    authority: String,
}

fn answer(socket: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, socket);
    // The request comes in a few reads; these tests' ones have their body in the last.
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut part = [0; 4_096];
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Ok(());
        }
        request.extend(part.iter().take(length));
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")?;
    stream.flush()
}

impl Server {
    fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // A client that refuses the certificate hangs up.
                answer(socket, Arc::clone(&config)).ok();
            }
        });
        Self { url, authority: authority.pem() }
    }

    fn config(&self, extra_ca_file: Option<String>) -> Config {
        let mut config = Config::from_lookup(&|name| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "AWS_ENDPOINT_URL" => Some(self.url.clone()),
            _ if name.starts_with("AWS_ENDPOINT_URL_") => None,
            "LEDGER_EXTRA_CA_FILE" => extra_ca_file.clone(),
            _ => Some(name.to_lowercase()),
        })
        .unwrap();
        config.timeouts.attempt = std::time::Duration::from_secs(10);
        config.timeouts.operation = std::time::Duration::from_secs(20);
        config
    }
}

struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ledger-tls-{}-{name}.pem", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> Option<String> {
        self.0.to_str().map(str::to_owned)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

#[tokio::test]
async fn an_authority_that_is_not_amazons_is_refused() {
    let server = Server::start();
    let aws = Aws::new(&server.config(None)).unwrap();
    let answer = aws.store().tenancy("t").await;
    assert_eq!(answer, Err(PortFault::Unavailable("Query: no connection".to_owned())));
}

#[tokio::test]
async fn an_extra_authority_is_trusted() {
    let server = Server::start();
    let file = File::new("own", &server.authority);
    let aws = Aws::new(&server.config(file.path())).unwrap();
    assert_eq!(aws.store().tenancy("t").await, Ok(None));
    // Another's is not.
    let other = Server::start();
    let aws = Aws::new(&other.config(file.path())).unwrap();
    assert!(matches!(aws.store().tenancy("t").await, Err(PortFault::Unavailable(_))));
}

#[test]
fn a_file_that_can_not_be_used_is_an_error_at_start() {
    let server = Server::start();
    for text in ["", "-----BEGIN CERTIFICATE-----\nbm9pc2U=\n-----END CERTIFICATE-----\n"] {
        let file = File::new("bad", text);
        assert!(matches!(Aws::new(&server.config(file.path())), Err(AwsError::ExtraCa(_))));
    }
    let missing = Aws::new(&server.config(Some("/does/not/exist.pem".to_owned())));
    assert!(matches!(missing, Err(AwsError::ExtraCa(_))));
}
