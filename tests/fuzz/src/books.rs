//! What books answer: every dialect keeps its law, whatever the answers are.

use crate::holds;
use crate::shop::{INVOICE, MEMO, settings};
use ledger_conformance::law;
use ledger_dialects::{Context, Dialect, Reply, Start, dialects};
use ledger_domain::document::{Document, Posted};
use ledger_domain::mapping;
use ledger_domain::settings::Settings;
use ledger_wire::magento;
use std::collections::BTreeMap;

/// Ends an answer in an input.
const END: u8 = 0xff;
/// Statuses, chosen by an answer's first byte.
const STATUSES: [u16; 12] = [200, 201, 204, 302, 400, 401, 403, 404, 409, 422, 429, 503];
/// An id that every dialect may be asked about.
const POSTED: &str = "7f3c9a52-1d04-4b7e-9c11-0c5f6e2d8a10";

/// A conversation: one byte for dialect, document and start, then the answers, a byte for the status and the body each.
pub(crate) fn answers(data: &[u8]) {
    let Some((choice, said)) = data.split_first() else { return };
    let Some(settings) = settings() else { return holds(false, "the targets' settings are good") };
    let dialects = dialects();
    let (at, rest) = (usize::from(choice % 4), choice / 4);
    let Some(dialect) = dialects.get(at) else { return };
    let documents = documents(*dialect, &settings);
    holds(documents.len() == 3, "the targets' documents are good");
    let Some(document) = documents.get(usize::from(rest % 3)) else { return };
    let start = match rest / 3 % 2 {
        0 => Start::Fresh,
        _ => Start::Linked(Posted { provider_id: POSTED.to_owned(), reference: None, total: None }),
    };
    let context = Context {
        base_url: "https://api.example.com/v2".to_owned(),
        organisation: "org".to_owned(),
        idempotency_key: "0123456789abcdef0123456789abcdef".to_owned(),
        ..Context::default()
    };
    let mut said = said.split(|byte| *byte == END);
    let mut replies = || {
        let answer = said.next().unwrap_or_default();
        let (status, body) = answer.split_first().map_or((&0, answer), |(status, body)| (status, body));
        let status = STATUSES.get(usize::from(*status) % STATUSES.len()).copied().unwrap_or(200);
        Reply { status, body: body.to_vec(), ..Reply::default() }
    };
    let kept = law::converses(*dialect, &context, document, &start, POSTED, &mut replies);
    holds(kept.is_ok(), &kept.err().unwrap_or_default());
}

fn documents(dialect: &dyn Dialect, settings: &Settings) -> Vec<Document> {
    let rules = &dialect.profile().rules;
    let (Ok(invoice), Ok(memo)) = (magento::invoice(INVOICE.as_bytes()), magento::credit_memo(MEMO.as_bytes())) else {
        return Vec::new();
    };
    let number = mapping::invoice_number(settings, &invoice.increment_id, rules);
    let none = BTreeMap::new();
    let sold = mapping::sales_invoice(&invoice, settings, &number, "1", &none, rules).map(Document::Invoice);
    let contact = mapping::contact_of(&invoice, settings, rules).map(Document::Contact);
    let number = mapping::credit_note_number(settings, &memo.increment_id, rules);
    let note = mapping::credited_invoice(&memo, None, settings).and_then(|credited| {
        mapping::credit_note(&memo, Some(&invoice), settings, &number, "1", credited, None, &none, rules)
    });
    [contact, sold, note.map(Document::CreditNote)].into_iter().flatten().collect()
}
