//! `ledger-demo`: what `make demo` runs against the local stack.
//!
//! It pairs four stand-in shops by the codes that they show and connects each to a book of another dialect over the
//! provider's sign-in pages, as an operator would, over the stack's API. Then it raises six invoices in the first, lets
//! the shop's cron deliver them, follows each until the shop shows what became of it, and compares the totals of shop and
//! book to the penny. Then one order lives in each dialect, from the customer's account to the refund of all that was
//! paid, and what the book holds in the end is compared with the shop. It ends with 0 only where everything came to the
//! end that it should.

mod cases;
mod compare;
mod delivery;
mod follow;
mod life;

use anyhow::Context;
use clap::Parser;
use ledger_aws::SystemClock;
use ledger_aws::engine::ports::Clock;
use ledger_cli::{Stack, output};
use ledger_demo::api::Api;
use ledger_demo::pairing::{self, Paired};
use ledger_demo::seconds;
use ledger_demo::variables::Variables;
use std::path::PathBuf;
use std::process::ExitCode;

/// How long each part may take, in seconds: longer than a book waits that was asked 60 times in the minute before.
const LIMIT_SECONDS: u64 = 90;

/// Watch documents travel from a shop into a book, on the local stack.
#[derive(Debug, Parser)]
#[command(name = "ledger-demo", version)]
struct Arguments {
    /// The stack's environment file, as `make up` writes it.
    #[arg(long, value_name = "FILE", default_value = ".local/stack.env")]
    stack_env: PathBuf,
    /// Only pair each shop and connect its book, unless that is so already.
    #[arg(long)]
    pair_only: bool,
    /// Pair and connect again, even where all is as it should be.
    #[arg(long)]
    again: bool,
    /// Seconds that each part may take.
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT_SECONDS)]
    limit: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match demo(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: &Arguments) -> anyhow::Result<bool> {
    let began = SystemClock.now_ms();
    let mut variables = Variables::read(&arguments.stack_env).context("is the stack up? `make up` starts it")?;
    let stack = Stack::open(&|name| variables.get(name))?;
    let paired = pairing::pair_all(&Api::of(&variables)?, &mut variables, arguments.again).await?;
    for paired in paired.iter().filter(|paired| paired.is_fresh() || arguments.pair_only) {
        output::print(paired.told());
    }
    if arguments.pair_only {
        return Ok(true);
    }
    let name = variables.get("LEDGER_STACK").unwrap_or_default();
    let limit_ms = i64::try_from(arguments.limit.saturating_mul(1_000)).unwrap_or(i64::MAX);
    tokio::select! {
        shown = show(&stack, &paired, limit_ms, began) => shown,
        never = delivery::sweeps(&name) => match never {},
    }
}

/// Six invoices in the first dialect, then an order's life in each.
async fn show(stack: &Stack, paired: &[Paired], limit_ms: i64, began: i64) -> anyhow::Result<bool> {
    let [v2, accounting, sage, freeagent] = paired else { anyhow::bail!("there are {} shops", paired.len()) };
    let until = || SystemClock.now_ms().saturating_add(limit_ms);
    let followed = follow::follow(stack, v2, until()).await?;
    output::print(&follow::summary(&followed, SystemClock.now_ms().saturating_sub(began)));

    output::print(
        "\nOne order lives in every dialect at once: bought, paid by card, refunded in part, refunded to the end.",
    );
    let (mark, until) = (format!("{:x}", began.div_euclid(1_000)), until());
    let live = |paired| life::live(stack, paired, &mark, until);
    let (v2, accounting, sage, freeagent) = tokio::try_join!(live(v2), live(accounting), live(sage), live(freeagent))?;
    let lives = [v2, accounting, sage, freeagent];
    for lived in &lives {
        output::print(&lived.told());
        for wrong in lived.wrongs() {
            output::print(&format!("WRONG: {}: {wrong}", lived.title()));
        }
    }
    let good = lives.iter().filter(|lived| lived.wrongs().is_empty()).count();
    let took = seconds(SystemClock.now_ms().saturating_sub(began));
    output::print(&if good == lives.len() {
        format!("\nAs it should be: in {good} dialects shop and book say the same to the penny; {took} in all.")
    } else {
        format!("\nWRONG: in {good} of {} dialects only shop and book say the same; {took} in all.", lives.len())
    });
    output::print("\nLook for yourself:\n  target/debug/ledger dead-letters list");
    for paired in paired {
        output::print(&format!("  target/debug/ledger runs list --tenant {}", paired.tenant));
    }
    Ok(good == lives.len() && followed.iter().all(follow::Followed::is_good))
}
