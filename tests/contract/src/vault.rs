//! Sealed secrets.

use crate::Subject;
use ledger_engine::ports::{PortFault, SealContext, Vault};
use ledger_wire::rows::SealedRow;
use secrecy::{ExposeSecret, SecretString};

fn context() -> SealContext {
    SealContext { label: "tenants/v1", owner: "t-1".to_owned(), attribute: "api_key" }
}

pub async fn a_secret_opens_where_it_was_sealed<S: Subject>(subject: &S) {
    for secret in ["s", "pässword", &"x".repeat(4_096)] {
        let sealed = subject.vault().seal(&SecretString::from(secret), 3, &context()).await.unwrap();
        assert_eq!(sealed.version, 3);
        assert!(!sealed.ciphertext.contains(secret) || secret.len() == 1);
        let opened = subject.vault().open(&sealed, &context()).await.unwrap();
        assert_eq!(opened.expose_secret(), secret);
    }
    for secret in ["", &"x".repeat(4_097)] {
        let refused = subject.vault().seal(&SecretString::from(secret), 3, &context()).await;
        assert!(matches!(refused, Err(PortFault::Inconsistent(_))));
    }
}

pub async fn a_moved_ciphertext_does_not_open<S: Subject>(subject: &S) {
    let sealed = subject.vault().seal(&SecretString::from("hush"), 3, &context()).await.unwrap();
    let moved = [
        (SealContext { label: "other/v1", ..context() }, 3),
        (SealContext { owner: "t-2".to_owned(), ..context() }, 3),
        (SealContext { attribute: "oauth", ..context() }, 3),
        (context(), 2),
    ];
    let warm = subject.vault();
    warm.open(&sealed, &context()).await.unwrap();
    for (context, version) in moved {
        let sealed = SealedRow { version, ..sealed.clone() };
        for vault in [&subject.vault(), &warm] {
            let answer = vault.open(&sealed, &context).await.map(|_| ());
            assert!(matches!(answer, Err(PortFault::Inconsistent(_))), "{context:?} {version}: {answer:?}");
        }
    }
    let noise = SealedRow { ciphertext: "bm9pc2U=".to_owned(), version: 3 };
    assert!(matches!(subject.vault().open(&noise, &context()).await, Err(PortFault::Inconsistent(_))));
}
