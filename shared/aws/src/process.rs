//! What every function's process does once: read the environment, write logs as JSON, put a worker together.

use crate::{Aws, Config, SystemChance, SystemClock};
use ledger_domain::identity::Event;
use ledger_engine::config::Timers;
use ledger_engine::ports::{Book, Shop};
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

/// The worker of an event, on the adapters that the environment names, with these ways to shop and book.
///
/// # Errors
/// What the environment lacks, or has wrong.
pub fn worker(
    event: Event,
    shop: impl Shop + 'static,
    book: impl Book + 'static,
) -> Result<Worker, Box<dyn std::error::Error + Send + Sync>> {
    let aws = Aws::new(&Config::from_lookup(&environment)?)?;
    Ok(Worker {
        event,
        store: Box::new(aws.store()),
        queue: Box::new(aws.queue()),
        vault: Box::new(aws.vault()),
        shop: Box::new(shop),
        book: Box::new(book),
        clock: Box::new(SystemClock),
        chance: Box::new(SystemChance),
        timers: Timers::from_lookup(&environment)?,
        memory: TenantMemory::default(),
    })
}
