//! What the shop says of an event's entity now: events only name it.

use crate::ingest::shop_why_held;
use crate::plan::{Credited, Facts};
use crate::ports::PortFault;
use crate::post::{Learnt, Outcome, Post};
use crate::shop::{ShopAnswer, ShopPorts, note_reach};
use crate::tenants::Known;
use ledger_domain::canonical::{Invoice, InvoiceState};
use ledger_domain::code::Code;
use ledger_domain::fault::Fault;
use ledger_domain::identity::Event;
use ledger_wire::magento::{self, ShopAnswerError};
use ledger_wire::rows::StepRow;

/// One of the shop's getters.
struct Getter<T> {
    /// Its name in the path, and in the label of the step.
    name: &'static str,
    /// Reads its answer.
    read: fn(&[u8]) -> Result<T, ShopAnswerError>,
    /// The id that the answer is about.
    id: fn(&T) -> u64,
}

const INVOICE: Getter<Invoice> = Getter { name: "invoice", read: magento::invoice, id: |it| it.magento_id };

impl Post<'_> {
    /// Everything that an event's plan decides from.
    pub(crate) async fn fetch(
        &self,
        known: &Known,
        event: Event,
        id: u64,
        started_at: i64,
        learnt: &mut Learnt,
    ) -> Result<Facts, Outcome> {
        let payment = Getter { name: "payment", read: magento::payment, id: |it| it.invoice_id };
        Ok(match event {
            Event::InvoiceCreated => Facts::Invoice(Box::new(self.get(known, INVOICE, id, started_at, learnt).await?)),
            Event::InvoicePaid => {
                let invoice = self.get(known, INVOICE, id, started_at, learnt).await?;
                Facts::Payment(Box::new(invoice), self.get(known, payment, id, started_at, learnt).await?)
            }
            Event::CreditmemoCreated => {
                let memo = Getter { name: "creditmemo", read: magento::credit_memo, id: |it| it.magento_id };
                let memo = self.get(known, memo, id, started_at, learnt).await?;
                let mut credited = None;
                if let Some(id) = memo.invoice_id {
                    let invoice = self.get(known, INVOICE, id, started_at, learnt).await?;
                    let payment = match invoice.state {
                        InvoiceState::Paid => Some(self.get(known, payment, id, started_at, learnt).await?),
                        InvoiceState::Open | InvoiceState::Cancelled => None,
                    };
                    credited = Some(Box::new(Credited { invoice, payment }));
                }
                Facts::CreditMemo(Box::new(memo), credited)
            }
            Event::CustomerUpserted => {
                let customer = Getter { name: "customer", read: magento::customer, id: |it| it.magento_id };
                Facts::Customer(Box::new(self.get(known, customer, id, started_at, learnt).await?))
            }
            Event::ProductUpserted => {
                let product = Getter { name: "product", read: magento::product, id: |it| it.magento_id };
                Facts::Product(Box::new(self.get(known, product, id, started_at, learnt).await?))
            }
        })
    }

    async fn get<T>(
        &self,
        known: &Known,
        getter: Getter<T>,
        id: u64,
        started_at: i64,
        learnt: &mut Learnt,
    ) -> Result<T, Outcome> {
        let Getter { name, read, id: id_of } = getter;
        let began = self.clock.now_ms();
        let ports = ShopPorts {
            shop: self.shop,
            vault: self.vault,
            clock: self.clock,
            chance: self.chance,
            memory: self.memory,
        };
        let answer = ports.ask(self.store, known, &format!("/rest/V1/byte8/{name}/{id}"), None).await?;
        note_reach(self.store, &known.tenancy.tenant, &answer, self.clock.now_ms()).await;
        let status = match &answer {
            ShopAnswer::Good(reply) => Some(reply.status),
            ShopAnswer::Refuses => Some(401),
            ShopAnswer::Fault(fault) => fault.evidence.status,
        };
        learnt.steps.push(StepRow {
            label: format!("fetch_{name}"),
            at_ms: began.saturating_sub(started_at),
            took_ms: self.clock.now_ms().saturating_sub(began),
            status,
            ..StepRow::default()
        });
        match answer {
            ShopAnswer::Good(reply) => {
                let unreadable = |why: String| Fault::refused(Code::ShopAnswerUnreadable, why);
                let fact = read(&reply.body)
                    .map_err(|error| unreadable(format!("the shop's {name} could not be read: {error}")))?;
                if id_of(&fact) != id {
                    return Err(unreadable(format!("the shop answered with another {name}")).into());
                }
                Ok(fact)
            }
            ShopAnswer::Refuses => {
                // What is remembered was read for the second question.
                let tenant = &known.tenancy.tenant.tenant;
                let now_known = self.memory.tenant(self.store, tenant, self.clock.now_ms()).await?;
                if let Some(code) = now_known.and_then(|known| shop_why_held(&known.tenancy.tenant)) {
                    return Err(Outcome::Held(code));
                }
                self.store
                    .shop_refuses(&known.tenancy.tenant.tenant, self.clock.now_ms())
                    .await
                    .map_err(|fault: PortFault| Outcome::from(fault))?;
                Err(Outcome::Held(Code::ShopUnauthorised))
            }
            ShopAnswer::Fault(fault) => Err(fault.into()),
        }
    }
}
