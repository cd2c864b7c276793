//! Tells shops what became of their documents: a batch of push messages in, chips out.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use ledger_aws::process::{environment, start_logs};
use ledger_aws::{Aws, Config, SystemChance, SystemClock};
use ledger_engine::batch::Batch;
use ledger_engine::config::Timers;
use ledger_engine::ports::QueueName;
use ledger_engine::push::Push;
use ledger_engine::tenants::TenantMemory;
use ledger_engine::wire::gateway::QueueEvent;
use ledger_http::{Http, HttpConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let aws = Aws::new(&Config::from_lookup(&environment)?)?;
    let http = Http::new(&HttpConfig::from_lookup(&environment)?)?;
    let timers = Timers::from_lookup(&environment)?;
    let (store, queue, vault, shop) = (aws.store(), aws.queue(), aws.vault(), http.shop());
    let memory = TenantMemory::default();
    let push = Push {
        store: &store,
        vault: &vault,
        shop: &shop,
        clock: &SystemClock,
        chance: &SystemChance,
        memory: &memory,
        timers: &timers,
    };
    let (push, queue, timers) = (&push, &queue, &timers);
    run(service_fn(|event: LambdaEvent<QueueEvent>| async move {
        let batch = Batch {
            queue,
            name: QueueName::PushSyncState,
            clock: &SystemClock,
            give_back_seconds: timers.give_back_seconds,
            deadline: i64::try_from(event.context.deadline)?,
        };
        Ok::<_, Error>(batch.pushes(&event.payload, push).await)
    }))
    .await
}
