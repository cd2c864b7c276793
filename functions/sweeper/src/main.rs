//! Finishes whatever was left: called every minute, sends again what is due, and measures.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use ledger_aws::process::{environment, print_line, start_logs};
use ledger_aws::{Aws, Config, SystemChance, SystemClock};
use ledger_engine::config::Timers;
use ledger_engine::notices::Telling;
use ledger_engine::ports::Clock;
use ledger_engine::sweep::Sweep;
use ledger_engine::tenants::TenantMemory;
use ledger_http::{Http, HttpConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logs();
    let aws = Aws::new(&Config::from_lookup(&environment)?)?;
    let http = Http::new(&HttpConfig::from_lookup(&environment)?)?;
    let timers = Timers::from_lookup(&environment)?;
    let stack = environment("LEDGER_STACK").ok_or("LEDGER_STACK is not set")?;
    let (store, queue, vault) = (aws.store(), aws.queue(), aws.vault());
    let (shop, authorities) = (http.shop(), http.authorities());
    let memory = TenantMemory::default();
    let sweep = Sweep {
        store: &store,
        queue: &queue,
        bells: &queue,
        vault: &vault,
        shop: &shop,
        authorities: &authorities,
        clock: &SystemClock,
        chance: &SystemChance,
        memory: &memory,
        timers: &timers,
    };
    let public_url = environment("PUBLIC_URL").filter(|url| !url.is_empty());
    let (topic, hooks) = (aws.topic(), http.hooks());
    let telling = Telling {
        store: &store,
        vault: &vault,
        topic: &topic,
        hooks: &hooks,
        clock: &SystemClock,
        chance: &SystemChance,
        timers: &timers,
        public_url: public_url.as_deref().map(|url| url.trim_end_matches('/')),
    };
    let (sweep, telling, stack) = (&sweep, &telling, stack.as_str());
    run(service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        let deadline = i64::try_from(event.context.deadline)?;
        let report = sweep.sweep(deadline).await;
        for line in report.embedded_metrics(stack, SystemClock.now_ms()) {
            print_line(&line);
        }
        // Last: people can wait longer than work.
        telling.tell(deadline).await;
        Ok::<_, Error>(report.summary())
    }))
    .await
}
