//! Which documents an event needs in the book, and under which keys they are remembered.

use crate::executor::Wanted;
use ledger_domain::book::BookRules;
use ledger_domain::canonical::Invoice;
use ledger_domain::document::{Contact, Document, SalesInvoice};
use ledger_domain::fault::Fault;
use ledger_domain::identity::normalised_email;
use ledger_domain::mapping;
use ledger_domain::settings::Settings;
use ledger_wire::rows::{XrefRow, keys};
use std::collections::{BTreeMap, BTreeSet};

/// Most SKUs whose item type is looked up for one invoice; the rest have the default category.
const SKUS_MAX: usize = 80;

/// Where an invoice and what it needs are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceKeys {
    /// The book.
    pub book: String,
    /// The tenant.
    pub tenant: String,
    /// The invoice's own row.
    pub invoice: String,
    /// The buyer's rows: by customer id where there is one, then by e-mail address.
    pub contact: Vec<String>,
    /// Our number for it, and the row that guards the number.
    pub number: (String, String),
    /// The number with the store behind it, for the case that another document has the first.
    pub number_with_store: (String, String),
    /// The rows of item types by SKU.
    pub skus: BTreeMap<String, String>,
}

impl InvoiceKeys {
    /// The keys of an invoice under the settings that are in force, in a book of these rules.
    #[must_use]
    pub fn of(book: &str, tenant: &str, invoice: &Invoice, settings: &Settings, rules: &BookRules) -> Self {
        let mut contact = Vec::new();
        if invoice.customer.magento_id > 0 {
            contact.push(keys::contact_by_customer(book, tenant, invoice.customer.magento_id));
        }
        if let Some(email) = normalised_email(&invoice.customer.email) {
            contact.push(keys::contact_by_email(book, &email));
        }
        let guarded = |number: String| {
            let key = keys::number(book, "invoice", &number);
            (number, key)
        };
        let skus = if settings.item_type_categories.is_empty() {
            BTreeMap::new()
        } else {
            let skus: BTreeSet<&str> =
                invoice.lines.iter().map(|line| line.sku.as_str()).filter(|sku| !sku.is_empty()).collect();
            skus.into_iter().take(SKUS_MAX).map(|sku| (sku.to_owned(), keys::sku(book, tenant, sku))).collect()
        };
        Self {
            book: book.to_owned(),
            tenant: tenant.to_owned(),
            invoice: keys::document(book, "invoice", tenant, invoice.magento_id),
            contact,
            number: guarded(mapping::invoice_number(settings, &invoice.increment_id, rules)),
            number_with_store: guarded(mapping::invoice_number_with_store(
                settings,
                &invoice.increment_id,
                invoice.store_id,
                rules,
            )),
            skus,
        }
    }

    /// Every key, for one read.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let mut all = vec![self.invoice.clone(), self.number.1.clone(), self.number_with_store.1.clone()];
        all.extend(self.contact.iter().cloned());
        all.extend(self.skus.values().cloned());
        all
    }

    /// The number that the invoice has or shall have: the one reserved for it, else the plain one, else, where that
    /// belongs to another document of the shop, the one with the store.
    #[must_use]
    pub fn choose(&self, xrefs: &BTreeMap<String, XrefRow>) -> (String, String) {
        if let Some(number) = xrefs.get(&self.invoice).and_then(|row| row.number.clone()) {
            return [&self.number, &self.number_with_store]
                .into_iter()
                .find(|(candidate, _)| *candidate == number)
                .cloned()
                .unwrap_or_else(|| {
                    // Reserved under settings that have changed since: the number stays, and so does its guard.
                    let key = keys::number(&self.book, "invoice", &number);
                    (number, key)
                });
        }
        // Of another document of this shop: two stores may count alike. Another shop's document is not evaded but
        // refused, because the same invoice may be meant.
        let taken = xrefs.get(&self.number.1).is_some_and(|row| {
            row.tenant == self.tenant && row.document.as_deref().is_some_and(|owner| owner != self.invoice)
        });
        if taken { self.number_with_store.clone() } else { self.number.clone() }
    }

    /// Item types by SKU, as product syncs left them.
    #[must_use]
    pub fn item_types(&self, xrefs: &BTreeMap<String, XrefRow>) -> BTreeMap<String, String> {
        self.skus.iter().filter_map(|(sku, key)| Some((sku.clone(), xrefs.get(key)?.reference.clone()?))).collect()
    }
}

/// The buyer as a document.
#[must_use]
pub fn wanted_contact(keys: &InvoiceKeys, contact: Contact) -> Wanted {
    Wanted {
        document: Document::Contact(contact),
        keys: keys.contact.clone(),
        number_key: None,
        one_to_one: false,
        // A contact that is there already makes itself known when it is created: the address is unique, and the
        // dialect adopts it.
        find_first: false,
        previous: None,
    }
}

/// The invoice as a document.
#[must_use]
pub fn wanted_invoice(
    keys: &InvoiceKeys,
    number_key: &str,
    invoice: SalesInvoice,
    find_first: bool,
    previous_number: Option<String>,
) -> Wanted {
    let previous = previous_number.map(|number| Document::Invoice(SalesInvoice { number, ..invoice.clone() }));
    Wanted {
        document: Document::Invoice(invoice),
        keys: vec![keys.invoice.clone()],
        number_key: Some(number_key.to_owned()),
        one_to_one: true,
        find_first,
        previous,
    }
}

/// The invoice in the book's terms, proven to the penny.
///
/// # Errors
/// Those of [`mapping::sales_invoice`].
pub fn sales_invoice(
    invoice: &Invoice,
    settings: &Settings,
    number: &str,
    contact: &str,
    item_types: &BTreeMap<String, String>,
    rules: &BookRules,
) -> Result<SalesInvoice, Fault> {
    mapping::sales_invoice(invoice, settings, number, contact, item_types, rules)
}
