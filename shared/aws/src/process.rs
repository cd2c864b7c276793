//! What every function's process does once: read the environment, write logs as JSON, put a worker together.

use crate::{Aws, Config, SystemChance, SystemClock};
use ledger_domain::identity::Event;
use ledger_engine::config::Timers;
use ledger_engine::ports::{Authorities, Book, Shop};
use ledger_engine::signin::Issuer;
use ledger_engine::tally::Tally;
use ledger_engine::tenants::TenantMemory;
use ledger_engine::worker::Worker;
use std::io::Write;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The environment, by name. The only place that reads it.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "configuration is read here, once, at start-up")]
    std::env::var(name).ok()
}

/// Writes logs to standard output as one JSON object a line, from the level that `LOG_LEVEL` names (default `info`).
pub fn start_logs() {
    let level = environment("LOG_LEVEL").and_then(|text| text.parse().ok()).unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    // The libraries below us would write whole requests at their lowest level, secrets included.
    let ours = Targets::new().with_target("ledger", level).with_default(LevelFilter::WARN);
    tracing_subscriber::registry().with(lines.with_filter(ours)).init();
}

/// Writes a line to standard output as it is, for metrics that the log service reads.
pub fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    // A function without a standard output has nobody to tell.
    let _ = writeln!(out, "{line}");
}

/// The worker of an event, on the adapters that the environment names, with these ways to shop, book and the book's
/// OAuth addresses.
///
/// # Errors
/// What the environment lacks, or has wrong.
pub fn worker(
    event: Event,
    shop: impl Shop + 'static,
    book: impl Book + 'static,
    authorities: impl Authorities + 'static,
) -> Result<Worker, Box<dyn std::error::Error + Send + Sync>> {
    let aws = Aws::new(&Config::from_lookup(&environment)?)?;
    Ok(Worker {
        event,
        store: Box::new(aws.store()),
        queue: Box::new(aws.queue()),
        vault: Box::new(aws.vault()),
        shop: Box::new(shop),
        book: Box::new(book),
        authorities: Box::new(authorities),
        clock: Box::new(SystemClock),
        chance: Box::new(SystemChance),
        timers: Timers::from_lookup(&environment)?,
        memory: TenantMemory::default(),
        tally: Tally::default(),
        stack: environment("LEDGER_STACK").unwrap_or_default(),
        print: print_line,
    })
}

/// Whose operators' tokens count, and where their keys are, from `OIDC_ISSUER`, `OIDC_CLIENT_IDS` (by comma),
/// `OIDC_GROUPS_CLAIM` and `OIDC_KEYS_URL`. Without the last the keys are where Cognito and most others keep them, below
/// the issuer; on an AWS engine of one's own (`AWS_ENDPOINT_URL`) Cognito's issuer is a name only, and its keys are there.
///
/// # Errors
/// The variable that is missing.
pub fn issuer(
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(Issuer, String), Box<dyn std::error::Error + Send + Sync>> {
    let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let issuer = given("OIDC_ISSUER").ok_or("OIDC_ISSUER is not set")?;
    let clients = given("OIDC_CLIENT_IDS").ok_or("OIDC_CLIENT_IDS is not set")?;
    let keys_url = given("OIDC_KEYS_URL").unwrap_or_else(|| {
        let base = match given("AWS_ENDPOINT_URL") {
            Some(engine) if issuer.starts_with("https://cognito-idp.") => {
                let pool = issuer.rsplit('/').next().unwrap_or_default();
                format!("{}/{pool}", engine.trim_end_matches('/'))
            }
            _ => issuer.trim_end_matches('/').to_owned(),
        };
        format!("{base}/.well-known/jwks.json")
    });
    let audiences = clients.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
    let groups_claim = given("OIDC_GROUPS_CLAIM").unwrap_or_else(|| "cognito:groups".to_owned());
    Ok((Issuer { issuer, audiences, groups_claim }, keys_url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuers_keys_are_below_it_or_where_the_engine_has_them() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, it)| (*it).to_owned());
            assert_eq!(issuer(&lookup).ok().map(|(_, url)| url).as_deref(), expected, "{variables:?}");
        };
        let pool = ("OIDC_ISSUER", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc");
        let (ours, engine) = (("OIDC_CLIENT_IDS", "a, b"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"));
        check(&[], None);
        check(&[pool], None);
        check(&[pool, ours], Some("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc/.well-known/jwks.json"));
        check(&[pool, ours, engine], Some("http://127.0.0.1:4566/eu-west-1_abc/.well-known/jwks.json"));
        let other = ("OIDC_ISSUER", "https://issuer.example/realm/");
        check(&[other, ours, engine], Some("https://issuer.example/realm/.well-known/jwks.json"));
        let keys = ("OIDC_KEYS_URL", "https://issuer.example/keys");
        check(&[other, ours, keys, ("OIDC_GROUPS_CLAIM", "groups")], Some("https://issuer.example/keys"));
    }
}
