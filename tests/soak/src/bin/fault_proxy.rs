//! The fault proxy as a program.

use clap::Parser;
use ledger_aws::SystemClock;
use ledger_soak::proxy::{Proxy, Weather};
use ledger_world::program::announce_and_wait;
use std::net::SocketAddr;
use std::sync::Arc;

/// Stands between functions and a local AWS engine. Prints one line of JSON when it is open; until it is told otherwise at
/// `POST /_control/weather`, nothing goes wrong.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the engine is.
    #[arg(long)]
    engine: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let proxy = Proxy::start(arguments.listen, arguments.engine, Arc::new(SystemClock), Weather::default()).await?;
    announce_and_wait(&proxy.url()).await
}
