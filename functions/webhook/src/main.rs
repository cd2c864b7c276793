//! Takes deliveries from shops: API Gateway (REST, proxy integration) in, run and message out.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use ledger_aws::process::{environment, start_logs};
use ledger_aws::{Aws, Config, SystemChance, SystemClock};
use ledger_engine::config::Timers;
use ledger_engine::ingest::Ingest;
use ledger_engine::tenants::TenantMemory;
use ledger_engine::wire::gateway::ProxyRequest;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let aws = Aws::new(&Config::from_lookup(&environment)?)?;
    let timers = Timers::from_lookup(&environment)?;
    let (store, queue, vault) = (aws.store(), aws.queue(), aws.vault());
    let memory = TenantMemory::default();
    let ingest = Ingest {
        store: &store,
        queue: &queue,
        vault: &vault,
        clock: &SystemClock,
        chance: &SystemChance,
        memory: &memory,
        timers: &timers,
    };
    let ingest = &ingest;
    run(service_fn(
        |event: LambdaEvent<ProxyRequest>| async move { Ok::<_, Error>(ingest.proxied(&event.payload).await) },
    ))
    .await
}
