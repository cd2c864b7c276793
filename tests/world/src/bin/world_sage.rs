//! The stand-in for Sage Accounting as a program.

use std::net::SocketAddr;

use clap::Parser;
use ledger_world::SageBook;
use ledger_world::program::announce_and_wait;
use ledger_world::sage::SageOptions;

/// A book that speaks Sage Accounting v3.1. Prints one line of JSON when it is open.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Tokens it accepts.
    #[arg(long = "token", default_values_t = ["book-token".to_owned()])]
    tokens: Vec<String>,
    /// The business's id.
    #[arg(long, default_value = SageOptions::BUSINESS)]
    business: String,
    /// The business's currency.
    #[arg(long, default_value = "GBP")]
    currency: String,
    /// How many requests a minute it takes; any number by default.
    #[arg(long)]
    requests_per_minute: Option<u32>,
    /// How long each request takes at least.
    #[arg(long, default_value_t = 0)]
    latency_milliseconds: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let book = SageBook::start(SageOptions {
        listen: arguments.listen,
        tokens: arguments.tokens,
        business: arguments.business,
        currency: arguments.currency,
        requests_per_minute: arguments.requests_per_minute,
        latency_milliseconds: arguments.latency_milliseconds,
        ..SageOptions::default()
    })
    .await?;
    announce_and_wait(&book.url()).await
}
