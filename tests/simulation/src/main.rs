//! Lives worlds.
//!
//! | | |
//! |---|---|
//! | `ledger-simulation SEED [requests]` | one seed, with its schedule, and every request to a book or a shop in it |
//! | `ledger-simulation faults COUNT [FIRST]` | that many seeds, with a report; fails where anything is wrong |
//! | `ledger-simulation planted [MISTAKE [COUNT]]` | plants mistakes and says which seed notices; with the feature `planted` |
//! | `ledger-simulation crash-sweep` | every job killed at every boundary |

use ledger_conformance::output::line;
use ledger_simulation::crash_sweep::swept_all;
use ledger_simulation::report::{lived, lives};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Seeds where nobody says how many.
const SEEDS: u64 = 2_000;

/// What this process has had of the processor, in milliseconds; `None` where the system does not say (proc(5), `stat`: user and
/// system time in hundredths of a second).
fn cpu_milliseconds() -> Option<u64> {
    const USER: usize = 11;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.iter().skip(USER).take(2).map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(ticks.saturating_mul(10))
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    let clean = match (words.first().map(String::as_str), number(0)) {
        (_, Some(seed)) => {
            let tells = words.get(1).is_some_and(|word| word == "requests");
            let lived = lived(seed, |world| world.stage.tells_requests.store(tells, Ordering::Relaxed));
            line(&lived.told());
            line(&format!("{} documents, {} faults struck", lived.document_count(), lived.fault_count()));
            lived.findings.is_empty()
        }
        (Some("crash-sweep"), None) => {
            let swept = swept_all(threads);
            line(&swept.told());
            swept.is_clean()
        }
        #[cfg(feature = "planted")]
        (Some("planted"), None) => {
            let count = number(2).unwrap_or(SEEDS);
            let named = words.get(1).and_then(|name| ledger_engine::planted::Planted::parse(name));
            let mistakes = ledger_engine::planted::Planted::ALL.into_iter();
            let mut all = true;
            for mistake in mistakes.filter(|mistake| named.is_none_or(|named| named == *mistake)) {
                match ledger_simulation::planted::notices(mistake, count, threads) {
                    None => {
                        all = false;
                        line(&format!("planted: {} not noticed in {count} seeds", mistake.name()));
                    }
                    Some(lived) => {
                        let first = lived.findings.first().map(|(wrong, what)| format!("{}: {what}", wrong.name()));
                        let text: String = first.unwrap_or_default().chars().take(160).collect();
                        line(&format!("planted: {} noticed by seed {}, {text}", mistake.name(), lived.seed));
                    }
                }
            }
            all
        }
        (Some("faults"), None) => {
            let count = number(1).unwrap_or(SEEDS);
            let before = cpu_milliseconds();
            let report = lives(number(2).unwrap_or(1), count, u64::try_from(threads).unwrap_or(1));
            let took = cpu_milliseconds().zip(before).map(|(after, before)| after.saturating_sub(before).max(1));
            for lived in &report.failing {
                line(&lived.told());
                line("");
            }
            let empty = report.empty_cells();
            empty.iter().for_each(|cell| line(&format!("empty: {cell}")));
            if let Some(took) = took {
                let speed = count.saturating_mul(1_000).checked_div(took).unwrap_or_default();
                line(&format!("{took} ms of one core: {speed} schedules a second of it"));
            }
            line(&report.told());
            report.is_clean() && empty.is_empty()
        }
        _ => {
            line("ledger-simulation SEED [requests] | faults COUNT [FIRST] | crash-sweep");
            false
        }
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
