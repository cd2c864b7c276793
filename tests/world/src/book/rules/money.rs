//! Money: bank accounts, what is on them, what it was for, and credit notes set off against invoices.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{CURRENCIES, Mistakes, Refusal, date, figure, refuse_unknown, text};
use crate::book::spec::Verdict;
use crate::book::store::{
    BankAccount, BankTransaction, Document, Explanation, Kind, Reconciliation, Stage, Store, pennies,
};

const BANK_ACCOUNT_TYPES: [&str; 3] = ["StandardBankAccount", "PaypalAccount", "CreditCardAccount"];

/// Money received for an invoice, paid back for a credit note, or anything else a category names.
pub(crate) fn explanation(store: &Store, fields: &Map<String, Value>) -> Result<Explanation, Refusal> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "bank_transaction_explanation", fields, &mut mistakes);
    let dated_on = date(fields, &mut mistakes);
    let gross = match figure(fields, "gross_value", "gross_value", &mut mistakes) {
        Some(gross) if !gross.is_zero() => pennies(gross),
        Some(_) => {
            mistakes.add("gross_value", "must not be 0");
            Decimal::ZERO
        }
        None => {
            mistakes.add("gross_value", "is not a number");
            Decimal::ZERO
        }
    };
    let (account, transaction) = where_it_is(store, fields, gross, &mut mistakes);
    let foreign = figure(fields, "foreign_currency_value", "foreign_currency_value", &mut mistakes).map(pennies);
    let paid = match text(fields, "paid_invoice") {
        "" => {
            if store.category_of(text(fields, "category")).is_none() {
                mistakes.add("category", "is not a category of this company");
            }
            None
        }
        url => settled(store, url, account, gross, foreign, &mut mistakes),
    };
    if store.is_locked(&dated_on) {
        return Err(Refusal::Locked("Bank transaction explanation is locked.".to_owned()));
    }
    let explanation = mistakes.or(Explanation {
        id: 0,
        account: account.map_or(0, |account| account.id),
        transaction,
        dated_on,
        gross,
        paid,
        foreign,
        fields: fields.clone(),
        created_at: store.now(),
    })?;
    Ok(explanation)
}

/// An account, where the explanation makes a transaction of its own, or a transaction that is there.
fn where_it_is<'a>(
    store: &'a Store,
    fields: &Map<String, Value>,
    gross: Decimal,
    mistakes: &mut Mistakes,
) -> (Option<&'a BankAccount>, u64) {
    let named = text(fields, "bank_transaction");
    if named.is_empty() {
        let account = store.account_of(text(fields, "bank_account"));
        if account.is_none() {
            mistakes.add("bank_account", "is not a bank account of this company");
        }
        return (account, 0);
    }
    let transaction =
        store.number_in(named, "bank_transactions").and_then(|number| store.bank_transactions.get(&number));
    let Some(transaction) = transaction else {
        mistakes.add("bank_transaction", "is not a bank transaction of this company");
        return (None, 0);
    };
    let left = store.unexplained(transaction);
    if left.is_sign_negative() != gross.is_sign_negative() || gross.abs() > left.abs() {
        mistakes.add("gross_value", "is more than what is left to explain");
    }
    (store.bank_accounts.get(&transaction.account), transaction.id)
}

/// The document that is paid, and how much of it in its own currency.
fn settled(
    store: &Store,
    url: &str,
    account: Option<&BankAccount>,
    gross: Decimal,
    foreign: Option<Decimal>,
    mistakes: &mut Mistakes,
) -> Option<(Kind, u64, Decimal)> {
    let Some(document) = store.sale_of(url) else {
        mistakes.add("paid_invoice", "is not an invoice of this company");
        return None;
    };
    if document.stage != Stage::Sent {
        mistakes.add("paid_invoice", "has not been sent");
    }
    let has_its_sign = gross.is_sign_negative() == (document.kind == Kind::CreditNote);
    if !gross.is_zero() && !has_its_sign {
        mistakes.add(
            "gross_value",
            match document.kind {
                Kind::Invoice => "must be greater than 0",
                Kind::CreditNote => "must be less than 0",
            },
        );
    }
    let amount = in_its_currency(store, document, account?, gross, foreign, mistakes);
    // Too much money for an invoice makes it overpaid; a credit note gives no more than it has.
    if document.kind == Kind::CreditNote && amount > document.outstanding() {
        mistakes.add("gross_value", "is more than what is left of the credit note");
    }
    Some((document.kind, document.id, amount))
}

fn in_its_currency(
    store: &Store,
    document: &Document,
    account: &BankAccount,
    gross: Decimal,
    foreign: Option<Decimal>,
    mistakes: &mut Mistakes,
) -> Decimal {
    if account.currency == document.currency {
        return gross.abs();
    }
    match (foreign.filter(|foreign| !foreign.is_zero()), store.switches.missing_foreign_value) {
        (Some(foreign), _) => foreign.abs(),
        (None, Verdict::Accepted) => pennies(gross.abs().checked_div(document.exchange_rate).unwrap_or(Decimal::ZERO)),
        (None, Verdict::Refused) => {
            mistakes.add("foreign_currency_value", "can't be blank");
            Decimal::ZERO
        }
    }
}

/// A credit note set off against an invoice: both sent, of one currency, and no more than either has left.
pub(crate) fn reconciliation(store: &Store, fields: &Map<String, Value>) -> Result<Reconciliation, Refusal> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "credit_note_reconciliation", fields, &mut mistakes);
    let dated_on = date(fields, &mut mistakes);
    let switches = store.switches;
    let gross = match figure(fields, "gross_value", "gross_value", &mut mistakes) {
        Some(gross) if gross > Decimal::ZERO => pennies(gross),
        Some(gross) if gross < Decimal::ZERO && switches.negative_reconciliations == Verdict::Accepted => {
            pennies(gross.abs())
        }
        _ => {
            mistakes.add("gross_value", "must be greater than 0");
            Decimal::ZERO
        }
    };
    let mut side = |kind: Kind| {
        let number = store.number_in(text(fields, kind.entity()), kind.collection());
        let document = number.and_then(|number| store.documents_of(kind).get(&number));
        match document {
            None => mistakes.add(kind.entity(), "can't be blank"),
            Some(document) if document.stage != Stage::Sent => mistakes.add(kind.entity(), "has not been sent"),
            Some(document) if gross > document.outstanding() => {
                mistakes.add("gross_value", &format!("is more than what is left of the {}", kind.entity()));
            }
            Some(_) => {}
        }
        document
    };
    let (invoice, credit_note) = (side(Kind::Invoice), side(Kind::CreditNote));
    if let (Some(invoice), Some(credit_note)) = (invoice, credit_note) {
        if invoice.contact != credit_note.contact {
            mistakes.add("credit_note", "is not the invoice's contact's");
        }
        if invoice.currency != credit_note.currency && switches.reconciliations_across_currencies == Verdict::Refused {
            mistakes.add("currency", "of invoice and credit note must be the same");
        }
    }
    if store.is_locked(&dated_on) {
        return Err(Refusal::Locked("Credit note reconciliation is locked.".to_owned()));
    }
    let reconciliation = mistakes.or(Reconciliation {
        id: 0,
        invoice: invoice.map_or(0, |document| document.id),
        credit_note: credit_note.map_or(0, |document| document.id),
        gross,
        dated_on,
        currency: invoice.map(|document| document.currency.clone()).unwrap_or_default(),
        exchange_rate: invoice.map_or(Decimal::ONE, |document| document.exchange_rate),
        created_at: store.now(),
    })?;
    Ok(reconciliation)
}

/// A new bank account.
pub(crate) fn bank_account(store: &Store, fields: &Map<String, Value>) -> Result<BankAccount, Mistakes> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, "bank_account", fields, &mut mistakes);
    let name = text(fields, "name").to_owned();
    if name.is_empty() {
        mistakes.add("name", "can't be blank");
    }
    let kind = match text(fields, "type") {
        "" => "StandardBankAccount",
        kind => kind,
    };
    if !BANK_ACCOUNT_TYPES.contains(&kind) {
        mistakes.add("type", "is not included in the list");
    }
    let email = Some(text(fields, "email")).filter(|email| !email.is_empty()).map(str::to_owned);
    if kind == "PaypalAccount" && email.is_none() {
        mistakes.add("email", "can't be blank");
    }
    let currency = match text(fields, "currency") {
        "" => store.options.currency.clone(),
        code => code.to_owned(),
    };
    if !CURRENCIES.contains(&currency.as_str()) {
        mistakes.add("currency", "is not included in the list");
    }
    let opening = figure(fields, "opening_balance", "opening_balance", &mut mistakes).unwrap_or_default();
    mistakes.or(BankAccount { id: 0, name, kind: kind.to_owned(), currency, email, opening, created_at: store.now() })
}

/// What the bank's feed has brought.
pub(crate) fn bank_transaction(store: &Store, fields: &Map<String, Value>) -> Result<BankTransaction, Mistakes> {
    let mut mistakes = Mistakes::default();
    let account = store.account_of(text(fields, "bank_account"));
    if account.is_none() {
        mistakes.add("bank_account", "is not a bank account of this company");
    }
    let dated_on = date(fields, &mut mistakes);
    let amount = figure(fields, "amount", "amount", &mut mistakes).unwrap_or_default();
    if amount.is_zero() {
        mistakes.add("amount", "must not be 0");
    }
    mistakes.or(BankTransaction {
        id: 0,
        account: account.map_or(0, |account| account.id),
        dated_on,
        amount,
        description: text(fields, "description").to_owned(),
        created_at: store.now(),
    })
}
