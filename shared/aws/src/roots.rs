//! Whom the connector trusts: Amazon's own certificate authorities (<https://www.amazontrust.com/repository/>), which
//! sign every AWS endpoint, and no others. Reading a system's store instead would cost about a thousand system calls at
//! every cold start.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Amazon's authorities, as Mozilla's list has them; a test compares the two.
pub(crate) const AMAZON: &[u8] = include_bytes!("roots/amazon.pem");

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

    const NOISE: &[u8] = b"-----BEGIN CERTIFICATE-----\nbm9pc2U=\n-----END CERTIFICATE-----\n";
    const NAMES: [&str; 5] = [
        "Amazon Root CA 1",
        "Amazon Root CA 2",
        "Amazon Root CA 3",
        "Amazon Root CA 4",
        "Starfield Services Root Certificate Authority - G2",
    ];

    /// What Mozilla's list has under a name.
    fn listed(name: &str) -> CertificateDer<'static> {
        let named = |der: &CertificateDer<'_>| {
            let mut store = rustls::RootCertStore::empty();
            store.add(der.clone().into_owned()).is_ok()
                && store.subjects().iter().any(|subject| subject.as_ref().ends_with(name.as_bytes()))
        };
        let all = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        all.iter().find(|der| named(der)).unwrap_or_else(|| panic!("{name} is not trusted any more")).clone()
    }

    #[test]
    fn the_authorities_are_amazons_as_mozilla_lists_them() {
        let ours: Vec<_> = CertificateDer::pem_slice_iter(AMAZON).collect::<Result<_, _>>().unwrap();
        assert_eq!(ours, NAMES.map(listed));
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
        assert!(extra(&write("noise.pem", NOISE)).is_err());
        assert!(extra("/does/not/exist.pem").is_err());
        assert_eq!(extra(&write("good.pem", AMAZON)).unwrap(), AMAZON);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
