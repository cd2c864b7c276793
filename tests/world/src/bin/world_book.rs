//! The stand-in book as a program.

use std::net::SocketAddr;

use clap::Parser;
use ledger_world::Book;
use ledger_world::book::BookOptions;
use ledger_world::program::announce_and_wait;

/// A book that speaks the v2 dialect. Prints one line of JSON when it is open.
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
    /// How long each request takes at least.
    #[arg(long, default_value_t = 0)]
    latency_milliseconds: u64,
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
        latency_milliseconds: arguments.latency_milliseconds,
        ..BookOptions::default()
    })
    .await?;
    announce_and_wait(&book.url()).await
}
