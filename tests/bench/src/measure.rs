//! Start-up, processor time, memory and calls of a built function.

use crate::ambient;
use crate::aws::meter::Count;
use crate::aws::sqs::{INVOICE_CREATED, PUSH_SYNC_STATE};
use crate::scene::{Scene, event, proxied};
use anyhow::{Context as _, ensure};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use ledger_world::runtime_api::LambdaFunction;
use serde::Serialize;
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;

/// Bytes of a zip file besides the deflated content: local header, directory entry, end, and the name twice.
const ZIP_FRAME: u64 = 30 + 46 + 22 + 18;

/// What one run of a function came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Run {
    /// From the process's start to its first answer, in microseconds.
    pub first_answer_us: u64,
    /// From the process's start to its asking for the first event, in microseconds.
    pub init_us: u64,
    /// Processor time until the first answer, in microseconds.
    pub first_cpu_us: u64,
    /// Processor time of a warm event, in nanoseconds.
    pub event_cpu_ns: u64,
    /// From handing out a warm event to its answer, in microseconds, on average.
    pub event_us: u64,
    /// Most memory that was ever resident, in kibibytes.
    pub peak_kib: u64,
    /// Bytes that a warm event wrote to the log.
    pub log_bytes: u64,
}

/// What one warm event asked of AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// What is counted.
    pub what: String,
    /// How many were looked at; each asked the same.
    pub events: u64,
    /// Most calls, over the events.
    pub calls_max: u64,
    /// Least calls.
    pub calls_min: u64,
    /// The latest event's calls by operation.
    pub last: Count,
    /// Write units, the most of any event.
    pub write_units_max: u64,
}

impl Asked {
    fn of(what: &str, counts: &[Count]) -> anyhow::Result<Self> {
        Ok(Self {
            what: what.to_owned(),
            events: u64::try_from(counts.len())?,
            calls_max: counts.iter().map(Count::total).max().unwrap_or_default(),
            calls_min: counts.iter().map(Count::total).min().unwrap_or_default(),
            last: counts.last().cloned().context("nothing was counted")?,
            write_units_max: counts.iter().map(Count::write_units).max().unwrap_or_default(),
        })
    }
}

/// The middle one of some figures.
#[must_use]
pub fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// The median of one of the figures of some runs.
#[must_use]
pub fn median_of(runs: &[Run], figure: impl Fn(&Run) -> u64) -> u64 {
    median(runs.iter().map(figure).collect())
}

/// Processor time of a function so far, in nanoseconds, and its most memory in kibibytes.
fn resources(function: &LambdaFunction) -> anyhow::Result<(u64, u64)> {
    let resources = function.resources().context("the process has ended")?;
    Ok((u64::try_from(resources.processor_time.as_nanos())?, resources.peak_resident_kibibytes))
}

fn log_bytes(function: &LambdaFunction) -> u64 {
    // And a line feed each.
    function.log_lines().iter().map(|line| u64::try_from(line.len()).unwrap_or_default().saturating_add(1)).sum()
}

fn micros(since: std::time::Instant) -> u64 {
    u64::try_from(ambient::instant().saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX)
}

/// Starts a function, gives it one event, then `warm` at leisure; every answer has to be to the taste of `good`.
///
/// # Errors
/// Where it fails, or an answer isn't good.
pub async fn run(
    scene: &Scene,
    binary: &Path,
    first: &Value,
    warm: &[Value],
    good: impl Fn(&Value) -> bool,
) -> anyhow::Result<Run> {
    let spawned = ambient::instant();
    let function = scene.spawns(binary).await?;
    let answer = function.invoke(first).await?;
    let first_answer_us = micros(spawned);
    ensure!(good(&answer), "{}: {answer}", binary.display());
    let (first_cpu, _) = resources(&function)?;
    let init = function.initialization().context("the function never asked for an event")?;
    // The log is read by another task than the answer.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let (logged, began) = (log_bytes(&function), ambient::instant());
    let pause = ambient::variable("LEDGER_BENCH_PAUSE_MS").and_then(|text| text.parse().ok()).unwrap_or(0);
    for event in warm {
        if pause > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
        let answer = function.invoke(event).await?;
        ensure!(good(&answer), "{}: {answer}", binary.display());
    }
    let took = micros(began);
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let (cpu, peak_kib) = resources(&function)?;
    let events = u64::try_from(warm.len())?;
    let each = |sum: u64| sum.checked_div(events).unwrap_or_default();
    function.kill();
    Ok(Run {
        first_answer_us,
        init_us: u64::try_from(init.as_micros())?,
        first_cpu_us: first_cpu / 1_000,
        event_cpu_ns: each(cpu.saturating_sub(first_cpu)),
        event_us: each(took),
        peak_kib,
        log_bytes: each(log_bytes(&function).saturating_sub(logged)),
    })
}

/// Deliveries of so many invoices as the webhook gets them; the first `known` of the shop's customer, the others of
/// guests.
///
/// # Errors
/// Where the shop won't.
pub fn deliveries(scene: &Scene, known: usize, guests: usize) -> anyhow::Result<Vec<Value>> {
    let mut events = Vec::with_capacity(known.saturating_add(guests));
    for number in 0..known.saturating_add(guests) {
        let email = format!("guest-{}@example.com", ambient::fresh_uuid());
        events.push(proxied(&scene.raises((number >= known).then_some(email.as_str()))?)?);
    }
    Ok(events)
}

/// What each kind of warm event asks of AWS: a delivery, an attempt for a known contact, one for a new contact, a push,
/// a sweep that finds nothing.
///
/// # Errors
/// Where a function fails.
pub async fn asked(
    scene: &Scene,
    binary: impl Fn(&str) -> std::path::PathBuf,
    events: usize,
) -> anyhow::Result<Vec<Asked>> {
    let webhook = scene.spawns(&binary("webhook")).await?;
    let worker = scene.spawns(&binary("worker-invoice-created")).await?;
    let push = scene.spawns(&binary("worker-push-sync-state")).await?;
    let sweeper = scene.spawns(&binary("sweeper")).await?;
    let (mut delivered, mut known, mut new, mut pushed, mut swept) = (vec![], vec![], vec![], vec![], vec![]);
    // The first of each is cold, and makes the contact that is known afterwards.
    for round in 0..=events {
        for (guest, attempts) in
            [(None, &mut known), (Some(format!("round-{}@example.com", ambient::fresh_uuid())), &mut new)]
        {
            let delivery = scene.raises(guest.as_deref())?;
            let before = scene.aws.count();
            scene.delivers(&webhook, &delivery).await?;
            let after_delivery = scene.aws.count();
            scene.works(&worker, &scene.aws.queues().take(INVOICE_CREATED)).await?;
            let after_attempt = scene.aws.count();
            scene.works(&push, &scene.aws.queues().take(PUSH_SYNC_STATE)).await?;
            let after_push = scene.aws.count();
            sweeper.invoke(&event("sweeper-scheduled")?).await?;
            if round > 0 {
                delivered.push(after_delivery.since(&before));
                attempts.push(after_attempt.since(&after_delivery));
                pushed.push(after_push.since(&after_attempt));
                swept.push(scene.aws.count().since(&after_push));
            }
        }
    }
    let invoices = scene.book.invoices().len();
    let expected = events.saturating_add(1).saturating_mul(2);
    ensure!(invoices == expected, "{invoices} invoices in the book instead of {expected}");
    let synced = scene.shop.pushed().iter().filter(|state| state.chip.sync_status == "synced").count();
    ensure!(synced == expected, "{synced} chips synced instead of {expected}");
    Ok(vec![
        Asked::of("delivery", &delivered)?,
        Asked::of("attempt, known contact", &known)?,
        Asked::of("attempt, new contact", &new)?,
        Asked::of("push", &pushed)?,
        Asked::of("idle sweep", &swept)?,
    ])
}

/// Bytes of the zip file with that binary in it.
///
/// # Errors
/// Where it can't be read.
pub fn zip_bytes(binary: &Path) -> anyhow::Result<u64> {
    let content = std::fs::read(binary).with_context(|| binary.display().to_string())?;
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(&content)?;
    Ok(u64::try_from(deflated.finish()?.len())?.saturating_add(ZIP_FRAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(vec![9, 1, 5]), median(vec![4]), median(vec![])), (5, 4, 0));
        assert_eq!(median(vec![1, 2, 3, 100]), 3);
    }
}
