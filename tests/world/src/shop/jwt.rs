//! Tokens in both directions: the shop's own signer, and its verifier with the replay cache.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::{digest, hkdf, hmac};
use serde_json::Value;

const OUTBOUND: &str = "byte8-magento-outbound-v1";
const INBOUND: &str = "byte8-magento-inbound-v1";
const LONGEST_LIFE: i64 = 300;
const TOLERANCE: i64 = 30;

const ENCODER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The 32 bytes that sign what the shop sends.
#[must_use]
pub fn outbound_key(api_key: &str) -> [u8; 32] {
    derived(api_key, OUTBOUND)
}

/// The 32 bytes that sign what the shop receives.
#[must_use]
pub fn inbound_key(api_key: &str) -> [u8; 32] {
    derived(api_key, INBOUND)
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

fn derived(api_key: &str, purpose: &str) -> [u8; 32] {
    let mut key = [0; 32];
    let pseudo_random = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(api_key.as_bytes());
    let info = [purpose.as_bytes()];
    // Neither call can fail for 32 bytes; a key of zeros would verify nothing.
    if let Ok(material) = pseudo_random.expand(&info, Length) {
        let _ = material.fill(&mut key);
    }
    key
}

/// A token of the shop, for its tenant, living 60 seconds from `now`.
#[must_use]
pub fn outbound_token(api_key: &str, tenant: &str, now: i64, jti: &str) -> String {
    let claims = format!(
        r#"{{"iss":"magento","sub":{},"aud":"byte8-ledger","iat":{now},"nbf":{now},"exp":{},"jti":{}}}"#,
        quoted(tenant),
        now.saturating_add(60),
        quoted(jti),
    );
    token(&outbound_key(api_key), &claims)
}

/// A token with any claims, signed with any key: for tests that forge.
#[must_use]
pub fn token(key: &[u8], claims: &str) -> String {
    let signed = format!("{}.{}", ENCODER.encode(r#"{"alg":"HS256","typ":"JWT"}"#), ENCODER.encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    format!("{signed}.{}", ENCODER.encode(signature))
}

fn quoted(text: &str) -> String {
    // Claims leave slashes alone but escape what isn't ASCII.
    super::php::Php::text(text).json(false)
}

/// The name under which a token's identifier is remembered once it was used.
#[must_use]
pub fn replay_key(jti: &str) -> String {
    format!("byte8_jti:{}", sha1(jti))
}

/// The SHA-1 of a text in hexadecimal.
#[must_use]
pub fn sha1(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The token's own identifier.
    pub jti: String,
    /// When it expires.
    pub expires: i64,
}

/// Reads the value of an `Authorization` header; everything but the replay cache is checked here.
///
/// # Errors
/// The reason, as the module writes it to its own log; the caller of the shop never learns it.
pub fn verify(header: Option<&str>, api_key: &str, tenant: &str, now: i64) -> Result<Claims, &'static str> {
    let header = header.unwrap_or_default();
    let token = match header.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token.trim(),
        _ => return Err("no bearer token"),
    };
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("not three segments");
    };
    let header = object(head).ok_or("header is not an object")?;
    if header.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err("alg is not HS256");
    }
    if header.get("typ").and_then(Value::as_str) != Some("JWT") {
        return Err("typ is not JWT");
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, &inbound_key(api_key));
    let signature = ENCODER.decode(signature).unwrap_or_default();
    hmac::verify(&key, format!("{head}.{body}").as_bytes(), &signature).map_err(|_| "signature mismatch")?;
    let claims = object(body).ok_or("claims are not an object")?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
    if text("iss") != Some("byte8-ledger") {
        return Err("iss mismatch");
    }
    if text("aud") != Some("magento") {
        return Err("aud mismatch");
    }
    if text("sub") != Some(tenant) {
        return Err("sub is not the tenant");
    }
    let (Some(issued), Some(not_before), Some(expires)) = (seconds("iat"), seconds("nbf"), seconds("exp")) else {
        return Err("iat, nbf or exp is not an integer");
    };
    let jti = text("jti").filter(|jti| !jti.is_empty()).ok_or("jti missing")?;
    if issued > now.saturating_add(TOLERANCE) {
        return Err("iat is in the future");
    }
    if not_before > now {
        return Err("not valid yet");
    }
    if expires <= now {
        return Err("expired");
    }
    if expires.saturating_sub(issued) > LONGEST_LIFE {
        return Err("lives too long");
    }
    Ok(Claims { jti: jti.to_owned(), expires })
}

fn object(segment: &str) -> Option<serde_json::Map<String, Value>> {
    let raw = ENCODER.decode(segment).ok()?;
    match serde_json::from_slice(&raw) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}
