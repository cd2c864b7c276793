//! `ledger-demo`: what `make demo` runs against the local stack.
//!
//! It pairs the stand-in shop with a tenant, raises six invoices, lets the shop's cron deliver them, follows each until
//! the shop shows what became of it, and compares the totals of shop and book to the penny. It ends with 0 only where
//! each invoice came to the end that it should.

mod cases;
mod follow;
mod http;
mod pairing;
mod strangers;
mod variables;

use anyhow::Context;
use clap::Parser;
use ledger_aws::SystemClock;
use ledger_aws::engine::ports::Clock;
use ledger_cli::{Stack, output};
use std::path::PathBuf;
use std::process::ExitCode;
use strangers::{Book, Shop};
use variables::Variables;

/// How long all invoices together may take, in seconds.
const LIMIT_SECONDS: u64 = 60;

/// Watch documents travel from a shop into a book, on the local stack.
#[derive(Debug, Parser)]
#[command(name = "ledger-demo", version)]
struct Arguments {
    /// The stack's environment file, as `make up` writes it.
    #[arg(long, value_name = "FILE", default_value = ".local/stack.env")]
    stack_env: PathBuf,
    /// Only pair the shop with a tenant, unless it is paired already.
    #[arg(long)]
    pair_only: bool,
    /// Pair with a new tenant even if the shop is paired.
    #[arg(long)]
    fresh: bool,
    /// Seconds that the invoices may take.
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
    let shop = Shop::at(&variables.need("SHOP_URL")?);
    let book = Book::at(&variables.need("BOOK_URL")?);
    let paired = pairing::pair(&stack, &shop, &book, &mut variables, arguments.fresh).await?;
    if paired.fresh || arguments.pair_only {
        output::print(&paired.told());
    }
    if arguments.pair_only {
        return Ok(true);
    }
    let name = variables.get("LEDGER_STACK").unwrap_or_default();
    let followed = follow::follow(&stack, &shop, &book, &paired, arguments.limit, &name).await?;
    output::print(&follow::summary(&followed, &paired.tenant, SystemClock.now_ms().saturating_sub(began)));
    Ok(followed.iter().all(follow::Followed::is_good))
}
