//! From a shop's outbox to the end of each run.

use ledger_aws::SystemClock;
use ledger_aws::engine::operate::RunDetail;
use ledger_aws::engine::ports::Clock;
use ledger_cli::{Stack, output};
use ledger_demo::strangers::{Sent, Shop};

/// Between two looks at a run, in milliseconds: a look asks the local engine four times.
const LOOK_MS: u64 = 150;
/// Before a delivery that was not taken is repeated, in milliseconds.
const AGAIN_MS: u64 = 500;
/// What needs longer than this has lost a message: the sweeper is asked to look, in milliseconds. It would come by
/// itself every minute.
const SWEEP_AFTER_MS: u64 = 15_000;

/// A delivery, good or not.
pub(crate) struct Delivered {
    pub(crate) sent: Sent,
    /// When cron began.
    pub(crate) at: i64,
    /// How long cron took.
    pub(crate) took: i64,
}

/// Ticks the shop's cron until the ledger has taken what was asked for; whatever else was due goes with it.
pub(crate) async fn deliver(shop: &Shop, wanted: &[String], until: i64) -> anyhow::Result<Vec<Delivered>> {
    let mut all: Vec<Delivered> = Vec::new();
    loop {
        let at = SystemClock.now_ms();
        anyhow::ensure!(at < until, "the ledger does not take the shop's deliveries");
        let sent = shop.ticks().await?;
        let took = SystemClock.now_ms().saturating_sub(at);
        anyhow::ensure!(!sent.is_empty(), "the shop's outbox has not all of {}", wanted.join(", "));
        let mut again = false;
        for sent in sent {
            let refused = sent.status.is_some_and(|status| (400..500).contains(&status));
            anyhow::ensure!(!refused, "the ledger refuses {}: {:?} {}", sent.idempotency_key, sent.status, sent.body);
            if !sent.is_good() {
                // The shop would try again after its backoff; a watcher doesn't want to wait for that.
                shop.requeues(sent.outbox_id).await?;
                again = true;
            }
            all.push(Delivered { sent, at, took });
        }
        // A full outbox takes several ticks.
        let taken = |key: &String| all.iter().any(|it| it.sent.idempotency_key == *key && it.sent.run_id().is_some());
        if wanted.iter().all(taken) {
            return Ok(all);
        }
        if again {
            SystemClock.sleep_ms(AGAIN_MS).await;
        }
    }
}

/// The run, once it has come to an end that it does not leave by itself, or as it is then.
pub(crate) async fn ended(stack: &Stack, run_id: &str, until: i64) -> anyhow::Result<RunDetail> {
    loop {
        let detail = stack.operate().run(run_id).await?;
        let is_over = ["succeeded", "skipped", "dead_lettered", "held"].contains(&detail.run.state.as_str());
        if is_over || SystemClock.now_ms() >= until {
            return Ok(detail);
        }
        SystemClock.sleep_ms(LOOK_MS).await;
    }
}

/// Asks the local stack's sweeper to look, again and again. Where that can't be, its schedule brings it within a minute.
pub(crate) async fn sweeps(stack_name: &str) -> std::convert::Infallible {
    let name = stack_name.strip_prefix("ledger-").unwrap_or("default");
    loop {
        SystemClock.sleep_ms(SWEEP_AFTER_MS).await;
        let mut command = tokio::process::Command::new("python3");
        command.args(["infra/local/stack.py", "--name", name, "sweep"]);
        match command.output().await {
            Ok(swept) => output::print(&format!("Swept: {}", String::from_utf8_lossy(&swept.stdout).trim())),
            Err(error) => output::complain(&format!("not swept: {error}")),
        }
    }
}
