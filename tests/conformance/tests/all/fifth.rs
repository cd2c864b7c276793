//! A fifth dialect, as small as one can be: the example for whoever adds a provider. It is written against the public
//! surface alone, and this file stops compiling when that surface changes.
//!
//! Its book is a slip box: `PUT /slips/{number}` files a slip, `GET /slips/{number}` shows it. A number is filed once.

use ledger_conformance::drive::{Drive, Failed, Stranger};
use ledger_conformance::law;
use ledger_dialects::{Call, Context, Dialect, Labelled, Method, Profile, Replay, Reply, Start, Step, Support};
use ledger_domain::amount::{Amount, Currency};
use ledger_domain::book::{BookRules, ExchangeRates, Rounding, TaxRounding};
use ledger_domain::code::Code;
use ledger_domain::document::{
    Balance, Document, DocumentLine, DocumentStatus, Kind, LineRole, Posted, SalesInvoice, Standing, Supply,
};
use ledger_domain::fault::{Action, Fault};
use ledger_domain::identity::Provider;
use ledger_domain::reference::{Page, Reference};
use ledger_world::server::{Answer, Request};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;

const FILE: &str = "file_slip";
const LOOK: &str = "look_at_slip";
const ONLY_INVOICES: Support = Support::No("A slip box files invoices only.");

static PROFILE: Profile = Profile {
    name: "slip_box",
    provider: Provider::Freeagent,
    rules: BookRules {
        rounding: Rounding { unit_price_places: 2, amount_places_max: 2, tax: TaxRounding::Computed },
        exchange: ExchangeRates::Own,
        tax_codes: false,
        contact_per_currency: false,
        number_length_max: 20,
        lines_max: 100,
        keeps_drafts: false,
        payment_terms_in_days: 0,
    },
    settle_seconds: 60,
    replay: Replay::Never,
    calls_per_minute: 60,
    documents: [
        (Kind::Contact, ONLY_INVOICES),
        (Kind::Product, ONLY_INVOICES),
        (Kind::Invoice, Support::Yes),
        (Kind::Payment, ONLY_INVOICES),
        (Kind::CreditNote, ONLY_INVOICES),
        (Kind::Allocation, ONLY_INVOICES),
        (Kind::Refund, ONLY_INVOICES),
        (Kind::StockMovement, ONLY_INVOICES),
    ],
    references: &[],
};

#[derive(Serialize, Deserialize)]
struct Slip {
    contact: String,
    currency: String,
    total: String,
}

struct SlipBox;

impl SlipBox {
    fn slip(invoice: &SalesInvoice) -> Slip {
        Slip {
            contact: invoice.contact.clone(),
            currency: invoice.currency.as_str().to_owned(),
            total: invoice.total.to_string(),
        }
    }

    /// What is filed under the invoice's number: ours, another's, or nothing.
    fn compare(invoice: &SalesInvoice, reply: &Reply) -> Result<Option<Posted>, Fault> {
        if reply.status == 404 {
            return Ok(None);
        }
        let filed = serde_json::from_slice::<Slip>(&reply.body).ok().filter(|_| reply.status == 200);
        let filed = filed.ok_or_else(|| SlipBox.classify(reply, false))?;
        let ours = Self::slip(invoice);
        if (&filed.contact, &filed.currency, &filed.total) != (&ours.contact, &ours.currency, &ours.total) {
            return Err(Fault::refused(Code::ReferenceTaken, "The number is on another slip."));
        }
        Ok(Some(Self::posted(invoice)))
    }

    fn posted(invoice: &SalesInvoice) -> Posted {
        Posted {
            provider_id: invoice.number.clone(),
            reference: Some(invoice.number.clone()),
            total: Some(invoice.total),
        }
    }

    fn look(number: &str) -> Call {
        Call::get(format!("/slips/{number}"))
    }
}

impl Dialect for SlipBox {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn post(&self, document: &Document, _: &Context, start: &Start, seen: &[Labelled]) -> Result<Step<Posted>, Fault> {
        let Document::Invoice(invoice) = document else {
            return Err(Fault::broken(Code::Unexpected, "A slip box files invoices only."));
        };
        if let Start::Linked(posted) | Start::Outdated(posted) = start {
            return Ok(Step::Done(posted.clone()));
        }
        match seen {
            [] => {
                let body = serde_json::to_string(&Self::slip(invoice)).unwrap_or_default();
                Ok(Step::Create(FILE, Call::send(Method::Put, format!("/slips/{}", invoice.number), body)))
            }
            [filed] if filed.reply.status == 201 => Ok(Step::Done(Self::posted(invoice))),
            [filed] if filed.reply.status == 409 => Ok(Step::Read(LOOK, Self::look(&invoice.number))),
            [filed] => Err(self.classify(&filed.reply, true)),
            [_, shown, ..] => match Self::compare(invoice, &shown.reply)? {
                Some(posted) => Ok(Step::Done(posted)),
                None => Err(Fault::later(Code::BookUnavailable, None, "The slip is taken and not there.")),
            },
        }
    }

    fn find(&self, document: &Document, _: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
        let Document::Invoice(invoice) = document else { return Ok(Step::Done(None)) };
        match seen.first() {
            None => Ok(Step::Read(LOOK, Self::look(&invoice.number))),
            Some(shown) => Ok(Step::Done(Self::compare(invoice, &shown.reply)?)),
        }
    }

    fn balance(&self, _: Kind, id: &str, _: &Context, seen: &[Labelled]) -> Result<Step<Balance>, Fault> {
        let Some(shown) = seen.first() else { return Ok(Step::Read(LOOK, Self::look(id))) };
        let slip = serde_json::from_slice::<Slip>(&shown.reply.body).ok();
        let outstanding = slip.and_then(|slip| Amount::parse(&slip.total).ok());
        let outstanding = outstanding.ok_or_else(|| self.classify(&shown.reply, false))?;
        Ok(Step::Done(Balance { standing: Standing::Approved, outstanding }))
    }

    fn stand_in(&self, digest: &str) -> String {
        digest.to_owned()
    }

    fn rehearsed(&self, _: &Document, _: &Context, _: &str) -> Reply {
        Reply { status: 201, ..Reply::default() }
    }

    fn provider_id(&self, _: Kind, told: &str, _: &Context) -> Option<String> {
        Some(told.to_owned())
    }

    fn page(&self, _: Reference, _: &Context, _: Option<&str>) -> Option<Call> {
        None
    }

    fn read_page(&self, _: Reference, _: &Context, reply: &Reply) -> Result<Page, Fault> {
        Err(self.classify(reply, false))
    }

    fn classify(&self, reply: &Reply, writes: bool) -> Fault {
        match (reply.status, writes) {
            (401, _) => Fault::new(Action::Reconnect, Code::NeedsReconnect, "The box is locked."),
            (400..=499, _) => Fault::refused(Code::BookRefused, "The box refuses the slip."),
            (_, true) => Fault::doubtful("The box does not say whether it has the slip."),
            (_, false) => Fault::later(Code::BookUnavailable, None, "The box does not answer."),
        }
    }
}

/// The box itself.
#[derive(Default)]
struct Slips(RefCell<BTreeMap<String, Vec<u8>>>);

impl Stranger for Slips {
    fn answers(&self, request: &Request) -> Answer {
        let number = request.segments().pop().unwrap_or_default();
        let mut slips = self.0.borrow_mut();
        match (request.method.as_str(), slips.get(&number)) {
            ("GET", Some(slip)) => Answer::new(200, "application/json", slip.clone()),
            ("PUT", None) => {
                slips.insert(number, request.body.to_vec());
                Answer::new(201, "application/json", "")
            }
            ("PUT", Some(_)) => Answer::new(409, "application/json", ""),
            _ => Answer::new(404, "application/json", ""),
        }
    }
}

fn invoice(number: &str, total: &str) -> Document {
    let total = Amount::parse(total).unwrap();
    Document::Invoice(SalesInvoice {
        number: number.to_owned(),
        order_number: "000000057".to_owned(),
        purchase_order_number: None,
        contact: "jane".to_owned(),
        dated_on: jiff::civil::date(2026, 11, 20),
        payment_terms_in_days: 0,
        status: DocumentStatus::Approved,
        currency: Currency::parse("GBP").unwrap(),
        exchange_rate: None,
        destination: None,
        lines: vec![DocumentLine {
            role: LineRole::Item,
            sku: None,
            description: "Tee".to_owned(),
            quantity: Decimal::ONE,
            unit_price: total.value(),
            tax_rate: Decimal::ZERO,
            tax: Amount::ZERO,
            tax_code: None,
            category: "sales".to_owned(),
            item_type: None,
            supply: Supply::Goods,
        }],
        total,
    })
}

#[test]
fn a_dialect_needs_no_more_than_the_public_surface() {
    let slips = Slips::default();
    let drive = Drive { dialect: &SlipBox, book: &slips, token: "token", context: Context::default() };
    let first = invoice("000000042", "24");
    assert_eq!(drive.finds(&first).unwrap(), None);
    let posted = drive.posts(&first, &Start::Fresh, "1").unwrap();
    // The same again is the same slip; another under its number is refused.
    assert_eq!(drive.posts(&first, &Start::Fresh, "2").unwrap(), posted);
    assert_eq!(drive.finds(&first).unwrap(), Some(posted.clone()));
    assert_eq!(drive.balance(Kind::Invoice, &posted.provider_id).unwrap().outstanding, Amount::parse("24").unwrap());
    let code = |failed: Failed| match failed {
        Failed::Fault(fault) => fault.code,
        Failed::Lawless(what) => panic!("{what}"),
    };
    assert_eq!(drive.posts(&invoice("000000042", "25"), &Start::Fresh, "3").map_err(code), Err(Code::ReferenceTaken));
    assert_eq!(slips.0.borrow().len(), 1);
}

#[test]
fn it_keeps_the_law_that_the_others_keep() {
    let Document::Invoice(filed) = invoice("000000042", "24") else { panic!("no invoice") };
    let slip = serde_json::to_vec(&SlipBox::slip(&filed));
    let documents = [invoice("000000042", "24"), invoice("000000043", "0.01")];
    let bodies = [slip.unwrap(), b"{\"contact\":7}".to_vec()];
    assert_eq!(law::holds(&SlipBox, &Context::default(), &documents, &bodies, CONVERSATIONS), Ok(()));
}

/// Random conversations.
const CONVERSATIONS: u64 = 5_000;

/// One that creates again whatever the box says.
struct Stubborn;

impl Dialect for Stubborn {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn post(&self, document: &Document, context: &Context, _: &Start, _: &[Labelled]) -> Result<Step<Posted>, Fault> {
        SlipBox.post(document, context, &Start::Fresh, &[])
    }

    fn find(&self, document: &Document, context: &Context, seen: &[Labelled]) -> Result<Step<Option<Posted>>, Fault> {
        SlipBox.find(document, context, seen)
    }

    fn balance(&self, kind: Kind, id: &str, context: &Context, seen: &[Labelled]) -> Result<Step<Balance>, Fault> {
        SlipBox.balance(kind, id, context, seen)
    }

    fn stand_in(&self, digest: &str) -> String {
        SlipBox.stand_in(digest)
    }

    fn rehearsed(&self, document: &Document, context: &Context, stand_in: &str) -> Reply {
        SlipBox.rehearsed(document, context, stand_in)
    }

    fn provider_id(&self, kind: Kind, told: &str, context: &Context) -> Option<String> {
        SlipBox.provider_id(kind, told, context)
    }

    fn page(&self, of: Reference, context: &Context, cursor: Option<&str>) -> Option<Call> {
        SlipBox.page(of, context, cursor)
    }

    fn read_page(&self, of: Reference, context: &Context, reply: &Reply) -> Result<Page, Fault> {
        SlipBox.read_page(of, context, reply)
    }

    fn classify(&self, reply: &Reply, writes: bool) -> Fault {
        SlipBox.classify(reply, writes)
    }
}

#[test]
fn one_that_breaks_the_law_is_noticed() {
    let documents = [invoice("000000042", "24")];
    let broken = law::holds(&Stubborn, &Context::default(), &documents, &[], CONVERSATIONS);
    assert!(broken.is_err_and(|what| what.contains("a create too many")));
}
