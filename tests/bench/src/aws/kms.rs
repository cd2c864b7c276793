//! KMS: seals and opens, bound to the encryption context. The ciphertext hides nothing; it has the right length.

use super::dynamo::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The key, as functions are told it.
pub const KEY: &str = "arn:aws:kms:eu-west-2:000000000000:key/00000000-0000-4000-8000-000000000000";

/// Bytes that a ciphertext has more than what it hides, about as many as the real one's.
const HEADER: &[u8] = &[1; 152];

fn refusal(code: &'static str) -> Refusal {
    Refusal { code, body: Map::new() }
}

/// Answers a call.
///
/// # Errors
/// As the real one.
pub fn answer(operation: &str, request: &Value) -> Result<Value, Refusal> {
    let bytes = |name: &str| {
        let text = request.get(name).and_then(Value::as_str);
        text.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(|| refusal("ValidationException"))
    };
    if request.get("KeyId").and_then(Value::as_str) != Some(KEY) {
        return Err(refusal("NotFoundException"));
    }
    // Keys of a map are in order here.
    let context = request.get("EncryptionContext").cloned().unwrap_or_else(|| json!({})).to_string();
    match operation {
        "Encrypt" => {
            let plain = bytes("Plaintext")?;
            if plain.is_empty() || plain.len() > 4_096 {
                return Err(refusal("ValidationException"));
            }
            let blob = serde_json::to_vec(&(context, STANDARD.encode(plain))).unwrap_or_default();
            let blob = STANDARD.encode([HEADER, &blob].concat());
            Ok(json!({"KeyId": KEY, "CiphertextBlob": blob, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
        }
        "Decrypt" => {
            let blob = bytes("CiphertextBlob")?;
            let sealed =
                blob.strip_prefix(HEADER).and_then(|blob| serde_json::from_slice::<(String, String)>(blob).ok());
            match sealed {
                Some((bound, plain)) if bound == context => {
                    Ok(json!({"KeyId": KEY, "Plaintext": plain, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
                }
                _ => Err(refusal("InvalidCiphertextException")),
            }
        }
        _ => Err(refusal("UnknownOperationException")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_in_its_context_only() {
        let sealed = answer(
            "Encrypt",
            &json!({"KeyId": KEY, "Plaintext": STANDARD.encode("secret"), "EncryptionContext": {"owner": "a"}}),
        );
        let blob = sealed.unwrap()["CiphertextBlob"].clone();
        let open = |owner: &str| {
            answer("Decrypt", &json!({"KeyId": KEY, "CiphertextBlob": blob, "EncryptionContext": {"owner": owner}}))
        };
        assert_eq!(open("a").unwrap()["Plaintext"], json!(STANDARD.encode("secret")));
        assert_eq!(open("b").unwrap_err().code, "InvalidCiphertextException");
    }
}
