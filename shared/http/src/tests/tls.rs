use super::server::{self, Act, Seen, answer};
use super::write;
use crate::{Http, HttpConfig, HttpConfigError};
use ledger_engine::ports::TransportFault;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A server that speaks HTTP/1.1 and prefers HTTP/2.
    async fn serve(&self, name: &str) -> (u16, Arc<Mutex<Vec<Seen>>>, Arc<Mutex<Vec<Option<Vec<u8>>>>>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let spoken = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn({
            let (seen, spoken) = (seen.clone(), spoken.clone());
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let Ok(stream) = acceptor.accept(stream).await else { continue };
                    spoken.lock().unwrap().push(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec));
                    tokio::spawn(server::talk(stream, 0, Act::Say(answer("200 OK", "", "{}")), seen.clone()));
                }
            }
        });
        (port, seen, spoken)
    }
}

fn trusting(pem: Option<Vec<u8>>) -> Http {
    Http::new(&HttpConfig { allow_private_addresses: true, extra_ca_pem: pem }).unwrap()
}

#[tokio::test]
async fn an_extra_authority_is_trusted() {
    let authority = Authority::new();
    let (port, seen, spoken) = authority.serve("localhost").await;
    let pem = [Authority::new().pem(), b"a comment\n".to_vec(), authority.pem()].concat();
    let http = trusting(Some(pem));
    for _ in 0..2 {
        assert_eq!(write(&http, &format!("https://localhost:{port}")).await.unwrap().status, 200);
    }
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert_eq!(*spoken.lock().unwrap(), [Some(b"http/1.1".to_vec()), Some(b"http/1.1".to_vec())]);
}

#[tokio::test]
async fn an_unknown_authority_or_name_is_not_sent() {
    let authority = Authority::new();
    let (port, seen, _) = authority.serve("book.example").await;
    for http in [trusting(None), trusting(Some(Authority::new().pem())), trusting(Some(authority.pem()))] {
        let fault = write(&http, &format!("https://localhost:{port}")).await.unwrap_err();
        assert!(matches!(fault, TransportFault::NotSent(_)), "{fault:?}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn plain_http_in_place_of_tls_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received).await;
        received
    });
    let fault = write(&trusting(None), &url).await.unwrap_err();
    assert!(matches!(fault, TransportFault::NotSent(_)), "{fault:?}");
    let received = task.await.unwrap();
    assert!(!received.windows(4).any(|bytes| bytes == b"POST"), "nothing in the clear");
}

#[test]
fn unreadable_authorities_are_found_at_once() {
    for pem in [
        &b""[..],
        b"not a certificate",
        b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n",
    ] {
        let made = Http::new(&HttpConfig { allow_private_addresses: false, extra_ca_pem: Some(pem.to_vec()) });
        assert!(matches!(made, Err(HttpConfigError::ExtraCa(_))), "{made:?}");
    }
}

#[test]
fn the_configuration_comes_from_variables() {
    let from = |private: Option<&str>, file: Option<&str>| {
        HttpConfig::from_lookup(&|name| match name {
            "ALLOW_PRIVATE_ADDRESSES" => private.map(str::to_owned),
            "LEDGER_EXTRA_CA_FILE" => file.map(str::to_owned),
            _ => None,
        })
    };
    for (private, expected) in [(None, false), (Some(""), false), (Some("false"), false), (Some("true"), true)] {
        assert_eq!(from(private, Some("")).unwrap().allow_private_addresses, expected);
    }
    for private in ["TRUE", "1", "yes", " true"] {
        assert_eq!(from(Some(private), None), Err(HttpConfigError::AllowPrivateAddresses));
    }
    assert_eq!(from(None, None), Ok(HttpConfig::default()));
    assert!(matches!(from(None, Some("/nowhere/at-all.pem")), Err(HttpConfigError::ExtraCa(_))));
    let read = from(None, Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).unwrap();
    assert!(read.extra_ca_pem.as_ref().is_some_and(|bytes| bytes.starts_with(b"[package]")));
    assert!(matches!(Http::new(&read), Err(HttpConfigError::ExtraCa(_))));
}
