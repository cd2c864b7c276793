//! Many worlds, one after another, and what came of them.

use crate::faults::Fault;
use crate::invariants::{Finding, Wrong, judged};
use crate::workload::plan;
use crate::world::{Spoken, World};
use ledger_engine::domain::document::Kind;
use std::collections::BTreeMap;

/// What came of one seed.
#[derive(Clone, Debug, Default)]
pub struct Lived {
    /// The seed.
    pub seed: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Documents in the books by kind and dialect.
    pub documents: BTreeMap<(Kind, Spoken), u32>,
    /// Faults that struck by kind and dialect.
    pub struck: BTreeMap<(Fault, Spoken), u32>,
    /// What happened, in order.
    pub schedule: Vec<String>,
}

impl Lived {
    /// How many documents there are.
    #[must_use]
    pub fn document_count(&self) -> u32 {
        self.documents.values().sum()
    }

    /// How many faults struck.
    #[must_use]
    pub fn fault_count(&self) -> u32 {
        self.struck.values().sum()
    }

    /// Whether something is wrong in that way.
    #[must_use]
    pub fn is(&self, wrong: Wrong) -> bool {
        self.findings.iter().any(|(of, _)| *of == wrong)
    }

    /// The schedule with what is wrong behind it.
    #[must_use]
    pub fn told(&self) -> String {
        let mut lines = vec![format!("seed {}", self.seed)];
        lines.extend(self.schedule.iter().cloned());
        lines.extend(self.findings.iter().map(|(wrong, what)| format!("{}: {what}", wrong.name())));
        lines.join("\n")
    }
}

/// Lives a seed. `prepares` changes the world before anything happens in it.
#[must_use]
pub fn lived(seed: u64, prepares: impl FnOnce(&mut World)) -> Lived {
    let mut lived = Lived { seed, ..Lived::default() };
    let mut world = match World::new(plan(seed)) {
        Ok(world) => world,
        Err(error) => {
            lived.findings.push((Wrong::Stuck, format!("no world: {error:#}")));
            return lived;
        }
    };
    prepares(&mut world);
    let ears = world.ears.clone();
    if let Err(error) = tracing::subscriber::with_default(ears, || world.lives()) {
        lived.findings.push((Wrong::Stuck, format!("{error:#}")));
    } else {
        lived.findings = judged(&world);
    }
    for volume in &world.stage.volumes {
        let book = volume.book.statement();
        for (kind, count) in [
            (Kind::Contact, book.contacts.len()),
            (Kind::Product, book.products.len()),
            (Kind::Invoice, book.invoices.len()),
            (Kind::Payment, book.payments.len()),
            (Kind::CreditNote, book.credit_notes.len()),
            (Kind::Allocation, book.allocations.len()),
            (Kind::Refund, book.refunds.len()),
            (Kind::StockMovement, book.stock_movements.len()),
        ] {
            let cell = lived.documents.entry((kind, volume.spoken)).or_default();
            *cell = cell.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
    lived.struck = world.stage.faults.struck();
    lived.schedule = world.stage.faults.schedule();
    lived
}

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many.
    pub schedules: u64,
    /// In how many something is wrong in each way.
    pub wrong: BTreeMap<Wrong, u64>,
    /// Documents.
    pub documents: BTreeMap<(Kind, Spoken), u64>,
    /// Faults that struck.
    pub struck: BTreeMap<(Fault, Spoken), u64>,
    /// The first seeds in which something is wrong.
    pub failing: Vec<Lived>,
    documents_each: BTreeMap<u32, u64>,
    faults_each: BTreeMap<u32, u64>,
}

/// Failing seeds that are kept with their schedules.
const KEPT: usize = 5;

fn add<K: Ord + Copy>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u32>) {
    for (key, count) in from {
        let cell = into.entry(*key).or_default();
        *cell = cell.saturating_add(u64::from(*count));
    }
}

fn merge<K: Ord + Copy>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        let cell = into.entry(*key).or_default();
        *cell = cell.saturating_add(*count);
    }
}

fn median(of: &BTreeMap<u32, u64>) -> u32 {
    let half = of.values().sum::<u64>().div_ceil(2);
    let mut seen = 0_u64;
    for (value, count) in of {
        seen = seen.saturating_add(*count);
        if seen >= half {
            return *value;
        }
    }
    0
}

impl Report {
    /// Takes a seed in.
    pub fn takes(&mut self, lived: Lived) {
        self.schedules = self.schedules.saturating_add(1);
        add(&mut self.documents, &lived.documents);
        add(&mut self.struck, &lived.struck);
        for (of, value) in
            [(&mut self.documents_each, lived.document_count()), (&mut self.faults_each, lived.fault_count())]
        {
            let cell = of.entry(value).or_default();
            *cell = cell.saturating_add(1);
        }
        for wrong in Wrong::ALL.into_iter().filter(|wrong| lived.is(*wrong)) {
            let cell = self.wrong.entry(wrong).or_default();
            *cell = cell.saturating_add(1);
        }
        if !lived.findings.is_empty() && self.failing.len() < KEPT {
            self.failing.push(lived);
        }
    }

    /// Takes another report in.
    pub fn merges(&mut self, other: Self) {
        self.schedules = self.schedules.saturating_add(other.schedules);
        merge(&mut self.wrong, &other.wrong);
        merge(&mut self.documents, &other.documents);
        merge(&mut self.struck, &other.struck);
        merge(&mut self.documents_each, &other.documents_each);
        merge(&mut self.faults_each, &other.faults_each);
        self.failing.extend(other.failing);
        self.failing.sort_by_key(|lived| lived.seed);
        self.failing.truncate(KEPT);
    }

    /// Documents of a seed, at the median.
    #[must_use]
    pub fn documents_median(&self) -> u32 {
        median(&self.documents_each)
    }

    /// Faults that struck in a seed, at the median.
    #[must_use]
    pub fn faults_median(&self) -> u32 {
        median(&self.faults_each)
    }

    /// In how many seeds something is wrong in that way.
    #[must_use]
    pub fn count(&self, wrong: Wrong) -> u64 {
        self.wrong.get(&wrong).copied().unwrap_or_default()
    }

    /// Kinds of documents and faults that a dialect never saw.
    #[must_use]
    pub fn empty_cells(&self) -> Vec<String> {
        let mut empty = Vec::new();
        for spoken in Spoken::ALL {
            for kind in Kind::ALL {
                let posts =
                    ledger_engine::dialects::dialect(spoken.dialect()).is_some_and(|it| it.profile().posts(kind));
                if posts && self.documents.get(&(kind, spoken)).copied().unwrap_or_default() == 0 {
                    empty.push(format!("no {} in {}", kind.as_str(), spoken.dialect()));
                }
            }
            for fault in Fault::ALL {
                if self.struck.get(&(*fault, spoken)).copied().unwrap_or_default() == 0 {
                    empty.push(format!("{} never struck {}", fault.name(), spoken.dialect()));
                }
            }
        }
        empty
    }

    /// What it came to, as tables and a last line.
    #[must_use]
    pub fn told(&self) -> String {
        let mut lines = Vec::new();
        let heads = Spoken::ALL.map(|spoken| format!("{:>12}", spoken.dialect())).concat();
        lines.push(format!("{:<44}{heads}", "documents"));
        for kind in Kind::ALL {
            let cells = Spoken::ALL
                .map(|spoken| format!("{:>12}", self.documents.get(&(kind, spoken)).copied().unwrap_or_default()));
            lines.push(format!("{:<44}{}", kind.as_str(), cells.concat()));
        }
        lines.push(format!("{:<44}{heads}", "faults that struck"));
        for fault in Fault::ALL {
            let cells = Spoken::ALL
                .map(|spoken| format!("{:>12}", self.struck.get(&(*fault, spoken)).copied().unwrap_or_default()));
            lines.push(format!("{:<44}{}", fault.name(), cells.concat()));
        }
        lines.push(format!(
            "a seed has {} documents and {} faults that struck, at the median",
            self.documents_median(),
            self.faults_median()
        ));
        let more: Vec<String> =
            Wrong::ALL.into_iter().skip(5).map(|wrong| format!("{}={}", wrong.name(), self.count(wrong))).collect();
        lines.push(format!("besides: {}", more.join(" ")));
        let counted: Vec<String> =
            Wrong::ALL.into_iter().take(5).map(|wrong| format!("{}={}", wrong.name(), self.count(wrong))).collect();
        lines.push(format!("faults: schedules={} {}", self.schedules, counted.join(" ")));
        lines.join("\n")
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Lives the seeds from `first` on, `count` of them, on so many threads.
#[must_use]
pub fn lives(first: u64, count: u64, threads: u64) -> Report {
    let threads = threads.max(1);
    let workers: Vec<_> = (0..threads)
        .map(|number| {
            std::thread::spawn(move || {
                let mut report = Report::default();
                let mut seed = first.saturating_add(number);
                while seed < first.saturating_add(count) {
                    report.takes(lived(seed, |_| {}));
                    seed = seed.saturating_add(threads);
                }
                report
            })
        })
        .collect();
    let mut all = Report::default();
    for worker in workers {
        if let Ok(report) = worker.join() {
            all.merges(report);
        }
    }
    all
}
