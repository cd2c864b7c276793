//! What an event is about, as the shop tells it, and under which keys the documents that it needs are remembered.

use crate::executor::{Source, Wanted};
use ledger_domain::book::BookRules;
use ledger_domain::canonical::{CreditMemo, Customer, Invoice, PaymentInfo, Product};
use ledger_domain::document::{Contact, Document, Kind};
use ledger_domain::fault::Fault;
use ledger_domain::identity::Event;
use ledger_domain::mapping;
use ledger_domain::settings::Settings;
use ledger_wire::rows::{XrefRow, keys};
use std::collections::{BTreeMap, BTreeSet};

/// What the shop says of an event's entity.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    /// `invoice.created`.
    Invoice(Box<Invoice>),
    /// `invoice.paid`.
    Payment(Box<Invoice>, PaymentInfo),
    /// `creditmemo.created`.
    CreditMemo(Box<CreditMemo>, Option<Box<Credited>>),
    /// `customer.upserted`.
    Customer(Box<Customer>),
    /// `product.upserted`.
    Product(Box<Product>),
}

/// The invoice that a memo names, with its payment where the shop calls it paid.
#[derive(Clone, Debug, PartialEq)]
pub struct Credited {
    /// The invoice.
    pub invoice: Invoice,
    /// Its payment.
    pub payment: Option<PaymentInfo>,
}

impl Facts {
    /// The invoice that is meant or named.
    #[must_use]
    pub fn invoice(&self) -> Option<&Invoice> {
        match self {
            Self::Invoice(invoice) | Self::Payment(invoice, _) => Some(invoice),
            Self::CreditMemo(_, credited) => credited.as_deref().map(|credited| &credited.invoice),
            Self::Customer(_) | Self::Product(_) => None,
        }
    }

    /// The buyer as the book shall know them; `None` for products.
    ///
    /// # Errors
    /// `contact_incomplete`.
    pub fn contact(&self, settings: &Settings, rules: &BookRules) -> Option<Result<Contact, Fault>> {
        match self {
            Self::Invoice(invoice) | Self::Payment(invoice, _) => Some(mapping::contact_of(invoice, settings, rules)),
            Self::CreditMemo(memo, _) => Some(mapping::contact_of_memo(memo, self.invoice(), settings, rules)),
            Self::Customer(customer) => Some(mapping::contact_of_customer(customer, settings, rules)),
            Self::Product(_) => None,
        }
    }

    /// The buyer's id in the shop; 0 for a guest.
    fn customer_id(&self) -> u64 {
        match self {
            Self::Invoice(invoice) | Self::Payment(invoice, _) => invoice.customer.magento_id,
            Self::CreditMemo(memo, _) => self.invoice().map_or(memo.customer.magento_id, |it| it.customer.magento_id),
            Self::Customer(customer) => customer.magento_id,
            Self::Product(_) => 0,
        }
    }

    /// The codes of what was sold.
    fn skus(&self) -> BTreeSet<&str> {
        let of_invoice = self.invoice().into_iter().flat_map(|invoice| &invoice.lines);
        let of_memo = match self {
            Self::CreditMemo(memo, _) => memo.lines.as_slice(),
            Self::Invoice(_) | Self::Payment(..) | Self::Customer(_) | Self::Product(_) => &[],
        };
        of_invoice.chain(of_memo).map(|line| line.sku.as_str()).filter(|sku| !sku.is_empty()).collect()
    }
}

/// Where a document with a number of ours is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its own row.
    pub key: String,
    /// Our number for it, and the row that guards the number.
    pub number: (String, String),
    /// The number with the store behind it, for the case that another document has the first.
    pub number_with_store: (String, String),
}

/// Where everything is remembered that an event may need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The book.
    pub book: String,
    /// The tenant.
    pub tenant: String,
    /// The buyer's rows: by customer id where there is one, then by e-mail address.
    pub contact: Vec<String>,
    /// The invoice.
    pub invoice: Option<Numbered>,
    /// Its payment.
    pub payment: Option<String>,
    /// The credit note.
    pub credit_note: Option<Numbered>,
    /// What of it is set off.
    pub allocation: Option<String>,
    /// What of it is paid back.
    pub refund: Option<String>,
    /// The product's rows: its own, then by code.
    pub product: Vec<String>,
    /// The run's stock movement.
    pub stock_movement: Option<String>,
    /// The rows of item types by SKU.
    pub skus: BTreeMap<String, String>,
}

impl Keys {
    /// The keys of a run's documents under the settings that are in force, in a book of these rules. `store_id` is the
    /// event's, where it names one.
    #[must_use]
    pub fn of(
        book: &str,
        tenant: &str,
        run_id: &str,
        facts: &Facts,
        settings: &Settings,
        rules: &BookRules,
        store_id: Option<u32>,
    ) -> Self {
        let guarded = |kind: Kind, number: String| {
            let key = keys::number(book, kind.as_str(), &number);
            (number, key)
        };
        let own = |kind: Kind, magento_id: u64| keys::document(book, kind.as_str(), tenant, magento_id);
        let mut contact = Vec::new();
        if let Some(Ok(buyer)) = facts.contact(settings, rules) {
            let currency = buyer.currency.as_ref().map(ledger_domain::amount::Currency::as_str);
            // The contact that stands for many buyers is nobody's own.
            if buyer.reference.is_none() && facts.customer_id() > 0 {
                contact.push(keys::contact_by_customer(book, tenant, facts.customer_id(), currency));
            }
            contact.push(keys::contact_by_email(book, &buyer.email, currency));
        }
        let invoice = facts.invoice().map(|invoice| Numbered {
            key: own(Kind::Invoice, invoice.magento_id),
            number: guarded(Kind::Invoice, mapping::invoice_number(settings, &invoice.increment_id, rules)),
            number_with_store: guarded(
                Kind::Invoice,
                mapping::invoice_number_with_store(settings, &invoice.increment_id, invoice.store_id, rules),
            ),
        });
        let payment = facts.invoice().map(|invoice| own(Kind::Payment, invoice.magento_id));
        let memo = match facts {
            Facts::CreditMemo(memo, _) => Some(memo),
            Facts::Invoice(_) | Facts::Payment(..) | Facts::Customer(_) | Facts::Product(_) => None,
        };
        let credit_note = memo.map(|memo| {
            let store = store_id.or_else(|| facts.invoice().map(|invoice| invoice.store_id)).unwrap_or(memo.website_id);
            Numbered {
                key: own(Kind::CreditNote, memo.magento_id),
                number: guarded(Kind::CreditNote, mapping::credit_note_number(settings, &memo.increment_id, rules)),
                number_with_store: guarded(
                    Kind::CreditNote,
                    mapping::credit_note_number_with_store(settings, &memo.increment_id, store, rules),
                ),
            }
        });
        let (mut product, mut stock_movement, mut skus) = (Vec::new(), None, BTreeMap::new());
        if let Facts::Product(it) = facts {
            product = vec![own(Kind::Product, it.magento_id), keys::product_by_code(book, &it.sku)];
            stock_movement = Some(keys::stock_movement(book, tenant, it.magento_id, run_id));
            skus.insert(it.sku.clone(), keys::sku(book, tenant, &it.sku));
        } else if settings.needs_item_types() {
            // All of them: the store reads as many rows at once as it may, and then the next.
            skus = facts.skus().into_iter().map(|sku| (sku.to_owned(), keys::sku(book, tenant, sku))).collect();
        }
        Self {
            book: book.to_owned(),
            tenant: tenant.to_owned(),
            contact,
            invoice,
            payment,
            credit_note,
            allocation: memo.map(|memo| own(Kind::Allocation, memo.magento_id)),
            refund: memo.map(|memo| own(Kind::Refund, memo.magento_id)),
            product,
            stock_movement,
            skus,
        }
    }

    fn numbered(&self) -> impl Iterator<Item = &Numbered> {
        self.invoice.iter().chain(&self.credit_note)
    }

    /// The row that the chip of an event's entity shows.
    #[must_use]
    pub fn of_run(&self, event: Event) -> Option<String> {
        match event {
            Event::InvoiceCreated | Event::InvoicePaid => self.invoice.as_ref().map(|it| it.key.clone()),
            Event::CreditmemoCreated => self.credit_note.as_ref().map(|it| it.key.clone()),
            Event::CustomerUpserted => self.contact.first().cloned(),
            Event::ProductUpserted => self.product.first().cloned(),
        }
    }

    /// The rows of the documents themselves.
    pub fn documents(&self) -> impl Iterator<Item = &String> {
        self.numbered()
            .map(|it| &it.key)
            .chain(&self.contact)
            .chain(&self.payment)
            .chain(&self.allocation)
            .chain(&self.refund)
            .chain(&self.product)
            .chain(&self.stock_movement)
    }

    /// Every key, for one read.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let guards = self.numbered().flat_map(|it| [&it.number.1, &it.number_with_store.1]);
        self.documents().chain(guards).chain(self.skus.values()).cloned().collect()
    }

    /// The number that a document has or shall have, and the row that guards it: the one reserved for it, else the
    /// plain one, else, where that belongs to another document of the shop, the one with the store.
    #[must_use]
    pub fn choose(&self, of: &Numbered, kind: Kind, xrefs: &BTreeMap<String, XrefRow>) -> (String, String) {
        if let Some(number) = xrefs.get(&of.key).and_then(|row| row.number.clone()) {
            // Reserved under settings that may have changed since: the number stays, and so does its guard.
            let key = keys::number(&self.book, kind.as_str(), &number);
            return (number, key);
        }
        // Of another document of this shop: two stores may count alike. Another shop's document is not evaded but
        // refused, because the same one may be meant.
        let taken = xrefs.get(&of.number.1).is_some_and(|row| {
            row.tenant == self.tenant && row.document.as_deref().is_some_and(|owner| owner != of.key)
        });
        if taken { of.number_with_store.clone() } else { of.number.clone() }
    }

    /// Item types by SKU, as product syncs left them.
    #[must_use]
    pub fn item_types(&self, xrefs: &BTreeMap<String, XrefRow>) -> BTreeMap<String, String> {
        self.skus.iter().filter_map(|(sku, key)| Some((sku.clone(), xrefs.get(key)?.reference.clone()?))).collect()
    }
}

/// The buyer as a document. A contact that is there already makes itself known when it is created: the dialects look by
/// address, or the book refuses a second one and they adopt the first.
#[must_use]
pub fn wanted_contact(keys: &Keys, contact: Contact, source: Option<Source>) -> Wanted {
    Wanted {
        document: Document::Contact(contact),
        keys: keys.contact.clone(),
        number_key: None,
        find_first: false,
        previous: None,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_wire::magento;
    use ledger_wire::settings::SettingsV1;

    /// Rows of the document: more than the store reads at once.
    const ROWS: usize = 200;

    #[test]
    fn each_row_of_a_long_document_goes_where_its_item_type_belongs() {
        let settings = r#"{"time_zone": "Europe/London", "book_currency": "GBP", "income_category": "200",
            "shipping_category": "205", "sales_tax_rates": ["0"],
            "item_type_categories": {"Services": "201"}}"#;
        let settings = serde_json::from_str::<SettingsV1>(settings).unwrap().read(1).unwrap();
        assert!(settings.needs_item_types());
        let row = |at: usize| {
            format!(
                r#"{{"sku":"SKU-{at:03}","name":"Row {at}","qty":1,"unit_price":1,"line_subtotal":1,"line_tax":0,"line_total":1}}"#
            )
        };
        let rows: Vec<String> = (0..ROWS).map(row).collect();
        let invoice = format!(
            r#"{{"magento_id":7,"increment_id":"000000042","website_id":1,"store_id":1,"currency":"GBP","state":"open",
                "customer":{{"magento_id":0,"email":"jane@example.com","name":"Jane Doe"}},"lines":[{}],"subtotal":{ROWS},
                "tax_amount":0,"shipping_amount":0,"shipping_tax_amount":0,"discount_amount":0,"grand_total":{ROWS},
                "created_at":"2026-11-20T09:30:00Z"}}"#,
            rows.join(",")
        );
        let facts = Facts::Invoice(Box::new(magento::invoice(invoice.as_bytes()).unwrap()));
        let rules = &ledger_dialects::dialect("v2").unwrap().profile().rules;
        let keys = Keys::of("xero:7", "t", "r", &facts, &settings, rules, None);
        assert_eq!(keys.skus.len(), ROWS);
        let read = keys.all();
        let xrefs: BTreeMap<String, XrefRow> = keys
            .skus
            .values()
            .filter(|key| read.contains(key))
            .map(|key| (key.clone(), XrefRow { reference: Some("Services".to_owned()), ..XrefRow::default() }))
            .collect();
        let item_types = keys.item_types(&xrefs);
        let Some(invoice) = facts.invoice() else { panic!("no invoice") };
        let posted = mapping::sales_invoice(invoice, &settings, "N", "c", &item_types, rules).unwrap();
        let categories: BTreeSet<&str> = posted.lines.iter().map(|line| line.category.as_str()).collect();
        assert_eq!((posted.lines.len(), categories), (ROWS, BTreeSet::from(["201"])));
    }
}
