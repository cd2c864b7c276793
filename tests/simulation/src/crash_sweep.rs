//! The exhaustive crash sweep: every kind of job, in every dialect, is recorded, and then killed before and after each port
//! call that it made. Each case is a world of its own, the same up to the kill; in the end everything is in the book exactly
//! once and every chip is true.

use crate::functions::Function;
use crate::invariants::judged;
use crate::room::Doom;
use crate::workload::Deed;
use crate::world::{Plan, Spoken, World};
use ledger_engine::dialects::dialect;
use ledger_engine::domain::document::Kind;
use ledger_engine::domain::identity::Event;
use std::collections::BTreeMap;

/// When the job under the knife begins, in milliseconds: all before it has come to rest.
const JOB_AT: i64 = 600_000;
/// The seed of every case.
const SEED: u64 = 11;

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// A delivery is taken.
    Delivery,
    /// An invoice of a buyer whom nobody knows yet.
    Invoice,
    /// The payment of an invoice that is in the book.
    Payment,
    /// A credit note for an invoice that nobody has paid: it is set off.
    Allocation,
    /// A credit note for a paid invoice: the money goes back.
    Refund,
    /// A customer.
    Customer,
    /// A customer who is known, changed.
    Edit,
    /// A product and its stock.
    Product,
    /// A chip is told.
    Push,
    /// A sweep that takes over a run whose message is lost.
    Sweep,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Delivery,
        Self::Invoice,
        Self::Payment,
        Self::Allocation,
        Self::Refund,
        Self::Customer,
        Self::Edit,
        Self::Product,
        Self::Push,
        Self::Sweep,
    ];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Invoice => "invoice",
            Self::Payment => "payment",
            Self::Allocation => "allocation",
            Self::Refund => "refund",
            Self::Customer => "customer",
            Self::Edit => "edit",
            Self::Product => "product",
            Self::Push => "push",
            Self::Sweep => "sweep",
        }
    }

    const fn function(self) -> Function {
        match self {
            Self::Delivery => Function::Webhook,
            Self::Invoice => Function::Worker(Event::InvoiceCreated),
            Self::Payment => Function::Worker(Event::InvoicePaid),
            Self::Allocation | Self::Refund => Function::Worker(Event::CreditmemoCreated),
            Self::Customer | Self::Edit => Function::Worker(Event::CustomerUpserted),
            Self::Product => Function::Worker(Event::ProductUpserted),
            Self::Push => Function::Push,
            Self::Sweep => Function::Sweeper,
        }
    }

    /// What has to be in the book already, and what is under the knife.
    fn deeds(self) -> Vec<(i64, Deed)> {
        let sells = |method: &'static str| Deed::SellsOne(0, method);
        match self {
            Self::Delivery | Self::Push => vec![(0, sells("stripe_payments")), (JOB_AT, sells("trade_credit"))],
            Self::Sweep => vec![(0, sells("stripe_payments")), (JOB_AT, sells("trade_credit"))],
            Self::Invoice => vec![(JOB_AT, sells("trade_credit"))],
            Self::Payment => vec![(0, sells("trade_credit")), (JOB_AT, Deed::Pays(0, 1))],
            Self::Allocation => vec![(0, sells("checkmo")), (JOB_AT, Deed::Refunds(0, 1))],
            Self::Refund => vec![(0, sells("stripe_payments")), (JOB_AT, Deed::Refunds(0, 1))],
            Self::Customer => vec![(JOB_AT, Deed::Registers(0, 1))],
            Self::Edit => vec![(0, Deed::Registers(0, 1)), (JOB_AT, Deed::Edits(0, 7))],
            Self::Product => vec![(JOB_AT, Deed::SavesProduct(0, 12))],
        }
    }

    /// The calls that at least one job of the kind makes: without them the case is not what it is called.
    fn makes(self, spoken: Spoken) -> &'static [&'static str] {
        let stock = spoken == Spoken::Sage;
        match self {
            Self::Delivery => &["store.accept", "queue.send"],
            Self::Push => &["store.chip", "shop.call", "store.pushed"],
            Self::Sweep => &["store.due", "store.replace_run", "queue.send"],
            Self::Product if stock => &["store.claim", "shop.call", "store.progress", "book.send", "store.commit"],
            Self::Edit => &["store.claim", "shop.call", "book.send", "store.commit"],
            Self::Invoice | Self::Payment | Self::Allocation | Self::Refund | Self::Customer | Self::Product => {
                &["store.claim", "shop.call", "store.progress", "book.send", "store.commit"]
            }
        }
    }
}

/// What the sweep came to.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Boundaries at which a job was killed.
    pub boundaries: u32,
    /// Those after which everything was in the book exactly once.
    pub exactly_once: u32,
    /// Boundaries by job and dialect.
    pub cells: BTreeMap<(Job, Spoken), u32>,
    /// What was not as it should be.
    pub troubles: Vec<String>,
}

impl Swept {
    /// Whether every boundary was visited and survived, and no cell is empty.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.troubles.is_empty() && self.boundaries == self.exactly_once && self.boundaries > 0
    }

    /// As tables and a last line.
    #[must_use]
    pub fn told(&self) -> String {
        let heads = Spoken::ALL.map(|spoken| format!("{:>12}", spoken.dialect())).concat();
        let mut lines = vec![format!("{:<20}{heads}", "killed at boundaries")];
        for job in Job::ALL {
            let cells = Spoken::ALL
                .map(|spoken| format!("{:>12}", self.cells.get(&(job, spoken)).copied().unwrap_or_default()));
            lines.push(format!("{:<20}{}", job.name(), cells.concat()));
        }
        lines.extend(self.troubles.iter().cloned());
        lines.push(format!("crash-sweep: boundaries={} exactly_once={}", self.boundaries, self.exactly_once));
        lines.join("\n")
    }

    /// Takes another part of the sweep in.
    pub fn merges(&mut self, other: Self) {
        self.boundaries = self.boundaries.saturating_add(other.boundaries);
        self.exactly_once = self.exactly_once.saturating_add(other.exactly_once);
        self.cells.extend(other.cells);
        self.troubles.extend(other.troubles);
    }
}

/// A world in which the job is done; where `doom` is given, its function meets it.
fn world(job: Job, spoken: Spoken, doom: Option<Doom>) -> anyhow::Result<World> {
    let plan = Plan {
        seed: SEED,
        shops: vec![vec![0]],
        books: vec![spoken],
        deeds: job.deeds(),
        faulty: false,
        script: Vec::new(),
    };
    let mut world = World::new(plan)?;
    world.knife = Some(crate::world::Knife {
        function: job.function(),
        from: world.stage.time.now().saturating_add(JOB_AT),
        doom,
        loses_messages: job == Job::Sweep,
        life: None,
    });
    world.lives()?;
    Ok(world)
}

/// Sweeps a job in a dialect.
#[must_use]
pub fn swept(job: Job, spoken: Spoken) -> Swept {
    let mut swept = Swept::default();
    let place = format!("{} in {}", job.name(), spoken.dialect());
    let recorded = world(job, spoken, None).map(|world| (world.calls_under_the_knife(), judged(&world)));
    let calls = match recorded {
        Ok((calls, findings)) if findings.is_empty() => calls,
        Ok((_, findings)) => {
            swept.troubles.push(format!("{place} is wrong without any kill: {findings:?}"));
            return swept;
        }
        Err(error) => {
            swept.troubles.push(format!("{place} can't be recorded: {error:#}"));
            return swept;
        }
    };
    let lacking: Vec<&&str> = job.makes(spoken).iter().filter(|call| !calls.contains(call)).collect();
    if !lacking.is_empty() {
        swept.troubles.push(format!("{place} makes no call of {lacking:?}: {calls:?}"));
    }
    let posts = |kind| dialect(spoken.dialect()).is_some_and(|it| it.profile().posts(kind));
    if calls.is_empty() || !posts(Kind::Invoice) {
        swept.troubles.push(format!("{place} is an empty cell"));
    }
    for (number, call) in calls.iter().enumerate() {
        for side in 0..2_usize {
            let boundary = u32::try_from(number.saturating_mul(2).saturating_add(side)).unwrap_or(u32::MAX);
            let case = format!("{place}, killed {} call {number}, {call}", if side == 0 { "before" } else { "after" });
            swept.boundaries = swept.boundaries.saturating_add(1);
            match world(job, spoken, Some(Doom { dies_at: Some(boundary), ..Doom::default() })) {
                Err(error) => swept.troubles.push(format!("{case}: {error:#}")),
                Ok(world) => {
                    let struck = world.calls_under_the_knife();
                    let findings = judged(&world);
                    if world.death_under_the_knife() != Some(boundary) || struck.get(number) != Some(call) {
                        swept.troubles.push(format!("{case}: was not visited, but {struck:?}"));
                    } else if findings.is_empty() {
                        swept.exactly_once = swept.exactly_once.saturating_add(1);
                    } else {
                        swept.troubles.push(format!("{case}: {findings:?}"));
                    }
                }
            }
        }
    }
    swept.cells.insert((job, spoken), swept.boundaries);
    swept
}

/// Sweeps everything, on so many threads.
#[must_use]
pub fn swept_all(threads: usize) -> Swept {
    let cases: Vec<(Job, Spoken)> =
        Job::ALL.into_iter().flat_map(|job| Spoken::ALL.map(|spoken| (job, spoken))).collect();
    let threads = threads.max(1);
    let workers: Vec<_> = (0..threads)
        .map(|number| {
            let mine: Vec<(Job, Spoken)> = cases.iter().skip(number).step_by(threads).copied().collect();
            std::thread::spawn(move || {
                let mut all = Swept::default();
                for (job, spoken) in mine {
                    all.merges(swept(job, spoken));
                }
                all
            })
        })
        .collect();
    let mut all = Swept::default();
    for worker in workers {
        if let Ok(part) = worker.join() {
            all.merges(part);
        }
    }
    for job in Job::ALL {
        for spoken in Spoken::ALL {
            if all.cells.get(&(job, spoken)).copied().unwrap_or_default() == 0 {
                all.troubles.push(format!("{} in {}: an empty cell", job.name(), spoken.dialect()));
            }
        }
    }
    all
}
