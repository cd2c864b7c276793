use crate::stack::config;
use ledger_aws::{Aws, KmsVault};
use ledger_engine::ports::{PortFault, SealContext, Vault};
use ledger_wire::rows::SealedRow;
use secrecy::{ExposeSecret, SecretString};

fn context() -> SealContext {
    SealContext { label: "tenants/v1", owner: "t-1".to_owned(), attribute: "api_key" }
}

/// A new one each time: what one has opened, it remembers.
fn vault(config: &ledger_aws::Config) -> KmsVault {
    Aws::new(config).unwrap().vault()
}

#[tokio::test]
async fn a_secret_opens_where_it_was_sealed() {
    let Some(config) = config() else { return };
    for secret in ["s", "pässword", &"x".repeat(4_096)] {
        let sealed = vault(&config).seal(&SecretString::from(secret), 3, &context()).await.unwrap();
        assert_eq!(sealed.version, 3);
        assert!(!sealed.ciphertext.contains(secret) || secret.len() == 1);
        let opened = vault(&config).open(&sealed, &context()).await.unwrap();
        assert_eq!(opened.expose_secret(), secret);
    }
    for secret in ["", &"x".repeat(4_097)] {
        let refused = vault(&config).seal(&SecretString::from(secret), 3, &context()).await;
        assert!(matches!(refused, Err(PortFault::Inconsistent(_))));
    }
}

#[tokio::test]
async fn a_moved_ciphertext_does_not_open() {
    let Some(config) = config() else { return };
    let sealed = vault(&config).seal(&SecretString::from("hush"), 3, &context()).await.unwrap();
    let moved = [
        (SealContext { label: "other/v1", ..context() }, 3),
        (SealContext { owner: "t-2".to_owned(), ..context() }, 3),
        (SealContext { attribute: "oauth", ..context() }, 3),
        (context(), 2),
    ];
    let warm = vault(&config);
    warm.open(&sealed, &context()).await.unwrap();
    for (context, version) in moved {
        let sealed = SealedRow { version, ..sealed.clone() };
        for vault in [vault(&config), warm.clone()] {
            let answer = vault.open(&sealed, &context).await.map(|_| ());
            assert!(matches!(answer, Err(PortFault::Inconsistent(_))), "{context:?} {version}: {answer:?}");
        }
    }
    let noise = SealedRow { ciphertext: "bm9pc2U=".to_owned(), version: 3 };
    assert!(matches!(vault(&config).open(&noise, &context()).await, Err(PortFault::Inconsistent(_))));
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unavailable() {
    let Some(mut config) = config() else { return };
    config.endpoints.kms = Some("http://127.0.0.1:1".to_owned());
    let sealed = SealedRow { ciphertext: "YQ==".to_owned(), version: 1 };
    let answer = vault(&config).open(&sealed, &context()).await.map(|_| ());
    assert_eq!(answer, Err(PortFault::Unavailable("Decrypt: no connection".to_owned())));
}
