//! What goes wrong: functions are killed, the engine ends and begins again, books are in storms, a grant is taken back, and
//! the weather at AWS.

use crate::tally::Tally;
use crate::world::{Trading, World};
use anyhow::Context as _;
use ledger_aws::SystemClock;
use ledger_aws::engine::ports::Clock;
use ledger_cli::output;
use ledger_conformance::seed::Seed;
use ledger_demo::places::Speech;
use ledger_soak::proxy::Weather;
use ledger_world::desk::{BookFault, FaultSpec};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// Between two kills, in milliseconds, half as much or half as much again.
const KILL_EVERY_MS: u64 = 9_000;
/// Between two storms, in milliseconds, half as much or half as much again.
const STORM_EVERY_MS: u64 = 8_000;
/// How long a storm lasts, in milliseconds.
const STORM_MS: u64 = 15_000;
/// How long a grant stays taken back, in milliseconds.
const REVOKED_MS: u64 = 60_000;
/// How long a function is watched to see whether it works, in milliseconds.
const WATCH_MS: u64 = 30;
/// A function that works is killed within this, in milliseconds.
const KILL_WITHIN_MS: u64 = 120;
/// Before somebody looks again whether it is time, in milliseconds.
const LOOK_MS: u64 = 500;
/// Who is killed, in turn: left to chance it would rarely be the sweeper.
const TURNS: [&str; 6] = ["worker", "webhook", "worker", "push", "worker", "sweeper"];
/// Looks for one of a kind that works, before another one is killed in its place: longer than from sweep to sweep.
const LOOKS: u32 = 300;
/// What can be killed.
pub(crate) const KINDS: [&str; 4] = ["push", "sweeper", "webhook", "worker"];
/// What a Lambda package's program is called.
const PROGRAM: &str = "bootstrap";

/// When what happens.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) deliveries: usize,
    seed: u64,
    /// Deliveries after which the grant is taken back.
    revoke_at: usize,
    /// Deliveries after which the engine is ended.
    restart_at: Vec<usize>,
}

impl Plan {
    pub(crate) fn of(deliveries: usize, seed: u64) -> Self {
        let part = |of_hundred: usize| deliveries.saturating_mul(of_hundred).div_ceil(100);
        Self { deliveries, seed, revoke_at: part(15), restart_at: vec![part(45), part(75)] }
    }

    fn chance(&self, of: u64) -> Seed {
        Seed::of(self.seed.wrapping_mul(7_919).wrapping_add(of))
    }

    fn weather(&self) -> Weather {
        Weather {
            seed: self.seed,
            conflicts: 15,
            dynamodb_throttles: 6,
            sqs_throttles: 12,
            kms_throttles: 40,
            lost_requests: 3,
            lost_replies: 6,
            index_lag: 300,
            index_lag_milliseconds: 3_000,
        }
    }
}

/// What goes wrong at the moment.
pub(crate) struct Troubles {
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Troubles {
    /// Lets everything that has begun come to its end; nothing goes wrong after that.
    pub(crate) async fn end(self, world: &World, tally: &Tally) -> anyhow::Result<()> {
        self.over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        for trading in &world.places {
            trading.paired.place.book.control("DELETE", "faults", None).await?;
        }
        world.asks_proxy("POST", "weather", Some(&json!({}))).await?;
        tally.engine_is_away(false);
        Ok(())
    }
}

/// Lets everything go wrong.
pub(crate) fn begin(world: &Arc<World>, tally: &Arc<Tally>, plan: &Plan) -> Troubles {
    let over = Arc::new(AtomicBool::new(false));
    let scene =
        || Scene { world: Arc::clone(world), tally: Arc::clone(tally), over: Arc::clone(&over), plan: plan.clone() };
    let tasks = vec![
        tokio::spawn(scene().weather()),
        tokio::spawn(scene().kills()),
        tokio::spawn(scene().storms()),
        tokio::spawn(scene().revokes()),
        tokio::spawn(scene().restarts()),
    ];
    Troubles { over, tasks }
}

struct Scene {
    world: Arc<World>,
    tally: Arc<Tally>,
    over: Arc<AtomicBool>,
    plan: Plan,
}

impl Scene {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Waits so long, or until it is over.
    async fn waits(&self, milliseconds: u64) {
        let until = SystemClock.now_ms().saturating_add(i64::try_from(milliseconds).unwrap_or(i64::MAX));
        while !self.is_over() && SystemClock.now_ms() < until {
            SystemClock.sleep_ms(LOOK_MS.min(milliseconds)).await;
        }
    }

    /// Waits until so many deliveries were taken; false where it is over before.
    async fn waits_for(&self, deliveries: usize) -> bool {
        while self.tally.accepted().len() < deliveries {
            if self.is_over() {
                return false;
            }
            SystemClock.sleep_ms(LOOK_MS).await;
        }
        true
    }

    async fn weather(self) -> anyhow::Result<()> {
        self.world.asks_proxy("POST", "weather", Some(&serde_json::to_value(self.plan.weather())?)).await?;
        Ok(())
    }

    async fn kills(self) -> anyhow::Result<()> {
        let mut chance = self.plan.chance(1);
        let mut turn = 0_usize;
        loop {
            self.waits(chance.between(KILL_EVERY_MS.div_euclid(2), KILL_EVERY_MS.saturating_mul(3).div_euclid(2)))
                .await;
            if self.is_over() {
                return Ok(());
            }
            if self.tally.is_engine_away() {
                continue;
            }
            let wanted = TURNS.get(turn.checked_rem(TURNS.len()).unwrap_or_default()).copied().unwrap_or_default();
            turn = turn.saturating_add(1);
            let mut looks = LOOKS;
            let mut found = None;
            // One that works is rarely found at the first look.
            while looks > 0 && !self.is_over() && found.is_none() {
                looks = looks.saturating_sub(1);
                found = working(&self.world, &mut chance, if looks > 0 { wanted } else { "" }).await;
            }
            let Some(function) = found else { continue };
            SystemClock.sleep_ms(chance.between(0, KILL_WITHIN_MS)).await;
            if function.kill().await {
                self.tally.kills(&function.kind);
            }
        }
    }

    async fn storms(self) -> anyhow::Result<()> {
        let mut chance = self.plan.chance(2);
        for number in 0_usize.. {
            self.waits(chance.between(STORM_EVERY_MS.div_euclid(2), STORM_EVERY_MS.saturating_mul(3).div_euclid(2)))
                .await;
            if self.is_over() {
                return Ok(());
            }
            let last = u64::try_from(self.world.places.len())?.saturating_sub(1);
            let place = usize::try_from(chance.between(0, last))?;
            let trading = self.world.places.get(place).context("no such book")?;
            let book = &trading.paired.place.book;
            book.control("POST", "faults", Some(serde_json::to_value(storm(trading, number, &mut chance))?)).await?;
            self.waits(STORM_MS).await;
            book.control("DELETE", "faults", None).await?;
            self.tally.storms();
        }
        Ok(())
    }

    async fn revokes(self) -> anyhow::Result<()> {
        if !self.waits_for(self.plan.revoke_at).await {
            return Ok(());
        }
        let mut chance = self.plan.chance(3);
        let last = u64::try_from(self.world.places.len())?.saturating_sub(1);
        let trading = self.world.places.get(usize::try_from(chance.between(0, last))?).context("no such book")?;
        trading.paired.place.book.control("POST", "identity/revoke", Some(json!({}))).await?;
        output::print(&format!("soak: the grant of {} is taken back", trading.name()));
        // To its end even where the load ends before.
        SystemClock.sleep_ms(REVOKED_MS).await;
        self.world.reconnects(trading).await?;
        self.tally.revokes();
        output::print(&format!("soak: {} is connected again", trading.name()));
        Ok(())
    }

    async fn restarts(self) -> anyhow::Result<()> {
        for at in &self.plan.restart_at {
            if !self.waits_for(*at).await {
                return Ok(());
            }
            self.tally.engine_is_away(true);
            let began = SystemClock.now_ms();
            let restarted = self.world.script(&["restart"]).await;
            self.tally.engine_is_away(false);
            restarted.context("starting the engine again")?;
            self.tally.restarts();
            let took = ledger_demo::seconds(SystemClock.now_ms().saturating_sub(began));
            output::print(&format!("soak: the engine was ended and started again on its state in {took}"));
        }
        Ok(())
    }
}

/// Where a book's documents are made and looked for; where its tokens come from is spared, as there a lost reply costs Sage's
/// grant.
fn resources(speech: Speech) -> &'static [&'static str] {
    match speech {
        Speech::V2 => &["/v2/"],
        Speech::Freeagent => &[
            "/v2/invoices",
            "/v2/contacts",
            "/v2/credit_note",
            "/v2/bank_transaction_explanations",
            "/v2/price_list_items",
        ],
        Speech::Accounting => &["/api.xro/2.0/"],
        Speech::Sage => &["/v3.1/"],
    }
}

/// A storm of 429 and 5xx; some of it comes after the request was obeyed. Each begins with another fault, so that none is
/// left to chance.
fn storm(trading: &Trading, number: usize, chance: &mut Seed) -> Vec<FaultSpec> {
    let faults = [
        BookFault::RateLimited { retry_after: Some(1) },
        BookFault::RateLimited { retry_after: None },
        BookFault::page(500, false),
        BookFault::page(500, true),
        BookFault::page(502, false),
        BookFault::page(502, true),
        BookFault::page(504, true),
        BookFault::HangUp { apply: false },
        BookFault::HangUp { apply: true },
    ];
    let mut storm = Vec::new();
    for place in 0..12 {
        let first = faults.get(number.checked_rem(faults.len()).unwrap_or_default()).filter(|_| place == 0);
        let fault = first.or_else(|| chance.one_of(&faults)).cloned();
        for path in resources(trading.paired.place.speech) {
            let method = chance.happens(600).then(|| "POST".to_owned());
            storm.extend(fault.clone().map(|fault| FaultSpec {
                method,
                path: (*path).to_owned(),
                skip: 0,
                times: 1,
                fault,
            }));
        }
    }
    storm
}

/// A process of a function.
struct Function {
    pid: u32,
    kind: String,
}

impl Function {
    async fn kill(&self) -> bool {
        let killed = tokio::process::Command::new("kill").args(["-KILL", &self.pid.to_string()]).output().await;
        killed.is_ok_and(|killed| killed.status.success())
    }
}

/// The engine's own process, as `infra/local/stack.py` wrote it down.
fn engine(world: &World) -> Option<u32> {
    let record = std::fs::read_to_string(world.folder.join("run/engine.json")).ok()?;
    let record: serde_json::Value = serde_json::from_str(&record).ok()?;
    u32::try_from(record.get("pid")?.as_u64()?).ok()
}

/// Functions that the engine runs, with how often each has given up the processor.
fn functions(world: &World) -> BTreeMap<u32, u64> {
    let Some(engine) = engine(world) else { return BTreeMap::new() };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_function = field("Name:") == Some(PROGRAM) && field("PPid:") == Some(&engine.to_string());
        let switches = field("voluntary_ctxt_switches:")?.parse().ok()?;
        is_function.then_some((pid, switches))
    })
    .collect()
}

/// The kind of a function, by its name.
fn kind_of(pid: u32) -> Option<String> {
    let path = PathBuf::from(format!("/proc/{pid}/environ"));
    let environment = String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned();
    let name = environment.split('\0').find_map(|pair| pair.strip_prefix("AWS_LAMBDA_FUNCTION_NAME="))?;
    let name = name.to_lowercase();
    // Every push is a worker too.
    KINDS.into_iter().find(|kind| name.contains(kind)).map(str::to_owned)
}

/// A function of a kind that is at work right now; of any kind where none is named.
async fn working(world: &World, chance: &mut Seed, wanted: &str) -> Option<Function> {
    let before = functions(world);
    SystemClock.sleep_ms(WATCH_MS).await;
    let working: Vec<Function> = functions(world)
        .into_iter()
        .filter(|(pid, switches)| before.get(pid).is_some_and(|before| before != switches))
        .filter_map(|(pid, _)| kind_of(pid).map(|kind| Function { pid, kind }))
        .filter(|function| wanted.is_empty() || function.kind == wanted)
        .collect();
    let last = u64::try_from(working.len()).ok()?.checked_sub(1)?;
    let chosen = usize::try_from(chance.between(0, last)).ok()?;
    working.into_iter().nth(chosen)
}
