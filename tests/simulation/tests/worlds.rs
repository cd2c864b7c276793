//! Worlds with everything that goes wrong in them, at every `make test`.

use ledger_simulation::crash_sweep::swept_all;
use ledger_simulation::faults::{BookTrouble, Fault, Scripted};
use ledger_simulation::invariants::judged;
use ledger_simulation::report::{lived, lives};
use ledger_simulation::workload::Deed;
use ledger_simulation::world::{Plan, Spoken, World};

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

/// Worlds in which seeds once found something wrong, told by what happens in them: seeds live other worlds when there are more deeds.
#[test]
fn what_once_went_wrong_goes_right() {
    let check = |what: &str, spoken: Spoken, shops: usize, deeds: Vec<(i64, Deed)>, script: Vec<Scripted>| {
        let struck = u32::try_from(script.len()).unwrap();
        let plan = Plan { seed: 2, shops: vec![vec![0]; shops], books: vec![spoken], deeds, faulty: false, script };
        let mut world = World::new(plan).unwrap();
        world.lives().unwrap();
        let schedule = world.stage.faults.schedule();
        assert_eq!(world.stage.faults.struck().values().sum::<u32>(), struck, "{what}: {schedule:#?}");
        assert_eq!(judged(&world), [], "{what}: {schedule:#?}");
    };
    let lost = |who, call, fault, trouble| Scripted { who, call, fault, trouble };
    let before_an_edit =
        |seconds| vec![(0, Deed::Registers(0, 0)), (60_000, Deed::SetsClock(0, seconds)), (90_000, Deed::Edits(0, 7))];
    for spoken in Spoken::ALL {
        check("an account is changed after the shop's clock was put back", spoken, 1, before_an_edit(-250), vec![]);
    }
    check(
        "stock is counted again by an attempt that finds its movement settled by an earlier one",
        Spoken::Sage,
        1,
        vec![(0, Deed::SavesProduct(0, 12)), (75_000, Deed::Stocks(0, 7))],
        vec![
            lost("worker of product", "POST /v3.1/stock_movements", Fault::ReplyLost, BookTrouble::ReplyLost),
            lost(
                "worker of product",
                "GET /v3.1/stock_items/",
                Fault::RequestDropped,
                BookTrouble::Dropped { at_once: true },
            ),
        ],
    );
    let page = BookTrouble::Page { status: 504, applied: false };
    check(
        "a guest's contact that is still under way, after the account's own was believed absent",
        Spoken::Freeagent,
        2,
        vec![(0, Deed::Registers(1, 0)), (60_000, Deed::SellsOne(0, "checkmo"))],
        vec![
            lost("worker of customer", "POST /v2/contacts", Fault::GatewayTimeout, page),
            lost(
                "worker of invoice",
                "POST /v2/contacts",
                Fault::AppliedLate,
                BookTrouble::Late { milliseconds: 400_000, status: None },
            ),
        ],
    );
}
