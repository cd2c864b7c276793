//! Deliveries against runs, and shops against books.

use crate::tally::Tally;
use crate::trade::{self, End};
use crate::world::{Trading, World};
use ledger_demo::places::{CARD, Speech};
use ledger_wire::rows::RunRow;
use ledger_world::shop::{OutboxStatus, Sale};
use ledger_world::statement::{DocumentLine, Statement};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Codes of runs that were left out because another had done their work before.
const DONE_BEFORE: [&str; 2] = ["superseded", "already_paid"];

/// The last line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    accepted: usize,
    synced: usize,
    skipped: usize,
    dead_lettered: usize,
    held: usize,
    lost: usize,
    doubled: usize,
}

impl Counts {
    /// Whether nothing is lost, nothing doubled, and each run that was accepted has come to one of the four ends.
    pub(crate) fn is_good(&self) -> bool {
        let Self { accepted, synced, skipped, dead_lettered, held, lost, doubled } = self;
        let ended = [synced, skipped, dead_lettered, held].into_iter().sum::<usize>();
        *accepted > 0 && *accepted == ended && *lost == 0 && *doubled == 0
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, synced, skipped, dead_lettered, held, lost, doubled } = self;
        write!(
            out,
            "accepted={accepted} synced={synced} skipped={skipped} dead_lettered={dead_lettered} held={held} lost={lost} doubled={doubled}"
        )
    }
}

/// How it ended.
pub(crate) struct Verdict {
    pub(crate) counts: Counts,
    /// What is not as it should be.
    pub(crate) wrong: Vec<String>,
}

/// What a document is held against.
struct Judge<'a> {
    trading: &'a Trading,
    statement: Statement,
    /// Runs by their keys.
    runs: BTreeMap<&'a str, &'a RunRow>,
    counts: &'a mut Counts,
    wrong: &'a mut Vec<String>,
}

/// Looks at everything.
pub(crate) async fn judged(world: &World, tally: &Tally) -> anyhow::Result<Verdict> {
    let (mut counts, mut wrong) = (Counts::default(), tally.wrong());
    let accepted = tally.accepted();
    counts.accepted = accepted.len();
    for (number, trading) in world.places.iter().enumerate() {
        let runs = world.runs(trading).await?;
        let ids: BTreeSet<&str> = runs.iter().map(|run| run.run_id.as_str()).collect();
        for (id, (_, key)) in accepted.iter().filter(|(id, (of, _))| *of == number && !ids.contains(id.as_str())) {
            counts.lost = counts.lost.saturating_add(1);
            wrong.push(format!("{key} was accepted as {id}, and there is no such run"));
        }
        for run in &runs {
            let ended = match run.state.as_str() {
                "succeeded" => &mut counts.synced,
                "skipped" => &mut counts.skipped,
                "dead_lettered" => &mut counts.dead_lettered,
                "held" => &mut counts.held,
                state => {
                    wrong.push(format!("{} is still {state} (run {})", run.idempotency_key, run.run_id));
                    continue;
                }
            };
            // A run whose answer was lost, and that no delivery named, is none of those that were accepted.
            if accepted.contains_key(&run.run_id) {
                *ended = ended.saturating_add(1);
            } else {
                wrong.push(format!("{} has a run that no shop was told of: {}", run.idempotency_key, run.run_id));
            }
        }
        let by_key = runs.iter().map(|run| (run.idempotency_key.as_str(), run)).collect();
        let statement = trading.book.statement();
        let mut judge = Judge { trading, statement, runs: by_key, counts: &mut counts, wrong: &mut wrong };
        judge.ends();
        judge.sales();
        judge.people_and_products();
        judge.strangers();
        judge.book();
    }
    Ok(Verdict { counts, wrong })
}

fn figure(text: &str) -> Option<Decimal> {
    text.parse().ok()
}

impl Judge<'_> {
    fn loses(&mut self, what: String) {
        self.counts.lost = self.counts.lost.saturating_add(1);
        self.wrong.push(format!("lost: {what} in {}", self.trading.name()));
    }

    fn doubles(&mut self, what: String) {
        self.counts.doubled = self.counts.doubled.saturating_add(1);
        self.wrong.push(format!("doubled: {what} in {}", self.trading.name()));
    }

    fn finds(&mut self, what: String) {
        self.wrong.push(format!("{what} in {}", self.trading.name()));
    }

    /// Each delivery was taken, and its run came to the end that it should.
    fn ends(&mut self) {
        let ends = trade::ends(self.trading);
        for row in self.trading.shop.outbox() {
            let key = row.idempotency_key.as_str();
            if row.status != OutboxStatus::Succeeded {
                self.loses(format!("the shop gave {key} up: {:?} {:?}", row.status, row.last_error));
            }
            let Some(run) = self.runs.get(key).copied() else {
                self.loses(format!("{key} has no run"));
                continue;
            };
            let code = run.code.as_deref().unwrap_or_default();
            let good = match ends.get(key).copied().unwrap_or(End::Synced) {
                End::Synced => run.state == "succeeded" || (run.state == "skipped" && DONE_BEFORE.contains(&code)),
                End::Skipped => run.state == "skipped",
                End::Refused(with) => run.state == "dead_lettered" && code == with,
            };
            self.chip(key, ends.get(key).copied().unwrap_or(End::Synced));
            if !good {
                let said = run.message.clone().unwrap_or_default();
                self.finds(format!("{key} is {} {code}: {said} (run {})", run.state, run.run_id));
            }
        }
    }

    /// What the shop shows. A payment has no chip of its own.
    fn chip(&mut self, key: &str, end: End) {
        let (event, id) = key.split_once(':').unwrap_or_default();
        if event == "invoice.paid" {
            return;
        }
        let entity = event.split('.').next().unwrap_or_default();
        let provider = self.trading.paired.place.speech.provider();
        let chip = id.parse().ok().and_then(|id| self.trading.shop.chip_of(provider, entity, id));
        let expected = match end {
            End::Synced => "synced",
            End::Skipped => "skipped",
            End::Refused(_) => "failed",
        };
        let shown = chip.as_ref().map_or("none", |chip| chip.sync_status.as_str());
        if shown != expected {
            self.finds(format!("the chip of {entity} {id} is {shown}, not {expected}"));
        }
        if shown == "synced" && chip.is_some_and(|chip| chip.provider_entity_id.is_none()) {
            self.finds(format!("the chip of {entity} {id} names no document"));
        }
    }

    /// Whether a run says why its document is not there.
    fn is_explained(&self, key: &str) -> bool {
        self.runs.get(key).is_some_and(|run| ["skipped", "dead_lettered", "held"].contains(&run.state.as_str()))
    }

    /// Whether policy left it out, so that it must not be there.
    fn is_left_out(&self, key: &str) -> bool {
        self.runs.get(key).is_some_and(|run| {
            run.state == "skipped" && !DONE_BEFORE.contains(&run.code.as_deref().unwrap_or_default())
        })
    }

    fn sales(&mut self) {
        for sale in self.trading.shop.sales() {
            if sale.entity_type == "invoice" { self.invoice(&sale) } else { self.memo(&sale) }
        }
    }

    /// The document of a number, which should be there once unless the run of `key` says otherwise.
    fn only(&mut self, what: &str, number: &str, key: &str, total: &str) -> Option<DocumentLine> {
        let all = if what == "invoice" { &self.statement.invoices } else { &self.statement.credit_notes };
        let found: Vec<DocumentLine> = all.iter().filter(|line| line.number == number).cloned().collect();
        match found.as_slice() {
            [] if self.is_explained(key) => {}
            [] => self.loses(format!("no {what} {number}")),
            [_] if self.is_left_out(key) => self.doubles(format!("{what} {number} is there and was left out")),
            [only] => {
                if figure(&only.total) != figure(total) {
                    self.finds(format!("{what} {number} has {}, the shop {total}", only.total));
                }
            }
            more => self.doubles(format!("{} times {what} {number}", more.len())),
        }
        found.first().cloned()
    }

    fn invoice(&mut self, sale: &Sale) {
        let number = format!("{}{}", self.trading.paired.prefix, sale.increment_id);
        let key = format!("invoice.created:{}", sale.id);
        let Some(line) = self.only("invoice", &number, &key, &sale.grand_total) else { return };
        let contact = self.statement.contacts.iter().find(|contact| contact.id == line.contact);
        if contact.is_none_or(|contact| !contact.email.eq_ignore_ascii_case(&sale.email)) {
            self.finds(format!("invoice {number} is {contact:?}'s, not {}'s", sale.email));
        }
        if !line.approved {
            self.finds(format!("invoice {number} is {}", line.status));
        }
        let paid: Vec<String> =
            self.statement.payments.iter().filter(|it| it.invoice == line.id).map(|it| it.amount.clone()).collect();
        let wants = sale.state == "paid" && sale.payment_method == CARD;
        match (paid.as_slice(), wants) {
            ([], false) => {}
            ([], true) if self.is_explained(&format!("invoice.paid:{}", sale.id)) => {}
            ([], true) => self.loses(format!("no payment of {number}")),
            ([only], true) => {
                if figure(only) != figure(&sale.grand_total) {
                    self.finds(format!("{number} over {} was paid with {only}", sale.grand_total));
                }
            }
            ([_], false) => self.doubles(format!("{number} was paid and should not be")),
            (more, _) => self.doubles(format!("{number} was paid {} times", more.len())),
        }
    }

    fn memo(&mut self, sale: &Sale) {
        let number = format!("{}CN-{}", self.trading.paired.prefix, sale.increment_id);
        let key = format!("creditmemo.created:{}", sale.id);
        let Some(line) = self.only("credit note", &number, &key, &sale.grand_total) else { return };
        let of = |amounts: Vec<Option<Decimal>>| amounts.into_iter().flatten().collect::<Vec<_>>();
        let set_off = of(self
            .statement
            .allocations
            .iter()
            .filter(|it| it.credit_note == line.id)
            .map(|it| figure(&it.amount))
            .collect());
        let paid_back = of(self
            .statement
            .refunds
            .iter()
            .filter(|it| it.credit_note == line.id)
            .map(|it| figure(&it.amount))
            .collect());
        let (total, settled) =
            (figure(&sale.grand_total).unwrap_or_default(), set_off.iter().chain(&paid_back).sum::<Decimal>());
        if set_off.len() > 1 || paid_back.len() > 1 || settled > total {
            self.doubles(format!("credit note {number} over {total} was settled with {set_off:?} and {paid_back:?}"));
        } else if settled < total && !self.is_explained(&key) {
            self.loses(format!("credit note {number} over {total} was settled with {settled}"));
        }
        if sale.payment_method == CARD && !set_off.is_empty() {
            self.finds(format!("credit note {number} was set off, and its money was paid back"));
        }
    }

    fn people_and_products(&mut self) {
        let shop = &self.trading.shop;
        // Whose invoices were all left out need not be there.
        let mut emails = BTreeSet::new();
        for sale in shop.sales().into_iter().filter(|sale| sale.entity_type == "invoice") {
            if !self.is_explained(&format!("invoice.created:{}", sale.id)) {
                emails.insert(sale.email.to_lowercase());
            }
        }
        let mut codes = Vec::new();
        for row in shop.outbox() {
            let (event, id) = row.idempotency_key.split_once(':').unwrap_or_default();
            let Ok(id) = id.parse::<i64>() else { continue };
            let kind = event.split('.').next().unwrap_or_default();
            let field = match event {
                "customer.upserted" => "email",
                "product.upserted" => "sku",
                _ => continue,
            };
            let canonical =
                shop.canonical(kind, id).and_then(|json| serde_json::from_str::<serde_json::Value>(&json).ok());
            let name = canonical.and_then(|it| it.get(field)?.as_str().map(str::to_owned));
            match (event, name) {
                (_, None) => self.finds(format!("{} has no {field}", row.idempotency_key)),
                ("customer.upserted", Some(email)) => {
                    emails.insert(email.to_lowercase());
                }
                (_, Some(code)) => codes.push(code),
            }
        }
        for email in emails {
            match self.statement.contacts.iter().filter(|it| it.email.eq_ignore_ascii_case(&email)).count() {
                1 => {}
                0 => self.loses(format!("no contact {email}")),
                more => self.doubles(format!("{more} contacts {email}")),
            }
        }
        for code in codes {
            let there: Vec<Option<String>> =
                self.statement.products.iter().filter(|it| it.code == code).map(|it| it.stock.clone()).collect();
            match there.as_slice() {
                [] => self.loses(format!("no product {code}")),
                [stock] => {
                    let kept = self.trading.paired.place.speech == Speech::Sage;
                    let shown = stock.as_deref().and_then(figure);
                    if kept && shown != Some(Decimal::from(trade::STOCK)) {
                        self.finds(format!("{code} has a stock of {stock:?}, the shop {}", trade::STOCK));
                    }
                }
                more => self.doubles(format!("{} products {code}", more.len())),
            }
        }
    }

    /// Nothing is in the book that the shop has not sold.
    fn strangers(&mut self) {
        let prefix = &self.trading.paired.prefix;
        let number = |sale: &Sale| match sale.entity_type.as_str() {
            "invoice" => format!("{prefix}{}", sale.increment_id),
            _ => format!("{prefix}CN-{}", sale.increment_id),
        };
        let known: BTreeSet<String> = self.trading.shop.sales().iter().map(number).collect();
        let strange: Vec<String> = self
            .statement
            .invoices
            .iter()
            .chain(&self.statement.credit_notes)
            .filter(|line| !known.contains(&line.number))
            .map(|line| line.number.clone())
            .collect();
        for number in strange {
            self.doubles(format!("{number} is in no shop"));
        }
    }

    /// One wrote at a time, and not more often than the provider allows.
    fn book(&mut self) {
        let log = self.trading.log();
        let limited = log.iter().filter(|entry| entry.status == Some(429) && entry.fault.is_none()).count();
        if limited > 0 {
            self.finds(format!("the book said {limited} times that it was asked too often"));
        }
        let mut open_until = 0;
        let mut overlaps = 0_usize;
        for entry in log.iter().filter(|entry| entry.is_write) {
            if entry.started < open_until {
                overlaps = overlaps.saturating_add(1);
            }
            open_until = open_until.max(entry.finished.unwrap_or(u64::MAX));
        }
        if overlaps > 0 {
            self.finds(format!("{overlaps} writes began before another had ended"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        Counts { accepted: 10, synced: 6, skipped: 2, dead_lettered: 1, held: 1, lost: 0, doubled: 0 }
    }

    #[test]
    fn it_is_good_only_where_it_adds_up() {
        assert!(counts().is_good());
        let others = [
            Counts::default(),
            Counts { accepted: 11, ..counts() },
            Counts { synced: 7, ..counts() },
            Counts { lost: 1, ..counts() },
            Counts { doubled: 1, ..counts() },
        ];
        for counts in others {
            assert!(!counts.is_good(), "{counts}");
        }
    }

    #[test]
    fn the_last_line_has_every_count() {
        let line = "accepted=10 synced=6 skipped=2 dead_lettered=1 held=1 lost=0 doubled=0";
        assert_eq!(counts().to_string(), line);
    }
}
