//! What the book holds, in the shape that all books share.

use rust_decimal::Decimal;
use serde_json::Value;

use super::store::{Document, Kind, Stage, Store, decimal};
use crate::amount::written;
use crate::statement::{
    AllocationLine, BankLine, ContactLine, DocumentLine, PaymentLine, ProductLine, RefundLine, Statement,
};

pub(crate) fn statement(store: &Store) -> Statement {
    let lines = |kind: Kind| store.documents_of(kind).values().map(|document| line(store, document)).collect();
    let mut payments = Vec::new();
    let mut refunds = Vec::new();
    for explanation in store.explanations.values() {
        let Some((kind, number, amount)) = explanation.paid else { continue };
        let Some(document) = store.documents_of(kind).get(&number) else { continue };
        let account = store.bank_accounts.get(&explanation.account);
        let account_currency = account.map_or(document.currency.as_str(), |account| account.currency.as_str());
        let text = |field: &str| explanation.fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = store.url("bank_transaction_explanations", explanation.id);
        let reference = Some(text("receipt_reference")).filter(|it| !it.is_empty()).unwrap_or(text("description"));
        let document_id = store.url(kind.collection(), number);
        let date = explanation.dated_on.clone();
        let account = store.url("bank_accounts", explanation.account);
        let account_amount = written(explanation.gross.abs(), account_currency);
        let amount = written(amount, &document.currency);
        let currency = document.currency.clone();
        match kind {
            Kind::Invoice => {
                payments.push(PaymentLine {
                    id,
                    reference,
                    invoice: document_id,
                    date,
                    amount,
                    currency,
                    account,
                    account_amount,
                });
            }
            Kind::CreditNote => {
                refunds.push(RefundLine {
                    id,
                    reference,
                    credit_note: document_id,
                    date,
                    amount,
                    currency,
                    account,
                    account_amount,
                });
            }
        }
    }
    Statement {
        currency: store.options.currency.clone(),
        contacts: store
            .contacts
            .values()
            .map(|contact| ContactLine {
                id: store.url("contacts", contact.id),
                name: contact.name(),
                email: contact.text("email").to_owned(),
                currency: None,
                active: !contact.hidden,
            })
            .collect(),
        products: store
            .price_list_items
            .values()
            .map(|item| {
                let text = |field: &str| item.fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
                let price = item.fields.get("price").and_then(decimal).unwrap_or_default();
                ProductLine {
                    id: store.url("price_list_items", item.id),
                    code: text("code"),
                    name: text("description"),
                    price: written(price, &store.options.currency),
                    stock: None,
                }
            })
            .collect(),
        invoices: lines(Kind::Invoice),
        credit_notes: lines(Kind::CreditNote),
        payments,
        allocations: store
            .reconciliations
            .values()
            .map(|reconciliation| AllocationLine {
                id: store.url("credit_note_reconciliations", reconciliation.id),
                credit_note: store.url("credit_notes", reconciliation.credit_note),
                invoice: store.url("invoices", reconciliation.invoice),
                amount: written(reconciliation.gross, &reconciliation.currency),
            })
            .collect(),
        refunds,
        stock_movements: Vec::new(),
        bank_accounts: store
            .bank_accounts
            .values()
            .map(|account| BankLine {
                id: store.url("bank_accounts", account.id),
                name: account.name.clone(),
                currency: account.currency.clone(),
                balance: written(store.balance(account), &account.currency),
            })
            .collect(),
    }
}

fn line(store: &Store, document: &Document) -> DocumentLine {
    let outstanding = document.outstanding();
    DocumentLine {
        id: store.url(document.kind.collection(), document.id),
        number: document.reference.clone(),
        contact: store.url("contacts", document.contact),
        status: document.status(&store.today()).to_owned(),
        open: outstanding > Decimal::ZERO,
        approved: document.stage == Stage::Sent,
        date: document.dated_on.clone(),
        due: document.due_on().unwrap_or_default(),
        currency: document.currency.clone(),
        total: written(document.signed(document.total), &document.currency),
        tax: written(document.signed(document.tax), &document.currency),
        outstanding: written(outstanding, &document.currency),
    }
}
