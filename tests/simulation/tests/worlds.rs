//! Worlds with everything that goes wrong in them, at every `make test`.

use ledger_simulation::crash_sweep::swept_all;
use ledger_simulation::report::{lived, lives};

/// Worlds of a test run.
const SEEDS: u64 = 2_000;
/// So many at once: tests of other crates run beside.
const THREADS: u64 = 2;
/// Documents that a seed has at the median, at least.
const DOCUMENTS_MIN: u32 = 10;
/// Faults that strike in a seed at the median, at least.
const FAULTS_MIN: u32 = 3;

#[test]
fn whole_worlds_come_to_rest_with_everything_in_its_place() {
    let report = lives(1, SEEDS, THREADS);
    let schedules: Vec<String> = report.failing.iter().map(ledger_simulation::report::Lived::told).collect();
    assert!(report.is_clean(), "{}\n\n{}", schedules.join("\n\n"), report.told());
    assert_eq!(report.schedules, SEEDS);
    assert!(report.empty_cells().is_empty(), "{:?}\n{}", report.empty_cells(), report.told());
    assert!(report.documents_median() >= DOCUMENTS_MIN && report.faults_median() >= FAULTS_MIN, "{}", report.told());
}

#[test]
fn a_seed_is_the_same_world_each_time() {
    for seed in [3, 17, 404] {
        let (once, again) = (lived(seed, |_| {}), lived(seed, |_| {}));
        assert!(once.schedule.len() > 5, "{}", once.told());
        assert_eq!(once.schedule, again.schedule);
        assert_eq!((once.documents, once.struck), (again.documents, again.struck));
    }
}

#[test]
fn every_job_survives_a_kill_at_every_boundary() {
    let swept = swept_all(2);
    assert!(swept.is_clean(), "{}", swept.told());
}
