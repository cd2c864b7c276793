//! Lives worlds.
//!
//! | | |
//! |---|---|
//! | `ledger-simulation SEED` | one seed, with its schedule |
//! | `ledger-simulation faults COUNT [FIRST]` | that many seeds, with a report; fails where anything is wrong |

use ledger_conformance::output::line;
use ledger_simulation::report::{lived, lives};
use std::process::ExitCode;

/// Seeds where nobody says how many.
const SEEDS: u64 = 2_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let clean = match (words.first().map(String::as_str), number(0)) {
        (_, Some(seed)) => {
            let lived = lived(seed, |_| {});
            line(&lived.told());
            line(&format!("{} documents, {} faults struck", lived.document_count(), lived.fault_count()));
            lived.findings.is_empty()
        }
        (Some("faults"), None) => {
            let count = number(1).unwrap_or(SEEDS);
            let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
            let report = lives(number(2).unwrap_or(1), count, u64::try_from(threads).unwrap_or(1));
            for lived in &report.failing {
                line(&lived.told());
                line("");
            }
            let empty = report.empty_cells();
            empty.iter().for_each(|cell| line(&format!("empty: {cell}")));
            line(&report.told());
            report.is_clean() && empty.is_empty()
        }
        _ => {
            line("ledger-simulation SEED | faults COUNT [FIRST]");
            false
        }
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
