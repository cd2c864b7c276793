//! Tokens: no bytes that were not signed with our keys are anybody's.

use crate::holds;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::executor::block_on;
use ledger_engine::jwt::{Presented, Times};
use ledger_engine::ports::{Clock, IssuerKeys, PortResult};
use ledger_engine::signin::{Issuer, NotSignedIn, SignIn};
use std::collections::BTreeSet;

/// The moment of all targets, in seconds since 1970.
const NOW_SECONDS: i64 = 1_795_167_000;
/// Seconds by which clocks may differ.
const SKEW_SECONDS: i64 = 300;
/// A key that no input was signed with: inputs that guess it would have to break HMAC.
const SUBKEY: [u8; 32] = [0x5a; 32];

/// A shop's token.
pub(crate) fn of_a_shop(data: &[u8]) {
    let Ok(token) = std::str::from_utf8(data) else { return };
    let Ok(presented) = Presented::parse(token) else { return };
    holds(Presented::parse(token).as_ref() == Ok(&presented), "the same token is read in the same way");
    holds(!presented.signed_by(&SUBKEY), "nothing is signed that was not signed");
    holds(!presented.signed_by(&[0; 32]), "no key is no key");
    let claims = presented.claims();
    holds(!claims.sub.is_empty() && !claims.jti.is_empty(), "nobody's token");
    holds(!claims.jti.contains(['#', '/', ' ']), "an id that is two parts of a key");
    for skew in [SKEW_SECONDS, 0, i64::MIN, i64::MAX] {
        for now in [NOW_SECONDS, 0, i64::MIN, i64::MAX] {
            let times = presented.times(now, skew);
            let lives = i128::from(claims.exp) - i128::from(claims.iat);
            holds(times != Times::Good || lives > 0, "a token that never lives is good");
        }
    }
    let good = presented.times(NOW_SECONDS, SKEW_SECONDS) == Times::Good;
    holds(!good || claims.exp > NOW_SECONDS.saturating_sub(SKEW_SECONDS), "a token that is over is good");
}

/// An issuer's keys as it publishes them.
struct Published;

/// A public key of 2048 bits that nobody has the private one of: its modulus is any odd number of that length.
fn key_set() -> String {
    let mut modulus = vec![0xc3_u8; 256];
    if let Some(last) = modulus.last_mut() {
        *last = 0x55;
    }
    let n = URL_SAFE_NO_PAD.encode(modulus);
    format!(r#"{{"keys":[{{"kty":"RSA","kid":"k1","use":"sig","alg":"RS256","n":"{n}","e":"AQAB"}}]}}"#)
}

#[async_trait]
impl IssuerKeys for Published {
    async fn keys(&self) -> PortResult<Vec<u8>> {
        Ok(key_set().into_bytes())
    }
}

/// What an issuer answers instead.
struct Said(Vec<u8>);

#[async_trait]
impl IssuerKeys for Said {
    async fn keys(&self) -> PortResult<Vec<u8>> {
        Ok(self.0.clone())
    }
}

struct Standing;

#[async_trait]
impl Clock for Standing {
    fn now_ms(&self) -> i64 {
        NOW_SECONDS.saturating_mul(1_000)
    }

    async fn sleep_ms(&self, _milliseconds: u64) {}
}

/// The header of an operator's request; after a line feed, what the issuer's address answers.
pub(crate) fn of_an_operator(data: &[u8]) {
    let (header, said) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (data.get(..at).unwrap_or_default(), data.get(at.saturating_add(1)..)),
        None => (data, None),
    };
    let Ok(header) = std::str::from_utf8(header) else { return };
    let issuer = Issuer {
        issuer: "https://issuer.example.com".to_owned(),
        audiences: BTreeSet::from(["ledger".to_owned()]),
        groups_claim: "cognito:groups".to_owned(),
    };
    let caller = block_on(SignIn::new(issuer.clone()).caller(Some(header), &Published, &Standing));
    holds(caller.is_err(), "somebody is signed in whom the issuer did not sign");
    if let Some(said) = said {
        let caller = block_on(SignIn::new(issuer).caller(Some(header), &Said(said.to_vec()), &Standing));
        // Whoever owns the issuer's address may sign what they like; here nobody has a key to sign with.
        holds(
            matches!(caller, Err(NotSignedIn::Unauthorised | NotSignedIn::IssuerUnavailable)),
            "somebody is signed in by keys that signed nothing",
        );
    }
}
