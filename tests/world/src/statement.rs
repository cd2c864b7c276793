//! What a book holds, in one shape for every dialect: tests and demo compare it with the shop.
//!
//! Amounts are decimal text; credit notes and refunds are positive. Ids are those by which the book's own API knows
//! documents.

use serde::{Deserialize, Serialize};

/// Everything that a book holds: the answer to `GET /_control/statement`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The organisation's currency.
    pub currency: String,
    /// Contacts.
    pub contacts: Vec<ContactLine>,
    /// Products, items, price list or stock items.
    pub products: Vec<ProductLine>,
    /// Sales invoices.
    pub invoices: Vec<DocumentLine>,
    /// Credit notes.
    pub credit_notes: Vec<DocumentLine>,
    /// Money received for invoices.
    pub payments: Vec<PaymentLine>,
    /// Credit notes set off against invoices.
    pub allocations: Vec<AllocationLine>,
    /// Money paid back for credit notes.
    pub refunds: Vec<RefundLine>,
    /// Changes of stock.
    pub stock_movements: Vec<StockLine>,
    /// Bank accounts.
    pub bank_accounts: Vec<BankLine>,
}

/// A contact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: String,
    /// The currency it trades in, where a contact has one.
    pub currency: Option<String>,
    /// False where it is archived, hidden or deleted.
    pub active: bool,
}

/// A product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductLine {
    /// Its id.
    pub id: String,
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its price.
    pub price: String,
    /// How many there are, where stock is kept.
    pub stock: Option<String>,
}

/// An invoice or a credit note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentLine {
    /// Its id.
    pub id: String,
    /// Its number or reference: ours.
    pub number: String,
    /// The contact's id.
    pub contact: String,
    /// The book's own word for where it stands.
    pub status: String,
    /// True where something is left to be paid or used.
    pub open: bool,
    /// True where it is booked: neither draft, nor waiting, nor withdrawn.
    pub approved: bool,
    /// Its date.
    pub date: String,
    /// When it is due; empty where the book has no such thing.
    pub due: String,
    /// Its currency.
    pub currency: String,
    /// Its total.
    pub total: String,
    /// The tax in it.
    pub tax: String,
    /// What is left to be paid or used.
    pub outstanding: String,
}

/// Money received for an invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentLine {
    /// Its id.
    pub id: String,
    /// Its reference.
    pub reference: String,
    /// The invoice's id.
    pub invoice: String,
    /// Its date.
    pub date: String,
    /// The amount in the invoice's currency.
    pub amount: String,
    /// The invoice's currency.
    pub currency: String,
    /// The bank account's id.
    pub account: String,
    /// The amount in the account's currency.
    pub account_amount: String,
}

/// A credit note set off against an invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationLine {
    /// Its id.
    pub id: String,
    /// The credit note's id.
    pub credit_note: String,
    /// The invoice's id.
    pub invoice: String,
    /// The amount in the documents' currency.
    pub amount: String,
}

/// Money paid back for a credit note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundLine {
    /// Its id.
    pub id: String,
    /// Its reference.
    pub reference: String,
    /// The credit note's id.
    pub credit_note: String,
    /// Its date.
    pub date: String,
    /// The amount in the credit note's currency.
    pub amount: String,
    /// The credit note's currency.
    pub currency: String,
    /// The bank account's id.
    pub account: String,
    /// The amount in the account's currency.
    pub account_amount: String,
}

/// A change of stock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLine {
    /// Its id.
    pub id: String,
    /// The product's id.
    pub product: String,
    /// What was added; negative where it was taken away.
    pub quantity: String,
    /// Its reference.
    pub reference: String,
}

/// A bank account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its currency.
    pub currency: String,
    /// What is on it.
    pub balance: String,
}
