//! The tokens between shop and ledger: HS256 under a subkey of the shared key.
//!
//! Source: the published module, `Jwt/Signer`, `Jwt/Verifier`, `Api/KeyDerivationInterface`. Subkey = HKDF-SHA256 of the
//! key's bytes, empty salt, purpose as info, 32 bytes; claims `iss sub aud iat nbf exp jti`, times integers.
//! `jsonwebtoken` signs and verifies over `ring`, which TLS links already; shape and times are judged here: the shape
//! because the shop's header has exactly two members and nothing else is let in, the times as a function of `now`,
//! because that crate reads the system's clock.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{self, CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey, errors};
use ring::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::OnceLock;

#[cfg(test)]
mod tests;

/// Purpose of the subkey for tokens that the shop makes.
pub const PURPOSE_FROM_SHOP: &str = "byte8-magento-outbound-v1";
/// Purpose of the subkey for tokens that we make.
pub const PURPOSE_TO_SHOP: &str = "byte8-magento-inbound-v1";
/// Audience of the shop's tokens.
pub const AUDIENCE_LEDGER: &str = "byte8-ledger";
/// Issuer of the shop's tokens.
pub const ISSUER_SHOP: &str = "magento";
/// Audience of our tokens.
pub const AUDIENCE_SHOP: &str = "magento";
/// Issuer of our tokens.
pub const ISSUER_LEDGER: &str = "byte8-ledger";
/// The shop allows no `nbf` in its future, so ours begin this long before now, in seconds.
pub const BACKDATE_SECONDS: i64 = 30;
/// The longest life that the shop allows a token, in seconds.
pub const LIFE_SECONDS: i64 = 300;
/// Longest token that is looked at, in bytes. The shop's are about 400.
pub const TOKEN_LENGTH_MAX: usize = 4_096;
/// Longest token id, in characters. The shop's are UUIDs.
pub const JTI_LENGTH_MAX: usize = 128;
/// Longest tenant id, in characters. Ours are UUIDs.
pub const TENANT_LENGTH_MAX: usize = 128;
/// A clock that is wrong by up to this many seconds is a clock to be set; a token outside was never good. Also the
/// longest life that any token may claim.
pub const OUT_OF_STEP_SECONDS: i64 = 86_400;

/// The header of every token, theirs and ours.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
/// Length of an HMAC-SHA256, in bytes.
const SIGNATURE_LENGTH: usize = 32;
/// What a subkey is where none could be derived. Signs and verifies nothing.
const NO_KEY: [u8; 32] = [0; 32];

/// Derives the key of one direction from the shared key.
#[must_use]
pub fn subkey(api_key: &[u8], purpose: &str) -> [u8; 32] {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            NO_KEY.len()
        }
    }

    let mut key = NO_KEY;
    // 32 bytes of the 8,160 there could be, into as many: no error is possible. Were there one, the key would stay
    // all zeros, under which nothing is signed and nothing verifies.
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(api_key)
        .expand(&[purpose.as_bytes()], Length)
        .and_then(|bytes| bytes.fill(&mut key))
        .unwrap_or_default();
    key
}

/// Why a token is not worth a look at its signature. For logs: the shop is told one thing for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// More than [`TOKEN_LENGTH_MAX`] bytes.
    #[error("too_long")]
    TooLong,
    /// Not three parts of base64url without padding, the last of them 32 bytes.
    #[error("malformed")]
    Malformed,
    /// A header that isn't exactly HS256 and JWT.
    #[error("header")]
    Header,
    /// A claim is missing, twice there, or of the wrong type or length.
    #[error("claims")]
    Claims,
    /// Made by somebody else.
    #[error("issuer")]
    Issuer,
    /// Made for somebody else.
    #[error("audience")]
    Audience,
}

/// How a token's times stand to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Within the skew.
    Good,
    /// Beyond the skew by what a wrong clock explains: worth another try.
    OutOfStep,
    /// Never good, or no more.
    Never,
}

/// A token as it was presented: its shape is right, its signature is not looked at yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented {
    /// Header and claims as they were signed.
    message: String,
    /// The signature's text.
    signature: String,
    /// The claims.
    claims: PresentedClaims,
}

impl fmt::Debug for Presented {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Presented").field("tenant", &self.claims.sub).finish_non_exhaustive()
    }
}

/// Nothing beyond these two members: no `kid`, `crit`, `jwk`, `x5u` that could point at a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresentedHeader {
    alg: String,
    typ: String,
}

/// What a token claims; times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PresentedClaims {
    /// Who made it: [`ISSUER_SHOP`].
    pub iss: String,
    /// The tenant.
    pub sub: String,
    /// Whom it is for: [`AUDIENCE_LEDGER`].
    pub aud: String,
    /// When it was made.
    pub iat: i64,
    /// The first second in which it is good.
    pub nbf: i64,
    /// The first second in which it is no longer good.
    pub exp: i64,
    /// Its id.
    pub jti: String,
}

impl Presented {
    /// Takes a token apart. Says nothing about signature or times.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(token: &str) -> Result<Self, Unusable> {
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(Unusable::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Unusable::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Unusable::Malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Unusable::Malformed);
        let (header, claims) = (decoded(header)?, decoded(claims)?);
        if decoded(signature)?.len() != SIGNATURE_LENGTH {
            return Err(Unusable::Malformed);
        }

        let header: PresentedHeader = object(&header).ok_or(Unusable::Header)?;
        if header.alg != "HS256" || header.typ != "JWT" {
            return Err(Unusable::Header);
        }
        let claims: PresentedClaims = object(&claims).ok_or(Unusable::Claims)?;
        if !is_token_id(&claims.jti) || !is_tenant(&claims.sub) {
            return Err(Unusable::Claims);
        }
        if claims.iss != ISSUER_SHOP {
            return Err(Unusable::Issuer);
        }
        if claims.aud != AUDIENCE_LEDGER {
            return Err(Unusable::Audience);
        }
        Ok(Self { message: message.to_owned(), signature: signature.to_owned(), claims })
    }

    /// What it claims. Worth nothing before [`Presented::signed_by`].
    #[must_use]
    pub const fn claims(&self) -> &PresentedClaims {
        &self.claims
    }

    /// How its times stand to now. A negative skew counts as none.
    #[must_use]
    pub fn times(&self, now_seconds: i64, clock_skew_seconds: i64) -> Times {
        // Twice as wide as the claims: no difference of theirs overflows.
        let [now, skew, issued, begins, ends] =
            [now_seconds, clock_skew_seconds.max(0), self.claims.iat, self.claims.nbf, self.claims.exp].map(i128::from);
        let day = i128::from(OUT_OF_STEP_SECONDS);

        let life = ends - issued;
        if life <= 0 || life > day || begins >= ends {
            return Times::Never;
        }
        // `exp` is the first second in which it is no longer good; `iat` and `nbf` are the first in which it is.
        let early = issued.max(begins) - now;
        let late = now - ends + 1;
        match early.max(late) {
            off if off <= skew => Times::Good,
            off if off <= day => Times::OutOfStep,
            _ => Times::Never,
        }
    }

    /// True where it was signed under this key.
    #[must_use]
    pub fn signed_by(&self, subkey: &[u8; 32]) -> bool {
        install();
        *subkey != NO_KEY
            && crypto::verify(
                &self.signature,
                self.message.as_bytes(),
                &DecodingKey::from_secret(subkey),
                Algorithm::HS256,
            )
            .unwrap_or(false)
    }
}

/// A JSON object, and no list in its place: the deserializer would take both.
fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    if bytes.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

/// What may be part of a row's key.
fn is_token_id(jti: &str) -> bool {
    (1..=JTI_LENGTH_MAX).contains(&jti.len())
        && jti.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// A tenant id may hold a slash or letters of any script, but nothing invisible.
fn is_tenant(tenant: &str) -> bool {
    (1..=TENANT_LENGTH_MAX).contains(&tenant.chars().count())
        && !tenant.chars().any(|letter| letter.is_control() || letter.is_whitespace())
}

/// A token could not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be signed")]
pub struct Unsigned;

/// Claims in the order in which both sides write them.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: &'a str,
}

/// Makes a token for one request to the shop, under the subkey of [`PURPOSE_TO_SHOP`]. The shop burns the id before it
/// looks at anything else: a repeated request needs a new one.
///
/// # Errors
/// [`Unsigned`] where there is no key.
pub fn mint(subkey: &[u8; 32], tenant: &str, now_seconds: i64, jti: &str) -> Result<String, Unsigned> {
    let begins = now_seconds.saturating_sub(BACKDATE_SECONDS);
    sign(
        subkey,
        &Claims {
            iss: ISSUER_LEDGER,
            sub: tenant,
            aud: AUDIENCE_SHOP,
            iat: begins,
            nbf: begins,
            exp: begins.saturating_add(LIFE_SECONDS),
            jti,
        },
    )
}

/// Header, claims and signature. `jsonwebtoken` would write the header's members in another order.
fn sign(subkey: &[u8; 32], claims: &Claims<'_>) -> Result<String, Unsigned> {
    install();
    if *subkey == NO_KEY {
        return Err(Unsigned);
    }
    let claims = serde_json::to_vec(claims).map_err(|_| Unsigned)?;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims));
    let signature =
        crypto::sign(message.as_bytes(), &EncodingKey::from_secret(subkey), Algorithm::HS256).map_err(|_| Unsigned)?;
    Ok(format!("{message}.{signature}"))
}

/// HMAC-SHA256 of `ring` in the form that `jsonwebtoken` asks for.
struct Hs256(hmac::Key);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        hmac::verify(&self.0, message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

fn hs256(algorithm: &Algorithm, key: &[u8]) -> errors::Result<Box<Hs256>> {
    if *algorithm != Algorithm::HS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key))))
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> errors::Result<Box<dyn JwtSigner>> {
    Ok(hs256(algorithm, key.as_bytes())?)
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> errors::Result<Box<dyn JwtVerifier>> {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => Ok(hs256(algorithm, bytes)?),
        DecodingKeyKind::RsaModulusExponent { .. } => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

/// Everything but HS256 is refused, not left to a dummy that panics.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(ErrorKind::InvalidAlgorithm.into()),
        rsa_pub_components_from_public_key: |_| Err(ErrorKind::InvalidAlgorithm.into()),
        ec_pub_components_from_private_key: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
        ed_pub_components_from_private_key: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
        compute_digest: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    },
};

/// Without a provider `jsonwebtoken` would panic at its first use. A provider installed before ours stays.
fn install() {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    INSTALLED.get_or_init(|| PROVIDER.install_default().is_ok());
}
