//! Runs for what the shop raised before it told us of it: its ids are walked through the module's getters, and each entity
//! that is there gets the run that its event would have made, by the same code. A later delivery of that event meets the
//! same run.
//!
//! A backfill goes behind the shop's own events: a book takes them in the order of their messages, so only so many of its
//! runs are open at a time.

use crate::config::milliseconds;
use crate::edges;
use crate::ingest::{Asked, message_of, opened_again, run_of, shop_why_held, why_held};
use crate::jobs::{Feed, Part};
use crate::ports::PortResult;
use crate::shop::{SHOP_TIMEOUT_MS, ShopAnswer, ShopPorts, note_reach};
use crate::tenants::Known;
use ledger_domain::canonical::InvoiceState;
use ledger_domain::code::Code;
use ledger_domain::fault::Action;
use ledger_domain::identity::{Entity, Event, fingerprint};
use ledger_domain::run::RunState;
use ledger_wire::magento;
use ledger_wire::rows::{BindingRow, JobRow, RunRow, keys};

/// Most ids that are looked at in one sweep.
pub const IDS_PER_SWEEP: u64 = 50;
/// Most ids of one backfill.
pub const IDS_MAX: u64 = 1_000_000;
/// Greatest id: those of Magento are unsigned 32-bit columns.
pub const ID_MAX: u64 = 4_294_967_295;
/// Most open runs of a backfill: what the shop's own events may have before them.
pub const OPEN_RUNS_MAX: usize = 20;
/// Runs that one entity may get: an invoice and its payment.
const RUNS_OF_AN_ENTITY: usize = 2;
/// A backfill asks the shop for at most this long in one sweep, in milliseconds.
const ASKING_MS: i64 = 15_000;
/// What has to be left of a sweep to ask the shop, which may have to be asked twice, in milliseconds.
const LEAST_LEFT_MS: i64 = 35_000;
const _: () = assert!(SHOP_TIMEOUT_MS * 2 < 35_000, "an answer that is waited for ends within the sweep");
/// A shop that gives no answer is asked again after this long, in milliseconds.
const AGAIN_MS: i64 = 60_000;

/// What the shop says of an id.
enum Found {
    /// There is no such entity.
    Gap,
    /// There is one.
    There(Entry),
    /// Nobody knows now.
    Unknown(Code, i64),
}

/// What a run says of its entity, as far as the shop's answer could be read. What can't is the worker's to tell.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    website_id: u32,
    store_id: u32,
    increment_id: Option<String>,
    paid: bool,
    /// Stands in for the body of a delivery, see [`body_of`].
    body: Vec<u8>,
}

/// What became of a run that was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    /// It was made, or opened again.
    Now,
    /// It is there.
    Before,
}

impl Feed<'_> {
    /// The next part of a backfill.
    pub(crate) async fn backfill(&self, job: &JobRow) -> PortResult<Part> {
        let entity = job.entity_type.as_deref().and_then(Entity::parse);
        let (Some(entity), Some(from), Some(to)) = (entity, job.from_id, job.to_id) else {
            return Ok(Part { stopped: true, ..Part::default() });
        };
        let began = self.clock.now_ms();
        let mut at = job.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(from);
        let known = self.memory.read_again(self.store, &job.tenant, began).await?;
        let binding = known.as_ref().and_then(|it| it.tenancy.bindings.iter().find(|row| row.binding == job.binding));
        let (Some(known), Some(binding)) = (&known, binding.filter(|row| row.status != "disconnected")) else {
            return Ok(Part { stopped: true, ..Part::default() });
        };
        let mut part = Part { open_runs: self.still_open(&job.open_runs).await?, ..Part::default() };
        let stop_at = began.saturating_add(ASKING_MS).min(self.until.saturating_sub(LEAST_LEFT_MS));
        if let Some(code) = why_held(binding).or_else(|| shop_why_held(&known.tenancy.tenant)) {
            part.waits(code, began.saturating_add(AGAIN_MS));
        }
        let last = to.min(at.saturating_add(IDS_PER_SWEEP).saturating_sub(1));
        while at <= last && part.again_at.is_none() {
            let full = part.open_runs.len().saturating_add(RUNS_OF_AN_ENTITY) > OPEN_RUNS_MAX;
            if full || self.clock.now_ms() >= stop_at {
                break;
            }
            match self.next_of(job, known, binding, entity, at, &mut part).await {
                Ok(Some(made)) => part.counts(made == Made::Now),
                Ok(None) => break,
                Err(fault) => {
                    // What was done so far is noted; this id is looked at again.
                    tracing::warn!(job = %job.job, code = Code::StoreUnavailable.as_str(), reason = %fault, "backfill waits");
                    part.waits(Code::StoreUnavailable, self.clock.now_ms().saturating_add(AGAIN_MS));
                    break;
                }
            }
            at = at.saturating_add(1);
        }
        part.next = (at <= to).then(|| at.to_string());
        Ok(part)
    }

    /// Does one id; `None` where it has to wait.
    async fn next_of(
        &self,
        job: &JobRow,
        known: &Known,
        binding: &BindingRow,
        entity: Entity,
        id: u64,
        part: &mut Part,
    ) -> PortResult<Option<Made>> {
        let entry = match self.look(known, entity, id).await? {
            Found::Gap => return Ok(Some(Made::Before)),
            Found::Unknown(code, again_at) => {
                part.waits(code, again_at);
                return Ok(None);
            }
            Found::There(entry) => entry,
        };
        let mut made = Made::Before;
        for event in events_of(entity, &entry) {
            let key = format!("{}:{id}", event.as_str());
            let asked = Asked {
                event,
                key: &key,
                body: &entry.body,
                magento_id: id,
                website_id: entry.website_id,
                store_id: entry.store_id,
                // Nobody knows when it happened: a payment is dated by the shop's own word.
                occurred_at: "",
                increment_id: entry.increment_id.as_deref(),
            };
            let now = self.clock.now_ms();
            let Some(fresh) = run_of(&asked, &known.tenancy.tenant, binding, self.queue, self.timers, now) else {
                continue;
            };
            if self.makes(job, &fresh, part).await? == Made::Now {
                made = Made::Now;
            }
        }
        Ok(Some(made))
    }

    /// Makes a run, or does with the one that is there what a delivery would do; but nobody is told of it again.
    async fn makes(&self, job: &JobRow, fresh: &RunRow, part: &mut Part) -> PortResult<Made> {
        let mut made = Made::Now;
        let row = if self.store.add_run(fresh).await? {
            fresh.clone()
        } else {
            let Some(seen) = self.store.run(&fresh.pk).await? else { return Ok(Made::Before) };
            if edges::is_opened_by_a_delivery(&seen) && !is_of(job, &seen) {
                let next = opened_again(&seen, fresh, self.timers, self.clock.now_ms());
                if !self.store.replace_run(&seen, &next, None).await? {
                    return Ok(Made::Before);
                }
                next
            } else {
                // An earlier try of this part may have made it, and have died before it could say so.
                made = if is_of(job, &seen) { Made::Now } else { Made::Before };
                part.open(&seen);
                return Ok(made);
            }
        };
        part.open(&row);
        if let Some(message) = message_of(&row).filter(|message| !message.group.is_empty()) {
            // The row is written: where this fails, the sweeper sends it.
            if let Err(fault) = self.queue.send(&message).await {
                tracing::warn!(run_id = %row.run_id, code = Code::StoreUnavailable.as_str(), reason = %fault, "send left to the sweeper");
            }
        }
        Ok(made)
    }

    async fn look(&self, known: &Known, entity: Entity, id: u64) -> PortResult<Found> {
        let ports = ShopPorts {
            shop: self.shop,
            vault: self.vault,
            clock: self.clock,
            chance: self.chance,
            memory: self.memory,
        };
        let tenant = &known.tenancy.tenant;
        let path = format!("/rest/V1/byte8/{}/{id}", entity.as_str());
        let answer = ports.ask(self.store, known, &path, None).await?;
        let now = self.clock.now_ms();
        note_reach(self.store, tenant, &answer, now).await;
        Ok(match answer {
            ShopAnswer::Good(reply) => Found::There(read(entity, id, &reply.body)),
            ShopAnswer::Refuses => {
                self.store.shop_refuses_ping(&tenant.tenant, now).await?;
                Found::Unknown(Code::ShopUnauthorised, now.saturating_add(AGAIN_MS))
            }
            ShopAnswer::Fault(fault) if fault.code == Code::EntityNotFound => Found::Gap,
            ShopAnswer::Fault(fault) => {
                let after = match fault.action {
                    Action::Later { after_seconds } => after_seconds.map_or(0, milliseconds),
                    Action::Doubtful | Action::Reconnect | Action::Refused | Action::Broken => 0,
                };
                Found::Unknown(fault.code, now.saturating_add(after.max(AGAIN_MS)))
            }
        })
    }

    /// Those of these runs that are still before the shop's own.
    async fn still_open(&self, run_ids: &[String]) -> PortResult<Vec<String>> {
        let runs = run_ids.iter().map(|id| async { self.store.run(&keys::run(id)).await });
        let runs = futures::future::try_join_all(runs).await?;
        Ok(runs.into_iter().flatten().filter(is_open).map(|run| run.run_id).collect())
    }
}

impl Part {
    fn waits(&mut self, code: Code, until: i64) {
        self.waits_for = Some(code.as_str());
        self.again_at = Some(until);
    }

    fn open(&mut self, run: &RunRow) {
        if is_open(run) && !self.open_runs.contains(&run.run_id) {
            self.open_runs.push(run.run_id.clone());
        }
    }
}

fn is_open(run: &RunRow) -> bool {
    matches!(edges::state(run), RunState::Queued | RunState::Running | RunState::Waiting)
}

/// True for a run that this job made.
fn is_of(job: &JobRow, run: &RunRow) -> bool {
    edges::is_backfilled(run) && run.received_at >= job.created_at
}

fn events_of(entity: Entity, entry: &Entry) -> impl Iterator<Item = Event> + use<> {
    let first = match entity {
        Entity::Invoice => Event::InvoiceCreated,
        Entity::Creditmemo => Event::CreditmemoCreated,
        Entity::Customer => Event::CustomerUpserted,
        Entity::Product => Event::ProductUpserted,
    };
    std::iter::once(first).chain((entity == Entity::Invoice && entry.paid).then_some(Event::InvoicePaid))
}

/// Reads of an answer what a delivery would have said.
fn read(entity: Entity, id: u64, answer: &[u8]) -> Entry {
    let entry = Entry { body: body_of(id, answer), ..Entry::default() };
    match entity {
        Entity::Invoice => match magento::invoice(answer) {
            Ok(invoice) => Entry {
                website_id: invoice.website_id,
                store_id: invoice.store_id,
                paid: invoice.state == InvoiceState::Paid,
                increment_id: Some(invoice.increment_id),
                ..entry
            },
            Err(_) => entry,
        },
        Entity::Creditmemo => match magento::credit_memo(answer) {
            Ok(memo) => Entry { website_id: memo.website_id, increment_id: Some(memo.increment_id), ..entry },
            Err(_) => entry,
        },
        Entity::Customer => match magento::customer(answer) {
            Ok(customer) => Entry { website_id: customer.website_id, ..entry },
            Err(_) => entry,
        },
        Entity::Product => entry,
    }
}

/// What stands in for the body of an upsert's delivery, which is part of its run's identity:
/// `{"magento_entity_id":17,"backfill":"<SHA-256 of the shop's answer, hexadecimal>"}`. The same state of an entity has the
/// same run, so a part that is done twice makes nothing twice; another state has another, so a later backfill brings what
/// has changed.
fn body_of(id: u64, answer: &[u8]) -> Vec<u8> {
    format!(r#"{{"magento_entity_id":{id},"backfill":"{}"}}"#, hex::encode(fingerprint(&[answer]))).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_left_to_the_worker() {
        for entity in Entity::ALL {
            let entry = read(entity, 17, b"<html>");
            assert_eq!((entry.website_id, entry.increment_id.as_deref(), entry.paid), (0, None, false), "{entity:?}");
            assert_eq!(events_of(entity, &entry).count(), 1, "{entity:?}");
        }
    }

    #[test]
    fn a_state_of_an_entity_has_one_body() {
        assert_eq!(body_of(17, b"{}"), body_of(17, b"{}"));
        assert_ne!(body_of(17, b"{}"), body_of(17, b"{ }"));
        assert_ne!(body_of(17, b"{}"), body_of(18, b"{}"));
        let body = String::from_utf8(body_of(17, b"{}")).unwrap();
        assert!(magento::event(body.as_bytes()).is_some(), "{body}");
    }

    #[test]
    fn an_invoice_that_is_paid_has_its_payment_too() {
        let paid = Entry { paid: true, ..Entry::default() };
        let names = |entity, entry: &Entry| events_of(entity, entry).map(Event::as_str).collect::<Vec<_>>();
        assert_eq!(names(Entity::Invoice, &paid), ["invoice.created", "invoice.paid"]);
        assert_eq!(names(Entity::Invoice, &Entry::default()), ["invoice.created"]);
        assert_eq!(names(Entity::Creditmemo, &paid), ["creditmemo.created"]);
    }
}
