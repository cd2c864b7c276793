use super::{API_KEY, JTI, NOW, TENANT, ask_shop, local, server};
use ledger_engine::jwt::{self, PURPOSE_FROM_SHOP, PURPOSE_TO_SHOP, Presented};
use proptest::prelude::*;
use server::{Act, Server, answer};

#[tokio::test]
async fn every_request_to_a_shop_carries_a_token_of_ours() {
    let server = Server::start(Act::Say(answer("200 OK", "", "[]"))).await;
    ask_shop(&local(), &server.url(), "/rest/V1/byte8/ping", None).await.unwrap();

    let header = server.seen()[0].header("authorization").unwrap();
    let to_shop = jwt::subkey(API_KEY.as_bytes(), PURPOSE_TO_SHOP);
    assert_eq!(header, format!("Bearer {}", jwt::mint(&to_shop, TENANT, NOW, JTI).unwrap()));
    let from_shop = jwt::subkey(API_KEY.as_bytes(), PURPOSE_FROM_SHOP);
    assert_ne!(header, format!("Bearer {}", jwt::mint(&from_shop, TENANT, NOW, JTI).unwrap()));
}

proptest! {
    #[test]
    fn no_token_is_too_strange(
        token in prop_oneof![
            any::<String>(),
            r"[A-Za-z0-9_=-]{0,200}(\.[A-Za-z0-9_=-]{0,200}){0,4}",
            r"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\.[A-Za-z0-9_-]{0,400}\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]",
        ],
        now in any::<i64>(),
        skew in any::<i64>(),
    ) {
        if let Ok(presented) = Presented::parse(&token) {
            let _ = presented.times(now, skew);
            prop_assert!(!presented.signed_by(&jwt::subkey(b"key", PURPOSE_FROM_SHOP)));
        }
    }

    #[test]
    fn any_tenant_can_be_minted_for(tenant in any::<String>(), now in any::<i64>(), jti in any::<String>()) {
        let token = jwt::mint(&jwt::subkey(b"key", PURPOSE_TO_SHOP), &tenant, now, &jti).unwrap();
        prop_assert_eq!(token.split('.').count(), 3);
        prop_assert!(token.is_ascii());
    }
}
