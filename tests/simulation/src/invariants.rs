//! What must be true of a world that has come to rest: the books against the shops, the runs, the chips, the bells.

use crate::faults::Fault;
use crate::workload::MAPPED;
use crate::world::{Bound, Spoken, World};
use ledger_engine::domain::run::RunState;
use ledger_engine::edges;
use ledger_engine::tenants::refresh_token_context;
use ledger_engine::wire::rows::{AttemptRow, PushRow, RunRow, TokenRow, XrefRow, keys};
use ledger_world::shop::{OutboxStatus, Sale, Shop};
use ledger_world::statement::Statement;
use rust_decimal::Decimal;
use secrecy::ExposeSecret as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// Something is nowhere.
    Lost,
    /// Something is in a book twice.
    Doubled,
    /// A total, a link or a stock is not the shop's, and nobody says so.
    WrongTotal,
    /// Something never ends.
    Stuck,
    /// A chip says what is not so.
    ChipWrong,
    /// Bells and dead letters differ.
    BellWrong,
    /// A dead letter or a wait has no cause that a person could act on.
    Causeless,
    /// A book was asked too often.
    LimitExceeded,
    /// Two wrote to a book at once.
    Overlap,
    /// A grant is gone that nobody took back.
    TokenLost,
    /// An error was logged without a cause.
    ErrorLogged,
}

impl Wrong {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Lost,
        Self::Doubled,
        Self::WrongTotal,
        Self::Stuck,
        Self::ChipWrong,
        Self::BellWrong,
        Self::Causeless,
        Self::LimitExceeded,
        Self::Overlap,
        Self::TokenLost,
        Self::ErrorLogged,
    ];

    /// What it is called in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::WrongTotal => "wrong_total",
            Self::Stuck => "stuck",
            Self::ChipWrong => "chips_wrong",
            Self::BellWrong => "bells_wrong",
            Self::Causeless => "causeless",
            Self::LimitExceeded => "limits_exceeded",
            Self::Overlap => "overlaps",
            Self::TokenLost => "tokens_lost",
            Self::ErrorLogged => "errors_logged",
        }
    }
}

/// Something that is wrong.
pub type Finding = (Wrong, String);

struct Judge<'a> {
    world: &'a World,
    runs: Vec<Arc<RunRow>>,
    findings: Vec<Finding>,
}

/// What is wrong with a world that has come to rest.
#[must_use]
pub fn judged(world: &World) -> Vec<Finding> {
    let mut judge = Judge { world, runs: world.runs(), findings: Vec::new() };
    judge.runs_ended();
    judge.outboxes();
    let statements: Vec<Statement> = world.stage.volumes.iter().map(|volume| volume.book.statement()).collect();
    for (number, bound) in world.bounds.iter().enumerate() {
        let volume = world.stage.volumes.iter().position(|it| Arc::ptr_eq(it, &bound.volume));
        let (Some(statement), Some(shop)) =
            (volume.and_then(|at| statements.get(at)), world.stage.shops.get(bound.shop))
        else {
            continue;
        };
        judge.sales(bound, shop, statement);
        judge.contacts_and_products(bound, shop, statement);
        judge.grant(number, bound);
    }
    for (statement, volume) in statements.iter().zip(&world.stage.volumes) {
        judge.strangers(statement, &volume.url);
        if let Some(overlap) = volume.overlap() {
            judge.finds(Wrong::Overlap, format!("{}: {overlap}", volume.url));
        }
        if volume.limited() > 0 {
            judge.finds(Wrong::LimitExceeded, format!("{} said so {} times", volume.url, volume.limited()));
        }
    }
    for swallowed in &world.swallowed {
        judge.finds(Wrong::Lost, format!("the message of {swallowed} is nowhere"));
    }
    judge.errors();
    judge.bells();
    judge.findings
}

fn figure(text: &str) -> Decimal {
    text.parse().unwrap_or(Decimal::MIN)
}

impl Judge<'_> {
    fn finds(&mut self, wrong: Wrong, what: String) {
        self.findings.push((wrong, what));
    }

    fn struck(&self, fault: Fault) -> bool {
        self.world.stage.faults.times(fault) > 0
    }

    fn of(&self, bound: &Bound, event: &str, id: i64) -> Vec<Arc<RunRow>> {
        let mut runs: Vec<Arc<RunRow>> = self
            .runs
            .iter()
            .filter(|run| run.binding == bound.binding && run.event == event && i64::try_from(run.magento_id) == Ok(id))
            .cloned()
            .collect();
        runs.sort_by_key(|run| (run.received_at, run.run_id.clone()));
        runs
    }

    /// What the book said last of a run.
    fn said(&self, run: &RunRow) -> String {
        let attempt: Option<AttemptRow> =
            self.world.ground.store.peek(&keys::run(&run.run_id), &keys::attempt(run.attempt));
        attempt.map_or_else(String::new, |attempt| format!("{:?} {:?}", attempt.evidence, attempt.steps.last()))
    }

    /// Nothing is under way, and what stands still does so for a reason.
    fn runs_ended(&mut self) {
        for run in self.runs.clone() {
            let told = format!(
                "{} {} for {} is {} ({:?}: {:?}) {}",
                run.event,
                run.magento_id,
                run.book,
                run.state,
                run.code,
                run.message,
                self.said(&run)
            );
            match edges::state(&run) {
                RunState::Queued | RunState::Running | RunState::Waiting | RunState::Held => {
                    self.finds(Wrong::Stuck, told);
                }
                RunState::DeadLettered => {
                    // An operator has tried everything once more: only what a person has to correct is left.
                    let caused = match run.code.as_deref() {
                        Some("total_mismatch" | "reference_taken") => self.struck(Fault::WrongTotal),
                        _ => false,
                    };
                    if !caused {
                        self.finds(Wrong::Causeless, told);
                    }
                }
                RunState::Skipped => {
                    let usual = ["superseded", "payment_method_not_mapped", "already_paid", "not_supported_by_book"];
                    if !run.code.as_deref().is_some_and(|code| usual.contains(&code)) {
                        self.finds(Wrong::Causeless, told);
                    }
                }
                RunState::Succeeded => {}
            }
        }
        for (run_id, code) in self.world.done.dead.clone() {
            let caused = match code.as_str() {
                // After a restore it is looked for, and found with the other total.
                "total_mismatch" | "reference_taken" => self.struck(Fault::WrongTotal),
                "crashed" => self.has_killed(),
                // The book's own no, in its own words, under a status that says yes or no.
                "book_refused" => self.struck(Fault::ErrorInside),
                _ => false,
            };
            if !caused {
                self.finds(Wrong::Causeless, format!("run {run_id} was a dead letter: {code}"));
            }
        }
    }

    /// The shop gave nothing up, and what it was told is ours is there.
    fn outboxes(&mut self) {
        for shop in &self.world.stage.shops {
            for row in shop.outbox() {
                match row.status {
                    OutboxStatus::Succeeded => {
                        let name = row.event_name.as_str();
                        let id = row.idempotency_key.rsplit(':').next().and_then(|id| id.parse::<u64>().ok());
                        let provider = row.provider.clone().unwrap_or_default();
                        let there = self
                            .runs
                            .iter()
                            .any(|run| run.event == name && Some(run.magento_id) == id && run.provider == provider);
                        if !there {
                            self.finds(Wrong::Lost, format!("no run of {} for {provider}", row.idempotency_key));
                        }
                    }
                    OutboxStatus::DeadLettered => {
                        self.finds(
                            Wrong::Lost,
                            format!("the shop gave up {}: {:?}", row.idempotency_key, row.last_error),
                        );
                    }
                    OutboxStatus::Pending => {
                        self.finds(Wrong::Stuck, format!("the shop still sends {}", row.idempotency_key));
                    }
                }
            }
        }
    }

    /// Every invoice and memo of the shop.
    fn sales(&mut self, bound: &Bound, shop: &Shop, book: &Statement) {
        for sale in shop.sales() {
            match sale.entity_type.as_str() {
                "invoice" => self.invoice(bound, shop, book, &sale),
                _ => self.memo(bound, shop, book, &sale),
            }
        }
    }

    fn invoice(&mut self, bound: &Bound, shop: &Shop, book: &Statement, sale: &Sale) {
        let number = format!("{}{}", bound.prefix, sale.increment_id);
        let what = format!("invoice {number} in {}", bound.volume.url);
        let created = self.of(bound, "invoice.created", sale.id);
        let paid = self.of(bound, "invoice.paid", sale.id);
        let runs: Vec<Arc<RunRow>> = created.iter().chain(&paid).cloned().collect();
        let failed = runs.iter().any(|run| edges::state(run) == RunState::DeadLettered);
        let there: Vec<_> = book.invoices.iter().filter(|line| line.number == number).collect();
        if there.len() > 1 {
            self.finds(Wrong::Doubled, format!("{} times {what}", there.len()));
        }
        let Some(line) = there.first() else {
            if !failed {
                self.finds(Wrong::Lost, format!("no {what}"));
            }
            self.chip(bound, shop, "invoice", sale.id, &runs, None);
            return;
        };
        if figure(&line.total) != figure(&sale.grand_total) && !failed {
            self.finds(Wrong::WrongTotal, format!("{what} has {}, the shop {}", line.total, sale.grand_total));
        }
        let contact = book.contacts.iter().find(|contact| contact.id == line.contact);
        if contact.is_none_or(|contact| contact.email != sale.email) {
            self.finds(Wrong::WrongTotal, format!("{what} is {contact:?}'s, not {}'s", sale.email));
        }
        if !line.approved && !failed {
            self.finds(Wrong::WrongTotal, format!("{what} is {}", line.status));
        }
        let payments: Vec<_> = book.payments.iter().filter(|payment| payment.invoice == line.id).collect();
        let wants_payment = sale.state == "paid" && MAPPED.contains(&sale.payment_method.as_str());
        let by_hand = self.world.done.by_hand.get(&(bound.volume.url.clone(), number.clone())).copied();
        match (payments.as_slice(), wants_payment) {
            (payments, _) if by_hand.is_some() => {
                // What is left of it, and no more: nothing where all was entered.
                let paid: Decimal = payments.iter().map(|payment| figure(&payment.amount)).sum();
                let expected = if wants_payment { figure(&sale.grand_total) } else { by_hand.unwrap_or_default() };
                if paid > expected || payments.len() > 2 {
                    self.finds(Wrong::Doubled, format!("{what} over {expected} was paid with {paid}"));
                } else if paid < expected && !failed {
                    self.finds(Wrong::Lost, format!("{what} over {expected} was paid with {paid}"));
                }
            }
            ([], false) => {}
            ([], true) if failed => {}
            ([], true) => self.finds(Wrong::Lost, format!("no payment of {what}")),
            ([only], true) => {
                if figure(&only.amount) != figure(&sale.grand_total) && !failed {
                    self.finds(Wrong::WrongTotal, format!("{what} was paid with {}", only.amount));
                }
            }
            ([_], false) => self.finds(Wrong::Doubled, format!("{what} was paid and should not be")),
            (more, _) => self.finds(Wrong::Doubled, format!("{what} was paid {} times", more.len())),
        }
        let id = (!failed).then(|| (line.id.clone(), number.clone()));
        self.chip(bound, shop, "invoice", sale.id, &runs, id);
    }

    fn memo(&mut self, bound: &Bound, shop: &Shop, book: &Statement, sale: &Sale) {
        let number = format!("{}CN-{}", bound.prefix, sale.increment_id);
        let what = format!("credit note {number} in {}", bound.volume.url);
        let runs = self.of(bound, "creditmemo.created", sale.id);
        let failed = runs.iter().any(|run| edges::state(run) == RunState::DeadLettered);
        let there: Vec<_> = book.credit_notes.iter().filter(|line| line.number == number).collect();
        if there.len() > 1 {
            self.finds(Wrong::Doubled, format!("{} times {what}", there.len()));
        }
        let Some(line) = there.first() else {
            if !failed {
                self.finds(Wrong::Lost, format!("no {what}"));
            }
            self.chip(bound, shop, "creditmemo", sale.id, &runs, None);
            return;
        };
        if figure(&line.total) != figure(&sale.grand_total) && !failed {
            self.finds(Wrong::WrongTotal, format!("{what} has {}, the shop {}", line.total, sale.grand_total));
        }
        let allocations: Vec<Decimal> =
            book.allocations.iter().filter(|it| it.credit_note == line.id).map(|it| figure(&it.amount)).collect();
        let refunds: Vec<Decimal> =
            book.refunds.iter().filter(|it| it.credit_note == line.id).map(|it| figure(&it.amount)).collect();
        for (name, many) in [("allocated", &allocations), ("refunded", &refunds)] {
            if many.len() > 1 {
                self.finds(Wrong::Doubled, format!("{what} was {name} {} times", many.len()));
            }
        }
        let settled: Decimal = allocations.iter().chain(&refunds).sum();
        let expected = figure(&sale.grand_total);
        if settled > expected {
            self.finds(Wrong::Doubled, format!("{what} over {expected} was settled with {settled}"));
        }
        if settled < expected && !failed {
            self.finds(Wrong::Lost, format!("{what} over {expected} was settled with {settled}"));
        }
        let mapped = MAPPED.contains(&sale.payment_method.as_str());
        if mapped && !allocations.is_empty() && !failed {
            self.finds(Wrong::WrongTotal, format!("{what} was set off, and its money was paid back"));
        }
        let id = (!failed).then(|| (line.id.clone(), number.clone()));
        self.chip(bound, shop, "creditmemo", sale.id, &runs, id);
    }

    fn contacts_and_products(&mut self, bound: &Bound, shop: &Shop, book: &Statement) {
        let mut emails: BTreeSet<String> = shop.sales().into_iter().map(|sale| sale.email).collect();
        let done = &self.world.done;
        emails.extend(done.customers.iter().filter(|((of, _), _)| *of == bound.shop).map(|(_, email)| email.clone()));
        for email in emails {
            let count = book.contacts.iter().filter(|contact| contact.email.eq_ignore_ascii_case(&email)).count();
            match count {
                1 => {}
                0 => {
                    let failed = self.runs.iter().any(|run| edges::state(run) == RunState::DeadLettered);
                    if !failed {
                        self.finds(Wrong::Lost, format!("no contact {email} in {}", bound.volume.url));
                    }
                }
                more => self.finds(Wrong::Doubled, format!("{more} contacts {email} in {}", bound.volume.url)),
            }
        }
        let customers: Vec<i64> =
            done.customers.keys().filter(|(of, _)| *of == bound.shop).map(|(_, id)| *id).collect();
        for id in customers {
            let runs = self.of(bound, "customer.upserted", id);
            if runs.is_empty() {
                self.finds(Wrong::Lost, format!("no run of customer {id}"));
            }
            let latest: Vec<Arc<RunRow>> = runs.last().cloned().into_iter().collect();
            self.chip_status(bound, shop, "customer", id, &latest, Some("synced"));
            self.is_up_to_date(bound, book, id);
        }
        let products: BTreeMap<i64, String> = done
            .products
            .iter()
            .filter(|((of, _), _)| *of == bound.shop)
            .map(|((_, id), code)| (*id, code.clone()))
            .collect();
        for (id, code) in products {
            let runs = self.of(bound, "product.upserted", id);
            let there: Vec<_> = book.products.iter().filter(|product| product.code == code).collect();
            match there.as_slice() {
                [] => self.finds(Wrong::Lost, format!("no product {code} in {}", bound.volume.url)),
                [only] => {
                    let wished = shop.canonical("product", id).and_then(|json| {
                        let json: serde_json::Value = serde_json::from_str(&json).ok()?;
                        Some(figure(&json.get("stock_qty").or_else(|| json.get("stock_quantity"))?.to_string()))
                    });
                    let keeps = bound.volume.spoken == Spoken::Sage;
                    let left_alone = runs.iter().any(|run| run.code.as_deref() == Some("stock_left_alone"));
                    if let (Some(wished), Some(stock), true, false) = (wished, &only.stock, keeps, left_alone)
                        && figure(stock) != wished
                    {
                        self.finds(Wrong::WrongTotal, format!("{code} has a stock of {stock}, the shop {wished}"));
                    }
                    self.product_is_up_to_date(bound, shop, id, &only.price, &runs);
                }
                more => self.finds(Wrong::Doubled, format!("{} products {code} in {}", more.len(), bound.volume.url)),
            }
            let latest: Vec<Arc<RunRow>> = runs.last().cloned().into_iter().collect();
            self.chip_status(bound, shop, "product", id, &latest, Some("synced"));
        }
    }

    /// A product that we made has the shop's price of today.
    fn product_is_up_to_date(&mut self, bound: &Bound, shop: &Shop, id: i64, shown: &str, runs: &[Arc<RunRow>]) {
        let code = self.world.done.products.get(&(bound.shop, id)).cloned().unwrap_or_default();
        let rows = self.world.ground.store.all::<XrefRow>();
        let mut ours = rows.iter().filter(|row| row.kind == "product" && row.pk.ends_with(&code));
        let failed = runs.iter().any(|run| run.state == "dead_lettered");
        if failed || ours.any(|row| row.adopted) {
            return;
        }
        let price = shop.canonical("product", id).and_then(|json| {
            let json: serde_json::Value = serde_json::from_str(&json).ok()?;
            Some(figure(&json.get("price")?.to_string()))
        });
        if price.is_some_and(|price| price != figure(shown)) {
            self.finds(Wrong::Lost, format!("{code} costs {shown}, in the shop {price:?}: an edit is nowhere"));
        }
    }

    /// A contact that we made, and that nobody but this shop changes, has the customer's name of today.
    fn is_up_to_date(&mut self, bound: &Bound, book: &Statement, id: i64) {
        let done = &self.world.done;
        let alone = self.world.bounds.iter().filter(|it| Arc::ptr_eq(&it.volume, &bound.volume)).count() == 1;
        let (Some(email), Some(name)) = (done.customers.get(&(bound.shop, id)), done.named.get(&(bound.shop, id)))
        else {
            return;
        };
        let rows = self.world.ground.store.all::<XrefRow>();
        let mut ours = rows.iter().filter(|row| row.pk.contains("#contact#") && row.pk.contains(email.as_str()));
        let adopted = ours.any(|row| row.adopted || row.company);
        let failed = self.of(bound, "customer.upserted", id).iter().any(|run| run.state == "dead_lettered");
        if !alone || adopted || failed {
            return;
        }
        let contact = book.contacts.iter().find(|contact| contact.email.eq_ignore_ascii_case(email));
        if let Some(contact) = contact.filter(|contact| !contact.name.contains(name.as_str())) {
            self.finds(Wrong::Lost, format!("{email} is {}, in the shop {name}: an edit is nowhere", contact.name));
        }
    }

    /// What the shop shows, and which document it names.
    fn chip(
        &mut self,
        bound: &Bound,
        shop: &Shop,
        entity: &str,
        id: i64,
        runs: &[Arc<RunRow>],
        there: Option<(String, String)>,
    ) {
        self.chip_status(bound, shop, entity, id, runs, there.as_ref().map(|_| "synced"));
        let Some((document, number)) = there else { return };
        let Some(chip) = shop.chip_of(bound.volume.spoken.provider(), entity, id) else { return };
        let last = document.rsplit('/').next().unwrap_or_default();
        let named = chip.provider_entity_id.as_deref().and_then(|named| named.rsplit('/').next());
        if named != Some(last) {
            self.finds(Wrong::ChipWrong, format!("{entity} {id} names {named:?}, the book {document}"));
        }
        if chip.provider_reference.as_deref().is_some_and(|reference| reference != number) {
            self.finds(
                Wrong::ChipWrong,
                format!("{entity} {id} shows {:?}, the book {number}", chip.provider_reference),
            );
        }
    }

    fn chip_status(
        &mut self,
        bound: &Bound,
        shop: &Shop,
        entity: &str,
        id: i64,
        runs: &[Arc<RunRow>],
        linked: Option<&str>,
    ) {
        let failed = runs.iter().any(|run| edges::state(run) == RunState::DeadLettered);
        let expected = if failed { "failed" } else { linked.unwrap_or("skipped") };
        let chip = shop.chip_of(bound.volume.spoken.provider(), entity, id);
        let shown = chip.as_ref().map_or("none", |chip| chip.sync_status.as_str());
        if shown != expected {
            let states: Vec<(&str, &str)> = runs.iter().map(|run| (run.run_id.as_str(), run.state.as_str())).collect();
            let number = u64::try_from(id).unwrap_or_default();
            let pk = keys::push(&bound.tenant, bound.volume.spoken.provider(), entity, number);
            let push: Option<PushRow> = self.world.ground.store.peek(&pk, keys::PUSH);
            self.finds(
                Wrong::ChipWrong,
                format!("{entity} {id} shows {shown}, not {expected} ({states:?}, {}, {push:?})", bound.volume.url),
            );
        }
    }

    /// Nothing is in a book that no shop has sold.
    fn strangers(&mut self, book: &Statement, url: &str) {
        let mut known = BTreeSet::new();
        for bound in self.world.bounds.iter().filter(|bound| bound.volume.url == url) {
            let Some(shop) = self.world.stage.shops.get(bound.shop) else { continue };
            for sale in shop.sales() {
                known.insert(match sale.entity_type.as_str() {
                    "invoice" => format!("{}{}", bound.prefix, sale.increment_id),
                    _ => format!("{}CN-{}", bound.prefix, sale.increment_id),
                });
            }
        }
        for line in book.invoices.iter().chain(&book.credit_notes).filter(|line| !known.contains(&line.number)) {
            self.finds(Wrong::Doubled, format!("{} is in {url} and in no shop", line.number));
        }
    }

    fn grant(&mut self, number: usize, bound: &Bound) {
        let Some(row) = self.world.binding_row(bound) else { return };
        if row.status != "active" {
            self.finds(Wrong::Stuck, format!("binding {number} is {}", row.status));
            return;
        }
        let volume = &bound.volume;
        let sage = volume.spoken == Spoken::Sage;
        let killed = [Fault::Killed, Fault::Frozen, Fault::ClockJumped].into_iter().any(|fault| self.struck(fault));
        // With Sage a token is lost with the reply that brings it, or with the process that has it.
        // A second 401 within an attempt is a person's to look at.
        // One 401 is two for an attempt that began before somebody connected the book anew: it ends the new token too, and
        // an attempt replaces its token once.
        let signed_in = self.world.done.signed_in.contains(&bound.binding);
        let refused_twice = self.world.stage.faults.times(Fault::Unauthorised) > u32::from(!signed_in);
        let caused = refused_twice
            || volume.was_revoked()
            || self.struck(Fault::Restored)
            || (sage && (volume.has_lost_a_token() || killed));
        if self.world.done.reconnected.contains(&bound.binding) && !caused {
            self.finds(Wrong::TokenLost, format!("binding {number} had to be connected again"));
        }
        let token: Option<TokenRow> = self.world.ground.store.peek(&keys::of_binding(&bound.binding), keys::TOKEN);
        let refresh = token.and_then(|token| {
            let context = refresh_token_context(&bound.binding);
            self.world.ground.vault.opened(&token.refresh?, &context).ok()
        });
        if !refresh.is_some_and(|refresh| volume.would_refresh(refresh.expose_secret())) && !caused {
            self.finds(Wrong::TokenLost, format!("the refresh token of binding {number} is none any more"));
        }
    }

    /// An error is logged for what we have to look at ourselves: here, for what a fault explains only.
    fn errors(&mut self) {
        for heard in self.world.ears.heard() {
            let caused = match (heard.code.as_str(), heard.message.as_str()) {
                // Three attempts that ended without an outcome.
                ("crashed", _) => self.has_killed(),
                (_, "a new token was lost") => {
                    self.struck(Fault::StoreThrottled)
                        || self.struck(Fault::StoreConflict)
                        || self.struck(Fault::VaultDown)
                        || self.struck(Fault::WrittenLate)
                }
                _ => false,
            };
            if !caused {
                self.finds(Wrong::ErrorLogged, format!("{heard:?}"));
            }
        }
    }

    /// Whether a function may have died.
    fn has_killed(&self) -> bool {
        [Fault::Killed, Fault::Frozen, Fault::StoreReplyLost, Fault::WrittenLate, Fault::ClockJumped, Fault::Restored]
            .into_iter()
            .any(|fault| self.struck(fault))
    }

    fn bells(&mut self) {
        let ringing: BTreeSet<String> = self
            .world
            .bells()
            .iter()
            .map(|body| {
                let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
                json.get("dead_letter").and_then(serde_json::Value::as_str).unwrap_or(body).to_owned()
            })
            .collect();
        let dead: BTreeSet<String> = self
            .runs
            .iter()
            .filter(|run| edges::state(run) == RunState::DeadLettered)
            .map(|run| run.run_id.clone())
            .collect();
        if ringing != dead {
            self.finds(Wrong::BellWrong, format!("bells ring for {ringing:?}, dead letters are {dead:?}"));
        }
    }
}
