//! Posts payments: a batch of `invoice.paid` messages in, documents in the book and rows out.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use ledger_aws::engine::domain::identity::Event;
use ledger_aws::engine::wire::gateway::QueueEvent;
use ledger_aws::process::{environment, start_logs, worker};
use ledger_http::{Http, HttpConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let http = Http::new(&HttpConfig::from_lookup(&environment)?)?;
    let worker = &worker(Event::InvoicePaid, http.shop(), http.book(), http.authorities())?;
    run(service_fn(|event: LambdaEvent<QueueEvent>| async move {
        Ok::<_, Error>(worker.takes(&event.payload, i64::try_from(event.context.deadline)?).await)
    }))
    .await
}
