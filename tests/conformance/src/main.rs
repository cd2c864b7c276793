//! `make conformance`: every dialect against its book, so many documents each, and the table of what they do.
//!
//! Usage: `conformance [CASES [DIALECT [FIRST_SEED]]]`. A failure names its seed: with it as the first one and a single
//! case it happens again.

use std::process::ExitCode;

use ledger_conformance::books::DIALECTS;
use ledger_conformance::walk::{Cell, table, walk};
use ledger_conformance::{output, penny};

/// Documents per dialect where nothing is said.
const CASES: u64 = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let cases = arguments.next().map_or(Ok(CASES), |text| text.parse())?;
    let only = arguments.next();
    let first = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let dialects: Vec<&str> =
        DIALECTS.into_iter().filter(|name| only.as_deref().is_none_or(|only| only == *name)).collect();
    let (mut all, mut failed) = (0_u64, 0_u64);
    let mut columns = Vec::new();
    for name in &dialects {
        match walk(name).await {
            Ok(cells) => {
                let seen = cells.iter().filter(|(_, cell)| matches!(cell, Cell::Seen(_))).count();
                all = all.saturating_add(u64::try_from(seen).unwrap_or(u64::MAX));
                columns.push((*name, cells));
            }
            Err(error) => {
                failed = failed.saturating_add(1);
                output::line(&format!("{name}: {error:#}"));
            }
        }
    }
    output::line(&table(&columns));
    for name in &dialects {
        let tally = penny::lives(name, first, cases).await?;
        output::line(&format!(
            "{name:<12} to the penny {:>8}  paid, set off or paid back {:>8}  refused as foretold {:>6}  failed {:>6}",
            tally.posted, tally.moved, tally.refused, tally.failed
        ));
        for told in &tally.told {
            output::line(&format!("    {told}"));
        }
        if tally.refused.saturating_mul(100) > tally.cases.saturating_mul(penny::REFUSED_PERCENT_MAX) {
            failed = failed.saturating_add(1);
            output::line(&format!("    more than {} in a hundred are refused", penny::REFUSED_PERCENT_MAX));
        }
        all = all.saturating_add(tally.cases);
        failed = failed.saturating_add(tally.failed);
    }
    output::line(&format!("conformance: dialects={} cases={all} failed={failed}", dialects.len()));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
