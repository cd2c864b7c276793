//! `ledger-soak`: what `make soak` runs against a local stack of its own that has a fault proxy.
//!
//! It opens shops and books of all four dialects, pairs and connects them over the stack's API, and lets the shops trade
//! until so many deliveries are made. Meanwhile functions are killed, the engine is ended and started again on its state,
//! AWS is throttled, in conflict, lagging and losing replies, books are in storms of 429 and 5xx, and one book's grant is
//! taken back for a minute. Then nothing goes wrong any more, all comes to rest, and each delivery is held against its run
//! and each document of a shop against the books' own statements. The last line says how it ended:
//! `soak: accepted=… synced=… skipped=… dead_lettered=… held=… lost=0 doubled=0`.

mod judge;
mod tally;
mod trade;
mod trouble;
mod world;

use anyhow::Context as _;
use clap::Parser;
use judge::Verdict;
use ledger_aws::SystemClock;
use ledger_aws::engine::ports::Clock;
use ledger_cli::output;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tally::Tally;
use trouble::Plan;
use world::World;

/// After the last delivery and the last fault, all has come to rest within this, in milliseconds: what has failed eight times
/// waits seven minutes even under the stack's short timers, and what was sent three times in vain as long.
const REST_LIMIT_MS: i64 = 900_000;
/// Between two lines of progress, in milliseconds.
const PROGRESS_MS: u64 = 15_000;
/// Between two looks at whether all has come to rest, in milliseconds.
const LOOK_MS: u64 = 3_000;
/// Between two sweeps, in milliseconds. The stack's timers are short, and its schedule can't come more often than each
/// minute.
const SWEEP_MS: u64 = 6_000;

/// Put the deployed stack under load while everything goes wrong, and count what became of it.
#[derive(Clone, Debug, Parser)]
#[command(name = "ledger-soak", version)]
struct Arguments {
    /// The stack's environment file.
    #[arg(long, value_name = "FILE", default_value = ".local/soak/stack.env")]
    stack_env: PathBuf,
    /// Deliveries of all shops together.
    #[arg(long, default_value_t = 2_000)]
    deliveries: usize,
    /// Decides what is sold, and what goes wrong when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Books of each dialect, each with a shop.
    #[arg(long, default_value_t = 2)]
    books: usize,
    /// Deliveries of all shops together in a minute; by default as many as the books may be asked for.
    #[arg(long)]
    per_minute: Option<u64>,
    /// Nothing goes wrong.
    #[arg(long)]
    calm: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match soak(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn soak(arguments: Arguments) -> anyhow::Result<bool> {
    let began = SystemClock.now_ms();
    let tally = Arc::new(Tally::default());
    let world =
        World::open(&arguments.stack_env, arguments.books, arguments.seed).await.context("opening the world")?;
    let world = Arc::new(world);
    output::print(&format!(
        "soak: {} shops and books are paired after {}; {} deliveries, seed {}",
        world.places.len(),
        ledger_demo::seconds(SystemClock.now_ms().saturating_sub(began)),
        arguments.deliveries,
        arguments.seed
    ));
    let progress = tokio::spawn(progresses(Arc::clone(&world), Arc::clone(&tally), SystemClock.now_ms()));
    let sweeps = tokio::spawn(sweeps(Arc::clone(&world), Arc::clone(&tally)));

    let plan = Plan::of(arguments.deliveries, arguments.seed);
    let troubles = (!arguments.calm).then(|| trouble::begin(&world, &tally, &plan));
    trade::all(&world, &tally, &plan, arguments.per_minute).await?;
    if let Some(troubles) = troubles {
        troubles.end(&world, &tally).await.context("ending the faults")?;
    }
    let done = SystemClock.now_ms();
    output::print(&format!("soak: all is delivered and the faults are over after {}", since(began)));
    let rested = trade::rests(&world, &tally, done.saturating_add(REST_LIMIT_MS), LOOK_MS).await;
    progress.abort();
    sweeps.abort();
    if let Err(error) = &rested {
        output::print(&format!("soak: WRONG: {error:#}"));
    }
    output::print(&format!("soak: at rest after {}", since(began)));

    let struck = tally.struck(&world, arguments.calm).await?;
    for line in struck.lines() {
        output::print(&format!("soak: {line}"));
    }
    let Verdict { counts, wrong } = judge::judged(&world, &tally).await?;
    for line in &wrong {
        output::print(&format!("soak: WRONG: {line}"));
    }
    output::print(&format!("soak: {counts}"));
    Ok(wrong.is_empty() && rested.is_ok() && struck.is_complete() && counts.is_good())
}

fn since(began: i64) -> String {
    ledger_demo::seconds(SystemClock.now_ms().saturating_sub(began))
}

async fn progresses(world: Arc<World>, tally: Arc<Tally>, began: i64) {
    loop {
        SystemClock.sleep_ms(PROGRESS_MS).await;
        output::print(&format!("soak: {:>8} {}", since(began), tally.progress(&world).await));
    }
}

async fn sweeps(world: Arc<World>, tally: Arc<Tally>) {
    loop {
        SystemClock.sleep_ms(SWEEP_MS).await;
        if tally.is_engine_away() {
            continue;
        }
        if world.script(&["sweep"]).await.is_ok() {
            tally.swept();
        }
    }
}
