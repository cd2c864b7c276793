use super::*;
use serde_json::{Value, json};

const DAY: i64 = OUT_OF_STEP_SECONDS;
const SKEW: i64 = 300;

/// Two shared keys with the tokens made under them, the second with letters beyond ASCII and a slash in the tenant.
struct Vector {
    api_key: &'static str,
    tenant: &'static str,
    now: i64,
    from_shop: &'static str,
    to_shop: &'static str,
    from_shop_jti: &'static str,
    from_shop_token: &'static str,
    to_shop_life: i64,
    to_shop_jti: &'static str,
    to_shop_token: &'static str,
    /// The token to the shop, signed under the key of the other direction.
    crossed_signature: &'static str,
}

const V1: Vector = Vector {
    api_key: "byte8_lk_3f9a1c7e5b2d4860a1b2c3d4e5f60718293a4b5c6d7e8f90",
    tenant: "0b1f6c1e-6d0a-4f6e-9d4e-2c8a7f3b9e11",
    now: 1_795_167_000,
    from_shop: "cc186c99fe656b6ea09dd6d2ba8de637acb9815edff0ea954f6a5ae44423ee20",
    to_shop: "92de4e15665fa0a3122d6759dc9cbf9783306e9021a405eefc39c351046e6dc8",
    from_shop_jti: "5b0f0f5e-2d0b-4c55-8b7c-0e6f4f1f7a10",
    from_shop_token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJtYWdlbnRvIiwic3ViIjoiMGIxZjZjMWUtNmQwYS00ZjZlLTlkNGUtMmM4YTdmM2I5ZTExIiwiYXVkIjoiYnl0ZTgtbGVkZ2VyIiwiaWF0IjoxNzk1MTY3MDAwLCJuYmYiOjE3OTUxNjcwMDAsImV4cCI6MTc5NTE2NzA2MCwianRpIjoiNWIwZjBmNWUtMmQwYi00YzU1LThiN2MtMGU2ZjRmMWY3YTEwIn0.PosYAps1zd5f4yl5_aX9ohqTZlJX5gbpV7yvtiY9zDk",
    to_shop_life: 300,
    to_shop_jti: "c2a4b7de-91f3-4a3e-a7d5-6b1d2e3f4a5b",
    to_shop_token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJieXRlOC1sZWRnZXIiLCJzdWIiOiIwYjFmNmMxZS02ZDBhLTRmNmUtOWQ0ZS0yYzhhN2YzYjllMTEiLCJhdWQiOiJtYWdlbnRvIiwiaWF0IjoxNzk1MTY3MDAwLCJuYmYiOjE3OTUxNjcwMDAsImV4cCI6MTc5NTE2NzMwMCwianRpIjoiYzJhNGI3ZGUtOTFmMy00YTNlLWE3ZDUtNmIxZDJlM2Y0YTViIn0.GJlSQj8bcY99Z43qMwX-3ytG6x-20GdkxKLo-RPDHqQ",
    crossed_signature: "9532b71838d97ffc213ec34c1adfa43a7f9d8b6bde3f0711500491f51c5de693",
};

const V2: Vector = Vector {
    api_key: "k/+é ü-ключ",
    tenant: "tenant/with.slash_2",
    now: 1_795_200_123,
    from_shop: "0b9c6751d80dc57d4604ec8876eb44206310813ae7b77ea56a91532ffc295854",
    to_shop: "05632983b38fdd2a9a5eedec5f74726840a6b46194171dde96c51639fc454124",
    from_shop_jti: "11111111-2222-4333-8444-555555555555",
    from_shop_token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJtYWdlbnRvIiwic3ViIjoidGVuYW50L3dpdGguc2xhc2hfMiIsImF1ZCI6ImJ5dGU4LWxlZGdlciIsImlhdCI6MTc5NTIwMDEyMywibmJmIjoxNzk1MjAwMTIzLCJleHAiOjE3OTUyMDAxODMsImp0aSI6IjExMTExMTExLTIyMjItNDMzMy04NDQ0LTU1NTU1NTU1NTU1NSJ9.hdaiGQs3u8nQGxKnCoNDH-XTPv2aO9YDNazWwSBuieo",
    to_shop_life: 60,
    to_shop_jti: "99999999-8888-4777-a666-555555555554",
    to_shop_token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJieXRlOC1sZWRnZXIiLCJzdWIiOiJ0ZW5hbnQvd2l0aC5zbGFzaF8yIiwiYXVkIjoibWFnZW50byIsImlhdCI6MTc5NTIwMDEyMywibmJmIjoxNzk1MjAwMTIzLCJleHAiOjE3OTUyMDAxODMsImp0aSI6Ijk5OTk5OTk5LTg4ODgtNDc3Ny1hNjY2LTU1NTU1NTU1NTU1NCJ9.ClLQ7rGhLQK2iwVMkXJSmg5ujJXB2ZMFxuD_Y0lPko4",
    crossed_signature: "0215bc6a1b03b73167bf9a76de84d3d487948f1fe4ddc1c21290ce761b7c0bc8",
};

impl Vector {
    fn shop_key(&self) -> [u8; 32] {
        subkey(self.api_key.as_bytes(), PURPOSE_FROM_SHOP)
    }

    fn ledger_key(&self) -> [u8; 32] {
        subkey(self.api_key.as_bytes(), PURPOSE_TO_SHOP)
    }

    fn claims_to_shop(&self) -> Claims<'_> {
        Claims {
            iss: ISSUER_LEDGER,
            sub: self.tenant,
            aud: AUDIENCE_SHOP,
            iat: self.now,
            nbf: self.now,
            exp: self.now + self.to_shop_life,
            jti: self.to_shop_jti,
        }
    }
}

fn encoded(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Signs whatever is put before it, by `ring` alone.
fn signed(header: &str, claims: &str, key: &[u8]) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    format!("{message}.{}", encoded(tag))
}

fn claims() -> Value {
    json!({
        "iss": "magento", "sub": V1.tenant, "aud": "byte8-ledger",
        "iat": V1.now, "nbf": V1.now, "exp": V1.now + 60, "jti": V1.from_shop_jti,
    })
}

fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    claims.to_string()
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims.to_string()
}

fn parsed(header: &str, claims: &str) -> Result<Presented, Unusable> {
    Presented::parse(&signed(header, claims, &V1.shop_key()))
}

fn good() -> Presented {
    parsed(HEADER, &claims().to_string()).unwrap()
}

#[test]
fn subkeys_are_those_of_the_vectors() {
    for vector in [V1, V2] {
        assert_eq!(hex::encode(vector.shop_key()), vector.from_shop);
        assert_eq!(hex::encode(vector.ledger_key()), vector.to_shop);
    }
}

#[test]
fn tokens_of_the_shop_verify() {
    for vector in [V1, V2] {
        let presented = Presented::parse(vector.from_shop_token).unwrap();
        assert_eq!(presented.claims().iss, ISSUER_SHOP);
        assert_eq!(presented.claims().sub, vector.tenant);
        assert_eq!(presented.claims().aud, AUDIENCE_LEDGER);
        assert_eq!(presented.claims().iat, vector.now);
        assert_eq!(presented.claims().nbf, vector.now);
        assert_eq!(presented.claims().exp, vector.now + 60);
        assert_eq!(presented.claims().jti, vector.from_shop_jti);
        assert_eq!(presented.times(vector.now, SKEW), Times::Good);
        assert!(presented.signed_by(&vector.shop_key()));
        assert!(!presented.signed_by(&vector.ledger_key()), "the other direction's key");
        assert!(!presented.signed_by(&subkey(b"another key", PURPOSE_FROM_SHOP)));
    }
}

#[test]
fn tokens_for_the_shop_are_those_of_the_vectors() {
    for vector in [V1, V2] {
        assert_eq!(sign(&vector.ledger_key(), &vector.claims_to_shop()).unwrap(), vector.to_shop_token);
        let crossed = sign(&vector.shop_key(), &vector.claims_to_shop()).unwrap();
        let (_, signature) = crossed.rsplit_once('.').unwrap();
        assert_eq!(hex::encode(URL_SAFE_NO_PAD.decode(signature).unwrap()), vector.crossed_signature);
        assert_ne!(crossed, vector.to_shop_token);
    }
    // The first vector has the life that ours have, so minting gives it to the letter.
    assert_eq!(mint(&V1.ledger_key(), V1.tenant, V1.now + BACKDATE_SECONDS, V1.to_shop_jti).unwrap(), V1.to_shop_token);
}

#[test]
fn a_minted_token_is_one_the_shop_accepts() {
    let token = mint(&V2.ledger_key(), V2.tenant, V2.now, V2.to_shop_jti).unwrap();
    let mut parts = token.split('.');
    assert_eq!(parts.next().unwrap(), encoded(r#"{"alg":"HS256","typ":"JWT"}"#));
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap()).unwrap();
    let [iat, nbf, exp] = ["iat", "nbf", "exp"].map(|name| claims[name].as_i64().unwrap());
    assert!(iat <= V2.now + 30 && nbf <= V2.now && exp > V2.now && exp - iat <= 300);
    // Even where our clock is half a minute ahead of the shop's.
    assert!(nbf <= V2.now - 30);
    assert_eq!(claims["aud"], "magento");
    assert_eq!(claims["jti"], V2.to_shop_jti);
}

#[test]
fn minting_survives_any_time() {
    for now in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        assert!(mint(&V1.ledger_key(), V1.tenant, now, V1.to_shop_jti).is_ok());
    }
}

#[test]
fn without_a_key_nothing_is_signed_and_nothing_verifies() {
    assert_eq!(mint(&NO_KEY, V1.tenant, V1.now, V1.to_shop_jti), Err(Unsigned));
    let forged = Presented::parse(&signed(HEADER, &claims().to_string(), &NO_KEY)).unwrap();
    assert!(!forged.signed_by(&NO_KEY));
}

#[test]
fn a_token_for_the_shop_is_none_from_it() {
    assert_eq!(Presented::parse(V1.to_shop_token), Err(Unusable::Issuer));
}

#[test]
fn another_algorithm_is_refused_however_it_is_written() {
    for header in [
        r#"{"alg":"none","typ":"JWT"}"#,
        r#"{"alg":"None","typ":"JWT"}"#,
        r#"{"alg":"","typ":"JWT"}"#,
        r#"{"alg":"hs256","typ":"JWT"}"#,
        r#"{"alg":"HS256 ","typ":"JWT"}"#,
        r#"{"alg":"HS384","typ":"JWT"}"#,
        r#"{"alg":"HS512","typ":"JWT"}"#,
        r#"{"alg":"RS256","typ":"JWT"}"#,
        r#"{"alg":"ES256","typ":"JWT"}"#,
        r#"{"alg":"EdDSA","typ":"JWT"}"#,
        r#"{"alg":["HS256"],"typ":"JWT"}"#,
        r#"{"alg":null,"typ":"JWT"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"jwt"}"#,
        r#"{"alg":"HS256","typ":"JWS"}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"1"}"#,
        r#"{"alg":"HS256","typ":"JWT","crit":["exp"]}"#,
        r#"{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"AAAA"}}"#,
        r#"{"alg":"HS256","typ":"JWT","jku":"https://evil.example/keys"}"#,
        r#"{"alg":"HS256","typ":"JWT","zip":"DEF"}"#,
        r#"{"alg":"HS256","typ":"JWT","b64":false}"#,
        r#"{"alg":"none","alg":"HS256","typ":"JWT"}"#,
        r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#,
        r#"["HS256","JWT"]"#,
        r#"{"alg":"HS256","typ":"JWT"} {}"#,
        r#" {"alg":"HS256","typ":"JWT"}"#,
        r#""HS256""#,
        "null",
        "{}",
        "",
    ] {
        assert_eq!(parsed(header, &claims().to_string()), Err(Unusable::Header), "{header}");
    }
}

#[test]
fn a_header_written_in_another_order_is_the_same_header() {
    let presented = parsed(r#"{"typ":"JWT","alg":"HS256"}"#, &claims().to_string()).unwrap();
    assert!(presented.signed_by(&V1.shop_key()));
}

#[test]
fn the_provider_signs_and_verifies_nothing_but_hs256() {
    install();
    let (encoding, decoding) = (EncodingKey::from_secret(&[7; 32]), DecodingKey::from_secret(&[7; 32]));
    for algorithm in [Algorithm::HS384, Algorithm::HS512, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        assert!(crypto::sign(b"message", &encoding, algorithm).is_err(), "{algorithm:?}");
        assert!(crypto::verify("AAAA", b"message", &decoding, algorithm).is_err(), "{algorithm:?}");
    }
    let rsa = DecodingKey::from_rsa_raw_components(&[7; 32], &[1, 0, 1]);
    assert!(crypto::verify("AAAA", b"message", &rsa, Algorithm::HS256).is_err());
    assert!((PROVIDER.key_utils.compute_digest)(b"", jsonwebtoken::jwk::ThumbprintHash::SHA256).is_err());
}

#[test]
fn claims_of_the_wrong_type_or_length_are_refused() {
    let mut cases = vec![
        with("aud", json!(["byte8-ledger"])),
        with("aud", json!(null)),
        with("iss", json!(["magento"])),
        with("sub", json!(1)),
        with("sub", json!("")),
        with("sub", json!("x".repeat(TENANT_LENGTH_MAX + 1))),
        with("sub", json!("ten\u{0}ant")),
        with("sub", json!("ten ant")),
        with("sub", json!("ten\u{a0}ant")),
        with("jti", json!("")),
        with("jti", json!(1)),
        with("jti", json!("x".repeat(JTI_LENGTH_MAX + 1))),
        with("jti", json!("a/b")),
        with("jti", json!("a b")),
        with("jti", json!("a#b")),
        with("jti", json!("ä")),
        with("jti", json!("a\u{0}")),
        claims().to_string().replace(r#""aud":"#, r#""aud":"byte8-ledger","aud":"#),
        claims().to_string().replace(r#""exp":"#, r#""exp":1,"exp":"#),
        format!("[{}]", claims()),
        format!(r#"["magento","{}","byte8-ledger",{now},{now},{now},"x"]"#, V1.tenant, now = V1.now),
        format!("\u{feff}{}", claims()),
        format!("{} 1", claims()),
        format!(r#"{{"x":{}{}}}"#, "[".repeat(600), "]".repeat(600)),
        "null".to_owned(),
        String::new(),
    ];
    for name in ["iat", "nbf", "exp"] {
        for value in ["1795167000.0", "1795167000.5", "1.795167e9", "\"1795167000\"", "true", "null", "[1795167000]"] {
            cases.push(with(name, json!("@")).replace("\"@\"", value));
        }
        for value in ["9223372036854775808", "-9223372036854775809", "1e400", "123456789012345678901234567890"] {
            cases.push(with(name, json!("@")).replace("\"@\"", value));
        }
    }
    for name in ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"] {
        cases.push(without(name));
    }
    for case in cases {
        assert_eq!(parsed(HEADER, &case), Err(Unusable::Claims), "{case}");
    }
    assert_eq!(parsed(HEADER, &with("iss", json!("byte8-ledger"))), Err(Unusable::Issuer));
    assert_eq!(parsed(HEADER, &with("iss", json!("Magento"))), Err(Unusable::Issuer));
    assert_eq!(parsed(HEADER, &with("aud", json!("magento"))), Err(Unusable::Audience));
    assert_eq!(parsed(HEADER, &with("aud", json!("byte8-ledger "))), Err(Unusable::Audience));
}

#[test]
fn claims_at_their_limits_are_accepted() {
    assert!(parsed(HEADER, &with("jti", json!("x".repeat(JTI_LENGTH_MAX)))).is_ok());
    assert!(parsed(HEADER, &with("jti", json!("a-b_c.d:E9"))).is_ok());
    assert!(parsed(HEADER, &with("sub", json!("ü".repeat(TENANT_LENGTH_MAX)))).is_ok());
    assert!(parsed(HEADER, &with("later_version", json!({ "of": ["the", "module"] }))).is_ok());
}

#[test]
fn malformed_tokens_are_refused() {
    let token = V1.from_shop_token;
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!() };
    for case in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "Bearer".to_owned(),
        "ключ.ключ.ключ".to_owned(),
        "\u{1f4a9}".to_owned(),
        header.to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}..{signature}x"),
        format!(".{claims}.{signature}x"),
        format!("{token}.{signature}"),
        format!("{header}.{claims}.{claims}.{signature}.x"),
        format!("{header}.{claims}.{}", &signature[..42]),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{signature}A"),
        format!("{header}.{claims}.{}", encoded([0; 31])),
        format!("{header}.{claims}.{}", encoded([0; 64])),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{}", signature.replace('_', "/")),
        // The last letter carries two bits that mean nothing: only zeros are canonical.
        format!("{header}.{claims}.{}l", &signature[..42]),
        format!(" {token}"),
        format!("{token}\n"),
        token.replace('.', "\u{2024}"),
    ] {
        assert_eq!(Presented::parse(&case), Err(Unusable::Malformed), "{case}");
    }
    assert_eq!(Presented::parse(&"a".repeat(TOKEN_LENGTH_MAX + 1)), Err(Unusable::TooLong));
    assert_eq!(Presented::parse(&format!("{token}{}", ".".repeat(TOKEN_LENGTH_MAX))), Err(Unusable::TooLong));
    assert_eq!(Presented::parse(&"a".repeat(TOKEN_LENGTH_MAX)), Err(Unusable::Malformed));
}

#[test]
fn any_truncation_or_change_is_refused_or_does_not_verify() {
    let token = V1.from_shop_token;
    for length in 0..token.len() {
        assert!(Presented::parse(&token[..length]).is_err(), "{length}");
    }
    for (index, byte) in token.bytes().enumerate() {
        for other in [b'A', b'B', b'_', b'9', b'.', b'=', byte ^ 1] {
            if other == byte {
                continue;
            }
            let mut changed = token.as_bytes().to_vec();
            changed[index] = other;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            let accepted = Presented::parse(&changed).is_ok_and(|presented| presented.signed_by(&V1.shop_key()));
            assert!(!accepted, "{index}: {changed}");
        }
    }
}

#[test]
fn claims_of_another_token_do_not_verify() {
    let signature = V1.from_shop_token.rsplit_once('.').unwrap().1;
    let forged = format!("{}.{}.{signature}", encoded(HEADER), encoded(with("sub", json!("another"))));
    assert!(!Presented::parse(&forged).unwrap().signed_by(&V1.shop_key()));
}

#[test]
fn debug_shows_no_token() {
    let shown = format!("{:?}", Presented::parse(V1.from_shop_token).unwrap());
    for part in V1.from_shop_token.split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
}

fn times(iat: i64, nbf: i64, exp: i64, now: i64, skew: i64) -> Times {
    let mut presented = good();
    presented.claims = PresentedClaims { iat, nbf, exp, ..presented.claims };
    presented.times(now, skew)
}

#[test]
fn a_token_of_the_shop_against_the_clock() {
    let start = V1.now;
    let end = start + 60;
    for (now, expected) in [
        (start, Times::Good),
        (start + 1, Times::Good),
        (end - 1, Times::Good),
        // Late: the first second after its life is one second late.
        (end, Times::Good),
        (end + SKEW - 1, Times::Good),
        (end + SKEW, Times::OutOfStep),
        (end + DAY - 1, Times::OutOfStep),
        (end + DAY, Times::Never),
        (end + 365 * DAY, Times::Never),
        // Early.
        (start - 1, Times::Good),
        (start - SKEW, Times::Good),
        (start - SKEW - 1, Times::OutOfStep),
        (start - DAY, Times::OutOfStep),
        (start - DAY - 1, Times::Never),
        (0, Times::Never),
        (i64::MAX, Times::Never),
        (i64::MIN, Times::Never),
    ] {
        assert_eq!(times(start, start, end, now, SKEW), expected, "{}", now.saturating_sub(start));
    }
}

#[test]
fn without_skew_the_edges_are_exact() {
    let start = V1.now;
    let end = start + 60;
    for (now, expected) in
        [(start - 1, Times::OutOfStep), (start, Times::Good), (end - 1, Times::Good), (end, Times::OutOfStep)]
    {
        assert_eq!(times(start, start, end, now, 0), expected, "{}", now - start);
        assert_eq!(times(start, start, end, now, -5), expected, "a negative skew is none");
        assert_eq!(times(start, start, end, now, i64::MIN), expected, "a negative skew is none");
    }
}

#[test]
fn times_that_contradict_each_other_are_never_good() {
    let now = V1.now;
    for (iat, nbf, exp, expected) in [
        (now, now, now + 60, Times::Good),
        // The longest life that is not absurd.
        (now, now, now + DAY, Times::Good),
        (now, now, now + DAY + 1, Times::Never),
        (now - DAY, now, now + 1, Times::Never),
        (now, now, now, Times::Never),
        (now, now, now - 1, Times::Never),
        (now, now + 60, now + 60, Times::Never),
        (now, now + 61, now + 60, Times::Never),
        // The later of the two beginnings counts.
        (now, now + SKEW, now + SKEW + 60, Times::Good),
        (now, now + SKEW + 1, now + SKEW + 60, Times::OutOfStep),
        (now + SKEW + 1, now, now + SKEW + 60, Times::OutOfStep),
        // One long before the other is none's business.
        (now, now - 10 * DAY, now + 60, Times::Good),
        (now, i64::MIN, now + 60, Times::Good),
        (i64::MIN, i64::MIN, i64::MAX, Times::Never),
        (i64::MAX, i64::MIN, i64::MIN, Times::Never),
        (i64::MIN, i64::MIN, i64::MIN + 60, Times::Never),
        (i64::MAX - 60, i64::MAX - 60, i64::MAX, Times::Never),
        (now, i64::MAX, now + 60, Times::Never),
        (now, now, i64::MAX, Times::Never),
        (i64::MIN, now, now + 60, Times::Never),
        (0, 0, 60, Times::Never),
        (-60, -60, 0, Times::Never),
    ] {
        assert_eq!(times(iat, nbf, exp, now, SKEW), expected, "{iat} {nbf} {exp}");
    }
}

#[test]
fn extreme_times_and_skews_overflow_nothing() {
    let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    for iat in extremes {
        for nbf in extremes {
            for exp in extremes {
                for now in extremes {
                    for skew in extremes {
                        let judged = times(iat, nbf, exp, now, skew);
                        if exp <= iat || exp <= nbf {
                            assert_eq!(judged, Times::Never);
                        }
                    }
                }
            }
        }
    }
}
