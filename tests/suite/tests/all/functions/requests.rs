//! Requests by the throw of a die: half of them correctly signed, all of them wrong in ways that real ones could be.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ledger_bench::ambient;
use ledger_bench::scene::{API_KEY, TENANT, event};
use ledger_engine::ports::Chance as _;
use ledger_suite::ports::SeededChance;
use ledger_world::shop::jwt;
use serde_json::{Value, json};

/// Occurs in keys, tokens and bodies, and must not occur in any log.
pub(super) const SECRET: &str = "s3cr3t-w0rd";

/// What earlier requests of the same process said, for those that say it again.
#[derive(Default)]
pub(super) struct Past {
    said: Vec<(String, Value)>,
}

/// A request.
pub(super) struct Request {
    /// As the gateway proxies it.
    pub event: Value,
    /// Its token's signature is right, whatever else isn't.
    pub signed: bool,
    /// Nothing is wrong with it.
    pub flawless: bool,
}

struct Die {
    chance: SeededChance,
}

impl Die {
    fn below(&self, end: usize) -> usize {
        usize::try_from(self.chance.number() % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one_of<'a, T>(&self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Letters of every sort: quotes, controls, two to four bytes long, halves of escapes.
    fn text(&self, longest: usize) -> String {
        let letters = [
            'a', 'Z', '0', '-', '_', '.', '/', '%', '"', '\\', '#', '&', ' ', '\n', '\0', '\u{7f}', 'é', '中', '😀',
            '\u{202e}', '{', '[',
        ];
        (0..self.below(longest + 1)).map(|_| *self.one_of(&letters)).collect()
    }

    fn id(&self) -> String {
        ledger_engine::ports::Chance::uuid(&self.chance)
    }
}

impl Request {
    /// Request `number` of a seed: the same every time, but for the time of day in its token.
    pub(super) fn of(seed: u64, number: u64, past: &mut Past) -> Self {
        let die = Die { chance: SeededChance::new(seed.wrapping_mul(1_000_003).wrapping_add(number)) };
        let signed = number.is_multiple_of(2);
        let mut flawless = signed;
        let mut event = event("webhook-invoice-created").unwrap();
        // A third of all says what the shop says; the rest has one flaw or several.
        let careful = signed && die.one_in(3);
        let mut flaw = |times: usize| {
            let strikes = !careful && die.one_in(times);
            flawless &= !strikes;
            strikes
        };

        let mut tenant = TENANT.to_owned();
        let mut path_tenant = tenant.clone();
        if flaw(12) {
            path_tenant = match die.below(4) {
                0 => die.text(200),
                1 => path_tenant.to_uppercase(),
                2 => path_tenant.replace('-', "%2"),
                _ => String::new(),
            };
        } else if !careful && die.one_in(8) {
            // The gateway may hand it over encoded: as good as decoded.
            path_tenant = path_tenant.replace('-', "%2D").replace('a', "%61");
        }
        if flaw(20) {
            tenant = die.one_of(&["nobody", "", "tenant#x", "a b", "ünknown", TENANT]).to_string();
            path_tenant.clone_from(&tenant);
        }
        let known = ["invoice.created", "invoice.paid", "creditmemo.created", "customer.upserted", "product.upserted"];
        let mut kind = (*die.one_of(&known)).to_owned();
        if flaw(12) {
            kind = match die.below(3) {
                0 => die.text(60),
                1 => kind.to_uppercase(),
                _ => format!("{kind} "),
            };
        }
        event["pathParameters"] = json!({"tenant": path_tenant, "event": kind});
        event["queryStringParameters"] = match die.below(4) {
            0 => Value::Null,
            1 => json!({}),
            _ => json!({"provider": "xero"}),
        };
        if flaw(12) {
            event["queryStringParameters"] = match die.below(3) {
                0 => json!({"provider": die.text(40)}),
                // Known, but nobody paired it.
                1 => json!({"provider": die.one_of(&["freeagent", "sage_accounting"])}),
                _ => json!({"provider": "XERO", "other": die.text(500)}),
            };
        }

        let id = 1 + die.below(4_000);
        let mut body = json!({
            "magento_entity_id": id, "website_id": 1, "store_id": 1, "occurred_at": "2026-11-20T09:30:00Z",
            "payload": {"increment_id": format!("{id:09}"), "note": SECRET},
        })
        .to_string();
        if flaw(6) {
            body = broken(&die, &body);
        }
        let mut key = Some(format!("{kind}:{id}"));
        if flaw(10) {
            key = match die.below(4) {
                0 => None,
                1 => Some("x".repeat(127 + die.below(4))),
                2 => Some(die.text(200)),
                _ => Some("é".repeat(128)),
            };
        }
        let now = ambient::now_ms() / 1_000;
        let strange_claims = flaw(6);
        let claims = if strange_claims { odd_claims(&die, &tenant, now) } else { good_claims(&die, &tenant, now) };
        let token = if signed { jwt::token(&jwt::outbound_key(API_KEY), &claims) } else { forged(&die, &claims) };

        event["isBase64Encoded"] = json!(die.one_in(6));
        event["body"] = match event["isBase64Encoded"] == json!(true) {
            true => json!(STANDARD.encode(&body)),
            false => json!(body),
        };
        if flaw(30) {
            event["isBase64Encoded"] = json!(true);
            event["body"] = die.one_of(&[json!("=not base64="), Value::Null, json!("")]).clone();
        }
        headers(&die, &mut event, &token, key, !careful);
        if flaw(25) {
            match die.below(4) {
                0 => event["headers"] = Value::Null,
                1 => event["pathParameters"] = Value::Null,
                2 => event["headers"]["authorization"] = json!(die.text(5_000)),
                _ => event["pathParameters"] = json!({"tenant": null, "event": null}),
            }
        }
        // Somebody repeats an old token, for the same delivery or for another one.
        if signed
            && flaw(15)
            && let Some((old, delivered)) = past.said.get(die.below(past.said.len().max(1)))
        {
            if die.one_in(2) {
                event = delivered.clone();
            }
            headers(&die, &mut event, old, None, false);
            return Self { event, signed, flawless };
        }
        if signed {
            past.said.push((token, event.clone()));
        }
        Self { event, signed, flawless }
    }
}

/// Puts the token, and the key where there is one, under names of any case.
fn headers(die: &Die, event: &mut Value, token: &str, key: Option<String>, any_case: bool) {
    let Some(headers) = event["headers"].as_object_mut() else { return };
    headers.retain(|name, _| !name.eq_ignore_ascii_case("authorization"));
    let names = ["Authorization", "authorization", "AUTHORIZATION"];
    let name = if any_case { *die.one_of(&names) } else { names[0] };
    let scheme = if any_case { *die.one_of(&["Bearer", "bearer", "BEARER"]) } else { "Bearer" };
    headers.insert(name.to_owned(), json!(format!("{scheme} {token}")));
    if let Some(key) = key {
        headers.insert("Idempotency-Key".to_owned(), json!(key));
    } else if any_case {
        headers.remove("Idempotency-Key");
    }
}

fn good_claims(die: &Die, tenant: &str, now: i64) -> String {
    let times = format!(r#""iat":{now},"nbf":{now},"exp":{}"#, now + 60);
    format!(r#"{{"iss":"magento","sub":{},"aud":"byte8-ledger",{times},"jti":"{}"}}"#, json!(tenant), die.id())
}

/// Claims with something odd about them; signed all the same by whoever signs.
fn odd_claims(die: &Die, tenant: &str, now: i64) -> String {
    let mut claims: Value = serde_json::from_str(&good_claims(die, tenant, now)).unwrap();
    match die.below(9) {
        0 => {
            let names = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"];
            claims.as_object_mut().unwrap().remove(*die.one_of(&names));
        }
        1 => claims[*die.one_of(&["iss", "aud", "sub"])] = json!(die.text(300)),
        2 => claims["jti"] = json!(die.text(300)),
        // Hours and days off, in both directions.
        3 | 4 => {
            let off = *die.one_of(&[-400, -3_600, -86_000, -90_000, -9_000_000, 400, 3_600, 86_000, 90_000, 9_000_000]);
            for name in ["iat", "nbf", "exp"] {
                claims[name] = json!(claims[name].as_i64().unwrap() + off);
            }
        }
        5 => {
            claims["exp"] = die.one_of(&[json!(i64::MAX), json!(i64::MIN), json!(0), json!(-1), json!(1.5e300)]).clone()
        }
        6 => {
            claims[*die.one_of(&["iat", "nbf", "exp"])] =
                die.one_of(&[json!("soon"), json!(null), json!([]), json!(u64::MAX)]).clone()
        }
        7 => {
            return die
                .one_of(&["null", "[]", "\"text\"", "{", "{\"iss\":\"magento\",\"iss\":\"magento\"}", ""])
                .to_string();
        }
        _ => claims["admin"] = json!({"deep": [SECRET, {"kid": "../../etc/passwd"}]}),
    }
    claims.to_string()
}

/// A token whose signature isn't right, or that is none.
fn forged(die: &Die, claims: &str) -> String {
    let good = jwt::token(&jwt::outbound_key(API_KEY), claims);
    let with_header = |header: &str| {
        let rest = good.split_once('.').unwrap().1;
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
    };
    match die.below(11) {
        0 => jwt::token(&jwt::outbound_key("byte8_lk_another-shops-key-s3cr3t-w0rd"), claims),
        // The key of the other direction, and the key itself.
        1 => jwt::token(&jwt::inbound_key(API_KEY), claims),
        2 => jwt::token(API_KEY.as_bytes(), claims),
        3 => jwt::token(&[0; 32], claims),
        4 => with_header(r#"{"alg":"none","typ":"JWT"}"#),
        5 => with_header(r#"{"alg":"HS256","typ":"JWT","kid":"1","jwk":{"kty":"oct","k":""}}"#),
        6 => with_header(r#"{"alg":"RS256","typ":"JWT"}"#),
        7 => good.rsplit_once('.').unwrap().0.to_owned() + ".",
        8 => good[..die.below(good.len())].to_owned(),
        9 => {
            // Another claim under a signature that was once good.
            let parts: Vec<&str> = good.split('.').collect();
            let other = format!("{} ", claims.replace("magento", "Magento"));
            format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(other), parts[2])
        }
        _ => die.text(6_000),
    }
}

fn broken(die: &Die, good: &str) -> String {
    let odd_id =
        |id: &str| format!(r#"{{"magento_entity_id":{id},"website_id":1,"store_id":1,"occurred_at":"{SECRET}"}}"#);
    match die.below(10) {
        0 => good[..die.below(good.len())].to_owned(),
        1 => die.text(400),
        2 => odd_id(die.one_of::<&str>(&[
            "0",
            "-1",
            "4294967296",
            "1e3",
            "1.5",
            "\"17\"",
            "\"x\"",
            "null",
            "[]",
            "{}",
            "true",
            "99999999999999999999",
        ])),
        3 => "[".repeat(1 + die.below(20_000)),
        4 => format!(r#"{{"a":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000)),
        // Around the largest body that is taken.
        5 => format!(r#"{{"magento_entity_id":7,"payload":"{}"}}"#, "x".repeat(65_400 + die.below(200))),
        6 => "x".repeat(66_000 + die.below(300_000)),
        7 => r#"{"magento_entity_id":1,"magento_entity_id":2}"#.to_owned(),
        8 => format!(
            r#"{{"magento_entity_id":7,"website_id":-5,"store_id":"x","occurred_at":{},"payload":[]}}"#,
            json!(die.text(80))
        ),
        _ => format!(
            r#"{{"magento_entity_id":7,"occurred_at":"{}","payload":{{"increment_id":{}}}}}"#,
            "9".repeat(die.below(100)),
            json!(die.text(100))
        ),
    }
}
