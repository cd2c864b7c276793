//! Pairing with a ledger, by the shown code or behind its back.

use ring::digest;
use serde_json::Value;

use super::fresh_jti;
use super::rest::{Refusal, missing_fields};
use super::state::{Pairing, State};

/// How long a code is good, in seconds; the last one included.
const LIFE: i64 = 1_800;

pub(crate) fn pair_directly(state: &mut State, tenant_id: &str, api_key: &str, ledger_url: &str) {
    let providers = state.providers.clone();
    state.connected.extend(providers);
    set(state, tenant_id, api_key, ledger_url);
}

fn set(state: &mut State, tenant_id: &str, api_key: &str, ledger_url: &str) {
    state.pairing = Some(Pairing {
        tenant_id: tenant_id.to_owned(),
        api_key: api_key.to_owned(),
        ledger_url: ledger_url.trim_end_matches('/').to_owned(),
    });
    state.key_dropped = false;
    state.key_agreed = None;
}

/// The shop has another key than the ledger from now on, as after a restored configuration; or the agreed one again.
pub(crate) fn drift(state: &mut State, drifted: bool) {
    let Some(pairing) = &mut state.pairing else { return };
    if drifted && state.key_agreed.is_none() {
        let other = format!("byte8_lk_{}", fingerprint(&pairing.api_key));
        state.key_agreed = Some(std::mem::replace(&mut pairing.api_key, other));
    } else if !drifted && let Some(agreed) = state.key_agreed.take() {
        pairing.api_key = agreed;
    }
}

pub(crate) fn show_code(state: &mut State, provider: &str, now: i64) -> String {
    let code = fresh_jti().replace('-', "");
    state.pairing_codes.insert(provider.to_owned(), (fingerprint(&code), now));
    code
}

fn fingerprint(code: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, code.as_bytes()))
}

/// Which provider's module answers on a path below `/V1/byte8/`.
pub(crate) fn provider_of(path: &[&str]) -> Option<&'static str> {
    match path {
        ["setup", "pair"] => Some("sage_accounting"),
        ["freeagent_accounting", "setup", "pair"] => Some("freeagent"),
        ["xero_accounting", "setup", "pair"] => Some("xero"),
        _ => None,
    }
}

/// The ledger presents a code.
pub(crate) fn present(state: &mut State, provider: &str, body: &Value, now: i64) -> Result<(), Refusal> {
    let field = |snake: &str, camel: &str| match body.get(snake).or_else(|| body.get(camel)) {
        Some(Value::String(text)) => Some(text.trim().to_owned()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let code = field("pairing_code", "pairingCode");
    let tenant = field("tenant_id", "tenantId");
    let api_key = field("byte8_api_key", "byte8ApiKey");
    let url = field("ledger_base_url", "ledgerBaseUrl");
    let names = [("pairingCode", &code), ("tenantId", &tenant), ("byte8ApiKey", &api_key), ("ledgerBaseUrl", &url)];
    let missing: Vec<&str> = names.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    let (Some(code), Some(tenant), Some(api_key), Some(url)) = (code, tenant, api_key, url) else {
        return Err(missing_fields(&missing));
    };
    if [&code, &tenant, &api_key, &url].iter().any(|value| value.is_empty()) {
        return Err(Refusal::new(400, "pairing_code, tenant_id, byte8_api_key and ledger_base_url are all required."));
    }
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Err(Refusal::new(400, "ledger_base_url must be an absolute http(s) URL."));
    }
    let good = state
        .pairing_codes
        .get(provider)
        .is_some_and(|(hash, shown)| *hash == fingerprint(&code) && now.saturating_sub(*shown) <= LIFE);
    if !good {
        return Err(Refusal::new(401, "Invalid or expired pairing code."));
    }
    state.pairing_codes.remove(provider);
    state.connected.insert(provider.to_owned());
    set(state, &tenant, &api_key, &url);
    Ok(())
}
