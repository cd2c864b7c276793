//! Posts invoices: a batch of `invoice.created` messages in, documents in the book and rows out.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use ledger_aws::process::{environment, start_logs};
use ledger_aws::{Aws, Config, SystemChance, SystemClock};
use ledger_engine::batch::Batch;
use ledger_engine::config::Timers;
use ledger_engine::ports::QueueName;
use ledger_engine::post::Post;
use ledger_engine::tenants::TenantMemory;
use ledger_engine::wire::gateway::QueueEvent;
use ledger_http::{Http, HttpConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let aws = Aws::new(&Config::from_lookup(&environment)?)?;
    let http = Http::new(&HttpConfig::from_lookup(&environment)?)?;
    let timers = Timers::from_lookup(&environment)?;
    let (store, queue, vault) = (aws.store(), aws.queue(), aws.vault());
    let (shop, book) = (http.shop(), http.book());
    let memory = TenantMemory::default();
    let post = Post {
        store: &store,
        queue: &queue,
        vault: &vault,
        shop: &shop,
        book: &book,
        clock: &SystemClock,
        chance: &SystemChance,
        memory: &memory,
        timers: &timers,
    };
    let (post, queue, timers) = (&post, &queue, &timers);
    run(service_fn(|event: LambdaEvent<QueueEvent>| async move {
        let batch = Batch {
            queue,
            name: QueueName::InvoiceCreated,
            clock: &SystemClock,
            give_back_seconds: timers.give_back_seconds,
            deadline: i64::try_from(event.context.deadline)?,
        };
        Ok::<_, Error>(batch.runs(&event.payload, post).await)
    }))
    .await
}
