//! What the shop says of an order's life beside what the book holds of it.

use crate::cases::money;
use ledger_cli::tables;
use ledger_demo::strangers::Chip;
use ledger_world::statement::{DocumentLine, Statement};
use rust_decimal::Decimal;

/// A document of the shop and its chip.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The shop's number, SKU or e-mail address.
    pub(crate) name: String,
    /// A total or a price; nothing for a customer.
    pub(crate) amount: Decimal,
    /// The tax in it; nothing for what has none.
    pub(crate) tax: Option<Decimal>,
    /// Pieces in stock, where the book keeps count of them.
    pub(crate) stock: Option<Decimal>,
    pub(crate) chip: Chip,
}

/// What the shop says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) currency: String,
    pub(crate) customer: Told,
    pub(crate) products: Vec<Told>,
    pub(crate) invoice: Told,
    pub(crate) refunds: Vec<Told>,
}

/// What is on the bank after a part of the life.
#[derive(Clone, Debug)]
pub(crate) struct Banked {
    pub(crate) after: &'static str,
    /// What the shop has kept by then.
    pub(crate) shop: Decimal,
    /// What the book's bank accounts have gained by then.
    pub(crate) book: Decimal,
}

/// A line of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) document: String,
    pub(crate) number: String,
    pub(crate) shop: String,
    pub(crate) book: String,
    pub(crate) tax: String,
    pub(crate) status: String,
    pub(crate) outstanding: String,
    pub(crate) chip: String,
    /// What is not as it should be.
    pub(crate) wrong: Vec<String>,
}

/// How far a book's tax may be from the shop's, in hundredths. A book that is told the tax shows the shop's; one that
/// computes it rounds each line by itself, where the shop carries what is left over from row to row: a penny for each of the
/// life's three lines at most. The total is the shop's in either.
const TAX_OFF_MAX_HUNDREDTHS: i64 = 3;

/// Text of a statement as a figure.
fn figure(text: &str) -> Option<Decimal> {
    text.parse().ok()
}

/// What the bank accounts of a currency hold together, but for what came and went for other buyers' documents: those of
/// an earlier order may still be on their way. `None` where an amount can't be read.
pub(crate) fn on_bank(statement: &Statement, currency: &str, buyer: &str) -> Option<Decimal> {
    let is_counted = |id: &str| statement.bank_accounts.iter().any(|it| it.id == id && it.currency == currency);
    let is_buyers =
        |contact: &str| statement.contacts.iter().any(|it| it.id == contact && it.email.eq_ignore_ascii_case(buyer));
    let is_others = |all: &[DocumentLine], id: &str| all.iter().any(|it| it.id == id && !is_buyers(&it.contact));
    let mut sum = Decimal::ZERO;
    for account in statement.bank_accounts.iter().filter(|account| account.currency == currency) {
        sum = sum.checked_add(figure(&account.balance)?)?;
    }
    for it in statement.payments.iter().filter(|it| is_others(&statement.invoices, &it.invoice)) {
        sum = if is_counted(&it.account) { sum.checked_sub(figure(&it.account_amount)?)? } else { sum };
    }
    for it in statement.refunds.iter().filter(|it| is_others(&statement.credit_notes, &it.credit_note)) {
        sum = if is_counted(&it.account) { sum.checked_add(figure(&it.account_amount)?)? } else { sum };
    }
    Some(sum)
}

/// Each document of the life beside the book's.
pub(crate) fn lines(life: &Life, book: &Statement) -> Vec<Line> {
    let mut lines = vec![customer(&life.customer, book)];
    lines.extend(life.products.iter().map(|product| self::product(product, book)));
    lines.push(document("invoice", &life.invoice, &book.invoices, &life.currency));
    lines.push(payment(life, book));
    for refund in &life.refunds {
        lines.push(document("credit note", refund, &book.credit_notes, &life.currency));
        lines.push(refunded(refund, life, book));
    }
    lines
}

/// A line as far as the shop's side and the chip go.
fn begun(document: &str, told: &Told) -> Line {
    let mut line = Line { document: document.to_owned(), number: told.name.clone(), ..Line::default() };
    line.chip = crate::cases::shown(&told.chip);
    if told.chip.sync_status != "synced" {
        line.wrong.push(format!("the chip is {}", told.chip.sync_status));
    }
    line
}

/// The one of the book's lines that the chip names.
fn named<'a, T>(line: &mut Line, told: &Told, all: &'a [T], id: impl Fn(&T) -> &str) -> Option<&'a T> {
    let wanted = told.chip.provider_entity_id.as_deref();
    // Sage keeps products of two kinds, and the chip says of which one an id is: `stock_items/…`.
    let is_it = |it: &&T| wanted.is_some_and(|wanted| id(it) == wanted || wanted.rsplit('/').next() == Some(id(it)));
    let found = all.iter().find(is_it);
    if found.is_none() {
        line.wrong.push(format!("the book has no {} {}", line.document, wanted.unwrap_or("without an id")));
    }
    found
}

/// The only one of some.
fn only<T>(line: &mut Line, mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next();
    let others = found.count();
    if first.is_none() || others > 0 {
        let count = if first.is_none() { 0 } else { others.saturating_add(1) };
        line.wrong.push(format!("the book has {count} of them"));
    }
    first
}

fn equal(line: &mut Line, what: &str, shop: Decimal, book: &str) {
    if figure(book) != Some(shop) {
        line.wrong.push(format!("the {what} is {} in the shop and {book:?} in the book", money(shop)));
    }
}

fn customer(told: &Told, book: &Statement) -> Line {
    let mut line = begun("customer", told);
    if let Some(contact) = named(&mut line, told, &book.contacts, |it| &it.id) {
        line.book.clone_from(&contact.name);
        (if contact.active { "active" } else { "archived" }).clone_into(&mut line.status);
        if !contact.active || !contact.email.eq_ignore_ascii_case(&told.name) {
            line.wrong.push(format!("the contact is {} and {}", contact.email, line.status));
        }
    }
    let same = book.contacts.iter().filter(|it| it.email.eq_ignore_ascii_case(&told.name));
    only(&mut line, same);
    line
}

fn product(told: &Told, book: &Statement) -> Line {
    let mut line = begun("product", told);
    line.shop = money(told.amount);
    if let Some(product) = named(&mut line, told, &book.products, |it| &it.id) {
        line.book.clone_from(&product.price);
        if product.code != told.name {
            line.wrong.push(format!("the code is {}", product.code));
        }
        equal(&mut line, "price", told.amount, &product.price);
        if let Some(stock) = &product.stock {
            line.status = format!("{stock} in stock");
        }
        if let Some(stock) = told.stock {
            equal(&mut line, "stock", stock, product.stock.as_deref().unwrap_or_default());
        }
    }
    line
}

/// An invoice or a credit note: its total, and nothing left of it.
fn document(kind: &str, told: &Told, all: &[DocumentLine], currency: &str) -> Line {
    let mut line = begun(kind, told);
    line.shop = format!("{} {currency}", money(told.amount));
    let Some(found) = named(&mut line, told, all, |it| &it.id) else { return line };
    line.book = format!("{} {}", found.total, found.currency);
    line.number.clone_from(&found.number);
    line.status.clone_from(&found.status);
    line.outstanding.clone_from(&found.outstanding);
    if !found.number.ends_with(&told.name) {
        line.wrong.push(format!("the number is {}", found.number));
    }
    if found.currency != currency {
        line.wrong.push(format!("the currency is {}", found.currency));
    }
    equal(&mut line, "total", told.amount, &found.total);
    if let Some(tax) = told.tax {
        line.tax = format!("{} / {}", money(tax), found.tax);
        let off = figure(&found.tax).map(|theirs| theirs.saturating_sub(tax).abs());
        if off.is_none_or(|off| off > Decimal::new(TAX_OFF_MAX_HUNDREDTHS, 2)) {
            line.wrong.push(format!("the tax is {} in the shop and {:?} in the book", money(tax), found.tax));
        }
    }
    if found.open || !found.approved || figure(&found.outstanding) != Some(Decimal::ZERO) {
        line.wrong.push(format!("it is {} with {} outstanding", found.status, found.outstanding));
    }
    if kind == "invoice" && !found.status.eq_ignore_ascii_case("paid") {
        line.wrong.push(format!("it is {}, not paid", found.status));
    }
    line
}

fn payment(life: &Life, book: &Statement) -> Line {
    let mut line = Line { document: "payment".to_owned(), ..Line::default() };
    line.shop = format!("{} {}", money(life.invoice.amount), life.currency);
    let invoice = life.invoice.chip.provider_entity_id.as_deref();
    let of_it = book.payments.iter().filter(|it| Some(it.invoice.as_str()) == invoice);
    if let Some(payment) = only(&mut line, of_it) {
        line.number.clone_from(&payment.reference);
        line.book = format!("{} {}", payment.amount, payment.currency);
        line.status = bank_name(book, &payment.account);
        equal(&mut line, "payment", life.invoice.amount, &payment.amount);
    }
    line
}

/// The money that was paid back, from the account that it had come to.
fn refunded(told: &Told, life: &Life, book: &Statement) -> Line {
    let mut line = Line { document: "refund".to_owned(), ..Line::default() };
    line.shop = format!("{} {}", money(told.amount), life.currency);
    let note = told.chip.provider_entity_id.as_deref();
    let of_it = book.refunds.iter().filter(|it| Some(it.credit_note.as_str()) == note);
    if let Some(refund) = only(&mut line, of_it) {
        line.number.clone_from(&refund.reference);
        line.book = format!("{} {}", refund.amount, refund.currency);
        line.status = bank_name(book, &refund.account);
        equal(&mut line, "refund", told.amount, &refund.amount);
        let invoice = life.invoice.chip.provider_entity_id.as_deref();
        let into = book.payments.iter().find(|it| Some(it.invoice.as_str()) == invoice).map(|it| &it.account);
        if into != Some(&refund.account) {
            line.wrong.push(format!("it is paid from {}, not from where the payment went", line.status));
        }
    }
    line
}

fn bank_name(book: &Statement, id: &str) -> String {
    let account = book.bank_accounts.iter().find(|account| account.id == id);
    account.map_or_else(|| id.to_owned(), |account| format!("on {}", account.name))
}

/// Everything that is not as it should be.
pub(crate) fn wrongs(lines: &[Line], banked: &[Banked]) -> Vec<String> {
    let of_lines = lines.iter().flat_map(|line| {
        let document = format!("{} {}", line.document, line.number);
        line.wrong.iter().map(move |it| format!("{}: {it}", document.trim_end()))
    });
    let of_bank = banked.iter().filter(|it| it.shop != it.book).map(|it| {
        format!("after the {} the shop has kept {}, the bank has gained {}", it.after, money(it.shop), money(it.book))
    });
    of_lines.chain(of_bank).collect()
}

/// The comparison for people.
pub(crate) fn table(lines: &[Line], banked: &[Banked], currency: &str) -> String {
    let row = |line: &Line| {
        let line = line.clone();
        vec![line.document, line.number, line.shop, line.book, line.tax, line.status, line.outstanding, line.chip]
    };
    let mut rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    for it in banked {
        let mut row = vec![format!("bank after {}", it.after), String::new()];
        row.extend([it.shop, it.book].map(|amount| format!("{} {currency}", money(amount))));
        row.extend([String::new(), String::new(), String::new(), String::new()]);
        rows.push(row);
    }
    let header = ["DOCUMENT", "NUMBER", "SHOP", "BOOK", "TAX: SHOP / BOOK", "STATUS", "LEFT", "CHIP"];
    tables::table(&header, rows, &[2, 3, 4, 6], &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_world::statement::{BankLine, ContactLine, PaymentLine, ProductLine, RefundLine};

    fn told(name: &str, amount: &str, id: &str) -> Told {
        let chip =
            Chip { sync_status: "synced".to_owned(), provider_entity_id: Some(id.to_owned()), ..Chip::default() };
        Told { name: name.to_owned(), amount: amount.parse().unwrap(), tax: None, stock: None, chip }
    }

    fn life() -> Life {
        Life {
            currency: "GBP".to_owned(),
            customer: told("ada@example.com", "0", "c1"),
            products: vec![Told { stock: Some(Decimal::from(40)), ..told("CUP", "6.45", "stock_items/p1") }],
            invoice: Told { tax: Some(Decimal::new(1_078, 2)), ..told("000000001", "64.68", "i1") },
            refunds: vec![told("000000001", "16.33", "n1"), told("000000002", "48.35", "n2")],
        }
    }

    fn document(id: &str, number: &str, status: &str, total: &str) -> DocumentLine {
        DocumentLine {
            id: id.to_owned(),
            number: number.to_owned(),
            contact: "c1".to_owned(),
            status: status.to_owned(),
            approved: true,
            currency: "GBP".to_owned(),
            total: total.to_owned(),
            tax: "10.79".to_owned(),
            outstanding: "0.00".to_owned(),
            ..DocumentLine::default()
        }
    }

    fn refund(credit_note: &str, amount: &str) -> RefundLine {
        RefundLine {
            credit_note: credit_note.to_owned(),
            amount: amount.to_owned(),
            account: "b1".to_owned(),
            ..RefundLine::default()
        }
    }

    fn bank(id: &str, currency: &str, balance: &str) -> BankLine {
        BankLine {
            id: id.to_owned(),
            name: "Card".to_owned(),
            currency: currency.to_owned(),
            balance: balance.to_owned(),
        }
    }

    fn book() -> Statement {
        Statement {
            currency: "GBP".to_owned(),
            contacts: vec![ContactLine {
                id: "c1".to_owned(),
                name: "Ada".to_owned(),
                email: "Ada@example.com".to_owned(),
                currency: None,
                active: true,
            }],
            products: vec![ProductLine {
                id: "p1".to_owned(),
                code: "CUP".to_owned(),
                name: "Cup".to_owned(),
                price: "6.450".to_owned(),
                stock: Some("40".to_owned()),
            }],
            invoices: vec![document("i1", "M-000000001", "PAID", "64.68")],
            credit_notes: vec![
                document("n1", "M-CN-000000001", "Refunded", "16.33"),
                document("n2", "M-CN-000000002", "Refunded", "48.35"),
            ],
            payments: vec![PaymentLine {
                invoice: "i1".to_owned(),
                amount: "64.68".to_owned(),
                account: "b1".to_owned(),
                ..PaymentLine::default()
            }],
            refunds: vec![refund("n1", "16.33"), refund("n2", "48.35")],
            bank_accounts: vec![bank("b1", "GBP", "0.00"), bank("b2", "EUR", "7.00"), bank("b3", "GBP", "1.25")],
            ..Statement::default()
        }
    }

    fn said(life: &Life, book: &Statement) -> String {
        wrongs(&lines(life, book), &[]).join("; ")
    }

    #[test]
    fn a_book_that_says_the_same_is_right() {
        let lines = lines(&life(), &book());
        assert_eq!(wrongs(&lines, &[]), Vec::<String>::new());
        let documents: Vec<&str> = lines.iter().map(|line| line.document.as_str()).collect();
        assert_eq!(
            documents,
            ["customer", "product", "invoice", "payment", "credit note", "refund", "credit note", "refund"]
        );
        let table = table(&lines, &[], "GBP");
        assert!(table.contains("64.68 GBP  64.68 GBP     10.78 / 10.79  PAID"), "{table}");
    }

    /// A way for a book to differ.
    type Change = fn(&mut Statement);

    #[test]
    fn whatever_differs_is_said() {
        let cases: [(Change, &str); 16] = [
            (|book| book.invoices[0].tax = "10.82".to_owned(), "the tax is 10.78 in the shop and \"10.82\""),
            (|book| book.contacts[0].active = false, "archived"),
            (|book| book.contacts[0].email.clear(), "the book has 0 of them"),
            (|book| book.contacts.push(book.contacts[0].clone()), "the book has 2 of them"),
            (|book| book.products.clear(), "the book has no product stock_items/p1"),
            (|book| book.products[0].price = "6.46".to_owned(), "the price is 6.45 in the shop"),
            (|book| book.products[0].stock = Some("39".to_owned()), "the stock is 40.00 in the shop"),
            (|book| book.invoices[0].total = "64.67".to_owned(), "the total is 64.68 in the shop and \"64.67\""),
            (|book| book.invoices[0].outstanding = "0.01".to_owned(), "with 0.01 outstanding"),
            (|book| book.invoices[0].status = "AUTHORISED".to_owned(), "it is AUTHORISED, not paid"),
            (|book| book.invoices[0].currency = "EUR".to_owned(), "the currency is EUR"),
            (|book| book.credit_notes[1].open = true, "credit note M-CN-000000002: it is Refunded"),
            (|book| book.payments.clear(), "payment: the book has 0 of them"),
            (|book| book.payments[0].amount = "64.60".to_owned(), "the payment is 64.68 in the shop"),
            (|book| book.refunds.push(refund("n1", "16.33")), "the book has 2 of them"),
            (|book| book.refunds[1].account = "b3".to_owned(), "not from where the payment went"),
        ];
        for (change, expected) in cases {
            let mut book = book();
            change(&mut book);
            let said = said(&life(), &book);
            assert!(said.contains(expected), "{said:?} does not say {expected:?}");
        }
    }

    #[test]
    fn a_chip_that_has_not_turned_is_wrong() {
        let mut life = life();
        life.invoice.chip.sync_status = "pending".to_owned();
        assert_eq!(said(&life, &book()), "invoice M-000000001: the chip is pending");
    }

    #[test]
    fn the_bank_counts_in_one_currency() {
        let mut book = book();
        assert_eq!(on_bank(&book, "GBP", "ada@example.com"), Some(Decimal::new(125, 2)));
        book.bank_accounts[0].balance = "?".to_owned();
        assert_eq!(on_bank(&book, "GBP", "ada@example.com"), None);
    }

    #[test]
    fn what_came_for_others_does_not_count() {
        let mut book = book();
        let others = |id: &str| DocumentLine { contact: "c2".to_owned(), ..document(id, id, "Paid", "9") };
        book.invoices.push(others("i9"));
        book.credit_notes.push(others("n9"));
        let payment = |account: &str| PaymentLine {
            invoice: "i9".to_owned(),
            account: account.to_owned(),
            account_amount: "9.00".to_owned(),
            ..PaymentLine::default()
        };
        book.payments = vec![payment("b1"), payment("b2")];
        book.refunds = vec![RefundLine { account_amount: "2.00".to_owned(), ..refund("n9", "2.00") }];
        assert_eq!(on_bank(&book, "GBP", "ada@example.com"), Some(Decimal::new(125 - 900 + 200, 2)));
    }

    #[test]
    fn a_bank_that_differs_is_said() {
        let banked = |after, book| Banked { after, shop: Decimal::ZERO, book };
        let balances = [banked("payment", Decimal::ZERO), banked("full refund", Decimal::new(-1, 2))];
        assert_eq!(
            wrongs(&[], &balances),
            ["after the full refund the shop has kept 0.00, the bank has gained -0.01".to_owned()]
        );
    }
}
