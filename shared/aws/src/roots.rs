//! Whom the connector trusts: Amazon's own certificate authorities, which sign every AWS endpoint, and no others.
//! Reading a system's store instead would cost about a thousand system calls at every cold start.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Common names of the authorities (<https://www.amazontrust.com/repository/>).
const NAMES: [&str; 5] = [
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
];
/// A certificate's issuer, here also its subject, is within its first bytes.
const ISSUER_WITHIN: usize = 320;

/// Amazon's authorities, each as PEM.
pub(crate) fn amazon() -> impl Iterator<Item = Vec<u8>> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter(|der| is_amazons(der)).map(|der| pem(der))
}

fn is_amazons(der: &[u8]) -> bool {
    let issuer = der.get(..ISSUER_WITHIN).unwrap_or(der);
    NAMES.iter().any(|name| issuer.windows(name.len()).any(|bytes| bytes == name.as_bytes()))
}

fn pem(der: &[u8]) -> Vec<u8> {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der)).into_bytes()
}

/// A file of certificates, as PEM, each of them parsed once: the connector itself would panic at a bad one.
pub(crate) fn extra(path: &str) -> Result<Vec<u8>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let certificates =
        CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    let mut store = rustls::RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_amazons_authorities_are_there_and_no_others() {
        let pems: Vec<Vec<u8>> = amazon().collect();
        assert_eq!(pems.len(), NAMES.len());
        let mut store = rustls::RootCertStore::empty();
        for pem in &pems {
            store.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        }
        let subjects: Vec<String> =
            store.subjects().iter().map(|name| String::from_utf8_lossy(name.as_ref()).into_owned()).collect();
        for name in NAMES {
            assert_eq!(subjects.iter().filter(|subject| subject.ends_with(name)).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_bad_file_is_an_error_and_not_a_panic() {
        let folder = std::env::temp_dir().join(format!("ledger-roots-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        assert!(extra(&write("empty.pem", b"")).is_err());
        assert!(extra(&write("noise.pem", &pem(b"not a certificate"))).is_err());
        assert!(extra("/does/not/exist.pem").is_err());
        let good = amazon().next().unwrap();
        assert_eq!(extra(&write("good.pem", &good)).unwrap(), good);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
