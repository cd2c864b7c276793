//! One walk through every kind of document, for the table of what a dialect can do: each cell is a case that was seen.

use crate::books::{AnyBook, Stage};
use crate::drive::{Drive, Failed, Stranger};
use anyhow::{Context as _, ensure};
use ledger_dialects::{Start, Support};
use ledger_domain::amount::Amount;
use ledger_domain::canonical;
use ledger_domain::document::{Contact, CreditNote, Document, Kind, Posted, SalesInvoice, Standing};
use ledger_domain::mapping;
use ledger_domain::settings::Settings;
use ledger_wire::magento;
use ledger_world::clock::Clock;
use ledger_world::server::{Answer, Request, percent_encoded};
use ledger_world::shop::{
    Address, Capture, CustomerSpec, InvoiceSpec, ItemSpec, MemoSpec, OrderSpec, PlacedOrder, ProductSpec, Shop,
    ShopOptions,
};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What was seen of one kind with one dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Posted, found again, left alone when come back to: in this case.
    Seen(&'static str),
    /// Not posted, for this reason; and asking for it creates nothing.
    Not(&'static str),
}

/// Walks through every kind with a dialect. A row for each kind.
///
/// # Errors
/// What the dialect claims and does not do.
pub async fn walk(name: &str) -> anyhow::Result<Vec<(Kind, Cell)>> {
    let stage = Stage::open(name).await?;
    let shop = Shop::start(ShopOptions::default()).await?;
    walk_on(&stage, &shop)
}

/// The same on a stage and with a shop that are there already, both new.
///
/// # Errors
/// As [`walk`].
pub fn walk_on(stage: &Stage, shop: &Shop) -> anyhow::Result<Vec<(Kind, Cell)>> {
    walks(&Walk { stage, drive: stage.drive()?, shop })
}

/// The creating and changing requests of a walk whose shop's clock stands still, in order, with the book's address as `~`.
///
/// # Errors
/// As [`walk`].
pub async fn requests(name: &str) -> anyhow::Result<Vec<String>> {
    let stage = Stage::open(name).await?;
    let shop = Shop::start(ShopOptions { clock: Clock::standing_at(NOON), ..ShopOptions::default() }).await?;
    let noted = Noted { book: &stage.book, requests: RefCell::default() };
    let drive = stage.drive()?;
    let own = drive.context.base_url.clone();
    walks(&Walk { stage: &stage, drive: Drive { book: &noted, ..drive }, shop: &shop })?;
    let requests = noted.requests.into_inner();
    Ok(requests.into_iter().map(|text| text.replace(&own, "~").replace(&percent_encoded(&own), "~")).collect())
}

/// 20 November 2026, 12:00, in seconds since 1970.
const NOON: i64 = 1_795_176_000;
/// Headers that are the same in every request.
const USUAL_HEADERS: [&str; 4] = ["accept", "authorization", "content-type", "user-agent"];

/// A book that notes what would change it.
struct Noted<'a> {
    book: &'a AnyBook,
    requests: RefCell<Vec<String>>,
}

impl Stranger for Noted<'_> {
    fn answers(&self, request: &Request) -> Answer {
        if request.method != "GET" {
            let headers = request.headers.iter().filter(|(name, _)| !USUAL_HEADERS.contains(&name.as_str()));
            let headers: String = headers.map(|(name, value)| format!("{name}: {value}\n")).collect();
            let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let text = format!("{} {}{query}\n{headers}{body:#}", request.method, request.path);
            self.requests.borrow_mut().push(text);
        }
        self.book.answers(request)
    }
}

fn walks(walk: &Walk<'_>) -> anyhow::Result<Vec<(Kind, Cell)>> {
    let mut seen = BTreeMap::new();
    walk.references()?;
    let contact = walk.contact()?;
    seen.insert(Kind::Contact, "a_customer");
    let product = walk.product()?;
    seen.insert(Kind::Product, "a_product");
    let paid = walk.invoice(Capture::Captured)?;
    seen.insert(Kind::Invoice, "an_invoice_with_shipping");
    walk.payment(&paid, &contact)?;
    seen.insert(Kind::Payment, "a_payment_in_full");
    let (note, posted) = walk.credit_note(&paid, &contact)?;
    seen.insert(Kind::CreditNote, "a_partial_refund");
    walk.refund(&note, &posted)?;
    seen.insert(Kind::Refund, "money_back_for_a_paid_invoice");
    let unpaid = walk.invoice(Capture::NotCaptured)?;
    let (note, posted) = walk.credit_note(&unpaid, &contact)?;
    walk.allocation(&note, &posted, &unpaid)?;
    seen.insert(Kind::Allocation, "a_credit_on_an_unpaid_invoice");
    walk.stock(&product)?;
    seen.insert(Kind::StockMovement, "stock_towards_the_shops");
    let profile = walk.drive.dialect.profile();
    Kind::ALL
        .into_iter()
        .map(|kind| match profile.support(kind) {
            Support::Yes => Ok((kind, Cell::Seen(seen.get(&kind).copied().context("a kind without a case")?))),
            Support::No(why) => Ok((kind, Cell::Not(why))),
        })
        .collect()
}

struct Walk<'a> {
    stage: &'a Stage,
    drive: Drive<'a>,
    shop: &'a Shop,
}

/// An invoice with where it went.
struct Invoiced {
    id: i64,
    order: PlacedOrder,
    told: canonical::Invoice,
    number: String,
    posted: Posted,
}

fn told(failed: Failed) -> anyhow::Error {
    anyhow::Error::new(failed)
}

impl Walk<'_> {
    fn chosen(&self) -> &Settings {
        &self.stage.settings_with_accounts
    }

    /// Posts, finds, comes back: one document, however often.
    fn once(&self, document: &Document, key: &str) -> anyhow::Result<Posted> {
        let kind = document.kind();
        if !self.drive.dialect.profile().posts(kind) {
            let before = self.stage.statement();
            ensure!(self.drive.posts(document, &Start::Fresh, key).is_err(), "{kind:?} is posted after all");
            ensure!(before == self.stage.statement(), "{kind:?} is not posted and yet something is");
            return Ok(Posted { provider_id: String::new(), reference: None, total: None });
        }
        let posted = self.drive.posts(document, &Start::Fresh, key).map_err(told)?;
        ensure!(document.total().is_none() || posted.total == document.total(), "{kind:?}: total {:?}", posted.total);
        let there = self.stage.statement();
        // What a book keeps no reference of can't be found by one: stock movements are repeated under their key instead.
        if kind != Kind::StockMovement {
            let found = self.drive.finds(document).map_err(told)?;
            ensure!(
                found.as_ref().map(|found| &found.provider_id) == Some(&posted.provider_id),
                "{kind:?}: posted {} and found {found:?}",
                posted.provider_id
            );
        }
        for _ in 0..2 {
            let again = self.drive.posts(document, &Start::Linked(posted.clone()), "").map_err(told)?;
            ensure!(again.provider_id == posted.provider_id, "{kind:?}: linked became something else");
        }
        ensure!(there == self.stage.statement(), "{kind:?}: coming back changed the book");
        if matches!(kind, Kind::Contact | Kind::Product) {
            let outdated = Start::Outdated(posted.clone());
            self.drive.posts(document, &outdated, "").map_err(told)?;
            let once = self.stage.statement();
            self.drive.posts(document, &outdated, "").map_err(told)?;
            ensure!(once == self.stage.statement(), "{kind:?}: a repeated change changed the book");
            ensure!(once.contacts.len() == there.contacts.len() && once.products.len() == there.products.len());
        }
        Ok(posted)
    }

    fn references(&self) -> anyhow::Result<()> {
        let dialect = self.drive.dialect;
        for of in dialect.profile().references {
            let mut cursor: Option<String> = None;
            let mut entries = 0;
            loop {
                let call = dialect.page(*of, &self.drive.context, cursor.as_deref());
                let reply = self.drive.send(&call.with_context(|| format!("no question for {}", of.as_str()))?);
                let page = dialect.read_page(*of, &self.drive.context, &reply)?;
                entries += page.entries.len();
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            ensure!(entries > 0 || of.as_str() == "contacts", "{} is empty", of.as_str());
        }
        Ok(())
    }

    fn contact(&self) -> anyhow::Result<Posted> {
        let address = Address::british("1 High Street", "London", "N1 7AA");
        let customer = CustomerSpec::new("jane@example.com", "Jane", "O'Hara").billed_to(address);
        let id = self.shop.customers().register(customer)?;
        let json = self.shop.canonical("customer", id).context("no customer")?;
        let customer = magento::customer(json.as_bytes())?;
        let contact: Contact =
            mapping::contact_of_customer(&customer, self.chosen(), &self.drive.dialect.profile().rules)?;
        // Where a contact trades in one currency, this is the one of the invoices to come.
        let contact = match self.drive.dialect.profile().rules.contact_per_currency {
            true => Contact { currency: Some(self.chosen().book_currency.clone()), ..contact },
            false => contact,
        };
        self.once(&Document::Contact(contact), "a1")
    }

    fn product(&self) -> anyhow::Result<(canonical::Product, Posted)> {
        let id = self.shop.saves_product(ProductSpec {
            sku: format!("MUG-{}", "BLUE-".repeat(12)),
            name: "Café mug <10/12 oz> 🫖".to_owned(),
            price: Some("24".into()),
            cost: Some("7.125".into()),
            stock_quantity: Some("118".into()),
            ..ProductSpec::default()
        });
        let json = self.shop.canonical("product", id).context("no product")?;
        let told = magento::product(json.as_bytes())?;
        let stocked = self.drive.dialect.profile().posts(Kind::StockMovement);
        let rules = &self.drive.dialect.profile().rules;
        let product = mapping::product(&told, self.chosen(), rules)
            .map_err(|code| anyhow::anyhow!("the product is left out: {code}"))?;
        let product = ledger_domain::document::Product { stocked, ..product };
        let posted = self.once(&Document::Product(product), "a2")?;
        Ok((told, posted))
    }

    fn invoice(&self, capture: Capture) -> anyhow::Result<Invoiced> {
        let order = OrderSpec::for_customer(1)
            .item(ItemSpec::simple("TEE", "Tee", 2, "20").taxed(20))
            .item(ItemSpec::simple("HAT", "Hat", 1, "10").taxed(20))
            .shipping_for("5", 20);
        let order = self.shop.orders(&order)?;
        let spec = InvoiceSpec { capture: Some(capture), ..InvoiceSpec::default() };
        let id = self.shop.invoices_with(order.id, &spec)?;
        let told = magento::invoice(self.shop.canonical("invoice", id).context("no invoice")?.as_bytes())?;
        let rules = &self.drive.dialect.profile().rules;
        let number = mapping::invoice_number(self.chosen(), &told.increment_id, rules);
        let contact = self.contact_again(&told)?;
        let document: SalesInvoice =
            mapping::sales_invoice(&told, self.chosen(), &number, &contact, &BTreeMap::new(), rules)?;
        let total = document.total;
        let posted = self.once(&Document::Invoice(document), &format!("b{id}"))?;
        let balance =
            self.drive.balance(Kind::Invoice, &posted.provider_id).map_err(|failed| anyhow::anyhow!("{failed}"))?;
        ensure!(balance.standing == Standing::Approved && balance.outstanding == total, "{balance:?} is not {total}");
        Ok(Invoiced { id, order, told, number, posted })
    }

    /// The buyer of an invoice is the customer that is there already.
    fn contact_again(&self, told_invoice: &canonical::Invoice) -> anyhow::Result<String> {
        let contact = mapping::contact_of(told_invoice, self.chosen(), &self.drive.dialect.profile().rules)?;
        let before = self.stage.statement().contacts.len();
        let posted =
            self.drive.posts(&Document::Contact(contact), &Start::Fresh, &format!("d{}", told_invoice.magento_id));
        let posted = posted.map_err(told)?;
        ensure!(self.stage.statement().contacts.len() == before, "one person became two contacts");
        Ok(posted.provider_id)
    }

    fn payment(&self, invoiced: &Invoiced, contact: &Posted) -> anyhow::Result<()> {
        let json = self.shop.canonical("payment", invoiced.id).context("no payment")?;
        let info = magento::payment(json.as_bytes())?;
        let rules = &self.drive.dialect.profile().rules;
        let payment = mapping::payment(
            &invoiced.told,
            &info,
            None,
            self.chosen(),
            rules,
            &invoiced.number,
            &invoiced.posted.provider_id,
            &contact.provider_id,
            invoiced.told.grand_total,
        )?;
        self.once(&Document::Payment(payment), &format!("e{}", invoiced.id))?;
        let balance = self.drive.balance(Kind::Invoice, &invoiced.posted.provider_id).map_err(told)?;
        ensure!(balance.outstanding == Amount::ZERO, "{} is left after the payment", balance.outstanding);
        Ok(())
    }

    fn credit_note(&self, invoiced: &Invoiced, contact: &Posted) -> anyhow::Result<(CreditNote, Posted)> {
        let id = self.shop.refunds(&MemoSpec {
            order_id: invoiced.order.id,
            invoice_id: Some(invoiced.id),
            quantities: Some([("TEE".to_owned(), 1.into())].into()),
            shipping: Some("2".into()),
            more_than_paid: true,
            ..MemoSpec::default()
        })?;
        let memo = magento::credit_memo(self.shop.canonical("creditmemo", id).context("no memo")?.as_bytes())?;
        let rules = &self.drive.dialect.profile().rules;
        let number = mapping::credit_note_number(self.chosen(), &memo.increment_id, rules);
        let of = Some((invoiced.posted.provider_id.as_str(), invoiced.number.as_str()));
        let credited = mapping::credited_invoice(&memo, of, self.chosen())?;
        let note = mapping::credit_note(
            &memo,
            Some(&invoiced.told),
            self.chosen(),
            &number,
            &contact.provider_id,
            credited,
            None,
            &BTreeMap::new(),
            rules,
        )?;
        let posted = self.once(&Document::CreditNote(note.clone()), &format!("f{id}"))?;
        Ok((note, posted))
    }

    fn refund(&self, note: &CreditNote, posted: &Posted) -> anyhow::Result<()> {
        let rules = &self.drive.dialect.profile().rules;
        let method = Some("stripe_payments");
        let refund = mapping::refund(note, &posted.provider_id, note.total, method, 1, Some(1), self.chosen(), rules)?;
        self.once(&Document::Refund(refund), &format!("9{}", note.number.len()))?;
        let balance = self.drive.balance(Kind::CreditNote, &posted.provider_id).map_err(told)?;
        ensure!(balance.outstanding == Amount::ZERO, "{} is left of the refunded credit note", balance.outstanding);
        Ok(())
    }

    fn allocation(&self, note: &CreditNote, posted: &Posted, invoiced: &Invoiced) -> anyhow::Result<()> {
        let rules = &self.drive.dialect.profile().rules;
        let of = &invoiced.posted.provider_id;
        let allocation = mapping::allocation(note, &posted.provider_id, of, note.total, rules);
        self.once(&Document::Allocation(allocation), &format!("8{}", note.number.len()))?;
        let left = invoiced.told.grand_total.minus(note.total).map_err(|error| anyhow::anyhow!("{error}"))?;
        let balance = self.drive.balance(Kind::Invoice, of).map_err(told)?;
        ensure!(balance.outstanding == left, "{} is left of the invoice, not {left}", balance.outstanding);
        Ok(())
    }

    fn stock(&self, (product, posted): &(canonical::Product, Posted)) -> anyhow::Result<()> {
        let rules = &self.drive.dialect.profile().rules;
        let in_book = self.drive.stock(&posted.provider_id).map_err(told)?;
        if !self.drive.dialect.profile().posts(Kind::StockMovement) {
            ensure!(in_book.is_none(), "stock is shown and not moved");
        }
        let at = product.updated_at.context("a product without a date")?;
        let movement = mapping::stock_movement(
            product,
            &posted.provider_id,
            in_book.unwrap_or_default(),
            "run-1",
            at,
            self.chosen(),
            rules,
        )?;
        self.once(&Document::StockMovement(movement.context("nothing to move")?), "77")?;
        if in_book.is_some() {
            let now = self.drive.stock(&posted.provider_id).map_err(told)?;
            ensure!(now == product.stock_quantity, "{now:?} in the book, {:?} in the shop", product.stock_quantity);
        }
        Ok(())
    }
}

/// The same table as a page shows it: in each cell the case that shows it, or why there is none.
#[must_use]
pub fn page(columns: &[(&str, Vec<(Kind, Cell)>)]) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = row(std::iter::once("document".to_owned())
        .chain(columns.iter().map(|(name, _)| format!("`{name}`")))
        .collect());
    text.push_str(&row(vec!["---".to_owned(); columns.len().saturating_add(1)]).replace(' ', ""));
    for kind in Kind::ALL {
        let cells = columns.iter().map(|(_, cells)| {
            cells.iter().find(|(of, _)| *of == kind).map_or_else(String::new, |(_, cell)| match cell {
                Cell::Seen(case) => format!("yes: `{case}`"),
                Cell::Not(why) => format!("no: {why}"),
            })
        });
        text.push_str(&row(std::iter::once(kind.as_str().replace('_', " ")).chain(cells).collect()));
    }
    text
}

/// The table of what dialects do: a row for each kind, a column for each dialect, a cell for each case that was seen.
#[must_use]
pub fn table(columns: &[(&str, Vec<(Kind, Cell)>)]) -> String {
    let mut rows = vec![std::iter::once("kind").chain(columns.iter().map(|(name, _)| *name)).collect::<Vec<_>>()];
    for kind in Kind::ALL {
        let cells = columns.iter().map(|(_, cells)| {
            cells.iter().find(|(of, _)| *of == kind).map_or("", |(_, cell)| match cell {
                Cell::Seen(case) => case,
                Cell::Not(_) => "no",
            })
        });
        rows.push(std::iter::once(kind.as_str()).chain(cells).collect());
    }
    let width = rows.iter().flatten().map(|cell| cell.len()).max().unwrap_or_default();
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let padded: Vec<String> = row.iter().map(|cell| format!("{cell:<width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        })
        .collect();
    for (name, cells) in columns {
        lines.extend(cells.iter().filter_map(|(kind, cell)| match cell {
            Cell::Seen(_) => None,
            Cell::Not(why) => Some(format!("    {name} posts no {}: {why}", kind.as_str())),
        }));
    }
    lines.join("\n")
}
