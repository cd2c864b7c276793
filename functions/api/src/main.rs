//! Answers operators and the shop's module: API Gateway (REST, proxy integration) in, the routes of `ledger-routes` behind it.

use ledger_aws::process::{environment, issuer, start_logs};
use ledger_aws::{Aws, Config, SystemChance, SystemClock};
use ledger_engine::config::Timers;
use ledger_engine::signin::SignIn;
use ledger_http::{Http, HttpConfig};
use ledger_routes::{Api, router};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logs();
    let aws = Aws::new(&Config::from_lookup(&environment)?)?;
    let http = Http::new(&HttpConfig::from_lookup(&environment)?)?;
    let (issuer, keys_url) = issuer(&environment)?;
    let api = Api {
        store: Box::new(aws.store()),
        queue: Box::new(aws.queue()),
        vault: Box::new(aws.vault()),
        clock: Box::new(SystemClock),
        chance: Box::new(SystemChance),
        issuer_keys: Box::new(http.issuer(&keys_url)),
        sign_in: SignIn::new(issuer),
        timers: Timers::from_lookup(&environment)?,
        public_url: environment("PUBLIC_URL").filter(|url| !url.is_empty()),
    };
    lambda_http::run(router(Arc::new(api))).await
}
