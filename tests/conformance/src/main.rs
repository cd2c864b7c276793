//! `make conformance`: every dialect against its book, so many orders each, and the table of what they do.
//!
//! Usage: `conformance [CASES [DIALECT [FIRST_SEED]]]`. A failure names its seed: with it as the first one and a single
//! case it happens again, and the shop's documents are shown.

use std::process::ExitCode;

use ledger_conformance::books::DIALECTS;
use ledger_conformance::lives::Lives;
use ledger_conformance::walk::{table, walk};
use ledger_conformance::{output, penny, switches};

/// Orders per dialect where nothing is said.
const CASES: u64 = 2_000;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let orders = arguments.next().map_or(Ok(CASES), |text| text.parse())?;
    let only = arguments.next();
    let first = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let dialects: Vec<&str> =
        DIALECTS.into_iter().filter(|name| only.as_deref().is_none_or(|only| only == *name)).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (mut all, mut documents, mut failed) = (0_u64, 0_u64, 0_u64);
    let mut columns = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for name in &dialects {
        match runtime.block_on(walk(name)) {
            Ok(cells) => columns.push((*name, cells)),
            Err(error) => {
                failed = failed.saturating_add(1);
                output::line(&format!("{name}: {error:#}"));
            }
        }
    }
    output::line(&table(&columns));
    if orders == 1 {
        let life = runtime.block_on(Lives::open())?.live(first)?;
        for document in &life.documents {
            output::line(&format!("{:?}, {:?}: {}", document.kind, document.fate, document.json));
        }
    }
    for name in &dialects {
        let tried = runtime.block_on(switches::tries(name))?;
        output::line(&format!(
            "{name:<12} every week's troubles, under each of {} switches of its book: {} cases, {} failed",
            tried.switches,
            tried.cases,
            tried.wrong.len()
        ));
        failed = failed.saturating_add(u64::try_from(tried.wrong.len()).unwrap_or(u64::MAX));
        tried.wrong.iter().for_each(|wrong| output::line(&format!("    {wrong}")));
    }
    for name in &dialects {
        let tally = penny::lives(name, first, orders, threads)?;
        output::line(&format!(
            "{name:<12} orders {:>8}  documents {:>8}: to the penny {:>8}, refused as foretold {:>6} (of {} orders), \
             failed {}; paid, set off or paid back {:>8}; tax off by {} % at most of what rounding allows",
            tally.orders,
            tally.documents,
            tally.posted,
            tally.refused,
            tally.orders_refused,
            tally.failed,
            tally.moved,
            tally.tax_off_percent_max.round_dp(0)
        ));
        let complaints = tally.complaints();
        complaints.iter().for_each(|complaint| output::line(&format!("    {complaint}")));
        all = all.saturating_add(tally.orders);
        documents = documents.saturating_add(tally.documents);
        failed = failed.saturating_add(tally.failed.max(u64::from(!complaints.is_empty())));
    }
    output::line(&format!("cases are orders: {orders} for each dialect, {documents} documents of them in all"));
    output::line(&format!("conformance: dialects={} cases={all} failed={failed}", dialects.len()));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
