//! The stand-in FreeAgent as a program.

use std::net::SocketAddr;

use clap::Parser;
use ledger_world::Book;
use ledger_world::book::{BookOptions, REQUESTS_PER_HOUR, REQUESTS_PER_MINUTE};
use ledger_world::program::announce_and_wait;

/// A book with FreeAgent's rules. Prints one line of JSON when it is open.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The address it calls itself by in its documents' URLs, if it is reached by another one.
    #[arg(long)]
    public_url: Option<String>,
    /// Tokens it accepts.
    #[arg(long = "token", default_values_t = ["book-token".to_owned()])]
    tokens: Vec<String>,
    /// The company's number.
    #[arg(long, default_value_t = 1)]
    company_id: u64,
    /// The company's currency.
    #[arg(long, default_value = "GBP")]
    currency: String,
    /// What the user behind the tokens may do, 1 to 8.
    #[arg(long, default_value_t = 8)]
    permission_level: u8,
    /// How long each request takes at least.
    #[arg(long, default_value_t = 0)]
    latency_milliseconds: u64,
    /// How many requests a minute it takes; 0 means any number.
    #[arg(long, default_value_t = REQUESTS_PER_MINUTE)]
    requests_per_minute: u32,
    /// How many requests an hour it takes; 0 means any number.
    #[arg(long, default_value_t = REQUESTS_PER_HOUR)]
    requests_per_hour: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let book = Book::start(BookOptions {
        listen: arguments.listen,
        public_url: arguments.public_url,
        tokens: arguments.tokens,
        company_id: arguments.company_id,
        currency: arguments.currency,
        permission_level: arguments.permission_level,
        latency_milliseconds: arguments.latency_milliseconds,
        requests_per_minute: Some(arguments.requests_per_minute).filter(|limit| *limit > 0),
        requests_per_hour: Some(arguments.requests_per_hour).filter(|limit| *limit > 0),
        ..BookOptions::freeagent()
    })
    .await?;
    announce_and_wait(&book.url()).await
}
