//! Measures what ships, next to a program that does nothing, and says whether the limits are met.
//!
//! `make ship` builds what is measured. Variables: `LEDGER_BENCH_RUNS` (5), `LEDGER_BENCH_EVENTS` (400 warm events a
//! run), `LEDGER_BENCH_STARTS` (25 starts besides), `LEDGER_BENCH_FUNCTIONS` (`target/ship`) and
//! `LEDGER_BENCH_CONTROL` (built where not named).

use anyhow::{Context as _, ensure};
use ledger_bench::measure::{self, Asked, Run, median, median_of};
use ledger_bench::report::{Figure, Unit, table};
use ledger_bench::scene::{FUNCTIONS, Scene, batch, binary, event};
use ledger_bench::{ambient, aws};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The most that the webhook's start may take, in hundredths of the control's.
const START_LIMIT: u64 = 500;
/// The most processor time that an accepted event may take, in hundredths of the control's.
const CPU_LIMIT: u64 = 600;
/// The most memory, in kibibytes.
const MEMORY_LIMIT: u64 = 24 * 1_024;
/// The most bytes of a function's zip file.
const ZIP_LIMIT: u64 = 5 * 1_024 * 1_024;
/// Calls of AWS: a delivery, an attempt for a known contact, an attempt that makes the contact too.
const CALLS_LIMITS: [u64; 3] = [2, 5, 6];
/// Events of each kind whose calls are counted.
const COUNTED: usize = 10;
/// Warm events of a worker's run: each is an invoice in shop and book.
const WORKER_EVENTS: usize = 40;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let functions = ambient::variable("LEDGER_BENCH_FUNCTIONS")
        .map_or_else(|| ambient::workspace().join("target/ship"), PathBuf::from);
    let control = match ambient::variable("LEDGER_BENCH_CONTROL") {
        Some(path) => PathBuf::from(path),
        None => control()?,
    };
    for folder in FUNCTIONS {
        let path = binary(&functions, folder);
        ensure!(path.exists(), "{} is not there: `make ship` builds it", path.display());
    }
    let plan = Plan {
        runs: number("LEDGER_BENCH_RUNS", 5)?,
        events: number("LEDGER_BENCH_EVENTS", 400)?,
        starts: number("LEDGER_BENCH_STARTS", 25)?,
    };
    let figures = plan.measure(&functions, &control).await?;
    let met = figures.iter().all(Figure::is_met);
    let folder = ambient::workspace().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let latest = json!({"runs": plan.runs, "warm_events": plan.events, "met": met, "figures": figures});
    std::fs::write(folder.join("latest.json"), serde_json::to_vec_pretty(&latest)?)?;
    std::io::stdout().lock().write_all(table(&figures).as_bytes())?;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn number(name: &str, default: usize) -> anyhow::Result<usize> {
    ambient::variable(name).map_or(Ok(default), |text| text.parse().with_context(|| name.to_owned()))
}

/// Builds the program that does nothing, in the profile that ships.
fn control() -> anyhow::Result<PathBuf> {
    let cargo = ambient::variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let build = ["build", "--release", "--package", "ledger-bench", "--bin", "control", "--message-format", "json"];
    let output = Command::new(cargo)
        .args(build)
        .current_dir(ambient::workspace())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be started")?;
    ensure!(output.status.success(), "the control can't be built");
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let built = messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let executable = built.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from)).next_back();
    executable.context("cargo names no executable")
}

struct Plan {
    runs: usize,
    events: usize,
    starts: usize,
}

impl Plan {
    async fn measure(&self, functions: &Path, control: &Path) -> anyhow::Result<Vec<Figure>> {
        let scene = Scene::start().await?;
        let asked = measure::asked(&scene, |folder| binary(functions, folder), COUNTED).await?;
        let webhook = binary(functions, "webhook");
        // What is worked through below is delivered once, by a process that isn't measured.
        let deliverer = scene.spawns(&webhook).await?;
        let (mut controls, mut webhooks, mut workers, mut pushers, mut sweepers) =
            (vec![], vec![], vec![], vec![], vec![]);
        for _ in 0..self.runs {
            let events = measure::deliveries(&scene, self.events.saturating_add(1), 0)?;
            let (first, warm) = events.split_first().context("no events")?;
            controls.push(measure::run(&scene, control, first, warm, answers(200)).await?);
            webhooks.push(measure::run(&scene, &webhook, first, warm, answers(202)).await?);
            let _ = scene.aws.queues().take(aws::sqs::INVOICE_CREATED);

            for event in measure::deliveries(&scene, WORKER_EVENTS.saturating_add(1), 0)? {
                ensure!(answers(202)(&deliverer.invoke(&event).await?), "not accepted");
            }
            workers.push(self.worker(&scene, functions, "worker-invoice-created", aws::sqs::INVOICE_CREATED).await?);
            pushers.push(self.worker(&scene, functions, "worker-push-sync-state", aws::sqs::PUSH_SYNC_STATE).await?);
            let sweep = event("sweeper-scheduled")?;
            let sweeps = vec![sweep.clone(); WORKER_EVENTS];
            let swept = |answer: &Value| answer.get("failures") == Some(&json!(0));
            sweepers.push(measure::run(&scene, &binary(functions, "sweeper"), &sweep, &sweeps, swept).await?);
        }
        let (mut control_starts, mut webhook_starts) = (firsts(&controls), firsts(&webhooks));
        for event in measure::deliveries(&scene, self.starts, 0)? {
            control_starts.push(measure::run(&scene, control, &event, &[], answers(200)).await?.first_answer_us);
            webhook_starts.push(measure::run(&scene, &webhook, &event, &[], answers(202)).await?.first_answer_us);
        }
        let all = [
            ("control", &controls),
            ("webhook", &webhooks),
            ("worker-invoice-created", &workers),
            ("worker-push-sync-state", &pushers),
            ("sweeper", &sweepers),
        ];
        let mut figures = starts(median(control_starts), median(webhook_starts), &all[2..]);
        figures.extend(processor(&all));
        figures.extend(all.iter().map(|(name, runs)| {
            let peak =
                Figure::new(format!("{name}: peak memory"), median_of(runs, |run| run.peak_kib), Unit::Kibibytes);
            if *name == "control" { peak } else { peak.at_most(MEMORY_LIMIT) }
        }));
        for folder in FUNCTIONS {
            let bytes = measure::zip_bytes(&binary(functions, folder))?;
            figures.push(Figure::new(format!("{folder}: zip"), bytes, Unit::Bytes).at_most(ZIP_LIMIT));
        }
        figures.extend(calls(&asked));
        figures.extend(all[1..].iter().map(|(name, runs)| {
            let bytes = median_of(runs, |run| run.log_bytes);
            Figure::new(format!("{name}: bytes of log, warm event"), bytes, Unit::Count)
        }));
        Ok(figures)
    }

    async fn worker(&self, scene: &Scene, functions: &Path, folder: &str, queue: &str) -> anyhow::Result<Run> {
        let messages = scene.aws.queues().take(queue);
        let events = messages.into_iter().map(|message| batch(&[message])).collect::<anyhow::Result<Vec<_>>>()?;
        let (first, warm) = events.split_first().context("no messages")?;
        let done = |answer: &Value| *answer == json!({"batchItemFailures": []});
        measure::run(scene, &binary(functions, folder), first, warm, done).await
    }
}

fn answers(status: u16) -> impl Fn(&Value) -> bool {
    move |answer| answer.get("statusCode") == Some(&json!(status))
}

fn firsts(runs: &[Run]) -> Vec<u64> {
    runs.iter().map(|run| run.first_answer_us).collect()
}

fn hundredths(value: u64, of: u64) -> u64 {
    value.saturating_mul(100).checked_div(of).unwrap_or(u64::MAX)
}

type Measured<'a> = (&'a str, &'a Vec<Run>);

fn starts(control: u64, webhook: u64, others: &[Measured<'_>]) -> Vec<Figure> {
    let mut figures = vec![
        Figure::new("control: start to first answer", control, Unit::Microseconds),
        Figure::new("webhook: start to first 202", webhook, Unit::Microseconds),
        Figure::new("webhook: of the control's", hundredths(webhook, control), Unit::TimesHundredths)
            .at_most(START_LIMIT),
    ];
    figures.extend(others.iter().map(|(name, runs)| {
        let first = median_of(runs, |run| run.first_answer_us);
        Figure::new(format!("{name}: start to first answer"), first, Unit::Microseconds)
    }));
    figures
}

fn processor(all: &[Measured<'_>]) -> Vec<Figure> {
    let mut figures: Vec<Figure> = all
        .iter()
        .map(|(name, runs)| {
            let cpu = median_of(runs, |run| run.event_cpu_ns);
            Figure::new(format!("{name}: processor time, warm event"), cpu, Unit::Nanoseconds)
        })
        .collect();
    if let [control, webhook, ..] = figures.as_slice() {
        let times = hundredths(webhook.value, control.value);
        figures.insert(2, Figure::new("webhook: of the control's", times, Unit::TimesHundredths).at_most(CPU_LIMIT));
    }
    figures
}

fn calls(asked: &[Asked]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let limits = CALLS_LIMITS.iter().copied().map(Some).chain(std::iter::repeat(None));
    for (asked, limit) in asked.iter().zip(limits) {
        let calls = Figure::new(format!("{}: calls of AWS", asked.what), asked.calls_max, Unit::Count);
        figures.push(limit.map_or(calls.clone(), |limit| calls.at_most(limit)));
    }
    for asked in asked {
        figures.push(Figure::new(format!("{}: write units", asked.what), asked.write_units_max, Unit::Count));
        figures.push(Figure::new(format!("{}: read half units", asked.what), asked.last.read_half_units, Unit::Count));
    }
    figures
}
