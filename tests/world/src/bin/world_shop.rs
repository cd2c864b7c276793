//! The stand-in shop as a program.

use std::net::SocketAddr;

use clap::Parser;
use ledger_world::Shop;
use ledger_world::program::announce_and_wait;
use ledger_world::shop::{ClientVersion, ShopOptions};

/// A Magento shop with the published accounting module. Prints one line of JSON when it is open.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Behave as the older client, which doesn't name a provider.
    #[arg(long)]
    older_client: bool,
    /// Providers whose module is installed.
    #[arg(long = "provider", default_values_t = ["xero".to_owned()])]
    providers: Vec<String>,
    /// Providers whose module tells of products and stock.
    #[arg(long = "catalogue-watcher", default_values_t = ["sage_accounting".to_owned()])]
    catalogue_watchers: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let client = if arguments.older_client { ClientVersion::WithoutProvider } else { ClientVersion::WithProvider };
    let options = ShopOptions {
        listen: arguments.listen,
        client,
        providers: arguments.providers,
        catalogue_watchers: arguments.catalogue_watchers,
        ..ShopOptions::default()
    };
    let shop = Shop::start(options).await?;
    announce_and_wait(&shop.url()).await
}
